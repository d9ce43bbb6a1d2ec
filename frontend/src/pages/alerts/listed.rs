//! The alerts as they stand.

use leptos::prelude::*;
use snowbank_shared::api::alerts::{Alert, AlertDelivery, AlertEvent, AlertState};
use snowbank_shared::route::escape;

use super::Alerts;
use crate::components::ago::ago;
use crate::components::banner::alert;
use crate::components::button::row_button;
use crate::components::chip::{Tone, chip};
use crate::components::dialog::{Confirm, confirm};
use crate::components::icon::Icon;
use crate::components::layout::table;
use crate::format;

/// All of them.
pub(super) fn table_of(alerts: Alerts, items: &[Alert]) -> AnyView {
    let rows = items.iter().map(|one| row(alerts, one)).collect_view();
    let columns = [
        ("Alert", "grow", ""),
        ("State", "", ""),
        ("Now", "number", "The figure as it is now"),
        ("Last message", "", ""),
        ("", "", ""),
    ];
    table("Alerts", "table is-roomy", &columns, rows)
}

fn state_chip(one: &Alert) -> AnyView {
    chip(match one.state {
        AlertState::Ok if one.not_measured.is_some() => (
            Tone::Unknown,
            Icon::Help,
            "not measured",
            "The figure is not known, so it does not fire.",
        ),
        AlertState::Ok => (Tone::Ok, Icon::Tick, "well", "The condition does not hold."),
        AlertState::Pending => (
            Tone::Warn,
            Icon::TickClock,
            "pending",
            "The condition holds, and not for long enough yet.",
        ),
        AlertState::Firing => (
            Tone::Bad,
            Icon::Warning,
            "firing",
            "The condition holds for long enough.",
        ),
        AlertState::Resolved => (
            Tone::Note,
            Icon::Tick,
            "resolved",
            "It fired, and the condition holds no more.",
        ),
    })
}

/// A value with one figure behind the point, where that says something.
fn value_words(value: f64, unit: &str) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    format!("{text}{unit}")
}

const fn event_word(event: AlertEvent) -> &'static str {
    match event {
        AlertEvent::Firing => "“firing”",
        AlertEvent::Resolved => "“resolved”",
        AlertEvent::Test => "a test",
    }
}

/// How sending went, in words: “answered 204”, “the receiver did not take it (500)”.
fn went_words(went: &AlertDelivery) -> String {
    match (&went.problem, went.status) {
        (None, Some(status)) => format!("The receiver answered {status}."),
        (None, None) => "It arrived.".to_owned(),
        (Some(problem), Some(status)) => {
            format!("{} Its answer was {status}.", format::sentence(problem))
        }
        (Some(problem), None) => format::sentence(problem),
    }
}

fn last_message(went: &AlertDelivery) -> AnyView {
    let event = event_word(went.event);
    let tries = (went.tries > 1).then(|| format!(", {} tries", went.tries));
    let (words, more) = match went.delivered {
        true => (
            format!("{event} delivered{}", tries.unwrap_or_default()),
            None,
        ),
        false => (
            format!("{event} not delivered{}", tries.unwrap_or_default()),
            Some(went_words(went)),
        ),
    };
    let again = went.again_at.as_ref().map(|_| " It is tried again.");
    view! {
        <span class="cell-two">
            <span>{words} " " {ago(&went.at)}</span>
            {more.map(|more| view! { <small>{more} {again}</small> })}
        </span>
    }
    .into_any()
}

