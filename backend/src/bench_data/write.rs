//! Where a synthetic cache goes.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use futures_util::{StreamExt, TryStreamExt, pin_mut, stream};

use super::{Args, BenchObject, Plan, Signatures, Summary};
use crate::bucket::{Bucket, BucketConfig, ListRequest, PutOptions};

/// PUTs under way at once.
const CONCURRENCY: usize = 48;

/// Runs `snowbank bench-data`: writes the cache and prints what is in it.
///
/// # Errors
/// A plan that cannot be, a place that is not empty, or what the file system or the bucket says.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let started = Instant::now();
    let plan = args.plan();
    let summary = match (&args.out, args.bucket_config()) {
        (Some(folder), _) => to_folder(&plan, folder)?,
        (None, Some(config)) => {
            // A thread and runtime of its own: the caller may be on a runtime already.
            let upload = || {
                let runtime = tokio::runtime::Builder::new_multi_thread()
                    .enable_all()
                    .build()?;
                runtime.block_on(async { to_bucket(&plan, &Bucket::connect(&config).await?).await })
            };
            std::thread::scope(|scope| scope.spawn(upload).join())
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?
        }
        (None, None) => bail!("say where to: --out FOLDER or --bucket NAME"),
    };
    print!("{}", describe(&summary, started.elapsed()));
    Ok(())
}

impl Args {
    /// The plan that the flags describe.
    #[must_use]
    pub fn plan(&self) -> Plan {
        Plan {
            paths: self.paths,
            seed: self.seed,
            signatures: if self.fake_signatures {
                Signatures::Fake
            } else {
                Signatures::Real
            },
            compression: self.compression,
            nars: self.nars,
            nar_max: self.nar_max,
            one_closure: self.one_closure,
            defects: self.defects,
            // A folder has nowhere to keep it.
            keeps_encoding: self.out.is_none(),
        }
    }

    fn bucket_config(&self) -> Option<BucketConfig> {
        Some(BucketConfig {
            bucket: self.bucket.clone()?,
            prefix: self.prefix.clone(),
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            ..BucketConfig::default()
        })
    }
}

/// Writes the cache of `plan` into a bucket that holds nothing below its prefix.
///
/// # Errors
/// As [`run`].
pub async fn to_bucket(plan: &Plan, bucket: &Bucket) -> anyhow::Result<Summary> {
    let mut objects = plan.objects().map_err(anyhow::Error::msg)?;
    {
        let pages = bucket.list(ListRequest {
            max_keys: Some(1),
            ..ListRequest::default()
        });
        pin_mut!(pages);
        if let Some(page) = pages.next().await
            && !page?.objects.is_empty()
        {
            bail!(
                "{} is not empty; a cache is only written where nothing is",
                bucket.location()
            );
        }
    }
    stream::iter(&mut objects)
        .map(|object| async move {
            let options = PutOptions {
                content_type: Some(content_type(&object.key).to_owned()),
                content_encoding: object.content_encoding.map(str::to_owned),
                ..PutOptions::default()
            };
            bucket.put(&object.key, object.body.into(), &options).await
        })
        .buffer_unordered(CONCURRENCY)
        .try_for_each(|_| async { Ok(()) })
        .await?;
    Ok(objects.summary().clone())
}

/// What Nix sends with an object of this key (PROTOCOL.md §1).
fn content_type(key: &str) -> &'static str {
    match key.rsplit_once('.').map_or(key, |(_, extension)| extension) {
        "nix-cache-info" => "text/x-nix-cache-info",
        "narinfo" => "text/x-nix-narinfo",
        "ls" | "doi" | "debug" => "application/json",
        _ if key.starts_with("nar/") => "application/x-nix-nar",
        _ => "application/octet-stream",
    }
}

/// Writes the cache of `plan` as a folder, one file per object, each with the
/// time at which its path was built.
///
/// # Errors
/// As [`run`].
pub fn to_folder(plan: &Plan, folder: &Path) -> anyhow::Result<Summary> {
    let mut objects = plan.objects().map_err(anyhow::Error::msg)?;
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut existing = fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder {}", folder.display()))?;
    if existing.next().is_some() {
        bail!(
            "the folder {} is not empty; a cache is only written into an empty one",
            folder.display()
        );
    }
    let mut made = HashSet::new();
    for object in &mut objects {
        write_file(folder, &object, &mut made)
            .with_context(|| format!("cannot write {}", folder.join(&object.key).display()))?;
    }
    Ok(objects.summary().clone())
}

fn write_file(folder: &Path, object: &BenchObject, made: &mut HashSet<String>) -> io::Result<()> {
    if let Some((parent, _)) = object.key.rsplit_once('/')
        && made.insert(parent.to_owned())
    {
        fs::create_dir_all(folder.join(parent))?;
    }
    let mut file = fs::File::create(folder.join(&object.key))?;
    io::Write::write_all(&mut file, &object.body)?;
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(object.modified))
}

fn describe(summary: &Summary, took: Duration) -> String {
    let mut lines = vec![
        ("paths", summary.paths.to_string()),
        ("references", summary.references.to_string()),
        ("objects", summary.objects.to_string()),
        ("stored_bytes", summary.stored_bytes.to_string()),
        ("narinfo_bytes", summary.narinfo_bytes.to_string()),
        ("nar_bytes", summary.nar_bytes.to_string()),
        ("file_bytes", summary.file_bytes.to_string()),
        ("nars", summary.nars.to_string()),
        ("stored_nar_bytes", summary.stored_nar_bytes.to_string()),
        ("signed", summary.signed.to_string()),
        ("unsigned", summary.unsigned.to_string()),
        ("bad_signature", summary.bad_signature.to_string()),
        ("unknown_key", summary.unknown_key.to_string()),
        ("content_addressed", summary.content_addressed.to_string()),
        ("encoded", summary.encoded.to_string()),
        ("malformed", summary.malformed.to_string()),
        ("foreign", summary.foreign.to_string()),
        ("seconds", format!("{:.1}", took.as_secs_f64())),
    ];
    lines.extend(
        summary
            .public_keys
            .iter()
            .map(|key| ("public_key", key.to_string())),
    );
    lines
        .iter()
        .map(|(name, value)| format!("{name} {value}\n"))
        .collect()
}
