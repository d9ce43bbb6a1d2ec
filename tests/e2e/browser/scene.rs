//! What is looked at where something has to hold on every page: a server, who is at the browser,
//! and the pages that this person opens.

use anyhow::Context as _;
use reqwest::Method;
use serde_json::{Value, json};
use snowbank_shared::signature::SecretKey;
use snowbank_tests::browser::Browser;
use snowbank_tests::people::Person;
use snowbank_tests::server::{Server, Setup};
use tempfile::TempDir;

use super::fx1;
use super::pages::{self, Named};

/// A server, who looks, and at what.
pub(super) struct Scene {
    /// The pages.
    pub(super) pages: Vec<Named>,
    server: Server,
    person: Option<Person>,
    // The folder of the bucket.
    _home: Option<TempDir>,
}

impl Scene {
    /// A visitor of the demo, an owner of a private cache, and one of a server without caches.
    pub(super) async fn all() -> anyhow::Result<Vec<Self>> {
        Ok(vec![
            Self::visitor().await?,
            Self::owner().await?,
            Self::founder().await?,
        ])
    }

    /// A visitor of the demo.
    pub(super) async fn visitor() -> anyhow::Result<Self> {
        let server = Server::demo().await?;
        Ok(Self {
            pages: pages::all(&server).await?,
            server,
            person: None,
            _home: None,
        })
    }

    /// A visitor of the demo with a month of traffic behind it.
    pub(super) async fn month() -> anyhow::Result<Self> {
        let usage = |tab: &str| format!("/c/main/usage?tab={tab}&range=30d");
        Ok(Self {
            pages: vec![
                ("month-storage", usage("storage")),
                ("month-traffic", usage("traffic")),
                ("month-misses", usage("misses")),
                ("month-sources", usage("sources")),
                ("month-health", "/c/main/health".to_owned()),
                ("month-gc", "/c/main/gc".to_owned()),
                ("month-cache", "/c/main".to_owned()),
            ],
            server: Server::demo_with(&["--month"]).await?,
            person: None,
            _home: None,
        })
    }

    /// An owner of a private cache in which people are.
    pub(super) async fn owner() -> anyhow::Result<Self> {
        let (server, home) = private().await?;
        let olga = server.owner("olga").await?;
        inhabit(&server, &olga).await?;
        keep(&server, &olga).await?;
        watch(&server, &olga).await?;
        let audit = "/audit?actor=olga&action=member".to_owned();
        Ok(Self {
            pages: vec![
                ("login-signed-in", "/login".to_owned()),
                ("members-owner", "/members".to_owned()),
                ("me-owner", "/me".to_owned()),
                ("tokens-owner", "/me/tokens".to_owned()),
                ("keys-owner", "/me/keys".to_owned()),
                ("upload-owner", "/c/team/upload".to_owned()),
                ("pins-owner", "/c/team/pins".to_owned()),
                ("pin-owner", "/c/team/pins/prod@1".to_owned()),
                (
                    "diff-pins",
                    "/c/team/diff/pin:prod@2...pin:staging".to_owned(),
                ),
                ("path-pinned", format!("/c/team/p/{}", fx1::TOP_HASH)),
                ("quarantine-owner", "/c/team/quarantine".to_owned()),
                ("usage-storage", "/c/team/usage?range=30d".to_owned()),
                (
                    "usage-traffic",
                    "/c/team/usage?tab=traffic&range=30d".to_owned(),
                ),
                (
                    "usage-misses",
                    "/c/team/usage?tab=misses&range=30d".to_owned(),
                ),
                (
                    "usage-clients-owner",
                    "/c/team/usage?tab=clients&range=30d".to_owned(),
                ),
                ("usage-sources", "/c/team/usage?tab=sources".to_owned()),
                ("gc-owner", "/c/team/gc".to_owned()),
                (
                    "gc-compared",
                    "/c/team/gc?keep=pins:5&grace=0&b=keep%3Duploaded%3A30".to_owned(),
                ),
                ("gc-plan", planned(&server, &olga).await?),
                (
                    "gc-plan-gone",
                    "/c/team/gc/plans/0123456789abcdef".to_owned(),
                ),
                ("gc-run-gone", "/c/team/gc/runs/0123456789abcdef".to_owned()),
                ("gc-purge", format!("/c/team/gc/purge/{}", fx1::LEAF_HASH)),
                ("rotation-owner", "/c/team/rotation".to_owned()),
                ("signing-owner", "/c/team/signing".to_owned()),
                ("uploads-owner", "/c/team/uploads".to_owned()),
                ("upload-gone", "/c/team/uploads/0123456789abcdef".to_owned()),
                ("approvals-owner", "/c/team/approvals".to_owned()),
                ("policy-owner", "/c/team/settings/policy".to_owned()),
                ("settings-owner", "/settings".to_owned()),
                ("settings-cache", "/c/team/settings".to_owned()),
                ("alerts-owner", "/c/team/settings/alerts".to_owned()),
                ("audit-owner", "/audit".to_owned()),
                ("audit-filtered", audit),
                ("audit-cache", "/c/team/audit".to_owned()),
                ("invitation", invitation(&server, &olga).await?),
                ("invitation-over", "/invite/snl_nothing".to_owned()),
            ],
            server,
            person: Some(olga),
            _home: Some(home),
        })
    }

