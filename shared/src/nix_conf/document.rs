//! The grammar of nix.conf (PROTOCOL.md §15), read without losing a byte.
//!
//! A line is cut at its first `#`, the rest is cut into tokens at blanks. `name =
//! value…` with the `=` on its own is a setting, `include` and `!include` name a file;
//! every other line that has a token ends each Nix command. A byte order mark is no
//! blank: it belongs to the first token, as it does for Nix.

/// The longest text that is read, in bytes. Real files have some hundred.
pub const MAX_BYTES: usize = 1 << 20;

/// A nix.conf. The lines in order are the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document<'a> {
    /// All lines; none for an empty text.
    pub lines: Vec<Line<'a>>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// Bytes of the text before it.
    pub start: usize,
    /// The line without its end.
    pub text: &'a str,
    /// `\n`, `\r\n`, or nothing at the end of the text.
    pub end: &'a str,
    /// What it means.
    pub says: Says<'a>,
}

/// A word of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// Bytes of the text before it.
    pub start: usize,
    /// The word.
    pub text: &'a str,
}

/// What a line means to Nix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says<'a> {
    /// Blank, or only a comment.
    Nothing,
    /// `name = value…`, with any number of values.
    Setting {
        /// The name as written, `extra-` included.
        name: Token<'a>,
        /// The values.
        values: Vec<Token<'a>>,
    },
    /// `include PATH`, or `!include PATH`, which passes over a missing file.
    Include {
        /// The file, relative to this one.
        path: Token<'a>,
        /// `!include`.
        optional: bool,
    },
    /// Nix refuses the whole file.
    Wrong {
        /// Its tokens; at least one.
        tokens: Vec<Token<'a>>,
    },
}

impl Token<'_> {
    /// The byte after its last.
    pub const fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

impl Line<'_> {
    /// The byte after the line and its end.
    pub const fn stop(&self) -> usize {
        self.start + self.text.len() + self.end.len()
    }

    /// Where its comment begins, in bytes of the whole text.
    pub fn comment(&self) -> Option<usize> {
        self.text.find('#').map(|at| self.start + at)
    }

    /// The column of a byte of the text in this line, in characters from 1.
    pub fn column(&self, at: usize) -> u32 {
        let before = self.text.get(..at.saturating_sub(self.start));
        let count = before.map_or(0, |text| text.chars().count());
        u32::try_from(count + 1).unwrap_or(u32::MAX)
    }
}

impl<'a> Document<'a> {
    /// Reads a text. Every text is a document.
    pub fn parse(text: &'a str) -> Self {
        let mut start = 0;
        let lines = text
            .split_inclusive('\n')
            .map(|whole| {
                let body = whole.strip_suffix('\n').unwrap_or(whole);
                let body = match body.strip_suffix('\r') {
                    // Without a line feed it is a blank inside of the line.
                    Some(body) if whole.len() > body.len() + 1 => body,
                    _ => body,
                };
                let line = Line {
                    start,
                    text: body,
                    end: &whole[body.len()..],
                    says: says(body, start),
                };
                start += whole.len();
                line
            })
            .collect();
        Self { lines }
    }

    /// The line end that the text uses first; `\n` where it has none.
    pub fn line_end(&self) -> &'a str {
        match self.lines.first().map(|line| line.end) {
            Some("\r\n") => "\r\n",
            _ => "\n",
        }
    }

    /// Whether the last line lacks its end.
    pub fn is_unterminated(&self) -> bool {
        self.lines.last().is_some_and(|line| line.end.is_empty())
    }
}

fn says(line: &str, start: usize) -> Says<'_> {
    let seen = line.split('#').next().unwrap_or_default();
    let mut tokens = tokens(seen, start);
    match tokens.as_slice() {
        [] => Says::Nothing,
        [word, path] if matches!(word.text, "include" | "!include") => Says::Include {
            path: *path,
            optional: word.text.starts_with('!'),
        },
        [word, ..] if matches!(word.text, "include" | "!include") => Says::Wrong { tokens },
        [name, equals, ..] if equals.text == "=" => Says::Setting {
            name: *name,
            values: tokens.split_off(2),
        },
        _ => Says::Wrong { tokens },
    }
}

