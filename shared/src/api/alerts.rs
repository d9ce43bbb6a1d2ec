//! Alerts of a cache, as they cross the wire: a figure, when it is too low or too high, and who is told.
//!
//! | address below `/caches/{cache}` | what |
//! |---|---|
//! | `GET /alerts` | [`Page`](super::Page) of [`Alert`], by name |
//! | `POST /alerts` with an [`AlertWish`] | [`NewAlert`]: the secret is shown this once |
//! | `PUT /alerts/{id}` with an [`AlertWish`] | the [`Alert`] |
//! | `DELETE /alerts/{id}` | nothing |
//! | `POST /alerts/{id}/secret` | [`NewAlert`] with a new secret, shown this once; the old one signs no more |
//! | `POST /alerts/{id}/test` | [`AlertDelivery`]: how sending a message went |
//!
//! All of it is for owners of the cache. A message is the JSON of [`AlertMessage`], signed as
//! `webhook-signature` says ([`SIGNATURE`]).

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// Alerts of one cache at most.
pub const MOST_ALERTS: usize = 20;
/// Characters of an alert's name at most.
pub const LONGEST_NAME: usize = 80;
/// Characters of a webhook's URL at most.
pub const LONGEST_URL: usize = 2_000;
/// Minutes that a condition may have to hold at most: a week.
pub const MOST_MINUTES: u32 = 7 * 24 * 60;

/// The header that names the message: the same each time that it is sent again.
pub const ID: &str = "webhook-id";
/// The header with the time of sending, seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header with `v1,` and the base64 of the HMAC-SHA-256 over id, `.`, timestamp, `.` and body.
/// The key is what follows `whsec_` in the secret, decoded from base64.
pub const SIGNATURE: &str = "webhook-signature";

/// What an alert looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AlertFigure {
    /// Narinfos that were there, of all that were asked for in this hour and the one before, in percent.
    HitRatio,
    /// The same without misses that an upstream answers.
    UsefulHitRatio,
    /// Findings of one check or of all.
    Findings,
    /// Bytes of all objects, of the quota, in percent.
    QuotaUsed,
    /// Minutes since the last sweep began.
    SweepAge,
    /// Uploads that wait for approval.
    Approvals,
    /// Paths whose content nobody has verified, of all, in percent.
    Unproven,
}

impl AlertFigure {
    /// All of them, in the order shown.
    pub const ALL: [Self; 7] = [
        Self::HitRatio,
        Self::UsefulHitRatio,
        Self::Findings,
        Self::QuotaUsed,
        Self::SweepAge,
        Self::Approvals,
        Self::Unproven,
    ];

    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HitRatio => "hit-ratio",
            Self::UsefulHitRatio => "useful-hit-ratio",
            Self::Findings => "findings",
            Self::QuotaUsed => "quota-used",
            Self::SweepAge => "sweep-age",
            Self::Approvals => "approvals",
            Self::Unproven => "unproven",
        }
    }

    /// The words for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::HitRatio => "Hit ratio",
            Self::UsefulHitRatio => "Useful hit ratio",
            Self::Findings => "Findings",
            Self::QuotaUsed => "Quota used",
            Self::SweepAge => "Age of the last sweep",
            Self::Approvals => "Uploads that wait for approval",
            Self::Unproven => "Paths not verified",
        }
    }

    /// What stands behind a value: `%`, ` min`, or nothing where it is counted.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::HitRatio | Self::UsefulHitRatio | Self::QuotaUsed | Self::Unproven => " %",
            Self::SweepAge => " min",
            Self::Findings | Self::Approvals => "",
        }
    }

    /// The largest threshold that means something.
    pub const fn most(self) -> u32 {
        match self {
            Self::HitRatio | Self::UsefulHitRatio | Self::Unproven => 100,
            // More than the quota can lie there where it was lowered.
            Self::QuotaUsed => 1_000,
            Self::SweepAge | Self::Findings | Self::Approvals => 1_000_000,
        }
    }
}

/// On which side of the threshold an alert fires. Exactly at it, it never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum AlertSide {
    /// Where the figure is less.
    Below,
    /// Where it is more.
    Above,
}

impl AlertSide {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Below => "below",
            Self::Above => "above",
        }
    }
}

/// When somebody is to be told.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct AlertCondition {
    /// What is looked at.
    pub figure: AlertFigure,
    /// Of [`Findings`](AlertFigure::Findings), the code of the check; `null`: all of them.
    #[serde(default)]
    pub check: Option<String>,
    /// On which side of the threshold.
    pub side: AlertSide,
    /// The threshold, in the figure's unit.
    pub threshold: u32,
    /// For how many minutes without a break; 0: as soon as it is seen.
    pub minutes: u32,
}

