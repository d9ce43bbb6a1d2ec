//! Fields of forms: a label, the field, a hint, and below it what is wrong with
//! what was typed. The field, its hint and its error are tied together for
//! screen readers; an error says what to do and does not empty the field.

use leptos::prelude::*;

use crate::components::changing::changing;
use crate::components::fresh_id;

/// A field. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// What is asked for.
    pub label: &'static str,
    /// What it is for or looks like; empty where the label says it all.
    pub hint: &'static str,
    /// What stands in it.
    pub value: RwSignal<String>,
    /// What is wrong with it.
    pub error: RwSignal<Option<String>>,
}

impl Field {
    /// An empty one.
    pub fn new(label: &'static str, hint: &'static str) -> Self {
        Self {
            label,
            hint,
            value: RwSignal::new(String::new()),
            error: RwSignal::new(None),
        }
    }

    /// Label, `control` with the ids that it has to name, hint and error.
    fn around(self, control: impl FnOnce(String, String) -> AnyView) -> AnyView {
        let id = fresh_id();
        let notes = format!("{id}-notes");
        let hint = (!self.hint.is_empty())
            .then(|| view! { <small class="field-hint">{self.hint}</small> });
        let error = move || {
            self.error.get().map(|error| {
                view! { <span class="field-error">{error}</span> }
            })
        };
        view! {
            <div class="field" class:is-wrong=move || self.error.with(Option::is_some)>
                <label for=id.clone()>{self.label}</label>
                {control(id, notes.clone())}
                <p class="field-notes" id=notes aria-live="polite">
                    {hint}
                    {changing(error)}
                </p>
            </div>
        }
        .into_any()
    }

    fn wrong(self) -> Option<&'static str> {
        self.error.with(Option::is_some).then_some("true")
    }
}

/// One line. `kind` is an input type (`text`, `password`, `number`, `date`), `autocomplete`
/// what a password manager should know it as, or `off`.
pub fn text_field(field: Field, kind: &'static str, autocomplete: &'static str) -> AnyView {
    field.around(|id, notes| {
        view! {
            <input
                type=kind
                id=id
                autocomplete=autocomplete
                autocapitalize="off"
                spellcheck="false"
                aria-describedby=notes
                aria-invalid=move || field.wrong()
                prop:value=move || field.value.get()
                on:input=move |event| {
                    field.value.set(event_target_value(&event));
                    field.error.set(None);
                }
            />
        }
        .into_any()
    })
}

/// Several lines.
pub fn area_field(field: Field, rows: u8, placeholder: &'static str) -> AnyView {
    field.around(|id, notes| {
        view! {
            <textarea
                id=id
                rows=rows.to_string()
                placeholder=placeholder
                autocapitalize="off"
                spellcheck="false"
                aria-describedby=notes
                aria-invalid=move || field.wrong()
                prop:value=move || field.value.get()
                on:input=move |event| {
                    field.value.set(event_target_value(&event));
                    field.error.set(None);
                }
            ></textarea>
        }
        .into_any()
    })
}

/// One of a few: value and word of each.
pub fn select_field(field: Field, options: Vec<(String, String)>) -> AnyView {
    field.around(|id, notes| {
        let options = options
            .into_iter()
            .map(|(value, word)| {
                let chosen = field.value.with_untracked(|now| *now == value);
                view! { <option value=value selected=chosen>{word}</option> }
            })
            .collect_view();
        view! {
            <select
                id=id
                aria-describedby=notes
                prop:value=move || field.value.get()
                on:change=move |event| field.value.set(event_target_value(&event))
            >
                {options}
            </select>
        }
        .into_any()
    })
}
