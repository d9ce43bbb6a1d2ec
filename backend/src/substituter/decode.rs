//! Undoing a Content-Encoding while the bytes flow: for the few NARs and logs that are
//! stored with one.
//!
//! The decoders are synchronous, so each runs on a thread of its own between two bounded
//! channels: a slow client stops the decoder, and the decoder stops the bucket. What comes
//! out is never held, so a bomb costs time only, and only the time its client waits.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use crate::archive::{Pieces, pieces};
use crate::bucket::ObjectBody;
use crate::bucket::encoding::{Coding, coding};

/// Bytes in a piece that leaves a decoder.
const PIECE: usize = 64 * 1024;
/// Decoders at work at once.
static DECODERS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(64)));
/// How long an answer waits for one: slow clients of others must not hold it for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// The decoded bytes; `None` for an encoding that we cannot undo.
pub(super) fn stream(
    header: &str,
    body: ObjectBody,
) -> Option<impl Stream<Item = Result<Bytes, io::Error>> + Send + 'static> {
    let coding = coding(header).ok()??;
    let stored = pieces(body);
    let (sink, decoded) = mpsc::channel::<Result<Bytes, io::Error>>(2);
    tokio::spawn(async move {
        let waited = tokio::time::timeout(PATIENCE, Arc::clone(&DECODERS).acquire_owned());
        let Ok(permit) = waited.await else {
            let busy = io::Error::new(io::ErrorKind::TimedOut, "all decoders are at work");
            let _ = sink.send(Err(busy)).await;
            return;
        };
        let _ = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            pump(coding, stored, &sink);
        })
        .await;
    });
    Some(ReceiverStream::new(decoded))
}

fn pump(coding: Coding, stored: Pieces, sink: &mpsc::Sender<Result<Bytes, io::Error>>) {
    let decoder: io::Result<Box<dyn Read>> = match coding {
        Coding::Gzip => Ok(Box::new(flate2::read::MultiGzDecoder::new(stored))),
        Coding::Zstd => zstd::stream::read::Decoder::new(stored)
            .map(|decoder| Box::new(decoder) as Box<dyn Read>),
        Coding::Brotli => Ok(Box::new(brotli::Decompressor::new(stored, PIECE))),
    };
    let mut decoder = match decoder {
        Ok(decoder) => decoder,
        Err(error) => {
            let _ = sink.blocking_send(Err(error));
            return;
        }
    };
    loop {
        let mut piece = vec![0; PIECE];
        let result = match decoder.read(&mut piece) {
            Ok(0) => return,
            Ok(length) => {
                piece.truncate(length);
                Ok(Bytes::from(piece))
            }
            Err(error) => Err(error),
        };
        let broken = result.is_err();
        // The client may have left.
        if sink.blocking_send(result).is_err() || broken {
            return;
        }
    }
}
