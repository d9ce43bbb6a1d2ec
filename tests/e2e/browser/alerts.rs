//! Alerts in a browser: made from a preset, tested, changed, removed, bounded, and an owner's only.

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
use reqwest::Method;
use serde_json::{Value, json};
use snowbank_shared::api::alerts::MOST_ALERTS;
use snowbank_tests::browser::{Browser, Width};
use snowbank_tests::people::Person;
use snowbank_tests::server::{Server, Setup};
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

/// Secrets that the page shows; the word itself also stands in what a receiver has to check.
const SECRETS: &str = "return document.querySelectorAll('main pre[aria-label=Secret]').length";

/// A cache whose alerts are told to `hooks`, and a browser.
struct Scene {
    server: Server,
    browser: Browser,
    olga: Person,
    _home: tempfile::TempDir,
}

impl Scene {
    async fn new() -> anyhow::Result<Option<Self>> {
        let home = tempfile::tempdir()?;
        let bucket = home.path().join("bucket");
        fs::create_dir_all(&bucket)?;
        let server = Setup::new()
            .line("outbound_allow = [\"127.0.0.0/8\"]")
            .folder("team", &bucket, &["visibility = \"private\"".to_owned()])
            .start()
            .await?;
        let Some(browser) = Browser::start(&server.origin).await? else {
            return Ok(None);
        };
        let olga = server.owner("olga").await?;
        indexed(&server, &olga).await?;
        Ok(Some(Self {
            server,
            browser,
            olga,
            _home: home,
        }))
    }

    async fn send(&self, method: Method, rest: &str, body: Value) -> anyhow::Result<Value> {
        let path = format!("/caches/team/alerts{rest}");
        self.olga.send(&self.server, method, &path, body).await
    }

    /// How many secrets the page shows.
    async fn secrets(&self) -> anyhow::Result<Value> {
        self.browser.script(SECRETS, vec![]).await
    }

