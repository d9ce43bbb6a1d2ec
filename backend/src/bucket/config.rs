//! Where a bucket is, who we are to it, and how patient we are.

use std::fmt;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::SharedCredentialsProvider;

use super::{BucketError, BucketErrorKind, Operation, RetryPolicy};

/// Everything that has to be known to talk to a bucket.
#[derive(Debug, Clone, Default)]
pub struct BucketConfig {
    /// The bucket's name.
    pub bucket: String,
    /// Keys lie below this; a missing `/` at the end is added. Empty: the whole bucket.
    pub prefix: String,
    /// Prefixes in the bucket, not relative to [`prefix`](Self::prefix), whose objects do not
    /// exist for this handle: those of other caches below ours, and the state's.
    pub hidden: Vec<String>,
    /// `https://host[:port]`; `None` is AWS.
    pub endpoint: Option<String>,
    /// The region to sign for. `None`: that of the environment or profile, else `us-east-1`.
    pub region: Option<String>,
    /// `https://host/bucket/key` and not `https://bucket.host/key`. `None`: with an endpoint
    /// of one's own, or a bucket name with dots.
    pub path_style: Option<bool>,
    /// Who we are.
    pub credentials: Credentials,
    /// How patient we are.
    pub limits: Limits,
}

/// Who we are: for reading, and where they differ for writing and for deleting.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// For list, get and head.
    pub read: CredentialSource,
    /// For put, copy and multipart uploads; `None`: as for reading.
    pub write: Option<CredentialSource>,
    /// For delete; `None`: as for writing.
    pub delete: Option<CredentialSource>,
}

/// Where credentials come from.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum CredentialSource {
    /// What the AWS SDK finds: environment, profile, web identity, ECS, IMDS.
    #[default]
    Chain,
    /// A profile of the AWS configuration files.
    Profile(String),
    /// Given.
    Static {
        /// The access key's id.
        access_key_id: String,
        /// The secret. Never printed.
        secret_access_key: String,
        /// The token of temporary credentials. Never printed.
        session_token: Option<String>,
    },
    /// Requests are not signed.
    Anonymous,
}

impl fmt::Debug for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain => f.write_str("Chain"),
            Self::Profile(name) => f.debug_tuple("Profile").field(name).finish(),
            Self::Static { access_key_id, .. } => f
                .debug_struct("Static")
                .field("access_key_id", access_key_id)
                .finish_non_exhaustive(),
            Self::Anonymous => f.write_str("Anonymous"),
        }
    }
}

/// Time-outs, retries and how much goes on at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Until a connection stands, TLS included.
    pub connect_timeout: Duration,
    /// From sending a request to the head of its answer.
    pub answer_timeout: Duration,
    /// Between two pieces of a body while we are waiting for one.
    pub idle_timeout: Duration,
    /// A whole small object or a page of a listing.
    pub small_timeout: Duration,
    /// A whole write of bytes that are in memory (an object, a part).
    pub write_timeout: Duration,
    /// How often to try again, and how soon.
    pub retry: RetryPolicy,
    /// Requests under way at most that somebody is waiting for.
    pub concurrency: usize,
    /// Requests under way at most of sweeps and checks.
    pub bulk_concurrency: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(30),
            small_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(120),
            retry: RetryPolicy::default(),
            concurrency: 256,
            bulk_concurrency: 128,
        }
    }
}

/// The credentials' providers, made once, and the region.
pub(super) struct Sources {
    /// `None`: anonymous.
    pub(super) read: Option<SharedCredentialsProvider>,
    pub(super) write: Option<SharedCredentialsProvider>,
    pub(super) delete: Option<SharedCredentialsProvider>,
    /// Whether writing (deleting) uses other credentials than reading (writing).
    pub(super) write_differs: bool,
    pub(super) delete_differs: bool,
    pub(super) region: String,
}

impl BucketConfig {
    /// The same with the prefix normalised, or why it cannot be right.
    pub(super) fn checked(&self) -> Result<Self, BucketError> {
        let mut config = self.clone();
        let wrong = |detail: String| {
            Err(BucketError::new(
                Operation::List,
                &self.bucket,
                &self.prefix,
                BucketErrorKind::Misconfigured,
                detail,
            ))
        };
        let name = &self.bucket;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if name.is_empty() || name.len() > 255 || !name.bytes().all(allowed) {
            return wrong(format!(
                "`{}` is not a bucket name: letters, digits, `-`, `.` and `_`",
                name.escape_debug()
            ));
        }
        if name.bytes().all(|byte| byte == b'.') {
            return wrong("a bucket name needs a letter or a digit".to_owned());
        }
        let parts = self.prefix.trim_matches('/');
        if parts.split('/').any(|part| matches!(part, "." | ".."))
            || parts.contains("//")
            || parts.bytes().any(|byte| byte < 0x20 || byte == 0x7f)
            || parts.len() > 512
        {
            return wrong(format!(
                "`{}` is not a prefix: no empty, `.` or `..` part, no control character, at most 512 bytes",
                self.prefix.escape_debug()
            ));
        }
        config.prefix = if parts.is_empty() {
            String::new()
        } else {
            format!("{parts}/")
        };
        if config.hidden.iter().any(String::is_empty) {
            return wrong("an empty hidden prefix would hide the whole bucket".to_owned());
        }
        if let Some(endpoint) = &self.endpoint {
            let parsed = endpoint.parse::<http::Uri>();
            let usable = parsed.as_ref().is_ok_and(|uri| {
                matches!(uri.scheme_str(), Some("http" | "https"))
                    && uri.host().is_some_and(|host| !host.is_empty())
                    && uri.query().is_none()
                    && !endpoint.contains('@')
            });
            if !usable {
                return wrong(format!(
                    "`{}` is not an endpoint: it looks like `https://s3.example.org` or `http://127.0.0.1:9000`",
                    endpoint.escape_debug()
                ));
            }
        }
        let limits = &mut config.limits;
        limits.concurrency = limits.concurrency.max(1);
        limits.bulk_concurrency = limits.bulk_concurrency.max(1);
        limits.retry.attempts = limits.retry.attempts.max(1);
        Ok(config)
    }

