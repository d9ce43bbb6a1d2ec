//! `/caches/{cache}/quarantine`: what clients are not served.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::{Extension, Json};
use bytes::Bytes;
use http::HeaderMap;
use snowbank_shared::api::quarantine::{
    Concerned, HeldPath, LiftQuarantine, QUARANTINE_NEEDS, Quarantine, QuarantineAct, SetQuarantine,
};
use snowbank_shared::api::{PathDetail, PathRow, Problem};
use snowbank_shared::store_path::StorePathHash;

use super::pins::path_of;
use super::problem::ApiError;
use super::request::{Asked, Paging, body, heavy, nothing_left, pairs, readable};
use crate::auth::records::spelled;
use crate::index::View;
use crate::ledger::Scope;
use crate::site::{Cache, Site};
use crate::withheld::{Holding, Lift, Pair, UNDO, WithheldRecord};

/// Paths of one request at most.
const MOST_NAMED: usize = 1_000;
/// Acts that are listed: the newest.
const MOST_ACTS: usize = 100;

/// A path that is held back, as the API shows it.
fn described(view: &View, hash: StorePathHash, holding: &Holding, may_audit: bool) -> HeldPath {
    HeldPath {
        hash: hash.to_string(),
        name: view.find(&hash).map(|id| view.name(id).to_owned()),
        nar_hash: format!("sha256:{}", holding.nar_hash.to_nix32()),
        state: holding.state,
        reason: holding.why(may_audit).to_owned(),
        by: holding.by.to_string(),
        at: spelled(holding.at),
        act: holding.act.as_ref().map(ToString::to_string),
    }
}

/// Marks the rows of a list that are held back.
pub(super) fn mark_rows<'a>(cache: &Cache, rows: impl IntoIterator<Item = &'a mut PathRow>) {
    if cache.withheld.is_empty() {
        return;
    }
    let view = cache.index.view();
    for row in rows {
        let found = row.hash.parse().ok().and_then(|hash| view.find(&hash));
        row.quarantined = found.is_some_and(|id| cache.holds_back(&view, id));
    }
}

/// Says of a path whether it is held back, and why.
pub(super) fn mark_detail(cache: &Cache, view: &View, asked: &Asked, detail: &mut PathDetail) {
    let Ok(hash) = detail.row.hash.parse::<StorePathHash>() else {
        return;
    };
    let Some(id) = view.find(&hash) else { return };
    detail.row.quarantined = cache.holds_back(view, id);
    let held = cache.withheld.held();
    let holding = held.find(&hash, &view.nar_hash(id));
    let may_audit = asked.may_audit(cache);
    detail.held = holding.map(|holding| described(view, hash, holding, may_audit));
    if !asked.is_known()
        && let Some(held) = &mut detail.held
    {
        held.by.clear();
    }
}

/// What a cache holds back: acts newest first, and the paths by hash.
#[utoipa::path(
    get,
    path = "/caches/{cache}/quarantine",
    tag = "paths",
    operation_id = "get_quarantine",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("limit" = Option<u32>, Query, description = "Paths, 1 to 200; 50 where it is not given"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, body = Quarantine),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Quarantine>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let mut pairs = pairs(query.as_deref())?;
    let paging = Paging::take(&mut pairs, 50, 200)?;
    nothing_left(&pairs)?;
    let after = match &paging.cursor {
        None => None,
        Some(cursor) => Some(cursor.parse().map_err(|_| {
            ApiError::bad_parameter("the cursor is not one that a page of this list gave")
        })?),
    };
    let asking = Arc::clone(&site);
    heavy(&site, move || {
        let may_audit = asked.may_audit(&cache);
        let mut page = page(&asking, &cache, (paging.limit, after), may_audit);
        if !asked.is_known() {
            page.items.iter_mut().for_each(|path| path.by.clear());
            page.acts.iter_mut().for_each(|act| act.by.clear());
        }
        Ok(Json(page))
    })
    .await
}

fn page(
    site: &Site,
    cache: &Cache,
    (limit, after): (usize, Option<StorePathHash>),
    may_audit: bool,
) -> Quarantine {
    let held = cache.withheld.held();
    let view = cache.index.view();
    let mut rest = held.after(after);
    let mut items = Vec::new();
    let mut last = None;
    for (hash, holdings) in rest.by_ref().take(limit) {
        items.extend(
            holdings
                .iter()
                .map(|holding| described(&view, *hash, holding, may_audit)),
        );
        last = Some(hash.to_string());
    }
    Quarantine {
        acts: acts(site, cache),
        items,
        next: rest.next().and(last),
        total: held.counts().0,
    }
}

