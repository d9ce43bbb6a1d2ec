//! The stream of events of a cache.

use std::time::Duration;

use crate::harness::{TestServer, header};

/// The next event of a stream: its name and data.
async fn event(
    response: &mut reqwest::Response,
    buffer: &mut String,
) -> Option<(String, serde_json::Value)> {
    loop {
        if let Some(end) = buffer.find("\n\n") {
            let block: String = buffer.drain(..end + 2).collect();
            let field = |name: &str| {
                block
                    .lines()
                    .find_map(|line| line.strip_prefix(name))
                    .map(str::trim)
            };
            if let (Some(name), Some(data)) = (field("event:"), field("data:")) {
                return Some((name.to_owned(), serde_json::from_str(data).expect("JSON")));
            }
            continue;
        }
        let chunk = tokio::time::timeout(Duration::from_secs(20), response.chunk())
            .await
            .expect("in time")
            .ok()??;
        buffer.push_str(std::str::from_utf8(&chunk).expect("text"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_comes_at_once_and_again_when_it_changes() {
    let server = TestServer::start(|_| {}, |_| {}).await;
    let mut response = server.get("/api/v1/caches/main/events").await;
    assert_eq!(header(&response, "content-type"), "text/event-stream");
    assert_eq!(header(&response, "x-accel-buffering"), "no");
    assert!(header(&response, "cache-control").contains("no-"));
    let mut buffer = String::new();
    let (name, first) = event(&mut response, &mut buffer).await.expect("an event");
    assert_eq!((name.as_str(), &first["state"]), ("index", &"ready".into()));
    server.shelf().put("new-1.0", &[]);
    server
        .server
        .sync("main")
        .expect("a sync")
        .sweep_now()
        .await
        .expect("a sweep");
    let changed = loop {
        let (_, next) = event(&mut response, &mut buffer).await.expect("an event");
        if next["state"] == "ready" && next["revision"] != first["revision"] {
            break next;
        }
    };
    assert!(changed["as_of"].as_str() >= first["as_of"].as_str());
    assert!(
        server
            .text("/metrics")
            .await
            .contains("snowbank_event_streams 1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_the_server() {
    let server = TestServer::start(|_| {}, |_| {}).await;
    let mut response = server.get("/api/v1/caches/main/events").await;
    let mut buffer = String::new();
    event(&mut response, &mut buffer).await.expect("an event");
    let TestServer {
        server,
        dir,
        client,
    } = server;
    let ended = tokio::time::timeout(Duration::from_secs(8), server.shutdown());
    let (ended, rest) = tokio::join!(ended, event(&mut response, &mut buffer));
    ended.expect("the server ends in time although a stream was open");
    assert!(rest.is_none(), "and the stream with it");
    drop((dir, client));
}
