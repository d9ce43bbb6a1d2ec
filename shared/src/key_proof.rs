//! Proving that one holds a key, without ever signing what somebody else chose.
//!
//! The message begins with words that no fingerprint of a path begins with (`1;/nix/store/…`), and
//! names who asks, which key, and when. A server chooses nothing in it but the nonce, so a proof is
//! worth nothing anywhere else: not as a path's signature, not at another server.

use std::fmt;
use std::str::FromStr;

use crate::signature::PublicKey;

/// The first line of every proof.
pub const HEADER: &str = "snowbank-key-proof-v1";

/// Characters of a line at most.
const LONGEST: usize = 512;

/// What is signed to prove that one holds a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyProof {
    /// Who asks: the scheme, host and port of the server.
    pub origin: String,
    /// The key.
    pub key: PublicKey,
    /// What makes the proof one of this hour.
    pub nonce: String,
}

/// Why a text is no such message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyProofError {
    /// It begins with something else.
    #[error("it does not begin with the line {HEADER}: do not sign it, it may be anything")]
    Header,
    /// A line is missing, or there is one too many.
    #[error("it has to have the lines `origin:`, `key:` and `nonce:` and no others")]
    Lines,
    /// The key cannot be read.
    #[error("its key cannot be read: {0}")]
    Key(#[from] crate::signature::KeyError),
}

impl fmt::Display for KeyProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{HEADER}\norigin: {}\nkey: {}\nnonce: {}\n",
            self.origin, self.key, self.nonce
        )
    }
}

impl FromStr for KeyProof {
    type Err = KeyProofError;

    fn from_str(text: &str) -> Result<Self, KeyProofError> {
        let mut lines = text.trim_end().lines();
        if lines.next() != Some(HEADER) {
            return Err(KeyProofError::Header);
        }
        let mut value = |name: &str| {
            lines
                .next()
                .and_then(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .filter(|value| {
                    (1..=LONGEST).contains(&value.len())
                        && value.bytes().all(|byte| byte.is_ascii_graphic())
                })
                .map(str::to_owned)
                .ok_or(KeyProofError::Lines)
        };
        let proof = Self {
            origin: value("origin")?,
            key: value("key")?.parse()?,
            nonce: value("nonce")?,
        };
        match lines.next() {
            None => Ok(proof),
            Some(_) => Err(KeyProofError::Lines),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::SecretKey;

    #[test]
    fn a_proof_is_read_back_and_is_never_something_else() {
        let key = SecretKey::generate("alice-1", [1; 32])
            .expect("a key")
            .public_key();
        let proof = KeyProof {
            origin: "https://cache.example.org".into(),
            key,
            nonce: "abc".into(),
        };
        let text = proof.to_string();
        assert_eq!(text.parse(), Ok(proof.clone()));
        assert_eq!(text.trim_end().parse(), Ok(proof));
        assert_eq!(
            "1;/nix/store/x;sha256:0;1;".parse::<KeyProof>(),
            Err(KeyProofError::Header)
        );
        for wrong in [
            text.replace("nonce: abc", "nonce: "),
            text.replace("origin: ", "origin:"),
            format!("{text}more: x\n"),
            text.lines().take(3).collect::<Vec<_>>().join("\n"),
        ] {
            assert_eq!(
                wrong.parse::<KeyProof>(),
                Err(KeyProofError::Lines),
                "{wrong}"
            );
        }
    }
}
