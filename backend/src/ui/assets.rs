//! The table that the build wrote.

/// An asset and its compressed twins.
pub(super) struct Asset {
    /// Its name below `/_app/`.
    pub(super) name: &'static str,
    /// Names its content: hex, without quotes.
    pub(super) etag: &'static str,
    pub(super) identity: &'static [u8],
    pub(super) brotli: Option<&'static [u8]>,
    pub(super) gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

pub(super) fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}
