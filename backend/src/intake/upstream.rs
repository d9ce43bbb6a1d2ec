//! What the upstreams of a cache say of a path that is uploaded here.
//!
//! Whoever may upload could else put other content under the name of a package that everybody
//! takes from there.

use snowbank_shared::narinfo::NarInfo;

use super::{Intake, Refusal};
use crate::site::Cache;
use crate::upstream::Holding;

impl Intake {
    /// Whether what upstreams signed under this path is the same.
    pub(super) async fn upstreams_agree(
        &self,
        cache: &Cache,
        narinfo: &NarInfo,
    ) -> Result<(), Refusal> {
        if cache.upstreams.is_empty() {
            return Ok(());
        }
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
                Holding::Unknown(reason) => {
                    return Err(Refusal::dependency(format!(
                        "whether {url} has {path} too could not be asked ({reason}): nothing was published; run the same command again"
                    )));
                }
            }
        }
        Ok(())
    }
}
