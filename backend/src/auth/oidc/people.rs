//! People sign in at their organisation's identity provider: the authorization code flow with
//! PKCE (RFC 7636, S256), `state` against foreign callbacks and `nonce` against foreign tokens.
//!
//! What the flow has to remember travels in a cookie of the browser that began it, not in this
//! server: any replica can finish, and a callback in another browser finishes nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use snowbank_shared::api::access::Grant;

use super::issuer::{Issuers, OidcError};
use super::jwt::Claims;
use crate::auth::credential::same;
use crate::config::OidcConfig;
use crate::secrets::{self, SecretError};

/// Seconds that a sign-in may take.
pub const PATIENCE: i64 = 600;

/// Why somebody could not sign in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// The callback does not belong to a sign-in of this browser.
    #[error(
        "this answer does not belong to a sign-in that this browser began within ten minutes: begin again"
    )]
    NotOurs,
    /// The provider refused, in a word of its own.
    #[error("the identity provider refused: {0}")]
    Refused(String),
    /// It cannot be asked, or its answer is not believed.
    #[error(transparent)]
    Oidc(#[from] OidcError),
    /// It cannot sign in people.
    #[error("the identity provider's document names no page to sign in at")]
    NoEndpoint,
    /// It gave no identity.
    #[error("the identity provider gave no identity for the code")]
    NoIdentity,
    /// None of their groups has a role.
    #[error("none of your groups has a role here: ask an owner to give one in `oidc.roles`")]
    NoRole,
}

/// What a sign-in under way remembers, in the browser's cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnderWay {
    state: String,
    nonce: String,
    verifier: String,
    /// The page to go back to; parsed as a page of ours before it is used.
    pub back: String,
}

impl UnderWay {
    /// A new one.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn begin(back: &str) -> Result<Self, SecretError> {
        let text = || -> Result<String, SecretError> {
            Ok(URL_SAFE_NO_PAD.encode(secrets::random::<32>()?))
        };
        Ok(Self {
            state: text()?,
            nonce: text()?,
            verifier: text()?,
            back: back.to_owned(),
        })
    }

    /// As a cookie's value.
    pub fn to_cookie(&self) -> String {
        format!(
            "{}.{}.{}.{}",
            self.state,
            self.nonce,
            self.verifier,
            URL_SAFE_NO_PAD.encode(&self.back)
        )
    }

    /// From a cookie's value.
    pub fn from_cookie(value: &str) -> Option<Self> {
        let mut parts = value.split('.').map(str::to_owned);
        let mut part = || {
            parts
                .next()
                .filter(|part| !part.is_empty() && part.len() < 4096)
        };
        let (state, nonce, verifier) = (part()?, part()?, part()?);
        let back = URL_SAFE_NO_PAD.decode(part().unwrap_or_default()).ok()?;
        Some(Self {
            state,
            nonce,
            verifier,
            back: String::from_utf8(back).ok()?,
        })
    }
}

/// Somebody whom the provider vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// `sub`
    pub subject: String,
    /// What to call them, where the provider says.
    pub name: String,
    /// The roles of their groups.
    pub grants: Vec<Grant>,
}

