//! The filters of the path browser that are in use, and which of them removes
//! the last rows.

use leptos::prelude::*;
use snowbank_shared::route::PathsQuery;

use crate::components::changing::changing;
use crate::components::chip::{content_words, signature_words};
use crate::components::icon::{Icon, icon};
use crate::format;
use crate::pages::paths::Browser;
use crate::state::navigation::href;

/// A filter in use.
pub struct Chosen {
    /// Its name in the counts of [`Facets::without`](snowbank_shared::api::Facets).
    name: &'static str,
    /// In words.
    word: String,
    /// The search without it.
    without: PathsQuery,
}

/// What is chosen.
pub fn chosen(query: &PathsQuery) -> Vec<Chosen> {
    let mut chosen = Vec::new();
    let base = query.first_page();
    let mut push = |name: &'static str, word: String, drop: &dyn Fn(&mut PathsQuery)| {
        let mut without = base.clone();
        drop(&mut without);
        chosen.push(Chosen {
            name,
            word: format::visible(&word),
            without,
        });
    };
    if !query.q.is_empty() {
        push("q", format!("“{}”", query.q), &|query| query.q.clear());
    }
    if let Some(sig) = query.sig {
        push(
            "sig",
            format!("signature: {}", signature_words(sig).2.to_ascii_lowercase()),
            &|query| query.sig = None,
        );
    }
    if let Some(content) = query.content {
        push(
            "content",
            format!("content: {}", content_words(content).2.to_ascii_lowercase()),
            &|query| query.content = None,
        );
    }
    if let Some(key) = &query.key {
        push("key", format!("key: {key}"), &|query| query.key = None);
    }
    if let Some(compression) = &query.compression {
        push(
            "compression",
            format!("compression: {compression}"),
            &|query| {
                query.compression = None;
            },
        );
    }
    if let Some(pin) = &query.pin {
        let words = match pin.as_str() {
            "*" => "kept by a pin".to_owned(),
            pin => format!("kept by pin {pin}"),
        };
        push("pin", words, &|query| query.pin = None);
    }
    if let Some(package) = &query.package {
        push("package", format!("package: {package}"), &|query| {
            query.package = None;
        });
    }
    if let Some(vouch) = &query.vouch {
        push("vouch", vouch_words(vouch), &|query| query.vouch = None);
    }
    if let Some(by) = &query.by {
        push("by", format!("put by {by}"), &|query| query.by = None);
    }
    if query.min.is_some() || query.max.is_some() {
        let words = match (query.min, query.max) {
            (Some(min), Some(max)) => {
                format!("size: {} to {}", format::size(min), format::size(max))
            }
            (Some(min), None) => format!("size: at least {}", format::size(min)),
            (None, max) => format!("size: at most {}", format::size(max.unwrap_or_default())),
        };
        push("size", words, &|query| {
            (query.min, query.max) = (None, None);
        });
    }
    if let Some(since) = &query.since {
        push("added", format!("added since {since}"), &|query| {
            query.since = None;
        });
    }
    if let Some(until) = &query.until {
        push("added", format!("added before {until}"), &|query| {
            query.until = None;
        });
    }
    if query.unreferenced {
        push(
            "unreferenced",
            "referenced by nothing".to_owned(),
            &|query| {
                query.unreferenced = false;
            },
        );
    }
    if query.reproduced {
        push(
            "reproduced",
            "reproduced by 2 people or more".to_owned(),
            &|query| query.reproduced = false,
        );
    }
    chosen
}

/// What vouches for a path, as the address says it, in words.
fn vouch_words(vouch: &str) -> String {
    match vouch.split_once(':') {
        Some(("valid", name)) => format!("signed by {name}, and it passes"),
        Some(("only", name)) => format!("only {name} vouches for it"),
        Some(("invalid", name)) => format!("signature by {name} fails"),
        Some(("closure", name)) => format!("whole closure signed by {name}"),
        _ => "whole closure is here".to_owned(),
    }
}

