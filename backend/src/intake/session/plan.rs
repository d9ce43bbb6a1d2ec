//! Judging a plan.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use snowbank_shared::api::KeyPurpose;
use snowbank_shared::api::policy::Candidate;
use snowbank_shared::api::uploads::{Fate, PathFate, PlanAnswer, UploadPlan};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StorePathHash;

use super::super::judge::owns;
use super::super::waiting::Needs;
use super::super::{Intake, Refusal, UploadPolicy, owner};
use super::understood::{Understood, understand};
use super::{SessionError, lock};
use crate::auth::{By, Caller};
use crate::site::Cache;
use crate::upstream::{Held, Holding};

/// Paths that upstreams are asked about for one plan; more are not skipped.
const MOST_ASKED: usize = 500;
/// Questions at once.
const AT_ONCE: usize = 16;
/// How long upstreams are waited for.
const PATIENCE: Duration = Duration::from_secs(12);
/// Bytes of a reason.
const LONGEST_REASON: usize = 300;

/// What will happen with a path, while it is being found out.
pub(super) struct Judged {
    pub(super) fate: Fate,
    pub(super) reason: Option<String>,
    upstream: Option<String>,
    /// That it will wait where it is sent, and by which rule.
    waits: Option<String>,
}

impl Judged {
    fn simply(fate: Fate) -> Self {
        Self {
            fate,
            reason: None,
            upstream: None,
            waits: None,
        }
    }

    /// Of what is to be published: at once, or when it has waited.
    fn new(waits: Option<String>) -> Self {
        match waits {
            Some(waits) => Self::because(Fate::New, waits),
            None => Self::simply(Fate::New),
        }
    }

    fn because(fate: Fate, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        if reason.len() > LONGEST_REASON {
            let end = (0..=LONGEST_REASON)
                .rev()
                .find(|at| reason.is_char_boundary(*at));
            reason.truncate(end.unwrap_or_default());
            reason.push('…');
        }
        Self {
            fate,
            reason: Some(reason),
            upstream: None,
            waits: None,
        }
    }
}

/// What upstreams say, as far as they said it.
type Holdings = HashMap<StorePathHash, Vec<Held>>;

impl Intake {
    /// Says what will happen with each path of a plan, and begins a session where that is wished.
    /// The same plan again by the same person is the same session.
    ///
    /// # Errors
    /// Where the plan cannot be, or a session cannot begin.
    pub async fn plan(
        &self,
        cache: &Arc<Cache>,
        caller: &Caller,
        by: &By,
        plan: &UploadPlan,
    ) -> Result<PlanAnswer, SessionError> {
        let understood = understand(cache, plan)?;
        let policy = UploadPolicy::in_force(&self.0.site.ledger, cache.slug.as_str())?;
        let (understood, mut judged) = {
            let (intake, cache, caller) = (self.clone(), Arc::clone(cache), caller.clone());
            let policy = policy.clone();
            let judging = move || {
                let judged = intake.judge(&cache, &caller, &policy, &understood);
                (understood, judged)
            };
            tokio::task::spawn_blocking(judging).await.map_err(|_| {
                SessionError::Unavailable("The plan could not be judged.".to_owned())
            })?
        };
        let holdings = self.ask(cache, &understood, &judged).await;
        settle(&understood, &mut judged, &holdings, &policy, cache);
        let to_send: u64 = understood
            .iter()
            .zip(&judged)
            .filter(|(_, judged)| judged.fate.sends_archive())
            .fold(0, |sum, (path, _)| sum.saturating_add(path.file_size));
        let left = {
            let planned: HashSet<&str> = understood
                .iter()
                .map(|path| path.nar_key.as_str())
                .collect();
            // What of the plan has come already is in its sum.
            self.left(cache, &owner(caller), &planned).await?
        };
        let referred: HashSet<StorePathHash> =
            understood.iter().flat_map(Understood::others).collect();
        let paths = understood
            .iter()
            .zip(&judged)
            .zip(&plan.paths)
            .map(|((path, judged), planned)| PathFate {
                path: planned.path.clone(),
                fate: judged.fate,
                reason: judged.reason.clone(),
                can_be_skipped: judged.upstream.as_ref().is_some_and(|url| {
                    may_hold(cache, &policy, url) || !referred.contains(&path.path.hash())
                }),
                upstream: judged.upstream.clone(),
            })
            .collect();
        let mut answer = PlanAnswer {
            session: None,
            resumed: false,
            paths,
            to_send,
            left,
        };
        if plan.begin {
            if let Some(left) = left
                && to_send > left
            {
                return Err(SessionError::Quota {
                    needed: to_send,
                    left,
                });
            }
            let (id, resumed) = self
                .begin(cache, caller, by, plan, &understood, judged, to_send)
                .await?;
            answer.session = Some(self.session(cache, &id)?);
            answer.resumed = resumed;
        }
        Ok(answer)
    }

