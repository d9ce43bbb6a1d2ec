//! Looking: how a view follows the bucket.
//!
//! One listing of `records/`, then a GET for each object that differs from what is known. What
//! this process wrote while a look was under way is newer than what the look saw, and stays.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::envelope::{Believed, Envelope};
use super::kind::RecordPath;
use super::memory::Memory;
use super::missing::missing;
use super::view::{Grave, Slot, Token, Tombstone, Trouble, View};
use super::{Area, Ledger, LedgerError, lock};
use crate::bucket::{BucketError, ObjectMeta};

/// Where everything lies that is believed.
pub(super) const RECORDS: &str = "records/";
/// Where tombstones lie, below [`RECORDS`].
pub(super) const TOMBSTONES: &str = "tombstones/";
/// The witness, below [`RECORDS`].
pub(super) const WITNESS: &str = "witness";
/// Bulletins, below [`RECORDS`].
pub(super) const BULLETINS: &str = "bulletins/";
/// How long something that cannot be believed is left before it is fetched again.
const DOUBT: Duration = Duration::from_secs(15);
/// Objects fetched at once.
pub(super) const AT_ONCE: usize = 16;

/// What a fetched object is.
pub(super) enum Found {
    /// It verified.
    Believed(u64, Envelope),
    /// It is there and cannot be believed.
    Bad(Trouble),
    /// It was gone when it was asked for.
    Gone,
}

