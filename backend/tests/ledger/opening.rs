//! Whose area it is, who may read it, which secret it needs.

use std::sync::Arc;
use std::time::Duration;

use snowbank::bucket::embedded::access::Anonymous;
use snowbank::bucket::embedded::faults::{Action, Rule};
use snowbank::bucket::embedded::operation::Operation;
use snowbank::bucket::embedded::{EmbeddedConfig, EmbeddedS3, ListenerConfig};
use snowbank::ledger::{
    BucketStore, Freshness, Ledger, LedgerError, LedgerParams, Phase, ReadOnly, Refusal, Scope,
};
use snowbank::secrets::StateSecret;

use super::world::{BUCKET, Person, World, id, opened, person};

async fn phase(params: LedgerParams) -> (Ledger, Phase) {
    let ledger = Ledger::open(params).expect("a ledger");
    let phase = ledger.settled(Duration::from_secs(20)).await;
    (ledger, phase)
}

#[tokio::test]
async fn a_lost_secret_is_refused_and_the_old_one_put_back_opens_all() {
    let world = World::new().await;
    let ledger = world.replica("one").await;
    ledger
        .create(Scope::Server, &id("ada"), "server", person("Ada", "owner"))
        .await
        .expect("made");
    ledger.close().await;

    // The same name, another secret: what a lost file and a fresh start make.
    let fresh = StateSecret::generate("k1").expect("random");
    let mut params = world.params("one").await;
    params.secret = fresh.clone();
    let (ledger, refused) = phase(params).await;
    assert!(
        matches!(&refused, Phase::Refused(Refusal::OtherSecret(_))),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("put the secret"), "{refused}");
    assert!(
        ledger
            .view()
            .get::<Person>(Scope::Server, &id("ada"))
            .is_none()
    );
    let made = ledger
        .create(Scope::Server, &id("eve"), "server", person("Eve", "owner"))
        .await;
    assert!(matches!(made, Err(LedgerError::Closed(_))));
    ledger.close().await;

    let rotated = StateSecret::generate("k2").expect("random");
    let mut params = world.params("one").await;
    params.secret = world.secret.led_by(&rotated);
    let ledger = opened(params).await;
    let ada = ledger.view().get::<Person>(Scope::Server, &id("ada"));
    assert_eq!(ada.expect("there").role, "owner");
}

#[tokio::test]
async fn an_area_that_anybody_can_read_is_refused_with_the_way_out() {
    let world = World::new().await;
    let mut config = EmbeddedConfig::new().bucket(BUCKET, world.folder.path().join("open"));
    config.internal = ListenerConfig {
        anonymous: Anonymous::Full,
        ..ListenerConfig::default()
    };
    let open = EmbeddedS3::start(config).await.expect("a server");
    let mut place = world.config(".snowbank/");
    place.endpoint = Some(open.endpoint());
    if let snowbank::bucket::CredentialSource::Static {
        access_key_id,
        secret_access_key,
        ..
    } = &mut place.credentials.read
    {
        access_key_id.clone_from(&open.credentials().access_key);
        secret_access_key.clone_from(&open.credentials().secret_key);
    }
    let mut params = world.params("one").await;
    params.store = Arc::new(BucketStore::connect(&place).await.expect("a handle"));
    let (ledger, refused) = phase(params).await;
    assert_eq!(refused, Phase::Refused(Refusal::OpenToAnyone));
    assert!(refused.to_string().contains("[state] bucket"), "{refused}");
    assert!(
        ledger
            .create(Scope::Server, &id("a"), "server", person("A", "owner"))
            .await
            .is_err()
    );
    // Nothing was left there.
    assert!(
        !world
            .folder
            .path()
            .join("open/.snowbank/format.json")
            .exists()
    );
}

