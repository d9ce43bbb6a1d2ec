//! The bad inputs of the protocol's notes through what the form does before it sends: nothing that
//! the server takes is called broken, and what is wrong with the bytes is said.

use std::fs;
use std::path::{Path, PathBuf};

use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StoreDir;

use super::given::{Archives, Given};
use super::{examine, verdict};

/// The vectors, where they are; they are not part of the project.
fn vectors() -> Option<PathBuf> {
    let folder = std::env::var_os("SNOWBANK_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors")),
        PathBuf::from,
    );
    folder.join("bad/manifest.json").exists().then_some(folder)
}

/// What the form has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// Nothing is wrong with the files.
    Fine,
    /// Something is.
    Wrong,
    /// That is found out by more than the files: signatures, references, content addresses.
    Either,
}

fn expected(id: &str) -> Says {
    match id {
        "ok-wrong-filehash"
        | "ok-wrong-filesize"
        | "ok-dup-storepath"
        | "ok-dup-url"
        | "ok-url-query"
        | "ok-slash-in-storepath" => Says::Wrong,
        "ni-wrong-name" | "sig-nopad" | "sig-url-not-covered" => Says::Fine,
        // The form puts a narinfo where its path belongs, whatever its file was called.
        "ni-wrong-hashpart" => Says::Either,
        "ni-comp-unknown" | "ni-comp-case" => Says::Wrong,
        "nar-name-255" | "nar-name-backslash" | "nar-name-newline" | "nar-name-notutf8"
        | "nar-case" | "nar-casehack" | "nar-link-4095" | "nar-link-abs" | "nar-deep-63" => {
            Says::Fine
        }
        "pl-missing-ref" | "pl-cycle" => Says::Fine,
        _ if id.starts_with("ok-") => Says::Fine,
        _ if id.starts_with("ni-")
            || id.starts_with("nar-")
            || id.starts_with("pl-")
            || id.starts_with("url-") =>
        {
            Says::Wrong
        }
        _ => Says::Either,
    }
}

/// The files below a folder, with their paths as a browser gives them.
fn files(folder: &Path, below: &str, found: &mut Vec<(Given, PathBuf)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = format!("{below}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            files(&entry.path(), &path, found);
        } else {
            let size = entry.metadata().expect("a size").len();
            found.push((Given { path, size }, entry.path()));
        }
    }
}

/// What the form says of a folder: the first thing that is wrong.
fn said(folder: &Path) -> Result<(), String> {
    let mut found = Vec::new();
    files(folder, "out", &mut found);
    found.sort_by(|(one, _), (two, _)| one.path.cmp(&two.path));
    let (given, paths): (Vec<Given>, Vec<PathBuf>) = found.into_iter().unzip();
    let archives = Archives::of(&given);
    for (file, path) in given.iter().zip(&paths) {
        if !file.path.ends_with(".narinfo") {
            continue;
        }
        // A browser reads a file's text as UTF-8, and what is none of it as U+FFFD.
        let bytes = fs::read(path).expect("bytes");
        let text = String::from_utf8_lossy(&bytes);
        let narinfo = NarInfo::parse_strict(text.as_bytes(), &StoreDir::default())
            .map_err(|error| error.to_string())?;
        let archive = archives.find(&file.path, &narinfo);
        verdict::file_fits(&narinfo, archive.map(|at| given[at].size))
            .map_err(|trouble| trouble.what)?;
        let archive = fs::File::open(&paths[archive.expect("it fits")]).expect("a file");
        let examined = examine::at_once(examine::examine(
            archive,
            narinfo.codec(),
            narinfo.nar_size(),
            |_| (),
            async || Ok(()),
        ))?;
        verdict::content_fits(&narinfo, &examined).map_err(|trouble| trouble.what)?;
    }
    Ok(())
}

#[test]
fn every_bad_input_is_judged_before_it_is_sent() {
    let Some(vectors) = vectors() else {
        eprintln!("SKIPPED: the bad inputs are not here (SNOWBANK_VECTORS)");
        return;
    };
    let manifest = fs::read_to_string(vectors.join("bad/manifest.json")).expect("a manifest");
    let cases: Vec<serde_json::Value> = serde_json::from_str(&manifest).expect("JSON");
    assert!(cases.len() >= 140, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let id = case["id"].as_str().expect("an id");
        let said = said(&vectors.join("bad").join(id));
        match expected(id) {
            Says::Fine if said.is_err() => wrong.push(format!("{id} is called broken: {said:?}")),
            Says::Wrong if said.is_ok() => wrong.push(format!("{id} is called fine")),
            Says::Fine | Says::Wrong | Says::Either => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
