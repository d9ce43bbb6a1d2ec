//! Looking into archives that lie in a bucket: the tree of one, what its files hash to, one file of it.
//!
//! ```text
//!            .ls, where it can be the archive's own ──▶ listing ──┐
//!  archive ──▶ thread: unpack, parse, NarHash ──────▶ listing ──┼─▶ kept, by archive
//!                                             ├─────▶ contents ─┤
//!                                             └─────▶ mentions ─┘
//!          ──▶ range of the bucket, or unpack and skip ─▶ one file
//! ```
//!
//! **What is believed.** A `.ls` object is covered by no signature. It counts only where the archive
//! that it describes would have exactly the narinfo's NarSize, each file where the listing says
//! ([`Listing::lay_out`]). Otherwise, and where there is none, the archive is read once, and has to
//! have the narinfo's NarHash. A file is never found by a listing's word alone: in an unpacked
//! archive the length in front of it must be the file's, in a packed one its path is looked for.
//!
//! **Bounds.** One archive at a time is read for a listing in each cache for strangers, and one for
//! others, off the reactor, for at most
//! [`LONGEST`]; a file or log is unpacked for as long as its reader takes it at [`SLOWEST`] at least,
//! and nobody has all turns (`turns.rs`); listings are bounded in nodes and bytes ([`LISTING`], [`CONTENTS`]); of each kind
//! so many nodes are kept in memory, those not used for longest go first. Nothing is written
//! into the bucket: paths that came through this server have their `.ls` already, and what others
//! filled is not ours to fill up.

mod budget;
pub mod codec;
mod examine;
mod log;
mod outflow;
mod pieces;
mod shelf;
mod single;
mod turns;

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sha2::Digest as _;
use snowbank_shared::api::files::ListedBy;
use snowbank_shared::contents::{ContentsBuilder, FileEntry, Mention, MentionsBuilder};
use snowbank_shared::hash::Sha256;
use snowbank_shared::nar::{Event, Listing, ListingBuilder, ListingLimits, ListingNode, NarParser};
use snowbank_shared::narinfo::{Compression, NarInfo};
use snowbank_shared::store_path::StorePathHash;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::bucket::{Bucket, BucketError};

pub use budget::{Budget, LEAST};
pub use examine::Examined;
pub use outflow::{Pace, SLOWEST, Speed};
pub use pieces::{Pieces, pieces};
pub use shelf::Look;
pub use single::FileStream;
pub use turns::Reader;

use shelf::Shelf;
use turns::{Lanes, Turns};

/// How large a listing may be.
pub const LISTING: ListingLimits = ListingLimits {
    nodes: 500_000,
    text: 32 << 20,
};
/// How large a list with hashes may be.
pub const CONTENTS: ListingLimits = ListingLimits {
    nodes: 100_000,
    text: 16 << 20,
};
/// How long an archive is read for a listing, at most.
pub const LONGEST: Duration = Duration::from_secs(15 * 60);
/// Nodes of listings that are kept for a cache.
const KEPT_LISTINGS: usize = 600_000;
/// Entries of lists with hashes that are kept for a cache.
const KEPT_CONTENTS: usize = 150_000;
/// Files that mention a path, kept for a cache; a search that found none counts as one.
const KEPT_MENTIONS: usize = 20_000;
/// Bytes of a `.ls` object, decoded.
const LARGEST_LS: usize = 64 << 20;
/// Bytes that leave a decoder at once.
const PIECE: usize = 128 * 1024;
/// Archives of a cache that are read for their hash alone at once.
const PROOFS_AT_ONCE: usize = 2;
/// Checks of archives that people asked for and that are not over.
const ASKED_AT_ONCE: usize = 8;

/// An archive, as a narinfo names it.
#[derive(Debug, Clone)]
pub struct Archive {
    /// The path whose archive it is.
    pub hash: StorePathHash,
    /// The object's key.
    pub key: String,
    /// How it is packed; `None`: by something that this server does not know.
    pub codec: Option<Compression>,
    /// The hash of what it unpacks to.
    pub nar_hash: Sha256,
    /// The bytes of that.
    pub nar_size: u64,
}

