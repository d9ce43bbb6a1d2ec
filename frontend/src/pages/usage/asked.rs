//! What the address asks of the page: which tab, and which time. A range that ends now is named by
//! how long it is (`range=7d`); a link that is copied names both ends, so that who is given it sees
//! the same. Pure, so that it is tested natively.

use snowbank_shared::route::{MonitoringRoute, Route, escape, pairs};

use crate::components::plot::{Span, moment};
use crate::format;

const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

/// Days of a range at most: older days are not kept.
const MOST_DAYS: i64 = 800;

/// Hours are shown up to this many days.
const HOURLY_DAYS: i64 = 7;

/// A tab of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tab {
    /// How large the cache is, and what it costs.
    #[default]
    Storage,
    /// Who finds what, how much and how fast.
    Traffic,
    /// What was asked for and is not here.
    Misses,
    /// Who asks.
    Clients,
    /// Who measures.
    Sources,
}

impl Tab {
    /// Every tab, in the order shown, with its word in the address and on the page.
    pub const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Storage, "storage", "Storage"),
        (Self::Traffic, "traffic", "Traffic"),
        (Self::Misses, "misses", "Misses"),
        (Self::Clients, "clients", "Clients"),
        (Self::Sources, "sources", "Sources"),
    ];

    /// Its word in the address.
    pub fn as_str(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        all.find(|(tab, ..)| *tab == self)
            .map_or("", |(_, word, _)| word)
    }
}

/// Ranges that end now: the word in the address, on the page, and hours.
pub const PRESETS: [(&str, &str, i64); 4] = [
    ("24h", "24 hours", 24),
    ("7d", "7 days", 7 * 24),
    ("30d", "30 days", 30 * 24),
    ("90d", "90 days", 90 * 24),
];

/// The range of an address that names none: seven days.
const USUAL: usize = 1;

/// Which time is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// One of [`PRESETS`].
    Last(usize),
    /// From when to when, in seconds since 1970.
    Between(i64, i64),
}

impl Default for Range {
    fn default() -> Self {
        Self::Last(USUAL)
    }
}

impl Range {
    /// Both ends, where it is this moment: whole hours or days, the one that runs included.
    pub fn ends(self, now: i64) -> (i64, i64) {
        let (from, to) = match self {
            Self::Between(from, to) => (from, to),
            Self::Last(at) => {
                let hours = PRESETS.get(at).map_or(24, |(_, _, hours)| *hours);
                let to = up(now + 1, HOUR);
                (to - hours * HOUR, to)
            }
        };
        let step = step_of(from, to);
        (from.div_euclid(step) * step, up(to, step))
    }

    /// The steps of its axis.
    pub fn span(self, now: i64) -> Span {
        let (from, to) = self.ends(now);
        let step = step_of(from, to);
        Span {
            from,
            step,
            steps: usize::try_from((to - from) / step).unwrap_or_default(),
        }
    }
}

/// The next whole step.
fn up(moment: i64, step: i64) -> i64 {
    -((-moment).div_euclid(step)) * step
}

/// Hours where they are few, else days.
const fn step_of(from: i64, to: i64) -> i64 {
    if to - from <= HOURLY_DAYS * DAY {
        HOUR
    } else {
        DAY
    }
}

/// A moment of an address: RFC 3339 in UTC, or a day, which begins at midnight.
fn read_moment(text: &str) -> Option<i64> {
    format::unix_seconds(text).or_else(|| format::unix_seconds(&format!("{text}T00:00:00Z")))
}

/// Whose figures are shown: the word in the address and on the page. The first is usual.
pub const SOURCES: [(&str, &str); 3] = [
    ("all", "All"),
    ("own", "This server"),
    ("logs", "Access logs"),
];

/// What the address asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// Which tab.
    pub tab: Tab,
    /// Which time.
    pub range: Range,
    /// Whose figures, of [`SOURCES`].
    pub source: usize,
    /// When the link was copied, as RFC 3339; the page says what came since.
    pub at: Option<String>,
}

