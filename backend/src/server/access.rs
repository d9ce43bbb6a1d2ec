//! The log of requests: one event each, when its answer has been sent or given up.

use std::net::IpAddr;
use std::time::Duration;

use http::header::USER_AGENT;
use http::request::Parts;

use crate::auth::credential::redacted;
use crate::metrics::Endpoint;
use crate::web::{RequestId, Response};

/// Target of the events, for the log filter.
pub(super) const TARGET: &str = "snowbank::access";

/// Longest text of a client that is logged, in characters.
const LONGEST: usize = 300;

/// The answer, which logs its request when it ends.
pub(super) fn logged(
    response: Response,
    endpoint: Endpoint,
    request: &Parts,
    id: RequestId,
    client: IpAddr,
    took: Duration,
) -> Response {
    let method = request.method.clone();
    let whole = request.uri.path_and_query();
    // One-time links have their secret in the address.
    let path = escaped(&redacted(whole.map_or("", |whole| whole.as_str())));
    let agent = request
        .headers
        .get(USER_AGENT)
        .map(|value| escaped(&String::from_utf8_lossy(value.as_bytes())));
    let status = response.status().as_u16();
    let log = move |sent: u64, whole: bool| {
        let head_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let agent = agent.as_deref().unwrap_or_default();
        let client = client.to_string();
        let id = id.as_str();
        // Levels are constants of their call.
        macro_rules! event {
            ($level:ident) => {
                tracing::$level!(
                    target: TARGET, request_id = id, method = method.as_str(), path, endpoint = ?endpoint, status,
                    head_us, sent_bytes = sent, whole, client, user_agent = agent, "request"
                )
            };
        }
        match endpoint {
            Endpoint::Probe | Endpoint::Metrics => event!(debug),
            _ if status >= 500 => event!(warn),
            _ => event!(info),
        }
    };
    response.map(|body| body.watched(log))
}

/// A client's text on one line: control and bidirectional characters escaped, not endless.
fn escaped(text: &str) -> String {
    let mut escaped: String = text
        .chars()
        .take(LONGEST)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        escaped.push('…');
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn a_client_cannot_write_lines_or_turn_text_around() {
        assert_eq!(
            escaped("a\nb\u{202e}c\u{1b}[31m"),
            "a\\nb\\u{202e}c\\u{1b}[31m"
        );
        assert_eq!(escaped(&"x".repeat(1000)).chars().count(), 301);
    }
}
