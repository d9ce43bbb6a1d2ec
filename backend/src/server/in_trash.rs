//! What runs of retention may put back is told to the index, so that Health does not call it an orphan.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::records::spelled;
use crate::condemned::{self, RunRecord};
use crate::index::{InTrash, Trash};
use crate::ledger::{Entry, Freshness, Ledger, LedgerError};
use crate::retention::{Retention, undo_until};
use crate::site::{Cache, Site};

/// Between two looks at what runs there are: nothing is read where they are the same.
const LOOK: Duration = Duration::from_secs(2);

/// Runs, and until when each can be undone.
type Runs = Vec<(String, Option<i64>)>;

/// Tells every index, until the server ends.
pub(super) async fn follow(site: Arc<Site>, retention: Retention) {
    let mut told: HashMap<String, Runs> = HashMap::new();
    loop {
        tokio::select! {
            () = site.closing.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        if site.ledger.freshness() == Freshness::Never {
            continue;
        }
        for cache in &site.caches {
            let runs = retention.undoable_runs(cache);
            let known: Runs = runs
                .iter()
                .map(|run| (run.id.to_string(), undo_until(run)))
                .collect();
            if told.get(cache.slug.as_str()) == Some(&known) {
                continue;
            }
            match tell(&site.ledger, cache, &runs).await {
                Ok(()) => {
                    told.insert(cache.slug.to_string(), known);
                }
                Err(error) => {
                    tracing::debug!(cache = %cache.slug, %error, "what lies in the trash is not known yet");
                }
            }
        }
    }
}

async fn tell(
    ledger: &Ledger,
    cache: &Arc<Cache>,
    runs: &[Entry<RunRecord>],
) -> Result<(), LedgerError> {
    let mut trash = Trash::new();
    for run in runs {
        let of = (run.bundles, run.digest.as_str());
        let until = undo_until(run);
        for path in condemned::list(ledger, cache.slug.as_str(), &run.plan, of).await? {
            let known = trash.entry(path.nar).or_insert_with(|| InTrash {
                until: None,
                bytes: path.bytes.unwrap_or(0),
            });
            // Of several runs the last one keeps it.
            known.until = known.until.take().max(until.map(spelled));
        }
    }
    let cache = Arc::clone(cache);
    let telling = tokio::task::spawn_blocking(move || cache.index.set_trash(trash));
    telling
        .await
        .map_err(|_| LedgerError::Closed("the index was not told".to_owned()))
}
