//! What is wrong in the bucket: each check with its count, each finding with the
//! object, the line and the reason.

use leptos::prelude::*;
use snowbank_shared::api::repair::Affected;
use snowbank_shared::api::{CheckCount, Finding, Health, Severity};
use snowbank_shared::route::Route;

use crate::api;
use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::changing::changing;
use crate::components::chart::sparkline;
use crate::components::chip::severity_chip;
use crate::components::copy::copy_button;
use crate::components::export_menu::{Exported, export_menu};
use crate::components::failure::failure_of;
use crate::components::icon::{Icon, icon};
use crate::components::index_line::{index_banner, index_line};
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::pages::cache::absent_or_failed;
use crate::pages::health_proof;
use crate::pages::health_repair::{self, Repairing};
use crate::pages::health_words;
use crate::state::derived::effect;
use crate::state::live::{LiveCache, live_cache};
use crate::state::navigation::{href, navigation};
use crate::state::remote::Remote;

/// The page.
pub fn page(slug: &str) -> AnyView {
    let live = live_cache();
    let navigation = navigation();
    let cache = slug.to_owned();
    page_title(move || format!("Health – {cache}"));
    let check = Memo::new(
        move |before: Option<&Option<String>>| match navigation.route() {
            Some(Route::Health { check, .. }) => check,
            // On the way to another page.
            _ => before.cloned().flatten(),
        },
    );
    let cursor = RwSignal::new(None::<String>);
    // Another check begins at its first page.
    effect(move || {
        check.track();
        cursor.set(None);
    });
    let cache = slug.to_owned();
    let path = move || api::health_path(&cache, check.get().as_deref(), cursor.get().as_deref());
    let source = path.clone();
    let exporting = slug.to_owned();
    let health = Remote::<Health>::new(move || {
        live.renewals.track();
        Some(source())
    });
    let repairing = Repairing::new(slug, health);
    effect(move || {
        check.track();
        repairing.forget();
    });
    let body = move || match health.get() {
        None if health.error().is_none() => skeleton(8, "Reading the findings…"),
        None => ().into_any(),
        Some(found) => {
            let nothing = found.total == 0 && check.get().is_none();
            if nothing {
                view! { {nothing_found(live, &found)} {health_proof::card(found.verification.as_ref())} }.into_any()
            } else {
                view! {
                    {checks(live, &found, check)}
                    {trend(live, &found)}
                    {check.get().map(|check| explanation(&check))}
                    {check.get().and_then(|check| health_proof::elsewhere(&check, &found))}
                    {check.get().and_then(|check| health_repair::repair(repairing, &check))}
                    <div class:is-waiting=move || health.is_waiting()>{findings(live, &found)} {foot(&found, cursor)}</div>
                    {health_proof::card(found.verification.as_ref())}
                }
                .into_any()
            }
        }
    };
    let exported = move || {
        Some(Exported {
            path: api::health_path(&exporting, check.get().as_deref(), None),
            columns: String::new(),
            rows: health.get()?.total,
        })
    };
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Health")} <div class="page-actions">{export_menu(exported)} {api_button(path)}</div>
                </div>
                <p class="state-sentence">{changing(move || health.get().map(|health| sentence(&health, live)))}</p>
                {index_line(live)}
            </div>
            {index_banner(live)}
            {absent_or_failed(live)}
            {failure_of(health)}
            {repairing.sending.notice()}
            {changing(body)}
        </div>
    }
    .into_any()
}

