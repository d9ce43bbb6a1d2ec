//! Why one path needs another: the chains of references between them, the shortest first.

use leptos::prelude::*;
use snowbank_shared::api::{Page, PathRow, Why, WhyStep};

use crate::api::{self, ApiError};
use crate::components::api_button::api_button;
use crate::components::banner::{banner, empty};
use crate::components::button::{Weight, link_button};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::failure::failure_now;
use crate::components::icon::Icon;
use crate::components::index_line::{index_banner, index_line};
use crate::components::page_head::{heading, page_title};
use crate::components::size::size;
use crate::components::skeleton::skeleton;
use crate::components::store_path::path_link;
use crate::format;
use crate::pages::cache::absent_or_failed;
use crate::pages::explore_ends::{Compares, Ends};
use crate::pages::why_mentions::mentions;
use crate::state::derived::{effect, memo};
use crate::state::live::live_cache;
use crate::state::navigation::href;
use crate::state::remote::Remote;

/// Chains that are asked for at first, and at most.
const CHAINS: [u32; 2] = [10, 100];
/// Referrers that are offered as the other end.
const REFERRERS: usize = 12;

/// The page.
pub fn page(cache: &str) -> AnyView {
    let live = live_cache();
    let ends = Ends::follow(cache, Compares::Why);
    let more = RwSignal::new(false);
    effect(move || {
        ends.get();
        more.set(false);
    });
    let path = move || {
        let limit = CHAINS[usize::from(more.get())];
        ends.api_path().map(|path| format!("{path}&limit={limit}"))
    };
    let why = Remote::<Why>::new(move || {
        live.renewals.track();
        path()
    });
    let chosen = memo(move || ends.api_path().is_some());
    let name = |path: &str| format::split_path(path).1.to_owned();
    let cache = cache.to_owned();
    page_title(move || match why.get().filter(|_| chosen.get()) {
        Some(why) => format!("{} → {} – Why – {cache}", name(&why.from), name(&why.to)),
        None => format!("Why – {cache}"),
    });
    let body = move || {
        if !chosen.get() {
            return start(ends);
        }
        if let Some(gone) = why.error().filter(ApiError::is_not_found) {
            let words = view! { <p>{gone.why()}</p> <p>"Choose another one above."</p> };
            return banner(Tone::Warn, "There is nothing to follow", words, ());
        }
        let answer = why.get().map(|why| answer(ends, &why, more));
        view! {
            {failure_now(why)}
            <div class:is-waiting=move || why.is_waiting() && why.is_there()>
                {answer.or_else(|| why.error().is_none().then(|| skeleton(6, "Following the references…")))}
            </div>
        }
        .into_any()
    };
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Why does it depend")}
                    <div class="page-actions">
                        {changing(move || chosen.get().then(|| api_button(move || path().unwrap_or_default())))}
                    </div>
                </div>
                <p class="state-sentence">
                    "The chains of references from one path to another, as the narinfos have them. No NAR is needed for that."
                </p>
                {index_line(live)}
            </div>
            {index_banner(live)}
            {absent_or_failed(live)}
            {ends.form("What needs", "What is needed")}
            {changing(body)}
        </div>
    }
    .into_any()
}

/// Not both are chosen: what may be the other one.
fn start(ends: Ends) -> AnyView {
    let (from, to) = ends.get();
    match (from, to) {
        (None, Some(to)) => needed_by(ends, to),
        (Some(_), None) => empty(
            "What is needed?",
            view! { <p>"Choose above which path of its closure you wonder about."</p> },
        ),
        _ => empty(
            "Choose two paths",
            view! { <p>"Such as a system and the library that should not be in it. On the page of a path, the key w leads here."</p> },
        ),
    }
}

/// Those that refer to a path directly, as first steps.
fn needed_by(ends: Ends, to: String) -> AnyView {
    let cache = ends.cache.get_value();
    let path = format!(
        "{}?limit={REFERRERS}",
        api::path_path(&cache, &to, "referrers")
    );
    let found = Remote::<Page<PathRow>>::new(move || Some(path.clone()));
    let body = move || {
        let Some(found_now) = found.get() else {
            return found
                .error()
                .is_none()
                .then(|| skeleton(3, "Reading the referrers…"));
        };
        let rows = found_now
            .items
            .iter()
            .map(|row| {
                let address = href(&ends.route(Some(&row.hash), Some(&to)));
                view! { <li><a class="kept" href=address>{row.name.clone()}</a></li> }
            })
            .collect_view();
        let more = found_now.total.saturating_sub(found_now.items.len() as u64);
        let more = (more > 0).then(|| {
            view! { <li class="muted">{format!("and {} more", format::count(more))}</li> }
        });
        let words = if found_now.items.is_empty() {
            "No path of this cache refers to it, so nothing here needs it."
        } else {
            "Choose above what needs it. These refer to it directly:"
        };
        Some(empty(
            "What needs it?",
            view! { <p>{words}</p> <ul class="needed-by">{rows} {more}</ul> },
        ))
    };
    changing(body)
}

