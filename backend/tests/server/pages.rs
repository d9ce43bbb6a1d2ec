//! The dashboard's pages, machine files, and servers below a path.

use crate::harness::{TestServer, header};

async fn plain() -> TestServer {
    TestServer::start(
        |shelf| {
            shelf.put("base-1.0", &[]);
        },
        |_| {},
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_have_the_status_of_what_they_name() {
    let server = plain().await;
    let hash = server.shelf().make("base-1.0", &[], true).hash;
    for (path, status) in [
        ("/".to_owned(), 200),
        ("/c/main".into(), 200),
        ("/c/main/paths?q=x&sort=-name".into(), 200),
        (format!("/c/main/p/{hash}"), 200),
        (format!("/c/main/p/{hash}-base-1.0/closure"), 200),
        ("/connect".into(), 200),
        ("/about".into(), 200),
        ("/c/absent".into(), 404),
        ("/c/main/p/00000000000000000000000000000000".into(), 404),
        ("/c/main/paths?sort=colour".into(), 400),
    ] {
        let page = server.get(&path).await;
        assert_eq!(page.status(), status, "{path}");
        assert_eq!(
            header(&page, "content-type"),
            "text/html; charset=utf-8",
            "{path}"
        );
        assert_eq!(header(&page, "cache-control"), "no-cache");
        let policy = header(&page, "content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'"),
            "{policy}"
        );
        assert_eq!(header(&page, "x-content-type-options"), "nosniff");
        assert_eq!(header(&page, "referrer-policy"), "no-referrer");
    }
    for nothing in [
        "/nothing",
        "/c",
        "/c/main/nothing",
        "/favicon.ico",
        "/_app",
        "/.well-known/x",
    ] {
        let absent = server.get(nothing).await;
        assert_eq!(absent.status(), 404, "{nothing}");
        assert!(header(&absent, "content-type").starts_with("text/plain"));
        let page = server.get_with(nothing, &[("accept", "text/html")]).await;
        assert_eq!(
            (page.status().as_u16(), header(&page, "content-type")),
            (404, "text/html; charset=utf-8")
        );
    }
    assert_eq!(server.get("/_app/nothing.js").await.status(), 404);
    let posted = server
        .client
        .post(server.url("/"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        (posted.status().as_u16(), header(&posted, "allow")),
        (405, "GET, HEAD")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn machine_files_say_how_to_use_the_cache() {
    let server = plain().await;
    let url = server.url("/main");
    let key = server.shelf().key.public_key().to_string();
    let text = server.text("/c/main/keys.txt").await;
    let keys: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(keys, [key.as_str()]);
    let conf = server.text("/c/main/nix.conf").await;
    assert!(
        conf.contains(&format!(
            "extra-substituters = {url}\nextra-trusted-public-keys = {key}\n"
        )),
        "{conf}"
    );
    let module = server.text("/c/main/module.nix").await;
    assert!(
        module.contains(&format!("extra-substituters = [ \"{url}\" ];")),
        "{module}"
    );
    let json = server.json("/c/main/keys.json").await;
    assert_eq!(
        (&json["url"], &json["keys"][0]["public_key"]),
        (&url.into(), &key.into())
    );
    for file in [
        "keys.txt",
        "keys.json",
        "nix.conf",
        "module.nix",
        "install.sh",
        "flake.tar.gz",
    ] {
        let response = server.get(&format!("/c/main/{file}")).await;
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        assert_eq!(header(&response, "content-security-policy"), "sandbox");
        assert_eq!(server.get(&format!("/c/absent/{file}")).await.status(), 404);
    }
    // What programs read, and what of it has an address that never changes.
    let known = server.json("/.well-known/nix-binary-caches.json").await;
    assert_eq!(known["version"], 1);
    assert_eq!(known["caches"][0]["url"], json["url"]);
    assert_eq!(
        known["caches"][0]["keys"][0]["fingerprint"],
        json["keys"][0]["fingerprint"]
    );
    let flake = server.get("/c/main/flake.tar.gz").await;
    let link = header(&flake, "link").to_owned();
    let (twin, rest) = link
        .trim_start_matches('<')
        .split_once('>')
        .expect("a link");
    assert_eq!(rest, "; rel=\"immutable\"");
    let twin = twin.strip_prefix(&server.url("")).expect("here");
    let lasting = server.get(twin).await;
    assert_eq!(lasting.status(), 200);
    assert!(header(&lasting, "cache-control").contains("immutable"));
    assert_eq!(
        flake.bytes().await.expect("a body"),
        lasting.bytes().await.expect("a body")
    );
    let absent = twin
        .replace("flake-", "flake-0")
        .replacen(".tar", "x.tar", 1);
    assert_eq!(server.get(&absent).await.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_below_a_path_answers_with_and_without_it() {
    let server = TestServer::start(
        |shelf| {
            shelf.put("base-1.0", &[]);
        },
        |config| config.public_url = Some("https://example.org/nix/".parse().expect("a URL")),
    )
    .await;
    let base = server.shelf().make("base-1.0", &[], true);
    for prefix in ["", "/nix"] {
        assert_eq!(
            server
                .text(&format!("{prefix}/main/{}.narinfo", base.hash))
                .await,
            base.narinfo
        );
        assert_eq!(
            server
                .get(&format!("{prefix}/main/{}", base.url))
                .await
                .status(),
            200
        );
        assert_eq!(
            server.json(&format!("{prefix}/api/v1/caches")).await["items"][0]["url"],
            "https://example.org/nix/main"
        );
        assert_eq!(server.get(&format!("{prefix}/healthz")).await.status(), 200);
        let page = server.text(&format!("{prefix}/")).await;
        assert!(page.contains("/nix/"), "{page}");
        let home = server
            .get_with(&format!("{prefix}/main"), &[("accept", "text/html")])
            .await;
        assert_eq!(header(&home, "location"), "/nix/c/main");
    }
    let conf = server.text("/nix/c/main/nix.conf").await;
    assert!(
        conf.contains("extra-substituters = https://example.org/nix/main\n"),
        "{conf}"
    );
    // What the Host header says reaches nothing.
    let evil = server
        .get_with(
            "/nix/c/main/nix.conf",
            &[
                ("host", "evil.example"),
                ("x-forwarded-host", "evil.example"),
            ],
        )
        .await;
    assert!(!evil.text().await.expect("text").contains("evil"));
}
