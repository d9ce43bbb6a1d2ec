//! Packages: the paths of a cache by the name before their version.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use snowbank_shared::api::{PackagePath, PackageRow, Page};
use snowbank_shared::package::{Package, compare_versions};

use super::graph::Graph;
use super::keep::{Kept, Removal};
use super::query::QueryError;
use super::view::{Id, View, known, rfc3339};

/// Most rows of a page of packages.
pub const MAX_PACKAGES: usize = 200;
/// Most paths of one package that are answered.
pub const MAX_PACKAGE_PATHS: usize = 2_000;

/// What packages are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PackageSort {
    /// Name, from a to z.
    #[default]
    Name,
    /// Paths, most first.
    Paths,
    /// Sum of NarSize, largest first.
    NarSize,
    /// When the newest path was first seen, latest first.
    AddedAt,
}

/// Which packages are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackageQuery {
    /// Part of the name, in any case.
    pub q: String,
    /// The order.
    pub sort: PackageSort,
    /// Rows, 1 to [`MAX_PACKAGES`].
    pub limit: usize,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// All packages of a version of the index, by name.
#[derive(Debug, Default)]
pub(crate) struct PackageIndex {
    groups: Vec<Group>,
    /// Rows of all groups.
    rows: Vec<u32>,
}

/// A package: where its rows lie, and sums of them.
#[derive(Debug)]
struct Group {
    name: Box<str>,
    start: u32,
    end: u32,
    nar_size: u64,
    file_size: u64,
    added_at: u32,
}

impl PackageIndex {
    fn of(graph: &Graph) -> Self {
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let mut names: Vec<&str> = Vec::new();
        let mut members: Vec<(u32, u32)> = Vec::with_capacity(graph.live as usize);
        for row in graph.all_live() {
            let name = snowbank_shared::package::split(graph.name(row)).0;
            let number = *numbers.entry(name).or_insert_with(|| {
                names.push(name);
                names.len() as u32 - 1
            });
            members.push((number, row));
        }
        let mut order: Vec<u32> = (0..names.len() as u32).collect();
        order.sort_unstable_by_key(|&number| names[number as usize]);
        let mut places = vec![0u32; order.len()];
        for (place, &number) in order.iter().enumerate() {
            places[number as usize] = place as u32;
        }
        for member in &mut members {
            member.0 = places[member.0 as usize];
        }
        members.sort_unstable();
        let mut groups: Vec<Group> = Vec::with_capacity(order.len());
        for (at, &(place, row)) in members.iter().enumerate() {
            if groups.len() == place as usize {
                groups.push(Group {
                    name: names[order[place as usize] as usize].into(),
                    start: at as u32,
                    end: at as u32,
                    nar_size: 0,
                    file_size: 0,
                    added_at: 0,
                });
            }
            let group = &mut groups[place as usize];
            group.end = at as u32 + 1;
            group.nar_size = group.nar_size.saturating_add(graph.nar_size(row));
            let file = known(graph.file_size(row)).unwrap_or(0);
            group.file_size = group.file_size.saturating_add(file);
            group.added_at = group.added_at.max(graph.added_at(row));
        }
        Self {
            groups,
            rows: members.into_iter().map(|(_, row)| row).collect(),
        }
    }

    fn rows(&self, group: &Group) -> &[u32] {
        &self.rows[group.start as usize..group.end as usize]
    }
}

/// A group's place in an order: what sorts first is less.
fn value(group: &Group, sort: PackageSort) -> u64 {
    let down = |value: u64| u64::MAX - value;
    match sort {
        PackageSort::Name => 0,
        PackageSort::Paths => down(u64::from(group.end - group.start)),
        PackageSort::NarSize => down(group.nar_size),
        PackageSort::AddedAt => down(u64::from(group.added_at)),
    }
}

/// The same, those that are alike by name.
fn place(group: &Group, sort: PackageSort) -> (u64, &str) {
    (value(group, sort), &group.name)
}

fn write_cursor(value: u64, name: &str) -> String {
    let mut bytes = value.to_be_bytes().to_vec();
    bytes.extend_from_slice(name.as_bytes());
    BASE64.encode(bytes)
}

fn read_cursor(text: &str) -> Result<(u64, String), QueryError> {
    let bytes = BASE64.decode(text).map_err(|_| QueryError::BadCursor)?;
    let (value, name) = bytes
        .split_first_chunk::<8>()
        .ok_or(QueryError::BadCursor)?;
    let name = std::str::from_utf8(name).map_err(|_| QueryError::BadCursor)?;
    Ok((u64::from_be_bytes(*value), name.to_owned()))
}

impl View {
    fn package_index(&self) -> &PackageIndex {
        self.packages.get_or_init(|| PackageIndex::of(&self.graph))
    }

