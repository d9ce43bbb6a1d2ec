//! The facets of the path browser: for each filter its values, each a link with
//! the number of paths that it would show. They can be folded, and are where it is
//! narrow; `f` opens and enters them.

use leptos::prelude::*;
use snowbank_shared::api::{FacetCount, Facets};
use snowbank_shared::route::PathsQuery;
use web_sys::Element;

use crate::components::ago::now;
use crate::components::changing::changing;
use crate::components::chip::{content_words, signature_words};
use crate::components::icon::{Icon, icon};
use crate::format;
use crate::pages::paths::Browser;
use crate::pages::paths_filters::chosen;
use crate::state::keyboard::focus;
use crate::state::navigation::href;

/// Pixels of a window that has room for the facets beside the list.
const ROOM: f64 = 1296.0;

/// Values shown of a facet before “more”.
const SHOWN: usize = 6;

/// A value of a facet: its word, whether it is chosen, and the search with it turned.
struct Choice {
    word: String,
    paths: u64,
    is_chosen: bool,
    turned: PathsQuery,
}

/// The facets, beside the list.
pub fn facets(browser: Browser) -> AnyView {
    let open = browser.facets_open;
    let count = move || {
        let count = browser.query.with(|query| chosen(query).len());
        (count > 0).then(|| view! { <span class="count">{count}</span> })
    };
    let groups = move || browser.facets.get().map(|facets| groups(browser, &facets));
    view! {
        <section class="facets" aria-label="Filters">
            <details
                prop:open=move || open.get()
                on:toggle=move |event| {
                    open.set(event_target::<Element>(&event).has_attribute("open"));
                }
            >
                <summary class="button">
                    {icon(Icon::Paths)}
                    "Filters"
                    {changing(count)}
                </summary>
                <div class="facets-body" id="facets" class:is-waiting=move || browser.facets.is_waiting()>
                    {changing(groups)}
                </div>
            </details>
        </section>
    }
    .into_any()
}

/// Whether the facets begin unfolded: where there is room beside the list.
pub fn begin_open() -> bool {
    let width = window().inner_width().ok();
    width
        .and_then(|width| width.as_f64())
        .is_some_and(|width| width >= ROOM)
}

/// `f`: into the facets, or back to the list from within.
pub fn enter_or_leave(browser: Browser) {
    let inside = document()
        .active_element()
        .is_some_and(|element| element.closest("#facets").ok().flatten().is_some());
    if inside {
        focus("#paths-table a.store-path");
        return;
    }
    browser.facets_open.set(true);
    request_animation_frame(|| focus("#facets a"));
}

/// A value's word, whether it is chosen, and the search with it turned.
type Read = (String, bool, PathsQuery);

/// The values of a facet; what cannot be read is left out.
fn choices(counts: &[FacetCount], read: &dyn Fn(&FacetCount) -> Option<Read>) -> Vec<Choice> {
    counts
        .iter()
        .filter_map(|count| {
            let (word, is_chosen, turned) = read(count)?;
            Some(Choice {
                word,
                paths: count.paths,
                is_chosen,
                turned,
            })
        })
        .collect()
}

fn groups(browser: Browser, facets: &Facets) -> AnyView {
    let query = browser.query.get_untracked();
    let with = |change: &dyn Fn(&mut PathsQuery)| {
        let mut turned = query.first_page();
        change(&mut turned);
        turned
    };
    let signature = choices(&facets.signature, &|count| {
        let status = count.value.parse().ok()?;
        let on = query.sig == Some(status);
        let turned = with(&|query| query.sig = (!on).then_some(status));
        Some((signature_words(status).2.to_owned(), on, turned))
    });
    let content = choices(&facets.content, &|count| {
        let status = count.value.parse().ok()?;
        let on = query.content == Some(status);
        let turned = with(&|query| query.content = (!on).then_some(status));
        Some((content_words(status).2.to_owned(), on, turned))
    });
    let key = choices(&facets.key, &|count| {
        let on = query.key.as_ref() == Some(&count.value);
        let turned = with(&|query| query.key = (!on).then(|| count.value.clone()));
        Some((crate::format::visible(&count.value), on, turned))
    });
    let compression = choices(&facets.compression, &|count| {
        let on = query.compression.as_ref() == Some(&count.value);
        let turned = with(&|query| query.compression = (!on).then(|| count.value.clone()));
        Some((crate::format::visible(&count.value), on, turned))
    });
    let size = choices(&facets.size, &|count| {
        let (min, max) = band(&count.value);
        let on = (query.min, query.max) == (min, max);
        let turned =
            with(&|query| (query.min, query.max) = if on { (None, None) } else { (min, max) });
        Some((band_word(min, max), on, turned))
    });
    let added = choices(&facets.added, &|count| {
        let (word, seconds, older) = age(&count.value)?;
        let bound = if older { &query.until } else { &query.since };
        let on = bound
            .as_deref()
            .is_some_and(|bound| is_about(bound, seconds));
        let moment = (!on).then(|| moment(now() - seconds));
        let turned = with(&|query| {
            (query.since, query.until) = if older {
                (None, moment.clone())
            } else {
                (moment.clone(), None)
            };
        });
        Some((word, on, turned))
    });
    let lonely = (facets.unreferenced > 0 || query.unreferenced).then(|| Choice {
        word: "Referenced by nothing".to_owned(),
        paths: facets.unreferenced,
        is_chosen: query.unreferenced,
        turned: with(&|query| query.unreferenced = !query.unreferenced),
    });
    let reproduced = (facets.reproduced > 0 || query.reproduced).then(|| Choice {
        word: "By 2 people or more".to_owned(),
        paths: facets.reproduced,
        is_chosen: query.reproduced,
        turned: with(&|query| query.reproduced = !query.reproduced),
    });
    let about = if facets.complete { "" } else { "≈ " };
    [
        ("Signature", signature),
        ("Content", content),
        ("Signed by", key),
        ("Reproduced", reproduced.into_iter().collect()),
        ("NAR size", size),
        ("Added", added),
        ("Referrers", lonely.into_iter().collect()),
        ("Compression", compression),
    ]
    .into_iter()
    .filter(|(_, choices)| !choices.is_empty())
    .map(|(title, choices)| group(browser, title, choices, about))
    .collect_view()
    .into_any()
}

