use proptest::prelude::*;

use super::*;
use crate::api::{ContentStatus, SignatureStatus};

const HASH: &str = "xynxqns12h5f1dcq1j5x3c3232454njk";

fn filtered() -> PathsQuery {
    PathsQuery {
        q: "python3 & co".to_owned(),
        sort: Sort {
            key: SortKey::ClosureSize,
            descending: true,
        },
        sig: Some(SignatureStatus::UnknownKey),
        content: Some(ContentStatus::NarMissing),
        key: Some("team-2".to_owned()),
        compression: Some("zstd".to_owned()),
        pin: Some("prod".to_owned()),
        unreferenced: true,
        reproduced: true,
        min: Some(1024),
        max: Some(1 << 40),
        since: Some("2026-11-01".to_owned()),
        until: Some("2026-11-20T14:02:00Z".to_owned()),
        cursor: Some("b64+/=".to_owned()),
        row: Some(4001),
        at: Some("2026-11-23T12:03:00Z".to_owned()),
        ..PathsQuery::default()
    }
}

/// One of each page, with and without what may be left out.
fn every_page() -> Vec<Route> {
    let mut pages = vec![
        Route::Caches,
        Route::of_cache("main"),
        Route::paths("main"),
        Route::Paths {
            cache: "main".to_owned(),
            query: filtered(),
        },
    ];
    pages.extend(PathTab::ALL.map(|tab| Route::Path {
        cache: "main".to_owned(),
        hash: HASH.to_owned(),
        tab,
    }));
    pages.extend([
        Route::File {
            cache: "main".to_owned(),
            hash: HASH.to_owned(),
            file: "bin/odd%FF%0A".to_owned(),
        },
        Route::Conflicts {
            cache: "main".to_owned(),
            hash: None,
        },
        Route::Conflicts {
            cache: "main".to_owned(),
            hash: Some(HASH.to_owned()),
        },
        Route::health("main"),
        Route::Health {
            cache: "main".to_owned(),
            check: Some("bad-narinfo".to_owned()),
        },
        Route::Upload {
            cache: "main".to_owned(),
        },
        Route::Uploads {
            cache: "main".to_owned(),
        },
        Route::UploadSession {
            cache: "main".to_owned(),
            id: "0123456789abcdef0123456789abcdef".to_owned(),
        },
        Route::Upstreams {
            cache: "main".to_owned(),
        },
        Route::Connect(ConnectRoute::Generate(ConnectQuery::default())),
        Route::connect("main"),
        Route::Connect(ConnectRoute::Generate(ConnectQuery {
            caches: vec!["main".to_owned(), "team".to_owned()],
            target: Some(ConnectTarget::NixOs),
            ..ConnectQuery::default()
        })),
        Route::Lookup { paths: vec![] },
        Route::Lookup {
            paths: vec![HASH.to_owned(), "/nix/store/x".to_owned()],
        },
        Route::Help,
        Route::Glossary,
        Route::Components,
        Route::Preferences,
        Route::About,
    ]);
    pages
}

#[test]
fn addresses_are_these() {
    let printed: Vec<String> = every_page().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(printed.join("\n"), @r"
    /
    /c/main
    /c/main/paths
    /c/main/paths?q=python3%20%26%20co&sort=-closure_size&sig=unknown-key&content=nar-missing&key=team-2&compression=zstd&pin=prod&unreferenced=true&reproduced=yes&min=1024&max=1099511627776&row=4001&since=2026-11-01&until=2026-11-20T14%3A02%3A00Z&cursor=b64%2B%2F%3D&at=2026-11-23T12%3A03%3A00Z
    /c/main/p/xynxqns12h5f1dcq1j5x3c3232454njk
    /c/main/p/xynxqns12h5f1dcq1j5x3c3232454njk/closure
    /c/main/p/xynxqns12h5f1dcq1j5x3c3232454njk/referrers
    /c/main/p/xynxqns12h5f1dcq1j5x3c3232454njk/files
    /c/main/p/xynxqns12h5f1dcq1j5x3c3232454njk/signatures
    /c/main/p/xynxqns12h5f1dcq1j5x3c3232454njk/log
    /c/main/p/xynxqns12h5f1dcq1j5x3c3232454njk/history
    /c/main/p/xynxqns12h5f1dcq1j5x3c3232454njk/raw
    /c/main/p/xynxqns12h5f1dcq1j5x3c3232454njk/files/bin/odd%FF%0A
    /c/main/conflicts
    /c/main/conflicts/xynxqns12h5f1dcq1j5x3c3232454njk
    /c/main/health
    /c/main/health/bad-narinfo
    /c/main/upload
    /c/main/uploads
    /c/main/uploads/0123456789abcdef0123456789abcdef
    /c/main/upstreams
    /connect
    /connect?caches=main
    /connect?caches=main,team&target=nixos
    /lookup
    /lookup?p=xynxqns12h5f1dcq1j5x3c3232454njk&p=%2Fnix%2Fstore%2Fx
    /help
    /help/glossary
    /help/components
    /me/preferences
    /about
    ");
    for route in every_page() {
        assert_eq!(route.to_string().parse(), Ok(route));
    }
}

#[test]
fn forms_people_type_are_understood() {
    let cases = [
        ("/c/main/", Route::of_cache("main")),
        (
            "/c/main/p/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0",
            Route::path("main", HASH),
        ),
        ("/help/glossary#added-size", Route::Glossary),
        ("/c/main/paths?sort=&q=", Route::paths("main")),
        ("/c/main/paths?utm_source=mail", Route::paths("main")),
    ];
    for (text, route) in cases {
        assert_eq!(text.parse(), Ok(route), "{text}");
    }
    assert_eq!(
        "/c/main/paths?q=two+words".parse(),
        Ok(Route::Paths {
            cache: "main".to_owned(),
            query: PathsQuery {
                q: "two words".to_owned(),
                ..PathsQuery::default()
            },
        })
    );
}

#[test]
fn what_is_no_page_is_refused() {
    for text in [
        "",
        "c/main",
        "//",
        "/c",
        "/c//paths",
        "/c/../paths",
        "/c/main/nowhere",
        "/c/main/p/tooshort",
        // e, o, t and u do not occur in nix32
        "/c/main/p/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
        "/c/main/p/xynxqns12h5f1dcq1j5x3c3232454njk/summary",
        "/c/%FF",
        "/c/main/p/xynxqns12h5f1dcq1j5x3c3232454njk/files/a%2Fb",
        "/c/main/p/xynxqns12h5f1dcq1j5x3c3232454njk/files/../x",
        "/c/main/conflicts/tooshort",
        "/nix-cache-info",
        "/main/xynxqns12h5f1dcq1j5x3c3232454njk.narinfo",
    ] {
        assert_eq!(text.parse::<Route>(), Err(RouteError::NoSuchPage), "{text}");
    }
    for (text, name, value) in [
        ("/c/main/paths?sig=good", "sig", "good"),
        ("/c/main/paths?sort=-size", "sort", "-size"),
        ("/c/main/paths?min=1MiB", "min", "1MiB"),
        ("/c/main/paths?row=last", "row", "last"),
        ("/connect?target=windows", "target", "windows"),
    ] {
        assert_eq!(
            text.parse::<Route>(),
            Err(RouteError::Parameter {
                name,
                value: value.to_owned(),
            })
        );
    }
}

fn segment() -> impl Strategy<Value = String> {
    "[^\\p{C}]{1,12}".prop_filter("is a segment", |text| is_segment(text))
}

fn optional() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("\\PC{1,12}")
}

