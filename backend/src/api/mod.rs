//! The API under `/api/v1`: JSON of [`snowbank_shared::api`], one module per resource.
//!
//! Handlers are thin: parse, authorise, call, answer. The OpenAPI document is made of the
//! very lines that route. Errors are [`problem::ApiError`]; lists are paged by key. What
//! walks the graph runs off the reactor under a limit ([`request::heavy`]).

mod about;
mod alerts;
mod approvals;
mod approvals_pinned;
mod audit;
mod browse;
mod caches;
mod conflicts;
mod connect;
mod contributors;
mod cut;
mod ending;
mod events;
pub mod explore;
mod export;
mod files;
mod find;
mod happened;
mod health;
mod history;
mod keys;
mod large;
mod live;
mod log;
mod lookup;
pub mod machine;
mod me;
mod members;
mod mentions;
mod monitoring;
mod paths;
mod pins;
mod policy;
pub mod problem;
mod purge;
mod quarantine;
mod repair;
mod request;
mod retention;
mod rotation;
mod runs;
mod session;
mod settings;
mod signing;
mod skipped;
mod storage;
mod tokens;
mod trust;
mod uploads;
mod usage;
mod verify;
mod vouching;
mod wizard;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::IntoResponse as _;
use axum::routing::get;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method};
use tower::ServiceExt as _;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::Caller;
use crate::intake::Intake;
use crate::retention::Retention;
use crate::signing::Signing;
use crate::site::Site;
use crate::web::{Body, RequestId, Response, headers};

use problem::ApiError;
use request::Asked;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Snowbank",
        description = "What lies in Nix binary caches: paths, closures, signatures, findings. Sizes are bytes, \
            times RFC 3339 in UTC, hashes `sha256:` and nix32. Lists are paged by key: ask again with \
            `cursor` set to `next`. Errors are `application/problem+json` with a stable `code`.",
        license(name = "MIT OR Apache-2.0"),
        contact(),
    ),
    servers((url = "/api/v1")),
    components(schemas(snowbank_shared::api::Problem)),
    tags(
        (name = "caches", description = "The caches of this server"),
        (name = "paths", description = "Store paths of a cache"),
        (name = "pins", description = "Names for paths that must stay"),
        (name = "people", description = "Who asks: sessions, members, tokens, trust in machines"),
        (name = "uploads", description = "Uploads that are planned, go on after what broke, and end in a receipt"),
        (name = "keys", description = "Contributors' keys: everyone signs with their own"),
        (name = "uploads", description = "What waits to be published, and the rules for uploads"),
        (name = "signatures", description = "Adding and removing signatures, and a cache's keys"),
        (name = "retention", description = "What may go, and why; plans, and the runs that carry them out"),
        (name = "usage", description = "Who fetches what from a cache"),
        (name = "alerts", description = "Who is told by a webhook when a figure of a cache is too low or too high"),
        (name = "audit", description = "Who did what"),
        (name = "server", description = "The server itself"),
    ),
)]
struct Document;

/// What searches or walks the graph: strangers are counted there.
fn computing() -> OpenApiRouter<Arc<Site>> {
    OpenApiRouter::new()
        .routes(routes!(paths::list))
        .routes(routes!(browse::facets))
        .routes(routes!(browse::selection))
        .routes(routes!(paths::one))
        .routes(routes!(paths::closure))
        .routes(routes!(paths::referrers))
        .routes(routes!(files::list))
        .routes(routes!(files::one))
        .routes(routes!(files::listing))
        .routes(routes!(files::contents))
        .routes(routes!(find::files))
        .routes(routes!(log::one))
        .routes(routes!(history::one))
        .routes(routes!(mentions::list))
        .routes(routes!(explore::graph))
        .routes(routes!(explore::why))
        .routes(routes!(explore::diff))
        .routes(routes!(explore::packages))
        .routes(routes!(explore::package))
        .routes(routes!(lookup::lookup))
        .routes(routes!(conflicts::list))
        .routes(routes!(conflicts::of_path))
        .routes(routes!(pins::list))
        .routes(routes!(pins::one))
        .routes(routes!(vouching::signers))
        .routes(routes!(vouching::coverage))
        .routes(routes!(vouching::acceptance))
        .routes(routes!(usage::usage))
        .routes(routes!(usage::paths))
        .routes(routes!(usage::clients))
        .routes(routes!(usage::misses))
}

