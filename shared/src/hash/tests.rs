use proptest::prelude::*;

use super::*;

const EMPTY: &str = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";

#[test]
fn every_spelling_of_one_hash_is_the_same_hash() {
    let hash = Hash::digest(HashAlgorithm::Sha256, b"");
    assert_eq!(hash.to_string(), EMPTY);
    for (text, form) in [
        (EMPTY.to_owned(), HashForm::Nix32),
        (format!("sha256:{}", hash.to_base16()), HashForm::Base16),
        (
            format!("sha256:{}", hash.to_base16().to_uppercase()),
            HashForm::Base16,
        ),
        (hash.to_sri().replacen('-', ":", 1), HashForm::Base64),
        (hash.to_sri(), HashForm::Sri),
    ] {
        assert_eq!(Hash::parse(&text), Ok((hash, form)), "{text}");
    }
}

#[test]
fn spare_bits_are_refused() {
    let text = EMPTY.replacen(":0", ":2", 1);
    assert_eq!(text.parse::<Hash>(), Err(HashError::NotCanonical));
}

#[test]
fn a_wrong_character_is_named_by_position() {
    let text = EMPTY.replacen("0m", "0e", 1);
    assert_eq!(
        text.parse::<Hash>(),
        Err(HashError::BadCharacter {
            encoding: "nix32",
            position: 2
        })
    );
}

#[test]
fn another_algorithm_is_no_sha256() {
    let md5 = Hash::digest(HashAlgorithm::Md5, b"x").to_string();
    assert_eq!(
        md5.parse::<Sha256>(),
        Err(HashError::NotSha256 {
            found: HashAlgorithm::Md5
        })
    );
}

#[test]
fn base64_tells_clean_from_canonical_from_rubbish() {
    let decode = |text: &str| base64::decode_into(text.as_bytes(), &mut [0; 8]);
    let flags =
        |text: &str| decode(text).map(|decoded| (decoded.bytes, decoded.clean, decoded.canonical));
    assert_eq!(flags("AAE="), Ok((2, true, true)));
    assert_eq!(flags("AAE"), Ok((2, true, false)));
    assert_eq!(flags("AAE=x"), Ok((2, false, false)));
    assert_eq!(flags("AAE==="), Ok((2, false, false)));
    assert_eq!(flags("AAF="), Ok((2, false, false)), "spare bits");
    assert_eq!(flags("AA\nE="), Ok((2, true, false)));
    assert_eq!(flags("AA E="), Err(2));
    assert_eq!(flags("A"), Ok((0, false, false)));
}

fn any_hash() -> impl Strategy<Value = Hash> {
    (
        prop::sample::select(&HashAlgorithm::ALL[..]),
        any::<[u8; 64]>(),
    )
        .prop_map(|(algorithm, bytes)| {
            Hash::new(algorithm, &bytes[..algorithm.size()]).expect("size fits")
        })
}

proptest! {
    #[test]
    fn hashes_round_trip(hash in any_hash()) {
        let base16 = format!("{}:{}", hash.algorithm(), hash.to_base16());
        for text in [hash.to_string(), hash.to_sri(), base16, hash.to_sri().replacen('-', ":", 1)] {
            prop_assert_eq!(text.parse::<Hash>(), Ok(hash));
        }
        let json = serde_json::to_string(&hash).expect("serializes");
        prop_assert_eq!(serde_json::from_str::<Hash>(&json).expect("deserializes"), hash);
    }

    #[test]
    fn nix32_round_trips_at_any_size(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let text = nix32::encode(&bytes);
        prop_assert_eq!(text.len(), nix32::encoded_len(bytes.len()));
        prop_assert_eq!(nix32::decode(&text, bytes.len()), Ok(bytes));
    }

    #[test]
    fn nix32_texts_that_decode_are_the_only_spelling(text in "[0-9a-z]{52}") {
        if let Ok(bytes) = nix32::decode(&text, 32) {
            prop_assert_eq!(nix32::encode(&bytes), text);
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in "(md5|sha1|sha256|sha512)?[:-]?\\PC{0,140}") {
        let _ = text.parse::<Hash>();
        let _ = text.parse::<Sha256>();
    }

    #[test]
    fn feeding_in_pieces_changes_nothing(data in prop::collection::vec(any::<u8>(), 0..300), cut in 0usize..300) {
        let cut = cut.min(data.len());
        for algorithm in HashAlgorithm::ALL {
            let mut hasher = Hasher::new(algorithm);
            hasher.update(&data[..cut]);
            hasher.update(&data[cut..]);
            prop_assert_eq!(hasher.finish(), Hash::digest(algorithm, &data));
        }
    }
}
