//! What an upload comes to: sums, what to decide, how far it is, what came of it.

use leptos::prelude::*;
use snowbank_shared::route::{ContributeRoute, Route};

use crate::components::banner::{alert, banner, done_line};
use crate::components::button::{Readiness, Weight, button, button_when, link_button};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::choice::check;
use crate::components::code::code_line;
use crate::components::dialog::dialog;
use crate::components::icon::Icon;
use crate::components::key_file::key_file;
use crate::components::layout::{section, table};
use crate::format;
use crate::pages::upload::Kept;
use crate::pages::upload_pin::pinning;
use crate::pages::upload_row::{Acts, row_of};
use crate::state::derived::memo;
use crate::state::navigation::href;
use crate::state::session::session as site;
use crate::upload::session::{Phase, Row, Session, Stage, View};
use crate::upload::verdict::Verdict;

/// Rows drawn at most; all of them are sent.
const MOST_ROWS: usize = 500;

/// Counts over the rows.
#[derive(Default, Clone, PartialEq, Eq)]
struct Sum {
    paths: u64,
    unpacked: u64,
    planned: u64,
    to_send: u64,
    sent: u64,
    live: u64,
    waits: u64,
    same: u64,
    skipped: u64,
    problems: u64,
    refused: u64,
    waiting: u64,
    unsigned: u64,
    secrets: Vec<(String, String)>,
}

fn sum(view: View) -> Sum {
    let mut sum = Sum::default();
    for row in view.rows.get() {
        row.with(|row| {
            sum.paths += 1;
            // Whatever a narinfo claims.
            sum.unpacked = sum.unpacked.saturating_add(row.nar_size);
            sum.same += u64::from(row.verdict == Verdict::Same);
            sum.skipped += u64::from(row.left_out && row.upstream.is_some());
            sum.waiting += u64::from(row.verdict == Verdict::Waiting && !row.left_out);
            sum.unsigned += u64::from(matches!(row.verdict, Verdict::NotAllowed(_)));
            sum.problems += u64::from(row.verdict.trouble().is_some() && !row.left_out);
            if row.is_planned() {
                sum.planned += 1;
                let size = if row.verdict == Verdict::New {
                    row.file_size
                } else {
                    0
                };
                sum.to_send += size;
                sum.sent += match &row.stage {
                    Stage::Here | Stage::Refused(_) => 0,
                    Stage::Sending(sent) => (*sent).min(size),
                    Stage::Arrived | Stage::Live | Stage::Waits(_) => size,
                };
                sum.live += u64::from(row.stage == Stage::Live);
                sum.waits += u64::from(matches!(row.stage, Stage::Waits(_)));
                sum.refused += u64::from(matches!(row.stage, Stage::Refused(_)));
                let path = format::split_path(&row.path).1;
                sum.secrets.extend(
                    row.secrets
                        .iter()
                        .map(|(file, kind)| (format!("{path}: {file}"), kind.clone())),
                );
            }
        });
    }
    sum
}

