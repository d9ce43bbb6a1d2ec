//! What the ledger keeps of a job that adds or removes signatures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use snowbank_shared::api::signing::{
    ContentRule, Job, JobAct, JobState, Requests, SkipCount, SkipReason, SkippedBy,
};
use snowbank_shared::store_path::StorePathHash;
use time::{Duration, OffsetDateTime};

use crate::auth::records::spelled;
use crate::ledger::kind::{Kind, Record, SIGN_JOBS};

/// How long a job that is over is remembered.
const REMEMBERED: Duration = Duration::days(90);

/// Which paths a job is about. It is asked anew whenever the job begins or goes on; of the answer only
/// what comes after the cursor is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Selected {
    /// These.
    Paths(Vec<StorePathHash>),
    /// Those of a list of paths, by its query string.
    Filter(String),
}

impl Selected {
    /// In words, for people.
    pub fn text(&self) -> String {
        match self {
            Self::Paths(paths) if paths.len() == 1 => "1 path".to_owned(),
            Self::Paths(paths) => format!("{} paths", paths.len()),
            Self::Filter(filter) if filter.is_empty() => "the whole cache".to_owned(),
            Self::Filter(filter) => format!("paths with {filter}"),
        }
    }
}

/// What a job did so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Narinfos that were written.
    pub changed: u64,
    /// Those that were as wanted.
    pub same: u64,
    /// Those left as they are, by reason.
    pub skipped: BTreeMap<SkipReason, u64>,
    /// Narinfos that others changed at the same moment.
    pub read_again: u64,
    /// Bytes of archives that were read.
    pub read_bytes: u64,
    /// Requests to the bucket.
    pub requests: Requests,
}

impl Counts {
    /// Paths that were looked at.
    pub fn looked_at(&self) -> u64 {
        self.changed + self.same + self.skipped.values().sum::<u64>()
    }

    /// Adds what another batch did.
    pub fn add(&mut self, other: &Self) {
        self.changed += other.changed;
        self.same += other.same;
        for (reason, paths) in &other.skipped {
            *self.skipped.entry(*reason).or_default() += paths;
        }
        self.read_again += other.read_again;
        self.read_bytes += other.read_bytes;
        self.requests.get += other.requests.get;
        self.requests.put += other.requests.put;
    }
}

/// The reasons as the API shows them.
pub(super) fn skip_counts(skipped: &BTreeMap<SkipReason, u64>) -> Vec<SkipCount> {
    let count = |(reason, paths): (&SkipReason, &u64)| SkipCount {
        reason: *reason,
        text: reason.text().to_owned(),
        paths: *paths,
    };
    skipped.iter().map(count).collect()
}

/// A job that adds or removes signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// What it does.
    pub act: JobAct,
    /// The name of the key, or of counter-signing `name:base64`: no other key of that name will do.
    pub key: String,
    /// Which paths.
    pub selected: Selected,
    /// What has to hold before a path is counter-signed.
    pub content: ContentRule,
    /// Whether removing may leave nothing good.
    pub leave_unsigned: bool,
    /// Why.
    pub reason: String,
    /// Who began it.
    pub by: String,
    /// When, seconds since 1970.
    pub at: i64,
    /// Where it stands.
    pub state: JobState,
    /// Why it stands still, where the server stopped it.
    #[serde(default)]
    pub trouble: Option<String>,
    /// Paths, as counted when it began.
    pub total: u64,
    /// The last path of the batches that are done, in the order of their texts.
    #[serde(default)]
    pub cursor: Option<StorePathHash>,
    /// What it did so far.
    #[serde(default)]
    pub counts: Counts,
    /// Some of the paths that were left as they are.
    #[serde(default)]
    pub examples: Vec<(StorePathHash, SkipReason)>,
    /// The process that runs it, and when that said so last.
    #[serde(default)]
    pub runner: Option<(String, i64)>,
    /// When it ended.
    #[serde(default)]
    pub ended_at: Option<i64>,
}

impl Record for JobRecord {
    const KIND: Kind = SIGN_JOBS;

    fn expires_at(&self) -> Option<OffsetDateTime> {
        let ended = OffsetDateTime::from_unix_timestamp(self.ended_at?).ok()?;
        ended.checked_add(REMEMBERED)
    }
}

impl JobRecord {
    /// The name of its key.
    pub fn key_name(&self) -> &str {
        self.key.split(':').next().unwrap_or_default()
    }

    /// Whether it reads archives before it signs.
    pub fn reads_archives(&self) -> bool {
        self.act == JobAct::CounterSign && self.content == ContentRule::Verify
    }

    /// The job as the API shows it.
    pub fn shown(&self, id: &str) -> Job {
        let example = |(hash, reason): &(StorePathHash, SkipReason)| SkippedBy {
            hash: hash.to_string(),
            reason: *reason,
        };
        Job {
            id: id.to_owned(),
            act: self.act,
            key: self.key_name().to_owned(),
            content: self.content,
            selection: self.selected.text(),
            reason: self.reason.clone(),
            by: self.by.clone(),
            at: spelled(self.at),
            state: self.state,
            trouble: self.trouble.clone(),
            total: self.total,
            looked_at: self.counts.looked_at(),
            changed: self.counts.changed,
            same: self.counts.same,
            skipped: skip_counts(&self.counts.skipped),
            examples: self.examples.iter().map(example).collect(),
            read_again: self.counts.read_again,
            read_bytes: self.counts.read_bytes,
            requests: self.counts.requests,
            ended_at: self.ended_at.map(spelled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_with_the_most_paths_and_examples_is_not_too_large() {
        let hash: StorePathHash = "xynxqns12h5f1dcq1j5x3c3232454njk".parse().expect("a hash");
        let record = JobRecord {
            act: JobAct::CounterSign,
            key: "k".repeat(120),
            selected: Selected::Paths(vec![hash; snowbank_shared::api::signing::MOST_NAMED]),
            content: ContentRule::Verify,
            leave_unsigned: false,
            reason: "é".repeat(200),
            by: "b".repeat(200),
            at: 1,
            state: JobState::Running,
            trouble: None,
            total: 1,
            cursor: Some(hash),
            counts: Counts::default(),
            examples: vec![(hash, SkipReason::Gone); super::super::MOST_EXAMPLES],
            runner: Some(("r".repeat(32), 1)),
            ended_at: None,
        };
        let text = serde_json::to_string(&record).expect("JSON");
        assert!(text.len() < 64 << 10, "{}", text.len());
        assert_eq!(serde_json::from_str::<JobRecord>(&text).ok(), Some(record));
    }
}
