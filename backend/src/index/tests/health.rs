//! Findings, totals, key rings, and the listing of the whole bucket.

use std::collections::BTreeMap;
use std::sync::Arc;

use snowbank_shared::api::{
    ContentStatus, Finding, KeyPurpose, KeyState, Severity, SignatureStatus,
};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::{KeyRing, KnownKey, SecretKey};
use snowbank_shared::store_path::StoreDir;

use super::support::{Path, hash, index, params, put, token};
use crate::index::{Census, Change, InTrash, Index, Trash, View};

fn counts(view: &View) -> BTreeMap<String, u64> {
    let health = view.health(None, 200, None).unwrap();
    let notes = health
        .checks
        .iter()
        .filter(|check| check.severity == Severity::Note)
        .map(|check| check.count)
        .sum::<u64>();
    assert_eq!(health.total - notes, view.finding_count());
    assert_eq!(
        health.total,
        health.checks.iter().map(|check| check.count).sum::<u64>()
    );
    health
        .checks
        .into_iter()
        .map(|check| (check.check, check.count))
        .collect()
}

fn expected(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
    counts
        .iter()
        .map(|&(check, count)| (check.to_owned(), count))
        .collect()
}

#[test]
fn what_is_wrong_is_found_counted_and_paged() {
    let index = index();
    let mut first = Path::new(1, &[2]);
    let second = Path::new(2, &[1, 99]);
    // Two narinfos claim one NAR and disagree; a third agrees with the first but for its path.
    first.url = Some("nar/same.nar.xz".to_owned());
    let mut third = Path::new(3, &[]);
    third.url.clone_from(&first.url);
    let mut fourth = Path::new(4, &[]);
    fourth.signers.clear();
    let bad = NarInfo::parse(b"StorePath: x\n", &StoreDir::default()).unwrap_err();
    let line = bad.line;
    index.apply(vec![
        first.put(),
        second.put(),
        third.put(),
        fourth.put(),
        Change::Unparsable {
            key: format!("{}.narinfo", hash(7)),
            token: token("x"),
            error: bad,
        },
        Change::Finding(Finding {
            check: "unreachable".to_owned(),
            severity: Severity::Warning,
            object: "nar/x".to_owned(),
            line: None,
            reason: "it timed out".to_owned(),
            hash: None,
        }),
    ]);
    let view = index.view();
    let all = expected(&[
        ("bad-narinfo", 1),
        ("reference-cycle", 2),
        ("reference-missing", 1),
        ("unreachable", 1),
        ("unsigned", 1),
        ("url-disagreement", 2),
    ]);
    assert_eq!(counts(&view), all);
    let whole = view.health(None, 200, None).unwrap().items;
    assert!(whole.is_sorted_by_key(|finding| finding.severity));
    assert_eq!(
        whole
            .iter()
            .find(|finding| finding.check == "bad-narinfo")
            .unwrap()
            .line,
        line
    );
    let missing = whole
        .iter()
        .find(|finding| finding.check == "reference-missing")
        .unwrap();
    assert!(
        missing.reason.contains(&format!("{}-", hash(99))),
        "{}",
        missing.reason
    );
    for limit in [1, 2, 3] {
        let (mut items, mut cursor) = (Vec::new(), None);
        loop {
            let page = view.health(None, limit, cursor.as_deref()).unwrap();
            items.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(items, whole);
    }
    assert_eq!(
        view.health(Some("unsigned"), 10, None).unwrap().items.len(),
        1
    );
    assert!(view.served(&hash(1)).is_none() && view.served(&hash(3)).is_some());
    assert!(
        view.withheld(view.find(&hash(1)).unwrap())
            .unwrap()
            .contains("cycle")
    );
    // What is put right is no longer found.
    index.apply(vec![
        Path::new(2, &[]).put(),
        Path::new(7, &[]).put(),
        Change::Remove(hash(3)),
        Change::Remove(hash(4)),
        Change::Settled("unreachable".to_owned(), "nar/x".to_owned()),
    ]);
    assert_eq!(counts(&index.view()), expected(&[]));
    assert!(index.view().served(&hash(1)).is_some());
}

#[test]
fn an_object_that_became_unreadable_is_no_path() {
    let index = index();
    index.apply(vec![Path::new(1, &[]).put()]);
    let key = format!("{}.narinfo", hash(1));
    let error = NarInfo::parse(b"", &StoreDir::default()).unwrap_err();
    index.apply(vec![Change::Unparsable {
        key: key.clone(),
        token: token("bad"),
        error,
    }]);
    let view = index.view();
    assert!(view.is_empty() && view.find(&hash(1)).is_none());
    assert!(view.is_current(&key, &token("bad")) && !view.is_current(&key, &token("other")));
    assert_eq!(view.unreadable().collect::<Vec<_>>(), [&key]);
    index.apply(vec![Change::Forget(key)]);
    assert_eq!(index.view().finding_count(), 0);
}

#[test]
fn a_removal_that_was_overtaken_does_nothing() {
    let index = index();
    let path = Path::new(1, &[]);
    index.apply(vec![path.put()]);
    let seen = token(&path.text()).fingerprint();
    index.apply(vec![put(
        &path.text().replace("NarSize: ", "NarSize: 1"),
        0,
        &KeyRing::default(),
    )]);
    index.apply(vec![Change::RemoveUnchanged(hash(1), seen)]);
    assert_eq!(index.view().len(), 1);
    let view = index.view();
    let now = view.token_of(view.find(&hash(1)).unwrap());
    index.apply(vec![Change::RemoveUnchanged(hash(1), now)]);
    assert_eq!(index.view().len(), 0);
}

#[test]
fn a_census_finds_missing_other_and_orphaned_files_and_counts_each_once() {
    let index = index();
    let mut paths: Vec<Path> = (0..6).map(|number| Path::new(number, &[])).collect();
    paths[3].file_size = None;
    for sharing in [4, 5] {
        paths[sharing].url = Some("nar/shared.nar".to_owned());
        paths[sharing].file_size = Some(77);
    }
    index.apply(paths.iter().map(Path::put).collect());
    assert_eq!(index.view().totals().stored_bytes, None);
    let began = 1_700_000_000;
    let list = |objects: &[(String, u64)]| {
        let mut census = Census::new(index.view(), began).with_trash(index.trash());
        for (key, size) in objects {
            census.object(key, *size, 0);
        }
        index.apply_census(census);
        index.view()
    };
    let file = |number: usize| format!("nar/{}.nar.xz", paths[number].file_hash().to_nix32());
    let mut objects = vec![
        (file(0), paths[0].file_size.unwrap()),
        (file(1), 1),
        (file(3), 333),
        ("nar/shared.nar".to_owned(), 77),
        ("nar/orphan.nar.xz".to_owned(), 1_000),
        ("nix-cache-info".to_owned(), 5),
    ];
    let view = list(&objects);
    let content = |view: &View| -> Vec<ContentStatus> {
        (0..6)
            .map(|number| view.content(view.find(&hash(number)).unwrap()))
            .collect()
    };
    use ContentStatus::{NarMissing, NotChecked, SizeDiffers};
    assert_eq!(
        content(&view),
        [
            NotChecked,
            SizeDiffers,
            NarMissing,
            NotChecked,
            NotChecked,
            NotChecked
        ]
    );
    assert_eq!(view.row(view.find(&hash(3)).unwrap()).file_size, Some(333));
    assert_eq!(
        counts(&view),
        expected(&[
            ("file-size-mismatch", 1),
            ("nar-missing", 1),
            ("orphan-nar", 1),
            ("url-disagreement", 2)
        ])
    );
    let stated = paths[1].file_size.unwrap();
    assert_eq!(
        view.totals().stored_bytes,
        Some(paths[0].file_size.unwrap() + stated + 333 + 77)
    );
    let bucket = view.totals().bucket.unwrap();
    assert_eq!(
        (bucket.objects, bucket.bytes),
        (6, 1_416 + paths[0].file_size.unwrap())
    );
    assert_eq!((bucket.orphans, bucket.orphan_bytes), (1, 1_000));
    // What a run may put back is no orphan, whenever that is known.
    let known = InTrash {
        until: Some("2026-12-31T00:00:00Z".to_owned()),
        bytes: 1_000,
    };
    let trash = Trash::from([("nar/orphan.nar.xz".to_owned(), known)]);
    let noted = |view: &View| {
        let page = view.health(Some("nar-in-trash"), 10, None).unwrap();
        let bucket = view.totals().bucket.unwrap();
        let told = page
            .items
            .first()
            .map(|one| one.reason.contains(" until 2026-12-31"));
        (page.total, told, bucket.orphans, bucket.orphan_bytes)
    };
    index.set_trash(trash.clone());
    assert_eq!(noted(&index.view()), (1, Some(true), 0, 0));
    assert!(!counts(&index.view()).contains_key("orphan-nar"));
    let view = list(&objects);
    assert_eq!(noted(&view), (1, Some(true), 0, 0));
    index.set_trash(Trash::new());
    assert_eq!(noted(&index.view()).0, 0, "it is over");
    assert_eq!(
        noted(&list(&objects)),
        (0, None, 1, 1_000),
        "and nobody wants it"
    );
    // All is put right, and the orphan went.
    objects[1].1 = stated;
    objects[4] = (file(2), paths[2].file_size.unwrap());
    let view = list(&objects);
    assert_eq!(content(&view), [NotChecked; 6]);
    assert_eq!(counts(&view), expected(&[("url-disagreement", 2)]));
}

#[test]
fn another_key_ring_judges_all_paths_anew() {
    let dir = tempfile::tempdir().unwrap();
    let secret = SecretKey::generate("one-1", [7; 32]).unwrap();
    let ring = |state| {
        Arc::new(KeyRing::new([KnownKey {
            key: secret.public_key(),
            purpose: KeyPurpose::Cache,
            state,
        }]))
    };
    let index = Index::open(dir.path(), &params()).unwrap();
    let texts: Vec<String> = (0..40)
        .map(|number| {
            let mut path = Path::new(number, &[]);
            path.signers.clear();
            let text = path.text();
            let narinfo = NarInfo::parse(text.as_bytes(), &StoreDir::default()).unwrap();
            let signature = secret.sign(narinfo.fingerprint().as_bytes());
            // One of them is signed for something else.
            let signed = if number == 0 {
                secret.sign(b"else")
            } else {
                signature
            };
            format!("{text}Sig: {signed}\n")
        })
        .collect();
    index.apply(
        texts
            .iter()
            .map(|text| put(text, 0, &KeyRing::default()))
            .collect(),
    );
    let words = |index: &Index| -> Vec<(SignatureStatus, u64)> {
        index.settle();
        index
            .view()
            .totals()
            .signatures
            .iter()
            .map(|count| (count.signature, count.paths))
            .collect()
    };
    assert_eq!(words(&index), [(SignatureStatus::UnknownKey, 40)]);
    index.set_key_ring(ring(KeyState::Active));
    assert_eq!(
        words(&index),
        [(SignatureStatus::Valid, 39), (SignatureStatus::Invalid, 1)]
    );
    assert_eq!(
        index.view().totals().keys,
        BTreeMap::from([("one-1".to_owned(), 39)])
    );
    index.set_key_ring(ring(KeyState::Revoked));
    assert_eq!(
        words(&index),
        [
            (SignatureStatus::ValidRevoked, 39),
            (SignatureStatus::Invalid, 1)
        ]
    );
    assert!(index.view().totals().keys.is_empty());
    drop(index);
    // After a restart with other keys than the last ones, too.
    let mut changed = params();
    changed.key_ring = ring(KeyState::Retired);
    let index = Index::open(dir.path(), &changed).unwrap();
    assert_eq!(
        words(&index),
        [
            (SignatureStatus::ValidRetired, 39),
            (SignatureStatus::Invalid, 1)
        ]
    );
}

#[test]
fn a_removal_does_not_outrun_what_waits() {
    let index = index();
    let old = Path::new(1, &[]);
    index.apply(vec![old.put()]);
    let seen = token(&old.text()).fingerprint();
    for round in 0..50 {
        let mut new = old.clone();
        new.nar_size = 10_000 + round;
        index.apply_bulk(vec![new.put()]);
        index.apply(vec![
            Change::RemoveUnchanged(hash(1), seen),
            Change::Content(hash(1), ContentStatus::Verified),
        ]);
        index.flush();
        let view = index.view();
        let id = view.find(&hash(1)).unwrap();
        assert_eq!(
            (view.nar_size(id), view.content(id)),
            (new.nar_size, ContentStatus::Verified)
        );
        // As it was at the beginning, in this round.
        index.apply(vec![Change::Remove(hash(1)), old.put()]);
    }
}

#[test]
fn whom_a_path_concerns_are_the_paths_that_reach_it_each_once() {
    let index = index();
    // 1 and 2 reach 4 by way of 3; 5 and 6 refer to each other; 7 stands alone.
    index.apply(vec![
        Path::new(1, &[3, 4]).put(),
        Path::new(2, &[3]).put(),
        Path::new(3, &[4]).put(),
        Path::new(4, &[4]).put(),
        Path::new(5, &[6]).put(),
        Path::new(6, &[5]).put(),
        Path::new(7, &[]).put(),
    ]);
    let view = index.view();
    let concerned = |number: u32| {
        let found = view.affecting(view.find(&hash(number)).unwrap());
        let named = |ids: &[crate::index::Id]| {
            let mut hashes: Vec<_> = ids.iter().map(|&id| view.hash(id)).collect();
            hashes.sort_unstable();
            hashes
        };
        (named(&found.paths), named(&found.roots))
    };
    let all = |numbers: &[u32]| {
        let mut hashes: Vec<_> = numbers.iter().map(|&number| hash(number)).collect();
        hashes.sort_unstable();
        hashes
    };
    assert_eq!(concerned(4), (all(&[1, 2, 3, 4]), all(&[1, 2])));
    assert_eq!(concerned(3), (all(&[1, 2, 3]), all(&[1, 2])));
    assert_eq!(concerned(5), (all(&[5, 6]), all(&[])));
    assert_eq!(concerned(7), (all(&[7]), all(&[7])));
}
