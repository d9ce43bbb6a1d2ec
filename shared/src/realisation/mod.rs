//! Build traces: to which path a derivation's output came (PROTOCOL.md §9).
//!
//! They let clients skip the build of a floating content-addressed derivation. Nothing about one can
//! be computed from the path: it is somebody's word, and its signature is all it has. Clients of 2.8
//! and 2.34 do not even ask for that when they substitute by one (measured), only when it is copied to
//! them, so whoever serves one has to have checked it.
//!
//! Two forms. Up to Nix 2.34 an object `realisations/sha256:<hex>!<output>.doi` names the derivation by
//! a hash of its content; since 2.35 `build-trace-v2/<derivation>/<output>.doi` names it by its path.
//! One cannot be made from the other.
//!
//! What is signed is JSON without blanks, its names sorted. Of the first form it has the id, the path
//! and, signed by 2.8, what the output depends on; 2.34 leaves that empty when it checks (measured). So
//! a signature may be over either, and a cache that wants to be believed by both makes both.

use crate::signature::{Signature, SignatureError};
use crate::store_path::{StorePath, StorePathError, StorePathRef};

mod json;
#[cfg(test)]
mod tests;

/// Bytes of one that are read at most. Real ones have some hundreds.
pub const MAX_BYTES: usize = 256 * 1024;
/// Signatures of one at most.
pub const MAX_SIGNATURES: usize = 64;

/// To which path an output came, by whose word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realisation {
    of: Output,
    out_path: StorePath,
    signatures: Vec<Signature>,
}

/// Of which derivation which output.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Output {
    /// Up to Nix 2.34.
    Hashed {
        /// `sha256:<hex>!<output>`
        id: String,
        /// What it depends on: ids and base names, by id.
        depends: Vec<(String, StorePath)>,
    },
    /// Since Nix 2.35.
    Named { derivation: StorePath, name: String },
}

/// Why something is not a realisation that a server should take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RealisationError {
    /// The object's name is of neither form.
    #[error("its name is not that of a realisation")]
    Key,
    /// Not the JSON that it has to be.
    #[error("it is not the JSON of a realisation: {0}")]
    Json(String),
    /// The id inside is not the name outside.
    #[error("it says that it is of {found}, and its name says of {expected}")]
    OtherId {
        /// The name's.
        expected: String,
        /// The content's.
        found: String,
    },
    /// What it names as an output is none.
    #[error("`{0}` is not an id such as sha256:<hex>!out")]
    BadId(String),
    /// What it names as a path is none.
    #[error("`{path}` {error}")]
    BadPath {
        /// The text.
        path: String,
        /// What is wrong with it.
        error: StorePathError,
    },
    /// A signature is none.
    #[error("a signature of it: {0}")]
    BadSignature(SignatureError),
    /// More than [`MAX_SIGNATURES`].
    #[error("it has more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
}

impl Realisation {
    /// Reads the object of this key, relative to the cache, strictly: every field is known, is there
    /// once, and is of its form.
    ///
    /// # Errors
    /// See [`RealisationError`].
    pub fn parse(key: &str, bytes: &[u8]) -> Result<Self, RealisationError> {
        if let Some(id) = id_of(key) {
            return json::hashed(id, bytes);
        }
        let (derivation, name) = derivation_of(key).ok_or(RealisationError::Key)?;
        json::named(derivation, name, bytes)
    }

    /// The path that the output came to.
    pub fn out_path(&self) -> &StorePath {
        &self.out_path
    }

    /// Its signatures, each once, in their order.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The texts that a signature may be over; a cache signs all of them.
    pub fn fingerprints(&self) -> Vec<String> {
        match &self.of {
            Output::Hashed { id, depends } => {
                let mut texts = vec![json::fingerprint_of_hashed(id, depends, &self.out_path)];
                if !depends.is_empty() {
                    texts.push(json::fingerprint_of_hashed(id, &[], &self.out_path));
                }
                texts
            }
            Output::Named { derivation, name } => {
                vec![json::fingerprint_of_named(derivation, name, &self.out_path)]
            }
        }
    }

    /// This one with a signature more, where it lacks it.
    #[must_use]
    pub fn and_signature(mut self, signature: Signature) -> Self {
        if !self.signatures.contains(&signature) {
            self.signatures.push(signature);
        }
        self
    }

    /// The object, as Nix of its form writes it.
    pub fn to_json(&self) -> String {
        match &self.of {
            Output::Hashed { id, depends } => {
                json::print_hashed(id, depends, &self.out_path, &self.signatures)
            }
            Output::Named { .. } => json::print_named(&self.out_path, &self.signatures),
        }
    }
}

/// The id of `realisations/{id}.doi`.
fn id_of(key: &str) -> Option<&str> {
    let id = key.strip_prefix("realisations/")?.strip_suffix(".doi")?;
    is_id(id).then_some(id)
}

/// Derivation and output of `build-trace-v2/{derivation}/{output}.doi`.
fn derivation_of(key: &str) -> Option<(StorePath, &str)> {
    let rest = key.strip_prefix("build-trace-v2/")?;
    let (derivation, output) = rest.strip_suffix(".doi")?.split_once('/')?;
    let derivation = StorePathRef::parse(derivation).ok()?;
    let fine = derivation.name().ends_with(".drv") && is_output(output);
    fine.then(|| (derivation.to_store_path(), output))
}

fn is_id(id: &str) -> bool {
    let parts = id
        .strip_prefix("sha256:")
        .and_then(|rest| rest.split_once('!'));
    parts.is_some_and(|(hash, output)| {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        hash.len() == 64 && hash.bytes().all(is_hex) && is_output(output)
    })
}

fn is_output(name: &str) -> bool {
    crate::store_path::check_name(name).is_ok()
}
