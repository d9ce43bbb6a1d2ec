//! A client that only takes what it gets: GETs over plain hyper, unsigned, bodies thrown away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The longest that one answer may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A connection that is kept alive.
pub struct Connection {
    host: String,
    sender: SendRequest<Empty<Bytes>>,
}

/// What came.
#[derive(Debug, Clone, Copy)]
pub struct Came {
    pub bytes: u64,
    /// Seconds from asking to the first piece of the body.
    pub first_byte: f64,
}

/// Host and the rest of a URL.
fn parts(url: &str) -> anyhow::Result<(&str, &str)> {
    let rest = url.strip_prefix("http://").context("plain HTTP only")?;
    let slash = rest.find('/').context("a URL without a path")?;
    Ok(rest.split_at(slash))
}

impl Connection {
    /// To the server of a URL.
    pub async fn to(url: &str) -> anyhow::Result<Self> {
        let (host, _) = parts(url)?;
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Its errors come out at the sender.
        tokio::spawn(connection);
        Ok(Self {
            host: host.to_owned(),
            sender,
        })
    }

    /// Gets a URL whole: as fast as it comes, or so many bytes a second.
    pub async fn get(&mut self, url: &str, slowly: Option<f64>) -> anyhow::Result<Came> {
        let request = Request::get(parts(url)?.1)
            .header("host", &self.host)
            .body(Empty::new())?;
        self.sender.ready().await?;
        let begin = Instant::now();
        let mut answer = self.sender.send_request(request).await?;
        ensure!(answer.status().is_success(), "{url}: {}", answer.status());
        let mut came = Came {
            bytes: 0,
            first_byte: 0.0,
        };
        while let Some(frame) = answer.body_mut().frame().await {
            if let Ok(piece) = frame?.into_data() {
                if came.bytes == 0 {
                    came.first_byte = begin.elapsed().as_secs_f64();
                }
                came.bytes += piece.len() as u64;
                if let Some(rate) = slowly {
                    tokio::time::sleep(Duration::from_secs_f64(piece.len() as f64 / rate)).await;
                }
            }
        }
        Ok(came)
    }
}

/// Gets every URL once over so many connections; seconds, and how many bytes came.
pub async fn get_all(urls: &[String], connections: usize) -> anyhow::Result<(f64, u64)> {
    let urls: Arc<[String]> = urls.into();
    let next = Arc::new(AtomicUsize::new(0));
    let begin = Instant::now();
    let mut workers = Vec::new();
    for _ in 0..connections {
        let (urls, next) = (Arc::clone(&urls), Arc::clone(&next));
        workers.push(tokio::spawn(async move {
            let mut bytes = 0;
            let mut connection = Connection::to(urls.first().context("no URLs")?).await?;
            while let Some(url) = urls.get(next.fetch_add(1, Ordering::Relaxed)) {
                let got = tokio::time::timeout(PATIENCE, connection.get(url, None));
                bytes += got
                    .await
                    .with_context(|| format!("{url} takes more than {PATIENCE:?}"))??
                    .bytes;
            }
            anyhow::Ok(bytes)
        }));
    }
    let mut bytes = 0;
    for worker in workers {
        bytes += worker.await??;
    }
    Ok((begin.elapsed().as_secs_f64(), bytes))
}
