//! The ledger over a real bucket: the embedded S3 server.

#![allow(missing_docs, reason = "a test target has no readers of its docs")]

mod audit;
mod command_line;
mod conductor;
mod model;
mod opening;
mod pen;
mod records;
mod replicas;
mod tampering;
mod torn;
mod transfer;
mod world;
