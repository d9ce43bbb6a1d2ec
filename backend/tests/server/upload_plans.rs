//! What a plan of an upload says before a byte is sent.

use reqwest::Method;
use serde_json::{Value, json};
use snowbank::config::{Upstream, UpstreamMode};
use snowbank::intake::UploadPolicy;
use snowbank_shared::api::policy::{PolicyRule, Ruling};
use snowbank_shared::hash::Sha256;
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StoreDir;

use crate::harness::TestServer;
use crate::people::Actor;
use crate::upload_sessions::{begun, ended, plan, planned, receipt, told};
use crate::upload_site::{Made, Site, Uploader};

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_will_happen_before_a_byte_is_sent() {
    let theirs = TestServer::start(|shelf| drop(shelf.put("theirs-1.0", &[])), |_| {}).await;
    let (url, key) = (theirs.url("/main"), theirs.shelf().key.public_key());
    let upstream = url.clone();
    let site = Site::start(|config| {
        config.outbound_allow = vec!["127.0.0.0/8".parse().expect("a block")];
        config.caches[0].max_nar_size = 100_000;
        config.caches[0].upstreams = vec![Upstream {
            url: upstream,
            keys: vec![key],
            mode: UpstreamMode::Check,
        }];
    })
    .await;
    let (alice, bob) = site.alice_and_bob().await;
    let leaf = Made::file("leaf-1", "leaf", &[], &alice.key);
    assert_eq!(site.upload(&alice, &leaf).await.0, 200);
    let new = Made::file("new-1", "new", &[&leaf], &alice.key);
    let other = Made::file("leaf-1", "another", &[], &alice.key);
    let nowhere = Made::file("nowhere-1", "nowhere", &[], &alice.key);
    let lacking = Made::file("lacking-1", "lacking", &[&nowhere], &alice.key);
    let of_bob = Made::file("of-bob-1", "x", &[], &bob.key);
    let huge = Made::file("huge-1", &"x".repeat(200_000), &[], &alice.key);
    let mut upstreams = Made::file("u", "u", &[], &alice.key);
    {
        let made = theirs.shelf().make("theirs-1.0", &[], true);
        let text = theirs.text(&format!("/main/{}.narinfo", made.hash)).await;
        let narinfo = NarInfo::parse(text.as_bytes(), &StoreDir::default()).expect("a narinfo");
        upstreams.parts.store_path = made.path;
        upstreams.parts.nar_hash = narinfo.nar_hash();
        upstreams.parts.nar_size = narinfo.nar_size();
    }
    let mut squatted = upstreams.clone();
    squatted.parts.nar_hash = Sha256::digest(b"something else");
    let fates = async |by: &Uploader, paths: &[&Made]| -> Vec<String> {
        let (status, answer) = plan(&site, by, false, paths).await;
        assert_eq!(
            (status, &answer["session"]),
            (200, &Value::Null),
            "{answer}"
        );
        let paths = answer["paths"].as_array().expect("paths").clone();
        let word = |path: &Value| path["fate"].as_str().expect("a fate").to_owned();
        paths.iter().map(word).collect()
    };
    let by_both = leaf.clone().signed(&bob.key);
    assert_eq!(
        fates(&alice, &[&leaf, &new, &lacking, &of_bob, &huge, &upstreams]).await,
        [
            "same",
            "new",
            "incomplete",
            "not-allowed",
            "not-allowed",
            "skip-upstream"
        ]
    );
    assert_eq!(
        fates(&alice, &[&other, &squatted]).await,
        ["conflict", "conflict"]
    );
    assert_eq!(fates(&bob, &[&by_both]).await, ["add-signature"]);
    let (_, answer) = plan(&site, &alice, false, &[&upstreams, &of_bob, &huge]).await;
    assert_eq!(answer["paths"][0]["upstream"], json!(url));
    assert_eq!(answer["paths"][0]["can_be_skipped"], true);
    for (at, says) in [(1, "bob-1 belongs to bob"), (2, "max_nar_size")] {
        let reason = answer["paths"][at]["reason"].as_str().expect("a reason");
        assert!(reason.contains(says), "{reason}");
    }
    assert_eq!(answer["to_send"], 0);
    // What cannot be a plan.
    for (what, body) in [
        ("nothing", json!({"from": "x", "paths": []})),
        (
            "twice",
            json!({"from": "x", "paths": [planned(&new), planned(&new)]}),
        ),
        ("a wrong key", {
            let mut path = planned(&new);
            path["nar_key"] = json!("nar/../x.nar");
            json!({"from": "x", "paths": [path]})
        }),
        ("another store", {
            let mut path = planned(&new);
            path["path"] = json!(format!("/gnu/store/{}", new.parts.store_path));
            json!({"from": "x", "paths": [path]})
        }),
    ] {
        let actor = Actor::with_token(&alice.token);
        let answer = actor
            .send(
                &site.server,
                Method::POST,
                "/caches/main/uploads",
                Some(body),
            )
            .await;
        let (status, answer) = told(answer).await;
        assert_eq!(
            (status, &answer["code"]),
            (422, &json!("bad-plan")),
            "{what}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quota_is_held_against_the_sum_with_both_numbers() {
    let site = Site::start(|config| config.caches[0].max_bytes = Some(1_000)).await;
    let alice = site.contributor("alice").await;
    let mut state = 3_u64;
    let noise: String = (0..4_000)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'!' + (state >> 33) as u8 % 90)
        })
        .collect();
    let made = Made::file("large-1", &noise, &[], &alice.key);
    let size = made.stored.len();
    assert!(size > 1_000, "{size}");
    let (status, answer) = plan(&site, &alice, false, &[&made]).await;
    assert_eq!(
        (status, &answer["to_send"], &answer["left"]),
        (200, &json!(size), &json!(1_000))
    );
    let (status, answer) = plan(&site, &alice, true, &[&made]).await;
    assert_eq!(
        (status, answer["code"].as_str()),
        (422, Some("quota")),
        "{answer}"
    );
    let detail = answer["detail"].as_str().expect("words");
    assert!(
        detail.contains(&format!("need {size} bytes, 1000 left"))
            && detail.contains("Nothing was sent"),
        "{detail}"
    );
    assert!(site.objects().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_will_wait_and_the_session_that_it_does() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    let rule = |name: &str, ruling| PolicyRule {
        names: vec![name.to_owned()],
        ruling,
        ..PolicyRule::default()
    };
    let reason = "Systems come from CI".to_owned();
    site.policy(UploadPolicy {
        rules: vec![
            rule("kernel-*", Ruling::Refuse { reason }),
            rule("nixos-system-*", Ruling::Approval { approvals: 1 }),
        ],
        ..UploadPolicy::default()
    })
    .await;
    let lib = Made::file("lib-1", "lib", &[], &alice.key);
    let system = Made::file("nixos-system-1", "system", &[&lib], &alice.key);
    let kernel = Made::file("kernel-1", "kernel", &[], &alice.key);
    let (_, answer) = plan(&site, &alice, false, &[&lib, &system, &kernel]).await;
    let fates: Vec<&Value> = (0..3).map(|at| &answer["paths"][at]["fate"]).collect();
    assert_eq!(fates, ["new", "new", "not-allowed"], "{answer}");
    assert_eq!(answer["paths"][0]["reason"], Value::Null);
    let sentence =
        "Paths named `nixos-system-*` need 1 approval by a Maintainer who is not the uploader";
    assert_eq!(
        answer["paths"][1]["reason"],
        format!("It will wait: {sentence}")
    );
    // What is refused is refused in the same words when it comes.
    let refused = answer["paths"][2]["reason"].as_str().expect("a reason");
    let (status, line) = site.upload(&alice, &kernel).await;
    assert_eq!(status, 403);
    assert!(line.contains(refused), "{line} / {refused}");

    let id = begun(&site, &alice, &[&lib, &system]).await;
    for made in [&lib, &system] {
        let url = format!("{}?upload={id}", made.url());
        assert_eq!(site.put(&alice, &url, made.stored.clone()).await.0, 200);
        let key = format!("{}?upload={id}", made.key());
        assert_eq!(site.put(&alice, &key, made.text()).await.0, 200);
    }
    let report = receipt(&site, &alice, &id).await;
    assert_eq!(report["paths"][0]["outcome"], "published", "{report}");
    let path = &report["paths"][1];
    assert_eq!(path["outcome"], "waiting", "{report}");
    assert_eq!(
        path["reason"],
        "It waits for 1 approval by a Maintainer who is not the uploader."
    );
    let (session, bytes) = (&report["session"], &report["session"]["bytes"]);
    assert_eq!(
        (&session["waiting"], &session["is_over"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(&session["arrived"], bytes);
    let approval = path["approval"].as_str().expect("an id");
    let approval = format!("/caches/main/approvals/{approval}");
    let row = site.owner.json(&site.server, &approval).await;
    // It ends while something waits, and says later what came of that.
    let commit = format!("/caches/main/uploads/{id}/commit");
    assert_eq!(
        ended(&site, &alice, Method::POST, &commit).await.1["session"]["waiting"],
        1
    );
    let radius = "/members/alice/blast-radius";
    let radius = site.owner.json(&site.server, radius).await;
    assert_eq!(radius["waiting_uploads"], 1, "{radius}");
    let words = json!({"revision": row["revision"], "reason": "Not this one."});
    let answer = site
        .owner
        .post(&site.server, &format!("{approval}/reject"), words)
        .await;
    assert_eq!(answer.status(), 200);
    let report = receipt(&site, &alice, &id).await;
    assert_eq!(report["paths"][1]["outcome"], "refused", "{report}");
    assert_eq!(
        report["paths"][1]["reason"],
        "olga rejected it: Not this one"
    );
    assert_eq!(report["session"]["refused"], 1);
}
