//! Finding the newest inventory, and reading it file by file.

use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt as _;
use s3s::crypto::{Checksum as _, Md5};
use snowbank_shared::api::storage::{ClassSize, ObjectClass};
use tokio::sync::mpsc;

use super::InventoryRecord;
use super::manifest::{File, Manifest, is_dated};
use super::rows::{Columns, Counted, Place};
use crate::bucket::{Bucket, BucketError, ListRequest};
use crate::ledger::{Ledger, LedgerError, RecordId, Scope};
use crate::sizes::{CLASSES, size};
use crate::sync::Tally;

/// Who writes the record, as the ledger has it.
const AUTHOR: &str = "inventory";
/// Bytes of a manifest at most.
const MOST_MANIFEST: usize = 16 << 20;
/// Bytes of a checksum at most.
const MOST_CHECKSUM: usize = 1 << 10;
/// Inventories that are looked at, the newest first: one that is being written has no checksum yet.
const LOOKED_AT: usize = 3;
/// Folders of inventories at most; older ones have to be removed by a lifecycle rule.
const MOST_FOLDERS: usize = 20_000;
/// Pieces of a file that are on their way.
const PIECES: usize = 8;

/// Why an inventory cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// The bucket does not let us.
    #[error("{0}")]
    Bucket(#[from] BucketError),
    /// What it says cannot be written down.
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    /// It is of another format.
    #[error("it is written as {0}, and only CSV is read here: choose CSV as its output format")]
    Format(String),
    /// Its manifest is not as S3 writes it, or not of this cache.
    #[error("its manifest cannot be used: {0}")]
    Manifest(String),
    /// A file is not what the manifest says.
    #[error("`{0}` is not what its MD5 says, so nothing of this inventory counts")]
    Md5(String),
    /// A file is broken.
    #[error("`{0}` cannot be unpacked: {1}")]
    Broken(String, io::Error),
    /// There are too many.
    #[error("more than {MOST_FOLDERS} inventories lie there: remove old ones by a lifecycle rule")]
    TooMany,
    /// Reading it stopped within the server.
    #[error("reading it broke off")]
    Stopped,
}

/// Reads the inventories of a cache.
#[derive(Debug)]
pub struct Inventory {
    /// The whole bucket that they lie in: manifests name whole keys.
    bucket: Bucket,
    /// Where they lie: empty, or ending with a slash.
    folder: String,
    /// What they have to be of.
    of: Option<String>,
    place: Place,
    /// What was wrong the last time.
    trouble: Mutex<Option<String>>,
}

impl Inventory {
    /// Of inventories below `folder` in a bucket. `of`: the cache's bucket, where it has one; `prefix`:
    /// the cache's in it, empty or ending with a slash; `areas`: what below that is the server's.
    pub fn new(
        bucket: &Bucket,
        folder: String,
        of: Option<String>,
        prefix: String,
        areas: Vec<String>,
    ) -> Self {
        Self {
            bucket: bucket.bulk(),
            folder,
            of,
            place: Place { prefix, areas },
            trouble: Mutex::default(),
        }
    }

    /// Why the newest could not be read.
    pub fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock();
        trouble.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the newest inventory, unless it was read before, and writes down what it says. Says
    /// whether there was a new one.
    ///
    /// # Errors
    /// See [`InventoryError`]; what an older one said stays.
    pub async fn read(&self, ledger: &Ledger, slug: &str) -> Result<bool, InventoryError> {
        let done = self.newest(ledger, slug).await;
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        *trouble = done.as_ref().err().map(ToString::to_string);
        done
    }

