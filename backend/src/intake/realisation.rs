//! `PUT realisations/…` and `build-trace-v2/…`: to which path an output came, by whose word.
//!
//! Clients that substitute by one do not check its signature (`snowbank_shared::realisation`), so here
//! it has to be by a key that may sign a path of that name, and the path has to be there, published and
//! not held back. Nothing here waits: where the policy wants people's consent for some paths, only a
//! Maintainer may send one.

use http::StatusCode;
use snowbank_shared::api::policy::{Candidate, Ruling};
use snowbank_shared::realisation::{MAX_BYTES, Realisation, RealisationError};
use snowbank_shared::store_path::StorePath;

use super::body::Upload;
use super::judge::{Claim, Verified, Voucher};
use super::narinfo::{MOST_SIGNATURES, TRIES, not_held_back};
use super::{Intake, Refusal, Sender, SigningMode, UploadPolicy};
use crate::auth::{self, Act};
use crate::bucket::{BucketErrorKind, ETag, PutOptions};
use crate::upstream::Holding;

/// One that lies in the bucket.
struct Existing {
    realisation: Realisation,
    etag: Option<ETag>,
}

impl Intake {
    /// Takes a realisation or build trace.
    pub(super) async fn realisation(
        &self,
        sender: &Sender<'_>,
        key: &str,
        upload: &mut Upload,
    ) -> Result<(), Refusal> {
        let coding = super::content_encoding(sender.request);
        let bytes = upload.whole(MAX_BYTES, coding).await?;
        let sent = Realisation::parse(key, &bytes)?;
        let ledger = &self.0.site.ledger;
        if !ledger.freshness().may_publish() {
            return Err(Refusal::dependency(
                "who may upload could not be read for a minute: nothing is published until it can",
            ));
        }
        for _ in 0..TRIES {
            let policy = UploadPolicy::in_force(ledger, sender.cache.slug.as_str())?;
            let done = match self.existing_realisation(sender, key).await? {
                Some(existing) => self.realised_again(sender, key, &sent, &existing).await?,
                None => self.realised(sender, key, &sent, &policy).await?,
            };
            if done {
                return Ok(());
            }
        }
        Err(Refusal::conflict(
            "busy",
            "others write this realisation at the same moment: run the same command again",
        ))
    }

