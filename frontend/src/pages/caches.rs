//! The caches of this server: how each is, and which of them a machine is to use.

use leptos::prelude::*;
use snowbank_shared::api::{Cache, IndexState, Served, SignatureStatus, Visibility};
use snowbank_shared::route::{ConnectQuery, ConnectRoute, Route};

use crate::api;
use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::banner::banner;
use crate::components::changing::changing;
use crate::components::chart::sparkline;
use crate::components::chip::{Tone, chip};
use crate::components::code::code_file;
use crate::components::copy::copy_button;
use crate::components::failure::failure_of;
use crate::components::icon::{Icon, icon};
use crate::components::layout::{Column, table};
use crate::components::page_head::{heading, page_title};
use crate::components::size::{size, size_or};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::pages::wizard::no_cache;
use crate::state::derived::memo;
use crate::state::navigation::href;
use crate::state::session::{Session, session};

/// Paths that a client which trusts the cache's keys would take.
pub fn signed(cache: &Cache) -> u64 {
    cache
        .signatures
        .iter()
        .filter(|count| {
            matches!(
                count.signature,
                SignatureStatus::Valid | SignatureStatus::NotNeeded | SignatureStatus::ValidRetired
            )
        })
        .map(|count| count.paths)
        .sum()
}

/// Who may read it, as a word.
pub const fn visibility_word(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Public => "public",
        Visibility::Private => "private",
        Visibility::Unlisted => "unlisted",
    }
}

/// The share of narinfos that clients found; nothing where nobody asked.
pub fn hit_ratio(served: &Served) -> Option<String> {
    let asked = served.hits + served.misses;
    (asked > 0).then(|| format::percent(served.hits, asked))
}

/// What the hit ratio is of, in words.
pub fn hit_words(served: &Served) -> String {
    format!(
        "{} of {} since the server started",
        format::count(served.hits),
        format::counted(
            served.hits + served.misses,
            "narinfo asked for",
            "narinfos asked for"
        ),
    )
}

/// The page.
pub fn page() -> AnyView {
    let session = session();
    page_title(|| "Caches".to_owned());
    let sentence = move || {
        let caches = session.caches.get()?;
        let paths: u64 = caches.items.iter().map(|cache| cache.paths).sum();
        let about = if caches.items.iter().any(is_partial) {
            "≈ "
        } else {
            ""
        };
        (!caches.items.is_empty()).then(|| {
            format!(
                "{} with {about}{} on this server.",
                format::counted(caches.items.len() as u64, "cache", "caches"),
                format::counted(paths, "path", "paths"),
            )
        })
    };
    let chosen = RwSignal::new(Vec::<String>::new());
    // Which caches there are: their rows change by themselves.
    let slugs = memo(move || {
        let caches = session.caches.get()?;
        let slugs = caches.items.iter().map(|cache| cache.slug.clone());
        Some(slugs.collect::<Vec<_>>())
    });
    let content = move || match slugs.get() {
        None => session
            .caches
            .is_waiting()
            .then(|| skeleton(3, "Asking each cache how it is…")),
        Some(slugs) if slugs.is_empty() => Some(no_cache()),
        Some(slugs) => Some(rows(session, &slugs, chosen)),
    };
    // Nothing to connect to where there is no cache.
    let connecting = move || {
        let some = slugs.with(|slugs| slugs.as_ref().is_none_or(|slugs| !slugs.is_empty()));
        some.then(|| connect(&chosen.get()))
    };
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Caches")}
                    <div class="page-actions">{api_button(api::caches_path)} {changing(connecting)}</div>
                </div>
                <p class="state-sentence">{changing(sentence)}</p>
            </div>
            {failure_of(session.caches)}
            {changing(content)}
            {changing(move || unreachable(session))}
        </div>
    }
    .into_any()
}

/// To the lines for the chosen caches.
fn connect(chosen: &[String]) -> AnyView {
    let route = Route::Connect(ConnectRoute::Generate(ConnectQuery {
        caches: chosen.to_vec(),
        ..ConnectQuery::default()
    }));
    let words = match chosen.len() {
        0 => "Connect a machine".to_owned(),
        1 => "Connect to 1 cache".to_owned(),
        count => format!("Connect to {count} caches"),
    };
    view! {
        <a class="button button-primary" href=href(&route)>
            {icon(Icon::Connect)}
            {words}
        </a>
    }
    .into_any()
}

fn is_partial(cache: &Cache) -> bool {
    matches!(cache.index.state, IndexState::New | IndexState::Indexing)
}

