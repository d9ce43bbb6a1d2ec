//! Which process proves the content of a cache: one at a time.
//!
//! It says in the ledger every minute that it lives; another takes over where it does not for four
//! minutes, and at once where it ended in order. Should two have it for a moment, both read some paths
//! and write the same of them: bytes are lost, nothing else.

use serde::{Deserialize, Serialize};

use crate::auth::records::now;
use crate::ledger::kind::{Kind, PROVING, Record};
use crate::ledger::{Ledger, LedgerError, RecordId, Scope};

/// How often who has it says so, seconds.
pub(super) const BEAT: i64 = 60;
/// After so many seconds without a word another process takes it.
const SILENCE: i64 = 240;

/// Who proves a cache.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct ProvingRecord {
    /// The process, and when it said so last, seconds since 1970.
    #[serde(default)]
    runner: Option<(String, i64)>,
}

impl Record for ProvingRecord {
    const KIND: Kind = PROVING;
}

impl ProvingRecord {
    fn is_of_another(&self, me: &str, now: i64) -> bool {
        self.runner
            .as_ref()
            .is_some_and(|(runner, beat)| runner != me && *beat + SILENCE >= now)
    }
}

/// Whether some process proves the cache now.
pub fn is_running(ledger: &Ledger, cache: &str) -> bool {
    let view = ledger.view();
    let record = view.get::<ProvingRecord>(Scope::Cache(cache), &RecordId::only());
    record.is_some_and(|record| record.is_of_another("", now()))
}

/// Takes it, or says that it still has it. False: another process has it.
pub(super) async fn take(ledger: &Ledger, cache: &str) -> Result<bool, LedgerError> {
    let (me, at) = (ledger.instance(), now());
    let scope = Scope::Cache(cache);
    // What is known is asked first: a process that waits writes nothing.
    let known = ledger.view().get::<ProvingRecord>(scope, &RecordId::only());
    if known.is_some_and(|known| known.is_of_another(me, at)) {
        return Ok(false);
    }
    let mut ours = false;
    ledger
        .put(scope, &RecordId::only(), "server", |known| {
            let known: ProvingRecord = known.cloned().unwrap_or_default();
            ours = !known.is_of_another(me, at);
            let runner = match ours {
                true => Some((me.to_owned(), at)),
                false => known.runner,
            };
            Ok::<_, LedgerError>(ProvingRecord { runner })
        })
        .await?;
    Ok(ours)
}

/// Gives it up, where this process has it.
pub(super) async fn leave(ledger: &Ledger, cache: &str) {
    let me = ledger.instance();
    let left = ledger
        .put(Scope::Cache(cache), &RecordId::only(), "server", |known| {
            let known: ProvingRecord = known.cloned().unwrap_or_default();
            let runner = known.runner.filter(|(runner, _)| runner != me);
            Ok::<_, LedgerError>(ProvingRecord { runner })
        })
        .await;
    if let Err(error) = left {
        // Another process takes it after a while.
        tracing::info!(cache, %error, "that a cache is no longer proven here could not be written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_anothers_until_that_was_silent_for_four_minutes() {
        let record = |runner: Option<(&str, i64)>| ProvingRecord {
            runner: runner.map(|(runner, beat)| (runner.to_owned(), beat)),
        };
        assert!(!record(None).is_of_another("me", 1_000));
        assert!(!record(Some(("me", 1_000))).is_of_another("me", 1_000));
        assert!(record(Some(("you", 1_000))).is_of_another("me", 1_000));
        assert!(record(Some(("you", 1_000))).is_of_another("me", 1_240));
        assert!(!record(Some(("you", 1_000))).is_of_another("me", 1_241));
        let text = serde_json::to_string(&record(Some(("you", 1)))).expect("JSON");
        assert_eq!(text, r#"{"runner":["you",1]}"#);
        let old: ProvingRecord = serde_json::from_str("{}").expect("a record");
        assert_eq!(old, record(None));
    }
}
