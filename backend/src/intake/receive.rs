//! `PUT nar/…`: to the bucket and through the decoder at the same time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use http::StatusCode;
use snowbank_shared::hash::{Sha256, nix32};

use super::body::Upload;
use super::examine::{Bounds, Examination, Facts};
use super::session::Part;
use super::sink::Sink;
use super::step::Step;
use super::{Intake, Refusal, Sender, waiting};
use crate::site::Cache;

/// What to say where the quota cannot be held against anything.
const UNCOUNTED: &str = "what the cache holds could not be counted";
/// Characters of a SHA-256 in nix32.
const HASH: usize = 52;

impl Intake {
    /// Takes an archive.
    pub(super) async fn nar(
        &self,
        sender: &Sender<'_>,
        key: &str,
        upload: &mut Upload,
    ) -> Result<(), Refusal> {
        if let Some(part) = Part::of(sender.request) {
            return self.part(sender, key, part?, upload).await;
        }
        let cache = sender.cache;
        let promised = promised(key)?;
        self.room(cache, key, upload.length).await?;
        if super::content_encoding(sender.request).is_some_and(|coding| coding != "identity") {
            return Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "bad-encoding",
                "an archive is sent as it is, without a Content-Encoding: say how it is packed with ?compression=",
            ));
        }
        let _permit = Arc::clone(&self.0.uploads).acquire_owned().await;
        if cache.bucket.find(key).await?.is_some() {
            // What lies there is looked at when the narinfo comes.
            return upload
                .skip(cache.max_nar_size.saturating_add(1 << 20))
                .await;
        }
        let examination = Examination::begin(&self.0.gate, Bounds::of(cache, key));
        let (under_way, stop_at) = (&self.0.under_way, &self.0.stop_at);
        let mut sink = Sink::new(cache.bucket.clone(), key, under_way, stop_at);
        let streamed = stream(upload, &examination, &mut sink, cache).await;
        let judged = match streamed {
            Ok(()) => examination.finish().await,
            // The thread found the fault, or the client broke off.
            Err(Some(refusal)) => Err(refusal),
            Err(None) => match examination.finish().await {
                Ok(_) => Err(Refusal::dependency("looking at the archive ended early")),
                Err(refusal) => Err(refusal),
            },
        };
        let facts = match judged.and_then(|facts| keeps(promised, facts)) {
            Ok(facts) => facts,
            Err(refusal) => {
                sink.give_up().await;
                return Err(refusal);
            }
        };
        self.0.stop_at.reached(Step::Verified).await;
        sink.complete().await?;
        self.0.stop_at.reached(Step::Completed).await;
        self.0
            .pending
            .put(cache.slug.as_str(), key, sender.owner(), Arc::new(facts));
        Ok(())
    }
}

/// Bytes of an archive as it is sent, at most: what is packed may be a little larger than what is not.
fn largest_file(cache: &Cache) -> u64 {
    let most = cache.max_nar_size;
    most.saturating_add(most / 64 + 4096)
}

impl Intake {
    /// Whether the cache takes an archive of so many bytes.
    pub(super) async fn room(
        &self,
        cache: &Cache,
        key: &str,
        length: Option<u64>,
    ) -> Result<(), Refusal> {
        let length = length.unwrap_or(0);
        if length > largest_file(cache) {
            return Err(Refusal::too_large(format!(
                "the archive has {length} bytes, and this cache takes {} (max_nar_size)",
                cache.max_nar_size
            )));
        }
        let Some((left, most)) = self.left(cache, &HashSet::from([key])).await? else {
            return Ok(());
        };
        if length > left || left == 0 {
            return Err(Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "quota",
                format!(
                    "not enough quota: it needs {length} bytes, and {left} of {most} are left (max_bytes); nothing was sent"
                ),
            ));
        }
        Ok(())
    }

    /// Bytes that the cache's quota leaves, and the quota; `None` where it has none. What is published
    /// counts, and each archive that came and is not: whose narinfo waits, or is still to come; but
    /// not those that are asked about.
    pub(super) async fn left(
        &self,
        cache: &Cache,
        asked_about: &HashSet<&str>,
    ) -> Result<Option<(u64, u64)>, Refusal> {
        let Some(most) = cache.max_bytes else {
            return Ok(None);
        };
        let slug = cache.slug.as_str();
        let mut others: HashMap<String, u64> = self.0.pending.sizes(slug);
        others.extend(waiting::sizes_of_nars(&self.0.site.ledger, slug));
        others.retain(|key, _| !asked_about.contains(key.as_str()));
        let view = cache.index.view();
        // The first sum of a version looks at every path.
        let taken = tokio::task::spawn_blocking(move || {
            let published = view.totals().stored_bytes.unwrap_or(0);
            others
                .iter()
                .filter(|(key, _)| view.ids_by_nar(key).is_empty())
                .fold(published, |sum, (_, size)| sum.saturating_add(*size))
        })
        .await
        .map_err(|_| Refusal::dependency(UNCOUNTED))?;
        Ok(Some((most.saturating_sub(taken), most)))
    }
}

