//! Files of `nix-store --export`: NARs one after the other, each followed by its path, references
//! and deriver. Pure, so that it is tested natively; in the browser the worker runs it.
//!
//! ```text
//! file = { u64(1) NAR u64("NIXE") str(path) u64(n) n × str(reference) str(deriver) u64(0) } u64(0)
//! ```

use std::io::{self, BufRead, BufReader, Read};

use serde::{Deserialize, Serialize};
use snowbank_shared::hash::{Hash, HashAlgorithm, Sha256};
use snowbank_shared::narinfo::{Compression, NarInfo, NarInfoParts};
use snowbank_shared::store_path::{StoreDir, StorePath};

use super::examine::{Archive, Look};

/// `NIXE`.
const MAGIC: u64 = 0x4558_494e;
/// Bytes read at once.
const PIECE: usize = 256 << 10;
/// Paths of one file at most.
const MOST_PATHS: usize = 5_000;
/// References of one path at most.
const MOST_REFERENCES: u64 = 50_000;
/// Bytes of a path at most.
const LONGEST: u64 = 4096;

/// A path of such a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// Full store path.
    pub path: String,
    /// Full store paths.
    pub references: Vec<String>,
    /// Full store path, or empty.
    pub deriver: String,
    /// Where its NAR begins in the file.
    pub start: u64,
    /// Bytes of its NAR.
    pub nar_size: u64,
    /// SHA-256 of its NAR, nix32.
    pub nar_hash: String,
    /// Files that look like secrets, and like which.
    pub secrets: Vec<(String, String)>,
}

impl Exported {
    /// Its narinfo, unsigned, for the NAR as it is.
    ///
    /// # Errors
    /// In words, where a path is none of this store directory.
    pub fn narinfo(&self, store_dir: &StoreDir) -> Result<NarInfo, String> {
        let parse = |path: &str| -> Result<StorePath, String> {
            store_dir
                .parse(path)
                .map_err(|error| format!("{path}: {error}"))
        };
        let hash = Hash::parse(&format!("sha256:{}", self.nar_hash))
            .map_err(|error| error.to_string())?
            .0;
        let digest: Sha256 = hash.as_sha256().ok_or("no SHA-256")?;
        let parts = NarInfoParts {
            store_path: parse(&self.path)?,
            url: format!("nar/{}.nar", self.nar_hash),
            compression: Compression::None,
            file_hash: Hash::new(HashAlgorithm::Sha256, &digest.0),
            file_size: Some(self.nar_size),
            nar_hash: digest,
            nar_size: self.nar_size,
            references: self
                .references
                .iter()
                .map(|path| parse(path))
                .collect::<Result<_, _>>()?,
            deriver: match self.deriver.as_str() {
                "" => None,
                path => Some(parse(path)?),
            },
            signatures: Vec::new(),
            ca: None,
        };
        parts
            .to_narinfo(store_dir)
            .map_err(|error| error.to_string())
    }
}

/// Reads a file to its end. `told` hears how much was read; `ready` is waited for before more of it
/// is read.
///
/// # Errors
/// In words, where it is no such file, and those of `ready`.
pub async fn read(
    source: impl Read,
    told: impl FnMut(u64),
    ready: impl AsyncFn() -> Result<(), String>,
) -> Result<Vec<Exported>, String> {
    let mut file = Counting {
        source: BufReader::with_capacity(PIECE, source),
        at: 0,
        told,
    };
    let mut paths = Vec::new();
    loop {
        ready().await?;
        match file.number()? {
            0 => return Ok(paths),
            1 if paths.len() < MOST_PATHS => {}
            1 => return Err(format!("it has more than {MOST_PATHS} paths")),
            other => {
                return Err(format!(
                    "{other} stands where 0 or 1 should, at byte {}",
                    file.at
                ));
            }
        }
        let start = file.at;
        let known = file.archive(&ready).await?;
        if file.number()? != MAGIC {
            return Err(format!(
                "there is no path behind the NAR, at byte {}",
                file.at
            ));
        }
        let path = file.text()?;
        let count = file.number()?;
        if count > MOST_REFERENCES {
            return Err(format!("{path} has {count} references"));
        }
        let references = (0..count).map(|_| file.text()).collect::<Result<_, _>>()?;
        let deriver = file.text()?;
        if file.number()? != 0 {
            return Err(format!(
                "{path} has a signature of a kind that Nix wrote long ago"
            ));
        }
        paths.push(Exported {
            path,
            references,
            deriver,
            start,
            nar_size: known.nar_size,
            nar_hash: known.nar_hash,
            secrets: known.secrets,
        });
    }
}

