//! A state that was saved while a run was in its grace time, and what can still be undone of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use snowbank::ledger::{ExportLine, LedgerError};

use crate::harness::{Shelved, TestServer};
use crate::people::{Actor, another_owner, owner, read, settled};
use crate::retention::filled;

/// Waits until a run is in this state.
async fn until(server: &TestServer, who: &Actor, run: &str, state: &str) -> Value {
    let begun = Instant::now();
    loop {
        let shown = who
            .json(server, &format!("/caches/main/gc/runs/{run}"))
            .await;
        if shown["state"] == state {
            return shown;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn narinfo(server: &TestServer, made: &Shelved) -> Option<String> {
    let path = server.shelf().folder.join(format!("{}.narinfo", made.hash));
    std::fs::read_to_string(path).ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_undone_by_a_server_that_took_in_what_another_saved() {
    let mut made = Vec::new();
    let server = TestServer::start(
        |shelf| made = filled(shelf),
        |config| config.retention.wait = Duration::ZERO,
    )
    .await;
    let olga = owner(&server).await;
    let wish = json!({
        "rules": {"uploaded_days": 30, "grace_hours": 0}, "foreign": true, "grace_days": 30,
    });
    let plan = read(olga.post(&server, "/caches/main/gc/plans", wish).await).await;
    let plan = plan["id"].as_str().expect("an id").to_owned();
    let start = format!("/caches/main/gc/plans/{plan}/run");
    let run = read(olga.post(&server, &start, json!({})).await).await;
    let run = run["id"].as_str().expect("an id").to_owned();
    until(&server, &olga, &run, "grace").await;
    let taken: Vec<&Shelved> = made
        .iter()
        .filter(|one| narinfo(&server, one).is_none())
        .collect();
    assert_eq!(taken.len(), 4);
    let mut lines = Vec::new();
    let keep = |line: &ExportLine| {
        lines.push(serde_json::to_string(line).expect("text"));
        Ok::<_, LedgerError>(())
    };
    let saved = server.server.site().ledger.export_whole(keep).await;
    let saved = saved.expect("saved");
    assert_eq!(
        (saved.bundles > 1, saved.unreadable),
        (true, 0),
        "{saved:?}"
    );
    let TestServer { server, dir, .. } = server;
    server.shutdown().await;

    // The same objects, and a state that begins empty.
    let other = TestServer::start(
        |shelf| {
            let nars = dir.path().join("cache/nar");
            for nar in std::fs::read_dir(nars).expect("NARs") {
                let nar = nar.expect("a NAR");
                let name = nar.file_name();
                let name = format!("nar/{}", name.to_str().expect("a name"));
                shelf.file(&name, &std::fs::read(nar.path()).expect("a NAR"));
            }
        },
        |config| config.retention.wait = Duration::ZERO,
    )
    .await;
    settled(&other).await;
    let ledger = &other.server.site().ledger;
    let lines = lines
        .iter()
        .map(|line| serde_json::from_str::<ExportLine>(line).expect("a line"));
    let done = ledger.import(lines, "test", false).await.expect("taken in");
    assert_eq!(done.bundles, saved.bundles);
    let oscar = another_owner(&other).await;
    until(&other, &oscar, &run, "grace").await;
    let undo = format!("/caches/main/gc/runs/{run}/undo");
    read(oscar.post(&other, &undo, json!({})).await).await;
    let undone = until(&other, &oscar, &run, "undone").await;
    assert_eq!(undone["left_out_paths"], 0, "{undone}");
    for path in taken {
        assert_eq!(
            narinfo(&other, path).as_ref(),
            Some(&path.narinfo),
            "{}",
            path.path
        );
    }
}
