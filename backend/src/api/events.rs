//! `/caches/{cache}/events`: what the index is doing, as it happens.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::HeaderMap;
use snowbank_shared::api::{IndexStatus, Problem};

use super::problem::ApiError;
use super::request::readable;
use crate::site::{Cache, Site};

/// Between two events of a stream at least.
const PACE: Duration = Duration::from_millis(250);
/// How soon a change is seen that the sweep does not announce, such as a path found by a client's miss.
const LOOK: Duration = Duration::from_secs(2);
/// So that proxies keep the connection.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A stream ends after this long; browsers open another by themselves.
const LONGEST: Duration = Duration::from_secs(3600);

/// Server-sent events: `index` with the state of the index, at once and whenever it changes.
#[utoipa::path(
    get,
    path = "/caches/{cache}/events",
    tag = "caches",
    operation_id = "stream_events",
    params(("cache" = String, Path, description = "Slug of the cache")),
    responses(
        (status = 200, body = IndexStatus, content_type = "text/event-stream", description = "Events named `index`, each with an IndexStatus as its data"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "Too many streams are open"),
    ),
)]
pub(super) async fn stream(
    State(site): State<Arc<Site>>,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let permit = Arc::clone(&site.streams).try_acquire_owned().map_err(|_| {
        ApiError::busy("Too many streams of events are open; ask for the cache's state instead.")
    })?;
    site.metrics.event_streams.inc();
    let open = Open {
        site: Arc::clone(&site),
        _permit: permit,
    };
    let changes = Changes {
        status: cache.status.clone(),
        cache,
        last: None,
        _open: open,
    };
    let closing = site.closing.clone();
    let events = stream::unfold(changes, |mut changes| async move {
        let status = changes.next().await?;
        let event = Event::default()
            .event("index")
            .id(&status.revision)
            .json_data(&status);
        Some((event, changes))
    });
    let ended = async move {
        tokio::select! {
            () = closing.cancelled_owned() => {}
            () = tokio::time::sleep(LONGEST) => {}
        }
    };
    let events = futures_util::StreamExt::take_until(events, Box::pin(ended));
    let mut response = Sse::new(Box::pin(events))
        .keep_alive(KeepAlive::new().interval(HEARTBEAT))
        .into_response();
    // nginx holds events back otherwise.
    response
        .headers_mut()
        .insert("x-accel-buffering", http::HeaderValue::from_static("no"));
    Ok(response)
}

/// A stream that is counted as open until it is dropped.
struct Open {
    site: Arc<Site>,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.site.metrics.event_streams.dec();
    }
}

struct Changes {
    cache: Arc<Cache>,
    status: tokio::sync::watch::Receiver<IndexStatus>,
    last: Option<IndexStatus>,
    _open: Open,
}

impl Changes {
    /// The state, once it differs from the last one sent; `None` when the sweeps have ended.
    async fn next(&mut self) -> Option<IndexStatus> {
        if self.last.is_some() {
            tokio::time::sleep(PACE).await;
        }
        loop {
            self.status.borrow_and_update();
            let now = self.cache.index_status();
            if self.last.as_ref() != Some(&now) {
                self.last = Some(now.clone());
                return Some(now);
            }
            if let Ok(Err(_)) = tokio::time::timeout(LOOK, self.status.changed()).await {
                return None;
            }
        }
    }
}
