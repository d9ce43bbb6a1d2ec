//! One package: its versions, newest first, how large each is, and any two of them compared.

use leptos::prelude::*;
use snowbank_shared::api::{PackagePath, Page};
use snowbank_shared::route::{ExploreRoute, Route, escape};

use crate::api;
use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::banner::banner;
use crate::components::button::{Readiness, Weight, button_when};
use crate::components::changing::changing;
use crate::components::chart::{Growth, growth};
use crate::components::chip::{Tone, signature_chip};
use crate::components::failure::failure_now;
use crate::components::index_line::{index_banner, index_line};
use crate::components::layout::{Column, section, table};
use crate::components::page_head::{heading, page_title};
use crate::components::size::{size, size_or};
use crate::components::skeleton::skeleton;
use crate::components::store_path::path_link;
use crate::format;
use crate::pages::cache::absent_or_failed;
use crate::pages::diff_table::show_all;
use crate::state::derived::memo;
use crate::state::live::live_cache;
use crate::state::navigation::{href, navigation};
use crate::state::remote::Remote;

/// Rows that are drawn before all are asked for.
const ROWS: usize = 200;

const COLUMNS: [Column; 8] = [
    ("Compare", "", ""),
    ("Version", "", "As Nix splits it off the name"),
    ("Output", "", "The output that the name ends in"),
    ("Path", "grow", ""),
    ("NAR size", "number", ""),
    ("Closure", "number", ""),
    ("Added", "col-3", ""),
    ("Signature", "col-2", ""),
];

/// A version with what its newest paths weigh, one of each output.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Weighed {
    version: String,
    nar_size: u64,
    /// The largest closure of them.
    closure: Option<u64>,
    paths: u64,
}

/// The versions of paths that come newest version first, and newest path first within one.
fn weighed(paths: &[PackagePath]) -> Vec<Weighed> {
    let mut versions: Vec<Weighed> = Vec::new();
    let mut outputs: Vec<Option<&str>> = Vec::new();
    for path in paths {
        if versions
            .last()
            .is_none_or(|last| last.version != path.version)
        {
            outputs.clear();
            versions.push(Weighed {
                version: path.version.clone(),
                nar_size: 0,
                closure: None,
                paths: 0,
            });
        }
        let Some(version) = versions.last_mut() else {
            continue;
        };
        version.paths += 1;
        // An older build of the same output is no part of the version.
        if !outputs.contains(&path.output.as_deref()) {
            outputs.push(path.output.as_deref());
            version.nar_size = version.nar_size.saturating_add(path.nar_size);
            version.closure = version.closure.max(path.closure_size);
        }
    }
    versions
}

fn version_words(version: &str) -> String {
    if version.is_empty() {
        "no version".to_owned()
    } else {
        version.to_owned()
    }
}

/// The page.
pub fn page(cache: &str, name: &str) -> AnyView {
    let live = live_cache();
    let path = format!("{}/packages/{}", api::cache_path(cache), escape(name));
    let source = path.clone();
    let package = Remote::<Page<PackagePath>>::new(move || {
        live.renewals.track();
        Some(source.clone())
    });
    let slug = StoredValue::new(cache.to_owned());
    let name = name.to_owned();
    {
        let name = name.clone();
        page_title(move || format!("{name} – Packages – {}", slug.get_value()));
    }
    let absent = memo(move || package.error().is_some_and(|error| error.is_not_found()));
    let body = move || {
        if absent.get() {
            return Some(not_there(&slug.get_value()));
        }
        match package.get() {
            None => package
                .is_waiting()
                .then(|| skeleton(8, "Reading the versions…")),
            Some(found) => Some(content(slug, &found)),
        }
    };
    let sentence = move || {
        let found = package.get().filter(|_| !absent.get())?;
        let versions = weighed(&found.items);
        let newest = versions.first().map(|version| version.version.clone())?;
        let all = found
            .items
            .iter()
            .fold(0u64, |sum, path| sum.saturating_add(path.nar_size));
        Some(format!(
            "{} in {}; the newest is {}; {} unpacked together.",
            format::counted(versions.len() as u64, "version", "versions"),
            format::counted(found.total, "path", "paths"),
            version_words(&newest),
            format::size(all),
        ))
    };
    let all = href(&Route::Explore(ExploreRoute::packages(cache)));
    view! {
        <div class="page">
            <div class="page-head">
                <p><a class="kept" href=all>"Packages"</a></p>
                <div class="page-head-row">
                    {heading(view! { <span class="break">{format::visible(&name)}</span> })}
                    <div class="page-actions">{api_button(move || path.clone())}</div>
                </div>
                <p class="state-sentence">{changing(sentence)}</p>
                {index_line(live)}
            </div>
            {index_banner(live)}
            {absent_or_failed(live)}
            {changing(move || if absent.get() { None } else { failure_now(package) })}
            {changing(body)}
        </div>
    }
    .into_any()
}

