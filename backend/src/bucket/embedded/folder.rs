//! One bucket: a folder, its lock, and the only two ways in which an object changes.
//!
//! An object is published by writing a temporary file in `.s3/tmp/`, making it durable, and
//! renaming it over the key. A reader sees the old bytes or the new ones, and a process that is killed
//! at any moment leaves at most a temporary file, which the next start removes. Conditions
//! (`If-None-Match`, `If-Match`) are judged and the rename is done under one lock, so exactly one of
//! several racing writers wins; and since only one process may serve a folder, the lock is enough.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::beneath::Beneath;
use super::change::check;
pub use super::change::{ChangeError, Condition};
use super::headers::{HeaderStore, Headers};
use super::key::{INTERNAL, ObjectKey};
pub use super::lock::FolderError;
use super::lock::take_lock;
use super::names::NameCache;
use super::version::Version;

/// A file that is being written and not yet an object. Dropping it removes it.
#[derive(Debug)]
pub struct Temporary {
    /// The open file.
    pub file: File,
    path: PathBuf,
    published: bool,
}

impl Temporary {
    /// Moves the file to a place inside `.s3`.
    ///
    /// # Errors
    /// When the system refuses; the file is then removed.
    pub fn rename(mut self, to: &Path) -> io::Result<()> {
        fs::rename(&self.path, to)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.published {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A bucket's folder, open and locked.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    internal: PathBuf,
    beneath: Beneath,
    lock: File,
    durable: bool,
    /// Held while a condition is judged and the change is made.
    changing: Mutex<()>,
    /// The newest modification time given to any object, so that no two are the same.
    newest: Mutex<SystemTime>,
    temporaries: AtomicU64,
    headers: HeaderStore,
    /// Sorted names of folders.
    pub names: NameCache,
}

impl Folder {
    /// Opens a folder, making it when missing, takes its lock and removes what a killed process left.
    /// `durable` says whether changes are forced to disk before they are acknowledged.
    ///
    /// # Errors
    /// When another server holds it or it cannot be used.
    pub fn open(path: &Path, durable: bool) -> Result<Self, FolderError> {
        let io = |source| FolderError::Io {
            folder: path.to_owned(),
            source,
        };
        fs::create_dir_all(path).map_err(io)?;
        let path = path.canonicalize().map_err(io)?;
        let internal = path.join(INTERNAL);
        fs::create_dir_all(&internal).map_err(io)?;
        let lock = take_lock(&path, &internal.join("lock"))?;
        let tmp = internal.join("tmp");
        match fs::remove_dir_all(&tmp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
            _ => {}
        }
        fs::create_dir_all(&tmp).map_err(io)?;
        let beneath = Beneath::open(&path).map_err(io)?;
        let headers = HeaderStore::open(internal.join("meta")).map_err(io)?;
        Ok(Self {
            internal,
            beneath,
            lock,
            durable,
            changing: Mutex::new(()),
            newest: Mutex::new(SystemTime::UNIX_EPOCH),
            temporaries: AtomicU64::new(0),
            headers,
            names: NameCache::default(),
            path,
        })
    }

    /// The folder's real path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder `.s3/uploads/` of unfinished multipart uploads.
    pub fn uploads(&self) -> PathBuf {
        self.internal.join("uploads")
    }

    /// Whether changes are forced to disk before they are acknowledged.
    pub fn durable(&self) -> bool {
        self.durable
    }

    /// What paths are resolved with.
    pub fn beneath(&self) -> &Beneath {
        &self.beneath
    }

    /// Lets another process have the folder.
    pub fn unlock(&self) {
        let _ = self.lock.unlock();
    }

    /// Opens an object; `None` when there is none.
    ///
    /// # Errors
    /// When it is there and cannot be opened.
    pub fn open_object(&self, key: ObjectKey<'_>) -> io::Result<Option<(File, Version)>> {
        let Some(file) = self.beneath.file(key.as_str())? else {
            return Ok(None);
        };
        let version = Version::of(&file.metadata()?);
        Ok(Some((file, version)))
    }

    /// The present version of an object.
    ///
    /// # Errors
    /// When the way to it cannot be read.
    pub fn version(&self, key: ObjectKey<'_>) -> io::Result<Option<Version>> {
        Ok(self
            .beneath
            .stat(key.as_str())?
            .map(|stat| Version::of_stat(&stat)))
    }

    /// The headers kept with one version of an object.
    ///
    /// # Errors
    /// When they are there and cannot be read.
    pub fn headers(&self, key: ObjectKey<'_>, version: &Version) -> io::Result<Headers> {
        self.headers.get(key, version)
    }

    /// Forgets headers of objects that other programs have changed or removed since. Walks `.s3/meta/`.
    ///
    /// # Errors
    /// When that folder cannot be read.
    pub fn sweep_headers(&self, before: SystemTime) -> io::Result<u64> {
        self.headers.sweep(before, |key| {
            self.version(ObjectKey::parse(key).ok()?).ok().flatten()
        })
    }

    /// Starts a file that may become an object. Its permissions are the process's usual ones, because
    /// other programs read the folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn temporary(&self) -> io::Result<Temporary> {
        let n = self.temporaries.fetch_add(1, Ordering::Relaxed);
        let path = self.internal.join("tmp").join(format!("{n:x}"));
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        Ok(Temporary {
            file,
            path,
            published: false,
        })
    }

    /// Gives a finished temporary file its modification time and forces it to disk.
    ///
    /// # Errors
    /// When the system cannot.
    pub fn settle(&self, temporary: &Temporary) -> io::Result<Version> {
        let time = {
            let mut newest = self
                .newest
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            *newest = SystemTime::now().max(*newest + Duration::from_nanos(1));
            *newest
        };
        temporary.file.set_modified(time)?;
        if self.durable {
            temporary.file.sync_all()?;
        }
        Ok(Version::of(&temporary.file.metadata()?))
    }

    /// Makes a temporary file the object `key`, if `condition` holds. On return the change is durable.
    ///
    /// # Errors
    /// When the condition does not hold, the key clashes with a file or folder, or the system refuses;
    /// then nothing has changed.
    pub fn publish(
        &self,
        mut temporary: Temporary,
        key: ObjectKey<'_>,
        headers: &Headers,
        condition: &Condition,
    ) -> Result<Version, ChangeError> {
        let version = self.settle(&temporary)?;
        self.headers.put(key, &version, headers, self.durable)?;
        let published = self.rename_into_place(&temporary.path, key, condition);
        match published {
            Ok(folders) => {
                temporary.published = true;
                self.sync(&folders)?;
                Ok(version)
            }
            Err(error) => {
                self.headers.remove(key, &version);
                Err(error)
            }
        }
    }

    /// Renames under the lock. Returns the folders whose entries changed.
    fn rename_into_place(
        &self,
        from: &Path,
        key: ObjectKey<'_>,
        condition: &Condition,
    ) -> Result<Vec<OwnedFd>, ChangeError> {
        let _changing = self
            .changing
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = self.version(key)?;
        check(condition, before.as_ref())?;
        let (folder, name) = key.split();
        let folders = self.make_folder(folder)?;
        let into = &folders[0];
        let rename = || match condition {
            Condition::Absent => rename_if_absent(from, into, name),
            _ => renameat(rustix::fs::CWD, from, into, name),
        };
        match rename() {
            Ok(()) => {}
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
                // A folder bars the way; one that holds no object does not count. Anything else there
                // was put by another program since we looked.
                match unlinkat(into, name, AtFlags::REMOVEDIR) {
                    Ok(()) => rename()?,
                    Err(Errno::NOTDIR) if *condition == Condition::Absent => {
                        return Err(ChangeError::ConditionFailed);
                    }
                    Err(Errno::NOTEMPTY | Errno::EXIST) => {
                        return Err(ChangeError::Clash {
                            part: key.as_str().to_owned(),
                            found: "a folder of other objects",
                        });
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => return Err(error.into()),
        }
        if let Some(before) = before {
            self.headers.remove(key, &before);
        }
        Ok(folders)
    }

    /// Opens a folder for a new entry, making what is missing. The first of the result is the folder
    /// itself, the others are those in which a new folder was made.
    fn make_folder(&self, folder: &str) -> Result<Vec<OwnedFd>, ChangeError> {
        match self.beneath.folder(folder) {
            Ok(fd) => return Ok(vec![fd]),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
            Err(error) => return Err(error.into()),
        }
        let mut changed = Vec::new();
        let mut at = self.beneath.folder("")?;
        let mut end = 0;
        for part in folder.split('/') {
            end += part.len() + usize::from(end > 0);
            let made = match mkdirat(&at, part, Mode::from_raw_mode(0o777)) {
                Ok(()) => true,
                Err(Errno::EXIST) => false,
                Err(error) => return Err(error.into()),
            };
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let next = match openat(&at, part, flags, Mode::empty()) {
                Ok(next) => next,
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    return Err(ChangeError::Clash {
                        part: folder[..end].to_owned(),
                        found: "an object",
                    });
                }
                Err(error) => return Err(error.into()),
            };
            let parent = std::mem::replace(&mut at, next);
            if made {
                changed.push(parent);
            }
        }
        changed.insert(0, at);
        Ok(changed)
    }

    /// Removes an object. `false` when there was none, which S3 does not call an error. The removal is
    /// durable once [`Folder::sync`] has been given the folders that were added to `changed`.
    ///
    /// # Errors
    /// When the condition does not hold or the system refuses.
    pub fn remove(
        &self,
        key: ObjectKey<'_>,
        condition: &Condition,
        changed: &mut Vec<OwnedFd>,
    ) -> Result<bool, ChangeError> {
        let _changing = self
            .changing
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = self.version(key)?;
        check(condition, before.as_ref())?;
        let Some(before) = before else {
            return Ok(false);
        };
        let (mut folder, name) = key.split();
        let fd = match self.beneath.folder(folder) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        match unlinkat(&fd, name, AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        self.headers.remove(key, &before);
        changed.push(fd);
        // S3 has no folders, so none may pile up. The outermost one stays: programs that write into a
        // file:// cache make `nar` and `log` once and rely on them.
        while let Some((outer, inner)) = folder.rsplit_once('/') {
            let Ok(fd) = self.beneath.folder(outer) else {
                break;
            };
            if unlinkat(&fd, inner, AtFlags::REMOVEDIR).is_err() {
                break;
            }
            changed.push(fd);
            folder = outer;
        }
        Ok(true)
    }

    /// Forces changed folders to disk, unless this bucket is not durable.
    ///
    /// # Errors
    /// When the system cannot.
    pub fn sync(&self, folders: &[OwnedFd]) -> io::Result<()> {
        if self.durable {
            for folder in folders {
                rustix::fs::fsync(folder)?;
            }
        }
        Ok(())
    }
}

/// Renames only if nothing has the new name, atomically where the system can do it.
fn rename_if_absent(from: &Path, into: &OwnedFd, name: &str) -> Result<(), Errno> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    match rustix::fs::renameat_with(
        rustix::fs::CWD,
        from,
        into,
        name,
        rustix::fs::RenameFlags::NOREPLACE,
    ) {
        // A file system or kernel without it: our own lock still holds.
        Err(Errno::INVAL | Errno::NOSYS) => {}
        other => return other,
    }
    renameat(rustix::fs::CWD, from, into, name)
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
