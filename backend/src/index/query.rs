//! What may be asked of `/paths`: the parameters of DESIGN.md, parsed.

use std::collections::{BTreeMap, HashSet};
use std::str::FromStr;
use std::sync::Arc;

use snowbank_shared::api::pins::is_pin_name;
use snowbank_shared::api::{ContentStatus, SignatureStatus};
use snowbank_shared::store_path::StorePathHash;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, Time};

use super::vouch::{NoVouch, Vouch};

/// Rows of a page where the request does not say.
pub const DEFAULT_LIMIT: usize = 50;
/// Most rows of a page.
pub const MAX_LIMIT: usize = 200;
/// Longest `q` in bytes.
const MAX_TEXT: usize = 1024;

/// A query that cannot be answered, and why. Maps to 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A parameter's value is not one of those allowed.
    #[error("`{parameter}` cannot be `{value}`: {allowed}")]
    BadValue {
        /// The parameter.
        parameter: &'static str,
        /// What was given, cut short.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// A parameter that is known and about which nothing is recorded yet.
    #[error("`{parameter}` cannot be answered: {reason}")]
    NotRecorded {
        /// The parameter.
        parameter: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// A parameter that does not exist.
    #[error("there is no parameter `{0}`")]
    Unknown(String),
    /// A cursor that is none.
    #[error("the cursor is not one that a page of this list gave")]
    BadCursor,
}

/// What a list is sorted by: the fields of [`snowbank_shared::api::PathRow`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is the field of its name")]
pub enum SortField {
    /// The same order as `hash`.
    Path,
    Hash,
    Name,
    NarSize,
    FileSize,
    ClosureSize,
    ClosurePaths,
    ReferenceCount,
    ReferrerCount,
    /// Best word first.
    Signature,
    SignatureProblem,
    Content,
    /// By the list of names.
    Signers,
    AddedAt,
    Compression,
}

impl SortField {
    /// Every field.
    pub const ALL: [Self; 15] = [
        Self::Path,
        Self::Hash,
        Self::Name,
        Self::NarSize,
        Self::FileSize,
        Self::ClosureSize,
        Self::ClosurePaths,
        Self::ReferenceCount,
        Self::ReferrerCount,
        Self::Signature,
        Self::SignatureProblem,
        Self::Content,
        Self::Signers,
        Self::AddedAt,
        Self::Compression,
    ];

    /// The field's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Hash => "hash",
            Self::Name => "name",
            Self::NarSize => "nar_size",
            Self::FileSize => "file_size",
            Self::ClosureSize => "closure_size",
            Self::ClosurePaths => "closure_paths",
            Self::ReferenceCount => "reference_count",
            Self::ReferrerCount => "referrer_count",
            Self::Signature => "signature",
            Self::SignatureProblem => "signature_problem",
            Self::Content => "content",
            Self::Signers => "signers",
            Self::AddedAt => "added_at",
            Self::Compression => "compression",
        }
    }
}

/// A sort key: a field, and whether the largest comes first. Unknown values are
/// last either way; ties are broken by hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sort {
    /// By which field.
    pub field: SortField,
    /// Largest first.
    pub descending: bool,
}

impl Default for Sort {
    fn default() -> Self {
        Self {
            field: SortField::Name,
            descending: false,
        }
    }
}

impl FromStr for Sort {
    type Err = QueryError;
    fn from_str(text: &str) -> Result<Self, QueryError> {
        let (name, descending) = match text.strip_prefix('-') {
            Some(name) => (name, true),
            None => (text, false),
        };
        let field = SortField::ALL
            .into_iter()
            .find(|field| field.as_str() == name);
        let field = field.ok_or_else(|| {
            let names: Vec<&str> = SortField::ALL.iter().map(|field| field.as_str()).collect();
            bad(
                "sort",
                text,
                &format!(
                    "it is one of {}, with `-` before it for descending",
                    names.join(", ")
                ),
            )
        })?;
        Ok(Self { field, descending })
    }
}

/// Whose key has made a good signature that counts: members by the names of their keys.
pub type Makers = BTreeMap<String, String>;

/// A question to the list of paths. [`Default`] is all of them by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathQuery {
    /// Words of the name, a hash or its beginning, a path, a URL.
    pub q: String,
    /// The order.
    pub sort: Sort,
    /// Only these signature words; empty: all.
    pub sig: Vec<SignatureStatus>,
    /// Only these content words; empty: all.
    pub content: Vec<ContentStatus>,
    /// Only paths with a `Sig` line of this key name.
    pub key: Option<String>,
    /// Only this Compression word.
    pub compression: Option<String>,
    /// Only what the pin of this name keeps; `*`: what any pin keeps. Who knows the pins says
    /// by `roots` what that is.
    pub pin: Option<String>,
    /// Only what the closures of these paths hold.
    pub roots: Option<Vec<StorePathHash>>,
    /// Only the paths of this package: the name before the version.
    pub package: Option<String>,
    /// Only what is vouched for in this way.
    pub vouch: Option<Vouch>,
    /// Only what this uploader put; `-`: what has no receipt. Who knows the receipts says by
    /// `among` what that is.
    pub by: Option<String>,
    /// Only these paths.
    pub among: Option<Arc<HashSet<StorePathHash>>>,
    /// Only paths that no other refers to.
    pub unreferenced: bool,
    /// Only paths for whose content two people or more vouch, by `makers`.
    pub reproduced: bool,
    /// Who is behind which key, where that is asked: who knows the people says.
    pub makers: Option<Arc<Makers>>,
    /// Smallest NarSize, bytes.
    pub min: Option<u64>,
    /// Largest NarSize, bytes.
    pub max: Option<u64>,
    /// First seen at this time or later, seconds since 1970.
    pub since: Option<i64>,
    /// First seen before this time, seconds since 1970.
    pub until: Option<i64>,
    /// Rows of the page, 1 to [`MAX_LIMIT`].
    pub limit: usize,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// The number of the page's first row, from 0, in the place of a cursor. Beyond the last
    /// row there is nothing.
    pub offset: Option<u64>,
}

