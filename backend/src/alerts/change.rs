//! What owners do to alerts: make, change, give a new secret, take away, test.

use std::collections::BTreeMap;
use std::sync::Arc;

use snowbank_shared::api::alerts::{
    Alert, AlertCondition, AlertDelivery, AlertEvent, AlertFigure, AlertWish, LONGEST_NAME,
    LONGEST_URL, MOST_ALERTS, MOST_MINUTES, NewAlert,
};

use super::message::Message;
use super::record::{AlertsRecord, Due, Rule, StatesRecord};
use super::shown::{receiver, shown};
use super::signature::Secret;
use super::watch::readings;
use crate::auth::records::now;
use crate::auth::{AccessError, By};
use crate::ledger::{LedgerError, RecordId, Scope};
use crate::outbound::OutboundError;
use crate::site::{Cache, Site};

/// Characters of a check's code at most.
const LONGEST_CHECK: usize = 64;

fn bad<T>(words: impl Into<String>) -> Result<T, AccessError> {
    Err(AccessError::Bad(words.into()))
}

fn no_such(id: &str) -> AccessError {
    AccessError::NoSuch {
        what: "alert",
        name: id.chars().take(40).collect(),
    }
}

fn checked_name(name: &str) -> Result<String, AccessError> {
    let name = name.trim();
    let fine = (1..=LONGEST_NAME).contains(&name.chars().count());
    if !fine || name.chars().any(char::is_control) {
        return bad(format!(
            "An alert has a name of 1 to {LONGEST_NAME} characters on one line."
        ));
    }
    Ok(name.to_owned())
}

fn checked_condition(condition: &AlertCondition) -> Result<AlertCondition, AccessError> {
    let most = condition.figure.most();
    if condition.threshold > most {
        return bad(format!(
            "The threshold of `{}` is a number from 0 to {most}.",
            condition.figure.as_str()
        ));
    }
    if condition.minutes > MOST_MINUTES {
        return bad(format!(
            "A condition has to hold for {MOST_MINUTES} minutes at most: a week."
        ));
    }
    let check = condition.check.as_deref().map(str::trim);
    let check = check.filter(|check| !check.is_empty());
    if let Some(check) = check {
        if condition.figure != AlertFigure::Findings {
            return bad("Only findings are of a check.");
        }
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if check.len() > LONGEST_CHECK || !check.bytes().all(letter) {
            return bad("A check is named by its code, such as `nar-missing`.");
        }
    }
    Ok(AlertCondition {
        check: check.map(str::to_owned),
        ..condition.clone()
    })
}

/// A URL that may be called as things are.
async fn checked_url(site: &Site, url: &str) -> Result<String, AccessError> {
    let url = url.trim();
    if url.len() > LONGEST_URL {
        return bad(format!(
            "A webhook's URL has at most {LONGEST_URL} characters."
        ));
    }
    let host = url.split(['/', '?', '#']).nth(2).unwrap_or_default();
    if host.contains('@') || url.contains('#') {
        return bad("A webhook's URL has no user, password or fragment.");
    }
    match site.access.outbound.may_call(url).await {
        Ok(()) => Ok(url.to_owned()),
        Err(error @ OutboundError::Private { .. }) => bad(format!(
            "The webhook cannot be called: {error}. If that is meant, add it to the server's configuration: outbound_allow = [\"…\"]."
        )),
        Err(OutboundError::Url(_)) => {
            bad("A webhook is an https:// URL whose host has an address.")
        }
        Err(error) => bad(format!("The webhook cannot be called: {error}.")),
    }
}

/// The rules of a cache after a change of one of them.
async fn put(
    site: &Site,
    cache: &Cache,
    by: &By,
    mut act: impl FnMut(&mut BTreeMap<String, Rule>) -> Result<(), AccessError>,
) -> Result<(), AccessError> {
    let scope = Scope::Cache(cache.slug.as_str());
    site.ledger
        .put(
            scope,
            &RecordId::only(),
            &by.actor,
            |current: Option<&AlertsRecord>| {
                let mut next = current.cloned().unwrap_or_default();
                act(&mut next.rules)?;
                Ok::<_, AccessError>(next)
            },
        )
        .await
        .map(drop)
}

async fn note(site: &Site, cache: &Cache, by: &By, act: &'static str, id: &str, rule: &Rule) {
    let detail = [
        ("name", rule.name.clone()),
        ("condition", rule.condition.words()),
        // The rest of the URL may be a secret.
        ("receiver", receiver(&rule.url)),
    ];
    let slug = cache.slug.as_str();
    site.access.note_in(slug, by, act, id, &detail).await;
}

async fn described(site: &Arc<Site>, cache: &Arc<Cache>, id: &str, rule: &Rule) -> Alert {
    let states = StatesRecord::of(&site.ledger, cache.slug.as_str());
    let one = BTreeMap::from([(id.to_owned(), rule.clone())]);
    let readings = readings(site, cache, &one, now()).await;
    shown(id, rule, states.alerts.get(id), readings.get(id))
}

