//! Who may do what, and what keeps a server from starting.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::presigning::PresigningConfig;
use reqwest::{Method, StatusCode};
use snowbank::bucket::embedded::access::Anonymous;
use snowbank::bucket::embedded::{EmbeddedConfig, EmbeddedError, EmbeddedS3, ListenerConfig};

use crate::store::{refusal, sdk, store};

#[tokio::test]
async fn the_inner_address_wants_the_right_signature() {
    let store = store().await;
    let inner = store.server.endpoint();
    let unsigned = store
        .http
        .get(format!("{inner}/main?list-type=2"))
        .send()
        .await
        .unwrap();
    assert_eq!(refusal(unsigned).await, (403, "AccessDenied".into()));
    let credentials = store.server.credentials();
    let wrong = sdk(&inner, &credentials.access_key, "wrong")
        .list_objects_v2()
        .bucket("main")
        .send()
        .await;
    assert_eq!(wrong.unwrap_err().code(), Some("SignatureDoesNotMatch"));
    let unknown = sdk(&inner, "NOBODY", &credentials.secret_key)
        .list_objects_v2()
        .bucket("main")
        .send()
        .await;
    assert_eq!(unknown.unwrap_err().code(), Some("InvalidAccessKeyId"));
    // A signed body that was changed on the way.
    let sdk = store.sdk();
    let odd_key = "realisations/sha256:ab!out +&=ü.doi";
    sdk.put_object()
        .bucket("main")
        .key(odd_key)
        .body(b"x".to_vec().into())
        .send()
        .await
        .unwrap();
    let got = sdk
        .get_object()
        .bucket("main")
        .key(odd_key)
        .send()
        .await
        .unwrap();
    assert_eq!(
        got.body.collect().await.unwrap().into_bytes().as_ref(),
        b"x"
    );
}

#[tokio::test]
async fn presigned_urls_work_until_they_expire() {
    let store = store().await;
    store.stored("/a b", "x").await;
    let sign = |start: SystemTime| {
        let config = PresigningConfig::builder()
            .start_time(start)
            .expires_in(Duration::from_secs(60))
            .build()
            .unwrap();
        store
            .sdk()
            .get_object()
            .bucket("main")
            .key("a b")
            .presigned(config)
    };
    let fresh = sign(SystemTime::now()).await.unwrap();
    assert_eq!(
        store
            .http
            .get(fresh.uri())
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
        "x"
    );
    let old = sign(SystemTime::now() - Duration::from_secs(120))
        .await
        .unwrap();
    assert_eq!(
        refusal(store.http.get(old.uri()).send().await.unwrap()).await,
        (403, "AccessDenied".into())
    );
    let changed = fresh.uri().replace("a%20b", "a%20c");
    assert_eq!(
        refusal(store.http.get(changed).send().await.unwrap()).await,
        (403, "SignatureDoesNotMatch".into())
    );
}

#[tokio::test]
async fn web_pages_cannot_use_the_unsigned_address() {
    let store = store().await;
    store.stored("/a", "x").await;
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("host", "evil.example"),
    ] {
        let response = store
            .request(Method::GET, "/a")
            .header(name, value)
            .send()
            .await
            .unwrap();
        assert_eq!(
            refusal(response).await,
            (403, "AccessDenied".into()),
            "{name}"
        );
    }
    let form = "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nplanted\r\n--b\r\n\
                Content-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nx\r\n--b--\r\n";
    let response = store
        .request(Method::POST, "")
        .header("content-type", "multipart/form-data; boundary=b")
        .body(form);
    assert!(response.send().await.unwrap().status().is_client_error());
    assert!(!store.folder().join("planted").exists());
}

