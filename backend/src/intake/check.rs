//! The check of an archive on its own, without a client that sends it and a bucket that keeps it:
//! what it costs is measured by this (`tests/benches`).

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use snowbank_shared::hash::Sha256;
use snowbank_shared::narinfo::Compression;

use super::Refusal;
use super::examine::{Bounds, Examination, Gate};

/// What an archive turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// How it is packed.
    pub codec: Compression,
    /// Hash of its bytes.
    pub file_hash: Sha256,
    /// How many these are.
    pub file_size: u64,
    /// Hash of what it unpacks to.
    pub nar_hash: Sha256,
    /// How many bytes that has.
    pub nar_size: u64,
}

/// Threads that check archives as uploads are checked. Cloning shares them.
#[derive(Clone)]
pub struct Checker(Gate);

impl Checker {
    /// So many at work at once.
    pub fn new(at_once: usize) -> Self {
        Self(Gate::new(at_once))
    }

    /// Checks an archive that comes in pieces; `key` hints at its codec. It may have `most` bytes
    /// unpacked.
    ///
    /// # Errors
    /// As the PUT of such an archive is refused.
    pub async fn check(
        &self,
        key: &str,
        most: u64,
        mut pieces: impl Stream<Item = Bytes> + Unpin,
    ) -> Result<Checked, Refusal> {
        let bounds = Bounds {
            nar_size: most,
            key: key.to_owned(),
        };
        let examination = Examination::begin(&self.0, bounds);
        while let Some(piece) = pieces.next().await {
            if !examination.push(piece).await {
                break;
            }
        }
        let facts = examination.finish().await?;
        Ok(Checked {
            codec: facts.codec,
            file_hash: facts.file_hash,
            file_size: facts.file_size,
            nar_hash: facts.inspection.nar_hash,
            nar_size: facts.inspection.nar_size,
        })
    }
}
