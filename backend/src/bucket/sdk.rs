//! The SDK's clients, and its errors in our words.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    AppName, BehaviorVersion, Builder, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, SharedCredentialsProvider, StalledStreamProtectionConfig,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::config::Sources;
use super::error::ErrorAnswer;
use super::transport::{causes, sdk_http_client};
use super::{Bucket, BucketConfig, BucketError, BucketErrorKind, Operation};

/// The SDK's clients, one for each set of credentials.
pub(super) struct SdkClients {
    pub(super) read: Client,
    pub(super) write: Client,
    pub(super) delete: Client,
}

impl SdkClients {
    pub(super) fn new(config: &BucketConfig, sources: &Sources) -> Self {
        let http = sdk_http_client();
        let client = |provider: Option<&SharedCredentialsProvider>| {
            let limits = &config.limits;
            let mut builder = Builder::new()
                .behavior_version(BehaviorVersion::latest())
                .http_client(http.clone())
                .region(Region::new(sources.region.clone()))
                .force_path_style(config.uses_path_style())
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
                .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
                // Retries, their pauses and counts are `Bucket::attempt`'s.
                .retry_config(RetryConfig::disabled())
                .timeout_config(
                    TimeoutConfig::builder()
                        .connect_timeout(limits.connect_timeout)
                        .read_timeout(limits.write_timeout)
                        .operation_attempt_timeout(limits.write_timeout)
                        .build(),
                )
                .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
            if let Ok(name) = AppName::new("snowbank") {
                builder = builder.app_name(name);
            }
            if let Some(endpoint) = &config.endpoint {
                builder = builder.endpoint_url(endpoint);
            }
            builder = match provider {
                Some(provider) => builder.credentials_provider(provider.clone()),
                None => builder.allow_no_auth(),
            };
            Client::from_conf(builder.build())
        };
        let read = client(sources.read.as_ref());
        let write = if sources.write_differs {
            client(sources.write.as_ref())
        } else {
            read.clone()
        };
        let delete = if sources.delete_differs {
            client(sources.delete.as_ref())
        } else {
            write.clone()
        };
        Self {
            read,
            write,
            delete,
        }
    }

    pub(super) async fn presign(
        &self,
        bucket: &str,
        absolute: &str,
        lasting: Duration,
    ) -> Result<String, String> {
        let config = PresigningConfig::expires_in(lasting).map_err(|error| error.to_string())?;
        let request = self.read.get_object().bucket(bucket).key(absolute);
        let presigned = request.presigned(config).await;
        presigned
            .map(|request| request.uri().to_owned())
            .map_err(|error| causes(&error))
    }
}

impl Bucket {
    /// What the SDK says, in our words.
    pub(super) fn sdk_error<E>(
        &self,
        operation: Operation,
        absolute: &str,
        error: &SdkError<E, HttpResponse>,
    ) -> BucketError
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
    {
        let local = |kind, detail: String| self.error(operation, absolute, kind, detail);
        let why = || causes(error);
        match error {
            SdkError::TimeoutError(_) => local(BucketErrorKind::Timeout, why()),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                local(BucketErrorKind::Timeout, why())
            }
            SdkError::DispatchFailure(failure) if failure.is_io() => {
                local(BucketErrorKind::Network, why())
            }
            SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => {
                let why = why();
                let kind = if why.contains("credentials") {
                    BucketErrorKind::BadCredentials
                } else if matches!(error, SdkError::DispatchFailure(_)) {
                    BucketErrorKind::Network
                } else {
                    BucketErrorKind::Other
                };
                local(kind, why)
            }
            other => {
                let Some(response) = other.raw_response() else {
                    return local(BucketErrorKind::Other, why());
                };
                let status = response.status().as_u16();
                if (200..300).contains(&status) && other.code().is_none() {
                    return local(BucketErrorKind::Corrupt, why());
                }
                let answer = ErrorAnswer {
                    status,
                    code: other.code().unwrap_or_default().to_owned(),
                    message: other.message().unwrap_or_default().to_owned(),
                    retry_after: response
                        .headers()
                        .get("retry-after")
                        .and_then(|seconds| seconds.trim().parse().ok())
                        .map(Duration::from_secs),
                };
                BucketError::answered(operation, &self.inner.name, absolute, &answer)
            }
        }
    }
}
