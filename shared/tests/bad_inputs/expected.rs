//! What becomes of each bad input of the protocol's notes: by PUT, and in the upload form. One table
//! for the tests of the server, of the form's code and of the form in a browser, which include this
//! file; the inputs themselves are not part of the project.

use std::path::PathBuf;

/// The vectors, where they are: `SNOWBANK_VECTORS`, else `shared/vectors` beside the project. Says
/// aloud that a test is skipped where they are not.
pub fn vectors() -> Option<PathBuf> {
    let folder = std::env::var_os("SNOWBANK_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors")),
        PathBuf::from,
    );
    if folder.join("bad/manifest.json").exists() {
        return Some(folder);
    }
    eprintln!("SKIPPED: the bad inputs are not here (SNOWBANK_VECTORS)");
    None
}

/// The names of the bad inputs, each a folder below `bad/`.
pub fn ids(vectors: &std::path::Path) -> Vec<String> {
    let manifest = std::fs::read_to_string(vectors.join("bad/manifest.json")).expect("a manifest");
    let cases: Vec<serde_json::Value> = serde_json::from_str(&manifest).expect("JSON");
    assert!(cases.len() >= 140, "{}", cases.len());
    let id = |case: &serde_json::Value| case["id"].as_str().expect("an id").to_owned();
    cases.iter().map(id).collect()
}

/// What an upload comes to: for the server `accept`, or status and code; for the form the word for
/// what happens with each path and the code of what is in the way, or the code alone where nothing
/// can be read. `New` can be sent, and nothing else.
pub fn expected(id: &str) -> (&'static str, &'static str) {
    (by_put(id), in_the_form(id))
}

fn by_put(id: &str) -> &'static str {
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

fn in_the_form(id: &str) -> &'static str {
    match id {
        // What does not belong together.
        "ok-wrong-filesize" | "nar-trailing" | "pl-narhash" | "pl-xz-truncated"
        | "pl-xz-concat" => "Broken U04",
        "ok-wrong-filehash"
        | "ni-comp-mismatch"
        | "ni-comp-none-but-xz"
        | "ni-comp-xz-but-none"
        | "sig-tamper-size"
        | "ca-wrong-content"
        | "ca-flat-dir" => "Broken U05",
        "pl-missing-nar" => "Broken U03",
        // What no cache has as large.
        "ni-narsize-huge" => "Not allowed U15",
        // The form puts a narinfo where its path belongs, whatever its file was called.
        "ni-wrong-name" | "ni-wrong-hashpart" => "New",
        // Who signed it.
        "sig-none" | "ca-md5-ok" => "Not allowed",
        "sig-untrusted" | "sig-renamed" => "Not allowed U08",
        "sig-imposter" | "sig-bitflip" | "sig-tamper-refs" | "sig-tamper-path"
        | "sig-tamper-hash" | "sig-otherstore" => "Not allowed U07",
        "sig-nopad" | "sig-url-not-covered" => "New",
        // What it needs.
        "pl-missing-ref" | "pl-cycle" => "Incomplete closure U10",
        // Narinfos that cannot be read.
        "ok-dup-storepath"
        | "ok-dup-url"
        | "ok-url-query"
        | "ok-slash-in-storepath"
        | "ca-wrong-path"
        | "ca-wrong-path-signed"
        | "ca-fixed-refs" => "U02",
        _ if by_put(id) == "accept" => "New",
        _ if id.starts_with("ni-") || id.starts_with("sig-") || id.starts_with("url-") => "U02",
        _ if id.starts_with("nar-") || id.starts_with("pl-") => "Broken U05",
        _ => panic!("nothing is said of {id}"),
    }
}
