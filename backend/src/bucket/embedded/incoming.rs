//! Taking in the body of a PUT.
//!
//! Small bodies stay in memory until they are written in one go; larger ones go to a temporary file as
//! they come. On the way every checksum that the client announced is computed: `Content-MD5`,
//! `x-amz-checksum-…` in a header or in a trailer. (The payload hash of the signature and the chunk
//! signatures of `aws-chunked` are checked below us, in the stream itself.) A body that is too short,
//! too long, too slow or does not match its checksum never becomes an object.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use http::HeaderMap;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::dto::{Checksum, StreamingBlob};
use s3s::stream::ByteStream as _;
use s3s::{S3Error, S3ErrorCode, S3Result, TrailingHeaders, s3_error};

use super::errors::io_error;
use super::folder::{Folder, Temporary};

/// Largest object that one PUT may bring, as on S3: 5 GiB.
pub const MAX_PUT: u64 = 5 << 30;
/// Bytes that are gathered before they are written.
const GATHER: usize = 1 << 20;
/// How long the next bytes of a body may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a client says its body is.
#[derive(Debug, Default)]
pub struct Announced {
    /// `Content-Length`, or the decoded length of an `aws-chunked` body. In bytes.
    pub length: Option<i64>,
    /// `Content-MD5`, base64.
    pub md5: Option<String>,
    /// `x-amz-checksum-…`, base64.
    pub checksum: Checksum,
    /// Names of the trailers that will follow, from `x-amz-trailer`.
    pub trailers: Vec<String>,
}

impl Announced {
    /// The trailers that the headers of a request announce.
    pub fn trailers(headers: &HeaderMap) -> Vec<String> {
        headers
            .get_all("x-amz-trailer")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|name| name.trim().to_ascii_lowercase())
            .filter(|name| !name.is_empty())
            .collect()
    }

    fn hasher(&self) -> ChecksumHasher {
        let wants = |value: &Option<String>, trailer: &str| {
            value.is_some() || self.trailers.iter().any(|name| name == trailer)
        };
        ChecksumHasher {
            crc32: wants(&self.checksum.checksum_crc32, "x-amz-checksum-crc32").then(Crc32::new),
            crc32c: wants(&self.checksum.checksum_crc32c, "x-amz-checksum-crc32c")
                .then(Crc32c::new),
            crc64nvme: wants(
                &self.checksum.checksum_crc64nvme,
                "x-amz-checksum-crc64nvme",
            )
            .then(Crc64Nvme::new),
            sha1: wants(&self.checksum.checksum_sha1, "x-amz-checksum-sha1").then(Sha1::new),
            sha256: wants(&self.checksum.checksum_sha256, "x-amz-checksum-sha256")
                .then(Sha256::new),
        }
    }
}

/// A body that has arrived whole and matches all that was announced.
pub struct Received {
    data: Vec<u8>,
    file: Option<Temporary>,
    /// Its checksums, of the kinds that the client asked for.
    pub checksum: Checksum,
}

impl Received {
    /// The body in a temporary file. Blocks.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn into_temporary(self, folder: &Folder) -> std::io::Result<Temporary> {
        if let Some(file) = self.file {
            return Ok(file);
        }
        let mut temporary = folder.temporary()?;
        temporary.file.write_all(&self.data)?;
        Ok(temporary)
    }
}

/// The part of the work that may block: hashing and writing.
struct Sink {
    folder: Arc<Folder>,
    file: Option<Temporary>,
    md5: Option<Md5>,
    hasher: ChecksumHasher,
}

impl Sink {
    fn hash(&mut self, data: &[u8]) {
        if let Some(md5) = &mut self.md5 {
            md5.update(data);
        }
        self.hasher.update(data);
    }

    fn write(&mut self, data: &[u8]) -> std::io::Result<()> {
        self.hash(data);
        if self.file.is_none() {
            self.file = Some(self.folder.temporary()?);
        }
        match &mut self.file {
            Some(temporary) => temporary.file.write_all(data),
            None => Ok(()),
        }
    }
}

