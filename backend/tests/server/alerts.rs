//! Alerts: told once when it begins and once when it ends, signed, bounded, and an owner's only.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response as Answer};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use ring::hmac;
use serde_json::{Value, json};
use snowbank::alerts::round;
use snowbank::auth::records::now;
use snowbank::config::{Config, Misses};

use crate::harness::TestServer;
use crate::people::{Actor, another_owner, owner, read};

const ALERTS: &str = "/caches/main/alerts";

/// A message as it arrived.
#[derive(Debug, Clone)]
struct Received {
    headers: HashMap<String, String>,
    body: String,
}

impl Received {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// As a receiver checks it, by what the page says.
    fn assert_signed(&self, secret: &str) {
        let header = |name: &str| {
            let value = self.headers.get(name);
            value.unwrap_or_else(|| panic!("no {name} in {:?}", self.headers))
        };
        let key = secret.strip_prefix("whsec_").expect("a secret");
        let key = STANDARD.decode(key).expect("base64");
        let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
        let sent: i64 = at.parse().expect("seconds");
        assert!((now() - sent).abs() < 60, "{at}");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let tag = hmac::sign(&key, format!("{id}.{at}.{}", self.body).as_bytes());
        let expected = format!("v1,{}", STANDARD.encode(tag.as_ref()));
        assert_eq!(header("webhook-signature"), &expected);
        assert_eq!(header("content-type"), "application/json");
    }
}

/// Somebody who is told: at `/ok` it takes what comes, elsewhere it does not.
struct Receiver {
    url: String,
    received: Arrived,
}

type Arrived = Arc<Mutex<Vec<Received>>>;

async fn take(State(received): State<Arrived>, headers: HeaderMap, body: String) -> StatusCode {
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect();
    let mut received = received.lock().expect("a lock");
    received.push(Received { headers, body });
    StatusCode::NO_CONTENT
}

async fn fail() -> Answer {
    let body = "an-inner-secret of the receiver".repeat(1_000);
    (StatusCode::INTERNAL_SERVER_ERROR, body).into_response()
}

impl Receiver {
    async fn start() -> Self {
        let received = Arrived::default();
        let router = Router::new()
            .route("/ok", post(take))
            .route("/fail", post(fail))
            .route("/away", post(|| async { Redirect::temporary("/ok") }))
            .route("/hang", post(std::future::pending::<StatusCode>))
            .with_state(Arc::clone(&received));
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, received }
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().expect("a lock").clone()
    }

    fn events(&self) -> Vec<Value> {
        let all = self.received();
        all.iter().map(|one| one.json()["type"].clone()).collect()
    }
}

fn reachable(config: &mut Config) {
    config.outbound_allow = vec!["127.0.0.0/8".parse().expect("a block")];
    config.caches[0].misses = Misses::Index;
}

fn wish(name: &str, figure: &str, side: &str, threshold: u32, minutes: u32, url: &str) -> Value {
    json!({
        "name": name,
        "condition": {
            "figure": figure, "side": side, "threshold": threshold, "minutes": minutes,
        },
        "url": url,
    })
}

/// The alert of this name as the list has it.
async fn listed(server: &TestServer, who: &Actor, name: &str) -> Value {
    let page = who.json(server, ALERTS).await;
    let mut items = page["items"].as_array().expect("alerts").iter();
    let found = items.find(|alert| alert["name"] == name);
    found
        .unwrap_or_else(|| panic!("no {name} in {page}"))
        .clone()
}