/// Everything, with what computes as it is given.
fn routes(computing: OpenApiRouter<Arc<Site>>) -> OpenApiRouter<Arc<Site>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(caches::list))
        .routes(routes!(caches::one))
        .routes(routes!(caches::growth))
        .routes(routes!(connect::connect))
        .routes(routes!(connect::test))
        .merge(computing)
        .routes(routes!(paths::signatures))
        .routes(routes!(paths::raw))
        .routes(routes!(pins::set, pins::remove))
        .routes(routes!(pins::roll_back))
        .routes(routes!(quarantine::list, quarantine::set))
        .routes(routes!(quarantine::lift))
        .routes(routes!(purge::preview, purge::purge))
        .routes(routes!(signing::list, signing::begin))
        .routes(routes!(signing::estimate))
        .routes(routes!(signing::one, signing::control))
        .routes(routes!(signing::batch))
        .routes(routes!(signing::signed))
        .routes(routes!(rotation::read, rotation::begin))
        .routes(routes!(rotation::step))
        .routes(routes!(rotation::abandon))
        .routes(routes!(rotation::revocation, rotation::revoke))
        .routes(routes!(conflicts::dismiss))
        .routes(routes!(verify::check))
        .routes(routes!(keys::list))
        .routes(routes!(health::list))
        .routes(routes!(repair::repair))
        .routes(routes!(skipped::list))
        .routes(routes!(events::stream))
        .routes(routes!(live::begin))
        .routes(routes!(live::look))
        .routes(routes!(about::about))
        .routes(routes!(monitoring::alert_rules))
        .routes(routes!(monitoring::dashboard))
        .routes(routes!(me::me))
        .routes(routes!(session::look_at_link))
        .routes(routes!(session::begin, session::end))
        .routes(routes!(session::end_all))
        .routes(routes!(session::provider))
        .routes(routes!(session::provider_callback))
        .routes(routes!(members::list, members::invite))
        .routes(routes!(ending::of_member))
        .routes(routes!(members::change, members::remove))
        .routes(routes!(members::link))
        .routes(routes!(members::sign_out))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::end))
        .routes(routes!(trust::list, trust::add))
        .routes(routes!(trust::remove))
        .routes(routes!(trust::exchange))
        .routes(routes!(contributors::list, contributors::register))
        .routes(routes!(contributors::challenge))
        .routes(routes!(contributors::prove))
        .routes(routes!(ending::of_key))
        .routes(routes!(contributors::accept))
        .routes(routes!(contributors::suspend))
        .routes(routes!(contributors::resume))
        .routes(routes!(contributors::retire))
        .routes(routes!(contributors::revoke))
        .routes(routes!(approvals::list))
        .routes(routes!(approvals::one))
        .routes(routes!(approvals::approve))
        .routes(routes!(approvals::reject))
        .routes(routes!(policy::read, policy::change))
        .routes(routes!(policy::try_rules))
        .routes(routes!(retention::simulate))
        .routes(routes!(retention::why))
        .routes(routes!(retention::rules, retention::change))
        .routes(routes!(retention::gone))
        .routes(routes!(runs::plans, runs::plan))
        .routes(routes!(runs::one_plan))
        .routes(routes!(runs::plan_paths))
        .routes(routes!(runs::export))
        .routes(routes!(runs::start))
        .routes(routes!(runs::one_run))
        .routes(routes!(runs::stop))
        .routes(routes!(runs::undo))
        .routes(routes!(uploads::plan, uploads::list))
        .routes(routes!(uploads::one, uploads::cancel))
        .routes(routes!(uploads::commit))
        .routes(routes!(storage::read))
        .routes(routes!(storage::prices, storage::change_prices))
        .routes(routes!(storage::bucket))
        .routes(routes!(alerts::list, alerts::create))
        .routes(routes!(alerts::change, alerts::remove))
        .routes(routes!(alerts::test))
        .routes(routes!(alerts::renew))
        .routes(routes!(settings::read, settings::change))
        .routes(routes!(wizard::test))
        .routes(routes!(audit::list))
        .routes(routes!(audit::of_cache))
        .routes(routes!(audit::check))
}

/// The OpenAPI document, as JSON.
pub fn document() -> String {
    routes(computing())
        .into_openapi()
        .to_pretty_json()
        .unwrap_or_default()
}

/// The API of a server.
pub struct Api {
    router: axum::Router,
    site: Arc<Site>,
    intake: Intake,
    signing: Signing,
    retention: Retention,
}

