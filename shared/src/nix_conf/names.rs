//! The settings that Nix knows: their names, old names, and which are lists. Measured with
//! `nix show-config --json` of 2.8.0 and `nix config show --json` of 2.34.8.

use std::fmt;
use std::str::FromStr;

/// Known to both generations.
const ALWAYS: &[&str] = &[
    "accept-flake-config",
    "access-tokens",
    "allow-dirty",
    "allow-import-from-derivation",
    "allow-new-privileges",
    "allow-symlinked-store",
    "allow-unsafe-native-code-during-evaluation",
    "allowed-impure-host-deps",
    "allowed-uris",
    "allowed-users",
    "auto-optimise-store",
    "bash-prompt",
    "bash-prompt-suffix",
    "build-hook",
    "build-poll-interval",
    "build-users-group",
    "builders",
    "builders-use-substitutes",
    "commit-lockfile-summary",
    "compress-build-log",
    "connect-timeout",
    "cores",
    "diff-hook",
    "download-attempts",
    "eval-cache",
    "experimental-features",
    "extra-platforms",
    "fallback",
    "filter-syscalls",
    "flake-registry",
    "fsync-metadata",
    "gc-reserved-space",
    "hashed-mirrors",
    "http-connections",
    "http2",
    "ignored-acls",
    "impersonate-linux-26",
    "keep-build-log",
    "keep-derivations",
    "keep-env-derivations",
    "keep-failed",
    "keep-going",
    "keep-outputs",
    "log-lines",
    "max-build-log-size",
    "max-free",
    "max-jobs",
    "max-silent-time",
    "min-free",
    "min-free-check-interval",
    "nar-buffer-size",
    "narinfo-cache-negative-ttl",
    "narinfo-cache-positive-ttl",
    "netrc-file",
    "nix-path",
    "plugin-files",
    "post-build-hook",
    "pre-build-hook",
    "preallocate-contents",
    "print-missing",
    "pure-eval",
    "require-sigs",
    "restrict-eval",
    "run-diff-hook",
    "sandbox",
    "sandbox-build-dir",
    "sandbox-dev-shm-size",
    "sandbox-fallback",
    "sandbox-paths",
    "secret-key-files",
    "show-trace",
    "stalled-download-timeout",
    "store",
    "substitute",
    "substituters",
    "sync-before-registering",
    "system",
    "system-features",
    "tarball-ttl",
    "timeout",
    "trace-function-calls",
    "trusted-public-keys",
    "trusted-substituters",
    "trusted-users",
    "use-case-hack",
    "use-registries",
    "use-sqlite-wal",
    "user-agent-suffix",
    "warn-dirty",
];

/// Known to 2.8 and gone in 2.34.
const GONE: &[&str] = &["enforce-determinism", "repeat"];

/// Known to 2.34 and not to 2.8.
const NEWER: &[&str] = &[
    "abort-on-warn",
    "allow-dirty-locks",
    "always-allow-substitutes",
    "auto-allocate-uids",
    "bash-prompt-prefix",
    "build-dir",
    "commit-lock-file-summary",
    "debugger-on-trace",
    "debugger-on-warn",
    "download-buffer-size",
    "download-speed",
    "eval-attrset-update-layer-rhs-threshold",
    "eval-profile-file",
    "eval-profiler",
    "eval-profiler-frequency",
    "eval-system",
    "external-builders",
    "fsync-store-paths",
    "id-count",
    "ignore-try",
    "impure-env",
    "json-log-path",
    "lint-absolute-path-literals",
    "lint-short-path-literals",
    "lint-url-literals",
    "max-call-depth",
    "max-substitution-jobs",
    "narinfo-cache-meta-ttl",
    "nix-shell-always-looks-for-shell-nix",
    "nix-shell-shebang-arguments-relative-to-script",
    "require-drop-supplementary-groups",
    "ssl-cert-file",
    "start-id",
    "trace-import-from-derivation",
    "trace-verbose",
    "trust-tarballs-from-git-forges",
    "upgrade-nix-store-path-url",
    "use-cgroups",
    "use-xdg-base-directories",
    "warn-large-path-threshold",
    "warn-short-path-literals",
];