/// Makes an alert.
///
/// # Errors
/// Where a value cannot be, the webhook may not be called, there are too many, or the ledger cannot
/// write it.
pub async fn create(
    site: &Arc<Site>,
    cache: &Arc<Cache>,
    wish: &AlertWish,
    by: &By,
) -> Result<NewAlert, AccessError> {
    let Some(url) = wish.url.as_deref() else {
        return bad("An alert needs the URL of a webhook.");
    };
    let secret = Secret::random()?;
    let rule = Rule {
        name: checked_name(&wish.name)?,
        condition: checked_condition(&wish.condition)?,
        url: checked_url(site, url).await?,
        secret: secret.text(),
        made_by: by.actor.clone(),
        made_at: now(),
        revision: 1,
    };
    let id = RecordId::random()?.as_str().to_owned();
    put(site, cache, by, |rules| {
        if rules.len() >= MOST_ALERTS && !rules.contains_key(&id) {
            return bad(format!(
                "This cache has {MOST_ALERTS} alerts, and that is the most: remove one first."
            ));
        }
        rules.insert(id.clone(), rule.clone());
        Ok(())
    })
    .await?;
    note(site, cache, by, "alert.create", &id, &rule).await;
    Ok(NewAlert {
        alert: described(site, cache, &id, &rule).await,
        secret: secret.text(),
    })
}

/// Changes an alert, where nobody did since that revision was read. Its secret stays.
///
/// # Errors
/// Where somebody did, there is none, a value cannot be, or the ledger cannot write it.
pub async fn change(
    site: &Arc<Site>,
    cache: &Arc<Cache>,
    id: &str,
    wish: &AlertWish,
    by: &By,
) -> Result<Alert, AccessError> {
    let before = AlertsRecord::of(&site.ledger, cache.slug.as_str());
    let before = before.rules.get(id).ok_or_else(|| no_such(id))?;
    if before.revision != wish.revision {
        return Err(AccessError::Conflict);
    }
    let next = Rule {
        name: checked_name(&wish.name)?,
        condition: checked_condition(&wish.condition)?,
        url: match &wish.url {
            Some(url) => checked_url(site, url).await?,
            None => before.url.clone(),
        },
        revision: before.revision + 1,
        ..before.clone()
    };
    put(site, cache, by, |rules| {
        let rule = rules.get_mut(id).ok_or_else(|| no_such(id))?;
        // A write that is tried again may find what it wrote itself.
        if rule != before && *rule != next {
            return Err(AccessError::Conflict);
        }
        *rule = next.clone();
        Ok(())
    })
    .await?;
    note(site, cache, by, "alert.change", id, &next).await;
    Ok(described(site, cache, id, &next).await)
}

/// Gives an alert a new secret: messages are signed with it from now on, and with the old one no more.
///
/// # Errors
/// Where there is none, or the ledger cannot write it.
pub async fn renew(
    site: &Arc<Site>,
    cache: &Arc<Cache>,
    id: &str,
    by: &By,
) -> Result<NewAlert, AccessError> {
    let secret = Secret::random()?.text();
    let mut renewed = None;
    put(site, cache, by, |rules| {
        let rule = rules.get_mut(id).ok_or_else(|| no_such(id))?;
        // A write that is tried again may find what it wrote itself.
        if rule.secret != secret {
            rule.secret.clone_from(&secret);
            rule.revision += 1;
        }
        renewed = Some(rule.clone());
        Ok(())
    })
    .await?;
    let rule = renewed.ok_or_else(|| no_such(id))?;
    note(site, cache, by, "alert.renew", id, &rule).await;
    Ok(NewAlert {
        alert: described(site, cache, id, &rule).await,
        secret,
    })
}

/// Takes an alert away. Nothing is sent, also where it fires.
///
/// # Errors
/// Where there is none, or the ledger cannot write it.
pub async fn remove(site: &Site, cache: &Cache, id: &str, by: &By) -> Result<(), AccessError> {
    let before = AlertsRecord::of(&site.ledger, cache.slug.as_str());
    let before = before.rules.get(id).ok_or_else(|| no_such(id))?;
    put(site, cache, by, |rules| {
        rules.remove(id);
        Ok(())
    })
    .await?;
    note(site, cache, by, "alert.remove", id, before).await;
    Ok(())
}

/// Sends a message once, to see whether it arrives.
///
/// # Errors
/// Where there is no such alert, or how it went cannot be written down. That it does not arrive is no
/// error: the answer says so.
pub async fn test(
    site: &Arc<Site>,
    cache: &Arc<Cache>,
    id: &str,
    by: &By,
) -> Result<AlertDelivery, AccessError> {
    let slug = cache.slug.as_str();
    let rules = AlertsRecord::of(&site.ledger, slug).rules;
    let rule = rules.get(id).ok_or_else(|| no_such(id))?;
    let one = BTreeMap::from([(id.to_owned(), rule.clone())]);
    let now = now();
    let reading = readings(site, cache, &one, now).await.remove(id);
    let due = Due {
        id: format!("msg_{}", RecordId::random()?),
        event: AlertEvent::Test,
        at: now,
        value: reading.and_then(Result::ok),
        tries: 0,
        next_at: now,
    };
    let message = Message {
        site,
        cache,
        id,
        rule,
        due: &due,
    };
    let went = message.send().await;
    note(site, cache, by, "alert.test", id, rule).await;
    site.ledger
        .put(
            Scope::Cache(slug),
            &RecordId::only(),
            &by.actor,
            |current: Option<&StatesRecord>| {
                let mut next = current.cloned().unwrap_or_default();
                let standing = next.alerts.entry(id.to_owned()).or_default();
                standing.last = Some(went.clone());
                Ok::<_, LedgerError>(next)
            },
        )
        .await?;
    Ok(went.shown())
}
