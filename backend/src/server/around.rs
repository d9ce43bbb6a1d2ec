//! Looking, now and then, at what no listing of a bucket shows ([`surroundings`]).

use std::sync::Arc;
use std::time::Duration;

use crate::site::{Site, surroundings};

/// Before the first look: who starts has other things to ask of the bucket.
const FIRST: Duration = Duration::from_secs(20);
/// Between two looks.
const EVERY: Duration = Duration::from_secs(3600);

/// Looks at every cache, until the server ends.
pub(super) async fn follow(site: Arc<Site>) {
    let mut pause = FIRST;
    loop {
        tokio::select! {
            () = site.closing.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = EVERY;
        for cache in &site.caches {
            tokio::select! {
                () = site.closing.cancelled() => return,
                () = surroundings::look(cache, surroundings::GRACE) => {}
            }
        }
    }
}
