//! `/c/{cache}/gc/runs/{id}`: how far a run is, what it left, stopping it, undoing it.

use leptos::prelude::*;
use snowbank_shared::api::retention::{Plan, Run, RunState};
use snowbank_shared::route::{AccessRoute, AuditQuery, Route, escape};

use super::history::{day, state_words};
use super::listed::left_out;
use super::{found_or, framed, gc_path, plan_address, readiness};
use crate::components::ago::{ago, now};
use crate::components::banner::{alert, banner};
use crate::components::button::{Readiness, Weight, button_when, link_button};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::dialog::{Confirm, confirm};
use crate::components::icon::Icon;
use crate::components::layout::{card, fact, facts, progress, section};
use crate::components::plot::day_of;
use crate::components::size::size;
use crate::format;
use crate::pages::signing_job::asked_again;
use crate::state::derived::memo;
use crate::state::navigation::href;
use crate::state::remote::Remote;
use crate::state::sending::Sending;

/// What the parts of the page share. Copy it freely.
#[derive(Clone, Copy)]
struct Running {
    cache: StoredValue<String>,
    /// The run's address below `/api/v1`.
    path: StoredValue<String>,
    run: Remote<Run>,
    sending: Sending,
    /// Whether it is asked if it is to be stopped.
    stopping: RwSignal<bool>,
    /// Whether it is asked if it is to be undone.
    undoing: RwSignal<bool>,
}

impl Running {
    /// Whether something can be done to it; tracked.
    fn readiness(self) -> Readiness {
        let cache = self.cache.get_value();
        readiness(None, &cache, self.sending)
    }

    fn tell(self, what: &'static str, done: &'static str) {
        let path = format!("{}/{what}", self.path.get_value());
        self.sending
            .send("POST", path, Some("{}".to_owned()), move |_| {
                self.sending.done.set(Some(done.to_owned()));
                self.run.reload();
            });
    }
}

/// The page.
pub(super) fn page(cache: &str, id: &str) -> AnyView {
    let path = gc_path(cache, &format!("runs/{}", escape(id)));
    let source = path.clone();
    let run = Remote::<Run>::new(move || Some(source.clone()));
    asked_again(run, |run: &Run| run.ended_at.is_none());
    let running = Running {
        cache: StoredValue::new(cache.to_owned()),
        path: StoredValue::new(path),
        run,
        sending: Sending::new(),
        stopping: RwSignal::new(false),
        undoing: RwSignal::new(false),
    };
    let sentence = move || Some(format::sentence(state_words(run.get()?.state)));
    let state = memo(move || run.get().map(|run| (run.state, run.undo_until.clone())));
    let absent = || {
        let words = view! { <p>"Runs of this cache are listed on the page of retention, and what they did is in the audit."</p> };
        banner(Tone::Warn, "There is no such run", words, ())
    };
    let found = found_or(run, "Asking for the run…", absent, move |found| {
        content(running, found)
    });
    // Apart from the counts, so that a question that is open stays open while they change.
    let acts = move || {
        let (state, undo_until) = state.get()?;
        Some(acts(running, state, undo_until))
    };
    let body = view! {
        {running.sending.notice()}
        {changing(acts)}
        {stop_question(running, Signal::derive(move || Some(state.get()?.0)))}
        {undo_question(running)}
        {found}
    }
    .into_any();
    framed(cache, "Run", changing(sentence), body)
}

/// What can be done to it, by its state. The questions are not part of it: they stay open while it changes.
fn acts(running: Running, state: RunState, undo_until: Option<String>) -> AnyView {
    let ready = move || running.readiness();
    let ask = |open: RwSignal<bool>| move || open.set(true);
    // What is being undone is put back: the server does not stop that.
    let stop = (state.acts() && state != RunState::Undoing).then(|| {
        let ask = ask(running.stopping);
        button_when(Weight::Plain, Some(Icon::Cross), "Stop…", ready, ask)
    });
    let undo = undo_until.map(|until| {
        let ask = ask(running.undoing);
        view! {
            {button_when(Weight::Plain, Some(Icon::Again), "Undo…", ready, ask)}
            <span class="muted" id="undo-until">{format!("until {}", day(&until))}</span>
        }
    });
    view! { <div class="page-actions gc-acts" id="run-acts">{stop} {undo}</div> }.into_any()
}

