//! The messages, the ones that say most first.

use super::{Cause, Message, Place};

const fn cause(words: &'static str, check: &'static str, place: Place) -> Cause {
    Cause {
        words,
        check,
        place: Some(place),
    }
}

const WIPE: &str = "rm -f ~/.cache/nix/binary-cache-v*.sqlite*";

/// All messages that are known.
pub const MESSAGES: &[Message] = &[
    Message {
        id: "untrusted-substituter",
        stem: "ignoring untrusted substituter '…', you are not a trusted user",
        patterns: &[&["ignoring untrusted substituter"]],
        says: "The admin of this machine has not allowed this cache, so the daemon passes over it.",
        causes: &[
            cause(
                "The cache stands only in your own file, a flake or on the command line. The admin adds two lines to the system's nix.conf; you do not have to become a trusted user.",
                "nix store info --json",
                Place::User,
            ),
            cause(
                "The admin allowed it with another spelling: the URLs differ by a slash at the end.",
                "grep trusted-substituters /etc/nix/nix.conf",
                Place::Doctor,
            ),
        ],
    },
    Message {
        id: "restricted-setting",
        stem: "ignoring the client-specified setting '…', because it is a restricted setting",
        patterns: &[
            &["ignoring the client-specified setting"],
            &["ignoring the user-specified setting"],
        ],
        says: "A setting in your own file or a flake is for trusted users only and was ignored.",
        causes: &[cause(
            "Your key line is in a user's file or in a flake. It is harmless where the system's nix.conf has the key already; else the admin adds it there.",
            "grep trusted-public-keys /etc/nix/nix.conf",
            Place::User,
        )],
    },
    Message {
        id: "not-signed",
        stem: "ignoring substitute for '…', as it's not signed by any of the keys in 'trusted-public-keys'",
        patterns: &[
            &["ignoring substitute for", "not signed by any of the keys"],
            &["does not have a valid signature for path"],
            &["is not signed by any of the keys"],
        ],
        says: "The cache has the path, and no key that this machine trusts has signed it.",
        causes: &[
            cause(
                "The cache's key is missing in the system's nix.conf, or the daemon was not restarted after it was added.",
                "grep trusted-public-keys /etc/nix/nix.conf",
                Place::Lines,
            ),
            cause(
                "The path is signed by another key than the one that you trust. Its page says by which.",
                "",
                Place::Signatures,
            ),
            cause(
                "It was signed anew, and your machine remembers the narinfo from before, for up to 30 days.",
                WIPE,
                Place::Live,
            ),
        ],
    },
    Message {
        id: "lacks-signature",
        stem: "cannot add path '…' because it lacks a signature by a trusted key",
        patterns: &[
            &[
                "cannot add path",
                "because it lacks a",
                "signature by a trusted key",
            ],
            &["lacks a valid signature"],
        ],
        says: "Something is copied into this machine's store that no trusted key has signed.",
        causes: &[
            cause(
                "It comes straight from another machine. Sign it there, or fetch it through a cache that signs.",
                "nix path-info --sigs PATH",
                Place::Lines,
            ),
            cause(
                "The key that signed it is not trusted here.",
                "",
                Place::Signatures,
            ),
        ],
    },
    Message {
        id: "path-untrusted",
        stem: "path '…' is untrusted",
        patterns: &[&["path '", "' is untrusted"]],
        says: "None of the keys that you named has signed this path.",
        causes: &[cause(
            "The path's page lists who signed it and what each signature is worth.",
            "nix path-info --sigs PATH",
            Place::Signatures,
        )],
    },
    Message {
        id: "flake-asks",
        stem: "do you want to allow configuration setting '…' to be set to '…' (y/N)?",
        patterns: &[&["do you want to allow configuration setting"]],
        says: "A flake asks to change your configuration. Answering y helps trusted users only; for others Nix ignores the setting whatever they answer.",
        causes: &[cause(
            "Put the cache into the system's nix.conf instead: then the flake has nothing to ask.",
            "",
            Place::User,
        )],
    },
    Message {
        id: "http-status",
        stem: "HTTP error 401 or 403",
        patterns: &[
            &["http error 401"],
            &["http error 403"],
            &["unauthorized"],
            &["response code 401"],
            &["response code 403"],
        ],
        says: "The server wants to know who asks, or does not let you in.",
        causes: &[
            cause(
                "401: no netrc, a netrc that Nix does not read, or a token that has ended.",
                "grep netrc-file /etc/nix/nix.conf",
                Place::Netrc,
            ),
            cause(
                "403 from this server: the token is valid and was made for another cache.",
                "",
                Place::Netrc,
            ),
            cause(
                "403 from S3: the object is missing and the bucket may not be listed, or root's daemon has no credentials.",
                "",
                Place::Doctor,
            ),
        ],
    },
    Message {
        id: "no-cache",
        stem: "'…' does not appear to be a binary cache",
        patterns: &[&["does not appear to be a binary cache"]],
        says: "Nix asked for nix-cache-info and did not get one.",
        causes: &[
            cause(
                "The cache is private and the request had no valid token.",
                "curl -i URL/nix-cache-info",
                Place::Netrc,
            ),
            cause(
                "The URL is not the cache's: a page of it, or another path.",
                "curl -i URL/nix-cache-info",
                Place::Lines,
            ),
        ],
    },
    Message {
        id: "nar-missing",
        stem: "file 'nar/…' does not exist in binary cache '…'",
        patterns: &[
            &["file 'nar/", "does not exist in binary cache"],
            &["does not exist in binary cache"],
        ],
        says: "The cache's narinfo is there and its archive is gone, or your machine remembers a narinfo that is gone too.",
        causes: &[
            cause(
                "The archive is missing in the bucket. Health lists such paths.",
                "",
                Place::Health,
            ),
            cause("Your machine remembers an old narinfo.", WIPE, Place::Live),
        ],
    },
    Message {
        id: "hash-mismatch",
        stem: "hash mismatch importing path '…'",
        patterns: &[
            &["hash mismatch importing path"],
            &["hash mismatch in", "importing"],
        ],
        says: "What arrived is not what the narinfo says. Nothing was installed.",
        causes: &[
            cause(
                "The archive in the bucket is another one than the narinfo describes. Health compares them.",
                "",
                Place::Health,
            ),
            cause(
                "The path was built anew with another result, and your machine remembers the narinfo from before.",
                WIPE,
                Place::Signatures,
            ),
        ],
    },
    Message {
        id: "wrong-narinfo",
        stem: "asked '…' for '…' but got '…'",
        patterns: &[&["asked '", "but got '"]],
        says: "The cache answered with the narinfo of another path.",
        causes: &[cause(
            "A narinfo lies under the wrong name in the bucket. Health lists it.",
            "",
            Place::Health,
        )],
    },
    Message {
        id: "corrupt-narinfo",
        stem: "NAR info file '…' is corrupt",
        patterns: &[&["nar info file", "is corrupt"]],
        says: "What answered is no narinfo.",
        causes: &[
            cause(
                "Something between you and the cache answered in its place: a login page of the network, a parked domain.",
                "curl -i URL",
                Place::Live,
            ),
            cause(
                "The narinfo in the bucket is broken. Health lists it.",
                "",
                Place::Health,
            ),
        ],
    },
    Message {
        id: "other-prefix",
        stem: "binary cache '…' is for Nix stores with prefix '…', not '…'",
        patterns: &[&["is for nix stores with prefix"]],
        says: "The cache is for another store directory than this machine's. Its paths cannot be used here.",
        causes: &[cause(
            "Choose another cache. The overview of a cache says which store it is for.",
            "curl URL/nix-cache-info",
            Place::Lines,
        )],
    },
    Message {
        id: "conf-syntax",
        stem: "syntax error in configuration line '…'",
        patterns: &[
            &["illegal configuration line"],
            &["syntax error in configuration line"],
        ],
        says: "A line of nix.conf is not “name = value”. Every Nix command fails until it is put right.",
        causes: &[cause(
            "There are no spaces around the =, or a line was continued with a backslash.",
            "",
            Place::Doctor,
        )],
    },
    Message {
        id: "unknown-setting",
        stem: "unknown setting '…'",
        patterns: &[&["unknown setting '"]],
        says: "Nix does not know this setting and passes over its line.",
        causes: &[cause(
            "It is misspelled, newer than your Nix, or the file begins with a byte order mark.",
            "nix --version",
            Place::Doctor,
        )],
    },
    Message {
        id: "corrupt-key",
        stem: "key is corrupt",
        patterns: &[
            &["secret key is corrupt"],
            &["key is corrupt"],
            &["public key is not valid"],
            &["key", "is corrupt"],
        ],
        says: "A key is not name:base64 with the right number of bytes.",
        causes: &[
            cause(
                "A public key was cut off or wrapped when it was pasted.",
                "",
                Place::Doctor,
            ),
            cause(
                "A secret key file holds something else, or only a part of it.",
                "",
                Place::Upload,
            ),
        ],
    },
    Message {
        id: "reference-not-valid",
        stem: "cannot add '…' to the binary cache because the reference '…' is not valid",
        patterns: &[&["because the reference", "is not valid"]],
        says: "A path is uploaded before what it needs.",
        causes: &[cause(
            "Copy the whole closure: nix copy does, single files do not.",
            "nix copy --to URL PATH",
            Place::Upload,
        )],
    },
    Message {
        id: "cannot-build",
        stem: "don't know how to build these paths",
        patterns: &[
            &["don't know how to build these paths"],
            &["no substituter that can build it"],
            &["there is no substituter that can build it"],
        ],
        says: "No cache that was asked has these paths, and there is nothing to build them from.",
        causes: &[
            cause(
                "They are in none of your caches. Look them up.",
                "",
                Place::Lookup,
            ),
            cause(
                "They were uploaded lately, and your machine remembers the miss for an hour.",
                WIPE,
                Place::Lookup,
            ),
            cause("The cache was not asked at all.", "", Place::Live),
        ],
    },
    Message {
        id: "disabled",
        stem: "disabling binary cache '…' for 60 seconds",
        patterns: &[&["disabling binary cache"]],
        says: "The cache failed several times in a row, and Nix leaves it alone for a minute.",
        causes: &[cause(
            "The server or the network between is in trouble. Try again in a minute.",
            "curl -i URL/nix-cache-info",
            Place::Live,
        )],
    },
    Message {
        id: "no-network",
        stem: "Couldn't resolve host name, or a time-out",
        patterns: &[
            &["couldn't resolve host"],
            &["could not resolve host"],
            &["timeout was reached"],
            &["connection timed out"],
            &["couldn't connect to server"],
            &["could not connect to server"],
            &["failed to connect"],
        ],
        says: "The machine cannot reach the cache: a name that is not known there, a VPN that is off, a firewall.",
        causes: &[cause(
            "This page came from the server, so the server is up. Try the machine's own way to it.",
            "curl -i URL/nix-cache-info",
            Place::Live,
        )],
    },
];
