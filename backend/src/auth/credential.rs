//! Secrets that are handed out: tokens, sessions, one-time links.
//!
//! Each is `PREFIX_ID_SECRET`. The id finds the record and may be shown and logged; of the
//! secret, 256 random bits, only the SHA-256 is stored. A fast hash is right here: nobody
//! guesses 256 bits, and narinfos are asked for by the thousand.

use std::fmt;

use ring::hmac;
use sha2::{Digest as _, Sha256};

use crate::secrets::{self, SecretError, StateKey};

/// What a secret is for. The prefix lets scanners of leaked secrets find ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `snb_…`: a token.
    Token,
    /// `sns_…`: a browser's session.
    Session,
    /// `snl_…`: a one-time link.
    Link,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Token => "snb_",
            Self::Session => "sns_",
            Self::Link => "snl_",
        }
    }
}

/// Characters of an id: 80 bits.
pub const ID: usize = 16;
/// Characters of a secret: 256 bits.
const SECRET: usize = 52;

/// A secret that was handed out, or that somebody claims was. Never printed whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    kind: Kind,
    id: String,
    secret: String,
}

/// A text that is no such secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a secret of this server's making")]
pub struct CredentialError;

impl Credential {
    /// A new one.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn generate(kind: Kind) -> Result<Self, SecretError> {
        let id: [u8; 10] = secrets::random()?;
        Self::with_id(kind, snowbank_shared::hash::nix32::encode(&id))
    }

    /// A new one under an id that the caller derives, such as from a machine's identity, so
    /// that the same can be made only once. The id has the form of [`Credential::derived_id`].
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn with_id(kind: Kind, id: String) -> Result<Self, SecretError> {
        Ok(Self::with_secret(kind, id, &secrets::random()?))
    }

    /// One whose secret is known, such as a code made of the server's own secret.
    pub fn with_secret(kind: Kind, id: String, secret: &[u8; 32]) -> Self {
        let secret = snowbank_shared::hash::nix32::encode(secret);
        debug_assert_eq!((id.len(), secret.len()), (ID, SECRET));
        Self { kind, id, secret }
    }

    /// The id that belongs to these bytes, and to no others that anybody could find.
    pub fn derived_id(bytes: &[u8]) -> String {
        snowbank_shared::hash::nix32::encode(&Sha256::digest(bytes)[..10])
    }

    /// Reads the text of one of this kind.
    ///
    /// # Errors
    /// Where the text has another form.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, CredentialError> {
        let rest = text.strip_prefix(kind.prefix()).ok_or(CredentialError)?;
        let (id, secret) = rest.split_once('_').ok_or(CredentialError)?;
        let fine = |part: &str, length: usize| {
            part.len() == length
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if !fine(id, ID) || !fine(secret, SECRET) {
            return Err(CredentialError);
        }
        Ok(Self {
            kind,
            id: id.to_owned(),
            secret: secret.to_owned(),
        })
    }

    /// The id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is stored: the SHA-256 of the whole text, in hexadecimal.
    pub fn hash(&self) -> String {
        use fmt::Write as _;
        let digest = Sha256::digest(self.reveal().as_bytes());
        let mut hex = String::with_capacity(64);
        for byte in digest {
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }

    /// Whether this is the secret of that hash; takes as long whether it is or not.
    pub fn is(&self, hash: &str) -> bool {
        same(self.hash().as_bytes(), hash.as_bytes())
    }

    /// The text, for the one to whom it is handed.
    pub fn reveal(&self) -> String {
        format!("{}{}_{}", self.kind.prefix(), self.id, self.secret)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}_…", self.kind.prefix(), self.id)
    }
}

/// What only who holds the state secret can say of some bytes. `purpose` makes it one of nothing else.
pub(super) fn code(key: &StateKey, purpose: &[u8], what: &[u8]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key.secret);
    let tag = hmac::sign(&key, &[purpose, what].concat());
    let mut code = [0; 32];
    code.copy_from_slice(tag.as_ref());
    code
}

/// Compares without telling by its time where they differ.
pub fn same(left: &[u8], right: &[u8]) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .fold(0, |differs, (left, right)| differs | (left ^ right))
            == 0
}

/// A text with every secret in it replaced by its id, for logs: a link's secret is in its address.
pub fn redacted(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    let next = |text: &str| {
        [Kind::Token, Kind::Session, Kind::Link]
            .into_iter()
            .filter_map(|kind| text.find(kind.prefix()))
            .min()
    };
    while let Some(at) = next(rest) {
        let (before, found) = rest.split_at(at);
        redacted.push_str(before);
        let end = found
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(found.len());
        let (secret, after) = found.split_at(end);
        let shown = secret.match_indices('_').nth(1).map_or(4, |(at, _)| at);
        redacted.push_str(secret.get(..shown).unwrap_or_default());
        redacted.push('…');
        rest = after;
    }
    redacted.push_str(rest);
    redacted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_back_and_known_by_its_hash() {
        let made = Credential::generate(Kind::Token).expect("random bytes");
        let text = made.reveal();
        assert!(text.starts_with("snb_"), "{text}");
        let read = Credential::parse(Kind::Token, &text).expect("a token");
        assert!(read.is(&made.hash()) && read.id() == made.id());
        let other = Credential::with_id(Kind::Token, made.id().to_owned()).expect("random bytes");
        assert!(!other.is(&made.hash()), "the id alone is worth nothing");
        assert!(
            Credential::parse(Kind::Session, &text).is_err(),
            "a token is no session"
        );
        assert!(!format!("{made:?}").contains(&text[text.len() - 52..]));
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let good = Credential::generate(Kind::Token)
            .expect("random bytes")
            .reveal();
        for bad in [
            "",
            "snb_",
            "hunter2",
            &good[..good.len() - 1],
            &format!("{good}0"),
            &good.to_uppercase(),
            &good.replace("snb_", "snb_\u{e9}"),
        ] {
            assert!(Credential::parse(Kind::Token, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn logs_hold_ids_and_no_secrets() {
        let link = Credential::generate(Kind::Link).expect("random bytes");
        let token = Credential::generate(Kind::Token).expect("random bytes");
        let text = format!("/invite/{}?t={}&x=1", link.reveal(), token.reveal());
        assert_eq!(
            redacted(&text),
            format!("/invite/snl_{}…?t=snb_{}…&x=1", link.id(), token.id())
        );
        assert_eq!(redacted("/main/nix-cache-info"), "/main/nix-cache-info");
        assert_eq!(redacted("snb_"), "snb_…");
        assert_eq!(redacted("snl_x_snb_"), "snl_x…");
    }
}
