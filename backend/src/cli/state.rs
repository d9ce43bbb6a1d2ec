//! `snowbank state`: the server's own state, without the server.
//!
//! Where a cache's folder holds the state, the server must be stopped first: one process serves
//! a folder. With a bucket both may run.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::{ServeArgs, logging, print, runtime};
use crate::ledger::{ExportLine, Imported, Ledger, MOST_BUNDLE, Phase, RecordPath};
use crate::secrets;
use crate::server::{self, OpenedState};

/// Who the audit and the records say it was.
const AUTHOR: &str = "command line";
/// How long the state may take to open.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest line of an export: a part of a trash, and what it is.
const LONGEST_LINE: u64 = MOST_BUNDLE as u64 + (64 << 10);

#[derive(Debug, Clone, Subcommand)]
pub(super) enum StateCommand {
    /// Say whether everything can be believed: records, tombstones, the chains of the audit
    Check(CheckArgs),
    /// Write all records and tombstones, lists of plans and the trash of runs as text. It holds people and hashes of tokens: keep it safe
    Export(ExportArgs),
    /// Take in what `export` wrote. What is revoked here stays revoked
    Import(ImportArgs),
    /// Seal everything under the first key of the secret file, so that older keys can be removed
    Rekey(RekeyArgs),
}

#[derive(Debug, Clone, Args)]
pub(super) struct CheckArgs {
    /// Take what lies at this path as it is from now on; `check` alone names the paths
    #[arg(long, value_name = "PATH")]
    settle: Vec<RecordPath>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Clone, Args)]
pub(super) struct ExportArgs {
    /// A new file, for its owner only; else it is printed
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Clone, Args)]
pub(super) struct ImportArgs {
    /// What `export` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace records that are there; else they are left as they are
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Clone, Args)]
pub(super) struct RekeyArgs {
    #[command(flatten)]
    serve: ServeArgs,
}

pub(super) fn run(command: &StateCommand) -> anyhow::Result<ExitCode> {
    let (serve, begin) = match command {
        StateCommand::Check(args) => (&args.serve, false),
        StateCommand::Export(args) => (&args.serve, false),
        StateCommand::Import(args) => (&args.serve, true),
        StateCommand::Rekey(args) => (&args.serve, false),
    };
    let config = serve.config()?;
    logging::begin(&serve.log, "error")?;
    if begin {
        // Restoring into an empty place is what an import is for.
        secrets::read_or_make_state_secret(&config.secret_path())?;
    }
    runtime()?.block_on(async {
        let opened = server::open_state(&config, begin).await?;
        let done = perform(command, &opened).await;
        opened.close().await;
        done
    })
}

async fn perform(command: &StateCommand, opened: &OpenedState) -> anyhow::Result<ExitCode> {
    let ledger = &opened.ledger;
    let phase = ledger.settled(PATIENCE).await;
    let readable = matches!(phase, Phase::Open | Phase::ReadOnly(_));
    anyhow::ensure!(readable, "{}: {phase}", ledger.location());
    match command {
        StateCommand::Check(args) => check(ledger, args).await,
        StateCommand::Export(args) => export(ledger, args).await,
        StateCommand::Import(args) => import(ledger, args).await,
        StateCommand::Rekey(_) => rekey(ledger).await,
    }
}

