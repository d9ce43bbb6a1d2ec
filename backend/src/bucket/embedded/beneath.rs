//! Opening what lies below a folder, and nothing else.
//!
//! Whoever can write into the folder could plant a symbolic link that leads out of it. On Linux the
//! kernel itself keeps every step of the way below the folder (`openat2`), so there is no moment
//! between a check and its use. Folders on the way are never links, so a walk cannot run in a
//! circle; the last part may be a link, as long as it stays inside. Where `openat2` is missing the way
//! is walked part by part and no link is followed at all.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

/// An open folder that paths are resolved below.
#[derive(Debug)]
pub struct Beneath {
    root: OwnedFd,
}

impl Beneath {
    /// Opens the folder. The folder itself may be reached through links: its owner chose it.
    ///
    /// # Errors
    /// When it is missing, not a folder or not readable.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            root: openat(rustix::fs::CWD, folder, flags, Mode::empty())?,
        })
    }

    /// A folder below the root, by its path without slashes at the ends; the root itself for `""`.
    ///
    /// # Errors
    /// `NOENT` when missing, `NOTDIR` when a part is a file, `LOOP` when a part is a link.
    pub fn folder(&self, path: &str) -> Result<OwnedFd, Errno> {
        self.resolve(
            if path.is_empty() { "." } else { path },
            OFlags::RDONLY | OFlags::DIRECTORY,
        )
    }

    /// Opens an object's file for reading; `None` when there is no regular file by that name, or when it
    /// is a link that leads outside.
    ///
    /// # Errors
    /// When the file is there and cannot be opened.
    pub fn file(&self, path: &str) -> io::Result<Option<File>> {
        // NONBLOCK: a pipe that somebody put there must not hold us up; regular files ignore it.
        let Some(fd) = self.object(path, OFlags::RDONLY | OFlags::NONBLOCK)? else {
            return Ok(None);
        };
        let file = File::from(fd);
        Ok(file.metadata()?.is_file().then_some(file))
    }

    /// What an object's file looks like; `None` as for [`Beneath::file`].
    ///
    /// # Errors
    /// When the folder on the way cannot be read.
    pub fn stat(&self, path: &str) -> io::Result<Option<Stat>> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if folder.is_empty() {
            return self.stat_in(&self.root, "", name);
        }
        match self.folder(folder) {
            Ok(folder_fd) => self.stat_in(&folder_fd, folder, name),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The same for a name in a folder that is already open and whose path is `folder`.
    ///
    /// # Errors
    /// When the name cannot be looked at.
    pub fn stat_in(
        &self,
        folder_fd: &OwnedFd,
        folder: &str,
        name: &str,
    ) -> io::Result<Option<Stat>> {
        let stat = match statat(folder_fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Some(stat)),
            FileType::Symlink => {
                let path = if folder.is_empty() {
                    name.to_owned()
                } else {
                    format!("{folder}/{name}")
                };
                let Some(file) = self.file(&path)? else {
                    return Ok(None);
                };
                Ok(Some(fstat(file.as_fd())?))
            }
            _ => Ok(None),
        }
    }

    fn object(&self, path: &str, flags: OFlags) -> io::Result<Option<OwnedFd>> {
        let found = match self.resolve(path, flags) {
            Err(Errno::LOOP) => self.linked(path, flags),
            other => other,
        };
        match found {
            Ok(fd) => Ok(Some(fd)),
            // XDEV: a link that leads outside. NXIO: a socket or a pipe without a reader. ISDIR: a folder.
            Err(
                Errno::NOENT
                | Errno::NOTDIR
                | Errno::LOOP
                | Errno::XDEV
                | Errno::NXIO
                | Errno::ISDIR,
            ) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Resolves a path on which no part is a link.
    fn resolve(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            use rustix::fs::ResolveFlags;
            match self.openat2(path, flags, ResolveFlags::NO_SYMLINKS) {
                Err(Errno::NOSYS | Errno::PERM) => {}
                other => return other,
            }
        }
        self.walk(path, flags)
    }

    /// Resolves a path whose last part, and no other, is a link to a file beside it. A link
    /// to anywhere else could lead to what is hidden: another cache, the state, a part of an
    /// upload.
    fn linked(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let target = readlinkat(self.folder(folder)?, name, Vec::new())?;
        let beside = target
            .to_str()
            .ok()
            .filter(|target| !target.contains('/') && !target.starts_with('.'))
            .ok_or(Errno::LOOP)?;
        if folder.is_empty() {
            self.resolve(beside, flags)
        } else {
            self.resolve(&format!("{folder}/{beside}"), flags)
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn openat2(
        &self,
        path: &str,
        flags: OFlags,
        more: rustix::fs::ResolveFlags,
    ) -> Result<OwnedFd, Errno> {
        use rustix::fs::ResolveFlags;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | more;
        loop {
            match rustix::fs::openat2(
                &self.root,
                path,
                flags | OFlags::CLOEXEC,
                Mode::empty(),
                resolve,
            ) {
                // AGAIN: something was renamed on the way while the kernel looked.
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
    }

    /// Part by part, following no link.
    fn walk(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let step = OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut at: Option<OwnedFd> = None;
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        for part in folder.split('/').filter(|part| !part.is_empty()) {
            let from = at.as_ref().unwrap_or(&self.root);
            at = Some(openat(
                from,
                part,
                OFlags::RDONLY | OFlags::DIRECTORY | step,
                Mode::empty(),
            )?);
        }
        openat(
            at.as_ref().unwrap_or(&self.root),
            name,
            flags | step,
            Mode::empty(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn tree() -> (tempfile::TempDir, Beneath) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("nar")).unwrap();
        fs::create_dir_all(dir.path().join("outside")).unwrap();
        fs::write(root.join("nar/a"), "inside").unwrap();
        fs::write(dir.path().join("outside/secret"), "secret").unwrap();
        symlink("a", root.join("nar/good")).unwrap();
        symlink("../../outside/secret", root.join("nar/bad")).unwrap();
        symlink(dir.path().join("outside/secret"), root.join("absolute")).unwrap();
        fs::create_dir_all(root.join(".snowbank")).unwrap();
        fs::write(root.join(".snowbank/secret"), "secret").unwrap();
        fs::write(root.join(".hidden"), "secret").unwrap();
        symlink("../.snowbank/secret", root.join("nar/state")).unwrap();
        symlink(".snowbank/secret", root.join("state")).unwrap();
        symlink(".hidden", root.join("dotted")).unwrap();
        symlink("state", root.join("twice")).unwrap();
        symlink("../outside", root.join("folder")).unwrap();
        symlink("nar", root.join("inner")).unwrap();
        symlink(".", root.join("loop")).unwrap();
        let beneath = Beneath::open(&root).unwrap();
        (dir, beneath)
    }

    #[test]
    fn links_that_lead_outside_are_not_followed() {
        let (_dir, beneath) = tree();
        assert!(beneath.file("nar/a").unwrap().is_some());
        for path in [
            "nar/bad",
            "absolute",
            "nar/state",
            "state",
            "dotted",
            "twice",
            "folder/secret",
            "inner/a",
            "loop/nar/a",
            "nar",
            "missing",
            "nar/a/b",
        ] {
            assert!(beneath.file(path).unwrap().is_none(), "{path}");
            assert!(beneath.stat(path).unwrap().is_none(), "{path}");
        }
        assert_eq!(beneath.stat("nar/a").unwrap().unwrap().st_size, 6);
        assert_eq!(beneath.folder("folder").unwrap_err(), Errno::LOOP);
        assert!(beneath.folder("").is_ok());
    }

    #[test]
    fn a_link_to_a_file_beside_it_is_an_object() {
        let (_dir, beneath) = tree();
        assert!(beneath.file("nar/good").unwrap().is_some());
        assert_eq!(beneath.stat("nar/good").unwrap().unwrap().st_size, 6);
    }

    #[test]
    fn without_openat2_no_link_is_followed() {
        let (_dir, beneath) = tree();
        assert!(beneath.walk("nar/a", OFlags::RDONLY).is_ok());
        for path in [
            "nar/good",
            "nar/bad",
            "absolute",
            "folder/secret",
            "inner/a",
            "loop/nar/a",
        ] {
            assert!(beneath.walk(path, OFlags::RDONLY).is_err(), "{path}");
        }
    }

    #[test]
    fn a_pipe_does_not_hold_us_up() {
        let (dir, beneath) = tree();
        let made = std::process::Command::new("mkfifo")
            .arg(dir.path().join("root/pipe"))
            .status();
        if made.is_ok_and(|status| status.success()) {
            assert!(beneath.file("pipe").unwrap().is_none());
        }
    }
}
