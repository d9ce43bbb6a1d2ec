//! Lifecycle rules that would break a cache: the store deletes objects by their age, or moves them
//! to where they cannot be read at once, and narinfos whose NARs are gone stay behind.

use std::fmt;

use aws_sdk_s3::primitives::DateTimeFormat;
use aws_sdk_s3::types::{ExpirationStatus, LifecycleRule, TransitionStorageClass};

use super::{Bucket, BucketError, Operation};

/// A rule that takes objects away from a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HarmfulRule {
    /// Its name; stores make one up where nobody chose one.
    pub id: String,
    /// It is for keys that begin with this; empty: for all.
    pub prefix: String,
    /// What it does to them, and when.
    pub does: String,
}

impl fmt::Display for HarmfulRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, prefix, does } = self;
        let (id, prefix) = (id.escape_debug(), prefix.escape_debug());
        if prefix.to_string().is_empty() {
            write!(f, "rule `{id}` {does}")
        } else {
            write!(f, "rule `{id}` {does}, below `{prefix}`")
        }
    }
}

impl Bucket {
    /// The bucket's lifecycle rules that would harm what lies below this handle's prefix.
    ///
    /// # Errors
    /// See [`BucketErrorKind`](super::BucketErrorKind). A store that knows no such rules often
    /// answers with the status 501.
    pub async fn harmful_rules(&self) -> Result<Vec<HarmfulRule>, BucketError> {
        let answer = self
            .attempt(Operation::Lifecycle, |_| {
                let request = self
                    .inner
                    .clients
                    .read
                    .get_bucket_lifecycle_configuration()
                    .bucket(&self.inner.name);
                async move {
                    request
                        .send()
                        .await
                        .map_err(|error| self.sdk_error(Operation::Lifecycle, "", &error))
                }
            })
            .await;
        match answer {
            Ok(answer) => Ok(answer
                .rules()
                .iter()
                .filter_map(|rule| harm(rule, &self.inner.prefix))
                .collect()),
            // `NoSuchLifecycleConfiguration`: nobody made one.
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// What a rule does to the objects below `below`, where that is bad.
fn harm(rule: &LifecycleRule, below: &str) -> Option<HarmfulRule> {
    if *rule.status() != ExpirationStatus::Enabled || wants_tags(rule) {
        return None;
    }
    let prefix = prefix_of(rule);
    if !prefix.starts_with(below) && !below.starts_with(prefix) {
        return None;
    }
    Some(HarmfulRule {
        id: rule.id().unwrap_or("without a name").to_owned(),
        prefix: prefix.to_owned(),
        does: deletes(rule).or_else(|| archives(rule))?,
    })
}

/// Neither Nix nor this server tags objects, so that such a rule meets none of theirs.
fn wants_tags(rule: &LifecycleRule) -> bool {
    rule.filter().is_some_and(|filter| {
        filter.tag().is_some() || filter.and().is_some_and(|and| !and.tags().is_empty())
    })
}

fn prefix_of(rule: &LifecycleRule) -> &str {
    // Old rules have their prefix outside of a filter.
    #[allow(deprecated)]
    let old = rule.prefix();
    let filter = rule.filter();
    filter
        .and_then(|filter| filter.prefix().or_else(|| filter.and()?.prefix()))
        .or(old)
        .unwrap_or_default()
}

fn deletes(rule: &LifecycleRule) -> Option<String> {
    let expiration = rule.expiration()?;
    if let Some(days) = expiration.days() {
        return Some(format!("deletes objects {days} days after they came"));
    }
    let date = expiration.date()?.fmt(DateTimeFormat::DateTime).ok()?;
    Some(format!("deletes objects on {}", date.get(..10)?))
}

/// Objects of these classes have to be restored, for hours, before they can be read.
fn archives(rule: &LifecycleRule) -> Option<String> {
    let slow = |class: &TransitionStorageClass| {
        matches!(
            class,
            TransitionStorageClass::Glacier | TransitionStorageClass::DeepArchive
        )
    };
    rule.transitions()
        .iter()
        .filter_map(|transition| transition.storage_class())
        .find(|class| slow(class))
        .map(|class| format!("moves objects to {class}, where they cannot be read at once"))
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{LifecycleExpiration, LifecycleRuleFilter, Tag, Transition};

    use super::*;

    fn rule(days: i32) -> aws_sdk_s3::types::builders::LifecycleRuleBuilder {
        LifecycleRule::builder()
            .id("tidy")
            .status(ExpirationStatus::Enabled)
            .expiration(LifecycleExpiration::builder().days(days).build())
    }

    fn below(prefix: &str) -> LifecycleRuleFilter {
        LifecycleRuleFilter::builder().prefix(prefix).build()
    }

    #[test]
    fn a_rule_harms_what_its_prefix_meets() {
        for (of_rule, of_cache, met) in [
            ("", "", true),
            ("", "nix/", true),
            ("nix/nar/", "nix/", true),
            ("nix", "nix/", true),
            ("backups/", "nix/", false),
        ] {
            let rule = rule(30).filter(below(of_rule)).build().expect("a rule");
            let found = harm(&rule, of_cache);
            assert_eq!(found.is_some(), met, "{of_rule:?} and {of_cache:?}");
        }
        let all = rule(30).build().expect("a rule");
        assert_eq!(
            harm(&all, "").expect("harm").to_string(),
            "rule `tidy` deletes objects 30 days after they came"
        );
    }

    #[test]
    fn what_does_not_take_objects_away_is_harmless() {
        let off = rule(1).status(ExpirationStatus::Disabled);
        let tag = Tag::builder().key("k").value("v").build().expect("a tag");
        let tagged = rule(1).filter(LifecycleRuleFilter::builder().tag(tag).build());
        let markers = LifecycleExpiration::builder()
            .expired_object_delete_marker(true)
            .build();
        let only_markers = rule(1).expiration(markers);
        for rule in [off, tagged, only_markers] {
            let rule = rule.build().expect("a rule");
            assert_eq!(harm(&rule, ""), None);
        }
    }

    #[test]
    fn an_archive_is_harm_and_a_cheaper_class_is_not() {
        for (class, harms) in [
            (TransitionStorageClass::DeepArchive, true),
            (TransitionStorageClass::StandardIa, false),
        ] {
            let transition = Transition::builder().days(9).storage_class(class).build();
            let rule = LifecycleRule::builder()
                .status(ExpirationStatus::Enabled)
                .transitions(transition)
                .build()
                .expect("a rule");
            assert_eq!(harm(&rule, "").is_some(), harms, "{rule:?}");
        }
    }
}
