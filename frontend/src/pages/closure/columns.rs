//! Three columns, as nix-tree has them: what refers to the selected path, the
//! path among its siblings, what it refers to. `h` and `l` go up and down the
//! references, `j` and `k` along the siblings.

use leptos::prelude::*;
use web_sys::{KeyboardEvent, MouseEvent};

use super::explorer::{Explorer, Step, focused, hit, number, reveal};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::icon::Icon;
use crate::components::size::size;
use crate::components::store_path::path_text;
use crate::format;
use crate::state::derived::{effect, memo};

/// Paths of a column that are drawn.
const MOST: usize = 300;

/// A path in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its hash part.
    pub hash: String,
    /// Its name.
    pub name: String,
    /// False where the cache lacks it.
    pub present: bool,
    /// Its size of the kind that is shown, where known.
    pub bytes: Option<u64>,
}

/// What a column holds: nothing while it is asked for.
pub type Entries = Memo<Option<Vec<Entry>>>;

/// Gives the way from the root to a path, both included.
pub type Way = StoredValue<Box<dyn Fn(&str) -> Vec<String> + Send + Sync>>;

/// The columns of a closure.
#[derive(Debug, Clone, Copy)]
pub struct Columns {
    /// What they stand on.
    pub explorer: Explorer,
    /// The way from the root to the selected path, both included, as it was gone.
    pub trail: RwSignal<Vec<String>>,
    /// The shortest way to a path.
    pub way: Way,
    /// What refers to the selected path, and what these are called.
    pub referrers: Entries,
    /// What the path before it refers to, it included.
    pub siblings: Entries,
    /// What it refers to.
    pub references: Entries,
    /// What the left column is called.
    pub left_title: &'static str,
}

/// A column at the side: its entries, and which of them is next.
#[derive(Debug, Clone, Copy)]
struct Side {
    id: &'static str,
    title: &'static str,
    none: &'static str,
    entries: Entries,
    cursor: RwSignal<usize>,
}

impl Side {
    fn hash(self) -> Option<String> {
        let at = self.cursor.get_untracked();
        self.entries
            .with_untracked(|entries| Some(entries.as_ref()?.get(at)?.hash.clone()))
    }

    fn go(self, by: Step) {
        let count = self
            .entries
            .with_untracked(|entries| entries.as_ref().map_or(0, Vec::len))
            .min(MOST);
        self.cursor.update(|at| {
            *at = match by {
                Step::Down => (*at + 1).min(count.saturating_sub(1)),
                Step::First => 0,
                Step::Last => count.saturating_sub(1),
                _ => at.saturating_sub(1),
            };
        });
    }
}

/// Draws them.
pub fn columns(columns: Columns) -> AnyView {
    let Columns {
        explorer,
        trail,
        way,
        ..
    } = columns;
    // Selected elsewhere: the shortest way leads there.
    effect(move || {
        let focus = explorer.focus.get();
        if trail.with_untracked(|trail| trail.last() != Some(&focus)) {
            trail.set(way.with_value(|way| way(&focus)));
        }
    });
    let left = Side {
        id: "closure-left",
        title: columns.left_title,
        none: "Nothing here refers to it.",
        entries: columns.referrers,
        cursor: RwSignal::new(0),
    };
    let right = Side {
        id: "closure-right",
        title: "References",
        none: "It refers to nothing else.",
        entries: columns.references,
        cursor: RwSignal::new(0),
    };
    effect(move || {
        // The one that led here is next to it.
        let came_from = trail.with(|trail| trail.iter().rev().nth(1).cloned());
        let at = left.entries.with(|entries| {
            let entries = entries.as_ref()?;
            entries
                .iter()
                .position(|entry| Some(&entry.hash) == came_from.as_ref())
        });
        left.cursor.set(at.unwrap_or_default());
    });
    effect(move || {
        right.entries.track();
        right.cursor.set(0);
    });
    listen(columns, left, right);
    view! {
        <div class="columns">
            {side(explorer, trail, way, left)}
            {middle(columns)}
            {side(explorer, trail, way, right)}
        </div>
    }
    .into_any()
}

