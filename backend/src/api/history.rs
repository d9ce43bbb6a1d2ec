//! What happened to a path: from the index, the receipts, pins, approvals, conflicts,
//! quarantine and the audit, as far as each of them is kept.
//!
//! Nothing is written down for this page; it is put together when somebody asks. Names are
//! told to members only, lines of the audit to those who may read it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use http::HeaderMap;
use snowbank_shared::api::Problem;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::history::{Happening, History, HistoryEntry};
use snowbank_shared::api::quarantine::HeldBack;
use snowbank_shared::hash::Sha256;
use snowbank_shared::store_path::StorePathHash;

use super::problem::ApiError;
use super::request::{self, Asked, heavy, readable};
use crate::auth;
use crate::auth::records::spelled;
use crate::intake::{conflict, waiting};
use crate::ledger::{AuditEntry, Receipt};
use crate::pins;
use crate::site::{Cache, Site};

/// Receipts that are looked at, the newest of the cache.
const RECEIPTS: usize = 4_000;
/// The same for a stranger: each may be an object of its own in the bucket.
const RECEIPTS_OF_STRANGERS: usize = 300;
/// Days of the audit that are looked at, the newest.
const DAYS: usize = 31;
/// Entries of an answer at most; the newest.
const MOST: usize = 500;
/// How long one waits for others who read much.
const PATIENCE: Duration = Duration::from_secs(10);

/// Acts of the audit that are told from what they left behind.
const TOLD: [&str; 6] = [
    "pin.set",
    "pin.roll-back",
    "approval.approve",
    "approval.reject",
    "approval.publish",
    "approval.expire",
];

