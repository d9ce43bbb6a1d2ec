//! Pins as the API shows them, with what only they keep.

use snowbank_shared::api::Page;
use snowbank_shared::api::pins::{Pin, PinDetail, PinRevision, PinWeight};
use snowbank_shared::store_path::{StorePath, StorePathHash};

use super::PinRecord;
use crate::auth::records::spelled;
use crate::index::View;
use crate::ledger::{Entry, Ledger};
use crate::site::{Cache, Site};

/// Pins of a page at most.
pub const MOST_LISTED: usize = 200;

/// A page of a cache's pins by name: those after `cursor`, which is a name. Walks what they keep:
/// run it off the reactor.
pub fn list(site: &Site, cache: &Cache, limit: usize, cursor: Option<&str>) -> Page<Pin> {
    let pins = super::all(&site.ledger, cache.slug.as_str());
    let view = cache.index.view();
    let weights = weights(&view, &pins);
    let total = pins.len() as u64;
    let mut rest = pins
        .iter()
        .zip(weights)
        .filter(|(pin, _)| cursor.is_none_or(|cursor| pin.id.as_str() > cursor));
    let items: Vec<Pin> = rest
        .by_ref()
        .take(limit.clamp(1, MOST_LISTED))
        .filter_map(|(pin, weight)| described(site, cache, &view, pin, weight))
        .collect();
    let next = items.last().map(|last| last.name.clone());
    Page {
        next: rest.next().and(next),
        items,
        total,
        revision: revision(&view, &site.ledger),
        complete: cache.is_complete(),
    }
}

/// One pin with its revisions; `None` where there is none. As [`list`].
pub fn detail(site: &Site, cache: &Cache, name: &str) -> Option<PinDetail> {
    let pins = super::all(&site.ledger, cache.slug.as_str());
    let view = cache.index.view();
    let at = pins.iter().position(|pin| pin.id.as_str() == name)?;
    let weight = weights(&view, &pins)[at];
    let pin = &pins[at];
    let revisions = pin.revisions.iter().rev().map(|revision| {
        let (present, closure_size, _) = standing(&view, revision.path.hash());
        PinRevision {
            number: revision.number,
            path: full(cache, &revision.path),
            hash: revision.path.hash().to_string(),
            present,
            closure_size,
            at: spelled(revision.at),
            by: revision.by.clone(),
            note: revision.note.clone(),
        }
    });
    Some(PinDetail {
        revisions: revisions.collect(),
        pin: described(site, cache, &view, pin, weight)?,
    })
}

fn weights(view: &View, pins: &[Entry<PinRecord>]) -> Vec<PinWeight> {
    let sets: Vec<Vec<StorePathHash>> = pins.iter().map(|pin| pin.roots()).collect();
    view.exclusive(&sets)
}

/// Changes with the index and with the ledger.
fn revision(view: &View, ledger: &Ledger) -> String {
    format!("{}.{}", view.revision(), ledger.view().revision())
}

/// Whether a path is here; size and number of its closure.
fn standing(view: &View, hash: StorePathHash) -> (bool, Option<u64>, Option<u64>) {
    match view.find(&hash) {
        None => (false, None, None),
        Some(id) => {
            let row = view.row(id);
            (true, row.closure_size, row.closure_paths)
        }
    }
}

fn full(cache: &Cache, path: &StorePath) -> String {
    format!("{}/{path}", cache.store_dir)
}

fn described(
    site: &Site,
    cache: &Cache,
    view: &View,
    pin: &Entry<PinRecord>,
    exclusive: PinWeight,
) -> Option<Pin> {
    let newest = pin.newest()?;
    let (present, closure_size, closure_paths) = standing(view, newest.path.hash());
    let name = pin.id.to_string();
    Some(Pin {
        revision: newest.number,
        path: full(cache, &newest.path),
        hash: newest.path.hash().to_string(),
        present,
        closure_size,
        closure_paths,
        exclusive,
        kept: pin.revisions.len() as u64,
        keep: pin.keep,
        created_by: pin.created_by.clone(),
        created_at: spelled(pin.created_at),
        changed_by: newest.by.clone(),
        changed_at: spelled(newest.at),
        note: newest.note.clone(),
        url: site
            .public_url
            .join(&format!("c/{}/pins/{name}/path", cache.slug)),
        name,
    })
}
