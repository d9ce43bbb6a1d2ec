//! A message: its body, its signature, how it is sent once.

use std::time::Duration;

use bytes::Bytes;
use snowbank_shared::api::alerts::{
    AlertEvent, AlertFigure, AlertMessage, AlertMessageData, ID, SIGNATURE, TIMESTAMP,
};
use snowbank_shared::route::{MonitoringRoute, Route};

use super::figures::in_units;
use super::record::{DeliveryRecord, Due, Rule};
use super::signature::Secret;
use crate::auth::records::{now, spelled};
use crate::site::{Cache, Site};

/// For all of one try, the name's resolution included.
const TIME_OUT: Duration = Duration::from_secs(15);

/// What is to be sent to whom.
pub(super) struct Message<'a> {
    pub(super) site: &'a Site,
    pub(super) cache: &'a Cache,
    /// Id of the alert.
    pub(super) id: &'a str,
    pub(super) rule: &'a Rule,
    pub(super) due: &'a Due,
}

impl Message<'_> {
    fn text(&self) -> String {
        let value = match self.due.value {
            Some(value) => {
                let unit = self.rule.condition.figure.unit();
                format!("now {}{unit}", rounded(value))
            }
            None => "not measured now".to_owned(),
        };
        let (name, words) = (&self.rule.name, self.rule.condition.words());
        let slug = &self.cache.slug;
        match self.due.event {
            AlertEvent::Firing => format!("{slug}: {name}. {words}; {value}."),
            AlertEvent::Resolved => format!("{slug}: over: {name}. No more {words}; {value}."),
            AlertEvent::Test => format!("{slug}: a test of the alert {name}. {words}; {value}."),
        }
    }

    /// The page to look at.
    fn page(&self) -> String {
        let cache = self.cache.slug.to_string();
        let route = match self.rule.condition.figure {
            AlertFigure::HitRatio | AlertFigure::UsefulHitRatio => {
                Route::Monitoring(MonitoringRoute::usage(cache))
            }
            AlertFigure::Findings | AlertFigure::Unproven => Route::Health {
                cache,
                check: self.rule.condition.check.clone(),
            },
            AlertFigure::QuotaUsed | AlertFigure::SweepAge | AlertFigure::Approvals => {
                Route::Cache { cache }
            }
        };
        self.site.public_url.join(&route.to_string())
    }

    fn body(&self) -> Bytes {
        let event = self.due.event;
        let message = AlertMessage {
            r#type: format!("alert.{}", event.as_str()),
            timestamp: spelled(self.due.at),
            text: self.text(),
            data: AlertMessageData {
                cache: self.cache.slug.to_string(),
                alert: self.id.to_owned(),
                name: self.rule.name.clone(),
                condition: self.rule.condition.clone(),
                value: self.due.value.map(in_units),
                url: self.page(),
            },
        };
        // There is nothing in it that JSON cannot say.
        serde_json::to_vec(&message).unwrap_or_default().into()
    }

    /// Sends it once, and says how that went. Whether it is tried again is not said here.
    pub(super) async fn send(&self) -> DeliveryRecord {
        let at = now();
        let sending = async {
            let secret = Secret::parse(&self.rule.secret).map_err(|error| error.to_string())?;
            let body = self.body();
            let headers = [
                (ID, self.due.id.clone()),
                (TIMESTAMP, at.to_string()),
                (SIGNATURE, secret.sign(&self.due.id, at, &body)),
            ];
            let outbound = &self.site.access.outbound;
            outbound
                .post_json(&self.rule.url, body, &headers)
                .await
                .map_err(|error| error.to_string())
        };
        let sent = tokio::time::timeout(TIME_OUT, sending).await;
        let sent = sent.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        let (status, problem) = match sent {
            Ok(status) if status.is_success() => (Some(status.as_u16()), None),
            Ok(status) => {
                let words = match status.is_redirection() {
                    true => "the receiver leads elsewhere, and redirects are not followed",
                    false => "the receiver did not take it",
                };
                (Some(status.as_u16()), Some(words.to_owned()))
            }
            Err(problem) => (None, Some(problem)),
        };
        DeliveryRecord {
            event: self.due.event,
            at,
            tries: self.due.tries + 1,
            status,
            problem,
            again_at: None,
        }
    }
}

/// One figure behind the point, where that says something.
fn rounded(thousandths: u64) -> String {
    let tenths = thousandths.saturating_add(50) / 100;
    match tenths % 10 {
        0 => (tenths / 10).to_string(),
        rest => format!("{}.{rest}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn a_value_is_told_with_one_figure_behind_the_point() {
        for (thousandths, text) in [
            (0, "0"),
            (75_000, "75"),
            (71_428, "71.4"),
            (71_960, "72"),
            (49, "0"),
            (50, "0.1"),
        ] {
            assert_eq!(rounded(thousandths), text);
        }
    }
}
