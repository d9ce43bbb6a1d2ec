//! `/c/{cache}/signatures`: how much of the cache each key covers, what a machine would accept, and
//! what goes if a key goes. Nothing here changes anything on the server.

use leptos::prelude::*;
use snowbank_shared::api::vouching::{Acceptance, Coverage, CoverageBy};
use snowbank_shared::api::{Key, Page};
use snowbank_shared::route::{Route, VouchingQuery, VouchingRoute};
use snowbank_shared::signature::PublicKey;

use crate::api;
use crate::components::api_button::api_button;
use crate::components::banner::empty;
use crate::components::changing::changing;
use crate::components::choice::segments;
use crate::components::export_menu::{Exported, export_menu};
use crate::components::failure::failure_of;
use crate::components::index_line::{index_banner, index_line};
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::pages::accept::{acceptance_path, closure_words, refused_list};
use crate::pages::cache::absent_or_failed;
use crate::pages::coverage_table::{Measure, matrix};
use crate::pages::trust_set::{Chosen, Picker};
use crate::state::derived::memo;
use crate::state::live::{LiveCache, live_cache};
use crate::state::navigation::{Navigation, href, navigation};
use crate::state::remote::Remote;

/// The ways to cut a cache, in the order of the choice.
const GROUPS: [CoverageBy; 4] = [
    CoverageBy::Month,
    CoverageBy::Pin,
    CoverageBy::Package,
    CoverageBy::Uploader,
];
const GROUP_WORDS: [&str; 4] = ["Months", "Pins", "Packages", "Uploaders"];

/// What the parts of the page share. Copy it freely.
#[derive(Clone, Copy)]
struct Asked {
    cache: StoredValue<String>,
    /// What the address asks for.
    query: Memo<VouchingQuery>,
    navigation: Navigation,
    live: LiveCache,
}

impl Asked {
    fn group(self) -> usize {
        self.query.with(|query| {
            let at = GROUPS.iter().position(|by| by.as_str() == query.group);
            at.unwrap_or(0)
        })
    }

    fn measure(self) -> Measure {
        self.query.with(|query| {
            let mut all = Measure::ALL.into_iter();
            all.find(|measure| measure.as_str() == query.measure)
                .unwrap_or(Measure::Paths)
        })
    }

    /// Changes the address.
    fn change(self, change: impl FnOnce(&mut VouchingQuery)) {
        let mut query = self.query.get_untracked();
        change(&mut query);
        let route = Route::Vouching(query.of(self.cache.get_value()));
        self.navigation.replace(&route);
    }
}

/// The page.
pub fn page(cache: &str) -> AnyView {
    let navigation = navigation();
    let query = Memo::new(
        move |before: Option<&VouchingQuery>| match navigation.route() {
            Some(Route::Vouching(VouchingRoute::Signatures { query, .. })) => {
                VouchingQuery::parse(&query)
            }
            // On the way to another page.
            _ => before.cloned().unwrap_or_default(),
        },
    );
    let asked = Asked {
        cache: StoredValue::new(cache.to_owned()),
        query,
        navigation,
        live: live_cache(),
    };
    let live = asked.live;
    page_title(move || format!("Signature coverage – {}", asked.cache.get_value()));
    let path = move || {
        let by = GROUPS[asked.group()].as_str();
        format!(
            "{}/coverage?by={by}",
            api::cache_path(&asked.cache.get_value())
        )
    };
    let coverage = Remote::<Coverage>::new(move || {
        live.renewals.track();
        Some(path())
    });
    let exported = move || {
        let found = coverage.get()?;
        let columns = 1 + found.keys.len() as u64 + found.words.len() as u64;
        Some(Exported {
            path: path(),
            columns: String::new(),
            rows: (found.rows.min(10_000) + 1) * columns,
        })
    };
    let keys = href(&Route::Vouching(VouchingRoute::Keys {
        cache: cache.to_owned(),
    }));
    let picker = Picker::new(live, linked(asked));
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Signature coverage")}
                    <div class="page-actions">
                        <a class="button" href=keys>"Keys"</a>
                        {export_menu(exported)}
                        {api_button(path)}
                    </div>
                </div>
                <p class="state-sentence">{changing(move || coverage.get().map(|found| sentence(&found)))}</p>
                {index_line(live)}
            </div>
            {index_banner(live)}
            {absent_or_failed(live)}
            <div class="coverage-choice">
                {segments("Rows", &GROUP_WORDS, move || asked.group(), move |at| {
                    asked.change(|query| GROUPS[at].as_str().clone_into(&mut query.group));
                })}
                {segments(
                    "A cell counts",
                    &Measure::WORDS,
                    move || Measure::ALL.iter().position(|one| *one == asked.measure()).unwrap_or(0),
                    move |at| asked.change(|query| Measure::ALL[at].as_str().clone_into(&mut query.measure)),
                )}
            </div>
            {failure_of(coverage)}
            <div class:is-waiting=move || coverage.is_waiting() && coverage.is_there()>
                {changing(move || drawn(asked, coverage))}
            </div>
            {machine(asked, picker)}
            {what_if(asked, picker)}
        </div>
    }
    .into_any()
}

