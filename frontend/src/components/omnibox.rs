//! The search field of the top bar. What is typed is read by [`entry`], what is
//! offered for it made by [`omnibox_choices`]; this file asks the server and
//! draws the list. `/` and Ctrl-K focus it; Ctrl-K, or an arrow down in the
//! empty field, lists places and acts.
//!
//! Several paths pasted at once are looked up together. A field of one line
//! would lose the breaks between them, so a paste is read before it arrives.

use leptos::html::Input;
use leptos::prelude::*;
use snowbank_shared::api::{Lookup, Page, PathRow};
use snowbank_shared::route::{ConnectRoute, PathsQuery, Route};
use wasm_bindgen::JsCast;
use web_sys::{ClipboardEvent, Event, KeyboardEvent};

use crate::api;
use crate::components::announcer::{Announcer, announcer};
use crate::components::changing::changing;
use crate::components::copy::copy_and_say;
use crate::components::icon::{Icon, icon};
use crate::components::omnibox_choices::{Choice, Deed, Known, choices, look_up};
use crate::components::omnibox_names::{key_names, pin_names};
use crate::components::store_path::path_text;
use crate::entry::{self, Entry};
use crate::format;
use crate::state::derived::{effect, memo};
use crate::state::handed::handed;
use crate::state::keyboard::{next_choice, opens};
use crate::state::navigation::{Navigation, navigation};
use crate::state::preferences::preferences;
use crate::state::remote::Remote;
use crate::state::session::{Session, session};
use crate::state::typing::as_typed;

/// Suggested paths at most.
const SUGGESTIONS: usize = 7;

/// What was found for a text, by cache: slug, first rows, how many.
type Found = Vec<(String, Vec<PathRow>, u64)>;

/// The state of the field. Copy it freely.
#[derive(Debug, Clone, Copy)]
struct Field {
    session: Session,
    navigation: Navigation,
    announcer: Announcer,
    input: NodeRef<Input>,
    /// What stands in the field.
    text: RwSignal<String>,
    /// The text for which suggestions were asked last.
    asked: RwSignal<String>,
    /// The list may be seen.
    open: RwSignal<bool>,
    /// Which choice the arrows are on.
    active: RwSignal<Option<usize>>,
    /// Places and acts are listed though nothing is typed.
    palette: RwSignal<bool>,
    offered: Memo<Vec<Choice>>,
    /// What came last was a secret; the field was cleared.
    refused: RwSignal<bool>,
    /// Why the text cannot be a hash, or what was not taken.
    wrong: Memo<Option<String>>,
}

/// What the server knows about the text: in the cache of the page, or in all.
fn ask(session: Session, asked: RwSignal<String>) -> impl Fn() -> Option<Found> + Send + Sync {
    let searched = move || match entry::read(&asked.get()) {
        Entry::Words(words) | Entry::Nar(words) => Some((words, session.cache())),
        // A whole hash is asked of every cache: it may be in another one.
        Entry::Path(hash) => Some((hash, None)),
        Entry::Empty
        | Entry::NotAHash { .. }
        | Entry::List(_)
        | Entry::Message(_)
        | Entry::Secret => None,
    };
    let here = Remote::<Page<PathRow>>::new(move || {
        let (words, Some(cache)) = searched()? else {
            return None;
        };
        let query = PathsQuery {
            q: words,
            ..PathsQuery::default()
        };
        Some(api::paths_path(&cache, &query, SUGGESTIONS))
    });
    let everywhere = Remote::<Lookup>::new(move || match searched()? {
        (words, None) => Some(api::search_path(&words)),
        _ => None,
    });
    move || match searched()? {
        (_, Some(cache)) if !here.is_waiting() => {
            let page = here.get()?;
            Some(vec![(cache, page.items.clone(), page.total)])
        }
        (_, None) if !everywhere.is_waiting() => {
            let lookup = everywhere.get()?;
            let caches = lookup.items.iter().flat_map(|item| &item.caches);
            Some(
                caches
                    .map(|found| (found.cache.clone(), found.paths.clone(), found.total))
                    .collect(),
            )
        }
        _ => None,
    }
}

impl Field {
    fn new() -> Self {
        let session = session();
        let text = RwSignal::new(String::new());
        let asked = RwSignal::new(String::new());
        let palette = opens().palette;
        let found = ask(session, asked);
        let (keys, pins) = (key_names(session, text), pin_names(session, text));
        let offered = memo(move || {
            let text = text.get();
            // Suggestions of an earlier text would be wrong ones.
            let found = (asked.get() == text).then(&found).flatten();
            let cache = session.cache();
            let caches = session.described.get().unwrap_or_default();
            keys.with(|keys| {
                choices(
                    &entry::read(&text),
                    &Known {
                        cache: cache.as_deref(),
                        caches: &caches,
                        keys,
                        pins: &pins.get(),
                        answered: found.is_some(),
                        found: found.as_deref().unwrap_or_default(),
                        palette: palette.get(),
                    },
                )
            })
        });
        let refused = RwSignal::new(false);
        let wrong = memo(move || match entry::read(&text.get()) {
            _ if refused.get() => Some(entry::SECRET.to_owned()),
            Entry::NotAHash { letters } => Some(entry::explain_not_a_hash(&letters)),
            _ => None,
        });
        Self {
            session,
            navigation: navigation(),
            announcer: announcer(),
            input: NodeRef::new(),
            text,
            asked,
            open: RwSignal::new(false),
            active: RwSignal::new(None),
            palette,
            offered,
            refused,
            wrong,
        }
    }

