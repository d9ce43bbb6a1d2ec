//! How much a browser loads before the first page is there.

use anyhow::{Context as _, ensure};
use reqwest::Method;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use snowbank_tests::server::Server;

/// Bytes of program that the first page may cost: PERFORMANCE.md g1, with CI's margin.
const LIMIT: usize = 300_000;

#[tokio::test(flavor = "multi_thread")]
async fn g1_the_first_page_loads_at_most_300_kb_of_program() -> anyhow::Result<()> {
    let server = Server::demo().await?;
    let page = server.text("/").await?;
    let assets: Vec<&str> = page
        .split('"')
        .filter(|text| text.contains("/_app/"))
        .filter(|text| {
            ["js", "wasm"].iter().any(|suffix| {
                std::path::Path::new(text)
                    .extension()
                    .is_some_and(|found| found == *suffix)
            })
        })
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    ensure!(
        assets.iter().any(|asset| asset.ends_with(".wasm")),
        "the page names no program: {page}"
    );
    let mut sum = 0;
    for asset in assets {
        let answer = server
            .request(Method::GET, asset)
            .header(ACCEPT_ENCODING, "br")
            .send()
            .await?;
        ensure!(answer.status().is_success(), "{asset}: {}", answer.status());
        let compressed = answer
            .headers()
            .get(CONTENT_ENCODING)
            .is_some_and(|coding| coding == "br");
        if !compressed {
            println!("SKIPPED: a debug build carries its assets uncompressed");
            return Ok(());
        }
        let bytes = answer
            .bytes()
            .await
            .with_context(|| asset.to_owned())?
            .len();
        println!("{asset}: {bytes} bytes");
        sum += bytes;
    }
    println!("together {sum} bytes");
    ensure!(sum <= LIMIT, "{sum} bytes of program, {LIMIT} are allowed");
    Ok(())
}
