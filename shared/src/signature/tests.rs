use super::*;
use crate::api::{KeyPurpose, KeyState, SignatureStatus};
use crate::narinfo::{Compression, NarInfo, NarInfoParts, OddityKind};
use crate::store_path::StoreDir;

use SignatureStatus::{
    Invalid, Malformed, NameClash, NotNeeded, UnknownKey, Unsigned, Valid, ValidRetired,
    ValidRevoked,
};

fn secret(name: &str, seed: u8) -> SecretKey {
    SecretKey::generate(name, [seed; 32]).expect("a good name")
}

fn known(key: &SecretKey, state: KeyState) -> KnownKey {
    KnownKey {
        key: key.public_key(),
        purpose: KeyPurpose::Contributor,
        state,
    }
}

fn parts() -> NarInfoParts {
    let hash = crate::hash::Sha256::digest(b"");
    let reference = |text: &str| text.parse().expect("a path");
    NarInfoParts {
        store_path: reference("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar"),
        url: "nar/x.nar".into(),
        compression: Compression::None,
        file_hash: None,
        file_size: None,
        nar_hash: hash,
        nar_size: 112,
        references: vec![
            reference("0g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3-foo"),
            reference("1g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3-foo"),
        ],
        deriver: None,
        signatures: vec![],
        ca: None,
    }
}

