//! A cache that takes uploads, people who may, and paths to send.

use reqwest::{Method, Response};
use serde_json::json;
use snowbank::auth::records::{ContributorRecord, KeyNameRecord, KeyScope, now};
use snowbank::config::Config;
use snowbank::intake::UploadPolicy;
use snowbank::ledger::{LedgerError, RecordId, Scope};
use snowbank_shared::content_address::{self, ContentAddress};
use snowbank_shared::hash::Sha256;
use snowbank_shared::nar::NarWriter;
use snowbank_shared::narinfo::{Compression, NarInfo, NarInfoParts};
use snowbank_shared::signature::{PublicKey, SecretKey};
use snowbank_shared::store_path::{StoreDir, StorePath, StorePathHash};

use crate::harness::TestServer;
use crate::people::{Actor, owner};

/// A server with an owner, and a cache that signs with a key of its own.
pub struct Site {
    pub server: TestServer,
    pub owner: Actor,
}

/// Somebody who may upload, with a token and a key.
pub struct Uploader {
    pub token: String,
    pub key: SecretKey,
}

impl Site {
    pub async fn start(adjust: impl FnOnce(&mut Config)) -> Self {
        let server = TestServer::start(
            |_| {},
            |config| {
                config.caches[0].make_key = true;
                adjust(config);
            },
        )
        .await;
        let owner = owner(&server).await;
        Self { server, owner }
    }

    /// Sets the rules for uploads.
    pub async fn policy(&self, policy: UploadPolicy) {
        let ledger = self.server.server.site().access.ledger();
        let change = |_: Option<&UploadPolicy>| Ok::<_, LedgerError>(policy.clone());
        ledger
            .put(Scope::Cache("main"), &RecordId::only(), "olga", change)
            .await
            .expect("a policy");
    }

    /// A contributor of this name with the key `NAME-1`, which may sign everything.
    pub async fn contributor(&self, name: &str) -> Uploader {
        let grants = json!([{"role": "contributor", "cache": null}]);
        let member = self.owner.invite(&self.server, name, grants).await;
        let made = member.token(&self.server, json!(null), &["push"]).await;
        let mut seed = [0; 32];
        seed[..name.len()].copy_from_slice(name.as_bytes());
        let key = SecretKey::generate(&format!("{name}-1"), seed).expect("a key");
        self.register(name, &key.public_key(), |_| {}).await;
        Uploader {
            token: made["secret"].as_str().expect("a token").to_owned(),
            key,
        }
    }

    /// Puts a key into the registry.
    pub async fn register(
        &self,
        owner: &str,
        key: &PublicKey,
        adjust: impl FnOnce(&mut ContributorRecord),
    ) {
        let ledger = self.server.server.site().access.ledger();
        let mut record = ContributorRecord {
            public_key: key.to_string(),
            owner: owner.to_owned(),
            scope: KeyScope {
                caches: None,
                names: vec!["*".into()],
                max_nar_size: None,
            },
            created_at: now(),
            expires_at: now() + 3600,
            proven_at: Some(now()),
            accepted_by: Some("olga".into()),
            retired_at: None,
            suspended: false,
        };
        adjust(&mut record);
        let name = KeyNameRecord {
            public_key: key.to_string(),
            owner: owner.to_owned(),
        };
        let id: RecordId = key.name().to_lowercase().parse().expect("a name");
        ledger
            .create(Scope::Server, &id, "olga", name)
            .await
            .expect("a name");
        ledger
            .create(
                Scope::Server,
                &RecordId::hash_of(key.bytes()),
                "olga",
                record,
            )
            .await
            .expect("a key");
    }

    /// The two of most tests.
    pub async fn alice_and_bob(&self) -> (Uploader, Uploader) {
        (
            self.contributor("alice").await,
            self.contributor("bob").await,
        )
    }

    pub async fn put(&self, by: &Uploader, key: &str, bytes: impl Into<Vec<u8>>) -> (u16, String) {
        self.put_with(&by.token, key, bytes, &[]).await
    }

