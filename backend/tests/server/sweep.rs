//! The sweep: every address of the OpenAPI document with no, wrong, expired, too weak and right
//! credentials. An address that nobody wrote a rule for fails here.

use reqwest::Method;
use serde_json::{Value, json};
use snowbank::auth::credential::{Credential, Kind};
use snowbank::auth::records::{TokenRecord, now};
use snowbank::ledger::Scope;
use snowbank_shared::api::Visibility;
use snowbank_shared::api::access::Verb;

use crate::harness::{TestServer, archive, give_key};
use crate::people::{Actor, owner};

/// Who may use an address, on a server whose only cache is private.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Anybody, who then sees only what is theirs to see.
    Open,
    /// Who may read the cache, tokens included.
    Reads,
    /// Members at a browser.
    Member,
    /// Owners of the server, at a browser.
    Owner,
    /// Who may upload to the cache, or maintains it.
    Uploads,
    /// Auditors and owners, tokens included.
    Audit,
    /// Maintainers or owners of the cache, tokens included.
    Changes,
}

/// The rule of each operation.
fn rule(operation: &str) -> Option<Rule> {
    Some(match operation {
        "list_caches"
        | "get_about"
        | "get_me"
        | "get_connect"
        | "lookup"
        | "lookup_many"
        | "look_at_link"
        | "begin_session"
        | "begin_single_sign_on"
        | "finish_single_sign_on"
        | "exchange_identity"
        | "get_alert_rules"
        | "get_dashboard" => Rule::Open,
        "get_cache" | "list_paths" | "get_path" | "get_closure" | "get_referrers"
        | "get_signatures" | "get_raw" | "get_facets" | "get_selection" | "get_growth"
        | "list_keys" | "get_health" | "stream_events" | "list_referrers" | "list_signatures"
        | "get_narinfo" | "begin_live_check" | "get_live_check" | "list_pins" | "get_pin"
        | "get_quarantine" | "list_files" | "get_file" | "get_listing" | "get_contents"
        | "list_conflicts" | "get_conflicts" | "get_closure_graph" | "get_why" | "get_diff"
        | "get_mentions" | "find_files" | "list_packages" | "get_package" | "list_signers"
        | "get_coverage" | "get_acceptance" | "get_log" | "get_history" | "get_usage"
        | "list_usage_paths" | "list_usage_misses" | "get_storage" | "get_prices" | "gone_path" => {
            Rule::Reads
        }
        "set_pin"
        | "roll_back_pin"
        | "remove_pin"
        | "set_quarantine"
        | "lift_quarantine"
        | "repair_health"
        | "dismiss_conflict"
        | "list_jobs"
        | "estimate_job"
        | "begin_job"
        | "get_job"
        | "control_job"
        | "get_batch"
        | "take_batch"
        | "check_content"
        | "check_bucket"
        | "simulate_retention"
        | "why_kept"
        | "get_retention_rules"
        | "list_retention_plans"
        | "get_retention_plan"
        | "list_planned_paths"
        | "export_retention_plan"
        | "get_retention_run" => Rule::Changes,
        "end_session"
        | "end_own_sessions"
        | "list_members"
        | "list_tokens"
        | "create_token"
        | "end_token"
        | "get_settings"
        | "test_cache"
        | "list_contributors"
        | "register_contributor"
        | "challenge_contributor"
        | "prove_contributor"
        | "accept_contributor"
        | "suspend_contributor"
        | "resume_contributor"
        | "retire_contributor"
        | "revoke_contributor"
        | "measure_contributor" => Rule::Member,
        "invite_member"
        | "change_member"
        | "remove_member"
        | "measure_member"
        | "make_login_link"
        | "end_member_sessions"
        | "list_trust_rules"
        | "add_trust_rule"
        | "remove_trust_rule"
        | "change_settings"
        | "test_connection"
        | "get_rotation"
        | "begin_rotation"
        | "go_rotation"
        | "abandon_rotation"
        | "get_revocation"
        | "revoke_own_key"
        | "change_prices"
        | "list_alerts"
        | "create_alert"
        | "change_alert"
        | "remove_alert"
        | "test_alert"
        | "renew_alert_secret"
        | "change_retention_rules"
        | "make_retention_plan"
        | "preview_purge"
        | "purge_path"
        | "start_retention_run"
        | "stop_retention_run"
        | "undo_retention_run" => Rule::Owner,
        "list_approvals" | "get_approval" | "approve_upload" | "reject_upload" | "get_policy"
        | "change_policy" | "try_policy" | "list_skipped" | "plan_upload" | "list_uploads"
        | "get_upload" | "commit_upload" | "cancel_upload" => Rule::Uploads,
        "list_audit" | "list_cache_audit" | "check_audit" | "list_usage_clients" => Rule::Audit,
        _ => return None,
    })
}