    async fn newest(&self, ledger: &Ledger, slug: &str) -> Result<bool, InventoryError> {
        let known = InventoryRecord::of(ledger, slug);
        let folders = self.folders().await?;
        for folder in folders.iter().rev().take(LOOKED_AT) {
            let key = format!("{folder}manifest.json");
            if known.as_ref().is_some_and(|known| known.manifest == key) {
                return Ok(false);
            }
            let checksum = format!("{folder}manifest.checksum");
            let checksum = match self.bucket.get_small(&checksum, MOST_CHECKSUM).await {
                Ok(checksum) => checksum,
                // It is still being written.
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error.into()),
            };
            let text = self.bucket.get_small(&key, MOST_MANIFEST).await?;
            let said = String::from_utf8_lossy(&checksum.bytes);
            if !is_md5(&text.bytes, said.trim()) {
                return Err(InventoryError::Md5(key));
            }
            let manifest = Manifest::parse(&text.bytes, self.of.as_deref())?;
            let counted = self.files(&manifest).await?;
            let record = record(key, &manifest, &counted);
            let later = |current: Option<&InventoryRecord>| {
                let stays = current.filter(|current| current.at > record.at);
                Ok::<_, LedgerError>(stays.unwrap_or(&record).clone())
            };
            let scope = Scope::Cache(slug);
            ledger.put(scope, &RecordId::only(), AUTHOR, later).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// The folders of inventories, oldest first.
    async fn folders(&self) -> Result<Vec<String>, InventoryError> {
        let mut folders = Vec::new();
        let mut pages = Box::pin(self.bucket.list(ListRequest {
            prefix: self.folder.clone(),
            delimiter: true,
            ..ListRequest::default()
        }));
        while let Some(page) = pages.next().await {
            folders.extend(page?.prefixes.into_iter().filter(|folder| is_dated(folder)));
            if folders.len() > MOST_FOLDERS {
                return Err(InventoryError::TooMany);
            }
        }
        folders.sort_unstable();
        Ok(folders)
    }

    async fn files(&self, manifest: &Manifest) -> Result<Counted, InventoryError> {
        let mut counted = Counted::default();
        for file in &manifest.files {
            counted = self.file(counted, file, &manifest.columns).await?;
        }
        Ok(counted)
    }

    /// Counts a file as it comes.
    async fn file(
        &self,
        mut counted: Counted,
        file: &File,
        columns: &Columns,
    ) -> Result<Counted, InventoryError> {
        let mut body = self.bucket.get(&file.key).await?.body;
        let (pieces, coming) = mpsc::channel::<Bytes>(PIECES);
        let (columns, place) = (columns.clone(), self.place.clone());
        let counting = tokio::task::spawn_blocking(move || {
            let mut packed = Pieces {
                coming,
                left: Bytes::new(),
            };
            let done = counted.file(&mut packed, &columns, &place);
            (counted, done)
        });
        let mut md5 = Md5::new();
        while let Some(piece) = body.next().await {
            let piece = piece?;
            md5.update(&piece);
            // Where it cannot be unpacked nobody waits for more; its MD5 says whether that is its fault.
            let _ = pieces.send(piece).await;
        }
        drop(pieces);
        let (counted, done) = counting.await.map_err(|_| InventoryError::Stopped)?;
        if !is_hex(md5.finalize().as_ref(), &file.md5) {
            return Err(InventoryError::Md5(file.key.clone()));
        }
        match done {
            Ok(()) => Ok(counted),
            Err(error) => Err(InventoryError::Broken(file.key.clone(), error)),
        }
    }
}

/// Pieces of a body, for a reader that waits.
struct Pieces {
    coming: mpsc::Receiver<Bytes>,
    left: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left.is_empty() {
            match self.coming.blocking_recv() {
                Some(piece) => self.left = piece,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.left.len());
        buffer[..count].copy_from_slice(&self.left.split_to(count));
        Ok(count)
    }
}

fn record(manifest_key: String, manifest: &Manifest, counted: &Counted) -> InventoryRecord {
    let mut classes: Vec<ClassSize> = CLASSES
        .iter()
        .map(|&(class, of)| {
            let tally = of.iter().filter_map(|listed| counted.classes.get(listed));
            let sum = tally.fold(Tally::default(), |sum, class| Tally {
                objects: sum.objects + class.objects,
                bytes: sum.bytes + class.bytes,
            });
            size(class, Ok(sum))
        })
        .collect();
    classes.push(size(ObjectClass::State, Ok(counted.state)));
    let unfinished = "An S3 Inventory does not list unfinished uploads.";
    classes.push(size(ObjectClass::Unfinished, Err(unfinished.to_owned())));
    let old = match manifest.columns.has_versions() {
        true => Ok(counted.old),
        false => Err("The S3 Inventory lists current versions only.".to_owned()),
    };
    classes.push(size(ObjectClass::OldVersions, old));
    InventoryRecord {
        at: manifest.at,
        manifest: manifest_key,
        classes,
        rows: counted.rows,
        others: counted.others,
        broken: counted.broken,
    }
}

/// Whether bytes have this MD5.
fn is_md5(bytes: &[u8], said: &str) -> bool {
    let mut md5 = Md5::new();
    md5.update(bytes);
    is_hex(md5.finalize().as_ref(), said)
}

fn is_hex(bytes: &[u8], said: &str) -> bool {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.eq_ignore_ascii_case(said)
}
