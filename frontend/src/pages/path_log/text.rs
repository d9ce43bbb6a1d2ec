//! A build log as lines of plain text with colours: what a terminal would show of it.
//!
//! Of the escape sequences only colours and weight are kept, as names; everything else that
//! moves a cursor, sets a title or asks a terminal something is dropped. A line that was
//! written over by a carriage return is as it was left.

/// A stretch of text in one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its class; empty for plain text.
    pub class: &'static str,
    /// The text.
    pub text: String,
}

/// The lines of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    /// Each line in its pieces.
    pub lines: Vec<Vec<Piece>>,
}

/// How text looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Look {
    colour: Option<u8>,
    bold: bool,
}

impl Look {
    const fn class(self) -> &'static str {
        match (self.colour, self.bold) {
            (None, false) => "",
            (None, true) => "log-bold",
            (Some(1), false) => "log-red",
            (Some(1), true) => "log-red log-bold",
            (Some(2), false) => "log-green",
            (Some(2), true) => "log-green log-bold",
            (Some(3), false) => "log-yellow",
            (Some(3), true) => "log-yellow log-bold",
            (Some(4..=6), false) => "log-blue",
            (Some(4..=6), true) => "log-blue log-bold",
            (Some(_), false) => "log-muted",
            (Some(_), true) => "log-bold",
        }
    }

    /// What the numbers between `ESC [` and `m` make of it.
    fn change(&mut self, numbers: &str) {
        let mut numbers = numbers.split([';', ':']);
        while let Some(number) = numbers.next() {
            match number.parse::<u8>().unwrap_or(0) {
                0 => *self = Self::default(),
                1 => self.bold = true,
                22 => self.bold = false,
                39 => self.colour = None,
                colour @ (30..=37 | 90..=97) => self.colour = Some(colour % 10),
                // A colour out of 256 or any: its numbers are not looks of their own.
                38 | 48 => match numbers.next() {
                    Some("5") => skip(&mut numbers, 1),
                    Some("2") => skip(&mut numbers, 3),
                    _ => {}
                },
                _ => {}
            }
        }
    }
}

impl Log {
    /// Reads a log. Bytes that are no text are shown as `�`.
    pub fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        if text.is_empty() {
            return Self::default();
        }
        let mut look = Look::default();
        let lines = text.split('\n').map(|line| line_of(line, &mut look));
        Self {
            lines: lines.collect(),
        }
    }

    /// The numbers of the lines that contain a text, whatever the case of ASCII letters; from
    /// 1, so many at most. And how many there are.
    pub fn find(&self, wanted: &str, most: usize) -> (Vec<usize>, usize) {
        let wanted = wanted.to_ascii_lowercase();
        let mut found = Vec::new();
        let mut count = 0;
        for (at, line) in self.lines.iter().enumerate() {
            if plain(line).to_ascii_lowercase().contains(&wanted) {
                count += 1;
                if found.len() < most {
                    found.push(at + 1);
                }
            }
        }
        (found, count)
    }
}

/// A line without its looks.
pub fn plain(line: &[Piece]) -> String {
    line.iter().map(|piece| piece.text.as_str()).collect()
}

fn line_of(line: &str, look: &mut Look) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut rest = line.strip_suffix('\r').unwrap_or(line).chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\u{1b}' => escape(&mut rest, look),
            '\r' => pieces.clear(),
            '\u{8}' => {
                if let Some(last) = pieces.last_mut() {
                    last.text.pop();
                }
            }
            '\t' => push(&mut pieces, *look, '\t'),
            character if character.is_control() => {}
            // Marks that turn the direction of text would show other text than there is.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                push(&mut pieces, *look, '\u{fffd}');
            }
            character => push(&mut pieces, *look, character),
        }
    }
    pieces.retain(|piece| !piece.text.is_empty());
    pieces
}

fn push(pieces: &mut Vec<Piece>, look: Look, character: char) {
    let class = look.class();
    match pieces.last_mut() {
        Some(last) if last.class == class => last.text.push(character),
        _ => pieces.push(Piece {
            class,
            text: character.to_string(),
        }),
    }
}

fn skip(of: &mut impl Iterator, count: usize) {
    for _ in of.take(count) {}
}

/// Takes an escape sequence off, after its ESC.
fn escape(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, look: &mut Look) {
    match rest.next() {
        Some('[') => {
            let mut numbers = String::new();
            for character in rest.by_ref() {
                match character {
                    '\u{20}'..='\u{3f}' => numbers.push(character),
                    'm' => {
                        look.change(&numbers);
                        return;
                    }
                    _ => return,
                }
            }
        }
        // A text for the terminal itself, up to BEL or ESC \.
        Some(']' | 'P' | '^' | '_') => {
            while let Some(character) = rest.next() {
                match character {
                    '\u{7}' => return,
                    '\u{1b}' => {
                        rest.next_if_eq(&'\\');
                        return;
                    }
                    _ => {}
                }
            }
        }
        Some('(' | ')' | '#') => skip(rest, 1),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(text: &str) -> Vec<Vec<(&'static str, String)>> {
        let lines = Log::read(text.as_bytes()).lines.into_iter();
        lines
            .map(|line| {
                let pieces = line.into_iter();
                pieces.map(|piece| (piece.class, piece.text)).collect()
            })
            .collect()
    }

    #[test]
    fn colours_are_kept_over_lines_and_end_where_they_end() {
        let read = looks("a \u{1b}[31;1merror\nstill\u{1b}[0m b\n\u{1b}[38;5;1mx\u{1b}[92my\n");
        assert_eq!(
            read,
            [
                vec![
                    ("", "a ".to_owned()),
                    ("log-red log-bold", "error".to_owned())
                ],
                vec![
                    ("log-red log-bold", "still".to_owned()),
                    ("", " b".to_owned())
                ],
                vec![("", "x".to_owned()), ("log-green", "y".to_owned())],
            ]
        );
    }

    #[test]
    fn what_a_terminal_would_act_on_is_dropped() {
        let text = "\u{1b}]0;title\u{7}a\u{1b}[2J\u{1b}]8;;http://x\u{1b}\\b\u{9b}c\u{0}\u{1b}(Bd\u{202e}e";
        assert_eq!(looks(text), [vec![("", "abcd\u{fffd}e".to_owned())]]);
        assert_eq!(
            looks("10 %\r50 %\rdone\r\nx\u{8}y"),
            [vec![("", "done".to_owned())], vec![("", "y".to_owned())],]
        );
        // Cut in the middle of a sequence.
        assert_eq!(looks("a\u{1b}[3"), [vec![("", "a".to_owned())]]);
    }

    #[test]
    fn lines_are_counted_as_an_editor_does_and_found() {
        assert!(Log::read(b"").lines.is_empty());
        assert_eq!(Log::read(b"a\n\nb").lines.len(), 3);
        let log = Log::read(b"one\nError: two\nthree\nan er\x1b[1mror\x1b[0m");
        assert_eq!(log.find("error", 10), (vec![2, 4], 2));
        assert_eq!(log.find("error", 1), (vec![2], 2));
    }
}
