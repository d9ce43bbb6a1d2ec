//! e1, e3: what a narinfo costs the server in CPU time, against nginx with the
//! same files, and what one that is not there costs. i1: what counting it costs,
//! against the same server with `usage = "off"`.
//!
//! CPU time per request, not requests per second: it does not depend on who
//! else uses the machine. Snowbank runs with its default log, which has no line
//! for a narinfo from memory (it counts them), so it is held against two
//! nginx: one with a buffered access log in a file, and one without any. nginx
//! has one worker, and so has Snowbank here: two that wake each other up cost
//! more for a request and have nothing to do with one.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use snowbank::bench_data::{self, Plan};

use crate::measure::{Figure, Figures, cpu_seconds};
use crate::part::Part;
use crate::{Options, part};

/// Connections of the load, kept alive.
const CONNECTIONS: &str = "16";

/// Names that the load asks for, of all that are there: as many as nginx can hold
/// open within the usual limit of open files.
const NAMES: usize = 10_000;

/// Measures e1, e3 and i1.
pub async fn measure(options: &Options, figures: &mut Figures) -> anyhow::Result<()> {
    for program in ["nginx", "wrk"] {
        let found = Command::new(program)
            .arg("-v")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if found.is_err() {
            figures.skip("e1, e3, i1", &format!("{program} is not installed"));
            return Ok(());
        }
    }
    let folder = part::folder()?;
    let cache = folder.path().join("cache");
    let paths = options.paths_or(100_000, 10_000);
    let plan = Plan {
        keeps_encoding: false,
        ..Plan::new(paths, 1)
    };
    bench_data::to_folder(&plan, &cache)?;
    let hits = write_keys(&cache, folder.path())?;
    let misses = write_misses(folder.path(), paths)?;
    let seconds = if options.small { 2 } else { 4 };
    println!("narinfos of {paths} paths, {CONNECTIONS} connections, {seconds} s each");

    let server = snowbank(folder.path(), &cache, true).await?;
    if options.wants(&["i1"]) {
        // A folder is served by one server: the other has the same files.
        let same = folder.path().join("same");
        bench_data::to_folder(&plan, &same)?;
        let uncounted = snowbank(folder.path(), &same, false).await?;
        counting(options, figures, (&server, &uncounted), &hits)?;
    }
    if !options.wants(&["e1", "e3"]) {
        return Ok(());
    }
    let logging = Nginx::start(folder.path(), &cache, true).await?;
    let quiet = Nginx::start(folder.path(), &cache, false).await?;
    let ours = [server.part.id()];
    let (mut hit_rounds, mut quiet_rounds, mut miss_rounds) = (Vec::new(), Vec::new(), Vec::new());
    // A first touch of each, not counted.
    load(&server.origin, "/main/", &hits, 1, &ours)?;
    for nginx in [&logging, &quiet] {
        load(&nginx.origin, "/", &hits, 1, &nginx.processes()?)?;
    }
    for round in 0..options.rounds {
        let anchor =
            load(&logging.origin, "/", &hits, seconds, &logging.processes()?)?.all_good()?;
        let silent = load(&quiet.origin, "/", &hits, seconds, &quiet.processes()?)?.all_good()?;
        let hit = load(&server.origin, "/main/", &hits, seconds, &ours)?.all_good()?;
        let miss = load(&server.origin, "/main/", &misses, seconds, &ours)?.all_refused()?;
        println!(
            "    round {round}: hit {:.0}/s p99 {} µs, nginx {:.0}/s p99 {} µs, miss {:.0}/s p99 {} µs",
            hit.rate, hit.p99_micros, anchor.rate, anchor.p99_micros, miss.rate, miss.p99_micros
        );
        hit_rounds.push((hit.micros, anchor.micros));
        quiet_rounds.push((hit.micros, silent.micros));
        miss_rounds.push((miss.micros, hit.micros));
    }
    figures.ratio(
        Figure {
            id: "e1",
            what: "narinfo, CPU of the server",
            anchor: "nginx, same files, buffered access log",
            unit: "µs",
            target: Some(0.9),
        },
        &hit_rounds,
    )?;
    figures.ratio(
        Figure {
            id: "e1-quiet",
            what: "narinfo, CPU of the server",
            anchor: "nginx, same files, no access log",
            unit: "µs",
            target: None,
        },
        &quiet_rounds,
    )?;
    figures.ratio(
        Figure {
            id: "e3",
            what: "narinfo that is not there, CPU",
            anchor: "one that is",
            unit: "µs",
            target: Some(1.0),
        },
        &miss_rounds,
    )
}

