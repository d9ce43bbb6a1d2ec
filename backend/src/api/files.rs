//! What is in a path: the tree of its archive, the files with their hashes, one file.
//!
//! A tree that is not known yet is read from the archive meanwhile; the answer then says how far that is.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Uri};
use snowbank_shared::api::Problem;
use snowbank_shared::api::files::{Contents, Files, Reading};
use snowbank_shared::contents::{FileEntry, address_of, path_of};
use snowbank_shared::nar::{Listing, ListingNode};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StorePathHash;

use super::cut::{self, at_most};
use super::large;
use super::problem::{ApiError, excerpt};
use super::request::{self, find, heavy, pairs, readable};
use crate::archive::{Archive, Listed, Look, Reader};
use crate::index::{Id, View};
use crate::site::{Cache, Site};
use crate::substituter::narinfo;

/// Entries of a page.
const ROWS: usize = 1_000;
/// How long an answer waits for a tree before it says how far the reading is.
pub(super) const SHORT: Duration = Duration::from_millis(1_500);
/// How long one waits that has nothing else to say.
const LONG: Duration = Duration::from_secs(25);

/// A path whose files are asked for.
pub(super) struct Asked {
    pub(super) cache: Arc<Cache>,
    pub(super) path: String,
    pub(super) archive: Archive,
    /// For whom it is read.
    pub(super) reader: Reader,
    /// What its narinfo says that it refers to.
    pub(super) references: Vec<StorePathHash>,
}

/// Whether clients are not served a path, so that nobody is shown what is in it.
pub(super) fn held_back(cache: &Cache, view: &View, id: Id) -> bool {
    view.withheld(id).is_some()
        || cache.holds_back(view, id)
        || !narinfo::allowed(cache.serve, || Some((view.signature(id), view.content(id))))
}

/// The path, where the caller may read it and clients get it.
pub(super) fn asked(
    site: &Site,
    by: &request::Asked,
    slug: &str,
    hash: StorePathHash,
    headers: &HeaderMap,
) -> Result<Asked, ApiError> {
    let cache = readable(site, slug, headers)?;
    let view = cache.index.view();
    let id = find(&cache, &view, hash)?;
    if held_back(&cache, &view, id) {
        return Err(ApiError::nothing_there(
            "This path is held back: clients are not served it, and neither are its files.",
        ));
    }
    let narinfo = NarInfo::parse(&view.narinfo_bytes(id), &cache.store_dir).map_err(|error| {
        ApiError::unacceptable(
            "archive-unreadable",
            format!("Its narinfo cannot be read: {error}."),
        )
    })?;
    Ok(Asked {
        path: cache.store_dir.display(narinfo.store_path()).to_string(),
        archive: Archive::of(&narinfo),
        reader: by.reader(),
        references: narinfo.references().map(|path| path.hash()).collect(),
        cache,
    })
}

impl Asked {
    async fn listing(&self, patience: Duration) -> Result<Look<Listed>, ApiError> {
        let archives = &self.cache.archives;
        let look = archives.listing(&self.cache.bucket, &self.archive, &self.reader, patience);
        look.await.map_err(|error| ApiError::archive(&error))
    }

    /// The tree, or that it is still being read.
    async fn whole_listing(&self) -> Result<Arc<Listed>, ApiError> {
        match self.listing(LONG).await? {
            Look::Ready(listed) => Ok(listed),
            Look::Reading(read) => Err(ApiError::busy(format!(
                "The archive is being read: {read} of {} bytes. Ask again in a few seconds.",
                self.archive.nar_size
            ))),
        }
    }

    pub(super) fn reading(&self, read: u64) -> Reading {
        Reading {
            read,
            whole: self.archive.nar_size,
        }
    }
}

/// The place that an address inside an archive names.
fn place(text: &str) -> Result<Vec<u8>, ApiError> {
    path_of(text).ok_or_else(|| {
        ApiError::bad_parameter(format!(
            "`{}` is no path inside an archive: names are percent-encoded and joined by `/`",
            excerpt(text)
        ))
    })
}

fn node<'a>(listing: &'a Listing, path: &[u8]) -> Result<&'a ListingNode, ApiError> {
    listing.find(path).ok_or_else(|| {
        ApiError::nothing_there(format!(
            "The path has no `{}`.",
            excerpt(&String::from_utf8_lossy(path))
        ))
    })
}

