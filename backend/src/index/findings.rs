//! What is wrong in a cache: counted by check, and in pages.
//!
//! What the index can see for itself (a reference that is missing, a cycle, two
//! narinfos that disagree about one NAR) is computed from a view, once, when it
//! is first asked for, from what earlier views found ([`kept_findings`](super::kept_findings)). What others found (sync: objects that cannot be read or
//! fetched) is kept beside the rows.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use snowbank_shared::api::{CheckCount, Counted, Finding, Health, Severity};

use snowbank_shared::narinfo::object_key;

use super::key::base_text;
use super::op::{rank, severity_of};
use super::query::QueryError;
use super::view::{View, rfc3339};

/// Most findings of a page. Each page sorts all findings of its check.
pub const MAX_FINDINGS_LIMIT: usize = 10_000;
/// Missing references that a finding names.
const MAX_NAMED: usize = 5;
/// Paths that are named because they claim one NAR.
const MOST_DISPUTING: usize = 20;

/// A check of the index itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Check {
    ReferenceCycle,
    UrlDisagreement,
    NarMissing,
    NarHashMismatch,
    InvalidSignature,
    FileSizeMismatch,
    ReferenceMissing,
    MalformedSignature,
    KeyNameClash,
    RevokedSignature,
    Unsigned,
}

impl Check {
    fn code(self) -> &'static str {
        match self {
            Self::ReferenceCycle => "reference-cycle",
            Self::UrlDisagreement => "url-disagreement",
            Self::NarMissing => "nar-missing",
            Self::NarHashMismatch => "nar-hash-mismatch",
            Self::InvalidSignature => "invalid-signature",
            Self::FileSizeMismatch => "file-size-mismatch",
            Self::ReferenceMissing => "reference-missing",
            Self::MalformedSignature => "malformed-signature",
            Self::KeyNameClash => "key-name-clash",
            Self::RevokedSignature => "revoked-signature",
            Self::Unsigned => "unsigned",
        }
    }

    fn severity(self) -> Severity {
        match self {
            Self::ReferenceCycle
            | Self::UrlDisagreement
            | Self::NarMissing
            | Self::NarHashMismatch
            | Self::InvalidSignature => Severity::Error,
            _ => Severity::Warning,
        }
    }
}

/// Rows with something wrong, by check. Computed once per view.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct FindingIndex {
    pub(super) rows: BTreeMap<Check, Vec<u32>>,
    /// Rows that are withheld, by the code of their reason.
    pub(super) withheld: BTreeMap<String, Vec<u32>>,
}

/// A group of findings: errors first, then by code.
type Group<'a> = ((Severity, String), Source<'a>);

/// Where the findings of a check come from.
enum Source<'a> {
    Rows(Check, &'a [u32]),
    Withheld(&'a [u32]),
    Noted(Vec<&'a Finding>),
    Unreadable(Vec<&'a str>),
}

impl Source<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Rows(_, rows) | Self::Withheld(rows) => rows.len(),
            Self::Noted(findings) => findings.len(),
            Self::Unreadable(keys) => keys.len(),
        }
    }
}

impl View {
    /// How many findings there are, but for notes: nothing is wrong with those. The first call of a version looks at the paths that changed since
    /// an earlier one was asked, and at every path after a merge: run it off the reactor.
    pub fn finding_count(&self) -> u64 {
        self.groups()
            .iter()
            .filter(|((severity, _), _)| *severity != Severity::Note)
            .map(|(_, source)| source.len() as u64)
            .sum()
    }

    /// The paths with a reference that is not here.
    pub fn lacking(&self) -> Vec<super::view::Id> {
        let computed = self.findings.get_or_init(|| self.find_findings());
        let rows = computed.rows.get(&Check::ReferenceMissing);
        let rows = rows.into_iter().flatten();
        rows.map(|&row| super::view::Id(row)).collect()
    }

    /// What others found of one check, by object. Looks at these only.
    pub fn noted(&self, check: &str) -> impl Iterator<Item = &Finding> {
        let from = (check.to_owned(), String::new());
        let check = check.to_owned();
        self.notes
            .findings
            .range(from..)
            .take_while(move |((of, _), _)| *of == check)
            .map(|(_, finding)| finding)
    }

