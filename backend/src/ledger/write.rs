//! Writing records: compare and retry, so that no change is lost and none is made twice.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::envelope::{Believed, Envelope};
use super::error::{LedgerError, MOST_RECORD};
use super::kind::{Kind, Record, RecordId, RecordPath, Scope};
use super::opening::Phase;
use super::refresh::{Found, RECORDS, TOMBSTONES};
use super::store::When;
use super::view::{Entry, Grave, Slot, Token, Tombstone, Trouble};
use super::{Area, Freshness, Ledger, lock, seal};
use crate::bucket::{BucketError, BucketErrorKind, ETag};
use crate::secrets::{self, SecretError};

/// Conflicts in a row after which a write is given up.
const CONFLICTS: u32 = 24;

/// A record's object as it lies in the bucket.
pub(super) struct Current {
    pub(super) believed: Arc<Believed>,
    etag: Option<ETag>,
}

/// The next version of a record.
pub(super) struct Next {
    pub(super) record: serde_json::Value,
    /// When it ends by itself, seconds since 1970.
    pub(super) expires: Option<i64>,
}

impl Ledger {
    /// The area, once it is known to be ours.
    pub(super) fn area(&self) -> Result<&Area, LedgerError> {
        self.0
            .open
            .get()
            .ok_or_else(|| LedgerError::Closed(self.0.phase.borrow().to_string()))
    }

    /// The area, where it may be written now.
    pub(super) fn writable(&self) -> Result<&Area, LedgerError> {
        let area = self.area()?;
        match &*self.0.phase.borrow() {
            Phase::Open => {}
            phase => return Err(LedgerError::Closed(phase.to_string())),
        }
        if !area.heeds_conditions() && !self.holds_pen() {
            return Err(LedgerError::Closed(
                "its store does not answer the one server that may write".to_owned(),
            ));
        }
        match self.freshness() {
            Freshness::Lost(age) => Err(LedgerError::Lost(age)),
            Freshness::Never => Err(LedgerError::Closed("it was not read yet".to_owned())),
            _ => Ok(area),
        }
    }

    /// Makes a record. `author` is who does it, such as `member:…`.
    ///
    /// # Errors
    /// [`LedgerError::Exists`] where there is one, also one that has expired;
    /// [`LedgerError::Buried`] where there was one; else see [`LedgerError`].
    pub async fn create<R: Record>(
        &self,
        scope: Scope<'_>,
        id: &RecordId,
        author: &str,
        record: R,
    ) -> Result<Entry<R>, LedgerError> {
        let path = RecordPath::new(R::KIND, scope, id);
        let exists = LedgerError::Exists(path.clone());
        let mut record = Some(record);
        self.write(
            path,
            author,
            move |current: Option<&Arc<R>>| match current {
                None => record.take().ok_or_else(|| exists.clone()),
                Some(_) => Err(exists.clone()),
            },
        )
        .await
    }

    /// Changes a record: `change` gets the newest version and makes the next. It is called again
    /// where another writer was faster; what it refuses is refused.
    ///
    /// # Errors
    /// [`LedgerError::Absent`] where there is none, what `change` says, else see [`LedgerError`].
    pub async fn update<R: Record, E: From<LedgerError>>(
        &self,
        scope: Scope<'_>,
        id: &RecordId,
        author: &str,
        mut change: impl FnMut(&R) -> Result<R, E>,
    ) -> Result<Entry<R>, E> {
        let path = RecordPath::new(R::KIND, scope, id);
        let absent = path.clone();
        self.write(
            path,
            author,
            move |current: Option<&Arc<R>>| match current {
                Some(current) => change(current),
                None => Err(LedgerError::Absent(absent.clone()).into()),
            },
        )
        .await
    }

