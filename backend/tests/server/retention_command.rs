//! `snowbank gc`: what it does, what it refuses before it begins, and how it ends.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};
use snowbank::bucket::embedded::faults::{Action, Rule};
use snowbank::bucket::embedded::operation::Operation;
use snowbank::bucket::embedded::{EmbeddedConfig, EmbeddedS3};

use crate::harness::{Shelf, Shelved, TestServer};
use crate::people::{Actor, read};
use crate::retention_runs::{narinfo, opened};

/// The command over the folder of a server that has ended.
struct Command {
    dir: tempfile::TempDir,
    settings: PathBuf,
}

/// How it ended: its exit code, what it printed, and its errors.
type Ended = (Option<i32>, String, String);

fn written(dir: &Path, cache: &str) -> PathBuf {
    let settings = dir.join("s.toml");
    let text = format!("data_dir = '{}/data'\n{cache}", dir.display());
    std::fs::write(&settings, text).expect("a file");
    settings
}

fn over_folder(dir: &Path) -> PathBuf {
    let folder = dir.join("cache");
    written(
        dir,
        &format!("[caches.main]\nfolder = '{}'\n", folder.display()),
    )
}

async fn gc(settings: &Path, arguments: &[&str]) -> Ended {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_snowbank"));
    command
        .arg("gc")
        .args(arguments)
        .arg("--config")
        .arg(settings);
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("no panic")
        .expect("the program runs");
    (
        output.status.code(),
        String::from_utf8(output.stdout).expect("text"),
        String::from_utf8(output.stderr).expect("text"),
    )
}

async fn set(server: &TestServer, who: &Actor, rules: Value) {
    let path = "/caches/main/gc/rules";
    let mut shown = who.json(server, path).await;
    shown["rules"] = rules;
    read(who.send(server, Method::PUT, path, Some(shown)).await).await;
}

impl Command {
    async fn after(server: TestServer) -> Self {
        let TestServer { server, dir, .. } = server;
        server.shutdown().await;
        let settings = over_folder(dir.path());
        Self { dir, settings }
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        gc(&self.settings, arguments).await
    }

    /// `--yes` and `--dry-run` end the same, for this reason.
    async fn refuses(&self, made: &[Shelved], arguments: &[&str], why: &str) {
        let mut ended = Vec::new();
        for first in ["--yes", "--dry-run"] {
            let mut all = vec![first];
            all.extend(arguments);
            let (code, text, errors) = self.run(&all).await;
            assert_eq!(code, Some(1), "{first}: {text}{errors}");
            assert!(errors.contains(why), "{first}: {errors}");
            assert_eq!(text.contains("would go"), first == "--dry-run", "{text}");
            // Without the log, which has the time.
            let said = errors.lines().filter(|line| line.starts_with("snowbank: "));
            ended.push(said.map(str::to_owned).collect::<Vec<_>>());
        }
        assert_eq!(ended[0], ended[1]);
        self.is_whole(made);
    }

    fn is_whole(&self, made: &[Shelved]) {
        let shelf = Shelf::new(self.dir.path().join("cache"));
        for made in made {
            assert!(narinfo(&shelf, made).exists(), "{}", made.path);
        }
    }
}