    fn close(self) {
        self.open.set(false);
        self.active.set(None);
        self.palette.set(false);
        self.refused.set(false);
    }

    /// A secret came: nothing of it stays, and it is said.
    fn refuse(self) {
        self.active.set(None);
        self.palette.set(false);
        self.text.set(String::new());
        self.asked.set(String::new());
        // The signal may not have held what the field shows.
        if let Some(input) = self.input.get_untracked() {
            input.set_value("");
        }
        self.refused.set(true);
        self.open.set(true);
    }

    /// Does what was chosen, and leaves the field.
    fn choose(self, deed: Deed) {
        self.close();
        self.text.set(String::new());
        if let Some(input) = self.input.get_untracked() {
            let _ = input.blur();
        }
        let preferences = preferences();
        match deed {
            Deed::Open(route) => self.navigation.go(&route),
            Deed::Theme(theme) => preferences.theme.set(theme),
            Deed::Rows => preferences.compact.update(|on| *on = !*on),
            Deed::Times => preferences.moments.update(|on| *on = !*on),
            Deed::Keys => opens().help.set(true),
            Deed::Explain(text) => {
                handed().hand(text);
                self.navigation.go(&Route::Connect(ConnectRoute::Explain {
                    error: String::new(),
                }));
            }
            Deed::CopyLink => {
                let link = window().location().href().unwrap_or_default();
                copy_and_say(link, self.announcer);
            }
        }
    }

    fn submit(self) {
        let at = self.active.get_untracked().unwrap_or(0);
        let chosen = self
            .offered
            .with_untracked(|offered| offered.get(at).map(|choice| choice.deed.clone()));
        match chosen {
            Some(deed) => self.choose(deed),
            // A hash outside of any cache, before the caches have answered: they
            // are asked, and the answer is chosen by a second Enter or by itself.
            None => match entry::read(&self.text.get_untracked()) {
                Entry::Path(hash) => self.open_anywhere(hash),
                Entry::NotAHash { .. } => self.open.set(true),
                _ => {}
            },
        }
    }

    /// Without a cache in the address: the first one that has the path, else the
    /// first one's page that says that it is not here.
    fn open_anywhere(self, hash: String) {
        let address = api::search_path(&hash);
        leptos::task::spawn_local(async move {
            let abort = api::Abort::new();
            let answer = api::get(address, abort.ticket()).await;
            let found = answer.and_then(api::Body::json::<Lookup>).ok();
            let cache = found.and_then(|found| {
                let caches = found.items.into_iter().flat_map(|item| item.caches);
                caches
                    .filter(|cache| !cache.paths.is_empty())
                    .map(|cache| cache.cache)
                    .next()
            });
            let first = || Some(self.session.caches.get_now()?.items.first()?.slug.clone());
            if let Some(cache) = cache.or_else(first) {
                self.choose(Deed::Open(Box::new(Route::path(cache, hash))));
            }
        });
    }

    /// Moves the choice down (`by` 1) or up (`by` -1), round at the ends.
    fn step(self, by: isize) {
        self.open.set(true);
        if self.text.with_untracked(String::is_empty) {
            self.palette.set(true);
        }
        let count = self.offered.with_untracked(Vec::len);
        if count == 0 {
            return;
        }
        self.active
            .update(|active| *active = Some(next_choice(*active, by, count)));
        scroll_to_active();
    }

    fn on_key(self, event: &KeyboardEvent) {
        match event.key().as_str() {
            "ArrowDown" => self.step(1),
            "ArrowUp" => self.step(-1),
            "Enter" if !event.is_composing() => self.submit(),
            "Escape" => {
                // The browser would empty the field at once.
                if self.open.get_untracked() && self.is_listed() {
                    self.close();
                } else if let Some(input) = self.input.get_untracked() {
                    self.text.set(String::new());
                    let _ = input.blur();
                }
            }
            _ => return,
        }
        event.prevent_default();
    }

    /// Several paths at once: looked up, before the field loses their breaks. A secret: refused.
    fn on_paste(self, event: &Event) {
        let pasted = event
            .dyn_ref::<ClipboardEvent>()
            .and_then(ClipboardEvent::clipboard_data)
            .and_then(|data| data.get_data("text/plain").ok());
        let deed = match pasted.map(|text| entry::read(&text)) {
            Some(Entry::List(list)) => look_up(&list).0,
            Some(Entry::Message(text)) => Deed::Explain(text),
            Some(Entry::Secret) => {
                event.prevent_default();
                self.refuse();
                return;
            }
            _ => return,
        };
        event.prevent_default();
        self.choose(deed);
    }

