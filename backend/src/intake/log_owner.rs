//! Whose a build log is: who uploaded a path that the derivation made, or a Maintainer.

use std::sync::Arc;

use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::Signature;
use snowbank_shared::store_path::{StorePath, StorePathHash};

use super::judge::Verified;
use super::{Intake, Refusal, Sender};
use crate::auth::{self, Act, Caller};

impl Intake {
    /// Whether the sender may put this log.
    pub(super) async fn may_log(&self, sender: &Sender<'_>, key: &str) -> Result<(), Refusal> {
        let name = key.strip_prefix("log/").unwrap_or(key);
        let bad = || {
            Refusal::forbidden(
                "not-your-log",
                format!("{name} is not a derivation that a log could be of"),
            )
        };
        let derivation: StorePath = name.parse().map_err(|_| bad())?;
        let cache = sender.cache;
        if auth::may(&sender.caller, Act::Maintain, cache.on()).is_ok() {
            return Ok(());
        }
        let made = self.made_by(sender, derivation).await?;
        if made.is_empty() {
            return Err(Refusal::forbidden(
                "not-your-log",
                format!("no path of this cache was built by {name}: copy what it built first"),
            ));
        }
        if made.iter().any(|narinfo| self.signed_by(sender, narinfo)) {
            return Ok(());
        }
        let hashes: Vec<StorePathHash> = made
            .iter()
            .map(|narinfo| narinfo.store_path().hash())
            .collect();
        if self.received(sender, &hashes).await? {
            return Ok(());
        }
        Err(Refusal::forbidden(
            "not-your-log",
            format!(
                "what {name} built was uploaded by somebody else: they, or a Maintainer, can add its log"
            ),
        ))
    }

    /// The narinfos of the paths that a derivation made.
    async fn made_by(
        &self,
        sender: &Sender<'_>,
        derivation: StorePath,
    ) -> Result<Vec<NarInfo>, Refusal> {
        let site = &self.0.site;
        let failed = |_| Refusal::dependency("the server is ending: run the same command again");
        let permit = Arc::clone(&site.heavy).acquire_owned().await;
        let permit = permit.map_err(|_| failed(()))?;
        let view = sender.cache.index.view();
        let looked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            view.made_by(&derivation)
        });
        looked.await.map_err(|_| failed(()))
    }

    /// Whether a key of the sender's signed a path.
    fn signed_by(&self, sender: &Sender<'_>, narinfo: &NarInfo) -> bool {
        let uploader = match &sender.caller {
            Caller::Member(member) => Some(member.name.as_str()),
            Caller::Token(token) => token.owner.as_deref(),
            Caller::Stranger(_) => None,
        };
        let fingerprint = narinfo.fingerprint();
        let mut signatures = narinfo
            .signatures()
            .filter_map(|text| text.parse::<Signature>().ok());
        signatures.any(
            |parts| match self.verified(sender.cache, &parts, fingerprint.as_bytes()) {
                Verified::Contributor(contributor) => uploader == Some(contributor.owner.as_str()),
                _ => false,
            },
        )
    }

    /// Whether a receipt says that the sender uploaded one of these paths. Reads all receipts of the
    /// cache, so for one at a time.
    async fn received(
        &self,
        sender: &Sender<'_>,
        hashes: &[StorePathHash],
    ) -> Result<bool, Refusal> {
        let _turn = self.0.receipts.lock().await;
        let receipts = self
            .0
            .site
            .ledger
            .receipts(sender.cache.slug.as_str())
            .await
            .map_err(|error| {
                tracing::warn!(%error, "receipts could not be read");
                Refusal::dependency(
                    "who uploaded what was built cannot be read at the moment: run the same command again",
                )
            })?;
        let owner = sender.owner();
        Ok(receipts.receipts.iter().any(|receipt| {
            receipt.by == owner && hashes.iter().any(|hash| receipt.path == hash.to_string())
        }))
    }
}
