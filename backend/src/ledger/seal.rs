//! Sealing: who lacks the state secret can neither read nor make an object of the ledger.
//!
//! A sealed object is
//!
//! ```text
//! "snowseal" 01 │ id length │ id │ key check (8) │ sequence (8) │ salt (32) │ ciphertext, tag (16)
//! ```
//!
//! Each object has a key of its own, HKDF-SHA-256 of the state key with a random salt of 256
//! bits, so that no nonce is ever used twice whatever the number of objects. The cipher is
//! ChaCha20-Poly1305. Its additional data are the header as it stands, the server's id and
//! the object's full key in the bucket: moved, copied to another server, or with another
//! sequence, an object no longer opens. The key check tells "sealed under another secret of
//! the same name" from "altered"; it says nothing about the secret.
//!
//! The plaintext is JSON, padded with spaces so that the object's size modulo 16 is its
//! sequence modulo 16. Where a store lists without ETags and with times of whole seconds, a
//! change therefore still shows in the size.

use bytes::Bytes;
use ring::{aead, hkdf, hmac};

use crate::secrets::{self, SecretError, StateKey, StateSecret};

const MAGIC: &[u8; 9] = b"snowseal\x01";
const SALT: usize = 32;
const TAG: usize = 16;
const CHECK: usize = 8;
/// What keys derived here are for.
const PURPOSE: &[u8] = b"snowbank state object 1";
const CHECK_PURPOSE: &[u8] = b"snowbank state key check 1";

/// Why an object does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It is not a sealed object at all.
    #[error("it is not sealed: somebody else wrote it, or it was cut")]
    NotSealed,
    /// It is sealed under a key that this server does not have.
    #[error("it is sealed under the key `{id}` ({check}), which the secret file does not hold")]
    UnknownKey {
        /// The key's id.
        id: String,
        /// The check of the key that it was sealed with, in hex.
        check: String,
    },
    /// It was altered, moved here from elsewhere, or belongs to another server.
    #[error("it does not verify: it was altered, or copied from another place or server")]
    Forged,
}

/// An object that opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Which version of the object it is, from 1.
    pub sequence: u64,
    /// What was sealed, padding included.
    pub plain: Vec<u8>,
    /// Whether the first key of the secret sealed it.
    pub current_key: bool,
}

/// Seals and opens the objects of one server.
#[derive(Clone)]
pub struct Sealer {
    secret: StateSecret,
    server: String,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer")
            .field("secret", &self.secret)
            .field("server", &self.server)
            .finish()
    }
}

struct OneKey;

impl hkdf::KeyType for OneKey {
    fn len(&self) -> usize {
        32
    }
}

impl Sealer {
    /// For the objects of this server.
    pub fn new(secret: StateSecret, server: impl Into<String>) -> Self {
        Self {
            secret,
            server: server.into(),
        }
    }

    /// The key that seals, as `id (check)`, for people.
    pub fn current(&self) -> String {
        let key = &self.secret.keys()[0];
        format!("{} ({})", key.id, hex(&check(key)))
    }

    /// Seals JSON for a key of the bucket, prefix included.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn seal(&self, key: &str, sequence: u64, plain: &[u8]) -> Result<Bytes, SecretError> {
        let state_key = &self.secret.keys()[0];
        let salt: [u8; SALT] = secrets::random()?;
        let mut object = Vec::with_capacity(128 + plain.len());
        object.extend_from_slice(MAGIC);
        object.push(u8::try_from(state_key.id.len()).unwrap_or(u8::MAX));
        object.extend_from_slice(state_key.id.as_bytes());
        object.extend_from_slice(&check(state_key));
        object.extend_from_slice(&sequence.to_be_bytes());
        object.extend_from_slice(&salt);
        let mut body = plain.to_vec();
        let size = object.len() + body.len() + TAG;
        let lacking = (sequence % 16 + 16 - size as u64 % 16) % 16;
        body.extend(std::iter::repeat_n(
            b' ',
            usize::try_from(lacking).unwrap_or(0),
        ));
        let aad = aead::Aad::from(self.bound(&object, key));
        let sealed = cipher(state_key, &salt).seal_in_place_append_tag(nonce(), aad, &mut body);
        sealed.expect("ChaCha20-Poly1305 takes 256 GiB at once");
        object.extend_from_slice(&body);
        Ok(object.into())
    }

    /// Opens what was sealed for this key of the bucket.
    ///
    /// # Errors
    /// See [`SealError`].
    pub fn open(&self, key: &str, object: &[u8]) -> Result<Opened, SealError> {
        let header = Header::of(object).ok_or(SealError::NotSealed)?;
        let at = self
            .secret
            .keys()
            .iter()
            .position(|known| known.id == header.id && check(known) == header.check)
            .ok_or_else(|| SealError::UnknownKey {
                id: header.id.to_owned(),
                check: hex(&header.check),
            })?;
        let aad = aead::Aad::from(self.bound(&object[..header.end], key));
        let mut body = object[header.end..].to_vec();
        let plain = cipher(&self.secret.keys()[at], &header.salt)
            .open_in_place(nonce(), aad, &mut body)
            .map_err(|_| SealError::Forged)?
            .len();
        body.truncate(plain);
        Ok(Opened {
            sequence: header.sequence,
            plain: body,
            current_key: at == 0,
        })
    }

    /// What an object is bound to: its header, the server, its key. Lengths keep them apart.
    fn bound(&self, header: &[u8], key: &str) -> Vec<u8> {
        let mut bound = Vec::with_capacity(header.len() + self.server.len() + key.len() + 24);
        for part in [header, self.server.as_bytes(), key.as_bytes()] {
            bound.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bound.extend_from_slice(part);
        }
        bound
    }
}

