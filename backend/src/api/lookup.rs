//! `/lookup`: is it here? Across all caches that the caller may read.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use futures_util::future::join_all;
use http::HeaderMap;
use snowbank_shared::api::{Lookup, LookupCache, LookupItem, Problem};
use snowbank_shared::pasted::store_paths;
use snowbank_shared::store_path::StorePathHash;

use super::problem::{ApiError, excerpt};
use super::request::{heavy, nothing_left, pairs, readable};
use crate::auth::{self, Act};
use crate::index::{PathQuery, View};
use crate::site::{Cache, Site};

/// Texts in one request.
const MOST: usize = 50;
/// Paths in one request.
const MOST_PATHS: usize = 200;
/// Rows for each text and cache.
const ROWS: usize = 10;

/// Looks texts or paths up in every cache that the caller may read.
///
/// `q` finds as the list of paths does: store paths, hashes or their beginnings, words of
/// names, `.narinfo` URLs. `p` is one path, exactly: a store path, its base name, its hash or
/// its `.narinfo` URL; one that is none of these gets its own `problem`.
#[utoipa::path(
    get,
    path = "/lookup",
    tag = "server",
    operation_id = "lookup",
    params(
        ("q" = Option<Vec<String>>, Query, description = "What to look for; up to 50 times"),
        ("p" = Option<Vec<String>>, Query, description = "A path; up to 200 times, not together with `q`"),
        ("cache" = Option<String>, Query, description = "Only in the cache of this slug"),
    ),
    responses(
        (status = 200, body = Lookup),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "Nothing to look for, or too much"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "`cache` is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "There is no such `cache`"),
    ),
)]
pub(super) async fn lookup(
    State(site): State<Arc<Site>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Lookup>, ApiError> {
    let (mut texts, mut paths) = (Vec::new(), Vec::new());
    let mut rest = Vec::new();
    let mut only = None;
    for (name, value) in pairs(query.as_deref())? {
        match name.as_str() {
            "q" if !value.trim().is_empty() => texts.push(value),
            "p" if !value.trim().is_empty() => paths.push(value),
            "cache" => only = Some(value).filter(|slug| !slug.is_empty()),
            "q" | "p" => {}
            _ => rest.push((name, value)),
        }
    }
    nothing_left(&rest)?;
    let asked = match (texts.len(), paths.len()) {
        (1..=MOST, 0) => Asked::Texts(texts),
        (0, 1..=MOST_PATHS) => Asked::Paths(paths),
        _ => {
            return Err(ApiError::bad_parameter(format!(
                "`q` says what to look for, once or up to {MOST} times; or `p` names paths, up to {MOST_PATHS} times"
            )));
        }
    };
    let caches = match only {
        Some(slug) => vec![readable(&site, &slug, &headers)?],
        None => {
            let caller = site.access.caller(&headers);
            let caches = site.caches.iter();
            caches
                .filter(|cache| auth::may(&caller, Act::Read, cache.on()).is_ok())
                .cloned()
                .collect()
        }
    };
    let searched = caches.clone();
    let exact = matches!(asked, Asked::Paths(_));
    let mut items = heavy(&site, move || match asked {
        Asked::Texts(texts) => find_texts(&searched, texts),
        Asked::Paths(paths) => Ok(find_paths(&searched, paths)),
    })
    .await?;
    if exact {
        join_all(items.iter_mut().map(|item| ask_upstreams(&caches, item))).await;
    }
    Ok(Json(Lookup { items }))
}

/// What the upstreams of these caches say of a path that none of them has; each upstream once.
async fn ask_upstreams(caches: &[Arc<Cache>], item: &mut LookupItem) {
    let is_here = item.caches.iter().any(|cache| cache.total > 0);
    let pasted = store_paths(&item.q, 1);
    let Some(path) = pasted
        .paths
        .first()
        .filter(|_| !is_here && item.problem.is_none())
    else {
        return;
    };
    let asked = caches.iter().map(|cache| cache.upstreams.ask(path.hash));
    for answer in join_all(asked).await.into_iter().flatten() {
        if !item.upstreams.iter().any(|known| known.url == answer.url) {
            item.upstreams.push(answer);
        }
    }
}

enum Asked {
    Texts(Vec<String>),
    Paths(Vec<String>),
}

fn find_texts(caches: &[Arc<Cache>], texts: Vec<String>) -> Result<Vec<LookupItem>, ApiError> {
    let mut items = Vec::with_capacity(texts.len());
    for text in texts {
        let query = PathQuery {
            limit: ROWS,
            ..PathQuery::from_pairs([("q", text.as_str())])?
        };
        let mut found = Vec::with_capacity(caches.len());
        for cache in caches {
            let page = cache.index.view().query(&query)?;
            found.push(LookupCache {
                cache: cache.slug.to_string(),
                paths: page.items,
                total: page.total,
                complete: page.complete,
            });
        }
        items.push(item(text, found));
    }
    Ok(items)
}

fn find_paths(caches: &[Arc<Cache>], paths: Vec<String>) -> Vec<LookupItem> {
    let views: Vec<_> = caches
        .iter()
        .map(|cache| (cache.slug.as_str(), cache.index.view()))
        .collect();
    let find = |hash: &StorePathHash| {
        let of_cache = |(slug, view): &(&str, Arc<View>)| {
            let found = view.find(hash);
            LookupCache {
                cache: (*slug).to_owned(),
                total: u64::from(found.is_some()),
                paths: found.map(|id| view.row(id)).into_iter().collect(),
                complete: view.swept_at().is_some(),
            }
        };
        views.iter().map(of_cache).collect()
    };
    paths
        .into_iter()
        .map(|text| {
            let pasted = store_paths(&text, 2);
            match (&pasted.paths[..], pasted.not_hashes.first()) {
                ([path], None) => item(text, find(&path.hash)),
                ([], Some(wrong)) => {
                    let problem = format!(
                        "`{}` is not a Nix hash: letters e o t u and capitals do not occur",
                        excerpt(wrong)
                    );
                    LookupItem {
                        problem: Some(problem),
                        ..item(text, Vec::new())
                    }
                }
                _ => LookupItem {
                    problem: Some("it does not name one store path".to_owned()),
                    ..item(text, Vec::new())
                },
            }
        })
        .collect()
}

const fn item(q: String, caches: Vec<LookupCache>) -> LookupItem {
    LookupItem {
        q,
        problem: None,
        caches,
        upstreams: Vec::new(),
    }
}
