//! The catalogue. Wordings are in small letters, with `'` for every quote.

use super::{Cause, Entry, Place};

const fn cause(why: &'static str, check: &'static str, fix: &'static str, place: Place) -> Cause {
    Cause {
        why,
        check,
        fix,
        place,
    }
}

const WIPE: &str = "rm -f ~/.cache/nix/binary-cache-v*.sqlite*";

/// The messages that are known.
pub const CATALOGUE: &[Entry] = &[
    Entry {
        id: "untrusted-substituter",
        message: "ignoring untrusted substituter '…', you are not a trusted user",
        says: "The machine's admin has not allowed this cache, and you may not add caches yourself.",
        causes: &[
            cause(
                "The cache stands only in your own file, in a flake, or on the command line.",
                "nix config show | grep trusted-substituters",
                "Ask the admin for the two lines that allow it. You do not have to become a trusted user.",
                Place::ManagedUser,
            ),
            cause(
                "The admin allowed it, and the URLs differ by the slash at the end.",
                "nix config show | grep substituters",
                "Write the URL as the admin wrote it, letter by letter.",
                Place::Doctor("D21"),
            ),
        ],
        wordings: &[
            &["ignoring untrusted substituter"],
            &["ignoring untrusted binary cache"],
        ],
    },
    Entry {
        id: "restricted-setting",
        message: "ignoring the client-specified setting 'trusted-public-keys', because it is a restricted setting",
        says: "A setting in your file or in a flake is passed over, because you are not a trusted user.",
        causes: &[cause(
            "Keys count only in the system's nix.conf.",
            "grep trusted-public-keys /etc/nix/nix.conf",
            "If the key is there already, the message is harmless. Else ask the admin for the line.",
            Place::ManagedUser,
        )],
        wordings: &[
            &["ignoring the client-specified setting", "restricted"],
            &["ignoring the user-specified setting", "restricted"],
        ],
    },
    Entry {
        id: "not-signed-by-any-key",
        message: "ignoring substitute for '…' from '…', as it's not signed by any of the keys in 'trusted-public-keys'",
        says: "The cache answered, and its signature is not one that your machine believes.",
        causes: &[
            cause(
                "The cache's key is not in the system's nix.conf, or another key has its name.",
                "nix config show trusted-public-keys",
                "Compare the key with the one that this console shows, and add it.",
                Place::Keys,
            ),
            cause(
                "This path is signed by somebody else, or by nobody.",
                "nix path-info --sigs --store URL PATH",
                "Look at the signatures of the path.",
                Place::Signatures,
            ),
            cause(
                "It was signed after your machine first saw it: what was seen is remembered for 30 days.",
                WIPE,
                "Delete what Nix remembers, as root for the daemon.",
                Place::Signatures,
            ),
        ],
        wordings: &[
            &["not signed by any of the keys in 'trusted-public-keys'"],
            &["does not have a valid signature for path"],
            &["is not signed by any of the keys"],
        ],
    },
    Entry {
        id: "lacks-a-signature",
        message: "cannot add path '…' because it lacks a signature by a trusted key",
        says: "Something is copied to this machine that nobody it trusts has signed.",
        causes: &[cause(
            "The path was built elsewhere and copied without a signature.",
            "nix path-info --sigs PATH",
            "Sign it with a key that this machine trusts, or fetch it through a cache.",
            Place::Signatures,
        )],
        wordings: &[
            &[
                "cannot add path",
                "because it lacks a signature by a trusted key",
            ],
            &["cannot add path", "because it lacks a valid signature"],
        ],
    },
    Entry {
        id: "nar-missing",
        message: "file 'nar/…' does not exist in binary cache '…'",
        says: "The cache described the path, and the archive behind the description is gone.",
        causes: &[
            cause(
                "The archive was deleted or has expired, and its narinfo was not.",
                "curl -fI URL/nar/…",
                "The owner of the cache sees it under Health.",
                Place::Health,
            ),
            cause(
                "Your machine remembers an older narinfo.",
                WIPE,
                "Delete what Nix remembers, as root for the daemon.",
                Place::Raw,
            ),
        ],
        wordings: &[
            &["file 'nar/", "does not exist in binary cache"],
            &["does not exist in binary cache"],
        ],
    },
    Entry {
        id: "not-a-binary-cache",
        message: "'…' does not appear to be a binary cache",
        says: "Nix asked for nix-cache-info and got something else.",
        causes: &[
            cause(
                "The cache is private and no token was sent.",
                "curl -i URL/nix-cache-info",
                "Put the token into the netrc.",
                Place::Netrc,
            ),
            cause(
                "The URL is not the cache's: a page of the console, or a part is missing.",
                "curl -i URL/nix-cache-info",
                "Copy the URL from this console.",
                Place::Generator,
            ),
        ],
        wordings: &[&["does not appear to be a binary cache"]],
    },
    Entry {
        id: "http-401-403",
        message: "unable to download '…': HTTP error 401 (or 403)",
        says: "The server wants to know who you are, or does not let you in.",
        causes: &[
            cause(
                "401: no token was sent, or it is revoked or expired.",
                "curl -i --netrc-file /etc/nix/netrc URL/nix-cache-info",
                "Make a token and put it into the netrc that the daemon reads.",
                Place::Netrc,
            ),
            cause(
                "403 from S3: the object is missing and you may not list the bucket, or you may not read it.",
                "",
                "Allow s3:ListBucket, or go through this console.",
                Place::Generator,
            ),
        ],
        wordings: &[
            &["http error 401"],
            &["http error 403"],
            &["response code 401"],
            &["response code 403"],
        ],
    },
    Entry {
        id: "hash-mismatch",
        message: "hash mismatch importing path '…'; specified: …, got: …",
        says: "The archive is not what its description says. Nothing was taken.",
        causes: &[
            cause(
                "Your machine remembers the narinfo of an earlier build of the same path.",
                WIPE,
                "Delete what Nix remembers, as root for the daemon.",
                Place::Raw,
            ),
            cause(
                "The cache holds the wrong archive.",
                "nix store verify --store URL PATH",
                "The owner of the cache sees it under Health.",
                Place::Health,
            ),
        ],
        wordings: &[
            &["hash mismatch importing path"],
            &["hash mismatch in", "nar"],
        ],
    },
    Entry {
        id: "cannot-build",
        message: "don't know how to build these paths",
        says: "No cache that was asked has them, and there is no recipe here.",
        causes: &[
            cause(
                "The path is in none of your caches.",
                "nix path-info --store URL PATH",
                "Look it up here.",
                Place::Lookup,
            ),
            cause(
                "It was uploaded after your machine asked: a miss is remembered for an hour.",
                "nix-store -r PATH --option narinfo-cache-negative-ttl 0",
                "Ask again with a time of 0, or wait.",
                Place::Lookup,
            ),
            cause(
                "Your Nix never asks this cache.",
                "nix config show substituters",
                "Run the live check.",
                Place::LiveCheck,
            ),
        ],
        wordings: &[
            &["don't know how to build these paths"],
            &[
                "path",
                "is required, but there is no substituter that can build it",
            ],
            &["some outputs", "are not valid, so checking is not possible"],
        ],
    },
    Entry {
        id: "narinfo-corrupt",
        message: "NAR info file '…' is corrupt: … at line …",
        says: "The server sent something that is no narinfo.",
        causes: &[
            cause(
                "A login page, a proxy or a parked domain answered in its place.",
                "curl -i URL/HASH.narinfo",
                "Look at what comes. If it is HTML, the cache was not reached.",
                Place::Raw,
            ),
            cause(
                "The cache holds a damaged narinfo.",
                "",
                "The owner of the cache sees it under Health.",
                Place::Health,
            ),
        ],
        wordings: &[
            &["nar info file", "is corrupt"],
            &["nar info file in", "is corrupt"],
        ],
    },
    Entry {
        id: "other-prefix",
        message: "binary cache '…' is for Nix stores with prefix '…', not '…'",
        says: "The cache holds paths of another store directory: none of them can be used here.",
        causes: &[cause(
            "Your store is not /nix/store, or the cache's is not.",
            "curl URL/nix-cache-info",
            "Choose a cache for your store.",
            Place::Generator,
        )],
        wordings: &[&["binary cache", "is for nix stores with prefix"]],
    },
    Entry {
        id: "configuration-line",
        message: "syntax error in configuration line '…' (older: illegal configuration line)",
        says: "nix.conf has a line that Nix cannot read. Every command fails until it is right.",
        causes: &[
            cause(
                "No blanks around the =.",
                "nix config show",
                "Let the doctor read the file.",
                Place::Doctor("D01"),
            ),
            cause(
                "A line goes on after a backslash, which nix.conf does not know.",
                "",
                "Write it in one line.",
                Place::Doctor("D06"),
            ),
        ],
        wordings: &[
            &["syntax error in configuration line"],
            &["illegal configuration line"],
        ],
    },
    Entry {
        id: "unknown-setting",
        message: "unknown setting '…'",
        says: "Nix does not know the name of a setting and passes over its line.",
        causes: &[
            cause(
                "A typing error.",
                "",
                "Let the doctor read the file.",
                Place::Doctor("D05"),
            ),
            cause(
                "Another version of Nix knows it, yours does not.",
                "nix --version",
                "Take the line out, or update Nix.",
                Place::Doctor("D29"),
            ),
        ],
        wordings: &[&["unknown setting '"]],
    },
    Entry {
        id: "key-corrupt",
        message: "key is corrupt (also: secret key is corrupt, public key is not valid)",
        says: "A key in a list or in a file cannot be read. With one bad key in the list nothing is downloaded.",
        causes: &[
            cause(
                "A key was cut when it was copied, or is no key at all.",
                "nix config show trusted-public-keys",
                "Let the doctor read the file.",
                Place::Doctor("D13"),
            ),
            cause(
                "The file of a secret key was cut.",
                "wc -c KEYFILE",
                "Take the file from where it is whole; it has one line of some hundred characters.",
                Place::Keys,
            ),
        ],
        wordings: &[
            &["key is corrupt"],
            &["public key is not valid"],
            &["secret key is not valid"],
            &["key '", "' is corrupt"],
        ],
    },
    Entry {
        id: "reference-not-valid",
        message: "cannot add '…' to the binary cache because the reference '…' is not valid",
        says: "A path cannot be published before the paths that it needs.",
        causes: &[cause(
            "Only a part of the closure was copied.",
            "nix path-info -r PATH",
            "Copy the whole closure: nix copy does this by itself unless told not to.",
            Place::Uploads,
        )],
        wordings: &[&["to the binary cache because the reference", "is not valid"]],
    },
    Entry {
        id: "cache-disabled",
        message: "disabling binary cache '…' for 60 seconds",
        says: "The cache failed several times, so Nix leaves it alone for a minute.",
        causes: &[
            cause(
                "The server is down, or too slow to answer.",
                "curl -sS -o /dev/null -w '%{http_code} %{time_total}\\n' URL/nix-cache-info",
                "Look whether the cache is up.",
                Place::About,
            ),
            cause(
                "It cannot be reached from this network.",
                "curl -v URL/nix-cache-info",
                "Check the VPN. With fallback = true Nix builds instead.",
                Place::Generator,
            ),
        ],
        wordings: &[&["disabling binary cache", "seconds"]],
    },
    Entry {
        id: "path-untrusted",
        message: "path '…' is untrusted",
        says: "nix store verify found no signature by a key that it was given or trusts.",
        causes: &[cause(
            "The path was built here, or is signed by a key that is not trusted here.",
            "nix path-info --sigs PATH",
            "Look at the signatures of the path.",
            Place::Signatures,
        )],
        wordings: &[&["path '", "' is untrusted"]],
    },
    Entry {
        id: "another-path",
        message: "asked '…' for '…' but got '…'",
        says: "The cache described another path under this hash.",
        causes: &[cause(
            "A narinfo lies under the wrong name in the bucket.",
            "curl URL/HASH.narinfo",
            "The owner of the cache sees it under Health.",
            Place::Health,
        )],
        wordings: &[&["asked '", "' for '", "' but got '"]],
    },
    Entry {
        id: "unreachable",
        message: "Couldn't resolve host name (also: Timeout was reached, Connection refused)",
        says: "The cache's server was not reached.",
        causes: &[
            cause(
                "No network, or the cache is only in a private one.",
                "curl -v URL/nix-cache-info",
                "Check the network and the VPN.",
                Place::LiveCheck,
            ),
            cause(
                "The host in the URL is wrong.",
                "nix config show substituters",
                "Copy the URL from this console.",
                Place::Generator,
            ),
        ],
        wordings: &[
            &["couldn't resolve host"],
            &["could not resolve host"],
            &["timeout was reached"],
            &["couldn't connect to server"],
            &["could not connect to server"],
            &["connection refused"],
            &["connection timed out"],
            &["operation timed out"],
            &["resolving timed out"],
        ],
    },
    Entry {
        id: "flake-asks",
        message: "do you want to allow configuration setting '…' to be set to '…' (y/N)?",
        says: "A flake wants to add a cache for this command.",
        causes: &[cause(
            "Its nixConfig names a cache.",
            "",
            "Answer y if you know the cache. It helps only trusted users: for others Nix passes over it, \
             whatever they answer, and the admin has to add the cache.",
            Place::ManagedUser,
        )],
        wordings: &[
            &["do you want to allow configuration setting"],
            &["ignoring untrusted flake configuration setting"],
        ],
    },
];
