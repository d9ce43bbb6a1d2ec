//! Paths that are chosen in the browser, over pages and filters, and what they
//! weigh together as the server counts it: what several need counts once.

use leptos::prelude::*;
use snowbank_shared::api::{PathRow, Selection};
use snowbank_shared::route::{ExploreRoute, Route, VouchingRoute};

use crate::api;
use crate::components::announcer::{Announcer, announcer};
use crate::components::changing::changing;
use crate::components::copy::copy_and_say;
use crate::components::failure::failure_of;
use crate::components::icon::{Icon, icon};
use crate::components::size::{size, size_or};
use crate::format;
use crate::state::derived::memo;
use crate::state::navigation::href;
use crate::state::remote::Remote;

/// Paths that can be chosen at once.
const MOST: usize = 200;

/// The chosen paths: hash part and full path, in the order chosen. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Chosen {
    paths: RwSignal<Vec<(String, String)>>,
    /// The hash part of the row that was chosen last: a range begins there.
    anchor: StoredValue<Option<String>>,
    announcer: Announcer,
}

impl Chosen {
    /// None.
    pub fn new() -> Self {
        Self {
            paths: RwSignal::new(Vec::new()),
            anchor: StoredValue::new(None),
            announcer: announcer(),
        }
    }

    /// Whether a path is chosen; tracked.
    pub fn has(self, hash: &str) -> bool {
        self.paths
            .with(|paths| paths.iter().any(|(known, _)| known == hash))
    }

    /// How many are chosen; tracked.
    pub fn count(self) -> usize {
        self.paths.with(Vec::len)
    }

    /// Chooses a path, or drops it.
    pub fn flip(self, row: &PathRow) {
        let on = !untrack(|| self.has(&row.hash));
        self.set(row, on);
        self.anchor.set_value(Some(row.hash.clone()));
        self.say();
    }

    /// Chooses all rows from the one chosen last to this one.
    pub fn extend(self, rows: &[PathRow], to: &PathRow) {
        let place = |hash: &str| rows.iter().position(|row| row.hash == hash);
        let end = place(&to.hash).unwrap_or_default();
        let start = self
            .anchor
            .get_value()
            .and_then(|anchor| place(&anchor))
            .unwrap_or(end);
        for row in &rows[start.min(end)..=start.max(end)] {
            self.set(row, true);
        }
        self.say();
    }

    /// Chooses all of these, or drops them where all are chosen.
    pub fn flip_all(self, rows: &[PathRow]) {
        let on = !untrack(|| rows.iter().all(|row| self.has(&row.hash)));
        for row in rows {
            self.set(row, on);
        }
        self.say();
    }

    fn set(self, row: &PathRow, on: bool) {
        let has = untrack(|| self.has(&row.hash));
        if on && !has {
            self.paths.update(|paths| {
                if paths.len() < MOST {
                    paths.push((row.hash.clone(), row.path.clone()));
                }
            });
        } else if !on && has {
            self.paths
                .update(|paths| paths.retain(|(known, _)| *known != row.hash));
        }
    }

    /// Drops all.
    pub fn clear(self) {
        self.paths.set(Vec::new());
        self.say();
    }

    fn say(self) {
        let count = untrack(|| self.count());
        let full = if count == MOST {
            ", and no more can be"
        } else {
            ""
        };
        self.announcer.say(&format!(
            "{} selected{full}",
            format::counted(count as u64, "path", "paths")
        ));
    }

    /// The full paths, one a line; not tracked.
    fn lines(self) -> String {
        self.paths.with_untracked(|paths| {
            paths
                .iter()
                .map(|(_, path)| path.as_str())
                .collect::<Vec<_>>()
                .join("\n")
        })
    }
}

