//! A real closure, built and signed by real Nix, once per checkout.
//!
//! The recipe lies in `fixtures/closure`: 25 paths that need nothing but
//! `/bin/sh` and coreutils, with executable roots, symlink roots, names of every
//! legal kind, self references and every sort of content address. Building it
//! takes about ten seconds, so the result is kept under `target/tools` and
//! found again by the recipe's hash.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::component;
use crate::nix::Nix;

/// Codecs in which the closure is published, as Nix names them.
pub const CODECS: [&str; 6] = ["xz", "zstd", "none", "br", "bzip2", "gzip"];

/// The closure on disk. Nothing in it is ever changed: copy what you mean to change.
pub struct Closure {
    folder: PathBuf,
    /// Full store path of its top.
    pub app: String,
    /// Full store path of a second root without references.
    pub doc: String,
    /// All store paths, sorted.
    pub paths: Vec<String>,
    /// The key that signed it, as nix.conf wants it.
    pub public_key: String,
}

impl Closure {
    /// The closure, built by `nix` where it is not there yet.
    ///
    /// # Errors
    /// When Nix cannot build it, with what it said.
    pub fn get(nix: &Nix) -> anyhow::Result<Self> {
        let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/closure");
        let mut hasher = DefaultHasher::new();
        for file in ["build.sh", "closure.nix"] {
            hasher.write(&fs::read(recipe.join(file))?);
        }
        let tools = component::tools();
        fs::create_dir_all(&tools)?;
        let folder = tools.join(format!("closure-{:016x}", hasher.finish()));
        // Tests run in processes of their own: the first one builds, the others wait.
        let lock = File::create(tools.join("closure.lock"))?;
        lock.lock()?;
        if !folder.join("complete").exists() {
            if folder.exists() {
                ensure!(
                    Command::new("chmod")
                        .args(["-R", "u+w"])
                        .arg(&folder)
                        .status()?
                        .success()
                );
                fs::remove_dir_all(&folder)?;
            }
            let mut build = Command::new("bash");
            nix.surround(&mut build);
            let output = build.arg(recipe.join("build.sh")).arg(&folder).output()?;
            ensure!(
                output.status.success(),
                "the closure cannot be built:\n{}",
                String::from_utf8_lossy(&output.stderr)
            );
            fs::write(folder.join("complete"), "")?;
        }
        drop(lock);
        let read = |name: &str| {
            fs::read_to_string(folder.join(name)).with_context(|| format!("reading {name}"))
        };
        Ok(Self {
            app: read("app.path")?.trim().to_owned(),
            doc: read("doc.path")?.trim().to_owned(),
            paths: read("paths.txt")?.lines().map(str::to_owned).collect(),
            public_key: read("key.pub")?.trim().to_owned(),
            folder,
        })
    }

    /// The binary cache in that codec.
    pub fn cache(&self, codec: &str) -> PathBuf {
        self.folder.join(format!("cache-{codec}"))
    }

    /// A public key that did not sign it: `other` has another name, `imposter` the same.
    pub fn public_key_of(&self, who: &str) -> anyhow::Result<String> {
        Ok(fs::read_to_string(self.folder.join(format!("{who}.pub")))?
            .trim()
            .to_owned())
    }

    /// The secret key's file.
    pub fn secret_key_file(&self) -> PathBuf {
        self.folder.join("key.sec")
    }

    /// The store it was built in, for `--store`.
    pub fn store(&self) -> PathBuf {
        self.folder.join("root")
    }
}
