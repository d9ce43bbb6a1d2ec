//! Records: made, changed, revoked, seen by others.

use std::time::Duration;

use snowbank::ledger::{LedgerError, RecordPath, Scope, kind};
use time::OffsetDateTime;

use super::world::{Pass, Person, Pin, World, id, person};

#[tokio::test]
async fn what_is_written_shows_here_at_once_and_elsewhere_with_the_next_look() {
    let world = World::new().await;
    let (one, two) = (world.replica("one").await, world.replica("two").await);
    assert_eq!(one.server(), two.server());
    assert_ne!(one.instance(), two.instance());
    let changes = two.subscribe();

    let made = one
        .create(Scope::Server, &id("ada"), "server", person("Ada", "owner"))
        .await
        .expect("made");
    assert_eq!((made.sequence, made.changed_by.as_str()), (1, "server"));
    let here = one.view().get::<Person>(Scope::Server, &id("ada"));
    assert_eq!(here.expect("shown").record.role, "owner");

    assert!(
        two.view()
            .get::<Person>(Scope::Server, &id("ada"))
            .is_none()
    );
    two.look().await.expect("a look");
    let there = two
        .view()
        .get::<Person>(Scope::Server, &id("ada"))
        .expect("shown");
    assert_eq!((there.sequence, &*there.name), (1, "Ada"));
    assert!(changes.has_changed().expect("open"));

    let changed = two
        .update(Scope::Server, &id("ada"), "member:ada", |ada: &Person| {
            Ok::<_, LedgerError>(person(&ada.name, "reader"))
        })
        .await
        .expect("changed");
    assert_eq!(changed.sequence, 2);
    one.look().await.expect("a look");
    let here = one
        .view()
        .get::<Person>(Scope::Server, &id("ada"))
        .expect("shown");
    assert_eq!(
        (here.sequence, &*here.role, &*here.changed_by),
        (2, "reader", "member:ada")
    );
    assert_eq!(one.view().findings(), []);

    // A look that finds nothing new changes nothing.
    let revision = one.view().revision();
    one.look().await.expect("a look");
    assert_eq!(one.view().revision(), revision);
}

#[tokio::test]
async fn nothing_readable_lies_in_the_bucket() {
    let world = World::new().await;
    let ledger = world.replica("one").await;
    let record = person("Ada Lovelace", "owner");
    ledger
        .create(Scope::Server, &id("ada"), "member:grace", record)
        .await
        .expect("made");
    let bytes = world.read("records/members/ada");
    for secret in [&b"Ada"[..], b"owner", b"grace", b"role"] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }
}

#[tokio::test]
async fn what_exists_is_not_made_and_what_does_not_is_not_changed() {
    let world = World::new().await;
    let (one, two) = (world.replica("one").await, world.replica("two").await);
    one.create(Scope::Server, &id("ada"), "server", person("Ada", "owner"))
        .await
        .expect("made");
    // Also where this replica has not seen it yet.
    let again = two
        .create(Scope::Server, &id("ada"), "server", person("Eve", "owner"))
        .await;
    assert!(matches!(again, Err(LedgerError::Exists(_))), "{again:?}");
    let absent = one
        .update(Scope::Server, &id("bob"), "server", |bob: &Person| {
            Ok::<_, LedgerError>(bob.clone())
        })
        .await;
    assert!(matches!(absent, Err(LedgerError::Absent(_))), "{absent:?}");
    // What the change itself refuses is refused, and nothing is written.
    let refused = one
        .update(Scope::Server, &id("ada"), "server", |_: &Person| {
            Err::<Person, _>(LedgerError::Closed("no".to_owned()))
        })
        .await;
    assert!(matches!(refused, Err(LedgerError::Closed(_))));
    let ada = one
        .view()
        .get::<Person>(Scope::Server, &id("ada"))
        .expect("there");
    assert_eq!((ada.sequence, &*ada.name), (1, "Ada"));
}

