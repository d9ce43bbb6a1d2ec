//! How the faults of [`faults`] are done to an answer.
//!
//! [`faults`]: super::faults

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use s3s::{Body, StdError};

use super::faults::Action;

/// How long bytes may take to leave before a connection is broken.
const FLUSH: Duration = Duration::from_millis(20);

/// What happens to one request.
#[derive(Debug, Default)]
pub struct Plan {
    /// How much later the answer comes.
    pub delay: Duration,
    /// What else happens.
    pub action: Option<Action>,
}

/// Why a connection is closed instead of an answer, or in its middle.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// A test asked for it.
    #[error("the connection is lost, as a test asked")]
    Lost,
    /// The service or the body of its answer failed.
    #[error("{0}")]
    Failed(StdError),
}

impl Plan {
    /// The answer that takes the place of the real one, if any.
    pub fn instead(&self) -> Result<Option<Response<Body>>, Ended> {
        Ok(Some(match self.action {
            Some(Action::LoseConnection) => return Err(Ended::Lost),
            Some(Action::SlowDown) => error(
                StatusCode::SERVICE_UNAVAILABLE,
                "SlowDown",
                "Please reduce your request rate.",
            ),
            Some(Action::AccessDenied) => {
                error(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied")
            }
            Some(Action::NotFound) => error(
                StatusCode::NOT_FOUND,
                "NoSuchKey",
                "The specified key does not exist.",
            ),
            Some(Action::InternalError) => error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalError",
                "We encountered an internal error. Please try again.",
            ),
            _ => return Ok(None),
        }))
    }

    /// The real answer, spoiled.
    pub async fn spoil(self, response: Response<Body>) -> Result<Response<Body>, Ended> {
        let ok = response.status().is_success();
        match self.action {
            Some(Action::BreakBody { after }) if ok => Ok(with_stream(response, move |body| {
                broken(body, after, Some(End::Error))
            })),
            Some(Action::StallBody { after, pause }) if ok => {
                Ok(with_stream(response, move |body| {
                    broken(body, after, Some(End::Pause(pause)))
                }))
            }
            Some(Action::ShortenBody { after }) if ok => {
                rewrite(response, |body| {
                    let end = usize::try_from(after).unwrap_or(usize::MAX).min(body.len());
                    body.slice(..end)
                })
                .await
            }
            Some(Action::ListWithoutToken) if ok => {
                rewrite_text(response, |text| without(text, "NextContinuationToken")).await
            }
            Some(Action::ListEndsEarly) if ok => {
                rewrite_text(response, |text| {
                    without(text, "NextContinuationToken")
                        .replace("<IsTruncated>true<", "<IsTruncated>false<")
                })
                .await
            }
            Some(Action::ListCut) if ok => {
                rewrite(response, |body| body.slice(..body.len() / 2)).await
            }
            _ => Ok(response),
        }
    }
}

