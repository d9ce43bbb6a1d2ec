//! What two pages share, one component a file. `/help/components` shows each in
//! each of its states.

use std::cell::Cell;

pub mod ago;
pub mod announcer;
pub mod api_button;
pub mod banner;
pub mod button;
pub mod cache_switcher;
pub mod changing;
pub mod chart;
pub mod chip;
pub mod choice;
pub mod code;
pub mod copy;

pub mod dialog;
pub mod difference;
pub mod export_menu;
pub mod failure;
pub mod field;
pub mod frame;
pub mod help_dialog;
pub mod icon;
pub mod index_line;
pub mod key_file;
pub mod layout;
pub mod menu;
pub mod offer;
pub mod omnibox;
pub mod omnibox_choices;
pub mod omnibox_names;
pub mod page_head;
pub mod plot;
pub mod shortcuts;
pub mod signature_bar;
pub mod size;
pub mod skeleton;
pub mod store_path;
pub mod term;

/// An id that no other element of the page has.
pub fn fresh_id() -> String {
    thread_local! {
        static LAST: Cell<u32> = const { Cell::new(0) };
    }
    let id = LAST.get() + 1;
    LAST.set(id);
    format!("id-{id}")
}
