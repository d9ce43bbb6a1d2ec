//! Files that hold secrets: signing keys, the state secret, credentials of the embedded S3.
//!
//! What is made here is made once, readable by its owner only, and whole or not at all.
//! A secret is never printed; errors name the file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
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
    #[error("{} is not a state secret: it is a line `k1:` and 43 characters of base64", path.display())]
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

/// Makes the state secret where there is none, and checks its form where there is one.
///
/// # Errors
/// Where the file cannot be read, made, or holds something else.
pub fn ensure_state_secret(path: &Path) -> Result<(), SecretError> {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD_NO_PAD;
    match fs::read_to_string(path) {
        Ok(text) => {
            let fine = text.lines().filter(|line| !line.is_empty()).all(|line| {
                line.split_once(':').is_some_and(|(id, secret)| {
                    !id.is_empty() && base64.decode(secret).is_ok_and(|bytes| bytes.len() == 32)
                })
            });
            if fine && !text.trim().is_empty() {
                Ok(())
            } else {
                Err(SecretError::State {
                    path: path.to_owned(),
                })
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(
            path,
            format!("k1:{}\n", base64.encode(random::<32>()?)).as_bytes(),
        ),
        Err(source) => Err(SecretError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Writes a new file, for its owner only. Where another process was faster, its file stays.
///
/// # Errors
/// Where the file or its folder cannot be made.
pub fn create(path: &Path, contents: &[u8]) -> Result<(), SecretError> {
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
    let written = options
        .open(&aside)
        .and_then(|mut file| file.write_all(contents).and_then(|()| file.sync_all()))
        // A link, unlike a rename, never replaces.
        .and_then(|()| match fs::hard_link(&aside, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        });
    let _ = fs::remove_file(&aside);
    written.map_err(failed)
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
        ensure_state_secret(&path).expect("made");
        let first = fs::read_to_string(&path).expect("text");
        ensure_state_secret(&path).expect("known");
        assert_eq!(fs::read_to_string(&path).expect("text"), first);
        for bad in ["", "k1:short\n", "no colon\n"] {
            fs::write(&path, bad).expect("a file");
            assert!(
                matches!(ensure_state_secret(&path), Err(SecretError::State { .. })),
                "{bad:?}"
            );
        }
    }
}
