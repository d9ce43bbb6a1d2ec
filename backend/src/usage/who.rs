//! Who asks, as it is kept: less than the address.
//!
//! Who has a token or a session is known by it. Of everybody else only the group of the address is
//! kept: the first 24 bits of IPv4, the first 48 of IPv6. No address, whole or hashed, is written
//! down; so clients that share a group count as one.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::auth::Caller;

/// Characters of a name that are kept.
const LONGEST: usize = 120;
/// Characters of a version of Nix that are kept.
const LONGEST_VERSION: usize = 24;
/// Clients that are told apart for one path on one day and server.
pub const MOST_DISTINCT: usize = 10;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Who {
    /// An IPv4 address that begins so.
    Four([u8; 3]),
    /// An IPv6 address that begins so.
    Six([u16; 3]),
    /// `token:ID`, `machine:SUBJECT` or `member:NAME`.
    Named(Arc<str>),
}

impl Who {
    /// The caller, who asks from this address.
    pub fn of(caller: &Caller, address: IpAddr) -> Self {
        let named = |kind: &str, name: &str| {
            let name: String = name.chars().take(LONGEST).collect();
            Self::Named(format!("{kind}:{name}").into())
        };
        match caller {
            Caller::Stranger(_) => Self::at(address),
            Caller::Member(member) => named("member", &member.name),
            // A machine gets a new token for each job.
            Caller::Token(token) => match &token.machine {
                Some(machine) => named("machine", machine),
                None => named("token", &token.id),
            },
        }
    }

    /// Somebody at this address.
    pub fn at(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                Self::Four([a, b, c])
            }
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                Self::Six([a, b, c])
            }
        }
    }

    /// A number that tells it from others.
    pub fn number(&self) -> u32 {
        // Half of the hash is enough to count a few.
        let hash = match self {
            Self::Four(group) => xxh3_64(group),
            Self::Six([a, b, c]) => {
                let number = u64::from(*a) << 32 | u64::from(*b) << 16 | u64::from(*c);
                xxh3_64(&number.to_be_bytes())
            }
            Self::Named(name) => xxh3_64(name.as_bytes()),
        };
        hash as u32
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Four([a, b, c]) => write!(f, "{a}.{b}.{c}.0/24"),
            Self::Six([a, b, c]) => write!(f, "{a:x}:{b:x}:{c:x}::/48"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

impl From<String> for Who {
    fn from(text: String) -> Self {
        let at = |rest: &str| rest.parse::<IpAddr>().ok().map(Self::at);
        let group = text
            .strip_suffix("/24")
            .or_else(|| text.strip_suffix("/48"));
        group
            .and_then(at)
            .unwrap_or_else(|| Self::Named(text.into()))
    }
}

impl From<Who> for String {
    fn from(who: Who) -> Self {
        who.to_string()
    }
}

/// The version of Nix that a client's `User-Agent` names: `curl/8.5.0 Nix/2.18.1` is `2.18.1`.
pub fn nix_version(agent: &str) -> Option<&str> {
    let rest = &agent[agent.find("Nix/")? + "Nix/".len()..];
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+');
    let end = rest
        .bytes()
        .take(LONGEST_VERSION)
        .take_while(|byte| fine(*byte));
    let version = &rest[..end.count()];
    version
        .starts_with(|first: char| first.is_ascii_digit())
        .then_some(version)
}

/// Different clients, as far as they are told apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Distinct(Vec<u32>);

impl Distinct {
    /// Adds one, unless there are too many.
    pub fn note(&mut self, number: u32) {
        if self.0.len() < MOST_DISTINCT && !self.0.contains(&number) {
            self.0.push(number);
        }
    }

    /// Adds those of another time or server; of many days there may be more.
    pub fn add(&mut self, other: &Self, most: usize) {
        for number in &other.0 {
            if self.0.len() < most && !self.0.contains(number) {
                self.0.push(*number);
            }
        }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.0.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_only_its_group_is_kept() {
        for (address, group) in [
            ("198.51.100.7", "198.51.100.0/24"),
            ("::ffff:198.51.100.7", "198.51.100.0/24"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ] {
            let who = Who::at(address.parse().expect("an address"));
            assert_eq!(who.to_string(), group);
            assert_eq!(Who::from(group.to_owned()), who);
        }
        let named = Who::from("token:abc".to_owned());
        assert_eq!(named, Who::Named("token:abc".into()));
    }

    #[test]
    fn a_version_is_read_from_what_nix_says() {
        assert_eq!(nix_version("curl/8.5.0 Nix/2.18.1"), Some("2.18.1"));
        assert_eq!(
            nix_version("Nix/2.31pre20250101_abc x"),
            Some("2.31pre20250101_abc")
        );
        for odd in ["", "curl/8", "Nix/", "Nix/<script>", "Mozilla/5.0"] {
            assert_eq!(nix_version(odd), None, "{odd}");
        }
        let long = format!("Nix/2{}", "1".repeat(500));
        assert_eq!(nix_version(&long).map(str::len), Some(LONGEST_VERSION));
    }
}
