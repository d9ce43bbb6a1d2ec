use std::sync::Arc;

use snowbank_shared::hash::Sha256;
use snowbank_shared::narinfo::{Compression, NarInfoParts};
use snowbank_shared::signature::KeyRing;
use snowbank_shared::store_path::{StoreDir, StorePath};

use super::*;
use crate::index::{Change, ChangeToken, Index, IndexParams, ParsedEntry};
use crate::ledger::Refuted;

const DAY: i64 = 86_400;
const NOW: i64 = 1_800_000_000;

fn narinfo(name: &str, content: &str) -> NarInfo {
    let store_dir = StoreDir::default();
    let nar_hash = Sha256::digest(content.as_bytes());
    let mut digest = [0; 20];
    digest.copy_from_slice(&Sha256::digest(name.as_bytes()).0[..20]);
    let path = StorePath::new(StorePathHash::from_bytes(digest), name).expect("a name");
    let parts = NarInfoParts {
        store_path: path,
        url: format!("nar/{}.nar", nar_hash.to_nix32()),
        compression: Compression::None,
        file_hash: Some(nar_hash.into()),
        file_size: Some(1_000),
        nar_hash,
        nar_size: 1_000,
        references: Vec::new(),
        deriver: None,
        signatures: Vec::new(),
        ca: None,
    };
    NarInfo::parse(parts.to_text(&store_dir).as_bytes(), &store_dir).expect("a narinfo")
}

fn receipt(of: &NarInfo, at: i64) -> Receipt {
    Receipt {
        path: of.store_path().hash().to_string(),
        nar_hash: format!("sha256:{}", of.nar_hash().to_nix32()),
        nar_key: of.nar_key().into_owned(),
        nar_etag: None,
        narinfo: String::new(),
        by: "server".to_owned(),
        key: None,
        first_seen: 1,
        verified_at: Some(at),
        verified_by: Some("background".to_owned()),
        claims: Some(claims_of(of).to_string()),
        refuted: None,
    }
}

fn refuted(of: &NarInfo, at: i64, content: ContentStatus) -> Receipt {
    Receipt {
        verified_at: None,
        refuted: Some(Refuted { at, content }),
        ..receipt(of, at)
    }
}

fn index(narinfos: &[(&NarInfo, ContentStatus)]) -> Index {
    let ring = Arc::new(KeyRing::new([]));
    let index = Index::in_memory(&IndexParams {
        store_dir: StoreDir::default(),
        key_ring: Arc::clone(&ring),
    });
    for (narinfo, content) in narinfos {
        let put = ParsedEntry {
            judgement: ring.judge(narinfo),
            narinfo: (*narinfo).clone(),
            token: ChangeToken {
                size: 1,
                last_modified: 1,
                etag: None,
            },
            added_at: 1,
        };
        index.apply(vec![
            Change::Put(Box::new(put)),
            Change::Content(narinfo.store_path().hash(), *content),
        ]);
    }
    index
}

#[test]
fn the_newest_look_counts_and_only_for_the_narinfo_that_it_was_of() {
    let proofs = Proofs::new(Rate::Period, false);
    let (one, other) = (narinfo("one-1", "one"), narinfo("one-1", "another"));
    assert_eq!(proofs.of(&one), None);
    let verified = |at| {
        let content = ContentStatus::Verified;
        Some(Proof { at, content })
    };
    proofs.note(&[receipt(&one, 100)]);
    assert_eq!(proofs.of(&one), verified(100));
    assert_eq!(proofs.of(&other), None, "another archive is another matter");

    // A mismatch that was found later is not lifted by what was proven before, in whatever order they
    // are read.
    let mismatch = refuted(&one, 200, ContentStatus::Mismatch);
    for order in [
        [mismatch.clone(), receipt(&one, 100)],
        [receipt(&one, 100), mismatch],
    ] {
        let proofs = Proofs::new(Rate::Period, false);
        proofs.note(&order);
        let (at, content) = (200, ContentStatus::Mismatch);
        assert_eq!(proofs.of(&one), Some(Proof { at, content }));
        // It is once the archive was found to be the narinfo's after that.
        proofs.note(&[receipt(&one, 300)]);
        assert_eq!(proofs.of(&one), verified(300));
    }

    // Receipts of versions before say less, and count for that.
    let old = Receipt {
        claims: None,
        ..receipt(&one, 400)
    };
    proofs.note(&[old]);
    assert_eq!((proofs.of(&one), proofs.of(&other)), (verified(400), None));
    // What is no receipt of a look, or cannot be one, changes nothing.
    let before = proofs.version();
    let arrived = Receipt {
        verified_at: None,
        ..receipt(&one, 500)
    };
    let odd = Receipt {
        claims: Some("odd".to_owned()),
        ..receipt(&one, 500)
    };
    proofs.note(&[arrived, odd]);
    assert_eq!((proofs.version(), proofs.of(&one)), (before, verified(400)));
}

