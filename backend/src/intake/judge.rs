//! Whether a narinfo may be published: what it says of its archive, what it refers to, who
//! vouches for it.

use std::collections::BTreeSet;

use futures_util::StreamExt as _;
use snowbank_shared::api::approvals::WaitsFor;
use snowbank_shared::api::{KeyPurpose, KeyState};
use snowbank_shared::hash::HashAlgorithm;
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::Signature;
use snowbank_shared::store_path::StorePathHash;

use super::examine::Facts;
use super::upstream::Lies;
use super::{Intake, Refusal, SigningMode, Standing, UploadPolicy, waiting};
use crate::site::Cache;

/// References looked up in the bucket at once.
const AT_ONCE: usize = 16;

/// Who vouches for a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Voucher {
    /// A contributor's key, `name:base64`.
    Contributor(String),
    /// A key that an upstream of the configuration is known by; where relaying is allowed, the cache's.
    Known(String),
    /// Its content address.
    ContentAddress,
}

impl Voucher {
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Self::Contributor(key) | Self::Known(key) => Some(key),
            Self::ContentAddress => None,
        }
    }
}

/// Holds what a narinfo says against what its archive is.
pub(super) fn of_archive(narinfo: &NarInfo, facts: &Facts) -> Result<(), Refusal> {
    if narinfo.codec() != Some(facts.codec) {
        return Err(Refusal::unprocessable(
            "bad-compression",
            format!(
                "Compression says {} and the archive is packed with {}",
                narinfo.compression(),
                facts.codec
            ),
        ));
    }
    if let Some(hash) = narinfo.file_hash() {
        let fits = match hash.as_sha256() {
            Some(hash) => hash == facts.file_hash,
            // Whatever else it is, it is not what the name of the archive says.
            None => false,
        };
        if !fits {
            return Err(Refusal::unprocessable(
                "file-hash-mismatch",
                format!(
                    "FileHash says {hash} and the archive has sha256:{}",
                    facts.file_hash.to_nix32()
                ),
            ));
        }
    }
    if let Some(size) = narinfo.file_size()
        && size != facts.file_size
    {
        return Err(Refusal::unprocessable(
            "file-size-mismatch",
            format!(
                "FileSize says {size} and the archive has {} bytes",
                facts.file_size
            ),
        ));
    }
    let found = &facts.inspection;
    if narinfo.nar_size() != found.nar_size {
        return Err(Refusal::unprocessable(
            "nar-size-mismatch",
            format!(
                "NarSize says {} and the archive unpacks to {} bytes",
                narinfo.nar_size(),
                found.nar_size
            ),
        ));
    }
    if narinfo.nar_hash() != found.nar_hash {
        return Err(Refusal::unprocessable(
            "nar-hash-mismatch",
            format!(
                "the content differs: NarHash says sha256:{} and the archive has sha256:{}. Check the path with `nix store verify`, and build it again where that fails",
                narinfo.nar_hash().to_nix32(),
                found.nar_hash.to_nix32()
            ),
        ));
    }
    Ok(())
}

/// Something that is said and signed: a path by its narinfo, or to which path an output came.
pub(super) struct Claim<'a> {
    /// The path's name.
    pub(super) name: &'a str,
    /// Its NarSize, bytes.
    pub(super) nar_size: u64,
    /// The texts that a signature may be over.
    pub(super) fingerprints: Vec<String>,
    pub(super) signatures: Vec<Signature>,
    /// What to say where there is no signature.
    pub(super) unsigned: String,
}

impl<'a> Claim<'a> {
    /// What a narinfo says of its path.
    fn of(narinfo: &'a NarInfo) -> Self {
        Self {
            name: narinfo.store_path().name(),
            nar_size: narinfo.nar_size(),
            fingerprints: vec![narinfo.fingerprint()],
            signatures: narinfo
                .signatures()
                .filter_map(|text| text.parse().ok())
                .collect(),
            unsigned: format!(
                "{} has no signature: sign it with a key that you registered, `nix store sign -k FILE -r PATH`, or copy with ?secret-key=FILE",
                narinfo.store_path()
            ),
        }
    }
}

