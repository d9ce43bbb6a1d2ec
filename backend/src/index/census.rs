//! Counting the whole bucket: which NARs are there, how long they are, and
//! which no narinfo names. Of those, what a run may still put back is no orphan.

use std::collections::HashMap;
use std::sync::Arc;

use snowbank_shared::api::{ContentStatus, Finding, Severity};

use super::chunk::UNKNOWN;
use super::op::{BucketTotals, Op};
use super::view::View;

/// Files without a narinfo that become findings one by one; all are counted.
const MAX_ORPHANS: usize = 10_000;
/// Younger files without a narinfo may belong to an upload that is under way, seconds.
const GRACE: i64 = 24 * 3600;
/// The check of files that no narinfo names.
const ORPHAN: &str = "orphan-nar";

/// The check of those that a run took out and may put back.
const IN_TRASH: &str = "nar-in-trash";

/// A NAR that a run may put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InTrash {
    /// Until when, in words; `None` where that is not known yet.
    pub until: Option<String>,
    /// Its bytes, where they are known.
    pub bytes: u64,
}

/// The NARs that runs may put back, by their keys.
pub type Trash = HashMap<String, InTrash>;

/// A listing of the whole bucket, object by object. Begin it before the first
/// page, feed it every object below the cache's prefix, and hand it to
/// [`super::Index::apply_census`] when the listing came to its end.
#[derive(Debug)]
pub struct Census {
    view: Arc<View>,
    totals: BucketTotals,
    /// One bit per row: its NAR was listed.
    seen: Vec<u64>,
    /// Listed sizes of rows, where they are not what is known.
    sizes: Vec<(u32, u64)>,
    orphans: Vec<(String, u64)>,
    trash: Arc<Trash>,
    trashed: Vec<String>,
}

impl Census {
    /// Begins at this time, seconds since 1970.
    pub fn new(view: Arc<View>, began_at: i64) -> Self {
        let rows = view.graph.rows() as usize;
        Self {
            view,
            totals: BucketTotals {
                began_at,
                ..BucketTotals::default()
            },
            seen: vec![0; rows.div_ceil(64)],
            sizes: Vec::new(),
            orphans: Vec::new(),
            trash: Arc::default(),
            trashed: Vec::new(),
        }
    }

    /// Knows what runs may put back.
    #[must_use]
    pub fn with_trash(self, trash: Arc<Trash>) -> Self {
        Self { trash, ..self }
    }

    /// An object: its key relative to the cache, bytes, last-modified in seconds since 1970.
    pub fn object(&mut self, key: &str, size: u64, last_modified: i64) {
        self.totals.objects += 1;
        self.totals.bytes += size;
        let graph = &self.view.graph;
        let rows = graph.rows_of_nar(key.as_bytes());
        for &row in &rows {
            self.seen[row as usize / 64] |= 1 << (row % 64);
            if graph.file_size(row) != size {
                self.sizes.push((row, size));
            }
        }
        if rows.is_empty() && self.trash.contains_key(key) {
            if self.trashed.len() < MAX_ORPHANS {
                self.trashed.push(key.to_owned());
            }
        } else if rows.is_empty() && is_nar(key) && last_modified < self.totals.began_at - GRACE {
            self.totals.orphans += 1;
            self.totals.orphan_bytes += size;
            if self.orphans.len() < MAX_ORPHANS {
                self.orphans.push((key.to_owned(), size));
            }
        }
    }

