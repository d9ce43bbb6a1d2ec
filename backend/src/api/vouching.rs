//! `/caches/{cache}/signers`, `/coverage`, `/acceptance`: who vouches for what, and what a machine
//! that trusts some keys would accept. Nothing here changes anything.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use http::HeaderMap;
use serde_json::{Map, Value, json};
use snowbank_shared::api::vouching::{
    Acceptance, Coverage, CoverageBy, CoverageRow, CoverageSum, Signer, TrustedKey,
};
use snowbank_shared::api::{Page, Problem};
use snowbank_shared::signature::{PublicKey, TrustSet};
use snowbank_shared::store_path::StorePathHash;
use tokio::sync::Mutex;

use super::export::{Export, Table, fields};
use super::problem::{ApiError, excerpt};
use super::request::{self, Asked, find, heavy, nothing_left, pairs, readable, taken};
use crate::auth::Caller;
use crate::auth::records::spelled;
use crate::index::{Cut, MAX_COVERAGE_ROWS, MOST_CHECKS, Question, SignedWith, View};
use crate::ledger::Receipt;
use crate::pins;
use crate::site::{Cache, Site};

/// Rows of a coverage where the request does not say.
const COVERAGE_ROWS: usize = 100;
/// Keys of a question at most.
const MOST_KEYS: usize = 100;
/// Paths whose signatures are checked for a stranger at most: less than a second of a processor.
const CHECKS_OF_STRANGERS: usize = 5_000;
/// How long one waits for who reads all receipts.
const PATIENCE: Duration = Duration::from_secs(10);

/// Columns of an export of a coverage: one line for each cell.
const COVERAGE_COLUMNS: &[&str] = &[
    "row", "column", "name", "paths", "nar_size", "closures", "invalid",
];
/// Columns of an export of refused paths: the fields of its rows.
const REFUSED_COLUMNS: &[&str] = &["hash", "name", "nar_size", "signature", "signers"];

/// Who put each path, by the receipts. Reads all receipts of the cache, one caller at a time.
pub(super) async fn uploaders(
    site: &Site,
    asked: &Asked,
    cache: &Cache,
) -> Result<HashMap<StorePathHash, String>, ApiError> {
    static TURN: Mutex<()> = Mutex::const_new(());
    if let Caller::Stranger(stranger) = &asked.caller {
        return Err(ApiError::login_needed(*stranger));
    }
    let turn = tokio::time::timeout(PATIENCE, TURN.lock()).await;
    let _turn = turn.map_err(|_| {
        ApiError::busy("All receipts are being read for others; try again in a few seconds.")
    })?;
    let receipts = site.ledger.known_receipts(cache.slug.as_str(), None);
    let receipts = receipts.await?;
    heavy(site, move || {
        // The newest receipt of a path counts.
        let arrivals = receipts.iter().filter(|receipt| receipt.is_of_arrival());
        let mut receipts: Vec<&Receipt> = arrivals.collect();
        receipts.sort_by_key(|receipt| receipt.first_seen);
        let named = receipts
            .into_iter()
            .filter_map(|receipt| Some((receipt.path.parse().ok()?, receipt.by.clone())));
        Ok(named.collect::<HashMap<StorePathHash, String>>())
    })
    .await
}