    async fn existing_realisation(
        &self,
        sender: &Sender<'_>,
        key: &str,
    ) -> Result<Option<Existing>, Refusal> {
        let object = match sender.cache.bucket.get_small(key, MAX_BYTES).await {
            Ok(object) => object,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let realisation = Realisation::parse(key, &object.bytes).map_err(|error| {
            Refusal::conflict(
                "conflict",
                format!(
                    "a broken realisation lies there already ({error}): an owner has to remove it first"
                ),
            )
        })?;
        Ok(Some(Existing {
            realisation,
            etag: object.meta.etag,
        }))
    }

    /// The first of its name. False where another has come meanwhile.
    async fn realised(
        &self,
        sender: &Sender<'_>,
        key: &str,
        sent: &Realisation,
        policy: &UploadPolicy,
    ) -> Result<bool, Refusal> {
        let cache = sender.cache;
        let out_path = sent.out_path();
        let nar_size = self.size_of(sender, out_path, policy).await?;
        let claim = Claim {
            name: out_path.name(),
            nar_size,
            fingerprints: sent.fingerprints(),
            signatures: sent.signatures().to_vec(),
            unsigned: format!(
                "the realisation of {out_path} has no signature: Nix signs one only where it builds, so set secret-key-files to your key's file there and build again"
            ),
        };
        let voucher = self.signer_of(&sender.standing(), &claim, policy)?;
        self.may_realise(sender, out_path, nar_size, &voucher, policy)?;
        let mut signed = sent.clone();
        if policy.mode == SigningMode::CounterSign {
            let signer = cache.signer().ok_or_else(Refusal::no_signing_key)?;
            for text in sent.fingerprints() {
                signed = signed.and_signature(signer.sign(text.as_bytes()));
            }
        }
        if signed.signatures().len() > MOST_SIGNATURES {
            return Err(too_many());
        }
        let written = cache
            .bucket
            .put_if_absent(key, signed.to_json().into(), &options())
            .await;
        match written {
            Ok(_) => {}
            Err(error) if error.kind() == BucketErrorKind::PreconditionFailed => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        tracing::info!(
            request_id = sender.id.as_str(),
            cache = %cache.slug,
            key,
            path = %out_path,
            by = sender.caller.actor(),
            client = %sender.client,
            "a realisation was published"
        );
        Ok(true)
    }

    /// Whether the policy lets the sender say to which path an output came.
    fn may_realise(
        &self,
        sender: &Sender<'_>,
        out_path: &StorePath,
        nar_size: u64,
        voucher: &Voucher,
        policy: &UploadPolicy,
    ) -> Result<(), Refusal> {
        let cache = sender.cache;
        let member = sender.caller.name();
        let upload = Candidate {
            member,
            key: voucher.key().and_then(|key| key.split(':').next()),
            name: out_path.name(),
            nar_size,
        };
        self.ruled_of(cache, &upload, policy)?;
        // An output leads to a path whose readers never look at its name again: one rule that wants
        // consent, for whichever paths, is enough.
        let all_publish = policy
            .rules
            .iter()
            .all(|rule| matches!(rule.ruling, Ruling::Publish));
        if all_publish || auth::may(&sender.caller, Act::Maintain, cache.on()).is_ok() {
            return Ok(());
        }
        Err(Refusal::forbidden(
            "policy",
            format!(
                "where paths need people's consent, a Maintainer sends realisations. {}",
                self.whom_to_ask(cache, member)
            ),
        ))
    }

    /// The same again adds signatures that verify, another path is refused. False where it was changed
    /// meanwhile.
    async fn realised_again(
        &self,
        sender: &Sender<'_>,
        key: &str,
        sent: &Realisation,
        existing: &Existing,
    ) -> Result<bool, Refusal> {
        let cache = sender.cache;
        let there = &existing.realisation;
        if there.out_path() != sent.out_path() {
            return Err(Refusal::conflict(
                "conflict",
                format!(
                    "the same output came to {} before: the first stays. Builds that differ are not reproducible",
                    there.out_path()
                ),
            ));
        }
        // Signed with or without what it depends on.
        let mut texts = there.fingerprints();
        texts.extend(sent.fingerprints());
        let size = |id| cache.index.view().row(id).nar_size;
        let found = cache.index.view().find(&there.out_path().hash()).map(size);
        let mut merged = there.clone();
        for signature in sent.signatures() {
            if merged.signatures().contains(signature) {
                continue;
            }
            let good = match self.verified_of(cache, signature, &texts) {
                Verified::Contributor(contributor) => contributor
                    .may_publish(
                        cache.slug.as_str(),
                        there.out_path().name(),
                        found.unwrap_or_default(),
                    )
                    .is_ok(),
                Verified::Known(_) | Verified::Own(_) => true,
                Verified::No(_) => false,
            };
            if !good {
                continue;
            }
            if merged.signatures().len() >= MOST_SIGNATURES {
                return Err(too_many());
            }
            merged = merged.and_signature(signature.clone());
        }
        if merged == *there {
            return Ok(true);
        }
        let bytes = merged.to_json().into();
        let written = match &existing.etag {
            Some(etag) => {
                cache
                    .bucket
                    .put_if_match(key, bytes, &options(), etag)
                    .await
            }
            None => cache.bucket.put(key, bytes, &options()).await,
        };
        match written {
            Ok(_) => Ok(true),
            Err(error)
                if error.kind() == BucketErrorKind::PreconditionFailed || error.is_not_found() =>
            {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// NarSize of a path that is here, or on an upstream that may hold what paths here refer to.
    async fn size_of(
        &self,
        sender: &Sender<'_>,
        path: &StorePath,
        policy: &UploadPolicy,
    ) -> Result<u64, Refusal> {
        let cache = sender.cache;
        let absent = || {
            Refusal::conflict(
                "path-missing",
                format!("its path {path} is not in this cache: copy the path, then this again"),
            )
        };
        if let Some(existing) = self.existing(cache, path.hash()).await? {
            let narinfo = existing.narinfo;
            not_held_back(cache, &narinfo)?;
            return match narinfo.store_path() == path.as_ref() {
                true => Ok(narinfo.nar_size()),
                false => Err(absent()),
            };
        }
        for held in self.held_for_reference(cache, policy, path.hash()).await {
            match held.holding {
                Holding::Signed(theirs) if theirs.store_path() == path.as_ref() => {
                    return Ok(theirs.nar_size());
                }
                Holding::Unknown(reason) => {
                    return Err(super::upstream::unanswered(&held.url, path, &reason));
                }
                _ => {}
            }
        }
        Err(absent())
    }
}

fn options() -> PutOptions {
    PutOptions::of_type("application/json")
}

fn too_many() -> Refusal {
    Refusal::unprocessable(
        "too-many-signatures",
        format!("a realisation has at most {MOST_SIGNATURES} signatures here"),
    )
}

impl From<RealisationError> for Refusal {
    fn from(error: RealisationError) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "bad-realisation",
            format!("the realisation: {error}"),
        )
    }
}
