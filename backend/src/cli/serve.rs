//! `snowbank serve`: serves until it is told to stop.

use std::process::ExitCode;

use super::{ServeArgs, logging, print, runtime};
use crate::config::Config;
use crate::server::{self, RunningServer};

pub(super) fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let config = args.config()?;
    logging::begin(&args.log, "info")?;
    runtime()?.block_on(async {
        let server = server::start(config.clone()).await?;
        print(&greeting(&config, &server))?;
        stopped().await;
        server.shutdown().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// What a newcomer needs to know: the address, and what to put into nix.conf.
pub(super) fn greeting(config: &Config, server: &RunningServer) -> String {
    use std::fmt::Write as _;
    let mut text = format!(
        "Snowbank {} is at {}\n",
        env!("CARGO_PKG_VERSION"),
        server.url()
    );
    for cache in &server.site().caches {
        let _ = write!(
            text,
            "\nTo use the cache `{}`, add to nix.conf:\n\n{}",
            cache.slug,
            cache.nix_conf()
        );
    }
    if let Some(endpoint) = server
        .embedded()
        .and_then(crate::bucket::embedded::EmbeddedS3::external_endpoint)
    {
        let who = if config.s3_anonymous {
            "without credentials, or with those in".to_owned()
        } else {
            "with the credentials in".to_owned()
        };
        let file = config.data_dir.join("s3-credentials");
        let _ = write!(
            text,
            "\nS3 clients reach the buckets at {endpoint}, {who} {}\n",
            file.display()
        );
    }
    text
}

/// Returns at the first SIGINT or SIGTERM.
pub(super) async fn stopped() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        // No signals on this system: serve until killed.
        std::future::pending::<()>().await;
    }
}
