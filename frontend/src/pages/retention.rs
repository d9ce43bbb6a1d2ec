//! What rules would keep and remove, and what a plan does.

use leptos::prelude::*;
use snowbank_shared::route::MonitoringRoute;

use crate::components::index_line::{index_banner, index_line};
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::pages::cache::absent_or_failed;
use crate::state::live::live_cache;

/// The page.
pub fn page(route: &MonitoringRoute) -> AnyView {
    let live = live_cache();
    let slug = StoredValue::new(route.cache().to_owned());
    page_title(move || format!("Retention – {}", slug.get_value()));
    view! {
        <div class="page">
            <div class="page-head">{heading("Retention")} {index_line(live)}</div>
            {index_banner(live)}
            {absent_or_failed(live)}
            {skeleton(4, "Asking what may go…")}
        </div>
    }
    .into_any()
}
