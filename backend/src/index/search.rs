//! Finding paths by what people type or paste.
//!
//! Words are looked for in all names at once: the names of a chunk lie end to
//! end in one arena, with a byte between that no name holds, and `memmem` runs
//! over it. Letters are compared without regard to case; names with capitals,
//! which are few, have a second spelling for that. Everything else that people
//! paste (a store path, a base name, a `.narinfo` address, a NAR's URL, a file
//! hash) is recognised by its form and looked up.

use memchr::memmem::{self, Finder};
use snowbank_shared::hash::Hash;
use snowbank_shared::narinfo::object_key;
use snowbank_shared::store_path::StorePathHash;

use super::chunk::CHUNK_ROWS;
use super::graph::{Graph, base_key};
use super::key::is_nix32;
use super::wire::Arena;

/// Shortest beginning of a hash that is looked up as one.
const MIN_PREFIX: usize = 4;
/// Characters of a store path's hash part.
const HASH_CHARS: usize = 32;

/// What a text asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Needle {
    /// The path with this hash part.
    Path(StorePathHash),
    /// Paths whose narinfo names the NAR of this key, else paths by the hash.
    Nar(String, Option<[u8; 32]>),
    /// Paths with this NarHash or FileHash.
    File([u8; 32]),
    /// Names with all these words, in small letters; a single one may begin a hash.
    Words(Vec<String>),
}

impl Needle {
    /// Recognises a text that is not empty.
    pub(crate) fn of(text: &str) -> Self {
        let words: Vec<&str> = text.split_whitespace().collect();
        if let [word] = words[..]
            && let Some(needle) = Self::pasted(word)
        {
            return needle;
        }
        Self::Words(words.iter().map(|word| word.to_ascii_lowercase()).collect())
    }

    /// One word that is an address or a hash.
    fn pasted(word: &str) -> Option<Self> {
        let word = word.trim_matches(|c| matches!(c, '"' | '\'' | '`' | ',' | ';'));
        if let Some(hash) = file_hash(word) {
            return Some(Self::File(hash));
        }
        let address = word.split(['?', '#']).next().unwrap_or(word);
        let segment = address.trim_end_matches('/').rsplit('/').next()?;
        if let Some(at) = address
            .rfind("nar/")
            .filter(|&at| at == 0 || address.as_bytes()[at - 1] == b'/')
        {
            let stem = segment.split('.').next().unwrap_or(segment);
            return Some(Self::Nar(
                object_key(&address[at..]).into_owned(),
                file_hash(stem),
            ));
        }
        // A file inside a store path: the component after the store directory counts.
        let component = match address.find("/store/") {
            Some(at) => address[at + 7..].split('/').next()?,
            None => segment,
        };
        if let Some(hash) = path_hash(component) {
            return Some(Self::Path(hash));
        }
        let (stem, extension) = component.split_once('.')?;
        (extension == "nar" || extension.starts_with("nar."))
            .then(|| Self::Nar(component.to_owned(), file_hash(stem)))
    }
}

/// The hash of `<hash>`, `<hash>-name` or `<hash>.narinfo`.
fn path_hash(component: &str) -> Option<StorePathHash> {
    let (hash, rest) = component.split_at_checked(HASH_CHARS)?;
    let ends = rest.is_empty() || rest.starts_with('-') || rest == ".narinfo" || rest == ".ls";
    ends.then(|| hash.parse().ok()).flatten()
}

/// A SHA-256 in any of its spellings.
fn file_hash(text: &str) -> Option<[u8; 32]> {
    let bare =
        matches!(text.len(), 52 | 64) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let text = if bare {
        format!("sha256:{text}")
    } else {
        text.to_owned()
    };
    let (hash, _) = Hash::parse(&text).ok()?;
    hash.as_sha256().map(|hash| hash.0)
}

impl Graph {
    /// The live rows that a text asks for, each once.
    pub(crate) fn search(&self, needle: &Needle) -> Vec<u32> {
        match needle {
            Needle::Path(hash) => self.find(hash).into_iter().collect(),
            Needle::Nar(key, hash) => {
                let rows = self.rows_of_nar(key.as_bytes());
                match hash {
                    Some(hash) if rows.is_empty() => self.rows_of_file(hash),
                    _ => rows,
                }
            }
            Needle::File(hash) => self.rows_of_file(hash),
            Needle::Words(words) => self.rows_of_words(words),
        }
    }

    /// Live rows with this NarHash or FileHash.
    fn rows_of_file(&self, hash: &[u8; 32]) -> Vec<u32> {
        let mut rows = Vec::new();
        for (number, chunk) in self.base.chunks.iter().enumerate() {
            let hashes = chunk.nar_hashes.iter().zip(&chunk.file_hashes);
            for (place, (nar, file)) in hashes.enumerate() {
                if nar == hash || file == hash {
                    rows.push((number * CHUNK_ROWS + place) as u32);
                }
            }
        }
        for (place, fresh) in self.overlay.rows.iter().enumerate() {
            if fresh.record.nar_hash == *hash || fresh.record.file_hash == *hash {
                rows.push(self.base.links.rows + place as u32);
            }
        }
        rows.retain(|&row| self.mark(row).live());
        rows
    }