impl Archive {
    /// The archive of a path.
    pub fn of(narinfo: &NarInfo) -> Self {
        Self {
            hash: narinfo.store_path().hash(),
            key: narinfo.nar_key().into_owned(),
            codec: narinfo.codec(),
            nar_hash: narinfo.nar_hash(),
            nar_size: narinfo.nar_size(),
        }
    }

    /// What a kept listing of it is kept by.
    fn name(&self) -> String {
        format!("{} {} {}", self.hash, self.key, self.nar_hash.to_nix32())
    }
}

/// Why an archive cannot be looked into.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// There is no object under the narinfo's URL.
    #[error("the archive is missing in the bucket")]
    Missing,
    /// The bucket failed; the log has how.
    #[error("the bucket behind this cache does not answer at the moment")]
    Bucket,
    /// It is packed with what this server does not unpack.
    #[error("it is packed with {0}, which this server does not unpack")]
    Unsupported(String),
    /// It is no archive, or cannot be unpacked.
    #[error("the archive is broken: {0}")]
    Broken(String),
    /// It is an archive, and not the one of the narinfo.
    #[error("the archive is another one than its narinfo says: NarHash or NarSize differ")]
    Differs,
    /// It has more files than are listed.
    #[error("{0}")]
    TooLarge(String),
    /// Reading it took too long.
    #[error("reading it took longer than {} minutes", LONGEST.as_secs() / 60)]
    TooLong,
    /// Too many are being read.
    #[error("too many archives are being read at the moment")]
    Busy,
}

impl From<BucketError> for ArchiveError {
    fn from(error: BucketError) -> Self {
        if error.is_not_found() {
            return Self::Missing;
        }
        tracing::warn!(%error, "the bucket failed while an archive was read");
        Self::Bucket
    }
}

/// The tree of an archive.
#[derive(Debug)]
pub struct Listed {
    /// The tree, with every file's place in the archive.
    pub listing: Listing,
    /// Where it is from.
    pub by: ListedBy,
}

/// The files of an archive that mention a store path.
#[derive(Debug)]
pub struct MentionedBy {
    /// The first of them, in the order of the archive.
    pub items: Vec<Mention>,
    /// How many there are.
    pub total: u64,
}

/// What is known of the archives of a cache, and who reads them.
pub struct Archives {
    listings: Shelf<Listed>,
    contents: Shelf<Vec<FileEntry>>,
    mentions: Shelf<MentionedBy>,
    lanes: Lanes,
    files: Turns,
    proofs: Arc<Semaphore>,
    asked: Arc<Semaphore>,
}

impl Default for Archives {
    fn default() -> Self {
        Self {
            listings: Shelf::new(KEPT_LISTINGS, |listed| nodes(&listed.listing.root)),
            contents: Shelf::new(KEPT_CONTENTS, Vec::len),
            mentions: Shelf::new(KEPT_MENTIONS, |found| found.items.len()),
            lanes: Lanes::default(),
            files: Turns::default(),
            proofs: Arc::new(Semaphore::new(PROOFS_AT_ONCE)),
            asked: Arc::new(Semaphore::new(ASKED_AT_ONCE)),
        }
    }
}

fn nodes(node: &ListingNode) -> usize {
    match node {
        ListingNode::Directory { entries } => {
            1 + entries.iter().map(|(_, node)| nodes(node)).sum::<usize>()
        }
        _ => 1,
    }
}

impl Archives {
    /// The tree of an archive; where that is not known within `patience`, how far it was read.
    ///
    /// # Errors
    /// See [`ArchiveError`].
    pub async fn listing(
        &self,
        bucket: &Bucket,
        archive: &Archive,
        reader: &Reader,
        patience: Duration,
    ) -> Result<Look<Listed>, ArchiveError> {
        let turn = self.lanes.of(reader);
        let (bucket, wanted) = (bucket.bulk(), archive.clone());
        let make = |read: Arc<AtomicU64>| async move {
            if let Some(listing) = beside(&bucket, &wanted).await? {
                let by = ListedBy::Ls;
                return Ok(Listed { listing, by });
            }
            // It is never closed.
            let _turn = turn.acquire_owned().await.ok();
            let mut builder = ListingBuilder::new(LISTING);
            let listing = through(&bucket, &wanted, read, move |look| {
                look(&mut |event| builder.event(&event))?;
                let listing = builder.finish();
                listing.map_err(|error| ArchiveError::TooLarge(error.to_string()))
            });
            Ok(Listed {
                listing: listing.await?,
                by: ListedBy::Nar,
            })
        };
        self.listings
            .look(archive.name(), reader, patience, make)
            .await
    }

