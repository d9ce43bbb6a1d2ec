//! What somebody typed or pasted into the omnibox. Pure, so that it is tested natively.

use snowbank_shared::pasted::store_paths;

/// A reading of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Nothing but space.
    Empty,
    /// The hash part of exactly one store path; Enter opens it.
    Path(String),
    /// It has the shape of a store path's hash, and letters that no hash has.
    NotAHash {
        /// The offending letters, each once, in order.
        letters: String,
    },
    /// A NAR: its URL, `nar/…`, or the hash of the file; its paths are looked up.
    Nar(String),
    /// Several paths, one a line or with other text around them: looked up together.
    List(Vec<String>),
    /// What Nix printed about a failure: explained.
    Message(String),
    /// A secret key, a token or a netrc: neither asked, nor offered, nor put into an address.
    Secret,
    /// Words, or the beginning of a hash: searched.
    Words(String),
}

/// What is said of a secret.
pub const SECRET: &str = "That is a secret: it was not sent.";

/// Most texts that are taken from one paste.
pub const MOST: usize = 2000;

/// Length of the hash part of a store path, in characters of nix32.
const HASH_LENGTH: usize = 32;

/// Reads a full store path (also a file inside one), `hash-name`, a bare hash,
/// the URL or name of a narinfo, a NAR's URL or hash, several of these; anything
/// else is words. What holds a secret is nothing else.
pub fn read(text: &str) -> Entry {
    if is_secret(text) {
        return Entry::Secret;
    }
    let list = paths_in(text);
    if list.len() > 1 {
        return Entry::List(list);
    }
    if is_message(text) {
        return Entry::Message(text.trim().to_owned());
    }
    let text = text.trim().trim_matches(['"', '\'', '`']).trim();
    if text.is_empty() {
        return Entry::Empty;
    }
    if is_nar(text) {
        return Entry::Nar(text.to_owned());
    }
    // A URL's query is no part of the name, and a store path has no question mark before its name.
    let address = text.split(['?', '#']).next().unwrap_or(text);
    let segments = if address.contains("://") || address.contains('/') {
        address.split('/').collect()
    } else {
        vec![address]
    };
    segments
        .into_iter()
        .find_map(read_segment)
        .unwrap_or_else(|| Entry::Words(text.to_owned()))
}

/// Whether a text holds a secret key, a token of this server, or an entry of a netrc with its
/// password. A signature has the form of a secret key and counts as one: telling them apart
/// takes the curve, which the first program does not carry.
fn is_secret(text: &str) -> bool {
    let edge = |c: char| !c.is_alphanumeric() && !"+/=:._-@~".contains(c);
    holds_token(text) || text.split(edge).any(has_64_bytes) || holds_netrc(text)
}

/// `snb_` and something behind it, at the beginning of a word.
fn holds_token(text: &str) -> bool {
    text.match_indices("snb_").any(|(at, mark)| {
        let begins = !text[..at].ends_with(char::is_alphanumeric);
        begins && text[at + mark.len()..].starts_with(|c: char| c.is_ascii_alphanumeric())
    })
}

/// `name:` and 64 bytes in base64.
fn has_64_bytes(word: &str) -> bool {
    let word = word.trim_end_matches(['.', ':']);
    let Some((name, data)) = word.rsplit_once(':') else {
        return false;
    };
    let base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let fits = data.bytes().take_while(base64).count() == 86;
    // A SHA-512 has as many bytes.
    fits && name != "sha512"
}

/// `machine` and, soon after it, `password` with something behind it.
fn holds_netrc(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.iter().enumerate().any(|(at, word)| {
        let mut entry = words[at..].iter().take(8);
        let password = entry.position(|word| *word == "password");
        matches!(*word, "machine" | "default")
            && password.is_some_and(|password| words.len() > at + password + 1)
    })
}

