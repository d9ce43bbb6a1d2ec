//! Whose upload is judged: who sends it now, or sent it a while ago.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Intake, Refusal};
use crate::auth::Act;
use crate::site::Cache;

/// Whose upload, to which cache.
pub(super) struct Standing<'a> {
    pub(super) cache: &'a Arc<Cache>,
    /// `member:…`, whichever token they use; `token:…` of a machine.
    pub(super) owner: String,
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
    /// Whether who sent something a while ago may still upload here.
    pub(super) fn still_uploads(&self, standing: &Standing<'_>) -> Result<(), Refusal> {
        let access = &self.0.site.access;
        let cache = standing.cache;
        let may = match (&standing.member, standing.owner.strip_prefix("token:")) {
            (Some(member), _) => access.member_may(member, Act::Upload, cache.on()),
            // A machine's token ends after minutes by itself; only who ends it takes back what it sent.
            (None, Some(token)) => !access.was_ended(token),
            (None, None) => false,
        };
        if may {
            return Ok(());
        }
        Err(Refusal::forbidden(
            "not-allowed",
            format!(
                "{} may not upload to the cache {} any more",
                standing.actor, cache.slug
            ),
        ))
    }
}
