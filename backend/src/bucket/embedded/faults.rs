//! A server that misbehaves on demand, for tests.
//!
//! Rules say which requests are hit, how often, and what happens to them: refused with 503, delayed,
//! cut in the middle, left hanging, or answered with a listing that lies. They can be added and removed
//! while the server runs. Where chance decides, a seed makes it repeatable.
//!
//! ```
//! use snowbank::bucket::embedded::faults::{Action, Faults, Rule};
//! use snowbank::bucket::embedded::operation::Operation;
//! let faults = Faults::seeded(7);
//! faults.add(Rule::new(Action::SlowDown).on(Operation::Get).times(3));
//! faults.add(Rule::new(Action::NotFound).on(Operation::Get).key_contains(".narinfo").skip(10).times(1));
//! ```

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::operation::{Operation, Target};
use super::spoil::Plan;

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// 503 `SlowDown`, as a store that is overloaded says.
    SlowDown,
    /// 403 `AccessDenied`, as without the permission for this operation.
    AccessDenied,
    /// 404 `NoSuchKey`, as if the object had gone between a listing and this.
    NotFound,
    /// 500 `InternalError`.
    InternalError,
    /// The answer comes this much later.
    Delay(Duration),
    /// The connection is closed before an answer.
    LoseConnection,
    /// The body breaks off after this many bytes, short of its `Content-Length`, and the connection is closed.
    BreakBody {
        /// Bytes that still come.
        after: u64,
    },
    /// The body ends after this many bytes and `Content-Length` says so too, as a proxy that cuts does.
    ShortenBody {
        /// Bytes that still come.
        after: u64,
    },
    /// The body stops after this many bytes, goes on after a while.
    StallBody {
        /// Bytes that come at once.
        after: u64,
        /// How long it stops.
        pause: Duration,
    },
    /// A listing that says it is truncated and gives no token for the rest.
    ListWithoutToken,
    /// A listing that leaves the rest out and says it is complete.
    ListEndsEarly,
    /// A listing whose XML ends in the middle.
    ListCut,
}

/// Which requests an action hits.
#[derive(Clone, Debug)]
pub struct Rule {
    action: Action,
    operation: Option<Operation>,
    key_contains: String,
    skip: u64,
    times: u64,
    probability: f64,
}

impl Rule {
    /// Hits every request.
    pub fn new(action: Action) -> Self {
        Self {
            action,
            operation: None,
            key_contains: String::new(),
            skip: 0,
            times: u64::MAX,
            probability: 1.0,
        }
    }

    /// Only this operation.
    #[must_use]
    pub fn on(self, operation: Operation) -> Self {
        Self {
            operation: Some(operation),
            ..self
        }
    }

    /// Only keys (for listings: prefixes) with this in them.
    #[must_use]
    pub fn key_contains(self, text: &str) -> Self {
        Self {
            key_contains: text.to_owned(),
            ..self
        }
    }

    /// Not the first `n` that would be hit.
    #[must_use]
    pub fn skip(self, n: u64) -> Self {
        Self { skip: n, ..self }
    }

    /// Only `n` of them, then never again.
    #[must_use]
    pub fn times(self, n: u64) -> Self {
        Self { times: n, ..self }
    }

    /// Each with this probability, 0 to 1.
    #[must_use]
    pub fn with_probability(self, probability: f64) -> Self {
        Self {
            probability,
            ..self
        }
    }

    fn concerns(&self, target: &Target) -> bool {
        self.operation
            .is_none_or(|operation| operation == target.operation)
            && target.key.contains(&self.key_contains)
    }
}

/// The rules of a server. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    any: AtomicBool,
    injected: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    random: u64,
}

impl Faults {
    /// No rules yet; chance begins from a seed.
    pub fn seeded(seed: u64) -> Self {
        let faults = Self::default();
        faults.state().random = seed;
        faults
    }

    /// Adds a rule. Of several that hit the same request, all delays apply and then the first of the others.
    pub fn add(&self, rule: Rule) {
        self.state().rules.push(rule);
        self.0.any.store(true, Ordering::Release);
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.state().rules.clear();
        self.0.any.store(false, Ordering::Release);
    }

    /// How many requests were hit so far.
    pub fn injected(&self) -> u64 {
        self.0.injected.load(Ordering::Relaxed)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What shall happen to a request.
    pub(super) fn plan(&self, target: &Target) -> Plan {
        let mut plan = Plan::default();
        if !self.0.any.load(Ordering::Acquire) {
            return plan;
        }
        let state = &mut *self.state();
        for rule in &mut state.rules {
            if !rule.concerns(target)
                || rule.times == 0
                || chance(&mut state.random) >= rule.probability
            {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            match &rule.action {
                Action::Delay(time) => plan.delay += *time,
                _ if plan.action.is_some() => continue,
                action => plan.action = Some(action.clone()),
            }
            rule.times -= 1;
        }
        if plan.action.is_some() || !plan.delay.is_zero() {
            self.0.injected.fetch_add(1, Ordering::Relaxed);
        }
        plan
    }
}

/// The next number in [0, 1) of a SplitMix64 sequence.
#[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
fn chance(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(operation: Operation, key: &str) -> Target {
        Target {
            operation,
            key: key.to_owned(),
        }
    }

    #[test]
    fn rules_hit_what_they_name() {
        let faults = Faults::seeded(1);
        faults.add(
            Rule::new(Action::SlowDown)
                .on(Operation::Get)
                .key_contains(".narinfo")
                .skip(1)
                .times(2),
        );
        let hit = |key| faults.plan(&target(Operation::Get, key)).action.is_some();
        assert!(!hit("nar/x"));
        assert_eq!(
            [
                hit("a.narinfo"),
                hit("a.narinfo"),
                hit("b.narinfo"),
                hit("c.narinfo")
            ],
            [false, true, true, false]
        );
        assert!(
            faults
                .plan(&target(Operation::Head, "a.narinfo"))
                .action
                .is_none()
        );
        assert_eq!(faults.injected(), 2);
        faults.add(Rule::new(Action::LoseConnection));
        assert!(hit("nar/x"));
        faults.clear();
        assert!(!hit("nar/x"));
    }

    #[test]
    fn chance_is_repeatable() {
        let hits = |seed| {
            let faults = Faults::seeded(seed);
            faults.add(Rule::new(Action::SlowDown).with_probability(0.3));
            (0..1000)
                .filter(|_| faults.plan(&target(Operation::Get, "a")).action.is_some())
                .count()
        };
        assert_eq!(hits(5), hits(5));
        assert!((200..400).contains(&hits(5)), "{}", hits(5));
    }
}
