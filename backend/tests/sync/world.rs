//! A bucket in a folder, an index, and a sync between them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use snowbank::bucket::embedded::{EmbeddedConfig, EmbeddedS3};
use snowbank::bucket::{
    Bucket, BucketConfig, CredentialSource, Credentials, Limits, Operation, RetryPolicy,
};
use snowbank::index::{Index, IndexParams};
use snowbank::sync::{Summary, Sync, SyncError, SyncHandle, SyncParams};
use snowbank_shared::api::{Finding, IndexState, KeyPurpose, KeyState};
use snowbank_shared::hash::{Hash, Sha256};
use snowbank_shared::narinfo::{Compression, NarInfoParts};
use snowbank_shared::signature::{KeyRing, KnownKey, SecretKey};
use snowbank_shared::store_path::{StoreDir, StorePath, StorePathHash};
use tempfile::TempDir;

pub const BUCKET: &str = "cache";

/// The key of the tests' cache.
pub fn secret_key() -> SecretKey {
    SecretKey::generate("test-1", [7; 32]).expect("a good name")
}

pub fn key_ring(state: KeyState) -> Arc<KeyRing> {
    Arc::new(KeyRing::new([KnownKey {
        key: secret_key().public_key(),
        purpose: KeyPurpose::Cache,
        state,
    }]))
}

/// The nth path of the tests.
pub fn hash(n: u64) -> StorePathHash {
    let digest = Sha256::digest(&n.to_le_bytes()).0;
    StorePathHash::from_digest(digest[..20].try_into().expect("20 bytes"))
}

/// Its NAR's bytes: any will do.
pub fn nar(n: u64) -> Vec<u8> {
    format!("not really a NAR, number {n}")
        .repeat(3)
        .into_bytes()
}

pub fn nar_key(n: u64) -> String {
    format!("nar/{}.nar", Sha256::digest(&nar(n)).to_nix32())
}

/// Its narinfo, of some version, signed.
pub fn narinfo(n: u64, version: u64) -> String {
    let store_dir = StoreDir::default();
    let path = |n| StorePath::new(hash(n), &format!("path-{n}")).expect("a good name");
    let bytes = nar(n);
    let mut parts = NarInfoParts {
        store_path: path(n),
        url: nar_key(n),
        compression: Compression::None,
        file_hash: Some(Hash::from(Sha256::digest(&bytes))),
        file_size: Some(bytes.len() as u64),
        nar_hash: Sha256::digest(&bytes),
        nar_size: bytes.len() as u64 + version,
        references: if n == 0 {
            Vec::new()
        } else {
            vec![path(n / 2)]
        },
        deriver: None,
        signatures: Vec::new(),
        ca: None,
    };
    let fingerprint = parts.fingerprint(&store_dir);
    parts.signatures = vec![secret_key().sign(fingerprint.as_bytes())];
    parts.to_text(&store_dir)
}

pub struct World {
    pub folder: TempDir,
    pub server: EmbeddedS3,
    pub bucket: Bucket,
    pub index: Index,
}

