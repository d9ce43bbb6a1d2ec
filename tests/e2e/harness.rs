//! The watchers watch: a page that breaks the policy or asks elsewhere fails its test.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::ensure;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use snowbank_tests::browser::Browser;
use tokio::net::TcpListener;

const POLICY: &str = "default-src 'none'; script-src 'self'; img-src *";

async fn page(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let more = match request.uri().path() {
        "/inline" => "<script>document.title = 'ran'</script>",
        "/outside" => "<img alt='' src='http://127.0.0.2:9/outside.png'>",
        _ => "",
    };
    let html = format!(
        "<!doctype html><html lang=en><title>t</title><body><main><h1>Heading</h1>{more}</main></body></html>"
    );
    Ok(Response::builder()
        .header("content-type", "text/html; charset=utf-8")
        .header("content-security-policy", POLICY)
        .body(Full::new(Bytes::from(html)))
        .expect("the headers are valid"))
}

async fn serve() -> anyhow::Result<String> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let origin = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(connection), service_fn(page)),
            );
        }
    });
    Ok(origin)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_violated_policy_and_a_request_elsewhere_fail_the_browser_test() -> anyhow::Result<()> {
    let origin = serve().await?;
    for (path, complaint) in [
        ("/", None),
        ("/inline", Some("content security policy")),
        ("/outside", Some("left the origin")),
    ] {
        let Some(browser) = Browser::start(&origin).await? else {
            return Ok(());
        };
        browser.open(path).await?;
        ensure!(browser.page_text().await?.contains("Heading"));
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let end = browser.finish().await;
        match (complaint, &end) {
            (None, Ok(())) => {}
            (Some(complaint), Err(error)) if error.to_string().contains(complaint) => {}
            _ => anyhow::bail!("{path} ended with {end:?}"),
        }
    }
    Ok(())
}
