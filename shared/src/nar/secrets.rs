//! Private keys and tokens in the text files of an archive.
//!
//! Whatever lies in a cache can be read by all who may read the cache, and a store path is easily
//! copied with more in it than was meant. This looks for what has a form that nothing else has:
//! it is a reminder, not a proof that there is none.

use memchr::{memchr, memmem};

use super::Event;

/// Findings of one archive at most.
const MOST: usize = 20;
/// Bytes that a pattern can need behind its beginning.
const REACH: usize = 256;
/// Bytes of a file that are looked at; keys lie in small files.
const DEEPEST: u64 = 16 << 20;
/// Bytes of a file's path that are kept.
const LONGEST: usize = 400;

/// Something that looks like a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The file in the archive, without a slash in front; empty where the archive is the file.
    pub file: String,
    /// What it looks like: `a private key`.
    pub kind: &'static str,
}

/// What to look for: a text, what it is part of, and whether what stands around it fits.
struct Pattern {
    needle: &'static [u8],
    kind: &'static str,
    /// What stands before the needle in the same file, and behind it.
    fits: fn(before: &[u8], behind: &[u8]) -> bool,
}

const PATTERNS: &[Pattern] = &[
    Pattern {
        needle: b"PRIVATE KEY-----",
        kind: "a private key",
        fits: |before, behind| {
            let begins = memmem::rfind(before, b"-----BEGIN ").is_some_and(|at| {
                let word = &before[at + 11..];
                word.len() <= 24
                    && word
                        .iter()
                        .all(|byte| byte.is_ascii_uppercase() || *byte == b' ')
            });
            let behind = behind.trim_ascii_start();
            begins && (run(behind, is_base64) >= 32 || behind.starts_with(b"Proc-Type:"))
        },
    },
    Pattern {
        needle: b"AGE-SECRET-KEY-1",
        kind: "an age secret key",
        fits: |_, behind| {
            run(behind, |byte| {
                byte.is_ascii_uppercase() || byte.is_ascii_digit()
            }) >= 50
        },
    },
    Pattern {
        needle: b"ghp_",
        kind: "a GitHub token",
        fits: |_, behind| run(behind, |byte| byte.is_ascii_alphanumeric()) >= 36,
    },
    Pattern {
        needle: b"github_pat_",
        kind: "a GitHub token",
        fits: |_, behind| run(behind, |byte| byte.is_ascii_alphanumeric() || byte == b'_') >= 60,
    },
    Pattern {
        needle: b"glpat-",
        kind: "a GitLab token",
        fits: |_, behind| run(behind, is_url_safe) >= 20,
    },
    Pattern {
        needle: b"snb_",
        kind: "a token of Snowbank",
        fits: |_, behind| run(behind, is_url_safe) >= 30,
    },
    Pattern {
        needle: b"aws_secret_access_key",
        kind: "a secret key of AWS",
        fits: |_, behind| {
            let value = behind.trim_ascii_start();
            let Some((b'=' | b':', value)) = value.split_first() else {
                return false;
            };
            run(value.trim_ascii_start(), is_base64) == 40
        },
    },
];

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

fn is_url_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// How many bytes at the beginning are of the kind.
fn run(bytes: &[u8], is: fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| is(**byte)).count()
}

/// Takes the events of an archive.
#[derive(Debug, Default)]
pub struct SecretScanner {
    /// The name of the last entry of each open directory.
    names: Vec<Vec<u8>>,
    /// Bytes of the current file that are still looked at; 0 where it is no text or is done.
    left: u64,
    /// Its last bytes.
    tail: Vec<u8>,
    found: Vec<Secret>,
}

impl SecretScanner {
    /// Takes the next event.
    pub fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Directory => self.names.push(Vec::new()),
            Event::Entry { name } => {
                if let Some(last) = self.names.last_mut() {
                    last.clear();
                    last.extend_from_slice(name);
                }
            }
            Event::DirectoryEnd => {
                self.names.pop();
            }
            Event::Regular { size, .. } => {
                self.tail.clear();
                self.left = if self.found.len() < MOST {
                    (*size).min(DEEPEST)
                } else {
                    0
                };
            }
            Event::Contents(piece) => self.contents(piece),
            Event::Symlink { .. } => {}
        }
    }

    fn contents(&mut self, piece: &[u8]) {
        if self.left == 0 {
            return;
        }
        let taken = usize::try_from(self.left).map_or(piece.len(), |left| left.min(piece.len()));
        let piece = &piece[..taken];
        self.left -= taken as u64;
        // What has a NUL is no text: libraries that read keys hold the words for them.
        if memchr(0, piece).is_some() {
            self.left = 0;
            return;
        }
        let mut text = std::mem::take(&mut self.tail);
        text.extend_from_slice(piece);
        if let Some(kind) = looks_like(&text) {
            self.found.push(Secret {
                file: self.path(),
                kind,
            });
            self.left = 0;
        } else {
            let keep = text.len().min(2 * REACH);
            text.drain(..text.len() - keep);
        }
        self.tail = text;
    }

    fn path(&self) -> String {
        let mut path = self.names.join(&b'/');
        path.truncate(LONGEST);
        String::from_utf8_lossy(&path).into_owned()
    }

    /// What was found, at most one in a file.
    #[must_use]
    pub fn finish(self) -> Vec<Secret> {
        self.found
    }
}