#[tokio::test]
async fn a_tombstone_wins_over_any_record_for_ever() {
    let world = World::new().await;
    let (one, two) = (world.replica("one").await, world.replica("two").await);
    one.create(Scope::Server, &id("ada"), "server", person("Ada", "owner"))
        .await
        .expect("made");
    let copy = world.read("records/members/ada");
    two.look().await.expect("a look");
    two.tombstone(
        kind::MEMBERS,
        Scope::Server,
        &id("ada"),
        "member:bob",
        "left",
    )
    .await
    .expect("revoked");
    assert!(
        two.view()
            .get::<Person>(Scope::Server, &id("ada"))
            .is_none()
    );
    one.look().await.expect("a look");
    assert!(
        one.view()
            .get::<Person>(Scope::Server, &id("ada"))
            .is_none()
    );
    let view = one.view();
    let tombstone = view
        .tombstone(kind::MEMBERS, Scope::Server, &id("ada"))
        .expect("a tombstone");
    assert_eq!(tombstone.reason.as_deref(), Some("left"));
    assert!(!world.path("records/members/ada").exists());

    // Somebody who kept the record puts it back.
    world.write("records/members/ada", &copy);
    one.look().await.expect("a look");
    assert!(
        one.view()
            .get::<Person>(Scope::Server, &id("ada"))
            .is_none()
    );
    let again = one
        .create(Scope::Server, &id("ada"), "server", person("Ada", "owner"))
        .await;
    assert!(matches!(again, Err(LedgerError::Buried(_))), "{again:?}");
    // Twice is no error.
    one.tombstone(
        kind::MEMBERS,
        Scope::Server,
        &id("ada"),
        "member:bob",
        "left",
    )
    .await
    .expect("fine");
}

#[tokio::test]
async fn what_has_expired_is_not_shown_and_may_be_gone() {
    let world = World::new().await;
    let ledger = world.replica("one").await;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let pass = Pass { until: now + 1 };
    ledger
        .create(Scope::Server, &id("t1"), "server", pass)
        .await
        .expect("made");
    let pass = Pass { until: now + 3600 };
    ledger
        .create(Scope::Server, &id("t2"), "server", pass)
        .await
        .expect("made");
    assert!(
        ledger
            .view()
            .get::<Pass>(Scope::Server, &id("t1"))
            .is_some()
    );
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert!(
        ledger
            .view()
            .get::<Pass>(Scope::Server, &id("t1"))
            .is_none()
    );
    world.remove("records/tokens/t1");
    ledger.look().await.expect("a look");
    assert_eq!(ledger.view().findings(), []);
    let left: Vec<_> = ledger
        .view()
        .list::<Pass>(Scope::Server)
        .map(|it| it.id)
        .collect();
    assert_eq!(left, [id("t2")]);
}

#[tokio::test]
async fn caches_have_records_of_their_own() {
    let world = World::new().await;
    let ledger = world.replica("one").await;
    for (cache, path) in [("main", "hello"), ("main", "world"), ("main-2", "hello")] {
        let pin = Pin {
            path: path.to_owned(),
        };
        ledger
            .create(Scope::Cache(cache), &id(path), "server", pin)
            .await
            .expect("made");
    }
    let view = ledger.view();
    let names = |cache| {
        view.list::<Pin>(Scope::Cache(cache))
            .map(|pin| pin.path.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("main"), ["hello", "world"]);
    assert_eq!(names("main-2"), ["hello"]);
    assert_eq!(names("other"), Vec::<String>::new());
}

#[tokio::test]
async fn a_restart_finds_everything() {
    let world = World::new().await;
    let ledger = world.replica("one").await;
    for number in 0..40 {
        let record = person(&format!("P{number}"), "reader");
        ledger
            .create(Scope::Server, &id(&format!("p{number}")), "server", record)
            .await
            .expect("made");
    }
    ledger
        .tombstone(kind::MEMBERS, Scope::Server, &id("p7"), "server", "gone")
        .await
        .expect("revoked");
    ledger.close().await;
    let ledger = world.replica("one").await;
    assert_eq!(ledger.view().list::<Person>(Scope::Server).count(), 39);
    assert_eq!(ledger.view().findings(), []);
    assert!(
        RecordPath::new(kind::MEMBERS, Scope::Server, &id("p7"))
            .as_str()
            .ends_with("p7")
    );
}

#[tokio::test]
async fn a_tombstone_of_what_ends_by_itself_ends_with_it() {
    let world = World::new().await;
    let (one, two) = (world.replica("one").await, world.replica("two").await);
    let until = OffsetDateTime::now_utc().unix_timestamp() + 2;
    one.create(Scope::Server, &id("t"), "server", Pass { until })
        .await
        .expect("made");
    one.tombstone(kind::TOKENS, Scope::Server, &id("t"), "server", "stolen")
        .await
        .expect("revoked");
    two.look().await.expect("a look");
    assert!(
        two.view()
            .tombstone(kind::TOKENS, Scope::Server, &id("t"))
            .is_some()
    );
    tokio::time::sleep(Duration::from_millis(3100)).await;
    world.remove("records/tombstones/tokens/t");
    for ledger in [&one, &two] {
        ledger.look().await.expect("a look");
        assert_eq!(ledger.view().findings(), []);
    }
}