/// What is planned, what is asked, how far it is.
pub fn plan(cache: &str, kept: Kept, view: View) -> AnyView {
    let sums = memo(move || sum(view));
    let only_problems = RwSignal::new(false);
    let pin = pinning(cache, kept, view);
    let slug = cache.to_owned();
    let rows = move || {
        let only = only_problems.get();
        view.rows
            .get()
            .into_iter()
            .filter(|row| {
                !only
                    || row.with(|row| {
                        row.verdict.trouble().is_some() || matches!(row.stage, Stage::Refused(_))
                    })
            })
            .take(MOST_ROWS)
            .map(|row| {
                let acts = Acts {
                    leave: Callback::new(move |out| {
                        kept.with_value(|session| session.leave_out(row, out));
                    }),
                    compare: Callback::new(move |()| {
                        kept.with_value(|session| session.compare(row));
                    }),
                    report: Callback::new(move |()| {
                        kept.with_value(|session| session.report(row));
                    }),
                };
                row_of(&slug, row, acts)
            })
            .collect_view()
    };
    let more = move || {
        let rest = view.rows.with(Vec::len).saturating_sub(MOST_ROWS);
        let words = format!(
            "And {} more. “Only problems” shows those among them.",
            format::count(rest as u64)
        );
        (rest > 0).then(|| view! { <p class="muted">{words}</p> })
    };
    let head = move || {
        let sum = sums.get();
        view! {
            <p class="upload-sum">
                {format!(
                    "{} · {} unpacked · {} to send",
                    format::counted(sum.paths, "path", "paths"),
                    format::size(sum.unpacked),
                    format::size(sum.to_send),
                )}
            </p>
        }
    };
    let secrets = move || {
        let secrets = sums.with(|sum| sum.secrets.clone());
        (!secrets.is_empty()).then(|| {
            let list = secrets
                .into_iter()
                .map(|(file, kind)| view! { <li><b>"U14 "</b> {format!("Looks like {kind} in ")} <code>{file}</code></li> })
                .collect_view();
            let words = view! {
                <p>"Whoever can read this cache can read it, and what was fetched cannot be taken back."</p>
                <ul>{list}</ul>
                {check("These are no secrets, or they are meant to be in it", "", view.acknowledged)}
            };
            alert(Tone::Bad, "There may be secrets in it", words, ())
        })
    };
    let readiness = move || {
        let sum = sums.get();
        match view.phase.get() {
            Phase::Looking => Readiness::Busy("Looking at the archives…"),
            Phase::Sending | Phase::Offline => Readiness::Busy("Sending…"),
            _ if sum.planned == 0 => Readiness::Refused("There is nothing to send.".to_owned()),
            _ if sum.problems > 0 => {
                Readiness::Refused("Solve the problems, or leave these paths out.".to_owned())
            }
            _ if !sum.secrets.is_empty() && !view.acknowledged.get() => {
                Readiness::Refused("Say first that nothing in it is secret.".to_owned())
            }
            _ => pin.readiness(),
        }
    };
    let asking = RwSignal::new(false);
    let actions = move || match view.phase.get() {
        Phase::Sending | Phase::Offline => {
            let pause = button(Weight::Plain, None, "Pause", move || {
                kept.with_value(|session| session.hold());
            });
            view! { {pause} {cancel(asking)} }.into_any()
        }
        Phase::Paused => {
            let resume = button(Weight::Primary, None, "Resume", move || {
                kept.with_value(Session::send);
            });
            view! { {resume} {cancel(asking)} }.into_any()
        }
        Phase::Done if sums.with(|sum| sum.refused > 0) => button(
            Weight::Primary,
            Some(Icon::Again),
            "Try what was refused again",
            move || kept.with_value(Session::send),
        ),
        Phase::Done => ().into_any(),
        _ => {
            let leave_out = (sums.with(|sum| sum.problems > 0)).then(|| {
                button(Weight::Plain, None, "Leave the problems out", move || {
                    kept.with_value(|session| {
                        // Leaving one out may make others incomplete.
                        for row in view.rows.get_untracked() {
                            if row.with_untracked(|row| {
                                row.verdict.trouble().is_some() && !row.left_out
                            }) {
                                session.leave_out(row, true);
                            }
                        }
                    });
                })
            });
            view! {
                {button_when(Weight::Primary, Some(Icon::Upload), "Send", readiness, move || kept.with_value(Session::send))}
                {leave_out}
            }
            .into_any()
        }
    };
    let unsigned =
        memo(move || sums.with(|sum| sum.unsigned > 0) && view.phase.get() == Phase::Ready);
    let sign = move || unsigned.get().then(|| sign_here(kept));
    let slug = cache.to_owned();
    let done =
        move || (view.phase.get() == Phase::Done).then(|| finished(&slug, view, &sums.get()));
    let slug = cache.to_owned();
    let followed = move || {
        let id = view.session.get()?;
        let address = href(&Route::UploadSession {
            cache: slug.clone(),
            id,
        });
        Some(view! { <a href=address>"The page of this upload"</a> })
    };
    let filter = check("Only problems", "", only_problems);
    section(
        "Paths",
        filter,
        view! {
            {changing(head)}
            {progress(view, sums)}
            {changing(done)}
            {changing(secrets)}
            {changing(sign)}
            {pin.form()}
            <div class="link-row">{changing(actions)} {changing(followed)}</div>
            {cancelling(kept, asking)}
            {table(
                "Paths to upload",
                "table is-roomy",
                &[
                    ("Path", "", ""),
                    ("What happens", "", ""),
                    ("Signed by", "", "Whose signature counts"),
                    ("Content", "", "Whether the archive was unpacked and hashed in this tab"),
                    ("To send", "number", ""),
                    ("", "", ""),
                ],
                changing(rows),
            )}
            {changing(more)}
        },
    )
}

