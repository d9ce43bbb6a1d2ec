//! What the values of a contributor's key may be.

use snowbank_shared::api::contributors as wire;

use super::error::AccessError;
use super::records::KeyScope;

/// Days that a key lives at most.
const MOST_DAYS: u16 = 3 * 366;
/// Patterns of one key, and characters of one.
const MOST_NAMES: usize = 50;
const LONGEST_NAME: usize = 211;

/// A scope that can be, for caches that there are.
pub(super) fn scope(scope: &wire::KeyScope, known: &[String]) -> Result<KeyScope, AccessError> {
    let caches = match &scope.caches {
        None => None,
        Some(caches) => {
            if let Some(unknown) = caches.iter().find(|slug| !known.contains(slug)) {
                return Err(AccessError::NoSuch {
                    what: "cache",
                    name: unknown.chars().take(64).collect(),
                });
            }
            let mut caches = caches.clone();
            caches.sort();
            caches.dedup();
            if caches.is_empty() {
                return Err(AccessError::Bad(
                    "Name the caches, or leave them out for all.".into(),
                ));
            }
            Some(caches)
        }
    };
    let fine = |name: &String| {
        (1..=LONGEST_NAME).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-._?=*".contains(&byte))
    };
    if scope.names.is_empty() || scope.names.len() > MOST_NAMES || !scope.names.iter().all(fine) {
        return Err(AccessError::Bad(format!(
            "Name 1 to {MOST_NAMES} patterns of paths' names, such as `myapp-*`: letters, digits, + - . _ ? = and * for any text."
        )));
    }
    if scope.max_nar_size == Some(0) {
        return Err(AccessError::Bad(
            "A largest size of 0 bytes lets nothing through.".into(),
        ));
    }
    Ok(KeyScope {
        caches,
        names: scope.names.clone(),
        max_nar_size: scope.max_nar_size,
    })
}

/// Seconds of so many days.
pub(super) fn days(days: u16) -> Result<i64, AccessError> {
    if (1..=MOST_DAYS).contains(&days) {
        return Ok(i64::from(days) * 86_400);
    }
    Err(AccessError::Bad(format!(
        "A key lives 1 to {MOST_DAYS} days."
    )))
}

/// Whether a pattern lets every name through.
pub(super) fn is_everything(glob: &str) -> bool {
    glob.bytes().all(|byte| byte == b'*')
}

/// `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`
pub(super) fn check_name(name: &str) -> Result<(), AccessError> {
    let fine = (1..=64).contains(&name.len())
        && name.as_bytes()[0].is_ascii_alphanumeric()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if fine {
        return Ok(());
    }
    Err(AccessError::Bad(
        "A key's name has 1 to 64 letters, digits, `.`, `_` and `-`, and begins with a letter or digit: `alice-laptop-1`.".into(),
    ))
}
