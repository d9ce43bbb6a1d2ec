//! g1: what a browser loads before the first page is there, as it crosses the wire.
//! The parts that other pages bring with them are printed, and not counted.

use std::collections::BTreeSet;
use std::fs::File;

use anyhow::ensure;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING};

use crate::measure::Figures;
use crate::part::{self, Part};

/// Kilobytes (1,000 bytes) of JavaScript and WebAssembly, brotli.
const TARGET: f64 = 250.0;
const LIMIT: f64 = 250.0;

/// Measures g1: the scripts and programs that the page names.
pub async fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    let home = part::folder()?;
    let config = home.path().join("snowbank.toml");
    let text = format!(
        "listen = \"127.0.0.1:0\"\ndata_dir = {:?}\n",
        home.path().join("data").display().to_string()
    );
    std::fs::write(&config, text)?;
    let server = Part::server(&config, File::create(home.path().join("log"))?, None)?;
    let origin = crate::narinfo::origin(&server.line)?;

    let client = reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(30))
        .build()?;
    let page = client
        .get(&origin)
        .send()
        .await?
        .error_for_status()?
        .text()
        .await?;
    let found: BTreeSet<String> = assets(&page).collect();
    if !found.iter().any(|asset| asset.ends_with(".js")) {
        figures.skip("g1", "the server was built without its dashboard");
        return Ok(());
    }
    let (mut total, mut later) = (0, BTreeSet::new());
    for asset in &found {
        let bytes = brotli(&client, &origin, asset).await?;
        println!("    {asset}: {bytes} bytes");
        total += bytes;
        if asset.ends_with(".js") {
            let url = format!("{origin}/_app/{asset}");
            later.extend(assets(&client.get(&url).send().await?.text().await?));
        }
    }
    ensure!(
        found.iter().any(|asset| asset.ends_with(".wasm")),
        "no program among {found:?}"
    );
    let mut other_pages = 0;
    for asset in later.difference(&found) {
        other_pages += brotli(&client, &origin, asset).await?;
    }
    println!("    {other_pages} bytes more in the parts of other pages");
    figures.number(
        "g1",
        "scripts and programs of the first page, brotli",
        total as f64 / 1000.0,
        "kB",
        TARGET,
        LIMIT,
    )
}

/// How many bytes of an asset cross the wire.
async fn brotli(client: &reqwest::Client, origin: &str, asset: &str) -> anyhow::Result<usize> {
    let answer = client
        .get(format!("{origin}/_app/{asset}"))
        .header(ACCEPT_ENCODING, "br")
        .send()
        .await?
        .error_for_status()?;
    let encoded = answer
        .headers()
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding == "br");
    let bytes = answer.bytes().await?.len();
    ensure!(
        encoded || bytes < 1000,
        "{asset} is not served in brotli: build with --release"
    );
    Ok(bytes)
}

/// Names of scripts and programs under `/_app/` in a text: `NAME.js`, `NAME.wasm`.
fn assets(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')))
        .filter(|word| word.ends_with(".js") || word.ends_with(".wasm"))
        // Only what has its hash in its name is an asset of ours.
        .filter(|word| word.split(['.', '-']).any(|part| part.len() >= 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit())))
        .map(str::to_owned)
}
