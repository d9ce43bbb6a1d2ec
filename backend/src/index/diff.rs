//! What differs between two closures, by package.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};

use snowbank_shared::api::{Diff, DiffKind, DiffRow, DiffSide};
use snowbank_shared::package::{Package, compare_versions};

use super::graph::Graph;
use super::view::{Id, View, known};

/// The paths of a package on either side.
#[derive(Default)]
struct Group {
    from: Vec<u32>,
    to: Vec<u32>,
}

/// Sums of some rows.
fn sizes(graph: &Graph, rows: impl Iterator<Item = u32>) -> (u64, Option<u64>) {
    rows.fold((0u64, Some(0u64)), |(nar, file), row| {
        (
            nar.saturating_add(graph.nar_size(row)),
            file.zip(known(graph.file_size(row)))
                .map(|(sum, size)| sum.saturating_add(size)),
        )
    })
}

/// The versions of some rows, newest first, each once.
fn versions<'a>(graph: &'a Graph, rows: &[u32]) -> Vec<&'a str> {
    let mut versions: Vec<&str> = rows
        .iter()
        .map(|&row| Package::of(graph.name(row)).version)
        .collect();
    versions.sort_by(|a, b| compare_versions(b, a).then_with(|| b.cmp(a)));
    versions.dedup();
    versions
}

/// How a package differs, by its versions on either side, newest first.
fn kind(from: &[&str], to: &[&str]) -> DiffKind {
    match (from, to) {
        ([], _) => return DiffKind::Added,
        (_, []) => return DiffKind::Removed,
        _ => {}
    }
    let newest_that_differ = from
        .iter()
        .zip(to)
        .map(|(from, to)| compare_versions(from, to))
        .find(|order| order.is_ne());
    match newest_that_differ.unwrap_or_else(|| from.len().cmp(&to.len())) {
        Ordering::Less => DiffKind::Upgraded,
        Ordering::Greater => DiffKind::Downgraded,
        Ordering::Equal => DiffKind::Rebuilt,
    }
}

impl View {
    /// What differs between the closures of two paths. Walks both: run it off the reactor.
    pub fn diff(&self, from: Id, to: Id) -> Diff {
        let graph = &self.graph;
        let walked = |id: Id| self.pool.with(|seen| graph.walk(id.0, seen).rows);
        let (left, right) = (walked(from), walked(to));
        let in_left: HashSet<u32> = left.iter().copied().collect();
        let in_right: HashSet<u32> = right.iter().copied().collect();
        let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
        for &row in &left {
            groups
                .entry(Package::of(graph.name(row)).name)
                .or_default()
                .from
                .push(row);
        }
        for &row in &right {
            groups
                .entry(Package::of(graph.name(row)).name)
                .or_default()
                .to
                .push(row);
        }
        let mut items: Vec<DiffRow> = groups
            .iter()
            .filter_map(|(name, group)| {
                let only = |rows: &[u32], other: &HashSet<u32>| -> Vec<u32> {
                    rows.iter()
                        .copied()
                        .filter(|row| !other.contains(row))
                        .collect()
                };
                let gone = only(&group.from, &in_right);
                let new = only(&group.to, &in_left);
                if gone.is_empty() && new.is_empty() {
                    return None;
                }
                let (from_versions, to_versions) =
                    (versions(graph, &group.from), versions(graph, &group.to));
                let (gone_size, gone_files) = sizes(graph, gone.iter().copied());
                let (new_size, download) = sizes(graph, new.iter().copied());
                let hashes =
                    |rows: &[u32]| rows.iter().map(|&row| graph.key(row).to_string()).collect();
                let texts =
                    |versions: &[&str]| versions.iter().map(|&text| text.to_owned()).collect();
                Some(DiffRow {
                    kind: kind(&from_versions, &to_versions),
                    name: (*name).to_owned(),
                    from_versions: texts(&from_versions),
                    to_versions: texts(&to_versions),
                    from_hashes: hashes(&gone),
                    to_hashes: hashes(&new),
                    nar_delta: difference(new_size, gone_size),
                    file_delta: download
                        .zip(gone_files)
                        .map(|(new, gone)| difference(new, gone)),
                    download,
                })
            })
            .collect();
        items.sort_by_key(|row| row.kind);
        let new = right.iter().copied().filter(|row| !in_left.contains(row));
        let (new_nar_size, download) = sizes(graph, new);
        let side = |id: Id, rows: &[u32]| {
            let (nar_size, file_size) = sizes(graph, rows.iter().copied());
            DiffSide {
                path: self.full_path(id.0),
                paths: rows.len() as u64,
                nar_size,
                file_size,
            }
        };
        Diff {
            from: side(from, &left),
            to: side(to, &right),
            common: left.iter().filter(|row| in_right.contains(row)).count() as u64,
            new_nar_size,
            download,
            items,
            revision: self.revision().to_owned(),
        }
    }
}

/// The first less the second, within what a signed number holds.
fn difference(one: u64, two: u64) -> i64 {
    let far = |distance: u64| i64::try_from(distance).unwrap_or(i64::MAX);
    if one >= two {
        far(one - two)
    } else {
        -far(two - one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_that_differs_decides() {
        assert_eq!(kind(&["1.9"], &["1.10"]), DiffKind::Upgraded);
        assert_eq!(kind(&["1.10"], &["1.9"]), DiffKind::Downgraded);
        assert_eq!(kind(&["1.0"], &["1.0"]), DiffKind::Rebuilt);
        assert_eq!(kind(&["2.0", "1.0"], &["2.0", "1.5"]), DiffKind::Upgraded);
        assert_eq!(kind(&["2.0", "1.0"], &["2.0"]), DiffKind::Downgraded);
        assert_eq!(kind(&[], &["1"]), DiffKind::Added);
        assert_eq!(kind(&["1"], &[]), DiffKind::Removed);
        assert_eq!(kind(&[""], &[""]), DiffKind::Rebuilt);
    }
}
