//! Edits of a text, by bytes.

/// Replaces a stretch of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The first byte that goes.
    pub start: usize,
    /// The byte after the last that goes.
    pub end: usize,
    /// What comes in its place.
    pub text: String,
}

impl Edit {
    /// Adds text before a byte.
    pub const fn insert(at: usize, text: String) -> Self {
        Self {
            start: at,
            end: at,
            text,
        }
    }

    /// Takes a stretch away.
    pub const fn delete(start: usize, end: usize) -> Self {
        Self {
            start,
            end,
            text: String::new(),
        }
    }
}

/// Makes edits that are sorted. One that overlaps the one before it, or lies outside of the
/// text or within a character, is passed over.
pub fn apply(text: &str, edits: &[Edit]) -> String {
    let mut result = String::with_capacity(text.len() + 200);
    let mut done = 0;
    for edit in edits {
        let fits = edit.start >= done && edit.start <= edit.end;
        if !fits || text.get(edit.start..edit.end).is_none() {
            continue;
        }
        result.push_str(&text[done..edit.start]);
        result.push_str(&edit.text);
        done = edit.end;
    }
    result.push_str(&text[done..]);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_made_in_order_and_bad_ones_are_not_made() {
        let edit = |start, end, text: &str| Edit {
            start,
            end,
            text: text.to_owned(),
        };
        let edits = [
            Edit::insert(0, "x".to_owned()),
            edit(1, 2, "-"),
            edit(1, 3, "overlaps"),
            edit(4, 5, "within a character"),
            Edit::delete(5, 6),
            edit(9, 99, "outside"),
        ];
        assert_eq!(apply("abcäef", &edits), "xa-cäf");
    }
}
