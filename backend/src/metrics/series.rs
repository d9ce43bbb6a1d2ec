//! Every series of `/metrics`, once: what it is called, what it means, how it is drawn.
//!
//! ```text
//!               ┌──▶ /metrics             names, help
//!  this table ──┼──▶ dashboard.json       panels
//!               └──▶ alerts.yml           conditions are made of these names only
//! ```
//!
//! A test scrapes a server and finds every name of the table there, and in the table every
//! name of the dashboard and of the rules.

/// What kind of series it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counted in buckets; its name ends in `_bucket`, `_sum`, `_count`.
    Histogram,
    /// Constant: its labels are what it says.
    Info,
}

/// How a series is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Panel {
    /// Above the drawing.
    pub title: &'static str,
    /// What is drawn, in PromQL; `$cache` is the cache that was chosen.
    pub expr: &'static str,
    /// What a line is called, in Grafana's form.
    pub legend: &'static str,
    /// Grafana's name of the unit.
    pub unit: &'static str,
}

/// A series.
#[derive(Debug, Clone, Copy)]
pub struct Series {
    /// Its name, without `snowbank_` before it and what its kind puts behind it.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// What it counts, in one line.
    pub help: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// How it is drawn, where it is.
    pub panel: Option<Panel>,
}

impl Series {
    /// As it is scraped; a histogram's count.
    pub fn scraped(&self) -> String {
        let end = match self.kind {
            Kind::Counter => "_total",
            Kind::Histogram => "_count",
            Kind::Info => "_info",
            Kind::Gauge => "",
        };
        format!("snowbank_{}{end}", self.name)
    }
}

/// The series of this name.
///
/// # Panics
/// Where the table has none: a name is written only here and where its value is read.
pub fn series(name: &str) -> &'static Series {
    let found = ALL.iter().find(|series| series.name == name);
    found.unwrap_or_else(|| unreachable!("{name} is not in the table of series"))
}

const fn panel(
    title: &'static str,
    expr: &'static str,
    legend: &'static str,
    unit: &'static str,
) -> Option<Panel> {
    Some(Panel {
        title,
        expr,
        legend,
        unit,
    })
}

const CACHE: &[&str] = &["cache"];

