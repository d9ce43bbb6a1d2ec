//! Rules applied to what is known: what each of them says of one path.

use std::collections::HashMap;
use std::sync::Arc;

use snowbank_shared::api::retention::{DisabledRule, RuleSays, Rules};
use snowbank_shared::pattern::fits;
use snowbank_shared::store_path::StorePathHash;

use crate::auth::records::{now, spelled};
use crate::index::{Id, View};
use crate::site::{Cache, Site};
use crate::usage::{DAY, FetchLog, Fetched};

/// Days for which fetches have to be measured without a gap before a rule goes by them, at least.
pub const FETCHES_MEASURED_DAYS: u32 = 45;

/// A path that a revision of a pin names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedPath {
    /// The pin.
    pub pin: String,
    /// The revision.
    pub revision: u64,
    /// How many newer revisions the pin keeps.
    pub place: usize,
    /// The path.
    pub path: StorePathHash,
}

/// What a simulation knows. No bucket is among it.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The index.
    pub view: &'a View,
    /// What pins name.
    pub pins: &'a [PinnedPath],
    /// What was fetched when.
    pub fetches: &'a FetchLog,
    /// Seconds since 1970.
    pub now: i64,
}

/// What a cache knows at a moment, held for those who simulate.
#[derive(Debug)]
pub struct Known {
    view: Arc<View>,
    pins: Vec<PinnedPath>,
    fetches: FetchLog,
    now: i64,
}

impl Known {
    /// Of this cache, now.
    pub fn of(site: &Site, cache: &Cache) -> Self {
        let slug = cache.slug.as_str();
        Self {
            view: cache.index.view(),
            pins: super::pinned(&site.ledger, slug),
            fetches: cache.usage.fetch_log(&site.ledger, slug),
            now: now(),
        }
    }

    /// As a simulation takes it.
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            view: &self.view,
            pins: &self.pins,
            fetches: &self.fetches,
            now: self.now,
        }
    }
}

/// What keeps a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A pin, with its revision.
    Pin(String, u64),
    /// A pattern of names.
    Name(String),
    /// It was fetched.
    Fetched,
    /// It was added.
    Uploaded,
    /// It is new.
    New,
}

/// Rules applied to what is known.
#[derive(Debug)]
pub struct Applied<'a> {
    facts: Facts<'a>,
    rules: &'a Rules,
    pins: HashMap<StorePathHash, &'a PinnedPath>,
    fetches_are_measured: bool,
}

/// Since when something counts that counts for so many days.
fn since(now: i64, days: u32) -> i64 {
    now - i64::from(days) * DAY
}

