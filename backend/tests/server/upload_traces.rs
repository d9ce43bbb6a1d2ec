//! Realisations, build traces and build logs: whose word is taken, and that the first stays.

use snowbank::bucket::Operation;
use snowbank::intake::UploadPolicy;
use snowbank_shared::api::policy::{PolicyRule, Ruling};
use snowbank_shared::realisation::Realisation;
use snowbank_shared::signature::{PublicKey, SecretKey, Signature};

use crate::upload_site::{Made, Site};

const ID: &str = "sha256:27656e21ce0f8a5f1a7fcfc5d0a8cf53abf74d7bee3cae411c1413a9aeaa4a84!out";
const OTHER: &str = "sha256:0c1813350576d8ebcc0f11a8bb1ff8ff42c0eb3ce9a56e530570f205b52fad31!out";

fn realisation_key(id: &str) -> String {
    format!("realisations/{id}.doi")
}

/// That the output of this id came to a path, and what it depends on.
fn realisation(id: &str, made: &Made, depends: Option<(&str, &Made)>) -> Realisation {
    let depends = depends.map_or(String::new(), |(id, made)| {
        format!("\"{id}\":\"{}\"", made.parts.store_path)
    });
    let text = format!(
        "{{\"dependentRealisations\":{{{depends}}},\"id\":\"{id}\",\"outPath\":\"{}\",\"signatures\":[]}}",
        made.parts.store_path
    );
    Realisation::parse(&realisation_key(id), text.as_bytes()).expect("a realisation")
}

/// Signed as Nix 2.8 does: with what it depends on.
fn signed(realisation: &Realisation, key: &SecretKey) -> Realisation {
    let texts = realisation.fingerprints();
    realisation
        .clone()
        .and_signature(key.sign(texts[0].as_bytes()))
}