/// The bar at the foot of the page while something is chosen.
pub fn selection_bar(cache: StoredValue<String>, chosen: Chosen) -> AnyView {
    let sums = Remote::<Selection>::new(move || {
        let hashes: Vec<String> = chosen
            .paths
            .with(|paths| paths.iter().map(|(hash, _)| hash.clone()).collect());
        (!hashes.is_empty()).then(|| api::selection_path(&cache.get_value(), &hashes))
    });
    let any = memo(move || chosen.count() > 0);
    let bar = move || {
        any.get().then(|| {
            view! {
                <section class="selection-bar" aria-label="Selected paths">
                    <p>
                        <b id="selection-count">
                            {changing(move || format::counted(chosen.count() as u64, "path", "paths"))}
                        </b>
                        " selected"
                        {changing(move || (chosen.count() == MOST).then_some(", and no more can be"))}
                    </p>
                    <div class="selection-sums" class:is-waiting=move || sums.is_waiting()>
                        {failure_of(sums)} {changing(move || sums.get().map(|sums| figures(&sums)))}
                    </div>
                    <div class="page-actions">{actions(cache, chosen)}</div>
                </section>
            }
        })
    };
    view! { {changing(bar)} }.into_any()
}

fn figures(sums: &Selection) -> AnyView {
    let shared = (sums.closure_size < sums.closure_size_apart).then(|| {
        view! {
            <span class="muted">
                " (apart they would be " <span id="selection-apart">{size(sums.closure_size_apart)}</span> ")"
            </span>
        }
    });
    let missing = (sums.missing > 0).then(|| {
        let lacking = format::counted(sums.missing, "reference", "references");
        view! { <span class="is-bad">{format!("without {lacking} that this cache lacks")}</span> }
    });
    let absent = (!sums.absent.is_empty()).then(|| {
        let gone = format::counted(sums.absent.len() as u64, "path has", "paths have");
        view! { <span class="is-bad">{format!("{gone} gone from this cache since")}</span> }
    });
    view! {
        <span>
            "Closures together: "
            <b id="selection-together">{size(sums.closure_size)}</b>
            {format!(" unpacked in {}", format::counted(sums.closure_paths, "path", "paths"))}
            {shared}
        </span>
        <span>"Download " <b>{size_or(sums.closure_file_size, "unknown")}</b></span>
        <span title="What would go from this cache if exactly these paths went: they, and all that nothing else here refers to then.">
            "Added size "
            <b id="selection-added">{size(sums.added_size)}</b>
        </span>
        {missing}
        {absent}
    }
    .into_any()
}

fn actions(cache: StoredValue<String>, chosen: Chosen) -> AnyView {
    let announcer = announcer();
    let copy = move |_| copy_and_say(chosen.lines(), announcer);
    let look_up = move || {
        href(&Route::Lookup {
            paths: chosen
                .paths
                .with(|paths| paths.iter().map(|(hash, _)| hash.clone()).collect()),
        })
    };
    // In the order in which they were chosen.
    let compare = move || {
        let two = chosen.paths.with(|paths| match &paths[..] {
            [(one, _), (two, _)] => {
                let diff = ExploreRoute::diff(cache.get_value(), Some(one), Some(two));
                Some(href(&Route::Explore(diff)))
            }
            _ => None,
        });
        two.map(|address| view! { <a class="button" href=address>"Compare closures"</a> })
    };
    let sign = move || {
        let paths = chosen.paths.with(|paths| {
            let named = paths.iter().map(|(hash, _)| format!("p={hash}"));
            named.collect::<Vec<_>>().join("&")
        });
        href(&Route::Vouching(VouchingRoute::Signing {
            cache: cache.get_value(),
            query: paths,
        }))
    };
    view! {
        {changing(compare)}
        <a class="button" id="selection-sign" href=sign>
            {icon(Icon::Key)}
            "Counter-sign…"
        </a>
        <button type="button" class="button" on:click=copy>
            {icon(Icon::Copy)}
            "Copy store paths"
        </button>
        <a class="button" href=look_up>
            {icon(Icon::Search)}
            "Look up elsewhere"
        </a>
        <button type="button" class="button" id="selection-clear" on:click=move |_| chosen.clear()>
            {icon(Icon::Cross)}
            "Clear"
        </button>
    }
    .into_any()
}
