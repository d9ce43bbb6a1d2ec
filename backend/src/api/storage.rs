//! `/caches/{cache}/storage`: what the bucket holds by class and day, what it does by itself, and the
//! prices that its owner set.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use snowbank_shared::api::Problem;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::storage::{
    BucketFact, FactState, GrowthShare, ObjectClass, Prices, SizeDay, Storage,
};
use snowbank_shared::api::usage::UsageEvent;
use time::{Date, OffsetDateTime};

use super::happened::happened;
use super::problem::ApiError;
use super::request::{Asked, body, heavy, nothing_left, pairs, readable, taken};
use crate::auth::records::spelled;
use crate::ledger::Receipt;
use crate::site::{Cache, Site};
use crate::sizes::forecast::forecast;
use crate::sizes::inventory::InventoryRecord;
use crate::sizes::prices as kept;
use crate::sizes::{self, SizesRecord, facts};

/// Seconds that count as lately: 30 days.
const LATELY: i64 = 30 * 86_400;
/// Receipts that are looked at for who uploaded, the newest.
const RECEIPTS: usize = 4_000;
/// Uploaders of an answer at most.
const UPLOADERS: usize = 20;
/// Keys on a page of a listing, as stores have it.
const PAGE: u64 = 1_000;
/// How long one waits for others who read much.
const PATIENCE: Duration = Duration::from_secs(10);

/// The days that are asked for, both included.
struct Range {
    from: Option<Date>,
    to: Option<Date>,
    csv: bool,
}

impl Range {
    fn of(query: Option<&str>) -> Result<Self, ApiError> {
        let mut pairs = pairs(query)?;
        let mut day = |name: &str| match taken(&mut pairs, name) {
            None => Ok(None),
            Some(text) => sizes::date(&text)
                .map(Some)
                .ok_or_else(|| ApiError::bad_parameter(format!("`{name}` is a day: 2026-11-23"))),
        };
        let (from, to) = (day("from")?, day("to")?);
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            return Err(ApiError::bad_parameter("`from` is later than `to`"));
        }
        let csv = match taken(&mut pairs, "format").as_deref() {
            None | Some("json") => false,
            Some("csv") => true,
            Some(_) => return Err(ApiError::bad_parameter("`format` is `json` or `csv`")),
        };
        nothing_left(&pairs)?;
        Ok(Self { from, to, csv })
    }

    /// What happened on these days.
    fn events(&self, site: &Site, slug: &str) -> Vec<UsageEvent> {
        let midnight = |day: Date| day.midnight().assume_utc().unix_timestamp();
        let from = self.from.map_or(0, midnight);
        let to = self.to.and_then(Date::next_day).map_or(i64::MAX, midnight);
        happened(site, slug, from, to)
    }

    fn holds(&self, day: Date) -> bool {
        self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
    }
}

