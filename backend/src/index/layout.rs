//! How a narinfo is spelled, so that it can be printed back byte for byte.
//!
//! Nearly all narinfos of a cache are spelled alike: the same fields in the same
//! order, a URL named after one of the hashes, signatures by the same keys. That
//! much is a [`Layout`], kept once for all paths that share it. What differs
//! lies in columns (name, hashes, sizes, references) and in a short *tail*
//! (signature bytes, deriver, lines that fit no field).
//!
//! [`encode`](super::encode) prints its own result and compares: a narinfo that would not come
//! back byte for byte is kept as text beside the columns (PERFORMANCE.md c3).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use snowbank_shared::narinfo::object_key;
use snowbank_shared::store_path::StorePathHash;

use super::key::{push_decimal, push_hex, push_nix32};

/// In place of the length of a deriver's own part: it is `.drv`.
pub(super) const DRV: u8 = 0x80;
/// Bytes of an Ed25519 signature.
pub(super) const SIGNATURE: usize = 64;

/// One line of a narinfo: which field, in which spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Line {
    /// The full store path.
    StorePath,
    /// The URL; see [`Url`].
    Url,
    /// The compression word of the layout.
    Compression,
    /// `sha256:` and nix32.
    FileHash,
    /// `sha256:` and base16.
    FileHashHex,
    /// In decimal.
    FileSize,
    /// `sha256:` and nix32.
    NarHash,
    /// `sha256:` and base16.
    NarHashHex,
    /// In decimal.
    NarSize,
    /// Base names with single spaces between.
    References,
    /// A base name; its hash and what differs from the path's own name are in the tail.
    Deriver,
    /// A signature of 64 bytes, which are in the tail, by the key of this name.
    Sig(Box<str>),
    /// Any other line, whole in the tail.
    Literal,
}

/// How the URL is made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Url {
    /// From hashes of the same narinfo and fixed text between.
    Pattern(Box<[Piece]>),
    /// Its text is the first thing in the tail.
    Tail,
}

/// A piece of a URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Piece {
    Text(Box<str>),
    FileHash,
    FileHashHex,
    NarHash,
    NarHashHex,
    PathHash,
}

/// The spelling shared by many narinfos.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Layout {
    /// The lines in their order; `None`: the text is kept whole.
    pub(crate) lines: Option<Box<[Line]>>,
    pub(crate) url: Url,
    /// The Compression word, also where the line is missing.
    pub(crate) compression: Box<str>,
    /// Key names of the `Sig` lines, in their order.
    pub(crate) signers: Box<[Box<str>]>,
    /// Whether the file hash column holds a SHA-256.
    pub(crate) has_file_hash: bool,
    /// Whether the narinfo says a FileSize.
    pub(crate) has_file_size: bool,
}

/// The parsed fields of a narinfo, as far as the columns hold them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) key: StorePathHash,
    pub(crate) name: &'a str,
    pub(crate) nar_hash: &'a [u8; 32],
    pub(crate) nar_size: u64,
    pub(crate) file_hash: &'a [u8; 32],
    pub(crate) file_size: u64,
    pub(crate) tail: &'a [u8],
}

/// Lets records that wait share their layouts, which are many times larger than a pointer.
#[derive(Debug, Default)]
pub(crate) struct LayoutPool(Mutex<HashSet<Arc<Layout>>>);

impl LayoutPool {
    /// The shared copy of a layout.
    pub(crate) fn share(&self, layout: Layout) -> Arc<Layout> {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = pool.get(&layout) {
            return Arc::clone(shared);
        }
        if pool.len() >= 1_024 {
            pool.clear();
        }
        let shared = Arc::new(layout);
        pool.insert(Arc::clone(&shared));
        shared
    }
}

/// Appends the URL. False where the tail is damaged.
pub(crate) fn push_url(layout: &Layout, fields: &Fields<'_>, out: &mut Vec<u8>) -> bool {
    match &layout.url {
        Url::Tail => match take_text(&mut { fields.tail }) {
            Some(text) => out.extend_from_slice(text),
            None => return false,
        },
        Url::Pattern(pieces) => {
            for piece in pieces {
                match piece {
                    Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                    Piece::FileHash => push_nix32(fields.file_hash, out),
                    Piece::FileHashHex => push_hex(fields.file_hash, out),
                    Piece::NarHash => push_nix32(fields.nar_hash, out),
                    Piece::NarHashHex => push_hex(fields.nar_hash, out),
                    Piece::PathHash => out.extend_from_slice(&fields.key.to_ascii()),
                }
            }
        }
    }
    true
}

/// Appends the key of the NAR's object: the URL without query, percent-decoded.
pub(crate) fn push_nar_key(layout: &Layout, fields: &Fields<'_>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let whole = push_url(layout, fields, out);
    if out[start..].iter().any(|byte| b"?#%".contains(byte)) {
        let url = String::from_utf8_lossy(&out[start..]).into_owned();
        out.truncate(start);
        out.extend_from_slice(object_key(&url).as_bytes());
    }
    whole
}

