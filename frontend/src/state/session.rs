//! The caches that this browser may see, and which one it is in.

use std::time::Duration;

use leptos::prelude::*;
use snowbank_shared::api::{Cache, IndexState, IndexStatus, Page, Recent, Served};

use crate::api;
use crate::state::derived::memo;
use crate::state::navigation::{Navigation, navigation};
use crate::state::remote::Remote;

/// What every page knows. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    /// The caches of this server.
    pub caches: Remote<Page<Cache>>,
    /// The same without the state of their indexes, which changes all the time:
    /// for what should not be drawn anew because a sweep began.
    pub described: Memo<Option<Vec<Cache>>>,
    navigation: Navigation,
}

/// What every page knows.
///
/// # Panics
/// Outside of the application.
pub fn session() -> Session {
    expect_context()
}

/// What a cache is, as far as its index and its counters do not matter.
fn without_index(cache: &Cache) -> Cache {
    Cache {
        recent: Recent {
            last_added_at: None,
            paths: Vec::new(),
            nar_bytes: 0,
        },
        served: Served {
            since: String::new(),
            hits: 0,
            misses: 0,
            nar_bytes: 0,
        },
        index: IndexStatus {
            revision: String::new(),
            as_of: None,
            state: IndexState::Ready,
            progress: None,
            error: None,
            sweep_seconds: 0,
        },
        ..cache.clone()
    }
}

impl Session {
    /// Asks for the caches. Once, at the start, after [`Navigation::start`].
    pub fn start() -> Self {
        let caches = Remote::<Page<Cache>>::new(|| Some(api::caches_path()));
        let described = memo(move || {
            let caches = caches.get()?;
            Some(caches.items.iter().map(without_index).collect())
        });
        let session = Self {
            caches,
            described,
            navigation: navigation(),
        };
        provide_context(session);
        session.renew();
        session
    }

    /// Keeps the list up to date: every two seconds while a first index is
    /// built, else once a minute, and never for a page that nobody sees.
    fn renew(self) {
        let beats = StoredValue::new(0_u32);
        set_interval(
            move || {
                beats.update_value(|beats| *beats = (*beats + 1) % 30);
                let partial = self.caches.get_now().is_some_and(|caches| {
                    caches.items.iter().any(|cache| {
                        matches!(cache.index.state, IndexState::New | IndexState::Indexing)
                    })
                });
                if (partial || beats.get_value() == 0) && !document().hidden() {
                    self.caches.reload();
                }
            },
            Duration::from_secs(2),
        );
    }

    /// The cache of the page, or the only one there is; tracked.
    pub fn cache(self) -> Option<String> {
        let of_page = self
            .navigation
            .route()
            .and_then(|route| route.cache().map(str::to_owned));
        of_page.or_else(|| {
            self.described.with(|caches| match caches.as_deref()? {
                [only] => Some(only.slug.clone()),
                _ => None,
            })
        })
    }

    /// What the list of caches says of one; tracked.
    pub fn find(self, slug: &str) -> Option<Cache> {
        self.described.with(|caches| {
            let mut caches = caches.as_ref()?.iter();
            caches.find(|cache| cache.slug == slug).cloned()
        })
    }
}
