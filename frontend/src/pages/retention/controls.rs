//! The rules as somebody sets them: each on or off, with a number that is typed or slid.
//!
//! What is set here goes into the address a moment after the last change, and comes back from it. While
//! a change is on its way the address does not overwrite what is being set.

use std::time::Duration;

use leptos::prelude::*;
use snowbank_shared::api::retention::{
    DisabledRule, MOST_DAYS, MOST_GRACE_HOURS, MOST_NAMES, MOST_REVISIONS, Rules,
};

use super::target;
use crate::components::changing::changing;
use crate::components::field::{Field, area_field, text_field};
use crate::components::fresh_id;
use crate::state::derived::{effect, memo};

/// How long after the last change the address follows: short enough that the answer is there within a
/// second, long enough that sliding asks a few times and not a hundred.
const SETTLES: Duration = Duration::from_millis(150);

/// A rule with a number. Copy it freely.
#[derive(Clone, Copy)]
struct Numbered {
    on: RwSignal<bool>,
    number: RwSignal<u32>,
}

impl Numbered {
    fn new(number: u32) -> Self {
        Self {
            on: RwSignal::new(false),
            number: RwSignal::new(number),
        }
    }

    fn get(self) -> Option<u32> {
        let number = self.number.get();
        self.on.get().then_some(number)
    }

    fn set(self, number: Option<u32>) {
        self.on.set(number.is_some());
        if let Some(number) = number {
            self.number.set(number);
        }
    }
}

/// What is being set. Copy it freely.
#[derive(Clone, Copy)]
pub(super) struct Draft {
    pins: Numbered,
    fetched: Numbered,
    uploaded: Numbered,
    names: Field,
    grace: RwSignal<u32>,
    target: Field,
    /// The change that is on its way into the address.
    pending: StoredValue<Option<TimeoutHandle>>,
}

impl Draft {
    pub(super) fn new() -> Self {
        Self {
            pins: Numbered::new(5),
            fetched: Numbered::new(90),
            uploaded: Numbered::new(30),
            names: Field::new(
                "Names to keep",
                "One pattern a line, such as nixos-system-*.",
            ),
            grace: RwSignal::new(Rules::default().grace_hours),
            target: Field::new(
                "Target size",
                "Such as 250 GiB: rules that come down to it are suggested. Empty: none.",
            ),
            pending: StoredValue::new(None),
        }
    }

    /// The rules that stand there; tracked.
    fn rules(self) -> Rules {
        let names = self.names.value.get();
        Rules {
            pins: self.pins.get().and_then(|most| u16::try_from(most).ok()),
            fetched_days: self.fetched.get(),
            uploaded_days: self.uploaded.get(),
            names: names
                .lines()
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .take(MOST_NAMES)
                .map(str::to_owned)
                .collect(),
            target_size: target::parsed(&self.target.value.get()),
            grace_hours: self.grace.get(),
        }
    }

    fn set(self, rules: &Rules) {
        self.pins.set(rules.pins.map(u32::from));
        self.fetched.set(rules.fetched_days);
        self.uploaded.set(rules.uploaded_days);
        self.names.value.set(rules.names.join("\n"));
        self.grace.set(rules.grace_hours);
        let size = rules.target_size.map(target::spelled);
        self.target.value.set(size.unwrap_or_default());
    }

    /// Follows what is shown, and gives `changed` what was set, a moment after the last change.
    pub(super) fn tie(
        self,
        shown: impl Fn() -> Option<Rules> + Copy + Send + Sync + 'static,
        changed: impl Fn(Rules) + Copy + Send + Sync + 'static,
    ) {
        effect(move || {
            let Some(rules) = shown() else { return };
            if self.pending.with_value(Option::is_none) && untrack(|| self.rules()) != rules {
                self.set(&rules);
            }
        });
        effect(move || {
            let rules = self.rules();
            let Some(before) = untrack(shown) else {
                return;
            };
            self.forget();
            if rules == before {
                return;
            }
            let settled = move || {
                self.pending.set_value(None);
                changed(rules.clone());
            };
            let timer = set_timeout_with_handle(settled, SETTLES).ok();
            self.pending.set_value(timer);
        });
        effect(move || {
            let text = self.target.value.get();
            let wrong = !text.trim().is_empty() && target::parsed(&text).is_none();
            let words = wrong.then(|| "A whole number and a unit, such as 250 GiB.".to_owned());
            self.target.error.set(words);
        });
        on_cleanup(move || self.forget());
    }

    /// Drops the change that is on its way.
    pub(super) fn forget(self) {
        if let Some(Some(timer)) = self.pending.try_update_value(Option::take) {
            timer.clear();
        }
    }
}