impl Asked {
    /// Reads a query; what it does not know is passed over.
    pub fn parse(query: &str) -> Self {
        let mut asked = Self::default();
        let (mut from, mut to) = (None, None);
        for (name, value) in pairs(query) {
            match name {
                "tab" => {
                    let mut all = Tab::ALL.into_iter();
                    let known = all.find(|(_, word, _)| *word == value);
                    asked.tab = known.map_or(asked.tab, |(tab, ..)| tab);
                }
                "range" => {
                    let known = PRESETS.iter().position(|(word, ..)| *word == value);
                    asked.range = known.map_or(asked.range, Range::Last);
                }
                "source" => {
                    let known = SOURCES.iter().position(|(word, _)| *word == value);
                    asked.source = known.unwrap_or(asked.source);
                }
                "from" => from = read_moment(&value),
                "to" => to = read_moment(&value),
                "at" => asked.at = format::unix_seconds(&value).map(moment),
                _ => {}
            }
        }
        if let (Some(from), Some(to)) = (from, to)
            && (1..=MOST_DAYS * DAY).contains(&(to - from))
        {
            asked.range = Range::Between(from, to);
        }
        asked
    }

    /// The query without its question mark.
    fn query(&self) -> String {
        let mut pairs = Vec::new();
        let mut push = |name: &str, value: &str| pairs.push(format!("{name}={}", escape(value)));
        if self.tab != Tab::default() {
            push("tab", self.tab.as_str());
        }
        match self.range {
            Range::Last(USUAL) => {}
            Range::Last(at) => push("range", PRESETS.get(at).map_or("", |(word, ..)| *word)),
            Range::Between(from, to) => {
                push("from", &moment(from));
                push("to", &moment(to));
            }
        }
        if self.source != 0 {
            push("source", self.source());
        }
        if let Some(at) = &self.at {
            push("at", at);
        }
        pairs.join("&")
    }

    /// The word of whose figures are shown.
    pub fn source(&self) -> &'static str {
        SOURCES.get(self.source).map_or("", |(word, _)| *word)
    }

    /// The page that shows it.
    pub fn of(&self, cache: &str) -> Route {
        Route::Monitoring(MonitoringRoute::Usage {
            cache: cache.to_owned(),
            query: self.query(),
        })
    }

    /// The same with both ends named, as it is copied.
    pub fn absolute(&self, now: i64) -> Self {
        let (from, to) = self.range.ends(now);
        Self {
            tab: self.tab,
            range: Range::Between(from, to),
            source: self.source,
            at: Some(moment(now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23, 12:03:22.
    const NOW: i64 = 1_795_435_402;

    #[test]
    fn what_is_asked_is_read_back() {
        for text in [
            "",
            "tab=traffic",
            "tab=misses&range=90d",
            "tab=traffic&source=logs",
            "tab=sources&from=2026-11-01T00%3A00%3A00Z&to=2026-11-23T13%3A00%3A00Z&at=2026-11-23T12%3A03%3A22Z",
        ] {
            assert_eq!(Asked::parse(text).query(), text);
        }
        let days = Asked::parse("from=2026-11-01&to=2026-11-03");
        assert_eq!(
            days.query(),
            "from=2026-11-01T00%3A00%3A00Z&to=2026-11-03T00%3A00%3A00Z"
        );
        for odd in [
            "tab=nonsense&range=1y",
            "from=2026-11-03&to=2026-11-01",
            "from=2026-11-03",
            "from=1970-01-01&to=2026-11-01",
            "at=yesterday",
            "source=rumours",
        ] {
            assert_eq!(Asked::parse(odd), Asked::default(), "{odd}");
        }
    }

    #[test]
    fn a_copied_link_names_both_ends_and_means_the_same_later() {
        let asked = Asked::parse("tab=traffic&range=24h");
        let copied = asked.absolute(NOW);
        assert_eq!(
            copied.query(),
            "tab=traffic&from=2026-11-22T13%3A00%3A00Z&to=2026-11-23T13%3A00%3A00Z&at=2026-11-23T12%3A03%3A22Z"
        );
        let later = NOW + 9 * DAY;
        assert_eq!(copied.range.ends(later), asked.range.ends(NOW));
        assert_ne!(asked.range.ends(later), asked.range.ends(NOW));
        assert_eq!(copied.range.span(later), asked.range.span(NOW));
    }

    #[test]
    fn few_days_have_hours_and_many_have_days() {
        let span = |text: &str| Asked::parse(text).range.span(NOW);
        let day = span("range=24h");
        assert_eq!((day.step, day.steps), (HOUR, 24));
        assert_eq!(moment(day.end()), "2026-11-23T13:00:00Z");
        assert_eq!((span("").step, span("").steps), (HOUR, 168));
        let month = span("range=30d");
        assert_eq!((month.step, month.steps), (DAY, 31));
        assert_eq!(moment(month.end()), "2026-11-24T00:00:00Z");
        let between = span("from=2026-11-01T10:30:00Z&to=2026-11-01T11:10:00Z");
        assert_eq!((between.step, between.steps), (HOUR, 2));
    }
}
