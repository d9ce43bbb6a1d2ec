//! A server on a temporary folder and ways to talk to it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use snowbank::bucket::embedded::access::Anonymous;
use snowbank::bucket::embedded::{EmbeddedConfig, EmbeddedS3, ListenerConfig};

/// The state area's prefix, hidden from the outer address.
pub const HIDDEN: &str = ".snowbank/";

/// A running server with one bucket, `main`.
pub struct Store {
    pub server: EmbeddedS3,
    pub http: reqwest::Client,
    pub dir: tempfile::TempDir,
}

/// A server whose outer address takes unsigned requests.
pub async fn store() -> Store {
    let dir = tempfile::tempdir().unwrap();
    let server = EmbeddedS3::start(config(&dir.path().join("main")))
        .await
        .unwrap();
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap();
    Store { server, http, dir }
}

pub fn config(folder: &std::path::Path) -> EmbeddedConfig {
    let external = ListenerConfig {
        anonymous: Anonymous::Full,
        hidden: vec![HIDDEN.to_owned()],
        ..ListenerConfig::default()
    };
    EmbeddedConfig {
        external: Some(external),
        ..EmbeddedConfig::new()
    }
    .bucket("main", folder)
}

impl Store {
    /// The bucket's folder.
    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("main")
    }

    /// URL of a path below the bucket, unsigned.
    pub fn url(&self, path: &str) -> String {
        format!("{}/main{path}", self.server.external_endpoint().unwrap())
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path))
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub async fn put(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        self.request(Method::PUT, path)
            .body(body)
            .send()
            .await
            .unwrap()
    }

    /// Puts and expects success; returns the entity tag with its quotes.
    pub async fn stored(&self, path: &str, body: impl Into<reqwest::Body>) -> String {
        let response = self.put(path, body).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        header(&response, "etag").unwrap()
    }

    /// The AWS SDK against the inner address, signed.
    pub fn sdk(&self) -> aws_sdk_s3::Client {
        let credentials = self.server.credentials();
        sdk(
            &self.server.endpoint(),
            &credentials.access_key,
            &credentials.secret_key,
        )
    }

    /// Files that are being written at the moment.
    pub fn temporaries(&self) -> usize {
        std::fs::read_dir(self.folder().join(".s3/tmp"))
            .unwrap()
            .count()
    }
}

/// The AWS SDK with its own defaults, but no retries.
pub fn sdk(endpoint: &str, access_key: &str, secret_key: &str) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new(access_key, secret_key, None, None, "test"))
        .force_path_style(true)
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

pub fn header(response: &Response, name: &str) -> Option<String> {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap().to_owned())
}

/// Status and error code of a refusal.
pub async fn refusal(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (
        status,
        element(&text, "Code").unwrap_or_default().to_owned(),
    )
}

/// The text of the first such element.
pub fn element<'t>(xml: &'t str, name: &str) -> Option<&'t str> {
    elements(xml, name).next()
}

/// The texts of all such elements.
pub fn elements<'t>(xml: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let start = rest.find(&open)? + open.len();
        let end = start + rest[start..].find(&close)?;
        let text = &rest[start..end];
        rest = &rest[end..];
        Some(text)
    })
}

/// Sends bytes as they are and returns all that comes back until the server closes the connection; for
/// requests that no client library would send.
pub fn raw(endpoint: &str, request: &[u8]) -> String {
    exchange(endpoint, request, false)
}

/// The same for a client that says nothing more after these bytes.
pub fn raw_and_end(endpoint: &str, request: &[u8]) -> String {
    exchange(endpoint, request, true)
}

fn exchange(endpoint: &str, request: &[u8], end: bool) -> String {
    let mut stream = TcpStream::connect(endpoint.strip_prefix("http://").unwrap()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream.write_all(request).unwrap();
    if end {
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
