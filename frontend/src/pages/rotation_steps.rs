//! The steps of a rotation: each with what it does, when it was done, and what is in its way.

use leptos::prelude::*;
use snowbank_shared::api::rotation::{
    GoStep, InTheWay, KeyPlace, RotationState, RotationStep as Step, RotationStepState as StepState,
};
use snowbank_shared::api::signing::ContentRule;
use snowbank_shared::route::{Route, escape};

use crate::components::ago::ago;
use crate::components::button::{Readiness, Weight, button_when};
use crate::components::chip::{Tone, chip};
use crate::components::choice::check;
use crate::components::code::code_line;
use crate::components::field::{Field, select_field, text_field};
use crate::components::icon::Icon;
use crate::components::layout::{progress, section};
use crate::format;
use crate::pages::rotation::Rotating;
use crate::pages::signing::job_route;
use crate::state::navigation::{absolute, href};
use crate::state::sending::json;

/// The command that makes a machine forget what it remembers of narinfos.
const FORGET: &str =
    "sudo rm -f /root/.cache/nix/binary-cache-v*.sqlite* ~/.cache/nix/binary-cache-v*.sqlite*";

/// The steps.
pub fn steps(rotating: Rotating, state: &RotationState) -> AnyView {
    let over = state.next.is_none();
    let items = state
        .steps
        .iter()
        .map(|step| one(rotating, state, step))
        .collect::<Vec<_>>();
    let switched = state
        .steps
        .iter()
        .any(|step| step.step == Step::Switch && step.done_at.is_some());
    let abandon = (!over && !switched).then(|| {
        let go = move || {
            rotating.change(
                "rotation/abandon",
                Some("{}".to_owned()),
                "Given up: the old key alone signs again.",
            );
        };
        button_when(
            Weight::Plain,
            Some(Icon::Cross),
            "Give the rotation up",
            move || rotating.ready(),
            go,
        )
    });
    let title = if over {
        "The last rotation"
    } else {
        "Rotation"
    };
    let body = view! {
        <p>
            "From " <code class="break">{state.old.clone()}</code> " to "
            <code class="break">{state.new.clone()}</code>
            {format!(", whose secret is {}. Begun by {}.", state.place.text(), state.by)}
        </p>
        <ol class="rotation-steps">{items}</ol>
        {abandon}
    };
    section(title, (), body)
}

fn one(rotating: Rotating, state: &RotationState, step: &StepState) -> AnyView {
    let is_next = state.next == Some(step.step);
    let mark = match &step.done_at {
        Some(at) => view! {
            {chip((Tone::Ok, Icon::Tick, "Done", "This step is done"))} " " {ago(at)}
        }
        .into_any(),
        None if is_next => chip((Tone::Note, Icon::Next, "Next", "This step comes next")),
        None => chip((
            Tone::Unknown,
            Icon::Dash,
            "Later",
            "The steps before come first",
        )),
    };
    let words = words(rotating, state, step.step);
    let act = match (&step.done_at, step.step) {
        (None, Step::Create) | (Some(_), _) => None,
        (None, _) if state.next.is_none() => None,
        (None, _) => Some(act(rotating, state, step)),
    };
    let id = format!("step-{}", step.step.as_str());
    view! {
        <li id=id aria-current=is_next.then_some("step")>
            <h3>{step.step.title()}</h3>
            <p>{mark}</p>
            {words}
            {act}
        </li>
    }
    .into_any()
}

fn words(rotating: Rotating, state: &RotationState, step: Step) -> AnyView {
    let cache = rotating.cache.get_value();
    match step {
        Step::Create => view! {
            <p>"A key of a new name. Its secret never leaves where it is."</p>
        }
        .into_any(),
        Step::Distribute => {
            let connect = href(&Route::connect(cache.clone()));
            let file = |name: &str| absolute(&format!("/c/{}/{name}", escape(&cache)));
            view! {
                <p>
                    <a href=connect>"Connect"</a>
                    ", the flake, the module and these addresses carry both keys from then on, and what is published is signed by both."
                </p>
                {code_line("Addresses", format!("{}\n{}", file("keys.txt"), file("nix.conf")))}
                <p>
                    "Clients that trust the new key: not measured. A live check on the page Connect says it of one machine."
                </p>
            }
            .into_any()
        }
        Step::Resign => resign(&cache, state),
        Step::Overlap => {
            let until = state.overlap_until.as_ref().map(|until| {
                view! { <p>"Until " {ago(until)} " (" <code>{until.clone()}</code> ")."</p> }
            });
            let shortened = state.shortened.as_ref().map(|why| {
                view! { <p>{format!("Ended before its time: {why}")}</p> }
            });
            view! {
                <p>
                    "Machines remember a narinfo with its signatures for 30 days. One that drops the old key earlier could meet an answer that only the old key signed. Where all machines forget, there is nothing to wait for:"
                </p>
                {code_line("Command", FORGET)}
                {until}
                {shortened}
            }
            .into_any()
        }
        Step::Switch => view! {
            <p>"What is published from then on is signed by the new key alone. Clients still trust both."</p>
        }
        .into_any(),
        Step::Retire => view! {
            <p>
                "Clients are told to trust the new key alone. Signatures of the old one stay where they are. A path that only the old key signed would be refused, so it is in the way."
            </p>
            {in_the_way(&cache, state)}
        }
        .into_any(),
    }
}

