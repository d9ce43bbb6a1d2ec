//! Who answers a request: the substituter, the API, a machine file, an asset or a page.
//!
//! A narinfo that memory can answer takes the short way: no router, no timer, no log event
//! above `debug`. Everything else passes [`Dispatch::routed`], which measures, logs one
//! event and turns a panic into a 500.

use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use snowbank_shared::api::Visibility;
use snowbank_shared::route::{PinsRoute, Route, RouteError};

use super::access;
use super::connection::Answering;
use super::counted;
use crate::api::problem::ApiError;
use crate::api::{Api, explore, machine};
use crate::auth::{self, Act, Caller};
use crate::config::{AddressBlock, Config};
use crate::intake::{self, Intake};
use crate::metrics::{self, Endpoint};
use crate::pins;
use crate::retention::Retention;
use crate::signing::Signing;
use crate::site::{Cache, Site};
use crate::substituter;
use crate::ui::{CacheLines, Ui};
use crate::web::request_id::X_REQUEST_ID;
use crate::web::{Request, RequestId, Response, accept, headers};

/// Bytes of a request's path and query.
const LONGEST_ADDRESS: usize = 20 * 1024;

/// Bytes of a body of the API.
const LARGEST_BODY: usize = 256 * 1024;
/// Bytes of a plan of an upload, or of signatures that come back, by somebody who is known.
const LARGEST_PLAN: usize = 8 << 20;
/// In which such a body has to come.
const BODY_TIME: Duration = Duration::from_secs(15);

/// Decides who answers.
pub struct Dispatch {
    site: Arc<Site>,
    intake: Intake,
    api: Api,
    ui: Ui,
    trusted_proxies: Vec<AddressBlock>,
    /// Whether `/metrics` is answered here.
    metrics_here: bool,
}

impl Dispatch {
    /// Over the caches of a site.
    pub fn new(
        site: &Arc<Site>,
        intake: &Intake,
        signing: &Signing,
        retention: &Retention,
        config: &Config,
    ) -> Self {
        let everybody = Caller::ANONYMOUS;
        let lines: Vec<CacheLines> = site
            .caches
            .iter()
            .filter(|cache| auth::may(&everybody, Act::Discover, cache.on()).is_ok())
            .map(|cache| CacheLines {
                title: cache.title.clone(),
                nix_conf: cache.nix_conf(),
            })
            .collect();
        let all_public = lines.len() == site.caches.len();
        Self {
            intake: intake.clone(),
            api: Api::new(
                Arc::clone(site),
                intake.clone(),
                signing.clone(),
                retention.clone(),
            ),
            ui: Ui::new(site.public_url.base(), &lines, config.ui_dir.clone()),
            trusted_proxies: config.trusted_proxies.clone(),
            // The counters name caches: where some are hidden they need a listener of their own.
            metrics_here: config.metrics_listen.is_none() && all_public,
            site: Arc::clone(site),
        }
    }

