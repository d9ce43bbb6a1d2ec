//! Conditional requests (RFC 9110, section 13), as S3 judges them.

use std::time::{SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue};
use s3s::dto::{ETagCondition, Timestamp};
use s3s::{S3Error, S3Result, s3_error};
use time::OffsetDateTime;

use super::folder::Condition;
use super::version::Version;

/// What a reader asks of the present object.
#[derive(Clone, Debug, Default)]
pub struct Preconditions {
    /// `If-Match`.
    pub matches: Option<ETagCondition>,
    /// `If-None-Match`.
    pub none_match: Option<ETagCondition>,
    /// `If-Modified-Since`.
    pub modified_since: Option<Timestamp>,
    /// `If-Unmodified-Since`.
    pub unmodified_since: Option<Timestamp>,
}

impl Preconditions {
    /// Whether the object may be sent.
    ///
    /// # Errors
    /// 412 where it is not what was asked for, 304 where the reader has it already.
    pub fn check(&self, version: &Version) -> S3Result<()> {
        let tag = version.etag();
        let is =
            |condition: &ETagCondition| condition.as_etag().is_none_or(|etag| etag.value() == tag);
        let strongly = |condition: &ETagCondition| {
            condition
                .as_etag()
                .is_none_or(|etag| etag.as_strong() == Some(&tag))
        };
        match (&self.matches, &self.unmodified_since) {
            (Some(condition), _) if !strongly(condition) => return Err(failed()),
            (None, Some(time)) if seconds(version.modified()) > timestamp_seconds(time) => {
                return Err(failed());
            }
            _ => {}
        }
        match (&self.none_match, &self.modified_since) {
            (Some(condition), _) if is(condition) => Err(not_modified(&tag)),
            (None, Some(time)) if seconds(version.modified()) <= timestamp_seconds(time) => {
                Err(not_modified(&tag))
            }
            _ => Ok(()),
        }
    }

    /// The same for the source of a copy, where 412 is the only refusal.
    ///
    /// # Errors
    /// 412.
    pub fn check_source(&self, version: &Version) -> S3Result<()> {
        self.check(version).map_err(|_| failed())
    }
}

/// What a writer asks of the present object. Both headers at once are refused, as on S3.
///
/// # Errors
/// `NotImplemented` for both at once.
pub fn for_write(
    matches: Option<ETagCondition>,
    none_match: Option<ETagCondition>,
) -> S3Result<Condition> {
    Ok(match (matches, none_match) {
        (None, None) => Condition::Always,
        (Some(ETagCondition::Any), None) => Condition::Present,
        (Some(ETagCondition::ETag(etag)), None) => Condition::Matches(etag.into_value()),
        (None, Some(ETagCondition::Any)) => Condition::Absent,
        (None, Some(ETagCondition::ETag(etag))) => Condition::Differs(etag.into_value()),
        (Some(_), Some(_)) => {
            return Err(s3_error!(
                NotImplemented,
                "If-Match and If-None-Match together are not supported"
            ));
        }
    })
}

/// Whether a range may be answered: not if `If-Range` names another version (RFC 9110, section 13.1.5).
pub fn range_applies(headers: &HeaderMap, version: &Version) -> bool {
    let Some(value) = headers.get(http::header::IF_RANGE) else {
        return true;
    };
    let Ok(value) = value.to_str() else {
        return false;
    };
    if let Some(tag) = value.strip_prefix('"') {
        return tag.strip_suffix('"') == Some(version.etag().as_str());
    }
    Timestamp::parse(s3s::dto::TimestampFormat::HttpDate, value)
        .is_ok_and(|time| timestamp_seconds(&time) == seconds(version.modified()))
}

fn failed() -> S3Error {
    s3_error!(
        PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold"
    )
}

fn not_modified(tag: &str) -> S3Error {
    let mut error = s3_error!(NotModified);
    if let Ok(value) = HeaderValue::from_str(&format!("\"{tag}\"")) {
        error.set_headers(HeaderMap::from_iter([(http::header::ETAG, value)]));
    }
    error
}

/// HTTP dates are whole seconds, so that is how times are compared.
fn seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(span) => i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    }
}

fn timestamp_seconds(time: &Timestamp) -> i64 {
    OffsetDateTime::from(time.clone()).unix_timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use s3s::S3ErrorCode;

    fn version() -> Version {
        Version {
            inode: 1,
            size: 2,
            modified: 1_000_000_000_500_000_000,
        }
    }

    fn tag(text: &str) -> Option<ETagCondition> {
        Some(text.parse().unwrap())
    }

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(OffsetDateTime::from_unix_timestamp(seconds).unwrap().into())
    }

    #[test]
    fn tags_win_over_times() {
        let present = format!("\"{}\"", version().etag());
        let none = Preconditions::default();
        let cases = [
            (none.clone(), None),
            (
                Preconditions {
                    matches: tag(&present),
                    unmodified_since: at(1),
                    ..none.clone()
                },
                None,
            ),
            (
                Preconditions {
                    matches: tag("\"x\""),
                    ..none.clone()
                },
                Some(S3ErrorCode::PreconditionFailed),
            ),
            (
                Preconditions {
                    matches: tag("*"),
                    ..none.clone()
                },
                None,
            ),
            (
                Preconditions {
                    unmodified_since: at(999_999_999),
                    ..none.clone()
                },
                Some(S3ErrorCode::PreconditionFailed),
            ),
            (
                Preconditions {
                    unmodified_since: at(1_000_000_000),
                    ..none.clone()
                },
                None,
            ),
            (
                Preconditions {
                    none_match: tag(&present),
                    ..none.clone()
                },
                Some(S3ErrorCode::NotModified),
            ),
            (
                Preconditions {
                    none_match: tag(&format!("W/{present}")),
                    ..none.clone()
                },
                Some(S3ErrorCode::NotModified),
            ),
            (
                Preconditions {
                    none_match: tag("\"x\""),
                    modified_since: at(2_000_000_000),
                    ..none.clone()
                },
                None,
            ),
            (
                Preconditions {
                    modified_since: at(1_000_000_000),
                    ..none.clone()
                },
                Some(S3ErrorCode::NotModified),
            ),
            (
                Preconditions {
                    modified_since: at(999_999_999),
                    ..none
                },
                None,
            ),
        ];
        for (n, (conditions, expected)) in cases.into_iter().enumerate() {
            assert_eq!(
                conditions
                    .check(&version())
                    .err()
                    .map(|error| error.code().clone()),
                expected,
                "case {n}"
            );
        }
    }

    #[test]
    fn a_range_of_another_version_is_not_answered() {
        let with = |value: &str| {
            HeaderMap::from_iter([(
                http::header::IF_RANGE,
                HeaderValue::from_str(value).unwrap(),
            )])
        };
        assert!(range_applies(&HeaderMap::new(), &version()));
        assert!(range_applies(
            &with(&format!("\"{}\"", version().etag())),
            &version()
        ));
        assert!(!range_applies(&with("\"other\""), &version()));
        assert!(range_applies(
            &with("Sun, 09 Sep 2001 01:46:40 GMT"),
            &version()
        ));
        assert!(!range_applies(
            &with("Sun, 09 Sep 2001 01:46:41 GMT"),
            &version()
        ));
    }
}
