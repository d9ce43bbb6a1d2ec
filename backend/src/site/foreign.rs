//! Caches that are not of this server: is one there, and does the key sign there that somebody is
//! about to trust?
//!
//! A member names the cache by its URL and key, and the server asks it for `nix-cache-info` and a
//! narinfo, under the rules of [`crate::outbound`]. A few of these run at once, each for a bounded
//! time, and each address may begin a few a minute: nobody can make this server flood another one.
//! Nothing of an answer is repeated but what is read out of it.

use std::time::Duration;

use http::StatusCode;
use snowbank_shared::api::connect::{TestedCache, TestedSignature};
use snowbank_shared::cache_info::{self, CacheInfo};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::nix_conf::SubstituterUrl;
use snowbank_shared::signature::{PublicKey, Signature};
use snowbank_shared::store_path::{StoreDir, StorePathHash};
use tokio::sync::Semaphore;

use crate::auth::limits::{PerAddress, Rate};
use crate::outbound::{Outbound, OutboundError};

/// Caches asked at once.
const AT_ONCE: usize = 3;
/// For one cache, waiting for a turn included.
const TIME_OUT: Duration = Duration::from_secs(25);
/// Narinfos asked for at most.
pub const MOST_PATHS: usize = 5;
/// How often an address may begin.
const RATE: Rate = Rate {
    burst: 12,
    every: Duration::from_secs(5),
};

/// Why nothing is known of a cache.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForeignError {
    /// Not a URL that the server asks.
    #[error("only caches at https:// and http:// can be asked, and this is `{0}`")]
    Scheme(String),
    /// It could not be asked.
    #[error("{0}")]
    Outbound(#[from] OutboundError),
    /// Something else answers there.
    #[error("what answers there is no binary cache: {0}")]
    NoCache(String),
    /// Too many are being asked, or this one takes too long.
    #[error("other caches are being asked, or this one answers too slowly")]
    Busy,
}

/// What is to be found out.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The cache.
    pub url: SubstituterUrl,
    /// The key that is said to sign there.
    pub key: PublicKey,
    /// Paths to try the key on, the best first.
    pub paths: Vec<StorePathHash>,
}

/// What asks them.
pub struct ForeignCaches {
    /// How often an address may ask.
    pub rate: PerAddress,
    slots: Semaphore,
}

impl Default for ForeignCaches {
    fn default() -> Self {
        Self {
            rate: PerAddress::new(RATE),
            slots: Semaphore::new(AT_ONCE),
        }
    }
}

impl ForeignCaches {
    /// Asks a cache.
    ///
    /// # Errors
    /// See [`ForeignError`].
    pub async fn test(
        &self,
        outbound: &Outbound,
        wanted: &Wanted,
    ) -> Result<TestedCache, ForeignError> {
        let asking = async {
            let _slot = self.slots.acquire().await;
            ask(outbound, wanted).await
        };
        tokio::time::timeout(TIME_OUT, asking)
            .await
            .unwrap_or(Err(ForeignError::Busy))
    }
}

async fn ask(outbound: &Outbound, wanted: &Wanted) -> Result<TestedCache, ForeignError> {
    let url = wanted.url.as_str();
    let (base, _) = url.split_once('?').unwrap_or((url, ""));
    let base = base.trim_end_matches('/');
    if !base.starts_with("https://") && !base.starts_with("http://") {
        return Err(ForeignError::Scheme(url.to_owned()));
    }
    let bytes = outbound.get(&format!("{base}/{}", cache_info::KEY)).await?;
    // Nix passes over what it does not know, so to its parser any text is one.
    let is_info = bytes
        .split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(b"StoreDir:"));
    if !is_info {
        let why = "its nix-cache-info names no StoreDir";
        return Err(ForeignError::NoCache(why.to_owned()));
    }
    let info = CacheInfo::parse(&bytes).map_err(|error| {
        ForeignError::NoCache(format!("its nix-cache-info cannot be read: {error}"))
    })?;
    let (signature, path) = signature(outbound, base, wanted, &info.store_dir).await?;
    Ok(TestedCache {
        url: url.to_owned(),
        key: wanted.key.to_string(),
        fingerprint: wanted.key.fingerprint(),
        store_dir: info.store_dir.as_str().to_owned(),
        priority: info.priority,
        want_mass_query: info.want_mass_query,
        signature,
        path,
    })
}

/// The best that the key is worth on the paths that the cache has.
async fn signature(
    outbound: &Outbound,
    base: &str,
    wanted: &Wanted,
    store_dir: &StoreDir,
) -> Result<(TestedSignature, Option<String>), ForeignError> {
    let mut best = (TestedSignature::Untested, None);
    for hash in wanted.paths.iter().take(MOST_PATHS) {
        let bytes = match outbound.get(&format!("{base}/{hash}.narinfo")).await {
            Ok(bytes) => bytes,
            // An S3 bucket that cannot be listed says 403 of what it does not have.
            Err(OutboundError::Status {
                status: StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN,
                ..
            }) => continue,
            Err(error) => return Err(error.into()),
        };
        let narinfo = NarInfo::parse(&bytes, store_dir);
        let Some(narinfo) = narinfo.ok().filter(|it| it.store_path().hash() == *hash) else {
            let why = format!("what it has at {hash}.narinfo is not that path's narinfo");
            return Err(ForeignError::NoCache(why));
        };
        let found = judge(&narinfo, &wanted.key);
        let path = format!("{store_dir}/{}", narinfo.store_path());
        if found == TestedSignature::Valid {
            return Ok((found, Some(path)));
        }
        if best.0 != TestedSignature::Invalid {
            best = (found, Some(path));
        }
    }
    Ok(best)
}

/// What the key is worth on a narinfo.
fn judge(narinfo: &NarInfo, key: &PublicKey) -> TestedSignature {
    let fingerprint = narinfo.fingerprint();
    let mut verdict = TestedSignature::Unsigned;
    for text in narinfo.signatures() {
        let Ok(signature) = text.parse::<Signature>() else {
            continue;
        };
        if signature.key_name() != key.name() {
            continue;
        }
        if key.verifies(fingerprint.as_bytes(), signature.bytes()) {
            return TestedSignature::Valid;
        }
        verdict = TestedSignature::Invalid;
    }
    verdict
}
