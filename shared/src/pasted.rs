//! Store paths in whatever text people have at hand: a list, `nix build --dry-run`,
//! `nix path-info --json`, the output of a failed build, an address of a narinfo.
//!
//! A store path is recognised by its hash part, a word of exactly 32 characters of
//! nix32, alone or before a dash and a name. Longer words are hashes of something else.
//! In JSON that describes paths the described ones count, not what they refer to.

use std::collections::HashSet;

use crate::store_path::StorePathHash;

/// Characters of a hash part.
const HASH: usize = 32;

/// A store path that a text names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastedPath {
    /// Its hash part.
    pub hash: StorePathHash,
    /// Its name, where the text has it.
    pub name: Option<String>,
    /// It is a derivation that the text says will be built, as `nix build --dry-run` does.
    pub to_build: bool,
}

/// The store paths of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pasted {
    /// Each once, in the order of the text.
    pub paths: Vec<PastedPath>,
    /// Words that have the form of a hash part and letters that none has (`e o t u`, capitals).
    pub not_hashes: Vec<String>,
    /// There were more than were asked for.
    pub cut: bool,
}

/// Finds the store paths of a text, at most so many. Linear in the text.
pub fn store_paths(text: &str, most: usize) -> Pasted {
    let is_json = text.trim_start().starts_with(['{', '[']);
    let described = if is_json {
        collect(text, most, is_described)
    } else {
        Pasted::default()
    };
    if described.paths.is_empty() {
        collect(text, most, |_, _, _| true)
    } else {
        described
    }
}

fn collect(text: &str, most: usize, wanted: impl Fn(&str, usize, usize) -> bool) -> Pasted {
    let mut pasted = Pasted::default();
    let mut seen = HashSet::new();
    let mut building = false;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        // The heading of a list: “these 3 derivations will be built:”.
        if line.trim_end().ends_with(':') && line.contains(" will be ") {
            building = line.contains("will be built");
        }
        for (start, end) in words(line) {
            let word = &line[start..end];
            let Some((hash, name)) = hash_and_name(word) else {
                continue;
            };
            let Ok(parsed) = hash.parse::<StorePathHash>() else {
                if !pasted.not_hashes.iter().any(|known| known == hash)
                    && pasted.not_hashes.len() < most
                {
                    pasted.not_hashes.push(hash.to_owned());
                }
                continue;
            };
            if !wanted(text, offset + start, offset + end) || !seen.insert(parsed) {
                continue;
            }
            if pasted.paths.len() == most {
                pasted.cut = true;
                return pasted;
            }
            pasted.paths.push(PastedPath {
                hash: parsed,
                name: name.map(str::to_owned),
                to_build: building && name.is_some_and(|name| name.ends_with(".drv")),
            });
        }
        offset += line.len();
    }
    pasted
}

/// Where the words of a line begin and end: runs of what a base name may hold.
fn words(line: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    let in_word = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte);
    let bytes = line.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() && !in_word(bytes[at]) {
            at += 1;
        }
        let start = at;
        while at < bytes.len() && in_word(bytes[at]) {
            at += 1;
        }
        (at > start).then_some((start, at))
    })
}

/// The hash part and the name of `hash`, `hash-name`, `hash.narinfo` and `hash.ls`, with what
/// follows a sentence taken off. The hash need not be one: only its length is right.
fn hash_and_name(word: &str) -> Option<(&str, Option<&str>)> {
    let word = word.split('?').next().unwrap_or(word);
    let word = word.trim_end_matches(['.', '=']);
    let (hash, rest) = word.split_at_checked(HASH)?;
    if !hash.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    match rest.strip_prefix('-') {
        Some(name) if !name.is_empty() => Some((hash, Some(name))),
        _ if matches!(rest, "" | ".narinfo" | ".ls") => Some((hash, None)),
        _ => None,
    }
}