fn not_there(cache: &str) -> AnyView {
    let all = href(&Route::Explore(ExploreRoute::packages(cache)));
    let words = view! {
        <p>"No path of this cache has this name before its version. It may have gone, or be spelled otherwise."</p>
        <p><a class="kept" href=all>"All packages of this cache"</a></p>
    };
    banner(Tone::Warn, "There is no such package here", words, ())
}

fn content(slug: StoredValue<String>, found: &Page<PackagePath>) -> AnyView {
    let cut = (found.total > found.items.len() as u64).then(|| {
        let words = format!(
            "The newest {} of {} are listed.",
            format::count(found.items.len() as u64),
            format::counted(found.total, "path", "paths")
        );
        view! { <p class="muted">{words}</p> }
    });
    view! {
        {chart(&weighed(&found.items))}
        {cut}
        {paths(slug, found)}
    }
    .into_any()
}

/// Size over versions, where there are two at least.
fn chart(versions: &[Weighed]) -> Option<AnyView> {
    let (newest, oldest) = (versions.first()?, versions.last()?);
    if versions.len() < 2 {
        return None;
    }
    let largest = versions.iter().map(|version| version.nar_size).max()?;
    let rows = versions
        .iter()
        .map(|version| {
            let closure = version
                .closure
                .map_or_else(|| "not yet".to_owned(), format::size);
            (
                version_words(&version.version),
                format::size(version.nar_size),
                closure,
            )
        })
        .collect();
    let drawn = growth(Growth {
        caption: format!(
            "Unpacked size of each version, from the oldest to the newest: {} in {}, {} in {}. Of each output the newest path counts.",
            format::size(oldest.nar_size),
            version_words(&oldest.version),
            format::size(newest.nar_size),
            version_words(&newest.version),
        ),
        ends: (
            version_words(&oldest.version),
            version_words(&newest.version),
        ),
        top: format::size(largest),
        values: versions
            .iter()
            .rev()
            .map(|version| version.nar_size)
            .collect(),
        rows,
        columns: ["Version", "NAR size", "Largest closure"],
    });
    Some(section("Size over versions", (), drawn))
}

/// The places of two chosen rows, the older first; the newest come first in the list.
fn pair(chosen: &[usize]) -> Option<(usize, usize)> {
    match chosen {
        [one, two] => Some((*one.max(two), *one.min(two))),
        _ => None,
    }
}

