//! What will happen to each path, and why not: said before anything is sent. The server has the
//! last word; these are its rules as far as a browser can know them. Pure, so that it is tested natively.

use snowbank_shared::api::contributors::ContributorKey;
use snowbank_shared::api::{Key, KeyState, PathDetail};
use snowbank_shared::hash::HashAlgorithm;
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::pattern;
use snowbank_shared::signature::{PublicKey, Signature};

use super::examine::Examined;
use crate::format;

/// Something in the way: what, why, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// `U04`, for support; empty where there is no code for it.
    pub code: &'static str,
    /// What is the matter.
    pub what: String,
    /// What to do.
    pub fix: String,
    /// The command for it.
    pub command: Option<String>,
}

impl Trouble {
    /// One without a command.
    pub fn new(code: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            code,
            what: what.into(),
            fix: fix.into(),
            command: None,
        }
    }

    /// The same with a command.
    #[must_use]
    pub fn with(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }
}

/// What is known of a path's archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// It was not looked at yet.
    Waiting,
    /// It is what the narinfo says.
    Good(Examined),
    /// It is something else, or not there.
    Bad(Trouble),
}

/// What happens with a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is still being looked at.
    Waiting,
    /// It is sent.
    New,
    /// It is there, and nothing is sent.
    Same,
    /// It is there, and a signature is added.
    AddSignature,
    /// It is there with other content.
    Conflict(Trouble),
    /// Its files are not what they should be.
    Broken(Trouble),
    /// It refers to what is nowhere.
    Incomplete(Trouble),
    /// Nobody who may has signed it.
    NotAllowed(Trouble),
}

impl Verdict {
    /// Whether something is sent.
    pub const fn sends(&self) -> bool {
        matches!(self, Self::New | Self::AddSignature)
    }

    /// What is in the way.
    pub const fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Conflict(trouble)
            | Self::Broken(trouble)
            | Self::Incomplete(trouble)
            | Self::NotAllowed(trouble) => Some(trouble),
            Self::Waiting | Self::New | Self::Same | Self::AddSignature => None,
        }
    }
}

/// What the server said before.
#[derive(Debug, Default)]
pub struct Known {
    /// The cache's slug.
    pub cache: String,
    /// The keys that the cache knows.
    pub keys: Vec<Key>,
    /// The keys of contributors that this person sees.
    pub contributors: Vec<ContributorKey>,
    /// Who this is.
    pub me: Option<String>,
}

/// By whom a path is signed so that it may be published, as far as can be said here; nobody where
/// its content address is enough.
///
/// # Errors
/// Why no signature counts.
pub fn signer(narinfo: &NarInfo, known: &Known) -> Result<Option<String>, Trouble> {
    let mut worst: Option<(u8, Trouble)> = None;
    for text in narinfo.signatures() {
        match judged(narinfo, text, known) {
            Ok(name) => return Ok(Some(name)),
            Err((rank, trouble)) => {
                if worst.as_ref().is_none_or(|(known, _)| *known < rank) {
                    worst = Some((rank, trouble));
                }
            }
        }
    }
    let strong = narinfo.ca().is_some_and(|ca| {
        matches!(
            ca.hash.algorithm(),
            HashAlgorithm::Sha256 | HashAlgorithm::Sha512
        )
    });
    if strong && narinfo.is_content_addressed() {
        return Ok(None);
    }
    Err(worst.map_or_else(
        || {
            Trouble::new(
                "",
                "Nobody has signed it.",
                "Sign it below with your key, or:",
            )
            .with("nix store sign --store file:///tmp/out -r -k KEYFILE /nix/store/…")
        },
        |(_, trouble)| trouble,
    ))
}

/// One signature: who made it, or why it does not count, and how much is known about that.
fn judged(narinfo: &NarInfo, text: &str, known: &Known) -> Result<String, (u8, Trouble)> {
    let malformed = || {
        (
            1,
            Trouble::new(
                "U07",
                format!("“{text}” is no signature."),
                "Sign it again.",
            ),
        )
    };
    let signature: Signature = text.parse().map_err(|_| malformed())?;
    let name = signature.key_name();
    let again = || {
        format!(
            "nix store sign --store file:///tmp/out -k {name}.secret {}",
            narinfo.store_dir().display(narinfo.store_path())
        )
    };
    let verifies = |key: &str| {
        let key = key.parse::<PublicKey>();
        key.is_ok_and(|key| key.verifies(narinfo.fingerprint().as_bytes(), signature.bytes()))
    };
    let mismatch = || {
        let what = format!("Signature by {name} does not match. Signed before the path changed?");
        (3, Trouble::new("U07", what, "Sign it again:").with(again()))
    };
    if let Some(key) = known.contributors.iter().find(|key| key.name == name) {
        if !verifies(&key.public_key) {
            return Err(mismatch());
        }
        return usable(narinfo, key, known)
            .map(|()| name.to_owned())
            .map_err(|trouble| (4, trouble));
    }
    match known.keys.iter().find(|key| key.name == name) {
        Some(key) if !verifies(&key.public_key) => Err(mismatch()),
        Some(_) => Err((
            2,
            Trouble::new(
                "U08",
                format!(
                    "It is signed by {name}, and what you upload is signed with a key of yours."
                ),
                "Add a signature with your key below.",
            ),
        )),
        None => Err((
            2,
            Trouble::new(
                "U08",
                format!("Nobody registered key {name}."),
                "Register it on the page of your keys, or sign with one of yours below.",
            ),
        )),
    }
}

