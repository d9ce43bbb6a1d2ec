//! What a machine that trusts some keys would accept, and what it would lose with fewer of them.
//!
//! Where the index has judged signatures by the very key that the machine trusts, its verdict is
//! taken. Other keys are checked one by one, which costs some microseconds each, so there is a
//! limit: what is beyond it is said to be unchecked.

use std::collections::{HashMap, HashSet};

use snowbank_shared::api::KeyState;
use snowbank_shared::api::vouching::{Acceptance, RefusedPath, RefusedPin};
use snowbank_shared::signature::{Accepted, TrustSet};
use snowbank_shared::store_path::StorePathHash;

use super::graph::Graph;
use super::view::{Id, View};
use super::vouch::passes;

/// Rows whose signatures are checked for one answer at most.
pub const MOST_CHECKS: usize = 100_000;
/// Refused paths that an answer names.
const MOST_NAMED: usize = 200;
/// The bit of a row that could be had before.
const BEFORE: u64 = 1;
/// The bit of a row that can be had still.
const AFTER: u64 = 2;

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// Whom the machine trusts.
    pub trust: TrustSet,
    /// The same without the keys whose loss is to be seen; `None` where nothing is dropped.
    pub without: Option<TrustSet>,
    /// Only the closure of this path.
    pub path: Option<Id>,
    /// Pins by name, with the number and path of their newest revision.
    pub pins: Vec<(String, u64, StorePathHash)>,
}

/// Whether a machine accepts a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Yes,
    No,
    Unchecked,
}

/// A machine that looks at rows of a graph.
struct Machine<'a> {
    set: &'a TrustSet,
    /// Its keys by name, and whether the index judged by the same key.
    keys: HashMap<&'a str, bool>,
}

impl<'a> Machine<'a> {
    fn new(view: &View, set: &'a TrustSet) -> Self {
        let ring = view.key_ring();
        let keys = set.keys().iter().map(|key| {
            let mut known = ring
                .keys()
                .iter()
                .filter(|known| known.key.name() == key.name() && known.state != KeyState::Pending);
            let same = known.next().is_some_and(|known| known.key == *key);
            (key.name(), same && known.next().is_none())
        });
        Self {
            set,
            keys: keys.collect(),
        }
    }

    fn looks_at(&self, graph: &Graph, row: u32, checks: &mut usize) -> Verdict {
        let verdicts = &graph.judged(row).verdicts;
        let mut open = false;
        for (name, &verdict) in graph.layout(row).signers.iter().zip(verdicts) {
            match self.keys.get(&**name) {
                Some(true) if passes(verdict) => return Verdict::Yes,
                Some(true) | None => {}
                Some(false) => open = true,
            }
        }
        if graph.needs_none(row) {
            return Verdict::Yes;
        }
        if !open {
            return Verdict::No;
        }
        if *checks == 0 {
            return Verdict::Unchecked;
        }
        *checks -= 1;
        let mut text = Vec::new();
        graph.push_narinfo(row, &mut text);
        let judged = graph.parsed(&text).map(|narinfo| self.set.judge(&narinfo));
        match judged {
            Some(Accepted::By(_) | Accepted::ByContentAddress) => Verdict::Yes,
            Some(Accepted::No) | None => Verdict::No,
        }
    }
}

