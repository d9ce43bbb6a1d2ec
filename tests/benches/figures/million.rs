//! c1 to c4, h4: a server over a million paths: its first index, its memory, its restarts; and
//! what comes out of it, held against what went in. d1 to d6 are asked of the same server
//! ([`crate::queries`]).

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use snowbank::index::{Index, IndexParams};
use snowbank_shared::signature::KeyRing;
use snowbank_shared::store_path::{StoreDir, StorePathHash};
use snowbank_tests::server::{Server, Setup};

use crate::blob::{Blob, hash_of};
use crate::measure::{Figure, Figures, cpu_seconds, memory, peak_memory};
use crate::part::{self, Part};
use crate::{Options, queries};

/// The longest that a first index of a million may take.
const INDEX: Duration = Duration::from_secs(300);
/// The longest until the server has nothing left to do.
const REST: Duration = Duration::from_secs(120);
/// The longest that a restarted server may be silent.
const RESTART: Duration = Duration::from_secs(30);

/// The figures that are measured here, and those of [`queries`].
pub const IDS: [&str; 10] = ["c1", "c2", "c3", "c4", "d1", "d2", "d3", "d5", "d6", "h4"];

/// Measures c1 to c4, d1 to d6 but d4, and h4.
pub async fn measure(options: &Options, figures: &mut Figures) -> anyhow::Result<()> {
    let folder = part::folder()?;
    let (blob, store) = store(options, folder.path())?;
    let paths = blob.narinfos().count() as u64;
    let empty = memory_of_an_empty_one(folder.path()).await?;
    let begin = Instant::now();
    let mut server = start(folder.path(), &store).await?;
    println!("    indexed in {:.1} s", begin.elapsed().as_secs_f64());
    rest(server.id()).await?;
    let (peak, settled) = (peak_memory(server.id())?, memory(server.id())?);
    figures.ratio(
        Figure {
            id: "c4",
            what: "most memory of the server in its first index",
            anchor: "what it holds once it has settled",
            unit: "MB",
            target: Some(1.6),
        },
        &[(megabytes(peak), megabytes(settled))],
    )?;

    let seen = restarts(options, figures, &mut server, &blob, empty).await?;
    println!(
        "    peak of the first index against what a restarted server holds: {:.2}",
        peak as f64 / seen.memory
    );
    if options.wants(&["d1", "d2", "d3", "d5"]) {
        queries::over_http(options, figures, &server, &blob, folder.path()).await?;
    }
    // Its lock on the index ends with it.
    server.kill();
    let index = Index::open(
        &index_folder(&server.data())?,
        &IndexParams {
            store_dir: StoreDir::default(),
            key_ring: KeyRing::new([]).into(),
        },
    )?;
    if options.wants(&["c3"]) {
        figures.exactly(
            "c3",
            "narinfos that come back byte for byte",
            same(&index, &blob)?,
            paths,
        );
    }
    if options.wants(&["d6"]) {
        queries::garbage(options, figures, &index)?;
    }
    tokio::task::spawn_blocking(move || drop(index)).await?;
    Ok(())
}

/// Serves the paths, for measurements by other programs, until standard input ends.
pub async fn serve(options: &Options) -> anyhow::Result<()> {
    let folder = part::folder()?;
    let (_, store) = store(options, folder.path())?;
    let server = start(folder.path(), &store).await?;
    rest(server.id()).await?;
    println!("SERVING {}", server.origin);
    std::io::stdout().flush()?;
    tokio::task::spawn_blocking(part::wait_for_the_end).await?;
    Ok(())
}

/// The narinfos, and a store that serves them.
fn store(options: &Options, folder: &Path) -> anyhow::Result<(Blob, Part)> {
    let paths = options.paths_or(1_000_000, 10_000);
    let begin = Instant::now();
    let blob = Blob::make(paths, folder)?;
    println!(
        "{paths} paths, {} MB of narinfos, made in {:.1} s",
        blob.narinfo_bytes() / 1_000_000,
        begin.elapsed().as_secs_f64()
    );
    let at = folder.to_str().context("an odd temporary folder")?;
    let store = Part::start("blob-s3", &[at], |line| line.starts_with("http://"))?;
    Ok((blob, store))
}

/// A server of the cache that lies in the store, indexed.
async fn start(home: &Path, store: &Part) -> anyhow::Result<Server> {
    let endpoint = store.line.split(' ').next().unwrap_or_default();
    let state = home.join("state");
    fs::create_dir_all(&state)?;
    let server = Setup::new()
        .line(&format!(
            "[state]\nfolder = {:?}",
            state.display().to_string()
        ))
        .env("AWS_ACCESS_KEY_ID", "reader")
        .env("AWS_SECRET_ACCESS_KEY", "nothing")
        .cache(
            "main",
            &[
                "bucket = \"bench\"".to_owned(),
                format!("endpoint = {endpoint:?}"),
                "region = \"us-east-1\"".to_owned(),
                "sweep = \"1h\"".to_owned(),
            ],
        )
        .start()
        .await?;
    let ready = server.eventually(INDEX, "the first index", async || {
        let cache = server.json("/api/v1/caches/main").await?;
        let index = &cache["index"];
        ensure!(
            index["state"] != "failed",
            "the sweep failed: {}",
            index["error"]
        );
        Ok((index["state"] == "ready" && index["as_of"].is_string()).then_some(()))
    });
    ready.await?;
    Ok(server)
}

