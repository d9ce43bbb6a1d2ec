//! What rules would keep and remove, and what becomes of it: the simulation (`/c/{cache}/gc`), a plan,
//! a run, and taking one path out now.
//!
//! The rules stand in the address ([`asked`]), so that a link shows the same to everybody. A simulation
//! changes nothing: what deletes begins on the pages of plans and purges, behind a typed yes.

mod asked;
mod controls;
mod history;
mod listed;
mod plan;
mod purge;
mod result;
mod run;
mod simulation;
mod target;

use leptos::prelude::*;
use snowbank_shared::api::retention::RETENTION_NEEDS;
use snowbank_shared::route::{MonitoringRoute, Route, escape};

use crate::components::button::{Readiness, Weight, button, button_when, link_button};
use crate::components::changing::changing;
use crate::components::dialog::dialog;
use crate::components::failure::failure_now;
use crate::components::field::{Field, text_field};
use crate::components::icon::Icon;
use crate::components::index_line::{index_banner, index_line};
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::pages::cache::absent_or_failed;
use crate::state::derived::memo;
use crate::state::identity::identity;
use crate::state::live::live_cache;
use crate::state::navigation::href;
use crate::state::remote::Remote;
use crate::state::sending::Sending;

/// The page of an address about retention.
pub fn page(route: &MonitoringRoute) -> AnyView {
    let cache = route.cache();
    match route {
        MonitoringRoute::Plan { id, .. } => plan::page(cache, id),
        MonitoringRoute::Run { id, .. } => run::page(cache, id),
        MonitoringRoute::Purge { hash, .. } => purge::page(cache, hash),
        // Usage and alerts have pages of their own.
        MonitoringRoute::Gc { .. }
        | MonitoringRoute::Usage { .. }
        | MonitoringRoute::Alerts { .. } => simulation::page(cache),
    }
}

/// An address below `/api/v1/caches/{cache}/gc`.
fn gc_path(cache: &str, rest: &str) -> String {
    format!("/caches/{}/gc/{rest}", escape(cache))
}

/// What was asked for, as it is: on its way, not there, failed, or there. A missing endpoint is a failure.
fn found_or<T: Send + Sync + 'static>(
    found: Remote<T>,
    waiting: &'static str,
    absent: impl Fn() -> AnyView + Send + 'static,
    content: impl Fn(&T) -> AnyView + Send + 'static,
) -> AnyView {
    let is_absent = memo(move || {
        found
            .error()
            .is_some_and(|error| error.is_not_found() && error.code() != Some("no-such-endpoint"))
    });
    let body = move || {
        if is_absent.get() {
            return Some(absent());
        }
        match found.get() {
            None => found.error().is_none().then(|| skeleton(6, waiting)),
            Some(found) => Some(content(&found)),
        }
    };
    let failure = move || {
        if is_absent.get() {
            return None;
        }
        failure_now(found)
    };
    view! { {changing(failure)} {changing(body)} }.into_any()
}

/// Whether an act on a cache can be done: not where the server refuses it, its word for why, or the
/// caller may not.
fn readiness(refusal: Option<&String>, cache: &str, sending: Sending) -> Readiness {
    match refusal {
        Some(why) => Readiness::Refused(why.clone()),
        None => sending.readiness(identity().readiness(Some(cache), RETENTION_NEEDS)),
    }
}

/// The page of a plan.
fn plan_address(cache: &str, id: &str) -> String {
    href(&Route::Monitoring(MonitoringRoute::Plan {
        cache: cache.to_owned(),
        id: id.to_owned(),
    }))
}

/// The page of a run.
fn run_route(cache: &str, id: &str) -> Route {
    Route::Monitoring(MonitoringRoute::Run {
        cache: cache.to_owned(),
        id: id.to_owned(),
    })
}

/// What the pages below the simulation share: the head with the way back, and the body.
fn framed(cache: &str, title: &'static str, sentence: AnyView, body: AnyView) -> AnyView {
    let live = live_cache();
    let slug = cache.to_owned();
    page_title(move || format!("{title} – Retention – {slug}"));
    let back = href(&Route::Monitoring(MonitoringRoute::gc(cache)));
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading(title)}
                    <div class="page-actions">
                        {link_button(Weight::Plain, Some(Icon::Retention), "Retention", back)}
                    </div>
                </div>
                <p class="state-sentence">{sentence}</p>
                {index_line(live)}
            </div>
            {index_banner(live)}
            {absent_or_failed(live)}
            {body}
        </div>
    }
    .into_any()
}

/// What is asked before something is taken away, with what has to be typed.
struct Question {
    title: &'static str,
    /// The word on the button.
    verb: &'static str,
    typed: String,
    /// What the typed words are, or what they mean.
    hint: &'static str,
}

/// Asks; `preview` says what would happen, and `act` does it.
fn question(
    asked: Question,
    open: RwSignal<bool>,
    preview: impl Fn() -> AnyView + Send + 'static,
    act: impl Fn() + Copy + Send + 'static,
) -> AnyView {
    let Question {
        title,
        verb,
        typed,
        hint,
    } = asked;
    dialog(title, open, move || {
        let field = Field::new("Type it to go on", hint);
        let wanted = typed.clone();
        let ready = move || match field.value.with(|value| value.trim() == wanted) {
            true => Readiness::Ready,
            false => Readiness::Refused("What is typed is not the same yet.".to_owned()),
        };
        view! {
            {preview()}
            <p>"To go on, type " <code class="break">{typed.clone()}</code> "."</p>
            {text_field(field, "text", "off")}
            <div class="dialog-actions">
                {button(Weight::Plain, None, "Cancel", move || open.set(false))}
                {button_when(
                    Weight::Danger,
                    None,
                    verb,
                    ready,
                    move || {
                        open.set(false);
                        act();
                    },
                )}
            </div>
        }
        .into_any()
    })
}
