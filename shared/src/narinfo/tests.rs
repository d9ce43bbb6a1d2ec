use super::*;
use crate::content_address::Method;
use crate::hash::{HashAlgorithm, HashForm};
use crate::signature::{Signature, SignatureError};
use crate::store_path::StorePath;

const PATH: &str = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar";
const OTHER: &str = "0g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3-foo";
const HASH: &str = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";

/// A narinfo as Nix writes it, which each test changes a little.
fn plain() -> String {
    format!(
        "StorePath: /nix/store/{PATH}\nURL: nar/x.nar.xz\nCompression: xz\nFileHash: {HASH}\nFileSize: 10\n\
         NarHash: {HASH}\nNarSize: 112\nReferences: {OTHER} {PATH}\nDeriver: {OTHER}.drv\n"
    )
}

fn parse(text: &str) -> Result<NarInfo, NarInfoError> {
    NarInfo::parse(text.as_bytes(), &StoreDir::default())
}

/// Replaces one line's text; the line must be there.
fn with(from: &str, to: &str) -> String {
    let plain = plain();
    assert!(plain.contains(from), "{from}");
    plain.replacen(from, to, 1)
}

fn signature(name: &str) -> Signature {
    format!("{name}:{}==", "A".repeat(86))
        .parse()
        .expect("64 bytes")
}

#[test]
fn every_field_is_read() {
    let narinfo = parse(&(plain() + "System: x86_64-linux\nSig: a:b\n")).expect("reads");
    assert_eq!(narinfo.store_path().to_string(), PATH);
    assert_eq!(narinfo.url(), "nar/x.nar.xz");
    assert_eq!(narinfo.nar_key(), "nar/x.nar.xz");
    assert_eq!(narinfo.codec(), Some(Compression::Xz));
    assert_eq!(
        narinfo.file_hash().map(|hash| hash.to_string()).as_deref(),
        Some(HASH)
    );
    assert_eq!((narinfo.file_size(), narinfo.nar_size()), (Some(10), 112));
    assert_eq!(narinfo.nar_hash().to_string(), HASH);
    let references: Vec<_> = narinfo.references().map(|path| path.to_string()).collect();
    assert_eq!(references, [OTHER, PATH]);
    assert_eq!(
        narinfo.deriver().map(|path| path.to_string()),
        Some(format!("{OTHER}.drv"))
    );
    assert_eq!(narinfo.system(), Some("x86_64-linux"));
    assert_eq!(narinfo.signatures().collect::<Vec<_>>(), ["a:b"]);
    assert_eq!(narinfo.signature_line(0), Some(11));
    assert_eq!(
        (narinfo.ca(), narinfo.is_content_addressed()),
        (None, false)
    );
    assert_eq!(
        narinfo.fingerprint(),
        format!("1;/nix/store/{PATH};{HASH};112;/nix/store/{OTHER},/nix/store/{PATH}")
    );
}

