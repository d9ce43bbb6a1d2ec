//! OpenID Connect against a fake issuer: people by the code flow, CI by the exchange.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use snowbank::config::{Config, OidcConfig};
use snowbank_shared::api::Visibility;
use snowbank_shared::api::access::{Grant, Role};

use crate::harness::{TestServer, header};
use crate::issuer::Issuer;
use crate::people::{Actor, owner, read};

fn told(config: &mut Config, issuer: &Issuer) {
    config.outbound_allow = vec!["127.0.0.0/8".parse().expect("a block")];
    let mut oidc = OidcConfig::new(issuer.url.clone(), "snowbank");
    let grant = |role| Grant { role, cache: None };
    oidc.roles = vec![
        ("admins".into(), vec![grant(Role::Owner)]),
        ("dev".into(), vec![grant(Role::Contributor)]),
    ];
    config.oidc = Some(oidc);
    config.caches[0].visibility = Visibility::Private;
}

async fn server(issuer: &Issuer) -> TestServer {
    TestServer::start(
        |shelf| {
            shelf.put("base-1.0", &[]);
        },
        |config| told(config, issuer),
    )
    .await
}

/// The first leg: where the browser is sent, and its cookie.
async fn begin(server: &TestServer, back: &str) -> (String, String) {
    let answer = server.get(&format!("/api/v1/login/oidc?back={back}")).await;
    assert_eq!(answer.status(), 303);
    let set = header(&answer, "set-cookie");
    assert!(
        set.contains("SameSite=Lax") && set.contains("HttpOnly"),
        "{set}"
    );
    let cookie = set.split(';').next().expect("a cookie").to_owned();
    (header(&answer, "location").to_owned(), cookie)
}

async fn come_back(server: &TestServer, query: &str, cookie: &str) -> Response {
    let path = format!("/api/v1/login/oidc/callback?{query}");
    server.get_with(&path, &[("cookie", cookie)]).await
}

