//! What is unpacked for somebody, on its way out: it has to be taken at some speed, so that who
//! reads a byte a minute does not keep others from their turn.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_stream::wrappers::ReceiverStream;

use super::FileStream;

/// The least speed at which an answer is to be taken.
#[derive(Debug, Clone, Copy)]
pub struct Speed {
    /// Bytes, in each window.
    pub bytes: u64,
    /// So long an answer waited for its reader; the time that the server needs does not count.
    pub window: Duration,
}

/// 16 kB a second, over 20 seconds.
pub const SLOWEST: Speed = Speed {
    bytes: 20 * 16_000,
    window: Duration::from_secs(20),
};

/// Pieces that wait for the connection.
const WAITING: usize = 3;

/// Whether an answer is taken fast enough.
#[derive(Debug)]
pub struct Pace {
    least: Speed,
    waited: Duration,
    moved: u64,
}

impl Pace {
    /// At the beginning of an answer.
    pub fn new(least: Speed) -> Self {
        Self {
            least,
            waited: Duration::ZERO,
            moved: 0,
        }
    }

    /// Waits until a piece of so many bytes was taken; `None` where the answer is taken too slowly.
    pub async fn hand_over<T>(
        &mut self,
        bytes: usize,
        handing: impl Future<Output = T>,
    ) -> Option<T> {
        let mut handing = pin!(handing);
        loop {
            let began = Instant::now();
            let left = self.least.window.saturating_sub(self.waited);
            if let Ok(taken) = timeout(left, &mut handing).await {
                self.waited += began.elapsed();
                self.moved = self.moved.saturating_add(bytes as u64);
                return Some(taken);
            }
            if self.moved < self.least.bytes {
                return None;
            }
            self.waited = Duration::ZERO;
            self.moved = 0;
        }
    }
}

/// The thread's end of a stream.
pub(super) struct Outflow {
    sink: mpsc::Sender<io::Result<Bytes>>,
    pace: Pace,
    runtime: Handle,
    failure: Arc<Mutex<Option<io::Error>>>,
}

/// A stream and what a thread that may block fills it by. Call it on the runtime.
pub(super) fn outflow(least: Speed) -> (Outflow, FileStream) {
    let (sink, pieces) = mpsc::channel(WAITING);
    let failure = Arc::default();
    let outflow = Outflow {
        sink,
        pace: Pace::new(least),
        runtime: Handle::current(),
        failure: Arc::clone(&failure),
    };
    // Asked for when all pieces were taken and the thread has let go of its end.
    let why = std::iter::from_fn(move || {
        let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take().map(Err)
    });
    let stream = ReceiverStream::new(pieces).chain(stream::iter(why));
    (outflow, stream.boxed())
}

impl Outflow {
    /// Hands a piece over and waits until there is room for the next. `false`: nobody wants more, or
    /// it is taken too slowly; then the stream ends with an error.
    pub(super) fn send(&mut self, piece: Bytes) -> bool {
        let length = piece.len();
        let handing = self.pace.hand_over(length, self.sink.send(Ok(piece)));
        match self.runtime.block_on(handing) {
            Some(taken) => taken.is_ok(),
            None => {
                self.fail(io::Error::other("the answer was read too slowly"));
                false
            }
        }
    }

    /// The stream ends with this after what was handed over; the first reason counts.
    pub(super) fn fail(&self, error: io::Error) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: usize = 1_000;
    const SHORT: Speed = Speed {
        bytes: 10 * PIECE as u64,
        window: Duration::from_millis(200),
    };

    /// A thread that sends until it may not; how many pieces it sent is told at its end.
    fn sending() -> (tokio::task::JoinHandle<usize>, FileStream) {
        let (mut outflow, stream) = outflow(SHORT);
        let thread = tokio::task::spawn_blocking(move || {
            (0..100)
                .take_while(|_| outflow.send(Bytes::from_static(&[7; PIECE])))
                .count()
        });
        (thread, stream)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_does_not_read_is_cut_off_and_can_see_it() {
        let (thread, stream) = sending();
        let ended = timeout(Duration::from_secs(20), thread).await;
        let sent = ended.expect("it ends").expect("no panic");
        assert_eq!(sent, WAITING);
        let pieces: Vec<_> = stream.collect().await;
        let (last, before) = pieces.split_last().expect("pieces");
        assert_eq!(before.len(), WAITING);
        assert!(before.iter().all(Result::is_ok));
        let error = last.as_ref().expect_err("a cut answer");
        assert!(error.to_string().contains("too slowly"), "{error}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_reads_gets_all_and_who_leaves_ends_it() {
        let (thread, stream) = sending();
        let pieces: Vec<_> = stream.collect().await;
        assert!(pieces.len() == 100 && pieces.iter().all(Result::is_ok));
        assert_eq!(thread.await.expect("no panic"), 100);
        let (thread, stream) = sending();
        drop(stream);
        assert!(thread.await.expect("no panic") < 100);
    }

    #[tokio::test]
    async fn a_pause_after_much_was_taken_is_no_slowness() {
        let mut pace = Pace::new(SHORT);
        let long = 20 * PIECE;
        assert_eq!(pace.hand_over(long, std::future::ready(1)).await, Some(1));
        let pause = tokio::time::sleep(SHORT.window * 3 / 2);
        assert_eq!(pace.hand_over(PIECE, pause).await, Some(()));
        let none = pace.hand_over(PIECE, std::future::pending::<()>()).await;
        assert_eq!(none, None);
    }
}
