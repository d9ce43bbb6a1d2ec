//! What is read at each scrape: the caches' own figures.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use snowbank_shared::api::IndexState;
use time::OffsetDateTime;

use super::connection::Answering;
use super::dispatch::metrics_text;
use crate::bucket::Counts;
use crate::intake::waiting;
use crate::ledger::{Freshness, Phase};
use crate::metrics::series::{Kind, series};
use crate::site::{Cache, Site};
use crate::web::{Request, Response, headers};

/// Reads the caches' figures. Holds the site weakly: the site holds the registry that holds this.
pub(super) struct Caches(Weak<Site>);

impl Caches {
    pub(super) fn of(site: &Arc<Site>) -> Self {
        Self(Arc::downgrade(site))
    }
}

impl fmt::Debug for Caches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caches")
    }
}

impl Collector for Caches {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(site) = self.0.upgrade() else {
            return Ok(());
        };
        let encoder = &mut encoder;
        let build = [("version", env!("CARGO_PKG_VERSION"))];
        info("build", encoder, &build)?;
        caches(&site, encoder)?;
        statuses(&site, encoder)?;
        state(&site, encoder)?;
        bucket(&site, encoder)
    }
}

/// Begins a series of the table.
fn begin<'e>(
    name: &str,
    encoder: &'e mut DescriptorEncoder<'_>,
) -> Result<MetricEncoder<'e>, fmt::Error> {
    let series = series(name);
    let kind = match series.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
        Kind::Info => MetricType::Info,
    };
    encoder.encode_descriptor(series.name, series.help, None, kind)
}

fn info(
    name: &str,
    encoder: &mut DescriptorEncoder<'_>,
    labels: &[(&str, &str)],
) -> Result<(), fmt::Error> {
    begin(name, encoder)?.encode_info(&labels)
}

fn gauge(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}

/// A gauge of each cache; left out where there is nothing to say.
fn of_each(
    name: &str,
    site: &Site,
    encoder: &mut DescriptorEncoder<'_>,
    value: impl Fn(&Cache) -> Option<u64>,
) -> Result<(), fmt::Error> {
    let mut series = begin(name, encoder)?;
    for cache in &site.caches {
        if let Some(value) = value(cache) {
            let labels = [("cache", cache.slug.as_str())];
            gauge(value).encode(series.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

/// What the index of each cache knows.
fn caches(site: &Site, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let since = |begun: i64| u64::try_from(now - begun).unwrap_or_default();
    let counted = |cache: &Cache| cache.index.view().totals().bucket;
    of_each("index_paths", site, encoder, |cache| {
        Some(cache.index.view().len())
    })?;
    of_each("index_memory_bytes", site, encoder, |cache| {
        Some(cache.index.view().memory_bytes())
    })?;
    of_each("index_age_seconds", site, encoder, |cache| {
        cache.index.view().swept_at().map(since)
    })?;
    of_each("index_failed", site, encoder, |cache| {
        Some(u64::from(cache.index_state() == IndexState::Failed))
    })?;
    of_each("bucket_sweep_age_seconds", site, encoder, |cache| {
        counted(cache).map(|bucket| since(bucket.began_at))
    })?;
    of_each("bucket_stored_bytes", site, encoder, |cache| {
        counted(cache).map(|bucket| bucket.bytes)
    })?;
    of_each("bucket_orphan_bytes", site, encoder, |cache| {
        counted(cache).map(|bucket| bucket.orphan_bytes)
    })?;
    of_each("bucket_quota_bytes", site, encoder, |cache| cache.max_bytes)?;
    of_each("index_findings", site, encoder, |cache| {
        Some(cache.index.view().finding_count())
    })?;
    of_each("proven_paths", site, encoder, |cache| {
        cache.proofs.figures().map(|figures| figures.proven_paths)
    })?;
    of_each("oldest_proof_age_seconds", site, encoder, |cache| {
        cache.proofs.figures()?.oldest_age(now)
    })?;
    of_each("verify_rate_bytes", site, encoder, |cache| {
        cache.proofs.figures().map(|figures| figures.rate)
    })?;
    of_each("uploads_waiting", site, encoder, |cache| {
        Some(waiting::count(&site.ledger, cache.slug.as_str(), None))
    })
}

/// How many paths have each word, signatures and content apart: the words of the API and of pages.
fn statuses(site: &Site, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let views: Vec<_> = site
        .caches
        .iter()
        .map(|cache| (cache.slug.as_str(), cache.index.view()))
        .collect();
    let mut signed = begin("index_signatures", encoder)?;
    for (slug, view) in &views {
        for count in &view.totals().signatures {
            let labels = [("cache", *slug), ("signature", count.signature.as_str())];
            gauge(count.paths).encode(signed.encode_family(&labels)?)?;
        }
    }
    let mut checked = begin("index_contents", encoder)?;
    for (slug, view) in &views {
        for (content, paths) in &view.totals().contents {
            let labels = [("cache", *slug), ("content", content.as_str())];
            gauge(*paths).encode(checked.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

/// The figures of the server's own state.
fn state(site: &Site, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let age = begin("state_age_seconds", encoder)?;
    let known = match site.ledger.freshness() {
        Freshness::Never => None,
        Freshness::Fresh(age) | Freshness::Stale(age) | Freshness::Lost(age) => Some(age),
    };
    if let Some(known) = known {
        ConstGauge::new(known.as_secs_f64()).encode(age)?;
    }
    let writable = u64::from(*site.ledger.phase().borrow() == Phase::Open);
    gauge(writable).encode(begin("state_writable", encoder)?)?;
    let findings = site.ledger.view().findings().len();
    gauge(findings as u64).encode(begin("state_findings", encoder)?)
}

/// What was asked of the buckets.
fn bucket(site: &Site, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    for (name, of) in [
        (
            "bucket_requests",
            (|counts| counts.sent) as fn(Counts) -> u64,
        ),
        ("bucket_failures", |counts| counts.failed),
    ] {
        let mut series = begin(name, encoder)?;
        for cache in &site.caches {
            for (operation, counts) in cache.bucket.counts().all() {
                let labels = [
                    ("cache", cache.slug.as_str()),
                    ("operation", operation.as_str()),
                ];
                ConstCounter::new(of(counts)).encode(series.encode_family(&labels)?)?;
            }
        }
    }
    let mut received = begin("bucket_received_bytes", encoder)?;
    for cache in &site.caches {
        let bytes = cache.bucket.counts().received_bytes();
        let labels = [("cache", cache.slug.as_str())];
        ConstCounter::new(bytes).encode(received.encode_family(&labels)?)?;
    }
    Ok(())
}

/// The listener that answers `/metrics` and nothing else.
pub(super) struct MetricsOnly(Arc<Site>);

impl MetricsOnly {
    pub(super) fn of(site: &Arc<Site>) -> Self {
        Self(Arc::clone(site))
    }
}

impl Answering for MetricsOnly {
    async fn answer(self: &Arc<Self>, request: Request, _peer: SocketAddr) -> Response {
        match request.uri().path() {
            "/metrics" => metrics_text(&self.0).await,
            _ => headers::line(StatusCode::NOT_FOUND, "only /metrics is answered here\n"),
        }
    }
}
