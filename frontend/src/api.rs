//! The only file that asks the server for anything but `upload/transfer.rs`, which sends to the
//! caches themselves; this one asks only `/api/v1`. Every failure is one of [`ApiError`]; every request ends after
//! [`TIME_OUT`] or when its [`Abort`] is dropped.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use gloo_net::http::{Request, Response};
use leptos::leptos_dom::helpers::{TimeoutHandle, set_timeout_with_handle};
use serde::de::DeserializeOwned;
use snowbank_shared::api::Problem;
use snowbank_shared::route::{PathsQuery, Sort, escape};
use web_sys::{AbortController, EventSource};

use crate::state::navigation;

/// Rows on a page of the path browser.
pub const PAGE_ROWS: usize = 200;

/// How long an answer is waited for.
const TIME_OUT: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiError {
    /// The server could not be reached.
    Unreachable,
    /// It did not answer in time.
    TimedOut,
    /// It answered that it cannot or will not.
    Refused(Box<Problem>),
    /// It answered with what cannot be read: another version, or something between us.
    Unreadable {
        /// The HTTP status.
        status: u16,
        /// What was wrong with it.
        reason: String,
        /// The request's id, for the server's log.
        request_id: Option<String>,
    },
}

impl ApiError {
    /// What happened, in one line.
    pub fn what(&self) -> String {
        match self {
            Self::Unreachable => "The server cannot be reached".to_owned(),
            Self::TimedOut => "The server did not answer within 30 seconds".to_owned(),
            Self::Refused(problem) => problem.title.clone(),
            Self::Unreadable { status, .. } => {
                format!("The answer cannot be read (HTTP {status})")
            }
        }
    }

    /// Why, as far as it is known.
    pub fn why(&self) -> String {
        match self {
            Self::Unreachable => {
                "It may be restarting, or the network between it and this browser is down."
                    .to_owned()
            }
            Self::TimedOut => "It may be busy, or its bucket may be slow.".to_owned(),
            Self::Refused(problem) => problem.detail.clone(),
            Self::Unreadable { reason, .. } => reason.clone(),
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unreachable | Self::TimedOut => "Try again in a moment.",
            Self::Refused(problem) if problem.status >= 500 => {
                "Try again. If it stays, look up the request id in the server's log."
            }
            Self::Refused(problem) if problem.status == 401 => {
                "Signing in leads back to this page."
            }
            Self::Refused(problem) if problem.status == 403 => "Ask one of the owners.",
            Self::Refused(_) => "Check the address and the filters.",
            Self::Unreadable { .. } => {
                "Reload the page: the server may have been updated meanwhile."
            }
        }
    }

    /// Stable code of the problem, where the server gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(problem) => Some(&problem.code),
            _ => None,
        }
    }

    /// The request's id in the server's log.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Refused(problem) => Some(&problem.request_id),
            Self::Unreadable { request_id, .. } => request_id.as_deref(),
            Self::Unreachable | Self::TimedOut => None,
        }
    }

    /// Who asks has to sign in first.
    pub fn needs_login(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.status == 401)
    }

    /// The resource does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(problem) if problem.status == 404)
    }
}

/// Ends its request when dropped, or after [`TIME_OUT`].
#[derive(Debug)]
pub struct Abort {
    ticket: Ticket,
    timer: Option<TimeoutHandle>,
}

/// What a request that runs on its own holds of its [`Abort`].
#[derive(Debug, Clone)]
pub struct Ticket {
    controller: Option<AbortController>,
    timed_out: Rc<Cell<bool>>,
}

impl Abort {
    /// A fresh one; its time runs from now.
    pub fn new() -> Self {
        let ticket = Ticket {
            controller: AbortController::new().ok(),
            timed_out: Rc::default(),
        };
        let late = ticket.clone();
        let timer = set_timeout_with_handle(
            move || {
                late.timed_out.set(true);
                late.abort();
            },
            TIME_OUT,
        )
        .ok();
        Self { ticket, timer }
    }

    /// What the request holds.
    pub fn ticket(&self) -> Ticket {
        self.ticket.clone()
    }
}

impl Drop for Abort {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            timer.clear();
        }
        self.ticket.abort();
    }
}

