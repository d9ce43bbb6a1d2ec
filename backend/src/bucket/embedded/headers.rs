//! The headers that come back with an object.
//!
//! A plain folder has no place for them, so each suffix has a default `Content-Type`, the one Nix
//! itself sends, and only what differs is kept: one small JSON file in `.s3/meta/`, named by the key and
//! by the size and modification time of the file it belongs to. So the description of a new object
//! can be written before the object is published and takes effect with it, one that is left over
//! describes nothing, and a copy of the folder that keeps times keeps the headers too.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::key::ObjectKey;
use super::version::Version;

/// Most bytes of user metadata with one object, names and values together, as on S3.
pub const MAX_USER_METADATA: usize = 2048;

/// Headers that an uploader gave an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Headers {
    /// `Content-Type`, where it is not the suffix's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `Content-Encoding`, never with `aws-chunked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    /// `Content-Disposition`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    /// `Cache-Control`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// `Expires`, as an HTTP date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// `x-amz-meta-…`, by the name after the prefix.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub user: BTreeMap<String, String>,
}

impl Headers {
    /// Drops what need not be kept: the default type of this key, and the transfer form `aws-chunked`.
    #[must_use]
    pub fn without_defaults(mut self, key: ObjectKey<'_>) -> Self {
        self.content_type = self
            .content_type
            .filter(|value| !value.is_empty() && value != default_content_type(key));
        self.content_encoding = self
            .content_encoding
            .and_then(|value| without_transfer_form(&value));
        self
    }

    /// The `Content-Type` to answer with.
    pub fn content_type(&self, key: ObjectKey<'_>) -> String {
        self.content_type
            .clone()
            .unwrap_or_else(|| default_content_type(key).to_owned())
    }

    /// Bytes of user metadata, names and values.
    pub fn user_bytes(&self) -> usize {
        self.user
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum()
    }
}

