//! Cutting a narinfo into fields, exactly as Nix does.
//!
//! From the current position to the next `:` is the name, even across line
//! ends; the byte after the `:` is dropped unseen; the value goes to the next
//! line end *after that byte*. So a blank line becomes part of the next field's
//! name, and `References:` without its blank takes the next line as its value.

use std::ops::Range;

/// A piece of the text, by byte offsets. Narinfos are below 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(super) fn new(range: Range<usize>) -> Self {
        Self {
            start: u32::try_from(range.start).unwrap_or(u32::MAX),
            end: u32::try_from(range.end).unwrap_or(u32::MAX),
        }
    }

    pub(super) const fn start(self) -> usize {
        self.start as usize
    }

    pub(super) const fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// One field. All offsets are bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    /// Where the name begins.
    pub(super) start: usize,
    /// Where the name ends: the `:`.
    pub(super) colon: usize,
    /// Where the value ends: the line end. It begins at `colon + 2`.
    pub(super) end: usize,
}

impl Field {
    pub(super) fn name(self, text: &[u8]) -> &[u8] {
        &text[self.start..self.colon]
    }

    pub(super) fn value(self, text: &[u8]) -> &[u8] {
        &text[self.colon + 2..self.end]
    }

    /// The byte that Nix drops: should be a blank.
    pub(super) fn separator(self, text: &[u8]) -> u8 {
        text[self.colon + 1]
    }
}

/// What Nix cannot cut. The offset is where the field begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CutError {
    NoColon(usize),
    NoLineEnd(usize),
}

/// The fields of a narinfo, in order. After an error there are no more.
pub(super) struct Fields<'a> {
    text: &'a [u8],
    position: usize,
}

impl<'a> Fields<'a> {
    pub(super) const fn of(text: &'a [u8]) -> Self {
        Self { text, position: 0 }
    }
}

impl Iterator for Fields<'_> {
    type Item = Result<Field, CutError>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.position;
        let rest = self.text.get(start..).filter(|rest| !rest.is_empty())?;
        self.position = self.text.len();
        let Some(name) = memchr::memchr(b':', rest) else {
            return Some(Err(CutError::NoColon(start)));
        };
        let colon = start + name;
        let value = self
            .text
            .get(colon + 2..)
            .and_then(|value| memchr::memchr(b'\n', value));
        let Some(value) = value else {
            return Some(Err(CutError::NoLineEnd(colon)));
        };
        let end = colon + 2 + value;
        self.position = end + 1;
        Some(Ok(Field { start, colon, end }))
    }
}

/// The line that holds the byte at `offset`, from 1.
pub(super) fn line_of(text: &[u8], offset: usize) -> u32 {
    let before = text.get(..offset).unwrap_or(text);
    let line_ends = memchr::memchr_iter(b'\n', before).count();
    u32::try_from(line_ends)
        .unwrap_or(u32::MAX)
        .saturating_add(1)
}
