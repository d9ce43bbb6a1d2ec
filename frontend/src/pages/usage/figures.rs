//! What the tabs share: the address of the figures, numbers side by side, and what stands in the
//! place of figures that nobody measured: why, and two ways to have them measured.

use leptos::prelude::*;
use snowbank_shared::api::usage::UsageStep;
use snowbank_shared::route::{Route, escape};

use super::Usage;
use super::asked::{Asked, Tab};
use crate::api;
use crate::components::banner::empty;
use crate::components::plot::moment;
use crate::format;
use crate::state::navigation::href;

/// Nobody measured this, for this reason.
pub(super) fn not_measured(usage: Usage, why: &str) -> AnyView {
    let cache = usage.cache.get_value();
    let connect = href(&Route::connect(&*cache));
    let sources = Asked {
        tab: Tab::Sources,
        ..Asked::default()
    };
    let sources = href(&sources.of(&cache));
    empty(
        "Not measured",
        view! {
            <p>{format::sentence(why)} " Nothing is known, which is not the same as nothing."</p>
            <p>"Two ways to have it measured:"</p>
            <ol class="plain-steps">
                <li>
                    "Let machines fetch through this server. It counts what it serves. "
                    <a href=connect>"Connect a machine"</a>
                </li>
                <li>
                    "Let the bucket or its CDN write access logs, and this server read them. "
                    <a href=sources>"Set up access logs"</a>
                </li>
            </ol>
        },
    )
}

/// `/caches/{cache}/usage{part}` for the time that is shown; tracked.
pub(super) fn usage_path(usage: Usage, part: &str) -> String {
    usage.live.renewals.track();
    let span = usage.span.get();
    let step = if span.step < 86_400 {
        UsageStep::Hour
    } else {
        UsageStep::Day
    };
    format!(
        "{}/usage{part}?from={}&to={}&step={}",
        api::cache_path(&usage.cache.get_value()),
        escape(&moment(span.from)),
        escape(&moment(span.end())),
        step.as_str()
    )
}

/// Numbers side by side: what, how much, and what it is made of.
pub(super) fn figures(rows: Vec<(&'static str, String, String)>) -> AnyView {
    let rows = rows
        .into_iter()
        .map(|(name, value, made_of)| {
            view! {
                <div>
                    <dt>{name}</dt>
                    <dd>{value}</dd>
                    <dd>{made_of}</dd>
                </div>
            }
        })
        .collect_view();
    view! { <dl class="usage-figures">{rows}</dl> }.into_any()
}
