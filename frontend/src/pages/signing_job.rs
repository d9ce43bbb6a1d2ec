//! A job that adds or removes signatures: how far it is, what it left as it is, and stopping it.

use std::time::Duration;

use leptos::prelude::*;
use snowbank_shared::api::signing::{
    ContentRule, ControlJob, Job, JobAct, JobCommand, JobState, SIGNING_NEEDS,
};
use snowbank_shared::route::{Route, escape};

use crate::components::ago::ago;
use crate::components::banner::{alert, empty};
use crate::components::button::{Weight, button_when};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::failure::failure_of;
use crate::components::icon::Icon;
use crate::components::layout::{fact, facts, progress, section};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::pages::signing::{act_words, left_lines};
use crate::state::identity::identity;
use crate::state::navigation::href;
use crate::state::remote::Remote;
use crate::state::sending::{Sending, json};

/// How often a job that runs is asked for.
const EVERY: Duration = Duration::from_secs(1);

/// Asks again every second while the page is open and `goes_on` says so.
pub fn asked_again<T>(found: Remote<T>, goes_on: impl Fn(&T) -> bool + 'static)
where
    T: serde::de::DeserializeOwned + Send + Sync + 'static,
{
    let again = move || {
        if !found.try_waiting() && found.get_now().is_some_and(|value| goes_on(&value)) {
            found.reload();
        }
    };
    let timer = set_interval_with_handle(again, EVERY).ok();
    on_cleanup(move || {
        if let Some(timer) = timer {
            timer.clear();
        }
    });
}

/// A job.
pub fn shown(cache: &str, id: &str) -> AnyView {
    let path = format!("/caches/{}/jobs/{}", escape(cache), escape(id));
    let source = path.clone();
    let found = Remote::<Job>::new(move || Some(source.clone()));
    asked_again(found, |job: &Job| job.state == JobState::Running);
    let sending = Sending::new();
    let slug = StoredValue::new(cache.to_owned());
    let path = StoredValue::new(path);
    let body = move || match found.get() {
        None => found
            .is_waiting()
            .then(|| skeleton(5, "Asking for the job…")),
        Some(job) => Some(
            view! { {state(&slug.get_value(), &job)} {buttons(slug, path, found, sending, &job)} }
                .into_any(),
        ),
    };
    view! { {failure_of(found)} {sending.notice()} {changing(body)} }.into_any()
}

fn state(cache: &str, job: &Job) -> AnyView {
    let words = format!(
        "{} of {}",
        format::count(job.looked_at),
        format::counted(job.total, "path", "paths")
    );
    let trouble = job.trouble.as_ref().map(|why| {
        let words = view! { <p>{why.clone()}</p><p>"What was done stays. Resume it when this is mended."</p> };
        alert(Tone::Bad, "The job stands still", words, ())
    });
    let mut lines = vec![
        fact("Does", act_words(job)),
        fact("Which", job.selection.clone()),
        fact("State", view! { <b id="job-state">{job.state.text()}</b> }),
        fact(
            "Narinfos written",
            view! { <span id="job-changed">{format::count(job.changed)}</span> },
        ),
        fact("As wanted already", format::count(job.same)),
    ];
    if job.act == JobAct::CounterSign {
        let rule = match job.content {
            ContentRule::Verify => "each NAR is read and compared with its NarHash",
            ContentRule::AcceptSignature => "a valid signature by an active key is accepted",
        };
        lines.push(fact("Before signing", rule));
    }
    lines.extend(left_lines(&job.skipped));
    lines.push(fact(
        "Read again",
        format!(
            "{}: others changed them meanwhile",
            format::count(job.read_again)
        ),
    ));
    lines.push(fact(
        "Requests",
        format!(
            "{} GET, {} PUT",
            format::count(job.requests.get),
            format::count(job.requests.put)
        ),
    ));
    lines.push(fact("By", job.by.clone()));
    lines.push(fact("Began", ago(&job.at)));
    if let Some(ended) = &job.ended_at {
        lines.push(fact("Ended", ago(ended)));
    }
    if !job.reason.is_empty() {
        lines.push(fact("Why", job.reason.clone()));
    }
    let examples = (!job.examples.is_empty()).then(|| {
        let line = |path: &snowbank_shared::api::signing::SkippedBy| {
            let address = href(&Route::path(cache, path.hash.clone()));
            view! { <li><a href=address><code>{path.hash.clone()}</code></a>" "{path.reason.text()}</li> }
        };
        let list = job.examples.iter().map(line).collect_view();
        section("Left as they are", (), view! { <ul class="plain-list">{list}</ul> })
    });
    view! {
        {trouble}
        {progress("Paths looked at", job.looked_at, job.total, words)}
        {facts(lines)}
        {examples}
    }
    .into_any()
}

fn buttons(
    cache: StoredValue<String>,
    path: StoredValue<String>,
    found: Remote<Job>,
    sending: Sending,
    job: &Job,
) -> AnyView {
    if job.state == JobState::Done || job.state == JobState::Cancelled {
        return match job.total {
            0 => empty(
                "No path was meant",
                view! { <p>"The selection was empty when the job began."</p> },
            ),
            _ => ().into_any(),
        };
    }
    let told = move |word: &'static str, picture: Icon, weight: Weight, command: JobCommand| {
        let ready = move || {
            sending.readiness(identity().readiness(Some(&cache.get_value()), SIGNING_NEEDS))
        };
        let send = move || {
            let wish = json(&ControlJob { command });
            sending.send("POST", path.get_value(), wish, move |_| found.reload());
        };
        button_when(weight, Some(picture), word, ready, send)
    };
    let first = match job.state {
        JobState::Running => told("Pause", Icon::Dash, Weight::Plain, JobCommand::Pause),
        _ => told("Resume", Icon::Again, Weight::Primary, JobCommand::Resume),
    };
    view! {
        <div class="page-actions">
            {first} {told("Cancel the job", Icon::Cross, Weight::Plain, JobCommand::Cancel)}
        </div>
    }
    .into_any()
}
