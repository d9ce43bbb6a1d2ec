//! Hashes, names, content addresses, keys.

use serde::Deserialize;
use snowbank_shared::content_address::{ContentAddress, SelfReferenceHasher};
use snowbank_shared::hash::{Hash, HashAlgorithm};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::{PublicKey, SecretKey};
use snowbank_shared::store_path::{StorePath, StorePathRef, check_name};

use crate::{json, narinfos_in, read, store_dir, vectors};

#[derive(Deserialize)]
struct GoodHash {
    algo: String,
    /// What was hashed; `null` where only the spelling is given.
    input_hex: Option<String>,
    base16: String,
    nix32: String,
    base64: Option<String>,
    sri: Option<String>,
}

#[test]
fn hashes_are_those_of_nix_in_every_spelling() {
    let Some(vectors) = vectors() else { return };
    let cases: Vec<GoodHash> = json(&vectors.join("hashes.json"));
    assert!(cases.len() >= 20, "{} cases", cases.len());
    for case in cases {
        let algorithm = HashAlgorithm::from_name(&case.algo).expect("an algorithm");
        let hash: Hash = format!("{algorithm}:{}", case.base16)
            .parse()
            .expect("base16");
        let bytes = |hex: &str| -> Vec<u8> {
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
            (0..hex.len()).step_by(2).map(byte).collect()
        };
        match case.input_hex.as_deref() {
            None => {}
            Some("1000 zero bytes") => assert_eq!(Hash::digest(algorithm, &[0; 1000]), hash),
            Some(hex) => assert_eq!(Hash::digest(algorithm, &bytes(hex)), hash),
        }
        assert_eq!(hash.bytes(), bytes(&case.base16));
        assert_eq!(hash.to_base16(), case.base16);
        assert_eq!(hash.to_nix32(), case.nix32);
        assert_eq!(
            hash.to_sri(),
            case.sri.clone().unwrap_or_else(|| hash.to_sri())
        );
        let typed = [Some(case.nix32), case.base64].into_iter().flatten();
        for text in typed
            .map(|text| format!("{algorithm}:{text}"))
            .chain(case.sri)
        {
            assert_eq!(text.parse::<Hash>(), Ok(hash), "{text}");
        }
    }
}

#[derive(Deserialize)]
struct BadHash {
    text: String,
    nix_2_34_8: String,
}

#[test]
fn texts_that_nix_refuses_are_no_hashes() {
    let Some(vectors) = vectors() else { return };
    let cases: Vec<BadHash> = json(&vectors.join("hashes-bad.json"));
    assert!(cases.len() >= 15, "{} cases", cases.len());
    for case in cases {
        let parsed = case.text.parse::<Hash>();
        match case.nix_2_34_8.strip_prefix("accept ") {
            Some(base16) => assert_eq!(
                parsed.expect(&case.text).to_base16(),
                base16,
                "{}",
                case.text
            ),
            None => assert!(parsed.is_err(), "{}", case.text),
        }
    }
}

#[derive(Deserialize)]
struct Name {
    name: String,
    valid: bool,
}

#[test]
fn names_are_judged_as_by_nix() {
    let Some(vectors) = vectors() else { return };
    let cases: Vec<Name> = json(&vectors.join("names.json"));
    assert!(cases.len() >= 20, "{} cases", cases.len());
    for Name { name, valid } in cases {
        assert_eq!(check_name(&name).is_ok(), valid, "{name:?}");
        let base = format!("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-{name}");
        assert_eq!(StorePathRef::parse(&base).is_ok(), valid, "{base:?}");
    }
}

#[derive(Deserialize)]
struct CaPath {
    path: String,
    ca: String,
    name: String,
    references: Vec<StorePath>,
}

#[test]
fn paths_follow_from_content_addresses() {
    let Some(vectors) = vectors() else { return };
    let cases: Vec<CaPath> = json(&vectors.join("ca-paths.json"));
    assert!(cases.len() >= 9, "{} cases", cases.len());
    for case in cases {
        let ca: ContentAddress = case.ca.parse().expect(&case.ca);
        assert_eq!(ca.to_string(), case.ca);
        let references = || case.references.iter().map(StorePath::as_ref);
        let path = ca
            .store_path(&store_dir(), &case.name, references(), false)
            .expect(&case.path);
        assert_eq!(store_dir().display(&path).to_string(), case.path);
        assert!(ca.yields(&store_dir(), path.as_ref(), references()));
        let other = StorePath::new(path.hash(), &format!("{}x", case.name)).expect("a name");
        assert!(!ca.yields(&store_dir(), other.as_ref(), references()));
    }
}

#[test]
fn an_archive_that_holds_its_own_path_hashes_to_its_content_address() {
    let Some(vectors) = vectors() else { return };
    let cache = vectors.join("closure/cache-ca");
    let mut with_itself = 0;
    for path in narinfos_in(&cache) {
        let narinfo = NarInfo::parse_strict(&read(&path), &store_dir()).expect("reads");
        let Some(ca) = narinfo.ca() else { continue };
        assert!(narinfo.is_content_addressed());
        assert_eq!(narinfo.compression(), "none");
        let nar = read(&cache.join(narinfo.nar_key().as_ref()));
        let mut hasher = SelfReferenceHasher::new(ca.hash.algorithm(), narinfo.store_path().hash());
        nar.chunks(50).for_each(|piece| hasher.update(piece));
        let hash = hasher.finish().expect("few occurrences");
        // Built by Nix 2.8, which hashes the offsets too.
        assert_eq!(hash.with_offsets, ca.hash);
        let refers_to_itself = narinfo
            .references()
            .any(|path| path == narinfo.store_path());
        assert_eq!(hash.occurrences > 0, refers_to_itself);
        assert_eq!(hash.without_offsets != ca.hash, refers_to_itself);
        with_itself += usize::from(refers_to_itself);
    }
    assert_eq!(with_itself, 1);
}

#[derive(Deserialize)]
struct KeyPair {
    secret: String,
    public: String,
}

#[test]
fn key_pairs_of_other_programs_are_read_and_written() {
    let Some(vectors) = vectors() else { return };
    let mut pairs: Vec<KeyPair> = json(&vectors.join("keypairs-public-tests.json"));
    assert!(pairs.len() >= 18, "{} pairs", pairs.len());
    for name in [
        "test.example.org-1",
        "other.example.org-1",
        "third.example.org-1",
        "imposter",
    ] {
        let text = |suffix| {
            String::from_utf8(read(&vectors.join(format!("keys/{name}.{suffix}")))).expect("text")
        };
        pairs.push(KeyPair {
            secret: text("sec"),
            public: text("pub"),
        });
    }
    for KeyPair { secret, public } in pairs {
        let key: SecretKey = secret
            .parse()
            .unwrap_or_else(|error| panic!("{public}: {error}"));
        assert_eq!(key.to_secret_text(), secret.trim_end());
        assert_eq!(key.public_key().to_string(), public.trim_end());
        let parsed: PublicKey = public
            .parse()
            .unwrap_or_else(|error| panic!("{public}: {error}"));
        let signature = key.sign(b"message");
        assert_eq!(signature.key_name(), parsed.name());
        assert!(parsed.verifies(b"message", signature.bytes()));
        assert!(!parsed.verifies(b"massage", signature.bytes()));
        assert!(
            !format!("{key:?}").contains(&secret[secret.len() - 20..]),
            "the secret is not printed"
        );
    }
}
