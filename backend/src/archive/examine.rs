//! Everything that a narinfo claims of an archive, found out in one pass over the stored bytes.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::Digest as _;
use snowbank_shared::hash::Sha256;
use snowbank_shared::nar::{Mentions, NarParser};

use super::{Archive, ArchiveError, Budget, LONGEST, PIECE, codec, ended, next, pieces};
use crate::bucket::Bucket;

/// How much longer than [`LONGEST`] an archive is read within a budget, at most.
const LONGEST_SLOWLY: Duration = Duration::from_secs(24 * 3600);

/// What an archive is.
#[derive(Debug, Clone)]
pub struct Examined {
    /// SHA-256 of the bytes as packed.
    pub file_hash: Sha256,
    /// How many these are.
    pub file_size: u64,
    /// SHA-256 of the bytes unpacked.
    pub nar_hash: Sha256,
    /// How many these are.
    pub nar_size: u64,
    /// The store paths that it names.
    pub mentions: Mentions,
}

/// Bytes on their way to a decoder, hashed as they pass.
struct Passing<R> {
    source: R,
    hash: sha2::Sha256,
    size: u64,
}

impl<R: BufRead> Read for Passing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(buffer.len());
        buffer[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Passing<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.source.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // What was filled and not consumed is there without asking anew.
        if amount > 0
            && let Ok(filled) = self.source.fill_buf()
        {
            self.hash.update(&filled[..amount]);
            self.size += amount as u64;
        }
        self.source.consume(amount);
    }
}

/// Reads an archive, on a thread of its own. Memory is that of the decoder and of what is named.
pub(super) async fn archive(
    bucket: &Bucket,
    archive: &Archive,
    budget: Option<&Arc<Budget>>,
) -> Result<Examined, ArchiveError> {
    let source = pieces::of_archive(bucket, archive, budget).await?;
    let failed = source.failed();
    let nar_size = archive.nar_size;
    let allowed = budget.map_or(Duration::ZERO, |budget| budget.allowance(nar_size));
    let end = Instant::now() + LONGEST + allowed.min(LONGEST_SLOWLY);
    let worked = tokio::task::spawn_blocking(move || {
        let (source, codec) = source.stored()?;
        let mut stored = Passing {
            source,
            hash: sha2::Sha256::new(),
            size: 0,
        };
        let mut hash = sha2::Sha256::new();
        let mut parser = NarParser::new();
        let mut mentions = Mentions::new();
        let mut unpacked =
            codec::decoder(codec, &mut stored).map_err(|error| pieces::unusable(&error))?;
        let mut buffer = vec![0; PIECE];
        while let Some(length) = next(&mut *unpacked, &mut buffer)? {
            let piece = &buffer[..length];
            hash.update(piece);
            mentions.push(piece);
            parser
                .push(piece, &mut |_| ())
                .map_err(|error| ArchiveError::Broken(error.to_string()))?;
            if parser.position() > nar_size {
                return Err(ArchiveError::Differs);
            }
            if Instant::now() > end {
                return Err(ArchiveError::TooLong);
            }
        }
        drop(unpacked);
        let nar_size = parser
            .finish()
            .map_err(|error| ArchiveError::Broken(error.to_string()))?;
        if next(&mut stored, &mut buffer)?.is_some() {
            return Err(ArchiveError::Broken(
                "bytes follow the end of the packed archive".to_owned(),
            ));
        }
        Ok(Examined {
            file_hash: Sha256(stored.hash.finalize().into()),
            file_size: stored.size,
            nar_hash: Sha256(hash.finalize().into()),
            nar_size,
            mentions,
        })
    });
    ended(worked.await, &failed)
}
