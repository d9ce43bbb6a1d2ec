//! NAR, the archive format of Nix: one file tree, in one byte sequence and no other.
//!
//! ```text
//! nar  = str("nix-archive-1") node
//! node = str("(") str("type") body str(")")
//! body = str("regular") [str("executable") str("")] str("contents") str(data)
//!      | str("symlink") str("target") str(target)
//!      | str("directory") { str("entry") str("(") str("name") str(name) str("node") node str(")") }
//! str  = 64-bit little-endian length, the bytes, zeros up to a multiple of 8
//! ```
//!
//! A tree has exactly one NAR, so the hash of the NAR names the tree. That
//! holds only if whoever reads it insists on every detail: [`NarParser`] is as
//! strict as Nix 2.34.8, and stricter where Nix looks away (bytes after the end).
//!
//! The parts:
//! - [`NarParser`] takes the archive in chunks of any size and reports
//!   [`Event`]s. It holds at most one name or target at a time, whatever the archive's size.
//! - [`NarWriter`] is its inverse: the events of an archive, written, are the archive.
//! - [`Listing`] is the tree without the files' contents: the `.ls` file of a cache.
//! - [`ReferenceScanner`] finds store path hashes in the bytes, as a Nix build does;
//!   [`Mentions`] finds them before anybody said which.
//! - [`SecretScanner`] finds private keys and tokens in its text files.
//! - [`Inspector`] is all of it in one pass.
//!
//! The rules are PROTOCOL.md §7, the listing is §9.

mod error;
mod file_name;
mod inspect;
mod layout;
mod listing;
mod listing_json;
mod mentions;
mod parser;
mod reference_scanner;
mod secrets;
mod writer;

pub use error::{NarError, NarErrorKind};
pub use file_name::{FileName, FileNameError};
pub use inspect::{Inspection, Inspector};
pub use listing::{Listing, ListingBuilder, ListingError, ListingLimits, ListingNode};
pub use mentions::Mentions;
pub use parser::{Event, NarParser};
pub use reference_scanner::ReferenceScanner;
pub use secrets::{Secret, SecretScanner};
pub use writer::{NarWriter, WriteError};

/// What every NAR begins with.
pub const MAGIC: &[u8] = b"nix-archive-1";

/// Nodes lie at depth 0 (the root) to 63: at most 63 directories around a file.
pub const MAX_DEPTH: usize = 64;

/// Longest symlink target in bytes.
pub const MAX_TARGET: usize = 4095;

/// Longest word of the format (`executable` is the longest that means
/// something); a length beyond it is refused before a byte of it is read.
pub const MAX_TAG: usize = 32;

/// How many zeros follow a string of `length` bytes.
pub(crate) const fn padding(length: u64) -> u64 {
    (8 - length % 8) % 8
}

/// Bytes for a message: escaped to printable ASCII and cut at 64 bytes of
/// input, so that no archive can put control characters or a flood into a log.
pub(crate) fn printable(bytes: &[u8]) -> String {
    const SHOWN: usize = 64;
    match bytes.get(..SHOWN) {
        Some(head) if bytes.len() > SHOWN => format!("{}…", head.escape_ascii()),
        _ => bytes.escape_ascii().to_string(),
    }
}

#[cfg(test)]
mod tests;
