//! What the path browser stands on: facets, selections, whole tables.

use crate::harness::{Shelf, TestServer, header};

/// Three programs on one library, some by themselves, one that a spreadsheet would run.
fn fill(shelf: &Shelf) {
    let library = shelf.put("library-1.0", &[]);
    for name in ["one-1.0", "two-1.0", "three-1.0"] {
        shelf.put(name, &[&library]);
    }
    for number in 0..250 {
        shelf.put(&format!("single-{number:03}"), &[]);
    }
    let unsigned = shelf.make("=cmd-1.0", &[], false);
    shelf.write(&unsigned);
}

async fn server() -> TestServer {
    TestServer::start(fill, |_| {}).await
}

fn hash(server: &TestServer, name: &str) -> String {
    server.shelf().make(name, &[], true).hash
}

#[tokio::test(flavor = "multi_thread")]
async fn facets_count_what_a_choice_would_show() {
    let server = server().await;
    let facets = server
        .json("/api/v1/caches/main/facets?q=1.0&sig=unsigned&key=test-1")
        .await;
    // Unsigned and signed by a key is nobody; without either there are some.
    assert_eq!(facets["total"], 0);
    assert_eq!(
        facets["without"],
        serde_json::json!([
            {"value": "q", "paths": 0},
            {"value": "sig", "paths": 4},
            {"value": "key", "paths": 1},
        ])
    );
    assert_eq!(
        facets["signature"],
        serde_json::json!([{"value": "valid", "paths": 4}])
    );
    assert_eq!(facets["key"], serde_json::json!([]));

    let all = server.json("/api/v1/caches/main/facets").await;
    assert_eq!(
        (&all["total"], &all["unreferenced"]),
        (&255.into(), &254.into())
    );
    assert_eq!(
        all["signature"],
        serde_json::json!([{"value": "valid", "paths": 254}, {"value": "unsigned", "paths": 1}])
    );
    assert_eq!(
        all["key"],
        serde_json::json!([{"value": "test-1", "paths": 254}])
    );
    assert_eq!(
        all["compression"],
        serde_json::json!([{"value": "none", "paths": 255}])
    );
    assert_eq!(
        all["size"],
        serde_json::json!([{"value": "-1048575", "paths": 255}])
    );
    assert_eq!(
        all["added"][0],
        serde_json::json!({"value": "3600", "paths": 255})
    );
    assert_eq!(all["without"], serde_json::json!([]));
    assert_eq!(
        server
            .get("/api/v1/caches/main/facets?colour=blue")
            .await
            .status(),
        400
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a12_a_selection_weighs_what_it_shares_once() {
    let server = server().await;
    let absent = "0".repeat(32);
    let address = format!(
        "/api/v1/caches/main/selection?p={}&p={}-two-1.0&p={}&p={absent}",
        hash(&server, "one-1.0"),
        hash(&server, "two-1.0"),
        hash(&server, "three-1.0"),
    );
    let selection = server.json(&address).await;
    let size = |name: &str| 1000 + name.len() as u64;
    let programs = size("one-1.0") + size("two-1.0") + size("three-1.0");
    let library = size("library-1.0");
    assert_eq!(selection["paths"], 3);
    assert_eq!(selection["absent"], serde_json::json!([absent]));
    assert_eq!(selection["nar_size"], programs);
    assert_eq!(selection["closure_paths"], 4);
    assert_eq!(selection["closure_size"], programs + library);
    assert_eq!(selection["closure_size_apart"], programs + 3 * library);
    // Nothing else needs the library: it goes with the three, and not with two of them.
    assert_eq!(
        (&selection["added_paths"], &selection["added_size"]),
        (&4.into(), &(programs + library).into())
    );
    let two = server
        .json(&format!(
            "/api/v1/caches/main/selection?p={}&p={}",
            hash(&server, "one-1.0"),
            hash(&server, "two-1.0")
        ))
        .await;
    assert_eq!(two["added_paths"], 2);
    let detail = server
        .json(&format!(
            "/api/v1/caches/main/paths/{}",
            hash(&server, "library-1.0")
        ))
        .await;
    assert_eq!(
        (&detail["added_paths"], &detail["added_size"]),
        (&1.into(), &library.into())
    );
    for bad in [
        "",
        "?p=",
        "?p=short",
        "?x=1",
        &format!("?{}", format!("p={absent}&").repeat(201)),
    ] {
        assert_eq!(
            server
                .get(&format!("/api/v1/caches/main/selection{bad}"))
                .await
                .status(),
            400,
            "{bad}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a14_an_export_holds_exactly_the_filtered_rows() {
    let server = server().await;
    let list = "/api/v1/caches/main/paths?q=single&sort=name";
    let csv = server.get(&format!("{list}&format=csv")).await;
    assert_eq!(
        header(&csv, "content-type"),
        "text/csv; charset=utf-8; header=present"
    );
    let name = header(&csv, "content-disposition").to_owned();
    assert!(
        name.starts_with("attachment; filename=\"main-paths-20") && name.ends_with("Z.csv\""),
        "{name}"
    );
    let text = csv.text().await.expect("text");
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert!(
        lines[0].starts_with("path,hash,name,nar_size,"),
        "{}",
        lines[0]
    );
    assert_eq!((lines.len(), lines[251]), (252, ""));
    let single = hash(&server, "single-007");
    assert!(
        lines[8].starts_with(&format!(
            "/nix/store/{single}-single-007,{single},single-007,1010,"
        )),
        "{}",
        lines[8]
    );

    let chosen = server
        .text("/api/v1/caches/main/paths?sig=unsigned&format=csv&columns=name,hash")
        .await;
    assert_eq!(
        chosen,
        format!(
            "name,hash\r\n\"'=cmd-1.0\",{}\r\n",
            hash(&server, "=cmd-1.0")
        )
    );

    // Several pieces, and the same rows as the pages.
    let ndjson = server
        .get("/api/v1/caches/main/paths?sort=-nar_size&format=ndjson")
        .await;
    assert_eq!(header(&ndjson, "content-type"), "application/x-ndjson");
    let rows: Vec<serde_json::Value> = ndjson
        .text()
        .await
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let page = server
        .json("/api/v1/caches/main/paths?sort=-nar_size&limit=200")
        .await;
    assert_eq!(rows.len(), 255);
    assert_eq!(rows[..200], page["items"].as_array().expect("items")[..]);
    let whole = server
        .json("/api/v1/caches/main/paths?sort=-nar_size&format=json")
        .await;
    assert_eq!(whole["items"], serde_json::Value::from(rows));
    assert_eq!(
        (&whole["total"], &whole["next"]),
        (&255.into(), &serde_json::Value::Null)
    );

    let few = server
        .text("/api/v1/caches/main/paths?q=-1.0&sort=name&format=markdown&columns=name")
        .await;
    assert!(
        few.starts_with("| name |\n| --- |\n| =cmd-1.0 |\n"),
        "{few}"
    );
    for (bad, part) in [
        ("paths?format=markdown", "at most 200 rows"),
        ("paths?format=xlsx", "ndjson"),
        ("paths?format=csv&limit=5", "all rows"),
        ("paths?format=csv&columns=size", "nar_size"),
        ("health?format=csv&columns=name", "reason"),
    ] {
        let refused = server.get(&format!("/api/v1/caches/main/{bad}")).await;
        assert_eq!(refused.status(), 400, "{bad}");
        let detail = refused.text().await.expect("text");
        assert!(detail.contains(part), "{bad}: {detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_part_of_a_list_is_asked_for_by_its_first_row() {
    let server = server().await;
    let library = hash(&server, "library-1.0");
    for list in [
        "paths?sort=name".to_owned(),
        "paths?sort=-nar_size".to_owned(),
        "paths?q=single&sort=-name".to_owned(),
        "paths?sig=valid&sort=hash".to_owned(),
        format!("paths/{library}/referrers?sort=-name"),
    ] {
        let list = format!("/api/v1/caches/main/{list}&limit=60");
        let (mut begin, mut cursor) = (0, String::new());
        loop {
            let by_cursor = server.json(&format!("{list}{cursor}")).await;
            let by_offset = server.json(&format!("{list}&offset={begin}")).await;
            assert_eq!(by_offset, by_cursor, "{list} from row {begin}");
            begin += by_cursor["items"].as_array().expect("items").len();
            match by_cursor["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let beyond = server.json(&format!("{list}&offset={}", u32::MAX)).await;
        assert_eq!(
            (&beyond["items"], &beyond["total"], &beyond["next"]),
            (
                &serde_json::json!([]),
                &begin.into(),
                &serde_json::Value::Null
            )
        );
        // Not from the beginning of a page either.
        let odd = server.json(&format!("{list}&offset=1&limit=1")).await;
        let first = server.json(&format!("{list}&limit=2")).await;
        assert_eq!(odd["items"][0], first["items"][1], "{list}");
    }
    for (bad, part) in [
        ("offset=x", "counted from 0"),
        ("offset=-1", "counted from 0"),
        ("offset=4294967296", "counted from 0"),
        ("offset=1&cursor=AAAA", "not at both"),
        ("offset=1&format=csv", "all rows"),
    ] {
        let refused = server
            .get(&format!("/api/v1/caches/main/paths?{bad}"))
            .await;
        assert_eq!(refused.status(), 400, "{bad}");
        let detail = refused.text().await.expect("text");
        assert!(detail.contains(part), "{bad}: {detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closures_referrers_and_findings_are_exported_too() {
    let server = server().await;
    let (one, library) = (hash(&server, "one-1.0"), hash(&server, "library-1.0"));
    let at = |part: &str| format!("/api/v1/caches/main/{part}");
    let closure = server
        .text(&at(&format!(
            "paths/{one}/closure?format=csv&columns=name,depth,present"
        )))
        .await;
    assert_eq!(
        closure,
        "name,depth,present\r\none-1.0,0,true\r\nlibrary-1.0,1,true\r\n"
    );
    let referrers = server
        .text(&at(&format!(
            "paths/{library}/referrers?format=ndjson&columns=name"
        )))
        .await;
    assert_eq!(
        referrers,
        "{\"name\":\"one-1.0\"}\n{\"name\":\"three-1.0\"}\n{\"name\":\"two-1.0\"}\n"
    );
    let findings = server
        .text(&at("health?check=unsigned&format=csv&columns=check,hash"))
        .await;
    assert_eq!(
        findings,
        format!("check,hash\r\nunsigned,{}\r\n", hash(&server, "=cmd-1.0"))
    );
    let none = server.text(&at("paths?q=nothing&format=json")).await;
    let none: serde_json::Value = serde_json::from_str(&none).expect("JSON");
    assert_eq!(
        (&none["items"], &none["total"]),
        (&serde_json::json!([]), &0.into())
    );
}
