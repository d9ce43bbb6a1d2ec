//! What tells one state of a file from another: inode, size and modification time.
//!
//! The entity tag is made of the three, so it needs no read of the content and changes when anybody,
//! we or another program, replaces or rewrites the file. What we publish ourselves always gets a new
//! inode and a modification time that no other object of this process has had, so two of our own
//! puts never share a tag, however fast they follow each other.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::Stat;

/// One state of an object's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Inode number.
    pub inode: u64,
    /// Length in bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970, before it negative.
    pub modified: i128,
}

impl Version {
    /// The version of an open file.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.len(),
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
        }
    }

    /// The version that a `stat` found.
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_lossless,
        reason = "the field types differ between systems"
    )]
    pub fn of_stat(stat: &Stat) -> Self {
        Self {
            inode: stat.st_ino as u64,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: nanoseconds(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        }
    }

    /// The entity tag without quotes. The dashes keep clients from taking it for an MD5 sum.
    pub fn etag(&self) -> String {
        format!("{:x}-{:x}-{:x}", self.inode, self.size, self.modified)
    }

    /// The modification time.
    pub fn modified(&self) -> SystemTime {
        let nanos = self.modified.unsigned_abs();
        let second = 1_000_000_000;
        let (seconds, rest) = (nanos / second, nanos % second);
        let span = Duration::new(
            u64::try_from(seconds).unwrap_or(u64::MAX),
            u32::try_from(rest).unwrap_or(0),
        );
        let time = if self.modified < 0 {
            UNIX_EPOCH.checked_sub(span)
        } else {
            UNIX_EPOCH.checked_add(span)
        };
        time.unwrap_or(UNIX_EPOCH)
    }
}

/// Seconds and nanoseconds as nanoseconds since 1970.
pub fn nanoseconds(seconds: i64, nanos: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000 + i128::from(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_tells_inode_size_and_time_apart() {
        let a = Version {
            inode: 7,
            size: 10,
            modified: 1_700_000_000_123_456_789,
        };
        assert_eq!(a.etag(), format!("7-a-{:x}", 1_700_000_000_123_456_789_u64));
        for other in [
            Version { inode: 8, ..a },
            Version { size: 11, ..a },
            Version {
                modified: a.modified + 1,
                ..a
            },
        ] {
            assert_ne!(a.etag(), other.etag());
        }
        assert_eq!(
            a.modified().duration_since(UNIX_EPOCH).unwrap(),
            Duration::new(1_700_000_000, 123_456_789)
        );
        let old = Version {
            modified: -1_500_000_000,
            ..a
        };
        assert_eq!(
            UNIX_EPOCH.duration_since(old.modified()).unwrap(),
            Duration::new(1, 500_000_000)
        );
    }
}
