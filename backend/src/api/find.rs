//! `/caches/{cache}/paths/{hash}/find`: files by name in a path and all that it needs.
//!
//! Only trees that are known already, or lie beside their narinfo as `.ls`, are looked through: a
//! search reads no archive. Each answer looks at a few paths and says where to go on.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use futures_util::{StreamExt as _, stream};
use http::HeaderMap;
use snowbank_shared::api::Problem;
use snowbank_shared::api::files::{FoundFiles, FoundIn};
use snowbank_shared::contents::FileEntry;
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StorePathHash;

use super::files::{held_back, named};
use super::problem::{ApiError, excerpt};
use super::request::{self, Paging, find, heavy, nothing_left, pairs, readable, taken};
use crate::archive::Archive;
use crate::site::{Cache, Site};

/// Paths that one answer looks at where the request does not say.
const PATHS: usize = 40;
/// The same at most.
const MOST_PATHS: usize = 100;
/// Trees that are read at once.
const AT_ONCE: usize = 6;
/// Files of a path that are named; more are only counted.
const MOST_OF_PATH: usize = 50;
/// Bytes of what is looked for.
const LONGEST: usize = 200;
/// How long one waits for others who read much.
const PATIENCE: Duration = Duration::from_secs(10);

/// A path whose tree is looked through.
struct Looked {
    path: String,
    hash: String,
    name: String,
    archive: Option<Archive>,
}

/// Files whose names contain a text, in a path and everything that it needs, the nearest paths first.
/// Paths without a listing are counted, and not read.
#[utoipa::path(
    get,
    path = "/caches/{cache}/paths/{hash}/find",
    tag = "paths",
    operation_id = "find_files",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "Hash part of the store path"),
        ("q" = String, Query, description = "What the file names contain, whatever the case of ASCII letters; two characters at least"),
        ("limit" = Option<u32>, Query, description = "Paths looked at, 1 to 100; 40 where it is not given"),
        ("cursor" = Option<String>, Query, description = "`next` of the answer before"),
    ),
    responses(
        (status = 200, body = FoundFiles),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or path"),
    ),
)]
pub(super) async fn files(
    State(site): State<Arc<Site>>,
    Path((slug, hash)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<FoundFiles>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let hash = request::hash(&hash)?;
    let mut pairs = pairs(query.as_deref())?;
    let wanted = taken(&mut pairs, "q").unwrap_or_default();
    let paging = Paging::take(&mut pairs, PATHS, MOST_PATHS)?;
    nothing_left(&pairs)?;
    if wanted.chars().count() < 2 || wanted.len() > LONGEST {
        return Err(ApiError::bad_parameter(format!(
            "`q` cannot be `{}`: it is a part of a file name, of two characters or more",
            excerpt(&wanted)
        )));
    }
    let permit = tokio::time::timeout(PATIENCE, Arc::clone(&site.large).acquire_owned());
    let _permit = permit.await.ok().and_then(Result::ok).ok_or_else(|| {
        ApiError::busy("Several large answers are being sent; try again in a few seconds.")
    })?;
    let of = Arc::clone(&cache);
    let (mut found, paths) = heavy(&site, move || {
        let view = of.index.view();
        let id = find(&of, &view, hash)?;
        let page = view.closure(id, paging.limit, paging.cursor.as_deref())?;
        let present = page.items.iter().filter(|row| row.present);
        let paths: Vec<Looked> = present
            .map(|row| Looked {
                path: row.path.clone(),
                hash: row.hash.clone(),
                name: row.name.clone(),
                archive: row
                    .hash
                    .parse::<StorePathHash>()
                    .ok()
                    .and_then(|hash| view.find(&hash))
                    .filter(|id| !held_back(&of, &view, *id))
                    .and_then(|id| {
                        let narinfo = NarInfo::parse(&view.narinfo_bytes(id), &of.store_dir);
                        Some(Archive::of(&narinfo.ok()?))
                    }),
            })
            .collect();
        // What this cache lacks comes last: there is nothing to look into.
        let over = paths.len() < page.items.len();
        let found = FoundFiles {
            items: Vec::new(),
            paths: page.paths,
            looked_at: paths.len() as u64,
            without_listing: 0,
            next: page.next.filter(|_| !over),
            revision: page.revision,
        };
        Ok((found, paths))
    })
    .await?;
    // Each tree is let go before the next but a few is read: they may be large.
    let wanted: Arc<[u8]> = wanted.to_ascii_lowercase().into_bytes().into();
    let each = stream::iter(paths).map(|looked| {
        let (site, cache, wanted) = (Arc::clone(&site), Arc::clone(&cache), Arc::clone(&wanted));
        look_through(site, cache, looked, wanted)
    });
    let mut each = pin!(each.buffered(AT_ONCE));
    while let Some(looked) = each.next().await {
        match looked? {
            None => found.without_listing += 1,
            Some(hits) if hits.total == 0 => {}
            Some(hits) => found.items.push(hits),
        }
    }
    Ok(Json(found))
}

/// What is found in a path; `None` where its tree is not known.
async fn look_through(
    site: Arc<Site>,
    cache: Arc<Cache>,
    looked: Looked,
    wanted: Arc<[u8]>,
) -> Result<Option<FoundIn>, ApiError> {
    let Some(archive) = &looked.archive else {
        return Ok(None);
    };
    // One that cannot be read is as good as none.
    let listed = cache.archives.listing_at_hand(&cache.bucket, archive);
    let Ok(Some(listed)) = listed.await else {
        return Ok(None);
    };
    heavy(&site, move || {
        let hits = named(&listed.listing.root, b"", &wanted);
        Ok(Some(FoundIn {
            path: looked.path,
            hash: looked.hash,
            name: looked.name,
            total: hits.len() as u64,
            files: hits
                .iter()
                .take(MOST_OF_PATH)
                .map(|(path, node)| FileEntry::of_listing(path, node))
                .collect(),
        }))
    })
    .await
}