/// Takes in a body.
///
/// # Errors
/// `MissingContentLength`, `EntityTooLarge`, `IncompleteBody`, `RequestTimeout`, `InvalidDigest`, `BadDigest`,
/// or that of the stream: a signature or payload hash that does not match.
pub async fn receive(
    folder: &Arc<Folder>,
    body: Option<StreamingBlob>,
    announced: Announced,
    trailing: Option<TrailingHeaders>,
) -> S3Result<Received> {
    // A request without any length has no body (RFC 9112, section 6.3); one in chunks of unknown number is refused.
    let known = body
        .as_ref()
        .map_or(Some(0), |body| body.remaining_length().exact())
        .and_then(|length| length.try_into().ok());
    let length = announced
        .length
        .and_then(|length| u64::try_from(length).ok())
        .or(known);
    let length = length
        .ok_or_else(|| s3_error!(MissingContentLength, "the request has no Content-Length"))?;
    if length > MAX_PUT {
        return Err(s3_error!(
            EntityTooLarge,
            "one PUT may bring {MAX_PUT} bytes at most; use a multipart upload"
        ));
    }
    let md5 = announced.md5.as_deref().map(parse_md5).transpose()?;
    let mut sink = Sink {
        folder: folder.clone(),
        file: None,
        md5: md5.is_some().then(Md5::new),
        hasher: announced.hasher(),
    };
    let mut data = Vec::with_capacity(usize::try_from(length).unwrap_or(GATHER).min(GATHER));
    let mut seen = 0_u64;
    if let Some(mut body) = body {
        while let Some(chunk) = tokio::time::timeout(PATIENCE, body.next())
            .await
            .map_err(|_| {
                s3_error!(
                    RequestTimeout,
                    "no bytes of the body came for {} seconds",
                    PATIENCE.as_secs()
                )
            })?
        {
            let chunk = chunk.map_err(|error| body_error(&*error))?;
            seen += chunk.len() as u64;
            if seen > length {
                return Err(s3_error!(
                    IncompleteBody,
                    "the body is longer than the announced {length} bytes"
                ));
            }
            data.extend_from_slice(&chunk);
            if data.len() >= GATHER && seen < length {
                (sink, data) = write(sink, data).await?;
            }
        }
    }
    if seen != length {
        return Err(s3_error!(
            IncompleteBody,
            "the body has {seen} bytes instead of the announced {length}"
        ));
    }
    if sink.file.is_some() {
        (sink, data) = write(sink, data).await?;
    } else {
        sink.hash(&data);
    }
    if let (Some(expected), Some(hasher)) = (md5, sink.md5)
        && hasher.finalize().as_ref() != expected
    {
        return Err(s3_error!(
            BadDigest,
            "the body does not match its Content-MD5"
        ));
    }
    let checksum = sink.hasher.finalize();
    compare(&announced.checksum, &checksum)?;
    if let Some(trailers) = trailing.and_then(|trailing| trailing.take()) {
        compare(&from_trailers(&trailers), &checksum)?;
    }
    Ok(Received {
        data,
        file: sink.file,
        checksum,
    })
}

async fn write(mut sink: Sink, mut data: Vec<u8>) -> S3Result<(Sink, Vec<u8>)> {
    let written = tokio::task::spawn_blocking(move || {
        sink.write(&data)?;
        data.clear();
        Ok((sink, data))
    });
    written
        .await
        .map_err(S3Error::internal_error)?
        .map_err(|error| io_error("write the body", &error))
}

fn parse_md5(text: &str) -> S3Result<Vec<u8>> {
    let bytes = STANDARD.decode(text).ok().filter(|bytes| bytes.len() == 16);
    bytes.ok_or_else(|| s3_error!(InvalidDigest, "Content-MD5 is not the base64 of 16 bytes"))
}

fn from_trailers(trailers: &HeaderMap) -> Checksum {
    let of = |name: &str| {
        trailers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(|value| value.trim().to_owned())
    };
    Checksum {
        checksum_crc32: of("x-amz-checksum-crc32"),
        checksum_crc32c: of("x-amz-checksum-crc32c"),
        checksum_crc64nvme: of("x-amz-checksum-crc64nvme"),
        checksum_sha1: of("x-amz-checksum-sha1"),
        checksum_sha256: of("x-amz-checksum-sha256"),
        ..Checksum::default()
    }
}

fn compare(announced: &Checksum, found: &Checksum) -> S3Result<()> {
    for (name, announced, found) in [
        ("CRC32", &announced.checksum_crc32, &found.checksum_crc32),
        ("CRC32C", &announced.checksum_crc32c, &found.checksum_crc32c),
        (
            "CRC64NVME",
            &announced.checksum_crc64nvme,
            &found.checksum_crc64nvme,
        ),
        ("SHA1", &announced.checksum_sha1, &found.checksum_sha1),
        ("SHA256", &announced.checksum_sha256, &found.checksum_sha256),
    ] {
        if announced.is_some() && announced != found {
            return Err(s3_error!(
                BadDigest,
                "the body does not match its {name} checksum"
            ));
        }
    }
    Ok(())
}

/// What a failing body stream means. The streams below us have no public error types, so their names are all there is.
fn body_error(error: &(dyn std::error::Error + Send + Sync + 'static)) -> S3Error {
    let text = format!("{error:?} {error}");
    if text.contains("Sha256Mismatch") {
        let mut error = S3Error::with_message(
            S3ErrorCode::from_bytes(b"XAmzContentSHA256Mismatch").unwrap_or(S3ErrorCode::BadDigest),
            "the body does not match the x-amz-content-sha256 header",
        );
        error.set_status_code(http::StatusCode::BAD_REQUEST);
        return error;
    }
    let code = if text.contains("SignatureMismatch") {
        S3ErrorCode::SignatureDoesNotMatch
    } else {
        S3ErrorCode::IncompleteBody
    };
    S3Error::with_message(code, format!("the body could not be read: {error}"))
}
