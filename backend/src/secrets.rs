//! Files that hold secrets: signing keys, the state secret, credentials of the embedded S3.
//!
//! What is made here is made once, readable by its owner only, and whole or not at all.
//! A secret is never printed; errors name the file.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use snowbank_shared::signature::{KeyError, SecretKey};

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file holds no secret key.
    #[error("{} is not a secret key: {source}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// The file holds no state secret.
    #[error("{} is not a state secret: it is lines of a name, `:` and 43 characters of base64, such as `k1:…`, each name once", path.display())]
    State {
        /// The file.
        path: PathBuf,
    },
    /// No name of that form can be a key's.
    #[error("`{name}` cannot be a key's name: {source}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        source: KeyError,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

/// Random bytes of the system.
///
/// # Errors
/// Where the system gives none.
pub fn random<const N: usize>() -> Result<[u8; N], SecretError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(SecretError::Random)?;
    Ok(bytes)
}

/// A new signing key of this name.
///
/// # Errors
/// Where the name cannot be a key's.
pub fn generate_key(name: &str) -> Result<SecretKey, SecretError> {
    SecretKey::generate(name, random()?).map_err(|source| SecretError::Name {
        name: name.to_owned(),
        source,
    })
}

/// The signing key in a file.
///
/// # Errors
/// Where the file cannot be read or is not `name:base64`.
pub fn read_key(path: &Path) -> Result<SecretKey, SecretError> {
    let text = fs::read_to_string(path).map_err(|source| SecretError::File {
        path: path.to_owned(),
        source,
    })?;
    text.trim_end().parse().map_err(|source| SecretError::Key {
        path: path.to_owned(),
        source,
    })
}

/// The signing key in a file; made under this name where there is no file.
///
/// # Errors
/// Where the file cannot be read, made, or is not a key.
pub fn read_or_make_key(path: &Path, name: &str) -> Result<SecretKey, SecretError> {
    match read_key(path) {
        Err(SecretError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            let key = generate_key(name)?;
            create(path, key.to_secret_text().as_bytes())?;
            read_key(path)
        }
        known => known,
    }
}

/// The keys that the server's state is sealed with: the first line of the file seals, every
/// line opens, so that a key is changed by putting a new line before the old one.
#[derive(Clone, PartialEq, Eq)]
pub struct StateSecret {
    keys: Vec<StateKey>,
}

/// One key of the state secret.
#[derive(Clone, PartialEq, Eq)]
pub struct StateKey {
    /// Its name in sealed objects: 1 to 32 letters, digits, `-`, `_` and `.`.
    pub id: String,
    /// The key. Never printed.
    pub secret: [u8; 32],
}

impl std::fmt::Debug for StateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("StateKey").field(&self.id).finish()
    }
}

impl std::fmt::Debug for StateSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.keys).finish()
    }
}

impl StateSecret {
    /// A fresh secret with one key.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn generate(id: &str) -> Result<Self, SecretError> {
        Ok(Self {
            keys: vec![StateKey {
                id: id.to_owned(),
                secret: random()?,
            }],
        })
    }

    /// Reads `id:base64`, one key a line; `None` where the text is anything else, or two lines
    /// have one id.
    pub fn parse(text: &str) -> Option<Self> {
        use base64::Engine as _;
        let base64 = base64::engine::general_purpose::STANDARD_NO_PAD;
        let mut keys: Vec<StateKey> = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (id, secret) = line.split_once(':')?;
            let fine = (1..=32).contains(&id.len())
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
                && keys.iter().all(|key| key.id != id);
            let secret = base64.decode(secret.trim_end_matches('=')).ok()?;
            if !fine {
                return None;
            }
            keys.push(StateKey {
                id: id.to_owned(),
                secret: secret.try_into().ok()?,
            });
        }
        (!keys.is_empty()).then_some(Self { keys })
    }

    /// The file's text. A secret: for the file only.
    pub fn to_text(&self) -> String {
        use base64::Engine as _;
        let base64 = base64::engine::general_purpose::STANDARD_NO_PAD;
        let line = |key: &StateKey| format!("{}:{}\n", key.id, base64.encode(key.secret));
        self.keys.iter().map(line).collect()
    }

    /// The same, with another key's line before all others.
    #[must_use]
    pub fn led_by(&self, newer: &Self) -> Self {
        let mut keys = newer.keys.clone();
        keys.extend(self.keys.iter().cloned());
        Self { keys }
    }

    /// The keys, the sealing one first; never empty.
    pub fn keys(&self) -> &[StateKey] {
        &self.keys
    }
}

