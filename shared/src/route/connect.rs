//! Addresses of Connect: the generator with all its choices, merge, doctor, live check, explain.
//!
//! What is chosen is in the address, so that a README can link to it. What is secret is not: no
//! token, and nothing that was pasted.

use std::fmt;

use super::text::{QueryWriter, escape, is_segment, pairs, unescape_value};
use super::{Route, RouteError};

/// A set of words that an address knows.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident as $parameter:literal, default $default:ident {
        $($(#[$each:meta])* $variant:ident = $word:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$each])* $variant,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self::$default
            }
        }

        impl $name {
            /// Every one, in the order shown.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its word in the address.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            fn read(word: &str) -> Result<Self, RouteError> {
                let mut all = Self::ALL.iter().copied();
                all.find(|known| known.as_str() == word)
                    .ok_or_else(|| RouteError::parameter($parameter, word))
            }
        }
    };
}

words! {
    /// What the generator writes: where the lines go.
    ConnectTarget as "target", default NixConf {
        /// Lines for the system's `nix.conf`.
        NixConf = "nix-conf",
        /// Lines for Determinate Nix's `nix.custom.conf`.
        Determinate = "determinate",
        /// Lines for a user who is not an admin, and lines for the admin.
        User = "managed-user",
        /// A NixOS module.
        NixOs = "nixos",
        /// NixOS, by an input of a flake.
        NixOsFlake = "nixos-flake",
        /// A module of home-manager.
        HomeManager = "home-manager",
        /// A module of nix-darwin.
        NixDarwin = "nix-darwin",
        /// `nixConfig` of a flake.
        Flake = "flake",
        /// GitHub Actions.
        GitHub = "github-actions",
        /// GitLab CI.
        GitLab = "gitlab-ci",
        /// devenv.
        Devenv = "devenv",
        /// A Dockerfile.
        Docker = "dockerfile",
        /// The install script.
        Install = "installer",
        /// A netrc file.
        Netrc = "netrc",
        /// direnv, or the environment of a shell.
        Direnv = "direnv",
        /// Options of one command.
        Command = "command",
    }
}

words! {
    /// Who somebody is on the machine.
    ConnectScope as "scope", default Unknown {
        /// They have not said.
        Unknown = "unknown",
        /// An admin, root.
        Admin = "admin",
        /// A normal user of a managed machine.
        User = "user",
        /// A single-user installation: the user owns the store.
        Single = "single",
        /// A job of CI.
        Ci = "ci",
    }
}

words! {
    /// Which Nix is on the machine.
    ConnectFlavour as "flavour", default Nix {
        /// Nix 2.4 or newer.
        Nix = "nix",
        /// Determinate Nix.
        Determinate = "determinate",
        /// Lix.
        Lix = "lix",
        /// Nix before 2.4.
        Old = "old",
    }
}

words! {
    /// How the machine reads the cache.
    ConnectAccess as "access", default Auto {
        /// As the cache is: with a token where it is private.
        Auto = "auto",
        /// Without a token.
        Public = "public",
        /// With a token in a netrc file.
        Token = "token",
        /// Straight from the bucket.
        S3 = "s3",
    }
}

words! {
    /// The action that installs Nix in a workflow of GitHub.
    ConnectInstaller as "installer", default InstallNix {
        /// `cachix/install-nix-action`
        InstallNix = "install-nix",
        /// `DeterminateSystems/nix-installer-action`
        Determinate = "determinate",
        /// `nixbuild/nix-quick-install-action`
        Quick = "quick",
    }
}

words! {
    /// A setting beside the two lines.
    ConnectExtra as "extras", default Fallback {
        /// `fallback = true`
        Fallback = "fallback",
        /// `connect-timeout`
        Timeout = "timeout",
        /// `narinfo-cache-negative-ttl`, as short as it can be.
        Misses = "misses",
        /// The bucket itself as a second substituter.
        Bucket = "bucket",
    }
}

/// What is chosen on the generator's page.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ConnectQuery {
    /// Slugs of the chosen caches.
    pub caches: Vec<String>,
    /// Where the lines go; `None`: the address does not say, and the page guesses.
    pub target: Option<ConnectTarget>,
    /// Who somebody is there.
    pub scope: ConnectScope,
    /// How the cache is read.
    pub access: ConnectAccess,
    /// Which Nix.
    pub flavour: ConnectFlavour,
    /// Which action installs Nix in a workflow of GitHub.
    pub installer: ConnectInstaller,
    /// In which place the caches are asked; `None`: as each of them says.
    pub priority: Option<u16>,
    /// What is set beside.
    pub extras: Vec<ConnectExtra>,
}