impl Default for PathQuery {
    fn default() -> Self {
        Self {
            q: String::new(),
            sort: Sort::default(),
            sig: Vec::new(),
            content: Vec::new(),
            key: None,
            compression: None,
            pin: None,
            roots: None,
            package: None,
            vouch: None,
            by: None,
            among: None,
            unreferenced: false,
            reproduced: false,
            makers: None,
            min: None,
            max: None,
            since: None,
            until: None,
            limit: DEFAULT_LIMIT,
            cursor: None,
            offset: None,
        }
    }
}

impl PathQuery {
    /// The row that the page begins at, where it is said by number.
    ///
    /// # Errors
    /// Where a cursor says it too.
    pub(super) fn beginning(&self) -> Result<Option<u64>, QueryError> {
        match (self.offset, &self.cursor) {
            (Some(offset), Some(_)) => Err(bad(
                "offset",
                &offset.to_string(),
                "a page begins at a row's number or at a cursor, not at both",
            )),
            (offset, _) => Ok(offset),
        }
    }

    /// From the pairs of a query string, decoded. Empty values count as absent.
    ///
    /// `min` and `max` are bytes of NarSize. `since` and `until` are RFC 3339 times or
    /// dates; `until` a date includes that day. `sig` and `content` may be lists with
    /// commas. `upstream` is refused: nothing is recorded about it.
    ///
    /// # Errors
    /// Names the parameter and what it may be.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, QueryError> {
        let mut query = Self::default();
        for (name, value) in pairs {
            query.set(name, value)?;
        }
        Ok(query)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), QueryError> {
        let given = !value.is_empty();
        match name {
            "q" if value.len() > MAX_TEXT => {
                return Err(bad("q", value, &format!("it has at most {MAX_TEXT} bytes")));
            }
            "q" => value.trim().clone_into(&mut self.q),
            "upstream" if given => return Err(not_recorded()),
            "upstream" => {}
            "by" => self.by = given.then(|| value.to_owned()),
            "package" => self.package = given.then(|| value.to_owned()),
            "vouch" if given => {
                let vouch = value.parse().map_err(|NoVouch| {
                    let allowed = "it is valid:, only:, invalid: or closure: with the name of a key, or closure";
                    bad("vouch", value, allowed)
                })?;
                self.vouch = Some(vouch);
            }
            "vouch" => self.vouch = None,
            "sort" if given => self.sort = value.parse()?,
            "sig" if given => self.sig = words("sig", value, &SignatureStatus::ALL)?,
            "content" if given => self.content = words("content", value, &ContentStatus::ALL)?,
            "key" => self.key = given.then(|| value.to_owned()),
            "compression" => self.compression = given.then(|| value.to_owned()),
            "pin" if given && value != "*" && !is_pin_name(value) => {
                return Err(bad("pin", value, "it is the name of a pin, or `*` for any"));
            }
            "pin" => self.pin = given.then(|| value.to_owned()),
            "unreferenced" if given => {
                self.unreferenced = match value {
                    "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err(bad("unreferenced", value, "it is true or false")),
                }
            }
            "reproduced" if given => {
                self.reproduced = match value {
                    "yes" | "true" | "1" => true,
                    "no" | "false" | "0" => false,
                    _ => return Err(bad("reproduced", value, "it is yes or no")),
                }
            }
            "min" if given => self.min = Some(bytes("min", value)?),
            "max" if given => self.max = Some(bytes("max", value)?),
            "since" if given => self.since = Some(instant("since", value, false)?),
            "until" if given => self.until = Some(instant("until", value, true)?),
            "limit" if given => {
                self.limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                    .ok_or_else(|| {
                        bad(
                            "limit",
                            value,
                            &format!("it is a number from 1 to {MAX_LIMIT}"),
                        )
                    })?;
            }
            "cursor" => self.cursor = given.then(|| value.to_owned()),
            "offset" if given => self.offset = Some(row("offset", value)?),
            "sort" | "sig" | "content" | "unreferenced" | "reproduced" | "min" | "max"
            | "since" | "until" | "limit" | "offset" => {}
            _ => return Err(QueryError::Unknown(excerpt(name))),
        }
        Ok(())
    }
}

