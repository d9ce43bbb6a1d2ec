//! `/caches/{cache}/usage`: who fetches what, in a range of time.
//!
//! Sums are for everybody who may read the cache, and so are its paths and what was missed, with the
//! number of clients and never their names. Who they are is for those who maintain the cache or may
//! read its audit.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::HeaderMap;
use serde::Serialize;
use snowbank_shared::api::Problem;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::usage::{Usage, UsageClient, UsageList, UsageMiss, UsagePath, UsageStep};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::export::{Export, Table, fields};
use super::happened::happened;
use super::problem::{ApiError, excerpt};
use super::request::{Asked, heavy, nothing_left, pairs, readable, taken};
use crate::auth;
use crate::auth::records::{TokenRecord, spelled};
use crate::ledger::{self, RecordId, Scope};
use crate::site::{Cache, Site};
use crate::usage::{Counted, DAY, HOUR, MissRow, PathRow, Report, Span, UsageRecord};

/// Seconds of the range of a request that names none.
const USUAL: i64 = 7 * DAY;
/// Hours are shown by themselves for ranges up to this.
const HOURLY: i64 = 7 * DAY;
/// Seconds of a range by the hour at most.
const MOST_HOURLY: i64 = 40 * DAY;
/// Seconds of a range at most.
const MOST: i64 = 800 * DAY;
/// Rows of a list.
const ROWS: usize = 500;

/// The fields of a path.
const PATH_COLUMNS: &[&str] = &["hash", "name", "fetches", "bytes", "clients", "root"];
/// The fields of a client.
const CLIENT_COLUMNS: &[&str] = &[
    "name",
    "nix_version",
    "last_seen",
    "hits",
    "misses",
    "bytes",
];
/// The fields of a miss.
const MISS_COLUMNS: &[&str] = &[
    "hash",
    "name",
    "clients",
    "requests",
    "first",
    "last",
    "uploaded_at",
];
/// The fields of a step.
const STEP_COLUMNS: &[&str] = &[
    "from",
    "hits",
    "misses",
    "useful_misses",
    "nar_requests",
    "nar_bytes",
    "client_errors",
    "server_errors",
    "narinfo_p50",
    "narinfo_p95",
    "nar_p50",
    "nar_p95",
];

/// What is asked for.
struct Wanted {
    range: Span,
    step: UsageStep,
    counted: Counted,
    export: Option<Export>,
}

/// RFC 3339, or a day.
fn moment(name: &str, text: &str) -> Result<i64, ApiError> {
    let whole = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        _ => text.to_owned(),
    };
    let time = OffsetDateTime::parse(&whole, &Rfc3339).map_err(|_| {
        ApiError::bad_parameter(format!(
            "`{name}` cannot be `{}`: it is a time such as 2026-11-23T12:00:00Z, or a day",
            excerpt(text)
        ))
    })?;
    Ok(time.unix_timestamp())
}