/// What lies at a place in a path: a directory with its entries, or one file's facts; with `q` the entries
/// below it whose names contain that. Where the tree is not known yet, `reading` says how far its archive was read.
#[utoipa::path(
    get,
    path = "/caches/{cache}/paths/{hash}/files",
    tag = "paths",
    operation_id = "list_files",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "Hash part of the store path"),
        ("path" = Option<String>, Query, description = "The place inside: each name's bytes percent-encoded, joined by `/`, and that encoded as a parameter; the root where it is not given"),
        ("q" = Option<String>, Query, description = "Entries below whose names contain this, whatever the case of ASCII letters"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, body = Files),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache, path, archive or place"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The archive cannot be read"),
    ),
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Extension(by): Extension<request::Asked>,
    Path((slug, hash)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Files>, ApiError> {
    let asked = asked(&site, &by, &slug, request::hash(&hash)?, &headers)?;
    let (mut path, mut q, mut cursor) = (Vec::new(), None, None);
    for (name, value) in pairs(query.as_deref())? {
        match name.as_str() {
            "path" => path = place(&value)?,
            "q" => q = (!value.is_empty()).then_some(value),
            "cursor" if !value.is_empty() => cursor = Some(place(&value)?),
            "cursor" => {}
            _ => {
                return Err(ApiError::bad_parameter(format!(
                    "there is no parameter `{}` here",
                    excerpt(&name)
                )));
            }
        }
    }
    let mut files = Files {
        path: asked.path.clone(),
        reading: None,
        listed_by: None,
        node: None,
        items: Vec::new(),
        next: None,
        total: 0,
    };
    let listed = match asked.listing(SHORT).await? {
        Look::Ready(listed) => listed,
        Look::Reading(read) => {
            files.reading = Some(asked.reading(read));
            return Ok(Json(files));
        }
    };
    heavy(&site, move || {
        let here = node(&listed.listing, &path)?;
        files.listed_by = Some(listed.by);
        files.node = Some(FileEntry::of_listing(&path, here));
        let found = match (&q, here) {
            (Some(q), _) => named(here, &path, q.to_ascii_lowercase().as_bytes()),
            (None, ListingNode::Directory { entries }) => entries
                .iter()
                .map(|(name, node)| (joined(&path, name.as_bytes()), node))
                .collect(),
            (None, _) => Vec::new(),
        };
        files.total = found.len() as u64;
        let begin = match &cursor {
            Some(cursor) => found
                .iter()
                .position(|(path, _)| path == cursor)
                .map_or(0, |at| at + 1),
            None => 0,
        };
        let page = found.get(begin..).unwrap_or_default();
        if let Some((last, _)) = page.get(ROWS - 1).filter(|_| page.len() > ROWS) {
            files.next = Some(address_of(last));
        }
        files.items = page
            .iter()
            .take(ROWS)
            .map(|(path, node)| FileEntry::of_listing(path, node))
            .collect();
        Ok(Json(files))
    })
    .await
}

fn joined(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() {
        return name.to_vec();
    }
    [path, b"/", name].concat()
}

/// Entries below a node whose own names contain `wanted`, which is in lower case; in the order of the archive.
pub(super) fn named<'a>(
    node: &'a ListingNode,
    path: &[u8],
    wanted: &[u8],
) -> Vec<(Vec<u8>, &'a ListingNode)> {
    let finder = memchr::memmem::Finder::new(wanted);
    let mut found = Vec::new();
    let mut open = vec![(path.to_vec(), node)];
    while let Some((path, node)) = open.pop() {
        let ListingNode::Directory { entries } = node else {
            continue;
        };
        for (name, node) in entries {
            let below = joined(&path, name.as_bytes());
            if finder.find(&name.as_bytes().to_ascii_lowercase()).is_some() {
                found.push((below.clone(), node));
            }
            if matches!(node, ListingNode::Directory { .. }) {
                open.push((below, node));
            }
        }
    }
    found.sort_by(|(a, _), (b, _)| a.split(|&b| b == b'/').cmp(b.split(|&b| b == b'/')));
    found
}

