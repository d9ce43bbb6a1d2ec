//! The fuzz targets, run as properties: on bytes at random, and on valid
//! inputs after a few random edits, which reach deeper.

#[path = "../fuzz/targets.rs"]
mod targets;

use proptest::prelude::*;

/// Replaces a few short stretches of `seed`.
fn edited(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edit = (
        any::<prop::sample::Index>(),
        0..6_usize,
        prop::collection::vec(any::<u8>(), 0..6),
    );
    (
        prop::sample::select(seeds),
        prop::collection::vec(edit, 0..5),
    )
        .prop_map(|(mut bytes, edits)| {
            for (at, removed, inserted) in edits {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..(at + removed).min(bytes.len()), inserted);
            }
            bytes
        })
}

fn nar_seeds() -> Vec<Vec<u8>> {
    let words = |words: &str| {
        let mut out = vec![6];
        for word in words.split(' ') {
            out.extend_from_slice(&(word.len() as u64).to_le_bytes());
            out.extend_from_slice(word.as_bytes());
            out.resize(1 + (out.len() - 1).next_multiple_of(8), 0);
        }
        out
    };
    vec![
        words("nix-archive-1 ( type regular contents 0123456789abcdfghijklmnpqrsvwxyz )"),
        words("nix-archive-1 ( type regular executable  contents  )"),
        words("nix-archive-1 ( type symlink target ../x )"),
        words(
            "nix-archive-1 ( type directory entry ( name a node ( type regular contents x ) ) \
             entry ( name b node ( type directory entry ( name c node ( type symlink target / ) ) ) ) )",
        ),
        b"\x03{\"version\":1,\"root\":{\"type\":\"directory\",\"entries\":{\"a\":{\"type\":\"symlink\",\"target\":\"b\"}}}}".to_vec(),
    ]
}

#[test]
fn nar_seeds_are_archives() {
    for seed in &nar_seeds()[..4] {
        let mut parser = snowbank_shared::nar::NarParser::new();
        parser.push(&seed[1..], &mut |_| {}).unwrap();
        parser.finish().unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn nar(input in prop_oneof![3 => edited(nar_seeds()), 1 => prop::collection::vec(any::<u8>(), 0..400)]) {
        targets::nar(&input);
    }
}