/// A page of Connect.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ConnectRoute {
    /// `/connect`: lines for a machine's configuration.
    Generate(ConnectQuery),
    /// `/connect/merge`: the same lines put into a file that is there.
    Merge {
        /// Slugs of the chosen caches.
        caches: Vec<String>,
    },
    /// `/connect/doctor`: what is wrong in a configuration.
    Doctor {
        /// Slugs of the chosen caches.
        caches: Vec<String>,
    },
    /// `/connect/live/{token}`: does a machine use the cache?
    Live {
        /// Slug of the cache; `None`: still to be chosen.
        cache: Option<String>,
        /// Names the check; `None`: none has begun.
        token: Option<String>,
    },
    /// `/explain`: what an error of Nix means.
    Explain {
        /// The error, where an address has it. What is pasted into the page is not put there.
        error: String,
    },
}

impl ConnectQuery {
    /// One cache, all else as it is by default.
    pub fn of(cache: impl Into<String>) -> Self {
        Self {
            caches: vec![cache.into()],
            ..Self::default()
        }
    }
}

impl From<ConnectRoute> for Route {
    fn from(route: ConnectRoute) -> Self {
        Self::Connect(route)
    }
}

/// The slugs of a list: the commas between them are not escaped, those inside one are.
fn slugs(list: &str) -> Vec<String> {
    list.split(',')
        .filter_map(unescape_value)
        .filter(|slug| is_segment(slug))
        .collect()
}

fn write_slugs(out: &mut QueryWriter<'_, '_>, caches: &[String]) -> fmt::Result {
    if caches.is_empty() {
        return Ok(());
    }
    let slugs: Vec<String> = caches.iter().map(|slug| escape(slug).to_string()).collect();
    out.pair("caches", &slugs.join(","))
}

impl ConnectRoute {
    /// The page of a path's segments; `None` where it is another's.
    pub(super) fn parse(segments: &[&str], query: &str) -> Option<Result<Self, RouteError>> {
        let value = |wanted: &str| {
            pairs(query)
                .find(|(name, _)| *name == wanted)
                .map(|(_, value)| value)
        };
        let caches = || {
            let raw = query
                .split('&')
                .find_map(|pair| pair.strip_prefix("caches="));
            raw.map_or_else(Vec::new, slugs)
        };
        Some(Ok(match segments {
            ["connect"] => {
                return Some(ConnectQuery::parse(query, caches()).map(Self::Generate));
            }
            ["connect", "merge"] => Self::Merge { caches: caches() },
            ["connect", "doctor"] => Self::Doctor { caches: caches() },
            ["connect", "live"] => Self::Live {
                cache: value("cache").filter(|slug| is_segment(slug)),
                token: None,
            },
            ["connect", "live", token] => Self::Live {
                cache: value("cache").filter(|slug| is_segment(slug)),
                token: Some((*token).to_owned()),
            },
            ["explain"] => Self::Explain {
                error: value("e").unwrap_or_default(),
            },
            _ => return None,
        }))
    }
}

impl ConnectQuery {
    fn parse(query: &str, caches: Vec<String>) -> Result<Self, RouteError> {
        let mut parsed = Self {
            caches,
            ..Self::default()
        };
        for (name, value) in pairs(query) {
            match name {
                "target" => parsed.target = Some(ConnectTarget::read(&value)?),
                "scope" => parsed.scope = ConnectScope::read(&value)?,
                "access" => parsed.access = ConnectAccess::read(&value)?,
                "flavour" => parsed.flavour = ConnectFlavour::read(&value)?,
                "installer" => parsed.installer = ConnectInstaller::read(&value)?,
                "priority" => {
                    let number = value.parse();
                    let number = number.map_err(|_| RouteError::parameter("priority", &value))?;
                    parsed.priority = Some(number);
                }
                "extras" => {
                    for word in value.split(',') {
                        let extra = ConnectExtra::read(word)?;
                        if !parsed.extras.contains(&extra) {
                            parsed.extras.push(extra);
                        }
                    }
                    parsed.extras.sort_unstable();
                }
                _ => {}
            }
        }
        Ok(parsed)
    }

