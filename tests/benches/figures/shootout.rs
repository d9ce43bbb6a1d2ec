//! e9: caches against each other as `cache-shootout` measures them (narinfos one after the other,
//! archives over 1, 4 and 16 connections, everything warm, loopback), so that its table and
//! ours can be held against each other by what a narinfo takes and by MiB a second.
//!
//! nginx over a folder, the embedded S3 and this server over it are always there; a Garage, and this
//! server over it, where its program is; others where `SNOWBANK_SHOOTOUT` names them, running:
//! `NAME=URL=FILE`, separated by spaces. FILE lists hash parts of store paths that the cache at URL
//! serves, a line each: harmonia, attic and their like serve what a Nix store holds, and are not
//! filled from outside.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use snowbank::bucket::{Bucket, PutOptions};
use snowbank_tests::garage::Garage;
use snowbank_tests::server::Server;

use crate::Options;
use crate::archive;
use crate::measure::{Figure, Figures};
use crate::million::{middle, rest};
use crate::narinfo::Nginx;
use crate::nars::{presigned, serve, write_path};
use crate::part::{self, Part};
use crate::plain::get_all;
use crate::svg::{Bar, Group, picture};

/// Names other servers.
const OTHERS: &str = "SNOWBANK_SHOOTOUT";
/// Connections over which archives are fetched.
const CONNECTIONS: [usize; 3] = [1, 4, 16];
/// What a picture calls this server.
const OURS: &str = "snowbank";

/// A server with what it is asked for.
struct Contestant {
    name: String,
    narinfos: Vec<String>,
    nars: Vec<String>,
    /// Microseconds a narinfo, each round.
    narinfo: Vec<f64>,
    /// MiB a second over each number of connections, each round.
    speed: [Vec<f64>; CONNECTIONS.len()],
}

impl Contestant {
    fn new(name: impl Into<String>, narinfos: Vec<String>, nars: Vec<String>) -> Self {
        Self {
            name: name.into(),
            narinfos,
            nars,
            narinfo: Vec::new(),
            speed: Default::default(),
        }
    }

    /// At this address, named as in the cache's folder.
    fn at(name: &str, base: &str, keys: &Keys) -> Self {
        let urls = |keys: &[String]| keys.iter().map(|key| format!("{base}/{key}")).collect();
        Self::new(name, urls(&keys.narinfos), urls(&keys.nars))
    }

    /// At a store that wants signatures.
    async fn in_bucket(name: &str, bucket: &Bucket, keys: &Keys) -> anyhow::Result<Self> {
        let narinfos = presigned(bucket, &keys.narinfos).await?;
        Ok(Self::new(
            name,
            narinfos,
            presigned(bucket, &keys.nars).await?,
        ))
    }
}

/// The objects of a cache.
#[derive(Default)]
struct Keys {
    narinfos: Vec<String>,
    nars: Vec<String>,
}

/// Measures e9.
pub async fn measure(options: &Options, figures: &mut Figures) -> anyhow::Result<()> {
    if let Some(reason) = archive::missing(&["openssl"]) {
        figures.skip("e9", &reason);
        return Ok(());
    }
    if std::process::Command::new("nginx")
        .arg("-v")
        .stderr(std::process::Stdio::null())
        .status()
        .is_err()
    {
        figures.skip("e9", "nginx is not installed");
        return Ok(());
    }
    let mut csv = "archives,server,what,connections,round,value,unit\n".to_owned();
    let mut groups = Vec::new();
    let zstd = &["zstd", "-3", "-q", "-c"][..];
    for (codec, packing) in [("none", None), ("zstd", Some(zstd))] {
        if packing.is_some()
            && let Some(reason) = archive::missing(&["zstd"])
        {
            figures.skip("e9 with zstd", &reason);
            continue;
        }
        let contestants = compare(options, codec, packing).await?;
        write_rounds(&mut csv, codec, &contestants)?;
        groups.extend(draw(codec, &contestants));
        if codec == "none" {
            judge(figures, &contestants)?;
        }
    }
    let folder = figures.folder();
    fs::write(folder.join("shootout.csv"), csv)?;
    fs::write(
        folder.join("shootout.svg"),
        picture("Caches on loopback, everything warm", &groups),
    )?;
    println!(
        "    {0}/shootout.csv and {0}/shootout.svg",
        folder.display()
    );
    Ok(())
}

