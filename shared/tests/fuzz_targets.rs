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

fn narinfo_seeds() -> Vec<Vec<u8>> {
    let texts = [
        "StorePath: /nix/store/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar-1.0
URL: nar/1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3.nar.xz
Compression: xz
FileHash: sha256:1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3
FileSize: 123
NarHash: sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73
NarSize: 4567
References: 0g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3-foo g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar-1.0
Deriver: d1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar-1.0.drv
Sig: cache.nixos.org-1:FsONxUGa/AiJw7Ke1hbEqEKOQjI2vMmNmmdLGW4oC7luUVhFm+ZSMKm+/johD9bTtXsAw2PDtxAMTJUfCzDUAA==
Sig: zoo-1:FsONxUGa/AiJw7Ke1hbEqEKOQjI2vMmNmmdLGW4oC7luUVhFm+ZSMKm+/johD9bTtXsAw2PDtxAMTJUfCzDUAA==
",
        "StorePath: /nix/store/v9f1sla8pddbzx4xhvrr1yrzfsrl6lng-fod-rec
URL: nar/0w.nar?x=1
NarHash: sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
NarSize: 112
References: 
System: x86_64-linux
Deriver: unknown-deriver
CA: fixed:r:sha256:1yb0frl07qcikj0s2p4znbrqkciwgjhyk2hnynrm1n7f1rivrf38
",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

#[test]
fn narinfo_seeds_are_narinfos() {
    for seed in narinfo_seeds() {
        let store_dir = snowbank_shared::store_path::StoreDir::default();
        snowbank_shared::narinfo::NarInfo::parse(&seed, &store_dir).unwrap();
    }
}

fn nix_conf_seeds() -> Vec<Vec<u8>> {
    const KEY: &str = "team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=";
    vec![
        format!("https://cache.example.com/team?priority=30\nThe team\n{KEY}\n{KEY} # twice\n")
            .into_bytes(),
        format!("s3://bucket/prefix?region=eu-west-1\nx\n\"${{x}}\\{KEY}\n").into_bytes(),
        b"StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n".to_vec(),
    ]
}

/// Files as people have them, and as merges leave them.
fn nix_conf_merge_seeds() -> Vec<Vec<u8>> {
    const KEY: &str = "team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=";
    let extended =
        "extra-substituters = https://a.example # x\r\nextra-trusted-public-keys = a:b\r\n";
    let block = format!(
        "# >>> nix cache: team (https://console.example.com/c/team) >>>\nextra-substituters = https://cache.example.com/team\nextra-trusted-public-keys = {KEY}\n# <<< nix cache: team <<<\n"
    );
    let plain = format!(
        "{block}substituters = https://b.example\ninclude x.conf\ntrusted-public-keys = {KEY}"
    );
    [extended, &block, &plain, "\u{feff}substituters=a", ""]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn nar(input in prop_oneof![3 => edited(nar_seeds()), 1 => prop::collection::vec(any::<u8>(), 0..400)]) {
        targets::nar(&input);
    }

    #[test]
    fn narinfo(input in prop_oneof![3 => edited(narinfo_seeds()), 1 => prop::collection::vec(any::<u8>(), 0..400)]) {
        targets::narinfo(&input);
    }

    #[test]
    fn nix_conf(input in prop_oneof![3 => edited(nix_conf_seeds()), 1 => prop::collection::vec(any::<u8>(), 0..200)]) {
        targets::nix_conf(&input);
    }

    #[test]
    fn nix_conf_merge(input in prop_oneof![3 => edited(nix_conf_merge_seeds()), 1 => prop::collection::vec(any::<u8>(), 0..200)]) {
        targets::nix_conf_merge(&input);
    }
}