/// In JSON: the word is the end of a key, or of the value of `"path"`.
fn is_described(text: &str, start: usize, end: usize) -> bool {
    let after = text[end..].strip_prefix('"').map(str::trim_start);
    if after.is_some_and(|after| after.starts_with(':')) {
        return true;
    }
    let string = text[..start].rfind('"').unwrap_or_default();
    let before = text[..string].trim_end();
    let key = before.strip_suffix(':').map(str::trim_end);
    key.is_some_and(|key| key.ends_with("\"path\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOP: &str = "xynxqns12h5f1dcq1j5x3c3232454njk";
    const MID: &str = "2q7j6yg8p39a9agynmkwvp3ny6sjfj8k";

    fn found(text: &str) -> Vec<(String, Option<String>, bool)> {
        store_paths(text, 100)
            .paths
            .into_iter()
            .map(|path| (path.hash.to_string(), path.name, path.to_build))
            .collect()
    }

    fn path(hash: &str, name: &str) -> (String, Option<String>, bool) {
        (
            hash.to_owned(),
            (!name.is_empty()).then(|| name.to_owned()),
            false,
        )
    }

    #[test]
    fn a_path_is_found_in_every_form() {
        for text in [
            format!("/nix/store/{TOP}-top-1.0"),
            format!("{TOP}-top-1.0\n"),
            format!("error: path '/nix/store/{TOP}-top-1.0' is not valid."),
            format!("see /nix/store/{TOP}-top-1.0/bin/top, please"),
            format!("/nix/store/{TOP}-top-1.0. And /nix/store/{TOP}-top-1.0 again"),
        ] {
            assert_eq!(found(&text), [path(TOP, "top-1.0")], "{text}");
        }
        for text in [
            TOP.to_owned(),
            format!("https://cache.example.org/team/{TOP}.narinfo?x=1"),
            format!("{TOP}.ls"),
        ] {
            assert_eq!(found(&text), [path(TOP, "")], "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for text in [
            "",
            "nar/1q42a29bjw701v658l1wppj4k8hgvv76b4xxj10dk7c2rzjxp4kw.nar.zst",
            "sha256:1m2nrqa6niw33gqf4dpk59niispxpn91xl2w081n7az5g2d13axr",
            "xynxqns12h5f1dcq1j5x3c3232454njkk",
            "größe xynxqns12h5f1dcq1j5x3c3232454njk_x",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
        let wrong = TOP.replacen('x', "e", 1);
        let pasted = store_paths(&format!("/nix/store/{wrong}-top {wrong}"), 10);
        assert_eq!((pasted.paths.len(), pasted.not_hashes), (0, vec![wrong]));
    }

    #[test]
    fn a_dry_run_tells_what_is_built_from_what_is_fetched() {
        let text = format!(
            "this derivation will be built:\n  /nix/store/{TOP}-top-1.0.drv\n\
             these 2 paths will be fetched (1.00 MiB download, 2.00 MiB unpacked):\n  /nix/store/{MID}-mid-1.0\n"
        );
        let mut top = path(TOP, "top-1.0.drv");
        top.2 = true;
        assert_eq!(found(&text), [top, path(MID, "mid-1.0")]);
    }

    #[test]
    fn of_json_the_described_paths_count() {
        let now = format!(
            "{{\"/nix/store/{TOP}-top-1.0\": {{\"deriver\": \"/nix/store/{MID}-mid.drv\", \"references\": [\"/nix/store/{MID}-mid-1.0\"]}}}}"
        );
        assert_eq!(found(&now), [path(TOP, "top-1.0")]);
        let before = format!(
            "[{{\"path\": \"/nix/store/{TOP}-top-1.0\", \"references\": [\"/nix/store/{MID}-mid-1.0\"]}}]"
        );
        assert_eq!(found(&before), [path(TOP, "top-1.0")]);
        let list = format!("[\"/nix/store/{TOP}-top-1.0\",\"/nix/store/{MID}-mid-1.0\"]");
        assert_eq!(found(&list), [path(TOP, "top-1.0"), path(MID, "mid-1.0")]);
    }

    #[test]
    fn no_more_than_asked_for() {
        let text = format!("{TOP}\n{MID}\n");
        let pasted = store_paths(&text, 1);
        assert_eq!((pasted.paths.len(), pasted.cut), (1, true));
        assert!(!store_paths(&text, 2).cut);
    }
}