/// What is chosen, each with a link that drops it, and one that clears all.
pub fn active_filters(browser: Browser) -> AnyView {
    let list = move || {
        let query = browser.query.get();
        let chosen = chosen(&query);
        if chosen.is_empty() {
            return None;
        }
        let several = chosen.len() > 1;
        let links = chosen
            .into_iter()
            .map(|chosen| {
                view! {
                    <li>
                        <a class="filter" href=href(&browser.route(chosen.without))>
                            <span class="visually-hidden">"Drop the filter "</span>
                            {chosen.word}
                            {icon(Icon::Cross)}
                        </a>
                    </li>
                }
            })
            .collect_view();
        let clear = several.then(|| {
            let mut query = PathsQuery {
                sort: query.sort,
                ..PathsQuery::default()
            };
            query.cursor = None;
            view! {
                <li>
                    <a class="quiet" href=href(&browser.route(query))>"Clear filters"</a>
                </li>
            }
        });
        Some(view! {
            <ul class="active-filters" aria-label="Filters in use">
                {links} {clear}
            </ul>
        })
    };
    view! { <div class="banner-place">{changing(list)}</div> }.into_any()
}

/// Which filter removes the last rows: for each how many paths there would be without it,
/// and a button that drops the one which removes most.
pub fn what_removes_all(browser: Browser) -> AnyView {
    let chosen = chosen(&browser.query.get_untracked());
    let Some(facets) = browser.facets.get() else {
        return view! { <p class="muted">"Counting what each filter removes…"</p> }.into_any();
    };
    let count = |name: &str| {
        let found = facets.without.iter().find(|count| count.value == name);
        found.map_or(0, |count| count.paths)
    };
    let mut filters: Vec<(u64, Chosen)> = chosen
        .into_iter()
        .map(|filter| (count(filter.name), filter))
        .collect();
    filters.sort_by_key(|(paths, _)| std::cmp::Reverse(*paths));
    let most = filters.first().filter(|(paths, _)| *paths > 0);
    let lead = match most {
        Some((paths, filter)) => {
            let address = href(&browser.route(filter.without.clone()));
            view! {
                <p id="no-match">
                    "The filter "
                    <b>{filter.word.clone()}</b>
                    " removes the last rows: without it "
                    <b>{format::counted(*paths, "path matches", "paths match")}</b>
                    "."
                </p>
                <a class="button button-primary" href=address>
                    {icon(Icon::Cross)}
                    {format!("Drop {}", filter.word)}
                </a>
            }
            .into_any()
        }
        None if filters.len() > 1 => {
            view! { <p id="no-match">"No single filter does it: without any one of them there is still no path."</p> }.into_any()
        }
        None => view! { <p id="no-match">"Nothing in this cache matches it."</p> }.into_any(),
    };
    let all = filters
        .iter()
        .map(|(paths, filter)| {
            let address = href(&browser.route(filter.without.clone()));
            let found = if *paths > 0 {
                view! { <b>{format::counted(*paths, "path", "paths")}</b> }.into_any()
            } else {
                view! { <span class="muted">"still none"</span> }.into_any()
            };
            view! { <li>"Without " <a href=address>{filter.word.clone()}</a> ": " {found}</li> }
        })
        .collect_view();
    view! {
        {lead}
        <ul class="relaxations">{all}</ul>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use snowbank_shared::api::{ContentStatus, SignatureStatus};

    use super::*;

    #[test]
    fn dropping_every_filter_in_turn_leaves_none() {
        let mut query = PathsQuery {
            q: "python3".to_owned(),
            sig: Some(SignatureStatus::Valid),
            content: Some(ContentStatus::Mismatch),
            key: Some("team-1".to_owned()),
            compression: Some("xz".to_owned()),
            pin: Some("prod".to_owned()),
            package: Some("python3".into()),
            vouch: Some("only:team-1".into()),
            by: Some("member:alice".into()),
            unreferenced: true,
            reproduced: true,
            min: Some(1),
            max: Some(2),
            since: Some("2026-11-01".to_owned()),
            until: Some("2026-12-01".to_owned()),
            cursor: Some("c".to_owned()),
            at: Some("2026-11-23T12:00:00Z".to_owned()),
            ..PathsQuery::default()
        };
        let mut words = Vec::new();
        while let Some(first) = chosen(&query).into_iter().next() {
            words.push(first.word);
            query = first.without;
        }
        assert_eq!(words.len(), 14);
        assert!(query.is_unfiltered() && query.cursor.is_none());
    }
}
