//! What is chosen on the closure tab, as its address says it:
//! `?view=tree&size=added&focus=…`. What is left out is the default.

use snowbank_shared::route::{escape, pairs};

/// A way to look at a closure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Referrers, the path, references, side by side.
    Columns,
    /// The references, unfolded.
    Tree,
    /// The dominator tree as an area.
    Treemap,
    /// Every path in a row.
    Table,
}

/// A word of the address, what it means, and how people read it.
type Words<T> = &'static [(&'static str, T, &'static str)];

impl View {
    /// All of them, in the order shown.
    pub const WORDS: Words<Self> = &[
        ("columns", Self::Columns, "Columns"),
        ("tree", Self::Tree, "Tree"),
        ("treemap", Self::Treemap, "Treemap"),
        ("table", Self::Table, "Table"),
    ];
}

/// Which size is shown and sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SizeKind {
    /// Bytes unpacked.
    #[default]
    Nar,
    /// Bytes to download.
    Download,
    /// What would leave the closure with the path.
    Added,
}

impl SizeKind {
    /// All of them, in the order shown.
    pub const WORDS: Words<Self> = &[
        ("nar", Self::Nar, "NAR"),
        ("download", Self::Download, "Download"),
        ("added", Self::Added, "Added"),
    ];
}

/// What the hue of a tile means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colour {
    /// How large it is.
    #[default]
    Size,
    /// What its signatures are worth.
    Signature,
}

impl Colour {
    /// All of them, in the order shown.
    pub const WORDS: Words<Self> = &[
        ("size", Self::Size, "Size band"),
        ("signature", Self::Signature, "Signature"),
    ];
}

/// What the table is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SortBy {
    /// Distance from the root, as the server has it.
    #[default]
    Steps,
    Name,
    Nar,
    Download,
    Added,
    Closure,
    References,
}

impl SortBy {
    /// All of them, in the order of the columns.
    pub const WORDS: Words<Self> = &[
        ("name", Self::Name, "Path"),
        ("steps", Self::Steps, "Steps"),
        ("nar", Self::Nar, "NAR size"),
        ("download", Self::Download, "Download"),
        ("added", Self::Added, "Added size"),
        ("closure", Self::Closure, "Own closure"),
        ("references", Self::References, "References"),
    ];
}

/// The place of a value among its words.
pub fn place<T: Copy + PartialEq>(words: Words<T>, value: T) -> usize {
    words
        .iter()
        .position(|(_, known, _)| *known == value)
        .unwrap_or_default()
}

fn value<T: Copy>(words: Words<T>, word: &str) -> Option<T> {
    words
        .iter()
        .find(|(known, ..)| *known == word)
        .map(|(_, value, _)| *value)
}

/// Everything that is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    /// The view; where nobody chose, the width of the window decides.
    pub view: Option<View>,
    /// The size shown.
    pub size: SizeKind,
    /// The meaning of the hue.
    pub colour: Colour,
    /// The order of the table, and whether it is turned round.
    pub sort: (SortBy, bool),
    /// The table in plain pages; counts from 1, 0 means all rows on one.
    pub page: usize,
    /// What is looked for.
    pub find: String,
    /// Hash part of the selected path; empty for the root.
    pub focus: String,
    /// Hash part of the path that fills the treemap; empty for the root.
    pub zoom: String,
}

impl Choice {
    /// Reads a query without its question mark. What means nothing is left at its default:
    /// a link from elsewhere still shows the closure.
    pub fn read(query: &str) -> Self {
        let mut choice = Self::default();
        for (name, text) in pairs(query) {
            match name {
                "view" => choice.view = value(View::WORDS, &text),
                "size" => choice.size = value(SizeKind::WORDS, &text).unwrap_or_default(),
                "colour" => choice.colour = value(Colour::WORDS, &text).unwrap_or_default(),
                "sort" => {
                    let (turned, word) = match text.strip_prefix('-') {
                        Some(word) => (true, word),
                        None => (false, text.as_str()),
                    };
                    choice.sort = value(SortBy::WORDS, word)
                        .map(|by| (by, turned))
                        .unwrap_or_default();
                }
                "page" => choice.page = text.parse().unwrap_or_default(),
                "find" => choice.find = text,
                "focus" => choice.focus = text,
                "zoom" => choice.zoom = text,
                _ => {}
            }
        }
        choice
    }

    /// The query with its question mark; empty where all is as nobody chose.
    pub fn written(&self) -> String {
        let mut out = String::new();
        let mut pair = |name: &str, text: &str| {
            if !text.is_empty() {
                out.push(if out.is_empty() { '?' } else { '&' });
                out.push_str(name);
                out.push('=');
                out.push_str(&escape(text).to_string());
            }
        };
        let word = |words: &str, default: bool| {
            if default {
                String::new()
            } else {
                words.to_owned()
            }
        };
        if let Some(view) = self.view {
            pair("view", View::WORDS[place(View::WORDS, view)].0);
        }
        let size = SizeKind::WORDS[place(SizeKind::WORDS, self.size)].0;
        pair("size", &word(size, self.size == SizeKind::default()));
        let colour = Colour::WORDS[place(Colour::WORDS, self.colour)].0;
        pair("colour", &word(colour, self.colour == Colour::default()));
        if self.sort != <(SortBy, bool)>::default() {
            let sort = SortBy::WORDS[place(SortBy::WORDS, self.sort.0)].0;
            let turned = if self.sort.1 { "-" } else { "" };
            pair("sort", &format!("{turned}{sort}"));
        }
        if self.page > 0 {
            pair("page", &self.page.to_string());
        }
        pair("find", &self.find);
        pair("focus", &self.focus);
        pair("zoom", &self.zoom);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_nonsense_is_the_default() {
        let choice = Choice {
            view: Some(View::Treemap),
            size: SizeKind::Added,
            colour: Colour::Signature,
            sort: (SortBy::Added, true),
            page: 3,
            find: "open ssl&=".to_owned(),
            focus: "a".repeat(32),
            zoom: "b".repeat(32),
        };
        let written = choice.written();
        assert!(
            written.starts_with("?view=treemap&size=added&"),
            "{written}"
        );
        assert_eq!(Choice::read(&written[1..]), choice);
        assert_eq!(Choice::default().written(), "");
        assert_eq!(
            Choice::read("view=pie&size=&sort=-colour&page=-1&x=y&view"),
            Choice::default()
        );
    }
}