    /// What memory can say.
    fn judge(
        &self,
        cache: &Cache,
        caller: &Caller,
        policy: &UploadPolicy,
        understood: &[Understood],
    ) -> Vec<Judged> {
        let view = cache.index.view();
        let planned: HashSet<StorePathHash> =
            understood.iter().map(|path| path.path.hash()).collect();
        let one = |path: &Understood| {
            if let Some(id) = view.find(&path.path.hash())
                && let Ok(there) = NarInfo::parse(&view.narinfo_bytes(id), &cache.store_dir)
            {
                return self.present(path, &there);
            }
            if path.nar_size > cache.max_nar_size {
                return Judged::because(
                    Fate::NotAllowed,
                    format!(
                        "it has {} bytes unpacked, and this cache takes {} (max_nar_size)",
                        path.nar_size, cache.max_nar_size
                    ),
                );
            }
            let waits = match self.allowed(cache, caller, policy, path) {
                Ok(waits) => waits,
                Err(refusal) => return Judged::because(Fate::NotAllowed, refusal.text),
            };
            let missing = path
                .others()
                .find(|hash| !planned.contains(hash) && view.find(hash).is_none());
            match missing {
                Some(hash) => Judged {
                    waits,
                    ..Judged::because(
                        Fate::Incomplete,
                        format!(
                            "it needs {hash}, which is neither in this cache nor in this upload"
                        ),
                    )
                },
                None => Judged::new(waits),
            }
        };
        understood.iter().map(one).collect()
    }

    /// Of a path that is here.
    fn present(&self, path: &Understood, there: &NarInfo) -> Judged {
        let references = |all: Vec<StorePathHash>| all.into_iter().collect::<HashSet<_>>();
        let same = there.store_path().to_store_path() == path.path
            && there.nar_hash() == path.nar_hash
            && there.nar_size() == path.nar_size
            && references(there.references().map(|other| other.hash()).collect())
                == references(path.references.clone());
        if !same {
            return Judged::because(
                Fate::Conflict,
                format!(
                    "it is here with other content (NarHash sha256:{}): the first stays",
                    there.nar_hash().to_nix32()
                ),
            );
        }
        let has = key_names(there);
        let adds = path
            .signed_by
            .iter()
            .any(|name| !has.contains(name) && self.0.site.access.contributor(name).is_some());
        Judged::simply(if adds { Fate::AddSignature } else { Fate::Same })
    }

    /// Whether a path may be sent, and what its sender hears where it will wait; in the order in which
    /// it is asked when it comes.
    fn allowed(
        &self,
        cache: &Cache,
        caller: &Caller,
        policy: &UploadPolicy,
        path: &Understood,
    ) -> Result<Option<String>, Refusal> {
        let signer = self.signer_named(cache, caller, policy, path);
        let upload = Candidate {
            member: caller.name(),
            key: signer.as_ref().ok().copied().flatten(),
            name: path.path.name(),
            nar_size: path.nar_size,
        };
        let (needs, rule) = self.ruled_of(cache, &upload, policy)?;
        signer?;
        Ok(rule
            .filter(|_| needs != Needs::Nothing)
            .map(|rule| format!("It will wait: {}", rule.trim_end_matches('.'))))
    }

