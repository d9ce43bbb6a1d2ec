//! Objects: PUT, GET, HEAD, copy, DELETE, with ranges, conditions and checksums.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};

use crate::store::{element, header, refusal, store};

#[tokio::test]
async fn what_is_put_comes_back_and_is_a_plain_file() {
    let store = store().await;
    let response = store
        .request(Method::PUT, "/nar/x%20y.nar.xz")
        .header("content-encoding", "aws-chunked,zstd")
        .header("cache-control", "max-age=60")
        .header("content-disposition", "attachment")
        .header("x-amz-meta-who", "me")
        .body("bytes")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let etag = header(&response, "etag").unwrap();
    assert_eq!(
        std::fs::read(store.folder().join("nar/x y.nar.xz")).unwrap(),
        b"bytes"
    );

    let got = store.get("/nar/x%20y.nar.xz").await;
    for (name, expected) in [
        ("content-type", "application/x-nix-nar"),
        ("content-encoding", "zstd"),
        ("cache-control", "max-age=60"),
        ("content-disposition", "attachment"),
        ("x-amz-meta-who", "me"),
        ("content-length", "5"),
        ("accept-ranges", "bytes"),
        ("etag", etag.as_str()),
    ] {
        assert_eq!(header(&got, name).as_deref(), Some(expected), "{name}");
    }
    assert!(header(&got, "last-modified").is_some());
    assert_eq!(got.text().await.unwrap(), "bytes");

    let head = store
        .request(Method::HEAD, "/nar/x%20y.nar.xz")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (head.status(), header(&head, "content-length").as_deref()),
        (StatusCode::OK, Some("5"))
    );
    assert_eq!(header(&head, "etag"), Some(etag));

    for _ in 0..2 {
        let deleted = store
            .request(Method::DELETE, "/nar/x%20y.nar.xz")
            .send()
            .await
            .unwrap();
        assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    }
    assert_eq!(
        refusal(store.get("/nar/x%20y.nar.xz").await).await,
        (404, "NoSuchKey".into())
    );
    assert_eq!(
        store
            .request(Method::HEAD, "/nar/x%20y.nar.xz")
            .send()
            .await
            .unwrap()
            .status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        refusal(
            store
                .http
                .get(format!(
                    "{}/other/x",
                    store.server.external_endpoint().unwrap()
                ))
                .send()
                .await
                .unwrap()
        )
        .await,
        (404, "NoSuchBucket".into())
    );
}

#[tokio::test]
async fn a_folder_that_others_wrote_is_adopted_as_it_lies() {
    let store = store().await;
    std::fs::write(
        store.folder().join("nix-cache-info"),
        "StoreDir: /nix/store\n",
    )
    .unwrap();
    std::fs::create_dir(store.folder().join("nar")).unwrap();
    std::fs::write(store.folder().join("nar/a.nar"), "one").unwrap();
    let got = store.get("/nix-cache-info").await;
    assert_eq!(
        header(&got, "content-type").as_deref(),
        Some("text/x-nix-cache-info")
    );
    let listing = store.get("?list-type=2").await.text().await.unwrap();
    assert!(
        listing.contains("<Key>nar/a.nar</Key>") && listing.contains("<Key>nix-cache-info</Key>"),
        "{listing}"
    );

    let before = header(&store.get("/nar/a.nar").await, "etag");
    std::fs::write(store.folder().join("nar/a.nar"), "two").unwrap();
    let after = store.get("/nar/a.nar").await;
    assert_ne!(
        header(&after, "etag"),
        before,
        "a rewrite in place is another version"
    );
    assert_eq!(after.text().await.unwrap(), "two");
    std::fs::write(store.folder().join("nar/b.nar"), "new").unwrap();
    assert!(
        store
            .get("?list-type=2&prefix=nar/")
            .await
            .text()
            .await
            .unwrap()
            .contains("<Key>nar/b.nar</Key>")
    );
}

#[tokio::test]
async fn headers_that_others_made_stale_are_not_used() {
    let store = store().await;
    store
        .request(Method::PUT, "/a.narinfo")
        .header("content-encoding", "zstd")
        .body("x")
        .send()
        .await
        .unwrap();
    assert_eq!(
        header(&store.get("/a.narinfo").await, "content-encoding").as_deref(),
        Some("zstd")
    );
    std::fs::write(store.folder().join("a.narinfo"), "plain").unwrap();
    assert_eq!(
        header(&store.get("/a.narinfo").await, "content-encoding"),
        None
    );
}

