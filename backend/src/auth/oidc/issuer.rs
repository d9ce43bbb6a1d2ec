//! An issuer's discovery document and keys, fetched when they are needed and kept for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use time::OffsetDateTime;

use super::jwt::{Claims, Jwks, JwtError, Unverified};
use crate::outbound::{Outbound, OutboundError};

/// How long a document is believed.
const KEPT: Duration = Duration::from_secs(3600);
/// How soon an issuer is asked again because of a key that it did not have.
const PAUSE: Duration = Duration::from_secs(15);

/// Why an issuer's word cannot be had, or is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// The issuer cannot be asked.
    #[error("the identity provider cannot be asked: {0}")]
    Outbound(#[from] OutboundError),
    /// Its document is not one, or another issuer's.
    #[error("the identity provider's discovery document is not right: {0}")]
    Discovery(&'static str),
    /// The token is not believed.
    #[error("the identity is not believed: {0}")]
    Jwt(#[from] JwtError),
}

/// The endpoints of an issuer (OpenID Connect Discovery 1.0).
#[derive(Debug, Clone, Deserialize)]
pub struct Discovery {
    issuer: String,
    jwks_uri: String,
    /// Where people sign in; machines' issuers have none.
    #[serde(default)]
    pub authorization_endpoint: Option<String>,
    /// Where codes are exchanged.
    #[serde(default)]
    pub token_endpoint: Option<String>,
}

struct Known {
    discovery: Discovery,
    keys: Jwks,
    fetched: Instant,
}

/// What is known of issuers. Only configured issuers and those of trust rules are ever asked.
pub struct Issuers {
    outbound: Outbound,
    known: Mutex<HashMap<String, Arc<Known>>>,
}

impl Issuers {
    /// Nothing is known yet.
    pub fn new(outbound: Outbound) -> Self {
        Self {
            outbound,
            known: Mutex::default(),
        }
    }

    /// The endpoints of an issuer.
    ///
    /// # Errors
    /// Where it cannot be asked or its document is not right.
    pub async fn discovery(&self, issuer: &str) -> Result<Discovery, OidcError> {
        Ok(self.know(issuer, KEPT).await?.discovery.clone())
    }

    /// Exchanges a code at the issuer's token endpoint.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub async fn post_form(&self, url: &str, form: String) -> Result<bytes::Bytes, OidcError> {
        Ok(self.outbound.post_form(url, form).await?)
    }

    /// What a text says, where the issuer signed it for the audience. A key that is not known
    /// makes it look once whether the issuer has new ones.
    ///
    /// # Errors
    /// Where it is not believed, or the issuer cannot be asked.
    pub async fn verify(
        &self,
        text: &str,
        issuer: &str,
        audience: &str,
    ) -> Result<Claims, OidcError> {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let parsed = Unverified::parse(text)?;
        let known = self.know(issuer, KEPT).await?;
        match parsed.clone().verify(&known.keys, issuer, audience, now) {
            Err(JwtError::UnknownKey) => {
                let known = self.know(issuer, PAUSE).await?;
                Ok(parsed.verify(&known.keys, issuer, audience, now)?)
            }
            verified => Ok(verified?),
        }
    }

    async fn know(&self, issuer: &str, oldest: Duration) -> Result<Arc<Known>, OidcError> {
        let remembered = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(issuer).cloned()
        };
        if let Some(known) = &remembered
            && known.fetched.elapsed() < oldest
        {
            return Ok(Arc::clone(known));
        }
        match self.fetch(issuer).await {
            Ok(known) => {
                let known = Arc::new(known);
                self.known
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(issuer.to_owned(), Arc::clone(&known));
                Ok(known)
            }
            // An issuer that is down for an hour does not lock everybody out; its keys were right.
            Err(OidcError::Outbound(error)) if remembered.is_some() => {
                tracing::warn!(issuer, %error, "an identity provider does not answer; its last keys are used");
                remembered.ok_or(OidcError::Outbound(error))
            }
            Err(error) => Err(error),
        }
    }

    async fn fetch(&self, issuer: &str) -> Result<Known, OidcError> {
        let address = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let document = self.outbound.get(&address).await?;
        let discovery: Discovery = serde_json::from_slice(&document)
            .map_err(|_| OidcError::Discovery("it is no such document"))?;
        if discovery.issuer != issuer {
            return Err(OidcError::Discovery(
                "it names another issuer than the configuration, to the last slash",
            ));
        }
        let keys = self.outbound.get(&discovery.jwks_uri).await?;
        let keys = serde_json::from_slice(&keys)
            .map_err(|_| OidcError::Discovery("its keys cannot be read"))?;
        Ok(Known {
            discovery,
            keys,
            fetched: Instant::now(),
        })
    }
}
