//! What a policy holds back, with stock Nix: the upload passes, readers see nothing, and once somebody
//! else has approved it a client fetches it by the cache's key alone.

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use snowbank_tests::closure::Closure;
use snowbank_tests::nix::Nix;

use crate::uploads::{push, serve, uploader};

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_path_is_copied_approved_and_fetched() -> anyhow::Result<()> {
    let Some(builder) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&builder)?;
    for nix in Nix::each()? {
        let (server, _home, owner) = serve().await?;
        let alice = uploader(&nix, &server, &owner, "alice").await?;
        let grants = json!([{"role": "maintainer", "cache": "main"}]);
        let maria = owner.invite(&server, "maria", grants).await?;
        let base = closure.app.rsplit('/').next().context("a name")?;
        let (hash, name) = base.split_once('-').context("a name")?;
        let policy = json!({
            "mode": "counter-sign",
            "relay": false,
            "refuse_undeclared_references": false,
            "reference_upstreams": [],
            "rules": [{"who": "anyone", "names": [name], "then": "approval", "approvals": 1}],
            "revision": 0,
        });
        owner
            .send(&server, Method::PUT, "/caches/main/policy", policy)
            .await?;
        push(&nix, &closure.store(), &server, &alice, &closure.app)?.ok()?;
        let status = async || -> anyhow::Result<u16> {
            let address = format!("/main/{hash}.narinfo");
            let answer = server.request(Method::GET, &address).send().await?;
            Ok(answer.status().as_u16())
        };
        ensure!(status().await? == 404, "{}: readers see it", nix.version);
        // Again: it passes again, and waits once.
        push(&nix, &closure.store(), &server, &alice, &closure.app)?.ok()?;
        let queue = maria
            .send(&server, Method::GET, "/caches/main/approvals", Value::Null)
            .await?;
        ensure!(queue["total"] == 1, "{}: {queue}", nix.version);
        let row = &queue["items"][0];
        let id = row["id"].as_str().context("an id")?;
        let wish = json!({"revision": row["revision"]});
        let path = format!("/caches/main/approvals/{id}/approve");
        let approved = maria.send(&server, Method::POST, &path, wish).await?;
        ensure!(approved["state"] == "published", "{approved}");
        ensure!(status().await? == 200, "{}: it is not there", nix.version);
        let key = server.trusted_key("main").await?;
        for client in Nix::each()? {
            let store = client
                .home()
                .join(format!("approved-of-{}", nix.version.len()));
            client
                .substitute(&store, &server.url("/main"), &key, &closure.app)?
                .ok()?;
        }
    }
    Ok(())
}
