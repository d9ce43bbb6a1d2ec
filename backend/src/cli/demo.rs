//! `snowbank demo`: the server of `snowbank` alone, filled with a small real closure.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use time::OffsetDateTime;

use super::{logging, print, runtime, serve};
use crate::bench_data::month;
use crate::config::{CacheConfig, Config, Slug};
use crate::server::RunningServer;
use crate::{demo, server};

/// Where to show it.
#[derive(Debug, Clone, Args)]
pub(super) struct DemoArgs {
    /// Where to listen
    #[arg(
        long,
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:8080",
        env = "SNOWBANK_LISTEN"
    )]
    listen: SocketAddr,
    /// Open the bucket to S3 clients here, without credentials
    #[arg(long, value_name = "ADDR:PORT")]
    s3_listen: Option<SocketAddr>,
    /// Make up a month of traffic, sizes and findings for the pages that show them
    #[arg(long)]
    month: bool,
    #[command(flatten)]
    log: logging::LogArgs,
}

pub(super) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    logging::begin(&args.log, "warn")?;
    // Removed when this ends.
    let folder = tempfile::Builder::new()
        .prefix("snowbank-demo-")
        .tempdir()
        .context("a temporary folder")?;
    let filled = demo::prepare(folder.path())?;
    let key = filled.public_key.parse().context("the demo's key")?;
    let cache = CacheConfig {
        title: "Demo".to_owned(),
        make_key: false,
        public_keys: vec![key],
        ..CacheConfig::embedded(Slug::main(), filled.bucket.clone())
    };
    let config = Config {
        listen: args.listen,
        s3_listen: args.s3_listen,
        s3_anonymous: args
            .s3_listen
            .is_some_and(|address| address.ip().is_loopback()),
        ui_dir: std::env::var_os("SNOWBANK_UI_DIR").map(Into::into),
        caches: vec![cache],
        ..Config::in_folder(folder.path().join("data"))
    };
    runtime()?.block_on(async {
        let stop = serve::Stop::listen()?;
        let server = server::start(config.clone()).await?;
        if args.month {
            month_before(&server, &filled.bucket).await?;
        }
        let greeting = serve::greeting(&config, &server);
        print(&format!(
            "{greeting}\nand fetch its largest closure:\n\n  nix-store -r {}\n",
            filled.top
        ))?;
        serve::invite_owner(&server).await?;
        stop.wait().await;
        server.shutdown().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Makes up what was before the server started, and has the pages say so.
async fn month_before(server: &RunningServer, bucket: &Path) -> anyhow::Result<()> {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let site = server.site();
    for cache in &site.caches {
        cache.usage.set_generated_until(now);
        month::write(&site.ledger, cache.slug.as_str(), bucket, now).await?;
    }
    Ok(())
}
