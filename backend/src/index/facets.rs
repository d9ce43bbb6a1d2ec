//! How many paths each value of each filter would show.
//!
//! One pass: a row that passes every filter counts for all facets, a row that
//! fails just one counts for that facet only, because its values are what one
//! may choose instead. The same counts say what a list would hold without one
//! of its filters, so that a list without rows can name the one to drop.

use std::collections::{HashMap, HashSet};

use snowbank_shared::api::{ContentStatus, FacetCount, Facets, SignatureStatus};

use super::chunk::content_code;
use super::filter::{Filter, kind};
use super::graph::Graph;
use super::layout::Layout;
use super::query::PathQuery;
use super::record::status_code;
use super::search::Needle;
use super::view::View;

/// Keys and compressions named at most.
const MOST_NAMES: usize = 50;

const MIB: u64 = 1 << 20;
/// Bands of NarSize: least and most bytes.
const SIZES: [(u64, u64); 5] = [
    (0, MIB - 1),
    (MIB, 10 * MIB - 1),
    (10 * MIB, 100 * MIB - 1),
    (100 * MIB, 1024 * MIB - 1),
    (1024 * MIB, u64::MAX),
];
/// Ages in seconds: first seen within that time.
const YOUNGER: [i64; 4] = [3_600, 86_400, 604_800, 2_592_000];
/// Age in seconds: first seen before that.
const OLDER: i64 = 7_776_000;

/// What is counted of rows. Key and compression are texts of layouts, so they are
/// counted by layout and summed up at the end.
struct Tally {
    total: u64,
    signature: [u64; SignatureStatus::ALL.len()],
    content: [u64; ContentStatus::ALL.len()],
    /// By layout of the base: rows that count for keys, and for compressions.
    layouts: Vec<[u64; 2]>,
    keys: HashMap<Box<str>, u64>,
    compressions: HashMap<Box<str>, u64>,
    sizes: [u64; SIZES.len()],
    younger: [u64; YOUNGER.len()],
    older: u64,
    unreferenced: u64,
    reproduced: u64,
    /// By bit: rows that fail this filter only.
    only: [u64; kind::ALL.len()],
}

impl Tally {
    fn of(graph: &Graph) -> Self {
        Self {
            total: 0,
            signature: [0; SignatureStatus::ALL.len()],
            content: [0; ContentStatus::ALL.len()],
            layouts: vec![[0; 2]; graph.base.layouts.values().len()],
            keys: HashMap::new(),
            compressions: HashMap::new(),
            sizes: [0; SIZES.len()],
            younger: [0; YOUNGER.len()],
            older: 0,
            unreferenced: 0,
            reproduced: 0,
            only: [0; kind::ALL.len()],
        }
    }

    /// Counts a row that fails these filters, one at most.
    fn add(&mut self, graph: &Graph, filter: &Filter<'_>, row: u32, failed: u16, now: i64) {
        if failed == 0 {
            self.total += 1;
        } else {
            self.only[failed.trailing_zeros() as usize] += 1;
        }
        // A facet's own filter does not hide its other values.
        let counts = |bit: u16| failed & !bit == 0;
        if counts(kind::SIGNATURE) {
            self.signature[usize::from(status_code(graph.judged(row).status))] += 1;
        }
        if counts(kind::CONTENT) {
            self.content[usize::from(content_code(graph.mark(row).content))] += 1;
        }
        let (key, compression) = (counts(kind::KEY), counts(kind::COMPRESSION));
        if key || compression {
            self.add_layout(graph, row, key, compression);
        }
        if counts(kind::SIZE) {
            let size = graph.nar_size(row);
            self.sizes[SIZES.partition_point(|&(_, most)| most < size)] += 1;
        }
        if counts(kind::ADDED) {
            let age = now - i64::from(graph.added_at(row));
            for (count, within) in self.younger.iter_mut().zip(YOUNGER) {
                *count += u64::from(age <= within);
            }
            self.older += u64::from(age > OLDER);
        }
        if counts(kind::UNREFERENCED) && graph.referrer_count(row) == 0 {
            self.unreferenced += 1;
        }
        if counts(kind::REPRODUCED) && filter.is_reproduced(graph, row) {
            self.reproduced += 1;
        }
    }

