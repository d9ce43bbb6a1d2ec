//! `/c/{cache}/approvals/{id}`: one upload that waits, with what helps to decide.

use std::time::Duration;

use leptos::prelude::*;
use serde::Deserialize;
use snowbank_shared::api::approvals::{ApprovalDetail, ApprovalState, ComparedPath, Decision};
use snowbank_shared::route::{ContributeRoute, ExploreRoute, PIN, Route};
use web_sys::KeyboardEvent;

use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::banner::banner;
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::code::code_file;
use crate::components::copy::copy_button;
use crate::components::failure::failure_of;
use crate::components::layout::{card, fact, facts, table};
use crate::components::offer::offer;
use crate::components::page_head::{heading, page_title};
use crate::components::size::size;
use crate::components::skeleton::skeleton;
use crate::components::store_path::{path_link, path_text};
use crate::format;
use crate::pages::approvals::{ended_in_short, state_chip};
use crate::pages::approvals_decide::{Deciding, Question, approval_path};
use crate::pages::pins::pins_path;
use crate::pages::policy::marked;
use crate::state::derived::memo;
use crate::state::keyboard::single_keys_act;
use crate::state::navigation::href;
use crate::state::preferences::preferences;
use crate::state::remote::Remote;

/// Between two looks whether somebody else decided meanwhile.
const LOOK: Duration = Duration::from_secs(10);

/// The page.
pub fn page(cache: &str, id: &str) -> AnyView {
    let path = approval_path(cache, id);
    let found = {
        let path = path.clone();
        Remote::<ApprovalDetail>::new(move || Some(path.clone()))
    };
    // The same, asked again and again: what is read does not move, and is not decided on once it is old.
    let newest = {
        let path = path.clone();
        Remote::<ApprovalDetail>::new(move || Some(path.clone()))
    };
    let timer = set_interval_with_handle(
        move || {
            if !document().hidden() {
                newest.reload();
            }
        },
        LOOK,
    );
    on_cleanup(move || {
        if let Ok(timer) = timer {
            timer.clear();
        }
    });
    let stale = memo(move || {
        let revision = |detail: Remote<ApprovalDetail>| Some(detail.get()?.row.revision);
        matches!((revision(found), revision(newest)), (Some(shown), Some(now)) if now > shown)
    });
    let again = move || {
        found.reload();
        newest.reload();
    };
    let title = memo(move || {
        found
            .get()
            .map_or_else(|| "An upload".to_owned(), |detail| detail.row.name.clone())
    });
    page_title(move || title.get());
    let deciding = Deciding::new(cache);
    listen(found, stale, deciding);
    let slug = cache.to_owned();
    let content = move || match found.get() {
        None => found
            .is_waiting()
            .then(|| skeleton(6, "Asking for the upload…")),
        Some(detail) => Some(shown(&slug, &detail)),
    };
    let head = move || {
        found.get().map(|detail| {
            let full = detail.row.path.clone();
            view! {
                <p class="wraps approval-head">
                    {path_text(&detail.row.path)} {copy_button("Copy the store path", false, move || full.clone())}
                    {state_chip(detail.row.state)}
                </p>
            }
        })
    };
    let choice = move || {
        let detail = found.get()?;
        (detail.row.state == ApprovalState::Waiting)
            .then(|| deciding.buttons(&detail.row, stale.into()))
    };
    let all = href(&Route::Contribute(ContributeRoute::approvals(cache)));
    view! {
        <div class="page">
            <div class="page-head">
                <p><a href=all>"Approvals"</a></p>
                <div class="page-head-row">
                    {heading(changing(move || title.get()))}
                    <div class="page-actions">{api_button(move || path.clone())}</div>
                </div>
                {changing(head)}
            </div>
            {offer(move || stale.get().then_some("This changed since you opened it. Look again before you decide."), again)}
            {deciding.sending.notice()}
            {failure_of(found)}
            <div class="page-actions approval-choice">{changing(choice)}</div>
            {changing(content)}
            {deciding.dialogs(again)}
        </div>
    }
    .into_any()
}

