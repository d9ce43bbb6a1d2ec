//! The text form of a listing, written as Nix writes it and read as anybody wrote it.
//!
//! Reading cannot be left to a JSON library: old Nix writes names that are not
//! UTF-8 as they are, which is not JSON, and sixty levels of directories
//! exceed the nesting that libraries allow. So here is a reader over bytes,
//! without recursion, that knows objects, strings, whole numbers and what to
//! skip.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::listing::Budget;
use super::{FileName, Listing, ListingError, ListingLimits, ListingNode, MAX_DEPTH};

impl Listing {
    /// The `.ls` file: `{"version":1,"root":…}`, byte for byte as Nix 2.8 to
    /// 2.34 write it where all names are UTF-8.
    ///
    /// JSON has no form for other names. Such an entry stands under the name
    /// with U+FFFD in place of what is not UTF-8 (made unique by more of them
    /// at the end), and its node has the true bytes in `name_b64`; a symlink's
    /// target likewise in `target_b64`. [`Listing::from_json`] reads both back.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::from("{\"version\":1,\"root\":");
        write_node(&mut out, &self.root, None);
        out.push('}');
        out
    }

    /// Reads a `.ls` file of any Nix, or one of [`to_json`](Self::to_json).
    ///
    /// Lenient where writers differ: members in any order, unknown ones
    /// skipped, names that are not UTF-8, `executable` absent or false,
    /// `narOffset` absent or 0 (both mean unknown).
    ///
    /// # Errors
    /// [`ListingError::Syntax`] with the offset, or [`ListingError::TooLarge`].
    pub fn from_json(text: &[u8], limits: ListingLimits) -> Result<Self, ListingError> {
        let mut reader = Reader { text, at: 0 };
        let mut root = None;
        let mut comma = false;
        reader.expect(b'{')?;
        while let Some(key) = reader.member(&mut comma)? {
            match key.as_slice() {
                b"version" => {
                    let at = reader.at;
                    let version = reader.number()?;
                    if version != 1 {
                        return Err(syntax(at, format!("version {version} is not known")));
                    }
                }
                b"root" => root = Some(read_tree(&mut reader, &mut Budget::new(limits))?),
                _ => reader.skip_value()?,
            }
        }
        reader.space();
        if reader.at < text.len() {
            return Err(syntax(reader.at, "there is more after the end"));
        }
        root.map(|root| Self { root })
            .ok_or_else(|| syntax(text.len(), "there is no root"))
    }
}

fn write_node(out: &mut String, node: &ListingNode, name: Option<&FileName>) {
    match node {
        ListingNode::Directory { entries } => {
            out.push_str("{\"type\":\"directory\",\"entries\":{");
            for (index, (key, (name, node))) in printable_keys(entries).zip(entries).enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(out, &key);
                out.push(':');
                write_node(out, node, Some(name));
            }
            out.push('}');
        }
        ListingNode::Regular {
            size,
            executable,
            nar_offset,
        } => {
            out.push_str("{\"type\":\"regular\",\"size\":");
            out.push_str(&size.to_string());
            if *executable {
                out.push_str(",\"executable\":true");
            }
            if let Some(offset) = nar_offset {
                out.push_str(",\"narOffset\":");
                out.push_str(&offset.to_string());
            }
        }
        ListingNode::Symlink { target } => {
            out.push_str("{\"type\":\"symlink\",\"target\":");
            let text = String::from_utf8_lossy(target);
            write_string(out, &text);
            if matches!(text, std::borrow::Cow::Owned(_)) {
                out.push_str(",\"target_b64\":");
                write_string(out, &BASE64.encode(target));
            }
        }
    }
    if let Some(name) = name.filter(|name| name.as_str().is_none()) {
        out.push_str(",\"name_b64\":");
        write_string(out, &BASE64.encode(name.as_bytes()));
    }
    out.push('}');
}

/// For every entry the text it stands under: its name where that is UTF-8,
/// else the name with U+FFFD in it, different from every other in the directory.
fn printable_keys(entries: &[(FileName, ListingNode)]) -> impl Iterator<Item = String> + '_ {
    let mut taken = std::collections::HashSet::new();
    if entries.iter().any(|(name, _)| name.as_str().is_none()) {
        taken.extend(
            entries
                .iter()
                .filter_map(|(name, _)| name.as_str())
                .map(str::to_owned),
        );
    }
    entries.iter().map(move |(name, _)| match name.as_str() {
        Some(text) => text.to_owned(),
        None => {
            let mut text = String::from_utf8_lossy(name.as_bytes()).into_owned();
            while !taken.insert(text.clone()) {
                text.push('\u{fffd}');
            }
            text
        }
    })
}