/// The tree of a path as a `.ls` object has it: from that object where it is the archive's own, else from the archive.
#[utoipa::path(
    get,
    path = "/caches/{cache}/paths/{hash}/listing",
    tag = "paths",
    operation_id = "get_listing",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "Hash part of the store path"),
    ),
    responses(
        (status = 200, body = String, content_type = "application/json", description = "`{\"version\":1,\"root\":…}`"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache, path or archive"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The archive cannot be read"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "The archive is still being read"),
    ),
)]
pub(super) async fn listing(
    State(site): State<Arc<Site>>,
    Extension(by): Extension<request::Asked>,
    Path((slug, hash)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let asked = asked(&site, &by, &slug, request::hash(&hash)?, &headers)?;
    let listed = asked.whole_listing().await?;
    large::json(&site, move || Ok(listed.listing.to_json())).await
}

/// Every file of a path with the hash of its contents, so that two builds can be compared. It is read from the archive,
/// whatever lies beside it; meanwhile `reading` says how far that is.
#[utoipa::path(
    get,
    path = "/caches/{cache}/paths/{hash}/contents",
    tag = "paths",
    operation_id = "get_contents",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "Hash part of the store path"),
    ),
    responses(
        (status = 200, body = Contents),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache, path or archive"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The archive cannot be read, or has too many files"),
    ),
)]
pub(super) async fn contents(
    State(site): State<Arc<Site>>,
    Extension(by): Extension<request::Asked>,
    Path((slug, hash)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let asked = asked(&site, &by, &slug, request::hash(&hash)?, &headers)?;
    let cache = &asked.cache;
    let look = cache
        .archives
        .contents(&cache.bucket, &asked.archive, &asked.reader, SHORT)
        .await
        .map_err(|error| ApiError::archive(&error))?;
    let mut contents = Contents {
        path: asked.path.clone(),
        nar_hash: format!("sha256:{}", asked.archive.nar_hash.to_nix32()),
        nar_size: asked.archive.nar_size,
        reading: None,
        items: Vec::new(),
    };
    match look {
        Look::Ready(items) => {
            large::json(&site, move || {
                contents.items = items.to_vec();
                serde_json::to_string(&contents).map_err(|_| ApiError::internal())
            })
            .await
        }
        Look::Reading(read) => {
            contents.reading = Some(asked.reading(read));
            Ok(Json(contents).into_response())
        }
    }
}

/// The bytes of one file of a path. A browser that opens it runs nothing of it; what could be more than text or
/// a picture is offered as a download. Of a path that is a single file the address ends with `files/`. With `head` only so many bytes of its beginning.
#[utoipa::path(
    get,
    path = "/caches/{cache}/paths/{hash}/files/{*path}",
    tag = "paths",
    operation_id = "get_file",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "Hash part of the store path"),
        ("path" = String, Path, description = "The file inside: each name's bytes percent-encoded, joined by `/`"),
        ("head" = Option<u64>, Query, description = "Bytes at most"),
    ),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing, or it is no file"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache, path, archive or file"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The archive cannot be read"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "The archive is still being read"),
    ),
)]
pub(super) async fn one(
    State(site): State<Arc<Site>>,
    Extension(by): Extension<request::Asked>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    // Its names need not be UTF-8, so the address is taken apart here.
    let mut parts = uri.path().splitn(7, '/').skip(2);
    let decoded = |part: Option<&str>| {
        let text = percent_encoding::percent_decode_str(part.unwrap_or_default());
        text.decode_utf8_lossy().into_owned()
    };
    let slug = decoded(parts.next());
    let hash = decoded(parts.nth(1));
    let path = place(parts.nth(1).unwrap_or_default())?;
    let asked = asked(&site, &by, &slug, request::hash(&hash)?, &headers)?;
    let most = cut::head(uri.query())?;
    let listed = asked.whole_listing().await?;
    let ListingNode::Regular {
        size, nar_offset, ..
    } = node(&listed.listing, &path)?
    else {
        return Err(ApiError::bad_parameter(
            "this is no file: /files?path=… tells what it is",
        ));
    };
    let cache = &asked.cache;
    let name = path
        .rsplit(|&byte| byte == b'/')
        .next()
        .unwrap_or_default()
        .to_vec();
    let mut file = cache
        .archives
        .file(
            &cache.bucket,
            &asked.archive,
            path,
            *size,
            *nar_offset,
            &asked.reader,
        )
        .await
        .map_err(|error| ApiError::archive(&error))?;
    // What it is shows in its first bytes.
    let mut first = Bytes::new();
    while first.is_empty() {
        match file.next().await {
            Some(Ok(piece)) => first = piece,
            Some(Err(error)) => {
                return Err(ApiError::unacceptable(
                    "archive-unreadable",
                    format!("The file cannot be read: {error}."),
                ));
            }
            None => break,
        }
    }
    let (kind, inline) = kind(&name, &first);
    let length = (*size).min(most);
    let mut response = at_most(first, file, length).into_response();
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    let way = if inline { "inline" } else { "attachment" };
    let shown = if name.is_empty() {
        asked.path.rsplit('/').next().unwrap_or_default().as_bytes()
    } else {
        &name
    };
    if let Ok(value) =
        HeaderValue::try_from(format!("{way}; filename*=UTF-8''{}", address_of(shown)))
    {
        fields.insert(CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// The type of a file and whether a browser may show it: pictures that hold no program, and text.
fn kind(name: &[u8], first: &[u8]) -> (&'static str, bool) {
    let name = name.to_ascii_lowercase();
    let ends = |extension: &str| name.ends_with(extension.as_bytes());
    for (extension, kind, inline) in [
        (".png", "image/png", true),
        (".jpg", "image/jpeg", true),
        (".jpeg", "image/jpeg", true),
        (".gif", "image/gif", true),
        (".webp", "image/webp", true),
        (".avif", "image/avif", true),
        (".ico", "image/x-icon", true),
        (".svg", "image/svg+xml", false),
    ] {
        if ends(extension) {
            return (kind, inline);
        }
    }
    if memchr::memchr(0, &first[..first.len().min(8000)]).is_none() {
        return ("text/plain; charset=utf-8", true);
    }
    ("application/octet-stream", false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_could_run_is_shown_as_what_it_is() {
        assert_eq!(
            kind(b"index.HTML", b"<script>").0,
            "text/plain; charset=utf-8"
        );
        assert_eq!(kind(b"a.svg", b"<svg>"), ("image/svg+xml", false));
        assert_eq!(kind(b"a.PNG", b"\0"), ("image/png", true));
        assert_eq!(
            kind(b"sh", b"\x7fELF\0"),
            ("application/octet-stream", false)
        );
    }
}
