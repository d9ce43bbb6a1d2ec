//! server

pub mod bucket;
pub mod demo;
