//! How a cache grew: the age of what is in it, drawn and as a table.

use leptos::prelude::*;
use snowbank_shared::api::{Growth, GrowthDay};

use crate::api;
use crate::components::changing::changing;
use crate::components::chart::{self, growth};
use crate::components::failure::failure_of;
use crate::components::layout::section;
use crate::components::skeleton::skeleton;
use crate::format;
use crate::state::live::LiveCache;
use crate::state::remote::Remote;

/// Points of the drawing at most: more would not be seen.
const POINTS: u64 = 180;

/// Bytes unpacked at the end of each of `points` equal spans from the first day to the last.
fn heights(days: &[GrowthDay]) -> Vec<u64> {
    let number = |day: &GrowthDay| {
        let moment = format!("{}T00:00:00Z", day.day);
        format::unix_seconds(&moment).map(|seconds| seconds.div_euclid(86_400).unsigned_abs())
    };
    let (Some(first), Some(last)) = (days.first().and_then(number), days.last().and_then(number))
    else {
        return Vec::new();
    };
    let span = last.saturating_sub(first);
    let points = span.min(POINTS);
    // What was there before the first day is nothing, and the line shows that.
    let mut heights = vec![0; usize::try_from(points).unwrap_or_default() + 1];
    for day in days {
        let Some(at) = number(day) else { continue };
        let place = (at.saturating_sub(first) * points).checked_div(span);
        let place = usize::try_from(place.unwrap_or_default()).unwrap_or_default();
        for height in heights.iter_mut().skip(place) {
            *height += day.nar_bytes;
        }
    }
    heights.insert(0, 0);
    heights
}

fn drawn(answer: &Growth) -> Option<AnyView> {
    let (first, last) = (answer.items.first()?, answer.items.last()?);
    let paths: u64 = answer.items.iter().map(|day| day.paths).sum();
    let bytes: u64 = answer.items.iter().map(|day| day.nar_bytes).sum();
    let about = if answer.complete { "" } else { "≈ " };
    let what = format!(
        "{about}{} unpacked in {}",
        format::size(bytes),
        format::counted(paths, "path", "paths"),
    );
    // One day is no line.
    if first.day == last.day {
        let words = format!("{what}, all first seen here on {}.", first.day);
        return Some(view! { <p class="muted" id="growth">{words}</p> }.into_any());
    }
    let mut together = 0;
    let mut rows: Vec<(String, String, String)> = answer
        .items
        .iter()
        .map(|day| {
            together += day.nar_bytes;
            let added = format!(
                "{}, {}",
                format::counted(day.paths, "path", "paths"),
                format::size(day.nar_bytes)
            );
            (day.day.clone(), added, format::size(together))
        })
        .collect();
    rows.reverse();
    Some(growth(chart::Growth {
        caption: format!(
            "{what}, by the day on which each was first seen here. What was removed is not counted."
        ),
        ends: (first.day.clone(), last.day.clone()),
        top: format::size(bytes),
        values: heights(&answer.items),
        rows,
        columns: ["Day", "Added", "Together"],
    }))
}

/// The part of the overview.
pub fn growth_section(slug: &str, live: LiveCache) -> AnyView {
    let path = format!("{}/growth", api::cache_path(slug));
    let remote = Remote::<Growth>::new(move || {
        live.renewals.track();
        Some(path.clone())
    });
    let body = move || match remote.get() {
        Some(answer) => drawn(&answer),
        None => remote
            .error()
            .is_none()
            .then(|| skeleton(3, "Reading how it grew…")),
    };
    section(
        "Growth",
        (),
        view! {
            {failure_of(remote)}
            {changing(body)}
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: &str, nar_bytes: u64) -> GrowthDay {
        GrowthDay {
            day: day.to_owned(),
            paths: 1,
            nar_bytes,
        }
    }

    #[test]
    fn the_line_rises_where_something_was_added_and_ends_at_all_of_it() {
        let days = [
            day("2026-11-01", 5),
            day("2026-11-03", 7),
            day("2026-11-05", 1),
        ];
        assert_eq!(heights(&days), [0, 5, 5, 12, 12, 13]);
        assert_eq!(heights(&[day("2026-11-01", 5)]), [0, 5]);
        assert_eq!(heights(&[]), [0; 0]);
        let years = heights(&[day("2016-11-01", 5), day("2026-11-01", 6)]);
        assert_eq!((years.len(), years.last()), (182, Some(&11)));
    }
}
