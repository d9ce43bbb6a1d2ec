//! `/caches/{cache}/approvals`: uploads that wait, and who decides on them.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::{Extension, Json};
use bytes::Bytes;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::approvals::{
    ApprovalDetail, ApprovalRow, ApprovalState, Approve, ComparedPath, Decision, Reject,
};
use snowbank_shared::api::{Page, Problem};
use snowbank_shared::store_path::{StorePathHash, split_name};

use super::approvals_pinned::{Coming, pinned};
use super::problem::ApiError;
use super::request::{Asked, Paging, body, heavy, nothing_left, pairs};
use crate::auth::records::spelled;
use crate::auth::{self, Caller, Refusal};
use crate::index::{PathQuery, Sort};
use crate::intake::Intake;
use crate::intake::waiting::{self, DecisionError, Waiting, Word};
use crate::ledger::{RecordId, Scope};
use crate::site::{Cache, Site};

/// Rows of a page.
const ROWS: usize = 100;
/// Rows of a page at most.
const MOST: usize = 500;
/// New paths that one upload shows at most.
const MOST_NEW: usize = 500;
/// Paths of one package looked at for the version before.
const VERSIONS: usize = 200;

/// Who asks about what waits, and how much of it is theirs to see.
struct Viewer<'a> {
    site: &'a Site,
    cache: &'a Arc<Cache>,
    asked: &'a Asked,
    /// They see everything; others what they sent.
    all: bool,
}

impl<'a> Viewer<'a> {
    fn of(site: &'a Site, cache: &'a Arc<Cache>, asked: &'a Asked) -> Result<Self, ApiError> {
        let may = |act| auth::may(&asked.caller, act, cache.on()).is_ok();
        let all = may(Act::Maintain) || may(Act::ReadAudit);
        if !all {
            asked.must(site, Act::Upload, cache.on())?;
        }
        Ok(Self {
            site,
            cache,
            asked,
            all,
        })
    }

    fn is_mine(&self, entry: &Waiting) -> bool {
        entry.uploader == crate::intake::owner(&self.asked.caller)
    }

    fn sees(&self, entry: &Waiting) -> bool {
        self.all || self.is_mine(entry)
    }

    /// Why they cannot approve it.
    fn refusal(&self, entry: &Waiting) -> Option<String> {
        let Caller::Member(member) = &self.asked.caller else {
            return Some(Refusal::NeedsSession.explained(&[]));
        };
        if let Err(refusal) = auth::may(&self.asked.caller, Act::Maintain, self.cache.on()) {
            return Some(refusal.explained(&self.site.access.owners()));
        }
        entry.not_by(&member.name).map(|error| error.to_string())
    }

    fn row(&self, entry: &Waiting) -> ApprovalRow {
        ApprovalRow {
            id: entry.id.to_string(),
            path: entry.path.clone(),
            hash: entry.hash().to_owned(),
            name: entry.name().to_owned(),
            nar_hash: entry.nar_hash.clone(),
            nar_size: entry.nar_size,
            file_size: entry.file_size,
            uploader: entry.member.clone().unwrap_or_else(|| entry.actor.clone()),
            key: entry.key_name().map(str::to_owned),
            state: entry.state,
            waits: (entry.state == ApprovalState::Waiting).then(|| entry.waits.clone()),
            rule: entry.rule.clone(),
            approvals: entry.approvals.iter().map(said).collect(),
            decision: entry.decided.as_ref().map(said),
            created_at: spelled(entry.created_at),
            expires_at: spelled(entry.expires_at),
            revision: entry.version,
            refusal: self.refusal(entry),
        }
    }

    /// The entry of this id, where they may see it.
    fn entry(&self, id: &str) -> Result<Waiting, ApiError> {
        let scope = Scope::Cache(self.cache.slug.as_str());
        id.parse::<RecordId>()
            .ok()
            .and_then(|id| self.site.ledger.view().get(scope, &id))
            .filter(|entry| self.sees(entry))
            .ok_or_else(|| ApiError::from(DecisionError::NoSuch))
    }
}

