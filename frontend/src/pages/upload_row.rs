//! A path of an upload: what happens with it, who signed it, what is in the way.

use leptos::prelude::*;

use crate::components::button::{Weight, button};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::code::code_line;
use crate::components::icon::Icon;
use crate::components::size::size;
use crate::components::store_path::{path_link, path_text};
use crate::format;
use crate::upload::session::{Row, Stage};
use crate::upload::verdict::{Trouble, Verdict};

/// What is in the way, in a line, and the command that helps.
pub fn trouble_line(trouble: &Trouble) -> AnyView {
    let code = (!trouble.code.is_empty())
        .then(|| view! { <b class="trouble-code">{trouble.code}</b> " " });
    let command = trouble
        .command
        .clone()
        .map(|command| code_line("Command", command));
    view! {
        <div class="trouble">
            <p>{code} <span>{trouble.what.clone()}</span> " " <span class="muted">{trouble.fix.clone()}</span></p>
            {command}
        </div>
    }
    .into_any()
}

/// The word for what happens with a path.
fn word(row: &Row) -> AnyView {
    let parts = match (&row.stage, &row.verdict) {
        (Stage::Live, _) => (Tone::Ok, Icon::Tick, "Published", "Clients can fetch it"),
        (Stage::Arrived, _) => (
            Tone::Note,
            Icon::TickClock,
            "Arrived",
            "Its archive is there; it is published behind what it refers to",
        ),
        (Stage::Sending(_), _) => (
            Tone::Note,
            Icon::Upload,
            "Sending",
            "Its archive is on the way",
        ),
        (Stage::Refused(_), _) => (
            Tone::Bad,
            Icon::Cross,
            "Refused",
            "The server did not take it",
        ),
        (Stage::Here, _) if row.left_out && row.upstream.is_some() => (
            Tone::Note,
            Icon::Dash,
            "Skip (upstream)",
            "An upstream of this cache has it, signed, with the same content: it is not sent",
        ),
        (Stage::Here, _) if row.left_out => {
            (Tone::Unknown, Icon::Dash, "Left out", "It is not sent")
        }
        (Stage::Here, verdict) => match verdict {
            Verdict::Waiting => (
                Tone::Unknown,
                Icon::TickClock,
                "Waiting",
                "It is still to be looked at",
            ),
            Verdict::New => (Tone::Ok, Icon::Plus, "New", "It is sent and published"),
            Verdict::Same => (
                Tone::Note,
                Icon::Tick,
                "Same",
                "It is there already: nothing is sent",
            ),
            Verdict::AddSignature => (
                Tone::Ok,
                Icon::Key,
                "Add signature",
                "The same content is there; this signature is added",
            ),
            Verdict::Conflict(_) => (
                Tone::Warn,
                Icon::Warning,
                "Conflict",
                "Other content is there already",
            ),
            Verdict::Broken(_) => (
                Tone::Bad,
                Icon::Cross,
                "Broken",
                "Its files are not what they should be",
            ),
            Verdict::Incomplete(_) => (
                Tone::Bad,
                Icon::Cross,
                "Incomplete closure",
                "It refers to what is nowhere",
            ),
            Verdict::NotAllowed(_) => (
                Tone::Bad,
                Icon::Cross,
                "Not allowed",
                "Nobody who may has signed it",
            ),
        },
    };
    chip(parts)
}

/// How much of the archive was sent or read.
fn meter(row: &Row) -> Option<AnyView> {
    let (label, done) = match (&row.stage, row.read) {
        (Stage::Sending(sent), _) => ("Sent", *sent),
        (Stage::Here, Some(read)) => ("Read", read),
        _ => return None,
    };
    let view = view! {
        <progress class="meter" aria-label=label max=row.file_size.max(1).to_string() value=done.to_string()></progress>
    };
    Some(view.into_any())
}

fn content(row: &Row) -> AnyView {
    match (row.verified, &row.verdict) {
        (Some(true), _) => chip((
            Tone::Ok,
            Icon::Tick,
            "verified",
            "Unpacked and hashed in this tab",
        )),
        (Some(false), Verdict::Broken(_)) => chip((
            Tone::Bad,
            Icon::Cross,
            "differs",
            "It is not what its narinfo says",
        )),
        (Some(false), _) => chip((
            Tone::Note,
            Icon::Dash,
            "server checks",
            "U06: This browser cannot unpack it; the server will check it instead.",
        )),
        (None, _) if row.read.is_some() => {
            view! { <span class="muted">"reading…"</span> }.into_any()
        }
        (None, _) => view! { <span class="none">"—"</span> }.into_any(),
    }
}

/// The row; `leave` leaves the path out, or takes it in again.
pub fn row_of(
    cache: &str,
    row: RwSignal<Row>,
    leave: impl Fn(bool) + Copy + Send + 'static,
) -> AnyView {
    let cache = cache.to_owned();
    let name = move || {
        row.with(|row| {
            let there = matches!(row.stage, Stage::Live)
                || matches!(
                    row.verdict,
                    Verdict::Same | Verdict::AddSignature | Verdict::Conflict(_)
                );
            let name = if there {
                path_link(&cache, &row.hash, format::split_path(&row.path).1)
            } else {
                path_text(&row.path)
            };
            let trouble = match &row.stage {
                Stage::Refused(why) => Some(trouble_line(&Trouble::new("", why.clone(), ""))),
                _ => row
                    .verdict
                    .trouble()
                    .filter(|_| !row.left_out)
                    .map(trouble_line),
            };
            let upstream = row.upstream.clone().map(
                |url| view! { <p class="trouble muted">"On " <span class="break">{url}</span></p> },
            );
            view! { <div class="upload-path">{name} {upstream} {trouble}</div> }
        })
    };
    let signer = move || {
        row.with(|row| match &row.signer {
            Some(name) => view! { <span class="break">{name.clone()}</span> }.into_any(),
            None => view! { <span class="none">"—"</span> }.into_any(),
        })
    };
    let to_send = move || {
        row.with(|row| match row.verdict {
            Verdict::New if !row.left_out => size(row.file_size),
            _ => view! { <span class="none">"—"</span> }.into_any(),
        })
    };
    let choice = move || {
        let (can, out) = row.with(|row| {
            let open = row.stage == Stage::Here;
            (
                open && (row.left_out || row.verdict.sends() || row.verdict.trouble().is_some()),
                row.left_out,
            )
        });
        can.then(|| {
            let word = if out { "Take in" } else { "Leave out" };
            button(Weight::Plain, None, word, move || leave(!out))
        })
    };
    view! {
        <tr>
            <th scope="row" class="wrap">{changing(name)}</th>
            <td data-label="What happens">
                <span class="upload-word">{changing(move || row.with(word))} {changing(move || row.with(meter))}</span>
            </td>
            <td class="wrap" data-label="Signed by">{changing(signer)}</td>
            <td data-label="Content">{changing(move || row.with(content))}</td>
            <td class="number" data-label="To send">{changing(to_send)}</td>
            <td class="row-button">{changing(choice)}</td>
        </tr>
    }
    .into_any()
}
