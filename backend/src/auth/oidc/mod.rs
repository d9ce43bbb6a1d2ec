//! OpenID Connect, for people and for machines.
//!
//! ```text
//! people    browser ─▶ /login/oidc ─▶ issuer ─▶ /login/oidc/callback ─▶ session
//!                      state, nonce,            code, verifier ─▶ issuer ─▶ id token
//!                      PKCE in a cookie         groups ─▶ roles
//! machines  CI job ─ its id token ─▶ /oidc/exchange ─▶ token of 15 minutes
//!                                    a trust rule matches; never twice; never a pull request
//! ```
//!
//! [`jwt`] checks one signed text against given keys and knows nothing of the network;
//! [`issuer`] fetches an issuer's discovery document and keys, and fetches them again when a key
//! is unknown, because issuers rotate; [`people`] is the code flow; [`machines`] the rules.

pub mod issuer;
pub mod jwt;
pub mod machines;
pub mod people;
