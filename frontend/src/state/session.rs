//! The caches that this browser may see, and which one it is in.

use leptos::prelude::*;
use snowbank_shared::api::{Cache, Page};

use crate::api;
use crate::state::navigation::{Navigation, navigation};
use crate::state::remote::Remote;

/// What every page knows. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    /// The caches of this server.
    pub caches: Remote<Page<Cache>>,
    navigation: Navigation,
}

/// What every page knows.
///
/// # Panics
/// Outside of the application.
pub fn session() -> Session {
    expect_context()
}

impl Session {
    /// Asks for the caches. Once, at the start, after [`Navigation::start`].
    pub fn start() -> Self {
        let session = Self {
            caches: Remote::new(|| Some(api::caches_path())),
            navigation: navigation(),
        };
        provide_context(session);
        session
    }

    /// The cache of the page, or the only one there is; tracked.
    pub fn cache(self) -> Option<String> {
        let of_page = self
            .navigation
            .route()
            .and_then(|route| route.cache().map(str::to_owned));
        of_page.or_else(|| match self.caches.get()?.items.as_slice() {
            [only] => Some(only.slug.clone()),
            _ => None,
        })
    }

    /// What the list of caches says of one; tracked.
    pub fn find(self, slug: &str) -> Option<Cache> {
        let caches = self.caches.get()?;
        caches
            .items
            .iter()
            .find(|cache| cache.slug == slug)
            .cloned()
    }
}
