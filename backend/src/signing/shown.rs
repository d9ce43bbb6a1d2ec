//! What was written is shown at once: the index gets the narinfos with the tokens that the next listing
//! will have, so that the sweep does not fetch them again.

use std::collections::HashMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use snowbank_shared::hash::Sha256;
use snowbank_shared::store_path::StorePathHash;

use super::one::{Became, Looked, Written};
use crate::auth::records::now;
use crate::bucket::{ETag, ListRequest, ObjectMeta};
use crate::index::{Change, ChangeToken, ParsedEntry};
use crate::ledger::{Receipt, claims_of};
use crate::site::{Cache, Site};

/// Up to so many objects are asked for one by one.
const FEW: usize = 8;
/// Objects that are asked for at once.
const AT_ONCE: usize = 16;
/// Pages of a listing that are read for a batch at most.
const PAGES: usize = 4;

/// Shows a batch: in the index, to who waits for the paths, to the other replicas, in receipts.
pub(super) async fn show(site: &Site, cache: &Cache, looked: Vec<Looked>, how: &str) {
    let slug = cache.slug.as_str();
    let mut written = Vec::new();
    let mut changes = Vec::new();
    for Looked {
        hash,
        became,
        content,
        ..
    } in looked
    {
        if let Some(content) = content {
            changes.push(Change::Content(hash, content));
        }
        if let Became::Changed(done) | Became::Same(Some(done)) = became {
            written.push((hash, *done, content.is_some()));
        }
    }
    let mut tokens = tokens(cache, &written).await;
    let mut receipts = Vec::new();
    let view = cache.index.view();
    let mut puts = Vec::with_capacity(written.len() + changes.len());
    for (hash, done, proven) in written {
        let seen = view.find(&hash).map_or_else(now, |id| view.added_at(id));
        if proven {
            receipts.push(receipt(&done, hash, seen, how));
        }
        let token = tokens.remove(&hash).unwrap_or(ChangeToken {
            size: done.narinfo.to_bytes().len() as u64,
            last_modified: 0,
            etag: None,
        });
        puts.push(Change::Put(Box::new(ParsedEntry {
            narinfo: done.narinfo,
            judgement: done.judgement,
            token,
            // Of a path that is known the index keeps the first.
            added_at: seen,
        })));
        cache.lookups.forget(&hash);
        site.ledger.announce(slug, &hash.narinfo_key());
    }
    drop(view);
    puts.append(&mut changes);
    let index = cache.index.clone();
    let applied = tokio::task::spawn_blocking(move || {
        // Up to a thousand show when it returns.
        let mut puts = puts.into_iter().peekable();
        while puts.peek().is_some() {
            index.apply(puts.by_ref().take(1_000).collect());
        }
    });
    if let Err(error) = applied.await {
        tracing::error!(cache = slug, %error, "showing changed signatures failed; the next sweep does");
    }
    cache.proofs.note(&receipts);
    let kept = stream::iter(receipts).for_each_concurrent(None, |receipt| async move {
        if let Err(error) = site.ledger.receipt(slug, &receipt).await {
            tracing::warn!(path = receipt.path, %error, "a receipt of a check could not be written");
        }
    });
    kept.await;
}

/// That the content of a path was proven before it was signed.
fn receipt(done: &Written, hash: StorePathHash, first_seen: i64, how: &str) -> Receipt {
    let narinfo = &done.narinfo;
    Receipt {
        path: hash.to_string(),
        nar_hash: format!("sha256:{}", narinfo.nar_hash().to_nix32()),
        nar_key: narinfo.nar_key().into_owned(),
        nar_etag: None,
        narinfo: Sha256::digest(narinfo.to_bytes()).to_base16(),
        by: how.to_owned(),
        key: None,
        first_seen,
        verified_at: Some(now()),
        verified_by: Some("counter-sign".to_owned()),
        claims: Some(claims_of(narinfo).to_string()),
        refuted: None,
    }
}

/// The tokens of what was written, where it still lies there: by a page or two of a listing, because a
/// job goes through a cache in the order of its keys; or one by one, where the batch is thin.
async fn tokens(
    cache: &Cache,
    written: &[(StorePathHash, Written, bool)],
) -> HashMap<StorePathHash, ChangeToken> {
    let mut wanted: HashMap<StorePathHash, Option<&ETag>> = written
        .iter()
        .map(|(hash, done, _)| (*hash, done.etag.as_ref()))
        .collect();
    let mut found = HashMap::new();
    let mut take = |hash: StorePathHash, meta: &ObjectMeta| {
        let Some(etag) = wanted.remove(&hash) else {
            return;
        };
        // Another version may lie there by now: the sweep sees to that one.
        if etag.is_none() || meta.etag.is_none() || etag == meta.etag.as_ref() {
            found.insert(hash, ChangeToken::from(meta));
        }
    };
    let bucket = cache.bucket.bulk();
    if written.len() > FEW
        && let (Some(first), Some(last)) = (
            written.iter().map(|(hash, ..)| *hash).min(),
            written.iter().map(|(hash, ..)| *hash).max(),
        )
    {
        let pages = bucket.list(ListRequest {
            delimiter: true,
            // Before `HASH.narinfo`, and after every hash before it.
            start_after: Some(first.to_string()),
            ..ListRequest::default()
        });
        let mut pages = std::pin::pin!(pages.take(PAGES));
        while let Ok(Some(page)) = pages.try_next().await {
            let mut beyond = false;
            for meta in &page.objects {
                if let Some(hash) = StorePathHash::from_narinfo_key(&meta.key) {
                    beyond |= hash > last;
                    take(hash, meta);
                }
            }
            if beyond {
                break;
            }
        }
    }
    let rest: Vec<StorePathHash> = wanted.keys().copied().collect();
    let asked = stream::iter(rest).map(|hash| {
        let bucket = &bucket;
        async move { (hash, bucket.head(&hash.narinfo_key()).await.ok()) }
    });
    let asked: Vec<_> = asked.buffer_unordered(AT_ONCE).collect().await;
    for (hash, meta) in asked {
        let Some(meta) = meta else { continue };
        let ours = written.iter().find(|(written, ..)| *written == hash);
        let etag = ours.and_then(|(_, done, _)| done.etag.as_ref());
        if etag.is_none() || meta.etag.is_none() || etag == meta.etag.as_ref() {
            found.insert(hash, ChangeToken::from(&meta));
        }
    }
    found
}
