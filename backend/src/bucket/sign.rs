//! Signing reads: AWS Signature Version 4 for requests without a body.
//!
//! What is slow about signing is done once: the credentials are asked for when the old
//! ones near their end, the signing key is derived once a day. What is left for each
//! request is two SHA-256 and one HMAC. The derivation and the HMAC are `aws-sigv4`'s; a
//! test compares whole signatures with its own.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use tokio::sync::Mutex;

/// What stays as it is in a query value: RFC 3986's unreserved characters.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The same in a path, where `/` separates.
const PATH: &AsciiSet = &QUERY.remove(b'/');

/// SHA-256 of no bytes.
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Credentials are fetched anew this long before they expire.
const BEFORE_EXPIRY: Duration = Duration::from_secs(5 * 60);

/// Credentials without an expiry are asked for again after this: a profile may be edited.
const WITHOUT_EXPIRY: Duration = Duration::from_secs(15 * 60);

/// A key as the path of a request.
pub(super) fn encode_path(key: &str) -> String {
    utf8_percent_encode(key, PATH).to_string()
}

/// A value of a query.
pub(super) fn encode_query(value: &str) -> String {
    utf8_percent_encode(value, QUERY).to_string()
}

/// Signs requests with what the credentials' provider gives.
pub(super) struct Signer {
    provider: Option<SharedCredentialsProvider>,
    region: String,
    current: ArcSwapOption<Current>,
    /// One asks for credentials, the others wait for it.
    asking: Mutex<()>,
}

/// Credentials, and what a day's requests share.
struct Current {
    keys: Keys,
    fresh_until: SystemTime,
    day: String,
    signing_key: Vec<u8>,
    scope: String,
}

/// The headers to add; none for anonymous requests.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) authorization: HeaderValue,
    pub(super) date: HeaderValue,
    pub(super) token: Option<HeaderValue>,
}

impl Signed {
    /// The `x-amz-content-sha256` that every signed request carries.
    pub(super) const CONTENT_SHA256: HeaderValue = HeaderValue::from_static(EMPTY_SHA256);
}

/// A request as far as its signature covers it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unsigned<'a> {
    pub(super) method: &'a str,
    pub(super) host: &'a str,
    /// Percent-encoded.
    pub(super) path: &'a str,
    /// Percent-encoded, sorted by name.
    pub(super) query: &'a str,
}

impl Signer {
    pub(super) fn new(provider: Option<SharedCredentialsProvider>, region: &str) -> Self {
        Self {
            provider,
            region: region.to_owned(),
            current: ArcSwapOption::empty(),
            asking: Mutex::new(()),
        }
    }

    /// Throws the credentials away: the store did not accept them.
    pub(super) fn forget(&self) {
        self.current.store(None);
    }

    /// When the credentials end; `None`: unknown or never.
    pub(super) async fn credentials_expire(&self) -> Result<Option<SystemTime>, String> {
        let now = SystemTime::now();
        let Some(provider) = &self.provider else {
            return Ok(None);
        };
        let current = self.current(provider, now, &stamp(now)[..8]).await?;
        Ok(current.keys.expiry())
    }

    /// Signs a request as of `now`.
    ///
    /// # Errors
    /// Why there are no credentials.
    pub(super) async fn sign(
        &self,
        request: Unsigned<'_>,
        now: SystemTime,
    ) -> Result<Option<Signed>, String> {
        let Some(provider) = &self.provider else {
            return Ok(None);
        };
        let stamp = stamp(now);
        let current = self.current(provider, now, &stamp[..8]).await?;
        Ok(Some(current.sign(request, &stamp)?))
    }

