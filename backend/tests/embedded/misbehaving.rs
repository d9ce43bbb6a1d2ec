//! The faults that other tests rely on really happen, and requests are counted.

use std::time::{Duration, Instant};

use reqwest::Method;
use snowbank::bucket::embedded::faults::{Action, Rule};
use snowbank::bucket::embedded::operation::Operation;

use crate::store::{element, refusal, store};

#[tokio::test]
async fn requests_are_counted_by_operation() {
    let store = store().await;
    store.stored("/a", "x").await;
    store.get("/a").await;
    store.get("/none").await;
    store.request(Method::HEAD, "/a").send().await.unwrap();
    store.get("?list-type=2").await;
    let sdk = store.sdk();
    sdk.get_object()
        .bucket("main")
        .key("a")
        .send()
        .await
        .unwrap();
    let outer = store.server.external_counters().unwrap();
    let counts = [
        Operation::Put,
        Operation::Get,
        Operation::Head,
        Operation::List,
        Operation::Delete,
    ]
    .map(|one| outer.get(one));
    assert_eq!(counts, [1, 2, 1, 1, 0]);
    assert_eq!(store.server.counters().get(Operation::Get), 1);
    outer.reset();
    assert!(outer.all().is_empty());
}

#[tokio::test]
async fn answers_are_refused_late_or_lost() {
    let store = store().await;
    store.stored("/a.narinfo", "x").await;
    let faults = store.server.faults();
    faults.add(Rule::new(Action::SlowDown).on(Operation::Get).times(2));
    for _ in 0..2 {
        assert_eq!(
            refusal(store.get("/a.narinfo").await).await,
            (503, "SlowDown".into())
        );
    }
    assert_eq!(store.get("/a.narinfo").await.status().as_u16(), 200);
    faults.add(Rule::new(Action::AccessDenied).on(Operation::List));
    assert_eq!(
        refusal(store.get("?list-type=2").await).await,
        (403, "AccessDenied".into())
    );
    faults.clear();
    faults.add(
        Rule::new(Action::NotFound)
            .on(Operation::Get)
            .key_contains("a.narinfo")
            .times(1),
    );
    assert_eq!(
        refusal(store.get("/a.narinfo").await).await,
        (404, "NoSuchKey".into())
    );
    faults.add(Rule::new(Action::Delay(Duration::from_millis(120))).times(1));
    let began = Instant::now();
    store.get("/a.narinfo").await;
    assert!(began.elapsed() >= Duration::from_millis(120));
    faults.add(Rule::new(Action::LoseConnection).on(Operation::Head));
    assert!(
        store
            .request(Method::HEAD, "/a.narinfo")
            .send()
            .await
            .is_err()
    );
    assert_eq!(faults.injected(), 6);
}

#[tokio::test]
async fn bodies_are_broken_cut_and_stalled() {
    let store = store().await;
    for (path, size) in [("/small", 1_000_usize), ("/large", 1 << 20)] {
        store.stored(path, vec![b'x'; size]).await;
        let faults = store.server.faults();
        faults.add(
            Rule::new(Action::BreakBody { after: 600 })
                .on(Operation::Get)
                .times(1),
        );
        assert!(store.get(path).await.bytes().await.is_err(), "{path}");
        faults.add(
            Rule::new(Action::ShortenBody { after: 600 })
                .on(Operation::Get)
                .times(1),
        );
        assert_eq!(
            store.get(path).await.bytes().await.unwrap().len(),
            600,
            "{path}"
        );
        let pause = Duration::from_millis(150);
        faults.add(
            Rule::new(Action::StallBody { after: 600, pause })
                .on(Operation::Get)
                .times(1),
        );
        let began = Instant::now();
        assert_eq!(
            store.get(path).await.bytes().await.unwrap().len(),
            size,
            "{path}"
        );
        assert!(began.elapsed() >= pause);
    }
}

#[tokio::test]
async fn listings_lie() {
    let store = store().await;
    for key in ["/a", "/b", "/c"] {
        store.stored(key, "x").await;
    }
    let faults = store.server.faults();
    faults.add(
        Rule::new(Action::ListWithoutToken)
            .on(Operation::List)
            .times(1),
    );
    let page = store
        .get("?list-type=2&max-keys=2")
        .await
        .text()
        .await
        .unwrap();
    assert_eq!(
        (
            element(&page, "IsTruncated"),
            element(&page, "NextContinuationToken")
        ),
        (Some("true"), None)
    );
    faults.add(
        Rule::new(Action::ListEndsEarly)
            .on(Operation::List)
            .times(1),
    );
    let page = store
        .get("?list-type=2&max-keys=2")
        .await
        .text()
        .await
        .unwrap();
    assert_eq!(
        (
            element(&page, "IsTruncated"),
            element(&page, "NextContinuationToken")
        ),
        (Some("false"), None)
    );
    faults.add(Rule::new(Action::ListCut).on(Operation::List).times(1));
    assert!(
        !store
            .get("?list-type=2")
            .await
            .text()
            .await
            .unwrap()
            .contains("</ListBucketResult>")
    );
}
