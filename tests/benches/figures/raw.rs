//! The ceiling of a store: LIST and GET over plain hyper, signed, with nothing
//! done to the answers. What the bucket can give, any indexer stays above.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use anyhow::{Context as _, ensure};
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::net::TcpStream;

/// SHA-256 of no bytes.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What stays as it is in a query value.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A bucket at a plain HTTP endpoint.
#[derive(Debug, Clone)]
pub struct RawStore {
    host: String,
    bucket: String,
    access_key: String,
    scope: String,
    signing_key: Arc<[u8]>,
    stamp: String,
}

impl RawStore {
    /// For one measurement: the time in the signatures is that of now.
    pub fn new(
        endpoint: &str,
        bucket: &str,
        region: &str,
        access_key: &str,
        secret_key: &str,
    ) -> anyhow::Result<Self> {
        let now = SystemTime::now();
        let stamp = OffsetDateTime::from(now).format(format_description!(
            "[year][month][day]T[hour][minute][second]Z"
        ))?;
        let signing_key = generate_signing_key(secret_key, now, region, "s3");
        Ok(Self {
            host: endpoint
                .strip_prefix("http://")
                .context("the anchor speaks plain HTTP only")?
                .to_owned(),
            bucket: bucket.to_owned(),
            access_key: access_key.to_owned(),
            scope: format!("{}/{region}/s3/aws4_request", &stamp[..8]),
            signing_key: signing_key.as_ref().into(),
            stamp,
        })
    }

    /// The keys in the root of the bucket, what lies deeper folded, page after page.
    pub async fn list(&self) -> anyhow::Result<Vec<String>> {
        let mut connection = self.connect().await?;
        let mut keys = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut query = String::new();
            if let Some(token) = &token {
                write!(
                    query,
                    "continuation-token={}&",
                    utf8_percent_encode(token, QUERY)
                )?;
            }
            query.push_str("delimiter=%2F&list-type=2&max-keys=1000");
            let page = self
                .ask(&mut connection, &format!("/{}", self.bucket), &query)
                .await?;
            let page = std::str::from_utf8(&page)?;
            keys.extend(elements(page, "Key").map(str::to_owned));
            token = elements(page, "NextContinuationToken")
                .next()
                .map(str::to_owned);
            if token.is_none() {
                return Ok(keys);
            }
        }
    }

    /// Gets every one of `keys` over so many connections; how many bytes came.
    pub async fn get_all(&self, keys: &[String], connections: usize) -> anyhow::Result<u64> {
        let keys: Arc<[String]> = keys.into();
        let next = Arc::new(AtomicUsize::new(0));
        let mut workers = Vec::new();
        for _ in 0..connections {
            let (store, keys, next) = (self.clone(), Arc::clone(&keys), Arc::clone(&next));
            workers.push(tokio::spawn(async move {
                let mut connection = store.connect().await?;
                let mut received = 0;
                while let Some(key) = keys.get(next.fetch_add(1, Ordering::Relaxed)) {
                    received += store
                        .ask(&mut connection, &format!("/{}/{key}", store.bucket), "")
                        .await?
                        .len() as u64;
                }
                anyhow::Ok(received)
            }));
        }
        let mut received = 0;
        for worker in workers {
            received += worker.await??;
        }
        Ok(received)
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Empty<Bytes>>> {
        let stream = TcpStream::connect(&self.host).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Its errors come out at the sender.
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn ask(
        &self,
        connection: &mut SendRequest<Empty<Bytes>>,
        path: &str,
        query: &str,
    ) -> anyhow::Result<Bytes> {
        let Self {
            host, stamp, scope, ..
        } = self;
        let names = "host;x-amz-content-sha256;x-amz-date";
        let canonical = format!(
            "GET\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{EMPTY}\nx-amz-date:{stamp}\n\n{names}\n{EMPTY}"
        );
        let digest = Sha256::digest(canonical);
        let signature = calculate_signature(
            &self.signing_key,
            format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest:x}").as_bytes(),
        );
        let uri = if query.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{query}")
        };
        let request = Request::get(uri)
            .header("host", host)
            .header("x-amz-content-sha256", EMPTY)
            .header("x-amz-date", stamp)
            .header(
                "authorization",
                format!(
                    "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
                    self.access_key
                ),
            )
            .body(Empty::new())?;
        connection.ready().await?;
        let answer = connection.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(
            status.is_success(),
            "{path}: {status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(body)
    }
}

/// The texts of all elements of a name. Keys here need no unescaping.
fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(open.as_str())?;
        let (text, after) = after.split_once(close.as_str())?;
        rest = after;
        Some(text)
    })
}
