//! The bad inputs of the protocol's notes, by PUT: each is judged as its table says.

use std::path::PathBuf;

use snowbank_shared::signature::SecretKey;

use crate::upload_site::{Site, Uploader};
use expected::{expected, ids, vectors};

#[path = "../../../shared/tests/bad_inputs/expected.rs"]
mod expected;

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
    let Some(vectors) = vectors() else { return };
    let secret =
        std::fs::read_to_string(vectors.join("keys/test.example.org-1.sec")).expect("a key");
    let key: SecretKey = secret.trim().parse().expect("a key");
    let mut wrong = Vec::new();
    // They share store paths, so each needs a server of its own; some at a time.
    let mut running = tokio::task::JoinSet::new();
    let mut cases = ids(&vectors).into_iter();
    let mut check = |result: Option<String>| wrong.extend(result);
    loop {
        while running.len() < 4
            && let Some(id) = cases.next()
        {
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
    let (expected, _) = expected(id);
    if got == expected && there == published {
        return None;
    }
    Some(format!(
        "{id}: expected {expected}, got {got}, {there} narinfos are there: {archives:?} {narinfos:?}"
    ))
}
