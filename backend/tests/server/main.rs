//! The server, asked over HTTP as Nix, browsers, tools and attackers ask.

mod access;
mod api;
mod browse;
mod config;
mod contributors;
mod events;
mod explore;
mod harness;
mod hostile;
mod issuer;
mod lifecycle;
mod misses;
mod pages;
mod people;
mod protocol;
mod redirect;
mod single_sign_on;
mod sweep;
mod upload_faults;
mod upload_session;
mod upload_site;
mod upload_vectors;
mod uploads;
mod upstream;
mod visibility;
