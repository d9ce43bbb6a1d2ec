//! An S3 server inside the process, over local folders whose files are the object keys.
//!
//! So one code path serves a laptop and AWS, and each folder is at the same time a `file://` binary cache:
//! what `nix copy --to file://…` wrote is adopted as it lies, and what was written here can be read
//! without us. Nothing is translated; a key *is* a path. What S3 knows and a folder does not lies in
//! `.s3/` inside the folder:
//!
//! ```text
//! .s3/lock        held by the one process that serves the folder
//! .s3/tmp/        files that are being written; removed at start
//! .s3/uploads/    parts of unfinished multipart uploads
//! .s3/meta/       headers that differ from the suffix's default
//! ```
//!
//! How a request flows: [`listener`] takes it from the network, [`faults`] may spoil it in tests, the `s3s`
//! crate checks the signature and parses it, [`access`] says whether it may, [`service`] hands it to
//! [`reads`], [`writes`], [`lists`] or [`parts`], and those work on a [`folder::Folder`].
//!
//! The server runs on threads of its own. Its file accesses may block them for a moment without holding
//! up anything else in the process, and its cost can be told apart.
//!
//! One server has up to two addresses: an internal one on a random loopback port with credentials that only this
//! process knows, and optionally another (`s3_listen`) with rules of its own, where the state area is hidden.

pub mod access;
pub mod beneath;
pub mod change;
mod conditions;
mod entries;
mod errors;
pub mod faults;
pub mod folder;
pub mod headers;
mod incoming;
pub mod key;
mod leftover;
mod listener;
mod listing;
mod lists;
mod lock;
pub mod names;
pub mod operation;
mod parts;
mod reads;
pub mod service;
mod spoil;
mod tokens;
pub mod uploads;
pub mod version;
mod writes;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use s3s::service::S3ServiceBuilder;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use access::{Access, Anonymous, Credentials};
use faults::Faults;
use folder::{Folder, FolderError};
use operation::Counters;
use service::{Buckets, Endpoint};

/// One address and its rules.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Address and port; port 0 for any free one.
    pub listen: SocketAddr,
    /// What signed requests are signed with; fresh random ones when `None`.
    pub credentials: Option<Credentials>,
    /// What unsigned requests may do. Anything but nothing needs a loopback address.
    pub anonymous: Anonymous,
    /// Key prefixes that this address neither shows nor serves nor takes, such as the state area's.
    pub hidden: Vec<String>,
}

impl Default for ListenerConfig {
    /// Any free port of the loopback, fresh credentials, nothing unsigned, nothing hidden.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            credentials: None,
            anonymous: Anonymous::Refused,
            hidden: Vec::new(),
        }
    }
}

/// What to serve, and where.
#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    /// Folder of each bucket. Missing folders are made.
    pub buckets: BTreeMap<String, PathBuf>,
    /// The address for this process itself.
    pub internal: ListenerConfig,
    /// The address for others, when asked for.
    pub external: Option<ListenerConfig>,
    /// Where CreateBucket makes folders; it is refused when `None`.
    pub new_buckets: Option<PathBuf>,
    /// Whether a change is on disk before it is acknowledged. Without it a power cut, but no kill, may lose
    /// the last seconds; for tests and throw-away folders.
    pub durable: bool,
    /// Rules by which tests spoil answers of both addresses.
    pub faults: Faults,
}

impl EmbeddedConfig {
    /// Durable, internal address only, no buckets yet.
    pub fn new() -> Self {
        Self {
            buckets: BTreeMap::new(),
            internal: ListenerConfig::default(),
            external: None,
            new_buckets: None,
            durable: true,
            faults: Faults::default(),
        }
    }