/// What happened to a path, newest first. Also of one that has gone.
#[utoipa::path(
    get,
    path = "/caches/{cache}/paths/{hash}/history",
    tag = "paths",
    operation_id = "get_history",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "Hash part of the store path"),
    ),
    responses(
        (status = 200, body = History),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "Not a hash"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache, or nothing is known of the path"),
    ),
)]
pub(super) async fn one(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path((slug, hash)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<History>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let hash = request::hash(&hash)?;
    // Receipts and audit are read from the bucket: few at once.
    let permit = tokio::time::timeout(PATIENCE, Arc::clone(&site.large).acquire_owned());
    let _permit = permit.await.ok().and_then(Result::ok).ok_or_else(|| {
        ApiError::busy("Several large answers are being sent; try again in a few seconds.")
    })?;
    // A server without state, or whose bucket fails, still tells what it knows by itself.
    let most = match asked.is_known() {
        true => RECEIPTS,
        false => RECEIPTS_OF_STRANGERS,
    };
    let (receipts, all_receipts) = match site.ledger.known_receipts(&slug, Some(most)).await {
        Ok(receipts) => {
            let all = receipts.len() < most;
            (receipts, all)
        }
        Err(error) => {
            tracing::warn!(%error, "receipts could not be read for a history");
            (Arc::default(), false)
        }
    };
    let of_path = hash.to_string();
    let receipts: Vec<Receipt> = receipts
        .iter()
        .filter(|receipt| receipt.path == of_path)
        .cloned()
        .collect();
    let may_audit = asked.may_audit(&cache);
    let audit = if may_audit {
        audit(&site, &slug, &of_path).await?
    } else {
        Audit::default()
    };
    // What waits is not there for others, and neither is what was rejected.
    let may_decide = auth::may(&asked.caller, Act::Maintain, cache.on()).is_ok();
    let known = asked.is_known();
    let of = Arc::clone(&site);
    heavy(&site, move || {
        let mut history = written(&of, &cache, hash, (receipts.as_slice(), may_audit));
        if may_decide {
            history
                .items
                .extend(decisions(&of, cache.slug.as_str(), hash));
        }
        history.all_receipts = all_receipts;
        history.audit_since = audit.since;
        history.audit_goes_on = audit.goes_on;
        history.items.extend(audit.items);
        if history.items.is_empty() && !history.present {
            return Err(ApiError::no_path(&hash.to_string(), cache.is_complete()));
        }
        // RFC 3339 in UTC sorts like time; what has no time comes last.
        history.items.sort_by(|a, b| b.at.cmp(&a.at));
        history.items.truncate(MOST);
        if !known {
            for entry in &mut history.items {
                entry.by = None;
            }
        }
        Ok(Json(history))
    })
    .await
}

/// An entry without its details.
fn entry(at: i64, what: Happening, words: impl Into<String>, by: Option<&str>) -> HistoryEntry {
    HistoryEntry {
        at: Some(spelled(at)),
        what,
        words: words.into(),
        by: by.filter(|by| !by.is_empty()).map(str::to_owned),
        detail: None,
        pin: None,
    }
}

/// A text, where there is some.
fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// What the index and the ledger keep of a path.
fn written(
    site: &Site,
    cache: &Cache,
    hash: StorePathHash,
    (receipts, may_audit): (&[Receipt], bool),
) -> History {
    let slug = cache.slug.as_str();
    let view = cache.index.view();
    let id = view.find(&hash);
    let mut items = Vec::new();
    if let Some(id) = id {
        items.push(HistoryEntry {
            at: Some(view.row(id).added_at),
            what: Happening::Seen,
            words: "First seen in the bucket".to_owned(),
            by: None,
            detail: None,
            pin: None,
        });
    }
    for receipt in receipts {
        let by = receipt.by.strip_prefix("member:").unwrap_or(&receipt.by);
        // One that a later check wrote says nothing of how the path came.
        if let (Some(how), Some(at)) = (&receipt.verified_by, receipt.verified_at)
            && how != "upload"
        {
            let words = format!("Content verified ({how}): NarHash {}", receipt.nar_hash);
            items.push(entry(at, Happening::Act, words, Some(by)));
            continue;
        }
        if let Some(refuted) = &receipt.refuted {
            let how = receipt.verified_by.as_deref().unwrap_or("check");
            let words = format!("Content checked ({how}): {}", refuted.content);
            items.push(entry(refuted.at, Happening::Act, words, Some(by)));
            continue;
        }
        let key = receipt.key.as_deref().and_then(|key| key.split(':').next());
        let how = match (&receipt.verified_by, receipt.verified_at) {
            (Some(by), Some(_)) => format!(", its content verified by {by}"),
            _ => String::new(),
        };
        let mut received = entry(
            receipt.first_seen,
            Happening::Received,
            format!("Received with NarHash {}{how}", receipt.nar_hash),
            Some(by),
        );
        received.detail = key.map(|key| format!("Vouched for by the key {key}"));
        items.push(received);
    }
    items.extend(pinned(site, slug, hash));
    items.extend(conflicts(site, slug, hash));
    let held = cache.withheld.held();
    for (_, holding) in held.iter().filter(|(path, _)| **path == hash) {
        let words = match holding.state {
            HeldBack::Quarantined => "Put into quarantine: clients get 404",
            HeldBack::Purged => "Purged: it may not come back",
        };
        let mut told = entry(holding.at, Happening::HeldBack, words, Some(&holding.by));
        told.detail = some(holding.why(may_audit));
        items.push(told);
    }
    let published = |id| {
        let now = Sha256::digest(&view.narinfo_bytes(id)).to_base16();
        receipts.iter().any(|receipt| receipt.narinfo == now)
    };
    let as_published = id.filter(|_| !receipts.is_empty()).map(published);
    History {
        hash: hash.to_string(),
        present: id.is_some(),
        items,
        as_published,
        all_receipts: true,
        audit_since: None,
        audit_goes_on: false,
    }
}

/// The revisions of pins that name a path, as far as they are kept.
fn pinned(site: &Site, slug: &str, hash: StorePathHash) -> Vec<HistoryEntry> {
    let mut found = Vec::new();
    for pin in pins::all(&site.ledger, slug) {
        let name = pin.id.to_string();
        let revisions = pin.revisions.iter();
        for revision in revisions.filter(|revision| revision.path.hash() == hash) {
            let words = format!("Pinned as {name}@{}", revision.number);
            let mut told = entry(revision.at, Happening::Pinned, words, Some(&revision.by));
            told.detail = some(&revision.note);
            told.pin = Some(name.clone());
            found.push(told);
        }
    }
    found
}

/// Uploads of a path that waited for a decision.
fn decisions(site: &Site, slug: &str, hash: StorePathHash) -> Vec<HistoryEntry> {
    let hash = hash.to_string();
    let mut found = Vec::new();
    for upload in waiting::entries(&site.ledger, slug) {
        if upload.hash() != hash {
            continue;
        }
        let mut came = entry(
            upload.created_at,
            Happening::Waits,
            format!(
                "Uploaded with NarHash {}, to be decided on",
                upload.nar_hash
            ),
            Some(&upload.actor),
        );
        came.detail = upload.rule.as_deref().and_then(some);
        found.push(came);
        for word in &upload.approvals {
            let mut told = entry(word.at, Happening::Approved, "Approved", Some(&word.by));
            told.detail = some(&word.reason);
            found.push(told);
        }
        if let Some(word) = &upload.decided {
            let words = format!("Decided: {}", upload.state);
            let mut told = entry(word.at, Happening::Decided, words, Some(&word.by));
            told.detail = some(&word.reason);
            found.push(told);
        }
    }
    found
}

/// Builds of a path that came with other content.
fn conflicts(site: &Site, slug: &str, hash: StorePathHash) -> Vec<HistoryEntry> {
    let mut found = Vec::new();
    for report in conflict::reports(site, slug, Some(hash)) {
        let times = match report.times {
            0 | 1 => String::new(),
            times => format!(", {times} times"),
        };
        let by = report.newcomer.by.join(", ");
        found.push(HistoryEntry {
            at: report.newcomer.at.clone(),
            what: Happening::Conflict,
            words: format!(
                "A build with other content came{times} and was not published: NarHash {}",
                report.newcomer.nar_hash
            ),
            by: some(&by),
            detail: None,
            pin: None,
        });
        if let Some(dismissed) = &report.dismissed {
            let words = "The report of the other build was put aside";
            let mut told = entry(
                dismissed.at,
                Happening::Dismissed,
                words,
                Some(&dismissed.by),
            );
            told.detail = some(&dismissed.reason);
            found.push(told);
        }
    }
    found
}

/// Lines of the audit about a path.
#[derive(Default)]
struct Audit {
    items: Vec<HistoryEntry>,
    since: Option<String>,
    goes_on: bool,
}

async fn audit(site: &Site, slug: &str, hash: &str) -> Result<Audit, ApiError> {
    let ledger = site.access.ledger();
    let days = ledger.audit_days().await?;
    let mut found = Audit {
        goes_on: days.len() > DAYS,
        ..Audit::default()
    };
    for day in days.iter().take(DAYS) {
        let lines = ledger.audit_day(day).await?.entries;
        found.since = Some(day.clone());
        let ours = lines.iter().filter(|line| is_about(line, slug, hash));
        found.items.extend(ours.map(told));
        if found.items.len() >= MOST {
            found.goes_on = true;
            break;
        }
    }
    Ok(found)
}

/// Whether a line names this path of this cache, and tells what nothing else does.
fn is_about(line: &AuditEntry, slug: &str, hash: &str) -> bool {
    let event = &line.event;
    event.cache.as_deref() == Some(slug)
        && !TOLD.contains(&event.act.as_str())
        && (event.object.contains(hash) || event.detail.values().any(|text| text.contains(hash)))
}

fn told(line: &AuditEntry) -> HistoryEntry {
    let event = &line.event;
    let words = if event.refused {
        format!("{}, refused", event.act)
    } else {
        event.act.clone()
    };
    let mut told = entry(event.at, Happening::Act, words, Some(&event.actor));
    told.detail = event.detail.get("reason").and_then(|reason| some(reason));
    told
}
