//! In which place a cache is asked.

use leptos::prelude::*;

use crate::components::fresh_id;

/// A number, or nothing: then each cache is asked in the place that it says itself. `now` is
/// tracked.
pub fn priority_field(
    now: impl Fn() -> Option<u16> + Send + Sync + 'static,
    choose: impl Fn(Option<u16>) + 'static,
) -> AnyView {
    let (id, notes) = (fresh_id(), fresh_id());
    let now = Signal::derive(now);
    let shown = move || now.get().map(|priority| priority.to_string());
    let words = move || match now.get() {
        None => {
            "Empty: as each cache says. cache.nixos.org has 40; a smaller number is asked before it."
        }
        Some(priority) if priority < 40 => "Asked before cache.nixos.org, which has 40.",
        Some(40) => {
            "As cache.nixos.org, which has 40: which of the two is asked first is not said."
        }
        Some(_) => "Asked after cache.nixos.org, which has 40.",
    };
    view! {
        <div class="field">
            <label for=id.clone()>"Priority"</label>
            <input
                type="number"
                id=id
                min="0"
                max="65535"
                step="1"
                inputmode="numeric"
                autocomplete="off"
                aria-describedby=notes.clone()
                prop:value=move || shown().unwrap_or_default()
                on:change=move |event| choose(event_target_value(&event).trim().parse().ok())
            />
            <p class="field-notes" id=notes>
                <small class="field-hint">
                    {words} " A client remembers a cache's own number for a week; this one is in the URL."
                </small>
            </p>
        </div>
    }
    .into_any()
}
