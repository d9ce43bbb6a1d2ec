//! A store path: its head and its tabs. What the tabs show is fetched here, so
//! that changing the tab asks for nothing and works without a network.

use leptos::prelude::*;
use snowbank_shared::api::{Key, Page, PathDetail};
use snowbank_shared::route::{PathTab, Route};

use crate::api;
use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::banner::banner;
use crate::components::changing::changing;
use crate::components::chip::{Tone, content_chip, signature_chip};
use crate::components::copy::copy_button;
use crate::components::failure::failure_now;
use crate::components::icon::{Icon, icon};
use crate::components::index_line::{index_banner, index_line};
use crate::components::offer::offer;
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::components::store_path::path_link;
use crate::format::{self, reproduced_words};
use crate::pages::cache::absent_or_failed;
use crate::pages::{
    closure, path_absent, path_files, path_history, path_keep, path_log, path_raw, path_referrers,
    path_signatures, path_summary, path_why,
};
use crate::state::derived::{effect, memo};
use crate::state::live::{LiveCache, live_cache};
use crate::state::navigation::{href, navigation};
use crate::state::remote::Remote;
use crate::state::sending::Sending;

/// What the tabs share. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct PathPage {
    /// Slug of the cache.
    pub cache: StoredValue<String>,
    /// Hash part of the path.
    pub hash: StoredValue<String>,
    /// The path's resource.
    pub detail: Remote<PathDetail>,
    /// The narinfo as it lies in the bucket, byte for byte.
    pub raw: Remote<Vec<u8>>,
    /// The keys that are known here.
    pub keys: Remote<Page<Key>>,
    /// The cache and its index.
    pub live: LiveCache,
    /// A look at the bytes that somebody asks for: what it found outlives the tab that it changes.
    pub checking: Sending,
}

/// The words on a tab.
const fn tab_word(tab: PathTab) -> &'static str {
    match tab {
        PathTab::Summary => "Summary",
        PathTab::Closure => "Closure",
        PathTab::Referrers => "Referrers",
        PathTab::Files => "Files",
        PathTab::Signatures => "Signatures",
        PathTab::Log => "Log",
        PathTab::History => "History",
        PathTab::Raw => "Raw",
    }
}

/// The number on a tab, where it has one.
fn tab_count(tab: PathTab, detail: &PathDetail) -> Option<u64> {
    match tab {
        PathTab::Closure => detail.row.closure_paths,
        PathTab::Referrers => Some(detail.row.referrer_count),
        PathTab::Signatures => Some(detail.signatures.len() as u64),
        PathTab::Summary | PathTab::Files | PathTab::Log | PathTab::History | PathTab::Raw => None,
    }
}

