//! The build log of a path: found by its derivation, unpacked, and nothing of it runs.

use std::io::Write as _;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Shelf, Shelved, TestServer, header};
use crate::people::owner;

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

#[tokio::test(flavor = "multi_thread")]
async fn strangers_that_do_not_read_keep_no_member_from_a_log() {
    // More than what lies between a server and a client that does not read.
    const LONG: usize = 48 << 20;
    let mut hash = String::new();
    let server = TestServer::start(
        |shelf| {
            let made = shelf.put("long-1", &[]);
            let key = derived(shelf, &made, "long-1");
            shelf.file(&key, &b"all the same line\n".repeat(LONG / 18));
            hash = made.hash;
        },
        |_| {},
    )
    .await;
    let olga = owner(&server).await;
    let address = format!("/caches/main/paths/{hash}/log");
    let mut held = Vec::new();
    for number in 0..8 {
        let mut stream = TcpStream::connect(server.server.addr)
            .await
            .expect("a connection");
        let request = format!("GET /api/v1{address} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let sent = stream.write_all(request.as_bytes()).await;
        sent.expect("a request");
        // The first two are being answered, the others wait for them.
        if number < 2 {
            let mut status = [0; 12];
            stream.read_exact(&mut status).await.expect("an answer");
            assert_eq!(&status, b"HTTP/1.1 200");
        }
        held.push(stream);
    }
    let answer = olga.get(&server, &address).await;
    assert_eq!(answer.status(), 200);
    let text = answer.bytes().await.expect("all of it");
    assert_eq!(text.len(), LONG / 18 * 18);
    drop(held);
}
