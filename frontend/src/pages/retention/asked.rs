//! What the address asks for: the rules of one scenario, or of two. Pure, so that it is tested natively.
//!
//! `keep=pins:5,fetched:90,uploaded:30&name=nixos-*&grace=24&target=1000` is one scenario; a second one
//! follows as `b=`, written the same way. An address without `keep` shows the rules that the cache has.

use snowbank_shared::api::retention::{
    MOST_DAYS, MOST_GRACE_HOURS, MOST_NAMES, MOST_REVISIONS, Rules,
};
use snowbank_shared::route::{MonitoringRoute, Route, escape, pairs};

/// What the address asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// The rules; `None`: those of the cache.
    pub first: Option<Rules>,
    /// Those that they are compared with.
    pub second: Option<Rules>,
}

impl Asked {
    /// Reads a query; what it does not know is passed over.
    pub fn parse(query: &str) -> Self {
        let mut second = None;
        for (name, value) in pairs(query) {
            if name == "b" {
                second = read_rules(&value);
            }
        }
        Self {
            first: read_rules(query),
            second,
        }
    }

    /// The query without its question mark.
    pub fn query(&self) -> String {
        let mut query = self.first.as_ref().map(written).unwrap_or_default();
        if let Some(second) = &self.second {
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str("b=");
            query.push_str(&escape(&written(second)).to_string());
        }
        query
    }

    /// The page that shows it.
    pub fn of(&self, cache: &str) -> Route {
        Route::Monitoring(MonitoringRoute::Gc {
            cache: cache.to_owned(),
            query: self.query(),
        })
    }
}

/// The rules of a query; `None` where it has no `keep`.
fn read_rules(query: &str) -> Option<Rules> {
    let mut rules = Rules {
        pins: None,
        fetched_days: None,
        uploaded_days: None,
        ..Rules::default()
    };
    let mut said = false;
    for (name, value) in pairs(query) {
        match name {
            "keep" => {
                said = true;
                for part in value.split(',') {
                    let Some((rule, number)) = part.split_once(':') else {
                        continue;
                    };
                    let Ok(number) = number.parse::<u32>() else {
                        continue;
                    };
                    let days = Some(number.clamp(1, MOST_DAYS));
                    match rule {
                        "pins" => {
                            let most = u32::from(MOST_REVISIONS);
                            rules.pins = u16::try_from(number.clamp(1, most)).ok();
                        }
                        "fetched" => rules.fetched_days = days,
                        "uploaded" => rules.uploaded_days = days,
                        _ => {}
                    }
                }
            }
            "name" if rules.names.len() < MOST_NAMES => rules.names.push(value),
            "grace" => {
                if let Ok(hours) = value.parse::<u32>() {
                    rules.grace_hours = hours.min(MOST_GRACE_HOURS);
                }
            }
            "target" => rules.target_size = value.parse().ok().filter(|bytes| *bytes > 0),
            _ => {}
        }
    }
    said.then_some(rules)
}

/// Rules as they stand in an address.
fn written(rules: &Rules) -> String {
    let mut keep = Vec::new();
    if let Some(revisions) = rules.pins {
        keep.push(format!("pins:{revisions}"));
    }
    if let Some(days) = rules.fetched_days {
        keep.push(format!("fetched:{days}"));
    }
    if let Some(days) = rules.uploaded_days {
        keep.push(format!("uploaded:{days}"));
    }
    if keep.is_empty() {
        keep.push("none".to_owned());
    }
    let mut query = format!("keep={}", keep.join(","));
    for name in &rules.names {
        query.push_str(&format!("&name={}", escape(name)));
    }
    if rules.grace_hours != Rules::default().grace_hours {
        query.push_str(&format!("&grace={}", rules.grace_hours));
    }
    if let Some(bytes) = rules.target_size {
        query.push_str(&format!("&target={bytes}"));
    }
    query
}

/// The same for the API.
pub fn asked_of_api(rules: &Rules) -> String {
    let mut pairs = vec![format!("grace_hours={}", rules.grace_hours)];
    if let Some(revisions) = rules.pins {
        pairs.push(format!("pins={revisions}"));
    }
    if let Some(days) = rules.fetched_days {
        pairs.push(format!("fetched_days={days}"));
    }
    if let Some(days) = rules.uploaded_days {
        pairs.push(format!("uploaded_days={days}"));
    }
    for name in &rules.names {
        pairs.push(format!("names={}", escape(name)));
    }
    if let Some(bytes) = rules.target_size {
        pairs.push(format!("target_size={bytes}"));
    }
    pairs.join("&")
}

/// Rules in words, for people: “pins with 5 revisions, uploaded within 30 days”.
pub fn in_words(rules: &Rules) -> String {
    let mut words = Vec::new();
    match rules.pins {
        Some(1) => words.push("pins, the newest revision".to_owned()),
        Some(revisions) => words.push(format!("pins, the newest {revisions} revisions")),
        None => {}
    }
    let days = |days: u32| match days {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    };
    if let Some(within) = rules.fetched_days {
        words.push(format!("fetched within {}", days(within)));
    }
    if let Some(within) = rules.uploaded_days {
        words.push(format!("uploaded within {}", days(within)));
    }
    if !rules.names.is_empty() {
        words.push(format!("names like {}", rules.names.join(", ")));
    }
    match words.is_empty() {
        true => "no rule: everything stays".to_owned(),
        false => words.join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_read_back() {
        for text in [
            "",
            "keep=none",
            "keep=pins:5",
            "keep=pins:5,fetched:90,uploaded:30&name=nixos-%2A&name=lib%20a&grace=0&target=268435456000",
            "keep=pins:1&b=keep%3Duploaded%3A30%26name%3Da%252Ab",
            "b=keep%3Dpins%3A2",
        ] {
            let asked = Asked::parse(text);
            assert_eq!(Asked::parse(&asked.query()), asked, "{text}");
            assert_eq!(asked.first.is_some(), text.starts_with("keep"), "{text}");
            assert_eq!(asked.second.is_some(), text.contains("b="), "{text}");
        }
        let rules = Asked::parse("keep=pins:5,fetched:90&name=nixos-*&grace=0&target=7").first;
        assert_eq!(
            rules,
            Some(Rules {
                pins: Some(5),
                fetched_days: Some(90),
                uploaded_days: None,
                names: vec!["nixos-*".to_owned()],
                target_size: Some(7),
                grace_hours: 0,
            })
        );
    }

    #[test]
    fn numbers_that_are_too_large_are_cut_and_nonsense_is_passed_over() {
        let rules =
            Asked::parse("keep=pins:999,fetched:99999,uploaded:x,what:3&grace=9999&target=0")
                .first
                .expect("rules");
        assert_eq!(rules.pins, Some(MOST_REVISIONS));
        assert_eq!(rules.fetched_days, Some(MOST_DAYS));
        assert_eq!(rules.uploaded_days, None);
        assert_eq!(rules.grace_hours, MOST_GRACE_HOURS);
        assert_eq!(rules.target_size, None);
    }

    #[test]
    fn rules_have_words() {
        assert_eq!(
            in_words(&Rules::default()),
            "pins, the newest 5 revisions; uploaded within 30 days"
        );
        let none = Asked::parse("keep=none").first.expect("rules");
        assert_eq!(in_words(&none), "no rule: everything stays");
    }
}
