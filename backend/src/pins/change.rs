//! Pinning, rolling back, unpinning.

use std::sync::Arc;

use snowbank_shared::api::pins::is_pin_name;
use snowbank_shared::store_path::{StorePath, StorePathHash};
use tokio::time::Instant;

use super::{KEPT, MOST_KEPT, MOST_NAMES, MOST_PINS, PinRecord};
use crate::auth::By;
use crate::auth::records::now;
use crate::bucket::BucketError;
use crate::condemned::{HOLDS, KeepError};
use crate::ledger::{LedgerError, RecordId, Scope};
use crate::site::{Cache, Site};
use crate::substituter::lookup;

/// Characters of a note at most.
const LONGEST_NOTE: usize = 200;
/// References that the index lacks and that are looked for in the bucket at most.
const MOST_LOOKS: usize = 200;
/// Missing references that a refusal names.
const MOST_NAMED: usize = 5;

/// What a pin is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The path.
    pub path: StorePathHash,
    /// The newest revision that was seen, 0 where there was none; `None`: whichever it is.
    pub expected: Option<u64>,
    /// What to say about it.
    pub note: String,
    /// How many revisions it keeps; `None`: as it was.
    pub keep: Option<u16>,
}

/// Why a pin was not changed. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// A value that cannot be.
    #[error("{0}")]
    Bad(String),
    /// There is no such pin.
    #[error("There is no pin `{0}` in this cache.")]
    Absent(String),
    /// The pin keeps no such revision.
    #[error("The pin `{name}` keeps no revision {number}.")]
    NoRevision {
        /// The pin's name.
        name: String,
        /// The revision that was asked for.
        number: u64,
    },
    /// Somebody else changed it meanwhile.
    #[error("The pin `{name}` is at revision {now}, and you saw {seen}: look again, then decide.")]
    Changed {
        /// The pin's name.
        name: String,
        /// Its newest revision; 0: it was unpinned, or never made.
        now: u64,
        /// The one that was seen.
        seen: u64,
    },
    /// The path is not in the cache.
    #[error("There is no path {0} in this cache: upload it first.")]
    NotHere(StorePathHash),
    /// Something that the path needs is not in the cache.
    #[error(
        "{name} cannot be pinned: {missing} of what it needs not here ({first}). Upload them, then pin it."
    )]
    Incomplete {
        /// The path's name.
        name: String,
        /// How many, with their verb.
        missing: String,
        /// The first of them.
        first: String,
    },
    /// Clients are not served something that the path needs.
    #[error(
        "{name} cannot be pinned: clients are not served {held}. Lift it from quarantine first, or pin another path."
    )]
    HeldBack {
        /// The path's name.
        name: String,
        /// What is held back.
        held: String,
    },
    /// The index does not know the whole cache yet.
    #[error(
        "The first index of this cache is still being built: what a path needs is not known yet. Try again when it is complete."
    )]
    Indexing,
    /// There are too many.
    #[error("{0}")]
    TooMany(String),
    /// The ledger did not take it.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A run of retention has it in hand.
    #[error("{0}.")]
    Keep(#[from] KeepError),
    /// The bucket could not say what is there.
    #[error("Whether everything is here could not be looked up: {0}")]
    Bucket(#[from] BucketError),
    /// The server failed.
    #[error("The server failed.")]
    Failed,
}

/// Makes a pin, or its next revision. Gives back the number of the revision; a pin that names this path
/// already gets none, and keeps its number.
///
/// # Errors
/// See [`PinError`]; nothing was changed then.
pub async fn pin(
    site: &Site,
    cache: &Arc<Cache>,
    name: &str,
    wish: &Wish,
    by: &By,
) -> Result<u64, PinError> {
    let id = named(name)?;
    let note = checked(&wish.note)?;
    if wish
        .keep
        .is_some_and(|keep| !(1..=MOST_KEPT).contains(&keep))
    {
        return Err(PinError::Bad(format!(
            "A pin keeps 1 to {MOST_KEPT} revisions."
        )));
    }
    let slug = cache.slug.as_str();
    let (live, names) = {
        let view = site.ledger.view();
        let records = view.list::<PinRecord>(Scope::Cache(slug));
        let others = records.filter(|pin| pin.id != id);
        others.fold((0, 0), |(live, names), pin| {
            (live + usize::from(pin.newest().is_some()), names + 1)
        })
    };
    if live >= MOST_PINS {
        return Err(PinError::TooMany(format!(
            "This cache has {live} pins, and {MOST_PINS} is the most: unpin some first."
        )));
    }
    if names >= MOST_NAMES {
        return Err(PinError::TooMany(format!(
            "{names} names of pins were given in this cache, and {MOST_NAMES} is the most: give an old name a new path instead."
        )));
    }
    // What a run is about to take out stays for it, with what it needs; what is gone is not here.
    let (slug, kept) = (cache.slug.as_str(), [wish.path]);
    let asked = Instant::now();
    cache
        .condemned
        .keep(&site.ledger, slug, &kept, None)
        .await?;
    let path = complete(site, cache, wish.path).await?;
    let entry = site
        .ledger
        .put(
            Scope::Cache(slug),
            &id,
            &by.actor,
            |current: Option<&PinRecord>| {
                let mut next = current.cloned().unwrap_or_else(|| PinRecord {
                    created_by: by.actor.clone(),
                    created_at: now(),
                    keep: KEPT,
                    last: 0,
                    revisions: Vec::new(),
                });
                expect(name, &next, wish.expected)?;
                if next.newest().is_none() {
                    // It begins again, as somebody else's.
                    next.created_by.clone_from(&by.actor);
                    next.created_at = now();
                }
                next.keep = wish.keep.unwrap_or(next.keep);
                let is_new = next.newest().is_none_or(|newest| newest.path != path);
                if is_new {
                    next.add(path.clone(), now(), &by.actor, &note);
                } else {
                    next.trim();
                }
                Ok::<_, PinError>(next)
            },
        )
        .await?;
    still_here(site, cache, wish.path, asked).await?;
    let revision = entry.last;
    let detail = [
        ("path", path.to_string()),
        ("revision", revision.to_string()),
        ("keeps", entry.keep.to_string()),
        ("note", note),
    ];
    site.access
        .note_in(slug, by, "pin.set", name, &detail)
        .await;
    Ok(revision)
}

/// Makes the path of an older revision the newest again. Gives back the new revision's number.
///
/// # Errors
/// See [`PinError`]; nothing was changed then.
pub async fn roll_back(
    site: &Site,
    cache: &Arc<Cache>,
    name: &str,
    to: u64,
    expected: u64,
    by: &By,
) -> Result<u64, PinError> {
    let slug = cache.slug.as_str();
    let known = super::one(&site.ledger, slug, name).ok_or_else(|| absent(name))?;
    let no_revision = || PinError::NoRevision {
        name: name.to_owned(),
        number: to,
    };
    let old = known.revision(to).ok_or_else(no_revision)?.path.hash();
    let asked = Instant::now();
    cache
        .condemned
        .keep(&site.ledger, slug, &[old], None)
        .await?;
    // What it needs may have gone since.
    let path = complete(site, cache, old).await?;
    let changed = site
        .ledger
        .update(
            Scope::Cache(slug),
            &known.id,
            &by.actor,
            |current: &PinRecord| {
                expect(name, current, Some(expected))?;
                let old = current.revision(to).ok_or_else(no_revision)?;
                if old.path != path {
                    return Err(no_revision());
                }
                let mut next = current.clone();
                let note = format!("rolled back to revision {to}");
                next.add(path.clone(), now(), &by.actor, &note);
                Ok(next)
            },
        )
        .await?;
    still_here(site, cache, old, asked).await?;
    let detail = [
        ("path", path.to_string()),
        ("revision", changed.last.to_string()),
        ("to", to.to_string()),
    ];
    site.access
        .note_in(slug, by, "pin.roll-back", name, &detail)
        .await;
    Ok(changed.last)
}

/// Ends a pin: it keeps nothing any more. Its name can be given again, and its numbers go on.
///
/// # Errors
/// See [`PinError`]; nothing was changed then.
pub async fn unpin(
    site: &Site,
    cache: &Arc<Cache>,
    name: &str,
    expected: u64,
    by: &By,
) -> Result<(), PinError> {
    let slug = cache.slug.as_str();
    let known = super::one(&site.ledger, slug, name).ok_or_else(|| absent(name))?;
    site.ledger
        .update(
            Scope::Cache(slug),
            &known.id,
            &by.actor,
            |current: &PinRecord| {
                expect(name, current, Some(expected))?;
                let mut next = current.clone();
                next.revisions.clear();
                Ok::<_, PinError>(next)
            },
        )
        .await?;
    let path = known.newest().map(|newest| newest.path.to_string());
    let detail = [
        ("path", path.unwrap_or_default()),
        ("revision", known.last.to_string()),
    ];
    site.access
        .note_in(slug, by, "pin.remove", name, &detail)
        .await;
    Ok(())
}

fn absent(name: &str) -> PinError {
    PinError::Absent(name.chars().take(64).collect())
}

fn named(name: &str) -> Result<RecordId, PinError> {
    let id = name.parse().ok().filter(|_| is_pin_name(name));
    id.ok_or_else(|| {
        PinError::Bad(
            "A pin's name is 1 to 64 lower-case letters, digits, `.`, `_` and `-`, and begins with a letter or digit.".to_owned(),
        )
    })
}

fn checked(note: &str) -> Result<String, PinError> {
    let note = note.trim();
    if note.chars().count() > LONGEST_NOTE || note.chars().any(char::is_control) {
        return Err(PinError::Bad(format!(
            "A note is one line of {LONGEST_NOTE} characters at most."
        )));
    }
    Ok(note.to_owned())
}

/// Whether a pin is as the caller saw it.
fn expect(name: &str, current: &PinRecord, expected: Option<u64>) -> Result<(), PinError> {
    let now = current.newest().map_or(0, |newest| newest.number);
    match expected {
        Some(seen) if seen != now => Err(PinError::Changed {
            name: name.to_owned(),
            now,
            seen,
        }),
        _ => Ok(()),
    }
}

/// What the index finds of a path and its closure.
enum Found {
    Complete(StorePath),
    NotHere,
    Lacks(String, Vec<String>),
    HeldBack(String, String),
}

/// Looks again where writing a pin took so long that a run may have taken its path out meanwhile. Where it
/// has, the pin is written and names what is not here, and whoever pinned it hears of that.
async fn still_here(
    site: &Site,
    cache: &Arc<Cache>,
    path: StorePathHash,
    asked: Instant,
) -> Result<(), PinError> {
    if asked.elapsed() <= HOLDS {
        return Ok(());
    }
    let slug = cache.slug.as_str();
    cache
        .condemned
        .keep(&site.ledger, slug, &[path], None)
        .await?;
    complete(site, cache, path).await.map(|_| ())
}

/// The path, where everything that it needs is here and served. What the index lacks is looked for in
/// the bucket.
async fn complete(
    site: &Site,
    cache: &Arc<Cache>,
    hash: StorePathHash,
) -> Result<StorePath, PinError> {
    let mut looks = 0;
    loop {
        let (name, missing) = match found(site, cache, hash).await? {
            Found::Complete(path) => return Ok(path),
            Found::HeldBack(name, held) => return Err(PinError::HeldBack { name, held }),
            Found::NotHere => (None, vec![hash.to_string()]),
            Found::Lacks(name, missing) => (Some(name), missing),
        };
        if !cache.is_complete() {
            return Err(PinError::Indexing);
        }
        let mut brought = false;
        for lacking in &missing {
            let lacking = lacking.split('-').next().unwrap_or_default();
            let Ok(lacking) = lacking.parse() else {
                continue;
            };
            looks += 1;
            if looks > MOST_LOOKS {
                break;
            }
            brought |= lookup::bring(cache, lacking).await?;
        }
        if brought && looks <= MOST_LOOKS {
            continue;
        }
        return Err(match name {
            None => PinError::NotHere(hash),
            Some(name) => PinError::Incomplete {
                name,
                missing: match missing.len() {
                    1 => "1 path is".to_owned(),
                    more => format!("{more} paths are"),
                },
                first: missing
                    .iter()
                    .take(MOST_NAMED)
                    .map(String::as_str)
                    .collect::<Vec<_>>()
                    .join(", "),
            },
        });
    }
}

async fn found(site: &Site, cache: &Arc<Cache>, hash: StorePathHash) -> Result<Found, PinError> {
    let turn = Arc::clone(&site.heavy).acquire_owned().await;
    let turn = turn.map_err(|_| PinError::Failed)?;
    let cache = Arc::clone(cache);
    let work = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let view = cache.index.view();
        let Some(id) = view.find(&hash) else {
            return Some(Found::NotHere);
        };
        let name = view.name(id).to_owned();
        let missing = view.missing(id);
        if !missing.is_empty() {
            return Some(Found::Lacks(name, missing));
        }
        let held = view
            .closure_ids(id)
            .into_iter()
            .find(|&id| view.withheld(id).is_some() || cache.holds_back(&view, id));
        if let Some(held) = held {
            let held = format!("{}-{}", view.hash(held), view.name(held));
            return Some(Found::HeldBack(name, held));
        }
        let path = StorePath::new(hash, &name).ok()?;
        Some(Found::Complete(path))
    });
    work.await.ok().flatten().ok_or(PinError::Failed)
}
