//! The vocabulary of Nix binary caches.
pub mod api;
pub mod cache_info;
pub mod content_address;
pub mod hash;
pub mod nar;
pub mod narinfo;
pub mod nix_conf;
pub mod route;
pub mod signature;
pub mod store_path;