impl Intake {
    /// Whether everything that a path refers to is here, or on an upstream that may have it. What is
    /// not, and waits by the same uploader, is waited for, and so is an upstream that does not answer.
    pub(super) async fn references(
        &self,
        standing: &Standing<'_>,
        narinfo: &NarInfo,
        policy: &UploadPolicy,
    ) -> Result<Option<WaitsFor>, Refusal> {
        let cache = standing.cache;
        let own = narinfo.store_path().hash();
        let missing: Vec<StorePathHash> = {
            let view = cache.index.view();
            narinfo
                .references()
                .map(|reference| reference.hash())
                .filter(|hash| *hash != own && view.find(hash).is_none())
                .collect()
        };
        let mut looks = futures_util::stream::iter(missing)
            .map(|hash| async move {
                if cache.bucket.find(&hash.narinfo_key()).await?.is_some() {
                    return Ok(None);
                }
                let mut named = narinfo.references();
                let lies = match named.find(|reference| reference.hash() == hash) {
                    Some(reference) => self.lies_upstream(cache, policy, reference).await,
                    None => Lies::Nowhere,
                };
                Ok::<_, Refusal>(match lies {
                    Lies::Upstream => None,
                    Lies::Nowhere => Some((hash, None)),
                    Lies::Unanswered(waits) => Some((hash, Some(waits))),
                })
            })
            .buffered(AT_ONCE);
        let (mut absent, mut waits) = (None, None);
        let view = self.0.site.ledger.view();
        while let Some(look) = looks.next().await {
            let Some((hash, upstream)) = look? else {
                continue;
            };
            let reference = waiting::of_path(&view, cache.slug.as_str(), hash, &standing.owner)
                .map(|path| WaitsFor::Reference { path });
            match reference.or(upstream) {
                Some(first) => waits = waits.or(Some(first)),
                None => {
                    absent = Some(hash);
                    break;
                }
            }
        }
        drop(looks);
        let Some(absent) = absent else {
            return Ok(waits);
        };
        let references: Vec<StorePathHash> = narinfo
            .references()
            .map(|reference| reference.hash())
            .collect();
        let circle =
            self.0
                .pending
                .goes_in_a_circle(cache.slug.as_str(), &standing.owner, own, &references);
        if circle {
            return Err(Refusal::unprocessable(
                "reference-cycle",
                format!(
                    "{} refers to itself by way of others: clients crash on that",
                    narinfo.store_path()
                ),
            ));
        }
        let name = narinfo
            .references()
            .find(|reference| reference.hash() == absent)
            .map_or_else(|| absent.to_string(), |reference| reference.to_string());
        Err(Refusal::conflict(
            "reference-missing",
            format!(
                "reference {name} is not in this cache; run again with --refresh, or copy it too"
            ),
        ))
    }

    /// Paths of this cache that an archive names and its narinfo does not declare.
    pub(super) fn undeclared(cache: &Cache, narinfo: &NarInfo, facts: &Facts) -> Vec<String> {
        let own = narinfo.store_path().hash();
        let declared: BTreeSet<StorePathHash> = narinfo
            .references()
            .map(|reference| reference.hash())
            .collect();
        let view = cache.index.view();
        facts
            .inspection
            .mentions
            .found()
            .filter(|hash| *hash != own && !declared.contains(hash))
            .filter_map(|hash| view.find(&hash))
            .map(|id| {
                let row = view.row(id);
                format!("{}-{}", row.hash, row.name)
            })
            .collect()
    }

    /// Who vouches for a path: a signature that verifies under a key that may sign it, or a content
    /// address that its content has.
    pub(super) async fn voucher(
        &self,
        standing: &Standing<'_>,
        narinfo: &NarInfo,
        key: &str,
        policy: &UploadPolicy,
    ) -> Result<Voucher, Refusal> {
        let cache = standing.cache;
        let by_content = match narinfo.ca() {
            Some(ca) if narinfo.is_content_addressed() => {
                let own = narinfo.store_path().hash();
                if !self.content_is(cache, key, &ca, own).await? {
                    return Err(Refusal::unprocessable(
                        "ca-hash-mismatch",
                        format!("CA says {ca}, and the archive's content has another hash"),
                    ));
                }
                // Two contents of one md5 or sha1 can be made.
                matches!(
                    ca.hash.algorithm(),
                    HashAlgorithm::Sha256 | HashAlgorithm::Sha512
                )
            }
            _ => false,
        };
        match self.signer(standing, narinfo, policy) {
            Ok(voucher) => Ok(voucher),
            Err(_) if by_content => Ok(Voucher::ContentAddress),
            Err(refusal) => Err(refusal),
        }
    }

    /// The key that signed a path and may.
    pub(super) fn signer(
        &self,
        standing: &Standing<'_>,
        narinfo: &NarInfo,
        policy: &UploadPolicy,
    ) -> Result<Voucher, Refusal> {
        self.signer_of(standing, &Claim::of(narinfo), policy)
    }

