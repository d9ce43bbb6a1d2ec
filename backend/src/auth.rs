//! The one place that answers "may this caller do this?".
//!
//! So far there are no members and no tokens: every caller is [`Caller::Anonymous`], who
//! may read public caches. Routes turn a [`Refusal`] into their own words: 401 with
//! `WWW-Authenticate` for Nix, 401 without it for the API.

use http::HeaderMap;
use snowbank_shared::api::Visibility;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Nobody we know.
    Anonymous,
}

impl Caller {
    /// Who sent these headers. Credentials that nothing can be made of leave the caller
    /// anonymous: a public cache answers a client whose netrc names another server's password.
    pub const fn of(_headers: &HeaderMap) -> Self {
        Self::Anonymous
    }
}

/// What is asked for, of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// See that the cache exists, in a list.
    Discover,
    /// Read its public keys and the configuration of its clients.
    Configure,
    /// Read its paths.
    Read,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// We do not know who it is: 401.
    WhoAreYou,
}

/// Whether the caller may do this with a cache of this visibility.
///
/// # Errors
/// Where not, with the reason.
pub const fn may(caller: Caller, act: Act, visibility: Visibility) -> Result<(), Refusal> {
    let Caller::Anonymous = caller;
    match (visibility, act) {
        // Keys and configuration of a private cache hold no secret.
        (Visibility::Public, _) | (Visibility::Private, Act::Configure) => Ok(()),
        (Visibility::Private | Visibility::Unlisted, _) => Err(Refusal::WhoAreYou),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_read_public_caches_and_configure_private_ones() {
        let allowed = |visibility| {
            [Act::Discover, Act::Configure, Act::Read]
                .map(|act| may(Caller::Anonymous, act, visibility).is_ok())
        };
        assert_eq!(allowed(Visibility::Public), [true, true, true]);
        assert_eq!(allowed(Visibility::Private), [false, true, false]);
        assert_eq!(allowed(Visibility::Unlisted), [false, false, false]);
    }
}