    /// A page of what is wrong, errors first, of one check or of all. The first call of a
    /// version looks at every path: run it off the reactor.
    ///
    /// # Errors
    /// [`QueryError::BadCursor`].
    pub fn health(
        &self,
        check: Option<&str>,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Health, QueryError> {
        let limit = limit.clamp(1, MAX_FINDINGS_LIMIT);
        let after = cursor.map(read_cursor).transpose()?;
        let groups = self.groups();
        let mut items = Vec::new();
        let mut total = 0;
        for group in groups.chunk_by(|a, b| a.0 == b.0) {
            let code = &group[0].0.1;
            if check.is_some_and(|check| check != code) {
                continue;
            }
            total += group
                .iter()
                .map(|(_, source)| source.len() as u64)
                .sum::<u64>();
            if items.len() > limit {
                continue;
            }
            let start = items.len();
            for (_, source) in group {
                items.extend(self.fill(code, source, after.as_ref(), limit + 1));
            }
            items[start..].sort_by(|a, b| a.object.cmp(&b.object));
        }
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(write_cursor);
        let mut checks: Vec<CheckCount> = Vec::new();
        for ((severity, code), source) in &groups {
            let count = source.len() as u64;
            match checks.last_mut() {
                Some(last) if last.check == *code && last.severity == *severity => {
                    last.count += count;
                }
                _ => checks.push(CheckCount {
                    check: code.clone(),
                    severity: *severity,
                    count,
                }),
            }
        }
        Ok(Health {
            checks,
            items,
            next,
            total,
            revision: self.revision().to_owned(),
            as_of: self.swept_at().map(rfc3339),
            counted: self.totals().bucket.as_ref().map(|bucket| Counted {
                narinfos: self.len(),
                objects: bucket.objects,
                at: rfc3339(bucket.began_at),
            }),
            affected: Vec::new(),
            days: Vec::new(),
            verification: None,
            missing: None,
        })
    }

    /// The first findings of one source that come after the cursor, by object.
    fn fill(
        &self,
        code: &str,
        source: &Source<'_>,
        after: Option<&Place>,
        room: usize,
    ) -> Vec<Finding> {
        let wanted = |severity: Severity, object: &str| {
            after.is_none_or(|after| (severity, code, object) > (after.0, &*after.1, &*after.2))
        };
        match source {
            Source::Rows(_, rows) | Source::Withheld(rows) => {
                let severity = match source {
                    Source::Rows(check, _) => check.severity(),
                    _ => Severity::Error,
                };
                let mut objects: Vec<(_, u32)> =
                    rows.iter().map(|&row| (self.graph.key(row), row)).collect();
                objects.sort_unstable();
                let objects = objects
                    .into_iter()
                    .map(|(key, row)| (key.narinfo_key(), row));
                let page = objects
                    .filter(|(object, _)| wanted(severity, object))
                    .take(room);
                page.map(|(object, row)| Finding {
                    check: code.to_owned(),
                    severity,
                    object,
                    line: None,
                    reason: match source {
                        Source::Rows(check, _) => self.reason(*check, row),
                        _ => self.withheld(super::view::Id(row)).unwrap_or_default(),
                    },
                    hash: Some(self.graph.key(row).to_string()),
                })
                .collect()
            }
            Source::Noted(findings) => {
                let page = findings
                    .iter()
                    .filter(|finding| wanted(finding.severity, &finding.object));
                page.take(room).map(|&finding| finding.clone()).collect()
            }
            Source::Unreadable(keys) => {
                let page = keys
                    .iter()
                    .filter(|key| wanted(Severity::Error, key))
                    .take(room);
                page.filter_map(|&key| {
                    let unreadable = self.notes.unreadable.get(key)?;
                    Some(Finding {
                        check: code.to_owned(),
                        severity: Severity::Error,
                        object: key.to_owned(),
                        line: unreadable.line,
                        reason: unreadable.reason.clone(),
                        hash: None,
                    })
                })
                .collect()
            }
        }
    }

    /// All findings in groups, errors first, then by code.
    fn groups(&self) -> Vec<Group<'_>> {
        let computed = self.findings.get_or_init(|| self.find_findings());
        let mut groups: Vec<Group<'_>> = Vec::new();
        for (check, rows) in &computed.rows {
            let key = (check.severity(), check.code().to_owned());
            groups.push((key, Source::Rows(*check, rows)));
        }
        for (code, rows) in &computed.withheld {
            groups.push(((Severity::Error, code.clone()), Source::Withheld(rows)));
        }
        let mut noted: BTreeMap<(Severity, String), Vec<&Finding>> = BTreeMap::new();
        for finding in self.notes.findings.values() {
            let key = (finding.severity, finding.check.clone());
            noted.entry(key).or_default().push(finding);
        }
        groups.extend(
            noted
                .into_iter()
                .map(|(key, findings)| (key, Source::Noted(findings))),
        );
        let mut unreadable: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (key, known) in &*self.notes.unreadable {
            unreadable.entry(&known.check).or_default().push(key);
        }
        groups.extend(
            unreadable
                .into_iter()
                .map(|(code, keys)| ((Severity::Error, code.to_owned()), Source::Unreadable(keys))),
        );
        groups.sort_by(|a, b| a.0.cmp(&b.0));
        groups
    }

