//! Waiting: after 300 ms the final layout in grey, after two seconds words.

use leptos::prelude::*;

/// `rows` rows, and what is being waited for.
pub fn skeleton(rows: usize, what: &'static str) -> AnyView {
    drawn(rows, what, true)
}

/// The same where nothing is waited for, to show how it looks.
pub fn skeleton_sample(rows: usize, what: &'static str) -> AnyView {
    drawn(rows, what, false)
}

fn drawn(rows: usize, what: &'static str, busy: bool) -> AnyView {
    let class = if busy {
        "skeleton"
    } else {
        "skeleton is-sample"
    };
    view! {
        <div class=class aria-busy=busy.then_some("true")>
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
