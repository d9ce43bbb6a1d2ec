//! The line under the heading: as of when, how many paths; and the banner while
//! the first index is built.

use leptos::prelude::*;
use snowbank_shared::api::{IndexState, IndexStatus};

use crate::components::ago::{absolute, ago, clock, time_of_day};
use crate::components::banner::banner;
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::format;
use crate::state::live::LiveCache;

/// `as of 12:03:11, 2 min ago · 1,204,331 paths · looking for changes`.
pub fn index_line(live: LiveCache) -> AnyView {
    let clock = clock();
    let as_of = move || {
        let index = live.index.get()?;
        let Some(time) = index.as_of.clone() else {
            return Some(view! { <span>"not indexed yet"</span> }.into_any());
        };
        let overdue = index.sweep_seconds.saturating_mul(3);
        let then = format::unix_seconds(&time)?;
        let stale =
            move || clock.now().saturating_sub(then) > i64::try_from(overdue).unwrap_or(i64::MAX);
        Some(
            view! {
                <span class:is-stale=stale title=absolute(&time)>
                    {changing(move || if stale() { "stale: as of " } else { "as of " })}
                    {time_of_day(&time)}
                    ", "
                    {ago(&time)}
                </span>
            }
            .into_any(),
        )
    };
    let paths = move || {
        let cache = live.cache.get()?;
        let about = if live.is_partial() { "≈ " } else { "" };
        Some(view! { <span>{about} {format::counted(cache.paths, "path", "paths")}</span> })
    };
    let doing = move || {
        let index = live.index.get()?;
        (index.state == IndexState::Refreshing)
            .then(|| view! { <span>"looking for changes"</span> })
    };
    view! { <p class="index-line">{changing(as_of)} {changing(paths)} {changing(doing)}</p> }
        .into_any()
}

/// How much of what was found is fetched, in percent.
fn percent_done(index: &IndexStatus) -> Option<u64> {
    let progress = index.progress.as_ref()?;
    let done = progress.fetched + progress.failed;
    (done * 100)
        .checked_div(progress.found)
        .map(|percent| percent.min(99))
}

/// What is going on while the first index is built, in words.
fn progress_words(index: &IndexStatus) -> String {
    let Some(progress) = &index.progress else {
        return "The first sweep of the bucket is about to begin.".to_owned();
    };
    let mut words = format!(
        "{} of {}{} narinfos read",
        format::count(progress.fetched),
        if progress.listed { "" } else { "at least " },
        format::count(progress.found),
    );
    if progress.rate > 0 {
        words.push_str(&format!(", {} a second", format::count(progress.rate)));
    }
    if let Some(left) = progress.eta_seconds {
        words.push_str(&format!(", about {} left", format::duration(left)));
    }
    if progress.failed > 0 {
        words.push_str(&format!(
            ". {} could not be read",
            format::count(progress.failed)
        ));
    }
    words.push('.');
    words
}

/// The banner while the index is partial, or when the last sweep failed. It
/// goes by itself, told by the server.
pub fn index_banner(live: LiveCache) -> AnyView {
    let drawn = move || {
        let index = live.index.get()?;
        match index.state {
            IndexState::New | IndexState::Indexing => {
                let percent = percent_done(&index);
                let title = match percent {
                    Some(percent) => format!("{percent} % indexed, results may be incomplete"),
                    None => "Indexing, results may be incomplete".to_owned(),
                };
                let bar = percent.map(|percent| {
                    view! {
                        <progress
                            class="meter"
                            max="100"
                            value=percent.to_string()
                            aria-label="Share of the bucket that is indexed"
                        ></progress>
                    }
                });
                let words = view! {
                    <p>{progress_words(&index)}</p>
                    {bar}
                };
                Some(banner(Tone::Note, title, words, ()))
            }
            IndexState::Failed => {
                let kept = if index.as_of.is_some() {
                    "What is shown is from the sweep before. The next try comes by itself."
                } else {
                    "Nothing is known of this bucket yet. The next try comes by itself."
                };
                let words = view! {
                    <p>{index.error.clone().unwrap_or_default()}</p>
                    <p>{kept}</p>
                };
                Some(banner(
                    Tone::Bad,
                    "The last sweep of the bucket failed",
                    words,
                    (),
                ))
            }
            IndexState::Ready | IndexState::Refreshing => None,
        }
    };
    view! {
        <div class="banner-place">
            {changing(move || drawn().map(|banner| view! { <div id="index-banner">{banner}</div> }))}
        </div>
    }
    .into_any()
}