/// Whether a key that made a good signature may publish the path.
fn usable(narinfo: &NarInfo, key: &ContributorKey, known: &Known) -> Result<(), Trouble> {
    let name = &key.name;
    match key.state {
        KeyState::Active => {}
        KeyState::Expired => {
            let when = key
                .expires_at
                .as_deref()
                .and_then(|time| time.get(..10))
                .unwrap_or("its day");
            return Err(Trouble::new(
                "U09",
                format!("Key {name} expired on {when}."),
                "A Maintainer or Owner can renew it on the page of keys; or sign with another key of yours.",
            ));
        }
        KeyState::Pending => {
            return Err(Trouble::new(
                "U08",
                format!("Key {name} is registered and not accepted yet."),
                "Prove that you hold it, and ask a Maintainer or Owner to accept it.",
            ));
        }
        KeyState::Retired | KeyState::Suspended | KeyState::Revoked => {
            return Err(Trouble::new(
                "U08",
                format!("Key {name} was ended: it signs no more."),
                "Sign with another key of yours.",
            ));
        }
    }
    if known.me.as_ref().is_some_and(|me| *me != key.owner) {
        return Err(Trouble::new(
            "U08",
            format!("It is signed by {name}, which is a key of {}.", key.owner),
            "Let its owner upload it, or add a signature with your key below.",
        ));
    }
    let Some(scope) = &key.scope else {
        return Ok(());
    };
    let path = narinfo.store_path();
    let fits_cache = scope
        .caches
        .as_ref()
        .is_none_or(|caches| caches.contains(&known.cache));
    if !fits_cache
        || !scope
            .names
            .iter()
            .any(|names| pattern::fits(names, path.name()))
    {
        return Err(Trouble::new(
            "U15",
            format!(
                "Key {name} may not sign {} in {}.",
                path.name(),
                known.cache
            ),
            format!(
                "It may sign {}. Ask a Maintainer or Owner of {} for more.",
                scope.names.join(", "),
                known.cache
            ),
        ));
    }
    match scope.max_nar_size {
        Some(most) if narinfo.nar_size() > most => Err(Trouble::new(
            "U15",
            format!(
                "Key {name} may sign paths of {} at most, and this one has {}.",
                format::size(most),
                format::size(narinfo.nar_size())
            ),
            format!("Ask a Maintainer or Owner of {} for more.", known.cache),
        )),
        _ => Ok(()),
    }
}

/// What is to be said of an archive before it is read: whether it is there, and as long as it should be.
///
/// # Errors
/// What is wrong with it.
pub fn file_fits(narinfo: &NarInfo, size: Option<u64>) -> Result<(), Trouble> {
    let path = narinfo
        .store_dir()
        .display(narinfo.store_path())
        .to_string();
    let copy = format!("nix copy --to 'file:///tmp/out?compression=zstd' {path}");
    let Some(size) = size else {
        return Err(Trouble::new(
            "U03",
            format!(
                "NAR file {} named in the narinfo is not in the folder.",
                narinfo.nar_key()
            ),
            "Maybe only the narinfos were chosen. Choose the whole folder, or copy again:",
        )
        .with(copy));
    };
    match narinfo.file_size() {
        Some(expected) if size < expected => Err(Trouble::new(
            "U04",
            format!("File is shorter than its narinfo says ({size} of {expected} bytes). Copy was probably interrupted."),
            "Copy it again:",
        )
        .with(copy)),
        Some(expected) if size > expected => Err(Trouble::new(
            "U04",
            format!("File is longer than its narinfo says ({size} bytes, and {expected} expected)."),
            "Copy it again:",
        )
        .with(copy)),
        _ => Ok(()),
    }
}

