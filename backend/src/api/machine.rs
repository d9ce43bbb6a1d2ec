//! Addresses for machines below `/c/{cache}/`: keys and configuration as plain files, what a pin
//! names, a badge of a difference.

mod badge;
mod flake;
pub(super) mod former;
mod install;
mod noted;
pub mod well_known;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, LINK};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use serde::Serialize;
use snowbank_shared::api::{Key, Visibility};
use snowbank_shared::nix_conf;
use snowbank_shared::nix_conf::merge::Addition;
use snowbank_shared::route::pin_at;

use super::explore;
use crate::auth::{self, Act, Caller};
use crate::pins;
use crate::site::{Cache, Site};
use crate::web::{Body, Response, etag, headers};
use flake::Flake;

/// The files.
const FILES: [&str; 6] = [
    "keys.txt",
    "keys.json",
    "nix.conf",
    "module.nix",
    INSTALL,
    FLAKE,
];
const GZIP: &str = "application/gzip";
const FLAKE: &str = "flake.tar.gz";
const INSTALL: &str = "install.sh";

/// `keys.json`.
#[derive(Serialize)]
struct KeysFile {
    /// Slug of the cache.
    cache: String,
    /// Its substituter URL.
    url: String,
    /// The keys to trust.
    keys: Vec<Key>,
}

/// Splits `/c/{cache}/{file}`, where it is one of the files.
pub fn split(path: &str) -> Option<(&str, &str)> {
    let (slug, file) = path.strip_prefix("/c/")?.split_once('/')?;
    let named = FILES.contains(&file)
        || install_hash(file).is_some()
        || flake_hash(file).is_some()
        || pinned(file).is_some()
        || badge::split(file).is_some();
    named.then_some((slug, file))
}

/// The pin and the revision of `pins/{name}/path` and `pins/{name}@{revision}/path`.
fn pinned(file: &str) -> Option<(&str, Option<u64>)> {
    let pin = file.strip_prefix("pins/")?.strip_suffix("/path")?;
    pin_at(pin)
}

/// The hash in the name of a script's twin.
fn install_hash(file: &str) -> Option<&str> {
    hash_between(file, "install-", ".sh")
}

/// The hash in the name of a flake's twin.
fn flake_hash(file: &str) -> Option<&str> {
    hash_between(file, "flake-", ".tar.gz")
}

fn hash_between<'a>(file: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let hash = file.strip_prefix(before)?.strip_suffix(after)?;
    let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (hash.len() == 64 && hash.bytes().all(hex)).then_some(hash)
}

