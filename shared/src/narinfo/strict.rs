//! What an upload may not have though Nix reads it (PROTOCOL.md §2 and §19, "SERVER").
//!
//! A narinfo that Nix versions, proxies and people read alike: plain fields,
//! each once, canonical, safe.

use super::error::{ErrorCode, NarInfoError};
use super::oddity::OddityKind;
use super::{NarInfo, Oddity};
use crate::store_path::{StoreDir, StorePathHash};

impl NarInfo {
    /// Parses an upload: what [`parse`](Self::parse) reads, and nothing that has to be guessed.
    ///
    /// # Errors
    /// The first fault, by line; see [`ErrorCode`].
    pub fn parse_strict(bytes: &[u8], store_dir: &StoreDir) -> Result<Self, NarInfoError> {
        let narinfo = Self::parse(bytes, store_dir)?;
        narinfo.check_strict()?;
        Ok(narinfo)
    }

    /// Checks what [`parse_strict`](Self::parse_strict) checks beyond [`parse`](Self::parse).
    ///
    /// # Errors
    /// As `parse_strict`.
    pub fn check_strict(&self) -> Result<(), NarInfoError> {
        let refused = |oddity: &&Oddity| oddity.kind.refusal().is_some();
        let first = self
            .oddities
            .iter()
            .filter(refused)
            .min_by_key(|oddity| oddity.line);
        match first.and_then(|oddity| Some((oddity, oddity.kind.refusal()?))) {
            None => Ok(()),
            Some((oddity, (code, field))) => Err(NarInfoError {
                code,
                line: oddity.line,
                field,
                reason: oddity.kind.to_string(),
            }),
        }
    }

    /// Checks that this narinfo belongs under the object name it came by.
    ///
    /// # Errors
    /// [`ErrorCode::KeyMismatch`].
    pub fn check_key(&self, key: StorePathHash) -> Result<(), NarInfoError> {
        if self.hash == key {
            return Ok(());
        }
        Err(NarInfoError {
            code: ErrorCode::KeyMismatch,
            line: Some(super::fields::line_of(
                self.text.as_bytes(),
                self.name.start(),
            )),
            field: Some("StorePath"),
            reason: format!(
                "is {}, and the narinfo is named after {key}",
                self.store_path()
            ),
        })
    }
}

impl OddityKind {
    /// True where an upload is refused for this.
    pub(super) fn is_refused_on_upload(&self) -> bool {
        self.refusal().is_some()
    }

    /// Code and field by which an upload is refused for this; `None` where it is not.
    fn refusal(&self) -> Option<(ErrorCode, Option<&'static str>)> {
        let bad = |field| Some((ErrorCode::BadNarinfo, field));
        match self {
            Self::UnknownField(_)
            | Self::NoCompression
            | Self::NoFileHash
            | Self::NoFileSize
            | Self::NoReferences
            | Self::HashForm(..)
            | Self::LeadingZeros(_)
            | Self::UnsortedReferences
            | Self::ReferenceBlanks
            | Self::DeriverNotDrv
            | Self::DuplicateSignature
            | Self::SignedInFileOrder
            | Self::NameClash { .. }
            | Self::WeakCa(_) => None,
            Self::LostField(_) | Self::NotUtf8 | Self::ControlCharacter => bad(None),
            Self::NoBlank(field) => bad(Some(field)),
            Self::Duplicate(field) => Some((ErrorCode::DuplicateField, Some(field))),
            Self::StorePathNotCanonical => {
                Some((ErrorCode::StorePathNotCanonical, Some("StorePath")))
            }
            Self::UrlWithQuery | Self::UrlUnusual => Some((ErrorCode::BadUrl, Some("URL"))),
            Self::UnknownCompression(_) => {
                Some((ErrorCode::UnsupportedCompression, Some("Compression")))
            }
            Self::MalformedSignature(_) | Self::SignatureTrailing | Self::UnusableKeyName => {
                bad(Some("Sig"))
            }
            Self::CaMismatch => Some((ErrorCode::CaPathMismatch, Some("CA"))),
            Self::CaWithReferences => Some((ErrorCode::CaWithReferences, Some("CA"))),
        }
    }
}