fn listen(columns: Columns, left: Side, right: Side) {
    let Columns {
        explorer, trail, ..
    } = columns;
    let keys = window_event_listener(leptos::ev::keydown, move |event: KeyboardEvent| {
        let Some(step) = explorer.step(&event, ".column-list") else {
            return;
        };
        let column = focused().map(|focused| focused.id()).unwrap_or_default();
        let side = [left, right].into_iter().find(|side| side.id == column);
        match (step, side) {
            (Step::Out, _) => return,
            (Step::Enter, Some(side)) => chosen(columns, side),
            (Step::Enter, None) => explorer.open(),
            (Step::Right, _) => chosen(columns, right),
            (Step::Left, _) => {
                let above = trail.with_untracked(|trail| trail.iter().rev().nth(1).cloned());
                match above {
                    Some(above) => {
                        trail.update(|trail| {
                            trail.pop();
                        });
                        explorer.select(&above);
                    }
                    None => explorer.announcer.say("This is the top of the closure"),
                }
            }
            (step, Some(side)) => side.go(step),
            (step, None) => along(columns, step),
        }
        event.prevent_default();
    });
    on_cleanup(move || keys.remove());
}

/// Selects what is next in a column at the side.
fn chosen(columns: Columns, side: Side) {
    let Some(hash) = side.hash() else {
        columns.explorer.announcer.say(side.none);
        return;
    };
    go(
        columns.explorer,
        columns.trail,
        columns.way,
        side.id == "closure-right",
        &hash,
    );
}

/// Down to a reference, or to a referrer by the shortest way to it.
fn go(explorer: Explorer, trail: RwSignal<Vec<String>>, way: Way, down: bool, hash: &str) {
    if down {
        trail.update(|trail| trail.push(hash.to_owned()));
    } else {
        trail.set(way.with_value(|way| way(hash)));
    }
    explorer.select(hash);
}

/// Selects a sibling.
fn along(columns: Columns, step: Step) {
    let focus = columns.explorer.focus.get_untracked();
    let next = columns.siblings.with_untracked(|siblings| {
        let siblings = siblings.as_ref()?;
        let last = siblings.len().checked_sub(1)?;
        let at = siblings.iter().position(|entry| entry.hash == focus);
        let at = match (step, at) {
            (Step::First, _) | (_, None) => 0,
            (Step::Last, _) => last,
            (Step::Down, Some(at)) => (at + 1).min(last),
            (_, Some(at)) => at.saturating_sub(1),
        };
        Some(siblings[at].hash.clone())
    });
    if let Some(next) = next {
        beside(columns, &next);
    }
}

fn beside(columns: Columns, hash: &str) {
    columns.trail.update(|trail| {
        if trail.len() > 1 {
            trail.pop();
            trail.push(hash.to_owned());
        }
    });
    columns.explorer.select(hash);
}

fn head(id: String, title: impl IntoAny, entries: Entries) -> AnyView {
    let count = move || {
        let count = entries.with(|entries| entries.as_ref().map(Vec::len))?;
        Some(view! { <span class="count">{format::count(count as u64)}</span> })
    };
    view! {
        <h2 id=id>
            {title.into_any()} " " {changing(count)}
        </h2>
    }
    .into_any()
}

/// Whether a column has entries: a list without any is none.
fn filled(entries: Entries) -> Memo<bool> {
    memo(move || entries.with(|entries| entries.as_ref().is_some_and(|all| !all.is_empty())))
}

fn foot(entries: Entries, none: &'static str) -> AnyView {
    changing(move || {
        let count = entries.with(|entries| entries.as_ref().map(Vec::len));
        match count {
            None => Some(view! { <p class="column-note">"Reading…"</p> }.into_any()),
            Some(0) => Some(view! { <p class="column-note">{none}</p> }.into_any()),
            Some(count) if count > MOST => {
                let more = format::count((count - MOST) as u64);
                Some(
                    view! { <p class="column-note">{format!("and {more} more: the table has all of them")}</p> }
                        .into_any(),
                )
            }
            Some(_) => None,
        }
    })
}

