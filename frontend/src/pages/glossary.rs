//! The words used here: one word, one thing.

use leptos::prelude::*;

use crate::components::page_head::{heading, page_title};

/// Anchor, word, meaning.
const WORDS: [(&str, &str, &str); 22] = [
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
        "deriver",
        "Deriver",
        "The .drv file, the recipe, that a path was built from. A narinfo may say; no signature covers it.",
    ),
    (
        "key",
        "Key",
        "A pair: the secret half signs, the public half lets everybody check. Its name is part of every signature.",
    ),
    (
        "signature",
        "Signature",
        "A key's word for a store path, its NarHash, its NarSize and its references. It covers neither the URL nor the bytes behind it.",
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
        "dangling-reference",
        "Dangling reference",
        "A reference to a path that this cache does not have.",
    ),
    (
        "finding",
        "Finding",
        "Something wrong or odd in the bucket, with the object and the reason.",
    ),
    (
        "as-of",
        "As of",
        "The moment a sweep of the bucket began. What others changed later is not known yet.",
    ),
];

/// The page.
pub fn page() -> AnyView {
    page_title(|| "Glossary".to_owned());
    let words = WORDS
        .map(|(anchor, word, meaning)| {
            view! {
                <div id=anchor>
                    <dt>{word}</dt>
                    <dd>{meaning}</dd>
                </div>
            }
        })
        .collect_view();
    view! {
        <div class="page">
            <div class="page-head">
                {heading("Words used here")}
                <p class="state-sentence">"One word, one thing. Sizes are in IEC units: 1 MiB is 1,048,576 bytes."</p>
            </div>
            <dl class="glossary">{words}</dl>
        </div>
    }
    .into_any()
}
