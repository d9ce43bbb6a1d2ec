//! Files by name in a closure: what has a listing is looked through, the rest is counted.

use snowbank_shared::nar::{Inspector, ListingLimits};

use crate::harness::{Shelf, Shelved, TestServer, archive};

/// A path with these files, and its listing beside it where `listed`.
fn put(shelf: &Shelf, name: &str, files: &[&str], refers: &[&Shelved], listed: bool) -> Shelved {
    let files: Vec<(&[u8], &[u8])> = files
        .iter()
        .map(|file| (file.as_bytes(), name.as_bytes()))
        .collect();
    let nar = archive(&files);
    let made = shelf.put_with(name, nar, refers);
    if listed {
        let mut inspector = Inspector::new(ListingLimits::default());
        inspector.push(&made.nar).expect("an archive");
        let listing = inspector.finish().expect("whole").listing.expect("a tree");
        let text = listing.to_json();
        shelf.file(&format!("{}.ls", made.hash), text.as_bytes());
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_looked_for_in_a_closure_without_reading_an_archive() {
    let mut made = Vec::new();
    let server = TestServer::start(
        |shelf| {
            let leaf = put(shelf, "leaf-1", &["libSSL.so", "readme"], &[], true);
            let dark = put(shelf, "dark-1", &["libssl.a"], &[], false);
            let absent = shelf.make("absent-1", &[], true);
            let middle = put(
                shelf,
                "middle-1",
                &["libssl.pc", "libssl.so"],
                &[&leaf, &dark, &absent],
                true,
            );
            let top = put(shelf, "top-1", &["program"], &[&middle], true);
            put(shelf, "other-1", &["libssl.so"], &[], true);
            made.extend([top, middle, leaf, dark]);
        },
        |_| {},
    )
    .await;
    let at = |more: &str| format!("/api/v1/caches/main/paths/{}/find?{more}", made[0].hash);
    let found = server.json(&at("q=LIBssl")).await;
    assert_eq!(found["paths"], 4);
    assert_eq!(found["looked_at"], 4);
    assert_eq!(found["without_listing"], 1, "{found}");
    assert_eq!(found["next"], serde_json::Value::Null);
    let names = |at: usize| -> Vec<String> {
        let files = found["items"][at]["files"].as_array().expect("files");
        let names = files.iter().map(|file| file["name"].as_str());
        names
            .map(|name| name.unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(found["items"][0]["name"], "middle-1");
    assert_eq!(names(0), ["libssl.pc", "libssl.so"]);
    assert_eq!(found["items"][1]["name"], "leaf-1");
    assert_eq!(
        (names(1), found["items"].as_array().expect("a list").len()),
        (vec!["libSSL.so".to_owned()], 2)
    );

    // One path after the other: the same in all.
    let (mut cursor, mut looked, mut items) = (String::new(), 0, 0);
    loop {
        let part = server.json(&at(&format!("q=libssl&limit=1{cursor}"))).await;
        looked += part["looked_at"].as_u64().expect("a number");
        items += part["items"].as_array().expect("a list").len();
        match part["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!((looked, items), (4, 2));

    // Once somebody has looked into it, it is found there too.
    let files = format!("/api/v1/caches/main/paths/{}/files", made[3].hash);
    let mut known = false;
    for _ in 0..100 {
        known = server.json(&files).await["reading"].is_null();
        if known {
            break;
        }
    }
    assert!(known, "{files} is read for ever");
    let found = server.json(&at("q=libssl.a")).await;
    assert_eq!(found["without_listing"], 0);
    assert_eq!(found["items"][0]["name"], "dark-1");
    for bad in [
        "",
        "q=",
        "q=x",
        "q=xx&limit=0",
        "q=xx&limit=101",
        "q=xx&colour=blue",
        "q=xx&cursor=!",
    ] {
        assert_eq!(server.get(&at(bad)).await.status(), 400, "{bad}");
    }
}
