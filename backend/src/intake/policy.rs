//! What a cache's maintainers decided about uploads: a record of the ledger, changed while it runs.

use serde::{Deserialize, Serialize};
use snowbank_shared::api::policy::{Candidate, Policy, PolicyRule, Ruling, decide};

pub use snowbank_shared::api::policy::SigningMode;

use super::judge::Voucher;
use super::waiting::Needs;
use super::{Act, Intake, Refusal, Standing};
use crate::auth::records::spelled;
use crate::auth::{AccessError, By};
use crate::ledger::kind::{Kind, Record, SETTINGS};
use crate::ledger::{Ledger, RecordId, RecordPath, Scope};
use crate::site::{Cache, Site};
use snowbank_shared::narinfo::NarInfo;

/// Members whom a refusal names at most.
const MOST_NAMED: usize = 5;

/// The rules for uploads to a cache.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UploadPolicy {
    /// Whether who uploads may send paths that another contributor's key has signed.
    pub relay: bool,
    /// Whether a path is refused that names paths which it does not declare as references. It is
    /// noted in any case. Disk images discard references on purpose.
    pub refuse_undeclared_references: bool,
    /// Whose signatures clients are to trust.
    pub mode: SigningMode,
    /// URLs of upstreams, of those that the configuration names, that may hold what a path refers to.
    pub reference_upstreams: Vec<String>,
    /// The rules; the first that fits decides, and without one a path is published.
    pub rules: Vec<PolicyRule>,
}

impl Record for UploadPolicy {
    const KIND: Kind = SETTINGS;
}

impl UploadPolicy {
    /// The rules of this cache; the default where nobody decided anything.
    pub fn of(ledger: &Ledger, cache: &str) -> Self {
        ledger.view().only(Scope::Cache(cache))
    }

    /// The rules of this cache, for an upload to it.
    ///
    /// # Errors
    /// Where they were decided and cannot be believed: what they hold back must not slip through.
    pub(super) fn in_force(ledger: &Ledger, cache: &str) -> Result<Self, Refusal> {
        let (view, scope) = (ledger.view(), Scope::Cache(cache));
        if let Some(entry) = view.get::<Self>(scope, &RecordId::only()) {
            return Ok((*entry.record).clone());
        }
        let path = RecordPath::new(SETTINGS, scope, &RecordId::only());
        if view
            .stops(cache)
            .iter()
            .any(|finding| finding.path == path.as_str())
        {
            return Err(Refusal::dependency(
                "the policy of this cache cannot be believed, so nothing is published: tell an owner, the page Health of the cache says more",
            ));
        }
        Ok(Self::default())
    }

    /// The policy of a cache as the API shows it; revision 0 where nobody decided anything.
    pub fn shown(site: &Site, cache: &Cache) -> Policy {
        let view = site.ledger.view();
        let entry = view.get::<Self>(Scope::Cache(cache.slug.as_str()), &RecordId::only());
        let policy = entry
            .as_ref()
            .map(|entry| (*entry.record).clone())
            .unwrap_or_default();
        Policy {
            mode: policy.mode,
            relay: policy.relay,
            refuse_undeclared_references: policy.refuse_undeclared_references,
            sentences: policy.rules.iter().map(PolicyRule::sentence).collect(),
            reference_upstreams: policy.reference_upstreams,
            rules: policy.rules,
            revision: entry.as_ref().map_or(0, |entry| entry.sequence),
            upstreams: cache.upstreams.urls().map(str::to_owned).collect(),
            changed_by: entry.as_ref().map(|entry| entry.changed_by.clone()),
            changed_at: entry.map(|entry| spelled(entry.changed_at.unix_timestamp())),
        }
    }