    fn add_layout(&mut self, graph: &Graph, row: u32, key: bool, compression: bool) {
        let counts = [u64::from(key), u64::from(compression)];
        if graph.fresh(row).is_some() {
            self.add_names(graph.layout(row), counts);
        } else {
            let (chunk, place) = super::chunk::place(row);
            let number = graph.base.chunks[chunk].layouts[place] as usize;
            self.layouts[number][0] += counts[0];
            self.layouts[number][1] += counts[1];
        }
    }

    fn add_names(&mut self, layout: &Layout, [key, compression]: [u64; 2]) {
        if key > 0 {
            let distinct: HashSet<&str> = layout.signers.iter().map(|signer| &**signer).collect();
            for signer in distinct {
                *self.keys.entry(signer.into()).or_default() += key;
            }
        }
        if compression > 0 {
            let word: Box<str> = (&*layout.compression).into();
            *self.compressions.entry(word).or_default() += compression;
        }
    }
}

/// The values that have paths.
fn listed(values: impl IntoIterator<Item = (String, u64)>) -> Vec<FacetCount> {
    values
        .into_iter()
        .filter(|&(_, paths)| paths > 0)
        .map(|(value, paths)| FacetCount { value, paths })
        .collect()
}

/// The names with most paths, by name where they have as many.
fn named(names: HashMap<Box<str>, u64>) -> Vec<FacetCount> {
    let mut named = listed(names.into_iter().map(|(name, paths)| (name.into(), paths)));
    named.sort_unstable_by(|a, b| b.paths.cmp(&a.paths).then_with(|| a.value.cmp(&b.value)));
    named.truncate(MOST_NAMES);
    named
}

fn band((least, most): (u64, u64)) -> String {
    match (least, most) {
        (0, most) => format!("-{most}"),
        (least, u64::MAX) => format!("{least}-"),
        (least, most) => format!("{least}-{most}"),
    }
}

impl View {
    /// What each filter would show, asked at `now`, seconds since 1970. Order, limit and
    /// cursor of the query mean nothing here. Looks at every path: run it off the reactor.
    pub fn facets(&self, query: &PathQuery, now: i64) -> Facets {
        let graph = &self.graph;
        let filter = Filter::new(graph, query);
        let mut tally = Tally::of(graph);
        let mut used = filter.used();
        let mut without_q = None;
        if query.q.is_empty() {
            for row in graph.all_live() {
                let failed = filter.failed(graph, row);
                if failed.count_ones() <= 1 {
                    tally.add(graph, &filter, row, failed, now);
                }
            }
        } else {
            let found = graph.search(&Needle::of(&query.q));
            for &row in &found {
                let failed = filter.failed(graph, row);
                if failed.count_ones() <= 1 {
                    tally.add(graph, &filter, row, failed, now);
                }
            }
            without_q = Some(if used == 0 {
                graph.live
            } else {
                let passing = graph.all_live().filter(|&row| filter.passes(graph, row));
                passing.count() as u64
            });
            used |= kind::Q;
        }
        for (number, layout) in graph.base.layouts.values().iter().enumerate() {
            tally.add_names(layout, tally.layouts[number]);
        }
        let words = SignatureStatus::ALL.iter().map(ToString::to_string);
        let contents = ContentStatus::ALL.iter().map(|&word| {
            (
                word.to_string(),
                tally.content[usize::from(content_code(word))],
            )
        });
        let ages = YOUNGER.iter().map(ToString::to_string).zip(tally.younger);
        let without = kind::ALL.iter().filter(|(bit, _)| used & bit != 0);
        Facets {
            total: tally.total,
            signature: listed(words.zip(tally.signature)),
            content: listed(contents),
            size: listed(SIZES.into_iter().map(band).zip(tally.sizes)),
            added: listed(ages.chain([(format!(">{OLDER}"), tally.older)])),
            unreferenced: tally.unreferenced,
            reproduced: tally.reproduced,
            without: without
                .map(|&(bit, parameter)| FacetCount {
                    value: parameter.to_owned(),
                    paths: match without_q {
                        Some(paths) if bit == kind::Q => paths,
                        _ => tally.total + tally.only[bit.trailing_zeros() as usize],
                    },
                })
                .collect(),
            key: named(tally.keys),
            compression: named(tally.compressions),
            revision: self.revision().to_owned(),
            complete: self.swept_at().is_some(),
        }
    }
}
