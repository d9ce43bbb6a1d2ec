//! `/c/{cache}/usage`: how large a cache is and what it costs, who finds what in it, what is missed,
//! and who measures all that. The tab and the time stand in the address ([`asked`]).
//!
//! Not measured is a state of its own, with what to do about it; it is never drawn as zero.

mod asked;
mod clients;
mod costs;
mod egress;
mod figures;
mod link;
mod lists;
mod misses;
mod range;
mod sources;
mod steps;
mod storage;
mod storage_facts;
mod traffic;

use leptos::prelude::*;
use snowbank_shared::route::{MonitoringRoute, Route};

use crate::components::ago::{ago, now};
use crate::components::api_button::api_button;
use crate::components::banner::banner;
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::copy::copy_link_button;
use crate::components::index_line::{index_banner, index_line};
use crate::components::layout;
use crate::components::page_head::{heading, page_title};
use crate::components::plot::Span;
use crate::pages::cache::absent_or_failed;
use crate::state::derived::memo;
use crate::state::live::{LiveCache, live_cache};
use crate::state::navigation::{Navigation, absolute, href, navigation};
use asked::{Asked, Tab};

pub use costs::money;

/// What the parts of the page share. Copy it freely.
#[derive(Clone, Copy)]
struct Usage {
    cache: StoredValue<String>,
    /// What the address asks for.
    asked: Memo<Asked>,
    /// The time that is shown, with both ends.
    span: Memo<Span>,
    /// Whether access logs are read, as far as it is known.
    logs: RwSignal<bool>,
    live: LiveCache,
    navigation: Navigation,
}

impl Usage {
    /// Changes the address; Back leads to the page before this one.
    fn change(self, change: impl FnOnce(&mut Asked)) {
        let mut asked = self.asked.get_untracked();
        // What came since a link was made is no longer what is looked at.
        asked.at = None;
        change(&mut asked);
        self.navigation.replace(&asked.of(&self.cache.get_value()));
    }
}

/// The page.
pub fn page(cache: &str) -> AnyView {
    let navigation = navigation();
    let asked = Memo::new(move |before: Option<&Asked>| match navigation.route() {
        Some(Route::Monitoring(MonitoringRoute::Usage { query, .. })) => Asked::parse(&query),
        // On the way to another page.
        _ => before.cloned().unwrap_or_default(),
    });
    let live = live_cache();
    let usage = Usage {
        cache: StoredValue::new(cache.to_owned()),
        asked,
        span: memo(move || {
            live.renewals.track();
            asked.get().range.span(now())
        }),
        logs: RwSignal::new(false),
        live,
        navigation,
    };
    let tab = memo(move || asked.get().tab);
    page_title(move || {
        let word = Tab::ALL
            .iter()
            .find(|(one, ..)| *one == tab.get())
            .map_or("", |(_, _, word)| *word);
        format!("Usage: {word} – {}", usage.cache.get_value())
    });
    let copied = move || {
        let asked = usage.asked.get_untracked().absolute(now());
        absolute(&asked.of(&usage.cache.get_value()).to_string())
    };
    let data = move || match tab.get() {
        Tab::Storage => storage::storage_path(usage),
        Tab::Traffic | Tab::Sources => figures::usage_path(usage, ""),
        Tab::Misses => figures::usage_path(usage, "/misses"),
        Tab::Clients => figures::usage_path(usage, "/clients"),
    };
    let body = move || match tab.get() {
        Tab::Storage => storage::tab(usage),
        Tab::Traffic => traffic::tab(usage),
        Tab::Misses => misses::tab(usage),
        Tab::Clients => clients::tab(usage),
        Tab::Sources => sources::tab(usage),
    };
    view! {
        <div class="page usage-page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Usage")} <div class="page-actions">{copy_link_button(copied)} {api_button(data)}</div>
                </div>
                <p class="state-sentence">
                    "What the cache holds and costs, who finds what in it, and what is asked for in vain."
                </p>
                {index_line(live)}
            </div>
            {index_banner(live)}
            {absent_or_failed(live)}
            {changing(move || made_up(live))}
            {link::made_at(usage)}
            {tabs(usage)}
            {range::bar(usage)}
            {changing(body)}
        </div>
    }
    .into_any()
}

/// That what is shown of the past was generated, where it was.
fn made_up(live: LiveCache) -> Option<AnyView> {
    let until = live.cache.get()?.generated_until.clone()?;
    let words = view! {
        <p>"This server is a demonstration: what it shows of the time until " {ago(&until)} " was generated. What came since is measured."</p>
    };
    Some(banner(Tone::Note, "These figures are made up", words, ()))
}

fn tabs(usage: Usage) -> AnyView {
    let asked = usage.asked;
    let links = Tab::ALL
        .into_iter()
        .map(|(tab, _, word)| {
            let address = move || {
                let to = Asked { tab, ..asked.get() };
                href(&to.of(&usage.cache.get_value()))
            };
            view! {
                <a href=address aria-current=move || (asked.get().tab == tab).then_some("page")>
                    {word}
                </a>
            }
            .into_any()
        })
        .collect();
    layout::tabs("Parts of the usage", links)
}
