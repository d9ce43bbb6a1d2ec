//! b3, f4b, f5: uploads to a running server, by HTTP as `nix copy` sends them.
//!
//! b3: what was uploaded is there for the next request, and nothing is listed for it. f4b: what a
//! narinfo costs the threads that answer while an archive is verified, with that archive's own share
//! of them taken off. f5: how much a server grows while it takes an archive of 1 GB.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::json;
use snowbank::bench_data::{self, Plan};
use snowbank::bucket::embedded::operation::Operation;
use snowbank::bucket::embedded::{EmbeddedConfig, EmbeddedS3};
use snowbank_shared::narinfo::Compression;
use snowbank_shared::signature::SecretKey;
use snowbank_tests::server::{Server, Setup};

use crate::archive::{self, Sent};
use crate::measure::{Figure, Figures, cpu_seconds_of_threads, memory, threads};
use crate::narinfo::{all_good, write_keys};
use crate::part::{self, Part};
use crate::{Options, verify};

/// Where a bucket is.
struct Store<'a> {
    endpoint: &'a str,
    access_key: &'a str,
    secret_key: &'a str,
}

/// A server over a bucket, and somebody who may upload to it.
struct Site {
    server: Server,
    token: String,
    key: SecretKey,
}

impl Site {
    async fn start(home: &Path, store: &Store<'_>, workers: Option<u16>) -> anyhow::Result<Self> {
        let own = SecretKey::generate("bench-1", [1; 32])?;
        let file = home.join("bench-1.secret");
        std::fs::write(&file, own.to_secret_text())?;
        let lines = [
            "bucket = \"bench\"".to_owned(),
            format!("endpoint = {:?}", store.endpoint),
            "region = \"us-east-1\"".to_owned(),
            format!("signing_key_files = [{:?}]", file.display().to_string()),
            "sweep = \"1h\"".to_owned(),
        ];
        let state = home.join("state");
        std::fs::create_dir_all(&state)?;
        let state = state.display().to_string();
        let mut setup = Setup::new()
            .line(&format!("[state]\nfolder = {state:?}"))
            .env("AWS_ACCESS_KEY_ID", store.access_key)
            .env("AWS_SECRET_ACCESS_KEY", store.secret_key)
            .cache("main", &lines);
        if let Some(workers) = workers {
            setup = setup.env("TOKIO_WORKER_THREADS", &workers.to_string());
        }
        let server = setup.start().await?;
        let owner = server.owner("olga").await?;
        let grants = json!([{"role": "contributor", "cache": "main"}]);
        let person = owner.invite(&server, "alice", grants).await?;
        let wish = json!({"name": "bench", "caches": ["main"], "verbs": ["push"], "days": 1});
        let token = person.send(&server, Method::POST, "/tokens", wish).await?;
        let token = token["secret"].as_str().context("a token")?.to_owned();
        let key = SecretKey::generate("alice-1", [2; 32])?;
        let wished = json!({"caches": ["main"], "names": ["bench-*"]});
        let wish = json!({"public_key": key.public_key().to_string(), "scope": wished});
        let send = async |path: &str, body| person.send(&server, Method::POST, path, body).await;
        send("/contributors", wish).await?;
        let challenge = send("/contributors/alice-1/challenge", json!({})).await?;
        let message = challenge["message"].as_str().context("a message")?;
        let proof =
            json!({"message": message, "signature": key.sign(message.as_bytes()).to_string()});
        send("/contributors/alice-1/prove", proof).await?;
        let accept = json!({"scope": {"caches": ["main"], "names": ["*"]}});
        owner
            .send(
                &server,
                Method::POST,
                "/contributors/alice-1/accept",
                accept,
            )
            .await?;
        server.indexed("main").await?;
        Ok(Self { server, token, key })
    }

    fn sender(&self) -> anyhow::Result<Sender> {
        Ok(Sender {
            // One connection for all, as Nix has.
            client: reqwest::Client::builder()
                .pool_max_idle_per_host(1)
                .build()?,
            base: self.server.url("/main"),
            token: self.token.clone(),
            sent: Arc::default(),
        })
    }
}

#[derive(Clone)]
struct Sender {
    client: reqwest::Client,
    base: String,
    token: String,
    /// Bytes of archives sent so far.
    sent: Arc<AtomicU64>,
}

impl Sender {
    async fn put(&self, key: &str, body: reqwest::Body) -> anyhow::Result<(u16, String)> {
        let request = self.client.put(format!("{}/{key}", self.base));
        let request = request.basic_auth("nix", Some(&self.token)).body(body);
        let answer = request.send().await.with_context(|| format!("PUT {key}"))?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await?))
    }

    async fn archive(&self, key: &str, file: &Path) -> anyhow::Result<(u16, String)> {
        let sent = Arc::clone(&self.sent);
        let pieces = verify::pieces(file)?.map(move |piece| {
            sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
            Ok::<_, std::io::Error>(piece)
        });
        self.put(key, reqwest::Body::wrap_stream(pieces)).await
    }

    async fn path(&self, path: &Sent) -> anyhow::Result<()> {
        let archive = self.archive(&path.parts.url, &path.file).await?;
        ensure!(archive.0 == 200, "{archive:?}");
        let key = path.parts.store_path.hash().narinfo_key();
        let narinfo = self.put(&key, path.text().into()).await?;
        ensure!(narinfo.0 == 200, "{narinfo:?}");
        Ok(())
    }
}

