//! Taking the records out and in, changing the secret, settling what cannot be believed.
//!
//! An export is one JSON document a line: what it is, then the lists of plans and the trash of runs,
//! then each record and each tombstone. What a record names comes before it, and what is taken in
//! is whole with its last line. It holds people and hashes of tokens in the clear: a file for its
//! owner only.

use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::envelope::Envelope;
use super::format::{self, Format};
use super::kind::{RecordPath, Unverified};
use super::refresh::{Found, RECORDS, TOMBSTONES};
use super::store::When;
use super::view::Trouble;
use super::write::{Next, fresh_id};
use super::{Ledger, LedgerError, lock};

/// The form of exports that this version reads and writes.
const EXPORT: u32 = 2;
/// Where sealed objects lie.
const SEALED: [&str; 4] = [RECORDS, "audit/", "clients/", "caches/"];
/// Objects rewritten at once.
const AT_ONCE: usize = 8;

/// A line of an export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "lowercase", deny_unknown_fields)]
pub enum ExportLine {
    /// The first line.
    Export {
        /// The form: 1 had no bundles.
        version: u32,
        /// The server's id.
        server: String,
        /// When it was made, seconds since 1970.
        at: i64,
    },
    /// A part of the list of a plan, or of the trash of a run.
    Bundle {
        /// Whose: a cache's name.
        cache: String,
        /// Its name.
        name: String,
        /// What it holds.
        content: Value,
    },
    /// A record.
    Record {
        /// Its path.
        path: RecordPath,
        /// When it was last changed, seconds since 1970.
        at: i64,
        /// Who changed it.
        author: String,
        /// When it ends by itself, seconds since 1970.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires: Option<i64>,
        /// What it says.
        record: Value,
    },
    /// A tombstone.
    Tombstone {
        /// The path of the record that was revoked.
        path: RecordPath,
        /// Who revoked it.
        author: String,
        /// Why.
        reason: String,
    },
}

/// What an export has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Records and tombstones.
    pub records: u64,
    /// Parts of lists of plans and of the trash of runs.
    pub bundles: u64,
    /// Those that cannot be believed and are left out.
    pub unreadable: u64,
}

/// What an import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// Records that were made.
    pub made: u64,
    /// Records that were there and were replaced.
    pub replaced: u64,
    /// Records that were there and were left.
    pub left: u64,
    /// Tombstones that were made.
    pub buried: u64,
    /// Records that have a tombstone here, or have expired.
    pub skipped: u64,
    /// Parts of lists of plans and of the trash of runs that were written.
    pub bundles: u64,
}

impl Imported {
    /// Adds what more lines did.
    pub fn add(&mut self, other: &Self) {
        self.made += other.made;
        self.replaced += other.replaced;
        self.left += other.left;
        self.buried += other.buried;
        self.skipped += other.skipped;
        self.bundles += other.bundles;
    }
}

/// What a rekeying did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rekeyed {
    /// Objects that are sealed under the first key now, and were not.
    pub rewritten: u64,
    /// Objects that were sealed under it already.
    pub current: u64,
    /// Objects that do not open, left as they are.
    pub unreadable: u64,
}

impl Ledger {
    /// Every record and tombstone that is believed, as lines of an export.
    pub fn export(&self) -> Vec<ExportLine> {
        let now = OffsetDateTime::now_utc();
        let view = self.view();
        let mut lines = vec![ExportLine::Export {
            version: EXPORT,
            server: self.server().unwrap_or_default().to_owned(),
            at: now.unix_timestamp(),
        }];
        lines.extend(view.slots.iter().filter_map(|(path, slot)| {
            let envelope = &slot.believed.as_ref()?.envelope;
            let counts = !envelope.is_void()
                && !envelope.has_expired(now)
                && !view.graves.contains_key(path);
            counts
                .then(|| path.parse().ok())?
                .map(|path| ExportLine::Record {
                    path,
                    at: envelope.at,
                    author: envelope.author.clone(),
                    expires: envelope.expires,
                    record: envelope.record.clone(),
                })
        }));
        lines.extend(view.graves.iter().filter_map(|(path, grave)| {
            let unknown = || "not known any more".to_owned();
            Some(ExportLine::Tombstone {
                path: path.parse().ok()?,
                author: grave.tombstone.author.clone().unwrap_or_else(unknown),
                reason: grave.tombstone.reason.clone().unwrap_or_else(unknown),
            })
        }));
        lines
    }