fn side(explorer: Explorer, trail: RwSignal<Vec<String>>, way: Way, side: Side) -> AnyView {
    let filled = filled(side.entries);
    let items = move || {
        side.entries.with(|entries| {
            let shown = entries.iter().flatten().take(MOST).enumerate();
            shown
                .map(|(at, entry)| item(side.id, at, entry, move || side.cursor.get() == at))
                .collect_view()
        })
    };
    let press = move |event: MouseEvent| {
        let Some(at) = hit(&event, "[data-at]").and_then(|item| number(&item, "data-at")) else {
            return;
        };
        side.cursor.set(at as usize);
        if let Some(hash) = side.hash() {
            go(explorer, trail, way, side.id == "closure-right", &hash);
        }
    };
    let heading = format!("{}-head", side.id);
    view! {
        <section class="column">
            {head(heading.clone(), side.title, side.entries)}
            <ul
                id=side.id
                class="column-list"
                role=move || filled.get().then_some("listbox")
                tabindex=move || filled.get().then_some("0")
                aria-labelledby=move || filled.get().then(|| heading.clone())
                aria-activedescendant=move || filled.get().then(|| format!("{}-{}", side.id, side.cursor.get()))
                on:click=press
            >
                {changing(items)}
            </ul>
            {foot(side.entries, side.none)}
        </section>
    }
    .into_any()
}

fn middle(columns: Columns) -> AnyView {
    const ID: &str = "closure-now";
    let Columns {
        explorer, siblings, ..
    } = columns;
    let filled = filled(siblings);
    let at = memo(move || {
        let focus = explorer.focus.get();
        siblings.with(|siblings| {
            let siblings = siblings.as_ref()?;
            siblings.iter().position(|entry| entry.hash == focus)
        })
    });
    effect(move || {
        if at.get().is_some() {
            reveal("#closure-now", "#closure-now [aria-selected=true]");
        }
    });
    // Those around the selected one, where there are many.
    let first = memo(move || at.get().unwrap_or_default() / MOST * MOST);
    let items = move || {
        let first = first.get();
        siblings.with(|siblings| {
            let shown = siblings.iter().flatten().enumerate().skip(first).take(MOST);
            shown
                .map(|(place, entry)| item(ID, place, entry, move || at.get() == Some(place)))
                .collect_view()
        })
    };
    let press = move |event: MouseEvent| {
        let Some(place) = hit(&event, "[data-at]").and_then(|item| number(&item, "data-at")) else {
            return;
        };
        let hash = siblings
            .with_untracked(|siblings| Some(siblings.as_ref()?.get(place as usize)?.hash.clone()));
        if let Some(hash) = hash {
            beside(columns, &hash);
        }
    };
    let title = move || {
        if columns.trail.with(Vec::len) > 1 {
            "Selected, among its siblings"
        } else {
            "Selected"
        }
    };
    view! {
        <section class="column">
            {head(format!("{ID}-head"), changing(title), siblings)}
            <ul
                id=ID
                class="column-list"
                role=move || filled.get().then_some("listbox")
                tabindex=move || filled.get().then_some("0")
                aria-labelledby=move || filled.get().then(|| format!("{ID}-head"))
                aria-activedescendant=move || at.get().map(|at| format!("{ID}-{at}"))
                on:click=press
                on:dblclick=move |_| explorer.open()
            >
                {changing(items)}
            </ul>
            {foot(siblings, "")}
        </section>
    }
    .into_any()
}

fn item(
    list: &'static str,
    at: usize,
    entry: &Entry,
    chosen: impl Fn() -> bool + Send + Sync + 'static,
) -> AnyView {
    let chosen = Signal::derive(chosen);
    let facts = if entry.present {
        entry.bytes.map(size)
    } else {
        Some(chip((
            Tone::Bad,
            Icon::Cross,
            "not in this cache",
            "Referenced, and a client cannot fetch it from here.",
        )))
    };
    view! {
        <li
            role="option"
            id=format!("{list}-{at}")
            data-at=at.to_string()
            class:is-missing=!entry.present
            aria-selected=move || chosen.get().to_string()
        >
            {path_text(&format!("{}-{}", entry.hash, entry.name))}
            <span class="number">{facts}</span>
        </li>
    }
    .into_any()
}
