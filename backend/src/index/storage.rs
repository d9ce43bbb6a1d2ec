//! What the NARs of a cache take, each once: by compression, shared ones, and what made it grow.

use std::collections::{BTreeMap, HashMap};

use snowbank_shared::api::ContentStatus;
use snowbank_shared::api::storage::{CodecSize, GrowthShare, SharedNar};

use super::view::{View, known};

/// NARs of several paths that are named one by one: those that save most.
const MOST_SHARED: usize = 50;
/// Packages that are named: those that grew most.
const MOST_PACKAGES: usize = 20;

/// What the index knows of the bytes of a cache. NARs that are not there do not count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StorageFigures {
    /// Bytes unpacked of the distinct NARs.
    pub unpacked: u64,
    /// By compression, most bytes first.
    pub codecs: Vec<CodecSize>,
    /// Sum of the sizes that narinfos have, less that of their distinct files, bytes.
    pub saved: u64,
    /// The NARs that save most.
    pub shared: Vec<SharedNar>,
    /// The packages that grew most since the time that was asked for.
    pub packages: Vec<GrowthShare>,
}

impl View {
    /// The figures; `since`, seconds since 1970: packages are counted by paths first seen then or
    /// later. Looks at every path: run it off the reactor.
    pub fn storage(&self, since: i64) -> StorageFigures {
        let graph = &self.graph;
        let mut figures = StorageFigures::default();
        let mut codecs: BTreeMap<&str, CodecSize> = BTreeMap::new();
        // Bytes that it saves, a row, bytes, rows.
        let mut shared: Vec<(u64, u32, u64, u64)> = Vec::new();
        self.each_nar(|rows| {
            let mut size = 0;
            let mut paths = 0u64;
            let mut first = None;
            for &row in rows {
                if graph.mark(row).content != ContentStatus::NarMissing {
                    size = size.max(known(graph.file_size(row)).unwrap_or(0));
                    paths += 1;
                    first = first.or(Some(row));
                }
            }
            let Some(row) = first else { return };
            let unpacked = graph.nar_size(row);
            figures.unpacked = figures.unpacked.saturating_add(unpacked);
            let word = &*graph.layout(row).compression;
            let codec = codecs.entry(word).or_insert_with(|| CodecSize {
                compression: word.to_owned(),
                nars: 0,
                stored: 0,
                unpacked: 0,
            });
            codec.nars += 1;
            codec.stored = codec.stored.saturating_add(size);
            codec.unpacked = codec.unpacked.saturating_add(unpacked);
            if paths > 1 {
                let saves = size.saturating_mul(paths - 1);
                figures.saved = figures.saved.saturating_add(saves);
                shared.push((saves, row, size, paths));
                if shared.len() >= 64 * MOST_SHARED {
                    keep_most(&mut shared);
                }
            }
        });
        keep_most(&mut shared);
        let named = |(_, row, bytes, paths)| {
            let mut url = Vec::new();
            graph.push_url(row, &mut url);
            SharedNar {
                url: String::from_utf8_lossy(&url).into_owned(),
                bytes,
                paths,
            }
        };
        figures.shared = shared.into_iter().map(named).collect();
        figures.codecs = codecs.into_values().collect();
        figures
            .codecs
            .sort_by_key(|codec| std::cmp::Reverse(codec.stored));
        figures.packages = self.grown(since);
        figures
    }

    /// The packages that grew most.
    fn grown(&self, since: i64) -> Vec<GrowthShare> {
        let graph = &self.graph;
        let mut packages: HashMap<&str, (u64, u64)> = HashMap::new();
        for row in graph.all_live() {
            if i64::from(graph.added_at(row)) < since {
                continue;
            }
            let name = snowbank_shared::package::split(graph.name(row)).0;
            let (paths, bytes) = packages.entry(name).or_default();
            *paths += 1;
            *bytes = bytes.saturating_add(known(graph.file_size(row)).unwrap_or(0));
        }
        let mut packages: Vec<_> = packages.into_iter().collect();
        packages.sort_unstable_by(|(a, of_a), (b, of_b)| (of_b.1, a).cmp(&(of_a.1, b)));
        packages.truncate(MOST_PACKAGES);
        packages
            .into_iter()
            .map(|(name, (paths, bytes))| GrowthShare {
                name: name.to_owned(),
                paths,
                bytes,
            })
            .collect()
    }
}

fn keep_most(shared: &mut Vec<(u64, u32, u64, u64)>) {
    shared.sort_unstable_by_key(|&(saves, row, ..)| (std::cmp::Reverse(saves), row));
    shared.truncate(MOST_SHARED);
}
