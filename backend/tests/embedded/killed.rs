//! A server that is killed in the middle of a put.
//!
//! The server runs in a process of its own: this very test program, started again with a variable that
//! makes one ignored test serve a folder until it is killed.
#![expect(
    clippy::disallowed_methods,
    reason = "plain threads wait here, no runtime"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use snowbank::bucket::embedded::EmbeddedS3;

use crate::store::config;

const FOLDER: &str = "SNOWBANK_TEST_KILLED_FOLDER";

#[test]
#[ignore = "the server that the other test kills"]
fn serve_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = runtime
        .block_on(EmbeddedS3::start(config(folder.as_ref())))
        .unwrap();
    println!("\nserving {}", server.external_endpoint().unwrap());
    std::thread::sleep(Duration::from_secs(120));
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(folder: &std::path::Path) -> (Killed, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "killed::serve_until_killed",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let endpoint = lines.find_map(|line| line.unwrap().strip_prefix("serving ").map(str::to_owned));
    (Killed(child), endpoint.expect("the server did not start"))
}

fn get(endpoint: &str, path: &str) -> String {
    let host = endpoint.strip_prefix("http://").unwrap();
    crate::store::raw(
        endpoint,
        format!("GET /main{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes(),
    )
}

#[test]
fn no_half_object_is_ever_seen() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("main");
    let old = "o".repeat(100_000);
    for round in 0..3 {
        let (server, endpoint) = start(&folder);
        let host = endpoint.strip_prefix("http://").unwrap().to_owned();
        if round == 0 {
            std::fs::write(folder.join("old"), &old).unwrap();
        }
        // Two puts that have sent much of their body, one of them over an object that is there.
        let half = vec![b'n'; 3 << 20];
        let puts: Vec<TcpStream> = ["new", "old"]
            .iter()
            .map(|key| {
                let mut put = TcpStream::connect(&host).unwrap();
                write!(
                    put,
                    "PUT /main/{key} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n",
                    half.len() * 2
                )
                .unwrap();
                put.write_all(&half).unwrap();
                put
            })
            .collect();
        let tmp = folder.join(".s3/tmp");
        let written = || {
            std::fs::read_dir(&tmp)
                .unwrap()
                .filter(|entry| entry.as_ref().unwrap().metadata().unwrap().len() > 0)
                .count()
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while written() < 2 {
            assert!(Instant::now() < deadline, "the bodies do not arrive");
            std::thread::sleep(Duration::from_millis(5));
        }
        let seen = get(&endpoint, "/new");
        assert!(
            seen.starts_with("HTTP/1.1 404"),
            "{}",
            &seen[..seen.len().min(200)]
        );
        drop(server);
        drop(puts);
        assert!(!folder.join("new").exists());
        assert_eq!(std::fs::read_to_string(folder.join("old")).unwrap(), old);

        let (_server, endpoint) = start(&folder);
        assert_eq!(
            std::fs::read_dir(&tmp).unwrap().count(),
            0,
            "what the killed process left is removed"
        );
        assert!(get(&endpoint, "/new").starts_with("HTTP/1.1 404"));
        assert!(get(&endpoint, "/old").ends_with(&old));
        let listing = get(&endpoint, "?list-type=2");
        assert!(listing.contains("<KeyCount>1</KeyCount>"), "{listing}");
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("main");
    let mut acknowledged = Vec::new();
    for round in 0..2 {
        let (server, endpoint) = start(&folder);
        let host = endpoint.strip_prefix("http://").unwrap().to_owned();
        for n in 0..20 {
            let key = format!("deep/{round}/{n}.narinfo");
            let text = format!("object {key}");
            let put = format!(
                "PUT /main/{key} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
                text.len()
            );
            assert!(crate::store::raw(&endpoint, put.as_bytes()).starts_with("HTTP/1.1 200"));
            acknowledged.push((key, text));
        }
        drop(server);
    }
    let (_server, endpoint) = start(&folder);
    for (key, text) in acknowledged {
        assert!(get(&endpoint, &format!("/{key}")).ends_with(&text), "{key}");
    }
}
