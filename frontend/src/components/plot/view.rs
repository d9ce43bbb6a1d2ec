//! The chart in the page: drawn, read by pointer and arrow keys, as a table, and taken along.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, KeyboardEvent, MouseEvent};

use super::calendar::{moment_text, ticks};
use super::shape::{HIGH, Places, WIDE, names, paths, percent, runs};
use super::{Plot, Series, Shape, take};
use crate::components::announcer::announcer;
use crate::components::changing::changing;
use crate::components::code::save;
use crate::components::fresh_id;
use crate::components::icon::{Icon, icon};

/// Rows of the table at most; the CSV has all.
const MOST_ROWS: usize = 400;

/// Classes of the series, in turn.
const CLASSES: [&str; 8] = [
    "plot-1", "plot-2", "plot-3", "plot-4", "plot-5", "plot-6", "plot-7", "plot-8",
];

fn class(at: usize) -> &'static str {
    CLASSES[at % CLASSES.len()]
}

/// What the parts of a chart share. Copy it freely.
#[derive(Clone, Copy)]
struct Shown {
    plot: StoredValue<Plot>,
    places: StoredValue<Places>,
    /// Where the point is; nowhere until somebody asks.
    at: RwSignal<Option<usize>>,
    /// The table stands below.
    table: RwSignal<bool>,
}

/// Draws it.
pub fn plot(plot: Plot) -> AnyView {
    let places = Places::of(&plot);
    let shown = Shown {
        places: StoredValue::new(places),
        plot: StoredValue::new(plot),
        at: RwSignal::new(None),
        table: RwSignal::new(false),
    };
    shown.plot.with_value(|plot| drawn(shown, plot))
}

fn drawn(shown: Shown, plot: &Plot) -> AnyView {
    let title = fresh_id();
    let says =
        (!plot.says.is_empty()).then(|| view! { <p class="plot-says">{plot.says.clone()}</p> });
    let ends = format!(
        "{} to {}",
        moment_text(plot.span.from),
        moment_text(plot.span.end())
    );
    let twin = move || {
        let table = shown.table.get();
        table.then(|| shown.plot.with_value(twin))
    };
    view! {
        <figure class="plot" id=plot.id aria-labelledby=title>
            <div class="plot-head">
                <h2 id=title.clone()>{plot.title}</h2>
                {tools(shown, plot)}
            </div>
            {says}
            {area(shown, plot)}
            <p class="plot-reading">{changing(move || reading(shown))}</p>
            {changing(twin)}
            <details class="explain">
                <summary>"How is this measured?"</summary>
                <div>
                    <p>{plot.definition}</p>
                    <p>{plot.source.clone()}</p>
                    <p>{ends}</p>
                </div>
            </details>
        </figure>
    }
    .into_any()
}

/// Table, CSV, SVG.
fn tools(shown: Shown, plot: &Plot) -> AnyView {
    let (title, id) = (plot.title, plot.id);
    let take = move |kind: &'static str, write: fn(&Plot) -> String| {
        let click = move |_| {
            let text = shown.plot.with_value(write);
            save(
                text.as_bytes(),
                &format!("{id}.{}", kind.to_ascii_lowercase()),
            );
        };
        view! {
            <button type="button" class="quiet" aria-label=format!("{kind} of {title}") on:click=click>
                {icon(Icon::Download)}
                <span>{kind}</span>
            </button>
        }
        .into_any()
    };
    view! {
        <div class="plot-tools">
            <button
                type="button"
                class="quiet"
                aria-label=format!("Table of {title}")
                aria-pressed=move || shown.table.get().to_string()
                on:click=move |_| shown.table.update(|table| *table = !*table)
            >
                {icon(Icon::Paths)}
                <span>"Table"</span>
            </button>
            {take("CSV", take::csv)}
            {take("SVG", take::svg)}
        </div>
    }
    .into_any()
}

/// Moves the point by a key; true where the key was one of ours.
fn step_by_key(shown: Shown, key: &str) -> bool {
    let (steps, last) = shown.plot.with_value(|plot| (plot.span.steps, plot.last()));
    let Some(end) = steps.checked_sub(1) else {
        return false;
    };
    let now = shown.at.get_untracked();
    let next = match (key, now) {
        ("Home", _) => 0,
        ("End", _) => end,
        ("ArrowLeft" | "ArrowRight", None) => last.unwrap_or(end),
        ("ArrowLeft", Some(at)) => at.saturating_sub(1),
        ("ArrowRight", Some(at)) => (at + 1).min(end),
        _ => return false,
    };
    shown.at.set(Some(next));
    true
}