    /// There is something to list; tracked.
    fn is_listed(self) -> bool {
        self.wrong.with(Option::is_some) || self.offered.with(|offered| !offered.is_empty())
    }
}

/// The choice that the arrows are on may lie outside of what is seen of the list.
fn scroll_to_active() {
    request_animation_frame(|| {
        if let Ok(Some(option)) = document().query_selector("#omnibox-list [aria-selected=true]") {
            let options = web_sys::ScrollIntoViewOptions::new();
            options.set_block(web_sys::ScrollLogicalPosition::Nearest);
            option.scroll_into_view_with_scroll_into_view_options(&options);
        }
    });
}

/// Says what is wrong, or how many suggestions there are, to those who do not see the list.
fn announce(field: Field) {
    effect(move || {
        if let Some(wrong) = field.wrong.get() {
            field.announcer.say(&wrong);
        }
    });
    let count = memo(move || {
        let listed = field.open.get() && !field.text.with(String::is_empty);
        listed.then(|| field.offered.with(Vec::len))
    });
    effect(move || {
        if let Some(count @ 1..) = count.get() {
            field
                .announcer
                .say(&format::counted(count as u64, "suggestion", "suggestions"));
        }
    });
}

/// The field with its list.
pub fn omnibox() -> AnyView {
    let field = Field::new();
    announce(field);
    let mut ask = as_typed(move |text: String| {
        field.asked.set(text);
    });
    let on_input = move |event: Event| {
        let value = event_target_value(&event);
        // Dropped, or pasted in pieces.
        if entry::read(&value) == Entry::Secret {
            field.refuse();
            return;
        }
        field.refused.set(false);
        field.text.set(value.clone());
        field.active.set(None);
        field.palette.set(false);
        field.open.set(true);
        ask(value);
    };
    let is_open = memo(move || (field.open.get() || field.palette.get()) && field.is_listed());
    view! {
        <div class="omnibox" role="search" on:focusout=move |_| field.close()>
            {icon(Icon::Search)}
            <input
                node_ref=field.input
                id="omnibox"
                type="search"
                role="combobox"
                autocomplete="off"
                autocapitalize="off"
                spellcheck="false"
                enterkeyhint="go"
                placeholder="/  Search path, hash, package, key…"
                aria-label="Search path, hash, package, key"
                aria-expanded=move || is_open.get().to_string()
                aria-controls="omnibox-list"
                aria-autocomplete="list"
                aria-activedescendant=move || field.active.get().map(|at| format!("omnibox-{at}"))
                prop:value=move || field.text.get()
                on:input=on_input
                on:focus=move |_| field.open.set(true)
                on:keydown=move |event| field.on_key(&event)
                on:paste=move |event| field.on_paste(&event)
            />
            {changing(move || is_open.get().then(|| list(field)))}
        </div>
    }
    .into_any()
}

/// One choice, the `at`th.
fn option(field: Field, at: usize, choice: Choice) -> AnyView {
    let label = match &choice.path {
        Some(path) => path_text(path),
        None => view! { <span class="omnibox-text break">{choice.words}</span> }.into_any(),
    };
    let deed = choice.deed;
    view! {
        <div
            class="omnibox-option"
            role="option"
            id=format!("omnibox-{at}")
            aria-selected=move || (field.active.get() == Some(at)).to_string()
            // Before the field loses the focus and the list goes.
            on:mousedown=move |event| {
                event.prevent_default();
                field.choose(deed.clone());
            }
        >
            {icon(choice.picture)}
            {label}
            <small>{choice.note}</small>
        </div>
    }
    .into_any()
}

/// The choices, in their groups.
fn groups(field: Field) -> Vec<AnyView> {
    let mut groups: Vec<(&'static str, Vec<AnyView>)> = Vec::new();
    for (at, choice) in field.offered.get().into_iter().enumerate() {
        let group = choice.group;
        let drawn = option(field, at, choice);
        match groups.last_mut() {
            Some((last, options)) if *last == group => options.push(drawn),
            _ => groups.push((group, vec![drawn])),
        }
    }
    groups
        .into_iter()
        .map(|(title, options)| {
            view! {
                <div role="group" aria-label=title>
                    <div class="omnibox-group" aria-hidden="true">
                        {title}
                    </div>
                    {options}
                </div>
            }
            .into_any()
        })
        .collect()
}

fn list(field: Field) -> AnyView {
    let note = move || {
        field.wrong.get().map(|wrong| {
            view! {
                <p class="omnibox-note" id="omnibox-note">
                    {icon(Icon::Warning)}
                    <span>{wrong}</span>
                </p>
            }
        })
    };
    let listed = memo(move || field.offered.with(|offered| !offered.is_empty()));
    let options = move || {
        listed.get().then(|| {
            view! {
                <div role="listbox" id="omnibox-list" aria-label="Suggestions">
                    {changing(move || groups(field))}
                </div>
            }
        })
    };
    view! {
        <div class="omnibox-list" on:mousedown=|event| event.prevent_default()>
            {changing(note)}
            {changing(options)}
        </div>
    }
    .into_any()
}
