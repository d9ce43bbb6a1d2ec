//! What keeps a path, and what holds it back: the pins that name it, pinning it, hiding it from clients,
//! lifting that.

use leptos::prelude::*;
use serde::Deserialize;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::quarantine::{HeldBack, LiftQuarantine, QUARANTINE_NEEDS, SetQuarantine};
use snowbank_shared::api::retention::RETENTION_NEEDS;
use snowbank_shared::api::{PathDetail, pins::SetPin};
use snowbank_shared::route::{MonitoringRoute, PinsRoute, Route, escape};

use crate::components::ago::ago;
use crate::components::banner::banner;
use crate::components::button::{Weight, button, button_when};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::dialog::dialog;
use crate::components::failure::failure_of;
use crate::components::field::{Field, select_field, text_field};
use crate::components::icon::{Icon, icon};
use crate::components::menu::menu;
use crate::format;
use crate::pages::path::PathPage;
use crate::state::identity::identity;
use crate::state::navigation::{close_menus, href, navigation};
use crate::state::remote::Remote;
use crate::state::sending::{Sending, json};

/// The end of an address that opens the question for the pin's name.
const ASKS: &str = "#pin";

/// Pins that are offered by name.
const MOST_OFFERED: usize = 200;

/// Of a pin what is needed to move it on.
#[derive(Debug, Clone, Deserialize)]
struct Known {
    name: String,
    revision: u64,
}

/// A page of the pins.
#[derive(Debug, Clone, Deserialize)]
struct KnownPins {
    items: Vec<Known>,
}

/// The pins that name a path, as links.
pub fn pinned_as(cache: &str, detail: &PathDetail) -> Option<AnyView> {
    if detail.pins.is_empty() {
        return None;
    }
    let pins = detail
        .pins
        .iter()
        .map(|pin| {
            let address = href(&Route::Pins(PinsRoute::revision(
                cache,
                &*pin.name,
                pin.revision,
            )));
            let class = if pin.current { "chip chip-ok" } else { "chip" };
            let meaning = if pin.current {
                "The pin names this path now."
            } else {
                "An older revision of the pin, which it still keeps."
            };
            view! {
                <a class=class title=meaning href=address>
                    {icon(Icon::Pin)}
                    {format!("{}@{}", pin.name, pin.revision)}
                </a>
            }
        })
        .collect_view();
    Some(
        view! {
            <span class="status-pair pinned">
                <span class="muted">"Pinned"</span>
                {pins}
            </span>
        }
        .into_any(),
    )
}

/// The buttons at the head of the page, with their questions.
pub fn acts(page: PathPage, sending: Sending) -> AnyView {
    let (pinning, hiding) = (RwSignal::new(false), RwSignal::new(false));
    if window().location().hash().is_ok_and(|hash| hash == ASKS) {
        // Once it is drawn.
        request_animation_frame(move || pinning.set(true));
    }
    let ready =
        move |act: Act| sending.readiness(identity().readiness(Some(&page.cache.get_value()), act));
    let held = page
        .detail
        .get()
        .is_some_and(|detail| detail.held.is_some());
    let hide = (!held).then(|| {
        button_when(
            Weight::Quiet,
            None,
            "Hide from clients…",
            move || ready(QUARANTINE_NEEDS),
            move || {
                close_menus(None);
                hiding.set(true);
            },
        )
    });
    let navigation = navigation();
    let purge = button_when(
        Weight::Quiet,
        None,
        "Purge…",
        move || ready(RETENTION_NEEDS),
        move || {
            close_menus(None);
            navigation.go(&Route::Monitoring(MonitoringRoute::Purge {
                cache: page.cache.get_value(),
                hash: page.hash.get_value(),
            }));
        },
    );
    let more = view! { {hide} {purge} }.into_any();
    view! {
        {button_when(Weight::Plain, Some(Icon::Pin), "Pin…", move || ready(Act::Maintain), move || pinning.set(true))}
        {menu(Icon::More, "More", true, more)}
        {dialog("Pin this path", pinning, move || pin_form(page, sending, pinning))}
        {dialog("Hide this path from clients", hiding, move || hide_form(page, sending, hiding))}
    }
    .into_any()
}

fn pin_form(page: PathPage, sending: Sending, open: RwSignal<bool>) -> AnyView {
    let cache = page.cache.get_value();
    let below = format!("/caches/{}/pins", escape(&cache));
    let source = format!("{below}?limit={MOST_OFFERED}");
    let pins = Remote::<KnownPins>::new(move || Some(source.clone()));
    let which = Field::new("Pin", "");
    let name = Field::new(
        "Name of the new pin",
        "Lower-case letters, digits, dots and dashes, such as prod.",
    );
    let note = Field::new("Note", "What for. It stays in the history.");
    let choices = move || {
        let known = pins.get()?;
        if known.items.is_empty() {
            return None;
        }
        let mut options = vec![(String::new(), "A new pin".to_owned())];
        options.extend(known.items.iter().map(|pin| {
            let words = format!("{}: its next revision is {}", pin.name, pin.revision + 1);
            (pin.name.clone(), words)
        }));
        Some(select_field(which, options))
    };
    let new_name = move || {
        which
            .value
            .with(String::is_empty)
            .then(|| text_field(name, "text", "off"))
    };
    let go = move || {
        let chosen = which.value.get_untracked();
        let known = pins.get_now();
        let known = known.as_ref().and_then(|known| {
            let mut items = known.items.iter();
            items.find(|pin| pin.name == chosen).cloned()
        });
        let pin = match &known {
            Some(known) => known.name.clone(),
            None => name.value.get_untracked().trim().to_owned(),
        };
        if pin.is_empty() {
            name.error.set(Some("Give the pin a name.".to_owned()));
            return;
        }
        let wish = SetPin {
            path: page.hash.get_value(),
            expected: known.map_or(0, |known| known.revision),
            note: note.value.get_untracked(),
            keep: None,
        };
        open.set(false);
        let address = format!("{below}/{}", escape(&pin));
        sending.send("PUT", address, json(&wish), move |_| {
            sending.done.set(Some(format!(
                "{pin} names this path now: it stays, with everything that it needs."
            )));
            page.detail.reload();
        });
    };
    view! {
        <div class="form">
            {failure_of(pins)} {changing(choices)} {changing(new_name)} {text_field(note, "text", "off")}
        </div>
        <div class="dialog-actions">
            {button(Weight::Plain, None, "Cancel", move || open.set(false))}
            {button(Weight::Primary, Some(Icon::Pin), "Pin it", go)}
        </div>
    }
    .into_any()
}

