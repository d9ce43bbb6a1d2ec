//! Uploads that wait: what the ledger keeps of them until they are published, or decided otherwise.
//!
//! ```text
//!  PUT HASH.narinfo ─▶ judged ─▶ waits? ─▶ record ──┐
//!                                                   ▼
//!        approve, another builder's PUT, an     ┌ settle ┐ judged again, whole ─▶ publish ─▶ those
//!        upstream's answer, a reference that ──▶│        │                          that waited for it
//!        came, the clock ([`tend`])             └────────┘ ─▶ refused, expired
//! ```
//!
//! **An entry** is one content of one path by one uploader: its id is the hash of these, so that the
//! same again is the same entry and other content is another. Readers know nothing of it. Its archive
//! stays ([`wants_nar`]).
//!
//! **Settling** ([`settle`]) may run at any time, anywhere, twice at once, and be killed between any
//! two steps: the narinfo is written only where none is, the record changes only from *waiting*, and
//! who finds the narinfo there already only notes it.
//!
//! **Deciding** ([`decide`]) is for people, never for the uploader nor for whose key signed.
//!
//! **Bounds**: [`MOST_IN_CACHE`], [`MOST_OF_UPLOADER`], [`LIVES`].

mod decide;
mod record;
mod settle;
mod tend;

use std::collections::{HashMap, HashSet};

use http::StatusCode;
use snowbank_shared::api::approvals::{ApprovalState, WaitsFor};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StorePathHash;

use super::narinfo::{Judged, same_content};
use super::{Intake, Refusal, Standing, publish};
use crate::auth::records::now;
use crate::ledger::kind::APPROVALS;
use crate::ledger::{Entry, Ledger, LedgerError, RecordId, RecordPath, Scope, View};
use crate::site::Cache;

pub use decide::DecisionError;
pub use record::{Needs, WaitingRecord, Word};
pub(super) use tend::Tries;

/// Uploads that wait in a cache at most.
pub const MOST_IN_CACHE: usize = 3000;
/// Uploads of one uploader that wait in a cache at most.
pub const MOST_OF_UPLOADER: usize = 1500;
/// Seconds after which nobody waits any more: 7 days.
pub const LIVES: i64 = 7 * 86_400;
/// Entries of one content by one uploader that the ledger can still remember.
const GENERATIONS: u8 = 4;
/// Bytes of a narinfo that can wait: a record is bounded.
const LARGEST_NARINFO: usize = 128 << 10;

/// An entry.
pub type Waiting = Entry<WaitingRecord>;

/// All entries of a cache that the ledger still knows, in no order that means anything.
pub fn entries(ledger: &Ledger, cache: &str) -> Vec<Waiting> {
    ledger
        .view()
        .list::<WaitingRecord>(Scope::Cache(cache))
        .collect()
}

/// What waits in a cache, as one look at every entry asks for it.
struct Others<'a> {
    /// How many wait under a path.
    paths: HashMap<&'a str, usize>,
    /// Whose uploads wait, by hash part.
    uploaders: HashMap<&'a str, HashSet<&'a str>>,
}

impl<'a> Others<'a> {
    /// Of the entries that wait.
    fn of(waiting: &'a [Waiting]) -> Self {
        let mut others = Self {
            paths: HashMap::new(),
            uploaders: HashMap::new(),
        };
        for entry in waiting {
            *others.paths.entry(entry.path.as_str()).or_default() += 1;
            let uploaders = others.uploaders.entry(entry.hash()).or_default();
            uploaders.insert(entry.uploader.as_str());
        }
        others
    }

    /// Whether more than one waits under a path.
    fn has_rivals(&self, path: &str) -> bool {
        self.paths.get(path).is_some_and(|count| *count > 1)
    }

    /// Whether this uploader has something waiting whose path has this hash part.
    fn waits(&self, hash: &str, uploader: &str) -> bool {
        let uploaders = self.uploaders.get(hash);
        uploaders.is_some_and(|uploaders| uploaders.contains(uploader))
    }
}

