//! The body of an upload as it comes.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT};
use http::{StatusCode, request::Parts};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::Refusal;
use crate::bucket::encoding::{self, DecodeLimits};

/// How long a client may send nothing.
const IDLE: Duration = Duration::from_secs(60);
/// How long it may let the server wait for all of its body together, and the bytes that earn it a second
/// more: each upload holds one of a few places.
const LENIENT: Duration = Duration::from_secs(300);
const SLOWEST: u64 = 4096;
/// Bytes of a refused body that are read on, so that its client reads the answer.
const DRAINED: usize = 64 * 1024 * 1024;
/// How long that may take.
const DRAINING: Duration = Duration::from_secs(20);

/// A body, read piece by piece.
pub(super) struct Upload {
    /// `None` once it ended or broke.
    body: Option<Incoming>,
    /// What its client says how long it is.
    pub(super) length: Option<u64>,
    /// Whether its client waits for a yes before it sends.
    expects: bool,
    received: u64,
    /// How long was waited for its client; not what it waited for us.
    waited: Duration,
}

/// Whether a client that was waited for so long has sent too little.
fn is_too_slow(waited: Duration, received: u64) -> bool {
    waited > LENIENT.saturating_add(Duration::from_secs(received / SLOWEST))
}

impl Upload {
    pub(super) fn new(body: Incoming, request: &Parts) -> Self {
        let length = request
            .headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        Self {
            body: Some(body),
            length,
            expects: request.headers.contains_key(EXPECT),
            received: 0,
            waited: Duration::ZERO,
        }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let Some(body) = self.body.as_mut() else {
                return Ok(None);
            };
            let broken = |text: &str| Err(Refusal::new(StatusCode::BAD_REQUEST, "cut-short", text));
            let begin = Instant::now();
            let frame = tokio::time::timeout(IDLE, body.frame()).await;
            self.waited += begin.elapsed();
            match frame {
                Ok(Some(Ok(frame))) => {
                    // Trailers say nothing that we need.
                    if let Ok(piece) = frame.into_data() {
                        self.received += piece.len() as u64;
                        if is_too_slow(self.waited, self.received) {
                            self.body = None;
                            return Err(Refusal::new(
                                StatusCode::BAD_REQUEST,
                                "too-slow",
                                format!("it comes with less than {SLOWEST} bytes a second"),
                            ));
                        }
                        return Ok(Some(piece));
                    }
                }
                Ok(None) => {
                    self.body = None;
                    return match self.length {
                        Some(length) if length != self.received => {
                            broken("fewer bytes came than were announced")
                        }
                        _ => Ok(None),
                    };
                }
                Ok(Some(Err(_))) => {
                    self.body = None;
                    return broken("the connection broke");
                }
                Err(_) => {
                    self.body = None;
                    return Err(Refusal::new(
                        StatusCode::BAD_REQUEST,
                        "too-slow",
                        format!("nothing came for {} seconds", IDLE.as_secs()),
                    ));
                }
            }
        }
    }

    /// All of it, decoded, where that is at most so much.
    pub(super) async fn whole(
        &mut self,
        most: usize,
        coding: Option<&str>,
    ) -> Result<Bytes, Refusal> {
        let too_large = || Refusal::too_large(format!("it has more than {most} bytes"));
        if self.length.is_some_and(|length| length > most as u64) {
            return Err(too_large());
        }
        let mut whole = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if whole.len() + piece.len() > most {
                return Err(too_large());
            }
            whole.extend_from_slice(&piece);
        }
        let whole = whole.freeze();
        let Some(coding) = coding else {
            return Ok(whole);
        };
        let unsupported = |error: encoding::DecodeError| {
            Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "bad-encoding",
                error.to_string(),
            )
        };
        match encoding::coding(coding).map_err(unsupported)? {
            None => Ok(whole),
            Some(coding) => {
                encoding::decode(coding, &whole, DecodeLimits::text(most)).map_err(unsupported)
            }
        }
    }

    /// Reads all of it and keeps nothing.
    pub(super) async fn skip(&mut self, most: u64) -> Result<(), Refusal> {
        while self.next().await?.is_some() {
            if self.received > most {
                return Err(Refusal::too_large(format!("it has more than {most} bytes")));
            }
        }
        Ok(())
    }

    /// Reads on for a while in the background. Who waits for a yes sends nothing once it was a no.
    pub(super) fn drain(&mut self) {
        let Some(mut body) = self.body.take() else {
            return;
        };
        if self.expects && self.received == 0 {
            return;
        }
        tokio::spawn(async move {
            let mut read = 0;
            let draining = async {
                while let Some(Ok(frame)) = body.frame().await {
                    read += frame.data_ref().map_or(0, Bytes::len);
                    if read > DRAINED {
                        break;
                    }
                }
            };
            // Then its connection is closed.
            let _ = tokio::time::timeout(DRAINING, draining).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_a_byte_a_minute_does_not_hold_a_place_for_ever() {
        let after = |seconds, received| is_too_slow(Duration::from_secs(seconds), received);
        assert!(!after(300, 0) && after(301, 0));
        // 59 seconds between two bytes are no silence, and an hour of them is enough.
        assert!(after(3_600, 61));
        // 20 GB over a thin line take their time.
        assert!(!after(86_400, 20 << 30));
        assert!(!after(1_000, 4096 * 700) && after(1_001, 4096 * 700));
    }
}
