//! Who asks, once their credential was looked up.

use std::sync::Arc;

use snowbank_shared::api::access::{Grant, Verb};

/// Who asks.
#[derive(Debug, Clone)]
pub enum Caller {
    /// Nobody we know.
    Stranger(Stranger),
    /// A member, by the session of a browser.
    Member(Arc<MemberCaller>),
    /// A token.
    Token(Arc<TokenCaller>),
}

/// Why we do not know them. Only who held the right secret learns more than "unknown".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// They sent nothing.
    NoCredential,
    /// They sent what nobody was given: a typing error, another server's password.
    Unknown,
    /// Their session or token has expired.
    Expired,
    /// It was ended, or its owner is no longer a member.
    Ended,
    /// We cannot read who is a member at the moment.
    Unavailable,
}

/// A member at a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberCaller {
    /// The member's name.
    pub name: String,
    /// Their roles.
    pub grants: Vec<Grant>,
    /// Id of the session.
    pub session: String,
    /// When the session ends, in seconds since 1970.
    pub expires_at: i64,
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenCaller {
    /// Its id.
    pub id: String,
    /// The member whose it is.
    pub owner: Option<String>,
    /// The machine whose it is.
    pub machine: Option<String>,
    /// The trust rule by which that machine got it.
    pub rule: Option<String>,
    /// What it can be used for.
    pub verbs: Vec<Verb>,
    /// The caches it is for; `None`: all.
    pub caches: Option<Vec<String>>,
    /// The roles its owner has now; `None` for a machine.
    pub owner_grants: Option<Vec<Grant>>,
    /// When it ends, in seconds since 1970.
    pub expires_at: i64,
}

impl Caller {
    /// Nobody, and they sent nothing.
    pub const ANONYMOUS: Self = Self::Stranger(Stranger::NoCredential);

    /// A member.
    pub fn member(member: MemberCaller) -> Self {
        Self::Member(Arc::new(member))
    }

    /// A token.
    pub fn token(token: TokenCaller) -> Self {
        Self::Token(Arc::new(token))
    }

    /// How the audit and the log name them: `alice`, `token:ID of alice`, `machine:SUBJECT`.
    pub fn actor(&self) -> String {
        match self {
            Self::Stranger(_) => "anonymous".to_owned(),
            Self::Member(member) => member.name.clone(),
            Self::Token(token) => match (&token.owner, &token.machine) {
                (Some(owner), _) => format!("{owner} (token {})", token.id),
                (None, Some(machine)) => format!("machine {machine}"),
                (None, None) => format!("token {}", token.id),
            },
        }
    }

    /// The member behind it, where there is one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Stranger(_) => None,
            Self::Member(member) => Some(&member.name),
            Self::Token(token) => token.owner.as_deref(),
        }
    }
}