impl AlertCondition {
    /// In one line: “Hit ratio below 75 % for 60 min”.
    pub fn words(&self) -> String {
        let of = match &self.check {
            Some(check) => format!(" of {check}"),
            None => String::new(),
        };
        let lasting = match self.minutes {
            0 => String::new(),
            minutes => format!(" for {minutes} min"),
        };
        format!(
            "{}{of} {} {}{}{lasting}",
            self.figure.title(),
            self.side.as_str(),
            self.threshold,
            self.figure.unit()
        )
    }
}

/// How an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// The condition does not hold, or nobody could look.
    Ok,
    /// It holds, and not for long enough yet.
    Pending,
    /// It holds for long enough.
    Firing,
    /// It fired and holds no more.
    Resolved,
}

impl AlertState {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// Why a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum AlertEvent {
    /// The alert began to fire.
    Firing,
    /// It fires no more.
    Resolved,
    /// Somebody wants to see whether messages arrive.
    Test,
}

impl AlertEvent {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Test => "test",
        }
    }
}

/// How sending a message went.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct AlertDelivery {
    /// What was sent.
    pub event: AlertEvent,
    /// When it was tried last.
    pub at: String,
    /// How often it was tried.
    pub tries: u32,
    /// Whether it arrived: the receiver answered with a status of 2xx.
    pub delivered: bool,
    /// The status of the answer; `null` where there was none. Nothing else of the answer is kept.
    pub status: Option<u16>,
    /// Why it did not arrive, in words.
    pub problem: Option<String>,
    /// When it is tried again; `null`: not.
    pub again_at: Option<String>,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Alert {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it fires.
    pub condition: AlertCondition,
    /// Scheme and host of the webhook. The rest of its URL may be a secret and is not shown again.
    pub receiver: String,
    /// How it stands.
    pub state: AlertState,
    /// Since when it stands so; `null` where it never fired.
    pub since: Option<String>,
    /// The figure now, in its unit; `null`: not measured.
    pub value: Option<f64>,
    /// Why the figure is not known; such an alert does not fire.
    pub not_measured: Option<String>,
    /// The last message that was sent or tried.
    pub last_delivery: Option<AlertDelivery>,
    /// Who made it.
    pub made_by: String,
    /// When.
    pub made_at: String,
    /// How often it was changed, from 1: a change of another revision is refused.
    pub revision: u64,
}

/// What an alert is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct AlertWish {
    /// Its name, 1 to 80 characters.
    pub name: String,
    /// When it fires.
    pub condition: AlertCondition,
    /// The webhook's URL; `null` in a change: the one that it has.
    #[serde(default)]
    pub url: Option<String>,
    /// The revision that was read; of a new one 0.
    #[serde(default)]
    pub revision: u64,
}

/// An alert that was just made, or was given a new secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct NewAlert {
    /// The alert.
    pub alert: Alert,
    /// The secret that its messages are signed with: `whsec_` and base64. Shown this once.
    pub secret: String,
}

/// The body of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct AlertMessage {
    /// `alert.firing`, `alert.resolved` or `alert.test`.
    pub r#type: String,
    /// When it happened.
    pub timestamp: String,
    /// All of it in one line, for people.
    pub text: String,
    /// What happened.
    pub data: AlertMessageData,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct AlertMessageData {
    /// Slug of the cache.
    pub cache: String,
    /// Id of the alert.
    pub alert: String,
    /// Its name.
    pub name: String,
    /// Its condition.
    pub condition: AlertCondition,
    /// The figure at that moment; `null`: not measured.
    pub value: Option<f64>,
    /// The page to look at.
    pub url: String,
}

/// Alerts that many want, as the form offers them: name and condition.
pub fn presets() -> [(&'static str, AlertCondition); 4] {
    let of = |figure, side, threshold, minutes| AlertCondition {
        figure,
        check: None,
        side,
        threshold,
        minutes,
    };
    [
        (
            "Hit ratio is low",
            of(AlertFigure::HitRatio, AlertSide::Below, 75, 60),
        ),
        (
            "Something is broken",
            of(AlertFigure::Findings, AlertSide::Above, 0, 15),
        ),
        (
            "The quota is nearly full",
            of(AlertFigure::QuotaUsed, AlertSide::Above, 90, 60),
        ),
        (
            "The bucket is not swept",
            of(AlertFigure::SweepAge, AlertSide::Above, 60, 15),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_api_are_those_of_json_and_presets_can_be_kept() {
        for figure in AlertFigure::ALL {
            assert_eq!(
                serde_json::to_value(figure).expect("JSON"),
                figure.as_str(),
                "{figure:?}"
            );
        }
        for (name, condition) in presets() {
            assert!(name.chars().count() <= LONGEST_NAME);
            assert!(condition.threshold <= condition.figure.most(), "{name}");
            assert!(condition.minutes <= MOST_MINUTES);
        }
        let [(_, ratio), (_, broken), ..] = presets();
        assert_eq!(ratio.words(), "Hit ratio below 75 % for 60 min");
        let now = AlertCondition {
            check: Some("nar-missing".into()),
            minutes: 0,
            ..broken
        };
        assert_eq!(now.words(), "Findings of nar-missing above 0");
    }
}
