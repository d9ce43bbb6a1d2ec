//! `[oidc]`: the identity provider at which people sign in.

use std::fs;

use snowbank_shared::api::access::{Grant, Role};

use super::reader::Table;
use super::{ConfigError, path, take};

/// The identity provider at which people sign in.
#[derive(Clone, PartialEq, Eq)]
pub struct OidcConfig {
    /// Its URL, exactly as it names itself.
    pub issuer: String,
    /// Who we are to it.
    pub client_id: String,
    /// Our secret, where it gave one. Never shown.
    pub client_secret: Option<String>,
    /// What the button says.
    pub label: String,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// The claim that lists the groups.
    pub groups_claim: String,
    /// The roles of each group; `*` is everybody who can sign in.
    pub roles: Vec<(String, Vec<Grant>)>,
}

impl std::fmt::Debug for OidcConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OidcConfig")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

impl OidcConfig {
    /// A public client of an issuer, at which nobody has a role yet.
    pub fn new(issuer: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            client_id: client_id.into(),
            client_secret: None,
            label: "Sign in with your organisation".into(),
            scopes: vec!["openid".into(), "profile".into(), "email".into()],
            groups_claim: "groups".into(),
            roles: Vec::new(),
        }
    }

    /// Reads the table; `None` where it is empty.
    pub(super) fn read(mut table: Table) -> Result<Option<Self>, ConfigError> {
        const ISSUER: &str =
            "it is the provider's URL, exactly as it names itself in its discovery document";
        let issuer = take(&mut table, "issuer", |given| {
            let text = given.text()?;
            let fine = text.starts_with("https://") || text.starts_with("http://");
            if fine && !text.contains(['?', '#', ' ']) {
                Ok(text.to_owned())
            } else {
                Err(given.refuse(ISSUER))
            }
        })?;
        let client_id = take(&mut table, "client_id", |given| match given.text()? {
            "" => Err(given.refuse("it is the id that the provider gave this server")),
            text => Ok(text.to_owned()),
        })?;
        let secret = take(&mut table, "client_secret", |given| {
            Ok(given.text()?.to_owned())
        })?;
        let secret_file = take(&mut table, "client_secret_file", |given| {
            let file = path(given)?;
            let text = fs::read_to_string(&file)
                .map_err(|error| given.refuse(format!("it is a file that can be read: {error}")))?;
            Ok(text.trim_end().to_owned())
        })?;
        let label = take(&mut table, "label", |given| Ok(given.text()?.to_owned()))?;
        let scopes = take(&mut table, "scopes", super::reader::Given::list)?;
        let groups_claim = take(&mut table, "groups_claim", |given| {
            Ok(given.text()?.to_owned())
        })?;
        let mut roles = Vec::new();
        for (group, given) in table.table("roles")?.values()? {
            let grants = given
                .list()?
                .iter()
                .map(|item| grant(item).ok_or_else(|| given.refuse(ROLES)))
                .collect::<Result<Vec<_>, _>>()?;
            roles.push((group, grants));
        }
        table.finish()?;
        let (issuer, client_id) = match (issuer, client_id) {
            (Some(issuer), Some(client_id)) => (issuer, client_id),
            (None, None) if roles.is_empty() => return Ok(None),
            (None, _) => return Err(missing("issuer", "the provider's URL")),
            (_, None) => return Err(missing("client_id", "the id that it gave this server")),
        };
        let mut config = Self::new(issuer, client_id);
        config.client_secret = secret.or(secret_file).filter(|secret| !secret.is_empty());
        config.roles = roles;
        if let Some(label) = label {
            config.label = label;
        }
        if let Some(scopes) = scopes {
            config.scopes = scopes;
        }
        if let Some(claim) = groups_claim {
            config.groups_claim = claim;
        }
        Ok(Some(config))
    }
}

fn missing(name: &str, needed: &str) -> ConfigError {
    ConfigError::Missing {
        key: format!("oidc.{name}"),
        needed: needed.to_owned(),
    }
}

const ROLES: &str = "it is a list of roles, such as `owner`, or `contributor:team` for one cache; \
    the roles are reader, contributor, maintainer, owner and auditor";

/// `owner`, or `contributor:team`.
fn grant(text: &str) -> Option<Grant> {
    let (role, cache) = match text.split_once(':') {
        Some((role, cache)) => (role, Some(cache)),
        None => (text, None),
    };
    let role: Role = role.parse().ok()?;
    let cache = match cache {
        None => None,
        Some(slug) => Some(slug.parse::<super::Slug>().ok()?.to_string()),
    };
    Some(Grant { role, cache })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_for_all_caches_or_one() {
        assert_eq!(
            grant("owner"),
            Some(Grant {
                role: Role::Owner,
                cache: None
            })
        );
        assert_eq!(
            grant("contributor:team"),
            Some(Grant {
                role: Role::Contributor,
                cache: Some("team".into())
            })
        );
        for bad in ["", "admin", "owner:", "owner:Team", ":team", "owner:api"] {
            assert_eq!(grant(bad), None, "{bad}");
        }
    }
}
