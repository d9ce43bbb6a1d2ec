//! What somebody may do who is not asking at this moment: whose upload waits, who approved it.

use snowbank_shared::api::access::Act;

use super::access::{Access, member};
use super::caller::{Caller, MemberCaller};
use super::permission::{On, may};
use super::records::MemberRecord;
use crate::ledger::kind::{EXCHANGES, TOKENS};
use crate::ledger::{RecordId, Scope};

impl Access {
    /// Whether a member may do this now. Who is kept out may nothing.
    pub fn member_may(&self, name: &str, act: Act, on: On<'_>) -> bool {
        let view = self.ledger.view();
        member(&view, name).is_some_and(|record| allowed(name, &record, act, on))
    }

    /// The members who may do this now, by name: whom to ask.
    pub fn members_who_may(&self, act: Act, on: On<'_>) -> Vec<String> {
        self.ledger
            .view()
            .list::<MemberRecord>(Scope::Server)
            .filter(|entry| allowed(entry.id.as_str(), entry, act, on))
            .map(|entry| entry.id.as_str().to_owned())
            .collect()
    }

    /// Whether somebody ended a token. That its time is over does not count.
    pub fn was_ended(&self, token: &str) -> bool {
        let Ok(id) = token.parse::<RecordId>() else {
            return false;
        };
        let view = self.ledger.view();
        view.tombstone(TOKENS, Scope::Server, &id).is_some()
    }

    /// Whether somebody removed a trust rule.
    pub fn trust_was_removed(&self, rule: &str) -> bool {
        let Ok(id) = rule.parse::<RecordId>() else {
            return false;
        };
        let view = self.ledger.view();
        view.tombstone(EXCHANGES, Scope::Server, &id).is_some()
    }
}

fn allowed(name: &str, record: &MemberRecord, act: Act, on: On<'_>) -> bool {
    let caller = Caller::member(MemberCaller {
        name: name.to_owned(),
        grants: record.grants.clone(),
        session: String::new(),
        expires_at: i64::MAX,
    });
    !record.suspended && may(&caller, act, on).is_ok()
}
