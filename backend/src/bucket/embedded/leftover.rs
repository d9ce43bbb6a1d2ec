//! The rest of a body that nobody wanted.
//!
//! A put that is refused by its headers is answered before its body was read. If the connection were then
//! closed with bytes still on their way, the client's system would throw the answer away, and its user
//! would see a broken connection instead of the reason. So a moderate rest is read and dropped first;
//! a large one, or one that a client holds back until it is told to go on, is not.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use http::{Method, Request};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use s3s::Body;

/// Most bytes that are read and dropped.
const MOST: u64 = 8 << 20;
/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(5);

type Slot = Arc<Mutex<Option<Incoming>>>;

/// What will be left of a body when the service is done with it.
pub struct Leftover(Option<Slot>);

/// A body that comes back when it is dropped before its end.
struct Watched {
    body: Option<Incoming>,
    slot: Slot,
}

/// Prepares a request for the service.
pub fn watch(request: Request<Incoming>) -> (Request<Body>, Leftover) {
    let ends_at_once = request.body().is_end_stream();
    if ends_at_once
        || request.method() == Method::GET
        || request.method() == Method::HEAD
        || request.headers().contains_key(EXPECT)
    {
        return (request.map(Body::from), Leftover(None));
    }
    let slot = Slot::default();
    let request = request.map(|body| {
        Body::http_body(Watched {
            body: Some(body),
            slot: slot.clone(),
        })
    });
    (request, Leftover(Some(slot)))
}

impl Leftover {
    /// Reads and drops the rest, if there is any and it is not too much.
    pub async fn discard(self) {
        let Some(slot) = self.0 else { return };
        let rest = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut rest) = rest else { return };
        if rest.size_hint().upper().is_none_or(|most| most > MOST) {
            return;
        }
        let read = async { while let Some(Ok(_)) = rest.frame().await {} };
        let _ = tokio::time::timeout(PATIENCE, read).await;
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}
