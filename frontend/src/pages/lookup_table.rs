//! The answers of a look-up: in a sentence, and path by path.

use leptos::prelude::*;
use snowbank_shared::api::{
    ContentStatus, LookupCache, LookupItem, PathRow, Presence, SignatureStatus, UpstreamAnswer,
};
use snowbank_shared::route::Route;
use snowbank_shared::table::{push_csv, push_markdown};

use crate::components::changing::changing;
use crate::components::chip::{Tone, chip, content_words, signature_words};
use crate::components::code::save;
use crate::components::copy::copy_button;
use crate::components::failure::failure_of;
use crate::components::icon::{Icon, icon};
use crate::components::skeleton::skeleton;
use crate::components::store_path::path_text;
use crate::format;
use crate::pages::lookup::{Looking, Said};
use crate::pages::paths_facets::moment;
use crate::state::navigation::href;

/// How a path stands, over all caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// A cache here serves it and its lines accept it.
    Here,
    /// A cache here has it, and a client that uses it fails.
    Refused,
    /// Only an upstream has it.
    Upstream,
    /// Nobody who was asked has it.
    Nowhere,
    /// Somebody could not be asked.
    Unknown,
}

/// Why a client that trusts the cache's keys does not get on with a path that is there.
fn refusal(row: &PathRow) -> Option<&'static str> {
    match row.content {
        ContentStatus::Verified | ContentStatus::NotChecked => {}
        broken => return Some(content_words(broken).2),
    }
    match row.signature {
        SignatureStatus::Valid | SignatureStatus::NotNeeded | SignatureStatus::ValidRetired => None,
        worse => Some(signature_words(worse).2),
    }
}

fn standing(item: &LookupItem) -> Standing {
    let rows = || item.caches.iter().filter_map(|cache| cache.paths.first());
    if rows().any(|row| refusal(row).is_none()) {
        return Standing::Here;
    }
    if rows().next().is_some() {
        return Standing::Refused;
    }
    let says = |presence: Presence| {
        item.upstreams
            .iter()
            .any(|answer| answer.presence == presence)
    };
    if says(Presence::Present) {
        Standing::Upstream
    } else if says(Presence::Unknown) || item.caches.iter().any(|cache| !cache.complete) {
        Standing::Unknown
    } else {
        Standing::Nowhere
    }
}

/// One path: what was asked, what was answered.
#[derive(Clone)]
struct Answer {
    item: LookupItem,
    said: Said,
    standing: Standing,
}

impl Answer {
    /// Its full path or as much as is known.
    fn path(&self) -> String {
        let found = self
            .item
            .caches
            .iter()
            .find_map(|cache| cache.paths.first());
        let name = || {
            let upstream = || {
                self.item
                    .upstreams
                    .iter()
                    .find_map(|answer| answer.name.clone())
            };
            self.said.name.clone().or_else(upstream)
        };
        match (found, name()) {
            (Some(row), _) => row.path.clone(),
            (None, Some(name)) => format!("{}-{name}", self.item.q),
            (None, None) => self.item.q.clone(),
        }
    }
}

/// What has been answered so far.
fn answers(looking: Looking) -> Vec<Answer> {
    let mut answers = Vec::new();
    for batch in looking.batches.get() {
        let Some(lookup) = batch.get() else { continue };
        answers.extend(lookup.items.iter().map(|item| {
            Answer {
                item: item.clone(),
                said: looking
                    .said
                    .with_value(|said| said.get(&item.q).cloned().unwrap_or_default()),
                standing: standing(item),
            }
        }));
    }
    answers
}

/// The answers, drawn.
pub fn results(looking: Looking) -> AnyView {
    let only_missing = RwSignal::new(false);
    let asked = move || looking.hashes.with(Vec::len);
    let failures = move || {
        let failed = looking.batches.get().into_iter();
        failed
            .filter(|batch| batch.error().is_some())
            .map(failure_of)
            .next()
    };
    let body = move || {
        let answers = answers(looking);
        if answers.is_empty() {
            let failed = looking
                .batches
                .get()
                .iter()
                .any(|batch| batch.error().is_some());
            return if failed {
                ().into_any()
            } else {
                skeleton(
                    4,
                    "Asking every cache, and the upstreams for what is missing…",
                )
            };
        }
        view! {
            <p class="state-sentence" id="lookup-summary" role="status">{summary(&answers, asked())}</p>
            {tools(&answers, only_missing)}
            {table(&answers, only_missing.get())}
        }
        .into_any()
    };
    view! {
        <section class="section" aria-label="Answers">
            {changing(failures)}
            {changing(body)}
        </section>
    }
    .into_any()
}

