//! How much a browser loads before the first page is there: what the page names.
//! That nothing else is needed is shown in `browser/parts.rs`.

use anyhow::{Context as _, ensure};
use reqwest::Method;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use snowbank_tests::server::Server;

/// Bytes of program that the first page may cost: PERFORMANCE.md g1.
const LIMIT: usize = 250_000;

#[tokio::test(flavor = "multi_thread")]
async fn g1_the_first_page_loads_at_most_250_kb_of_program() -> anyhow::Result<()> {
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
        if asset.ends_with(".wasm") && names_its_functions(&server, asset).await? {
            println!("SKIPPED: this server carries the program of a debug build");
            return Ok(());
        }
        let answer = server
            .request(Method::GET, asset)
            .header(ACCEPT_ENCODING, "br")
            .send()
            .await?;
        ensure!(
            answer.status().is_success()
                && (answer.headers().get(CONTENT_ENCODING)).is_some_and(|coding| coding == "br"),
            "{asset} is not sent in brotli: {answer:?}"
        );
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

/// Only a debug build keeps the section that names functions.
async fn names_its_functions(server: &Server, asset: &str) -> anyhow::Result<bool> {
    let program = server
        .request(Method::GET, asset)
        .send()
        .await?
        .bytes()
        .await?;
    Ok(program.windows(5).any(|window| window == b"\x04name"))
}
