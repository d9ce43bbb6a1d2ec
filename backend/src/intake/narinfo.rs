//! `PUT HASH.narinfo`: the last object of a path, and the one that publishes it.

use std::sync::Arc;

use http::StatusCode;
use snowbank_shared::narinfo::{MAX_BYTES, NarInfo};
use snowbank_shared::signature::Signature;
use snowbank_shared::store_path::StorePathHash;

use super::body::Upload;
use super::examine::Facts;
use super::judge::{self, Verified};
use super::publish::{Existing, Publication};
use super::receive::room;
use super::{Intake, Refusal, Sender, UploadPolicy, permitted};
use crate::bucket::BucketErrorKind;

/// Signatures of a narinfo at most.
const MOST_SIGNATURES: usize = 16;
/// How often a narinfo is read again that another writer changed meanwhile.
const TRIES: usize = 5;

impl Intake {
    /// Takes a narinfo.
    pub(super) async fn narinfo(
        &self,
        sender: &Sender<'_>,
        hash: StorePathHash,
        upload: &mut Upload,
    ) -> Result<(), Refusal> {
        let cache = sender.cache;
        let bytes = upload
            .whole(MAX_BYTES, super::content_encoding(sender.request))
            .await?;
        let narinfo = NarInfo::parse_strict(&bytes, &cache.store_dir)?;
        narinfo.check_key(hash)?;
        let site = &self.0.site;
        if !site.ledger.freshness().may_publish() {
            return Err(Refusal::dependency(
                "who may upload could not be read for a minute: nothing is published until it can",
            ));
        }
        let policy = UploadPolicy::of(&site.ledger, cache.slug.as_str());
        for _ in 0..TRIES {
            let done = match self.existing(cache, hash).await? {
                Some(existing) => self.again(sender, &narinfo, &existing, &policy).await?,
                None => self.first(sender, &narinfo, &policy).await?,
            };
            if done {
                return Ok(());
            }
        }
        Err(Refusal::conflict(
            "busy",
            "others write this narinfo at the same moment: run the same command again",
        ))
    }

    /// A path that is not here yet. False where it has come meanwhile.
    async fn first(
        &self,
        sender: &Sender<'_>,
        narinfo: &NarInfo,
        policy: &UploadPolicy,
    ) -> Result<bool, Refusal> {
        let cache = sender.cache;
        let key = narinfo.nar_key().into_owned();
        // What costs nothing first: who may not publish it has nothing to wait for.
        if !narinfo.is_content_addressed() {
            self.signer(sender, narinfo, policy)?;
        }
        room(cache, None).await?;
        let facts = self.facts(sender, &key).await?;
        judge::of_archive(narinfo, &facts)?;
        let voucher = self.voucher(sender, narinfo, &key, policy).await?;
        self.references(sender, narinfo).await?;
        let undeclared = Self::undeclared(cache, narinfo, &facts);
        if policy.refuse_undeclared_references
            && let Some(first) = undeclared.first()
        {
            return Err(Refusal::unprocessable(
                "undeclared-reference",
                format!("its archive names {first}, which its References do not"),
            ));
        }
        self.upstreams_agree(cache, narinfo).await?;
        let publication = Publication {
            narinfo,
            facts: &facts,
            nar_key: &key,
            voucher: &voucher,
            undeclared: &undeclared,
        };
        // It may have taken minutes to come here.
        self.still_may(sender, narinfo, policy, &voucher).await?;
        self.publish(sender, &publication).await
    }

    /// What is known of the archive: from when it came, else by looking at it now.
    pub(super) async fn facts(
        &self,
        sender: &Sender<'_>,
        key: &str,
    ) -> Result<Arc<Facts>, Refusal> {
        let cache = sender.cache;
        if let Some(facts) = self.0.pending.facts(cache.slug.as_str(), key) {
            // It may have been taken away since.
            let there = cache.bucket.find(key).await?;
            if there.is_some_and(|meta| meta.size == facts.file_size) {
                return Ok(facts);
            }
        }
        self.facts_of_stored(cache, key).await?.ok_or_else(|| {
            Refusal::conflict(
                "nar-missing",
                format!("its archive {key} is not here: it has to come before the narinfo; run the same command again"),
            )
        })
    }

    /// The same questions once more, right before it is published: keys and tokens end at any moment.
    async fn still_may(
        &self,
        sender: &Sender<'_>,
        narinfo: &NarInfo,
        policy: &UploadPolicy,
        voucher: &judge::Voucher,
    ) -> Result<(), Refusal> {
        let site = &self.0.site;
        let caller = site.access.patient_caller(&sender.request.headers).await;
        permitted(sender.cache, &caller)?;
        if *voucher != judge::Voucher::ContentAddress {
            self.signer(sender, narinfo, policy)?;
        }
        if site.ledger.freshness().may_publish() {
            Ok(())
        } else {
            Err(Refusal::dependency(
                "who may upload cannot be read at the moment",
            ))
        }
    }

    /// A path that is here: the same again adds signatures, another is refused. False where it was
    /// changed meanwhile.
    async fn again(
        &self,
        sender: &Sender<'_>,
        narinfo: &NarInfo,
        existing: &Existing,
        policy: &UploadPolicy,
    ) -> Result<bool, Refusal> {
        let there = &existing.narinfo;
        let same_references = {
            let mut one: Vec<_> = narinfo.references().collect();
            let mut two: Vec<_> = there.references().collect();
            one.sort_unstable();
            one.dedup();
            two.sort_unstable();
            two.dedup();
            one == two
        };
        if narinfo.store_path() != there.store_path()
            || narinfo.nar_hash() != there.nar_hash()
            || narinfo.nar_size() != there.nar_size()
            || !same_references
        {
            self.note_conflict(sender, narinfo, there, policy).await;
            let page = format!(
                "c/{}/conflicts/{}",
                sender.cache.slug,
                there.store_path().hash()
            );
            return Err(Refusal::conflict(
                "conflict",
                format!(
                    "{} is here with other content (NarHash sha256:{}): the first stays. Builds that differ are not reproducible; see its page {}",
                    there.store_path(),
                    there.nar_hash().to_nix32(),
                    self.0.site.public_url.join(&page)
                ),
            ));
        }
        let mut merged = there.clone();
        let fingerprint = narinfo.fingerprint();
        for text in narinfo.signatures() {
            if merged.signatures().any(|known| known == text) {
                continue;
            }
            let Ok(parts) = text.parse::<Signature>() else {
                continue;
            };
            let name = narinfo.store_path().name();
            let good = match self.verified(sender.cache, &parts, fingerprint.as_bytes()) {
                Verified::Contributor(contributor) => contributor
                    .may_publish(sender.cache.slug.as_str(), name, narinfo.nar_size())
                    .is_ok(),
                Verified::Known(_) | Verified::Own(_) => true,
                Verified::No(_) => false,
            };
            if !good {
                continue;
            }
            if merged.signatures().len() >= MOST_SIGNATURES {
                return Err(Refusal::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "too-many-signatures",
                    format!("a narinfo has at most {MOST_SIGNATURES} signatures here"),
                ));
            }
            merged = merged.add_signature(&parts)?;
        }
        if merged.to_bytes() == there.to_bytes() {
            return Ok(true);
        }
        match self.rewrite(sender.cache, existing, &merged).await {
            Ok(()) => Ok(true),
            Err(error)
                if error.kind() == BucketErrorKind::PreconditionFailed || error.is_not_found() =>
            {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}
