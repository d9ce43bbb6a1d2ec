//! What is known of an upload, as the page draws it.

use leptos::prelude::*;
use snowbank_shared::api::Reproducer;
use snowbank_shared::contents::Difference;

use crate::api::ApiError;
use crate::upload::memory::{self, Unfinished};
use crate::upload::verdict::{Trouble, Verdict};

/// How far the whole is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nothing was chosen.
    Empty,
    /// Files are being read, archives examined.
    Looking,
    /// Somebody has to decide.
    Ready,
    /// It is being sent.
    Sending,
    /// Somebody stopped it.
    Paused,
    /// The network is gone: it goes on by itself.
    Offline,
    /// Nothing is left to do.
    Done,
}

/// How far a path is on its way to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was sent.
    Here,
    /// So many bytes of its archive.
    Sending(u64),
    /// The server has its archive.
    Arrived,
    /// It is published.
    Live,
    /// The server keeps it until somebody agrees, in its words.
    Waits(String),
    /// The server refused it, in its words.
    Refused(String),
}

impl Stage {
    /// Whether the server has taken the path, published or not yet.
    pub const fn is_taken(&self) -> bool {
        matches!(self, Self::Live | Self::Waits(_))
    }
}

/// A path, as the page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its hash part.
    pub hash: String,
    /// Its full path.
    pub path: String,
    /// Bytes unpacked.
    pub nar_size: u64,
    /// Bytes to send.
    pub file_size: u64,
    /// By whom it is signed, where that counts.
    pub signer: Option<String>,
    /// Bytes of its archive that were read, while that goes on.
    pub read: Option<u64>,
    /// Whether its archive was unpacked and is what it should be; nothing before that is known.
    pub verified: Option<bool>,
    /// Files in it that look like secrets, and like which.
    pub secrets: Vec<(String, String)>,
    /// What happens with it.
    pub verdict: Verdict,
    /// That it will wait where it is sent, and by which rule of the policy.
    pub will_wait: Option<String>,
    /// How far it is.
    pub stage: Stage,
    /// Somebody decided against it, or an upstream has it.
    pub left_out: bool,
    /// Who vouches for it, once it is published with more than one's signature.
    pub reproduced_by: Vec<Reproducer>,
    /// In which files it differs from what is there, where that was asked.
    pub compared: Option<Compared>,
    /// Whether the server has a report of it.
    pub reported: Reported,
    /// The upstream that has it, with the same content.
    pub upstream: Option<String>,
}

/// In which files a path differs from what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// Both are being read.
    Busy,
    /// These.
    Done(Difference),
    /// Why that cannot be said.
    Failed(String),
}

/// Whether the server has a report of a build that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reported {
    /// Nothing was sent.
    No,
    /// It is being sent.
    Busy,
    /// It has one.
    Yes,
    /// Why it took none.
    Failed(String),
}

impl Row {
    /// Whether it is to be sent, or was.
    pub fn is_planned(&self) -> bool {
        self.verdict.sends() && !self.left_out
    }
}

/// What the page draws. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// How far the whole is.
    pub phase: RwSignal<Phase>,
    /// The paths, each behind what it refers to.
    pub rows: RwSignal<Vec<RwSignal<Row>>>,
    /// Where they are from.
    pub from: RwSignal<String>,
    /// Why what was chosen cannot be uploaded at all.
    pub wrong: RwSignal<Option<Trouble>>,
    /// Files that cannot be read.
    pub unreadable: RwSignal<Vec<Trouble>>,
    /// Why the server could not be asked.
    pub failure: RwSignal<Option<ApiError>>,
    /// An upload that was left.
    pub unfinished: RwSignal<Option<Unfinished>>,
    /// Whether what looks like secrets may be sent.
    pub acknowledged: RwSignal<bool>,
    /// The session that the server keeps of it.
    pub session: RwSignal<Option<String>>,
    /// The pin that is to name it; empty where none is.
    pub pin: RwSignal<String>,
    /// What to say about the pin.
    pub pin_note: RwSignal<String>,
}

impl View {
    pub(super) fn new(cache: &str) -> Self {
        let unfinished = memory::recall(cache);
        let (pin, pin_note) = unfinished
            .as_ref()
            .map(|upload| (upload.pin.clone(), upload.pin_note.clone()))
            .unwrap_or_default();
        Self {
            phase: RwSignal::new(Phase::Empty),
            rows: RwSignal::new(Vec::new()),
            from: RwSignal::new(String::new()),
            wrong: RwSignal::new(None),
            unreadable: RwSignal::new(Vec::new()),
            failure: RwSignal::new(None),
            unfinished: RwSignal::new(unfinished),
            acknowledged: RwSignal::new(false),
            session: RwSignal::new(None),
            pin: RwSignal::new(pin),
            pin_note: RwSignal::new(pin_note),
        }
    }
}

impl View {
    /// No pin is to name what comes next.
    pub fn forget_pin(self) {
        self.pin.set(String::new());
        self.pin_note.set(String::new());
    }
}
