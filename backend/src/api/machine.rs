//! Addresses for machines below `/c/{cache}/`: keys and configuration as plain files.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use serde::Serialize;
use snowbank_shared::api::Key;
use snowbank_shared::nix_conf;
use snowbank_shared::route::pin_at;

use crate::auth::{self, Act};
use crate::pins;
use crate::site::{Cache, Site};
use crate::web::{Body, Response, headers};

/// The files.
const FILES: [&str; 4] = ["keys.txt", "keys.json", "nix.conf", "module.nix"];

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
    let is_ours = FILES.contains(&file) || pinned(file).is_some();
    is_ours.then_some((slug, file))
}

/// The pin and the revision of `pins/{name}/path` and `pins/{name}@{revision}/path`.
fn pinned(file: &str) -> Option<(&str, Option<u64>)> {
    let pin = file.strip_prefix("pins/")?.strip_suffix("/path")?;
    pin_at(pin)
}

/// Answers one of them.
pub async fn answer(site: &Site, slug: &str, file: &str, request: &Parts) -> Response {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return headers::method_not_allowed("GET, HEAD", "this file is read with GET\n");
    }
    let Some(cache) = site.cache(slug) else {
        return headers::line(StatusCode::NOT_FOUND, "there is no such cache here\n");
    };
    if let Some((pin, revision)) = pinned(file) {
        return pinned_path(site, cache, pin, revision, request);
    }
    let caller = site.access.caller(&request.headers);
    if auth::may(&caller, Act::Configure, cache.on()).is_err() {
        return headers::line(
            StatusCode::UNAUTHORIZED,
            "this cache is unlisted: its configuration needs a login\n",
        );
    }
    let page = site.public_url.join(&format!("c/{}", cache.slug));
    let (content_type, text) = match file {
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

/// The store path that a pin names, as one line.
fn pinned_path(
    site: &Site,
    cache: &Cache,
    pin: &str,
    revision: Option<u64>,
    request: &Parts,
) -> Response {
    let caller = site.access.caller(&request.headers);
    match auth::may(&caller, Act::Read, cache.on()) {
        Ok(()) => {}
        Err(auth::Refusal::WhoAreYou) => {
            let text = "this cache is private: send a token, or sign in\n";
            let mut response = headers::line(StatusCode::UNAUTHORIZED, text);
            headers::ask_for_token(response.headers_mut());
            return response;
        }
        Err(_) => {
            let text = "you may not read this cache: ask an owner for a role\n";
            return headers::line(StatusCode::FORBIDDEN, text);
        }
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
