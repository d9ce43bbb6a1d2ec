//! The anchor of queries: the same paths and references in SQLite, asked by its own program.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::blob::Blob;

/// A database in a file.
#[derive(Debug)]
pub struct Sqlite {
    file: PathBuf,
}

impl Sqlite {
    /// Fills a database; `None` where there is no `sqlite3`.
    pub fn fill(blob: &Blob, folder: &Path) -> anyhow::Result<Option<Self>> {
        if crate::archive::missing(&["sqlite3"]).is_some() {
            return Ok(None);
        }
        let (paths, refs) = (folder.join("paths.csv"), folder.join("refs.csv"));
        write_tables(blob, &paths, &refs)?;
        let sqlite = Self {
            file: folder.join("anchor.sqlite"),
        };
        let load = format!(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -400000;\n\
             CREATE TABLE paths(id INTEGER PRIMARY KEY, hash TEXT, name TEXT, size INTEGER);\n\
             CREATE TABLE refs(path INTEGER, ref INTEGER);\n\
             .mode csv\n.import {} paths\n.import {} refs\n\
             CREATE UNIQUE INDEX by_hash ON paths(hash);\n\
             CREATE INDEX by_path ON refs(path, ref);\n",
            paths.display(),
            refs.display()
        );
        sqlite.run(&load)?;
        std::fs::remove_file(&paths)?;
        std::fs::remove_file(&refs)?;
        Ok(Some(sqlite))
    }

    /// Seconds that a query takes when it is asked for the second time, and the first value of its
    /// answer. No output is made of its other rows.
    pub fn time(&self, query: &str) -> anyhow::Result<(f64, String)> {
        let text = self.run(&format!(
            "PRAGMA cache_size = -400000;\n{query};\n.timer on\n{query};\n"
        ))?;
        let seconds = text
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("Run Time: real ")?.split(' ').next())
            .with_context(|| format!("sqlite3 said no time: {text}"))?;
        let first = text.lines().next().unwrap_or_default();
        let first = first.split('|').next().unwrap_or_default();
        // It counts milliseconds: what takes less has taken half of one.
        let seconds: f64 = seconds.parse()?;
        Ok((seconds.max(0.0005), first.to_owned()))
    }

    fn run(&self, script: &str) -> anyhow::Result<String> {
        let mut child = Command::new("sqlite3")
            .arg("-batch")
            // A file of the user's own would change what is measured.
            .args(["-init", "/dev/null"])
            .arg(&self.file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start sqlite3")?;
        let mut input = child.stdin.take().context("no input")?;
        input.write_all(script.as_bytes())?;
        drop(input);
        let output = child.wait_with_output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success() && !errors.contains("rror"),
            "sqlite3 failed: {errors}"
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Paths and references as CSV; a path's number is the order in which it is first named.
fn write_tables(blob: &Blob, paths: &Path, refs: &Path) -> anyhow::Result<()> {
    let mut paths = BufWriter::with_capacity(1 << 20, File::create(paths)?);
    let mut refs = BufWriter::with_capacity(1 << 20, File::create(refs)?);
    let mut numbers: HashMap<[u8; 32], u32> = HashMap::new();
    let mut number_of = |base: &str| {
        let hash: [u8; 32] = base.as_bytes().get(..32)?.try_into().ok()?;
        let next = numbers.len() as u32 + 1;
        Some(*numbers.entry(hash).or_insert(next))
    };
    let (mut own, mut number) = (String::new(), 0);
    for line in blob.lines()? {
        let line = line?;
        if let Some(path) = line.strip_prefix("StorePath: ") {
            own = path.rsplit('/').next().unwrap_or_default().to_owned();
            number = number_of(&own).context("an odd path")?;
        } else if let Some(size) = line.strip_prefix("NarSize: ") {
            let (hash, name) = own.split_at_checked(32).context("an odd path")?;
            writeln!(paths, "{number},{hash},{},{size}", &name[1..])?;
        } else if let Some(references) = line.strip_prefix("References: ") {
            for reference in references.split_whitespace() {
                let reference = number_of(reference).context("an odd reference")?;
                writeln!(refs, "{number},{reference}")?;
            }
        }
    }
    paths.flush()?;
    refs.flush()?;
    Ok(())
}
