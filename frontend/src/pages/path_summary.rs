//! The first tab: how big it is in every sense, how to get it, the facts of its
//! narinfo, what it refers to and what refers to it.

use leptos::prelude::*;
use snowbank_shared::api::vouching::Acceptance;
use snowbank_shared::api::{Page, PathDetail, PathRow};
use snowbank_shared::route::{ExploreRoute, PathTab, Route, VouchingQuery};

use crate::api;
use crate::components::ago::ago;
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::code::code_line;
use crate::components::copy::copy_button;
use crate::components::failure::failure_of;
use crate::components::icon::Icon;
use crate::components::size::{size, size_or};
use crate::components::store_path::{path_link, path_text};
use crate::components::term::term;
use crate::format;
use crate::pages::accept::acceptance_path;
use crate::pages::path::PathPage;
use crate::pages::path_retention;
use crate::state::navigation::href;
use crate::state::remote::Remote;

/// References and referrers shown before the link to all of them.
const SHOWN: usize = 12;

/// The tab.
pub fn tab(page: PathPage) -> AnyView {
    // Once for the page, not for each time that it is drawn anew.
    let accepted = Remote::<Acceptance>::new(move || {
        if page.live.cache.get()?.keys.is_empty() {
            return None;
        }
        page.detail.get()?;
        let (cache, hash) = (page.cache.get_value(), page.hash.get_value());
        Some(acceptance_path(&cache, &[], &[], &hash))
    });
    let why = path_retention::asked(page);
    let body = move || {
        let detail = page.detail.get()?;
        Some(view! {
            <div class="summary">
                <div class="summary-main">{sizes(&detail)} {get_it(page, accepted, &detail)} {references(page, &detail)} {referrers(page, &detail)}</div>
                <div class="summary-side">{facts(page, &detail)} {path_retention::kept(page, why)} {oddities(&detail)}</div>
            </div>
        })
    };
    view! { {changing(body)} }.into_any()
}

fn sizes(detail: &PathDetail) -> AnyView {
    let row = &detail.row;
    let shrunk = row
        .file_size
        .and_then(|download| format::ratio(row.nar_size, download))
        .map(|ratio| format!("{}, {ratio} smaller", row.compression));
    let closure_paths = row
        .closure_paths
        .map(|paths| format!("in {}", format::counted(paths, "path", "paths")));
    let added = format!(
        "of {}",
        format::counted(detail.added_paths, "path", "paths")
    );
    let missing = (!detail.closure_missing.is_empty()).then(|| {
        view! {
            <p class="size-missing">
                {format!(
                    "Without {} that this cache lacks.",
                    format::counted(detail.closure_missing.len() as u64, "reference", "references"),
                )}
            </p>
        }
    });
    view! {
        <section class="card" aria-labelledby="sizes-title">
            <div class="card-head">
                <h2 id="sizes-title">"Size"</h2>
            </div>
            <dl class="sizes">
                <div>
                    <dt>
                        {term(
                            "term-nar",
                            "NAR size, unpacked",
                            "Bytes of this path alone, as the archive is before compression. About what it takes on disk.",
                        )}
                    </dt>
                    <dd id="nar-size">{size(row.nar_size)}</dd>
                    <dd class="size-note" aria-hidden="true">{format::exact_bytes(row.nar_size)}</dd>
                </div>
                <div>
                    <dt>
                        {term(
                            "term-download",
                            "Download size, compressed",
                            "Bytes that a client fetches for this path alone: the compressed NAR in the bucket.",
                        )}
                    </dt>
                    <dd id="download-size">{size_or(row.file_size, "unknown")}</dd>
                    <dd class="size-note">{shrunk}</dd>
                </div>
                <div>
                    <dt>
                        {term(
                            "term-closure",
                            "Closure size, unpacked",
                            "NAR sizes of this path and of everything it needs, added up. What a machine that has nothing needs on disk.",
                        )}
                    </dt>
                    <dd id="closure-size">{size_or(row.closure_size, "not yet")}</dd>
                    <dd class="size-note" id="closure-paths">{closure_paths}</dd>
                </div>
                <div>
                    <dt>
                        {term(
                            "term-closure-download",
                            "Closure download, compressed",
                            "Bytes that a machine which has nothing fetches for this path and everything it needs.",
                        )}
                    </dt>
                    <dd>{size_or(detail.closure_file_size, "unknown")}</dd>
                </div>
                <div>
                    <dt>
                        {term(
                            "term-added",
                            "Added size, unpacked",
                            "NAR sizes of what would go from this cache if this path went: itself, and everything that nothing else here refers to then.",
                        )}
                    </dt>
                    <dd id="added-size">{size(detail.added_size)}</dd>
                    <dd class="size-note">{added}</dd>
                </div>
            </dl>
            {missing}
        </section>
    }
    .into_any()
}

