//! How much of a cache each key vouches for, cut by pin, package, uploader or month.
//!
//! Everything is counted from the verdicts of the index, in one pass over the rows and one over
//! the references. A cell counts what the filters of `/paths` list: see [`Vouch`](super::Vouch).

use std::collections::{BTreeMap, HashMap};

use snowbank_shared::api::vouching::{Coverage, CoverageBy, CoverageKey, CoverageRow, CoverageSum};
use snowbank_shared::api::{KeyPurpose, KeyState, SignatureStatus};
use snowbank_shared::store_path::StorePathHash;
use time::OffsetDateTime;

use super::graph::Graph;
use super::pinned::held_rows;
use super::view::View;

/// Rows of a coverage at most.
pub const MAX_COVERAGE_ROWS: usize = 10_000;
/// Columns of keys at most: those that sign most.
const MOST_KEYS: usize = 60;
/// The bit of a closure that is here whole.
const WHOLE: u64 = 1 << 63;
/// The uploader of what has no receipt.
pub const NOBODY: &str = "-";
/// No row of the coverage has it.
const NOWHERE: u32 = u32::MAX;

/// The words of paths for which no good key vouches.
const WORDS: [SignatureStatus; 4] = [
    SignatureStatus::NotNeeded,
    SignatureStatus::ValidRevoked,
    SignatureStatus::UnknownKey,
    SignatureStatus::Unsigned,
];

/// By what a coverage is cut into rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// Names of pins, and the paths whose closures they keep.
    Pins(Vec<(String, Vec<StorePathHash>)>),
    /// Names of packages.
    Packages,
    /// Who put a path; one that is not here is put to [`NOBODY`].
    Uploaders(HashMap<StorePathHash, String>),
    /// Months of the time when a path was first seen.
    Months,
}

impl Cut {
    /// Its word.
    pub const fn by(&self) -> CoverageBy {
        match self {
            Self::Pins(_) => CoverageBy::Pin,
            Self::Packages => CoverageBy::Package,
            Self::Uploaders(_) => CoverageBy::Uploader,
            Self::Months => CoverageBy::Month,
        }
    }
}

/// What is signed with the keys of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SignedWith {
    /// Paths with a `Sig` line of the name.
    pub lines: u64,
    /// Paths with one that passes the check.
    pub paths: u64,
    /// Their NarSizes together, bytes.
    pub nar_size: u64,
    /// Of these the paths for which nothing else vouches.
    pub only_paths: u64,
    /// Their NarSizes together, bytes.
    pub only_nar_size: u64,
    /// Paths with one that fails the check.
    pub invalid: u64,
    /// When the first of `paths` was first seen, seconds since 1970.
    pub first: Option<i64>,
    /// When the last of them was.
    pub last: Option<i64>,
}

/// What is known of each row before rows are summed up.
struct Rows {
    /// By row: the keys whose signatures pass.
    passes: Vec<u64>,
    /// The keys whose signatures fail, where there are any.
    fails: HashMap<u32, u64>,
    /// By row: the keys that vouch for its whole closure, and [`WHOLE`].
    closures: Vec<u64>,
}

impl Rows {
    fn of(graph: &Graph, names: &[CoverageKey]) -> Self {
        let places: HashMap<&str, usize> = names
            .iter()
            .enumerate()
            .map(|(place, key)| (&*key.name, place))
            .collect();
        let mut rows = Self {
            passes: vec![0; graph.rows() as usize],
            fails: HashMap::new(),
            closures: vec![0; graph.rows() as usize],
        };
        for row in graph.all_live() {
            let (mut passes, mut fails) = (0, 0);
            for voucher in graph.vouchers(row) {
                if let Some(place) = places.get(voucher.name) {
                    passes |= u64::from(voucher.passes) << place;
                    fails |= u64::from(voucher.fails) << place;
                }
            }
            rows.passes[row as usize] = passes;
            if fails != 0 {
                rows.fails.insert(row, fails);
            }
            rows.closures[row as usize] = match graph.needs_none(row) {
                true => super::vouch::ALL,
                false => passes | WHOLE,
            };
        }
        graph.close(&mut rows.closures, true);
        rows
    }

