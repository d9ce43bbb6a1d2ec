//! What a user and their Nix see, end to end. See the library for the harness.

#![forbid(unsafe_code)]

mod adoption;
mod blog_post;
mod browser;
mod bundle;
mod conformance;
mod connect;
mod crash;
mod faults;
mod harness;
mod live_check;
mod private_cache;
mod real_nix;
mod uploads;
