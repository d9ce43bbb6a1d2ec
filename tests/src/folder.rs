//! Folders that stand for buckets: copied, counted, compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use snowbank_shared::hash::Sha256;
use snowbank_shared::narinfo::{Compression, NarInfoParts};
use snowbank_shared::signature::SecretKey;
use snowbank_shared::store_path::{StoreDir, StorePath, StorePathHash};

/// Every file below `folder`: its path relative to it, with `/`, and its bytes.
///
/// What begins with a dot at the root is left out: the server's own areas
/// (`.s3/`, `.snowbank/`) are no objects of the cache.
pub fn objects(folder: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut objects = BTreeMap::new();
    walk(folder, &mut |path| {
        let key = path
            .strip_prefix(folder)?
            .to_str()
            .context("keys of test buckets are UTF-8")?;
        if !key.starts_with('.') {
            objects.insert(key.to_owned(), fs::read(path)?);
        }
        Ok(())
    })?;
    Ok(objects)
}

/// The narinfos among the objects at the root of `folder`.
pub fn narinfos(folder: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut objects = objects(folder)?;
    objects.retain(|key, _| key.ends_with(".narinfo") && !key.contains('/'));
    Ok(objects)
}

/// A signed narinfo whose archive nobody fetches: its key in the bucket, and its text.
pub fn narinfo_alone(name: &str, key: &SecretKey) -> anyhow::Result<(String, String)> {
    let hash = Sha256::digest(name.as_bytes());
    let mut digest = [0; 20];
    digest.copy_from_slice(&hash.0[..20]);
    let mut parts = NarInfoParts {
        store_path: StorePath::new(StorePathHash::from_bytes(digest), name)?,
        url: format!("nar/{}.nar.xz", hash.to_nix32()),
        compression: Compression::Xz,
        file_hash: Some(hash.into()),
        file_size: Some(1_000),
        nar_hash: hash,
        nar_size: 4_000,
        references: Vec::new(),
        deriver: None,
        signatures: Vec::new(),
        ca: None,
    };
    let dir = StoreDir::default();
    let fingerprint = parts.fingerprint(&dir);
    parts.signatures.push(key.sign(fingerprint.as_bytes()));
    Ok((parts.store_path.hash().narinfo_key(), parts.to_text(&dir)))
}

/// Copies every file of `from` into `to`, which is made.
pub fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    walk(from, &mut |path| {
        let target = to.join(path.strip_prefix(from)?);
        fs::create_dir_all(target.parent().context("a file has a folder")?)?;
        fs::copy(path, &target).with_context(|| format!("copying {}", path.display()))?;
        Ok(())
    })
}

fn walk(folder: &Path, visit: &mut dyn FnMut(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            walk(&path, visit)?;
        } else {
            visit(&path)?;
        }
    }
    Ok(())
}
