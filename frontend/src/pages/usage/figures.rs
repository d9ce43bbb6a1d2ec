//! What the tabs share: the address of the figures, numbers side by side, and what stands in the
//! place of figures that nobody measured: why, and two ways to have them measured.

use leptos::prelude::*;
use snowbank_shared::api::usage::{UsageSource, UsageStep};
use snowbank_shared::route::{Route, escape};

use super::Usage;
use super::asked::{Asked, Range, Tab};
use crate::api;
use crate::components::ago::now;
use crate::components::banner::empty;
use crate::components::icon::{Icon, icon};
use crate::components::plot::{Span, clock, day_of, moment, moment_text};
use crate::format;
use crate::state::navigation::href;

/// The nearest time of the same length that some source knows of, seen from the one that is shown.
fn nearest(shown: Span, sources: &[UsageSource]) -> Option<(i64, i64)> {
    let width = shown.end() - shown.from;
    let read = |moment: &Option<String>| format::unix_seconds(moment.as_deref()?);
    sources
        .iter()
        .filter(|source| source.connected)
        .filter_map(|source| {
            let (first, last) = (read(&source.first)?, read(&source.last)?);
            if shown.end() <= first {
                Some((first, first + width))
            } else if shown.from >= last {
                Some((last - width, last))
            } else {
                None
            }
        })
        .min_by_key(|(from, _)| from.abs_diff(shown.from))
}

/// Since when there are figures, where that is within the time that is shown.
pub(super) fn since(shown: Span, sources: &[UsageSource]) -> Option<AnyView> {
    let first = sources
        .iter()
        .filter_map(|source| format::unix_seconds(source.first.as_deref()?))
        .min()?;
    (shown.from + shown.step <= first && first < shown.end()).then(|| {
        let words = format!(
            "Measured since {}. What was before is hatched: nobody counted.",
            moment_text(first)
        );
        view! { <p class="usage-note" id="measured-since">{words}</p> }.into_any()
    })
}

/// Until when access logs tell, where they do: their figures are best effort and late.
pub(super) fn logs_until(sources: &[UsageSource]) -> Option<AnyView> {
    let logs = sources
        .iter()
        .find(|source| source.connected && source.approximate)?;
    let words = match logs.last.as_deref().and_then(format::unix_seconds) {
        Some(last) if day_of(last) == day_of(now()) => {
            format!("≈, logs until {} UTC", clock(last))
        }
        Some(last) => format!("≈, logs until {}", moment_text(last)),
        None => "≈, logs have told nothing yet".to_owned(),
    };
    let title = "Access logs come late, and some requests may be missing in them.";
    Some(view! { <p id="logs-until"><span class="chip" title=title>{icon(Icon::Info)} {words}</span></p> }.into_any())
}

/// Nobody measured this, for this reason. `sources`: who may know of another time.
pub(super) fn not_measured(usage: Usage, why: &str, sources: &[UsageSource]) -> AnyView {
    let shown = usage.span.get_untracked();
    let near = nearest(shown, sources).map(|(from, to)| {
        let asked = Asked {
            range: Range::Between(from, to),
            at: None,
            ..usage.asked.get_untracked()
        };
        let address = href(&asked.of(&usage.cache.get_value()));
        let words = format!("{} to {}", moment_text(from), moment_text(to));
        view! { <p>"The nearest figures: " <a href=address>{words}</a></p> }
    });
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
            {near}
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
    let asked = usage.asked.get();
    let source = match asked.source {
        0 => String::new(),
        _ => format!("&source={}", asked.source()),
    };
    let step = if span.step < 86_400 {
        UsageStep::Hour
    } else {
        UsageStep::Day
    };
    format!(
        "{}/usage{part}?from={}&to={}&step={}{source}",
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

#[cfg(test)]
mod tests {
    use super::*;
    use snowbank_shared::api::usage::UsageOrigin;

    #[test]
    fn the_nearest_figures_are_before_or_after_and_as_long() {
        let source = |first: &str, last: &str, connected| UsageSource {
            source: UsageOrigin::Own,
            connected,
            first: Some(first.to_owned()),
            last: Some(last.to_owned()),
            lag_seconds: None,
            gaps: Vec::new(),
            approximate: false,
            note: None,
        };
        let sources = [
            source("2026-11-20T00:00:00Z", "2026-11-23T00:00:00Z", true),
            source("2000-01-01T00:00:00Z", "2000-01-02T00:00:00Z", false),
        ];
        let at = |text: &str, steps| Span {
            from: format::unix_seconds(text).unwrap_or_default(),
            step: 3600,
            steps,
        };
        let near = |span| nearest(span, &sources).map(|(from, to)| (moment(from), to - from));
        let day = 86_400;
        assert_eq!(
            near(at("2026-11-01T00:00:00Z", 24)),
            Some(("2026-11-20T00:00:00Z".to_owned(), day))
        );
        assert_eq!(
            near(at("2026-11-25T00:00:00Z", 24)),
            Some(("2026-11-22T00:00:00Z".to_owned(), day))
        );
        assert_eq!(near(at("2026-11-21T00:00:00Z", 24)), None);
        assert_eq!(nearest(at("2026-11-21T00:00:00Z", 24), &[]), None);
    }
}
