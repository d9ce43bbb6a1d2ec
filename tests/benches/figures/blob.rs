//! A million narinfos as one file, so that a cache of that size costs its text and no more.
//!
//! A folder with a file for each narinfo takes four times its text on most file systems.
//! Here lie in a folder: `text`, all narinfos end to end as they were made; and `keys`, a
//! line for each object of the bucket, sorted: its key, where its text begins and how long it is.
//! An archive has a size and no text. [`crate::blob_store`] serves it; what a server says is
//! held against it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use snowbank::bench_data::{Plan, Signatures};
use snowbank_shared::store_path::StorePathHash;

/// An object: its key, and where its text lies. An archive lies nowhere and has a size.
#[derive(Debug, Clone)]
pub struct Place {
    pub key: Box<str>,
    pub at: u64,
    pub length: u64,
}

/// A synthetic cache in a folder.
#[derive(Debug)]
pub struct Blob {
    folder: PathBuf,
    /// All objects by key.
    pub objects: Vec<Place>,
    text: File,
}

/// Where the archives lie.
pub const NARS: &str = "nar/";

impl Blob {
    /// Makes the narinfos of so many paths. Their signatures verify under no key: what is
    /// measured with a million of them does not depend on that, and making them would take a minute.
    pub fn make(paths: u64, folder: &Path) -> anyhow::Result<Self> {
        let plan = Plan {
            signatures: Signatures::Fake,
            keeps_encoding: false,
            ..Plan::new(paths, 7)
        };
        let objects = plan.objects().map_err(anyhow::Error::msg)?;
        let mut text = BufWriter::with_capacity(1 << 20, File::create(folder.join("text"))?);
        let mut lines = Vec::with_capacity(2 * paths as usize + 1);
        let mut at = 0;
        for object in objects {
            let length = object.body.len();
            text.write_all(&object.body)?;
            lines.push(format!("{} {at} {length}\n", object.key));
            if object.key.ends_with(".narinfo") {
                let narinfo = std::str::from_utf8(&object.body)?;
                let url = field(narinfo, "URL").context("a narinfo without a URL")?;
                let size = field(narinfo, "FileSize").context("a narinfo without a FileSize")?;
                lines.push(format!("{url} 0 {size}\n"));
            }
            at += length as u64;
        }
        text.into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        // A space sorts before whatever a key holds, so the lines sort as the keys do.
        lines.sort_unstable();
        fs::write(folder.join("keys"), lines.concat())?;
        let blob = Self::open(folder)?;
        ensure!(
            blob.narinfos().count() as u64 == paths,
            "the generator made another number of narinfos"
        );
        Ok(blob)
    }

    /// Opens what [`Self::make`] made.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let mut objects: Vec<Place> = Vec::new();
        for line in BufReader::with_capacity(1 << 20, File::open(folder.join("keys"))?).lines() {
            let line = line?;
            let mut words = line.split(' ');
            let mut word = || words.next().context("an odd line in `keys`");
            let (key, at, length) = (word()?, word()?.parse()?, word()?.parse()?);
            // Two paths may share an archive.
            if objects.last().is_none_or(|last| *last.key != *key) {
                objects.push(Place {
                    key: key.into(),
                    at,
                    length,
                });
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            objects,
            text: File::open(folder.join("text"))?,
        })
    }

    /// The narinfos, by key.
    pub fn narinfos(&self) -> impl Iterator<Item = &Place> {
        self.objects
            .iter()
            .filter(|place| place.key.ends_with(".narinfo"))
    }

    /// An object's place; `None` where there is none.
    pub fn find(&self, key: &str) -> Option<&Place> {
        let at = self.objects.binary_search_by(|place| (*place.key).cmp(key));
        at.ok().map(|at| &self.objects[at])
    }

    /// The text of an object.
    pub fn read(&self, place: &Place) -> std::io::Result<Vec<u8>> {
        let mut text = vec![0; place.length as usize];
        self.text.read_exact_at(&mut text, place.at)?;
        Ok(text)
    }

    /// Bytes of all narinfos.
    pub fn narinfo_bytes(&self) -> u64 {
        self.narinfos().map(|place| place.length).sum()
    }

    /// All lines of all narinfos, in the order in which they were made.
    pub fn lines(&self) -> anyhow::Result<impl Iterator<Item = std::io::Result<String>>> {
        let text = File::open(self.folder.join("text"))?;
        Ok(BufReader::with_capacity(1 << 20, text).lines())
    }
}

/// The hash part of a narinfo's key.
pub fn hash_of(place: &Place) -> anyhow::Result<StorePathHash> {
    StorePathHash::from_narinfo_key(&place.key).context("an odd key")
}

/// The value of a field of a narinfo.
fn field<'a>(narinfo: &'a str, name: &str) -> Option<&'a str> {
    narinfo
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}
