//! How paths hang together: graphs of closures, chains, differences, packages.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Shelf, TestServer, archive, header};
use crate::people::owner;

/// Two generations of a diamond: the second has a newer left, the same base, and a new part.
fn fill(shelf: &Shelf) {
    let base = shelf.put("base-1.0", &[]);
    let left = shelf.put("left-1.9", &[&base]);
    let right = shelf.put("right-1.0", &[&base]);
    shelf.put("top-1.0", &[&left, &right]);
    let newer = shelf.put("left-1.10", &[&base]);
    let more = shelf.put("more-3.1-bin", &[]);
    shelf.put("top-1.1", &[&newer, &right, &more]);
}

fn hash(server: &TestServer, name: &str) -> String {
    server.shelf().make(name, &[], true).hash
}

#[tokio::test(flavor = "multi_thread")]
async fn closures_chains_differences_and_packages() {
    let server = TestServer::start(fill, |_| {}).await;
    let (top, newer, base) = (
        hash(&server, "top-1.0"),
        hash(&server, "top-1.1"),
        hash(&server, "base-1.0"),
    );
    let at = |rest: &str| format!("/api/v1/caches/main/{rest}");

    let graph = server.json(&at(&format!("paths/{top}/graph"))).await;
    let items = graph["items"].as_array().expect("nodes");
    assert_eq!((graph["paths"].as_u64(), items.len()), (Some(4), 4));
    assert_eq!(graph["complete"], true);
    assert_eq!(items[0]["added_size"], graph["nar_size"]);
    let shared = items
        .iter()
        .find(|node| node["hash"] == *base)
        .expect("base");
    assert_eq!(shared["dominator"], 0, "both left and right need it");
    assert_eq!(shared["added_size"], shared["nar_size"]);
    let children: u64 = items
        .iter()
        .filter(|node| node["dominator"] == 0)
        .map(|node| node["added_size"].as_u64().expect("a size"))
        .sum();
    let own = items[0]["nar_size"].as_u64().expect("a size");
    assert_eq!(Some(own + children), graph["nar_size"].as_u64());

    let written = async |format: &str| {
        let answer = server
            .get(&at(&format!("paths/{top}/closure?format={format}")))
            .await;
        assert_eq!(answer.status(), 200);
        let header = |name: &str| {
            let value = answer.headers().get(name).expect("the header");
            value.to_str().expect("text").to_owned()
        };
        let (kind, file) = (header("content-type"), header("content-disposition"));
        (kind, file, answer.text().await.expect("a body"))
    };
    let (kind, file, list) = written("paths").await;
    assert!(
        kind.starts_with("text/plain") && file.ends_with(".txt\""),
        "{kind} {file}"
    );
    let mut listed: Vec<&str> = list.lines().collect();
    assert!(listed[0].ends_with("-top-1.0"), "nearest first: {list}");
    let mut paths: Vec<String> = items
        .iter()
        .map(|node| {
            let part = |name: &str| node[name].as_str().expect("text").to_owned();
            format!("/nix/store/{}-{}", part("hash"), part("name"))
        })
        .collect();
    listed.sort_unstable();
    paths.sort_unstable();
    assert_eq!(listed, paths);
    let (kind, file, dot) = written("dot").await;
    assert!(
        kind.starts_with("text/vnd.graphviz") && file.ends_with(".dot\""),
        "{kind} {file}"
    );
    assert!(dot.starts_with("digraph ") && dot.ends_with("}\n"), "{dot}");
    let arcs: usize = items
        .iter()
        .map(|node| node["references"].as_array().map_or(0, Vec::len))
        .sum();
    assert_eq!(dot.matches(" -> ").count(), arcs, "{dot}");
    assert!(dot.contains("[label=\"base-1.0\"]"), "{dot}");
    for refused in [
        "format=dot&columns=name",
        "format=paths&limit=2",
        "format=gif",
    ] {
        let answer = server
            .get(&at(&format!("paths/{top}/closure?{refused}")))
            .await;
        assert_eq!(answer.status(), 400, "{refused}");
    }

    let why = server.json(&at(&format!("why?from={top}&to={base}"))).await;
    assert_eq!((&why["depends"], &why["chains"]), (&true.into(), &2.into()));
    assert_eq!(why["items"][0].as_array().map(Vec::len), Some(3));
    assert_eq!(why["items"][0][2]["name"], "base-1.0");
    let back = server.json(&at(&format!("why?from={base}&to={top}"))).await;
    assert_eq!(
        (&back["depends"], &back["reverse"]),
        (&false.into(), &true.into())
    );
    assert_eq!(back["items"], serde_json::json!([]));

    let diff = server
        .json(&at(&format!("diff?from={top}&to={newer}")))
        .await;
    let rows: Vec<(&str, &str)> = diff["items"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| {
            (
                row["kind"].as_str().unwrap_or(""),
                row["name"].as_str().unwrap_or(""),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [("upgraded", "left"), ("upgraded", "top"), ("added", "more")],
        "1.10 is newer than 1.9"
    );
    assert_eq!(diff["common"], 2);
    let same = server.json(&at(&format!("diff?from={top}&to={top}"))).await;
    assert_eq!(
        (&same["items"], &same["download"]),
        (&serde_json::json!([]), &0.into())
    );
    let table = server
        .get(&at(&format!("diff?from={top}&to={newer}&format=csv")))
        .await;
    assert_eq!(table.status(), 200);
    let text = table.text().await.expect("a table");
    assert_eq!(text.lines().count(), 4, "{text}");

    let packages = server.json(&at("packages?sort=-paths&limit=2")).await;
    assert_eq!(packages["total"], 5);
    assert_eq!(packages["items"][0]["versions"], 2);
    let rest = server
        .json(&at(&format!(
            "packages?sort=-paths&limit=200&cursor={}",
            packages["next"].as_str().expect("more")
        )))
        .await;
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(3));
    let left = server.json(&at("packages/left")).await;
    assert_eq!(left["items"][0]["version"], "1.10");
    let more = server.json(&at("packages/more")).await;
    assert_eq!(
        (&more["items"][0]["version"], &more["items"][0]["output"]),
        (&"3.1".into(), &"bin".into())
    );

    for (path, status) in [
        ("packages/nothing", 404),
        ("packages?sort=size", 400),
        ("packages?cursor=%21", 400),
        ("why?from=0c0dixlhq54yv4v0kws1bsmbnrz7m6p7", 400),
        ("diff?from=e&to=e", 400),
        (
            "why?from=0c0dixlhq54yv4v0kws1bsmbnrz7m6p7&to=0c0dixlhq54yv4v0kws1bsmbnrz7m6p7",
            404,
        ),
    ] {
        assert_eq!(server.get(&at(path)).await.status(), status, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sides_may_be_pins_and_a_badge_says_how_much_a_closure_grew() {
    let server = TestServer::start(fill, |_| {}).await;
    let (top, newer, base) = (
        hash(&server, "top-1.0"),
        hash(&server, "top-1.1"),
        hash(&server, "base-1.0"),
    );
    let olga = owner(&server).await;
    for (path, seen) in [(&top, 0), (&newer, 1)] {
        let wish = json!({"path": path, "expected": seen, "note": ""});
        let answer = olga
            .send(&server, Method::PUT, "/caches/main/pins/prod", Some(wish))
            .await;
        assert_eq!(answer.status(), 200);
    }
    let at = |rest: &str| format!("/api/v1/caches/main/{rest}");
    let by_pins = server.json(&at("diff?from=pin:prod@1&to=pin:prod")).await;
    let by_hash = server
        .json(&at(&format!("diff?from={top}&to={newer}")))
        .await;
    assert_eq!(by_pins, by_hash);
    let more = &by_pins["items"][2];
    assert_eq!(
        (&more["name"], &more["file_delta"]),
        (&"more".into(), &more["nar_delta"]),
        "nothing is packed here"
    );
    let why = server
        .json(&at(&format!("why?from=pin:prod@1&to={base}")))
        .await;
    assert_eq!(why["depends"], true);
    for (path, status) in [
        ("diff?from=pin:prod@3&to=pin:prod", 404),
        ("diff?from=pin:other&to=pin:prod", 404),
        ("diff?from=pin:Prod&to=pin:prod", 400),
    ] {
        assert_eq!(server.get(&at(path)).await.status(), status, "{path}");
    }

    let badge = server
        .get("/c/main/diff/pin:prod@1...pin:prod@2/badge.svg")
        .await;
    assert_eq!(badge.status(), 200);
    assert_eq!(header(&badge, "content-type"), "image/svg+xml");
    assert_eq!(header(&badge, "content-security-policy"), "sandbox");
    assert_eq!(header(&badge, "cache-control"), "no-cache");
    let picture = badge.text().await.expect("text");
    let delta = by_pins["to"]["nar_size"].as_i64().expect("a size")
        - by_pins["from"]["nar_size"].as_i64().expect("a size");
    let words = format!(">{}, +", snowbank_shared::size::change(delta));
    assert!(picture.contains(&words), "{picture} lacks {words}");
    let same = server
        .text(&format!("/c/main/diff/{top}...{top}/badge.svg"))
        .await;
    assert!(same.contains(">identical<"), "{same}");
    let escaped = "/c/main/diff/pin%3Aprod%401...pin%3Aprod/badge.svg";
    assert_eq!(server.get(escaped).await.status(), 200);

    // The pages' own statuses: what they are about is there or not.
    let absent = "0c0dixlhq54yv4v0kws1bsmbnrz7m6p7";
    for (page, status) in [
        (format!("/c/main/why/{top}...{base}"), 200),
        (format!("/c/main/why/...{base}"), 200),
        (format!("/c/main/why/{top}...{absent}"), 404),
        ("/c/main/diff".to_owned(), 200),
        ("/c/main/diff/pin:prod@1...pin:prod".to_owned(), 200),
        ("/c/main/diff/pin:prod@9...pin:prod".to_owned(), 404),
        ("/c/main/packages?sort=-paths".to_owned(), 200),
        ("/c/main/packages?sort=size".to_owned(), 400),
        ("/c/main/packages/left".to_owned(), 200),
        ("/c/main/packages/nothing".to_owned(), 404),
        (
            "/c/main/diff/pin:other...pin:prod/badge.svg".to_owned(),
            404,
        ),
        (format!("/c/main/diff/{top}.../badge.svg"), 404),
    ] {
        assert_eq!(server.get(&page).await.status(), status, "{page}");
    }
}

/// The answer once the archive was read: on a busy machine that takes a while.
async fn read(server: &TestServer, address: &str) -> Value {
    for _ in 0..100 {
        let found = server.json(address).await;
        if found["reading"].is_null() {
            return found;
        }
    }
    panic!("{address} is read for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_that_mention_a_path_are_found_and_a_large_archive_is_asked_about() {
    let mut made = None;
    let server = TestServer::start(
        |shelf| {
            let base = shelf.put_of("base-1.0", archive(&[(b"x", b"nothing")]));
            let script = format!("#!/bin/sh\nexec {}/{}/bin/x", "/nix/store", base.path);
            let files: [(&[u8], &[u8]); 3] = [
                (b"plain", b"nothing of it"),
                (b"run*", script.as_bytes()),
                (
                    b"twice",
                    &[base.hash.as_bytes(), b" ", base.hash.as_bytes()].concat(),
                ),
            ];
            let app = shelf.put_with("app-1.0", archive(&files), &[&base]);
            let mut large = shelf.make("large-1.0", &[&base], false);
            let size = format!("NarSize: {}", large.nar.len());
            large.narinfo = large.narinfo.replace(&size, "NarSize: 300000000");
            shelf.write(&large);
            made = Some((base, app, large));
        },
        |_| {},
    )
    .await;
    let (base, app, large) = made.expect("shelved");
    let at = |hash: &str, rest: &str| format!("/api/v1/caches/main/paths/{hash}/mentions{rest}");
    let found = read(&server, &at(&app.hash, &format!("?of={}", base.hash))).await;
    assert_eq!(
        (&found["total"], &found["asks"]),
        (&2.into(), &false.into())
    );
    let items = found["items"].as_array().expect("items");
    let names: Vec<(&str, u64)> = items
        .iter()
        .map(|item| {
            let name = item["file"]["name"].as_str().unwrap_or_default();
            (name, item["times"].as_u64().unwrap_or_default())
        })
        .collect();
    assert_eq!(names, [("run", 1), ("twice", 2)]);
    assert_eq!(items[0]["place"], "contents");
    assert_eq!(items[0]["file"]["executable"], true);
    let around = items[0]["around"].as_str().unwrap_or_default();
    assert!(
        around.starts_with("#!/bin/sh.exec /nix/store/") && around.ends_with("base-1.0/bin/x"),
        "{around}"
    );
    let none = read(&server, &at(&app.hash, &format!("?of={}", app.hash))).await;
    assert_eq!((&none["total"], &none["items"]), (&0.into(), &json!([])));

    let asked = server
        .json(&at(&large.hash, &format!("?of={}", base.hash)))
        .await;
    assert_eq!(
        (&asked["asks"], &asked["nar_size"]),
        (&true.into(), &300_000_000.into())
    );
    for (address, status) in [
        // Each question reads the archive: strangers ask what its page asks, and nothing large.
        (
            at(&large.hash, &format!("?of={}&large=true", base.hash)),
            401,
        ),
        (at(&base.hash, &format!("?of={}", app.hash)), 401),
        (at(&app.hash, ""), 400),
        (at(&app.hash, "?of=short"), 400),
        (
            at(&app.hash, &format!("?of={}&large=perhaps", base.hash)),
            400,
        ),
        (
            at(
                "0c0dixlhq54yv4v0kws1bsmbnrz7m6p7",
                &format!("?of={}", base.hash),
            ),
            404,
        ),
    ] {
        assert_eq!(server.get(&address).await.status(), status, "{address}");
    }
    let olga = owner(&server).await;
    for (hash, of, status) in [
        // It is not what its narinfo says, which reading it shows.
        (&large.hash, format!("{}&large=true", base.hash), 422),
        (&base.hash, app.hash.clone(), 200),
    ] {
        let address = format!("/caches/main/paths/{hash}/mentions?of={of}");
        let answer = olga.get(&server, &address).await;
        assert_eq!(answer.status(), status, "{address}");
    }
}