/// The words of a text, as Nix cuts it.
pub(super) fn tokens(text: &str, start: usize) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut begun = None;
    let blank = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    for (at, c) in text.char_indices() {
        match (begun, blank(c)) {
            (None, false) => begun = Some(at),
            (Some(from), true) => {
                tokens.push(Token {
                    start: start + from,
                    text: &text[from..at],
                });
                begun = None;
            }
            _ => {}
        }
    }
    if let Some(from) = begun {
        tokens.push(Token {
            start: start + from,
            text: &text[from..],
        });
    }
    tokens
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(text: &str) -> Vec<String> {
        let words = |tokens: &[Token<'_>]| {
            let words: Vec<&str> = tokens.iter().map(|token| token.text).collect();
            words.join("|")
        };
        Document::parse(text)
            .lines
            .iter()
            .map(|line| match &line.says {
                Says::Nothing => String::new(),
                Says::Setting { name, values } => format!("{}={}", name.text, words(values)),
                Says::Include { path, optional } => format!("include {} {optional}", path.text),
                Says::Wrong { tokens } => format!("wrong {}", words(tokens)),
            })
            .collect()
    }

    #[test]
    fn lines_are_read_as_nix_reads_them() {
        for (line, meaning) in [
            ("a = b  c\td", "a=b|c|d"),
            ("a =", "a="),
            ("  a = b # c = d", "a=b"),
            ("a = https://x#frag https://y", "a=https://x"),
            ("# a = b", ""),
            (" \t", ""),
            ("a=b", "wrong a=b"),
            ("a =b", "wrong a|=b"),
            ("a", "wrong a"),
            ("= b", "wrong =|b"),
            ("include", "wrong include"),
            ("include a b", "wrong include|a|b"),
            ("include = b", "wrong include|=|b"),
            ("include a.conf", "include a.conf false"),
            ("!include a.conf # b", "include a.conf true"),
            ("a = b\rc", "a=b|c"),
            ("a = \u{b}b", "a=\u{b}b"),
            ("\u{feff}a = b", "\u{feff}a=b"),
            ("\u{feff}# comment", "wrong \u{feff}"),
        ] {
            assert_eq!(told(line), [meaning], "{line:?}");
        }
        assert_eq!(told("a = b\r\n\r\nc = d"), ["a=b", "", "c=d"]);
        assert_eq!(told(""), [""; 0]);
    }

    #[test]
    fn ends_and_columns_are_known() {
        let document = Document::parse("ä = b\r\nc");
        assert_eq!(document.line_end(), "\r\n");
        assert!(document.is_unterminated());
        let Says::Setting { values, .. } = &document.lines[0].says else {
            panic!("a setting");
        };
        assert_eq!(document.lines[0].column(values[0].start), 5);
        assert_eq!(Document::parse("a\r").lines[0].end, "");
    }

    proptest! {
        #[test]
        fn no_byte_is_lost(text in "[ab=# \t\r\n\u{feff}!]{0,40}|\\PC{0,40}") {
            let document = Document::parse(&text);
            let joined: String = document.lines.iter().flat_map(|line| [line.text, line.end]).collect();
            prop_assert_eq!(joined, text.as_str());
            for line in &document.lines {
                prop_assert_eq!(&text[line.start..line.stop()], [line.text, line.end].concat());
                let (Says::Setting { values: tokens, .. } | Says::Wrong { tokens }) = &line.says else {
                    continue;
                };
                for token in tokens {
                    prop_assert_eq!(&text[token.start..token.end()], token.text);
                }
            }
        }
    }
}
