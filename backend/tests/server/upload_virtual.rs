//! Virtual upstreams: what they have is not uploaded, nor kept, nor signed here; and whose signatures
//! clients trust.

use reqwest::Method;
use serde_json::json;
use snowbank::config::{Config, Upstream, UpstreamMode};
use snowbank::intake::{SigningMode, UploadPolicy};
use snowbank::site::elsewhere;
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StoreDir;

use crate::harness::{Shelved, TestServer, header};
use crate::people::Actor;
use crate::upload_site::{Made, Site, Uploader};

/// An upstream with some paths.
async fn upstream() -> (TestServer, Shelved) {
    let mut theirs = None;
    let server =
        TestServer::start(|shelf| theirs = Some(shelf.put("theirs-1.0", &[])), |_| {}).await;
    (server, theirs.expect("a path"))
}

/// Names it as the only upstream.
fn beside(theirs: &TestServer, mode: UpstreamMode) -> impl FnOnce(&mut Config) + use<> {
    let upstream = Upstream {
        url: theirs.url("/main"),
        keys: vec![theirs.shelf().key.public_key()],
        mode,
    };
    move |config| {
        config.outbound_allow = vec!["127.0.0.0/8".parse().expect("a block")];
        config.caches[0].upstreams = vec![upstream];
    }
}

async fn ask(site: &Site, method: Method, path: &str, token: &str) -> reqwest::Response {
    let url = site.server.url(path);
    let asked = site.server.client.request(method, url);
    asked
        .basic_auth("nix", Some(token))
        .send()
        .await
        .expect("an answer")
}