fn area(shown: Shown, plot: &Plot) -> AnyView {
    let announcer = announcer();
    let places = shown.places.get_value();
    let say = move || {
        if let Some(at) = shown.at.get_untracked() {
            let words = shown.plot.with_value(|plot| plot.reading(at));
            announcer.say(&words);
        }
    };
    let key = move |event: KeyboardEvent| {
        if event.ctrl_key() || event.alt_key() || event.meta_key() {
            return;
        }
        if step_by_key(shown, &event.key()) {
            event.prevent_default();
            say();
        }
    };
    let focused = move |_| {
        if shown.at.get_untracked().is_none() {
            let last = shown.plot.with_value(Plot::last);
            shown.at.set(last);
        }
        say();
    };
    let moved = move |event: MouseEvent| {
        let width = event
            .current_target()
            .and_then(|area| area.dyn_into::<Element>().ok())
            .map_or(0, |area| area.client_width());
        let (Ok(x), Ok(width)) = (u64::try_from(event.offset_x()), u64::try_from(width)) else {
            return;
        };
        let at = shown.places.with_value(|places| places.step_at(x, width));
        if at.is_some() && shown.at.get_untracked() != at {
            shown.at.set(at);
        }
    };
    let values = places
        .values
        .iter()
        .map(|&value| {
            let top = percent(places.height(value), HIGH);
            view! { <span style:top=top>{plot.unit().words(value)}</span> }
        })
        .collect_view();
    let times = ticks(plot.span)
        .into_iter()
        .filter_map(|(moment, words)| {
            let at = places.when(moment)?;
            // Beyond that a word would stand out at the right.
            (at <= WIDE * 96 / 100).then(|| {
                let left = percent(at, WIDE);
                view! { <span style:left=left>{words}</span> }
            })
        })
        .collect_view();
    let beside = names(plot, &places);
    let frame = if beside.is_empty() {
        "plot-frame"
    } else {
        "plot-frame plot-named"
    };
    let beside = beside
        .into_iter()
        .filter_map(|(at, height)| {
            let name = plot.series.get(at)?.name.clone();
            let top = percent(height, HIGH);
            Some(view! { <span class=class(at) style:top=top>{name}</span> })
        })
        .collect_view();
    let label = format!(
        "{}: chart with {} steps. The left and right arrow keys read them",
        plot.title, plot.span.steps
    );
    view! {
        <div class=frame>
            <div class="plot-values" aria-hidden="true">{values}</div>
            <div
                class="plot-area"
                role="application"
                aria-roledescription="chart"
                aria-label=label
                tabindex="0"
                on:keydown=key
                on:focus=focused
                on:mousemove=moved
            >
                {gaps(plot, &places)}
                {picture(plot, &places)}
                {limit(plot, &places)}
                {marks(plot, &places)}
                {changing(move || cursor(shown))}
            </div>
            <div class="plot-names" aria-hidden="true">{beside}</div>
            <div class="plot-times" aria-hidden="true">{times}</div>
        </div>
    }
    .into_any()
}

/// Lines of the axis, and the series.
fn picture(plot: &Plot, places: &Places) -> AnyView {
    let grid: String = places
        .values
        .iter()
        .map(|&value| format!("M0 {}H{WIDE}", places.height(value)))
        .collect();
    let series = paths(plot, places)
        .into_iter()
        .map(|(at, shape, path)| {
            let kind = match shape {
                Shape::Stacked | Shape::Bars => "plot-fill",
                Shape::Dashed => "plot-line plot-dashed",
                Shape::Line | Shape::Told => "plot-line",
            };
            view! { <path class=format!("{kind} {}", class(at)) d=path /> }
        })
        .collect_view();
    view! {
        <svg viewBox=format!("0 0 {WIDE} {HIGH}") preserveAspectRatio="none" aria-hidden="true">
            <path class="plot-grid" d=grid />
            {series}
        </svg>
    }
    .into_any()
}

/// Steps that nobody measured.
fn gaps(plot: &Plot, places: &Places) -> AnyView {
    runs(plot.span.steps, |step| plot.is_gap(step))
        .into_iter()
        .map(|(first, end)| {
            let left = places.left(first);
            let width = percent(places.left(end) - left, WIDE);
            view! { <i class="plot-gap" style:left=percent(left, WIDE) style:width=width></i> }
        })
        .collect_view()
        .into_any()
}

