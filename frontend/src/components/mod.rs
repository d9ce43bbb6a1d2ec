//! What two pages share, one component a file.

pub mod ago;
pub mod announcer;
pub mod api_button;
pub mod cache_switcher;
pub mod changing;
pub mod chip;
pub mod code;
pub mod copy;
pub mod export_menu;
pub mod failure;
pub mod frame;
pub mod help_dialog;
pub mod icon;
pub mod index_line;
pub mod menu;
pub mod offer;
pub mod omnibox;
pub mod page_head;
pub mod shortcuts;
pub mod signature_bar;
pub mod size;
pub mod skeleton;
pub mod store_path;
pub mod term;
