//! Alerts as they lie in the ledger. Times are seconds since 1970.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use snowbank_shared::api::alerts::{AlertCondition, AlertDelivery, AlertEvent};

use super::Phase;
use crate::auth::records::spelled;
use crate::ledger::kind::{ALERT_STATES, ALERTS, Kind, Record};
use crate::ledger::{Ledger, Scope};

/// The alerts of a cache.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertsRecord {
    /// By id.
    pub rules: BTreeMap<String, Rule>,
}

/// An alert.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// When it fires.
    pub condition: AlertCondition,
    /// The webhook's URL.
    pub url: String,
    /// What its messages are signed with: `whsec_…`.
    pub secret: String,
    /// Who made it, as the audit names them.
    pub made_by: String,
    /// When.
    pub made_at: i64,
    /// How often it was changed, from 1.
    pub revision: u64,
}

impl std::fmt::Debug for Rule {
    /// Without URL and secret: both let somebody in.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rule")
            .field("name", &self.name)
            .field("condition", &self.condition)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

impl Record for AlertsRecord {
    const KIND: Kind = ALERTS;
}

impl AlertsRecord {
    /// Those of a cache, with their secrets.
    pub fn of(ledger: &Ledger, cache: &str) -> Self {
        ledger.view().only(Scope::Cache(cache))
    }
}

/// How the alerts of a cache stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatesRecord {
    /// The process that watches: see [`Ledger::instance`].
    #[serde(default)]
    pub keeper: String,
    /// Until when it does.
    #[serde(default)]
    pub kept_until: i64,
    /// By id of the alert.
    #[serde(default)]
    pub alerts: BTreeMap<String, Standing>,
}

/// How one of them stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// How it stands.
    pub phase: Phase,
    /// The revision of the alert that this is of.
    #[serde(default)]
    pub revision: u64,
    /// The message that is still to be delivered.
    #[serde(default)]
    pub due: Option<Due>,
    /// How sending went last.
    #[serde(default)]
    pub last: Option<DeliveryRecord>,
}

/// A message that is still to be delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// Its id, the same each time that it is tried.
    pub id: String,
    /// What happened.
    pub event: AlertEvent,
    /// When.
    pub at: i64,
    /// The figure then, in thousandths of its unit.
    pub value: Option<u64>,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next.
    pub next_at: i64,
}

/// How sending went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRecord {
    /// What was sent.
    pub event: AlertEvent,
    /// When it was tried last.
    pub at: i64,
    /// How often.
    pub tries: u32,
    /// The status of the answer.
    pub status: Option<u16>,
    /// Why it did not arrive.
    pub problem: Option<String>,
    /// When it is tried again.
    pub again_at: Option<i64>,
}

impl DeliveryRecord {
    /// As it crosses the wire.
    pub fn shown(&self) -> AlertDelivery {
        AlertDelivery {
            event: self.event,
            at: spelled(self.at),
            tries: self.tries,
            delivered: self.problem.is_none(),
            status: self.status,
            problem: self.problem.clone(),
            again_at: self.again_at.map(spelled),
        }
    }
}

impl Record for StatesRecord {
    const KIND: Kind = ALERT_STATES;
}

impl StatesRecord {
    /// Those of a cache.
    pub fn of(ledger: &Ledger, cache: &str) -> Self {
        ledger.view().only(Scope::Cache(cache))
    }
}
