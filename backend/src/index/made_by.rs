//! Which paths a derivation made, by what their narinfos say; and what a path refers to in vain.

use std::collections::{HashMap, HashSet};

use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::{StorePath, StorePathHash};

use super::chunk::ABSENT;
use super::key::base_text;
use super::view::{Id, View};

/// Paths that are looked for; a derivation has some outputs, and few make the same twice.
const MOST: usize = 100;

impl View {
    /// Narinfos of the paths whose deriver this is, at most 100. Looks at the name of every path: run it
    /// off the reactor.
    pub fn made_by(&self, derivation: &StorePath) -> Vec<NarInfo> {
        let Some(name) = derivation.name().strip_suffix(".drv") else {
            return Vec::new();
        };
        let graph = &self.graph;
        // An output other than `out` has its name behind the derivation's.
        let fits = |path: &str| {
            let rest = path.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        graph
            .all_live()
            .filter(|&row| fits(graph.name(row)))
            .filter_map(|row| NarInfo::parse(&self.narinfo_bytes(Id(row)), &self.store_dir).ok())
            .filter(|narinfo| {
                let deriver = narinfo.deriver();
                deriver.is_some_and(|deriver| deriver == derivation.as_ref())
            })
            .take(MOST)
            .collect()
    }

    /// Names of paths that are not here, as far as paths that are here refer to them.
    pub fn names_of_absent(
        &self,
        wanted: &HashSet<StorePathHash>,
    ) -> HashMap<StorePathHash, String> {
        let graph = &self.graph;
        let known = graph.base.links.absent.len() + graph.overlay.absent.len();
        let mut found = HashMap::new();
        for index in 0..u32::try_from(known).unwrap_or(ABSENT) {
            let (hash, name) = graph.base_name(ABSENT | index);
            if wanted.contains(&hash) {
                found.insert(hash, name.to_owned());
            }
        }
        found
    }

    /// What a path refers to and is not here.
    pub fn missing_references(&self, id: Id) -> Vec<StorePath> {
        let graph = &self.graph;
        graph
            .targets(id.0)
            .iter()
            .filter(|&&code| graph.resolve(code).is_none())
            .filter_map(|&code| {
                let (key, name) = graph.base_name(code);
                base_text(key, name).parse().ok()
            })
            .collect()
    }
}
