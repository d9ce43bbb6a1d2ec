//! What is odd about a narinfo that Nix reads all the same.

use std::fmt;

use super::error::{ErrorCode, excerpt};
use crate::api;
use crate::hash::{HashAlgorithm, HashForm};
use crate::signature::SignatureError;

/// Something odd, and where. Prints as a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oddity {
    /// Line in the narinfo, from 1; `None` where it concerns the whole.
    pub line: Option<u32>,
    /// What is odd.
    pub kind: OddityKind,
}

/// What is odd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OddityKind {
    /// A field that Nix passes over.
    UnknownField(String),
    /// Blank lines glue to the name of the next field, which is lost by it.
    LostField(String),
    /// A field given more than once; the last one counts.
    Duplicate(&'static str),
    /// The byte after the colon is no blank. Nix drops it unseen.
    NoBlank(&'static str),
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// A control character, such as a carriage return.
    ControlCharacter,
    /// A StorePath with `//`, `..` or a `/` at the end.
    StorePathNotCanonical,
    /// The URL has a query or a fragment.
    UrlWithQuery,
    /// The URL is not of the form `nar/<file>`.
    UrlUnusual,
    /// No Compression, which Nix reads as bzip2.
    NoCompression,
    /// A Compression that Nix has no name for.
    UnknownCompression(String),
    /// No FileHash.
    NoFileHash,
    /// No FileSize.
    NoFileSize,
    /// A hash in another spelling than nix32.
    HashForm(&'static str, HashForm),
    /// A size with zeros in front.
    LeadingZeros(&'static str),
    /// No References line.
    NoReferences,
    /// References are not sorted or not each there once. Nix sorts before it verifies.
    UnsortedReferences,
    /// More than one blank between two references.
    ReferenceBlanks,
    /// A Deriver that is not a derivation.
    DeriverNotDrv,
    /// A `Sig` that is none.
    MalformedSignature(SignatureError),
    /// Something after a signature's padding, which Nix overlooks.
    SignatureTrailing,
    /// A signature whose key name cannot stand in nix.conf, so that no client ever trusts it.
    UnusableKeyName,
    /// A `Sig` line that is there twice.
    DuplicateSignature,
    /// The signature is over the references in the order of the file.
    SignedInFileOrder,
    /// Several known keys have the signature's key name, and a client believes at most
    /// the first of them that it is given.
    NameClash {
        /// The name.
        name: String,
        /// Fingerprint of the one that made the signature, if one did.
        verifies: Option<String>,
    },
    /// The store path does not follow from the content address.
    CaMismatch,
    /// References beside a content address that allows none.
    CaWithReferences,
    /// The content address rests on a hash that can be forged.
    WeakCa(HashAlgorithm),
}

impl Oddity {
    /// The code of a finding that this deserves: some client fails on it, or somebody surely
    /// did not mean it. `None` for what is merely unusual.
    pub fn finding(&self) -> Option<ErrorCode> {
        self.kind.finding()
    }
}

impl OddityKind {
    /// How bad a [finding](Oddity::finding) of this kind is: an error where some
    /// client refuses the narinfo or reads another value than was meant.
    pub fn severity(&self) -> api::Severity {
        match self {
            Self::MalformedSignature(error) if !error.breaks_narinfo() => api::Severity::Warning,
            Self::MalformedSignature(_)
            | Self::NoBlank(_)
            | Self::UnknownCompression(_)
            | Self::CaMismatch
            | Self::CaWithReferences => api::Severity::Error,
            _ => api::Severity::Warning,
        }
    }

    /// See [`Oddity::finding`].
    pub fn finding(&self) -> Option<ErrorCode> {
        match self {
            Self::LostField(_)
            | Self::NoBlank(_)
            | Self::MalformedSignature(_)
            | Self::SignatureTrailing => Some(ErrorCode::BadNarinfo),
            Self::UnknownCompression(_) => Some(ErrorCode::UnsupportedCompression),
            Self::CaMismatch => Some(ErrorCode::CaPathMismatch),
            Self::CaWithReferences => Some(ErrorCode::CaWithReferences),
            _ => None,
        }
    }
}

impl fmt::Display for OddityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownField(name) => write!(f, "unknown field {}, which Nix passes over", excerpt(name)),
            Self::LostField(name) => write!(
                f,
                "a blank line becomes part of the name of the field after it, so {} is lost",
                excerpt(name.trim_start())
            ),
            Self::Duplicate(field) => write!(f, "{field} is given more than once; Nix takes the last"),
            Self::NoBlank(field) => {
                write!(f, "no blank after `{field}:`; Nix drops the next character, whatever it is")
            }
            Self::NotUtf8 => f.write_str("bytes that are not UTF-8"),
            Self::ControlCharacter => f.write_str("a control character"),
            Self::StorePathNotCanonical => f.write_str("StorePath is not in canonical form; Nix resolves it"),
            Self::UrlWithQuery => f.write_str("URL has a query or fragment"),
            Self::UrlUnusual => f.write_str("URL is not of the form nar/<file>"),
            Self::NoCompression => f.write_str("no Compression, which Nix reads as bzip2"),
            Self::UnknownCompression(word) => {
                write!(f, "Compression {}, which Nix does not know: Nix 2.34 aborts when it downloads", excerpt(word))
            }
            Self::NoFileHash => f.write_str("no FileHash"),
            Self::NoFileSize => f.write_str("no FileSize"),
            Self::HashForm(field, form) => {
                let form = match form {
                    HashForm::Nix32 => "nix32",
                    HashForm::Base16 => "base16",
                    HashForm::Base64 => "base64",
                    HashForm::Sri => "SRI",
                };
                write!(f, "{field} is written in {form}; Nix writes nix32")
            }
            Self::LeadingZeros(field) => write!(f, "{field} has zeros in front"),
            Self::NoReferences => f.write_str("no References line, which Nix reads as none"),
            Self::UnsortedReferences => {
                f.write_str("References are not sorted, or one is there twice; Nix sorts them before it verifies")
            }
            Self::ReferenceBlanks => f.write_str("References are separated by more than one blank"),
            Self::DeriverNotDrv => f.write_str("Deriver does not end in .drv"),
            Self::MalformedSignature(error) => {
                write!(f, "{error}; ")?;
                f.write_str(if error.breaks_narinfo() {
                    "Nix 2.34 and newer refuse the whole narinfo"
                } else {
                    "a client that trusts a key of that name refuses the path, even with a good signature beside it"
                })
            }
            Self::SignatureTrailing => f.write_str("something follows a signature's base64, which Nix overlooks"),
            Self::UnusableKeyName => f.write_str("a signature's key name cannot stand in nix.conf"),
            Self::DuplicateSignature => f.write_str("the same signature is there twice"),
            Self::SignedInFileOrder => {
                f.write_str("signed over the references in unsorted order: Nix sorts them and rejects it")
            }
            Self::NameClash {
                name,
                verifies: Some(fingerprint),
            } => write!(
                f,
                "several known keys are named {}; the one with the fingerprint {fingerprint} made the signature",
                excerpt(name)
            ),
            Self::NameClash {
                name,
                verifies: None,
            } => write!(
                f,
                "several known keys are named {}, and none of them made the signature",
                excerpt(name)
            ),
            Self::CaMismatch => f.write_str(
                "the store path does not follow from the content address it claims: Nix aborts when it is signed",
            ),
            Self::CaWithReferences => {
                f.write_str("a content address of this kind allows no references: Nix 2.8 aborts on it")
            }
            Self::WeakCa(algorithm) => write!(f, "the content address rests on {algorithm}, which can be forged"),
        }
    }
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        self.kind.fmt(f)
    }
}

impl From<&Oddity> for api::Oddity {
    fn from(oddity: &Oddity) -> Self {
        Self {
            line: oddity.line,
            message: oddity.kind.to_string(),
        }
    }
}
