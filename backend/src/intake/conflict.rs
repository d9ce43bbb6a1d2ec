//! A build that comes for a path which is here with other content: it is not published, and what is
//! left of it is a report, with the files in which the two differ.
//!
//! Only what would have been published if it had come first is reported: verified, signed by somebody
//! who may, and with nothing more that the policy wants. The files are compared behind the answer, because both archives have to be read
//! for it; one comparison at a time. Reports are bounded by path, uploader and cache: the newest stay.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use snowbank_shared::api::KeyState;
use snowbank_shared::api::conflicts::Comparison;
use snowbank_shared::contents::{Difference, between};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::Signature;
use snowbank_shared::store_path::StorePathHash;
use time::OffsetDateTime;

use super::waiting::Needs;
use super::{Intake, Refusal, Sender, UploadPolicy, judge};
use crate::archive::{Archive, ArchiveError, LONGEST, Look, Reader};
use crate::auth::records::now;
use crate::index::rfc3339;
use crate::ledger::kind::{CONFLICTS, Kind, Record};
use crate::ledger::{Entry, LedgerError, RecordId, Scope};
use crate::site::{Cache, Site};

/// Reports of one path.
const MOST_OF_PATH: usize = 8;
/// Reports of what one person sent.
const MOST_OF_UPLOADER: usize = 100;
/// Reports of a cache.
const MOST: usize = 500;
/// How long a report is kept, in seconds.
const KEPT: i64 = 365 * 24 * 3600;
/// Comparisons that wait.
const MOST_WAITING: usize = 32;
/// Bytes of the differing files' names and targets in a report; more are only counted.
const MOST_TEXT: usize = 16 << 10;

/// One of two builds, as a report keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildRecord {
    /// `sha256:` and nix32.
    pub nar_hash: String,
    /// Bytes unpacked.
    pub nar_size: u64,
    /// Members: who uploaded it, or whose keys signed it.
    pub by: Vec<String>,
    /// Names of the keys whose good signatures it has.
    pub keys: Vec<String>,
    /// When it came, RFC 3339, where that is known.
    pub at: Option<String>,
}

/// That somebody put a report aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DismissalRecord {
    /// Who, as the audit names them.
    pub by: String,
    /// When, seconds since 1970.
    pub at: i64,
    /// Why.
    pub reason: String,
}

/// The report of a build that was not published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictRecord {
    /// Base name of the store path.
    pub path: String,
    /// The build that is here.
    pub kept: BuildRecord,
    /// The build that came.
    pub newcomer: BuildRecord,
    /// Whose upload it was: `member:…`, `machine:…`, `token:…`.
    pub owner: String,
    /// How often it came.
    pub times: u32,
    /// In which files they differ.
    pub comparison: Comparison,
    /// Whether it was put aside.
    #[serde(default)]
    pub dismissed: Option<DismissalRecord>,
    /// When the report goes, seconds since 1970.
    pub ends_at: i64,
}

impl Record for ConflictRecord {
    const KIND: Kind = CONFLICTS;

    fn expires_at(&self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp(self.ends_at).ok()
    }
}

/// The record's name of the report on a build.
pub fn report_id(path: StorePathHash, nar_hash: &str) -> Option<RecordId> {
    let digest = nar_hash.strip_prefix("sha256:").unwrap_or(nar_hash);
    format!("{path}.{digest}").parse().ok()
}

/// The reports of a cache, those of one path or of all; the newest first.
pub fn reports(
    site: &Site,
    cache: &str,
    path: Option<StorePathHash>,
) -> Vec<Entry<ConflictRecord>> {
    let of_path = path.map(|path| format!("{path}."));
    let view = site.ledger.view();
    let mut found: Vec<_> = view
        .list::<ConflictRecord>(Scope::Cache(cache))
        .filter(|entry| match &of_path {
            Some(start) => entry.id.as_str().starts_with(start),
            None => true,
        })
        .collect();
    found.sort_by(|a, b| b.newcomer.at.cmp(&a.newcomer.at));
    found
}

