//! What a running server has in hand: its addresses, its caches, its counters.
//!
//! Everything that answers requests works on a [`Site`] and, where it is about one cache,
//! on a [`Cache`]: the bucket, the index over it, the sweeps that keep it fresh, the keys.

mod counters;
pub mod elsewhere;
mod foreign;
mod growth;
mod live;
mod lookups;
mod own_keys;
pub mod surroundings;
pub mod tie;
mod trust;

use std::sync::Arc;
use std::time::Instant;

use snowbank_shared::api::{self, IndexState, IndexStatus, Visibility};
use snowbank_shared::nix_conf::SubstituterUrl;
use snowbank_shared::signature::{KeyRing, KnownKey, PublicKey, SecretKey};
use snowbank_shared::store_path::StoreDir;
use time::OffsetDateTime;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::archive::Archives;
use crate::auth::{Access, On};
use crate::bucket::Bucket;
use crate::condemned::Condemned;
use crate::config::{Misses, NarDelivery, PublicUrl, Serve, Slug, UpstreamMode};
use crate::index::{Id, Index, View, rfc3339};
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::proofs::Proofs;
use crate::sizes::Sizes;
use crate::sync::Answered;
use crate::upstream::{Upstream, Upstreams};
use crate::usage::Usage;
use crate::withheld::Withheld;

pub use counters::CacheCounters;
pub use foreign::{ForeignCaches, ForeignError, MOST_PATHS, Wanted};
pub use live::{LIFE, LiveChecks, LiveError, ProbeObject, Sight, Viewer};
pub use lookups::{Lookups, Outcome};
pub use own_keys::{KeysNow, OwnKeys};
pub use trust::{Trust, Trusted};

/// The server.
pub struct Site {
    /// How people and machines reach it.
    pub public_url: PublicUrl,
    /// How Nix reaches it.
    pub cache_url: PublicUrl,
    /// The caches, by slug.
    pub caches: Vec<Arc<Cache>>,
    /// Who asks and what they may do.
    pub access: Arc<Access>,
    /// People, tokens, rules, audit.
    pub ledger: Ledger,
    /// The counters.
    pub metrics: Metrics,
    /// When it started.
    pub started_at: OffsetDateTime,
    /// Permits for queries that walk the graph.
    pub heavy: Arc<Semaphore>,
    /// Permits for exports of whole tables.
    pub exports: Arc<Semaphore>,
    /// Permits for answers of tens of megabytes, each until it is sent.
    pub large: Arc<Semaphore>,
    /// Permits for streams of events.
    pub streams: Arc<Semaphore>,
    /// The live checks under way.
    pub live: LiveChecks,
    /// What asks caches that are not of this server.
    pub foreign: ForeignCaches,
    /// Set when the server is to end; streams end with it.
    pub closing: CancellationToken,
}

/// A cache that is open.
pub struct Cache {
    /// Its name in URLs.
    pub slug: Slug,
    /// Its name for people.
    pub title: String,
    /// Its substituter URL.
    pub url: String,
    /// Who may read it.
    pub visibility: Visibility,
    /// The store directory of its paths.
    pub store_dir: StoreDir,
    /// What `nix-cache-info` says.
    pub priority: i32,
    /// Which paths Nix clients get.
    pub serve: Serve,
    /// Who decides that a path is absent.
    pub misses: Misses,
    /// How NARs reach the client.
    pub nar: NarDelivery,
    /// Where the bytes lie, for people.
    pub location: String,
    /// The bucket as a substituter of its own, where clients can reach one.
    pub bucket_url: Option<SubstituterUrl>,
    /// Held by who writes down what it offers; when that could not be done last.
    pub noting: Mutex<Option<Instant>>,
    /// The objects.
    pub bucket: Bucket,
    /// What is in them.
    pub index: Index,
    /// What the sweeps are doing that keep the index fresh.
    pub status: watch::Receiver<IndexStatus>,
    /// Whether its bucket has answered them, well or not.
    pub answered: Answered,
    /// Its own keys and those of upstreams. It judges by these and the contributors', which the index
    /// has.
    pub keys: OwnKeys,
    /// What clients put into their configuration, and whom they trust.
    pub trust: Trust,
    /// Keys of the upstreams that the configuration names: what they signed may be uploaded.
    pub upstream_keys: Vec<PublicKey>,
    /// Bytes of an archive at most, packed or not.
    pub max_nar_size: u64,
    /// Bytes of all archives at most, as stored.
    pub max_bytes: Option<u64>,
    /// What is known of the trees of its archives.
    pub archives: Archives,
    /// Narinfos that are being looked for in the bucket.
    pub lookups: Lookups,
    /// Counters of the substituter.
    pub counters: CacheCounters,
    /// Since when they count.
    pub opened_at: OffsetDateTime,
    /// The caches that have what this one lacks.
    pub upstreams: Upstreams,
    /// What clients are not served, and nobody may upload again.
    pub withheld: Withheld,
    /// What a run of retention is about to take out.
    pub condemned: Condemned,
    /// Who fetches what.
    pub usage: Usage,
    /// What its bucket holds, by kind of object.
    pub sizes: Sizes,
    /// When the content of each path was proven last.
    pub proofs: Proofs,
    /// Where the references are that are not in it.
    pub elsewhere: elsewhere::Elsewhere,
}

