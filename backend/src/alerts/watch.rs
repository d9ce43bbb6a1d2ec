//! The watch: looks at the figures once a minute, writes down what changes, delivers what is due.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use snowbank_shared::api::alerts::{AlertCondition, AlertFigure, AlertSide};

use super::figures::{self, Reading};
use super::message::Message;
use super::phase::next;
use super::record::{AlertsRecord, DeliveryRecord, Due, Rule, Standing, StatesRecord};
use super::{EVERY, LEASE, MOST_TRIES};
use crate::auth::records::now;
use crate::ledger::{Freshness, LedgerError, RecordId, Scope};
use crate::secrets::SecretError;
use crate::site::{Cache, Site};

/// Seconds before the first time that a message is tried again; doubled each time.
const AGAIN: i64 = 60;

/// Why a round came to nothing.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    /// Another process watches.
    #[error("another server watches this cache")]
    NotOurs,
    /// The states could not be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The system gives no random bytes.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// Watches all caches once a minute, until the server ends.
pub async fn follow(site: Arc<Site>) {
    loop {
        tokio::select! {
            () = site.closing.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(EVERY)) => {}
        }
        // Before the state is open there is nothing to read.
        if site.ledger.freshness() == Freshness::Never {
            continue;
        }
        tokio::select! {
            () = site.closing.cancelled() => return,
            () = round(&site, now()) => {}
        }
    }
}

/// Looks at the figures of all caches as if it were `now`, seconds since 1970, and delivers what is due.
/// Where the states cannot be written nothing is sent, and the next round does it.
pub async fn round(site: &Arc<Site>, now: i64) {
    for cache in &site.caches {
        let rules = AlertsRecord::of(&site.ledger, cache.slug.as_str()).rules;
        if rules.is_empty() {
            continue;
        }
        match look(site, cache, &rules, now).await {
            Ok(()) | Err(RoundError::NotOurs) => {}
            Err(error) => {
                tracing::warn!(cache = %cache.slug, %error, "alerts could not be looked at");
            }
        }
    }
}

/// Whether a condition holds; `None` where the figure is not known. Exactly at the threshold it does not.
fn holds(condition: &AlertCondition, reading: &Reading) -> Option<bool> {
    let value = *reading.as_ref().ok()?;
    let threshold = u64::from(condition.threshold) * 1_000;
    Some(match condition.side {
        AlertSide::Below => value < threshold,
        AlertSide::Above => value > threshold,
    })
}

/// The figures that these alerts look at, read off the reactor.
pub(super) async fn readings(
    site: &Arc<Site>,
    cache: &Arc<Cache>,
    rules: &BTreeMap<String, Rule>,
    now: i64,
) -> BTreeMap<String, Reading> {
    let wanted: Vec<(String, AlertCondition)> = rules
        .iter()
        .map(|(id, rule)| (id.clone(), rule.condition.clone()))
        .collect();
    let (of, cache) = (Arc::clone(site), Arc::clone(cache));
    let reading = tokio::task::spawn_blocking(move || {
        // Several alerts may look at one figure.
        let mut known = BTreeMap::<(AlertFigure, Option<String>), Reading>::new();
        let each = |(id, condition): (String, AlertCondition)| {
            let AlertCondition { figure, check, .. } = condition;
            let looked_at = (figure, check);
            let reading = known
                .entry(looked_at)
                .or_insert_with_key(|(figure, check)| {
                    figures::read(&of, &cache, *figure, check.as_deref(), now)
                });
            (id, reading.clone())
        };
        wanted.into_iter().map(each).collect()
    });
    reading.await.unwrap_or_default()
}

async fn look(
    site: &Arc<Site>,
    cache: &Arc<Cache>,
    rules: &BTreeMap<String, Rule>,
    now: i64,
) -> Result<(), RoundError> {
    let slug = cache.slug.as_str();
    let instance = site.ledger.instance();
    let before = StatesRecord::of(&site.ledger, slug);
    if before.keeper != instance && before.kept_until > now {
        return Err(RoundError::NotOurs);
    }
    let readings = readings(site, cache, rules, now).await;
    // One for each alert, so that a write that is tried again makes no other.
    let mut ids = BTreeMap::new();
    for id in rules.keys() {
        ids.insert(id.as_str(), format!("msg_{}", RecordId::random()?));
    }
    let after = stepped(&before, instance, rules, &readings, &ids, now);
    let renews = before.keeper != instance || before.kept_until - now < LEASE / 2;
    let states = if renews || before.alerts != after.alerts {
        let written = site
            .ledger
            .put(
                Scope::Cache(slug),
                &RecordId::only(),
                "snowbank",
                |current: Option<&StatesRecord>| {
                    let current = current.cloned().unwrap_or_default();
                    if current.keeper != instance && current.kept_until > now {
                        return Err(RoundError::NotOurs);
                    }
                    Ok(stepped(&current, instance, rules, &readings, &ids, now))
                },
            )
            .await?;
        (*written.record).clone()
    } else {
        before
    };
    deliver(site, cache, rules, &states, now).await
}