fn index_state(cache: &Cache) -> AnyView {
    match cache.index.state {
        IndexState::New => chip((Tone::Unknown, Icon::Dash, "Not indexed yet", "")),
        IndexState::Indexing => {
            let percent = cache.index.progress.as_ref().and_then(|progress| {
                ((progress.fetched + progress.failed) * 100).checked_div(progress.found)
            });
            let word = percent.map_or_else(
                || "Indexing".to_owned(),
                |percent| format!("Indexing, {} %", percent.min(99)),
            );
            view! { <span class="chip chip-unknown">{icon(Icon::Again)} {word}</span> }.into_any()
        }
        IndexState::Failed => chip((
            Tone::Bad,
            Icon::Cross,
            "Sweep failed",
            "The last sweep of the bucket failed. Why stands below the table.",
        )),
        IndexState::Ready | IndexState::Refreshing => match &cache.index.as_of {
            Some(time) => view! { <span class="muted">{ago(time)}</span> }.into_any(),
            None => view! { <span class="none">"not yet"</span> }.into_any(),
        },
    }
}

/// The columns; the first only where several caches can be chosen.
const COLUMNS: [Column; 9] = [
    ("Cache", "", ""),
    ("Substituter", "", ""),
    ("Paths", "number", ""),
    (
        "Stored",
        "number",
        "Compressed, as it lies in the bucket; below it unpacked",
    ),
    (
        "Added, 7 days",
        "number col-2",
        "Paths first seen on each of the last seven days, UTC",
    ),
    (
        "Hits",
        "number col-3",
        "Narinfos found, of those that clients asked for since the server started",
    ),
    (
        "Signed",
        "number",
        "Paths with a valid signature or none needed",
    ),
    ("Findings", "", ""),
    (
        "As of",
        "",
        "When the index was last made; below it, when the newest path was first seen",
    ),
];

fn rows(session: Session, slugs: &[String], chosen: RwSignal<Vec<String>>) -> AnyView {
    let several = slugs.len() > 1;
    let rows: Vec<AnyView> = slugs
        .iter()
        .map(|slug| row(session, slug, several.then_some(chosen)))
        .collect();
    let mut columns = COLUMNS.to_vec();
    if several {
        columns.insert(0, ("", "row-select", ""));
    }
    table("Caches of this server", "table is-roomy", &columns, rows)
}

/// A row: what does not change by itself is drawn once, so that it keeps the focus.
fn row(session: Session, slug: &str, chosen: Option<RwSignal<Vec<String>>>) -> AnyView {
    let of = slug.to_owned();
    let cache = memo(move || {
        let caches = session.caches.get()?;
        caches.items.iter().find(|cache| cache.slug == of).cloned()
    });
    let of = slug.to_owned();
    let described = memo(move || session.find(&of));
    let name = move || {
        let cache = described.get()?;
        let url = cache.url.clone();
        Some(view! {
            <th scope="row" class="grow">
                <span class="cell-two">
                    <a href=href(&Route::of_cache(cache.slug.as_str()))>
                        <b>{cache.title.clone()}</b>
                    </a>
                    <small>
                        {visibility_word(cache.visibility)} " · " <span class="break">{cache.source.clone()}</span>
                    </small>
                </span>
            </th>
            <td data-label="Substituter" class="wide">
                <span class="copyable">
                    <code class="break">{url.clone()}</code>
                    {copy_button("Copy the substituter URL", false, move || url.clone())}
                </span>
            </td>
        })
    };
    view! {
        <tr>
            {chosen.map(|chosen| select(slug.to_owned(), chosen))} {changing(name)}
            {changing(move || cache.get().map(|cache| figures(&cache)))}
        </tr>
    }
    .into_any()
}

fn select(slug: String, chosen: RwSignal<Vec<String>>) -> AnyView {
    let (shown, label) = (slug.clone(), format!("Choose {slug}"));
    view! {
        <td class="row-select">
            <input
                type="checkbox"
                aria-label=label
                prop:checked=move || chosen.with(|chosen| chosen.contains(&shown))
                on:change=move |_| {
                    chosen
                        .update(|chosen| {
                            let before = chosen.len();
                            chosen.retain(|other| *other != slug);
                            if chosen.len() == before {
                                chosen.push(slug.clone());
                            }
                        });
                }
            />
        </td>
    }
    .into_any()
}

