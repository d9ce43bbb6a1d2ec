//! Requests that no decent client sends.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::TestServer;

async fn server() -> TestServer {
    TestServer::start(
        |shelf| {
            shelf.put("base-1.0", &[]);
            shelf.file("../outside.narinfo", b"outside");
        },
        |_| {},
    )
    .await
}

/// Sends bytes as they are and reads what comes until the connection ends or is quiet.
async fn raw(server: &TestServer, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.server.addr)
        .await
        .expect("a connection");
    // A server that refuses early may close before all is sent.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let reading = async {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..length]);
            if answer.len() > 100_000 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(std::time::Duration::from_secs(5), reading).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_climb_reach_nothing() {
    let server = server().await;
    for path in [
        "/main/../outside.narinfo",
        "/main/%2e%2e/outside.narinfo",
        "/main/%2e%2e%2foutside.narinfo",
        "/main/..%5coutside.narinfo",
        "/main/nar/../../outside.narinfo",
        "/main/nar/%2e%2e/%2e%2e/outside.narinfo",
        "/main//etc/passwd",
        "/main/%00",
        "/main/nar/x%0d%0aSet-Cookie:%20a=b",
        "/main/.s3/meta/x",
        "/main/.snowbank/format.json",
        "/_app/../Cargo.toml",
        "/_app/%2e%2e/Cargo.toml",
        "/_app//etc/passwd",
        "/c/main/../../etc/passwd",
        "//main/nix-cache-info",
        "/api/v1/../v1/caches",
        "/api/v1/caches/..%2f..%2fetc",
    ] {
        let answer = raw(
            &server,
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes(),
        )
        .await;
        assert!(matches!(status(&answer), "404" | "400"), "{path}: {answer}");
        assert!(
            !answer.contains("outside") && !answer.to_lowercase().contains("\nset-cookie"),
            "{path}: {answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_counted_where_the_server_computes_and_nowhere_else() {
    let server = server().await;
    let ask = async |path: &str| server.get(path).await.status().as_u16();
    // More at once than the burst of what is counted.
    for _ in 0..150 {
        for path in [
            "/api/v1/about",
            "/api/v1/caches",
            "/api/v1/caches/main/keys",
            "/api/v1/me",
        ] {
            assert_eq!(ask(path).await, 200, "{path}");
        }
    }
    let mut last = 0;
    for _ in 0..3000 {
        let asking = ["/api/v1/caches/main/paths?q=base", "/api/v1/lookup?p=base"];
        let answers = futures_util::future::join_all(asking.map(ask)).await;
        last = answers[0];
        if last == 429 {
            break;
        }
    }
    assert_eq!(last, 429, "searching is slowed down");
    assert_eq!(ask("/api/v1/about").await, 200);
    assert_eq!(ask("/main/nix-cache-info").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused() {
    let server = server().await;
    let long = format!(
        "GET /main/{} HTTP/1.1\r\nhost: x\r\n\r\n",
        "a".repeat(30_000)
    );
    assert_eq!(status(&raw(&server, long.as_bytes()).await), "414");
    let huge = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "a".repeat(200_000)
    );
    // The connection may be reset before the answer is read, because the rest was not.
    assert!(matches!(
        status(&raw(&server, huge.as_bytes()).await),
        "431" | "none"
    ));
    let many = format!(
        "GET / HTTP/1.1\r\nhost: x\r\n{}\r\n",
        "x: y\r\n".repeat(500)
    );
    assert!(matches!(
        status(&raw(&server, many.as_bytes()).await),
        "431" | "none"
    ));
    let query = format!(
        "GET /api/v1/caches/main/paths?q={} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        "a".repeat(18_000)
    );
    assert_eq!(status(&raw(&server, query.as_bytes()).await), "400");
    let ranges = format!(
        "GET /main/nar/x HTTP/1.1\r\nhost: x\r\nrange: bytes={}0-1\r\nconnection: close\r\n\r\n",
        "0-1,".repeat(5000)
    );
    assert_eq!(status(&raw(&server, ranges.as_bytes()).await), "404");
    assert_eq!(server.get("/healthz").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_methods_and_broken_requests_do_no_harm() {
    let server = server().await;
    for method in ["TRACE", "OPTIONS", "PROPFIND", "MKCOL", "BREW", "get"] {
        for path in [
            "/",
            "/main/nix-cache-info",
            "/api/v1/caches",
            "/c/main/nix.conf",
            "/_app/x.js",
        ] {
            let request =
                format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            let answer = raw(&server, request.as_bytes()).await;
            assert_eq!(status(&answer), "405", "{method} {path}: {answer}");
        }
    }
    for broken in [
        "GET\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
        "GET / HTTP/1.1\r\nbad header\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}",
    ] {
        let answer = raw(&server, broken.as_bytes()).await;
        assert!(
            matches!(status(&answer), "400" | "none" | "505"),
            "{broken:?}: {answer}"
        );
    }
    // A proxy's form of the address, and one without any host.
    let absolute = raw(&server, b"GET http://evil.example/main/nix-cache-info HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n").await;
    assert!(
        status(&absolute) == "200" && !absolute.contains("evil"),
        "{absolute}"
    );
    let old = raw(&server, b"GET /main/nix-cache-info HTTP/1.0\r\n\r\n").await;
    assert_eq!(status(&old), "200");
    assert_eq!(server.get("/healthz").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_nobody_wants_is_not_read() {
    let server = server().await;
    // Announces a terabyte and waits to be told to go on: gets its answer instead.
    let request = b"PUT /main/nar/x.nar HTTP/1.1\r\nhost: x\r\ncontent-length: 1099511627776\r\nexpect: 100-continue\r\n\r\n";
    let answer = raw(&server, request).await;
    assert_eq!(status(&answer), "401", "{answer}");
    assert!(!answer.contains("100 Continue"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_reading_stops_the_bucket() {
    let mut url = String::new();
    let server = TestServer::start(
        |shelf| {
            let made = shelf.put("large-1.0", &[]);
            shelf.file(&made.url, &vec![7; 64 << 20]);
            url = made.url;
        },
        |_| {},
    )
    .await;
    let received = || {
        let site = server.server.site();
        site.cache("main")
            .expect("main")
            .bucket
            .counts()
            .received_bytes()
    };
    let before = received();
    let mut stream = TcpStream::connect(server.server.addr)
        .await
        .expect("a connection");
    let request = format!("GET /main/{url} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200");
    // Until nothing has moved for half a second.
    let mut taken = received();
    for _ in 0..40 {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let now = received();
        if now == taken {
            break;
        }
        taken = now;
    }
    let taken = taken - before;
    // What the sockets of both connections hold, which is up to the kernel, and little more.
    assert!(
        taken < 32 << 20,
        "{taken} of 64 MiB were taken for a client that reads nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_a_request_does_not_hold_its_answer_up() {
    let server = server().await;
    for after in ["\r\n", "GET /hea", "BAD\r\n\r\n"] {
        let answer = raw(
            &server,
            format!("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n{after}").as_bytes(),
        )
        .await;
        assert_eq!(status(&answer), "200", "after {after:?}: {answer}");
    }
}
