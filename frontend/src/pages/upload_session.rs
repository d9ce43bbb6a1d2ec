//! `/c/{cache}/uploads/{id}`: how far an upload is, as anybody who uploads here can follow it; at
//! its end the receipt.

use std::sync::Arc;

use leptos::prelude::*;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::uploads::{Outcome, SessionState, UploadReceipt, UploadedPath};
use snowbank_shared::route::{ContributeRoute, PathTab, Route};

use crate::api;
use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::banner::{banner, empty};
use crate::components::button::{Readiness, Weight, button, button_when, link_button};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::code::{code_line, save};
use crate::components::dialog::{Confirm, confirm};
use crate::components::failure::failure_of;
use crate::components::icon::Icon;
use crate::components::layout::{fact, facts, progress, section, table};
use crate::components::page_head::{heading, page_title};
use crate::components::size::size;
use crate::components::skeleton::skeleton;
use crate::components::store_path::{path_link, path_text};
use crate::format;
use crate::pages::uploads::{renewed, state_chip};
use crate::state::identity::identity;
use crate::state::navigation::href;
use crate::state::remote::Remote;
use crate::state::sending::Sending;
use crate::state::session::session as site;

/// Rows drawn at most; the receipt has all.
const MOST_ROWS: usize = 500;
/// Paths named in a message at most.
const MOST_NAMED: usize = 20;

/// The page.
pub fn page(cache: &str, id: &str) -> AnyView {
    page_title(|| "Upload".to_owned());
    let path = api::upload_path(cache, id);
    let source = path.clone();
    let found = Remote::<UploadReceipt>::new(move || Some(source.clone()));
    renewed(move || {
        let receipt = found.get_now();
        if receipt.is_some_and(|receipt| receipt.session.state == SessionState::Open) {
            found.reload();
        }
    });
    let slug = cache.to_owned();
    let list = href(&Route::Uploads {
        cache: cache.to_owned(),
    });
    let back = list.clone();
    let content = move || match found.get() {
        None if found.error().is_some_and(|error| error.is_not_found()) => Some(empty(
            "No such upload",
            view! {
                <p>"It has expired, or never was: uploads are kept for seven days. What it published stays."</p>
                <p><a href=back.clone()>"All uploads"</a></p>
            },
        )),
        None => found
            .is_waiting()
            .then(|| skeleton(6, "Reading the upload…")),
        Some(receipt) => Some(shown(&slug, &receipt, found)),
    };
    let failed = move || {
        let gone = found.error().is_some_and(|error| error.is_not_found()) && !found.is_there();
        (!gone).then(|| failure_of(found))
    };
    view! {
        <div class="page upload-page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Upload")}
                    <div class="page-actions">
                        {link_button(Weight::Plain, None, "All uploads", list)} {api_button(move || path.clone())}
                    </div>
                </div>
            </div>
            {changing(failed)}
            {changing(content)}
        </div>
    }
    .into_any()
}

fn shown(cache: &str, receipt: &Arc<UploadReceipt>, found: Remote<UploadReceipt>) -> AnyView {
    let session = &receipt.session;
    let mut lines = vec![
        fact("From", format::visible(&session.from)),
        fact("State", state_chip(session)),
        fact("By", session.by.clone()),
        fact("Began", ago(&session.began_at)),
    ];
    if let Some(ended) = &session.ended_at {
        lines.push(fact("Ended", ago(ended)));
    }
    if session.state == SessionState::Open {
        lines.push(fact(
            "Kept until",
            session.expires_at.get(..10).unwrap_or_default().to_owned(),
        ));
    }
    let arrived = (session.state == SessionState::Open).then(|| {
        progress(
            "Arrived",
            session.arrived,
            session.bytes,
            format!(
                "{} of {} arrived, {} of {} published.",
                format::size(session.arrived),
                format::size(session.bytes),
                format::count(session.published),
                format::counted(session.paths, "path", "paths"),
            ),
        )
    });
    let kept = Arc::clone(receipt);
    let download = button(Weight::Plain, Some(Icon::Download), "Receipt", move || {
        let text = serde_json::to_string_pretty(&*kept).unwrap_or_default();
        save(
            text.as_bytes(),
            &format!("receipt-{}.json", kept.session.id),
        );
    });
    view! {
        {facts(lines)}
        {arrived}
        <div class="link-row">{download} {go_on(cache, receipt)} {give_up(cache, receipt, found)}</div>
        {live(cache, receipt)}
        {waits(cache, receipt)}
        {problems(receipt)}
        {paths(cache, receipt)}
    }
    .into_any()
}

