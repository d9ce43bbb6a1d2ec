//! `/caches/{cache}/health/{check}/repair`: what is done about findings, first shown and then done.
//!
//! A dry run lists the steps and names them: the name is a hash over what is done, to which objects, in
//! which state. Doing it makes the list anew and goes on only where the name is still the same, so that
//! nothing is done that nobody has seen. Every step is held against the bucket and the index again.

use std::collections::{BTreeMap, HashSet};
use std::pin::pin;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use snowbank_shared::api::repair::{Repair, RepairAct, RepairStep, RepairWish};
use snowbank_shared::api::{Finding, Problem};
use snowbank_shared::hash::Sha256;
use snowbank_shared::narinfo::{MAX_BYTES, object_key};
use snowbank_shared::store_path::StorePathHash;
use time::OffsetDateTime;

use super::problem::{ApiError, excerpt};
use super::quarantine;
use super::request::{Asked, body, heavy};
use crate::bucket::encoding::Decoded;
use crate::bucket::{
    BucketError, BucketErrorKind, ETag, ListRequest, ObjectMeta, PutOptions, Unfinished,
};
use crate::index::{Change, ChangeToken, View};
use crate::retention::Retention;
use crate::site::{Cache, Site, surroundings};
use crate::withheld::Pair;

/// Steps of one repair at most.
const MOST: usize = 500;
/// Objects that are looked at in the bucket at once.
const AT_ONCE: usize = 16;
/// A file without a narinfo stays for so many seconds: a session of uploads may still want it.
const SPARED: i64 = 8 * 24 * 3600;
/// Why paths without a NAR are in quarantine.
const NO_NAR: &str = "its NAR is missing from the bucket";

/// What is to be done to one object, and in which state it was seen.
struct Step {
    shown: RepairStep,
    state: String,
    does: Does,
}

enum Does {
    Delete,
    Rewrite(Bytes, Option<String>, Option<ETag>),
    Hide(Pair),
    GiveUp(Vec<Unfinished>),
}

