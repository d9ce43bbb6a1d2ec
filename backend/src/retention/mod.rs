//! Retention: which paths of a cache may go. This much of it simulates; nothing here deletes.
//!
//! *Rules* ([`rules`]) say what stays: pins with their newest revisions, what was fetched or uploaded
//! within some days, names; and always everything that those need. Rules only keep. A path goes where
//! none keeps it and nothing that stays refers to it. With no rule that applies, everything stays.
//!
//! *What is new stays.* Paths younger than the hours of grace keep themselves and what they need: an
//! upload is not over when its first paths are there.
//!
//! *What was fetched* is a rule only where fetches were measured without a gap for all of its days, and
//! 45 at least. Until then the rule says from when on it can be used, and no plan could be made by it:
//! to leave a rule out removes more, never less.
//!
//! *A simulation* ([`simulate()`]) is a pure function of a version of the index, the pins, and what was
//! fetched when. It is handed no bucket and no ledger, so it cannot read, write or delete objects. It
//! counts a NAR once, as freed only where every narinfo that names it goes.
//!
//! *Why* ([`why()`]) names the nearest path that a rule keeps, with the chain of references from it, and
//! what each rule says of the path itself. It asks the very [`Applied`] that simulations ask.
//!
//! *Plans and runs* are not made by this version. [`refusal`] says so, after what else would be in the
//! way: an index that is not complete, a record that cannot be believed
//! ([`crate::ledger::kind::Unverified::StopsRuns`]), a rule that cannot be applied.
//!
//! Whether the caller may is asked by who calls.

mod applied;
mod purge;
mod rules;
mod simulate;
mod why;

pub use applied::{Applied, FETCHES_MEASURED_DAYS, Facts, PinnedPath, Reason};
pub use purge::{PurgeError, preview as purge_preview, purge};
pub use rules::{RetentionRecord, change, fault, shown};
pub use simulate::simulate;
pub use why::why;

use snowbank_shared::api::retention::DisabledRule;

use crate::ledger::Ledger;
use crate::pins;
use crate::site::{Cache, Site};

/// What the pins of a cache name, each pin's newest revision first.
pub fn pinned(ledger: &Ledger, cache: &str) -> Vec<PinnedPath> {
    let mut paths = Vec::new();
    for pin in pins::all(ledger, cache) {
        for (place, revision) in pin.revisions.iter().rev().enumerate() {
            paths.push(PinnedPath {
                pin: pin.id.to_string(),
                revision: revision.number,
                place,
                path: revision.path.hash(),
            });
        }
    }
    paths
}

/// Why no plan can be made now. This version never makes any.
pub fn refusal(site: &Site, cache: &Cache, disabled: Option<&DisabledRule>) -> String {
    if !cache.is_complete() {
        return "The index is not complete yet: what is not in it could need what would go. Wait for the first sweep.".to_owned();
    }
    if let Some(finding) = site.ledger.view().stops(cache.slug.as_str()).first() {
        return format!(
            "`{}` cannot be believed, and it may hold something back: {}. Nothing is planned until Health's finding is settled.",
            finding.path, finding.trouble
        );
    }
    if let Some(disabled) = disabled {
        return format!(
            "A rule cannot be applied yet, and without it more would go: {}",
            disabled.reason
        );
    }
    "This version simulates. It makes no plans and deletes nothing.".to_owned()
}
