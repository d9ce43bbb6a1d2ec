//! The files of a path: listed from its `.ls` or its archive, and each of them alone.

use serde_json::Value;
use snowbank_shared::nar::{Inspector, Listing, ListingLimits, NarWriter};

use crate::harness::{Shelf, Shelved, TestServer, archive, header};

const FILES: &[(&[u8], &[u8])] = &[
    (b"bin*", b"#!/bin/sh\n"),
    (b"elf", b"\x7fELF\0\0"),
    (b"empty", b""),
    (b"index.html", b"<script>alert(1)</script>"),
    (b"odd\xff", b"odd"),
];

/// An archive that no other path has.
fn tree(name: &str) -> Vec<u8> {
    archive(&[FILES, &[(b"z", name.as_bytes())]].concat())
}

fn listing(nar: &[u8]) -> Listing {
    let mut inspector = Inspector::new(ListingLimits::default());
    inspector.push(nar).expect("an archive");
    inspector.finish().expect("whole").listing.expect("a tree")
}

/// The same path with its archive packed: other bytes in the bucket.
fn packed(shelf: &Shelf, made: &Shelved) {
    let stored = zstd::encode_all(&made.nar[..], 3).expect("packed");
    let lines: Vec<String> = made
        .narinfo
        .lines()
        .filter(|line| !line.starts_with("File"))
        .map(|line| match line {
            "Compression: none" => "Compression: zstd".to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    shelf.file(&made.url, &stored);
    shelf.file(
        &format!("{}.narinfo", made.hash),
        format!("{}\n", lines.join("\n")).as_bytes(),
    );
}

/// The answer once the archive was read: on a busy machine that takes a while.
async fn read(server: &TestServer, address: &str) -> (u16, Value) {
    for _ in 0..100 {
        let answer = server.get(address).await;
        let status = answer.status().as_u16();
        let json: Value = answer.json().await.expect("JSON");
        if json.get("reading").is_none_or(Value::is_null) {
            return (status, json);
        }
    }
    panic!("{address} is read for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_a_path_are_listed_and_each_can_be_had() {
    let mut made = Vec::new();
    let server = TestServer::start(
        |shelf| {
            for name in ["plain-1", "packed-1", "listed-1", "lies-1", "garbage-1"] {
                made.push(shelf.put_of(name, tree(name)));
            }
            let mut alone = Vec::new();
            let mut writer = NarWriter::new(|bytes: &[u8]| alone.extend_from_slice(bytes));
            writer.file(b"alone", false).expect("a file");
            writer.finish().expect("an archive");
            made.push(shelf.put_of("alone-1", alone));
            packed(shelf, &made[1]);
            let text = listing(&made[2].nar).to_json();
            let zipped = zstd::encode_all(text.as_bytes(), 3).expect("packed");
            shelf.file(&format!("{}.ls", made[2].hash), &zipped);
            // Of another archive: 20 bytes more in one file.
            let text = listing(&made[3].nar).to_json();
            let lies = text.replace("\"size\":10", "\"size\":30");
            assert_ne!(lies, text);
            shelf.file(&format!("{}.ls", made[3].hash), lies.as_bytes());
            shelf.file(&format!("{}.ls", made[4].hash), b"{\"version\":1");
        },
        |_| {},
    )
    .await;
    for (path, by) in made.iter().zip(["nar", "nar", "ls", "nar", "nar"]) {
        let below = format!("/api/v1/caches/main/paths/{}", path.hash);
        let (_, files) = read(&server, &format!("{below}/files")).await;
        assert_eq!(files["listed_by"], by, "{}", path.path);
        assert_eq!(files["total"], 6);
        assert_eq!(files["node"]["type"], "directory");
        assert_eq!(files["node"]["entries"], 6);
        assert_eq!(files["items"][0]["executable"], true);
        assert_eq!(files["items"][4]["name"], "odd\u{fffd}");
        assert_eq!(files["items"][4]["name_b64"], "b2Rk/w==");
        let whole = server.get(&format!("{below}/listing")).await;
        assert_eq!(header(&whole, "content-type"), "application/json");
        let expected = listing(&path.nar).to_json();
        assert_eq!(whole.text().await.expect("text"), expected, "{}", path.path);
        for (name, contents) in [
            ("bin", &b"#!/bin/sh\n"[..]),
            ("elf", b"\x7fELF\0\0"),
            ("empty", b""),
            ("odd%FF", b"odd"),
        ] {
            let file = server.get(&format!("{below}/files/{name}")).await;
            assert_eq!(file.status(), 200, "{} of {}", name, path.path);
            assert_eq!(header(&file, "content-length"), contents.len().to_string());
            assert_eq!(file.bytes().await.expect("bytes"), contents, "{name}");
        }
        let head = server.text(&format!("{below}/files/bin?head=2")).await;
        assert_eq!(head, "#!");
        // Nothing of it runs, and what is no text is a download.
        let page = server.get(&format!("{below}/files/index.html")).await;
        assert_eq!(header(&page, "content-type"), "text/plain; charset=utf-8");
        assert!(header(&page, "content-security-policy").contains("sandbox"));
        assert_eq!(header(&page, "x-content-type-options"), "nosniff");
        let elf = server.get(&format!("{below}/files/elf")).await;
        assert_eq!(
            header(&elf, "content-disposition"),
            "attachment; filename*=UTF-8''elf"
        );
        let (_, contents) = read(&server, &format!("{below}/contents")).await;
        assert_eq!(contents["items"].as_array().expect("items").len(), 7);
        assert_eq!(contents["items"][2]["binary"], true);
    }
    let single = format!("/api/v1/caches/main/paths/{}/files/", made[5].hash);
    assert_eq!(server.text(&single).await, "alone");
    let below = format!("/api/v1/caches/main/paths/{}/files", made[0].hash);
    let one = server.json(&format!("{below}?path=odd%25FF")).await;
    assert_eq!(one["node"]["size"], 3);
    let found = server.json(&format!("{below}?q=IN")).await;
    let names: Vec<&str> = found["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter_map(|item| item["name"].as_str())
        .collect();
    assert_eq!(names, ["bin", "index.html"]);
    for (address, status) in [
        (format!("{below}?path=none"), 404),
        (format!("{below}/none"), 404),
        (format!("{below}?path=a%2F..%2Fb"), 400),
        (format!("{below}/bin/x"), 404),
        (format!("{below}/.."), 404),
        (format!("{below}?sort=x"), 400),
    ] {
        assert_eq!(server.get(&address).await.status(), status, "{address}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_not_what_its_narinfo_says_has_no_files() {
    let mut made = Vec::new();
    let server = TestServer::start(
        |shelf| {
            for name in ["other-1", "cut-1", "gone-1"] {
                made.push(shelf.put_of(name, archive(&[(name.as_bytes(), b"x")])));
            }
            shelf.file(&made[0].url, &archive(&[(b"other-2", b"x")]));
            let half = &made[1].nar[..100];
            shelf.file(&made[1].url, half);
            std::fs::remove_file(shelf.folder.join(&made[2].url)).expect("removed");
        },
        |_| {},
    )
    .await;
    for (path, status, code) in [
        (&made[0], 422, "archive-unreadable"),
        (&made[1], 422, "archive-unreadable"),
        (&made[2], 404, "nar-missing"),
    ] {
        for part in ["files", "listing", "contents"] {
            let address = format!("/api/v1/caches/main/paths/{}/{part}", path.hash);
            let (answered, problem) = read(&server, &address).await;
            assert_eq!(answered, status, "{address}");
            assert_eq!(problem["code"], code, "{problem}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_moved_a_file_hands_out_nothing() {
    let mut path = None;
    let server = TestServer::start(
        |shelf| {
            let tree = archive(&[(b"a", b"12345678"), (b"b", b"secret!!")]);
            let made = shelf.put_of("moved-1", tree.clone());
            // The same layout under other names and sizes: it adds up, and is a lie.
            let text = listing(&tree).to_json();
            let lies = text.replacen("\"size\":8", "\"size\":7", 1);
            shelf.file(&format!("{}.ls", made.hash), lies.as_bytes());
            path = Some(made);
        },
        |_| {},
    )
    .await;
    let path = path.expect("made");
    let below = format!("/api/v1/caches/main/paths/{}/files", path.hash);
    assert_eq!(read(&server, &below).await.1["listed_by"], "ls");
    let answer = server.get(&format!("{below}/a")).await;
    assert_eq!(answer.status(), 422);
    assert_eq!(server.text(&format!("{below}/b")).await, "secret!!");
}
