//! What lies in a bucket.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http_body::Body as _;
use hyper::body::Incoming;
use time::OffsetDateTime;
use tokio::time::{Instant, Sleep};

use super::encoding::Decoded;
use super::{BucketError, BucketErrorKind, Operation, RequestCounts};

/// An entity tag, as the store writes it, quotes included. Opaque: often the MD5 of the
/// content, and not to be relied on for that.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ETag(Box<str>);

impl ETag {
    /// Takes the header's value as it is.
    pub fn new(value: impl Into<Box<str>>) -> Self {
        Self(value.into())
    }

    /// The header's value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ETag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a listing or a header says about an object.
///
/// Together with the key, these tell whether an object changed; some stores list without
/// ETags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// The key, relative to the handle's prefix.
    pub key: String,
    /// Bytes as stored, which is before any Content-Encoding is undone.
    pub size: u64,
    /// When it was last written, to the second: listings and headers differ below.
    pub last_modified: Option<OffsetDateTime>,
    /// Its entity tag, where the store gives one.
    pub etag: Option<ETag>,
    /// The mark that it was written with ([`PutOptions::mark`](super::PutOptions::mark)), where
    /// headers said it: listings do not.
    pub mark: Option<String>,
}

/// An object, its bytes still on their way.
#[derive(Debug)]
pub struct Object {
    /// Size of the whole object, times and tag.
    pub meta: ObjectMeta,
    /// Bytes that [`body`](Self::body) will yield, where the store said.
    pub length: Option<u64>,
    /// The first byte, and the object's whole size, where a part was asked for and given.
    pub range: Option<ContentRange>,
    /// How the bytes are encoded; `None` where they are what they are. Never `aws-chunked`
    /// nor `identity`, which say nothing about stored bytes.
    pub content_encoding: Option<String>,
    /// The stored Content-Type.
    pub content_type: Option<String>,
    /// The bytes.
    pub body: ObjectBody,
}

/// Which part of an object an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    /// First byte, from 0.
    pub first: u64,
    /// Last byte, included.
    pub last: u64,
    /// Bytes of the whole object.
    pub total: u64,
}

/// A small object, whole and decoded.
#[derive(Debug, Clone)]
pub struct SmallObject {
    /// Size as stored, times and tag.
    pub meta: ObjectMeta,
    /// The bytes, with any Content-Encoding undone.
    pub bytes: Bytes,
    /// How they were stored.
    pub encoding: Decoded,
}

/// The bytes of an object as they come. Nothing is read ahead of the one who reads, so a
/// slow reader slows the store down and costs no memory. A store that sends nothing for
/// [`idle_timeout`](super::Limits::idle_timeout) while somebody is waiting is a time-out;
/// one that ends early is [`BucketErrorKind::Network`].
#[derive(Debug)]
pub struct ObjectBody {
    body: Incoming,
    /// Set while we are waiting for a piece.
    deadline: Option<Pin<Box<Sleep>>>,
    idle_timeout: Duration,
    received: u64,
    expected: Option<u64>,
    counts: Arc<RequestCounts>,
    bucket: String,
    key: String,
    done: bool,
}

impl ObjectBody {
    pub(super) fn new(
        body: Incoming,
        expected: Option<u64>,
        idle_timeout: Duration,
        counts: Arc<RequestCounts>,
        bucket: &str,
        key: &str,
    ) -> Self {
        Self {
            body,
            deadline: None,
            idle_timeout,
            received: 0,
            expected,
            counts,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            done: false,
        }
    }

    /// Bytes received so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    fn failed(&mut self, kind: BucketErrorKind, detail: String) -> BucketError {
        self.done = true;
        BucketError::new(Operation::Get, &self.bucket, &self.key, kind, detail)
    }

    /// The rest, in memory.
    ///
    /// # Errors
    /// As the stream, and [`BucketErrorKind::TooLarge`] beyond `most` bytes.
    pub async fn collect(mut self, most: usize) -> Result<Bytes, BucketError> {
        use futures_util::StreamExt as _;
        let mut all = bytes::BytesMut::new();
        while let Some(piece) = self.next().await {
            let piece = piece?;
            if all.len() + piece.len() > most {
                return Err(
                    self.failed(BucketErrorKind::TooLarge, format!("more than {most} bytes"))
                );
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }
}

impl Stream for ObjectBody {
    type Item = Result<Bytes, BucketError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.done {
            return Poll::Ready(None);
        }
        loop {
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    this.deadline = None;
                    // Trailers say nothing that we need.
                    let Ok(piece) = frame.into_data() else {
                        continue;
                    };
                    this.received += piece.len() as u64;
                    this.counts.received(piece.len());
                    return Poll::Ready(Some(Ok(piece)));
                }
                Poll::Ready(Some(Err(error))) => {
                    let detail = format!(
                        "the connection broke after {} bytes: {}",
                        this.received,
                        super::transport::causes(&error)
                    );
                    return Poll::Ready(Some(Err(this.failed(BucketErrorKind::Network, detail))));
                }
                Poll::Ready(None) => {
                    this.done = true;
                    if let Some(expected) = this.expected
                        && expected != this.received
                    {
                        let detail = format!("{} of {expected} bytes came", this.received);
                        return Poll::Ready(Some(Err(
                            this.failed(BucketErrorKind::Network, detail)
                        )));
                    }
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    let timeout = this.idle_timeout;
                    let deadline = this.deadline.get_or_insert_with(|| {
                        Box::pin(tokio::time::sleep_until(Instant::now() + timeout))
                    });
                    if deadline.as_mut().poll(cx).is_ready() {
                        let detail = format!(
                            "nothing came for {} s after {} bytes",
                            timeout.as_secs_f32(),
                            this.received
                        );
                        return Poll::Ready(Some(Err(
                            this.failed(BucketErrorKind::Timeout, detail)
                        )));
                    }
                    return Poll::Pending;
                }
            }
        }
    }
}

/// Cuts off what listings have and headers have not.
pub(super) fn to_the_second(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_nanosecond(0).unwrap_or(at)
}
