//! Why retention keeps a path or would remove it, and what became of a path that it took out.

use leptos::prelude::*;
use snowbank_shared::api::retention::{Gone, RETENTION_NEEDS, SIMULATING_NEEDS, WhyKept};
use snowbank_shared::route::{MonitoringRoute, PinsRoute, Route, escape};

use crate::components::ago::ago;
use crate::components::banner::banner;
use crate::components::button::Readiness;
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::failure::failure_of;
use crate::components::layout::card;
use crate::components::store_path::path_link;
use crate::format;
use crate::pages::path::PathPage;
use crate::state::derived::memo;
use crate::state::identity::identity;
use crate::state::navigation::href;
use crate::state::remote::Remote;

/// Asks why the path stays, or would go, by the rules of the cache; where who looks may know.
pub fn asked(page: PathPage) -> Remote<WhyKept> {
    Remote::new(move || {
        // A pin that was just made is an answer.
        page.detail.get()?;
        let (cache, hash) = (page.cache.get_value(), page.hash.get_value());
        let may = identity().may(Some(&cache), SIMULATING_NEEDS);
        may.then(|| format!("/caches/{}/gc/why/{hash}", escape(&cache)))
    })
}

/// The answer.
pub fn kept(page: PathPage, answer: Remote<WhyKept>) -> AnyView {
    let ready = memo(move || identity().readiness(Some(&page.cache.get_value()), SIMULATING_NEEDS));
    let body = move || match (ready.get(), answer.get()) {
        (Readiness::Refused(why), _) => Some(view! { <p class="muted">{why}</p> }.into_any()),
        (_, Some(why)) => Some(told(&page.cache.get_value(), &why)),
        (_, None) => answer
            .error()
            .is_none()
            .then(|| view! { <p class="muted">"Asking the rules…"</p> }.into_any()),
    };
    let body =
        view! { <div id="why-kept" class="gc-gone">{failure_of(answer)} {changing(body)}</div> };
    card("Why it stays or goes", (), body)
}

fn told(cache: &str, why: &WhyKept) -> AnyView {
    let verdict = match (&why.pin, &why.by, why.kept) {
        (Some((pin, revision)), _, true) => {
            let route = Route::Pins(PinsRoute::revision(cache, &**pin, *revision));
            let name = format!("{pin}@{revision}");
            view! { <p><b>"It stays: the pin "<a class="cell-link mono" href=href(&route)>{name}</a>" keeps it."</b></p> }
                .into_any()
        }
        (None, Some(by), true) => view! { <p><b>{format!("It stays: {by}.")}</b></p> }.into_any(),
        (None, None, true) => view! { <p><b>"It stays."</b></p> }.into_any(),
        (_, _, false) => {
            view! { <p><b>"It would go: no rule keeps it, and nothing that stays needs it."</b></p> }
                .into_any()
        }
    };
    let chain = (why.chain.len() > 1).then(|| {
        let steps = why
            .chain
            .iter()
            .map(|step| view! { <li>{path_link(cache, &step.hash, &step.name)}</li> })
            .collect_view();
        view! { <p>"Needed along:"</p> <ol class="gc-chain">{steps}</ol> }
    });
    let rules = why
        .trace
        .iter()
        .map(|said| {
            let verb = if said.keeps { "keeps it" } else { "does not keep it" };
            view! { <li>{format!("{} {verb}: {}.", format::sentence(&said.rule).trim_end_matches('.'), said.why)}</li> }
        })
        .collect_view();
    let simulate = href(&Route::Monitoring(MonitoringRoute::gc(cache)));
    view! {
        {verdict}
        {chain}
        <details class="explain gc-why">
            <summary>"What each rule says of it"</summary>
            <ul class="plain-list">{rules}</ul>
        </details>
        <p class="muted">"By the rules of this cache. "<a class="cell-link" href=simulate>"Simulate others"</a></p>
    }
    .into_any()
}

/// Who took the path out, when and by which plan, where somebody did.
pub fn gone(page: PathPage) -> AnyView {
    let path = format!(
        "/caches/{}/gc/gone/{}",
        escape(&page.cache.get_value()),
        page.hash.get_value()
    );
    let found = Remote::<Gone>::new(move || Some(path.clone()));
    let drawn = move || {
        let cache = page.cache.get_value();
        found.get().map(|gone| tombstone(&cache, &gone))
    };
    view! { <div id="tombstone">{changing(drawn)}</div> }.into_any()
}

fn tombstone(cache: &str, gone: &Gone) -> AnyView {
    let by = match gone.by.as_str() {
        "" => String::new(),
        by => format!(" by {}", format::visible(by)),
    };
    let name = gone
        .name
        .as_ref()
        .map(|name| view! { <code class="break">{format::visible(name)}</code> " " });
    let reason = gone
        .reason
        .as_ref()
        .filter(|reason| !reason.is_empty())
        .map(|reason| view! { <p>{format::sentence(&format::visible(reason))}</p> });
    let plan = gone.plan.as_ref().map(|id| {
        let route = Route::Monitoring(MonitoringRoute::Plan {
            cache: cache.to_owned(),
            id: id.clone(),
        });
        view! { <p>"By the plan "<a class="cell-link mono" href=href(&route)>{id.clone()}</a>"."</p> }
    });
    let run = gone.run.as_ref().map(|id| {
        let route = Route::Monitoring(MonitoringRoute::Run {
            cache: cache.to_owned(),
            id: id.clone(),
        });
        let undo = gone.undo_until.as_ref().map(|until| {
            let day = until.split('T').next().unwrap_or_default().to_owned();
            format!(", which can be undone until {day}")
        });
        view! { <p>"By the run "<a class="cell-link mono" href=href(&route)>{id.clone()}</a>{undo}"."</p> }
    });
    let (title, word) = match gone.purged {
        true => (
            "This path was purged",
            "was deleted for ever, and this content is refused,",
        ),
        false => ("Retention removed this path", "was removed"),
    };
    let may_purge = identity().may(Some(cache), RETENTION_NEEDS);
    let purge = (may_purge && gone.undo_until.is_some()).then(|| {
        let route = Route::Monitoring(MonitoringRoute::Purge {
            cache: cache.to_owned(),
            hash: gone.hash.clone(),
        });
        view! { <p>"Did something in it leak? It can be "<a class="cell-link" href=href(&route)>"purged from the trash"</a>"."</p> }
    });
    let words = view! {
        <p>{name} {word} {by} ", " {ago(&gone.at)} "."</p>
        {reason}
        {plan}
        {run}
        {purge}
    };
    banner(Tone::Warn, title, words, ())
}