/// How many uploads wait in a cache: of this uploader's, or of all.
pub fn count(ledger: &Ledger, cache: &str, of: Option<&str>) -> u64 {
    let all = ledger.view();
    let all = all.list::<WaitingRecord>(Scope::Cache(cache));
    all.filter(|entry| entry.is_waiting() && of.is_none_or(|of| entry.uploader == of))
        .count() as u64
}

/// Whether an archive is that of something that waits.
pub fn wants_nar(ledger: &Ledger, cache: &str, key: &str) -> bool {
    ledger
        .view()
        .list::<WaitingRecord>(Scope::Cache(cache))
        .any(|entry| entry.is_waiting() && entry.nar_key == key)
}

/// Bytes of the archive of something that waits, for who sent it.
pub(super) fn size_of_nar(ledger: &Ledger, cache: &str, key: &str, owner: &str) -> Option<u64> {
    ledger
        .view()
        .list::<WaitingRecord>(Scope::Cache(cache))
        .find(|entry| entry.is_waiting() && entry.nar_key == key && entry.uploader == owner)
        .map(|entry| entry.file_size)
}

/// Whose uploads wait that have this archive: this uploader's, and others'.
pub(super) fn owners_of_nar(ledger: &Ledger, cache: &str, key: &str, owner: &str) -> (bool, bool) {
    let view = ledger.view();
    let of_nar = view
        .list::<WaitingRecord>(Scope::Cache(cache))
        .filter(|entry| entry.is_waiting() && entry.nar_key == key);
    of_nar.fold((false, false), |(own, others), entry| {
        let is_own = entry.uploader == owner;
        (own || is_own, others || !is_own)
    })
}

/// Bytes of the archives of what waits in a cache, by key, but for those of this uploader that are
/// asked about.
pub(super) fn sizes_of_nars(
    ledger: &Ledger,
    cache: &str,
    owner: &str,
    asked_about: &HashSet<&str>,
) -> HashMap<String, u64> {
    ledger
        .view()
        .list::<WaitingRecord>(Scope::Cache(cache))
        .filter(|entry| {
            let is_own = entry.uploader == owner && asked_about.contains(entry.nar_key.as_str());
            entry.is_waiting() && !is_own
        })
        .map(|entry| (entry.nar_key.clone(), entry.file_size))
        .collect()
}

/// The store path of this hash that waits by this uploader.
pub(super) fn of_path(
    view: &View,
    cache: &str,
    hash: StorePathHash,
    owner: &str,
) -> Option<String> {
    let hash = hash.to_string();
    view.list::<WaitingRecord>(Scope::Cache(cache))
        .find(|entry| entry.is_waiting() && entry.uploader == owner && entry.hash() == hash)
        .map(|entry| entry.path.clone())
}

/// What waits or waited by an uploader, by hash part and `NarHash` (`sha256:` and nix32): what waits
/// before what was decided, and of these the newest.
pub(super) fn of_uploader(
    view: &View,
    cache: &str,
    owner: &str,
) -> HashMap<(String, String), Waiting> {
    let mut found: HashMap<(String, String), Waiting> = HashMap::new();
    let rank = |entry: &Waiting| (entry.is_waiting(), entry.created_at);
    for entry in view.list::<WaitingRecord>(Scope::Cache(cache)) {
        if entry.uploader != owner {
            continue;
        }
        let place = (entry.hash().to_owned(), entry.nar_hash.clone());
        let is_first = found
            .get(&place)
            .is_none_or(|known| rank(known) < rank(&entry));
        if is_first {
            found.insert(place, entry);
        }
    }
    found
}

/// How many uploads wait in a cache behind which a member stands.
pub fn count_of_member(ledger: &Ledger, cache: &str, member: &str) -> u64 {
    let all = ledger.view();
    let all = all.list::<WaitingRecord>(Scope::Cache(cache));
    all.filter(|entry| entry.is_waiting() && entry.member.as_deref() == Some(member))
        .count() as u64
}

