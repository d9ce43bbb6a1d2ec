//! The vectors, through the real server: what is broken is a finding and never a
//! crash, what crashes clients is never served, and the rest is shown with its words.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use reqwest::StatusCode;
use serde_json::Value;
use snowbank_tests::server::{Server, Setup};
use snowbank_tests::{component, folder};

/// PROTOCOL.md §19: refused with 400, and the code the finding has to carry.
const UNREADABLE: [(&str, &[&str]); 3] = [
    (
        "bad-narinfo",
        &[
            "ni-empty",
            "ni-no-colon",
            "ni-blank-line",
            "ni-no-final-newline",
            "ni-no-space",
            "ni-two-spaces",
            "ni-trailing-space",
            "ni-crlf",
            "ni-lowercase-key",
            "ni-no-storepath",
            "ni-no-url",
            "ni-empty-url",
            "ni-no-narsize",
            "ni-narsize-zero",
            "ni-narsize-neg",
            "ni-narsize-hex",
            "ni-narsize-overflow",
            "ni-narhash-noalgo",
            "ni-narhash-short",
            "ni-narhash-noncanon",
            "ni-narhash-algo",
            "ni-narhash-md5",
            "ni-narhash-sha512",
            "ni-filesize-bad",
            "ni-refs-twice",
            "ni-refs-fullpath",
            "ni-refs-badhash",
            "ni-refs-tab",
            "ni-deriver-bad",
            "ni-ca-prefix",
            "ni-ca-nohash",
            "ni-sp-otherstore",
            "ni-sp-relative",
            "ni-sp-subpath",
            "ni-sp-dotdot",
            "ni-sp-space",
            "ni-sp-dot",
            "ni-sp-long",
            "ni-sp-upper",
            "ni-nul",
            "ni-html",
            "sig-no-colon",
            "sig-noname",
            "sig-badb64",
            "sig-badb64-trusted",
            "sig-65",
            "sig-short-other",
            "sig-trailing",
        ],
    ),
    (
        "bad-url",
        &["url-abs", "url-file", "url-dotdot", "url-ctrl"],
    ),
    (
        "unsupported-compression",
        &["ni-comp-unknown", "ni-comp-case"],
    ),
];

/// PROTOCOL.md, Distilled 6: what crashes real clients.
const CRASHES_CLIENTS: [&str; 6] = [
    "ca-wrong-path",
    "ca-wrong-path-signed",
    "pl-cycle",
    "ca-fixed-refs",
    "ni-comp-unknown",
    "ni-comp-case",
];

/// The signature's word of paths that can be read.
const SIGNATURES: [(&str, &[&str]); 5] = [
    (
        "valid",
        &[
            "ok-plain",
            "ok-xz",
            "ok-gzip",
            "ok-bzip2-empty",
            "ok-no-filehash",
            "ok-base16-upper",
            "ok-sri-narhash",
            "ok-b64-narhash",
            "ok-unknown-key",
            "ok-unknown-deriver",
            "ok-order",
            "ok-two-sigs",
            "ok-self-ref",
            "sig-nopad",
            "sig-url-not-covered",
            "ok-url-query",
            "pl-missing-nar",
            "nar-case",
            "nar-name-notutf8",
        ],
    ),
    ("unsigned", &["sig-none"]),
    (
        "invalid",
        &[
            "sig-imposter",
            "sig-bitflip",
            "sig-tamper-refs",
            "sig-tamper-path",
            "sig-tamper-hash",
            "sig-otherstore",
        ],
    ),
    ("not-needed", &["ca-flat-ok", "ca-text-ok"]),
    ("unknown-key", &["sig-renamed"]),
];

struct Case {
    id: String,
    hash: String,
}

