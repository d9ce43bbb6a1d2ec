//! A failure: what happened, why, what to do, and the id that is in the server's log.

use leptos::prelude::*;
use snowbank_shared::route::{AccessRoute, Route};

use crate::api::ApiError;
use crate::components::banner::{alert, banner};
use crate::components::button::{Weight, button, link_button};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::copy::copy_button;
use crate::components::icon::Icon;
use crate::state::navigation::{href, navigation};
use crate::state::remote::Remote;

/// A failure in the page. Where `stale`, older data stays below it.
pub fn failure(error: &ApiError, stale: bool, retry: impl Fn() + 'static) -> AnyView {
    erased(error, stale, Box::new(retry))
}

fn erased(error: &ApiError, stale: bool, retry: Box<dyn Fn()>) -> AnyView {
    if error.needs_login() {
        return login_first(error);
    }
    let details = error.request_id().map(|id| {
        let id = id.to_owned();
        let copied = format!(
            "{}: {} (code {}, request {id}, {})",
            error.what(),
            error.why(),
            error.code().unwrap_or("none"),
            String::from(js_sys::Date::new_0().to_iso_string()),
        );
        view! {
            <dl>
                <dt>"Request id"</dt>
                <dd>
                    <code class="request-id">{id}</code>
                    {copy_button("Copy the details", false, move || copied.clone())}
                </dd>
            </dl>
        }
    });
    let kept = stale.then_some("What is shown below is older. ");
    let words = view! {
        <p>{error.why()}</p>
        <p>{kept} {error.remedy()}</p>
        {details}
    };
    let tone = if stale { Tone::Warn } else { Tone::Bad };
    let again = button(Weight::Plain, Some(Icon::Again), "Try again", retry);
    alert(tone, error.what(), words, again)
}

/// Nothing failed: who asks is not known yet. Signing in leads back to the page.
fn login_first(error: &ApiError) -> AnyView {
    let back = navigation().route_now().map(|route| route.to_string());
    let login = href(&Route::Access(AccessRoute::login(back)));
    let again = link_button(Weight::Primary, None, "Sign in", login);
    let words = view! {
        <p>{error.why()}</p>
        <p>{error.remedy()}</p>
    };
    banner(Tone::Note, error.what(), words, again)
}

/// The failure of a remote value, where it has one.
pub fn failure_of<T: Send + Sync + 'static>(remote: Remote<T>) -> AnyView {
    changing(move || failure_now(remote))
}

/// The same, as it is now; tracked.
pub fn failure_now<T: Send + Sync + 'static>(remote: Remote<T>) -> Option<AnyView> {
    let error = remote.error()?;
    Some(failure(&error, remote.is_there(), move || remote.reload()))
}
