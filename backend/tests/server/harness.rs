//! A server on a temporary folder, and actors that ask it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use snowbank::config::{CacheConfig, Config, RetentionPeriods, Slug};
use snowbank::server::{self, RunningServer};
use snowbank_shared::hash::Sha256;
use snowbank_shared::nar::NarWriter;
use snowbank_shared::narinfo::{Compression, NarInfoParts};
use snowbank_shared::signature::SecretKey;
use snowbank_shared::store_path::{StoreDir, StorePath, StorePathHash};

/// A folder that is filled as `nix copy` fills one.
pub struct Shelf {
    pub folder: PathBuf,
    pub key: SecretKey,
}

/// A path that lies on a shelf.
#[derive(Clone)]
pub struct Shelved {
    pub hash: String,
    pub path: StorePath,
    pub narinfo: String,
    pub url: String,
    pub nar: Vec<u8>,
}

impl Shelf {
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let key = SecretKey::generate("test-1", [7; 32]).expect("a key");
        Self {
            folder: folder.into(),
            key,
        }
    }

    /// Adds a signed path of this name.
    pub fn put(&self, name: &str, references: &[&Shelved]) -> Shelved {
        let made = self.make(name, references, true);
        self.write(&made);
        made
    }

    /// Makes a path without putting it on the shelf.
    pub fn make(&self, name: &str, references: &[&Shelved], signed: bool) -> Shelved {
        // Nobody looks into it.
        let nar = name.bytes().cycle().take(1000 + name.len()).collect();
        self.make_of(name, nar, references, signed)
    }

    /// Adds a signed path with this archive.
    pub fn put_of(&self, name: &str, nar: Vec<u8>) -> Shelved {
        let made = self.make_of(name, nar, &[], true);
        self.write(&made);
        made
    }

    /// Adds a signed path with this archive that refers to others.
    pub fn put_with(&self, name: &str, nar: Vec<u8>, references: &[&Shelved]) -> Shelved {
        let made = self.make_of(name, nar, references, true);
        self.write(&made);
        made
    }

    fn make_of(&self, name: &str, nar: Vec<u8>, references: &[&Shelved], signed: bool) -> Shelved {
        let store_dir = StoreDir::default();
        let mut digest = [0; 20];
        digest.copy_from_slice(&Sha256::digest(name.as_bytes()).0[..20]);
        let path = StorePath::new(StorePathHash::from_bytes(digest), name).expect("a name");
        let nar_hash = Sha256::digest(&nar);
        let url = format!("nar/{}.nar", nar_hash.to_nix32());
        let mut parts = NarInfoParts {
            store_path: path.clone(),
            url: url.clone(),
            compression: Compression::None,
            file_hash: Some(nar_hash.into()),
            file_size: Some(nar.len() as u64),
            nar_hash,
            nar_size: nar.len() as u64,
            references: references.iter().map(|other| other.path.clone()).collect(),
            deriver: None,
            signatures: Vec::new(),
            ca: None,
        };
        if signed {
            parts
                .signatures
                .push(self.key.sign(parts.fingerprint(&store_dir).as_bytes()));
        }
        let narinfo = parts.to_text(&store_dir);
        Shelved {
            hash: path.hash().to_string(),
            path,
            narinfo,
            url,
            nar,
        }
    }

    /// The NAR, then the narinfo.
    pub fn write(&self, made: &Shelved) {
        self.file(&made.url, &made.nar);
        self.file(&format!("{}.narinfo", made.hash), made.narinfo.as_bytes());
    }

    /// Any object.
    pub fn file(&self, key: &str, bytes: &[u8]) {
        let path = self.folder.join(key);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }
}

/// A running server with its folder, and a client that follows no redirects and decodes nothing.
pub struct TestServer {
    pub server: RunningServer,
    pub dir: tempfile::TempDir,
    pub client: reqwest::Client,
}

impl TestServer {
    /// Serves cache `main` in a folder that `fill` has filled; `adjust` may change anything.
    pub async fn start(fill: impl FnOnce(&Shelf), adjust: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let shelf = Shelf::new(dir.path().join("cache"));
        fs::create_dir_all(&shelf.folder).expect("a folder");
        fill(&shelf);
        let mut config = config(dir.path());
        adjust(&mut config);
        Self::run(config, dir).await
    }