/// The embedded S3 server in a process of its own, and its folder.
struct Apart {
    part: Part,
    folder: tempfile::TempDir,
}

impl Apart {
    fn start(narinfos: u64) -> anyhow::Result<Self> {
        let folder = part::folder()?;
        let bucket = folder.path().join("bucket");
        if narinfos > 0 {
            let plan = Plan {
                keeps_encoding: false,
                ..Plan::new(narinfos, 1)
            };
            bench_data::to_folder(&plan, &bucket)?;
        } else {
            std::fs::create_dir_all(&bucket)?;
        }
        let bucket = bucket.to_str().context("an odd temporary folder")?;
        let part = Part::start("s3", &[bucket], |line| line.starts_with("http://"))?;
        Ok(Self { part, folder })
    }

    fn store(&self) -> anyhow::Result<Store<'_>> {
        let mut words = self.part.line.split(' ');
        let mut word = || words.next().context("the S3 server says who it is");
        Ok(Store {
            endpoint: word()?,
            access_key: word()?,
            secret_key: word()?,
        })
    }
}

/// Measures b3, f4b and f5.
pub async fn measure(options: &Options, figures: &mut Figures) -> anyhow::Result<()> {
    if options.wants(&["b3"]) {
        visible_at_once(options, figures).await?;
    }
    if options.small {
        figures.skip("f4b", "it takes a minute, and is not measured with --small");
    } else if options.wants(&["f4b"]) {
        beside_narinfos(options, figures).await?;
    }
    if options.wants(&["f5"]) {
        memory_of_one(options, figures).await?;
    }
    Ok(())
}

async fn visible_at_once(options: &Options, figures: &mut Figures) -> anyhow::Result<()> {
    if let Some(reason) = archive::missing(&["openssl"]) {
        figures.skip("b3", &reason);
        return Ok(());
    }
    let folder = part::folder()?;
    let mut config = EmbeddedConfig::new().bucket("bench", folder.path().join("bucket"));
    config.durable = false;
    let s3 = EmbeddedS3::start(config).await?;
    let (endpoint, credentials) = (s3.endpoint(), s3.credentials().clone());
    let store = Store {
        endpoint: &endpoint,
        access_key: &credentials.access_key,
        secret_key: &credentials.secret_key,
    };
    let site = Site::start(folder.path(), &store, None).await?;
    let lists = || s3.counters().get(Operation::List);
    // The first whole sweep comes after the first root sweep; the next is an hour away.
    let mut before = lists();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = lists();
        if now == before && now > 1 {
            break;
        }
        before = now;
    }
    let sender = site.sender()?;
    let count = if options.small { 10 } else { 100 };
    let (mut milliseconds, mut unseen) = (Vec::new(), 0_u64);
    for number in 0..count {
        let file = folder.path().join(format!("{number}.nar"));
        archive::nar(&file, 200_000, number)?;
        let name = format!("own-{number}");
        let path = Sent::new(&name, &file, Compression::None, &file, &site.key)?;
        sender.path(&path).await?;
        let begin = Instant::now();
        let key = path.parts.store_path.hash().narinfo_key();
        let seen = site.server.status(&format!("/main/{key}")).await?;
        let row = format!("/api/v1/caches/main/paths/{}", path.parts.store_path.hash());
        let listed = site.server.status(&row).await?;
        milliseconds.push(begin.elapsed().as_secs_f64() * 500.0);
        unseen += u64::from(seen != 200) + u64::from(listed != 200);
    }
    figures.exactly(
        "b3",
        "own uploads not there for the next request",
        unseen,
        0,
    );
    figures.exactly("b3", "LISTs of the bucket meanwhile", lists() - before, 0);
    milliseconds.sort_by(f64::total_cmp);
    let p99 = milliseconds[milliseconds.len() * 99 / 100];
    let margin = if options.small { 40.0 } else { 10.0 };
    figures.number(
        "b3",
        "own upload seen by substituter and API, p99 of a request",
        p99,
        "ms",
        5.0,
        5.0 * margin,
    )
}

