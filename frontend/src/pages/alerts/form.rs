//! The form that makes an alert, filled in by a preset.

use leptos::prelude::*;
use snowbank_shared::api::alerts::{AlertCondition, AlertFigure, AlertSide, AlertWish, presets};

use super::Alerts;
use crate::components::button::{Readiness, Weight, button_when};
use crate::components::changing::changing;
use crate::components::field::{Field, select_field, text_field};
use crate::components::icon::Icon;
use crate::components::layout::card;
use crate::state::derived::{effect, memo};
use crate::state::sending::json;

/// What is typed. Copy it freely.
#[derive(Clone, Copy)]
struct Form {
    preset: Field,
    name: Field,
    figure: Field,
    check: Field,
    side: Field,
    threshold: Field,
    minutes: Field,
    url: Field,
}

impl Form {
    fn new() -> Self {
        let form = Self {
            preset: Field::new("Begin with", ""),
            name: Field::new("Name", "Stands in the message."),
            figure: Field::new("Figure", ""),
            check: Field::new(
                "Check",
                "Its code, such as nar-missing; empty: any finding.",
            ),
            side: Field::new("Fires where it is", ""),
            threshold: Field::new("Threshold", "In the unit of the figure."),
            minutes: Field::new("Minutes", "For so long without a break, 0 to 10080."),
            url: Field::new(
                "Webhook",
                "An https:// URL that takes a POST. Only its host is shown again.",
            ),
        };
        form.preset.value.set("0".to_owned());
        form.fill(0);
        form
    }

    /// Fills in a preset.
    fn fill(self, at: usize) {
        let Some((name, condition)) = presets().into_iter().nth(at) else {
            return;
        };
        self.name.value.set(name.to_owned());
        self.check.value.set(condition.check.unwrap_or_default());
        for (field, value) in [
            (self.figure, condition.figure.as_str().to_owned()),
            (self.side, condition.side.as_str().to_owned()),
            (self.threshold, condition.threshold.to_string()),
            (self.minutes, condition.minutes.to_string()),
        ] {
            field.value.set(value);
            field.error.set(None);
        }
    }

    fn chosen(self) -> AlertFigure {
        let word = self.figure.value.get_untracked();
        let mut all = AlertFigure::ALL.into_iter();
        all.find(|figure| figure.as_str() == word)
            .unwrap_or(AlertFigure::HitRatio)
    }

    /// What is typed, where it can be sent; else the fields say what is wrong.
    fn wish(self) -> Option<AlertWish> {
        let number = |field: Field| match field.value.get_untracked().trim().parse::<u32>() {
            Ok(number) => Some(number),
            Err(_) => {
                field
                    .error
                    .set(Some("This is not a whole number.".to_owned()));
                None
            }
        };
        let (threshold, minutes) = (number(self.threshold), number(self.minutes));
        let figure = self.chosen();
        let check = self.check.value.get_untracked().trim().to_owned();
        let side = match self.side.value.get_untracked().as_str() {
            "above" => AlertSide::Above,
            _ => AlertSide::Below,
        };
        Some(AlertWish {
            name: self.name.value.get_untracked().trim().to_owned(),
            condition: AlertCondition {
                figure,
                check: (figure == AlertFigure::Findings && !check.is_empty()).then_some(check),
                side,
                threshold: threshold?,
                minutes: minutes?,
            },
            url: Some(self.url.value.get_untracked().trim().to_owned()),
            revision: 0,
        })
    }
}

/// The form.
pub(super) fn card_of(alerts: Alerts) -> AnyView {
    let form = Form::new();
    effect(move || {
        let preset = form.preset.value.get();
        if let Ok(at) = preset.parse() {
            form.fill(at);
        }
    });
    let ready = move || {
        let lacks = |field: Field| field.value.with(|value| value.trim().is_empty());
        let otherwise = match alerts.readiness() {
            Readiness::Ready if lacks(form.name) => {
                Readiness::Refused("Give it a name first.".to_owned())
            }
            Readiness::Ready if lacks(form.url) => {
                Readiness::Refused("Say which webhook is called.".to_owned())
            }
            other => other,
        };
        alerts.sending.readiness(otherwise)
    };
    let go = move || {
        let Some(wish) = form.wish() else { return };
        alerts.forget();
        alerts
            .sending
            .send("POST", alerts.path(""), json(&wish), move |answer| {
                alerts.made.set(answer.json().ok());
                form.url.value.set(String::new());
                alerts.list.reload();
            });
    };
    let findings = memo(move || form.figure.value.get() == AlertFigure::Findings.as_str());
    let check = move || {
        findings
            .get()
            .then(|| text_field(form.check, "text", "off"))
    };
    let words = view! {
        <p>"A message is sent once when the alert begins to fire, and once when it is over. One that does not arrive is tried six times within half an hour."</p>
    };
    let body = view! {
        {words}
        <div class="form form-wide">
            <div class="form form-columns">
                {select_field(form.preset, preset_options())}
                {text_field(form.name, "text", "off")}
                {select_field(form.figure, figure_options())}
                {changing(check)}
                {select_field(form.side, side_options())}
                {text_field(form.threshold, "number", "off")}
                {text_field(form.minutes, "number", "off")}
                {text_field(form.url, "url", "off")}
            </div>
            <p>{button_when(Weight::Primary, Some(Icon::Plus), "Make the alert", ready, go)}</p>
        </div>
    };
    card("New alert", (), body)
}

fn preset_options() -> Vec<(String, String)> {
    let mut options: Vec<(String, String)> = presets()
        .iter()
        .enumerate()
        .map(|(at, (_, condition))| (at.to_string(), condition.words()))
        .collect();
    options.push(("own".to_owned(), "A condition of your own".to_owned()));
    options
}

fn figure_options() -> Vec<(String, String)> {
    AlertFigure::ALL
        .iter()
        .map(|figure| {
            let unit = figure.unit().trim();
            let words = match unit.is_empty() {
                true => figure.title().to_owned(),
                false => format!("{}, {unit}", figure.title()),
            };
            (figure.as_str().to_owned(), words)
        })
        .collect()
}

fn side_options() -> Vec<(String, String)> {
    [AlertSide::Below, AlertSide::Above]
        .map(|side| {
            let words = format!("{} the threshold", side.as_str());
            (side.as_str().to_owned(), words)
        })
        .to_vec()
}
