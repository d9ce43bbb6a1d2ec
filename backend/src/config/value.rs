//! Values with a form of their own: slugs of caches, blocks of addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A cache's name in URLs: lower-case letters, digits and inner dashes, and none of the
/// server's own first segments.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slug(String);

/// First segments of the server's own addresses.
const RESERVED: &[&str] = &[
    "api",
    "c",
    "_app",
    "connect",
    "lookup",
    "explain",
    "me",
    "members",
    "login",
    "invite",
    "settings",
    "audit",
    "about",
    "help",
    "metrics",
    "healthz",
    "readyz",
    ".well-known",
];

/// Why a text is not a slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SlugError {
    /// A form that is not allowed.
    #[error("a slug is 1 to 64 lower-case letters, digits and dashes, with no dash at its ends")]
    Form,
    /// One of the server's own.
    #[error("the server has its own pages at that address; any other name will do")]
    Reserved,
}

impl Slug {
    /// `main`, the cache of a server that was told of none.
    pub fn main() -> Self {
        Self("main".into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Slug {
    type Err = SlugError;

    fn from_str(text: &str) -> Result<Self, SlugError> {
        if RESERVED.contains(&text) {
            return Err(SlugError::Reserved);
        }
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fine = (1..=64).contains(&text.len())
            && text.bytes().all(allowed)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if fine {
            Ok(Self(text.to_owned()))
        } else {
            Err(SlugError::Form)
        }
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address, or all that share its first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressBlock {
    address: IpAddr,
    bits: u8,
}

/// A text that is not an address or block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address or a block of addresses")]
pub struct AddressBlockError;

impl AddressBlock {
    /// Whether the block holds the address; an IPv4 address in IPv6 form counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (block, address) = (self.address.to_canonical(), address.to_canonical());
        match (block, address) {
            (IpAddr::V4(block), IpAddr::V4(address)) => same_bits(
                u128::from(block.to_bits()) << 96,
                u128::from(address.to_bits()) << 96,
                self.bits,
            ),
            (IpAddr::V6(block), IpAddr::V6(address)) => {
                same_bits(block.to_bits(), address.to_bits(), self.bits)
            }
            _ => false,
        }
    }
}

fn same_bits(left: u128, right: u128, bits: u8) -> bool {
    bits == 0 || (left ^ right) >> (128 - u32::from(bits)) == 0
}

impl FromStr for AddressBlock {
    type Err = AddressBlockError;

    fn from_str(text: &str) -> Result<Self, AddressBlockError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| AddressBlockError)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|bits| *bits <= most)
                .ok_or(AddressBlockError)?,
        };
        Ok(Self { address, bits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_never_collide_with_pages() {
        for good in ["main", "team-a", "a", "0"] {
            assert_eq!(
                good.parse::<Slug>().map(|slug| slug.to_string()),
                Ok(good.to_owned())
            );
        }
        for reserved in RESERVED {
            assert_eq!(reserved.parse::<Slug>(), Err(SlugError::Reserved));
        }
        for bad in [
            "",
            "-a",
            "a-",
            "A",
            "a_b",
            "a.b",
            "ä",
            "a/b",
            &"a".repeat(65),
        ] {
            assert_eq!(bad.parse::<Slug>(), Err(SlugError::Form), "{bad}");
        }
    }

    #[test]
    fn blocks_hold_their_addresses() {
        let holds = |block: &str, address: &str| {
            let block: AddressBlock = block.parse().expect("a block");
            block.contains(address.parse().expect("an address"))
        };
        assert!(holds("10.0.0.0/8", "10.255.0.1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.1.1"));
        assert!(!holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("127.0.0.1", "127.0.0.1"));
        assert!(holds("::/0", "2001:db8::1"));
        assert!(!holds("::/0", "10.0.0.1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1"));
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "x"] {
            assert!(bad.parse::<AddressBlock>().is_err(), "{bad}");
        }
    }
}