/// A JSON string, quotes included, with the escapes that Nix's writer uses.
fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// A node whose `}` has not come.
#[derive(Default)]
struct OpenNode {
    /// The bytes it stands under; what `name_b64` says takes their place.
    name: Option<Vec<u8>>,
    kind: Vec<u8>,
    size: Option<u64>,
    executable: bool,
    nar_offset: Option<u64>,
    target: Option<Vec<u8>>,
    /// What `target_b64` says, which `target` cannot.
    true_target: Option<Vec<u8>>,
    entries: Option<Vec<(FileName, ListingNode)>>,
    /// The reader is between the braces of `entries`.
    in_entries: bool,
    /// A comma or brace is due before the next member.
    comma: bool,
}

impl OpenNode {
    /// The node, now that all of it is there.
    fn close(self, at: usize) -> Result<ListingNode, ListingError> {
        match self.kind.as_slice() {
            b"directory" => {
                let mut entries = self
                    .entries
                    .ok_or_else(|| syntax(at, "a directory without entries"))?;
                // Bytes decide the order, and names in `name_b64` stand under another text.
                entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
                if entries.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                    return Err(syntax(at, "a directory with two entries of one name"));
                }
                Ok(ListingNode::Directory { entries })
            }
            b"regular" => Ok(ListingNode::Regular {
                size: self
                    .size
                    .ok_or_else(|| syntax(at, "a file without a size"))?,
                executable: self.executable,
                nar_offset: self.nar_offset.filter(|&offset| offset != 0),
            }),
            b"symlink" => {
                let target = self.true_target.or(self.target);
                Ok(ListingNode::Symlink {
                    target: target.ok_or_else(|| syntax(at, "a symlink without a target"))?,
                })
            }
            b"" => Err(syntax(at, "a node without a type")),
            other => Err(syntax(
                at,
                format!("the type \"{}\" is not known", super::printable(other)),
            )),
        }
    }
}

/// Reads the value of `root`: the open nodes from the root inwards are a list, not the call stack.
fn read_tree(reader: &mut Reader<'_>, budget: &mut Budget) -> Result<ListingNode, ListingError> {
    budget.node()?;
    reader.expect(b'{')?;
    let mut outer: Vec<OpenNode> = Vec::new();
    let mut node = OpenNode::default();
    loop {
        let Some(key) = reader.member(&mut node.comma)? else {
            if node.in_entries {
                node.in_entries = false;
                node.comma = true;
                continue;
            }
            let name = node.name.take();
            let closed = node.close(reader.at)?;
            match (outer.pop(), name) {
                (Some(mut parent), Some(name)) => {
                    let name = FileName::new(name)
                        .map_err(|error| syntax(reader.at, error.to_string()))?;
                    parent.entries.get_or_insert_default().push((name, closed));
                    node = parent;
                    continue;
                }
                _ => return Ok(closed),
            }
        };
        if node.in_entries {
            if outer.len() + 1 >= MAX_DEPTH {
                return Err(syntax(
                    reader.at,
                    format!("directories nest deeper than {MAX_DEPTH} levels"),
                ));
            }
            budget.node()?;
            budget.text(key.len())?;
            reader.expect(b'{')?;
            outer.push(std::mem::replace(
                &mut node,
                OpenNode {
                    name: Some(key),
                    ..OpenNode::default()
                },
            ));
            continue;
        }
        match key.as_slice() {
            b"type" => node.kind = reader.string()?,
            b"size" => node.size = Some(reader.number()?),
            b"executable" => node.executable = reader.boolean()?,
            b"narOffset" => node.nar_offset = Some(reader.number()?),
            b"target" => {
                let target = reader.string()?;
                budget.text(target.len())?;
                node.target = Some(target);
            }
            b"target_b64" => node.true_target = Some(reader.base64()?),
            b"name_b64" => {
                let name = reader.base64()?;
                node.name = node.name.is_some().then_some(name);
            }
            b"entries" if node.entries.is_some() => {
                return Err(syntax(reader.at, "a directory with two lists of entries"));
            }
            b"entries" => {
                reader.expect(b'{')?;
                node.entries = Some(Vec::new());
                node.in_entries = true;
                node.comma = false;
            }
            _ => reader.skip_value()?,
        }
    }
}

fn syntax(offset: usize, reason: impl Into<String>) -> ListingError {
    ListingError::Syntax {
        offset,
        reason: reason.into(),
    }
}