/// `37 of 41 can be had here; 4 would be built.`
fn summary(answers: &[Answer], asked: usize) -> String {
    let count = |standing: Standing| {
        answers
            .iter()
            .filter(|answer| answer.standing == standing)
            .count()
    };
    let mut parts = vec![format!(
        "{} of {} can be had here",
        format::count(count(Standing::Here) as u64),
        format::counted(answers.len() as u64, "path", "paths")
    )];
    for (standing, words) in [
        (
            Standing::Refused,
            "here, but a client would refuse or fail on",
        ),
        (Standing::Upstream, "only on an upstream"),
        (Standing::Nowhere, "not cached: a machine would build"),
        (Standing::Unknown, "unknown"),
    ] {
        let count = count(standing);
        if count > 0 {
            let it = match (standing, count) {
                (Standing::Refused | Standing::Nowhere, 1) => " it",
                (Standing::Refused | Standing::Nowhere, _) => " them",
                _ => "",
            };
            parts.push(format!("{} {words}{it}", format::count(count as u64)));
        }
    }
    let waiting = asked.saturating_sub(answers.len());
    if waiting > 0 {
        parts.push(format!(
            "{} still being asked",
            format::count(waiting as u64)
        ));
    }
    format!("{}.", parts.join("; "))
}

fn tools(answers: &[Answer], only_missing: RwSignal<bool>) -> AnyView {
    let missing: Vec<String> = answers
        .iter()
        .filter(|answer| answer.standing != Standing::Here)
        .map(Answer::path)
        .collect();
    let some_missing = !missing.is_empty();
    let csv = as_csv(answers);
    let markdown = (answers.len() <= 200).then(|| {
        let markdown = as_markdown(answers);
        copy_button("Copy as a Markdown table", true, move || markdown.clone())
    });
    let name = format!(
        "lookup-{}.csv",
        moment(crate::components::ago::now()).replace(':', "")
    );
    view! {
        <div class="lookup-tools">
            <label class="choice">
                <input
                    type="checkbox"
                    prop:checked=move || only_missing.get()
                    on:change=move |_| only_missing.update(|only| *only = !*only)
                />
                "Only what cannot be had here"
            </label>
            <span class="page-actions">
                {some_missing
                    .then(|| {
                        view! {
                            <span class="copyable">
                                "Missing ones " {copy_button("Copy the missing paths", true, move || missing.join("\n"))}
                            </span>
                        }
                    })} {markdown.map(|button| view! { <span class="copyable">"Markdown " {button}</span> })}
                <button type="button" class="button" on:click=move |_| save(csv.as_bytes(), &name)>
                    {icon(Icon::Download)}
                    "CSV"
                </button>
            </span>
        </div>
    }
    .into_any()
}

