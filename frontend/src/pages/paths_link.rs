//! A link that somebody was given says when it was made. Then the page says what
//! came since, so that two who look at one link know whether they see the same.

use leptos::prelude::*;
use snowbank_shared::api::{Page, PathRow};
use snowbank_shared::route::PathsQuery;

use crate::api;
use crate::components::ago::{absolute, ago};
use crate::components::changing::changing;
use crate::components::icon::{Icon, icon};
use crate::format;
use crate::pages::paths::Browser;
use crate::state::navigation::href;
use crate::state::remote::Remote;

/// The note, where the address says when it was made.
pub fn made_at(browser: Browser) -> AnyView {
    // What came since matches the same filters, from that time on.
    let since = Remote::<Page<PathRow>>::new(move || {
        let query = browser.query.get();
        let at = query.at.clone()?;
        // Asked again with every new state of the rows.
        browser.rows.get()?;
        let from = match (&query.since, format::unix_seconds(&at)) {
            (Some(since), Some(then)) if format::unix_seconds(since) > Some(then) => since.clone(),
            _ => at,
        };
        let query = PathsQuery {
            since: Some(from),
            ..query.first_page()
        };
        Some(api::paths_path(&browser.cache.get_value(), &query, 1))
    });
    let note = move || {
        let query = browser.query.get();
        let at = query.at.clone()?;
        let came = since.get().map(|page| match page.total {
            0 => "Nothing that matches was added since.".to_owned(),
            added => format!(
                "{} since that this link did not show.",
                format::counted(
                    added,
                    "matching path was added",
                    "matching paths were added"
                )
            ),
        });
        let now = PathsQuery { at: None, ..query };
        Some(view! {
            <div class="banner banner-info" id="link-made">
                {icon(Icon::Info)}
                <div class="banner-body">
                    <p>
                        "This link was made "
                        <span title=absolute(&at)>{ago(&at)}</span>
                        ". "
                        {came}
                        " What was removed since is not counted; for the same rows later, export them."
                    </p>
                </div>
                <div class="banner-actions">
                    <a class="button" href=href(&browser.route(now))>"Dismiss"</a>
                </div>
            </div>
        })
    };
    view! { <div class="banner-place">{changing(note)}</div> }.into_any()
}