fn cases(vectors: &Path) -> anyhow::Result<Vec<Case>> {
    let manifest: Vec<Value> =
        serde_json::from_slice(&std::fs::read(vectors.join("bad/manifest.json"))?)?;
    manifest
        .iter()
        .map(|case| {
            let text = |key: &str| {
                case[key]
                    .as_str()
                    .with_context(|| format!("the manifest has no {key}"))
            };
            let query = text("query")?;
            let hash = query
                .strip_prefix("/nix/store/")
                .context("a query is a store path")?[..32]
                .to_owned();
            Ok(Case {
                id: text("id")?.to_owned(),
                hash,
            })
        })
        .collect()
}

/// Every folder of `vectors/bad` as a cache of its own, in one server.
async fn serve_bad(vectors: &Path, cases: &[Case], home: &Path) -> anyhow::Result<Server> {
    let key = std::fs::read_to_string(vectors.join("keys/test.example.org-1.pub"))?;
    let mut setup = Setup::new();
    for case in cases {
        let bucket = home.join(&case.id);
        folder::copy(&vectors.join("bad").join(&case.id), &bucket)?;
        setup = setup.folder(
            &case.id,
            &bucket,
            &[format!("public_keys = [{:?}]", key.trim())],
        );
    }
    setup.start().await
}

