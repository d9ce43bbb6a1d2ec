//! What Nix asks: `nix-cache-info`, narinfos, NARs with ranges, objects beside.

use snowbank::bucket::{Operation, PutOptions};

use crate::harness::{Shelf, TestServer, header};

async fn plain() -> TestServer {
    TestServer::start(
        |shelf| {
            let base = shelf.put("base-1.0", &[]);
            shelf.put("app-1.0", &[&base]);
        },
        |_| {},
    )
    .await
}

/// What every object has.
fn assert_object(response: &reqwest::Response, content_type: &str, cache_control: &str) {
    assert_eq!(header(response, "content-type"), content_type);
    assert_eq!(header(response, "cache-control"), cache_control);
    assert_eq!(header(response, "x-content-type-options"), "nosniff");
    assert_eq!(header(response, "content-security-policy"), "sandbox");
    assert_eq!(header(response, "x-request-id").len(), 17);
    assert!(response.headers().get("content-encoding").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_always_a_cache_info_with_a_number_as_its_priority() {
    let server = TestServer::start(
        |shelf| shelf.file("nix-cache-info", b"StoreDir: /gnu\nPriority: high\n"),
        |_| {},
    )
    .await;
    let response = server.get("/main/nix-cache-info").await;
    assert_eq!(response.status(), 200);
    assert_object(&response, "text/x-nix-cache-info", "public, max-age=60");
    assert_eq!(
        response.text().await.expect("text"),
        "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 50\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narinfo_comes_from_memory_byte_for_byte() {
    let server = plain().await;
    let app = server.shelf().make(
        "app-1.0",
        &[&server.shelf().make("base-1.0", &[], true)],
        true,
    );
    let before = server.sent(Operation::Get);
    let response = server.get(&format!("/main/{}.narinfo", app.hash)).await;
    assert_eq!(response.status(), 200);
    assert_object(&response, "text/x-nix-narinfo", "public, max-age=60");
    assert_eq!(
        header(&response, "content-length"),
        app.narinfo.len().to_string()
    );
    assert_eq!(response.text().await.expect("text"), app.narinfo);
    let head = server.head(&format!("/main/{}.narinfo", app.hash)).await;
    assert_eq!(
        (head.status().as_u16(), header(&head, "content-length")),
        (200, app.narinfo.len().to_string().as_str())
    );
    assert_eq!(
        server.sent(Operation::Get),
        before,
        "no request went to the bucket"
    );
    // An encoding that the client names is not used either: identity is right for every client.
    let response = server
        .get_with(
            &format!("/main/{}.narinfo", app.hash),
            &[("accept-encoding", "br, gzip, zstd, deflate")],
        )
        .await;
    assert_object(&response, "text/x-nix-narinfo", "public, max-age=60");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_404_and_asks_nobody() {
    let server = plain().await;
    let before = (server.sent(Operation::Get), server.sent(Operation::Head));
    for path in [
        "/main/00000000000000000000000000000000.narinfo",
        "/main/nar/0000.nar",
        "/main/x/y",
        "/main/.narinfo",
    ] {
        let response = server.get(path).await;
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(header(&response, "cache-control"), "public, max-age=5");
        let text = response.text().await.expect("text");
        assert!(
            text.ends_with('\n') && text.lines().count() == 1 && text.len() < 1024,
            "{text:?}"
        );
    }
    assert_eq!(
        (server.sent(Operation::Get), server.sent(Operation::Head)),
        before
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nar_is_streamed_whole_and_in_parts() {
    let server = plain().await;
    let base = server.shelf().make("base-1.0", &[], true);
    let path = format!("/main/{}", base.url);
    let size = base.nar.len();
    let whole = server.get(&path).await;
    assert_eq!(whole.status(), 200);
    assert_object(
        &whole,
        "application/x-nix-nar",
        "public, max-age=31536000, immutable",
    );
    assert_eq!(
        (
            header(&whole, "accept-ranges"),
            header(&whole, "content-length")
        ),
        ("bytes", size.to_string().as_str())
    );
    assert_eq!(whole.bytes().await.expect("bytes"), base.nar);

    let head = server.head(&path).await;
    assert_eq!(
        (head.status().as_u16(), header(&head, "content-length")),
        (200, size.to_string().as_str())
    );
    assert_eq!(header(&head, "accept-ranges"), "bytes");

    for (range, first, last) in [
        ("bytes=10-", 10, size - 1),
        ("bytes=0-0", 0, 0),
        ("bytes=-5", size - 5, size - 1),
        ("bytes=990-99999", 990, size - 1),
    ] {
        let part = server.get_with(&path, &[("range", range)]).await;
        assert_eq!(part.status(), 206, "{range}");
        assert_eq!(
            header(&part, "content-range"),
            format!("bytes {first}-{last}/{size}")
        );
        assert_eq!(
            header(&part, "content-length"),
            (last - first + 1).to_string()
        );
        assert_eq!(part.bytes().await.expect("bytes"), &base.nar[first..=last]);
    }
    for beyond in [
        format!("bytes={size}-"),
        "bytes=99999999999999999999-".to_owned(),
        "bytes=-0".to_owned(),
    ] {
        let none = server.get_with(&path, &[("range", &beyond)]).await;
        assert_eq!(none.status(), 416, "{beyond}");
        assert_eq!(header(&none, "content-range"), format!("bytes */{size}"));
    }
    for ignored in ["bytes=0-1,5-6", "lines=0-1", "bytes=9-2", "nonsense"] {
        let whole = server.get_with(&path, &[("range", ignored)]).await;
        assert_eq!(whole.status(), 200, "{ignored}");
    }
    let conditional = server
        .get_with(&path, &[("range", "bytes=10-"), ("if-range", "\"x\"")])
        .await;
    assert_eq!(
        conditional.status(),
        200,
        "another version than the client has is sent whole"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nar_that_no_narinfo_names_cannot_be_read() {
    let server = plain().await;
    server.shelf().file("nar/orphan.nar", b"x");
    server.shelf().file("secret.txt", b"x");
    server.shelf().file(".snowbank/members/x", b"x");
    for path in [
        "/main/nar/orphan.nar",
        "/main/secret.txt",
        "/main/.snowbank/members/x",
    ] {
        assert_eq!(server.get(path).await.status(), 404, "{path}");
        assert_eq!(server.head(path).await.status(), 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nar_that_is_gone_is_404() {
    let server = plain().await;
    let base = server.shelf().make("base-1.0", &[], true);
    std::fs::remove_file(server.shelf().folder.join(&base.url)).expect("removed");
    assert_eq!(
        server.get(&format!("/main/{}", base.url)).await.status(),
        404
    );
    assert_eq!(
        server.head(&format!("/main/{}", base.url)).await.status(),
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nar_stored_with_an_encoding_is_decoded() {
    let server = plain().await;
    let base = server.shelf().make("base-1.0", &[], true);
    let bucket = &server.server.site().cache("main").expect("main").bucket;
    for coding in ["zstd", "gzip", "br"] {
        let stored = encoded(coding, &base.nar);
        let options = PutOptions {
            content_encoding: Some(coding.into()),
            ..PutOptions::default()
        };
        bucket
            .put(&base.url, stored.into(), &options)
            .await
            .expect("put");
        for headers in [
            &[][..],
            &[("range", "bytes=10-")],
            &[("accept-encoding", coding)],
        ] {
            let response = server
                .get_with(&format!("/main/{}", base.url), headers)
                .await;
            assert_eq!(response.status(), 200, "{coding}");
            assert!(response.headers().get("content-encoding").is_none());
            assert!(
                response.headers().get("accept-ranges").is_none(),
                "a part of it cannot be had"
            );
            assert_eq!(response.bytes().await.expect("bytes"), base.nar);
        }
        assert_eq!(
            server.head(&format!("/main/{}", base.url)).await.status(),
            200
        );
    }
    let options = PutOptions {
        content_encoding: Some("aws-chunked".into()),
        ..PutOptions::default()
    };
    bucket
        .put(&base.url, base.nar.clone().into(), &options)
        .await
        .expect("put");
    let response = server.get(&format!("/main/{}", base.url)).await;
    assert!(response.headers().get("content-encoding").is_none());
    assert_eq!(response.bytes().await.expect("bytes"), base.nar);
}

fn encoded(coding: &str, bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    match coding {
        "zstd" => zstd::encode_all(bytes, 3).expect("zstd"),
        "gzip" => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).expect("gzip");
            encoder.finish().expect("gzip")
        }
        _ => {
            let mut out = Vec::new();
            brotli::BrotliCompress(&mut &bytes[..], &mut out, &Default::default()).expect("brotli");
            out
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_beside_have_their_types_and_are_decoded() {
    let server = plain().await;
    let base = server.shelf().make("base-1.0", &[], true);
    let bucket = &server.server.site().cache("main").expect("main").bucket;
    let listing = br#"{"version":1,"root":{"type":"directory","entries":{}}}"#;
    let trace = format!("realisations/sha256:{}!out.doi", "0".repeat(64));
    for (key, path, coding, content_type) in [
        (
            format!("{}.ls", base.hash),
            format!("{}.ls", base.hash),
            Some("br"),
            "application/json",
        ),
        (
            format!("{}.ls", base.hash),
            format!("{}.ls", base.hash),
            None,
            "application/json",
        ),
        (
            format!("log/{}-a?b+c=d.drv", base.hash),
            format!("log/{}-a%3Fb%2Bc%3Dd.drv", base.hash),
            Some("zstd"),
            "text/plain; charset=utf-8",
        ),
        (
            format!("log/{}-a.drv", base.hash),
            format!("log/{}-a.drv", base.hash),
            None,
            "text/plain; charset=utf-8",
        ),
        (
            "debuginfo/0262.debug".into(),
            "debuginfo/0262.debug".into(),
            None,
            "application/json",
        ),
        (
            trace.clone(),
            trace.replace('!', "%21").replace(':', "%3A"),
            Some("gzip"),
            "application/json",
        ),
        (
            format!("build-trace-v2/{}-x.drv/out.doi", base.hash),
            format!("build-trace-v2/{}-x.drv/out.doi", base.hash),
            None,
            "application/json",
        ),
    ] {
        let stored = coding.map_or_else(|| listing.to_vec(), |coding| encoded(coding, listing));
        let options = PutOptions {
            content_encoding: coding.map(str::to_owned),
            ..PutOptions::default()
        };
        bucket
            .put(&key, stored.into(), &options)
            .await
            .expect("put");
        let response = server.get(&format!("/main/{path}")).await;
        assert_eq!(response.status(), 200, "{path}");
        assert_object(&response, content_type, "public, max-age=60");
        assert_eq!(
            response.bytes().await.expect("bytes"),
            &listing[..],
            "{path}"
        );
        let head = server.head(&format!("/main/{path}")).await;
        assert_eq!(
            (head.status().as_u16(), header(&head, "content-type")),
            (200, content_type)
        );
    }
    assert_eq!(
        server
            .get(&format!("/main/log/{}-absent.drv", base.hash))
            .await
            .status(),
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_sent_is_refused_in_one_line() {
    let server = plain().await;
    for method in [
        reqwest::Method::PUT,
        reqwest::Method::POST,
        reqwest::Method::DELETE,
        reqwest::Method::PATCH,
    ] {
        for path in [
            "/main/nix-cache-info",
            "/main/nar/x.nar",
            "/main/00000000000000000000000000000000.narinfo",
        ] {
            let request = server
                .client
                .request(method.clone(), server.url(path))
                .body("x");
            let response = request.send().await.expect("an answer");
            if method == reqwest::Method::PUT {
                assert_eq!(response.status(), 401, "{path}");
                assert!(header(&response, "www-authenticate").starts_with("Basic "));
            } else {
                assert_eq!(response.status(), 405, "{method} {path}");
                assert_eq!(header(&response, "allow"), "GET, HEAD, PUT");
            }
            assert!(header(&response, "content-type").starts_with("text/plain"));
            let text = response.text().await.expect("text");
            assert!(text.lines().count() == 1 && text.len() < 1024, "{text:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_crash_a_client_is_404_and_can_still_be_looked_at() {
    let mut crashing = None;
    let server = TestServer::start(
        |shelf| {
            // A content address that does not give this path, and a signature beside it.
            let made = shelf.make("liar-1.0", &[], true);
            let text = format!("{}CA: fixed:r:sha256:{}\n", made.narinfo, "0".repeat(52));
            shelf.file(&format!("{}.narinfo", made.hash), text.as_bytes());
            crashing = Some((made.hash, text));
        },
        |_| {},
    )
    .await;
    let (hash, text) = crashing.expect("made");
    assert_eq!(
        server.get(&format!("/main/{hash}.narinfo")).await.status(),
        404
    );
    assert_eq!(
        server.head(&format!("/main/{hash}.narinfo")).await.status(),
        404
    );
    let raw = server
        .get(&format!("/api/v1/caches/main/paths/{hash}/raw"))
        .await;
    assert_eq!(
        (raw.status().as_u16(), raw.text().await.expect("text")),
        (200, text)
    );
    let detail = server
        .json(&format!("/api/v1/caches/main/paths/{hash}"))
        .await;
    assert!(detail["withheld"].is_string(), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_vouched_for_is_served_where_that_is_asked() {
    use snowbank::config::Serve;
    let fill = |shelf: &Shelf| {
        shelf.put("signed-1.0", &[]);
        shelf.write(&shelf.make("unsigned-1.0", &[], false));
    };
    for (serve, signed, unsigned) in [
        (Serve::All, 200, 200),
        (Serve::Signed, 200, 404),
        (Serve::Verified, 404, 404),
    ] {
        let server = TestServer::start(fill, |config| config.caches[0].serve = serve).await;
        let shelf = server.shelf();
        for (name, vouched, status) in [
            ("signed-1.0", true, signed),
            ("unsigned-1.0", false, unsigned),
        ] {
            let made = shelf.make(name, &[], vouched);
            let answered = server
                .get(&format!("/main/{}.narinfo", made.hash))
                .await
                .status();
            assert_eq!(answered, status, "{serve:?} {name}");
            let nar = server.get(&format!("/main/{}", made.url)).await.status();
            assert_eq!(nar, status, "{serve:?}: the archive of {name}");
        }
        server.server.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_shown_the_page_and_programs_the_lines() {
    let server = plain().await;
    for path in ["/main", "/main/"] {
        let page = server
            .get_with(path, &[("accept", "text/html,*/*;q=0.8")])
            .await;
        assert_eq!(
            (page.status().as_u16(), header(&page, "location")),
            (303, "/c/main")
        );
        let text = server.get(path).await;
        assert_eq!(
            (text.status().as_u16(), header(&text, "vary")),
            (200, "accept")
        );
        let text = text.text().await.expect("text");
        assert!(
            text.contains("extra-substituters = http://") && text.contains("test-1:"),
            "{text}"
        );
    }
}
