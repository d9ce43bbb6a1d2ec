//! A text that one page hands to the next within this tab, past the address: an error that was
//! pasted into the search field.

use std::cell::RefCell;

thread_local! {
    static HANDED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Lays a text down.
pub fn hand(text: String) {
    HANDED.set(Some(text));
}

/// Takes it up; it is there once.
pub fn take() -> Option<String> {
    HANDED.take()
}
