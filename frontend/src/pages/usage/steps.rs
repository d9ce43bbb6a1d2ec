//! The steps of an answer laid on the axis of the page. Pure, so that it is tested natively.

use snowbank_shared::api::storage::SizeDay;
use snowbank_shared::api::usage::{Usage, UsageCounts, UsageEvent, UsageOrigin, UsageSource};

use crate::components::plot::{Mark, Span, day_of};
use crate::format;

/// What was counted in each step of an axis; `None` where nobody measured.
pub(super) fn counts(span: Span, answer: &Usage) -> Vec<Option<UsageCounts>> {
    let mut steps = vec![None; span.steps];
    for item in &answer.items {
        let Some(from) = format::unix_seconds(&item.from) else {
            continue;
        };
        let at = (from - span.from).checked_div(span.step);
        let place = at
            .and_then(|at| usize::try_from(at).ok())
            .and_then(|at| steps.get_mut(at));
        if let Some(place) = place
            && from >= span.from
        {
            place.clone_from(&item.counts);
        }
    }
    steps
}

/// The days of an axis with what the bucket held on each.
pub(super) fn days(span: Span, days: &[SizeDay]) -> Vec<Option<&SizeDay>> {
    (0..span.steps)
        .map(|step| {
            let day = day_of(span.start(step));
            days.iter().find(|known| known.day == day)
        })
        .collect()
}

/// The same range in whole days: sizes are known once a day.
pub(super) fn by_day(span: Span) -> Span {
    const DAY: i64 = 86_400;
    let from = span.from.div_euclid(DAY) * DAY;
    let to = -((-span.end()).div_euclid(DAY)) * DAY;
    Span {
        from,
        step: DAY,
        steps: usize::try_from((to - from) / DAY).unwrap_or_default(),
    }
}

/// A share in thousandths; `None` of nothing. Only all is 1000, only nothing is 0.
pub(super) fn permille(part: u64, whole: u64) -> Option<u64> {
    if whole == 0 {
        return None;
    }
    let rounded = (u128::from(part) * 2000 + u128::from(whole)) / (u128::from(whole) * 2);
    let rounded = u64::try_from(rounded).unwrap_or(1000);
    Some(if part == 0 {
        0
    } else if part >= whole {
        1000
    } else {
        rounded.clamp(1, 999)
    })
}

/// What happened meanwhile.
pub(super) fn marks(events: &[UsageEvent]) -> Vec<Mark> {
    events
        .iter()
        .filter_map(|event| {
            Some(Mark {
                at: format::unix_seconds(&event.at)?,
                words: event.words.clone(),
            })
        })
        .collect()
}

/// A source's name.
pub(super) const fn source_name(source: UsageOrigin) -> &'static str {
    match source {
        UsageOrigin::Own => "This server",
        UsageOrigin::S3Logs => "Access logs of the bucket",
        UsageOrigin::CdnLogs => "Access logs of the CDN",
    }
}

/// Who measured, in a sentence.
pub(super) fn sources_words(sources: &[UsageSource]) -> String {
    let parts: Vec<String> = sources
        .iter()
        .filter(|source| source.connected)
        .map(|source| {
            let about = if source.approximate { "≈ " } else { "" };
            let until = match (&source.last, source.approximate) {
                (Some(last), true) => format!(", until {last}"),
                _ => String::new(),
            };
            format!("{about}{}{until}", source_name(source.source))
        })
        .collect();
    if parts.is_empty() {
        "Source: none is connected.".to_owned()
    } else {
        format!("Source: {}.", parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snowbank_shared::api::usage::{UsageItem, UsageStep};

    #[test]
    fn steps_find_their_place_and_what_nobody_measured_stays_open() {
        let span = Span {
            from: 1_795_392_000,
            step: 3600,
            steps: 3,
        };
        let item = |from: &str, hits: Option<u64>| UsageItem {
            from: from.to_owned(),
            counts: hits.map(|hits| UsageCounts {
                hits,
                ..UsageCounts::default()
            }),
        };
        let answer = Usage {
            from: String::new(),
            to: String::new(),
            step: UsageStep::Hour,
            as_of: String::new(),
            not_measured: None,
            sources: Vec::new(),
            items: vec![
                item("2026-11-22T23:00:00Z", Some(1)),
                item("2026-11-23T00:00:00Z", Some(2)),
                item("2026-11-23T01:00:00Z", None),
                item("2026-11-23T02:00:00Z", Some(0)),
                item("2026-11-23T03:00:00Z", Some(9)),
                item("nonsense", Some(9)),
            ],
            total: None,
            events: Vec::new(),
            never_fetched: None,
        };
        let hits: Vec<Option<u64>> = counts(span, &answer)
            .into_iter()
            .map(|counts| counts.map(|counts| counts.hits))
            .collect();
        assert_eq!(hits, [Some(2), None, Some(0)]);
        let days = by_day(Span {
            from: span.from + 3600,
            ..span
        });
        assert_eq!((days.from, days.step, days.steps), (span.from, 86_400, 1));
    }

    #[test]
    fn a_share_of_nothing_is_none_and_nothing_is_rounded_to_all() {
        assert_eq!(permille(0, 0), None);
        assert_eq!(permille(0, 7), Some(0));
        assert_eq!(permille(80, 100), Some(800));
        assert_eq!(permille(999_999, 1_000_000), Some(999));
        assert_eq!(permille(1, 1_000_000), Some(1));
        assert_eq!(permille(3, 3), Some(1000));
    }
}
