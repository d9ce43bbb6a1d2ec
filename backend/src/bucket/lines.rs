//! Connections of a sweep, each moved along by the request that uses it.
//!
//! The client of everything else runs each connection as a task of its own, and a
//! request goes over to that task and its answer comes back: two changes of task, often of
//! thread, and a third that watches when the connection is free again. That suits few requests of
//! many kinds. A sweep makes a million of one kind, and there they cost as much as the request
//! itself. So here a request polls the connection that it goes over, and nobody polls one that is idle:
//! that the store closed it shows when it is used again, before anything is written to it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Uri;
use http_body_util::Empty;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::ServiceExt as _;

use super::transport::causes;

/// What goes over the wire.
type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// An idle line is not used again after this: stores close theirs after some time, too.
const IDLE: Duration = Duration::from_secs(15);

/// Makes lines and keeps the idle ones.
pub(super) struct Lines {
    connector: HttpsConnector<HttpConnector>,
    /// `https://host[:port]/`
    origin: Uri,
    idle: Mutex<Vec<Line>>,
    /// Idle lines that are kept.
    most: usize,
}

/// A connection and the way into it.
pub(super) struct Line {
    sender: SendRequest<Empty<Bytes>>,
    /// `None` once it has ended: a request that waits in it comes back when it goes.
    connection: Option<Pin<Box<Open>>>,
    used: Instant,
}

/// What moves requests and answers.
type Open = Connection<Stream, Empty<Bytes>>;

impl Lines {
    pub(super) fn new(connector: HttpsConnector<HttpConnector>, origin: Uri, most: usize) -> Self {
        Self {
            connector,
            origin,
            idle: Mutex::default(),
            most,
        }
    }

    /// The line that was used last, if it was a short time ago.
    pub(super) fn idle(&self) -> Option<Line> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let line = idle.pop()?;
        if line.used.elapsed() < IDLE {
            return Some(line);
        }
        // The others were used before it.
        idle.clear();
        None
    }

    /// A new line.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn open(&self) -> Result<Line, String> {
        let stream = self.connector.clone().oneshot(self.origin.clone());
        let stream = stream.await.map_err(|error| causes(&*error))?;
        let (sender, connection) = http1::handshake(stream)
            .await
            .map_err(|error| causes(&error))?;
        Ok(Line {
            sender,
            connection: Some(Box::pin(connection)),
            used: Instant::now(),
        })
    }

    /// Takes a line back whose last answer was read to its end.
    pub(super) fn give_back(&self, mut line: Line) {
        if line.connection.is_none() {
            return;
        }
        line.used = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.most {
            idle.push(line);
        }
    }
}

impl Line {
    /// The way in, and what moves the connection.
    pub(super) fn parts(&mut self) -> (&mut SendRequest<Empty<Bytes>>, Moving<'_>) {
        let moving = Moving {
            connection: &mut self.connection,
        };
        (&mut self.sender, moving)
    }
}

/// A connection that moves while something waits for it.
pub(super) struct Moving<'a> {
    connection: &'a mut Option<Pin<Box<Open>>>,
}

impl Moving<'_> {
    /// Waits for something that the connection brings.
    pub(super) async fn drive<T>(self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(done);
            }
            // An error of the connection comes out at the request that waits for it. One that the
            // store closed while it was idle ends without, and then holds the request until it is
            // dropped.
            if let Some(connection) = self.connection.as_mut()
                && connection.as_mut().poll(context).is_ready()
            {
                *self.connection = None;
            }
            // What the connection has just received.
            work.as_mut().poll(context)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::{Notify, mpsc};

    use crate::bucket::{Bucket, BucketConfig, CredentialSource, Credentials, Operation};

    /// Answers a request; `false` where the client has gone.
    async fn answer(stream: &mut TcpStream) -> bool {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return false,
            }
        }
        assert!(head.starts_with(b"GET /b/key HTTP/1.1\r\n"));
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody";
        stream.write_all(answer).await.is_ok()
    }

    #[tokio::test]
    async fn a_line_is_used_again_until_the_store_closes_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let opened = Arc::new(AtomicU64::new(0));
        let (closing, mut closed) = mpsc::unbounded_channel();
        // An answer and the end of its line in one piece would be seen as one.
        let close = Arc::new(Notify::new());
        let (count, told) = (Arc::clone(&opened), Arc::clone(&close));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let (closing, told) = (closing.clone(), Arc::clone(&told));
                tokio::spawn(async move {
                    for _ in 0..2 {
                        if !answer(&mut stream).await {
                            return;
                        }
                    }
                    told.notified().await;
                    drop(stream);
                    // A test that is over does not listen.
                    let _ = closing.send(());
                });
            }
        });
        let config = BucketConfig {
            bucket: "b".to_owned(),
            endpoint: Some(endpoint),
            region: Some("r".to_owned()),
            credentials: Credentials {
                read: CredentialSource::Anonymous,
                ..Credentials::default()
            },
            ..BucketConfig::default()
        };
        let bucket = Bucket::connect(&config).await.expect("a bucket").bulk();
        for n in 1..=6 {
            let object = bucket.get_small("key", 100).await.expect("an answer");
            assert_eq!(&object.bytes[..], b"body");
            if n % 2 == 0 {
                // Its answer was read, and the line lies idle.
                close.notify_one();
                closed.recv().await.expect("closed after two answers");
                // The reactor hears of it when it is polled, which a timer brings about.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        assert_eq!(opened.load(Ordering::Relaxed), 3);
        let counts = bucket.counts().of(Operation::Get);
        assert_eq!((counts.sent, counts.retried, counts.failed), (6, 0, 0));
    }
}
