//! `/c/{cache}/flake.tar.gz`: the cache's address and keys as a flake with modules, and its
//! twin `flake-{sha256}.tar.gz`, whose address says what is in it.
//!
//! A lock file keeps the twin's address, which the answer names in a `Link` header. It has to
//! find the same bytes for years, also after the keys have changed. So what the flake held is
//! a record of the ledger, and the archive is made from it again, byte for byte: tar and gzip
//! are written here, without times, owners or a compressor whose output may change.

use serde::{Deserialize, Serialize};
use snowbank_shared::hash::Sha256;
use snowbank_shared::nix_conf::{ClientSettings, SubstituterUrl};
use snowbank_shared::signature::PublicKey;

use super::noted::note;
use crate::ledger::{self, Kind, Ledger, Record, RecordId, Scope};
use crate::site::Cache;

/// The folder in the archive.
const FOLDER: &str = "cache";

/// What a flake is made of. With its form the bytes would change: a new one is a new version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flake {
    /// The form of the flake: 1.
    version: u32,
    title: String,
    page: String,
    url: SubstituterUrl,
    keys: Vec<PublicKey>,
}

impl Record for Flake {
    const KIND: Kind = ledger::kind::FLAKES;
}

impl Flake {
    /// What the cache's flake is today; `None` for a cache without an address.
    pub fn of(cache: &Cache, page: &str) -> Option<Self> {
        Some(Self {
            version: 1,
            title: cache.title.clone(),
            page: page.to_owned(),
            url: cache.trust.now().settings.urls().first()?.clone(),
            keys: cache.trust.now().settings.keys().to_vec(),
        })
    }

    /// The archive; `None` for a form that this version does not know.
    pub fn archive(&self) -> Option<Vec<u8>> {
        if self.version != 1 {
            return None;
        }
        let settings = ClientSettings::new(self.url.clone(), self.keys.iter().cloned());
        Some(gzip(&tar(&settings.flake(&self.title, &self.page))))
    }
}

/// The SHA-256 of an archive, in hexadecimal.
pub fn sha256(archive: &[u8]) -> String {
    Sha256::digest(archive).to_base16()
}

/// Keeps what a flake holds, so that its archive can be made again. Whether it is kept.
pub async fn keep(ledger: &Ledger, cache: &Cache, hash: &str, flake: &Flake) -> bool {
    let Ok(id) = hash.parse::<RecordId>() else {
        return false;
    };
    let lost = "a flake's content could not be kept: lock files get no lasting address";
    note(ledger, cache, &id, usize::MAX, || flake.clone(), lost).await
}

/// The archive of this hash, made again from what was kept.
pub fn kept(ledger: &Ledger, cache: &Cache, hash: &str) -> Option<Vec<u8>> {
    let id = hash.parse::<RecordId>().ok()?;
    let entry = ledger
        .view()
        .get::<Flake>(Scope::Cache(cache.slug.as_str()), &id)?;
    let archive = entry.record.archive()?;
    (sha256(&archive) == hash).then_some(archive)
}

/// A tar with `cache/flake.nix` and nothing else, in the ustar format.
fn tar(flake: &str) -> Vec<u8> {
    let mut archive = Vec::with_capacity(4096);
    archive.extend_from_slice(&header(&format!("{FOLDER}/"), 0, b'5', 0o755));
    archive.extend_from_slice(&header(
        &format!("{FOLDER}/flake.nix"),
        flake.len(),
        b'0',
        0o644,
    ));
    archive.extend_from_slice(flake.as_bytes());
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}

fn header(name: &str, size: usize, kind: u8, mode: u32) -> [u8; 512] {
    let mut header = [0; 512];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, &format!("{mode:07o}"));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    // A second after the epoch, as Nix dates what has no date.
    put(136, "00000000001");
    put(148, "        ");
    put(257, "ustar\0");
    put(263, "00");
    header[156] = kind;
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// A gzip of stored blocks: the bytes do not depend on a compressor.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut blocks = bytes.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        packed.push(u8::from(blocks.peek().is_none()));
        packed.extend_from_slice(&length.to_le_bytes());
        packed.extend_from_slice(&(!length).to_le_bytes());
        packed.extend_from_slice(block);
    }
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    packed.extend_from_slice(&sum.sum().to_le_bytes());
    packed.extend_from_slice(&sum.amount().to_le_bytes());
    packed
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn the_bytes_of_a_flake_never_change() {
        let key = "team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=";
        let flake = Flake {
            version: 1,
            title: "team".to_owned(),
            page: "https://console.example.com/c/team".to_owned(),
            url: "https://cache.example.com/team".parse().expect("a URL"),
            keys: vec![key.parse().expect("a key")],
        };
        let archive = flake.archive().expect("a known form");
        let mut tar = Vec::new();
        flate2::read::GzDecoder::new(archive.as_slice())
            .read_to_end(&mut tar)
            .expect("a gzip");
        assert_eq!(tar.len() % 512, 0);
        let text = String::from_utf8_lossy(&tar[1024..]).into_owned();
        assert!(text.contains(key), "{text}");
        // A lock file somewhere holds this. Another form is another version, beside this one.
        insta::assert_snapshot!(sha256(&archive), @"8733480dc695c9f11838ee0140bd369222ff6abfded4c8c1943756ba63cb60b2");
        let newer = Flake {
            version: 2,
            ..flake
        };
        assert_eq!(newer.archive(), None);
    }
}
