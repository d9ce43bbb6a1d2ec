//! The two ends of a comparison: they are the address, each is found by name, hash or pin, and they
//! can be swapped.

mod offers;

use leptos::html::Input;
use leptos::prelude::*;
use serde::Deserialize;
use snowbank_shared::api::{Page, PathRow};
use snowbank_shared::route::{ExploreRoute, PIN, PathsQuery, PinsRoute, Route, escape, pin_at};
use web_sys::{Event, KeyboardEvent};

use crate::api;
use crate::components::announcer::announcer;
use crate::components::button::{Weight, button};
use crate::components::changing::changing;
use crate::components::fresh_id;
use crate::components::icon::{Icon, icon};
use crate::components::store_path::{path_link, path_text};
use crate::entry::{self, Entry};
use crate::format;
use crate::state::derived::{effect, memo};
use crate::state::keyboard::next_choice;
use crate::state::navigation::{href, navigation};
use crate::state::remote::Remote;
use crate::state::typing::as_typed;

use offers::{NamedPins, Offer, offered};

/// Paths offered at most.
const PATHS: usize = 7;

/// Two ends: the left or what needs, the right or what is needed.
type Both = (Option<String>, Option<String>);

/// Which page the ends belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compares {
    /// Why one needs the other.
    Why,
    /// What differs between them.
    Diff,
}

/// The ends that the address names. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    /// Slug of the cache.
    pub cache: StoredValue<String>,
    compares: Compares,
    both: Memo<Both>,
}

/// What is asked of a path, so that its name can be shown.
#[derive(Debug, Clone, Deserialize)]
struct Named {
    name: String,
    hash: String,
}

impl Ends {
    /// Follows the address.
    pub fn follow(cache: &str, compares: Compares) -> Self {
        let navigation = navigation();
        let both = Memo::new(move |before: Option<&Both>| match navigation.route() {
            Some(Route::Explore(
                ExploreRoute::Why { from, to, .. } | ExploreRoute::Diff { from, to, .. },
            )) => (from, to),
            // On the way to another page.
            _ => before.cloned().unwrap_or_default(),
        });
        Self {
            cache: StoredValue::new(cache.to_owned()),
            compares,
            both,
        }
    }

    /// Both of them; tracked.
    pub fn get(self) -> Both {
        self.both.get()
    }

    /// The page with these ends.
    pub fn route(self, from: Option<&str>, to: Option<&str>) -> Route {
        let cache = self.cache.get_value();
        Route::Explore(match self.compares {
            Compares::Why => ExploreRoute::why(cache, from, to),
            Compares::Diff => ExploreRoute::diff(cache, from, to),
        })
    }

    /// The address below `/api/v1` that compares them, once both are chosen; tracked.
    pub fn api_path(self) -> Option<String> {
        let (from, to) = self.get();
        let what = match self.compares {
            Compares::Why => "why",
            Compares::Diff => "diff",
        };
        Some(format!(
            "{}/{what}?from={}&to={}",
            api::cache_path(&self.cache.get_value()),
            escape(&from?),
            escape(&to?)
        ))
    }

    fn choose(self, right: bool, end: &str) {
        let (from, to) = self.both.get_untracked();
        let route = if right {
            self.route(from.as_deref(), Some(end))
        } else {
            self.route(Some(end), to.as_deref())
        };
        navigation().go(&route);
    }

    fn swap(self) {
        let (from, to) = self.both.get_untracked();
        navigation().go(&self.route(to.as_deref(), from.as_deref()));
    }

    /// The two fields, under these words, and the button that swaps them.
    pub fn form(self, left: &'static str, right: &'static str) -> AnyView {
        let (from, to) = (
            memo(move || self.both.get().0),
            memo(move || self.both.get().1),
        );
        view! {
            <div class="ends" role="search" aria-label="What is compared">
                {field(self, left, false, from)}
                {button(Weight::Plain, Some(Icon::Again), "Swap", move || self.swap())}
                {field(self, right, true, to)}
            </div>
        }
        .into_any()
    }
}

/// A field's state. Copy it freely.
#[derive(Debug, Clone, Copy)]
struct Field {
    ends: Ends,
    right: bool,
    input: NodeRef<Input>,
    text: RwSignal<String>,
    open: RwSignal<bool>,
    active: RwSignal<Option<usize>>,
    offers: Memo<Vec<Offer>>,
    refused: RwSignal<bool>,
}