fn said(word: &Word) -> Decision {
    Decision {
        by: word.by.clone(),
        at: spelled(word.at),
        reason: word.reason.clone(),
    }
}

/// When an entry came, or was decided.
fn moment(entry: &Waiting) -> i64 {
    entry
        .decided
        .as_ref()
        .map_or(entry.created_at, |word| word.at)
}

/// What one list asks for.
struct Filter {
    state: ApprovalState,
    mine: bool,
    limit: usize,
    /// Moment and id of the last row of the page before.
    after: Option<(i64, String)>,
}

impl Filter {
    fn parse(query: Option<&str>) -> Result<Self, ApiError> {
        let mut pairs = pairs(query)?;
        let paging = Paging::take(&mut pairs, ROWS, MOST)?;
        let mut filter = Self {
            state: ApprovalState::Waiting,
            mine: false,
            limit: paging.limit,
            after: None,
        };
        if let Some(cursor) = paging.cursor {
            let after = cursor
                .split_once('~')
                .and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned())));
            filter.after = Some(after.ok_or_else(|| {
                ApiError::bad_parameter("`cursor` is the `next` of a page before")
            })?);
        }
        let mut rest = Vec::new();
        for (name, value) in pairs {
            match name.as_str() {
                "state" => {
                    filter.state = value.parse().map_err(|_| {
                        let words = ApprovalState::ALL.map(ApprovalState::as_str).join(", ");
                        ApiError::bad_parameter(format!("`state` is one of {words}"))
                    })?;
                }
                "mine" if value == "true" => filter.mine = true,
                "mine" if value == "false" => {}
                "mine" => return Err(ApiError::bad_parameter("`mine` is `true` or `false`")),
                _ => rest.push((name, value)),
            }
        }
        nothing_left(&rest)?;
        Ok(filter)
    }
}

fn page(viewer: &Viewer<'_>, filter: &Filter) -> Page<ApprovalRow> {
    let mut found = waiting::entries(&viewer.site.ledger, viewer.cache.slug.as_str());
    found.retain(|entry| {
        entry.state == filter.state && viewer.sees(entry) && (!filter.mine || viewer.is_mine(entry))
    });
    let place = |entry: &Waiting| (moment(entry), entry.id.to_string());
    found.sort_by_cached_key(|entry| Reverse(place(entry)));
    let total = found.len() as u64;
    if let Some(after) = &filter.after {
        found.retain(|entry| place(entry) < *after);
    }
    let more = found.len() > filter.limit;
    found.truncate(filter.limit);
    let next = found
        .last()
        .filter(|_| more)
        .map(|entry| format!("{}~{}", moment(entry), entry.id));
    Page {
        items: found.iter().map(|entry| viewer.row(entry)).collect(),
        next,
        total,
        revision: viewer.site.ledger.view().revision().to_string(),
        complete: true,
    }
}

/// Uploads that wait, or waited lately: one's own; all of them for Maintainers, Owners and Auditors.
#[utoipa::path(
    get,
    path = "/caches/{cache}/approvals",
    tag = "uploads",
    operation_id = "list_approvals",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("state" = Option<String>, Query, description = "`waiting`, which it is where nothing is given, `published`, `rejected`, `refused` or `expired`"),
        ("mine" = Option<bool>, Query, description = "Only one's own"),
        ("limit" = Option<u32>, Query, description = "Rows, 1 to 500; 100 where it is not given"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, body = Page<ApprovalRow>),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Contributor"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<ApprovalRow>>, ApiError> {
    let cache = site.cache(&slug).ok_or_else(|| ApiError::no_cache(&slug))?;
    let viewer = Viewer::of(&site, cache, &asked)?;
    let filter = Filter::parse(query.as_deref())?;
    Ok(Json(page(&viewer, &filter)))
}

