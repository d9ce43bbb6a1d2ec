//! Keys and signatures, one by one.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

use crate::hash::{Sha256, base64};

/// The longest key name we accept, in bytes. Nix has no limit.
const MAX_NAME_LEN: usize = 255;

/// Why a text is not a key. Never holds any part of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No colon, so no name.
    #[error("a key is `name:base64`, and this has no `:`")]
    NoColon,
    /// Nothing before the colon.
    #[error("the key has no name before the `:`")]
    NoName,
    /// A name that could not be written into nix.conf.
    #[error(
        "the key's name may have printable ASCII characters only, without blanks, `:` and `#`, at most 255"
    )]
    BadName,
    /// Bytes outside of the base64 alphabet, or after the padding.
    #[error("the part after `{name}:` is not base64")]
    BadBase64 {
        /// The key's name.
        name: String,
    },
    /// Another number of bytes.
    #[error("the key {name} has {found} bytes; a {kind} key has {expected}")]
    WrongLength {
        /// The key's name.
        name: String,
        /// `public` or `secret`.
        kind: &'static str,
        /// Bytes needed.
        expected: usize,
        /// Bytes there.
        found: usize,
    },
    /// Bytes that are not a usable point of the curve: no signature would ever verify.
    #[error("the 32 bytes of {name} are not an Ed25519 public key")]
    NotAPoint {
        /// The key's name.
        name: String,
    },
    /// The second half of a secret key is not the public key of the first.
    #[error("the two halves of the secret key {name} do not belong together")]
    HalvesDiffer {
        /// The key's name.
        name: String,
    },
}

/// Checks a key's name: printable ASCII without blank, colon and `#`, so that
/// it can stand in nix.conf. Nix itself lets any name through and then cannot use it.
///
/// # Errors
/// [`KeyError::NoName`], [`KeyError::BadName`].
pub fn check_key_name(name: &str) -> Result<(), KeyError> {
    if name.is_empty() {
        return Err(KeyError::NoName);
    }
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b':' && byte != b'#';
    if name.len() > MAX_NAME_LEN || !name.bytes().all(allowed) {
        return Err(KeyError::BadName);
    }
    Ok(())
}

/// Splits `name:base64` and decodes exactly `N` bytes. Blanks and line ends
/// around the text are harmless, because files end with them.
fn parse_named<const N: usize>(
    text: &str,
    kind: &'static str,
) -> Result<(String, [u8; N]), KeyError> {
    let text = text.trim_end_matches([' ', '\t', '\r', '\n']);
    let (name, data) = text.split_once(':').ok_or(KeyError::NoColon)?;
    check_key_name(name)?;
    let mut bytes = [0; N];
    let bad = || KeyError::BadBase64 {
        name: name.to_owned(),
    };
    let decoded = base64::decode_into(data.as_bytes(), &mut bytes).map_err(|_| bad())?;
    if decoded.bytes != N {
        return Err(KeyError::WrongLength {
            name: name.to_owned(),
            kind,
            expected: N,
            found: decoded.bytes,
        });
    }
    if !decoded.clean {
        return Err(bad());
    }
    Ok((name.to_owned(), bytes))
}

/// A public key: `name:base64(32 bytes)`, as it goes into `trusted-public-keys`.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: VerifyingKey,
}

impl PublicKey {
    /// A key of 32 raw bytes.
    ///
    /// # Errors
    /// A bad name; bytes that are no point of the curve, not in canonical form,
    /// or of small order: libsodium, and so Nix, verifies nothing with these.
    pub fn new(name: &str, bytes: &[u8; 32]) -> Result<Self, KeyError> {
        check_key_name(name)?;
        let not_a_point = || KeyError::NotAPoint {
            name: name.to_owned(),
        };
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| not_a_point())?;
        if key.is_weak() || !is_reduced(bytes) {
            return Err(not_a_point());
        }
        Ok(Self {
            name: name.to_owned(),
            key,
        })
    }

    /// The name, before the colon.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The 32 raw bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// SHA-256 of the 32 raw bytes, in hexadecimal: what people compare.
    pub fn fingerprint(&self) -> String {
        Sha256::digest(self.bytes()).to_base16()
    }

    /// True where `signature` is this key's over `message`. The name is not compared.
    /// The rules are libsodium's, so that the verdict is Nix's.
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.key.verify_strict(message, &signature).is_ok()
    }
}

/// True where the 255 bits of the y coordinate are below the field's prime 2²⁵⁵ − 19.
fn is_reduced(point: &[u8; 32]) -> bool {
    let high_is_full = point[31] & 0x7f == 0x7f && point[1..31].iter().all(|byte| *byte == 0xff);
    !(high_is_full && point[0] >= 0xed)
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, base64::encode(self.bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, bytes) = parse_named::<32>(text, "public")?;
        Self::new(&name, &bytes)
    }
}

crate::hash::serde_as_text!(PublicKey);

/// A secret key: `name:base64(seed ‖ public key)`. Prints and serializes
/// nowhere but by [`to_secret_text`](Self::to_secret_text); wiped when dropped.
#[derive(Clone)]
pub struct SecretKey {
    name: String,
    key: SigningKey,
}