fn sentence(found: &Coverage) -> String {
    let best = found
        .keys
        .iter()
        .zip(&found.total.keys)
        .max_by_key(|(_, sum)| sum.paths)
        .filter(|(_, sum)| sum.paths > 0);
    let so_far = if found.complete {
        ""
    } else {
        " Percentages are of what is indexed so far."
    };
    match best {
        None => format!("No known key vouches for anything here.{so_far}"),
        Some((key, sum)) => format!(
            "{} vouches for {} of {}.{so_far}",
            format::visible(&key.name),
            format::percent(sum.paths, found.total.all.paths),
            format::counted(found.total.all.paths, "path", "paths")
        ),
    }
}

fn drawn(asked: Asked, coverage: Remote<Coverage>) -> Option<AnyView> {
    let Some(found) = coverage.get() else {
        return coverage
            .is_waiting()
            .then(|| skeleton(6, "Counting what each key vouches for…"));
    };
    if found.total.all.paths == 0 {
        return Some(empty(
            "0 paths",
            view! { <p>"There is nothing here that a key could vouch for."</p> },
        ));
    }
    let no_rows = found.items.is_empty().then(|| {
        view! { <p class="muted">"Nothing is pinned, so there are no rows but the whole cache."</p> }
    });
    Some(
        view! {
            {matrix(&asked.cache.get_value(), &found, asked.measure())}
            {no_rows}
        }
        .into_any(),
    )
}

/// The keys that the address names, whole or by the names that are known here.
fn linked(asked: Asked) -> Option<Signal<Chosen>> {
    if asked.query.with_untracked(|query| query.keys.is_empty()) {
        return None;
    }
    let path = api::keys_path(&asked.cache.get_value());
    let known = Remote::<Page<Key>>::new(move || Some(path.clone()));
    let chosen = memo(move || -> Chosen {
        let named = asked.query.get().keys;
        let mut keys: Vec<PublicKey> = Vec::new();
        for text in named {
            if text.contains(':') {
                keys.push(
                    text.parse()
                        .map_err(|error| format!("A key of the link: {error}."))?,
                );
                continue;
            }
            let Some(known) = known.get() else {
                return Err("Asking for the keys that the link names…".to_owned());
            };
            let found = known.items.iter().filter(|key| key.name == text);
            let before = keys.len();
            keys.extend(found.filter_map(|key| key.public_key.parse::<PublicKey>().ok()));
            if keys.len() == before {
                return Err(format!(
                    "No key named {} is known here.",
                    format::visible(&text)
                ));
            }
        }
        Ok(keys)
    });
    Some(chosen.into())
}

/// What a machine would accept of the cache, or of the closure that the address names.
fn machine(asked: Asked, picker: Picker) -> AnyView {
    let path = move || asked.query.with(|query| query.path.clone());
    let answer = Remote::<Acceptance>::new(move || {
        asked.live.renewals.track();
        let keys = picker.chosen.get().ok().filter(|keys| !keys.is_empty())?;
        Some(acceptance_path(
            &asked.cache.get_value(),
            &keys,
            &[],
            &path(),
        ))
    });
    let words = move || {
        picker.chosen.get().ok()?;
        match answer.get() {
            Some(answer) => Some(closure_words(&asked.cache.get_value(), &answer)),
            None => answer
                .is_waiting()
                .then(|| skeleton(2, "Judging by these keys…")),
        }
    };
    let title = move || match path().is_empty() {
        true => "Would a machine accept this cache?",
        false => "Would a machine accept this path and what it needs?",
    };
    let of = move || {
        let hash = path();
        (!hash.is_empty()).then(|| {
            let address = href(&Route::path(asked.cache.get_value(), hash.clone()));
            view! { <p>"Of " <a class="mono cell-link" href=address>{hash}</a> "."</p> }
        })
    };
    view! {
        <section class="section" id="accept" aria-labelledby="accept-title">
            <h2 id="accept-title">{title}</h2>
            {changing(of)}
            {picker.view()}
            {failure_of(answer)}
            <div id="accept-closure" class:is-waiting=move || answer.is_waiting() && answer.is_there()>
                {changing(words)}
            </div>
        </section>
    }
    .into_any()
}

