//! `snowbank index`: one sweep of every cache, then a summary. For cron jobs and for a
//! first look at a bucket.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::{ServeArgs, logging, print, runtime};
use crate::server;

/// Which caches.
#[derive(Debug, Clone, Args)]
pub(super) struct IndexArgs {
    /// Only these caches, by slug
    #[arg(long, value_name = "SLUG")]
    cache: Vec<String>,
    #[command(flatten)]
    serve: ServeArgs,
}

pub(super) fn run(args: &IndexArgs) -> anyhow::Result<ExitCode> {
    let mut config = args.serve.config()?;
    logging::begin(&args.serve.log, "warn")?;
    for slug in &args.cache {
        anyhow::ensure!(
            config
                .caches
                .iter()
                .any(|cache| cache.slug.as_str() == slug),
            "there is no cache `{}` in the configuration",
            slug.escape_debug()
        );
    }
    if !args.cache.is_empty() {
        config
            .caches
            .retain(|cache| args.cache.iter().any(|slug| slug == cache.slug.as_str()));
    }
    runtime()?.block_on(async {
        let opened = server::open(&config).await?;
        let mut code = ExitCode::SUCCESS;
        for (cache, sync) in opened.caches() {
            let text = match sync.sweep_whole_now().await {
                Ok(summary) => {
                    let cache = std::sync::Arc::clone(cache);
                    let described = tokio::task::spawn_blocking(move || {
                        cache.index.settle();
                        cache.describe()
                    });
                    report(&described.await?, &summary)
                }
                Err(error) => {
                    code = ExitCode::FAILURE;
                    format!("{}: {error}\n", cache.slug)
                }
            };
            print(&text)?;
        }
        opened.close().await;
        Ok(code)
    })
}

fn report(cache: &snowbank_shared::api::Cache, summary: &crate::sync::Summary) -> String {
    let mut text = format!(
        "{}: {} paths in {}\n",
        cache.slug, cache.paths, cache.source
    );
    let _ = writeln!(text, "  unpacked   {} bytes", cache.nar_bytes);
    if let Some(stored) = cache.stored_bytes {
        let _ = writeln!(text, "  stored     {stored} bytes");
    }
    for count in &cache.signatures {
        let _ = writeln!(
            text,
            "  {:<13} {} paths",
            count.signature.as_str(),
            count.paths
        );
    }
    let _ = writeln!(text, "  findings   {}", cache.findings);
    let _ = writeln!(
        text,
        "  this sweep: {} narinfos listed, {} fetched, {} unreadable, {} gone, {:.1} s",
        summary.found,
        summary.fetched,
        summary.unparsable,
        summary.removed,
        summary.took.as_secs_f64()
    );
    text
}