/// The paths that only the old key signed.
fn in_the_way(cache: &str, state: &RotationState) -> Option<AnyView> {
    let coverage = &state.coverage;
    if coverage.only_old == 0 {
        return None;
    }
    let list = examples(cache, &coverage.examples);
    let more = coverage.only_old - coverage.examples.len() as u64;
    let more = (more > 0).then(|| view! { <li>{format!("and {} more", format::count(more))}</li> });
    Some(
        view! {
            <p>
                {format!(
                    "{} signed only by {}, {} unpacked:",
                    format::counted(coverage.only_old, "path", "paths"),
                    state.old,
                    format::size(coverage.only_old_bytes),
                )}
            </p>
            <ul class="plain-list only-old">{list} {more}</ul>
        }
        .into_any(),
    )
}

fn resign(cache: &str, state: &RotationState) -> AnyView {
    let coverage = &state.coverage;
    let words = format!(
        "{} of {} with a signature of {} have one of {} as well.",
        format::count(coverage.old.saturating_sub(coverage.only_old)),
        format::counted(coverage.old, "path", "paths"),
        state.old,
        state.new
    );
    let job = state.job.as_ref().map(|job| {
        let address = href(&job_route(cache, &job.id));
        view! {
            <p>
                <a href=address>"The job"</a>
                {format!(": {}, {} of {}", job.state.text(), format::count(job.looked_at), format::count(job.total))}
            </p>
        }
    });
    let offline = (state.place == KeyPlace::Offline).then(|| {
        let commands = format!(
            "curl -fsS --netrc '{}' > batch.json\n# on the machine with the key:\nsnowbank key sign batch.json --secret-key-file {}.secret --trusted-keys-file keys.txt --out signed.json\n# back here:\ncurl -fsS --netrc -H 'content-type: application/json' --data-binary @signed.json '{}'",
            absolute(&format!("/api/v1/caches/{}/batches?by={}", escape(cache), escape(&state.new))),
            state.new,
            absolute(&format!("/api/v1/caches/{}/batches/signed", escape(cache))),
        );
        view! {
            <p>"The machine judges each narinfo by the keys that you name there, and signs what it believes:"</p>
            {code_line("Commands", commands)}
        }
    });
    view! {
        <p>"Every path that the old key signed gets a signature of the new one. No other byte changes."</p>
        {progress(
            "Paths with both signatures",
            coverage.old.saturating_sub(coverage.only_old),
            coverage.old,
            words,
        )}
        {job}
        {offline}
    }
    .into_any()
}

fn act(rotating: Rotating, state: &RotationState, step: &StepState) -> AnyView {
    let which = step.step;
    let blocked = step.blocked.clone();
    let ready = move || match &blocked {
        Some(why) => Readiness::Refused(why.clone()),
        None => rotating.ready(),
    };
    let content = Field::new("Before a path is signed", "");
    content.value.set("verify".to_owned());
    let shorten = Field::new(
        "Why not wait",
        "Such as: every machine has forgotten. Empty: the full 30 days.",
    );
    let accept = RwSignal::new(false);
    let waiting = which == Step::Overlap && state.overlap_until.is_some();
    let (word, done) = match which {
        Step::Create => ("Create the key", ""),
        Step::Distribute => (
            "Distribute both keys",
            "Both keys are distributed, and both sign.",
        ),
        Step::Resign => (
            "Counter-sign",
            "The job has begun. It goes on without this page.",
        ),
        Step::Overlap if waiting => ("End the waiting", "The waiting time is over."),
        Step::Overlap => ("Begin the waiting time", "The waiting time has begun."),
        Step::Switch => ("Stop signing with it", "The old key signs no more."),
        Step::Retire => ("Retire it", "Clients are told to trust the new key alone."),
    };
    let go = move || {
        let why = shorten.value.get_untracked().trim().to_owned();
        if waiting && why.is_empty() {
            shorten
                .error
                .set(Some("Say why it is safe not to wait.".to_owned()));
            return;
        }
        let wish = GoStep {
            step: which,
            content: match content.value.get_untracked().as_str() {
                "accept" => ContentRule::AcceptSignature,
                _ => ContentRule::Verify,
            },
            shorten: (!why.is_empty()).then_some(why),
            accept: accept.get_untracked(),
        };
        rotating.change("rotation/step", json(&wish), done);
    };
    let more = match which {
        Step::Resign => Some(select_field(
            content,
            vec![
                (
                    "verify".to_owned(),
                    "Read the NAR and compare its NarHash".to_owned(),
                ),
                (
                    "accept".to_owned(),
                    "Accept the valid signature of the old key".to_owned(),
                ),
            ],
        )),
        Step::Overlap if waiting => Some(text_field(shorten, "text", "off")),
        Step::Switch if state.place == KeyPlace::Offline => Some(check(
            "Uploads are refused from then on",
            "The server has no key then that signs what is published. That is meant.",
            accept,
        )),
        _ => None,
    };
    view! {
        {more}
        <div class="page-actions">{button_when(Weight::Primary, None, word, ready, go)}</div>
    }
    .into_any()
}

/// Paths as a list of links.
pub fn examples(cache: &str, paths: &[InTheWay]) -> AnyView {
    let link = |path: &InTheWay| {
        let address = href(&Route::path(cache, path.hash.clone()));
        view! { <li><a href=address>{path.name.clone()}</a></li> }
    };
    paths.iter().map(link).collect_view().into_any()
}
