//! `/caches/{cache}/policy`: the rules for uploads.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use bytes::Bytes;
use snowbank_shared::api::Problem;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::policy::{
    Candidate, DEFAULT_SENTENCE, Policy, PolicyRule, PolicyTrial, Ruling, TriedUpload, TryPolicy,
    decide,
};

use super::problem::ApiError;
use super::request::{Asked, body, heavy};
use crate::auth::records::spelled;
use crate::intake::UploadPolicy;
use crate::ledger::Receipt;
use crate::site::{Cache, Site};

/// Uploads that a policy is tried with.
const TRIED: usize = 100;

fn whole(site: &Site, cache: &Cache) -> Policy {
    let mut policy = UploadPolicy::shown(site, cache);
    policy.sentences.push(DEFAULT_SENTENCE.to_owned());
    policy
}

/// The policy, and each rule of it as a sentence.
#[utoipa::path(
    get,
    path = "/caches/{cache}/policy",
    tag = "uploads",
    operation_id = "get_policy",
    params(("cache" = String, Path, description = "Slug of the cache")),
    responses(
        (status = 200, body = Policy),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Contributor"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn read(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
) -> Result<Json<Policy>, ApiError> {
    let cache = site.cache(&slug).ok_or_else(|| ApiError::no_cache(&slug))?;
    if crate::auth::may(&asked.caller, Act::ReadAudit, cache.on()).is_err() {
        asked.must(&site, Act::Upload, cache.on())?;
    }
    Ok(Json(whole(&site, cache)))
}

/// Changes the policy; `revision` is the one that was read, so that nobody overwrites what they did
/// not see. What waits already waits on by the rule that sent it there.
#[utoipa::path(
    put,
    path = "/caches/{cache}/policy",
    tag = "uploads",
    operation_id = "change_policy",
    params(("cache" = String, Path, description = "Slug of the cache")),
    request_body = Policy,
    responses(
        (status = 200, body = Policy),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner of the cache, and a session"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Somebody changed it meanwhile"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
    ),
)]
pub(super) async fn change(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
    bytes: Bytes,
) -> Result<Json<Policy>, ApiError> {
    let cache = asked.cache(&site, &slug, Act::Manage)?;
    asked.member()?;
    let wish: Policy = body(&bytes)?;
    UploadPolicy::change(&site, &cache, &wish, &asked.by()).await?;
    Ok(Json(whole(&site, &cache)))
}

/// What rules would have done with the last uploads. Nothing is changed.
#[utoipa::path(
    post,
    path = "/caches/{cache}/policy/try",
    tag = "uploads",
    operation_id = "try_policy",
    params(("cache" = String, Path, description = "Slug of the cache")),
    request_body = TryPolicy,
    responses(
        (status = 200, body = PolicyTrial),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A rule cannot be"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "The receipts cannot be read"),
    ),
)]
pub(super) async fn try_rules(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
    bytes: Bytes,
) -> Result<Json<PolicyTrial>, ApiError> {
    let cache = asked.cache(&site, &slug, Act::Maintain)?;
    let wish: TryPolicy = body(&bytes)?;
    let fault = Policy {
        rules: wish.rules.clone(),
        ..Policy::default()
    }
    .fault();
    if let Some(fault) = fault {
        return Err(ApiError::unacceptable("bad-value", fault));
    }
    let receipts = site.ledger.latest_receipts(&slug, TRIED).await?;
    heavy(&site, move || {
        Ok(Json(tried(&cache, &wish.rules, receipts)))
    })
    .await
}

fn tried(cache: &Cache, rules: &[PolicyRule], receipts: Vec<Receipt>) -> PolicyTrial {
    let mut trial = PolicyTrial {
        items: Vec::new(),
        sentences: rules.iter().map(PolicyRule::sentence).collect(),
        published: 0,
        waiting: 0,
        refused: 0,
    };
    trial.sentences.push(DEFAULT_SENTENCE.to_owned());
    let view = cache.index.view();
    for receipt in receipts {
        let row = receipt
            .path
            .parse()
            .ok()
            .and_then(|hash| view.find(&hash))
            .map(|id| view.row(id));
        let key = receipt
            .key
            .as_deref()
            .and_then(|key| key.split(':').next())
            .map(str::to_owned);
        let decided = row.as_ref().map(|row| {
            let upload = Candidate {
                member: receipt.by.strip_prefix("member:"),
                key: key.as_deref(),
                name: &row.name,
                nar_size: row.nar_size,
            };
            decide(rules, &upload)
        });
        match decided {
            Some((_, Ruling::Publish)) => trial.published += 1,
            Some((_, Ruling::Approval { .. } | Ruling::Builders { .. })) => trial.waiting += 1,
            Some((_, Ruling::Refuse { .. })) => trial.refused += 1,
            None => {}
        }
        trial.items.push(TriedUpload {
            hash: receipt.path,
            nar_size: row.as_ref().map(|row| row.nar_size),
            name: row.map(|row| row.name),
            by: receipt.by,
            key,
            at: spelled(receipt.first_seen),
            rule: decided.and_then(|(at, _)| at).map(|at| at as u64),
            ruling: decided.map(|(_, ruling)| ruling.clone()),
        });
    }
    trial
}
