//! Who somebody is here and what they may do, as it crosses the wire.
//!
//! The table that decides is the server's (`auth::permission`); these are its words.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use super::UnknownWord;

macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            /// Every word, in the order shown.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word of the API and of URLs.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or(UnknownWord)
            }
        }
    };
}

/// What a member is, in one cache or in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads private caches.
    Reader,
    /// Uploads with a key of their own.
    Contributor,
    /// Approves, pins, simulates, adds signatures.
    Maintainer,
    /// Keys, retention, deletion, members, settings.
    Owner,
    /// Reads everything, the audit included, and changes nothing.
    Auditor,
}

words!(Role {
    Reader = "reader",
    Contributor = "contributor",
    Maintainer = "maintainer",
    Owner = "owner",
    Auditor = "auditor",
});

impl Role {
    /// The word for people, as a title.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Reader => "Reader",
            Self::Contributor => "Contributor",
            Self::Maintainer => "Maintainer",
            Self::Owner => "Owner",
            Self::Auditor => "Auditor",
        }
    }
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// See in a list that the cache exists.
    Discover,
    /// Read a cache's public keys and the configuration of its clients.
    Configure,
    /// Read a cache's paths.
    Read,
    /// Put paths into a cache.
    Upload,
    /// Approve, pin, simulate, add signatures, run scans.
    Maintain,
    /// Change a cache's keys, retention and settings; delete.
    Manage,
    /// Read a cache's part of the audit.
    ReadAudit,
    /// Make and end tokens of one's own.
    OwnTokens,
    /// Register and end keys of one's own, with which one signs uploads.
    OwnKeys,
    /// See who the members are.
    SeeMembers,
    /// Invite, change and remove members; end tokens of others.
    ManageMembers,
    /// Say which machines may exchange their identity for a token.
    ManageTrust,
    /// Read the server's whole audit.
    ReadWholeAudit,
    /// Try a connection to a bucket in the wizard.
    TestConnection,
    /// Let the server ask a cache that is not its own, before a machine is told to trust it.
    TestCache,
    /// Change settings of the server.
    ChangeSettings,
}

words!(Act {
    Discover = "discover",
    Configure = "configure",
    Read = "read",
    Upload = "upload",
    Maintain = "maintain",
    Manage = "manage",
    ReadAudit = "read-audit",
    OwnTokens = "own-tokens",
    OwnKeys = "own-keys",
    SeeMembers = "see-members",
    ManageMembers = "manage-members",
    ManageTrust = "manage-trust",
    ReadWholeAudit = "read-whole-audit",
    TestConnection = "test-connection",
    TestCache = "test-cache",
    ChangeSettings = "change-settings",
});

/// A role and where it holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// The cache's slug; `null`: every cache and the server itself.
    #[serde(default)]
    pub cache: Option<String>,
}

/// What a token can be used for. Never more than its owner may do at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Read private caches: what a machine needs to fetch.
    Read,
    /// Upload.
    Push,
    /// Approve, pin, simulate, add signatures.
    Maintain,
    /// Keys, retention, settings of a cache.
    Manage,
    /// Read and export the audit.
    Audit,
}

words!(Verb {
    Read = "read",
    Push = "push",
    Maintain = "maintain",
    Manage = "manage",
    Audit = "audit",
});

impl Verb {
    /// The role whose acts the verb lends.
    pub const fn role(self) -> Role {
        match self {
            Self::Read => Role::Reader,
            Self::Push => Role::Contributor,
            Self::Maintain => Role::Maintainer,
            Self::Manage => Role::Owner,
            Self::Audit => Role::Auditor,
        }
    }
}

/// How the caller showed who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum CallerKind {
    /// Not at all.
    Anonymous,
    /// A member, by the session of a browser.
    Member,
    /// A token.
    Token,
}

/// One act and whether the caller may do it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Permission {
    /// The act.
    pub act: Act,
    /// Why not, in the words of the refusal; `null`: allowed.
    pub refusal: Option<String>,
}

/// What the caller may do in one cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct CachePermissions {
    /// Slug of the cache.
    pub cache: String,
    /// One entry per act on caches.
    pub acts: Vec<Permission>,
}