/// Prints the narinfo, without the text that is kept for those that do not come back.
/// False where there is nothing to print from, or the tail is damaged.
pub(crate) fn print<'a>(
    layout: &Layout,
    fields: &Fields<'_>,
    store_dir: &str,
    references: impl Iterator<Item = (StorePathHash, &'a [u8])>,
    out: &mut Vec<u8>,
) -> bool {
    let Some(lines) = &layout.lines else {
        return false;
    };
    let mut references = Some(references);
    let mut tail = fields.tail;
    if layout.url == Url::Tail && take_text(&mut tail).is_none() {
        return false;
    }
    for line in lines {
        match line {
            Line::Url => {
                out.extend_from_slice(b"URL: ");
                if !push_url(layout, fields, out) {
                    return false;
                }
            }
            Line::Compression => {
                out.extend_from_slice(b"Compression: ");
                out.extend_from_slice(layout.compression.as_bytes());
            }
            Line::References => {
                out.extend_from_slice(b"References:");
                let Some(references) = references.take() else {
                    return false;
                };
                let before = out.len();
                for (key, name) in references {
                    out.push(b' ');
                    out.extend_from_slice(&key.to_ascii());
                    out.push(b'-');
                    out.extend_from_slice(name);
                }
                if out.len() == before {
                    out.push(b' ');
                }
            }
            Line::Deriver => {
                if print_deriver(&mut tail, fields.name, out).is_none() {
                    return false;
                }
            }
            Line::Sig(name) => {
                let Some((bytes, rest)) = tail.split_at_checked(SIGNATURE) else {
                    return false;
                };
                tail = rest;
                out.extend_from_slice(b"Sig: ");
                out.extend_from_slice(name.as_bytes());
                out.push(b':');
                let start = out.len();
                out.resize(start + SIGNATURE.div_ceil(3) * 4, 0);
                if BASE64.encode_slice(bytes, &mut out[start..]).is_err() {
                    return false;
                }
            }
            Line::Literal => match take_text(&mut tail) {
                Some(text) => out.extend_from_slice(text),
                None => return false,
            },
            simple => push_simple(simple, fields, store_dir, out),
        }
        out.push(b'\n');
    }
    true
}

/// Prints `Deriver: …` from the tail.
fn print_deriver(tail: &mut &[u8], name: &str, out: &mut Vec<u8>) -> Option<()> {
    let (key, rest) = tail.split_first_chunk::<20>()?;
    let ([common, length], mut rest) = rest.split_first_chunk::<2>()?;
    out.extend_from_slice(b"Deriver: ");
    out.extend_from_slice(&StorePathHash::from_bytes(*key).to_ascii());
    out.push(b'-');
    out.extend_from_slice(name.as_bytes().get(..usize::from(*common))?);
    if *length == DRV {
        out.extend_from_slice(b".drv");
    } else {
        let (own, after) = rest.split_at_checked(usize::from(*length))?;
        out.extend_from_slice(own);
        rest = after;
    }
    *tail = rest;
    Some(())
}

/// Prints a line that the columns alone determine.
pub(super) fn push_simple(line: &Line, fields: &Fields<'_>, store_dir: &str, out: &mut Vec<u8>) {
    match line {
        Line::StorePath => {
            out.extend_from_slice(b"StorePath: ");
            out.extend_from_slice(store_dir.as_bytes());
            out.push(b'/');
            out.extend_from_slice(&fields.key.to_ascii());
            out.push(b'-');
            out.extend_from_slice(fields.name.as_bytes());
        }
        Line::FileHash => {
            out.extend_from_slice(b"FileHash: sha256:");
            push_nix32(fields.file_hash, out);
        }
        Line::FileHashHex => {
            out.extend_from_slice(b"FileHash: sha256:");
            push_hex(fields.file_hash, out);
        }
        Line::FileSize => {
            out.extend_from_slice(b"FileSize: ");
            push_decimal(fields.file_size, out);
        }
        Line::NarHash => {
            out.extend_from_slice(b"NarHash: sha256:");
            push_nix32(fields.nar_hash, out);
        }
        Line::NarHashHex => {
            out.extend_from_slice(b"NarHash: sha256:");
            push_hex(fields.nar_hash, out);
        }
        Line::NarSize => {
            out.extend_from_slice(b"NarSize: ");
            push_decimal(fields.nar_size, out);
        }
        Line::Url
        | Line::Compression
        | Line::References
        | Line::Deriver
        | Line::Sig(_)
        | Line::Literal => {}
    }
}

/// Takes a length in LEB128 and so many bytes.
fn take_text<'a>(tail: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut length = 0usize;
    for shift in (0..32).step_by(7) {
        let (&byte, rest) = tail.split_first()?;
        *tail = rest;
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            let (text, rest) = tail.split_at_checked(length)?;
            *tail = rest;
            return Some(text);
        }
    }
    None
}
