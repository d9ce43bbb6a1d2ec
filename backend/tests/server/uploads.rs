//! Uploads as Nix sends them: what is published, what is refused, and that nothing is left of that.

use serde_json::json;
use snowbank::auth::records::{ContributorRecord, now};
use snowbank::config::{Upstream, UpstreamMode};
use snowbank::intake::UploadPolicy;
use snowbank::ledger::{RecordId, Scope};
use snowbank_shared::hash::Sha256;
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::SecretKey;

use crate::harness::TestServer;
use crate::upload_site::{Made, Site};

fn names(narinfo: &NarInfo) -> Vec<String> {
    let name = |text: &str| text.split(':').next().expect("a name").to_owned();
    narinfo.signatures().map(name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_good_is_published_countersigned_and_shown_at_once() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    let leaf = Made::file("leaf-1.0", "leaf", &[], &alice.key);
    let top = Made::file(
        "top-1.0",
        &format!("{}", leaf.parts.store_path),
        &[&leaf],
        &alice.key,
    );
    assert!(site.served(&leaf).await.is_none());
    let lists = || site.server.sent(snowbank::bucket::Operation::List);
    let before = lists();
    for made in [&leaf, &top] {
        assert_eq!(site.upload(&alice, made).await, (200, String::new()));
        // b3: the next request sees it, and nothing was listed for that.
        let served = site.served(made).await.expect("published");
        let cache = &site.server.server.site().caches[0];
        let own = cache.signer().expect("a key").public_key();
        assert_eq!(names(&served).len(), 2, "{}", served.text());
        for signature in served.signatures() {
            let signature: snowbank_shared::signature::Signature = signature.parse().expect("one");
            let key = if signature.key_name() == own.name() {
                own.clone()
            } else {
                alice.key.public_key()
            };
            assert!(key.verifies(served.fingerprint().as_bytes(), signature.bytes()));
        }
        let nar = site.server.get(&format!("/main/{}", made.url())).await;
        assert_eq!(nar.bytes().await.expect("bytes"), made.stored);
    }
    assert_eq!(lists(), before);
    let detail = site
        .server
        .json(&format!(
            "/api/v1/caches/main/paths/{}",
            top.parts.store_path.hash()
        ))
        .await;
    assert_eq!(detail["content"], "verified");
    assert_eq!(detail["signature"], "valid");
    assert_eq!(detail["closure_paths"], 2);
    let listing = site
        .server
        .json(&format!("/main/{}.ls", leaf.parts.store_path.hash()))
        .await;
    assert_eq!(listing["root"]["type"], "regular");
    let receipts = site
        .server
        .server
        .site()
        .ledger
        .receipts("main")
        .await
        .expect("receipts");
    assert_eq!(receipts.receipts.len(), 2);
    assert_eq!(receipts.receipts[0].by, "member:alice");
    assert_eq!(
        receipts.receipts[0].key,
        Some(alice.key.public_key().to_string())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_again_adds_good_signatures_and_changes_no_other_byte() {
    let site = Site::start(|_| {}).await;
    let (alice, bob) = site.alice_and_bob().await;
    let made = Made::file("x-1", "x", &[], &alice.key);
    assert_eq!(site.upload(&alice, &made).await.0, 200);
    let before = site.served(&made).await.expect("published");
    assert_eq!(site.put(&alice, &made.key(), made.text()).await.0, 200);
    assert_eq!(
        site.served(&made).await.expect("there").text(),
        before.text(),
        "the same again"
    );
    // With fewer signatures, as a client that raced another: nothing is lost.
    assert_eq!(
        site.put(&alice, &made.key(), made.clone().unsigned().text())
            .await
            .0,
        200
    );
    assert_eq!(
        site.served(&made).await.expect("there").text(),
        before.text()
    );
    let stranger = SecretKey::generate("stranger-1", [9; 32]).expect("a key");
    let more = made.clone().signed(&bob.key).signed(&stranger);
    assert_eq!(site.put(&bob, &made.key(), more.text()).await.0, 200);
    let after = site.served(&made).await.expect("there");
    assert_eq!(names(&after).len(), 3, "{}", after.text());
    assert!(names(&after).contains(&"bob-1".to_owned()));
    let without = |text: &str| {
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with("Sig: bob"))
            .collect();
        lines.join("\n")
    };
    assert_eq!(without(after.text()), without(before.text()));
    // Another content under the same name is a conflict, and the first stays.
    let other = Made::file("x-1", "another", &[], &bob.key);
    assert_eq!(
        site.put(&bob, &other.url(), other.stored.clone()).await.0,
        200
    );
    let (status, text) = site.put(&bob, &other.key(), other.text()).await;
    assert_eq!(status, 409, "{text}");
    assert!(text.starts_with("conflict: "), "{text}");
    assert_eq!(
        site.served(&made).await.expect("there").text(),
        after.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_told_why_and_nothing_can_be_read() {
    let site = Site::start(|_| {}).await;
    let (alice, bob) = site.alice_and_bob().await;
    let sign = |key: &SecretKey| Made::file("secret-1", "x", &[], key);
    let key = |name: &str, seed: u8| SecretKey::generate(name, [seed; 32]).expect("a key");
    let good = sign(&alice.key);
    let url = site.server.url(&format!("/main/{}", good.url()));
    let nobody = site
        .server
        .client
        .put(&url)
        .body(good.stored.clone())
        .send()
        .await
        .expect("an answer");
    assert_eq!(nobody.status(), 401);
    assert!(nobody.headers().contains_key("www-authenticate"));
    assert_eq!(
        site.put_with("snb_nonsense", &good.url(), good.stored.clone(), &[])
            .await
            .0,
        401
    );
    let reader = site.owner.token(&site.server, json!(null), &["read"]).await;
    let reader = reader["secret"].as_str().expect("a token");
    assert_eq!(
        site.put_with(reader, &good.url(), good.stored.clone(), &[])
            .await
            .0,
        403
    );
    assert!(site.objects().is_empty(), "{:?}", site.objects());

    assert_eq!(
        site.put(&alice, &good.url(), good.stored.clone()).await.0,
        200
    );
    let unknown = sign(&key("carl-1", 3));
    let forged = sign(&key("alice-1", 4));
    let other_path = {
        let mut other = good.clone();
        other.parts.signatures = Made::file("other-1", "y", &[], &alice.key).parts.signatures;
        other
    };
    let foreign = sign(&bob.key);
    for (what, made, says) in [
        ("no signature", good.clone().unsigned(), "has no signature"),
        ("nobody's key", unknown, "nobody registered the key carl-1"),
        ("a forged key", forged, "does not match"),
        ("of another path", other_path, "does not match"),
        ("another person's", foreign, "key bob-1 belongs to bob"),
    ] {
        let (status, text) = site.put(&alice, &made.key(), made.text()).await;
        assert_eq!(status, 403, "{what}: {text}");
        assert!(text.contains(says), "{what}: {text}");
        assert!(
            text.len() < 1024 && text.ends_with('\n') && text.lines().count() == 1,
            "{text:?}"
        );
        assert!(site.served(&good).await.is_none(), "{what}");
    }
    for (name, adjust, says) in [
        (
            "old-1",
            (|r: &mut ContributorRecord| r.expires_at = now() - 1) as fn(&mut ContributorRecord),
            "expired on",
        ),
        ("held-1", |r| r.suspended = true, "is suspended"),
        ("gone-1", |r| r.retired_at = Some(1), "was retired"),
        ("waits-1", |r| r.accepted_by = None, "waits"),
        (
            "narrow-1",
            |r| r.scope.names = vec!["app-*".into()],
            "may sign app-*",
        ),
        (
            "there-1",
            |r| r.scope.caches = Some(vec!["other".into()]),
            "is not for the cache main",
        ),
        (
            "small-1",
            |r| r.scope.max_nar_size = Some(10),
            "10 bytes at most",
        ),
    ] {
        let secret = key(name, name.len() as u8 + name.as_bytes()[0]);
        site.register("alice", &secret.public_key(), adjust).await;
        let made = sign(&secret);
        let (status, text) = site.put(&alice, &made.key(), made.text()).await;
        assert_eq!(status, 403, "{name}: {text}");
        assert!(text.contains(says), "{name}: {text}");
    }
    // Revoked: the key is buried, its name is not free.
    let revoked = key("ex-1", 77);
    site.register("alice", &revoked.public_key(), |_| {}).await;
    let ledger = site.server.server.site().access.ledger();
    let id = RecordId::hash_of(revoked.public_key().bytes());
    ledger
        .tombstone(
            snowbank::ledger::kind::CONTRIBUTORS,
            Scope::Server,
            &id,
            "olga",
            "lost",
        )
        .await
        .expect("buried");
    let made = sign(&revoked);
    let (status, text) = site.put(&alice, &made.key(), made.text()).await;
    assert_eq!(
        (status, text.contains("was revoked")),
        (403, true),
        "{text}"
    );
    assert!(site.served(&good).await.is_none());
    // And the archive alone is nobody's to read.
    assert_eq!(
        site.server
            .get(&format!("/main/{}", good.url()))
            .await
            .status(),
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_without_its_narinfo_is_its_uploaders_secret() {
    let site = Site::start(|_| {}).await;
    let (alice, bob) = site.alice_and_bob().await;
    let made = Made::file("x-1", "x", &[], &alice.key);
    assert_eq!(
        site.put(&alice, &made.url(), made.stored.clone()).await.0,
        200
    );
    let head = async |token: &str| {
        let url = site.server.url(&format!("/main/{}", made.url()));
        let asked = site.server.client.head(url).basic_auth("nix", Some(token));
        asked.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(head(&alice.token).await, 200);
    assert_eq!(head(&bob.token).await, 404);
    assert_eq!(head("snb_nonsense").await, 404);
    // What is not what its name says leaves nothing.
    let other = Made::file("y-1", "y", &[], &alice.key);
    let (status, text) = site.put(&alice, &other.url(), made.stored.clone()).await;
    assert_eq!(
        (status, text.starts_with("file-hash-mismatch")),
        (422, true),
        "{text}"
    );
    assert_eq!(site.objects(), [made.url()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_archive_goes_up_in_parts_and_a_broken_one_leaves_nothing() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    // Not to be packed smaller.
    let mut state = 1_u64;
    let noise: String = (0..20_000_000)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'!' + (state >> 33) as u8 % 90)
        })
        .collect();
    let made = Made::file("large-1", &noise, &[], &alice.key);
    assert!(made.stored.len() > 9 << 20, "{}", made.stored.len());
    let mut broken = made.stored.clone();
    let at = broken.len() - 100;
    broken[at] ^= 1;
    let (status, text) = site.put(&alice, &made.url(), broken).await;
    assert_eq!(status, 422, "{text}");
    assert!(site.objects().is_empty(), "{:?}", site.objects());
    assert_eq!(site.upload(&alice, &made).await, (200, String::new()));
    let nar = site.server.get(&format!("/main/{}", made.url())).await;
    assert_eq!(
        Sha256::digest(&nar.bytes().await.expect("bytes")),
        Sha256::digest(&made.stored)
    );
    // With the memory of it gone, the bucket's bytes are looked at again.
    let twin = {
        let mut twin = Made::file("twin-1", &noise, &[], &alice.key).unsigned();
        twin.parts.url = made.url();
        twin.signed(&alice.key)
    };
    assert_eq!(
        site.put(&alice, &twin.key(), twin.text()).await,
        (200, String::new())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_out_does_not_come_back_by_the_caches_own_signature() {
    let site = Site::start(|_| {}).await;
    let (alice, bob) = site.alice_and_bob().await;
    let made = Made::file("x-1", "x", &[], &alice.key);
    assert_eq!(site.upload(&alice, &made).await.0, 200);
    let published = site.served(&made).await.expect("published");
    let own = site.server.server.site().caches[0]
        .signer()
        .expect("a key")
        .name()
        .to_owned();
    let only_own: String = published
        .text()
        .lines()
        .filter(|line| !line.starts_with("Sig: alice"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(only_own.contains(&own));
    // An owner takes it away; the archive stays for its time.
    let folder = site.server.shelf().folder;
    std::fs::remove_file(folder.join(made.key())).expect("removed");
    let sync = site.server.server.sync("main").expect("main");
    sync.sweep_now().await.expect("a sweep");
    assert!(site.served(&made).await.is_none());
    let (status, text) = site.put(&bob, &made.key(), only_own.clone()).await;
    assert_eq!(
        (status, text.contains("sign it with yours")),
        (403, true),
        "{text}"
    );
    let (status, text) = site.put(&bob, &made.key(), published.text()).await;
    assert_eq!(status, 403, "another's old signature: {text}");
    // Without the archive nothing is published, whatever was known of it once.
    std::fs::remove_file(folder.join(made.url())).expect("removed");
    let (status, text) = site.put(&alice, &made.key(), made.text()).await;
    assert_eq!(
        (status, text.starts_with("nar-missing")),
        (409, true),
        "{text}"
    );
    assert_eq!(site.upload(&alice, &made).await, (200, String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_upstream_signed_cannot_be_replaced() {
    let theirs = TestServer::start(|shelf| drop(shelf.put("theirs-1.0", &[])), |_| {}).await;
    let url = theirs.url("/main");
    let key = theirs.shelf().key.public_key();
    let site = Site::start(|config| {
        config.outbound_allow = vec!["127.0.0.0/8".parse().expect("a block")];
        config.caches[0].upstreams = vec![Upstream {
            url,
            keys: vec![key],
            mode: UpstreamMode::Check,
        }];
    })
    .await;
    let alice = site.contributor("alice").await;
    let mut squatted = Made::file("x", "bad", &[], &alice.key).unsigned();
    squatted.parts.store_path = theirs.shelf().make("theirs-1.0", &[], true).path;
    let squatted = squatted.signed(&alice.key);
    assert_eq!(
        site.put(&alice, &squatted.url(), squatted.stored.clone())
            .await
            .0,
        200
    );
    let (status, text) = site.put(&alice, &squatted.key(), squatted.text()).await;
    assert_eq!(
        (status, text.starts_with("upstream-conflict: ")),
        (409, true),
        "{text}"
    );
    assert!(site.served(&squatted).await.is_none());
    let own = Made::file("own-1", "own", &[], &alice.key);
    assert_eq!(
        site.upload(&alice, &own).await,
        (200, String::new()),
        "theirs lacks it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_told_before_anything_is_sent() {
    let site = Site::start(|config| {
        config.caches[0].max_nar_size = 100_000;
        config.caches[0].max_bytes = Some(300);
    })
    .await;
    let alice = site.contributor("alice").await;
    let made = Made::file("x-1", "x", &[], &alice.key);
    let (status, text) = site.put(&alice, &made.url(), vec![0; 200_000]).await;
    assert_eq!(
        (status, text.starts_with("too-large: ")),
        (413, true),
        "{text}"
    );
    let (status, text) = site.put(&alice, &made.url(), vec![0; 400]).await;
    assert_eq!((status, text.starts_with("quota: ")), (413, true), "{text}");
    assert!(
        text.contains("needs 400 bytes, and 300 of 300 are left"),
        "{text}"
    );
    let bomb = Made::file("bomb-1", &"0".repeat(200_000), &[], &alice.key);
    assert!(bomb.stored.len() < 300);
    let (status, text) = site.put(&alice, &bomb.url(), bomb.stored.clone()).await;
    assert_eq!(
        (status, text.starts_with("too-large: ")),
        (413, true),
        "{text}"
    );
    assert!(site.objects().is_empty());
    for bad in [
        "foo",
        "nar/../x",
        "nar/%2e%2e/x",
        ".narinfo",
        "nar/x.nar",
        "0000.narinfo",
    ] {
        let (status, _) = site.put(&alice, bad, "x").await;
        assert!((400..=404).contains(&status), "{bad}: {status}");
    }
    let (status, text) = site
        .put(&alice, "nix-cache-info", "StoreDir: /gnu/store\n")
        .await;
    assert_eq!((status, text.contains("/nix/store")), (409, true), "{text}");
    assert_eq!(
        site.put(&alice, "nix-cache-info", "StoreDir: /nix/store\n")
            .await
            .0,
        200
    );
    let (status, _) = site
        .put_with(
            &alice.token,
            &made.key(),
            "x",
            &[("content-encoding", "xz")],
        )
        .await;
    assert_eq!(status, 415);
    assert!(site.objects().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_and_is_not_published_counts_against_the_quota_once() {
    let size = |text: &str| Made::addressed("any-1", text).stored.len() as u64;
    let most = size("first") + size("second") - 1;
    let site = Site::start(move |config| config.caches[0].max_bytes = Some(most)).await;
    let alice = site.contributor("alice").await;
    let first = Made::file("first-1", "first", &[], &alice.key);
    let second = Made::file("second-1", "second", &[], &alice.key);
    for _ in 0..2 {
        let (status, text) = site.put(&alice, &first.url(), first.stored.clone()).await;
        assert_eq!(status, 200, "{text}");
    }
    // No narinfo names the first yet.
    let (status, text) = site.put(&alice, &second.url(), second.stored.clone()).await;
    assert_eq!((status, text.starts_with("quota: ")), (413, true), "{text}");
    let published = site.put(&alice, &first.key(), first.text()).await;
    assert_eq!(published, (200, String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn references_have_to_be_here_and_lead_nowhere_back() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    let bare = |name: &str| Made::file(name, name, &[], &alice.key);
    let (one, two) = (bare("one-1"), bare("two-1"));
    let one_of_two = Made::file("one-1", "one-1", &[&two], &alice.key);
    let two_of_one = Made::file("two-1", "two-1", &[&one], &alice.key);
    for made in [&one_of_two, &two_of_one] {
        assert_eq!(
            site.put(&alice, &made.url(), made.stored.clone()).await.0,
            200
        );
    }
    let (status, text) = site.put(&alice, &one_of_two.key(), one_of_two.text()).await;
    assert_eq!(status, 409, "{text}");
    assert!(
        text.starts_with("reference-missing: reference ")
            && text.contains("two-1")
            && text.contains("--refresh"),
        "{text}"
    );
    let (status, text) = site.put(&alice, &two_of_one.key(), two_of_one.text()).await;
    assert_eq!(
        (status, text.starts_with("reference-cycle: ")),
        (422, true),
        "{text}"
    );
    // What it names without saying so is noted.
    assert_eq!(site.upload(&alice, &two).await.0, 200);
    let secretive = Made::file(
        "secretive-1",
        &format!("see {}", two.parts.store_path),
        &[],
        &alice.key,
    );
    assert_eq!(site.upload(&alice, &secretive).await.0, 200);
    let health = site
        .server
        .json("/api/v1/caches/main/health?check=undeclared-reference")
        .await;
    assert_eq!(
        health["items"].as_array().expect("findings").len(),
        1,
        "{health}"
    );
    assert!(
        health["items"][0]["reason"]
            .as_str()
            .expect("a reason")
            .contains("two-1"),
        "{health}"
    );
    // A policy may refuse it.
    site.policy(UploadPolicy {
        refuse_undeclared_references: true,
        ..UploadPolicy::default()
    })
    .await;
    let text = format!("see {} again", two.parts.store_path);
    let secretive = Made::file("secretive-2", &text, &[], &alice.key);
    let (status, line) = site.upload(&alice, &secretive).await;
    assert_eq!(
        (status, line.starts_with("undeclared-reference: ")),
        (422, true),
        "{line}"
    );
    assert!(site.served(&secretive).await.is_none());
    let declared = Made::file("secretive-2", &text, &[&two], &alice.key);
    assert_eq!(site.upload(&alice, &declared).await, (200, String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_written_once_and_listings_are_our_own() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    let mut built = Made::file("x-1", "x", &[], &alice.key);
    let derivation = "0c0dixlhq54yv4v0kws1bsmbnrz7m6p7-x-1.drv";
    built.parts.deriver = Some(derivation.parse().expect("a path"));
    assert_eq!(site.upload(&alice, &built).await, (200, String::new()));
    let log = &format!("log/{derivation}");
    assert_eq!(site.put(&alice, log, "built\n").await.0, 200);
    assert_eq!(site.put(&alice, log, "built\n").await.0, 200);
    assert_eq!(site.put(&alice, log, "another\n").await.0, 409);
    assert_eq!(site.server.text(&format!("/main/{log}")).await, "built\n");
    let ls = "0c0dixlhq54yv4v0kws1bsmbnrz7m6p7.ls";
    assert_eq!(site.put(&alice, ls, "{\"version\":1}").await.0, 200);
    assert_eq!(site.server.get(&format!("/main/{ls}")).await.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_looks_like_a_secret_is_published_with_a_finding() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    let key = format!(
        "-----BEGIN {}PRIVATE KEY-----\n{}\n",
        "RSA ",
        "MIIEvQ0123456789".repeat(4)
    );
    let leaky = Made::file("leaky-1", &key, &[], &alice.key);
    assert_eq!(site.upload(&alice, &leaky).await, (200, String::new()));
    let health = site
        .server
        .json("/api/v1/caches/main/health?check=secret")
        .await;
    let reason = health["items"][0]["reason"].as_str().expect("a finding");
    assert!(reason.contains("looks like a private key"), "{reason}");
}