/// The state secret in a file; made where there is none.
///
/// # Errors
/// Where the file cannot be read, made, or holds something else.
pub fn read_or_make_state_secret(path: &Path) -> Result<StateSecret, SecretError> {
    match read_state_secret(path) {
        Err(SecretError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            create(path, StateSecret::generate("k1")?.to_text().as_bytes())?;
            read_state_secret(path)
        }
        known => known,
    }
}

/// The state secret in a file.
///
/// # Errors
/// Where the file cannot be read or holds something else.
pub fn read_state_secret(path: &Path) -> Result<StateSecret, SecretError> {
    let text = fs::read_to_string(path).map_err(|source| SecretError::File {
        path: path.to_owned(),
        source,
    })?;
    StateSecret::parse(&text).ok_or_else(|| SecretError::State {
        path: path.to_owned(),
    })
}

/// Writes a new file, for its owner only. Where another process was faster, its file stays.
///
/// # Errors
/// Where the file or its folder cannot be made.
pub fn create(path: &Path, contents: &[u8]) -> Result<(), SecretError> {
    let mut file = NewFile::begin(path)?;
    let failed = |source| SecretError::File {
        path: path.to_owned(),
        source,
    };
    file.write_all(contents).map_err(failed)?;
    file.finish()
}

/// A new file that is written piece by piece, for its owner only. It appears whole, or not at all.
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    aside: PathBuf,
    file: BufWriter<fs::File>,
}

impl NewFile {
    /// Begins to write it, beside its place.
    ///
    /// # Errors
    /// Where the file or its folder cannot be made.
    pub fn begin(path: &Path) -> Result<Self, SecretError> {
        let failed = |source| SecretError::File {
            path: path.to_owned(),
            source,
        };
        if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            fs::create_dir_all(dir).map_err(failed)?;
        }
        let aside = path.with_extension(format!("new-{}", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let file = options.open(&aside).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            aside,
            file: BufWriter::new(file),
        })
    }

    /// Puts it in its place. Where another process was faster, its file stays.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn finish(mut self) -> Result<(), SecretError> {
        let written = self
            .file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all())
            // A link, unlike a rename, never replaces.
            .and_then(|()| match fs::hard_link(&self.aside, &self.path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                linked => linked,
            });
        written.map_err(|source| SecretError::File {
            path: self.path.clone(),
            source,
        })
    }
}

impl io::Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.aside);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_only() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("keys/main.secret");
        let made = read_or_make_key(&path, "main-1").expect("a key");
        let read = read_or_make_key(&path, "other-1").expect("the same key");
        assert_eq!(made.to_secret_text(), read.to_secret_text());
        assert_eq!(read.name(), "main-1");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(
            fs::read_dir(dir.path().join("keys"))
                .expect("a folder")
                .count(),
            1,
            "nothing is left behind"
        );
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_without_repeating_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("k");
        fs::write(&path, "main-1:hush-hush").expect("a file");
        let error = read_or_make_key(&path, "main-1")
            .expect_err("no key")
            .to_string();
        assert!(error.contains('k') && !error.contains("hush"), "{error}");
    }

    #[test]
    fn the_state_secret_is_made_and_checked() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("state.secret");
        let made = read_or_make_state_secret(&path).expect("made");
        assert_eq!(read_or_make_state_secret(&path).expect("known"), made);
        assert!(!format!("{made:?}").contains(made.to_text().trim().trim_start_matches("k1:")));
        let line = made.to_text();
        for bad in ["", "k1:short\n", "no colon\n", &format!("{line}{line}")] {
            fs::write(&path, bad).expect("a file");
            assert!(
                matches!(
                    read_or_make_state_secret(&path),
                    Err(SecretError::State { .. })
                ),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_newer_key_leads_and_older_ones_stay() {
        let old = StateSecret::generate("k1").expect("random");
        let both = old.led_by(&StateSecret::generate("k2").expect("random"));
        let read = StateSecret::parse(&both.to_text()).expect("parses");
        assert_eq!(read, both);
        let ids: Vec<_> = read.keys().iter().map(|key| key.id.as_str()).collect();
        assert_eq!(ids, ["k2", "k1"]);
    }
}