    /// Counts a row.
    fn count(&self, graph: &Graph, row: u32, sums: &mut CoverageRow) {
        let nar_size = graph.nar_size(row);
        let add = |sum: &mut CoverageSum| {
            sum.paths += 1;
            sum.nar_size = sum.nar_size.saturating_add(nar_size);
        };
        let (passes, closures) = (self.passes[row as usize], self.closures[row as usize]);
        let fails = self.fails.get(&row).copied().unwrap_or(0);
        add(&mut sums.all);
        sums.all.closures += u64::from(closures & WHOLE != 0);
        for (place, sum) in sums.keys.iter_mut().enumerate() {
            let has = |mask: u64| mask >> place & 1 == 1;
            if has(passes) {
                add(sum);
            }
            sum.closures += u64::from(has(closures));
            sum.invalid += u64::from(has(fails));
        }
        let status = graph.judged(row).status;
        if let Some(place) = WORDS.iter().position(|word| *word == status) {
            add(&mut sums.words[place]);
        }
    }
}

/// Which row of a coverage each row of the index counts in.
#[derive(Default)]
struct Groups {
    names: Vec<String>,
    paths: Vec<u64>,
    of: Vec<u32>,
}

impl Groups {
    /// By a name, which is made once for each value of `key`.
    fn by<K: std::hash::Hash + Eq + Copy>(
        graph: &Graph,
        key: impl Fn(u32) -> K,
        name: impl Fn(K) -> String,
    ) -> Self {
        let mut numbers: HashMap<K, u32> = HashMap::new();
        let mut groups = Self {
            of: vec![NOWHERE; graph.rows() as usize],
            ..Self::default()
        };
        for row in graph.all_live() {
            let key = key(row);
            let number = *numbers.entry(key).or_insert_with(|| {
                groups.names.push(name(key));
                groups.paths.push(0);
                groups.names.len() as u32 - 1
            });
            groups.of[row as usize] = number;
            groups.paths[number as usize] += 1;
        }
        groups
    }

    /// Sums of the groups with most paths, so many.
    fn sums(
        self,
        graph: &Graph,
        rows: &Rows,
        blank: &CoverageRow,
        most: usize,
    ) -> Vec<CoverageRow> {
        let mut order: Vec<u32> = (0..self.names.len() as u32).collect();
        order.sort_unstable_by(|&a, &b| {
            let (a, b) = (a as usize, b as usize);
            self.paths[b]
                .cmp(&self.paths[a])
                .then_with(|| self.names[a].cmp(&self.names[b]))
        });
        order.truncate(most);
        let mut places = vec![NOWHERE; self.names.len()];
        let mut sums: Vec<CoverageRow> = Vec::with_capacity(order.len());
        for number in order {
            places[number as usize] = sums.len() as u32;
            sums.push(CoverageRow {
                name: self.names[number as usize].clone(),
                ..blank.clone()
            });
        }
        for row in graph.all_live() {
            let place = places[self.of[row as usize] as usize];
            if let Some(sum) = sums.get_mut(place as usize) {
                rows.count(graph, row, sum);
            }
        }
        sums
    }
}

/// The month of a time in seconds since 1970: `2026-11`.
fn month(seconds: u32) -> (i32, u8) {
    let time = OffsetDateTime::from_unix_timestamp(i64::from(seconds));
    time.map_or((1970, 1), |time| (time.year(), u8::from(time.month())))
}

impl View {
    /// What is signed here, by the names of keys. Looks at every path: run it off the reactor.
    pub fn signed_with(&self) -> BTreeMap<String, SignedWith> {
        let graph = &self.graph;
        let mut names: HashMap<&str, SignedWith> = HashMap::new();
        for row in graph.all_live() {
            let vouchers = graph.vouchers(row);
            let passing = vouchers.iter().filter(|voucher| voucher.passes).count();
            let alone = passing == 1 && !graph.needs_none(row);
            let (nar_size, added) = (graph.nar_size(row), i64::from(graph.added_at(row)));
            for voucher in vouchers {
                let signed = names.entry(voucher.name).or_default();
                signed.lines += 1;
                signed.invalid += u64::from(voucher.fails);
                if !voucher.passes {
                    continue;
                }
                signed.paths += 1;
                signed.nar_size = signed.nar_size.saturating_add(nar_size);
                signed.first = Some(signed.first.map_or(added, |first| first.min(added)));
                signed.last = signed.last.max(Some(added));
                if alone {
                    signed.only_paths += 1;
                    signed.only_nar_size = signed.only_nar_size.saturating_add(nar_size);
                }
            }
        }
        names
            .into_iter()
            .map(|(name, signed)| (name.to_owned(), signed))
            .collect()
    }

