//! PUT of what lies beside: listings and debug links are made here from the verified archive and
//! those that are sent are not looked at; logs are written once, for paths of one's own.

use http::StatusCode;
use snowbank_shared::cache_info::CacheInfo;

use super::body::Upload;
use super::step::Step;
use super::{Intake, Refusal, Sender};
use crate::bucket::{BucketErrorKind, PutOptions};
use crate::substituter::key::Side;

/// Bytes of a listing or link that is read and not kept.
const IGNORED: u64 = 256 << 20;
/// Bytes of a build log.
const LARGEST_LOG: usize = 64 << 20;
/// Bytes of `nix-cache-info`.
const LARGEST_INFO: usize = 64 * 1024;

impl Intake {
    /// Takes an object beside.
    pub(super) async fn side(
        &self,
        sender: &Sender<'_>,
        kind: Side,
        key: &str,
        upload: &mut Upload,
    ) -> Result<(), Refusal> {
        match kind {
            Side::Listing | Side::DebugInfo => upload.skip(IGNORED).await,
            Side::Log => self.log(sender, key, upload).await,
            Side::Realisation | Side::BuildTrace => self.realisation(sender, key, upload).await,
        }
    }

    /// A log is written once, by who uploaded what was built: whoever may upload could else change, or
    /// take the place of, what others read about a build.
    async fn log(
        &self,
        sender: &Sender<'_>,
        key: &str,
        upload: &mut Upload,
    ) -> Result<(), Refusal> {
        self.may_log(sender, key).await?;
        let coding = super::content_encoding(sender.request);
        let text = upload.whole(LARGEST_LOG, coding).await?;
        let bucket = &sender.cache.bucket;
        let options = PutOptions::of_type("text/plain; charset=utf-8");
        let there = match bucket.put_if_absent(key, text.clone(), &options).await {
            Ok(_) => {
                self.0.stop_at.reached(Step::Log).await;
                return Ok(());
            }
            Err(error) if error.kind() == BucketErrorKind::PreconditionFailed => {
                bucket.get_small(key, LARGEST_LOG).await?.bytes
            }
            Err(error) => return Err(error.into()),
        };
        if there == text {
            return Ok(());
        }
        Err(Refusal::conflict(
            "log-exists",
            "another log of this derivation is here, and the first stays",
        ))
    }

    /// `nix-cache-info` is the server's own; a client that means another store is told so.
    pub(super) async fn cache_info(
        &self,
        sender: &Sender<'_>,
        upload: &mut Upload,
    ) -> Result<(), Refusal> {
        let bytes = upload
            .whole(LARGEST_INFO, super::content_encoding(sender.request))
            .await?;
        let bad = |reason: String| Refusal::new(StatusCode::BAD_REQUEST, "bad-cache-info", reason);
        let info = CacheInfo::parse(&bytes).map_err(|error| bad(error.to_string()))?;
        let ours = &sender.cache.store_dir;
        if info.store_dir == *ours {
            return Ok(());
        }
        Err(Refusal::conflict(
            "other-store",
            format!(
                "this cache is for {ours}, and what you copy is for {}",
                info.store_dir
            ),
        ))
    }
}
