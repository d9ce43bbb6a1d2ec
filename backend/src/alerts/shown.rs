//! Alerts as owners see them: without secrets, with the figures of now.

use std::collections::BTreeMap;
use std::sync::Arc;

use snowbank_shared::api::alerts::Alert;

use super::figures::{Reading, in_units};
use super::record::{AlertsRecord, Rule, Standing, StatesRecord};
use super::watch::readings;
use crate::auth::records::{now, spelled};
use crate::site::{Cache, Site};

/// Scheme and host of a URL: the rest may be a secret.
pub(super) fn receiver(url: &str) -> String {
    let uri = url.parse::<http::Uri>().ok();
    let parts = uri.as_ref().and_then(|uri| {
        let scheme = uri.scheme_str()?;
        Some(format!("{scheme}://{}", uri.authority()?))
    });
    parts.unwrap_or_default()
}

pub(super) fn shown(
    id: &str,
    rule: &Rule,
    standing: Option<&Standing>,
    reading: Option<&Reading>,
) -> Alert {
    let phase = standing.map(|standing| standing.phase).unwrap_or_default();
    let (state, since) = phase.shown();
    let (value, not_measured) = match reading {
        Some(Ok(value)) => (Some(in_units(*value)), None),
        Some(Err(why)) => (None, Some(why.clone())),
        None => (None, Some("The figure could not be read.".to_owned())),
    };
    let last = standing.and_then(|standing| standing.last.as_ref());
    Alert {
        id: id.to_owned(),
        name: rule.name.clone(),
        condition: rule.condition.clone(),
        receiver: receiver(&rule.url),
        state,
        since: since.map(spelled),
        value,
        not_measured,
        last_delivery: last.map(super::record::DeliveryRecord::shown),
        made_by: rule.made_by.clone(),
        made_at: spelled(rule.made_at),
        revision: rule.revision,
    }
}

/// The alerts of a cache, by name.
pub async fn list(site: &Arc<Site>, cache: &Arc<Cache>) -> Vec<Alert> {
    let slug = cache.slug.as_str();
    let rules = AlertsRecord::of(&site.ledger, slug).rules;
    let states = StatesRecord::of(&site.ledger, slug);
    let readings: BTreeMap<String, Reading> = readings(site, cache, &rules, now()).await;
    let mut alerts: Vec<Alert> = rules
        .iter()
        .map(|(id, rule)| shown(id, rule, states.alerts.get(id), readings.get(id)))
        .collect();
    alerts.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    alerts
}
