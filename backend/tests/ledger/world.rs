//! A state area in a folder, and servers that share it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use snowbank::bucket::embedded::{EmbeddedConfig, EmbeddedS3};
use snowbank::bucket::{BucketConfig, CredentialSource, Credentials, Limits, RetryPolicy};
use snowbank::ledger::{
    BucketStore, Kind, Ledger, LedgerParams, Pace, PenTimes, Phase, Record, RecordId, Store, kind,
};
use snowbank::secrets::StateSecret;
use tempfile::TempDir;
use time::OffsetDateTime;

pub const BUCKET: &str = "state";
pub const PREFIX: &str = ".snowbank/";

/// A member, as far as these tests care.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub name: String,
    pub role: String,
}

impl Record for Person {
    const KIND: Kind = kind::MEMBERS;
}

pub fn person(name: &str, role: &str) -> Person {
    Person {
        name: name.to_owned(),
        role: role.to_owned(),
    }
}

/// A token that ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    pub until: i64,
}

impl Record for Pass {
    const KIND: Kind = kind::TOKENS;

    fn expires_at(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp(self.until).ok()
    }
}

/// A pin, as far as these tests care.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    pub path: String,
}

impl Record for Pin {
    const KIND: Kind = kind::PINS;
}

pub fn id(text: &str) -> RecordId {
    text.parse().expect("a name")
}

pub struct World {
    pub folder: TempDir,
    pub server: EmbeddedS3,
    pub secret: StateSecret,
}

impl World {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = EmbeddedConfig::new().bucket(BUCKET, folder.path().join(BUCKET));
        config.durable = false;
        Self {
            server: EmbeddedS3::start(config).await.expect("a server"),
            folder,
            secret: StateSecret::generate("k1").expect("random"),
        }
    }

    pub fn config(&self, prefix: &str) -> BucketConfig {
        let credentials = self.server.credentials();
        BucketConfig {
            bucket: BUCKET.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: Some(self.server.endpoint()),
            region: Some("us-east-1".to_owned()),
            credentials: Credentials {
                read: CredentialSource::Static {
                    access_key_id: credentials.access_key.clone(),
                    secret_access_key: credentials.secret_key.clone(),
                    session_token: None,
                },
                ..Credentials::default()
            },
            limits: Limits {
                retry: RetryPolicy {
                    base: Duration::from_millis(5),
                    ..RetryPolicy::default()
                },
                ..Limits::default()
            },
            ..BucketConfig::default()
        }
    }

    pub async fn store(&self) -> BucketStore {
        BucketStore::connect(&self.config(PREFIX))
            .await
            .expect("a handle")
    }

    /// What a server with a data folder of this name is opened with.
    pub async fn params(&self, name: &str) -> LedgerParams {
        LedgerParams {
            store: Arc::new(self.store().await),
            secret: self.secret.clone(),
            memory: Some(self.folder.path().join(name).join("seen.json")),
            pace: Pace {
                // Tests look by themselves, so that they know when.
                look: Duration::from_secs(3600),
                ..Pace::default()
            },
            client_addresses: Duration::from_secs(30 * 86400),
            writer: None,
            pen: PenTimes {
                beat: Duration::from_millis(50),
                hold: Duration::from_millis(1500),
                dead: Duration::from_secs(3),
            },
            doubt: None,
        }
    }

    /// A server with a data folder of this name.
    pub async fn replica(&self, name: &str) -> Ledger {
        opened(self.params(name).await).await
    }

    pub fn path(&self, key: &str) -> PathBuf {
        self.folder.path().join(BUCKET).join(PREFIX).join(key)
    }

    /// An object as somebody sees it who can read the bucket.
    pub fn read(&self, key: &str) -> Vec<u8> {
        std::fs::read(self.path(key)).unwrap_or_else(|error| panic!("{key}: {error}"))
    }

    /// Writes an object as somebody does who can write the bucket.
    pub fn write(&self, key: &str, bytes: &[u8]) {
        let path = self.path(key);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }

    /// Takes an object away.
    pub fn remove(&self, key: &str) {
        std::fs::remove_file(self.path(key)).unwrap_or_else(|error| panic!("{key}: {error}"));
    }

    /// Every key of the area.
    pub async fn keys(&self) -> Vec<String> {
        let listing = self.store().await.list("").await.expect("a listing");
        listing.into_iter().map(|meta| meta.key).collect()
    }
}

/// Opens a ledger, which must succeed.
pub async fn opened(params: LedgerParams) -> Ledger {
    let ledger = Ledger::open(params).expect("a ledger");
    let phase = ledger.settled(Duration::from_secs(20)).await;
    assert_eq!(phase, Phase::Open);
    ledger
}
