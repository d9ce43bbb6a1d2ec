//! What rules would keep and remove: the simulation (`/c/{cache}/gc`). It changes nothing.
//!
//! The rules stand in the address ([`asked`]), so that a link shows the same to everybody.

mod asked;
mod controls;
mod listed;
mod result;
mod simulation;

use snowbank_shared::route::escape;

pub use simulation::page;

/// An address below `/api/v1/caches/{cache}/gc`.
fn gc_path(cache: &str, rest: &str) -> String {
    format!("/caches/{}/gc/{rest}", escape(cache))
}
