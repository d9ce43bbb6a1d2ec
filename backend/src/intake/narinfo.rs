//! `PUT HASH.narinfo`: the last object of a path, and the one that publishes it.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::StatusCode;
use snowbank_shared::api::approvals::WaitsFor;
use snowbank_shared::narinfo::{MAX_BYTES, NarInfo};
use snowbank_shared::signature::Signature;
use snowbank_shared::store_path::StorePathHash;

use super::body::Upload;
use super::examine::Facts;
use super::judge::{self, Verified, Voucher};
use super::publish::{Existing, Publication};
use super::upstream::Agreed;
use super::waiting::Needs;
use super::{Intake, Refusal, Sender, SigningMode, Standing, UploadPolicy, permitted};
use crate::bucket::BucketErrorKind;
use crate::site::Cache;

/// Signatures of a narinfo at most.
pub(super) const MOST_SIGNATURES: usize = 16;
/// How often a narinfo is read again that another writer changed meanwhile.
pub(super) const TRIES: usize = 5;

/// What became of a narinfo.
enum Became {
    /// It is published, or was before.
    Published,
    /// It waits; a line for who sent it.
    Waiting(String),
    /// Another writer was faster: look again.
    Changed,
}

impl From<bool> for Became {
    /// Whether it was done.
    fn from(done: bool) -> Self {
        if done { Self::Published } else { Self::Changed }
    }
}

/// What judging an upload found, where nothing is wrong with it.
pub(super) struct Judged {
    pub(super) facts: Arc<Facts>,
    pub(super) nar_key: String,
    pub(super) voucher: Voucher,
    /// Paths of the cache that its archive names and it does not declare.
    pub(super) undeclared: Vec<String>,
    /// Whether the cache adds its own signature.
    pub(super) mode: SigningMode,
    /// The virtual upstream that has the very same: nothing of it is kept here.
    pub(super) elsewhere: Option<String>,
    /// What has to come first.
    pub(super) waits: Option<WaitsFor>,
}

impl Judged {
    pub(super) fn publication<'a>(&'a self, narinfo: &'a NarInfo) -> Publication<'a> {
        Publication {
            narinfo,
            facts: &self.facts,
            nar_key: &self.nar_key,
            voucher: &self.voucher,
            undeclared: &self.undeclared,
            mode: self.mode,
        }
    }
}

impl Intake {
    /// Takes a narinfo. Gives a line where it waits, and nothing where it is published.
    pub(super) async fn narinfo(
        &self,
        sender: &Sender<'_>,
        hash: StorePathHash,
        upload: &mut Upload,
    ) -> Result<String, Refusal> {
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
        not_held_back(cache, &narinfo)?;
        let standing = sender.standing();
        // Who puts a path that is here needs it: it stays, or is gone before it is looked for.
        let (ledger, slug) = (&site.ledger, cache.slug.as_str());
        cache.condemned.keep(ledger, slug, &[hash], None).await?;
        for _ in 0..TRIES {
            let policy = UploadPolicy::in_force(&site.ledger, cache.slug.as_str())?;
            let became = match self.existing(cache, hash).await? {
                Some(existing) => {
                    if !same_content(&narinfo, &existing.narinfo) {
                        self.note_conflict(sender, &narinfo, &existing.narinfo, &policy)
                            .await;
                    }
                    self.again(cache, &narinfo, &existing).await?.into()
                }
                None => match self.waits_already(&standing, &narinfo).await? {
                    Some(line) => Became::Waiting(line),
                    None => self.first(sender, &standing, &narinfo, &policy).await?,
                },
            };
            match became {
                Became::Published => return Ok(String::new()),
                Became::Waiting(line) => return Ok(line),
                Became::Changed => {}
            }
        }
        Err(Refusal::conflict(
            "busy",
            "others write this narinfo at the same moment: run the same command again",
        ))
    }

