//! What a simulation found: figures, what is freed by package, what is at risk, what is left alone.

use leptos::prelude::*;
use snowbank_shared::api::retention::{PackageWeight, Simulation};

use super::listed::{group, weight_words};
use crate::components::ago::ago;
use crate::components::banner::{banner, empty};
use crate::components::chip::Tone;
use crate::components::size::size;
use crate::format;
use crate::pages::usage::money;

/// Units of a bar from left to right.
const WIDTH: u64 = 1000;

/// The result; with a second one, both side by side.
pub(super) fn of(cache: &str, found: &Simulation, second: Option<&Simulation>) -> AnyView {
    let nothing = nothing(found);
    let risk = risk(cache, found);
    let grace = (found.grace.all.paths > 0).then(|| {
        group(
            "gc-grace-paths",
            format!("Left alone: {}, newer than {}", weight_words(found.grace.all), hours(found.rules.grace_hours)),
            "Who uploads sends one path after the other: what is new may be needed by what is still to come. It is neither counted nor removed.",
            cache,
            &found.rules,
            &found.grace,
        )
    });
    let as_of = found.as_of.as_ref().map(|time| {
        view! { <p class="muted gc-as-of">"By the index as of " {ago(time)} "."</p> }
    });
    let figures = match second {
        None => figures(None, found),
        Some(second) => view! {
            {figures(Some("Scenario A"), found)}
            {figures(Some("Scenario B"), second)}
            <p id="gc-difference"><b>{difference(found, second)}</b></p>
        }
        .into_any(),
    };
    view! {
        {nothing}
        {figures}
        {packages(&found.packages)}
        {risk}
        {grace}
        {as_of}
    }
    .into_any()
}

/// Where rules decide about nothing, or about everything.
fn nothing(found: &Simulation) -> Option<AnyView> {
    if found.now.paths == 0 {
        return Some(empty(
            "0 paths",
            view! { <p>"There is nothing here that could be kept or removed."</p> },
        ));
    }
    if found.no_rules {
        return Some(empty(
            "Everything would be kept: add a rule",
            view! { <p>"Without a rule nothing is removed. Put one on at the side, and see here what it would mean."</p> },
        ));
    }
    let pins_alone = found.rules.pins.is_some()
        && found.rules.fetched_days.is_none()
        && found.rules.uploaded_days.is_none()
        && found.rules.names.is_empty();
    (found.pins == 0 && found.rules.pins.is_some()).then(|| {
        let words = match pins_alone {
            true => "So the rule about pins keeps nothing, and no other rule is on: everything that is not new would go.",
            false => "So the rule about pins keeps nothing: the other rules alone decide what stays.",
        };
        let tone = if pins_alone { Tone::Warn } else { Tone::Note };
        banner(tone, "Nothing is pinned", view! { <p>{words}</p> }, ())
    })
}

fn hours(hours: u32) -> String {
    format::counted(u64::from(hours), "hour", "hours")
}

/// “Frees 144 GiB (35 %): 14,216 of 41,220 paths would go.”
pub(super) fn sentence(found: &Simulation) -> String {
    if found.frees.paths == 0 {
        return "Nothing would go: every path is kept.".to_owned();
    }
    format!(
        "Frees {} ({}): {} of {} would go.",
        format::size(found.frees.bytes),
        format::percent(found.frees.bytes, found.now.bytes),
        format::count(found.frees.paths),
        format::counted(found.now.paths, "path", "paths"),
    )
}

fn difference(first: &Simulation, second: &Simulation) -> String {
    let (a, b) = (first.frees.bytes, second.frees.bytes);
    match a.cmp(&b) {
        std::cmp::Ordering::Equal => "Both free the same number of bytes.".to_owned(),
        std::cmp::Ordering::Less => {
            format!("Scenario B frees {} more than A.", format::size(b - a))
        }
        std::cmp::Ordering::Greater => {
            format!("Scenario B frees {} less than A.", format::size(a - b))
        }
    }
}

fn figures(title: Option<&'static str>, found: &Simulation) -> AnyView {
    let figure = |name: &'static str, value: AnyView, note: String| {
        view! {
            <div>
                <dt>{name}</dt>
                <dd>{value}</dd>
                <dd>{note}</dd>
            </div>
        }
    };
    let paths = |paths: u64| format::counted(paths, "path", "paths");
    let (cost, priced) = match (&found.currency, found.saves_monthly) {
        (Some(currency), Some(saved)) => (
            format!("−{} a month", money(currency, u128::from(saved))),
            "at your prices, once it is deleted",
        ),
        _ => ("—".to_owned(), "no prices are set"),
    };
    let title = title.map(|title| view! { <h2>{title}</h2> });
    view! {
        <div class="gc-figures">
            {title}
            <dl class="usage-figures">
                {figure("Now", size(found.now.bytes), paths(found.now.paths))}
                {figure("After", size(found.after.bytes), paths(found.after.paths))}
                {figure(
                    "Frees",
                    size(found.frees.bytes),
                    format!("{}, {}", format::percent(found.frees.bytes, found.now.bytes), paths(found.frees.paths)),
                )}
                {figure("Cost", cost.into_any(), priced.to_owned())}
            </dl>
        </div>
    }
    .into_any()
}

fn packages(packages: &[PackageWeight]) -> Option<AnyView> {
    let most = packages.iter().map(|package| package.bytes).max()?.max(1);
    let bars = packages
        .iter()
        .map(|package| {
            let width = u128::from(package.bytes) * u128::from(WIDTH) / u128::from(most);
            view! {
                <li>
                    <span class="gc-package">{format::visible(&package.name)}</span>
                    <svg class="gc-bar" viewBox="0 0 1000 8" preserveAspectRatio="none" aria-hidden="true">
                        <rect width=width.to_string() height="8" />
                    </svg>
                    <span class="gc-bar-size">{size(package.bytes)}</span>
                    <span class="muted">{format::counted(package.paths, "path", "paths")}</span>
                </li>
            }
        })
        .collect_view();
    Some(
        view! {
            <section class="section" aria-labelledby="gc-packages-title">
                <div class="section-head">
                    <h2 id="gc-packages-title">"Frees by package"</h2>
                    <p>"Bytes as stored; a NAR that several paths share counts once, and only if no path that stays has it"</p>
                </div>
                <ul class="gc-bars">{bars}</ul>
            </section>
        }
        .into_any(),
    )
}

fn risk(cache: &str, found: &Simulation) -> AnyView {
    let Some(risk) = &found.at_risk else {
        let words = "Whether clients fetched any of it in the last 30 days is not measured for that long yet. Until then judge by what is on the list.";
        return view! { <p class="muted" id="gc-risk">"At risk: " {words}</p> }.into_any();
    };
    if risk.all.paths == 0 {
        return view! { <p id="gc-risk">"At risk: none. No client fetched any of it in the last 30 days."</p> }
            .into_any();
    }
    group(
        "gc-risk",
        format!(
            "At risk: {} fetched in the last 30 days",
            weight_words(risk.all)
        ),
        "These would go although clients still ask for them. They would have to be built again, or fetched elsewhere.",
        cache,
        &found.rules,
        risk,
    )
}
