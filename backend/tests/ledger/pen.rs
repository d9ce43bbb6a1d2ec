//! Where the store ignores conditions: one writer, and who it is.

use std::sync::Arc;
use std::time::Duration;

use snowbank::ledger::{Ledger, LedgerError, LedgerParams, Phase, ReadOnly, Refusal, Scope};

use super::conductor::Conducted;
use super::world::{Person, World, id, person};

async fn params(world: &World, name: &str) -> LedgerParams {
    let mut params = world.params(name).await;
    params.store = Arc::new(Conducted {
        store: world.store().await,
        heeds_conditions: false,
    });
    params
}

async fn open(params: LedgerParams) -> (Ledger, Phase) {
    let ledger = Ledger::open(params).expect("a ledger");
    let phase = ledger.settled(Duration::from_secs(20)).await;
    (ledger, phase)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_writer_is_refused_and_one_that_is_told_who_writes_reads() {
    let world = World::new().await;
    let (one, phase) = open(params(&world, "one").await).await;
    assert_eq!(phase, Phase::Open);
    one.create(Scope::Server, &id("ada"), "server", person("Ada", "owner"))
        .await
        .expect("made");

    let (two, phase) = open(params(&world, "two").await).await;
    assert_eq!(
        phase,
        Phase::Refused(Refusal::SecondWriter(one.instance().to_owned()))
    );
    assert!(phase.to_string().contains("state.writer"), "{phase}");
    let made = two
        .create(Scope::Server, &id("eve"), "server", person("Eve", "owner"))
        .await;
    assert!(matches!(made, Err(LedgerError::Closed(_))), "{made:?}");

    let mut follows = params(&world, "three").await;
    follows.writer = Some("https://one.example.org".to_owned());
    let (three, phase) = open(follows).await;
    let other = ReadOnly::OtherWriter("https://one.example.org".to_owned());
    assert_eq!(phase, Phase::ReadOnly(other));
    assert!(
        three
            .view()
            .get::<Person>(Scope::Server, &id("ada"))
            .is_some()
    );

    // The first one ends, and gives the pen back: the next need not wait.
    one.close().await;
    two.close().await;
    let began = std::time::Instant::now();
    let (four, phase) = open(params(&world, "four").await).await;
    assert_eq!(phase, Phase::Open);
    assert!(
        began.elapsed() < Duration::from_millis(2900),
        "{:?}",
        began.elapsed()
    );
    four.create(Scope::Server, &id("bob"), "server", person("Bob", "reader"))
        .await
        .expect("made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_start_at_once_one_writes() {
    for _ in 0..5 {
        let world = World::new().await;
        // The area is there: making it is not what they compete for.
        open(params(&world, "first").await).await.0.close().await;
        let mut starting = Vec::new();
        for number in 0..4 {
            let params = params(&world, &format!("r{number}")).await;
            starting.push(tokio::spawn(open(params)));
        }
        let mut writing = 0;
        for started in starting {
            let (_, phase) = started.await.expect("no panic");
            match phase {
                Phase::Open => writing += 1,
                Phase::Refused(Refusal::SecondWriter(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(writing, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_claim_of_a_killed_writer_is_waited_out() {
    let world = World::new().await;
    // A process of which only the claim is left.
    let killed = {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let params = params(&world, "one").await;
        let killed = std::thread::scope(|scope| {
            let killed = scope.spawn(|| {
                runtime.block_on(async {
                    let (ledger, phase) = open(params).await;
                    assert_eq!(phase, Phase::Open);
                    ledger
                        .create(Scope::Server, &id("ada"), "server", person("Ada", "owner"))
                        .await
                        .expect("made");
                    ledger.instance().to_owned()
                })
            });
            killed.join().expect("no panic")
        });
        runtime.shutdown_background();
        killed
    };
    assert!(world.path(&format!("writers/{killed}")).exists());
    let began = std::time::Instant::now();
    let (two, phase) = open(params(&world, "two").await).await;
    assert_eq!(phase, Phase::Open);
    assert!(
        began.elapsed() >= Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    assert!(!world.path(&format!("writers/{killed}")).exists());
    assert!(
        two.view()
            .get::<Person>(Scope::Server, &id("ada"))
            .is_some()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_was_taken_for_dead_stops() {
    let world = World::new().await;
    let (one, phase) = open(params(&world, "one").await).await;
    assert_eq!(phase, Phase::Open);
    // What the next writer does to a claim that does not change.
    world.remove(&format!("writers/{}", one.instance()));
    let mut phases = one.phase();
    let lost = phases.wait_for(|phase| *phase == Phase::ReadOnly(ReadOnly::PenLost));
    tokio::time::timeout(Duration::from_secs(5), lost)
        .await
        .expect("in time")
        .expect("open");
    let made = one
        .create(Scope::Server, &id("eve"), "server", person("Eve", "owner"))
        .await;
    assert!(matches!(made, Err(LedgerError::Closed(_))), "{made:?}");
}
