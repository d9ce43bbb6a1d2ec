//! Connections to the endpoint, and one signed request over them.

use std::error::Error;
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_http_client::tls;
use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;

use super::config::Sources;
use super::error::ErrorAnswer;
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
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(config.limits.concurrency + config.limits.bulk_concurrency)
            .build(https);
        Ok(Self {
            client,
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
    /// `key` is the absolute key, or the prefix of a listing, for the error's text; `path`
    /// tells whether it is also the path. `query` is encoded and sorted.
    pub(super) async fn send(
        &self,
        operation: Operation,
        target: Target<'_>,
        extra: HeaderMap,
    ) -> Result<Response<Incoming>, BucketError> {
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
            if let Some(signed) = signed {
                headers.insert(header::AUTHORIZATION, signed.authorization);
                headers.insert("x-amz-date", signed.date);
                headers.insert("x-amz-content-sha256", Signed::CONTENT_SHA256);
                if let Some(token) = signed.token {
                    headers.insert("x-amz-security-token", token);
                }
            }
        }
        let request = request
            .body(Empty::new())
            .map_err(|error| fail(BucketErrorKind::InvalidKey, error.to_string()))?;
        let waited = tokio::time::timeout(self.limits.answer_timeout, self.client.request(request));
        let response = match waited.await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(fail(BucketErrorKind::Network, causes(&error))),
            Err(_) => {
                let seconds = self.limits.answer_timeout.as_secs_f32();
                return Err(fail(
                    BucketErrorKind::Timeout,
                    format!("no answer within {seconds} s"),
                ));
            }
        };
        if response.status().is_success() {
            return Ok(response);
        }
        let error = self.refused(operation, key, response).await;
        if error.kind() == BucketErrorKind::BadCredentials {
            self.signer.forget();
        }
        Err(error)
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

/// Why a body could not be held.
pub(super) enum CollectError {
    TooLarge,
    Broken(String),
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

/// Origin, Host header and base path of a bucket.
fn address(config: &BucketConfig, region: &str) -> Option<(String, String, String)> {
    let endpoint = match &config.endpoint {
        Some(endpoint) => endpoint.clone(),
        None if region.starts_with("cn-") => format!("https://s3.{region}.amazonaws.com.cn"),
        None => format!("https://s3.{region}.amazonaws.com"),
    };
    let uri: Uri = endpoint.parse().ok()?;
    let scheme = uri.scheme_str()?;
    let mut host = uri.authority()?.as_str().to_owned();
    // Hosts leave out a scheme's own port, and the signature covers the Host header.
    let own_port = if scheme == "https" { ":443" } else { ":80" };
    if let Some(bare) = host.strip_suffix(own_port) {
        host = bare.to_owned();
    }
    let mut base = uri.path().trim_end_matches('/').to_owned();
    if config.uses_path_style() {
        base = format!("{base}/{}", config.bucket);
    } else {
        host = format!("{}.{host}", config.bucket);
    }
    Some((format!("{scheme}://{host}"), host, base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let config = |endpoint: Option<&str>, path_style| BucketConfig {
            bucket: "cache".to_owned(),
            endpoint: endpoint.map(str::to_owned),
            path_style,
            ..BucketConfig::default()
        };
        let cases = [
            (
                config(None, None),
                "https://cache.s3.eu-west-1.amazonaws.com",
                "",
            ),
            (
                config(None, Some(true)),
                "https://s3.eu-west-1.amazonaws.com",
                "/cache",
            ),
            (
                config(Some("http://127.0.0.1:9000"), None),
                "http://127.0.0.1:9000",
                "/cache",
            ),
            (
                config(Some("https://s3.example.org:443/x/"), None),
                "https://s3.example.org",
                "/x/cache",
            ),
            (
                config(Some("https://s3.example.org"), Some(false)),
                "https://cache.s3.example.org",
                "",
            ),
        ];
        for (config, origin, base) in cases {
            let (got_origin, host, got_base) = address(&config, "eu-west-1").expect("an address");
            assert_eq!((got_origin.as_str(), got_base.as_str()), (origin, base));
            assert!(origin.ends_with(&host));
        }
    }
}
