//! The index: a cache's narinfos as a graph in memory.
//!
//! # How it is made
//!
//! A narinfo becomes a row. Rows lie in columns, 16,384 to a chunk ([`chunk`]),
//! and keep their numbers; references are numbers of rows ([`graph`]). The text
//! of a narinfo is not kept: it is printed from the columns, byte for byte, and
//! only those that would not come back are kept as they are ([`layout`]).
//! What finds rows (by hash, by NAR, by referrer) is built by each merge
//! ([`links`], [`merge`]).
//!
//! Readers take a [`View`]: one version, which nothing changes. A change makes
//! the next version, in which everything that did not change is shared. Few
//! changes go into an overlay of what is not in columns yet ([`mutate`]) and show
//! at once; thousands go by way of a backlog ([`state`]). A background thread
//! merges, computes the closure of every path, and writes to disk ([`worker`]).
//!
//! On disk are a snapshot of the columns and a log of what came after
//! ([`snapshot`], [`log`]). Both only spare reading the bucket again: delete them
//! and nothing is lost.
//!
//! # Who may call what
//!
//! Everything here is synchronous. [`View::served`], [`View::find`] and the other
//! small accessors take microseconds. What says so in its documentation looks at
//! many paths: run that off the reactor.

mod accept;
mod affected;
mod census;
mod change;
mod chunk;
mod closure;
mod coverage;
mod diff;
mod dominators;
mod encode;
mod explore;
mod facets;
mod filter;
mod findings;
mod graph;
mod growth;
mod keep;
mod kept_findings;
mod key;
mod layout;
mod links;
mod log;
mod made_by;
mod merge;
mod mutate;
mod offset;
mod op;
mod order;
mod packages;
mod pinned;
mod query;
mod record;
mod search;
mod select;
mod selection;
mod signed;
mod snapshot;
mod state;
mod storage;
#[cfg(test)]
mod tests;
mod traverse;
mod view;
mod vouch;
mod why;
mod wire;
mod worker;

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use snowbank_shared::signature::KeyRing;

pub use accept::{MOST_CHECKS, Question};
pub use affected::Affecting;
pub use census::{Census, InTrash, Trash};
pub use change::{Change, ChangeToken, ParsedEntry};
pub use closure::MAX_CLOSURE_LIMIT;
pub use coverage::{Cut, MAX_COVERAGE_ROWS, NOBODY, SignedWith};
pub use findings::MAX_FINDINGS_LIMIT;
pub use growth::AddedOnDay;
pub use keep::{Kept, Removal};
pub use op::BucketTotals;
pub use packages::{MAX_PACKAGE_PATHS, MAX_PACKAGES, PackageQuery, PackageSort};
pub use pinned::SignedBy;
pub use query::{DEFAULT_LIMIT, MAX_LIMIT, Makers, PathQuery, QueryError, Sort, SortField};
pub use state::IndexParams;
pub use storage::StorageFigures;
pub(crate) use view::rfc3339;
pub use view::{Id, Totals, View};
pub use vouch::{NoVouch, Vouch};
pub use why::MAX_CHAINS;

use graph::Graph;
use op::{Notes, Op};
use state::Shared;
use worker::Worker;

/// Changes up to this many show before [`Index::apply`] returns; more go by way of the backlog.
const FEW: usize = 1_024;

/// An index cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open. Try again when that ended, or use another folder.
    #[error("another process uses the index in {}", .0.display())]
    Locked(std::path::PathBuf),
    /// The folder cannot be used.
    #[error("the folder {} cannot be used for the index: {error}", path.display())]
    Folder {
        /// The folder.
        path: std::path::PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// The index of one cache. Cloning gives another handle of the same.
#[derive(Debug, Clone)]
pub struct Index {
    shared: Arc<Shared>,
    /// Ends the background thread with the last handle.
    _thread: Arc<Thread>,
}

#[derive(Debug)]
struct Thread {
    shared: Arc<Shared>,
    handle: Mutex<Option<JoinHandle<()>>>,
    /// Held while the index is open.
    _lock: Option<File>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        {
            let mut state = self.shared.lock();
            state.stop = true;
            self.shared.wake.notify_all();
            self.shared.done.notify_all();
        }
        let handle = self
            .handle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(handle) = handle
            && handle.thread().id() != std::thread::current().id()
        {
            // A panic there was reported when it happened.
            let _ = handle.join();
        }
    }
}