#[tokio::test]
async fn read_only_for_the_unsigned() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a"), "x").unwrap();
    let external = ListenerConfig {
        anonymous: Anonymous::Read,
        ..ListenerConfig::default()
    };
    let config = EmbeddedConfig {
        external: Some(external),
        ..EmbeddedConfig::new()
    }
    .bucket("main", dir.path());
    let server = EmbeddedS3::start(config).await.unwrap();
    let url = format!("{}/main", server.external_endpoint().unwrap());
    let http = reqwest::Client::new();
    assert_eq!(
        http.get(format!("{url}/a")).send().await.unwrap().status(),
        StatusCode::OK
    );
    assert_eq!(
        http.head(format!("{url}/a")).send().await.unwrap().status(),
        StatusCode::OK
    );
    assert_eq!(
        http.get(format!("{url}?list-type=2"))
            .send()
            .await
            .unwrap()
            .status(),
        StatusCode::OK
    );
    for request in [
        http.put(format!("{url}/b")),
        http.delete(format!("{url}/a")),
        http.post(format!("{url}/b?uploads=")),
    ] {
        assert_eq!(
            refusal(request.send().await.unwrap()).await,
            (403, "AccessDenied".into())
        );
    }
    assert!(dir.path().join("a").exists());
}

#[tokio::test]
async fn what_keeps_it_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let open = ListenerConfig {
        listen: "0.0.0.0:0".parse().unwrap(),
        anonymous: Anonymous::Read,
        ..ListenerConfig::default()
    };
    let config = EmbeddedConfig {
        external: Some(open),
        ..EmbeddedConfig::new()
    }
    .bucket("main", dir.path());
    assert!(matches!(
        EmbeddedS3::start(config).await,
        Err(EmbeddedError::AnonymousNotLoopback(_))
    ));
    let config = EmbeddedConfig::new().bucket("Main_", dir.path());
    assert!(matches!(
        EmbeddedS3::start(config).await,
        Err(EmbeddedError::BucketName(_))
    ));
    let config = EmbeddedConfig::new()
        .bucket("main", dir.path())
        .bucket("inner", dir.path().join("inner"));
    assert!(matches!(
        EmbeddedS3::start(config).await,
        Err(EmbeddedError::Nested { .. })
    ));
    std::fs::write(dir.path().join("file"), "").unwrap();
    let config = EmbeddedConfig::new().bucket("main", dir.path().join("file"));
    assert!(matches!(
        EmbeddedS3::start(config).await,
        Err(EmbeddedError::Folder(_))
    ));

    let first = EmbeddedS3::start(EmbeddedConfig::new().bucket("main", dir.path()))
        .await
        .unwrap();
    let error = EmbeddedS3::start(EmbeddedConfig::new().bucket("main", dir.path()))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("in use by another server")
            && error.contains(&std::process::id().to_string()),
        "{error}"
    );
    let taken: ListenerConfig = ListenerConfig {
        listen: first.endpoint()["http://".len()..].parse().unwrap(),
        ..ListenerConfig::default()
    };
    let config = EmbeddedConfig {
        internal: taken,
        ..EmbeddedConfig::new()
    };
    assert!(matches!(
        EmbeddedS3::start(config).await,
        Err(EmbeddedError::Listen { .. })
    ));
    first.shutdown().await;
    drop(
        EmbeddedS3::start(EmbeddedConfig::new().bucket("main", dir.path()))
            .await
            .unwrap(),
    );
    EmbeddedS3::start(EmbeddedConfig::new().bucket("main", dir.path()))
        .await
        .unwrap()
        .shutdown()
        .await;
}

#[tokio::test]
async fn a_shutdown_lets_open_requests_finish() {
    let store = store().await;
    store.stored("/a", vec![b'x'; 4 << 20]).await;
    let mut reading = store.get("/a").await;
    let mut seen = reading.chunk().await.unwrap().unwrap().len();
    let stopping = tokio::spawn(store.server.shutdown());
    tokio::time::sleep(Duration::from_millis(100)).await;
    while let Some(chunk) = reading.chunk().await.unwrap() {
        seen += chunk.len();
    }
    assert_eq!(seen, 4 << 20);
    stopping.await.unwrap();
}