/// Bytes that a server of no paths holds.
async fn memory_of_an_empty_one(home: &Path) -> anyhow::Result<u64> {
    let (cache, state) = (home.join("empty"), home.join("empty-state"));
    fs::create_dir_all(&cache)?;
    fs::create_dir_all(&state)?;
    let server = Setup::new()
        .line(&format!(
            "[state]\nfolder = {:?}",
            state.display().to_string()
        ))
        .folder("main", &cache, &["sweep = \"1h\"".to_owned()])
        .start()
        .await?;
    server.indexed("main").await?;
    rest(server.id()).await?;
    memory(server.id())
}

/// What restarts showed besides their figures.
struct Restarted {
    /// Bytes that the server holds, in the middle.
    memory: f64,
}

/// c1, c2, h4: the server is killed and started again, and again.
async fn restarts(
    options: &Options,
    figures: &mut Figures,
    server: &mut Server,
    blob: &Blob,
    empty: u64,
) -> anyhow::Result<Restarted> {
    let wanted = options.wants(&["c1", "c2", "h4"]);
    let rounds = if wanted { options.rounds } else { 1 };
    let narinfos: Vec<_> = blob.narinfos().collect();
    let paths = narinfos.len() as f64;
    let (mut until_first, mut reading, mut per_path) = (Vec::new(), Vec::new(), Vec::new());
    let (mut first_sorts, mut later_sorts, mut held) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        server.kill();
        let begin = Instant::now();
        let mut saved = fs::File::open(index_folder(&server.data())?.join("snapshot"))?;
        let length = std::io::copy(&mut saved, &mut std::io::sink())?;
        reading.push(begin.elapsed().as_secs_f64());
        if round == 0 {
            println!("    saved index: {:.0} bytes a path", length as f64 / paths);
        }
        let place = narinfos[(round * 7919 + 13) % narinfos.len()];
        let begin = Instant::now();
        server.restart().await?;
        loop {
            let answer = server.get(&format!("/main/{}", place.key)).await?;
            if answer.status() == 200 {
                let bytes = answer.bytes().await?;
                ensure!(
                    *bytes == *blob.read(place)?,
                    "another narinfo than was stored"
                );
                break;
            }
            ensure!(
                begin.elapsed() < RESTART,
                "no narinfo within {RESTART:?} of a restart"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        until_first.push(begin.elapsed().as_secs_f64());
        rest(server.id()).await?;
        let now = memory(server.id())?;
        held.push(now as f64);
        per_path.push(now.saturating_sub(empty) as f64 / paths);
        // The first that asks for this order waits for it to be made.
        let sorted = "/api/v1/caches/main/paths?sort=-nar_size&limit=50";
        first_sorts.push(milliseconds(server, sorted).await?);
        for _ in 0..10 {
            later_sorts.push(milliseconds(server, sorted).await?);
        }
    }
    if wanted {
        let margin = if options.small { 4.0 } else { 1.5 };
        let mut number = |id, what: &str, rounds: &[f64], unit, target: f64| {
            figures.numbers(id, what, rounds, unit, target, target * margin)
        };
        let what = "from the start of a server to its first narinfo";
        number("c1", what, &until_first, "s", 1.0)?;
        println!(
            "    reading the saved index alone: {:.3} s",
            middle(&mut reading)
        );
        // A few paths do not weigh anything against what threads and buffers take.
        if options.small {
            println!(
                "c2  memory a path: {:.0} bytes, says nothing of few paths",
                middle(&mut per_path)
            );
        } else {
            number(
                "c2",
                "memory of the server a path",
                &per_path,
                "bytes",
                400.0,
            )?;
        }
        let what = "a page by size, the first after a start";
        number("h4", what, &first_sorts, "ms", 120.0)?;
        number(
            "h4-again",
            "a page by size, later",
            &later_sorts,
            "ms",
            30.0,
        )?;
    }
    Ok(Restarted {
        memory: middle(&mut held),
    })
}

/// Milliseconds until a GET that has to be 200 is answered whole.
async fn milliseconds(server: &Server, path: &str) -> anyhow::Result<f64> {
    let begin = Instant::now();
    server.bytes(path).await?;
    Ok(begin.elapsed().as_secs_f64() * 1000.0)
}

/// Waits until a process uses next to nothing of a core for a while.
pub async fn rest(process: u32) -> anyhow::Result<()> {
    let end = Instant::now() + REST;
    let mut quiet = 0;
    while quiet < 3 {
        let before = cpu_seconds(&[process])?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let busy = cpu_seconds(&[process])? - before > 0.05;
        quiet = if busy { 0 } else { quiet + 1 };
        ensure!(
            Instant::now() < end,
            "the server is still busy after {REST:?}"
        );
    }
    Ok(())
}

/// The folder of the one index in a data folder.
fn index_folder(data: &Path) -> anyhow::Result<PathBuf> {
    let mut folders = vec![data.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.file_name() == "snapshot" {
                return Ok(folder);
            }
        }
    }
    bail!("no saved index below {}", data.display())
}

/// How many narinfos of the blob the index gives back as they were.
fn same(index: &Index, blob: &Blob) -> anyhow::Result<u64> {
    let view = index.view();
    let mut same = 0;
    for place in blob.narinfos() {
        let hash: StorePathHash = hash_of(place)?;
        let known = view.find(&hash).map(|id| view.narinfo_bytes(id));
        same += u64::from(
            known.is_some_and(|bytes| blob.read(place).is_ok_and(|text| *bytes == *text)),
        );
    }
    Ok(same)
}

/// The middle of some values.
pub fn middle(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
