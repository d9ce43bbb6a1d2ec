//! server

pub mod bench_data;
pub mod bucket;
pub mod demo;
pub mod index;
pub mod sync;
