//! Private and unlisted caches, several caches in one server.

use snowbank::config::{CacheConfig, Source};
use snowbank_shared::api::Visibility;

use crate::harness::{Shelf, TestServer, config, header};

#[tokio::test(flavor = "multi_thread")]
async fn a_private_cache_says_401_whether_a_path_exists_or_not() {
    for visibility in [Visibility::Private, Visibility::Unlisted] {
        let server = TestServer::start(
            |shelf| {
                shelf.put("base-1.0", &[]);
            },
            |config| config.caches[0].visibility = visibility,
        )
        .await;
        let base = server.shelf().make("base-1.0", &[], true);
        let mut answers = Vec::new();
        for path in [
            format!("/main/{}.narinfo", base.hash),
            "/main/00000000000000000000000000000000.narinfo".into(),
            format!("/main/{}", base.url),
            "/main/nar/absent.nar".into(),
            "/main/nix-cache-info".into(),
        ] {
            for credentials in [
                &[][..],
                &[("authorization", "Basic Zm9vOmJhcg==")],
                &[("authorization", "nonsense")],
            ] {
                let response = server.get_with(&path, credentials).await;
                assert_eq!(response.status(), 401, "{path}");
                assert!(header(&response, "www-authenticate").starts_with("Basic "));
                assert_eq!(header(&response, "cache-control"), "private, no-store");
                let text = response.text().await.expect("text");
                assert!(text.len() < 1024);
                answers.push(text.split("(request").next().expect("a text").to_owned());
            }
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "one text for all: {answers:?}");

        for path in [
            "",
            "/paths",
            "/keys",
            "/health",
            "/events",
            &format!("/paths/{}", base.hash),
            &format!("/paths/{}/raw", base.hash),
        ] {
            let response = server.get(&format!("/api/v1/caches/main{path}")).await;
            assert_eq!(response.status(), 401, "{path}");
            assert!(
                response.headers().get("www-authenticate").is_none(),
                "browsers would ask for a password"
            );
            assert_eq!(
                response.json::<serde_json::Value>().await.expect("JSON")["code"],
                "login-needed"
            );
        }
        assert_eq!(server.json("/api/v1/caches").await["total"], 0);
        let found = server
            .json(&format!("/api/v1/lookup?q={}", base.hash))
            .await;
        assert_eq!(
            found["items"][0]["caches"]
                .as_array()
                .expect("caches")
                .len(),
            0
        );
        let configuration = if visibility == Visibility::Private {
            200
        } else {
            401
        };
        for file in [
            "keys.txt",
            "keys.json",
            "nix.conf",
            "module.nix",
            "install.sh",
            "flake.tar.gz",
        ] {
            assert_eq!(
                server.get(&format!("/c/main/{file}")).await.status(),
                configuration,
                "{visibility:?} {file}"
            );
        }
        assert!(
            !server.text("/").await.contains("test-1:"),
            "nor in the page for browsers without JavaScript"
        );
        assert_eq!(
            server.get("/metrics").await.status(),
            404,
            "the counters name caches"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn caches_in_one_folder_do_not_see_each_other() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("cache");
    let (outer, inner) = (Shelf::new(&folder), Shelf::new(folder.join("team")));
    let of_outer = outer.put("outer-1.0", &[]);
    let of_inner = inner.put("inner-1.0", &[]);
    let mut config = config(dir.path());
    config.caches.push(CacheConfig {
        slug: "team".parse().expect("a slug"),
        source: Source::Folder {
            folder: folder.clone(),
            prefix: "team".into(),
        },
        ..config.caches[0].clone()
    });
    let server = TestServer::run(config, dir).await;
    for (cache, own, others) in [
        ("main", &of_outer, &of_inner),
        ("team", &of_inner, &of_outer),
    ] {
        assert_eq!(
            server.text(&format!("/{cache}/{}.narinfo", own.hash)).await,
            own.narinfo
        );
        assert_eq!(
            server.get(&format!("/{cache}/{}", own.url)).await.status(),
            200
        );
        for foreign in [
            format!("{}.narinfo", others.hash),
            others.url.clone(),
            format!("team/{}", others.url),
            format!("../{}", others.url),
        ] {
            assert_eq!(
                server.get(&format!("/{cache}/{foreign}")).await.status(),
                404,
                "{cache} {foreign}"
            );
        }
        assert_eq!(
            server.json(&format!("/api/v1/caches/{cache}/paths")).await["total"],
            1
        );
    }
    assert_eq!(server.json("/api/v1/caches").await["total"], 2);
}
