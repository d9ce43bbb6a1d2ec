//! How far a rotation has come, and what is in the way of each step: said once, shown on the page and
//! heeded by the acts.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use snowbank_shared::api::rotation::{
    InTheWay, KeyPlace, MOST_NAMED, OVERLAP_DAYS, OwnKey, Rotation, RotationCoverage as Coverage,
    RotationState, RotationStep as Step, RotationStepState as StepState,
};
use snowbank_shared::api::{KeyPurpose, KeyState, SignatureStatus};
use snowbank_shared::signature::PublicKey;

use super::Signing;
use super::keys::KeysRecord;
use super::record::JobRecord;
use crate::auth::records::{now, spelled};
use crate::index::{Id, View};
use crate::ledger::kind::{Kind, ROTATIONS, Record};
use crate::ledger::{RecordId, Scope};
use crate::site::{Cache, Site};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// A cache's change from one key to the next. Each moment is when a step was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationRecord {
    /// The key that goes, `name:base64`.
    pub old: String,
    /// The key that comes, `name:base64`.
    pub new: String,
    /// Where the new key's secret is.
    pub place: KeyPlace,
    /// Who began it.
    pub by: String,
    /// When the new key was made known here, seconds since 1970, as all of them.
    pub begun_at: i64,
    /// When clients were first told of both.
    #[serde(default)]
    pub distributed_at: Option<i64>,
    /// The job that counter-signs.
    #[serde(default)]
    pub job: Option<String>,
    /// Since when every path had a signature that clients trust without the old key.
    #[serde(default)]
    pub overlap_from: Option<i64>,
    /// Why the waiting was ended before its time.
    #[serde(default)]
    pub shortened: Option<String>,
    /// When the old key stopped signing.
    #[serde(default)]
    pub switched_at: Option<i64>,
    /// When clients were first told of the new key alone.
    #[serde(default)]
    pub retired_at: Option<i64>,
    /// When it was given up.
    #[serde(default)]
    pub abandoned_at: Option<i64>,
}

impl Record for RotationRecord {
    const KIND: Kind = ROTATIONS;
}

/// The name before the colon.
fn name(key: &str) -> &str {
    key.split(':').next().unwrap_or_default()
}

impl RotationRecord {
    /// The rotation of a cache: the one under way, or the last one.
    pub fn of(site: &Site, cache: &str) -> Option<Self> {
        let view = site.ledger.view();
        let entry = view.get::<Self>(Scope::Cache(cache), &RecordId::only())?;
        Some((*entry.record).clone())
    }

    /// Whether it is under way.
    pub fn is_open(&self) -> bool {
        self.retired_at.is_none() && self.abandoned_at.is_none()
    }

    /// The old key's name.
    pub fn old_name(&self) -> &str {
        name(&self.old)
    }

    /// The new key's name.
    pub fn new_name(&self) -> &str {
        name(&self.new)
    }

    /// Until when clients may remember narinfos as they were before.
    pub(super) fn overlap_until(&self) -> Option<i64> {
        Some(self.overlap_from? + OVERLAP_DAYS * DAY)
    }

    /// Whether the waiting is over.
    fn waited(&self) -> bool {
        self.shortened.is_some() || self.overlap_until().is_some_and(|until| until <= now())
    }

    /// When a step was done.
    pub(super) fn done_at(&self, step: Step, only_old: u64) -> Option<i64> {
        match step {
            Step::Create => Some(self.begun_at),
            Step::Distribute => self.distributed_at,
            Step::Resign => match self.overlap_from {
                Some(at) => Some(at),
                None => self.distributed_at.filter(|_| only_old == 0).map(|_| now()),
            },
            Step::Overlap => match self.waited() {
                true => self.overlap_until().map(|until| until.min(now())),
                false => None,
            },
            Step::Switch => self.switched_at,
            Step::Retire => self.retired_at,
        }
    }