    /// An owner of a server without caches.
    pub(super) async fn founder() -> anyhow::Result<Self> {
        let server = Setup::new().start().await?;
        let olga = server.owner("olga").await?;
        Ok(Self {
            pages: vec![("wizard", "/".to_owned())],
            server,
            person: Some(olga),
            _home: None,
        })
    }

    /// A browser with this person at it; nothing where there is no browser.
    pub(super) async fn browser(&self) -> anyhow::Result<Option<Browser>> {
        let Some(browser) = Browser::start(&self.server.origin).await? else {
            return Ok(None);
        };
        if let Some(person) = &self.person {
            person.sit_down(&browser, &self.server).await?;
        }
        Ok(Some(browser))
    }
}

/// A server with the demo's closure in a private cache `team`.
pub(super) async fn private() -> anyhow::Result<(Server, TempDir)> {
    let home = tempfile::tempdir()?;
    let filled = snowbank::demo::prepare(home.path())?;
    let server = Setup::new()
        // Alerts name a webhook there, which nobody calls.
        .line("outbound_allow = [\"192.0.2.0/24\"]")
        .folder(
            "team",
            &filled.bucket,
            &[
                format!("public_keys = [{:?}]", filled.public_key),
                "visibility = \"private\"".to_owned(),
            ],
        )
        .start()
        .await?;
    Ok((server, home))
}

/// Waits until the first index of the private cache `team` is complete, as who may read it sees it.
pub(super) async fn indexed(server: &Server, who: &Person) -> anyhow::Result<()> {
    let patience = std::time::Duration::from_secs(60);
    server
        .eventually(patience, "the index of team", async || {
            let cache = who
                .send(server, Method::GET, "/caches/team", Value::Null)
                .await?;
            let done = cache["index"]["state"] == "ready" && cache["index"]["as_of"].is_string();
            Ok(done.then_some(()))
        })
        .await
}