#[test]
fn many_proofs_are_merged_and_found_and_those_of_paths_that_are_gone_are_forgotten() {
    let proofs = Proofs::new(Rate::Period, false);
    let of = narinfo("a-1", "a");
    let path = |number: u32| {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
        StorePathHash::from_bytes(bytes)
    };
    let many: Vec<Receipt> = (0..20_000u32)
        .map(|number| Receipt {
            path: path(number).to_string(),
            ..receipt(&of, 1_000 + i64::from(number))
        })
        .collect();
    for some in many.chunks(1_000) {
        proofs.note(some);
    }
    let moment = proofs.moment();
    assert!(moment.known.sorted.len() > FEW);
    for number in (0..20_000).step_by(97) {
        let proof = moment.of(&path(number)).expect("known");
        assert_eq!(proof.at, 1_000 + i64::from(number));
    }
    proofs.forget_unless(20_000, |_| false);
    assert!(proofs.moment().of(&path(97)).is_some(), "not so many");
    proofs.forget_unless(100, |kept| *kept == path(97));
    assert!(proofs.moment().of(&path(97)).is_some());
    assert!(proofs.moment().known.sorted.len() < 20_000 / 2);
}

#[test]
fn what_was_never_read_is_first_then_what_was_longest_ago_and_nothing_too_soon() {
    let names = ["new-1", "old-1", "older-1", "fresh-1", "bad-1", "worse-1"];
    let all = names.map(|name| narinfo(name, name));
    let [new, old, older, fresh, bad, worse] = &all;
    let index = index(&[
        (new, ContentStatus::NotChecked),
        (old, ContentStatus::Verified),
        (older, ContentStatus::Verified),
        (fresh, ContentStatus::Verified),
        (bad, ContentStatus::Mismatch),
        (worse, ContentStatus::Mismatch),
    ]);
    let proofs = Proofs::new(Rate::Period, false);
    proofs.note(&[
        receipt(old, NOW - 85 * DAY),
        receipt(older, NOW - 130 * DAY),
        receipt(fresh, NOW - 79 * DAY),
        refuted(bad, NOW - 2 * DAY, ContentStatus::Mismatch),
        refuted(worse, NOW - DAY / 2, ContentStatus::Mismatch),
    ]);
    let (view, moment) = (index.view(), proofs.moment());
    let hash = |narinfo: &NarInfo| narinfo.store_path().hash();
    let found = survey(&view, &moment, Rate::Period, NOW, 10, |_| false);
    let next = [new, older, old, bad].map(hash);
    assert_eq!(found.next, next);
    let figures = &found.figures;
    assert_eq!((figures.paths, figures.bytes), (6, 6_000));
    assert_eq!((figures.proven_paths, figures.proven_bytes), (3, 3_000));
    assert_eq!((figures.oldest, figures.due), (Some(NOW - 130 * DAY), 4));
    assert_eq!((figures.rate, figures.is_behind()), (FLOOR, true));
    // A set rate reads again what is older than a day; the list is bounded and the count is not.
    let found = survey(&view, &moment, Rate::Bytes(7), NOW, 2, |_| false);
    assert_eq!(found.next, [new, older].map(hash));
    assert_eq!((found.figures.due, found.figures.rate), (5, 7));
    let found = survey(&view, &moment, Rate::Period, NOW, 10, |path| {
        *path == hash(new)
    });
    assert_eq!(found.next, [older, old, bad].map(hash));
    let found = survey(&view, &moment, Rate::Off, NOW, 10, |_| false);
    assert_eq!((found.next.len(), found.figures.due), (0, 0));
    assert_eq!((found.figures.rate, found.figures.is_behind()), (0, false));
    assert_eq!(found.figures.proven_paths, 3);
}

#[test]
fn without_a_rate_everything_is_read_in_ninety_days() {
    // 4 MB a second for a cache of 31 TB.
    assert_eq!(Rate::of(None).a_second(31_104_000_000_000), 4_000_000);
    assert_eq!(Rate::of(None).a_second(0), FLOOR);
    assert_eq!(Rate::of(Some(0)), Rate::Off);
    assert_eq!(Rate::of(Some(9)).a_second(31_104_000_000_000), 9);
}

/// As [`figures`] has it.
const FLOOR: u64 = 256 << 10;