/// The id of an entry: one content of one path by one uploader, the `n`th time.
fn id_of(narinfo: &NarInfo, uploader: &str, n: u8) -> RecordId {
    let content = narinfo.fingerprint();
    RecordId::hash_of(format!("{content}\n{uploader}\n{n}").as_bytes())
}

/// The line for who sent something that waits: as bounded and as plain as a refusal's.
fn line(entry: &Waiting, cache: &Cache, site_url: &str) -> String {
    let text = format!(
        "{} is stored and not published yet. {} See {site_url}/c/{}/approvals/{}",
        entry.path,
        entry.waits.sentence(),
        cache.slug,
        entry.id
    );
    Refusal::new(StatusCode::OK, "waiting", text).line()
}

impl Intake {
    /// Where the very same waits by the same uploader already: new signatures are kept, it is settled
    /// if it can be, and who sent it gets a line. `None`: nothing of it waits.
    pub(super) async fn waits_already(
        &self,
        standing: &Standing<'_>,
        narinfo: &NarInfo,
    ) -> Result<Option<String>, Refusal> {
        let cache = standing.cache;
        let (ledger, scope) = (&self.0.site.ledger, Scope::Cache(cache.slug.as_str()));
        let view = ledger.view();
        let known = (0..GENERATIONS)
            .filter_map(|n| view.get::<WaitingRecord>(scope, &id_of(narinfo, &standing.owner, n)))
            .max_by_key(|entry| entry.created_at);
        let Some(entry) = known else {
            return Ok(None);
        };
        match entry.state {
            ApprovalState::Waiting if entry.expires_at > now() => {}
            ApprovalState::Rejected if entry.expires_at > now() => {
                let decided = entry.decided.as_ref();
                return Err(Refusal::forbidden(
                    "rejected",
                    format!(
                        "{} was rejected by {}: {}. {}",
                        entry.path,
                        decided.map_or("a Maintainer", |word| &word.by),
                        decided.map_or("", |word| word.reason.trim_end_matches('.')),
                        self.whom_to_ask(cache, standing.member.as_deref())
                    ),
                ));
            }
            _ => return Ok(None),
        }
        let merged = self.with_signatures(cache, &entry.narinfo(cache)?, narinfo)?;
        if merged.text() != entry.narinfo {
            let changed = ledger
                .update::<WaitingRecord, LedgerError>(
                    scope,
                    &entry.id,
                    &standing.actor,
                    |current| {
                        Ok(WaitingRecord {
                            narinfo: merged.text().to_owned(),
                            version: current.version + 1,
                            ..current.clone()
                        })
                    },
                )
                .await;
            changed.map_err(|error| kept(&error))?;
        }
        Ok(Some(self.settled_line(cache, &entry.id).await?))
    }