#[tokio::test]
async fn format_json_that_is_gone_altered_or_anothers_is_refused() {
    let world = World::new().await;
    let ledger = world.replica("one").await;
    ledger
        .create(Scope::Server, &id("ada"), "server", person("Ada", "owner"))
        .await
        .expect("made");
    ledger.close().await;
    let format = world.read("format.json");

    world.remove("format.json");
    let (_, gone) = phase(world.params("two").await).await;
    assert!(
        matches!(gone, Phase::Refused(Refusal::Format(_))),
        "{gone:?}"
    );

    let text = String::from_utf8(format.clone()).expect("text");
    world.write(
        "format.json",
        text.replace("\"write\": 1", "\"write\": 9").as_bytes(),
    );
    let (_, altered) = phase(world.params("two").await).await;
    assert!(
        matches!(altered, Phase::Refused(Refusal::Format(_))),
        "{altered:?}"
    );

    let mut other = World::new().await;
    other.secret = world.secret.clone();
    other.replica("x").await;
    world.write("format.json", &other.read("format.json"));
    let (_, theirs) = phase(world.params("one").await).await;
    assert!(
        matches!(theirs, Phase::Refused(Refusal::OtherServer { .. })),
        "{theirs:?}"
    );

    world.write("format.json", &format);
    opened(world.params("one").await).await;
}

#[tokio::test]
async fn an_area_that_was_emptied_is_not_begun_anew() {
    let world = World::new().await;
    world.replica("one").await.close().await;
    std::fs::remove_dir_all(world.path("")).expect("removed");
    let (_, emptied) = phase(world.params("one").await).await;
    assert_eq!(emptied, Phase::Refused(Refusal::Emptied));
}

#[tokio::test]
async fn credentials_that_may_not_write_read() {
    let world = World::new().await;
    let ledger = world.replica("one").await;
    ledger
        .create(Scope::Server, &id("ada"), "server", person("Ada", "owner"))
        .await
        .expect("made");
    let denied = Rule::new(Action::AccessDenied).on(Operation::Put);
    world.server.faults().add(denied);
    let (ledger, read_only) = phase(world.params("two").await).await;
    assert!(
        matches!(read_only, Phase::ReadOnly(ReadOnly::NoPermission(_))),
        "{read_only:?}"
    );
    assert!(
        ledger
            .view()
            .get::<Person>(Scope::Server, &id("ada"))
            .is_some()
    );
    let made = ledger
        .create(Scope::Server, &id("eve"), "server", person("Eve", "owner"))
        .await;
    assert!(matches!(made, Err(LedgerError::Closed(_))), "{made:?}");
}

#[tokio::test]
async fn a_bucket_that_does_not_answer_opens_when_it_does_and_goes_stale_when_it_stops() {
    let world = World::new().await;
    world.server.faults().add(Rule::new(Action::InternalError));
    let mut params = world.params("one").await;
    params.pace.retry = Duration::from_millis(50);
    params.pace.look = Duration::from_millis(50);
    params.pace.fresh = Duration::from_millis(400);
    params.pace.lost = Duration::from_millis(1200);
    let ledger = Ledger::open(params).expect("a ledger");
    let opening = ledger.settled(Duration::from_secs(20)).await;
    assert!(
        matches!(opening, Phase::Opening { problem: Some(_) }),
        "{opening:?}"
    );
    assert_eq!(ledger.freshness(), Freshness::Never);
    world.server.faults().clear();
    let mut phases = ledger.phase();
    let open = phases.wait_for(|phase| *phase == Phase::Open);
    tokio::time::timeout(Duration::from_secs(20), open)
        .await
        .expect("in time")
        .expect("a phase");
    assert!(matches!(ledger.freshness(), Freshness::Fresh(_)));
    ledger
        .create(Scope::Server, &id("ada"), "server", person("Ada", "owner"))
        .await
        .expect("made");

    world.server.faults().add(Rule::new(Action::InternalError));
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert!(
        matches!(ledger.freshness(), Freshness::Stale(_)),
        "{:?}",
        ledger.freshness()
    );
    assert!(ledger.freshness().may_publish());
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert!(matches!(ledger.freshness(), Freshness::Lost(_)));
    assert!(!ledger.freshness().may_publish());
    // What was known is still known; nothing is changed.
    assert!(
        ledger
            .view()
            .get::<Person>(Scope::Server, &id("ada"))
            .is_some()
    );
    let made = ledger
        .create(Scope::Server, &id("eve"), "server", person("Eve", "owner"))
        .await;
    assert!(matches!(made, Err(LedgerError::Lost(_))), "{made:?}");
    world.server.faults().clear();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(matches!(ledger.freshness(), Freshness::Fresh(_)));
}
