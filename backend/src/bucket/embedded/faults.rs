//! A server that misbehaves on demand, for tests.
//!
//! Rules say which requests are hit, how often, and what happens to them: refused with 503, delayed,
//! cut in the middle, left hanging, or answered with a listing that lies. They can be added and removed
//! while the server runs. Where chance decides, a seed makes it repeatable.
//!
//! ```
//! use snowbank::bucket::embedded::faults::{Action, Faults, Rule};
//! use snowbank::bucket::embedded::operation::Operation;
//! let faults = Faults::seeded(7);
//! faults.add(Rule::new(Action::SlowDown).on(Operation::Get).times(3));
//! faults.add(Rule::new(Action::NotFound).on(Operation::Get).key_contains(".narinfo").skip(10).times(1));
//! ```

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::StreamBody;
use s3s::{Body, StdError};

use super::operation::{Operation, Target};

/// How long bytes may take to leave before a connection is broken.
const FLUSH: Duration = Duration::from_millis(20);

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// 503 `SlowDown`, as a store that is overloaded says.
    SlowDown,
    /// 403 `AccessDenied`, as without the permission for this operation.
    AccessDenied,
    /// 404 `NoSuchKey`, as if the object had gone between a listing and this.
    NotFound,
    /// 500 `InternalError`.
    InternalError,
    /// The answer comes this much later.
    Delay(Duration),
    /// The connection is closed before an answer.
    LoseConnection,
    /// The body breaks off after this many bytes, short of its `Content-Length`, and the connection is closed.
    BreakBody {
        /// Bytes that still come.
        after: u64,
    },
    /// The body ends after this many bytes and `Content-Length` says so too, as a proxy that cuts does.
    ShortenBody {
        /// Bytes that still come.
        after: u64,
    },
    /// The body stops after this many bytes, goes on after a while.
    StallBody {
        /// Bytes that come at once.
        after: u64,
        /// How long it stops.
        pause: Duration,
    },
    /// A listing that says it is truncated and gives no token for the rest.
    ListWithoutToken,
    /// A listing that leaves the rest out and says it is complete.
    ListEndsEarly,
    /// A listing whose XML ends in the middle.
    ListCut,
}

/// Which requests an action hits.
#[derive(Clone, Debug)]
pub struct Rule {
    action: Action,
    operation: Option<Operation>,
    key_contains: String,
    skip: u64,
    times: u64,
    probability: f64,
}

impl Rule {
    /// Hits every request.
    pub fn new(action: Action) -> Self {
        Self {
            action,
            operation: None,
            key_contains: String::new(),
            skip: 0,
            times: u64::MAX,
            probability: 1.0,
        }
    }

    /// Only this operation.
    #[must_use]
    pub fn on(self, operation: Operation) -> Self {
        Self {
            operation: Some(operation),
            ..self
        }
    }

    /// Only keys (for listings: prefixes) with this in them.
    #[must_use]
    pub fn key_contains(self, text: &str) -> Self {
        Self {
            key_contains: text.to_owned(),
            ..self
        }
    }

    /// Not the first `n` that would be hit.
    #[must_use]
    pub fn skip(self, n: u64) -> Self {
        Self { skip: n, ..self }
    }

    /// Only `n` of them, then never again.
    #[must_use]
    pub fn times(self, n: u64) -> Self {
        Self { times: n, ..self }
    }

    /// Each with this probability, 0 to 1.
    #[must_use]
    pub fn with_probability(self, probability: f64) -> Self {
        Self {
            probability,
            ..self
        }
    }

    fn concerns(&self, target: &Target) -> bool {
        self.operation
            .is_none_or(|operation| operation == target.operation)
            && target.key.contains(&self.key_contains)
    }
}

/// The rules of a server. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    any: AtomicBool,
    injected: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    random: u64,
}

impl Faults {
    /// No rules yet; chance begins from a seed.
    pub fn seeded(seed: u64) -> Self {
        let faults = Self::default();
        faults.state().random = seed;
        faults
    }

    /// Adds a rule. Of several that hit the same request, all delays apply and then the first of the others.
    pub fn add(&self, rule: Rule) {
        self.state().rules.push(rule);
        self.0.any.store(true, Ordering::Release);
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.state().rules.clear();
        self.0.any.store(false, Ordering::Release);
    }

    /// How many requests were hit so far.
    pub fn injected(&self) -> u64 {
        self.0.injected.load(Ordering::Relaxed)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What shall happen to a request.
    pub(super) fn plan(&self, target: &Target) -> Plan {
        let mut plan = Plan::default();
        if !self.0.any.load(Ordering::Acquire) {
            return plan;
        }
        let state = &mut *self.state();
        for rule in &mut state.rules {
            if !rule.concerns(target)
                || rule.times == 0
                || chance(&mut state.random) >= rule.probability
            {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            match &rule.action {
                Action::Delay(time) => plan.delay += *time,
                _ if plan.action.is_some() => continue,
                action => plan.action = Some(action.clone()),
            }
            rule.times -= 1;
        }
        if plan.action.is_some() || !plan.delay.is_zero() {
            self.0.injected.fetch_add(1, Ordering::Relaxed);
        }
        plan
    }
}

/// The next number in [0, 1) of a SplitMix64 sequence.
#[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
fn chance(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// What happens to one request.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) delay: Duration,
    action: Option<Action>,
}

/// Why a connection is closed instead of an answer, or in its middle.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// A test asked for it.
    #[error("the connection is lost, as a test asked")]
    Lost,
    /// The service or the body of its answer failed.
    #[error("{0}")]
    Failed(StdError),
}

impl Plan {
    /// The answer that takes the place of the real one, if any.
    pub(super) fn instead(&self) -> Result<Option<Response<Body>>, Ended> {
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
    pub(super) async fn spoil(self, response: Response<Body>) -> Result<Response<Body>, Ended> {
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

    fn target(operation: Operation, key: &str) -> Target {
        Target {
            operation,
            key: key.to_owned(),
        }
    }

    #[test]
    fn rules_hit_what_they_name() {
        let faults = Faults::seeded(1);
        faults.add(
            Rule::new(Action::SlowDown)
                .on(Operation::Get)
                .key_contains(".narinfo")
                .skip(1)
                .times(2),
        );
        let hit = |key| faults.plan(&target(Operation::Get, key)).action.is_some();
        assert!(!hit("nar/x"));
        assert_eq!(
            [
                hit("a.narinfo"),
                hit("a.narinfo"),
                hit("b.narinfo"),
                hit("c.narinfo")
            ],
            [false, true, true, false]
        );
        assert!(
            faults
                .plan(&target(Operation::Head, "a.narinfo"))
                .action
                .is_none()
        );
        assert_eq!(faults.injected(), 2);
        faults.add(Rule::new(Action::LoseConnection));
        assert!(hit("nar/x"));
        faults.clear();
        assert!(!hit("nar/x"));
    }

    #[test]
    fn chance_is_repeatable() {
        let hits = |seed| {
            let faults = Faults::seeded(seed);
            faults.add(Rule::new(Action::SlowDown).with_probability(0.3));
            (0..1000)
                .filter(|_| faults.plan(&target(Operation::Get, "a")).action.is_some())
                .count()
        };
        assert_eq!(hits(5), hits(5));
        assert!((200..400).contains(&hits(5)), "{}", hits(5));
    }

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
