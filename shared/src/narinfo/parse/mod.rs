//! Reading a narinfo as Nix does, noting what is odd.

use std::collections::HashSet;

use super::error::{ErrorCode, NarInfoError, excerpt};
use super::fields::{Field, Fields, Span, line_of};
use super::oddity::{Oddity, OddityKind};
use super::{MAX_BYTES, NarInfo, url};
use crate::content_address::ContentAddress;
use crate::hash::{Hash, HashForm, Sha256};
use crate::signature::{SignatureParts, check_key_name};
use crate::store_path::{StoreDir, StorePathHash, StorePathRef};

mod whole;

impl NarInfo {
    /// Parses what lies in a bucket, for a store directory: whatever Nix reads.
    ///
    /// # Errors
    /// [`ErrorCode::BadNarinfo`] for what Nix refuses, [`ErrorCode::BadUrl`] for a URL
    /// that leads out of the cache.
    pub fn parse(bytes: &[u8], store_dir: &StoreDir) -> Result<Self, NarInfoError> {
        if bytes.len() > MAX_BYTES {
            return Err(NarInfoError {
                code: ErrorCode::BadNarinfo,
                line: None,
                field: None,
                reason: format!("{} bytes; a narinfo has at most {MAX_BYTES}", bytes.len()),
            });
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Reader::new(text, store_dir).read(None),
            Err(error) => {
                let text = String::from_utf8_lossy(bytes);
                let mut reader = Reader::new(&text, store_dir);
                let line = line_of(bytes, error.valid_up_to());
                reader.odd(line, OddityKind::NotUtf8);
                reader.read(Some(bytes))
            }
        }
    }
}