/// The page.
pub fn page(cache: &str, hash: &str) -> AnyView {
    let navigation = navigation();
    let (detail_path, raw_path, keys_path) = (
        api::path_path(cache, hash, ""),
        api::path_path(cache, hash, "raw"),
        api::keys_path(cache),
    );
    let live = live_cache();
    let api_path = StoredValue::new(detail_path.clone());
    let detail_source = detail_path.clone();
    let detail = Remote::<PathDetail>::new(move || {
        // While the first index is built, closures grow.
        live.renewals.track();
        Some(detail_source.clone())
    });
    let sending = Sending::new();
    let exists = memo(move || detail.get().is_some());
    let page = PathPage {
        cache: StoredValue::new(cache.to_owned()),
        hash: StoredValue::new(hash.to_owned()),
        detail,
        raw: Remote::of_bytes(move || exists.get().then(|| raw_path.clone())),
        keys: Remote::new(move || exists.get().then(|| keys_path.clone())),
        live,
        checking: Sending::new(),
    };
    let tab = Memo::new(move |before: Option<&PathTab>| match navigation.route() {
        Some(Route::Path { tab, .. }) => tab,
        Some(Route::File { .. }) => PathTab::Files,
        // On the way to another page.
        _ => before.copied().unwrap_or_default(),
    });
    let place = Memo::new(move |before: Option<&String>| match navigation.route() {
        Some(Route::File { file, .. }) => file,
        Some(Route::Path { .. }) => String::new(),
        _ => before.cloned().unwrap_or_default(),
    });
    path_why::listen(page, tab);
    let short = hash.chars().take(8).collect::<String>();
    let name = memo(move || {
        page.detail
            .get()
            .map_or_else(|| format!("{short}…"), |detail| detail.row.name.clone())
    });
    {
        let cache = cache.to_owned();
        page_title(move || match tab.get() {
            PathTab::Summary => format!("{} – {cache}", name.get()),
            tab => format!(
                "{} – {} – {cache}",
                name.get(),
                tab_word(tab).to_ascii_lowercase()
            ),
        });
    }
    let absent = memo(move || {
        page.detail
            .error()
            .is_some_and(|error| error.is_not_found())
    });
    let body = move || {
        if absent.get() {
            // What has gone has a history still.
            return match tab.get() {
                PathTab::History => path_history::tab(page),
                _ => path_absent::content(page),
            };
        }
        if !exists.get() {
            return if page.detail.error().is_none() {
                skeleton(8, "Reading the path…")
            } else {
                ().into_any()
            };
        }
        match tab.get() {
            PathTab::Summary => path_summary::tab(page),
            PathTab::Closure => closure::tab(page),
            PathTab::Referrers => path_referrers::tab(page),
            PathTab::Files => path_files::tab(page, place),
            PathTab::Signatures => path_signatures::tab(page),
            PathTab::Log => path_log::tab(page),
            PathTab::History => path_history::tab(page),
            PathTab::Raw => path_raw::tab(page),
        }
    };
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading(move || head(page, absent.get()))} <div class="page-actions">
                        {changing(move || exists.get().then(|| copy_menu(page)))}
                        {changing(move || exists.get().then(|| path_why::links(page)))}
                        {changing(move || exists.get().then(|| path_keep::acts(page, sending)))} {api_button(move || detail_path.clone())}
                    </div>
                </div>
                {changing(move || page.detail.get().map(|detail| status_line(page, &detail)))}
                {index_line(live)}
            </div>
            {index_banner(live)}
            {absent_or_failed(live)}
            {changing(move || if absent.get() { None } else { failure_now(page.detail) })}
            {changed_since(page, api_path)}
            {sending.notice()}
            {changing(move || path_keep::held(page, sending))}
            {changing(move || withheld(page))}
            {changing(move || differing(page))}
            {changing(move || disputed(page))}
            {changing(move || exists.get().then(|| tabs(page, tab)))}
            {changing(body)}
        </div>
    }
    .into_any()
}

/// The heading: hash muted, name strong; or that it is not here.
fn head(page: PathPage, absent: bool) -> AnyView {
    let hash = page.hash.get_value();
    if absent {
        let cache = page
            .live
            .cache
            .get()
            .map_or_else(|| page.cache.get_value(), |cache| cache.title.clone());
        return view! { {format!("Not in {cache}")} }.into_any();
    }
    match page.detail.get() {
        Some(detail) => {
            let (package, version) = format::split_name(&detail.row.name);
            view! {
                <span class="path-title">
                    <b>{package.to_owned()}</b>
                    <span class="store-path-version">{version.to_owned()}</span>
                </span>
            }
            .into_any()
        }
        None => view! { <span class="mono muted">{hash}</span> }.into_any(),
    }
}

fn status_line(page: PathPage, detail: &PathDetail) -> AnyView {
    let path = detail.row.path.clone();
    // Those that the word is about, and not all who signed.
    let signers: Vec<&str> = detail
        .signatures
        .iter()
        .filter(|verdict| verdict.status == detail.row.signature)
        .map(|verdict| verdict.key.as_str())
        .collect();
    let signers = format::visible(&signers.join(", "));
    let by = (!signers.is_empty()).then(|| view! { <span class="muted">"by " {signers}</span> });
    let proven = detail.proven_at.as_deref();
    let proven = proven.map(|at| view! { <span class="muted">"last proven " {ago(at)}</span> });
    view! {
        <p class="path-full">
            <code class="break">{detail.row.path.clone()}</code>
            {copy_button("Copy store path", false, move || path.clone())}
        </p>
        <p class="path-status">
            <span class="status-pair">
                <span class="muted">"Signature"</span>
                {signature_chip(detail.row.signature, detail.row.signature_problem)}
                {by}
            </span>
            <span class="status-pair">
                <span class="muted">"Content"</span>
                {content_chip(detail.row.content)}
                {proven}
            </span>
            {path_keep::pinned_as(&page.cache.get_value(), detail)}
            {reproduced(detail)}
        </p>
    }
    .into_any()
}