    /// Whether narinfos that name one NAR say different things of it (ux/ground-truths.md, T2).
    pub(super) fn disagree(&self, rows: &[u32]) -> bool {
        if rows.len() < 2 {
            return false;
        }
        let mut rows = rows.iter().map(|&row| self.graph.row(row));
        let Some(first) = rows.next() else {
            return false;
        };
        let mut file_hash = first.layout.has_file_hash.then_some(first.fields.file_hash);
        for row in rows {
            let other = row.layout.has_file_hash.then_some(row.fields.file_hash);
            if row.fields.nar_hash != first.fields.nar_hash
                || file_hash.zip(other).is_some_and(|(a, b)| a != b)
            {
                return true;
            }
            file_hash = file_hash.or(other);
        }
        false
    }

    /// Base names of the paths whose narinfos name the NAR of this one and say another content.
    pub(super) fn disputed_by(&self, id: super::view::Id) -> Vec<String> {
        let mut key = Vec::new();
        self.graph.push_nar_key(id.0, &mut key);
        let sharing = self.graph.rows_of_nar(&key).into_iter();
        let others = sharing.filter(|&other| other != id.0 && self.disagree(&[id.0, other]));
        let named = others.take(MOST_DISPUTING);
        named
            .map(|row| base_text(self.graph.key(row), self.graph.name(row)))
            .collect()
    }

    /// What is wrong with a row, in words.
    fn reason(&self, check: Check, row: u32) -> String {
        let graph = &self.graph;
        let url = || self.url(super::view::Id(row));
        match check {
            Check::ReferenceCycle => "it refers to itself by way of other paths: Nix aborts when it substitutes it, so it is withheld".to_owned(),
            Check::UrlDisagreement => {
                let url = url();
                let others: Vec<String> = graph
                    .rows_of_nar(object_key(&url).as_bytes())
                    .into_iter()
                    .filter(|&other| other != row)
                    .take(MAX_NAMED)
                    .map(|other| base_text(graph.key(other), graph.name(other)))
                    .collect();
                format!("its NAR {url} is claimed by {} too, with another hash: one of them gets the wrong bytes", others.join(", "))
            }
            Check::NarMissing => format!("its NAR {} is not in the bucket: substituting it fails", url()),
            Check::NarHashMismatch => format!("its NAR {} is not the one that NarHash names", url()),
            Check::InvalidSignature => "a signature by a known key does not verify: it was made for something else, or the narinfo was changed".to_owned(),
            Check::FileSizeMismatch => format!("its NAR {} is not as long as FileSize says", url()),
            Check::ReferenceMissing => {
                let mut missing: Vec<String> = graph
                    .targets(row)
                    .iter()
                    .filter(|&&code| graph.resolve(code).is_none())
                    .map(|&code| {
                        let (key, name) = graph.base_name(code);
                        base_text(key, name)
                    })
                    .collect();
                let more = missing.len().saturating_sub(MAX_NAMED);
                missing.truncate(MAX_NAMED);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("it refers to {}{more}, not in this cache: clients need another cache for that", missing.join(", "))
            }
            Check::MalformedSignature => "a signature is not `name:base64` of 64 bytes: Nix 2.34 and later refuse the whole narinfo for some of these".to_owned(),
            Check::KeyNameClash => "several known keys have the name of its key: which one made the signature cannot be told".to_owned(),
            Check::RevokedSignature => "only suspended or revoked keys signed it: clients should no longer trust them".to_owned(),
            Check::Unsigned => "nobody signed it: clients refuse it unless signatures are turned off".to_owned(),
        }
    }
}

/// Where a finding stands in the list.
type Place = (Severity, String, String);

fn write_cursor(finding: &Finding) -> String {
    let severity = rank(finding.severity);
    BASE64.encode(format!("{severity}\n{}\n{}", finding.check, finding.object))
}

fn read_cursor(text: &str) -> Result<Place, QueryError> {
    let bytes = BASE64.decode(text).map_err(|_| QueryError::BadCursor)?;
    let text = String::from_utf8(bytes).map_err(|_| QueryError::BadCursor)?;
    let mut parts = text.splitn(3, '\n');
    let (Some(severity), Some(check), Some(object)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(QueryError::BadCursor);
    };
    let severity = severity.parse().ok().and_then(severity_of);
    let severity = severity.ok_or(QueryError::BadCursor)?;
    Ok((severity, check.to_owned(), object.to_owned()))
}
