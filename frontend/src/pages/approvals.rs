//! `/c/{cache}/approvals`: uploads that wait, and what became of those before.

use leptos::prelude::*;
use snowbank_shared::api::Page;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::approvals::{ApprovalRow, ApprovalState, WaitsFor};
use snowbank_shared::route::{ApprovalsQuery, ContributeRoute, Route};
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, KeyboardEvent};

use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::banner::empty;
use crate::components::button::{Weight, link_button};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::failure::failure_of;
use crate::components::icon::Icon;
use crate::components::layout::{section, tab, table, table_foot, tabs};
use crate::components::page_head::{heading, page_title};
use crate::components::size::size;
use crate::components::skeleton::skeleton;
use crate::components::store_path::path_text;
use crate::format;
use crate::pages::approvals_decide::{Deciding, Question, approvals_path};
use crate::state::derived::memo;
use crate::state::identity::identity;
use crate::state::keyboard::single_keys_act;
use crate::state::navigation::{href, navigation};
use crate::state::preferences::preferences;
use crate::state::remote::Remote;

/// Decisions shown where nothing waits.
const LAST: usize = 5;

type Rows = Remote<Page<ApprovalRow>>;

fn route(cache: &str, query: ApprovalsQuery) -> Route {
    Route::Contribute(ContributeRoute::Approvals {
        cache: cache.to_owned(),
        query,
    })
}

/// The page.
pub fn page(cache: &str) -> AnyView {
    page_title(|| "Approvals".to_owned());
    let slug = StoredValue::new(cache.to_owned());
    let navigation = navigation();
    let query = memo(move || match navigation.route() {
        Some(Route::Contribute(ContributeRoute::Approvals { query, .. })) => query,
        _ => ApprovalsQuery::default(),
    });
    let path = move || {
        format!(
            "{}{}",
            slug.with_value(|slug| approvals_path(slug)),
            query.get()
        )
    };
    let found = Rows::new(move || Some(path()));
    let deciding = Deciding::new(cache);
    listen(found, deciding);
    let content = move || {
        let now = query.get();
        match found.get() {
            None => found
                .is_waiting()
                .then(|| skeleton(4, "Asking what waits…")),
            Some(page) => {
                let slug = slug.get_value();
                Some(shown(&slug, &now, &page, deciding))
            }
        }
    };
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Approvals")}
                    <div class="page-actions">
                        {link_button(Weight::Plain, Some(Icon::Sliders), "Policy", href(&Route::Contribute(ContributeRoute::Policy { cache: cache.to_owned() })))}
                        {api_button(path)}
                    </div>
                </div>
                <p class="state-sentence">
                    "Uploads that the policy holds back until somebody agrees, and uploads that wait for an upstream or for what they refer to. Readers do not see them."
                </p>
            </div>
            {states(cache, query)}
            {deciding.sending.notice()}
            {failure_of(found)}
            <div class:is-waiting=move || found.is_waiting() && found.is_there()>{changing(content)}</div>
            {deciding.dialogs(move || found.reload())}
        </div>
    }
    .into_any()
}

const fn word_of(state: ApprovalState) -> &'static str {
    match state {
        ApprovalState::Waiting => "Waiting",
        ApprovalState::Published => "Published",
        ApprovalState::Rejected => "Rejected",
        ApprovalState::Refused => "Refused",
        ApprovalState::Expired => "Expired",
    }
}

fn states(cache: &str, query: Memo<ApprovalsQuery>) -> AnyView {
    let links = ApprovalState::ALL
        .into_iter()
        .map(|state| {
            let asked = (state != ApprovalState::Waiting).then_some(state);
            let address = href(&route(
                cache,
                ApprovalsQuery {
                    state: asked,
                    ..ApprovalsQuery::default()
                },
            ));
            tab(word_of(state), ().into_any(), address, move || {
                query.with(|query| query.state == asked)
            })
        })
        .collect();
    tabs("States", links)
}