fn hide_form(page: PathPage, sending: Sending, open: RwSignal<bool>) -> AnyView {
    let reason = Field::new("Why", "Whoever tries to upload it again reads it.");
    let go = move || {
        let said = reason.value.get_untracked().trim().to_owned();
        if said.is_empty() {
            reason.error.set(Some("Say why it is hidden.".to_owned()));
            return;
        }
        let wish = SetQuarantine {
            paths: vec![page.hash.get_value()],
            reason: said,
        };
        open.set(false);
        let address = format!("/caches/{}/quarantine", escape(&page.cache.get_value()));
        sending.send("POST", address, json(&wish), move |_| {
            sending.done.set(Some(
                "Hidden: clients get 404 for it from now on.".to_owned(),
            ));
            page.detail.reload();
        });
    };
    let referrers = move || {
        let count = page.detail.get()?.row.referrer_count;
        (count > 0).then(|| {
            let words = format!(
                "{} to it: clients cannot fetch them either while it is hidden.",
                format::counted(count, "path refers", "paths refer")
            );
            view! { <p><b>{words}</b></p> }
        })
    };
    view! {
        <p>"Clients get 404 for it, and nobody may upload the same again. Nothing is deleted, and an owner can lift it."</p>
        {changing(referrers)}
        {text_field(reason, "text", "off")}
        <div class="dialog-actions">
            {button(Weight::Plain, None, "Cancel", move || open.set(false))}
            {button(Weight::Danger, None, "Hide it", go)}
        </div>
    }
    .into_any()
}

/// Why a path is held back, where it is, and the way out.
pub fn held(page: PathPage, sending: Sending) -> Option<AnyView> {
    let held = page.detail.get()?.held.clone()?;
    let all = href(&Route::Pins(PinsRoute::Quarantine {
        cache: page.cache.get_value(),
    }));
    let by = (!held.by.is_empty()).then(|| format!(", by {}", format::visible(&held.by)));
    let (title, words) = match held.state {
        HeldBack::Quarantined => (
            "In quarantine",
            "Clients get 404 for it, and nobody may upload it again with this content.",
        ),
        HeldBack::Purged => (
            "Purged",
            "It was taken out, and this content is refused for ever. What still lies in the bucket was left by a purge that was broken off, or put there past this server: purge it again.",
        ),
    };
    let open = RwSignal::new(false);
    let lift = (held.state == HeldBack::Quarantined).then(|| {
        let ready = move || {
            let cache = page.cache.get_value();
            sending.readiness(identity().readiness(Some(&cache), QUARANTINE_NEEDS))
        };
        view! {
            {button_when(Weight::Plain, None, "Lift…", ready, move || open.set(true))}
            {dialog("Lift from quarantine", open, move || lift_form(page, sending, open))}
        }
    });
    let body = view! {
        {(!held.reason.is_empty()).then(|| view! { <p>{format::sentence(&held.reason)}</p> })}
        <p>{words} " Since " {ago(&held.at)} {by} ". " <a href=all>"All that is held back"</a></p>
    };
    Some(banner(Tone::Warn, title, body, lift))
}

fn lift_form(page: PathPage, sending: Sending, open: RwSignal<bool>) -> AnyView {
    let reason = Field::new("Why", "It stays in the audit.");
    let go = move || {
        let said = reason.value.get_untracked().trim().to_owned();
        if said.is_empty() {
            reason
                .error
                .set(Some("Say why clients may have it again.".to_owned()));
            return;
        }
        let wish = LiftQuarantine {
            hash: Some(page.hash.get_value()),
            act: None,
            reason: said,
        };
        open.set(false);
        let address = format!(
            "/caches/{}/quarantine/lift",
            escape(&page.cache.get_value())
        );
        sending.send("POST", address, json(&wish), move |_| {
            sending
                .done
                .set(Some("Lifted: clients are served it again.".to_owned()));
            page.detail.reload();
        });
    };
    view! {
        <p>"Clients are served this path again. Machines that asked meanwhile may believe for up to an hour that it is missing."</p>
        {text_field(reason, "text", "off")}
        <div class="dialog-actions">
            {button(Weight::Plain, None, "Cancel", move || open.set(false))}
            {button(Weight::Primary, None, "Lift it", go)}
        </div>
    }
    .into_any()
}
