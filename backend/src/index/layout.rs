//! How a narinfo is spelled, so that it can be printed back byte for byte.
//!
//! Nearly all narinfos of a cache are spelled alike: the same fields in the same
//! order, a URL named after one of the hashes, signatures by the same keys. That
//! much is a [`Layout`], kept once for all paths that share it. What differs
//! lies in columns (name, hashes, sizes, references) and in a short *tail*
//! (signature bytes, deriver, lines that fit no field).
//!
//! [`encode`] prints its own result and compares: a narinfo that would not come
//! back byte for byte is kept as text beside the columns (PERFORMANCE.md c3).

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use snowbank_shared::narinfo::object_key;
use snowbank_shared::store_path::StorePathHash;

use super::key::{BaseName, push_decimal, push_hex, push_nix32};

/// A tail longer than this is not worth it: the text is kept instead.
const MAX_TAIL: usize = 4096;
/// A URL pattern longer than this is no pattern.
const MAX_PATTERN: usize = 64;
/// Bytes of an Ed25519 signature.
const SIGNATURE: usize = 64;

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

/// What [`encode`] makes of a narinfo.
#[derive(Debug, Clone)]
pub(crate) struct Encoded {
    pub(crate) layout: Layout,
    pub(crate) tail: Box<[u8]>,
    /// The text, where the columns cannot give it back.
    pub(crate) raw: Option<Box<[u8]>>,
}

/// What [`encode`] needs besides [`Fields`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The narinfo, decoded.
    pub(crate) bytes: &'a [u8],
    pub(crate) store_dir: &'a str,
    pub(crate) url: &'a str,
    pub(crate) compression: &'a str,
    pub(crate) signers: &'a [Box<str>],
    pub(crate) references: &'a [BaseName],
    pub(crate) has_file_hash: bool,
    pub(crate) has_file_size: bool,
}

/// Finds the spelling of a narinfo. `fields.tail` is not looked at.
pub(crate) fn encode(source: &Source<'_>, fields: &Fields<'_>) -> Encoded {
    let mut tail = Vec::new();
    let url = url_pattern(source, fields);
    if url == Url::Tail {
        push_text(source.url.as_bytes(), &mut tail);
    }
    let mut layout = Layout {
        lines: None,
        url,
        compression: source.compression.into(),
        signers: source.signers.into(),
        has_file_hash: source.has_file_hash,
        has_file_size: source.has_file_size,
    };
    let url_tail = tail.len();
    if let Some(lines) = lines(source, fields, &mut tail) {
        layout.lines = Some(lines);
        let fields = Fields {
            tail: &tail,
            ..*fields
        };
        let mut printed = Vec::with_capacity(source.bytes.len());
        let references = source
            .references
            .iter()
            .map(|reference| (reference.key, reference.name.as_bytes()));
        let complete = print(&layout, &fields, source.store_dir, references, &mut printed);
        if complete && printed == source.bytes {
            return Encoded {
                layout,
                tail: tail.into(),
                raw: None,
            };
        }
    }
    tail.truncate(url_tail);
    layout.lines = None;
    Encoded {
        layout,
        tail: tail.into(),
        raw: Some(source.bytes.into()),
    }
}

/// Tells the lines apart and fills the tail. `None` where there are too many or too long ones.
fn lines(source: &Source<'_>, fields: &Fields<'_>, tail: &mut Vec<u8>) -> Option<Box<[Line]>> {
    let text = source.bytes.strip_suffix(b"\n")?;
    let mut lines = Vec::new();
    let mut expected = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        if tail.len() > MAX_TAIL || lines.len() > 64 {
            return None;
        }
        let known = line_of(line, source, fields, tail, &mut expected);
        if known == Line::Literal {
            push_text(line, tail);
        }
        lines.push(known);
    }
    (tail.len() <= MAX_TAIL).then(|| lines.into())
}

/// The field that `line` spells in a way that can be printed again.
fn line_of(
    line: &[u8],
    source: &Source<'_>,
    fields: &Fields<'_>,
    tail: &mut Vec<u8>,
    expected: &mut Vec<u8>,
) -> Line {
    let Some(colon) = memchr::memchr(b':', line) else {
        return Line::Literal;
    };
    let candidates: &[Line] = match &line[..colon] {
        b"StorePath" => &[Line::StorePath],
        b"URL" => &[Line::Url],
        b"Compression" => &[Line::Compression],
        b"FileHash" if source.has_file_hash => &[Line::FileHash, Line::FileHashHex],
        b"FileSize" if source.has_file_size => &[Line::FileSize],
        b"NarHash" => &[Line::NarHash, Line::NarHashHex],
        b"NarSize" => &[Line::NarSize],
        b"References" => return Line::References,
        b"Deriver" => return deriver(line, fields, tail).unwrap_or(Line::Literal),
        b"Sig" => return signature(line, tail).unwrap_or(Line::Literal),
        _ => &[],
    };
    for candidate in candidates {
        expected.clear();
        match candidate {
            // The text is at hand: the pattern has not to be printed for it.
            Line::Url => {
                expected.extend_from_slice(b"URL: ");
                expected.extend_from_slice(source.url.as_bytes());
            }
            Line::Compression => {
                expected.extend_from_slice(b"Compression: ");
                expected.extend_from_slice(source.compression.as_bytes());
            }
            other => push_simple(other, fields, source.store_dir, expected),
        }
        if expected == line {
            return candidate.clone();
        }
    }
    Line::Literal
}

