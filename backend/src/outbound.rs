//! Calls that the server makes to others because an owner configured them: identity
//! providers, connections that the wizard tries, upstreams, receivers of alerts.
//!
//! The rules: https, and addresses of the open internet, so that nobody makes this server
//! fetch what only it can reach, such as a cloud's metadata service. `outbound_allow` lists
//! private addresses that are meant; to them http is allowed too. A name is judged by the
//! addresses it resolves to, at the moment of connecting. No redirects, no ambient credentials,
//! a time-out, a small answer, and nothing of it is repeated to the caller.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;

use crate::bucket;
use crate::config::AddressBlock;

/// For the whole call.
const TIME_OUT: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const LARGEST: usize = 512 * 1024;

/// Which addresses may be called.
#[derive(Debug, Clone, Default)]
pub struct Policy(Arc<[AddressBlock]>);

/// Why a call was not made or brought nothing. Says nothing of what lies at the address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// Not a URL that can be called.
    #[error("`{0}` is not an https:// URL")]
    Url(String),
    /// A private address that is not listed.
    #[error("{host} is at a private or special address, and `outbound_allow` does not list it")]
    Private {
        /// The host.
        host: String,
    },
    /// http to an address of the open internet.
    #[error("{host} is called by https only")]
    Plain {
        /// The host.
        host: String,
    },
    /// The name has no address.
    #[error("the name {host} cannot be resolved")]
    NoSuchName {
        /// The host.
        host: String,
    },
    /// No connection, no TLS, no answer in time.
    #[error("{host} does not answer: {reason}")]
    Unreachable {
        /// The host.
        host: String,
        /// In a few words.
        reason: String,
    },
    /// An answer of another status.
    #[error("{host} answered {status}")]
    Status {
        /// The host.
        host: String,
        /// Its answer.
        status: StatusCode,
    },
    /// More than we take.
    #[error("the answer of {host} is too large")]
    TooLarge {
        /// The host.
        host: String,
    },
}

impl Policy {
    /// The open internet, and what is listed.
    pub fn new(allowed: &[AddressBlock]) -> Self {
        Self(allowed.into())
    }

    fn is_listed(&self, address: IpAddr) -> bool {
        self.0.iter().any(|block| block.contains(address))
    }

    /// Whether this address may be called over this scheme.
    ///
    /// # Errors
    /// Where it is private and not listed, or of the open internet and not https.
    pub fn check(&self, host: &str, address: IpAddr, https: bool) -> Result<(), OutboundError> {
        if self.is_listed(address) {
            return Ok(());
        }
        if !is_open_internet(address) {
            return Err(OutboundError::Private { host: host.into() });
        }
        if !https {
            return Err(OutboundError::Plain { host: host.into() });
        }
        Ok(())
    }

    /// The addresses of a host that may be called.
    ///
    /// # Errors
    /// Where there is none, with the reason.
    pub async fn resolve(
        &self,
        host: &str,
        port: u16,
        https: bool,
    ) -> Result<Vec<SocketAddr>, OutboundError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            self.check(host, address, https)?;
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let found: Vec<SocketAddr> = tokio::net::lookup_host((bare, port))
            .await
            .map(Iterator::collect)
            .unwrap_or_default();
        if found.is_empty() {
            return Err(OutboundError::NoSuchName { host: host.into() });
        }
        // One forbidden address among them forbids the name: which one is taken is chance.
        for address in &found {
            self.check(host, address.ip(), https)?;
        }
        Ok(found)
    }
}

/// Whether an address is of the open internet: not loopback, private, link-local, shared,
/// reserved, multicast or a form of one of these (RFC 6890).
pub fn is_open_internet(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (18..20).contains(&b))
                || (a == 192 && b == 0 && c == 0))
        }
        IpAddr::V6(v6) => {
            let segments = v6.segments();
            // Global unicast is 2000::/3; of it, what carries an IPv4 address inside is judged by that.
            let global = segments[0] & 0xe000 == 0x2000;
            let documentation = segments[0] == 0x2001 && segments[1] == 0x0db8;
            let teredo = segments[0] == 0x2001 && segments[1] == 0;
            let six_to_four = segments[0] == 0x2002;
            global && !documentation && !teredo && !six_to_four
        }
    }
}

/// Makes calls under a [`Policy`].
#[derive(Clone)]
pub struct Outbound {
    policy: Policy,
    client: Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
}

