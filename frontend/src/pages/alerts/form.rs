//! What an alert is, as somebody types it, and the form that makes one. A preset fills it in.

use leptos::prelude::*;
use snowbank_shared::api::alerts::{
    Alert, AlertCondition, AlertFigure, AlertSide, AlertWish, NewAlert, presets,
};

use super::Alerts;
use crate::components::button::{Readiness, Weight, button_when};
use crate::components::changing::changing;
use crate::components::field::{Field, select_field, text_field};
use crate::components::icon::Icon;
use crate::components::layout::card;
use crate::format;
use crate::state::derived::{effect, memo};
use crate::state::sending::json;

/// What is typed. Copy it freely.
#[derive(Clone, Copy)]
pub(super) struct Form {
    preset: Field,
    name: Field,
    figure: Field,
    check: Field,
    side: Field,
    threshold: Field,
    minutes: Field,
    url: Field,
}

/// The choice among presets that fills in nothing.
const OWN: &str = "own";

impl Form {
    /// For a new alert.
    fn new() -> Self {
        let form = Self::empty(
            "Begin with",
            "An https:// URL that takes a POST. Only its host is shown again.",
        );
        form.preset.value.set("0".to_owned());
        form.follow_presets(true);
        form
    }

    /// As an alert is.
    pub(super) fn of(alert: &Alert) -> Self {
        let form = Self::empty(
            "Condition",
            "Empty: it stays. Only the host of a URL is shown again.",
        );
        form.preset.value.set(OWN.to_owned());
        form.name.value.set(alert.name.clone());
        form.put(alert.condition.clone());
        form.follow_presets(false);
        form
    }

    fn empty(preset: &'static str, webhook: &'static str) -> Self {
        Self {
            preset: Field::new(preset, ""),
            name: Field::new("Name", "Stands in the message."),
            figure: Field::new("Figure", ""),
            check: Field::new(
                "Check",
                "Its code, such as nar-missing; empty: any finding.",
            ),
            side: Field::new("Fires where it is", ""),
            threshold: Field::new("Threshold", "In the unit of the figure."),
            minutes: Field::new("Minutes", "For so long without a break, 0 to 10080."),
            url: Field::new("Webhook", webhook),
        }
    }

    /// Fills in each preset that is chosen; its name too, where it has none of its own yet.
    fn follow_presets(self, named: bool) {
        effect(move || {
            let preset = self.preset.value.get();
            let chosen = preset.parse().ok();
            let Some((name, condition)) = chosen.and_then(|at| presets().into_iter().nth(at))
            else {
                return;
            };
            if named {
                self.name.value.set(name.to_owned());
            }
            self.put(condition);
        });
    }

    /// Fills in a condition.
    fn put(self, condition: AlertCondition) {
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

    /// What is lacking before it can be sent, but for a webhook; tracked.
    pub(super) fn lacks_name(self) -> Option<Readiness> {
        lacks(self.name).then(|| Readiness::Refused("Give it a name first.".to_owned()))
    }

    /// What is typed, where it can be sent; else the fields say what is wrong. `revision` is the one
    /// that was read, 0 for a new alert.
    pub(super) fn wish(self, revision: u64) -> Option<AlertWish> {
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
            url: Some(self.url.value.get_untracked().trim().to_owned())
                .filter(|url| !url.is_empty()),
            revision,
        })
    }

    /// The fields.
    pub(super) fn fields(self) -> AnyView {
        let findings = memo(move || self.figure.value.get() == AlertFigure::Findings.as_str());
        let check = move || {
            findings
                .get()
                .then(|| text_field(self.check, "text", "off"))
        };
        view! {
            <div class="form form-columns">
                {select_field(self.preset, preset_options())}
                {text_field(self.name, "text", "off")}
                {select_field(self.figure, figure_options())}
                {changing(check)}
                {select_field(self.side, side_options())}
                {text_field(self.threshold, "number", "off")}
                {text_field(self.minutes, "number", "off")}
                {text_field(self.url, "url", "off")}
            </div>
        }
        .into_any()
    }
}

/// Whether nothing is typed; tracked.
fn lacks(field: Field) -> bool {
    field.value.with(|value| value.trim().is_empty())
}

/// The form that makes an alert.
pub(super) fn card_of(alerts: Alerts) -> AnyView {
    let form = Form::new();
    // Before anything is typed: who may not, and that there is no room for another.
    let refused = memo(move || match (alerts.full(), alerts.readiness()) {
        (_, Readiness::Refused(why)) | (Some(why), _) => Some(why),
        _ => None,
    });
    let ready = move || {
        let otherwise = match (refused.get(), form.lacks_name()) {
            (Some(why), _) => Readiness::Refused(why),
            (None, Some(lacks)) => lacks,
            (None, None) if lacks(form.url) => {
                Readiness::Refused("Say which webhook is called.".to_owned())
            }
            (None, None) => Readiness::Ready,
        };
        alerts.sending.readiness(otherwise)
    };
    let go = move || {
        let Some(wish) = form.wish(0) else { return };
        alerts.begin();
        let name = wish.name.clone();
        alerts
            .sending
            .send("POST", alerts.path(""), json(&wish), move |answer| {
                let made = answer.json::<NewAlert>().ok();
                alerts.made.update(|all| all.extend(made));
                let done = format!("The alert {} is made.", format::visible(&name));
                alerts.sending.done.set(Some(done));
                form.url.value.set(String::new());
                alerts.list.reload();
            });
    };
    let body = view! {
        <p>"A message is sent once when the alert begins to fire, and once when it is over. One that does not arrive is tried six times within half an hour."</p>
        <div class="form form-wide">
            <fieldset class="plain" disabled=move || refused.get().is_some()>
                <legend class="visually-hidden">"What the alert is"</legend>
                {form.fields()}
            </fieldset>
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
    options.push((OWN.to_owned(), "A condition of your own".to_owned()));
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
