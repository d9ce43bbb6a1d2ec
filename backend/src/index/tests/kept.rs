//! Findings from what earlier versions found are those that a look at every path finds.

use std::sync::Arc;

use proptest::prelude::*;
use snowbank_shared::api::{ContentStatus, SignatureStatus};

use super::model::Model;
use super::properties::{carry_out, steps, view};
use super::support::hash;
use crate::index::chunk::Mark;
use crate::index::findings::{Check, FindingIndex};
use crate::index::graph::Graph;
use crate::index::kept_findings::KeptFindings;
use crate::index::op::{Op, Touched};
use crate::index::view::View;

/// All findings of a view, found by looking at every path.
fn looked_at_all(view: &View) -> FindingIndex {
    let graph = &view.graph;
    let mut index = FindingIndex::default();
    let mut add = |check: Check, row: u32| index.rows.entry(check).or_default().push(row);
    for row in graph.all_live() {
        let mark = graph.mark(row);
        if mark.flags & Mark::CYCLE != 0 {
            add(Check::ReferenceCycle, row);
        }
        match mark.content {
            ContentStatus::NarMissing => add(Check::NarMissing, row),
            ContentStatus::SizeDiffers => add(Check::FileSizeMismatch, row),
            ContentStatus::Mismatch => add(Check::NarHashMismatch, row),
            ContentStatus::Verified | ContentStatus::NotChecked => {}
        }
        let judged = graph.judged(row);
        for status in [Some(judged.status), judged.problem].into_iter().flatten() {
            match status {
                SignatureStatus::Invalid => add(Check::InvalidSignature, row),
                SignatureStatus::Malformed => add(Check::MalformedSignature, row),
                SignatureStatus::NameClash => add(Check::KeyNameClash, row),
                SignatureStatus::ValidRevoked => add(Check::RevokedSignature, row),
                SignatureStatus::Unsigned => add(Check::Unsigned, row),
                SignatureStatus::Valid
                | SignatureStatus::NotNeeded
                | SignatureStatus::ValidRetired
                | SignatureStatus::UnknownKey => {}
            }
        }
        if graph
            .targets(row)
            .iter()
            .any(|&code| graph.resolve(code).is_none())
        {
            add(Check::ReferenceMissing, row);
        }
    }
    view.each_nar(|rows| {
        if view.disagree(rows) {
            for &row in rows {
                add(Check::UrlDisagreement, row);
            }
        }
    });
    for row in graph
        .all_live()
        .filter(|&row| graph.mark(row).flags & Mark::CRASHES != 0)
    {
        if let Some(reason) = graph.crash_reason(row) {
            index
                .withheld
                .entry(reason.check.to_string())
                .or_default()
                .push(row);
        }
    }
    index
}

/// Rows have no order that means anything.
fn sorted(mut index: FindingIndex) -> FindingIndex {
    for rows in index.rows.values_mut().chain(index.withheld.values_mut()) {
        rows.sort_unstable();
    }
    index
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn what_is_kept_is_what_a_look_at_every_path_finds(
        steps in steps(),
        contents in prop::collection::vec(prop::option::of((0..14u32, 0..5usize)), 50),
        asked in prop::collection::vec(any::<bool>(), 50),
    ) {
        let (mut graph, mut model) = (Graph::new("/nix/store"), Model::default());
        let kept = Arc::<KeptFindings>::default();
        let mut earlier = None;
        for ((step, content), asked) in steps.iter().zip(contents).zip(asked) {
            carry_out(step, &mut graph, &mut model);
            if let Some((number, word)) = content {
                let mut touched = Touched::default();
                let op = Op::Content(hash(number), ContentStatus::ALL[word]);
                op.apply_to(&mut graph, &mut touched);
                graph.settle(&touched);
            }
            if asked {
                let view = view(&graph).keeping(&kept);
                prop_assert_eq!(sorted(view.find_findings()), sorted(looked_at_all(&view)));
                // A reader may hold it while the next ones are made, or not.
                earlier = (graph.rows() % 2 == 0).then_some(view);
            }
            if let Some(earlier) = &earlier {
                prop_assert_eq!(sorted(earlier.find_findings()), sorted(looked_at_all(earlier)));
            }
        }
    }
}
