//! What outlives a page: the address, the caches, live updates, preferences.

pub mod derived;
pub mod handed;
pub mod identity;
pub mod keyboard;
pub mod live;
pub mod navigation;
pub mod preferences;
pub mod remote;
pub mod sending;
pub mod session;
pub mod typing;
