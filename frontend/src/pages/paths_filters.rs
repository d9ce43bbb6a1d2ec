//! The filters of the path browser: choosers, the list of what is chosen, and
//! which of it removes the last rows.

use leptos::prelude::*;
use snowbank_shared::api::{ContentStatus, Page, PathRow, SignatureStatus};
use snowbank_shared::route::PathsQuery;

use crate::api;
use crate::components::changing::changing;
use crate::components::chip::{content_words, signature_words};
use crate::components::icon::{Icon, icon};
use crate::format;
use crate::pages::paths::Browser;
use crate::state::navigation::href;
use crate::state::remote::Remote;

const MIB: u64 = 1 << 20;

/// Bands of NarSize: word in the chooser, least, most.
const BANDS: [(&str, Option<u64>, Option<u64>); 4] = [
    ("under 1 MiB", None, Some(MIB - 1)),
    ("1 to 10 MiB", Some(MIB), Some(10 * MIB - 1)),
    ("10 to 100 MiB", Some(10 * MIB), Some(100 * MIB - 1)),
    ("100 MiB and more", Some(100 * MIB), None),
];

/// Ages: word in the chooser, seconds.
const AGES: [(&str, u32); 4] = [
    ("last hour", 3600),
    ("last 24 hours", 86_400),
    ("last 7 days", 604_800),
    ("last 30 days", 2_592_000),
];

/// A labelled chooser. `options` are value and word; the empty value is “any”.
fn chooser(
    label: &'static str,
    options: impl Fn() -> Vec<(String, String)> + Send + Sync + 'static,
    value: impl Fn() -> String + Copy + Send + Sync + 'static,
    choose: impl Fn(String) + 'static,
) -> AnyView {
    let drawn = move || {
        let chosen = value();
        let mut options = options();
        // An address may hold a value that no option names.
        if !chosen.is_empty() && !options.iter().any(|(value, _)| *value == chosen) {
            options.push((chosen.clone(), "as in the address".to_owned()));
        }
        options
            .into_iter()
            .map(|(value, word)| {
                let selected = value == chosen;
                view! { <option value=value selected=selected>{word}</option> }
            })
            .collect_view()
    };
    view! {
        <label class="chooser" class:is-chosen=move || !value().is_empty()>
            <span>{label}</span>
            <select prop:value=value on:change=move |event| choose(event_target_value(&event))>
                <option value="">"any"</option>
                {changing(drawn)}
            </select>
        </label>
    }
    .into_any()
}

/// The choosers.
pub fn filters(browser: Browser) -> AnyView {
    let query = browser.query;
    let signatures = move || {
        let cache = browser.live.cache.get();
        let count = |status: SignatureStatus| {
            let cache = cache.as_ref()?;
            let count = cache
                .signatures
                .iter()
                .find(|count| count.signature == status);
            Some(count.map_or(0, |count| count.paths))
        };
        SignatureStatus::ALL
            .into_iter()
            .filter(|status| count(*status) != Some(0) || query.get().sig == Some(*status))
            .map(|status| {
                let word = signature_words(status).2;
                let word = match count(status) {
                    Some(paths) => format!("{word} ({})", format::count(paths)),
                    None => word.to_owned(),
                };
                (status.to_string(), word)
            })
            .collect()
    };
    let contents = || {
        ContentStatus::ALL
            .into_iter()
            .map(|status| (status.to_string(), content_words(status).2.to_owned()))
            .collect()
    };
    let keys = move || {
        browser.live.cache.get().map_or_else(Vec::new, |cache| {
            cache
                .keys
                .iter()
                .map(|key| (key.name.clone(), key.name.clone()))
                .collect()
        })
    };
    let bands = || {
        BANDS
            .iter()
            .map(|(word, min, max)| (band_value(*min, *max), (*word).to_owned()))
            .collect()
    };
    let ages = || {
        AGES.iter()
            .map(|(word, _)| ((*word).to_owned(), format!("in the {word}")))
            .collect()
    };
    view! {
        <div class="choosers" role="group" aria-label="Filters">
            {chooser(
                "Signature",
                signatures,
                move || query.with(|query| query.sig.map_or_else(String::new, |sig| sig.to_string())),
                move |value| browser.change(|query| query.sig = value.parse().ok()),
            )}
            {chooser(
                "Content",
                contents,
                move || {
                    query.with(|query| query.content.map_or_else(String::new, |word| word.to_string()))
                },
                move |value| browser.change(|query| query.content = value.parse().ok()),
            )}
            {chooser(
                "Key",
                keys,
                move || query.with(|query| query.key.clone().unwrap_or_default()),
                move |value| browser.change(|query| query.key = some(value)),
            )}
            {chooser(
                "Size",
                bands,
                move || query.with(|query| band_value(query.min, query.max)),
                move |value| browser.change(|query| (query.min, query.max) = band_of(&value)),
            )}
            {chooser(
                "Added",
                ages,
                move || query.with(|query| query.since.clone().unwrap_or_default()),
                move |value| browser.change(|query| query.since = since(&value)),
            )}
            <label class="choice chooser-check">
                <input
                    type="checkbox"
                    prop:checked=move || query.with(|query| query.unreferenced)
                    on:change=move |_| browser.change(|query| query.unreferenced = !query.unreferenced)
                />
                "Referenced by nothing"
            </label>
        </div>
    }
    .into_any()
}

fn some(value: String) -> Option<String> {
    (!value.is_empty()).then_some(value)
}

