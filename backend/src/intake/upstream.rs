//! What the upstreams of a cache say of a path that is uploaded here.
//!
//! Whoever may upload could else put other content under the name of a package that everybody
//! takes from there.

use snowbank_shared::api::approvals::WaitsFor;
use snowbank_shared::narinfo::NarInfo;

use super::{Intake, Refusal};
use crate::site::Cache;
use crate::upstream::Holding;

impl Intake {
    /// Whether what upstreams signed under this path is the same. One that does not say is waited for.
    pub(super) async fn upstreams_agree(
        &self,
        cache: &Cache,
        narinfo: &NarInfo,
    ) -> Result<Option<WaitsFor>, Refusal> {
        if cache.upstreams.is_empty() {
            return Ok(None);
        }
        let mut waits = None;
        let path = narinfo.store_path();
        for (url, holding) in cache.upstreams.holdings(path.hash()).await {
            match holding {
                Holding::Absent | Holding::Unsigned => {}
                Holding::Signed(theirs) if theirs.fingerprint() == narinfo.fingerprint() => {}
                Holding::Signed(theirs) => {
                    return Err(Refusal::conflict(
                        "upstream-conflict",
                        format!(
                            "{url} has {path} with other content, signed: NarHash sha256:{}. Leave the path out",
                            theirs.nar_hash().to_nix32()
                        ),
                    ));
                }
                Holding::Unknown(reason) => waits = Some(WaitsFor::Upstream { url, reason }),
            }
        }
        Ok(waits)
    }
}
