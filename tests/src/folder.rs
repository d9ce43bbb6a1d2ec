//! Folders that stand for buckets: copied, counted, compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

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
