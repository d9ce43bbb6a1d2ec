//! Counting the whole bucket: which NARs are there, how long they are, and
//! which no narinfo names.

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
        }
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
        if rows.is_empty() && is_nar(key) && last_modified < self.totals.began_at - GRACE {
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
        let still: std::collections::HashSet<&str> =
            self.orphans.iter().map(|(key, _)| &**key).collect();
        for (check, object) in now.notes.findings.keys() {
            if check == ORPHAN && !still.contains(&**object) {
                ops.push(Op::Settled(check.clone(), object.clone()));
            }
        }
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

/// Whether a key looks like that of a NAR.
fn is_nar(key: &str) -> bool {
    key.starts_with("nar/") || key.ends_with(".nar") || key.contains(".nar.")
}