    /// A page of packages. The first call of a version looks at every path: run it off the reactor.
    ///
    /// # Errors
    /// [`QueryError::BadCursor`].
    pub fn packages(&self, query: &PackageQuery) -> Result<Page<PackageRow>, QueryError> {
        let index = self.package_index();
        let after = query.cursor.as_deref().map(read_cursor).transpose()?;
        let limit = query.limit.clamp(1, MAX_PACKAGES);
        let wanted = query.q.to_ascii_lowercase();
        let mut found: Vec<&Group> = index
            .groups
            .iter()
            .filter(|group| wanted.is_empty() || group.name.to_ascii_lowercase().contains(&wanted))
            .collect();
        let total = found.len() as u64;
        if query.sort != PackageSort::Name {
            found.sort_unstable_by(|a, b| place(a, query.sort).cmp(&place(b, query.sort)));
        }
        let start = after.map_or(0, |(value, name)| {
            found.partition_point(|group| place(group, query.sort) <= (value, &*name))
        });
        let page = &found[start.min(found.len())..];
        let shown = &page[..limit.min(page.len())];
        let next = shown
            .last()
            .filter(|_| page.len() > limit)
            .map(|group| write_cursor(value(group, query.sort), &group.name));
        Ok(Page {
            items: shown
                .iter()
                .map(|group| self.package_row(index, group))
                .collect(),
            next,
            total,
            revision: self.revision().to_owned(),
            complete: self.swept_at().is_some(),
        })
    }

    fn package_row(&self, index: &PackageIndex, group: &Group) -> PackageRow {
        let mut versions: Vec<&str> = index
            .rows(group)
            .iter()
            .map(|&row| Package::of(self.graph.name(row)).version)
            .collect();
        versions.sort_unstable();
        versions.dedup();
        let newest = versions
            .iter()
            .copied()
            .max_by(|a, b| compare_versions(a, b));
        PackageRow {
            name: group.name.to_string(),
            newest: newest.unwrap_or_default().to_owned(),
            versions: versions.len() as u64,
            paths: u64::from(group.end - group.start),
            nar_size: group.nar_size,
            file_size: group.file_size,
            added_at: rfc3339(i64::from(group.added_at)),
        }
    }

    /// The paths of a package, newest version first, then newest path first; at most
    /// [`MAX_PACKAGE_PATHS`], and how many there are. `None` where there is none of that name. The
    /// first call of a version looks at every path: run it off the reactor.
    pub fn package(&self, name: &str) -> Option<(Vec<PackagePath>, u64)> {
        let index = self.package_index();
        let at = index
            .groups
            .binary_search_by(|group| (*group.name).cmp(name))
            .ok()?;
        let group = &index.groups[at];
        let graph = &self.graph;
        let mut rows = index.rows(group).to_vec();
        let version = |row: u32| Package::of(graph.name(row)).version;
        rows.sort_by(|&a, &b| {
            compare_versions(version(b), version(a))
                .then_with(|| version(b).cmp(version(a)))
                .then_with(|| graph.added_at(b).cmp(&graph.added_at(a)))
                .then_with(|| graph.key(a).cmp(&graph.key(b)))
        });
        let total = rows.len() as u64;
        rows.truncate(MAX_PACKAGE_PATHS);
        let path = |row: u32| {
            let name = graph.name(row);
            let package = Package::of(name);
            PackagePath {
                hash: graph.key(row).to_string(),
                name: name.to_owned(),
                version: package.version.to_owned(),
                output: package.output.map(ToOwned::to_owned),
                nar_size: graph.nar_size(row),
                file_size: known(graph.file_size(row)),
                closure_size: graph.sum(row).map(|sum| sum.size),
                added_at: rfc3339(i64::from(graph.added_at(row))),
                signature: graph.judged(row).status,
            }
        };
        Some((rows.into_iter().map(path).collect(), total))
    }

    /// What goes of each package, most bytes first, at most so many of them: name, paths, bytes as
    /// stored. The first call of a version looks at every path: run it off the reactor.
    pub fn going_by_package(
        &self,
        kept: &Kept,
        removal: &Removal,
        most: usize,
    ) -> Vec<(String, u64, u64)> {
        let index = self.package_index();
        let mut sums: Vec<(u64, u64, &Group)> = Vec::new();
        for group in &index.groups {
            let (mut paths, mut bytes) = (0u64, 0u64);
            for id in index.rows(group).iter().map(|&row| Id(row)) {
                if !kept.has(id) {
                    paths += 1;
                    bytes = bytes.saturating_add(removal.freed_with(id));
                }
            }
            if paths > 0 {
                sums.push((bytes, paths, group));
            }
        }
        // Groups are in the order of their names, and stay so among equals.
        sums.sort_by_key(|(bytes, paths, _)| std::cmp::Reverse((*bytes, *paths)));
        sums.truncate(most);
        sums.into_iter()
            .map(|(bytes, paths, group)| (group.name.to_string(), paths, bytes))
            .collect()
    }
}
