//! `PUT nar/…`: to the bucket and through the decoder at the same time.

use std::sync::Arc;

use http::StatusCode;
use snowbank_shared::hash::{Sha256, nix32};

use super::body::Upload;
use super::examine::{Bounds, Examination, Facts};
use super::quota::{Holding, largest_file};
use super::session::Part;
use super::sink::Sink;
use super::step::Step;
use super::{Intake, Refusal, Sender};
use crate::site::Cache;

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
        let owner = sender.owner();
        // Let go when it is remembered as come, or is given up.
        let room = self.room(cache, &owner, key, upload.length).await?;
        if super::content_encoding(sender.request).is_some_and(|coding| coding != "identity") {
            return Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "bad-encoding",
                "an archive is sent as it is, without a Content-Encoding: say how it is packed with ?compression=",
            ));
        }
        let _permit = Arc::clone(&self.0.uploads).acquire_owned().await;
        let there = cache.bucket.find(key).await?;
        if let Some(there) = &there
            && self.is_theirs(cache, there, &owner)
        {
            // What lies there is looked at when the narinfo comes.
            return upload
                .skip(cache.max_nar_size.saturating_add(1 << 20))
                .await;
        }
        let examination = Examination::begin(&self.0.gate, Bounds::of(cache, key));
        let (under_way, stop_at) = (&self.0.under_way, &self.0.stop_at);
        let mark = self.mark_of(cache, key, &owner);
        let mut sink = Sink::new(cache.bucket.clone(), key, mark, under_way, stop_at);
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
        // Who did not say how much would come has no room for it yet, and who took long has none any more.
        let is_over = room.as_ref().is_some_and(Holding::is_over);
        let rest = match upload.length {
            Some(_) if !is_over => Ok(None),
            _ => self.room(cache, &owner, key, Some(facts.file_size)).await,
        };
        let _rest = match rest {
            Ok(rest) => rest,
            Err(refusal) => {
                sink.give_up().await;
                return Err(refusal);
            }
        };
        self.0.stop_at.reached(Step::Verified).await;
        let kept = there.is_none();
        if kept {
            sink.complete().await?;
        } else {
            // The very bytes lie there, by somebody else: now this uploader has shown them too.
            sink.give_up().await;
        }
        self.0.stop_at.reached(Step::Completed).await;
        self.0
            .pending
            .put(cache.slug.as_str(), key, owner, Arc::new(facts), kept);
        Ok(())
    }
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