/// All rounds of all servers with archives of one kind.
async fn compare(
    options: &Options,
    codec: &str,
    packing: Option<&[&str]>,
) -> anyhow::Result<Vec<Contestant>> {
    let folder = part::folder()?;
    let cache = folder.path().join("bucket");
    // As many MiB for a path as in the closure of Firefox.
    let (paths, size) = if options.small {
        (8, 1 << 20)
    } else {
        (60, 4 << 20)
    };
    let mut keys = Keys::default();
    for number in 0..paths {
        let sent = write_path(&cache, &format!("{codec}-{number}"), size, number, packing)?;
        keys.narinfos
            .push(sent.parts.store_path.hash().narinfo_key());
        keys.nars.push(sent.parts.url);
    }
    let at = cache.to_str().context("an odd temporary folder")?;
    let store = Part::start("s3", &[at], |line| line.starts_with("http://"))?;
    let words: Vec<&str> = store.line.split(' ').collect();
    let [endpoint, access_key, secret_key] = words[..] else {
        anyhow::bail!("the S3 server says who it is")
    };
    let nginx = Nginx::start(folder.path(), &cache, true).await?;
    let (server, bucket) = serve(folder.path(), endpoint, "bench", access_key, secret_key).await?;
    let mut contestants = vec![
        Contestant::at("nginx, files", &nginx.origin, &keys),
        Contestant::at(OURS, &server.url("/main"), &keys),
        Contestant::in_bucket("the embedded S3 behind it", &bucket, &keys).await?,
    ];
    let garage = beside_garage(folder.path(), &cache, &keys, &mut contestants).await?;
    contestants.extend(others().await?);
    rest(server.id()).await?;
    for round in 0..=options.rounds {
        for contestant in &mut contestants {
            let (took, _) = get_all(&contestant.narinfos, 1).await?;
            let micros = took * 1e6 / contestant.narinfos.len() as f64;
            let mut speeds = Vec::new();
            for connections in CONNECTIONS {
                let (took, bytes) = get_all(&contestant.nars, connections).await?;
                speeds.push(bytes as f64 / f64::from(1 << 20) / took);
            }
            // The first round warms all of them up.
            if round > 0 {
                contestant.narinfo.push(micros);
                for (all, speed) in contestant.speed.iter_mut().zip(speeds) {
                    all.push(speed);
                }
            }
        }
    }
    drop((garage, server, nginx, store));
    Ok(contestants)
}

/// A Garage with the same objects, and a server of ours over it.
async fn beside_garage(
    home: &Path,
    cache: &Path,
    keys: &Keys,
    contestants: &mut Vec<Contestant>,
) -> anyhow::Result<Option<(Garage, Server)>> {
    let Some(garage) = Garage::start("garage").await else {
        return Ok(None);
    };
    let (endpoint, id, secret) = (&garage.endpoint, &garage.access_key, &garage.secret_key);
    // Filled by a client of ours before the server looks.
    let (filler, bucket) = serve(home, endpoint, "garage", id, secret).await?;
    drop(filler);
    for key in keys.narinfos.iter().chain(&keys.nars) {
        let body = Bytes::from(fs::read(cache.join(key))?);
        bucket.put(key, body, &PutOptions::default()).await?;
    }
    let again = home.join("over-garage");
    fs::create_dir_all(&again)?;
    let (server, bucket) = serve(&again, endpoint, "garage", id, secret).await?;
    contestants.push(Contestant::at(
        "snowbank over Garage",
        &server.url("/main"),
        keys,
    ));
    contestants.push(Contestant::in_bucket("Garage itself", &bucket, keys).await?);
    Ok(Some((garage, server)))
}