    /// A request's path below the base. A proxy may or may not have taken the base off.
    fn local<'a>(&self, path: &'a str) -> &'a str {
        let site = &self.site;
        site.public_url
            .strip(path)
            .or_else(|| site.cache_url.strip(path))
            .unwrap_or(path)
    }

    /// The cache that a path lies in, and what follows its slug.
    fn cache_of<'a>(&self, path: &'a str) -> Option<(&Arc<Cache>, &'a str)> {
        let path = path.strip_prefix('/')?;
        let (slug, rest) = path.split_once('/').unwrap_or((path, ""));
        Some((self.site.cache(slug)?, rest))
    }

    /// A narinfo, where memory has the answer.
    fn remembered(&self, request: &Request, peer: SocketAddr) -> Option<Response> {
        let begun = Instant::now();
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let (cache, rest) = self.cache_of(self.local(request.uri().path()))?;
        let hash = substituter::key::narinfo(rest)?;
        let held = self.site.live.has(cache.slug.as_str(), &hash);
        if held || intake::may_be_asked(cache, request.headers(), &hash) {
            return None;
        }
        let mut caller = Caller::ANONYMOUS;
        if cache.visibility != Visibility::Public {
            caller = self.site.access.caller(request.headers());
            auth::may(&caller, Act::Read, cache.on()).ok()?;
        }
        let mut response = substituter::narinfo::from_memory(cache, &hash)?;
        let client = client(peer, request.headers(), &self.trusted_proxies);
        let asker = counted::asker(&caller, client, request.headers(), begun);
        let found = response.status() == StatusCode::OK;
        cache.usage.narinfo(hash, found, &asker);
        let id = RequestId::next();
        response.headers_mut().insert(X_REQUEST_ID, id.header());
        tracing::debug!(
            target: access::TARGET,
            request_id = id.as_str(),
            cache = cache.slug.as_str(),
            hash = %hash,
            status = response.status().as_u16(),
            "narinfo from memory"
        );
        Some(response)
    }

    async fn routed(self: Arc<Self>, request: Request, peer: SocketAddr) -> Response {
        let begun = Instant::now();
        let id = RequestId::next();
        let (parts, body) = request.into_parts();
        let client = client(peer, &parts.headers, &self.trusted_proxies);
        let answered = AssertUnwindSafe(self.chosen(&parts, body, id, client))
            .catch_unwind()
            .await;
        let (endpoint, mut response) = answered.unwrap_or_else(|_| {
            tracing::error!(request_id = id.as_str(), "answering a request panicked");
            let text = format!("the server failed (request {id})\n");
            (
                Endpoint::Page,
                headers::line(StatusCode::INTERNAL_SERVER_ERROR, text),
            )
        });
        response.headers_mut().insert(X_REQUEST_ID, id.header());
        let took = begun.elapsed();
        self.site
            .metrics
            .answered(endpoint, response.status().as_u16(), took);
        access::logged(response, endpoint, &parts, id, client, took)
    }

    async fn chosen(
        &self,
        request: &Parts,
        body: Incoming,
        id: RequestId,
        client: IpAddr,
    ) -> (Endpoint, Response) {
        let whole = request
            .uri
            .path_and_query()
            .map_or("", |whole| whole.as_str());
        if whole.len() > LONGEST_ADDRESS {
            let response = headers::line(StatusCode::URI_TOO_LONG, "this address is too long\n");
            return (Endpoint::Page, response);
        }
        let path = self.local(request.uri.path());
        match path {
            "/healthz" => return (Endpoint::Probe, headers::line(StatusCode::OK, "ok\n")),
            "/readyz" => return (Endpoint::Probe, super::ready::answer(&self.site)),
            machine::well_known::PATH => {
                return (Endpoint::Machine, machine::well_known(&self.site, request));
            }
            "/metrics" if self.metrics_here => {
                return (Endpoint::Metrics, metrics_text(&self.site).await);
            }
            _ => {}
        }
        if let Some(rest) = path
            .strip_prefix("/api")
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
        {
            let body = if request.method.is_safe() {
                Bytes::new()
            } else {
                match small_body(body, self.largest(rest, request)).await {
                    Ok(body) => body,
                    Err(refused) => return (Endpoint::Api, refused.answer(id)),
                }
            };
            let answer = self.api.answer(rest, request, body, id, client).await;
            return (Endpoint::Api, answer);
        }
        if let Some(name) = path.strip_prefix("/_app/") {
            return (
                Endpoint::Asset,
                self.ui.asset(name, &request.method, &request.headers).await,
            );
        }
        if let Some((slug, file)) = machine::split(path) {
            return (
                Endpoint::Machine,
                machine::answer(&self.site, slug, file, request, client).await,
            );
        }
        if let Some((cache, rest)) = self.cache_of(path) {
            let endpoint = if rest.ends_with(".narinfo") {
                Endpoint::Narinfo
            } else {
                Endpoint::Substituter
            };
            if request.method == Method::PUT {
                let answer = self
                    .intake
                    .put(cache, rest, request, body, id, client)
                    .await;
                return (Endpoint::Upload, answer);
            }
            if let Some(answer) = self.intake.held(cache, rest, request) {
                return (endpoint, answer);
            }
            let begun = Instant::now();
            let answer = match self.intake.elsewhere(cache, rest, request).await {
                Some(answer) => answer,
                None => substituter::answer(&self.site, cache, rest, request, (id, client)).await,
            };
            let counting = counted::Counting {
                site: &self.site,
                cache,
                rest,
                request,
                client,
                begun,
            };
            return (endpoint, counting.count(answer));
        }
        (Endpoint::Page, self.page(path, request, client).await)
    }

    /// Bytes that a body of the API may have.
    fn largest(&self, path: &str, request: &Parts) -> usize {
        let is_plan = path.ends_with("/uploads") || path.ends_with("/batches/signed");
        if is_plan
            && !matches!(
                self.site.access.caller(&request.headers),
                Caller::Stranger(_)
            )
        {
            LARGEST_PLAN
        } else {
            LARGEST_BODY
        }
    }

    /// A page of the dashboard, with the status of what its address names.
    async fn page(&self, path: &str, request: &Parts, client: IpAddr) -> Response {
        let address = match request.uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        let status = match address.parse::<Route>() {
            Ok(route) => {
                if self.names_something(&route, client).await {
                    StatusCode::OK
                } else {
                    StatusCode::NOT_FOUND
                }
            }
            Err(RouteError::Parameter { .. }) => StatusCode::BAD_REQUEST,
            Err(RouteError::NoSuchPage) if accept::wants_html(&request.headers) => {
                StatusCode::NOT_FOUND
            }
            Err(RouteError::NoSuchPage) => {
                return headers::line(StatusCode::NOT_FOUND, "there is nothing at this address\n");
            }
        };
        self.ui
            .page(status, &request.method, &request.headers)
            .await
    }

    /// Whether what a page is about exists. Of a private cache a stranger learns nothing.
    async fn names_something(&self, route: &Route, client: IpAddr) -> bool {
        let Some(slug) = route.cache() else {
            return true;
        };
        let Some(cache) = self.site.cache(slug) else {
            return false;
        };
        if auth::may(&Caller::ANONYMOUS, Act::Read, cache.on()).is_err() {
            return true;
        }
        match route {
            Route::Pins(PinsRoute::Pin { name, revision, .. }) => {
                let pin = pins::one(&self.site.ledger, slug, name);
                pin.is_some_and(|pin| revision.is_none_or(|number| pin.revision(number).is_some()))
            }
            Route::Path { hash, .. } | Route::File { hash, .. } => {
                !cache.is_complete()
                    || hash
                        .parse()
                        .is_ok_and(|hash| cache.index.view().find(&hash).is_some())
            }
            Route::Explore(route) => {
                // It computes, as the API does that counts the same.
                self.site.access.queries.take(client).is_err()
                    || explore::is_there(&self.site, cache, route).await
            }
            _ => true,
        }
    }
}

