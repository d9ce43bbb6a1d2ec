//! Finding out everything about an archive while it flows by.
//!
//! The decoders are synchronous, so each archive has a thread of its own behind a bounded channel:
//! a slow decoder stops its client. At work at once are only as many as the [`Gate`] lets through;
//! a thread that waits for its client stands outside of it, so that nobody can hold it shut.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use sha2::Digest as _;
use snowbank_shared::hash::Sha256;
use snowbank_shared::nar::{Inspection, Inspector, ListingLimits};
use snowbank_shared::narinfo::Compression;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::{Refusal, codec};
use crate::site::Cache;

/// Pieces that wait for the thread.
const WAITING: usize = 4;
/// Bytes that leave a decoder at once.
const PIECE: usize = 128 * 1024;
/// How large a listing is kept.
const LISTING: ListingLimits = ListingLimits {
    nodes: 500_000,
    text: 32 << 20,
};
/// Bytes that may come out, whatever came in.
const FREE: u64 = 256 << 20;
/// Bytes that may come out for each that came in, beyond that.
const RATIO: u64 = 2000;

/// Lets so many threads decode at once.
#[derive(Clone)]
pub(super) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(super) fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once)))
    }
}

/// What is known of an archive as it lies in a bucket.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) codec: Compression,
    pub(super) file_hash: Sha256,
    pub(super) file_size: u64,
    pub(super) inspection: Inspection,
}

/// What an archive may be.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    /// Bytes unpacked at most.
    pub(super) nar_size: u64,
    /// The object's key: a hint at its codec.
    pub(super) key: String,
}

impl Bounds {
    /// Those of a cache, for the archive under this key.
    pub(super) fn of(cache: &Cache, key: &str) -> Self {
        Self {
            nar_size: cache.max_nar_size,
            key: key.to_owned(),
        }
    }
}

/// Work on the bytes of one archive, on a thread of its own.
pub(super) struct Examination<T> {
    feed: mpsc::Sender<Bytes>,
    outcome: oneshot::Receiver<Result<T, Refusal>>,
}

impl Examination<Facts> {
    /// Begins to look at an archive.
    pub(super) fn begin(gate: &Gate, bounds: Bounds) -> Self {
        Self::spawn(gate, move |pieces| examine(pieces, &bounds))
    }
}

impl<T: Send + 'static> Examination<T> {
    pub(super) fn spawn(
        gate: &Gate,
        work: impl FnOnce(Pieces) -> Result<T, Refusal> + Send + 'static,
    ) -> Self {
        let (feed, source) = mpsc::channel(WAITING);
        let (done, outcome) = oneshot::channel();
        let pieces = Pieces {
            source,
            taken: Vec::with_capacity(WAITING),
            current: Bytes::new(),
            gate: gate.clone(),
            turn: None,
            hash: Some(sha2::Sha256::new()),
            received: Arc::default(),
        };
        tokio::task::spawn_blocking(move || {
            // Who began it may have left.
            let _ = done.send(work(pieces));
        });
        Self { feed, outcome }
    }

    /// Hands over the next bytes; waits while the thread has enough to do. Says whether it goes on.
    pub(super) async fn push(&self, piece: Bytes) -> bool {
        self.feed.send(piece).await.is_ok()
    }

    /// There are no more bytes: what came of it.
    pub(super) async fn finish(self) -> Result<T, Refusal> {
        drop(self.feed);
        self.outcome.await.unwrap_or_else(|_| {
            Err(Refusal::dependency(
                "looking at the archive failed in the server: tell its owners",
            ))
        })
    }
}

/// The pieces of a stream as one reader, which hashes them as they come.
pub(super) struct Pieces {
    source: mpsc::Receiver<Bytes>,
    /// Taken from there all at once: who feeds is woken once for all of them.
    taken: Vec<Bytes>,
    current: Bytes,
    gate: Gate,
    turn: Option<OwnedSemaphorePermit>,
    /// `None` where the archive is not packed: what is in it is hashed, and that is the same.
    hash: Option<sha2::Sha256>,
    received: Arc<AtomicU64>,
}

impl Pieces {
    /// Waits outside of the gate for the next piece; false at the end.
    fn refill(&mut self) -> bool {
        if self.taken.is_empty() {
            if self.source.is_empty() {
                self.turn = None;
            }
            self.source.blocking_recv_many(&mut self.taken, WAITING);
            self.taken.reverse();
        }
        let piece = self.taken.pop();
        if self.turn.is_none() {
            let gate = Arc::clone(&self.gate.0);
            // It is never closed.
            self.turn = tokio::runtime::Handle::current()
                .block_on(gate.acquire_owned())
                .ok();
        }
        let Some(piece) = piece else {
            return false;
        };
        if let Some(hash) = &mut self.hash {
            hash.update(&piece);
        }
        self.received
            .fetch_add(piece.len() as u64, Ordering::Relaxed);
        self.current = piece;
        true
    }

