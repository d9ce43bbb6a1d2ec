//! Who finds what, how much is sent, how fast, and what fails.

use leptos::prelude::*;
use snowbank_shared::api::usage::{Usage as Answer, UsageCounts, UsageList, UsagePath};

use super::Usage;
use super::egress::{by_package, prices};
use super::figures::{figures, logs_until, not_measured, since, usage_path};
use super::steps::{counts, marks, permille, sources_words};
use crate::components::changing::changing;
use crate::components::failure::failure_of;
use crate::components::layout::{section, table};
use crate::components::plot::{Plot, Series, Shape, Span, Unit, plot};
use crate::components::size::size;
use crate::components::skeleton::skeleton;
use crate::components::store_path::{path_link, path_text};
use crate::format;
use crate::state::derived::effect;
use crate::state::remote::Remote;

/// Below this share of found narinfos somebody should look, in thousandths.
const WANTED: u64 = 750;

/// Draws it.
pub(super) fn tab(usage: Usage) -> AnyView {
    let path = move || usage_path(usage, "");
    let answer = Remote::<Answer>::new(move || Some(path()));
    effect(move || {
        if let Some(answer) = answer.get() {
            let mut sources = answer.sources.iter();
            usage
                .logs
                .set(sources.any(|source| source.connected && source.approximate));
        }
    });
    let body = move || match answer.get() {
        None => answer
            .error()
            .is_none()
            .then(|| skeleton(8, "Adding up the requests…")),
        Some(answer) => Some(match &answer.not_measured {
            Some(why) => not_measured(usage, why, &answer.sources),
            None => charts(usage.span.get_untracked(), &answer),
        }),
    };
    view! {
        <div class="usage-part" class:is-waiting=move || answer.is_waiting() && answer.is_there()>
            {failure_of(answer)}
            {changing(body)}
            {top(usage)}
        </div>
    }
    .into_any()
}

/// Everything together, in numbers.
fn summary(total: &UsageCounts) -> AnyView {
    let asked = total.hits + total.misses;
    let useful = total.hits + total.useful_misses;
    let share = |part, whole| {
        permille(part, whole).map_or_else(|| "—".to_owned(), |share| Unit::Permille.words(share))
    };
    figures(vec![
        (
            "Hit ratio",
            share(total.hits, asked),
            format!(
                "{} of {} found",
                format::count(total.hits),
                format::counted(asked, "narinfo", "narinfos")
            ),
        ),
        (
            "Useful hit ratio",
            share(total.hits, useful),
            format!(
                "without {} that upstreams answer",
                format::counted(
                    total.misses.saturating_sub(total.useful_misses),
                    "miss",
                    "misses"
                )
            ),
        ),
        (
            "Egress",
            format::size(total.nar_bytes),
            format!("in {}", format::counted(total.nar_requests, "NAR", "NARs")),
        ),
        (
            "Errors",
            format::count(total.client_errors + total.server_errors),
            format!(
                "{} of the server (5xx), {} of clients (4xx)",
                format::count(total.server_errors),
                format::count(total.client_errors)
            ),
        ),
    ])
}

