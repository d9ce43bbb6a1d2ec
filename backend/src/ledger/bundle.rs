//! Bundles: what is too large for records and is read only where it is needed: the lists of plans, and
//! the trash of runs.
//!
//! A bundle is one sealed object, `caches/SLUG/NAME`, outside of what each replica keeps in memory. It
//! is bound to its key, so that none stands for another; whether it is there at all, and the whole
//! of it, is for the record that names it to say.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::LedgerError;
use super::kind::{Record, RecordId, RecordPath, Scope};
use super::store::{MOST_BYTES, When};
use super::transfer::{ExportLine, Exported};
use super::{Ledger, Trouble, View};

/// Bytes of a bundle at most, before it is sealed.
pub const MOST_BUNDLE: usize = MOST_BYTES - (64 << 10);

/// Where the folders of caches lie.
const CACHES: &str = "caches/";
/// The folders of bundles of a cache.
const FOLDERS: [&str; 2] = ["plans/", "trash/"];

/// A bundle that lies in the state area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleName {
    /// Its name below the folder that was asked for.
    pub name: String,
    /// When it was written, seconds since 1970; `None` where the store does not say.
    pub at: Option<i64>,
}

fn key_of(cache: &str, name: &str) -> String {
    format!("{CACHES}{cache}/{name}")
}

impl Ledger {
    /// Writes a bundle, over whatever is there. When it returns, the bucket has it.
    ///
    /// # Errors
    /// See [`LedgerError`]; [`LedgerError::Closed`] where it is larger than [`MOST_BUNDLE`].
    pub async fn put_bundle<T: Serialize + ?Sized>(
        &self,
        cache: &str,
        name: &str,
        value: &T,
    ) -> Result<(), LedgerError> {
        let area = self.writable()?;
        let plain = serde_json::to_vec(value)
            .map_err(|error| LedgerError::Closed(format!("`{name}` cannot be written: {error}")))?;
        if plain.len() > MOST_BUNDLE {
            return Err(LedgerError::Closed(format!(
                "`{name}` would have {} bytes, and {MOST_BUNDLE} is the most",
                plain.len()
            )));
        }
        let key = key_of(cache, name);
        let sealed = self.seal_plain(area, &key, 1, &plain)?;
        self.0.params.store.put(&key, sealed, &When::Always).await?;
        Ok(())
    }

    /// A bundle; `None` where there is none.
    ///
    /// # Errors
    /// Where the bucket fails, or what lies there cannot be believed.
    pub async fn bundle<T: DeserializeOwned>(
        &self,
        cache: &str,
        name: &str,
    ) -> Result<Option<T>, LedgerError> {
        let area = self.area()?;
        let key = key_of(cache, name);
        let Some(stored) = self.0.params.store.get(&key).await? else {
            return Ok(None);
        };
        let full = format!("{}{key}", self.0.params.store.prefix());
        let unbelievable =
            |what: String| LedgerError::Closed(format!("`{key}` cannot be believed: {what}"));
        let opened = area
            .sealer
            .open(&full, &stored.bytes)
            .map_err(|error| unbelievable(error.to_string()))?;
        serde_json::from_slice(&opened.plain)
            .map(Some)
            .map_err(|error| unbelievable(error.to_string()))
    }

    /// The bundles of a folder, which ends with `/`, by name.
    ///
    /// # Errors
    /// Where the bucket fails.
    pub async fn bundles(&self, cache: &str, folder: &str) -> Result<Vec<BundleName>, LedgerError> {
        self.area()?;
        let prefix = key_of(cache, folder);
        let listed = self.0.params.store.list(&prefix).await?;
        let named = listed.into_iter().filter_map(|meta| {
            Some(BundleName {
                name: meta.key.strip_prefix(&prefix)?.to_owned(),
                at: meta.last_modified.map(time::OffsetDateTime::unix_timestamp),
            })
        });
        let mut bundles: Vec<BundleName> = named.collect();
        bundles.sort_by(|one, two| one.name.cmp(&two.name));
        Ok(bundles)
    }