fn sentence(health: &Health, live: LiveCache) -> String {
    let count = |severity: Severity| -> u64 {
        health
            .checks
            .iter()
            .filter(|check| check.severity == severity)
            .map(|check| check.count)
            .sum()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let about = if live.is_partial() { "So far " } else { "" };
    match (errors, warnings) {
        (0, 0) if live.is_partial() => "Nothing found so far.".to_owned(),
        (0, 0) => "Nothing is wrong with the narinfos of this bucket.".to_owned(),
        (0, warnings) => format!(
            "{about}{} to look at. No client fails on them.",
            format::counted(warnings, "warning", "warnings")
        ),
        (errors, 0) => format!(
            "{about}{} that clients fail on.",
            format::counted(errors, "error", "errors")
        ),
        (errors, warnings) => format!(
            "{about}{} that clients fail on, {} to look at.",
            format::counted(errors, "error", "errors"),
            format::counted(warnings, "warning", "warnings")
        ),
    }
}

fn nothing_found(live: LiveCache, health: &Health) -> AnyView {
    let paths = live.cache.get().map_or(0, |cache| cache.paths);
    let when = match &health.as_of {
        Some(time) => view! { {format::counted(paths, "narinfo was", "narinfos were")} " read " {ago(time)} "." }.into_any(),
        None => view! { "The first sweep is not complete yet." }.into_any(),
    };
    let counted = health.counted.as_ref().map(|counted| {
        let objects = format::counted(counted.objects, "object", "objects");
        view! { <p>"The whole bucket, " {objects} ", was counted " {ago(&counted.at)} "."</p> }
    });
    view! {
        <section class="empty">
            <h2>{if health.as_of.is_some() { "No problems found" } else { "Not known yet" }}</h2>
            <p>{when}</p>
            {counted}
        </section>
    }
    .into_any()
}

fn checks(live: LiveCache, health: &Health, chosen: Memo<Option<String>>) -> AnyView {
    let link = move |check: Option<&CheckCount>| {
        let name = check.map(|check| check.check.clone());
        let route = Route::Health {
            cache: live.slug(),
            check: name.clone(),
        };
        let here = chosen.get() == name;
        let all: Option<AnyView> = check.map(|check| severity_chip(check.severity));
        let word = name.unwrap_or_else(|| "all checks".to_owned());
        let count =
            check.map(|check| view! { <span class="count">{format::count(check.count)}</span> });
        view! {
            <li>
                <a href=href(&route) aria-current=here.then_some("true")>
                    <span class="mono">{word}</span>
                    {all}
                    {count}
                </a>
            </li>
        }
    };
    view! {
        <nav aria-label="Checks that found something">
            <ul class="checks">
                {link(None)} {health.checks.iter().map(|check| link(Some(check))).collect_view()}
            </ul>
        </nav>
    }
    .into_any()
}

/// How many findings there were lately, where that is known of several days.
fn trend(live: LiveCache, health: &Health) -> Option<AnyView> {
    let (first, last) = (health.days.first()?, health.days.last()?);
    if health.days.len() < 2 {
        return None;
    }
    let counts: Vec<u64> = health.days.iter().map(|day| day.count).collect();
    let words = format!(
        "{} on {}, {} on {}",
        format::counted(first.count, "finding", "findings"),
        first.day,
        format::count(last.count),
        last.day
    );
    let drawn = sparkline(&counts, words.clone());
    let made_up = move || {
        let until = live.cache.get()?.generated_until.clone()?;
        Some(
            view! { " The days until " {ago(&until)} " are made up: this server is a demonstration." },
        )
    };
    Some(
        view! {
            <p class="muted" id="trend">{drawn} " " {words} "." {changing(made_up)}</p>
        }
        .into_any(),
    )
}

/// What the chosen check means and what to do about its findings.
fn explanation(check: &str) -> AnyView {
    let (meaning, remedy) = health_words::of(check);
    view! {
        <div class="banner banner-info" id="check-meaning">
            {icon(Icon::Info)}
            <div class="banner-body">
                <p>{meaning}</p>
                <p><b>"What to do: "</b> {remedy}</p>
            </div>
        </div>
    }
    .into_any()
}

/// The reason; other paths that claim the same NAR are linked in it.
fn reason(live: LiveCache, finding: &Finding) -> AnyView {
    let words = format::sentence(&finding.reason);
    if finding.check != "url-disagreement" {
        return words.into_any();
    }
    let pieces = words.split_inclusive(' ').map(|word| {
        let base = word.trim_end_matches([' ', ',']);
        match hash_of(base) {
            None => word.to_owned().into_any(),
            Some(hash) => {
                let address = href(&Route::path(live.slug(), hash));
                let rest = word[base.len()..].to_owned();
                view! { <a class="break" href=address>{base.to_owned()}</a> {rest} }.into_any()
            }
        }
    });
    pieces.collect_view().into_any()
}

/// The hash part of `hash-name`.
fn hash_of(base: &str) -> Option<&str> {
    let (hash, name) = base.split_once('-')?;
    let fits = hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (fits && !name.is_empty()).then_some(hash)
}

fn finding(live: LiveCache, finding: &Finding, affected: &[Affected]) -> AnyView {
    let object = finding.object.clone();
    // Reasons of the parser begin with the line themselves.
    let place = finding
        .line
        .map(|line| format!("line {line}"))
        .filter(|place| !finding.reason.starts_with(place.as_str()));
    let affected = affected
        .iter()
        .find(|affected| finding.check == "nar-missing" && affected.object == finding.object)
        .map(|affected| health_repair::affected(live, affected));
    let open = finding.hash.clone().map(|hash| {
        view! { <a href=href(&Route::path(live.slug(), hash))>"open the path"</a> }
    });
    view! {
        <tr>
            <th scope="row" class="wrap finding">
                <span class="finding-reason">{reason(live, finding)}</span>
                <span class="finding-object">
                    <code class="break">{format::visible(&finding.object)}</code>
                    {place.map(|place| view! { <span class="muted nowrap">{place}</span> })}
                    {open}
                </span>
                {affected}
            </th>
            <td data-label="Check" class="mono">{finding.check.clone()}</td>
            <td data-label="Severity">{severity_chip(finding.severity)}</td>
            <td class="row-action">{copy_button("Copy the object's key", false, move || object.clone())}</td>
        </tr>
    }
    .into_any()
}

fn findings(live: LiveCache, health: &Health) -> AnyView {
    view! {
        <div class="table-wrap">
            <table class="table is-roomy" id="findings">
                <caption class="visually-hidden">"Findings, most severe first"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Finding"</th>
                        <th scope="col">"Check"</th>
                        <th scope="col">"Severity"</th>
                        <th scope="col">
                            <span class="visually-hidden">"Copy"</span>
                        </th>
                    </tr>
                </thead>
                <tbody>{health.items.iter().map(|item| finding(live, item, &health.affected)).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn foot(health: &Health, cursor: RwSignal<Option<String>>) -> AnyView {
    let shown = format::counted(health.items.len() as u64, "finding", "findings");
    let total = format::count(health.total);
    let first = cursor.get_untracked().is_some().then(|| {
        view! {
            <button type="button" class="button" on:click=move |_| cursor.set(None)>
                {icon(Icon::First)}
                "First page"
            </button>
        }
    });
    let next = health.next.clone().map(|next| {
        view! {
            <button type="button" class="button" on:click=move |_| cursor.set(Some(next.clone()))>
                "Next page"
                {icon(Icon::Next)}
            </button>
        }
    });
    view! {
        <div class="table-foot">
            <span>{shown} " of " {total}</span>
            <span class="page-actions">{first} {next}</span>
        </div>
    }
    .into_any()
}
