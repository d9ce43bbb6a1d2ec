//! Who measures, since when, until when and with which gaps.

use snowbank_shared::api::usage::{UsageGap, UsageOrigin, UsageSource};

use super::logs::{Figures, LogState};
use super::report::{MOST_LISTED, Report, Span};
use super::{HOURS_DAYS, Usage, now};
use crate::auth::records::spelled;
use crate::config::{LogFormat, LogOrigin};
use crate::ledger::{Ledger, RecordId, Scope};

/// The access logs of a cache, as they are now.
#[derive(Debug, Clone)]
pub(super) struct Logs {
    format: LogFormat,
    origin: LogOrigin,
    /// Why they were not read the last time.
    trouble: Option<String>,
    figures: Figures,
    /// Why fetches do not count as measured.
    lacking: Option<String>,
}

impl Usage {
    pub(super) fn logs_now(&self, ledger: &Ledger, slug: &str) -> Option<Logs> {
        let reader = self.logs()?;
        let view = ledger.view();
        let state = view.get::<LogState>(Scope::Cache(slug), &RecordId::only());
        Some(Logs {
            format: reader.format(),
            origin: reader.source().origin,
            trouble: reader.trouble(),
            figures: state.map(|state| state.figures.clone()).unwrap_or_default(),
            lacking: reader.whole_since(ledger, slug, now()).err(),
        })
    }
}

impl Logs {
    const fn origin(&self) -> UsageOrigin {
        match self.format {
            LogFormat::S3 => UsageOrigin::S3Logs,
            LogFormat::Cloudfront => UsageOrigin::CdnLogs,
        }
    }

    /// What there is to say about them.
    fn words(&self) -> String {
        let figures = &self.figures;
        let mut words = Vec::new();
        if let Some(trouble) = &self.trouble {
            words.push(format!(
                "They could not be read at the last try, and it is tried again every few minutes: {trouble}."
            ));
        }
        words.push(format!(
            "Read: {} with {}.",
            counted(figures.objects, "log object"),
            counted(figures.lines, "line")
        ));
        if figures.broken_objects + figures.broken_lines > 0 {
            let last = figures.complaint.as_deref().unwrap_or("not known");
            words.push(format!(
                "Not understood: {} and {}, the last: {last}.",
                counted(figures.broken_objects, "log object"),
                counted(figures.broken_lines, "line"),
            ));
        }
        if let Some(lacking) = &self.lacking {
            words.push(format!(
                "Retention cannot tell by them what nobody fetches: {lacking}."
            ));
        }
        if figures.ours > 0 {
            words.push(format!(
                "Left out: {} of this server, which counts what it serves.",
                counted(figures.ours, "request")
            ));
        }
        if figures.refused > 0 {
            words.push(format!(
                "Refused (401, 403) and not counted: {}. A bucket that clients may not list answers so for paths that it lacks: give them s3:ListBucket, and misses are counted.",
                counted(figures.refused, "request")
            ));
        }
        if self.origin == LogOrigin::Server {
            words.push("What the CDN asks this server for is counted there.".to_owned());
        }
        words.join(" ")
    }
}

fn counted(count: u64, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    }
}

impl Report {
    /// Why the access logs tell nothing of a range.
    pub(super) fn logs_not_measured(&self) -> String {
        match (&self.logs, self.logged.last()) {
            (None, _) => "Access logs are not read: none are set up for this cache.".to_owned(),
            (
                Some(Logs {
                    trouble: Some(trouble),
                    ..
                }),
                None,
            ) => {
                format!("The access logs could not be read: {trouble}.")
            }
            (Some(_), None) => {
                "The access logs have told nothing yet. They come late, up to a day.".to_owned()
            }
            (Some(_), Some((_, until))) => format!(
                "The access logs tell nothing of this time. They are read until {}.",
                spelled(*until)
            ),
        }
    }

    /// Who measures, and what they know of; gaps within the range.
    pub(super) fn sources(&self, range: Span) -> Vec<UsageSource> {
        let own = UsageSource {
            source: UsageOrigin::Own,
            connected: !self.off,
            first: self.own.first().map(|span| spelled(span.0)),
            last: self.own.last().map(|span| spelled(span.1)),
            lag_seconds: Some(0),
            gaps: gaps(&self.own, range),
            approximate: false,
            note: Some(format!(
                "It counts what goes through this server. Hours are kept for {HOURS_DAYS} days."
            )),
        };
        let logs = |source, without: &str| {
            let logs = self.logs.as_ref().filter(|logs| logs.origin() == source);
            let of = |moment: Option<i64>| logs.and(moment).map(spelled);
            UsageSource {
                source,
                connected: logs.is_some(),
                first: of(self.logged.first().map(|span| span.0)),
                last: of(self.logged.last().map(|span| span.1)),
                lag_seconds: logs.and_then(|logs| logs.figures.lag),
                gaps: match logs {
                    Some(_) => gaps(&self.logged, range),
                    None => Vec::new(),
                },
                approximate: true,
                note: Some(logs.map_or_else(|| without.to_owned(), Logs::words)),
            }
        };
        vec![
            own,
            logs(
                UsageOrigin::S3Logs,
                "Not read. Requests that go to the bucket directly are not measured: let clients use this server's address.",
            ),
            logs(
                UsageOrigin::CdnLogs,
                "Not read. What a CDN answers from its own store does not reach this server and is not measured.",
            ),
        ]
    }
}

/// What lies between spans and within the range, the newest where there are many.
fn gaps(spans: &[(i64, i64)], range: Span) -> Vec<UsageGap> {
    let between = spans.windows(2).map(|two| (two[0].1, two[1].0));
    let mut gaps: Vec<UsageGap> = between
        .filter(|(from, to)| range.has(*from, *to))
        .map(|(from, to)| UsageGap {
            from: spelled(from),
            to: spelled(to),
        })
        .collect();
    let oldest = gaps.len().saturating_sub(MOST_LISTED);
    gaps.drain(..oldest);
    gaps
}
