//! The filters of a query, asked row by row.
//!
//! Each filter is one bit of [`failed`](Filter::failed), so that counting what a
//! list would hold without one of them is the same pass as counting what it holds.

use snowbank_shared::api::SignatureStatus;

use super::graph::Graph;
use super::layout::Layout;
use super::pinned::held_rows;
use super::query::{Makers, PathQuery};
use super::vouch::Vouch;

/// A kind of filter, as a bit.
pub(crate) mod kind {
    /// Words, a hash, a path.
    pub(crate) const Q: u16 = 1;
    /// Signature words.
    pub(crate) const SIGNATURE: u16 = 2;
    /// Content words.
    pub(crate) const CONTENT: u16 = 4;
    /// A signer.
    pub(crate) const KEY: u16 = 8;
    /// A Compression word.
    pub(crate) const COMPRESSION: u16 = 16;
    /// Referred to by nothing.
    pub(crate) const UNREFERENCED: u16 = 32;
    /// NarSize.
    pub(crate) const SIZE: u16 = 64;
    /// First seen.
    pub(crate) const ADDED: u16 = 128;
    /// Kept by a pin.
    pub(crate) const PIN: u16 = 256;
    /// Made by several people.
    pub(crate) const REPRODUCED: u16 = 512;
    /// The name before the version.
    pub(crate) const PACKAGE: u16 = 1024;
    /// What vouches for it.
    pub(crate) const VOUCH: u16 = 2048;
    /// Who put it here.
    pub(crate) const BY: u16 = 4096;

    /// Every kind with the parameter that names it in [`Facets::without`](snowbank_shared::api::Facets).
    pub(crate) const ALL: [(u16, &str); 13] = [
        (Q, "q"),
        (SIGNATURE, "sig"),
        (CONTENT, "content"),
        (KEY, "key"),
        (COMPRESSION, "compression"),
        (UNREFERENCED, "unreferenced"),
        (SIZE, "size"),
        (ADDED, "added"),
        (PIN, "pin"),
        (REPRODUCED, "reproduced"),
        (PACKAGE, "package"),
        (VOUCH, "vouch"),
        (BY, "by"),
    ];
}

/// The filters of a query, made quick to ask. `q` is not among them: it is a search.
pub(crate) struct Filter<'a> {
    query: &'a PathQuery,
    /// Which filters are in use.
    used: u16,
    /// For each layout of the base what of key and compression it fails.
    layouts: Vec<u16>,
    /// The rows that a pin keeps, one bit a row.
    held: Vec<u64>,
    /// For each layout of the base whether its keys are those of several people.
    several: Vec<bool>,
    /// The rows whose closures are vouched for, one bit a row; empty where that is not asked.
    closures: Vec<u64>,
}

impl<'a> Filter<'a> {
    /// The filters of a query.
    pub(crate) fn new(graph: &Graph, query: &'a PathQuery) -> Self {
        let used = [
            (kind::SIGNATURE, !query.sig.is_empty()),
            (kind::CONTENT, !query.content.is_empty()),
            (kind::KEY, query.key.is_some()),
            (kind::COMPRESSION, query.compression.is_some()),
            (kind::UNREFERENCED, query.unreferenced),
            (kind::SIZE, query.min.is_some() || query.max.is_some()),
            (kind::ADDED, query.since.is_some() || query.until.is_some()),
            (kind::PIN, query.roots.is_some()),
            (kind::REPRODUCED, query.reproduced),
            (kind::PACKAGE, query.package.is_some()),
            (kind::VOUCH, query.vouch.is_some()),
            (kind::BY, query.among.is_some()),
        ];
        let used = used
            .into_iter()
            .filter(|&(_, used)| used)
            .fold(0, |bits, (bit, _)| bits | bit);
        let mut filter = Self {
            query,
            used,
            layouts: Vec::new(),
            held: Vec::new(),
            several: Vec::new(),
            closures: Vec::new(),
        };
        if let Some(roots) = &query.roots {
            filter.held = held_rows(graph, roots);
        }
        if let Some(vouch @ (Vouch::Closure(_) | Vouch::Whole)) = &query.vouch {
            filter.closures = graph.whole_closures(vouch);
        }
        if used & (kind::KEY | kind::COMPRESSION) != 0 {
            let layouts = graph.base.layouts.values().iter();
            filter.layouts = layouts.map(|layout| filter.layout_fails(layout)).collect();
        }
        if let Some(makers) = &query.makers {
            let layouts = graph.base.layouts.values().iter();
            let several = layouts
                .map(|layout| several(makers, layout.signers.iter().map(|signer| &**signer)));
            filter.several = several.collect();
        }
        filter
    }