/// All of them, in the order of the dashboard.
pub const ALL: &[Series] = &[
    Series {
        name: "build",
        kind: Kind::Info,
        help: "The version that runs",
        labels: &["version"],
        panel: None,
    },
    Series {
        name: "narinfos",
        kind: Kind::Counter,
        help: "Requests for narinfos",
        labels: &["cache", "outcome"],
        panel: panel(
            "Narinfos a second",
            "sum by (cache, outcome) (rate(snowbank_narinfos_total{cache=~\"$cache\"}[5m]))",
            "{{cache}} {{outcome}}",
            "reqps",
        ),
    },
    Series {
        name: "nar_sent_bytes",
        kind: Kind::Counter,
        help: "Bytes of archives sent",
        labels: CACHE,
        panel: panel(
            "Archives sent",
            "sum by (cache) (rate(snowbank_nar_sent_bytes_total{cache=~\"$cache\"}[5m]))",
            "{{cache}}",
            "Bps",
        ),
    },
    Series {
        name: "requests",
        kind: Kind::Counter,
        help: "Requests answered, but for narinfos from memory",
        labels: &["endpoint", "status"],
        panel: panel(
            "Requests a second, by status",
            "sum by (status) (rate(snowbank_requests_total[5m]))",
            "{{status}}",
            "reqps",
        ),
    },
    Series {
        name: "request_seconds",
        kind: Kind::Histogram,
        help: "Seconds until the head of the answer",
        labels: &["endpoint"],
        panel: panel(
            "Time to the head of the answer, p95",
            "histogram_quantile(0.95, sum by (endpoint, le) (rate(snowbank_request_seconds_bucket[5m])))",
            "{{endpoint}}",
            "s",
        ),
    },
    Series {
        name: "connections",
        kind: Kind::Gauge,
        help: "Open connections",
        labels: &[],
        panel: panel(
            "Open connections",
            "snowbank_connections",
            "{{instance}}",
            "short",
        ),
    },
    Series {
        name: "event_streams",
        kind: Kind::Gauge,
        help: "Open streams of events",
        labels: &[],
        panel: None,
    },
    Series {
        name: "index_paths",
        kind: Kind::Gauge,
        help: "Store paths in the index",
        labels: CACHE,
        panel: panel(
            "Paths",
            "max by (cache) (snowbank_index_paths{cache=~\"$cache\"})",
            "{{cache}}",
            "short",
        ),
    },
    Series {
        name: "index_memory_bytes",
        kind: Kind::Gauge,
        help: "Bytes of memory that the index of a cache takes",
        labels: CACHE,
        panel: panel(
            "Memory of the index",
            "max by (cache) (snowbank_index_memory_bytes{cache=~\"$cache\"})",
            "{{cache}}",
            "bytes",
        ),
    },
    Series {
        name: "index_age_seconds",
        kind: Kind::Gauge,
        help: "Seconds since the last complete sweep of the narinfos began; absent before the first",
        labels: CACHE,
        panel: panel(
            "Age of the last sweep of narinfos",
            "max by (cache) (snowbank_index_age_seconds{cache=~\"$cache\"})",
            "{{cache}}",
            "s",
        ),
    },
    Series {
        name: "index_failed",
        kind: Kind::Gauge,
        help: "1 where the last sweep failed",
        labels: CACHE,
        panel: None,
    },
    Series {
        name: "bucket_sweep_age_seconds",
        kind: Kind::Gauge,
        help: "Seconds since the last complete sweep of all objects began; absent before the first",
        labels: CACHE,
        panel: panel(
            "Age of the last sweep of all objects",
            "max by (cache) (snowbank_bucket_sweep_age_seconds{cache=~\"$cache\"})",
            "{{cache}}",
            "s",
        ),
    },
    Series {
        name: "bucket_stored_bytes",
        kind: Kind::Gauge,
        help: "Bytes of all objects below the cache's prefix at the last sweep of all objects",
        labels: CACHE,
        panel: panel(
            "Stored",
            "max by (cache) (snowbank_bucket_stored_bytes{cache=~\"$cache\"})",
            "{{cache}}",
            "bytes",
        ),
    },
    Series {
        name: "bucket_quota_bytes",
        kind: Kind::Gauge,
        help: "Bytes that the cache may hold; absent without a limit",
        labels: CACHE,
        panel: None,
    },
    Series {
        name: "bucket_orphan_bytes",
        kind: Kind::Gauge,
        help: "Bytes of archives that no narinfo names, at the last sweep of all objects",
        labels: CACHE,
        panel: None,
    },
    Series {
        name: "index_signatures",
        kind: Kind::Gauge,
        help: "Paths by what their signatures are worth; words without paths are left out",
        labels: &["cache", "signature"],
        panel: panel(
            "Paths by signature",
            "max by (cache, signature) (snowbank_index_signatures{cache=~\"$cache\"})",
            "{{cache}} {{signature}}",
            "short",
        ),
    },
    Series {
        name: "index_contents",
        kind: Kind::Gauge,
        help: "Paths by whether their bytes were checked; words without paths are left out",
        labels: &["cache", "content"],
        panel: panel(
            "Paths by content",
            "max by (cache, content) (snowbank_index_contents{cache=~\"$cache\"})",
            "{{cache}} {{content}}",
            "short",
        ),
    },
    Series {
        name: "proven_paths",
        kind: Kind::Gauge,
        help: "Paths whose archive was read and is the one of its narinfo; absent before they were counted",
        labels: CACHE,
        panel: panel(
            "Paths whose content is proven",
            "max by (cache) (snowbank_proven_paths{cache=~\"$cache\"}) / (max by (cache) (snowbank_index_paths{cache=~\"$cache\"}) > 0)",
            "{{cache}}",
            "percentunit",
        ),
    },
    Series {
        name: "oldest_proof_age_seconds",
        kind: Kind::Gauge,
        help: "Seconds since the archive was read whose proof is oldest; absent where none is proven",
        labels: CACHE,
        panel: panel(
            "Age of the oldest proof of content",
            "max by (cache) (snowbank_oldest_proof_age_seconds{cache=~\"$cache\"})",
            "{{cache}}",
            "s",
        ),
    },
    Series {
        name: "verify_rate_bytes",
        kind: Kind::Gauge,
        help: "Bytes a second that may be read to prove content; 0: off; absent before the paths were counted",
        labels: CACHE,
        panel: None,
    },
    Series {
        name: "index_findings",
        kind: Kind::Gauge,
        help: "What is wrong in the bucket: findings of all checks",
        labels: CACHE,
        panel: panel(
            "Findings",
            "max by (cache) (snowbank_index_findings{cache=~\"$cache\"})",
            "{{cache}}",
            "short",
        ),
    },
    Series {
        name: "uploads_waiting",
        kind: Kind::Gauge,
        help: "Uploads that wait for somebody's approval",
        labels: CACHE,
        panel: panel(
            "Uploads that wait for approval",
            "max by (cache) (snowbank_uploads_waiting{cache=~\"$cache\"})",
            "{{cache}}",
            "short",
        ),
    },
    Series {
        name: "state_age_seconds",
        kind: Kind::Gauge,
        help: "Seconds since the last complete look at the server's state began; absent before the first",
        labels: &[],
        panel: panel(
            "Age of what this server believes of people and keys",
            "snowbank_state_age_seconds",
            "{{instance}}",
            "s",
        ),
    },
    Series {
        name: "state_writable",
        kind: Kind::Gauge,
        help: "1 where people, tokens and rules can be changed here",
        labels: &[],
        panel: None,
    },
    Series {
        name: "state_findings",
        kind: Kind::Gauge,
        help: "Records of the server's state that cannot be believed",
        labels: &[],
        panel: None,
    },
    Series {
        name: "bucket_requests",
        kind: Kind::Counter,
        help: "Requests to the bucket, repeated ones included",
        labels: &["cache", "operation"],
        panel: panel(
            "Requests to the bucket a second",
            "sum by (cache, operation) (rate(snowbank_bucket_requests_total{cache=~\"$cache\"}[5m]))",
            "{{cache}} {{operation}}",
            "reqps",
        ),
    },
    Series {
        name: "bucket_failures",
        kind: Kind::Counter,
        help: "Requests to the bucket that failed",
        labels: &["cache", "operation"],
        panel: panel(
            "Requests to the bucket that fail, a second",
            "sum by (cache, operation) (rate(snowbank_bucket_failures_total{cache=~\"$cache\"}[5m]))",
            "{{cache}} {{operation}}",
            "reqps",
        ),
    },
    Series {
        name: "bucket_received_bytes",
        kind: Kind::Counter,
        help: "Bytes of objects received from the bucket",
        labels: CACHE,
        panel: panel(
            "Received from the bucket",
            "sum by (cache) (rate(snowbank_bucket_received_bytes_total{cache=~\"$cache\"}[5m]))",
            "{{cache}}",
            "Bps",
        ),
    },
];
