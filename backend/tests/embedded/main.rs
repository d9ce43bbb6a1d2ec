//! The embedded S3 server over the network: what HTTP clients, the AWS SDK and other programs see.

mod killed;
mod listing;
mod misbehaving;
mod multipart;
mod objects;
mod refused;
mod rules;
mod store;
