//! Why something about people or their credentials was not done.

use super::oidc::issuer::OidcError;
use super::oidc::machines::RuleError;
use super::oidc::people::SignInError;
use crate::ledger::LedgerError;
use crate::secrets::SecretError;

/// Why not. The text is for the one who asked.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The ledger did not take it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The system gives no random bytes.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// There is no such member, token, rule.
    #[error("There is no {what} `{name}` here.")]
    NoSuch {
        /// What was looked for.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A value that cannot be.
    #[error("{0}")]
    Bad(String),
    /// The name is somebody's, or was.
    #[error("The name `{0}` is taken: names are never given twice. Choose another.")]
    NameTaken(String),
    /// Somebody else changed it meanwhile.
    #[error("Somebody changed this meanwhile: look again, then decide.")]
    Conflict,
    /// Then nobody could invite anybody.
    #[error("`{0}` is the only owner of this server: make somebody else an owner first.")]
    LastOwner(String),
    /// Not one of ours, or mistyped.
    #[error("This link is not known here. Was all of it copied? An owner can make another.")]
    LinkUnknown,
    /// Used before.
    #[error("This link was used before, and works once. An owner can make another.")]
    LinkSpent,
    /// Too late.
    #[error("This link has expired. An owner can make another.")]
    LinkExpired,
    /// The member may not enter at the moment.
    #[error("`{0}` is suspended: an owner can end that.")]
    Suspended(String),
    /// More power than the member has.
    #[error("{0}")]
    Beyond(String),
    /// The identity was exchanged before.
    #[error("This identity was exchanged before: ask the provider for a fresh one in each job.")]
    Replay,
    /// The job runs what strangers may have written.
    #[error("Jobs of pull and merge requests get no token: strangers write what they run.")]
    PullRequest,
    /// No rule fits.
    #[error(
        "No trust rule of this server fits this identity ({0}). An owner adds rules under Settings."
    )]
    NoRule(String),
    /// A rule that cannot be kept.
    #[error("This rule cannot be kept: {0}.")]
    Rule(#[from] RuleError),
    /// The provider, or what it says.
    #[error("Not accepted: {0}.")]
    Oidc(#[from] OidcError),
    /// Somebody could not sign in.
    #[error("Signing in did not work: {0}.")]
    SignIn(#[from] SignInError),
    /// Nothing to sign in at.
    #[error("This server has no identity provider: `oidc.issuer` is not set.")]
    NoProvider,
}
