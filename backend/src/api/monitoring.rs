//! `/monitoring`: what other systems need to watch this server. Both files are the same for everybody
//! and name no cache.

use axum::response::{IntoResponse as _, Response};
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};

use crate::metrics::{dashboard, rules};

fn file(text: String, kind: &'static str, disposition: &'static str) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
    response
}

/// Alert rules for Prometheus, over the series of `/metrics`.
#[utoipa::path(
    get,
    path = "/monitoring/alerts.yml",
    tag = "server",
    operation_id = "get_alert_rules",
    responses((status = 200, body = String, content_type = "application/yaml", description = "A rule file")),
)]
pub(super) async fn alert_rules() -> Response {
    let name = "attachment; filename=\"snowbank-alerts.yml\"";
    file(rules::file(), "application/yaml", name)
}

/// A dashboard for Grafana, over the series of `/metrics`.
#[utoipa::path(
    get,
    path = "/monitoring/dashboard.json",
    tag = "server",
    operation_id = "get_dashboard",
    responses((status = 200, body = String, content_type = "application/json", description = "A dashboard to import")),
)]
pub(super) async fn dashboard() -> Response {
    let name = "attachment; filename=\"snowbank-dashboard.json\"";
    file(dashboard::file(), "application/json", name)
}