    /// As [`update`](Self::update), and makes the record where there is none.
    ///
    /// # Errors
    /// What `change` says, else see [`LedgerError`].
    pub async fn put<R: Record, E: From<LedgerError>>(
        &self,
        scope: Scope<'_>,
        id: &RecordId,
        author: &str,
        mut change: impl FnMut(Option<&R>) -> Result<R, E>,
    ) -> Result<Entry<R>, E> {
        let path = RecordPath::new(R::KIND, scope, id);
        self.write(path, author, move |current: Option<&Arc<R>>| {
            change(current.map(|current| &**current))
        })
        .await
    }

    /// Revokes a record for ever: the tombstone first, then the record goes. That there is
    /// no record, or one that cannot be believed, is no obstacle.
    ///
    /// # Errors
    /// See [`LedgerError`]. A tombstone that is there already is none.
    pub async fn tombstone(
        &self,
        kind: Kind,
        scope: Scope<'_>,
        id: &RecordId,
        author: &str,
        reason: &str,
    ) -> Result<(), LedgerError> {
        let path = RecordPath::new(kind, scope, id);
        self.bury(&path, author, reason).await
    }

    pub(super) async fn bury(
        &self,
        path: &RecordPath,
        author: &str,
        reason: &str,
    ) -> Result<(), LedgerError> {
        let area = self.writable()?;
        let _writing = self.0.writing.lock().await;
        let store = &self.0.params.store;
        // A record that ends by itself needs its tombstone no longer than that.
        let view = self.view();
        let believed = view
            .slots
            .get(path.as_str())
            .and_then(|slot| slot.believed.as_ref());
        let envelope = Envelope {
            write: fresh_id()?,
            recent: Vec::new(),
            at: OffsetDateTime::now_utc().unix_timestamp(),
            author: author.to_owned(),
            expires: believed.and_then(|believed| believed.envelope.expires),
            record: json!({ "reason": reason }),
        };
        let key = format!("{RECORDS}{TOMBSTONES}{path}");
        let sealed = self.sealed(area, &key, 1, &envelope)?;
        let size = sealed.len();
        match store.put(&key, sealed, &When::Absent).await {
            Ok(written) => {
                let _changing = lock(&self.0.changing);
                let mut view = super::View::clone(&self.view());
                lock(&self.0.memory).buried(path.as_str(), envelope.expires);
                let grave = Grave {
                    token: Some(Token::written(size, written.etag)),
                    known_at: Instant::now(),
                    tombstone: Tombstone::of(&envelope),
                    expires: envelope.expires,
                    trouble: None,
                };
                view.graves.insert(path.as_str().into(), grave);
                view.slots.remove(path.as_str());
                self.publish(view);
            }
            Err(error) if error.kind() == BucketErrorKind::PreconditionFailed => {}
            Err(error) => return Err(error.into()),
        }
        if let Err(error) = store.delete(&format!("{RECORDS}{path}")).await {
            // It counts no more; housekeeping removes it later.
            tracing::warn!(record = %path, %error, "a revoked record could not be removed yet");
        }
        Ok(())
    }

    /// Writes the next version of a typed record.
    async fn write<R: Record, E: From<LedgerError>>(
        &self,
        path: RecordPath,
        author: &str,
        mut change: impl FnMut(Option<&Arc<R>>) -> Result<R, E>,
    ) -> Result<Entry<R>, E> {
        let unreadable = |what: String| LedgerError::Unbelievable {
            path: path.clone(),
            trouble: Trouble::Unreadable(what),
        };
        let of_another_version = || unreadable("it is of another version".to_owned());
        let believed = self
            .write_value(&path, author, |current| {
                let before = match current {
                    Some(current) => Some(current.decode::<R>().ok_or_else(of_another_version)?),
                    None => None,
                };
                let next = change(before.as_ref())?;
                let record =
                    serde_json::to_value(&next).map_err(|error| unreadable(error.to_string()))?;
                let expires = next.expires_at().map(OffsetDateTime::unix_timestamp);
                Ok::<_, E>(Next { record, expires })
            })
            .await?;
        let record = believed.decode::<R>().ok_or_else(of_another_version)?;
        Ok(Entry {
            id: path.id(),
            sequence: believed.sequence,
            changed_at: believed.envelope.written_at(),
            changed_by: believed.envelope.author.clone(),
            record,
        })
    }

