//! The program as it is started: commands, wrong settings, the greeting.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The program, without what the tests' own environment says about it.
fn snowbank(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snowbank"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SNOWBANK_") {
            command.env_remove(name);
        }
    }
    command
        .env("HOME", dir)
        .env("SNOWBANK_LISTEN", "127.0.0.1:0")
        .env_remove("XDG_DATA_HOME")
        .env_remove("STATE_DIRECTORY")
        .current_dir(dir);
    command
}

fn run(dir: &Path, arguments: &[&str]) -> Output {
    snowbank(dir)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn wrong_settings_end_the_program_with_one_line() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("file"), "").expect("a file");
    for (arguments, named) in [
        (
            &["serve", "--listen", "nonsense"][..],
            "`listen` cannot be `nonsense` (from --listen)",
        ),
        (&["serve", "--set", "caches.t.bukket=x"], "caches.t.bucket"),
        (&["serve", "--config", "absent.toml"], "absent.toml"),
        (&["serve", "--set", "nothing"], "KEY=VALUE"),
        (&["index", "--cache", "absent"], "no cache `absent`"),
        (
            &["serve", "--set", "secret_file=file/secret"],
            "`secret_file`: file/secret: ",
        ),
        (&["serve", "--data-dir", "file"], "`data_dir`: file"),
        (
            &[
                "index",
                "--set",
                "caches.t.bucket=t",
                "--set",
                "caches.t.signing_key_files=gone",
            ],
            "`caches.t.signing_key_files`: gone: ",
        ),
        (
            &[
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--s3-listen",
                "192.0.2.1:9",
            ],
            "cannot listen on 192.0.2.1:9 (`s3_listen`): ",
        ),
        (
            &["serve", "--listen", "192.0.2.1:9"],
            "cannot listen on 192.0.2.1:9 (`listen`): ",
        ),
        (&["index", "--set", "caches.t.bucket=A/b"], "`caches.t`: "),
    ] {
        let output = run(dir.path(), arguments);
        assert!(!output.status.success(), "{arguments:?}");
        let error = text(&output.stderr);
        assert!(
            error.starts_with("snowbank: ") && error.contains(named) && error.lines().count() == 1,
            "{arguments:?}: {error}"
        );
        // What the system says stands there once.
        assert!(error.matches("(os error").count() <= 1, "{error}");
    }
}

#[test]
fn keys_are_made_and_converted() {
    let dir = tempfile::tempdir().expect("a folder");
    let secret = text(
        &run(
            dir.path(),
            &["key", "generate", "--key-name", "cache.example.org-1"],
        )
        .stdout,
    );
    assert!(
        secret.starts_with("cache.example.org-1:") && secret.trim_end().len() == 20 + 88,
        "{}",
        secret.len()
    );
    let public = text(
        &run(
            dir.path(),
            &["key", "generate", "--key-name", "k-1", "--out", "k"],
        )
        .stdout,
    );
    assert_eq!(
        text(&run(dir.path(), &["key", "convert", "k"]).stdout),
        public
    );
    assert!(
        public.starts_with("k-1:") && public.trim_end().len() == 4 + 44,
        "{public}"
    );
    let again = run(
        dir.path(),
        &["key", "generate", "--key-name", "k-1", "--out", "k"],
    );
    assert!(!again.status.success() && text(&again.stderr).contains("left as it is"));
    for bad in ["", "a b", "a:b"] {
        assert!(
            !run(dir.path(), &["key", "generate", "--key-name", bad])
                .status
                .success(),
            "{bad:?}"
        );
    }
}

#[test]
fn the_document_is_printed() {
    let dir = tempfile::tempdir().expect("a folder");
    let document: serde_json::Value =
        serde_json::from_slice(&run(dir.path(), &["openapi"]).stdout).expect("JSON");
    assert_eq!(document["openapi"], "3.1.0");
}

#[test]
fn index_sweeps_once_and_says_what_it_found() {
    let dir = tempfile::tempdir().expect("a folder");
    let shelf = crate::harness::Shelf::new(dir.path().join("cache"));
    let base = shelf.put("base-1.0", &[]);
    shelf.put("app-1.0", &[&base]);
    let folder = format!("caches.team.folder={}", shelf.folder.display());
    let key = format!("caches.team.public_keys={}", shelf.key.public_key());
    let output = run(dir.path(), &["index", "--set", &folder, "--set", &key]);
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        printed.contains("team: 2 paths") && printed.contains("valid         2 paths"),
        "{printed}"
    );
    let output = run(
        dir.path(),
        &[
            "index",
            "--set",
            "caches.far.bucket=far",
            "--set",
            "caches.far.endpoint=http://127.0.0.1:1",
            "--set",
            "caches.far.credentials.read.anonymous=true",
        ],
    );
    assert!(!output.status.success(), "a bucket that cannot be reached");
    assert!(
        text(&output.stdout).starts_with("far: "),
        "{}",
        text(&output.stdout)
    );
}

#[cfg(unix)]
#[test]
fn the_program_greets_serves_and_ends_at_a_signal() {
    use std::io::{BufRead as _, BufReader};
    let dir = tempfile::tempdir().expect("a folder");
    let mut child = snowbank(dir.path())
        .args(["--help"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the program");
    assert!(child.wait().expect("an end").success());
    let mut child = snowbank(dir.path())
        .env("SNOWBANK_LISEN", "127.0.0.1:1")
        .env("SNOWBANK_SKIP", "nix")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    let out = BufReader::new(child.stdout.take().expect("its output"));
    let mut lines = Vec::new();
    for line in out.lines() {
        let line = line.expect("a line");
        let last = line.starts_with("extra-trusted-public-keys = ");
        lines.push(line);
        if last {
            break;
        }
    }
    assert!(lines[0].contains(" is at http://127.0.0.1:"), "{lines:?}");
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("extra-substituters = http://127.0.0.1:")),
        "{lines:?}"
    );
    assert!(
        dir.path()
            .join(".local/share/snowbank/keys/main.secret")
            .is_file()
    );
    let killed = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .expect("kill");
    assert!(killed.success());
    let begun = std::time::Instant::now();
    let ended = child.wait_with_output().expect("an end");
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    let log = text(&ended.stderr);
    assert!(
        log.contains("SNOWBANK_LISEN is no setting") && !log.contains("SNOWBANK_SKIP"),
        "{log}"
    );
    assert!(begun.elapsed() < std::time::Duration::from_secs(15));
}