fn row(alerts: Alerts, one: &Alert) -> AnyView {
    let unit = one.condition.figure.unit();
    let now = match one.value {
        Some(value) => value_words(value, unit).into_any(),
        None => "not measured".into_any(),
    };
    let why = one
        .not_measured
        .as_deref()
        .map(|why| view! { <small>{format::sentence(why)}</small> });
    let since = one
        .since
        .as_deref()
        .map(|since| view! { <small>"since " {ago(since)}</small> });
    let last = match &one.last_delivery {
        Some(went) => last_message(went),
        None => view! { <span class="muted">"none yet"</span> }.into_any(),
    };
    let name = format::visible(&one.name);
    view! {
        <tr>
            <th scope="row" class="grow wrap">
                <span class="cell-two">
                    <strong>{name.clone()}</strong>
                    <small>{one.condition.words()}</small>
                    <small class="break">"tells " {one.receiver.clone()}</small>
                    {why}
                </span>
            </th>
            <td data-label="State"><span class="cell-two">{state_chip(one)} {since}</span></td>
            <td class="number" data-label="Now">{now}</td>
            <td class="wrap" data-label="Last message">{last}</td>
            <td class="row-button">{actions(alerts, one, &name)}</td>
        </tr>
    }
    .into_any()
}

fn actions(alerts: Alerts, one: &Alert, name: &str) -> AnyView {
    let ready = move || alerts.ready();
    let test = {
        let (id, name) = (one.id.clone(), name.to_owned());
        move || {
            let name = name.clone();
            alerts.begin();
            let path = alerts.path(&format!("/{}/test", escape(&id)));
            alerts.sending.send("POST", path, None, move |answer| {
                alerts
                    .tested
                    .set(answer.json().ok().map(|went| (name, went)));
                alerts.list.reload();
            });
        }
    };
    let ask = |open: RwSignal<bool>| {
        let one = one.clone();
        move || {
            alerts.sending.forget();
            alerts.chosen.set(Some(one.clone()));
            open.set(true);
        }
    };
    view! {
        <span class="page-actions">
            {row_button("Test", format!("Test {name}"), ready, test)}
            {row_button("Change…", format!("Change {name}"), ready, ask(alerts.changing))}
            {row_button("Remove…", format!("Remove {name}"), ready, ask(alerts.removing))}
        </span>
    }
    .into_any()
}

/// The question before an alert goes.
pub(super) fn removal(alerts: Alerts) -> AnyView {
    let remove = move || {
        let Some(one) = alerts.chosen.get_untracked() else {
            return;
        };
        alerts.begin();
        let path = alerts.path(&format!("/{}", escape(&one.id)));
        alerts.sending.send("DELETE", path, None, move |_| {
            alerts.taken(&one.id);
            let done = format!("The alert {} is gone.", format::visible(&one.name));
            alerts.sending.done.set(Some(done));
            alerts.list.reload();
        });
    };
    let ask = Confirm {
        title: "Remove an alert",
        verb: "Remove",
        typed: None,
    };
    let preview = move || {
        let chosen = alerts.chosen.get_untracked();
        let words =
            chosen.map(|one| format!("{}: {}", format::visible(&one.name), one.condition.words()));
        view! {
            <p><b>{words}</b></p>
            <p>"Nothing is sent: who was told that it fires is not told that it is over. Its secret is gone with it."</p>
        }
        .into_any()
    };
    confirm(ask, alerts.removing, preview, remove)
}

/// How a test went.
pub(super) fn test_went(name: &str, went: &AlertDelivery) -> AnyView {
    let words = view! { <p>{went_words(went)}</p> };
    match went.delivered {
        true => alert(
            Tone::Ok,
            format!("The test of {name} was delivered"),
            words,
            (),
        ),
        false => alert(
            Tone::Bad,
            format!("The test of {name} was not delivered"),
            view! { {words} <p>"Look whether the receiver runs and takes a POST of JSON, then test again."</p> },
            (),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_deliveries_are_told_in_words() {
        assert_eq!(value_words(71.428, " %"), "71.4 %");
        assert_eq!(value_words(3.0, ""), "3");
        let mut went = AlertDelivery {
            event: AlertEvent::Test,
            at: String::new(),
            tries: 1,
            delivered: true,
            status: Some(204),
            problem: None,
            again_at: None,
        };
        assert_eq!(went_words(&went), "The receiver answered 204.");
        went.problem = Some("the receiver did not take it".into());
        went.status = Some(500);
        assert_eq!(
            went_words(&went),
            "The receiver did not take it. Its answer was 500."
        );
    }
}
