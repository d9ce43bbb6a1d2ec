//! Export, import, rekeying, settling.

use snowbank::ledger::{ExportLine, LedgerError, Scope, Trouble, kind};
use snowbank::secrets::StateSecret;

use super::world::{Person, Pin, World, id, opened, person};

#[tokio::test]
async fn an_export_goes_into_another_area_whole() {
    let (from, to) = (World::new().await, World::new().await);
    let one = from.replica("one").await;
    one.create(
        Scope::Server,
        &id("ada"),
        "member:x",
        person("Ada", "owner"),
    )
    .await
    .expect("made");
    let pin = Pin {
        path: "hello".to_owned(),
    };
    one.create(Scope::Cache("main"), &id("p"), "member:x", pin)
        .await
        .expect("made");
    one.create(
        Scope::Server,
        &id("eve"),
        "member:x",
        person("Eve", "reader"),
    )
    .await
    .expect("made");
    one.tombstone(
        kind::MEMBERS,
        Scope::Server,
        &id("eve"),
        "member:ada",
        "left",
    )
    .await
    .expect("revoked");
    let lines = one.export();
    assert_eq!(lines.len(), 4);
    let text: Vec<String> = lines
        .iter()
        .map(|line| serde_json::to_string(line).expect("text"))
        .collect();
    let read = || {
        text.iter()
            .map(|line| serde_json::from_str::<ExportLine>(line).expect("a line"))
    };

    let two = to.replica("two").await;
    two.create(
        Scope::Server,
        &id("ada"),
        "server",
        person("Another", "reader"),
    )
    .await
    .expect("made");
    let done = two
        .import(read(), "command line", false)
        .await
        .expect("imported");
    assert_eq!(
        (done.made, done.left, done.replaced, done.buried),
        (1, 1, 0, 1)
    );
    let done = two
        .import(read(), "command line", true)
        .await
        .expect("imported");
    assert_eq!(
        (done.made, done.left, done.replaced, done.buried),
        (0, 0, 2, 0)
    );
    let view = two.view();
    assert_eq!(
        view.get::<Person>(Scope::Server, &id("ada"))
            .expect("there")
            .name,
        "Ada"
    );
    assert_eq!(
        view.get::<Pin>(Scope::Cache("main"), &id("p"))
            .expect("there")
            .path,
        "hello"
    );
    let tombstone = view
        .tombstone(kind::MEMBERS, Scope::Server, &id("eve"))
        .expect("buried");
    assert_eq!(tombstone.author.as_deref(), Some("member:ada"));

    // What is revoked here stays revoked, whatever an export says.
    two.tombstone(kind::MEMBERS, Scope::Server, &id("ada"), "server", "left")
        .await
        .expect("revoked");
    let done = two
        .import(read(), "command line", true)
        .await
        .expect("imported");
    assert_eq!(done.skipped, 1);
    assert!(
        two.view()
            .get::<Person>(Scope::Server, &id("ada"))
            .is_none()
    );
    let newer = ExportLine::Export {
        version: 3,
        server: String::new(),
        at: 0,
    };
    assert!(two.import([newer], "x", false).await.is_err());
}

#[tokio::test]
async fn after_rekeying_the_old_key_can_go() {
    let mut world = World::new().await;
    let one = world.replica("one").await;
    for number in 0..20 {
        let name = format!("p{number}");
        one.create(Scope::Server, &id(&name), "server", person(&name, "reader"))
            .await
            .expect("made");
    }
    one.tombstone(kind::MEMBERS, Scope::Server, &id("p3"), "server", "left")
        .await
        .expect("revoked");
    for number in 0..3 {
        let event = snowbank::ledger::Event::new("server", "test", format!("{number}"));
        one.audit(&event).await.expect("written");
    }
    let list = vec!["a path".to_owned(), "another".to_owned()];
    let listed = one.put_bundle("main", "plans/p1/00000", &list).await;
    listed.expect("written");
    one.write_witness().await.expect("written");
    one.close().await;

    let newer = StateSecret::generate("k2").expect("random");
    world.secret = world.secret.led_by(&newer);
    let two = world.replica("one").await;
    let older = two.under_older_keys().await.expect("counted");
    let done = two.rekey().await.expect("rekeyed");
    // With the format, which says so itself: as long as any is left, the old key is needed.
    assert_eq!(older + 1, done.rewritten);
    assert_eq!(done.unreadable, 0);
    assert!(done.rewritten >= 25, "{done:?}");
    assert_eq!(two.under_older_keys().await.expect("counted"), 0);
    let again = two.rekey().await.expect("rekeyed");
    assert_eq!((again.rewritten, again.unreadable), (0, 0));
    // What it says and its version is the same, here and for a server that knows only the new key.
    two.look().await.expect("a look");
    assert!(two.view().findings().is_empty());
    two.close().await;
    world.secret = newer;
    let three = opened(world.params("one").await).await;
    assert_eq!(three.view().list::<Person>(Scope::Server).count(), 19);
    assert!(
        three.view().findings().is_empty(),
        "{:?}",
        three.view().findings()
    );
    let known = three.bundle::<Vec<String>>("main", "plans/p1/00000").await;
    assert_eq!(known.expect("it opens"), Some(list));
    let report = three.check_audit().await.expect("a report");
    assert_eq!((report.events, report.breaks.len()), (3, 0));
}

#[tokio::test]
async fn what_cannot_be_believed_is_settled_by_name() {
    let world = World::new().await;
    let one = world.replica("one").await;
    for name in ["ada", "bob", "eve"] {
        one.create(Scope::Server, &id(name), "server", person(name, "owner"))
            .await
            .expect("made");
    }
    let old = world.read("records/members/ada");
    let who = id("ada");
    let changed = one.update(Scope::Server, &who, "server", |it: &Person| {
        Ok::<_, LedgerError>(person(&it.name, "reader"))
    });
    changed.await.expect("changed");
    one.tombstone(kind::MEMBERS, Scope::Server, &id("eve"), "server", "left")
        .await
        .expect("revoked");
    world.write("records/members/ada", &old);
    world.remove("records/members/bob");
    world.remove("records/tombstones/members/eve");
    one.look().await.expect("a look");
    assert_eq!(one.view().findings().len(), 3);

    for path in ["members/ada", "members/bob", "members/eve"] {
        one.settle(&path.parse().expect("a path"), "server")
            .await
            .expect("settled");
    }
    one.look().await.expect("a look");
    assert!(
        one.view().findings().is_empty(),
        "{:?}",
        one.view().findings()
    );
    // The old version is the newest now, and counts on.
    let ada = one
        .view()
        .get::<Person>(Scope::Server, &id("ada"))
        .expect("there");
    assert_eq!((&*ada.role, ada.sequence), ("owner", 3));
    // The name of what is gone is free again; what was revoked stays so.
    assert!(
        one.view()
            .get::<Person>(Scope::Server, &id("bob"))
            .is_none()
    );
    let bob = one
        .create(Scope::Server, &id("bob"), "server", person("bob", "reader"))
        .await
        .expect("made");
    assert_eq!(bob.sequence, 3);
    let eve = one
        .create(Scope::Server, &id("eve"), "server", person("eve", "owner"))
        .await;
    assert!(matches!(eve, Err(LedgerError::Buried(_))));
    let nothing = one
        .settle(&"members/ada".parse().expect("a path"), "server")
        .await;
    assert!(matches!(nothing, Err(LedgerError::Absent(_))));
    // Everybody else agrees.
    let two = world.replica("two").await;
    assert!(two.view().findings().is_empty());
    let trouble = Trouble::TombstoneGone;
    assert!(!trouble.to_string().is_empty());
}
