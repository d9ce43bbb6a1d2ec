//! The S3 behind a measurement: the embedded server in its own process, or
//! any store that `SNOWBANK_BENCH_S3` names.
//!
//! `SNOWBANK_BENCH_S3=http://host:port/bucket` with `AWS_ACCESS_KEY_ID`,
//! `AWS_SECRET_ACCESS_KEY` and, where it is not us-east-1, `AWS_REGION` in the
//! environment: a Garage, for example. The bucket must be empty; it is filled,
//! and not emptied after.

use anyhow::Context as _;
use snowbank::bench_data::{self, Plan, Summary};
use snowbank::bucket::{Bucket, BucketConfig, CredentialSource, Credentials, Limits};
use tempfile::TempDir;

use crate::cold_index::CONNECTIONS;
use crate::part::{self, Part};
use crate::raw::RawStore;

/// A bucket full of synthetic narinfos.
pub struct Store {
    /// What a figure says it is.
    pub name: String,
    /// What was put into it.
    pub summary: Summary,
    endpoint: String,
    bucket: String,
    region: String,
    access_key: String,
    secret_key: String,
    _process: Option<Part>,
    _folder: Option<TempDir>,
}

impl Store {
    /// Fills a bucket with the cache of `plan` and serves it.
    pub async fn with(plan: &Plan) -> anyhow::Result<Self> {
        match std::env::var("SNOWBANK_BENCH_S3") {
            Ok(url) => Self::given(&url, plan).await,
            Err(_) => Self::embedded(plan),
        }
    }

    fn embedded(plan: &Plan) -> anyhow::Result<Self> {
        let folder = part::folder()?;
        let cache = folder.path().join("cache");
        let summary = bench_data::to_folder(
            &Plan {
                keeps_encoding: false,
                ..*plan
            },
            &cache,
        )?;
        let path = cache.to_str().context("an odd temporary folder")?;
        let process = Part::start("s3", &[path], |line| line.starts_with("http://"))?;
        let mut words = process.line.split(' ').map(str::to_owned);
        let mut word = || words.next().context("the S3 server says who it is");
        Ok(Self {
            name: "the embedded S3 server".to_owned(),
            summary,
            endpoint: word()?,
            access_key: word()?,
            secret_key: word()?,
            bucket: "bench".to_owned(),
            region: "us-east-1".to_owned(),
            _process: Some(process),
            _folder: Some(folder),
        })
    }

    async fn given(url: &str, plan: &Plan) -> anyhow::Result<Self> {
        let (endpoint, bucket) = url
            .rsplit_once('/')
            .context("SNOWBANK_BENCH_S3 is http://host:port/bucket")?;
        let variable = |name: &str| {
            std::env::var(name).with_context(|| format!("SNOWBANK_BENCH_S3 needs {name}"))
        };
        let mut store = Self {
            name: endpoint.to_owned(),
            summary: Summary::default(),
            endpoint: endpoint.to_owned(),
            bucket: bucket.to_owned(),
            region: std::env::var("AWS_REGION").unwrap_or_else(|_| "us-east-1".to_owned()),
            access_key: variable("AWS_ACCESS_KEY_ID")?,
            secret_key: variable("AWS_SECRET_ACCESS_KEY")?,
            _process: None,
            _folder: None,
        };
        store.summary = bench_data::to_bucket(plan, &store.bucket().await?).await?;
        Ok(store)
    }

    /// A fresh client of ours, with counters at zero and no open connections.
    pub async fn bucket(&self) -> anyhow::Result<Bucket> {
        self.bucket_at(&self.endpoint, CONNECTIONS).await
    }

    /// The same by way of another address, with so many requests of a sweep under way at most.
    pub async fn bucket_at(&self, endpoint: &str, at_once: usize) -> anyhow::Result<Bucket> {
        let limits = Limits {
            bulk_concurrency: at_once.max(Limits::default().bulk_concurrency),
            ..Limits::default()
        };
        let read = CredentialSource::Static {
            access_key_id: self.access_key.clone(),
            secret_access_key: self.secret_key.clone(),
            session_token: None,
        };
        let config = BucketConfig {
            bucket: self.bucket.clone(),
            endpoint: Some(endpoint.to_owned()),
            limits,
            region: Some(self.region.clone()),
            credentials: Credentials {
                read,
                ..Credentials::default()
            },
            ..BucketConfig::default()
        };
        Ok(Bucket::connect(&config).await?)
    }

    /// Where it is: `http://HOST:PORT`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Its bucket.
    pub fn bucket_name(&self) -> &str {
        &self.bucket
    }

    /// What another S3 client finds its credentials and region by.
    pub fn environment(&self) -> [(&str, &str); 3] {
        [
            ("AWS_ACCESS_KEY_ID", &self.access_key),
            ("AWS_SECRET_ACCESS_KEY", &self.secret_key),
            ("AWS_REGION", &self.region),
        ]
    }

    /// The anchor: a client that does nothing but ask.
    pub fn raw(&self) -> anyhow::Result<RawStore> {
        RawStore::new(
            &self.endpoint,
            &self.bucket,
            &self.region,
            &self.access_key,
            &self.secret_key,
        )
    }
}
