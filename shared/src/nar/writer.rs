//! The writer: events in, bytes of the archive out.

use super::{Event, FileName, FileNameError, MAGIC, MAX_DEPTH, MAX_TARGET, padding};

/// Why an event cannot be written: no archive has it in this place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The event does not follow from those before it.
    #[error("{event} cannot be written where {expected} is expected")]
    OutOfPlace {
        /// The event.
        event: &'static str,
        /// What the archive needs next.
        expected: &'static str,
    },
    /// An entry's name is none.
    #[error(transparent)]
    Name(#[from] FileNameError),
    /// Entries must come in strictly increasing order of their bytes.
    #[error("directory entries must be written in increasing order of their names")]
    Unsorted,
    /// A symlink target is empty, longer than 4095 bytes, or has a NUL byte.
    #[error("not a symlink target that an archive can hold")]
    Target,
    /// Nesting deeper than [`MAX_DEPTH`] levels.
    #[error("directories nest deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// More contents than the file's size.
    #[error("{more} bytes more than the size of the file")]
    TooMuch {
        /// Bytes too many.
        more: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A node comes next.
    Node,
    /// An entry, or the end of the directory.
    Directory,
    /// So many bytes of a file; its size is kept for the padding.
    Contents { left: u64, size: u64 },
    /// Nothing.
    Complete,
}

impl State {
    const fn describe(self) -> &'static str {
        match self {
            Self::Node => "a file, directory or symlink",
            Self::Directory => "an entry or the end of the directory",
            Self::Contents { .. } => "contents of a file",
            Self::Complete => "nothing",
        }
    }
}

/// Writes a NAR, piece by piece, to a sink that takes bytes. What it writes,
/// [`NarParser`](super::NarParser) accepts: an event that would break a rule is refused.
#[derive(Debug)]
pub struct NarWriter<S> {
    sink: S,
    state: State,
    /// For every open directory the name of its last entry, empty before the first.
    directories: Vec<Vec<u8>>,
    written: u64,
}

impl<S: FnMut(&[u8])> NarWriter<S> {
    /// Begins an archive: its first bytes are written at once.
    pub fn new(sink: S) -> Self {
        let mut writer = Self {
            sink,
            state: State::Node,
            directories: Vec::new(),
            written: 0,
        };
        writer.string(MAGIC);
        writer
    }

    /// Writes what an event says.
    ///
    /// # Errors
    /// [`WriteError`] if no archive has it here; nothing is written then.
    pub fn event(&mut self, event: Event<'_>) -> Result<(), WriteError> {
        match (self.state, event) {
            (State::Node, Event::Directory) => {
                self.strings(&[b"(", b"type", b"directory"]);
                self.directories.push(Vec::new());
                self.state = State::Directory;
            }
            (State::Directory, Event::Entry { name }) => {
                FileName::check(name)?;
                if self.directories.len() >= MAX_DEPTH {
                    return Err(WriteError::TooDeep);
                }
                if let Some(previous) = self.directories.last_mut() {
                    if name <= previous.as_slice() {
                        return Err(WriteError::Unsorted);
                    }
                    *previous = name.to_vec();
                }
                self.strings(&[b"entry", b"(", b"name", name, b"node"]);
                self.state = State::Node;
            }
            (State::Directory, Event::DirectoryEnd) => {
                self.directories.pop();
                self.string(b")");
                self.node_complete();
            }
            (
                State::Node,
                Event::Regular {
                    size, executable, ..
                },
            ) => {
                self.strings(&[b"(", b"type", b"regular"]);
                if executable {
                    self.strings(&[b"executable", b""]);
                }
                self.string(b"contents");
                self.bytes(&size.to_le_bytes());
                self.state = State::Contents { left: size, size };
                self.contents_complete();
            }
            (State::Contents { left, size }, Event::Contents(bytes)) => {
                let length = bytes.len() as u64;
                if length > left {
                    return Err(WriteError::TooMuch {
                        more: length - left,
                    });
                }
                self.bytes(bytes);
                self.state = State::Contents {
                    left: left - length,
                    size,
                };
                self.contents_complete();
            }
            (State::Node, Event::Symlink { target }) => {
                if target.is_empty() || target.len() > MAX_TARGET || target.contains(&0) {
                    return Err(WriteError::Target);
                }
                self.strings(&[b"(", b"type", b"symlink", b"target", target, b")"]);
                self.node_complete();
            }
            (state, event) => {
                let event = match event {
                    Event::Directory => "a directory",
                    Event::Entry { .. } => "an entry",
                    Event::DirectoryEnd => "the end of a directory",
                    Event::Regular { .. } => "a file",
                    Event::Contents(_) => "contents",
                    Event::Symlink { .. } => "a symlink",
                };
                return Err(WriteError::OutOfPlace {
                    event,
                    expected: state.describe(),
                });
            }
        }
        Ok(())
    }

