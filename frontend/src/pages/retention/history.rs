//! Plans that wait to be started, and the runs of a cache.

use leptos::prelude::*;
use snowbank_shared::api::retention::{Plan, RetentionHistory, Run, RunState};

use super::listed::weight_words;
use super::{gc_path, plan_address, run_route};
use crate::components::ago::ago;
use crate::components::changing::changing;
use crate::components::failure::failure_of;
use crate::components::layout::{section, table};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::state::navigation::href;
use crate::state::remote::Remote;

/// What a state of a run is called.
pub(super) const fn state_words(state: RunState) -> &'static str {
    match state {
        RunState::Waiting => "waits until every replica knows",
        RunState::Marking => "marks what is condemned",
        RunState::Trashing => "moves narinfos into the trash",
        RunState::Grace => "narinfos are in the trash, NARs are still there",
        RunState::Deleting => "deletes NARs",
        RunState::Done => "done",
        RunState::Stopped => "stopped",
        RunState::Undoing => "puts narinfos back",
        RunState::Undone => "undone",
    }
}

/// Both lists, where there is something in them.
pub(super) fn lists(cache: &str) -> AnyView {
    let path = gc_path(cache, "plans");
    let found = Remote::<RetentionHistory>::new(move || Some(path.clone()));
    let slug = cache.to_owned();
    let list = move || {
        let Some(found) = found.get() else {
            return found
                .is_waiting()
                .then(|| skeleton(3, "Asking for plans and runs…"));
        };
        if found.plans.is_empty() && found.runs.is_empty() {
            return None;
        }
        let plans = found.plans.iter().map(|found| plan(&slug, found));
        let runs = found.runs.iter().map(|found| run(&slug, found));
        let list = table(
            "Plans and runs",
            "table is-roomy",
            &[
                ("What", "grow", ""),
                ("State", "", ""),
                ("Frees", "number", "Bytes as stored"),
                ("By", "col-2", ""),
                ("When", "col-2", ""),
            ],
            plans.chain(runs).collect::<Vec<_>>(),
        );
        Some(section("Plans and runs", (), list))
    };
    view! { {failure_of(found)} {changing(list)} }.into_any()
}

fn plan(cache: &str, plan: &Plan) -> AnyView {
    view! {
        <tr>
            <td data-label="What" class="grow wide">
                <span class="cell-two">
                    <a href=plan_address(cache, &plan.id)>{format!("Plan {}", plan.id)}</a>
                    <small>{weight_words(plan.frees)}</small>
                </span>
            </td>
            <td data-label="State">"not started; expires " {ago(&plan.expires)}</td>
            <td data-label="Frees" class="number">{format::size(plan.frees.bytes)}</td>
            <td data-label="By" class="col-2 muted">{format::visible(&plan.by)}</td>
            <td data-label="When" class="col-2 muted">{ago(&plan.at)}</td>
        </tr>
    }
    .into_any()
}

fn run(cache: &str, run: &Run) -> AnyView {
    let undo = run
        .undo_until
        .as_ref()
        .map(|until| view! { <small>"can be undone until " {day(until)}</small> });
    view! {
        <tr>
            <td data-label="What" class="grow wide">
                <span class="cell-two">
                    <a href=href(&run_route(cache, &run.id))>{format!("Run {}", run.id)}</a>
                    {undo}
                </span>
            </td>
            <td data-label="State">{state_words(run.state)}</td>
            <td data-label="Frees" class="number">{format::size(run.predicted)}</td>
            <td data-label="By" class="col-2 muted">{format::visible(&run.by)}</td>
            <td data-label="When" class="col-2 muted">{ago(&run.at)}</td>
        </tr>
    }
    .into_any()
}

/// The day of a moment: `2026-12-31`.
pub(super) fn day(moment: &str) -> String {
    moment.split('T').next().unwrap_or_default().to_owned()
}
