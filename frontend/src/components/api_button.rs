//! Every page that shows data shows how to get the same by program.

use leptos::prelude::*;

use crate::api;
use crate::components::changing::changing;
use crate::components::code::code_line;
use crate::components::icon::{Icon, icon};

/// A menu with the curl line for an address below `/api/v1`.
pub fn api_button(path: impl Fn() -> String + Send + Sync + 'static) -> AnyView {
    view! {
        <details class="menu">
            <summary class="button">{icon(Icon::Code)} "API"</summary>
            <div class="menu-list at-end api-menu">
                <p>"The same as JSON:"</p>
                {changing(move || code_line("curl line", curl(&path())))}
            </div>
        </details>
    }
    .into_any()
}

/// A line for a shell. Addresses are escaped and hold no quote.
fn curl(path: &str) -> String {
    format!("curl -fsS '{}'", api::full_address(path))
}
