//! Reading objects: whole, a part, only the head, or small and decoded.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use hyper::body::Incoming;
use time::format_description::well_known::Rfc2822;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

use super::encoding::{self, DecodeLimits};
use super::object::{ContentRange, to_the_second};
use super::transport::{Target, collect};
use super::{
    Bucket, BucketError, BucketErrorKind, ETag, Lane, Object, ObjectBody, ObjectMeta, Operation,
    SmallObject,
};

/// A part of an object, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// From this byte to the end.
    From(u64),
    /// From the first byte to the second, both included.
    Between(u64, u64),
    /// The last so many.
    Last(u64),
}

impl ByteRange {
    fn header(self) -> HeaderValue {
        let text = match self {
            Self::From(first) => format!("bytes={first}-"),
            Self::Between(first, last) => format!("bytes={first}-{last}"),
            Self::Last(count) => format!("bytes=-{count}"),
        };
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("bytes=0-"))
    }
}

/// An object without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Size as stored, times and tag.
    pub meta: ObjectMeta,
    /// How the bytes are encoded; `None` where they are what they are.
    pub content_encoding: Option<String>,
}

/// A URL that anybody may read an object with.
#[derive(Clone, PartialEq, Eq)]
pub struct Presigned {
    /// The URL. It is a secret as long as it lasts.
    pub url: String,
    /// When it ends.
    pub expires: SystemTime,
}

impl std::fmt::Debug for Presigned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Presigned")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

impl Bucket {
    /// An object, its bytes as a stream. Failures before the first byte are tried again.
    ///
    /// # Errors
    /// See [`BucketErrorKind`].
    pub async fn get(&self, key: &str) -> Result<Object, BucketError> {
        self.open(key, None, None).await
    }

    /// A part of an object. A store may answer with the whole: see [`Object::range`].
    ///
    /// `unchanged`: fail with [`BucketErrorKind::PreconditionFailed`] where the object now
    /// has another tag, so that two parts never come from two versions.
    ///
    /// # Errors
    /// [`BucketErrorKind::RangeNotSatisfiable`] where it begins after the end; else see
    /// [`BucketErrorKind`].
    pub async fn get_range(
        &self,
        key: &str,
        range: ByteRange,
        unchanged: Option<&ETag>,
    ) -> Result<Object, BucketError> {
        self.open(key, Some(range), unchanged).await
    }

    async fn open(
        &self,
        key: &str,
        range: Option<ByteRange>,
        unchanged: Option<&ETag>,
    ) -> Result<Object, BucketError> {
        let absolute = self.absolute(Operation::Get, key)?;
        let mut headers = HeaderMap::new();
        if let Some(range) = range {
            headers.insert(header::RANGE, range.header());
        }
        if let Some(etag) = unchanged {
            let value = HeaderValue::from_str(etag.as_str()).map_err(|_| {
                self.error(
                    Operation::Get,
                    &absolute,
                    BucketErrorKind::Other,
                    "the tag is not a header's value",
                )
            })?;
            headers.insert(header::IF_MATCH, value);
        }
        let response = self
            .attempt(Operation::Get, |_| {
                let target = Target::Object {
                    method: Method::GET,
                    key: &absolute,
                };
                self.inner
                    .transport
                    .send(Operation::Get, target, headers.clone())
            })
            .await?;
        let length = content_length(response.headers());
        let part = (response.status() == StatusCode::PARTIAL_CONTENT)
            .then(|| content_range(response.headers()))
            .flatten();
        let size = part.map_or(length, |part| Some(part.total));
        let text = |name| text(response.headers(), name);
        Ok(Object {
            meta: meta(key, response.headers(), size),
            length,
            range: part,
            content_encoding: text(header::CONTENT_ENCODING).and_then(encoding::stripped),
            content_type: text(header::CONTENT_TYPE).map(str::to_owned),
            body: ObjectBody::new(
                response.into_body(),
                length,
                self.inner.limits.idle_timeout,
                Arc::clone(&self.inner.counts),
                &self.inner.name,
                &absolute,
            ),
        })
    }

    /// A small object whole, with any Content-Encoding undone: narinfos, `nix-cache-info`,
    /// listings, logs. At most `most` bytes, as stored and decoded.
    ///
    /// # Errors
    /// [`BucketErrorKind::TooLarge`], [`BucketErrorKind::Corrupt`] where it cannot be
    /// decoded, else see [`BucketErrorKind`].
    pub async fn get_small(&self, key: &str, most: usize) -> Result<SmallObject, BucketError> {
        let absolute = self.absolute(Operation::Get, key)?;
        self.attempt(Operation::Get, |_| {
            self.get_small_once(key, &absolute, most)
        })
        .await
    }

