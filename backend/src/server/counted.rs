//! Counting what the substituter answers ([`crate::usage`]), and writing it down.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{CONTENT_RANGE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use snowbank_shared::api::Visibility;
use snowbank_shared::store_path::StorePathHash;

use crate::auth::Caller;
use crate::site::{Cache, Site};
use crate::substituter::key::{self, Wanted};
use crate::usage::{self, Asker, Who};
use crate::web::Response;

/// Paths that share an archive and are looked up at most.
const MOST_SHARING: usize = 64;
/// Between two times that upstreams are asked for what was missed.
const ASK: Duration = Duration::from_secs(10);
/// Missed paths for which they are asked each time.
const ASKED_AT_ONCE: usize = 50;
/// How long asking them may take each time.
const ASKING: Duration = Duration::from_secs(60);
/// How long the last writing may take.
const LAST: Duration = Duration::from_secs(5);

/// Who asks, from this address, for what took since `begun`.
pub(super) fn asker<'a>(
    caller: &Caller,
    client: IpAddr,
    headers: &'a HeaderMap,
    begun: Instant,
) -> Asker<'a> {
    Asker {
        who: Who::of(caller, client),
        agent: headers
            .get(USER_AGENT)
            .and_then(|agent| agent.to_str().ok()),
        took: begun.elapsed(),
    }
}

/// A request to the substituter that was answered.
pub(super) struct Counting<'a> {
    pub(super) site: &'a Site,
    pub(super) cache: &'a Arc<Cache>,
    /// The path behind the cache, as sent.
    pub(super) rest: &'a str,
    pub(super) request: &'a Parts,
    pub(super) client: IpAddr,
    pub(super) begun: Instant,
}

impl Counting<'_> {
    /// Counts an answer; that of a NAR counts its bytes as they go.
    pub(super) fn count(self, response: Response) -> Response {
        let status = response.status().as_u16();
        let usage = &self.cache.usage;
        match key::parse(self.rest) {
            _ if matches!(status, 401 | 403) => response,
            Some(Wanted::Narinfo(hash)) => {
                if !self.site.live.has(self.cache.slug.as_str(), &hash) {
                    match status {
                        200 | 404 => usage.narinfo(hash, status == 200, &self.asker()),
                        _ => usage.failed(status),
                    }
                }
                response
            }
            Some(Wanted::Nar(key)) => {
                let is_probe = self.site.live.nar(self.cache.slug.as_str(), &key).is_some();
                match status {
                    _ if is_probe => response,
                    // Who uploads asks first whether it is there.
                    400..500 if self.request.method != Method::GET => response,
                    400.. => {
                        usage.failed(status);
                        response
                    }
                    _ if self.request.method == Method::GET => self.nar(&key, response),
                    _ => response,
                }
            }
            _ => {
                if status >= 500 {
                    usage.failed(status);
                }
                response
            }
        }
    }

    fn asker(&self) -> Asker<'_> {
        let headers = &self.request.headers;
        // As the substituter: a public cache looks nobody up.
        let caller = match self.cache.visibility {
            Visibility::Public => Caller::ANONYMOUS,
            Visibility::Private | Visibility::Unlisted => self.site.access.caller(headers),
        };
        asker(&caller, self.client, headers, self.begun)
    }

    fn nar(&self, key: &str, response: Response) -> Response {
        let view = self.cache.index.view();
        let ids = view.ids_by_nar(key);
        let paths: Vec<StorePathHash> = ids
            .iter()
            .take(MOST_SHARING)
            .map(|id| view.hash(*id))
            .collect();
        let asker = self.asker();
        let usage = &self.cache.usage;
        usage.nar(&paths, is_from_the_beginning(&response), &asker);
        let first = paths.first().copied();
        if response.status() == StatusCode::TEMPORARY_REDIRECT {
            let size = ids.first().and_then(|id| view.file_size(*id));
            usage.sent(first, size.unwrap_or(0), &asker.who);
            return response;
        }
        let (cache, who) = (Arc::clone(self.cache), asker.who);
        response.map(|body| {
            body.watched(move |sent, _| {
                if sent > 0 {
                    cache.usage.sent(first, sent, &who);
                }
            })
        })
    }
}

/// Whether an answer begins with the archive's first byte: one that goes on is no second fetch.
fn is_from_the_beginning(response: &Response) -> bool {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return true;
    }
    let range = response.headers().get(CONTENT_RANGE);
    range.is_some_and(|range| range.as_bytes().starts_with(b"bytes 0-"))
}

/// Writes what was counted every two minutes, until the server ends, and asks upstreams for what was
/// missed in between.
pub(super) async fn keep(site: Arc<Site>) {
    let every = Duration::from_secs(usage::EVERY);
    let mut written = Instant::now();
    loop {
        tokio::select! {
            () = site.closing.cancelled() => return,
            () = tokio::time::sleep(ASK) => {}
        }
        for cache in &site.caches {
            let asking = cache.usage.ask_upstreams(&cache.upstreams, ASKED_AT_ONCE);
            tokio::select! {
                () = site.closing.cancelled() => return,
                // What was not asked for by then is asked for the next time.
                _ = tokio::time::timeout(ASKING, asking) => {}
            }
        }
        if written.elapsed() < every {
            continue;
        }
        written = Instant::now();
        for cache in &site.caches {
            cache
                .usage
                .write(&site.ledger, cache.slug.as_str(), false)
                .await;
        }
    }
}

/// Writes what was counted last, when the server ends.
pub(super) async fn write_last(site: &Site) {
    let writing = async {
        for cache in &site.caches {
            cache
                .usage
                .write(&site.ledger, cache.slug.as_str(), true)
                .await;
        }
    };
    if tokio::time::timeout(LAST, writing).await.is_err() {
        tracing::warn!("what was counted last could not be written in time");
    }
}