/// What a cache holds: by class of object, by compression and by day, and how it goes on. Who uploaded
/// is told to those we know.
#[utoipa::path(
    get,
    path = "/caches/{cache}/storage",
    tag = "caches",
    operation_id = "get_storage",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("from" = Option<String>, Query, description = "The first day of `days`, `2026-11-01`"),
        ("to" = Option<String>, Query, description = "The last day of `days`"),
        ("format" = Option<String>, Query, description = "`csv`: the days as a file"),
    ),
    responses(
        (status = 200, body = Storage),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn read(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let range = Range::of(query.as_deref())?;
    if range.csv {
        let text = csv(&days(&site, &cache, &range));
        let name = format!("attachment; filename=\"{slug}-sizes.csv\"");
        let head = [
            (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
            (CONTENT_DISPOSITION, name),
        ];
        return Ok((head, text).into_response());
    }
    let receipts = match asked.is_known() {
        true => receipts(&site, &slug).await?,
        false => Vec::new(),
    };
    let of = Arc::clone(&site);
    let answer = heavy(&site, move || Ok(storage(&of, &cache, &range, &receipts))).await?;
    Ok(Json(answer).into_response())
}

/// The newest receipts. That they cannot be read leaves uploaders out.
async fn receipts(site: &Site, slug: &str) -> Result<Vec<Receipt>, ApiError> {
    // They are read from the bucket: few at once.
    let permit = tokio::time::timeout(PATIENCE, Arc::clone(&site.large).acquire_owned());
    let _permit = permit.await.ok().and_then(Result::ok).ok_or_else(|| {
        ApiError::busy("Several large answers are being sent; try again in a few seconds.")
    })?;
    Ok(match site.ledger.latest_receipts(slug, RECEIPTS).await {
        Ok(receipts) => receipts,
        Err(error) => {
            tracing::warn!(%error, "receipts could not be read for growth");
            Vec::new()
        }
    })
}

fn days(site: &Site, cache: &Cache, range: &Range) -> Vec<SizeDay> {
    let kept = SizesRecord::of(&site.ledger, cache.slug.as_str());
    let days = sizes::days(kept.iter().map(|(day, entry)| (*day, &*entry.record)));
    days.into_iter()
        .filter(|(day, _)| range.holds(*day))
        .map(|(_, day)| day)
        .collect()
}

fn storage(site: &Site, cache: &Cache, range: &Range, receipts: &[Receipt]) -> Storage {
    let slug = cache.slug.as_str();
    let now = OffsetDateTime::now_utc();
    let since = now.unix_timestamp() - LATELY;
    let figures = cache.index.view().storage(since);
    let kept_days = SizesRecord::of(&site.ledger, slug);
    let measured = cache.sizes.measured().borrow().clone();
    let written = kept_days.last().map(|(_, entry)| Arc::clone(&entry.record));
    // Another replica may have measured later, and the ledger may not take what this one did.
    let latest = match (measured, written) {
        (Some(own), Some(written)) if written.at > own.at => Some(written),
        (own, written) => own.or(written),
    };
    let held: Vec<(Date, u64)> = kept_days
        .iter()
        .map(|(day, entry)| (*day, entry.nars()))
        .collect();
    let prices = kept::prices(&site.ledger, slug);
    let mut facts = latest
        .as_ref()
        .map(|latest| latest.facts.clone())
        .unwrap_or_default();
    facts.extend(
        latest
            .as_ref()
            .map(|latest| listing(latest, prices.as_ref())),
    );
    let mut storage = Storage {
        as_of: latest.as_ref().map(|latest| spelled(latest.at)),
        stored: latest.as_ref().map_or(0, |latest| latest.stored()),
        classes: latest
            .map(|latest| latest.classes.clone())
            .unwrap_or_default(),
        unpacked: figures.unpacked,
        codecs: figures.codecs,
        saved: figures.saved,
        shared: figures.shared,
        days: days(site, cache, range),
        events: range.events(site, slug),
        uploaders: uploaders(cache, receipts, since),
        packages: figures.packages,
        forecast: forecast(&held, cache.max_bytes, now.date()),
        prices,
        facts,
    };
    if let Some(inventory) = cache.sizes.inventory() {
        let known = InventoryRecord::of(&site.ledger, slug);
        InventoryRecord::fill(known.as_ref(), inventory.trouble().as_deref(), &mut storage);
    }
    storage
}

/// What it takes to list the bucket once.
fn listing(latest: &SizesRecord, prices: Option<&Prices>) -> BucketFact {
    let objects: u64 = latest
        .classes
        .iter()
        .filter(|class| {
            !matches!(
                class.class,
                ObjectClass::Unfinished | ObjectClass::OldVersions
            )
        })
        .filter_map(|class| class.objects)
        .sum();
    let calls = objects.div_ceil(PAGE).max(1);
    let cost = prices.map(|prices| {
        // Millionths of millionths of thousands: no bucket has so many objects.
        let millionths = calls.saturating_mul(prices.put_1000) / 1_000;
        format!(
            ", {} {}.{:06} each time",
            prices.currency,
            millionths / 1_000_000,
            millionths % 1_000_000
        )
    });
    BucketFact {
        name: "Listing".to_owned(),
        state: FactState::Ok,
        words: format!(
            "{objects} objects: {calls} LIST calls of up to 1,000 keys{}.",
            cost.unwrap_or_default()
        ),
        remedy: None,
    }
}

/// Who uploaded most lately, of what is still there.
fn uploaders(cache: &Cache, receipts: &[Receipt], since: i64) -> Vec<GrowthShare> {
    let view = cache.index.view();
    let mut seen = std::collections::HashSet::new();
    let mut by = std::collections::BTreeMap::<&str, (u64, u64)>::new();
    // The newest receipt of a path counts.
    for receipt in receipts {
        if receipt.first_seen < since || !seen.insert(receipt.path.as_str()) {
            continue;
        }
        let Some(id) = receipt.path.parse().ok().and_then(|hash| view.find(&hash)) else {
            continue;
        };
        let (paths, bytes) = by.entry(&receipt.by).or_default();
        *paths += 1;
        *bytes += view.row(id).file_size.unwrap_or_default();
    }
    let mut shares: Vec<GrowthShare> = by
        .into_iter()
        .map(|(name, (paths, bytes))| GrowthShare {
            name: name.to_owned(),
            paths,
            bytes,
        })
        .collect();
    shares.sort_by_key(|share| std::cmp::Reverse(share.bytes));
    shares.truncate(UPLOADERS);
    shares
}

/// RFC 4180: a line for each day and class. What is not known is empty.
fn csv(days: &[SizeDay]) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("day,class,objects,bytes\r\n");
    for day in days {
        for class in &day.classes {
            let word = serde_json::to_value(class.class).unwrap_or_default();
            let number = |value: Option<u64>| value.map(|value| value.to_string());
            // Writing to a string does not fail.
            let _ = write!(
                text,
                "{},{},{},{}\r\n",
                day.day,
                word.as_str().unwrap_or_default(),
                number(class.objects).unwrap_or_default(),
                number(class.bytes).unwrap_or_default()
            );
        }
    }
    text
}

/// What the owner pays; revision 0 and no currency where nobody set anything.
#[utoipa::path(
    get,
    path = "/caches/{cache}/prices",
    tag = "caches",
    operation_id = "get_prices",
    params(("cache" = String, Path, description = "Slug of the cache")),
    responses(
        (status = 200, body = Prices),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn prices(
    State(site): State<Arc<Site>>,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Prices>, ApiError> {
    let cache = readable(&site, &slug, &headers)?;
    let prices = kept::prices(&site.ledger, cache.slug.as_str());
    Ok(Json(prices.unwrap_or_default()))
}

/// Changes the prices; `revision` is the one that was read, so that nobody overwrites what they did
/// not see.
#[utoipa::path(
    put,
    path = "/caches/{cache}/prices",
    tag = "caches",
    operation_id = "change_prices",
    params(("cache" = String, Path, description = "Slug of the cache")),
    request_body = Prices,
    responses(
        (status = 200, body = Prices),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Owner of the cache, and a session"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Somebody changed them meanwhile"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
    ),
)]
pub(super) async fn change_prices(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
    bytes: Bytes,
) -> Result<Json<Prices>, ApiError> {
    let cache = asked.cache(&site, &slug, Act::Manage)?;
    asked.member()?;
    let wish: Prices = body(&bytes)?;
    let slug = cache.slug.as_str();
    let changed = kept::change(&site.ledger, &site.access, slug, &wish, &asked.by()).await?;
    Ok(Json(changed))
}

/// Asks the bucket now what it does by itself: versions, lifecycle rules, locks, storage classes, its
/// clock. What would break the cache becomes a finding, and stops being one when it is over.
#[utoipa::path(
    post,
    path = "/caches/{cache}/bucket",
    tag = "caches",
    operation_id = "check_bucket",
    params(("cache" = String, Path, description = "Slug of the cache")),
    responses(
        (status = 200, body = Vec<BucketFact>),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn bucket(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
) -> Result<Json<Vec<BucketFact>>, ApiError> {
    let cache = asked.cache(&site, &slug, Act::Maintain)?;
    let found = facts::of(&cache.bucket).await;
    let shown = found.clone();
    heavy(&site, move || {
        facts::show(&shown, &cache.index);
        Ok(())
    })
    .await?;
    Ok(Json(found))
}