    /// Takes lines of an export in. What is revoked here stays revoked; what is there is left,
    /// or with `replace` replaced.
    ///
    /// # Errors
    /// At the first line that cannot be taken in; those before it are.
    pub async fn import(
        &self,
        lines: impl IntoIterator<Item = ExportLine>,
        author: &str,
        replace: bool,
    ) -> Result<Imported, LedgerError> {
        let mut done = Imported::default();
        let now = OffsetDateTime::now_utc().unix_timestamp();
        for line in lines {
            match line {
                ExportLine::Export { version, .. } if version > EXPORT => {
                    return Err(LedgerError::Closed(format!(
                        "the export has form {version}, and this version reads {EXPORT}"
                    )));
                }
                ExportLine::Export { .. } => {}
                ExportLine::Bundle {
                    cache,
                    name,
                    content,
                } => {
                    let written = self.import_bundle(&cache, &name, &content, replace).await?;
                    done.bundles += u64::from(written);
                }
                ExportLine::Tombstone {
                    path,
                    author,
                    reason,
                } => {
                    if !self.view().graves.contains_key(path.as_str()) {
                        self.bury(&path, &author, &reason).await?;
                        done.buried += 1;
                    }
                }
                ExportLine::Record {
                    expires: Some(at), ..
                } if at <= now => done.skipped += 1,
                ExportLine::Record {
                    path,
                    expires,
                    record,
                    ..
                } => {
                    let exists = LedgerError::Exists(path.clone());
                    let mut is_there = false;
                    let written = self.write_value(&path, author, |current| {
                        is_there = current.is_some();
                        let record = record.clone();
                        match current {
                            Some(_) if !replace => Err(exists.clone()),
                            _ => Ok(Next { record, expires }),
                        }
                    });
                    match written.await {
                        Ok(_) if is_there => done.replaced += 1,
                        Ok(_) => done.made += 1,
                        Err(LedgerError::Exists(_)) => done.left += 1,
                        Err(LedgerError::Buried(_)) => done.skipped += 1,
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        Ok(done)
    }

    /// Seals everything under the first key of the secret, so that the others can go. What it
    /// says, and its sequence, stays.
    ///
    /// # Errors
    /// See [`LedgerError`]; what was rewritten stays rewritten, and doing it again goes on.
    pub async fn rekey(&self) -> Result<Rekeyed, LedgerError> {
        self.writable()?;
        let store = &self.0.params.store;
        let mut keys: Vec<String> = Vec::new();
        for prefix in SEALED {
            let listing = store.list(prefix).await?;
            keys.extend(listing.into_iter().map(|meta| meta.key));
        }
        let mut rewrites = stream::iter(keys)
            .map(|key| async move { self.rewrite(&key).await })
            .buffer_unordered(AT_ONCE);
        let mut done = Rekeyed::default();
        while let Some(rewritten) = rewrites.next().await {
            match rewritten? {
                Some(true) => done.rewritten += 1,
                Some(false) => done.current += 1,
                None => done.unreadable += 1,
            }
        }
        drop(rewrites);
        // Last: as long as it is sealed under the old key, the old key is asked for.
        if let Some(stored) = store.get(format::KEY).await? {
            let secret = &self.0.params.secret;
            match Format::read(&stored.bytes, store.prefix(), secret) {
                Ok((format, false)) => {
                    let bytes = format.to_bytes(store.prefix(), secret)?;
                    store.put(format::KEY, bytes.into(), &When::Always).await?;
                    done.rewritten += 1;
                }
                Ok((_, true)) => done.current += 1,
                Err(_) => done.unreadable += 1,
            }
        }
        Ok(done)
    }

    /// Seals one object anew. Whether that was needed; `None` where it does not open.
    async fn rewrite(&self, key: &str) -> Result<Option<bool>, LedgerError> {
        let area = self.area()?;
        let store = &self.0.params.store;
        let full = format!("{}{key}", store.prefix());
        loop {
            let Some(stored) = store.get(key).await? else {
                return Ok(Some(false));
            };
            let Ok(opened) = area.sealer.open(&full, &stored.bytes) else {
                return Ok(None);
            };
            if opened.current_key {
                return Ok(Some(false));
            }
            let plain = opened.plain.trim_ascii_end();
            let sealed = area.sealer.seal(&full, opened.sequence, plain)?;
            let when = stored.etag.map_or(When::Always, When::Unchanged);
            match store.put(key, sealed, &when).await {
                Ok(_) => return Ok(Some(true)),
                // Somebody changed it meanwhile: what lies there now is looked at again.
                Err(error) if super::write::is_conflict(&error, &when) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// How many objects are not sealed under the first key of the secret: while there are any, the
    /// others are needed.
    ///
    /// # Errors
    /// See [`LedgerError`].
    pub async fn under_older_keys(&self) -> Result<u64, LedgerError> {
        let area = self.area()?;
        let store = &self.0.params.store;
        let mut listed = Vec::new();
        for prefix in SEALED {
            listed.extend(store.list(prefix).await?);
        }
        let mut reads = stream::iter(listed)
            .map(|meta| async move { (store.get(&meta.key).await, meta.key) })
            .buffer_unordered(AT_ONCE);
        let mut older = 0;
        while let Some((stored, key)) = reads.next().await {
            if let Some(stored) = stored? {
                let opened = area
                    .sealer
                    .open(&format!("{}{key}", store.prefix()), &stored.bytes);
                older += u64::from(opened.is_ok_and(|opened| !opened.current_key));
            }
        }
        Ok(older)
    }

    /// Settles a finding: what lies there is taken as it is from now on. An old version that was
    /// put back becomes the newest; what is gone or does not open is as if it had never been, and
    /// its name is free; a tombstone is made anew.
    ///
    /// # Errors
    /// [`LedgerError::Absent`] where there is no such finding, else see [`LedgerError`].
    pub async fn settle(&self, path: &RecordPath, author: &str) -> Result<(), LedgerError> {
        let area = self.writable()?;
        let view = self.view();
        let trouble_of_grave = view.graves.get(path.as_str()).map(|grave| &grave.trouble);
        if let Some(trouble) = trouble_of_grave {
            if trouble.is_none() {
                return Err(LedgerError::Absent(path.clone()));
            }
            let key = format!("{RECORDS}{TOMBSTONES}{path}");
            self.0.params.store.delete(&key).await?;
            return self.bury(path, author, "settled").await;
        }
        let slot = view.slots.get(path.as_str());
        let Some(trouble) = slot.and_then(|slot| slot.trouble.as_ref()) else {
            return Err(LedgerError::Absent(path.clone()));
        };
        let _writing = self.0.writing.lock().await;
        let seen = lock(&self.0.memory).records.get(path.as_str()).copied();
        let key = format!("{RECORDS}{path}");
        let found = self.fetch(area, &key).await?;
        let (record, expires) = match (trouble, found) {
            (Trouble::RolledBack { .. }, Found::Believed(_, envelope)) => {
                (envelope.record, envelope.expires)
            }
            (Trouble::RolledBack { .. }, _) => return Err(LedgerError::Contended(path.clone())),
            _ => (Value::Null, None),
        };
        let envelope = Envelope {
            write: fresh_id()?,
            recent: Vec::new(),
            at: OffsetDateTime::now_utc().unix_timestamp(),
            author: author.to_owned(),
            expires,
            record,
        };
        let sequence = seen.map_or(0, |seen| seen.sequence) + 1;
        self.put_record(area, path, sequence, envelope, &When::Always)
            .await?;
        Ok(())
    }

    /// Whether plans, runs and purges of a cache may go on, as an error that names what stops them.
    ///
    /// # Errors
    /// [`LedgerError::Closed`] with the first of the findings, or where the ledger is not fresh.
    pub fn may_run(&self, cache: &str) -> Result<(), LedgerError> {
        self.writable()?;
        let view = self.view();
        match view.stops(cache).first() {
            None => Ok(()),
            Some(finding) => {
                debug_assert_eq!(finding.meaning, Unverified::StopsRuns);
                Err(LedgerError::Closed(format!(
                    "`{}`: {}",
                    finding.path, finding.trouble
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::refresh::WITNESS;
    use super::*;

    #[test]
    fn the_witness_is_no_record() {
        assert!(WITNESS.parse::<RecordPath>().is_err());
    }

    #[test]
    fn lines_are_read_as_they_are_written() {
        let line = ExportLine::Record {
            path: "members/ada".parse().expect("a path"),
            at: 1,
            author: "server".to_owned(),
            expires: None,
            record: serde_json::json!({"name": "Ada"}),
        };
        let text = serde_json::to_string(&line).expect("text");
        assert_eq!(
            text,
            r#"{"line":"record","path":"members/ada","at":1,"author":"server","record":{"name":"Ada"}}"#
        );
        assert_eq!(
            serde_json::from_str::<ExportLine>(&text).expect("reads"),
            line
        );
        assert!(serde_json::from_str::<ExportLine>(r#"{"line":"record","path":"../x"}"#).is_err());
    }
}
