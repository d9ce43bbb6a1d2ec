//! Rules for Prometheus: when somebody should look.
//!
//! Each condition is made of the names in [`series`](super::series). A rule says what is wrong,
//! and in `description` what to do.

use std::fmt::Write as _;

/// How soon somebody should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Machines or people are kept from their work.
    Critical,
    /// It will be.
    Warning,
}

/// A rule.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its name.
    pub alert: &'static str,
    /// When it holds, in PromQL.
    pub expr: &'static str,
    /// How long it has to hold, in Prometheus' form.
    pub lasting: &'static str,
    /// How soon somebody should look.
    pub urgency: Urgency,
    /// What is wrong, in one line.
    pub summary: &'static str,
    /// What to do.
    pub description: &'static str,
}

/// All of them.
pub const ALL: &[Rule] = &[
    Rule {
        alert: "SnowbankGone",
        expr: "absent(snowbank_build_info)",
        lasting: "5m",
        urgency: Urgency::Critical,
        summary: "No Snowbank is scraped",
        description: "Nix falls back to other caches and builds. Look whether the server runs and whether Prometheus reaches its metrics.",
    },
    Rule {
        alert: "SnowbankServerErrors",
        expr: "sum(rate(snowbank_requests_total{status=~\"5..\"}[5m])) / sum(rate(snowbank_requests_total[5m])) > 0.01",
        lasting: "10m",
        urgency: Urgency::Critical,
        summary: "More than 1 % of requests end in an error of the server",
        description: "The server's log has each with its request id. Most often the bucket does not answer: see SnowbankBucketFails.",
    },
    Rule {
        alert: "SnowbankBucketFails",
        expr: "sum by (cache) (rate(snowbank_bucket_failures_total[5m])) / sum by (cache) (rate(snowbank_bucket_requests_total[5m])) > 0.05",
        lasting: "10m",
        urgency: Urgency::Critical,
        summary: "More than 5 % of requests to the bucket of {{ $labels.cache }} fail",
        description: "Narinfos are answered from memory meanwhile; archives and uploads are not. Look at the store, the credentials and the network between.",
    },
    Rule {
        alert: "SnowbankIndexStale",
        expr: "snowbank_index_age_seconds > 3600",
        lasting: "15m",
        urgency: Urgency::Warning,
        summary: "{{ $labels.cache }} was not swept for an hour",
        description: "What others write into the bucket does not show. The cache's page says what the sweep fails on.",
    },
    Rule {
        alert: "SnowbankSweepFails",
        expr: "snowbank_index_failed == 1",
        lasting: "30m",
        urgency: Urgency::Warning,
        summary: "Sweeps of {{ $labels.cache }} fail",
        description: "The last good index stays and is served. The cache's page says what the sweep fails on.",
    },
    Rule {
        alert: "SnowbankObjectsNotCounted",
        expr: "snowbank_bucket_sweep_age_seconds > 172800",
        lasting: "1h",
        urgency: Urgency::Warning,
        summary: "The objects of {{ $labels.cache }} were not counted for two days",
        description: "Sizes, missing archives and orphans are old, and nothing is removed meanwhile. The server's log says why the daily sweep does not end.",
    },
    Rule {
        alert: "SnowbankStateStale",
        expr: "snowbank_state_age_seconds > 60",
        lasting: "5m",
        urgency: Urgency::Critical,
        summary: "A server has not read people, keys and tokens for a minute",
        description: "It publishes nothing until it can: uploads are refused. Look at the bucket of the state.",
    },
    Rule {
        alert: "SnowbankStateNotWritable",
        expr: "snowbank_state_writable == 0",
        lasting: "15m",
        urgency: Urgency::Warning,
        summary: "Nobody can sign in or change anything",
        description: "Reading public caches goes on. The start of the server's log says why its state is not open: most often the credentials may not write, or the secret is another one.",
    },
    Rule {
        alert: "SnowbankStateNotBelieved",
        expr: "snowbank_state_findings > 0",
        lasting: "5m",
        urgency: Urgency::Critical,
        summary: "Records of the server's state do not verify",
        description: "Somebody else writes the state's bucket, or the secret was changed. Nothing of such a record is granted; nothing is removed by retention. See `snowbank state check`.",
    },
    Rule {
        alert: "SnowbankProofsOld",
        expr: "snowbank_oldest_proof_age_seconds > 10368000 and snowbank_verify_rate_bytes > 0",
        lasting: "1h",
        urgency: Urgency::Warning,
        summary: "Archives of {{ $labels.cache }} were not read for 120 days",
        description: "What changes in the bucket by itself or by somebody's hand is not found. Raise `verify_rate` of the cache, or look in the server's log why nothing is read.",
    },
    Rule {
        alert: "SnowbankContentDiffers",
        expr: "snowbank_index_contents{content=\"mismatch\"} > 0",
        lasting: "0m",
        urgency: Urgency::Critical,
        summary: "Archives of {{ $labels.cache }} are not what their narinfo says",
        description: "Clients refuse them. Health lists the paths; upload them again, or remove them.",
    },
    Rule {
        alert: "SnowbankArchivesMissing",
        expr: "snowbank_index_contents{content=\"nar-missing\"} > 0",
        lasting: "15m",
        urgency: Urgency::Critical,
        summary: "{{ $labels.cache }} offers paths whose archive is gone",
        description: "Clients fail on them, those before 2.35 without trying elsewhere. Health lists the paths; upload them again, or remove their narinfos.",
    },
    Rule {
        alert: "SnowbankSignaturesInvalid",
        expr: "snowbank_index_signatures{signature=\"invalid\"} > 0",
        lasting: "15m",
        urgency: Urgency::Warning,
        summary: "{{ $labels.cache }} has paths whose signature does not verify",
        description: "Clients refuse them. Health lists the paths.",
    },
    Rule {
        alert: "SnowbankHitRatioLow",
        expr: "sum by (cache) (rate(snowbank_narinfos_total{outcome=~\"Hit|FoundInBucket\"}[1h])) / sum by (cache) (rate(snowbank_narinfos_total[1h])) < 0.75",
        lasting: "1h",
        urgency: Urgency::Warning,
        summary: "Less than three quarters of what is asked of {{ $labels.cache }} is there",
        description: "The usage page lists what is missed. What an upstream has anyway is in this figure and not in the page's useful ratio.",
    },
    Rule {
        alert: "SnowbankQuotaNearlyFull",
        expr: "snowbank_bucket_stored_bytes / snowbank_bucket_quota_bytes > 0.9",
        lasting: "1h",
        urgency: Urgency::Warning,
        summary: "{{ $labels.cache }} is nine tenths full",
        description: "Uploads are refused once it is full. Raise max_bytes, or let go of paths.",
    },
    Rule {
        alert: "SnowbankUploadsWait",
        expr: "snowbank_uploads_waiting > 0",
        lasting: "24h",
        urgency: Urgency::Warning,
        summary: "Uploads to {{ $labels.cache }} wait for approval since yesterday",
        description: "The cache's approvals page lists them; they expire.",
    },
];

/// A text of YAML between double quotes.
fn quoted(text: &str) -> String {
    // A JSON string is a YAML string.
    serde_json::Value::from(text).to_string()
}

/// The file for Prometheus' `rule_files`.
pub fn file() -> String {
    let mut out = String::from(
        "# Alert rules for Snowbank. Name this file in `rule_files` of prometheus.yml.\n\
         groups:\n  - name: snowbank\n    rules:\n",
    );
    for rule in ALL {
        let urgency = match rule.urgency {
            Urgency::Critical => "critical",
            Urgency::Warning => "warning",
        };
        // Writing into a String does not fail.
        let _ = write!(
            out,
            "      - alert: {}\n        expr: {}\n        for: {}\n        labels:\n          severity: {urgency}\n        \
             annotations:\n          summary: {}\n          description: {}\n",
            rule.alert,
            quoted(rule.expr),
            rule.lasting,
            quoted(rule.summary),
            quoted(rule.description),
        );
    }
    out
}
