//! `snowbank serve`: serves until it is told to stop.

use std::process::ExitCode;

use super::{ServeArgs, logging, print, runtime};
use crate::config::{self, Config};
use crate::server::{self, RunningServer};

pub(super) fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let config = args.config()?;
    logging::begin(&args.log, "info")?;
    for line in config::unknown_variables(std::env::vars_os().map(|(name, _)| name)) {
        tracing::warn!("{line}");
    }
    runtime()?.block_on(async {
        let stop = Stop::listen()?;
        let server = server::start(config.clone()).await?;
        print(&greeting(&config, &server))?;
        invite_owner(&server).await?;
        stop.wait().await;
        server.shutdown().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// A server without an owner says how to become one, as soon as it can read its state.
pub(super) async fn invite_owner(server: &RunningServer) -> anyhow::Result<()> {
    if let Some(link) = server.first_owner_link().await? {
        print(&format!(
            "Nobody owns this server yet. Open this within {} minutes to become its owner; `snowbank owner-link` makes another:\n\n  {link}\n",
            crate::auth::links::LINK_LIVES / 60
        ))?;
    }
    Ok(())
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

/// Waits for SIGINT or SIGTERM. Made before anybody is told that the server is there:
/// until then a signal ends the program at once.
pub(super) struct Stop {
    #[cfg(unix)]
    interrupted: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminated: tokio::signal::unix::Signal,
}

impl Stop {
    /// Begins to listen.
    #[cfg(unix)]
    pub(super) fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupted: signal(SignalKind::interrupt())?,
            terminated: signal(SignalKind::terminate())?,
        })
    }

    /// Begins to listen.
    #[cfg(not(unix))]
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {})
    }

    /// Returns at the first signal.
    #[cfg(unix)]
    pub(super) async fn wait(mut self) {
        tokio::select! {
            _ = self.interrupted.recv() => {}
            _ = self.terminated.recv() => {}
        }
    }

    /// Returns at the first signal.
    #[cfg(not(unix))]
    pub(super) async fn wait(self) {
        if tokio::signal::ctrl_c().await.is_err() {
            // No signals on this system: serve until killed.
            std::future::pending::<()>().await;
        }
    }
}
