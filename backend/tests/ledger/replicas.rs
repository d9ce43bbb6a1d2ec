//! What replicas learn from each other and when; what a fresh one learns from the witness.

use std::time::{Duration, Instant};

use snowbank::bucket::embedded::faults::{Action, Rule};
use snowbank::bucket::embedded::operation::Operation;
use snowbank::ledger::{LedgerError, News, Pace, ReadReceipts, Receipt, Scope, Trouble, kind};

use super::world::{Pass, Person, World, id, opened, person};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_counts_everywhere_within_five_seconds() {
    let world = World::new().await;
    let one = world.replica("one").await;
    let mut params = world.params("two").await;
    params.pace = Pace::default();
    let two = opened(params).await;
    let until = time::OffsetDateTime::now_utc().unix_timestamp() + 3600;
    one.create(Scope::Server, &id("t"), "server", Pass { until })
        .await
        .expect("made");
    let mut changes = two.subscribe();
    let seen = |wanted: bool| two.view().get::<Pass>(Scope::Server, &id("t")).is_some() == wanted;
    while !seen(true) {
        tokio::time::timeout(Duration::from_secs(5), changes.changed())
            .await
            .expect("in time")
            .expect("open");
    }
    one.tombstone(kind::TOKENS, Scope::Server, &id("t"), "server", "stolen")
        .await
        .expect("revoked");
    let revoked = Instant::now();
    while !seen(false) {
        tokio::time::timeout(Duration::from_secs(5), changes.changed())
            .await
            .expect("in time")
            .expect("open");
    }
    assert!(
        revoked.elapsed() < Duration::from_secs(5),
        "{:?}",
        revoked.elapsed()
    );
}

#[tokio::test]
async fn a_fresh_replica_learns_from_the_witness_what_was_rolled_back() {
    let world = World::new().await;
    let one = world.replica("one").await;
    one.create(Scope::Server, &id("ada"), "server", person("Ada", "owner"))
        .await
        .expect("made");
    one.create(Scope::Server, &id("bob"), "server", person("Bob", "owner"))
        .await
        .expect("made");
    let (ada, bob) = (
        world.read("records/members/ada"),
        world.read("records/members/bob"),
    );
    let who = id("ada");
    let demoted = one.update(Scope::Server, &who, "server", |it: &Person| {
        Ok::<_, LedgerError>(person(&it.name, "reader"))
    });
    demoted.await.expect("changed");
    one.tombstone(kind::MEMBERS, Scope::Server, &id("bob"), "server", "left")
        .await
        .expect("revoked");
    one.write_witness().await.expect("written");
    one.close().await;

    world.write("records/members/ada", &ada);
    world.write("records/members/bob", &bob);
    world.remove("records/tombstones/members/bob");
    let fresh = world.replica("fresh").await;
    let role = |name| {
        fresh
            .view()
            .get::<Person>(Scope::Server, &id(name))
            .map(|it| it.role.clone())
    };
    assert_eq!((role("ada"), role("bob")), (None, None));
    let troubles: Vec<_> = fresh
        .view()
        .findings()
        .into_iter()
        .map(|it| it.trouble)
        .collect();
    assert_eq!(
        troubles,
        [
            Trouble::RolledBack { seen: 2, found: 1 },
            Trouble::TombstoneGone
        ]
    );

    // A witness of somebody else teaches nothing.
    world.write("records/witness", b"rubbish");
    let fresh = world.replica("fresh-2").await;
    assert!(
        fresh
            .view()
            .get::<Person>(Scope::Server, &id("ada"))
            .is_some()
    );
}

