//! Waiting: after 300 ms the final layout in grey, after two seconds words.

use leptos::prelude::*;

/// `rows` rows, and what is being waited for.
pub fn skeleton(rows: usize, what: &'static str) -> AnyView {
    view! {
        <div class="skeleton" aria-busy="true">
            <div aria-hidden="true">
                {(0..rows)
                    .map(|_| {
                        view! {
                            <div class="skeleton-row">
                                <span></span>
                                <span></span>
                                <span></span>
                                <span></span>
                            </div>
                        }
                    })
                    .collect_view()}
            </div>
            <p class="skeleton-slow">{what}</p>
        </div>
    }
    .into_any()
}
