//! Which time is shown: presets that end now, or two moments.

use leptos::prelude::*;

use super::Usage;
use super::asked::{PRESETS, Range, SOURCES, Tab};
use crate::components::ago::now;
use crate::components::button::{Weight, button};
use crate::components::changing::changing;
use crate::components::choice::segments;
use crate::components::field::{Field, text_field};
use crate::components::plot::{day_of, moment_text};
use crate::format;
use crate::state::derived::{effect, memo};

/// The words of the choice.
const WORDS: [&str; 5] = [
    PRESETS[0].1,
    PRESETS[1].1,
    PRESETS[2].1,
    PRESETS[3].1,
    "Other",
];

/// Whose figures: the words of the choice.
const WHOSE: [&str; 3] = [SOURCES[0].1, SOURCES[1].1, SOURCES[2].1];

/// Whose figures are shown, where there is more than one source.
fn whose(usage: Usage) -> AnyView {
    let is_choice = memo(move || {
        let asked = usage.asked.get();
        asked.tab != Tab::Storage && (usage.logs.get() || asked.source != 0)
    });
    let drawn = move || {
        is_choice.get().then(|| {
            let chosen = move || usage.asked.get().source;
            let choose = move |at: usize| usage.change(|asked| asked.source = at);
            segments("Counted by", &WHOSE, chosen, choose)
        })
    };
    changing(drawn)
}

/// The choice, and what it comes to. Sources have no range, and storage has one source.
pub(super) fn bar(usage: Usage) -> AnyView {
    let (from, to) = (
        Field::new("First day", "UTC"),
        Field::new("Last day", "UTC, included"),
    );
    // What is chosen is what is in the fields, until somebody types.
    effect(move || {
        let span = usage.span.get();
        from.value.set(day_of(span.from));
        to.value.set(day_of(span.end() - 1));
    });
    let open = RwSignal::new(false);
    let chosen = move || match usage.asked.get().range {
        _ if open.get() => PRESETS.len(),
        Range::Last(at) => at,
        Range::Between(..) => PRESETS.len(),
    };
    let choose = move |at: usize| {
        open.set(at >= PRESETS.len());
        if at < PRESETS.len() {
            usage.change(|asked| asked.range = Range::Last(at));
        }
    };
    let show = move || {
        if let Some((from, to)) = days(from, to) {
            open.set(false);
            usage.change(|asked| asked.range = Range::Between(from, to));
        }
    };
    let other = memo(move || chosen() == PRESETS.len());
    let custom = move || {
        other.get().then(|| {
            view! {
                <div class="usage-days">
                    {text_field(from, "date", "off")}
                    {text_field(to, "date", "off")}
                    {button(Weight::Plain, None, "Show these days", show)}
                </div>
            }
        })
    };
    let says = move || {
        let span = usage.span.get();
        let step = if span.step < 86_400 { "hour" } else { "day" };
        format!(
            "{} to {}, by the {step}",
            moment_text(span.from),
            moment_text(span.end())
        )
    };
    let timed = memo(move || usage.asked.get().tab != Tab::Sources);
    let drawn = move || {
        timed.get().then(|| {
            view! {
                <div class="usage-range">
                    {segments("Time", &WORDS, chosen, choose)}
                    {changing(custom)}
                    {whose(usage)}
                    <p class="muted" id="usage-span">{changing(says)}</p>
                </div>
            }
        })
    };
    changing(drawn)
}

/// From the first day's begin to the last one's end, as far as it is; says what is wrong beside the field.
fn days(from: Field, to: Field) -> Option<(i64, i64)> {
    let read = |field: Field| {
        let text = field.value.get_untracked();
        let moment = format::unix_seconds(&format!("{text}T00:00:00Z"));
        if moment.is_none() {
            field
                .error
                .set(Some("Give a day as 2026-11-23.".to_owned()));
        }
        moment
    };
    let (first, last) = (read(from)?, read(to)?);
    if last < first {
        to.error
            .set(Some("The last day is before the first.".to_owned()));
        return None;
    }
    if first > now() {
        from.error
            .set(Some("That day is still to come.".to_owned()));
        return None;
    }
    if last - first > 700 * 86_400 {
        to.error.set(Some("Choose at most 700 days.".to_owned()));
        return None;
    }
    Some((first, last + 86_400))
}