struct Header<'a> {
    id: &'a str,
    check: [u8; CHECK],
    sequence: u64,
    salt: [u8; SALT],
    end: usize,
}

impl<'a> Header<'a> {
    fn of(object: &'a [u8]) -> Option<Self> {
        let rest = object.strip_prefix(MAGIC)?;
        let (length, rest) = rest.split_first()?;
        let (id, rest) = rest.split_at_checked(usize::from(*length))?;
        let (check, rest) = rest.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (salt, rest) = rest.split_first_chunk()?;
        (rest.len() >= TAG).then_some(())?;
        Some(Self {
            id: std::str::from_utf8(id).ok()?,
            check: *check,
            sequence: u64::from_be_bytes(*sequence),
            salt: *salt,
            end: object.len() - rest.len(),
        })
    }
}

/// Every key is used for one object: the nonce need not differ.
fn nonce() -> aead::Nonce {
    aead::Nonce::assume_unique_for_key([0; aead::NONCE_LEN])
}

fn cipher(key: &StateKey, salt: &[u8; SALT]) -> aead::LessSafeKey {
    let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(&key.secret);
    let mut bytes = [0; 32];
    // Both lengths are constants that HKDF and the cipher accept.
    derived
        .expand(&[PURPOSE], OneKey)
        .and_then(|expanded| expanded.fill(&mut bytes))
        .expect("32 bytes of HKDF-SHA-256");
    aead::UnboundKey::new(&aead::CHACHA20_POLY1305, &bytes)
        .map(aead::LessSafeKey::new)
        .expect("a key of 32 bytes")
}

/// Tells two secrets of one name apart.
fn check(key: &StateKey) -> [u8; CHECK] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key.secret);
    let tag = hmac::sign(&key, CHECK_PURPOSE);
    let mut check = [0; CHECK];
    check.copy_from_slice(&tag.as_ref()[..CHECK]);
    check
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer() -> Sealer {
        Sealer::new(StateSecret::generate("k1").expect("random"), "server-1")
    }

    #[test]
    fn what_was_sealed_opens_where_it_was_sealed_and_nowhere_else() {
        let sealer = sealer();
        let key = ".snowbank/records/members/a";
        let object = sealer.seal(key, 7, b"{\"a\":1}").expect("sealed");
        let opened = sealer.open(key, &object).expect("opens");
        assert_eq!(opened.sequence, 7);
        assert_eq!(opened.plain.trim_ascii_end(), b"{\"a\":1}");
        assert_eq!(
            sealer.open(".snowbank/records/members/b", &object),
            Err(SealError::Forged)
        );
        let elsewhere = Sealer::new(sealer.secret.clone(), "server-2");
        assert_eq!(elsewhere.open(key, &object), Err(SealError::Forged));
    }

    #[test]
    fn not_one_bit_may_change_and_nothing_may_be_cut() {
        let sealer = sealer();
        let object = sealer
            .seal("k", 1, b"{\"role\":\"reader\"}")
            .expect("sealed");
        for at in 0..object.len() {
            for bit in [0x01, 0x80] {
                let mut altered = object.to_vec();
                altered[at] ^= bit;
                assert!(sealer.open("k", &altered).is_err(), "byte {at}");
            }
            assert!(sealer.open("k", &object[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn another_secret_of_the_same_name_is_told_from_a_forgery() {
        let (ours, theirs) = (sealer(), sealer());
        let object = theirs.seal("k", 1, b"{}").expect("sealed");
        assert!(matches!(
            ours.open("k", &object),
            Err(SealError::UnknownKey { id, .. }) if id == "k1"
        ));
    }

    #[test]
    fn an_older_key_opens_and_the_first_seals() {
        let old = StateSecret::generate("k1").expect("random");
        let both = old.led_by(&StateSecret::generate("k2").expect("random"));
        let before = Sealer::new(old.clone(), "s")
            .seal("k", 1, b"{}")
            .expect("sealed");
        let sealer = Sealer::new(both, "s");
        assert!(!sealer.open("k", &before).expect("opens").current_key);
        let after = sealer.seal("k", 2, b"{}").expect("sealed");
        assert!(sealer.open("k", &after).expect("opens").current_key);
        assert!(Sealer::new(old, "s").open("k", &after).is_err());
    }

    #[test]
    fn neighbouring_sequences_differ_in_size() {
        let sealer = sealer();
        for sequence in 0..40 {
            let object = sealer.seal("k", sequence, b"{\"x\":1}").expect("sealed");
            assert_eq!(object.len() as u64 % 16, sequence % 16);
        }
    }

    #[test]
    fn two_seals_of_one_thing_have_nothing_in_common_but_the_header() {
        let sealer = sealer();
        let (one, two) = (
            sealer.seal("k", 1, b"{}").expect("sealed"),
            sealer.seal("k", 1, b"{}").expect("sealed"),
        );
        assert_ne!(one, two);
    }
}