#[tokio::test]
async fn ranges() {
    let store = store().await;
    store.stored("/ten", "0123456789").await;
    store.stored("/none", "").await;
    let etag = header(&store.get("/ten").await, "etag").unwrap();
    for (range, status, body, content_range) in [
        ("bytes=0-3", 206, "0123", Some("bytes 0-3/10")),
        ("bytes=3-", 206, "3456789", Some("bytes 3-9/10")),
        ("bytes=-3", 206, "789", Some("bytes 7-9/10")),
        ("bytes=-30", 206, "0123456789", Some("bytes 0-9/10")),
        ("bytes=8-100", 206, "89", Some("bytes 8-9/10")),
        ("bytes=9-9", 206, "9", Some("bytes 9-9/10")),
    ] {
        let got = store
            .request(Method::GET, "/ten")
            .header("range", range)
            .send()
            .await
            .unwrap();
        assert_eq!(got.status().as_u16(), status, "{range}");
        assert_eq!(
            header(&got, "content-range").as_deref(),
            content_range,
            "{range}"
        );
        assert_eq!(header(&got, "content-length"), Some(body.len().to_string()));
        assert_eq!(got.text().await.unwrap(), body, "{range}");
    }
    for (path, range) in [
        ("/ten", "bytes=10-"),
        ("/ten", "bytes=-0"),
        ("/none", "bytes=0-"),
    ] {
        let got = store
            .request(Method::GET, path)
            .header("range", range)
            .send()
            .await
            .unwrap();
        let size = if path == "/ten" { 10 } else { 0 };
        assert_eq!(
            header(&got, "content-range"),
            Some(format!("bytes */{size}")),
            "{path} {range}"
        );
        assert_eq!(refusal(got).await, (416, "InvalidRange".into()));
    }
    let head = store
        .request(Method::HEAD, "/ten")
        .header("range", "bytes=2-3")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            head.status().as_u16(),
            header(&head, "content-length").as_deref()
        ),
        (206, Some("2"))
    );
    for (if_range, status) in [(etag.as_str(), 206), ("\"other\"", 200)] {
        let got = store
            .request(Method::GET, "/ten")
            .header("range", "bytes=1-2")
            .header("if-range", if_range)
            .send()
            .await
            .unwrap();
        assert_eq!(got.status().as_u16(), status, "{if_range}");
    }
}

#[tokio::test]
async fn large_objects_stream_exactly() {
    let store = store().await;
    let bytes: Vec<u8> = (0..3_000_017_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    store.stored("/nar/large.nar", bytes.clone()).await;
    assert!(store.get("/nar/large.nar").await.bytes().await.unwrap() == bytes);
    for (first, last) in [
        (0, 70_000),
        (262_143, 262_145),
        (1_000_000, 2_999_999),
        (2_999_999, 3_000_016),
    ] {
        let range = format!("bytes={first}-{last}");
        let got = store
            .request(Method::GET, "/nar/large.nar")
            .header("range", range)
            .send()
            .await
            .unwrap();
        assert!(
            got.bytes().await.unwrap() == bytes[first..=last],
            "{first}-{last}"
        );
    }
    assert_eq!(store.temporaries(), 0);
}

#[tokio::test]
async fn a_slow_reader_gets_one_version_whole() {
    let store = store().await;
    let old = vec![b'o'; 8 << 20];
    store.stored("/large", old.clone()).await;
    let mut reading = store.get("/large").await;
    let mut seen = reading.chunk().await.unwrap().unwrap().to_vec();
    store.stored("/large", vec![b'n'; 8 << 20]).await;
    while let Some(chunk) = reading.chunk().await.unwrap() {
        seen.extend_from_slice(&chunk);
    }
    assert!(seen == old);
}

#[tokio::test]
async fn a_file_that_shrinks_while_it_is_read_is_no_whole_answer() {
    let store = store().await;
    store.stored("/large", vec![b'o'; 32 << 20]).await;
    let mut reading = store.get("/large").await;
    reading.chunk().await.unwrap();
    std::fs::File::options()
        .write(true)
        .open(store.folder().join("large"))
        .unwrap()
        .set_len(10)
        .unwrap();
    let rest = async {
        while let Some(chunk) = reading.chunk().await? {
            drop(chunk);
        }
        Ok::<(), reqwest::Error>(())
    };
    assert!(rest.await.is_err(), "the answer must not look complete");
}

#[tokio::test]
async fn conditional_reads() {
    let store = store().await;
    let etag = store.stored("/a", "x").await;
    let modified = header(&store.get("/a").await, "last-modified").unwrap();
    let early = "Sun, 09 Sep 2001 01:46:40 GMT";
    for (name, value, status) in [
        ("if-none-match", etag.as_str(), 304),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"other\"", 200),
        ("if-match", etag.as_str(), 200),
        ("if-match", "\"other\"", 412),
        ("if-modified-since", modified.as_str(), 304),
        ("if-modified-since", early, 200),
        ("if-unmodified-since", modified.as_str(), 200),
        ("if-unmodified-since", early, 412),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let got = store
                .request(method.clone(), "/a")
                .header(name, value)
                .send()
                .await
                .unwrap();
            assert_eq!(got.status().as_u16(), status, "{method} {name}: {value}");
            if status == 304 {
                assert_eq!(header(&got, "etag").as_ref(), Some(&etag));
            }
        }
    }
}