fn shown(
    cache: &str,
    query: &ApprovalsQuery,
    page: &Page<ApprovalRow>,
    deciding: Deciding,
) -> AnyView {
    if page.items.is_empty() {
        return nothing(cache, query);
    }
    let waiting = query.state.is_none();
    let rows: Vec<AnyView> = page
        .items
        .iter()
        .map(|entry| row(cache, entry, waiting.then_some(deciding)))
        .collect();
    let last = if waiting {
        ("Waits for", "wrap", "")
    } else {
        ("How it ended", "wrap", "")
    };
    let moment = if waiting { "Since" } else { "When" };
    let list = table(
        "Uploads",
        "table approvals",
        &[
            ("Path", "", ""),
            ("Uploaded by", "", ""),
            last,
            ("Unpacked", "number", "Bytes of its NAR"),
            (moment, "", ""),
            ("", "", ""),
        ],
        rows,
    );
    let count = page.items.len() as u64;
    let words = format!("{} of {}", format::count(count), format::count(page.total));
    let at = |cursor: Option<String>| {
        href(&route(
            cache,
            ApprovalsQuery {
                cursor,
                ..query.clone()
            },
        ))
    };
    let first = query.cursor.is_some().then(|| at(None));
    let next = page.next.clone().map(|next| at(Some(next)));
    view! { {list} {table_foot(words, first, next)} }.into_any()
}

/// Which kind of nothing it is, and what was decided lately.
fn nothing(cache: &str, query: &ApprovalsQuery) -> AnyView {
    if let Some(state) = query.state {
        let words = "Decisions are kept here for two days; the audit keeps them for good.";
        return empty(
            format!("Nothing was {state} lately."),
            view! { <p>{words}</p> },
        );
    }
    let lately: Vec<Rows> = [
        ApprovalState::Published,
        ApprovalState::Rejected,
        ApprovalState::Refused,
        ApprovalState::Expired,
    ]
    .into_iter()
    .map(|state| {
        let path = format!("{}?state={state}&limit={LAST}", approvals_path(cache));
        Rows::new(move || Some(path.clone()))
    })
    .collect();
    let cache = cache.to_owned();
    let decided = move || {
        let mut rows: Vec<ApprovalRow> = lately
            .iter()
            .filter_map(|rows| rows.get())
            .flat_map(|page| page.items.clone())
            .collect();
        rows.sort_by(|one, two| ended_at(two).cmp(ended_at(one)));
        rows.truncate(LAST);
        (!rows.is_empty()).then(|| {
            let rows: Vec<AnyView> = rows.iter().map(|entry| row(&cache, entry, None)).collect();
            section(
                "Decided lately",
                (),
                table(
                    "Decided lately",
                    "table approvals",
                    &[
                        ("Path", "", ""),
                        ("Uploaded by", "", ""),
                        ("How it ended", "wrap", ""),
                        ("Unpacked", "number", "Bytes of its NAR"),
                        ("When", "", ""),
                        ("", "", ""),
                    ],
                    rows,
                ),
            )
        })
    };
    view! {
        {empty("Nothing waits.", view! { <p>"What the policy lets through is published at once and never comes here."</p> })}
        {changing(decided)}
    }
    .into_any()
}

fn ended_at(row: &ApprovalRow) -> &str {
    row.decision.as_ref().map_or("", |decision| &decision.at)
}

/// How an upload stands.
pub fn state_chip(state: ApprovalState) -> AnyView {
    chip(match state {
        ApprovalState::Waiting => (
            Tone::Note,
            Icon::TickClock,
            "waits",
            "Readers do not see it yet",
        ),
        ApprovalState::Published => (Tone::Ok, Icon::Tick, "published", "Clients can fetch it"),
        ApprovalState::Rejected => (Tone::Bad, Icon::Cross, "rejected", "Somebody said no"),
        ApprovalState::Refused => (
            Tone::Bad,
            Icon::Cross,
            "refused",
            "It cannot be published any more",
        ),
        ApprovalState::Expired => (
            Tone::Unknown,
            Icon::Dash,
            "expired",
            "Nobody decided in time",
        ),
    })
}