    /// Live rows whose names have all words, and where it is one word, those whose
    /// hashes begin with it.
    fn rows_of_words(&self, words: &[String]) -> Vec<u32> {
        let Some(longest) = words.iter().max_by_key(|word| word.len()) else {
            return Vec::new();
        };
        let others: Vec<Finder<'_>> = words
            .iter()
            .filter(|word| *word != longest)
            .map(Finder::new)
            .collect();
        let mut rows = self.rows_of_word(longest);
        if !others.is_empty() {
            rows.retain(|&row| {
                let name = self.name(row);
                let capitals = name.bytes().any(|byte| byte.is_ascii_uppercase());
                let small = capitals.then(|| name.to_ascii_lowercase());
                let name = small.as_deref().unwrap_or(name).as_bytes();
                others.iter().all(|word| word.find(name).is_some())
            });
        }
        if words.len() == 1 && longest.len() >= MIN_PREFIX && is_nix32(longest) {
            let more = self.rows_of_prefix(longest);
            if !more.is_empty() {
                rows.extend(more);
                rows.sort_unstable();
                rows.dedup();
            }
        }
        rows
    }

    /// Live rows whose names have this word, ascending.
    fn rows_of_word(&self, word: &str) -> Vec<u32> {
        let finder = Finder::new(word);
        let mut rows = Vec::new();
        let mut places = Vec::new();
        for (number, chunk) in self.base.chunks.iter().enumerate() {
            places.clear();
            each_hit(&chunk.names, &finder, &mut places);
            if !chunk.capital_rows.is_empty() {
                let plain = places.len();
                each_hit(&chunk.capital_names, &finder, &mut places);
                for place in &mut places[plain..] {
                    *place = usize::from(chunk.capital_rows[*place]);
                }
                if places.len() > plain {
                    places.sort_unstable();
                    places.dedup();
                }
            }
            let marks = &self.marks[number].marks;
            let live = places.iter().filter(|&&place| marks[place].live());
            rows.extend(live.map(|&place| (number * CHUNK_ROWS + place) as u32));
        }
        for (place, fresh) in self.overlay.rows.iter().enumerate() {
            let row = self.base.links.rows + place as u32;
            let name = fresh.record.base.name.to_ascii_lowercase();
            if self.mark(row).live() && memmem::find(name.as_bytes(), word.as_bytes()).is_some() {
                rows.push(row);
            }
        }
        rows
    }

    /// Live rows whose hashes begin like this.
    fn rows_of_prefix(&self, prefix: &str) -> Vec<u32> {
        let Some(range) = StorePathHash::range_of_prefix(prefix) else {
            return Vec::new();
        };
        let links = &self.base.links;
        let key = |row| base_key(&self.base.chunks, row);
        let (Ok(start) | Err(start)) = links.position(range.start(), key);
        let fresh = self.overlay.index.iter();
        let fresh = fresh
            .filter(|(key, _)| range.contains(key))
            .map(|(_, &row)| row);
        links.order[start..]
            .iter()
            .copied()
            .take_while(|&row| key(row) <= *range.end())
            .filter(|&row| self.mark(row).live())
            .chain(fresh)
            .collect()
    }
}

/// Collects which items of an arena hold the word, ascending, each once.
fn each_hit(arena: &Arena<u8>, word: &Finder<'_>, found: &mut Vec<usize>) {
    let (mut from, mut item) = (0, 0);
    while let Some(at) = word.find(&arena.all()[from..]) {
        (item, from) = arena.item_at(from + at, item);
        found.push(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "xynxqns1asbyjczzxj8vqkn5vvq1qcnr";
    const FILE: &str = "1b0ydyrdzhidzfqwjzf5s51qy5gmnwcx7bfg8y4p0b0ylkmyc5nq";

    #[test]
    fn what_people_paste_is_recognised() {
        let path = Needle::Path(HASH.parse().unwrap());
        for text in [
            HASH.to_owned(),
            format!("{HASH}-top-1.0"),
            format!("/nix/store/{HASH}-top-1.0"),
            format!("/nix/store/{HASH}-top-1.0/bin/top"),
            format!("'/nix/store/{HASH}-top-1.0',"),
            format!("{HASH}.narinfo"),
            format!("https://cache.example.org/main/{HASH}.narinfo"),
            format!("http://127.0.0.1:8080/main/{HASH}.narinfo?x=1"),
        ] {
            assert_eq!(Needle::of(&text), path, "{text}");
        }
        let file = Hash::parse(&format!("sha256:{FILE}"))
            .unwrap()
            .0
            .as_sha256()
            .unwrap();
        for text in [
            FILE.to_owned(),
            format!("sha256:{FILE}"),
            file.to_base16(),
            file.to_sri(),
        ] {
            assert_eq!(Needle::of(&text), Needle::File(file.0), "{text}");
        }
        for text in [
            format!("nar/{FILE}.nar.xz"),
            format!("https://example.org/main/nar/{FILE}.nar.xz"),
        ] {
            assert_eq!(
                Needle::of(&text),
                Needle::Nar(format!("nar/{FILE}.nar.xz"), Some(file.0)),
                "{text}"
            );
        }
        for text in ["gcc", "xynx", "GCC 13", "nar/", "seminar/x"] {
            let words = !matches!(Needle::of(text), Needle::Path(_) | Needle::File(_));
            assert!(words, "{text}");
        }
        assert_eq!(
            Needle::of("GCC  13"),
            Needle::Words(vec!["gcc".into(), "13".into()])
        );
    }
}