/// The cells that change while one looks.
fn figures(cache: &Cache) -> AnyView {
    let about = if is_partial(cache) { "≈ " } else { "" };
    let findings = if cache.findings == 0 {
        view! { <span class="none">"none"</span> }.into_any()
    } else {
        view! {
            <a href=href(&Route::health(cache.slug.as_str())) class="chip chip-warn">
                {icon(Icon::Warning)}
                {format::count(cache.findings)}
            </a>
        }
        .into_any()
    };
    let recent: u64 = cache.recent.paths.iter().sum();
    let line = (recent > 0).then(|| {
        let days: Vec<String> = cache.recent.paths.iter().map(u64::to_string).collect();
        sparkline(
            &cache.recent.paths,
            format!("On each of seven days: {}", days.join(", ")),
        )
    });
    let hits = match hit_ratio(&cache.served) {
        Some(ratio) => view! { <span title=hit_words(&cache.served)>{ratio}</span> }.into_any(),
        None => view! { <span class="none">"not asked yet"</span> }.into_any(),
    };
    let last = cache.recent.last_added_at.as_ref();
    let last = last.map(|time| view! { <small>"newest " {ago(time)}</small> });
    view! {
        <td class="number" data-label="Paths">
            {about}
            {format::count(cache.paths)}
        </td>
        <td class="number" data-label="Stored">
            <span class="cell-two">
                {size_or(cache.stored_bytes, "not yet")} <small>{size(cache.nar_bytes)} " unpacked"</small>
            </span>
        </td>
        <td class="number col-2" data-label="Added, 7 days">
            {line}
            " "
            {format::count(recent)}
        </td>
        <td class="number col-3" data-label="Hits">
            {hits}
        </td>
        <td class="number" data-label="Signed">
            {format::percent(signed(cache), cache.paths)}
        </td>
        <td data-label="Findings">{findings}</td>
        <td data-label="As of">
            <span class="cell-two">{index_state(cache)} {last}</span>
        </td>
    }
    .into_any()
}

/// What a bucket that refuses to be listed has to allow.
fn policy(source: &str) -> Option<String> {
    let path = source.strip_prefix("s3://")?;
    let (bucket, _) = path.split_once('/').unwrap_or((path, ""));
    Some(format!(
        "{{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n    {{\n      \"Effect\": \"Allow\",\n      \"Action\": [\"s3:ListBucket\", \"s3:GetBucketLocation\"],\n      \"Resource\": \"arn:aws:s3:::{bucket}\"\n    }},\n    {{\n      \"Effect\": \"Allow\",\n      \"Action\": \"s3:GetObject\",\n      \"Resource\": \"arn:aws:s3:::{bucket}/*\"\n    }}\n  ]\n}}\n"
    ))
}

/// Why a bucket cannot be read, and where it is a matter of rights, which ones.
fn unreachable(session: Session) -> Option<AnyView> {
    let caches = session.caches.get()?;
    let failed = caches
        .items
        .iter()
        .filter(|cache| cache.index.state == IndexState::Failed);
    let banners: Vec<AnyView> = failed
        .map(|cache| {
            let why = cache.index.error.clone().unwrap_or_default();
            let denied = why.contains("AccessDenied") || why.contains("403");
            let policy = denied.then(|| policy(&cache.source)).flatten().map(|text| {
                view! {
                    <p>"Where it is a matter of rights, this policy is enough for reading:"</p>
                    {code_file("policy.json", text, "policy.json")}
                }
            });
            let words = view! {
                <p>{why}</p>
                {policy}
            };
            banner(
                Tone::Bad,
                format!("The bucket of {} cannot be read", cache.title),
                words,
                (),
            )
        })
        .collect();
    (!banners.is_empty()).then(|| banners.into_any())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_the_bucket_and_is_json() {
        let text = policy("s3://nix-cache/team/").expect("a bucket");
        let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(json["Statement"][0]["Resource"], "arn:aws:s3:::nix-cache");
        assert_eq!(json["Statement"][1]["Resource"], "arn:aws:s3:::nix-cache/*");
        assert_eq!(policy("folder"), None);
    }

    #[test]
    fn a_ratio_of_nothing_is_none() {
        let served = |hits, misses| Served {
            since: String::new(),
            hits,
            misses,
            nar_bytes: 0,
        };
        assert_eq!(hit_ratio(&served(0, 0)), None);
        assert_eq!(hit_ratio(&served(80, 20)).as_deref(), Some("80 %"));
        assert_eq!(
            hit_words(&served(80, 20)),
            "80 of 100 narinfos asked for since the server started"
        );
    }
}
