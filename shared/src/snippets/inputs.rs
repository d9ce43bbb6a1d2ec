//! What a template is filled with.

use crate::nix_conf::merge::{Addition, Part};
use crate::nix_conf::{ClientSettings, SubstituterUrl};

/// A cache of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// Its name in addresses.
    pub slug: String,
    /// Its name for people.
    pub title: String,
    /// The address of its page, `https://console/c/SLUG`.
    pub page: String,
    /// Its URL and keys.
    pub settings: ClientSettings,
    /// The bucket's own address, where clients can read it: asked second, with the same key.
    pub bucket: Option<SubstituterUrl>,
    /// It is not of this console: no token of ours is for it, and no script or flake of ours
    /// names it.
    pub foreign: bool,
}

/// What runs on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum System {
    /// Nobody said.
    #[default]
    Any,
    /// Linux.
    Linux,
    /// macOS.
    MacOs,
}

/// What one may do on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Scope {
    /// Root, or somebody who can become root.
    #[default]
    Admin,
    /// A normal user of a machine with a daemon.
    User,
    /// The user owns the store; there is no daemon.
    SingleUser,
    /// A CI runner, which ends after the job.
    CiRunner,
    /// Nobody said.
    Unknown,
}

/// Which Nix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Flavour {
    /// Nix from 2.4 on.
    #[default]
    Nix,
    /// Determinate Nix.
    Determinate,
    /// Lix.
    Lix,
    /// Nix before 2.4.
    Old,
}

/// How the cache is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Access {
    /// By anybody.
    #[default]
    Public,
    /// With a token in a netrc.
    Token,
    /// The bucket itself, by `s3://`.
    S3,
}

/// The action that installs Nix in a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum GithubInstaller {
    /// `cachix/install-nix-action`.
    #[default]
    InstallNix,
    /// `DeterminateSystems/nix-installer-action`.
    Determinate,
    /// `nixbuild/nix-quick-install-action`.
    Quick,
}

/// Lines that not everybody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Extras {
    /// Seconds after which a connection that does not come about is given up.
    pub connect_timeout: Option<u32>,
    /// Build where a download fails.
    pub fallback: bool,
    /// Seconds for which a path that was not found is not asked for again.
    pub negative_ttl: Option<u32>,
}

/// All that a template is filled with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inputs {
    /// The caches, at least one.
    pub caches: Vec<Cache>,
    /// What one may do there.
    pub scope: Scope,
    /// Which Nix.
    pub flavour: Flavour,
    /// What it runs on.
    pub system: System,
    /// How the caches are reached.
    pub access: Access,
    /// The token of a private cache, where it is known; else a placeholder is written.
    pub token: Option<String>,
    /// Lines that not everybody wants.
    pub extras: Extras,
    /// For GitHub Actions.
    pub installer: GithubInstaller,
}

/// Why a template is not filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputsError {
    /// No cache was chosen.
    #[error("no cache is chosen")]
    NoCache,
    /// Something that a shell or a CI would take for its own.
    #[error("the name of the key {0} holds characters that a shell or a CI would read as its own")]
    KeyName(String),
    /// Blanks or control characters would break out of the line.
    #[error("a token is one word of printable characters")]
    Token,
    /// Seconds from 1 to a day.
    #[error("a time is 1 to 86400 seconds")]
    Seconds,
    /// The install script and the flake are those of caches of this console.
    #[error(
        "the install script and the flake hold caches of this server only: choose another place"
    )]
    Foreign,
}

impl Inputs {
    /// Checks that everything can stand in every language that a template is written in.
    ///
    /// # Errors
    /// What cannot.
    pub fn check(&self) -> Result<(), InputsError> {
        if self.caches.is_empty() {
            return Err(InputsError::NoCache);
        }
        for key in self.caches.iter().flat_map(|cache| cache.settings.keys()) {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-@/".contains(&byte);
            if !key.name().bytes().all(plain) {
                return Err(InputsError::KeyName(key.name().to_owned()));
            }
        }
        let word = |token: &String| {
            !token.is_empty()
                && token.len() <= 4096
                && token.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !self.token.as_ref().is_none_or(word) {
            return Err(InputsError::Token);
        }
        let extras = [self.extras.connect_timeout, self.extras.negative_ttl];
        if extras
            .into_iter()
            .flatten()
            .any(|seconds| !(1..=86_400).contains(&seconds))
        {
            return Err(InputsError::Seconds);
        }
        Ok(())
    }

    /// The same without caches of others.
    pub(super) fn own(&self) -> Self {
        let mut own = self.clone();
        own.caches.retain(|cache| !cache.foreign);
        own
    }

    /// What Merge puts into a file, one after the other: the blocks of the target nix.conf,
    /// each under its cache's own page.
    pub fn additions(&self, part: Part) -> Vec<Addition> {
        let one = |cache: &Cache| {
            let settings = cache.settings.clone();
            let bucket = cache.bucket.clone();
            let settings = match bucket {
                Some(bucket) => settings.and(ClientSettings::new(bucket, [])),
                None => settings,
            };
            Addition {
                part,
                ..Addition::new(settings, &cache.title, &cache.page)
            }
        };
        self.caches.iter().map(one).collect()
    }

    /// All URLs in the order asked: the caches, then their buckets.
    pub(super) fn urls(&self) -> Vec<String> {
        let own = self.caches.iter().flat_map(|cache| cache.settings.urls());
        let buckets = self.caches.iter().filter_map(|cache| cache.bucket.as_ref());
        unique(own.chain(buckets).map(ToString::to_string))
    }

    /// All keys, each once.
    pub(super) fn keys(&self) -> Vec<String> {
        let keys = self.caches.iter().flat_map(|cache| cache.settings.keys());
        unique(keys.map(ToString::to_string))
    }

    /// The hosts that a netrc names: of the caches of this console and no others, because a token
    /// of ours is sent there. What a cache's settings name beside itself, such as its upstreams,
    /// gets none either.
    pub(super) fn hosts(&self) -> Vec<String> {
        let own = self.caches.iter().filter(|cache| !cache.foreign);
        unique(own.filter_map(|cache| {
            let url = cache.settings.urls().first()?;
            let (scheme, rest) = url.as_str().split_once("://")?;
            let authority = rest.split(['/', '?']).next()?;
            let host = match authority.rsplit_once(':') {
                Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
                _ => authority,
            };
            scheme
                .starts_with("http")
                .then(|| host.trim_matches(['[', ']']).to_owned())
        }))
    }
}

fn unique(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut all = Vec::new();
    for value in values {
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all
}
