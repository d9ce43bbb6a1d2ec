//! Uploads by a session, which a browser sends along from whatever page asks it to.

use reqwest::Method;

use crate::upload_site::{Made, Site};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_uploads_from_a_page_of_ours_alone() {
    let site = Site::start(|_| {}).await;
    let alice = site.contributor("alice").await;
    let made = Made::file("one-1", "one", &[], &alice.key);
    let cookie = site.owner.cookie.clone().expect("a session");
    let key = made.url();
    let ours = site.server.server.site().public_url.origin().to_owned();
    let put = async |origin: Option<&str>| {
        let url = site.server.url(&format!("/main/{key}"));
        let request = site
            .server
            .client
            .request(Method::PUT, url)
            .header("cookie", &cookie)
            .body(made.stored.clone());
        let request = match origin {
            Some(origin) => request.header("origin", origin),
            None => request,
        };
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.text().await.expect("a text"))
    };
    for foreign in [None, Some("https://elsewhere.example"), Some("null")] {
        let (status, line) = put(foreign).await;
        assert_eq!(status, 403, "{foreign:?}: {line}");
        assert!(line.starts_with("foreign-origin: "), "{line}");
    }
    let stored = site.server.server.site().caches[0].bucket.find(&key);
    assert!(stored.await.expect("an answer").is_none(), "nothing stays");
    assert_eq!(put(Some(&ours)).await, (200, String::new()));
    // Whose it is may hear that it is there, before a narinfo names it; nobody else does.
    let head = async |cookie: Option<&str>| {
        let url = site.server.url(&format!("/main/{key}"));
        let request = site.server.client.request(Method::HEAD, url);
        let request = match cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        };
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(head(Some(&cookie)).await, 200);
    assert_eq!(head(None).await, 404);
}
