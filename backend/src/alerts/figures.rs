//! The figures that alerts look at. What is not measured is said in words and never is zero.

use snowbank_shared::api::ContentStatus;
use snowbank_shared::api::alerts::AlertFigure;
use snowbank_shared::api::usage::{UsageCounts, UsageStep};

use super::FEWEST_REQUESTS;
use crate::intake::waiting;
use crate::site::{Cache, Site};
use crate::usage::{Counted, HOUR, Span};

/// A figure in thousandths of its unit, or why it is not known.
pub(super) type Reading = Result<u64, String>;

/// `part` of `whole` in thousandths of a percent.
fn percent(part: u64, whole: u64) -> u64 {
    let thousandths = u128::from(part) * 100_000 / u128::from(whole.max(1));
    u64::try_from(thousandths).unwrap_or(u64::MAX)
}

/// As it crosses the wire.
pub(super) fn in_units(thousandths: u64) -> f64 {
    let whole = u32::try_from(thousandths / 1_000).unwrap_or(u32::MAX);
    let rest = u32::try_from(thousandths % 1_000).unwrap_or_default();
    f64::from(whole) + f64::from(rest) / 1_000.0
}

fn ratio(counts: Option<UsageCounts>, why: Option<String>, useful: bool) -> Reading {
    let Some(counts) = counts else {
        return Err(why.unwrap_or_else(|| "Nobody counted in this time.".to_owned()));
    };
    let missed = match useful {
        true => counts.useful_misses,
        false => counts.misses,
    };
    let asked = counts.hits + missed;
    if asked < FEWEST_REQUESTS {
        return Err(format!(
            "{asked} narinfos were asked for in this hour and the one before: a ratio of fewer than {FEWEST_REQUESTS} says nothing."
        ));
    }
    Ok(percent(counts.hits, asked))
}

/// What the figure of a cache is now. May look at every path: call it off the reactor. `now`: seconds
/// since 1970.
pub(super) fn read(
    site: &Site,
    cache: &Cache,
    figure: AlertFigure,
    check: Option<&str>,
    now: i64,
) -> Reading {
    let slug = cache.slug.as_str();
    let view = cache.index.view();
    let indexed = || match cache.is_complete() {
        true => Ok(()),
        false => Err("The first index of this cache is still being built.".to_owned()),
    };
    match figure {
        AlertFigure::HitRatio | AlertFigure::UsefulHitRatio => {
            let range = Span::of(now - HOUR, now, UsageStep::Hour);
            // Access logs come hours later: what they tell of the last hour is nothing yet.
            let counted = Counted::Own;
            let report = cache.usage.report(&site.ledger, slug, range, counted);
            let known = report.shown(range, UsageStep::Hour, None);
            let useful = figure == AlertFigure::UsefulHitRatio;
            ratio(known.total, known.not_measured, useful)
        }
        AlertFigure::Findings => {
            indexed()?;
            let count = match check {
                None => view.finding_count(),
                Some(_) => {
                    view.health(check, 1, None)
                        .map_err(|error| error.to_string())?
                        .total
                }
            };
            Ok(count.saturating_mul(1_000))
        }
        AlertFigure::QuotaUsed => {
            let Some(quota) = cache.max_bytes else {
                return Err("This cache has no quota (max_bytes).".to_owned());
            };
            match &view.totals().bucket {
                Some(bucket) => Ok(percent(bucket.bytes, quota)),
                None => Err("The objects of the bucket were not counted yet.".to_owned()),
            }
        }
        AlertFigure::SweepAge => match view.swept_at() {
            Some(swept) => {
                let seconds = u64::try_from(now - swept).unwrap_or_default();
                Ok(seconds.saturating_mul(1_000) / 60)
            }
            None => Err("The first sweep has not ended yet.".to_owned()),
        },
        AlertFigure::Approvals => {
            let waiting = waiting::count(&site.ledger, slug, None);
            Ok(waiting.saturating_mul(1_000))
        }
        AlertFigure::Unproven => {
            indexed()?;
            let totals = view.totals();
            let of = |wanted: fn(ContentStatus) -> bool| -> u64 {
                let contents = totals.contents.iter();
                contents
                    .filter(|(status, _)| wanted(*status))
                    .map(|(_, paths)| paths)
                    .sum()
            };
            let all = of(|_| true);
            if all == 0 {
                return Err("There is no path in this cache.".to_owned());
            }
            let proven = of(|status| status == ContentStatus::Verified);
            Ok(percent(all - proven, all))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_of_few_requests_or_of_none_is_not_known() {
        let counts = |hits, misses, useful_misses| UsageCounts {
            hits,
            misses,
            useful_misses,
            ..UsageCounts::default()
        };
        let of = |counts, useful| ratio(Some(counts), None, useful);
        assert_eq!(of(counts(15, 5, 0), false), Ok(75_000));
        assert_eq!(of(counts(20, 10, 0), true), Ok(100_000));
        assert_eq!(
            of(counts(2, 1, 0), false).map_err(|why| why.len() > 20),
            Err(true)
        );
        // Most of what was missed an upstream has.
        assert!(of(counts(10, 90, 5), true).is_err());
        let off = ratio(None, Some("It is off.".to_owned()), false);
        assert_eq!(off, Err("It is off.".to_owned()));
        assert!(ratio(None, None, false).is_err());
    }

    #[test]
    fn thousandths_are_told_in_units() {
        assert!((in_units(percent(1, 3)) - 33.333).abs() < 1e-9);
        assert!((in_units(75_000) - 75.0).abs() < 1e-9);
        assert_eq!(percent(u64::MAX, 1), u64::MAX);
        assert_eq!(percent(0, 0), 0);
    }
}
