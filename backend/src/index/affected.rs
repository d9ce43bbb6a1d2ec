//! Whom it concerns when a path cannot be fetched: every path whose closure contains it.

use super::traverse::Seen;
use super::view::{Id, View};

/// The paths that cannot be fetched whole without some path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Affecting {
    /// The path itself, then those whose closures contain it.
    pub paths: Vec<Id>,
    /// Of these those to which nothing else refers.
    pub roots: Vec<Id>,
}

impl View {
    /// Everything whose closure contains a path. Takes each row in hand once at most: run it off the
    /// reactor.
    pub fn affecting(&self, id: Id) -> Affecting {
        self.pool.with(|seen| self.walk_back(id.0, seen))
    }

    fn walk_back(&self, row: u32, seen: &mut Seen) -> Affecting {
        let graph = &self.graph;
        seen.begin(graph.nodes());
        seen.insert(row as usize);
        let mut found = Affecting::default();
        let mut open = vec![row];
        while let Some(row) = open.pop() {
            let referrers = graph.referrers(row);
            found.paths.push(Id(row));
            if referrers.is_empty() {
                found.roots.push(Id(row));
            }
            open.extend(
                referrers
                    .into_iter()
                    .filter(|&referrer| seen.insert(referrer as usize)),
            );
        }
        found.roots.sort_unstable();
        found
    }
}
