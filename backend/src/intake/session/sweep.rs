//! What nobody owns any more: archives of sessions that have expired, and uploads in parts that a
//! server left in a bucket when it was killed.

use std::time::Duration;

use super::super::Intake;
use super::lock;
use crate::auth::records::now;
use crate::ledger::RecordId;

/// How old an upload in parts has to be before it counts as left behind. Another replica's may be
/// younger: none of its requests or archives takes as long as this.
pub const GRACE: Duration = Duration::from_secs(24 * 3600);
/// Between two looks.
const EVERY: Duration = Duration::from_secs(15 * 60);
/// Looks between two listings of the buckets.
const LISTED: u32 = 8;

impl Intake {
    /// Tidies up until the server ends; then gives up what is on its way.
    pub async fn upkeep(self) {
        let closing = self.0.site.closing.clone();
        let mut looks = 0_u32;
        loop {
            tokio::select! {
                () = closing.cancelled() => break,
                () = tokio::time::sleep(EVERY) => {}
            }
            self.give_up_ended().await;
            if looks.is_multiple_of(LISTED) {
                self.sweep_unfinished(GRACE).await;
            }
            looks = looks.wrapping_add(1);
        }
        self.0.sessions.lanes.give_up(|_, _| true).await;
    }

    /// Gives up archives whose sessions have expired or ended, here or on another replica.
    pub async fn give_up_ended(&self) {
        let sessions = &self.0.sessions;
        sessions.lanes.give_up_old().await;
        let is_open = |slug: &str, id: &RecordId| {
            let cache = self.0.site.cache(slug);
            cache
                .and_then(|cache| self.head(cache, id))
                .and_then(|entry| entry.record.head().map(|head| head.ended_at.is_none()))
                .unwrap_or_default()
        };
        sessions.lanes.give_up(|slug, id| !is_open(slug, id)).await;
        lock(&sessions.refused).retain(|(slug, id), _| is_open(slug, id));
    }

    /// Gives up the uploads in parts below `nar/` that are older than this and that nobody here
    /// works on, in every cache. Returns how many.
    pub async fn sweep_unfinished(&self, grace: Duration) -> usize {
        let oldest = now() - i64::try_from(grace.as_secs()).unwrap_or(i64::MAX);
        let mut swept = 0;
        for cache in &self.0.site.caches {
            let unfinished = match cache.bucket.multipart_unfinished("nar/").await {
                Ok(unfinished) => unfinished,
                Err(error) => {
                    tracing::info!(cache = %cache.slug, %error, "unfinished uploads cannot be listed");
                    continue;
                }
            };
            for left in unfinished {
                // Without a date it may be a moment old.
                let is_old = left.began_at.is_some_and(|began| began <= oldest);
                if !is_old || self.0.under_way.has(&left.upload) {
                    continue;
                }
                match cache.bucket.multipart_abort(&left.upload).await {
                    Ok(()) => swept += 1,
                    Err(error) => {
                        tracing::warn!(cache = %cache.slug, key = left.upload.key(), %error, "an unfinished upload cannot be given up");
                    }
                }
            }
        }
        if swept > 0 {
            tracing::info!(swept, "unfinished uploads were given up");
        }
        swept
    }
}