/// How many people vouch for this very content, where that is more than one.
fn reproduced(detail: &PathDetail) -> Option<AnyView> {
    let words = reproduced_words(&detail.reproduced_by)?;
    let by: Vec<String> = detail
        .reproduced_by
        .iter()
        .map(|one| one.owner.clone().unwrap_or_else(|| one.keys.join(", ")))
        .collect();
    let title = format!(
        "Signed by {}: each says to have made this NarHash",
        by.join(" and ")
    );
    Some(
        view! {
            <span class="status-pair">
                <span class="chip chip-ok" id="reproduced" title=title>
                    {icon(Icon::Tick)}
                    {words}
                </span>
                <span class="muted">{by.join(", ")}</span>
            </span>
        }
        .into_any(),
    )
}

/// Builds of the path that came with other content.
fn differing(page: PathPage) -> Option<AnyView> {
    let conflicts = page.detail.get()?.conflicts;
    let link = href(&Route::Conflicts {
        cache: page.cache.get_value(),
        hash: Some(page.hash.get_value()),
    });
    (conflicts > 0).then(|| {
        let words = view! {
            <p>
                "What is here came first and stays. "
                <a href=link>"Compare the files"</a>
            </p>
        };
        let title = format!(
            "{} of this path came later with other content: not reproducible",
            format::counted(conflicts, "build", "builds")
        );
        banner(Tone::Warn, title, words, ())
    })
}

/// Other paths whose narinfos claim its NAR.
fn disputed(page: PathPage) -> Option<AnyView> {
    let detail = page.detail.get()?;
    if detail.disputed_by.is_empty() {
        return None;
    }
    let links = detail
        .disputed_by
        .iter()
        .map(|base| {
            let (hash, name) = base.split_once('-').unwrap_or((base.as_str(), ""));
            view! { <li>{path_link(&page.cache.get_value(), hash, name)}</li> }
        })
        .collect_view();
    let words = view! {
        <p>
            "These paths name the same NAR and say that something else is in it, so at most one of them is right. No signature covers URL: each can be valid. A client that gets the wrong bytes finds that they are not those of NarHash, and fails."
        </p>
        <ul class="plain-list" id="disputed-by">{links}</ul>
    };
    let title = "One NAR URL, two different contents";
    Some(banner(Tone::Bad, title, words, ()))
}

/// The path as it is now, where it is no longer what is shown.
fn changed_since(page: PathPage, path: StoredValue<String>) -> AnyView {
    let fresh = Remote::<PathDetail>::new(move || {
        let shown = page.detail.get()?.revision.clone();
        let now = page.live.index.get()?.revision;
        (shown != now && !page.live.is_partial()).then(|| path.get_value())
    });
    let change = memo(move || {
        let shown = page.detail.get()?;
        if fresh.error().is_some_and(|error| error.is_not_found()) {
            return Some(Change::Gone);
        }
        let fresh = fresh.get()?;
        if page.live.index.get()?.revision != fresh.revision {
            return None;
        }
        Change::between(&shown, &fresh)
    });
    // It moves nothing that is being read, so it is shown without being asked for.
    effect(move || {
        if change.get() == Some(Change::Judgement) {
            page.keys.reload();
            page.detail.reload();
        }
    });
    let words = move || match change.get()? {
        Change::Gone => Some("This path has gone from the cache since this page was opened."),
        Change::Path => Some("This path has changed since this page was opened."),
        Change::Judgement => None,
    };
    offer(words, move || page.detail.reload())
}

/// What is other about a path than what is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// It is not there any more.
    Gone,
    /// A key was registered, accepted or ended: only the words on its signatures.
    Judgement,
    /// Anything else.
    Path,
}

