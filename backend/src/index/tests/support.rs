//! Narinfos and indexes for the tests.

use std::sync::Arc;

use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::KeyRing;
use snowbank_shared::store_path::{StoreDir, StorePathHash};

use crate::index::{Change, ChangeToken, Index, IndexParams, ParsedEntry};

/// A path of the tests: its number makes its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) nar_size: u64,
    pub(super) file_size: Option<u64>,
    pub(super) references: Vec<(u32, String)>,
    pub(super) compression: &'static str,
    pub(super) signers: Vec<&'static str>,
    pub(super) added_at: i64,
    pub(super) url: Option<String>,
}

/// The hash of a number, spread over all of their order.
pub(super) fn hash(number: u32) -> StorePathHash {
    let mut bytes = [0; 20];
    let spread = u64::from(number)
        .wrapping_add(1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bytes[..8].copy_from_slice(&spread.to_be_bytes());
    bytes[16..].copy_from_slice(&number.to_be_bytes());
    StorePathHash::from_bytes(bytes)
}

/// The usual name of a number.
pub(super) fn name(number: u32) -> String {
    const WORDS: [&str; 8] = [
        "gcc", "Python3", "glibc", "texlive", "Xorg", "bash", "openssl", "qt",
    ];
    format!(
        "{}-{}.{}",
        WORDS[number as usize % 8],
        number / 8,
        number % 3
    )
}

impl Path {
    /// A plain one.
    pub(super) fn new(number: u32, references: &[u32]) -> Self {
        Self {
            number,
            name: name(number),
            nar_size: 100 + u64::from(number) * 7 % 1000,
            file_size: Some(50 + u64::from(number) * 13 % 500),
            references: references.iter().map(|&to| (to, name(to))).collect(),
            compression: "xz",
            signers: vec!["one-1"],
            added_at: 1_700_000_000 + i64::from(number % 50),
            url: None,
        }
    }

    /// `hash-name`.
    pub(super) fn base(&self) -> String {
        format!("{}-{}", hash(self.number), self.name)
    }

    /// Its NarHash.
    pub(super) fn nar_hash(&self) -> snowbank_shared::hash::Sha256 {
        snowbank_shared::hash::Sha256::digest(self.base().as_bytes())
    }

    /// Its FileHash.
    pub(super) fn file_hash(&self) -> snowbank_shared::hash::Sha256 {
        snowbank_shared::hash::Sha256::digest(self.number.to_string().as_bytes())
    }

    /// Its narinfo.
    pub(super) fn text(&self) -> String {
        use std::fmt::Write as _;
        let mut text = format!("StorePath: /nix/store/{}\n", self.base());
        let url = self
            .url
            .clone()
            .unwrap_or_else(|| format!("nar/{}.nar.xz", self.file_hash().to_nix32()));
        let _ = writeln!(text, "URL: {url}\nCompression: {}", self.compression);
        if let Some(size) = self.file_size {
            let _ = writeln!(text, "FileHash: {}\nFileSize: {size}", self.file_hash());
        }
        let _ = writeln!(
            text,
            "NarHash: {}\nNarSize: {}",
            self.nar_hash(),
            self.nar_size
        );
        let references: Vec<String> = self
            .references
            .iter()
            .map(|(to, name)| format!("{}-{name}", hash(*to)))
            .collect();
        let _ = writeln!(text, "References: {}", references.join(" "));
        let _ = writeln!(
            text,
            "Deriver: {}-{}.drv",
            hash(self.number + 1_000_000),
            self.name
        );
        for signer in &self.signers {
            use base64::Engine as _;
            let bytes: Vec<u8> = (0..64)
                .map(|byte| (u32::from(byte as u8) * self.number) as u8)
                .collect();
            let _ = writeln!(
                text,
                "Sig: {signer}:{}",
                base64::engine::general_purpose::STANDARD.encode(bytes)
            );
        }
        text
    }

    /// Putting it.
    pub(super) fn put(&self) -> Change {
        put(&self.text(), self.added_at, &KeyRing::default())
    }
}

/// The token of a text.
pub(super) fn token(text: &str) -> ChangeToken {
    ChangeToken {
        size: text.len() as u64,
        last_modified: 1_700_000_000_000,
        etag: Some(format!("{:x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()))),
    }
}

/// Putting a narinfo.
pub(super) fn put(text: &str, added_at: i64, ring: &KeyRing) -> Change {
    let narinfo = NarInfo::parse(text.as_bytes(), &StoreDir::default()).unwrap();
    let judgement = ring.judge(&narinfo);
    Change::Put(Box::new(ParsedEntry {
        narinfo,
        judgement,
        token: token(text),
        added_at,
    }))
}

/// What indexes are opened with.
pub(super) fn params() -> IndexParams {
    IndexParams {
        store_dir: StoreDir::default(),
        key_ring: Arc::new(KeyRing::default()),
    }
}

/// An index that lives in memory.
pub(super) fn index() -> Index {
    Index::in_memory(&params())
}
