//! What the upstreams of a cache say of a path that is uploaded here.
//!
//! Whoever may upload could else put other content under the name of a package that everybody
//! takes from there. What a path refers to may lie on an upstream, where the policy names it or where
//! it is virtual: then clients use it as well.

use std::fmt::Display;

use snowbank_shared::api::approvals::WaitsFor;
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::{StorePathHash, StorePathRef};

use super::{Intake, Refusal, UploadPolicy};
use crate::site::Cache;
use crate::upstream::{Held, Holding};

/// What follows from what upstreams have.
pub(super) enum Agreed {
    /// It may be published here.
    Ours,
    /// A virtual upstream has the very same: nothing of it is kept here.
    Elsewhere {
        /// The upstream's URL.
        url: String,
    },
    /// One of them has to answer first.
    Waits(WaitsFor),
}

/// Where a reference that is not in the cache lies.
pub(super) enum Lies {
    /// On an upstream that may hold it.
    Upstream,
    /// On none of them.
    Nowhere,
    /// One of them has to answer first.
    Unanswered(WaitsFor),
}

impl Intake {
    /// Whether what upstreams signed under this path is the same.
    pub(super) async fn upstreams_agree(
        &self,
        cache: &Cache,
        narinfo: &NarInfo,
    ) -> Result<Agreed, Refusal> {
        if cache.upstreams.is_empty() {
            return Ok(Agreed::Ours);
        }
        let path = narinfo.store_path();
        let (mut agreed, mut waits) = (Agreed::Ours, None);
        for held in cache.upstreams.holdings(path.hash()).await {
            match held.holding {
                Holding::Absent | Holding::Unsigned => {}
                Holding::Signed(theirs) if theirs.fingerprint() == narinfo.fingerprint() => {
                    let is_virtual = |url: &str| {
                        let all = cache.upstreams.all();
                        all.iter().any(|each| each.url == url && each.is_virtual())
                    };
                    if is_virtual(&held.url) {
                        agreed = Agreed::Elsewhere { url: held.url };
                    }
                }
                Holding::Signed(theirs) => {
                    return Err(Refusal::conflict(
                        "upstream-conflict",
                        format!(
                            "{} has {path} with other content, signed: NarHash sha256:{}. Leave the path out",
                            held.url,
                            theirs.nar_hash().to_nix32()
                        ),
                    ));
                }
                Holding::Unknown(reason) => {
                    waits = Some(WaitsFor::Upstream {
                        url: held.url,
                        reason,
                    });
                }
            }
        }
        Ok(waits.map_or(agreed, Agreed::Waits))
    }

    /// What the upstreams say of a path that one uploaded here refers to: those that the policy names
    /// for that, and the virtual ones.
    pub(super) async fn held_for_reference(
        &self,
        cache: &Cache,
        policy: &UploadPolicy,
        hash: StorePathHash,
    ) -> Vec<Held> {
        let chosen = |upstream: &crate::upstream::Upstream| {
            upstream.is_virtual() || policy.reference_upstreams.contains(&upstream.url)
        };
        cache.upstreams.holdings_of(hash, chosen).await
    }

    /// Whether such an upstream has signed this path.
    pub(super) async fn lies_upstream(
        &self,
        cache: &Cache,
        policy: &UploadPolicy,
        path: StorePathRef<'_>,
    ) -> Lies {
        let mut lies = Lies::Nowhere;
        for held in self.held_for_reference(cache, policy, path.hash()).await {
            match held.holding {
                Holding::Signed(theirs) if theirs.store_path() == path => return Lies::Upstream,
                Holding::Signed(_) | Holding::Absent | Holding::Unsigned => {}
                Holding::Unknown(reason) => {
                    lies = Lies::Unanswered(WaitsFor::Upstream {
                        url: held.url,
                        reason,
                    });
                }
            }
        }
        lies
    }
}

/// A realisation for which an upstream has to answer first: it is small, and sent again.
pub(super) fn unanswered(url: &str, path: impl Display, reason: &str) -> Refusal {
    Refusal::dependency(format!(
        "whether {url} has {path} too could not be asked ({reason}): nothing was published; run the same command again"
    ))
}