/// The name of an object below `records/`.
enum Name<'a> {
    Record(&'a str),
    Tombstone(&'a str),
    Witness,
    Bulletin(&'a str),
    Stray(&'a str),
}

impl<'a> Name<'a> {
    fn of(key: &'a str) -> Option<Self> {
        let name = key.strip_prefix(RECORDS)?;
        let known = |path: &str| {
            path.parse::<RecordPath>()
                .is_ok_and(|path| path.kind().is_some())
        };
        Some(if name == WITNESS {
            Self::Witness
        } else if let Some(path) = name.strip_prefix(TOMBSTONES).filter(|path| known(path)) {
            Self::Tombstone(path)
        } else if let Some(instance) = name.strip_prefix(BULLETINS).filter(|it| is_instance(it)) {
            Self::Bulletin(instance)
        } else if known(name) {
            Self::Record(name)
        } else {
            Self::Stray(name)
        })
    }
}

fn is_instance(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Ledger {
    /// Looks once, whole.
    ///
    /// # Errors
    /// Where the listing failed, or an object could not be fetched for now; what was fetched is
    /// taken in, and the view counts as old as it was.
    pub async fn look(&self) -> Result<(), LedgerError> {
        let area = self.area()?;
        let store = &self.0.params.store;
        let began = Instant::now();
        // What is learnt from here on may be of objects made after the listing.
        let remembered = lock(&self.0.memory).clone();
        let listing = store.list(RECORDS).await?;
        let known = self.view();
        let mut wanted = Vec::new();
        let mut witness = None;
        let mut bulletins = Vec::new();
        for meta in &listing {
            let token = Token::listed(meta);
            let held = match Name::of(&meta.key) {
                None | Some(Name::Stray(_)) => continue,
                Some(Name::Witness) => {
                    witness = Some(token);
                    continue;
                }
                Some(Name::Bulletin(instance)) => {
                    bulletins.push((instance.to_owned(), token));
                    continue;
                }
                Some(Name::Record(path)) => known.slots.get(path).map(Slot::held),
                Some(Name::Tombstone(path)) => known.graves.get(path).map(Grave::held),
            };
            let is_known = held.is_some_and(|(known, since, in_order)| {
                known.is_some_and(|known| known.is_of(&token))
                    && (in_order || began.duration_since(since) < DOUBT)
            });
            if !is_known {
                wanted.push((meta.key.clone(), token));
            }
        }
        self.look_at_witness(area, witness).await;
        let mut fetches = stream::iter(wanted)
            .map(|(key, token)| async move {
                let found = self.fetch(area, &key).await;
                (key, token, found)
            })
            .buffer_unordered(AT_ONCE);
        let mut fetched = Vec::new();
        let mut failed = None;
        while let Some((key, token, found)) = fetches.next().await {
            match found {
                Ok(found) => fetched.push((key, token, found)),
                Err(error) => failed = Some(error),
            }
        }
        drop(fetches);
        let mut listed: BTreeSet<&str> = listing.iter().map(|meta| meta.key.as_str()).collect();
        let asked = self.ask_for_missing(area, &remembered, &listed).await;
        listed.extend(asked.kept.iter().map(String::as_str));
        fetched.extend(asked.found);
        failed = failed.or(asked.failed);
        self.take_in(began, &remembered, &listed, &listing, fetched);
        for (instance, token) in bulletins {
            if let Err(error) = self.hear(&instance, token).await {
                tracing::debug!(instance, %error, "a bulletin could not be read now");
            }
        }
        match failed {
            Some(error) => Err(error.into()),
            None => {
                *lock(&self.0.looked) = Some(began);
                Ok(())
            }
        }
    }

    /// Fetches an object and opens it. What may pass is an error, what will not is a trouble.
    pub(super) async fn fetch(&self, area: &Area, key: &str) -> Result<Found, BucketError> {
        Ok(self.fetch_with_token(area, key).await?.1)
    }

    /// As [`Self::fetch`], with what tells the version from others, where there is one.
    pub(super) async fn fetch_with_token(
        &self,
        area: &Area,
        key: &str,
    ) -> Result<(Option<Token>, Found), BucketError> {
        let store = &self.0.params.store;
        let stored = match store.get(key).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok((None, Found::Gone)),
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => {
                let trouble = Trouble::Refused(error.to_string());
                return Ok((None, Found::Bad(trouble)));
            }
        };
        let found = self.opened(area, key, &stored.bytes);
        Ok((Some(Token::written(stored.bytes.len(), stored.etag)), found))
    }

    /// What sealed bytes say.
    pub(super) fn opened(&self, area: &Area, key: &str, bytes: &[u8]) -> Found {
        let full = format!("{}{key}", self.0.params.store.prefix());
        match area.sealer.open(&full, bytes) {
            Err(error) => Found::Bad(error.into()),
            Ok(opened) => match serde_json::from_slice(&opened.plain) {
                Ok(envelope) => Found::Believed(opened.sequence, envelope),
                Err(error) => Found::Bad(Trouble::Unreadable(error.to_string())),
            },
        }
    }

    /// Learns from the witness where it changed. That it cannot be read now is for the next look.
    async fn look_at_witness(&self, area: &Area, token: Option<Token>) {
        let Some(token) = token else { return };
        let is_known = |known: &Option<(Token, Memory)>| {
            known.as_ref().is_some_and(|(known, _)| known.is_of(&token))
        };
        if is_known(&lock(&self.0.witness)) {
            return;
        }
        if let Ok(Some(memory)) = self.read_witness(area).await {
            *lock(&self.0.witness) = Some((token, memory));
        }
    }

    /// Learns from the witness, if there is one.
    ///
    /// # Errors
    /// Where it cannot be read now.
    pub(super) async fn learn(&self) -> Result<(), LedgerError> {
        let area = self.area()?;
        self.read_witness(area).await?;
        Ok(())
    }

    /// What the witness knows, merged into the memory; nothing, where it does not verify.
    async fn read_witness(&self, area: &Area) -> Result<Option<Memory>, LedgerError> {
        let key = format!("{RECORDS}{WITNESS}");
        let Some(stored) = self.0.params.store.get(&key).await? else {
            return Ok(None);
        };
        let full = format!("{}{key}", self.0.params.store.prefix());
        let memory = area
            .sealer
            .open(&full, &stored.bytes)
            .ok()
            .and_then(|opened| serde_json::from_slice::<Memory>(&opened.plain).ok());
        match &memory {
            Some(memory) => {
                lock(&self.0.memory).merge(memory);
            }
            None => tracing::warn!(
                "the ledger's witness does not verify: only what this replica saw itself is remembered"
            ),
        }
        Ok(Some(memory.unwrap_or_default()))
    }

    /// Makes the view of a look.
    fn take_in(
        &self,
        began: Instant,
        remembered: &Memory,
        listed: &BTreeSet<&str>,
        listing: &[ObjectMeta],
        fetched: Vec<(String, Token, Found)>,
    ) {
        let now = OffsetDateTime::now_utc();
        let _changing = lock(&self.0.changing);
        let before = self.view();
        let mut view = View::clone(&before);
        let mut memory = lock(&self.0.memory);
        let mut changed = false;
        for (key, token, found) in fetched {
            changed |= match Name::of(&key) {
                Some(Name::Record(path)) => {
                    record(&mut view, &mut memory, began, path, token, found)
                }
                Some(Name::Tombstone(path)) => {
                    tombstone(&mut view, &mut memory, began, path, token, found)
                }
                _ => false,
            };
        }
        let strays: BTreeMap<Box<str>, Token> = listing
            .iter()
            .filter_map(|meta| match Name::of(&meta.key)? {
                Name::Stray(name) => Some((name.into(), Token::listed(meta))),
                _ => None,
            })
            .collect();
        changed |= view.strays != strays;
        view.strays = strays;
        memory.forget_expired(now);
        drop(memory);
        changed |= missing(&mut view, remembered, began, listed, now);
        if changed {
            self.publish(view);
        }
    }

    /// Shows a view. The lock on changing is held by the caller.
    pub(super) fn publish(&self, mut view: View) {
        view.revision += 1;
        let revision = view.revision;
        self.0.view.store(Arc::new(view));
        self.0.revision.send_replace(revision);
    }
}

/// Takes in a record's object. Says whether anything changed.
fn record(
    view: &mut View,
    memory: &mut Memory,
    began: Instant,
    path: &str,
    token: Token,
    found: Found,
) -> bool {
    let known = view.slots.get(path);
    if known.is_some_and(|known| known.known_at > began) {
        return false;
    }
    let seen = memory.records.get(path).map_or(0, |seen| seen.sequence);
    let mut slot = Slot {
        token: Some(token),
        known_at: began,
        believed: None,
        trouble: None,
    };
    match found {
        // The next look sees that it is gone from the listing too.
        Found::Gone => return false,
        Found::Bad(trouble) => slot.trouble = Some(trouble),
        Found::Believed(sequence, _) if sequence < seen => {
            slot.trouble = Some(Trouble::RolledBack {
                seen,
                found: sequence,
            });
        }
        Found::Believed(sequence, envelope) => {
            memory.saw(path, sequence, envelope.expires);
            slot.believed = Some(Arc::new(Believed::new(sequence, envelope)));
        }
    }
    view.slots.insert(path.into(), slot);
    true
}

/// Takes in a tombstone's object. Says whether anything changed.
fn tombstone(
    view: &mut View,
    memory: &mut Memory,
    began: Instant,
    path: &str,
    token: Token,
    found: Found,
) -> bool {
    if view
        .graves
        .get(path)
        .is_some_and(|known| known.known_at > began)
    {
        return false;
    }
    let (tombstone, expires, trouble) = match found {
        Found::Gone => return false,
        Found::Believed(_, envelope) => {
            memory.buried(path, envelope.expires);
            (Tombstone::of(&envelope), envelope.expires, None)
        }
        Found::Bad(trouble) => (
            Tombstone::unknown(),
            None,
            Some(Trouble::TombstoneForged(trouble.to_string())),
        ),
    };
    let grave = Grave {
        token: Some(token),
        known_at: began,
        tombstone,
        expires,
        trouble,
    };
    view.graves.insert(path.into(), grave);
    true
}

impl Tombstone {
    pub(super) fn of(envelope: &Envelope) -> Self {
        let reason = envelope.record.get("reason").and_then(|it| it.as_str());
        Self {
            at: Some(envelope.written_at()),
            author: Some(envelope.author.clone()),
            reason: reason.map(str::to_owned),
        }
    }

    pub(super) fn unknown() -> Self {
        Self {
            at: None,
            author: None,
            reason: None,
        }
    }
}
