//! A listing is no single moment: a record is revoked between its pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use snowbank::bucket::{BucketError, Capabilities, ObjectMeta, Written};
use snowbank::ledger::{BucketStore, Ledger, Scope, Store, Stored, When, kind};

use super::world::{Person, World, id, opened, person};

/// The real bucket. Once it is armed, somebody revokes a member after the page of tombstones was
/// read and before the others are.
struct Torn {
    store: BucketStore,
    other: Ledger,
    armed: Arc<AtomicBool>,
}

#[async_trait]
impl Store for Torn {
    fn prefix(&self) -> &str {
        self.store.prefix()
    }

    fn location(&self) -> &str {
        self.store.location()
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectMeta>, BucketError> {
        let mut listing = self.store.list(prefix).await?;
        if prefix == "records/" && self.armed.swap(false, Ordering::SeqCst) {
            let is_of_tombstones = |meta: &ObjectMeta| meta.key.starts_with("records/tombstones/");
            self.other
                .tombstone(kind::MEMBERS, Scope::Server, &id("bob"), "server", "left")
                .await
                .expect("revoked");
            listing.retain(is_of_tombstones);
            let later = self.store.list(prefix).await?;
            listing.extend(later.into_iter().filter(|meta| !is_of_tombstones(meta)));
        }
        Ok(listing)
    }

    async fn folders(&self, prefix: &str) -> Result<Vec<String>, BucketError> {
        self.store.folders(prefix).await
    }

    async fn get(&self, key: &str) -> Result<Option<Stored>, BucketError> {
        self.store.get(key).await
    }

    async fn put(&self, key: &str, bytes: Bytes, when: &When) -> Result<Written, BucketError> {
        self.store.put(key, bytes, when).await
    }

    async fn delete(&self, key: &str) -> Result<(), BucketError> {
        self.store.delete(key).await
    }

    async fn probe(&self, key: &str) -> Result<Capabilities, BucketError> {
        self.store.probe(key).await
    }

    async fn open_to_anyone(&self, key: &str) -> Result<bool, BucketError> {
        self.store.open_to_anyone(key).await
    }
}

#[tokio::test]
async fn a_record_revoked_between_the_pages_of_a_listing_has_not_vanished() {
    let world = World::new().await;
    let other = world.replica("other").await;
    for name in ["ada", "bob"] {
        other
            .create(Scope::Server, &id(name), "server", person(name, "owner"))
            .await
            .expect("made");
    }
    let armed = Arc::new(AtomicBool::new(false));
    let mut params = world.params("reader").await;
    params.store = Arc::new(Torn {
        store: world.store().await,
        other,
        armed: armed.clone(),
    });
    let reader = opened(params).await;
    let known = |name| {
        let view = reader.view();
        view.get::<Person>(Scope::Server, &id(name)).is_some()
    };
    assert!(known("bob"));
    armed.store(true, Ordering::SeqCst);
    reader.look().await.expect("a look");
    assert!(!known("bob"), "revoked and still there");
    assert!(known("ada"));
    assert!(
        reader.view().findings().is_empty(),
        "{:?}",
        reader.view().findings()
    );

    // What is really gone is still missed.
    world.remove("records/members/ada");
    reader.look().await.expect("a look");
    assert_eq!(reader.view().findings().len(), 1);
}