fn shown(cache: &str, detail: &ApprovalDetail) -> AnyView {
    let row = &detail.row;
    let stands = match (&row.waits, ended_in_short(row)) {
        (Some(waits), _) => waits.sentence(),
        (None, Some(ended)) => ended,
        (None, None) => String::new(),
    };
    let live = (row.state == ApprovalState::Published).then(|| {
        view! { <p>{path_link(cache, &row.hash, &row.name)}</p> }
    });
    let mut lines = vec![
        fact("How it stands", stands),
        fact(
            "Uploaded by",
            view! { <strong>{row.uploader.clone()}</strong> },
        ),
        fact(
            "Signed by",
            match &row.key {
                Some(key) => view! { <code class="break">{key.clone()}</code> }.into_any(),
                None => "its content address vouches for it".into_any(),
            },
        ),
        fact("Uploaded", ago(&row.created_at)),
    ];
    if row.state == ApprovalState::Waiting {
        lines.push(fact("Waits until", ago(&row.expires_at)));
    }
    if let Some(rule) = &row.rule {
        lines.push(fact(
            "Held back by the rule",
            view! { <span>{marked(rule)}</span> },
        ));
    }
    lines.extend([
        fact("Unpacked", size(row.nar_size)),
        fact("Its archive", size(row.file_size)),
        fact(
            "NarHash",
            view! { <code class="mono break">{row.nar_hash.clone()}</code> },
        ),
        fact(
            "References here already",
            format::count(detail.present_references),
        ),
    ]);
    let notices: Vec<AnyView> = detail
        .notices
        .iter()
        .map(|notice| {
            banner(
                Tone::Warn,
                notice_title(&notice.check),
                view! { <p class="break">{format::sentence(&notice.text)}</p> },
                (),
            )
        })
        .collect();
    let rivals = (!detail.rivals.is_empty()).then(|| {
        let links: Vec<AnyView> = detail
            .rivals
            .iter()
            .map(|rival| {
                let address = href(&Route::Contribute(ContributeRoute::Approval {
                    cache: cache.to_owned(),
                    id: rival.id.clone(),
                }));
                view! { <li><a href=address>{rival.nar_hash.clone()}</a> " by " {rival.uploader.clone()}</li> }
                    .into_any()
            })
            .collect();
        banner(
            Tone::Warn,
            "Other content waits under this path too",
            view! {
                <p>"Only one of them can be published. Builds that differ are not reproducible."</p>
                <ul class="break">{links}</ul>
            },
            (),
        )
    });
    view! {
        {notices}
        {rivals}
        {live}
        {card("What it is", (), facts(lines))}
        {approvals(&row.approvals)}
        {new_paths(detail)}
        {compared(cache, detail)}
        {pinned_now(cache, detail)}
        <details class="explain">
            <summary>"The narinfo as it was sent"</summary>
            {code_file(format!("{}.narinfo", row.hash), detail.narinfo.clone(), format!("{}.narinfo", row.hash))}
        </details>
    }
    .into_any()
}

fn notice_title(check: &str) -> &'static str {
    match check {
        "secret" => "Something in it looks like a secret",
        "undeclared-reference" => "It names paths that it does not declare",
        _ => "Look at this",
    }
}

fn approvals(given: &[Decision]) -> Option<AnyView> {
    (!given.is_empty()).then(|| {
        let rows: Vec<AnyView> = given
            .iter()
            .map(|word| {
                view! {
                    <tr>
                        <th scope="row"><strong>{word.by.clone()}</strong></th>
                        <td class="muted" data-label="When">{ago(&word.at)}</td>
                        <td class="wrap" data-label="Note">{word.reason.clone()}</td>
                    </tr>
                }
                .into_any()
            })
            .collect();
        card(
            "Approved by",
            (),
            table(
                "Who approved it",
                "table",
                &[("Who", "", ""), ("When", "", ""), ("Note", "", "")],
                rows,
            ),
        )
    })
}

fn new_paths(detail: &ApprovalDetail) -> Option<AnyView> {
    if detail.row.state != ApprovalState::Waiting {
        return None;
    }
    let count = detail.new_paths.len() as u64;
    let words = format!(
        "{}, {} unpacked. Everything else that it needs is here.",
        format::counted(count, "path", "paths"),
        format::size(detail.new_nar_size)
    );
    let rows: Vec<AnyView> = detail
        .new_paths
        .iter()
        .map(|path| {
            view! {
                <tr>
                    <th scope="row" class="wrap">{path_text(&path.path)}</th>
                    <td class="number" data-label="Unpacked">{size(path.nar_size)}</td>
                </tr>
            }
            .into_any()
        })
        .collect();
    let list = table(
        "New in the cache with it",
        "table",
        &[("Path", "", ""), ("Unpacked", "number", "")],
        rows,
    );
    Some(card(
        "New in the cache with it",
        (),
        view! { <p>{words}</p> {list} },
    ))
}