/// A number that is typed or slid.
struct Range {
    label: &'static str,
    unit: &'static str,
    least: u32,
    /// Where the slider ends.
    slides: u32,
    /// What may be typed.
    most: u32,
}

fn number(range: &Range, number: RwSignal<u32>) -> AnyView {
    let &Range {
        label,
        unit,
        least,
        slides,
        most,
    } = range;
    let id = fresh_id();
    let wrong = RwSignal::new(false);
    let notes = format!("{id}-notes");
    let read = move |text: &str| {
        let read = text.trim().parse::<u32>().ok();
        let read = read.filter(|read| (least..=most).contains(read));
        wrong.set(read.is_none());
        if let Some(read) = read {
            number.set(read);
        }
    };
    let note = move || {
        wrong.get().then(|| {
            view! { <span class="field-error">{format!("A number from {least} to {most}.")}</span> }
        })
    };
    view! {
        <span class="gc-number">
            <input
                type="range"
                min=least.to_string()
                max=slides.to_string()
                aria-label=format!("{label}, {unit}, slider")
                prop:value=move || number.get().min(slides).to_string()
                on:input=move |event| read(&event_target_value(&event))
            />
            <input
                type="number"
                id=id
                min=least.to_string()
                max=most.to_string()
                aria-label=format!("{label}, {unit}")
                aria-describedby=notes.clone()
                aria-invalid=move || wrong.get().then_some("true")
                prop:value=move || number.get().to_string()
                on:input=move |event| read(&event_target_value(&event))
            />
            <span>{unit}</span>
        </span>
        <span id=notes aria-live="polite">{changing(note)}</span>
    }
    .into_any()
}

/// A rule: on or off, its number, and why it cannot be applied where it cannot.
fn rule(
    rule: Numbered,
    range: &Range,
    field: &'static str,
    disabled: Signal<Vec<DisabledRule>>,
) -> AnyView {
    let label = range.label;
    let refused =
        memo(move || disabled.with(|all| all.iter().find(|one| one.rule == field).cloned()));
    let reason = move || {
        refused.get().map(|refused| {
            view! { <small class="refusal" id=format!("gc-{field}-reason")>{refused.reason}</small> }
        })
    };
    let slider = number(range, rule.number);
    view! {
        <div class="gc-rule" id=format!("gc-{field}") class:is-off=move || !rule.on.get()>
            <label class="choice choice-two">
                <input
                    type="checkbox"
                    prop:checked=move || rule.on.get()
                    aria-disabled=move || refused.with(Option::is_some).then_some("true")
                    aria-describedby=move || refused.with(Option::is_some).then(|| format!("gc-{field}-reason"))
                    on:click=move |event| {
                        // What is on can always be taken off; what cannot be applied is not put on.
                        if refused.with_untracked(Option::is_some) && !rule.on.get_untracked() {
                            event.prevent_default();
                        }
                    }
                    on:change=move |_| rule.on.update(|on| *on = !*on)
                />
                <span>{label}</span>
            </label>
            {slider}
            {changing(reason)}
        </div>
    }
    .into_any()
}

/// The controls.
pub(super) fn drawn(draft: Draft, disabled: Signal<Vec<DisabledRule>>) -> AnyView {
    let days = |label: &'static str| Range {
        label,
        unit: "days",
        least: 1,
        slides: 365,
        most: MOST_DAYS,
    };
    let pins = Range {
        label: "Pins, newest revisions",
        unit: "revisions",
        least: 1,
        slides: u32::from(MOST_REVISIONS),
        most: u32::from(MOST_REVISIONS),
    };
    let grace = Range {
        label: "Leave alone what is newer than",
        unit: "hours",
        least: 0,
        slides: 168,
        most: MOST_GRACE_HOURS,
    };
    view! {
        <fieldset class="gc-rules">
            <legend>"Keep"</legend>
            {rule(draft.pins, &pins, "pins", disabled)}
            {rule(draft.fetched, &days("Fetched within"), "fetched_days", disabled)}
            {rule(draft.uploaded, &days("Uploaded within"), "uploaded_days", disabled)}
            <p class="gc-always">"And everything that these need: closures stay whole, always."</p>
            {area_field(draft.names, 2, "nixos-system-*")}
        </fieldset>
        <fieldset class="gc-rules">
            <legend>"And"</legend>
            <div class="gc-rule" id="gc-grace">
                <span class="gc-label">{grace.label}</span>
                {number(&grace, draft.grace)}
            </div>
            {text_field(draft.target, "text", "off")}
        </fieldset>
    }
    .into_any()
}