impl Outbound {
    /// A client under this policy. Connections are not kept: calls are rare.
    pub fn new(policy: Policy) -> Self {
        let mut http = HttpConnector::new_with_resolver(Resolver(policy.clone()));
        http.enforce_http(false);
        http.set_connect_timeout(Some(Duration::from_secs(5)));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(bucket::tls())
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        Self {
            policy,
            client: Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build(https),
        }
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The body of a 200 answer to a GET.
    ///
    /// # Errors
    /// See [`OutboundError`].
    pub async fn get(&self, url: &str) -> Result<Bytes, OutboundError> {
        self.call(Method::GET, url, None).await
    }

    /// The body of a 200 answer to a form that is posted.
    ///
    /// # Errors
    /// See [`OutboundError`].
    pub async fn post_form(&self, url: &str, form: String) -> Result<Bytes, OutboundError> {
        self.call(Method::POST, url, Some(form)).await
    }

    /// Posts JSON under more headers, and gives back the status of the answer, whichever it is. Its
    /// body is not read.
    ///
    /// # Errors
    /// See [`OutboundError`]; never [`OutboundError::Status`].
    pub async fn post_json(
        &self,
        url: &str,
        body: Bytes,
        headers: &[(&'static str, String)],
    ) -> Result<StatusCode, OutboundError> {
        let target = self.target(url).await?;
        let mut request = target
            .request(Method::POST)
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(body)).map_err(|_| bad_url(url))?;
        let answered = async { Ok(self.begin(&target, request).await?.status()) };
        tokio::time::timeout(TIME_OUT, answered)
            .await
            .unwrap_or_else(|_| Err(target.unreachable("no answer in time")))
    }

    /// Whether a URL may be called as things are; nothing is sent.
    ///
    /// # Errors
    /// See [`OutboundError`].
    pub async fn may_call(&self, url: &str) -> Result<(), OutboundError> {
        match tokio::time::timeout(TIME_OUT, self.target(url)).await {
            Ok(target) => target.map(drop),
            Err(_) => Err(bad_url(url)),
        }
    }

    /// What a URL leads to, where it may be called.
    ///
    /// # Errors
    /// See [`OutboundError`].
    async fn target(&self, url: &str) -> Result<Target, OutboundError> {
        let uri: Uri = url.parse().map_err(|_| bad_url(url))?;
        let host = uri.host().ok_or_else(|| bad_url(url))?.to_owned();
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad_url(url)),
        };
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        // Judged here for an error in words, and again by the connector for what it connects to.
        self.policy.resolve(&host, port, https).await?;
        Ok(Target { uri, host })
    }

    /// The head of an answer.
    async fn begin(
        &self,
        target: &Target,
        request: Request<Full<Bytes>>,
    ) -> Result<http::Response<hyper::body::Incoming>, OutboundError> {
        self.client.request(request).await.map_err(|error| {
            target.unreachable(if error.is_connect() {
                "no connection"
            } else {
                "no answer"
            })
        })
    }

    async fn call(
        &self,
        method: Method,
        url: &str,
        form: Option<String>,
    ) -> Result<Bytes, OutboundError> {
        let target = self.target(url).await?;
        let mut request = target.request(method);
        if form.is_some() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let request = request
            .body(Full::new(Bytes::from(form.unwrap_or_default())))
            .map_err(|_| bad_url(url))?;
        let host = &target.host;
        let answered = async {
            let response = self.begin(&target, request).await?;
            if response.status() != StatusCode::OK {
                return Err(OutboundError::Status {
                    host: host.clone(),
                    status: response.status(),
                });
            }
            let body = Limited::new(response.into_body(), LARGEST).collect().await;
            body.map(http_body_util::Collected::to_bytes)
                .map_err(|error| {
                    if error.is::<http_body_util::LengthLimitError>() {
                        OutboundError::TooLarge { host: host.clone() }
                    } else {
                        target.unreachable("the answer broke off")
                    }
                })
        };
        tokio::time::timeout(TIME_OUT, answered)
            .await
            .unwrap_or_else(|_| Err(target.unreachable("no answer in time")))
    }
}

/// A URL that may be called.
struct Target {
    uri: Uri,
    host: String,
}

impl Target {
    fn request(&self, method: Method) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(self.uri.clone())
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("snowbank/", env!("CARGO_PKG_VERSION")))
    }

    fn unreachable(&self, reason: &str) -> OutboundError {
        OutboundError::Unreachable {
            host: self.host.clone(),
            reason: reason.to_owned(),
        }
    }
}

fn bad_url(url: &str) -> OutboundError {
    OutboundError::Url(url.chars().take(200).collect())
}

/// Resolves names to addresses that may be called. Addresses in URLs do not pass here:
/// [`Outbound`] judged them before.
#[derive(Clone)]
struct Resolver(Policy);

impl tower::Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let policy = self.0.clone();
        Box::pin(async move {
            // The scheme was judged before; here it is about the addresses.
            let found = policy
                .resolve(name.as_str(), 0, true)
                .await
                .map_err(io::Error::other)?;
            Ok(found.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn special_addresses_are_not_the_open_internet() {
        for special in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "2001:db8::1",
            "2001:0:1::1",
        ] {
            assert!(!is_open_internet(address(special)), "{special}");
        }
        for open in ["1.1.1.1", "100.128.0.1", "172.32.0.1", "2606:4700::1111"] {
            assert!(is_open_internet(address(open)), "{open}");
        }
    }

    #[test]
    fn what_is_listed_may_be_called_and_by_http() {
        let policy = Policy::new(&["192.168.7.0/24".parse().expect("a block")]);
        assert_eq!(policy.check("h", address("192.168.7.9"), false), Ok(()));
        assert!(matches!(
            policy.check("h", address("192.168.8.9"), true),
            Err(OutboundError::Private { .. })
        ));
        assert!(matches!(
            policy.check("h", address("1.1.1.1"), false),
            Err(OutboundError::Plain { .. })
        ));
        assert_eq!(policy.check("h", address("1.1.1.1"), true), Ok(()));
    }

    #[tokio::test]
    async fn a_private_address_is_refused_before_anything_is_sent() {
        let closed = Outbound::new(Policy::default());
        for url in [
            "http://127.0.0.1:1/",
            "https://[::1]/",
            "https://localhost/",
            "http://169.254.169.254/latest/meta-data/",
        ] {
            assert!(
                matches!(closed.get(url).await, Err(OutboundError::Private { .. })),
                "{url}"
            );
        }
        for url in ["ftp://example.org/", "file:///etc/passwd", "nonsense", ""] {
            assert!(
                matches!(closed.get(url).await, Err(OutboundError::Url(_))),
                "{url}"
            );
        }
    }
}
