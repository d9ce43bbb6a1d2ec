//! The background thread of an index: merges, closures, snapshots, judging anew.
//!
//! It does one thing at a time and each in small portions, so that a merge never
//! waits for more than a fraction of a second and a stop is obeyed at once.

use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, Instant};

use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::KeyRing;
use xxhash_rust::xxh3::Xxh3;

use super::chunk::Sum;
use super::graph::{Base, Graph};
use super::op::Op;
use super::query::SortField;
use super::record::Judged;
use super::state::{Shared, State};
use super::traverse::Seen;
use super::{log, snapshot};

/// An overlay of this weight is merged at once.
pub(super) const FULL_OVERLAY: usize = 2_048;
/// A smaller one after nothing happened for so long.
const OVERLAY_REST: Duration = Duration::from_secs(60);
/// Bulk changes rest at least so long, and four times as long as the last merge took:
/// a first index spends at most a fifth of a core on showing what it found so far.
const BULK_REST: Duration = Duration::from_millis(250);
/// Closures wait until no bulk change came for so long.
const SUMS_REST: Duration = Duration::from_secs(1);
/// The longest that appended changes stay with the operating system alone.
const SYNC_AFTER: Duration = Duration::from_secs(5);
/// A log of this size, and as long as the last snapshot, is replaced by a new one.
const MIN_LOG: u64 = 32 << 20;
/// A log of this size, and a thirty-second as long as the last snapshot, is replaced when nothing
/// else is to do, so that the next start is quick.
const MIN_IDLE_LOG: u64 = 1 << 20;
/// Rows whose closures are computed in one go.
const SUMS_BATCH: usize = 20_000;
/// Paths and references that one go may visit before it rests.
const SUMS_WORK: u64 = 20_000_000;
/// Signatures are judged anew for this many rows at a time.
const JUDGE_BATCH: usize = 2_048;

/// What the background thread remembers between two portions.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    seen: Vec<Seen>,
    next_bulk: Instant,
    next_sums: Instant,
    last_change: Instant,
    last_news: (u64, u64),
    last_sync: Instant,
    /// The base whose usual orders were made.
    warm: Weak<Base>,
    /// Bytes of the last snapshot.
    snapshot: u64,
    /// Next row to judge anew, and where rows are numbered so.
    judging: Option<(u32, u64)>,
}

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Stop,
    Merge,
    Snapshot,
    Judge,
    Sums,
    Warm,
    Sync,
    Wait(Duration),
}

impl Worker {
    /// For an index that was just opened; `snapshot` is the length of what it was loaded from.
    pub(crate) fn new(shared: Arc<Shared>, snapshot: u64) -> Self {
        let now = Instant::now();
        Self {
            shared,
            seen: vec![Seen::default(), Seen::default()],
            next_bulk: now,
            next_sums: now,
            last_change: now,
            last_news: (0, 0),
            last_sync: now,
            warm: Weak::new(),
            snapshot,
            judging: None,
        }
    }

    /// Works until it is told to stop.
    pub(crate) fn run(mut self) {
        loop {
            let task = self.next();
            match task {
                Task::Stop => return self.sync(),
                Task::Merge => self.merge(false),
                Task::Snapshot => self.merge(true),
                Task::Judge => self.judge(),
                Task::Sums => self.sums(),
                Task::Warm => self.warm(),
                Task::Sync => self.sync(),
                Task::Wait(longest) => {
                    let state = self.shared.lock();
                    // A change may have come since the decision.
                    if state.news() == self.last_news && !state.urgent() {
                        let _ = self
                            .shared
                            .wake
                            .wait_timeout(state, longest)
                            .map_err(PoisonError::into_inner);
                    }
                }
            }
        }
    }

