//! What Nix's messages mean: a catalogue of those that people meet with caches, and a
//! recogniser (ux/vectors.md 9.2). Wordings of Nix 2.8 to 2.36 are known.
//!
//! Each entry says in plain words what happened, its causes with the likeliest first, how
//! to check each, and where it is put right. What is not in the catalogue is not recognised:
//! nothing is guessed.

mod catalogue;

pub use catalogue::CATALOGUE;

/// The longest text that is looked at, in bytes; what follows is passed over.
pub const MAX_BYTES: usize = 64 << 10;

/// A message that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its word in addresses.
    pub id: &'static str,
    /// The message, with … for what varies.
    pub message: &'static str,
    /// What happened, in plain words.
    pub says: &'static str,
    /// Why, the likeliest first.
    pub causes: &'static [Cause],
    /// How Nix words it: each is a list of pieces that follow one another on a line.
    wordings: &'static [&'static [&'static str]],
}

/// Why it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause {
    /// Why.
    pub why: &'static str,
    /// A command that tells; empty where none does.
    pub check: &'static str,
    /// What to do.
    pub fix: &'static str,
    /// Where.
    pub place: Place,
}

/// The page that helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The lines for the admin and for the user.
    ManagedUser,
    /// The netrc.
    Netrc,
    /// The lines for nix.conf.
    Generator,
    /// The doctor, at a rule such as `D13`.
    Doctor(&'static str),
    /// The keys of the cache.
    Keys,
    /// The signatures of the path.
    Signatures,
    /// Looking the path up.
    Lookup,
    /// What is wrong in the cache.
    Health,
    /// The narinfo as it is served.
    Raw,
    /// Whether the cache is up.
    About,
    /// Uploading.
    Uploads,
    /// The live check.
    LiveCheck,
}

/// A message that was recognised in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognised {
    /// Which.
    pub entry: &'static Entry,
    /// The line that it stands on, from 1.
    pub line: u32,
    /// How many characters of the wording were found: more is surer.
    pub weight: usize,
}

/// Finds the messages of a text, the surest first, each once. Empty: not recognised.
pub fn recognise(text: &str) -> Vec<Recognised> {
    let mut end = text.len().min(MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = plain(&text[..end]);
    let mut found: Vec<Recognised> = Vec::new();
    for entry in CATALOGUE {
        let best = (1..)
            .zip(text.lines())
            .filter_map(|(line, words)| weight(entry, words).map(|weight| (weight, line)))
            .max_by_key(|(weight, line)| (*weight, std::cmp::Reverse(*line)));
        if let Some((weight, line)) = best {
            found.push(Recognised {
                entry,
                line,
                weight,
            });
        }
    }
    found.sort_by_key(|found| std::cmp::Reverse(found.weight));
    found
}

fn weight(entry: &Entry, line: &str) -> Option<usize> {
    let weights = entry.wordings.iter().filter_map(|pieces| {
        let mut rest = line;
        for piece in *pieces {
            rest = &rest[rest.find(piece)? + piece.len()..];
        }
        Some(pieces.iter().map(|piece| piece.len()).sum())
    });
    weights.max()
}

/// A text in small letters, with plain quotes, and without colours of a terminal; lines
/// that the terminal broke are not joined.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(c) = letters.next() {
        match c {
            '\u{1b}' => {
                // ESC [ … letter
                for c in letters.by_ref() {
                    if c.is_ascii_alphabetic() || c == '\n' {
                        break;
                    }
                }
            }
            '‘' | '’' | '“' | '”' | '"' | '`' => plain.push('\''),
            c => plain.extend(c.to_lowercase()),
        }
    }
    plain
}

#[cfg(test)]
mod tests;