    async fn current(
        &self,
        provider: &SharedCredentialsProvider,
        now: SystemTime,
        day: &str,
    ) -> Result<Arc<Current>, String> {
        if let Some(current) = self.usable(now, day) {
            return Ok(current);
        }
        let _asking = self.asking.lock().await;
        if let Some(current) = self.usable(now, day) {
            return Ok(current);
        }
        let known = self.current.load_full();
        let (keys, fresh_until) = match known {
            Some(known) if now < known.fresh_until => (known.keys.clone(), known.fresh_until),
            _ => {
                let keys = provider.provide_credentials().await.map_err(|error| {
                    format!("no credentials: {}", super::transport::causes(&error))
                })?;
                let fresh_until = match keys.expiry() {
                    Some(expiry) => expiry.checked_sub(BEFORE_EXPIRY).unwrap_or(now),
                    None => now + WITHOUT_EXPIRY,
                };
                // Even credentials about to expire are used for a moment and not asked
                // for with each request.
                (keys, fresh_until.max(now + Duration::from_secs(5)))
            }
        };
        let signing_key = generate_signing_key(keys.secret_access_key(), now, &self.region, "s3");
        let current = Arc::new(Current {
            fresh_until,
            day: day.to_owned(),
            signing_key: signing_key.as_ref().to_vec(),
            scope: format!("{day}/{}/s3/aws4_request", self.region),
            keys,
        });
        self.current.store(Some(Arc::clone(&current)));
        Ok(current)
    }

    fn usable(&self, now: SystemTime, day: &str) -> Option<Arc<Current>> {
        self.current
            .load_full()
            .filter(|current| now < current.fresh_until && current.day == day)
    }
}

impl Current {
    fn sign(&self, request: Unsigned<'_>, stamp: &str) -> Result<Signed, String> {
        let Unsigned {
            method,
            host,
            path,
            query,
        } = request;
        let token = self.keys.session_token();
        let signed_headers = match token {
            Some(_) => "host;x-amz-content-sha256;x-amz-date;x-amz-security-token",
            None => "host;x-amz-content-sha256;x-amz-date",
        };
        let mut text = String::with_capacity(512);
        let _ = write!(
            text,
            "{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{EMPTY_SHA256}\nx-amz-date:{stamp}\n"
        );
        if let Some(token) = token {
            let _ = writeln!(text, "x-amz-security-token:{token}");
        }
        let _ = write!(text, "\n{signed_headers}\n{EMPTY_SHA256}");
        let canonical = Sha256::digest(text.as_bytes());

        text.clear();
        let _ = write!(text, "AWS4-HMAC-SHA256\n{stamp}\n{}\n", self.scope);
        push_hex(&mut text, &canonical);
        let signature = calculate_signature(&self.signing_key, text.as_bytes());

        text.clear();
        let _ = write!(
            text,
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={signed_headers}, Signature={signature}",
            self.keys.access_key_id(),
            self.scope,
        );
        let header = |value: &str, what: &str| {
            HeaderValue::from_str(value)
                .map_err(|_| format!("the {what} has characters that no header can have"))
        };
        let mut authorization = header(&text, "access key id")?;
        authorization.set_sensitive(true);
        Ok(Signed {
            authorization,
            date: header(stamp, "date")?,
            token: token
                .map(|token| {
                    header(token, "session token").map(|mut value| {
                        value.set_sensitive(true);
                        value
                    })
                })
                .transpose()?,
        })
    }
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// `YYYYMMDDTHHMMSSZ`, whose first eight characters are the day. Printed by hand: it is part of
/// every request.
fn stamp(now: SystemTime) -> String {
    let now = OffsetDateTime::from(now);
    let year = u16::try_from(now.year()).unwrap_or_default();
    let mut text = String::with_capacity(16);
    let push = |number: u16, text: &mut String| {
        text.push(char::from(b'0' + (number / 10 % 10) as u8));
        text.push(char::from(b'0' + (number % 10) as u8));
    };
    push(year / 100, &mut text);
    push(year, &mut text);
    push(u16::from(u8::from(now.month())), &mut text);
    push(u16::from(now.day()), &mut text);
    text.push('T');
    for number in [now.hour(), now.minute(), now.second()] {
        push(u16::from(number), &mut text);
    }
    text.push('Z');
    text
}

#[cfg(test)]
mod tests {
    use aws_sigv4::http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign as sdk_sign,
    };
    use aws_sigv4::sign::v4;

    use super::*;

