//! Finding the spelling of a narinfo: which [`Layout`] it follows, and what is its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use snowbank_shared::store_path::StorePathHash;

use super::key::{BaseName, push_hex, push_nix32};
use super::layout::{DRV, Fields, Layout, Line, Piece, SIGNATURE, Url, print, push_simple};

/// A tail longer than this is not worth it: the text is kept instead.
const MAX_TAIL: usize = 4096;
/// A URL pattern longer than this is no pattern.
const MAX_PATTERN: usize = 64;

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
