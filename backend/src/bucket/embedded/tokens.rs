//! Continuation tokens: where the next page begins, and which listing it belongs to.
//!
//! A token carries the begin of its listing, so that later pages may use folder names that were read
//! since then. Clients must not look inside; one that comes back broken is an `InvalidArgument`.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How long after its begin a listing's later pages may use names that were read at its begin.
const LONGEST_LISTING: Duration = Duration::from_secs(3600);

/// Makes and reads tokens. The begin counts from the start of this process, told apart by a random number.
#[derive(Debug)]
pub struct Tokens {
    epoch: Instant,
    process: u64,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The last item of the page before.
    pub after: String,
    /// When the listing began; `None` where that is not known, such as after a restart.
    pub since: Option<Instant>,
}

impl Default for Tokens {
    fn default() -> Self {
        let mut random = [0; 8];
        // Without randomness two processes could mistake each other's tokens, whose begin is then still
        // bounded by an hour; no reason to fail.
        let _ = getrandom::fill(&mut random);
        Self {
            epoch: Instant::now(),
            process: u64::from_le_bytes(random),
        }
    }
}

impl Tokens {
    /// The token of the page after `after` in a listing that began at `since`.
    pub fn make(&self, after: &str, since: Instant) -> String {
        let nanos = since.saturating_duration_since(self.epoch).as_nanos();
        URL_SAFE_NO_PAD.encode(format!("1:{:x}:{nanos:x}:{after}", self.process))
    }

    /// Reads a token; `None` when it is none of ours.
    pub fn read(&self, token: &str) -> Option<Place> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let mut parts = text.splitn(4, ':');
        let version = parts.next()?;
        let process = u64::from_str_radix(parts.next()?, 16).ok()?;
        let nanos = u64::from_str_radix(parts.next()?, 16).ok()?;
        let after = parts.next()?.to_owned();
        if version != "1" {
            return None;
        }
        let since = (process == self.process)
            .then(|| self.epoch.checked_add(Duration::from_nanos(nanos)))
            .flatten()
            .filter(|since| since.elapsed() < LONGEST_LISTING);
        Some(Place { after, since })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_and_strangers_do_not() {
        let tokens = Tokens::default();
        let now = Instant::now();
        let place = tokens.read(&tokens.make("nar/a:b", now)).unwrap();
        assert_eq!(place.after, "nar/a:b");
        assert!(
            now.saturating_duration_since(place.since.unwrap())
                .is_zero()
        );
        let other = Tokens {
            process: tokens.process ^ 1,
            ..Tokens::default()
        };
        assert_eq!(
            other.read(&tokens.make("a", now)),
            Some(Place {
                after: "a".into(),
                since: None
            })
        );
        for broken in [
            "",
            "x",
            "%%",
            &URL_SAFE_NO_PAD.encode("2:0:0:a"),
            &URL_SAFE_NO_PAD.encode("1:0:a"),
        ] {
            assert_eq!(tokens.read(broken), None, "{broken}");
        }
    }
}
