//! What somebody can do who can write the bucket and lacks the secret.

use snowbank::ledger::{Ledger, LedgerError, Scope, SealError, Trouble, Unverified, kind};

use super::world::{Person, Pin, World, id, person};

fn role(ledger: &Ledger, name: &str) -> Option<String> {
    let entry = ledger.view().get::<Person>(Scope::Server, &id(name));
    entry.map(|entry| entry.role.clone())
}

/// A world with an owner and a reader, seen by one server.
async fn two_people() -> (World, Ledger) {
    let world = World::new().await;
    let ledger = world.replica("one").await;
    for (name, role) in [("ada", "owner"), ("eve", "reader")] {
        ledger
            .create(Scope::Server, &id(name), "server", person(name, role))
            .await
            .expect("made");
    }
    (world, ledger)
}

async fn change(ledger: &Ledger, name: &str, role: &str) {
    let who = id(name);
    let changed = ledger.update(Scope::Server, &who, "server", |it: &Person| {
        Ok::<_, LedgerError>(person(&it.name, role))
    });
    changed.await.expect("changed");
}

fn troubles(ledger: &Ledger) -> Vec<(String, Trouble)> {
    let findings = ledger.view().findings();
    findings
        .into_iter()
        .map(|it| (it.path, it.trouble))
        .collect()
}

#[tokio::test]
async fn a_record_copied_over_another_grants_nothing() {
    let (world, ledger) = two_people().await;
    world.write("records/members/eve", &world.read("records/members/ada"));
    world.write(
        "records/members/mallory",
        &world.read("records/members/ada"),
    );
    ledger.look().await.expect("a look");
    assert_eq!(role(&ledger, "eve"), None);
    assert_eq!(role(&ledger, "mallory"), None);
    assert_eq!(role(&ledger, "ada").as_deref(), Some("owner"));
    let forged = Trouble::Seal(SealError::Forged);
    assert_eq!(
        troubles(&ledger),
        [
            ("members/eve".to_owned(), forged.clone()),
            ("members/mallory".to_owned(), forged)
        ]
    );
    let who = id("eve");
    let refused = ledger.update(Scope::Server, &who, "server", |it: &Person| {
        Ok::<_, LedgerError>(it.clone())
    });
    assert!(matches!(
        refused.await,
        Err(LedgerError::Unbelievable { .. })
    ));
}

#[tokio::test]
async fn text_and_rubbish_grant_nothing() {
    let (world, ledger) = two_people().await;
    world.write(
        "records/members/m1",
        b"{\"record\":{\"name\":\"m\",\"role\":\"owner\"}}",
    );
    world.write("records/members/m2", b"");
    world.write("records/members/m3", &vec![0xff; 5 << 20]);
    world.write("records/members/UPPER", b"x");
    world.write("records/dreams/m4", b"x");
    ledger.look().await.expect("a look");
    for name in ["m1", "m2", "m3"] {
        assert_eq!(role(&ledger, name), None, "{name}");
    }
    let found = troubles(&ledger);
    let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "members/m1",
            "members/m2",
            "members/m3",
            "dreams/m4",
            "members/UPPER"
        ]
    );
    assert!(matches!(found[2].1, Trouble::Refused(_)), "{:?}", found[2]);
    assert_eq!(found[3].1, Trouble::UnknownName);
    // The rest goes on.
    assert_eq!(role(&ledger, "ada").as_deref(), Some("owner"));
}

#[tokio::test]
async fn an_old_version_put_back_grants_nothing_also_after_a_restart() {
    let (world, ledger) = two_people().await;
    let as_owner = world.read("records/members/ada");
    change(&ledger, "ada", "reader").await;
    world.write("records/members/ada", &as_owner);
    ledger.look().await.expect("a look");
    let rolled_back = Trouble::RolledBack { seen: 2, found: 1 };
    assert_eq!(role(&ledger, "ada"), None);
    assert_eq!(
        troubles(&ledger),
        [("members/ada".to_owned(), rolled_back.clone())]
    );
    ledger.close().await;

    let ledger = world.replica("one").await;
    assert_eq!(role(&ledger, "ada"), None);
    assert_eq!(troubles(&ledger), [("members/ada".to_owned(), rolled_back)]);
}

#[tokio::test]
async fn a_record_that_is_taken_away_is_missed() {
    let (world, ledger) = two_people().await;
    let pin = Pin {
        path: "hello".to_owned(),
    };
    ledger
        .create(Scope::Cache("main"), &id("p"), "server", pin)
        .await
        .expect("made");
    assert_eq!(ledger.view().stops("main"), []);
    world.remove("records/members/ada");
    world.remove("records/caches/main/pins/p");
    ledger.look().await.expect("a look");
    assert_eq!(role(&ledger, "ada"), None);
    assert_eq!(troubles(&ledger).len(), 2);
    // A pin that is gone stops the runs of its cache, and of no other.
    let stops = ledger.view().stops("main");
    assert_eq!(stops.len(), 1);
    assert_eq!(stops[0].trouble, Trouble::Vanished { seen: 1 });
    assert_eq!(stops[0].meaning, Unverified::StopsRuns);
    assert_eq!(ledger.view().stops("other"), []);
    ledger.close().await;
    let ledger = world.replica("one").await;
    assert_eq!(ledger.view().stops("main").len(), 1);
}

#[tokio::test]
async fn a_tombstone_that_is_taken_away_or_altered_counts_all_the_same() {
    let (world, ledger) = two_people().await;
    let copy = world.read("records/members/ada");
    ledger
        .tombstone(kind::MEMBERS, Scope::Server, &id("ada"), "server", "left")
        .await
        .expect("revoked");
    world.remove("records/tombstones/members/ada");
    world.write("records/members/ada", &copy);
    ledger.look().await.expect("a look");
    assert_eq!(role(&ledger, "ada"), None);
    assert_eq!(
        troubles(&ledger),
        [("members/ada".to_owned(), Trouble::TombstoneGone)]
    );
    ledger.close().await;
    let ledger = world.replica("one").await;
    assert_eq!(role(&ledger, "ada"), None);

    // One that never verified holds the record back as long as it lies there.
    world.write("records/tombstones/members/eve", b"rubbish");
    ledger.look().await.expect("a look");
    assert_eq!(role(&ledger, "eve"), None);
    world.remove("records/tombstones/members/eve");
    ledger.look().await.expect("a look");
    assert_eq!(role(&ledger, "eve").as_deref(), Some("reader"));
}

#[tokio::test]
async fn a_record_of_another_server_with_the_same_secret_grants_nothing() {
    let (world, ledger) = two_people().await;
    let mut other = World::new().await;
    other.secret = world.secret.clone();
    let theirs = other.replica("other").await;
    theirs
        .create(
            Scope::Server,
            &id("mallory"),
            "server",
            person("M", "owner"),
        )
        .await
        .expect("made");
    world.write(
        "records/members/mallory",
        &other.read("records/members/mallory"),
    );
    ledger.look().await.expect("a look");
    assert_eq!(role(&ledger, "mallory"), None);
}
