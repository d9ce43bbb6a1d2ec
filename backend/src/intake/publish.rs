//! Publishing: what goes beside first, the receipt, then the narinfo, then the index.
//!
//! Killed between any two steps, nothing is visible but what is whole: a listing or a receipt
//! without its narinfo is overwritten by the next try.

use bytes::Bytes;
use snowbank_shared::api::approvals::Notice;
use snowbank_shared::api::{ContentStatus, Finding, Severity};
use snowbank_shared::hash::Sha256;
use snowbank_shared::nar::{Listing, ListingNode};
use snowbank_shared::narinfo::{MAX_BYTES, NarInfo};
use snowbank_shared::store_path::StorePathHash;
use tokio::time::Instant;

use super::examine::Facts;
use super::judge::Voucher;
use super::step::Step;
use super::upstream::Lies;
use super::{Intake, Refusal, SigningMode, Standing, UploadPolicy};
use crate::auth::records::now;
use crate::bucket::{BucketError, BucketErrorKind, ETag, PutOptions};
use crate::condemned::{HOLDS, Kept};
use crate::index::{Change, ChangeToken, ParsedEntry};
use crate::ledger::{Receipt, claims_of};
use crate::site::Cache;

/// Debug links made for one path at most; glibc has some 300.
const MOST_DEBUG_LINKS: usize = 2000;
/// The check whose findings are archives that name what they do not declare.
const UNDECLARED: &str = "undeclared-reference";
/// The check whose findings are archives with something that looks like a secret.
const SECRET: &str = "secret";

/// A path that may be published.
pub(super) struct Publication<'a> {
    pub(super) narinfo: &'a NarInfo,
    pub(super) facts: &'a Facts,
    pub(super) nar_key: &'a str,
    pub(super) voucher: &'a Voucher,
    /// Paths of the cache that it names and does not declare.
    pub(super) undeclared: &'a [String],
    /// Whether the cache adds its own signature.
    pub(super) mode: SigningMode,
}

/// A narinfo that is in the bucket.
pub(super) struct Existing {
    pub(super) narinfo: NarInfo,
    etag: Option<ETag>,
}