    pub async fn put_with(
        &self,
        token: &str,
        key: &str,
        bytes: impl Into<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> (u16, String) {
        let url = self.server.url(&format!("/main/{key}"));
        let mut request = self
            .server
            .client
            .request(Method::PUT, url)
            .basic_auth("nix", Some(token))
            .body(bytes.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.expect("an answer");
        said(answer).await
    }

    /// The archive, then the narinfo.
    pub async fn upload(&self, by: &Uploader, made: &Made) -> (u16, String) {
        let first = self.put(by, &made.url(), made.stored.clone()).await;
        assert_eq!(first, (200, String::new()), "the archive");
        self.put(by, &made.key(), made.text()).await
    }

    /// The narinfo as clients get it.
    pub async fn served(&self, made: &Made) -> Option<NarInfo> {
        let answer = self.server.get(&format!("/main/{}", made.key())).await;
        match answer.status().as_u16() {
            404 => None,
            200 => {
                let bytes = answer.bytes().await.expect("bytes");
                Some(NarInfo::parse(&bytes, &StoreDir::default()).expect("a narinfo"))
            }
            other => panic!("{other}"),
        }
    }

    /// Every object of the cache's folder, but what is the server's own.
    pub fn objects(&self) -> Vec<String> {
        fn walk(folder: &std::path::Path, prefix: &str, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let entry = entry.expect("an entry");
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with('.') {
                    continue;
                }
                if entry.path().is_dir() {
                    walk(&entry.path(), &format!("{prefix}{name}/"), found);
                } else {
                    found.push(format!("{prefix}{name}"));
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.server.shelf().folder, "", &mut found);
        found.sort();
        found
    }
}

pub async fn said(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    (status, answer.text().await.expect("text"))
}

/// A path that can be uploaded.
#[derive(Clone)]
pub struct Made {
    pub parts: NarInfoParts,
    pub stored: Vec<u8>,
}

impl Made {
    /// A file with this text, packed with zstd, signed by a key.
    pub fn file(name: &str, text: &str, references: &[&Made], key: &SecretKey) -> Self {
        let mut nar = Vec::new();
        let mut writer = NarWriter::new(|bytes: &[u8]| nar.extend_from_slice(bytes));
        writer.file(text.as_bytes(), false).expect("a file");
        writer.finish().expect("an archive");
        Self::of(name, &nar, references, key)
    }

    /// This archive, packed with zstd, signed by a key.
    pub fn of(name: &str, nar: &[u8], references: &[&Made], key: &SecretKey) -> Self {
        let stored = zstd::encode_all(nar, 1).expect("packed");
        let mut digest = [0; 20];
        digest.copy_from_slice(&Sha256::digest(name.as_bytes()).0[..20]);
        let path = StorePath::new(StorePathHash::from_bytes(digest), name).expect("a name");
        let file_hash = Sha256::digest(&stored);
        let parts = NarInfoParts {
            store_path: path,
            url: format!("nar/{}.nar.zst", file_hash.to_nix32()),
            compression: Compression::Zstd,
            file_hash: Some(file_hash.into()),
            file_size: Some(stored.len() as u64),
            nar_hash: Sha256::digest(nar),
            nar_size: nar.len() as u64,
            references: references
                .iter()
                .map(|other| other.parts.store_path.clone())
                .collect(),
            deriver: None,
            signatures: Vec::new(),
            ca: None,
        };
        Self { parts, stored }.signed(key)
    }

    /// A file with this text, whose path follows from its content, without a signature.
    pub fn addressed(name: &str, text: &str) -> Self {
        let key = SecretKey::generate("nobody-1", [1; 32]).expect("a key");
        let mut made = Self::file(name, text, &[], &key).unsigned();
        let ca = ContentAddress {
            method: content_address::Method::Recursive,
            hash: made.parts.nar_hash.into(),
        };
        made.parts.store_path = ca
            .store_path(&StoreDir::default(), name, [], false)
            .expect("a path");
        made.parts.ca = Some(ca);
        made
    }

    pub fn signed(mut self, key: &SecretKey) -> Self {
        let fingerprint = self.parts.fingerprint(&StoreDir::default());
        self.parts.signatures.push(key.sign(fingerprint.as_bytes()));
        self
    }

    pub fn unsigned(mut self) -> Self {
        self.parts.signatures.clear();
        self
    }

    pub fn key(&self) -> String {
        self.parts.store_path.hash().narinfo_key()
    }

    pub fn url(&self) -> String {
        self.parts.url.clone()
    }

    pub fn text(&self) -> String {
        self.parts.to_text(&StoreDir::default())
    }
}
