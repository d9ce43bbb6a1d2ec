//! Counters for `/metrics`, in the text format of OpenMetrics.
//!
//! What is counted as it happens lives here; what the caches know by themselves (paths,
//! requests to the bucket, the age of the index) is read at each scrape by a collector
//! that the server registers. What there is stands in one table, [`series`], from which the
//! [`dashboard`] for Grafana and the [`rules`] for Prometheus come too.

pub mod dashboard;
pub mod rules;
pub mod series;

use std::sync::Mutex;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// The Content-Type of what [`Metrics::render`] gives.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What kind of address a request was for. A path itself would make a series per client's whim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(missing_docs, reason = "each is what it says")]
pub enum Endpoint {
    Narinfo,
    Substituter,
    Upload,
    Api,
    Machine,
    Page,
    Asset,
    Probe,
    Metrics,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    endpoint: Endpoint,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabels {
    endpoint: Endpoint,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CacheLabels {
    cache: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct NarinfoLabels {
    cache: String,
    outcome: NarinfoOutcome,
}

/// How a request for a narinfo ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum NarinfoOutcome {
    /// Answered from memory.
    Hit,
    /// Not there.
    Absent,
    /// There, and not served.
    HeldBack,
    /// Not in the index, and in the bucket.
    FoundInBucket,
}

/// The registry and what is counted by hand.
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<EndpointLabels, Histogram, fn() -> Histogram>,
    narinfos: Family<NarinfoLabels, Counter>,
    nar_bytes: Family<CacheLabels, Counter>,
    /// Connections that are open.
    pub connections: Gauge,
    /// Streams of events that are open.
    pub event_streams: Gauge,
}

/// From half a millisecond to half a minute.
fn time_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 4.0, 9))
}

/// Under the name and the help of the table.
fn register(registry: &mut Registry, name: &str, metric: impl prometheus_client::registry::Metric) {
    let series = series::series(name);
    registry.register(series.name, series.help, metric);
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("snowbank");
        let requests = Family::default();
        let seconds = Family::new_with_constructor(time_histogram as fn() -> Histogram);
        let narinfos = Family::default();
        let nar_bytes = Family::default();
        let connections = Gauge::default();
        let event_streams = Gauge::default();
        register(&mut registry, "requests", Family::clone(&requests));
        register(&mut registry, "request_seconds", Family::clone(&seconds));
        register(&mut registry, "narinfos", Family::clone(&narinfos));
        register(&mut registry, "nar_sent_bytes", Family::clone(&nar_bytes));
        register(&mut registry, "connections", connections.clone());
        register(&mut registry, "event_streams", event_streams.clone());
        Self {
            registry: Mutex::new(registry),
            requests,
            seconds,
            narinfos,
            nar_bytes,
            connections,
            event_streams,
        }
    }
}

impl Metrics {
    /// Counts a request that was answered.
    pub fn answered(&self, endpoint: Endpoint, status: u16, took: Duration) {
        self.requests
            .get_or_create(&RequestLabels { endpoint, status })
            .inc();
        self.seconds
            .get_or_create(&EndpointLabels { endpoint })
            .observe(took.as_secs_f64());
    }

    /// The counter of one outcome in one cache.
    pub fn narinfo(&self, cache: &str, outcome: NarinfoOutcome) -> Counter {
        self.narinfos
            .get_or_create(&NarinfoLabels {
                cache: cache.to_owned(),
                outcome,
            })
            .clone()
    }

    /// The counter of NAR bytes of one cache.
    pub fn nar_bytes(&self, cache: &str) -> Counter {
        self.nar_bytes
            .get_or_create(&CacheLabels {
                cache: cache.to_owned(),
            })
            .clone()
    }

    /// Adds what is read at each scrape.
    pub fn collect(&self, collector: impl Collector) {
        self.registry
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .register_collector(Box::new(collector));
    }

    /// All of them, as text.
    pub fn render(&self) -> String {
        let mut out = String::new();
        let registry = self
            .registry
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // Writing into a String does not fail.
        let _ = text::encode(&mut out, &registry);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_rendered() {
        let metrics = Metrics::default();
        metrics.answered(Endpoint::Api, 200, Duration::from_millis(3));
        metrics.narinfo("main", NarinfoOutcome::Hit).inc();
        let text = metrics.render();
        assert!(
            text.contains("snowbank_requests_total{endpoint=\"Api\",status=\"200\"} 1"),
            "{text}"
        );
        assert!(
            text.contains("snowbank_narinfos_total{cache=\"main\",outcome=\"Hit\"} 1"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"));
    }
}