/// Whether a machine that trusts what this cache tells it to trust takes the path with all it needs.
fn verdict(page: PathPage, accepted: Remote<Acceptance>) -> AnyView {
    let words = move || {
        if page.live.cache.get()?.keys.is_empty() {
            let words = "This cache tells clients of no key: a machine accepts what other keys vouch for that it trusts.";
            return Some(view! { <p class="muted">{words}</p> }.into_any());
        }
        let Some(answer) = accepted.get() else {
            return accepted
                .is_waiting()
                .then(|| view! { <p class="muted">"Judging the closure…"</p> }.into_any());
        };
        let query = VouchingQuery {
            path: page.hash.get_value(),
            ..VouchingQuery::default()
        };
        let address = href(&Route::Vouching(query.of(page.cache.get_value())));
        let (word, why) = judged(&answer);
        Some(
            view! {
                <p>
                    {chip(word)}
                    " "
                    {why}
                    " "
                    <a href=address>"Why"</a>
                </p>
            }
            .into_any(),
        )
    };
    view! { <div id="accepted" aria-live="polite">{failure_of(accepted)} {changing(words)}</div> }
        .into_any()
}

/// The verdict in words.
fn judged(answer: &Acceptance) -> ((Tone, Icon, &'static str, &'static str), String) {
    let paths = format::counted(answer.paths, "path", "paths");
    if answer.refused > 0 {
        let word = (
            Tone::Bad,
            Icon::Cross,
            "Refused",
            "A machine that trusts this cache's keys does not get all that this path needs",
        );
        let why = format!(
            "A machine that trusts this cache's keys refuses {} of the {paths} of its closure.",
            format::count(answer.refused)
        );
        return (word, why);
    }
    if answer.unchecked > 0 {
        let word = (
            Tone::Unknown,
            Icon::Help,
            "Not judged",
            "Its signatures were not all checked",
        );
        let why = format!(
            "{} of the {paths} of its closure were not judged.",
            format::count(answer.unchecked)
        );
        return (word, why);
    }
    let word = (
        Tone::Ok,
        Icon::Tick,
        "Accepted",
        "By a machine that trusts this cache's keys",
    );
    let mut why = match answer.paths {
        1 => "A machine that trusts this cache's keys accepts it.".to_owned(),
        _ => {
            format!("A machine that trusts this cache's keys accepts it and its closure, {paths}.")
        }
    };
    if answer.missing > 0 {
        why.push_str(" What this cache lacks of it is not judged.");
    }
    (word, why)
}

fn get_it(page: PathPage, accepted: Remote<Acceptance>, detail: &PathDetail) -> AnyView {
    let connect = href(&Route::connect(page.cache.get_value()));
    let get = if detail.withheld.is_some() || detail.held.is_some() {
        view! { <p class="muted">"Not from here: clients are not served this path."</p> }.into_any()
    } else {
        code_line("Command", format!("nix-store -r {}", detail.row.path))
    };
    view! {
        <section class="section" aria-labelledby="get-title">
            <div class="section-head">
                <h2 id="get-title">"Get it"</h2>
                <p>"On a machine that " <a href=connect>"uses this cache"</a></p>
            </div>
            {get}
            {verdict(page, accepted)}
        </section>
    }
    .into_any()
}

fn mono_fact(what: &'static str, label: &'static str, value: String) -> AnyView {
    let copied = value.clone();
    view! {
        <dt>{label}</dt>
        <dd class="mono with-copy">
            <span class="break">{value}</span>
            {copy_button(what, false, move || copied.clone())}
        </dd>
    }
    .into_any()
}

fn facts(page: PathPage, detail: &PathDetail) -> AnyView {
    let row = &detail.row;
    let deriver = match &detail.deriver {
        Some(deriver) if detail.deriver_present => {
            let (hash, name) = format::split_path(deriver);
            view! {
                {path_link(&page.cache.get_value(), hash, name)}
                <span class="muted">"in this cache"</span>
            }
            .into_any()
        }
        Some(deriver) => view! {
            {path_text(deriver)}
            <span class="muted">"not in this cache"</span>
        }
        .into_any(),
        None => view! { <span class="muted">"unknown: the narinfo does not say"</span> }.into_any(),
    };
    let system = match &detail.system {
        Some(system) => view! { {system.clone()} }.into_any(),
        None => view! { <span class="muted">"unknown: a narinfo has none"</span> }.into_any(),
    };
    let package = format::split_name(&row.name).0.to_owned();
    let versions = href(&Route::Explore(ExploreRoute::Package {
        cache: page.cache.get_value(),
        name: package.clone(),
    }));
    let address = detail
        .ca
        .clone()
        .map(|ca| mono_fact("Copy the content address", "Content address", ca));
    let file_hash = detail
        .file_hash
        .clone()
        .map(|hash| mono_fact("Copy FileHash", "FileHash", hash));
    view! {
        <section class="card" aria-labelledby="facts-title">
            <div class="card-head">
                <h2 id="facts-title">"Facts"</h2>
            </div>
            <dl class="card-body facts wraps">
                <dt>"Added"</dt>
                <dd>{ago(&row.added_at)} <span class="muted">{row.added_at.clone()}</span></dd>
                <dt>"Package"</dt>
                <dd><a class="kept" href=versions>{package}</a></dd>
                <dt>"Deriver"</dt>
                <dd>{deriver}</dd>
                <dt>"System"</dt>
                <dd>{system}</dd>
                <dt>"References"</dt>
                <dd id="reference-count">{format::count(row.reference_count)}</dd>
                <dt>"Referrers"</dt>
                <dd id="referrer-count">{format::count(row.referrer_count)}</dd>
                <dt>"Compression"</dt>
                <dd>{row.compression.clone()}</dd>
                {mono_fact("Copy NarHash", "NarHash", detail.nar_hash.clone())}
                {file_hash}
                {mono_fact("Copy the URL", "URL", detail.url.clone())}
                {address}
            </dl>
        </section>
    }
    .into_any()
}

