//! `snowbank gc`: a plan by the rules of a cache, carried out. For cron jobs.
//!
//! It is a replica like any other: it takes the turn in the ledger, waits as long as a server waits, and
//! another replica goes on where it is killed. Where a running server alone may use the bucket or write the
//! state, it does not start, and says so.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use snowbank_shared::api::retention::{PlanWish, Run, RunState, Simulation};

use super::{ServeArgs, logging, print, runtime, told};
use crate::auth::By;
use crate::config::Config;
use crate::ledger::Phase;
use crate::retention::{self, Known, RetentionError};
use crate::server::{self, RunningServer, StartError};
use crate::site::Cache;

/// Everything is done, or there was nothing to do.
const DONE: u8 = 0;
/// It was refused: nothing was begun, or somebody stopped it.
const REFUSED: u8 = 1;
/// Something failed.
const FAILED: u8 = 2;
/// How long the state may take to open.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a run may stand still before nobody waits for it any more.
const STANDING: Duration = Duration::from_secs(300);
/// Between two looks at a run.
const LOOK: Duration = Duration::from_millis(500);

/// What is to go, and whether it may.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit code: 0 done or nothing to do, 1 refused, 2 failed.\nThe rules are the cache's own: set them on its page of retention."
)]
pub(super) struct GcArgs {
    /// The cache, by slug; needed where there are several
    #[arg(long, value_name = "SLUG")]
    cache: Option<String>,
    /// Only say what the rules would remove
    #[arg(long)]
    dry_run: bool,
    /// Remove it: narinfos at once, NARs after the days of grace
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Others write to the bucket past the server, and it may be done all the same
    #[arg(long)]
    foreign: bool,
    /// JSON instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    serve: ServeArgs,
}

/// Never fails otherwise than by its exit code.
pub(super) fn run(args: &GcArgs) -> ExitCode {
    match gc(args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("snowbank: {}", told(&error));
            ExitCode::from(FAILED)
        }
    }
}

/// The cache that is meant.
fn meant(args: &GcArgs, config: &Config) -> anyhow::Result<String> {
    let mut slugs = config.caches.iter().map(|cache| cache.slug.as_str());
    match &args.cache {
        Some(slug) => {
            anyhow::ensure!(
                slugs.any(|known| known == slug),
                "there is no cache `{}` in the configuration",
                slug.escape_debug()
            );
            Ok(slug.clone())
        }
        None => match (slugs.next(), slugs.next()) {
            (Some(one), None) => Ok(one.to_owned()),
            _ => anyhow::bail!("there are several caches: say which with --cache"),
        },
    }
}

fn gc(args: &GcArgs) -> anyhow::Result<u8> {
    let mut config = args.serve.config()?;
    logging::begin(&args.serve.log, "warn")?;
    let slug = meant(args, &config)?;
    if !args.yes && !args.dry_run {
        eprintln!(
            "snowbank: say --yes to remove what the rules do not keep, or --dry-run to see it"
        );
        return Ok(REFUSED);
    }
    // Nobody is to find it.
    config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.metrics_listen = None;
    config.s3_listen = None;
    runtime()?.block_on(async {
        let server = match server::start(config).await {
            Ok(server) => server,
            Err(error @ (StartError::State(_) | StartError::Embedded(_))) => {
                eprintln!("snowbank: {error}");
                return Ok(REFUSED);
            }
            Err(error) => return Err(error.into()),
        };
        let done = collected(args, &server, &slug).await;
        server.shutdown().await;
        done
    })
}