    /// The same request signed by the SDK's crate.
    fn by_the_sdk(keys: &Keys, request: Unsigned<'_>, now: SystemTime) -> String {
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let identity = keys.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("eu-central-1")
            .name("s3")
            .time(now)
            .settings(settings)
            .build()
            .expect("complete")
            .into();
        let uri = format!("http://{}{}?{}", request.host, request.path, request.query);
        let signable = SignableRequest::new(
            request.method,
            uri.trim_end_matches('?'),
            [("host", request.host)].into_iter(),
            SignableBody::Bytes(&[]),
        )
        .expect("signable");
        let (instructions, _) = sdk_sign(signable, &params).expect("signed").into_parts();
        let (headers, _) = instructions.into_parts();
        headers
            .iter()
            .find(|header| header.name() == "authorization")
            .map(|header| header.value().to_owned())
            .expect("an authorization header")
    }

    #[tokio::test]
    async fn signs_as_the_sdk_does() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_123);
        for token in [None, Some("session+token/=".to_owned())] {
            let keys = Keys::new("AKIDEXAMPLE", "wJalr+secret", token, None, "test");
            let signer = Signer::new(
                Some(SharedCredentialsProvider::new(keys.clone())),
                "eu-central-1",
            );
            let key = encode_path("/b/log/gtk+3 x=?ä!:~.drv");
            let query = format!(
                "delimiter=%2F&list-type=2&prefix={}&start-after=x",
                encode_query("p/ +ä=&")
            );
            for (path, query) in [("/b/a.narinfo", ""), (key.as_str(), ""), ("/b", &query)] {
                let request = Unsigned {
                    method: "GET",
                    host: "127.0.0.1:9000",
                    path,
                    query,
                };
                let signed = signer
                    .sign(request, now)
                    .await
                    .expect("keys")
                    .expect("signed");
                assert_eq!(
                    signed.authorization.to_str().expect("ascii"),
                    by_the_sdk(&keys, request, now),
                    "{path}?{query}"
                );
            }
        }
    }

    #[derive(Debug, Default)]
    struct Counting(std::sync::atomic::AtomicU64);

    impl aws_credential_types::provider::ProvideCredentials for Counting {
        fn provide_credentials<'a>(
            &'a self,
        ) -> aws_credential_types::provider::future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let n = self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let expiry = SystemTime::UNIX_EPOCH + Duration::from_secs(3600 * (n + 1));
            aws_credential_types::provider::future::ProvideCredentials::ready(Ok(Keys::new(
                format!("key{n}"),
                "secret",
                None,
                Some(expiry),
                "test",
            )))
        }
    }

    #[tokio::test]
    async fn credentials_are_renewed_before_they_expire_and_when_refused() {
        let signer = Signer::new(
            Some(SharedCredentialsProvider::new(Counting::default())),
            "r",
        );
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let request = Unsigned {
            method: "GET",
            host: "h",
            path: "/",
            query: "",
        };
        let used = |signed: Option<Signed>| {
            let signed = signed.expect("not anonymous");
            let text = signed.authorization.to_str().expect("ascii").to_owned();
            text[28..].split('/').next().expect("a key").to_owned()
        };
        for (seconds, key) in [(0, "key0"), (3000, "key0"), (3400, "key1"), (6000, "key1")] {
            let signed = signer.sign(request, at(seconds)).await.expect("keys");
            assert!(used(signed).ends_with(key), "after {seconds} s");
        }
        signer.forget();
        let signed = signer.sign(request, at(6001)).await.expect("keys");
        assert!(used(signed).ends_with("key2"));
    }

    #[test]
    fn stamps_are_days_and_times() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (784_111_777, "19941106T084937Z"),
            (1_790_000_123, "20260921T141523Z"),
            (4_102_444_799, "20991231T235959Z"),
        ] {
            assert_eq!(
                stamp(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)),
                text
            );
        }
    }

    #[tokio::test]
    async fn a_new_day_has_a_new_key() {
        let keys = Keys::new("a", "s", None, None, "test");
        let signer = Signer::new(
            Some(SharedCredentialsProvider::new(keys.clone())),
            "eu-central-1",
        );
        let request = Unsigned {
            method: "GET",
            host: "h",
            path: "/",
            query: "",
        };
        for seconds in [86_399, 86_401] {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let signed = signer
                .sign(request, now)
                .await
                .expect("keys")
                .expect("signed");
            assert_eq!(
                signed.authorization.to_str().expect("ascii"),
                by_the_sdk(&keys, request, now)
            );
        }
    }
}