impl Api {
    /// The API over these caches, what takes uploads to them, and what changes signatures.
    pub fn new(site: Arc<Site>, intake: Intake, signing: Signing, retention: Retention) -> Self {
        let counted = from_fn_with_state(Arc::clone(&site), counting_strangers);
        // The same address with an empty path inside: of what is a single file.
        let single = get(files::one).route_layer(counted.clone());
        let (router, _) = routes(computing().route_layer(counted)).split_for_parts();
        let document: Arc<str> = document().into();
        let router = router
            .route("/caches/{cache}/paths/{hash}/files/", single)
            .route("/openapi.json", get(openapi).with_state(document))
            .fallback(|| async { ApiError::no_endpoint() })
            .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
            .layer(Extension(intake.clone()))
            .layer(Extension(Arc::new(retention::PastUs::default())))
            .with_state(Arc::clone(&site));
        Self {
            router,
            site,
            intake,
            signing,
            retention,
        }
    }

    /// Answers a request; `path` is what follows `/api`, as sent.
    pub async fn answer(
        &self,
        path: &str,
        request: &Parts,
        body: Bytes,
        id: RequestId,
        client: IpAddr,
    ) -> Response {
        let Some(path) = path.strip_prefix("/v1") else {
            return sealed(ApiError::no_endpoint().answer(id));
        };
        let asked = match self.asked(request, id, client).await {
            Ok(asked) => asked,
            Err(error) => return sealed(error.answer(id)),
        };
        let address = match request.uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        let inner = http::Request::builder()
            .method(&request.method)
            .uri(address)
            .body(axum::body::Body::from(body));
        let Ok(mut inner) = inner else {
            return sealed(ApiError::no_endpoint().answer(id));
        };
        *inner.headers_mut() = request.headers.clone();
        inner.extensions_mut().insert(asked);
        inner.extensions_mut().insert(self.intake.clone());
        inner.extensions_mut().insert(self.signing.clone());
        inner.extensions_mut().insert(self.retention.clone());
        let answered = match self.router.clone().oneshot(inner).await {
            Ok(answered) => answered,
            Err(never) => match never {},
        };
        if let Some(error) = answered.extensions().get::<ApiError>() {
            let mut response = error.answer(id);
            if let Some(allowed) = answered.headers().get(http::header::ALLOW) {
                // As axum has it, without spaces.
                let allowed = allowed.to_str().unwrap_or_default().replace(',', ", ");
                if let Ok(allowed) = HeaderValue::try_from(allowed) {
                    let headers = response.headers_mut();
                    headers.insert(http::header::ALLOW, allowed);
                }
            }
            return sealed(response);
        }
        let is_ours = answered.status().is_success() || answered.status().is_redirection();
        if !is_ours {
            // Only axum's own extractors answer like this, and only to what cannot be decoded.
            return sealed(ApiError::bad_parameter("the address cannot be decoded").answer(id));
        }
        let (head, body) = answered.into_parts();
        let body = if request.method == Method::HEAD {
            body_of_head(&head)
        } else {
            Body::Router(body)
        };
        sealed(Response::from_parts(head, body))
    }
}

impl Api {
    /// Who asks; refuses what comes from a foreign page.
    async fn asked(
        &self,
        request: &Parts,
        id: RequestId,
        client: IpAddr,
    ) -> Result<Asked, ApiError> {
        let access = &self.site.access;
        access
            .from_our_page(request)
            .map_err(|foreign| ApiError::foreign_origin(foreign.to_string()))?;
        let caller = access.patient_caller(&request.headers).await;
        Ok(Asked { caller, id, client })
    }
}

/// Refuses strangers who ask too often for what computes.
async fn counting_strangers(
    State(site): State<Arc<Site>>,
    request: axum::extract::Request,
    next: Next,
) -> axum::response::Response {
    let asked = request.extensions().get::<Asked>();
    if let Some(asked) = asked.filter(|asked| matches!(asked.caller, Caller::Stranger(_)))
        && let Err(wait) = site.access.queries.take(asked.client)
    {
        return ApiError::too_often(wait).into_response();
    }
    next.run(request).await
}

/// Axum has counted the body of a GET already.
fn body_of_head(head: &http::response::Parts) -> Body {
    let length = head
        .headers
        .get(http::header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    length.map_or_else(Body::empty, Body::Sized)
}

/// Adds what every answer of the API has.
fn sealed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers::data(headers);
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

async fn openapi(State(document): State<Arc<str>>) -> axum::response::Response {
    (
        [
            (CONTENT_TYPE, "application/json"),
            (CACHE_CONTROL, "no-cache"),
        ],
        document.to_string(),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_document_changes_only_on_purpose() {
        insta::assert_snapshot!("openapi", super::document());
    }
}