/// Lists and tables: to these `extra-` appends.
const LISTS: &[&str] = &[
    "access-tokens",
    "allowed-impure-host-deps",
    "allowed-uris",
    "allowed-users",
    "experimental-features",
    "external-builders",
    "extra-platforms",
    "hashed-mirrors",
    "ignored-acls",
    "impure-env",
    "nix-path",
    "plugin-files",
    "sandbox-paths",
    "secret-key-files",
    "substituters",
    "system-features",
    "trusted-public-keys",
    "trusted-substituters",
    "trusted-users",
];

/// Old names, and what each stands for.
const ALIASES: &[(&str, &str)] = &[
    ("binary-cache-public-keys", "trusted-public-keys"),
    ("binary-caches", "substituters"),
    ("binary-caches-parallel-connections", "http-connections"),
    ("build-chroot-dirs", "sandbox-paths"),
    ("build-compress-log", "compress-build-log"),
    ("build-cores", "cores"),
    ("build-fallback", "fallback"),
    ("build-impersonate-linux-26", "impersonate-linux-26"),
    ("build-keep-log", "keep-build-log"),
    ("build-max-jobs", "max-jobs"),
    ("build-max-log-size", "max-build-log-size"),
    ("build-max-silent-time", "max-silent-time"),
    ("build-repeat", "repeat"),
    ("build-sandbox-paths", "sandbox-paths"),
    ("build-timeout", "timeout"),
    ("build-use-chroot", "sandbox"),
    ("build-use-sandbox", "sandbox"),
    ("build-use-substitutes", "substitute"),
    ("commit-lockfile-summary", "commit-lock-file-summary"),
    ("env-keep-derivations", "keep-env-derivations"),
    ("gc-keep-derivations", "keep-derivations"),
    ("gc-keep-outputs", "keep-outputs"),
    ("substitution-max-jobs", "max-substitution-jobs"),
    ("trusted-binary-caches", "trusted-substituters"),
];

/// A version of Nix: the first two numbers decide what it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NixVersion {
    /// 2.
    pub major: u16,
    /// 8, 34, …
    pub minor: u16,
}

impl NixVersion {
    /// The oldest that was measured.
    pub const OLD: Self = Self { major: 2, minor: 8 };
    /// The newest that was measured.
    pub const NEW: Self = Self {
        major: 2,
        minor: 34,
    };
}

/// Why a text is no version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a version of Nix is two numbers with a dot, such as 2.34")]
pub struct NixVersionError;

impl FromStr for NixVersion {
    type Err = NixVersionError;
    /// Reads `2.34`, `2.34.8`, and what `nix --version` prints.
    fn from_str(text: &str) -> Result<Self, NixVersionError> {
        let word = text.split_whitespace().last().ok_or(NixVersionError)?;
        let mut parts = word.split('.');
        let mut number = || {
            let part = parts.next().ok_or(NixVersionError)?;
            let digits = part.bytes().take_while(u8::is_ascii_digit).count();
            part[..digits].parse().map_err(|_| NixVersionError)
        };
        Ok(Self {
            major: number()?,
            minor: number()?,
        })
    }
}

impl fmt::Display for NixVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What a version makes of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It sets something.
    Yes,
    /// No version that was measured knows it.
    Never,
    /// Other versions know it, this one says “unknown setting”.
    NotInThis,
    /// It lies between the two that were measured.
    Perhaps,
}

/// A name, with what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    /// The setting's own name; for an unknown one as written.
    pub canonical: &'a str,
    /// It was written with `extra-`, and the setting can be appended to.
    pub extra: bool,
    /// It was written by an old name.
    pub alias: bool,
}

