//! What the ledger keeps of a session: one record of the whole, and its plan in pieces. JSON for
//! years: fields are added with a default and never change their meaning.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use snowbank_shared::api::uploads::Fate;
use time::OffsetDateTime;

use crate::ledger::RecordId;
use crate::ledger::kind::{Kind, Record, UPLOADS};

/// Bytes of paths in one record; a record has at most 256 KiB.
const PIECE: usize = 96 << 10;

/// A record of this kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum UploadRecord {
    /// A session.
    Session(SessionHead),
    /// Paths of one.
    Paths {
        /// When it ends, with its session.
        expires_at: i64,
        /// In the order of the plan.
        paths: Vec<PathRecord>,
    },
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionHead {
    /// `member:NAME`, `machine:RULE:SUBJECT` or `token:ID`.
    pub owner: String,
    /// For people.
    pub by: String,
    /// Where it comes from.
    pub from: String,
    /// SHA-256 of the plan, hex: the same plan again is the same session.
    pub plan: String,
    /// When it began.
    pub began_at: i64,
    /// When it is forgotten.
    pub expires_at: i64,
    /// How far it is.
    pub state: HeadState,
    /// When it was committed or given up.
    #[serde(default)]
    pub ended_at: Option<i64>,
    /// Records with its paths.
    pub pieces: u32,
    /// Paths in it.
    pub paths: u64,
    /// Bytes of archives to send.
    pub bytes: u64,
    /// What was published and what had arrived when it ended: paths and bytes.
    #[serde(default)]
    pub came: (u64, u64),
    /// Why objects were refused, when it ended.
    #[serde(default)]
    pub refused: BTreeMap<String, String>,
    /// Paths that waited when it ended.
    #[serde(default)]
    pub waited: u64,
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeadState {
    /// It goes on.
    Open,
    /// What could be published is.
    Committed,
    /// It was given up.
    Cancelled,
}

/// A path of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathRecord {
    /// Hash part and name.
    pub path: String,
    /// SHA-256 of the NAR, nix32.
    pub nar_hash: String,
    /// Bytes of the NAR.
    pub nar_size: u64,
    /// Key of the archive.
    pub nar_key: String,
    /// Bytes of the archive.
    pub file_size: u64,
    /// Names of the keys that signed it.
    #[serde(default)]
    pub signed_by: Vec<String>,
    /// What was to happen.
    pub fate: Fate,
    /// Why not more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl UploadRecord {
    /// The session, where it is one.
    pub fn head(&self) -> Option<&SessionHead> {
        match self {
            Self::Session(head) => Some(head),
            Self::Paths { .. } => None,
        }
    }
}

impl SessionHead {
    /// Whether more can come of its paths: it goes on, or some waited when it ended.
    pub(super) fn is_moving(&self) -> bool {
        self.state == HeadState::Open || self.waited > 0
    }
}

impl Record for UploadRecord {
    const KIND: Kind = UPLOADS;

    fn expires_at(&self) -> Option<OffsetDateTime> {
        let at = match self {
            Self::Session(head) => head.expires_at,
            Self::Paths { expires_at, .. } => *expires_at,
        };
        OffsetDateTime::from_unix_timestamp(at).ok()
    }
}

/// The name of a session's record of paths.
pub(super) fn piece_id(id: &RecordId, number: u32) -> Option<RecordId> {
    format!("{id}.{number:04}").parse().ok()
}

/// Paths in pieces that are small enough for a record each.
pub(super) fn pieces(paths: Vec<PathRecord>) -> Vec<Vec<PathRecord>> {
    let mut pieces: Vec<Vec<PathRecord>> = Vec::new();
    let mut room = 0;
    for path in paths {
        // A little more than its JSON.
        let size = 240
            + path.path.len()
            + path.nar_key.len()
            + path
                .signed_by
                .iter()
                .map(|name| name.len() + 3)
                .sum::<usize>()
            + 2 * path.reason.as_ref().map_or(0, String::len);
        match pieces.last_mut() {
            Some(piece) if size <= room => {
                room -= size;
                piece.push(path);
            }
            _ => {
                room = PIECE.saturating_sub(size);
                pieces.push(vec![path]);
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_small_enough_and_nothing_is_lost() {
        let path = |number: usize| PathRecord {
            path: format!("{number:032}-{}", "x".repeat(170)),
            nar_hash: "0".repeat(52),
            nar_size: u64::MAX,
            nar_key: format!("nar/{}.nar.zst", "0".repeat(52)),
            file_size: u64::MAX,
            signed_by: vec!["a".repeat(64); 16],
            fate: Fate::NotAllowed,
            reason: Some("\"".repeat(300)),
        };
        let all: Vec<PathRecord> = (0..1000).map(path).collect();
        let pieces = pieces(all.clone());
        for piece in &pieces {
            let record = UploadRecord::Paths {
                expires_at: i64::MAX,
                paths: piece.clone(),
            };
            let size = serde_json::to_vec(&record).expect("JSON").len();
            assert!(size < 128 << 10, "{size}");
        }
        assert_eq!(pieces.concat(), all);
    }
}