/// The texts that signatures of a key are over.
fn covered(realisation: &Realisation, key: &PublicKey) -> Vec<String> {
    let by: Vec<&Signature> = realisation
        .signatures()
        .iter()
        .filter(|signature| signature.key_name() == key.name())
        .collect();
    let texts = realisation.fingerprints().into_iter();
    texts
        .filter(|text| {
            by.iter()
                .any(|signature| key.verifies(text.as_bytes(), signature.bytes()))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_realisation_by_a_key_in_scope_is_taken_countersigned_for_old_and_new_and_served() {
    let site = Site::start(|_| {}).await;
    let (alice, bob) = site.alice_and_bob().await;
    let own = site.server.server.site().caches[0]
        .signer()
        .expect("a key")
        .public_key();
    let leaf = Made::file("leaf-1", "leaf", &[], &alice.key);
    let top = Made::file("top-1", "top", &[], &alice.key);
    let said = realisation(ID, &top, Some((OTHER, &leaf)));
    let key = realisation_key(ID);
    let put = async |by, realisation: &Realisation| site.put(by, &key, realisation.to_json()).await;
    // Its path has to be there.
    let (status, text) = put(&alice, &signed(&said, &alice.key)).await;
    assert_eq!(
        (status, text.starts_with("path-missing: ")),
        (409, true),
        "{text}"
    );
    for made in [&leaf, &top] {
        assert_eq!(site.upload(&alice, made).await.0, 200);
    }
    // And somebody who may has to have said it.
    let stranger = SecretKey::generate("stranger-1", [9; 32]).expect("a key");
    let narrow = SecretKey::generate("narrow-1", [8; 32]).expect("a key");
    site.register("alice", &narrow.public_key(), |record| {
        record.scope.names = vec!["app-*".into()];
    })
    .await;
    let moved = signed(&realisation(ID, &leaf, None), &alice.key);
    let replayed = moved.signatures()[0].clone();
    for (what, sent, says) in [
        ("nobody", said.clone(), "secret-key-files"),
        (
            "a stranger",
            signed(&said, &stranger),
            "nobody registered the key stranger-1",
        ),
        (
            "another's",
            signed(&said, &bob.key),
            "key bob-1 belongs to bob",
        ),
        ("out of scope", signed(&said, &narrow), "may sign app-*"),
        (
            "of another output",
            said.clone().and_signature(replayed),
            "does not match",
        ),
    ] {
        let (status, text) = put(&alice, &sent).await;
        assert_eq!(status, 403, "{what}: {text}");
        assert!(
            text.contains(says) && text.lines().count() == 1,
            "{what}: {text}"
        );
        assert_eq!(
            site.server.get(&format!("/main/{key}")).await.status(),
            404,
            "{what}"
        );
    }
    for (what, text) in [
        ("no JSON", "<html>".to_owned()),
        (
            "of another id",
            signed(&realisation(OTHER, &top, None), &alice.key).to_json(),
        ),
    ] {
        let (status, text) = site.put(&alice, &key, text).await;
        assert_eq!(
            (status, text.starts_with("bad-realisation: ")),
            (400, true),
            "{what}: {text}"
        );
    }

    assert_eq!(
        put(&alice, &signed(&said, &alice.key)).await,
        (200, String::new())
    );
    let served = async || {
        let text = site.server.text(&format!("/main/{key}")).await;
        Realisation::parse(&key, text.as_bytes()).expect("a realisation")
    };
    let first = served().await;
    assert_eq!(
        covered(&first, &own),
        first.fingerprints(),
        "for 2.8 and for 2.34"
    );
    assert_eq!(
        covered(&first, &alice.key.public_key()),
        first.fingerprints()[..1]
    );
    // The same again changes nothing; another's signature is added, of either form.
    let writes = site.server.sent(Operation::Put);
    assert_eq!(put(&alice, &signed(&said, &alice.key)).await.0, 200);
    assert_eq!(site.server.sent(Operation::Put), writes);
    let newer = realisation(ID, &top, None);
    assert_eq!(
        put(&bob, &signed(&newer, &bob.key)).await,
        (200, String::new())
    );
    let second = served().await;
    assert_eq!(second.signatures().len(), first.signatures().len() + 1);
    assert_eq!(
        covered(&second, &bob.key.public_key()),
        second.fingerprints()[1..]
    );
    assert_eq!(second.fingerprints(), first.fingerprints());
    assert_eq!(put(&bob, &signed(&said, &stranger)).await.0, 200);
    assert_eq!(served().await, second, "a stranger's is not kept");
    // Another path for the same output: the first stays.
    let (status, text) = put(&bob, &signed(&realisation(ID, &leaf, None), &bob.key)).await;
    assert_eq!(
        (status, text.starts_with("conflict: ")),
        (409, true),
        "{text}"
    );
    assert_eq!(served().await, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn build_traces_of_newer_nix_are_taken_in_their_own_form() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    let own = site.server.server.site().caches[0]
        .signer()
        .expect("a key")
        .public_key();
    let made = Made::file("top-1", "top", &[], &alice.key);
    assert_eq!(site.upload(&alice, &made).await.0, 200);
    let key = "build-trace-v2/cqrj4qz1fb3881siab2vgjv73710xwc2-top-1.drv/out.doi";
    let text = format!(
        "{{\"outPath\":\"{}\",\"signatures\":[]}}",
        made.parts.store_path
    );
    let said = Realisation::parse(key, text.as_bytes()).expect("a build trace");
    let (status, text) = site.put(&alice, key, said.to_json()).await;
    assert_eq!(status, 403, "{text}");
    let sent = signed(&said, &alice.key).to_json();
    assert_eq!(site.put(&alice, key, sent).await, (200, String::new()));
    let text = site.server.text(&format!("/main/{key}")).await;
    let served = Realisation::parse(key, text.as_bytes()).expect("a build trace");
    assert_eq!(covered(&served, &own), served.fingerprints());
    assert_eq!(
        covered(&served, &alice.key.public_key()),
        served.fingerprints()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_put_by_who_uploaded_what_was_built_or_by_a_maintainer() {
    let site = Site::start(|_| {}).await;
    let (alice, bob) = site.alice_and_bob().await;
    let derivation = "0c0dixlhq54yv4v0kws1bsmbnrz7m6p7-tool-1.drv";
    let log = format!("log/{derivation}");
    let (status, text) = site.put(&alice, &log, "built\n").await;
    assert_eq!(
        (status, text.starts_with("not-your-log: ")),
        (403, true),
        "{text}"
    );
    assert!(text.contains("copy what it built first"), "{text}");
    // A name that begins alike is not what it built.
    let mut near = Made::file("tool-1-extra", "near", &[], &bob.key);
    near.parts.deriver = Some(
        "1c0dixlhq54yv4v0kws1bsmbnrz7m6p7-tool-1-extra.drv"
            .parse()
            .expect("a path"),
    );
    assert_eq!(site.upload(&bob, &near).await.0, 200);
    assert_eq!(site.put(&bob, &log, "mine\n").await.0, 403);
    let mut made = Made::file("tool-1-dev", "tool", &[], &alice.key);
    made.parts.deriver = Some(derivation.parse().expect("a path"));
    assert_eq!(site.upload(&alice, &made).await, (200, String::new()));
    let (status, text) = site.put(&bob, &log, "mine\n").await;
    assert_eq!(
        (status, text.contains("uploaded by somebody else")),
        (403, true),
        "{text}"
    );
    assert_eq!(site.server.get(&format!("/main/{log}")).await.status(), 404);
    assert_eq!(
        site.put(&alice, &log, "built\n").await,
        (200, String::new())
    );
    assert_eq!(site.server.text(&format!("/main/{log}")).await, "built\n");

    // Content-addressed and unsigned: the receipt says whose it is. And a Maintainer may.
    let other = "2c0dixlhq54yv4v0kws1bsmbnrz7m6p7-plain.drv";
    let mut plain = Made::addressed("plain", "plain");
    plain.parts.deriver = Some(other.parse().expect("a path"));
    assert_eq!(site.upload(&bob, &plain).await, (200, String::new()));
    let log = format!("log/{other}");
    assert_eq!(site.put(&alice, &log, "built\n").await.0, 403);
    assert_eq!(site.put(&bob, &log, "built\n").await, (200, String::new()));
    let orphan = "log/3c0dixlhq54yv4v0kws1bsmbnrz7m6p7-orphan.drv";
    let maintainer = site
        .owner
        .token(&site.server, serde_json::json!(null), &["push", "maintain"])
        .await;
    let maintainer = maintainer["secret"].as_str().expect("a token");
    assert_eq!(
        site.put_with(maintainer, orphan, "built\n", &[]).await.0,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_policy_wants_consent_a_contributor_sends_no_realisation() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    let top = Made::file("top-1", "top", &[], &alice.key);
    assert_eq!(site.upload(&alice, &top).await.0, 200);
    let rule = |name: &str, ruling| PolicyRule {
        names: vec![name.to_owned()],
        ruling,
        ..PolicyRule::default()
    };
    let sent = signed(&realisation(ID, &top, None), &alice.key).to_json();
    let key = realisation_key(ID);
    let reason = "Tops come from CI".to_owned();
    for (rule, says) in [
        (
            rule("other-*", Ruling::Approval { approvals: 1 }),
            "a Maintainer sends realisations",
        ),
        (
            rule("top-*", Ruling::Refuse { reason }),
            "Tops come from CI",
        ),
    ] {
        site.policy(UploadPolicy {
            rules: vec![rule],
            ..UploadPolicy::default()
        })
        .await;
        let (status, text) = site.put(&alice, &key, sent.clone()).await;
        assert_eq!(
            (status, text.starts_with("policy: ")),
            (403, true),
            "{text}"
        );
        assert!(text.contains(says), "{text}");
    }
    site.policy(UploadPolicy::default()).await;
    assert_eq!(site.put(&alice, &key, sent).await.0, 200);
}
