//! Pages and assets as browsers get them.

use http::header::ACCEPT_ENCODING;
use http_body_util::BodyExt as _;

use super::*;

fn ui() -> Ui {
    let lines = CacheLines {
        title: "<b> & {{base}}".into(),
        nix_conf:
            "extra-substituters = http://h/nix/main\nextra-trusted-public-keys = main-1:AAA=\n"
                .into(),
    };
    Ui::new("/nix/", &[lines], None)
}

fn accepting(codings: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, codings.parse().expect("a header"));
    headers
}

async fn text(response: Response) -> String {
    let bytes = response
        .into_body()
        .collect()
        .await
        .expect("a body")
        .to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[tokio::test]
async fn the_page_has_the_base_path_and_the_lines_of_each_public_cache() {
    let page = text(
        ui().page(StatusCode::OK, &Method::GET, &HeaderMap::new())
            .await,
    )
    .await;
    assert!(page.contains("/nix/"), "{page}");
    assert!(
        page.contains("&lt;b&gt; &amp; {{base}}"),
        "a title is text, and no placeholder: {page}"
    );
    assert!(
        page.contains("extra-trusted-public-keys = main-1:AAA=</pre>"),
        "{page}"
    );
}

#[tokio::test]
async fn the_page_is_revalidated_and_has_the_policy() {
    let ui = ui();
    let page = ui
        .page(StatusCode::OK, &Method::GET, &HeaderMap::new())
        .await;
    assert_eq!(page.headers()[CACHE_CONTROL], "no-cache");
    assert_eq!(
        page.headers()["content-security-policy"],
        headers::PAGE_POLICY
    );
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    let mut again = HeaderMap::new();
    again.insert(http::header::IF_NONE_MATCH, page.headers()[ETAG].clone());
    let unchanged = ui.page(StatusCode::OK, &Method::GET, &again).await;
    assert_eq!(unchanged.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(
        unchanged.headers()["content-security-policy"],
        headers::PAGE_POLICY
    );
    let absent = ui.page(StatusCode::NOT_FOUND, &Method::GET, &again).await;
    assert_eq!(absent.status(), StatusCode::NOT_FOUND);
    assert!(!text(absent).await.is_empty());
}

#[tokio::test]
async fn each_coding_is_sent_to_who_takes_it() {
    let ui = ui();
    let whole = text(
        ui.page(StatusCode::OK, &Method::GET, &HeaderMap::new())
            .await,
    )
    .await;
    for (accepted, coding) in [
        ("br, gzip", Some("br")),
        ("gzip, deflate", Some("gzip")),
        ("br;q=0.2, gzip;q=0.9", Some("gzip")),
        ("br;q=0, gzip;q=0", None),
        ("deflate", None),
        ("identity, br;q=0.5", None),
    ] {
        let page = ui
            .page(StatusCode::OK, &Method::GET, &accepting(accepted))
            .await;
        let named = page
            .headers()
            .get(CONTENT_ENCODING)
            .map(|value| value.to_str().expect("text").to_owned());
        assert_eq!(named.as_deref(), coding, "{accepted}");
        assert_eq!(page.headers()[VARY], "accept-encoding");
        let bytes = page.into_body().collect().await.expect("a body").to_bytes();
        let mut plain = Vec::new();
        match coding {
            Some("br") => {
                brotli::BrotliDecompress(&mut &bytes[..], &mut plain).expect("brotli");
            }
            Some(_) => {
                let mut decoder = flate2::read::GzDecoder::new(&bytes[..]);
                std::io::Read::read_to_end(&mut decoder, &mut plain).expect("gzip");
            }
            None => plain = bytes.to_vec(),
        }
        assert_eq!(plain, whole.as_bytes(), "{accepted}");
    }
}

#[tokio::test]
async fn assets_are_immutable_and_a_miss_is_404() {
    let ui = ui();
    for asset in assets::ASSETS {
        let response = ui
            .asset(asset.name, &Method::GET, &accepting("gzip, br"))
            .await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(
            response.headers()[CACHE_CONTROL]
                .to_str()
                .expect("text")
                .contains("immutable")
        );
        assert_ne!(
            response.headers()[CONTENT_TYPE],
            "application/octet-stream",
            "{}",
            asset.name
        );
    }
    for absent in ["", "index.html", "../Cargo.toml", "app.js"] {
        assert_eq!(
            ui.asset(absent, &Method::GET, &HeaderMap::new())
                .await
                .status(),
            StatusCode::NOT_FOUND
        );
    }
    let posted = ui.asset("x", &Method::POST, &HeaderMap::new()).await;
    assert_eq!(
        (posted.status(), &posted.headers()[ALLOW]),
        (
            StatusCode::METHOD_NOT_ALLOWED,
            &HeaderValue::from_static("GET, HEAD")
        )
    );
}

#[tokio::test]
async fn a_folder_stands_in_for_the_built_assets() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("index.html"), "at {{base}}").expect("a file");
    std::fs::write(dir.path().join("app-1.js"), "x").expect("a file");
    std::fs::write(dir.path().join(".secret"), "x").expect("a file");
    let ui = Ui::new("/", &[], Some(dir.path().to_owned()));
    assert_eq!(
        text(
            ui.page(StatusCode::OK, &Method::GET, &HeaderMap::new())
                .await
        )
        .await,
        "at /"
    );
    let asset = ui.asset("app-1.js", &Method::GET, &HeaderMap::new()).await;
    assert_eq!(asset.headers()[CACHE_CONTROL], "no-cache");
    for hidden in [".secret", "../x", "a/b"] {
        assert_eq!(
            ui.asset(hidden, &Method::GET, &HeaderMap::new())
                .await
                .status(),
            StatusCode::NOT_FOUND
        );
    }
}