/// Repairs the findings of a check, or shows how: at most 500 objects at once.
#[utoipa::path(
    post,
    path = "/caches/{cache}/health/{check}/repair",
    tag = "caches",
    operation_id = "repair_health",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("check" = String, Path, description = "orphan-nar, unfinished-upload, content-encoding or nar-missing"),
    ),
    request_body = RepairWish,
    responses(
        (status = 200, body = Repair),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer, or Owner where something is deleted or hidden"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is not as the dry run showed it any more, or the index is behind the bucket"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "Findings of this check are not repaired here, or the plan is missing"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "The bucket does not answer"),
    ),
)]
pub(super) async fn repair(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(retention): Extension<Retention>,
    Path((slug, check)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<Json<Repair>, ApiError> {
    let act = RepairAct::of(&check);
    // Whether a check can be repaired is for those who might do it.
    let needs = act.map_or(
        snowbank_shared::api::access::Act::Maintain,
        RepairAct::needs,
    );
    let cache = asked.cache(&site, &slug, needs)?;
    let act = act.ok_or_else(|| {
        ApiError::unacceptable(
            "no-repair",
            format!(
                "Findings of `{}` are not repaired here. Health says what to do about them.",
                excerpt(&check)
            ),
        )
    })?;
    let wish: RepairWish = body(&bytes)?;
    if !wish.dry_run && act == RepairAct::Delete {
        nothing_unseen(&cache).await?;
    }
    let spared = match act {
        RepairAct::Delete => retention.nars_that_may_come_back(&cache).await?,
        _ => HashSet::new(),
    };
    let (mut steps, total) = steps(&site, &cache, &check, act).await?;
    // What a run took out can be put back as long as its NARs are there.
    steps.retain(|step| !spared.contains(&step.shown.object));
    let plan = named(&check, &steps);
    let mut repair = Repair {
        check,
        act,
        plan,
        dry_run: wish.dry_run,
        others: total.saturating_sub(steps.len() as u64),
        steps: Vec::new(),
        done: 0,
    };
    if wish.dry_run {
        repair.steps = steps.into_iter().map(|step| step.shown).collect();
        return Ok(Json(repair));
    }
    match wish.plan {
        None => {
            return Err(ApiError::unacceptable(
                "no-plan",
                "Ask for a dry run first, and send its `plan`: only what it showed is done.",
            ));
        }
        Some(plan) if plan != repair.plan => {
            return Err(ApiError::conflict(
                "plan-changed",
                "It is not as the dry run showed it any more. Nothing was done. Look at it again.",
            ));
        }
        Some(_) => {}
    }
    let first = steps.first().map(|step| step.shown.object.clone());
    let done = carry_out(&site, &cache, &repair.check, steps, &asked).await;
    let (steps, failed) = match done {
        Ok(steps) => (steps, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    repair.done = steps.iter().filter(|step| step.left.is_none()).count() as u64;
    repair.steps = steps;
    if repair.done > 0 {
        site.access
            .note_in(
                cache.slug.as_str(),
                &asked.by(),
                "health.repair",
                &repair.check,
                &[
                    ("plan", repair.plan.clone()),
                    ("done", repair.done.to_string()),
                    ("first", first.unwrap_or_default()),
                ],
            )
            .await;
    }
    failed.map_or(Ok(Json(repair)), Err)
}

/// The steps for the findings of a check, by object, and how many findings there are.
async fn steps(
    site: &Site,
    cache: &Arc<Cache>,
    check: &str,
    act: RepairAct,
) -> Result<(Vec<Step>, u64), ApiError> {
    let (looked, of) = (Arc::clone(cache), check.to_owned());
    let (view, found) = heavy(site, move || {
        let view = looked.index.view();
        let found = view.health(Some(&of), MOST, None)?;
        Ok((view, found))
    })
    .await?;
    let mut uploads = match act {
        RepairAct::GiveUp => surroundings::unfinished(cache, surroundings::GRACE)
            .await
            .map_err(|error| unavailable(&error))?,
        _ => BTreeMap::new(),
    };
    let total = found.total;
    let items: Vec<_> = found
        .items
        .into_iter()
        .map(|finding| {
            let uploads = uploads.remove(&finding.object);
            (finding, uploads)
        })
        .collect();
    let view = &view;
    let steps: Vec<Option<Step>> = stream::iter(items)
        .map(|(finding, uploads)| async move {
            let step = match act {
                RepairAct::Delete => orphan(cache, view, &finding).await,
                RepairAct::Rewrite => encoded(cache, &finding).await,
                RepairAct::Hide => without_nar(cache, view, &finding).await,
                RepairAct::GiveUp => Ok(uploads.map(|uploads| given_up(&finding, uploads))),
            };
            step.map_err(|error| unavailable(&error))
        })
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok((steps.into_iter().flatten().collect(), total))
}

fn unavailable(error: &BucketError) -> ApiError {
    ApiError::bucket_unavailable(format!("Nothing was done: {error}."))
}

/// The name of exactly these steps.
fn named(check: &str, steps: &[Step]) -> String {
    let mut text = format!("{check}\n");
    for Step { shown, state, .. } in steps {
        text.push_str(&format!("{:?} {state:?}\n", shown.object));
    }
    Sha256::digest(text.as_bytes()).to_nix32()
}

fn shown(object: &str, bytes: Option<u64>, text: impl Into<String>) -> RepairStep {
    RepairStep {
        object: object.to_owned(),
        bytes,
        text: text.into(),
        left: None,
    }
}

fn state_of(meta: &ObjectMeta) -> String {
    ChangeToken::from(meta).fingerprint().to_string()
}

async fn orphan(
    cache: &Cache,
    view: &View,
    finding: &Finding,
) -> Result<Option<Step>, BucketError> {
    if view.names_nar(&finding.object) {
        return Ok(None);
    }
    let Some(meta) = cache.bucket.find(&finding.object).await? else {
        return Ok(None);
    };
    let oldest = OffsetDateTime::now_utc().unix_timestamp() - SPARED;
    let old = |time: OffsetDateTime| time.unix_timestamp() < oldest;
    if !meta.last_modified.is_some_and(old) {
        return Ok(None);
    }
    Ok(Some(Step {
        shown: shown(
            &finding.object,
            Some(meta.size),
            "deleted: no narinfo names it",
        ),
        state: state_of(&meta),
        does: Does::Delete,
    }))
}

async fn encoded(cache: &Cache, finding: &Finding) -> Result<Option<Step>, BucketError> {
    let object = match cache.bucket.get_small(&finding.object, MAX_BYTES).await {
        Ok(object) => object,
        // Gone, or not to be read: that is another check's.
        Err(error) => match error.kind() {
            BucketErrorKind::NotFound | BucketErrorKind::Corrupt | BucketErrorKind::TooLarge => {
                return Ok(None);
            }
            _ => return Err(error),
        },
    };
    if !matches!(
        object.encoding,
        Decoded::Sniffed(_) | Decoded::Mislabelled(_)
    ) {
        return Ok(None);
    }
    Ok(Some(Step {
        shown: shown(
            &finding.object,
            None,
            "written again as plain text, without a Content-Encoding; the text stays as it is",
        ),
        state: state_of(&object.meta),
        does: Does::Rewrite(object.bytes, object.meta.mark, object.meta.etag),
    }))
}

async fn without_nar(
    cache: &Cache,
    view: &View,
    finding: &Finding,
) -> Result<Option<Step>, BucketError> {
    let hash: Option<StorePathHash> = finding.hash.as_ref().and_then(|hash| hash.parse().ok());
    let Some((path, id)) = hash.and_then(|hash| Some((hash, view.find(&hash)?))) else {
        return Ok(None);
    };
    let nar_hash = view.nar_hash(id);
    if cache.withheld.holds(&path, || Some(nar_hash)) {
        return Ok(None);
    }
    let url = view.url(id);
    if cache.bucket.find(&object_key(&url)).await?.is_some() {
        return Ok(None);
    }
    Ok(Some(Step {
        shown: shown(
            &finding.object,
            None,
            format!("put into quarantine: {url} is not in the bucket"),
        ),
        state: nar_hash.to_nix32(),
        does: Does::Hide(Pair { path, nar_hash }),
    }))
}

fn given_up(finding: &Finding, uploads: Vec<Unfinished>) -> Step {
    let ids: Vec<&str> = uploads.iter().map(|found| found.upload.id()).collect();
    let text = match ids.len() {
        1 => "the upload in parts is given up; its parts are gone".to_owned(),
        more => format!("{more} uploads in parts are given up; their parts are gone"),
    };
    Step {
        state: ids.join(" "),
        shown: shown(&finding.object, None, text),
        does: Does::GiveUp(uploads),
    }
}

/// Refuses where the bucket holds narinfos that the index has not read: one of them may name a file
/// that looks as if nobody did.
async fn nothing_unseen(cache: &Cache) -> Result<(), ApiError> {
    let view = cache.index.view();
    let request = ListRequest {
        delimiter: true,
        ..ListRequest::default()
    };
    let mut pages = pin!(cache.bucket.list_ahead(request));
    let mut unseen = 0_u64;
    while let Some(page) = pages.next().await {
        for object in page.map_err(|error| unavailable(&error))?.objects {
            let known = view.token(&object.key);
            let known = known.is_some_and(|known| ChangeToken::is_of(known, &object));
            if !known && StorePathHash::from_narinfo_key(&object.key).is_some() {
                unseen += 1;
            }
        }
    }
    if unseen == 0 {
        return Ok(());
    }
    Err(ApiError::conflict(
        "index-behind",
        format!(
            "The bucket has {unseen} narinfos that were not read yet, and one of them may need what would be deleted. Nothing was done. Try again after the next sweep."
        ),
    ))
}

/// Does the steps; says of each that was left why.
async fn carry_out(
    site: &Site,
    cache: &Arc<Cache>,
    check: &str,
    steps: Vec<Step>,
    asked: &Asked,
) -> Result<Vec<RepairStep>, ApiError> {
    let mut pairs = Vec::new();
    let mut over = Vec::new();
    let mut said = Vec::with_capacity(steps.len());
    for Step {
        mut shown, does, ..
    } in steps
    {
        let left = match does {
            Does::Hide(pair) => {
                pairs.push(pair);
                said.push(shown);
                continue;
            }
            Does::Delete if cache.index.view().names_nar(&shown.object) => {
                Some("a narinfo names it by now".to_owned())
            }
            Does::Delete => failure(cache.bucket.delete(&shown.object).await),
            Does::Rewrite(bytes, mark, etag) => {
                let options = PutOptions {
                    mark,
                    ..PutOptions::of_type("text/x-nix-narinfo")
                };
                let key = &shown.object;
                let put = match &etag {
                    Some(etag) => cache.bucket.put_if_match(key, bytes, &options, etag).await,
                    None => cache.bucket.put(key, bytes, &options).await,
                };
                failure(put.map(drop))
            }
            Does::GiveUp(uploads) => {
                let mut failed = None;
                for found in uploads {
                    let aborted = cache.bucket.multipart_abort(&found.upload).await;
                    failed = failed.or(failure(aborted));
                }
                failed
            }
        };
        if left.is_none() {
            over.push(Change::Settled(check.to_owned(), shown.object.clone()));
        }
        shown.left = left;
        said.push(shown);
    }
    if !over.is_empty() {
        let cache = Arc::clone(cache);
        let settled = heavy(site, move || {
            cache.index.apply(over);
            Ok(())
        });
        // Where it does not get its turn, the next sweep settles them.
        if settled.await.is_err() {
            tracing::info!(check, "what was repaired is shown until the next sweep");
        }
    }
    if !pairs.is_empty() {
        quarantine::hide(site, cache, pairs, NO_NAR, asked).await?;
    }
    Ok(said)
}

fn failure(outcome: Result<(), BucketError>) -> Option<String> {
    outcome.err().map(|error| error.to_string())
}