/// The way back to the form, for whose it is.
fn go_on(cache: &str, receipt: &UploadReceipt) -> Option<AnyView> {
    let session = &receipt.session;
    // What was refused can be mended and sent again.
    let is_over = session.is_over && session.refused == 0;
    let open = receipt.is_own && session.state == SessionState::Open && !is_over;
    open.then(|| {
        let form = href(&Route::Upload {
            cache: cache.to_owned(),
        });
        link_button(Weight::Plain, Some(Icon::Upload), "Go on with it", form)
    })
}

/// Takes what is on its way back; asked first.
fn give_up(cache: &str, receipt: &UploadReceipt, found: Remote<UploadReceipt>) -> Option<AnyView> {
    if receipt.session.state != SessionState::Open {
        return None;
    }
    let (is_own, by) = (receipt.is_own, receipt.session.by.clone());
    let (identity, slug) = (identity(), cache.to_owned());
    let sending = Sending::new();
    let readiness = move || {
        let maintains = identity.readiness(Some(&slug), Act::Maintain) == Readiness::Ready;
        sending.readiness(if is_own || maintains {
            Readiness::Ready
        } else {
            Readiness::Refused(format!(
                "This upload is {by}'s. Maintainers can cancel it too."
            ))
        })
    };
    let open = RwSignal::new(false);
    let path = api::upload_path(cache, &receipt.session.id);
    let published = receipt.session.published;
    let question = confirm(
        Confirm {
            title: "Cancel this upload",
            verb: "Cancel it",
            typed: None,
        },
        open,
        move || {
            let words = format!(
                "What has arrived and is not published is discarded. {} published and {} so.",
                format::counted(published, "path is", "paths are"),
                if published == 1 { "stays" } else { "stay" },
            );
            view! { <p>{words}</p> }.into_any()
        },
        move || sending.send("DELETE", path.clone(), None, move |_| found.reload()),
    );
    let button = button_when(Weight::Danger, None, "Cancel", readiness, move || {
        open.set(true);
    });
    Some(view! { {button} {question} {sending.notice()} }.into_any())
}

/// What can be fetched now, and how.
fn live(cache: &str, receipt: &UploadReceipt) -> Option<AnyView> {
    let published = |path: &&UploadedPath| path.outcome == Outcome::Published;
    // The last is what nothing else of it refers to.
    let top = receipt.paths.iter().rev().find(published)?;
    let count = receipt.paths.iter().filter(published).count() as u64;
    let (hash, name) = format::split_path(&top.path);
    let closure = href(&Route::Path {
        cache: cache.to_owned(),
        hash: hash.to_owned(),
        tab: PathTab::Closure,
    });
    let page = href(&Route::path(cache, hash));
    let command = site().find(cache).map(|cache| {
        let line = format!(
            "nix-store -r {} --option substituters {}",
            top.path, cache.url
        );
        code_line("Fetch it", line)
    });
    let words = view! {
        <p>
            {path_link(cache, hash, name)} " and " <a href=closure>"its closure"</a>
            " are fetched, on a machine that trusts this cache, with:"
        </p>
        {command}
        <p class="muted">
            "Where the form did not pin it, a Maintainer pins it on " <a href=page>"its page"</a> ", so that it stays."
        </p>
        <p class="muted">
            "Machines that asked for one of these paths in the last hour may still believe that it is missing: "
            <code>"rm ~/.cache/nix/binary-cache-v*.sqlite*"</code> " makes them ask again."
        </p>
    };
    let title = format!("Published: {}", format::counted(count, "path", "paths"));
    Some(banner(Tone::Ok, title, words, ()))
}

/// The page of what waits or waited.
fn approval_link(cache: &str, path: &UploadedPath) -> Option<AnyView> {
    let address = href(&Route::Contribute(ContributeRoute::Approval {
        cache: cache.to_owned(),
        id: path.approval.clone()?,
    }));
    Some(view! { " " <a href=address>"Its approval"</a> }.into_any())
}

/// What waits: for what, and where that is decided.
fn waits(cache: &str, receipt: &UploadReceipt) -> Option<AnyView> {
    let waiting = receipt.session.waiting;
    let items = receipt
        .paths
        .iter()
        .filter(|path| path.outcome == Outcome::Waiting)
        .take(MOST_NAMED)
        .map(|path| {
            let why = path.reason.clone().unwrap_or_default();
            view! {
                <li>
                    {path_text(&path.path)} " " <span>{format::sentence(&why)}</span> {approval_link(cache, path)}
                </li>
            }
        })
        .collect_view();
    (waiting > 0).then(|| {
        let title = format!("Waits: {}", format::counted(waiting, "path", "paths"));
        let queue = href(&Route::Contribute(ContributeRoute::approvals(cache)));
        let words = view! {
            <ul>{items}</ul>
            <p class="muted">
                "These have arrived and cannot be fetched yet; nothing has to be sent again. All that waits: "
                <a href=queue>"Approvals"</a> "."
            </p>
        };
        banner(Tone::Note, title, words, ())
    })
}

