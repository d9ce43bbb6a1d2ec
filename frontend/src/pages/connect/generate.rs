//! The generator: choose caches, choose where the lines go, copy. The choices are the address,
//! and nothing else is taken from it. Only `extra-` forms are written, so that cache.nixos.org
//! stays.

use leptos::prelude::*;
use snowbank_shared::api::connect::TestedCache;
use snowbank_shared::api::{Cache, Signing, UpstreamMode, Visibility};
use snowbank_shared::route::{
    ConnectAccess, ConnectExtra, ConnectFlavour, ConnectInstaller, ConnectQuery, ConnectRoute,
    ConnectScope, ConnectTarget, Route,
};

use super::choose::{ChosenCaches, cache_boxes, caches_of};
use super::guess::Guess;
use super::head_tabs;
use super::key_list::key_list;
use super::live::begin_button;
use super::other::other_caches;
use super::output::{Block, Output, Wish, output};
use super::output_file::output_files;
use super::priority::priority_field;
use super::token::{TokenDraft, token_card};
use super::trusted::trusted_users;
use super::words::{TARGETS, access_word, extra_words, flavour_word, installer_word, scope_word};
use crate::components::banner::{banner, empty};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::code::code_line;
use crate::components::fresh_id;
use crate::components::icon::{Icon, icon};
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::state::derived::memo;
use crate::state::navigation::{Navigation, href, navigation};

/// The state of the page. Copy it freely.
#[derive(Debug, Clone, Copy)]
struct Page {
    navigation: Navigation,
    chosen: ChosenCaches,
    /// What the address says, with the only cache where it names none.
    query: Memo<ConnectQuery>,
    /// What is taken where the address names no place.
    guess: Guess,
    /// The token of private caches.
    token: TokenDraft,
}

/// The page.
pub fn page() -> AnyView {
    page_title(|| "Connect".to_owned());
    let navigation = navigation();
    let chosen = caches_of(|caches| {
        let query = match crate::state::navigation::navigation().route_now() {
            Some(Route::Connect(ConnectRoute::Generate(query))) => query,
            _ => ConnectQuery::default(),
        };
        ConnectRoute::Generate(ConnectQuery { caches, ..query })
    });
    let named = Memo::new(
        move |before: Option<&ConnectQuery>| match navigation.route() {
            Some(Route::Connect(ConnectRoute::Generate(query))) => query,
            // On the way to another page.
            _ => before.cloned().unwrap_or_default(),
        },
    );
    let query = memo(move || ConnectQuery {
        caches: chosen.slugs.get(),
        ..named.get()
    });
    let page = Page {
        navigation,
        chosen,
        query,
        guess: Guess::here(),
        token: TokenDraft::new(chosen.slugs),
    };
    view! {
        <div class="page connect-page">
            <div class="page-head">
                {heading("Connect a machine")}
                <p class="state-sentence">
                    "Two lines let any Nix use a cache: where it is, and whose signature to believe."
                </p>
            </div>
            {head_tabs()}
            {chosen.failure()}
            <div class="connect">
                {form(page)} <div class="connect-output">{changing(move || page.output())}</div>
            </div>
        </div>
    }
    .into_any()
}

impl Page {
    /// The address with another choice.
    fn choose(self, change: impl FnOnce(&mut ConnectQuery)) {
        let mut query = self.query.get_untracked();
        change(&mut query);
        let route = Route::Connect(ConnectRoute::Generate(query));
        self.navigation.replace(&route);
    }

    /// Where the lines go; tracked.
    fn target(self) -> ConnectTarget {
        let named = self.query.with(|query| query.target);
        named.unwrap_or_else(|| self.guess.target())
    }

    fn output(self) -> AnyView {
        let (known, others) = (self.chosen.known(), self.chosen.others());
        if known.is_empty() && others.is_empty() {
            return empty("Choose a cache", view! { <p>"The lines appear here."</p> });
        }
        if self.chosen.waits() {
            return skeleton(6, "Reading what belongs to the caches…");
        }
        let query = self.query.get();
        let written = output(Wish {
            known: &known,
            others: &others,
            query: &query,
            target: self.target(),
            system: self.guess.system,
        });
        let caches: Vec<Cache> = known.into_iter().map(|known| known.cache).collect();
        match written {
            Ok(written) => written_out(self, &caches, &others, &query, &written),
            Err(why) => banner(
                Tone::Bad,
                "These lines cannot be written",
                view! { <p>{why}</p> },
                (),
            ),
        }
    }
}