async fn ask(server: &TestServer, hash: &str, times: usize) {
    for _ in 0..times {
        server.get(&format!("/main/{hash}.narinfo")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_fires_once_and_resolves_once_over_a_restart_and_what_is_not_measured_never_does() {
    let receiver = Receiver::start().await;
    let mut hash = String::new();
    let server = TestServer::start(|shelf| hash = shelf.put("app-1.0", &[]).hash, reachable).await;
    let olga = owner(&server).await;
    let url = format!("{}/ok", receiver.url);
    let low = wish("low", "hit-ratio", "below", 75, 1, &url);
    let made = read(olga.post(&server, ALERTS, low).await).await;
    let secret = made["secret"].as_str().expect("a secret").to_owned();
    // There is no quota: nobody can say how much of it is used.
    let full = wish("full", "quota-used", "above", 0, 0, &url);
    read(olga.post(&server, ALERTS, full).await).await;
    let begun = now();
    let at = async |server: &TestServer, seconds: i64| {
        round(server.server.site(), begun + seconds).await;
    };

    at(&server, 0).await;
    at(&server, 60).await;
    for name in ["low", "full"] {
        let alert = listed(&server, &olga, name).await;
        assert_eq!(
            (&alert["state"], &alert["value"]),
            (&json!("ok"), &Value::Null)
        );
        assert!(alert["not_measured"].is_string(), "{alert}");
    }
    ask(&server, &"0".repeat(32), 20).await;
    at(&server, 60).await;
    at(&server, 90).await;
    let alert = listed(&server, &olga, "low").await;
    assert_eq!(
        (&alert["state"], &alert["value"]),
        (&json!("pending"), &json!(0.0))
    );
    assert!(receiver.received().is_empty(), "not long enough yet");
    at(&server, 120).await;
    at(&server, 180).await;
    assert_eq!(receiver.events(), ["alert.firing"]);
    let message = receiver.received()[0].clone();
    message.assert_signed(&secret);
    let body = message.json();
    assert_eq!(body["data"]["cache"], "main");
    assert_eq!(body["data"]["alert"], made["alert"]["id"]);
    assert_eq!(body["data"]["value"], 0.0);
    assert_eq!(body["data"]["condition"]["threshold"], 75);
    let page = body["data"]["url"].as_str().expect("a page");
    assert!(page.ends_with("/c/main/usage"), "{page}");
    let text = body["text"].as_str().expect("a line");
    assert!(text.contains("Hit ratio below 75 % for 1 min"), "{text}");
    let alert = listed(&server, &olga, "low").await;
    assert_eq!(alert["state"], "firing");
    assert_eq!(
        (
            &alert["last_delivery"]["delivered"],
            &alert["last_delivery"]["status"]
        ),
        (&json!(true), &json!(204))
    );

    let server = server.restarted(reachable).await;
    let oscar = another_owner(&server).await;
    ask(&server, &hash, 80).await;
    // The one that has ended still keeps the states for a while; nobody else looks meanwhile.
    at(&server, 240).await;
    assert_eq!(listed(&server, &oscar, "low").await["state"], "firing");
    at(&server, 900).await;
    at(&server, 960).await;
    assert_eq!(receiver.events(), ["alert.firing", "alert.resolved"]);
    let over = receiver.received()[1].clone();
    over.assert_signed(&secret);
    assert_eq!(over.json()["data"]["value"], 80.0);
    assert_ne!(over.headers["webhook-id"], message.headers["webhook-id"]);
    assert_eq!(listed(&server, &oscar, "low").await["state"], "resolved");
    assert_eq!(listed(&server, &oscar, "full").await["state"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_an_owners_and_show_their_secrets_once() {
    let receiver = Receiver::start().await;
    let server = TestServer::start(|shelf| drop(shelf.put("app-1.0", &[])), reachable).await;
    let olga = owner(&server).await;
    let grants = json!([{"role": "maintainer", "cache": null}]);
    let maria = olga.invite(&server, "maria", grants).await;
    let url = format!("{}/ok?key=part-of-the-secret", receiver.url);
    let fine = wish("sweep", "sweep-age", "above", 60, 0, &url);
    assert_eq!(
        maria.post(&server, ALERTS, fine.clone()).await.status(),
        403
    );
    assert_eq!(maria.get(&server, ALERTS).await.status(), 403);
    let answer = olga.post(&server, ALERTS, fine.clone()).await;
    assert_eq!(answer.status(), 201);
    let made = read(answer).await;
    let secret = made["secret"].as_str().expect("a secret");
    assert!(secret.starts_with("whsec_"), "{secret}");
    let id = made["alert"]["id"].as_str().expect("an id");
    let one = format!("{ALERTS}/{id}");
    assert_eq!(
        maria
            .post(&server, &format!("{one}/test"), json!({}))
            .await
            .status(),
        403
    );

    for (what, change) in [
        ("no name", json!({"name": " "})),
        ("a line break", json!({"name": "a\nb"})),
        ("no webhook", json!({"url": null})),
        ("another scheme", json!({"url": "ftp://127.0.0.1/"})),
        ("a password", json!({"url": "http://me:pw@127.0.0.1/"})),
        ("a fragment", json!({"url": "http://127.0.0.1/#a"})),
        ("no host", json!({"url": "https:///x"})),
        (
            "a long URL",
            json!({"url": format!("http://127.0.0.1/{}", "x".repeat(2_000))}),
        ),
        ("a private address", json!({"url": "https://10.0.0.1/"})),
        (
            "a threshold",
            json!({"condition": {"figure": "hit-ratio", "side": "below", "threshold": 101, "minutes": 0}}),
        ),
        (
            "minutes",
            json!({"condition": {"figure": "approvals", "side": "above", "threshold": 0, "minutes": 10_081}}),
        ),
        (
            "a check of no findings",
            json!({"condition": {"figure": "approvals", "check": "unsigned", "side": "above", "threshold": 0, "minutes": 0}}),
        ),
        (
            "no code",
            json!({"condition": {"figure": "findings", "check": "No Check", "side": "above", "threshold": 0, "minutes": 0}}),
        ),
    ] {
        let mut bad = fine.clone();
        for (name, value) in change.as_object().expect("fields") {
            bad[name] = value.clone();
        }
        let answer = olga.post(&server, ALERTS, bad).await;
        let (status, text) = (answer.status(), answer.text().await.expect("text"));
        assert_eq!(status, 422, "{what}: {text}");
        assert_eq!(
            text.contains("outbound_allow"),
            what == "a private address",
            "{text}"
        );
    }

    // Nobody overwrites what they did not see; a change without URL and secret leaves them.
    let put = async |wish: &Value| {
        olga.send(&server, Method::PUT, &one, Some(wish.clone()))
            .await
    };
    let mut change = fine.clone();
    change["name"] = json!("renamed");
    change["url"] = Value::Null;
    assert_eq!(put(&change).await.status(), 409);
    change["revision"] = json!(1);
    let changed = read(put(&change).await).await;
    assert_eq!(
        (&changed["revision"], &changed["name"]),
        (&json!(2), &json!("renamed"))
    );
    assert_eq!(put(&change).await.status(), 409);
    let sent = read(olga.post(&server, &format!("{one}/test"), json!({})).await).await;
    assert_eq!(
        (&sent["delivered"], &sent["event"]),
        (&json!(true), &json!("test"))
    );
    receiver.received()[0].assert_signed(secret);
    assert_eq!(receiver.events(), ["alert.test"]);

    // A new secret signs instead of the old one, and who read the alert before has to read it again.
    let renewed = read(
        olga.post(&server, &format!("{one}/secret"), json!({}))
            .await,
    )
    .await;
    let fresh = renewed["secret"].as_str().expect("a secret");
    assert_ne!(fresh, secret);
    assert_eq!(renewed["alert"]["revision"], 3, "{renewed}");
    change["revision"] = json!(2);
    assert_eq!(put(&change).await.status(), 409);
    read(olga.post(&server, &format!("{one}/test"), json!({})).await).await;
    receiver.received()[1].assert_signed(fresh);

    let list = olga.get(&server, ALERTS).await.text().await.expect("text");
    assert!(list.contains(&receiver.url), "{list}");
    for hidden in [secret, fresh, "part-of-the-secret"] {
        assert!(!list.contains(hidden), "{hidden} in {list}");
    }
    let audit = olga.get(&server, "/caches/main/audit").await;
    let audit = audit.text().await.expect("text");
    for act in ["alert.create", "alert.change", "alert.renew", "alert.test"] {
        assert!(audit.contains(act), "{act} in {audit}");
    }
    assert!(
        !audit.contains(secret) && !audit.contains(fresh) && !audit.contains("part-of-the-secret"),
        "{audit}"
    );

    for number in 1..20 {
        let mut more = fine.clone();
        more["name"] = json!(format!("more {number}"));
        assert_eq!(
            olga.post(&server, ALERTS, more).await.status(),
            201,
            "{number}"
        );
    }
    assert_eq!(olga.post(&server, ALERTS, fine.clone()).await.status(), 422);
    assert_eq!(
        olga.send(&server, Method::DELETE, &one, None)
            .await
            .status(),
        204
    );
    assert_eq!(
        olga.send(&server, Method::DELETE, &one, None)
            .await
            .status(),
        404
    );
    assert_eq!(
        olga.post(&server, &format!("{one}/test"), json!({}))
            .await
            .status(),
        404
    );
    assert_eq!(olga.post(&server, ALERTS, fine).await.status(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_fails_or_leads_elsewhere_is_bounded_and_shown() {
    let receiver = Receiver::start().await;
    let server = TestServer::start(|shelf| drop(shelf.put("app-1.0", &[])), reachable).await;
    let olga = owner(&server).await;
    let mut ids = HashMap::new();
    for place in ["ok", "fail", "away", "hang"] {
        let url = format!("{}/{place}", receiver.url);
        let wish = wish(place, "sweep-age", "above", 30, 0, &url);
        let made = read(olga.post(&server, ALERTS, wish).await).await;
        ids.insert(
            place,
            made["alert"]["id"].as_str().expect("an id").to_owned(),
        );
    }
    let test = async |place: &str| {
        let path = format!("{ALERTS}/{}/test", ids[place]);
        read(olga.post(&server, &path, json!({})).await).await
    };
    let begun = Instant::now();
    let (ok, fail, away, hang) = tokio::join!(test("ok"), test("fail"), test("away"), test("hang"));
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    let went = |went: &Value| (went["delivered"].clone(), went["status"].clone());
    assert_eq!(went(&ok), (json!(true), json!(204)));
    assert_eq!(went(&fail), (json!(false), json!(500)));
    assert_eq!(went(&away), (json!(false), json!(307)));
    assert_eq!(went(&hang), (json!(false), Value::Null));
    let problem = hang["problem"].as_str().expect("a problem");
    assert!(problem.contains("no answer in time"), "{problem}");
    assert_eq!(
        receiver.events(),
        ["alert.test"],
        "redirects are not followed"
    );
    for tested in [&ok, &fail, &away, &hang] {
        assert_eq!(tested["again_at"], Value::Null, "a test is not tried again");
    }
    let list = olga.get(&server, ALERTS).await.text().await.expect("text");
    assert!(!list.contains("an-inner-secret"), "{list}");

    for place in ["hang", "away", "ok"] {
        let path = format!("{ALERTS}/{}", ids[place]);
        let gone = olga.send(&server, Method::DELETE, &path, None).await;
        assert_eq!(gone.status(), 204);
    }
    // In an hour the last sweep is an hour old, as far as the round knows.
    let later = now() + 3_600;
    for (seconds, tries) in [(0, 1), (30, 1), (61, 2), (120, 2), (200, 3)] {
        round(server.server.site(), later + seconds).await;
        let alert = listed(&server, &olga, "fail").await;
        let last = &alert["last_delivery"];
        assert_eq!(alert["state"], "firing");
        assert_eq!(
            (&last["event"], &last["tries"]),
            (&json!("firing"), &json!(tries)),
            "{seconds}"
        );
        assert_eq!(last["status"], 500);
        assert!(last["again_at"].is_string(), "{last}");
    }
}
