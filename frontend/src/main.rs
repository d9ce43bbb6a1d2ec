//! The dashboard: a client of the public API, rendered in the browser.
//!
//! The server builds this program to WebAssembly and serves it under `/_app/`
//! together with the other files of this folder:
//!
//! - `index.html`: the frame that paints before the program arrives. `backend/build.rs`
//!   fills in the names of the assets, the server `{{base}}`, the path of the public URL
//!   with its last slash (`/`, `/nixcache/`), and `{{noscript}}`, for each public cache
//!   a heading and a `<pre>` with its two nix.conf lines.
//! - `parts.rs`: which pages are in the program and which arrive later, in parts.
//! - `worker.js`: starts the program once more, without a window (`upload/worker.rs`).
//! - `boot.js`: loads the program, and says so where it cannot.
//! - `theme.js`: sets the theme before the first paint.
//! - `style/order.txt`, in the folder beside this one: the style sheets, one a line, in the
//!   order in which they are joined into one.
//!
//! There is no `<base>` element: it would break links to a place on the same page, and the
//! content security policy forbids it. Every address is made by [`snowbank_shared::route`]
//! with the base from `<html data-base>` in front.
#![forbid(unsafe_code)]

mod api;
mod app;
mod components;
mod entry;
mod format;
mod narinfo_lines;
mod pages;
mod parts;
mod places;
mod state;
mod upload;
mod verification;

fn main() {
    console_error_panic_hook::set_once();
    if web_sys::window().is_some() {
        app::start();
    } else {
        parts::work();
    }
}
