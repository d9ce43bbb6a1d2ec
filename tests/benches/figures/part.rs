//! The parts this program plays in processes of its own, so that what is
//! measured shares nothing with who measures.

use std::fs::File;
use std::io::{BufRead as _, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};
use snowbank::bucket::embedded::{EmbeddedConfig, EmbeddedS3};

use crate::blob_store;

/// Says which part to play.
const PART: &str = "SNOWBANK_FIGURES_PART";

/// The program to measure; this one where nobody names another.
const BINARY: &str = "SNOWBANK_BIN";

/// Plays the part that the environment names, until whoever started it is gone, or the server where
/// the command line is one of its. `false` where it is neither.
pub fn play() -> anyhow::Result<bool> {
    let Some(part) = std::env::var_os(PART) else {
        let first = std::env::args_os().nth(1).unwrap_or_default();
        let is_server = ["serve", "owner-link"]
            .iter()
            .any(|command| first == *command);
        return match is_server {
            true => snowbank::cli::run().map(|_| true),
            false => Ok(false),
        };
    };
    match part.to_str() {
        Some("s3") => s3(),
        Some("blob-s3") => {
            let folder = std::env::args_os().nth(1).context("no folder")?;
            blob_store::serve(Path::new(&folder), wait_for_the_end)
        }
        _ => bail!("{PART} names no part"),
    }
}

/// Runs this program again with itself as the program to measure, where no other is named: all that
/// starts servers then finds one. `None` where one is named.
pub fn with_a_server() -> anyhow::Result<Option<bool>> {
    if std::env::var_os(BINARY).is_some() {
        return Ok(None);
    }
    let this = std::env::current_exe()?;
    let mut command = Command::new(&this);
    command.args(std::env::args_os().skip(1)).env(BINARY, &this);
    Ok(Some(command.status()?.success()))
}

/// The embedded S3 server over the folder in the first argument, bucket `bench`.
fn s3() -> anyhow::Result<bool> {
    let folder = std::env::args_os().nth(1).context("no folder")?;
    let config = EmbeddedConfig {
        durable: false,
        ..EmbeddedConfig::new()
    }
    .bucket("bench", folder);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let server = EmbeddedS3::start(config).await?;
        let credentials = server.credentials();
        println!(
            "{} {} {}",
            server.endpoint(),
            credentials.access_key,
            credentials.secret_key
        );
        std::io::stdout().flush()?;
        tokio::task::spawn_blocking(wait_for_the_end).await?;
        anyhow::Ok(true)
    })
}

/// Standard input ends with the process that holds its other end.
pub fn wait_for_the_end() {
    let mut rest = Vec::new();
    // An error is an end too.
    let _ = std::io::stdin().read_to_end(&mut rest);
}

/// A child that ends with this value.
#[derive(Debug)]
pub struct Part {
    child: Child,
    /// The first line it printed that was waited for.
    pub line: String,
}

impl Part {
    /// Starts this program again as `part`, and waits for a line that `is_ready` likes.
    pub fn start(
        part: &str,
        arguments: &[&str],
        is_ready: impl Fn(&str) -> bool,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env(PART, part).args(arguments);
        Self::spawn(command, Stdio::inherit(), is_ready)
    }

    /// The server as a user starts it, with this configuration and its log in a file:
    /// the program that `SNOWBANK_BIN` names, which may be this one. It has
    /// so many threads that answer, or one for each core.
    pub fn server(config: &Path, log: File, workers: Option<u16>) -> anyhow::Result<Self> {
        let binary = std::env::var_os(BINARY).context("SNOWBANK_BIN names no server")?;
        let mut command = Command::new(binary);
        command.arg("serve").arg("--config").arg(config);
        if let Some(workers) = workers {
            command.env("TOKIO_WORKER_THREADS", workers.to_string());
        }
        Self::spawn(command, log.into(), |line| {
            line.contains("http://127.0.0.1:")
        })
    }

    /// Starts a program, and waits for a line that `is_ready` likes.
    fn spawn(
        mut command: Command,
        log: Stdio,
        is_ready: impl Fn(&str) -> bool,
    ) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let output = child.stdout.take().context("no output")?;
        let mut part = Self {
            child,
            line: String::new(),
        };
        let mut lines = std::io::BufReader::new(output).lines();
        loop {
            let line = lines.next().context("it ended before it was ready")??;
            if is_ready(&line) {
                part.line = line;
                break;
            }
        }
        // Read on, or it would block once the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(part)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder on memory where there is one, so that no disk is measured.
pub fn folder() -> anyhow::Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    let builder = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix("snowbank-figures-");
        builder
    };
    if memory.is_dir()
        && let Ok(folder) = builder().tempdir_in(memory)
    {
        return Ok(folder);
    }
    Ok(builder().tempdir()?)
}