impl Ticket {
    fn abort(&self) {
        if let Some(controller) = &self.controller {
            controller.abort();
        }
    }

    /// Why the browser gave no answer.
    fn failure(&self) -> ApiError {
        if self.timed_out.get() {
            ApiError::TimedOut
        } else {
            ApiError::Unreachable
        }
    }
}

/// An address below `/api/v1`, in full, for a curl line.
pub fn full_address(path: &str) -> String {
    navigation::absolute(&format!("/api/v1{path}"))
}

async fn fetch(path: &str, ticket: &Ticket) -> Result<Response, ApiError> {
    answered("GET", path, None, ticket).await
}

async fn answered(
    method: &'static str,
    path: &str,
    body: Option<String>,
    ticket: &Ticket,
) -> Result<Response, ApiError> {
    let signal = ticket.controller.as_ref().map(AbortController::signal);
    let address = format!("{}api/v1{path}", navigation::base());
    let request = match method {
        "GET" => Request::get(&address),
        "POST" => Request::post(&address),
        "PUT" => Request::put(&address),
        "PATCH" => Request::patch(&address),
        _ => Request::delete(&address),
    };
    let request = request.abort_signal(signal.as_ref());
    let request = match body {
        Some(body) => request
            .header("content-type", "application/json")
            .body(body),
        None => request.build(),
    };
    let response = request
        .map_err(|_| ticket.failure())?
        .send()
        .await
        .map_err(|_| ticket.failure())?;
    if response.ok() {
        return Ok(response);
    }
    let status = response.status();
    let request_id = response.headers().get("x-request-id");
    let body = response.text().await.map_err(|_| ticket.failure())?;
    Err(match serde_json::from_str::<Problem>(&body) {
        Ok(problem) => ApiError::Refused(Box::new(problem)),
        Err(_) => ApiError::Unreadable {
            status,
            reason: "Something between this browser and the server answered in its place."
                .to_owned(),
            request_id,
        },
    })
}

/// An answer, whole.
#[derive(Debug)]
pub struct Body {
    /// Its bytes.
    pub bytes: Vec<u8>,
    status: u16,
    request_id: Option<String>,
}

impl Body {
    /// The JSON that it is.
    ///
    /// # Errors
    /// Where it is not the JSON expected.
    pub fn json<T: DeserializeOwned>(self) -> Result<T, ApiError> {
        let text = String::from_utf8_lossy(&self.bytes);
        serde_json::from_str(&text).map_err(|error| self.unreadable(error.to_string()))
    }

    fn unreadable(&self, reason: String) -> ApiError {
        ApiError::Unreadable {
            status: self.status,
            reason,
            request_id: self.request_id.clone(),
        }
    }
}

/// What lies at an address below `/api/v1`. Not generic, so that it is compiled once.
///
/// # Errors
/// Where there is no answer or a refusal.
pub async fn get(path: String, ticket: Ticket) -> Result<Body, ApiError> {
    whole(fetch(&path, &ticket).await?, &ticket).await
}

/// Sends a change to an address below `/api/v1`: `POST`, `PUT`, `PATCH` or `DELETE`, with JSON
/// where there is some.
///
/// # Errors
/// Where there is no answer or a refusal.
pub async fn send(
    method: &'static str,
    path: String,
    body: Option<String>,
    ticket: Ticket,
) -> Result<Body, ApiError> {
    whole(answered(method, &path, body, &ticket).await?, &ticket).await
}

async fn whole(response: Response, ticket: &Ticket) -> Result<Body, ApiError> {
    let request_id = response.headers().get("x-request-id");
    let bytes = response.binary().await.map_err(|_| ticket.failure())?;
    Ok(Body {
        bytes,
        status: response.status(),
        request_id,
    })
}

/// Opens the stream of events of a cache. The browser reconnects by itself.
pub fn events(cache: &str) -> Option<EventSource> {
    EventSource::new(&format!(
        "{}api/v1{}/events",
        navigation::base(),
        cache_path(cache)
    ))
    .ok()
}

/// `/caches`.
pub fn caches_path() -> String {
    "/caches".to_owned()
}

/// `/caches/{cache}`.
pub fn cache_path(cache: &str) -> String {
    format!("/caches/{}", escape(cache))
}