    /// The columns of a coverage: the cache's own keys, and the other known ones that signed
    /// something here.
    fn columns(&self) -> Vec<CoverageKey> {
        let signed = self.signed_with();
        let lines = |name: &str| signed.get(name).map_or(0, |signed| signed.lines);
        let mut columns: Vec<CoverageKey> = Vec::new();
        for known in self.key_ring().keys() {
            let name = known.key.name();
            let counts = known.state != KeyState::Pending
                && (known.purpose == KeyPurpose::Cache || lines(name) > 0);
            if counts && columns.iter().all(|column| column.name != name) {
                columns.push(CoverageKey {
                    name: name.to_owned(),
                    purpose: known.purpose,
                    state: known.state,
                });
            }
        }
        columns.sort_by_key(|column| std::cmp::Reverse(lines(&column.name)));
        columns.truncate(MOST_KEYS);
        columns.sort_by_key(|column| column.purpose as u8);
        columns
    }

    /// How much of the cache each key vouches for, the `most` largest rows. Looks at every path
    /// and reference: run it off the reactor.
    pub fn coverage(&self, cut: &Cut, most: usize) -> Coverage {
        let graph = &self.graph;
        let keys = self.columns();
        let rows = Rows::of(graph, &keys);
        let blank = CoverageRow {
            name: String::new(),
            all: CoverageSum::default(),
            keys: vec![CoverageSum::default(); keys.len()],
            words: vec![CoverageSum::default(); WORDS.len()],
        };
        let mut total = blank.clone();
        for row in graph.all_live() {
            rows.count(graph, row, &mut total);
        }
        let most = most.min(MAX_COVERAGE_ROWS);
        let groups = match cut {
            Cut::Pins(_) => Groups::default(),
            Cut::Packages => Groups::by(
                graph,
                |row| snowbank_shared::package::split(graph.name(row)).0,
                str::to_owned,
            ),
            Cut::Uploaders(who) => Groups::by(
                graph,
                |row| who.get(&graph.key(row)).map_or(NOBODY, String::as_str),
                str::to_owned,
            ),
            Cut::Months => Groups::by(
                graph,
                |row| month(graph.added_at(row)),
                |(year, month)| format!("{year:04}-{month:02}"),
            ),
        };
        let (count, items) = match cut {
            Cut::Pins(pins) => (pins.len(), self.by_pins(pins, &rows, &blank, most)),
            cut => {
                let count = groups.names.len();
                let mut items = groups.sums(graph, &rows, &blank, most);
                if *cut == Cut::Months {
                    items.sort_by(|a, b| b.name.cmp(&a.name));
                }
                (count, items)
            }
        };
        Coverage {
            by: cut.by(),
            keys,
            words: WORDS.to_vec(),
            total,
            items,
            rows: count as u64,
            revision: self.revision().to_owned(),
            complete: self.swept_at().is_some(),
        }
    }

    /// Pins share paths, so each is counted by itself.
    fn by_pins(
        &self,
        pins: &[(String, Vec<StorePathHash>)],
        rows: &Rows,
        blank: &CoverageRow,
        most: usize,
    ) -> Vec<CoverageRow> {
        let graph = &self.graph;
        let mut sums: Vec<CoverageRow> = pins
            .iter()
            .map(|(name, roots)| {
                let held = held_rows(graph, roots);
                let mut sum = CoverageRow {
                    name: name.clone(),
                    ..blank.clone()
                };
                for (at, &word) in held.iter().enumerate() {
                    let mut left = word;
                    while left != 0 {
                        let row = at as u32 * 64 + left.trailing_zeros();
                        left &= left - 1;
                        rows.count(graph, row, &mut sum);
                    }
                }
                sum
            })
            .collect();
        sums.sort_by(|a, b| {
            b.all
                .paths
                .cmp(&a.all.paths)
                .then_with(|| a.name.cmp(&b.name))
        });
        sums.truncate(most);
        sums
    }
}