    /// Serves a configuration, once its first indexes are complete.
    pub async fn run(config: Config, dir: tempfile::TempDir) -> Self {
        let server = server::start(config).await.expect("a server");
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(std::time::Duration::from_secs(30))
            .build()
            .expect("a client");
        let this = Self {
            server,
            dir,
            client,
        };
        for cache in this.server.site().caches.clone() {
            // One that fails is what its test is about.
            let _ = this
                .server
                .sync(cache.slug.as_str())
                .expect("a sync")
                .sweep_now()
                .await;
            // What is asked of the bucket after a whole sweep must not mix with what a test counts.
            let sync = this.server.sync(cache.slug.as_str()).expect("a sync");
            if sync.whole().borrow().is_some() {
                let mut measured = cache.sizes.measured();
                let patience = std::time::Duration::from_secs(20);
                let _ = tokio::time::timeout(patience, measured.wait_for(Option::is_some)).await;
            }
            let index = cache.index.clone();
            tokio::task::spawn_blocking(move || index.settle())
                .await
                .expect("settled");
        }
        this
    }

    /// Ends, and starts anew over the same folder with the usual configuration; `adjust` may change it.
    pub async fn restarted(self, adjust: impl FnOnce(&mut Config)) -> Self {
        let Self { server, dir, .. } = self;
        server.shutdown().await;
        let mut config = config(dir.path());
        adjust(&mut config);
        Self::run(config, dir).await
    }

    pub fn shelf(&self) -> Shelf {
        Shelf::new(self.dir.path().join("cache"))
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.addr)
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.client
            .get(self.url(path))
            .send()
            .await
            .expect("an answer")
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        let mut request = self.client.get(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.expect("an answer")
    }

    pub async fn head(&self, path: &str) -> reqwest::Response {
        self.client
            .head(self.url(path))
            .send()
            .await
            .expect("an answer")
    }

    pub async fn text(&self, path: &str) -> String {
        self.get(path).await.text().await.expect("text")
    }

    /// The JSON of an address that answers 200.
    pub async fn json(&self, path: &str) -> serde_json::Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.expect("JSON")
    }

    /// Requests to the bucket of `main` so far, of one operation.
    pub fn sent(&self, operation: snowbank::bucket::Operation) -> u64 {
        self.server
            .site()
            .cache("main")
            .expect("main")
            .bucket
            .counts()
            .of(operation)
            .sent
    }
}

/// Cache `main` in `cache`, all else below `data`, judged by the key of [`Shelf`].
pub fn config(dir: &Path) -> Config {
    let shelf = Shelf::new(dir.join("cache"));
    let cache = CacheConfig {
        make_key: false,
        public_keys: vec![shelf.key.public_key()],
        ..CacheConfig::embedded(Slug::main(), shelf.folder)
    };
    Config {
        caches: vec![cache],
        // There is one replica, and it knows what it wrote.
        retention: RetentionPeriods {
            wait: Duration::ZERO,
            silence: Duration::from_secs(1),
        },
        ..Config::in_folder(dir.join("data"))
    }
}

/// Gives the server the secret key of [`Shelf`]: it can sign for `main` then.
pub fn give_key(config: &mut Config) {
    let file = config.data_dir.join("test-1.secret");
    fs::create_dir_all(&config.data_dir).expect("a folder");
    let secret = Shelf::new("").key.to_secret_text();
    fs::write(&file, secret.as_bytes()).expect("a file");
    config.caches[0].signing_key_files = vec![file];
    config.caches[0].public_keys.clear();
}

/// A header's value; empty where it is absent.
pub fn header<'a>(response: &'a reqwest::Response, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().expect("text"))
}

/// The archive of a directory with these files, sorted by name; what ends with `*` may be executed.
pub fn archive(files: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut writer = NarWriter::new(|bytes: &[u8]| archive.extend_from_slice(bytes));
    writer.directory().expect("a directory");
    for (name, contents) in files {
        let bare = name.strip_suffix(b"*").unwrap_or(name);
        writer.entry(bare).expect("an entry");
        writer
            .file(contents, bare.len() < name.len())
            .expect("a file");
    }
    writer.end().expect("its end");
    writer.finish().expect("an archive");
    archive
}
