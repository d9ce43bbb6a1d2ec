//! Connections to the endpoint, and one signed request over them.

use std::error::Error;
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_http_client::tls;
use bytes::Bytes;
use http::response::Parts;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;

use super::address::address;
use super::config::Sources;
use super::error::ErrorAnswer;
use super::lines::Lines;
use super::sign::{Signed, Signer, Unsigned, encode_path};
use super::{BucketConfig, BucketError, BucketErrorKind, Limits, Operation};

/// The machine's certificates, so that a private authority works as for every other
/// program; Mozilla's where there are none, as in a bare container.
static TLS: LazyLock<ClientConfig> = LazyLock::new(|| {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let builder = || {
        ClientConfig::builder_with_provider(Arc::clone(&ring))
            .with_safe_default_protocol_versions()
            .expect("ring has the default protocol versions")
    };
    match builder().with_native_roots() {
        Ok(config) => config.with_no_client_auth(),
        Err(error) => {
            tracing::info!(%error, "no certificates on this machine, taking Mozilla's");
            builder().with_webpki_roots().with_no_client_auth()
        }
    }
});

/// What every request of ours is called, so that a reader of access logs tells it from a client's.
const AGENT: &str = concat!("snowbank/", env!("CARGO_PKG_VERSION"));

/// How the server speaks TLS to others.
pub(crate) fn tls() -> ClientConfig {
    TLS.clone()
}

/// The SDK's own connections, for writes and for credentials.
pub(super) fn sdk_http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(
            tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https()
}

/// Sends signed requests without a body.
pub(super) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    /// For the small objects of a sweep.
    lines: Lines,
    signer: Signer,
    bucket: String,
    /// `https://host[:port]`, parsed once for all requests.
    scheme: Scheme,
    authority: Authority,
    /// The Host header, as signed…
    host: String,
    /// …and as sent.
    host_value: HeaderValue,
    /// What stands before the key: empty, `/bucket`, or that below the endpoint's path.
    base: String,
    limits: Limits,
}

/// What an answer to an unhappy request may say at most.
const ERROR_BODY: usize = 16 * 1024;