async fn beside_narinfos(options: &Options, figures: &mut Figures) -> anyhow::Result<()> {
    if let Some(reason) = archive::missing(&["wrk", "xz"]) {
        figures.skip("f4b", &reason);
        return Ok(());
    }
    let apart = Apart::start(10_000)?;
    let home = apart.folder.path();
    let names = write_keys(&home.join("bucket"), home)?;
    let site = Site::start(home, &apart.store()?, Some(1)).await?;
    let nar = home.join("long");
    archive::nar(&nar, 64 << 20, 4)?;
    let file = archive::packed(&nar, ".xz", &["xz", "-3", "-T0", "-c"])?;
    let (seconds, process) = (4, site.server.id());
    all_good(&site.server.origin, "/main/", &names, 1, &[])?;
    // Threads that decode end when they had nothing to do for ten seconds; what is left answers.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let answering = threads(process)?;
    let cpu = || cpu_seconds_of_threads(process, &answering);

    // An archive under a name that is not its hash: verified to its end each time, and never kept.
    let stop = Arc::new(AtomicBool::new(false));
    let sender = site.sender()?;
    let (stopped, sending) = (Arc::clone(&stop), sender.clone());
    let again = move |file: PathBuf| {
        tokio::spawn(async move {
            let key = format!("nar/{}.nar.xz", "0".repeat(52));
            while !stopped.load(Ordering::Relaxed) {
                let answer = sending.archive(&key, &file).await?;
                ensure!(answer.1.starts_with("file-hash-mismatch"), "{answer:?}");
            }
            Ok(())
        })
    };
    let mut idle = Vec::new();
    for _ in 0..options.rounds {
        let before = cpu()?;
        let load = all_good(&site.server.origin, "/main/", &names, seconds, &[])?;
        idle.push((
            (cpu()? - before) * 1e6 / load.requests as f64,
            load.p99_micros,
        ));
    }
    let uploading = again(file);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut rounds = Vec::new();
    for (idle, idle_p99) in idle {
        // What uploading alone costs these threads for a byte.
        let (before, sent) = (cpu()?, sender.sent.load(Ordering::Relaxed));
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let bytes = (sender.sent.load(Ordering::Relaxed) - sent) as f64;
        ensure!(bytes > 0.0, "nothing was uploaded meanwhile");
        let for_a_byte = (cpu()? - before) / bytes;
        let (before, sent) = (cpu()?, sender.sent.load(Ordering::Relaxed));
        let load = all_good(&site.server.origin, "/main/", &names, seconds, &[])?;
        let bytes = (sender.sent.load(Ordering::Relaxed) - sent) as f64;
        let answers = (cpu()? - before - for_a_byte * bytes) * 1e6 / load.requests as f64;
        println!(
            "    {:.0}/s, p99 {} µs beside an upload of {:.1} MB/s; idle p99 {idle_p99} µs",
            load.rate,
            load.p99_micros,
            bytes / 1e6 / seconds as f64
        );
        rounds.push((answers, idle));
    }
    stop.store(true, Ordering::Relaxed);
    uploading.await??;
    figures.ratio(
        Figure {
            id: "f4b",
            what: "narinfo while an archive is verified, CPU of the threads that answer",
            anchor: "the same, nothing else",
            unit: "µs",
            target: Some(1.3),
        },
        &rounds,
    )
}

async fn memory_of_one(options: &Options, figures: &mut Figures) -> anyhow::Result<()> {
    if let Some(reason) = archive::missing(&["xz", "zstd", "openssl"]) {
        figures.skip("f5", &reason);
        return Ok(());
    }
    let apart = Apart::start(0)?;
    let home = apart.folder.path();
    let size: u64 = if options.small { 96 << 20 } else { 1 << 30 };
    let nar = home.join("large");
    archive::nar(&nar, size, 5)?;
    // Megabytes of window: two parts of 8 MiB and 4 MiB come to it.
    for (id, codec, extension, pack, window) in [
        ("f5-none", Compression::None, "", &["cat"][..], 0.0),
        (
            "f5-zstd",
            Compression::Zstd,
            ".zst",
            &["zstd", "-3", "-q", "-c"][..],
            2.0,
        ),
        (
            "f5-xz",
            Compression::Xz,
            ".xz",
            &["xz", "--lzma2=preset=0,dict=8MiB", "-T0", "-c"][..],
            8.0,
        ),
    ] {
        let file = archive::packed(&nar, extension, pack)?;
        // A server of its own for each, with a state of its own.
        let own = home.join(id);
        std::fs::create_dir_all(&own)?;
        let site = Site::start(&own, &apart.store()?, None).await?;
        let sender = site.sender()?;
        // A small one first: connections and threads are no part of what an archive takes.
        let small = home.join(format!("small-{id}"));
        archive::nar(&small, 400_000, 6)?;
        sender
            .path(&Sent::new(
                "small",
                &small,
                Compression::None,
                &small,
                &site.key,
            )?)
            .await?;
        let path = Sent::new(&format!("large-{id}"), &file, codec, &nar, &site.key)?;
        let process = site.server.id();
        let before = memory(process)?;
        let sent = {
            let sender = sender.clone();
            let (url, file) = (path.parts.url.clone(), path.file.clone());
            tokio::spawn(async move { sender.archive(&url, &file).await })
        };
        let mut most = before;
        while !sent.is_finished() {
            most = most.max(memory(process)?);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let answer = sent.await??;
        ensure!(answer.0 == 200, "{answer:?}");
        let grown = most.saturating_sub(before) as f64 / f64::from(1 << 20);
        let target = window + 20.0;
        figures.number(
            id,
            &format!("memory to verify an upload of {} MB", size >> 20),
            grown,
            "MiB",
            target,
            target * if options.small { 2.0 } else { 1.25 },
        )?;
        std::fs::remove_file(&file)?;
    }
    Ok(())
}