/// i1: the same load on a server that counts who fetches what, and on one that does not.
fn counting(
    options: &Options,
    figures: &mut Figures,
    (server, uncounted): (&Server, &Server),
    hits: &Path,
) -> anyhow::Result<()> {
    let seconds = if options.small { 2 } else { 4 };
    let of = |server: &Server, seconds| {
        load(&server.origin, "/main/", hits, seconds, &[server.part.id()])?.all_good()
    };
    // A first touch of each, not counted.
    of(server, 1)?;
    of(uncounted, 1)?;
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        rounds.push((of(server, seconds)?.micros, of(uncounted, seconds)?.micros));
    }
    figures.ratio(
        Figure {
            id: "i1",
            what: "narinfo, CPU with counting",
            anchor: "the same server without",
            unit: "µs",
            target: Some(1.05),
        },
        &rounds,
    )
}

/// A server over the folder, whose index is ready.
struct Server {
    part: Part,
    origin: String,
}

/// One that counts who fetches what, or does not.
async fn snowbank(home: &Path, cache: &Path, counts: bool) -> anyhow::Result<Server> {
    let usage = if counts { "count" } else { "off" };
    let config = home.join(format!("snowbank-{usage}.toml"));
    fs::write(
        &config,
        format!(
            "listen = \"127.0.0.1:0\"\ndata_dir = {:?}\n\n[caches.main]\nfolder = {:?}\nusage = \"{usage}\"\n",
            home.join(format!("data-{usage}")).display().to_string(),
            cache.display().to_string()
        ),
    )?;
    let log = File::create(home.join(format!("snowbank-{usage}.log")))?;
    let part = Part::server(&config, log, Some(1))?;
    let origin = origin(&part.line)?;
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .build()?;
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        let state = async {
            let cache: serde_json::Value = client
                .get(format!("{origin}/api/v1/caches/main"))
                .send()
                .await?
                .json()
                .await?;
            anyhow::Ok(
                cache["index"]["state"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            )
        };
        // Until it answers, it is not ready.
        if state.await.is_ok_and(|state| state == "ready") {
            return Ok(Server { part, origin });
        }
        ensure!(
            Instant::now() < deadline,
            "the index is not ready after five minutes"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The address in the line with which the server greets.
pub fn origin(line: &str) -> anyhow::Result<String> {
    let at = line
        .find("http://127.0.0.1:")
        .context("no address in the greeting")?;
    let address = &line[at..];
    let end = address
        .rfind(|c: char| c.is_ascii_digit())
        .context("no port in the greeting")?;
    Ok(address[..=end].to_owned())
}

/// nginx over a folder: one worker, sendfile, open files cached.
pub struct Nginx {
    child: Child,
    pub origin: String,
}

impl Nginx {
    /// With a buffered access log, or without any.
    pub async fn start(home: &Path, cache: &Path, logs: bool) -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let at = home.join(format!("nginx-{port}"));
        fs::create_dir_all(&at)?;
        let (dir, root) = (at.display(), cache.display());
        let log = if logs {
            format!("{dir}/access.log combined buffer=64k flush=1s")
        } else {
            "off".to_owned()
        };
        let mut text = format!(
            "worker_processes 1; daemon off; user root; pid {dir}/pid; error_log {dir}/error.log error;\n\
             events {{ worker_connections 1024; multi_accept on; }}\n\
             http {{ access_log {log};\n\
             sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 100000000;\n\
             open_file_cache max={NAMES} inactive=600s; open_file_cache_valid 600s;\n\
             types {{ text/x-nix-narinfo narinfo; }}\n"
        );
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            writeln!(text, "{kind}_temp_path {dir}/{kind};")?;
        }
        writeln!(
            text,
            "server {{ listen 127.0.0.1:{port}; root {root}; }} }}"
        )?;
        let config = at.join("nginx.conf");
        fs::write(&config, text)?;
        let child = Command::new("nginx")
            .arg("-c")
            .arg(&config)
            .stderr(Stdio::null())
            .spawn()?;
        let nginx = Self {
            child,
            origin: format!("http://127.0.0.1:{port}"),
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(Instant::now() < deadline, "nginx does not listen");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(nginx)
    }

    /// The master and its worker.
    fn processes(&self) -> anyhow::Result<Vec<u32>> {
        let master = self.child.id();
        let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children"))?;
        let workers = children
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<Vec<u32>, _>>()?;
        ensure!(!workers.is_empty(), "nginx has no worker");
        Ok([vec![master], workers].concat())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // TERM, so that the master takes its worker along.
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}

/// One run of the load.
#[derive(Debug)]
pub struct Load {
    pub requests: u64,
    /// Answers of 400 and above.
    refused: u64,
    pub rate: f64,
    pub p99_micros: u64,
    /// CPU microseconds of the server per request.
    pub micros: f64,
}

impl Load {
    fn all_good(self) -> anyhow::Result<Self> {
        ensure!(
            self.refused == 0,
            "{} of {} answers were errors",
            self.refused,
            self.requests
        );
        Ok(self)
    }

    fn all_refused(self) -> anyhow::Result<Self> {
        ensure!(
            self.refused == self.requests,
            "only {} of {} answers were 404",
            self.refused,
            self.requests
        );
        Ok(self)
    }
}

/// A load of which every answer is good.
pub fn all_good(
    origin: &str,
    prefix: &str,
    keys: &Path,
    seconds: u64,
    servers: &[u32],
) -> anyhow::Result<Load> {
    load(origin, prefix, keys, seconds, servers)?.all_good()
}

/// The same by somebody with this cookie: strangers are answered so many queries on the graph.
pub fn all_good_by(
    cookie: &str,
    origin: &str,
    prefix: &str,
    keys: &Path,
    seconds: u64,
    servers: &[u32],
) -> anyhow::Result<Load> {
    load_by(Some(cookie), origin, prefix, keys, seconds, servers)?.all_good()
}

fn load(
    origin: &str,
    prefix: &str,
    keys: &Path,
    seconds: u64,
    servers: &[u32],
) -> anyhow::Result<Load> {
    load_by(None, origin, prefix, keys, seconds, servers)
}

fn load_by(
    cookie: Option<&str>,
    origin: &str,
    prefix: &str,
    keys: &Path,
    seconds: u64,
    servers: &[u32],
) -> anyhow::Result<Load> {
    let script = keys.with_extension("lua");
    fs::write(&script, include_str!("load.lua"))?;
    let before = cpu_seconds(servers)?;
    let output = Command::new("wrk")
        .args(["-t1", "-c", CONNECTIONS, "-d", &format!("{seconds}s"), "-s"])
        .arg(script)
        .arg(origin)
        .env("KEYS", keys)
        .env("PREFIX", prefix)
        .envs(cookie.map(|cookie| ("COOKIE", cookie)))
        .output()?;
    let cpu = cpu_seconds(servers)? - before;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("LOAD "))
        .with_context(|| {
            format!(
                "wrk said: {text}{}",
                String::from_utf8_lossy(&output.stderr)
            )
        })?;
    let numbers: Vec<f64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [requests, refused, broken, took, p99] = numbers[..] else {
        bail!("wrk said: {line}")
    };
    ensure!(requests > 100.0 && broken == 0.0, "wrk said: {line}");
    Ok(Load {
        requests: requests as u64,
        refused: refused as u64,
        rate: requests / took,
        p99_micros: p99 as u64,
        micros: cpu * 1e6 / requests,
    })
}

/// A file of the names of narinfos, evenly over all that are there.
pub fn write_keys(cache: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let mut names = Vec::new();
    for entry in fs::read_dir(cache)? {
        let name = entry?
            .file_name()
            .into_string()
            .ok()
            .context("a name of ours")?;
        if name.ends_with(".narinfo") {
            names.push(name);
        }
    }
    names.sort_unstable();
    let mut text = String::new();
    for name in names.iter().step_by(names.len().div_ceil(NAMES)) {
        text.push_str(name);
        text.push('\n');
    }
    let file = folder.join("hits");
    fs::write(&file, text)?;
    Ok(file)
}

/// A file of as many names that are not there.
fn write_misses(folder: &Path, count: u64) -> anyhow::Result<PathBuf> {
    let plan = Plan {
        signatures: bench_data::Signatures::Fake,
        ..Plan::new(count, 99)
    };
    let mut text = String::new();
    for object in plan
        .objects()
        .map_err(anyhow::Error::msg)?
        .filter(|object| object.key.ends_with(".narinfo"))
    {
        text.push_str(&object.key);
        text.push('\n');
    }
    let file = folder.join("misses");
    fs::write(&file, text)?;
    Ok(file)
}