fn paths_query() -> impl Strategy<Value = PathsQuery> {
    (
        ("\\PC{0,20}", 0..SortKey::ALL.len(), any::<bool>()),
        proptest::option::of(0..SignatureStatus::ALL.len()),
        proptest::option::of(0..ContentStatus::ALL.len()),
        (
            optional(),
            optional(),
            optional(),
            optional(),
            optional(),
            optional(),
            optional(),
            optional(),
            optional(),
            optional(),
        ),
        any::<(bool, bool, Option<u64>, Option<u64>, Option<u64>)>(),
    )
        .prop_map(
            |(
                (q, key, descending),
                sig,
                content,
                texts,
                (unreferenced, reproduced, min, max, row),
            )| {
                PathsQuery {
                    q,
                    sort: Sort {
                        key: SortKey::ALL[key],
                        descending,
                    },
                    sig: sig.map(|at| SignatureStatus::ALL[at]),
                    content: content.map(|at| ContentStatus::ALL[at]),
                    key: texts.0,
                    compression: texts.1,
                    unreferenced,
                    reproduced,
                    min,
                    max,
                    since: texts.2,
                    until: texts.3,
                    cursor: texts.4,
                    row,
                    at: texts.5,
                    pin: texts.6,
                    package: texts.7.map(Into::into),
                    vouch: texts.8.map(Into::into),
                    by: texts.9.map(Into::into),
                }
            },
        )
}

fn route() -> impl Strategy<Value = Route> {
    prop_oneof![
        segment().prop_map(Route::of_cache),
        (segment(), paths_query()).prop_map(|(cache, query)| Route::Paths { cache, query }),
        (
            segment(),
            "[0-9abcdfghijklmnpqrsvwxyz]{32}",
            0..PathTab::ALL.len()
        )
            .prop_map(|(cache, hash, tab)| Route::Path {
                cache,
                hash,
                tab: PathTab::ALL[tab],
            }),
        proptest::collection::vec("\\PC{1,12}", 0..4).prop_map(|paths| Route::Lookup { paths }),
        (segment(), proptest::option::of(segment()))
            .prop_map(|(cache, check)| Route::Health { cache, check }),
        (proptest::collection::vec(segment(), 0..4), any::<bool>()).prop_map(|(caches, nixos)| {
            Route::Connect(ConnectRoute::Generate(ConnectQuery {
                caches,
                target: nixos.then_some(ConnectTarget::NixOs),
                ..ConnectQuery::default()
            }))
        }),
    ]
}

proptest! {
    #[test]
    fn printed_and_read_back_it_is_the_same(route in route()) {
        prop_assert_eq!(route.to_string().parse(), Ok(route));
    }

    #[test]
    fn an_address_is_plain_ascii(route in route()) {
        let printed = route.to_string();
        prop_assert!(printed.starts_with('/') && printed.bytes().all(|byte| byte.is_ascii_graphic()));
        prop_assert!(!printed.contains(['"', '<', '>', '#', '\'']));
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}") {
        drop(text.parse::<Route>());
    }
}
