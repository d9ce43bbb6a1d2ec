//! One suite of storage tests, against every store that is at hand: our embedded server,
//! moto, and Garage where there is one.

#![allow(missing_docs, reason = "a test target has no readers of its docs")]

#[path = "../../../tests/src/garage.rs"]
mod garage;

mod facts;
mod stores;
mod suite;

use garage::Garage;
use snowbank::bucket::Bucket;
use stores::{BUCKET, Embedded, Moto};
use suite::Store;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_server_passes_the_storage_suite() {
    let server = Embedded::start().await;
    suite::run(&server).await;
    let conditional = probe(&server).await;
    assert!(conditional.create_if_absent && conditional.replace_if_unchanged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moto_passes_the_storage_suite() {
    let server = Moto::start().await;
    suite::run(&server).await;
    println!("moto: {:?}", probe(&server).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garage_passes_the_storage_suite() {
    let Some(server) = Garage::start(BUCKET).await else {
        return;
    };
    suite::run(&server).await;
    println!("garage: {:?}", probe(&server).await);
}

async fn probe(store: &dyn Store) -> snowbank::bucket::Capabilities {
    let bucket = Bucket::connect(&store.config()).await.expect("a handle");
    bucket
        .probe("probe")
        .await
        .expect("a store that can be written")
}