/// The question before what a run took out is put back.
fn undo_question(running: Running) -> AnyView {
    let asked = Confirm {
        title: "Undo the run",
        verb: "Put them back",
        typed: None,
    };
    let preview = || {
        view! {
            <p><b>"What is in the trash is put back, byte for byte, references first."</b></p>
            <p>"Where another narinfo lies by now, that one stays. What lacks its NAR or something that it refers to stays in the trash; it is listed below then, with why."</p>
            <p>"Clients are served the others again. Machines that asked meanwhile may believe for up to an hour that they are missing."</p>
        }
        .into_any()
    };
    let undo = move || running.tell("undo", "The paths are being put back.");
    confirm(asked, running.undoing, preview, undo)
}

/// The question before a run is stopped.
fn stop_question(running: Running, state: Signal<Option<RunState>>) -> AnyView {
    // Its days of grace say until when it can be undone; nobody asks before they are to be read.
    let plan = Remote::<Plan>::new(move || {
        let open = running.stopping.get();
        let run = running.run.get_now()?;
        let path = gc_path(
            &running.cache.get_value(),
            &format!("plans/{}", escape(&run.plan)),
        );
        open.then_some(path)
    });
    let asked = Confirm {
        title: "Stop the run",
        verb: "Stop it",
        typed: None,
    };
    let preview = move || {
        let stops = move || state.get().map(stop_words);
        let stays = move || match running.run.get() {
            Some(run) if run.state != RunState::Trashing && run.trashed == 0 => {
                "Nothing was taken out yet.".to_owned()
            }
            _ => stays_words(plan.get().map(|plan| plan.grace_days), now()),
        };
        view! {
            <p><b>{changing(stops)}</b></p>
            <p>{changing(stays)}</p>
            <p>"It does not go on afterwards: what is still to go needs a new plan."</p>
        }
        .into_any()
    };
    let stop = move || {
        running.tell(
            "stop",
            "Stopped. What it took out, if anything, stays in the trash and can be put back.",
        );
    };
    confirm(asked, running.stopping, preview, stop)
}

/// What is said of the paths that were left as they are.
fn left_words(run: &Run) -> String {
    let paths = format::counted(run.left_out_paths, "path", "paths");
    match run.state {
        RunState::Undoing | RunState::Undone => {
            format!("{paths} could not be put back:")
        }
        RunState::Stopped if run.trouble.is_some() => {
            format!("{paths} could not be put back, or stayed before:")
        }
        _ => format!(
            "{paths} of the plan stay, {} as stored, because they became needed or changed:",
            format::size(run.left_out_bytes)
        ),
    }
}

/// What stopping means in a state.
const fn stop_words(state: RunState) -> &'static str {
    match state {
        RunState::Deleting => {
            "No more NARs are deleted, once those in hand are gone. What was deleted is gone for good."
        }
        RunState::Waiting | RunState::Marking | RunState::Trashing => {
            "No more narinfos are taken out, once those in hand are in the trash. No NAR is deleted."
        }
        _ => "It is not under way any more: there is nothing to stop.",
    }
}

/// What becomes of the trash of a run that is stopped at `now`. As the server has it: its days of grace
/// count from then, and are one at least.
fn stays_words(grace_days: Option<u32>, now: i64) -> String {
    let until = match grace_days {
        Some(days) => {
            let last = now.saturating_add(i64::from(days.max(1)) * 86_400);
            format!("until {}", day_of(last))
        }
        None => "for the days of grace of its plan".to_owned(),
    };
    format!(
        "What is in the trash stays there, so clients go on getting 404 for it. It can be put back {until}, where its NAR is still there."
    )
}

/// What a run that stands still means.
const fn stands_words(state: RunState) -> &'static str {
    match state {
        RunState::Undoing => {
            "What is not back yet stays in the trash. It is tried again by itself, and goes on once this is mended."
        }
        RunState::Stopped => "What is in the trash stays there, with its NARs, until then.",
        _ => {
            "Nothing more is taken out or deleted meanwhile. It is tried again by itself, and goes on once this is mended. To put back what is in the trash, stop the run, then undo it."
        }
    }
}

