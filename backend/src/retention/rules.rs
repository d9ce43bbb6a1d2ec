//! The rules of a cache: a record of the ledger, changed while it runs.

use serde::{Deserialize, Serialize};
use snowbank_shared::api::retention::{
    MOST_DAYS, MOST_GRACE_HOURS, MOST_NAMES, MOST_REVISIONS, RetentionRules, Rules,
    USUAL_GRACE_DAYS,
};

use crate::auth::records::spelled;
use crate::auth::{AccessError, By};
use crate::ledger::kind::{Kind, RETENTION, Record};
use crate::ledger::{RecordId, Scope};
use crate::site::{Cache, Site};

/// Bytes of a pattern of names at most.
const LONGEST_NAME: usize = 211;

/// What the ledger keeps of a cache's rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionRecord {
    /// The rules.
    pub rules: Rules,
    /// Days between the trash and the deletion of NARs.
    pub grace_days: u32,
}

impl Record for RetentionRecord {
    const KIND: Kind = RETENTION;
}

/// What is wrong with rules; `None` where nothing is.
pub fn fault(rules: &Rules) -> Option<String> {
    let days = |name: &str, days: Option<u32>| {
        days.filter(|days| !(1..=MOST_DAYS).contains(days))
            .map(|days| format!("`{name}` cannot be {days}: it is 1 to {MOST_DAYS} days."))
    };
    if let Some(pins) = rules
        .pins
        .filter(|pins| !(1..=MOST_REVISIONS).contains(pins))
    {
        return Some(format!(
            "`pins` cannot be {pins}: it is 1 to {MOST_REVISIONS} revisions."
        ));
    }
    if let Some(fault) = days("fetched_days", rules.fetched_days)
        .or_else(|| days("uploaded_days", rules.uploaded_days))
    {
        return Some(fault);
    }
    if rules.grace_hours > MOST_GRACE_HOURS {
        return Some(format!(
            "`grace_hours` cannot be {}: it is at most {MOST_GRACE_HOURS}.",
            rules.grace_hours
        ));
    }
    if rules.names.len() > MOST_NAMES {
        return Some(format!("`names` has more than {MOST_NAMES} patterns."));
    }
    let odd = |name: &String| name.is_empty() || name.len() > LONGEST_NAME;
    if rules.names.iter().any(odd) {
        return Some(format!(
            "Each of `names` has 1 to {LONGEST_NAME} characters, as names of store paths do."
        ));
    }
    if rules.target_size == Some(0) {
        return Some("`target_size` is more than 0 bytes.".to_owned());
    }
    None
}

/// The rules of a cache; the usual ones, with revision 0, where nobody has set any.
pub fn shown(site: &Site, cache: &Cache) -> RetentionRules {
    let view = site.ledger.view();
    let scope = Scope::Cache(cache.slug.as_str());
    match view.get::<RetentionRecord>(scope, &RecordId::only()) {
        None => RetentionRules {
            rules: Rules::default(),
            grace_days: USUAL_GRACE_DAYS,
            revision: 0,
            by: None,
            at: None,
        },
        Some(entry) => RetentionRules {
            rules: entry.rules.clone(),
            grace_days: entry.grace_days,
            revision: entry.sequence,
            by: Some(entry.changed_by.clone()),
            at: Some(spelled(entry.changed_at.unix_timestamp())),
        },
    }
}

/// Changes the rules of a cache, where nobody did since that revision was read.
///
/// # Errors
/// Where somebody did, a value cannot be, or the ledger cannot write it.
pub async fn change(
    site: &Site,
    cache: &Cache,
    wish: &RetentionRules,
    by: &By,
) -> Result<(), AccessError> {
    if let Some(fault) = fault(&wish.rules) {
        return Err(AccessError::Bad(fault));
    }
    if wish.grace_days > MOST_DAYS {
        return Err(AccessError::Bad(format!(
            "`grace_days` cannot be {}: it is at most {MOST_DAYS}.",
            wish.grace_days
        )));
    }
    let scope = Scope::Cache(cache.slug.as_str());
    let before = site
        .ledger
        .view()
        .get::<RetentionRecord>(scope, &RecordId::only());
    if before.as_ref().map_or(0, |before| before.sequence) != wish.revision {
        return Err(AccessError::Conflict);
    }
    let seen = before.map(|before| (*before.record).clone());
    let next = RetentionRecord {
        rules: wish.rules.clone(),
        grace_days: wish.grace_days,
    };
    // What was read is compared here, what is written with the bucket by the ledger.
    site.ledger
        .put(
            scope,
            &RecordId::only(),
            &by.actor,
            |current: Option<&RetentionRecord>| {
                if current != seen.as_ref() {
                    return Err(AccessError::Conflict);
                }
                Ok(next.clone())
            },
        )
        .await?;
    let mut detail = vec![
        ("grace_days", next.grace_days.to_string()),
        ("grace_hours", next.rules.grace_hours.to_string()),
    ];
    let mut note = |name, value: Option<String>| {
        detail.extend(value.map(|value| (name, value)));
    };
    note("pins", next.rules.pins.map(|pins| pins.to_string()));
    let spelled_days = |days: Option<u32>| days.map(|days| days.to_string());
    note("fetched_days", spelled_days(next.rules.fetched_days));
    note("uploaded_days", spelled_days(next.rules.uploaded_days));
    let names = &next.rules.names;
    note("names", (!names.is_empty()).then(|| names.join(" ")));
    site.access
        .note_in(
            cache.slug.as_str(),
            by,
            "retention.change",
            cache.slug.as_str(),
            &detail,
        )
        .await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_bounded() {
        assert_eq!(fault(&Rules::default()), None);
        let with = |change: fn(&mut Rules)| {
            let mut rules = Rules::default();
            change(&mut rules);
            fault(&rules).is_some()
        };
        assert!(with(|rules| rules.pins = Some(0)));
        assert!(with(|rules| rules.pins = Some(MOST_REVISIONS + 1)));
        assert!(with(|rules| rules.fetched_days = Some(0)));
        assert!(with(|rules| rules.uploaded_days = Some(MOST_DAYS + 1)));
        assert!(with(|rules| rules.grace_hours = MOST_GRACE_HOURS + 1));
        assert!(with(|rules| rules.names = vec!["a".into(); MOST_NAMES + 1]));
        assert!(with(|rules| rules.names = vec![String::new()]));
        assert!(with(|rules| rules.target_size = Some(0)));
        assert!(!with(|rules| rules.names = vec!["nixos-*".into()]));
    }
}
