//! The stores that the suite runs against.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use snowbank::bucket::embedded::{EmbeddedConfig, EmbeddedS3};
use snowbank::bucket::{BucketConfig, CredentialSource, Credentials, Limits, RetryPolicy};
use tempfile::TempDir;

use super::garage::{self, Garage};
use super::suite::Store;

pub const BUCKET: &str = "suite";

fn config(endpoint: &str, region: &str, key: &str, secret: &str) -> BucketConfig {
    BucketConfig {
        bucket: BUCKET.to_owned(),
        endpoint: Some(endpoint.to_owned()),
        region: Some(region.to_owned()),
        credentials: Credentials {
            read: CredentialSource::Static {
                access_key_id: key.to_owned(),
                secret_access_key: secret.to_owned(),
                session_token: None,
            },
            ..Credentials::default()
        },
        limits: Limits {
            retry: RetryPolicy {
                base: Duration::from_millis(20),
                ..RetryPolicy::default()
            },
            ..Limits::default()
        },
        ..BucketConfig::default()
    }
}

/// Our own, in this process.
pub struct Embedded {
    server: EmbeddedS3,
    _folder: TempDir,
}

impl Embedded {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = EmbeddedConfig::new().bucket(BUCKET, folder.path().join("bucket"));
        config.durable = false;
        let server = EmbeddedS3::start(config).await.expect("a server");
        Self {
            server,
            _folder: folder,
        }
    }
}

impl Store for Embedded {
    fn config(&self) -> BucketConfig {
        let credentials = self.server.credentials();
        config(
            &self.server.endpoint(),
            "us-east-1",
            &credentials.access_key,
            &credentials.secret_key,
        )
    }

    fn checks_signatures(&self) -> bool {
        true
    }
}

/// A server that ends with the test, and with it what it started: what is called
/// `moto_server` may be a script in front of the real one.
struct Server(Child);

impl Server {
    fn start(command: &mut Command) -> Self {
        use std::os::unix::process::CommandExt as _;
        let child = command.process_group(0).stdin(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.0.wait();
    }
}

/// The AWS mock of the Python world.
pub struct Moto {
    _server: Server,
    endpoint: String,
}

impl Moto {
    pub async fn start() -> Self {
        let mut server = Server::start(
            Command::new("moto_server")
                .args(["--host", "127.0.0.1", "--port", "0"])
                .stdout(Stdio::null())
                .stderr(Stdio::piped()),
        );
        let output = server.0.stderr.take().expect("piped");
        // It says where it runs, and then a line a request, which has to be read away.
        let (said, address) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some((_, address)) = line.split_once("Running on ") {
                    let _ = said.send(address.trim().to_owned());
                }
            }
        });
        let endpoint = tokio::task::spawn_blocking(move || {
            address
                .recv_timeout(Duration::from_secs(60))
                .expect("moto says where it runs")
        })
        .await
        .expect("no panic");
        create_bucket(&config(&endpoint, "us-east-1", "key", "secret")).await;
        Self {
            _server: server,
            endpoint,
        }
    }
}

impl Store for Moto {
    fn config(&self) -> BucketConfig {
        config(&self.endpoint, "us-east-1", "key", "secret")
    }

    fn checks_signatures(&self) -> bool {
        false
    }
}

impl Store for Garage {
    fn config(&self) -> BucketConfig {
        config(
            &self.endpoint,
            garage::REGION,
            &self.access_key,
            &self.secret_key,
        )
    }

    fn checks_signatures(&self) -> bool {
        true
    }
}

/// Makes the bucket, which is nothing that Snowbank itself ever does.
async fn create_bucket(config: &BucketConfig) {
    use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
    let sdk = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new("us-east-1"))
        .force_path_style(true)
        .credentials_provider(Credentials::new("key", "secret", None, None, "suite"))
        .endpoint_url(config.endpoint.clone().expect("an endpoint"))
        .build();
    let client = aws_sdk_s3::Client::from_conf(sdk);
    client
        .create_bucket()
        .bucket(&config.bucket)
        .send()
        .await
        .expect("a bucket");
}
