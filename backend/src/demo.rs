//! The bucket of `snowbank demo`: a small real closure to look at, carried in the binary.
//!
//! It was built and signed by real Nix (`tests/fixtures/demo`): a make-believe
//! distribution of some thirty packages, two versions of the application on
//! top, and the three-path closure of the acceptance list. Beside them lie a
//! few entries that are broken on purpose — a narinfo that cannot be read, an
//! archive that is missing, one that is cut short, a tampered reference, a
//! stranger's signature, no signature, a content address that does not hold, a
//! reference to nowhere, and the two narinfos of June 2026 that claim the same
//! archive — so that findings and statuses have something to show.
//!
//! The fixture is a NAR of the bucket's folder, compressed with zstd: the
//! server's own parser unpacks it. Only public keys are in it; the secret ones
//! were thrown away when it was made.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use snowbank_shared::nar::{Event, NarError, NarParser};

const BUCKET: &[u8] = include_bytes!("../../tests/fixtures/demo/demo.nar.zst");
const PUBLIC_KEY: &str = include_str!("../../tests/fixtures/demo/demo.pub");

/// The demo's bucket on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demo {
    /// The folder that is the bucket: a plain `file://` binary cache.
    pub bucket: PathBuf,
    /// The key that signed the closure, as `name:base64`; clients have to trust it.
    pub public_key: String,
    /// The full store path to show a newcomer: the top of the largest closure.
    pub top: String,
}

/// Why the demo could not be laid out.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The disk refuses.
    #[error("cannot write the demo's bucket to {}: {source}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The binary carries something else than was built into it.
    #[error("the demo's archive inside this binary is damaged: {0}")]
    Archive(#[from] NarError),
    /// The same, below the NAR.
    #[error("the demo's archive inside this binary cannot be decompressed: {0}")]
    Compression(io::Error),
}

/// Lays the demo's bucket out in `folder`/bucket.
///
/// What already lies there under the same names is replaced; anything else stays.
///
/// # Errors
/// When the folder cannot be written, or the binary is damaged.
pub fn prepare(folder: &Path) -> Result<Demo, DemoError> {
    let bucket = folder.join("bucket");
    let archive = zstd::decode_all(BUCKET).map_err(DemoError::Compression)?;
    let mut unpack = Unpack {
        path: bucket.clone(),
        file: None,
        failed: None,
        top: None,
    };
    let mut parser = NarParser::new();
    parser.push(&archive, &mut |event| unpack.take(event))?;
    parser.finish()?;
    match unpack.failed {
        Some((path, source)) => Err(DemoError::Write { path, source }),
        None => Ok(Demo {
            bucket,
            public_key: PUBLIC_KEY.trim().to_owned(),
            top: unpack.top.unwrap_or_default(),
        }),
    }
}

/// Turns the archive's events into files below where it began.
struct Unpack {
    /// The node that comes next, or the open directory.
    path: PathBuf,
    /// The open file and how many of its bytes are still to come.
    file: Option<(File, u64)>,
    failed: Option<(PathBuf, io::Error)>,
    top: Option<String>,
}

impl Unpack {
    fn take(&mut self, event: Event<'_>) {
        if self.failed.is_none()
            && let Err(error) = self.write(event)
        {
            self.failed = Some((self.path.clone(), error));
        }
    }

    fn write(&mut self, event: Event<'_>) -> io::Result<()> {
        match event {
            Event::Directory => fs::create_dir_all(&self.path),
            Event::Entry { name } => {
                let name = str::from_utf8(name).map_err(io::Error::other)?;
                self.path.push(name);
                Ok(())
            }
            // The directory was itself an entry of the one above it.
            Event::DirectoryEnd => {
                self.path.pop();
                Ok(())
            }
            Event::Regular { size, .. } => {
                self.file = Some((File::create(&self.path)?, size));
                self.contents(&[])
            }
            Event::Contents(bytes) => self.contents(bytes),
            Event::Symlink { .. } => Err(io::Error::other("a bucket holds no symbolic links")),
        }
    }

    fn contents(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some((file, left)) = &mut self.file else {
            return Ok(());
        };
        file.write_all(bytes)?;
        *left = left.saturating_sub(bytes.len() as u64);
        if self.top.is_none() {
            self.top = top_of(bytes);
        }
        if *left == 0 {
            self.file = None;
            self.path.pop();
        }
        Ok(())
    }
}

/// The store path, where the bytes are the narinfo of the demo's top.
fn top_of(narinfo: &[u8]) -> Option<String> {
    let path = str::from_utf8(narinfo)
        .ok()?
        .strip_prefix("StorePath: ")?
        .lines()
        .next()?;
    path.contains("-nixos-system-").then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_is_laid_out_whole() {
        let folder = tempfile::tempdir().unwrap();
        let demo = prepare(folder.path()).unwrap();
        let read = |name: &str| fs::read_to_string(demo.bucket.join(name)).unwrap();
        assert_eq!(read("nix-cache-info"), "StoreDir: /nix/store\n");
        // FX1 has the hashes of the acceptance list, and is signed twice.
        let top = read("xynxqns12h5f1dcq1j5x3c3232454njk.narinfo");
        assert!(
            top.contains("References: 2q7j6yg8p39a9agynmkwvp3ny6sjfj8k-mid-1.0\n"),
            "{top}"
        );
        assert!(
            top.contains("NarSize: 176\n")
                && top.contains("Sig: alice-1:")
                && top.contains("Sig: snowbank-demo-1:"),
            "{top}"
        );
        let url = top
            .lines()
            .find_map(|line| line.strip_prefix("URL: "))
            .unwrap();
        let size = top
            .lines()
            .find_map(|line| line.strip_prefix("FileSize: "))
            .unwrap();
        assert_eq!(
            fs::metadata(demo.bucket.join(url))
                .unwrap()
                .len()
                .to_string(),
            size
        );
        assert!(
            demo.public_key.starts_with("snowbank-demo-1:"),
            "{}",
            demo.public_key
        );
        assert!(
            demo.top.starts_with("/nix/store/")
                && demo.top.ends_with("-nixos-system-weisshorn-26.05"),
            "{}",
            demo.top
        );
        let narinfos = fs::read_dir(&demo.bucket)
            .unwrap()
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .path()
                    .extension()
                    .is_some_and(|e| e == "narinfo")
            })
            .count();
        assert_eq!(narinfos, 37);
    }

    #[test]
    fn it_can_be_laid_out_again() {
        let folder = tempfile::tempdir().unwrap();
        let first = prepare(folder.path()).unwrap();
        fs::write(first.bucket.join("nix-cache-info"), "spoilt").unwrap();
        assert_eq!(prepare(folder.path()).unwrap(), first);
        assert_eq!(
            fs::read_to_string(first.bucket.join("nix-cache-info")).unwrap(),
            "StoreDir: /nix/store\n"
        );
    }

    #[test]
    fn a_disk_that_refuses_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("bucket"),
            "a file where the folder should be",
        )
        .unwrap();
        let error = prepare(folder.path()).unwrap_err();
        assert!(error.to_string().contains("bucket"), "{error}");
    }
}
