//! `snowbank verify`: archives are read and compared with their narinfos. For cron jobs, and for whoever
//! wants to know before trusting a bucket. Nothing is written into the bucket.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use snowbank_shared::api::ContentStatus;
use snowbank_shared::store_path::StorePathHash;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{ServeArgs, logging, print, runtime, told};
use crate::auth::records::now;
use crate::server;
use crate::site::Cache;
use crate::verify;

/// Every path that was looked at is proven.
const PROVEN: u8 = 0;
/// At least one archive is not what its narinfo says.
const PROBLEMS: u8 = 1;
/// None is known to be wrong, and at least one could not be checked.
const UNCHECKED: u8 = 2;
/// Archives in hand at once.
const AT_ONCE: usize = 2;
/// Between two words about progress, in paths.
const EVERY: u64 = 100;

/// Which paths of which caches.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit code: 0 all proven, 1 problems found, 2 something could not be checked."
)]
pub(super) struct VerifyArgs {
    /// Only these caches, by slug
    #[arg(long, value_name = "SLUG")]
    cache: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// One JSON object a line instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    serve: ServeArgs,
}

/// Exactly one way to choose.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// These paths: the store path, `hash-name` or the hash
    #[arg(long, value_name = "PATH")]
    path: Vec<String>,
    /// So many paths of each cache, others each time
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Every path
    #[arg(long)]
    all: bool,
}

/// What was found so far.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    proven: u64,
    problems: u64,
    unchecked: u64,
}

impl Tally {
    fn code(self) -> u8 {
        if self.problems > 0 {
            PROBLEMS
        } else if self.unchecked > 0 {
            UNCHECKED
        } else {
            PROVEN
        }
    }
}

/// Never fails otherwise than by its exit code: 1 would say that problems were found.
pub(super) fn run(args: &VerifyArgs) -> ExitCode {
    match check(args) {
        Ok(tally) => ExitCode::from(tally.code()),
        Err(error) => {
            eprintln!("snowbank: {}", told(&error));
            ExitCode::from(UNCHECKED)
        }
    }
}

fn check(args: &VerifyArgs) -> anyhow::Result<Tally> {
    let mut config = args.serve.config()?;
    logging::begin(&args.serve.log, "warn")?;
    for slug in &args.cache {
        let mut known = config.caches.iter().map(|cache| cache.slug.as_str());
        anyhow::ensure!(
            known.any(|known| known == slug),
            "there is no cache `{}` in the configuration",
            slug.escape_debug()
        );
    }
    if !args.cache.is_empty() {
        config
            .caches
            .retain(|cache| args.cache.iter().any(|slug| slug == cache.slug.as_str()));
    }
    let named = args
        .which
        .path
        .iter()
        .map(|text| hash(text))
        .collect::<anyhow::Result<Vec<_>>>()?;
    runtime()?.block_on(async {
        let opened = server::open(&config).await?;
        let mut tally = Tally::default();
        for (cache, sync) in opened.caches() {
            let hashes = if named.is_empty() {
                if let Err(error) = sync.sweep_whole_now().await {
                    tally.unchecked += 1;
                    eprintln!("{}: {error}", cache.slug);
                    continue;
                }
                let (of, sample) = (Arc::clone(cache), args.which.sample);
                let (hashes, unreadable) =
                    tokio::task::spawn_blocking(move || chosen(&of, sample)).await?;
                for key in unreadable {
                    tally.unchecked += 1;
                    unchecked(args, cache, &key, "it cannot be read as a narinfo")?;
                }
                hashes
            } else {
                named.clone()
            };
            paths(args, cache, hashes, &mut tally).await?;
        }
        opened.close().await;
        eprintln!(
            "{} proven, {} with problems, {} could not be checked",
            tally.proven, tally.problems, tally.unchecked
        );
        Ok(tally)
    })
}

/// The hash part of a path: full, `hash-name` or the hash.
fn hash(text: &str) -> anyhow::Result<StorePathHash> {
    let base = text.trim().rsplit('/').next().unwrap_or_default();
    let part = base.split('-').next().unwrap_or_default();
    part.parse()
        .map_err(|error| anyhow::anyhow!("`{}` is no store path: {error}", text.escape_debug()))
}

/// The paths of a cache, or so many of them; and, of all, the objects that are no narinfos. Not for the
/// reactor.
fn chosen(cache: &Cache, sample: Option<usize>) -> (Vec<StorePathHash>, Vec<String>) {
    cache.index.settle();
    let view = cache.index.view();
    let mut hashes: Vec<StorePathHash> = view.hashes().collect();
    let Some(sample) = sample else {
        let unreadable = view.unreadable().map(str::to_owned).collect();
        return (hashes, unreadable);
    };
    let seed = now().unsigned_abs();
    hashes.sort_by_cached_key(|hash| xxh3_64_with_seed(hash.as_bytes(), seed));
    hashes.truncate(sample);
    (hashes, Vec::new())
}

async fn paths(
    args: &VerifyArgs,
    cache: &Cache,
    hashes: Vec<StorePathHash>,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let total = hashes.len();
    let mut seen = 0_u64;
    let checking = stream::iter(hashes)
        .map(|hash| async move { (hash, verify::path(cache, hash).await) })
        .buffer_unordered(AT_ONCE);
    let mut checking = std::pin::pin!(checking);
    while let Some((hash, checked)) = checking.next().await {
        match checked {
            Ok(checked) => {
                let shown = checked.shown(cache);
                if shown.content == ContentStatus::Verified {
                    tally.proven += 1;
                } else {
                    tally.problems += 1;
                }
                if args.json {
                    let mut line = serde_json::to_value(&shown)?;
                    line["cache"] = json!(cache.slug.as_str());
                    print(&line.to_string())?;
                } else if shown.content != ContentStatus::Verified {
                    print(&format!(
                        "{}: {}-{}: {}: {}",
                        cache.slug, shown.hash, shown.name, shown.content, shown.reason
                    ))?;
                }
            }
            Err(none) => {
                tally.unchecked += 1;
                unchecked(args, cache, &hash.to_string(), &none.to_string())?;
            }
        }
        seen += 1;
        if seen.is_multiple_of(EVERY) {
            eprintln!("{}: {seen} of {total} looked at", cache.slug);
        }
    }
    Ok(())
}

/// Says that there is no verdict.
fn unchecked(args: &VerifyArgs, cache: &Cache, object: &str, reason: &str) -> anyhow::Result<()> {
    let text = if args.json {
        json!({"cache": cache.slug.as_str(), "object": object, "unchecked": reason}).to_string()
    } else {
        format!("{}: {object}: could not be checked: {reason}", cache.slug)
    };
    print(&text)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_outweighs_what_could_not_be_checked() {
        let tally = |proven, problems, unchecked| Tally {
            proven,
            problems,
            unchecked,
        };
        assert_eq!(tally(3, 0, 0).code(), 0);
        assert_eq!(tally(3, 1, 0).code(), 1);
        assert_eq!(tally(3, 1, 1).code(), 1);
        assert_eq!(tally(3, 0, 1).code(), 2);
    }
}
