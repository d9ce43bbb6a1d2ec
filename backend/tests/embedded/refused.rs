//! Puts that do not become objects, and keys that a folder cannot hold.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};

use crate::store::{element, header, raw, raw_and_end, refusal, store};

#[tokio::test]
async fn bodies_that_do_not_match_their_checksum_are_refused() {
    let store = store().await;
    let wrong = STANDARD.encode([7; 16]);
    for size in [5, 3 << 20] {
        let body = vec![b'x'; size];
        for (name, value, status, code) in [
            ("content-md5", wrong.as_str(), 400, "BadDigest"),
            ("content-md5", "nonsense", 400, "InvalidDigest"),
            ("x-amz-checksum-crc32", "AAAAAA==", 400, "BadDigest"),
            ("x-amz-checksum-crc32c", "AAAAAA==", 400, "BadDigest"),
            ("x-amz-checksum-sha256", "AAAA", 400, "BadDigest"),
            ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=", 400, "BadDigest"),
        ] {
            let response = store
                .request(Method::PUT, "/a")
                .header(name, value)
                .body(body.clone())
                .send()
                .await
                .unwrap();
            assert_eq!(
                refusal(response).await,
                (status, code.to_owned()),
                "{size} {name}"
            );
        }
        assert_eq!(store.get("/a").await.status(), StatusCode::NOT_FOUND);
    }
    assert_eq!(store.temporaries(), 0);
    let response = store
        .request(Method::PUT, "/a")
        .header("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")
        .body("hello")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let response = store
        .request(Method::PUT, "/b")
        .header("x-amz-checksum-crc32", "NhCmhg==")
        .body("hello")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            response.status(),
            header(&response, "x-amz-checksum-crc32").as_deref()
        ),
        (StatusCode::OK, Some("NhCmhg=="))
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_object() {
    let store = store().await;
    let endpoint = store.server.external_endpoint().unwrap();
    let host = endpoint.strip_prefix("http://").unwrap();
    for size in [10, 3_000_000] {
        let mut request = format!(
            "PUT /main/half HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n",
            size + 1
        )
        .into_bytes();
        request.extend(std::iter::repeat_n(b'x', size));
        let answer = tokio::task::spawn_blocking({
            let endpoint = endpoint.clone();
            move || raw_and_end(&endpoint, &request)
        });
        let answer = answer.await.unwrap();
        assert!(!answer.contains("200 OK"), "{answer}");
        assert_eq!(store.get("/half").await.status(), StatusCode::NOT_FOUND);
    }
    assert_eq!(store.temporaries(), 0);
}

#[tokio::test]
async fn keys_that_a_folder_cannot_hold_are_refused() {
    let store = store().await;
    store.stored("/file", "x").await;
    store.stored("/dir/file", "x").await;
    let endpoint = store.server.external_endpoint().unwrap();
    let long = "x".repeat(256);
    let longer = "abc/".repeat(257);
    for path in [
        "a//b",
        "/a",
        "a/",
        "a/../b",
        "../main/b",
        ".",
        "a/./b",
        "a%00b",
        ".s3/lock",
        ".s3/tmp/1",
        "%ff",
        &long,
        &longer,
        "file/below",
        "dir",
    ] {
        let request = format!(
            "PUT /main/{path} HTTP/1.1\r\nHost: {}\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
            endpoint.strip_prefix("http://").unwrap()
        );
        let endpoint = endpoint.clone();
        let answer = tokio::task::spawn_blocking(move || raw(&endpoint, request.as_bytes()))
            .await
            .unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
        assert!(element(&answer, "Code").is_some(), "{path}: {answer}");
    }
    assert_eq!(
        refusal(store.get("/.s3/lock").await).await,
        (400, "InvalidArgument".into())
    );
    // What is no object cannot be read, and nothing happened to what is there.
    assert_eq!(
        store.get("/file/below").await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(store.get("/dir").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(store.get("/dir/file").await.text().await.unwrap(), "x");
    assert_eq!(
        store
            .request(Method::DELETE, "/dir")
            .send()
            .await
            .unwrap()
            .status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(store.get("/dir/file").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn links_that_lead_outside_are_not_served() {
    let store = store().await;
    std::fs::write(store.dir.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret", store.folder().join("link")).unwrap();
    std::os::unix::fs::symlink("..", store.folder().join("up")).unwrap();
    for path in ["/link", "/up/secret", "/up/main/.s3/lock"] {
        assert_eq!(
            store.get(path).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    assert_eq!(
        store.put("/up/planted", "x").await.status(),
        StatusCode::BAD_REQUEST
    );
    assert!(!store.dir.path().join("planted").exists());
    assert!(
        !store
            .get("?list-type=2")
            .await
            .text()
            .await
            .unwrap()
            .contains("link")
    );
    // A put replaces the link, not what it leads to.
    store.stored("/link", "new").await;
    assert_eq!(
        std::fs::read_to_string(store.dir.path().join("secret")).unwrap(),
        "secret"
    );
}