    /// What follows from it. `now` is the current view: what was published meanwhile is no orphan.
    pub(crate) fn finish(mut self, now: &View) -> Vec<Op> {
        let graph = &self.view.graph;
        let mut ops = Vec::new();
        self.sizes.sort_unstable();
        for row in graph.all_live() {
            let listed = self.seen[row as usize / 64] >> (row % 64) & 1 == 1;
            let known = graph.mark(row).content;
            let at = self.sizes.partition_point(|&(other, _)| other < row);
            let size = self
                .sizes
                .get(at)
                .filter(|&&(other, _)| other == row)
                .map(|&(_, size)| size);
            let stated = graph.layout(row).has_file_size;
            let content = match (listed, size) {
                (false, _) => ContentStatus::NarMissing,
                (true, Some(_)) if stated => ContentStatus::SizeDiffers,
                (true, _) => match known {
                    ContentStatus::NarMissing | ContentStatus::SizeDiffers => {
                        ContentStatus::NotChecked
                    }
                    other => other,
                },
            };
            let size = size.filter(|&size| !stated && size != UNKNOWN);
            if content != known || size.is_some() {
                ops.push(Op::Listed(graph.key(row), graph.token(row), content, size));
            }
        }
        self.orphans.retain(|(key, size)| {
            let orphan = now.graph.rows_of_nar(key.as_bytes()).is_empty();
            if !orphan {
                self.totals.orphans -= 1;
                self.totals.orphan_bytes -= size;
            }
            orphan
        });
        self.trashed
            .retain(|key| now.graph.rows_of_nar(key.as_bytes()).is_empty());
        let orphans = self.orphans.iter().map(|(key, _)| (ORPHAN, &**key));
        let trashed = self.trashed.iter().map(|key| (IN_TRASH, &**key));
        let still: std::collections::HashSet<(&str, &str)> = orphans.chain(trashed).collect();
        for (check, object) in now.notes.findings.keys() {
            if [ORPHAN, IN_TRASH].contains(&&**check) && !still.contains(&(&**check, &**object)) {
                ops.push(Op::Settled(check.clone(), object.clone()));
            }
        }
        ops.extend(self.trashed.iter().filter_map(|key| {
            let known = self.trash.get(key)?;
            Some(Op::Finding(in_trash(key, known)))
        }));
        ops.extend(self.orphans.iter().map(|(key, size)| {
            Op::Finding(Finding {
                check: ORPHAN.to_owned(),
                severity: Severity::Warning,
                object: key.clone(),
                line: None,
                reason: format!("no narinfo names it: its {size} bytes are stored for nobody"),
                hash: None,
            })
        }));
        ops.push(Op::Counted(self.totals));
        ops
    }
}

/// What follows from other trash: what is in it now is no orphan, and what left it is there again or
/// gone. The next listing finds what is neither.
pub(crate) fn with_other_trash(now: &View, trash: &Trash) -> Vec<Op> {
    let mut ops = Vec::new();
    let mut totals = now.notes.bucket;
    for ((check, object), finding) in &*now.notes.findings {
        let known = trash.get(&**object);
        match (&**check, known) {
            (ORPHAN, Some(known)) => {
                if let Some(totals) = &mut totals {
                    totals.orphans = totals.orphans.saturating_sub(1);
                    totals.orphan_bytes = totals.orphan_bytes.saturating_sub(known.bytes);
                }
                ops.push(Op::Settled(check.clone(), object.clone()));
                ops.push(Op::Finding(in_trash(object, known)));
            }
            (IN_TRASH, None) => ops.push(Op::Settled(check.clone(), object.clone())),
            (IN_TRASH, Some(known)) => {
                let told = in_trash(object, known);
                if told != *finding {
                    ops.push(Op::Finding(told));
                }
            }
            _ => {}
        }
    }
    if totals != now.notes.bucket {
        ops.extend(totals.map(Op::Counted));
    }
    ops
}

fn in_trash(key: &str, known: &InTrash) -> Finding {
    Finding {
        check: IN_TRASH.to_owned(),
        severity: Severity::Note,
        object: key.to_owned(),
        line: None,
        reason: match &known.until {
            Some(until) => {
                format!("in the trash of a run until {until}: until then an undo needs it")
            }
            None => "in the trash of a run".to_owned(),
        },
        hash: None,
    }
}

/// Whether a key looks like that of a NAR.
fn is_nar(key: &str) -> bool {
    key.starts_with("nar/") || key.ends_with(".nar") || key.contains(".nar.")
}