impl Intake {
    /// The narinfo that is there; the bucket is asked, not the index.
    pub(super) async fn existing(
        &self,
        cache: &Cache,
        hash: StorePathHash,
    ) -> Result<Option<Existing>, Refusal> {
        let object = match cache.bucket.get_small(&hash.narinfo_key(), MAX_BYTES).await {
            Ok(object) => object,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let narinfo = NarInfo::parse(&object.bytes, &cache.store_dir).map_err(|error| {
            Refusal::conflict(
                "conflict",
                format!(
                    "a broken narinfo lies there already ({error}): an owner has to remove it first"
                ),
            )
        })?;
        Ok(Some(Existing {
            narinfo,
            etag: object.meta.etag,
        }))
    }

    /// Publishes a path. False where another came first.
    pub(super) async fn publish(
        &self,
        standing: &Standing<'_>,
        publication: &Publication<'_>,
    ) -> Result<bool, Refusal> {
        let cache = standing.cache;
        let narinfo = publication.narinfo;
        let hash = narinfo.store_path().hash();
        let stop_at = &self.0.stop_at;
        stop_at.reached(Step::Judged).await;
        let stale = self.beside(cache, publication).await?;
        stop_at.reached(Step::Listing).await;
        let signed = countersigned(cache, narinfo, publication.mode)?;
        let receipt = Receipt {
            path: hash.to_string(),
            nar_hash: format!("sha256:{}", narinfo.nar_hash().to_nix32()),
            nar_key: publication.nar_key.to_owned(),
            nar_etag: None,
            narinfo: Sha256::digest(signed.to_bytes()).to_base16(),
            by: standing.owner.clone(),
            key: publication.voucher.key().map(str::to_owned),
            first_seen: now(),
            verified_at: Some(now()),
            verified_by: Some("upload".to_owned()),
            claims: Some(claims_of(narinfo).to_string()),
            refuted: None,
        };
        let ledger = &self.0.site.ledger;
        ledger
            .receipt(cache.slug.as_str(), &receipt)
            .await
            .map_err(|error| {
                tracing::warn!(%error, "a receipt could not be written");
                Refusal::dependency("the receipt could not be written, so nothing was published: run the same command again")
            })?;
        stop_at.reached(Step::Receipt).await;
        let asked = Instant::now();
        let nar_key = Some(publication.nar_key);
        self.needed(cache, narinfo, nar_key, Look::WhereKept)
            .await?;
        let written = cache
            .bucket
            .put_if_absent(
                &hash.narinfo_key(),
                signed.to_bytes().to_vec().into(),
                &narinfo_options(),
            )
            .await;
        let put = match written {
            Ok(put) => put,
            Err(error) if error.kind() == BucketErrorKind::PreconditionFailed => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        stop_at.reached(Step::Narinfo).await;
        if asked.elapsed() > HOLDS
            && let Err(refusal) = self.needed(cache, narinfo, nar_key, Look::Always).await
        {
            take_back(cache, hash, put.etag.as_ref()).await;
            return Err(refusal);
        }
        // Of a try that did not come to its end, or of another content that did not win.
        if let Some((key, listing)) = stale
            && let Err(error) = cache.bucket.put(&key, listing, &json_options()).await
        {
            tracing::warn!(key, %error, "an old listing stays beside a new path");
        }
        let mut changes = vec![
            Self::shown(cache, signed).await,
            Change::Content(hash, ContentStatus::Verified),
        ];
        changes.extend(undeclared(publication));
        changes.extend(secrets(publication));
        cache.index.apply(changes);
        cache.proofs.note(std::slice::from_ref(&receipt));
        self.told(cache, hash);
        self.0
            .pending
            .published(cache.slug.as_str(), publication.nar_key);
        stop_at.reached(Step::Shown).await;
        tracing::info!(
            request_id = standing.request,
            cache = %cache.slug,
            path = %narinfo.store_path(),
            nar_size = narinfo.nar_size(),
            by = standing.actor,
            client = standing.client.map(tracing::field::display),
            "published"
        );
        Ok(true)
    }

    /// Makes what a narinfo relies on stay, right before it is written: what it refers to and its NAR,
    /// where a run of retention is about to take them out.
    async fn needed(
        &self,
        cache: &Cache,
        narinfo: &NarInfo,
        nar_key: Option<&str>,
        look: Look,
    ) -> Result<(), Refusal> {
        let own = narinfo.store_path().hash();
        let mut paths: Vec<StorePathHash> = narinfo
            .references()
            .map(|reference| reference.hash())
            .filter(|hash| *hash != own)
            .collect();
        paths.push(own);
        let ledger = &self.0.site.ledger;
        let slug = cache.slug.as_str();
        let kept = cache.condemned.keep(ledger, slug, &paths, nar_key).await?;
        if kept == Kept::Untouched && look == Look::WhereKept {
            return Ok(());
        }
        // From here on, what is there stays there.
        if let Some(key) = nar_key
            && cache.bucket.find(key).await?.is_none()
        {
            return Err(Refusal::conflict(
                "nar-missing",
                format!("its archive {key} was taken out meanwhile: run the same command again"),
            ));
        }
        let policy = UploadPolicy::in_force(ledger, slug)?;
        for reference in narinfo.references().filter(|it| it.hash() != own) {
            if cache
                .bucket
                .find(&reference.hash().narinfo_key())
                .await?
                .is_none()
                && !matches!(
                    self.lies_upstream(cache, &policy, reference).await,
                    Lies::Upstream
                )
            {
                return Err(Refusal::conflict(
                    "reference-missing",
                    format!(
                        "reference {reference} was taken out of this cache meanwhile; run again with --refresh, or copy it too"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Writes what lies beside a narinfo, where nothing is. Gives back the listing that another one's
    /// place is taken by: it is written once the path is ours.
    async fn beside(
        &self,
        cache: &Cache,
        publication: &Publication<'_>,
    ) -> Result<Option<(String, Bytes)>, Refusal> {
        let Some(listing) = &publication.facts.inspection.listing else {
            return Ok(None);
        };
        for (key, link) in debug_links(listing, publication.nar_key) {
            written(cache, &key, link.into()).await?;
        }
        self.0.stop_at.reached(Step::Links).await;
        let key = format!("{}.ls", publication.narinfo.store_path().hash());
        let listing = Bytes::from(listing.to_json());
        let new = written(cache, &key, listing.clone()).await?;
        Ok((!new).then_some((key, listing)))
    }

    /// Writes a narinfo over the version that was read.
    pub(super) async fn rewrite(
        &self,
        cache: &Cache,
        existing: &Existing,
        narinfo: &NarInfo,
    ) -> Result<(), BucketError> {
        let hash = narinfo.store_path().hash();
        let bytes = narinfo.to_bytes().to_vec().into();
        let options = narinfo_options();
        self.0.stop_at.reached(Step::Merged).await;
        match &existing.etag {
            Some(etag) => {
                cache
                    .bucket
                    .put_if_match(&hash.narinfo_key(), bytes, &options, etag)
                    .await?
            }
            None => {
                cache
                    .bucket
                    .put(&hash.narinfo_key(), bytes, &options)
                    .await?
            }
        };
        self.0.stop_at.reached(Step::Rewritten).await;
        let shown = Self::shown(cache, narinfo.clone()).await;
        cache.index.apply(vec![shown]);
        self.told(cache, hash);
        Ok(())
    }

    /// The change by which the index shows a narinfo that was just written.
    async fn shown(cache: &Cache, narinfo: NarInfo) -> Change {
        let key = narinfo.store_path().hash().narinfo_key();
        // As the next listing will have it, so that the sweep does not fetch it again. Without an
        // answer it does.
        let token = match cache.bucket.head(&key).await {
            Ok(meta) => ChangeToken::from(&meta),
            Err(_) => ChangeToken::written(narinfo.to_bytes().len() as u64, None),
        };
        let judgement = cache.index.key_ring().judge(&narinfo);
        Change::Put(Box::new(ParsedEntry {
            narinfo,
            judgement,
            token,
            // Of a path that is known the index keeps the first.
            added_at: now(),
        }))
    }

    /// Who else has to know: those who wait for it, and the other replicas.
    fn told(&self, cache: &Cache, hash: StorePathHash) {
        cache.lookups.forget(&hash);
        self.0
            .site
            .ledger
            .announce(cache.slug.as_str(), &hash.narinfo_key());
    }
}

/// When the bucket is asked for what a narinfo relies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Where a run had something to do with it.
    WhereKept,
    /// Always: a run may have come and gone.
    Always,
}

/// Deletes a narinfo that was written a moment ago, where nobody wrote it since.
async fn take_back(cache: &Cache, hash: StorePathHash, written: Option<&ETag>) {
    let key = hash.narinfo_key();
    let deleted = match written {
        Some(etag) => cache.bucket.delete_if_match(&key, etag).await,
        None => cache.bucket.delete(&key).await,
    };
    if let Err(error) = deleted {
        tracing::warn!(cache = %cache.slug, key, %error, "a narinfo whose archive or references were taken out while it was written is still there: see Health");
    }
}

/// Writes some JSON where nothing is; false where something is.
async fn written(cache: &Cache, key: &str, bytes: Bytes) -> Result<bool, Refusal> {
    match cache
        .bucket
        .put_if_absent(key, bytes, &json_options())
        .await
    {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == BucketErrorKind::PreconditionFailed => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn json_options() -> PutOptions {
    PutOptions::of_type("application/json")
}

fn narinfo_options() -> PutOptions {
    PutOptions::of_type("text/x-nix-narinfo")
}

/// The narinfo with the cache's own signature, where it is to have one and the cache has a secret key.
fn countersigned(cache: &Cache, narinfo: &NarInfo, mode: SigningMode) -> Result<NarInfo, Refusal> {
    let mut signed = narinfo.clone();
    if mode == SigningMode::CounterSign {
        // Two where one key takes over from another.
        for signer in cache.keys.signers() {
            let signature = signer.sign(narinfo.fingerprint().as_bytes());
            signed = signed.add_signature(&signature)?;
        }
    }
    Ok(signed)
}

/// What looks like a secret in an archive, for Health.
fn secrets(publication: &Publication<'_>) -> Option<Change> {
    let text = secrets_in_words(publication.facts)?;
    Some(finding(publication, SECRET, text))
}

fn secrets_in_words(facts: &Facts) -> Option<String> {
    let found = &facts.inspection.secrets;
    let first = found.first()?;
    let more = match found.len() - 1 {
        0 => String::new(),
        more => format!(", and so do {more} more of its files"),
    };
    let file = if first.file.is_empty() {
        "the path itself"
    } else {
        &first.file
    };
    Some(format!(
        "{file} looks like {}{more}: whoever can read this cache can read it",
        first.kind
    ))
}

/// A warning about a path.
fn finding(publication: &Publication<'_>, check: &str, reason: String) -> Change {
    let hash = publication.narinfo.store_path().hash();
    Change::Finding(Finding {
        check: check.to_owned(),
        severity: Severity::Warning,
        object: hash.narinfo_key(),
        line: None,
        reason,
        hash: Some(hash.to_string()),
    })
}

/// What was noticed about an archive, for who decides on it.
pub(super) fn notices(facts: &Facts, undeclared: &[String]) -> Vec<Notice> {
    let notice = |check: &str, text| Notice {
        check: check.to_owned(),
        text,
    };
    let undeclared = undeclared_in_words(undeclared).map(|text| notice(UNDECLARED, text));
    let secrets = secrets_in_words(facts).map(|text| notice(SECRET, text));
    undeclared.into_iter().chain(secrets).collect()
}

/// What an archive names and its narinfo does not declare, for Health.
fn undeclared(publication: &Publication<'_>) -> Option<Change> {
    let text = undeclared_in_words(publication.undeclared)?;
    Some(finding(publication, UNDECLARED, text))
}

fn undeclared_in_words(undeclared: &[String]) -> Option<String> {
    let first = undeclared.first()?;
    let more = match undeclared.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "its archive names {first}{more}, which its References do not declare: clients may run it without them"
    ))
}

/// The links of `debuginfo/` that an archive's debug files get (PROTOCOL.md §9), as key and text.
fn debug_links(listing: &Listing, nar_key: &str) -> Vec<(String, String)> {
    const FOLDER: &str = "lib/debug/.build-id";
    let Some(ListingNode::Directory { entries }) = listing.find(FOLDER.as_bytes()) else {
        return Vec::new();
    };
    let is_hex = |text: &str| {
        text.bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let mut links = Vec::new();
    for (first, node) in entries {
        let (Some(first), ListingNode::Directory { entries }) = (first.as_str(), node) else {
            continue;
        };
        for (file, _) in entries {
            let Some(rest) = file.as_str().and_then(|name| name.strip_suffix(".debug")) else {
                continue;
            };
            let fine = first.len() == 2 && is_hex(first) && rest.len() == 38 && is_hex(rest);
            if fine && links.len() < MOST_DEBUG_LINKS {
                links.push((
                    format!("debuginfo/{first}{rest}.debug"),
                    serde_json::json!({
                        "archive": format!("../{nar_key}"),
                        "member": format!("{FOLDER}/{first}/{rest}.debug"),
                    })
                    .to_string(),
                ));
            }
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;
    use snowbank_shared::nar::{Inspector, ListingLimits, NarWriter};

    #[test]
    fn debug_files_get_their_links() {
        let id = "623e79e2c4ba2e4b3d0ff0f0a1b2c3d4e5f607".to_owned();
        assert_eq!(id.len(), 38);
        let mut archive = Vec::new();
        let mut writer = NarWriter::new(|bytes: &[u8]| archive.extend_from_slice(bytes));
        let mut deeper = |name: &str| {
            writer.directory().expect("a directory");
            writer.entry(name.as_bytes()).expect("an entry");
        };
        for name in ["lib", "debug", ".build-id", "02", &format!("{id}.debug")] {
            deeper(name);
        }
        writer.file(b"x", false).expect("a file");
        for _ in 0..5 {
            writer.end().expect("an end");
        }
        writer.finish().expect("an archive");
        let mut inspector = Inspector::new(ListingLimits::default());
        inspector.push(&archive).expect("an archive");
        let listing = inspector
            .finish()
            .expect("whole")
            .listing
            .expect("a listing");
        let links = debug_links(&listing, "nar/x.nar.xz");
        assert_eq!(links.len(), 1);
        assert_eq!(links[0].0, format!("debuginfo/02{id}.debug"));
        let link: serde_json::Value = serde_json::from_str(&links[0].1).expect("JSON");
        assert_eq!(link["archive"], "../nar/x.nar.xz");
        assert_eq!(link["member"], format!("lib/debug/.build-id/02/{id}.debug"));
    }
}