impl Intake {
    /// Notes that a build came which differs from the one that is here. That this cannot be done is no
    /// reason to answer otherwise.
    pub(super) async fn note_conflict(
        &self,
        sender: &Sender<'_>,
        narinfo: &NarInfo,
        there: &NarInfo,
        policy: &UploadPolicy,
    ) {
        if narinfo.store_path() != there.store_path() || narinfo.nar_hash() == there.nar_hash() {
            return;
        }
        if let Err(refusal) = self.report(sender, narinfo, there, policy).await {
            tracing::info!(
                request_id = sender.id.as_str(),
                path = %narinfo.store_path(),
                code = refusal.code,
                reason = refusal.text,
                "a build that differs was refused without a report"
            );
        }
    }

    async fn report(
        &self,
        sender: &Sender<'_>,
        narinfo: &NarInfo,
        there: &NarInfo,
        policy: &UploadPolicy,
    ) -> Result<(), Refusal> {
        let cache = sender.cache;
        let standing = &sender.standing();
        if !narinfo.is_content_addressed() {
            self.signer(standing, narinfo, policy)?;
        }
        let key = narinfo.nar_key().into_owned();
        let facts = self.facts(cache, &key, &standing.owner).await?;
        judge::of_archive(narinfo, &facts)?;
        let voucher = self.voucher(standing, narinfo, &key, policy).await?;
        let (needs, _) = self.ruled(standing, narinfo, Some(&voucher), policy)?;
        if needs != Needs::Nothing {
            return Ok(());
        }
        let owner = sender.owner();
        let path = narinfo.store_path();
        let newcomer_hash = format!("sha256:{}", narinfo.nar_hash().to_nix32());
        let Some(id) = report_id(path.hash(), &newcomer_hash) else {
            return Ok(());
        };
        self.make_room(cache, path.hash(), &owner, &id).await;
        let view = cache.index.view();
        let since = view.find(&path.hash()).map(|row| view.row(row).added_at);
        let kept = self.build(there, since, None);
        let uploader = owner.strip_prefix("member:").map(str::to_owned);
        let newcomer = self.build(narinfo, Some(rfc3339(now())), uploader);
        let scope = Scope::Cache(cache.slug.as_str());
        let noted = self
            .0
            .site
            .ledger
            .put::<ConflictRecord, LedgerError>(scope, &id, &sender.caller.actor(), |known| {
                let same_pair = known.filter(|known| known.kept.nar_hash == kept.nar_hash);
                Ok(ConflictRecord {
                    path: path.to_string(),
                    kept: kept.clone(),
                    newcomer: newcomer.clone(),
                    owner: owner.clone(),
                    times: known.map_or(0, |known| known.times).saturating_add(1),
                    comparison: same_pair
                        .map_or(Comparison::Pending, |known| known.comparison.clone()),
                    dismissed: same_pair.and_then(|known| known.dismissed.clone()),
                    ends_at: now() + KEPT,
                })
            })
            .await;
        match noted {
            Ok(entry) if entry.comparison == Comparison::Pending => {
                self.compare(cache, &id, Archive::of(there), Archive::of(narinfo));
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the report of a conflict could not be written"),
        }
        Ok(())
    }

    /// A build, with the keys whose signatures are good.
    fn build(
        &self,
        narinfo: &NarInfo,
        at: Option<String>,
        uploader: Option<String>,
    ) -> BuildRecord {
        let fingerprint = narinfo.fingerprint();
        let mut by: Vec<String> = uploader.into_iter().collect();
        let mut keys = Vec::new();
        for text in narinfo.signatures().take(16) {
            let Ok(signature) = text.parse::<Signature>() else {
                continue;
            };
            let known = self.0.site.access.contributor(signature.key_name());
            let good = known.filter(|known| {
                known.state != KeyState::Revoked
                    && known
                        .key
                        .verifies(fingerprint.as_bytes(), signature.bytes())
            });
            let Some(good) = good else { continue };
            keys.push(good.key.name().to_owned());
            if !by.contains(&good.owner) {
                by.push(good.owner);
            }
        }
        BuildRecord {
            nar_hash: format!("sha256:{}", narinfo.nar_hash().to_nix32()),
            nar_size: narinfo.nar_size(),
            by,
            keys,
            at,
        }
    }

    /// Lets old reports go, where one more would be too many.
    async fn make_room(&self, cache: &Cache, path: StorePathHash, owner: &str, next: &RecordId) {
        let all = reports(&self.0.site, cache.slug.as_str(), None);
        if all.iter().any(|entry| entry.id == *next) {
            return;
        }
        let start = format!("{path}.");
        let of_path = all
            .iter()
            .filter(|entry| entry.id.as_str().starts_with(&start));
        let of_owner = all.iter().filter(|entry| entry.owner == owner);
        let too_many = of_path
            .skip(MOST_OF_PATH - 1)
            .chain(of_owner.skip(MOST_OF_UPLOADER - 1))
            .chain(all.iter().skip(MOST - 1));
        let mut gone: Vec<&RecordId> = too_many.map(|entry| &entry.id).collect();
        gone.sort_unstable();
        gone.dedup();
        let scope = Scope::Cache(cache.slug.as_str());
        for id in gone {
            let ended = self
                .0
                .site
                .ledger
                .update::<ConflictRecord, LedgerError>(scope, id, "server", |known| {
                    Ok(ConflictRecord {
                        ends_at: now() - 1,
                        ..known.clone()
                    })
                })
                .await;
            if let Err(error) = ended {
                tracing::warn!(%error, %id, "an old report of a conflict stays");
            }
        }
    }

    /// Compares two builds behind the answer, and writes into the report what came of it.
    fn compare(&self, cache: &Arc<Cache>, id: &RecordId, kept: Archive, newcomer: Archive) {
        if Arc::strong_count(&self.0.comparing) > MOST_WAITING {
            tracing::warn!(%id, "too many comparisons wait: this one is not made");
            return;
        }
        let (intake, cache, id) = (self.clone(), Arc::clone(cache), id.clone());
        let closing = self.0.site.closing.clone();
        let waiting = Arc::clone(&self.0.comparing);
        tokio::spawn(async move {
            // Counted as long as it waits or works.
            let _waiting = waiting;
            let work = async {
                let _turn = Arc::clone(&intake.0.comparisons).acquire_owned().await.ok();
                let compared = compared(&cache, &kept, &newcomer).await;
                intake.write_comparison(&cache, &id, compared).await;
            };
            tokio::select! {
                () = work => {}
                () = closing.cancelled() => {}
            }
        });
    }

    async fn write_comparison(&self, cache: &Cache, id: &RecordId, comparison: Comparison) {
        let scope = Scope::Cache(cache.slug.as_str());
        let ledger = &self.0.site.ledger;
        let written = ledger
            .update::<ConflictRecord, LedgerError>(scope, id, "server", |known| {
                Ok(ConflictRecord {
                    comparison: comparison.clone(),
                    ..known.clone()
                })
            })
            .await;
        if let Err(error) = written {
            tracing::warn!(%error, %id, "a comparison could not be written");
        }
    }
}

async fn compared(cache: &Cache, kept: &Archive, newcomer: &Archive) -> Comparison {
    let both = async {
        let ours = Reader::Known("server".to_owned());
        let first = cache
            .archives
            .contents(&cache.bucket, kept, &ours, LONGEST)
            .await?;
        let second = cache
            .archives
            .contents(&cache.bucket, newcomer, &ours, LONGEST)
            .await?;
        Ok::<_, ArchiveError>((first, second))
    };
    match tokio::time::timeout(LONGEST + Duration::from_secs(60), both).await {
        Ok(Ok((Look::Ready(first), Look::Ready(second)))) => Comparison::Done {
            difference: bounded(between(&first, &second)),
        },
        Ok(Err(error)) => Comparison::Failed {
            reason: match error {
                ArchiveError::TooLarge(why) => format!("Too large to compare: {why}."),
                error => format!("The files could not be compared: {error}."),
            },
        },
        Ok(Ok(_)) | Err(_) => Comparison::Failed {
            reason: format!(
                "The files could not be compared: {}.",
                ArchiveError::TooLong
            ),
        },
    }
}

/// As much of a difference as a record holds.
fn bounded(mut difference: Difference) -> Difference {
    let mut text = 0;
    let fits = difference.items.iter().take_while(|item| {
        let entries = item.first.iter().chain(&item.second);
        text += entries
            .map(|entry| {
                let names = [&entry.name_b64, &entry.target, &entry.target_b64];
                let more: usize = names.into_iter().flatten().map(String::len).sum();
                entry.name.len() + more
            })
            .sum::<usize>();
        text <= MOST_TEXT
    });
    let fits = fits.count();
    difference.items.truncate(fits);
    difference
}