fn limit(plot: &Plot, places: &Places) -> Option<AnyView> {
    let (at, words) = plot.limit.as_ref()?;
    let top = percent(places.height(*at), HIGH);
    Some(
        view! {
            <i class="plot-limit" style:top=top>
                <span>{words.clone()}</span>
            </i>
        }
        .into_any(),
    )
}

fn marks(plot: &Plot, places: &Places) -> AnyView {
    plot.marks
        .iter()
        .filter_map(|mark| {
            let left = percent(places.when(mark.at)?, WIDE);
            Some(view! { <i class="plot-mark" style:left=left></i> })
        })
        .collect_view()
        .into_any()
}

/// Where the point is.
fn cursor(shown: Shown) -> Option<AnyView> {
    let at = shown.at.get()?;
    let places = shown.places.get_value();
    let left = percent(places.middle(at), WIDE);
    let dots = shown.plot.with_value(|plot| {
        plot.drawn()
            .filter(|(_, series)| matches!(series.shape, Shape::Line | Shape::Dashed))
            .filter_map(|(number, series)| {
                let top = percent(places.height(series.at(at)?), HIGH);
                let class = format!("plot-dot {}", class(number));
                Some(view! { <b class=class style:top=top></b> })
            })
            .collect_view()
    });
    Some(view! { <i class="plot-cursor" style:left=left>{dots}</i> }.into_any())
}

/// What stands below the drawing: the names with their colours, and the numbers at the point.
fn reading(shown: Shown) -> AnyView {
    let at = shown.at.get();
    shown.plot.with_value(|plot| {
        let step = at.or_else(|| plot.last());
        let when = match step {
            Some(step) => plot.when(step),
            None => "No step of this range was measured.".to_owned(),
        };
        let names = plot.series.iter().enumerate().map(|(number, series)| {
            let swatch = (series.shape != Shape::Told).then(|| {
                let kind = match series.shape {
                    Shape::Stacked | Shape::Bars => "plot-swatch",
                    Shape::Dashed => "plot-swatch plot-stroke plot-dashed",
                    Shape::Line | Shape::Told => "plot-swatch plot-stroke",
                };
                view! { <i class=format!("{kind} {}", class(number))></i> }
            });
            let number = step.map(|step| plot.number(series, step));
            view! { <span class="plot-name">{swatch} {series.name.clone()} " " <b>{number}</b></span> }
        });
        let marks = step
            .into_iter()
            .flat_map(|step| plot.marks_of(step))
            .map(|mark| view! { <span class="plot-event">{icon(Icon::Record)} {mark.words.clone()}</span> });
        view! {
            <span class="plot-when">{when}</span>
            {names.collect_view()}
            {marks.collect_view()}
        }
        .into_any()
    })
}

/// The same as a table, newest first.
fn twin(plot: &Plot) -> AnyView {
    let head = plot
        .series
        .iter()
        .map(|series| view! { <th scope="col" class="number">{series.name.clone()}</th> })
        .collect_view();
    let events = !plot.marks.is_empty();
    let rows = (0..plot.span.steps)
        .rev()
        .take(MOST_ROWS)
        .map(|step| row(plot, step, events))
        .collect_view();
    let cut = (plot.span.steps > MOST_ROWS).then(|| {
        let words = format!(
            "The newest {MOST_ROWS} of {} steps. The CSV has all.",
            plot.span.steps
        );
        view! { <p class="muted">{words}</p> }
    });
    view! {
        <div class="table-wrap">
            <table class="table">
                <caption class="visually-hidden">{plot.title} ": the same numbers"</caption>
                <thead>
                    <tr>
                        <th scope="col" class="grow">"When"</th>
                        {head}
                        {events.then(|| view! { <th scope="col">"Events"</th> })}
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        {cut}
    }
    .into_any()
}

fn row(plot: &Plot, step: usize, events: bool) -> AnyView {
    let cell = |series: &Series| {
        let exact = series.at(step).map(|value| series.unit.exact(value));
        view! {
            <td class="number" data-label=series.name.clone() title=exact>
                {plot.number(series, step)}
            </td>
        }
    };
    let cells = plot.series.iter().map(cell).collect_view();
    let marks = events.then(|| {
        let words: Vec<&str> = plot
            .marks_of(step)
            .map(|mark| mark.words.as_str())
            .collect();
        view! { <td class="wrap" data-label="Events">{words.join(". ")}</td> }
    });
    view! {
        <tr>
            <th scope="row" class="grow">{plot.when(step)}</th>
            {cells}
            {marks}
        </tr>
    }
    .into_any()
}