fn not_recorded() -> QueryError {
    QueryError::NotRecorded {
        parameter: "upstream",
        reason: "other caches are not compared",
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_debug).collect()
}

fn bad(parameter: &'static str, value: &str, allowed: &str) -> QueryError {
    QueryError::BadValue {
        parameter,
        value: excerpt(value),
        allowed: allowed.to_owned(),
    }
}

fn words<T: Copy + PartialEq + std::fmt::Display>(
    parameter: &'static str,
    value: &str,
    all: &[T],
) -> Result<Vec<T>, QueryError> {
    value
        .split(',')
        .map(|word| {
            all.iter()
                .copied()
                .find(|known| known.to_string() == word)
                .ok_or_else(|| {
                    let known: Vec<String> = all.iter().map(ToString::to_string).collect();
                    bad(
                        parameter,
                        word,
                        &format!("it is one of {}", known.join(", ")),
                    )
                })
        })
        .collect()
}

/// The number of a row: an index has fewer than 2³² of them.
fn row(parameter: &'static str, value: &str) -> Result<u64, QueryError> {
    let number: Result<u32, _> = value.parse();
    number.map(u64::from).map_err(|_| {
        bad(
            parameter,
            value,
            "it is the number of a row, counted from 0",
        )
    })
}

fn bytes(parameter: &'static str, value: &str) -> Result<u64, QueryError> {
    value
        .parse()
        .map_err(|_| bad(parameter, value, "it is a number of bytes"))
}

/// A time, or a date: its beginning, or with `end` the beginning of the day after.
fn instant(parameter: &'static str, value: &str, end: bool) -> Result<i64, QueryError> {
    if let Ok(time) = OffsetDateTime::parse(value, &Rfc3339) {
        return Ok(time.unix_timestamp());
    }
    let date = Date::parse(value, format_description!("[year]-[month]-[day]")).ok();
    let date = if end {
        date.and_then(Date::next_day)
    } else {
        date
    };
    date.map(|date| date.with_time(Time::MIDNIGHT).assume_utc().unix_timestamp())
        .ok_or_else(|| {
            bad(
                parameter,
                value,
                "it is a date like 2026-11-23 or a time like 2026-11-23T12:00:00Z",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<PathQuery, QueryError> {
        PathQuery::from_pairs(pairs.iter().copied())
    }

    #[test]
    fn every_parameter_is_read() {
        let query = parse(&[
            ("q", " gcc 13 "),
            ("sort", "-added_at"),
            ("sig", "valid,unsigned"),
            ("content", "nar-missing"),
            ("key", "k-1"),
            ("compression", "xz"),
            ("pin", "prod"),
            ("unreferenced", "true"),
            ("reproduced", "yes"),
            ("min", "1"),
            ("max", "99"),
            ("since", "1970-01-02"),
            ("until", "1970-01-02"),
            ("limit", "200"),
            ("cursor", "abc"),
            ("offset", "7"),
        ]);
        assert_eq!(
            query,
            Ok(PathQuery {
                q: "gcc 13".into(),
                sort: Sort {
                    field: SortField::AddedAt,
                    descending: true
                },
                sig: vec![SignatureStatus::Valid, SignatureStatus::Unsigned],
                content: vec![ContentStatus::NarMissing],
                key: Some("k-1".into()),
                compression: Some("xz".into()),
                pin: Some("prod".into()),
                roots: None,
                unreferenced: true,
                reproduced: true,
                makers: None,
                min: Some(1),
                max: Some(99),
                since: Some(86_400),
                until: Some(172_800),
                limit: 200,
                cursor: Some("abc".into()),
                offset: Some(7),
                ..PathQuery::default()
            })
        );
    }

    #[test]
    fn an_empty_value_is_none() {
        let names = [
            "q",
            "sort",
            "sig",
            "content",
            "by",
            "pin",
            "package",
            "vouch",
            "key",
            "compression",
            "unreferenced",
            "upstream",
            "min",
            "max",
            "since",
            "until",
            "limit",
            "cursor",
            "offset",
        ];
        let pairs: Vec<(&str, &str)> = names.iter().map(|&name| (name, "")).collect();
        assert_eq!(parse(&pairs), Ok(PathQuery::default()));
    }

    #[test]
    fn a_bad_value_is_named_with_what_is_allowed() {
        for (name, value, part) in [
            ("sort", "size", "nar_size"),
            ("sig", "good", "valid-retired"),
            ("content", "valid,", "not-checked"),
            ("unreferenced", "yes", "true or false"),
            ("min", "1k", "bytes"),
            ("max", "-1", "bytes"),
            ("since", "yesterday", "2026-11-23"),
            ("limit", "0", "1 to 200"),
            ("limit", "201", "1 to 200"),
            ("pin", "Prod!", "name of a pin"),
            ("vouch", "good:team-1", "valid:"),
            ("vouch", "only:", "name of a key"),
            ("upstream", "true", "not compared"),
            ("page", "2", "`page`"),
        ] {
            let error = parse(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(name), "{error}");
        }
    }
}
