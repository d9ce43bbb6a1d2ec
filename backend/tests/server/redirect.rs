//! NARs fetched from the bucket by the client itself.

use snowbank::bucket::embedded::{EmbeddedConfig, EmbeddedS3};
use snowbank::bucket::{CredentialSource, Credentials, PutOptions};
use snowbank::config::{Misses, NarDelivery, Source};
use snowbank_shared::api::Visibility;

use crate::harness::{Shelf, TestServer, header};

/// A server on a bucket of an S3 server that stands beside it.
async fn beside(visibility: Visibility) -> (EmbeddedS3, tempfile::TempDir, TestServer) {
    let dir = tempfile::tempdir().expect("a folder");
    let shelf = Shelf::new(dir.path().join("bucket"));
    shelf.put("base-1.0", &[]);
    let s3 = EmbeddedS3::start(EmbeddedConfig::new().bucket("team", &shelf.folder))
        .await
        .expect("an S3 server");
    let credentials = CredentialSource::Static {
        access_key_id: s3.credentials().access_key.clone(),
        secret_access_key: s3.credentials().secret_key.clone(),
        session_token: None,
    };
    let endpoint = s3.endpoint();
    let server = TestServer::start(
        |_| {},
        |config| {
            config.caches[0].source = Source::Bucket {
                bucket: "team".into(),
                prefix: String::new(),
                endpoint: Some(endpoint),
                region: Some("us-east-1".into()),
                path_style: Some(true),
                credentials: Credentials {
                    read: credentials,
                    ..Credentials::default()
                },
            };
            config.caches[0].misses = Misses::Bucket;
            config.caches[0].nar = NarDelivery::Redirect;
            config.caches[0].visibility = visibility;
        },
    )
    .await;
    (s3, dir, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_is_sent_to_the_bucket_with_a_url_that_works_without_credentials() {
    let (s3, _dir, server) = beside(Visibility::Public).await;
    let base = server.shelf().make("base-1.0", &[], true);
    let path = format!("/main/{}", base.url);
    let response = server.get(&path).await;
    assert_eq!(response.status(), 307);
    assert_eq!(
        header(&response, "cache-control"),
        "private, no-store",
        "the URL is a secret of short life"
    );
    let location = header(&response, "location").to_owned();
    assert!(
        location.starts_with(&s3.endpoint()) && location.contains("X-Amz-Signature="),
        "{location}"
    );
    let expires: u64 = location
        .split("X-Amz-Expires=")
        .nth(1)
        .and_then(|rest| rest.split('&').next())
        .and_then(|seconds| seconds.parse().ok())
        .expect("an expiry");
    assert!((1..=900).contains(&expires), "{expires}");
    let part = server
        .client
        .get(&location)
        .header("range", "bytes=10-")
        .send()
        .await
        .expect("an answer");
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.expect("bytes"), &base.nar[10..]);
    // What is asked with HEAD is answered here, and what no narinfo names is not redirected.
    assert_eq!(server.head(&path).await.status(), 200);
    assert_eq!(server.get("/main/nar/other.nar").await.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_with_an_encoding_is_sent_by_the_server_itself() {
    let (_s3, _dir, server) = beside(Visibility::Public).await;
    let base = server.shelf().make("base-1.0", &[], true);
    let bucket = &server.server.site().cache("main").expect("main").bucket;
    let stored = zstd::encode_all(&base.nar[..], 3).expect("zstd");
    let options = PutOptions {
        content_encoding: Some("zstd".into()),
        ..PutOptions::default()
    };
    bucket
        .put(&base.url, stored.into(), &options)
        .await
        .expect("put");
    let response = server.get(&format!("/main/{}", base.url)).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.bytes().await.expect("bytes"), base.nar);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_get_no_url_of_a_private_bucket() {
    let (_s3, _dir, server) = beside(Visibility::Private).await;
    let base = server.shelf().make("base-1.0", &[], true);
    let response = server.get(&format!("/main/{}", base.url)).await;
    assert_eq!(response.status(), 401);
    assert!(response.headers().get("location").is_none());
}
