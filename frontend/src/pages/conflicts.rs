//! Builds that came with other content than what is in the cache: of all paths, or of one with the
//! files in which they differ.

use leptos::prelude::*;
use snowbank_shared::api::Page;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::conflicts::{Build, Comparison, Conflict, DismissConflict};
use snowbank_shared::route::Route;

use crate::api;
use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::banner::{banner, empty};
use crate::components::button::{Readiness, Weight, button_when};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::copy::copy_button;
use crate::components::difference::difference;
use crate::components::failure::failure_of;
use crate::components::field::{Field, text_field};
use crate::components::icon::Icon;
use crate::components::layout::{card, fact, table};
use crate::components::page_head::{heading, page_title};
use crate::components::size::size;
use crate::components::skeleton::skeleton;
use crate::components::store_path::path_link;
use crate::format;
use crate::pages::cache::absent_or_failed;
use crate::state::derived::effect;
use crate::state::identity::identity;
use crate::state::live::live_cache;
use crate::state::navigation::href;
use crate::state::remote::Remote;
use crate::state::sending::{Sending, json};

type Conflicts = Remote<Page<Conflict>>;

/// How often a comparison that is being made is asked for.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(2);

/// The page: of one path where `hash` names it.
pub fn page(cache: &str, hash: Option<String>) -> AnyView {
    let live = live_cache();
    let path = match &hash {
        None => format!("{}/conflicts", api::cache_path(cache)),
        Some(hash) => format!("{}/conflicts/{hash}", api::cache_path(cache)),
    };
    let source = path.clone();
    let conflicts = Conflicts::new(move || Some(source.clone()));
    effect(move || {
        let pending = conflicts.get().is_some_and(|page| {
            let is_pending = |item: &Conflict| item.comparison == Comparison::Pending;
            page.items.iter().any(is_pending)
        });
        if pending {
            set_timeout(move || conflicts.reload(), AGAIN);
        }
    });
    let slug = StoredValue::new(cache.to_owned());
    let one = hash.is_some();
    {
        let cache = cache.to_owned();
        page_title(move || {
            let name = conflicts
                .get()
                .filter(|_| one)
                .and_then(|page| Some(page.items.first()?.name.clone()));
            match name {
                Some(name) => format!("{name} – conflicts – {cache}"),
                None => format!("Conflicts – {cache}"),
            }
        });
    }
    let body = move || match conflicts.get() {
        None if conflicts.error().is_none() => skeleton(4, "Asking for the conflicts…"),
        None => ().into_any(),
        Some(page) if page.items.is_empty() && one => empty(
            "No other build",
            view! { <p>"Nobody sent another content for this path, or the report of it has gone: reports are kept for a year."</p> },
        ),
        Some(page) if page.items.is_empty() => empty(
            "No conflicts",
            view! { <p>"Nobody sent another content for a path of this cache. What comes is compared with what is here, and the first stays."</p> },
        ),
        Some(page) if one => {
            let items = page.items.iter().map(|item| report(slug, conflicts, item));
            items.collect_view().into_any()
        }
        Some(page) => list(slug, &page.items),
    };
    let title = move || match conflicts.get().filter(|_| one) {
        Some(page) if !page.items.is_empty() => {
            format!("Builds of {} that differ", page.items[0].name)
        }
        _ => "Conflicts".to_owned(),
    };
    let up = hash.map(|hash| {
        let all = Route::Conflicts {
            cache: slug.get_value(),
            hash: None,
        };
        let to_path = Route::path(slug.get_value(), hash);
        view! {
            <p class="machine-links"><a href=href(&to_path)>"The path"</a> <a href=href(&all)>"All conflicts"</a></p>
        }
    });
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading(title)} <div class="page-actions">{api_button(move || path.clone())}</div>
                </div>
                <p class="state-sentence">
                    "A build that comes for a path which is here with other content is not published: the first stays. What is left of the other is this report. Two builds that differ are not reproducible."
                </p>
                {up}
            </div>
            {absent_or_failed(live)}
            {failure_of(conflicts)}
            {changing(body)}
        </div>
    }
    .into_any()
}

fn people(build: &Build) -> String {
    match (build.by.as_slice(), build.keys.as_slice()) {
        ([], []) => "unknown".to_owned(),
        ([], keys) => keys.join(", "),
        (by, _) => by.join(", "),
    }
}

fn state(conflict: &Conflict) -> AnyView {
    if conflict.dismissed.is_some() {
        return chip((
            Tone::Note,
            Icon::Tick,
            "Dismissed",
            "Somebody put it aside.",
        ));
    }
    chip(match conflict.comparison {
        Comparison::Pending => (
            Tone::Unknown,
            Icon::TickClock,
            "Comparing",
            "Both archives are being read.",
        ),
        Comparison::Done { .. } => (
            Tone::Warn,
            Icon::Warning,
            "Differs",
            "The files were compared.",
        ),
        Comparison::Failed { .. } => (
            Tone::Unknown,
            Icon::Dash,
            "Not compared",
            "The files could not be compared.",
        ),
    })
}