/// The uploads of a cache.
pub fn uploads_path(cache: &str) -> String {
    format!("{}/uploads", cache_path(cache))
}

/// One of them.
pub fn upload_path(cache: &str, id: &str) -> String {
    format!("{}/{}", uploads_path(cache), escape(id))
}

/// `/caches/{cache}/keys`.
pub fn keys_path(cache: &str) -> String {
    format!("{}/keys", cache_path(cache))
}

/// `/caches/{cache}/{part}?…` with the search of an address; when its link was made and which
/// row is looked at is not the server's affair.
fn of_query(cache: &str, part: &str, query: &PathsQuery) -> String {
    let query = PathsQuery {
        at: None,
        row: None,
        ..query.clone()
    };
    format!("{}/{part}{query}", cache_path(cache))
}

/// `/caches/{cache}/paths?…`, `rows` a page.
pub fn paths_path(cache: &str, query: &PathsQuery, rows: usize) -> String {
    with_pair(&of_query(cache, "paths", query), "limit", &rows.to_string())
}

/// `/caches/{cache}/paths?…` for an export: all rows.
pub fn all_paths_path(cache: &str, query: &PathsQuery) -> String {
    of_query(cache, "paths", &query.first_page())
}

/// `count` rows of such a list from row `first` on, counted from 0.
pub fn rows_path(list: &str, first: u64, count: u64) -> String {
    let path = with_pair(list, "offset", &first.to_string());
    with_pair(&path, "limit", &count.to_string())
}

/// `/caches/{cache}/facets?…`: the filters count, not the order nor the place.
pub fn facets_path(cache: &str, query: &PathsQuery) -> String {
    let query = PathsQuery {
        sort: Sort::default(),
        ..query.first_page()
    };
    of_query(cache, "facets", &query)
}

/// `/caches/{cache}/selection?p=…`.
pub fn selection_path(cache: &str, hashes: &[String]) -> String {
    with_pairs(&format!("{}/selection", cache_path(cache)), "p", hashes)
}

/// `/lookup?p=…`.
pub fn lookup_path(paths: &[String]) -> String {
    with_pairs("/lookup", "p", paths)
}

/// The same in one cache, with what its upstreams say.
pub fn lookup_in_path(cache: &str, paths: &[String]) -> String {
    with_pair(&lookup_path(paths), "cache", cache)
}

/// A list in another format; all columns where `columns` is empty.
pub fn export_path(list: &str, format: &str, columns: &str) -> String {
    let path = with_pair(list, "format", format);
    if columns.is_empty() {
        path
    } else {
        // Names of fields and commas: nothing to escape.
        format!("{path}&columns={columns}")
    }
}

/// `path` with `name=value` behind it.
fn with_pair(path: &str, name: &str, value: &str) -> String {
    let separator = if path.contains('?') { '&' } else { '?' };
    format!("{path}{separator}{name}={}", escape(value))
}

fn with_pairs(path: &str, name: &str, values: &[String]) -> String {
    let add = |path: String, value: &String| with_pair(&path, name, value);
    values.iter().fold(path.to_owned(), add)
}

/// `/lookup` of one text in every cache.
pub fn search_path(text: &str) -> String {
    format!("/lookup?q={}", escape(text))
}

/// `/caches/{cache}/paths/{hash}`, and below it `part` where that is not empty.
pub fn path_path(cache: &str, hash: &str, part: &str) -> String {
    let separator = if part.is_empty() { "" } else { "/" };
    format!(
        "{}/paths/{}{separator}{part}",
        cache_path(cache),
        escape(hash)
    )
}

/// `/caches/{cache}/health`, findings of one check or of all.
pub fn health_path(cache: &str, check: Option<&str>, cursor: Option<&str>) -> String {
    let path = format!("{}/health", cache_path(cache));
    let path = check.map_or_else(|| path.clone(), |check| with_pair(&path, "check", check));
    at_cursor(&path, cursor)
}

/// `path` with a cursor behind it.
pub fn at_cursor(path: &str, cursor: Option<&str>) -> String {
    match cursor {
        Some(cursor) => with_pair(path, "cursor", cursor),
        None => path.to_owned(),
    }
}