    /// Keeps an upload until it can be published. Gives the line for who sent it.
    pub(super) async fn wait(
        &self,
        standing: &Standing<'_>,
        narinfo: &NarInfo,
        judged: &Judged,
        needs: Needs,
        rule: Option<String>,
    ) -> Result<String, Refusal> {
        let cache = standing.cache;
        let slug = cache.slug.as_str();
        let ledger = &self.0.site.ledger;
        if narinfo.text().len() > LARGEST_NARINFO {
            return Err(Refusal::too_large(format!(
                "{} would have to wait, and its narinfo has more than {LARGEST_NARINFO} bytes",
                narinfo.store_path()
            )));
        }
        let all = count(ledger, slug, None);
        let own = count(ledger, slug, Some(&standing.owner));
        if all >= MOST_IN_CACHE as u64 || own >= MOST_OF_UPLOADER as u64 {
            return Err(Refusal::conflict(
                "queue-full",
                format!(
                    "{} would have to wait, and {own} of your uploads wait already ({all} in the cache; at most {MOST_OF_UPLOADER} and {MOST_IN_CACHE}): somebody has to decide on them first. {}",
                    narinfo.store_path(),
                    self.whom_to_ask(cache, standing.member.as_deref())
                ),
            ));
        }
        let waits = match needs {
            Needs::Approvals { approvals } => WaitsFor::Approval {
                needed: approvals,
                given: 0,
            },
            Needs::Builders { builders } => WaitsFor::Builders {
                needed: builders,
                agreeing: 1,
            },
            Needs::Nothing => judged.waits.clone().unwrap_or(WaitsFor::Server {
                reason: "it is looked at once more".to_owned(),
            }),
        };
        let key = judged.voucher.key().map(str::to_owned);
        let record = WaitingRecord {
            path: format!("{}/{}", cache.store_dir.as_str(), narinfo.store_path()),
            narinfo: narinfo.text().to_owned(),
            nar_hash: format!("sha256:{}", narinfo.nar_hash().to_nix32()),
            nar_size: narinfo.nar_size(),
            nar_key: judged.nar_key.clone(),
            file_size: judged.facts.file_size,
            uploader: standing.owner.clone(),
            token: standing.token.clone(),
            trust_rule: standing.trust_rule.clone(),
            actor: standing.actor.clone(),
            member: standing.member.clone(),
            key_owner: key.as_deref().and_then(|key| self.owner_of(key)),
            key,
            needs,
            rule,
            waits,
            approvals: Vec::new(),
            notices: publish::notices(&judged.facts, &judged.undeclared),
            state: ApprovalState::Waiting,
            decided: None,
            created_at: now(),
            expires_at: now() + LIVES,
            version: 1,
        };
        let id = self.keep(cache, narinfo, record).await?;
        tracing::info!(
            request_id = standing.request,
            cache = slug,
            path = %narinfo.store_path(),
            by = standing.actor,
            "an upload waits"
        );
        // What it waits for may have come while it was judged.
        self.settled_line(cache, &id).await
    }

    /// Writes an entry, in the place of one that ended.
    async fn keep(
        &self,
        cache: &Cache,
        narinfo: &NarInfo,
        record: WaitingRecord,
    ) -> Result<RecordId, Refusal> {
        let (ledger, scope) = (&self.0.site.ledger, Scope::Cache(cache.slug.as_str()));
        for n in 0..GENERATIONS {
            let id = id_of(narinfo, &record.uploader, n);
            let actor = record.actor.clone();
            let path = RecordPath::new(APPROVALS, scope, &id);
            let written = ledger
                .put::<WaitingRecord, LedgerError>(scope, &id, &actor, |current| {
                    Ok(match current {
                        // Another replica was faster.
                        Some(current) if current.is_waiting() && current.expires_at > now() => {
                            current.clone()
                        }
                        // A no that came from another replica a moment ago: the next try reads it.
                        Some(current)
                            if current.state == ApprovalState::Rejected
                                && current.expires_at > now() =>
                        {
                            return Err(LedgerError::Contended(path.clone()));
                        }
                        Some(current) => WaitingRecord {
                            version: current.version + 1,
                            ..record.clone()
                        },
                        None => record.clone(),
                    })
                })
                .await;
            match written {
                Ok(_) => return Ok(id),
                // One whose time is over lies there still, and is taken away by and by.
                Err(LedgerError::Exists(_)) => {}
                Err(error) => return Err(kept(&error)),
            }
        }
        Err(Refusal::dependency(
            "what waited before under this name is still being cleared away: try again tomorrow",
        ))
    }

    /// The member whose key this is, `name:base64`.
    fn owner_of(&self, key: &str) -> Option<String> {
        let name = key.split(':').next()?;
        let contributor = self.0.site.access.contributor(name)?;
        (contributor.key.to_string() == key).then_some(contributor.owner)
    }