#[tokio::test]
async fn exactly_one_conditional_put_wins() {
    let store = store().await;
    let base = store.stored("/match", "base").await;
    let puts = (0..12).map(|n| {
        let (created, changed) = (
            store.request(Method::PUT, "/absent"),
            store.request(Method::PUT, "/match"),
        );
        let base = base.clone();
        async move {
            let created = created
                .header("if-none-match", "*")
                .body(n.to_string())
                .send()
                .await
                .unwrap()
                .status()
                .as_u16();
            let changed = changed
                .header("if-match", base)
                .body(n.to_string())
                .send()
                .await
                .unwrap()
                .status()
                .as_u16();
            (created, changed)
        }
    });
    let mut counts: BTreeMap<u16, (usize, usize)> = BTreeMap::new();
    for (created, changed) in futures_util::future::join_all(puts).await {
        counts.entry(created).or_default().0 += 1;
        counts.entry(changed).or_default().1 += 1;
    }
    assert_eq!(counts, BTreeMap::from([(200, (1, 1)), (412, (11, 11))]));
    let response = store
        .request(Method::PUT, "/nothing")
        .header("if-match", "\"x\"")
        .body("y")
        .send()
        .await
        .unwrap();
    assert_eq!(refusal(response).await, (404, "NoSuchKey".into()));
    let current = header(&store.get("/match").await, "etag").unwrap();
    let stale = store
        .request(Method::DELETE, "/match")
        .header("if-match", &base)
        .send()
        .await
        .unwrap();
    assert_eq!(stale.status(), StatusCode::PRECONDITION_FAILED);
    let fresh = store
        .request(Method::DELETE, "/match")
        .header("if-match", &current)
        .send()
        .await
        .unwrap();
    assert_eq!(fresh.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn copies() {
    let store = store().await;
    let put = store
        .request(Method::PUT, "/a.narinfo")
        .header("x-amz-meta-a", "1")
        .header("content-encoding", "br");
    put.body("text").send().await.unwrap();
    let copy = |from: &str, to: &str| {
        store
            .request(Method::PUT, to)
            .header("x-amz-copy-source", from)
    };
    let response = copy("/main/a.narinfo", "/deep/b.txt").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(element(&response.text().await.unwrap(), "ETag").is_some());
    let got = store.get("/deep/b.txt").await;
    for (name, value) in [
        ("content-type", "text/x-nix-narinfo"),
        ("content-encoding", "br"),
        ("x-amz-meta-a", "1"),
    ] {
        assert_eq!(header(&got, name).as_deref(), Some(value), "{name}");
    }
    let replaced =
        copy("main/a.narinfo", "/a.narinfo").header("x-amz-metadata-directive", "REPLACE");
    assert_eq!(
        replaced
            .header("content-type", "text/plain")
            .send()
            .await
            .unwrap()
            .status(),
        StatusCode::OK
    );
    let got = store.get("/a.narinfo").await;
    assert_eq!(
        (
            header(&got, "content-type").as_deref(),
            header(&got, "content-encoding")
        ),
        (Some("text/plain"), None)
    );
    assert_eq!(got.text().await.unwrap(), "text");
    assert_eq!(
        refusal(copy("/main/a.narinfo", "/a.narinfo").send().await.unwrap()).await,
        (400, "InvalidRequest".into())
    );
    assert_eq!(
        refusal(copy("/main/none", "/x").send().await.unwrap()).await,
        (404, "NoSuchKey".into())
    );
    let conditional = copy("/main/a.narinfo", "/x")
        .header("x-amz-copy-source-if-match", "\"other\"")
        .send()
        .await
        .unwrap();
    assert_eq!(
        refusal(conditional).await,
        (412, "PreconditionFailed".into())
    );
    assert_eq!(
        refusal(copy("/main/.snowbank/token", "/x").send().await.unwrap()).await,
        (403, "AccessDenied".into())
    );
}

#[tokio::test]
async fn many_are_deleted_at_once() {
    let store = store().await;
    for key in ["/a", "/deep/b", "/deep/c"] {
        store.stored(key, "x").await;
    }
    let body = "<Delete><Object><Key>a</Key></Object><Object><Key>deep/b</Key></Object><Object><Key>none</Key></Object>\
                <Object><Key>../x</Key></Object><Object><Key>.snowbank/x</Key></Object></Delete>";
    let response = store
        .request(Method::POST, "?delete=")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let text = response.text().await.unwrap();
    assert_eq!(text.matches("<Deleted>").count(), 3, "{text}");
    assert!(
        text.contains("<Code>InvalidArgument</Code>") && text.contains("<Code>AccessDenied</Code>"),
        "{text}"
    );
    let listing = store.get("?list-type=2").await.text().await.unwrap();
    assert_eq!(
        crate::store::elements(&listing, "Key").collect::<Vec<_>>(),
        ["deep/c"]
    );
}