async fn collected(args: &GcArgs, server: &RunningServer, slug: &str) -> anyhow::Result<u8> {
    let site = server.site();
    let phase = site.ledger.settled(PATIENCE).await;
    if phase != Phase::Open {
        eprintln!("snowbank: {}: {phase}", site.ledger.location());
        return Ok(FAILED);
    }
    let (Some(cache), Some(sync)) = (site.cache(slug).cloned(), server.sync(slug)) else {
        anyhow::bail!("the cache `{slug}` was not opened");
    };
    sync.sweep_now().await?;
    let rules = retention::shown(site, &cache);
    if rules.revision == 0 {
        eprintln!(
            "snowbank: nobody has set rules of retention for `{slug}`: set them on its page first"
        );
        return Ok(REFUSED);
    }
    if args.dry_run {
        let simulation = simulated(server, &cache).await?;
        return said(args, slug, &simulation);
    }
    let wish = PlanWish {
        rules: rules.rules,
        foreign: args.foreign,
        grace_days: None,
    };
    let by = By {
        actor: "command line".to_owned(),
        via: "cli",
        request: String::new(),
        address: None,
    };
    let retention = server.retention();
    let begun = match retention.plan(&cache, &wish, &by).await {
        Ok(plan) => retention.start(&cache, &plan.id, &by).await.map(Some),
        // NARs of earlier runs may be due.
        Err(RetentionError::Nothing(_)) => Ok(None),
        Err(error) => Err(error),
    };
    let run = match begun {
        Ok(run) => run.map(|run| run.id),
        Err(error) => {
            eprintln!("snowbank: {error}");
            return Ok(match error {
                RetentionError::Ledger(_) | RetentionError::Failed => FAILED,
                _ => REFUSED,
            });
        }
    };
    waited(args, server, &cache, run.as_deref()).await
}

/// Waits until the run is in its time of grace, and what was due before is deleted.
async fn waited(
    args: &GcArgs,
    server: &RunningServer,
    cache: &Arc<Cache>,
    run: Option<&str>,
) -> anyhow::Result<u8> {
    let retention = server.retention();
    let mut stands: Option<Instant> = None;
    while retention.is_busy(cache) {
        let trouble = retention
            .history(cache)
            .runs
            .into_iter()
            .find_map(|run| run.trouble);
        match trouble {
            None => stands = None,
            Some(trouble) => {
                if stands.get_or_insert_with(Instant::now).elapsed() > STANDING {
                    eprintln!("snowbank: a run stands still: {trouble}");
                    return Ok(FAILED);
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
    let run = run.map(|run| retention.run_shown(cache, run)).transpose()?;
    if args.json {
        print(&json!({"cache": cache.slug.as_str(), "run": run}).to_string())?;
    } else {
        print(&in_words(run.as_ref()))?;
    }
    Ok(match run.map(|run| run.state) {
        Some(RunState::Stopped) => REFUSED,
        _ => DONE,
    })
}

fn in_words(run: Option<&Run>) -> String {
    let Some(run) = run else {
        return "The rules keep everything: there is nothing to remove.".to_owned();
    };
    let until = match &run.undo_until {
        Some(until) => format!(" It can be undone until {until}."),
        None => String::new(),
    };
    format!(
        "Run {}: {} of {} narinfos in the trash, {} stay, {} NARs deleted, {} bytes freed.{until}",
        run.id, run.trashed, run.total, run.left_out_paths, run.deleted, run.freed
    )
}

async fn simulated(server: &RunningServer, cache: &Arc<Cache>) -> anyhow::Result<Simulation> {
    let (site, of) = (Arc::clone(server.site()), Arc::clone(cache));
    let simulation = tokio::task::spawn_blocking(move || {
        let rules = retention::shown(&site, &of).rules;
        retention::simulated(&site, &of, &Known::of(&site, &of), &rules)
    });
    Ok(simulation.await?)
}

/// Prints what the rules would remove.
fn said(args: &GcArgs, slug: &str, simulation: &Simulation) -> anyhow::Result<u8> {
    if args.json {
        print(&json!({"cache": slug, "simulation": simulation}).to_string())?;
    } else {
        print(&format!(
            "{slug}: {} of {} paths would go, {} bytes. Nothing was removed.",
            simulation.frees.paths, simulation.now.paths, simulation.frees.bytes
        ))?;
    }
    Ok(match &simulation.refusal {
        Some(refusal) => {
            eprintln!("snowbank: {refusal}");
            REFUSED
        }
        None => DONE,
    })
}
