//! What a test needs from the machine, and what happens where it is missing.
//!
//! A test asks for its components in its first lines:
//!
//! ```no_run
//! use snowbank_tests::component;
//! if component::skipped("nix") { return; }
//! ```
//!
//! `SNOWBANK_SKIP=nix,browser` leaves tests out by name and says so. Without
//! it the test goes on and fails where the component is needed: a machine
//! without Nix must not look like a green run.

use std::path::{Path, PathBuf};

/// The component that stands for a browser with its driver.
pub const BROWSER: &str = "browser";
/// The system's Nix.
pub const NIX: &str = "nix";
/// The newer Nix that `tests/run` unpacks beside it.
pub const NIX_NEWER: &str = "nix-newer";

/// Whether `SNOWBANK_SKIP` names the component. Says so aloud.
pub fn skipped(component: &str) -> bool {
    let skip = std::env::var("SNOWBANK_SKIP").unwrap_or_default();
    let named = skip.split(',').any(|name| name.trim() == component);
    if named {
        println!("SKIPPED: SNOWBANK_SKIP names {component}");
    }
    named
}

/// The folder with the test vectors; `None`, said aloud, where it is absent.
///
/// `SNOWBANK_VECTORS`, else `shared/vectors` beside the project.
pub fn vectors() -> Option<PathBuf> {
    let folder = std::env::var_os("SNOWBANK_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    println!(
        "SKIPPED: {} not found: the test vectors are not here",
        folder.display()
    );
    None
}

/// Where `tests/run` puts programs of its own: `SNOWBANK_TOOLS`, else `target/tools`.
pub fn tools() -> PathBuf {
    std::env::var_os("SNOWBANK_TOOLS").map_or_else(|| target().join("tools"), PathBuf::from)
}

/// The binary under test: `SNOWBANK_BIN`, else `snowbank` beside this test.
///
/// # Panics
/// When there is none: the test was started without building it.
pub fn binary() -> PathBuf {
    let binary = std::env::var_os("SNOWBANK_BIN")
        .map_or_else(|| profile_folder().join("snowbank"), PathBuf::from);
    assert!(
        binary.is_file(),
        "{} is not there: run `cargo build -p snowbank`, or set SNOWBANK_BIN",
        binary.display()
    );
    binary
}

/// `target/debug` or `target/release`, from where this test lies.
fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it lies");
    test.parent()
        .and_then(Path::parent)
        .expect("a test lies in target/PROFILE/deps")
        .to_owned()
}

fn target() -> PathBuf {
    profile_folder()
        .parent()
        .expect("a profile lies in target")
        .to_owned()
}
