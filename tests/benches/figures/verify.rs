//! f1, f2, f3, f4a, f6: what it costs to verify what was uploaded.
//!
//! f1 to f3 hold the check of an archive (both hashes, unpacking, the form of the NAR, its listing,
//! what it names) against the programs that do a part of it: unpack, and hash what comes out.
//! Both are CPU time, user and system, and beside it the time that passes. f4a: two archives at
//! once on a pool of two against one after the other.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use futures_util::{Stream, stream};
use snowbank::bench_data::{self, Plan};
use snowbank::intake::{Checked, Checker};
use snowbank_shared::api::{KeyPurpose, KeyState};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::{KeyRing, KnownKey, Signature};
use snowbank_shared::store_path::StoreDir;

use crate::archive;
use crate::measure::{Figure, Figures, cpu_seconds, cpu_seconds_of_children};
use crate::{Options, part};

/// Bytes of a piece, as a connection hands them on.
const PIECE: usize = 64 * 1024;

/// How often a round goes through the signatures: CPU time is counted in hundredths of a second.
const TIMES: usize = 10;

/// One way of packing.
struct Way {
    id: &'static str,
    what: &'static str,
    extension: &'static str,
    /// Packs standard input.
    pack: &'static [&'static str],
    /// Unpacks the file `$1` and hashes it.
    anchor: &'static str,
    target: f64,
    /// For the time that passes: the anchor has two processes.
    passes: Option<f64>,
    programs: &'static [&'static str],
}

const WAYS: [Way; 3] = [
    Way {
        id: "f1",
        what: "verify an upload, xz",
        extension: ".xz",
        pack: &["xz", "-6", "-T0", "-c"],
        anchor: "xz -dc \"$1\" | openssl dgst -sha256",
        target: 0.8,
        passes: Some(0.85),
        programs: &["xz", "openssl"],
    },
    Way {
        id: "f2",
        what: "verify an upload, zstd",
        extension: ".zst",
        pack: &["zstd", "-6", "-q", "-c"],
        anchor: "zstd -dcq \"$1\" | openssl dgst -sha256",
        target: 0.9,
        passes: None,
        programs: &["zstd", "openssl"],
    },
    Way {
        id: "f3",
        what: "verify an upload, not packed",
        extension: "",
        pack: &["cat"],
        anchor: "openssl dgst -sha256 \"$1\"",
        target: 1.15,
        passes: None,
        programs: &["openssl"],
    },
];

/// Measures f1 to f3, f4a and f6.
pub async fn measure(options: &Options, figures: &mut Figures) -> anyhow::Result<()> {
    let folder = part::folder()?;
    let size: u64 = if options.small { 24 << 20 } else { 192 << 20 };
    for way in &WAYS {
        if !options.wants(&[way.id]) {
            continue;
        }
        if let Some(reason) = archive::missing(way.programs) {
            figures.skip(way.id, &reason);
            continue;
        }
        let nar = folder.path().join("one");
        archive::nar(&nar, size, 1)?;
        let file = archive::packed(&nar, way.extension, way.pack)?;
        against_programs(options, figures, way, &file).await?;
    }
    if options.wants(&["f4a"]) {
        two_at_once(options, figures, folder.path(), size).await?;
    }
    if options.wants(&["f6"]) {
        signatures(options, figures, folder.path())?;
    }
    Ok(())
}

async fn against_programs(
    options: &Options,
    figures: &mut Figures,
    way: &Way,
    file: &Path,
) -> anyhow::Result<()> {
    let checker = Checker::new(1);
    let own = [std::process::id()];
    let (mut cpu, mut passed) = (Vec::new(), Vec::new());
    // Once, not counted: pages of the file, threads.
    check(&checker, file).await?;
    for _ in 0..options.rounds {
        let (begin, before) = (Instant::now(), cpu_seconds_of_children()?);
        let anchor = Command::new("sh")
            .args(["-c", way.anchor, "sh"])
            .arg(file)
            .stdout(Stdio::null())
            .status()?;
        ensure!(anchor.success(), "{} failed", way.anchor);
        let anchor = (
            cpu_seconds_of_children()? - before,
            begin.elapsed().as_secs_f64(),
        );
        let (begin, before) = (Instant::now(), cpu_seconds(&own)?);
        check(&checker, file).await?;
        cpu.push((cpu_seconds(&own)? - before, anchor.0));
        passed.push((begin.elapsed().as_secs_f64(), anchor.1));
    }
    let anchor = way.anchor.replace(" \"$1\"", "");
    let figure = |id, what, target| Figure {
        id,
        what,
        anchor: &anchor,
        unit: "s",
        target,
    };
    let what = format!("{}, CPU", way.what);
    figures.ratio(figure(way.id, &what, Some(way.target)), &cpu)?;
    let (id, what) = (format!("{}-time", way.id), format!("{}, time", way.what));
    // On a shared machine time says nothing.
    let passes = way.passes.filter(|_| !options.small);
    figures.ratio(figure(&id, &what, passes), &passed)
}

