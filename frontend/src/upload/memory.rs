//! What this browser remembers of an upload that has not come to its end. Only names: the files
//! stay where they are, and are chosen again.

use leptos::prelude::window;
use serde::{Deserialize, Serialize};
use web_sys::Storage;

/// An upload under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// The folder, or the first file.
    pub from: String,
    /// When it began, in seconds.
    pub began: i64,
    /// Paths to send in all.
    pub paths: usize,
    /// Paths of these that are published.
    pub done: usize,
    /// The pin that is to name it; empty where none is.
    #[serde(default)]
    pub pin: String,
    /// What to say about the pin.
    #[serde(default)]
    pub pin_note: String,
}

fn storage() -> Option<Storage> {
    window().local_storage().ok().flatten()
}

fn place(cache: &str) -> String {
    format!("snowbank-upload-{cache}")
}

/// The upload to a cache that was left.
pub fn recall(cache: &str) -> Option<Unfinished> {
    let text = storage()?.get_item(&place(cache)).ok()??;
    serde_json::from_str(&text).ok()
}

/// Notes how far an upload is.
pub fn keep(cache: &str, upload: &Unfinished) {
    if let (Some(storage), Ok(text)) = (storage(), serde_json::to_string(upload)) {
        let _ = storage.set_item(&place(cache), &text);
    }
}

/// There is nothing to go on with.
pub fn forget(cache: &str) {
    if let Some(storage) = storage() {
        let _ = storage.remove_item(&place(cache));
    }
}
