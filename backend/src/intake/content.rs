//! Hashing an archive's content as a content address says (PROTOCOL.md §6).

use snowbank_shared::content_address::{ContentAddress, Method, SelfReferenceHasher};
use snowbank_shared::hash::{Hash, Hasher};
use snowbank_shared::nar::{Event, NarParser};
use snowbank_shared::store_path::StorePathHash;

use super::Refusal;
use super::examine::{Bounds, Examination, Gate, Pieces, unpack};

/// The hashes that a content address may claim for an archive.
#[derive(Debug)]
pub(super) struct ContentHashes(Vec<Hash>);

impl ContentHashes {
    /// Whether one of them is this: with the offsets of self references, or without, as Nix 2.17 to
    /// 2.34 make it (PROTOCOL.md §6).
    pub(super) fn include(&self, hash: &Hash) -> bool {
        self.0.contains(hash)
    }
}

impl Examination<ContentHashes> {
    /// Begins to hash an archive as a content address says, `own` being the path's hash part.
    pub(super) fn hash(
        gate: &Gate,
        bounds: Bounds,
        ca: &ContentAddress,
        own: StorePathHash,
    ) -> Self {
        let (method, algorithm) = (ca.method, ca.hash.algorithm());
        Self::spawn(gate, move |mut pieces| match method {
            Method::Recursive => {
                let mut hasher = SelfReferenceHasher::new(algorithm, own);
                unpack(&mut pieces, &bounds, |piece| {
                    hasher.update(piece);
                    Ok(())
                })?;
                let hashes = hasher.finish().map_err(|error| {
                    Refusal::unprocessable("bad-content-address", error.to_string())
                })?;
                Ok(ContentHashes(vec![
                    hashes.with_offsets,
                    hashes.without_offsets,
                ]))
            }
            Method::Flat | Method::Text => flat(&mut pieces, &bounds, Hasher::new(algorithm)),
            Method::Git => Err(Refusal::unprocessable(
                "bad-content-address",
                "this server does not check git content addresses: sign the path",
            )),
        })
    }
}

/// The hash of the one file that an archive is.
fn flat(
    pieces: &mut Pieces,
    bounds: &Bounds,
    mut hasher: Hasher,
) -> Result<ContentHashes, Refusal> {
    let mut parser = NarParser::new();
    let mut is_file = false;
    unpack(pieces, bounds, |piece| {
        let mut nodes = 0_u64;
        parser.push(piece, &mut |event: Event<'_>| match event {
            Event::Regular { .. } => is_file = true,
            Event::Contents(bytes) => hasher.update(bytes),
            _ => nodes += 1,
        })?;
        if nodes > 0 {
            return Err(Refusal::unprocessable(
                "bad-content-address",
                "its content address is that of a single file, and the archive is none",
            ));
        }
        Ok(())
    })?;
    parser.finish()?;
    if !is_file {
        return Err(Refusal::unprocessable(
            "bad-content-address",
            "the archive is no file",
        ));
    }
    Ok(ContentHashes(vec![hasher.finish()]))
}