    /// Adds a bucket.
    #[must_use]
    pub fn bucket(mut self, name: &str, folder: impl Into<PathBuf>) -> Self {
        self.buckets.insert(name.to_owned(), folder.into());
        self
    }
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// A folder cannot be served.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// S3 has rules for the names of buckets.
    #[error(
        "\"{0}\" cannot be the name of a bucket: S3 wants 3 to 63 of a-z, 0-9, \"-\" and \".\", a letter or digit at both ends"
    )]
    BucketName(String),
    /// A folder lies inside another.
    #[error(
        "the folder {inner} of bucket \"{inner_bucket}\" lies inside {outer} of bucket \"{outer_bucket}\": each bucket needs a folder of its own"
    )]
    Nested {
        /// Bucket whose folder lies inside.
        inner_bucket: String,
        /// That folder.
        inner: PathBuf,
        /// Bucket around it.
        outer_bucket: String,
        /// Its folder.
        outer: PathBuf,
    },
    /// Unsigned requests were asked for on an address that others can reach.
    #[error(
        "unsigned S3 requests are only let in on a loopback address such as 127.0.0.1, not on {0}"
    )]
    AnonymousNotLoopback(SocketAddr),
    /// The address cannot be had.
    #[error("cannot listen for S3 on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system refuses threads or randomness.
    #[error("the system refuses what it needs: {0}")]
    Io(#[from] io::Error),
}

/// An address that is being served.
#[derive(Debug)]
struct Open {
    address: SocketAddr,
    credentials: Credentials,
    counters: Arc<Counters>,
}

/// A running server. Dropping it stops it at once; [`EmbeddedS3::shutdown`] lets requests finish.
#[derive(Debug)]
pub struct EmbeddedS3 {
    internal: Open,
    external: Option<Open>,
    faults: Faults,
    buckets: Arc<Buckets>,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
    runtime: Option<Runtime>,
}

impl EmbeddedS3 {
    /// Opens the folders and begins to serve. Works from any tokio runtime.
    ///
    /// # Errors
    /// When a folder is held by another process or cannot be used, an address is taken, or unsigned requests
    /// are asked for beyond the loopback.
    pub async fn start(config: EmbeddedConfig) -> Result<Self, EmbeddedError> {
        let started = tokio::task::spawn_blocking(move || Self::start_blocking(config));
        started.await.map_err(io::Error::other)?
    }

    fn start_blocking(config: EmbeddedConfig) -> Result<Self, EmbeddedError> {
        for listener in [Some(&config.internal), config.external.as_ref()]
            .into_iter()
            .flatten()
        {
            if listener.anonymous != Anonymous::Refused && !listener.listen.ip().is_loopback() {
                return Err(EmbeddedError::AnonymousNotLoopback(listener.listen));
            }
        }
        let folders = open_folders(&config)?;
        let buckets = Arc::new(Buckets::new(
            folders,
            config.new_buckets.clone(),
            config.durable,
        ));
        let threads = std::thread::available_parallelism()
            .map_or(2, usize::from)
            .clamp(2, 4);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("snowbank-s3")
            .enable_all()
            .build()?;
        let (stop, stopped) = watch::channel(false);
        let mut servers = Vec::new();
        let mut open = |listener: ListenerConfig| -> Result<Open, EmbeddedError> {
            let address = listener.listen;
            let socket = std::net::TcpListener::bind(address)
                .map_err(|source| EmbeddedError::Listen { address, source })?;
            socket.set_nonblocking(true)?;
            let address = socket.local_addr()?;
            let credentials = listener
                .credentials
                .map_or_else(Credentials::generate, Ok)?;
            let counters = Arc::new(Counters::default());
            let mut builder = S3ServiceBuilder::new(Endpoint {
                buckets: buckets.clone(),
                hidden: listener.hidden.into(),
            });
            builder.set_auth(credentials.clone());
            builder.set_access(Access {
                anonymous: listener.anonymous,
            });
            let front = listener::Front {
                s3: builder.build(),
                counters: counters.clone(),
                faults: config.faults.clone(),
            };
            let _inside = runtime.enter();
            let socket = tokio::net::TcpListener::from_std(socket)?;
            servers.push(runtime.spawn(listener::serve(socket, Arc::new(front), stopped.clone())));
            Ok(Open {
                address,
                credentials,
                counters,
            })
        };
        let internal = open(config.internal)?;
        let external = config.external.map(&mut open).transpose()?;
        let swept = buckets.clone();
        runtime.spawn_blocking(move || sweep(&swept, SystemTime::now()));
        Ok(Self {
            internal,
            external,
            faults: config.faults,
            buckets,
            stop,
            servers,
            runtime: Some(runtime),
        })
    }