/// A narinfo with these `Sig` values; a key signs, a text is written as it is.
enum Sig<'a> {
    By(&'a SecretKey),
    Wrong(&'a SecretKey),
    Text(&'a str),
}
use Sig::{By, Text, Wrong};

fn signed(signatures: &[Sig<'_>]) -> NarInfo {
    let store_dir = StoreDir::default();
    let fingerprint = parts().fingerprint(&store_dir);
    let mut text = parts().to_text(&store_dir);
    for signature in signatures {
        let value = match signature {
            By(key) => key.sign(fingerprint.as_bytes()).to_string(),
            Wrong(key) => key.sign(b"something else").to_string(),
            Text(text) => (*text).to_owned(),
        };
        text.push_str(&format!("Sig: {value}\n"));
    }
    NarInfo::parse(text.as_bytes(), &store_dir).expect("reads")
}

#[test]
fn the_word_follows_from_the_keys_state() {
    let key = secret("key-1", 1);
    for (state, word) in [
        (KeyState::Pending, UnknownKey),
        (KeyState::Active, Valid),
        (KeyState::Retired, ValidRetired),
        (KeyState::Expired, ValidRetired),
        (KeyState::Suspended, ValidRevoked),
        (KeyState::Revoked, ValidRevoked),
    ] {
        let ring = KeyRing::new([known(&key, state)]);
        assert_eq!(ring.judge(&signed(&[By(&key)])).status, word, "{state:?}");
        let wrong = if state == KeyState::Pending {
            UnknownKey
        } else {
            Invalid
        };
        assert_eq!(
            ring.judge(&signed(&[Wrong(&key)])).status,
            wrong,
            "{state:?}"
        );
    }
}

#[test]
fn a_path_has_its_best_word_and_a_problem_beside_it() {
    let (good, old, gone, stranger) = (
        secret("good-1", 1),
        secret("old-1", 2),
        secret("gone-1", 3),
        secret("x-1", 4),
    );
    let (clash, twin) = (secret("twin-1", 5), secret("twin-1", 6));
    let ring = KeyRing::new([
        known(&good, KeyState::Active),
        known(&old, KeyState::Retired),
        known(&gone, KeyState::Revoked),
        known(&clash, KeyState::Active),
        known(&twin, KeyState::Active),
    ]);
    let short = "good-1:AAAA";
    for (signatures, word, problem) in [
        (vec![], Unsigned, None),
        (vec![By(&stranger)], UnknownKey, None),
        (vec![Text(short), By(&stranger)], Malformed, None),
        (vec![Wrong(&good), Text(short)], Invalid, Some(Malformed)),
        (vec![Wrong(&good), By(&gone)], ValidRevoked, Some(Invalid)),
        (vec![By(&gone), By(&clash)], NameClash, None),
        (
            vec![By(&clash), By(&old), Wrong(&good)],
            ValidRetired,
            Some(Invalid),
        ),
        (vec![By(&old), By(&good)], Valid, None),
        (
            vec![Text("nonsense"), Wrong(&good), By(&good)],
            Valid,
            Some(Malformed),
        ),
        (vec![Wrong(&twin)], NameClash, None),
    ] {
        let judgement = ring.judge(&signed(&signatures));
        assert_eq!(
            (judgement.status, judgement.problem),
            (word, problem),
            "{judgement:?}"
        );
        assert_eq!(judgement.signatures.len(), signatures.len());
    }
}

#[test]
fn each_signature_has_its_own_verdict_in_order() {
    let key = secret("key-1", 1);
    let ring = KeyRing::new([known(&key, KeyState::Active)]);
    let judgement = ring.judge(&signed(&[
        Text("z:?"),
        By(&key),
        Text("nonsense"),
        Wrong(&key),
    ]));
    let words: Vec<_> = judgement
        .signatures
        .iter()
        .map(|verdict| (verdict.key.as_str(), verdict.status))
        .collect();
    assert_eq!(
        words,
        [
            ("z", Malformed),
            ("key-1", Valid),
            ("", Malformed),
            ("key-1", Invalid)
        ]
    );
}

#[test]
fn not_needed_takes_the_place_that_it_has_in_the_order() {
    let store_dir = StoreDir::default();
    let (good, old) = (secret("good-1", 1), secret("old-1", 2));
    let ring = KeyRing::new([
        known(&good, KeyState::Active),
        known(&old, KeyState::Retired),
    ]);
    let ca: crate::content_address::ContentAddress =
        format!("fixed:r:{}", crate::hash::Sha256::digest(b"x"))
            .parse()
            .expect("a claim");
    let references = parts().references;
    let path = ca
        .store_path(
            &store_dir,
            "bar",
            references.iter().map(crate::store_path::StorePath::as_ref),
            false,
        )
        .expect("a path");
    let parts = NarInfoParts {
        store_path: path,
        ca: Some(ca),
        ..parts()
    };
    let fingerprint = parts.fingerprint(&store_dir);
    let judge = |signatures| {
        let parts = NarInfoParts {
            signatures,
            ..parts.clone()
        };
        let judgement = ring.judge(&parts.to_narinfo(&store_dir).expect("reads"));
        (judgement.status, judgement.problem)
    };
    assert_eq!(judge(vec![]), (NotNeeded, None));
    assert_eq!(
        judge(vec![old.sign(fingerprint.as_bytes())]),
        (NotNeeded, None)
    );
    assert_eq!(judge(vec![old.sign(b"else")]), (NotNeeded, Some(Invalid)));
    assert_eq!(
        judge(vec![good.sign(fingerprint.as_bytes())]),
        (Valid, None)
    );
}

#[test]
fn a_signature_over_unsorted_references_is_told_apart() {
    let key = secret("key-1", 1);
    let ring = KeyRing::new([known(&key, KeyState::Active)]);
    let store_dir = StoreDir::default();
    let (a, b) = (&parts().references[0], &parts().references[1]);
    let text = parts()
        .to_text(&store_dir)
        .replacen(&format!("{a} {b}"), &format!("{b} {a}"), 1);
    let unsigned = NarInfo::parse(text.as_bytes(), &store_dir).expect("reads");
    let unsorted = unsigned.file_order_fingerprint().expect("another order");
    let judgement = ring.judge(
        &unsigned
            .add_signature(&key.sign(unsorted.as_bytes()))
            .expect("reads"),
    );
    assert_eq!(judgement.status, Invalid);
    assert_eq!(judgement.oddities.len(), 1);
    assert_eq!(judgement.oddities[0].kind, OddityKind::SignedInFileOrder);
    assert_eq!(judgement.oddities[0].line, Some(7));
    let sorted = ring.judge(
        &unsigned
            .add_signature(&key.sign(unsigned.fingerprint().as_bytes()))
            .expect("reads"),
    );
    assert_eq!((sorted.status, sorted.oddities.len()), (Valid, 0));
}

#[test]
fn one_key_known_twice_is_no_clash_and_revocation_wins() {
    let key = secret("key-1", 1);
    for (first, second, word) in [
        (KeyState::Active, KeyState::Revoked, ValidRevoked),
        (KeyState::Revoked, KeyState::Active, ValidRevoked),
        (KeyState::Pending, KeyState::Active, Valid),
    ] {
        let ring = KeyRing::new([known(&key, first), known(&key, second)]);
        assert_eq!(ring.keys().len(), 1);
        assert_eq!(ring.judge(&signed(&[By(&key)])).status, word);
    }
    // A pending key of the same name does not make a clash: it does not count yet.
    let pending = secret("key-1", 2);
    let ring = KeyRing::new([
        known(&key, KeyState::Active),
        known(&pending, KeyState::Pending),
    ]);
    assert_eq!(ring.judge(&signed(&[By(&key)])).status, Valid);
}

#[test]
fn the_upstream_key_is_built_in_unless_known_otherwise() {
    let ring = KeyRing::default().with_upstreams();
    assert_eq!(ring.keys().len(), UPSTREAM_KEYS.len());
    assert_eq!(ring.keys()[0].purpose, KeyPurpose::Upstream);
    let revoked = KnownKey {
        state: KeyState::Revoked,
        ..ring.keys()[0].clone()
    };
    let ring = KeyRing::new([revoked.clone()]).with_upstreams();
    assert_eq!(ring.keys(), [revoked]);
}

#[test]
fn verdicts_stay_the_same_when_a_key_has_been_prepared() {
    let (good, bad) = (secret("good-1", 1), secret("bad-1", 2));
    let keys = || {
        [
            known(&good, KeyState::Active),
            known(&bad, KeyState::Active),
        ]
    };
    let narinfos: Vec<_> = (0..400)
        .map(|n| match n % 3 {
            0 => signed(&[By(&good)]),
            1 => signed(&[Wrong(&good), By(&bad)]),
            _ => signed(&[Wrong(&bad)]),
        })
        .collect();
    let together = KeyRing::new(keys()).judge_batch(&narinfos);
    for (narinfo, judgement) in narinfos.iter().zip(together) {
        assert_eq!(judgement, KeyRing::new(keys()).judge(narinfo));
    }
}

#[test]
fn keys_that_could_not_be_used_are_refused() {
    let public = secret("a", 1).public_key().to_string();
    let secret_text = secret("a", 1).to_secret_text();
    let data = &public[2..];
    let refused = |text: &str| text.parse::<PublicKey>().expect_err(text);
    assert_eq!(refused("abc"), KeyError::NoColon);
    assert_eq!(refused(&format!(":{data}")), KeyError::NoName);
    for name in ["a b", " a", "ünï", "a#", "a\u{7f}", &"a".repeat(256)] {
        assert_eq!(
            refused(&format!("{name}:{data}")),
            KeyError::BadName,
            "{name}"
        );
    }
    assert_eq!(refused("a:!"), KeyError::BadBase64 { name: "a".into() });
    assert_eq!(
        refused(&format!("{public}x")),
        KeyError::BadBase64 { name: "a".into() }
    );
    let wrong_length = |kind, expected, found| KeyError::WrongLength {
        name: "a".into(),
        kind,
        expected,
        found,
    };
    assert_eq!(refused(&secret_text), wrong_length("public", 32, 64));
    assert_eq!(refused("a:AAAA"), wrong_length("public", 32, 3));
    assert_eq!(
        public.parse::<SecretKey>().expect_err("public"),
        wrong_length("secret", 64, 32)
    );
    let other = secret("a", 2).to_secret_text();
    let mixed = format!("{}{}", &secret_text[..44], &other[44..]);
    assert_eq!(
        mixed.parse::<SecretKey>().expect_err("mixed"),
        KeyError::HalvesDiffer { name: "a".into() }
    );
    assert_eq!(
        format!("{public}\r\n")
            .parse::<PublicKey>()
            .expect("line ends are harmless")
            .to_string(),
        public
    );
}

#[test]
fn points_that_libsodium_refuses_are_no_keys() {
    let mut not_reduced = [0xff; 32];
    (not_reduced[0], not_reduced[31]) = (0xee, 0x7f); // 1 + p
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut off_the_curve = [0; 32];
    off_the_curve[0] = 2;
    for bytes in [[0; 32], identity, not_reduced, off_the_curve] {
        let error = PublicKey::new("a", &bytes).expect_err("no key");
        assert_eq!(error, KeyError::NotAPoint { name: "a".into() });
    }
}

#[test]
fn signatures_are_read_as_nix_does_and_strictly_for_uploads() {
    let good = secret("a", 1).sign(b"x").to_string();
    let unpadded = good.trim_end_matches('=');
    let error = |text: &str| text.parse::<Signature>().expect_err(text);
    assert_eq!(error("a"), SignatureError::NoColon);
    assert_eq!(error(":AA=="), SignatureError::NoName);
    assert_eq!(error("a:"), SignatureError::NoData);
    assert_eq!(error("a:A A"), SignatureError::BadBase64 { position: 2 });
    assert_eq!(error("a:AA=="), SignatureError::WrongLength { found: 1 });
    for text in [good.clone(), unpadded.to_owned(), format!("{good}rubbish")] {
        assert_eq!(text.parse::<Signature>().expect(&text).to_string(), good);
    }
    assert!(Signature::parse_strict(&good).is_ok() && Signature::parse_strict(unpadded).is_ok());
    assert_eq!(
        Signature::parse_strict(&format!("{good}x")),
        Err(SignatureError::Trailing)
    );
    assert_eq!(
        Signature::parse_strict(&format!("a b{}", &good[1..])),
        Err(SignatureError::BadName)
    );
}

#[test]
fn a_name_clash_says_which_key_made_the_signature() {
    let (one, other, stranger) = (secret("key-1", 1), secret("key-1", 2), secret("key-1", 3));
    let ring = KeyRing::new([
        known(&one, KeyState::Active),
        known(&other, KeyState::Revoked),
    ]);
    for (signer, verifies) in [
        (&one, Some(one.public_key().fingerprint())),
        (&other, Some(other.public_key().fingerprint())),
        (&stranger, None),
    ] {
        let judgement = ring.judge(&signed(&[By(signer)]));
        assert_eq!(judgement.status, NameClash);
        let name = "key-1".to_owned();
        assert_eq!(
            judgement.oddities[0].kind,
            OddityKind::NameClash { name, verifies }
        );
        assert_eq!(judgement.oddities[0].line, Some(7));
    }
}

#[test]
fn a_signature_that_was_just_made_is_judged_as_others_are() {
    let (ours, theirs) = (secret("ours-1", 1), secret("theirs-1", 2));
    let narinfo = signed(&[By(&theirs), By(&ours), Wrong(&theirs)]);
    let line = narinfo.signatures().nth(1).expect("ours").to_owned();
    let public = ours.public_key();
    for states in [
        vec![
            known(&ours, KeyState::Active),
            known(&theirs, KeyState::Active),
        ],
        vec![
            known(&ours, KeyState::Revoked),
            known(&theirs, KeyState::Active),
        ],
        vec![known(&secret("ours-1", 3), KeyState::Active)],
        vec![
            known(&ours, KeyState::Active),
            known(&secret("ours-1", 3), KeyState::Active),
        ],
        vec![],
    ] {
        let ring = KeyRing::new(states);
        assert_eq!(
            ring.judge_signed(&narinfo, &public, &line),
            ring.judge(&narinfo)
        );
    }
    // Nothing is taken for granted of other lines, or of other keys.
    let ring = KeyRing::new([known(&theirs, KeyState::Active)]);
    let wrong = narinfo.signatures().nth(2).expect("wrong").to_owned();
    let judged = ring.judge_signed(&narinfo, &public, &wrong);
    assert_eq!(judged.signatures[2].status, Invalid);
    let judged = ring.judge_signed(&narinfo, &theirs.public_key(), &line);
    assert_eq!(judged.signatures[2].status, Invalid);
}
