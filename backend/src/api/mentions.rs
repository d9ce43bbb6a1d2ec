//! `/caches/{cache}/paths/{hash}/mentions`: the files of a path that mention another one.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::{Extension, Json};
use http::HeaderMap;
use snowbank_shared::api::{Mentions, Problem};

use super::files::{SHORT, asked};
use super::problem::{ApiError, excerpt};
use super::request::{self, Asked, nothing_left, pairs, taken};
use crate::archive::Look;
use crate::auth::Caller;
use crate::site::Site;

/// Bytes of an archive, unpacked, above which it is read only for who said that they want it.
const LARGE: u64 = 200 << 20;

/// Which files of a path mention another one: in their contents, as the target of a symlink, in a name. That is how
/// Nix finds references. The archive is read once, whatever lies beside it; meanwhile `reading` says how far that is.
/// One above 200 MiB is not read before `large=true` asks for it: until then `asks` is true. Each question reads the
/// archive, so strangers may ask for the path itself and for what its narinfo says that it refers to, and not for large archives.
#[utoipa::path(
    get,
    path = "/caches/{cache}/paths/{hash}/mentions",
    tag = "paths",
    operation_id = "get_mentions",
    params(
        ("cache" = String, Path, description = "Slug of the cache"),
        ("hash" = String, Path, description = "Hash part of the store path whose files are looked through"),
        ("of" = String, Query, description = "Hash part of the path that is looked for; `-name` may follow"),
        ("large" = Option<bool>, Query, description = "Whether to read an archive of more than 200 MiB"),
    ),
    responses(
        (status = 200, body = Mentions),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "A parameter is missing or means nothing"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "The cache is private, or only members may ask for that"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such cache, path or archive"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The archive cannot be read"),
    ),
)]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Extension(by): Extension<Asked>,
    Path((slug, hash)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Mentions>, ApiError> {
    let asked = asked(&site, &by, &slug, request::hash(&hash)?, &headers)?;
    let mut pairs = pairs(query.as_deref())?;
    let of = taken(&mut pairs, "of").ok_or_else(|| {
        ApiError::bad_parameter("`of` names the path that is looked for by its hash part")
    })?;
    let of = request::hash(&of)?;
    let large = match taken(&mut pairs, "large").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            return Err(ApiError::bad_parameter(format!(
                "`large` cannot be `{}`: it is true or false",
                excerpt(other)
            )));
        }
    };
    nothing_left(&pairs)?;
    if let Caller::Stranger(stranger) = &by.caller
        && (large || (of != asked.archive.hash && !asked.references.contains(&of)))
    {
        return Err(ApiError::login_needed(*stranger));
    }
    let mut mentions = Mentions {
        path: asked.path.clone(),
        of: of.to_string(),
        nar_size: asked.archive.nar_size,
        asks: asked.archive.nar_size > LARGE && !large,
        reading: None,
        items: Vec::new(),
        total: 0,
    };
    if mentions.asks {
        return Ok(Json(mentions));
    }
    let cache = &asked.cache;
    let look = cache
        .archives
        .mentions(&cache.bucket, &asked.archive, of, &asked.reader, SHORT)
        .await
        .map_err(|error| ApiError::archive(&error))?;
    match look {
        Look::Ready(found) => {
            mentions.items.clone_from(&found.items);
            mentions.total = found.total;
        }
        Look::Reading(read) => mentions.reading = Some(asked.reading(read)),
    }
    Ok(Json(mentions))
}
