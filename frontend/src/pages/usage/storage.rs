//! How large the cache is: by class and day, stored and unpacked, what grows, and how it goes on.

use leptos::prelude::*;
use snowbank_shared::api::storage::{ClassSize, ObjectClass, SizeDay, Storage};

use super::Usage;
use super::costs::Pricing;
use super::figures::figures;
use super::steps::{by_day, days, marks};
use super::storage_facts::{codecs, facts_of, growers, shared};
use crate::api;
use crate::components::ago::ago;
use crate::components::banner::empty;
use crate::components::changing::changing;
use crate::components::failure::failure_of;
use crate::components::layout::{section, table};
use crate::components::plot::{Plot, Series, Shape, Span, Unit, day_of, plot};
use crate::components::size::size_or;
use crate::components::skeleton::skeleton;
use crate::format;
use crate::state::remote::Remote;

/// The classes in the order in which they are drawn, from the bottom up.
const CLASSES: [(ObjectClass, &str); 10] = [
    (ObjectClass::Nar, "NARs"),
    (ObjectClass::Narinfo, "Narinfos"),
    (ObjectClass::Listing, "Listings"),
    (ObjectClass::Log, "Logs"),
    (ObjectClass::Debuginfo, "Debug information"),
    (ObjectClass::Realisation, "Realisations"),
    (ObjectClass::State, "State of this server"),
    (ObjectClass::Other, "Other"),
    (ObjectClass::Unfinished, "Unfinished uploads"),
    (ObjectClass::OldVersions, "Old versions"),
];

/// Days that a forecast is drawn for.
const AHEAD: usize = 14;

pub(super) fn class_word(class: ObjectClass) -> &'static str {
    let mut all = CLASSES.into_iter();
    all.find(|(known, _)| *known == class)
        .map_or("Other", |(_, word)| word)
}

/// `/caches/{cache}/storage` for the time that is shown; tracked.
pub(super) fn storage_path(usage: Usage) -> String {
    usage.live.renewals.track();
    let span = by_day(usage.span.get());
    format!(
        "{}/storage?from={}&to={}",
        api::cache_path(&usage.cache.get_value()),
        day_of(span.from),
        day_of(span.end() - 1)
    )
}

/// Draws it.
pub(super) fn tab(usage: Usage) -> AnyView {
    let answer = Remote::<Storage>::new(move || Some(storage_path(usage)));
    let pricing = Pricing::new(usage, answer);
    let body = move || match answer.get() {
        None => answer
            .error()
            .is_none()
            .then(|| skeleton(8, "Adding up the objects…")),
        Some(answer) if answer.as_of.is_none() => Some(empty(
            "The bucket was not listed whole yet",
            view! {
                <p>
                    "Sizes count every object of the bucket, so they are known after its first whole listing. It runs by itself."
                </p>
            },
        )),
        Some(answer) => {
            let span = by_day(usage.span.get_untracked());
            Some(
                view! {
                    {summary(&answer)}
                    {charts(span, &answer)}
                    {classes(&answer)}
                    {codecs(&answer)}
                    {shared(&answer)}
                    {growers(&answer)}
                    {pricing.costs(&answer)}
                    {facts_of(&answer)}
                }
                .into_any(),
            )
        }
    };
    view! {
        <div class="usage-part" class:is-waiting=move || answer.is_waiting() && answer.is_there()>
            {failure_of(answer)} {pricing.form()} {changing(body)}
        </div>
    }
    .into_any()
}

fn summary(answer: &Storage) -> AnyView {
    let objects: u64 = answer
        .classes
        .iter()
        .filter_map(|class| class.objects)
        .sum();
    let nars = answer
        .codecs
        .iter()
        .map(|codec| codec.stored)
        .fold(0, u64::saturating_add);
    let ratio = format::ratio(answer.unpacked, nars);
    let goes_on = answer.forecast.as_ref().map_or_else(
        || ("—".to_owned(), "fewer than seven days are known".to_owned()),
        |forecast| {
            let (slow, fast) = (format::size(forecast.slow), format::size(forecast.fast));
            let pace = if slow == fast {
                format!("{slow} a day")
            } else {
                format!("{slow} to {fast} a day")
            };
            let quota = match (forecast.quota, &forecast.soonest, &forecast.latest) {
                (None, ..) => "no quota is set".to_owned(),
                (Some(quota), None, _) => {
                    format!("{} is not reached within ten years", format::size(quota))
                }
                (Some(quota), Some(soonest), latest) => format!(
                    "{} is reached between {soonest} and {}",
                    format::size(quota),
                    latest.as_deref().unwrap_or("ten years from now")
                ),
            };
            (pace, quota)
        },
    );
    figures(vec![
        (
            "Stored",
            format::size(answer.stored),
            format!(
                "{} in {}",
                format::exact_bytes(answer.stored),
                format::counted(objects, "object", "objects"),
            ),
        ),
        (
            "Unpacked",
            format::size(answer.unpacked),
            "of distinct NARs".to_owned(),
        ),
        (
            "Compression",
            ratio.unwrap_or_else(|| "—".to_owned()),
            "unpacked ÷ stored, over NARs".to_owned(),
        ),
        (
            "Deduplication",
            format::size(answer.saved),
            "saved, because paths share NARs".to_owned(),
        ),
        ("Growth", goes_on.0, goes_on.1),
    ])
}

