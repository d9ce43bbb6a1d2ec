//! Answers of tens of megabytes: written off the reactor, and only a few in memory at once.
//!
//! Each has a permit until it is sent, and goes after a while where the client does not read, or
//! reads slower than [`SLOWEST`]: the connection has one small piece of it at a time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::problem::ApiError;
use super::request::heavy;
use crate::archive::{Pace, SLOWEST};
use crate::site::Site;

/// How long a request waits until another answer was sent.
const PATIENCE: Duration = Duration::from_secs(10);
/// An answer that was not read to its end by then is broken off.
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// Bytes given to a connection at once.
const PIECE: usize = 64 << 10;

/// Answers with the JSON that `work` writes.
pub(super) async fn json(
    site: &Site,
    work: impl FnOnce() -> Result<String, ApiError> + Send + 'static,
) -> Result<Response, ApiError> {
    let permit = timeout(PATIENCE, Arc::clone(&site.large).acquire_owned())
        .await
        .ok()
        .and_then(Result::ok)
        .ok_or_else(|| {
            ApiError::busy("Several large answers are being sent; try again in a few seconds.")
        })?;
    let text = heavy(site, work).await?;
    let length = text.len();
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let sent = timeout(LONGEST, send(text, sender.clone())).await;
        drop(permit);
        if !sent.unwrap_or(false) {
            // Breaks the connection off, so that the client sees it.
            let late = std::io::Error::other("the answer was not read in time");
            let _ = sender.send(Err(late)).await;
        }
    });
    let pieces = stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}

/// Hands a text over piece by piece; `false` where it is taken too slowly. They are copies: one that
/// is not sent keeps no more than itself.
async fn send(text: String, sender: mpsc::Sender<Result<Bytes, std::io::Error>>) -> bool {
    let mut pace = Pace::new(SLOWEST);
    for piece in text.as_bytes().chunks(PIECE) {
        let handing = sender.send(Ok(Bytes::copy_from_slice(piece)));
        match pace.hand_over(piece.len(), handing).await {
            Some(Ok(())) => {}
            // Nobody is there any more.
            Some(Err(_)) => return true,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_of_a_text_is_handed_over_in_pieces() {
        let text = "x".repeat(2 * PIECE + 1);
        let (sender, mut receiver) = mpsc::channel(1);
        tokio::spawn(send(text.clone(), sender));
        let mut got = Vec::new();
        while let Some(piece) = receiver.recv().await {
            let piece = piece.expect("a piece");
            assert!(piece.len() <= PIECE);
            got.extend_from_slice(&piece);
        }
        assert_eq!(got, text.as_bytes());
    }
}
