//! What changed behind a page is offered, not forced: nothing moves that is being read.

use leptos::prelude::*;

use crate::components::changing::changing;
use crate::components::icon::{Icon, icon};

/// A banner with the words, while there are any, and a button that shows what is new.
pub fn offer(
    words: impl Fn() -> Option<&'static str> + Send + 'static,
    show: impl Fn() + 'static,
) -> AnyView {
    let show: Box<dyn Fn()> = Box::new(show);
    erased(Box::new(words), StoredValue::new_local(show))
}

fn erased(
    words: Box<dyn Fn() -> Option<&'static str> + Send>,
    show: StoredValue<Box<dyn Fn()>, LocalStorage>,
) -> AnyView {
    let drawn = move || {
        words().map(|words| {
            view! {
                <div class="banner banner-info">
                    {icon(Icon::Info)}
                    <div class="banner-body">
                        <p>{words}</p>
                    </div>
                    <div class="banner-actions">
                        <button
                            type="button"
                            class="button"
                            on:click=move |_| show.with_value(|show| show())
                        >
                            {icon(Icon::Again)}
                            "Show"
                        </button>
                    </div>
                </div>
            }
        })
    };
    view! { <div class="banner-place">{changing(drawn)}</div> }.into_any()
}