/// The states after a look.
fn stepped(
    before: &StatesRecord,
    instance: &str,
    rules: &BTreeMap<String, Rule>,
    readings: &BTreeMap<String, Reading>,
    ids: &BTreeMap<&str, String>,
    now: i64,
) -> StatesRecord {
    let takes_over = before.keeper != instance;
    // Alerts that are gone have no state.
    let alerts = rules.iter().map(|(id, rule)| {
        let mut standing = before.alerts.get(id).cloned().unwrap_or_default();
        if takes_over || standing.revision != rule.revision {
            standing.phase = standing.phase.looked_away();
        }
        standing.revision = rule.revision;
        let reading = readings.get(id);
        let holding = reading.and_then(|reading| holds(&rule.condition, reading));
        let (phase, event) = next(standing.phase, holding, rule.condition.minutes, now);
        standing.phase = phase;
        if let (Some(event), Some(message)) = (event, ids.get(id.as_str())) {
            standing.due = Some(Due {
                id: message.clone(),
                event,
                at: now,
                value: reading.and_then(|reading| reading.as_ref().ok().copied()),
                tries: 0,
                next_at: now,
            });
        }
        (id.clone(), standing)
    });
    StatesRecord {
        keeper: instance.to_owned(),
        kept_until: now + LEASE,
        alerts: alerts.collect(),
    }
}

/// Sends what is due, all at once, and writes down how that went.
async fn deliver(
    site: &Arc<Site>,
    cache: &Arc<Cache>,
    rules: &BTreeMap<String, Rule>,
    states: &StatesRecord,
    now: i64,
) -> Result<(), RoundError> {
    let due = states.alerts.iter().filter_map(|(id, standing)| {
        let due = standing.due.as_ref().filter(|due| due.next_at <= now)?;
        Some((id, rules.get(id)?, due))
    });
    let sending = due.map(|(id, rule, due)| async move {
        let message = Message {
            site,
            cache,
            id,
            rule,
            due,
        };
        (id, due, message.send().await)
    });
    let sent: Vec<(&String, &Due, DeliveryRecord)> = join_all(sending).await;
    if sent.is_empty() {
        return Ok(());
    }
    for (id, due, went) in &sent {
        let (event, status, problem) = (due.event.as_str(), went.status, went.problem.as_deref());
        tracing::info!(cache = %cache.slug, alert = %id, event, status, problem, tries = went.tries, "told of an alert");
    }
    site.ledger
        .put(
            Scope::Cache(cache.slug.as_str()),
            &RecordId::only(),
            "snowbank",
            |current: Option<&StatesRecord>| {
                let mut next = current.cloned().unwrap_or_default();
                for (id, due, went) in &sent {
                    if let Some(standing) = next.alerts.get_mut(*id) {
                        note(standing, due, went, now);
                    }
                }
                Ok::<_, LedgerError>(next)
            },
        )
        .await?;
    Ok(())
}

/// Notes how sending a message went: it is due no more, or again later. Another that became due
/// meanwhile stays.
fn note(standing: &mut Standing, sent: &Due, went: &DeliveryRecord, now: i64) {
    let again = (went.problem.is_some() && went.tries < MOST_TRIES)
        .then(|| now + (AGAIN << (went.tries.saturating_sub(1)).min(16)));
    let mut last = went.clone();
    match standing.due.as_mut().filter(|due| due.id == sent.id) {
        Some(due) => match again {
            Some(at) => {
                due.tries = went.tries;
                due.next_at = at;
                last.again_at = Some(at);
            }
            None => standing.due = None,
        },
        // It was replaced, or its alert changed.
        None => last.again_at = None,
    }
    standing.last = Some(last);
}

#[cfg(test)]
mod tests {
    use super::*;
    use snowbank_shared::api::alerts::AlertEvent;

    use super::super::Phase;

