//! Plans: frozen lists of what is to go.
//!
//! A plan is made from what rules keep at that moment, by an owner. Its list is in the order in which
//! it is taken out, referrers first, in sealed bundles; its record has the digest. It can be started
//! for seven days. A plan removes exactly its list, less what became needed since ([`since`](super::since)).

use std::sync::Arc;

use snowbank_shared::api::retention::{
    ListedPath, MOST_DAYS, Plan, PlanWish, Rules, RunState, Weight,
};
use snowbank_shared::hash::Sha256;
use snowbank_shared::store_path::StorePathHash;

use super::applied::{Applied, Known};
use super::{Retention, RetentionError, fault, off_reactor, refusal, shown, simulate, since};
use crate::auth::By;
use crate::auth::records::{now, spelled};
use crate::condemned::{self, Doomed, PlanRecord, RunRecord, digest_of, list_name};
use crate::index::{Id, View};
use crate::ledger::{Entry, LedgerError, RecordId, Scope};
use crate::site::{Cache, Site};
use crate::substituter::narinfo::allowed;
use crate::usage::{DAY, FetchLog, Fetched};

/// Paths of a plan at most.
pub const MOST_PLANNED: usize = 200_000;
/// Plans of a cache at most that can be started.
pub const MOST_PLANS: usize = 20;
/// Seconds for which a plan can be started.
const LIFE: i64 = 7 * DAY;
/// Bytes of a bundle of a list, about.
const BUNDLE: usize = 2 << 20;

/// The URL of a NAR without its query: the key of an object.
fn nar_key(view: &View, id: Id) -> String {
    let mut url = view.url(id);
    url.truncate(url.find('?').unwrap_or(url.len()));
    url
}

/// A path as a plan lists it.
fn doomed(cache: &Cache, view: &View, id: Id, fetches: &FetchLog) -> Doomed {
    let hash = view.hash(id);
    Doomed {
        hash,
        name: view.name(id).to_owned(),
        narinfo: Sha256::digest(&view.narinfo_bytes(id)).to_base16(),
        nar: nar_key(view, id),
        bytes: view.file_size(id),
        added_at: view.added_at(id),
        content: view.content(id),
        served: view.withheld(id).is_none()
            && !cache.holds_back(view, id)
            && allowed(cache.serve, || Some((view.signature(id), view.content(id)))),
        fetched: match fetches.fetched(&hash) {
            Fetched::At { day } => Some(day),
            Fetched::Never { .. } | Fetched::NotMeasured => None,
        },
    }
}

/// What a plan is made of, by the index of this moment.
struct Drawn {
    list: Vec<Doomed>,
    frees: Weight,
    pins: Vec<StorePathHash>,
}

/// Draws a list. Looks at every path: off the reactor.
fn drawn(site: &Site, cache: &Cache, rules: &Rules) -> Result<Drawn, RetentionError> {
    let known = Known::of(site, cache);
    let facts = known.facts();
    let (view, pins, fetches) = (facts.view, facts.pins, facts.fetches);
    let applied = Applied::new(facts, rules);
    if let Some(refusal) = refusal(site, cache, applied.lacks().as_ref()) {
        return Err(RetentionError::Blocked(refusal));
    }
    if !applied.is_on() {
        return Err(RetentionError::Bad(
            "No rule is on, so everything stays: choose one that keeps something.".to_owned(),
        ));
    }
    let (kept, _) = simulate::kept(view, &applied);
    let removal = view.removal(&kept);
    let frees = Weight {
        paths: removal.going.len() as u64,
        bytes: removal.freed(),
    };
    match removal.going.len() {
        0 => Err(RetentionError::Nothing(
            "These rules keep everything: there is nothing to plan.".to_owned(),
        )),
        1..=MOST_PLANNED => Ok(Drawn {
            list: view
                .referrers_first(&removal.going)
                .into_iter()
                .map(|id| doomed(cache, view, id, fetches))
                .collect(),
            frees,
            pins: pins.iter().map(|pinned| pinned.path).collect(),
        }),
        more => Err(RetentionError::Bad(format!(
            "These rules would take out {more} paths, and a plan has {MOST_PLANNED} at most: keep more at first, then plan again."
        ))),
    }
}

/// The parts of a list, each small enough for a bundle.
fn parts(list: &[Doomed]) -> Vec<&[Doomed]> {
    let mut parts = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (at, path) in list.iter().enumerate() {
        // The fields, and what JSON writes around them.
        bytes += path.name.len() + path.nar.len() * 2 + 320;
        if bytes > BUNDLE {
            parts.push(&list[from..=at]);
            (from, bytes) = (at + 1, 0);
        }
    }
    if from < list.len() {
        parts.push(&list[from..]);
    }
    parts
}