/// Answers one of them to a client at this address.
pub async fn answer(
    site: &Site,
    slug: &str,
    file: &str,
    request: &Parts,
    client: IpAddr,
) -> Response {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return headers::method_not_allowed("GET, HEAD", "this file is read with GET\n");
    }
    let Some(cache) = site.cache(slug) else {
        return headers::line(StatusCode::NOT_FOUND, "there is no such cache here\n");
    };
    if let Some((pin, revision)) = pinned(file) {
        return pinned_path(site, cache, pin, revision, request);
    }
    if let Some((from, to)) = badge::split(file) {
        return badged(site, cache, (&from, &to), request, client).await;
    }
    let caller = site.access.caller(&request.headers);
    if auth::may(&caller, Act::Configure, cache.on()).is_err() {
        return headers::line(
            StatusCode::UNAUTHORIZED,
            "this cache is unlisted: its configuration needs a login\n",
        );
    }
    let page = site.public_url.join(&format!("c/{}", cache.slug));
    if let Some(wanted) = install_hash(file) {
        return twin(site, cache, &page, wanted);
    }
    if let Some(wanted) = flake_hash(file) {
        return flake_twin(site, cache, &page, wanted);
    }
    former::remember(&site.ledger, cache).await;
    if file == FLAKE {
        return flake_now(site, cache, &page, request).await;
    }
    let (content_type, text) = match file {
        INSTALL => {
            let script = install::script(&addition(site, cache, &page));
            install::keep(&site.ledger, cache, &script).await;
            ("text/x-shellscript; charset=utf-8", script)
        }
        "keys.txt" => {
            let title = format!("{} ({page})", cache.title);
            (
                "text/plain; charset=utf-8",
                nix_conf::keys_txt(&title, &cache.trust.now().keys),
            )
        }
        "keys.json" => match keys_json(cache).await {
            Some(json) => ("application/json", json),
            None => return headers::line(StatusCode::INTERNAL_SERVER_ERROR, "the server failed\n"),
        },
        "nix.conf" => (
            "text/plain; charset=utf-8",
            cache
                .trust
                .now()
                .settings
                .nix_conf_block(&cache.title, &page),
        ),
        _ => (
            "text/plain; charset=utf-8",
            cache.trust.now().settings.nixos_module(),
        ),
    };
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers::object(headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// The refusal for who may not read a cache.
fn unreadable(cache: &Cache, caller: &Caller) -> Option<Response> {
    match auth::may(caller, Act::Read, cache.on()) {
        Ok(()) => None,
        Err(auth::Refusal::WhoAreYou) => {
            let text = "this cache is private: send a token, or sign in\n";
            let mut response = headers::line(StatusCode::UNAUTHORIZED, text);
            headers::ask_for_token(response.headers_mut());
            Some(response)
        }
        Err(_) => {
            let text = "you may not read this cache: ask an owner for a role\n";
            Some(headers::line(StatusCode::FORBIDDEN, text))
        }
    }
}

/// How much one closure differs from another, as a small picture.
async fn badged(
    site: &Site,
    cache: &Arc<Cache>,
    (from, to): (&str, &str),
    request: &Parts,
    client: IpAddr,
) -> Response {
    let caller = site.access.caller(&request.headers);
    if let Some(refusal) = unreadable(cache, &caller) {
        return refusal;
    }
    // It walks two closures, as the API's answer does.
    if matches!(caller, Caller::Stranger(_)) && site.access.queries.take(client).is_err() {
        let text = "too many requests came from your address: try again in a minute\n";
        return headers::line(StatusCode::TOO_MANY_REQUESTS, text);
    }
    let Ok(diff) = explore::diff_of(site, cache, from, to).await else {
        let text = "one of the two is not in this cache, or cannot be compared now\n";
        return headers::line(StatusCode::NOT_FOUND, text);
    };
    let mut response = Response::new(Body::from(badge::svg(&diff)));
    let fields = response.headers_mut();
    headers::object(fields);
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"));
    let keep = if cache.visibility == Visibility::Public {
        "no-cache"
    } else {
        "private, no-store"
    };
    fields.insert(CACHE_CONTROL, HeaderValue::from_static(keep));
    response
}

/// The store path that a pin names, as one line.
fn pinned_path(
    site: &Site,
    cache: &Cache,
    pin: &str,
    revision: Option<u64>,
    request: &Parts,
) -> Response {
    if let Some(refusal) = unreadable(cache, &site.access.caller(&request.headers)) {
        return refusal;
    }
    let found = pins::one(&site.ledger, cache.slug.as_str(), pin);
    let path = found.as_ref().and_then(|found| match revision {
        None => found.newest(),
        Some(number) => found.revision(number),
    });
    let Some(path) = path else {
        let text = match revision {
            None => "there is no such pin in this cache\n",
            Some(_) => "the pin keeps no such revision\n",
        };
        return headers::line(StatusCode::NOT_FOUND, text);
    };
    let text = format!("{}/{}\n", cache.store_dir, path.path);
    let mut response = headers::line(StatusCode::OK, text);
    let fields = response.headers_mut();
    headers::object(fields);
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// What the cache's lines say.
fn addition(site: &Site, cache: &Cache, page: &str) -> Addition {
    Addition::new(cache.trust.now().settings.clone(), &cache.title, page)
        .with_former(former::keys(site, cache))
}

/// A script of today or of once, at the address that holds its hash.
fn twin(site: &Site, cache: &Cache, page: &str, wanted: &str) -> Response {
    let today = install::script(&addition(site, cache, page));
    let script = match install::sha256(&today) == wanted {
        true => Some(today),
        false => install::kept(&site.ledger, cache, wanted),
    };
    match script {
        Some(script) => lasting(cache, "text/x-shellscript; charset=utf-8", script.into()),
        None => headers::line(
            StatusCode::NOT_FOUND,
            "no install script of this cache had this hash\n",
        ),
    }
}

/// An answer that never changes.
fn lasting(cache: &Cache, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers::object(headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Private ones are not kept by caches in between.
    let keep = if cache.visibility == Visibility::Public {
        "public, max-age=31536000, immutable"
    } else {
        "private, no-store"
    };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(keep));
    response
}

/// The flake of today. The `Link` names the address that a lock file keeps.
async fn flake_now(site: &Site, cache: &Cache, page: &str, request: &Parts) -> Response {
    let flake = Flake::of(cache, page);
    let Some((flake, archive)) = flake
        .and_then(|flake| Some((flake.archive()?, flake)))
        .map(|(a, f)| (f, a))
    else {
        return headers::line(
            StatusCode::NOT_FOUND,
            "this cache has no address to put into a flake\n",
        );
    };
    let hash = flake::sha256(&archive);
    let tag = format!("\"{hash}\"");
    let known = etag::is_known(&request.headers, &tag);
    let kept = flake::keep(&site.ledger, cache, &hash, &flake).await;
    let mut response = Response::new(if known {
        Body::from("")
    } else {
        Body::from(Bytes::from(archive))
    });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers::object(headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(GZIP));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    let link = format!("<{page}/flake-{hash}.tar.gz>; rel=\"immutable\"");
    if let (true, Ok(link)) = (kept, HeaderValue::from_str(&link)) {
        headers.insert(LINK, link);
    }
    response
}

/// A flake of today or of once, at the address that holds its hash.
fn flake_twin(site: &Site, cache: &Cache, page: &str, wanted: &str) -> Response {
    let today = Flake::of(cache, page).and_then(|flake| flake.archive());
    let archive = today
        .filter(|archive| flake::sha256(archive) == wanted)
        .or_else(|| flake::kept(&site.ledger, cache, wanted));
    match archive {
        Some(archive) => lasting(cache, GZIP, Bytes::from(archive).into()),
        None => headers::line(
            StatusCode::NOT_FOUND,
            "no flake of this cache had this hash\n",
        ),
    }
}

/// Answers [`well_known::PATH`].
pub fn well_known(site: &Site, request: &Parts) -> Response {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return headers::method_not_allowed("GET, HEAD", "this file is read with GET\n");
    }
    let caller = site.access.caller(&request.headers);
    let Some(json) = well_known::document(site, &caller) else {
        return headers::line(StatusCode::INTERNAL_SERVER_ERROR, "the server failed\n");
    };
    let mut response = Response::new(Body::from(json));
    let headers = response.headers_mut();
    headers::object(headers);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

async fn keys_json(cache: &Arc<Cache>) -> Option<String> {
    let cache = Arc::clone(cache);
    tokio::task::spawn_blocking(move || {
        let keys = cache.describe_trusted_keys(&cache.index.view());
        let file = KeysFile {
            cache: cache.slug.to_string(),
            url: cache.url.clone(),
            keys,
        };
        serde_json::to_string_pretty(&file).ok()
    })
    .await
    .ok()?
}