/// Who asks, and what they may do: `/me`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Me {
    /// How the caller showed who they are.
    pub kind: CallerKind,
    /// The member's name, or that of the token's owner; `null` for strangers and machines.
    pub name: Option<String>,
    /// The roles.
    pub grants: Vec<Grant>,
    /// When the session or token ends.
    pub expires_at: Option<String>,
    /// One entry per act on the server.
    pub server: Vec<Permission>,
    /// One entry per cache that the caller may discover.
    pub caches: Vec<CachePermissions>,
    /// Members who own the server: whom to ask. Empty for strangers.
    pub owners: Vec<String>,
    /// The label of the button that signs in with the organisation's identity provider, where there is one.
    pub single_sign_on: Option<String>,
    /// Why nobody can sign in at the moment, where that is so.
    pub sign_in_problem: Option<String>,
    /// Whether this server has caches at all, those included that the caller does not see.
    pub has_caches: bool,
}

impl Me {
    /// Why the caller may not do this, on the server or in a cache; `None`: allowed.
    pub fn refusal(&self, cache: Option<&str>, act: Act) -> Option<&str> {
        let acts = match cache {
            None => &self.server,
            Some(slug) => match self.caches.iter().find(|cache| cache.cache == slug) {
                Some(cache) => &cache.acts,
                None => return Some("There is no such cache, or you may not see it."),
            },
        };
        acts.iter()
            .find(|permission| permission.act == act)
            .map_or(Some("This cannot be done here."), |permission| {
                permission.refusal.as_deref()
            })
    }
}

/// What a one-time link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum LinkKind {
    /// Begins the first session of a new member, who chooses a name.
    Invitation,
    /// Begins a session of a member there is.
    Login,
}

/// A one-time link, looked at before it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Link {
    /// What it is for.
    pub kind: LinkKind,
    /// The member's name, or the one that was proposed; may be empty for an invitation.
    pub name: String,
    /// The roles that it gives.
    pub grants: Vec<Grant>,
    /// Who made it; `null`: the server, on its own machine.
    pub made_by: Option<String>,
    /// When it ends.
    pub expires_at: String,
}

/// The secret of a one-time link: what follows `/invite/` in its address.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct LinkSecret {
    /// The secret.
    pub link: String,
}

/// Uses a one-time link.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct UseLink {
    /// The secret.
    pub link: String,
    /// For an invitation: the name to be known by.
    #[serde(default)]
    pub name: Option<String>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Member {
    /// The name; never given to anybody else.
    pub name: String,
    /// The roles.
    pub grants: Vec<Grant>,
    /// Whether they sign in with the identity provider.
    pub single_sign_on: bool,
    /// Whether they are kept from signing in for now.
    pub suspended: bool,
    /// Open sessions; `null` where the caller may not know.
    pub sessions: Option<u64>,
    /// Tokens that work; `null` where the caller may not know.
    pub tokens: Option<u64>,
    /// When they became a member.
    pub created_at: String,
}

/// Invites somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Invite {
    /// A proposed name; they may choose another. Empty: they choose.
    #[serde(default)]
    pub name: String,
    /// The roles they get.
    pub grants: Vec<Grant>,
}

/// A link that was just made. Shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct NewLink {
    /// The address to send to the person.
    pub url: String,
    /// When it ends.
    pub expires_at: String,
}

/// Changes a member. What is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ChangeMember {
    /// The roles from now on.
    #[serde(default)]
    pub grants: Option<Vec<Grant>>,
    /// Whether they are kept from signing in.
    #[serde(default)]
    pub suspended: Option<bool>,
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Token {
    /// Its id: the first part of the token's text, not a secret.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// The member whose it is; `null` for one that a machine got for its identity.
    pub owner: Option<String>,
    /// The machine whose it is, as its identity provider names it.
    pub machine: Option<String>,
    /// The caches it is for; `null`: all.
    pub caches: Option<Vec<String>>,
    /// What it can be used for.
    pub verbs: Vec<Verb>,
    /// When it was made.
    pub created_at: String,
    /// When it ends.
    pub expires_at: String,
    /// When it was last used with this replica; `null`: not since it started.
    pub last_used_at: Option<String>,
}