/// Asks what is to become of an upload that is given up.
fn cancel(asking: RwSignal<bool>) -> AnyView {
    button(Weight::Plain, None, "Cancel", move || asking.set(true))
}

/// The question, and its two answers.
fn cancelling(kept: Kept, asking: RwSignal<bool>) -> AnyView {
    dialog("Cancel this upload", asking, move || {
        let end = move |discard: bool| {
            asking.set(false);
            kept.with_value(|session| session.cancel(discard));
        };
        view! {
            <p>"What is published stays. What has arrived and is not published can be kept for seven days: choosing the same folder again goes on with it. Or it is discarded now."</p>
            <div class="dialog-actions">
                {button(Weight::Plain, None, "Go on sending", move || asking.set(false))}
                {button(Weight::Plain, None, "Keep for 7 days", move || end(false))}
                {button(Weight::Danger, None, "Discard", move || end(true))}
            </div>
        }
        .into_any()
    })
}

/// How far it is, in a bar and in words that screen readers hear.
fn progress(view: View, sums: Memo<Sum>) -> AnyView {
    let words = move || {
        let sum = sums.get();
        match view.phase.get() {
            Phase::Looking => format!(
                "Looking at the archives: {} of {}.",
                sum.paths - sum.waiting.min(sum.paths),
                sum.paths
            ),
            Phase::Ready => {
                let skip = if sum.same > 0 {
                    format!(" {} there already.", is_or_are(sum.same))
                } else {
                    String::new()
                };
                let skipped = match sum.skipped {
                    0 => String::new(),
                    skipped => format!(" Skip {}: an upstream has it.", format::count(skipped)),
                };
                let problems = match sum.problems {
                    0 => String::new(),
                    problems => format!(
                        " {} must be solved or left out.",
                        format::counted(problems, "problem", "problems")
                    ),
                };
                format!(
                    "Send {}, {}.{skip}{skipped}{problems}",
                    format::counted(sum.planned, "path", "paths"),
                    format::size(sum.to_send)
                )
            }
            Phase::Sending => format!(
                "Sending: {} of {} published.",
                sum.live,
                format::counted(sum.planned, "path", "paths")
            ),
            Phase::Paused => format!(
                "Paused: {} of {} published.",
                sum.live,
                format::counted(sum.planned, "path", "paths")
            ),
            Phase::Offline => {
                "U13 Connection lost: waiting for network. Will continue by itself.".to_owned()
            }
            Phase::Empty | Phase::Done => String::new(),
        }
    };
    let bar = move || {
        let sum = sums.get();
        matches!(view.phase.get(), Phase::Sending | Phase::Paused | Phase::Offline).then(|| {
            view! {
                <progress class="meter" aria-label="Sent" max=sum.to_send.max(1).to_string() value=sum.sent.to_string()></progress>
                <small>{format!("{} of {} sent", format::size(sum.sent), format::size(sum.to_send))}</small>
            }
        })
    };
    view! {
        <div class="progress">{changing(bar)} <p class="upload-state" role="status">{changing(words)}</p></div>
    }
    .into_any()
}

