//! `/c/{cache}/gc/runs/{id}`: how far a run is, what it left, stopping it, undoing it.

use leptos::prelude::*;
use snowbank_shared::api::retention::{Run, RunState};
use snowbank_shared::route::{AccessRoute, AuditQuery, Route, escape};

use super::history::{day, state_words};
use super::listed::left_out;
use super::{found_or, framed, gc_path, plan_address, readiness};
use crate::components::ago::ago;
use crate::components::banner::{alert, banner};
use crate::components::button::{Weight, button_when, link_button};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::dialog::{Confirm, confirm};
use crate::components::icon::Icon;
use crate::components::layout::{card, fact, facts, progress, section};
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
}

impl Running {
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
        {found}
    }
    .into_any();
    framed(cache, "Run", changing(sentence), body)
}

fn acts(running: Running, state: RunState, undo_until: Option<String>) -> AnyView {
    let ready = move || {
        let cache = running.cache.get_value();
        readiness(None, &cache, running.sending)
    };
    let stop = state.acts().then(|| {
        let stop = move || running.tell("stop", "Stopped. What is in the trash can be put back.");
        button_when(Weight::Plain, Some(Icon::Cross), "Stop", ready, stop)
    });
    let undo = undo_until.map(|until| {
        let open = RwSignal::new(false);
        let asked = Confirm {
            title: "Undo the run",
            verb: "Put them back",
            typed: None,
        };
        let preview = || {
            view! {
                <p><b>"Every narinfo in the trash is put back, byte for byte, references first."</b></p>
                <p>"Clients are served these paths again. Machines that asked meanwhile may believe for up to an hour that they are missing."</p>
            }
            .into_any()
        };
        view! {
            {button_when(Weight::Plain, Some(Icon::Again), "Undo…", ready, move || open.set(true))}
            <span class="muted" id="undo-until">{format!("until {}", day(&until))}</span>
            {confirm(asked, open, preview, move || running.tell("undo", "The paths are being put back."))}
        }
    });
    view! { <div class="page-actions gc-acts" id="run-acts">{stop} {undo}</div> }.into_any()
}

fn content(running: Running, run: &Run) -> AnyView {
    let cache = running.cache.get_value();
    let trouble = run.trouble.as_ref().map(|why| {
        let words = view! { <p>{why.clone()}</p><p>"Nothing more is deleted until this is mended. What is in the trash can be put back."</p> };
        alert(Tone::Bad, "The run stands still", words, ())
    });
    let words = format!(
        "{} of {}",
        format::count(run.looked_at),
        format::counted(run.total, "path", "paths")
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
        let words = format!(
            "{} of the plan stay, {} as stored, because they became needed or changed:",
            format::counted(run.left_out_paths, "path", "paths"),
            format::size(run.left_out_bytes)
        );
        let body = view! {
            <p>{words}</p>
            {left_out(&cache, &run.left_out, run.left_out_paths)}
        };
        section("Left as they are", (), body)
    });
    view! {
        {trouble}
        {progress("Paths of the plan", run.looked_at, run.total, words)}
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
