//! Every page of the dashboard on the demo, for what has to hold on every page.

use snowbank_tests::server::Server;

use super::{FX2_HASH, fx1};

/// A page: its name for reports and screenshots, and its address.
pub(super) type Named = (&'static str, String);

/// A message of Nix with its explanation.
const EXPLAINED: &str = "/explain?e=warning%3A%20ignoring%20untrusted%20substituter%20%27https%3A%2F%2Fcache.example.com%27%2C%20you%20are%20not%20a%20trusted%20user.";

/// All of them. Where a page has kinds or states that look different, each is one.
pub(super) async fn all(server: &Server) -> anyhow::Result<Vec<Named>> {
    let hash_of = async |name: &str| -> anyhow::Result<String> {
        let rows = server
            .items(&format!("/api/v1/caches/main/paths?q={name}"))
            .await?;
        Ok(rows[0]["hash"].as_str().unwrap_or_default().to_owned())
    };
    let system = hash_of("nixos-system").await?;
    let withheld = hash_of("false-address").await?;
    let dangling = hash_of("dangling").await?;
    let powder = hash_of("powder-3.14.0").await?;
    let leaf = fx1::LEAF_HASH;
    Ok(vec![
        ("caches", "/".to_owned()),
        ("cache", "/c/main".to_owned()),
        ("paths", "/c/main/paths".to_owned()),
        (
            "paths-filtered",
            "/c/main/paths?sig=valid&sort=-closure_size".to_owned(),
        ),
        ("paths-window", "/c/main/paths?row=1".to_owned()),
        (
            "paths-none",
            "/c/main/paths?q=nothing-has-this-name".to_owned(),
        ),
        ("path", format!("/c/main/p/{system}")),
        ("closure", format!("/c/main/p/{system}/closure")),
        (
            "closure-tree",
            format!("/c/main/p/{system}/closure?view=tree"),
        ),
        (
            "closure-treemap",
            format!("/c/main/p/{system}/closure?view=treemap"),
        ),
        (
            "closure-table",
            format!("/c/main/p/{system}/closure?view=table"),
        ),
        ("closure-dangling", format!("/c/main/p/{dangling}/closure")),
        ("referrers", format!("/c/main/p/{leaf}/referrers")),
        (
            "signatures",
            format!("/c/main/p/{}/signatures", fx1::TOP_HASH),
        ),
        (
            "signatures-upstream",
            format!("/c/main/p/{FX2_HASH}/signatures"),
        ),
        ("files", format!("/c/main/p/{powder}/files")),
        ("file", format!("/c/main/p/{}/files", fx1::TOP_HASH)),
        ("conflicts", "/c/main/conflicts".to_owned()),
        ("log-none", format!("/c/main/p/{}/log", fx1::TOP_HASH)),
        ("history", format!("/c/main/p/{}/history", fx1::TOP_HASH)),
        ("raw", format!("/c/main/p/{}/raw", fx1::TOP_HASH)),
        ("withheld", format!("/c/main/p/{withheld}")),
        (
            "absent",
            "/c/main/p/00000000000000000000000000000000".to_owned(),
        ),
        ("health", "/c/main/health".to_owned()),
        ("health-check", "/c/main/health/unsigned".to_owned()),
        ("why", format!("/c/main/why/{}...{leaf}", fx1::TOP_HASH)),
        ("why-open", format!("/c/main/why/...{leaf}")),
        ("why-not", format!("/c/main/why/{leaf}...{}", fx1::TOP_HASH)),
        ("diff", format!("/c/main/diff/{system}...{}", fx1::TOP_HASH)),
        ("diff-open", "/c/main/diff".to_owned()),
        ("packages", "/c/main/packages".to_owned()),
        ("package", "/c/main/packages/powder".to_owned()),
        ("package-none", "/c/main/packages/nothing".to_owned()),
        ("upstreams", "/c/main/upstreams".to_owned()),
        (
            "usage-none",
            "/c/main/usage?tab=traffic&from=2020-01-01&to=2020-01-08".to_owned(),
        ),
        (
            "usage-misses-none",
            "/c/main/usage?tab=misses&from=2020-01-01&to=2020-01-08".to_owned(),
        ),
        (
            "usage-clients",
            "/c/main/usage?tab=clients&from=2020-01-01&to=2020-01-08".to_owned(),
        ),
        ("gc", "/c/main/gc".to_owned()),
        ("alerts", "/c/main/settings/alerts".to_owned()),
        ("upload", "/c/main/upload".to_owned()),
        ("pins", "/c/main/pins".to_owned()),
        ("cache-keys", "/c/main/keys".to_owned()),
        ("cache-key", "/c/main/keys/snowbank-demo-1".to_owned()),
        ("cache-key-none", "/c/main/keys/nobody-1".to_owned()),
        ("coverage", "/c/main/signatures".to_owned()),
        (
            "coverage-dropped",
            "/c/main/signatures?group=package&drop=snowbank-demo-1".to_owned(),
        ),
        ("pin-none", "/c/main/pins/prod@3".to_owned()),
        ("quarantine", "/c/main/quarantine".to_owned()),
        ("rotation", "/c/main/rotation".to_owned()),
        ("signing", "/c/main/signing".to_owned()),
        ("uploads", "/c/main/uploads".to_owned()),
        ("approvals", "/c/main/approvals".to_owned()),
        ("policy", "/c/main/settings/policy".to_owned()),
        ("lookup", "/lookup".to_owned()),
        (
            "lookup-answers",
            format!(
                "/lookup?p={}&p={dangling}&p={}",
                fx1::TOP_HASH,
                "0".repeat(32)
            ),
        ),
        ("connect", "/connect?caches=main".to_owned()),
        (
            "connect-nixos",
            "/connect?caches=main&target=nixos".to_owned(),
        ),
        ("connect-user", "/connect?caches=main&scope=user".to_owned()),
        ("connect-merge", "/connect/merge?caches=main".to_owned()),
        ("connect-doctor", "/connect/doctor?caches=main".to_owned()),
        ("connect-live", "/connect/live?cache=main".to_owned()),
        ("explain", EXPLAINED.to_owned()),
        ("help", "/help".to_owned()),
        ("glossary", "/help/glossary".to_owned()),
        ("components", "/help/components".to_owned()),
        ("preferences", "/me/preferences".to_owned()),
        ("login", "/login".to_owned()),
        ("members", "/members".to_owned()),
        ("me", "/me".to_owned()),
        ("tokens", "/me/tokens".to_owned()),
        ("keys", "/me/keys".to_owned()),
        ("settings", "/settings".to_owned()),
        ("audit", "/audit".to_owned()),
        ("about", "/about".to_owned()),
    ])
}

/// The page with the name.
pub(super) async fn one(server: &Server, name: &str) -> anyhow::Result<String> {
    let pages = all(server).await?;
    let page = pages.into_iter().find(|(known, _)| *known == name);
    page.map(|(_, path)| path)
        .ok_or_else(|| anyhow::anyhow!("no page is called {name}"))
}