fn is_or_are(count: u64) -> String {
    match count {
        1 => "1 is".to_owned(),
        many => format!("{} are", format::count(many)),
    }
}

/// Signs in this tab what nobody has signed.
fn sign_here(kept: Kept) -> AnyView {
    let said = RwSignal::new(None::<String>);
    let wrong = RwSignal::new(None::<String>);
    let picked = move |text: Result<String, &'static str>| {
        said.set(None);
        wrong.set(None);
        let text = match text {
            Ok(text) => text,
            Err(why) => return wrong.set(Some(why.to_owned())),
        };
        match kept.try_with_value(|session| session.sign(&text)) {
            Some(Ok(paths)) => said.set(Some(format!(
                "Signed {}.",
                format::counted(paths as u64, "path", "paths")
            ))),
            Some(Err(why)) => wrong.set(Some(why)),
            None => {}
        }
    };
    let trouble = move || {
        wrong
            .get()
            .map(|why| view! { <p class="field-error" role="alert">{why}</p> })
    };
    let words = view! {
        <p>"Paths that you built can be signed here, with the file of your key. It is used in this tab and not sent."</p>
        {key_file("Secret key file", "upload-key", picked)}
        {changing(trouble)}
        {done_line(said)}
    };
    banner(Tone::Note, "Not all of it is signed by you", words, ())
}

/// What came of it.
fn finished(cache: &str, view: View, sum: &Sum) -> AnyView {
    if sum.planned == 0 {
        return banner(
            Tone::Ok,
            "All of it is there already",
            view! { <p>"Nothing was sent."</p> },
            (),
        );
    }
    let live: Vec<Row> = view
        .rows
        .get_untracked()
        .into_iter()
        .filter_map(|row| row.with_untracked(|row| (row.stage == Stage::Live).then(|| row.clone())))
        .collect();
    let title = if sum.refused == 0 && sum.waits == 0 {
        format!("Published: {}", format::counted(sum.live, "path", "paths"))
    } else {
        format!(
            "{} of {} published",
            sum.live,
            format::counted(sum.planned, "path", "paths")
        )
    };
    let tone = if sum.refused == 0 {
        Tone::Ok
    } else {
        Tone::Warn
    };
    let waits = (sum.waits > 0).then(|| {
        let queue = href(&Route::Contribute(ContributeRoute::approvals(cache)));
        let words = format::counted(sum.waits, "path waits", "paths wait");
        view! {
            <p>{words} " and can be fetched once it is decided: see " <a href=queue>"Approvals"</a> "."</p>
        }
    });
    // The last is what nothing else in the folder refers to.
    let top = live.last().map(|row| {
        let address = href(&Route::path(cache, &row.hash));
        let command = site().find(cache).map(|cache| {
            code_line("Fetch it", format!("nix-store -r {} --option substituters {}", row.path, cache.url))
        });
        view! {
            <p>
                "On a machine that trusts this cache, " <a href=address>{format::split_path(&row.path).1.to_owned()}</a> " is fetched with:"
            </p>
            {command}
        }
    });
    let words = view! {
        {waits}
        {top}
        <p class="muted">
            "Machines that asked for one of these paths in the last hour may still believe that it is missing: "
            <code>"rm ~/.cache/nix/binary-cache-v*.sqlite*"</code> " makes them ask again."
        </p>
    };
    let receipt = view.session.get_untracked().map(|id| {
        let address = href(&Route::UploadSession {
            cache: cache.to_owned(),
            id,
        });
        link_button(Weight::Plain, Some(Icon::Record), "Receipt", address)
    });
    alert(tone, title, words, receipt)
}
