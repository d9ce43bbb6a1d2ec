//! The parser: a state machine fed with chunks.
//!
//! An archive is a sequence of strings, and what the next string may be
//! depends only on what came before. So there are two small machines, one in
//! the other: [`Part`] knows which piece of a string comes next (its length,
//! its bytes, its padding), [`Expect`] knows which string. File contents pass
//! through without being copied; every other string is collected in `text`,
//! whose size is checked against its limit before the first byte of it is taken.

use super::{
    FileName, MAGIC, MAX_DEPTH, MAX_TAG, MAX_TARGET, NarError, NarErrorKind, padding, printable,
};

/// What the parser found. Slices live only as long as the call that reports them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The current node is a directory: its entries follow, then [`Event::DirectoryEnd`].
    Directory,
    /// An entry of the current directory: the next node is what it names.
    Entry {
        /// The name; it keeps every rule of [`FileName`] and comes after the one before it.
        name: &'a [u8],
    },
    /// The current directory ends.
    DirectoryEnd,
    /// The current node is a file: `size` bytes in [`Event::Contents`] follow.
    Regular {
        /// Bytes of the file, as the archive claims them.
        size: u64,
        /// Whether the file may be executed.
        executable: bool,
        /// Where the contents begin, in bytes from the start of the archive.
        offset: u64,
    },
    /// The next bytes of the current file, never empty, in pieces of any size.
    Contents(&'a [u8]),
    /// The current node is a symbolic link.
    Symlink {
        /// Where it points: 1 to 4095 bytes without NUL, and nothing else is promised.
        target: &'a [u8],
    },
}

/// Which string comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Magic,
    NodeOpen,
    Type,
    Kind,
    ExecutableOrContents,
    ExecutableValue,
    ContentsWord,
    Data,
    TargetWord,
    Target,
    /// `)` of a file or symlink.
    LeafClose,
    /// `entry`, or `)` of the directory.
    EntryOrClose,
    EntryOpen,
    NameWord,
    Name,
    NodeWord,
    EntryClose,
    End,
}

impl Expect {
    /// For messages: what may stand here.
    const fn describe(self) -> &'static str {
        match self {
            Self::Magic => "\"nix-archive-1\"",
            Self::NodeOpen | Self::EntryOpen => "\"(\"",
            Self::Type => "\"type\"",
            Self::Kind => "\"regular\", \"symlink\" or \"directory\"",
            Self::ExecutableOrContents => "\"executable\" or \"contents\"",
            Self::ExecutableValue => "an empty string",
            Self::ContentsWord => "\"contents\"",
            Self::Data => "the contents of a file",
            Self::TargetWord => "\"target\"",
            Self::Target => "a symlink target",
            Self::LeafClose | Self::EntryClose => "\")\"",
            Self::EntryOrClose => "\"entry\" or \")\"",
            Self::NameWord => "\"name\"",
            Self::Name => "a file name",
            Self::NodeWord => "\"node\"",
            Self::End => "nothing",
        }
    }
}

/// Which piece of the string comes next.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// Its length: how many of the 8 bytes are there, and their value so far.
    Length { taken: u8, value: u64 },
    /// Its bytes, collected in `text`.
    Text { left: usize, padding: u8 },
    /// Its bytes, passed on.
    Contents { left: u64, padding: u8 },
    /// The zeros after it.
    Padding { left: u8 },
}

const NEXT_STRING: Part = Part::Length { taken: 0, value: 0 };

fn padding_or_next(padding: u8) -> Part {
    match padding {
        0 => NEXT_STRING,
        left => Part::Padding { left },
    }
}

/// Reads a NAR in chunks of any size and reports what is in it.
///
/// Memory is bounded whatever the input: the string being read (at most 4095
/// bytes) and the last name of each open directory (at most 64 × 255 bytes).
/// After an error the parser stays failed and repeats it.
///
/// ```
/// use snowbank_shared::nar::{Event, NarParser, NarWriter};
///
/// let mut archive = Vec::new();
/// let mut writer = NarWriter::new(|bytes: &[u8]| archive.extend_from_slice(bytes));
/// writer.file(b"hello", false)?;
/// writer.finish()?;
///
/// let mut parser = NarParser::new();
/// let mut contents = Vec::new();
/// for chunk in archive.chunks(7) {
///     parser.push(chunk, &mut |event: Event<'_>| {
///         if let Event::Contents(bytes) = event {
///             contents.extend_from_slice(bytes);
///         }
///     })?;
/// }
/// assert_eq!(parser.finish()?, archive.len() as u64);
/// assert_eq!(contents, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct NarParser {
    expect: Expect,
    part: Part,
    /// The string being collected.
    text: Vec<u8>,
    /// Bytes consumed.
    position: u64,
    /// Where the current string (its length field) began.
    string_start: u64,
    executable: bool,
    /// For every open directory the name of its last entry, empty before the first.
    directories: Vec<Vec<u8>>,
    failed: Option<NarError>,
}