/// A position in the text.
struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), ListingError> {
        self.space();
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        let found = self.peek().map_or_else(
            || "the end".to_owned(),
            |found| format!("'{}'", found.escape_ascii()),
        );
        Err(syntax(
            self.at,
            format!("expected '{}', found {found}", byte.escape_ascii()),
        ))
    }

    /// The key of an object's next member, up to its colon; `None` past the closing brace.
    /// `comma` says whether a comma is due, and then that it will be.
    fn member(&mut self, comma: &mut bool) -> Result<Option<Vec<u8>>, ListingError> {
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(None);
        }
        if *comma {
            self.expect(b',')?;
        }
        *comma = true;
        let key = self.string()?;
        self.expect(b':')?;
        Ok(Some(key))
    }

    fn string(&mut self) -> Result<Vec<u8>, ListingError> {
        self.expect(b'"')?;
        let mut out = Vec::new();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let Some(length) = memchr::memchr2(b'"', b'\\', rest) else {
                return Err(syntax(self.text.len(), "a string does not end"));
            };
            out.extend_from_slice(&rest[..length]);
            self.at += length + 1;
            if rest[length] == b'"' {
                return Ok(out);
            }
            let character = match self.peek() {
                Some(b'n') => '\n',
                Some(b'r') => '\r',
                Some(b't') => '\t',
                Some(b'b') => '\u{8}',
                Some(b'f') => '\u{c}',
                Some(plain @ (b'"' | b'\\' | b'/')) => char::from(plain),
                Some(b'u') => {
                    self.at += 1;
                    let character = self.unicode_escape()?;
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
                _ => return Err(syntax(self.at, "an escape that JSON does not know")),
            };
            self.at += 1;
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    /// What follows `\u`: four hex digits, or a surrogate pair of two such escapes.
    fn unicode_escape(&mut self) -> Result<char, ListingError> {
        let at = self.at;
        let first = self.hex4()?;
        let code = match first {
            0xd800..=0xdbff if self.text.get(self.at..self.at + 2) == Some(b"\\u") => {
                self.at += 2;
                match self.hex4()? {
                    second @ 0xdc00..=0xdfff => {
                        0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                    }
                    _ => first,
                }
            }
            _ => first,
        };
        char::from_u32(code).ok_or_else(|| syntax(at, "half a surrogate pair"))
    }

    fn hex4(&mut self) -> Result<u32, ListingError> {
        let digits = self
            .text
            .get(self.at..self.at + 4)
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let value = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or_else(|| syntax(self.at, "expected four hex digits"))?;
        self.at += 4;
        Ok(value)
    }

    fn base64(&mut self) -> Result<Vec<u8>, ListingError> {
        let at = self.at;
        BASE64
            .decode(self.string()?)
            .map_err(|_| syntax(at, "not base64"))
    }

    fn number(&mut self) -> Result<u64, ListingError> {
        self.space();
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        std::str::from_utf8(&self.text[start..self.at])
            .ok()
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| syntax(start, "expected a whole number below 2^64"))
    }

    fn boolean(&mut self) -> Result<bool, ListingError> {
        self.space();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let value = rest.starts_with(b"true");
        if !value && !rest.starts_with(b"false") {
            return Err(syntax(self.at, "expected true or false"));
        }
        self.at += if value { 4 } else { 5 };
        Ok(value)
    }

    /// Passes over a value of any shape: to where its brackets are closed
    /// again, or for a plain one to the comma or bracket after it.
    fn skip_value(&mut self) -> Result<(), ListingError> {
        let mut open = 0_u32;
        loop {
            self.space();
            match self.peek() {
                None => return Err(syntax(self.at, "a value does not end")),
                Some(b'"') => {
                    self.string()?;
                }
                Some(b'{' | b'[') => {
                    open += 1;
                    self.at += 1;
                    continue;
                }
                Some(b'}' | b']') if open > 0 => {
                    open -= 1;
                    self.at += 1;
                }
                Some(b',' | b':') if open > 0 => {
                    self.at += 1;
                    continue;
                }
                Some(b',' | b':' | b'}' | b']') => {
                    return Err(syntax(self.at, "a value is missing"));
                }
                Some(_) => {
                    while !matches!(
                        self.peek(),
                        None | Some(
                            b',' | b':'
                                | b'}'
                                | b']'
                                | b'{'
                                | b'['
                                | b'"'
                                | b' '
                                | b'\t'
                                | b'\n'
                                | b'\r'
                        )
                    ) {
                        self.at += 1;
                    }
                }
            }
            if open == 0 {
                return Ok(());
            }
        }
    }
}