impl SecretKey {
    /// The key that follows from a seed, which must be 32 bytes from a secure random source.
    ///
    /// # Errors
    /// A bad name.
    pub fn generate(name: &str, seed: [u8; 32]) -> Result<Self, KeyError> {
        check_key_name(name)?;
        Ok(Self {
            name: name.to_owned(),
            key: SigningKey::from_bytes(&seed),
        })
    }

    /// The name, before the colon.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public half, of the same name.
    pub fn public_key(&self) -> PublicKey {
        PublicKey {
            name: self.name.clone(),
            key: self.key.verifying_key(),
        }
    }

    /// Signs a message. Deterministic.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature {
            key_name: self.name.clone(),
            bytes: self.key.sign(message).to_bytes(),
        }
    }

    /// The key file's text, without a line end, as Nix writes it. A secret.
    pub fn to_secret_text(&self) -> String {
        format!(
            "{}:{}",
            self.name,
            base64::encode(&self.key.to_keypair_bytes())
        )
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({}:…)", self.name)
    }
}

impl FromStr for SecretKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, bytes) = parse_named::<64>(text, "secret")?;
        match SigningKey::from_keypair_bytes(&bytes) {
            Ok(key) => Ok(Self { name, key }),
            Err(_) => Err(KeyError::HalvesDiffer { name }),
        }
    }
}

/// Why the value of a `Sig` line is not a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No colon, so no name.
    #[error("a signature is `name:base64`, and this has no `:`")]
    NoColon,
    /// Nothing before the colon.
    #[error("the signature has no key name before the `:`")]
    NoName,
    /// Nothing after the colon.
    #[error("the signature has nothing after the `:`")]
    NoData,
    /// A byte outside of the base64 alphabet.
    #[error("the signature's base64 has an illegal character at position {position} after the `:`")]
    BadBase64 {
        /// From 1.
        position: usize,
    },
    /// Another number of bytes.
    #[error("the signature has {found} bytes; an Ed25519 signature has 64")]
    WrongLength {
        /// Bytes there.
        found: usize,
    },
    /// Something after the padding, which Nix overlooks; refused on upload.
    #[error("the signature's base64 is followed by something else")]
    Trailing,
    /// A key name that cannot stand in nix.conf; refused on upload.
    #[error(
        "the signature's key name has characters other than printable ASCII without blanks, `:` and `#`"
    )]
    BadName,
}

impl SignatureError {
    /// True where Nix since 2.34 refuses the whole narinfo because of this line.
    pub const fn breaks_narinfo(self) -> bool {
        matches!(
            self,
            Self::NoColon | Self::NoName | Self::NoData | Self::BadBase64 { .. }
        )
    }
}

/// A signature: which key is said to have made it, and 64 bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Signature {
    key_name: String,
    bytes: [u8; 64],
}

impl Signature {
    /// Name of the key, as the signature says.
    pub fn key_name(&self) -> &str {
        &self.key_name
    }

    /// The 64 bytes.
    pub fn bytes(&self) -> &[u8; 64] {
        &self.bytes
    }

    /// Parses a `Sig` value as an upload must have it: also no rubbish after the
    /// padding and no key name that a client could never configure.
    ///
    /// # Errors
    /// See [`SignatureError`].
    pub fn parse_strict(text: &str) -> Result<Self, SignatureError> {
        let parts = SignatureParts::parse(text)?;
        if !parts.clean {
            return Err(SignatureError::Trailing);
        }
        if check_key_name(parts.key_name).is_err() {
            return Err(SignatureError::BadName);
        }
        Ok(parts.to_signature())
    }
}

impl FromStr for Signature {
    type Err = SignatureError;
    /// Parses as Nix does when it verifies.
    fn from_str(text: &str) -> Result<Self, SignatureError> {
        Ok(SignatureParts::parse(text)?.to_signature())
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.key_name, base64::encode(&self.bytes))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

crate::hash::serde_as_text!(Signature);

/// A signature whose name is still part of the `Sig` line.
pub(crate) struct SignatureParts<'a> {
    pub(crate) key_name: &'a str,
    pub(crate) bytes: [u8; 64],
    /// Nothing after the padding.
    pub(crate) clean: bool,
}

impl<'a> SignatureParts<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, SignatureError> {
        let (key_name, data) = text.split_once(':').ok_or(SignatureError::NoColon)?;
        if key_name.is_empty() {
            return Err(SignatureError::NoName);
        }
        if data.is_empty() {
            return Err(SignatureError::NoData);
        }
        let mut bytes = [0; 64];
        let decoded = base64::decode_into(data.as_bytes(), &mut bytes).map_err(|position| {
            SignatureError::BadBase64 {
                position: position + 1,
            }
        })?;
        if decoded.bytes != 64 {
            return Err(SignatureError::WrongLength {
                found: decoded.bytes,
            });
        }
        Ok(Self {
            key_name,
            bytes,
            clean: decoded.clean,
        })
    }

    fn to_signature(&self) -> Signature {
        Signature {
            key_name: self.key_name.to_owned(),
            bytes: self.bytes,
        }
    }
}
