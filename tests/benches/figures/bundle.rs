//! g1: what a browser loads before the dashboard runs, as it crosses the wire.

use std::collections::BTreeSet;
use std::fs::File;

use anyhow::ensure;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING};

use crate::measure::Figures;
use crate::part::{self, Part};

/// Kilobytes (1,000 bytes) of JavaScript and WebAssembly, brotli.
const TARGET: f64 = 250.0;
const LIMIT: f64 = 300.0;

/// Measures g1: the scripts and programs that the first page names, and that those name.
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
    let mut found: BTreeSet<String> = assets(&page).collect();
    if !found.iter().any(|asset| asset.ends_with(".js")) {
        figures.skip("g1", "the server was built without its dashboard");
        return Ok(());
    }
    let (mut total, mut done) = (0, BTreeSet::new());
    while let Some(asset) = found.iter().find(|asset| !done.contains(*asset)).cloned() {
        let url = format!("{origin}/_app/{asset}");
        let answer = client
            .get(&url)
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
        println!("    {asset}: {bytes} bytes");
        total += bytes;
        // What a script loads on its own: the program and its glue.
        if asset.ends_with(".js") {
            found.extend(assets(&client.get(&url).send().await?.text().await?));
        }
        done.insert(asset);
    }
    ensure!(
        done.iter().any(|asset| asset.ends_with(".wasm")),
        "no program among {done:?}"
    );
    figures.number(
        "g1",
        "scripts and programs of the first page, brotli",
        total as f64 / 1000.0,
        "kB",
        TARGET,
        LIMIT,
    )
}

/// Names of scripts and programs under `/_app/` in a text: `NAME.js`, `NAME.wasm`.
fn assets(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')))
        .filter(|word| word.ends_with(".js") || word.ends_with(".wasm"))
        // Only what has its hash in its name is an asset of ours.
        .filter(|word| word.split(['.', '-']).any(|part| part.len() >= 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit())))
        .map(str::to_owned)
}