async fn check(checker: &Checker, file: &Path) -> anyhow::Result<Checked> {
    let key = file.to_str().context("an odd temporary folder")?;
    let pieces = std::pin::pin!(pieces(file)?);
    checker
        .check(key, 1 << 40, pieces)
        .await
        .map_err(|refusal| anyhow::anyhow!("{refusal:?}"))
}

/// A file, piece by piece.
pub fn pieces(file: &Path) -> anyhow::Result<impl Stream<Item = Bytes> + Send + use<>> {
    let file = File::open(file)?;
    Ok(stream::unfold(file, |mut file| async move {
        let mut piece = Vec::with_capacity(PIECE);
        // On memory: this waits for nobody.
        let read = file.by_ref().take(PIECE as u64).read_to_end(&mut piece);
        let length = read.ok().filter(|length| *length > 0)?;
        piece.truncate(length);
        Some((Bytes::from(piece), file))
    }))
}

async fn two_at_once(
    options: &Options,
    figures: &mut Figures,
    folder: &Path,
    size: u64,
) -> anyhow::Result<()> {
    if let Some(reason) = archive::missing(&["zstd"]) {
        figures.skip("f4a", &reason);
        return Ok(());
    }
    let mut files = Vec::new();
    for seed in [2, 3] {
        let nar = folder.join(format!("two-{seed}"));
        archive::nar(&nar, size, seed)?;
        files.push(archive::packed(&nar, ".zst", &["zstd", "-6", "-q", "-c"])?);
    }
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        let begin = Instant::now();
        for file in &files {
            check(&Checker::new(2), file).await?;
        }
        let after_each_other = begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        let pool = Checker::new(2);
        let both = files.clone().into_iter().map(|file| {
            let pool = pool.clone();
            tokio::spawn(async move { check(&pool, &file).await })
        });
        for one in both.collect::<Vec<_>>() {
            one.await??;
        }
        rounds.push((begin.elapsed().as_secs_f64(), after_each_other));
    }
    figures.ratio(
        Figure {
            id: "f4a",
            what: "two uploads verified at once, pool of two",
            anchor: "one after the other",
            unit: "s",
            // 1.7 times the throughput.
            target: Some(1.0 / 1.7),
        },
        &rounds,
    )
}

/// A signature alone, and as an index checks them.
fn signatures(options: &Options, figures: &mut Figures, folder: &Path) -> anyhow::Result<()> {
    let plan = Plan::new(2000, 6);
    let keys = bench_data::to_folder(&plan, &folder.join("narinfos"))?.public_keys;
    let narinfos: Vec<NarInfo> = plan
        .objects()
        .map_err(anyhow::Error::msg)?
        .filter(|object| object.key.ends_with(".narinfo"))
        .filter_map(|object| NarInfo::parse(&object.body, &StoreDir::default()).ok())
        .collect();
    let mut signed = Vec::new();
    for narinfo in &narinfos {
        let Some(text) = narinfo.signatures().next() else {
            continue;
        };
        let signature: Signature = text.parse()?;
        let key = keys.iter().find(|key| key.name() == signature.key_name());
        if let Some(key) = key {
            signed.push((key, narinfo.fingerprint(), signature));
        }
    }
    ensure!(signed.len() > 1000, "only {} are signed", signed.len());
    let known = |key: &snowbank_shared::signature::PublicKey| KnownKey {
        key: key.clone(),
        purpose: KeyPurpose::Contributor,
        state: KeyState::Active,
    };
    let ring = KeyRing::new(keys.iter().map(known));
    ring.judge_batch(&narinfos);
    let own = [std::process::id()];
    let (mut single, mut batched) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let before = cpu_seconds(&own)?;
        for (key, fingerprint, signature) in std::iter::repeat_n(&signed, TIMES).flatten() {
            ensure!(key.verifies(fingerprint.as_bytes(), signature.bytes()));
        }
        let taken = (cpu_seconds(&own)? - before) * 1e6;
        single.push(taken / (TIMES * signed.len()) as f64);
        let before = cpu_seconds(&own)?;
        let mut count = 0;
        for narinfos in std::iter::repeat_n(&narinfos, TIMES) {
            let judged = ring.judge_batch(narinfos);
            count += judged.iter().map(|one| one.signatures.len()).sum::<usize>();
        }
        batched.push((cpu_seconds(&own)? - before) * 1e6 / count as f64);
    }
    let margin = if options.small { 4.0 } else { 1.25 };
    for (id, what, values, target) in [
        ("f6", "a signature checked alone", single, 60.0),
        (
            "f6-many",
            "a signature checked among many of its key",
            batched,
            25.0,
        ),
    ] {
        figures.numbers(id, what, &values, "µs", target, target * margin)?;
    }
    Ok(())
}
