//! What the ledger keeps of an act that put paths into quarantine.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use snowbank_shared::hash::{Sha256, nix32};
use snowbank_shared::store_path::StorePathHash;

use crate::ledger::kind::{Kind, Record, WITHHELD};

/// A path with one content: `HASH-NARHASH`, both in nix32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pair {
    /// The path.
    pub path: StorePathHash,
    /// Its content.
    pub nar_hash: Sha256,
}

/// A text that is no pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is a store path's hash, `-`, and the NAR's SHA-256, both in nix32")]
pub struct PairError;

impl FromStr for Pair {
    type Err = PairError;

    fn from_str(text: &str) -> Result<Self, PairError> {
        let (path, nar_hash) = text.split_once('-').ok_or(PairError)?;
        let bytes = nix32::decode(nar_hash, 32).map_err(|_| PairError)?;
        Ok(Self {
            path: path.parse().map_err(|_| PairError)?,
            nar_hash: Sha256(bytes.try_into().map_err(|_| PairError)?),
        })
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.path, self.nar_hash.to_nix32())
    }
}

impl TryFrom<String> for Pair {
    type Error = PairError;

    fn try_from(text: String) -> Result<Self, PairError> {
        text.parse()
    }
}

impl From<Pair> for String {
    fn from(pair: Pair) -> Self {
        pair.to_string()
    }
}

/// A part of an act by which paths were put into quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithheldRecord {
    /// The act: 32 hex digits. Large ones have several records.
    pub act: String,
    /// Why.
    pub reason: String,
    /// Who did it.
    pub by: String,
    /// When, seconds since 1970.
    pub at: i64,
    /// What was put there.
    pub pairs: Vec<Pair>,
    /// Those that were let out again, by their place in `pairs`.
    #[serde(default)]
    pub lifted: BTreeSet<usize>,
}

impl Record for WithheldRecord {
    const KIND: Kind = WITHHELD;
}

impl WithheldRecord {
    /// The pairs that are still held back.
    pub fn left(&self) -> impl Iterator<Item = Pair> {
        let pairs = self.pairs.iter().enumerate();
        pairs
            .filter(|(at, _)| !self.lifted.contains(at))
            .map(|(_, pair)| *pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_read_back() {
        let pair = Pair {
            path: "xynxqns12h5f1dcq1j5x3c3232454njk".parse().expect("a hash"),
            nar_hash: Sha256::digest(b"x"),
        };
        assert_eq!(pair.to_string().parse(), Ok(pair));
        assert_eq!(pair.to_string().len(), 85);
        for bad in [
            "",
            "-",
            "xynxqns12h5f1dcq1j5x3c3232454njk",
            "xynxqns12h5f1dcq1j5x3c3232454njk-x",
        ] {
            assert_eq!(bad.parse::<Pair>(), Err(PairError), "{bad}");
        }
    }

    #[test]
    fn a_full_record_is_not_too_large() {
        let pair = Pair {
            path: "xynxqns12h5f1dcq1j5x3c3232454njk".parse().expect("a hash"),
            nar_hash: Sha256::digest(b"x"),
        };
        let record = WithheldRecord {
            act: "a".repeat(32),
            reason: "é".repeat(200),
            by: "b".repeat(200),
            at: i64::MAX,
            pairs: vec![pair; super::super::MOST_PAIRS],
            lifted: (0..super::super::MOST_PAIRS).collect(),
        };
        let size = serde_json::to_vec(&record).expect("JSON").len();
        assert!(size < 200 << 10, "{size}");
    }
}
