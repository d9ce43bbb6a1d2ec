//! Access logs: what they tell is counted exactly, once, and apart from what this server counts.

use std::fs;
use std::io::Write as _;

use serde_json::{Value, json};
use snowbank::config::{AccessLogs, Config, LogFormat, LogOrigin, Source};
use snowbank::ledger::{LedgerError, RecordId, Scope};
use snowbank::usage::{Fetched, LogError, LogState};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::harness::{Shelved, TestServer};
use crate::people::{another_owner, settled};

const NIX: &str = "curl/8.5.0 Nix/2.18.1";

/// Logs of this format in a folder beside the cache's.
fn with_logs(config: &mut Config, format: LogFormat, origin: LogOrigin) {
    let dir = config.data_dir.parent().expect("a folder").join("logs");
    config.caches[0].access_logs = Some(AccessLogs {
        source: Source::Folder {
            folder: dir,
            prefix: "access/eu-".to_owned(),
        },
        format,
        origin,
    });
}

pub fn s3(config: &mut Config) {
    with_logs(config, LogFormat::S3, LogOrigin::Bucket);
}

pub fn put(server: &TestServer, name: &str, bytes: &[u8]) {
    let folder = server.dir.path().join("logs/access");
    fs::create_dir_all(&folder).expect("a folder");
    // As a copy that appears whole.
    let temporary = server.dir.path().join("log-on-its-way");
    fs::write(&temporary, bytes).expect("written");
    fs::rename(&temporary, folder.join(name)).expect("in its place");
}

/// Reads until nothing is new.
pub async fn read(server: &TestServer) {
    let site = server.server.site();
    let cache = site.cache("main").expect("main");
    let logs = cache.usage.logs().expect("logs");
    while logs
        .read(&site.ledger, "main", &cache.index, &cache.upstreams)
        .await
        .expect("read")
    {}
}

pub fn hours_ago(hours: i64) -> OffsetDateTime {
    OffsetDateTime::now_utc() - time::Duration::hours(hours)
}

/// What one client asked, as a line of S3.
pub struct Asked<'a> {
    pub address: &'a str,
    pub operation: &'a str,
    pub key: &'a str,
    pub status: u16,
    pub bytes: usize,
    pub agent: &'a str,
    pub authentication: &'a str,
    pub requester: &'a str,
}

impl Asked<'_> {
    pub fn line(&self, at: OffsetDateTime) -> String {
        let Self {
            address,
            operation,
            key,
            status,
            bytes,
            agent,
            authentication,
            requester,
        } = self;
        let clock =
            format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");
        let at = at.format(&clock).expect("a time");
        let bytes = match bytes {
            0 => "-".to_owned(),
            bytes => bytes.to_string(),
        };
        format!(
            "79a59df9 bucket [{at}] {address} {requester} 3E57427F3 REST.{operation}.OBJECT {key} \"{operation} /{key} HTTP/1.1\" {status} - {bytes} - 12 7 \"-\" \"{agent}\" - s9lz= SigV4 ECDHE-RSA {authentication} bucket.s3.amazonaws.com TLSv1.3 - -\n"
        )
    }
}

pub fn get<'a>(address: &'a str, key: &'a str, status: u16, bytes: usize) -> Asked<'a> {
    Asked {
        address,
        operation: "GET",
        key,
        status,
        bytes,
        agent: NIX,
        authentication: "-",
        requester: "-",
    }
}

/// As who the bucket knows the server.
pub const US: &str = "arn:aws:iam::123456789012:user/snowbank";
/// What is known of the logs, as it lies in the ledger.
pub fn state(server: &TestServer) -> Value {
    let view = server.server.site().ledger.view();
    let state = view.get::<LogState>(Scope::Cache("main"), &RecordId::only());
    serde_json::to_value(&*state.expect("a state").record).expect("JSON")
}

/// The object by which the server shows who it is.
pub async fn shown(server: &TestServer) -> String {
    let site = server.server.site();
    let cache = site.cache("main").expect("main");
    let logs = cache.usage.logs().expect("logs");
    let showing = logs.show(&site.ledger, "main", &cache.bucket);
    showing.await.expect("shown");
    let mark = state(server)["whose"]["mark"]
        .as_str()
        .expect("a mark")
        .to_owned();
    assert_eq!(mark.len(), 32);
    format!(".snowbank/whose-{mark}")
}

