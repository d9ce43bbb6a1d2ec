//! The running server: opens the caches, listens, answers until it is told to stop.
//!
//! [`open`] turns a configuration into caches, [`connection`] accepts and bounds
//! connections, [`dispatch`] decides who answers a request, [`ready`] says whether they can be answered rightly. Shutting down stops accepting,
//! ends streams of events, lets answers under way finish within a bound, then ends the
//! sweeps and writes the indexes.

mod access;
mod around;
mod collect;
mod connection;
mod counted;
pub mod dispatch;
mod embedded;
mod holding;
mod in_trash;
mod inventory;
mod logs;
mod measuring;
mod open;
mod proven;
mod ready;
mod ring;
mod state;

pub use open::Opened;
pub use state::{OpenedState, open_state};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::Access;
use crate::bucket::BucketError;
use crate::bucket::embedded::EmbeddedS3;
use crate::config::{Config, PublicUrl};
use crate::index::OpenError;
use crate::intake::Intake;
use crate::ledger::{Phase, Refusal};
use crate::metrics::Metrics;
use crate::retention::Retention;
use crate::secrets::{self, SecretError};
use crate::signing::Signing;
use crate::site::{ForeignCaches, LiveChecks, Site};
use crate::sync::{Schedule, SyncHandle};
use crate::verify::background;

use dispatch::Dispatch;

/// Streams of events at once.
const EVENT_STREAMS: usize = 512;
/// How long the start waits for the server's own state; what takes longer is shown on the pages.
const SETTLING: Duration = Duration::from_secs(8);
/// Exports of whole tables at once: each holds a version of the index until it is read.
const EXPORTS: usize = 8;
/// Answers of tens of megabytes at once: each is in memory until it is sent.
const LARGE_ANSWERS: usize = 8;
/// How long answers under way may take when the server is to end.
const GRACE: Duration = Duration::from_secs(10);

/// How long the greeting waits for the state.
const FIRST_LOOK: Duration = Duration::from_secs(10);

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address} (`{key}`): {source}")]
    Listen {
        /// The setting.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// A secret cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A secret cannot be had from where a setting says.
    #[error("`{key}`: {source}")]
    SecretOf {
        /// The setting.
        key: String,
        /// What is wrong.
        source: SecretError,
    },
    /// A bucket's settings cannot be right.
    #[error("`caches.{cache}`: {source}")]
    Bucket {
        /// Its slug.
        cache: String,
        /// What is wrong.
        source: BucketError,
    },
    /// An index cannot be opened.
    #[error("cache `{cache}`: {source}")]
    Index {
        /// Its slug.
        cache: String,
        /// What is wrong.
        source: OpenError,
    },
    /// The server's own state cannot be opened.
    #[error("the server's own state: {0}")]
    State(String),
    /// The server was opened without its state: a fault of the program.
    #[error("the server's own state was not opened")]
    NoState,
    /// The address that is made of a setting cannot stand in nix.conf.
    #[error("the address of cache `{cache}` cannot stand in nix.conf: {reason}")]
    Address {
        /// Its slug.
        cache: String,
        /// Why.
        reason: String,
    },
    /// The embedded S3 server cannot start.
    #[error("the embedded S3 server: {0}")]
    Embedded(String),
}

impl StartError {
    /// Names the setting that leads to a secret.
    fn secret_of(key: impl Into<String>) -> impl FnOnce(SecretError) -> Self {
        let key = key.into();
        move |source| Self::SecretOf { key, source }
    }

    /// Names the setting that leads to the state secret.
    fn state_secret_of(config: &Config) -> impl FnOnce(SecretError) -> Self {
        Self::secret_of(match config.secret_file {
            Some(_) => "secret_file",
            None => DATA_DIR,
        })
    }
}

/// The setting below which everything is made that has no setting of its own.
const DATA_DIR: &str = "data_dir";

/// A server that answers.
pub struct RunningServer {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Where `/metrics` has a listener of its own.
    pub metrics_addr: Option<SocketAddr>,
    site: Arc<Site>,
    intake: Intake,
    retention: Retention,
    opened: Opened,
    tasks: TaskTracker,
    /// Stops accepting.
    listening: CancellationToken,
}

