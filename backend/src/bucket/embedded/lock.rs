//! One process per folder: a lock that the system drops with the process, however it ends.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// Why a folder cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process serves it, or this one does so already.
    #[error("the folder {folder} is in use by another server{}: two servers on one folder would overwrite each other", holder(.pid))]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// Process id of the holder, where it could be read.
        pid: Option<u32>,
    },
    /// It cannot be opened, or its `.s3` folder cannot be made.
    #[error("the folder {folder} cannot be used: {source}")]
    Io {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn holder(pid: &Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

/// Takes the lock of `folder`, which lies at `path`, and leaves our process id in it.
///
/// # Errors
/// When another server holds it or the file cannot be made.
pub fn take_lock(folder: &Path, path: &Path) -> Result<File, FolderError> {
    let io = |source| FolderError::Io {
        folder: folder.to_owned(),
        source,
    };
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let pid = (&file)
                .take(32)
                .read_to_string(&mut text)
                .ok()
                .and_then(|_| text.trim().parse().ok());
            return Err(FolderError::Locked {
                folder: folder.to_owned(),
                pid,
            });
        }
        Err(TryLockError::Error(source)) => return Err(io(source)),
    }
    // Only for the message of a second server.
    let _ = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}
