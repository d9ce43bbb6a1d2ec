//! Opening the server's own state: finding its place, then the ledger over it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use snowbank_shared::api::{Finding, Severity};
use snowbank_shared::store_path::StorePathHash;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::StartError;
use super::embedded::{self, Buckets};
use super::open::place;
use crate::bucket::embedded::EmbeddedS3;
use crate::config::Config;
use crate::index::{Change, Index};
use crate::ledger::{
    BucketStore, Freshness, Ledger, LedgerFinding, LedgerParams, News, Pace, PenTimes, Store,
};
use crate::secrets::{self, StateSecret};
use crate::site::Site;
use crate::sync::Hints;

/// Opens the ledger. That its bucket does not answer is no failure: it goes on trying.
pub(super) async fn open(
    config: &Config,
    secret: StateSecret,
    buckets: &Buckets,
    embedded: Option<&EmbeddedS3>,
) -> Result<Ledger, StartError> {
    begin_with(config, secret, buckets, embedded, None).await
}

async fn begin_with(
    config: &Config,
    secret: StateSecret,
    buckets: &Buckets,
    embedded: Option<&EmbeddedS3>,
    refused: Option<String>,
) -> Result<Ledger, StartError> {
    let failed = |error: &dyn std::fmt::Display| StartError::State(error.to_string());
    let mut stores = Vec::new();
    for state in config.state.places(&config.caches) {
        let at = place(&state.source, buckets, embedded);
        stores.push(
            BucketStore::connect(&at)
                .await
                .map_err(|error| failed(&error))?,
        );
    }
    let (store, doubt) = chosen(stores).await?;
    Ledger::open(LedgerParams {
        store: Arc::new(store),
        secret,
        memory: Some(config.data_dir.join("ledger").join("seen.json")),
        pace: Pace::default(),
        client_addresses: config.state.client_addresses,
        writer: config.state.writer.as_ref().map(ToString::to_string),
        pen: PenTimes::default(),
        doubt: refused.or(doubt),
    })
    .map_err(|error| failed(&error))
}

/// The one place where there is a state already, else the first. With that, why no new
/// state may be begun there.
///
/// Without `[state]`, the place is the bucket of the first cache by slug. A cache that is
/// added must not move it.
async fn chosen(mut stores: Vec<BucketStore>) -> Result<(BucketStore, Option<String>), StartError> {
    if stores.len() == 1 {
        return Ok((stores.remove(0), None));
    }
    let mut found = Vec::new();
    let mut doubt = None;
    for (at, store) in stores.iter().enumerate() {
        match store.get("format.json").await {
            Ok(Some(_)) => found.push(at),
            Ok(None) => {}
            Err(error) => {
                doubt = Some(format!(
                    "whether it lies at {} could not be seen ({error}); start again when it can, or name the place with [state]",
                    store.location()
                ));
            }
        }
    }
    match found.as_slice() {
        [] if stores.is_empty() => Err(StartError::NoState),
        [] => Ok((stores.remove(0), doubt)),
        [one] => Ok((stores.remove(*one), None)),
        [one, two, ..] => Err(StartError::State(format!(
            "there is a state at {} and one at {}: name the right one with [state]",
            stores[*one].location(),
            stores[*two].location()
        ))),
    }
}

/// Passes on what other replicas tell of their caches, until the server ends.
pub(super) async fn follow(
    ledger: Ledger,
    hints: BTreeMap<String, Hints>,
    closing: CancellationToken,
) {
    let mut news = ledger.news();
    loop {
        let told = tokio::select! {
            () = closing.cancelled() => return,
            told = news.recv() => told,
        };
        match told {
            Ok(News::Changed(change)) => {
                let hash = StorePathHash::from_narinfo_key(&change.key);
                if let (Some(hints), Some(hash)) = (hints.get(&change.cache), hash) {
                    hints.changed(hash);
                }
            }
            Ok(News::Missed) | Err(RecvError::Lagged(_)) => {
                for hints in hints.values() {
                    hints.missed();
                }
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// The check of findings about records of a cache.
const STATE_CHECK: &str = "state-record";

/// Shows in a cache's Health what stops its plans, runs and purges, until the server ends.
pub(super) async fn show_findings(ledger: Ledger, site: Arc<Site>) {
    let mut revision = ledger.subscribe();
    loop {
        // Before the first look nothing is known, which is not that nothing is wrong.
        if ledger.freshness() != Freshness::Never {
            let view = ledger.view();
            for cache in &site.caches {
                let stops = view.stops(cache.slug.as_str());
                let index = cache.index.clone();
                let shown = tokio::task::spawn_blocking(move || show(&index, &stops));
                if let Err(error) = shown.await {
                    tracing::error!(cache = %cache.slug, %error, "showing findings of the state failed");
                }
            }
        }
        tokio::select! {
            () = site.closing.cancelled() => return,
            changed = revision.changed() => if changed.is_err() { return },
        }
    }
}

/// Holds what an index shows against what is so. Not for the reactor.
fn show(index: &Index, stops: &[LedgerFinding]) {
    let view = index.view();
    let mut over = BTreeSet::new();
    let mut cursor: Option<String> = None;
    // A cursor that the view itself gave is never refused.
    while let Ok(page) = view.health(Some(STATE_CHECK), 1000, cursor.as_deref()) {
        over.extend(page.items.into_iter().map(|finding| finding.object));
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    let mut changes = Vec::new();
    for stop in stops {
        if !over.remove(&stop.path) {
            changes.push(Change::Finding(Finding {
                check: STATE_CHECK.to_owned(),
                severity: Severity::Error,
                object: stop.path.clone(),
                line: None,
                reason: format!(
                    "{}. Plans, runs and purges of this cache stop until it is settled",
                    stop.trouble
                ),
                hash: None,
            }));
        }
    }
    changes.extend(
        over.into_iter()
            .map(|object| Change::Settled(STATE_CHECK.to_owned(), object)),
    );
    if !changes.is_empty() {
        index.apply(changes);
    }
}

/// The server's state, opened alone: for the command line.
pub struct OpenedState {
    /// The ledger.
    pub ledger: Ledger,
    embedded: Option<EmbeddedS3>,
}

impl OpenedState {
    /// Closes the ledger, then ends the embedded S3.
    pub async fn close(self) {
        self.ledger.close().await;
        if let Some(embedded) = self.embedded {
            embedded.shutdown().await;
        }
    }
}

/// Opens the state of a configuration and nothing else. The secret must be there; a state is
/// begun only where `begin` says so.
///
/// # Errors
/// What keeps it from being tried; whether it is open, its phase says.
pub async fn open_state(config: &Config, begin: bool) -> Result<OpenedState, StartError> {
    let secret = secrets::read_state_secret(&config.secret_path())
        .map_err(StartError::state_secret_of(config))?;
    // The buckets of caches are not touched, and S3 clients stay out.
    let config = Config {
        s3_listen: None,
        ..config.clone()
    };
    let buckets = embedded::buckets(&config);
    let embedded = embedded::start(&config, &buckets).await?;
    let refused = (!begin).then(|| "there is no state there yet".to_owned());
    let ledger = begin_with(&config, secret, &buckets, embedded.as_ref(), refused).await?;
    Ok(OpenedState { ledger, embedded })
}
