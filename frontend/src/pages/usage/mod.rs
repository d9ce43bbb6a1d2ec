//! How large a cache is, who fetches what, and what is missing.

use leptos::prelude::*;

use crate::components::index_line::{index_banner, index_line};
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::pages::cache::absent_or_failed;
use crate::state::live::live_cache;

/// The page.
pub fn page(cache: &str) -> AnyView {
    let live = live_cache();
    let slug = StoredValue::new(cache.to_owned());
    page_title(move || format!("Usage – {}", slug.get_value()));
    view! {
        <div class="page">
            <div class="page-head">{heading("Usage")} {index_line(live)}</div>
            {index_banner(live)}
            {absent_or_failed(live)}
            {skeleton(4, "Asking how it is used…")}
        </div>
    }
    .into_any()
}
