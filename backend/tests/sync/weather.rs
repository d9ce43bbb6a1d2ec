//! A store that refuses, stalls, cuts and is slow.

use std::time::{Duration, Instant};

use snowbank::bucket::embedded::faults::{Action, Rule};
use snowbank::bucket::embedded::operation::Operation;
use snowbank_shared::api::IndexState;

use crate::world::{World, first_sweep, hash, narinfo, sweep, try_sweep};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_often_fails_is_indexed_whole() {
    let world = World::with_paths(300).await;
    let faults = world.server.faults();
    for (action, probability) in [
        (Action::SlowDown, 0.1),
        (Action::InternalError, 0.05),
        (Action::LoseConnection, 0.05),
        (Action::BreakBody { after: 100 }, 0.05),
    ] {
        faults.add(Rule::new(action).with_probability(probability));
    }
    let sync = world.sync().await;
    // Five attempts at one in four: hardly ever is one narinfo left over.
    if sync.status().borrow().state != IndexState::Ready {
        sweep(&sync).await;
    }
    assert!(world.server.faults().injected() > 20);
    world.assert_paths((0..300).map(|n| (n, 0)));
    sync.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_stalls_is_given_up_and_asked_for_again() {
    let world = World::with_paths(40).await;
    let stall = Action::StallBody {
        after: 50,
        pause: Duration::from_secs(600),
    };
    world
        .server
        .faults()
        .add(Rule::new(stall).on(Operation::Get).times(3));
    let sync = world.sync().await;
    world.assert_paths((0..40).map(|n| (n, 0)));
    sync.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_cut_to_fit_is_not_taken_for_a_narinfo() {
    let world = World::with_paths(10).await;
    // Just before the signature, so that what is left is a narinfo.
    let after = narinfo(4, 0).find("Sig:").expect("signed") as u64;
    let cut = Rule::new(Action::ShortenBody { after })
        .on(Operation::Get)
        .key_contains(&hash(4).to_string());
    world.server.faults().add(cut.clone().times(1));
    let sync = world.sync().await;
    world.assert_paths((0..10).map(|n| (n, 0)));
    // For ever: the sweep says so, and the last good narinfo stays.
    world.write(&hash(4).narinfo_key(), narinfo(4, 8));
    world.server.faults().add(cut);
    let error = try_sweep(&sync)
        .await
        .expect_err("not complete")
        .to_string();
    assert!(error.contains("1 narinfos could not be fetched"), "{error}");
    world.assert_paths((0..10).map(|n| (n, 0)));
    world.server.faults().clear();
    sweep(&sync).await;
    world.assert_paths((0..10).map(|n| (n, if n == 4 { 8 } else { 0 })));
    sync.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_listing_says_which_permission_is_missing() {
    let world = World::with_paths(10).await;
    let sync = world.sync().await;
    world
        .server
        .faults()
        .add(Rule::new(Action::AccessDenied).on(Operation::List));
    try_sweep(&sync).await.expect_err("refused");
    let status = sync.status().borrow().clone();
    assert_eq!(status.state, IndexState::Failed);
    let error = status.error.expect("a reason");
    assert!(error.contains("s3:ListBucket"), "{error}");
    assert!(status.as_of.is_some(), "of the last good sweep");
    world.assert_paths((0..10).map(|n| (n, 0)));
    world.server.faults().clear();
    sweep(&sync).await;
    assert_eq!(sync.status().borrow().state, IndexState::Ready);
    assert_eq!(sync.status().borrow().error, None);
    sync.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_narinfos_are_an_error_together_and_a_finding_alone() {
    let world = World::with_paths(10).await;
    let refuse = Rule::new(Action::AccessDenied).on(Operation::Get);
    world.server.faults().add(refuse.clone());
    let sync = world.sync().await;
    let status = sync.status().borrow().clone();
    assert_eq!(status.state, IndexState::Failed);
    assert!(status.error.expect("a reason").contains("s3:GetObject"));
    assert!(world.index.view().swept_at().is_none(), "nothing was swept");
    world.server.faults().clear();
    world
        .server
        .faults()
        .add(refuse.key_contains(&hash(6).to_string()));
    sweep(&sync).await;
    assert_eq!(world.paths(), 9);
    let found = world.findings("narinfo-refused");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].object, hash(6).narinfo_key());
    world.server.faults().clear();
    sweep(&sync).await;
    assert_eq!(world.findings("narinfo-refused").len(), 0);
    world.assert_paths((0..10).map(|n| (n, 0)));
    sync.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_store_is_asked_many_things_at_once_and_progress_shows() {
    let world = World::with_paths(320).await;
    let delay = Duration::from_millis(100);
    world
        .server
        .faults()
        .add(Rule::new(Action::Delay(delay)).on(Operation::Get));
    let begun = Instant::now();
    let sync = world.start_sync(1);
    let mut status = sync.status();
    let seen = status
        .wait_for(|status| {
            let progress = status.progress.as_ref();
            progress.is_some_and(|progress| progress.listed && progress.fetched > 0)
        })
        .await
        .expect("the task lives")
        .clone();
    assert_eq!(seen.state, IndexState::Indexing);
    assert_eq!(seen.progress.expect("under way").found, 320);
    first_sweep(&sync).await;
    assert_eq!(sync.status().borrow().progress, None);
    // One after the other would be 32 s; 16 at once are 2.
    assert!(begun.elapsed() < delay * 320 / 3, "{:?}", begun.elapsed());
    world.assert_paths((0..320).map(|n| (n, 0)));
    sync.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_goes_away_and_comes_back_is_noticed_both_times() {
    let world = World::with_paths(30).await;
    let lost = Rule::new(Action::LoseConnection);
    world.server.faults().add(lost);
    let sync = world.sync().await;
    let status = sync.status().borrow().clone();
    assert_eq!(status.state, IndexState::Failed);
    assert_eq!(status.as_of, None);
    world.server.faults().clear();
    // By itself, soon after a failure, and not an hour later.
    let mut status = sync.status();
    let back = status.wait_for(|status| status.state == IndexState::Ready);
    let back = tokio::time::timeout(Duration::from_secs(30), back).await;
    back.expect("it tries again").expect("the task lives");
    world.assert_paths((0..30).map(|n| (n, 0)));
    sync.shutdown().await;
}
