//! The writer's side: applying changes, publishing views, merging.
//!
//! Two ways lead in. [`Shared::apply`] shows its changes before it returns: a
//! few go into the overlay, whose copy is small. [`Shared::apply_bulk`] is for
//! thousands: they wait in the backlog until the background thread has brought
//! them into columns. A lock is held for the time of the small way only; a
//! merge works on a copy, notes what happens meanwhile in a journal, and
//! carries that out on its result before it shows it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use snowbank_shared::signature::KeyRing;
use snowbank_shared::store_path::{StoreDir, StorePathHash};

use super::census::Trash;
use super::chunk::Mark;
use super::graph::Graph;
use super::kept_findings::KeptFindings;
use super::layout::LayoutPool;
use super::log::Log;
use super::op::{Notes, Op, Touched};
use super::order::Permutations;
use super::traverse::{Seen, SeenPool};
use super::view::View;
use super::worker::{FULL_OVERLAY, fingerprint};

/// Steps that wait for the background thread: a bound for memory. A caller beyond that waits with
/// them. Of a large index, a sixteenth of its rows, because each merge looks at all of them.
const MAX_BACKLOG: usize = 32_768;

/// What an index is opened with.
#[derive(Debug, Clone)]
pub struct IndexParams {
    /// The cache's store directory.
    pub store_dir: StoreDir,
    /// The keys by which its signatures are judged.
    pub key_ring: Arc<KeyRing>,
}

/// Everything that readers, writers and the background thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) view: ArcSwap<View>,
    state: Mutex<State>,
    /// Wakes the background thread.
    pub(crate) wake: Condvar,
    /// Wakes callers that wait for it.
    pub(crate) done: Condvar,
    pub(crate) store_dir: StoreDir,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) layouts: LayoutPool,
    /// What runs may put back.
    pub(crate) trash: ArcSwap<Trash>,
}

/// What the lock guards.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) graph: Graph,
    pub(crate) notes: Notes,
    pub(crate) key_ring: Arc<KeyRing>,
    sequence: u64,
    /// Steps that are logged and not shown yet, with their numbers.
    pub(crate) backlog: Vec<(u64, Op)>,
    /// Paths that were changed the small way while the backlog waited: older steps on them are void.
    newer: HashMap<StorePathHash, u64>,
    /// What was applied since a merge began.
    journal: Option<Vec<Op>>,
    /// Rows whose closures changed while closures are being computed.
    pub(crate) unsettled: Option<Vec<u32>>,
    pub(crate) log: Option<Log>,
    revision: u64,
    pub(crate) revision_base: String,
    pool: Arc<SeenPool>,
    permutations: Arc<Permutations>,
    kept: Arc<KeptFindings>,
    /// Whether rows may lack closures.
    pub(crate) sums_wanted: bool,
    /// When the last bulk change came.
    pub(crate) last_bulk: Option<Instant>,
    pub(crate) flush_wanted: bool,
    pub(crate) settle_wanted: bool,
    pub(crate) snapshot_wanted: bool,
    /// Whether signatures are to be judged anew, and from the first row on.
    pub(crate) judge_wanted: bool,
    pub(crate) judge_restart: bool,
    pub(crate) stop: bool,
    /// Whether the background thread has nothing to do.
    pub(crate) idle: bool,
    /// Flushes that were begun to be carried out.
    pub(crate) flushes: u64,
    /// Snapshots that were tried.
    pub(crate) snapshots: u64,
    /// Changes when rows get other numbers.
    pub(crate) numbering: u64,
    /// What the last merge made for a snapshot.
    pub(crate) merged: Option<(Graph, Notes)>,
}

impl Shared {
    /// Over a graph that was just loaded.
    pub(crate) fn new(
        params: &IndexParams,
        dir: Option<PathBuf>,
        graph: Graph,
        notes: Notes,
        log: Option<Log>,
        revision_base: String,
    ) -> Self {
        let mut state = State {
            graph,
            notes,
            key_ring: Arc::clone(&params.key_ring),
            sequence: 0,
            backlog: Vec::new(),
            newer: HashMap::new(),
            journal: None,
            unsettled: None,
            log,
            revision: 0,
            revision_base,
            pool: Arc::default(),
            permutations: Arc::default(),
            kept: Arc::default(),
            sums_wanted: true,
            last_bulk: None,
            flush_wanted: false,
            settle_wanted: false,
            snapshot_wanted: false,
            judge_wanted: false,
            judge_restart: false,
            stop: false,
            idle: false,
            flushes: 0,
            snapshots: 0,
            numbering: 0,
            merged: None,
        };
        let ring = Some(fingerprint(&params.key_ring));
        if state.graph.live == 0 {
            state.notes.key_ring = ring;
        }
        state.judge_wanted = state.notes.key_ring != ring;
        let view = state.next_view(&params.store_dir);
        Self {
            view: ArcSwap::from_pointee(view),
            state: Mutex::new(state),
            wake: Condvar::new(),
            done: Condvar::new(),
            layouts: LayoutPool::default(),
            trash: ArcSwap::default(),
            store_dir: params.store_dir.clone(),
            dir,
        }
    }

