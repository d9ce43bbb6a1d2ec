//! Archives to measure with: NARs of a chosen size made of real machine code, packed by the same
//! programs that people pack with.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use snowbank_shared::hash::{Hash, Sha256};
use snowbank_shared::nar::NarWriter;
use snowbank_shared::narinfo::{Compression, NarInfoParts};
use snowbank_shared::signature::SecretKey;
use snowbank_shared::store_path::{StoreDir, StorePath, StorePathHash};

/// Bytes of a file in an archive: that of a small library.
const FILE: usize = 200_000;

/// Whether these programs are there; else the figure is skipped, aloud.
pub fn missing(programs: &[&str]) -> Option<String> {
    let lacking = |program: &&&str| {
        let found = Command::new(program)
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        found.is_err()
    };
    let program = programs.iter().find(lacking)?;
    Some(format!("{program} is not installed"))
}

/// A NAR of about `size` bytes at `file`: a folder of files cut from this program. Archives
/// of one size with different seeds differ.
pub fn nar(file: &Path, size: u64, seed: u64) -> anyhow::Result<()> {
    let matter = fs::read(std::env::current_exe()?)?;
    ensure!(matter.len() > 2 * FILE, "this program is very small");
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
    let mut failed = None;
    let mut writer = NarWriter::new(|bytes: &[u8]| {
        if failed.is_none()
            && let Err(error) = out.write_all(bytes)
        {
            failed = Some(error);
        }
    });
    writer.directory()?;
    // Where the first file is cut from, so that no two archives begin alike.
    let mut at = (seed as usize).wrapping_mul(7919) % (matter.len() - FILE);
    for number in 0..size.div_ceil(FILE as u64) {
        writer.entry(format!("file-{number:08}").as_bytes())?;
        let mut piece = matter[at..at + FILE].to_vec();
        piece[..8].copy_from_slice(&(seed ^ number << 20).to_le_bytes());
        writer.file(&piece, number % 3 == 0)?;
        at = (at + FILE) % (matter.len() - FILE);
    }
    writer.end()?;
    writer.finish()?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(out.flush()?),
    }
}

/// Packs a file beside it by a command that writes to its standard output.
pub fn packed(file: &Path, extension: &str, command: &[&str]) -> anyhow::Result<PathBuf> {
    let out = file.with_extension(format!("nar{extension}"));
    let status = Command::new(command[0])
        .args(&command[1..])
        .stdin(File::open(file)?)
        .stdout(File::create(&out)?)
        .status()?;
    ensure!(status.success(), "{command:?} failed");
    Ok(out)
}

/// A path whose archive lies in a file.
pub struct Sent {
    /// What its narinfo says.
    pub parts: NarInfoParts,
    /// The archive as it is sent.
    pub file: PathBuf,
}

impl Sent {
    /// A path with this archive, signed.
    pub fn new(
        name: &str,
        file: &Path,
        compression: Compression,
        nar: &Path,
        key: &SecretKey,
    ) -> anyhow::Result<Self> {
        let hashed = |file: &Path| -> anyhow::Result<(Sha256, u64)> {
            let output = Command::new("openssl")
                .args(["dgst", "-sha256", "-r"])
                .arg(file)
                .output()?;
            let text = String::from_utf8(output.stdout)?;
            let hex = text
                .split_whitespace()
                .next()
                .context("openssl says nothing")?;
            let hash: Hash = format!("sha256:{hex}").parse()?;
            let size = fs::metadata(file)?.len();
            Ok((hash.as_sha256().context("a SHA-256")?, size))
        };
        let (file_hash, file_size) = hashed(file)?;
        let (nar_hash, nar_size) = hashed(nar)?;
        let mut digest = [0; 20];
        digest.copy_from_slice(&Sha256::digest(name.as_bytes()).0[..20]);
        let extension = match compression {
            Compression::Xz => ".xz",
            Compression::Zstd => ".zst",
            _ => "",
        };
        let mut parts = NarInfoParts {
            store_path: StorePath::new(StorePathHash::from_bytes(digest), name)?,
            url: format!("nar/{}.nar{extension}", file_hash.to_nix32()),
            compression,
            file_hash: Some(file_hash.into()),
            file_size: Some(file_size),
            nar_hash,
            nar_size,
            references: Vec::new(),
            deriver: None,
            signatures: Vec::new(),
            ca: None,
        };
        let fingerprint = parts.fingerprint(&StoreDir::default());
        parts.signatures.push(key.sign(fingerprint.as_bytes()));
        Ok(Self {
            parts,
            file: file.to_owned(),
        })
    }

    /// Its narinfo.
    pub fn text(&self) -> String {
        self.parts.to_text(&StoreDir::default())
    }
}