    fn write(&self, out: &mut QueryWriter<'_, '_>) -> fmt::Result {
        write_slugs(out, &self.caches)?;
        if let Some(target) = self.target {
            out.pair("target", &target.as_str())?;
        }
        for (name, word, default) in [
            (
                "scope",
                self.scope.as_str(),
                ConnectScope::default().as_str(),
            ),
            (
                "access",
                self.access.as_str(),
                ConnectAccess::default().as_str(),
            ),
            (
                "flavour",
                self.flavour.as_str(),
                ConnectFlavour::default().as_str(),
            ),
            (
                "installer",
                self.installer.as_str(),
                ConnectInstaller::default().as_str(),
            ),
        ] {
            if word != default {
                out.pair(name, &word)?;
            }
        }
        if let Some(priority) = self.priority {
            out.pair("priority", &priority)?;
        }
        if !self.extras.is_empty() {
            let words: Vec<&str> = self.extras.iter().map(|extra| extra.as_str()).collect();
            out.pair("extras", &words.join(","))?;
        }
        Ok(())
    }
}

impl fmt::Display for ConnectRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generate(_) => f.write_str("/connect")?,
            Self::Merge { .. } => f.write_str("/connect/merge")?,
            Self::Doctor { .. } => f.write_str("/connect/doctor")?,
            Self::Live { token: None, .. } => f.write_str("/connect/live")?,
            Self::Live {
                token: Some(token), ..
            } => write!(f, "/connect/live/{}", escape(token))?,
            Self::Explain { .. } => f.write_str("/explain")?,
        }
        let mut out = QueryWriter {
            out: f,
            separator: '?',
        };
        match self {
            Self::Generate(query) => query.write(&mut out),
            Self::Merge { caches } | Self::Doctor { caches } => write_slugs(&mut out, caches),
            Self::Live { cache, .. } => out.text("cache", cache.as_deref().unwrap_or_default()),
            Self::Explain { error } => out.text("e", error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_of_connect_is_read_back() {
        let all = ConnectQuery {
            caches: vec!["main".into(), "a,b".into()],
            target: Some(ConnectTarget::GitHub),
            scope: ConnectScope::Ci,
            access: ConnectAccess::Token,
            flavour: ConnectFlavour::Determinate,
            installer: ConnectInstaller::Quick,
            priority: Some(30),
            extras: vec![ConnectExtra::Fallback, ConnectExtra::Misses],
        };
        let caches = vec!["main".to_owned(), "team".to_owned()];
        for (route, text) in [
            (ConnectRoute::Generate(ConnectQuery::default()), "/connect"),
            (
                ConnectRoute::Generate(all),
                "/connect?caches=main,a%2Cb&target=github-actions&scope=ci&access=token&flavour=determinate&installer=quick&priority=30&extras=fallback,misses",
            ),
            (
                // Said, though it is what is taken where nothing is said.
                ConnectRoute::Generate(ConnectQuery {
                    target: Some(ConnectTarget::NixConf),
                    ..ConnectQuery::default()
                }),
                "/connect?target=nix-conf",
            ),
            (
                ConnectRoute::Merge {
                    caches: caches.clone(),
                },
                "/connect/merge?caches=main,team",
            ),
            (
                ConnectRoute::Doctor { caches },
                "/connect/doctor?caches=main,team",
            ),
            (
                ConnectRoute::Live {
                    cache: Some("main".into()),
                    token: None,
                },
                "/connect/live?cache=main",
            ),
            (
                ConnectRoute::Live {
                    cache: Some("main".into()),
                    token: Some("0c0d".into()),
                },
                "/connect/live/0c0d?cache=main",
            ),
            (
                ConnectRoute::Explain {
                    error: "error: a & b".into(),
                },
                "/explain?e=error%3A%20a%20%26%20b",
            ),
        ] {
            let route = Route::Connect(route);
            assert_eq!(route.to_string(), text);
            assert_eq!(text.parse(), Ok(route));
        }
    }

    #[test]
    fn words_that_mean_nothing_are_named() {
        for (address, name, value) in [
            ("/connect?target=windows", "target", "windows"),
            ("/connect?scope=god", "scope", "god"),
            ("/connect?access=none", "access", "none"),
            ("/connect?flavour=vanilla", "flavour", "vanilla"),
            ("/connect?extras=fallback,x", "extras", "x"),
            ("/connect?installer=x", "installer", "x"),
            ("/connect?priority=-1", "priority", "-1"),
            ("/connect?priority=99999", "priority", "99999"),
        ] {
            let wrong = RouteError::Parameter {
                name,
                value: value.to_owned(),
            };
            assert_eq!(address.parse::<Route>(), Err(wrong));
        }
        assert_eq!(
            "/connect?url=https://evil.example&key=evil-1:AAAA&target=".parse(),
            Ok(Route::Connect(ConnectRoute::Generate(
                ConnectQuery::default()
            ))),
            "nothing of a foreign cache is taken from a link"
        );
    }
}
