//! Narinfos of real caches: given back byte for byte, every signature judged as recorded.

use std::collections::HashMap;

use serde::Deserialize;
use snowbank_shared::api::SignatureStatus;
use snowbank_shared::narinfo::{NarInfo, NarInfoParts, OddityKind};
use snowbank_shared::signature::Signature;

use crate::{json, narinfos_in, read, ring_of, store_dir, vectors};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Real {
    file: String,
    store_path: String,
    fingerprint: String,
    sig_key_names: Vec<String>,
    valid_sigs: Vec<String>,
    public_keys: Vec<String>,
    ca: Option<String>,
    ca_matches_path: Option<bool>,
    file_order_fingerprint: Option<String>,
}

#[test]
fn real_narinfos_are_read_as_recorded() {
    let Some(vectors) = vectors() else { return };
    let cases: Vec<Real> = json(&vectors.join("narinfo-real.json"));
    assert!(cases.len() >= 170, "{} cases", cases.len());
    let mut valid = 0;
    for case in &cases {
        let bytes = read(&vectors.join("narinfo-real").join(&case.file));
        let narinfo = NarInfo::parse(&bytes, &store_dir())
            .unwrap_or_else(|error| panic!("{}: {error}", case.file));
        assert_eq!(narinfo.to_bytes(), bytes);
        let path = store_dir().display(narinfo.store_path()).to_string();
        assert_eq!(path, case.store_path);
        assert_eq!(narinfo.fingerprint(), case.fingerprint);
        assert_eq!(
            narinfo.file_order_fingerprint(),
            case.file_order_fingerprint
        );
        let holds = narinfo.ca().map(|_| narinfo.is_content_addressed());
        assert_eq!(holds, case.ca_matches_path, "{}", case.file);
        assert_eq!(narinfo.ca().map(|ca| ca.to_string()), case.ca);
        let judgement = ring_of(case.public_keys.iter().map(String::as_str)).judge(&narinfo);
        let mut names: Vec<_> = judgement
            .signatures
            .iter()
            .map(|verdict| &verdict.key)
            .collect();
        names.sort();
        assert_eq!(
            names,
            case.sig_key_names.iter().collect::<Vec<_>>(),
            "{}",
            case.file
        );
        for verdict in &judgement.signatures {
            let passed = verdict.status == SignatureStatus::Valid;
            assert_eq!(
                passed,
                case.valid_sigs.contains(&verdict.key),
                "{}: {}",
                case.file,
                verdict.key
            );
            valid += usize::from(passed);
        }
        let unsorted = judgement
            .oddities
            .iter()
            .any(|oddity| oddity.kind == OddityKind::SignedInFileOrder);
        assert_eq!(
            unsorted,
            case.file_order_fingerprint.is_some(),
            "{}",
            case.file
        );
    }
    assert!(valid >= 168, "{valid} valid signatures");
}

fn corpus() -> Option<Vec<NarInfo>> {
    let packed = read(&vectors()?.join("cache.nixos.org-corpus.narinfos.zst"));
    let text =
        String::from_utf8(zstd::decode_all(packed.as_slice()).expect("zstd")).expect("UTF-8");
    let narinfos = text
        .split("\n\n")
        .filter(|text| !text.trim().is_empty())
        .map(|text| {
            let text = format!("{}\n", text.trim_end_matches('\n'));
            let narinfo = NarInfo::parse(text.as_bytes(), &store_dir())
                .unwrap_or_else(|e| panic!("{e}:\n{text}"));
            assert_eq!(narinfo.to_bytes(), text.as_bytes());
            narinfo
        })
        .collect();
    Some(narinfos)
}

#[test]
fn all_978_signatures_of_the_corpus_are_valid_one_by_one_and_together() {
    let Some(corpus) = corpus() else { return };
    assert_eq!(corpus.len(), 978);
    let ring = ring_of([]);
    let together = ring.judge_batch(&corpus);
    for (narinfo, judgement) in corpus.iter().zip(&together) {
        assert_eq!(
            judgement.status,
            SignatureStatus::Valid,
            "{}",
            narinfo.store_path()
        );
        assert_eq!(judgement, &ring.judge(narinfo));
    }
}

#[test]
fn the_corpus_has_the_shape_that_is_recorded() {
    let Some(corpus) = corpus() else { return };
    let count = |predicate: fn(&NarInfo) -> bool| {
        corpus.iter().filter(|narinfo| predicate(narinfo)).count()
    };
    assert_eq!(count(|narinfo| narinfo.ca().is_some()), 8);
    assert_eq!(count(|narinfo| narinfo.system().is_some()), 8);
    assert_eq!(count(|narinfo| narinfo.deriver().is_none()), 65);
    assert_eq!(count(|narinfo| narinfo.references().len() == 0), 139);
    let refers_to_itself = |narinfo: &NarInfo| {
        narinfo
            .references()
            .any(|path| path == narinfo.store_path())
    };
    assert_eq!(count(refers_to_itself), 368);
    assert_eq!(count(|narinfo| narinfo.compression() == "bzip2"), 1);
    let mut users: HashMap<_, usize> = HashMap::new();
    for narinfo in &corpus {
        *users.entry(narinfo.nar_key()).or_default() += 1;
    }
    assert_eq!(users.values().max(), Some(&15));
    assert_eq!(count(|narinfo| narinfo.crash_risk().is_some()), 0);
    assert_eq!(count(|narinfo| narinfo.check_strict().is_err()), 0);
}