/// Whether an archive is what its narinfo says.
///
/// # Errors
/// Where it is not.
pub fn content_fits(narinfo: &NarInfo, found: &Examined) -> Result<(), Trouble> {
    let path = narinfo
        .store_dir()
        .display(narinfo.store_path())
        .to_string();
    let differs = |what: &str, expected: String, got: &str| {
        Trouble::new(
            "U05",
            format!("{what} differs. Expected {expected}, got {got}."),
            "Check the path where it was built, and build it again where that fails:",
        )
        .with(format!("nix store verify {path}"))
    };
    if let Some(expected) = narinfo.file_hash() {
        let got = format!("sha256:{}", found.file_hash);
        if expected.to_string() != got {
            return Err(differs("File hash", expected.to_string(), &got));
        }
    }
    let Some(archive) = &found.archive else {
        return Ok(());
    };
    if archive.nar_size != narinfo.nar_size() {
        return Err(differs(
            "Size of the NAR",
            format!("{} bytes", narinfo.nar_size()),
            &format!("{} bytes", archive.nar_size),
        ));
    }
    let expected = narinfo.nar_hash().to_nix32();
    if archive.nar_hash != expected {
        return Err(differs(
            "Content hash",
            format!("sha256:{expected}"),
            &format!("sha256:{}", archive.nar_hash),
        ));
    }
    Ok(())
}

/// What the server says of a path that it did not take: a code of its own and a reason, in one line.
pub fn refused(line: &str) -> Trouble {
    let (code, reason) = line.split_once(": ").unwrap_or(("", line));
    let (short, fix) = match code {
        "bucket-refused" => (
            "U12",
            "What has arrived is kept for seven days: send it again once that is mended.",
        ),
        "quota" => (
            "U11",
            "Choose fewer paths, or ask an owner for more (max_bytes).",
        ),
        "reference-missing" => ("U10", "Copy the path with all that it needs."),
        "file-hash-mismatch" | "file-size-mismatch" | "nar-hash-mismatch" | "nar-size-mismatch" => {
            (
                "U05",
                "Choose the folder again; its files may have changed.",
            )
        }
        _ => return Trouble::new("", line, ""),
    };
    Trouble::new(short, format::sentence(reason), fix)
}

/// What happens with a path of which the server has this, or nothing; `signed` is [`signer`]'s word.
pub fn of_path(
    narinfo: &NarInfo,
    content: &Content,
    there: Option<&PathDetail>,
    signed: &Result<Option<String>, Trouble>,
) -> Verdict {
    if let Some(there) = there {
        if there.nar_hash != format!("sha256:{}", narinfo.nar_hash().to_nix32())
            || there.row.nar_size != narinfo.nar_size()
        {
            return Verdict::Conflict(Trouble::new(
                "",
                format!(
                    "Other content is here already: {} by {}.",
                    format::size(there.row.nar_size),
                    there.row.signers.join(", ")
                ),
                "The first stays. Both were built for the same path, so the build is not reproducible. Compare them, and leave this one out.",
            ));
        }
        let news = narinfo
            .signatures()
            .any(|text| there.signatures.iter().all(|known| known.signature != text));
        return if news && matches!(signed, Ok(Some(_))) {
            Verdict::AddSignature
        } else {
            Verdict::Same
        };
    }
    match (content, signed) {
        (Content::Bad(trouble), _) => Verdict::Broken(trouble.clone()),
        (_, Err(trouble)) => Verdict::NotAllowed(trouble.clone()),
        (Content::Good(_), _) => Verdict::New,
        (Content::Waiting, _) => Verdict::Waiting,
    }
}

/// What a path needs that is neither here nor in the cache.
pub fn incomplete(narinfo: &NarInfo, missing: &str) -> Verdict {
    let path = narinfo.store_dir().display(narinfo.store_path());
    Verdict::Incomplete(
        Trouble::new(
            "U10",
            format!(
                "{} needs {missing}, which is not among these files that can be sent, and not in the cache.",
                narinfo.store_path().name()
            ),
            "Copy the path with all that it needs:",
        )
        .with(format!("nix copy --to 'file:///tmp/out?compression=zstd' {path}")),
    )
}

#[cfg(test)]
mod tests {
    use snowbank_shared::api::contributors::KeyScope;
    use snowbank_shared::hash::Sha256;
    use snowbank_shared::signature::SecretKey;
    use snowbank_shared::store_path::StoreDir;

    use super::*;
    use crate::upload::examine::Archive;

    #[test]
    fn what_the_server_refuses_has_the_codes_of_the_form() {
        let line = "bucket-refused: S3 refused (403, s3:PutObject is missing): tell an owner";
        let trouble = refused(line);
        assert_eq!(trouble.code, "U12");
        assert!(
            trouble.what.starts_with("S3 refused (403"),
            "{}",
            trouble.what
        );
        assert!(trouble.fix.contains("kept for seven days"));
        assert_eq!(refused("quota: not enough").code, "U11");
        let other = refused("bad-nar: no archive");
        assert_eq!(
            (other.code, other.what.as_str()),
            ("", "bad-nar: no archive")
        );
        assert_eq!(refused("no code").what, "no code");
    }

