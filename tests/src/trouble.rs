//! S3 in trouble: a proxy between the server under test and a healthy S3, that
//! delays, refuses, cuts and loses on demand, and counts what it was asked.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

type Body = BoxBody<Bytes, std::io::Error>;

/// What goes wrong, changed while requests run, and what was asked.
#[derive(Default)]
pub struct Trouble {
    /// Every object waits this many milliseconds.
    pub delay: AtomicU64,
    /// Listings are answered `403 AccessDenied`.
    pub refuse_lists: AtomicBool,
    /// Listings end in the middle of the XML.
    pub cut_lists: AtomicBool,
    /// Objects end in the middle of the body.
    pub cut_objects: AtomicBool,
    /// Every request is answered `503 SlowDown`.
    pub slow_down: AtomicBool,
    /// Connections are accepted and never answered.
    pub stall: AtomicBool,
    /// The bucket's lifecycle rules, as XML, in the place of its own.
    pub lifecycle: Mutex<Option<&'static str>>,
    /// Objects that are listed and gone when they are asked for.
    pub vanished: Mutex<BTreeSet<String>>,
    /// Listings asked for.
    pub lists: AtomicU64,
    /// Objects asked for.
    pub gets: AtomicU64,
    /// Requests that would change the bucket.
    pub writes: AtomicU64,
}

/// The proxy. Dropping it closes its port.
pub struct Proxy {
    /// Its endpoint, as the server's configuration wants it.
    pub endpoint: String,
    /// What goes wrong.
    pub trouble: Arc<Trouble>,
    accepting: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Proxy {
    /// Starts a proxy to the S3 at `endpoint`, which has to let anonymous requests in.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(endpoint: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_addr()?;
        let trouble = Arc::new(Trouble::default());
        let client: Client<HttpConnector, Full<Bytes>> =
            Client::builder(TokioExecutor::new()).build_http();
        let (target, shared) = (endpoint.trim_end_matches('/').to_owned(), trouble.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (client, target, trouble) = (client.clone(), target.clone(), shared.clone());
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(request, &client, &target, &trouble));
                    // A connection that ends early is one of the troubles.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(connection), service)
                        .await;
                });
            }
        });
        Ok(Self {
            endpoint: format!("http://{address}"),
            trouble,
            accepting,
        })
    }
}

async fn answer(
    request: Request<Incoming>,
    client: &Client<HttpConnector, Full<Bytes>>,
    target: &str,
    trouble: &Trouble,
) -> Result<Response<Body>, Infallible> {
    let list = request.method() == Method::GET
        && request
            .uri()
            .query()
            .is_some_and(|query| query.contains("list-type=2"));
    let read = matches!(*request.method(), Method::GET | Method::HEAD);
    let counter = match (list, read) {
        (true, _) => &trouble.lists,
        (false, true) => &trouble.gets,
        (false, false) => &trouble.writes,
    };
    counter.fetch_add(1, Ordering::SeqCst);

    if trouble.stall.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
    if trouble.slow_down.load(Ordering::SeqCst) {
        return Ok(refusal(
            StatusCode::SERVICE_UNAVAILABLE,
            "SlowDown",
            "Please reduce your request rate.",
        ));
    }
    if list && trouble.refuse_lists.load(Ordering::SeqCst) {
        return Ok(refusal(
            StatusCode::FORBIDDEN,
            "AccessDenied",
            "Access Denied",
        ));
    }
    let lifecycle = *trouble.lifecycle.lock().expect("no panic while held");
    if let Some(xml) = lifecycle.filter(|_| request.uri().query() == Some("lifecycle")) {
        return Ok(answered(StatusCode::OK, xml.to_owned()));
    }
    let key = request
        .uri()
        .path()
        .trim_start_matches('/')
        .split_once('/')
        .map_or("", |(_, key)| key)
        .to_owned();
    if !list
        && trouble
            .vanished
            .lock()
            .expect("no panic while held")
            .contains(&key)
    {
        return Ok(refusal(
            StatusCode::NOT_FOUND,
            "NoSuchKey",
            "The specified key does not exist.",
        ));
    }
    if !list {
        tokio::time::sleep(Duration::from_millis(trouble.delay.load(Ordering::SeqCst))).await;
    }
    let cut = if list {
        &trouble.cut_lists
    } else {
        &trouble.cut_objects
    }
    .load(Ordering::SeqCst);
    Ok(forward(request, client, target, cut)
        .await
        .unwrap_or_else(|error| refusal(StatusCode::BAD_GATEWAY, "BadGateway", &error.to_string())))
}

async fn forward(
    request: Request<Incoming>,
    client: &Client<HttpConnector, Full<Bytes>>,
    target: &str,
    cut: bool,
) -> anyhow::Result<Response<Body>> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = format!("{target}{path}").parse()?;
    parts.headers.remove(header::HOST);
    parts.headers.remove(header::AUTHORIZATION);
    let body = body.collect().await?.to_bytes();
    let answer = client
        .request(Request::from_parts(parts, Full::new(body)))
        .await?;
    let (parts, body) = answer.into_parts();
    if !cut {
        return Ok(Response::from_parts(
            parts,
            body.map_err(std::io::Error::other).boxed(),
        ));
    }
    let body = body.collect().await?.to_bytes();
    let half = body.slice(..body.len() / 2);
    // Content-Length still promises the whole.
    let frames = stream::iter([Ok(Frame::data(half)), Err(std::io::Error::other("cut"))]);
    Ok(Response::from_parts(
        parts,
        BodyExt::boxed(StreamBody::new(frames)),
    ))
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    answered(status, xml)
}

/// An answer of XML.
fn answered(status: StatusCode, xml: String) -> Response<Body> {
    let body = Full::new(Bytes::from(xml))
        .map_err(|never| match never {})
        .boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/xml"),
    );
    response
}