    /// All bundles: whose, and their names.
    async fn all_bundles(&self) -> Result<Vec<(String, String)>, LedgerError> {
        let mut all = Vec::new();
        for cache in self.0.params.store.folders(CACHES).await? {
            let Some(cache) = cache.strip_prefix(CACHES) else {
                continue;
            };
            let cache = cache.trim_end_matches('/');
            for folder in FOLDERS {
                let bundles = self.bundles(cache, folder).await?.into_iter();
                all.extend(
                    bundles.map(|bundle| (cache.to_owned(), format!("{folder}{}", bundle.name))),
                );
            }
        }
        Ok(all)
    }

    /// Hands over the lines of a whole export, one after the other: of what lies in bundles there is
    /// never more than one in memory.
    ///
    /// # Errors
    /// Where the bucket fails, or whoever takes a line.
    pub async fn export_whole<E: From<LedgerError>>(
        &self,
        mut each: impl FnMut(&ExportLine) -> Result<(), E>,
    ) -> Result<Exported, E> {
        let mut done = Exported::default();
        // Taken first: a run that goes on meanwhile has more in its trash than its record says, never
        // less.
        let lines = self.export();
        let (first, records) = lines.split_at(1.min(lines.len()));
        first.iter().try_for_each(&mut each)?;
        for (cache, name) in self.all_bundles().await? {
            match self.bundle::<Value>(&cache, &name).await {
                Ok(Some(content)) => {
                    each(&ExportLine::Bundle {
                        cache,
                        name,
                        content,
                    })?;
                    done.bundles += 1;
                }
                // It was swept meanwhile.
                Ok(None) => {}
                Err(LedgerError::Closed(_)) => done.unreadable += 1,
                Err(error) => return Err(error.into()),
            }
        }
        records.iter().try_for_each(&mut each)?;
        done.records = records.len() as u64;
        Ok(done)
    }

    /// Takes in a bundle of an export. One that is there is left, or with `replace` replaced; says
    /// whether it was written.
    pub(super) async fn import_bundle(
        &self,
        cache: &str,
        name: &str,
        content: &Value,
        replace: bool,
    ) -> Result<bool, LedgerError> {
        let plain = |text: &str| {
            !text.is_empty()
                && !text.starts_with('.')
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        let known = FOLDERS.iter().any(|folder| name.starts_with(folder));
        if !known || !plain(cache) || !name.split('/').all(plain) {
            return Err(LedgerError::Closed(format!(
                "`{cache}` and `{name}` name no part of a plan's list or of a run's trash"
            )));
        }
        let is_there = self
            .0
            .params
            .store
            .get(&key_of(cache, name))
            .await?
            .is_some();
        if is_there && !replace {
            return Ok(false);
        }
        self.put_bundle(cache, name, content).await?;
        Ok(true)
    }

    /// Deletes a bundle. That there is none is no error.
    ///
    /// # Errors
    /// Where the state may not be written, or the bucket fails.
    pub async fn drop_bundle(&self, cache: &str, name: &str) -> Result<(), LedgerError> {
        self.writable()?;
        Ok(self.0.params.store.delete(&key_of(cache, name)).await?)
    }

    /// A record as it lies in the bucket at this moment, past what this replica remembers of it.
    ///
    /// # Errors
    /// Where the bucket fails, or what lies there cannot be believed.
    pub async fn newest<R: Record>(
        &self,
        scope: Scope<'_>,
        id: &RecordId,
    ) -> Result<Option<R>, LedgerError> {
        let area = self.area()?;
        let path = RecordPath::new(R::KIND, scope, id);
        let Some(current) = self.current(area, &path).await? else {
            return Ok(None);
        };
        if current.believed.envelope.is_void() {
            return Ok(None);
        }
        let record = serde_json::from_value(current.believed.envelope.record.clone());
        record.map(Some).map_err(|error| LedgerError::Unbelievable {
            path,
            trouble: Trouble::Unreadable(error.to_string()),
        })
    }
}

impl View {
    /// Whether a record of this name is known and cannot be believed.
    pub fn doubts<R: Record>(&self, scope: Scope<'_>, id: &RecordId) -> bool {
        let path = RecordPath::new(R::KIND, scope, id);
        self.slots
            .get(path.as_str())
            .is_some_and(|slot| slot.trouble.is_some())
    }
}
