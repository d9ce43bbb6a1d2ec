//! The server, asked over HTTP as Nix, browsers, tools and attackers ask.

mod api;
mod browse;
mod config;
mod events;
mod harness;
mod hostile;
mod lifecycle;
mod misses;
mod pages;
mod protocol;
mod redirect;
mod visibility;
