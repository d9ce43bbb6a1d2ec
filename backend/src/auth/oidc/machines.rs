//! Trust rules: which CI job's identity gets which token.
//!
//! A rule names an issuer, an audience and claims that must match. The issuer, the audience and
//! at least one claim that names a place of work (a repository, a project, a subject) are needed: a
//! rule for "any job at this provider" would let in everybody there. Jobs of pull and merge
//! requests are refused whatever a rule says, because strangers write what they run.

use std::collections::BTreeMap;

use snowbank_shared::pattern::fits;

use super::jwt::Claims;

/// Claims of which a rule must name one, so that it does not trust all customers of a provider.
pub const PLACES: &[&str] = &[
    "sub",
    "repository",
    "repository_id",
    "project_path",
    "project_id",
    "organization_id",
    "job_workflow_ref",
];

/// Claims that a rule may name; a typing error would otherwise be a rule that never matches.
pub const KNOWN: &[&str] = &[
    "sub",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "repository_visibility",
    "ref",
    "ref_type",
    "ref_protected",
    "environment",
    "workflow",
    "workflow_ref",
    "job_workflow_ref",
    "runner_environment",
    "event_name",
    "actor",
    "project_path",
    "project_id",
    "namespace_path",
    "namespace_id",
    "pipeline_source",
    "organization_id",
    "pipeline_definition_id",
    "build_branch",
    "pipeline_slug",
];

/// Why a rule cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// It would trust everybody at the provider.
    #[error("name where the job runs: one of the claims {places}", places = PLACES.join(", "))]
    NoPlace,
    /// A claim that no provider sends.
    #[error("no provider sends a claim `{0}`; there are {known}", known = KNOWN.join(", "))]
    UnknownClaim(String),
    /// An empty value, or only stars.
    #[error("`{0}` cannot be empty or stars only: leave it out, or say what it has to be")]
    Anything(String),
    /// Too much.
    #[error("a claim's value has at most 300 characters")]
    TooLong,
}

/// Whether the claims of a rule are such that it can be kept.
///
/// # Errors
/// See [`RuleError`].
pub fn check_rule(claims: &BTreeMap<String, String>) -> Result<(), RuleError> {
    for (name, pattern) in claims {
        if !KNOWN.contains(&name.as_str()) {
            return Err(RuleError::UnknownClaim(name.chars().take(60).collect()));
        }
        if pattern.len() > 300 {
            return Err(RuleError::TooLong);
        }
        // A star beside slashes and colons says nothing: `*/*` is every repository there is.
        if !pattern.chars().any(char::is_alphanumeric) {
            return Err(RuleError::Anything(name.clone()));
        }
    }
    if !claims.keys().any(|name| PLACES.contains(&name.as_str())) {
        return Err(RuleError::NoPlace);
    }
    Ok(())
}

/// Whether the job runs what strangers wrote: for a pull or merge request.
pub fn is_pull_request(claims: &Claims) -> bool {
    let event = claims.text("event_name").unwrap_or_default();
    let source = claims.text("pipeline_source").unwrap_or_default();
    let reference = claims.text("ref").unwrap_or_default();
    let subject = claims.text("sub").unwrap_or_default();
    event.starts_with("pull_request")
        || matches!(
            source,
            "merge_request_event" | "external_pull_request_event"
        )
        || reference.starts_with("refs/pull/")
        || reference.starts_with("refs/merge-requests/")
        || subject.ends_with(":pull_request")
}

/// Whether an identity is what a rule says.
pub fn matches(rule: &BTreeMap<String, String>, claims: &Claims) -> bool {
    !rule.is_empty()
        && rule.iter().all(|(name, pattern)| {
            claims
                .spelled(name)
                .is_some_and(|value| fits(pattern, &value))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn every_named_claim_has_to_fit() {
        let claims = Claims::of(json!({
            "repository": "team/repo", "ref": "refs/heads/main", "environment": "release", "ref_protected": true,
        }));
        assert!(matches(&rule(&[("repository", "team/repo")]), &claims));
        assert!(matches(
            &rule(&[("repository", "team/repo"), ("ref_protected", "true")]),
            &claims
        ));
        for wrong in [
            rule(&[("repository", "team/other")]),
            rule(&[("repository", "team/repo"), ("environment", "staging")]),
            rule(&[("repository", "team/repo"), ("workflow_ref", "x")]),
            rule(&[]),
        ] {
            assert!(!matches(&wrong, &claims), "{wrong:?}");
        }
    }

    #[test]
    fn what_strangers_wrote_is_recognised_at_every_provider() {
        for pull in [
            json!({"event_name": "pull_request"}),
            json!({"event_name": "pull_request_target"}),
            json!({"ref": "refs/pull/7/merge"}),
            json!({"sub": "repo:team/repo:pull_request"}),
            json!({"pipeline_source": "merge_request_event"}),
        ] {
            assert!(is_pull_request(&Claims::of(pull.clone())), "{pull}");
        }
        for push in [
            json!({"event_name": "push", "ref": "refs/heads/main", "sub": "repo:team/repo:ref:refs/heads/main"}),
            json!({"pipeline_source": "push", "ref": "main"}),
            json!({}),
        ] {
            assert!(!is_pull_request(&Claims::of(push.clone())), "{push}");
        }
    }

    #[test]
    fn a_rule_says_where_the_job_runs() {
        assert_eq!(check_rule(&rule(&[("repository", "team/repo")])), Ok(()));
        assert_eq!(check_rule(&rule(&[])), Err(RuleError::NoPlace));
        assert_eq!(
            check_rule(&rule(&[("ref", "refs/heads/main")])),
            Err(RuleError::NoPlace)
        );
        assert!(matches!(
            check_rule(&rule(&[("repository", "*/*")])),
            Err(RuleError::Anything(_))
        ));
        assert!(matches!(
            check_rule(&rule(&[("repositroy", "team/repo")])),
            Err(RuleError::UnknownClaim(_))
        ));
    }
}