/// Makes a key of this name and registers it for the cache `team`.
async fn key(server: &Server, who: &Person, name: &str, acts: &[&str]) -> anyhow::Result<()> {
    let mut seed = [0; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    register(server, who, &SecretKey::generate(name, seed)?, "team", acts).await
}

/// Registers a key for a cache, and then does this with it.
pub(super) async fn register(
    server: &Server,
    who: &Person,
    key: &SecretKey,
    cache: &str,
    acts: &[&str],
) -> anyhow::Result<()> {
    let name = key.name();
    let send = async |path: String, body| who.send(server, Method::POST, &path, body).await;
    let scope = json!({"caches": [cache], "names": ["app-*", "lib-*"]});
    let wish = json!({"public_key": key.public_key().to_string(), "scope": scope});
    send("/contributors".to_owned(), wish).await?;
    for act in acts {
        let at = |act: &str| format!("/contributors/{name}/{act}");
        let body = match *act {
            "prove" => {
                let challenge = send(at("challenge"), json!({})).await?;
                let message = challenge["message"].as_str().context("no message")?;
                let signature = key.sign(message.as_bytes()).to_string();
                json!({"message": message, "signature": signature})
            }
            "revoke" => json!({"reason": "superseded"}),
            _ => json!({}),
        };
        send(at(act), body).await?;
    }
    Ok(())
}

/// Registers a key for the cache `main`, which the owner then accepts for every name.
pub(super) async fn accepted(
    server: &Server,
    owner: &Person,
    who: &Person,
    key: &SecretKey,
) -> anyhow::Result<()> {
    register(server, who, key, "main", &["prove"]).await?;
    let scope = json!({"scope": {"caches": ["main"], "names": ["*"]}});
    let path = format!("/contributors/{}/accept", key.name());
    owner.send(server, Method::POST, &path, scope).await?;
    Ok(())
}

/// Members of every kind, keys in every state, a token, a trust rule.
async fn inhabit(server: &Server, olga: &Person) -> anyhow::Result<()> {
    olga.invite(server, "rita", json!([{"role": "reader", "cache": "team"}]))
        .await?;
    let carl = olga
        .invite(server, "carl", json!([{"role": "contributor"}]))
        .await?;
    carl.token(server, &["team"]).await?;
    key(server, &carl, "carl-laptop-1", &["prove"]).await?;
    key(server, &carl, "carl-ci-1", &[]).await?;
    key(server, olga, "olga-laptop-1", &["prove"]).await?;
    key(server, olga, "olga-desk-1", &["prove", "suspend"]).await?;
    key(server, olga, "olga-laptop-0", &["prove", "revoke"]).await?;
    olga.invite(server, "sam", json!([{"role": "maintainer"}]))
        .await?;
    let suspended = json!({"suspended": true});
    olga.send(server, Method::PATCH, "/members/sam", suspended)
        .await?;
    olga.token(server, &["team"]).await?;
    let rule = json!({
        "name": "ci",
        "issuer": "https://token.actions.githubusercontent.com",
        "audience": server.origin,
        "claims": {"repository": "team/app", "ref": "refs/heads/main"},
        "caches": ["team"],
        "verbs": ["read", "push"],
    });
    olga.send(server, Method::POST, "/trust", rule).await?;
    let policy = json!({
        "mode": "counter-sign",
        "relay": false,
        "refuse_undeclared_references": false,
        "reference_upstreams": [],
        "rules": [
            {"who": "anyone", "names": ["nixos-system-*"], "then": "approval", "approvals": 1},
            {"who": "members", "members": ["carl"], "max_nar_size": 5_368_709_120_u64, "then": "publish"},
            {"who": "machines", "then": "builders", "builders": 2},
        ],
        "revision": 0,
    });
    olga.send(server, Method::PUT, "/caches/team/policy", policy)
        .await?;
    Ok(())
}

/// Alerts: one that nobody can measure yet, and one of a single check.
async fn watch(server: &Server, olga: &Person) -> anyhow::Result<()> {
    for (name, condition) in [
        (
            "Hit ratio is low",
            json!({"figure": "hit-ratio", "side": "below", "threshold": 75, "minutes": 60}),
        ),
        (
            "An archive is gone",
            json!({"figure": "findings", "check": "nar-missing", "side": "above", "threshold": 0, "minutes": 15}),
        ),
    ] {
        let wish = json!({"name": name, "condition": condition, "url": "https://192.0.2.1/hook"});
        olga.send(server, Method::POST, "/caches/team/alerts", wish)
            .await?;
    }
    Ok(())
}

/// Two pins, one with a history, and a path that is hidden.
async fn keep(server: &Server, olga: &Person) -> anyhow::Result<()> {
    indexed(server, olga).await?;
    for (pin, path, expected) in [
        ("prod", fx1::TOP, 0),
        ("prod", fx1::MID, 1),
        ("staging", fx1::TOP, 0),
    ] {
        let wish = json!({"path": path, "expected": expected, "note": "for the pictures"});
        let at = format!("/caches/team/pins/{pin}");
        olga.send(server, Method::PUT, &at, wish).await?;
    }
    let wish = json!({"paths": [super::FX2_HASH], "reason": "its content is not what was signed"});
    olga.send(server, Method::POST, "/caches/team/quarantine", wish)
        .await?;
    Ok(())
}

/// The page of a plan that removes what no pin keeps.
async fn planned(server: &Server, olga: &Person) -> anyhow::Result<String> {
    let wish = json!({"rules": {"pins": 5, "grace_hours": 0}, "foreign": true});
    let made = olga
        .send(server, Method::POST, "/caches/team/gc/plans", wish)
        .await?;
    let id = made["id"].as_str().context("no id")?;
    Ok(format!("/c/team/gc/plans/{id}"))
}

/// The page of a link that is still to be used.
async fn invitation(server: &Server, olga: &Person) -> anyhow::Result<String> {
    let wish = json!({"name": "ines", "grants": [{"role": "auditor"}]});
    let made = olga.send(server, Method::POST, "/members", wish).await?;
    let url = made["url"].as_str().context("no link")?;
    let at = url.find("/invite/").context("no link")?;
    Ok(url[at..].to_owned())
}