    /// The first bytes, as many as there are up to so many; they are read again.
    fn head(&mut self, most: usize) -> Bytes {
        let mut head = Vec::new();
        while head.len() < most && self.refill() {
            head.extend_from_slice(&self.current);
        }
        self.current = head.into();
        self.current.slice(..most.min(self.current.len()))
    }

    /// Bytes that nobody has read.
    fn rest(&mut self) -> u64 {
        let mut rest = self.current.len() as u64;
        while self.refill() {
            rest += self.current.len() as u64;
        }
        self.current = Bytes::new();
        rest
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

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() && self.refill() {}
        Ok(&self.current)
    }

    fn consume(&mut self, amount: usize) {
        // The part that is dropped.
        drop(self.current.split_to(amount));
    }
}

/// Unpacks an archive and hands its bytes on; then nothing may be left. Returns its codec.
pub(super) fn unpack(
    pieces: &mut Pieces,
    bounds: &Bounds,
    mut take: impl FnMut(&[u8]) -> Result<(), Refusal>,
) -> Result<Compression, Refusal> {
    let head = pieces.head(codec::HEAD);
    let codec = codec::sniff(&head, &bounds.key)?;
    let damaged = |error: &io::Error| {
        Refusal::unprocessable(
            "bad-compression",
            format!("the archive cannot be unpacked as {codec}: {error}"),
        )
    };
    let too_large = || {
        Refusal::too_large(format!(
            "it unpacks to more than the {} bytes that this cache takes (max_nar_size)",
            bounds.nar_size
        ))
    };
    let received = Arc::clone(&pieces.received);
    if codec == Compression::None {
        // Handed on where it lies, and hashed once.
        pieces.hash = None;
        loop {
            let piece = pieces.fill_buf().map_err(|error| damaged(&error))?;
            let length = piece.len();
            if length == 0 {
                return Ok(codec);
            }
            if received.load(Ordering::Relaxed) > bounds.nar_size {
                return Err(too_large());
            }
            take(piece)?;
            pieces.consume(length);
        }
    }
    let mut total = 0_u64;
    let mut decoder = codec::decoder(codec, &mut *pieces).map_err(|error| damaged(&error))?;
    let mut buffer = vec![0; PIECE];
    loop {
        let length = match decoder.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(damaged(&error)),
        };
        total += length as u64;
        if total > bounds.nar_size {
            return Err(too_large());
        }
        let came = received.load(Ordering::Relaxed);
        if total > came.saturating_mul(RATIO).saturating_add(FREE) {
            return Err(Refusal::unprocessable(
                "bad-compression",
                format!("it unpacks to more than {RATIO} times its size"),
            ));
        }
        take(&buffer[..length])?;
    }
    drop(decoder);
    match pieces.rest() {
        0 => Ok(codec),
        rest => Err(Refusal::unprocessable(
            "trailing-data",
            format!("{rest} bytes follow the end of the packed archive"),
        )),
    }
}