impl Answering for Dispatch {
    async fn answer(self: &Arc<Self>, request: Request, peer: SocketAddr) -> Response {
        match self.remembered(&request, peer) {
            Some(response) => response,
            // On the heap, so that the short way does not carry its state.
            None => Box::pin(Arc::clone(self).routed(request, peer)).await,
        }
    }
}

/// The counters as an answer. Sums over a cache may look at every path, so they are made off the
/// reactor.
pub(super) async fn metrics_text(site: &Arc<Site>) -> Response {
    use http::header::CONTENT_TYPE;
    let of = Arc::clone(site);
    let Ok(text) = tokio::task::spawn_blocking(move || of.metrics.render()).await else {
        let words = "the figures cannot be read; the server's log says why\n";
        return headers::line(StatusCode::INTERNAL_SERVER_ERROR, words);
    };
    let mut response = headers::line(StatusCode::OK, text);
    response.headers_mut().insert(
        CONTENT_TYPE,
        http::HeaderValue::from_static(metrics::CONTENT_TYPE),
    );
    response
}

/// A request's body, where it is as small as the API's are and comes in time. Unread, it is
/// refused with its connection.
async fn small_body(body: Incoming, most: usize) -> Result<Bytes, ApiError> {
    let whole = Limited::new(body, most).collect();
    match tokio::time::timeout(BODY_TIME, whole).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::too_large()),
        Ok(Err(_)) => Err(ApiError::bad_body("The body broke off.")),
        Err(_) => Err(ApiError::bad_body("The body did not come in time.")),
    }
}

/// Who asks: the nearest address on the way that is not a proxy of ours.
fn client(peer: SocketAddr, request: &HeaderMap, trusted: &[AddressBlock]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|block| block.contains(address));
    let mut nearest = peer.ip().to_canonical();
    if trusted.is_empty() {
        return nearest;
    }
    let forwarded = request.get_all("x-forwarded-for");
    let hops: Vec<&str> = forwarded
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    for hop in hops.iter().rev() {
        if !is_trusted(nearest) {
            break;
        }
        let Ok(address) = hop.trim().parse::<IpAddr>() else {
            break;
        };
        nearest = address.to_canonical();
    }
    nearest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_proxies_are_believed_about_the_client() {
        let trusted: Vec<AddressBlock> = vec!["10.0.0.0/8".parse().expect("a block")];
        let of = |peer: &str, forwarded: &[&str]| {
            let mut request = http::Request::new(());
            for value in forwarded {
                request
                    .headers_mut()
                    .append("x-forwarded-for", value.parse().expect("a header"));
            }
            client(
                peer.parse().expect("an address"),
                request.headers(),
                &trusted,
            )
            .to_string()
        };
        assert_eq!(
            of("192.0.2.1:5", &["198.51.100.7"]),
            "192.0.2.1",
            "a stranger says who it is"
        );
        assert_eq!(of("10.0.0.1:5", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(
            of("10.0.0.1:5", &["203.0.113.9, 198.51.100.7", "10.0.0.2"]),
            "198.51.100.7"
        );
        assert_eq!(of("10.0.0.1:5", &["nonsense"]), "10.0.0.1");
        assert_eq!(of("10.0.0.1:5", &[]), "10.0.0.1");
    }
}
