//! The API: resources, pages of lists, errors.

use crate::harness::{Shelf, Shelved, TestServer, header};

/// A diamond: top on left and right, both on base; and fifty paths by themselves.
fn fill(shelf: &Shelf) {
    let base = shelf.put("base-1.0", &[]);
    let left = shelf.put("left-1.0", &[&base]);
    let right = shelf.put("right-1.0", &[&base]);
    shelf.put("top-1.0", &[&left, &right]);
    for number in 0..50 {
        shelf.put(&format!("single-{number:02}"), &[]);
    }
    shelf.file(
        "0c0dixlhq54yv4v0kws1bsmbnrz7m6p7.narinfo",
        b"not a narinfo\n",
    );
}

async fn server() -> TestServer {
    TestServer::start(fill, |_| {}).await
}

fn made(server: &TestServer, name: &str) -> Shelved {
    server.shelf().make(name, &[], true)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_says_what_it_holds() {
    let server = server().await;
    server
        .server
        .sync("main")
        .expect("a sync")
        .sweep_whole_now()
        .await
        .expect("a sweep");
    let list = server.json("/api/v1/caches").await;
    assert_eq!(
        (&list["total"], &list["next"], &list["complete"]),
        (&1.into(), &serde_json::Value::Null, &true.into())
    );
    let cache = server.json("/api/v1/caches/main").await;
    assert_eq!(list["items"][0]["slug"], "main");
    assert_eq!(cache["paths"], 54);
    assert_eq!(cache["url"], server.url("/main"));
    assert_eq!(cache["keys"][0]["name"], "test-1");
    assert_eq!(cache["keys"][0]["paths"], 54);
    assert_eq!(
        cache["signatures"],
        serde_json::json!([{"signature": "valid", "paths": 54}])
    );
    assert_eq!(cache["index"]["state"], "ready");
    assert_eq!(cache["source"], "folder", "no path of the machine");
    let sizes: u64 = std::fs::read_dir(server.shelf().folder.join("nar"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").metadata().expect("metadata").len())
        .sum();
    assert_eq!(
        (cache["stored_bytes"].as_u64(), cache["nar_bytes"].as_u64()),
        (Some(sizes), Some(sizes))
    );
    assert!(cache["findings"].as_u64() >= Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_paged_by_key_and_every_row_comes_once() {
    let server = server().await;
    for (path, rows) in [
        ("/api/v1/caches/main/paths?sort=name&limit=7", 54),
        ("/api/v1/caches/main/paths?limit=20", 54),
        (
            "/api/v1/caches/main/paths?q=single&sort=-nar_size&limit=9",
            50,
        ),
        (
            &format!(
                "/api/v1/caches/main/paths/{}/referrers?limit=1",
                made(&server, "base-1.0").hash
            ),
            2,
        ),
    ] {
        let mut seen = Vec::new();
        let mut next = path.to_owned();
        loop {
            let page = server.json(&next).await;
            assert_eq!(page["total"], rows, "{path}");
            seen.extend(
                page["items"]
                    .as_array()
                    .expect("items")
                    .iter()
                    .map(|row| row["hash"].as_str().expect("a hash").to_owned()),
            );
            match page["next"].as_str() {
                Some(cursor) => next = format!("{path}&cursor={cursor}"),
                None => break,
            }
        }
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!((seen.len(), count), (rows, rows), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_its_closure_and_its_signatures() {
    let server = server().await;
    let top = made(&server, "top-1.0").hash;
    let at = |part: &str| format!("/api/v1/caches/main/paths/{top}{part}");
    let detail = server.json(&at("")).await;
    assert_eq!(detail["path"], format!("/nix/store/{top}-top-1.0"));
    assert_eq!(
        (&detail["closure_paths"], &detail["reference_count"]),
        (&4.into(), &2.into())
    );
    assert_eq!(detail["signatures"][0]["status"], "valid");
    assert_eq!(
        server.json(&at("-top-1.0")).await["hash"],
        top,
        "a name may follow the hash"
    );

    let closure = server.json(&at("/closure")).await;
    let names: Vec<&str> = closure["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|row| row["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(
        (closure["paths"].as_u64(), names[0], names[3]),
        (Some(4), "top-1.0", "base-1.0")
    );
    let first = server.json(&at("/closure?limit=3")).await;
    let rest = server
        .json(&at(&format!(
            "/closure?limit=3&cursor={}",
            first["next"].as_str().expect("a cursor")
        )))
        .await;
    assert_eq!(
        (rest["items"].as_array().map(Vec::len), &rest["next"]),
        (Some(1), &serde_json::Value::Null)
    );

    let signatures = server.json(&at("/signatures")).await;
    assert_eq!(signatures["items"][0]["key"], "test-1");
    assert!(
        signatures["fingerprint"]
            .as_str()
            .is_some_and(|text| text.starts_with(&format!("1;/nix/store/{top}-top-1.0;")))
    );
    let raw = server.get(&at("/raw")).await;
    assert_eq!(header(&raw, "content-type"), "text/x-nix-narinfo");
    assert_eq!(
        raw.text().await.expect("text"),
        server.text(&format!("/main/{top}.narinfo")).await
    );
    let head = server.head(&at("")).await;
    assert_eq!(head.status(), 200);
    assert!(
        header(&head, "content-length")
            .parse::<u64>()
            .is_ok_and(|length| length > 100)
    );

    let keys = server.json("/api/v1/caches/main/keys").await;
    assert_eq!(keys["items"][0]["purpose"], "cache");
    assert!(
        keys["items"]
            .as_array()
            .expect("items")
            .iter()
            .any(|key| key["name"] == "cache.nixos.org-1")
    );
    let health = server
        .json("/api/v1/caches/main/health?check=bad-narinfo")
        .await;
    assert_eq!(
        (
            health["total"].as_u64(),
            health["items"][0]["object"].as_str()
        ),
        (Some(1), Some("0c0dixlhq54yv4v0kws1bsmbnrz7m6p7.narinfo"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lookup_asks_every_cache_at_once() {
    let server = server().await;
    let top = made(&server, "top-1.0").hash;
    let found = server
        .json(&format!(
            "/api/v1/lookup?q=/nix/store/{top}-top-1.0&q=single&q={}",
            "0".repeat(32)
        ))
        .await;
    let totals: Vec<_> = (0..3)
        .map(|at| found["items"][at]["caches"][0]["total"].as_u64())
        .collect();
    assert_eq!(totals, [Some(1), Some(50), Some(0)]);
    assert_eq!(
        found["items"][1]["caches"][0]["paths"]
            .as_array()
            .map(Vec::len),
        Some(10)
    );
    let wrong = top.replacen(|_| true, "e", 1);
    let exact = server
        .json(&format!(
            "/api/v1/lookup?p=/nix/store/{top}-top-1.0&p={top}&p={}&p={wrong}-x&p=nonsense",
            "0".repeat(32)
        ))
        .await;
    let items = exact["items"].as_array().expect("items");
    let totals: Vec<_> = items
        .iter()
        .map(|item| item["caches"][0]["total"].as_u64())
        .collect();
    assert_eq!(totals, [Some(1), Some(1), Some(0), None, None]);
    assert_eq!(items[0]["caches"][0]["paths"][0]["name"], "top-1.0");
    let problem = |at: usize| items[at]["problem"].as_str().unwrap_or_default();
    assert!(
        problem(3).contains("e o t u") && problem(4).contains("one store path"),
        "{exact}"
    );
    assert!(problem(0).is_empty() && problem(2).is_empty());
    assert_eq!(
        server
            .get("/api/v1/lookup?p=top&cache=absent")
            .await
            .status(),
        404
    );
    for bad in [
        "",
        "?q=",
        "?x=1",
        "?q=a&p=b",
        &format!("?{}", "q=a&".repeat(51)),
        &format!("?{}", "p=a&".repeat(201)),
    ] {
        assert_eq!(
            server.get(&format!("/api/v1/lookup{bad}")).await.status(),
            400,
            "{bad}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_problems_with_a_code_and_the_requests_id() {
    let server = server().await;
    let absent = "0".repeat(32);
    for (method, path, status, code) in [
        ("GET", "/api".to_owned(), 404, "no-such-endpoint"),
        ("GET", "/api/v2/caches".into(), 404, "no-such-endpoint"),
        ("GET", "/api/v1".into(), 404, "no-such-endpoint"),
        ("GET", "/api/v1/nothing".into(), 404, "no-such-endpoint"),
        (
            "GET",
            "/api/v1/caches/main/nothing".into(),
            404,
            "no-such-endpoint",
        ),
        (
            "GET",
            "/api/v1/caches/absent".into(),
            404,
            "cache-not-found",
        ),
        ("GET", "/api/v1/caches/%ff".into(), 400, "bad-parameter"),
        (
            "GET",
            format!("/api/v1/caches/main/paths/{absent}"),
            404,
            "path-not-found",
        ),
        (
            "GET",
            "/api/v1/caches/main/paths/short".into(),
            400,
            "bad-parameter",
        ),
        (
            "GET",
            "/api/v1/caches/main/paths?sort=colour".into(),
            400,
            "bad-parameter",
        ),
        (
            "GET",
            "/api/v1/caches/main/paths?limit=0".into(),
            400,
            "bad-parameter",
        ),
        (
            "GET",
            "/api/v1/caches/main/paths?limit=100000".into(),
            400,
            "bad-parameter",
        ),
        (
            "GET",
            "/api/v1/caches/main/paths?cursor=nonsense".into(),
            400,
            "bad-parameter",
        ),
        (
            "GET",
            "/api/v1/caches/main/paths?q=%ff".into(),
            400,
            "bad-parameter",
        ),
        (
            "GET",
            "/api/v1/caches/main/paths?colour=blue".into(),
            400,
            "bad-parameter",
        ),
        (
            "GET",
            "/api/v1/caches/main/health?limit=9999".into(),
            400,
            "bad-parameter",
        ),
        ("POST", "/api/v1/caches".into(), 405, "method-not-allowed"),
        (
            "DELETE",
            "/api/v1/caches/main".into(),
            405,
            "method-not-allowed",
        ),
    ] {
        let method = method.parse().expect("a method");
        let response = server
            .client
            .request(method, server.url(&path))
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(
            header(&response, "content-type"),
            "application/problem+json",
            "{path}"
        );
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        let id = header(&response, "x-request-id").to_owned();
        let allow = header(&response, "allow").to_owned();
        assert_eq!(
            allow,
            if status == 405 { "GET, HEAD" } else { "" },
            "{path}"
        );
        let problem: serde_json::Value = response.json().await.expect("JSON");
        assert_eq!(
            (&problem["code"], &problem["status"]),
            (&code.into(), &status.into()),
            "{path}: {problem}"
        );
        assert_eq!(problem["request_id"], id);
        assert!(!problem["detail"].as_str().expect("a detail").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_served_and_names_what_is_there() {
    let server = server().await;
    let document = server.json("/api/v1/openapi.json").await;
    let hash = made(&server, "top-1.0").hash;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let Some(operation) = methods.get("get") else {
            continue;
        };
        let address = path
            .replace("{cache}", "main")
            .replace("{hash}", &hash)
            .replace("{package}", "top");
        let query = match path.as_str() {
            "/lookup" => "?q=top".to_owned(),
            "/caches/{cache}/selection" => format!("?p={hash}"),
            "/caches/{cache}/paths/{hash}/find" => "?q=top".to_owned(),
            "/caches/{cache}/paths/{hash}/mentions" => format!("?of={hash}"),
            "/caches/{cache}/why" | "/caches/{cache}/diff" => format!("?from={hash}&to={hash}"),
            _ => String::new(),
        };
        let mut response = server.get(&format!("/api/v1{address}{query}")).await;
        let status = response.status().as_u16();
        if status != 200 {
            // Who may, the sweep shows; here that the document says so.
            assert!(
                operation["responses"][status.to_string()].is_object()
                    && (operation["tags"][0] != "caches"
                        || address.ends_with("/audit")
                        // Of something that is not there.
                        || address.contains('{'))
                    // The archives of this shelf are none, and can be listed by nobody.
                    && (operation["tags"][0] != "paths"
                        || status == 422
                        // Nobody built it here.
                        || (status == 404 && address.ends_with("/log"))),
                "{path} answered {status}"
            );
            continue;
        }
        assert!(response.chunk().await.expect("bytes").is_some(), "{path}");
    }
    let about = server.json("/api/v1/about").await;
    assert_eq!(about["version"], env!("CARGO_PKG_VERSION"));
}