impl Site {
    /// The cache of this slug.
    pub fn cache(&self, slug: &str) -> Option<&Arc<Cache>> {
        // Few enough that comparing is faster than hashing.
        self.caches.iter().find(|cache| cache.slug.as_str() == slug)
    }
}

impl Cache {
    /// The cache as something that an act is done to.
    pub fn on(&self) -> On<'_> {
        On::Cache {
            slug: self.slug.as_str(),
            visibility: self.visibility,
        }
    }

    /// Its own keys and those of upstreams, as they are now.
    pub fn key_ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.keys.now().ring)
    }

    /// The secret key that signs what is published, where this server has it. Never shown.
    pub fn signer(&self) -> Option<Arc<SecretKey>> {
        self.keys.signer()
    }

    /// Whether an upstream of the configuration is known by this key.
    pub fn trusts(&self, key: &PublicKey) -> bool {
        self.upstream_keys.contains(key)
    }

    /// Whether a path of a view is in quarantine, or was purged.
    pub fn holds_back(&self, view: &View, id: Id) -> bool {
        let hash = view.hash(id);
        self.withheld.holds(&hash, || Some(view.nar_hash(id)))
    }

    /// The two lines for nix.conf; one where the cache has no key.
    pub fn nix_conf(&self) -> String {
        self.trust.now().settings.nix_conf()
    }

    /// What the index is doing.
    pub fn index_state(&self) -> IndexState {
        self.status.borrow().state
    }

    /// The state of the index, with the revision that answers now.
    pub fn index_status(&self) -> IndexStatus {
        let mut status = self.status.borrow().clone();
        self.index
            .view()
            .revision()
            .clone_into(&mut status.revision);
        status
    }

    /// Whether the first index was built once, so that totals are whole and what is not
    /// found is not there.
    pub fn is_complete(&self) -> bool {
        self.index.view().swept_at().is_some()
    }

    /// The cache as the API shows it. May look at every path: call it off the reactor.
    pub fn describe(&self) -> api::Cache {
        let view = self.index.view();
        let totals = view.totals();
        api::Cache {
            slug: self.slug.to_string(),
            title: self.title.clone(),
            url: self.url.clone(),
            store_dir: self.store_dir.as_str().to_owned(),
            priority: self.priority.unsigned_abs(),
            visibility: self.visibility,
            paths: totals.paths,
            stored_bytes: totals.stored_bytes,
            nar_bytes: totals.nar_bytes,
            objects: totals.bucket.map(|bucket| bucket.objects),
            object_bytes: totals.bucket.map(|bucket| bucket.bytes),
            max_nar_size: self.max_nar_size,
            generated_until: self.usage.generated_until().map(rfc3339),
            max_bytes: self.max_bytes,
            keys: self.describe_trusted_keys(&view),
            signing: self.trust.now().signing,
            upstreams: self.upstreams.all().iter().map(describe_upstream).collect(),
            signatures: totals.signatures.clone(),
            findings: view.finding_count(),
            waiting: None,
            index: IndexStatus {
                revision: view.revision().to_owned(),
                ..self.index_status()
            },
            source: self.location.clone(),
            recent: growth::recent(totals, OffsetDateTime::now_utc()),
            served: api::Served {
                since: rfc3339(self.opened_at.unix_timestamp()),
                hits: self.counters.hits.get() + self.counters.found_in_bucket.get(),
                misses: self.counters.misses.get() + self.counters.held_back.get(),
                nar_bytes: self.counters.nar_bytes.get(),
            },
        }
    }

    /// The age of what is in the cache. May look at every path.
    pub fn growth(&self) -> api::Growth {
        let view = self.index.view();
        api::Growth {
            items: growth::days(&view.totals().added),
            revision: view.revision().to_owned(),
            complete: self.is_complete(),
        }
    }

    /// The keys that clients of the cache trust, in their order. May look at every path.
    pub fn describe_trusted_keys(&self, view: &View) -> Vec<api::Key> {
        let trusted = self.trust.now();
        let place = |key: &api::Key| {
            let mut texts = trusted.keys.iter().map(ToString::to_string);
            texts.position(|text| text == key.public_key)
        };
        let mut keys: Vec<_> = self
            .describe_keys(view)
            .into_iter()
            .filter_map(|key| Some((place(&key)?, key)))
            .collect();
        keys.sort_by_key(|(place, _)| *place);
        keys.into_iter().map(|(_, key)| key).collect()
    }

    /// All keys by which signatures are judged. May look at every path.
    pub fn describe_keys(&self, view: &View) -> Vec<api::Key> {
        let signed = &view.totals().keys;
        let describe = |known: &KnownKey| api::Key {
            name: known.key.name().to_owned(),
            public_key: known.key.to_string(),
            fingerprint: known.key.fingerprint(),
            purpose: known.purpose,
            state: known.state,
            paths: signed.get(known.key.name()).copied().unwrap_or_default(),
        };
        view.key_ring().keys().iter().map(describe).collect()
    }
}

/// An upstream as the API shows it.
fn describe_upstream(upstream: &Upstream) -> api::CacheUpstream {
    api::CacheUpstream {
        url: upstream.url.clone(),
        mode: match upstream.mode {
            UpstreamMode::Check => api::UpstreamMode::Check,
            UpstreamMode::Virtual => api::UpstreamMode::Virtual,
        },
        keys: upstream.keys.iter().map(ToString::to_string).collect(),
    }
}
