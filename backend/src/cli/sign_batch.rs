//! `snowbank key sign`: signs a batch on the machine that holds the key, which needs no network.
//!
//! The batch comes from a server, and nothing in it is believed: each narinfo is read again, and signed
//! only where a key that the owner of this machine names has signed it validly. The keys that the
//! batch names are compared with those, and never used.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use snowbank_shared::api::signing::{
    BATCH_FORMAT, BatchSignature, MOST_IN_BATCH, SignedBatch, SigningBatch,
};
use snowbank_shared::api::{KeyPurpose, KeyState, SignatureStatus};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::{KeyRing, KnownKey, PublicKey, SecretKey};
use snowbank_shared::store_path::StoreDir;

use crate::secrets;

/// Bytes of a batch at most.
const LARGEST: u64 = 64 << 20;
/// Exit code where some were refused.
const SOME_REFUSED: u8 = 2;

#[derive(Debug, Clone, Args)]
pub(super) struct SignArgs {
    /// The batch, as the server gave it
    #[arg(value_name = "BATCH")]
    batch: PathBuf,
    /// The secret key that signs; it stays on this machine
    #[arg(long, value_name = "FILE")]
    secret_key_file: PathBuf,
    /// A key whose valid signature is believed, `name:base64`; may be given more than once
    #[arg(long, value_name = "KEY")]
    trusted_key: Vec<String>,
    /// A file with such keys, one a line; `#` begins a comment
    #[arg(long, value_name = "FILE")]
    trusted_keys_file: Option<PathBuf>,
    /// Where the signatures are written; a file that exists is left as it is
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What was signed, and what was not, with the reason.
#[derive(Debug)]
struct Judged {
    signed: SignedBatch,
    refused: Vec<(String, String)>,
}

pub(super) fn run(args: &SignArgs) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        !args.out.exists(),
        "{} exists and is left as it is",
        args.out.display()
    );
    let secret = secrets::read_key(&args.secret_key_file)?;
    let trusted = trusted(&args.trusted_key, args.trusted_keys_file.as_deref())?;
    let size = fs::metadata(&args.batch)
        .with_context(|| args.batch.display().to_string())?
        .len();
    anyhow::ensure!(
        size <= LARGEST,
        "{} is larger than any batch",
        args.batch.display()
    );
    let text = fs::read(&args.batch).with_context(|| args.batch.display().to_string())?;
    let batch: SigningBatch = serde_json::from_slice(&text)
        .with_context(|| format!("{} is no batch", args.batch.display()))?;
    let judged = judged(&batch, &secret, &trusted)?;
    let mut err = std::io::stderr().lock();
    for line in strange(&batch, &trusted) {
        writeln!(err, "warning: {line}")?;
    }
    for (path, reason) in &judged.refused {
        writeln!(err, "refused: {path}: {reason}")?;
    }
    let bytes = serde_json::to_vec_pretty(&judged.signed)?;
    fs::write(&args.out, bytes).with_context(|| args.out.display().to_string())?;
    super::print(&format!(
        "{} signed by {}, {} refused",
        judged.signed.signatures.len(),
        secret.name(),
        judged.refused.len()
    ))?;
    Ok(match judged.refused.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(SOME_REFUSED),
    })
}

/// The keys that the owner of this machine believes.
fn trusted(given: &[String], file: Option<&Path>) -> anyhow::Result<Vec<PublicKey>> {
    let mut keys = Vec::new();
    let mut add = |text: &str| -> anyhow::Result<()> {
        let key = text.trim();
        keys.push(
            key.parse()
                .with_context(|| format!("`{key}` is no public key"))?,
        );
        Ok(())
    };
    for text in given {
        add(text)?;
    }
    if let Some(file) = file {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                add(line)?;
            }
        }
    }
    anyhow::ensure!(
        !keys.is_empty(),
        "name whose signatures you believe: --trusted-key or --trusted-keys-file. Take them from your own records, not from the batch"
    );
    Ok(keys)
}

/// Keys that the server calls by a name that is another key's here.
fn strange(batch: &SigningBatch, trusted: &[PublicKey]) -> Vec<String> {
    let other = |text: &String| {
        let key: PublicKey = text.parse().ok()?;
        let known = trusted.iter().find(|known| known.name() == key.name())?;
        (*known != key).then(|| {
            format!(
                "the server knows another key by the name {}: find out why before you send anything back",
                key.name()
            )
        })
    };
    batch.known_keys.iter().filter_map(other).collect()
}