fn bytes_of(day: &SizeDay, class: ObjectClass) -> Option<u64> {
    let mut all = day.classes.iter();
    all.find(|known| known.class == class)
        .and_then(|known| known.bytes)
}

const SOURCE: &str = "Source: whole listings of the bucket, one a day. A day without one is a gap.";

fn charts(span: Span, answer: &Storage) -> AnyView {
    let known = days(span, &answer.days);
    let measured: Vec<bool> = known.iter().map(Option::is_some).collect();
    let series = |name: &str, shape, pick: &dyn Fn(&SizeDay) -> Option<u64>| {
        let values = known.iter().map(|day| day.and_then(pick)).collect();
        Series::new(name, shape, Unit::Bytes, values)
    };
    // Classes that were empty all the time would be names without a line.
    let stored = CLASSES
        .into_iter()
        .map(|(class, word)| series(word, Shape::Stacked, &|day| bytes_of(day, class)))
        .filter(|series| {
            series
                .values
                .iter()
                .any(|value| value.is_some_and(|bytes| bytes > 0))
        })
        .collect();
    let plain = |id, title, definition, series| Plot {
        id,
        title,
        says: String::new(),
        span,
        measured: measured.clone(),
        series,
        limit: None,
        marks: marks(&answer.events),
        definition,
        source: SOURCE.to_owned(),
    };
    let mut by_class = plain(
        "stored",
        "Stored",
        "Bytes of every object of the bucket as billed, at the end of each day, by class: unfinished multipart uploads and old versions included where the bucket lets them be listed.",
        stored,
    );
    by_class.limit = answer
        .forecast
        .as_ref()
        .and_then(|forecast| forecast.quota)
        .map(|quota| (quota, format!("quota: {}", format::size(quota))));
    let unpacked = plain(
        "unpacked",
        "Unpacked",
        "The sum of NarSize of the distinct NARs that the narinfos name, at the end of each day.",
        vec![series("Unpacked", Shape::Line, &|day| Some(day.unpacked))],
    );
    let growth = growth(span, answer, &known, plain);
    view! {
        <div class="usage-charts">{[by_class, growth, unpacked].map(plot).into_iter().collect_view()}</div>
    }
    .into_any()
}

/// What came day by day, and what comes if it goes on like that.
fn growth(
    span: Span,
    answer: &Storage,
    known: &[Option<&SizeDay>],
    plain: impl Fn(&'static str, &'static str, &'static str, Vec<Series>) -> Plot,
) -> Plot {
    let mut added: Vec<Option<u64>> = known
        .iter()
        .map(|day| day.and_then(|day| day.added))
        .collect();
    let mut measured: Vec<bool> = added.iter().map(Option::is_some).collect();
    // Only where the range reaches to the last day that is known.
    let ahead = match (&answer.forecast, answer.days.last(), known.last()) {
        (Some(_), Some(newest), Some(Some(end))) if end.day == newest.day => AHEAD,
        _ => 0,
    };
    let mut all = Vec::new();
    let steps = span.steps + ahead;
    let expected = |pace: u64| {
        (0..steps)
            .map(|step| (step >= span.steps).then_some(pace))
            .collect::<Vec<_>>()
    };
    if let Some(forecast) = answer.forecast.as_ref().filter(|_| ahead > 0) {
        for (name, pace) in [
            ("Expected at most", forecast.fast),
            ("Expected at least", forecast.slow),
        ] {
            all.push(Series::new(
                name,
                Shape::Dashed,
                Unit::Bytes,
                expected(pace),
            ));
        }
    }
    added.resize(steps, None);
    measured.resize(steps, false);
    all.insert(0, Series::new("Added", Shape::Bars, Unit::Bytes, added));
    Plot {
        span: Span { steps, ..span },
        measured,
        ..plain(
            "growth",
            "Growth",
            "Bytes that came on each day. What is expected is a range: the slower and the faster quarter of the last 30 days, going on. It knows nothing of what is planned.",
            all,
        )
    }
}

/// The classes as they are now.
fn classes(answer: &Storage) -> AnyView {
    let row = |class: &ClassSize| {
        let (objects, why) = match (class.objects, &class.unknown) {
            (Some(objects), why) => (format::count(objects), why.clone()),
            (None, why) => ("not known".to_owned(), why.clone()),
        };
        let why = why.map(|why| view! { <small class="muted">{format::sentence(&why)}</small> });
        view! {
            <tr>
                <th scope="row" class="grow">
                    <span class="cell-two">{class_word(class.class)} {why}</span>
                </th>
                <td class="number" data-label="Objects">{objects}</td>
                <td class="number" data-label="Stored">{size_or(class.bytes, "not known")}</td>
            </tr>
        }
    };
    let rows = answer.classes.iter().map(row).collect_view();
    let columns = [
        ("Class", "grow", ""),
        ("Objects", "number", ""),
        ("Stored", "number", "Bytes as billed"),
    ];
    let as_of = answer.as_of.clone().map(|as_of| {
        view! { <p>"Every object of the bucket, listed " {ago(&as_of)}</p> }
    });
    section(
        "What it holds",
        as_of,
        table("Objects by class", "table", &columns, rows),
    )
}