/// Opens the caches and begins to answer.
///
/// # Errors
/// What keeps it from starting. A bucket that does not answer is no such thing: the server
/// starts and says so on its pages.
pub async fn start(config: Config) -> Result<RunningServer, StartError> {
    let (listener, addr) = listen("listen", config.listen).await?;
    let metrics_listener = match config.metrics_listen {
        Some(address) => Some(listen("metrics_listen", address).await?),
        None => None,
    };
    let public_url = config.public_url.clone().unwrap_or_else(|| url_of(addr));
    let cache_url = config
        .cache_url
        .clone()
        .unwrap_or_else(|| public_url.clone());
    let secret = secrets::read_or_make_state_secret(&config.secret_path())
        .map_err(StartError::state_secret_of(&config))?;
    let metrics = Metrics::default();
    let opened = open::caches(
        &config,
        &cache_url,
        &metrics,
        Schedule::Periods,
        Some(secret.clone()),
    )
    .await?;
    let ledger = opened.ledger.clone().ok_or(StartError::NoState)?;
    if let Phase::Refused(refusal @ Refusal::SecondWriter(_)) = ledger.settled(SETTLING).await {
        opened.close().await;
        return Err(StartError::State(refusal.to_string()));
    }
    let access = Access::new(ledger.clone(), secret, &config, &public_url, &cache_url);
    let site = Arc::new(Site {
        public_url,
        cache_url,
        caches: opened.caches.clone(),
        access: Arc::new(access),
        ledger,
        metrics,
        started_at: OffsetDateTime::now_utc(),
        heavy: Arc::new(Semaphore::new(
            std::thread::available_parallelism()
                .map_or(2, usize::from)
                .max(2),
        )),
        exports: Arc::new(Semaphore::new(EXPORTS)),
        large: Arc::new(Semaphore::new(LARGE_ANSWERS)),
        streams: Arc::new(Semaphore::new(EVENT_STREAMS)),
        live: LiveChecks::new(config.live_check),
        foreign: ForeignCaches::default(),
        closing: CancellationToken::new(),
    });
    holding::refresh(&site);
    let keys_dir = open::keys_dir(&config.data_dir);
    ring::give(&site, &keys_dir);
    site.metrics.collect(collect::Caches::of(&site));
    let tasks = TaskTracker::new();
    let listening = CancellationToken::new();
    let intake = Intake::new(&site);
    let signing = Signing::new(&site, keys_dir.clone());
    let retention = Retention::new(&site, &intake, opened.hints(), config.retention);
    let dispatch = Arc::new(Dispatch::new(&site, &intake, &signing, &retention, &config));
    tasks.spawn(connection::accept(
        listener,
        dispatch,
        listening.clone(),
        Arc::clone(&site),
    ));
    let metrics_addr = metrics_listener.map(|(listener, addr)| {
        let answering = Arc::new(collect::MetricsOnly::of(&site));
        tasks.spawn(connection::accept(
            listener,
            answering,
            listening.clone(),
            Arc::clone(&site),
        ));
        addr
    });
    let hints = opened.hints();
    let closing = site.closing.clone();
    tasks.spawn(state::follow(site.ledger.clone(), hints, closing));
    tasks.spawn(ring::follow(Arc::clone(&site), keys_dir));
    tasks.spawn(signing.run());
    tasks.spawn(retention.clone().run());
    tasks.spawn(in_trash::follow(Arc::clone(&site), retention.clone()));
    tasks.spawn(intake.clone().tend());
    tasks.spawn(holding::follow(Arc::clone(&site)));
    tasks.spawn(intake.clone().upkeep());
    tasks.spawn(measuring::follow(Arc::clone(&site)));
    tasks.spawn(proven::show(Arc::clone(&site)));
    tasks.spawn(background::run(Arc::clone(&site)));
    tasks.spawn(counted::keep(Arc::clone(&site)));
    tasks.spawn(logs::follow(Arc::clone(&site)));
    tasks.spawn(inventory::follow(Arc::clone(&site)));
    tasks.spawn(around::follow(Arc::clone(&site)));
    tasks.spawn(crate::alerts::follow(Arc::clone(&site)));
    tasks.spawn(state::show_findings(site.ledger.clone(), Arc::clone(&site)));
    tasks.close();
    Ok(RunningServer {
        addr,
        metrics_addr,
        site,
        intake,
        retention,
        opened,
        tasks,
        listening,
    })
}

/// Opens the caches without answering anybody. They are swept when it is asked for; the server's
/// state stays closed.
///
/// # Errors
/// As [`start`].
pub async fn open(config: &Config) -> Result<Opened, StartError> {
    let public_url = config
        .public_url
        .clone()
        .unwrap_or_else(|| url_of(config.listen));
    let cache_url = config.cache_url.clone().unwrap_or(public_url);
    open::caches(
        config,
        &cache_url,
        &Metrics::default(),
        Schedule::Asked,
        None,
    )
    .await
}

/// How the server of this configuration is reached.
pub fn public_url_of(config: &Config) -> PublicUrl {
    let given = config.public_url.clone();
    given.unwrap_or_else(|| url_of(config.listen))
}

async fn listen(
    key: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen {
        key,
        address,
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// How a server that was told no `public_url` is reached: by its address, or, where it
/// listens on all of them, by the loopback's name.
fn url_of(addr: SocketAddr) -> PublicUrl {
    let text = if addr.ip().is_unspecified() {
        tracing::warn!(
            "listening on all addresses without `public_url`: links and nix.conf lines name localhost"
        );
        format!("http://localhost:{}", addr.port())
    } else {
        format!("http://{addr}")
    };
    text.parse().unwrap_or_else(|_| PublicUrl::localhost())
}

impl RunningServer {
    /// The address for people.
    pub fn url(&self) -> String {
        self.site.public_url.to_string()
    }

    /// A link that makes the first owner, where the state can be read and has none.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub async fn first_owner_link(&self) -> Result<Option<String>, SecretError> {
        let access = &self.site.access;
        match access.ledger().settled(FIRST_LOOK).await {
            Phase::Open if access.owners().is_empty() => access.owner_link().map(Some),
            _ => Ok(None),
        }
    }

    /// What it has in hand.
    pub fn site(&self) -> &Arc<Site> {
        &self.site
    }

    /// What takes uploads.
    pub fn intake(&self) -> &Intake {
        &self.intake
    }

    /// What plans and runs are made by.
    pub fn retention(&self) -> &Retention {
        &self.retention
    }

    /// The sweeps of the cache of this slug.
    pub fn sync(&self, slug: &str) -> Option<&SyncHandle> {
        self.opened
            .caches()
            .find(|(cache, _)| cache.slug.as_str() == slug)
            .map(|(_, sync)| sync)
    }

    /// The embedded S3 server, where a cache lies in a folder.
    pub fn embedded(&self) -> Option<&EmbeddedS3> {
        self.opened.embedded.as_ref()
    }

    /// Ends the server: no new connections, streams end, answers under way get some
    /// seconds; then the sweeps end and the indexes are written.
    pub async fn shutdown(self) {
        self.listening.cancel();
        self.site.closing.cancel();
        if tokio::time::timeout(GRACE, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("answers under way did not end in time and are cut off");
        }
        counted::write_last(&self.site).await;
        self.opened.close().await;
    }
}