impl Transport {
    pub(super) fn new(config: &BucketConfig, sources: &Sources) -> Result<Self, BucketError> {
        let no_url = || {
            BucketError::new(
                Operation::Get,
                &config.bucket,
                "",
                BucketErrorKind::Misconfigured,
                "endpoint and bucket make no URL",
            )
        };
        let (origin, host, base) = address(config, &sources.region).ok_or_else(no_url)?;
        let origin = origin.parse::<Uri>().map_err(|_| no_url())?.into_parts();
        let (scheme, authority) = origin.scheme.zip(origin.authority).ok_or_else(no_url)?;
        let host_value = HeaderValue::from_str(&host).map_err(|_| no_url())?;
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.enforce_http(false);
        http.set_connect_timeout(Some(config.limits.connect_timeout));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(TLS.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let root = Uri::builder()
            .scheme(scheme.clone())
            .authority(authority.clone())
            .path_and_query("/")
            .build()
            .map_err(|_| no_url())?;
        let lines = Lines::new(https.clone(), root, config.limits.bulk_concurrency);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(config.limits.concurrency + config.limits.bulk_concurrency)
            .build(https);
        Ok(Self {
            client,
            lines,
            signer: Signer::new(sources.read.clone(), &sources.region),
            bucket: config.bucket.clone(),
            scheme,
            authority,
            host,
            host_value,
            base,
            limits: config.limits.clone(),
        })
    }

    /// When the reading credentials end; `None`: unknown or never.
    pub(super) async fn credentials_expire(
        &self,
        operation: Operation,
        key: &str,
    ) -> Result<Option<SystemTime>, BucketError> {
        self.signer
            .credentials_expire()
            .await
            .map_err(|detail| self.error(operation, key, BucketErrorKind::BadCredentials, detail))
    }

    /// Sends a request and waits for the head of a 2xx answer.
    ///
    /// # Errors
    /// See [`BucketErrorKind`].
    pub(super) async fn send(
        &self,
        operation: Operation,
        target: Target<'_>,
        extra: HeaderMap,
    ) -> Result<Response<Incoming>, BucketError> {
        let key = target.key();
        let request = self.request(operation, target, extra).await?;
        let waited = tokio::time::timeout(self.limits.answer_timeout, self.client.request(request));
        match waited.await {
            Ok(Ok(response)) => self.accepted(operation, key, response).await,
            Ok(Err(error)) => {
                Err(self.error(operation, key, BucketErrorKind::Network, causes(&error)))
            }
            Err(_) => Err(self.unanswered(operation, key)),
        }
    }

    /// GETs an object whole, at most `most` bytes of it: for a sweep, whose requests move their
    /// connections themselves ([`Lines`]).
    ///
    /// # Errors
    /// See [`BucketErrorKind`].
    pub(super) async fn whole(
        &self,
        key: &str,
        most: usize,
    ) -> Result<(Parts, Bytes), BucketError> {
        let target = Target::Object {
            method: Method::GET,
            key,
        };
        let mut request = self
            .request(Operation::Get, target, HeaderMap::new())
            .await?;
        // Who is spoken to is settled by the line.
        if let Some(path) = request.uri().path_and_query().cloned() {
            *request.uri_mut() = Uri::from(path);
        }
        let network =
            |detail: String| self.error(Operation::Get, key, BucketErrorKind::Network, detail);
        loop {
            let (mut line, used) = match self.lines.idle() {
                Some(line) => (line, true),
                None => (self.lines.open().await.map_err(network)?, false),
            };
            let (sender, moving) = line.parts();
            let exchange = self.exchange(sender, request, key, most);
            let exchanged = moving.drive(exchange).await;
            match exchanged {
                Exchanged::Answered(answer) => {
                    if answer.is_ok() {
                        self.lines.give_back(line);
                    }
                    return answer;
                }
                // The store closed it while it was idle.
                Exchanged::Unsent(back, _) if used => request = back,
                Exchanged::Unsent(_, error) => return Err(network(causes(&error))),
            }
        }
    }

    /// One request over a line, and its answer to the end.
    async fn exchange(
        &self,
        sender: &mut SendRequest<Empty<Bytes>>,
        request: Request<Empty<Bytes>>,
        key: &str,
        most: usize,
    ) -> Exchanged {
        if let Err(error) = sender.ready().await {
            return Exchanged::Unsent(request, error);
        }
        let waited = sender.try_send_request(request);
        let response = match tokio::time::timeout(self.limits.answer_timeout, waited).await {
            Ok(Ok(response)) => response,
            Ok(Err(mut error)) => {
                return match error.take_message() {
                    Some(request) => Exchanged::Unsent(request, error.into_error()),
                    None => Exchanged::Answered(Err(self.error(
                        Operation::Get,
                        key,
                        BucketErrorKind::Network,
                        causes(error.error()),
                    ))),
                };
            }
            Err(_) => return Exchanged::Answered(Err(self.unanswered(Operation::Get, key))),
        };
        let answer = async {
            let (head, body) = self
                .accepted(Operation::Get, key, response)
                .await?
                .into_parts();
            let fail = |kind, detail: String| self.error(Operation::Get, key, kind, detail);
            let body = collect(body, most)
                .await
                .map_err(|error| error.told(most, fail))?;
            Ok((head, body))
        };
        Exchanged::Answered(answer.await)
    }

    /// A 2xx answer, or what another one says.
    async fn accepted(
        &self,
        operation: Operation,
        key: &str,
        response: Response<Incoming>,
    ) -> Result<Response<Incoming>, BucketError> {
        if response.status().is_success() {
            return Ok(response);
        }
        let error = self.refused(operation, key, response).await;
        if error.kind() == BucketErrorKind::BadCredentials {
            self.signer.forget();
        }
        Err(error)
    }

    fn unanswered(&self, operation: Operation, key: &str) -> BucketError {
        let seconds = self.limits.answer_timeout.as_secs_f32();
        self.error(
            operation,
            key,
            BucketErrorKind::Timeout,
            format!("no answer within {seconds} s"),
        )
    }

    /// A signed request. `query` is encoded and sorted.
    async fn request(
        &self,
        operation: Operation,
        target: Target<'_>,
        extra: HeaderMap,
    ) -> Result<Request<Empty<Bytes>>, BucketError> {
        let (method, key, path, query) = match target {
            Target::Object { method, key } => {
                let path = format!("{}/{}", self.base, encode_path(key));
                (method, key, path, "")
            }
            Target::Listing { prefix, query } => {
                let path = if self.base.is_empty() {
                    "/".to_owned()
                } else {
                    self.base.clone()
                };
                (Method::GET, prefix, path, query)
            }
        };
        let fail = |kind, detail: String| self.error(operation, key, kind, detail);
        let signed = self
            .signer
            .sign(
                Unsigned {
                    method: method.as_str(),
                    host: &self.host,
                    path: &path,
                    query,
                },
                SystemTime::now(),
            )
            .await
            .map_err(|detail| fail(BucketErrorKind::BadCredentials, detail))?;
        let path = match query.is_empty() {
            true => path,
            false => format!("{path}?{query}"),
        };
        let uri = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .map_err(|error| fail(BucketErrorKind::InvalidKey, error.to_string()))?;
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(headers) = request.headers_mut() {
            *headers = extra;
            headers.insert(header::HOST, self.host_value.clone());
            headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
            if let Some(signed) = signed {
                headers.insert(header::AUTHORIZATION, signed.authorization);
                headers.insert("x-amz-date", signed.date);
                headers.insert("x-amz-content-sha256", Signed::CONTENT_SHA256);
                if let Some(token) = signed.token {
                    headers.insert("x-amz-security-token", token);
                }
            }
        }
        request
            .body(Empty::new())
            .map_err(|error| fail(BucketErrorKind::InvalidKey, error.to_string()))
    }

    /// Reads what the store says about its refusal.
    async fn refused(
        &self,
        operation: Operation,
        key: &str,
        response: Response<Incoming>,
    ) -> BucketError {
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|seconds| seconds.trim().parse().ok())
            .map(std::time::Duration::from_secs);
        let body = collect(response.into_body(), ERROR_BODY);
        let said = match tokio::time::timeout(self.limits.answer_timeout, body).await {
            Ok(Ok(body)) => super::wire::error(&body),
            _ => None,
        };
        let (code, message) = said.unwrap_or_default();
        let answer = ErrorAnswer {
            status,
            code,
            message,
            retry_after,
        };
        BucketError::answered(operation, &self.bucket, key, &answer)
    }

