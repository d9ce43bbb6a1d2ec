//! The bytes of an object as a thread reads them.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::StreamExt as _;
use snowbank_shared::narinfo::Compression;
use tokio::sync::mpsc;

use super::{Archive, ArchiveError, Budget, codec};
use crate::bucket::encoding::{self, Coding};
use crate::bucket::{Bucket, BucketError, Object, ObjectBody};

/// Pieces that wait for the thread.
const WAITING: usize = 3;

/// The pieces of a stream as one reader, for a thread that may block: a bounded channel, which a task
/// fills. A slow reader stops the bucket.
pub struct Pieces {
    source: mpsc::Receiver<Result<Bytes, BucketError>>,
    current: Bytes,
    failed: Arc<AtomicBool>,
}

/// The bytes of an object for a thread.
pub fn pieces(body: ObjectBody) -> Pieces {
    within(body, None)
}

/// The same, at the pace of a budget. Once that is stopped they end, and count as failed.
fn within(mut body: ObjectBody, budget: Option<Arc<Budget>>) -> Pieces {
    let (feed, source) = mpsc::channel(WAITING);
    let failed = Arc::<AtomicBool>::default();
    let stopped = Arc::clone(&failed);
    tokio::spawn(async move {
        while let Some(piece) = body.next().await {
            if let (Some(budget), Ok(bytes)) = (&budget, &piece)
                && !budget.spend(bytes.len() as u64).await
            {
                stopped.store(true, Ordering::Relaxed);
                return;
            }
            if feed.send(piece).await.is_err() {
                return;
            }
        }
    });
    Pieces {
        source,
        current: Bytes::new(),
        failed,
    }
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() {
            match self.source.blocking_recv() {
                None => break,
                Some(Ok(piece)) => self.current = piece,
                Some(Err(error)) => {
                    self.failed.store(true, Ordering::Relaxed);
                    return Err(io::Error::other(error));
                }
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, amount: usize) {
        // The part that is dropped.
        drop(self.current.split_to(amount));
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(buffer.len());
        buffer[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}

/// An archive that was opened.
pub(super) struct Source {
    pieces: Pieces,
    coding: Option<Coding>,
    codec: Compression,
}

/// Opens an archive.
pub(super) async fn of_archive(
    bucket: &Bucket,
    archive: &Archive,
    budget: Option<&Arc<Budget>>,
) -> Result<Source, ArchiveError> {
    let codec = archive
        .codec
        .ok_or_else(|| ArchiveError::Unsupported("something unknown".to_owned()))?;
    let Object {
        body,
        content_encoding,
        ..
    } = bucket.get(&archive.key).await?;
    let coding = match content_encoding {
        None => None,
        Some(header) => encoding::coding(&header)
            .map_err(|error| ArchiveError::Unsupported(error.to_string()))?,
    };
    Ok(Source {
        pieces: within(body, budget.map(Arc::clone)),
        coding,
        codec,
    })
}

impl Source {
    /// Set once the bucket failed in the midst of the object: what was read then says nothing of it.
    pub(super) fn failed(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.pieces.failed)
    }

    /// The archive, unpacked; on the thread that reads it.
    pub(super) fn unpacked(self) -> Result<Box<dyn Read>, ArchiveError> {
        let (stored, codec) = self.stored()?;
        codec::decoder(codec, stored).map_err(|error| unusable(&error))
    }

    /// The archive as it is packed, and how; on the thread that reads it.
    pub(super) fn stored(self) -> Result<(Box<dyn BufRead>, Compression), ArchiveError> {
        let stored: Box<dyn BufRead> = match self.coding {
            None => Box::new(self.pieces),
            Some(Coding::Gzip) => Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(
                self.pieces,
            ))),
            Some(Coding::Zstd) => {
                let decoder = codec::decoder(Compression::Zstd, self.pieces);
                Box::new(BufReader::new(decoder.map_err(|error| unusable(&error))?))
            }
            Some(Coding::Brotli) => {
                let decoder = codec::decoder(Compression::Br, self.pieces);
                Box::new(BufReader::new(decoder.map_err(|error| unusable(&error))?))
            }
        };
        Ok((stored, self.codec))
    }
}

pub(super) fn unusable(error: &io::Error) -> ArchiveError {
    match error.kind() {
        io::ErrorKind::Unsupported => ArchiveError::Unsupported(error.to_string()),
        _ => ArchiveError::Broken(error.to_string()),
    }
}
