//! Who asks, what they ask for, and the table that answers.
//!
//! ```text
//! headers ──▶ access ──▶ Caller ─┐
//!   cookie, bearer, netrc        ├──▶ permission::may(caller, act, on) ──▶ yes, or Refusal
//! route ──▶ Act, On(cache) ──────┘                                        401 / 403 with words
//! ```
//!
//! **Who asks.** [`Access::caller`] reads one credential from a request: `Authorization` (a bearer,
//! or the password of Basic as netrc sends it) or else the session's cookie. Credentials are 256
//! random bits with an id ([`credential`]); the ledger holds their hashes ([`records`]), so whoever
//! reads the bucket learns none and whoever writes it makes none. A lookup asks memory only.
//!
//! **What is asked.** Each route names an [`Act`] and what it is done to. There are few acts, because
//! people have to understand the table.
//!
//! **The table** ([`permission`]): act × role × visibility. A token is the member who made it, narrowed
//! to its caches and verbs, at this moment: when the member goes or is demoted, so is the token. A
//! machine's token is what its trust rule says. What makes more power out of power (members,
//! tokens, trust) needs a person's session.
//!
//! **How people come in.** By a one-time link ([`links`]): from the machine's own terminal, from an
//! owner's invitation, or for a next session; or by the organisation's identity provider
//! ([`oidc::people`]). Machines exchange their CI's identity ([`oidc::machines`]).
//!
//! **What is refused before all that.** An unsafe request from a foreign page ([`origin`]); an address
//! that tries too often, a token that asks too much at once ([`limits`]).
//!
//! While the bucket cannot be read, what was known goes on and nothing is changed: the ledger
//! refuses to write after 60 s. Routes turn a [`Refusal`] into their own words: 401 with
//! `WWW-Authenticate` and a short text for Nix, 401 without it for the API.

mod access;
mod caller;
mod contributors;
pub mod cookie;
pub mod credential;
mod ending;
mod error;
mod key_values;
pub mod limits;
pub mod links;
mod members;
pub mod oidc;
pub mod origin;
pub mod permission;
pub mod records;
mod registration;
mod settings;
mod standing;
mod tokens;

pub use access::{Access, By};
pub use caller::{Caller, MemberCaller, Stranger, TokenCaller};
pub use contributors::{Contributor, KeyRefusal};
pub use ending::Standing;
pub use error::AccessError;
pub use permission::{On, Refusal, may};
pub use snowbank_shared::api::access::Act;
pub use tokens::netrc;
