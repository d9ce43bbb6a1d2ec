//! What an error of Nix means: the message recognised, in plain words, with its likely causes,
//! how to check each, and where to go on (ux/vectors.md 9.2).
//!
//! Messages differ between versions and by what they quote; so each is known by fragments that
//! follow one another on a line. A text may hold several messages: all are found, the ones
//! that say most first.

mod catalogue;

pub use catalogue::MESSAGES;

/// The longest text that is read, in bytes; what follows is passed over.
pub const MAX_BYTES: usize = 1 << 18;

/// Messages found at most.
const MOST: usize = 8;

/// Where one goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Lines for the machine, by its admin.
    Lines,
    /// Lines for an admin and for a normal user.
    User,
    /// The netrc.
    Netrc,
    /// The doctor.
    Doctor,
    /// The live check.
    Live,
    /// Is it cached?
    Lookup,
    /// What is wrong in the bucket.
    Health,
    /// The page of the path that the message names: who signed it.
    Signatures,
    /// The form for uploads.
    Upload,
}

/// Why it may have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause {
    /// In plain words.
    pub words: &'static str,
    /// A command that shows whether it is this; empty where there is none.
    pub check: &'static str,
    /// Where to go on.
    pub place: Option<Place>,
}

/// A message of Nix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Its name, for links.
    pub id: &'static str,
    /// The message as Nix words it, with `…` for what differs.
    pub stem: &'static str,
    /// Each line that has these fragments in this order, in small letters, is this message.
    patterns: &'static [&'static [&'static str]],
    /// What it says in plain words.
    pub says: &'static str,
    /// The likely causes, the likeliest first.
    pub causes: &'static [Cause],
}

/// A message that was found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognised {
    /// Which.
    pub message: &'static Message,
    /// The line it stood on, from 1.
    pub line: u32,
    /// The line.
    pub text: String,
    /// What the line quotes: paths, URLs, names.
    pub quoted: Vec<String>,
}

impl Recognised {
    /// The first store path among what is quoted, or anywhere on the line.
    pub fn path(&self) -> Option<crate::pasted::PastedPath> {
        crate::pasted::store_paths(&self.text, 1)
            .paths
            .into_iter()
            .next()
    }
}

