//! The question how an alert is to be: name, condition, webhook, and a new secret where that is asked for.

use leptos::prelude::*;
use snowbank_shared::api::alerts::{Alert, NewAlert};
use snowbank_shared::route::escape;

use super::Alerts;
use super::form::Form;
use crate::components::button::{Readiness, Weight, button, button_when};
use crate::components::dialog::dialog;
use crate::format;
use crate::state::sending::json;

/// The dialog, for the alert that is chosen.
pub(super) fn dialog_of(alerts: Alerts) -> AnyView {
    dialog("Change an alert", alerts.changing, move || {
        match alerts.chosen.get_untracked() {
            Some(one) => content(alerts, &one),
            None => ().into_any(),
        }
    })
}

fn content(alerts: Alerts, one: &Alert) -> AnyView {
    let form = Form::of(one);
    let renew = RwSignal::new(false);
    let told = format!(
        "It tells {}. The webhook and the secret stay unless you give new ones.",
        format::visible(&one.receiver)
    );
    let path = alerts.path(&format!("/{}", escape(&one.id)));
    let ready = move || {
        let otherwise = match (alerts.readiness(), form.lacks_name()) {
            (Readiness::Ready, Some(lacks)) => lacks,
            (other, _) => other,
        };
        alerts.sending.readiness(otherwise)
    };
    let revision = one.revision;
    let go = move || {
        let Some(wish) = form.wish(revision) else {
            return;
        };
        alerts.begin();
        let done = format!("The alert {} is changed.", format::visible(&wish.name));
        let secret = renew.get_untracked().then(|| format!("{path}/secret"));
        // The question stays until the server took the answer: what it refuses stands beside what was typed.
        let path = path.clone();
        alerts.sending.send("PUT", path, json(&wish), move |_| {
            alerts.changing.set(false);
            alerts.list.reload();
            match secret {
                Some(path) => new_secret(alerts, path, done),
                None => alerts.sending.done.set(Some(done)),
            }
        });
    };
    view! {
        <p>{told}</p>
        {form.fields()}
        <label class="choice">
            <input
                type="checkbox"
                prop:checked=move || renew.get()
                on:change=move |event| renew.set(event_target_checked(&event))
            />
            <span>
                "New secret" <small>"Shown once. From then on nothing is signed with the old one."</small>
            </span>
        </label>
        {alerts.sending.notice()}
        <div class="dialog-actions">
            {button(Weight::Plain, None, "Cancel", move || alerts.changing.set(false))}
            {button_when(Weight::Primary, None, "Save the alert", ready, go)}
        </div>
    }
    .into_any()
}

fn new_secret(alerts: Alerts, path: String, done: String) {
    alerts.sending.send("POST", path, None, move |answer| {
        let Ok(made) = answer.json::<NewAlert>() else {
            return;
        };
        alerts.taken(&made.alert.id);
        alerts.made.update(|all| all.push(made));
        alerts.sending.done.set(Some(done));
        alerts.list.reload();
    });
}
