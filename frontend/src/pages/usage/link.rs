//! A link that somebody was given says when it was made. Then the page says what came since.

use leptos::prelude::*;
use snowbank_shared::api::{Page, PathRow};
use snowbank_shared::route::PathsQuery;

use super::Usage;
use super::asked::Asked;
use crate::api;
use crate::components::ago::{absolute, ago};
use crate::components::changing::changing;
use crate::components::icon::{Icon, icon};
use crate::format;
use crate::state::derived::memo;
use crate::state::navigation::href;
use crate::state::remote::Remote;

/// The note, where the address says when it was made.
pub(super) fn made_at(usage: Usage) -> AnyView {
    let at = memo(move || usage.asked.get().at);
    let since = Remote::<Page<PathRow>>::new(move || {
        usage.live.renewals.track();
        let query = PathsQuery {
            since: Some(at.get()?),
            ..PathsQuery::default()
        };
        Some(api::paths_path(&usage.cache.get_value(), &query, 1))
    });
    let note = move || {
        let at = at.get()?;
        let came = since.get().map(|page| match page.total {
            0 => "No path was added since.".to_owned(),
            added => format!(
                "The cache has changed: {} since.",
                format::counted(added, "path was added", "paths were added")
            ),
        });
        let now = Asked {
            at: None,
            ..usage.asked.get()
        };
        Some(view! {
            <div class="banner banner-info" id="link-made">
                {icon(Icon::Info)}
                <div class="banner-body">
                    <p>
                        "This link was made " <span title=absolute(&at)>{ago(&at)}</span>
                        " and shows the same days to everybody. "
                        {came}
                    </p>
                </div>
                <div class="banner-actions">
                    <a class="button" href=href(&now.of(&usage.cache.get_value()))>
                        "Dismiss"
                    </a>
                </div>
            </div>
        })
    };
    view! { <div class="banner-place">{changing(note)}</div> }.into_any()
}
