//! The rows of the tree: what is unfolded, every path once. Where a path comes a second
//! time it is a reference to the row above, so that a closure of thousands with heavy
//! sharing has as many rows as it has references, and no more.

use std::collections::{HashMap, HashSet};

use super::choice::SizeKind;
use super::shape::Shape;

/// Children shown at once; the rest are asked for.
pub const AT_ONCE: usize = 200;

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A path with references, and whether they are shown.
    Branch { open: bool },
    /// A path without any.
    Leaf,
    /// A path whose row stands above.
    Above,
    /// So many more children.
    More(usize),
}

/// A row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The path; of [`Kind::More`] the one whose children they are.
    pub node: u32,
    /// The path that refers to it; nothing for the root.
    pub parent: Option<u32>,
    /// Counts from 1.
    pub level: usize,
    /// Its place among its siblings, from 1.
    pub place: usize,
    /// How many siblings there are, itself included.
    pub siblings: usize,
    /// What it is.
    pub kind: Kind,
}

/// Which nodes are unfolded, and how many children of each are shown where that
/// is more than [`AT_ONCE`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unfolded {
    open: HashSet<u32>,
    shown: HashMap<u32, usize>,
}

impl Unfolded {
    /// Only the root.
    pub fn root() -> Self {
        Self {
            open: HashSet::from([0]),
            shown: HashMap::new(),
        }
    }

    /// Folds or unfolds.
    pub fn set(&mut self, node: u32, open: bool) {
        if open {
            self.open.insert(node);
        } else {
            self.open.remove(&node);
        }
    }

    /// Shows more children of a node.
    pub fn more(&mut self, node: u32) {
        *self.shown.entry(node).or_insert(AT_ONCE) += AT_ONCE;
    }

    /// Unfolds all on the way to a node, and enough children to see it.
    pub fn reveal(&mut self, shape: &Shape, node: u32, size: SizeKind) {
        for pair in shape.way(node).windows(2) {
            let &[above, below] = pair else { continue };
            self.open.insert(above);
            let children = shape.by_size(shape.references(above), size);
            let at = children.iter().position(|&child| child == below);
            let needed = at.unwrap_or_default() + 1;
            if needed > AT_ONCE {
                let shown = self.shown.entry(above).or_insert(AT_ONCE);
                *shown = (*shown).max(needed.next_multiple_of(AT_ONCE));
            }
        }
    }
}

/// The rows from top to bottom; children the largest first.
pub fn rows(shape: &Shape, unfolded: &Unfolded, size: SizeKind) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut seen = HashSet::new();
    let mut due = vec![Row {
        node: 0,
        parent: None,
        level: 1,
        place: 1,
        siblings: 1,
        kind: Kind::Leaf,
    }];
    while let Some(mut row) = due.pop() {
        if matches!(row.kind, Kind::More(_)) {
            rows.push(row);
            continue;
        }
        let references = shape.references(row.node);
        let first = seen.insert(row.node);
        let open = unfolded.open.contains(&row.node);
        row.kind = match (first, references.is_empty()) {
            (false, _) => Kind::Above,
            (true, true) => Kind::Leaf,
            (true, false) => Kind::Branch { open },
        };
        rows.push(row);
        if row.kind != (Kind::Branch { open: true }) {
            continue;
        }
        let children = shape.by_size(references, size);
        let limit = unfolded.shown.get(&row.node).copied().unwrap_or(AT_ONCE);
        let shown = children.len().min(limit);
        let left = children.len() - shown;
        let siblings = shown + usize::from(left > 0);
        let child = |node, place, kind| Row {
            node,
            parent: Some(row.node),
            level: row.level + 1,
            place,
            siblings,
            kind,
        };
        if left > 0 {
            due.push(child(row.node, siblings, Kind::More(left)));
        }
        let mut place = shown;
        for &node in children[..shown].iter().rev() {
            due.push(child(node, place, Kind::Leaf));
            place -= 1;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::shape::tests::{shape, shared};
    use super::*;

    fn drawn(rows: &[Row]) -> Vec<(usize, u32, Kind)> {
        rows.iter()
            .map(|row| (row.level, row.node, row.kind))
            .collect()
    }

    #[test]
    fn a_shared_path_is_unfolded_once_and_later_shown_above() {
        let shape = shared();
        let mut unfolded = Unfolded::root();
        let (open, shut) = (Kind::Branch { open: true }, Kind::Branch { open: false });
        assert_eq!(
            drawn(&rows(&shape, &unfolded, SizeKind::Nar)),
            [(1, 0, open), (2, 2, shut), (2, 1, shut), (2, 4, Kind::Leaf)]
        );
        unfolded.reveal(&shape, 5, SizeKind::Nar);
        unfolded.set(2, true);
        assert_eq!(
            drawn(&rows(&shape, &unfolded, SizeKind::Nar)),
            [
                (1, 0, open),
                (2, 2, open),
                (3, 3, open),
                (4, 4, Kind::Leaf),
                (4, 5, Kind::Leaf),
                (2, 1, open),
                (3, 3, Kind::Above),
                (2, 4, Kind::Above),
            ]
        );
        unfolded.set(0, false);
        assert_eq!(rows(&shape, &unfolded, SizeKind::Nar).len(), 1);
    }

    #[test]
    fn many_children_come_in_portions_and_a_circle_ends() {
        let all: Vec<u32> = (1..=450).collect();
        let mut nodes: Vec<(u64, Option<u32>, &[u32])> = vec![(1, None, &all)];
        nodes.extend((0..450).map(|at| (1000 - at, Some(0), &[0_u32] as &[u32])));
        let shape = shape(&nodes);
        let mut unfolded = Unfolded::root();
        let first = rows(&shape, &unfolded, SizeKind::Nar);
        assert_eq!(first.len(), 202);
        assert_eq!(first[201].kind, Kind::More(250));
        assert_eq!((first[201].place, first[201].siblings), (201, 201));
        unfolded.more(0);
        assert_eq!(rows(&shape, &unfolded, SizeKind::Nar).len(), 402);
        unfolded.reveal(&shape, 450, SizeKind::Nar);
        unfolded.set(450, true);
        let last = rows(&shape, &unfolded, SizeKind::Nar);
        assert_eq!(last.len(), 452);
        assert_eq!((last[451].node, last[451].kind), (0, Kind::Above));
    }
}
