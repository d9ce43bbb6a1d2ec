//! What was written is shown at once: the index gets the narinfos with the ETags that the bucket answered,
//! by which the next sweep knows them and does not fetch them again.

use futures_util::{StreamExt as _, stream};
use snowbank_shared::hash::Sha256;
use snowbank_shared::store_path::StorePathHash;

use super::one::{Became, Looked, Written};
use crate::auth::records::now;
use crate::index::{Change, ParsedEntry};
use crate::ledger::{Receipt, claims_of};
use crate::site::{Cache, Site};

/// Shows a batch: in the index, to who waits for the paths, to the other replicas, in receipts.
pub(super) async fn show(site: &Site, cache: &Cache, looked: Vec<Looked>, how: &str) {
    let slug = cache.slug.as_str();
    let mut receipts = Vec::new();
    let mut puts = Vec::with_capacity(looked.len());
    let mut checked = Vec::new();
    let view = cache.index.view();
    for Looked {
        hash,
        became,
        content,
        ..
    } in looked
    {
        checked.extend(content.map(|content| Change::Content(hash, content)));
        let (Became::Changed(done) | Became::Same(Some(done))) = became else {
            continue;
        };
        let seen = view.find(&hash).map_or_else(now, |id| view.added_at(id));
        if content.is_some() {
            receipts.push(receipt(&done, hash, seen, how));
        }
        puts.push(Change::Put(Box::new(ParsedEntry {
            narinfo: done.narinfo,
            judgement: done.judgement,
            token: done.token,
            // Of a path that is known the index keeps the first.
            added_at: seen,
        })));
        cache.lookups.forget(&hash);
        site.ledger.announce(slug, &hash.narinfo_key());
    }
    drop(view);
    puts.append(&mut checked);
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
