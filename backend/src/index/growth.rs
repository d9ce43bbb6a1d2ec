//! What is in a cache, by the day on which it was first seen. Days are UTC.
//!
//! What was removed since is not counted: this is the age of what is here, not
//! the history of what was.

/// Seconds of a day.
const DAY: u32 = 86_400;

/// What was first seen on one day and is still here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddedOnDay {
    /// Days since 1970-01-01.
    pub day: u32,
    /// Store paths.
    pub paths: u64,
    /// Sum of their NarSizes, bytes.
    pub nar_bytes: u64,
}

/// Counts while all rows are looked at: one add a row, at most 49,711 days.
#[derive(Debug, Default)]
pub(crate) struct GrowthByDay {
    /// Paths and bytes, by day.
    by_day: Vec<(u64, u64)>,
    last: Option<u32>,
}

impl GrowthByDay {
    /// A path first seen at this time, seconds since 1970.
    pub(crate) fn add(&mut self, added_at: u32, nar_size: u64) {
        let day = (added_at / DAY) as usize;
        if self.by_day.len() <= day {
            self.by_day.resize(day + 1, (0, 0));
        }
        let (paths, bytes) = &mut self.by_day[day];
        *paths += 1;
        *bytes = bytes.saturating_add(nar_size);
        self.last = self.last.max(Some(added_at));
    }

    /// When the newest was first seen.
    pub(crate) fn last(&self) -> Option<i64> {
        self.last.map(i64::from)
    }

    /// The days that have some, oldest first.
    pub(crate) fn days(self) -> Vec<AddedOnDay> {
        let days = self.by_day.into_iter().enumerate();
        days.filter(|(_, (paths, _))| *paths > 0)
            .map(|(day, (paths, nar_bytes))| AddedOnDay {
                day: u32::try_from(day).unwrap_or(u32::MAX),
                paths,
                nar_bytes,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_counted_on_their_days() {
        let mut growth = GrowthByDay::default();
        assert_eq!(growth.last(), None);
        for (at, size) in [
            (DAY, 5),
            (3 * DAY - 1, 7),
            (DAY + 1, u64::MAX),
            (u32::MAX, 1),
        ] {
            growth.add(at, size);
        }
        assert_eq!(growth.last(), Some(i64::from(u32::MAX)));
        let day = |day, paths, nar_bytes| AddedOnDay {
            day,
            paths,
            nar_bytes,
        };
        assert_eq!(
            growth.days(),
            [day(1, 2, u64::MAX), day(2, 1, 7), day(49_710, 1, 1)]
        );
    }
}
