//! What a user and their Nix see, end to end. See the library for the harness.

#![forbid(unsafe_code)]

mod adoption;
mod blog_post;
mod browser;
mod bundle;
mod conformance;
mod connect;
mod crash;
mod explore;
mod faults;
mod harness;
mod held_back;
mod killed;
mod live_check;
mod monitoring;
mod private_cache;
mod readme;
mod real_nix;
mod rotation;
mod upload_stores;
mod uploads;
mod upstreams;