fn list(cache: StoredValue<String>, conflicts: &[Conflict]) -> AnyView {
    let rows = conflicts
        .iter()
        .map(|conflict| {
            let open = Route::Conflicts {
                cache: cache.get_value(),
                hash: Some(conflict.hash.clone()),
            };
            let differing = match &conflict.comparison {
                Comparison::Done { difference } => format::count(difference.differing()),
                _ => "—".to_owned(),
            };
            let when = conflict.newcomer.at.as_deref().map(ago);
            view! {
                <tr>
                    <th scope="row" class="grow">{path_link(&cache.get_value(), &conflict.hash, &conflict.name)}</th>
                    <td data-label="State">{state(conflict)}</td>
                    <td data-label="Kept">{people(&conflict.kept)}</td>
                    <td data-label="Newcomer">{people(&conflict.newcomer)}</td>
                    <td class="number" data-label="Files">{differing}</td>
                    <td data-label="Came">{when}</td>
                    <td class="row-button">
                        <a class="button" href=href(&open) aria-label=format!("Compare {}", conflict.name)>"Compare"</a>
                    </td>
                </tr>
            }
        })
        .collect_view();
    table(
        "Builds that differ",
        "table",
        &[
            ("Path", "", ""),
            ("State", "", ""),
            ("Kept", "", "Whose build is in the cache"),
            ("Newcomer", "", "Whose build came later"),
            ("Files", "number", "Files and directories that differ"),
            ("Came", "", ""),
            ("", "", ""),
        ],
        rows,
    )
}

/// One of the two builds.
fn build(title: &'static str, build: &Build) -> AnyView {
    let hash = build.nar_hash.clone();
    let copied = hash.clone();
    let keys = if build.keys.is_empty() {
        "no contributor's".to_owned()
    } else {
        build.keys.join(", ")
    };
    let when = match &build.at {
        Some(at) => view! { {ago(at)} " " <span class="muted">{at.clone()}</span> }.into_any(),
        None => view! { <span class="muted">"unknown"</span> }.into_any(),
    };
    let by = (!build.by.is_empty()).then(|| fact("By", build.by.join(", ")));
    let facts = view! {
        <dl class="facts wraps">
            {by} {fact("Keys", keys)} {fact("Came", when)} {fact("NAR size", size(build.nar_size))} <dt>"NarHash"</dt>
            <dd class="mono with-copy">
                <span class="break">{hash}</span>
                {copy_button("Copy NarHash", false, move || copied.clone())}
            </dd>
        </dl>
    };
    card(title, (), facts)
}

fn report(cache: StoredValue<String>, conflicts: Conflicts, conflict: &Conflict) -> AnyView {
    let distinct = !conflict.kept.by.is_empty()
        && !conflict.newcomer.by.is_empty()
        && conflict
            .kept
            .by
            .iter()
            .all(|one| !conflict.newcomer.by.contains(one));
    let headline = if distinct {
        "Both built by different people: not reproducible"
    } else {
        "Two builds of one path: not reproducible"
    };
    let came = format::counted(u64::from(conflict.times), "time", "times");
    let words = match &conflict.comparison {
        Comparison::Done { .. } => String::new(),
        Comparison::Pending => {
            "The files are being compared. If this stays, send the build again: the server ended meanwhile.".to_owned()
        }
        Comparison::Failed { reason } => reason.clone(),
    };
    let words = (!words.is_empty()).then(|| view! { <p>{words}</p> });
    let body = view! {
        {words}
        <p>
            {format!(
                "The newcomer was sent {came} and is not in the cache. Keep the first, find out what differs, and build again.",
            )}
        </p>
    };
    let files = match &conflict.comparison {
        Comparison::Done { difference: found } => Some(difference(found)),
        _ => None,
    };
    view! {
        <section class="section conflict">
            {banner(Tone::Warn, headline, body, ())}
            <div class="conflict-builds">{build("Kept: in the cache", &conflict.kept)} {build("Newcomer: not published", &conflict.newcomer)}</div>
            {files}
            {settle(cache, conflicts, conflict)}
        </section>
    }
    .into_any()
}

/// Putting it aside, or who did.
fn settle(cache: StoredValue<String>, conflicts: Conflicts, conflict: &Conflict) -> AnyView {
    if let Some(dismissed) = &conflict.dismissed {
        let who = match &dismissed.by {
            Some(by) => format!("by {} ", by.strip_prefix("member:").unwrap_or(by)),
            None => String::new(),
        };
        let words =
            view! { <p>{who} {ago(&dismissed.at)} ": " {format::visible(&dismissed.reason)}</p> };
        return banner(Tone::Ok, "Dismissed", words, ());
    }
    let field = Field::new(
        "Why it can be put aside",
        "Such as: a date in the build, fixed since.",
    );
    let sending = Sending::new();
    let identity = identity();
    let path = format!(
        "{}/conflicts/{}/dismiss",
        api::cache_path(&cache.get_value()),
        conflict.hash
    );
    let nar_hash = conflict.newcomer.nar_hash.clone();
    let readiness = move || {
        let may = identity.readiness(Some(&cache.get_value()), Act::Maintain);
        sending.readiness(match may {
            Readiness::Ready if field.value.with(|value| value.trim().is_empty()) => {
                Readiness::Refused("Say why first.".to_owned())
            }
            may => may,
        })
    };
    let act = move || {
        let wish = DismissConflict {
            nar_hash: nar_hash.clone(),
            reason: field.value.get_untracked(),
        };
        sending.send("POST", path.clone(), json(&wish), move |_| {
            conflicts.reload();
        });
    };
    view! {
        <div class="conflict-settle">
            {text_field(field, "text", "off")}
            {button_when(Weight::Plain, None, "Dismiss", readiness, act)}
            {sending.notice()}
        </div>
    }
    .into_any()
}