/// For what it waits, in a few words.
fn waits_in_short(waits: &WaitsFor) -> String {
    match waits {
        WaitsFor::Approval { needed: 1, .. } => "1 approval".to_owned(),
        WaitsFor::Approval { needed, given } => format!("{given} of {needed} approvals"),
        WaitsFor::Builders { needed, agreeing } => format!("{agreeing} of {needed} builders"),
        WaitsFor::Upstream { url, .. } => format!("an answer of {url}"),
        WaitsFor::Reference { path } => {
            format!("{}, which waits itself", format::split_path(path).1)
        }
        WaitsFor::Server { .. } => "the server, which tries again".to_owned(),
    }
}

/// How it ended, in a few words; nothing while it waits.
pub fn ended_in_short(row: &ApprovalRow) -> Option<String> {
    let decision = row.decision.as_ref()?;
    let people: Vec<&str> = row.approvals.iter().map(|word| word.by.as_str()).collect();
    Some(match row.state {
        ApprovalState::Published if !people.is_empty() => {
            format!("Approved by {}.", people.join(", "))
        }
        ApprovalState::Published => "What it waited for came.".to_owned(),
        ApprovalState::Rejected => format!("By {}: {}", decision.by, decision.reason),
        _ => format::sentence(&decision.reason),
    })
}

fn row(cache: &str, entry: &ApprovalRow, deciding: Option<Deciding>) -> AnyView {
    let address = href(&Route::Contribute(ContributeRoute::Approval {
        cache: cache.to_owned(),
        id: entry.id.clone(),
    }));
    let how = match &entry.waits {
        Some(waits) => view! { <span title=waits.sentence()>{waits_in_short(waits)}</span> }.into_any(),
        None => view! { {state_chip(entry.state)} " " <span class="muted">{ended_in_short(entry)}</span> }
            .into_any(),
    };
    let when = entry
        .decision
        .as_ref()
        .map_or(&entry.created_at, |decision| &decision.at);
    let key = entry.key.clone().map(|key| {
        view! { <small class="muted break">"signed by " {key}</small> }
    });
    let choice = deciding.map(|deciding| {
        let row = entry.clone();
        let may = {
            let row = row.clone();
            let cache = cache.to_owned();
            move || row.refusal.is_none() && identity().may(Some(&cache), Act::Maintain)
        };
        changing(move || {
            may().then(|| {
                let buttons = deciding.buttons(&row, Signal::derive(|| false));
                view! { <span class="page-actions">{buttons}</span> }
            })
        })
    });
    view! {
        <tr data-approval=entry.id.clone()>
            <th scope="row" class="wrap"><a class="approval-link" href=address>{path_text(&entry.path)}</a></th>
            <td data-label="Uploaded by"><span class="stacked"><strong>{entry.uploader.clone()}</strong> {key}</span></td>
            <td class="wrap" data-label="How it stands">{how}</td>
            <td class="number" data-label="Unpacked">{size(entry.nar_size)}</td>
            <td class="muted" data-label="When">{ago(when)}</td>
            <td class="row-button">{choice}</td>
        </tr>
    }
    .into_any()
}

/// `a` approves and `r` rejects the upload of the row that has the focus.
fn listen(found: Rows, deciding: Deciding) {
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
        let Some(id) = focused() else { return };
        let page = found.get_now();
        let row = page
            .iter()
            .flat_map(|page| &page.items)
            .find(|row| row.id == id);
        if let Some(row) = row {
            event.prevent_default();
            deciding.ask(question, row);
        }
    });
    on_cleanup(move || keys.remove());
}

/// The upload of the row that has the focus; without one, of the first row.
fn focused() -> Option<String> {
    let element = document().active_element();
    let row = element
        .and_then(|element| element.closest("tr[data-approval]").ok().flatten())
        .or_else(|| {
            document()
                .query_selector("main tr[data-approval]")
                .ok()
                .flatten()
        })?;
    row.dyn_into::<HtmlElement>()
        .ok()?
        .get_attribute("data-approval")
}
