//! Whose upload is judged: who sends it now, or sent it a while ago.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Intake, Refusal};
use crate::auth::Act;
use crate::site::Cache;

/// Whose upload, to which cache.
pub(super) struct Standing<'a> {
    pub(super) cache: &'a Arc<Cache>,
    /// `member:…`, whichever token they use; `machine:…`; `token:…` ([`owner`](super::owner)).
    pub(super) owner: String,
    /// The token that it came with, where one did.
    pub(super) token: Option<String>,
    /// The trust rule by which a machine got that token.
    pub(super) trust_rule: Option<String>,
    /// The member behind it.
    pub(super) member: Option<String>,
    /// As the audit and the log name them.
    pub(super) actor: String,
    /// The request, for the log; empty where there is none any more.
    pub(super) request: String,
    /// Where it came from, while it comes.
    pub(super) client: Option<IpAddr>,
}

impl Intake {
    /// Whether who sent something a while ago may still upload here. Somebody who ends the token that
    /// it came with, or removes the trust rule behind that, takes it back.
    pub(super) fn still_uploads(&self, standing: &Standing<'_>) -> Result<(), Refusal> {
        let access = &self.0.site.access;
        let cache = standing.cache;
        // What waited before tokens were kept beside it: only machines' had one in their name.
        let token = standing
            .token
            .as_deref()
            .or_else(|| standing.owner.strip_prefix("token:"));
        let may = match &standing.member {
            Some(member) => access.member_may(member, Act::Upload, cache.on()),
            // A machine's token ends after minutes by itself; that does not count.
            None => token.is_some(),
        };
        if !may {
            return Err(Refusal::forbidden(
                "not-allowed",
                format!(
                    "{} may not upload to the cache {} any more",
                    standing.actor, cache.slug
                ),
            ));
        }
        if token.is_some_and(|token| access.was_ended(token)) {
            return Err(Refusal::forbidden(
                "not-allowed",
                format!("the token that {} sent it with was ended", standing.actor),
            ));
        }
        let rule = standing.trust_rule.as_deref();
        if let Some(rule) = rule.filter(|rule| access.trust_was_removed(rule)) {
            return Err(Refusal::forbidden(
                "not-allowed",
                format!(
                    "{} sent it by the trust rule {rule}, which was removed",
                    standing.actor
                ),
            ));
        }
        Ok(())
    }
}
