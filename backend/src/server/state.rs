//! Opening the server's own state: finding its place, then the ledger over it.

use std::collections::BTreeMap;
use std::sync::Arc;

use snowbank_shared::store_path::StorePathHash;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::StartError;
use super::embedded::{self, Buckets};
use super::open::place;
use crate::bucket::embedded::EmbeddedS3;
use crate::config::Config;
use crate::ledger::{BucketStore, Ledger, LedgerParams, News, Pace, PenTimes, Store};
use crate::secrets::{self, StateSecret};
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
    let secret = secrets::read_state_secret(&config.secret_path())?;
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
