//! End to end: the binary as a user gets it, real Nix on the other side, real S3
//! servers below, a real browser in front.
//!
//! This library is the harness. A test reads like what a user does:
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use snowbank_tests::server::Server;
//! let server = Server::demo().await?;
//! let caches = server.json("/api/v1/caches").await?;
//! assert_eq!(caches["items"][0]["slug"], "main");
//! # Ok(()) }
//! ```
//!
//! Rules that every part of it keeps:
//!
//! - Whatever a test starts dies with it, also when it panics: every process
//!   hangs on a guard, and every wait has an end.
//! - A component that is missing fails the test, unless `SNOWBANK_SKIP` names
//!   it: see [`component`].
//! - Nothing is shared between tests but the closure that real Nix builds once
//!   per checkout, behind a file lock: see [`closure`].

#![forbid(unsafe_code)]

pub mod browser;
pub mod closure;
pub mod component;
pub mod folder;
pub mod garage;
pub mod nginx;
pub mod nix;
pub mod people;
pub mod process;
pub mod server;
pub mod trouble;