impl Field {
    fn choose(self, end: &str) {
        self.open.set(false);
        self.active.set(None);
        if let Some(input) = self.input.get_untracked() {
            let _ = input.blur();
        }
        self.ends.choose(self.right, end);
    }

    fn submit(self) {
        let at = self.active.get_untracked().unwrap_or(0);
        let chosen = self.offers.with_untracked(|offers| {
            let offer = offers.get(at);
            offer.map(|offer| offer.end.clone())
        });
        match (chosen, entry::read(&self.text.get_untracked())) {
            // A whole path needs no answer of the server.
            (_, Entry::Path(hash)) => self.choose(&hash),
            (Some(end), _) => self.choose(&end),
            (None, _) => {}
        }
    }

    fn step(self, by: isize) {
        self.open.set(true);
        let count = self.offers.with_untracked(Vec::len);
        if count == 0 {
            return;
        }
        self.active
            .update(|active| *active = Some(next_choice(*active, by, count)));
    }

    fn on_key(self, event: &KeyboardEvent) {
        match event.key().as_str() {
            "ArrowDown" => self.step(1),
            "ArrowUp" => self.step(-1),
            "Enter" if !event.is_composing() => self.submit(),
            "Escape" if self.open.get_untracked() => self.open.set(false),
            _ => return,
        }
        event.prevent_default();
    }
}

fn field(ends: Ends, label: &'static str, right: bool, end: Memo<Option<String>>) -> AnyView {
    let text = RwSignal::new(String::new());
    let asked = RwSignal::new(String::new());
    let typing = RwSignal::new(false);
    let cache = ends.cache;
    let found = Remote::<Page<PathRow>>::new(move || match entry::read(&asked.get()) {
        Entry::Words(q) if !q.starts_with(PIN) => {
            let query = PathsQuery {
                q,
                ..PathsQuery::default()
            };
            Some(api::paths_path(&cache.get_value(), &query, PATHS))
        }
        Entry::Path(hash) => {
            let query = PathsQuery {
                q: hash,
                ..PathsQuery::default()
            };
            Some(api::paths_path(&cache.get_value(), &query, PATHS))
        }
        _ => None,
    });
    // Asked for once somebody is at the field.
    let wanted = RwSignal::new(false);
    let pins = Remote::<NamedPins>::new(move || {
        let path = format!("{}/pins?limit=200", api::cache_path(&cache.get_value()));
        wanted.get().then_some(path)
    });
    let offers = memo(move || {
        let text = text.get();
        if !typing.get() && !wanted.get() {
            return Vec::new();
        }
        let rows = found.get().filter(|_| asked.get() == text);
        let rows = rows.filter(|_| !text.trim().is_empty());
        let pins = pins.get();
        offered(
            &text,
            pins.as_ref().map_or(&[][..], |pins| &pins.items),
            rows.as_ref().map_or(&[][..], |rows| &rows.items),
        )
    });
    let field = Field {
        ends,
        right,
        input: NodeRef::new(),
        text,
        open: RwSignal::new(false),
        active: RwSignal::new(None),
        offers,
        refused: RwSignal::new(false),
    };
    let named = named(cache, end);
    // What is chosen stands in the field, unless somebody types there.
    let shown = memo(move || match end.get() {
        None => String::new(),
        Some(end) => match end.strip_prefix(PIN) {
            Some(pin) => pin.to_owned(),
            None => match named.get().filter(|named| named.hash == end) {
                Some(named) => named.name.clone(),
                None => end,
            },
        },
    });
    effect(move || {
        let shown = shown.get();
        if !typing.get() {
            text.set(shown);
        }
    });
    let mut ask = as_typed(move |text: String| {
        asked.try_set(text);
    });
    let on_input = move |event: Event| {
        let value = event_target_value(&event);
        let secret = entry::read(&value) == Entry::Secret;
        field.refused.set(secret);
        let value = if secret { String::new() } else { value };
        if let Some(input) = field.input.get_untracked().filter(|_| secret) {
            input.set_value("");
        }
        typing.set(true);
        text.set(value.clone());
        field.active.set(None);
        field.open.set(true);
        ask(value);
    };
    let announcer = announcer();
    let is_open = memo(move || field.open.get() && !field.offers.with(Vec::is_empty));
    effect(move || {
        if is_open.get() && typing.get() {
            let count = field.offers.with(Vec::len) as u64;
            announcer.say(&format::counted(count, "suggestion", "suggestions"));
        }
    });
    let id = fresh_id();
    let (list_id, note_id) = (format!("{id}-list"), format!("{id}-note"));
    let option_id = id.clone();
    let drawn = {
        let (list_id, id) = (list_id.clone(), id.clone());
        move || is_open.get().then(|| list(field, label, &list_id, &id))
    };
    view! {
        <div class="end field" on:focusout=move |_| {
            field.open.set(false);
            typing.set(false);
            wanted.set(false);
        }>
            <label for=id.clone()>{label}</label>
            <div class="end-field">
                <input
                    node_ref=field.input
                    id=id
                    type="text"
                    role="combobox"
                    autocomplete="off"
                    autocapitalize="off"
                    spellcheck="false"
                    placeholder="Name, hash, store path or pin"
                    aria-expanded=move || is_open.get().to_string()
                    aria-controls=list_id
                    aria-autocomplete="list"
                    aria-activedescendant=move || {
                        field.active.get().filter(|_| is_open.get()).map(|at| format!("{option_id}-{at}"))
                    }
                    aria-describedby=note_id.clone()
                    prop:value=move || text.get()
                    on:input=on_input
                    on:focus=move |_| {
                        wanted.set(true);
                        if let Some(input) = field.input.get_untracked() {
                            input.select();
                        }
                    }
                    on:keydown=move |event| field.on_key(&event)
                />
                {changing(drawn)}
            </div>
            <p class="field-notes" id=note_id>{changing(move || note(field, end.get(), named))}</p>
        </div>
    }
    .into_any()
}