/// What goes if keys go.
fn what_if(asked: Asked, picker: Picker) -> AnyView {
    let names = memo(move || -> Vec<String> {
        let Some(set) = picker.set() else {
            return Vec::new();
        };
        set.keys().iter().map(|key| key.name().to_owned()).collect()
    });
    let dropped = memo(move || -> Vec<String> {
        let names = names.get();
        let drop = asked.query.get().drop;
        drop.into_iter()
            .filter(|name| names.contains(name))
            .collect()
    });
    let answer = Remote::<Acceptance>::new(move || {
        asked.live.renewals.track();
        let (keys, drop) = (picker.chosen.get().ok()?, dropped.get());
        (!drop.is_empty()).then(|| acceptance_path(&asked.cache.get_value(), &keys, &drop, ""))
    });
    let boxes = move || {
        let names = names.get();
        if names.is_empty() {
            return view! { <p class="muted">"Choose above whom the machines trust."</p> }
                .into_any();
        }
        let boxes = names
            .into_iter()
            .map(|name| drop_box(asked, dropped, name))
            .collect_view();
        view! {
            <fieldset class="drop-keys">
                <legend>"Leave out of what the machines trust"</legend>
                {boxes}
            </fieldset>
        }
        .into_any()
    };
    let words = move || {
        let drop = dropped.get();
        if drop.is_empty() {
            return Some(view! { <p class="muted">"Nothing is left out."</p> }.into_any());
        }
        let answer = answer.get()?;
        let told = answer
            .keys
            .iter()
            .filter(|key| key.dropped)
            .map(|key| &key.name);
        let same = told.clone().all(|name| drop.contains(name)) && told.count() == drop.len();
        same.then(|| lost(&asked.cache.get_value(), &answer, &drop))
    };
    view! {
        <section class="section" id="what-if" aria-labelledby="what-if-title">
            <div class="section-head">
                <h2 id="what-if-title">"What if a key goes?"</h2>
                <p>"A question: nothing is changed on the server or on a machine"</p>
            </div>
            {changing(boxes)}
            {failure_of(answer)}
            <div id="lost" aria-live="polite">{changing(words)}</div>
        </section>
    }
    .into_any()
}

fn drop_box(asked: Asked, dropped: Memo<Vec<String>>, name: String) -> AnyView {
    let shown = format::visible(&name);
    let (checked, changed) = (name.clone(), name);
    let toggle = move |_| {
        asked.change(
            |query| match query.drop.iter().position(|name| *name == changed) {
                Some(at) => {
                    query.drop.remove(at);
                }
                None => query.drop.push(changed.clone()),
            },
        );
    };
    view! {
        <label class="choice choice-two">
            <input
                type="checkbox"
                prop:checked=move || dropped.with(|names| names.contains(&checked))
                on:change=toggle
            />
            <span class="mono break">{shown}</span>
        </label>
    }
    .into_any()
}

/// “1,284 paths (22 GiB) and 3 pins would be refused.”
fn lost(cache: &str, answer: &Acceptance, drop: &[String]) -> AnyView {
    let without = format::visible(&drop.join(" and "));
    if answer.refused == 0 {
        let words = format!("Without {without} nothing is refused that is accepted with it.");
        return view! { <p><b>{words}</b></p> }.into_any();
    }
    let words = format!(
        "Without {without}, {} ({}) would be refused, and {} could not be had whole any more.",
        format::counted(answer.refused, "path", "paths"),
        format::size(answer.refused_nar_size),
        format::counted(answer.broken_closures, "closure", "closures"),
    );
    let pins = answer
        .pins
        .iter()
        .map(|pin| {
            let address = href(&Route::Pins(snowbank_shared::route::PinsRoute::revision(
                cache,
                &*pin.name,
                pin.revision,
            )));
            let name = format!("{}@{}", pin.name, pin.revision);
            let share = format!(
                " {} of {}",
                format::count(pin.refused),
                format::counted(pin.paths, "path", "paths")
            );
            view! {
                <li>
                    <a class="mono cell-link" href=address>{name}</a>
                    <span class="muted">{share}</span>
                </li>
            }
        })
        .collect_view();
    let pins = match answer.pins.is_empty() {
        true => view! { <p>"No pin would break."</p> }.into_any(),
        false => view! {
            <p>{format::counted(answer.pins.len() as u64, "pin", "pins")} " would break:"</p>
            <ul class="plain-list" id="broken-pins">{pins}</ul>
        }
        .into_any(),
    };
    view! {
        <p><b>{words}</b></p>
        {pins}
        {refused_list(cache, answer)}
    }
    .into_any()
}
