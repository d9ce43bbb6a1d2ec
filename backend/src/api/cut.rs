//! An answer of so many bytes of a stream at most.

use std::io;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};

use super::problem::{ApiError, excerpt};
use super::request::pairs;

/// How many bytes a request wants at most: its `head`, its only parameter; without it, all.
pub(super) fn head(query: Option<&str>) -> Result<u64, ApiError> {
    match pairs(query)?.as_slice() {
        [] => Ok(u64::MAX),
        [(name, value)] if name == "head" => value.parse().map_err(|_| {
            ApiError::bad_parameter(format!(
                "`head` cannot be `{}`: it is a number",
                excerpt(value)
            ))
        }),
        [(name, _), ..] => Err(ApiError::bad_parameter(format!(
            "there is no parameter `{}` here",
            excerpt(name)
        ))),
    }
}

/// The first piece and the rest, up to `most` bytes; what follows is not read. An error ends it.
pub(super) fn at_most(
    first: Bytes,
    rest: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    most: u64,
) -> Body {
    let mut left = most;
    let pieces = stream::once(async { Ok(first) })
        .chain(rest)
        .map(move |piece: io::Result<Bytes>| {
            let mut piece = piece?;
            piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= piece.len() as u64;
            Ok::<_, io::Error>((piece, left))
        })
        .scan(false, |ended, item| {
            let over = *ended;
            *ended = item.as_ref().map_or(true, |(_, left)| *left == 0);
            std::future::ready((!over).then(|| item.map(|(piece, _)| piece)))
        });
    Body::from_stream(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_read_beyond_what_is_asked_for() {
        let piece = |text: &'static str| Ok(Bytes::from_static(text.as_bytes()));
        let read = async |most, rest: Vec<io::Result<Bytes>>| {
            let body = at_most(Bytes::from_static(b"one"), stream::iter(rest), most);
            axum::body::to_bytes(body, usize::MAX).await
        };
        for (most, expected) in [(0, ""), (2, "on"), (3, "one"), (5, "onetw"), (99, "onetwo")] {
            let found = read(most, vec![piece("two")]).await.expect("bytes");
            assert_eq!(found, expected, "{most}");
        }
        let broken = || Err(io::Error::other("broken"));
        let found = read(3, vec![broken()]).await.expect("bytes");
        assert_eq!(found, "one");
        assert!(read(4, vec![broken(), piece("two")]).await.is_err());
    }
}