    /// The tree of an archive where it is known without reading that: because somebody did, or
    /// from the `.ls` beside its narinfo.
    ///
    /// # Errors
    /// See [`ArchiveError`].
    pub async fn listing_at_hand(
        &self,
        bucket: &Bucket,
        archive: &Archive,
    ) -> Result<Option<Arc<Listed>>, ArchiveError> {
        let name = archive.name();
        if let Some(listed) = self.listings.kept(&name) {
            return Ok(Some(listed));
        }
        let Some(listing) = beside(bucket, archive).await? else {
            return Ok(None);
        };
        let by = ListedBy::Ls;
        let listed = Arc::new(Listed { listing, by });
        self.listings.keep(&name, &listed);
        Ok(Some(listed))
    }

    /// Reads an archive from its first byte to its last and says what it is. Nothing of it is kept, and
    /// nothing that was kept is believed.
    ///
    /// # Errors
    /// See [`ArchiveError`]: [`ArchiveError::Differs`] where it is longer than the narinfo says.
    pub async fn examined(
        &self,
        bucket: &Bucket,
        archive: &Archive,
    ) -> Result<Examined, ArchiveError> {
        // It is never closed.
        let _turn = Arc::clone(&self.proofs).acquire_owned().await.ok();
        examine::archive(&bucket.bulk(), archive, None).await
    }

    /// As [`examined`](Self::examined), at the pace of a budget and in nobody's turn: the caller sees to
    /// it that only one is read so at a time. Where the budget is stopped the bucket is said to have
    /// failed: there is no verdict.
    ///
    /// # Errors
    /// See [`ArchiveError`].
    pub async fn examined_within(
        &self,
        bucket: &Bucket,
        archive: &Archive,
        budget: &Arc<Budget>,
    ) -> Result<Examined, ArchiveError> {
        examine::archive(&bucket.bulk(), archive, Some(budget)).await
    }

    /// A place among the checks that people ask for; it is free again when it is dropped.
    ///
    /// # Errors
    /// [`ArchiveError::Busy`] where all are taken.
    pub fn place(&self) -> Result<OwnedSemaphorePermit, ArchiveError> {
        let place = Arc::clone(&self.asked).try_acquire_owned();
        place.map_err(|_| ArchiveError::Busy)
    }

    /// Everything in an archive, with hashes; or how far it was read.
    ///
    /// # Errors
    /// See [`ArchiveError`].
    pub async fn contents(
        &self,
        bucket: &Bucket,
        archive: &Archive,
        reader: &Reader,
        patience: Duration,
    ) -> Result<Look<Vec<FileEntry>>, ArchiveError> {
        let turn = self.lanes.of(reader);
        let (bucket, wanted) = (bucket.bulk(), archive.clone());
        let make = |read: Arc<AtomicU64>| async move {
            let _turn = turn.acquire_owned().await.ok();
            let mut builder = ContentsBuilder::new(CONTENTS);
            through(&bucket, &wanted, read, move |look| {
                look(&mut |event| builder.event(&event))?;
                let contents = builder.finish();
                contents.map_err(|error| ArchiveError::TooLarge(error.to_string()))
            })
            .await
        };
        self.contents
            .look(archive.name(), reader, patience, make)
            .await
    }

    /// The files of an archive that mention the path of this hash; or how far it was read.
    ///
    /// # Errors
    /// See [`ArchiveError`].
    pub async fn mentions(
        &self,
        bucket: &Bucket,
        archive: &Archive,
        of: StorePathHash,
        reader: &Reader,
        patience: Duration,
    ) -> Result<Look<MentionedBy>, ArchiveError> {
        let turn = self.lanes.of(reader);
        let (bucket, wanted) = (bucket.bulk(), archive.clone());
        let make = |read: Arc<AtomicU64>| async move {
            let _turn = turn.acquire_owned().await.ok();
            let mut builder = MentionsBuilder::new(of);
            through(&bucket, &wanted, read, move |look| {
                look(&mut |event| builder.event(&event))?;
                let (items, total) = builder.finish();
                Ok(MentionedBy { items, total })
            })
            .await
        };
        let name = format!("{} {of}", archive.name());
        self.mentions.look(name, reader, patience, make).await
    }
}