/// As JSON.
fn told(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_does_the_same_and_not_behind_a_servers_back() {
    let (server, made, olga) = opened(std::time::Duration::ZERO).await;
    let [lib, app, old, one, two] = &made[..] else {
        panic!("five paths");
    };
    // The folder is the running server's.
    let settings = over_folder(server.dir.path());
    let (code, _, errors) = gc(&settings, &["--yes", "--foreign"]).await;
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("in use by another server"), "{errors}");
    set(
        &server,
        &olga,
        json!({"uploaded_days": 30, "grace_hours": 0}),
    )
    .await;
    let command = Command::after(server).await;

    let (code, text, errors) = command.run(&["--dry-run", "--foreign", "--json"]).await;
    assert_eq!(code, Some(0), "{text}{errors}");
    assert_eq!(told(&text)["simulation"]["frees"]["paths"], 4, "{text}");
    // Without a yes nothing is begun.
    let (code, text, errors) = command.run(&[]).await;
    assert_eq!((code, text.as_str()), (Some(1), ""), "{errors}");
    command.is_whole(&made);
    let (code, text, errors) = command.run(&["--yes", "--foreign", "--json"]).await;
    assert_eq!(code, Some(0), "{text}{errors}");
    let said = told(&text);
    assert_eq!(
        (&said["run"]["state"], &said["run"]["trashed"]),
        (&json!("grace"), &json!(4))
    );
    let shelf = Shelf::new(command.dir.path().join("cache"));
    for (made, stays) in [
        (lib, false),
        (app, false),
        (old, false),
        (one, false),
        (two, true),
    ] {
        assert_eq!(narinfo(&shelf, made).exists(), stays, "{}", made.path);
    }
    let (code, _, errors) = command.run(&["--yes", "--foreign"]).await;
    assert_eq!(code, Some(0), "nothing to do: {errors}");
    let (code, _, _) = command.run(&["--yes", "--cache", "nowhere"]).await;
    assert_eq!(code, Some(2));
}

/// A dry run that ends well is a promise that the run would begin.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_refuses_what_a_yes_would() {
    let (server, made, olga) = opened(std::time::Duration::ZERO).await;
    set(
        &server,
        &olga,
        json!({"uploaded_days": 30, "grace_hours": 0}),
    )
    .await;
    let command = Command::after(server).await;
    command
        .refuses(&made, &[], "5 paths of this cache came past this server")
        .await;
    let (_, text, _) = command.run(&["--dry-run", "--json"]).await;
    let simulation = &told(&text)["simulation"];
    assert_eq!(simulation["foreign_paths"], 5, "{text}");
    assert!(simulation["refusal"].is_string(), "{text}");

    let server = TestServer::run(crate::harness::config(command.dir.path()), command.dir).await;
    let olga = crate::people::another_owner(&server).await;
    set(&server, &olga, json!({"grace_hours": 0})).await;
    let command = Command::after(server).await;
    command
        .refuses(&made, &["--foreign"], "No rule is on")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_bucket_refuses_to_delete_is_told_and_no_success() {
    let (server, made, olga) = opened(std::time::Duration::ZERO).await;
    set(
        &server,
        &olga,
        json!({"uploaded_days": 30, "grace_hours": 0}),
    )
    .await;
    let Command { dir, .. } = Command::after(server).await;
    let mut config = EmbeddedConfig::new().bucket("main", dir.path().join("cache"));
    config.durable = false;
    let bucket = EmbeddedS3::start(config).await.expect("a bucket");
    let refuses = Rule::new(Action::AccessDenied).on(Operation::Delete);
    bucket.faults().add(refuses.key_contains(".narinfo"));
    let credentials = bucket.credentials();
    let settings = written(
        dir.path(),
        &format!(
            "[caches.main]\nbucket = 'main'\nendpoint = '{}'\nregion = 'us-east-1'\npath_style = true\n\
             [caches.main.credentials.read]\naccess_key_id = '{}'\nsecret_access_key = '{}'\n",
            bucket.endpoint(),
            credentials.access_key,
            credentials.secret_key
        ),
    );
    let (code, text, errors) = gc(&settings, &["--yes", "--foreign", "--json"]).await;
    assert_eq!(code, Some(2), "{text}{errors}");
    // What `app` refers to stays with it, and is not tried.
    let run = &told(&text)["run"];
    assert_eq!(
        (&run["state"], &run["trashed"]),
        (&json!("grace"), &json!(0))
    );
    assert_eq!(run["left_out_paths"], 4, "{text}");
    assert!(errors.contains("3 times: the bucket refused"), "{errors}");
    assert!(errors.contains(".narinfo"), "{errors}");
    let shelf = Shelf::new(dir.path().join("cache"));
    for made in &made {
        assert!(narinfo(&shelf, made).exists(), "{}", made.path);
    }
    // What a run before this one went through is not told again.
    bucket.faults().clear();
    let (code, text, errors) = gc(&settings, &["--yes", "--foreign"]).await;
    assert_eq!(code, Some(0), "{text}{errors}");
    assert!(!errors.contains("refused"), "{errors}");
}