    /// Begins a directory; [`entry`](Self::entry) and nodes follow, then [`end`](Self::end).
    ///
    /// # Errors
    /// As [`event`](Self::event).
    pub fn directory(&mut self) -> Result<(), WriteError> {
        self.event(Event::Directory)
    }

    /// Names the node that follows.
    ///
    /// # Errors
    /// As [`event`](Self::event).
    pub fn entry(&mut self, name: &[u8]) -> Result<(), WriteError> {
        self.event(Event::Entry { name })
    }

    /// Ends the current directory.
    ///
    /// # Errors
    /// As [`event`](Self::event).
    pub fn end(&mut self) -> Result<(), WriteError> {
        self.event(Event::DirectoryEnd)
    }

    /// Writes a file whose contents are at hand.
    ///
    /// # Errors
    /// As [`event`](Self::event).
    pub fn file(&mut self, contents: &[u8], executable: bool) -> Result<(), WriteError> {
        self.regular(contents.len() as u64, executable)?;
        if contents.is_empty() {
            Ok(())
        } else {
            self.contents(contents)
        }
    }

    /// Begins a file of `size` bytes; [`contents`](Self::contents) follow.
    ///
    /// # Errors
    /// As [`event`](Self::event).
    pub fn regular(&mut self, size: u64, executable: bool) -> Result<(), WriteError> {
        self.event(Event::Regular {
            size,
            executable,
            offset: 0,
        })
    }

    /// Writes the next bytes of the current file.
    ///
    /// # Errors
    /// As [`event`](Self::event).
    pub fn contents(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.event(Event::Contents(bytes))
    }

    /// Writes a symbolic link.
    ///
    /// # Errors
    /// As [`event`](Self::event).
    pub fn symlink(&mut self, target: &[u8]) -> Result<(), WriteError> {
        self.event(Event::Symlink { target })
    }

    /// Ends the archive and returns its size in bytes.
    ///
    /// # Errors
    /// [`WriteError::OutOfPlace`] if the archive is not complete.
    pub fn finish(self) -> Result<u64, WriteError> {
        match self.state {
            State::Complete => Ok(self.written),
            state => Err(WriteError::OutOfPlace {
                event: "the end of the archive",
                expected: state.describe(),
            }),
        }
    }

    fn contents_complete(&mut self) {
        if let State::Contents { left: 0, size } = self.state {
            self.bytes(&[0; 8][..padding(size) as usize]);
            self.string(b")");
            self.node_complete();
        }
    }

    fn node_complete(&mut self) {
        if self.directories.is_empty() {
            self.state = State::Complete;
        } else {
            self.string(b")");
            self.state = State::Directory;
        }
    }

    fn strings(&mut self, strings: &[&[u8]]) {
        for string in strings {
            self.string(string);
        }
    }

    fn string(&mut self, string: &[u8]) {
        let length = string.len() as u64;
        self.bytes(&length.to_le_bytes());
        self.bytes(string);
        self.bytes(&[0; 8][..padding(length) as usize]);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            (self.sink)(bytes);
            self.written += bytes.len() as u64;
        }
    }
}
