//! What is read at each scrape: the caches' own figures.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use time::OffsetDateTime;

use super::connection::Answering;
use super::dispatch::metrics_text;
use crate::ledger::{Freshness, Phase};
use crate::site::Site;
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
        let now = OffsetDateTime::now_utc().unix_timestamp();

        let mut paths = encoder.encode_descriptor(
            "index_paths",
            "Store paths in the index",
            None,
            MetricType::Gauge,
        )?;
        for cache in &site.caches {
            let value = i64::try_from(cache.index.view().len()).unwrap_or(i64::MAX);
            ConstGauge::new(value)
                .encode(paths.encode_family(&[("cache", cache.slug.as_str())])?)?;
        }
        let help =
            "Seconds since the last complete sweep of the narinfos began; absent before the first";
        let mut age =
            encoder.encode_descriptor("index_age_seconds", help, None, MetricType::Gauge)?;
        for cache in &site.caches {
            if let Some(swept) = cache.index.view().swept_at() {
                ConstGauge::new((now - swept).max(0))
                    .encode(age.encode_family(&[("cache", cache.slug.as_str())])?)?;
            }
        }
        let help = "1 where the last sweep failed";
        let mut failed =
            encoder.encode_descriptor("index_failed", help, None, MetricType::Gauge)?;
        for cache in &site.caches {
            let value = i64::from(cache.index_state() == snowbank_shared::api::IndexState::Failed);
            ConstGauge::new(value)
                .encode(failed.encode_family(&[("cache", cache.slug.as_str())])?)?;
        }
        statuses(&site, &mut encoder)?;
        state(&site, &mut encoder)?;
        let help = "Requests to the bucket, repeated ones included";
        let mut sent =
            encoder.encode_descriptor("bucket_requests", help, None, MetricType::Counter)?;
        for cache in &site.caches {
            for (operation, counts) in cache.bucket.counts().all() {
                let labels = [
                    ("cache", cache.slug.as_str()),
                    ("operation", operation.as_str()),
                ];
                ConstCounter::new(counts.sent).encode(sent.encode_family(&labels)?)?;
            }
        }
        let help = "Requests to the bucket that failed";
        let mut failed =
            encoder.encode_descriptor("bucket_failures", help, None, MetricType::Counter)?;
        for cache in &site.caches {
            for (operation, counts) in cache.bucket.counts().all() {
                let labels = [
                    ("cache", cache.slug.as_str()),
                    ("operation", operation.as_str()),
                ];
                ConstCounter::new(counts.failed).encode(failed.encode_family(&labels)?)?;
            }
        }
        let help = "Bytes of objects received from the bucket";
        let mut received =
            encoder.encode_descriptor("bucket_received_bytes", help, None, MetricType::Counter)?;
        for cache in &site.caches {
            let bytes = cache.bucket.counts().received_bytes();
            ConstCounter::new(bytes)
                .encode(received.encode_family(&[("cache", cache.slug.as_str())])?)?;
        }
        Ok(())
    }
}

/// How many paths have each word, signatures and content apart: the words of the API and of pages.
fn statuses(site: &Site, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
    let gauge = |paths: u64| ConstGauge::new(i64::try_from(paths).unwrap_or(i64::MAX));
    let views: Vec<_> = site
        .caches
        .iter()
        .map(|cache| (cache.slug.as_str(), cache.index.view()))
        .collect();
    let help = "Paths by what their signatures are worth; words without paths are left out";
    let mut signed =
        encoder.encode_descriptor("index_signatures", help, None, MetricType::Gauge)?;
    for (slug, view) in &views {
        for count in &view.totals().signatures {
            let labels = [("cache", *slug), ("signature", count.signature.as_str())];
            gauge(count.paths).encode(signed.encode_family(&labels)?)?;
        }
    }
    let help = "Paths by whether their bytes were checked; words without paths are left out";
    let mut checked = encoder.encode_descriptor("index_contents", help, None, MetricType::Gauge)?;
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
    let help =
        "Seconds since the last complete look at the server's state began; absent before the first";
    let age = encoder.encode_descriptor("state_age_seconds", help, None, MetricType::Gauge)?;
    let known = match site.ledger.freshness() {
        Freshness::Never => None,
        Freshness::Fresh(age) | Freshness::Stale(age) | Freshness::Lost(age) => Some(age),
    };
    if let Some(known) = known {
        ConstGauge::new(known.as_secs_f64()).encode(age)?;
    }
    let help = "1 where people, tokens and rules can be changed here";
    let open = encoder.encode_descriptor("state_writable", help, None, MetricType::Gauge)?;
    let writable = i64::from(*site.ledger.phase().borrow() == Phase::Open);
    ConstGauge::new(writable).encode(open)?;
    let help = "Records of the server's state that cannot be believed";
    let findings = encoder.encode_descriptor("state_findings", help, None, MetricType::Gauge)?;
    let count = i64::try_from(site.ledger.view().findings().len()).unwrap_or(i64::MAX);
    ConstGauge::new(count).encode(findings)
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
