//! What ending a key, or a member with all their keys, takes along.

use snowbank_shared::api::KeyState;
use snowbank_shared::api::access::LinkKind;

use super::access::{Access, member};
use super::caller::MemberCaller;
use super::contributors::Contributor;
use super::error::AccessError;
use super::records::{LinkRecord, now};
use crate::ledger::Scope;

/// What a member has open at this moment, besides uploads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Tokens that work.
    pub tokens: u64,
    /// Browsers that are signed in.
    pub sessions: u64,
    /// Keys that wait for a proof or for somebody's yes.
    pub waiting_keys: u64,
    /// Invitations that they made and nobody has used.
    pub invitations: u64,
}

impl Access {
    /// A key that the caller may end: their own, or one that they could accept.
    ///
    /// # Errors
    /// Where there is none, or it is neither.
    pub fn ending(&self, name: &str, caller: &MemberCaller) -> Result<Contributor, AccessError> {
        self.ends(name, caller)
    }

    /// The keys of a member whose signatures are or were believed.
    pub fn keys_of(&self, owner: &str) -> Vec<Contributor> {
        let mut keys = self.contributors();
        keys.retain(|key| key.owner == owner && key.state != KeyState::Revoked);
        keys
    }

    /// The same, of a member there is.
    ///
    /// # Errors
    /// Where there is no such member.
    pub fn keys_of_member(&self, name: &str) -> Result<Vec<Contributor>, AccessError> {
        match member(&self.ledger.view(), name) {
            Some(_) => Ok(self.keys_of(name)),
            None => Err(AccessError::NoSuch {
                what: "member",
                name: name.chars().take(64).collect(),
            }),
        }
    }

    /// What a member has open.
    pub fn standing(&self, name: &str) -> Standing {
        let view = self.ledger.view();
        let pending = |key: &&Contributor| key.state == KeyState::Pending;
        let links = view.list::<LinkRecord>(Scope::Server).filter(|link| {
            link.kind == LinkKind::Invitation
                && link.made_by.as_deref() == Some(name)
                && link.used_at.is_none()
                && link.expires_at > now()
        });
        Standing {
            tokens: self.working_tokens(name),
            sessions: self.open_sessions(name),
            waiting_keys: self.keys_of(name).iter().filter(pending).count() as u64,
            invitations: links.count() as u64,
        }
    }
}
