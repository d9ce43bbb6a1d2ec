//! `/caches/{cache}/gc`: the rules of retention, what rules would keep and remove, and why. Nothing
//! here deletes: plans and runs are in `runs`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Path, RawQuery, State};
use axum::{Extension, Json};
use bytes::Bytes;
use http::HeaderMap;
use snowbank_shared::api::Problem;
use snowbank_shared::api::quarantine::HeldBack;
use snowbank_shared::api::retention::{
    Gone, RETENTION_NEEDS, RetentionRules, Rules, SIMULATING_NEEDS, Simulation, WhyKept,
};
use snowbank_shared::store_path::StorePathHash;

use super::problem::{ApiError, excerpt};
use super::request::{self, Asked, body, find, heavy, nothing_left, pairs, readable, taken};
use super::vouching::uploaders;
use crate::auth::records::spelled;
use crate::retention::{self, Known, Retention};
use crate::site::{Cache, Site};
use crate::sizes::prices::{monthly, prices};

/// How long the number of paths without a receipt is remembered: to find it, all receipts are read.
const REMEMBERED: Duration = Duration::from_secs(600);

/// How many paths of each cache came past this server, as of a few minutes ago.
#[derive(Debug, Default)]
pub(super) struct PastUs(Mutex<HashMap<String, (Instant, u64)>>);

impl PastUs {
    /// Of one cache.
    async fn of(&self, site: &Site, asked: &Asked, cache: &Arc<Cache>) -> Result<u64, ApiError> {
        let slug = cache.slug.as_str();
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known().get(slug).copied();
        if let Some((at, count)) = before
            && at.elapsed() < REMEMBERED
        {
            return Ok(count);
        }
        let uploaders = uploaders(site, asked, cache).await?;
        let index = Arc::clone(cache);
        let count = heavy(site, move || {
            let view = index.index.view();
            let past = view.hashes().filter(|hash| !uploaders.contains_key(hash));
            Ok(past.count() as u64)
        })
        .await?;
        known().insert(slug.to_owned(), (Instant::now(), count));
        Ok(count)
    }
}

/// A number of the query.
fn number<T: std::str::FromStr>(
    pairs: &mut Vec<(String, String)>,
    name: &str,
) -> Result<Option<T>, ApiError> {
    let Some(value) = taken(pairs, name) else {
        return Ok(None);
    };
    value.parse().map(Some).map_err(|_| {
        ApiError::bad_parameter(format!(
            "`{name}` cannot be `{}`: it is a number",
            excerpt(&value)
        ))
    })
}

/// The rules of a query; `None` where it names none.
fn asked_rules(query: Option<&str>) -> Result<Option<Rules>, ApiError> {
    let mut pairs = pairs(query)?;
    if pairs.is_empty() {
        return Ok(None);
    }
    let mut rules = Rules {
        pins: number(&mut pairs, "pins")?,
        fetched_days: number(&mut pairs, "fetched_days")?,
        uploaded_days: number(&mut pairs, "uploaded_days")?,
        names: Vec::new(),
        target_size: number(&mut pairs, "target_size")?,
        grace_hours: Rules::default().grace_hours,
    };
    if let Some(hours) = number(&mut pairs, "grace_hours")? {
        rules.grace_hours = hours;
    }
    pairs.retain(|(name, value)| {
        let is_name = name == "names";
        if is_name {
            rules.names.push(value.clone());
        }
        !is_name
    });
    nothing_left(&pairs)?;
    match retention::fault(&rules) {
        Some(fault) => Err(ApiError::bad_parameter(fault)),
        None => Ok(Some(rules)),
    }
}

