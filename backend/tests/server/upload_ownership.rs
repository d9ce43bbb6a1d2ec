//! An archive that is not published is its uploader's alone, and room in a quota is one upload's alone.

use reqwest::Method;
use serde_json::json;
use snowbank::bucket::PutOptions;
use snowbank_shared::hash::Sha256;

use crate::people::read;
use crate::upload_site::{Made, Site, Uploader};

/// What the server says of an archive to somebody: to HEAD, and to a narinfo that names it.
async fn told(site: &Site, by: &Uploader, made: &Made) -> (u16, u16, String) {
    let url = site.server.url(&format!("/main/{}", made.url()));
    let request = site.server.client.head(url);
    let head = request.basic_auth("nix", Some(&by.token)).send().await;
    let head = head.expect("an answer").status().as_u16();
    let (status, text) = site.put(by, &made.key(), made.text()).await;
    (head, status, text.replace(&made.url(), "nar/…"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_not_published_can_be_named_by_who_has_shown_its_bytes() {
    let site = Site::start(|config| config.caches[0].max_bytes = Some(1 << 20)).await;
    let (alice, bob) = site.alice_and_bob().await;
    let mut policy = site.owner.json(&site.server, "/caches/main/policy").await;
    policy["rules"] =
        json!([{"who": "anyone", "names": ["secret-*"], "then": "approval", "approvals": 1}]);
    let path = "/caches/main/policy";
    read(
        site.owner
            .send(&site.server, Method::PUT, path, Some(policy))
            .await,
    )
    .await;
    // One waits for an approval, one for its narinfo, one was never here.
    let waiting = Made::file("secret-1", "it waits", &[], &alice.key);
    let (status, line) = site.upload(&alice, &waiting).await;
    assert_eq!(
        (status, line.starts_with("waiting: ")),
        (200, true),
        "{line}"
    );
    let coming = Made::file("coming-1", "it comes", &[], &alice.key);
    let archive = site.put(&alice, &coming.url(), coming.stored.clone()).await;
    assert_eq!(archive.0, 200);
    let objects = site.objects();
    let same = |made: &Made, name: &str, text: &str| {
        let his = Made::file(name, text, &[], &bob.key);
        assert_eq!(his.url(), made.url(), "the same archive");
        his
    };
    let of_waiting = same(&waiting, "mine-1", "it waits");
    let of_coming = same(&coming, "mine-2", "it comes");
    let of_nothing = Made::file("mine-3", "it was never here", &[], &bob.key);
    let nothing = told(&site, &bob, &of_nothing).await;
    assert_eq!((nothing.0, nothing.1), (404, 409), "{}", nothing.2);
    assert!(nothing.2.starts_with("nar-missing: "), "{}", nothing.2);
    for made in [&of_waiting, &of_coming] {
        assert_eq!(told(&site, &bob, made).await, nothing);
        assert!(site.served(made).await.is_none());
        // Nor do other bytes under its name, or too many, tell that it is here.
        for bytes in [b"other bytes".to_vec(), vec![0; 1 << 21]] {
            let (status, text) = site.put(&bob, &made.url(), bytes.clone()).await;
            let (expected, said) = site.put(&bob, &of_nothing.url(), bytes).await;
            let promise = |text: String, made: &Made| {
                let hash = made.parts.file_hash.expect("one").as_sha256();
                text.replace(&hash.expect("SHA-256").to_nix32(), "…")
            };
            assert_eq!(
                (status, promise(text, made)),
                (expected, promise(said, &of_nothing))
            );
            assert!(status >= 400);
        }
    }
    assert_eq!(site.objects(), objects);
    // Who has the bytes may send them, as if they were not here; nothing is written twice.
    for made in [&of_waiting, &of_coming] {
        assert_eq!(site.upload(&bob, made).await, (200, String::new()));
        assert!(site.served(made).await.is_some());
    }
    let nars = |objects: &[String]| {
        let nars = objects.iter().filter(|key| key.starts_with("nar/"));
        nars.cloned().collect::<Vec<_>>()
    };
    assert_eq!(nars(&site.objects()), nars(&objects));
    // It is published now, and the first uploader lost nothing by that.
    assert!(site.served(&waiting).await.is_none());
    let narinfo = site.put(&alice, &coming.key(), coming.text()).await;
    assert_eq!(narinfo, (200, String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_archive_it_is_stays_with_the_object() {
    let site = Site::start(|_| {}).await;
    let (alice, bob) = site.alice_and_bob().await;
    let first = Made::file("first-1", "x", &[], &alice.key);
    assert_eq!(site.upload(&alice, &first).await, (200, String::new()));
    let bucket = &site.server.server.site().caches[0].bucket;
    let there = bucket.find(&first.url()).await.expect("an answer");
    let mark = there.expect("its archive").mark.expect("a mark");
    assert!(mark.len() == 26 && !mark.contains("alice"), "{mark}");
    // Its path is taken out. Nothing is known of the archive any more but its mark.
    let folder = site.server.shelf().folder;
    std::fs::remove_file(folder.join(first.key())).expect("removed");
    let sync = site.server.server.sync("main").expect("main");
    sync.sweep_now().await.expect("a sweep");
    let his = Made::file("his-1", "x", &[], &bob.key);
    let (status, text) = site.put(&bob, &his.key(), his.text()).await;
    assert_eq!(
        (status, text.starts_with("nar-missing: ")),
        (409, true),
        "{text}"
    );
    let hers = Made::file("hers-1", "x", &[], &alice.key);
    assert_eq!(
        site.put(&alice, &hers.key(), hers.text()).await,
        (200, String::new())
    );
    // What is published is everybody's to name; and so is what was put past the server.
    assert_eq!(
        site.put(&bob, &his.key(), his.text()).await,
        (200, String::new())
    );
    let past = Made::file("past-1", "put by another program", &[], &bob.key);
    let options = PutOptions::of_type("application/x-nix-nar");
    bucket
        .put(&past.url(), past.stored.clone().into(), &options)
        .await
        .expect("put");
    assert_eq!(
        site.put(&bob, &past.key(), past.text()).await,
        (200, String::new())
    );
    // Where the bytes that lie there are not those that were shown, they are looked at, not believed.
    let other = Made::file("other-1", "shown", &[], &bob.key);
    let spoilt = PutOptions {
        mark: Some("another's".to_owned()),
        ..options
    };
    let mut bytes = other.stored.clone();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    bucket
        .put(&other.url(), bytes.into(), &spoilt)
        .await
        .expect("put");
    let (status, text) = site.upload(&bob, &other).await;
    assert_eq!(status, 422, "{text}");
    assert!(site.served(&other).await.is_none());
}

/// Four paths of alice with archives of nearly one size, and a quota that two of them fill.
fn four(key: &snowbank_shared::signature::SecretKey) -> (Vec<Made>, u64) {
    let four: Vec<Made> = (0..4)
        .map(|number| {
            // Not to be packed smaller.
            let text: String = (0..8)
                .map(|part| Sha256::digest(format!("{number} {part}").as_bytes()).to_nix32())
                .collect();
            Made::file(&format!("four-{number}"), &text, &[], key)
        })
        .collect();
    let sizes = || four.iter().map(|made| made.stored.len() as u64);
    let most = 2 * sizes().max().expect("four");
    assert!(3 * sizes().min().expect("four") > most, "nearly one size");
    (four, most)
}

async fn at_once<T>(all: impl IntoIterator<Item = T>) -> Vec<(u16, String)>
where
    T: Future<Output = (u16, String)>,
{
    let answers = futures_util::future::join_all(all).await;
    for (status, text) in &answers {
        assert!(
            *status == 200 || (*status == 413 && text.starts_with("quota: ")),
            "{status} {text}"
        );
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_at_one_moment_do_not_exceed_the_quota() {
    let key = snowbank_shared::signature::SecretKey::generate("probe-1", [1; 32]).expect("a key");
    let (_, most) = four(&key);
    let taken = |answers: &[(u16, String)]| answers.iter().filter(|(s, _)| *s == 200).count();
    // Archives.
    let site = Site::start(move |config| config.caches[0].max_bytes = Some(most)).await;
    let alice = site.contributor("alice").await;
    let (site, alice) = (&site, &alice);
    let (made, _) = four(&alice.key);
    // What is refused gives its room back.
    let (status, text) = site
        .put(
            alice,
            &made[0].url(),
            vec![0; usize::try_from(most).expect("small")],
        )
        .await;
    assert_eq!(status, 422, "{text}");
    let answers = at_once(
        made.iter()
            .map(|made| async move { site.put(alice, &made.url(), made.stored.clone()).await }),
    )
    .await;
    assert_eq!(taken(&answers), 2, "{answers:?}");
    assert_eq!(site.objects().len(), 2, "{:?}", site.objects());

    // Who does not say how much comes gets no more.
    let site = Site::start(move |config| config.caches[0].max_bytes = Some(most)).await;
    let alice = site.contributor("alice").await;
    let (site, alice) = (&site, &alice);
    let (made, _) = four(&alice.key);
    let answers = at_once(made.iter().map(|made| async move {
        let chunked = [("transfer-encoding", "chunked")];
        let stored = made.stored.clone();
        site.put_with(&alice.token, &made.url(), stored, &chunked)
            .await
    }))
    .await;
    assert!((1..=2).contains(&taken(&answers)), "{answers:?}");
    assert_eq!(site.objects().len(), taken(&answers));

    // Narinfos, of archives that are here and were never counted.
    let site = Site::start(move |config| config.caches[0].max_bytes = Some(most)).await;
    let alice = site.contributor("alice").await;
    let (site, alice) = (&site, &alice);
    let (made, _) = four(&alice.key);
    let bucket = &site.server.server.site().caches[0].bucket;
    let options = PutOptions::of_type("application/x-nix-nar");
    for made in &made {
        let stored = made.stored.clone().into();
        bucket
            .put(&made.url(), stored, &options)
            .await
            .expect("put");
    }
    // What is published counts once the whole bucket was listed.
    let sync = site.server.server.sync("main").expect("main");
    sync.sweep_whole_now().await.expect("a sweep");
    let answers = at_once(
        made.iter()
            .map(|made| async move { site.put(alice, &made.key(), made.text()).await }),
    )
    .await;
    assert_eq!(taken(&answers), 2, "{answers:?}");
    let objects = site.objects();
    let narinfos = objects.iter().filter(|key| key.ends_with(".narinfo"));
    assert_eq!(narinfos.count(), 2, "{objects:?}");
    // Again they are answered the same.
    let again = at_once(
        made.iter()
            .map(|made| async move { site.put(alice, &made.key(), made.text()).await }),
    )
    .await;
    for (first, again) in answers.iter().zip(&again) {
        assert_eq!(first.0, again.0, "{first:?} {again:?}");
    }
}