    fn key() -> SecretKey {
        SecretKey::generate("alice-1", [7; 32]).expect("a key")
    }

    fn narinfo(signed: bool) -> NarInfo {
        let hash = Sha256::digest(b"x").to_nix32();
        let text = format!(
            "StorePath: /nix/store/0c0dixlhq54yv4v0kws1bsmbnrz7m6p7-app-1.0\nURL: nar/{hash}.nar\nCompression: none\nFileHash: sha256:{hash}\nFileSize: 120\nNarHash: sha256:{hash}\nNarSize: 120\nReferences: \n"
        );
        let narinfo = NarInfo::parse(text.as_bytes(), &StoreDir::default()).expect("a narinfo");
        if !signed {
            return narinfo;
        }
        let signature = key().sign(narinfo.fingerprint().as_bytes());
        narinfo.add_signature(&signature).expect("signed")
    }

    fn known(state: KeyState, names: &str) -> Known {
        Known {
            cache: "main".to_owned(),
            keys: Vec::new(),
            contributors: vec![ContributorKey {
                name: "alice-1".to_owned(),
                public_key: key().public_key().to_string(),
                fingerprint: String::new(),
                owner: "alice".to_owned(),
                state,
                proven: true,
                accepted_by: None,
                scope: Some(KeyScope {
                    caches: Some(vec!["main".to_owned()]),
                    names: vec![names.to_owned()],
                    max_nar_size: Some(200),
                }),
                paths: 0,
                created_at: None,
                expires_at: Some("2026-01-02T03:04:05Z".to_owned()),
            }],
            me: Some("alice".to_owned()),
        }
    }

    fn code(narinfo: &NarInfo, known: &Known) -> &'static str {
        signer(narinfo, known).expect_err("trouble").code
    }

    #[test]
    fn a_signature_counts_or_says_why_not() {
        let good = known(KeyState::Active, "app-*");
        assert_eq!(
            signer(&narinfo(true), &good),
            Ok(Some("alice-1".to_owned()))
        );
        assert_eq!(code(&narinfo(false), &good), "");
        assert_eq!(code(&narinfo(true), &known(KeyState::Expired, "*")), "U09");
        assert_eq!(code(&narinfo(true), &known(KeyState::Revoked, "*")), "U08");
        assert_eq!(
            code(&narinfo(true), &known(KeyState::Active, "lib-*")),
            "U15"
        );
        assert_eq!(code(&narinfo(true), &Known::default()), "U08");
        let mut of_bob = known(KeyState::Active, "*");
        of_bob.me = Some("bob".to_owned());
        assert!(
            signer(&narinfo(true), &of_bob)
                .expect_err("trouble")
                .what
                .contains("a key of alice")
        );
        let changed = narinfo(true).text().replace("NarSize: 120", "NarSize: 121");
        let changed = NarInfo::parse(changed.as_bytes(), &StoreDir::default()).expect("a narinfo");
        assert_eq!(code(&changed, &good), "U07");
    }

    #[test]
    fn files_and_contents_are_held_against_the_narinfo() {
        let narinfo = narinfo(true);
        assert_eq!(file_fits(&narinfo, Some(120)), Ok(()));
        let short = file_fits(&narinfo, Some(100)).expect_err("short");
        assert_eq!(short.code, "U04");
        assert!(short.what.contains("100 of 120 bytes"), "{}", short.what);
        assert_eq!(file_fits(&narinfo, None).expect_err("missing").code, "U03");
        let right = Sha256::digest(b"x").to_nix32();
        let found = |nar_hash: &str, nar_size| Examined {
            file_hash: right.clone(),
            file_size: 120,
            archive: Some(Archive {
                nar_hash: nar_hash.to_owned(),
                nar_size,
                secrets: Vec::new(),
            }),
        };
        assert_eq!(content_fits(&narinfo, &found(&right, 120)), Ok(()));
        assert_eq!(
            content_fits(&narinfo, &found("other", 120))
                .expect_err("other")
                .code,
            "U05"
        );
        assert_eq!(
            content_fits(&narinfo, &found(&right, 121))
                .expect_err("other")
                .code,
            "U05"
        );
        let content = Content::Good(found(&right, 120));
        let of = |known: &Known| of_path(&narinfo, &content, None, &signer(&narinfo, known));
        assert_eq!(of(&known(KeyState::Active, "*")), Verdict::New);
        let unsigned = of(&Known::default());
        assert!(matches!(unsigned, Verdict::NotAllowed(_)), "{unsigned:?}");
    }
}
