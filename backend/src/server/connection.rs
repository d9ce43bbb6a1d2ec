//! Connections: accepted up to a bound, each with limits on how long and how large a
//! request's head may be and how long a client may stop reading.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::site::Site;
use crate::web::{Request, Response};

/// Connections at once.
const CONNECTIONS: usize = 10_000;
/// For a request's head, and between two requests of a connection.
const HEAD: Duration = Duration::from_secs(60);
/// Bytes of a request's head.
const HEAD_BYTES: usize = 64 * 1024;
/// How long a client may stop taking bytes.
const STALLED: Duration = Duration::from_secs(60);
/// How long a connection may end its answer when the server ends.
const GRACE: Duration = Duration::from_secs(8);

/// What answers requests.
pub(super) trait Answering: Send + Sync + 'static {
    /// The answer to one request.
    fn answer(
        self: &Arc<Self>,
        request: Request,
        peer: SocketAddr,
    ) -> impl Future<Output = Response> + Send;
}

/// Accepts connections until it is told to stop, then waits for those that are open.
pub(super) async fn accept<A: Answering>(
    listener: TcpListener,
    answering: Arc<A>,
    listening: CancellationToken,
    site: Arc<Site>,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let open = TaskTracker::new();
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            break;
        };
        let accepted = tokio::select! {
            () = listening.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, or a client that left at once.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (answering, listening, site) =
            (Arc::clone(&answering), listening.clone(), Arc::clone(&site));
        open.spawn(async move {
            site.metrics.connections.inc();
            serve(stream, peer, answering, listening).await;
            site.metrics.connections.dec();
            drop(permit);
        });
    }
    open.close();
    open.wait().await;
}

async fn serve<A: Answering>(
    stream: TcpStream,
    peer: SocketAddr,
    answering: Arc<A>,
    listening: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let answering = Arc::clone(&answering);
        async move { Ok::<_, std::convert::Infallible>(answering.answer(request, peer).await) }
    });
    // Of headers it takes a hundred; to say so would cost each request an allocation.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(
            TokioIo::new(Patient {
                stream,
                stalled: None,
            }),
            service,
        );
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = listening.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(GRACE, connection).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        // Clients leave in every way there is.
        tracing::debug!(%peer, %error, "a connection broke");
    }
}

/// A stream whose reader may not stop for ever.
struct Patient {
    stream: TcpStream,
    /// Runs while the other side takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    /// Lets a write through, or ends it when it has waited too long.
    fn bounded<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let timer = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(STALLED)));
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.bounded(cx, outcome)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.bounded(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_flush(cx);
        this.bounded(cx, outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.bounded(cx, outcome)
    }
}