    /// The internal address as a URL without a slash at its end.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.internal.address)
    }

    /// What requests to the internal address are signed with.
    pub fn credentials(&self) -> &Credentials {
        &self.internal.credentials
    }

    /// The address for others as a URL, when there is one.
    pub fn external_endpoint(&self) -> Option<String> {
        self.external
            .as_ref()
            .map(|open| format!("http://{}", open.address))
    }

    /// What requests to the address for others are signed with.
    pub fn external_credentials(&self) -> Option<&Credentials> {
        self.external.as_ref().map(|open| &open.credentials)
    }

    /// Requests that came to the internal address, by operation.
    pub fn counters(&self) -> &Counters {
        &self.internal.counters
    }

    /// Requests that came to the address for others, by operation.
    pub fn external_counters(&self) -> Option<&Counters> {
        self.external.as_ref().map(|open| &*open.counters)
    }

    /// The rules by which tests spoil answers.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Stops taking connections, lets open requests finish for a few seconds, and gives the folders free.
    pub async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        for server in self.servers.drain(..) {
            let _ = server.await;
        }
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        // What still blocks is a write to disk; it is waited for, because the lock goes with us.
        let stopped =
            tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(10)));
        let _ = stopped.await;
        self.unlock();
    }

    fn unlock(&self) {
        for (_, folder) in self.buckets.all() {
            folder.unlock();
        }
    }
}

impl Drop for EmbeddedS3 {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        let _ = self.stop.send(true);
        // A runtime may not be waited for on the thread of another, where a drop usually happens.
        let stopped = std::thread::spawn(move || runtime.shutdown_timeout(Duration::from_secs(2)));
        let _ = stopped.join();
        self.unlock();
    }
}

/// Opens all folders, or none.
fn open_folders(config: &EmbeddedConfig) -> Result<BTreeMap<String, Arc<Folder>>, EmbeddedError> {
    let mut folders: BTreeMap<String, Arc<Folder>> = BTreeMap::new();
    for (bucket, path) in &config.buckets {
        if !s3s::path::check_bucket_name(bucket) {
            return Err(EmbeddedError::BucketName(bucket.clone()));
        }
        let folder = Folder::open(path, config.durable)?;
        for (other, opened) in &folders {
            refuse_nested((bucket, folder.path()), (other, opened.path()))?;
            refuse_nested((other, opened.path()), (bucket, folder.path()))?;
        }
        folders.insert(bucket.clone(), Arc::new(folder));
    }
    Ok(folders)
}

fn refuse_nested(inner: (&str, &Path), outer: (&str, &Path)) -> Result<(), EmbeddedError> {
    if !inner.1.starts_with(outer.1) {
        return Ok(());
    }
    Err(EmbeddedError::Nested {
        inner_bucket: inner.0.to_owned(),
        inner: inner.1.to_owned(),
        outer_bucket: outer.0.to_owned(),
        outer: outer.1.to_owned(),
    })
}

/// Drops what is of no use any more: headers of objects that others changed, uploads that nobody goes on with.
fn sweep(buckets: &Buckets, started: SystemTime) {
    for (bucket, folder) in buckets.all() {
        match folder.sweep_headers(started) {
            Ok(0) => {}
            Ok(removed) => tracing::info!(
                bucket,
                removed,
                "removed headers of objects that changed outside"
            ),
            Err(error) => {
                tracing::warn!(bucket, error = %error, "cannot sweep the headers of objects");
            }
        }
        match uploads::drop_forgotten(&folder, started) {
            Ok(0) => {}
            Ok(dropped) => tracing::info!(
                bucket,
                dropped,
                "dropped uploads that nobody touched for a week"
            ),
            Err(error) => tracing::warn!(bucket, error = %error, "cannot drop forgotten uploads"),
        }
    }
}