/// A choice of one of a few, as the browser draws it.
fn select<T: Copy + PartialEq + Send + Sync + 'static>(
    label: &'static str,
    page: Page,
    all: &'static [T],
    word: fn(T) -> &'static str,
    of: fn(&ConnectQuery) -> T,
    set: fn(&mut ConnectQuery, T),
) -> AnyView {
    let id = fresh_id();
    let at = move || {
        page.query
            .with(|query| all.iter().position(|one| *one == of(query)))
    };
    let options = all
        .iter()
        .enumerate()
        .map(|(number, one)| {
            view! { <option value=number.to_string() selected=at() == Some(number)>{word(*one)}</option> }
        })
        .collect_view();
    let choose = move |event| {
        let number: Option<usize> = event_target_value(&event).parse().ok();
        if let Some(one) = number.and_then(|number| all.get(number)) {
            page.choose(|query| set(query, *one));
        }
    };
    view! {
        <div class="field">
            <label for=id.clone()>{label}</label>
            <select id=id prop:value=move || at().unwrap_or_default().to_string() on:change=choose>
                {options}
            </select>
        </div>
    }
    .into_any()
}

/// Where the lines go: sixteen places in four groups.
fn targets(page: Page) -> AnyView {
    let now = move || page.target();
    let groups = TARGETS
        .map(|(group, targets)| {
            let options = targets
                .iter()
                .map(|&(target, word)| {
                    view! { <option value=target.as_str() selected=now() == target>{word}</option> }
                })
                .collect_view();
            view! { <optgroup label=group>{options}</optgroup> }
        })
        .collect_view();
    let choose = move |event| {
        let word = event_target_value(&event);
        let target = ConnectTarget::ALL.iter().find(|one| one.as_str() == word);
        if let Some(target) = target {
            page.guess.remember(*target);
            page.choose(|query| query.target = Some(*target));
        }
    };
    let guessed = move || {
        let unnamed = page.query.with(|query| query.target.is_none());
        unnamed.then(|| page.guess.words())
    };
    view! {
        <div class="field">
            <label for="connect-target">"Where"</label>
            <select
                id="connect-target"
                aria-describedby="connect-target-notes"
                prop:value=move || now().as_str()
                on:change=choose
            >
                {groups}
            </select>
            <p class="field-notes" id="connect-target-notes">
                <small class="field-hint">{guessed}</small>
            </p>
        </div>
    }
    .into_any()
}

/// The form. It is made once, so that the focus stays where the choice was made.
fn form(page: Page) -> AnyView {
    let extras = ConnectExtra::ALL
        .iter()
        .map(|&extra| {
            let (word, why) = extra_words(extra);
            let checked = move || page.query.with(|query| query.extras.contains(&extra));
            let toggle = move |_| {
                page.choose(|query| {
                    if query.extras.contains(&extra) {
                        query.extras.retain(|one| *one != extra);
                    } else {
                        query.extras.push(extra);
                        query.extras.sort_unstable();
                    }
                });
            };
            view! {
                <label class="choice choice-two">
                    <input
                        type="checkbox"
                        name="extra"
                        value=extra.as_str()
                        prop:checked=checked
                        on:change=toggle
                    />
                    <span>{word}</span>
                    <small>{why}</small>
                </label>
            }
        })
        .collect_view();
    let installer = move || {
        (page.target() == ConnectTarget::GitHub).then(|| {
            select(
                "What installs Nix there",
                page,
                ConnectInstaller::ALL,
                installer_word,
                |query| query.installer,
                |query, installer| query.installer = installer,
            )
        })
    };
    let priority = priority_field(
        move || page.query.with(|query| query.priority),
        move |priority| page.choose(|query| query.priority = priority),
    );
    view! {
        <form class="connect-form" on:submit=|event| event.prevent_default()>
            {cache_boxes(page.chosen)}
            {other_caches()}
            {targets(page)}
            {changing(installer)}
            {select(
                "Who are you there",
                page,
                ConnectScope::ALL,
                scope_word,
                |query| query.scope,
                |query, scope| query.scope = scope,
            )}
            {select(
                "Which Nix",
                page,
                ConnectFlavour::ALL,
                flavour_word,
                |query| query.flavour,
                |query, flavour| query.flavour = flavour,
            )}
            {select(
                "How it reads the cache",
                page,
                ConnectAccess::ALL,
                access_word,
                |query| query.access,
                |query, access| query.access = access,
            )}
            {priority}
            <fieldset>
                <legend>"Beside it"</legend>
                {extras}
            </fieldset>
        </form>
    }
    .into_any()
}

