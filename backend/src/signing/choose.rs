//! Which paths a job is about, and what it would do by what the index knows.

use std::collections::BTreeMap;

use snowbank_shared::api::SignatureStatus;
use snowbank_shared::api::signing::{
    ContentRule, JobAct, JobEstimate, JobWish, MOST_NAMED, Requests, SkipReason,
};
use snowbank_shared::signature::PublicKey;
use snowbank_shared::store_path::StorePathHash;

use super::SigningError;
use super::record::{Selected, skip_counts};
use crate::index::{Id, PathQuery, View};
use crate::pins;
use crate::site::{Cache, Site};
use crate::web::query;

/// Characters of a filter at most.
const LONGEST_FILTER: usize = 2_000;
/// Characters of a reason at most.
const LONGEST_REASON: usize = 200;
/// Signatures of a narinfo at most.
pub(super) const MOST_SIGNATURES: usize = 16;

/// What is asked of a job, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub(super) act: JobAct,
    pub(super) key: Key,
    pub(super) selected: Selected,
    pub(super) content: ContentRule,
    pub(super) leave_unsigned: bool,
    pub(super) reason: String,
}

/// Whose signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// Added: by this key.
    Adds(PublicKey),
    /// Removed: of all keys of this name.
    Removes(String),
}

impl Key {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Adds(key) => key.name(),
            Self::Removes(name) => name,
        }
    }
}

impl Order {
    /// Checks a wish. The key that adds has to be at hand.
    ///
    /// # Errors
    /// Says what cannot be, for who asked.
    pub fn of(site: &Site, cache: &Cache, wish: &JobWish) -> Result<Self, SigningError> {
        let bad = |text: String| Err(SigningError::Bad(text));
        let reason = wish.reason.trim();
        if reason.chars().count() > LONGEST_REASON {
            return bad(format!("A reason has up to {LONGEST_REASON} characters."));
        }
        if wish.act == JobAct::Strip && reason.is_empty() {
            return bad("Removing signatures needs a reason: the audit keeps it.".to_owned());
        }
        let key = match wish.act {
            JobAct::CounterSign => Key::Adds(adding(cache, wish.key.as_deref())?),
            JobAct::Strip => match wish.key.as_deref().map(str::trim) {
                Some(name) if !name.is_empty() && name.len() <= 200 => {
                    Key::Removes(name.to_owned())
                }
                _ => return bad("Name the key whose signatures are removed.".to_owned()),
            },
        };
        let selected = match (wish.paths.as_slice(), &wish.filter) {
            ([], Some(filter)) => {
                let filter = filter.trim_start_matches('?');
                if filter.len() > LONGEST_FILTER {
                    return bad(format!("A filter has up to {LONGEST_FILTER} characters."));
                }
                let selected = Selected::Filter(filter.to_owned());
                asked(site, cache, filter)?;
                selected
            }
            ([], None) => return bad("Name paths, or say by `filter` which.".to_owned()),
            (_, Some(_)) => return bad("Name paths or a filter, not both.".to_owned()),
            (paths, None) if paths.len() > MOST_NAMED => {
                return bad(format!("Name {MOST_NAMED} paths at most, or a filter."));
            }
            (paths, None) => {
                let hash = |text: &String| {
                    let hash = text.rsplit('/').next().unwrap_or_default();
                    let hash = hash.split('-').next().unwrap_or_default();
                    hash.parse::<StorePathHash>().map_err(|_| {
                        SigningError::Bad("One of the paths is not a store path's hash.".to_owned())
                    })
                };
                let mut hashes = paths.iter().map(hash).collect::<Result<Vec<_>, _>>()?;
                hashes.sort_unstable();
                hashes.dedup();
                Selected::Paths(hashes)
            }
        };
        Ok(Self {
            act: wish.act,
            key,
            selected,
            content: wish.content,
            leave_unsigned: wish.leave_unsigned,
            reason: reason.to_owned(),
        })
    }

    /// What it would do. Looks at every path of the selection: call it off the reactor.
    ///
    /// # Errors
    /// Where the filter means nothing any more.
    pub fn estimate(&self, site: &Site, cache: &Cache) -> Result<JobEstimate, SigningError> {
        let view = cache.index.view();
        let mut skipped: BTreeMap<SkipReason, u64> = BTreeMap::new();
        let (mut total, mut change, mut same, mut read_bytes, mut write_bytes) = (0, 0, 0, 0, 0);
        let mut archives = 0;
        for hash in chosen(site, cache, &view, &self.selected, None)? {
            total += 1;
            let Some(id) = view.find(&hash) else {
                *skipped.entry(SkipReason::Gone).or_default() += 1;
                continue;
            };
            match self.foreseen(cache, &view, id) {
                Foreseen::Same => same += 1,
                Foreseen::Skip(reason) => *skipped.entry(reason).or_default() += 1,
                Foreseen::Change => {
                    change += 1;
                    write_bytes += view.narinfo_bytes(id).len() as u64;
                    if self.reads_archives() {
                        archives += 1;
                        let size = view.file_size(id).unwrap_or_default();
                        read_bytes += size;
                    }
                }
            }
        }
        Ok(JobEstimate {
            key: self.key.name().to_owned(),
            total,
            change,
            same,
            skipped: skip_counts(&skipped),
            read_bytes,
            write_bytes,
            requests: Requests {
                get: total + archives,
                put: change,
            },
            revision: view.revision().to_owned(),
            complete: cache.is_complete(),
        })
    }

