//! One address of the server: connections in, requests through the fault rules to the S3 service.
//!
//! HTTP/1.1 with keep-alive, without Nagle's delay. Whatever a client can drag out is bounded: the head
//! of a request, the pause between two pieces of a body in either direction, and the number of connections.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::CONTENT_RANGE;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use s3s::Body;
use s3s::service::S3Service;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::Sleep;

use super::faults::Faults;
use super::leftover;
use super::operation::{Counters, Target};
use super::spoil::Ended;

/// How long the head of a request, or the next request on an open connection, may take. Longer than
/// clients keep idle connections, so that they are the ones who close.
const HEAD: Duration = Duration::from_secs(120);
/// How long a client may take nothing of an answer.
const STALLED_READER: Duration = Duration::from_secs(60);
/// How long a connection may be still in both directions, such as a request whose body never ends. Longer
/// than any work of ours between reading a request and answering it.
const STILL: Duration = Duration::from_secs(900);
/// Most connections at a time; more wait to be accepted.
const CONNECTIONS: usize = 2048;
/// How long open requests may take when the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// What a listener puts in front of the S3 service.
pub struct Front {
    /// The service.
    pub s3: S3Service,
    /// Counts requests.
    pub counters: Arc<Counters>,
    /// Rules of tests.
    pub faults: Faults,
}

impl Front {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Ended> {
        let target = Target::of(request.method(), request.uri(), request.headers());
        self.counters.add(target.operation);
        let plan = self.faults.plan(&target);
        if !plan.delay.is_zero() {
            tokio::time::sleep(plan.delay).await;
        }
        if let Some(response) = plan.instead()? {
            return Ok(response);
        }
        let is_head = request.method() == Method::HEAD;
        let (request, leftover) = leftover::watch(request);
        let mut response = self
            .s3
            .call(request)
            .await
            .map_err(|error| Ended::Failed(error.into()))?;
        leftover.discard().await;
        if is_head
            && response.status() == StatusCode::OK
            && response.headers().contains_key(CONTENT_RANGE)
        {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        plan.spoil(response).await
    }
}

/// Serves until `stop` becomes true, then lets open requests finish for a short while.
pub async fn serve(listener: TcpListener, front: Arc<Front>, mut stop: watch::Receiver<bool>) {
    let graceful = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = accept(&listener, &permits) => accepted,
        };
        let Some((stream, permit)) = accepted else {
            continue;
        };
        let front = front.clone();
        let service = service_fn(move |request| {
            let front = front.clone();
            async move { front.answer(request).await }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_headers(100)
            .max_buf_size(64 << 10)
            .serve_connection(TokioIo::new(Patient::new(stream)), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "a connection to the embedded S3 server ended early");
            }
            drop(permit);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(GRACE, graceful.shutdown()).await;
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = permits.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            let _ = stream.set_nodelay(true);
            Some((stream, permit))
        }
        Err(error) => {
            // Out of file descriptors, most likely: wait for some to come back.
            tracing::warn!(error = %error, "the embedded S3 server cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

/// A connection that may not stand still for ever.
struct Patient {
    stream: TcpStream,
    /// Runs while a write waits.
    writing: Option<Pin<Box<Sleep>>>,
    /// Runs while a read waits; begins again with each byte written.
    reading: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            writing: None,
            reading: None,
        }
    }

    fn bounded<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing = None;
            self.reading = None;
            return written;
        }
        wait(&mut self.writing, STALLED_READER, context)
    }
}

/// Pending until the time is over, then an error.
fn wait<T>(
    timer: &mut Option<Pin<Box<Sleep>>>,
    time: Duration,
    context: &mut Context<'_>,
) -> Poll<io::Result<T>> {
    let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
    match timer.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
        Poll::Pending => Poll::Pending,
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if read.is_ready() {
            self.reading = None;
            return read;
        }
        wait(&mut self.reading, STILL, context)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, data);
        self.bounded(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, data);
        self.bounded(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