    /// Why a step cannot be done now; `None` where it can, or was done.
    pub(super) fn blocked(&self, step: Step, facts: &Facts) -> Option<String> {
        let (old, new) = (self.old_name(), self.new_name());
        let only = |what: &str| {
            let (paths, verb) = match facts.only_old {
                1 => ("1 path".to_owned(), "is"),
                many => (format!("{many} paths"), "are"),
            };
            (facts.only_old > 0).then(|| format!("{paths} {verb} signed only by {old}: {what}"))
        };
        let first = |done: bool, text: String| (!done).then_some(text);
        if self.abandoned_at.is_some() {
            return Some("This rotation was given up.".to_owned());
        }
        match step {
            Step::Create | Step::Distribute => None,
            Step::Resign => {
                let distributed = self.distributed_at.is_some();
                first(distributed, "Distribute both keys first.".to_owned()).or_else(|| {
                    let text = format!(
                        "The secret of {new} is not on this server: take batches to the machine that has it."
                    );
                    first(facts.new_at_hand, text)
                })
            }
            Step::Overlap => {
                let distributed = self.distributed_at.is_some();
                first(distributed, "Distribute both keys first.".to_owned())
                    .or_else(|| only("counter-sign them first."))
            }
            Step::Switch => {
                let begun = self.overlap_from.is_some();
                first(begun, "Begin the waiting time first.".to_owned()).or_else(|| {
                    let until = self.overlap_until().map(spelled).unwrap_or_default();
                    let text = format!(
                        "Clients may remember narinfos without the signature of {new} until {until}."
                    );
                    first(self.waited(), text)
                })
            }
            Step::Retire => {
                let switched = self.switched_at.is_some();
                first(switched, format!("Stop signing with {old} first."))
                    .or_else(|| only("clients would refuse them."))
                    .or_else(|| {
                        let text = format!("{old} is the last key that clients are told to trust.");
                        first(facts.others, text)
                    })
            }
        }
    }
}

/// What the steps depend on beside the record.
pub(super) struct Facts {
    /// Paths that clients would refuse without the old key.
    pub(super) only_old: u64,
    /// Whether this server holds the new key's secret.
    pub(super) new_at_hand: bool,
    /// Whether clients are told of another key than the old one.
    pub(super) others: bool,
}

/// The paths, first seen at `since` or later, for which of the keys that clients trust only this one
/// vouches. What is not served is left out. Looks at every path.
pub(super) fn only_by(cache: &Cache, view: &View, key: &PublicKey, since: i64) -> Vec<Id> {
    let trusted = cache.trust.now();
    let others: HashSet<&str> = trusted
        .settings
        .keys()
        .iter()
        .filter(|other| *other != key)
        .map(PublicKey::name)
        .collect();
    let good = |word: SignatureStatus| {
        matches!(
            word,
            SignatureStatus::Valid | SignatureStatus::ValidRetired | SignatureStatus::ValidRevoked
        )
    };
    let only = |id: &Id| {
        let (mut by_key, mut by_others) = (false, false);
        for (name, word) in view.verdicts(*id) {
            by_key |= name == key.name() && good(word);
            by_others |= word == SignatureStatus::Valid && others.contains(name);
        }
        by_key
            && !by_others
            && view.added_at(*id) >= since
            && view.withheld(*id).is_none()
            && !cache.holds_back(view, *id)
    };
    view.ids().filter(only).collect()
}

/// Some of the paths, for people.
pub(super) fn named(view: &View, ids: &[Id]) -> Vec<InTheWay> {
    let name = |id: &Id| InTheWay {
        hash: view.hash(*id).to_string(),
        name: view.name(*id).to_owned(),
    };
    ids.iter().take(MOST_NAMED).map(name).collect()
}

impl Signing {
    /// The keys of a cache and its rotation. Looks at every path: call it off the reactor.
    pub fn rotation(&self, cache: &Cache) -> Rotation {
        let site = &self.0.site;
        let slug = cache.slug.as_str();
        let view = cache.index.view();
        let keys = own_keys(site, cache, &view);
        let rotation = RotationRecord::of(site, slug).map(|record| {
            let (coverage, facts) = self.coverage(cache, &view, &record);
            let steps: Vec<StepState> = Step::ALL
                .into_iter()
                .map(|step| {
                    let done = record.done_at(step, facts.only_old);
                    StepState {
                        step,
                        blocked: match done {
                            Some(_) => None,
                            None => record.blocked(step, &facts),
                        },
                        done_at: done.map(spelled),
                    }
                })
                .collect();
            let next = steps.iter().find(|step| step.done_at.is_none());
            let next = next.map(|step| step.step);
            let job = record.job.as_ref().and_then(|id| {
                let id: RecordId = id.parse().ok()?;
                let ledger = site.ledger.view();
                let job = ledger.get::<JobRecord>(Scope::Cache(slug), &id)?;
                Some(job.record.shown(id.as_str()))
            });
            RotationState {
                old: record.old_name().to_owned(),
                new: record.new_name().to_owned(),
                place: record.place,
                by: record.by.clone(),
                next: next.filter(|_| record.is_open()),
                steps,
                coverage,
                job,
                overlap_until: record.overlap_until().map(spelled),
                shortened: record.shortened.clone(),
            }
        });
        Rotation {
            suggested_name: suggested(&keys),
            keys,
            rotation,
        }
    }

