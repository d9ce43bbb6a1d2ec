//! Who measures: the state of each source, and how to set one up.

use leptos::prelude::*;
use snowbank_shared::api::usage::{Usage as Answer, UsageOrigin, UsageSource};

use super::Usage;
use super::figures::usage_path;
use super::steps::source_name;
use crate::components::ago::ago;
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::code::code_file;
use crate::components::failure::failure_of;
use crate::components::icon::Icon;
use crate::components::layout::{fact, facts, section};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::state::remote::Remote;

/// Lets the log service of S3 write, and nobody else.
const S3_POLICY: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "LogDelivery",
      "Effect": "Allow",
      "Principal": { "Service": "logging.s3.amazonaws.com" },
      "Action": "s3:PutObject",
      "Resource": "arn:aws:s3:::LOG-BUCKET/access/*",
      "Condition": {
        "ArnLike": { "aws:SourceArn": "arn:aws:s3:::CACHE-BUCKET" },
        "StringEquals": { "aws:SourceAccount": "ACCOUNT-ID" }
      }
    }
  ]
}
"#;

/// What this server needs to read them.
const READ_POLICY: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": "s3:ListBucket",
      "Resource": "arn:aws:s3:::LOG-BUCKET",
      "Condition": { "StringLike": { "s3:prefix": "access/*" } }
    },
    {
      "Effect": "Allow",
      "Action": "s3:GetObject",
      "Resource": "arn:aws:s3:::LOG-BUCKET/access/*"
    }
  ]
}
"#;

/// Draws it.
pub(super) fn tab(usage: Usage) -> AnyView {
    let answer = Remote::<Answer>::new(move || Some(usage_path(usage, "")));
    let body = move || match answer.get() {
        None => answer
            .error()
            .is_none()
            .then(|| skeleton(6, "Asking who measures…")),
        Some(answer) => Some(
            answer
                .sources
                .iter()
                .map(|one| source(usage, one))
                .collect_view()
                .into_any(),
        ),
    };
    let words =
        view! { <p>"One request is counted once: what this server serves, it counts itself."</p> };
    view! {
        <div class="usage-part">
            {failure_of(answer)}
            {section("Sources", words, changing(body))}
        </div>
    }
    .into_any()
}

fn source(usage: Usage, source: &UsageSource) -> AnyView {
    let state = match (source.connected, source.last.is_some()) {
        (true, true) => (
            Tone::Ok,
            Icon::Tick,
            "connected",
            "It has counted something.",
        ),
        (true, false) => (
            Tone::Note,
            Icon::Dash,
            "connected, nothing yet",
            "It is set up and has counted nothing so far.",
        ),
        (false, _) => (
            Tone::Unknown,
            Icon::Dash,
            "not connected",
            "It is not set up.",
        ),
    };
    let moment = |moment: &Option<String>| match moment {
        Some(moment) => ago(moment),
        None => view! { <span class="muted">"nothing yet"</span> }.into_any(),
    };
    let lag = source
        .lag_seconds
        .map(|seconds| fact("Lag", format!("about {}", format::duration(seconds))));
    let gaps = (!source.gaps.is_empty()).then(|| {
        let list = source
            .gaps
            .iter()
            .map(|gap| view! { <li>{gap.from.clone()} " to " {gap.to.clone()}</li> })
            .collect_view();
        fact("Gaps", view! { <ul class="plain-list">{list}</ul> })
    });
    let known = source.connected.then(|| {
        let mut rows = vec![
            fact("First", moment(&source.first)),
            fact("Last", moment(&source.last)),
        ];
        rows.extend(lag);
        rows.extend(gaps);
        facts(rows)
    });
    let about = source.approximate.then(|| {
        view! { <p class="usage-note">"≈ Best effort: such logs come late, and some requests may be missing in them."</p> }
    });
    let note = source
        .note
        .as_deref()
        .map(|note| view! { <p class="usage-note">{format::sentence(note)}</p> });
    let steps = (!source.connected).then(|| set_up(usage, source.source));
    view! {
        <section class="usage-source" data-source=source_id(source.source)>
            <h3>{source_name(source.source)} {chip(state)}</h3>
            {note}
            {about}
            {known}
            {steps}
        </section>
    }
    .into_any()
}

const fn source_id(source: UsageOrigin) -> &'static str {
    match source {
        UsageOrigin::Own => "own",
        UsageOrigin::S3Logs => "s3-logs",
        UsageOrigin::CdnLogs => "cdn-logs",
    }
}

/// What to do, one step after the other, with what has to be pasted.
fn set_up(usage: Usage, source: UsageOrigin) -> AnyView {
    let cache = usage.cache.get_value();
    let settings = |format: &str| {
        format!(
            "[caches.{cache}.access_logs]\nbucket = \"LOG-BUCKET\"\nprefix = \"access/\"\nformat = \"{format}\"\n"
        )
    };
    match source {
        UsageOrigin::Own => {
            let words = "It counts as soon as machines fetch through it.";
            view! { <p class="usage-note">{words}</p> }.into_any()
        }
        UsageOrigin::S3Logs => view! {
            <ol class="plain-steps">
                <li>"Make a bucket for logs, in the region of the cache's bucket, and give it this policy."</li>
                <li>"Turn on server access logging of the cache's bucket, with that bucket and the prefix access/ as its target."</li>
                <li>"Let this server read the logs: add the second policy to its credential."</li>
                <li>"Name them in the server's configuration and restart it."</li>
            </ol>
            {code_file("Policy of the log bucket", S3_POLICY, "log-bucket-policy.json")}
            {code_file("Policy of this server", READ_POLICY, "read-logs-policy.json")}
            {code_file("snowbank.toml", settings("s3"), "snowbank.toml")}
        }
        .into_any(),
        UsageOrigin::CdnLogs => view! {
            <ol class="plain-steps">
                <li>"Turn on standard logging of the CloudFront distribution, into a bucket for logs with the prefix access/."</li>
                <li>"Let this server read them: add this policy to its credential."</li>
                <li>"Name them in the server's configuration and restart it. Where the distribution asks this server instead of the bucket, add " <code>"origin = \"server\""</code> ": what it passes on is counted here."</li>
            </ol>
            {code_file("Policy of this server, CDN", READ_POLICY, "read-cdn-logs-policy.json")}
            {code_file("snowbank.toml, CDN", settings("cloudfront"), "snowbank-cdn.toml")}
        }
        .into_any(),
    }
}