    async fn get_small_once(
        &self,
        key: &str,
        absolute: &str,
        most: usize,
    ) -> Result<SmallObject, BucketError> {
        let exchange = async {
            let transport = &self.inner.transport;
            if self.lane == Lane::Bulk {
                let (head, stored) = transport.whole(absolute, most).await?;
                self.inner.counts.received(stored.len());
                return Ok((head, stored));
            }
            let target = Target::Object {
                method: Method::GET,
                key: absolute,
            };
            let response = transport
                .send(Operation::Get, target, HeaderMap::new())
                .await?;
            let (head, body) = response.into_parts();
            let stored = self.hold(Operation::Get, absolute, body, most).await?;
            Ok((head, stored))
        };
        let (head, stored) = collect_within(exchange, self.inner.limits.small_timeout)
            .await
            .unwrap_or_else(|seconds| {
                Err(self.error(
                    Operation::Get,
                    absolute,
                    BucketErrorKind::Timeout,
                    format!("it took more than {seconds} s"),
                ))
            })?;
        let meta = meta(key, &head.headers, Some(stored.len() as u64));
        let coding = head
            .headers
            .get(header::CONTENT_ENCODING)
            .and_then(|value| value.to_str().ok());
        let (bytes, encoding) = encoding::decode_text(coding, stored, DecodeLimits::text(most))
            .map_err(|error| {
                let kind = match error {
                    encoding::DecodeError::TooLarge(_) => BucketErrorKind::TooLarge,
                    _ => BucketErrorKind::Corrupt,
                };
                self.error(Operation::Get, absolute, kind, error.to_string())
            })?;
        Ok(SmallObject {
            meta,
            bytes,
            encoding,
        })
    }

    /// The error for an object of which fewer bytes came than its listing says it has.
    pub(crate) fn cut_short(&self, key: &str, came: u64, listed: u64) -> BucketError {
        self.error(
            Operation::Get,
            &format!("{}{key}", self.inner.prefix),
            BucketErrorKind::Network,
            format!("{came} bytes came of {listed} in the listing"),
        )
    }

    /// What is known of an object without its bytes.
    ///
    /// # Errors
    /// See [`BucketErrorKind`].
    pub async fn head(&self, key: &str) -> Result<ObjectMeta, BucketError> {
        let absolute = self.absolute(Operation::Head, key)?;
        let response = self.head_response(&absolute).await?;
        Ok(meta(
            key,
            response.headers(),
            content_length(response.headers()),
        ))
    }

