//! The build log of a path: found by its derivation, unpacked, and nothing of it runs.

use std::io::Write as _;

use serde_json::Value;

use crate::harness::{Shelf, Shelved, TestServer, header};

const TEXT: &str = "unpacking sources\n\u{1b}[31merror\u{1b}[0m: <script>alert(1)</script>\n";

/// The path once more, made by a derivation of this name.
fn derived(shelf: &Shelf, made: &Shelved, drv: &str) -> String {
    let deriver = format!("{}-{drv}.drv", made.hash);
    let line = format!("Deriver: {deriver}\nSig: ");
    let narinfo = made.narinfo.replacen("Sig: ", &line, 1);
    shelf.file(&format!("{}.narinfo", made.hash), narinfo.as_bytes());
    format!("log/{deriver}")
}

async fn problem(server: &TestServer, address: &str) -> (u16, String) {
    let answer = server.get(address).await;
    let status = answer.status().as_u16();
    let json: Value = answer.json().await.expect("JSON");
    (status, json["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_found_by_its_derivation_and_shown_as_text() {
    let names = ["plain-1", "packed-1", "broken-1", "unlogged-1", "alone-1"];
    let mut made = Vec::new();
    let server = TestServer::start(
        |shelf| {
            made.extend(names.map(|name| shelf.put(name, &[])));
            shelf.file(&derived(shelf, &made[0], "plain-1"), TEXT.as_bytes());
            let mut packed = xz2::write::XzEncoder::new(Vec::new(), 1);
            packed.write_all(TEXT.as_bytes()).expect("packed");
            let packed = packed.finish().expect("packed");
            shelf.file(&derived(shelf, &made[1], "packed-1"), &packed);
            let broken = [&[0xfd][..], b"7zXZ\0", &[7; 200]].concat();
            shelf.file(&derived(shelf, &made[2], "broken-1"), &broken);
            derived(shelf, &made[3], "unlogged-1");
        },
        |_| {},
    )
    .await;
    let at =
        |at: usize, more: &str| format!("/api/v1/caches/main/paths/{}/log{more}", made[at].hash);
    for packed in [0, 1] {
        let answer = server.get(&at(packed, "")).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(header(&answer, "content-type"), "text/plain; charset=utf-8");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        assert!(header(&answer, "content-security-policy").contains("sandbox"));
        assert_eq!(
            header(&answer, "content-disposition"),
            format!(
                "inline; filename=\"{}-{}.drv.log\"",
                made[packed].hash, names[packed]
            )
        );
        assert_eq!(answer.text().await.expect("text"), TEXT);
        assert_eq!(server.text(&at(packed, "?head=9")).await, "unpacking");
        assert_eq!(server.text(&at(packed, "?head=0")).await, "");
    }
    for (address, expected) in [
        (at(2, ""), (422, "log-unreadable")),
        (at(3, ""), (404, "no-log")),
        (at(4, ""), (404, "no-deriver")),
        (at(0, "?head=x"), (400, "bad-parameter")),
        (at(0, "?tail=1"), (400, "bad-parameter")),
    ] {
        let (status, code) = problem(&server, &address).await;
        assert_eq!((status, code.as_str()), expected, "{address}");
    }
    let absent = "/api/v1/caches/main/paths/00000000000000000000000000000000/log";
    assert_eq!(server.get(absent).await.status(), 404);
}