/// Fields of a narinfo, printed anew.
fn printed_anew(narinfo: &NarInfo) -> String {
    let parts = NarInfoParts {
        store_path: narinfo.store_path().to_store_path(),
        url: narinfo.url().to_owned(),
        compression: narinfo.codec().expect("a known compression"),
        file_hash: narinfo.file_hash(),
        file_size: narinfo.file_size(),
        nar_hash: narinfo.nar_hash(),
        nar_size: narinfo.nar_size(),
        references: narinfo
            .references()
            .map(|path| path.to_store_path())
            .collect(),
        deriver: narinfo.deriver().map(|path| path.to_store_path()),
        signatures: narinfo
            .signatures()
            .map(|text| text.parse().expect(text))
            .collect(),
        ca: narinfo.ca(),
    };
    assert_eq!(parts.fingerprint(&store_dir()), narinfo.fingerprint());
    parts.to_text(&store_dir())
}

#[test]
fn printing_the_fields_anew_gives_the_text_that_nix_wrote() {
    let Some(vectors) = vectors() else { return };
    let mut same = 0;
    for cache in ["xz", "zstd", "br", "bzip2", "ca", "drv"] {
        for path in narinfos_in(&vectors.join(format!("closure/cache-{cache}"))) {
            let bytes = read(&path);
            let narinfo = NarInfo::parse_strict(&bytes, &store_dir())
                .unwrap_or_else(|e| panic!("{path:?}: {e}"));
            assert_eq!(
                narinfo
                    .oddities()
                    .iter()
                    .filter(|oddity| oddity.finding().is_some())
                    .count(),
                0
            );
            let system = narinfo.system().map(|system| format!("System: {system}\n"));
            let printed = printed_anew(&narinfo);
            // Nix since 2.10 writes no System, and neither do we; 2.8 wrote it after Deriver.
            let original = String::from_utf8(bytes)
                .expect("UTF-8")
                .replace(&system.unwrap_or_default(), "");
            assert_eq!(printed, original, "{path:?}");
            same += 1;
        }
    }
    assert!(same >= 100, "{same} narinfos");
}

#[test]
fn the_closure_built_here_is_signed_by_its_key() {
    let Some(vectors) = vectors() else { return };
    let key = String::from_utf8(read(&vectors.join("closure/key.pub"))).expect("text");
    let ring = ring_of([key.as_str()]);
    for cache in ["xz", "zstd", "br", "bzip2", "ca", "drv"] {
        let narinfos: Vec<_> = narinfos_in(&vectors.join(format!("closure/cache-{cache}")))
            .iter()
            .map(|path| NarInfo::parse(&read(path), &store_dir()).expect("parses"))
            .collect();
        assert!(!narinfos.is_empty());
        for (narinfo, judgement) in narinfos.iter().zip(ring.judge_batch(&narinfos)) {
            let expected = if narinfo.signatures().len() > 0 {
                SignatureStatus::Valid
            } else {
                SignatureStatus::NotNeeded
            };
            assert_eq!(
                judgement.status,
                expected,
                "{cache}: {}",
                narinfo.store_path()
            );
            assert_eq!(judgement.problem, None);
        }
    }
}

#[test]
fn a_signature_added_to_a_real_narinfo_can_be_removed_without_a_trace() {
    let Some(corpus) = corpus() else { return };
    let added: Signature = format!("a-first:{}==", "A".repeat(86))
        .parse()
        .expect("well formed");
    let last: Signature = format!("z-last:{}==", "A".repeat(86))
        .parse()
        .expect("well formed");
    for narinfo in &corpus {
        for signature in [&added, &last] {
            let more = narinfo.add_signature(signature).expect("still readable");
            assert_eq!(more.signatures().len(), narinfo.signatures().len() + 1);
            assert_eq!(more.fingerprint(), narinfo.fingerprint());
            let line = format!("Sig: {signature}\n");
            assert_eq!(more.text().replacen(&line, "", 1), narinfo.text());
            assert!(more.text().contains(&line));
            assert_eq!(
                more.add_signature(signature).as_ref(),
                Ok(&more),
                "once is enough"
            );
            assert_eq!(
                more.remove_signature(&signature.to_string()).as_ref(),
                Ok(narinfo)
            );
        }
    }
}

#[test]
fn real_narinfos_with_wrong_bytes_are_read_or_refused_but_never_changed() {
    let Some(corpus) = corpus() else { return };
    // A fixed sequence, so that a failure can be repeated.
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    let interesting = b":\n \0\r\xff/=.?#-AZaz09";
    let (mut read, mut refused) = (0, 0);
    for narinfo in &corpus {
        for _ in 0..20 {
            let mut bytes = narinfo.to_bytes().to_vec();
            for _ in 0..=random(3) {
                let at = random(bytes.len());
                match random(3) {
                    0 => bytes[at] = interesting[random(interesting.len())],
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, interesting[random(interesting.len())]),
                }
            }
            match NarInfo::parse(&bytes, &store_dir()) {
                Ok(narinfo) => {
                    assert_eq!(narinfo.to_bytes(), bytes);
                    read += 1;
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(
        read > 1000 && refused > 1000,
        "{read} read, {refused} refused"
    );
}