    /// As [`head`](Self::head); `None` where there is no such object.
    ///
    /// # Errors
    /// See [`BucketErrorKind`].
    pub async fn find(&self, key: &str) -> Result<Option<ObjectMeta>, BucketError> {
        match self.head(key).await {
            Ok(meta) => Ok(Some(meta)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is known of an object without its bytes, with how they are encoded.
    ///
    /// # Errors
    /// See [`BucketErrorKind`].
    pub async fn describe(&self, key: &str) -> Result<Described, BucketError> {
        let absolute = self.absolute(Operation::Head, key)?;
        let response = self.head_response(&absolute).await?;
        let headers = response.headers();
        Ok(Described {
            meta: meta(key, headers, content_length(headers)),
            content_encoding: text(headers, header::CONTENT_ENCODING).and_then(encoding::stripped),
        })
    }

    /// Content-Type and Content-Encoding as stored, and the size.
    pub(super) async fn head_response(
        &self,
        absolute: &str,
    ) -> Result<Response<Incoming>, BucketError> {
        self.attempt(Operation::Head, |_| {
            let target = Target::Object {
                method: Method::HEAD,
                key: absolute,
            };
            self.inner
                .transport
                .send(Operation::Head, target, HeaderMap::new())
        })
        .await
    }

    /// A URL that reads the object without credentials, for `lasting`, and never longer
    /// than the credentials last that signed it.
    ///
    /// # Errors
    /// [`BucketErrorKind::BadCredentials`] where there are none to sign with.
    pub async fn presign_get(
        &self,
        key: &str,
        lasting: Duration,
    ) -> Result<Presigned, BucketError> {
        let absolute = self.absolute(Operation::Get, key)?;
        let transport = &self.inner.transport;
        let now = SystemTime::now();
        let end = transport
            .credentials_expire(Operation::Get, &absolute)
            .await?;
        // At most a week, says S3; at least a second, or it is none.
        let left = end.and_then(|end| end.duration_since(now).ok());
        let lasting = lasting
            .min(left.unwrap_or(lasting))
            .clamp(Duration::from_secs(1), Duration::from_secs(7 * 86_400));
        let url = self
            .inner
            .clients
            .presign(&self.inner.name, &absolute, lasting)
            .await
            .map_err(|detail| {
                self.error(
                    Operation::Get,
                    &absolute,
                    BucketErrorKind::BadCredentials,
                    detail,
                )
            })?;
        Ok(Presigned {
            url,
            expires: now + lasting,
        })
    }

    /// A body in memory, counted.
    pub(super) async fn hold(
        &self,
        operation: Operation,
        absolute: &str,
        body: Incoming,
        most: usize,
    ) -> Result<Bytes, BucketError> {
        let fail = |kind, detail: String| self.error(operation, absolute, kind, detail);
        let held = collect(body, most)
            .await
            .map_err(|error| error.told(most, fail))?;
        if operation == Operation::Get {
            self.inner.counts.received(held.len());
        }
        Ok(held)
    }
}

/// Gives an exchange its time; on a time-out, how many seconds that was.
pub(super) async fn collect_within<T>(
    exchange: impl Future<Output = Result<T, BucketError>>,
    limit: Duration,
) -> Result<Result<T, BucketError>, f32> {
    tokio::time::timeout(limit, exchange)
        .await
        .map_err(|_| limit.as_secs_f32())
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    text(headers, header::CONTENT_LENGTH)?.parse().ok()
}

/// `bytes FIRST-LAST/TOTAL`.
fn content_range(headers: &HeaderMap) -> Option<ContentRange> {
    let value = text(headers, header::CONTENT_RANGE)?;
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    Some(ContentRange {
        first: first.parse().ok()?,
        last: last.parse().ok()?,
        total: total.parse().ok()?,
    })
}

fn meta(key: &str, headers: &HeaderMap, size: Option<u64>) -> ObjectMeta {
    ObjectMeta {
        key: key.to_owned(),
        size: size.unwrap_or_default(),
        last_modified: text(headers, header::LAST_MODIFIED)
            .and_then(http_date)
            .map(to_the_second),
        etag: text(headers, header::ETAG).map(ETag::new),
        mark: mark(headers),
    }
}

/// The mark of an object, where its headers have one.
pub(super) fn mark(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("x-amz-meta-snowbank-mark")?;
    value.to_str().ok().map(str::to_owned)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`: RFC 2822 but for the zone's name.
pub(super) fn http_date(value: &str) -> Option<OffsetDateTime> {
    if let Some(date) = fixed_date(value.as_bytes()) {
        return Some(date);
    }
    let value = value.strip_suffix("GMT")?;
    OffsetDateTime::parse(&format!("{value}+0000"), &Rfc2822).ok()
}

/// The same in the one form that HTTP prescribes, which takes no time to read: it comes with
/// every object. The day of the week is not looked at.
fn fixed_date(value: &[u8]) -> Option<OffsetDateTime> {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let value: &[u8; 29] = value.try_into().ok()?;
    let separators = [
        (3, b','),
        (4, b' '),
        (7, b' '),
        (11, b' '),
        (16, b' '),
        (19, b':'),
        (22, b':'),
    ];
    if !value.ends_with(b" GMT") || separators.iter().any(|&(at, byte)| value[at] != byte) {
        return None;
    }
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0_u16, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + u16::from(digit - b'0'))
        })
    };
    let small = |at: usize| number(&value[at..at + 2]).and_then(|number| u8::try_from(number).ok());
    let month = MONTHS.chunks(3).position(|month| month == &value[8..11])?;
    let month = Month::try_from(u8::try_from(month + 1).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::from(number(&value[12..16])?), month, small(5)?);
    let time = Time::from_hms(small(17)?, small(20)?, small(23)?);
    Some(PrimitiveDateTime::new(date.ok()?, time.ok()?).assume_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dates_and_ranges() {
        let date = http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("a date");
        assert_eq!(date.unix_timestamp(), 784_111_777);
        // The quick way says what the thorough one says, or nothing.
        for day in 0..800 {
            let at = OffsetDateTime::UNIX_EPOCH + Duration::from_secs(day * 2_234_567);
            let text = at.format(&Rfc2822).expect("a date").replace("+0000", "GMT");
            assert_eq!(fixed_date(text.as_bytes()), Some(at), "{text}");
        }
        for odd in [
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
        ] {
            assert_eq!(fixed_date(odd.as_bytes()), None, "{odd}");
        }
        for bad in [
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 25:49:37 GMT",
            "Sun, 06 Nox 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 08-49-37 GMT",
        ] {
            assert_eq!(http_date(bad), None, "{bad}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_RANGE,
            HeaderValue::from_static("bytes 5-9/100"),
        );
        assert_eq!(
            content_range(&headers),
            Some(ContentRange {
                first: 5,
                last: 9,
                total: 100
            })
        );
    }
}
