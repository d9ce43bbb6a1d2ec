//! Listings over the network: both versions of the API, encodings, tokens.

use reqwest::StatusCode;

use crate::store::{Store, element, elements, refusal, store};

async fn filled() -> Store {
    let store = store().await;
    for key in [
        "/a.narinfo",
        "/a/1",
        "/a/2",
        "/b%20c%26d",
        "/nar/x",
        "/%C3%BC",
    ] {
        store.stored(key, "x").await;
    }
    store
}

async fn text(store: &Store, query: &str) -> String {
    let response = store.get(query).await;
    assert_eq!(response.status(), StatusCode::OK, "{query}");
    response.text().await.unwrap()
}

#[tokio::test]
async fn version_2() {
    let store = filled().await;
    let all = text(&store, "?list-type=2").await;
    assert_eq!(
        elements(&all, "Key").collect::<Vec<_>>(),
        ["a.narinfo", "a/1", "a/2", "b c&amp;d", "nar/x", "ü"]
    );
    assert_eq!(
        (element(&all, "KeyCount"), element(&all, "IsTruncated")),
        (Some("6"), Some("false"))
    );
    assert!(
        element(&all, "ETag").is_some()
            && element(&all, "LastModified").is_some()
            && element(&all, "Size") == Some("1")
    );

    let root = text(&store, "?list-type=2&delimiter=%2F&encoding-type=url").await;
    assert_eq!(
        elements(&root, "Key").collect::<Vec<_>>(),
        ["a.narinfo", "b%20c%26d", "%C3%BC"]
    );
    let prefixes: Vec<_> = elements(&root, "CommonPrefixes")
        .map(|one| element(one, "Prefix").unwrap())
        .collect();
    assert_eq!(prefixes, ["a/", "nar/"]);

    let mut found = Vec::new();
    let mut query = "?list-type=2&max-keys=2".to_owned();
    loop {
        let page = text(&store, &query).await;
        found.extend(elements(&page, "Key").map(str::to_owned));
        let Some(token) = element(&page, "NextContinuationToken") else {
            break;
        };
        query = format!("?list-type=2&max-keys=2&continuation-token={token}");
    }
    assert_eq!(found.len(), 6);
    let after = text(&store, "?list-type=2&start-after=a/1").await;
    assert_eq!(elements(&after, "Key").next(), Some("a/2"));
    assert_eq!(
        element(
            &text(&store, "?list-type=2&max-keys=0").await,
            "IsTruncated"
        ),
        Some("false")
    );
    for query in [
        "?list-type=2&continuation-token=nonsense",
        "?list-type=2&max-keys=-1",
        "?list-type=2&encoding-type=x",
    ] {
        assert_eq!(
            refusal(store.get(query).await).await,
            (400, "InvalidArgument".into()),
            "{query}"
        );
    }
}

#[tokio::test]
async fn version_1() {
    let store = filled().await;
    let page = text(&store, "?max-keys=2").await;
    assert_eq!(
        elements(&page, "Key").collect::<Vec<_>>(),
        ["a.narinfo", "a/1"]
    );
    assert_eq!(
        (element(&page, "IsTruncated"), element(&page, "NextMarker")),
        (Some("true"), Some("a/1"))
    );
    let rest = text(&store, "?marker=a/1&delimiter=/").await;
    // `a/` sorts before the marker, so it was on an earlier page.
    assert_eq!(
        elements(&rest, "Key").collect::<Vec<_>>(),
        ["b c&amp;d", "ü"]
    );
}

#[tokio::test]
async fn the_state_area_is_hidden_from_others() {
    let store = store().await;
    let sdk = store.sdk();
    sdk.put_object()
        .bucket("main")
        .key(".snowbank/tokens/1")
        .body(b"secret".to_vec().into())
        .send()
        .await
        .unwrap();
    store.stored("/a", "x").await;
    for query in [
        "?list-type=2",
        "?list-type=2&delimiter=/",
        "?list-type=2&prefix=.snowbank/",
        "?list-type=2&prefix=.s",
        "",
    ] {
        let page = text(&store, query).await;
        assert!(
            !page.contains("tokens")
                && !page.contains("<Prefix>.snowbank/</Prefix></CommonPrefixes>"),
            "{query}: {page}"
        );
    }
    for method in [
        reqwest::Method::GET,
        reqwest::Method::PUT,
        reqwest::Method::DELETE,
    ] {
        let response = store
            .request(method, "/.snowbank/tokens/1")
            .body("")
            .send()
            .await
            .unwrap();
        assert_eq!(refusal(response).await, (403, "AccessDenied".into()));
    }
    let inner = sdk.list_objects_v2().bucket("main").send().await.unwrap();
    assert_eq!(
        inner
            .contents()
            .iter()
            .filter_map(|object| object.key())
            .collect::<Vec<_>>(),
        [".snowbank/tokens/1", "a"]
    );
}

#[tokio::test]
async fn buckets() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = crate::store::config(&dir.path().join("main"));
    config.new_buckets = Some(dir.path().join("more"));
    let server = snowbank::bucket::embedded::EmbeddedS3::start(config)
        .await
        .unwrap();
    let credentials = server.credentials().clone();
    let sdk = crate::store::sdk(
        &server.endpoint(),
        &credentials.access_key,
        &credentials.secret_key,
    );
    sdk.create_bucket().bucket("fresh").send().await.unwrap();
    assert!(sdk.create_bucket().bucket("fresh").send().await.is_err());
    sdk.put_object()
        .bucket("fresh")
        .key("a")
        .body(b"x".to_vec().into())
        .send()
        .await
        .unwrap();
    assert_eq!(
        std::fs::read(dir.path().join("more/fresh/a")).unwrap(),
        b"x"
    );
    let names = sdk.list_buckets().send().await.unwrap();
    assert_eq!(
        names
            .buckets()
            .iter()
            .filter_map(|bucket| bucket.name())
            .collect::<Vec<_>>(),
        ["fresh", "main"]
    );
    sdk.head_bucket().bucket("main").send().await.unwrap();
    assert!(sdk.head_bucket().bucket("none").send().await.is_err());
    sdk.get_bucket_location()
        .bucket("main")
        .send()
        .await
        .unwrap();

    let declared = store().await;
    let error = declared
        .sdk()
        .create_bucket()
        .bucket("fresh")
        .send()
        .await
        .unwrap_err();
    assert_eq!(
        error.into_service_error().meta().code(),
        Some("AccessDenied")
    );
}