    /// The writer's lock. A panic under it leaves steps half done at worst: they are in the log.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the state to readers.
    pub(crate) fn publish(&self, state: &mut State) {
        self.view.store(Arc::new(state.next_view(&self.store_dir)));
    }

    /// Applies steps so that they show when this returns.
    pub(crate) fn apply(&self, ops: &[Op]) {
        if ops.is_empty() {
            return;
        }
        let mut state = self.lock();
        state.append(ops);
        let sequence = state.sequence;
        if !state.backlog.is_empty() {
            for op in ops {
                match op.path() {
                    Some(path) => {
                        state.newer.insert(path, sequence);
                    }
                    // What depends on the row has its turn after the backlog, too.
                    None if op.needs_row() => state.backlog.push((sequence, op.clone())),
                    None => {}
                }
            }
        }
        for op in ops {
            op.note_in(&mut state.notes);
        }
        state.carry_out(ops);
        if let Some(journal) = &mut state.journal {
            journal.extend_from_slice(ops);
        }
        self.publish(&mut state);
        state.idle = false;
        self.wake.notify_all();
    }

    /// Applies steps so that they show soon. Waits while too many wait already.
    pub(crate) fn apply_bulk(&self, ops: Vec<Op>) {
        if ops.is_empty() {
            return;
        }
        let mut state = self.lock();
        while state.backlog.len() >= state.most_backlog() && !state.stop {
            state = self
                .done
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.append(&ops);
        for op in &ops {
            op.note_in(&mut state.notes);
        }
        let sequence = state.sequence;
        state
            .backlog
            .extend(ops.into_iter().map(|op| (sequence, op)));
        state.last_bulk = Some(Instant::now());
        state.idle = false;
        self.wake.notify_all();
    }

    /// Brings the backlog and the overlay into columns. With `rotate` the log begins a new
    /// file that continues the result: its number is returned.
    pub(crate) fn merge(&self, rotate: bool) -> Option<u64> {
        let (mut graph, batch, rotated, notes) = {
            let mut state = self.lock();
            let mut batch = std::mem::take(&mut state.backlog);
            if !state.newer.is_empty() {
                batch.retain(|(sequence, op)| {
                    op.path().is_none_or(|path| {
                        state.newer.get(&path).is_none_or(|newer| newer < sequence)
                    })
                });
            }
            state.newer.clear();
            let mut rotated = None;
            if rotate && let Some(log) = &mut state.log {
                match log.rotate() {
                    Ok(number) => rotated = Some(number),
                    Err(error) => {
                        tracing::warn!(%error, "the index goes on without its log");
                        state.log = None;
                    }
                }
            }
            state.journal = Some(Vec::new());
            self.done.notify_all();
            (state.graph.clone(), batch, rotated, state.notes.clone())
        };
        let mut touched = Touched::default();
        for (_, op) in &batch {
            op.apply_to(&mut graph, &mut touched);
        }
        drop(batch);
        graph.settle(&touched);
        let mut graph = graph.merged();
        let compact = graph.wants_compaction();
        if compact {
            graph = graph.compacted();
        }
        let mut state = self.lock();
        state.numbering += u64::from(compact);
        state.merged = rotated.map(|_| (graph.clone(), notes));
        state.graph = graph;
        if let Some(journal) = state.journal.take() {
            state.carry_out(&journal);
        }
        state.sums_wanted = true;
        self.publish(&mut state);
        rotated
    }
}

impl Shared {
    /// Judges all signatures by these keys from now on.
    pub(crate) fn set_key_ring(&self, key_ring: Arc<KeyRing>) {
        let known = self.lock().notes.key_ring;
        let same = known == Some(fingerprint(&key_ring));
        if !same && known.is_some() {
            self.apply(&[Op::KeyRing(None)]);
        }
        let mut state = self.lock();
        state.key_ring = key_ring;
        state.judge_wanted = !same;
        state.judge_restart = true;
        state.idle = false;
        self.publish(&mut state);
        self.wake.notify_all();
    }

    /// Waits until all changes show and the log is synced.
    pub(crate) fn flush(&self) {
        let mut state = self.lock();
        let target = state.flushes + 1;
        state.flush_wanted = true;
        self.wake.notify_all();
        while state.flushes < target && !state.stop {
            state = self.wait(state);
        }
        drop(state);
        let file = self.lock().log.as_mut().map(Log::file);
        if let Some(Ok(file)) = file
            && let Err(error) = file.sync_data()
        {
            tracing::warn!(%error, "the log of the index cannot be synced");
        }
    }

