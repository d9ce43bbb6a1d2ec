use proptest::prelude::*;

use super::*;

const BASE: &str = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar";

#[test]
fn full_paths_parse_and_print() {
    let store = StoreDir::default();
    let text = format!("/nix/store/{BASE}");
    let path = store.parse(&text).expect("a valid path");
    assert_eq!(path.name(), "bar");
    assert_eq!(path.hash().to_string(), &BASE[..32]);
    assert_eq!(store.display(&path).to_string(), text);
}

#[test]
fn other_stores_and_files_inside_are_refused() {
    let store = StoreDir::default();
    for (text, error) in [
        (
            format!("/gnu/store/{BASE}"),
            StorePathError::OutsideStore {
                store_dir: "/nix/store".into(),
            },
        ),
        (
            BASE.to_owned(),
            StorePathError::OutsideStore {
                store_dir: "/nix/store".into(),
            },
        ),
        (format!("/nix/store/{BASE}/bin"), StorePathError::Inside),
        ("/nix/store/abc".to_owned(), StorePathError::TooShort),
    ] {
        assert_eq!(store.parse(&text), Err(error.clone()), "{text}");
        assert_eq!(store.parse_lenient(&text), Err(error), "{text}");
    }
}

#[test]
fn the_lenient_parse_resolves_as_nix_does() {
    let store = StoreDir::default();
    for text in [
        format!("/nix//store/{BASE}"),
        format!("/nix/store/{BASE}/"),
        format!("/nix/./store/x/../{BASE}"),
        format!("/../nix/store/{BASE}/bin/.."),
    ] {
        let (path, canonical) = store.parse_lenient(&text).expect("resolves");
        assert_eq!(
            (path.to_string().as_str(), canonical),
            (BASE, false),
            "{text}"
        );
        assert!(store.parse(&text).is_err(), "{text}");
    }
    assert!(
        store
            .parse_lenient(&format!("/nix/store/../{BASE}"))
            .is_err()
    );
}

#[test]
fn hashes_sort_as_their_texts() {
    let range = StorePathHash::range_of_prefix("z0").expect("digits");
    assert_eq!(
        range.start().to_string(),
        "z0000000000000000000000000000000"
    );
    assert_eq!(range.end().to_string(), "z0zzzzzzzzzzzzzzzzzzzzzzzzzzzzzz");
    assert_eq!(StorePathHash::range_of_prefix("e"), None);
    assert_eq!(StorePathHash::range_of_prefix(&"0".repeat(33)), None);
}

#[test]
fn narinfo_keys_have_exactly_one_form() {
    let hash: StorePathHash = BASE[..32].parse().expect("digits");
    assert_eq!(
        StorePathHash::from_narinfo_key(&hash.narinfo_key()),
        Some(hash)
    );
    for key in [
        ".narinfo",
        "x.narinfo",
        &BASE[..32],
        &format!("{}.narinfo", BASE[..32].to_uppercase()),
    ] {
        assert_eq!(StorePathHash::from_narinfo_key(key), None, "{key}");
    }
}

#[test]
fn store_directories_are_absolute_and_plain() {
    for good in ["/nix/store", "/gnu/store", "/home/a/nix-store"] {
        assert_eq!(good.parse::<StoreDir>().expect("plain").as_str(), good);
    }
    for bad in [
        "",
        "/",
        "nix/store",
        "/nix/store/",
        "/nix//store",
        "/nix/../store",
        "/nix store",
        "/a\n",
    ] {
        assert_eq!(
            bad.parse::<StoreDir>(),
            Err(StorePathError::BadStoreDir),
            "{bad:?}"
        );
    }
}

proptest! {
    #[test]
    fn hashes_round_trip_and_keep_order(a in any::<[u8; 20]>(), b in any::<[u8; 20]>()) {
        let (a, b) = (StorePathHash::from_digest(a), StorePathHash::from_digest(b));
        prop_assert_eq!(a.to_string().parse::<StorePathHash>(), Ok(a));
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
    }

    #[test]
    fn the_digest_prints_as_plain_nix32(digest in any::<[u8; 20]>()) {
        prop_assert_eq!(StorePathHash::from_digest(digest).to_string(), nix32::encode(&digest));
    }

    #[test]
    fn paths_round_trip(hash in any::<[u8; 20]>(), name in "[0-9a-zA-Z+_?=][0-9a-zA-Z+._?=-]{0,210}") {
        let path = StorePath::new(StorePathHash::from_bytes(hash), &name).expect("a valid name");
        prop_assert_eq!(path.to_string().parse::<StorePath>(), Ok(path.clone()));
        let store = StoreDir::default();
        prop_assert_eq!(store.parse(&store.display(&path).to_string()), Ok(path));
    }

    #[test]
    fn arbitrary_text_never_panics(text in "(/nix/store/)?([0-9a-z]{32}-)?\\PC{0,40}") {
        let store = StoreDir::default();
        let _ = text.parse::<StorePath>();
        let _ = store.parse(&text);
        let _ = text.parse::<StoreDir>();
        if let Ok((path, canonical)) = store.parse_lenient(&text) {
            prop_assert_eq!(canonical, store.parse(&text).is_ok());
            prop_assert!(text.contains(&path.to_string()));
        }
    }
}