impl View {
    /// What a machine would accept, its keys left out, and all paths that it refuses, by name; the
    /// signatures of `checks` rows are checked at most. Looks at every path where none is named: run
    /// it off the reactor.
    pub fn acceptance(&self, question: &Question, mut checks: usize) -> (Acceptance, Vec<Id>) {
        let graph = &self.graph;
        let before = Machine::new(self, &question.trust);
        let after = question.without.as_ref().map(|set| Machine::new(self, set));
        let (rows, missing) = self.judged_rows(question.path);
        let mut answer = Acceptance {
            keys: Vec::new(),
            path: question.path.map(|id| self.hash(id).to_string()),
            paths: rows.len() as u64,
            accepted: 0,
            refused: 0,
            refused_nar_size: 0,
            refused_anyway: 0,
            unchecked: 0,
            missing,
            broken_closures: 0,
            pins: Vec::new(),
            items: Vec::new(),
            revision: self.revision().to_owned(),
            complete: self.swept_at().is_some(),
        };
        let mut refused: Vec<u32> = Vec::new();
        let mut masks = vec![BEFORE | AFTER; graph.rows() as usize];
        for &row in &rows {
            let with = before.looks_at(graph, row, &mut checks);
            let verdict = match &after {
                Some(machine) if with == Verdict::Yes => machine.looks_at(graph, row, &mut checks),
                _ => with,
            };
            match verdict {
                Verdict::Yes => answer.accepted += 1,
                Verdict::Unchecked => answer.unchecked += 1,
                Verdict::No if after.is_some() && with == Verdict::No => {
                    answer.refused_anyway += 1;
                    masks[row as usize] = 0;
                }
                Verdict::No => {
                    answer.refused += 1;
                    let size = graph.nar_size(row);
                    answer.refused_nar_size = answer.refused_nar_size.saturating_add(size);
                    masks[row as usize] = BEFORE;
                    refused.push(row);
                }
            }
        }
        graph.close(&mut masks, false);
        let broken = rows.iter().filter(|&&row| masks[row as usize] == BEFORE);
        answer.broken_closures = broken.count() as u64;
        refused.sort_unstable_by(|&a, &b| {
            let names = graph.name(a).cmp(graph.name(b));
            names.then_with(|| graph.key(a).cmp(&graph.key(b)))
        });
        answer.pins = self.refused_pins(&question.pins, &refused);
        answer.items = refused
            .iter()
            .take(MOST_NAMED)
            .map(|&row| self.refused_path(Id(row)))
            .collect();
        (answer, refused.into_iter().map(Id).collect())
    }

    /// The rows that a question is about, and how many references they lack here.
    fn judged_rows(&self, path: Option<Id>) -> (Vec<u32>, u64) {
        let graph = &self.graph;
        if let Some(id) = path {
            let walk = self.pool.with(|seen| graph.walk(id.0, seen));
            return (walk.rows, walk.missing.len() as u64);
        }
        let rows: Vec<u32> = graph.all_live().collect();
        let lacking = rows
            .iter()
            .flat_map(|&row| graph.targets(row))
            .filter(|&&code| graph.resolve(code).is_none())
            .map(|&code| graph.base_name(code))
            .collect::<HashSet<_>>();
        let missing = lacking.len() as u64;
        (rows, missing)
    }

    /// A refused path, as lists show it.
    pub fn refused_path(&self, id: Id) -> RefusedPath {
        let graph = &self.graph;
        let signers = &graph.layout(id.0).signers;
        RefusedPath {
            hash: graph.key(id.0).to_string(),
            name: graph.name(id.0).to_owned(),
            nar_size: graph.nar_size(id.0),
            signature: graph.judged(id.0).status,
            signers: signers.iter().map(ToString::to_string).collect(),
        }
    }

    fn refused_pins(
        &self,
        pins: &[(String, u64, StorePathHash)],
        refused: &[u32],
    ) -> Vec<RefusedPin> {
        let graph = &self.graph;
        let refused: HashSet<u32> = refused.iter().copied().collect();
        let found = pins.iter().filter_map(|(name, revision, hash)| {
            let root = graph.find(hash).filter(|_| !refused.is_empty())?;
            let walk = self.pool.with(|seen| graph.walk(root, seen));
            let lost = walk.rows.iter().filter(|row| refused.contains(row)).count() as u64;
            (lost > 0).then(|| RefusedPin {
                name: name.clone(),
                revision: *revision,
                refused: lost,
                paths: walk.rows.len() as u64,
            })
        });
        found.collect()
    }
}
