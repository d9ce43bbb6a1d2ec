//! What each check of the health page means, and what to do about its findings.

/// Meaning and remedy of a check, by its code. A code of a newer server has general ones.
pub fn of(check: &str) -> (&'static str, &'static str) {
    const UPLOAD_AGAIN: &str =
        "Copy the path into the cache again from a machine that has it, or remove its narinfo.";
    const NEVER_SERVED: &str = "Clients are never served such a narinfo, because it makes some versions of Nix crash or refuse it.";
    match check {
        "nar-missing" => (
            "There is no object at the narinfo's URL. A client that trusts the signature fails hard when it fetches the path.",
            UPLOAD_AGAIN,
        ),
        "nar-hash-mismatch" => (
            "The bytes behind the URL are not those that NarHash names. Clients notice and fail.",
            UPLOAD_AGAIN,
        ),
        "file-size-mismatch" => (
            "The object is longer or shorter than FileSize says: an upload that broke off, or a file that was replaced. No signature covers FileSize.",
            UPLOAD_AGAIN,
        ),
        "url-disagreement" => (
            "One NAR URL, two different contents: two narinfos name one NAR and do not agree what is in it, so at least one of them is wrong. Both signatures can be valid, because none covers the URL. A client that fetches the wrong one finds that the bytes are not those of NarHash, and fails.",
            "Find out which of the two the NAR belongs to, and copy the other path into the cache again.",
        ),
        "reference-missing" => (
            "A path refers to one that is not in this cache. Clients that use only this cache cannot install it.",
            "Copy the whole closure into the cache, or keep the cache beside one that has the rest.",
        ),
        "reference-cycle" => (
            "Paths that refer to one another in a circle. Nix aborts when it substitutes them.",
            "Build the paths again. A circle is only made by rewriting narinfos by hand.",
        ),
        "invalid-signature" => (
            "The key is known and the check failed: StorePath, NarHash, NarSize or References are not what was signed.",
            "Find out what was changed. Sign the path again only if you know where its content is from.",
        ),
        "malformed-signature" => (
            "A Sig line is not a name, a colon and 64 bytes in base64. Some versions of Nix refuse the whole narinfo.",
            "Remove the line, or sign the path again.",
        ),
        "key-name-clash" => (
            "Several known keys share the name. Nix uses the first that it is told of, silently.",
            "Give one of the keys another name, and sign its paths again.",
        ),
        "revoked-signature" => (
            "Signed only by a key that is suspended or revoked. Clients that still trust it accept the path.",
            "Verify the path and sign it with the key that is in use, or remove it.",
        ),
        "quarantined" => (
            "An owner holds the path back: clients get 404, and nobody may upload it again with this content.",
            "Lift it on its page or under Quarantine once the doubt is settled, or leave it there.",
        ),
        "purged" => (
            "The content was taken out for ever, and lies in the bucket: the purge was broken off, or somebody put it there again past this server. Clients are not served it.",
            "Purge it again on its page. Where somebody wrote it again, find out who.",
        ),
        "unsigned" => (
            "Without a signature clients refuse the path, unless it is content-addressed.",
            "Sign it with a key that your machines trust: nix store sign.",
        ),
        "undeclared-reference" => (
            "The archive names another path of this cache that its References do not: clients may fetch the one without the other.",
            "Where the path is a disk image, that is meant. Otherwise build it again.",
        ),
        "secret" => (
            "A text file in the archive looks like a private key or a token. Whoever can read the cache can read it.",
            "Where it is one, change it at its source now, then purge the path on its page. Test data can stay.",
        ),
        "orphan-nar" => (
            "A NAR that no narinfo names: an upload that broke off, or a narinfo that was removed. It costs storage and does no harm.",
            "Remove it here once it is older than eight days: by then no upload still wants it.",
        ),
        "nar-in-trash" => (
            "A retention run took out its paths and keeps the NAR until its grace time is over, so that the run can be undone.",
            "Nothing to do: it is deleted when the time is over, or its paths come back with an undo.",
        ),
        "unfinished-upload" => (
            "An upload in parts was begun over a day ago and never completed. Its parts cost storage and show in no listing.",
            "Give it up here, or let a lifecycle rule abort incomplete multipart uploads after a few days.",
        ),
        "content-encoding" => (
            "A narinfo is stored compressed, and its header does not say so, or says what is not understood.",
            "Write it again with the right Content-Encoding, or uncompressed.",
        ),
        "bad-narinfo" => (
            "The object cannot be read as a narinfo, or it is odd in a way that some versions of Nix read otherwise.",
            UPLOAD_AGAIN,
        ),
        "narinfo-refused" => (
            "The store did not hand the object out.",
            "Allow the server to read it: s3:GetObject for the whole prefix.",
        ),
        "narinfo-name" => (
            "An object ends in .narinfo and is not named by a hash. No client ever asks for it.",
            "Remove it, or name it by the hash part of its store path.",
        ),
        "cache-info" => (
            "nix-cache-info is missing, cannot be read, or names another store directory. Clients of plain S3 need it.",
            "Write it at the root of the cache. This server answers with its own meanwhile.",
        ),
        "priority-tie" => (
            "An upstream has the same priority as this cache. Clients that use both ask whichever stands first in their configuration, and two machines can differ.",
            "Give this cache a priority of its own in the server's configuration: the smaller one is asked first.",
        ),
        "many-removed" => (
            "The listing lacks so many paths at once that a second one has to agree before they are taken out.",
            "If nobody removed them, look at the bucket: a wrong prefix, a rule that expires objects, a broken listing.",
        ),
        "bucket-lifecycle" => (
            "The store deletes objects of this cache by their age, or moves them to where they cannot be read. Paths stay listed while their contents are gone.",
            "Take these rules away. Those that give up unfinished uploads or delete noncurrent versions may stay.",
        ),
        "bucket-lock" => (
            "New objects are locked for a while: nothing can be deleted before, a leaked secret neither.",
            "Take the default retention off the bucket, unless it is meant.",
        ),
        "bucket-class" => (
            "Objects of this cache lie in an archive class, where clients cannot read them.",
            "Restore them, and take the rule away that moves them.",
        ),
        "bucket-clock" => (
            "The store's clock and this machine's differ. From 15 minutes on the store refuses every signed request.",
            "Set this machine's clock by NTP.",
        ),
        "state-record" => (
            "A setting, pin or plan of this cache cannot be believed: somebody changed the server's state past the server.",
            "Find out who writes into the state area. Then settle it: snowbank state check --settle with its path.",
        ),
        "bad-url" => (
            "The URL leads out of the cache or has no safe form.",
            UPLOAD_AGAIN,
        ),
        "duplicate-field" => (
            "A field stands there twice. Versions of Nix differ in which they believe.",
            UPLOAD_AGAIN,
        ),
        "unsupported-compression" => ("Nix has no name for this Compression.", UPLOAD_AGAIN),
        "key-mismatch" => (
            "The narinfo's StorePath is not the one that its object is named by.",
            UPLOAD_AGAIN,
        ),
        "ca-path-mismatch" | "ca-with-references" => (
            "The store path does not follow from the content address that the narinfo claims.",
            UPLOAD_AGAIN,
        ),
        "store-path-not-canonical" => (NEVER_SERVED, UPLOAD_AGAIN),
        _ => (
            "The reason stands beside each finding.",
            "Look at the object, and copy the path into the cache again where it is damaged.",
        ),
    }
}
