//! Hashing an archive's content as a content address says (PROTOCOL.md §6).

use snowbank_shared::content_address::{ContentAddress, ContentHasher, ContentHashes};
use snowbank_shared::nar::{Event, NarParser};
use snowbank_shared::store_path::StorePathHash;

use super::Refusal;
use super::examine::{Bounds, Examination, Gate, unpack};

impl Examination<ContentHashes> {
    /// Begins to hash an archive as a content address says, `own` being the path's hash part.
    pub(super) fn hash(
        gate: &Gate,
        bounds: Bounds,
        ca: &ContentAddress,
        own: StorePathHash,
    ) -> Self {
        let hasher = ContentHasher::new(ca, own);
        Self::spawn(gate, move |mut pieces| {
            let bad = |text: String| Refusal::unprocessable("bad-content-address", text);
            let mut hasher = hasher.ok_or_else(|| {
                bad("this server does not check git content addresses: sign the path".to_owned())
            })?;
            let mut parser = NarParser::new();
            unpack(&mut pieces, &bounds, |piece| {
                parser.push(piece, &mut |event: Event<'_>| hasher.event(&event))?;
                hasher.bytes(piece);
                Ok(())
            })?;
            parser.finish()?;
            hasher.finish().map_err(|fault| bad(fault.to_string()))
        })
    }
}