    /// How far the new key reaches, and what the steps depend on. Looks at every path.
    pub(super) fn coverage(
        &self,
        cache: &Cache,
        view: &View,
        record: &RotationRecord,
    ) -> (Coverage, Facts) {
        let old: Option<PublicKey> = record.old.parse().ok();
        let new: Option<PublicKey> = record.new.parse().ok();
        let only = old
            .as_ref()
            .map(|old| only_by(cache, view, old, i64::MIN))
            .unwrap_or_default();
        let signed = |name: &str| {
            let by = |id: &Id| {
                let mut verdicts = view.verdicts(*id);
                verdicts.any(|(by, word)| {
                    use SignatureStatus::{Valid, ValidRetired, ValidRevoked};
                    by == name && matches!(word, Valid | ValidRetired | ValidRevoked)
                })
            };
            view.ids().filter(by).count() as u64
        };
        let coverage = Coverage {
            old: signed(record.old_name()),
            new: signed(record.new_name()),
            only_old: only.len() as u64,
            only_old_bytes: only
                .iter()
                .fold(0, |sum, id| sum.saturating_add(view.nar_size(*id))),
            examples: named(view, &only),
        };
        let trusted = cache.keys.now().trusted.clone();
        let facts = Facts {
            only_old: coverage.only_old,
            new_at_hand: new.is_some_and(|new| cache.keys.secret(&new).is_some()),
            others: trusted.iter().any(|key| Some(key) != old.as_ref()),
        };
        (coverage, facts)
    }
}

/// The cache's own keys, those of the configuration first.
fn own_keys(site: &Site, cache: &Cache, view: &View) -> Vec<OwnKey> {
    let record = KeysRecord::of(site, cache.slug.as_str());
    let now = cache.keys.now();
    let signed = &view.totals().keys;
    let own = now.ring.keys().iter();
    let own = own.filter(|known| known.purpose == KeyPurpose::Cache);
    own.map(|known| {
        let at_hand = cache.keys.secret(&known.key).is_some();
        OwnKey {
            name: known.key.name().to_owned(),
            public_key: known.key.to_string(),
            fingerprint: known.key.fingerprint(),
            state: known.state,
            published: now.trusted.contains(&known.key),
            signs: now.sign.contains(&known.key),
            place: record.find(&known.key).map_or(
                match at_hand {
                    true => KeyPlace::Config,
                    false => KeyPlace::Offline,
                },
                |kept| kept.place,
            ),
            at_hand,
            paths: match known.state {
                KeyState::Active => signed.get(known.key.name()).copied().unwrap_or_default(),
                _ => view
                    .ids()
                    .filter(|id| view.verdicts(*id).any(|(name, _)| name == known.key.name()))
                    .count() as u64,
            },
        }
    })
    .collect()
}

/// The next name after the newest key's: its number counted up, or `-2` behind it.
fn suggested(keys: &[OwnKey]) -> String {
    let taken = |name: &str| keys.iter().any(|key| key.name.eq_ignore_ascii_case(name));
    let newest = keys.last().map_or("cache", |key| key.name.as_str());
    let (stem, number) = match newest.rsplit_once('-') {
        Some((stem, number)) if !number.is_empty() && number.len() < 6 => match number.parse() {
            Ok(number) => (stem, number),
            Err(_) => (newest, 1),
        },
        _ => (newest, 1_u32),
    };
    (number + 1..)
        .map(|number| format!("{stem}-{number}"))
        .find(|name| !taken(name))
        .unwrap_or_default()
}