fn written_out(
    page: Page,
    caches: &[Cache],
    others: &[TestedCache],
    query: &ConnectQuery,
    written: &Output,
) -> AnyView {
    let warnings: Vec<AnyView> = written
        .warnings
        .iter()
        .map(|(title, words)| {
            let words = words.clone();
            banner(Tone::Warn, title.clone(), view! { <p>{words}</p> }, ())
        })
        .collect();
    let private: Vec<Cache> = caches
        .iter()
        .filter(|cache| cache.visibility != Visibility::Public)
        .cloned()
        .collect();
    let needs_token = match query.access {
        ConnectAccess::Auto => !private.is_empty(),
        // Of a cache of others this server has none to give.
        ConnectAccess::Token => !caches.is_empty(),
        ConnectAccess::Public | ConnectAccess::S3 => false,
    };
    let token = needs_token.then(|| {
        let caches: &[Cache] = if private.is_empty() { caches } else { &private };
        token_card(caches, query.flavour, page.token)
    });
    let unknown = (query.scope == ConnectScope::Unknown).then(who_am_i);
    let trusted = matches!(
        query.scope,
        ConnectScope::Unknown | ConnectScope::User | ConnectScope::Ci
    )
    .then(|| trusted_users(query.scope == ConnectScope::Ci));
    view! {
        {warnings}
        {about_caches(caches)}
        {output_files(&written.files, query)}
        {notes(&written.notes)}
        {token}
        {key_list(caches, others)}
        <div class="steps">
            {step("Apply", &written.apply, None)}
            {step("Check", &written.check, caches.first().map(|cache| (page, cache)))}
            {step("Undo", &written.undo, None)}
        </div>
        {unknown}
        {trusted}
        <p class="muted">
            "Clients remember what a cache answered: a found path for 30 days, a miss for an hour, its priority for a week. "
            <a href=href(&Route::Glossary)>"Words used here"</a>
        </p>
    }
    .into_any()
}

/// What the caches themselves are, where it changes what the lines trust or name.
fn about_caches(caches: &[Cache]) -> Vec<AnyView> {
    let titles = |fits: fn(&Cache) -> bool| {
        let fitting = caches.iter().filter(|cache| fits(cache));
        let titles: Vec<&str> = fitting.map(|cache| cache.title.as_str()).collect();
        titles.join(", ")
    };
    let passing = titles(|cache| cache.signing == Signing::PassThrough);
    let with_upstreams = titles(|cache| {
        let mut upstreams = cache.upstreams.iter();
        upstreams.any(|upstream| upstream.mode == UpstreamMode::Virtual)
    });
    [
        (
            "Each contributor by their own key",
            passing,
            "This cache adds no signature of its own, so these lines trust the key of everybody who may upload. When somebody joins or leaves, they change: take them again, on every machine.",
        ),
        (
            "With its upstreams",
            with_upstreams,
            "What a virtual upstream has does not lie in this cache. Machines fetch it from there, so the lines name both.",
        ),
    ]
    .into_iter()
    .filter(|(_, titles, _)| !titles.is_empty())
    .map(|(what, titles, words)| {
        banner(
            Tone::Warn,
            format!("{what}: {titles}"),
            view! { <p>{words}</p> },
            (),
        )
    })
    .collect()
}

fn notes(notes: &[String]) -> AnyView {
    let items: Vec<AnyView> = notes
        .iter()
        .map(|note| view! { <li>{icon(Icon::Info)} <span>{note.clone()}</span></li> }.into_any())
        .collect();
    (!items.is_empty())
        .then(|| view! { <ul class="output-notes" aria-label="Good to know">{items}</ul> })
        .into_any()
}

/// How to find out who one is.
fn who_am_i() -> AnyView {
    view! {
        <section class="section" aria-labelledby="who-title">
            <div class="section-head">
                <h2 id="who-title">"Admin or normal user?"</h2>
            </div>
            <p>"Ask the daemon, and look at " <code>"\"trusted\""</code> ": 1 means that your own file counts."</p>
            {code_line("Command", "nix store info --json")}
            <p class="muted">
                "Older Nix does not say: " <code>"nix show-config"</code> " lists trusted-users, and " <code>"id -un"</code> " says who you are."
            </p>
        </section>
    }
    .into_any()
}

/// A block of words and commands; `live` is the cache whose live check can begin here.
fn step(title: &'static str, blocks: &[Block], live: Option<(Page, &Cache)>) -> AnyView {
    let drawn: Vec<AnyView> = blocks
        .iter()
        .map(|block| match block {
            Block::Words(words) => view! { <p>{words.clone()}</p> }.into_any(),
            Block::Code(what, text) => code_line(what, text.clone()),
        })
        .collect();
    let live = live.map(|(page, cache)| {
        let (slug, chosen) = (cache.slug.clone(), page.chosen);
        let signs = move || chosen.signs(&slug);
        view! {
            <p>"Or let this server watch whether the machine comes all the way:"</p>
            {begin_button(cache.slug.clone(), "Begin a live check", signs)}
        }
    });
    view! {
        <section class="step">
            <h2>{title}</h2>
            <div>{drawn} {live}</div>
        </section>
    }
    .into_any()
}
