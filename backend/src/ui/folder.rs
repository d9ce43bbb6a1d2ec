//! Assets from a folder, while working on the dashboard.

use std::path::Path;

/// Reads a file that lies right in the folder; `None` for every other name.
pub(super) async fn read(folder: &Path, name: &str) -> Option<Vec<u8>> {
    let plain = !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !plain {
        return None;
    }
    tokio::fs::read(folder.join(name)).await.ok()
}