/// What was read so far.
struct Reader<'a> {
    text: &'a str,
    store_dir: &'a StoreDir,
    path: Option<(StorePathHash, Span)>,
    url: Option<(Span, url::Form)>,
    compression: Option<Span>,
    file_hash: Option<Hash>,
    file_size: Option<u64>,
    nar_hash: Option<Sha256>,
    nar_size: Option<(u64, Field)>,
    references: Option<Span>,
    reference_count: u32,
    references_sorted: bool,
    references_at: usize,
    deriver: Option<Option<Span>>,
    system: Option<Span>,
    signatures: Vec<Span>,
    signature_values: HashSet<&'a str>,
    ca: Option<Option<ContentAddress>>,
    ca_at: usize,
    oddities: Vec<Oddity>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, store_dir: &'a StoreDir) -> Self {
        Self {
            text,
            store_dir,
            path: None,
            url: None,
            compression: None,
            file_hash: None,
            file_size: None,
            nar_hash: None,
            nar_size: None,
            references: None,
            reference_count: 0,
            references_sorted: true,
            references_at: 0,
            deriver: None,
            system: None,
            signatures: Vec::new(),
            signature_values: HashSet::new(),
            ca: None,
            ca_at: 0,
            oddities: Vec::new(),
        }
    }

    fn read(mut self, original: Option<&[u8]>) -> Result<NarInfo, NarInfoError> {
        for field in Fields::of(self.text.as_bytes()) {
            let field = field.map_err(|error| self.uncut(error))?;
            self.field(field)?;
        }
        self.finish(original)
    }

    fn field(&mut self, field: Field) -> Result<(), NarInfoError> {
        let text = self.text;
        let name = match field.name(text.as_bytes()) {
            b"StorePath" => "StorePath",
            b"URL" => "URL",
            b"Compression" => "Compression",
            b"FileHash" => "FileHash",
            b"FileSize" => "FileSize",
            b"NarHash" => "NarHash",
            b"NarSize" => "NarSize",
            b"References" => "References",
            b"Deriver" => "Deriver",
            b"System" => "System",
            b"Sig" => "Sig",
            b"CA" => "CA",
            _ => {
                self.unknown(field);
                return Ok(());
            }
        };
        let separator = field.separator(text.as_bytes());
        if separator != b' ' {
            self.odd_at(field.colon, OddityKind::NoBlank(name));
        }
        let span = Span::new(field.colon + 2..field.end);
        // Only a character that begins right after the colon and is longer than one
        // byte can be cut in two by Nix's rule.
        let Some(value) = text.get(span.range()) else {
            return Err(self.bad(field, name, "has no blank after the colon"));
        };
        let result = match name {
            "StorePath" => self.store_path(field, value),
            "URL" => self.url(field, span, value)?,
            "Compression" => {
                self.once(self.compression.is_some(), field, name);
                self.compression = Some(span);
                Ok(())
            }
            "FileHash" => self.hash(field, name, value).map(|hash| {
                self.once(self.file_hash.is_some(), field, name);
                self.file_hash = Some(hash);
            }),
            "FileSize" => self.size(field, name, value).map(|size| {
                self.once(self.file_size.is_some(), field, name);
                self.file_size = Some(size);
            }),
            "NarHash" => {
                let hash = self.hash(field, name, value);
                hash.and_then(|hash| Sha256::try_from(hash).map_err(|e| e.to_string()))
                    .map(|hash| {
                        self.once(self.nar_hash.is_some(), field, name);
                        self.nar_hash = Some(hash);
                    })
            }
            "NarSize" => self.size(field, name, value).map(|size| {
                self.once(self.nar_size.is_some(), field, name);
                self.nar_size = Some((size, field));
            }),
            "References" => self.references(field, span, value),
            "Deriver" => self.deriver(field, span, value),
            "System" => {
                self.once(self.system.is_some(), field, name);
                self.system = Some(span);
                Ok(())
            }
            "CA" => self.ca(field, value),
            _ => {
                self.signature(field, span, value);
                Ok(())
            }
        };
        result.map_err(|reason| self.bad(field, name, &reason))
    }

    fn store_path(&mut self, field: Field, value: &str) -> Result<(), String> {
        let (path, canonical) = self
            .store_dir
            .parse_lenient(value)
            .map_err(|error| format!("{} {error}", excerpt(value)))?;
        if !canonical {
            self.odd_at(field.colon, OddityKind::StorePathNotCanonical);
        }
        self.once(self.path.is_some(), field, "StorePath");
        // The name is a part of the value; whatever was resolved lies before or after it.
        let offset = if canonical {
            value.len() - path.name().len()
        } else {
            value.rfind(&path.to_string()).unwrap_or_default() + crate::store_path::HASH_LEN + 1
        };
        let start = field.colon + 2 + offset;
        self.path = Some((path.hash(), Span::new(start..start + path.name().len())));
        Ok(())
    }

    fn url(
        &mut self,
        field: Field,
        span: Span,
        value: &str,
    ) -> Result<Result<(), String>, NarInfoError> {
        self.once(self.url.is_some(), field, "URL");
        if value.is_empty() {
            return Ok(Err("is empty".to_owned()));
        }
        let form = url::check(value).map_err(|reason| NarInfoError {
            code: ErrorCode::BadUrl,
            ..self.bad(field, "URL", &format!("{} {reason}", excerpt(value)))
        })?;
        match form {
            url::Form::Plain => {}
            url::Form::WithQuery => self.odd_at(field.colon, OddityKind::UrlWithQuery),
            url::Form::Unusual => self.odd_at(field.colon, OddityKind::UrlUnusual),
        }
        self.url = Some((span, form));
        Ok(Ok(()))
    }

    fn hash(&mut self, field: Field, name: &'static str, value: &str) -> Result<Hash, String> {
        let (hash, form) =
            Hash::parse(value).map_err(|error| format!("{}: {error}", excerpt(value)))?;
        if form != HashForm::Nix32 {
            self.odd_at(field.colon, OddityKind::HashForm(name, form));
        }
        Ok(hash)
    }

    fn size(&mut self, field: Field, name: &'static str, value: &str) -> Result<u64, String> {
        if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!(
                "{} is not a decimal number of bytes",
                excerpt(value)
            ));
        }
        let size = value
            .parse()
            .map_err(|_| format!("{} is more than 64 bits can hold", excerpt(value)))?;
        if value.len() > 1 && value.starts_with('0') {
            self.odd_at(field.colon, OddityKind::LeadingZeros(name));
        }
        Ok(size)
    }

    fn references(&mut self, field: Field, span: Span, value: &str) -> Result<(), String> {
        if self.reference_count > 0 {
            return Err("is given twice".to_owned());
        }
        self.once(self.references.is_some(), field, "References");
        let mut before = "";
        let mut blanks = false;
        for base in value.split(' ') {
            if base.is_empty() {
                blanks = true;
                continue;
            }
            base_name(base)?;
            self.references_sorted &= before < base;
            self.reference_count += 1;
            before = base;
        }
        if blanks && !value.is_empty() {
            self.odd_at(field.colon, OddityKind::ReferenceBlanks);
        }
        if !self.references_sorted {
            self.odd_at(field.colon, OddityKind::UnsortedReferences);
        }
        self.references = Some(span);
        self.references_at = field.colon;
        Ok(())
    }

    fn deriver(&mut self, field: Field, span: Span, value: &str) -> Result<(), String> {
        self.once(self.deriver.is_some(), field, "Deriver");
        if value == "unknown-deriver" {
            self.deriver = Some(None);
            return Ok(());
        }
        let deriver = base_name(value)?;
        if !deriver.name().ends_with(".drv") {
            self.odd_at(field.colon, OddityKind::DeriverNotDrv);
        }
        self.deriver = Some(Some(span));
        Ok(())
    }

    fn signature(&mut self, field: Field, span: Span, value: &str) {
        let text = self.text;
        match SignatureParts::parse(value) {
            Err(error) => self.odd_at(field.colon, OddityKind::MalformedSignature(error)),
            Ok(parts) if !parts.clean => self.odd_at(field.colon, OddityKind::SignatureTrailing),
            Ok(parts) if check_key_name(parts.key_name).is_err() => {
                self.odd_at(field.colon, OddityKind::UnusableKeyName);
            }
            Ok(_) => {}
        }
        if !text
            .get(span.range())
            .is_none_or(|value| self.signature_values.insert(value))
        {
            self.odd_at(field.colon, OddityKind::DuplicateSignature);
        }
        self.signatures.push(span);
    }

    fn ca(&mut self, field: Field, value: &str) -> Result<(), String> {
        if let Some(Some(_)) = self.ca {
            return Err("is given twice".to_owned());
        }
        self.once(self.ca.is_some(), field, "CA");
        self.ca_at = field.colon;
        self.ca = Some(if value.is_empty() {
            None
        } else {
            let ca = value
                .parse::<ContentAddress>()
                .map_err(|error| format!("{}: {error}", excerpt(value)))?;
            Some(ca)
        });
        Ok(())
    }

    fn unknown(&mut self, field: Field) {
        let name = String::from_utf8_lossy(field.name(self.text.as_bytes()));
        let kind = if name.contains('\n') {
            OddityKind::LostField(name.into_owned())
        } else {
            OddityKind::UnknownField(name.into_owned())
        };
        self.odd_at(field.colon, kind);
    }

    fn once(&mut self, seen: bool, field: Field, name: &'static str) {
        if seen {
            self.odd_at(field.colon, OddityKind::Duplicate(name));
        }
    }

    fn odd_at(&mut self, offset: usize, kind: OddityKind) {
        // Which line it is costs a look at all before it: only for what is kept.
        if self.has_room(&kind) {
            let line = line_of(self.text.as_bytes(), offset);
            self.odd(line, kind);
        }
    }

    fn odd(&mut self, line: u32, kind: OddityKind) {
        self.push(Some(line), kind);
    }

    fn odd_whole(&mut self, kind: OddityKind) {
        self.push(None, kind);
    }

    /// Bounded: a text of a million strange lines is odd enough after a hundred.
    fn has_room(&self, kind: &OddityKind) -> bool {
        const MOST: usize = 100;
        self.oddities.len() < MOST || kind.is_refused_on_upload() && self.oddities.len() < 2 * MOST
    }

    fn push(&mut self, line: Option<u32>, kind: OddityKind) {
        if self.has_room(&kind) {
            self.oddities.push(Oddity { line, kind });
        }
    }
}

/// A store path without its directory, as References and Deriver have them.
fn base_name(text: &str) -> Result<StorePathRef<'_>, String> {
    StorePathRef::parse(text).map_err(|error| {
        if text.starts_with('/') {
            format!("{} is a full path; here stand base names", excerpt(text))
        } else {
            format!("{} {error}", excerpt(text))
        }
    })
}