impl Wanted {
    fn parse(query: Option<&str>, columns: &[&'static str]) -> Result<Self, ApiError> {
        let mut pairs = pairs(query)?;
        let export = Export::take(&mut pairs, columns)?;
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let to = match taken(&mut pairs, "to") {
            Some(to) => moment("to", &to)?,
            None => (now / HOUR + 1) * HOUR,
        };
        let from = match taken(&mut pairs, "from") {
            Some(from) => moment("from", &from)?,
            None => to - USUAL,
        };
        let length = to - from;
        let step = match taken(&mut pairs, "step").as_deref() {
            None if length <= HOURLY => UsageStep::Hour,
            None | Some("day") => UsageStep::Day,
            Some("hour") => UsageStep::Hour,
            Some(other) => {
                return Err(ApiError::bad_parameter(format!(
                    "`step` cannot be `{}`: it is hour or day",
                    excerpt(other)
                )));
            }
        };
        let counted = match taken(&mut pairs, "source").as_deref() {
            None | Some("all") => Counted::All,
            Some("own") => Counted::Own,
            Some("logs") => Counted::Logs,
            Some(other) => {
                return Err(ApiError::bad_parameter(format!(
                    "`source` cannot be `{}`: it is own, logs or all",
                    excerpt(other)
                )));
            }
        };
        nothing_left(&pairs)?;
        if length <= 0 {
            return Err(ApiError::bad_parameter("`from` has to be before `to`"));
        }
        if length > MOST || (step == UsageStep::Hour && length > MOST_HOURLY) {
            return Err(ApiError::bad_parameter(
                "a range has at most 800 days, and by the hour at most 40",
            ));
        }
        Ok(Self {
            range: Span::of(from, to, step),
            step,
            counted,
            export,
        })
    }
}

/// A list as it is asked for: its first rows, or all that are known as a file. `rows` makes them of
/// what was counted, and says how many there are.
async fn list<T: Serialize>(
    site: &Arc<Site>,
    cache: Arc<Cache>,
    what: &'static str,
    wanted: Wanted,
    rows: impl FnOnce(&Site, &Cache, UsageRecord) -> (Vec<T>, u64) + Send + 'static,
) -> Result<Response, ApiError> {
    let of = Arc::clone(site);
    heavy(site, move || {
        let report = report(&of, &cache, &wanted);
        let (items, total) = rows(&of, &cache, report.lists());
        let Some(export) = wanted.export else {
            let list = UsageList {
                items,
                total,
                not_measured: report.not_measured(wanted.range),
            };
            return Ok(Json(list).into_response());
        };
        let rows = items.iter().map(fields).collect();
        export.answer(&of, table(&cache, what, rows))
    })
    .await
}

fn table(
    cache: &Cache,
    what: &str,
    rows: Vec<serde_json::Map<String, serde_json::Value>>,
) -> Table {
    Table {
        name: format!("{}-{what}", cache.slug),
        rows: rows.len() as u64,
        revision: cache.index.view().revision().to_owned(),
        complete: true,
        next: {
            let mut rows = rows.into_iter();
            Box::new(move |count| rows.by_ref().take(count).collect())
        },
    }
}

fn report(site: &Site, cache: &Cache, wanted: &Wanted) -> Report {
    let usage = &cache.usage;
    usage.report(
        &site.ledger,
        cache.slug.as_str(),
        wanted.range,
        wanted.counted,
    )
}

/// How the cache was used: hits, misses, bytes, errors and times by hour or day. Steps that nobody
/// measured are null.
#[utoipa::path(
    get,
    path = "/caches/{cache}/usage",
    tag = "usage",
    operation_id = "get_usage",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("from" = Option<String>, Query, description = "The first moment, RFC 3339 or a day; seven days before `to` where it is not given"),
        ("to" = Option<String>, Query, description = "Where it ends; now where it is not given"),
        ("step" = Option<String>, Query, description = "`hour` or `day`; hours for up to seven days where it is not given"),
        ("source" = Option<String>, Query, description = "`own`: what this server served; `logs`: what access logs tell, late and as far as they are written; `all`: both, which is usual"),
        ("format" = Option<String>, Query, description = "csv, json, ndjson or markdown: the steps as a file"),
        ("columns" = Option<String>, Query, description = "With `format`: fields of the rows, separated by commas, in the order wanted; all where it is not given"),
    ),
    responses(
        (status = 200, body = Usage),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn usage(
    State(site): State<Arc<Site>>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let wanted = Wanted::parse(query.as_deref(), STEP_COLUMNS)?;
    let of = Arc::clone(&site);
    heavy(&site, move || {
        let view = cache.index.view();
        let never = cache
            .usage
            .never_fetched(&of.ledger, cache.slug.as_str(), &view);
        let mut shown = report(&of, &cache, &wanted).shown(wanted.range, wanted.step, never);
        let Span { from, to } = wanted.range;
        let events = happened(&of, cache.slug.as_str(), from, to);
        shown.events.extend(events);
        shown.events.sort_by(|a, b| a.at.cmp(&b.at));
        let Some(export) = wanted.export else {
            return Ok(Json(shown).into_response());
        };
        let row = |item: &snowbank_shared::api::usage::UsageItem| {
            let mut row = item.counts.as_ref().map(fields).unwrap_or_default();
            row.insert("from".to_owned(), item.from.clone().into());
            row
        };
        let rows = shown.items.iter().map(row).collect();
        export.answer(&of, table(&cache, "usage", rows))
    })
    .await
}

/// Paths by how much was fetched of them, most bytes first, on the days that the range touches.
#[utoipa::path(
    get,
    path = "/caches/{cache}/usage/paths",
    tag = "usage",
    operation_id = "list_usage_paths",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("from" = Option<String>, Query, description = "As of `/usage`"),
        ("to" = Option<String>, Query, description = "As of `/usage`"),
        ("step" = Option<String>, Query, description = "As of `/usage`; days are counted whole"),
        ("source" = Option<String>, Query, description = "As of `/usage`"),
        ("format" = Option<String>, Query, description = "csv, json, ndjson or markdown: the rows as a file; markdown up to 200 rows"),
        ("columns" = Option<String>, Query, description = "With `format`: fields of the rows, separated by commas, in the order wanted; all where it is not given"),
    ),
    responses(
        (status = 200, body = UsageList<UsagePath>),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn paths(
    State(site): State<Arc<Site>>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let wanted = Wanted::parse(query.as_deref(), PATH_COLUMNS)?;
    list(&site, cache, "fetched", wanted, |_, cache, counted| {
        let UsageRecord {
            mut paths, others, ..
        } = counted;
        paths.sort_by(|a, b| (b.bytes, b.fetches, a.hash).cmp(&(a.bytes, a.fetches, b.hash)));
        let total = paths.len() as u64 + others.paths;
        paths.truncate(ROWS);
        let view = cache.index.view();
        let item = |path: &PathRow| {
            let row = view.find(&path.hash).map(|id| view.row(id));
            UsagePath {
                hash: path.hash.to_string(),
                root: row.as_ref().is_some_and(|row| row.referrer_count == 0),
                name: row.map(|row| row.name),
                fetches: path.fetches,
                bytes: path.bytes,
                clients: path.clients.count(),
            }
        };
        (paths.iter().map(item).collect(), total)
    })
    .await
}

/// Who asked, last seen first, on the days that the range touches. A token by its name, everybody
/// without one by the group of their address.
#[utoipa::path(
    get,
    path = "/caches/{cache}/usage/clients",
    tag = "usage",
    operation_id = "list_usage_clients",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("from" = Option<String>, Query, description = "As of `/usage`"),
        ("to" = Option<String>, Query, description = "As of `/usage`"),
        ("step" = Option<String>, Query, description = "As of `/usage`; days are counted whole"),
        ("source" = Option<String>, Query, description = "As of `/usage`"),
        ("format" = Option<String>, Query, description = "csv, json, ndjson or markdown: the rows as a file; markdown up to 200 rows"),
        ("columns" = Option<String>, Query, description = "With `format`: fields of the rows, separated by commas, in the order wanted; all where it is not given"),
    ),
    responses(
        (status = 200, body = UsageList<UsageClient>),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer, Auditor or Owner"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn clients(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let cache = site.cache(&slug).ok_or_else(|| ApiError::no_cache(&slug))?;
    let cache = match auth::may(&asked.caller, Act::Maintain, cache.on()) {
        Ok(()) => Arc::clone(cache),
        Err(_) => asked.cache(&site, &slug, Act::ReadAudit)?,
    };
    let wanted = Wanted::parse(query.as_deref(), CLIENT_COLUMNS)?;
    list(&site, cache, "clients", wanted, |site, _, counted| {
        let UsageRecord {
            mut clients,
            others,
            ..
        } = counted;
        clients.sort_by(|a, b| (b.last, &a.who).cmp(&(a.last, &b.who)));
        let total = clients.len() as u64 + others.clients;
        clients.truncate(ROWS);
        let view = site.ledger.view();
        let items = clients.into_iter().map(|client| UsageClient {
            name: named(&view, &client.who.to_string()),
            nix_version: client.nix.map(Into::into),
            last_seen: spelled(client.last),
            hits: client.hits,
            misses: client.misses,
            bytes: client.bytes,
        });
        (items.collect(), total)
    })
    .await
}