fn content(running: Running, run: &Run) -> AnyView {
    let cache = running.cache.get_value();
    let trouble = run.trouble.as_ref().map(|why| {
        let words = view! { <p>{why.clone()}</p><p>{stands_words(run.state)}</p> };
        let title = match run.state {
            RunState::Stopped => "Not everything could be done",
            _ => "The run stands still",
        };
        alert(Tone::Bad, title, words, ())
    });
    // An undo is about what was taken out, not about the plan.
    let (of, total) = match run.state {
        RunState::Undoing | RunState::Undone => {
            ("Paths that were taken out", run.trashed + run.restored)
        }
        _ => ("Paths of the plan", run.total),
    };
    let words = format!(
        "{} of {}",
        format::count(run.looked_at),
        format::counted(total, "path", "paths")
    );
    let errors = (!run.errors.is_empty()).then(|| {
        let line = |group: &snowbank_shared::api::retention::ErrorGroup| {
            view! {
                <li>
                    <b>{format!("{}×", format::count(group.count))}</b> " "
                    {format::sentence(&group.words)} " For example "
                    <code class="break">{format::visible(&group.example)}</code>
                </li>
            }
        };
        let list = run.errors.iter().map(line).collect_view();
        section(
            "Errors",
            (),
            view! { <ul class="plain-list" id="run-errors">{list}</ul> },
        )
    });
    let left = (run.left_out_paths > 0).then(|| {
        let words = left_words(run);
        let body = view! {
            <p>{words}</p>
            {left_out(&cache, &run.left_out, run.left_out_paths)}
        };
        section("Left as they are", (), body)
    });
    view! {
        {trouble}
        {progress(of, run.looked_at.min(total), total, words)}
        <div class="summary">
            <div class="summary-main">{figures(run)} {errors} {left}</div>
            <div class="summary-side">{card("The run", (), about(&cache, run))}</div>
        </div>
    }
    .into_any()
}

fn figures(run: &Run) -> AnyView {
    let promised = match run.left_out_bytes {
        0 => "what the plan promised".to_owned(),
        left => format!("the plan, without {} that stay", format::size(left)),
    };
    let expected = run.predicted.saturating_sub(run.left_out_bytes);
    view! {
        <dl class="usage-figures">
            <div>
                <dt>"In the trash"</dt>
                <dd id="run-trashed">{format::count(run.trashed)}</dd>
                <dd>"narinfos: clients get 404 for them"</dd>
            </div>
            <div>
                <dt>"NARs deleted"</dt>
                <dd id="run-deleted">{format::count(run.deleted)}</dd>
                <dd>"after the grace time and a whole sweep"</dd>
            </div>
            <div>
                <dt>"Freed"</dt>
                <dd id="run-freed">{size(run.freed)}</dd>
                <dd>"so far"</dd>
            </div>
            <div>
                <dt>"Expected"</dt>
                <dd id="run-expected">{size(expected)}</dd>
                <dd>{promised}</dd>
            </div>
        </dl>
    }
    .into_any()
}

fn about(cache: &str, run: &Run) -> AnyView {
    let audit = href(&Route::Access(AccessRoute::Audit {
        cache: Some(cache.to_owned()),
        query: AuditQuery {
            object: run.id.clone(),
            ..AuditQuery::default()
        },
    }));
    let mut lines = vec![
        fact("Id", view! { <code class="break">{run.id.clone()}</code> }),
        fact(
            "State",
            view! { <b id="run-state">{state_words(run.state)}</b> },
        ),
        fact(
            "Plan",
            view! { <a class="cell-link mono" href=plan_address(cache, &run.plan)>{run.plan.clone()}</a> },
        ),
        fact("By", format::visible(&run.by)),
        fact("Began", ago(&run.at)),
    ];
    if let Some(ended) = &run.ended_at {
        lines.push(fact("Ended", ago(ended)));
    }
    if let Some(until) = &run.undo_until {
        lines.push(fact(
            "Can be undone",
            view! { "until " {day(until)} " (" {ago(until)} ")" },
        ));
    }
    view! {
        {facts(lines)}
        <p>{link_button(Weight::Plain, Some(Icon::Record), "Audit of this run", audit)}</p>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopping_says_until_when_the_trash_can_be_put_back() {
        // 2026-12-01T12:00:00Z
        let now = 1_796_126_400;
        assert!(stays_words(Some(30), now).contains("put back until 2026-12-31,"));
        // The server keeps it for a day where the plan has no days of grace.
        assert!(stays_words(Some(0), now).contains("put back until 2026-12-02,"));
        assert!(stays_words(None, now).contains("for the days of grace of its plan"));
        assert!(stop_words(RunState::Deleting).contains("gone for good"));
        assert!(stop_words(RunState::Trashing).ends_with("No NAR is deleted."));
        assert!(!stands_words(RunState::Undoing).contains("stop the run"));
    }
}