    /// Whether the good signatures of a row are by keys of several people. False where nobody said
    /// whose keys are whose.
    pub(crate) fn is_reproduced(&self, graph: &Graph, row: u32) -> bool {
        let Some(makers) = &self.query.makers else {
            return false;
        };
        if graph.fresh(row).is_none() {
            let (chunk, place) = super::chunk::place(row);
            if !self.several[graph.base.chunks[chunk].layouts[place] as usize] {
                return false;
            }
        }
        let signers = graph.layout(row).signers.iter();
        let good = signers
            .zip(graph.judged(row).verdicts.iter())
            .filter(|(_, verdict)| {
                matches!(
                    verdict,
                    SignatureStatus::Valid | SignatureStatus::ValidRetired
                )
            });
        several(makers, good.map(|(signer, _)| &**signer))
    }

    /// Which filters are in use; 0 where every row passes.
    pub(crate) fn used(&self) -> u16 {
        self.used
    }

    fn layout_fails(&self, layout: &Layout) -> u16 {
        let (key, compression) = (&self.query.key, &self.query.compression);
        let signed = |key: &String| layout.signers.iter().any(|signer| **signer == **key);
        let packed = |word: &String| *layout.compression == **word;
        fails(kind::KEY, key.as_ref().is_none_or(signed))
            | fails(kind::COMPRESSION, compression.as_ref().is_none_or(packed))
    }

    /// The filters that a row does not pass.
    pub(crate) fn failed(&self, graph: &Graph, row: u32) -> u16 {
        let query = self.query;
        let uses = |kinds: u16| self.used & kinds != 0;
        let mut failed = 0;
        if uses(kind::KEY | kind::COMPRESSION) {
            failed |= if graph.fresh(row).is_some() {
                self.layout_fails(graph.layout(row))
            } else {
                let (chunk, place) = super::chunk::place(row);
                self.layouts[graph.base.chunks[chunk].layouts[place] as usize]
            };
        }
        if uses(kind::SIGNATURE) {
            let status = graph.judged(row).status;
            failed |= fails(kind::SIGNATURE, query.sig.contains(&status));
        }
        if uses(kind::CONTENT) {
            let content = graph.mark(row).content;
            failed |= fails(kind::CONTENT, query.content.contains(&content));
        }
        if uses(kind::SIZE) {
            let size = graph.nar_size(row);
            let within =
                query.min.is_none_or(|min| size >= min) && query.max.is_none_or(|max| size <= max);
            failed |= fails(kind::SIZE, within);
        }
        if uses(kind::ADDED) {
            let added = i64::from(graph.added_at(row));
            let within = query.since.is_none_or(|since| added >= since)
                && query.until.is_none_or(|until| added < until);
            failed |= fails(kind::ADDED, within);
        }
        if uses(kind::PIN) {
            let held = self.held[row as usize / 64] >> (row % 64) & 1 == 1;
            failed |= fails(kind::PIN, held);
        }
        if let Some(package) = &query.package {
            let name = snowbank_shared::package::split(graph.name(row)).0;
            failed |= fails(kind::PACKAGE, name == package);
        }
        if let Some(vouch) = &query.vouch {
            let vouched = match self.closures.get(row as usize / 64) {
                Some(word) => word >> (row % 64) & 1 == 1,
                None => graph.is_vouched(row, vouch),
            };
            failed |= fails(kind::VOUCH, vouched);
        }
        if let Some(among) = &query.among {
            failed |= fails(kind::BY, among.contains(&graph.key(row)));
        }
        if uses(kind::UNREFERENCED) {
            failed |= fails(kind::UNREFERENCED, graph.referrer_count(row) == 0);
        }
        if uses(kind::REPRODUCED) {
            failed |= fails(kind::REPRODUCED, self.is_reproduced(graph, row));
        }
        failed
    }

    /// Whether a row passes all of them.
    pub(crate) fn passes(&self, graph: &Graph, row: u32) -> bool {
        self.failed(graph, row) == 0
    }
}

/// Whether these keys are those of several people.
fn several<'a>(makers: &Makers, signers: impl Iterator<Item = &'a str>) -> bool {
    let mut people = signers.filter_map(|signer| makers.get(signer));
    let Some(first) = people.next() else {
        return false;
    };
    people.any(|other| other != first)
}

/// The bit of a filter that is not passed.
const fn fails(bit: u16, passes: bool) -> u16 {
    if passes { 0 } else { bit }
}