/// What rules would keep and remove. Nothing is changed; without parameters by the rules of the cache.
#[utoipa::path(
    get,
    path = "/caches/{cache}/gc/simulate",
    tag = "retention",
    operation_id = "simulate_retention",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("pins" = Option<u16>, Query, description = "Keeps so many of the newest revisions of each pin"),
        ("fetched_days" = Option<u32>, Query, description = "Keeps what was fetched within so many days, where that is measured"),
        ("uploaded_days" = Option<u32>, Query, description = "Keeps what was added within so many days"),
        ("names" = Option<Vec<String>>, Query, description = "Keeps paths whose names match, as `nixos-*`; may come several times"),
        ("target_size" = Option<u64>, Query, description = "Bytes as stored to come down to: rules that do are suggested"),
        ("grace_hours" = Option<u32>, Query, description = "Hours for which what is new stays; 24 where it is not given"),
    ),
    responses(
        (status = 200, body = Simulation),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "The receipts cannot be read"),
    ),
)]
pub(super) async fn simulate(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(past_us): Extension<Arc<PastUs>>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Simulation>, ApiError> {
    let cache = asked.cache(&site, &slug, SIMULATING_NEEDS)?;
    let rules =
        asked_rules(query.as_deref())?.unwrap_or_else(|| retention::shown(&site, &cache).rules);
    let foreign_paths = past_us.of(&site, &asked, &cache).await?;
    let asking = Arc::clone(&site);
    heavy(&site, move || {
        let known = Known::of(&asking, &cache);
        let mut simulation = retention::simulated(&asking, &cache, &known, &rules);
        simulation.foreign_paths = foreign_paths;
        simulation.suggested = retention::suggest(known.facts(), &rules);
        if let Some(prices) = prices(&asking.ledger, &slug) {
            simulation.saves_monthly = Some(monthly(&prices, simulation.frees.bytes));
            simulation.currency = Some(prices.currency);
        }
        Ok(Json(simulation))
    })
    .await
}

/// Why the rules of the cache keep a path, or would remove it.
#[utoipa::path(
    get,
    path = "/caches/{cache}/gc/why/{hash}",
    tag = "retention",
    operation_id = "why_kept",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "Hash part of the store path, or `hash-name`"),
    ),
    responses(
        (status = 200, body = WhyKept),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "Not a hash"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or path"),
    ),
)]
pub(super) async fn why(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path((slug, hash)): Path<(String, String)>,
) -> Result<Json<WhyKept>, ApiError> {
    let cache = asked.cache(&site, &slug, SIMULATING_NEEDS)?;
    let hash = request::hash(&hash)?;
    let asking = Arc::clone(&site);
    heavy(&site, move || {
        let known = Known::of(&asking, &cache);
        let facts = known.facts();
        let id = find(&cache, facts.view, hash)?;
        let rules = retention::shown(&asking, &cache).rules;
        Ok(Json(retention::why(facts, &rules, id)))
    })
    .await
}

/// The rules of the cache.
#[utoipa::path(
    get,
    path = "/caches/{cache}/gc/rules",
    tag = "retention",
    operation_id = "get_retention_rules",
    params(("cache" = String, Path, description = "Slug of the cache")),
    responses(
        (status = 200, body = RetentionRules),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn rules(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
) -> Result<Json<RetentionRules>, ApiError> {
    let cache = asked.cache(&site, &slug, SIMULATING_NEEDS)?;
    Ok(Json(retention::shown(&site, &cache)))
}

/// Changes the rules; `revision` is the one that was read, so that nobody overwrites what they did not
/// see. Nothing is deleted by it.
#[utoipa::path(
    put,
    path = "/caches/{cache}/gc/rules",
    tag = "retention",
    operation_id = "change_retention_rules",
    params(("cache" = String, Path, description = "Slug of the cache")),
    request_body = RetentionRules,
    responses(
        (status = 200, body = RetentionRules),
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
) -> Result<Json<RetentionRules>, ApiError> {
    let cache = asked.cache(&site, &slug, RETENTION_NEEDS)?;
    asked.member()?;
    let wish: RetentionRules = body(&bytes)?;
    retention::change(&site, &cache, &wish, &asked.by()).await?;
    Ok(Json(retention::shown(&site, &cache)))
}

/// Who took a path out, when and why: by a run, or for ever. Strangers are not told who; why, who may
/// read the audit; of runs, Maintainers.
#[utoipa::path(
    get,
    path = "/caches/{cache}/gc/gone/{hash}",
    tag = "retention",
    operation_id = "gone_path",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "Hash part of the store path, or `hash-name`"),
    ),
    responses(
        (status = 200, body = Gone),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "Not a hash"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache, or nobody took such a path out"),
    ),
)]
pub(super) async fn gone(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Extension(retention): Extension<Retention>,
    Path((slug, hash)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<Gone>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let hash = request::hash(&hash)?;
    if asked.cache(&site, &slug, SIMULATING_NEEDS).is_ok()
        && let Some(taken) = retention.taken_out(&cache, &hash).await?
        && !purged(&cache, hash)
    {
        return Ok(Json(Gone {
            hash: hash.to_string(),
            name: Some(taken.name),
            purged: false,
            by: taken.run.by,
            at: taken.run.at,
            reason: None,
            plan: Some(taken.run.plan),
            run: Some(taken.run.id),
            undo_until: taken.run.undo_until,
        }));
    }
    let held = cache.withheld.held();
    let purged = held
        .iter()
        .filter(|(path, holding)| **path == hash && holding.state == HeldBack::Purged)
        .map(|(_, holding)| holding)
        .max_by_key(|holding| holding.at)
        .ok_or_else(|| ApiError::nothing_there("Nobody took such a path out of this cache."))?;
    Ok(Json(Gone {
        hash: hash.to_string(),
        name: None,
        purged: true,
        by: match asked.is_known() {
            true => purged.by.to_string(),
            false => String::new(),
        },
        at: spelled(purged.at),
        reason: Some(purged.why(asked.may_audit(&cache)).to_owned())
            .filter(|reason| !reason.is_empty()),
        plan: None,
        run: None,
        undo_until: None,
    }))
}

/// Whether a path was purged, whatever its content.
fn purged(cache: &Cache, hash: StorePathHash) -> bool {
    let held = cache.withheld.held();
    held.iter()
        .any(|(path, holding)| *path == hash && holding.state == HeldBack::Purged)
}