#[tokio::test]
async fn what_a_replica_publishes_the_others_hear_once() {
    let world = World::new().await;
    let (one, two) = (world.replica("one").await, world.replica("two").await);
    let mut news = two.news();
    let heard = async |news: &mut tokio::sync::broadcast::Receiver<News>| {
        let patience = Instant::now() + Duration::from_secs(10);
        loop {
            two.look().await.expect("a look");
            match news.try_recv() {
                Ok(News::Changed(change)) => break change.key,
                Ok(other) => panic!("{other:?}"),
                Err(_) if Instant::now() < patience => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
    one.announce("main", "a.narinfo");
    assert_eq!(heard(&mut news).await, "a.narinfo");
    one.announce("main", "b.narinfo");
    assert_eq!(heard(&mut news).await, "b.narinfo");
    two.look().await.expect("a look");
    assert!(news.try_recv().is_err(), "nothing twice");
    assert!(two.view().findings().is_empty());
}

#[tokio::test]
async fn one_object_that_fails_keeps_the_view_old_and_the_rest_comes_in() {
    let world = World::new().await;
    let (one, two) = (world.replica("one").await, world.replica("two").await);
    for name in ["ada", "bob"] {
        one.create(Scope::Server, &id(name), "server", person(name, "reader"))
            .await
            .expect("made");
    }
    let failing = Rule::new(Action::InternalError)
        .on(Operation::Get)
        .key_contains("members/bob");
    world.server.faults().add(failing);
    let looked = two.look().await;
    assert!(matches!(&looked, Err(LedgerError::Bucket(_))), "{looked:?}");
    let there = |name| two.view().get::<Person>(Scope::Server, &id(name)).is_some();
    assert!(there("ada") && !there("bob"));
    world.server.faults().clear();
    two.look().await.expect("a look");
    assert!(there("bob"));
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_happens_once() {
    let world = World::new().await;
    let one = world.replica("one").await;
    one.create(Scope::Server, &id("ada"), "server", person("", "reader"))
        .await
        .expect("made");
    for number in 0..20 {
        // The connection breaks: the write may have happened or not.
        let lost = Rule::new(Action::LoseConnection)
            .on(Operation::Put)
            .times(number % 3);
        world.server.faults().add(lost);
        let who = id("ada");
        let written = one.update(Scope::Server, &who, "server", |it: &Person| {
            Ok::<_, LedgerError>(person(&format!("{}x", it.name), &it.role))
        });
        written.await.expect("written in the end");
        world.server.faults().clear();
    }
    let ada = one
        .view()
        .get::<Person>(Scope::Server, &id("ada"))
        .expect("there");
    assert_eq!((ada.name.len(), ada.sequence), (20, 21));
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_that_were_read_count_for_a_while_and_until_one_is_written_here() {
    let world = World::new().await;
    let (one, two) = (world.replica("one").await, world.replica("two").await);
    let receipt = |path: &str| Receipt {
        path: path.to_owned(),
        nar_hash: "sha256:0".to_owned(),
        nar_key: format!("nar/{path}.nar"),
        nar_etag: None,
        narinfo: String::new(),
        by: "member:ada".to_owned(),
        key: None,
        first_seen: 1,
        verified_at: None,
        verified_by: None,
        claims: None,
        refuted: None,
    };
    let known = async |most| {
        let known = one.known_receipts("main", most).await.expect("receipts");
        known.len()
    };
    assert_eq!((known(None).await, known(Some(9)).await), (0, 0));
    let written = two.receipt("main", &receipt("a")).await;
    written.expect("written");
    // Not read again so soon: who asks often does not have the bucket read each time.
    assert_eq!((known(None).await, known(Some(9)).await), (0, 0));
    assert_eq!(known(Some(1)).await, 1, "another question");
    let written = one.receipt("main", &receipt("b")).await;
    written.expect("written");
    assert_eq!((known(None).await, known(Some(9)).await), (2, 2));
    assert_eq!(known(Some(1)).await, 1);
    let anew = one.receipts("main").await.expect("receipts");
    assert_eq!(anew.receipts.len(), 2);

    // Who reads on gets each once, of every process.
    let mut read = ReadReceipts::default();
    let mut new = async || {
        let new = one.new_receipts("main", &mut read).await.expect("receipts");
        let mut paths: Vec<String> = new.into_iter().map(|receipt| receipt.path).collect();
        paths.sort();
        paths
    };
    assert_eq!(new().await, ["a", "b"]);
    assert_eq!(new().await, Vec::<String>::new());
    for (replica, path) in [(&one, "c"), (&two, "d"), (&two, "e")] {
        let written = replica.receipt("main", &receipt(path)).await;
        written.expect("written");
    }
    assert_eq!(new().await, ["c", "d", "e"]);
    assert_eq!(new().await, Vec::<String>::new());
}
