//! A bucket that refuses at every step of an upload: nothing half done is seen, nothing published is
//! lost, and the same upload goes through once the bucket answers again.

use snowbank::bucket::embedded::faults::{Action, Rule};

use crate::upload_site::{Made, Site, Uploader};

/// Sends a path; the last answer.
async fn attempt(site: &Site, by: &Uploader, made: &Made) -> (u16, String) {
    let archive = site.put(by, &made.url(), made.stored.clone()).await;
    match archive.0 {
        200 => site.put(by, &made.key(), made.text()).await,
        _ => archive,
    }
}

/// What is seen of a path while and after its upload failed.
async fn nothing_half_done(site: &Site, made: &Made) {
    let objects = site.objects();
    if objects.contains(&made.key()) {
        assert!(objects.contains(&made.url()), "a narinfo without its NAR");
    }
    if site.served(made).await.is_some() {
        let nar = site.server.get(&format!("/main/{}", made.url())).await;
        assert_eq!(nar.bytes().await.expect("bytes"), made.stored);
    }
}

/// From each call on that names such a key, everything fails; then it is well again.
async fn fails_from_every_call_on(action: Action, keys: &str, calls: u64) {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    let embedded = site.server.server.embedded().expect("an embedded bucket");
    let faults = embedded.faults().clone();
    let mut published = Vec::<Made>::new();
    let mut refused = 0;
    for call in 0..calls {
        let references: Vec<&Made> = published.last().into_iter().collect();
        let made = Made::file(
            &format!("app-{call}"),
            &format!("app {call}"),
            &references,
            &alice.key,
        );
        let before = faults.injected();
        faults.add(Rule::new(action.clone()).key_contains(keys).skip(call));
        let (status, line) = attempt(&site, &alice, &made).await;
        let hit = faults.injected() > before;
        faults.clear();
        assert!(
            status == 200 || (400..500).contains(&status),
            "call {call}: {status} {line}"
        );
        assert!(
            line.len() < 1000 && line.lines().count() <= 1,
            "call {call}: {line}"
        );
        assert!(
            status == 200 || hit,
            "call {call}: refused for nothing: {line}"
        );
        refused += u64::from(status != 200);
        nothing_half_done(&site, &made).await;
        assert_eq!(
            attempt(&site, &alice, &made).await,
            (200, String::new()),
            "call {call}, again"
        );
        let served = site.served(&made).await.expect("published");
        assert_eq!(
            served.signatures().len(),
            2,
            "call {call}: {}",
            served.text()
        );
        published.push(made);
    }
    assert!(refused >= 3, "only {refused} of {calls} were refused");
    for made in &published {
        assert!(site.served(made).await.is_some(), "{} was lost", made.key());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_refuses_from_some_call_on() {
    fails_from_every_call_on(Action::AccessDenied, "nar", 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_refuses_all_that_the_server_writes_from_some_call_on() {
    fails_from_every_call_on(Action::AccessDenied, "", 16).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_whose_connections_are_lost_from_some_call_on() {
    fails_from_every_call_on(Action::LoseConnection, "nar", 6).await;
}
