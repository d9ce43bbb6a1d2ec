//! Changing the `Sig` lines of a narinfo and no other byte.

use super::fields::Fields;
use super::{NarInfo, NarInfoError};
use crate::signature::Signature;

impl NarInfo {
    /// This narinfo with one signature more: among its `Sig` lines where sorting puts
    /// it, else before `CA`, else at the end, as Nix orders them. All other bytes
    /// stay. Where the same line is there already, nothing changes.
    ///
    /// # Errors
    /// Where the result could not be read, which an intact narinfo never brings about.
    pub fn add_signature(&self, signature: &Signature) -> Result<Self, NarInfoError> {
        let text = signature.to_string();
        if self.signatures().any(|known| known == text) {
            return Ok(self.clone());
        }
        let bytes = self.to_bytes();
        let mut last_signature = None;
        let mut first_greater = None;
        let mut content_address = None;
        for field in Fields::of(bytes).flatten() {
            match field.name(bytes) {
                b"Sig" => {
                    last_signature = Some(field.end + 1);
                    if first_greater.is_none() && field.value(bytes) > text.as_bytes() {
                        first_greater = Some(field.start);
                    }
                }
                b"CA" => content_address = content_address.or(Some(field.start)),
                _ => {}
            }
        }
        let at = first_greater
            .or(last_signature)
            .or(content_address)
            .unwrap_or(bytes.len());
        let line = format!("Sig: {text}\n");
        let changed = [&bytes[..at], line.as_bytes(), &bytes[at..]].concat();
        Self::parse(&changed, &self.store_dir)
    }

    /// The bytes of this narinfo with another URL, which may be absolute. All other bytes stay, and
    /// no signature covers the URL.
    pub fn to_bytes_at(&self, url: &str) -> Vec<u8> {
        let bytes = self.to_bytes();
        let mut changed = Vec::with_capacity(bytes.len() + url.len());
        let mut kept_to = 0;
        for field in Fields::of(bytes).flatten() {
            if field.name(bytes) == b"URL" {
                changed.extend_from_slice(&bytes[kept_to..field.start]);
                changed.extend_from_slice(format!("URL: {url}\n").as_bytes());
                kept_to = field.end + 1;
            }
        }
        changed.extend_from_slice(&bytes[kept_to..]);
        changed
    }

    /// This narinfo without the `Sig` lines of exactly this value. All other bytes
    /// stay; where there is no such line, nothing changes.
    ///
    /// # Errors
    /// Where the result could not be read, which an intact narinfo never brings about.
    pub fn remove_signature(&self, value: &str) -> Result<Self, NarInfoError> {
        let bytes = self.to_bytes();
        let mut changed = Vec::with_capacity(bytes.len());
        let mut kept_to = 0;
        for field in Fields::of(bytes).flatten() {
            if field.name(bytes) == b"Sig" && field.value(bytes) == value.as_bytes() {
                changed.extend_from_slice(&bytes[kept_to..field.start]);
                kept_to = field.end + 1;
            }
        }
        changed.extend_from_slice(&bytes[kept_to..]);
        Self::parse(&changed, &self.store_dir)
    }
}
