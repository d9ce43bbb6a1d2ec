//! `snowbank key`: signing keys in Nix's own form.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use snowbank_shared::signature::SecretKey;

use super::print;
use crate::secrets;

#[derive(Debug, Clone, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a secret key, as `nix key generate-secret` does
    Generate {
        /// Its name; a host name and a number is usual: cache.example.org-1
        #[arg(long, value_name = "NAME")]
        key_name: String,
        /// Write it here, for its owner only, and print the public key; else the secret is printed
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Print the public key of a secret key
    Convert {
        /// The secret key's file; else it is read from standard input
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

pub(super) fn run(command: &KeyCommand) -> anyhow::Result<ExitCode> {
    match command {
        KeyCommand::Generate { key_name, out } => {
            let key = secrets::generate_key(key_name)?;
            match out {
                None => print(&key.to_secret_text())?,
                Some(path) => {
                    anyhow::ensure!(
                        !path.exists(),
                        "{} exists and is left as it is",
                        path.display()
                    );
                    secrets::create(path, key.to_secret_text().as_bytes())?;
                    print(&key.public_key().to_string())?;
                }
            }
        }
        KeyCommand::Convert { file } => {
            let key: SecretKey = match file {
                Some(path) => secrets::read_key(path)?,
                None => {
                    let mut text = String::new();
                    // A key has about a hundred bytes.
                    std::io::stdin()
                        .take(64 * 1024)
                        .read_to_string(&mut text)
                        .context("standard input")?;
                    text.trim_end()
                        .parse()
                        .context("standard input is not a secret key")?
                }
            };
            print(&key.public_key().to_string())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