struct Address {
    operation: String,
    method: Method,
    path: String,
}

/// Every address of the document, with something put in for its parameters.
fn addresses(hash: &str, check: &str) -> Vec<Address> {
    let document: Value = serde_json::from_str(&snowbank::api::document()).expect("JSON");
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let path = path
                .replace("{cache}", "main")
                .replace("{hash}", hash)
                .replace("{*path}", "bin")
                .replace("{name}", "nobody")
                .replace("{token}", check)
                .replace("{id}", "nothing")
                .replace("{pin}", "prod")
                .replace("{job}", "nothing")
                .replace("{plan}", "nothing")
                .replace("{run}", "nothing")
                .replace("{package}", "base")
                .replace("{check}", "content-encoding");
            // It asks for what is chosen.
            let path = if path.ends_with("/selection") {
                format!("{path}?p={hash}")
            } else if path.ends_with("/find") {
                format!("{path}?q=base")
            } else if path.ends_with("/mentions") {
                format!("{path}?of={hash}")
            } else if path.ends_with("/why") || path.ends_with("/diff") {
                format!("{path}?from={hash}&to={hash}")
            } else {
                path
            };
            assert!(
                !path.contains('{'),
                "the sweep does not know the parameters of {path}"
            );
            found.push(Address {
                operation: operation["operationId"].as_str().expect("an id").to_owned(),
                method: method.to_uppercase().parse().expect("a method"),
                path,
            });
        }
    }
    found
}