    /// A path that is not here yet.
    async fn first(
        &self,
        sender: &Sender<'_>,
        standing: &Standing<'_>,
        narinfo: &NarInfo,
        policy: &UploadPolicy,
    ) -> Result<Became, Refusal> {
        // What costs nothing first: who may not publish it has nothing to wait for.
        let signer = self.signer(standing, narinfo, policy);
        let (needs, rule) = self.ruled(standing, narinfo, signer.as_ref().ok(), policy)?;
        if !narinfo.is_content_addressed() {
            signer?;
        }
        let key = narinfo.nar_key();
        // What is full already costs nothing to be said.
        drop(self.fits(standing.cache, &key, 0).await?);
        let judged = self.judged(standing, narinfo, policy).await?;
        if let Some(url) = &judged.elsewhere {
            // Sent by a client that did not ask, or that remembers an older answer.
            let (site, skipped) = (&self.0.site, &self.0.skipped);
            skipped.note(site, standing.cache, &standing.owner, narinfo, url);
            return Ok(Became::Published);
        }
        // Held until the index shows it, or it is not published.
        let _room = self
            .fits(standing.cache, &key, judged.facts.file_size)
            .await?;
        // It may have taken minutes to come here.
        self.still_may(sender, standing, narinfo, policy, &judged.voucher)
            .await?;
        let slug = standing.cache.slug.as_str();
        if UploadPolicy::in_force(&self.0.site.ledger, slug)? != *policy {
            return Ok(Became::Changed);
        }
        if needs == Needs::Nothing && judged.waits.is_none() {
            let published = self.publish(standing, &judged.publication(narinfo)).await?;
            return Ok(published.into());
        }
        let line = self.wait(standing, narinfo, &judged, needs, rule).await?;
        Ok(Became::Waiting(line))
    }

    /// Judges an upload, but for what the policy's rules say: its archive, who vouches, what it refers
    /// to, what upstreams have.
    pub(super) async fn judged(
        &self,
        standing: &Standing<'_>,
        narinfo: &NarInfo,
        policy: &UploadPolicy,
    ) -> Result<Judged, Refusal> {
        let cache = standing.cache;
        let nar_key = narinfo.nar_key().into_owned();
        let facts = self.facts(cache, &nar_key, &standing.owner).await?;
        archive_not_held_back(cache, &nar_key)?;
        judge::of_archive(narinfo, &facts)?;
        let voucher = self.voucher(standing, narinfo, &nar_key, policy).await?;
        self.can_sign(cache, narinfo, policy, &voucher)?;
        let reference = self.references(standing, narinfo, policy).await?;
        let undeclared = Self::undeclared(cache, narinfo, &facts);
        if policy.refuse_undeclared_references
            && let Some(first) = undeclared.first()
        {
            return Err(Refusal::unprocessable(
                "undeclared-reference",
                format!("its archive names {first}, which its References do not"),
            ));
        }
        let (elsewhere, upstream) = match self.upstreams_agree(cache, narinfo).await? {
            Agreed::Ours => (None, None),
            Agreed::Elsewhere { url } => (Some(url), None),
            Agreed::Waits(waits) => (None, Some(waits)),
        };
        Ok(Judged {
            facts,
            nar_key,
            voucher,
            undeclared,
            mode: policy.mode,
            elsewhere,
            waits: reference.or(upstream),
        })
    }