    /// The key that signed what is said and may.
    pub(super) fn signer_of(
        &self,
        standing: &Standing<'_>,
        claim: &Claim<'_>,
        policy: &UploadPolicy,
    ) -> Result<Voucher, Refusal> {
        let cache = standing.cache;
        let mut why: Option<Refusal> = None;
        let mut known = None;
        for parts in &claim.signatures {
            match self.verified_of(cache, parts, &claim.fingerprints) {
                Verified::Contributor(contributor) => {
                    let allowed = contributor
                        .may_publish(cache.slug.as_str(), claim.name, claim.nar_size)
                        .map_err(|refusal| Refusal::forbidden("key-refused", refusal.to_string()))
                        .and_then(|()| {
                            owns(
                                standing.member.as_deref(),
                                &contributor.owner,
                                contributor.key.name(),
                                policy,
                            )
                        });
                    match allowed {
                        Ok(()) => return Ok(Voucher::Contributor(contributor.key.to_string())),
                        // What is wrong with a good signature says more than that another is unknown.
                        Err(refusal) => why = Some(refusal),
                    }
                }
                Verified::Known(key) => known = Some(Voucher::Known(key)),
                // It vouched once; what was taken out of the cache must not come back by that.
                Verified::Own(key) if policy.relay => known = Some(Voucher::Known(key)),
                Verified::Own(key) => {
                    why.get_or_insert(Refusal::forbidden(
                        "bad-signature",
                        format!("only the cache's own key {key} has signed it: sign it with yours"),
                    ));
                }
                Verified::No(refusal) => {
                    why.get_or_insert(refusal);
                }
            }
        }
        match (known, why) {
            (Some(voucher), _) => Ok(voucher),
            (None, Some(refusal)) => Err(refusal),
            (None, None) => Err(Refusal::forbidden("bad-signature", &claim.unsigned)),
        }
    }

    /// Whether the cache can do what its policy says: add its own signature, where clients need one.
    pub(super) fn can_sign(
        &self,
        cache: &Cache,
        narinfo: &NarInfo,
        policy: &UploadPolicy,
        voucher: &Voucher,
    ) -> Result<(), Refusal> {
        let needs_none =
            policy.mode == SigningMode::PassThrough || *voucher == Voucher::ContentAddress;
        if needs_none || cache.signer().is_some() {
            return Ok(());
        }
        let fingerprint = narinfo.fingerprint();
        let mut signatures = narinfo.signatures().filter_map(|text| text.parse().ok());
        let own = signatures.any(|parts| {
            let verified = self.verified(cache, &parts, fingerprint.as_bytes());
            matches!(verified, Verified::Own(_))
        });
        match own {
            true => Ok(()),
            false => Err(Refusal::no_signing_key()),
        }
    }

    /// The same as [`verified`](Self::verified), where a signature may be over one of several texts.
    pub(super) fn verified_of(
        &self,
        cache: &Cache,
        parts: &Signature,
        fingerprints: &[String],
    ) -> Verified {
        let mut verified = fingerprints
            .iter()
            .map(|text| self.verified(cache, parts, text.as_bytes()));
        let first = verified.next();
        match first {
            Some(Verified::No(refusal)) => verified
                .find(|verified| !matches!(verified, Verified::No(_)))
                .unwrap_or(Verified::No(refusal)),
            Some(good) => good,
            None => Verified::No(Refusal::forbidden(
                "bad-signature",
                "there is nothing that it could be over",
            )),
        }
    }

    /// Whether a signature is by a key that is known, whatever that key may do.
    pub(super) fn verified(
        &self,
        cache: &Cache,
        parts: &Signature,
        fingerprint: &[u8],
    ) -> Verified {
        let name = parts.key_name();
        let mismatch = || {
            Verified::No(Refusal::forbidden(
                "bad-signature",
                format!(
                    "the signature by {name} does not match: was it made for another path, or before this one changed? Sign it again"
                ),
            ))
        };
        let ring = cache.key_ring();
        let configured = ring.keys().iter().find(|known| {
            known.key.name() == name
                && matches!(known.purpose, KeyPurpose::Cache | KeyPurpose::Upstream)
                && known.state == KeyState::Active
                && (known.purpose == KeyPurpose::Cache || cache.trusts(&known.key))
        });
        if let Some(known) = configured {
            let key = known.key.to_string();
            return match known.key.verifies(fingerprint, parts.bytes()) {
                true if known.purpose == KeyPurpose::Cache => Verified::Own(key),
                true => Verified::Known(key),
                false => mismatch(),
            };
        }
        match self.0.site.access.contributor(name) {
            Some(contributor) if contributor.key.verifies(fingerprint, parts.bytes()) => {
                Verified::Contributor(Box::new(contributor))
            }
            Some(_) => mismatch(),
            None => Verified::No(Refusal::forbidden(
                "bad-signature",
                format!(
                    "nobody registered the key {name} here: register it, or sign with one of yours"
                ),
            )),
        }
    }
}

/// What a signature is.
pub(super) enum Verified {
    /// By this contributor's key.
    Contributor(Box<crate::auth::Contributor>),
    /// By a key of an upstream, `name:base64`.
    Known(String),
    /// By a key of this cache, `name:base64`.
    Own(String),
    /// By nobody who is known, or for something else.
    No(Refusal),
}

/// Whether the uploader is the one whose key it is. Without this, whoever once got hold of somebody's
/// signature could publish in their name.
pub(super) fn owns(
    uploader: Option<&str>,
    owner: &str,
    key: &str,
    policy: &UploadPolicy,
) -> Result<(), Refusal> {
    if policy.relay || uploader == Some(owner) {
        return Ok(());
    }
    Err(Refusal::forbidden(
        "not-your-key",
        format!("key {key} belongs to {owner}: sign with one of yours, or let {owner} upload it"),
    ))
}