/// Whether a text looks like something that Nix printed about a failure. Whether it is known,
/// the page that explains it finds out.
fn is_message(text: &str) -> bool {
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

/// The paths that a text names, each once, in order, as `hash-name` where it has the name.
fn paths_in(text: &str) -> Vec<String> {
    let paths = store_paths(text, MOST).paths.into_iter();
    paths
        .map(|path| match path.name {
            Some(name) => format!("{}-{name}", path.hash),
            None => path.hash.to_string(),
        })
        .collect()
}

/// `nar/…`, the same at the end of an address, or a SHA-256 in nix32, hex or base64.
fn is_nar(text: &str) -> bool {
    let address = text.split(['?', '#']).next().unwrap_or(text);
    if address.starts_with("nar/") || address.contains("/nar/") {
        return true;
    }
    let bare = text
        .strip_prefix("sha256:")
        .or_else(|| text.strip_prefix("sha256-"));
    let hash = bare.unwrap_or(text);
    let alphanumeric = hash.bytes().all(|byte| byte.is_ascii_alphanumeric());
    matches!(hash.len(), 52 | 64) && alphanumeric || bare.is_some() && hash.len() == 44
}

/// A segment that is a hash, begins with one and a dash, or is the name of a narinfo.
fn read_segment(segment: &str) -> Option<Entry> {
    let candidate = segment.get(..HASH_LENGTH)?;
    let rest = &segment[HASH_LENGTH..];
    let ends = rest.is_empty() || rest.starts_with('-') || rest == ".narinfo" || rest == ".ls";
    if !ends || !candidate.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let mut letters = String::new();
    for letter in candidate.chars() {
        let wrong = letter.is_ascii_uppercase() || matches!(letter, 'e' | 'o' | 't' | 'u');
        if wrong && !letters.contains(letter) {
            letters.push(letter);
        }
    }
    Some(if letters.is_empty() {
        Entry::Path(candidate.to_owned())
    } else {
        Entry::NotAHash { letters }
    })
}

/// Why it is not a hash, in one sentence.
pub fn explain_not_a_hash(letters: &str) -> String {
    if letters.chars().any(|letter| letter.is_ascii_lowercase()) {
        "This is not a Nix hash: letters e o t u do not occur".to_owned()
    } else {
        "This is not a Nix hash: capital letters do not occur".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "xynxqns12h5f1dcq1j5x3c3232454njk";

    #[test]
    fn a07_every_form_of_a_path_opens_it() {
        for text in [
            "/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0",
            "  \"/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0\"\n",
            "/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0/bin/top",
            "/gnu/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0",
            "xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0",
            "xynxqns12h5f1dcq1j5x3c3232454njk",
            "xynxqns12h5f1dcq1j5x3c3232454njk.narinfo",
            "https://cache.example.com/team/xynxqns12h5f1dcq1j5x3c3232454njk.narinfo?x=1",
            "https://console.example.com/c/team/p/xynxqns12h5f1dcq1j5x3c3232454njk/closure",
        ] {
            assert_eq!(read(text), Entry::Path(HASH.to_owned()), "{text}");
        }
    }

    #[test]
    fn a08_letters_that_no_hash_has_are_named() {
        let wrong = "eynxqns12h5f1dcq1j5x3c3232454njk";
        assert_eq!(
            read(wrong),
            Entry::NotAHash {
                letters: "e".to_owned()
            }
        );
        assert_eq!(
            read("/nix/store/toexqns12h5f1dcq1j5x3c3232454njk-x"),
            Entry::NotAHash {
                letters: "toe".to_owned()
            }
        );
        assert!(explain_not_a_hash("e").contains("letters e o t u do not occur"));
        assert!(explain_not_a_hash("X").contains("capital"));
    }

    #[test]
    fn a_nar_is_known_by_its_address_or_its_hash() {
        let hash = "1q42a29bjw701v658l1wppj4k8hgvv76b4xxj10dk7c2rzjxp4kw";
        for text in [
            format!("nar/{hash}.nar.zst"),
            format!("https://cache.example.com/team/nar/{hash}.nar.xz?x=1"),
            hash.to_owned(),
            format!("sha256:{hash}"),
            "sha256-Y0Jv0hCFAG3mZmBvVmY1d3vHbNn6cRj1xFfF7Zz1m5c=".to_owned(),
        ] {
            assert_eq!(read(&text), Entry::Nar(text.clone()), "{text}");
        }
    }

    #[test]
    fn several_paths_are_a_list_whatever_stands_around_them() {
        let base = "xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0";
        let top = &format!("/nix/store/{base}");
        let leaf = "fpfpv5zl6l69d93iykc4lfd2z29s4kxz-leaf-1.0";
        let list = Entry::List(vec![base.to_owned(), leaf.to_owned()]);
        for text in [
            format!("{top}\n{leaf}\n"),
            format!("{top} {leaf}"),
            format!("these 2 paths will be fetched (1 MiB):\n  {top}\n  {leaf}\n  {top}"),
            format!("[\"{top}/bin/top\", \"{leaf}\"]"),
            format!("error: path '{top}' needs '{leaf}'."),
        ] {
            assert_eq!(read(&text), list, "{text}");
        }
        let many: String = (0..3000)
            .map(|n| format!("{n:04}qns12h5f1dcq1j5x3c3232454njk-x\n"))
            .collect();
        assert!(matches!(read(&many), Entry::List(list) if list.len() == MOST));
    }

    #[test]
    fn what_nix_printed_is_a_message() {
        for text in [
            "error: path '/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0' is not valid",
            "warning: ignoring untrusted substituter 'https://c', you are not a trusted user.",
        ] {
            assert_eq!(read(text), Entry::Message(text.to_owned()));
        }
    }

    #[test]
    fn secrets_are_nothing_else() {
        let key = format!("alice-1:{}==", "Ab3+/".repeat(18).split_at(86).0);
        for text in [
            key.clone(),
            key.trim_end_matches('=').to_owned(),
            format!("  extra-trusted-public-keys = \"{key}\";\n"),
            format!("s3://bucket?secret-key={key}&x=1"),
            format!("<{key}>"),
            format!("/nix/store/{HASH}-top-1.0 {key}"),
            "snb_0123456789abcdef".to_owned(),
            "Authorization: Bearer snb_0123456789abcdef".to_owned(),
            "machine cache.example.com\nlogin ci\npassword abc\n".to_owned(),
            "default login ci password abc".to_owned(),
        ] {
            assert_eq!(read(&text), Entry::Secret, "{text}");
        }
        let public = "team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=";
        for text in [
            public,
            "snb_",
            "libsnb_x",
            "password",
            "machine password",
            &key.replace("alice-1", "sha512"),
        ] {
            assert_ne!(read(text), Entry::Secret, "{text}");
        }
    }

    #[test]
    fn the_rest_is_words() {
        assert_eq!(read(" \t"), Entry::Empty);
        for text in [
            "python3",
            "xynx",
            "gcc wrapper",
            // one character too many for a hash
            "xynxqns12h5f1dcq1j5x3c3232454njkk",
            "größe-der-sache-mit-vielen-buchstaben",
        ] {
            assert_eq!(read(text), Entry::Words(text.to_owned()), "{text}");
        }
    }
}
