//! How an alert stands, and what makes it stand otherwise. Times are seconds since 1970.

use serde::{Deserialize, Serialize};
use snowbank_shared::api::alerts::{AlertEvent, AlertState};

/// How an alert stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Phase {
    /// It never fired, or nobody knows of it.
    #[default]
    Ok,
    /// Its condition holds since then.
    Pending {
        /// Since when.
        since: i64,
    },
    /// It fires since then.
    Firing {
        /// Since when.
        since: i64,
    },
    /// It fired, and stopped then.
    Resolved {
        /// Since when.
        since: i64,
    },
}

impl Phase {
    /// The word of the API, and since when.
    pub const fn shown(self) -> (AlertState, Option<i64>) {
        match self {
            Self::Ok => (AlertState::Ok, None),
            Self::Pending { since } => (AlertState::Pending, Some(since)),
            Self::Firing { since } => (AlertState::Firing, Some(since)),
            Self::Resolved { since } => (AlertState::Resolved, Some(since)),
        }
    }

    /// What is left where nobody looked for a while, or another condition is looked at: what was
    /// pending begins anew.
    #[must_use]
    pub const fn looked_away(self) -> Self {
        match self {
            Self::Pending { .. } => Self::Ok,
            other => other,
        }
    }
}

/// How it stands after a look. `holds`: whether the condition does, `None` where that is not known;
/// `minutes`: for how long it has to.
pub fn next(
    phase: Phase,
    holds: Option<bool>,
    minutes: u32,
    now: i64,
) -> (Phase, Option<AlertEvent>) {
    match (phase, holds) {
        (phase, None) => (phase.looked_away(), None),
        (Phase::Firing { .. }, Some(true)) => (phase, None),
        (Phase::Ok | Phase::Resolved { .. } | Phase::Pending { .. }, Some(true)) => {
            let since = match phase {
                // A clock that was set back does not make it wait longer than it has to.
                Phase::Pending { since } => since.min(now),
                _ => now,
            };
            if now - since >= i64::from(minutes) * 60 {
                (Phase::Firing { since: now }, Some(AlertEvent::Firing))
            } else {
                (Phase::Pending { since }, None)
            }
        }
        (Phase::Firing { .. }, Some(false)) => {
            (Phase::Resolved { since: now }, Some(AlertEvent::Resolved))
        }
        (Phase::Pending { .. }, Some(false)) => (Phase::Ok, None),
        (Phase::Ok | Phase::Resolved { .. }, Some(false)) => (phase, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks once a minute; gives back what was told, with its minute.
    fn told(minutes: u32, looks: &[Option<bool>]) -> (Phase, Vec<(usize, AlertEvent)>) {
        let mut phase = Phase::default();
        let mut told = Vec::new();
        for (minute, holds) in looks.iter().enumerate() {
            let now = i64::try_from(minute).expect("small") * 60;
            let (then, event) = next(phase, *holds, minutes, now);
            phase = then;
            told.extend(event.map(|event| (minute, event)));
        }
        (phase, told)
    }

    const YES: Option<bool> = Some(true);
    const NO: Option<bool> = Some(false);

    #[test]
    fn it_fires_once_after_its_time_and_resolves_once() {
        let looks = [NO, YES, YES, YES, YES, YES, NO, NO];
        let (phase, events) = told(3, &looks);
        assert_eq!(events, [(4, AlertEvent::Firing), (6, AlertEvent::Resolved)]);
        assert_eq!(phase, Phase::Resolved { since: 360 });
        assert_eq!(phase.shown(), (AlertState::Resolved, Some(360)));
        // Without a time it fires as soon as it is seen, and again after it was resolved.
        let (_, events) = told(0, &[YES, NO, YES]);
        let kinds: Vec<_> = events.iter().map(|(_, event)| *event).collect();
        assert_eq!(
            kinds,
            [AlertEvent::Firing, AlertEvent::Resolved, AlertEvent::Firing]
        );
    }

    #[test]
    fn a_break_makes_it_wait_anew_and_what_is_not_measured_never_fires() {
        // Twice two minutes are no three.
        assert_eq!(told(3, &[YES, YES, YES, NO, YES, YES, YES]).1, []);
        assert_eq!(told(3, &[YES, YES, YES, None, YES, YES, YES]).1, []);
        assert_eq!(told(0, &[None; 5]), (Phase::Ok, Vec::new()));
        // What fires is not over because nobody looks.
        let (phase, events) = told(0, &[YES, None, None]);
        assert_eq!(phase, Phase::Firing { since: 0 });
        assert_eq!(events.len(), 1);
        let (_, events) = told(0, &[YES, None, NO]);
        assert_eq!(events.last(), Some(&(2, AlertEvent::Resolved)));
    }

    #[test]
    fn what_was_pending_begins_anew_where_nobody_looked_and_what_fires_goes_on() {
        assert_eq!(Phase::Pending { since: 5 }.looked_away(), Phase::Ok);
        for stays in [
            Phase::Ok,
            Phase::Firing { since: 5 },
            Phase::Resolved { since: 5 },
        ] {
            assert_eq!(stays.looked_away(), stays);
        }
        // A clock that was set back.
        let (phase, event) = next(Phase::Pending { since: 1_000 }, YES, 1, 500);
        assert_eq!((phase, event), (Phase::Pending { since: 500 }, None));
        assert_eq!(next(phase, YES, 1, 560).1, Some(AlertEvent::Firing));
    }
}
