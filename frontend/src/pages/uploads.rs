//! `/c/{cache}/uploads`: the uploads of the last seven days, how far each is, and by whom.

use std::time::Duration;

use leptos::prelude::*;
use snowbank_shared::api::Page;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::uploads::{SessionState, UploadSession};
use snowbank_shared::route::Route;

use crate::api;
use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::banner::empty;
use crate::components::button::{Weight, link_button};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::choice::check;
use crate::components::code::code_file;
use crate::components::failure::failure_of;
use crate::components::icon::Icon;
use crate::components::layout::table;
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::state::identity::identity;
use crate::state::navigation::href;
use crate::state::remote::Remote;
use crate::state::session::session as site;

/// How often a list with something on its way is asked for again.
const EVERY: Duration = Duration::from_secs(5);

/// The page.
pub fn page(cache: &str) -> AnyView {
    let slug = cache.to_owned();
    page_title(move || format!("Uploads to {slug}"));
    let all = RwSignal::new(false);
    let base = api::uploads_path(cache);
    let path = move || {
        let query = if all.get() { "?all=true" } else { "" };
        format!("{base}{query}")
    };
    let shown = path.clone();
    let found = Remote::<Page<UploadSession>>::new(move || Some(path()));
    renewed(move || {
        let list = found.get_now();
        let goes_on = list.is_some_and(|list| {
            list.items
                .iter()
                .any(|session| session.state == SessionState::Open)
        });
        if goes_on {
            found.reload();
        }
    });
    let slug = cache.to_owned();
    let content = move || match found.get() {
        None => found
            .is_waiting()
            .then(|| skeleton(4, "Reading the uploads…")),
        Some(list) if list.items.is_empty() => Some(nothing(&slug)),
        Some(list) => Some(rows(&slug, &list.items)),
    };
    let slug = cache.to_owned();
    let identity = identity();
    let of_all = move || {
        identity
            .may(Some(&slug), Act::Maintain)
            .then(|| check("Everybody's", "", all))
    };
    let form = href(&Route::Upload {
        cache: cache.to_owned(),
    });
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Uploads")}
                    <div class="page-actions">
                        {changing(of_all)} {link_button(Weight::Primary, Some(Icon::Upload), "Upload", form)}
                        {api_button(shown)}
                    </div>
                </div>
                <p class="state-sentence">
                    "Uploads from browsers. Each is kept for seven days: until then it can be gone on with, and its receipt read."
                </p>
            </div>
            {failure_of(found)}
            {changing(content)}
        </div>
    }
    .into_any()
}

/// Does something again and again, as long as the page is there.
pub fn renewed(act: impl Fn() + 'static) {
    let timer = set_interval_with_handle(act, EVERY).ok();
    on_cleanup(move || {
        if let Some(timer) = timer {
            timer.clear();
        }
    });
}

/// What stands where the list would, with what a machine does instead.
fn nothing(cache: &str) -> AnyView {
    let slug = cache.to_owned();
    let ci = move || {
        let address = site()
            .find(&slug)
            .map_or_else(|| format!("https://…/{slug}"), |cache| cache.url);
        code_file(
            "In CI",
            format!(
                "# The token's lines are in the netrc file, the key in $NIX_KEY.\nnix build .#default\nnix store sign -r -k \"$NIX_KEY\" .#default\nnix copy --to '{address}' .#default"
            ),
            "upload.sh",
        )
    };
    let words = view! {
        <p>"Nothing was uploaded from a browser in the last seven days. Machines upload without a session:"</p>
        {changing(ci)}
    };
    empty("No uploads", words)
}

fn rows(cache: &str, sessions: &[UploadSession]) -> AnyView {
    let rows = sessions
        .iter()
        .map(|session| row(cache, session))
        .collect_view();
    table(
        "Uploads",
        "table is-roomy",
        &[
            ("From", "", "The folder or file that was chosen"),
            ("State", "", ""),
            (
                "Published",
                "number",
                "Paths of the upload that are published",
            ),
            ("Arrived", "number", "Bytes of archives that have arrived"),
            ("By", "", ""),
            ("Began", "", ""),
        ],
        rows,
    )
}

fn row(cache: &str, session: &UploadSession) -> AnyView {
    let address = href(&Route::UploadSession {
        cache: cache.to_owned(),
        id: session.id.clone(),
    });
    let from = match session.from.as_str() {
        "" => "(no name)".to_owned(),
        from => format::visible(from),
    };
    let waiting = match session.waiting {
        0 => String::new(),
        1 => ", 1 waits".to_owned(),
        many => format!(", {} wait", format::count(many)),
    };
    let published = format!(
        "{} of {}{waiting}",
        format::count(session.published),
        format::count(session.paths)
    );
    let arrived = format!(
        "{} of {}",
        format::size(session.arrived),
        format::size(session.bytes)
    );
    view! {
        <tr>
            <th scope="row" class="wrap"><a href=address>{from}</a></th>
            <td data-label="State">{state_chip(session)}</td>
            <td class="number" data-label="Published">{published}</td>
            <td class="number" data-label="Arrived">{arrived}</td>
            <td class="wrap" data-label="By">{session.by.clone()}</td>
            <td data-label="Began">{ago(&session.began_at)}</td>
        </tr>
    }
    .into_any()
}

/// The word for how far a session is.
pub fn state_chip(session: &UploadSession) -> AnyView {
    chip(match session.state {
        SessionState::Open if session.refused > 0 => (
            Tone::Warn,
            Icon::Warning,
            "Not finished",
            "Some of it was refused; it can be gone on with",
        ),
        SessionState::Open if session.is_over && session.waiting > 0 => (
            Tone::Note,
            Icon::TickClock,
            "Waits",
            "All of it has come; some is published once somebody agrees",
        ),
        SessionState::Open => (
            Tone::Note,
            Icon::Upload,
            "Open",
            "It is being sent, or can be gone on with",
        ),
        SessionState::Committed => (
            Tone::Ok,
            Icon::Tick,
            "Done",
            "What was to be sent is published",
        ),
        SessionState::Cancelled => (
            Tone::Unknown,
            Icon::Dash,
            "Cancelled",
            "Somebody gave it up; what was published stays",
        ),
    })
}