/// The `.ls` beside a path, where it can be that of its archive.
async fn beside(bucket: &Bucket, archive: &Archive) -> Result<Option<Listing>, ArchiveError> {
    let key = format!("{}.ls", archive.hash);
    let text = match bucket.get_small(&key, LARGEST_LS).await {
        Ok(object) => object.bytes,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => {
            // One that cannot be decoded is none; the archive itself will tell whether the bucket works.
            tracing::debug!(key, %error, "a listing cannot be read");
            return Ok(None);
        }
    };
    let nar_size = archive.nar_size;
    let read = tokio::task::spawn_blocking(move || {
        let mut listing = Listing::from_json(&text, LISTING).ok()?;
        (listing.lay_out() == Some(nar_size)).then_some(listing)
    });
    let listing = read.await.ok().flatten();
    if listing.is_none() {
        tracing::debug!(
            key,
            "a listing is not that of its archive, and is not looked at"
        );
    }
    Ok(listing)
}

/// Hands every event of an archive on, and then says whether it was the narinfo's.
type LookThrough<'a> = dyn FnMut(&mut dyn FnMut(Event<'_>)) -> Result<(), ArchiveError> + 'a;

/// Reads an archive from its first byte to its last, on a thread of its own.
async fn through<T: Send + 'static>(
    bucket: &Bucket,
    archive: &Archive,
    read: Arc<AtomicU64>,
    work: impl FnOnce(&mut LookThrough<'_>) -> Result<T, ArchiveError> + Send + 'static,
) -> Result<T, ArchiveError> {
    let source = pieces::of_archive(bucket, archive, None).await?;
    let failed = source.failed();
    let (nar_hash, nar_size) = (archive.nar_hash, archive.nar_size);
    let end = Instant::now() + LONGEST;
    let worked = tokio::task::spawn_blocking(move || {
        let mut unpacked = source.unpacked()?;
        let mut hash = sha2::Sha256::new();
        let mut parser = NarParser::new();
        work(&mut |report| {
            let mut buffer = vec![0; PIECE];
            while let Some(length) = next(&mut *unpacked, &mut buffer)? {
                let piece = &buffer[..length];
                hash.update(piece);
                parser
                    .push(piece, &mut |event| report(event))
                    .map_err(|error| ArchiveError::Broken(error.to_string()))?;
                read.store(parser.position(), Ordering::Relaxed);
                if parser.position() > nar_size {
                    return Err(ArchiveError::Differs);
                }
                if Instant::now() > end {
                    return Err(ArchiveError::TooLong);
                }
            }
            let size = std::mem::take(&mut parser)
                .finish()
                .map_err(|error| ArchiveError::Broken(error.to_string()))?;
            let found = Sha256(std::mem::take(&mut hash).finalize().into());
            if size != nar_size || found != nar_hash {
                return Err(ArchiveError::Differs);
            }
            Ok(())
        })
    });
    ended(worked.await, &failed)
}

/// What a thread found that read an archive. Where the bucket failed meanwhile, or the thread, nothing
/// was found.
fn ended<T>(
    worked: Result<Result<T, ArchiveError>, tokio::task::JoinError>,
    failed: &AtomicBool,
) -> Result<T, ArchiveError> {
    match worked {
        Ok(Err(_)) if failed.load(Ordering::Relaxed) => Err(ArchiveError::Bucket),
        Ok(found) => found,
        Err(error) => {
            tracing::error!(%error, "reading an archive panicked");
            Err(ArchiveError::Unsupported(
                "something that made the server's reader fail".to_owned(),
            ))
        }
    }
}

/// The next bytes; `None` at the end.
fn next(unpacked: &mut dyn Read, buffer: &mut [u8]) -> Result<Option<usize>, ArchiveError> {
    loop {
        match unpacked.read(buffer) {
            Ok(0) => return Ok(None),
            Ok(length) => return Ok(Some(length)),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ArchiveError::Broken(error.to_string())),
        }
    }
}