    /// Waits until the background thread has nothing to do.
    pub(crate) fn settle(&self) {
        let mut state = self.lock();
        state.idle = false;
        state.settle_wanted = true;
        self.wake.notify_all();
        while !state.idle && !state.stop {
            state = self.wait(state);
        }
    }

    /// Waits until a snapshot is written.
    pub(crate) fn save(&self) {
        let mut state = self.lock();
        if state.log.is_none() {
            return;
        }
        let target = state.snapshots + 1;
        state.snapshot_wanted = true;
        self.wake.notify_all();
        while state.snapshots < target && !state.stop && state.log.is_some() {
            state = self.wait(state);
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.done
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Carries out what a log holds, on a graph that nobody sees yet. A merge looks at every row, so
/// that it takes in the more at a time the more there are; a few changes stay in the overlay, as
/// they do when they come one by one.
pub(crate) fn replay(mut graph: Graph, notes: &mut Notes, ops: &[Op]) -> Graph {
    let at_once = MAX_BACKLOG.max(graph.rows() as usize / 4);
    for batch in ops.chunks(at_once) {
        let mut touched = Touched::default();
        for op in batch {
            op.apply_to(&mut graph, &mut touched);
            op.note_in(notes);
        }
        graph.settle(&touched);
        if graph.overlay.weight() >= FULL_OVERLAY {
            graph = graph.merged();
        }
    }
    graph
}

impl State {
    /// Changes with every version that is shown, and with every change that waits.
    pub(crate) fn news(&self) -> (u64, u64) {
        (self.revision, self.sequence)
    }

    /// Whether a merge has as much to take as it may.
    pub(crate) fn backlog_full(&self) -> bool {
        self.backlog.len() >= self.most_backlog() / 2
    }

    /// Steps that may wait.
    fn most_backlog(&self) -> usize {
        MAX_BACKLOG.max(self.graph.rows() as usize / 16)
    }

    /// Numbers steps and writes them to the log. The log only spares work after a
    /// restart: where it fails, the index goes on without it.
    fn append(&mut self, ops: &[Op]) {
        self.sequence += 1;
        if let Some(log) = &mut self.log
            && let Err(error) = log.append(ops)
        {
            tracing::warn!(%error, "the index goes on without its log");
            self.log = None;
        }
    }

    /// Carries out steps on the rows.
    fn carry_out(&mut self, ops: &[Op]) {
        let mut touched = Touched::default();
        for op in ops {
            op.apply_to(&mut self.graph, &mut touched);
        }
        let affected = self.graph.settle(&touched);
        if !affected.is_empty() {
            self.sums_wanted = true;
            if let Some(unsettled) = &mut self.unsettled {
                unsettled.extend(affected);
            }
        }
    }

    fn next_view(&mut self, store_dir: &StoreDir) -> View {
        self.revision += 1;
        View::new(
            self.graph.clone(),
            self.notes.clone(),
            Arc::clone(&self.key_ring),
            store_dir.clone(),
            format!("{}-{:x}", self.revision_base, self.revision),
            Arc::clone(&self.pool),
            Arc::clone(&self.permutations),
        )
        .keeping(&self.kept)
    }
}

impl Graph {
    /// After steps: forgets the closures that they changed and finds cycles anew.
    /// The rows whose closures are forgotten.
    pub(crate) fn settle(&mut self, touched: &Touched) -> Vec<u32> {
        let mut affected = Vec::new();
        if !touched.closures.is_empty() {
            affected = self.affected(&touched.closures, &mut Seen::default());
            for &row in &affected {
                self.set_sum(row, None);
            }
        }
        if !touched.edges.is_empty() || !(self.cycles.is_empty() || touched.closures.is_empty()) {
            self.find_cycles(&touched.edges);
        }
        affected
    }

    fn find_cycles(&mut self, new: &[u32]) {
        let mut roots: Vec<u32> = new
            .iter()
            .copied()
            .filter(|&row| {
                let mut referred = false;
                self.each_referrer(row, |_| referred = true);
                self.mark(row).live() && referred && !self.targets(row).is_empty()
            })
            .collect();
        roots.extend(self.cycles.iter().filter(|&&row| self.mark(row).live()));
        if roots.is_empty() && self.cycles.is_empty() {
            return;
        }
        let cyclic = self.cyclic(&roots);
        if *self.cycles == cyclic {
            return;
        }
        for &row in &Arc::clone(&self.cycles)[..] {
            self.change_mark(row, |mark| mark.flags &= !Mark::CYCLE);
        }
        for &row in &cyclic {
            self.change_mark(row, |mark| mark.flags |= Mark::CYCLE);
        }
        self.cycles = Arc::new(cyclic);
    }
}
