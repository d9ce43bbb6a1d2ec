//! `PUT nar/…`: to the bucket and through the decoder at the same time.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use snowbank_shared::hash::{Sha256, nix32};

use super::body::Upload;
use super::examine::{Bounds, Examination, Facts};
use super::step::{Step, StopAt};
use super::{Intake, Refusal, Sender};
use crate::bucket::{Bucket, BucketError, Multipart, Part, PutOptions};
use crate::site::Cache;

/// Bytes of a part; what is smaller goes up in one piece.
const PART: usize = 8 << 20;
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
        let cache = sender.cache;
        let promised = promised(key)?;
        room(cache, upload.length).await?;
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
        let mut sink = Sink::new(cache.bucket.clone(), key, self.0.stop_at.clone());
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

/// Whether the cache takes so many bytes more.
pub(super) async fn room(cache: &Cache, length: Option<u64>) -> Result<(), Refusal> {
    let length = length.unwrap_or(0);
    if length > largest_file(cache) {
        return Err(Refusal::too_large(format!(
            "the archive has {length} bytes, and this cache takes {} (max_nar_size)",
            cache.max_nar_size
        )));
    }
    let Some(most) = cache.max_bytes else {
        return Ok(());
    };
    let view = cache.index.view();
    // The first sum of a version looks at every path.
    let stored = tokio::task::spawn_blocking(move || view.totals().stored_bytes)
        .await
        .map_err(|_| Refusal::dependency("what the cache holds could not be counted"))?
        .unwrap_or(0);
    let left = most.saturating_sub(stored);
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

/// The hash that an archive's key promises: its name is that of its bytes.
fn promised(key: &str) -> Result<Sha256, Refusal> {
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
fn keeps(promised: Sha256, facts: Facts) -> Result<Facts, Refusal> {
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

/// An object that comes into being only when it is completed.
struct Sink {
    bucket: Bucket,
    key: String,
    buffer: BytesMut,
    upload: Option<Multipart>,
    parts: Vec<Part>,
    /// The part that is on its way while the next one fills.
    sending: Option<tokio::task::JoinHandle<Result<Part, BucketError>>>,
    sent: u32,
    stop_at: StopAt,
}

impl Sink {
    fn new(bucket: Bucket, key: &str, stop_at: StopAt) -> Self {
        Self {
            bucket,
            key: key.to_owned(),
            buffer: BytesMut::new(),
            upload: None,
            parts: Vec::new(),
            sending: None,
            sent: 0,
            stop_at,
        }
    }

    fn options() -> PutOptions {
        PutOptions::of_type("application/x-nix-nar")
    }

    async fn push(&mut self, piece: Bytes) -> Result<(), BucketError> {
        self.buffer.extend_from_slice(&piece);
        if self.buffer.len() > PART {
            let part = self.buffer.split_to(PART).freeze();
            self.send(part).await?;
        }
        Ok(())
    }

    async fn send(&mut self, bytes: Bytes) -> Result<(), BucketError> {
        let upload = match &self.upload {
            Some(upload) => upload.clone(),
            None => {
                let upload = self
                    .bucket
                    .multipart_create(&self.key, &Self::options())
                    .await?;
                let upload = self.upload.insert(upload).clone();
                self.stop_at.reached(Step::Begun).await;
                upload
            }
        };
        self.arrived().await?;
        self.sent += 1;
        let (bucket, number) = (self.bucket.clone(), self.sent);
        self.sending = Some(tokio::spawn(async move {
            bucket.multipart_part(&upload, number, bytes).await
        }));
        Ok(())
    }

    /// Waits for the part on its way.
    async fn arrived(&mut self) -> Result<(), BucketError> {
        // It stays here while it is waited for: whoever stops waiting has to know of it.
        let Some(sending) = &mut self.sending else {
            return Ok(());
        };
        let part = sending.await;
        self.sending = None;
        match part {
            Ok(part) => self.parts.push(part?),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
        if self.parts.len() == 1 {
            self.stop_at.reached(Step::FirstPart).await;
        }
        Ok(())
    }

    async fn complete(mut self) -> Result<(), BucketError> {
        let rest = self.buffer.split().freeze();
        if self.upload.is_none() {
            self.bucket.put(&self.key, rest, &Self::options()).await?;
            return Ok(());
        }
        let completed = async {
            if !rest.is_empty() {
                self.send(rest).await?;
            }
            self.arrived().await?;
            self.stop_at.reached(Step::Parts).await;
            match &self.upload {
                Some(upload) => self
                    .bucket
                    .multipart_complete(upload, &self.parts, None)
                    .await
                    .map(drop),
                None => Ok(()),
            }
        }
        .await;
        match &completed {
            Ok(()) => self.upload = None,
            Err(_) => self.give_up().await,
        }
        completed
    }

    /// Nothing of it stays.
    async fn give_up(mut self) {
        // Whether the last part arrived does not matter any more, only that it is not on its way.
        let _ = self.arrived().await;
        if let Some(upload) = &self.upload {
            if let Err(error) = self.bucket.multipart_abort(upload).await {
                tracing::warn!(key = self.key, %error, "an upload that was given up stays behind until it is swept up");
            }
            self.upload = None;
        }
    }
}

impl Drop for Sink {
    /// The client left, and what was answering it is gone.
    fn drop(&mut self) {
        let Some(upload) = self.upload.take() else {
            return;
        };
        let (bucket, sending) = (self.bucket.clone(), self.sending.take());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Some(sending) = sending {
                    let _ = sending.await;
                }
                let _ = bucket.multipart_abort(&upload).await;
            });
        }
    }
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