#[test]
fn what_is_odd_is_noted_with_its_line() {
    let md5 = "md5:3y8bwfr609h3lh9ch0izcqq7fl";
    let hex = format!("sha256:{}", "a".repeat(64));
    let bad_signature = OddityKind::MalformedSignature(SignatureError::WrongLength { found: 1 });
    let cases = [
        (
            plain() + "Foo: 1\n",
            Some(10),
            OddityKind::UnknownField("Foo".into()),
        ),
        (
            plain() + "\nFileSize: 1\n",
            Some(11),
            OddityKind::LostField("\nFileSize".into()),
        ),
        (
            plain() + "URL: nar/y.nar\n",
            Some(10),
            OddityKind::Duplicate("URL"),
        ),
        (
            with("FileSize: 10", "FileSize:x10"),
            Some(5),
            OddityKind::NoBlank("FileSize"),
        ),
        (
            plain() + "System: a\tb\n",
            Some(10),
            OddityKind::ControlCharacter,
        ),
        (
            with(PATH, &format!("{PATH}/")),
            Some(1),
            OddityKind::StorePathNotCanonical,
        ),
        (
            with("nar/x.nar.xz", "nar/x.nar?hash=1"),
            Some(2),
            OddityKind::UrlWithQuery,
        ),
        (
            with("nar/x.nar.xz", "x.nar"),
            Some(2),
            OddityKind::UrlUnusual,
        ),
        (
            with("Compression: xz\n", ""),
            None,
            OddityKind::NoCompression,
        ),
        (
            with(": xz", ": XZ"),
            Some(3),
            OddityKind::UnknownCompression("XZ".into()),
        ),
        (
            with(&format!("FileHash: {HASH}\n"), ""),
            None,
            OddityKind::NoFileHash,
        ),
        (with("FileSize: 10\n", ""), None, OddityKind::NoFileSize),
        (
            with(HASH, &hex),
            Some(4),
            OddityKind::HashForm("FileHash", HashForm::Base16),
        ),
        (
            with("NarSize: 112", "NarSize: 0112"),
            Some(7),
            OddityKind::LeadingZeros("NarSize"),
        ),
        (
            with(&format!("References: {OTHER} {PATH}\n"), ""),
            None,
            OddityKind::NoReferences,
        ),
        (
            with(&format!("{OTHER} {PATH}"), &format!("{PATH} {OTHER}")),
            Some(8),
            OddityKind::UnsortedReferences,
        ),
        (
            with(&format!("{OTHER} {PATH}"), &format!("{OTHER} {OTHER}")),
            Some(8),
            OddityKind::UnsortedReferences,
        ),
        (
            with(&format!("{OTHER} {PATH}"), &format!("{OTHER}  {PATH}")),
            Some(8),
            OddityKind::ReferenceBlanks,
        ),
        (with(".drv", ""), Some(9), OddityKind::DeriverNotDrv),
        (plain() + "Sig: a:AA==\n", Some(10), bad_signature),
        (
            plain() + &format!("Sig: {}x\n", signature("a")),
            Some(10),
            OddityKind::SignatureTrailing,
        ),
        (
            plain() + &format!("Sig: {}\n", signature("a b")),
            Some(10),
            OddityKind::UnusableKeyName,
        ),
        (
            plain() + &format!("Sig: {0}\nSig: {0}\n", signature("a")),
            Some(11),
            OddityKind::DuplicateSignature,
        ),
        (
            plain() + &format!("CA: fixed:r:{HASH}\n"),
            Some(10),
            OddityKind::CaMismatch,
        ),
        (
            plain() + &format!("CA: fixed:{md5}\n"),
            Some(10),
            OddityKind::CaWithReferences,
        ),
    ];
    for (text, line, kind) in cases {
        let narinfo = parse(&text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
        assert_eq!(narinfo.oddities(), [Oddity { line, kind }], "{text}");
        assert_eq!(narinfo.to_bytes(), text.as_bytes());
    }
    assert_eq!(parse(&plain()).expect("reads").oddities(), []);
}

#[test]
fn bytes_that_are_not_utf8_are_kept_and_replaced_for_show() {
    let mut bytes = plain().into_bytes();
    bytes.extend_from_slice(b"Note: \xff\xfe\n");
    let narinfo = NarInfo::parse(&bytes, &StoreDir::default()).expect("Nix reads it");
    assert_eq!(narinfo.to_bytes(), bytes);
    assert!(narinfo.text().ends_with("Note: \u{fffd}\u{fffd}\n"));
    assert_eq!(
        narinfo.oddities()[0],
        Oddity {
            line: Some(10),
            kind: OddityKind::NotUtf8
        }
    );
    let more = narinfo.add_signature(&signature("a")).expect("reads");
    assert!(more.to_bytes().starts_with(&bytes));
    let error = NarInfo::parse_strict(&bytes, &StoreDir::default()).expect_err("not for uploads");
    assert_eq!((error.code, error.line), (ErrorCode::BadNarinfo, Some(10)));
}

#[test]
fn a_line_without_its_blank_swallows_the_next() {
    let error = parse(&with(&format!("References: {OTHER} {PATH}"), "References:"))
        .expect_err("no reference");
    assert_eq!((error.line, error.field), (Some(8), Some("References")));
    assert!(error.to_string().contains("reads the next line"), "{error}");
}

#[test]
fn a_character_cut_by_the_dropped_byte_is_an_error_and_no_panic() {
    let error = parse(&with("Compression: xz", "Compression:éxz")).expect_err("cut in two");
    assert_eq!((error.line, error.field), (Some(3), Some("Compression")));
    assert!(
        parse(&(plain() + "Note:é\n")).is_ok(),
        "unknown fields may hold anything"
    );
}

#[test]
fn missing_fields_say_where_they_went() {
    let cases = [
        (
            format!("\u{feff}{}", plain()),
            "StorePath",
            Some(1),
            "byte order mark",
        ),
        (
            with("NarHash", "narhash"),
            "NarHash",
            Some(6),
            "case sensitive",
        ),
        (with("URL", "\n\nURL"), "URL", Some(4), "blank line"),
        (
            with(&format!("NarHash: {HASH}\n"), ""),
            "NarHash",
            None,
            "is missing",
        ),
    ];
    for (text, field, line, words) in cases {
        let error = parse(&text).expect_err(words);
        assert_eq!((error.field, error.line), (Some(field), line), "{error}");
        assert!(error.reason.contains(words), "{error}");
    }
}

#[test]
fn repeated_fields_follow_nix() {
    // References may follow empty ones, CA an empty one; a second real one may not.
    let empty_first = with("References: ", "References: \nReferences: ");
    assert_eq!(parse(&empty_first).expect("reads").references().len(), 2);
    assert!(parse(&(plain() + "References: \n")).is_err());
    let ca = format!("CA: fixed:r:{HASH}\n");
    assert!(
        parse(&(plain() + "CA: \n" + &ca))
            .expect("reads")
            .ca()
            .is_some()
    );
    assert!(parse(&(plain() + &ca + "CA: \n")).is_err());
    // Even an overridden value must be good.
    assert!(parse(&(plain().replacen("NarSize: 112", "NarSize: x\nNarSize: 112", 1))).is_err());
    assert_eq!(
        parse(&(plain() + "NarSize: 7\n"))
            .expect("reads")
            .nar_size(),
        7
    );
}

#[test]
fn too_large_a_narinfo_is_refused_unread() {
    let error =
        NarInfo::parse(&vec![b'x'; MAX_BYTES + 1], &StoreDir::default()).expect_err("too large");
    assert_eq!(error.code, ErrorCode::BadNarinfo);
}

#[test]
fn a_million_strange_lines_are_odd_enough_after_a_few() {
    let narinfo = parse(&(plain() + &"a: \n".repeat(100_000) + "URL: nar/y\n")).expect("reads");
    assert!(narinfo.oddities().len() <= 200);
    let strict = narinfo
        .check_strict()
        .expect_err("a duplicate after all the strange lines");
    assert_eq!(strict.code, ErrorCode::DuplicateField);
}

#[test]
fn uploads_are_told_the_first_fault() {
    let error = |text: &str| {
        NarInfo::parse_strict(text.as_bytes(), &StoreDir::default()).expect_err("strict")
    };
    let two = with("URL: nar/x.nar.xz", "URL: x") + "NarSize: 1\n";
    assert_eq!(
        (error(&two).code, error(&two).line),
        (ErrorCode::BadUrl, Some(2))
    );
    let canonical = error(&with("/nix/store", "/nix//store"));
    assert_eq!(canonical.code, ErrorCode::StorePathNotCanonical);
    assert_eq!(canonical.code.http_status(), 400);
    let ca = error(&(plain() + &format!("CA: fixed:r:{HASH}\n")));
    assert_eq!(
        (ca.code, ca.code.http_status()),
        (ErrorCode::CaPathMismatch, 422)
    );
}

#[test]
fn signatures_are_added_where_nix_sorts_them() {
    let ca = format!("CA: text:{HASH}\n");
    let sig = |name| format!("Sig: {}\n", signature(name));
    for (text, expected) in [
        (plain(), plain() + &sig("b")),
        (plain() + &ca, plain() + &sig("b") + &ca),
        (
            plain() + &sig("a") + &ca,
            plain() + &sig("a") + &sig("b") + &ca,
        ),
        (plain() + &sig("c"), plain() + &sig("b") + &sig("c")),
        (
            plain() + &sig("a") + &sig("c"),
            plain() + &sig("a") + &sig("b") + &sig("c"),
        ),
        (plain() + &sig("b"), plain() + &sig("b")),
    ] {
        let more = parse(&text)
            .expect("reads")
            .add_signature(&signature("b"))
            .expect("reads");
        assert_eq!(more.text(), expected);
    }
}

#[test]
fn only_the_exact_signature_is_removed() {
    let sig = |name| format!("Sig: {}\n", signature(name));
    let narinfo = parse(&(sig("a") + &plain() + &sig("b") + &sig("a"))).expect("reads");
    let less = narinfo
        .remove_signature(&signature("a").to_string())
        .expect("reads");
    assert_eq!(less.text(), plain() + &sig("b"));
    assert_eq!(less.remove_signature("a"), Ok(less.clone()));
}

fn parts() -> NarInfoParts {
    NarInfoParts {
        store_path: PATH.parse().expect("a path"),
        url: "nar/x.nar".into(),
        compression: Compression::None,
        file_hash: None,
        file_size: Some(0),
        nar_hash: HASH.parse().expect("a hash"),
        nar_size: 112,
        references: Vec::new(),
        deriver: None,
        signatures: vec![signature("b"), signature("a"), signature("b")],
        ca: None,
    }
}

#[test]
fn new_narinfos_are_printed_as_nix_does() {
    let text = parts().to_text(&StoreDir::default());
    let (a, b) = (signature("a"), signature("b"));
    assert_eq!(
        text,
        format!(
            "StorePath: /nix/store/{PATH}\nURL: nar/x.nar\nCompression: none\nNarHash: {HASH}\nNarSize: 112\n\
             References: \nSig: {a}\nSig: {b}\n"
        )
    );
    assert_eq!(
        parts()
            .to_narinfo(&StoreDir::default())
            .expect("reads")
            .text(),
        text
    );
    let elsewhere = NarInfoParts {
        url: "../x".into(),
        ..parts()
    };
    assert_eq!(
        elsewhere
            .to_narinfo(&StoreDir::default())
            .expect_err("leaves")
            .code,
        ErrorCode::BadUrl
    );
}

#[test]
fn a_claim_that_holds_needs_no_signature_and_is_no_risk() {
    let store_dir = StoreDir::default();
    for (method, algorithm, itself) in [
        (Method::Recursive, HashAlgorithm::Sha256, true),
        (Method::Recursive, HashAlgorithm::Sha256, false),
        (Method::Recursive, HashAlgorithm::Sha1, false),
        (Method::Flat, HashAlgorithm::Md5, false),
        (Method::Text, HashAlgorithm::Sha256, false),
        (Method::Git, HashAlgorithm::Sha1, false),
    ] {
        let ca = ContentAddress {
            method,
            hash: Hash::digest(algorithm, b"x"),
        };
        let path = ca
            .store_path(&store_dir, "thing", [], itself)
            .expect("a path");
        let references: Vec<StorePath> = if itself { vec![path.clone()] } else { vec![] };
        let text = NarInfoParts {
            store_path: path,
            references,
            ca: Some(ca),
            ..parts()
        }
        .to_text(&store_dir);
        let narinfo = parse(&text).expect("reads");
        assert!(narinfo.is_content_addressed(), "{text}");
        assert_eq!(narinfo.crash_risk(), None);
        let weak = algorithm.is_weak().then_some(OddityKind::WeakCa(algorithm));
        let odd = |oddity: &Oddity| matches!(oddity.kind, OddityKind::WeakCa(_));
        let found = narinfo.oddities().iter().find(|oddity| odd(oddity));
        assert_eq!(found.map(|oddity| oddity.kind.clone()), weak);
        // Another name, same claim: the client would abort.
        let forged = parse(&text.replacen("-thing\n", "-other\n", 1)).expect("reads");
        assert!(
            !forged.is_content_addressed() && forged.crash_risk().is_some(),
            "{text}"
        );
    }
}

#[test]
fn unknown_compressions_are_withheld() {
    for (word, risk) in [
        ("xz", false),
        ("lzop", false),
        ("XZ", true),
        ("rar", true),
        (" xz", true),
    ] {
        let narinfo = parse(&with(": xz", &format!(": {word}"))).expect("reads");
        assert_eq!(narinfo.crash_risk().is_some(), risk, "{word}");
    }
    assert_eq!(
        parse(&with(": xz", ": ")).expect("reads").compression(),
        "bzip2"
    );
}
