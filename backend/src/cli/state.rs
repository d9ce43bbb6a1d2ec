//! `snowbank state`: the server's own state, without the server.
//!
//! Where a cache's folder holds the state, the server must be stopped first: one process serves
//! a folder. With a bucket both may run.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::{ServeArgs, logging, print, runtime};
use crate::ledger::{ExportLine, Ledger, Phase, RecordPath};
use crate::secrets;
use crate::server::{self, OpenedState};

/// Who the audit and the records say it was.
const AUTHOR: &str = "command line";
/// How long the state may take to open.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest line of an export.
const LONGEST_LINE: u64 = 1 << 20;

#[derive(Debug, Clone, Subcommand)]
pub(super) enum StateCommand {
    /// Say whether everything can be believed: records, tombstones, the chains of the audit
    Check(CheckArgs),
    /// Write all records and tombstones as text. It holds people and hashes of tokens: keep it safe
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
        StateCommand::Export(args) => export(ledger, args),
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

fn export(ledger: &Ledger, args: &ExportArgs) -> anyhow::Result<ExitCode> {
    let mut text = String::new();
    let lines = ledger.export();
    for line in &lines {
        text.push_str(&serde_json::to_string(line)?);
        text.push('\n');
    }
    match &args.out {
        None => print(&text)?,
        Some(path) => {
            anyhow::ensure!(
                !path.exists(),
                "{} exists and is left as it is",
                path.display()
            );
            secrets::create(path, text.as_bytes())?;
            print(&format!(
                "{} records and tombstones in {}",
                lines.len() - 1,
                path.display()
            ))?;
        }
    }
    let findings = ledger.view().findings();
    if findings.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(
        std::io::stderr(),
        "{} records could not be believed and are left out: see `snowbank state check`",
        findings.len()
    )?;
    Ok(ExitCode::FAILURE)
}

async fn import(ledger: &Ledger, args: &ImportArgs) -> anyhow::Result<ExitCode> {
    use std::io::Read as _;
    let file = std::fs::File::open(&args.file).with_context(|| args.file.display().to_string())?;
    let mut reader = BufReader::new(file);
    let mut lines = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)?
            == 0
        {
            break;
        }
        let number = lines.len() + 1;
        let parsed: ExportLine = serde_json::from_slice(&line)
            .with_context(|| format!("{}, line {number}", args.file.display()))?;
        let is_first = matches!(parsed, ExportLine::Export { .. });
        anyhow::ensure!(
            is_first == (number == 1),
            "{}, line {number}: an export begins with its `export` line, and has one",
            args.file.display()
        );
        lines.push(parsed);
    }
    anyhow::ensure!(!lines.is_empty(), "{} is empty", args.file.display());
    let done = ledger.import(lines, AUTHOR, args.replace).await?;
    print(&format!(
        "{} made, {} replaced, {} left as they were, {} revoked, {} skipped as revoked or expired",
        done.made, done.replaced, done.left, done.buried, done.skipped
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
