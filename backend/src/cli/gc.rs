//! `snowbank gc`: a plan by the rules of a cache, carried out. For cron jobs.
//!
//! It is a replica like any other: it takes the turn in the ledger, waits as long as a server waits, and
//! another replica goes on where it is killed. Where a running server alone may use the bucket or write the
//! state, it does not start, and says so.
//!
//! `--dry-run` is judged as `--yes` is ([`refusal`]), and ends with the same exit code where that would refuse.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use snowbank_shared::api::retention::{ErrorGroup, PlanWish, Rules, Run, RunState, Simulation};

use super::{ServeArgs, logging, print, runtime, told};
use crate::auth::By;
use crate::config::Config;
use crate::ledger::Phase;
use crate::retention::{self, Known, MOST_PLANNED, MOST_PLANS, RetentionError};
use crate::server::{self, RunningServer, StartError};
use crate::site::Cache;

/// Everything is done, or there was nothing to do.
const DONE: u8 = 0;
/// It was refused: nothing was begun, or somebody stopped it.
const REFUSED: u8 = 1;
/// Something failed, or the bucket refused to delete something.
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
    after_help = "Exit code: 0 done or nothing to do, 1 refused before it began or stopped by somebody, 2 failed, or the bucket refused to delete something.\n--dry-run ends with 1 where --yes would.\nThe rules are the cache's own: set them on its page of retention."
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
    let simulation = match judged(args, server, &cache).await {
        Ok(simulation) => simulation,
        Err(error) => return Ok(not_begun(&error)),
    };
    if let Some(refusal) = &simulation.refusal {
        eprintln!("snowbank: {refusal}");
    }
    let code = simulation.refusal.as_ref().map_or(DONE, |_| REFUSED);
    if args.dry_run {
        said(args, slug, &simulation)?;
        return Ok(code);
    }
    if code != DONE {
        return Ok(code);
    }
    removed(args, server, &cache, rules.rules).await
}

/// Says why nothing was begun.
fn not_begun(error: &RetentionError) -> u8 {
    eprintln!("snowbank: {error}");
    match error {
        RetentionError::Ledger(_) | RetentionError::Failed => FAILED,
        _ => REFUSED,
    }
}