/// The acts of which something is left, newest first.
fn acts(site: &Site, cache: &Cache) -> Vec<QuarantineAct> {
    let mut acts: BTreeMap<String, (i64, QuarantineAct)> = BTreeMap::new();
    let ledger = site.ledger.view();
    for record in ledger.list::<WithheldRecord>(Scope::Cache(cache.slug.as_str())) {
        let (_, act) = acts.entry(record.act.clone()).or_insert_with(|| {
            (
                record.at,
                QuarantineAct {
                    id: record.act.clone(),
                    reason: record.reason.clone(),
                    by: record.by.clone(),
                    at: spelled(record.at),
                    paths: 0,
                    left: 0,
                    undo_until: spelled(record.at + UNDO),
                },
            )
        });
        act.paths += record.pairs.len() as u64;
        act.left += record.left().count() as u64;
    }
    let mut acts: Vec<(i64, QuarantineAct)> = acts.into_values().collect();
    acts.sort_by(|(one, a), (two, b)| two.cmp(one).then_with(|| a.id.cmp(&b.id)));
    acts.into_iter()
        .map(|(_, act)| act)
        .filter(|act| act.left > 0)
        .take(MOST_ACTS)
        .collect()
}

/// Puts paths into quarantine: clients get 404, and nobody may upload the same again. Nothing is deleted.
#[utoipa::path(
    post,
    path = "/caches/{cache}/quarantine",
    tag = "paths",
    operation_id = "set_quarantine",
    params(("cache" = String, Path, description = "Slug of the cache")),
    request_body = SetQuarantine,
    responses(
        (status = 200, body = Concerned),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or path"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
    ),
)]
pub(super) async fn set(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
    bytes: Bytes,
) -> Result<Json<Concerned>, ApiError> {
    let cache = asked.cache(&site, &slug, QUARANTINE_NEEDS)?;
    let wish: SetQuarantine = body(&bytes)?;
    if !(1..=MOST_NAMED).contains(&wish.paths.len()) {
        return Err(ApiError::unacceptable(
            "not-acceptable",
            format!("Name 1 to {MOST_NAMED} paths."),
        ));
    }
    let view = cache.index.view();
    let mut pairs = BTreeSet::new();
    for path in &wish.paths {
        let path = path_of(path)?;
        let id = super::request::find(&cache, &view, path)?;
        pairs.insert(Pair {
            path,
            nar_hash: view.nar_hash(id),
        });
    }
    drop(view);
    let paths = hide(&site, &cache, pairs, &wish.reason, &asked).await?;
    Ok(Json(Concerned { paths }))
}

/// Puts pairs into quarantine and shows it in Health.
pub(super) async fn hide(
    site: &Site,
    cache: &Arc<Cache>,
    pairs: impl IntoIterator<Item = Pair>,
    reason: &str,
    asked: &Asked,
) -> Result<u64, ApiError> {
    let (slug, by) = (cache.slug.as_str(), asked.by());
    let hidden = cache
        .withheld
        .quarantine(&site.access, slug, pairs, reason, &by)
        .await;
    show(site, cache).await?;
    Ok(hidden?)
}

/// Shows in Health what is so now.
async fn show(site: &Site, cache: &Arc<Cache>) -> Result<(), ApiError> {
    let cache = Arc::clone(cache);
    heavy(site, move || {
        cache.withheld.show(&cache.index);
        Ok(())
    })
    .await
}

/// Lets a path out of quarantine, or what is left of an act.
#[utoipa::path(
    post,
    path = "/caches/{cache}/quarantine/lift",
    tag = "paths",
    operation_id = "lift_quarantine",
    params(("cache" = String, Path, description = "Slug of the cache")),
    request_body = LiftQuarantine,
    responses(
        (status = 200, body = Concerned),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "Nothing of that is in quarantine"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
    ),
)]
pub(super) async fn lift(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
    bytes: Bytes,
) -> Result<Json<Concerned>, ApiError> {
    let cache = asked.cache(&site, &slug, QUARANTINE_NEEDS)?;
    let wish: LiftQuarantine = body(&bytes)?;
    let what = match (wish.hash, wish.act) {
        (Some(hash), None) => Lift::Path(path_of(&hash)?),
        (None, Some(act)) => Lift::Act(act),
        _ => {
            return Err(ApiError::unacceptable(
                "not-acceptable",
                "Name one: `hash`, a path, or `act`, what put paths into quarantine.",
            ));
        }
    };
    let lifted = cache
        .withheld
        .lift(
            &site.access,
            cache.slug.as_str(),
            &what,
            &wish.reason,
            &asked.by(),
        )
        .await;
    show(&site, &cache).await?;
    Ok(Json(Concerned { paths: lifted? }))
}
