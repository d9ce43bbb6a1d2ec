//! The dashboard, carried inside the binary: `index.html` for every page, the assets
//! under `/_app/`.
//!
//! The build ([`build.rs`](../../build.rs)) names assets by their content and brings
//! brotli and gzip twins, so an asset is immutable and is sent as it lies. `index.html`
//! is filled in once per start: the base path, and for browsers without JavaScript the
//! nix.conf lines of each public cache.

mod assets;
mod folder;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, VARY,
};
use http::{Method, StatusCode};
use sha2::{Digest, Sha256};

use crate::web::accept::Codings;
use crate::web::{Body, Response, etag, headers};

/// What a page shows of a cache to a browser without JavaScript.
#[derive(Debug, Clone)]
pub struct CacheLines {
    /// The cache's name for people.
    pub title: String,
    /// Its two lines for nix.conf.
    pub nix_conf: String,
}

/// The dashboard, ready to be sent.
pub struct Ui {
    index: Variants,
    /// Filled in at start, in case the page comes from the folder.
    base: String,
    noscript: String,
    /// While working on the dashboard: assets from here instead.
    folder: Option<PathBuf>,
}

/// One thing in three codings.
struct Variants {
    etag: String,
    identity: Bytes,
    brotli: Option<Bytes>,
    gzip: Option<Bytes>,
}

impl Ui {
    /// Fills in the page for this base path (`/` or like `/nix/`) and these public caches.
    pub fn new(base: &str, caches: &[CacheLines], folder: Option<PathBuf>) -> Self {
        let noscript = noscript(caches);
        let page = fill(assets::INDEX_HTML, base, &noscript);
        Self {
            index: Variants::compressed(page.into_bytes()),
            base: base.to_owned(),
            noscript,
            folder,
        }
    }

    /// The page, for every URL of the dashboard. The status says whether what the URL
    /// names exists; the program draws the rest.
    pub async fn page(&self, status: StatusCode, method: &Method, request: &HeaderMap) -> Response {
        if let Some(refused) = refuse_method(method) {
            return refused;
        }
        let fresh = match &self.folder {
            Some(folder) => match folder::read(folder, "index.html").await {
                Some(template) => {
                    let text = String::from_utf8_lossy(&template);
                    Some(Variants::plain(
                        fill(&text, &self.base, &self.noscript).into_bytes(),
                    ))
                }
                None => None,
            },
            None => None,
        };
        let variants = fresh.as_ref().unwrap_or(&self.index);
        // Only the good page may be answered with 304: an error has to stay one.
        let conditional = status == StatusCode::OK;
        variants.answer(
            status,
            request,
            conditional,
            "text/html; charset=utf-8",
            "no-cache",
        )
    }

    /// An asset, by its name below `/_app/`.
    pub async fn asset(&self, name: &str, method: &Method, request: &HeaderMap) -> Response {
        if let Some(refused) = refuse_method(method) {
            return refused;
        }
        if let Some(folder) = &self.folder
            && let Some(bytes) = folder::read(folder, name).await
        {
            return Variants::plain(bytes).answer(
                StatusCode::OK,
                request,
                true,
                content_type(name),
                "no-cache",
            );
        }
        match assets::find(name) {
            Some(asset) => Variants::of(asset).answer(
                StatusCode::OK,
                request,
                true,
                content_type(name),
                "public, max-age=31536000, immutable",
            ),
            None => headers::line(StatusCode::NOT_FOUND, "the dashboard has no such file\n"),
        }
    }
}

fn refuse_method(method: &Method) -> Option<Response> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let mut response = headers::line(StatusCode::METHOD_NOT_ALLOWED, "pages are read with GET\n");
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    Some(response)
}

fn fill(template: &str, base: &str, noscript: &str) -> String {
    // The noscript lines come last: what a title says is never taken for a placeholder.
    template
        .replace("{{base}}", base)
        .replace("{{noscript}}", noscript)
}

fn noscript(caches: &[CacheLines]) -> String {
    let mut html = String::new();
    for cache in caches {
        let _ = write!(
            html,
            "<h2>{}</h2>\n<pre>{}</pre>\n",
            escape(&cache.title),
            escape(cache.nix_conf.trim_end())
        );
    }
    html
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            character => escaped.push(character),
        }
    }
    escaped
}

/// By the extensions that the build produces.
fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("html") => "text/html; charset=utf-8",
        _ => "application/octet-stream",
    }
}

impl Variants {
    fn of(asset: &'static assets::Asset) -> Self {
        Self {
            etag: asset.etag.to_owned(),
            identity: Bytes::from_static(asset.identity),
            brotli: asset.brotli.map(Bytes::from_static),
            gzip: asset.gzip.map(Bytes::from_static),
        }
    }

    fn plain(bytes: Vec<u8>) -> Self {
        let digest = Sha256::digest(&bytes);
        let etag = digest[..16].iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        Self {
            etag,
            identity: bytes.into(),
            brotli: None,
            gzip: None,
        }
    }

    fn compressed(bytes: Vec<u8>) -> Self {
        let plain = Self::plain(bytes);
        let mut brotli = Vec::new();
        let params = brotli::enc::BrotliEncoderParams {
            quality: 9,
            ..Default::default()
        };
        let brotli = brotli::BrotliCompress(&mut &plain.identity[..], &mut brotli, &params)
            .ok()
            .map(|_| brotli);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let gzip = encoder
            .write_all(&plain.identity)
            .and_then(|()| encoder.finish())
            .ok();
        Self {
            brotli: brotli.map(Bytes::from),
            gzip: gzip.map(Bytes::from),
            ..plain
        }
    }

    /// The best variant that the client takes.
    fn chosen(&self, codings: Codings) -> (&Bytes, Option<&'static str>) {
        let mut best = (&self.identity, None, codings.identity);
        for (variant, name, weight) in [
            (&self.gzip, "gzip", codings.gzip),
            (&self.brotli, "br", codings.brotli),
        ] {
            if let Some(bytes) = variant
                && weight > 0
                && weight >= best.2
            {
                best = (bytes, Some(name), weight);
            }
        }
        (best.0, best.1)
    }

    fn answer(
        &self,
        status: StatusCode,
        request: &HeaderMap,
        conditional: bool,
        content_type: &'static str,
        cache_control: &'static str,
    ) -> Response {
        let (bytes, coding) = self.chosen(Codings::of(request));
        let tag = match coding {
            Some(coding) => format!("\"{}-{coding}\"", self.etag),
            None => format!("\"{}\"", self.etag),
        };
        let known = conditional && etag::is_known(request, &tag);
        let mut response = Response::new(if known {
            Body::empty()
        } else {
            Body::Bytes(bytes.clone())
        });
        *response.status_mut() = if known {
            StatusCode::NOT_MODIFIED
        } else {
            status
        };
        let headers = response.headers_mut();
        headers::page(headers);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache_control));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if let Ok(tag) = HeaderValue::from_str(&tag)
            && conditional
        {
            headers.insert(ETAG, tag);
        }
        if !known {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            if let Some(coding) = coding {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
            }
        }
        response
    }
}

#[cfg(test)]
mod tests;