/// Removes what the rules do not keep, and what is due since earlier runs.
async fn removed(
    args: &GcArgs,
    server: &RunningServer,
    cache: &Arc<Cache>,
    rules: Rules,
) -> anyhow::Result<u8> {
    let wish = PlanWish {
        rules,
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
    let before = went_wrong(server, cache);
    // NARs of earlier runs may be due, and a cache has one run at a time.
    if !is_idle(server, cache).await {
        return Ok(FAILED);
    }
    let begun = match retention.plan(cache, &wish, &by).await {
        Ok(plan) => retention.start(cache, &plan.id, &by).await.map(Some),
        Err(RetentionError::Nothing(_)) => Ok(None),
        Err(error) => Err(error),
    };
    let run = match begun {
        Ok(run) => run.map(|run| run.id),
        Err(error) => return Ok(not_begun(&error)),
    };
    if !is_idle(server, cache).await {
        return Ok(FAILED);
    }
    let run = run
        .map(|run| retention.run_shown(cache, &run))
        .transpose()?;
    if args.json {
        print(&json!({"cache": cache.slug.as_str(), "run": run}).to_string())?;
    } else {
        print(&in_words(run.as_ref()))?;
    }
    let wrong = since(&before, went_wrong(server, cache));
    for (words, (times, example)) in &wrong {
        eprintln!("snowbank: {}", wrong_words(words, *times, example));
    }
    Ok(match run.map(|run| run.state) {
        _ if !wrong.is_empty() => FAILED,
        Some(RunState::Stopped) => REFUSED,
        _ => DONE,
    })
}

/// What went wrong in a run: its id and the words, how often, and one object.
type Wrong = BTreeMap<(String, String), (u64, String)>;

/// What went wrong in the runs of a cache until now.
fn went_wrong(server: &RunningServer, cache: &Cache) -> Wrong {
    let runs = server.retention().all_runs(cache).into_iter();
    let errors = runs.flat_map(|run| {
        let of = move |group: ErrorGroup| {
            let key = (run.id.clone(), group.words);
            (key, (group.count, group.example))
        };
        run.errors.into_iter().map(of)
    });
    errors.collect()
}

/// What went wrong meanwhile, by its words.
fn since(before: &Wrong, now: Wrong) -> BTreeMap<String, (u64, String)> {
    let mut since = BTreeMap::new();
    for (key, (times, example)) in now {
        let known = before.get(&key).map_or(0, |(times, _)| *times);
        if times > known {
            let sum = since.entry(key.1).or_insert((0, example));
            sum.0 += times - known;
        }
    }
    since
}

fn wrong_words(words: &str, times: u64, example: &str) -> String {
    let often = match times {
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    let example = example.escape_debug();
    format!("{often}: {words} (for example {example}); what it concerns stays in the bucket")
}

/// Waits until no run acts, and what is due is deleted. False where a run stands still for too long: that
/// is said.
async fn is_idle(server: &RunningServer, cache: &Arc<Cache>) -> bool {
    let retention = server.retention();
    let mut stands: Option<Instant> = None;
    while retention.is_busy(cache) {
        let mut acting = retention.all_runs(cache).into_iter();
        let trouble = acting.find_map(|run| run.trouble.filter(|_| run.state.acts()));
        match trouble {
            None => stands = None,
            Some(trouble) => {
                if stands.get_or_insert_with(Instant::now).elapsed() > STANDING {
                    eprintln!("snowbank: a run stands still: {trouble}");
                    return false;
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
    true
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

/// What the rules would remove, with why `--yes` would not begin.
async fn judged(
    args: &GcArgs,
    server: &RunningServer,
    cache: &Arc<Cache>,
) -> Result<Simulation, RetentionError> {
    let (site, of) = (Arc::clone(server.site()), Arc::clone(cache));
    let looking = tokio::task::spawn_blocking(move || {
        let rules = retention::shown(&site, &of).rules;
        retention::simulated(&site, &of, &Known::of(&site, &of), &rules)
    });
    let mut simulation = looking.await.map_err(|error| {
        tracing::error!(%error, "looking at every path panicked");
        RetentionError::Failed
    })?;
    simulation.foreign_paths = retention::foreign_paths(server.site(), cache).await?;
    let plans = server.retention().history(cache).plans.len();
    simulation.refusal = refusal(&simulation, plans, args.foreign);
    Ok(simulation)
}

/// Why `--yes` would not begin, in the order in which a plan is judged. `plans` wait to be started.
fn refusal(simulation: &Simulation, plans: usize, foreign: bool) -> Option<String> {
    if plans >= MOST_PLANS {
        return Some(format!(
            "{MOST_PLANS} plans of this cache can be started, and that is the most: start one on its page of retention, or wait until one expires."
        ));
    }
    let others = simulation.foreign_paths;
    if others > 0 && !foreign {
        let error = RetentionError::Foreign(others);
        return Some(format!("{error} With --foreign you say yes."));
    }
    if simulation.refusal.is_some() {
        return simulation.refusal.clone();
    }
    if simulation.no_rules {
        return Some(
            "No rule is on, so everything stays: choose one on the cache's page of retention."
                .to_owned(),
        );
    }
    let going = simulation.frees.paths;
    (going > MOST_PLANNED as u64).then(|| {
        format!(
            "These rules would take out {going} paths, and a run takes {MOST_PLANNED} at most: keep more at first, then run it again."
        )
    })
}

/// Prints what the rules would remove.
fn said(args: &GcArgs, slug: &str, simulation: &Simulation) -> anyhow::Result<()> {
    if args.json {
        print(&json!({"cache": slug, "simulation": simulation}).to_string())?;
    } else {
        print(&format!(
            "{slug}: {} of {} paths would go, {} bytes. Nothing was removed.",
            simulation.frees.paths, simulation.now.paths, simulation.frees.bytes
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simulation(frees: u64, foreign: u64) -> Simulation {
        serde_json::from_value(json!({
            "rules": {"uploaded_days": 30, "grace_hours": 0},
            "now": {"paths": 300_000, "bytes": 1}, "after": {"paths": 1, "bytes": 1},
            "frees": {"paths": frees, "bytes": 1},
            "packages": [], "at_risk": null, "grace": {"all": {"paths": 0, "bytes": 0}, "items": []},
            "disabled": [], "no_rules": false, "foreign_paths": foreign, "pins": 0,
            "refusal": null, "revision": "1", "as_of": null,
        }))
        .expect("a simulation")
    }

    #[test]
    fn what_a_yes_would_refuse_is_refused_in_its_order() {
        let words = |simulation: &Simulation, plans, foreign| {
            refusal(simulation, plans, foreign).unwrap_or_default()
        };
        let few = simulation(MOST_PLANNED as u64, 3);
        assert_eq!(refusal(&few, MOST_PLANS - 1, true), None);
        assert!(words(&few, MOST_PLANS, false).starts_with("20 plans"));
        assert!(words(&few, 0, false).ends_with("With --foreign you say yes."));
        let mut many = simulation(MOST_PLANNED as u64 + 1, 3);
        assert!(words(&many, 0, true).contains("200001 paths"));
        many.no_rules = true;
        assert!(words(&many, 0, true).starts_with("No rule is on"));
        many.refusal = Some("The index is not complete yet.".to_owned());
        assert_eq!(words(&many, 0, true), "The index is not complete yet.");
    }

    #[test]
    fn only_what_went_wrong_meanwhile_is_told() {
        let of = |run: &str, words: &str, times| {
            let key = (run.to_owned(), words.to_owned());
            (key, (times, "nar/1.nar".to_owned()))
        };
        let before = Wrong::from([of("a", "refused", 2), of("b", "slow", 1)]);
        let now = Wrong::from([
            of("a", "refused", 3),
            of("b", "slow", 1),
            of("c", "refused", 4),
        ]);
        let since = since(&before, now);
        let told: Vec<_> = since
            .iter()
            .map(|(words, (times, example))| wrong_words(words, *times, example))
            .collect();
        assert_eq!(
            told,
            ["5 times: refused (for example nar/1.nar); what it concerns stays in the bucket"]
        );
        assert!(
            wrong_words("refused", 1, "\u{1b}").starts_with("once: refused (for example \\u{1b})")
        );
    }
}