    /// Settles an entry and what hangs on it; then the line for who sent it, which is empty where it
    /// was published, or why it cannot be.
    async fn settled_line(
        &self,
        cache: &std::sync::Arc<Cache>,
        id: &RecordId,
    ) -> Result<String, Refusal> {
        self.settle_all(cache, vec![id.clone()]).await;
        let site = &self.0.site;
        let scope = Scope::Cache(cache.slug.as_str());
        let Some(entry) = site.ledger.view().get::<WaitingRecord>(scope, id) else {
            return Err(Refusal::dependency(
                "what waits could not be read: run the same command again",
            ));
        };
        match entry.state {
            ApprovalState::Published => Ok(String::new()),
            ApprovalState::Waiting => {
                let url = site.public_url.to_string();
                Ok(line(&entry, cache, url.trim_end_matches('/')))
            }
            state => Err(Refusal::conflict(
                "not-published",
                format!(
                    "{} is {state}: {}",
                    entry.path,
                    entry.decided.as_ref().map_or("", |word| &word.reason)
                ),
            )),
        }
    }

    /// Others that wait with this content or under this path, this one not.
    fn under_the_same_path(&self, cache: &Cache, entry: &Waiting) -> Vec<Waiting> {
        let mut others = entries(&self.0.site.ledger, cache.slug.as_str());
        others
            .retain(|other| other.is_waiting() && other.id != entry.id && other.path == entry.path);
        others
    }

    /// Those of them with the same content, this one first.
    fn of_the_same_content(&self, cache: &Cache, entry: Waiting, own: &NarInfo) -> Vec<Waiting> {
        let others = self.under_the_same_path(cache, &entry);
        let same = |other: &Waiting| {
            other
                .narinfo(cache)
                .is_ok_and(|narinfo| same_content(&narinfo, own))
        };
        std::iter::once(entry)
            .chain(others.into_iter().filter(same))
            .collect()
    }
}

/// An entry that could not be written: the upload can be tried again.
fn kept(error: &LedgerError) -> Refusal {
    tracing::warn!(%error, "an upload that has to wait could not be kept");
    Refusal::dependency(format!(
        "it would have to wait, and that could not be written down ({error}): run the same command again"
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use time::OffsetDateTime;

    use super::*;

    fn waiting(id: &str, path: &str, uploader: &str) -> Waiting {
        Waiting {
            id: id.parse().expect("an id"),
            sequence: 1,
            changed_at: OffsetDateTime::UNIX_EPOCH,
            changed_by: uploader.to_owned(),
            record: Arc::new(WaitingRecord {
                path: format!("/nix/store/{path}"),
                narinfo: String::new(),
                nar_hash: String::new(),
                nar_size: 1,
                nar_key: String::new(),
                file_size: 1,
                uploader: uploader.to_owned(),
                actor: uploader.to_owned(),
                token: None,
                trust_rule: None,
                member: None,
                key: None,
                key_owner: None,
                needs: Needs::Nothing,
                rule: None,
                waits: WaitsFor::Server {
                    reason: String::new(),
                },
                approvals: Vec::new(),
                notices: Vec::new(),
                state: ApprovalState::Waiting,
                decided: None,
                created_at: 0,
                expires_at: 0,
                version: 1,
            }),
        }
    }

    #[test]
    fn rivals_are_those_under_one_path_and_references_those_of_one_uploader() {
        let entries = [
            waiting("one", "aaa-app", "member:alice"),
            waiting("two", "aaa-app", "member:bob"),
            waiting("three", "bbb-lib", "member:bob"),
        ];
        let others = Others::of(&entries);
        assert!(others.has_rivals("/nix/store/aaa-app"));
        assert!(!others.has_rivals("/nix/store/bbb-lib"));
        assert!(!others.has_rivals("/nix/store/ccc-none"));
        assert!(others.waits("bbb", "member:bob"));
        assert!(!others.waits("bbb", "member:alice"));
        assert!(!others.waits("ccc", "member:bob"));
    }
}
