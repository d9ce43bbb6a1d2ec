//! The five sections of a difference: how each package differs, and by how much.

use leptos::prelude::*;
use snowbank_shared::api::{Diff, DiffKind, DiffRow};
use snowbank_shared::route::{ExploreRoute, Route};
use snowbank_shared::size::change;

use crate::components::changing::changing;
use crate::components::layout::table;
use crate::format;
use crate::pages::diff_words::{Order, change_or, rows, versions, word};
use crate::state::navigation::href;

/// Rows of a section that are drawn before all are asked for.
const ROWS: usize = 200;
/// Paths of a package that are linked.
const LINKS: usize = 3;

/// What a section means.
const fn meaning(kind: DiffKind) -> &'static str {
    match kind {
        DiffKind::Upgraded => "The right has a newer version, as Nix compares versions.",
        DiffKind::Downgraded => "The right has an older version.",
        DiffKind::Added => "Only the right has the package.",
        DiffKind::Removed => "Only the left has the package.",
        DiffKind::Rebuilt => {
            "The same version with another hash: built anew, or from other inputs."
        }
    }
}

/// All five, of the packages whose names hold `wanted`.
pub fn sections(cache: &str, diff: &Diff, wanted: &str, order: Order) -> AnyView {
    DiffKind::ALL
        .map(|kind| {
            let found = rows(diff, kind, wanted, order);
            section(cache, diff, kind, &found, !wanted.trim().is_empty())
        })
        .collect_view()
        .into_any()
}

fn section(
    cache: &str,
    diff: &Diff,
    kind: DiffKind,
    found: &[&DiffRow],
    searched: bool,
) -> AnyView {
    let count = format::count(found.len() as u64);
    let title = view! {
        {word(kind)}
        " "
        <span class="count">{count}</span>
    };
    let id = format!("diff-{}", kind.as_str());
    if found.is_empty() {
        return view! {
            <section class="section diff-section" id=id>
                <h2>{title}</h2>
                <p class="muted">"None."</p>
            </section>
        }
        .into_any();
    }
    let body = list(cache, diff, kind, found);
    // Rebuilt packages are many and say little: they open on request, or where one is searched for.
    if kind == DiffKind::Rebuilt {
        return view! {
            <section class="section diff-section" id=id>
                <details class="diff-fold" open=searched>
                    <summary><h2>{title}</h2></summary>
                    <div>
                        <p class="muted">{meaning(kind)}</p>
                        {body}
                    </div>
                </details>
            </section>
        }
        .into_any();
    }
    view! {
        <section class="section diff-section" id=id>
            <div class="section-head">
                <h2>{title}</h2>
                <p>{meaning(kind)}</p>
            </div>
            {body}
        </section>
    }
    .into_any()
}

fn list(cache: &str, diff: &Diff, kind: DiffKind, found: &[&DiffRow]) -> AnyView {
    let owned: Vec<DiffRow> = found.iter().map(|&row| row.clone()).collect();
    let total = owned.len();
    let ends = (
        format::split_path(&diff.from.path).0.to_owned(),
        format::split_path(&diff.to.path).0.to_owned(),
    );
    let cache = cache.to_owned();
    let all = RwSignal::new(false);
    let drawn = move || {
        let most = if all.get() { total } else { ROWS };
        let rows = owned
            .iter()
            .take(most)
            .map(|item| row(&cache, item, &ends))
            .collect_view();
        let columns = [
            ("Package", "", ""),
            ("Left", "", "Versions in the closure on the left"),
            ("Right", "", "Versions in the closure on the right"),
            (
                "Δ NAR",
                "number",
                "Bytes unpacked on the right, less those on the left",
            ),
            (
                "Δ download",
                "number col-3",
                "The same of the compressed NARs",
            ),
            ("", "", ""),
        ];
        let rest = (total > most).then(|| show_all(all, total));
        view! {
            {table(word(kind), "table is-sticky", &columns, rows)}
            {rest}
        }
    };
    changing(drawn)
}

fn row(cache: &str, row: &DiffRow, (left, right): &(String, String)) -> AnyView {
    let package = href(&Route::Explore(ExploreRoute::Package {
        cache: cache.to_owned(),
        name: row.name.clone(),
    }));
    // Why the closure has it: asked of the side that has it.
    let why = match (row.to_hashes.first(), row.from_hashes.first()) {
        (Some(hash), _) => Some((right, hash)),
        (None, Some(hash)) => Some((left, hash)),
        (None, None) => None,
    };
    let why = why.map(|(from, hash)| {
        let address = href(&Route::Explore(ExploreRoute::why(
            cache,
            Some(from),
            Some(hash),
        )));
        let label = format!("Why {}", row.name);
        view! { <a class="button" href=address aria-label=label>"Why"</a> }
    });
    view! {
        <tr>
            <th scope="row" class="wrap wide"><a class="file-name" href=package>{row.name.clone()}</a></th>
            <td class="wrap wide" data-label="Left">{side(cache, &row.from_versions, &row.from_hashes)}</td>
            <td class="wrap wide" data-label="Right">{side(cache, &row.to_versions, &row.to_hashes)}</td>
            <td class="number" data-label="Δ NAR">{change(row.nar_delta)}</td>
            <td class="number col-3" data-label="Δ download">{change_or(row.file_delta)}</td>
            <td class="row-button">{why}</td>
        </tr>
    }
    .into_any()
}

/// The versions on one side, and the paths that only it has.
fn side(cache: &str, found: &[String], hashes: &[String]) -> AnyView {
    let links = hashes
        .iter()
        .take(LINKS)
        .map(|hash| {
            let short = hash.get(..8).unwrap_or(hash).to_owned();
            let address = href(&Route::path(cache, hash));
            view! { <a class="hash-link" href=address title=hash.clone()>{short} "…"</a> " " }
        })
        .collect_view();
    let more = hashes.len().saturating_sub(LINKS);
    let more = (more > 0).then(|| format!("and {more} more"));
    view! {
        <span class="diff-side">
            <span>{versions(found)}</span>
            <small class="muted">{links} {more}</small>
        </span>
    }
    .into_any()
}

/// The button below rows that are cut.
pub fn show_all(all: RwSignal<bool>, total: usize) -> AnyView {
    let words = format!("Show all {}", format::count(total as u64));
    view! {
        <p>
            <button type="button" class="button" on:click=move |_| all.set(true)>{words}</button>
        </p>
    }
    .into_any()
}