/// Finds the messages in a text: each kind once, the ones that say most first.
pub fn recognise(text: &str) -> Vec<Recognised> {
    let mut end = text.len().min(MAX_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut found: Vec<(usize, Recognised)> = Vec::new();
    for (number, line) in (1..).zip(text[..end].lines()) {
        let small = line.to_ascii_lowercase();
        let Some(rank) = MESSAGES.iter().position(|message| message.matches(&small)) else {
            continue;
        };
        if found.iter().any(|(known, _)| *known == rank) {
            continue;
        }
        let recognised = Recognised {
            message: &MESSAGES[rank],
            line: number,
            text: line.to_owned(),
            quoted: quoted(line),
        };
        found.push((rank, recognised));
    }
    found.sort_by_key(|(rank, _)| *rank);
    found.truncate(MOST);
    found
        .into_iter()
        .map(|(_, recognised)| recognised)
        .collect()
}

/// Whether a text looks like something that Nix printed about a failure, known or not. It
/// needs no catalogue, so that whoever only asks this does not carry it.
pub fn is_message(text: &str) -> bool {
    const STARTS: [&str; 5] = [
        "error:",
        "warning:",
        "error (ignored):",
        "don't know how to build",
        "do you want to allow configuration setting",
    ];
    text.lines().take(200).any(|line| {
        let line = line.trim_start();
        let starts = |start: &&str| {
            line.get(..start.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(start))
        };
        STARTS.iter().any(starts) || line.starts_with("path '") && line.contains("' is untrusted")
    })
}

impl Message {
    fn matches(&self, line: &str) -> bool {
        self.patterns.iter().any(|fragments| {
            let mut rest = line;
            fragments.iter().all(|fragment| match rest.find(fragment) {
                Some(at) => {
                    rest = &rest[at + fragment.len()..];
                    true
                }
                None => false,
            })
        })
    }
}

/// What stands between quotes of any kind.
fn quoted(line: &str) -> Vec<String> {
    let mut quoted = Vec::new();
    let mut open: Option<(char, usize)> = None;
    for (at, c) in line.char_indices() {
        match open {
            None => {
                let close = match c {
                    '\'' | '"' | '`' => c,
                    '‘' => '’',
                    '“' => '”',
                    _ => continue,
                };
                open = Some((close, at + c.len_utf8()));
            }
            Some((close, start)) if c == close || (close == '`' && c == '\'') => {
                if start < at {
                    quoted.push(line[start..at].to_owned());
                }
                open = None;
            }
            Some(_) => {}
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each kind as real versions print it.
    const REAL: [(&str, &str); 25] = [
        (
            "untrusted-substituter",
            "warning: ignoring untrusted substituter 'https://cache.example.com/team', you are not a trusted user.",
        ),
        (
            "restricted-setting",
            "warning: ignoring the client-specified setting 'trusted-public-keys', because it is a restricted setting and you are not a trusted user",
        ),
        (
            "not-signed",
            "warning: ignoring substitute for '/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0' from 'https://cache.example.com', as it's not signed by any of the keys in 'trusted-public-keys'",
        ),
        (
            "not-signed",
            "warning: substituter 'https://cache.example.com' does not have a valid signature for path '/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0'",
        ),
        (
            "lacks-signature",
            "error: cannot add path '/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0' because it lacks a signature by a trusted key",
        ),
        (
            "nar-missing",
            "error: file 'nar/1q42a29bjw701v658l1wppj4k8hgvv76b4xxj10dk7c2rzjxp4kw.nar.zst' does not exist in binary cache 'https://cache.example.com'",
        ),
        (
            "no-cache",
            "error: 'https://cache.example.com' does not appear to be a binary cache",
        ),
        (
            "http-status",
            "error: unable to download 'https://cache.example.com/nix-cache-info': HTTP error 401 ('')",
        ),
        (
            "http-status",
            "warning: unable to download 'https://b.s3.amazonaws.com/x.narinfo': HTTP error 403",
        ),
        (
            "hash-mismatch",
            "error: hash mismatch importing path '/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0';\n         specified: sha256:0",
        ),
        (
            "cannot-build",
            "don't know how to build these paths:\n  /nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0",
        ),
        (
            "corrupt-narinfo",
            "error: NAR info file 'https://c/x.narinfo' is corrupt: expected key at line 1",
        ),
        (
            "other-prefix",
            "error: binary cache 'https://c' is for Nix stores with prefix '/gnu/store', not '/nix/store'",
        ),
        (
            "conf-syntax",
            "error: illegal configuration line 'substituters=https://x' in '/etc/nix/nix.conf'",
        ),
        (
            "conf-syntax",
            "error: syntax error in configuration line 'substituters=https://x' in '/etc/nix/nix.conf'",
        ),
        (
            "unknown-setting",
            "warning: unknown setting 'extra-substitutors'",
        ),
        ("corrupt-key", "error: secret key is corrupt"),
        ("corrupt-key", "error: key is corrupt"),
        (
            "reference-not-valid",
            "error: cannot add '/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0' to the binary cache because the reference '/nix/store/2q7j6yg8p39a9agynmkwvp3ny6sjfj8k-mid-1.0' is not valid",
        ),
        (
            "disabled",
            "warning: disabling binary cache 'https://cache.example.com' for 60 seconds",
        ),
        (
            "path-untrusted",
            "path '/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0' is untrusted",
        ),
        (
            "wrong-narinfo",
            "error: asked 'https://c' for '/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0' but got '/nix/store/2q7j6yg8p39a9agynmkwvp3ny6sjfj8k-mid-1.0'",
        ),
        (
            "no-network",
            "warning: error: unable to download 'https://c/nix-cache-info': Couldn't resolve host name (6); retrying in 274 ms",
        ),
        (
            "no-network",
            "error: unable to download 'https://c': Timeout was reached (28)",
        ),
        (
            "flake-asks",
            "do you want to allow configuration setting 'extra-substituters' to be set to 'https://c' (y/N)?",
        ),
    ];

    #[test]
    fn every_message_is_recognised_and_none_is_left_out() {
        for (id, text) in REAL {
            let found = recognise(text);
            let ids: Vec<&str> = found.iter().map(|found| found.message.id).collect();
            assert_eq!(ids.first(), Some(&id), "{text}: {ids:?}");
        }
        for message in MESSAGES {
            assert!(
                REAL.iter().any(|(id, _)| *id == message.id),
                "{} has no sample",
                message.id
            );
            assert!(
                !message.causes.is_empty() && message.says.ends_with('.'),
                "{}",
                message.id
            );
            for cause in message.causes {
                assert!(
                    cause.words.ends_with('.') && !cause.words.contains('!'),
                    "{}",
                    cause.words
                );
            }
        }
        assert_eq!(MESSAGES.len(), 20);
    }

    #[test]
    fn what_says_most_comes_first_and_what_is_quoted_is_kept() {
        let text = "copying path…\nwarning: ignoring untrusted substituter 'https://c', you are not a trusted user.\nerror: don't know how to build these paths:\n  /nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0\n";
        let found = recognise(text);
        let ids: Vec<(&str, u32)> = found.iter().map(|it| (it.message.id, it.line)).collect();
        assert_eq!(ids, [("untrusted-substituter", 2), ("cannot-build", 3)]);
        assert_eq!(found[0].quoted, ["https://c"]);
    }

    #[test]
    fn words_of_a_search_are_no_message() {
        for text in [
            "python3",
            "gcc wrapper",
            "error",
            "https://cache.example.com/team",
            "",
        ] {
            assert!(!is_message(text), "{text}");
        }
        assert!(is_message("error: attribute 'x' missing"));
        assert!(is_message("  warning: x\n  error: y"));
        assert!(is_message(
            "path '/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0' is untrusted"
        ));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\PC\\n'‘’]{0,200}") {
            let _ = (recognise(&text), is_message(&text));
        }
    }
}