/// Every name under which paths of a cache are signed, with the known keys, and what rests on each.
#[utoipa::path(
    get,
    path = "/caches/{cache}/signers",
    tag = "keys",
    operation_id = "list_signers",
    description = "The names of all known keys and of all `Sig` lines: how many paths each vouches for, and for how many nothing else does. At most 1,000: known keys first, then the names with most lines.",
    params(("cache" = String, Path, description = "Slug of the cache")),
    responses(
        (status = 200, body = Page<Signer>),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn signers(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Page<Signer>>, ApiError> {
    const MOST: usize = 1_000;
    let cache = readable(&site, &slug, &headers)?;
    let contributors = match asked.is_known() {
        true => site.access.contributors(),
        false => Vec::new(),
    };
    heavy(&site, move || {
        let view = cache.index.view();
        let mut signed = view.signed_with();
        let mut items: Vec<Signer> = Vec::new();
        for key in cache.describe_keys(&view) {
            if let Some(known) = items.iter_mut().find(|known| known.name == key.name) {
                known.keys.push(key);
                continue;
            }
            let mut signer = signer(&key.name, signed.remove(&key.name).unwrap_or_default());
            let holder = contributors.iter().find(|one| one.key.name() == key.name);
            signer.owner = holder.map(|holder| holder.owner.clone());
            signer.expires_at = holder
                .and_then(|holder| holder.record.as_ref())
                .map(|record| spelled(record.expires_at));
            signer.keys.push(key);
            items.push(signer);
        }
        items.sort_by_key(|signer| signer.keys.first().map(|key| key.purpose as u8));
        let mut unknown: Vec<Signer> = signed
            .iter()
            .map(|(name, signed)| signer(name, *signed))
            .collect();
        unknown.sort_by_key(|signer| std::cmp::Reverse(signer.lines));
        items.extend(unknown);
        let total = items.len() as u64;
        items.truncate(MOST);
        Ok(Json(Page {
            total,
            items,
            next: None,
            revision: view.revision().to_owned(),
            complete: cache.is_complete(),
        }))
    })
    .await
}

fn signer(name: &str, signed: SignedWith) -> Signer {
    Signer {
        name: name.to_owned(),
        keys: Vec::new(),
        owner: None,
        expires_at: None,
        lines: signed.lines,
        paths: signed.paths,
        nar_size: signed.nar_size,
        only_paths: signed.only_paths,
        only_nar_size: signed.only_nar_size,
        invalid: signed.invalid,
        first_at: signed.first.map(spelled),
        last_at: signed.last.map(spelled),
    }
}

/// How much of a cache each key vouches for.
#[utoipa::path(
    get,
    path = "/caches/{cache}/coverage",
    tag = "keys",
    operation_id = "get_coverage",
    description = "Rows are pins, packages, uploaders or months, columns are keys. A cell counts what `/caches/{cache}/paths` lists with the row's filter and `vouch=valid:NAME`, `invalid:NAME` or `closure:NAME`; a column of a word with `sig`.",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("by" = Option<String>, Query, description = "`pin`, `package`, `uploader` (members only) or `month`; `month` where it is not given"),
        ("limit" = Option<u32>, Query, description = "Rows, 1 to 10,000; 100 where it is not given"),
        ("format" = Option<String>, Query, description = "csv, json, ndjson or markdown: a line for each cell of up to 10,000 rows, as a file; `row` is empty for the whole cache, `column` is all, key or word; markdown up to 200 lines"),
        ("columns" = Option<String>, Query, description = "With `format`: fields of the lines, separated by commas, in the order wanted; all where it is not given"),
    ),
    responses(
        (status = 200, body = Coverage),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private, or uploaders are asked for without a login"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn coverage(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let mut pairs = pairs(query.as_deref())?;
    let export = Export::take(&mut pairs, COVERAGE_COLUMNS)?;
    let by = coverage_by(taken(&mut pairs, "by").as_deref())?;
    let paging = request::Paging::take(&mut pairs, COVERAGE_ROWS, MAX_COVERAGE_ROWS)?;
    nothing_left(&pairs)?;
    let limit = match &export {
        Some(_) => MAX_COVERAGE_ROWS,
        None => paging.limit,
    };
    let cut = match by {
        CoverageBy::Pin => {
            let pins = pins::all(&site.ledger, cache.slug.as_str());
            Cut::Pins(
                pins.iter()
                    .map(|pin| (pin.id.to_string(), pin.roots()))
                    .collect(),
            )
        }
        CoverageBy::Package => Cut::Packages,
        CoverageBy::Uploader => Cut::Uploaders(uploaders(&site, &asked, &cache).await?),
        CoverageBy::Month => Cut::Months,
    };
    let name = format!("{}-coverage-{}", cache.slug, by.as_str());
    let coverage = heavy(&site, move || Ok(cache.index.view().coverage(&cut, limit))).await?;
    let Some(export) = export else {
        return Ok(Json(coverage).into_response());
    };
    let lines = cells(&coverage);
    let table = Table {
        name,
        rows: lines.len() as u64,
        revision: coverage.revision,
        complete: coverage.complete,
        next: {
            let mut lines = lines.into_iter();
            Box::new(move |count| lines.by_ref().take(count).collect())
        },
    };
    export.answer(&site, table)
}

fn coverage_by(word: Option<&str>) -> Result<CoverageBy, ApiError> {
    let word = word.unwrap_or("month");
    CoverageBy::ALL
        .into_iter()
        .find(|by| by.as_str() == word)
        .ok_or_else(|| {
            ApiError::bad_parameter(format!(
                "`by` cannot be `{}`: it is pin, package, uploader or month",
                excerpt(word)
            ))
        })
}

/// A line for each cell, those of the whole cache first.
fn cells(coverage: &Coverage) -> Vec<Map<String, Value>> {
    let cell = |row: &CoverageRow, column: &str, name: &str, sum: &CoverageSum| {
        let mut line = fields(sum);
        line.insert("row".to_owned(), json!(row.name));
        line.insert("column".to_owned(), json!(column));
        line.insert("name".to_owned(), json!(name));
        line
    };
    let mut lines = Vec::new();
    for row in std::iter::once(&coverage.total).chain(&coverage.items) {
        lines.push(cell(row, "all", "", &row.all));
        for (key, sum) in coverage.keys.iter().zip(&row.keys) {
            lines.push(cell(row, "key", &key.name, sum));
        }
        for (word, sum) in coverage.words.iter().zip(&row.words) {
            lines.push(cell(row, "word", word.as_str(), sum));
        }
    }
    lines
}

/// What a machine that trusts some keys would accept.
#[utoipa::path(
    get,
    path = "/caches/{cache}/acceptance",
    tag = "keys",
    operation_id = "get_acceptance",
    description = "Judges as `nix store verify --sigs-needed 1` does: one signature by a trusted key that passes, or a content address that holds, is enough; of two keys of one name the first counts. With `drop`, the answer is what would be refused without these keys and is accepted with them. Nothing is changed.",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("key" = Option<Vec<String>>, Query, description = "A key that the machine trusts, up to 100 times, in the order of its configuration: `name:base64`, or the name of a key that is known here. Where none is given, those that clients of this cache are told to trust"),
        ("drop" = Option<Vec<String>>, Query, description = "Name of a key to leave out"),
        ("path" = Option<String>, Query, description = "Hash part of a path: only its closure"),
        ("format" = Option<String>, Query, description = "csv, json, ndjson or markdown: all refused paths, as a file; markdown up to 200 rows"),
        ("columns" = Option<String>, Query, description = "With `format`: fields of the rows, separated by commas, in the order wanted; all where it is not given"),
    ),
    responses(
        (status = 200, body = Acceptance),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache or path"),
    ),
)]
pub(super) async fn acceptance(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let mut pairs = pairs(query.as_deref())?;
    let export = Export::take(&mut pairs, REFUSED_COLUMNS)?;
    let path = taken(&mut pairs, "path")
        .map(|text| request::hash(&text))
        .transpose()?;
    let (mut keys, mut dropped) = (Vec::new(), Vec::new());
    pairs.retain(|(name, value)| {
        match name.as_str() {
            "key" if !value.is_empty() => keys.push(value.clone()),
            "drop" if !value.is_empty() => dropped.push(value.clone()),
            "key" | "drop" => {}
            _ => return true,
        }
        false
    });
    nothing_left(&pairs)?;
    let view = cache.index.view();
    let trusted = trusted(&cache, &view, &keys)?;
    if let Some(name) = dropped
        .iter()
        .find(|name| trusted.iter().all(|key| key.name() != name.as_str()))
    {
        return Err(ApiError::bad_parameter(format!(
            "`drop` cannot be `{}`: no key of that name is trusted",
            excerpt(name)
        )));
    }
    let left = trusted
        .iter()
        .filter(|key| !dropped.iter().any(|name| name == key.name()));
    let without = TrustSet::new(left.cloned());
    let question = Question {
        trust: TrustSet::new(trusted),
        without: (!dropped.is_empty()).then_some(without),
        path: path.map(|hash| find(&cache, &view, hash)).transpose()?,
        pins: match path {
            Some(_) => Vec::new(),
            None => pins::all(&site.ledger, cache.slug.as_str())
                .iter()
                .filter_map(|pin| {
                    let newest = pin.newest()?;
                    Some((pin.id.to_string(), newest.number, newest.path.hash()))
                })
                .collect(),
        },
    };
    let described = described(&question.trust, &dropped);
    let of = Arc::clone(&view);
    let checks = match asked.is_known() {
        true => MOST_CHECKS,
        false => CHECKS_OF_STRANGERS,
    };
    let accepted = heavy(&site, move || Ok(of.acceptance(&question, checks)));
    let (mut answer, refused) = accepted.await?;
    answer.keys = described;
    let Some(export) = export else {
        return Ok(Json(answer).into_response());
    };
    let table = Table {
        name: format!("{}-refused", cache.slug),
        rows: refused.len() as u64,
        revision: answer.revision,
        complete: answer.complete,
        next: {
            let mut refused = refused.into_iter();
            Box::new(move |count| {
                let next = refused.by_ref().take(count);
                next.map(|id| fields(&view.refused_path(id))).collect()
            })
        },
    };
    export.answer(&site, table)
}