/// The session that a callback began.
fn session(answer: &Response) -> Option<Actor> {
    let set = answer.headers().get_all("set-cookie").iter();
    set.filter_map(|value| value.to_str().ok())
        .find(|value| value.contains("SameSite=Strict"))
        .map(|value| Actor {
            cookie: value.split(';').next().map(str::to_owned),
            bearer: None,
        })
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_and_their_groups_are_their_roles() {
    let issuer = Issuer::start().await;
    let server = server(&issuer).await;
    crate::people::settled(&server).await;
    let claims = json!({"sub": "7", "preferred_username": "Dora", "groups": ["dev"]});
    let (address, cookie) = begin(&server, "%2Fc%2Fmain%2Fpaths%3Fq%3Dx").await;
    let query = issuer.approve(&address, claims.clone());
    let answer = come_back(&server, &query, &cookie).await;
    assert_eq!(answer.status(), 303);
    assert_eq!(
        header(&answer, "location"),
        "/c/main/paths?q=x",
        "back to the deep link"
    );
    let dora = session(&answer).expect("a session");
    let me = dora.json(&server, "/me").await;
    assert_eq!(
        (&me["name"], &me["grants"][0]["role"]),
        (&json!("dora"), &json!("contributor"))
    );

    // The same answer again, in another browser, with another state: nothing.
    for (query, cookie) in [
        (query.clone(), cookie.clone()),
        (query.clone(), "a=b".to_owned()),
        (query.replace("state=", "state=x"), cookie.clone()),
        ("error=access_denied&state=x".to_owned(), cookie.clone()),
    ] {
        let answer = come_back(&server, &query, &cookie).await;
        assert!(
            header(&answer, "location").starts_with("/login?problem="),
            "{query}"
        );
        assert!(session(&answer).is_none());
    }

    // Next time she is in another group, and the issuer has new keys.
    issuer.rotate();
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    let promoted = json!({"sub": "7", "preferred_username": "Somebody Else", "groups": ["admins"]});
    let again = sign_in_patiently(&server, &issuer, &promoted).await;
    let me = again.json(&server, "/me").await;
    assert_eq!(
        (&me["name"], &me["grants"][0]["role"]),
        (&json!("dora"), &json!("owner")),
        "known by the subject"
    );

    // Another subject of the same name is another member.
    let twin = json!({"sub": "8", "preferred_username": "dora", "groups": ["dev"]});
    let twin = sign_in_patiently(&server, &issuer, &twin).await;
    assert_eq!(twin.json(&server, "/me").await["name"], "dora-2");

    // No group with a role: nobody.
    let (address, cookie) = begin(&server, "%2F").await;
    let query = issuer.approve(&address, json!({"sub": "9", "groups": ["other"]}));
    let answer = come_back(&server, &query, &cookie).await;
    assert_eq!(header(&answer, "location"), "/login?problem=no-role");

    // Signed out everywhere, centrally, by an owner.
    assert_eq!(
        again
            .send(&server, Method::DELETE, "/members/dora-2/sessions", None)
            .await
            .status(),
        204
    );
    assert_eq!(twin.get(&server, "/members").await.status(), 401);
}

/// Signs in; where keys were just rotated, the server waits a little before it asks again.
async fn sign_in_patiently(server: &TestServer, issuer: &Issuer, claims: &Value) -> Actor {
    for _ in 0..40 {
        let (address, cookie) = begin(server, "%2F").await;
        let query = issuer.approve(&address, claims.clone());
        let answer = come_back(server, &query, &cookie).await;
        if let Some(actor) = session(&answer) {
            return actor;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    panic!("no session");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_sent_elsewhere() {
    let issuer = Issuer::start().await;
    let server = server(&issuer).await;
    crate::people::settled(&server).await;
    for back in [
        "https%3A%2F%2Fevil.example",
        "%2F%2Fevil.example",
        "%2Fnothing%2Fhere",
    ] {
        let (address, cookie) = begin(&server, back).await;
        let query = issuer.approve(
            &address,
            json!({"sub": "7", "email": "d@x", "groups": ["dev"]}),
        );
        let answer = come_back(&server, &query, &cookie).await;
        assert_eq!(header(&answer, "location"), "/", "{back}");
    }
}

fn rule(issuer: &Issuer, claims: &Value) -> Value {
    json!({"name": "ci-main", "issuer": issuer.url, "audience": "cache", "claims": claims, "caches": ["main"], "verbs": ["read", "push"]})
}

#[tokio::test(flavor = "multi_thread")]
async fn ci_exchanges_its_identity_for_a_quarter_of_an_hour() {
    let issuer = Issuer::start().await;
    let server = server(&issuer).await;
    let olga = owner(&server).await;
    let hash = server.shelf().make("base-1.0", &[], true).hash;
    let asked = issuer.asked();
    let job = |more: Value| {
        let mut claims = json!({
            "aud": "cache", "sub": "repo:team/app:environment:release", "repository": "team/app",
            "ref": "refs/heads/main", "environment": "release", "event_name": "push",
            "workflow_ref": "team/app/.github/workflows/ci.yml@refs/heads/main", "jti": format!("{:?}", std::time::Instant::now()),
        });
        for (name, value) in more.as_object().expect("claims") {
            claims[name] = value.clone();
        }
        claims
    };
    let exchange = async |identity: String| {
        Actor::stranger()
            .post(&server, "/oidc/exchange", json!({"identity": identity}))
            .await
    };

    let early = exchange(issuer.sign(&job(json!({})))).await;
    assert_eq!(early.status(), 403, "no rule names this issuer");
    assert_eq!(issuer.asked(), asked, "and it was not even asked");

    for (bad, status) in [
        (json!({}), 422),
        (json!({"repository": "*/*"}), 422),
        (json!({"ref": "refs/heads/main"}), 422),
    ] {
        assert_eq!(
            olga.post(&server, "/trust", rule(&issuer, &bad))
                .await
                .status(),
            status,
            "{bad}"
        );
    }
    let fine = rule(
        &issuer,
        &json!({"repository": "team/app", "ref": "refs/heads/*", "environment": "release"}),
    );
    assert_eq!(
        olga.post(&server, "/trust", fine.clone()).await.status(),
        204
    );
    assert_eq!(
        olga.post(&server, "/trust", fine).await.status(),
        409,
        "the name is taken"
    );

    let identity = issuer.sign(&job(json!({})));
    let made = read(exchange(identity.clone()).await).await;
    assert_eq!(made["machine"], "repo:team/app:environment:release");
    let secret = made["secret"].as_str().expect("a secret");
    let lives = time_of(&made["expires_at"]) - time_of(&made["created_at"]);
    assert_eq!(lives, 900);
    let bearer = format!("Bearer {secret}");
    let answer = server
        .get_with(
            &format!("/main/{hash}.narinfo"),
            &[("authorization", &bearer)],
        )
        .await;
    assert_eq!(answer.status(), 200);

    let replayed = exchange(identity).await;
    assert_eq!(replayed.status(), 409);
    for (wrong, status) in [
        (json!({"repository": "team/other"}), 403),
        (json!({"environment": "staging"}), 403),
        (json!({"ref": "refs/heads/a/b"}), 403),
        (json!({"event_name": "pull_request"}), 403),
        (json!({"event_name": "pull_request_target"}), 403),
        (json!({"ref": "refs/pull/7/merge"}), 403),
        (json!({"aud": "elsewhere"}), 422),
        (json!({"exp": 1_700_000_000}), 422),
        (
            json!({"exp": snowbank::auth::records::now() + 1_000_000}),
            422,
        ),
    ] {
        assert_eq!(
            exchange(issuer.sign(&job(wrong.clone()))).await.status(),
            status,
            "{wrong}"
        );
    }
    let stranger = Issuer::start().await;
    let mut forged = job(json!({}));
    forged["iss"] = json!(issuer.url);
    let forged = exchange(stranger.sign(&forged)).await;
    assert_eq!(forged.status(), 422, "signed by somebody else");

    // As curl in a CI job asks for it.
    let netrc = server
        .client
        .post(server.url("/api/v1/oidc/exchange"))
        .header("accept", "text/plain")
        .body(issuer.sign(&job(json!({}))))
        .send()
        .await
        .expect("an answer");
    assert_eq!(netrc.status(), 201);
    let netrc = netrc.text().await.expect("text");
    assert!(
        netrc.starts_with("machine 127.0.0.1\nlogin snowbank\npassword snb_"),
        "{netrc}"
    );

    assert_eq!(
        olga.send(&server, Method::DELETE, "/trust/ci-main", None)
            .await
            .status(),
        204
    );
    assert_eq!(exchange(issuer.sign(&job(json!({})))).await.status(), 403);
}

fn time_of(value: &Value) -> i64 {
    use time::format_description::well_known::Rfc3339;
    let text = value.as_str().expect("a time");
    time::OffsetDateTime::parse(text, &Rfc3339)
        .expect("a time")
        .unix_timestamp()
}