fn paths(slug: StoredValue<String>, found: &Page<PackagePath>) -> AnyView {
    let navigation = navigation();
    let chosen = RwSignal::new(Vec::<usize>::new());
    let items = StoredValue::new(found.items.clone());
    let total = found.items.len();
    let ready = move || match chosen.with(Vec::len) {
        2 => Readiness::Ready,
        0 => Readiness::Refused("Choose two paths below.".to_owned()),
        1 => Readiness::Refused("Choose one more.".to_owned()),
        _ => Readiness::Refused("Choose two, not more.".to_owned()),
    };
    let compare = move || {
        let Some((older, newer)) = chosen.with_untracked(|chosen| pair(chosen)) else {
            return;
        };
        let hash = |at: usize| items.with_value(|items| items.get(at).map(|it| it.hash.clone()));
        let (from, to) = (hash(older), hash(newer));
        let route = ExploreRoute::diff(slug.get_value(), from.as_deref(), to.as_deref());
        navigation.go(&Route::Explore(route));
    };
    let all = RwSignal::new(false);
    let drawn = move || {
        let most = if all.get() { total } else { ROWS };
        let rows = items.with_value(|items| {
            items
                .iter()
                .take(most)
                .enumerate()
                .map(|(at, item)| row(&slug.get_value(), at, item, chosen))
                .collect_view()
        });
        let rest = (total > most).then(|| show_all(all, total));
        view! {
            {table("Paths of the package, newest version first", "table is-sticky", &COLUMNS, rows)}
            {rest}
        }
    };
    let act = button_when(Weight::Plain, None, "Compare the two", ready, compare);
    section("Versions", act, changing(drawn))
}

fn row(cache: &str, at: usize, path: &PackagePath, chosen: RwSignal<Vec<usize>>) -> AnyView {
    let label = format!("Compare {}", path.name);
    let on = move || chosen.with(|chosen| chosen.contains(&at));
    let flip = move |_| {
        chosen.update(|chosen| {
            let before = chosen.len();
            chosen.retain(|&other| other != at);
            if chosen.len() == before {
                chosen.push(at);
            }
        });
    };
    let output = path.output.clone().unwrap_or_else(|| "out".to_owned());
    view! {
        <tr class:is-selected=on>
            <td class="with-pick">
                <label class="pick">
                    <input type="checkbox" aria-label=label prop:checked=on on:change=flip />
                </label>
            </td>
            <td class="wrap" data-label="Version">{version_words(&path.version)}</td>
            <td data-label="Output">{output}</td>
            <th scope="row" class="grow">{path_link(cache, &path.hash, &path.name)}</th>
            <td class="number" data-label="NAR size">{size(path.nar_size)}</td>
            <td class="number" data-label="Closure">{size_or(path.closure_size, "not yet")}</td>
            <td class="col-3 muted" data-label="Added">{ago(&path.added_at)}</td>
            <td class="col-2" data-label="Signature">{signature_chip(path.signature, None)}</td>
        </tr>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use snowbank_shared::api::SignatureStatus;

    use super::*;

    fn path(version: &str, output: Option<&str>, nar_size: u64) -> PackagePath {
        PackagePath {
            hash: String::new(),
            name: String::new(),
            version: version.to_owned(),
            output: output.map(str::to_owned),
            nar_size,
            file_size: None,
            closure_size: (nar_size > 1).then_some(nar_size * 2),
            added_at: String::new(),
            signature: SignatureStatus::Valid,
        }
    }

    #[test]
    fn a_version_weighs_its_newest_path_of_each_output() {
        let paths = [
            path("2.0", None, 100),
            path("2.0", Some("bin"), 10),
            // Built before.
            path("2.0", None, 5000),
            path("1.0", None, 1),
        ];
        let versions = weighed(&paths);
        let found: Vec<(&str, u64, Option<u64>, u64)> = versions
            .iter()
            .map(|it| (it.version.as_str(), it.nar_size, it.closure, it.paths))
            .collect();
        assert_eq!(found, [("2.0", 110, Some(200), 3), ("1.0", 1, None, 1)]);
        assert_eq!(weighed(&[]), []);
    }

    #[test]
    fn the_older_of_two_stands_on_the_left() {
        assert_eq!(pair(&[0, 3]), Some((3, 0)));
        assert_eq!(pair(&[3, 0]), Some((3, 0)));
        assert_eq!(pair(&[3]), None);
        assert_eq!(pair(&[3, 2, 1]), None);
    }
}