/// One upload that waits, with what helps to decide: what would be new, what was noticed, the version
/// that is here.
#[utoipa::path(
    get,
    path = "/caches/{cache}/approvals/{id}",
    tag = "uploads",
    operation_id = "get_approval",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("id" = String, Path, description = "Its id"),
    ),
    responses(
        (status = 200, body = ApprovalDetail),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Contributor"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "Nothing of this id waits, or it is somebody else's"),
    ),
)]
pub(super) async fn one(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path((slug, id)): Path<(String, String)>,
) -> Result<Json<ApprovalDetail>, ApiError> {
    let cache = site.cache(&slug).ok_or_else(|| ApiError::no_cache(&slug))?;
    let viewer = Viewer::of(&site, cache, &asked)?;
    let entry = viewer.entry(&id)?;
    Ok(Json(detail(&site, cache, &asked, entry).await?))
}

async fn detail(
    site: &Arc<Site>,
    cache: &Arc<Cache>,
    asked: &Asked,
    entry: Waiting,
) -> Result<ApprovalDetail, ApiError> {
    let (all, of, asked) = (Arc::clone(site), Arc::clone(cache), asked.clone());
    heavy(site, move || {
        let viewer = Viewer::of(&all, &of, &asked)?;
        Ok(described(&viewer, &entry))
    })
    .await
}

fn described(viewer: &Viewer<'_>, entry: &Waiting) -> ApprovalDetail {
    let cache = viewer.cache;
    let entries = waiting::entries(&viewer.site.ledger, cache.slug.as_str());
    let (new, here, present_references) = new_with(cache, entry, &entries);
    let coming = Coming { new: &new, here };
    let pinned = pinned(viewer.site, cache, entry, &coming);
    let rivals = entries
        .iter()
        .filter(|other| {
            other.path == entry.path
                && other.nar_hash != entry.nar_hash
                && other.state == ApprovalState::Waiting
                && viewer.sees(other)
        })
        .map(|other| viewer.row(other))
        .collect();
    ApprovalDetail {
        row: viewer.row(entry),
        narinfo: entry.narinfo.clone(),
        new_nar_size: new.iter().map(|path| path.nar_size).sum(),
        new_paths: new,
        present_references,
        notices: entry.notices.clone(),
        previous: previous(cache, entry),
        pinned,
        rivals,
    }
}

/// What would be new in the cache with an entry: itself, and what waits by the same uploader and it
/// needs. Then what these refer to and is here, and how many of its own references that are.
fn new_with(
    cache: &Cache,
    entry: &Waiting,
    entries: &[Waiting],
) -> (Vec<ComparedPath>, Vec<StorePathHash>, u64) {
    let view = cache.index.view();
    let mut present = 0;
    let (mut found, mut here) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::from([entry.hash().to_owned()]);
    let mut open = vec![entry];
    while let Some(next) = open.pop() {
        if found.len() == MOST_NEW {
            break;
        }
        found.push(ComparedPath {
            path: next.path.clone(),
            hash: next.hash().to_owned(),
            name: next.name().to_owned(),
            nar_size: next.nar_size,
            closure_size: None,
            added_at: None,
        });
        let Ok(narinfo) = next.narinfo(cache) else {
            continue;
        };
        for reference in narinfo.references() {
            let hash = reference.hash();
            if view.find(&hash).is_some() {
                present += u64::from(next.id == entry.id && hash.to_string() != entry.hash());
                here.push(hash);
                continue;
            }
            let hash = hash.to_string();
            if !seen.insert(hash.clone()) {
                continue;
            }
            open.extend(entries.iter().find(|other| {
                other.hash() == hash
                    && other.uploader == entry.uploader
                    && other.state == ApprovalState::Waiting
            }));
        }
    }
    // It is published by now.
    if let Ok(own) = entry.hash().parse::<StorePathHash>()
        && view.find(&own).is_some()
    {
        here.push(own);
    }
    (found, here, present)
}

