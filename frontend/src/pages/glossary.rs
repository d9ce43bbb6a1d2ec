//! The words used here: one word, one thing.

use leptos::prelude::*;

use crate::components::layout::section;
use crate::components::page_head::{heading, page_title};

/// Anchor, word, meaning.
const WORDS: [(&str, &str, &str); 33] = [
    (
        "path",
        "Path",
        "A store path: one directory or file below /nix/store, named by a hash and a name. Also what a narinfo describes.",
    ),
    (
        "cache",
        "Cache",
        "A binary cache: a place from which Nix fetches finished paths. Here it lies in a bucket.",
    ),
    (
        "substituter",
        "Substituter",
        "Nix's word for a cache that a machine is told to use.",
    ),
    (
        "upstream",
        "Upstream",
        "Another cache that machines use too, such as cache.nixos.org.",
    ),
    (
        "narinfo",
        "Narinfo",
        "A small text file that says of one path what it is called, how big it is, what it refers to, where its NAR lies, and who signed it.",
    ),
    (
        "nar",
        "NAR",
        "Nix archive: all files of a path in one stream, usually compressed in the bucket.",
    ),
    (
        "nar-size",
        "NAR size",
        "Bytes of a path alone, unpacked: the archive before compression. About what it takes on disk.",
    ),
    (
        "download-size",
        "Download size",
        "Bytes that a client fetches for a path alone: the compressed NAR.",
    ),
    (
        "closure",
        "Closure",
        "A path and everything it refers to, directly or through others.",
    ),
    (
        "closure-size",
        "Closure size",
        "NAR sizes of a closure added up. What a machine that has nothing needs on disk.",
    ),
    (
        "added-size",
        "Added size",
        "What would go with a path if it went: itself and what nothing else in the closure needs. Smaller than the closure size where paths are shared.",
    ),
    (
        "exclusive-size",
        "Exclusive size",
        "What only one pin keeps: the bytes that would be free if it were unpinned.",
    ),
    (
        "stored",
        "Stored",
        "Bytes of NARs as they lie in the bucket, each file counted once.",
    ),
    (
        "reference",
        "Reference",
        "A path that another path mentions in its bytes, and so needs.",
    ),
    (
        "referrer",
        "Referrer",
        "A path that mentions this one, in this cache.",
    ),
    (
        "dangling-reference",
        "Dangling reference",
        "A reference to a path that this cache does not have. It may be upstream: then clients fetch it from there.",
    ),
    (
        "deriver",
        "Deriver",
        "The .drv file, the recipe, that a path was built from. A narinfo may say; no signature covers it.",
    ),
    (
        "key",
        "Key",
        "A pair: the secret half signs, the public half lets everybody check. Its name is part of every signature, and of two keys of one name Nix believes the first it is told of.",
    ),
    (
        "signature",
        "Signature",
        "A key's word for a store path, its NarHash, its NarSize and its references. It covers neither the URL nor the bytes behind it. One valid signature by one trusted key is enough.",
    ),
    (
        "fingerprint",
        "Fingerprint",
        "Of a path: the text that a signature covers. Of a key: the SHA-256 of its 32 bytes, to compare by eye.",
    ),
    (
        "content-check",
        "Content check",
        "Whether the NAR in the bucket was unpacked and hashed and is what the narinfo says. Independent of the signature.",
    ),
    (
        "content-addressed",
        "Content-addressed",
        "A path whose name follows from its content. It needs no signature.",
    ),
    (
        "finding",
        "Finding",
        "Something wrong or odd in the bucket, with the object and the reason.",
    ),
    (
        "orphan-nar",
        "Orphan NAR",
        "A NAR that no narinfo names: stored for nobody.",
    ),
    (
        "pin",
        "Pin",
        "A name that keeps a path and its closure, whatever the keep rules say.",
    ),
    (
        "quarantine",
        "Quarantine",
        "Paths that an owner holds back: clients get 404, nobody uploads the same again, and nothing is deleted.",
    ),
    (
        "keep-rule",
        "Keep rule",
        "What stays without a pin: by age, by last fetch, by name.",
    ),
    ("dead", "Dead", "Kept by no pin and no keep rule."),
    (
        "plan",
        "Plan",
        "A frozen list of what would be removed. Making one changes nothing.",
    ),
    (
        "run",
        "Run",
        "A plan carried out. What it removes can be brought back for a while.",
    ),
    (
        "purge",
        "Purge",
        "Removal for good, at once, of what must not be served any longer.",
    ),
    (
        "as-of",
        "As of",
        "The moment a sweep of the bucket began. What others changed later is not known yet.",
    ),
    (
        "negative-cache",
        "Remembered miss",
        "A client remembers for an hour that a cache did not have a path, for 30 days that it had one, and for 7 days what nix-cache-info said.",
    ),
];

/// Words for what is not there: four, and no other.
const NOTHING: [(&str, &str, &str); 4] = [
    ("none", "none", "Counted, and there is nothing."),
    (
        "not-yet",
        "not yet",
        "It will be known; counting has not come that far.",
    ),
    (
        "unknown",
        "unknown",
        "Nobody can say: what would tell is missing or cannot be read.",
    ),
    (
        "not-configured",
        "not configured",
        "The server was not told to look.",
    ),
];

fn list(words: &[(&'static str, &'static str, &'static str)]) -> AnyView {
    let words = words
        .iter()
        .map(|&(anchor, word, meaning)| {
            view! {
                <div id=anchor>
                    <dt>{word}</dt>
                    <dd>{meaning}</dd>
                </div>
            }
        })
        .collect_view();
    view! { <dl class="glossary">{words}</dl> }.into_any()
}

/// The page.
pub fn page() -> AnyView {
    page_title(|| "Glossary".to_owned());
    view! {
        <div class="page">
            <div class="page-head">
                {heading("Words used here")}
                <p class="state-sentence">"One word, one thing. Sizes are in IEC units: 1 MiB is 1,048,576 bytes."</p>
            </div>
            {list(&WORDS)}
            {section("What is not there", (), list(&NOTHING))}
        </div>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_one_meaning_and_one_anchor() {
        let all: Vec<_> = WORDS.iter().chain(&NOTHING).collect();
        for (at, (anchor, word, meaning)) in all.iter().enumerate() {
            assert!(!meaning.is_empty() && meaning.ends_with('.'), "{word}");
            assert!(
                !all[at + 1..].iter().any(|(other, ..)| other == anchor),
                "{anchor}"
            );
        }
    }
}
