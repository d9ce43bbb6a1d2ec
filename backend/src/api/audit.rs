//! `/audit` and `/caches/{cache}/audit`: who did what.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use snowbank_shared::api::Problem;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::audit::{AuditCheck, AuditEntry, AuditPage};
use snowbank_shared::table;

use super::problem::ApiError;
use super::request::{Asked, Paging, nothing_left, pairs};
use crate::auth::On;
use crate::auth::records::spelled;
use crate::ledger;
use crate::site::Site;

/// Rows of a page.
const ROWS: usize = 100;
/// Rows of a page at most.
const MOST: usize = 500;
/// Rows of an export.
const EXPORT: usize = 10_000;
/// Days that one request reads.
const DAYS: usize = 31;

/// What is asked for.
struct Filter {
    cache: Option<String>,
    actor: String,
    action: String,
    object: String,
    from: String,
    csv: bool,
    limit: usize,
    /// Day and id of the last entry seen.
    after: Option<(String, String)>,
}

impl Filter {
    fn parse(query: Option<&str>, cache: Option<String>) -> Result<Self, ApiError> {
        let mut pairs = pairs(query)?;
        let paging = Paging::take(&mut pairs, ROWS, MOST)?;
        let mut filter = Self {
            cache,
            actor: String::new(),
            action: String::new(),
            object: String::new(),
            from: String::new(),
            csv: false,
            limit: paging.limit,
            after: None,
        };
        if let Some(cursor) = paging.cursor {
            let (day, id) = cursor
                .split_once('~')
                .filter(|(day, _)| is_day(day))
                .ok_or_else(|| {
                    ApiError::bad_parameter("`cursor` is the `next` of a page before")
                })?;
            filter.after = Some((day.to_owned(), id.to_owned()));
        }
        let mut rest = Vec::new();
        for (name, value) in pairs {
            match name.as_str() {
                "actor" => filter.actor = value,
                "action" => filter.action = value,
                "object" => filter.object = value,
                "from" if value.is_empty() || is_day(&value) => filter.from = value,
                "from" => return Err(ApiError::bad_parameter("`from` is a day: 2026-11-23")),
                "format" if value == "csv" => filter.csv = true,
                "format" if value == "json" || value.is_empty() => {}
                "format" => return Err(ApiError::bad_parameter("`format` is `json` or `csv`")),
                _ => rest.push((name, value)),
            }
        }
        nothing_left(&rest)?;
        if filter.csv {
            filter.limit = EXPORT;
        }
        Ok(filter)
    }

    fn takes(&self, event: &ledger::Event) -> bool {
        (self.cache.is_none() || self.cache == event.cache)
            && (self.actor.is_empty() || is_of(&event.actor, &self.actor))
            && event.act.starts_with(&self.action)
            && (self.object.is_empty() || event.object == self.object)
    }
}

/// Whether an actor is this one, or a token of theirs.
fn is_of(actor: &str, name: &str) -> bool {
    actor
        .strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(" ("))
}

/// `2026-11-23`
fn is_day(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| {
            if matches!(at, 4 | 7) {
                byte == b'-'
            } else {
                byte.is_ascii_digit()
            }
        })
}

/// Reads days, newest first, until a page is full or enough was read.
async fn page(site: &Site, filter: &Filter) -> Result<AuditPage, ApiError> {
    let ledger = site.access.ledger();
    let days = ledger.audit_days().await?;
    let mut found = AuditPage {
        items: Vec::new(),
        next: None,
        breaks: Vec::new(),
        since: None,
    };
    let mut last = None;
    let wanted = days
        .iter()
        .filter(|day| filter.after.as_ref().is_none_or(|(after, _)| *day <= after))
        .filter(|day| **day >= filter.from);
    for (read, day) in wanted.enumerate() {
        if read == DAYS {
            // An id before all others: the next page begins with the day after the last one read.
            found.next = last.map(|day: &String| format!("{day}~"));
            return Ok(found);
        }
        let content = ledger.audit_day(day).await?;
        found
            .breaks
            .extend(content.breaks.iter().map(ToString::to_string));
        found.since = Some(day.clone());
        let mut skipping = filter.after.as_ref().filter(|(after, _)| after == day);
        for entry in content.entries {
            if let Some((_, id)) = skipping {
                if entry.id == *id {
                    skipping = None;
                }
                continue;
            }
            if !filter.takes(&entry.event) {
                continue;
            }
            if found.items.len() == filter.limit {
                let id = found.items.last().map_or("", |item| item.id.as_str());
                let on = last_day(&found, day);
                found.next = Some(format!("{on}~{id}"));
                return Ok(found);
            }
            found.items.push(described(entry));
        }
        last = Some(day);
    }
    Ok(found)
}

/// The day of the last entry found.
fn last_day(found: &AuditPage, day: &str) -> String {
    found
        .items
        .last()
        .and_then(|item| item.at.get(..10))
        .unwrap_or(day)
        .to_owned()
}

fn described(entry: ledger::AuditEntry) -> AuditEntry {
    let event = entry.event;
    AuditEntry {
        id: entry.id,
        at: spelled(event.at),
        actor: event.actor,
        action: event.act,
        object: event.object,
        cache: event.cache,
        refused: event.refused,
        detail: event.detail,
        client: event.client.map(|client| client.to_string()),
    }
}

