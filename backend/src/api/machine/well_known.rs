//! `/.well-known/nix-binary-caches.json`: the caches of this server for programs, with their
//! keys and fingerprints. Only those that the caller may know of.

use serde::Serialize;
use snowbank_shared::signature::PublicKey;

use crate::auth::{self, Act, Caller};
use crate::site::{Cache, Site};

/// Where it is.
pub const PATH: &str = "/.well-known/nix-binary-caches.json";

#[derive(Serialize)]
struct Document {
    /// The form of this document: 1.
    version: u32,
    caches: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    slug: String,
    title: String,
    /// The substituter.
    url: String,
    /// For people.
    page: String,
    store_dir: String,
    priority: i32,
    keys: Vec<KeyEntry>,
    /// The settings as a flake with modules.
    flake: String,
}

#[derive(Serialize)]
struct KeyEntry {
    name: String,
    public_key: String,
    /// SHA-256 of the 32 bytes, in hexadecimal.
    fingerprint: String,
}

/// The document as this caller sees it.
pub fn document(site: &Site, caller: &Caller) -> Option<String> {
    let key = |key: &PublicKey| KeyEntry {
        name: key.name().to_owned(),
        public_key: key.to_string(),
        fingerprint: key.fingerprint(),
    };
    let entry = |cache: &Cache| {
        let page = site.public_url.join(&format!("c/{}", cache.slug));
        Entry {
            slug: cache.slug.to_string(),
            title: cache.title.clone(),
            url: cache.url.clone(),
            store_dir: cache.store_dir.as_str().to_owned(),
            priority: cache.priority,
            keys: cache.settings.keys().iter().map(key).collect(),
            flake: format!("{page}/flake.tar.gz"),
            page,
        }
    };
    let known =
        |cache: &&std::sync::Arc<Cache>| auth::may(caller, Act::Discover, cache.on()).is_ok();
    let document = Document {
        version: 1,
        caches: site
            .caches
            .iter()
            .filter(known)
            .map(|cache| entry(cache))
            .collect(),
    };
    serde_json::to_string_pretty(&document).ok()
}