/// Where the browser goes to sign in.
///
/// # Errors
/// Where the provider cannot be asked.
pub async fn address(
    issuers: &Issuers,
    config: &OidcConfig,
    callback: &str,
    under_way: &UnderWay,
) -> Result<String, SignInError> {
    let discovery = issuers.discovery(&config.issuer).await?;
    let endpoint = discovery
        .authorization_endpoint
        .ok_or(SignInError::NoEndpoint)?;
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(under_way.verifier.as_bytes()));
    let scopes = config.scopes.join(" ");
    let query = form(&[
        ("response_type", "code"),
        ("client_id", &config.client_id),
        ("redirect_uri", callback),
        ("scope", &scopes),
        ("state", &under_way.state),
        ("nonce", &under_way.nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    let separator = if endpoint.contains('?') { '&' } else { '?' };
    Ok(format!("{endpoint}{separator}{query}"))
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    id_token: Option<String>,
}

/// Finishes a sign-in: `pairs` is the callback's query.
///
/// # Errors
/// See [`SignInError`].
pub async fn finish(
    issuers: &Issuers,
    config: &OidcConfig,
    callback: &str,
    under_way: &UnderWay,
    pairs: &[(String, String)],
) -> Result<Person, SignInError> {
    let given = |name: &str| {
        pairs
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    };
    let state = given("state").unwrap_or_default();
    if !same(state.as_bytes(), under_way.state.as_bytes()) {
        return Err(SignInError::NotOurs);
    }
    if let Some(error) = given("error") {
        let word: String = error
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
            .take(60)
            .collect();
        return Err(SignInError::Refused(word));
    }
    // Mix-up: an issuer that names itself has to be ours (RFC 9207).
    if given("iss").is_some_and(|issuer| issuer != config.issuer) {
        return Err(SignInError::NotOurs);
    }
    let code = given("code").ok_or(SignInError::NoIdentity)?;
    let discovery = issuers.discovery(&config.issuer).await?;
    let endpoint = discovery.token_endpoint.ok_or(SignInError::NoEndpoint)?;
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", callback),
        ("client_id", &config.client_id),
        ("code_verifier", &under_way.verifier),
    ];
    if let Some(secret) = &config.client_secret {
        fields.push(("client_secret", secret));
    }
    let answer = issuers.post_form(&endpoint, form(&fields)).await?;
    let answer: TokenAnswer =
        serde_json::from_slice(&answer).map_err(|_| SignInError::NoIdentity)?;
    let identity = answer.id_token.ok_or(SignInError::NoIdentity)?;
    let claims = issuers
        .verify(&identity, &config.issuer, &config.client_id)
        .await?;
    let nonce = claims.text("nonce").unwrap_or_default();
    if !same(nonce.as_bytes(), under_way.nonce.as_bytes()) {
        return Err(SignInError::NotOurs);
    }
    person(config, &claims)
}

fn person(config: &OidcConfig, claims: &Claims) -> Result<Person, SignInError> {
    let subject = claims.text("sub").ok_or(SignInError::NoIdentity)?;
    let groups = claims.texts(&config.groups_claim);
    let mut grants: Vec<Grant> = config
        .roles
        .iter()
        .filter(|(group, _)| group == "*" || groups.contains(&group.as_str()))
        .flat_map(|(_, grants)| grants.clone())
        .collect();
    grants.sort();
    grants.dedup();
    if grants.is_empty() {
        return Err(SignInError::NoRole);
    }
    let name = ["preferred_username", "email", "name"]
        .iter()
        .filter_map(|claim| claims.text(claim))
        .find(|name| !name.is_empty())
        .unwrap_or(subject);
    Ok(Person {
        subject: subject.to_owned(),
        name: name.to_owned(),
        grants,
    })
}

fn form(fields: &[(&str, &str)]) -> String {
    let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    fields
        .iter()
        .map(|(name, value)| format!("{name}={}", escaped(value)))
        .collect::<Vec<_>>()
        .join("&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use snowbank_shared::api::access::Role;

    #[test]
    fn what_is_under_way_travels_in_a_cookie() {
        let begun = UnderWay::begin("/c/main/paths?q=a b&sort=name").expect("random bytes");
        let cookie = begun.to_cookie();
        assert!(!cookie.contains([';', ' ', '"', ',']), "{cookie}");
        assert_eq!(UnderWay::from_cookie(&cookie), Some(begun));
        for bad in ["", "a", "a.b", "a..c.d", "a.b.c.!"] {
            assert_eq!(UnderWay::from_cookie(bad), None, "{bad}");
        }
    }

    #[test]
    fn groups_become_roles_and_without_one_nobody_enters() {
        let grant = |role, cache: Option<&str>| Grant {
            role,
            cache: cache.map(str::to_owned),
        };
        let config = OidcConfig {
            roles: vec![
                ("admins".into(), vec![grant(Role::Owner, None)]),
                ("dev".into(), vec![grant(Role::Contributor, Some("team"))]),
            ],
            ..OidcConfig::new("https://issuer.example", "snowbank")
        };
        let of = |groups: serde_json::Value| {
            let claims = Claims::of(json!({"sub": "7", "email": "a@b.c", "groups": groups}));
            person(&config, &claims)
        };
        let both = of(json!(["dev", "admins", "other"])).expect("a person");
        assert_eq!(
            both.grants,
            [
                grant(Role::Contributor, Some("team")),
                grant(Role::Owner, None)
            ]
        );
        assert_eq!(both.name, "a@b.c");
        assert_eq!(of(json!("dev")).map(|person| person.grants.len()), Ok(1));
        for none in [
            json!([]),
            json!(["other"]),
            json!(null),
            json!({"dev": true}),
        ] {
            assert_eq!(of(none), Err(SignInError::NoRole));
        }
    }
}
