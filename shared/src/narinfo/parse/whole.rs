//! After the last field: what is missing, what is odd about the whole, and errors.

use super::Reader;
use crate::narinfo::error::{ErrorCode, NarInfoError, excerpt};
use crate::narinfo::fields::{CutError, Field, Fields, line_of};
use crate::narinfo::oddity::{Oddity, OddityKind};
use crate::narinfo::{Compression, NarInfo};

impl Reader<'_> {
    pub(super) fn finish(mut self, original: Option<&[u8]>) -> Result<NarInfo, NarInfoError> {
        let Some((hash, name)) = self.path else {
            return Err(self.missing("StorePath"));
        };
        let Some((url, _)) = self.url else {
            return Err(self.missing("URL"));
        };
        let Some(nar_hash) = self.nar_hash else {
            return Err(self.missing("NarHash"));
        };
        let nar_size = match self.nar_size {
            None => return Err(self.missing("NarSize")),
            Some((0, field)) => {
                return Err(self.bad(
                    field,
                    "NarSize",
                    "is zero; even an empty archive has 96 bytes",
                ));
            }
            Some((size, _)) => size,
        };
        self.look_at_the_whole();
        let mut narinfo = NarInfo {
            text: self.text.into(),
            original: original.map(Into::into),
            store_dir: self.store_dir.clone(),
            hash,
            name,
            url,
            compression: self.compression.unwrap_or_default(),
            file_hash: self.file_hash,
            file_size: self.file_size,
            nar_hash,
            nar_size,
            references: self.references.unwrap_or_default(),
            reference_count: self.reference_count,
            references_sorted: self.references_sorted,
            deriver: self.deriver.flatten(),
            system: self.system,
            signatures: self.signatures,
            ca: self.ca.flatten(),
            ca_holds: false,
            oddities: self.oddities,
        };
        if let Some(ca) = narinfo.ca {
            narinfo.ca_holds =
                ca.yields(self.store_dir, narinfo.store_path(), narinfo.references());
            let line = Some(line_of(self.text.as_bytes(), self.ca_at));
            let kind = if narinfo.ca_holds {
                let algorithm = ca.hash.algorithm();
                algorithm.is_weak().then_some(OddityKind::WeakCa(algorithm))
            } else if narinfo.reference_count > 0 && !ca.allows_references() {
                Some(OddityKind::CaWithReferences)
            } else {
                Some(OddityKind::CaMismatch)
            };
            narinfo
                .oddities
                .extend(kind.map(|kind| Oddity { line, kind }));
        }
        Ok(narinfo)
    }

    /// Oddities that no single line shows.
    fn look_at_the_whole(&mut self) {
        let word = self
            .compression
            .and_then(|span| self.text.get(span.range()))
            .unwrap_or_default();
        if word.is_empty() {
            self.odd_whole(OddityKind::NoCompression);
        } else if Compression::from_name(word).is_none() {
            let at = self.compression.unwrap_or_default().start();
            self.odd_at(at, OddityKind::UnknownCompression(word.to_owned()));
        }
        if self.file_hash.is_none() {
            self.odd_whole(OddityKind::NoFileHash);
        }
        if self.file_size.is_none() {
            self.odd_whole(OddityKind::NoFileSize);
        }
        if self.references.is_none() {
            self.odd_whole(OddityKind::NoReferences);
        }
        let control = |byte: &u8| byte.is_ascii_control() && *byte != b'\n';
        if let Some(at) = self.text.as_bytes().iter().position(control) {
            self.odd_at(at, OddityKind::ControlCharacter);
        }
    }

    /// A field that is required and not there; with where it may have gone.
    fn missing(&self, name: &'static str) -> NarInfoError {
        let text = self.text.as_bytes();
        let mut reason = "is missing".to_owned();
        let mut line = None;
        for field in Fields::of(text).flatten() {
            let found = String::from_utf8_lossy(field.name(text));
            if found == name
                || !found
                    .trim_start_matches('\u{feff}')
                    .trim()
                    .eq_ignore_ascii_case(name)
            {
                continue;
            }
            line = Some(line_of(text, field.colon));
            let why = if found.contains('\n') {
                "a blank line before it becomes part of its name"
            } else if found.starts_with('\u{feff}') {
                "a byte order mark before it becomes part of its name"
            } else {
                "names are case sensitive and have no blanks"
            };
            reason = format!("{reason}: {} is there, but {why}", excerpt(&found));
            break;
        }
        NarInfoError {
            code: ErrorCode::BadNarinfo,
            line,
            field: Some(name),
            reason,
        }
    }

    pub(super) fn uncut(&self, error: CutError) -> NarInfoError {
        let text = self.text.as_bytes();
        let (line, reason) = match error {
            CutError::NoColon(at) => {
                // Blank lines in front belong to the same field.
                let blank = text[at..].iter().take_while(|byte| **byte == b'\n').count();
                let at = (at + blank).min(text.len().saturating_sub(1));
                (line_of(text, at), "is not a field: there is no `:`")
            }
            CutError::NoLineEnd(at) => (
                line_of(text, at),
                "the last line does not end with a line feed",
            ),
        };
        NarInfoError {
            code: ErrorCode::BadNarinfo,
            line: Some(line),
            field: None,
            reason: reason.to_owned(),
        }
    }

    pub(super) fn bad(&self, field: Field, name: &'static str, reason: &str) -> NarInfoError {
        let text = self.text.as_bytes();
        let mut reason = reason.to_owned();
        match field.separator(text) {
            b' ' => {}
            b'\n' => reason.push_str(
                " (nothing, not even a blank, follows the colon, so Nix reads the next line)",
            ),
            _ => reason.push_str(" (no blank follows the colon, so Nix drops the first character)"),
        }
        NarInfoError {
            code: ErrorCode::BadNarinfo,
            line: Some(line_of(text, field.colon)),
            field: Some(name),
            reason,
        }
    }
}
