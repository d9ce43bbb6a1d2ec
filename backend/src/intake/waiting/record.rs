//! What the ledger keeps of an upload that waits. JSON for years: fields are added with a default and
//! never change their meaning.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use snowbank_shared::api::approvals::{ApprovalState, Notice, WaitsFor};
use snowbank_shared::narinfo::NarInfo;
use time::OffsetDateTime;

use super::super::{Refusal, Standing};
use crate::auth::records::now;
use crate::ledger::kind::{APPROVALS, Kind, Record};
use crate::site::Cache;

/// Seconds that what was decided is still shown.
const SHOWN: i64 = 2 * 86_400;
/// Seconds that an entry whose time is over waits for a server that notes it.
const SLACK: i64 = 7 * 86_400;

/// What a policy wants before something is published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Needs {
    /// Nothing.
    #[default]
    Nothing,
    /// So many Maintainers who say yes.
    Approvals {
        /// How many.
        approvals: u8,
    },
    /// So many contributors who built the same.
    Builders {
        /// How many.
        builders: u8,
    },
}

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Who: a member's name, or `server`.
    pub by: String,
    /// When, seconds since 1970.
    pub at: i64,
    /// Why; may be empty.
    #[serde(default)]
    pub reason: String,
}

/// An upload that waits, or waited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingRecord {
    /// The full store path.
    pub path: String,
    /// The narinfo, with the signatures that came since.
    pub narinfo: String,
    /// Its NarHash, `sha256:` and nix32.
    pub nar_hash: String,
    /// Bytes unpacked.
    pub nar_size: u64,
    /// Its archive's key in the cache.
    pub nar_key: String,
    /// Bytes of the archive.
    pub file_size: u64,
    /// Whose it is: `member:…`, `machine:…`, `token:…`.
    pub uploader: String,
    /// The token that it came with, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The trust rule by which a machine got that token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_rule: Option<String>,
    /// The same for people.
    pub actor: String,
    /// The member behind it.
    #[serde(default)]
    pub member: Option<String>,
    /// The key that vouches, `name:base64`, where one does.
    #[serde(default)]
    pub key: Option<String>,
    /// The member whose key it is.
    #[serde(default)]
    pub key_owner: Option<String>,
    /// What the policy wanted when it came.
    #[serde(default)]
    pub needs: Needs,
    /// The rule that wanted it, as a sentence.
    #[serde(default)]
    pub rule: Option<String>,
    /// For what it waits now, as far as was last seen.
    pub waits: WaitsFor,
    /// Who said yes.
    #[serde(default)]
    pub approvals: Vec<Word>,
    /// What was noticed about its archive.
    #[serde(default)]
    pub notices: Vec<Notice>,
    /// How it stands.
    pub state: ApprovalState,
    /// How it ended.
    #[serde(default)]
    pub decided: Option<Word>,
    /// When it came, seconds since 1970.
    pub created_at: i64,
    /// When it waits no more.
    pub expires_at: i64,
    /// Counts what changed.
    pub version: u64,
}

impl Record for WaitingRecord {
    const KIND: Kind = APPROVALS;

    fn expires_at(&self) -> Option<OffsetDateTime> {
        let ends = match (&self.decided, self.state) {
            // Until then the same is not taken again.
            (Some(decided), ApprovalState::Rejected) => self.expires_at.max(decided.at + SHOWN),
            (Some(decided), _) => decided.at + SHOWN,
            (None, _) => self.expires_at + SLACK,
        };
        OffsetDateTime::from_unix_timestamp(ends).ok()
    }
}

impl WaitingRecord {
    /// Its narinfo.
    ///
    /// # Errors
    /// Where it is none: it was one when it came.
    pub fn narinfo(&self, cache: &Cache) -> Result<NarInfo, Refusal> {
        Ok(NarInfo::parse_strict(
            self.narinfo.as_bytes(),
            &cache.store_dir,
        )?)
    }

    /// The hash part of its path.
    pub fn hash(&self) -> &str {
        let base = self.path.rsplit('/').next().unwrap_or_default();
        base.split('-').next().unwrap_or_default()
    }

    /// The name of its path.
    pub fn name(&self) -> &str {
        let base = self.path.rsplit('/').next().unwrap_or_default();
        base.split_once('-').map_or("", |(_, name)| name)
    }

    /// The name of the key that vouches.
    pub fn key_name(&self) -> Option<&str> {
        self.key.as_deref()?.split(':').next()
    }

    /// Whether it is this member's own: sent by them, or signed by a key of theirs.
    pub fn is_own(&self, member: &str) -> bool {
        self.member.as_deref() == Some(member) || self.key_owner.as_deref() == Some(member)
    }

    /// Why it is not published, where that was decided.
    pub fn why_not(&self) -> Option<String> {
        let decided = self.decided.as_ref()?;
        let reason = decided.reason.trim_end_matches('.');
        match self.state {
            ApprovalState::Waiting | ApprovalState::Published => None,
            ApprovalState::Rejected => Some(format!("{} rejected it: {reason}", decided.by)),
            ApprovalState::Refused | ApprovalState::Expired => Some(reason.to_owned()),
        }
    }

    /// Whether it waits no more, and still means something to who began at this time to send it: it
    /// was decided since, or the same is not taken again.
    pub(in super::super) fn ended_since(&self, time: i64) -> bool {
        let since = self.decided.as_ref().is_some_and(|word| word.at >= time);
        let is_barred = self.state == ApprovalState::Rejected && self.expires_at > now();
        !self.is_waiting() && (since || is_barred)
    }

    pub(in super::super) fn is_waiting(&self) -> bool {
        self.state == ApprovalState::Waiting
    }

    pub(super) fn standing<'a>(&self, cache: &'a Arc<Cache>) -> Standing<'a> {
        Standing {
            cache,
            owner: self.uploader.clone(),
            token: self.token.clone(),
            trust_rule: self.trust_rule.clone(),
            member: self.member.clone(),
            actor: self.actor.clone(),
            request: String::new(),
            client: None,
        }
    }
}