/// `Deriver: hash-name`, where the hash is nix32 and the name begins like the path's.
fn deriver(line: &[u8], fields: &Fields<'_>, tail: &mut Vec<u8>) -> Option<Line> {
    let base = std::str::from_utf8(line.strip_prefix(b"Deriver: ")?).ok()?;
    let (hash, name) = base.split_at_checked(32)?;
    let key = StorePathHash::parse(hash.as_bytes()).ok()?;
    let name = name.strip_prefix('-')?;
    let common = fields
        .name
        .bytes()
        .zip(name.bytes())
        .take_while(|(a, b)| a == b)
        .count()
        .min(usize::from(u8::MAX));
    let rest = &name.as_bytes()[common..];
    if rest.len() > 127 {
        return None;
    }
    tail.extend_from_slice(key.as_bytes());
    tail.push(common as u8);
    if rest == b".drv" {
        tail.push(DRV);
    } else {
        tail.push(rest.len() as u8);
        tail.extend_from_slice(rest);
    }
    Some(Line::Deriver)
}

/// In place of a length: the rest is `.drv`.
const DRV: u8 = 0x80;

/// `Sig: name:base64` of 64 bytes in the form that encodes back to itself.
fn signature(line: &[u8], tail: &mut Vec<u8>) -> Option<Line> {
    let value = std::str::from_utf8(line.strip_prefix(b"Sig: ")?).ok()?;
    let (name, encoded) = value.split_once(':')?;
    let mut bytes = [0; SIGNATURE + 2];
    let length = BASE64.decode_slice(encoded, &mut bytes).ok()?;
    if length != SIGNATURE || name.len() > 255 {
        return None;
    }
    tail.extend_from_slice(&bytes[..SIGNATURE]);
    Some(Line::Sig(name.into()))
}

/// The pattern of the URL, where it has one.
fn url_pattern(source: &Source<'_>, fields: &Fields<'_>) -> Url {
    let mut hashes: Vec<(Piece, Vec<u8>)> = Vec::with_capacity(5);
    let mut add = |piece: Piece, push: &dyn Fn(&mut Vec<u8>)| {
        let mut text = Vec::with_capacity(64);
        push(&mut text);
        hashes.push((piece, text));
    };
    if source.has_file_hash {
        add(Piece::FileHash, &|out| push_nix32(fields.file_hash, out));
        add(Piece::FileHashHex, &|out| push_hex(fields.file_hash, out));
    }
    add(Piece::NarHash, &|out| push_nix32(fields.nar_hash, out));
    add(Piece::NarHashHex, &|out| push_hex(fields.nar_hash, out));
    add(Piece::PathHash, &|out| {
        out.extend_from_slice(&fields.key.to_ascii());
    });

    let mut pieces = Vec::new();
    let mut rest = source.url;
    let mut fixed = 0;
    while !rest.is_empty() {
        let next = hashes
            .iter()
            .filter_map(|(piece, text)| {
                memchr::memmem::find(rest.as_bytes(), text).map(|at| (at, piece, text.len()))
            })
            .min_by_key(|&(at, _, length)| (at, std::cmp::Reverse(length)));
        let (text_end, after) = match next {
            Some((at, _, length)) => (at, at + length),
            None => (rest.len(), rest.len()),
        };
        if text_end > 0 {
            fixed += text_end;
            pieces.push(Piece::Text(rest[..text_end].into()));
        }
        if let Some((_, piece, _)) = next {
            pieces.push(piece.clone());
        }
        rest = &rest[after..];
    }
    let varies = |piece: &Piece| matches!(piece, Piece::Text(text) if text.len() > 24);
    if fixed > MAX_PATTERN || pieces.len() > 8 || pieces.iter().any(varies) {
        Url::Tail
    } else {
        Url::Pattern(pieces.into())
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
fn push_simple(line: &Line, fields: &Fields<'_>, store_dir: &str, out: &mut Vec<u8>) {
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

/// Appends a length in LEB128 and the bytes.
fn push_text(text: &[u8], out: &mut Vec<u8>) {
    let mut length = text.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(text);
}

/// Takes what [`push_text`] wrote.
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