/// The keys that a request names, or those that clients of the cache are told to trust.
fn trusted(cache: &Cache, view: &View, named: &[String]) -> Result<Vec<PublicKey>, ApiError> {
    if named.is_empty() {
        return Ok(cache.trust.now().settings.keys().to_vec());
    }
    if named.len() > MOST_KEYS {
        return Err(ApiError::bad_parameter(format!(
            "`key` names the keys that a machine trusts, up to {MOST_KEYS} times"
        )));
    }
    let mut trusted = Vec::new();
    for text in named {
        if text.contains(':') {
            let key = text.parse::<PublicKey>().map_err(|error| {
                ApiError::bad_parameter(format!("`key` cannot be `{}`: {error}", excerpt(text)))
            })?;
            trusted.push(key);
            continue;
        }
        let known = view.key_ring().keys().iter();
        let before = trusted.len();
        trusted.extend(
            known
                .filter(|known| known.key.name() == text)
                .map(|known| known.key.clone()),
        );
        if trusted.len() == before {
            return Err(ApiError::bad_parameter(format!(
                "`key` cannot be `{}`: no key of that name is known here; give it whole, as `name:base64`",
                excerpt(text)
            )));
        }
    }
    Ok(trusted)
}

fn described(trust: &TrustSet, dropped: &[String]) -> Vec<TrustedKey> {
    let describe = |key: &PublicKey, passed_over: bool| TrustedKey {
        name: key.name().to_owned(),
        public_key: key.to_string(),
        dropped: dropped.iter().any(|name| name == key.name()),
        passed_over,
    };
    let counting = trust.keys().iter().map(|key| describe(key, false));
    let others = trust.passed_over().iter().map(|key| describe(key, true));
    counting.chain(others).collect()
}