/// A `Content-Encoding` without `aws-chunked`, which is a way to send and not a form of the object.
fn without_transfer_form(value: &str) -> Option<String> {
    let kept: Vec<&str> = value
        .split(',')
        .map(str::trim)
        .filter(|one| !one.is_empty() && !one.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    (!kept.is_empty()).then(|| kept.join(", "))
}

/// The `Content-Type` that a key has unless its uploader said otherwise: what Nix sends for each kind
/// of object (the protocol reference, section 1).
pub fn default_content_type(key: ObjectKey<'_>) -> &'static str {
    let (folder, name) = key.split();
    let folder = folder.rsplit('/').next().unwrap_or("");
    let suffix = name.rsplit_once('.').map_or("", |(_, suffix)| suffix);
    match suffix {
        _ if name == "nix-cache-info" => "text/x-nix-cache-info",
        "narinfo" => "text/x-nix-narinfo",
        "nar" => "application/x-nix-nar",
        _ if name.contains(".nar.") => "application/x-nix-nar",
        "ls" | "doi" | "json" => "application/json",
        "debug" if folder == "debuginfo" => "application/json",
        "drv" if folder == "log" => "text/plain; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// What one file in `.s3/meta/` holds.
#[derive(Serialize, Deserialize)]
struct Description {
    key: String,
    headers: Headers,
}

/// The descriptions in `.s3/meta/`.
#[derive(Debug)]
pub struct HeaderStore {
    dir: PathBuf,
    /// False as long as no object has any, which saves a look on every read.
    any: AtomicBool,
}

impl HeaderStore {
    /// Opens the store in a folder, which is made when missing.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(dir: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        let any = fs::read_dir(&dir)?.next().is_some();
        Ok(Self {
            dir,
            any: AtomicBool::new(any),
        })
    }

    fn path(&self, key: ObjectKey<'_>, version: &Version) -> PathBuf {
        let mut name = String::with_capacity(64);
        for byte in &Sha256::digest(key.as_str())[..16] {
            name.push_str(&format!("{byte:02x}"));
        }
        let shard = name[..2].to_owned();
        name.push_str(&format!("-{:x}-{:x}", version.size, version.modified));
        self.dir.join(shard).join(name)
    }

    /// The headers of one version of an object; the defaults where none were kept.
    ///
    /// # Errors
    /// When a description is there and cannot be read: an object without its encoding would be another object.
    pub fn get(&self, key: ObjectKey<'_>, version: &Version) -> io::Result<Headers> {
        if !self.any.load(Ordering::Acquire) {
            return Ok(Headers::default());
        }
        match fs::read(self.path(key, version)) {
            Ok(text) => {
                let description: Description = serde_json::from_slice(&text)?;
                Ok(if description.key == key.as_str() {
                    description.headers
                } else {
                    Headers::default()
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Headers::default()),
            Err(error) => Err(error),
        }
    }

    /// Keeps the headers of a version that is about to be published. Defaults take no file.
    ///
    /// # Errors
    /// When the description cannot be written.
    pub fn put(
        &self,
        key: ObjectKey<'_>,
        version: &Version,
        headers: &Headers,
        durable: bool,
    ) -> io::Result<()> {
        if *headers == Headers::default() {
            return Ok(());
        }
        let path = self.path(key, version);
        let shard = path.parent().unwrap_or(&self.dir);
        match fs::create_dir(shard) {
            Ok(()) if durable => fs::File::open(&self.dir)?.sync_all()?,
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let mut file = fs::File::create(&path)?;
        let text = serde_json::to_vec(&Description {
            key: key.as_str().to_owned(),
            headers: headers.clone(),
        })?;
        file.write_all(&text)?;
        if durable {
            file.sync_all()?;
            fs::File::open(shard)?.sync_all()?;
        }
        self.any.store(true, Ordering::Release);
        Ok(())
    }

    /// Forgets the headers of a version that is gone.
    pub fn remove(&self, key: ObjectKey<'_>, version: &Version) {
        if self.any.load(Ordering::Acquire) {
            // A description that stays describes nothing; the next start sweeps it.
            let _ = fs::remove_file(self.path(key, version));
        }
    }

    /// Removes descriptions older than `before` whose object has changed or gone.
    /// `current` tells the present version of a key.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn sweep(
        &self,
        before: std::time::SystemTime,
        current: impl Fn(&str) -> Option<Version>,
    ) -> io::Result<u64> {
        let mut removed = 0;
        for shard in fs::read_dir(&self.dir)? {
            let shard = shard?.path();
            if !shard.is_dir() {
                continue;
            }
            for entry in fs::read_dir(&shard)? {
                let path = entry?.path();
                let old = fs::metadata(&path)
                    .and_then(|found| found.modified())
                    .is_ok_and(|time| time < before);
                if old
                    && !self.describes_something(&path, &current)
                    && fs::remove_file(&path).is_ok()
                {
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    fn describes_something(&self, path: &Path, current: impl Fn(&str) -> Option<Version>) -> bool {
        let Ok(text) = fs::read(path) else {
            return true;
        };
        let Ok(description) = serde_json::from_slice::<Description>(&text) else {
            return false;
        };
        let Ok(key) = ObjectKey::parse(&description.key) else {
            return false;
        };
        current(key.as_str()).is_some_and(|version| self.path(key, &version) == path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> ObjectKey<'_> {
        ObjectKey::parse(text).unwrap()
    }

    #[test]
    fn each_kind_of_object_has_the_type_that_nix_sends() {
        for (name, expected) in [
            ("nix-cache-info", "text/x-nix-cache-info"),
            ("deep/nix-cache-info", "text/x-nix-cache-info"),
            (
                "00000000000000000000000000000000.narinfo",
                "text/x-nix-narinfo",
            ),
            ("nar/x.nar", "application/x-nix-nar"),
            ("nar/x.nar.xz", "application/x-nix-nar"),
            ("x.ls", "application/json"),
            ("debuginfo/ab.debug", "application/json"),
            ("other/ab.debug", "application/octet-stream"),
            ("realisations/sha256:ab!out.doi", "application/json"),
            ("log/x.drv", "text/plain; charset=utf-8"),
            ("x", "application/octet-stream"),
        ] {
            assert_eq!(default_content_type(key(name)), expected, "{name}");
        }
    }

    #[test]
    fn defaults_and_the_transfer_form_are_not_kept() {
        let given = Headers {
            content_type: Some("text/x-nix-narinfo".into()),
            content_encoding: Some("aws-chunked".into()),
            ..Headers::default()
        };
        assert_eq!(given.without_defaults(key("a.narinfo")), Headers::default());
        let given = Headers {
            content_encoding: Some("zstd, aws-chunked".into()),
            ..Headers::default()
        };
        assert_eq!(
            given
                .without_defaults(key("a.narinfo"))
                .content_encoding
                .as_deref(),
            Some("zstd")
        );
    }

    #[test]
    fn headers_belong_to_one_version() {
        let dir = tempfile::tempdir().unwrap();
        let store = HeaderStore::open(dir.path().join("meta")).unwrap();
        let version = Version {
            inode: 1,
            size: 5,
            modified: 9,
        };
        let headers = Headers {
            content_encoding: Some("zstd".into()),
            ..Headers::default()
        };
        assert_eq!(store.get(key("a"), &version).unwrap(), Headers::default());
        store.put(key("a"), &version, &headers, true).unwrap();
        assert_eq!(store.get(key("a"), &version).unwrap(), headers);
        assert_eq!(store.get(key("b"), &version).unwrap(), Headers::default());
        // A copy of the folder has other inodes and the same times.
        assert_eq!(
            store
                .get(
                    key("a"),
                    &Version {
                        inode: 2,
                        ..version
                    }
                )
                .unwrap(),
            headers
        );
        assert_eq!(
            store
                .get(
                    key("a"),
                    &Version {
                        modified: 10,
                        ..version
                    }
                )
                .unwrap(),
            Headers::default()
        );

        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
        assert_eq!(store.sweep(later, |_| Some(version)).unwrap(), 0);
        assert_eq!(
            store
                .sweep(later, |_| Some(Version {
                    modified: 10,
                    ..version
                }))
                .unwrap(),
            1
        );
        assert_eq!(store.get(key("a"), &version).unwrap(), Headers::default());
    }
}
