//! Package names and versions, read off the names of store paths as Nix reads them.
//!
//! `openssl-3.0.13-bin` is the package `openssl` in version `3.0.13`, its output `bin`. Nix
//! splits a name at the first dash that is not followed by a letter (`parseDrvName` in its
//! manual); it does not know of outputs, whose names follow the version. Versions are compared
//! as `builtins.compareVersions` does, so that this server and `nix-env -u` agree on what is newer.

use std::cmp::Ordering;

/// Names of outputs that nixpkgs gives to parts of a package.
const OUTPUTS: &[&str] = &[
    "bin", "debug", "dev", "devdoc", "devman", "dist", "doc", "env", "examples", "hs", "info",
    "lib", "libs", "man", "modules", "npm", "out", "py", "python", "sbin", "static", "terminfo",
    "tools", "xz",
];

/// A store path's name, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package<'a> {
    /// The package, without its version.
    pub name: &'a str,
    /// The version, without an output; empty where the name has none.
    pub version: &'a str,
    /// The output, where the name ends in one that nixpkgs uses.
    pub output: Option<&'a str>,
}

impl<'a> Package<'a> {
    /// Takes the name of a store path apart (what follows hash and dash).
    pub fn of(name: &'a str) -> Self {
        let (name, rest) = split(name);
        let (version, output) = match rest.rsplit_once('-') {
            Some((version, output)) if OUTPUTS.contains(&output) => (version, Some(output)),
            _ => (rest, None),
        };
        Self {
            name,
            version,
            output,
        }
    }
}

/// Name and version, as `builtins.parseDrvName` has them: the name ends at the first dash that
/// is not followed by a letter.
pub fn split(name: &str) -> (&str, &str) {
    let bytes = name.as_bytes();
    let at = (0..bytes.len()).find(|&at| {
        bytes[at] == b'-'
            && bytes
                .get(at + 1)
                .is_some_and(|next| !next.is_ascii_alphabetic())
    });
    match at {
        Some(at) => (&name[..at], &name[at + 1..]),
        None => (name, ""),
    }
}

/// Which of two versions is newer, as `builtins.compareVersions` decides.
///
/// Versions are runs of digits and runs of other characters, apart from `.` and `-`. Numbers
/// are compared as numbers, `pre` comes before everything, and a letter before a number.
pub fn compare_versions(one: &str, two: &str) -> Ordering {
    let (mut one, mut two) = (Components(one.as_bytes()), Components(two.as_bytes()));
    loop {
        match (one.next(), two.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) => {
                let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
                if is_less(a, b) {
                    return Ordering::Less;
                }
                if is_less(b, a) {
                    return Ordering::Greater;
                }
            }
        }
    }
}

/// The components of a version.
struct Components<'a>(&'a [u8]);

impl<'a> Iterator for Components<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self
            .0
            .iter()
            .position(|byte| !matches!(byte, b'.' | b'-'))?;
        let rest = &self.0[start..];
        let digits = rest[0].is_ascii_digit();
        let length = rest
            .iter()
            .position(|byte| byte.is_ascii_digit() != digits || matches!(byte, b'.' | b'-'))
            .unwrap_or(rest.len());
        let (component, after) = rest.split_at(length);
        self.0 = after;
        Some(component)
    }
}

/// A component as a number; like Nix's, it has 32 bits, and what is larger is text.
fn number(component: &[u8]) -> Option<i32> {
    std::str::from_utf8(component).ok()?.parse().ok()
}

fn is_less(one: &[u8], two: &[u8]) -> bool {
    match (number(one), number(two)) {
        (Some(a), Some(b)) => a < b,
        (_, b) => {
            if (one.is_empty() && b.is_some()) || (one == b"pre" && two != b"pre") {
                true
            } else if two == b"pre" {
                false
            } else if b.is_some() {
                // 2.3a is older than 2.3.1.
                true
            } else if number(one).is_some() {
                false
            } else {
                one < two
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_apart_as_in_nix() {
        let package = |name, version, output| Package {
            name,
            version,
            output,
        };
        for (name, expected) in [
            ("glibc-2.38-44", package("glibc", "2.38-44", None)),
            (
                "openssl-3.0.13-bin",
                package("openssl", "3.0.13", Some("bin")),
            ),
            ("top-1.0", package("top", "1.0", None)),
            ("source", package("source", "", None)),
            ("hook", package("hook", "", None)),
            (
                "python3.11-numpy-1.26",
                package("python3.11-numpy", "1.26", None),
            ),
            ("nix-2.3pre-x", package("nix", "2.3pre-x", None)),
            ("x-", package("x-", "", None)),
            ("-1", package("", "1", None)),
            ("linux-6.6-dev", package("linux", "6.6", Some("dev"))),
            ("unit-dev", package("unit-dev", "", None)),
        ] {
            assert_eq!(Package::of(name), expected, "{name}");
        }
    }

    #[test]
    fn versions_compare_as_in_nix() {
        // From the tests of Nix itself, and its manual.
        for (one, two, order) in [
            ("1.0", "2.3", Ordering::Less),
            ("2.1", "2.3", Ordering::Less),
            ("2.3", "2.3", Ordering::Equal),
            ("2.5", "2.3", Ordering::Greater),
            ("3.1", "2.3", Ordering::Greater),
            ("2.3.1", "2.3", Ordering::Greater),
            ("2.3.1", "2.3a", Ordering::Greater),
            ("2.3pre1", "2.3", Ordering::Less),
            ("2.3pre3", "2.3pre12", Ordering::Less),
            ("2.3a", "2.3c", Ordering::Less),
            ("2.3pre1", "2.3c", Ordering::Less),
            ("2.3pre1", "2.3q", Ordering::Less),
            ("", "1", Ordering::Less),
            ("1..0", "1.0", Ordering::Equal),
            ("20240101120000", "20240101110000", Ordering::Greater),
        ] {
            assert_eq!(compare_versions(one, two), order, "{one} {two}");
            assert_eq!(compare_versions(two, one), order.reverse(), "{two} {one}");
        }
    }
}
