//! The mini caches of `vectors/bad`: what the index makes of each narinfo, and
//! what an upload of it is told (PROTOCOL.md §19). Faults that only the NAR shows are not here.

use std::collections::HashMap;

use serde::Deserialize;
use snowbank_shared::api::SignatureStatus;
use snowbank_shared::narinfo::{ErrorCode, NarInfo};
use snowbank_shared::store_path::StorePathHash;

use crate::{json, narinfos_in, read, ring_of, store_dir, vectors};

use ErrorCode::{
    BadNarinfo, BadUrl, CaPathMismatch, CaWithReferences, DuplicateField, UnsupportedCompression,
};

#[derive(Deserialize)]
struct Case {
    id: String,
    nix_2_8_0: String,
    nix_2_34_8: String,
}

/// What no client can read and the index cannot show: code and line.
const UNREADABLE: &[(&str, ErrorCode, Option<u32>)] = &[
    ("ni-empty", BadNarinfo, None),
    ("ni-no-colon", BadNarinfo, Some(10)),
    ("ni-blank-line", BadNarinfo, Some(2)),
    ("ni-no-final-newline", BadNarinfo, Some(9)),
    ("ni-two-spaces", BadNarinfo, Some(7)),
    ("ni-trailing-space", BadNarinfo, Some(7)),
    ("ni-crlf", BadNarinfo, Some(1)),
    ("ni-lowercase-key", BadNarinfo, Some(1)),
    ("ni-no-storepath", BadNarinfo, None),
    ("ni-no-url", BadNarinfo, None),
    ("ni-empty-url", BadNarinfo, Some(2)),
    ("ni-no-narsize", BadNarinfo, None),
    ("ni-narsize-zero", BadNarinfo, Some(7)),
    ("ni-narsize-neg", BadNarinfo, Some(7)),
    ("ni-narsize-hex", BadNarinfo, Some(7)),
    ("ni-narsize-overflow", BadNarinfo, Some(7)),
    ("ni-narhash-noalgo", BadNarinfo, Some(6)),
    ("ni-narhash-short", BadNarinfo, Some(6)),
    ("ni-narhash-noncanon", BadNarinfo, Some(6)),
    ("ni-narhash-algo", BadNarinfo, Some(6)),
    ("ni-narhash-md5", BadNarinfo, Some(6)),
    ("ni-narhash-sha512", BadNarinfo, Some(6)),
    ("ni-filesize-bad", BadNarinfo, Some(5)),
    ("ni-refs-twice", BadNarinfo, Some(10)),
    ("ni-refs-fullpath", BadNarinfo, Some(8)),
    ("ni-refs-badhash", BadNarinfo, Some(8)),
    ("ni-refs-tab", BadNarinfo, Some(8)),
    ("ni-deriver-bad", BadNarinfo, Some(9)),
    ("ni-ca-prefix", BadNarinfo, Some(10)),
    ("ni-ca-nohash", BadNarinfo, Some(10)),
    ("ni-sp-otherstore", BadNarinfo, Some(1)),
    ("ni-sp-relative", BadNarinfo, Some(1)),
    ("ni-sp-subpath", BadNarinfo, Some(1)),
    ("ni-sp-dotdot", BadNarinfo, Some(1)),
    ("ni-sp-space", BadNarinfo, Some(1)),
    ("ni-sp-dot", BadNarinfo, Some(1)),
    ("ni-sp-long", BadNarinfo, Some(1)),
    ("ni-sp-upper", BadNarinfo, Some(1)),
    ("ni-nul", BadNarinfo, Some(1)),
    ("ni-html", BadNarinfo, Some(1)),
    ("url-abs", BadUrl, Some(2)),
    ("url-file", BadUrl, Some(2)),
    ("url-dotdot", BadUrl, Some(2)),
    ("url-ctrl", BadUrl, Some(2)),
];

/// What the index shows and an upload is refused for: code, line, and whether it is a finding too.
const REFUSED: &[(&str, ErrorCode, u32, bool)] = &[
    ("ok-dup-storepath", DuplicateField, 2, false),
    ("ok-dup-url", DuplicateField, 3, false),
    ("ok-url-query", BadUrl, 2, false),
    ("ni-no-space", BadNarinfo, 7, true),
    ("ni-comp-unknown", UnsupportedCompression, 3, true),
    ("ni-comp-case", UnsupportedCompression, 3, true),
    ("sig-no-colon", BadNarinfo, 9, true),
    ("sig-noname", BadNarinfo, 9, true),
    ("sig-badb64", BadNarinfo, 9, true),
    ("sig-badb64-trusted", BadNarinfo, 9, true),
    ("sig-short-other", BadNarinfo, 9, true),
    ("sig-65", BadNarinfo, 9, true),
    ("sig-trailing", BadNarinfo, 9, true),
    ("ca-wrong-path", CaPathMismatch, 9, true),
    ("ca-wrong-path-signed", CaPathMismatch, 10, true),
    ("ca-fixed-refs", CaWithReferences, 9, true),
];

/// Never served: Distilled 6.
const WITHHELD: &[&str] = &[
    "ni-comp-unknown",
    "ni-comp-case",
    "ca-wrong-path",
    "ca-wrong-path-signed",
    "ca-fixed-refs",
];

