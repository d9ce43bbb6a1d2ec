//! The rows of PROTOCOL.md §19 that concern the text of a narinfo and have no folder
//! among the vectors: made here, by one change to a narinfo that is signed and good.
#![forbid(unsafe_code)]

use snowbank_shared::api::{KeyPurpose, KeyState, SignatureStatus};
use snowbank_shared::narinfo::{Compression, ErrorCode, NarInfo, NarInfoParts};
use snowbank_shared::signature::{KeyRing, KnownKey, SecretKey};
use snowbank_shared::store_path::StoreDir;

use ErrorCode::{BadNarinfo, BadUrl, StorePathNotCanonical};
use SignatureStatus::{Invalid, Malformed, NotNeeded, UnknownKey, Valid};

const BASE: &str = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-thing";
const HASH: &str = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
const HEX: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn key() -> SecretKey {
    SecretKey::generate("test-1", [1; 32]).expect("a good name")
}

fn ring() -> KeyRing {
    KeyRing::new([KnownKey {
        key: key().public_key(),
        purpose: KeyPurpose::Cache,
        state: KeyState::Active,
    }])
}

/// Ten lines: StorePath, URL, Compression, FileHash, FileSize, NarHash, NarSize, References, Deriver, Sig.
fn good() -> String {
    let store_dir = StoreDir::default();
    let mut parts = NarInfoParts {
        store_path: BASE.parse().expect("a path"),
        url: "nar/x.nar.xz".to_owned(),
        compression: Compression::Xz,
        file_hash: HASH.parse().ok(),
        file_size: Some(10),
        nar_hash: HASH.parse().expect("a hash"),
        nar_size: 880,
        references: vec![],
        deriver: format!("{BASE}.drv").parse().ok(),
        signatures: vec![],
        ca: None,
    };
    let fingerprint = parts.fingerprint(&store_dir);
    parts.signatures.push(key().sign(fingerprint.as_bytes()));
    parts.to_text(&store_dir)
}

/// What becomes of a row: not readable, readable but no upload, or good.
enum Fate {
    Unreadable(ErrorCode, Option<u32>),
    Refused(ErrorCode, u32, SignatureStatus),
    Accepted(SignatureStatus),
}
use Fate::{Accepted, Refused, Unreadable};

#[test]
fn rows_without_a_folder_meet_their_fate() {
    let sig_line = good()
        .lines()
        .last()
        .map(str::to_owned)
        .expect("a signature");
    let flipped = sig_line.replacen("test-1:", "other-1:", 1);
    let short = format!("Sig: test-1:{}", "A".repeat(84));
    let md5 = "CA: fixed:md5:3y8bwfr609h3lh9ch0izcqq7fl\n";
    let replaced = |from: &str, to: &str| {
        assert!(good().contains(from), "{from}");
        good().replacen(from, to, 1)
    };
    let rows: Vec<(&str, String, Fate)> = vec![
        ("ok-bzip2-default", replaced("Compression: xz\n", ""), Accepted(Valid)),
        ("ok-base16-narhash", replaced(&format!("NarHash: {HASH}"), &format!("NarHash: {HEX}")), Accepted(Valid)),
        ("ok-no-refs-line", replaced("References: \n", ""), Accepted(Valid)),
        ("ok-empty-ca", good() + "CA: \n", Accepted(Valid)),
        ("ok-slash-in-storepath", replaced("/nix/store/", "/nix/store//"), Refused(StorePathNotCanonical, 1, Valid)),
        ("ok-slash-in-storepath", replaced("-thing\n", "-thing/\n"), Refused(StorePathNotCanonical, 1, Valid)),
        ("ni-refs-no-space", replaced("References: \n", "References:\n"), Unreadable(BadNarinfo, Some(8))),
        ("ni-bom", format!("\u{feff}{}", good()), Unreadable(BadNarinfo, Some(1))),
        ("ni-no-narhash", replaced(&format!("NarHash: {HASH}\n"), ""), Unreadable(BadNarinfo, None)),
        ("ni-narsize-float", replaced("NarSize: 880", "NarSize: 1.0"), Unreadable(BadNarinfo, Some(7))),
        (
            "ni-narhash-badchar",
            replaced(&format!("NarHash: {HASH}"), &format!("NarHash: {}", HASH.replacen('w', "e", 1))),
            Unreadable(BadNarinfo, Some(6)),
        ),
        (
            "ni-filehash-bad",
            replaced(&format!("FileHash: {HASH}"), "FileHash: sha256:x"),
            Unreadable(BadNarinfo, Some(4)),
        ),
        (
            "ni-refs-noname",
            replaced("References: ", &format!("References: {}-", &BASE[..32])),
            Unreadable(BadNarinfo, Some(8)),
        ),
        ("ni-ca-twice", good() + md5 + md5, Unreadable(BadNarinfo, Some(12))),
        ("ni-sp-badchar", replaced("-thing\n", "-thi~ng\n"), Unreadable(BadNarinfo, Some(1))),
        ("url-rootrel", replaced("nar/x.nar.xz", "/etc/passwd"), Unreadable(BadUrl, Some(2))),
        ("sig-empty", good() + "Sig: \n", Refused(BadNarinfo, 11, Valid)),
        ("sig-untrusted", replaced(&sig_line, &flipped), Accepted(UnknownKey)),
        ("sig-short-trusted", good() + &short + "\n", Refused(BadNarinfo, 11, Valid)),
        ("sig-short-trusted, alone", replaced(&sig_line, &short), Refused(BadNarinfo, 10, Malformed)),
        ("sig-tamper-size", replaced("NarSize: 880", "NarSize: 888"), Accepted(Invalid)),
        (
            "ca-ok",
            // This store path follows from that hash, by `ca-paths.json` of the vectors.
            "StorePath: /nix/store/v9f1sla8pddbzx4xhvrr1yrzfsrl6lng-fod-rec\nURL: nar/x.nar\nCompression: none\n\
             NarHash: sha256:1yb0frl07qcikj0s2p4znbrqkciwgjhyk2hnynrm1n7f1rivrf38\nNarSize: 112\nReferences: \n\
             CA: fixed:r:sha256:1yb0frl07qcikj0s2p4znbrqkciwgjhyk2hnynrm1n7f1rivrf38\n"
                .to_owned(),
            Accepted(NotNeeded),
        ),
    ];
    for (id, text, fate) in rows {
        let read = NarInfo::parse(text.as_bytes(), &StoreDir::default());
        let upload = NarInfo::parse_strict(text.as_bytes(), &StoreDir::default());
        let word = |narinfo: &NarInfo| ring().judge(narinfo).status;
        match (fate, read, upload) {
            (Unreadable(code, line), Err(error), Err(refused)) => {
                assert_eq!((error.code, error.line), (code, line), "{id}: {error}");
                assert_eq!(error, refused, "{id}");
            }
            (Refused(code, line, status), Ok(narinfo), Err(error)) => {
                assert_eq!(
                    (error.code, error.line),
                    (code, Some(line)),
                    "{id}: {error}"
                );
                assert_eq!(word(&narinfo), status, "{id}");
            }
            (Accepted(status), Ok(narinfo), Ok(_)) => {
                assert_eq!(word(&narinfo), status, "{id}");
                assert_eq!(narinfo.crash_risk(), None, "{id}");
            }
            (_, read, upload) => panic!("{id}: read {read:?}, upload {upload:?}"),
        }
    }
}