fn looks_like(text: &[u8]) -> Option<&'static str> {
    let found = PATTERNS.iter().find(|pattern| {
        memmem::find_iter(text, pattern.needle)
            .any(|at| (pattern.fits)(&text[..at], &text[at + pattern.needle.len()..]))
    });
    found.map(|pattern| pattern.kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nar::{NarParser, NarWriter};

    fn scan(files: &[(&str, &[u8])], pieces: usize) -> Vec<Secret> {
        let mut archive = Vec::new();
        let mut writer = NarWriter::new(|bytes: &[u8]| archive.extend_from_slice(bytes));
        writer.directory().expect("a directory");
        writer.entry(b"etc").expect("an entry");
        writer.directory().expect("a directory");
        for (name, contents) in files {
            writer.entry(name.as_bytes()).expect("an entry");
            writer.file(contents, false).expect("a file");
        }
        writer.end().expect("its end");
        writer.end().expect("its end");
        writer.finish().expect("an archive");
        let mut scanner = SecretScanner::default();
        let mut parser = NarParser::new();
        for piece in archive.chunks(pieces) {
            parser
                .push(piece, &mut |event: Event<'_>| scanner.event(&event))
                .expect("an archive");
        }
        scanner.finish()
    }

    /// Text of a key that is none, put together here so that no scanner takes this file for one.
    fn pem(kind: &str) -> Vec<u8> {
        format!(
            "x\n-----BEGIN {kind}PRIVATE KEY-----\n{}\n",
            "MIIEvQ0123456789".repeat(4)
        )
        .into_bytes()
    }

    #[test]
    fn keys_and_tokens_are_found_wherever_the_pieces_end() {
        let token = format!("GH=ghp_{}\n", "a1B2".repeat(9));
        let aws = format!("aws_secret_access_key = {}\n", "abcd/EFGH+".repeat(4));
        let files: [(&str, &[u8]); 6] = [
            ("a.pem", &pem("")),
            ("b.pem", &pem("RSA ")),
            ("c", token.as_bytes()),
            ("d", aws.as_bytes()),
            ("plain", b"nothing of the kind"),
            ("z.pem", &pem("OPENSSH ")),
        ];
        for pieces in [1, 7, 64, 4096] {
            let found: Vec<(String, &str)> = scan(&files, pieces)
                .into_iter()
                .map(|secret| (secret.file, secret.kind))
                .collect();
            assert_eq!(
                found,
                [
                    ("etc/a.pem".to_owned(), "a private key"),
                    ("etc/b.pem".to_owned(), "a private key"),
                    ("etc/c".to_owned(), "a GitHub token"),
                    ("etc/d".to_owned(), "a secret key of AWS"),
                    ("etc/z.pem".to_owned(), "a private key"),
                ],
                "in pieces of {pieces}"
            );
        }
    }

    #[test]
    fn words_about_keys_are_no_keys() {
        let mut binary = pem("");
        binary.insert(0, 0);
        let files: [(&str, &[u8]); 5] = [
            (
                "cert.pem",
                b"-----BEGIN CERTIFICATE-----\nMIIEvQ0123456789MIIEvQ0123456789MIIEvQ0123456789\n",
            ),
            (
                "doc",
                b"It begins with -----BEGIN PRIVATE KEY----- and then comes base64.",
            ),
            ("lib.so", &binary),
            (
                "public",
                b"-----BEGIN PUBLIC KEY-----\nMIIEvQ0123456789MIIEvQ0123456789MIIEvQ0123456789\n",
            ),
            ("short", b"ghp_short glpat-x snb_"),
        ];
        assert_eq!(scan(&files, 4096), []);
    }
}