/// Signature words other than valid.
const WORDS: &[(&str, SignatureStatus)] = &[
    ("ni-no-space", SignatureStatus::Invalid),
    ("sig-none", SignatureStatus::Unsigned),
    ("sig-imposter", SignatureStatus::Invalid),
    ("sig-renamed", SignatureStatus::UnknownKey),
    ("sig-bitflip", SignatureStatus::Invalid),
    ("sig-65", SignatureStatus::Malformed),
    ("sig-tamper-refs", SignatureStatus::Invalid),
    ("sig-tamper-path", SignatureStatus::Invalid),
    ("sig-tamper-hash", SignatureStatus::Invalid),
    ("sig-otherstore", SignatureStatus::Invalid),
    ("ca-wrong-content", SignatureStatus::NotNeeded),
    ("ca-wrong-path", SignatureStatus::Unsigned),
    ("ca-flat-ok", SignatureStatus::NotNeeded),
    ("ca-flat-dir", SignatureStatus::NotNeeded),
    ("ca-text-ok", SignatureStatus::NotNeeded),
    ("ca-md5-ok", SignatureStatus::NotNeeded),
    ("ca-fixed-refs", SignatureStatus::Unsigned),
];

/// Bad signatures beside better words.
const PROBLEMS: &[(&str, SignatureStatus)] = &[
    ("ok-two-sigs-same-name", SignatureStatus::Invalid),
    ("sig-no-colon", SignatureStatus::Malformed),
    ("sig-noname", SignatureStatus::Malformed),
    ("sig-badb64", SignatureStatus::Malformed),
    ("sig-badb64-trusted", SignatureStatus::Malformed),
    ("sig-short-other", SignatureStatus::Malformed),
];

#[test]
fn every_bad_narinfo_gets_its_code_line_and_word() {
    let Some(vectors) = vectors() else { return };
    let cases: Vec<Case> = json(&vectors.join("bad/manifest.json"));
    assert!(cases.len() >= 140, "{} cases", cases.len());
    let key = String::from_utf8(read(&vectors.join("keys/test.example.org-1.pub"))).expect("text");
    let ring = ring_of([key.as_str()]);
    let unreadable: HashMap<_, _> = UNREADABLE
        .iter()
        .map(|(id, code, line)| (*id, (*code, *line)))
        .collect();
    let refused: HashMap<_, _> = REFUSED
        .iter()
        .map(|(id, code, line, finding)| (*id, (*code, *line, *finding)))
        .collect();
    let words: HashMap<_, _> = WORDS.iter().copied().collect();
    let problems: HashMap<_, _> = PROBLEMS.iter().copied().collect();
    let mut met = 0;
    for case in &cases {
        let id = case.id.as_str();
        for path in narinfos_in(&vectors.join("bad").join(id)) {
            let bytes = read(&path);
            let strict = NarInfo::parse_strict(&bytes, &store_dir());
            let narinfo = match (NarInfo::parse(&bytes, &store_dir()), unreadable.get(id)) {
                (Err(error), Some(expected)) => {
                    assert_eq!((error.code, error.line), *expected, "{id}: {error}");
                    assert_eq!(strict, Err(error), "{id}");
                    // What we refuse to show, no client reads: leniency is not lost.
                    assert_eq!(
                        (case.nix_2_8_0.as_str(), case.nix_2_34_8.as_str()),
                        ("reject", "reject"),
                        "{id}"
                    );
                    met += 1;
                    continue;
                }
                (Ok(narinfo), None) => narinfo,
                (result, _) => panic!("{id}: {result:?}"),
            };
            assert_eq!(narinfo.to_bytes(), bytes, "{id}");
            match (strict, refused.get(id)) {
                (Err(error), Some((code, line, finding))) => {
                    assert_eq!(
                        (error.code, error.line),
                        (*code, Some(*line)),
                        "{id}: {error}"
                    );
                    let found = narinfo
                        .oddities()
                        .iter()
                        .find(|oddity| oddity.finding().is_some());
                    assert_eq!(
                        found.and_then(|oddity| oddity.line),
                        finding.then_some(*line),
                        "{id}"
                    );
                    met += 1;
                }
                (Ok(_), None) => {}
                (result, _) => panic!("{id}: {result:?}"),
            }
            assert_eq!(
                narinfo.crash_risk().is_some(),
                WITHHELD.contains(&id),
                "{id}"
            );
            let judgement = ring.judge(&narinfo);
            assert_eq!(
                judgement.status,
                words.get(id).copied().unwrap_or(SignatureStatus::Valid),
                "{id}"
            );
            assert_eq!(judgement.problem, problems.get(id).copied(), "{id}");
        }
    }
    assert_eq!(
        met,
        UNREADABLE.len() + REFUSED.len(),
        "every case of the tables was met"
    );
}

#[test]
fn a_narinfo_under_another_name_is_a_key_mismatch() {
    let Some(vectors) = vectors() else { return };
    let path = narinfos_in(&vectors.join("bad/ok-plain")).remove(0);
    let narinfo = NarInfo::parse(&read(&path), &store_dir()).expect("a control");
    assert_eq!(narinfo.check_key(narinfo.store_path().hash()), Ok(()));
    let other: StorePathHash = "a".repeat(32).parse().expect("digits");
    let error = narinfo.check_key(other).expect_err("another hash part");
    assert_eq!((error.code, error.line), (ErrorCode::KeyMismatch, Some(1)));
}
