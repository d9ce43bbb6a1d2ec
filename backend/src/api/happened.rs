//! What happened to a cache and may explain a bend in its charts.

use snowbank_shared::api::retention::RunState;
use snowbank_shared::api::usage::UsageEvent;

use crate::auth::records::spelled;
use crate::condemned::RunRecord;
use crate::ledger::Scope;
use crate::signing::RotationRecord;
use crate::site::Site;

/// Events that are told at most: the newest.
const MOST: usize = 100;

/// What happened between these moments, seconds since 1970, oldest first.
pub(super) fn happened(site: &Site, cache: &str, from: i64, to: i64) -> Vec<UsageEvent> {
    let mut events: Vec<(i64, String)> = Vec::new();
    if let Some(rotation) = RotationRecord::of(site, cache) {
        let name = |key: &str| key.split(':').next().unwrap_or_default().to_owned();
        let (old, new) = (name(&rotation.old), name(&rotation.new));
        let steps = [
            (Some(rotation.begun_at), format!("Rotation to {new} began")),
            (
                rotation.switched_at,
                format!("{new} signs instead of {old}"),
            ),
            (rotation.retired_at, format!("{old} was retired")),
            (rotation.abandoned_at, "Rotation given up".to_owned()),
        ];
        events.extend(
            steps
                .into_iter()
                .filter_map(|(at, words)| Some((at?, words))),
        );
    }
    let view = site.ledger.view();
    for run in view.list::<RunRecord>(Scope::Cache(cache)) {
        events.extend(of_run(&run));
    }
    events.retain(|(at, _)| (from..to).contains(at));
    events.sort();
    events.drain(..events.len().saturating_sub(MOST));
    let event = |(at, words): (i64, String)| UsageEvent {
        at: spelled(at),
        words,
    };
    events.into_iter().map(event).collect()
}

/// When a run of retention did something that a chart shows.
fn of_run(run: &RunRecord) -> impl Iterator<Item = (i64, String)> {
    let end = match run.state {
        RunState::Done => "deleted NARs",
        RunState::Undone => "was undone",
        _ => "was stopped",
    };
    let steps = [
        (Some(run.at), "began"),
        (run.trashed_at, "took paths out"),
        (run.ended_at, end),
    ];
    let said =
        |(at, words): (Option<i64>, &str)| Some((at?, format!("A run of retention {words}")));
    steps.into_iter().filter_map(said)
}
