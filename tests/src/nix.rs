//! Real Nix, isolated: its own home, its own configuration, a store in a folder.
//!
//! Two generations are driven the same way: the system's (Debian's 2.8) and a
//! newer one that `tests/run` unpacks beside it. An unknown newer version runs
//! and reports which it is.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use crate::component;

/// A Nix client with a home of its own.
pub struct Nix {
    launcher: Vec<String>,
    home: TempDir,
    /// What `nix --version` says, such as `nix (Nix) 2.8.0`.
    pub version: String,
}

/// How a command ended.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code 0.
    pub success: bool,
    /// What it printed for programs, trimmed.
    pub stdout: String,
    /// What it printed for people.
    pub stderr: String,
}

impl Outcome {
    /// The output of a command that has to succeed.
    ///
    /// # Errors
    /// When it did not, with what it said.
    pub fn ok(self) -> anyhow::Result<String> {
        ensure!(
            self.success,
            "the command failed:\n{}\n{}",
            self.stdout,
            self.stderr
        );
        Ok(self.stdout)
    }
}

impl Nix {
    /// The system's Nix, which can also build. `None` where it was skipped by name.
    ///
    /// # Errors
    /// When it is missing.
    pub fn system() -> anyhow::Result<Option<Self>> {
        if component::skipped(component::NIX) {
            return Ok(None);
        }
        Self::new(Vec::new()).map(Some)
    }

    /// The newer Nix; it cannot build. `None` where it was skipped by name.
    ///
    /// # Errors
    /// When it is missing.
    pub fn newer() -> anyhow::Result<Option<Self>> {
        if component::skipped(component::NIX_NEWER) {
            return Ok(None);
        }
        let launcher = component::tools().join("nix-newer/nix");
        ensure!(
            launcher.is_file(),
            "the newer Nix is missing: run `sh tests/tools/newer_nix.sh {}`, or set SNOWBANK_SKIP=nix-newer",
            launcher.parent().unwrap_or(&launcher).display()
        );
        Self::new(vec![launcher.display().to_string()]).map(Some)
    }

    /// Every client that was not skipped.
    ///
    /// # Errors
    /// When one is missing.
    pub fn each() -> anyhow::Result<Vec<Self>> {
        Ok([Self::system()?, Self::newer()?]
            .into_iter()
            .flatten()
            .collect())
    }

    fn new(launcher: Vec<String>) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new().prefix("snowbank-nix-").tempdir()?;
        let mut nix = Self {
            launcher,
            home,
            version: String::new(),
        };
        nix.version = nix
            .run("nix", &["--version"])
            .and_then(Outcome::ok)
            .context("asking Nix for its version")?;
        println!("using {}", nix.version);
        Ok(nix)
    }

    /// A folder of its own: home, disk caches, room for stores.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A command of Nix (`nix`, `nix-store`, …) in this client's surroundings,
    /// ended by force after two minutes.
    pub fn command(&self, tool: &str) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", "120"])
            .args(&self.launcher)
            .arg(tool);
        self.surround(&mut command);
        command
    }

    /// Gives any command this client's surroundings, and nothing of ours but `PATH`.
    pub fn surround(&self, command: &mut Command) {
        let home = self.home.path();
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("NIX_CONF_DIR", home.join("conf"))
            .env("NIX_USER_CONF_FILES", "/dev/null")
            .env("NIX_REMOTE", "")
            .env("NIX_PATH", "")
            .env("LC_ALL", "C.UTF-8")
            .env("NIX_CONFIG", Self::config())
            .stdin(Stdio::null());
    }

    /// The configuration every call has: alone, quick to give up, able to build in a chroot store.
    pub fn config() -> String {
        let libraries = if Path::new("/lib64").exists() {
            " /lib64"
        } else {
            ""
        };
        format!(
            "build-users-group =\nsandbox = false\nsandbox-paths = /bin /usr /lib{libraries}\nsubstituters =\n\
             trusted-public-keys =\ndownload-attempts = 1\nconnect-timeout = 5\nmax-jobs = 2\nexperimental-features = nix-command\n"
        )
    }

    /// Runs a command of Nix to its end.
    ///
    /// # Errors
    /// When it cannot be started; that it fails is an [`Outcome`].
    pub fn run(&self, tool: &str, args: &[&str]) -> anyhow::Result<Outcome> {
        let output = self
            .command(tool)
            .args(args)
            .output()
            .with_context(|| format!("starting {tool}"))?;
        Ok(Outcome {
            success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// `nix-store -r PATH` into the store in the folder `store`, from one substituter and with one trusted key.
    pub fn substitute(
        &self,
        store: &Path,
        url: &str,
        key: &str,
        path: &str,
    ) -> anyhow::Result<Outcome> {
        let store = store.display().to_string();
        self.run(
            "nix-store",
            &[
                "--store",
                &store,
                "-r",
                path,
                "--option",
                "substituters",
                url,
                "--option",
                "trusted-public-keys",
                key,
            ],
        )
    }

    /// The closure of `path` in `store`, sorted, by `nix path-info -r`.
    pub fn closure(&self, store: &str, path: &str) -> anyhow::Result<Vec<String>> {
        let out = self
            .run("nix", &["path-info", "--recursive", "--store", store, path])?
            .ok()?;
        let mut paths: Vec<String> = out
            .lines()
            .map(|line| {
                line.split_whitespace()
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect();
        paths.sort();
        Ok(paths)
    }
}
