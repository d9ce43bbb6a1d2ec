//! A path of an upload: what happens with it, who signed it, what is in the way.

use leptos::prelude::*;
use snowbank_shared::route::{AccessRoute, Route};

use crate::components::button::{Weight, button};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::code::code_line;
use crate::components::difference::difference;
use crate::components::icon::Icon;
use crate::components::size::size;
use crate::components::store_path::{path_link, path_text};
use crate::format::{self, reproduced_words};
use crate::state::navigation::href;
use crate::upload::session::{Compared, Reported, Row, Stage};
use crate::upload::verdict::{Trouble, Verdict, refused};

/// What is in the way, in a line, and the command that helps.
pub fn trouble_line(trouble: &Trouble) -> AnyView {
    let code = (!trouble.code.is_empty())
        .then(|| view! { <b class="trouble-code">{trouble.code}</b> " " });
    let command = trouble
        .command
        .clone()
        .map(|command| code_line("Command", command));
    let renew = (trouble.code == "U09").then(|| {
        let keys = href(&Route::Access(AccessRoute::Keys));
        view! { " " <a href=keys>"Renew the key"</a> }
    });
    view! {
        <div class="trouble">
            <p>
                {code} <span>{trouble.what.clone()}</span> " " <span class="muted">{trouble.fix.clone()}</span> {renew}
            </p>
            {command}
        </div>
    }
    .into_any()
}

/// The word for what happens with a path.
fn word(row: &Row) -> AnyView {
    let parts = match (&row.stage, &row.verdict) {
        (Stage::Live, _) => (Tone::Ok, Icon::Tick, "Published", "Clients can fetch it"),
        (Stage::Waits(_), _) => (
            Tone::Note,
            Icon::TickClock,
            "Waits",
            "It arrived, and is published once somebody agrees",
        ),
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
            Verdict::New if row.will_wait.is_some() => (
                Tone::Note,
                Icon::TickClock,
                "Will wait",
                "It is sent, and published once somebody agrees",
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
            "Only the server unpacks and hashes it",
        )),
        (None, _) if row.read.is_some() => {
            view! { <span class="muted">"reading…"</span> }.into_any()
        }
        (None, _) => view! { <span class="none">"—"</span> }.into_any(),
    }
}

/// What can be done about a build that differs: see in which files, and leave a report.
fn conflict(cache: &str, row: RwSignal<Row>, acts: Acts) -> Option<AnyView> {
    let differs = row.with(|row| matches!(row.verdict, Verdict::Conflict(_)) && !row.left_out);
    if !differs {
        return None;
    }
    let comparison = match row.with(|row| row.compared.clone()) {
        None => button(Weight::Plain, None, "Compare", move || acts.compare.run(())),
        Some(Compared::Busy) => view! {
            <p role="status"><span class="spinner" aria-hidden="true"></span> " Reading both archives…"</p>
        }
        .into_any(),
        Some(Compared::Done(found)) => view! {
            <p>"Both were built for one path: not reproducible. What is kept is in the cache; the newcomer is yours."</p>
            {difference(&found)}
        }
        .into_any(),
        Some(Compared::Failed(why)) => view! { <p>{why}</p> }.into_any(),
    };
    let shown = row.with(|row| matches!(row.compared, Some(Compared::Done(_))));
    let page = href(&Route::Conflicts {
        cache: cache.to_owned(),
        hash: Some(row.with(|row| row.hash.clone())),
    });
    let report = shown.then(|| match row.with(|row| row.reported.clone()) {
        Reported::No => view! {
            <p>
                "Nothing has to be done: the first stays. You can leave a report, so that others see that the build differs. "
                {button(Weight::Plain, None, "Send mine as a report", move || acts.report.run(()))}
            </p>
        }
        .into_any(),
        Reported::Busy => view! { <p role="status">"Sending it as a report…"</p> }.into_any(),
        Reported::Yes => {
            view! { <p role="status">"The report is there: " <a href=page>"its page"</a></p> }.into_any()
        }
        Reported::Failed(why) => view! { <p role="alert">{why}</p> }.into_any(),
    });
    Some(view! { <div class="upload-conflict">{comparison} {report}</div> }.into_any())
}

/// What the buttons of a row do.
#[derive(Debug, Clone, Copy)]
pub struct Acts {
    /// Leaves the path out, or takes it in again.
    pub leave: Callback<bool>,
    /// Compares it with what is there.
    pub compare: Callback<()>,
    /// Sends it as a report.
    pub report: Callback<()>,
}

/// The row.
pub fn row_of(cache: &str, row: RwSignal<Row>, acts: Acts) -> AnyView {
    let slug = cache.to_owned();
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
                Stage::Refused(why) => Some(trouble_line(&refused(why))),
                Stage::Waits(why) => Some(trouble_line(&Trouble::new("", why.clone(), ""))),
                _ => row
                    .verdict
                    .trouble()
                    .filter(|_| !row.left_out)
                    .map(trouble_line),
            };
            // The archive of what is sent, and was not unpacked.
            let unseen = (row.verified == Some(false)
                && row.stage == Stage::Here
                && matches!(row.verdict, Verdict::New))
            .then(|| {
                trouble_line(&Trouble::new(
                    "U06",
                    "This browser cannot unpack it; the server will check it instead.",
                    "",
                ))
            });
            let upstream = row.upstream.clone().map(
                |url| view! { <p class="trouble muted">"On " <span class="break">{url}</span></p> },
            );
            let will_wait = row
                .will_wait
                .clone()
                .filter(|_| row.stage == Stage::Here && row.is_planned())
                .map(|why| view! { <p class="trouble muted">{why}</p> });
            view! { <div class="upload-path">{name} {upstream} {trouble} {unseen} {will_wait}</div> }
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
    let reproduced = move || {
        let words = row.with(|row| reproduced_words(&row.reproduced_by))?;
        Some(view! { <span class="muted">{words}</span> })
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
            button(Weight::Plain, None, word, move || acts.leave.run(!out))
        })
    };
    view! {
        <tr>
            <th scope="row" class="wrap">
                {changing(name)}
                {changing(move || conflict(&slug, row, acts))}
            </th>
            <td data-label="What happens">
                <span class="upload-word">{changing(move || row.with(word))} {changing(move || row.with(meter))} {changing(reproduced)}</span>
            </td>
            <td class="wrap" data-label="Signed by">{changing(signer)}</td>
            <td data-label="Content">{changing(move || row.with(content))}</td>
            <td class="number" data-label="To send">{changing(to_send)}</td>
            <td class="row-button">{changing(choice)}</td>
        </tr>
    }
    .into_any()
}
