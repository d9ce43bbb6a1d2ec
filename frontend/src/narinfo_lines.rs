//! Which lines of a narinfo a signature covers. Pure, so that it is tested natively.

/// What a signature says of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cover {
    /// The value is in the fingerprint: changing it breaks the signature.
    Signed,
    /// Anybody who can write to the bucket can change it, and no signature notices.
    Unsigned,
    /// A signature itself.
    Signature,
    /// Not a field.
    Nothing,
}

impl Cover {
    /// The word beside the line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Unsigned => "not signed",
            Self::Signature => "signature",
            Self::Nothing => "",
        }
    }

    /// The class of the word.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Signed => "cover cover-signed",
            Self::Unsigned => "cover cover-unsigned",
            Self::Signature | Self::Nothing => "cover",
        }
    }
}

/// The fields of the fingerprint, `1;StorePath;NarHash;NarSize;References`.
const SIGNED: [&str; 4] = ["StorePath", "NarHash", "NarSize", "References"];

/// The field's name and how a signature covers it, for each line of the text.
pub fn covers(text: &str) -> Vec<(&str, Cover)> {
    text.strip_suffix('\n')
        .unwrap_or(text)
        .split('\n')
        .map(|line| match line.split_once(':') {
            Some(("Sig", _)) => ("Sig", Cover::Signature),
            Some((field, _)) if SIGNED.contains(&field) => (field, Cover::Signed),
            Some((field, _)) => (field, Cover::Unsigned),
            None => ("", Cover::Nothing),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a31_each_line_says_whether_it_is_signed() {
        let text = "StorePath: /nix/store/x\nURL: nar/x.nar\nNarHash: sha256:x\nNarSize: 176\nReferences: \nDeriver: x.drv\nSig: a:b\nrubbish\nCA: x\n";
        let covers: Vec<_> = covers(text)
            .into_iter()
            .map(|(field, cover)| (field, cover.word()))
            .collect();
        assert_eq!(
            covers,
            [
                ("StorePath", "signed"),
                ("URL", "not signed"),
                ("NarHash", "signed"),
                ("NarSize", "signed"),
                ("References", "signed"),
                ("Deriver", "not signed"),
                ("Sig", "signature"),
                ("", ""),
                ("CA", "not signed"),
            ]
        );
    }

    #[test]
    fn lines_are_counted_as_they_are_drawn() {
        assert_eq!(covers("").len(), 1);
        assert_eq!(covers("A: b").len(), 1);
        assert_eq!(covers("A: b\n").len(), 1);
        assert_eq!(covers("A: b\n\n").len(), 2);
    }
}