/// Asks for a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct CreateToken {
    /// What to call it.
    pub name: String,
    /// The caches it is for; `null`: all that the owner may use.
    #[serde(default)]
    pub caches: Option<Vec<String>>,
    /// What it can be used for.
    pub verbs: Vec<Verb>,
    /// Days until it ends, 1 to 366.
    pub days: u16,
}

/// A token that was just made. Its secret is shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct NewToken {
    /// What it is.
    #[serde(flatten)]
    pub token: Token,
    /// The token's text: the password of a netrc, or a bearer.
    pub secret: String,
    /// The lines for netrc.
    pub netrc: String,
}

/// Which machines get tokens for their OIDC identity, and which tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct TrustRule {
    /// What the rule is called.
    pub name: String,
    /// Whose identities: the issuer's URL, exactly as in the identity's `iss`.
    pub issuer: String,
    /// What the identity's `aud` has to be.
    pub audience: String,
    /// Claims that must have these values, such as `repository`, `ref`, `environment`, `workflow_ref`.
    /// A `*` stands for any characters but `/`.
    pub claims: std::collections::BTreeMap<String, String>,
    /// The caches of the tokens; `null`: all.
    #[serde(default)]
    pub caches: Option<Vec<String>>,
    /// What the tokens can be used for.
    pub verbs: Vec<Verb>,
    /// Who made the rule. Ignored where a rule is made.
    #[serde(default)]
    pub made_by: String,
    /// When. Ignored where a rule is made.
    #[serde(default)]
    pub created_at: String,
}

/// Exchanges an OIDC identity for a token of 15 minutes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Exchange {
    /// The identity: a JWT that the CI's provider issued.
    pub identity: String,
}

/// Where a bucket is, as the wizard asks for it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Connection {
    /// The cache's name in URLs.
    pub slug: String,
    /// The bucket.
    pub bucket: String,
    /// The endpoint; empty: AWS.
    #[serde(default)]
    pub endpoint: String,
    /// The region; empty: of the environment.
    #[serde(default)]
    pub region: String,
    /// The cache lies below it.
    #[serde(default)]
    pub prefix: String,
    /// The bucket in the path instead of the host name; `null`: where there is an endpoint.
    #[serde(default)]
    pub path_style: Option<bool>,
    /// Unsigned requests.
    #[serde(default)]
    pub anonymous: bool,
    /// A profile of the AWS configuration files of the server; empty: none.
    #[serde(default)]
    pub profile: String,
    /// Credentials to try with; empty: those of the server's environment. Never stored, never answered.
    #[serde(default)]
    pub access_key_id: String,
    /// The other half.
    #[serde(default)]
    pub secret_access_key: String,
}

/// How a check of a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum CheckOutcome {
    /// As it should be.
    Passed,
    /// Works, and something is to be known before going on.
    Warning,
    /// Does not work.
    Failed,
    /// Not tried, because an earlier check failed.
    Skipped,
}

/// One check of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ConnectionCheck {
    /// Stable code, such as `list`.
    pub check: String,
    /// What was tried.
    pub title: String,
    /// How it ended.
    pub outcome: CheckOutcome,
    /// What was found, and what to do.
    pub detail: String,
    /// A policy that gives the missing permission, as JSON, where one is missing.
    pub policy: Option<String>,
}

/// What the wizard found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ConnectionReport {
    /// The checks, in the order made.
    pub checks: Vec<ConnectionCheck>,
    /// What to add to the server's TOML file. Holds no secret.
    pub toml: String,
}

/// Settings of the server that owners change while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ServerSettings {
    /// Days that a session lives which began with a link, 1 to 90.
    pub session_days: u16,
    /// Days that a token may live, 1 to 366.
    pub token_days: u16,
    /// Whether the audit notes the addresses that acts came from.
    pub note_addresses: bool,
    /// Counts the changes. Sent back with a change, so that nobody overwrites what they did not see.
    pub revision: u64,
    /// Who changed them last; `null`: these are the defaults. Ignored in a change.
    #[serde(default)]
    pub changed_by: Option<String>,
    /// When. Ignored in a change.
    #[serde(default)]
    pub changed_at: Option<String>,
}