impl Index {
    /// Opens the index in a folder, which is made if need be. What is there and whole is
    /// loaded; what is damaged, or of another version or store directory, is thrown away
    /// with a warning. Takes a fraction of a second for a million paths.
    ///
    /// # Errors
    /// [`OpenError::Locked`] where another process has the folder.
    pub fn open(dir: &Path, params: &IndexParams) -> Result<Self, OpenError> {
        let folder = |error| OpenError::Folder {
            path: dir.to_owned(),
            error,
        };
        std::fs::create_dir_all(dir).map_err(folder)?;
        let lock = File::create(dir.join("lock")).map_err(folder)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(OpenError::Locked(dir.to_owned()));
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(folder(error)),
        }
        let (mut graph, mut notes, first) = load(dir, params);
        let replayed = match first {
            Some(first) => log::replay(dir, first).map_err(folder)?,
            None => log::Replayed::default(),
        };
        if let Some(damage) = &replayed.damage {
            tracing::warn!(dir = %dir.display(), damage, "the log of the index ends early; what is missing is read from the bucket again");
        }
        graph = state::replay(graph, &mut notes, &replayed.ops);
        let log = match first {
            Some(_) => log::Log::resume(dir, &replayed),
            None => log::Log::create(dir, 1),
        };
        let log = log.map_err(folder)?;
        Ok(Self::start(
            params,
            Some(dir),
            graph,
            notes,
            Some(log),
            Some(lock),
        ))
    }

    /// An empty index that lives in memory only.
    pub fn in_memory(params: &IndexParams) -> Self {
        let graph = Graph::new(params.store_dir.as_str());
        Self::start(params, None, graph, Notes::default(), None, None)
    }

    fn start(
        params: &IndexParams,
        dir: Option<&Path>,
        graph: Graph,
        notes: Notes,
        log: Option<log::Log>,
        lock: Option<File>,
    ) -> Self {
        let mut seed = [0; 8];
        // Only tells revisions of several processes apart: any number will do.
        let _ = getrandom::fill(&mut seed);
        let instance = format!("{:x}", u64::from_le_bytes(seed));
        let snapshot = dir.map_or(0, |dir| {
            std::fs::metadata(dir.join("snapshot")).map_or(0, |file| file.len())
        });
        let shared = Arc::new(Shared::new(
            params,
            dir.map(Into::into),
            graph,
            notes,
            log,
            instance,
        ));
        let worker = Worker::new(Arc::clone(&shared), snapshot);
        let handle = std::thread::Builder::new()
            .name("index".to_owned())
            .spawn(move || worker.run());
        let handle = match handle {
            Ok(handle) => Some(handle),
            Err(error) => {
                tracing::error!(%error, "the index has no background thread: it cannot merge");
                None
            }
        };
        let thread = Thread {
            shared: Arc::clone(&shared),
            handle: Mutex::new(handle),
            _lock: lock,
        };
        Self {
            shared,
            _thread: Arc::new(thread),
        }
    }

    /// The current version. Answer one request from it and drop it.
    pub fn view(&self) -> Arc<View> {
        self.shared.view.load_full()
    }

    /// The keys by which new narinfos are to be judged.
    pub fn key_ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.shared.lock().key_ring)
    }

    /// Applies changes in their order. Up to a thousand show in the view when this returns;
    /// more show soon, after the background thread brought them into columns. Encodes each
    /// narinfo, a few microseconds: run many off the reactor.
    pub fn apply(&self, changes: Vec<Change>) {
        let few = changes.len() <= FEW;
        let store_dir = self.shared.store_dir.as_str();
        let ops: Vec<Op> = changes
            .into_iter()
            .map(|change| Op::of(change, store_dir, &self.shared.layouts))
            .collect();
        if few {
            self.shared.apply(&ops);
        } else {
            self.shared.apply_bulk(ops);
        }
    }

    /// Applies changes that may show a little later: for a sweep, which brings many. Waits
    /// while very many wait already: call it off the reactor.
    pub fn apply_bulk(&self, changes: Vec<Change>) {
        let store_dir = self.shared.store_dir.as_str();
        let ops = changes
            .into_iter()
            .map(|change| Op::of(change, store_dir, &self.shared.layouts))
            .collect();
        self.shared.apply_bulk(ops);
    }

    /// Takes in a listing of the whole bucket. Looks at every path: call it off the reactor.
    pub fn apply_census(&self, census: Census) {
        self.apply_all(&census.finish(&self.view()));
        // It may have changed while the bucket was listed.
        self.apply_all(&census::with_other_trash(&self.view(), &self.trash()));
    }

    /// What runs may put back, as it was told last.
    pub fn trash(&self) -> Arc<Trash> {
        self.shared.trash.load_full()
    }

    /// Tells what runs may put back. Looks at every finding: call it off the reactor.
    pub fn set_trash(&self, trash: Trash) {
        self.shared.trash.store(Arc::new(trash));
        self.apply_all(&census::with_other_trash(&self.view(), &self.trash()));
    }

    fn apply_all(&self, ops: &[Op]) {
        for batch in ops.chunks(16_384) {
            self.shared.apply(batch);
        }
    }

    /// Judges all signatures by these keys from now on. Returns at once; the paths follow in
    /// the background.
    pub fn set_key_ring(&self, key_ring: Arc<KeyRing>) {
        self.shared.set_key_ring(key_ring);
    }

    /// Waits until all changes show and what was written survives a power cut.
    /// Call it off the reactor.
    pub fn flush(&self) {
        self.shared.flush();
    }

    /// Waits until there is nothing left to do: all changes show, all closures are computed,
    /// all signatures are judged. Call it off the reactor.
    pub fn settle(&self) {
        self.shared.settle();
    }

    /// Writes a snapshot now and waits for it. It is written by itself as the log grows;
    /// this makes the next start quick. Call it off the reactor.
    pub fn save(&self) {
        self.shared.save();
    }
}

/// Loads the snapshot; the log file that continues it, or `None` where there is none.
fn load(dir: &Path, params: &IndexParams) -> (Graph, Notes, Option<u64>) {
    let store_dir = params.store_dir.as_str();
    match snapshot::read(dir, store_dir) {
        Ok(loaded) => (loaded.graph, loaded.notes, Some(loaded.log)),
        Err(snapshot::SnapshotError::Missing) => {
            // Without a snapshot the log begins with its first file.
            (Graph::new(store_dir), Notes::default(), Some(1))
        }
        Err(error) => {
            tracing::warn!(dir = %dir.display(), %error, "the saved index is thrown away; the bucket is read again");
            // Else the log that now begins would be thrown away with it at the next start.
            if let Err(error) = std::fs::remove_file(dir.join("snapshot")) {
                tracing::warn!(%error, "the damaged snapshot cannot be removed");
            }
            (Graph::new(store_dir), Notes::default(), None)
        }
    }
}