fn group(
    browser: Browser,
    title: &'static str,
    choices: Vec<Choice>,
    about: &'static str,
) -> AnyView {
    let mut items: Vec<AnyView> = choices
        .into_iter()
        .map(|choice| item(browser, choice, about))
        .collect();
    let rest = (items.len() > SHOWN + 1).then(|| {
        let rest = items.split_off(SHOWN);
        let word = format!("{} more", rest.len());
        view! {
            <details>
                <summary>{word}</summary>
                <ul>{rest}</ul>
            </details>
        }
    });
    view! {
        <div class="facet-group" role="group" aria-label=title>
            <h2>{title}</h2>
            <ul>{items}</ul>
            {rest}
        </div>
    }
    .into_any()
}

fn item(browser: Browser, choice: Choice, about: &'static str) -> AnyView {
    let (drop, cross) = if choice.is_chosen {
        (
            Some(view! { <span class="visually-hidden">"Drop the filter "</span> }),
            Some(icon(Icon::Cross)),
        )
    } else {
        (None, None)
    };
    view! {
        <li>
            <a
                class="facet"
                href=href(&browser.route(choice.turned))
                aria-current=choice.is_chosen.then_some("true")
            >
                <span class="facet-word">{drop} {choice.word} {cross}</span>
                <span class="count">{about} {format::count(choice.paths)}</span>
            </a>
        </li>
    }
    .into_any()
}

/// `min-max` in bytes, either may be missing.
fn band(value: &str) -> (Option<u64>, Option<u64>) {
    let (min, max) = value.split_once('-').unwrap_or_default();
    (min.parse().ok(), max.parse().ok())
}

/// Bounds of a band as people read them; a band ends one byte before the next begins.
fn band_word(min: Option<u64>, max: Option<u64>) -> String {
    let (min, max) = (
        min.map(format::size_short),
        max.map(|max| format::size_short(max + 1)),
    );
    match (min, max) {
        (None, Some(max)) => format!("under {max}"),
        (Some(min), None) => format!("{min} and more"),
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (None, None) => "any".to_owned(),
    }
}

/// An age of the server: its word, its seconds, and whether it is meant to be older.
fn age(value: &str) -> Option<(String, i64, bool)> {
    let (text, older) = match value.strip_prefix('>') {
        Some(text) => (text, true),
        None => (value, false),
    };
    let seconds: i64 = text.parse().ok()?;
    let span = match seconds / 3600 {
        1 => "hour".to_owned(),
        hours @ ..48 => format!("{hours} hours"),
        hours => format!("{} days", hours / 24),
    };
    let word = if older {
        format!("more than {span} ago")
    } else {
        format!("last {span}")
    };
    Some((word, seconds, older))
}

/// Whether a moment is about so many seconds ago, to a tenth: it was chosen a while ago.
fn is_about(moment: &str, seconds: i64) -> bool {
    let then = format::unix_seconds(moment);
    then.is_some_and(|then| (now() - then).abs_diff(seconds) <= seconds.unsigned_abs() / 10)
}

/// Seconds since 1970 as RFC 3339: an age becomes a moment, so that an address means the
/// same tomorrow.
pub fn moment(seconds: i64) -> String {
    let millis = seconds as f64 * 1000.0;
    let time: String = js_sys::Date::new(&millis.into()).to_iso_string().into();
    // Seconds are enough: 2026-11-23T12:03:22Z.
    format!("{}Z", time.get(..19).unwrap_or(&time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_and_ages_are_read_and_told() {
        assert_eq!(band("1048576-10485759"), (Some(1 << 20), Some(10_485_759)));
        assert_eq!(band("-5"), (None, Some(5)));
        assert_eq!(band("5-"), (Some(5), None));
        assert_eq!(band_word(None, Some((1 << 20) - 1)), "under 1 MiB");
        assert_eq!(
            band_word(Some(1 << 20), Some((10 << 20) - 1)),
            "1 MiB to 10 MiB"
        );
        assert_eq!(band_word(Some(1 << 30), None), "1 GiB and more");
        let words = |value| age(value).map(|(word, ..)| word);
        assert_eq!(words("3600").as_deref(), Some("last hour"));
        assert_eq!(words("86400").as_deref(), Some("last 24 hours"));
        assert_eq!(words("604800").as_deref(), Some("last 7 days"));
        assert_eq!(
            age(">7776000"),
            Some(("more than 90 days ago".to_owned(), 7_776_000, true))
        );
        assert_eq!(age("soon"), None);
    }
}
