//! What is wrong around a cache's objects: rules of the bucket that delete them by age, and uploads in
//! parts that nobody completes. No listing of objects shows either; Health does.

use std::collections::{BTreeMap, HashMap};

use snowbank_shared::api::{Finding, Severity};
use time::OffsetDateTime;

use super::Cache;
use crate::bucket::{BucketError, Unfinished};
use crate::index::Change;

/// Uploads in parts and files without a narinfo that are younger may still be under way, seconds.
pub const GRACE: i64 = 24 * 3600;

/// The check of rules that delete objects by their age, or move them out of reach.
pub const EXPIRES: &str = "lifecycle-expires";
/// The check of uploads in parts that were not completed.
pub const UNFINISHED: &str = "unfinished-upload";
/// Findings of each of these at most.
const MOST: usize = 1_000;

/// The uploads in parts of a cache that were begun at least so many seconds ago, by the key that each
/// is for. Those of which the store says no time are left out: they may be a moment old.
///
/// # Errors
/// Where the store does not list them.
pub async fn unfinished(
    cache: &Cache,
    age: i64,
) -> Result<BTreeMap<String, Vec<Unfinished>>, BucketError> {
    let oldest = OffsetDateTime::now_utc().unix_timestamp() - age;
    let mut by_key: BTreeMap<String, Vec<Unfinished>> = BTreeMap::new();
    for upload in cache.bucket.multipart_unfinished("").await? {
        if upload.began_at.is_some_and(|began| began <= oldest) {
            let key = upload.upload.key().to_owned();
            by_key.entry(key).or_default().push(upload);
        }
    }
    Ok(by_key)
}

/// Looks, and shows in Health what is so now. What the store does not tell keeps its last findings.
/// `age` as for [`unfinished`].
pub async fn look(cache: &Cache, age: i64) {
    match cache.bucket.harmful_rules().await {
        Ok(rules) => {
            let found = rules.iter().map(|rule| {
                let reason = format!(
                    "the store will break this cache: {rule}. Paths stay listed while their contents are gone"
                );
                (format!("lifecycle rule {}", rule.id), reason)
            });
            show(cache, EXPIRES, Severity::Error, &found.take(MOST).collect());
        }
        Err(error) => {
            tracing::debug!(cache = %cache.slug, %error, "lifecycle rules are not told");
        }
    }
    match unfinished(cache, age).await {
        Ok(uploads) => {
            let found = uploads.iter().map(|(key, uploads)| {
                let first = uploads.iter().filter_map(|upload| upload.began_at).min();
                let since = first.map_or_else(String::new, |at| {
                    format!(", since {}", crate::auth::records::spelled(at))
                });
                let reason = match uploads.len() {
                    1 => format!("an upload in parts was begun and not completed{since}: the store charges for its parts"),
                    more => format!("{more} uploads in parts were begun and not completed{since}: the store charges for their parts"),
                };
                (key.clone(), reason)
            });
            show(
                cache,
                UNFINISHED,
                Severity::Warning,
                &found.take(MOST).collect(),
            );
        }
        Err(error) => {
            tracing::debug!(cache = %cache.slug, %error, "unfinished uploads are not told");
        }
    }
}

/// Holds what the index shows of a check against what is so.
fn show(cache: &Cache, check: &str, severity: Severity, found: &HashMap<String, String>) {
    let view = cache.index.view();
    let mut changes: Vec<Change> = Vec::new();
    let mut shown: HashMap<&str, &str> = HashMap::new();
    for finding in view.noted(check) {
        if found.contains_key(&finding.object) {
            shown.insert(&finding.object, &finding.reason);
        } else {
            changes.push(Change::Settled(check.to_owned(), finding.object.clone()));
        }
    }
    for (object, reason) in found {
        if shown.get(object.as_str()).copied() != Some(reason.as_str()) {
            changes.push(Change::Finding(Finding {
                check: check.to_owned(),
                severity,
                object: object.clone(),
                line: None,
                reason: reason.clone(),
                hash: None,
            }));
        }
    }
    if !changes.is_empty() {
        cache.index.apply(changes);
    }
}