    /// Which of the keys that a path names may sign it. The signatures themselves are looked at when
    /// they come; a path without any may be content-addressed.
    fn signer_named<'a>(
        &self,
        cache: &Cache,
        caller: &Caller,
        policy: &UploadPolicy,
        path: &'a Understood,
    ) -> Result<Option<&'a str>, Refusal> {
        let (mut why, mut known_key) = (None, None);
        for name in &path.signed_by {
            let ring = cache.key_ring();
            let configured = ring.keys().iter().find(|known| known.key.name() == name);
            if let Some(known) = configured {
                let counts = match known.purpose {
                    KeyPurpose::Cache => policy.relay,
                    _ => cache.trusts(&known.key),
                };
                if counts {
                    known_key = Some(name.as_str());
                    continue;
                }
                why.get_or_insert_with(|| {
                    Refusal::forbidden(
                        "bad-signature",
                        format!("only the key {name} has signed it: sign it with yours"),
                    )
                });
                continue;
            }
            let allowed = match self.0.site.access.contributor(name) {
                None => Err(Refusal::forbidden(
                    "bad-signature",
                    format!(
                        "nobody registered the key {name} here: register it, or sign with one of yours"
                    ),
                )),
                Some(contributor) => contributor
                    .may_publish(cache.slug.as_str(), path.path.name(), path.nar_size)
                    .map_err(|refusal| Refusal::forbidden("key-refused", refusal.to_string()))
                    .and_then(|()| owns(caller.name(), &contributor.owner, name, policy)),
            };
            match allowed {
                Ok(()) => return Ok(Some(name.as_str())),
                Err(refusal) => why = Some(refusal),
            }
        }
        match (known_key, why) {
            (None, Some(refusal)) => Err(refusal),
            (key, _) => Ok(key),
        }
    }

    /// Asks the upstreams about what is not here, and about references that are nowhere.
    async fn ask(&self, cache: &Cache, understood: &[Understood], judged: &[Judged]) -> Holdings {
        let found = Mutex::new(Holdings::new());
        if cache.upstreams.is_empty() {
            return Holdings::new();
        }
        let view = cache.index.view();
        let planned: HashSet<StorePathHash> =
            understood.iter().map(|path| path.path.hash()).collect();
        let mut asked = Vec::new();
        let mut seen = HashSet::new();
        for (path, judged) in understood.iter().zip(judged) {
            if matches!(judged.fate, Fate::New | Fate::Incomplete) && seen.insert(path.path.hash())
            {
                asked.push(path.path.hash());
            }
            if judged.fate == Fate::Incomplete {
                let missing = path.others().filter(|hash| {
                    !planned.contains(hash) && view.find(hash).is_none() && seen.insert(*hash)
                });
                asked.extend(missing.collect::<Vec<_>>());
            }
        }
        asked.truncate(MOST_ASKED);
        let asking = futures_util::stream::iter(asked).for_each_concurrent(AT_ONCE, async |hash| {
            let holdings = cache.upstreams.holdings(hash).await;
            lock(&found).insert(hash, holdings);
        });
        // What has not answered by then is sent.
        let _ = tokio::time::timeout(PATIENCE, asking).await;
        found.into_inner().unwrap_or_default()
    }
}

/// What upstreams make of it: what they have is skipped, what they have otherwise is a conflict,
/// and a reference that the policy lets them hold is no lack.
fn settle(
    understood: &[Understood],
    judged: &mut [Judged],
    holdings: &Holdings,
    policy: &UploadPolicy,
    cache: &Cache,
) {
    let view = cache.index.view();
    let planned: HashSet<StorePathHash> = understood.iter().map(|path| path.path.hash()).collect();
    for (path, judged) in understood.iter().zip(judged) {
        if !matches!(judged.fate, Fate::New | Fate::Incomplete) {
            continue;
        }
        let signed = holdings.get(&path.path.hash()).into_iter().flatten();
        let mut signed = signed.filter_map(|held| match &held.holding {
            Holding::Signed(theirs) => Some((&held.url, theirs)),
            _ => None,
        });
        if let Some((url, theirs)) = signed.next() {
            if theirs.nar_hash() == path.nar_hash && theirs.nar_size() == path.nar_size {
                judged.fate = Fate::SkipUpstream;
                judged.reason = None;
                judged.upstream = Some(url.clone());
            } else {
                *judged = Judged::because(
                    Fate::Conflict,
                    format!(
                        "{url} has it with other content, signed (NarHash sha256:{}): leave it out",
                        theirs.nar_hash().to_nix32()
                    ),
                );
            }
            continue;
        }
        if judged.fate == Fate::Incomplete {
            let held = |hash: &StorePathHash| {
                holdings.get(hash).into_iter().flatten().any(|held| {
                    matches!(held.holding, Holding::Signed(_)) && may_hold(cache, policy, &held.url)
                })
            };
            let complete = path
                .others()
                .all(|hash| planned.contains(&hash) || view.find(&hash).is_some() || held(&hash));
            if complete {
                *judged = Judged::new(judged.waits.take());
            }
        }
    }
}

/// Whether what uploads refer to may lie on this upstream.
fn may_hold(cache: &Cache, policy: &UploadPolicy, url: &str) -> bool {
    let mut all = cache.upstreams.all().iter();
    policy.reference_upstreams.iter().any(|named| named == url)
        || all.any(|each| each.url == url && each.is_virtual())
}

/// The names of the keys that signed a narinfo.
pub(super) fn key_names(narinfo: &NarInfo) -> HashSet<String> {
    narinfo
        .signatures()
        .filter_map(|text| text.split_once(':'))
        .map(|(name, _)| name.to_owned())
        .collect()
}
