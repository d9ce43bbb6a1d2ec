//! The append-only log of changes since the last snapshot.
//!
//! A log is files `log-1`, `log-2`, …; the snapshot says with which file the
//! changes begin that it lacks. Each file starts with a magic and a version;
//! then come batches: length (u32), xxh3 of the payload (u64), payload. A batch
//! whose length or checksum does not fit ends the log there: what follows was
//! never promised. Writes reach the operating system at once, so that a killed
//! process loses nothing; [`Log::sync`] makes them survive a power cut.
//! What is lost is found again by the next sweep of the bucket.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::op::Op;

/// How a log file begins. The last byte is the version.
const MAGIC: &[u8; 8] = b"SNOWLOG\x01";
/// Bytes before a batch's payload.
const HEAD: usize = 12;
/// The longest batch: bounds what a reader allocates.
const MAX_BATCH: usize = 64 << 20;

/// An open log.
#[derive(Debug)]
pub(crate) struct Log {
    dir: PathBuf,
    file: File,
    number: u64,
    /// Bytes in all files that the snapshot lacks.
    bytes: u64,
    unsynced: bool,
    buffer: Vec<u8>,
}

/// What was read back.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    pub(crate) ops: Vec<Op>,
    /// The file in which the log goes on.
    last: u64,
    /// Where its last whole batch ends.
    end: u64,
    bytes: u64,
    /// What was wrong with it, if anything.
    pub(crate) damage: Option<String>,
}

/// The file of this number.
fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("log-{number}"))
}

/// The numbers of the log files in a folder, ascending.
fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("log-"));
        found.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

/// Reads the changes from file `first` on, as far as they are whole.
pub(crate) fn replay(dir: &Path, first: u64) -> io::Result<Replayed> {
    let mut replayed = Replayed {
        last: first,
        ..Replayed::default()
    };
    let found = numbers(dir)?.into_iter().filter(|&number| number >= first);
    for (expected, number) in (first..).zip(found) {
        if number != expected {
            replayed.damage = Some(format!("log file {expected} is missing"));
            break;
        }
        let mut bytes = Vec::new();
        File::open(path(dir, number))?.read_to_end(&mut bytes)?;
        replayed.last = number;
        let end = read_file(&bytes, &mut replayed.ops);
        replayed.end = end as u64;
        replayed.bytes += end as u64;
        if end < bytes.len() || end < MAGIC.len() {
            replayed.damage = Some(format!(
                "log file {number} is whole up to byte {end} of {}",
                bytes.len()
            ));
            break;
        }
    }
    Ok(replayed)
}

/// Reads one file's batches; where the whole ones end.
pub(crate) fn read_file(bytes: &[u8], ops: &mut Vec<Op>) -> usize {
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        return 0;
    };
    loop {
        let end = bytes.len() - rest.len();
        let Some((head, after)) = rest.split_first_chunk::<HEAD>() else {
            return end;
        };
        let (length, sum) = head.split_at(4);
        let length = u32::from_le_bytes(length.try_into().unwrap_or_default()) as usize;
        let sum = u64::from_le_bytes(sum.try_into().unwrap_or_default());
        let Some((mut payload, after)) = after.split_at_checked(length) else {
            return end;
        };
        if length > MAX_BATCH || xxh3_64(payload) != sum {
            return end;
        }
        let whole = ops.len();
        while !payload.is_empty() {
            let Ok(op) = Op::read(&mut payload) else {
                ops.truncate(whole);
                return end;
            };
            ops.push(op);
        }
        rest = after;
    }
}

impl Log {
    /// Goes on where [`replay`] ended: cuts a torn end off and removes what lies behind it.
    pub(crate) fn resume(dir: &Path, replayed: &Replayed) -> io::Result<Self> {
        for number in numbers(dir)?
            .into_iter()
            .filter(|&number| number > replayed.last)
        {
            fs::remove_file(path(dir, number))?;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path(dir, replayed.last))?;
        file.set_len(replayed.end)?;
        if replayed.end == 0 {
            file.write_all(MAGIC)?;
        }
        Ok(Self {
            dir: dir.to_owned(),
            file,
            number: replayed.last,
            bytes: replayed.bytes,
            unsynced: true,
            buffer: Vec::new(),
        })
    }

    /// Begins anew with file `number`; all others are removed.
    pub(crate) fn create(dir: &Path, number: u64) -> io::Result<Self> {
        for other in numbers(dir)? {
            fs::remove_file(path(dir, other))?;
        }
        let start = Replayed {
            last: number,
            ..Replayed::default()
        };
        Self::resume(dir, &start)
    }

    /// Appends changes, in batches of bounded size.
    pub(crate) fn append(&mut self, ops: &[Op]) -> io::Result<()> {
        self.buffer.clear();
        self.buffer.resize(HEAD, 0);
        for op in ops {
            op.write(&mut self.buffer);
            if self.buffer.len() > MAX_BATCH / 4 {
                self.write_batch()?;
            }
        }
        self.write_batch()
    }

    fn write_batch(&mut self) -> io::Result<()> {
        let payload = &self.buffer[HEAD..];
        if payload.is_empty() {
            return Ok(());
        }
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
        let sum = xxh3_64(payload);
        self.buffer[..4].copy_from_slice(&length.to_le_bytes());
        self.buffer[4..HEAD].copy_from_slice(&sum.to_le_bytes());
        self.file.write_all(&self.buffer)?;
        self.bytes += self.buffer.len() as u64;
        self.unsynced = true;
        self.buffer.clear();
        self.buffer.shrink_to(1 << 20);
        self.buffer.resize(HEAD, 0);
        Ok(())
    }

    /// A handle whose `sync_data` makes what was appended survive a power cut, if anything was.
    pub(crate) fn sync(&mut self) -> io::Result<Option<File>> {
        if !self.unsynced {
            return Ok(None);
        }
        self.unsynced = false;
        self.file.try_clone().map(Some)
    }

    /// A handle of the current file.
    pub(crate) fn file(&mut self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Begins the next file; its number.
    pub(crate) fn rotate(&mut self) -> io::Result<u64> {
        self.file.sync_data()?;
        let mut file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(path(&self.dir, self.number + 1))?;
        file.write_all(MAGIC)?;
        self.number += 1;
        self.file = file;
        self.unsynced = true;
        self.bytes = 0;
        Ok(self.number)
    }

    /// Whether something was appended that a power cut would lose.
    pub(crate) fn unsynced(&self) -> bool {
        self.unsynced
    }

    /// Bytes that the next start has to read again.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Removes the files that a snapshot made superfluous: those before `first`.
pub(crate) fn remove_before(dir: &Path, first: u64) -> io::Result<()> {
    for number in numbers(dir)?.into_iter().filter(|&number| number < first) {
        fs::remove_file(path(dir, number))?;
    }
    Ok(())
}
