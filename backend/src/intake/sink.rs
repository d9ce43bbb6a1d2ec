//! An object that comes into being only when it is completed: a buffer, then an upload in parts.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::step::{Step, StopAt};
use crate::bucket::{Bucket, BucketError, Multipart, Part, PutOptions};

/// Bytes of a part; what is smaller goes up in one piece.
const PART: usize = 8 << 20;

/// The uploads in parts that somebody here works on, by the store's names for them.
#[derive(Debug, Clone, Default)]
pub(super) struct UnderWay(Arc<Mutex<HashSet<String>>>);

impl UnderWay {
    fn begin(&self, upload: &Multipart) {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ids.insert(upload.id().to_owned());
    }

    fn end(&self, upload: &Multipart) {
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ids.remove(upload.id());
    }

    /// Whether somebody here works on this upload.
    pub(super) fn has(&self, upload: &Multipart) -> bool {
        let ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ids.contains(upload.id())
    }
}

/// A part that the store has, and its memory where nobody holds it.
type Arrived = (Part, Option<Vec<u8>>);

/// An object that comes into being only when it is completed.
pub(super) struct Sink {
    bucket: Bucket,
    key: String,
    mark: String,
    /// What fills; at most a part.
    buffer: Vec<u8>,
    /// The memory of a part that arrived: two go round.
    spare: Option<Vec<u8>>,
    upload: Option<Multipart>,
    parts: Vec<Part>,
    /// The part that is on its way while the next one fills.
    sending: Option<tokio::task::JoinHandle<Result<Arrived, BucketError>>>,
    sent: u32,
    under_way: UnderWay,
    stop_at: StopAt,
}

impl Sink {
    /// One for this key; `mark` stays with the object.
    pub(super) fn new(
        bucket: Bucket,
        key: &str,
        mark: String,
        under_way: &UnderWay,
        stop_at: &StopAt,
    ) -> Self {
        Self {
            bucket,
            key: key.to_owned(),
            mark,
            buffer: Vec::new(),
            spare: None,
            upload: None,
            parts: Vec::new(),
            sending: None,
            sent: 0,
            under_way: under_way.clone(),
            stop_at: stop_at.clone(),
        }
    }

    fn options(&self) -> PutOptions {
        PutOptions {
            mark: Some(self.mark.clone()),
            ..PutOptions::of_type("application/x-nix-nar")
        }
    }

    pub(super) async fn push(&mut self, mut piece: Bytes) -> Result<(), BucketError> {
        while !piece.is_empty() {
            // A full one goes when there is more: the last part is never empty.
            if self.buffer.len() == PART {
                let part = std::mem::take(&mut self.buffer);
                self.send(part.into()).await?;
                self.buffer = self.spare.take().unwrap_or_default();
            }
            let taken = piece.split_to(piece.len().min(PART - self.buffer.len()));
            self.room_for(taken.len());
            self.buffer.extend_from_slice(&taken);
        }
        Ok(())
    }

    /// Twice as much as before, and never more than a part.
    fn room_for(&mut self, more: usize) {
        let (length, room) = (self.buffer.len(), self.buffer.capacity());
        if length + more > room {
            let wanted = (room * 2).max(length + more).min(PART);
            self.buffer.reserve_exact(wanted - length);
        }
    }

    async fn send(&mut self, bytes: Bytes) -> Result<(), BucketError> {
        let upload = match &self.upload {
            Some(upload) => upload.clone(),
            None => {
                let upload = self
                    .bucket
                    .multipart_create(&self.key, &self.options())
                    .await?;
                self.under_way.begin(&upload);
                let upload = self.upload.insert(upload).clone();
                self.stop_at.reached(Step::Begun).await;
                upload
            }
        };
        self.arrived().await?;
        self.sent += 1;
        let (bucket, number) = (self.bucket.clone(), self.sent);
        self.sending = Some(tokio::spawn(async move {
            let memory = bytes.clone();
            let part = bucket.multipart_part(&upload, number, bytes).await?;
            Ok((part, memory.is_unique().then(|| Vec::from(memory))))
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
            Ok(part) => {
                let (part, memory) = part?;
                self.parts.push(part);
                self.spare = memory.map(|mut memory| {
                    memory.clear();
                    memory
                });
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
        if self.parts.len() == 1 {
            self.stop_at.reached(Step::FirstPart).await;
        }
        Ok(())
    }

    pub(super) async fn complete(mut self) -> Result<(), BucketError> {
        let rest = Bytes::from(std::mem::take(&mut self.buffer));
        if self.upload.is_none() {
            self.bucket.put(&self.key, rest, &self.options()).await?;
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
        if completed.is_err() {
            self.give_up().await;
        } else if let Some(upload) = self.upload.take() {
            self.under_way.end(&upload);
        }
        completed
    }

    /// Nothing of it stays.
    pub(super) async fn give_up(mut self) {
        // Whether the last part arrived does not matter any more, only that it is not on its way.
        let _ = self.arrived().await;
        if let Some(upload) = &self.upload {
            abort(&self.bucket, upload, &self.under_way).await;
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
        let (bucket, under_way) = (self.bucket.clone(), self.under_way.clone());
        let sending = self.sending.take();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Some(sending) = sending {
                    let _ = sending.await;
                }
                abort(&bucket, &upload, &under_way).await;
            });
        }
    }
}

async fn abort(bucket: &Bucket, upload: &Multipart, under_way: &UnderWay) {
    if let Err(error) = bucket.multipart_abort(upload).await {
        tracing::warn!(key = upload.key(), %error, "an upload that was given up stays behind until it is swept up");
    }
    under_way.end(upload);
}