/// A client's name for people: a token's label with whose it is.
fn named(view: &ledger::View, who: &str) -> String {
    let Some((kind, name)) = who.split_once(':') else {
        return who.to_owned();
    };
    match kind {
        "token" => {
            let id = name.parse::<RecordId>().ok();
            let token = id.and_then(|id| view.get::<TokenRecord>(Scope::Server, &id));
            match token.as_ref().map(|token| (&token.name, &token.owner)) {
                Some((label, Some(owner))) => format!("{label} of {owner}"),
                Some((label, None)) => label.clone(),
                None => format!("token {name}, which has ended"),
            }
        }
        "machine" => format!("machine {name}"),
        "member" => name.to_owned(),
        // The group of an IPv6 address has colons of its own.
        _ => who.to_owned(),
    }
}

/// Paths that were asked for and are neither here nor on an upstream, most clients first, on the days
/// that the range touches. Of each day and server at most ten clients of a path are told apart.
#[utoipa::path(
    get,
    path = "/caches/{cache}/usage/misses",
    tag = "usage",
    operation_id = "list_usage_misses",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("from" = Option<String>, Query, description = "As of `/usage`"),
        ("to" = Option<String>, Query, description = "As of `/usage`"),
        ("step" = Option<String>, Query, description = "As of `/usage`; days are counted whole"),
        ("source" = Option<String>, Query, description = "As of `/usage`"),
        ("format" = Option<String>, Query, description = "csv, json, ndjson or markdown: the rows as a file; markdown up to 200 rows"),
        ("columns" = Option<String>, Query, description = "With `format`: fields of the rows, separated by commas, in the order wanted; all where it is not given"),
    ),
    responses(
        (status = 200, body = UsageList<UsageMiss>),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn misses(
    State(site): State<Arc<Site>>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let wanted = Wanted::parse(query.as_deref(), MISS_COLUMNS)?;
    list(&site, cache, "misses", wanted, |_, cache, counted| {
        let UsageRecord {
            mut misses, others, ..
        } = counted;
        misses.retain(|miss| miss.elsewhere != Some(true));
        let key = |miss: &MissRow| (miss.clients.count(), miss.requests, miss.last);
        misses.sort_by(|a, b| key(b).cmp(&key(a)).then_with(|| a.hash.cmp(&b.hash)));
        let total = misses.len() as u64 + others.misses;
        misses.truncate(ROWS);
        let view = cache.index.view();
        let wanted_names: HashSet<_> = misses.iter().map(|miss| miss.hash).collect();
        let names = view.names_of_absent(&wanted_names);
        let item = |miss: &MissRow| {
            // What was held back was here before.
            let id = view.find(&miss.hash);
            let later = id
                .map(|id| view.added_at(id))
                .filter(|at| *at >= miss.first);
            UsageMiss {
                hash: miss.hash.to_string(),
                name: id
                    .map(|id| view.name(id).to_owned())
                    .or_else(|| names.get(&miss.hash).cloned()),
                clients: miss.clients.count(),
                requests: miss.requests,
                first: spelled(miss.first),
                last: spelled(miss.last),
                uploaded_at: later.map(spelled),
            }
        };
        (misses.iter().map(item).collect(), total)
    })
    .await
}
