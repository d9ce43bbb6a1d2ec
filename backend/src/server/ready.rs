//! `/readyz`: whether this server can answer rightly.
//!
//! Not before the bucket of every cache has answered a sweep once, and, where the index alone
//! decides that a path is absent, not before it is complete. A bucket that was seen failing does
//! not hold the server back: what is indexed is served, the rest fails with a line that says why,
//! and a balancer that takes all replicas away would take the page that explains it too.

use http::StatusCode;

use crate::auth::{self, Act, Caller};
use crate::config::Misses;
use crate::site::{Cache, Site};
use crate::web::{Response, headers};

/// 200, or 503 and what is waited for.
pub(super) fn answer(site: &Site) -> Response {
    let (mut unseen, mut incomplete) = (Vec::new(), Vec::new());
    for cache in &site.caches {
        if !cache.answered.is_set() {
            unseen.push(&**cache);
        } else if cache.misses == Misses::Index && !cache.is_complete() {
            incomplete.push(&**cache);
        }
    }
    let mut waits = Vec::new();
    if !unseen.is_empty() {
        waits.push(format!(
            "no answer yet from the bucket of {}",
            names(&unseen)
        ));
    }
    if !incomplete.is_empty() {
        waits.push(format!("no complete index yet of {}", names(&incomplete)));
    }
    if waits.is_empty() {
        return headers::line(StatusCode::OK, "ready\n");
    }
    let text = format!("not ready: {}\n", waits.join("; "));
    headers::line(StatusCode::SERVICE_UNAVAILABLE, text)
}

/// The caches by name, as far as strangers may know of them.
fn names(caches: &[&Cache]) -> String {
    let mut names: Vec<String> = caches
        .iter()
        .filter(|cache| auth::may(&Caller::ANONYMOUS, Act::Discover, cache.on()).is_ok())
        .map(|cache| format!("`{}`", cache.slug))
        .collect();
    match caches.len() - names.len() {
        0 => {}
        1 => names.push("a cache that is not public".to_owned()),
        hidden => names.push(format!("{hidden} caches that are not public")),
    }
    names.join(", ")
}