fn charts(span: Span, answer: &Answer) -> AnyView {
    let steps = counts(span, answer);
    let source = sources_words(&answer.sources);
    let of = |pick: fn(&UsageCounts) -> Option<u64>| {
        steps
            .iter()
            .map(|counts| counts.as_ref().and_then(pick))
            .collect::<Vec<_>>()
    };
    let series = |name: &str, shape, unit, pick: fn(&UsageCounts) -> Option<u64>| {
        Series::new(name, shape, unit, of(pick))
    };
    let base = |id, title, definition| Plot {
        id,
        title,
        says: String::new(),
        span,
        measured: steps.iter().map(Option::is_some).collect(),
        series: Vec::new(),
        limit: None,
        marks: marks(&answer.events),
        definition,
        source: source.clone(),
    };
    let hits = Plot {
        limit: Some((WANTED, format!("wanted: {}", Unit::Permille.words(WANTED)))),
        series: vec![
            series("Hit ratio", Shape::Line, Unit::Permille, |counts| {
                permille(counts.hits, counts.hits + counts.misses)
            }),
            series("Useful", Shape::Line, Unit::Permille, |counts| {
                permille(counts.hits, counts.hits + counts.useful_misses)
            }),
            series("Found", Shape::Told, Unit::Count, |counts| {
                Some(counts.hits)
            }),
            series("Missing", Shape::Told, Unit::Count, |counts| {
                Some(counts.misses)
            }),
            series("Missing everywhere", Shape::Told, Unit::Count, |counts| {
                Some(counts.useful_misses)
            }),
        ],
        ..base(
            "hit-ratio",
            "Hit ratio",
            "Found ÷ (found + missing) over GET and HEAD of narinfos. Live checks, refusals (401, 403) and this dashboard are left out. The useful ratio leaves out the misses that an upstream of the cache answers. Without a request there is no ratio: —.",
        )
    };
    let egress = Plot {
        series: vec![
            series("Sent", Shape::Bars, Unit::Bytes, |counts| {
                Some(counts.nar_bytes)
            }),
            series("NARs", Shape::Told, Unit::Count, |counts| {
                Some(counts.nar_requests)
            }),
        ],
        ..base(
            "egress",
            "Egress",
            "Bytes of NARs as they were sent, compressed, broken transfers as far as they came.",
        )
    };
    let latency = Plot {
        series: vec![
            series("Narinfo p50", Shape::Line, Unit::Micros, |counts| {
                counts.narinfo_p50
            }),
            series("Narinfo p95", Shape::Line, Unit::Micros, |counts| {
                counts.narinfo_p95
            }),
            series("NAR p50", Shape::Line, Unit::Micros, |counts| {
                counts.nar_p50
            }),
            series("NAR p95", Shape::Line, Unit::Micros, |counts| {
                counts.nar_p95
            }),
        ],
        ..base(
            "latency",
            "Time to answer",
            "From the request to the answer of a narinfo, and to the first byte of a NAR, within the server. Half of them were faster than p50, 95 of 100 faster than p95.",
        )
    };
    let errors = Plot {
        series: vec![
            series("5xx", Shape::Bars, Unit::Count, |counts| {
                Some(counts.server_errors)
            }),
            series("4xx", Shape::Bars, Unit::Count, |counts| {
                Some(counts.client_errors)
            }),
        ],
        ..base(
            "errors",
            "Errors",
            "Answers of 5xx, and of 4xx that are neither a miss (404) nor a refusal (401, 403).",
        )
    };
    view! {
        {logs_until(&answer.sources)}
        {answer.total.as_ref().map(summary)}
        {since(span, &answer.sources)}
        <div class="usage-charts">{[hits, egress, latency, errors].map(plot).into_iter().collect_view()}</div>
        {never(answer)}
    }
    .into_any()
}

fn never(answer: &Answer) -> Option<AnyView> {
    let never = answer.never_fetched.as_ref()?;
    let words = format!(
        "{} ({}) were uploaded more than 30 days ago and never fetched since {}, when measuring began.",
        format::counted(never.paths, "path", "paths"),
        format::size(never.bytes),
        never.since.split('T').next().unwrap_or_default(),
    );
    Some(view! { <p class="usage-note" id="never-fetched">{words}</p> }.into_any())
}

/// What is fetched most.
fn top(usage: Usage) -> AnyView {
    let list = Remote::<UsageList<UsagePath>>::new(move || Some(usage_path(usage, "/paths")));
    let prices = prices(usage);
    let body = move || {
        let list = list.get()?;
        if list.not_measured.is_some() {
            return None;
        }
        if list.items.is_empty() {
            let words = "No NAR was fetched in this time.";
            return Some(view! { <p class="muted">{words}</p> }.into_any());
        }
        let cache = usage.cache.get_value();
        let rows = list
            .items
            .iter()
            .map(|path| {
                let name = match &path.name {
                    Some(name) => path_link(&cache, &path.hash, name),
                    None => path_text(&format!("{}-…", path.hash)),
                };
                let root = if path.root { "root of a closure" } else { "" };
                view! {
                    <tr>
                        <th scope="row" class="grow">{name}</th>
                        <td class="col-2 muted" data-label="Kind">{root}</td>
                        <td class="number" data-label="Fetches">{format::count(path.fetches)}</td>
                        <td class="number" data-label="Sent">{size(path.bytes)}</td>
                        <td class="number" data-label="Clients">{format::count(path.clients)}</td>
                    </tr>
                }
            })
            .collect_view();
        let columns = [
            ("Path", "grow", ""),
            ("Kind", "col-2", "Whether nothing here refers to it"),
            ("Fetches", "number", "How often its NAR was asked for"),
            ("Sent", "number", "Bytes of its NAR that were sent"),
            ("Clients", "number", "How many fetched it"),
        ];
        Some(table("Top paths", "table", &columns, rows))
    };
    let count = move || {
        let list = list.get()?;
        let shown = list.items.len() as u64;
        (shown > 0).then(|| {
            let all = format::counted(list.total, "path", "paths");
            view! { <p>{format!("{} of {all} that were fetched", format::count(shown))}</p> }
        })
    };
    let shown = move || {
        let there = list.get().is_some_and(|list| list.not_measured.is_none());
        (there || list.error().is_some()).then(|| {
            let body = view! {
                {failure_of(list)}
                {changing(body)}
            };
            let packages = move || by_package(&*list.get()?, prices);
            view! {
                {section("Top paths", changing(count), body)}
                {changing(packages)}
            }
            .into_any()
        })
    };
    changing(shown)
}