/// How many paths of a cache came past this server: those without a receipt of their arrival.
///
/// # Errors
/// Where the receipts cannot be read.
pub async fn foreign_paths(site: &Site, cache: &Arc<Cache>) -> Result<u64, LedgerError> {
    let receipts = site
        .ledger
        .known_receipts(cache.slug.as_str(), None)
        .await?;
    let index = Arc::clone(cache);
    let counting = tokio::task::spawn_blocking(move || {
        let view = index.index.view();
        let known: std::collections::HashSet<StorePathHash> = receipts
            .iter()
            .filter(|receipt| receipt.is_of_arrival())
            .filter_map(|receipt| receipt.path.parse().ok())
            .collect();
        view.hashes().filter(|hash| !known.contains(hash)).count() as u64
    });
    counting
        .await
        .map_err(|error| LedgerError::Closed(format!("counting receipts failed: {error}")))
}

impl Retention {
    /// Makes a plan. Nothing is removed by it.
    ///
    /// # Errors
    /// Where a value cannot be, the state of the cache forbids it, others write to the bucket and nobody
    /// said yes to that, or the ledger does not take it.
    pub async fn plan(
        &self,
        cache: &Arc<Cache>,
        wish: &PlanWish,
        by: &By,
    ) -> Result<Plan, RetentionError> {
        let site = &self.0.site;
        let (slug, ledger) = (cache.slug.as_str(), &site.ledger);
        let scope = Scope::Cache(slug);
        if let Some(fault) = fault(&wish.rules) {
            return Err(RetentionError::Bad(fault));
        }
        let grace_days = wish
            .grace_days
            .unwrap_or_else(|| shown(site, cache).grace_days);
        if grace_days > MOST_DAYS {
            return Err(RetentionError::Bad(format!(
                "`grace_days` cannot be {grace_days}: it is at most {MOST_DAYS}."
            )));
        }
        if self.startable(cache).len() >= MOST_PLANS {
            return Err(RetentionError::Bad(format!(
                "{MOST_PLANS} plans of this cache can be started, and that is the most: start one, or wait until one expires."
            )));
        }
        let foreign = foreign_paths(site, cache).await?;
        if foreign > 0 && !wish.foreign {
            return Err(RetentionError::Foreign(foreign));
        }
        let (drawing, of, rules) = (Arc::clone(site), Arc::clone(cache), wish.rules.clone());
        let drawn = off_reactor(move || drawn(&drawing, &of, &rules)).await?;
        let id = RecordId::random().map_err(LedgerError::from)?;
        let mut digests = Vec::new();
        let parts = parts(&drawn.list);
        for (number, part) in parts.iter().enumerate() {
            let name = list_name(id.as_str(), condemned::place(number));
            ledger.put_bundle(slug, &name, *part).await?;
            digests.extend_from_slice(&digest_of(part));
        }
        ledger
            .put_bundle(slug, &pins_name(id.as_str()), &drawn.pins)
            .await?;
        let at = now();
        let record = PlanRecord {
            by: by.actor.clone(),
            at,
            expires: at + LIFE,
            rules: wish.rules.clone(),
            frees: drawn.frees,
            grace_days,
            foreign_paths: foreign,
            foreign: wish.foreign,
            bundles: condemned::place(parts.len()),
            digest: Sha256::digest(&digests).to_base16(),
            run: None,
        };
        let made = ledger.create(scope, &id, &by.actor, record).await?;
        let detail = [
            ("paths", drawn.frees.paths.to_string()),
            ("bytes", drawn.frees.bytes.to_string()),
            ("grace_days", grace_days.to_string()),
            ("foreign", wish.foreign.to_string()),
        ];
        site.access
            .note_in(slug, by, "retention.plan", id.as_str(), &detail)
            .await;
        Ok(self.described(cache, &made))
    }

    /// Plans that can be started, newest first.
    pub(super) fn startable(&self, cache: &Cache) -> Vec<Entry<PlanRecord>> {
        let view = self.0.site.ledger.view();
        let plans = view.list::<PlanRecord>(Scope::Cache(cache.slug.as_str()));
        let mut plans: Vec<_> = plans
            .filter(|plan| plan.run.is_none() && plan.expires > now())
            .collect();
        plans.sort_by_key(|plan| std::cmp::Reverse(plan.at));
        plans
    }

    /// A plan's record.
    pub(super) fn found_plan(
        &self,
        cache: &Cache,
        id: &str,
    ) -> Result<Entry<PlanRecord>, RetentionError> {
        let view = self.0.site.ledger.view();
        id.parse()
            .ok()
            .and_then(|id| view.get::<PlanRecord>(Scope::Cache(cache.slug.as_str()), &id))
            .ok_or_else(|| RetentionError::no_such("plan", id))
    }

    /// A plan without what became needed since.
    pub(super) fn described(&self, cache: &Cache, plan: &Entry<PlanRecord>) -> Plan {
        Plan {
            id: plan.id.to_string(),
            by: plan.by.clone(),
            at: spelled(plan.at),
            expires: spelled(plan.expires),
            rules: plan.rules.clone(),
            frees: plan.frees,
            grace_days: plan.grace_days,
            foreign_paths: plan.foreign_paths,
            foreign: plan.foreign,
            since: Vec::new(),
            since_paths: 0,
            refusal: self.not_startable(cache, plan),
            run: plan.run.clone(),
        }
    }

