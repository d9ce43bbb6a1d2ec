//! An address that is none.

use leptos::prelude::*;
use snowbank_shared::route::{Route, RouteError};

use crate::components::page_head::{heading, page_title};
use crate::state::navigation::href;

/// Says what is wrong with the address.
pub fn page(error: &RouteError) -> AnyView {
    let (title, why) = match error {
        RouteError::NoSuchPage => (
            "No such page",
            "There is no page at this address. It may have been mistyped, or name a feature that this version does not have.".to_owned(),
        ),
        RouteError::Parameter { name, value } => (
            "This address has a filter that means nothing",
            format!("“{name}” cannot be “{value}”. Nothing is shown rather than the wrong thing."),
        ),
    };
    page_title(move || title.to_owned());
    view! {
        <div class="page">
            <div class="page-head">{heading(title)} <p class="state-sentence">{why}</p></div>
            <p>
                <a href=href(&Route::Caches)>"All caches"</a>
                " · "
                <a href=href(&Route::Help)>"Help"</a>
            </p>
        </div>
    }
    .into_any()
}