impl Default for NarParser {
    fn default() -> Self {
        Self::new()
    }
}

impl NarParser {
    /// A parser that stands before the first byte of an archive.
    #[must_use]
    pub fn new() -> Self {
        Self {
            expect: Expect::Magic,
            part: NEXT_STRING,
            text: Vec::new(),
            position: 0,
            string_start: 0,
            executable: false,
            directories: Vec::new(),
            failed: None,
        }
    }

    /// Bytes of the archive consumed so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Whether the archive is complete: no byte may follow.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.ended() && self.failed.is_none()
    }

    /// `)` of the root came, and its padding.
    fn ended(&self) -> bool {
        self.expect == Expect::End && !matches!(self.part, Part::Padding { .. })
    }

    /// Takes the next bytes of the archive and reports what they complete.
    ///
    /// # Errors
    /// [`NarError`] at the first byte that no NAR has in this place. What was
    /// reported before it was right.
    pub fn push(
        &mut self,
        chunk: &[u8],
        report: &mut impl FnMut(Event<'_>),
    ) -> Result<(), NarError> {
        match self.push_some(chunk, report)? {
            used if used == chunk.len() => Ok(()),
            _ => {
                let error = self.error_here(NarErrorKind::TrailingData);
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    /// The same for a chunk that may go on behind the archive: says how many bytes of it are the
    /// archive's. Fewer than all means that the archive is complete.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_some(
        &mut self,
        chunk: &[u8],
        report: &mut impl FnMut(Event<'_>),
    ) -> Result<usize, NarError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.consume(chunk, report)
            .inspect_err(|error| self.failed = Some(error.clone()))
    }

    /// Declares the input ended. Returns the size of the archive in bytes.
    ///
    /// # Errors
    /// [`NarErrorKind::Truncated`] if the archive is not complete, or the error that came before.
    pub fn finish(self) -> Result<u64, NarError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.ended() {
            return Ok(self.position);
        }
        let expected = match self.part {
            Part::Contents { .. } => Expect::Data.describe(),
            Part::Padding { .. } => "padding",
            _ => self.expect.describe(),
        };
        Err(NarError {
            offset: self.position,
            kind: NarErrorKind::Truncated { expected },
        })
    }

    /// Bytes of `chunk` up to the end of the archive.
    fn consume(
        &mut self,
        chunk: &[u8],
        report: &mut impl FnMut(Event<'_>),
    ) -> Result<usize, NarError> {
        let mut input = chunk;
        while !input.is_empty() {
            if self.ended() {
                return Ok(chunk.len() - input.len());
            }
            let used = match self.part {
                Part::Length { taken, value } => {
                    if taken == 0 {
                        self.string_start = self.position;
                    }
                    let used = input.len().min(usize::from(8 - taken));
                    let value = input[..used]
                        .iter()
                        .zip(taken..)
                        .fold(value, |value, (&byte, index)| {
                            value | (u64::from(byte) << (8 * u32::from(index)))
                        });
                    // At most 8.
                    let taken = taken + used as u8;
                    self.position += used as u64;
                    if taken == 8 {
                        self.begin_string(value, report)?;
                    } else {
                        self.part = Part::Length { taken, value };
                    }
                    used
                }
                Part::Text { left, padding } => {
                    let used = input.len().min(left);
                    self.text.extend_from_slice(&input[..used]);
                    self.position += used as u64;
                    self.part = Part::Text {
                        left: left - used,
                        padding,
                    };
                    if left == used {
                        self.text_complete(padding, report)?;
                    }
                    used
                }
                Part::Contents { left, padding } => {
                    let used =
                        usize::try_from(left).map_or(input.len(), |left| input.len().min(left));
                    report(Event::Contents(&input[..used]));
                    self.position += used as u64;
                    self.part = match left - used as u64 {
                        0 => padding_or_next(padding),
                        left => Part::Contents { left, padding },
                    };
                    used
                }
                Part::Padding { left } => {
                    let used = input.len().min(usize::from(left));
                    if let Some(at) = input[..used].iter().position(|&byte| byte != 0) {
                        self.position += at as u64;
                        return Err(self.error_here(NarErrorKind::Padding));
                    }
                    self.position += used as u64;
                    self.part = match left - used as u8 {
                        0 => NEXT_STRING,
                        left => Part::Padding { left },
                    };
                    used
                }
            };
            input = &input[used..];
        }
        Ok(chunk.len())
    }

    /// The length of the next string is known: is it one that may stand here?
    fn begin_string(
        &mut self,
        length: u64,
        report: &mut impl FnMut(Event<'_>),
    ) -> Result<(), NarError> {
        let pad = padding(length) as u8;
        match self.expect {
            Expect::Data => {
                report(Event::Regular {
                    size: length,
                    executable: self.executable,
                    offset: self.position,
                });
                self.expect = Expect::LeafClose;
                self.part = match length {
                    0 => NEXT_STRING,
                    left => Part::Contents { left, padding: pad },
                };
                return Ok(());
            }
            Expect::ExecutableValue if length != 0 => {
                return Err(self.error(NarErrorKind::ExecutableValue { length }));
            }
            Expect::Name => {
                if length == 0 || length > FileName::MAX as u64 {
                    return Err(self.error(super::FileNameError::Length { length }.into()));
                }
            }
            Expect::Target => {
                if length == 0 || length > MAX_TARGET as u64 {
                    return Err(self.error(NarErrorKind::TargetLength { length }));
                }
            }
            Expect::Magic if length != MAGIC.len() as u64 => {
                return Err(self.error(NarErrorKind::Magic));
            }
            expect => {
                if length > MAX_TAG as u64 {
                    let expected = expect.describe();
                    return Err(self.error(NarErrorKind::TagTooLong { expected, length }));
                }
            }
        }
        self.text.clear();
        if length == 0 {
            return self.text_complete(0, report);
        }
        // At most `MAX_TARGET`, checked above.
        self.part = Part::Text {
            left: length as usize,
            padding: pad,
        };
        Ok(())
    }

    /// A string is there: what does it say, and which string comes after it?
    fn text_complete(
        &mut self,
        padding: u8,
        report: &mut impl FnMut(Event<'_>),
    ) -> Result<(), NarError> {
        let word = self.text.as_slice();
        self.expect = match (self.expect, word) {
            (Expect::Magic, MAGIC) => Expect::NodeOpen,
            (Expect::Magic, _) => return Err(self.error(NarErrorKind::Magic)),
            (Expect::NodeOpen, b"(") => Expect::Type,
            (Expect::Type, b"type") => Expect::Kind,
            (Expect::Kind, b"regular") => {
                self.executable = false;
                Expect::ExecutableOrContents
            }
            (Expect::Kind, b"symlink") => Expect::TargetWord,
            (Expect::Kind, b"directory") => {
                self.directories.push(Vec::new());
                report(Event::Directory);
                Expect::EntryOrClose
            }
            (Expect::ExecutableOrContents, b"executable") => Expect::ExecutableValue,
            (Expect::ExecutableValue, b"") => {
                self.executable = true;
                Expect::ContentsWord
            }
            (Expect::ExecutableOrContents | Expect::ContentsWord, b"contents") => Expect::Data,
            (Expect::TargetWord, b"target") => Expect::Target,
            (Expect::Target, target) => {
                if memchr::memchr(0, target).is_some() {
                    return Err(self.error(NarErrorKind::TargetNul));
                }
                report(Event::Symlink { target });
                Expect::LeafClose
            }
            (Expect::LeafClose, b")") => self.after_node(),
            (Expect::EntryOrClose, b")") => {
                self.directories.pop();
                report(Event::DirectoryEnd);
                self.after_node()
            }
            (Expect::EntryOrClose, b"entry") => Expect::EntryOpen,
            (Expect::EntryOpen, b"(") => Expect::NameWord,
            (Expect::NameWord, b"name") => Expect::Name,
            (Expect::Name, name) => {
                self.check_name(name)?;
                report(Event::Entry { name });
                if let Some(last) = self.directories.last_mut() {
                    std::mem::swap(last, &mut self.text);
                }
                Expect::NodeWord
            }
            (Expect::NodeWord, b"node") => {
                // The node that follows lies as deep as there are directories around it.
                if self.directories.len() >= MAX_DEPTH {
                    return Err(self.error(NarErrorKind::TooDeep));
                }
                Expect::NodeOpen
            }
            (Expect::EntryClose, b")") => Expect::EntryOrClose,
            (expect, found) => {
                let (expected, found) = (expect.describe(), printable(found));
                return Err(self.error(NarErrorKind::UnexpectedTag { expected, found }));
            }
        };
        self.part = padding_or_next(padding);
        Ok(())
    }

    fn check_name(&self, name: &[u8]) -> Result<(), NarError> {
        FileName::check(name).map_err(|error| self.error(error.into()))?;
        let previous = self.directories.last().map_or(&[][..], Vec::as_slice);
        match name.cmp(previous) {
            std::cmp::Ordering::Greater => Ok(()),
            std::cmp::Ordering::Equal => Err(self.error(NarErrorKind::Duplicate {
                name: printable(name),
            })),
            std::cmp::Ordering::Less => Err(self.error(NarErrorKind::Unsorted {
                name: printable(name),
                previous: printable(previous),
            })),
        }
    }

    /// A node is complete: what surrounds it?
    fn after_node(&self) -> Expect {
        if self.directories.is_empty() {
            Expect::End
        } else {
            Expect::EntryClose
        }
    }

    /// An error in the string that is being read.
    fn error(&self, kind: NarErrorKind) -> NarError {
        NarError {
            offset: self.string_start,
            kind,
        }
    }

    /// An error at the very byte that comes next.
    fn error_here(&self, kind: NarErrorKind) -> NarError {
        NarError {
            offset: self.position,
            kind,
        }
    }
}