    /// Why a plan cannot be started now.
    pub(super) fn not_startable(&self, cache: &Cache, plan: &PlanRecord) -> Option<String> {
        let site = &self.0.site;
        if plan.run.is_some() {
            return Some("It was started already.".to_owned());
        }
        if plan.expires <= now() {
            return Some("It has expired: make a new plan.".to_owned());
        }
        if let Some(refusal) = refusal(site, cache, None) {
            return Some(refusal);
        }
        let acting = self.turn(cache)?;
        Some(format!(
            "Run {acting} is under way, and a cache has one at a time: wait for it, or stop it."
        ))
    }

    /// A plan, with what became needed since it was made.
    ///
    /// # Errors
    /// Where there is none, or its list cannot be read.
    pub async fn plan_shown(&self, cache: &Arc<Cache>, id: &str) -> Result<Plan, RetentionError> {
        let plan = self.found_plan(cache, id)?;
        let mut described = self.described(cache, &plan);
        if plan.run.is_none() {
            let list = self.plan_list(cache, &plan).await?;
            let pins = self.plan_pins(cache, id).await?;
            let (site, of, at) = (Arc::clone(&self.0.site), Arc::clone(cache), plan.at);
            let rules = plan.rules.clone();
            let (spared, all) = off_reactor(move || {
                Ok(since::of_plan(
                    &site,
                    &of,
                    &list,
                    &since::Then {
                        at,
                        revisions: rules.pins,
                        pins,
                    },
                ))
            })
            .await?;
            described.since = spared.iter().map(super::left_out).collect();
            described.since_paths = all;
        }
        Ok(described)
    }

    pub(super) async fn plan_list(
        &self,
        cache: &Cache,
        plan: &Entry<PlanRecord>,
    ) -> Result<Vec<Doomed>, RetentionError> {
        let of = (plan.bundles, plan.digest.as_str());
        let ledger = &self.0.site.ledger;
        Ok(condemned::list(ledger, cache.slug.as_str(), plan.id.as_str(), of).await?)
    }

    /// What pins named when a plan was made.
    pub(super) async fn plan_pins(
        &self,
        cache: &Cache,
        plan: &str,
    ) -> Result<Vec<StorePathHash>, RetentionError> {
        let ledger = &self.0.site.ledger;
        let pins = ledger.bundle(cache.slug.as_str(), &pins_name(plan)).await?;
        pins.ok_or_else(|| {
            LedgerError::Closed(format!("what pins named when plan {plan} was made is gone")).into()
        })
    }

    /// A plan's list, in the order in which it is taken out.
    ///
    /// # Errors
    /// Where there is no such plan, or its list cannot be read.
    pub async fn plan_paths(
        &self,
        cache: &Cache,
        id: &str,
    ) -> Result<Vec<ListedPath>, RetentionError> {
        let plan = self.found_plan(cache, id)?;
        let list = self.plan_list(cache, &plan).await?;
        Ok(list.iter().map(listed).collect())
    }

    /// Deletes the lists of plans that nobody can start any more and no run needs, and the trash of runs
    /// that are over for good.
    pub(super) async fn sweep_lists(&self, cache: &Cache) -> Result<(), LedgerError> {
        let ledger = &self.0.site.ledger;
        let slug = cache.slug.as_str();
        let scope = Scope::Cache(slug);
        let bundles = ledger.bundles(slug, "plans/").await?;
        let view = ledger.view();
        // A record that cannot be read now may still need its list.
        if !view.stops(slug).is_empty() {
            return Ok(());
        }
        let mut needed: std::collections::HashSet<String> = view
            .list::<PlanRecord>(scope)
            .map(|plan| plan.id.to_string())
            .collect();
        needed.extend(view.list::<RunRecord>(scope).map(|run| run.plan.clone()));
        for bundle in bundles {
            let plan = bundle.name.split('/').next().unwrap_or_default();
            // One that is being made has no record yet.
            let old = bundle.at.is_some_and(|at| at + LIFE + DAY < now());
            if old && !needed.contains(plan) {
                ledger
                    .drop_bundle(slug, &format!("plans/{}", bundle.name))
                    .await?;
            }
        }
        let over = |run: &Entry<RunRecord>| matches!(run.state, RunState::Done | RunState::Undone);
        // A run has its record long before it has a trash.
        let needed: std::collections::HashSet<String> = view
            .list::<RunRecord>(scope)
            .filter(|run| !over(run))
            .map(|run| run.id.to_string())
            .collect();
        for bundle in ledger.bundles(slug, "trash/").await? {
            let run = bundle.name.split('/').next().unwrap_or_default();
            if !needed.contains(run) {
                ledger
                    .drop_bundle(slug, &format!("trash/{}", bundle.name))
                    .await?;
            }
        }
        Ok(())
    }
}

fn pins_name(plan: &str) -> String {
    format!("plans/{plan}/pins")
}

fn listed(path: &Doomed) -> ListedPath {
    ListedPath {
        hash: path.hash.to_string(),
        name: path.name.clone(),
        bytes: path.bytes,
        fetched_at: path.fetched.map(spelled),
        added_at: Some(path.added_at).filter(|at| *at > 0).map(spelled),
    }
}