/// Judges each narinfo and signs those that a trusted key has signed.
fn judged(
    batch: &SigningBatch,
    secret: &SecretKey,
    trusted: &[PublicKey],
) -> anyhow::Result<Judged> {
    anyhow::ensure!(
        batch.format == BATCH_FORMAT,
        "this batch is of another version than this program reads"
    );
    anyhow::ensure!(
        batch.key == secret.public_key().to_string(),
        "the batch is for the key {}, and this is {}",
        batch.key.escape_debug(),
        secret.public_key()
    );
    anyhow::ensure!(
        batch.narinfos.len() <= MOST_IN_BATCH,
        "a batch has {MOST_IN_BATCH} narinfos at most"
    );
    let store_dir: StoreDir = batch
        .store_dir
        .parse()
        .context("the batch's store directory is none")?;
    let ring = KeyRing::new(trusted.iter().map(|key| KnownKey {
        key: key.clone(),
        purpose: KeyPurpose::Upstream,
        state: KeyState::Active,
    }));
    let mut seen = HashSet::new();
    let mut signatures = Vec::new();
    let mut refused = Vec::new();
    for (at, text) in batch.narinfos.iter().enumerate() {
        let narinfo = match NarInfo::parse_strict(text.as_bytes(), &store_dir) {
            Ok(narinfo) => narinfo,
            Err(error) => {
                refused.push((format!("narinfo {}", at + 1), error.to_string()));
                continue;
            }
        };
        let path = narinfo.store_path().to_string();
        let hash = narinfo.store_path().hash();
        let reason = if !seen.insert(hash) {
            Some("it comes twice in the batch".to_owned())
        } else if let Some(risk) = narinfo.crash_risk() {
            Some(risk.to_owned())
        } else {
            let judgement = ring.judge(&narinfo);
            let valid = judgement
                .signatures
                .iter()
                .any(|verdict| verdict.status == SignatureStatus::Valid);
            (!valid).then(|| "no key that you believe has signed it validly".to_owned())
        };
        match reason {
            Some(reason) => refused.push((path, reason)),
            None => signatures.push(BatchSignature {
                hash: hash.to_string(),
                signature: secret.sign(narinfo.fingerprint().as_bytes()).to_string(),
            }),
        }
    }
    Ok(Judged {
        signed: SignedBatch {
            format: BATCH_FORMAT.to_owned(),
            key: batch.key.clone(),
            signatures,
        },
        refused,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use snowbank_shared::hash::Sha256;
    use snowbank_shared::narinfo::{Compression, NarInfoParts};
    use snowbank_shared::store_path::{StorePath, StorePathHash};

    fn key(name: &str, seed: u8) -> SecretKey {
        SecretKey::generate(name, [seed; 32]).expect("a key")
    }

    fn narinfo(name: &str, by: Option<&SecretKey>) -> String {
        let mut digest = [0; 20];
        digest.copy_from_slice(&Sha256::digest(name.as_bytes()).0[..20]);
        let hash = Sha256::digest(name.as_bytes());
        let mut parts = NarInfoParts {
            store_path: StorePath::new(StorePathHash::from_bytes(digest), name).expect("a name"),
            url: format!("nar/{}.nar", hash.to_nix32()),
            compression: Compression::None,
            file_hash: Some(hash.into()),
            file_size: Some(100),
            nar_hash: hash,
            nar_size: 100,
            references: Vec::new(),
            deriver: None,
            signatures: Vec::new(),
            ca: None,
        };
        let dir = StoreDir::default();
        if let Some(by) = by {
            parts
                .signatures
                .push(by.sign(parts.fingerprint(&dir).as_bytes()));
        }
        parts.to_text(&dir)
    }

    fn batch(secret: &SecretKey, narinfos: Vec<String>) -> SigningBatch {
        SigningBatch {
            format: BATCH_FORMAT.into(),
            cache: "https://cache.example.org".into(),
            store_dir: "/nix/store".into(),
            key: secret.public_key().to_string(),
            known_keys: Vec::new(),
            narinfos,
            next: None,
            skipped: Vec::new(),
        }
    }

    #[test]
    fn only_what_a_trusted_key_signed_is_signed() {
        let (alice, mallory, team) = (key("alice-1", 1), key("mallory-1", 2), key("team-2", 3));
        let forged = narinfo("forged-1", Some(&alice)).replace("NarSize: 100", "NarSize: 101");
        let good = narinfo("good-1", Some(&alice));
        let narinfos = vec![
            good.clone(),
            narinfo("foreign-1", Some(&mallory)),
            narinfo("bare-1", None),
            forged,
            good.clone(),
            "StorePath: nonsense\n".to_owned(),
        ];
        let batch = batch(&team, narinfos);
        let judged = judged(&batch, &team, &[alice.public_key()]).expect("judged");
        assert_eq!(judged.refused.len(), 5, "{:?}", judged.refused);
        let [signed] = judged.signed.signatures.as_slice() else {
            panic!("one is signed");
        };
        let read = NarInfo::parse(good.as_bytes(), &StoreDir::default()).expect("a narinfo");
        let signature: snowbank_shared::signature::Signature =
            signed.signature.parse().expect("a signature");
        assert!(
            team.public_key()
                .verifies(read.fingerprint().as_bytes(), signature.bytes())
        );
    }

    #[test]
    fn a_batch_for_another_key_and_keys_under_foreign_names_are_noticed() {
        let (alice, team) = (key("alice-1", 1), key("team-2", 3));
        let mut made = batch(&team, Vec::new());
        assert!(judged(&made, &key("team-2", 4), &[alice.public_key()]).is_err());
        made.known_keys = vec![key("alice-1", 9).public_key().to_string()];
        assert_eq!(strange(&made, &[alice.public_key()]).len(), 1);
        made.known_keys = vec![alice.public_key().to_string()];
        assert!(strange(&made, &[alice.public_key()]).is_empty());
        assert!(trusted(&[], None).is_err(), "somebody has to be believed");
    }
}
