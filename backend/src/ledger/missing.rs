//! What a look misses: objects that are remembered and not in the listing.
//!
//! A listing is read page by page and is no single moment. A record that is revoked meanwhile can be
//! in none of its pages, and its tombstone neither: the page of tombstones was read before it was
//! written, the page of the record after it was deleted. So what a listing does not have is asked for
//! by name before it counts as gone, the tombstone first.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::memory::Memory;
use super::refresh::{AT_ONCE, Found, RECORDS, TOMBSTONES};
use super::view::{Grave, Slot, Token, Tombstone, Trouble, View};
use super::{Area, Ledger};
use crate::bucket::BucketError;

/// Paths asked for by name in one look. Where more are missing, the bucket was emptied, and no page
/// that was read too early explains that.
const MOST_ASKED: usize = 256;

/// What asking by name says of paths that the listing did not have.
#[derive(Default)]
pub(super) struct Asked {
    /// Objects that are there all the same.
    pub found: Vec<(String, Token, Found)>,
    /// Keys that do not count as gone: they are there, or could not be asked for now.
    pub kept: Vec<String>,
    /// What went wrong last.
    pub failed: Option<BucketError>,
}

/// Whether a listing has the object of a path in a folder below `records/`.
fn is_listed(listed: &BTreeSet<&str>, folder: &str, path: &str) -> bool {
    listed.contains(format!("{RECORDS}{folder}{path}").as_str())
}

/// Whether what ends by itself has ended: that is no loss.
fn has_ended(expires: Option<i64>, now: OffsetDateTime) -> bool {
    expires.is_some_and(|at| at <= now.unix_timestamp())
}

impl Ledger {
    /// Asks by name for the records that are remembered, not listed, and not known to be revoked.
    pub(super) async fn ask_for_missing(
        &self,
        area: &Area,
        remembered: &Memory,
        listed: &BTreeSet<&str>,
    ) -> Asked {
        let now = OffsetDateTime::now_utc();
        let view = self.view();
        let missing: Vec<String> = remembered
            .records
            .iter()
            .filter(|(path, seen)| {
                !is_listed(listed, "", path)
                    && !is_listed(listed, TOMBSTONES, path)
                    && !view.graves.contains_key(*path)
                    && !has_ended(seen.expires, now)
                    // What was missed before has been asked for before.
                    && view.slots.get(*path).is_none_or(|slot| slot.token.is_some())
            })
            .map(|(path, _)| path.to_string())
            .take(MOST_ASKED)
            .collect();
        let mut asking = stream::iter(missing)
            .map(|path| async move {
                let record = format!("{RECORDS}{path}");
                let tombstone = format!("{RECORDS}{TOMBSTONES}{path}");
                let found = match self.fetch_with_token(area, &tombstone).await {
                    Ok((_, Found::Gone)) => self
                        .fetch_with_token(area, &record)
                        .await
                        .map(|found| (record.clone(), found)),
                    Ok(found) => Ok((tombstone, found)),
                    Err(error) => Err(error),
                };
                (record, found)
            })
            .buffer_unordered(AT_ONCE);
        let mut asked = Asked::default();
        while let Some((record, found)) = asking.next().await {
            match found {
                Ok((_, (_, Found::Gone))) => {}
                Ok((key, (Some(token), found))) => {
                    asked.kept.push(key.clone());
                    asked.found.push((key, token, found));
                }
                Ok((key, (None, _))) => asked.kept.push(key),
                Err(error) => {
                    asked.kept.push(record);
                    asked.failed = Some(error);
                }
            }
        }
        asked
    }
}

/// What is known or remembered and not in the listing. Says whether anything changed.
pub(super) fn missing(
    view: &mut View,
    memory: &Memory,
    began: Instant,
    listed: &BTreeSet<&str>,
    now: OffsetDateTime,
) -> bool {
    let mut changed = false;
    let has_ended = |expires| has_ended(expires, now);
    let is_listed = |folder, path: &str| is_listed(listed, folder, path);
    for (path, expires) in &memory.tombstones {
        if is_listed(TOMBSTONES, path) || has_ended(*expires) {
            continue;
        }
        let known = view.graves.get(path);
        if known.is_some_and(|known| known.known_at > began || known.token.is_none()) {
            continue;
        }
        let grave = Grave {
            token: None,
            known_at: began,
            tombstone: known.map_or_else(Tombstone::unknown, |known| known.tombstone.clone()),
            expires: *expires,
            trouble: Some(Trouble::TombstoneGone),
        };
        view.graves.insert(path.clone(), grave);
        changed = true;
    }
    // A tombstone that never verified is nobody's once it is gone.
    let before = view.graves.len();
    view.graves.retain(|path, grave| {
        grave.known_at > began
            || memory.tombstones.contains_key(path)
            || is_listed(TOMBSTONES, path)
    });
    changed |= view.graves.len() != before;

    let gone: Vec<Box<str>> = view
        .slots
        .iter()
        .filter(|(path, slot)| slot.known_at <= began && !is_listed("", path))
        .map(|(path, _)| path.clone())
        .collect();
    for path in gone {
        let slot = &view.slots[&path];
        let expired = slot
            .believed
            .as_ref()
            .is_some_and(|believed| believed.envelope.has_expired(now));
        if view.graves.contains_key(&path) || expired || !memory.records.contains_key(&path) {
            view.slots.remove(&path);
            changed = true;
        }
    }
    for (path, seen) in &memory.records {
        if is_listed("", path) || view.graves.contains_key(path) || has_ended(seen.expires) {
            continue;
        }
        let known = view.slots.get(path);
        if known.is_some_and(|known| known.known_at > began || known.token.is_none()) {
            continue;
        }
        let slot = Slot {
            token: None,
            known_at: began,
            believed: None,
            trouble: Some(Trouble::Vanished {
                seen: seen.sequence,
            }),
        };
        view.slots.insert(path.clone(), slot);
        changed = true;
    }
    changed
}
