//! Reading a [`PathDetail`] whose row lies flat beside its other fields.
//!
//! `serde(flatten)` would read every value twice, through a type that holds any
//! JSON, and brings 10 kB into the dashboard's program.

use serde::Deserialize;

use super::pins::PinnedAs;
use super::quarantine::HeldPath;
use super::{
    ContentStatus, Oddity, PathDetail, PathRow, Reproducer, SignatureStatus, SignatureVerdict,
};

/// The fields of [`PathRow`] and of [`PathDetail`], side by side as they are sent.
#[derive(Deserialize)]
pub(super) struct FlatPathDetail {
    path: String,
    hash: String,
    name: String,
    nar_size: u64,
    file_size: Option<u64>,
    closure_size: Option<u64>,
    closure_paths: Option<u64>,
    reference_count: u64,
    referrer_count: u64,
    signature: SignatureStatus,
    signature_problem: Option<SignatureStatus>,
    content: ContentStatus,
    signers: Vec<String>,
    added_at: String,
    compression: String,
    #[serde(default)]
    quarantined: bool,
    nar_hash: String,
    file_hash: Option<String>,
    url: String,
    deriver: Option<String>,
    deriver_present: bool,
    system: Option<String>,
    ca: Option<String>,
    references: Vec<String>,
    signatures: Vec<SignatureVerdict>,
    fingerprint: String,
    oddities: Vec<Oddity>,
    withheld: Option<String>,
    narinfo: String,
    closure_file_size: Option<u64>,
    added_size: u64,
    added_paths: u64,
    closure_missing: Vec<String>,
    #[serde(default)]
    pins: Vec<PinnedAs>,
    #[serde(default)]
    held: Option<HeldPath>,
    #[serde(default)]
    reproduced_by: Vec<Reproducer>,
    #[serde(default)]
    conflicts: u64,
    #[serde(default)]
    disputed_by: Vec<String>,
    #[serde(default)]
    proven_at: Option<String>,
    revision: String,
}

impl From<FlatPathDetail> for PathDetail {
    fn from(flat: FlatPathDetail) -> Self {
        Self {
            row: PathRow {
                path: flat.path,
                hash: flat.hash,
                name: flat.name,
                nar_size: flat.nar_size,
                file_size: flat.file_size,
                closure_size: flat.closure_size,
                closure_paths: flat.closure_paths,
                reference_count: flat.reference_count,
                referrer_count: flat.referrer_count,
                signature: flat.signature,
                signature_problem: flat.signature_problem,
                content: flat.content,
                signers: flat.signers,
                added_at: flat.added_at,
                compression: flat.compression,
                quarantined: flat.quarantined,
            },
            nar_hash: flat.nar_hash,
            file_hash: flat.file_hash,
            url: flat.url,
            deriver: flat.deriver,
            deriver_present: flat.deriver_present,
            system: flat.system,
            ca: flat.ca,
            references: flat.references,
            signatures: flat.signatures,
            fingerprint: flat.fingerprint,
            oddities: flat.oddities,
            withheld: flat.withheld,
            narinfo: flat.narinfo,
            closure_file_size: flat.closure_file_size,
            added_size: flat.added_size,
            added_paths: flat.added_paths,
            closure_missing: flat.closure_missing,
            pins: flat.pins,
            held: flat.held,
            reproduced_by: flat.reproduced_by,
            conflicts: flat.conflicts,
            disputed_by: flat.disputed_by,
            proven_at: flat.proven_at,
            revision: flat.revision,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_flat_is_read_back() {
        let detail = PathDetail {
            row: PathRow {
                path: "/nix/store/x-top".to_owned(),
                hash: "x".to_owned(),
                name: "top".to_owned(),
                nar_size: 1,
                file_size: Some(2),
                closure_size: None,
                closure_paths: Some(3),
                reference_count: 4,
                referrer_count: 5,
                signature: SignatureStatus::Valid,
                signature_problem: Some(SignatureStatus::Malformed),
                content: ContentStatus::NotChecked,
                signers: vec!["team-1".to_owned()],
                added_at: "2026-11-23T12:03:22Z".to_owned(),
                compression: "xz".to_owned(),
                quarantined: true,
            },
            nar_hash: "sha256:n".to_owned(),
            file_hash: Some("sha256:f".to_owned()),
            url: "nar/f.nar.xz".to_owned(),
            deriver: Some("d.drv".to_owned()),
            deriver_present: true,
            system: Some("x86_64-linux".to_owned()),
            ca: Some("text:sha256:c".to_owned()),
            references: vec!["/nix/store/y-mid".to_owned()],
            signatures: vec![SignatureVerdict {
                key: "team-1".to_owned(),
                signature: "team-1:s".to_owned(),
                status: SignatureStatus::Valid,
                owner: Some("ada".to_owned()),
            }],
            fingerprint: "1;…".to_owned(),
            oddities: vec![Oddity {
                line: Some(3),
                message: "odd".to_owned(),
            }],
            withheld: Some("why".to_owned()),
            narinfo: "StorePath: …".to_owned(),
            closure_file_size: Some(6),
            added_size: 7,
            added_paths: 8,
            closure_missing: vec!["z-leaf".to_owned()],
            pins: vec![PinnedAs {
                name: "prod".to_owned(),
                revision: 14,
                current: true,
            }],
            held: Some(HeldPath {
                hash: "x".to_owned(),
                name: Some("top".to_owned()),
                nar_hash: "sha256:n".to_owned(),
                state: super::super::quarantine::HeldBack::Quarantined,
                reason: "lost".to_owned(),
                by: "olga".to_owned(),
                at: "2026-11-23T12:03:22Z".to_owned(),
                act: Some("a".to_owned()),
            }),
            reproduced_by: vec![Reproducer {
                owner: Some("alice".to_owned()),
                keys: vec!["alice-1".to_owned()],
            }],
            conflicts: 1,
            disputed_by: vec!["hash-name".to_owned()],
            proven_at: Some("2026-11-24T12:03:22Z".to_owned()),
            revision: "r".to_owned(),
        };
        let sent = serde_json::to_value(&detail).expect("it can be sent");
        assert_eq!(sent["name"], "top", "the row lies flat beside the rest");
        let read: PathDetail = serde_json::from_value(sent).expect("it can be read");
        assert_eq!(read, detail);
    }
}