fn days(days: i64) -> String {
    match days {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

impl<'a> Applied<'a> {
    /// Applies them.
    pub fn new(facts: Facts<'a>, rules: &'a Rules) -> Self {
        let mut pins: HashMap<StorePathHash, &PinnedPath> = HashMap::new();
        let revisions = rules.pins.map_or(0, usize::from);
        for pinned in facts.pins.iter().filter(|pinned| pinned.place < revisions) {
            pins.entry(pinned.path).or_insert(pinned);
        }
        let mut this = Self {
            facts,
            rules,
            pins,
            fetches_are_measured: false,
        };
        this.fetches_are_measured = this.disabled().is_none();
        this
    }

    /// The rule about fetches, where it cannot be applied, asked for or not.
    pub fn disabled(&self) -> Option<DisabledRule> {
        let wanted = self
            .rules
            .fetched_days
            .unwrap_or(0)
            .max(FETCHES_MEASURED_DAYS);
        let measured = self.facts.fetches.fully_measured_since();
        if measured.is_some_and(|from| from <= since(self.facts.now, wanted)) {
            return None;
        }
        // Where nothing is measured yet, measuring begins now at the earliest.
        let until = measured.unwrap_or(self.facts.now) + i64::from(wanted) * DAY;
        let from = match measured {
            Some(from) => format!("they are since {}", date(from)),
            None => "they are not yet".to_owned(),
        };
        Some(DisabledRule {
            rule: "fetched_days".to_owned(),
            reason: format!(
                "It can be used once fetches were measured without a gap for {wanted} days; {from}, so from {} on at the earliest.",
                date(until)
            ),
            until: Some(spelled(until)),
        })
    }

    /// Whether the rules ask for what cannot be applied.
    pub fn lacks(&self) -> Option<DisabledRule> {
        self.rules.fetched_days.and_then(|_| self.disabled())
    }

    /// Whether any rule applies. Where none does, everything stays.
    pub fn is_on(&self) -> bool {
        self.rules.pins.is_some()
            || self.rules.uploaded_days.is_some()
            || !self.rules.names.is_empty()
            || (self.rules.fetched_days.is_some() && self.fetches_are_measured)
    }

    /// The paths that rules keep by themselves.
    pub fn roots(&self) -> Vec<Id> {
        let view = self.facts.view;
        let pinned = self.pins.keys().filter_map(|hash| view.find(hash));
        let mut roots: Vec<Id> = pinned.collect();
        // Pins are few: what asks every path is asked only where there are such rules.
        if self.rules.uploaded_days.is_some()
            || self.rules.fetched_days.is_some()
            || !self.rules.names.is_empty()
        {
            roots.extend(view.ids().filter(|id| self.keeps(*id).is_some()));
        }
        roots
    }

    /// What a rule keeps this path itself by.
    pub fn keeps(&self, id: Id) -> Option<Reason> {
        let view = self.facts.view;
        if !self.pins.is_empty()
            && let Some(pinned) = self.pins.get(&view.hash(id))
        {
            return Some(Reason::Pin(pinned.pin.clone(), pinned.revision));
        }
        let name = (!self.rules.names.is_empty()).then(|| view.name(id));
        if let Some(name) = name
            && let Some(pattern) = self.rules.names.iter().find(|it| fits(it, name))
        {
            return Some(Reason::Name(pattern.clone()));
        }
        if let Some(days) = self.rules.uploaded_days
            && self.is_since(id, since(self.facts.now, days))
        {
            return Some(Reason::Uploaded);
        }
        if let Some(days) = self.rules.fetched_days
            && self.fetches_are_measured
            && self.fetched_since(id, days)
        {
            return Some(Reason::Fetched);
        }
        None
    }

    /// Whether it is so new that nothing is said of it.
    pub fn is_new(&self, id: Id) -> bool {
        let hours = i64::from(self.rules.grace_hours);
        hours > 0 && self.is_since(id, self.facts.now - hours * crate::usage::HOUR)
    }

    /// Whether a path was added then or later. Where that is not known, it may have been.
    fn is_since(&self, id: Id, then: i64) -> bool {
        let added = self.facts.view.added_at(id);
        added <= 0 || added >= then
    }

    /// Whether a client fetched a path within so many days. A day that lies partly within counts.
    pub fn fetched_since(&self, id: Id, days: u32) -> bool {
        match self.fetched(id) {
            Fetched::At { day } => day + DAY > since(self.facts.now, days),
            Fetched::Never { .. } | Fetched::NotMeasured => false,
        }
    }

    /// When a path was fetched.
    pub fn fetched(&self, id: Id) -> Fetched {
        self.facts.fetches.fetched(&self.facts.view.hash(id))
    }

    /// What each rule says of a path itself.
    pub fn trace(&self, id: Id) -> Vec<RuleSays> {
        let (view, now) = (self.facts.view, self.facts.now);
        let mut trace = Vec::new();
        let mut say = |rule: String, keeps: bool, why: String| {
            trace.push(RuleSays { rule, keeps, why });
        };
        let age = |then: i64| match (now - then).max(0) / DAY {
            0 => "today".to_owned(),
            past => format!("{} ago", days(past)),
        };
        if let Some(revisions) = self.rules.pins {
            let rule = match revisions {
                1 => "pins, the newest revision".to_owned(),
                revisions => format!("pins, the newest {revisions} revisions"),
            };
            let why = match self.pins.get(&view.hash(id)) {
                Some(pinned) => format!("{}@{} names it", pinned.pin, pinned.revision),
                None => "no pin names it".to_owned(),
            };
            say(rule, self.pins.contains_key(&view.hash(id)), why);
        }
        if let Some(within) = self.rules.fetched_days {
            let rule = format!("fetched within {}", days(i64::from(within)));
            let why = match (self.disabled(), self.fetched(id)) {
                (Some(disabled), _) => format!(
                    "the rule is not applied. {}",
                    disabled.reason.trim_end_matches('.')
                ),
                (None, Fetched::At { day }) => format!("fetched {}", age(day)),
                (None, Fetched::Never { since }) => {
                    format!("not fetched since {}", date(since))
                }
                (None, Fetched::NotMeasured) => "fetches are not measured".to_owned(),
            };
            let keeps = self.fetches_are_measured && self.fetched_since(id, within);
            say(rule, keeps, why);
        }
        let added = match view.added_at(id) {
            ..=0 => "nobody knows when it was uploaded".to_owned(),
            added => format!("uploaded {}", age(added)),
        };
        if let Some(within) = self.rules.uploaded_days {
            let rule = format!("uploaded within {}", days(i64::from(within)));
            say(rule, self.is_since(id, since(now, within)), added.clone());
        }
        for pattern in &self.rules.names {
            let fits = fits(pattern, view.name(id));
            let why = match fits {
                true => "its name does",
                false => "its name does not",
            };
            say(format!("names like {pattern}"), fits, why.to_owned());
        }
        if self.rules.grace_hours > 0 {
            let rule = format!("grace of {} hours for what is new", self.rules.grace_hours);
            say(rule, self.is_new(id), added);
        }
        trace
    }
}

/// The day of a time.
fn date(seconds: i64) -> String {
    let mut text = spelled(seconds);
    text.truncate("2026-12-01".len());
    text
}
