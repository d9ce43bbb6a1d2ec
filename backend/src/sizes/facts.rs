//! What the bucket itself does with a cache's objects: asked after each whole sweep, and on demand.
//!
//! What would break a cache is a finding of its Health page too, until it is no longer so.

use snowbank_shared::api::storage::{BucketFact, FactState};
use snowbank_shared::api::{Finding, Severity};

use super::{is_unheard_of, unknown};
use crate::bucket::{Bucket, BucketError, HarmfulRule, Versioning};
use crate::index::{Change, Index};

/// A clock that is further off than this, seconds, makes signed requests fail soon: stores refuse
/// those of another quarter of an hour.
const CLOCK_MOST: i64 = 300;

/// The names of the facts, and the checks of their findings; the names are the wire's.
const LIFECYCLE: (&str, &str) = ("Lifecycle rules", "bucket-lifecycle");
const LOCK: (&str, &str) = ("Object lock", "bucket-lock");
const CLASS: (&str, &str) = ("Storage class", "bucket-class");
const CLOCK: (&str, &str) = ("Clock", "bucket-clock");
const VERSIONING: &str = "Versioning";

/// Asks the bucket. What it does not answer is a fact that is not known: this never fails.
pub async fn of(bucket: &Bucket) -> Vec<BucketFact> {
    vec![
        versioning(bucket.versioning().await),
        lifecycle(bucket.harmful_rules().await),
        lock(bucket.object_lock().await),
        classes(bucket.storage_classes().await),
        clock(bucket.clock_ahead().await),
    ]
}

fn fact(
    name: &str,
    state: FactState,
    words: impl Into<String>,
    remedy: Option<&str>,
) -> BucketFact {
    BucketFact {
        name: name.to_owned(),
        state,
        words: words.into(),
        remedy: remedy.map(str::to_owned),
    }
}

/// The store does not know the question, or did not answer it.
fn unanswered(name: &str, error: &BucketError, untold: &str) -> BucketFact {
    if is_unheard_of(error) {
        return fact(name, FactState::Unknown, untold, None);
    }
    fact(
        name,
        FactState::Unknown,
        unknown(error),
        Some(error.advice()),
    )
}

fn versioning(answer: Result<Versioning, BucketError>) -> BucketFact {
    match answer {
        Ok(Versioning::Never) => fact(
            VERSIONING,
            FactState::Ok,
            "Off: what is overwritten or deleted is gone, and costs nothing.",
            None,
        ),
        Ok(Versioning::Enabled) => fact(
            VERSIONING,
            FactState::Ok,
            "On: old versions stay and cost until a rule deletes them. Deleting a path frees nothing before.",
            Some("Let a lifecycle rule delete noncurrent versions after some days."),
        ),
        Ok(Versioning::Suspended) => fact(
            VERSIONING,
            FactState::Ok,
            "Suspended: versions of the time when it was on are still there and cost.",
            Some("Let a lifecycle rule delete noncurrent versions."),
        ),
        Err(error) => unanswered(
            VERSIONING,
            &error,
            "The store does not tell over S3 whether it keeps old versions.",
        ),
    }
}

fn lifecycle(answer: Result<Vec<HarmfulRule>, BucketError>) -> BucketFact {
    match answer {
        Ok(rules) if rules.is_empty() => fact(
            LIFECYCLE.0,
            FactState::Ok,
            "None takes objects of the cache away.",
            None,
        ),
        Ok(rules) => {
            let rules: Vec<String> = rules.iter().map(ToString::to_string).collect();
            fact(
                LIFECYCLE.0,
                FactState::Warn,
                format!(
                    "The store will break this cache: {}. Paths then stay listed while their contents are gone, whatever still needs them.",
                    rules.join("; ")
                ),
                Some(
                    "Take these rules away. Rules that give up unfinished uploads or delete noncurrent versions may stay.",
                ),
            )
        }
        Err(error) => unanswered(
            LIFECYCLE.0,
            &error,
            "The store does not tell its rules over S3. If it has any, none may delete objects by age.",
        ),
    }
}

fn lock(answer: Result<Option<String>, BucketError>) -> BucketFact {
    match answer {
        Ok(None) => fact(
            LOCK.0,
            FactState::Ok,
            "New objects are not locked: what is removed can go.",
            None,
        ),
        Ok(Some(lock)) => fact(
            LOCK.0,
            FactState::Warn,
            format!(
                "New objects are locked ({lock}): nothing can be deleted before, a leaked secret neither."
            ),
            Some("Take the default retention off the bucket, unless it is meant."),
        ),
        Err(error) => unanswered(LOCK.0, &error, "The store knows no object lock over S3."),
    }
}

/// Classes whose objects have to be restored before they can be read.
const COLD: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];

