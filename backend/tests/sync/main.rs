//! The sweeps against the embedded server, in good and in bad weather.

#![allow(missing_docs, reason = "a test target has no readers of its docs")]

mod adopting;
mod bad_inputs;
mod hinted;
mod refreshing;
mod removing;
mod restarting;
mod weather;
mod world;
