//! How a receiver knows that a message is ours: an HMAC-SHA-256 over its id, its time and its body, in the
//! form of the Standard Webhooks specification, so that receivers can use a library.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::secrets::{self, SecretError};

/// What stands before the base64 of a secret.
const PREFIX: &str = "whsec_";
/// Bytes of a secret that is made here.
const LENGTH: usize = 32;

/// What the messages of one alert are signed with. Printed only where it is asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// A text that is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook's secret is `whsec_` and base64")]
pub struct SecretTextError;

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// A fresh one.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn random() -> Result<Self, SecretError> {
        let bytes: [u8; LENGTH] = secrets::random()?;
        Ok(Self(bytes.to_vec()))
    }

    /// Reads `whsec_` and base64.
    ///
    /// # Errors
    /// [`SecretTextError`]
    pub fn parse(text: &str) -> Result<Self, SecretTextError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(SecretTextError)?;
        STANDARD
            .decode(encoded)
            .map(Self)
            .map_err(|_| SecretTextError)
    }

    /// The text for the receiver and the ledger.
    pub fn text(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// The value of `webhook-signature`. `at`: the value of `webhook-timestamp`, seconds since 1970.
    pub fn sign(&self, id: &str, at: i64, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let signed = [format!("{id}.{at}.").as_bytes(), body].concat();
        let tag = hmac::sign(&key, &signed);
        format!("v1,{}", STANDARD.encode(tag.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_specification() {
        // Made by openssl: dgst -sha256 -mac HMAC -macopt hexkey:… over `id.timestamp.body`.
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        assert_eq!(
            secret.sign(
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                b"{\"test\": 2432232314}"
            ),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        assert_eq!(secret.text(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert_eq!(format!("{secret:?}"), "Secret");
    }

    #[test]
    fn a_fresh_secret_is_read_back_and_is_no_other() {
        let one = Secret::random().expect("random");
        assert_eq!(Secret::parse(&one.text()), Ok(one.clone()));
        assert_ne!(one, Secret::random().expect("random"));
        assert_ne!(
            one.sign("a", 1, b"body"),
            one.sign("a", 2, b"body"),
            "the time is signed too"
        );
        for bad in ["", "whsec_%%", "secret"] {
            assert_eq!(Secret::parse(bad), Err(SecretTextError), "{bad}");
        }
    }
}