fn table(answers: &[Answer], only_missing: bool) -> AnyView {
    let Some(first) = answers.first() else {
        return ().into_any();
    };
    let heads = first
        .item
        .caches
        .iter()
        .map(|cache| view! { <th scope="col">{cache.cache.clone()}</th> })
        .collect_view();
    let asks_upstreams = answers
        .iter()
        .any(|answer| !answer.item.upstreams.is_empty());
    let upstream_head = asks_upstreams.then(|| view! { <th scope="col">"Upstream"</th> });
    let rows = answers
        .iter()
        .filter(|answer| !only_missing || answer.standing != Standing::Here)
        .map(|answer| row(answer, asks_upstreams))
        .collect_view();
    view! {
        <div class="table-wrap">
            <table class="table is-roomy" id="lookup-table">
                <caption class="visually-hidden">"Which cache has which path"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Path"</th>
                        {heads}
                        {upstream_head}
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn row(answer: &Answer, asks_upstreams: bool) -> AnyView {
    let item = &answer.item;
    let cells = item.caches.iter().map(cell).collect_view();
    let upstream = asks_upstreams.then(|| {
        let answers = item.upstreams.iter().map(upstream_chip).collect_view();
        view! { <td data-label="Upstream" class="wrap">{answers}</td> }
    });
    let path = answer.path();
    let shown = if path.contains('-') {
        path_text(&path)
    } else {
        view! { <code class="break">{path}</code> }.into_any()
    };
    let built = answer.said.to_build.then(|| {
        view! { <span class="muted">" will be built, says the text"</span> }
    });
    let problem = item
        .problem
        .clone()
        .map(|problem| view! { <span class="is-bad">" " {problem}</span> });
    view! {
        <tr>
            <th scope="row" class="grow">{shown} {built} {problem}</th>
            {cells}
            {upstream}
        </tr>
    }
    .into_any()
}

fn cell(cache: &LookupCache) -> AnyView {
    let shown = match cache.paths.first() {
        Some(row) => {
            let link = href(&Route::path(&cache.cache, &row.hash));
            let shown = match refusal(row) {
                None => chip((Tone::Ok, Icon::Tick, "here", "It is there, and the cache's lines in nix.conf accept it.")),
                Some(why) => view! {
                    {chip((Tone::Warn, Icon::Warning, "here, but", "A machine that trusts only this cache's keys refuses it, or fails on it."))}
                    {why}
                }
                .into_any(),
            };
            view! {
                <a class="plain-link" href=link>
                    {shown}
                </a>
            }
            .into_any()
        }
        None if cache.complete => chip((
            Tone::Note,
            Icon::Dash,
            "not here",
            "It has no narinfo of this hash.",
        )),
        None => chip((
            Tone::Unknown,
            Icon::Help,
            "not found yet",
            "The first index is still being built.",
        )),
    };
    view! {
        <td data-label=cache.cache.clone()>{shown}</td>
    }
    .into_any()
}

/// The host of an upstream, or all of it where it has no usual form.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or(rest)
}

/// What an upstream says, in one chip and its host.
pub fn upstream_chip(answer: &UpstreamAnswer) -> AnyView {
    let (tone, picture, word) = match answer.presence {
        Presence::Present => (Tone::Ok, Icon::Tick, "yes"),
        Presence::Absent => (Tone::Note, Icon::Dash, "no"),
        Presence::Unknown => (Tone::Unknown, Icon::Help, "unknown"),
    };
    let reason = answer.reason.clone().map(|reason| {
        view! { <span class="muted">" " {format::sentence(&reason)}</span> }
    });
    view! {
        <span class="upstream">
            {host(&answer.url).to_owned()}
            ": "
            {chip((tone, picture, word, ""))}
            {reason}
        </span>
    }
    .into_any()
}

/// In a word, for files.
fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Here => "here",
        Standing::Refused => "refused",
        Standing::Upstream => "upstream",
        Standing::Nowhere => "not cached",
        Standing::Unknown => "unknown",
    }
}

/// The caches that have a path, with spaces between.
fn holders(answer: &Answer) -> String {
    let here = answer
        .item
        .caches
        .iter()
        .filter(|cache| !cache.paths.is_empty());
    here.map(|cache| cache.cache.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

fn as_csv(answers: &[Answer]) -> String {
    let mut out = "path,standing,caches\r\n".to_owned();
    for answer in answers {
        for (at, text) in [&*answer.path(), word(answer.standing), &*holders(answer)]
            .into_iter()
            .enumerate()
        {
            if at > 0 {
                out.push(',');
            }
            push_csv(text, &mut out);
        }
        out.push_str("\r\n");
    }
    out
}

fn as_markdown(answers: &[Answer]) -> String {
    let mut out = "| path | standing | caches |\n| --- | --- | --- |\n".to_owned();
    for answer in answers {
        for text in [&*answer.path(), word(answer.standing), &*holders(answer)] {
            out.push_str("| ");
            push_markdown(text, &mut out);
            out.push(' ');
        }
        out.push_str("|\n");
    }
    out
}
