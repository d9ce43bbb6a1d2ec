//! What a closure refers to and the cache lacks: how much, and what the upstreams say of it.

use leptos::prelude::*;
use snowbank_shared::api::Lookup;

use crate::api;
use crate::components::changing::changing;
use crate::components::icon::{Icon, icon};
use crate::format;
use crate::pages::lookup_table::upstream_chip;
use crate::state::remote::Remote;

/// Missing paths of a page that the upstreams are asked about.
const MOST_ASKED: usize = 50;

/// What the upstreams say of missing paths; asked for the first ones.
pub fn asked(cache: &str, missing: impl Iterator<Item = String>) -> Option<Remote<Lookup>> {
    let missing: Vec<String> = missing.take(MOST_ASKED).collect();
    if missing.is_empty() {
        return None;
    }
    let path = api::lookup_in_path(cache, &missing);
    Some(Remote::new(move || Some(path.clone())))
}

/// What the upstreams say of one of them; nothing where none is configured.
pub fn on_upstreams(asked: Option<Remote<Lookup>>, hash: String) -> AnyView {
    changing(move || {
        let lookup = asked?.get()?;
        let item = lookup.items.iter().find(|item| item.q == hash)?;
        Some(item.upstreams.iter().map(upstream_chip).collect_view())
    })
}

/// That something is missing; `where_` says where it is shown.
pub fn banner(missing: u64, where_: &'static str) -> Option<AnyView> {
    (missing > 0).then(|| {
        view! {
            <div class="banner banner-bad">
                {icon(Icon::Warning)}
                <div class="banner-body">
                    <p class="banner-title">
                        {format!(
                            "{} referenced, not in this cache",
                            format::counted(missing, "path is", "paths are"),
                        )}
                    </p>
                    <p>
                        "A machine that uses only this cache cannot fetch the whole. "
                        {where_}
                    </p>
                </div>
            </div>
        }
        .into_any()
    })
}