/// Servers that somebody started.
async fn others() -> anyhow::Result<Vec<Contestant>> {
    let mut others = Vec::new();
    let client = reqwest::Client::new();
    for word in std::env::var(OTHERS).unwrap_or_default().split_whitespace() {
        let mut parts = word.splitn(3, '=');
        let mut part = || {
            parts
                .next()
                .with_context(|| format!("{OTHERS}: {word} is not NAME=URL=FILE"))
        };
        let (name, base, file) = (part()?, part()?.trim_end_matches('/'), part()?);
        let list = fs::read_to_string(file).with_context(|| format!("{OTHERS}: {file}"))?;
        let (mut narinfos, mut nars) = (Vec::new(), Vec::new());
        for hash in list.split_whitespace() {
            let url = format!("{base}/{hash}.narinfo");
            let text = client
                .get(&url)
                .send()
                .await?
                .error_for_status()?
                .text()
                .await?;
            let nar = text.lines().find_map(|line| line.strip_prefix("URL: "));
            nars.push(format!(
                "{base}/{}",
                nar.with_context(|| format!("{url} has no URL"))?
            ));
            narinfos.push(url);
        }
        ensure!(!nars.is_empty(), "{OTHERS}: {file} lists no paths");
        others.push(Contestant::new(name, narinfos, nars));
    }
    Ok(others)
}

/// The two figures that have a target.
fn judge(figures: &mut Figures, contestants: &[Contestant]) -> anyhow::Result<()> {
    let [nginx, ours, behind, ..] = contestants else {
        anyhow::bail!("too few servers")
    };
    let pairs = |own: &[f64], anchor: &[f64]| -> Vec<(f64, f64)> {
        own.iter().copied().zip(anchor.iter().copied()).collect()
    };
    figures.ratio(
        Figure {
            id: "e9",
            what: "a narinfo, one after the other",
            anchor: "nginx, files",
            unit: "µs",
            target: Some(1.0),
        },
        &pairs(&ours.narinfo, &nginx.narinfo),
    )?;
    // Seconds for a GiB, so that less is better.
    let seconds = |contestant: &Contestant| -> Vec<f64> {
        contestant.speed[1]
            .iter()
            .map(|speed| 1024.0 / speed)
            .collect()
    };
    figures.ratio(
        Figure {
            id: "e9-nar",
            what: "a GiB of archives over 4 connections",
            anchor: "the embedded S3 behind it, presigned",
            unit: "s",
            target: Some(1.25),
        },
        &pairs(&seconds(ours), &seconds(behind)),
    )
}

fn write_rounds(csv: &mut String, codec: &str, contestants: &[Contestant]) -> anyhow::Result<()> {
    for contestant in contestants {
        let name = contestant.name.replace(',', "");
        for (round, micros) in contestant.narinfo.iter().enumerate() {
            writeln!(csv, "{codec},{name},narinfo,1,{round},{micros:.1},us")?;
        }
        for (connections, speeds) in CONNECTIONS.iter().zip(&contestant.speed) {
            for (round, speed) in speeds.iter().enumerate() {
                writeln!(
                    csv,
                    "{codec},{name},nar,{connections},{round},{speed:.1},MiB/s"
                )?;
            }
        }
    }
    Ok(())
}

fn draw(codec: &str, contestants: &[Contestant]) -> Vec<Group> {
    let group = |title: String, unit: &str, of: &dyn Fn(&Contestant) -> Vec<f64>| Group {
        title,
        bars: contestants
            .iter()
            .map(|contestant| {
                let mut values = of(contestant);
                let value = middle(&mut values);
                Bar {
                    label: contestant.name.clone(),
                    value,
                    spread: Some((values[0], values[values.len() - 1])),
                    text: format!("{value:.0} {unit}"),
                    own: contestant.name.starts_with(OURS),
                }
            })
            .collect(),
        line: None,
    };
    let mut groups = Vec::new();
    if codec == "none" {
        let title = "A narinfo, one after the other: less is better".to_owned();
        groups.push(group(title, "µs", &|contestant: &Contestant| {
            contestant.narinfo.clone()
        }));
    }
    for (at, connections) in CONNECTIONS.iter().enumerate() {
        let title = format!("Archives, {codec}, {connections} at once: more is better");
        groups.push(group(title, "MiB/s", &|contestant: &Contestant| {
            contestant.speed[at].clone()
        }));
    }
    groups
}
