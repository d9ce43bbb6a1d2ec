//! S3 in trouble: the server says what is wrong, keeps what it knows, and gets well by itself.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::StatusCode;
use serde_json::Value;
use snowbank_tests::browser::Browser;
use snowbank_tests::folder;
use snowbank_tests::server::{Server, Setup};
use snowbank_tests::trouble::Proxy;
use tempfile::TempDir;

use crate::crash;

/// A bucket of `paths` narinfos in one server's embedded S3, and a proxy before it.
pub(crate) struct Bucket {
    /// The proxy.
    pub(crate) proxy: Proxy,
    /// The folder below.
    pub(crate) home: TempDir,
    // Kept for its S3.
    _s3: Server,
}

impl Bucket {
    pub(crate) async fn with(paths: u32) -> anyhow::Result<Self> {
        let home = tempfile::tempdir()?;
        crash::fill(&home.path().join("bucket"), paths)?;
        let s3 = Setup::new()
            .s3()
            .line("s3_anonymous = true")
            .folder("store", &home.path().join("bucket"), &[])
            .start()
            .await?;
        let proxy = Proxy::start(s3.s3.as_deref().context("no S3 address was printed")?).await?;
        Ok(Self {
            proxy,
            home,
            _s3: s3,
        })
    }

    /// A server that has this bucket as its cache `team`.
    pub(crate) fn setup(&self) -> Setup {
        Setup::new().cache(
            "team",
            &[
                "bucket = \"store\"".to_owned(),
                format!("endpoint = {:?}", self.proxy.endpoint),
                "region = \"us-east-1\"".to_owned(),
                "credentials.read.anonymous = true".to_owned(),
                "sweep = \"1s\"".to_owned(),
            ],
        )
    }
}

async fn cache_where(
    server: &Server,
    what: &str,
    is: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    server
        .eventually(Duration::from_secs(90), what, async || {
            let cache = server.json("/api/v1/caches/team").await?;
            Ok(is(&cache).then_some(cache))
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_listing_names_the_permission_that_lacks_and_heals() -> anyhow::Result<()> {
    let bucket = Bucket::with(20).await?;
    bucket
        .proxy
        .trouble
        .refuse_lists
        .store(true, Ordering::SeqCst);
    let server = bucket.setup().start().await?;
    let cache = cache_where(&server, "the failure", |cache| {
        cache["index"]["state"] == "failed"
    })
    .await?;
    let error = cache["index"]["error"].as_str().unwrap_or_default();
    ensure!(error.contains("s3:ListBucket"), "the error says {error:?}");
    ensure!(
        cache["index"]["as_of"].is_null() && cache["paths"] == 0,
        "nothing is known: {cache}"
    );
    if let Some(browser) = Browser::start(&server.origin).await? {
        for page in ["/", "/c/team"] {
            browser.open(page).await?;
            browser.shows("s3:ListBucket").await?;
        }
        browser.finish().await?;
    }
    // Single paths are still found by asking for them.
    let name = folder::narinfos(&bucket.home.path().join("bucket"))?
        .into_keys()
        .next()
        .context("no narinfo")?;
    ensure!(
        server.status(&format!("/team/{name}")).await? == StatusCode::OK,
        "{name} is in the bucket"
    );
    bucket
        .proxy
        .trouble
        .refuse_lists
        .store(false, Ordering::SeqCst);
    cache_where(&server, "the recovery", |cache| {
        cache["paths"] == 20 && cache["index"]["error"].is_null()
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_stays_while_s3_is_down_or_cuts_its_answers() -> anyhow::Result<()> {
    let bucket = Bucket::with(30).await?;
    let server = bucket.setup().start().await?;
    cache_where(&server, "the first index", |cache| {
        cache["paths"] == 30 && cache["index"]["state"] == "ready"
    })
    .await?;
    let name = folder::narinfos(&bucket.home.path().join("bucket"))?
        .into_keys()
        .next()
        .context("no narinfo")?;
    let trouble = &bucket.proxy.trouble;
    for (what, switch) in [
        ("503", &trouble.slow_down),
        ("a cut listing", &trouble.cut_lists),
        ("refused lists", &trouble.refuse_lists),
    ] {
        switch.store(true, Ordering::SeqCst);
        cache_where(&server, &format!("{what} noticed"), |cache| {
            cache["index"]["error"].is_string()
        })
        .await?;
        let cache = server.json("/api/v1/caches/team").await?;
        ensure!(
            cache["paths"] == 30,
            "{what}: {} paths are left",
            cache["paths"]
        );
        ensure!(
            server.status(&format!("/team/{name}")).await? == StatusCode::OK,
            "{what}: {name} is known"
        );
        switch.store(false, Ordering::SeqCst);
        cache_where(&server, &format!("recovery from {what}"), |cache| {
            cache["index"]["error"].is_null()
        })
        .await?;
    }
    ensure!(
        trouble.writes.load(Ordering::SeqCst) == 0,
        "the server wrote into the bucket"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_vanish_or_arrive_cut_lose_nothing_else() -> anyhow::Result<()> {
    let bucket = Bucket::with(40).await?;
    let names: Vec<String> = folder::narinfos(&bucket.home.path().join("bucket"))?
        .into_keys()
        .collect();
    let trouble = &bucket.proxy.trouble;
    trouble
        .vanished
        .lock()
        .expect("no panic")
        .insert(names[7].clone());
    trouble.cut_objects.store(true, Ordering::SeqCst);
    let server = bucket.setup().start().await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    trouble.cut_objects.store(false, Ordering::SeqCst);
    let cache = cache_where(&server, "39 paths", |cache| cache["paths"] == 39).await?;
    let unreadable = server
        .items("/api/v1/caches/team/health?check=bad-narinfo")
        .await?;
    ensure!(
        unreadable.is_empty(),
        "a body that was cut on its way is no bad narinfo: {unreadable:?}"
    );
    ensure!(cache["index"]["state"] != "failed", "{cache}");
    trouble.vanished.lock().expect("no panic").clear();
    cache_where(&server, "the one that came back", |cache| {
        cache["paths"] == 40
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_never_answers_leaves_the_server_answering() -> anyhow::Result<()> {
    let bucket = Bucket::with(5).await?;
    bucket.proxy.trouble.stall.store(true, Ordering::SeqCst);
    let server = bucket.setup().start().await?;
    for path in [
        "/healthz",
        "/api/v1/caches",
        "/api/v1/caches/team",
        "/c/team",
        "/team/nix-cache-info",
    ] {
        let answer = tokio::time::timeout(Duration::from_secs(5), server.status(path))
            .await
            .with_context(|| format!("{path} hangs"))??;
        ensure!(answer == StatusCode::OK, "{path}: {answer}");
    }
    Ok(())
}
