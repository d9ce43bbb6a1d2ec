//! Reading the bucket's own `nix-cache-info`.
//!
//! Snowbank serves its own, but whoever reads the bucket without Snowbank gets this one,
//! and one that does not parse ends every Nix command that so much as looks at it.

use snowbank_shared::api::Severity;
use snowbank_shared::cache_info::{CacheInfo, KEY, MAX_BYTES};
use snowbank_shared::store_path::StoreDir;

use super::noted::{Check, Found, Noted};
use crate::bucket::{Bucket, BucketError, BucketErrorKind};
use crate::index::Change;

/// Reads it, and says what is wrong with it.
///
/// # Errors
/// Where the bucket fails; that it is missing or bad is a finding and no error.
pub(super) async fn read(
    bucket: &Bucket,
    store_dir: &StoreDir,
    noted: &Noted,
) -> Result<(Option<CacheInfo>, Option<Change>), BucketError> {
    let (severity, reason, info) = match bucket.get_small(KEY, MAX_BYTES).await {
        Ok(object) => match CacheInfo::parse(&object.bytes) {
            Ok(info) if info.store_dir == *store_dir => {
                return Ok((Some(info), noted.settle(Check::CacheInfo, KEY)));
            }
            Ok(info) => {
                let reason = format!(
                    "StoreDir is {}, and this cache is for {store_dir}: clients with {store_dir} refuse the bucket",
                    info.store_dir
                );
                (Severity::Error, reason, Some(info))
            }
            Err(error) => (Severity::Error, error.to_string(), None),
        },
        Err(error) => match error.kind() {
            BucketErrorKind::NotFound => (Severity::Warning, missing(), None),
            BucketErrorKind::Corrupt | BucketErrorKind::TooLarge => {
                (Severity::Error, error.detail().to_owned(), None)
            }
            _ => return Err(error),
        },
    };
    let finding = noted.note(Found {
        check: Check::CacheInfo,
        severity,
        object: KEY.to_owned(),
        line: None,
        reason,
        hash: None,
    });
    Ok((info, Some(finding)))
}

/// The change where the listing does not have it at all.
pub(super) fn absent(noted: &Noted) -> Change {
    noted.note(Found {
        check: Check::CacheInfo,
        severity: Severity::Warning,
        object: KEY.to_owned(),
        line: None,
        reason: missing(),
        hash: None,
    })
}

fn missing() -> String {
    "there is none: clients that read the bucket itself take priority 0, before cache.nixos.org, and s3:// stores refuse to open".to_owned()
}
