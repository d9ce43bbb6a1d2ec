//! One file of an archive, as a stream.

use std::io;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use snowbank_shared::contents::Place;
use snowbank_shared::nar::{Event, NarParser};
use snowbank_shared::narinfo::Compression;

use super::outflow::{SLOWEST, outflow};
use super::{Archive, ArchiveError, Archives, PIECE, Reader, next, pieces};
use crate::bucket::{Bucket, ByteRange};

/// The bytes of a file. It breaks off with an error where they are not those of the listing.
pub type FileStream = BoxStream<'static, io::Result<Bytes>>;

/// Bytes of the number before a file's contents.
const LENGTH: u64 = 8;

impl Archives {
    /// The contents of the file at `path`, which the listing says has `size` bytes, at `offset` of the
    /// unpacked archive. Of an archive that is not packed only these bytes are read; another one is
    /// unpacked for `reader`.
    ///
    /// # Errors
    /// See [`ArchiveError`].
    pub async fn file(
        &self,
        bucket: &Bucket,
        archive: &Archive,
        path: Vec<u8>,
        size: u64,
        offset: Option<u64>,
        reader: &Reader,
    ) -> Result<FileStream, ArchiveError> {
        if archive.codec == Some(Compression::None)
            && let Some(start) = offset.and_then(|offset| offset.checked_sub(LENGTH))
            && let Some(file) = ranged(bucket, archive, start, size).await?
        {
            return Ok(file);
        }
        let turn = self.files.turn(reader).await?;
        let source = pieces::of_archive(bucket, archive, None).await?;
        let (mut out, file) = outflow(SLOWEST);
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let found = source.unpacked().and_then(|mut unpacked| {
                find(&mut *unpacked, &path, size, |piece| out.send(piece))
            });
            if let Err(error) = found {
                out.fail(io::Error::other(error));
            }
        });
        Ok(file)
    }
}

/// The file as a range of the object; `None` where the store gives no ranges or has it encoded.
async fn ranged(
    bucket: &Bucket,
    archive: &Archive,
    start: u64,
    size: u64,
) -> Result<Option<FileStream>, ArchiveError> {
    let last = start.saturating_add(LENGTH + size).saturating_sub(1);
    let range = ByteRange::Between(start, last);
    let object = bucket.get_range(&archive.key, range, None).await?;
    let given = object
        .range
        .is_some_and(|given| (given.first, given.last) == (start, last));
    if !given || object.content_encoding.is_some() {
        return Ok(None);
    }
    let mut body = object.body;
    let mut head = BytesMut::new();
    while head.len() < LENGTH as usize {
        match body.next().await {
            Some(piece) => head.extend_from_slice(&piece?),
            None => break,
        }
    }
    let length = head
        .first_chunk::<8>()
        .map(|bytes| u64::from_le_bytes(*bytes));
    if length != Some(size) {
        return Err(ArchiveError::Broken(
            "the file is not where the listing says".to_owned(),
        ));
    }
    let first = head.split_off(LENGTH as usize).freeze();
    let rest = body.map_err(io::Error::other);
    Ok(Some(stream::iter([Ok(first)]).chain(rest).boxed()))
}

/// Looks for a file and hands its bytes on, until `send` says that nobody wants more.
fn find(
    unpacked: &mut dyn io::Read,
    path: &[u8],
    size: u64,
    mut send: impl FnMut(Bytes) -> bool,
) -> Result<(), ArchiveError> {
    let mut parser = NarParser::new();
    let mut place = Place::default();
    let mut found = None;
    let mut sent = 0;
    let mut buffer = vec![0; PIECE];
    let mut piece = BytesMut::new();
    while let Some(length) = next(unpacked, &mut buffer)? {
        let mut here = found.is_some();
        parser
            .push(&buffer[..length], &mut |event: Event<'_>| {
                place.event(&event);
                match event {
                    Event::Contents(bytes) if here => piece.extend_from_slice(bytes),
                    Event::Contents(_) => {}
                    Event::Regular { size, .. } if place.path() == path => {
                        here = true;
                        found = Some(size);
                    }
                    _ => here = false,
                }
            })
            .map_err(|error| ArchiveError::Broken(error.to_string()))?;
        if found.is_some_and(|found| found != size) {
            return Err(ArchiveError::Differs);
        }
        sent += piece.len() as u64;
        if !piece.is_empty() && !send(piece.split().freeze()) {
            return Ok(());
        }
        if found.is_some() && sent >= size {
            return Ok(());
        }
    }
    Err(ArchiveError::Differs)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use snowbank_shared::nar::NarWriter;

    use super::*;

    #[test]
    fn a_file_is_found_by_its_path() {
        let mut archive = Vec::new();
        let mut writer = NarWriter::new(|bytes: &[u8]| archive.extend_from_slice(bytes));
        writer.directory().expect("a directory");
        for (name, contents) in [("a", "first"), ("b", ""), ("c", "third")] {
            writer.entry(name.as_bytes()).expect("an entry");
            writer.file(contents.as_bytes(), false).expect("a file");
        }
        writer.end().expect("its end");
        writer.finish().expect("an archive");
        let of = |path: &[u8], size: u64| {
            let got = RefCell::new(Vec::new());
            let found = find(&mut &archive[..], path, size, |piece| {
                got.borrow_mut().extend_from_slice(&piece);
                true
            });
            found.map(|()| got.into_inner())
        };
        assert_eq!(of(b"a", 5), Ok(b"first".to_vec()));
        assert_eq!(of(b"b", 0), Ok(Vec::new()));
        assert_eq!(of(b"c", 5), Ok(b"third".to_vec()));
        assert_eq!(of(b"c", 6), Err(ArchiveError::Differs));
        assert_eq!(of(b"d", 0), Err(ArchiveError::Differs));
    }
}
