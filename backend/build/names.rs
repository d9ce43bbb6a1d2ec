//! Short names between the program and its glue.
//!
//! wasm-bindgen calls what the glue gives to the program, and what the glue calls of the program,
//! `__wbg_getAttribute_c7b80d4010284561` and the like. No reader sees these names and no packer
//! makes the digits in them smaller, which stand in both files: together seven kilobytes of what a
//! browser loads before the first page. So both files get short ones.

use std::collections::BTreeMap;

/// How names begin that only the program and its glue know. What the parts share with the program
/// (`__wasm_split…`, `memory`) is not among them, nor what other scripts call. The last two are
/// the streams that a dependency offers to scripts; there is none that takes them.
const OURS: [&str; 6] = [
    "__wbg_",
    "__wbindgen_",
    "__externref_",
    "wasm_bindgen__convert__",
    "intounderlying",
    "IntoUnderlying",
];

/// The glue and the program, with short names for what they call each other by.
///
/// # Errors
/// Where the program is not what wasm-bindgen writes.
pub(crate) fn shorten(glue: &str, program: &[u8]) -> Result<(String, Vec<u8>), String> {
    let mut names = Names::default();
    let glue = names.in_script(glue);
    let program = names
        .in_program(program)
        .ok_or("the program has a section that cannot be read")?;
    Ok((glue, program))
}

/// Short names, by what they stand for.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    /// A script with short names; they are given in the order in which they come.
    fn in_script(&mut self, script: &str) -> String {
        let mut written = String::with_capacity(script.len());
        let mut rest = script;
        while let Some(start) = rest.find(is_of_name) {
            let (before, from) = rest.split_at(start);
            let (name, after) = from.split_at(from.find(|c| !is_of_name(c)).unwrap_or(from.len()));
            written.push_str(before);
            if OURS.iter().any(|beginning| name.starts_with(beginning)) {
                let next = self.0.len();
                written.push_str(self.0.entry(name.to_owned()).or_insert_with(|| short(next)));
            } else {
                written.push_str(name);
            }
            rest = after;
        }
        written.push_str(rest);
        written
    }

    /// A program whose imports and exports have the short names.
    fn in_program(&self, program: &[u8]) -> Option<Vec<u8>> {
        const IMPORTS: u8 = 2;
        const EXPORTS: u8 = 7;
        let (magic, rest) = program.split_at_checked(8)?;
        let mut read = Reader(rest);
        let mut written = magic.to_vec();
        while !read.0.is_empty() {
            let id = read.byte()?;
            let section = read.sized()?;
            let section = match id {
                IMPORTS => self.in_imports(section)?,
                EXPORTS => self.in_exports(section)?,
                _ => section.to_vec(),
            };
            written.push(id);
            write_sized(&mut written, &section);
        }
        Some(written)
    }

    fn in_imports(&self, section: &[u8]) -> Option<Vec<u8>> {
        let mut read = Reader(section);
        let count = read.number()?;
        let mut written = Vec::new();
        write_number(&mut written, count);
        for _ in 0..count {
            write_sized(&mut written, read.sized()?);
            self.write(&mut written, read.sized()?);
            let described = read.0;
            match read.byte()? {
                // A function: its type.
                0 => {
                    read.number()?;
                }
                // A table: what is in it, then its limits, as a memory has them.
                1 => {
                    read.byte()?;
                    read.limits()?;
                }
                2 => read.limits()?,
                // A global: what it is, whether it changes.
                3 => {
                    read.byte()?;
                    read.byte()?;
                }
                _ => return None,
            }
            written.extend(&described[..described.len() - read.0.len()]);
        }
        read.0.is_empty().then_some(written)
    }

    fn in_exports(&self, section: &[u8]) -> Option<Vec<u8>> {
        let mut read = Reader(section);
        let count = read.number()?;
        let mut written = Vec::new();
        write_number(&mut written, count);
        for _ in 0..count {
            self.write(&mut written, read.sized()?);
            written.push(read.byte()?);
            write_number(&mut written, read.number()?);
        }
        read.0.is_empty().then_some(written)
    }

    fn write(&self, written: &mut Vec<u8>, name: &[u8]) {
        let known = str::from_utf8(name).ok().and_then(|name| self.0.get(name));
        write_sized(written, known.map_or(name, |known| known.as_bytes()));
    }
}

/// Whether a character can be part of a name in a script.
fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$'
}

/// `$a`, `$b` … `$z`, `$aa` …: no name that wasm-bindgen gives begins so.
fn short(number: usize) -> String {
    let mut letters = Vec::new();
    let mut left = number + 1;
    while left > 0 {
        left -= 1;
        letters.push(char::from(b'a' + u8::try_from(left % 26).unwrap_or(0)));
        left /= 26;
    }
    letters.push('$');
    letters.iter().rev().collect()
}

/// The binary form of WebAssembly, as far as names lie in it.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A number in LEB128.
    fn number(&mut self) -> Option<u32> {
        let mut number = 0_u32;
        for shift in (0..32).step_by(7) {
            let byte = self.byte()?;
            number |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// Bytes behind their count.
    fn sized(&mut self) -> Option<&'a [u8]> {
        let size = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        Some(bytes)
    }

    /// The least, and where the first bit says so the most.
    fn limits(&mut self) -> Option<()> {
        let has_most = self.byte()? & 1 == 1;
        self.number()?;
        if has_most {
            self.number()?;
        }
        Some(())
    }
}

fn write_number(written: &mut Vec<u8>, number: u32) {
    let mut left = number;
    while left >= 0x80 {
        written.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    written.push(left as u8);
}

fn write_sized(written: &mut Vec<u8>, bytes: &[u8]) {
    write_number(written, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    written.extend(bytes);
}
