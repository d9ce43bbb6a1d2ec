//! The bad inputs of the protocol's notes, by PUT: each is judged as its table says.

use std::path::PathBuf;

use snowbank_shared::signature::SecretKey;

use crate::upload_site::{Site, Uploader};

/// The vectors, where they are; they are not part of the project.
fn vectors() -> Option<PathBuf> {
    let folder = std::env::var_os("SNOWBANK_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors")),
        PathBuf::from,
    );
    folder.join("bad/manifest.json").exists().then_some(folder)
}

/// What an upload of a vector comes to: `accept`, or status and code.
fn expected(id: &str) -> &'static str {
    match id {
        "ok-wrong-filehash" => "422 file-hash-mismatch",
        "ok-wrong-filesize" => "422 file-size-mismatch",
        "ok-dup-storepath" | "ok-dup-url" => "400 duplicate-field",
        "ok-url-query" => "400 bad-url",
        "ok-slash-in-storepath" => "400 store-path-not-canonical",
        "ni-narsize-huge" => "422 nar-size-mismatch",
        "ni-wrong-hashpart" => "400 key-mismatch",
        "ni-wrong-name" => "accept",
        "ni-comp-unknown" | "ni-comp-case" => "400 unsupported-compression",
        "ni-comp-mismatch" | "ni-comp-none-but-xz" | "ni-comp-xz-but-none" => "422 bad-compression",
        "sig-no-colon" | "sig-empty" | "sig-noname" | "sig-badb64" | "sig-badb64-trusted"
        | "sig-short-other" | "sig-short-trusted" | "sig-65" | "sig-trailing" => "400 bad-narinfo",
        "sig-nopad" | "sig-url-not-covered" => "accept",
        "ca-ok" | "ca-flat-ok" | "ca-flat-exec" | "ca-text-ok" => "accept",
        "ca-wrong-content" => "422 ca-hash-mismatch",
        "ca-wrong-path" | "ca-wrong-path-signed" => "422 ca-path-mismatch",
        "ca-flat-dir" => "422 bad-content-address",
        "ca-md5-ok" => "403 bad-signature",
        "ca-fixed-refs" => "422 ca-with-references",
        "nar-trailing" | "nar-trailing-hashed" | "pl-xz-concat" => "422 trailing-data",
        "nar-name-255" | "nar-name-backslash" | "nar-name-newline" | "nar-name-notutf8"
        | "nar-case" | "nar-casehack" | "nar-link-4095" | "nar-link-abs" | "nar-deep-63" => {
            "accept"
        }
        // Its name promises another hash, which is found out before any narinfo.
        "pl-narhash" => "422 file-hash-mismatch",
        "pl-narsize" | "pl-bomb" => "422 nar-size-mismatch",
        "pl-missing-nar" => "409 nar-missing",
        "pl-missing-ref" => "409 reference-missing",
        "pl-cycle" => "422 reference-cycle",
        "pl-xz-truncated" | "pl-xz-corrupt" => "422 bad-compression",
        "url-abs" | "url-file" | "url-dotdot" | "url-rootrel" | "url-ctrl" => "400 bad-url",
        _ if id.starts_with("ok-") => "accept",
        _ if id.starts_with("ni-") => "400 bad-narinfo",
        _ if id.starts_with("sig-") => "403 bad-signature",
        _ if id.starts_with("nar-") || id == "pl-empty" => "422 bad-nar",
        _ => panic!("nothing is said of {id}"),
    }
}

/// Statuses and texts.
type Answers = Vec<(u16, String)>;

/// Sends everything of a folder in the order of old clients: archives, then narinfos.
async fn sent(site: &Site, by: &Uploader, folder: &std::path::Path) -> (Answers, Answers) {
    let list = |folder: PathBuf| {
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
            .map(|entries| {
                entries
                    .map(|entry| entry.expect("an entry").path())
                    .collect()
            })
            .unwrap_or_default();
        files.sort();
        files
    };
    let name = |path: &PathBuf| {
        path.file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    };
    let (mut archives, mut narinfos) = (Vec::new(), Vec::new());
    for nar in list(folder.join("nar")) {
        let bytes = std::fs::read(&nar).expect("bytes");
        archives.push(site.put(by, &format!("nar/{}", name(&nar)), bytes).await);
    }
    for file in list(folder.to_owned()) {
        if name(&file).ends_with(".narinfo") {
            let bytes = std::fs::read(&file).expect("bytes");
            narinfos.push(site.put(by, &name(&file), bytes).await);
        }
    }
    (archives, narinfos)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_input_gets_its_verdict() {
    let Some(vectors) = vectors() else {
        eprintln!("SKIPPED: the bad inputs are not here (SNOWBANK_VECTORS)");
        return;
    };
    let secret =
        std::fs::read_to_string(vectors.join("keys/test.example.org-1.sec")).expect("a key");
    let key: SecretKey = secret.trim().parse().expect("a key");
    let manifest = std::fs::read_to_string(vectors.join("bad/manifest.json")).expect("a manifest");
    let cases: Vec<serde_json::Value> = serde_json::from_str(&manifest).expect("JSON");
    assert!(cases.len() >= 140, "{}", cases.len());
    let mut wrong = Vec::new();
    // They share store paths, so each needs a server of its own; some at a time.
    let mut running = tokio::task::JoinSet::new();
    let mut cases = cases.into_iter();
    let mut check = |result: Option<String>| wrong.extend(result);
    loop {
        while running.len() < 4
            && let Some(case) = cases.next()
        {
            let id = case["id"].as_str().expect("an id").to_owned();
            let folder = vectors.join("bad").join(&id);
            let key = key.clone();
            running.spawn(async move { verdict(&id, &folder, &key).await });
        }
        match running.join_next().await {
            Some(result) => check(result.expect("no panic")),
            None => break,
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with the verdict of one case.
async fn verdict(id: &str, folder: &std::path::Path, key: &SecretKey) -> Option<String> {
    let site = Site::start(|_| {}).await;
    let mut by = site.contributor("tess").await;
    by.key = key.clone();
    site.register("tess", &key.public_key(), |_| {}).await;
    let (archives, narinfos) = sent(&site, &by, folder).await;
    // Who is refused with the archive has no reason to send the narinfo.
    let refused = |answer: &&(u16, String)| answer.0 != 200;
    let refused = archives
        .iter()
        .find(refused)
        .or_else(|| narinfos.iter().rev().find(refused));
    let got = match refused {
        None => "accept".to_owned(),
        Some((status, text)) => {
            let code = text.split(':').next().unwrap_or_default();
            format!("{status} {code}")
        }
    };
    let there = site
        .objects()
        .into_iter()
        .filter(|key| key.ends_with(".narinfo"))
        .count();
    let published = usize::from(got == "accept");
    let expected = expected(id);
    if got == expected && there == published {
        return None;
    }
    Some(format!(
        "{id}: expected {expected}, got {got}, {there} narinfos are there: {archives:?} {narinfos:?}"
    ))
}
