//! A name for each request: in the `x-request-id` header, in error bodies and in the log.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderName, HeaderValue};

/// The header that carries it.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The start of this process and a count, so that ids of several servers differ.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId([u8; 17]);

impl RequestId {
    /// The next id. Never taken from the client, who could then write into our log.
    pub fn next() -> Self {
        static PROCESS: LazyLock<u32> = LazyLock::new(|| {
            // Where the system has no randomness, the process id tells servers apart well enough.
            getrandom::u32().unwrap_or_else(|_| std::process::id())
        });
        static COUNT: AtomicU64 = AtomicU64::new(1);
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let number = (u64::from(*PROCESS) << 32) | (count & 0xffff_ffff);
        let mut text = [b'-'; 17];
        for (position, digit) in text[..8].iter_mut().enumerate() {
            *digit = DIGITS[(number >> (60 - 4 * position)) as usize & 15];
        }
        for (position, digit) in text[9..].iter_mut().enumerate() {
            *digit = DIGITS[(number >> (28 - 4 * position)) as usize & 15];
        }
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// As a header's value.
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).unwrap_or_else(|_| HeaderValue::from_static("-"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_are_plain() {
        let (first, second) = (RequestId::next(), RequestId::next());
        assert_ne!(first, second);
        assert_eq!(first.as_str()[..9], second.as_str()[..9]);
        for id in [first, second] {
            assert_eq!(id.as_str().len(), 17);
            assert!(
                id.as_str()
                    .bytes()
                    .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
            );
            assert_eq!(id.header(), *id.as_str());
        }
    }
}