impl Change {
    fn between(shown: &PathDetail, now: &PathDetail) -> Option<Self> {
        let mut now = PathDetail {
            revision: shown.revision.clone(),
            // That it was read once more changes nothing.
            proven_at: shown.proven_at.clone(),
            ..now.clone()
        };
        if now == *shown {
            return None;
        }
        now.row.signature = shown.row.signature;
        now.row.signature_problem = shown.row.signature_problem;
        now.row.signers.clone_from(&shown.row.signers);
        now.reproduced_by.clone_from(&shown.reproduced_by);
        for (verdict, before) in now.signatures.iter_mut().zip(&shown.signatures) {
            if verdict.signature == before.signature {
                verdict.clone_from(before);
            }
        }
        Some(if now == *shown {
            Self::Judgement
        } else {
            Self::Path
        })
    }
}

/// Why clients are not served it, where they are not.
fn withheld(page: PathPage) -> Option<AnyView> {
    let why = page.detail.get()?.withheld.clone()?;
    Some(
        view! {
            <div class="banner banner-bad">
                {icon(Icon::Warning)}
                <div class="banner-body">
                    <p class="banner-title">"Clients are not served this path"</p>
                    <p>{format::sentence(&why)}</p>
                    <p>"They get 404, because some versions of Nix crash on such a narinfo."</p>
                </div>
            </div>
        }
        .into_any(),
    )
}

fn tabs(page: PathPage, current: Memo<PathTab>) -> AnyView {
    let links = PathTab::ALL
        .map(|tab| {
            let link = href(&Route::Path {
                cache: page.cache.get_value(),
                hash: page.hash.get_value(),
                tab,
            });
            let count = move || {
                let count = tab_count(tab, page.detail.get()?.as_ref())?;
                Some(view! { <span class="count">{format::count(count)}</span> })
            };
            view! {
                <a href=link aria-current=move || (current.get() == tab).then_some("page")>
                    {tab_word(tab)}
                    {changing(count)}
                </a>
            }
        })
        .collect_view();
    view! {
        <nav class="tabs" aria-label="Parts of this path">
            {links}
        </nav>
    }
    .into_any()
}

/// Everything one may want to take along.
fn copy_menu(page: PathPage) -> AnyView {
    let texts = move || {
        let detail = page.detail.get()?;
        let cache = page.live.cache.get();
        let url = cache
            .as_ref()
            .map(|cache| cache.url.trim_end_matches('/').to_owned());
        let path = detail.row.path.clone();
        let link = crate::state::navigation::absolute(
            &Route::path(page.cache.get_value(), page.hash.get_value()).to_string(),
        );
        let base = path.rsplit('/').next().unwrap_or_default().to_owned();
        let mut texts = vec![
            ("Store path", path.clone()),
            ("Hash", detail.row.hash.clone()),
            ("Base name", base),
            ("nix-store -r", format!("nix-store -r {path}")),
            ("nix build", format!("nix build {path}")),
        ];
        if let Some(url) = url {
            texts.push(("nix copy --from", format!("nix copy --from '{url}' {path}")));
            texts.push(("narinfo URL", format!("{url}/{}.narinfo", detail.row.hash)));
            texts.push(("NAR URL", format!("{url}/{}", detail.url)));
        }
        texts.push(("Link to this page", link.clone()));
        texts.push(("Markdown", format!("[{}]({link})", detail.row.name)));
        Some(
            texts
                .into_iter()
                .map(|(word, text)| copy_entry(word, text))
                .collect_view(),
        )
    };
    view! {
        <details class="menu">
            <summary class="button">{icon(Icon::Copy)} "Copy" {icon(Icon::Menu)}</summary>
            <div class="menu-list at-end">{changing(texts)}</div>
        </details>
    }
    .into_any()
}

fn copy_entry(word: &'static str, text: String) -> AnyView {
    let announcer = crate::components::announcer::announcer();
    let copy = move |_| {
        crate::components::copy::copy_and_say(text.clone(), announcer);
        crate::state::navigation::close_menus(None);
    };
    view! {
        <button type="button" on:click=copy>
            {word}
        </button>
    }
    .into_any()
}