fn classes(answer: Result<std::collections::BTreeMap<String, u64>, BucketError>) -> BucketFact {
    match answer {
        Ok(classes) if classes.is_empty() => fact(
            CLASS.0,
            FactState::Unknown,
            "There are no objects yet.",
            None,
        ),
        Ok(classes) => {
            let total: u64 = classes.values().sum();
            let of = |(class, objects): (&String, &u64)| format!("{objects} {class}");
            let listed: Vec<String> = classes.iter().map(of).collect();
            let words = format!("Of the first {total} objects: {}.", listed.join(", "));
            match COLD.iter().any(|cold| classes.contains_key(*cold)) {
                false => fact(CLASS.0, FactState::Ok, words, None),
                true => fact(
                    CLASS.0,
                    FactState::Warn,
                    format!("{words} Clients cannot read what lies in an archive."),
                    Some("Restore these objects, and take the rule away that moves them."),
                ),
            }
        }
        Err(error) => unanswered(
            CLASS.0,
            &error,
            "The store does not tell the storage class of its objects.",
        ),
    }
}

fn clock(answer: Result<Option<i64>, BucketError>) -> BucketFact {
    match answer {
        Ok(None) => fact(
            CLOCK.0,
            FactState::Unknown,
            "The store does not tell its time.",
            None,
        ),
        Ok(Some(ahead)) => {
            let words = match ahead {
                -2..=2 => "The store's clock and this machine's agree.".to_owned(),
                3.. => format!("The store's clock is {ahead} s ahead of this machine's."),
                _ => format!("The store's clock is {} s behind this machine's.", -ahead),
            };
            match ahead.abs() <= CLOCK_MOST {
                true => fact(CLOCK.0, FactState::Ok, words, None),
                false => fact(
                    CLOCK.0,
                    FactState::Warn,
                    format!("{words} From 15 minutes on it refuses every signed request."),
                    Some("Set this machine's clock by NTP."),
                ),
            }
        }
        Err(error) => unanswered(CLOCK.0, &error, "The store does not tell its time."),
    }
}

/// Takes what would break the cache over into its findings, and what no longer does out of them. A fact
/// that is not known changes nothing.
pub fn show(facts: &[BucketFact], index: &Index) {
    let view = index.view();
    let mut changes = Vec::new();
    for (name, check) in [LIFECYCLE, LOCK, CLASS, CLOCK] {
        let Some(fact) = facts.iter().find(|fact| fact.name == name) else {
            continue;
        };
        // One finding of each: the bucket as a whole is its object.
        let shown = view
            .noted(check)
            .next()
            .map(|finding| finding.reason.clone());
        match fact.state {
            FactState::Warn if shown.as_ref() != Some(&fact.words) => {
                changes.push(Change::Finding(Finding {
                    check: check.to_owned(),
                    severity: Severity::Warning,
                    object: BUCKET.to_owned(),
                    line: None,
                    reason: fact.words.clone(),
                    hash: None,
                }));
            }
            FactState::Ok if shown.is_some() => {
                changes.push(Change::Settled(check.to_owned(), BUCKET.to_owned()));
            }
            _ => {}
        }
    }
    if !changes.is_empty() {
        index.apply(changes);
    }
}

/// What the findings are about: no object has this name.
const BUCKET: &str = "the bucket";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_breaks_a_cache_warns_and_what_only_costs_does_not() {
        let rule = HarmfulRule {
            id: "tidy".to_owned(),
            prefix: String::new(),
            does: "deletes objects 30 days after they came".to_owned(),
        };
        let warned = lifecycle(Ok(vec![rule]));
        assert_eq!(warned.state, FactState::Warn);
        assert!(
            warned.words.contains("rule `tidy` deletes objects"),
            "{warned:?}"
        );
        assert!(warned.remedy.is_some());
        assert_eq!(lifecycle(Ok(Vec::new())).state, FactState::Ok);
        for answer in [
            Versioning::Never,
            Versioning::Enabled,
            Versioning::Suspended,
        ] {
            let told = versioning(Ok(answer));
            assert_eq!(told.state, FactState::Ok);
            assert_eq!(told.remedy.is_some(), answer != Versioning::Never);
        }
        let of = |class: &str| classes(Ok(BTreeMap::from([(class.to_owned(), 3)]))).state;
        assert_eq!(
            (of("STANDARD_IA"), of("GLACIER")),
            (FactState::Ok, FactState::Warn)
        );
        assert_eq!(classes(Ok(BTreeMap::new())).state, FactState::Unknown);
        assert_eq!(
            lock(Ok(Some("governance, 30 days".to_owned()))).state,
            FactState::Warn
        );
        let offset = |ahead| clock(Ok(ahead)).state;
        assert_eq!(offset(None), FactState::Unknown);
        assert_eq!(
            (offset(Some(-300)), offset(Some(-301))),
            (FactState::Ok, FactState::Warn)
        );
        assert_eq!(
            clock(Ok(Some(-40))).words,
            "The store's clock is 40 s behind this machine's."
        );
    }
}
