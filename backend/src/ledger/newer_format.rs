//! What a version does in an area of which a newer one says who may read and write.

use std::sync::Arc;
use std::time::Duration;

use super::format::{self, FORMAT, Format};
use super::store::When;
use super::{BucketStore, Ledger, LedgerParams, Pace, PenTimes, Phase, ReadOnly, Refusal, Store};
use crate::bucket::embedded::{EmbeddedConfig, EmbeddedS3};
use crate::bucket::{BucketConfig, CredentialSource, Credentials};
use crate::secrets::StateSecret;

struct Area {
    _folder: tempfile::TempDir,
    _server: EmbeddedS3,
    store: BucketStore,
    secret: StateSecret,
}

impl Area {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = EmbeddedConfig::new().bucket("state", folder.path().join("state"));
        config.durable = false;
        let server = EmbeddedS3::start(config).await.expect("a server");
        let credentials = server.credentials();
        let place = BucketConfig {
            bucket: "state".to_owned(),
            prefix: ".snowbank".to_owned(),
            endpoint: Some(server.endpoint()),
            region: Some("us-east-1".to_owned()),
            credentials: Credentials {
                read: CredentialSource::Static {
                    access_key_id: credentials.access_key.clone(),
                    secret_access_key: credentials.secret_key.clone(),
                    session_token: None,
                },
                ..Credentials::default()
            },
            ..BucketConfig::default()
        };
        Self {
            store: BucketStore::connect(&place).await.expect("a handle"),
            secret: StateSecret::generate("k1").expect("random"),
            _folder: folder,
            _server: server,
        }
    }

    fn open(&self) -> Ledger {
        Ledger::open(LedgerParams {
            store: Arc::new(self.store.clone()),
            secret: self.secret.clone(),
            memory: None,
            pace: Pace::default(),
            client_addresses: Duration::from_secs(86400),
            writer: None,
            pen: PenTimes::default(),
            doubt: None,
        })
        .expect("a ledger")
    }

    /// What a newer version writes.
    async fn says(&self, server: &str, read: u32, write: u32) {
        let mut format = Format::new(server, 1_700_000_000);
        format.read = read;
        format.write = write;
        let bytes = format.to_bytes(self.store.prefix(), &self.secret);
        let bytes = bytes.expect("bytes").into();
        self.store
            .put(format::KEY, bytes, &When::Always)
            .await
            .expect("written");
    }
}

#[tokio::test]
async fn where_a_newer_version_writes_this_one_reads_or_stays_out() {
    let area = Area::new().await;
    area.says("s", FORMAT, FORMAT + 1).await;
    let phase = area.open().settled(Duration::from_secs(20)).await;
    assert_eq!(phase, Phase::ReadOnly(ReadOnly::NewerFormat));
    area.says("s", FORMAT + 1, FORMAT + 1).await;
    let phase = area.open().settled(Duration::from_secs(20)).await;
    assert_eq!(phase, Phase::Refused(Refusal::NewerFormat));
}

#[tokio::test]
async fn a_running_server_turns_read_only_when_a_newer_version_comes() {
    let area = Area::new().await;
    let ledger = area.open();
    assert_eq!(ledger.settled(Duration::from_secs(20)).await, Phase::Open);
    let server = ledger.server().expect("opened").to_owned();
    area.says(&server, FORMAT, FORMAT + 1).await;
    ledger.look_at_area().await;
    assert_eq!(
        *ledger.phase().borrow(),
        Phase::ReadOnly(ReadOnly::NewerFormat)
    );
    assert!(ledger.writable().is_err());
    area.says(&server, FORMAT, FORMAT).await;
    ledger.look_at_area().await;
    assert_eq!(*ledger.phase().borrow(), Phase::Open);
}