    fn error(
        &self,
        operation: Operation,
        key: &str,
        kind: BucketErrorKind,
        detail: impl Into<String>,
    ) -> BucketError {
        BucketError::new(operation, &self.bucket, key, kind, detail)
    }
}

/// What a request is about.
pub(super) enum Target<'a> {
    /// An object, by its absolute key.
    Object { method: Method, key: &'a str },
    /// The bucket, with the query of a listing.
    Listing { prefix: &'a str, query: &'a str },
}

impl<'a> Target<'a> {
    /// The absolute key, or the prefix of a listing, for the texts of errors.
    fn key(&self) -> &'a str {
        match *self {
            Self::Object { key, .. } => key,
            Self::Listing { prefix, .. } => prefix,
        }
    }
}

/// What became of a request over a line.
enum Exchanged {
    Answered(Result<(Parts, Bytes), BucketError>),
    /// Nothing was written: it may go over another line.
    Unsent(Request<Empty<Bytes>>, hyper::Error),
}

/// Why a body could not be held.
pub(super) enum CollectError {
    TooLarge,
    Broken(String),
}

impl CollectError {
    /// As an error of the bucket, which `make` makes. `most`: the bytes that were allowed.
    pub(super) fn told<E>(self, most: usize, make: impl FnOnce(BucketErrorKind, String) -> E) -> E {
        match self {
            Self::TooLarge => make(BucketErrorKind::TooLarge, format!("more than {most} bytes")),
            Self::Broken(detail) => make(BucketErrorKind::Network, detail),
        }
    }
}

/// A body in memory, at most `most` bytes of it.
pub(super) async fn collect(body: Incoming, most: usize) -> Result<Bytes, CollectError> {
    use http_body_util::BodyExt as _;
    let limited = http_body_util::Limited::new(body, most);
    match limited.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(CollectError::TooLarge),
        Err(error) => Err(CollectError::Broken(causes(&*error))),
    }
}

/// An error with everything that caused it, in one line.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let this = error.to_string();
        if !text.contains(&this) {
            text.push_str(": ");
            text.push_str(&this);
        }
        cause = error.source();
    }
    text
}
