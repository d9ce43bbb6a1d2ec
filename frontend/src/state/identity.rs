//! Who is at this browser, and what they may do: asked once, and again after it changed.

use leptos::prelude::*;
use snowbank_shared::api::access::{Act, CallerKind, Me};

use crate::components::button::Readiness;
use crate::state::navigation::with_base;
use crate::state::remote::Remote;

/// Who is at this browser. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    /// What the server says.
    pub me: Remote<Me>,
}

/// Who is at this browser.
///
/// # Panics
/// Outside of the application.
pub fn identity() -> Identity {
    expect_context()
}

impl Identity {
    /// Asks. Once, at the start.
    pub fn start() {
        provide_context(Self {
            me: Remote::new(|| Some("/me".to_owned())),
        });
    }

    /// The member's name; tracked.
    pub fn name(self) -> Option<String> {
        let me = self.me.get()?;
        (me.kind == CallerKind::Member).then(|| me.name.clone())?
    }

    /// Whether something can be done, with the server's own reason where not; tracked.
    pub fn readiness(self, cache: Option<&str>, act: Act) -> Readiness {
        match self.me.get() {
            None => Readiness::Refused("Asking the server who you are…".to_owned()),
            Some(me) => match me.refusal(cache, act) {
                None => Readiness::Ready,
                Some(why) => Readiness::Refused(why.to_owned()),
            },
        }
    }

    /// Whether something can be done; tracked.
    pub fn may(self, cache: Option<&str>, act: Act) -> bool {
        self.readiness(cache, act) == Readiness::Ready
    }
}

/// Where the page to return to is kept while somebody signs in by a link.
const BACK: &str = "snowbank-back";

/// Remembers the page to return to after signing in, for this tab.
pub fn remember_back(path: &str) {
    if let Ok(Some(storage)) = window().session_storage() {
        let _ = storage.set_item(BACK, path);
    }
}

/// The page to return to; the start page where none was left.
pub fn take_back() -> String {
    let storage = window().session_storage().ok().flatten();
    let back = storage
        .as_ref()
        .and_then(|storage| storage.get_item(BACK).ok()?);
    if let Some(storage) = storage {
        let _ = storage.remove_item(BACK);
    }
    back.filter(|back| back.starts_with('/'))
        .unwrap_or_else(|| "/".to_owned())
}

/// Loads a page anew, because who is at this browser has changed.
pub fn load(path: &str) {
    let _ = window().location().set_href(&with_base(path));
}