fn examine(mut pieces: Pieces, bounds: &Bounds) -> Result<Facts, Refusal> {
    let mut inspector = Inspector::new(LISTING);
    let codec = unpack(&mut pieces, bounds, |piece| Ok(inspector.push(piece)?))?;
    let inspection = inspector.finish()?;
    let file_hash = match pieces.hash {
        Some(hash) => Sha256(hash.finalize().into()),
        None => inspection.nar_hash,
    };
    Ok(Facts {
        codec,
        file_size: pieces.received.load(Ordering::Relaxed),
        file_hash,
        inspection,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use snowbank_shared::nar::NarWriter;

    use super::*;

    fn archive(contents: &[u8]) -> Vec<u8> {
        let mut archive = Vec::new();
        let mut writer = NarWriter::new(|bytes: &[u8]| archive.extend_from_slice(bytes));
        writer.file(contents, false).expect("a file");
        writer.finish().expect("an archive");
        archive
    }

    async fn examined(bytes: &[u8], key: &str, nar_size: u64) -> Result<Facts, Refusal> {
        let bounds = Bounds {
            nar_size,
            key: key.to_owned(),
        };
        let examination = Examination::begin(&Gate::new(1), bounds);
        for piece in bytes.chunks(1000) {
            if !examination.push(Bytes::copy_from_slice(piece)).await {
                break;
            }
        }
        examination.finish().await
    }

    fn code(result: Result<Facts, Refusal>) -> &'static str {
        result.expect_err("refused").code
    }

    fn xz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = xz2::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(bytes).expect("packed");
        encoder.finish().expect("packed")
    }

    fn packed(codec: Compression, bytes: &[u8]) -> Vec<u8> {
        match codec {
            Compression::None => bytes.to_vec(),
            Compression::Xz => xz(bytes),
            Compression::Zstd => zstd::encode_all(bytes, 1).expect("packed"),
            Compression::Bzip2 => {
                let mut encoder =
                    bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(bytes).expect("packed");
                encoder.finish().expect("packed")
            }
            Compression::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).expect("packed");
                encoder.finish().expect("packed")
            }
            _ => {
                let mut packed = Vec::new();
                brotli::CompressorWriter::new(&mut packed, 4096, 1, 16)
                    .write_all(bytes)
                    .expect("packed");
                packed
            }
        }
    }

    #[tokio::test]
    async fn every_codec_is_undone_and_both_hashes_taken() {
        let plain = archive(&b"hello ".repeat(10_000));
        for (codec, key) in [
            (Compression::None, "nar/x.nar"),
            (Compression::Xz, "nar/x.nar"),
            (Compression::Zstd, "nar/x.nar.xz"),
            (Compression::Bzip2, "nar/x.nar"),
            (Compression::Gzip, "nar/x.nar"),
            (Compression::Br, "nar/x.nar.br"),
        ] {
            let stored = packed(codec, &plain);
            let facts = examined(&stored, key, 1 << 20)
                .await
                .expect("a good archive");
            assert_eq!(facts.codec, codec);
            assert_eq!(facts.file_hash, Sha256::digest(&stored), "{codec}");
            assert_eq!(facts.file_size, stored.len() as u64);
            assert_eq!(facts.inspection.nar_hash, Sha256::digest(&plain), "{codec}");
            assert_eq!(facts.inspection.nar_size, plain.len() as u64);
        }
    }

    #[tokio::test]
    async fn what_is_cut_damaged_or_followed_by_more_is_refused() {
        let plain = archive(b"hello");
        let most = 1 << 20;
        for codec in [
            Compression::Xz,
            Compression::Zstd,
            Compression::Bzip2,
            Compression::Gzip,
            Compression::Br,
        ] {
            let key = if codec == Compression::Br {
                "nar/x.nar.br"
            } else {
                "nar/x.nar"
            };
            let whole = packed(codec, &plain);
            let cut = examined(&whole[..whole.len() - 3], key, most).await;
            assert_eq!(code(cut), "bad-compression", "{codec}");
            let more = [&whole[..], b"rubbish after it"].concat();
            let more = code(examined(&more, key, most).await);
            assert!(
                matches!(more, "bad-compression" | "trailing-data"),
                "{codec}: {more}"
            );
        }
        assert_eq!(
            code(examined(&[&plain[..], b"x"].concat(), "n", most).await),
            "trailing-data"
        );
        let twice = [xz(&plain), xz(&plain)].concat();
        assert_eq!(code(examined(&twice, "n", most).await), "trailing-data");
        assert_eq!(code(examined(b"", "n", most).await), "bad-nar");
        assert_eq!(code(examined(b"what is this", "n", most).await), "bad-nar");
        assert_eq!(code(examined(&plain, "n", 100).await), "too-large");
    }

    #[tokio::test]
    async fn a_bomb_stops_at_its_ratio() {
        // 300 MiB of zeros in 50 kB; nothing holds them.
        let mut encoder = xz2::write::XzEncoder::new(Vec::new(), 0);
        let zeros = vec![0; 1 << 20];
        let mut start = archive(b"");
        start.truncate(8 * 9);
        encoder.write_all(&start).expect("packed");
        for _ in 0..400 {
            encoder.write_all(&zeros).expect("packed");
        }
        let bomb = encoder.finish().expect("packed");
        assert!(matches!(
            code(examined(&bomb, "n", u64::MAX).await),
            "bad-nar" | "bad-compression"
        ));
    }

    #[tokio::test]
    async fn a_client_that_sends_nothing_does_not_hold_the_gate() {
        let gate = Gate::new(1);
        let bounds = Bounds {
            nar_size: 1 << 20,
            key: "nar/x.nar".into(),
        };
        let plain = archive(b"hello");
        let slow = Examination::begin(&gate, bounds.clone());
        assert!(slow.push(Bytes::copy_from_slice(&plain[..20])).await);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let quick = Examination::begin(&gate, bounds);
        assert!(quick.push(plain.clone().into()).await);
        quick.finish().await.expect("not held up");
        assert!(slow.push(Bytes::copy_from_slice(&plain[20..])).await);
        slow.finish().await.expect("whole in the end");
    }
}