    /// How many paths it is about. Looks at every path: call it off the reactor.
    ///
    /// # Errors
    /// Where the filter means nothing any more.
    pub(super) fn count(&self, site: &Site, cache: &Cache) -> Result<u64, SigningError> {
        let view = cache.index.view();
        Ok(chosen(site, cache, &view, &self.selected, None)?.len() as u64)
    }

    pub(super) fn reads_archives(&self) -> bool {
        self.act == JobAct::CounterSign && self.content == ContentRule::Verify
    }

    /// What would become of a path, by what the index knows.
    fn foreseen(&self, cache: &Cache, view: &View, id: Id) -> Foreseen {
        use SignatureStatus::{Invalid, Malformed, NotNeeded, Valid};
        let has = view.verdicts(id).any(|(name, word)| {
            let counts = self.act == JobAct::Strip || !matches!(word, Invalid | Malformed);
            name == self.key.name() && counts
        });
        match self.act {
            JobAct::CounterSign if has => return Foreseen::Same,
            JobAct::Strip if !has => return Foreseen::Same,
            JobAct::CounterSign | JobAct::Strip => {}
        }
        if self.act == JobAct::Strip {
            let left = view.signature(id) == NotNeeded
                || view
                    .verdicts(id)
                    .any(|(name, word)| word == Valid && name != self.key.name());
            return match left || self.leave_unsigned {
                true => Foreseen::Change,
                false => Foreseen::Skip(SkipReason::OnlySignature),
            };
        }
        if cache.holds_back(view, id) {
            return Foreseen::Skip(SkipReason::HeldBack);
        }
        if view.withheld(id).is_some() {
            return Foreseen::Skip(SkipReason::Unsafe);
        }
        if view.verdicts(id).count() >= MOST_SIGNATURES {
            return Foreseen::Skip(SkipReason::TooMany);
        }
        if self.content == ContentRule::AcceptSignature
            && !view.verdicts(id).any(|(_, word)| word == Valid)
        {
            return Foreseen::Skip(SkipReason::NotVouched);
        }
        Foreseen::Change
    }
}

enum Foreseen {
    Change,
    Same,
    Skip(SkipReason),
}

/// The key of this name, whose secret is at hand; without a name the one that signs.
fn adding(cache: &Cache, name: Option<&str>) -> Result<PublicKey, SigningError> {
    let now = cache.keys.now();
    let key = match name.filter(|name| !name.is_empty()) {
        None => now.sign.first().cloned(),
        Some(name) => now.trusted.iter().find(|key| key.name() == name).cloned(),
    };
    let key = key.ok_or_else(|| {
        SigningError::Bad(match name {
            Some(_) => {
                "The cache has no key of this name that clients are told to trust.".to_owned()
            }
            None => "The cache has no key that signs.".to_owned(),
        })
    })?;
    match cache.keys.secret(&key) {
        Some(_) => Ok(key),
        None => Err(SigningError::Bad(format!(
            "This server does not hold the secret key of {}: sign batches on the machine that does.",
            key.name()
        ))),
    }
}

/// A filter as a question to the index.
fn asked(site: &Site, cache: &Cache, filter: &str) -> Result<PathQuery, SigningError> {
    let bad = |text: String| SigningError::Bad(format!("The filter means nothing: {text}."));
    let pairs = query::pairs(Some(filter)).map_err(|error| bad(error.to_string()))?;
    let pairs = pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let mut query = PathQuery::from_pairs(pairs).map_err(|error| bad(error.to_string()))?;
    if let Some(pin) = &query.pin {
        let roots = pins::roots(&site.ledger, cache.slug.as_str(), pin);
        query.roots = Some(roots.ok_or_else(|| bad("there is no such pin".to_owned()))?);
    }
    Ok(query)
}

/// The paths of a selection after a cursor, in the order of their texts. Looks at every path: call it
/// off the reactor.
///
/// # Errors
/// Where the filter means nothing any more.
pub(super) fn chosen(
    site: &Site,
    cache: &Cache,
    view: &View,
    selected: &Selected,
    after: Option<StorePathHash>,
) -> Result<Vec<StorePathHash>, SigningError> {
    let mut hashes = match selected {
        Selected::Paths(paths) => paths.clone(),
        Selected::Filter(filter) => {
            let ids = view.query_all(&asked(site, cache, filter)?);
            ids.into_iter().map(|id| view.hash(id)).collect()
        }
    };
    hashes.retain(|hash| after.is_none_or(|after| *hash > after));
    hashes.sort_unstable();
    Ok(hashes)
}