/// Whether an archive that came fits into the quota beside what is published.
pub(super) async fn fits(cache: &Cache, key: &str, size: u64) -> Result<(), Refusal> {
    let Some(most) = cache.max_bytes else {
        return Ok(());
    };
    let (view, key) = (cache.index.view(), key.to_owned());
    let (published, is_new) = tokio::task::spawn_blocking(move || {
        let published = view.totals().stored_bytes.unwrap_or(0);
        (published, view.ids_by_nar(&key).is_empty())
    })
    .await
    .map_err(|_| Refusal::dependency(UNCOUNTED))?;
    let needed = if is_new { size } else { 0 };
    if published.saturating_add(needed) <= most {
        return Ok(());
    }
    let left = most.saturating_sub(published);
    Err(Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "quota",
        format!(
            "not enough quota: it needs {needed} bytes, and {left} of {most} are left (max_bytes); nothing was published"
        ),
    ))
}

/// The hash that an archive's key promises: its name is that of its bytes.
pub(super) fn promised(key: &str) -> Result<Sha256, Refusal> {
    let bad = || {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            "bad-key",
            "an archive is put as nar/, the SHA-256 of its bytes in nix32, and .nar with the extension of its compression",
        )
    };
    let name = key.strip_prefix("nar/").ok_or_else(bad)?;
    let (hash, extension) = name.split_once('.').ok_or_else(bad)?;
    let fine = extension == "nar"
        || extension.strip_prefix("nar.").is_some_and(|packed| {
            (1..=8).contains(&packed.len())
                && packed.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
    if !fine || hash.len() != HASH {
        return Err(bad());
    }
    let bytes = nix32::decode(hash, 32).map_err(|_| bad())?;
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| bad())?;
    Ok(Sha256(bytes))
}

/// Whether the bytes are those that the key promises.
pub(super) fn keeps(promised: Sha256, facts: Facts) -> Result<Facts, Refusal> {
    if facts.file_hash == promised {
        return Ok(facts);
    }
    Err(Refusal::unprocessable(
        "file-hash-mismatch",
        format!(
            "its name says sha256:{} and its bytes have sha256:{}: it was changed on the way",
            promised.to_nix32(),
            facts.file_hash.to_nix32()
        ),
    ))
}

/// From the client to the thread and the bucket. Fails without a refusal where the thread has one.
async fn stream(
    upload: &mut Upload,
    examination: &Examination<Facts>,
    sink: &mut Sink,
    cache: &Cache,
) -> Result<(), Option<Refusal>> {
    let mut received = 0_u64;
    while let Some(piece) = upload.next().await? {
        received += piece.len() as u64;
        if received > largest_file(cache) {
            return Err(Some(Refusal::too_large(format!(
                "the archive has more than the {} bytes that this cache takes (max_nar_size)",
                cache.max_nar_size
            ))));
        }
        if !examination.push(piece.clone()).await {
            return Err(None);
        }
        sink.push(piece).await.map_err(Refusal::from)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_named_by_its_hash() {
        let hash = Sha256::digest(b"x").to_nix32();
        for good in ["nar", "nar.xz", "nar.zst"] {
            assert_eq!(
                promised(&format!("nar/{hash}.{good}")),
                Ok(Sha256::digest(b"x"))
            );
        }
        for bad in [
            "foo".to_owned(),
            "nar/x.nar".to_owned(),
            format!("nar/{hash}"),
            format!("nar/{hash}.tar"),
            format!("nar/{hash}.nar.xz.xz"),
            format!("nar/{}.nar", hash.to_uppercase()),
            format!("nar/a/{hash}.nar"),
            format!("{hash}.nar"),
        ] {
            assert_eq!(promised(&bad).expect_err(&bad).code, "bad-key");
        }
    }
}
