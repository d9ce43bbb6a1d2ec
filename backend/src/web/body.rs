//! The body of an answer: bytes in memory without any indirection, because the
//! narinfos that Nix asks for by the thousand are that, or a stream.

use std::error::Error as StdError;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Body as HttpBody, Frame, SizeHint};

/// Why a streamed body broke off; the connection is then closed, so that the client sees it.
pub type BodyError = Box<dyn StdError + Send + Sync>;

/// Bytes, or a stream of them.
pub enum Body {
    /// All at once.
    Bytes(Bytes),
    /// As they come; the length where it is known.
    Stream(
        Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>,
        Option<u64>,
    ),
    /// No bytes, and the length that they would have: the answer to a HEAD request.
    Sized(u64),
    /// From the API's router.
    Router(axum::body::Body),
    /// One of the others, and what to do when it ends.
    Watched(Box<Watched>),
}

/// A body that reports how it ended.
pub struct Watched {
    inner: Body,
    sent: u64,
    whole: bool,
    /// Called once, with the bytes sent and whether that is all of them.
    ended: Option<Box<dyn FnOnce(u64, bool) + Send>>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(ended) = self.ended.take() {
            ended(
                self.sent,
                self.whole || self.inner.is_end_stream() || matches!(self.inner, Body::Sized(_)),
            );
        }
    }
}

impl Body {
    /// Nothing.
    pub const fn empty() -> Self {
        Self::Bytes(Bytes::new())
    }

    /// A stream that yields `length` bytes, where that is known.
    pub fn stream<S, E>(stream: S, length: Option<u64>) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BodyError> + 'static,
    {
        use futures_util::TryStreamExt as _;
        Self::Stream(Box::pin(stream.map_err(Into::into)), length)
    }

    /// The same body; `ended` is called when it was sent or given up, with the bytes sent and
    /// whether these are all.
    #[must_use]
    pub fn watched(self, ended: impl FnOnce(u64, bool) + Send + 'static) -> Self {
        Self::Watched(Box::new(Watched {
            inner: self,
            sent: 0,
            whole: false,
            ended: Some(Box::new(ended)),
        }))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::Bytes(text.into())
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::Bytes(Bytes::from_static(text.as_bytes()))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Sized(_) => Poll::Ready(None),
            Self::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream(stream, remaining) => stream.as_mut().poll_next(cx).map(|item| {
                item.map(|piece| {
                    piece.map(|piece| {
                        if let Some(remaining) = remaining {
                            *remaining = remaining.saturating_sub(piece.len() as u64);
                        }
                        Frame::data(piece)
                    })
                })
            }),
            Self::Router(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Watched(watched) => {
                let polled = Pin::new(&mut watched.inner).poll_frame(cx);
                match &polled {
                    Poll::Ready(Some(Ok(frame))) => {
                        watched.sent += frame.data_ref().map_or(0, |piece| piece.len() as u64);
                        // Of a body of known length nobody asks for the end.
                        watched.whole = watched.inner.size_hint().exact() == Some(0);
                    }
                    Poll::Ready(None) => watched.whole = true,
                    Poll::Ready(Some(Err(_))) | Poll::Pending => {}
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.is_empty(),
            // Not for an empty one either: the length has to reach the header.
            Self::Sized(_) | Self::Stream(..) => false,
            Self::Router(body) => body.is_end_stream(),
            Self::Watched(watched) => watched.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Sized(length) | Self::Stream(_, Some(length)) => SizeHint::with_exact(*length),
            Self::Stream(_, None) => SizeHint::default(),
            Self::Router(body) => body.size_hint(),
            Self::Watched(watched) => watched.inner.size_hint(),
        }
    }
}
