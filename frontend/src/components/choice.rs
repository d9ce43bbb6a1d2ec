//! What is on or off, and one of several: check boxes and radio buttons.

use leptos::prelude::*;

use crate::components::fresh_id;

/// A check box with its words; `note` says what it means, empty where the words do.
pub fn check(label: &'static str, note: &'static str, on: RwSignal<bool>) -> AnyView {
    let note = (!note.is_empty()).then(|| view! { <small>{note}</small> });
    view! {
        <label class="choice choice-two">
            <input
                type="checkbox"
                prop:checked=move || on.get()
                on:change=move |_| on.update(|on| *on = !*on)
            />
            <span>{label}</span>
            {note}
        </label>
    }
    .into_any()
}

/// One of several, side by side: the words, which is chosen (tracked), and how to choose.
pub fn segments(
    legend: &'static str,
    words: &[&'static str],
    chosen: impl Fn() -> usize + Send + Sync + 'static,
    choose: impl Fn(usize) + 'static,
) -> AnyView {
    erased_segments(legend, words, Signal::derive(chosen), Box::new(choose))
}

fn erased_segments(
    legend: &'static str,
    words: &[&'static str],
    chosen: Signal<usize>,
    choose: Box<dyn Fn(usize)>,
) -> AnyView {
    let group = fresh_id();
    let choose = StoredValue::new_local(choose);
    let choices = words
        .iter()
        .enumerate()
        .map(|(at, &word)| {
            view! {
                <label>
                    <input
                        type="radio"
                        name=group.clone()
                        prop:checked=move || chosen.get() == at
                        on:change=move |_| choose.with_value(|choose| choose(at))
                    />
                    <span>{word}</span>
                </label>
            }
        })
        .collect_view();
    view! {
        <fieldset class="segments">
            <legend>{legend}</legend>
            <div>{choices}</div>
        </fieldset>
    }
    .into_any()
}