/// A token that ended a minute ago.
async fn expired(server: &TestServer) -> Actor {
    let credential = Credential::generate(Kind::Token).expect("random bytes");
    let record = TokenRecord {
        hash: credential.hash(),
        name: "old".into(),
        owner: Some("olga".into()),
        machine: None,
        rule: None,
        caches: None,
        verbs: Verb::ALL.to_vec(),
        created_at: now() - 120,
        expires_at: now() - 60,
    };
    let id = credential.id().parse().expect("a name");
    let ledger = server.server.site().access.ledger().clone();
    ledger
        .create(Scope::Server, &id, "test", record)
        .await
        .expect("written");
    Actor::with_token(&credential.reveal())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_address_asks_who_it_is() {
    let server = TestServer::start(
        |shelf| {
            shelf.put_of("base-1.0", archive(&[(b"bin", b"x")]));
        },
        |config| {
            config.caches[0].visibility = Visibility::Private;
            // It signs the path of a live check.
            give_key(config);
            let mut other = config.caches[0].clone();
            other.slug = "other".parse().expect("a slug");
            other.source = snowbank::config::Source::Folder {
                folder: config.data_dir.join("other"),
                prefix: String::new(),
            };
            config.caches.push(other);
        },
    )
    .await;
    let hash = server.shelf().make("base-1.0", &[], true).hash;
    let olga = owner(&server).await;
    let check = olga.post(&server, "/caches/main/live", json!({})).await;
    let check: Value = check.json().await.expect("a live check");
    let check = check["token"].as_str().expect("a token");
    let stranger = Actor::stranger();
    let wrong = Actor::with_token(
        &Credential::generate(Kind::Token)
            .expect("random bytes")
            .reveal(),
    );
    let nonsense = Actor {
        cookie: Some("a=b".into()),
        bearer: None,
    };
    let expired = expired(&server).await;
    // Knows the server and not the cache.
    let elsewhere = olga
        .invite(
            &server,
            "eve",
            json!([{"role": "contributor", "cache": "other"}]),
        )
        .await;
    let reads = olga.token(&server, json!(["main"]), &["read"]).await;
    let reads = Actor::with_token(reads["secret"].as_str().expect("a secret"));
    let not_this = olga.token(&server, json!(["other"]), &["read"]).await;
    let not_this = Actor::with_token(not_this["secret"].as_str().expect("a secret"));

    let pin = json!({"path": hash, "expected": 0});
    let pinned = olga
        .send(&server, Method::PUT, "/caches/main/pins/prod", Some(pin))
        .await;
    assert_eq!(
        pinned.status(),
        200,
        "{}",
        pinned.text().await.expect("text")
    );

    let mut swept = 0;
    for Address {
        operation,
        method,
        path,
    } in addresses(&hash, check)
    {
        let rule = rule(&operation)
            .unwrap_or_else(|| panic!("`{operation}` ({method} {path}) has no rule in the sweep"));
        let ask = async |actor: &Actor| {
            let body = (!method.is_safe()).then(|| json!({}));
            let answer = actor.send(&server, method.clone(), &path, body).await;
            let status = answer.status().as_u16();
            if status == 401 {
                assert!(
                    answer.headers().get("www-authenticate").is_none(),
                    "{path}: browsers would ask for a password"
                );
            }
            assert!(
                !(500..600).contains(&status),
                "{method} {path} answered {status}"
            );
            status
        };
        let what = format!("{method} {path} ({operation}, {rule:?})");
        for (who, actor) in [
            ("nobody", &stranger),
            ("a wrong token", &wrong),
            ("nonsense", &nonsense),
            ("an expired token", &expired),
        ] {
            let status = ask(actor).await;
            if rule == Rule::Open {
                assert!(!matches!(status, 401 | 403), "{what} as {who}: {status}");
            } else {
                // Nonsense in a cookie comes without our origin only where it is unsafe.
                assert!(status == 401, "{what} as {who}: {status}");
            }
        }
        let weak: &[(&str, &Actor)] = match rule {
            Rule::Open => &[],
            Rule::Reads => &[
                ("a member elsewhere", &elsewhere),
                ("a token for another cache", &not_this),
            ],
            Rule::Member => &[("a token", &reads)],
            Rule::Changes => &[
                ("a member elsewhere", &elsewhere),
                ("a token for another cache", &not_this),
                ("a reading token", &reads),
            ],
            Rule::Owner => &[("a contributor", &elsewhere), ("a token", &reads)],
            Rule::Uploads => &[
                ("a contributor elsewhere", &elsewhere),
                ("a reading token", &reads),
            ],
            Rule::Audit => &[("a contributor", &elsewhere), ("a reading token", &reads)],
        };
        for (who, actor) in weak {
            let status = ask(actor).await;
            assert_eq!(status, 403, "{what} as {who}");
        }
        // Signing out ends the session: somebody else's.
        let status = if operation.starts_with("end_") {
            let link = server.server.site().access.owner_link().expect("a link");
            ask(&Actor::by_link(&server, &link, Some("oscar")).await).await
        } else {
            ask(&olga).await
        };
        assert!(
            !matches!(status, 401 | 403),
            "{what} as the owner: {status}"
        );
        if rule == Rule::Reads {
            // Nobody built it here: it has no log. And nobody took it out.
            let read = match operation.as_str() {
                "get_log" | "gone_path" => 404,
                _ => 200,
            };
            assert_eq!(ask(&reads).await, read, "{what} with its token");
        }
        swept += 1;
    }
    assert!(swept > 25, "only {swept} addresses were swept");
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_pages_change_nothing() {
    let server = TestServer::start(|_| {}, |_| {}).await;
    let olga = owner(&server).await;
    for Address { method, path, .. } in addresses("00000000000000000000000000000000", "nothing") {
        if method.is_safe() {
            continue;
        }
        for origin in [Some("https://evil.example"), Some("null"), None] {
            let mut request = server
                .client
                .request(method.clone(), server.url(&format!("/api/v1{path}")))
                .header("cookie", olga.cookie.clone().expect("a cookie"))
                .json(&json!({}));
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status(), 403, "{method} {path} from {origin:?}");
            assert_eq!(
                answer.json::<Value>().await.expect("JSON")["code"],
                "foreign-origin"
            );
        }
    }
    assert_eq!(
        olga.get(&server, "/members").await.status(),
        200,
        "the session is still there"
    );
}