/// How many chains, in words.
fn sentence(why: &Why) -> String {
    let chains = match why.chains {
        None => "References go in a circle on the way, so the chains cannot be counted.".to_owned(),
        Some(u64::MAX) => "More chains than can be counted lead there.".to_owned(),
        Some(1) => "One chain of references leads there.".to_owned(),
        Some(chains) => format!("{} chains of references lead there.", format::count(chains)),
    };
    let steps = why.items.first().map_or(0, |chain| chain.len() as u64 - 1);
    match steps {
        0 => "Both are the same path.".to_owned(),
        1 => format!("It refers to it directly. {chains}"),
        steps => format!("{chains} The shortest has {steps} steps."),
    }
}

fn answer(ends: Ends, why: &Why, more: RwSignal<bool>) -> AnyView {
    let name = |path: &str| format::split_path(path).1.to_owned();
    let (from, to) = (name(&why.from), name(&why.to));
    if !why.depends {
        return unrelated(ends, why, &from, &to);
    }
    let cache = ends.cache.get_value();
    let first = why.items.first().map(|shortest| chain(&cache, shortest));
    let others: Vec<AnyView> = why
        .items
        .iter()
        .enumerate()
        .skip(1)
        .map(|(at, steps)| {
            let words = format!(
                "Chain {}: {}, by {}",
                at + 1,
                format::counted(steps.len() as u64 - 1, "step", "steps"),
                steps.get(1).map_or("", |step| step.name.as_str())
            );
            let (cache, steps) = (cache.clone(), steps.clone());
            let opened = RwSignal::new(false);
            view! {
                <details class="explain" on:toggle=move |_| opened.set(true)>
                    <summary>{words}</summary>
                    <div>{changing(move || opened.get().then(|| chain(&cache, &steps)))}</div>
                </details>
            }
            .into_any()
        })
        .collect();
    let shown = why.items.len() as u64;
    let left = why.chains.is_none_or(|chains| chains > shown);
    let rest = (left && shown >= u64::from(CHAINS[0])).then(|| {
        if more.get_untracked() {
            let words = format!("{} of them are shown.", format::count(shown));
            return view! { <p class="muted">{words}</p> }.into_any();
        }
        view! {
            <button type="button" class="button" on:click=move |_| more.set(true)>
                "Show more chains"
            </button>
        }
        .into_any()
    });
    let others = (!others.is_empty()).then(|| {
        view! {
            <section class="section" aria-labelledby="other-chains">
                <div class="section-head">
                    <h2 id="other-chains">"Other chains"</h2>
                </div>
                {others}
                <p>{rest}</p>
            </section>
        }
    });
    view! {
        <section class="section why-answer" aria-labelledby="shortest-chain">
            <div class="section-head">
                <h2 id="shortest-chain">{from} " needs " {to}</h2>
            </div>
            <p>{sentence(why)}</p>
            {first}
        </section>
        {others}
    }
    .into_any()
}

/// The first does not need the second; perhaps the second needs the first.
fn unrelated(ends: Ends, why: &Why, from: &str, to: &str) -> AnyView {
    let (words, act) = if why.reverse {
        let (left, right) = ends.get();
        let turned = href(&ends.route(right.as_deref(), left.as_deref()));
        (
            format!("It is the other way round: {to} needs {from}."),
            link_button(Weight::Plain, Some(Icon::Again), "Show why", turned),
        )
    } else {
        (
            format!("Nor the other way round: {to} does not need {from} either."),
            ().into_any(),
        )
    };
    let title = format!("{from} does not depend on {to}");
    banner(Tone::Note, title, view! { <p>{words}</p> }, act)
}

/// A chain from the top down, each step with the way to the files behind it.
fn chain(cache: &str, steps: &[WhyStep]) -> AnyView {
    let rows = steps
        .iter()
        .enumerate()
        .map(|(at, step)| {
            let why = steps
                .get(at + 1)
                .map(|next| mentions(cache, &step.hash, next));
            view! {
                <li>
                    <p class="chain-step">
                        {path_link(cache, &step.hash, &step.name)}
                        <span class="muted">{size(step.nar_size)} " unpacked"</span>
                    </p>
                    {why}
                </li>
            }
        })
        .collect_view();
    view! { <ol class="chain">{rows}</ol> }.into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(chains: Option<u64>, steps: usize) -> Why {
        let step = WhyStep {
            hash: "0c0dixlhq54yv4v0kws1bsmbnrz7m6p7".to_owned(),
            name: "a".to_owned(),
            nar_size: 1,
        };
        Why {
            from: String::new(),
            to: String::new(),
            depends: true,
            reverse: false,
            chains,
            items: vec![vec![step; steps + 1]],
            revision: String::new(),
        }
    }

    #[test]
    fn the_number_of_chains_is_said_as_far_as_it_is_known() {
        assert_eq!(sentence(&why(Some(1), 0)), "Both are the same path.");
        assert_eq!(
            sentence(&why(Some(2), 3)),
            "2 chains of references lead there. The shortest has 3 steps."
        );
        assert_eq!(
            sentence(&why(Some(1), 1)),
            "It refers to it directly. One chain of references leads there."
        );
        assert!(sentence(&why(None, 2)).starts_with("References go in a circle"));
        assert!(sentence(&why(Some(u64::MAX), 2)).starts_with("More chains than"));
    }
}