async fn check(ledger: &Ledger, args: &CheckArgs) -> anyhow::Result<ExitCode> {
    for path in &args.settle {
        ledger
            .settle(path, AUTHOR)
            .await
            .with_context(|| format!("settling {path}"))?;
        print(&format!("settled    {path}"))?;
    }
    ledger.look().await?;
    let chains = ledger.check_audit().await?;
    let older = ledger.under_older_keys().await?;
    let findings = ledger.view().findings();
    let mut text = format!(
        "state of server {} at {}\n",
        ledger.server().unwrap_or("?"),
        ledger.location()
    );
    let _ = writeln!(text, "  {}", *ledger.phase().borrow());
    let records = ledger.export().len().saturating_sub(1);
    let _ = writeln!(text, "  records    {records}, tombstones included");
    let _ = writeln!(
        text,
        "  audit      {} events in {} segments of {} processes{}",
        chains.events,
        chains.segments,
        chains.chains,
        if chains.whole {
            ""
        } else {
            ", and more that were not read"
        }
    );
    let _ = writeln!(
        text,
        "  sealed by  {}",
        ledger.sealing_key().unwrap_or_default()
    );
    if older > 0 {
        let _ = writeln!(
            text,
            "  keys       {older} objects are sealed under an older key: see `snowbank state rekey`"
        );
    }
    for finding in &findings {
        let _ = writeln!(text, "  FINDING    {}: {}", finding.path, finding.trouble);
    }
    for broken in &chains.breaks {
        let _ = writeln!(text, "  FINDING    {broken}");
    }
    let fine = findings.is_empty() && chains.breaks.is_empty();
    let _ = write!(
        text,
        "  {}",
        if fine {
            "everything can be believed"
        } else {
            "not everything can be believed"
        }
    );
    print(&text)?;
    Ok(if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn export(ledger: &Ledger, args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let done = match &args.out {
        None => {
            let line =
                |line: &ExportLine| Ok::<_, anyhow::Error>(print(&serde_json::to_string(line)?)?);
            ledger.export_whole(line).await?
        }
        Some(path) => {
            anyhow::ensure!(
                !path.exists(),
                "{} exists and is left as it is",
                path.display()
            );
            let mut file = secrets::NewFile::begin(path)?;
            let line = |line: &ExportLine| {
                serde_json::to_writer(&mut file, line)?;
                Ok::<_, anyhow::Error>(file.write_all(b"\n")?)
            };
            let done = ledger.export_whole(line).await?;
            file.finish()?;
            print(&format!(
                "{} records and tombstones, and {} parts of lists and trash, in {}",
                done.records,
                done.bundles,
                path.display()
            ))?;
            done
        }
    };
    let left_out = ledger.view().findings().len() as u64 + done.unreadable;
    if left_out == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(
        std::io::stderr(),
        "{left_out} records or parts of lists and trash could not be believed and are left out: see `snowbank state check`",
    )?;
    Ok(ExitCode::FAILURE)
}

/// Reads an export line by line, each no longer than it may be.
fn each_line(
    path: &Path,
    mut each: impl FnMut(ExportLine) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    use std::io::Read as _;
    let name = path.display();
    let file = std::fs::File::open(path).with_context(|| name.to_string())?;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        let read = reader
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        number += 1;
        let parsed: ExportLine =
            serde_json::from_slice(&line).with_context(|| format!("{name}, line {number}"))?;
        let is_first = matches!(parsed, ExportLine::Export { .. });
        anyhow::ensure!(
            is_first == (number == 1),
            "{name}, line {number}: an export begins with its `export` line, and has one",
        );
        each(parsed)?;
    }
    anyhow::ensure!(number > 0, "{name} is empty");
    Ok(())
}

async fn import(ledger: &Ledger, args: &ImportArgs) -> anyhow::Result<ExitCode> {
    // All of it is looked at before any of it is taken in.
    each_line(&args.file, |_| Ok(()))?;
    let (send, mut lines) = tokio::sync::mpsc::channel(1);
    let path = args.file.clone();
    let reading =
        tokio::task::spawn_blocking(move || each_line(&path, |line| Ok(send.blocking_send(line)?)));
    let mut done = Imported::default();
    while let Some(line) = lines.recv().await {
        done.add(&ledger.import([line], AUTHOR, args.replace).await?);
    }
    reading.await??;
    print(&format!(
        "{} made, {} replaced, {} left as they were, {} revoked, {} skipped as revoked or expired, {} parts of lists and trash written",
        done.made, done.replaced, done.left, done.buried, done.skipped, done.bundles
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn rekey(ledger: &Ledger) -> anyhow::Result<ExitCode> {
    let done = ledger.rekey().await?;
    print(&format!(
        "{} objects sealed anew, {} were already, {} do not open and are left",
        done.rewritten, done.current, done.unreadable
    ))?;
    if done.unreadable > 0 {
        print(
            "see `snowbank state check` for those that do not open before you remove an older key",
        )?;
        return Ok(ExitCode::FAILURE);
    }
    print("Older keys can be removed from the secret file of every replica")?;
    Ok(ExitCode::SUCCESS)
}
