//! The paths of live checks: served from memory, and noted.

use std::net::IpAddr;

use http::header::USER_AGENT;
use http::{Method, request::Parts};
use snowbank_shared::api::Visibility;

use super::key::Wanted;
use super::{Freshness, object};
use crate::site::{Cache, LiveChecks, ProbeObject, Sight};
use crate::web::{Body, Response};

/// Who asked for what.
pub(super) struct Asking<'a> {
    pub(super) checks: &'a LiveChecks,
    pub(super) cache: &'a Cache,
    pub(super) wanted: Option<&'a Wanted>,
    pub(super) request: &'a Parts,
    pub(super) client: IpAddr,
}

impl Asking<'_> {
    fn note(&self, hash: Option<&snowbank_shared::store_path::StorePathHash>, sight: Sight) {
        let agent = self.request.headers.get(USER_AGENT);
        let agent = agent.and_then(|agent| agent.to_str().ok());
        self.checks.saw(
            self.cache.slug.as_str(),
            hash,
            sight,
            self.client,
            agent.unwrap_or_default(),
        );
    }

    /// Notes that the request was refused.
    pub(super) fn refused(&self, status: u16) {
        if !self.checks.any() {
            return;
        }
        let slug = self.cache.slug.as_str();
        match self.wanted {
            Some(Wanted::Narinfo(hash)) if self.checks.has(slug, hash) => {
                self.note(Some(hash), Sight::Refused(status));
            }
            _ => self.note(None, Sight::Refused(status)),
        }
    }

    /// The answer, where the path of a check is asked for.
    pub(super) fn answer(&self) -> Option<Response> {
        if !self.checks.any() {
            return None;
        }
        let slug = self.cache.slug.as_str();
        let head = self.request.method == Method::HEAD;
        match self.wanted? {
            Wanted::CacheInfo => {
                self.note(None, Sight::CacheInfo);
                None
            }
            Wanted::Narinfo(hash) => {
                let served = self.checks.narinfo(slug, hash)?;
                self.note(Some(hash), Sight::Narinfo);
                Some(self.serve(served))
            }
            Wanted::Nar(key) => {
                let (hash, served) = self.checks.nar(slug, key)?;
                if !head {
                    self.note(Some(&hash), Sight::Nar);
                }
                Some(self.serve(served))
            }
            Wanted::Cache | Wanted::Side(..) => None,
        }
    }

    fn serve(&self, served: ProbeObject) -> Response {
        let (content_type, bytes) = match served {
            ProbeObject::Narinfo(bytes) => ("text/x-nix-narinfo", bytes),
            ProbeObject::Nar(bytes) => ("application/x-nix-nar", bytes),
        };
        let body = if self.request.method == Method::HEAD {
            Body::Sized(bytes.len() as u64)
        } else {
            Body::Bytes(bytes)
        };
        let mut response = object(self.cache, content_type, Freshness::Seconds, body);
        // What stands between us and the machine must not answer in our place: we would not see it.
        if self.cache.visibility == Visibility::Public {
            response.headers_mut().insert(
                http::header::CACHE_CONTROL,
                http::HeaderValue::from_static("no-store"),
            );
        }
        response
    }
}