/// A file, and how much of it was read.
struct Counting<R, T> {
    source: BufReader<R>,
    at: u64,
    told: T,
}

impl<R: Read, T: FnMut(u64)> Counting<R, T> {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), String> {
        self.source
            .read_exact(bytes)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => format!("it ends early, after byte {}", self.at),
                _ => error.to_string(),
            })?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn number(&mut self) -> Result<u64, String> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn text(&mut self) -> Result<String, String> {
        let length = self.number()?;
        if length > LONGEST {
            return Err(format!("a path of {length} bytes, at byte {}", self.at));
        }
        // At most `LONGEST`, and padded to eight.
        let length = length as usize;
        let mut bytes = vec![0; length.next_multiple_of(8)];
        self.fill(&mut bytes)?;
        bytes.truncate(length);
        String::from_utf8(bytes).map_err(|_| format!("a path that is no text, at byte {}", self.at))
    }

    async fn archive(
        &mut self,
        ready: &impl AsyncFn() -> Result<(), String>,
    ) -> Result<Archive, String> {
        let mut look = Look::default();
        while !look.is_complete() {
            ready().await?;
            let piece = self.source.fill_buf().map_err(|error| error.to_string())?;
            if piece.is_empty() {
                break;
            }
            let used = look.push_some(piece).map_err(|error| error.to_string())?;
            self.source.consume(used);
            self.at += used as u64;
            (self.told)(self.at);
        }
        look.finish().map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use snowbank_shared::nar::NarWriter;

    use super::super::examine::at_once;
    use super::*;

    const LEAF: &str = "/nix/store/0c0dixlhq54yv4v0kws1bsmbnrz7m6p7-leaf";
    const TOP: &str = "/nix/store/1c0dixlhq54yv4v0kws1bsmbnrz7m6p7-top";

    fn number(out: &mut Vec<u8>, number: u64) {
        out.extend_from_slice(&number.to_le_bytes());
    }

    fn text(out: &mut Vec<u8>, text: &str) {
        number(out, text.len() as u64);
        out.extend_from_slice(text.as_bytes());
        out.resize(out.len().next_multiple_of(8), 0);
    }

    fn nar(contents: &[u8]) -> Vec<u8> {
        let mut archive = Vec::new();
        let mut writer = NarWriter::new(|bytes: &[u8]| archive.extend_from_slice(bytes));
        writer.file(contents, false).expect("a file");
        writer.finish().expect("an archive");
        archive
    }

    fn export(paths: &[(&str, &[u8], &[&str])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (path, contents, references) in paths {
            number(&mut out, 1);
            out.extend_from_slice(&nar(contents));
            number(&mut out, MAGIC);
            text(&mut out, path);
            number(&mut out, references.len() as u64);
            for reference in *references {
                text(&mut out, reference);
            }
            text(&mut out, "");
            number(&mut out, 0);
        }
        number(&mut out, 0);
        out
    }

    #[test]
    fn each_path_is_found_with_the_place_of_its_archive() {
        let file = export(&[
            (LEAF, b"leaf", &[]),
            (TOP, b"/leaf, from the top", &[LEAF, TOP]),
        ]);
        let paths = at_once(read(&file[..], |_| (), async || Ok(()))).expect("good");
        assert_eq!(paths.len(), 2);
        let top = &paths[1];
        let (start, end) = (top.start as usize, (top.start + top.nar_size) as usize);
        assert_eq!(file[start..end], nar(b"/leaf, from the top"));
        let narinfo = top.narinfo(&StoreDir::default()).expect("a narinfo");
        assert_eq!(narinfo.references().len(), 2);
        assert_eq!(narinfo.nar_hash(), Sha256::digest(&file[start..end]));
        assert_eq!(narinfo.file_size(), Some(top.nar_size));
        assert!(narinfo.check_strict().is_ok());
    }

    #[test]
    fn what_is_no_export_says_where() {
        let file = export(&[(LEAF, b"leaf", &[])]);
        let says = |bytes: &[u8]| at_once(read(bytes, |_| (), async || Ok(()))).expect_err("bad");
        assert!(
            says(&file[..60]).contains("not a valid NAR"),
            "{}",
            says(&file[..60])
        );
        assert!(says(&file[..file.len() - 8]).contains("ends early"));
        assert!(says(b"").contains("ends early"));
        let mut other = file.clone();
        other[0] = 7;
        assert!(says(&other).contains("7 stands where"));
    }
}