    /// Writes the next version of a record: reads, lets `change` make the next, writes where
    /// nothing changed meanwhile, and again where something did.
    pub(super) async fn write_value<E: From<LedgerError>>(
        &self,
        path: &RecordPath,
        author: &str,
        mut change: impl FnMut(Option<&Believed>) -> Result<Next, E>,
    ) -> Result<Arc<Believed>, E> {
        let area = self.writable()?;
        let _writing = self.0.writing.lock().await;
        let write = fresh_id().map_err(LedgerError::from)?;
        for conflict in 0..CONFLICTS {
            if conflict > 0 {
                tokio::time::sleep(pause(conflict)).await;
            }
            self.not_buried(path).await?;
            let current = self.current(area, path).await?;
            if let Some(current) = &current
                && current.believed.envelope.includes(&write)
            {
                // It was written at an earlier try, and others went on from there.
                return Ok(self.adopt(path, &current.believed, Token::written(0, None)));
            }
            let now = OffsetDateTime::now_utc();
            if let Some(current) = &current
                && current.believed.envelope.has_expired(now)
            {
                return Err(LedgerError::Exists(path.clone()).into());
            }
            let before = current.as_ref().map(|current| &*current.believed);
            let next = change(before.filter(|before| !before.envelope.is_void()))?;
            let envelope = Envelope {
                write: write.clone(),
                recent: before
                    .map(|before| before.envelope.lineage())
                    .unwrap_or_default(),
                at: now.unix_timestamp(),
                author: author.to_owned(),
                expires: next.expires,
                record: next.record,
            };
            let sequence = before.map_or(0, |before| before.sequence) + 1;
            let when = match current {
                None => When::Absent,
                Some(Current {
                    etag: Some(etag), ..
                }) => When::Unchanged(etag),
                Some(_) => When::Always,
            };
            match self.put_record(area, path, sequence, envelope, &when).await {
                Ok(believed) => return Ok(believed),
                Err(LedgerError::Bucket(error)) if is_conflict(&error, &when) => {}
                Err(error @ LedgerError::Bucket(_)) => {
                    // The answer may have got lost, and not the write.
                    let landed = self.current(area, path).await.ok().flatten();
                    return match landed {
                        Some(landed) if landed.believed.envelope.includes(&write) => {
                            Ok(self.adopt(path, &landed.believed, Token::written(0, None)))
                        }
                        _ => Err(error.into()),
                    };
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(LedgerError::Contended(path.clone()).into())
    }

    /// Seals a version, sends it and shows it.
    pub(super) async fn put_record(
        &self,
        area: &Area,
        path: &RecordPath,
        sequence: u64,
        envelope: Envelope,
        when: &When,
    ) -> Result<Arc<Believed>, LedgerError> {
        let key = format!("{RECORDS}{path}");
        let sealed = self.sealed(area, &key, sequence, &envelope)?;
        let size = sealed.len();
        if size > MOST_RECORD {
            let path = path.clone();
            return Err(LedgerError::TooLarge { path, size });
        }
        let written = self.0.params.store.put(&key, sealed, when).await?;
        if *when == When::Absent
            && let Err(buried @ LedgerError::Buried(_)) = self.not_buried(path).await
        {
            // Between the look for a tombstone and the write another was made and revoked.
            self.0.params.store.delete(&key).await?;
            return Err(buried);
        }
        let believed = Arc::new(Believed::new(sequence, envelope));
        Ok(self.adopt(path, &believed, Token::written(size, written.etag)))
    }

    /// Whether the record has no tombstone, here or in the bucket.
    async fn not_buried(&self, path: &RecordPath) -> Result<(), LedgerError> {
        let is_known = self.view().graves.contains_key(path.as_str());
        let key = format!("{RECORDS}{TOMBSTONES}{path}");
        if is_known || self.0.params.store.get(&key).await?.is_some() {
            return Err(LedgerError::Buried(path.clone()));
        }
        Ok(())
    }

    /// The record as it lies in the bucket, where it can be believed.
    pub(super) async fn current(
        &self,
        area: &Area,
        path: &RecordPath,
    ) -> Result<Option<Current>, LedgerError> {
        let key = format!("{RECORDS}{path}");
        let stored = self.0.params.store.get(&key).await?;
        let seen = lock(&self.0.memory).records.get(path.as_str()).copied();
        let trouble = match stored {
            None => {
                let now = OffsetDateTime::now_utc().unix_timestamp();
                match seen {
                    Some(seen) if seen.expires.is_none_or(|expires| expires > now) => {
                        Trouble::Vanished {
                            seen: seen.sequence,
                        }
                    }
                    _ => return Ok(None),
                }
            }
            Some(stored) => match self.opened(area, &key, &stored.bytes) {
                Found::Believed(sequence, envelope) => match seen {
                    Some(seen) if seen.sequence > sequence => Trouble::RolledBack {
                        seen: seen.sequence,
                        found: sequence,
                    },
                    _ => {
                        return Ok(Some(Current {
                            believed: Arc::new(Believed::new(sequence, envelope)),
                            etag: stored.etag,
                        }));
                    }
                },
                Found::Bad(trouble) => trouble,
                Found::Gone => return Ok(None),
            },
        };
        Err(LedgerError::Unbelievable {
            path: path.clone(),
            trouble,
        })
    }

    /// Seals an envelope for a key of the area.
    pub(super) fn sealed(
        &self,
        area: &Area,
        key: &str,
        sequence: u64,
        envelope: &Envelope,
    ) -> Result<bytes::Bytes, LedgerError> {
        let plain = serde_json::to_vec(envelope).unwrap_or_default();
        self.seal_plain(area, key, sequence, &plain)
    }

    /// Shows a version that is in the bucket.
    fn adopt(&self, path: &RecordPath, believed: &Arc<Believed>, token: Token) -> Arc<Believed> {
        let _changing = lock(&self.0.changing);
        let mut view = super::View::clone(&self.view());
        let newer = view
            .slots
            .get(path.as_str())
            .and_then(|slot| slot.believed.as_ref())
            .is_some_and(|known| known.sequence > believed.sequence);
        if !newer {
            let expires = believed.envelope.expires;
            lock(&self.0.memory).saw(path.as_str(), believed.sequence, expires);
            let slot = Slot {
                token: Some(token),
                known_at: Instant::now(),
                believed: Some(Arc::clone(believed)),
                trouble: None,
            };
            view.slots.insert(path.as_str().into(), slot);
            self.publish(view);
        }
        Arc::clone(believed)
    }
}

/// Whether a write failed because somebody else was faster.
pub(super) fn is_conflict(error: &BucketError, when: &When) -> bool {
    match error.kind() {
        BucketErrorKind::PreconditionFailed => true,
        // Some stores say so where the object that should be unchanged is gone.
        BucketErrorKind::NotFound => matches!(when, When::Unchanged(_)),
        _ => false,
    }
}

/// Longer with each conflict, and not the same for two who collide.
fn pause(conflict: u32) -> Duration {
    let most = 4_u64 << conflict.min(7);
    let random = secrets::random::<8>().map_or(0, u64::from_le_bytes);
    Duration::from_millis(random % most)
}

/// 128 random bits in hex.
pub(super) fn fresh_id() -> Result<String, SecretError> {
    let bytes: [u8; 16] = secrets::random()?;
    Ok(seal::hex(&bytes))
}
