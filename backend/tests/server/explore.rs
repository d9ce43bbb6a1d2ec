//! How paths hang together: graphs of closures, chains, differences, packages.

use crate::harness::{Shelf, TestServer};

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
