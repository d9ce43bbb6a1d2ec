//! Members, links, sessions, tokens and private caches, over HTTP.

use base64::Engine as _;
use reqwest::Method;
use serde_json::json;
use snowbank_shared::api::Visibility;

use crate::harness::{TestServer, header};
use crate::people::{Actor, cookie_of, owner, read};

async fn private() -> (TestServer, String) {
    let server = TestServer::start(
        |shelf| {
            shelf.put("base-1.0", &[]);
        },
        |config| config.caches[0].visibility = Visibility::Private,
    )
    .await;
    let hash = server.shelf().make("base-1.0", &[], true).hash;
    (server, hash)
}

/// What a Nix client with this netrc password is answered.
async fn nix(server: &TestServer, path: &str, password: &str) -> (u16, String) {
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("ci:{password}"));
    let answer = server
        .get_with(path, &[("authorization", &format!("Basic {basic}"))])
        .await;
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_comes_in_by_the_machines_link_and_once() {
    let (server, _) = private().await;
    crate::people::settled(&server).await;
    let access = &server.server.site().access;
    assert!(
        server
            .server
            .first_owner_link()
            .await
            .expect("random")
            .is_some()
    );
    let link = access.owner_link().expect("a link");
    let secret = link.rsplit('/').next().expect("a secret");
    let nobody = Actor::stranger();
    let looked = read(
        nobody
            .post(&server, "/links/look", json!({"link": secret}))
            .await,
    )
    .await;
    assert_eq!(looked["kind"], "invitation");
    assert_eq!(looked["grants"][0]["role"], "owner");

    for bad in ["", "A", "anonymous", "a b"] {
        let answer = nobody
            .post(&server, "/session", json!({"link": secret, "name": bad}))
            .await;
        assert_eq!(answer.status(), 422, "{bad}");
    }
    let olga = Actor::by_link(&server, &link, Some("olga")).await;
    let me = olga.json(&server, "/me").await;
    assert_eq!(
        (&me["kind"], &me["name"]),
        (&json!("member"), &json!("olga"))
    );
    assert_eq!(me["owners"], json!(["olga"]));

    let again = nobody
        .post(
            &server,
            "/session",
            json!({"link": secret, "name": "mallory"}),
        )
        .await;
    assert_eq!(again.status(), 422);
    assert!(again.text().await.expect("text").contains("works once"));
    let forged = format!("{}{}", &secret[..secret.len() - 4], "0000");
    let answer = nobody
        .post(&server, "/session", json!({"link": forged}))
        .await;
    assert_eq!(answer.status(), 422);
    assert!(
        server
            .server
            .first_owner_link()
            .await
            .expect("random")
            .is_none(),
        "it has an owner"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_is_strict_and_signing_out_ends_it() {
    let (server, _) = private().await;
    crate::people::settled(&server).await;
    let link = server.server.site().access.owner_link().expect("a link");
    let secret = link.rsplit('/').next().expect("a secret");
    let answer = Actor::stranger()
        .post(&server, "/session", json!({"link": secret, "name": "olga"}))
        .await;
    let set = header(&answer, "set-cookie").to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(set.contains(attribute), "{set}");
    }
    let olga = Actor {
        cookie: Some(cookie_of(&answer)),
        bearer: None,
    };
    let second = owner(&server).await;
    assert_eq!(olga.get(&server, "/members").await.status(), 200);
    let out = olga.send(&server, Method::DELETE, "/session", None).await;
    assert_eq!(out.status(), 204);
    assert!(header(&out, "set-cookie").contains("Max-Age=0"));
    let after = olga.get(&server, "/members").await;
    assert_eq!(after.status(), 401);
    assert_eq!(
        after.json::<serde_json::Value>().await.expect("JSON")["code"],
        "login-ended"
    );
    assert_eq!(
        second.get(&server, "/members").await.status(),
        200,
        "the other session goes on"
    );

    let third = owner(&server).await;
    assert_eq!(
        second
            .send(&server, Method::DELETE, "/sessions", None)
            .await
            .status(),
        204
    );
    for ended in [&second, &third] {
        assert_eq!(ended.get(&server, "/members").await.status(), 401);
    }
    let fourth = owner(&server).await;
    assert_eq!(
        fourth.get(&server, "/members").await.status(),
        200,
        "a session begun after is fine"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_invited_changed_and_removed() {
    let (server, hash) = private().await;
    let olga = owner(&server).await;
    let rita = olga
        .invite(
            &server,
            "rita",
            json!([{"role": "reader", "cache": "main"}]),
        )
        .await;
    let path = format!("/caches/main/paths/{hash}");
    assert_eq!(rita.get(&server, &path).await.status(), 200);
    let refused = rita
        .post(
            &server,
            "/members",
            json!({"name": "x1", "grants": [{"role": "owner"}]}),
        )
        .await;
    assert_eq!(refused.status(), 403);
    let problem: serde_json::Value = refused.json().await.expect("JSON");
    assert_eq!(problem["detail"], "Needs Owner. Owner: olga.");
    let me = rita.json(&server, "/me").await;
    let manage = me["server"]
        .as_array()
        .expect("acts")
        .iter()
        .find(|act| act["act"] == "manage-members");
    assert_eq!(
        manage.expect("the act")["refusal"],
        problem["detail"],
        "the button says what the API says"
    );

    // A taken name, a cache that is not there, no role at all.
    for (wish, status) in [
        (json!({"name": "rita", "grants": [{"role": "reader"}]}), 409),
        (
            json!({"name": "sam", "grants": [{"role": "reader", "cache": "nope"}]}),
            404,
        ),
        (json!({"name": "sam", "grants": []}), 422),
        (json!({"name": "sam", "grants": [{"role": "king"}]}), 400),
    ] {
        assert_eq!(
            olga.post(&server, "/members", wish.clone()).await.status(),
            status,
            "{wish}"
        );
    }

    let patch = |body| olga.send(&server, Method::PATCH, "/members/rita", Some(body));
    assert_eq!(patch(json!({"suspended": true})).await.status(), 204);
    assert_eq!(
        rita.get(&server, &path).await.status(),
        401,
        "kept out at once"
    );
    assert_eq!(
        olga.post(&server, "/members/rita/link", json!({}))
            .await
            .status(),
        403
    );
    assert_eq!(
        patch(json!({"suspended": false, "grants": [{"role": "maintainer"}]}))
            .await
            .status(),
        204
    );
    assert_eq!(rita.get(&server, &path).await.status(), 200);

    let link = read(olga.post(&server, "/members/rita/link", json!({})).await).await;
    let again = Actor::by_link(&server, link["url"].as_str().expect("a URL"), None).await;
    assert_eq!(again.json(&server, "/me").await["name"], "rita");

    // The last owner stays.
    let demote = json!({"grants": [{"role": "reader"}]});
    let answer = olga
        .send(&server, Method::PATCH, "/members/olga", Some(demote))
        .await;
    assert_eq!(answer.status(), 409);
    assert_eq!(
        olga.send(&server, Method::DELETE, "/members/olga", None)
            .await
            .status(),
        409
    );

    let token = rita.token(&server, json!(["main"]), &["read"]).await;
    let secret = token["secret"].as_str().expect("a secret");
    assert_eq!(
        nix(&server, &format!("/main/{hash}.narinfo"), secret)
            .await
            .0,
        200
    );
    assert_eq!(
        olga.send(&server, Method::DELETE, "/members/rita", None)
            .await
            .status(),
        204
    );
    assert_eq!(rita.get(&server, &path).await.status(), 401);
    assert_eq!(
        nix(&server, &format!("/main/{hash}.narinfo"), secret)
            .await
            .0,
        401
    );
    let reused = olga
        .post(
            &server,
            "/members",
            json!({"name": "rita", "grants": [{"role": "reader"}]}),
        )
        .await;
    assert_eq!(reused.status(), 409, "a name is never given twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_cache_answers_by_the_table_of_statuses() {
    let (server, hash) = private().await;
    let olga = owner(&server).await;
    let eve = olga
        .invite(&server, "eve", json!([{"role": "auditor"}]))
        .await;
    let good = olga.token(&server, json!(["main"]), &["read"]).await;
    let good = good["secret"].as_str().expect("a secret").to_owned();
    let audit = eve.token(&server, json!(["main"]), &["audit"]).await;
    let audit = audit["secret"].as_str().expect("a secret").to_owned();
    let there = format!("/main/{hash}.narinfo");
    let absent = "/main/00000000000000000000000000000000.narinfo";
    let nar = format!("/main/{}", server.shelf().make("base-1.0", &[], true).url);
    let other = if good.ends_with('0') { '1' } else { '0' };
    for path in [&there, absent, &nar, "/main/nix-cache-info"] {
        let expected = if path == absent { 404 } else { 200 };
        assert_eq!(nix(&server, path, &good).await.0, expected, "{path}");
        for wrong in [
            "",
            "hunter2",
            &good[..good.len() - 1],
            &format!("{}{}", &good[..good.len() - 1], other),
        ] {
            let (status, text) = nix(&server, path, wrong).await;
            assert_eq!(status, 401, "{path} {wrong}");
            assert!(
                text.len() < 1024 && text.contains("/connect?caches=main"),
                "{text}"
            );
        }
        let (status, text) = nix(&server, path, &audit).await;
        assert!(
            status == 200 || status == 403 || status == 404,
            "{status} {text}"
        );
    }
    // An auditor reads; a token that lends only the audit is narrower than its owner.
    let pushes = olga.token(&server, json!(["main"]), &["push"]).await;
    let pushes = pushes["secret"].as_str().expect("a secret").to_owned();
    assert_eq!(
        nix(&server, &there, &pushes).await.0,
        200,
        "who pushes has to see what is there"
    );

    // As bearer, on the API, and in private lists.
    let machine = Actor::with_token(&good);
    assert_eq!(machine.json(&server, "/caches").await["total"], 1);
    assert_eq!(Actor::stranger().json(&server, "/caches").await["total"], 0);
    let answer = server
        .get_with(&there, &[("authorization", &format!("Bearer {good}"))])
        .await;
    assert_eq!(header(&answer, "cache-control"), "private, no-store");
}

#[tokio::test(flavor = "multi_thread")]
async fn a82_a_revoked_token_stops_with_the_next_request() {
    let (server, hash) = private().await;
    let olga = owner(&server).await;
    let made = olga.token(&server, json!(null), &["read", "push"]).await;
    let secret = made["secret"].as_str().expect("a secret");
    let netrc = made["netrc"].as_str().expect("lines");
    assert!(
        netrc.starts_with("machine 127.0.0.1\nlogin ") && netrc.contains(secret),
        "{netrc}"
    );
    let path = format!("/main/{hash}.narinfo");
    assert_eq!(nix(&server, &path, secret).await.0, 200);
    let listed = olga.json(&server, "/tokens").await;
    assert_eq!(listed["total"], 1);
    assert!(
        !listed.to_string().contains(secret),
        "a secret is shown once"
    );
    assert!(listed["items"][0]["last_used_at"].is_string());
    let id = made["id"].as_str().expect("an id");
    let answer = olga
        .send(&server, Method::DELETE, &format!("/tokens/{id}"), None)
        .await;
    assert_eq!(answer.status(), 204);
    let (status, text) = nix(&server, &path, secret).await;
    assert_eq!(status, 401);
    assert!(text.contains("ended"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_makes_a_token_for_more_than_they_may() {
    let (server, _) = private().await;
    let olga = owner(&server).await;
    let rita = olga
        .invite(
            &server,
            "rita",
            json!([{"role": "reader", "cache": "main"}]),
        )
        .await;
    let ask = |who: &Actor, wish: serde_json::Value| {
        let (who, server) = (who.clone(), &server);
        async move { who.post(server, "/tokens", wish).await.status().as_u16() }
    };
    let wish = |caches: serde_json::Value, verbs: &[&str], days: i64, name: &str| json!({"name": name, "caches": caches, "verbs": verbs, "days": days});
    assert_eq!(
        ask(&rita, wish(json!(["main"]), &["read"], 90, "laptop")).await,
        201
    );
    assert_eq!(
        ask(&rita, wish(json!(null), &["read"], 90, "laptop")).await,
        201
    );
    for (caches, verbs, days, name, status) in [
        (json!(["main"]), &["push"][..], 90, "x", 403),
        (json!(null), &["manage"], 90, "x", 403),
        (json!(["nope"]), &["read"], 90, "x", 404),
        (json!([]), &["read"], 90, "x", 422),
        (json!(null), &[], 90, "x", 422),
        (json!(null), &["read"], 0, "x", 422),
        (json!(null), &["read"], 400, "x", 422),
        (json!(null), &["read"], 90, "", 422),
        (json!(null), &["read"], 90, "a\nb", 422),
        (json!(null), &["fly"], 90, "x", 400),
    ] {
        assert_eq!(
            ask(&rita, wish(caches.clone(), verbs, days, name)).await,
            status,
            "{caches} {verbs:?} {days} {name:?}"
        );
    }
    // Demoted, the owner's token is demoted with her.
    let oscar = olga
        .invite(&server, "oscar", json!([{"role": "owner"}]))
        .await;
    let made = oscar
        .token(&server, json!(null), &["manage", "push", "read"])
        .await;
    let machine = Actor::with_token(made["secret"].as_str().expect("a secret"));
    let upload = |me: serde_json::Value| {
        me["caches"][0]["acts"]
            .as_array()
            .expect("acts")
            .iter()
            .find(|act| act["act"] == "upload")
            .expect("it")["refusal"]
            .is_null()
    };
    assert!(upload(machine.json(&server, "/me").await));
    let demote = json!({"grants": [{"role": "reader"}]});
    assert_eq!(
        olga.send(&server, Method::PATCH, "/members/oscar", Some(demote))
            .await
            .status(),
        204
    );
    assert!(!upload(machine.json(&server, "/me").await));
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_two_owners_do_not_overwrite_each_other() {
    let (server, _) = private().await;
    let olga = owner(&server).await;
    let first = olga.json(&server, "/settings").await;
    assert_eq!(first["revision"], 0);
    let mut wish = first.clone();
    wish["token_days"] = json!(30);
    let changed = read(
        olga.send(&server, Method::PUT, "/settings", Some(wish.clone()))
            .await,
    )
    .await;
    assert_eq!(
        (&changed["token_days"], &changed["changed_by"]),
        (&json!(30), &json!("olga"))
    );
    let stale = olga
        .send(&server, Method::PUT, "/settings", Some(wish))
        .await;
    assert_eq!(stale.status(), 409);
    let long = json!({"name": "x", "caches": null, "verbs": ["read"], "days": 31});
    assert_eq!(olga.post(&server, "/tokens", long).await.status(), 422);
    let mut bad = changed;
    bad["session_days"] = json!(0);
    assert_eq!(
        olga.send(&server, Method::PUT, "/settings", Some(bad))
            .await
            .status(),
        422
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded_and_tries_are_counted() {
    let (server, _) = private().await;
    let olga = owner(&server).await;
    let huge = json!({"name": "x".repeat(300_000), "grants": []});
    let answer = olga.post(&server, "/members", huge).await;
    assert_eq!(answer.status(), 413);
    let answer = olga
        .request(&server, Method::POST, "/members")
        .body("{")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 400);
    let mut last = 0;
    for _ in 0..80 {
        let answer = Actor::stranger()
            .post(&server, "/session", json!({"link": "snl_nothing"}))
            .await;
        last = answer.status().as_u16();
        if last == 429 {
            assert!(answer.headers().contains_key("retry-after"));
            break;
        }
        assert_eq!(last, 422);
    }
    assert_eq!(last, 429, "guessing is slowed down");
    assert_eq!(
        olga.get(&server, "/members").await.status(),
        200,
        "who is in is not concerned"
    );
}
