//! Everything S3.

pub mod embedded;
