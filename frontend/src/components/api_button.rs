//! Every page that shows data shows how to get the same by program.

use leptos::prelude::*;

use crate::api;
use crate::components::changing::changing;
use crate::components::code::code_line;
use crate::components::icon::Icon;
use crate::components::menu::menu;

/// A menu with the curl line for an address below `/api/v1`.
pub fn api_button(path: impl Fn() -> String + Send + Sync + 'static) -> AnyView {
    let lines = view! {
        <div class="api-menu">
            <p>"The same as JSON:"</p>
            {changing(move || code_line("curl line", curl(&path())))}
        </div>
    };
    menu(Icon::Code, "API", true, lines)
}

/// A line for a shell. Addresses are escaped and hold no quote.
fn curl(path: &str) -> String {
    format!("curl -fsS '{}'", api::full_address(path))
}
