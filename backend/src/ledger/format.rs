//! `format.json`: who may read and write the state area, and whose it is.
//!
//! The one object that is not sealed, because every version has to read it. It carries a seal
//! over its own contents, so that nobody else can turn replicas away by claiming a newer format.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::seal::{SealError, Sealer};
use crate::secrets::{SecretError, StateSecret};

/// The key of the object.
pub(super) const KEY: &str = "format.json";
/// The format that this version writes.
pub(super) const FORMAT: u32 = 1;
const NAME: &str = "snowbank-state";

/// The contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Format {
    format: String,
    /// The oldest version of the format that may read.
    pub(super) read: u32,
    /// The oldest version of the format that may write.
    pub(super) write: u32,
    /// The server's id.
    pub(super) server: String,
    /// When the area was made, seconds since 1970.
    made_at: i64,
    /// Base64 of a sealed copy of all the above.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    seal: String,
}

/// Why `format.json` is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FormatError {
    /// It is not what we write.
    NotOurs(String),
    /// Its seal does not verify.
    Seal(SealError),
}

impl Format {
    /// A new area's.
    pub(super) fn new(server: &str, now: i64) -> Self {
        Self {
            format: NAME.to_owned(),
            read: FORMAT,
            write: FORMAT,
            server: server.to_owned(),
            made_at: now,
            seal: String::new(),
        }
    }

    /// The object's bytes; `prefix` is the area's in the bucket.
    pub(super) fn to_bytes(
        &self,
        prefix: &str,
        secret: &StateSecret,
    ) -> Result<Vec<u8>, SecretError> {
        let bare = Self {
            seal: String::new(),
            ..self.clone()
        };
        let plain = serde_json::to_vec(&bare).unwrap_or_default();
        let sealer = Sealer::new(secret.clone(), &self.server);
        let sealed = sealer.seal(&format!("{prefix}{KEY}"), 1, &plain)?;
        let whole = Self {
            seal: STANDARD.encode(sealed),
            ..bare
        };
        let mut bytes = serde_json::to_vec_pretty(&whole).unwrap_or_default();
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads and checks it. Says also whether the first key of the secret sealed it.
    pub(super) fn read(
        bytes: &[u8],
        prefix: &str,
        secret: &StateSecret,
    ) -> Result<(Self, bool), FormatError> {
        let whole: Self = serde_json::from_slice(bytes)
            .map_err(|error| FormatError::NotOurs(error.to_string()))?;
        if whole.format != NAME {
            return Err(FormatError::NotOurs(format!(
                "it says `{}`",
                whole.format.escape_debug()
            )));
        }
        let sealed = STANDARD
            .decode(&whole.seal)
            .map_err(|_| FormatError::Seal(SealError::NotSealed))?;
        let sealer = Sealer::new(secret.clone(), &whole.server);
        let opened = sealer
            .open(&format!("{prefix}{KEY}"), &sealed)
            .map_err(FormatError::Seal)?;
        let bare = Self {
            seal: String::new(),
            ..whole.clone()
        };
        match serde_json::from_slice::<Self>(&opened.plain) {
            Ok(inner) if inner == bare => Ok((whole, opened.current_key)),
            _ => Err(FormatError::Seal(SealError::Forged)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_holder_of_the_secret_can_change_it() {
        let secret = StateSecret::generate("k1").expect("random");
        let format = Format::new("abc", 1_700_000_000);
        let bytes = format.to_bytes("p/", &secret).expect("bytes");
        let (read, current) = Format::read(&bytes, "p/", &secret).expect("reads");
        assert!(current && read.server == "abc" && read.write == FORMAT);
        let text = String::from_utf8(bytes).expect("text");
        for altered in [
            text.replace("\"write\": 1", "\"write\": 2"),
            text.replace("abc", "abd"),
        ] {
            assert_ne!(altered, text);
            let refused = Format::read(altered.as_bytes(), "p/", &secret);
            assert_eq!(refused, Err(FormatError::Seal(SealError::Forged)));
        }
        assert!(Format::read(text.as_bytes(), "q/", &secret).is_err());
        let other = StateSecret::generate("k1").expect("random");
        assert!(matches!(
            Format::read(text.as_bytes(), "p/", &other),
            Err(FormatError::Seal(SealError::UnknownKey { .. }))
        ));
        assert!(matches!(
            Format::read(b"{}", "p/", &secret),
            Err(FormatError::NotOurs(_))
        ));
    }
}
