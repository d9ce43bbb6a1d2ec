//! Whom clients of a cache trust, and which other caches they use for it.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use super::{Cache, KeyState};
use crate::nix_conf::ClientSettings;

/// Who signs what is published in a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Signing {
    /// The cache adds its own signature: clients trust one key.
    CounterSign,
    /// The cache adds none: clients trust the key of each contributor.
    PassThrough,
    /// The cache should and has no key: only what needs no signature of it can be uploaded.
    NoKey,
}

/// What becomes of an upload that an upstream has too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum UpstreamMode {
    /// It has to be the same, and is kept here too.
    Check,
    /// It is not kept here: clients fetch it from the upstream.
    Virtual,
}

/// An upstream of a cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct CacheUpstream {
    /// Its substituter URL.
    pub url: String,
    /// What becomes of an upload that it has too.
    pub mode: UpstreamMode,
    /// The keys by which it is believed, `name:base64`.
    pub keys: Vec<String>,
}

/// What somebody did not have to upload on one day, because an upstream has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Skipped {
    /// The day, UTC, such as `2026-01-31`.
    pub day: String,
    /// Whose upload: `member:…`, `machine:…` or `token:…`.
    pub by: String,
    /// Paths.
    pub paths: u64,
    /// Sum of their NarSize, bytes.
    pub nar_size: u64,
    /// The first of them, at most 200.
    pub first: Vec<SkippedPath>,
}

/// A path that was not uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct SkippedPath {
    /// Its base name.
    pub path: String,
    /// Its NarSize, bytes.
    pub nar_size: u64,
    /// The upstream that has it.
    pub upstream: String,
}

impl Cache {
    /// The lines for nix.conf, of the texts that the server has checked. What
    /// [`Self::client_settings`] gives reads every key: that costs the first page more than it is worth.
    pub fn nix_conf(&self) -> String {
        let virtual_ones = || {
            let all = self.upstreams.iter();
            all.filter(|upstream| upstream.mode == UpstreamMode::Virtual)
        };
        let own = self
            .keys
            .iter()
            .filter(|key| matches!(key.state, KeyState::Active | KeyState::Pending))
            .map(|key| &key.public_key);
        let urls = [&self.url].into_iter();
        let urls = line(
            "extra-substituters",
            urls.chain(virtual_ones().map(|upstream| &upstream.url)),
        );
        let theirs = virtual_ones().flat_map(|upstream| &upstream.keys);
        urls + &line("extra-trusted-public-keys", own.chain(theirs))
    }

    /// What clients need to use this cache: its URL and keys, and those of its virtual upstreams.
    ///
    /// # Errors
    /// What cannot be written into nix.conf, in words.
    pub fn client_settings(&self) -> Result<ClientSettings, String> {
        let url = self.url.parse().map_err(|error| {
            format!(
                "The address of {} cannot stand in nix.conf: {error}.",
                self.slug
            )
        })?;
        let trusted = self
            .keys
            .iter()
            .filter(|key| matches!(key.state, KeyState::Active | KeyState::Pending))
            .map(|key| &key.public_key);
        let mut settings = ClientSettings::new(url, keys(trusted)?);
        for upstream in &self.upstreams {
            if upstream.mode != UpstreamMode::Virtual {
                continue;
            }
            let url = upstream.url.parse().map_err(|error| {
                format!(
                    "The address of the upstream {} cannot stand in nix.conf: {error}.",
                    upstream.url
                )
            })?;
            settings = settings.and(ClientSettings::new(url, keys(&upstream.keys)?));
        }
        Ok(settings)
    }
}

/// A line of nix.conf; none without values. What would not be one word there is left out.
fn line<'a>(name: &str, values: impl Iterator<Item = &'a String>) -> String {
    let mut words: Vec<&str> = Vec::new();
    for value in values {
        let is_word = !value.is_empty() && !value.contains(|c: char| c <= ' ' || c == '#');
        if is_word && !words.contains(&value.as_str()) {
            words.push(value);
        }
    }
    if words.is_empty() {
        return String::new();
    }
    [name, " = ", &words.join(" "), "\n"].concat()
}

fn keys<'a>(
    texts: impl IntoIterator<Item = &'a String>,
) -> Result<Vec<crate::signature::PublicKey>, String> {
    let read = |text: &'a String| {
        text.parse()
            .map_err(|error| format!("The key {text} cannot be read: {error}."))
    };
    texts.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_as_text_are_those_of_the_settings() {
        let key = "team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=";
        let theirs = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
        let cache = |keys: serde_json::Value, upstreams: serde_json::Value| -> Cache {
            serde_json::from_value(serde_json::json!({
                "slug": "team", "title": "team", "url": "https://cache.example.org/team",
                "store_dir": "/nix/store", "priority": 50, "visibility": "public", "paths": 0,
                "stored_bytes": null, "nar_bytes": 0, "objects": null, "object_bytes": null,
                "max_nar_size": 1, "max_bytes": null, "keys": keys, "signatures": [], "findings": 0,
                "signing": "counter-sign", "upstreams": upstreams, "source": "folder",
                "index": {"revision": "r", "as_of": null, "state": "ready", "progress": null, "error": null, "sweep_seconds": 60},
                "recent": {"paths": [], "nar_bytes": 0, "last_added_at": null},
                "served": {"since": "", "hits": 0, "misses": 0, "nar_bytes": 0}
            }))
            .expect("a cache")
        };
        let ours = serde_json::json!([{
            "name": "team-1", "public_key": key, "fingerprint": "", "purpose": "cache",
            "state": "active", "paths": 0
        }]);
        let both = serde_json::json!([
            {"url": "https://cache.nixos.org", "mode": "virtual", "keys": [theirs]},
            {"url": "https://other.example.org", "mode": "check", "keys": [theirs]},
        ]);
        let none = serde_json::json!([]);
        for cache in [
            cache(ours.clone(), both),
            cache(ours, none.clone()),
            cache(none.clone(), none),
        ] {
            let settings = cache.client_settings().expect("settings");
            assert_eq!(cache.nix_conf(), settings.nix_conf());
        }
    }
}