    fn next(&mut self) -> Task {
        let now = Instant::now();
        let mut state = self.shared.lock();
        if state.news() != self.last_news {
            self.last_news = state.news();
            self.last_change = now;
        }
        if state.stop {
            return Task::Stop;
        }
        let bulk = !state.backlog.is_empty();
        if bulk
            && (now >= self.next_bulk
                || state.flush_wanted
                || state.settle_wanted
                || state.backlog_full())
        {
            return Task::Merge;
        }
        let weight = state.graph.overlay.weight();
        if weight >= FULL_OVERLAY || weight > 0 && now - self.last_change >= OVERLAY_REST {
            return Task::Merge;
        }
        let log = state.log.as_ref().map_or(0, log::Log::bytes);
        let long = log > MIN_LOG.max(self.snapshot);
        if state.log.is_some() && (long || state.snapshot_wanted) {
            return Task::Snapshot;
        }
        if state.flush_wanted {
            if !bulk {
                state.flush_wanted = false;
                state.flushes += 1;
            }
            return Task::Sync;
        }
        if state.judge_wanted {
            return Task::Judge;
        }
        let rested =
            state.settle_wanted || state.last_bulk.is_none_or(|last| now - last >= SUMS_REST);
        let rested = rested && (state.settle_wanted || now >= self.next_sums);
        if !bulk && state.sums_wanted && rested {
            return Task::Sums;
        }
        if now - self.last_sync >= SYNC_AFTER && state.log.as_ref().is_some_and(log::Log::unsynced)
        {
            return Task::Sync;
        }
        if !bulk && !state.sums_wanted {
            if log > MIN_IDLE_LOG.max(self.snapshot / 32) {
                return Task::Snapshot;
            }
            if !self.is_warm(&state.graph) {
                return Task::Warm;
            }
            state.settle_wanted = false;
            state.idle = true;
            self.shared.done.notify_all();
        }
        let mut longest = SYNC_AFTER;
        if bulk {
            longest = longest.min(self.next_bulk.saturating_duration_since(now));
        }
        if state.sums_wanted {
            longest = longest.min(self.next_sums.saturating_duration_since(now).max(BULK_REST));
        }
        Task::Wait(longest.max(Duration::from_millis(1)))
    }

    fn merge(&mut self, with_snapshot: bool) {
        let began = Instant::now();
        let rotated = self.shared.merge(with_snapshot);
        let took = began.elapsed();
        self.next_bulk = Instant::now() + (took * 4).max(BULK_REST);
        if let Some(log) = rotated {
            self.snapshot(log);
        }
        self.shared.done.notify_all();
    }