    fn rules(minutes: u32, revision: u64) -> BTreeMap<String, Rule> {
        let condition = AlertCondition {
            figure: AlertFigure::HitRatio,
            check: None,
            side: AlertSide::Below,
            threshold: 75,
            minutes,
        };
        let rule = Rule {
            name: "low".into(),
            condition,
            url: "https://example.org/".into(),
            secret: "whsec_AAAA".into(),
            made_by: "member:olga".into(),
            made_at: 0,
            revision,
        };
        BTreeMap::from([("a".to_owned(), rule)])
    }

    fn step(
        before: &StatesRecord,
        instance: &str,
        rules: &BTreeMap<String, Rule>,
        reading: Reading,
        now: i64,
    ) -> StatesRecord {
        let readings = BTreeMap::from([("a".to_owned(), reading)]);
        let ids = BTreeMap::from([("a", format!("msg_{now}"))]);
        stepped(before, instance, rules, &readings, &ids, now)
    }

    #[test]
    fn at_its_threshold_it_does_not_hold_and_without_a_figure_nobody_knows() {
        let mut condition = rules(0, 1)["a"].condition.clone();
        for (side, value, expected) in [
            (AlertSide::Below, 74_999, true),
            (AlertSide::Below, 75_000, false),
            (AlertSide::Above, 75_000, false),
            (AlertSide::Above, 75_001, true),
        ] {
            condition.side = side;
            assert_eq!(holds(&condition, &Ok(value)), Some(expected), "{value}");
        }
        assert_eq!(holds(&condition, &Err("off".into())), None);
    }

    #[test]
    fn who_takes_over_begins_what_was_pending_anew_and_does_not_fire_twice() {
        let rules = rules(2, 1);
        let low = || Ok(10_000);
        let one = step(&StatesRecord::default(), "one", &rules, low(), 0);
        assert_eq!(one.kept_until, LEASE);
        let other = step(&one, "two", &rules, low(), 120);
        assert_eq!(other.alerts["a"].phase, Phase::Pending { since: 120 });
        assert_eq!(other.alerts["a"].due, None);
        // The one that stays fires.
        let fired = step(&one, "one", &rules, low(), 120);
        let due = fired.alerts["a"].due.clone().expect("a message");
        assert_eq!(
            (due.event, due.value, due.id.as_str()),
            (AlertEvent::Firing, Some(10_000), "msg_120")
        );
        let after = step(&fired, "two", &rules, low(), 600);
        assert_eq!(after.alerts["a"].phase, Phase::Firing { since: 120 });
        assert_eq!(
            after.alerts["a"].due.as_ref(),
            Some(&due),
            "it is still due"
        );
        // The newest word counts.
        let over = step(&after, "two", &rules, Ok(90_000), 660);
        let due = over.alerts["a"].due.as_ref().expect("a message");
        assert_eq!((due.event, due.tries), (AlertEvent::Resolved, 0));
        // Another condition: what was pending for the old one is not for the new one.
        let changed = step(&one, "one", &self::rules(2, 2), low(), 120);
        assert_eq!(changed.alerts["a"].phase, Phase::Pending { since: 120 });
        // An alert that is gone leaves nothing.
        let none = step(&fired, "one", &BTreeMap::new(), low(), 180);
        assert!(none.alerts.is_empty());
    }

    #[test]
    fn a_message_is_tried_at_growing_distances_and_then_given_up() {
        let rules = rules(0, 1);
        let fired = step(&StatesRecord::default(), "one", &rules, Ok(1), 0);
        let mut standing = fired.alerts["a"].clone();
        let mut waits = Vec::new();
        while let Some(due) = standing.due.clone() {
            let went = DeliveryRecord {
                event: due.event,
                at: due.next_at,
                tries: due.tries + 1,
                status: Some(500),
                problem: Some("the receiver did not take it".into()),
                again_at: None,
            };
            note(&mut standing, &due, &went, due.next_at);
            waits.extend(standing.due.as_ref().map(|next| next.next_at - due.next_at));
        }
        assert_eq!(waits, [60, 120, 240, 480, 960]);
        let last = standing.last.clone().expect("the last try");
        assert_eq!((last.tries, last.again_at), (MOST_TRIES, None));
        // What became due meanwhile is not taken for delivered.
        let mut standing = fired.alerts["a"].clone();
        let sent = Due {
            id: "msg_older".into(),
            ..standing.due.clone().expect("due")
        };
        let went = DeliveryRecord {
            problem: None,
            status: Some(204),
            ..last
        };
        note(&mut standing, &sent, &went, 9);
        assert!(standing.due.is_some());
        let own = standing.due.clone().expect("due");
        note(&mut standing, &own, &went, 9);
        assert!(standing.due.is_none());
    }
}