    async fn made(&self, name: &str, url: &str) -> anyhow::Result<Value> {
        let wish = json!({"name": name, "url": url, "condition":
            {"figure": "hit-ratio", "side": "below", "threshold": 75, "minutes": 60}});
        self.send(Method::POST, "", wish).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_made_from_a_preset_tested_and_removed() -> anyhow::Result<()> {
    let received = Received::default();
    let hooks = receiver(&received).await?;
    let Some(scene) = Scene::new().await? else {
        return Ok(());
    };
    let Scene {
        server,
        browser,
        olga,
        ..
    } = &scene;
    let maintainer = json!([{"role": "maintainer"}]);
    let sam = olga.invite(server, "sam", maintainer).await?;

    // Who may not sees why, beside a button that does nothing.
    sam.sit_down(browser, server).await?;
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

    olga.sit_down(browser, server).await?;
    browser.open("/c/team/settings").await?;
    click(browser, "Open the alerts").await?;
    browser.shows("Nobody is told of anything yet").await?;
    browser.accessible("no alerts").await?;
    fill(browser, "Webhook", &format!("{hooks}/broken?key=hidden")).await?;
    click(browser, "Make the alert").await?;
    browser.shows("The alert Hit ratio is low is made").await?;
    browser.shows("Hit ratio below 75 % for 60 min").await?;
    // Nobody asked for anything: that is not a ratio of zero.
    browser.shows("not measured").await?;
    click(browser, "Test Hit ratio is low").await?;
    browser
        .shows("The test of Hit ratio is low was not delivered")
        .await?;
    browser.shows("Its answer was 500").await?;

    fill(browser, "Name", "Told here").await?;
    fill(browser, "Webhook", &format!("{hooks}/ok")).await?;
    click(browser, "Make the alert").await?;
    browser.shows("The alert Told here is made").await?;
    let both = format!("{SECRETS} === 2");
    browser.until("both secrets", &both).await?;
    browser.accessible("secrets that are shown once").await?;
    click(browser, "Test Told here").await?;
    browser.shows("The test of Told here was delivered").await?;
    browser.shows("The receiver answered 202").await?;
    // Nobody is shown a secret again: testing leaves it, also that of an earlier alert, until it was taken.
    ensure!(scene.secrets().await? == 2, "a secret went");
    click(browser, "I have it").await?;
    let one = format!("{SECRETS} === 1");
    browser.until("one secret", &one).await?;
    browser.shows("The secret of Hit ratio is low").await?;
    let messages = received.lock().expect("a lock").clone();
    ensure!(
        messages.len() == 1 && messages[0]["type"] == "alert.test",
        "{messages:?}"
    );

    browser.open("/c/team/settings/alerts").await?;
    browser.shows("a test delivered").await?;
    let text = browser.page_text().await?;
    ensure!(!text.contains("key=hidden"), "{text}");
    ensure!(scene.secrets().await? == 0, "a secret is shown again");
    browser.resize(Width::Narrow).await?;
    let out = browser.sideways().await?;
    ensure!(out.is_empty(), "{out:?}");
    browser.accessible("alerts on a phone").await?;
    browser.resize(Width::Wide).await?;
    click(browser, "Remove Told here").await?;
    browser.shows("is not told that it is over").await?;
    click(browser, "Remove").await?;
    browser.shows("The alert Told here is gone").await?;
    browser
        .until(
            "one alert",
            "return document.querySelectorAll('#alerts tbody tr').length === 1",
        )
        .await?;
    scene.browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_changed_and_its_secret_only_where_that_is_asked_for() -> anyhow::Result<()> {
    let received = Received::default();
    let hooks = receiver(&received).await?;
    let Some(scene) = Scene::new().await? else {
        return Ok(());
    };
    let Scene {
        server,
        browser,
        olga,
        ..
    } = &scene;
    scene.made("Low", &format!("{hooks}/broken")).await?;
    olga.sit_down(browser, server).await?;
    browser.open("/c/team/settings/alerts").await?;
    click(browser, "Change Low").await?;
    browser.shows("It tells http://127.0.0.1").await?;
    fill(browser, "Name", "Lower").await?;
    fill(browser, "Threshold", "60").await?;
    fill(browser, "Webhook", "http://192.0.2.1/hook").await?;
    browser.accessible("changing an alert").await?;
    // What the server refuses is said where it was typed.
    click(browser, "Save the alert").await?;
    browser
        .until(
            "the refusal in the dialog",
            "return document.querySelector('dialog[open]')?.textContent.includes('The webhook cannot be called') ?? false",
        )
        .await?;
    fill(browser, "Webhook", &format!("{hooks}/ok")).await?;
    browser.resize(Width::Narrow).await?;
    let out = browser.sideways().await?;
    ensure!(out.is_empty(), "{out:?}");
    browser.resize(Width::Wide).await?;
    click(browser, "Save the alert").await?;
    browser.shows("The alert Lower is changed").await?;
    browser.shows("Hit ratio below 60 % for 60 min").await?;
    ensure!(scene.secrets().await? == 0, "nobody asked for a new secret");
    click(browser, "Test Lower").await?;
    browser.shows("The test of Lower was delivered").await?;

    // Without a new webhook the old one stays; a new secret is shown once.
    click(browser, "Change Lower").await?;
    browser
        .until(
            "the wish for a new secret",
            "const box = document.querySelector('dialog[open] input[type=checkbox]'); if (!box) return false; box.click(); return box.checked",
        )
        .await?;
    click(browser, "Save the alert").await?;
    browser.shows("The secret of Lower").await?;
    ensure!(scene.secrets().await? == 1, "one secret");
    click(browser, "Test Lower").await?;
    browser.shows("The test of Lower was delivered").await?;
    ensure!(received.lock().expect("a lock").len() == 2);

    click(browser, "Remove Lower").await?;
    browser.shows("is not told that it is over").await?;
    click(browser, "Remove").await?;
    browser.shows("The alert Lower is gone").await?;
    scene.browser.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn that_there_is_no_room_for_another_is_said_before_the_form_is_filled() -> anyhow::Result<()>
{
    let Some(scene) = Scene::new().await? else {
        return Ok(());
    };
    let browser = &scene.browser;
    for number in 1..=MOST_ALERTS {
        let url = format!("http://127.0.0.1/{number}");
        scene.made(&format!("Alert {number}"), &url).await?;
    }
    scene.olga.sit_down(browser, &scene.server).await?;
    browser.open("/c/team/settings/alerts").await?;
    browser
        .shows("This cache has 20 alerts, and that is the most: remove one first.")
        .await?;
    let off = "return document.querySelector('main fieldset')?.disabled";
    browser
        .until("a form that is off", &format!("{off} === true"))
        .await?;
    browser.accessible("no room for another alert").await?;
    click(browser, "Remove Alert 7").await?;
    click(browser, "Remove").await?;
    browser
        .until("a form that is on", &format!("{off} === false"))
        .await?;
    scene.browser.finish().await
}