async fn answer(site: &Site, filter: &Filter, asked: &Asked) -> Result<Response, ApiError> {
    let page = page(site, filter).await?;
    if !filter.csv {
        return Ok(Json(page).into_response());
    }
    let object = filter.cache.as_deref().unwrap_or("server");
    let rows = page.items.len().to_string();
    site.access
        .note(&asked.by(), "audit.export", object, &[("rows", rows)])
        .await;
    Ok((
        [
            (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
            (
                CONTENT_DISPOSITION,
                format!("attachment; filename=\"{object}-audit.csv\""),
            ),
        ],
        csv(&page.items),
    )
        .into_response())
}

/// RFC 4180, safe for spreadsheets.
fn csv(items: &[AuditEntry]) -> String {
    let mut text = String::from("time,actor,action,object,cache,result,detail,client,id\r\n");
    for item in items {
        let detail: Vec<String> = item
            .detail
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let fields = [
            item.at.as_str(),
            &item.actor,
            &item.action,
            &item.object,
            item.cache.as_deref().unwrap_or_default(),
            if item.refused { "refused" } else { "done" },
            &detail.join("; "),
            item.client.as_deref().unwrap_or_default(),
            &item.id,
        ];
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            table::push_csv(field, &mut text);
        }
        text.push_str("\r\n");
    }
    text
}

/// The audit of the whole server, newest first.
#[utoipa::path(
    get,
    path = "/audit",
    tag = "audit",
    operation_id = "list_audit",
    params(
        ("actor" = Option<String>, Query, description = "Only what this member did, their tokens included"),
        ("action" = Option<String>, Query, description = "Only acts whose word begins so, such as `token`"),
        ("object" = Option<String>, Query, description = "Only what was done to this"),
        ("from" = Option<String>, Query, description = "From this day on, `2026-11-23`"),
        ("format" = Option<String>, Query, description = "`csv`: up to 10,000 rows as a file; noted in the audit"),
        ("limit" = Option<u32>, Query, description = "Entries, 1 to 500; 100 where it is not given"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, body = AuditPage),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Auditor"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "The audit cannot be read"),
    ),
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    asked.must(&site, Act::ReadWholeAudit, On::Server)?;
    let filter = Filter::parse(query.as_deref(), None)?;
    answer(&site, &filter, &asked).await
}

/// The part of the audit that concerns a cache, newest first.
#[utoipa::path(
    get,
    path = "/caches/{cache}/audit",
    tag = "audit",
    operation_id = "list_cache_audit",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("actor" = Option<String>, Query, description = "Only what this member did, their tokens included"),
        ("action" = Option<String>, Query, description = "Only acts whose word begins so, such as `token`"),
        ("object" = Option<String>, Query, description = "Only what was done to this"),
        ("from" = Option<String>, Query, description = "From this day on, `2026-11-23`"),
        ("format" = Option<String>, Query, description = "`csv`: up to 10,000 rows as a file; noted in the audit"),
        ("limit" = Option<u32>, Query, description = "Entries, 1 to 500; 100 where it is not given"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, body = AuditPage),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Auditor"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache"),
    ),
)]
pub(super) async fn of_cache(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
    Path(slug): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    asked.cache(&site, &slug, Act::ReadAudit)?;
    let filter = Filter::parse(query.as_deref(), Some(slug))?;
    answer(&site, &filter, &asked).await
}

/// Checks every chain of the audit from its beginning: whether anything was changed, taken out or
/// put back.
#[utoipa::path(
    get,
    path = "/audit/check",
    tag = "audit",
    operation_id = "check_audit",
    responses(
        (status = 200, body = AuditCheck),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "Needs a login"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Needs Auditor"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "The audit cannot be read"),
    ),
)]
pub(super) async fn check(
    State(site): State<Arc<Site>>,
    Extension(asked): Extension<Asked>,
) -> Result<Json<AuditCheck>, ApiError> {
    asked.must(&site, Act::ReadWholeAudit, On::Server)?;
    let report = site.access.ledger().check_audit().await?;
    Ok(Json(AuditCheck {
        chains: report.chains,
        segments: report.segments,
        entries: report.events,
        breaks: report.breaks.iter().map(ToString::to_string).collect(),
        whole: report.whole,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_a_member_with_their_tokens_and_no_other() {
        assert!(is_of("alice", "alice") && is_of("alice (token x)", "alice"));
        assert!(!is_of("alice2", "alice") && !is_of("bob (token alice)", "alice"));
    }

    #[test]
    fn a_cell_is_no_formula_and_stays_in_its_column() {
        let entry = AuditEntry {
            id: "i-1-0".into(),
            at: "2026-11-23T12:00:00Z".into(),
            actor: "=cmd()".into(),
            action: "token.create".into(),
            object: "a \"b\", c".into(),
            cache: None,
            refused: false,
            detail: [("name".to_owned(), "x".to_owned())].into(),
            client: None,
        };
        let text = csv(&[entry]);
        let row = text.lines().nth(1).expect("a row");
        assert!(
            row.contains("\"'=cmd()\"") && row.contains("\"a \"\"b\"\", c\""),
            "{row}"
        );
    }
}