    /// Writes what the last merge made, which the log continues from file `number`.
    fn snapshot(&mut self, number: u64) {
        let Some(dir) = &self.shared.dir else {
            return;
        };
        let Some((graph, notes)) = self.shared.lock().merged.take() else {
            return;
        };
        match snapshot::write(dir, &graph, &notes, number) {
            Ok(length) => {
                self.snapshot = length;
                if let Err(error) = log::remove_before(dir, number) {
                    tracing::warn!(%error, "old log files of the index cannot be removed");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the index cannot write its snapshot; the log goes on");
            }
        }
        let mut state = self.shared.lock();
        state.snapshot_wanted = false;
        state.snapshots += 1;
    }

    fn sync(&mut self) {
        self.last_sync = Instant::now();
        let file = self.shared.lock().log.as_mut().map(log::Log::sync);
        // Not under the lock: a disk may take its time.
        let synced = match file {
            Some(Ok(Some(file))) => file.sync_data(),
            Some(Err(error)) => Err(error),
            Some(Ok(None)) | None => Ok(()),
        };
        if let Err(error) = synced {
            tracing::warn!(%error, "the log of the index cannot be synced");
        }
        self.shared.done.notify_all();
    }

    /// Whether the usual orders of these rows are there.
    fn is_warm(&self, graph: &Graph) -> bool {
        std::ptr::eq(self.warm.as_ptr(), Arc::as_ptr(&graph.base))
    }

    /// Makes the orders that pages open with before somebody waits for them.
    fn warm(&mut self) {
        let view = self.shared.view.load_full();
        for field in [SortField::Name, SortField::AddedAt] {
            view.permutations.get(&view.graph, field);
        }
        self.warm = Arc::downgrade(&view.graph.base);
    }

    /// Computes closures of some rows that lack them.
    fn sums(&mut self) {
        let began = Instant::now();
        let graph = {
            let mut state = self.shared.lock();
            state.unsettled = Some(Vec::new());
            state.graph.clone()
        };
        let rows: Vec<u32> = graph
            .all_live()
            .filter(|&row| graph.sum(row).is_none())
            .take(SUMS_BATCH)
            .collect();
        let whole = rows.len() < SUMS_BATCH;
        let mut results = Vec::with_capacity(rows.len());
        let half = if rows.len() > 1_000 {
            rows.len().div_ceil(2)
        } else {
            rows.len()
        };
        let (first, second) = rows.split_at(half);
        let [seen, other] = &mut self.seen[..] else {
            return;
        };
        std::thread::scope(|scope| {
            let helper =
                (!second.is_empty()).then(|| scope.spawn(|| measure(&graph, second, other)));
            results.extend(measure(&graph, first, seen));
            if let Some(helper) = helper {
                results.extend(helper.join().unwrap_or_default());
            }
        });
        if results.len() < rows.len() {
            // Closures are very wide here. They come in the end, and leave room for others.
            self.next_sums = Instant::now() + began.elapsed();
        }
        let whole = whole && results.len() == rows.len();
        let mut state = self.shared.lock();
        let mut unsettled = state.unsettled.take().unwrap_or_default();
        unsettled.sort_unstable();
        if whole && unsettled.is_empty() {
            state.sums_wanted = false;
        }
        if results.is_empty() {
            return;
        }
        for (row, sum) in results {
            if unsettled.binary_search(&row).is_err() {
                state.graph.set_sum(row, Some(sum));
            }
        }
        self.shared.publish(&mut state);
        self.last_news = state.news();
    }

    /// Judges some rows anew by the current key ring.
    fn judge(&mut self) {
        let view = self.shared.view.load_full();
        let (ring, numbering) = {
            let mut state = self.shared.lock();
            if state.judge_restart {
                state.judge_restart = false;
                self.judging = None;
            }
            (Arc::clone(&state.key_ring), state.numbering)
        };
        let (start, begun) = self.judging.unwrap_or((0, numbering));
        let start = if begun == numbering { start } else { 0 };
        let end = start
            .saturating_add(JUDGE_BATCH as u32)
            .min(view.graph.rows());
        let mut found = Vec::new();
        let mut narinfos = Vec::new();
        for row in (start..end).filter(|&row| view.graph.mark(row).live()) {
            let bytes = view.narinfo_bytes(super::view::Id(row));
            if let Ok(narinfo) = NarInfo::parse(&bytes, &self.shared.store_dir) {
                found.push(row);
                narinfos.push(narinfo);
            }
        }
        let judgements = ring.judge_batch(&narinfos);
        let ops: Vec<Op> = found
            .into_iter()
            .zip(&judgements)
            .map(|(row, judgement)| (row, Judged::of(judgement)))
            .filter(|(row, judged)| view.graph.judged(*row) != judged)
            .map(|(row, judged)| Op::Judged(view.graph.key(row), view.graph.token(row), judged))
            .collect();
        self.shared.apply(&ops);
        self.judging = Some((end, numbering));
        if end < view.graph.rows() {
            return;
        }
        let mut state = self.shared.lock();
        // Rows may have come meanwhile that were judged by the ring before.
        if !state.judge_restart && state.numbering == numbering && state.graph.rows() == end {
            state.judge_wanted = false;
            self.judging = None;
            drop(state);
            self.shared.apply(&[Op::KeyRing(Some(fingerprint(&ring)))]);
        }
    }
}

/// The closures of rows, as many as the work of one go allows.
fn measure(graph: &Graph, rows: &[u32], seen: &mut Seen) -> Vec<(u32, Sum)> {
    let mut stack = Vec::new();
    let mut work = 0;
    let mut results = Vec::with_capacity(rows.len());
    for &row in rows {
        let sum = graph.measure(row, seen, &mut stack);
        results.push((row, sum));
        work += u64::from(sum.paths);
        if work > SUMS_WORK / 8 {
            break;
        }
    }
    results
}

/// Stands for a key ring: its keys, what they are for and their states.
pub(crate) fn fingerprint(ring: &KeyRing) -> u64 {
    let mut keys: Vec<String> = ring
        .keys()
        .iter()
        .map(|known| format!("{} {:?} {:?}\n", known.key, known.purpose, known.state))
        .collect();
    keys.sort_unstable();
    let mut hash = Xxh3::new();
    for key in keys {
        hash.update(key.as_bytes());
    }
    hash.digest()
}

impl State {
    /// Whether something waits that cannot wait.
    fn urgent(&self) -> bool {
        self.stop
            || self.flush_wanted
            || self.settle_wanted
            || self.judge_wanted
            || self.snapshot_wanted
            || self.backlog_full()
    }
}
