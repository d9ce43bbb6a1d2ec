//! Snowbank's server, as a library.
//!
//! ```text
//!           list+get                 delta                    query
//!  bucket ───────────▶ sync ───────────────────▶ index ◀──────────────── api ◀── browser
//!    ▲  ▲                                           ▲
//!    │  └───────────── substituter ◀── nix ─────────┘ (answers narinfos from memory)
//!    └──────────────── intake ◀── nix copy (verifies, then publishes)
//! ```
//!
//! The modules have an order, lowest first: bucket, index, secrets, ledger, sync, config,
//! outbound, auth, wizard, upstream, withheld, condemned, usage, metrics, web, archive, site, substituter, pins, verify, signing, intake, retention, api, ui, server, demo, bench_data, cli. Each may use
//! only what stands before it; `tests/layers.rs` holds that rule.

pub mod api;
pub mod archive;
pub mod auth;
pub mod bench_data;
pub mod bucket;
pub mod cli;
pub mod condemned;
pub mod config;
pub mod demo;
pub mod index;
pub mod intake;
pub mod ledger;
pub mod metrics;
pub mod outbound;
pub mod pins;
pub mod retention;
pub mod secrets;
pub mod server;
pub mod signing;
pub mod site;
pub mod sizes;
pub mod substituter;
pub mod sync;
pub mod ui;
pub mod upstream;
pub mod usage;
pub mod verify;
pub mod web;
pub mod withheld;
pub mod wizard;
