//! The command line. Its help texts are the reference of the settings.

mod connect;
mod demo;
mod gc;
mod index;
mod key;
mod logging;
mod owner_link;
mod serve;
mod sign_batch;
mod state;
mod verify;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::bench_data;
use crate::config::{Config, ConfigError, Sources, reference};

/// The console for Nix binary caches that live in S3.
///
/// Without a command it serves: a cache `main` in a folder of its own, on http://127.0.0.1:8080,
/// unless a configuration says otherwise.
#[derive(Debug, Parser)]
#[command(name = "snowbank", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the dashboard, the API and the caches
    #[command(after_long_help = reference::help())]
    Serve(ServeArgs),
    /// Serve a small real closure from a temporary folder, to look around
    Demo(demo::DemoArgs),
    /// Sweep every cache once and say what was found
    Index(index::IndexArgs),
    /// Read archives from their first byte to their last and say whether they are what narinfos claim
    Verify(verify::VerifyArgs),
    /// Remove what the rules of a cache do not keep: narinfos into the trash, NARs after the days of grace
    Gc(gc::GcArgs),
    /// Print a one-time link that signs an owner in; works beside a running server
    OwnerLink(ServeArgs),
    /// Print the OpenAPI document of the API
    Openapi,
    /// Make and convert signing keys
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Put a cache into a nix.conf, or take it out again
    Connect(connect::ConnectArgs),
    /// Check, save, restore and rekey the server's own state: people, tokens, rules
    #[command(subcommand)]
    State(state::StateCommand),
    /// Make a synthetic binary cache for benchmarks and tests
    BenchData(bench_data::Args),
}

/// Where settings come from. `snowbank serve --help` lists them all.
#[derive(Debug, Clone, Default, Args)]
struct ServeArgs {
    /// The TOML file [env: SNOWBANK_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<std::path::PathBuf>,
    /// Where to listen [env: SNOWBANK_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// How people and machines reach the server [env: SNOWBANK_PUBLIC_URL]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Keys, embedded buckets and the local index [env: SNOWBANK_DATA_DIR]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Open the embedded buckets to S3 clients here [env: SNOWBANK_S3_LISTEN]
    #[arg(long, value_name = "ADDR:PORT")]
    s3_listen: Option<String>,
    /// Let S3 clients in without credentials; on a loopback address only [env: SNOWBANK_S3_ANONYMOUS]
    #[arg(long)]
    s3_anonymous: bool,
    /// A listener of its own for /metrics [env: SNOWBANK_METRICS_LISTEN]
    #[arg(long, value_name = "ADDR:PORT")]
    metrics_listen: Option<String>,
    /// Any setting by its dotted key, such as --set caches.team.bucket=team-cache
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    log: logging::LogArgs,
}

impl ServeArgs {
    /// The settings of flags, environment and file.
    fn config(&self) -> Result<Config, ConfigError> {
        let environment: Vec<_> = std::env::vars_os().collect();
        let file = self.config.clone().or_else(|| {
            let named = environment
                .iter()
                .find(|(name, value)| name == "SNOWBANK_CONFIG" && !value.is_empty());
            named.map(|(_, value)| value.into())
        });
        let mut sources = Sources {
            file,
            environment,
            flags: Vec::new(),
        };
        for (key, value) in [
            ("listen", &self.listen),
            ("public_url", &self.public_url),
            ("data_dir", &self.data_dir),
            ("s3_listen", &self.s3_listen),
            ("metrics_listen", &self.metrics_listen),
        ] {
            if let Some(value) = value {
                sources.flags.push((
                    key.into(),
                    value.clone(),
                    format!("--{}", key.replace('_', "-")),
                ));
            }
        }
        if self.s3_anonymous {
            sources.flags.push((
                "s3_anonymous".into(),
                "true".into(),
                "--s3-anonymous".into(),
            ));
        }
        for assignment in &self.set {
            sources.set(assignment)?;
        }
        Config::load(&sources)
    }
}

/// Reads the command line and does what it says.
///
/// # Errors
/// What kept it from being done.
pub fn run() -> anyhow::Result<ExitCode> {
    match Cli::parse()
        .command
        .unwrap_or_else(|| Command::Serve(ServeArgs::default()))
    {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Index(args) => index::run(&args),
        Command::Verify(args) => Ok(verify::run(&args)),
        Command::Gc(args) => Ok(gc::run(&args)),
        Command::OwnerLink(args) => owner_link::run(&args),
        Command::Openapi => {
            print(&crate::api::document())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Key(command) => key::run(&command),
        Command::Connect(args) => connect::run(&args),
        Command::State(command) => state::run(&command),
        Command::BenchData(args) => {
            bench_data::run(&args)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// An error and its causes, each said once: most errors name their cause themselves.
pub fn told(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// Prints a line; a reader that has left is no error worth a word.
fn print(text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", text.trim_end_matches('\n')) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// The runtime of every command that waits for the network.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn a_cause_is_said_once_and_none_is_left_out() {
        use anyhow::Context as _;
        let denied = || std::io::Error::other("denied");
        let ours = crate::server::StartError::Listen {
            key: "listen",
            address: ([127, 0, 0, 1], 80).into(),
            source: denied(),
        };
        assert_eq!(
            told(&ours.into()),
            "cannot listen on 127.0.0.1:80 (`listen`): denied"
        );
        let plain = Err::<(), _>(denied())
            .context("the file")
            .context("the record");
        assert_eq!(
            told(&plain.expect_err("denied")),
            "the record: the file: denied"
        );
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_serve_names_every_setting() {
        let mut command = Cli::command();
        let serve = command.find_subcommand_mut("serve").expect("serve");
        let help = serve.render_long_help().to_string();
        for setting in reference::SETTINGS {
            assert!(help.contains(setting.key), "{}", setting.key);
        }
        insta::assert_snapshot!(help);
    }
}
