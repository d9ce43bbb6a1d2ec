//! What happened to the path, newest first, as far as it is known.

use leptos::prelude::*;
use snowbank_shared::api::history::{Happening, History, HistoryEntry};
use snowbank_shared::route::{PinsRoute, Route};

use crate::api;
use crate::components::ago::ago;
use crate::components::banner::{banner, empty};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::failure::failure_of;
use crate::components::icon::{Icon, icon};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::pages::path::PathPage;
use crate::state::navigation::href;
use crate::state::remote::Remote;

/// The tab.
pub fn tab(page: PathPage) -> AnyView {
    let address = api::path_path(&page.cache.get_value(), &page.hash.get_value(), "history");
    let history = Remote::<History>::new(move || {
        // Again with every other state of the path.
        page.detail.get();
        Some(address.clone())
    });
    let body = move || match history.get() {
        None if history.error().is_none() => skeleton(6, "Reading what happened…"),
        None => ().into_any(),
        Some(found) => shown(page, &found),
    };
    view! {
        <section class="section">
            {failure_of(history)}
            {changing(body)}
        </section>
    }
    .into_any()
}

fn shown(page: PathPage, history: &History) -> AnyView {
    let other = (history.as_published == Some(false)).then(|| {
        let words = view! {
            <p>"It was changed in the bucket since, or a signature was added. The signatures tab judges it as it is now."</p>
        };
        banner(Tone::Note, "The narinfo is not the one that this server published", words, ())
    });
    let gone = (!history.present).then(|| {
        let words =
            view! { <p>"What follows happened while it was here, or to uploads of it."</p> };
        banner(Tone::Note, "This path is not in this cache now", words, ())
    });
    let list = if history.items.is_empty() {
        let words = view! { <p>"No upload, pin or decision about this path is recorded."</p> };
        empty("Nothing is known of what happened", words)
    } else {
        let entries = history
            .items
            .iter()
            .map(|entry| drawn(page, entry))
            .collect_view();
        view! { <ol class="history" id="history">{entries}</ol> }.into_any()
    };
    let limits = limits(history)
        .into_iter()
        .map(|words| view! { <li>{words}</li> })
        .collect_view();
    view! {
        {gone}
        {other}
        {list}
        <ul class="history-limits muted">{limits}</ul>
    }
    .into_any()
}

/// What was not looked at.
fn limits(history: &History) -> Vec<String> {
    let mut limits = Vec::new();
    if !history.all_receipts {
        limits.push(
            "Not every receipt of this cache was looked at: older uploads may be missing."
                .to_owned(),
        );
    }
    limits.push(match &history.audit_since {
        Some(since) if history.audit_goes_on => {
            format!("The audit was looked at back to {since}. It has older days.")
        }
        Some(since) => format!("The audit was looked at back to its beginning, {since}."),
        None => "Lines of the audit are shown to Auditors and Owners.".to_owned(),
    });
    limits
}

const fn picture(what: Happening) -> Icon {
    match what {
        Happening::Seen => Icon::Search,
        Happening::Received => Icon::Upload,
        Happening::Waits => Icon::TickClock,
        Happening::Approved => Icon::Tick,
        Happening::Decided => Icon::Record,
        Happening::Pinned => Icon::Pin,
        Happening::HeldBack => Icon::Warning,
        Happening::Conflict => Icon::Cross,
        Happening::Dismissed => Icon::Dash,
        Happening::Act => Icon::Act,
    }
}

fn drawn(page: PathPage, entry: &HistoryEntry) -> AnyView {
    let when = match &entry.at {
        Some(at) => ago(at),
        None => view! { <span class="none">"time unknown"</span> }.into_any(),
    };
    let words = format::visible(&entry.words);
    let words = match &entry.pin {
        Some(name) => {
            let route = Route::Pins(PinsRoute::Pin {
                cache: page.cache.get_value(),
                name: name.clone(),
                revision: None,
            });
            view! { <a href=href(&route)>{words}</a> }.into_any()
        }
        None => words.into_any(),
    };
    let by = entry.by.as_ref().map(|by| {
        view! { <span class="muted">"by " {format::visible(by)}</span> }
    });
    let detail = entry.detail.as_ref().map(|detail| {
        view! { <p class="muted">{format::visible(detail)}</p> }
    });
    view! {
        <li>
            {icon(picture(entry.what))}
            <div>
                <p class="history-words">{words} " " {by}</p>
                {detail}
                <p class="history-when muted">{when}</p>
            </div>
        </li>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_looked_at_is_said() {
        let mut history = History {
            hash: String::new(),
            present: true,
            items: Vec::new(),
            as_published: None,
            all_receipts: true,
            audit_since: None,
            audit_goes_on: false,
        };
        assert_eq!(
            limits(&history),
            ["Lines of the audit are shown to Auditors and Owners."]
        );
        history.all_receipts = false;
        history.audit_since = Some("2026-11-23".to_owned());
        let said = limits(&history);
        assert!(said[0].contains("receipt") && said[1].contains("its beginning, 2026-11-23"));
        history.audit_goes_on = true;
        assert!(limits(&history)[1].contains("older days"));
    }
}
