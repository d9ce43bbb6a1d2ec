//! Real narinfos, and bad ones, come back byte for byte (PERFORMANCE.md c3).

use std::path::PathBuf;

use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::KeyRing;
use snowbank_shared::store_path::StoreDir;

use super::support::{index, params, token};
use crate::index::{Change, Index, ParsedEntry};

/// The folder of test data that is not part of the project, if it is there.
fn vectors() -> Option<PathBuf> {
    let folder = std::env::var_os("SNOWBANK_VECTORS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors")),
        PathBuf::from,
    );
    let found = folder.is_dir();
    if !found {
        println!("SKIPPED: {} vectors not found", folder.display());
    }
    found.then_some(folder)
}

/// All narinfos of the vectors that can be parsed.
fn narinfos(folder: &std::path::Path) -> Vec<Vec<u8>> {
    let packed = std::fs::read(folder.join("cache.nixos.org-corpus.narinfos.zst")).unwrap();
    let text = String::from_utf8(zstd::decode_all(&packed[..]).unwrap()).unwrap();
    let mut all: Vec<Vec<u8>> = text
        .split("\n\n")
        .filter(|text| !text.trim().is_empty())
        .map(|text| format!("{}\n", text.trim_end_matches('\n')).into_bytes())
        .collect();
    assert_eq!(all.len(), 978);
    let mut folders = vec![
        folder.join("narinfo-real"),
        folder.join("bad"),
        folder.join("closure"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "narinfo")
            {
                all.push(std::fs::read(path).unwrap());
            }
        }
    }
    all
}

fn change(bytes: &[u8]) -> Option<(NarInfo, Change)> {
    let narinfo = NarInfo::parse(bytes, &StoreDir::default()).ok()?;
    let judgement = KeyRing::default().judge(&narinfo);
    let token = token(&String::from_utf8_lossy(bytes));
    let entry = ParsedEntry {
        narinfo: narinfo.clone(),
        judgement,
        token,
        added_at: 0,
    };
    Some((narinfo, Change::Put(Box::new(entry))))
}

fn check(index: &Index, all: &[(NarInfo, Vec<u8>)]) {
    let view = index.view();
    for (narinfo, bytes) in all {
        let id = view.find(&narinfo.store_path().hash()).unwrap();
        assert_eq!(
            view.narinfo_bytes(id),
            bytes,
            "{}",
            String::from_utf8_lossy(bytes)
        );
        assert_eq!(view.url(id), narinfo.url());
        let row = view.row(id);
        assert_eq!(row.nar_size, narinfo.nar_size());
        assert_eq!(row.file_size, narinfo.file_size());
        assert_eq!(row.compression, narinfo.compression());
        let detail = view.detail(id);
        assert_eq!(detail.fingerprint, narinfo.fingerprint());
        assert_eq!(
            detail.narinfo.as_bytes(),
            String::from_utf8_lossy(bytes).as_bytes()
        );
    }
}

#[test]
fn narinfos_come_back_byte_for_byte_from_overlay_columns_snapshot_and_log() {
    let Some(folder) = vectors() else { return };
    let mut all = std::collections::BTreeMap::new();
    let mut refused = 0;
    for bytes in narinfos(&folder) {
        // Each on its own first: several vectors have one hash.
        let Some((narinfo, put)) = change(&bytes) else {
            refused += 1;
            continue;
        };
        let index = index();
        index.apply(vec![put]);
        check(&index, &[(narinfo.clone(), bytes.clone())]);
        all.insert(narinfo.store_path().hash(), (narinfo, bytes));
    }
    assert!(all.len() > 1_000 && refused > 40, "{} {refused}", all.len());
    let all: Vec<(NarInfo, Vec<u8>)> = all.into_values().collect();
    let puts = || {
        all.iter()
            .filter_map(|(_, bytes)| change(bytes).map(|(_, put)| put))
            .collect::<Vec<_>>()
    };
    let dir = tempfile::tempdir().unwrap();
    {
        let index = Index::open(dir.path(), &params()).unwrap();
        index.apply_bulk(puts());
        index.flush();
        check(&index, &all);
    }
    {
        let index = Index::open(dir.path(), &params()).unwrap();
        check(&index, &all);
        index.save();
    }
    let index = Index::open(dir.path(), &params()).unwrap();
    check(&index, &all);
    let texts = index
        .view()
        .graph
        .base
        .chunks
        .iter()
        .map(|chunk| chunk.raw_count())
        .sum::<usize>();
    assert!(
        texts * 20 < all.len(),
        "{texts} of {} are kept as text",
        all.len()
    );
}
