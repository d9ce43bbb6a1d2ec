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

fn keys<'a>(
    texts: impl IntoIterator<Item = &'a String>,
) -> Result<Vec<crate::signature::PublicKey>, String> {
    let read = |text: &'a String| {
        text.parse()
            .map_err(|error| format!("The key {text} cannot be read: {error}."))
    };
    texts.into_iter().map(read).collect()
}