/// The newest path of the same package that is here.
fn previous(cache: &Cache, entry: &Waiting) -> Option<ComparedPath> {
    let (package, _) = split_name(entry.name());
    let query = PathQuery {
        q: package.to_owned(),
        sort: Sort::default(),
        limit: VERSIONS,
        ..PathQuery::default()
    };
    let found = cache.index.view().query(&query).ok()?;
    found
        .items
        .into_iter()
        .find(|row| row.hash != entry.hash() && split_name(&row.name).0 == package)
        .map(ComparedPath::from)
}

/// Approves an upload. Never one's own; where two have to, two people. `revision` is the one that was
/// looked at. Where it is enough, everything is judged once more and the path is published.
#[utoipa::path(
    post,
    path = "/caches/{cache}/approvals/{id}/approve",
    tag = "uploads",
    operation_id = "approve_upload",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("id" = String, Path, description = "Its id"),
    ),
    request_body = Approve,
    responses(
        (status = 200, body = ApprovalDetail),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer, a session, and that it is not one's own"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "Nothing of this id waits"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It changed since, or was decided"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A value cannot be"),
    ),
)]
pub(super) async fn approve(
    State(site): State<Arc<Site>>,
    Extension(intake): Extension<Intake>,
    Extension(asked): Extension<Asked>,
    Path((slug, id)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<Json<ApprovalDetail>, ApiError> {
    let cache = asked.cache(&site, &slug, Act::Maintain)?;
    let member = asked.member()?;
    let wish: Approve = body(&bytes)?;
    let entry = Viewer::of(&site, &cache, &asked)?.entry(&id)?;
    let approved = intake
        .approve(
            &cache,
            &entry.id,
            &member.name,
            wish.revision,
            &wish.note,
            &asked.by(),
        )
        .await?;
    Ok(Json(detail(&site, &cache, &asked, approved).await?))
}

/// Rejects an upload, with a reason. Who uploaded it can take it back in the same way.
#[utoipa::path(
    post,
    path = "/caches/{cache}/approvals/{id}/reject",
    tag = "uploads",
    operation_id = "reject_upload",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("id" = String, Path, description = "Its id"),
    ),
    request_body = Reject,
    responses(
        (status = 200, body = ApprovalDetail),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Maintainer, or that it is one's own"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "Nothing of this id waits"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It changed since, or was decided"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "There is no reason"),
    ),
)]
pub(super) async fn reject(
    State(site): State<Arc<Site>>,
    Extension(intake): Extension<Intake>,
    Extension(asked): Extension<Asked>,
    Path((slug, id)): Path<(String, String)>,
    bytes: Bytes,
) -> Result<Json<ApprovalDetail>, ApiError> {
    let cache = site.cache(&slug).ok_or_else(|| ApiError::no_cache(&slug))?;
    let viewer = Viewer::of(&site, cache, &asked)?;
    if auth::may(&asked.caller, Act::Maintain, cache.on()).is_err() {
        asked.must(&site, Act::Upload, cache.on())?;
    }
    let member = asked.member()?;
    let wish: Reject = body(&bytes)?;
    let entry = viewer.entry(&id)?;
    if !viewer.is_mine(&entry) {
        asked.must(&site, Act::Maintain, cache.on())?;
    }
    let rejected = intake
        .reject(
            cache,
            &entry.id,
            &member.name,
            wish.revision,
            &wish.reason,
            &asked.by(),
        )
        .await?;
    Ok(Json(detail(&site, cache, &asked, rejected).await?))
}

impl From<DecisionError> for ApiError {
    fn from(error: DecisionError) -> Self {
        let text = error.to_string();
        match error {
            DecisionError::NoSuch => Self::nothing_there(text),
            DecisionError::Own(_) => Self::not_allowed(text),
            DecisionError::NotAsked(_) | DecisionError::Over(_) => {
                Self::conflict("decided-otherwise", text)
            }
            DecisionError::Changed => Self::conflict("changed-meanwhile", text),
            DecisionError::Bad(_) => Self::unacceptable("bad-value", text),
            DecisionError::Ledger(error) => error.into(),
        }
    }
}