pub fn name(at: OffsetDateTime, end: &str) -> String {
    let stamp = format_description!("[year]-[month]-[day]-[hour]-[minute]-[second]");
    format!("eu-{}-{end}", at.format(&stamp).expect("a time"))
}

/// The sums without how long answers took.
pub async fn total(server: &TestServer, source: &str) -> Value {
    let address = format!("/api/v1/caches/main/usage?source={source}");
    let mut total = server.json(&address).await["total"].take();
    if let Some(fields) = total.as_object_mut() {
        fields.retain(|name, _| !name.ends_with("_p50") && !name.ends_with("_p95"));
    }
    total
}

pub fn counts(hits: u64, misses: u64, nars: u64, bytes: usize) -> Value {
    json!({
        "hits": hits, "misses": misses, "useful_misses": misses, "nar_requests": nars,
        "nar_bytes": bytes, "client_errors": 0, "server_errors": 0,
    })
}

pub async fn source(server: &TestServer, which: &str) -> Value {
    let shown = server.json("/api/v1/caches/main/usage").await;
    let sources = shown["sources"].as_array().expect("sources").clone();
    let mut sources = sources.into_iter();
    sources
        .find(|source| source["source"] == which)
        .expect("the source")
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_the_bucket_give_exactly_these_figures_once() {
    let mut made = Vec::new();
    let server = TestServer::start(
        |shelf| {
            let lib = shelf.put("lib-1.0", &[]);
            let app = shelf.put("app-1.0", &[&lib]);
            made = vec![app, lib];
        },
        s3,
    )
    .await;
    settled(&server).await;
    let [app, lib] = &made[..] else {
        panic!("two paths");
    };
    let before = server.json("/api/v1/caches/main/usage?source=logs").await;
    assert_eq!(before["total"], Value::Null);
    let why = before["not_measured"].as_str().expect("a reason");
    assert!(why.contains("have told nothing yet"), "{why}");

    let (narinfo, nar) = (format!("{}.narinfo", app.hash), app.url.clone());
    let absent = format!("{}.narinfo", "0".repeat(32));
    let (one, two) = ("192.0.2.7", "2001:db8:1:2::3");
    let ours = "snowbank/0.1.0";
    let size = app.nar.len();
    let shown = shown(&server).await;
    let asked = [
        // The bucket says who the server is: only that is left out.
        Asked {
            agent: ours,
            authentication: "AuthHeader",
            requester: US,
            ..get(one, &shown, 404, 243)
        },
        get(one, &narinfo, 200, 400),
        get(one, &narinfo, 200, 400),
        Asked {
            operation: "HEAD",
            ..get(two, &absent, 404, 0)
        },
        get(one, &nar, 200, size),
        // A part: bytes, and evidence that it was fetched.
        get(two, &nar, 206, 10),
        // These are not counted: ours, a redirect of ours, a refusal, a write, what is no narinfo.
        Asked {
            agent: ours,
            authentication: "AuthHeader",
            requester: US,
            ..get(one, &narinfo, 200, 400)
        },
        Asked {
            authentication: "QueryString",
            requester: US,
            ..get(one, &nar, 200, size)
        },
        get(two, &narinfo, 403, 243),
        Asked {
            operation: "PUT",
            ..get(two, &narinfo, 200, 0)
        },
        get(two, "nix-cache-info", 200, 40),
    ];
    let at = hours_ago(3);
    let mut text: String = asked.iter().map(|asked| asked.line(at)).collect();
    text.push_str("this is no line\n");
    put(&server, &name(at, "A1"), text.as_bytes());
    put(&server, &name(at, "B2.gz"), &[0x1f, 0x8b, 8, 0, 0, 0]);
    put(&server, "eu-readme.txt", b"no log");
    put(&server, "eu-2199-01-01-00-00-00-A", text.as_bytes());
    put(&server, "us-2026-01-01-00-00-00-A", b"another prefix");
    read(&server).await;
    let expected = counts(2, 1, 2, size + 10);
    assert_eq!(total(&server, "logs").await, expected);
    assert_eq!(total(&server, "all").await, expected);
    assert_eq!(total(&server, "own").await, counts(0, 0, 0, 0));
    let told = source(&server, "s3-logs").await;
    let note = told["note"].as_str().expect("a note").to_owned();
    for part in [
        "Read: 2 log objects with 12 lines.",
        "Not understood: 1 log object and 1 line, the last: ",
        "Left out: 3 requests of this server",
        "Refused (401, 403) and not counted: 1 request.",
    ] {
        assert!(note.contains(part), "{part} is not in {note}");
    }
    let until = told["last"].as_str().expect("a time");
    let until = OffsetDateTime::parse(until, &time::format_description::well_known::Rfc3339);
    assert_eq!(
        until.expect("a time").unix_timestamp(),
        at.unix_timestamp() + 1
    );
    assert_eq!(
        (&told["connected"], &told["approximate"]),
        (&json!(true), &json!(true))
    );
    assert!(
        told["lag_seconds"]
            .as_u64()
            .is_some_and(|lag| lag >= 3 * 3600)
    );
    assert_eq!(source(&server, "cdn-logs").await["connected"], false);

    // Never twice: not by reading again, not after a restart.
    read(&server).await;
    let server = server.restarted(s3).await;
    settled(&server).await;
    read(&server).await;
    assert_eq!(total(&server, "logs").await, expected);
    assert_eq!(source(&server, "s3-logs").await["note"], note);
    let site = server.server.site();
    let usage = &site.cache("main").expect("main").usage;
    let fetched = |path: &Shelved| {
        let hash = path.hash.parse().expect("a hash");
        usage.fetched(&site.ledger, "main", &hash)
    };
    assert!(matches!(fetched(app), Fetched::At { .. }));
    assert!(!matches!(fetched(lib), Fetched::At { .. }));

    // A log that comes late counts, and one that a server died over is not counted again.
    let state = || state(&server);
    let earlier = state();
    let late = name(at - time::Duration::minutes(30), "C3");
    let line = get(two, &narinfo, 200, 400).line(at);
    put(&server, &late, line.as_bytes());
    read(&server).await;
    let expected = counts(3, 1, 2, size + 10);
    assert_eq!(total(&server, "logs").await, expected);
    let died = |until: i64| {
        let mut state = earlier.clone();
        state["batches"] = json!(state["batches"].as_u64().expect("a number") + 1);
        state["pending"] = json!({ "keys": [late], "holder": "dead", "until": until });
        serde_json::from_value::<LogState>(state).expect("a state")
    };
    let write = async |state: LogState| {
        let same = |_: Option<&LogState>| Ok::<_, LedgerError>(state.clone());
        let scope = Scope::Cache("main");
        let written = site
            .ledger
            .put(scope, &RecordId::only(), "test", same)
            .await;
        written.expect("written");
    };
    let after = state();
    write(died(i64::MAX)).await;
    let cache = site.cache("main").expect("main");
    let logs = cache.usage.logs().expect("logs");
    let busy = logs
        .read(&site.ledger, "main", &cache.index, &cache.upstreams)
        .await;
    assert!(matches!(busy, Err(LogError::Busy)), "{busy:?}");
    write(died(0)).await;
    read(&server).await;
    assert_eq!(total(&server, "logs").await, expected);
    assert_eq!(state()["figures"], after["figures"]);

    // What goes through the server is added by it.
    assert_eq!(server.get(&format!("/main/{narinfo}")).await.status(), 200);
    assert_eq!(total(&server, "own").await, counts(1, 0, 0, 0));
    assert_eq!(total(&server, "all").await, counts(4, 1, 2, size + 10));

    let paths = server
        .json("/api/v1/caches/main/usage/paths?source=logs")
        .await;
    let expected = json!([{
        "hash": app.hash, "name": "app-1.0", "fetches": 1, "bytes": size + 10, "clients": 1, "root": true,
    }]);
    assert_eq!(paths["items"], expected);
    let misses = server
        .json("/api/v1/caches/main/usage/misses?source=own")
        .await;
    assert_eq!(misses["items"], json!([]));
    let oscar = another_owner(&server).await;
    let clients = oscar
        .json(&server, "/caches/main/usage/clients?source=logs")
        .await;
    let mut names: Vec<_> = clients["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|row| {
            (
                row["name"].as_str().expect("a name"),
                row["nix_version"].clone(),
            )
        })
        .collect();
    names.sort_unstable_by_key(|(name, _)| *name);
    assert_eq!(
        names,
        [
            ("192.0.2.0/24", json!("2.18.1")),
            ("2001:db8:1::/48", json!("2.18.1")),
        ]
    );
    let odd = server.get("/api/v1/caches/main/usage?source=rumours").await;
    assert_eq!(odd.status(), 400);
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("written");
    encoder.finish().expect("packed")
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_cdn_before_this_server_only_its_own_answers_count() {
    let mut made = None;
    let server = TestServer::start(
        |shelf| made = Some(shelf.put("app-1.0", &[])),
        |config| with_logs(config, LogFormat::Cloudfront, LogOrigin::Server),
    )
    .await;
    settled(&server).await;
    let app = made.expect("a path");
    let at = hours_ago(2);
    let day = at
        .format(format_description!("[year]-[month]-[day]"))
        .expect("a day");
    let clock = at
        .format(format_description!("[hour]:[minute]:[second]"))
        .expect("a time");
    let line = |key: &str, status: u16, sent: usize, length: &str, result: &str| {
        format!(
            "{day}\t{clock}\tLAX1\t{sent}\t192.0.2.100\tGET\td.cloudfront.net\t/main/{key}\t{status}\t-\tcurl/8.5.0%2520Nix/2.31.0\t{result}\t0.012\t{length}\t-\n"
        )
    };
    let narinfo = format!("{}.narinfo", app.hash);
    let size = app.nar.len();
    let mut text = String::from(
        "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) x-edge-result-type time-to-first-byte sc-content-len sc-range-start\n",
    );
    for line in [
        line(&narinfo, 200, 900, "400", "Hit"),
        line(&narinfo, 200, 900, "400", "RefreshHit"),
        line(&narinfo, 200, 900, "400", "Miss"),
        line(&app.url, 200, size + 500, &size.to_string(), "Hit"),
        // It broke off.
        line(&app.url, 200, 7, &size.to_string(), "Hit"),
    ] {
        text.push_str(&line);
    }
    let hour = at
        .format(format_description!("[year]-[month]-[day]-[hour]"))
        .expect("an hour");
    for distribution in ["E1X", "E2X"] {
        let name = format!("eu-{distribution}.{hour}.a1b2.gz");
        put(&server, &name, &packed(&text));
    }
    read(&server).await;
    read(&server).await;
    let expected = counts(4, 0, 4, 2 * (size + 7));
    assert_eq!(total(&server, "logs").await, expected);
    // Another one of the first distribution lies before what was read of the second.
    put(&server, &format!("eu-E1X.{hour}.c3d4.gz"), &packed(&text));
    read(&server).await;
    let expected = counts(6, 0, 6, 3 * (size + 7));
    assert_eq!(total(&server, "logs").await, expected);
    // More than one batch, some of them written plain.
    let mut small = text.lines().take(3).collect::<Vec<_>>().join("\n");
    small.push('\n');
    for number in 0..405 {
        let name = format!("eu-E3X.{hour}.{number:04}.gz");
        let bytes = match number % 2 {
            0 => packed(&small),
            _ => small.clone().into_bytes(),
        };
        put(&server, &name, &bytes);
    }
    read(&server).await;
    let expected = counts(6 + 405, 0, 6, 3 * (size + 7));
    assert_eq!(total(&server, "logs").await, expected);
    let told = source(&server, "cdn-logs").await;
    let note = told["note"].as_str().expect("a note");
    assert!(
        note.contains("Read: 408 log objects with 1236 lines."),
        "{note}"
    );
    assert!(
        note.contains("Left out: 3 requests of this server"),
        "{note}"
    );
}