impl World {
    /// An empty bucket, but for its `nix-cache-info`.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = EmbeddedConfig::new().bucket(BUCKET, folder.path().join(BUCKET));
        config.durable = false;
        let server = EmbeddedS3::start(config).await.expect("a server");
        let bucket = connect(&server, "").await;
        let world = Self {
            index: empty_index(),
            folder,
            server,
            bucket,
        };
        world.write("nix-cache-info", "StoreDir: /nix/store\nPriority: 30\n");
        world
    }

    /// With the first `paths` paths and their NARs.
    pub async fn with_paths(paths: u64) -> Self {
        let world = Self::new().await;
        for n in 0..paths {
            world.write_path(n);
        }
        world
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join(BUCKET)
    }

    /// Writes an object as somebody past the server does.
    pub fn write(&self, key: &str, bytes: impl AsRef<[u8]>) {
        let path = self.root().join(key);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        // A new file each time, as Nix does: written aside and renamed.
        let aside = path.with_extension("tmp");
        std::fs::write(&aside, bytes).expect("written");
        std::fs::rename(&aside, &path).expect("renamed");
    }

    pub fn write_path(&self, n: u64) {
        self.write(&nar_key(n), nar(n));
        self.write(&hash(n).narinfo_key(), narinfo(n, 0));
    }

    pub fn remove(&self, key: &str) {
        std::fs::remove_file(self.root().join(key)).expect("removed");
    }

    /// Starts a sync and waits for the end of its first sweep.
    pub async fn sync(&self) -> SyncHandle {
        let handle = self.start_sync(1);
        first_sweep(&handle).await;
        handle
    }

    pub fn start_sync(&self, listings: usize) -> SyncHandle {
        let params = SyncParams {
            sweep: Duration::from_secs(3600),
            concurrency: 16,
            listings,
            ..SyncParams::embedded()
        };
        let ring = key_ring(KeyState::Active);
        Sync::spawn(&self.bucket, self.index.clone(), ring, params)
    }

    pub fn gets(&self) -> u64 {
        self.bucket.counts().of(Operation::Get).sent
    }

    pub fn lists(&self) -> u64 {
        self.bucket.counts().of(Operation::List).sent
    }

    pub fn paths(&self) -> u64 {
        self.index.view().len()
    }

    /// All findings of a check.
    pub fn findings(&self, check: &str) -> Vec<Finding> {
        let view = self.index.view();
        view.health(Some(check), 200, None)
            .expect("no cursor")
            .items
    }

    /// Asserts that the index has these paths and answers their narinfos byte for byte.
    pub fn assert_paths(&self, paths: impl IntoIterator<Item = (u64, u64)>) {
        self.index.flush();
        let view = self.index.view();
        let mut count = 0;
        for (n, version) in paths {
            count += 1;
            let served = view
                .served(&hash(n))
                .unwrap_or_else(|| panic!("path {n} is missing"));
            assert_eq!(served, narinfo(n, version), "path {n}");
        }
        assert_eq!(view.len(), count);
    }

    /// Every file of the bucket, with its content and time.
    pub fn files(&self) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
        let mut files = BTreeMap::new();
        collect(&self.root(), &mut files);
        files
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, (Vec<u8>, SystemTime)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.ends_with(".s3") {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else {
            let time = path.metadata().expect("there").modified().expect("a time");
            files.insert(path.clone(), (std::fs::read(&path).expect("read"), time));
        }
    }
}

pub fn index_params() -> IndexParams {
    IndexParams {
        store_dir: StoreDir::default(),
        key_ring: key_ring(KeyState::Active),
    }
}

pub fn empty_index() -> Index {
    Index::in_memory(&index_params())
}

/// A handle with short time-outs.
pub async fn connect(server: &EmbeddedS3, prefix: &str) -> Bucket {
    let credentials = server.credentials();
    let config = BucketConfig {
        bucket: BUCKET.to_owned(),
        prefix: prefix.to_owned(),
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
        limits: Limits {
            answer_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(2),
            small_timeout: Duration::from_secs(2),
            retry: RetryPolicy {
                attempts: 5,
                base: Duration::from_millis(5),
                cap: Duration::from_millis(50),
            },
            ..Limits::default()
        },
        ..BucketConfig::default()
    };
    Bucket::connect(&config).await.expect("a handle")
}

/// Waits for the end of the first sweep, good or bad.
pub async fn first_sweep(handle: &SyncHandle) {
    let mut status = handle.status();
    let ended = status.wait_for(|status| {
        matches!(status.state, IndexState::Ready | IndexState::Failed) && status.progress.is_none()
    });
    let ended = tokio::time::timeout(Duration::from_secs(60), ended).await;
    ended
        .expect("the first sweep ends")
        .expect("the task lives");
}

pub async fn sweep(handle: &SyncHandle) -> Summary {
    try_sweep(handle)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

pub async fn try_sweep(handle: &SyncHandle) -> Result<Summary, SyncError> {
    let ended = tokio::time::timeout(Duration::from_secs(60), handle.sweep_now()).await;
    ended.expect("the sweep ends")
}
