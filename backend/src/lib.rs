//! server

pub mod bucket;
