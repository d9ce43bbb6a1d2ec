//! Paths that virtual upstreams have: who uploads is told that they are there, so that plain
//! `nix copy`, which asks before it sends, does not send them.
//!
//! The answer is the upstream's own narinfo under its own signature, and its URL leads to the
//! upstream's archive: no signature covers the URL, clients follow an absolute one (PROTOCOL.md §10),
//! and they remember the answer for 30 days. Nothing of it is stored, indexed or signed here.
//!
//! Readers are answered 404 as before. They trust this cache's key, which did not sign it, so the
//! narinfo would do nothing for them but delay the next substituter; that is the upstream itself, which
//! the lines for clients name ([`crate::site::Trust`]). And strangers cannot make this server ask others.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, COOKIE, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StorePathHash;

use super::{Intake, owner, permitted};
use crate::auth::Caller;
use crate::site::Cache;
use crate::substituter::key::{self, Wanted};
use crate::substituter::lookup;
use crate::upstream::Holding;
use crate::web::{Response, headers};

/// Whether a request may be one of somebody who uploads to a cache with a virtual upstream, for a path
/// that is not here: only [`Intake::elsewhere`] can answer it.
pub fn may_be_asked(cache: &Cache, request: &HeaderMap, hash: &StorePathHash) -> bool {
    cache.upstreams.any_virtual()
        && (request.contains_key(AUTHORIZATION) || request.contains_key(COOKIE))
        && cache.index.view().find(hash).is_none()
}

impl Intake {
    /// The answer to somebody who may upload and asks for the narinfo of a path that is not here.
    /// `None`: others decide.
    pub async fn elsewhere(
        &self,
        cache: &Arc<Cache>,
        rest: &str,
        request: &Parts,
    ) -> Option<Response> {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return None;
        }
        let Some(Wanted::Narinfo(hash)) = key::parse(rest) else {
            return None;
        };
        if !may_be_asked(cache, &request.headers, &hash) {
            return None;
        }
        let access = &self.0.site.access;
        let caller = access.patient_caller(&request.headers).await;
        permitted(cache, &caller).ok()?;
        let _turn = match &caller {
            Caller::Token(token) => Some(access.turns.turn(&token.id).await?),
            _ => None,
        };
        // What is here is answered as to everybody, and so is what is held back.
        let here = lookup::narinfo(cache, hash).await;
        if here.status() != StatusCode::NOT_FOUND || cache.index.view().find(&hash).is_some() {
            return Some(here);
        }
        let asked = cache
            .upstreams
            .holdings_of(hash, crate::upstream::Upstream::is_virtual)
            .await;
        for held in asked {
            if let Holding::Signed(narinfo) = held.holding
                && narinfo.crash_risk().is_none()
            {
                self.0
                    .skipped
                    .note(&self.0.site, cache, &owner(&caller), &narinfo, &held.url);
                return Some(told(&narinfo, &held.url));
            }
        }
        Some(here)
    }
}

/// The upstream's narinfo, whose URL leads there.
fn told(narinfo: &NarInfo, upstream: &str) -> Response {
    let url = format!("{}/{}", upstream.trim_end_matches('/'), narinfo.url());
    let mut response = headers::line(StatusCode::OK, Bytes::from(narinfo.to_bytes_at(&url)));
    let fields = response.headers_mut();
    headers::object(fields);
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/x-nix-narinfo"));
    response
}
