//! Status words: icon, word and colour, the same everywhere. What is well is
//! quiet, trouble is loud.

use leptos::prelude::*;
use snowbank_shared::api::{ContentStatus, Severity, SignatureStatus};

use crate::components::icon::{Icon, icon};

/// How loud a status is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Well.
    Ok,
    /// Well, and there is something to know.
    Note,
    /// Nothing can be said.
    Unknown,
    /// Look at it.
    Warn,
    /// Wrong.
    Bad,
}

impl Tone {
    /// Its class.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Ok => "chip chip-ok",
            Self::Note => "chip",
            Self::Unknown => "chip chip-unknown",
            Self::Warn => "chip chip-warn",
            Self::Bad => "chip chip-bad",
        }
    }
}

/// A signature status as people read it.
pub const fn signature_words(status: SignatureStatus) -> (Tone, Icon, &'static str, &'static str) {
    match status {
        SignatureStatus::Valid => (
            Tone::Ok,
            Icon::Tick,
            "Valid",
            "The key is known and its check passed.",
        ),
        SignatureStatus::NotNeeded => (
            Tone::Ok,
            Icon::Diamond,
            "Not needed",
            "Content-addressed, and the claim was recomputed and holds.",
        ),
        SignatureStatus::ValidRetired => (
            Tone::Note,
            Icon::TickClock,
            "Valid, key retired",
            "The check passes; the key no longer signs.",
        ),
        SignatureStatus::NameClash => (
            Tone::Warn,
            Icon::Warning,
            "Name clash",
            "Several known keys share this name. Nix uses the first it is told of.",
        ),
        SignatureStatus::ValidRevoked => (
            Tone::Warn,
            Icon::Warning,
            "Valid, key revoked",
            "The check passes, but the key is no longer to be believed.",
        ),
        SignatureStatus::Invalid => (
            Tone::Bad,
            Icon::Cross,
            "Invalid",
            "The key is known and the check failed: StorePath, NarHash, NarSize or References are not what was signed.",
        ),
        SignatureStatus::Malformed => (
            Tone::Bad,
            Icon::Cross,
            "Malformed",
            "Not of the form name:base64 of 64 bytes.",
        ),
        SignatureStatus::UnknownKey => (
            Tone::Unknown,
            Icon::Help,
            "Unknown key",
            "No public key of this name is known here: nothing can be said.",
        ),
        SignatureStatus::Unsigned => (
            Tone::Warn,
            Icon::Dash,
            "Unsigned",
            "There is no signature: clients refuse it unless it is content-addressed.",
        ),
    }
}

/// A content status as people read it.
pub const fn content_words(status: ContentStatus) -> (Tone, Icon, &'static str, &'static str) {
    match status {
        ContentStatus::Verified => (
            Tone::Ok,
            Icon::Tick,
            "Verified",
            "The NAR was unpacked and hashed and equals NarHash.",
        ),
        ContentStatus::NotChecked => (
            Tone::Note,
            Icon::Dash,
            "Not checked",
            "Nobody has looked at the bytes yet.",
        ),
        ContentStatus::Mismatch => (
            Tone::Bad,
            Icon::Cross,
            "Mismatch",
            "The NAR is another one than NarHash names. A signature covers NarHash, not the bytes behind URL.",
        ),
        ContentStatus::NarMissing => (
            Tone::Bad,
            Icon::Cross,
            "NAR missing",
            "There is no object at the narinfo's URL. No signature covers URL.",
        ),
        ContentStatus::SizeDiffers => (
            Tone::Bad,
            Icon::Cross,
            "Size differs",
            "The object's size is not FileSize. No signature covers FileSize.",
        ),
    }
}

/// A status, drawn.
pub fn chip((tone, picture, word, meaning): (Tone, Icon, &'static str, &'static str)) -> AnyView {
    view! {
        <span class=tone.class() title=meaning>
            {icon(picture)}
            {word}
        </span>
    }
    .into_any()
}

/// A path's signature word, with its problem where it has one beside it.
pub fn signature_chip(status: SignatureStatus, problem: Option<SignatureStatus>) -> AnyView {
    view! {
        {chip(signature_words(status))}
        {problem.map(|problem| chip(signature_words(problem)))}
    }
    .into_any()
}

/// A path's content word.
pub fn content_chip(status: ContentStatus) -> AnyView {
    chip(content_words(status))
}

/// How bad a finding is.
pub fn severity_chip(severity: Severity) -> AnyView {
    chip(match severity {
        Severity::Error => (
            Tone::Bad,
            Icon::Cross,
            "Error",
            "Clients fail or crash on it.",
        ),
        Severity::Warning => (
            Tone::Warn,
            Icon::Warning,
            "Warning",
            "It works, and should be looked at.",
        ),
        Severity::Note => (
            Tone::Note,
            Icon::Info,
            "Note",
            "It is as it should be, and told so that nobody wonders.",
        ),
    })
}