fn band_value(min: Option<u64>, max: Option<u64>) -> String {
    if min.is_none() && max.is_none() {
        return String::new();
    }
    let bound = |bound: Option<u64>| bound.map_or_else(String::new, |bytes| bytes.to_string());
    format!("{}-{}", bound(min), bound(max))
}

fn band_of(value: &str) -> (Option<u64>, Option<u64>) {
    let (min, max) = value.split_once('-').unwrap_or_default();
    (min.parse().ok(), max.parse().ok())
}

/// An age becomes a moment, so that the address means the same tomorrow.
fn since(word: &str) -> Option<String> {
    let (_, seconds) = AGES.iter().find(|(known, _)| *known == word)?;
    let then = js_sys::Date::now() - f64::from(*seconds) * 1000.0;
    let time: String = js_sys::Date::new(&then.into()).to_iso_string().into();
    // Seconds are enough: 2026-11-23T12:03:22Z.
    Some(format!("{}Z", time.get(..19)?))
}

/// What is chosen, in words, each with the search without it.
fn chosen(query: &PathsQuery) -> Vec<(String, PathsQuery)> {
    let mut chosen = Vec::new();
    let base = query.first_page();
    let mut push = |word: String, without: &dyn Fn(&mut PathsQuery)| {
        let mut query = base.clone();
        without(&mut query);
        chosen.push((word, query));
    };
    if !query.q.is_empty() {
        push(format!("“{}”", query.q), &|query| query.q.clear());
    }
    if let Some(sig) = query.sig {
        push(
            format!("signature: {}", signature_words(sig).2.to_ascii_lowercase()),
            &|query| query.sig = None,
        );
    }
    if let Some(content) = query.content {
        push(
            format!("content: {}", content_words(content).2.to_ascii_lowercase()),
            &|query| query.content = None,
        );
    }
    if let Some(key) = &query.key {
        push(format!("key: {key}"), &|query| query.key = None);
    }
    if let Some(compression) = &query.compression {
        push(format!("compression: {compression}"), &|query| {
            query.compression = None;
        });
    }
    if query.min.is_some() || query.max.is_some() {
        let words = match (query.min, query.max) {
            (Some(min), Some(max)) => {
                format!("size: {} to {}", format::size(min), format::size(max))
            }
            (Some(min), None) => format!("size: at least {}", format::size(min)),
            (None, max) => format!("size: at most {}", format::size(max.unwrap_or_default())),
        };
        push(words, &|query| (query.min, query.max) = (None, None));
    }
    if let Some(since) = &query.since {
        push(format!("added since {since}"), &|query| query.since = None);
    }
    if let Some(until) = &query.until {
        push(format!("added before {until}"), &|query| query.until = None);
    }
    if query.unreferenced {
        push("referenced by nothing".to_owned(), &|query| {
            query.unreferenced = false;
        });
    }
    chosen
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
            .map(|(word, without)| {
                view! {
                    <li>
                        <a class="filter" href=href(&browser.route(without))>
                            <span class="visually-hidden">"Drop the filter "</span>
                            {word}
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

/// For each filter how many paths there would be without it, so that the one
/// which removes the last rows shows.
pub fn what_removes_all(browser: Browser) -> AnyView {
    let query = browser.query.get_untracked();
    let chosen = chosen(&query);
    if chosen.len() < 2 {
        let only = chosen
            .into_iter()
            .next()
            .map(|(word, _)| word)
            .unwrap_or_default();
        return view! { <p>"The only filter is " <b>{only}</b> "."</p> }.into_any();
    }
    let rows = chosen
        .into_iter()
        .map(|(word, without)| {
            let path = api::paths_path(&browser.cache.get_value(), &without, 1);
            let found = Remote::<Page<PathRow>>::new(move || Some(path.clone()));
            let link = href(&browser.route(without));
            let count = move || match found.get() {
                Some(page) if page.total > 0 => {
                    view! { <b>{format::counted(page.total, "path", "paths")}</b> }.into_any()
                }
                Some(_) => view! { <span class="muted">"still none"</span> }.into_any(),
                None => view! { <span class="muted">"counting…"</span> }.into_any(),
            };
            view! { <li>"Without " <a href=link>{word}</a> ": " {changing(count)}</li> }
        })
        .collect_view();
    view! { <ul class="relaxations">{rows}</ul> }.into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_read_back() {
        for (_, min, max) in BANDS {
            assert_eq!(band_of(&band_value(min, max)), (min, max));
        }
        assert_eq!(band_of(""), (None, None));
        assert_eq!(band_value(None, None), "");
    }

    #[test]
    fn dropping_every_filter_in_turn_leaves_none() {
        let mut query = PathsQuery {
            q: "python3".to_owned(),
            sig: Some(SignatureStatus::Valid),
            content: Some(ContentStatus::Mismatch),
            key: Some("team-1".to_owned()),
            compression: Some("xz".to_owned()),
            unreferenced: true,
            min: Some(1),
            max: Some(2),
            since: Some("2026-11-01".to_owned()),
            until: Some("2026-12-01".to_owned()),
            cursor: Some("c".to_owned()),
            ..PathsQuery::default()
        };
        let mut words = Vec::new();
        while let Some((word, without)) = chosen(&query).into_iter().next() {
            words.push(word);
            query = without;
        }
        assert_eq!(words.len(), 9);
        assert!(query.is_unfiltered() && query.cursor.is_none());
    }
}