    /// Changes the policy of a cache, where nobody did since that revision was read.
    ///
    /// # Errors
    /// Where somebody did, a value cannot be, or the ledger cannot write it.
    pub async fn change(
        site: &Site,
        cache: &Cache,
        wish: &Policy,
        by: &By,
    ) -> Result<Policy, AccessError> {
        if let Some(fault) = wish.fault() {
            return Err(AccessError::Bad(fault));
        }
        let unknown = wish
            .reference_upstreams
            .iter()
            .find(|url| cache.upstreams.urls().all(|known| known != *url));
        if let Some(url) = unknown {
            return Err(AccessError::Bad(format!(
                "The configuration names no upstream {url} for this cache."
            )));
        }
        let scope = Scope::Cache(cache.slug.as_str());
        let before = site.ledger.view().get::<Self>(scope, &RecordId::only());
        if before.as_ref().map_or(0, |before| before.sequence) != wish.revision {
            return Err(AccessError::Conflict);
        }
        let seen = before.map(|before| (*before.record).clone());
        let next = Self {
            relay: wish.relay,
            refuse_undeclared_references: wish.refuse_undeclared_references,
            mode: wish.mode,
            reference_upstreams: wish.reference_upstreams.clone(),
            rules: wish.rules.clone(),
        };
        // What was read is compared here, what is written with the bucket by the ledger.
        site.ledger
            .put(
                scope,
                &RecordId::only(),
                &by.actor,
                |current: Option<&Self>| {
                    if current != seen.as_ref() {
                        return Err(AccessError::Conflict);
                    }
                    Ok(next.clone())
                },
            )
            .await?;
        let shown = Self::shown(site, cache);
        let rules = match shown.sentences.as_slice() {
            [] => "none".to_owned(),
            sentences => sentences.join(" "),
        };
        site.access
            .note_in(
                cache.slug.as_str(),
                by,
                "policy.change",
                cache.slug.as_str(),
                &[
                    ("mode", next.mode.as_str().to_owned()),
                    ("relay", next.relay.to_string()),
                    ("rules", rules),
                ],
            )
            .await;
        Ok(shown)
    }
}

impl Intake {
    /// What the policy wants for an upload, and the rule that says so.
    pub(super) fn ruled(
        &self,
        standing: &Standing<'_>,
        narinfo: &NarInfo,
        voucher: Option<&Voucher>,
        policy: &UploadPolicy,
    ) -> Result<(Needs, Option<String>), Refusal> {
        let path = narinfo.store_path();
        let key = voucher
            .and_then(Voucher::key)
            .and_then(|key| key.split(':').next());
        let upload = Candidate {
            member: standing.member.as_deref(),
            key,
            name: path.name(),
            nar_size: narinfo.nar_size(),
        };
        self.ruled_of(standing.cache, &upload, policy)
    }

    /// The same of what is only planned.
    pub(super) fn ruled_of(
        &self,
        cache: &Cache,
        upload: &Candidate<'_>,
        policy: &UploadPolicy,
    ) -> Result<(Needs, Option<String>), Refusal> {
        let (at, ruling) = decide(&policy.rules, upload);
        let sentence = at.map(|at| policy.rules[at].sentence());
        let needs = match ruling {
            Ruling::Publish => Needs::Nothing,
            Ruling::Approval { approvals } => Needs::Approvals {
                approvals: *approvals,
            },
            Ruling::Builders { builders } => Needs::Builders {
                builders: *builders,
            },
            Ruling::Refuse { reason } => {
                let what = at
                    .map(|at| policy.rules[at].names.join(" or "))
                    .filter(|names| !names.is_empty())
                    .unwrap_or_else(|| upload.name.to_owned());
                return Err(Refusal::forbidden(
                    "policy",
                    format!(
                        "you may not upload {what} here (policy {}): {}. {}",
                        cache.slug,
                        reason.trim().trim_end_matches('.'),
                        self.whom_to_ask(cache, upload.member)
                    ),
                ));
            }
        };
        Ok((needs, sentence))
    }

    /// `Ask: carol, dave.`: who maintains a cache, but the one who asks.
    pub(super) fn whom_to_ask(&self, cache: &Cache, but: Option<&str>) -> String {
        let mut names = self
            .0
            .site
            .access
            .members_who_may(Act::Maintain, cache.on());
        names.retain(|name| Some(name.as_str()) != but);
        let more = names.len().saturating_sub(MOST_NAMED);
        names.truncate(MOST_NAMED);
        match (names.as_slice(), more) {
            ([], _) => "Nobody else maintains this cache: ask an owner of the server".to_owned(),
            (names, 0) => format!("Ask: {}", names.join(", ")),
            (names, more) => format!("Ask: {} and {more} more", names.join(", ")),
        }
    }
}
