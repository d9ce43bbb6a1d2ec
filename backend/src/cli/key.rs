//! `snowbank key`: signing keys in Nix's own form.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use snowbank_shared::key_proof::KeyProof;
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
    /// Sign a batch of narinfos on the machine that holds the key
    Sign(super::sign_batch::SignArgs),
    /// Prove to a server that you hold a key: sign its message, and nothing else
    Prove {
        /// The secret key's file
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The message as the server gave it; else it is read from standard input
        #[arg(value_name = "FILE")]
        message: Option<PathBuf>,
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
        KeyCommand::Sign(args) => return super::sign_batch::run(args),
        KeyCommand::Prove { key, message } => {
            let key = secrets::read_key(key)?;
            let text = match message {
                Some(path) => {
                    std::fs::read_to_string(path).with_context(|| path.display().to_string())?
                }
                None => standard_input()?,
            };
            print(&proven(&key, &text)?)?;
        }
        KeyCommand::Convert { file } => {
            let key: SecretKey = match file {
                Some(path) => secrets::read_key(path)?,
                None => standard_input()?
                    .trim_end()
                    .parse()
                    .context("standard input is not a secret key")?,
            };
            print(&key.public_key().to_string())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A key or a message from standard input: both have some hundred bytes.
fn standard_input() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .take(64 * 1024)
        .read_to_string(&mut text)
        .context("standard input")?;
    Ok(text)
}

/// The signature of a proof. Any other text stays unsigned: it could be a path's fingerprint.
fn proven(key: &SecretKey, message: &str) -> anyhow::Result<String> {
    let proof: KeyProof = message
        .parse()
        .context("this is not the message of a proof")?;
    anyhow::ensure!(
        proof.key == key.public_key(),
        "the message is about the key {}, and this is {}",
        proof.key,
        key.public_key()
    );
    Ok(key.sign(proof.to_string().as_bytes()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_proof_of_this_very_key_is_signed() {
        let key = |name: &str| SecretKey::generate(name, [3; 32]).expect("a key");
        let proof = KeyProof {
            origin: "https://cache.example.org".into(),
            key: key("alice-1").public_key(),
            nonce: "1-x".into(),
        };
        let signature = proven(&key("alice-1"), &proof.to_string()).expect("signed");
        assert!(signature.starts_with("alice-1:"), "{signature}");
        assert!(proven(&key("alice-2"), &proof.to_string()).is_err());
        assert!(proven(&key("alice-1"), "1;/nix/store/x;sha256:0;1;").is_err());
    }
}