/// What was refused.
fn problems(receipt: &UploadReceipt) -> Option<AnyView> {
    let refused: Vec<AnyView> = receipt
        .paths
        .iter()
        .filter(|path| path.outcome == Outcome::Refused)
        .take(MOST_NAMED)
        .map(|path| {
            let why = path.reason.clone().unwrap_or_default();
            view! { <li>{path_text(&path.path)} " " <span>{format::sentence(&why)}</span></li> }
                .into_any()
        })
        .collect();
    (!refused.is_empty()).then(|| {
        let title = format!(
            "{} refused",
            format::counted(receipt.session.refused, "path was", "paths were")
        );
        let words = view! {
            <ul>{refused}</ul>
            <p class="muted">"Nothing of these can be fetched. What was refused can be mended and sent again."</p>
        };
        banner(Tone::Bad, title, words, ())
    })
}

fn paths(cache: &str, receipt: &UploadReceipt) -> AnyView {
    let rows = receipt
        .paths
        .iter()
        .take(MOST_ROWS)
        .map(|path| row(cache, path))
        .collect_view();
    let rest = receipt.paths.len().saturating_sub(MOST_ROWS);
    let more = (rest > 0).then(|| {
        let words = format!("And {} more, in the receipt.", format::count(rest as u64));
        view! { <p class="muted">{words}</p> }
    });
    section(
        "Paths",
        (),
        view! {
            {table(
                "Paths of the upload",
                "table is-roomy",
                &[
                    ("Path", "", ""),
                    ("What came of it", "", ""),
                    ("Signed by", "", "The signatures that it has in this cache"),
                    ("NarHash", "col-2", ""),
                    ("Archive", "number", ""),
                ],
                rows,
            )}
            {more}
        },
    )
}

fn row(cache: &str, path: &UploadedPath) -> AnyView {
    let (hash, name) = format::split_path(&path.path);
    let shown = if path.signatures.is_empty() && path.outcome != Outcome::Published {
        path_text(&path.path)
    } else {
        path_link(cache, hash, name)
    };
    let reason = path
        .reason
        .as_ref()
        .filter(|_| {
            matches!(
                path.outcome,
                Outcome::Waiting | Outcome::Refused | Outcome::LeftOut
            )
        })
        .map(|why| {
            view! { <p class="trouble muted">{format::sentence(why)} {approval_link(cache, path)}</p> }
        });
    let signatures = if path.signatures.is_empty() {
        "—".to_owned()
    } else {
        path.signatures.join(", ")
    };
    view! {
        <tr>
            <th scope="row" class="wrap"><div class="upload-path">{shown} {reason}</div></th>
            <td data-label="What came of it">{outcome(path.outcome)}</td>
            <td class="wrap" data-label="Signed by">{signatures}</td>
            <td class="col-2 wrap" data-label="NarHash"><code class="hash">{path.nar_hash.clone()}</code></td>
            <td class="number" data-label="Archive">{size(path.file_size)}</td>
        </tr>
    }
    .into_any()
}

fn outcome(outcome: Outcome) -> AnyView {
    chip(match outcome {
        Outcome::Planned => (
            Tone::Unknown,
            Icon::TickClock,
            "Planned",
            "Nothing of it has come yet",
        ),
        Outcome::Arriving => (
            Tone::Note,
            Icon::Upload,
            "Arriving",
            "Parts of its archive are here",
        ),
        Outcome::Arrived => (
            Tone::Note,
            Icon::TickClock,
            "Arrived",
            "Its archive is here and verified; its narinfo is not",
        ),
        Outcome::Published => (Tone::Ok, Icon::Tick, "Published", "Clients can fetch it"),
        Outcome::Waiting => (
            Tone::Note,
            Icon::TickClock,
            "Waits",
            "It is here, and published once what it waits for has come",
        ),
        Outcome::Refused => (
            Tone::Bad,
            Icon::Cross,
            "Refused",
            "The server did not take it",
        ),
        Outcome::LeftOut => (
            Tone::Unknown,
            Icon::Dash,
            "Left out",
            "Nothing of it was to be sent",
        ),
    })
}