fn error(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

fn without(text: &str, element: &str) -> String {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    match (text.find(&open), text.find(&close)) {
        (Some(start), Some(end)) => format!("{}{}", &text[..start], &text[end + close.len()..]),
        _ => text.to_owned(),
    }
}

async fn rewrite(
    response: Response<Body>,
    with: impl FnOnce(Bytes) -> Bytes,
) -> Result<Response<Body>, Ended> {
    let (mut parts, body) = response.into_parts();
    let body = with(
        http_body_util::BodyExt::collect(body)
            .await
            .map_err(Ended::Failed)?
            .to_bytes(),
    );
    parts
        .headers
        .insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    Ok(Response::from_parts(parts, Body::from(body)))
}

async fn rewrite_text(
    response: Response<Body>,
    with: impl FnOnce(&str) -> String,
) -> Result<Response<Body>, Ended> {
    rewrite(response, |body| {
        with(&String::from_utf8_lossy(&body)).into()
    })
    .await
}

fn with_stream<S>(response: Response<Body>, with: impl FnOnce(Body) -> S) -> Response<Body>
where
    S: stream::Stream<Item = Result<Bytes, StdError>> + Send + 'static,
{
    let (mut parts, body) = response.into_parts();
    if !parts.headers.contains_key(CONTENT_LENGTH)
        && let Some(length) = http_body::Body::size_hint(&body).exact()
    {
        parts
            .headers
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(
        parts,
        Body::http_body_unsync(StreamBody::new(with(body).map_ok(Frame::data))),
    )
}

/// How a body goes on after the bytes that still come.
#[derive(Clone, Copy)]
enum End {
    Error,
    Pause(Duration),
}

fn broken(
    body: Body,
    after: u64,
    end: Option<End>,
) -> impl stream::Stream<Item = Result<Bytes, StdError>> + Send + 'static {
    stream::unfold(
        (body, after, end, Bytes::new()),
        |(mut body, mut left, mut end, mut rest)| async move {
            loop {
                if left == 0 {
                    match end.take() {
                        Some(End::Error) => {
                            // The bytes before must leave first, or the whole answer is lost instead of its end.
                            tokio::time::sleep(FLUSH).await;
                            return Some((
                                Err(Box::new(Ended::Lost) as StdError),
                                (body, 0, None, Bytes::new()),
                            ));
                        }
                        Some(End::Pause(pause)) => tokio::time::sleep(pause).await,
                        None => {}
                    }
                    if !rest.is_empty() {
                        return Some((Ok(std::mem::take(&mut rest)), (body, 0, None, rest)));
                    }
                }
                let mut chunk = match body.next().await? {
                    Ok(chunk) => chunk,
                    Err(error) => return Some((Err(error), (body, left, end, rest))),
                };
                if end.is_some() && chunk.len() as u64 > left {
                    rest = chunk.split_off(usize::try_from(left).unwrap_or(0));
                    left = 0;
                } else {
                    left = left.saturating_sub(chunk.len() as u64);
                }
                if !chunk.is_empty() {
                    return Some((Ok(chunk), (body, left, end, rest)));
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_break_and_stall_where_told() {
        let response = || Response::new(Body::from("0123456789".to_owned()));
        let plan = |action| Plan {
            action: Some(action),
            delay: Duration::ZERO,
        };
        let collect = |response: Response<Body>| async {
            let mut body = response.into_body();
            let mut text = Vec::new();
            while let Some(chunk) = body.next().await {
                match chunk {
                    Ok(chunk) => text.extend_from_slice(&chunk),
                    Err(error) => {
                        return (String::from_utf8(text).unwrap(), Some(error.to_string()));
                    }
                }
            }
            (String::from_utf8(text).unwrap(), None)
        };
        let broken = plan(Action::BreakBody { after: 4 })
            .spoil(response())
            .await
            .unwrap();
        assert_eq!(broken.headers()[CONTENT_LENGTH], "10");
        let (text, error) = collect(broken).await;
        assert_eq!((text.as_str(), error.is_some()), ("0123", true));
        let stalled = plan(Action::StallBody {
            after: 4,
            pause: Duration::from_millis(30),
        })
        .spoil(response())
        .await
        .unwrap();
        let began = std::time::Instant::now();
        assert_eq!(collect(stalled).await, ("0123456789".to_owned(), None));
        assert!(began.elapsed() >= Duration::from_millis(30));
        let short = plan(Action::ShortenBody { after: 4 })
            .spoil(response())
            .await
            .unwrap();
        assert_eq!(short.headers()[CONTENT_LENGTH], "4");
        assert_eq!(collect(short).await, ("0123".to_owned(), None));
    }

    #[tokio::test]
    async fn listings_lie_where_told() {
        let text = "<R><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></R>";
        for (action, expected) in [
            (
                Action::ListWithoutToken,
                "<R><IsTruncated>true</IsTruncated></R>",
            ),
            (
                Action::ListEndsEarly,
                "<R><IsTruncated>false</IsTruncated></R>",
            ),
            (Action::ListCut, &text[..text.len() / 2]),
        ] {
            let plan = Plan {
                action: Some(action),
                delay: Duration::ZERO,
            };
            let response = plan
                .spoil(Response::new(Body::from(text.to_owned())))
                .await
                .unwrap();
            let body = http_body_util::BodyExt::collect(response.into_body())
                .await
                .unwrap()
                .to_bytes();
            assert_eq!(body, expected.as_bytes());
        }
    }
}