/// Finds what a name stands for. `extra-` before a setting that is no list is part of an
/// unknown name.
pub fn resolve(written: &str) -> Name<'_> {
    let plain = |name| {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
        (alias.map_or(name, |(_, name)| *name), alias.is_some())
    };
    if let Some(rest) = written.strip_prefix("extra-") {
        let (canonical, alias) = plain(rest);
        if LISTS.contains(&canonical) {
            return Name {
                canonical,
                extra: true,
                alias,
            };
        }
    }
    let (canonical, alias) = plain(written);
    Name {
        canonical,
        extra: false,
        alias,
    }
}

/// Whether a setting holds a list.
pub fn is_list(canonical: &str) -> bool {
    LISTS.contains(&canonical)
}

/// Whether a version knows a setting, by its own name.
pub fn known(canonical: &str, version: Option<NixVersion>) -> Known {
    if ALWAYS.contains(&canonical) {
        return Known::Yes;
    }
    let (old, new) = (GONE.contains(&canonical), NEWER.contains(&canonical));
    match version {
        _ if !old && !new => Known::Never,
        None => Known::Yes,
        Some(version) if version <= NixVersion::OLD => known_if(old),
        Some(version) if version >= NixVersion::NEW => known_if(new),
        Some(_) => Known::Perhaps,
    }
}

fn known_if(known: bool) -> Known {
    if known { Known::Yes } else { Known::NotInThis }
}

/// The setting that somebody meant who wrote `written`: the nearest name within two edits.
pub fn nearest(written: &str) -> Option<String> {
    let (prefix, rest) = match written.strip_prefix("extra-") {
        Some(rest) => ("extra-", rest),
        None => ("", written),
    };
    let all = [ALWAYS, NEWER, GONE].concat();
    let mut best: Option<(usize, &str)> = None;
    for name in all {
        let distance = edits(rest, name);
        if distance <= 2 && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, name));
        }
    }
    let (_, name) = best.filter(|(_, name)| prefix.is_empty() || is_list(name))?;
    Some(format!("{prefix}{name}"))
}

/// Edits of one character between two names; 3 stands for more than two.
fn edits(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len().abs_diff(b.len()) > 2 {
        return 3;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != y)).min(above.min(row[j]) + 1);
            diagonal = above;
        }
    }
    row[b.len()].min(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_resolved() {
        let name = |canonical, extra, alias| Name {
            canonical,
            extra,
            alias,
        };
        for (written, is) in [
            ("substituters", name("substituters", false, false)),
            ("extra-substituters", name("substituters", true, false)),
            ("binary-caches", name("substituters", false, true)),
            (
                "extra-trusted-binary-caches",
                name("trusted-substituters", true, true),
            ),
            ("extra-netrc-file", name("extra-netrc-file", false, false)),
        ] {
            assert_eq!(resolve(written), is, "{written}");
        }
    }

    #[test]
    fn typing_errors_find_what_was_meant() {
        for (written, meant) in [
            ("extra-substitutors", Some("extra-substituters")),
            ("trusted-public-key", Some("trusted-public-keys")),
            ("netrc-fiel", Some("netrc-file")),
            ("extra-netrc-file", None),
            ("something-else", None),
        ] {
            assert_eq!(nearest(written).as_deref(), meant, "{written}");
        }
    }

    #[test]
    fn versions_know_different_settings() {
        let version = |text: &str| Some(text.parse().expect("a version"));
        assert_eq!(
            known("build-dir", version("nix (Nix) 2.8.0")),
            Known::NotInThis
        );
        assert_eq!(known("build-dir", version("2.34.8")), Known::Yes);
        assert_eq!(known("build-dir", version("2.20")), Known::Perhaps);
        assert_eq!(known("build-dir", None), Known::Yes);
        assert_eq!(known("repeat", version("2.35pre1")), Known::NotInThis);
        assert_eq!(known("substituters", version("1.11")), Known::Yes);
        assert_eq!(known("nonsense", None), Known::Never);
        assert_eq!("two".parse::<NixVersion>(), Err(NixVersionError));
    }
}
