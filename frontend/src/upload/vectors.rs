//! The bad inputs of the protocol's notes through what the form does before it sends: nothing that
//! the server takes is called broken, and what is wrong with the bytes is said.

use std::fs;
use std::path::{Path, PathBuf};

use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StoreDir;

use super::given::{Archives, Given};
use super::{examine, verdict};
use expected::{expected, ids, vectors};

#[path = "../../../shared/tests/bad_inputs/expected.rs"]
mod expected;

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

/// What the form says of a folder's files: the code of the first thing that is wrong, and what that is.
fn said(folder: &Path) -> Result<(), (&'static str, String)> {
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
            .map_err(|error| ("U02", error.to_string()))?;
        let archive = archives.find(&file.path, &narinfo);
        verdict::file_fits(&narinfo, archive.map(|at| given[at].size))
            .map_err(|trouble| (trouble.code, trouble.what))?;
        let archive = fs::File::open(&paths[archive.expect("it fits")]).expect("a file");
        let examined = examine::at_once(examine::examine(
            archive,
            narinfo.codec(),
            narinfo.nar_size(),
            examine::claim(&narinfo),
            |_| (),
            async || Ok(()),
        ))
        .map_err(|why| ("U05", why))?;
        verdict::content_fits(&narinfo, &examined)
            .map_err(|trouble| (trouble.code, trouble.what))?;
    }
    Ok(())
}

#[test]
fn every_bad_input_is_judged_before_it_is_sent() {
    let Some(vectors) = vectors() else { return };
    let mut wrong = Vec::new();
    for id in ids(&vectors) {
        let (_, expected) = expected(&id);
        let said = said(&vectors.join("bad").join(&id));
        let got = said.as_ref().map_or_else(|(code, _)| *code, |()| "");
        let as_expected = match expected.rsplit(' ').next() {
            // Found out before the archive is read.
            Some("U15") => true,
            Some(code @ ("U02" | "U03" | "U04" | "U05")) => got == code,
            // Nothing is wrong with the files.
            _ => got.is_empty(),
        };
        if !as_expected {
            wrong.push(format!("{id}: {expected} expected, and {said:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