/// The path that an end names by its hash.
fn named(cache: StoredValue<String>, end: Memo<Option<String>>) -> Remote<Named> {
    Remote::new(move || {
        let end = end.get()?;
        (!end.starts_with(PIN)).then(|| api::path_path(&cache.get_value(), &end, ""))
    })
}

/// What is chosen, or what is wrong with it.
fn note(field: Field, end: Option<String>, named: Remote<Named>) -> Option<AnyView> {
    let text = field.text.get();
    let wrong = match entry::read(&text) {
        _ if field.refused.get() => Some(entry::SECRET.to_owned()),
        Entry::NotAHash { letters } => Some(entry::explain_not_a_hash(&letters)),
        _ => None,
    };
    if let Some(wrong) = wrong {
        return Some(view! { <span class="field-error">{wrong}</span> }.into_any());
    }
    let end = end?;
    let cache = field.ends.cache.get_value();
    if let Some(pin) = end.strip_prefix(PIN) {
        let (name, revision) = pin_at(pin)?;
        let address = href(&Route::Pins(PinsRoute::Pin {
            cache,
            name: name.to_owned(),
            revision,
        }));
        let words = match revision {
            Some(revision) => format!("Revision {revision} of the pin {name}"),
            None => format!("What the pin {name} names now"),
        };
        return Some(view! { <a class="kept" href=address>{words}</a> }.into_any());
    }
    if named.error().is_some_and(|error| error.is_not_found()) {
        return Some(view! { <span class="field-error">"Not in this cache."</span> }.into_any());
    }
    let named = named.get().filter(|named| named.hash == end)?;
    Some(path_link(&cache, &named.hash, &named.name))
}

fn list(field: Field, label: &'static str, list_id: &str, id: &str) -> AnyView {
    let options = field
        .offers
        .get()
        .into_iter()
        .enumerate()
        .map(|(at, offer)| {
            let (picture, words) = if offer.is_pin {
                let words = view! { <span class="omnibox-text break">{offer.words}</span> };
                (Icon::Pin, words.into_any())
            } else {
                (Icon::Paths, path_text(&offer.words))
            };
            let end = offer.end;
            view! {
                <div
                    class="omnibox-option"
                    role="option"
                    id=format!("{id}-{at}")
                    aria-selected=move || (field.active.get() == Some(at)).to_string()
                    // Before the field loses the focus and the list goes.
                    on:mousedown=move |event| {
                        event.prevent_default();
                        field.choose(&end);
                    }
                >
                    {icon(picture)}
                    {words}
                    <small>{offer.note}</small>
                </div>
            }
        })
        .collect_view();
    view! {
        <div class="omnibox-list" role="listbox" id=list_id.to_owned() aria-label=label>
            {options}
        </div>
    }
    .into_any()
}