async fn findings(server: &Server, cache: &str) -> anyhow::Result<Vec<Value>> {
    server
        .items(&format!("/api/v1/caches/{cache}/health"))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bad_vectors_are_indexed_judged_and_never_crash_anybody() -> anyhow::Result<()> {
    let Some(vectors) = component::vectors() else {
        return Ok(());
    };
    let cases = cases(&vectors)?;
    ensure!(cases.len() == 140, "the manifest has {} cases", cases.len());
    let home = tempfile::tempdir()?;
    let server = serve_bad(&vectors, &cases, home.path()).await?;
    let hashes: BTreeMap<&str, &str> = cases
        .iter()
        .map(|case| (case.id.as_str(), case.hash.as_str()))
        .collect();
    let mut wrong = Vec::new();

    for case in &cases {
        server
            .indexed(&case.id)
            .await
            .with_context(|| case.id.clone())?;
    }

    for (code, ids) in UNREADABLE {
        for id in ids {
            let findings = findings(&server, id).await?;
            let Some(finding) = findings.iter().find(|finding| finding["check"] == code) else {
                wrong.push(format!("{id}: no finding {code}, but {findings:?}"));
                continue;
            };
            if finding["reason"].as_str().unwrap_or_default().len() < 8 {
                wrong.push(format!("{id}: the finding says no reason: {finding}"));
            }
            if !finding["object"]
                .as_str()
                .unwrap_or_default()
                .ends_with(&format!("{}.narinfo", hashes[id]))
            {
                wrong.push(format!("{id}: the finding names another object: {finding}"));
            }
            // A field that is missing or an empty file has no line to point at.
            let whole = id.starts_with("ni-no-storepath")
                || [
                    "ni-empty",
                    "ni-no-url",
                    "ni-no-narsize",
                    "ni-html",
                    "ni-lowercase-key",
                ]
                .contains(id);
            // What is withheld concerns the path as a whole.
            let whole = whole || code == "unsupported-compression";
            if !whole && !finding["line"].is_u64() {
                wrong.push(format!("{id}: the finding has no line: {finding}"));
            }
        }
    }

    for id in ["ok-dup-storepath", "ok-dup-url"] {
        let path = server
            .json(&format!("/api/v1/caches/{id}/paths/{}", hashes[id]))
            .await?;
        if !path["oddities"].to_string().contains("more than once") || path["signature"] != "valid"
        {
            wrong.push(format!(
                "{id}: nothing is said of the line that is there twice: {path}"
            ));
        }
    }

    for id in CRASHES_CLIENTS {
        let path = format!("/{id}/{}.narinfo", hashes[id]);
        let status = server.status(&path).await?;
        if status != StatusCode::NOT_FOUND {
            wrong.push(format!("{id}: {path} is {status}, and crashes clients"));
        }
        if findings(&server, id).await?.is_empty() {
            wrong.push(format!("{id}: withheld, but no finding says so"));
        }
    }

    for (word, ids) in SIGNATURES {
        for id in ids {
            let path = server
                .get(&format!("/api/v1/caches/{id}/paths/{}", hashes[id]))
                .await?;
            let status = path.status();
            let path: Value = path.json().await?;
            if status != StatusCode::OK || path["signature"] != word {
                wrong.push(format!(
                    "{id}: {status}, signature {} instead of {word}",
                    path["signature"]
                ));
            }
            let served = server.bytes(&format!("/{id}/{}.narinfo", hashes[id])).await;
            let stored =
                std::fs::read(home.path().join(id).join(format!("{}.narinfo", hashes[id])))?;
            if served.as_ref().ok() != Some(&stored) {
                wrong.push(format!(
                    "{id}: the narinfo served is not the one stored: {served:?}"
                ));
            }
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} things are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_vector_leaves_the_server_answering() -> anyhow::Result<()> {
    let Some(vectors) = component::vectors() else {
        return Ok(());
    };
    let cases = cases(&vectors)?;
    let home = tempfile::tempdir()?;
    let server = serve_bad(&vectors, &cases, home.path()).await?;
    for case in &cases {
        server.indexed(&case.id).await?;
        // Whatever is in there, every page and protocol answer is a deliberate one.
        for path in [
            format!("/api/v1/caches/{}", case.id),
            format!("/api/v1/caches/{}/paths", case.id),
            format!("/api/v1/caches/{}/health", case.id),
            format!("/api/v1/caches/{}/paths/{}", case.id, case.hash),
            format!("/api/v1/caches/{}/paths/{}/closure", case.id, case.hash),
            format!("/{}/{}.narinfo", case.id, case.hash),
            format!("/{}/nix-cache-info", case.id),
        ] {
            let status = server.patient_status(&path).await?;
            ensure!(
                status == StatusCode::OK || status == StatusCode::NOT_FOUND,
                "{path}: {status}"
            );
        }
    }
    ensure!(server.status("/healthz").await? == StatusCode::OK);
    ensure!(
        !server.log().contains("panicked"),
        "the server panicked:\n{}",
        server.log()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_978_real_narinfos_come_back_identical_and_are_all_valid() -> anyhow::Result<()> {
    let Some(vectors) = component::vectors() else {
        return Ok(());
    };
    let corpus = zstd::decode_all(&*std::fs::read(
        vectors.join("cache.nixos.org-corpus.narinfos.zst"),
    )?)?;
    let corpus = String::from_utf8(corpus)?;
    let bucket = tempfile::tempdir()?;
    std::fs::write(
        bucket.path().join("nix-cache-info"),
        "StoreDir: /nix/store\n",
    )?;
    let mut narinfos = BTreeMap::new();
    for narinfo in corpus
        .split("\n\n")
        .map(str::trim_start)
        .filter(|text| !text.is_empty())
    {
        let narinfo = format!("{}\n", narinfo.trim_end_matches('\n'));
        let hash = narinfo
            .strip_prefix("StorePath: /nix/store/")
            .context("a narinfo begins with its path")?[..32]
            .to_owned();
        std::fs::write(bucket.path().join(format!("{hash}.narinfo")), &narinfo)?;
        narinfos.insert(hash, narinfo);
    }
    ensure!(
        narinfos.len() == 978,
        "the corpus has {} narinfos",
        narinfos.len()
    );
    let server = Setup::new()
        .folder("main", bucket.path(), &[])
        .start()
        .await?;
    let cache = server.indexed("main").await?;
    ensure!(
        cache["paths"] == 978,
        "{} paths are indexed",
        cache["paths"]
    );
    let valid = server
        .json("/api/v1/caches/main/paths?sig=valid&limit=1")
        .await?;
    ensure!(
        valid["total"] == 978,
        "{} are valid by cache.nixos.org-1",
        valid["total"]
    );
    for (hash, narinfo) in &narinfos {
        ensure!(
            server.text(&format!("/main/{hash}.narinfo")).await? == *narinfo,
            "{hash} came back changed"
        );
    }
    Ok(())
}
