//! Reading the entries of a folder, others writing into it or not.
//!
//! A name that is written anew while a folder is read can be missing from that reading: some file systems
//! take the old entry out and put the new one behind the place where the reading ends. A listing that
//! misses an object makes an index forget it, so a folder that changed meanwhile is read again, and what
//! was known before and did not come up is asked for by name.

use std::io;
use std::os::fd::AsFd as _;

use rustix::fs::{AtFlags, Dir, FileType, fstat, statat};
use rustix::io::Errno;

use super::beneath::Beneath;
use super::key::INTERNAL;
use super::names::Names;
use super::version::nanoseconds;

/// How often a folder that changes while it is read is read.
const READINGS: usize = 3;

/// When a folder changed last, nanoseconds since 1970.
#[allow(
    clippy::unnecessary_cast,
    clippy::cast_lossless,
    reason = "the field types differ between systems"
)]
pub(super) fn modified(fd: &std::os::fd::OwnedFd) -> io::Result<i128> {
    let stat = fstat(fd.as_fd())?;
    Ok(nanoseconds(stat.st_mtime as i64, stat.st_mtime_nsec as i64))
}

/// Reads a folder into which others may write, given when it changed last before that. An entry can come
/// twice, and one that has gone since can be among them; none is missing that was there all the time.
pub(super) fn read_beside_others(
    fd: &std::os::fd::OwnedFd,
    top: bool,
    modified_before: i128,
    earlier: Option<&Names>,
) -> io::Result<Vec<String>> {
    let mut entries = read(fd, top)?;
    let mut before = modified_before;
    for _ in 1..READINGS {
        let now = modified(fd)?;
        if now == before {
            break;
        }
        before = now;
        entries.extend(read(fd, top)?);
    }
    if before == modified_before {
        return Ok(entries);
    }
    let Some(earlier) = earlier else {
        return Ok(entries);
    };
    entries.sort_unstable();
    let mut missed = Vec::new();
    for name in (0..earlier.len()).filter_map(|n| earlier.get(n)) {
        let is_there = || {
            let plain = name.strip_suffix('/').unwrap_or(name);
            statat(fd, plain, AtFlags::SYMLINK_NOFOLLOW).is_ok()
        };
        if entries
            .binary_search_by(|it| it.as_str().cmp(name))
            .is_err()
            && is_there()
        {
            missed.push(name.to_owned());
        }
    }
    entries.extend(missed);
    Ok(entries)
}

/// Reads the entries that can be keys or lead to some. Names that are not UTF-8 cannot be S3 keys.
fn read(fd: &std::os::fd::OwnedFd, top: bool) -> io::Result<Vec<String>> {
    let mut entries = Vec::new();
    each_entry(fd, top, |name, folder| {
        entries.push(if folder {
            format!("{name}/")
        } else {
            name.to_owned()
        });
        true
    })?;
    Ok(entries)
}

/// Calls `with` for each file (or link) and folder until it says false. The second argument tells a folder.
fn each_entry(
    fd: &std::os::fd::OwnedFd,
    top: bool,
    mut with: impl FnMut(&str, bool) -> bool,
) -> io::Result<()> {
    for entry in Dir::read_from(fd)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else {
            continue;
        };
        if name == "." || name == ".." || (top && name == INTERNAL) {
            continue;
        }
        let kind = match entry.file_type() {
            // Some file systems do not tell.
            FileType::Unknown => match statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(_) => continue,
            },
            known => known,
        };
        let go_on = match kind {
            FileType::Directory => with(name, true),
            FileType::RegularFile | FileType::Symlink => with(name, false),
            _ => true,
        };
        if !go_on {
            break;
        }
    }
    Ok(())
}

/// Whether an object lies anywhere below a folder (its path without slashes at the ends) that `seen` does
/// not refuse. Stops at the first; a folder of a million files is not read for it.
///
/// # Errors
/// When a folder cannot be read.
pub fn holds_an_object(
    beneath: &Beneath,
    folder: &str,
    seen: &impl Fn(&str) -> bool,
) -> io::Result<bool> {
    let fd = match beneath.folder(folder) {
        Ok(fd) => fd,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let mut found = false;
    let mut inner = Vec::new();
    each_entry(&fd, folder.is_empty(), |name, is_folder| {
        let path = if folder.is_empty() {
            name.to_owned()
        } else {
            format!("{folder}/{name}")
        };
        if is_folder {
            inner.push(path);
        } else {
            found = seen(&path)
                && beneath
                    .stat_in(&fd, folder, name)
                    .is_ok_and(|stat| stat.is_some());
        }
        !found
    })?;
    drop(fd);
    for path in inner {
        if found {
            break;
        }
        if path.len() < super::key::MAX_KEY && seen(&format!("{path}/")) {
            found = holds_an_object(beneath, &path, seen)?;
        }
    }
    Ok(found)
}