    /// Whether the bucket is in the path and not in the host name.
    pub(super) fn uses_path_style(&self) -> bool {
        self.path_style
            .unwrap_or(self.endpoint.is_some() || self.bucket.contains(['.', '_']))
    }

    /// Makes the providers. May look at files and, for the region on AWS, at IMDS.
    pub(super) async fn load_sources(&self) -> Sources {
        let mut environment_region = None;
        let read = provider(&self.credentials.read, &mut environment_region).await;
        let write = match &self.credentials.write {
            Some(source) => provider(source, &mut environment_region).await,
            None => read.clone(),
        };
        let delete = match &self.credentials.delete {
            Some(source) => provider(source, &mut environment_region).await,
            None => write.clone(),
        };
        let region = self
            .region
            .clone()
            .or(environment_region.map(|region| region.to_string()))
            .unwrap_or_else(|| "us-east-1".to_owned());
        Sources {
            read,
            write,
            delete,
            write_differs: self.credentials.write.is_some(),
            delete_differs: self.credentials.delete.is_some(),
            region,
        }
    }
}

/// A provider for a source; the first region that its configuration names is noted.
async fn provider(
    source: &CredentialSource,
    region: &mut Option<Region>,
) -> Option<SharedCredentialsProvider> {
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(super::transport::sdk_http_client());
    let loader = match source {
        CredentialSource::Anonymous => return None,
        CredentialSource::Static {
            access_key_id,
            secret_access_key,
            session_token,
        } => {
            return Some(SharedCredentialsProvider::new(Keys::new(
                access_key_id.clone(),
                secret_access_key.clone(),
                session_token.clone(),
                None,
                "configuration",
            )));
        }
        CredentialSource::Chain => loader,
        CredentialSource::Profile(name) => loader.profile_name(name),
    };
    let loaded = loader.load().await;
    if region.is_none() {
        *region = loaded.region().cloned();
    }
    loaded.credentials_provider()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(bucket: &str, prefix: &str, endpoint: Option<&str>) -> BucketConfig {
        BucketConfig {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: endpoint.map(str::to_owned),
            ..BucketConfig::default()
        }
    }

    #[test]
    fn a_prefix_ends_with_one_slash_and_begins_with_none() {
        for (given, kept) in [("", ""), ("/", ""), ("a", "a/"), ("/a/b/", "a/b/")] {
            let checked = config("cache", given, None).checked().expect(given);
            assert_eq!(checked.prefix, kept);
        }
        for bad in ["..", "a/../b", "a//b", "a\nb"] {
            let error = config("cache", bad, None).checked().expect_err(bad);
            assert_eq!(error.kind(), BucketErrorKind::Misconfigured);
        }
    }

    #[test]
    fn endpoints_and_bucket_names_are_checked() {
        for good in [
            "https://s3.example.org",
            "http://127.0.0.1:9000",
            "http://[::1]:1/",
        ] {
            config("cache", "", Some(good)).checked().expect(good);
        }
        for bad in [
            "s3.example.org",
            "ftp://x",
            "https://",
            "https://u:p@h",
            "http://h/?q",
        ] {
            config("cache", "", Some(bad)).checked().expect_err(bad);
        }
        for bad in ["", "a/b", "..", "a b", "ä"] {
            config(bad, "", None).checked().expect_err(bad);
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let source = CredentialSource::Static {
            access_key_id: "AKIA".to_owned(),
            secret_access_key: "hush".to_owned(),
            session_token: Some("hush".to_owned()),
        };
        let printed = format!("{source:?}");
        assert!(printed.contains("AKIA") && !printed.contains("hush"));
    }

    #[test]
    fn own_endpoints_are_addressed_by_path() {
        assert!(config("cache", "", Some("http://h")).uses_path_style());
        assert!(!config("cache", "", None).uses_path_style());
        assert!(config("a.b", "", None).uses_path_style());
    }
}