/// A path that refers to one which lies elsewhere.
fn referring(name: &str, to: &Shelved, by: &Uploader) -> Made {
    let mut made = Made::file(name, &to.path.to_string(), &[], &by.key).unsigned();
    made.parts.references = vec![to.path.clone()];
    made.signed(&by.key)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_virtual_upstream_has_is_told_to_uploaders_alone_and_kept_by_nobody() {
    let (theirs, path) = upstream().await;
    let site = Site::start(beside(&theirs, UpstreamMode::Virtual)).await;
    let alice = site.contributor("alice").await;
    let key = format!("/main/{}.narinfo", path.hash);

    let told = ask(&site, Method::GET, &key, &alice.token).await;
    assert_eq!(told.status(), 200);
    assert_eq!(header(&told, "content-type"), "text/x-nix-narinfo");
    assert_eq!(header(&told, "cache-control"), "private, no-store");
    let text = told.text().await.expect("text");
    // Its URL leads to where it is, and its signature is still the upstream's.
    let url = format!("URL: {}/{}\n", theirs.url("/main"), path.url);
    assert!(text.contains(&url), "{text}");
    let relative = text.replace(&url, &format!("URL: {}\n", path.url));
    assert_eq!(relative, path.narinfo);
    assert_eq!(
        ask(&site, Method::HEAD, &key, &alice.token).await.status(),
        200
    );
    // Who only reads is told nothing, and neither is a stranger or who may not.
    let reader = site.owner.token(&site.server, json!(null), &["read"]).await;
    let reader = reader["secret"].as_str().expect("a token");
    assert_eq!(ask(&site, Method::GET, &key, reader).await.status(), 404);
    assert_eq!(
        ask(&site, Method::GET, &key, "snb_nonsense").await.status(),
        404
    );
    assert_eq!(site.server.get(&key).await.status(), 404);
    // What neither has is absent for uploaders too.
    let nobodys = format!("/main/{}.narinfo", "0".repeat(32));
    assert_eq!(
        ask(&site, Method::GET, &nobodys, &alice.token)
            .await
            .status(),
        404
    );
    assert!(site.objects().is_empty(), "{:?}", site.objects());

    // Sent all the same, by a client that did not ask: taken for done, and not kept.
    let same = {
        let mut same = Made::file("x", "x", &[], &alice.key).unsigned();
        let narinfo = NarInfo::parse(path.narinfo.as_bytes(), &StoreDir::default()).expect("one");
        same.parts.store_path = path.path.clone();
        assert_ne!(narinfo.nar_hash(), same.parts.nar_hash);
        same.signed(&alice.key)
    };
    assert_eq!(
        site.put(&alice, &same.url(), same.stored.clone()).await.0,
        200
    );
    let (status, text) = site.put(&alice, &same.key(), same.text()).await;
    assert_eq!(
        (status, text.starts_with("upstream-conflict: ")),
        (409, true),
        "{text}"
    );

    // What refers to it is taken, and Health says where the reference is.
    let own = referring("own-1.0", &path, &alice);
    assert_eq!(site.upload(&alice, &own).await, (200, String::new()));
    let health = site
        .server
        .json("/api/v1/caches/main/health?check=reference-missing")
        .await;
    let reason = health["items"][0]["reason"].as_str().expect("a finding");
    assert!(
        reason.contains(&format!("{} is on {}", path.path, theirs.url("/main"))),
        "{reason}"
    );
    // Counted, what nobody has is told apart.
    assert_eq!(health["missing"], json!(null), "nobody was asked yet");
    let shelf = site.server.shelf();
    let nowhere = shelf.make("nowhere-1.0", &[], true);
    let lost = shelf.put("lost-1.0", &[&nowhere]);
    let sync = site.server.server.sync("main").expect("main");
    sync.sweep_now().await.expect("a sweep");
    let main = site.server.server.site().cache("main").expect("main");
    elsewhere::look(main).await;
    let health = site.server.json("/api/v1/caches/main/health").await;
    let missing = &health["missing"];
    assert_eq!(
        (
            &missing["upstream"],
            &missing["nowhere"],
            &missing["unknown"]
        ),
        (&json!(1), &json!(1), &json!(0)),
        "{health}"
    );
    std::fs::remove_file(shelf.folder.join(format!("{}.narinfo", lost.hash))).expect("removed");
    sync.sweep_now().await.expect("a sweep");
    // Clients are told of both.
    let conf = site.server.text("/c/main/nix.conf").await;
    assert!(conf.contains(&theirs.url("/main")), "{conf}");
    assert!(
        conf.contains(&theirs.shelf().key.public_key().to_string()),
        "{conf}"
    );
    let module = site.server.text("/c/main/module.nix").await;
    assert!(module.contains(&theirs.url("/main")), "{module}");
    let cache = site.server.json("/api/v1/caches/main").await;
    assert_eq!(cache["upstreams"][0]["mode"], "virtual");

    // And it is noted who skipped what: once, however often it was asked for.
    let actor = Actor::with_token(&alice.token);
    let skipped = loop {
        let answer = actor
            .send(&site.server, Method::GET, "/caches/main/skipped", None)
            .await;
        let page: serde_json::Value = answer.json().await.expect("JSON");
        if page["total"] != 0 {
            break page;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    let day = &skipped["items"][0];
    assert_eq!(
        (&day["by"], &day["paths"]),
        (&json!("member:alice"), &json!(1))
    );
    assert_eq!(day["first"][0]["path"], path.path.to_string());
    assert_eq!(day["first"][0]["upstream"], theirs.url("/main"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_very_same_as_on_a_virtual_upstream_is_taken_for_done_and_not_kept() {
    // An upstream that holds what can be uploaded.
    let source = Site::start(|_| {}).await;
    let carol = source.contributor("carol").await;
    let made = Made::file("shared-1.0", "shared", &[], &carol.key);
    assert_eq!(source.upload(&carol, &made).await.0, 200);
    let signer = source.server.server.site().caches[0]
        .signer()
        .expect("a key")
        .public_key();
    let upstream = Upstream {
        url: source.server.url("/main"),
        keys: vec![signer],
        mode: UpstreamMode::Virtual,
    };
    let site = Site::start(|config| {
        config.outbound_allow = vec!["127.0.0.0/8".parse().expect("a block")];
        config.caches[0].upstreams = vec![upstream];
    })
    .await;
    let alice = site.contributor("alice").await;
    let again = made.clone().unsigned().signed(&alice.key);
    assert_eq!(site.upload(&alice, &again).await, (200, String::new()));
    assert!(site.served(&again).await.is_none(), "it is not kept");
    assert_eq!(
        site.objects(),
        [again.url()],
        "but for its archive, until it is swept up"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn references_may_lie_on_an_upstream_that_the_policy_names_and_signed_them() {
    let (theirs, path) = upstream().await;
    let site = Site::start(beside(&theirs, UpstreamMode::Check)).await;
    let alice = site.contributor("alice").await;
    let made = referring("own-1.0", &path, &alice);
    let (status, text) = site.upload(&alice, &made).await;
    assert_eq!(
        (status, text.starts_with("reference-missing: ")),
        (409, true),
        "{text}"
    );
    site.policy(UploadPolicy {
        reference_upstreams: vec![theirs.url("/main")],
        ..UploadPolicy::default()
    })
    .await;
    // Of the same hash and another name: not what the upstream signed.
    let mut renamed = Made::file("odd-1.0", "x", &[], &alice.key).unsigned();
    renamed.parts.references = vec![
        format!("{}-another-1.0", path.hash)
            .parse()
            .expect("a path"),
    ];
    let renamed = renamed.signed(&alice.key);
    let (status, text) = site.upload(&alice, &renamed).await;
    assert_eq!(
        (status, text.starts_with("reference-missing: ")),
        (409, true),
        "{text}"
    );
    assert_eq!(
        site.put(&alice, &made.key(), made.text()).await,
        (200, String::new())
    );
    // An upstream that does not answer leaves it open: it waits, and nothing is published.
    let dead = Site::start(|config| {
        config.outbound_allow = vec!["127.0.0.0/8".parse().expect("a block")];
        config.caches[0].upstreams = vec![Upstream {
            url: "http://127.0.0.1:9/main".to_owned(),
            keys: vec![theirs.shelf().key.public_key()],
            mode: UpstreamMode::Virtual,
        }];
    })
    .await;
    let bob = dead.contributor("bob").await;
    let made = referring("own-1.0", &path, &bob);
    let (status, text) = dead.upload(&bob, &made).await;
    assert_eq!(
        (
            status,
            text.starts_with("waiting: ") && text.contains("does not answer")
        ),
        (200, true),
        "{text}"
    );
    assert!(dead.served(&made).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn in_pass_through_the_cache_adds_nothing_and_clients_trust_the_contributors() {
    let site = Site::start(|_| {}).await;
    let (alice, bob) = site.alice_and_bob().await;
    site.policy(UploadPolicy {
        mode: SigningMode::PassThrough,
        ..UploadPolicy::default()
    })
    .await;
    let made = Made::file("x-1", "x", &[], &alice.key);
    assert_eq!(site.upload(&alice, &made).await, (200, String::new()));
    let served = site.served(&made).await.expect("published");
    let lines: Vec<&str> = served.signatures().collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("alice-1:"), "{lines:?}");
    // Files for machines and the API follow the policy within moments.
    let own = site.server.server.site().caches[0]
        .signer()
        .expect("a key")
        .public_key();
    let configured = site.server.shelf().key.public_key();
    let expected = [
        alice.key.public_key(),
        bob.key.public_key(),
        own,
        configured,
    ]
    .map(|key| key.to_string());
    let keys = loop {
        let text = site.server.text("/c/main/keys.txt").await;
        let keys: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
        if keys.len() == expected.len() {
            break keys;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(keys, expected);
    let conf = site.server.text("/c/main/nix.conf").await;
    assert!(expected.iter().all(|key| conf.contains(key)), "{conf}");
    let cache = site.server.json("/api/v1/caches/main").await;
    assert_eq!(cache["signing"], "pass-through");
    assert_eq!(cache["keys"][0]["name"], "alice-1");
    assert_eq!(cache["keys"][0]["paths"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_that_should_sign_and_has_no_key_says_so() {
    let site = Site::start(|config| config.caches[0].make_key = false).await;
    let alice = site.contributor("alice").await;
    let made = Made::file("x-1", "x", &[], &alice.key);
    let (status, text) = site.upload(&alice, &made).await;
    assert_eq!(
        (status, text.starts_with("no-signing-key: ")),
        (403, true),
        "{text}"
    );
    assert!(site.served(&made).await.is_none());
    assert_eq!(
        site.server.json("/api/v1/caches/main").await["signing"],
        "no-key"
    );
    site.policy(UploadPolicy {
        mode: SigningMode::PassThrough,
        ..UploadPolicy::default()
    })
    .await;
    assert_eq!(
        site.put(&alice, &made.key(), made.text()).await,
        (200, String::new())
    );
    assert_eq!(
        site.served(&made).await.expect("there").signatures().len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_into_the_bucket_never_gets_the_caches_signature_by_itself() {
    let site = Site::start(|_| {}).await;
    let (alice, bob) = site.alice_and_bob().await;
    let own = site.server.server.site().caches[0]
        .signer()
        .expect("a key")
        .name()
        .to_owned();
    let made = Made::file("foreign-1", "foreign", &[], &alice.key);
    let shelf = site.server.shelf();
    shelf.file(&made.url(), &made.stored);
    shelf.file(&made.key(), made.clone().unsigned().text().as_bytes());
    let sync = site.server.server.sync("main").expect("main");
    sync.sweep_now().await.expect("a sweep");
    let signed_by = async || {
        let served = site.served(&made).await.expect("served as it lies");
        let names = served
            .signatures()
            .map(|text| text.split(':').next().unwrap_or("").to_owned());
        names.collect::<Vec<String>>()
    };
    assert!(signed_by().await.is_empty());
    // Contributors may say that it is right; only what verifies is added, at most 16 in all, and what
    // the cache thinks of it does not follow from that.
    assert_eq!(site.put(&alice, &made.key(), made.text()).await.0, 200);
    let mut more = made.clone();
    for number in 0..16 {
        let key = snowbank_shared::signature::SecretKey::generate(
            &format!("many-{number}"),
            [number + 50; 32],
        );
        let key = key.expect("a key");
        site.register("bob", &key.public_key(), |_| {}).await;
        more = more.signed(&key);
    }
    let (status, text) = site.put(&bob, &made.key(), more.text()).await;
    assert_eq!(
        (status, text.starts_with("too-many-signatures: ")),
        (422, true),
        "{text}"
    );
    more.parts.signatures.pop();
    let stranger = snowbank_shared::signature::SecretKey::generate("stranger-1", [9; 32]);
    let more = more.signed(&stranger.expect("a key"));
    assert_eq!(
        site.put(&bob, &made.key(), more.text()).await,
        (200, String::new())
    );
    let names = signed_by().await;
    assert_eq!(names.len(), 16, "{names:?}");
    assert!(
        !names.contains(&own) && !names.contains(&"stranger-1".to_owned()),
        "{names:?}"
    );
    sync.sweep_now().await.expect("a sweep");
    assert_eq!(signed_by().await, names);
}
