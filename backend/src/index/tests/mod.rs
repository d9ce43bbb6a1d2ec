//! The index against a naive model, and against itself after every kind of restart.

mod browse;
mod corpus;
mod coverage;
mod durability;
mod explore;
mod health;
mod keep;
mod kept;
mod model;
mod paging;
mod properties;
mod support;
