//! The audit: who did what, newest first, and whether anybody changed what was written.

use leptos::prelude::*;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::audit::{AuditCheck, AuditEntry, AuditPage};
use snowbank_shared::route::{AccessRoute, AuditQuery, Route, escape};

use crate::api::at_cursor;
use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::banner::{alert, banner, empty};
use crate::components::button::{Readiness, Weight, button_when};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::failure::failure_of;
use crate::components::field::{Field, text_field};
use crate::components::icon::Icon;
use crate::components::layout::table;
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::state::derived::{effect, memo};
use crate::state::identity::identity;
use crate::state::navigation::{navigation, with_base};
use crate::state::remote::Remote;

/// The address below `/api/v1`.
fn path_of(cache: Option<&str>, query: &AuditQuery) -> String {
    match cache {
        Some(cache) => format!("/caches/{}/audit{query}", escape(cache)),
        None => format!("/audit{query}"),
    }
}

/// The page.
pub fn page(cache: Option<String>) -> AnyView {
    page_title(|| "Audit".to_owned());
    let cache = StoredValue::new(cache);
    let navigation = navigation();
    let query = memo(move || match navigation.route() {
        Some(Route::Access(AccessRoute::Audit { query, .. })) => query,
        _ => AuditQuery::default(),
    });
    let cursor = RwSignal::new(None::<String>);
    effect(move || {
        query.track();
        cursor.set(None);
    });
    let path = move || cache.with_value(|cache| path_of(cache.as_deref(), &query.get()));
    let found = Remote::<AuditPage>::new(move || Some(at_cursor(&path(), cursor.get().as_deref())));
    let content = move || match found.get() {
        None => found
            .is_waiting()
            .then(|| skeleton(6, "Reading the audit…")),
        Some(page) => Some(shown(&page, cursor)),
    };
    let export = move || {
        let path = path();
        let separator = if path.contains('?') { '&' } else { '?' };
        let address = with_base(&format!("/api/v1{path}{separator}format=csv"));
        found
            .is_there()
            .then(|| view! { <a class="button" href=address download="">"Export CSV"</a> })
    };
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Audit")}
                    <div class="page-actions">{changing(export)} {api_button(path)}</div>
                </div>
                <p class="state-sentence">"Who did what, newest first. Each server process writes a chain: what is changed later breaks it. An export is noted here too."</p>
            </div>
            {filters(cache, query)}
            {cache.with_value(Option::is_none).then(chain_check)}
            {failure_of(found)}
            {changing(content)}
        </div>
    }
    .into_any()
}

fn filters(cache: StoredValue<Option<String>>, query: Memo<AuditQuery>) -> AnyView {
    let navigation = navigation();
    let now = query.get_untracked();
    let field = |label, hint, value: &str| {
        let field = Field::new(label, hint);
        field.value.set(value.to_owned());
        field
    };
    let actor = field(
        "Who",
        "A member's name; their tokens count too.",
        &now.actor,
    );
    let action = field(
        "What",
        "An act or its beginning: token, member.invite.",
        &now.action,
    );
    let object = field("To what", "", &now.object);
    let from = field("From", "", &now.from);
    let go = move || {
        let text = |field: Field| field.value.get_untracked().trim().to_owned();
        navigation.go(&Route::Access(AccessRoute::Audit {
            cache: cache.get_value(),
            query: AuditQuery {
                actor: text(actor),
                action: text(action),
                object: text(object),
                from: text(from),
            },
        }));
    };
    view! {
        <form
            class="form form-columns"
            role="search"
            aria-label="Filter the audit"
            on:submit=move |event| {
                event.prevent_default();
                go();
            }
        >
            {text_field(actor, "text", "off")} {text_field(action, "text", "off")} {text_field(object, "text", "off")}
            {text_field(from, "date", "off")}
            <p><button type="submit" class="button">"Filter"</button></p>
        </form>
    }
    .into_any()
}

/// Every chain, from its beginning: asked for, because it reads everything.
fn chain_check() -> AnyView {
    let identity = identity();
    let asked = RwSignal::new(false);
    let checked = Remote::<AuditCheck>::new(move || asked.get().then(|| "/audit/check".to_owned()));
    let ready = move || {
        if asked.get() && checked.is_waiting() {
            Readiness::Busy("Reading every segment…")
        } else {
            identity.readiness(None, Act::ReadWholeAudit)
        }
    };
    let outcome = move || {
        let check = checked.get()?;
        let whole = if check.whole {
            ""
        } else {
            " There is more than one check reads."
        };
        let words = format!(
            "{} entries in {} segments of {} chains.{whole}",
            check.entries, check.segments, check.chains
        );
        Some(if check.breaks.is_empty() {
            banner(
                Tone::Ok,
                "Everything is as it was written",
                view! { <p>{words}</p> },
                (),
            )
        } else {
            broken(&check.breaks)
        })
    };
    view! {
        <p>
            {button_when(
                Weight::Plain,
                None,
                "Check every chain",
                ready,
                move || {
                    if asked.get_untracked() {
                        checked.reload();
                    }
                    asked.set(true);
                },
            )}
        </p>
        {failure_of(checked)}
        {changing(outcome)}
    }
    .into_any()
}

/// Says where; hides no row.
fn broken(breaks: &[String]) -> AnyView {
    let lines: Vec<AnyView> = breaks
        .iter()
        .map(|text| view! { <li class="break">{text.clone()}</li> }.into_any())
        .collect();
    let words = view! {
        <p>"Somebody who can write the bucket changed the audit. What is shown may be incomplete."</p>
        <ul>{lines}</ul>
    };
    alert(Tone::Bad, "The chain of the audit is broken", words, ())
}

fn shown(page: &AuditPage, cursor: RwSignal<Option<String>>) -> AnyView {
    let problem = (!page.breaks.is_empty()).then(|| broken(&page.breaks));
    let rows: Vec<AnyView> = page.items.iter().map(row).collect();
    let list = if rows.is_empty() {
        let words = match &page.since {
            Some(day) => format!("Nothing since {day} that these filters let through."),
            None => "Nothing was written yet.".to_owned(),
        };
        empty("No entries for these filters", view! { <p>{words}</p> })
    } else {
        table(
            "Entries of the audit",
            "table",
            &[
                ("When", "", ""),
                ("Who", "", ""),
                ("What", "", ""),
                ("To what", "", ""),
                ("More", "col-2", ""),
            ],
            rows,
        )
    };
    let next = page.next.clone().map(|next| {
        view! {
            <p>
                <button type="button" class="button" on:click=move |_| cursor.set(Some(next.clone()))>"Older entries"</button>
            </p>
        }
    });
    view! { {problem} {list} {next} }.into_any()
}

fn row(entry: &AuditEntry) -> AnyView {
    let refused = entry
        .refused
        .then(|| chip((Tone::Warn, Icon::Warning, "refused", "It was not done.")));
    let mut more: Vec<String> = entry
        .detail
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    if let Some(client) = &entry.client {
        more.push(format!("from {client}"));
    }
    let place = entry.cache.as_ref().map(|cache| format!(" in {cache}"));
    view! {
        <tr id=entry.id.clone()>
            <td class="muted">{ago(&entry.at)}</td>
            <th scope="row" data-label="Who"><strong>{entry.actor.clone()}</strong></th>
            <td data-label="What"><code>{entry.action.clone()}</code> " " {refused}</td>
            <td class="wrap" data-label="To what"><span>{entry.object.clone()} {place}</span></td>
            <td class="col-2 wide wrap muted"><small>{more.join(" · ")}</small></td>
        </tr>
    }
    .into_any()
}