    /// What is known of an uploader's archive: from when it came, else by looking at it now. One that
    /// is another's and not published is as if it were not here ([`ownership`](super::ownership)).
    pub(super) async fn facts(
        &self,
        cache: &Cache,
        key: &str,
        owner: &str,
    ) -> Result<Arc<Facts>, Refusal> {
        // The same question in every case, so that the answer's time tells nothing either.
        let there = cache.bucket.find(key).await?;
        let there = there.filter(|there| self.is_theirs(cache, there, owner));
        let found = match there {
            None => None,
            Some(there) => match self.0.pending.facts(cache.slug.as_str(), key) {
                // It may have been replaced since.
                Some(facts) if facts.file_size == there.size => Some(facts),
                _ => self.facts_of_stored(cache, key).await?,
            },
        };
        found.ok_or_else(|| {
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
        standing: &Standing<'_>,
        narinfo: &NarInfo,
        policy: &UploadPolicy,
        voucher: &Voucher,
    ) -> Result<(), Refusal> {
        let site = &self.0.site;
        let caller = site.access.patient_caller(&sender.request.headers).await;
        permitted(sender.cache, &caller)?;
        if *voucher != Voucher::ContentAddress {
            self.signer(standing, narinfo, policy)?;
        }
        not_held_back(sender.cache, narinfo)?;
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
    pub(super) async fn again(
        &self,
        cache: &Cache,
        narinfo: &NarInfo,
        existing: &Existing,
    ) -> Result<bool, Refusal> {
        let there = &existing.narinfo;
        if !same_content(narinfo, there) {
            let page = format!("c/{}/conflicts/{}", cache.slug, there.store_path().hash());
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
        let merged = self.with_signatures(cache, there, narinfo)?;
        if merged.to_bytes() == there.to_bytes() {
            return Ok(true);
        }
        match self.rewrite(cache, existing, &merged).await {
            Ok(()) => Ok(true),
            Err(error)
                if error.kind() == BucketErrorKind::PreconditionFailed || error.is_not_found() =>
            {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A narinfo with those signatures of another of the same content that verify.
    pub(super) fn with_signatures(
        &self,
        cache: &Cache,
        there: &NarInfo,
        other: &NarInfo,
    ) -> Result<NarInfo, Refusal> {
        let mut merged = there.clone();
        let fingerprint = other.fingerprint();
        for text in other.signatures() {
            if merged.signatures().any(|known| known == text) {
                continue;
            }
            let Ok(parts) = text.parse::<Signature>() else {
                continue;
            };
            let name = other.store_path().name();
            let good = match self.verified(cache, &parts, fingerprint.as_bytes()) {
                Verified::Contributor(contributor) => contributor
                    .may_publish(cache.slug.as_str(), name, other.nar_size())
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
        Ok(merged)
    }
}

/// Whether two narinfos describe one content of one path.
pub(super) fn same_content(one: &NarInfo, two: &NarInfo) -> bool {
    let references = |narinfo: &NarInfo| {
        let references = narinfo.references().map(|reference| reference.to_string());
        references.collect::<BTreeSet<String>>()
    };
    one.store_path() == two.store_path()
        && one.nar_hash() == two.nar_hash()
        && one.nar_size() == two.nar_size()
        && references(one) == references(two)
}

/// Refuses to publish by an archive's name what readers would not get by it: they do not get one that
/// only paths name which are held back.
fn archive_not_held_back(cache: &Cache, key: &str) -> Result<(), Refusal> {
    if cache.withheld.is_empty() {
        return Ok(());
    }
    let view = cache.index.view();
    let named_by = view.ids_by_nar(key);
    if named_by.is_empty() || named_by.iter().any(|id| !cache.holds_back(&view, *id)) {
        return Ok(());
    }
    Err(Refusal::conflict(
        "nar-held-back",
        "this archive is held back: nothing is published by its name",
    ))
}

/// Refuses what an owner holds back, first or again: with who, when and why.
pub(super) fn not_held_back(cache: &Cache, narinfo: &NarInfo) -> Result<(), Refusal> {
    let held = cache.withheld.held();
    let found = held.find(&narinfo.store_path().hash(), &narinfo.nar_hash());
    let Some(holding) = found else {
        return Ok(());
    };
    Err(Refusal::forbidden(
        holding.state.as_str(),
        format!(
            "{} with this content was {}. Ask an owner, or build it anew",
            narinfo.store_path(),
            holding.line()
        ),
    ))
}