/// What is here of the same package.
fn compared(cache: &str, detail: &ApprovalDetail) -> AnyView {
    let row = &detail.row;
    let Some(before) = &detail.previous else {
        let words = "No other version of this package is in the cache.";
        return card("Compared with what is here", (), view! { <p>{words}</p> });
    };
    let change = difference(before, row.nar_size);
    let here = before.added_at.as_deref().map(ago);
    card(
        "Compared with what is here",
        (),
        facts(vec![
            fact("Here", path_link(cache, &before.hash, &before.name)),
            fact("Since", here),
            fact(
                "Unpacked",
                view! { {size(before.nar_size)} " there, " {size(row.nar_size)} " here: " {change} },
            ),
        ]),
    )
}

/// Of a pin what is needed to compare with it.
#[derive(Debug, Clone, Deserialize)]
struct KnownPin {
    name: String,
    revision: u64,
    path: String,
}

/// A page of pins.
#[derive(Debug, Clone, Deserialize)]
struct KnownPins {
    items: Vec<KnownPin>,
}

/// The pins that name a path of the same package: what this would take the place of.
fn pinned_now(cache: &str, detail: &ApprovalDetail) -> AnyView {
    let path = format!("{}?limit=200", pins_path(cache, ""));
    let pins = Remote::<KnownPins>::new(move || Some(path.clone()));
    let package = format::split_name(&detail.row.name).0.to_owned();
    let published = detail.row.state == ApprovalState::Published;
    let (cache, hash) = (cache.to_owned(), detail.row.hash.clone());
    let body = move || {
        let pins = pins.get()?;
        let same = pins.items.iter().filter_map(|pin| {
            let (pinned, name) = format::split_path(&pin.path);
            (format::split_name(name).0 == package).then_some((pin, pinned, name))
        });
        let rows: Vec<AnyView> = same
            .map(|(pin, pinned, name)| {
                let end = format!("{PIN}{}@{}", pin.name, pin.revision);
                let diff = ExploreRoute::diff(&*cache, Some(&end), Some(&hash));
                let compare = if published && pinned != hash {
                    view! { <a class="kept" href=href(&Route::Explore(diff))>"Compare closures"</a> }
                        .into_any()
                } else if published {
                    view! { <span class="muted">"this path"</span> }.into_any()
                } else {
                    view! { <span class="muted">"The closures can be compared once it is published."</span> }
                        .into_any()
                };
                let word = format!("{}@{}", pin.name, pin.revision);
                fact(word, view! { {path_link(&cache, pinned, name)} {compare} })
            })
            .collect();
        (!rows.is_empty()).then(|| card("Pinned now", (), facts(rows)))
    };
    changing(body)
}

fn difference(before: &ComparedPath, now: u64) -> String {
    match now.cmp(&before.nar_size) {
        std::cmp::Ordering::Equal => "the same size".to_owned(),
        std::cmp::Ordering::Greater => format!("{} more", format::size(now - before.nar_size)),
        std::cmp::Ordering::Less => format!("{} less", format::size(before.nar_size - now)),
    }
}

/// `a` approves, `r` rejects.
fn listen(found: Remote<ApprovalDetail>, stale: Memo<bool>, deciding: Deciding) {
    let preferences = preferences();
    let keys = window_event_listener(leptos::ev::keydown, move |event: KeyboardEvent| {
        let plain = !event.ctrl_key() && !event.meta_key() && !event.alt_key();
        let question = match event.key().as_str() {
            "a" => Question::Approve,
            "r" => Question::Reject,
            _ => return,
        };
        if !plain || event.default_prevented() || !single_keys_act(&event, preferences) {
            return;
        }
        if let Some(detail) = found.get_now().filter(|_| !stale.get_untracked()) {
            event.prevent_default();
            deciding.ask(question, &detail.row);
        }
    });
    on_cleanup(move || keys.remove());
}
