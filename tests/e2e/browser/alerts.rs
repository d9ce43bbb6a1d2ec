//! Alerts in a browser: made from a preset, tested, removed, and an owner's only.

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::ensure;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use snowbank_tests::browser::{Browser, Width};
use snowbank_tests::server::Setup;
use tokio::net::TcpListener;

use super::access::{click, fill};
use super::scene::indexed;

/// Messages that arrived at `/ok`.
type Received = Arc<Mutex<Vec<Value>>>;

async fn answer(
    request: Request<Incoming>,
    received: Received,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let taken = request.uri().path() == "/ok";
    let body = request.into_body().collect().await;
    let body = body.map(http_body_util::Collected::to_bytes);
    let message = serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
    let status = match taken {
        true => StatusCode::ACCEPTED,
        false => StatusCode::INTERNAL_SERVER_ERROR,
    };
    if taken {
        received.lock().expect("a lock").push(message);
    }
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    Ok(response)
}

async fn receiver(received: &Received) -> anyhow::Result<String> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let received = Arc::clone(received);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let received = Arc::clone(&received);
            let service = service_fn(move |request| answer(request, Arc::clone(&received)));
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(connection), service),
            );
        }
    });
    Ok(origin)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_made_from_a_preset_tested_and_removed() -> anyhow::Result<()> {
    let received = Received::default();
    let hooks = receiver(&received).await?;
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    fs::create_dir_all(&bucket)?;
    let server = Setup::new()
        .line("outbound_allow = [\"127.0.0.0/8\"]")
        .folder("team", &bucket, &["visibility = \"private\"".to_owned()])
        .start()
        .await?;
    let Some(browser) = Browser::start(&server.origin).await? else {
        return Ok(());
    };
    let olga = server.owner("olga").await?;
    indexed(&server, &olga).await?;
    let maintainer = json!([{"role": "maintainer"}]);
    let sam = olga.invite(&server, "sam", maintainer).await?;

    // Who may not sees why, beside a button that does nothing.
    sam.sit_down(&browser, &server).await?;
    browser.open("/c/team/settings/alerts").await?;
    browser
        .shows("Alerts are shown to owners of this cache")
        .await?;
    browser
        .until(
            "the refused button with its reason",
            "const make = [...document.querySelectorAll('main button')].find(it => it.textContent.trim() === 'Make the alert'); \
             return make?.getAttribute('aria-disabled') === 'true' \
               && document.getElementById(make.getAttribute('aria-describedby'))?.textContent.includes('Owner')",
        )
        .await?;

    olga.sit_down(&browser, &server).await?;
    browser.open("/c/team/settings").await?;
    click(&browser, "Open the alerts").await?;
    browser.shows("Nobody is told of anything yet").await?;
    browser.accessible("no alerts").await?;
    fill(&browser, "Webhook", &format!("{hooks}/broken?key=hidden")).await?;
    click(&browser, "Make the alert").await?;
    browser.shows("The alert Hit ratio is low is made").await?;
    browser.shows("Hit ratio below 75 % for 60 min").await?;
    // Nobody asked for anything: that is not a ratio of zero.
    browser.shows("not measured").await?;
    click(&browser, "Test Hit ratio is low").await?;
    browser
        .shows("The test of Hit ratio is low was not delivered")
        .await?;
    browser.shows("Its answer was 500").await?;

    fill(&browser, "Name", "Told here").await?;
    fill(&browser, "Webhook", &format!("{hooks}/ok")).await?;
    click(&browser, "Make the alert").await?;
    browser.shows("The alert Told here is made").await?;
    browser.shows("whsec_").await?;
    browser.accessible("a secret that is shown once").await?;
    click(&browser, "Test Told here").await?;
    browser.shows("The test of Told here was delivered").await?;
    browser.shows("The receiver answered 202").await?;
    let messages = received.lock().expect("a lock").clone();
    ensure!(
        messages.len() == 1 && messages[0]["type"] == "alert.test",
        "{messages:?}"
    );

    browser.open("/c/team/settings/alerts").await?;
    browser.shows("a test delivered").await?;
    let text = browser.page_text().await?;
    ensure!(
        !text.contains("Its messages are signed with this secret") && !text.contains("key=hidden"),
        "{text}"
    );
    browser.resize(Width::Narrow).await?;
    let out = browser.sideways().await?;
    ensure!(out.is_empty(), "{out:?}");
    browser.accessible("alerts on a phone").await?;
    browser.resize(Width::Wide).await?;
    click(&browser, "Remove Told here").await?;
    browser.shows("is not told that it is over").await?;
    click(&browser, "Remove").await?;
    browser.shows("The alert Told here is gone").await?;
    browser
        .until(
            "one alert",
            "return document.querySelectorAll('#alerts tbody tr').length === 1",
        )
        .await?;
    browser.finish().await
}
