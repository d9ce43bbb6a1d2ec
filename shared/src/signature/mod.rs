//! Keys and signatures (PROTOCOL.md §5).
//!
//! A key has a name, and so has a signature: `name:base64`. A client looks the
//! name up among the keys it trusts and checks that one key, so a name stands
//! for one key and rotation needs a new name. What is signed is the
//! [fingerprint](crate::narinfo::NarInfo::fingerprint) of a path: its name,
//! NarHash, NarSize and references, and nothing else.
//!
//! - [`PublicKey`], [`SecretKey`], [`Signature`]: the texts, parsed.
//! - [`KeyRing`]: the keys that somebody knows, and what each is worth.
//! - [`KeyRing::judge`]: what the signatures of a narinfo are worth by that.
//! - [`TrustSet::judge`]: whether a machine that trusts some keys would accept the path.

mod judge;
mod key;
mod multiples;
mod trust;

pub use judge::{Judgement, KeyRing, KnownKey, UPSTREAM_KEYS};
pub(crate) use key::SignatureParts;
pub use key::{KeyError, PublicKey, SecretKey, Signature, SignatureError, check_key_name};
pub use trust::{Accepted, TrustSet};

#[cfg(test)]
mod tests;