fn oddities(detail: &PathDetail) -> Option<AnyView> {
    if detail.oddities.is_empty() {
        return None;
    }
    let rows = detail
        .oddities
        .iter()
        .map(|oddity| {
            let line = oddity
                .line
                .map(|line| view! { <span class="muted">{format!("line {line}")}</span> });
            view! { <li>{format::sentence(&oddity.message)} " " {line}</li> }
        })
        .collect_view();
    Some(
        view! {
            <section class="card" aria-labelledby="oddities-title">
                <div class="card-head">
                    <h2 id="oddities-title">"Odd about the narinfo"</h2>
                </div>
                <ul class="card-body plain-list">{rows}</ul>
            </section>
        }
        .into_any(),
    )
}

/// The path itself is among its references where it refers to itself.
fn references(page: PathPage, detail: &PathDetail) -> AnyView {
    let cache = page.cache.get_value();
    let all = href(&Route::Path {
        cache: cache.clone(),
        hash: page.hash.get_value(),
        tab: PathTab::Closure,
    });
    let itself = detail.references.contains(&detail.row.path);
    let rows = detail
        .references
        .iter()
        .filter(|path| **path != detail.row.path)
        .map(|path| {
            let (hash, name) = format::split_path(path);
            let base = path.rsplit('/').next().unwrap_or(path);
            let missing = detail.closure_missing.iter().any(|missing| missing == base || missing == path);
            let shown = if missing {
                view! {
                    {path_text(path)}
                    {chip((Tone::Bad, Icon::Cross, "referenced, not in this cache", "A client cannot fetch this path from here alone."))}
                }
                .into_any()
            } else {
                path_link(&cache, hash, name)
            };
            view! { <li>{shown}</li> }
        })
        .collect_view();
    let words = match (detail.row.reference_count, itself) {
        (0, false) => "None: this path stands alone.".to_owned(),
        (0, true) => "Only itself.".to_owned(),
        (_, true) => "And itself.".to_owned(),
        (_, false) => String::new(),
    };
    view! {
        <section class="section" aria-labelledby="references-title">
            <div class="section-head">
                <h2 id="references-title">"References " <span class="muted tabular">{format::count(detail.row.reference_count)}</span></h2>
                <a href=all>"Whole closure"</a>
            </div>
            <ul class="path-list">{rows}</ul>
            <p class="muted">{words}</p>
        </section>
    }
    .into_any()
}

fn referrers(page: PathPage, detail: &PathDetail) -> AnyView {
    let count = detail.row.referrer_count;
    let body = if count == 0 {
        view! { <p class="muted">"None: no path of this cache refers to it."</p> }.into_any()
    } else {
        let path = format!(
            "{}?limit={SHOWN}",
            api::path_path(&page.cache.get_value(), &page.hash.get_value(), "referrers")
        );
        let rows = Remote::<Page<PathRow>>::new(move || Some(path.clone()));
        let list = move || {
            let found = rows.get()?;
            Some(
                found
                    .items
                    .iter()
                    .map(|row| view! { <li>{path_link(&page.cache.get_value(), &row.hash, &row.name)}</li> })
                    .collect_view(),
            )
        };
        view! {
            {failure_of(rows)}
            <ul class="path-list">{changing(list)}</ul>
        }
        .into_any()
    };
    let all = (count > SHOWN as u64).then(|| {
        let route = Route::Path {
            cache: page.cache.get_value(),
            hash: page.hash.get_value(),
            tab: PathTab::Referrers,
        };
        view! { <a href=href(&route)>"All " {format::count(count)}</a> }
    });
    view! {
        <section class="section" aria-labelledby="referrers-title">
            <div class="section-head">
                <h2 id="referrers-title">"Referrers " <span class="muted tabular">{format::count(count)}</span></h2>
                {all}
            </div>
            {body}
        </section>
    }
    .into_any()
}
