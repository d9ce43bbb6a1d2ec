//! Where the log goes: to standard error, as lines for people or as JSON.

use std::io::IsTerminal as _;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How to log.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct LogArgs {
    /// What to log: a level, or levels by module, such as `info,snowbank::access=debug`
    #[arg(
        long,
        value_name = "FILTER",
        env = "SNOWBANK_LOG",
        hide_env_values = true
    )]
    log: Option<String>,
    /// The form of the log
    #[arg(
        long,
        value_name = "FORM",
        env = "SNOWBANK_LOG_FORMAT",
        hide_env_values = true
    )]
    log_format: Option<LogFormat>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Begins to log.
pub(super) fn begin(args: &LogArgs, default: &str) -> anyhow::Result<()> {
    let asked = args.log.as_deref().unwrap_or(default);
    // The S3 library logs every object that is not there as an error. What matters of it the
    // embedded server logs itself; `--log s3s=debug` brings it back.
    let filter = EnvFilter::builder()
        .parse(format!("s3s=off,{asked}"))
        .map_err(|error| {
            anyhow::anyhow!("`--log` cannot be `{}`: {error}", asked.escape_debug())
        })?;
    let registry = tracing_subscriber::registry().with(filter);
    match args.log_format.unwrap_or_default() {
        LogFormat::Text => {
            let ansi = std::io::stderr().is_terminal();
            registry
                .with(
                    tracing_subscriber::fmt::layer()
                        .with_writer(std::io::stderr)
                        .with_ansi(ansi),
                )
                .try_init()?;
        }
        LogFormat::Json => {
            let layer = tracing_subscriber::fmt::layer()
                .json()
                .flatten_event(true)
                .with_writer(std::io::stderr);
            registry.with(layer).try_init()?;
        }
    }
    Ok(())
}
