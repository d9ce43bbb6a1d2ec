//! GET and HEAD of objects.
//!
//! An object is read through the file that was opened when the request came, so a reader that is slow
//! gets one version whole, whatever happens to the key meanwhile. Small objects are read at once on
//! the server's own thread, which costs less than handing the work to another; larger ones stream
//! from the blocking pool, one piece ahead of what the network takes.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue};
use s3s::dto::{
    self, ETag, GetObjectOutput, HeadObjectOutput, StreamingBlob, Timestamp, TimestampFormat,
};
use s3s::{Body, S3Error, S3Result, s3_error};
use tokio::task::JoinHandle;

use super::conditions::{Preconditions, range_applies};
use super::errors::{io_error, no_such_key};
use super::folder::Folder;
use super::headers::Headers;
use super::key::ObjectKey;
use super::version::Version;

/// Objects or ranges up to this many bytes are read at once.
const AT_ONCE: u64 = 64 << 10;
/// Bytes of one piece of a stream.
const PIECE: u64 = 256 << 10;

/// An object, or a part of one, about to be sent.
pub struct Found {
    file: File,
    version: Version,
    headers: Headers,
    /// Bytes to send, and whether the reader asked for a part.
    range: Range<u64>,
    partial: bool,
}

/// What a reader asks for besides the key.
pub struct Asked<'a> {
    /// Conditions on the version.
    pub conditions: Preconditions,
    /// `Range`.
    pub range: Option<dto::Range>,
    /// `partNumber`: every object here has one part.
    pub part: Option<i32>,
    /// All headers, for `If-Range`.
    pub headers: &'a HeaderMap,
}

/// Finds an object and judges the request against it.
///
/// # Errors
/// 404, 412, 304, 416, or 500 when the file cannot be read.
pub fn find(folder: &Folder, key: ObjectKey<'_>, asked: &Asked<'_>) -> S3Result<Found> {
    let found = folder
        .open_object(key)
        .map_err(|error| io_error("open the object", &error))?;
    let (file, version) = found.ok_or_else(no_such_key)?;
    asked.conditions.check(&version)?;
    let headers = folder
        .headers(key, &version)
        .map_err(|error| io_error("read the object's headers", &error))?;
    let mut range = 0..version.size;
    let mut partial = false;
    match (asked.range, asked.part) {
        (Some(wanted), _) if range_applies(asked.headers, &version) => {
            range = wanted
                .check(version.size)
                .map_err(|_| not_satisfiable(version.size))?;
            // The last bytes of an empty object are none, which no Content-Range can say.
            partial = !range.is_empty();
        }
        (None, Some(part)) if part != 1 => return Err(not_satisfiable(version.size)),
        _ => {}
    }
    Ok(Found {
        file,
        version,
        headers,
        range,
        partial,
    })
}

fn not_satisfiable(size: u64) -> S3Error {
    let mut error = s3_error!(
        InvalidRange,
        "The requested range is not satisfiable: the object has {size} bytes"
    );
    if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
        error.set_headers(HeaderMap::from_iter([(http::header::CONTENT_RANGE, value)]));
    }
    error
}

impl Found {
    fn content_range(&self) -> Option<String> {
        self.partial.then(|| {
            format!(
                "bytes {}-{}/{}",
                self.range.start,
                self.range.end - 1,
                self.version.size
            )
        })
    }

    fn length(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// The answer to a GET.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn into_get(self, key: ObjectKey<'_>) -> S3Result<GetObjectOutput> {
        let content_range = self.content_range();
        let length = self.length();
        let body = if length <= AT_ONCE {
            let piece = read_piece(&self.file, self.range.start, length);
            StreamingBlob::from(Body::from(
                piece.map_err(|error| io_error("read the object", &error))?,
            ))
        } else {
            StreamingBlob::wrap(pieces(self.file, self.range))
        };
        Ok(GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            body: Some(body),
            content_length: i64::try_from(length).ok(),
            content_range,
            content_type: Some(self.headers.content_type(key)),
            content_encoding: self.headers.content_encoding,
            content_language: self.headers.content_language,
            content_disposition: self.headers.content_disposition,
            cache_control: self.headers.cache_control,
            expires: self.headers.expires.as_deref().and_then(parse_http_date),
            e_tag: Some(ETag::Strong(self.version.etag())),
            last_modified: Some(self.version.modified().into()),
            metadata: (!self.headers.user.is_empty())
                .then(|| self.headers.user.into_iter().collect()),
            ..GetObjectOutput::default()
        })
    }

    /// The answer to a HEAD.
    pub fn into_head(self, key: ObjectKey<'_>) -> HeadObjectOutput {
        HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: i64::try_from(self.length()).ok(),
            content_range: self.content_range(),
            content_type: Some(self.headers.content_type(key)),
            content_encoding: self.headers.content_encoding,
            content_language: self.headers.content_language,
            content_disposition: self.headers.content_disposition,
            cache_control: self.headers.cache_control,
            expires: self.headers.expires.as_deref().and_then(parse_http_date),
            e_tag: Some(ETag::Strong(self.version.etag())),
            last_modified: Some(self.version.modified().into()),
            metadata: (!self.headers.user.is_empty())
                .then(|| self.headers.user.into_iter().collect()),
            ..HeadObjectOutput::default()
        }
    }
}

fn parse_http_date(text: &str) -> Option<Timestamp> {
    Timestamp::parse(TimestampFormat::HttpDate, text).ok()
}

/// Reads exactly `length` bytes. A file that has become shorter is an error: a body must never be
/// silently cut.
fn read_piece(file: &File, from: u64, length: u64) -> io::Result<Bytes> {
    let mut piece = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut piece, from)?;
    Ok(piece.into())
}

type Reading = JoinHandle<io::Result<Bytes>>;

/// The bytes of a range, piece by piece, read one piece ahead.
fn pieces(
    file: File,
    range: Range<u64>,
) -> impl stream::Stream<Item = io::Result<Bytes>> + Send + Sync + 'static {
    let file = Arc::new(file);
    let read = move |range: &mut Range<u64>| -> Option<Reading> {
        let length = (range.end - range.start).min(PIECE);
        if length == 0 {
            return None;
        }
        let (file, from) = (file.clone(), range.start);
        range.start += length;
        Some(tokio::task::spawn_blocking(move || {
            read_piece(&file, from, length)
        }))
    };
    let mut rest = range;
    let first = read(&mut rest);
    stream::try_unfold(
        (first, rest, read),
        |(reading, mut rest, read)| async move {
            let Some(reading) = reading else {
                return Ok(None);
            };
            let piece = reading.await.map_err(io::Error::other)??;
            let next = read(&mut rest);
            Ok(Some((piece, (next, rest, read))))
        },
    )
}
