//! The vocabulary against recorded and generated truth: what real caches hold and
//! what two real versions of Nix accept. The data lies outside of this repository
//! (`SNOWBANK_VECTORS`); where it is absent these tests say so and pass.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use snowbank_shared::api::{KeyPurpose, KeyState};
use snowbank_shared::signature::{KeyRing, KnownKey};
use snowbank_shared::store_path::StoreDir;

mod bad;
mod real;
mod values;

/// The folder of vectors, or `None`, said aloud.
fn vectors() -> Option<PathBuf> {
    let folder = std::env::var_os("SNOWBANK_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"),
        PathBuf::from,
    );
    if folder.join("README.md").is_file() {
        return Some(folder);
    }
    println!("SKIPPED: {} vectors not found", folder.display());
    None
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    serde_json::from_slice(&read(path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every `*.narinfo` in a folder, by name.
fn narinfos_in(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "narinfo")
        })
        .collect();
    paths.sort();
    paths
}

fn store_dir() -> StoreDir {
    StoreDir::default()
}

/// A ring of these active keys and cache.nixos.org's.
fn ring_of<'a>(keys: impl IntoIterator<Item = &'a str>) -> KeyRing {
    let known = |text: &str| KnownKey {
        key: text
            .parse()
            .unwrap_or_else(|error| panic!("{text}: {error}")),
        purpose: KeyPurpose::Cache,
        state: KeyState::Active,
    };
    KeyRing::new(keys.into_iter().map(known)).with_upstreams()
}
