//! Signed texts of an issuer: parsed, and believed only where a key of the issuer signed them.
//!
//! Only asymmetric algorithms, chosen by the key as much as by the text, so that a public key can
//! never be used as the secret of an HMAC, and `none` is no algorithm (RFC 8725).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Characters of a token; GitHub's have about 1,500.
pub const LONGEST: usize = 16 * 1024;
/// By how many seconds clocks may differ.
const LEEWAY: i64 = 60;

/// Why a text is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Not three parts of base64 with JSON in the first two.
    #[error("it is not a signed JSON web token")]
    Form,
    /// `none`, a symmetric one, or one that we do not have.
    #[error("its algorithm is not one of RS256, RS384, RS512, ES256, ES384, EdDSA")]
    Algorithm,
    /// The issuer has no such key.
    #[error("the issuer has no key of that name")]
    UnknownKey,
    /// The key did not make the signature.
    #[error("its signature is not the issuer's")]
    Signature,
    /// Another issuer's.
    #[error("it was issued by somebody else")]
    Issuer,
    /// For somebody else.
    #[error("it was issued for another audience")]
    Audience,
    /// Too late.
    #[error("it has expired")]
    Expired,
    /// Too early.
    #[error("it is not valid yet: is a clock wrong?")]
    NotYet,
    /// A claim that has to be there is not.
    #[error("it has no `{0}`")]
    Missing(&'static str),
}

/// A public key of an issuer (RFC 7517).
#[derive(Debug, Clone, Deserialize)]
pub struct Jwk {
    kty: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(rename = "use", default)]
    purpose: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
}

/// The keys of an issuer. A key that cannot be read is as if it were not there.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Jwks {
    keys: Vec<Value>,
}

impl Jwks {
    fn readable(&self) -> impl Iterator<Item = Jwk> {
        // More than an issuer has, fewer than would cost much.
        self.keys
            .iter()
            .take(64)
            .filter_map(|key| serde_json::from_value(key.clone()).ok())
    }
}

/// A signed text that was parsed and not yet believed.
#[derive(Debug, Clone)]
pub struct Unverified<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    algorithm: String,
    key_id: Option<String>,
    claims: Map<String, Value>,
}

/// What a believed text says.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims(Map<String, Value>);

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions that must be understood; we understand none.
    #[serde(default)]
    crit: Option<Value>,
}

impl<'a> Unverified<'a> {
    /// Parses a text.
    ///
    /// # Errors
    /// Where it has another form.
    pub fn parse(text: &'a str) -> Result<Self, JwtError> {
        if text.len() > LONGEST {
            return Err(JwtError::Form);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(JwtError::Form)?;
        let (header, claims) = signed.split_once('.').ok_or(JwtError::Form)?;
        let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtError::Form);
        let header: Header = serde_json::from_slice(&bytes(header)?).map_err(|_| JwtError::Form)?;
        if header.crit.is_some() {
            return Err(JwtError::Algorithm);
        }
        Ok(Self {
            signed,
            signature: bytes(signature)?,
            algorithm: header.alg,
            key_id: header.kid,
            claims: serde_json::from_slice(&bytes(claims)?).map_err(|_| JwtError::Form)?,
        })
    }

    /// Who claims to have issued it: only for choosing whose keys to try.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    /// What it says, where a key of the issuer signed it for this audience and it is valid at
    /// `now`, in seconds since 1970.
    ///
    /// # Errors
    /// See [`JwtError`]; [`JwtError::UnknownKey`] asks for a look whether the issuer has new keys.
    pub fn verify(
        self,
        keys: &Jwks,
        issuer: &str,
        audience: &str,
        now: i64,
    ) -> Result<Claims, JwtError> {
        self.check_signature(keys)?;
        let claims = Claims(self.claims);
        if claims.text("iss") != Some(issuer) {
            return Err(JwtError::Issuer);
        }
        if audience.is_empty() || !claims.texts("aud").contains(&audience) {
            return Err(JwtError::Audience);
        }
        let expires = claims.seconds("exp").ok_or(JwtError::Missing("exp"))?;
        if now >= expires.saturating_add(LEEWAY) {
            return Err(JwtError::Expired);
        }
        let begins = claims.seconds("nbf").or(claims.seconds("iat"));
        if begins.is_some_and(|begins| now < begins.saturating_sub(LEEWAY)) {
            return Err(JwtError::NotYet);
        }
        Ok(claims)
    }

    fn check_signature(&self, keys: &Jwks) -> Result<(), JwtError> {
        let family = match self.algorithm.as_str() {
            "RS256" | "RS384" | "RS512" => "RSA",
            "ES256" | "ES384" => "EC",
            "EdDSA" => "OKP",
            _ => return Err(JwtError::Algorithm),
        };
        let mut tried = false;
        for key in keys.readable() {
            let fits = key.kty == family
                && key
                    .purpose
                    .as_deref()
                    .is_none_or(|purpose| purpose == "sig")
                && key.alg.as_deref().is_none_or(|alg| alg == self.algorithm)
                && (self.key_id.is_none() || key.kid == self.key_id);
            if !fits {
                continue;
            }
            tried = true;
            if self.is_signed_by(&key) {
                return Ok(());
            }
        }
        Err(if tried {
            JwtError::Signature
        } else {
            JwtError::UnknownKey
        })
    }

    fn is_signed_by(&self, key: &Jwk) -> bool {
        let part = |part: &Option<String>| {
            part.as_ref()
                .and_then(|text| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok())
        };
        let message = self.signed.as_bytes();
        match self.algorithm.as_str() {
            "RS256" | "RS384" | "RS512" => {
                let (Some(n), Some(e)) = (part(&key.n), part(&key.e)) else {
                    return false;
                };
                // 2048 bits at least.
                let parameters = match self.algorithm.as_str() {
                    "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
                    "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
                    _ => &signature::RSA_PKCS1_2048_8192_SHA512,
                };
                signature::RsaPublicKeyComponents { n, e }
                    .verify(parameters, message, &self.signature)
                    .is_ok()
            }
            "ES256" | "ES384" => {
                let (curve, algorithm): (_, &dyn signature::VerificationAlgorithm) =
                    if self.algorithm == "ES256" {
                        ("P-256", &signature::ECDSA_P256_SHA256_FIXED)
                    } else {
                        ("P-384", &signature::ECDSA_P384_SHA384_FIXED)
                    };
                let (Some(x), Some(y)) = (part(&key.x), part(&key.y)) else {
                    return false;
                };
                let point: Vec<u8> = [&[4][..], &x, &y].concat();
                key.crv.as_deref() == Some(curve)
                    && signature::UnparsedPublicKey::new(algorithm, point)
                        .verify(message, &self.signature)
                        .is_ok()
            }
            _ => {
                let Some(x) = part(&key.x) else { return false };
                key.crv.as_deref() == Some("Ed25519")
                    && signature::UnparsedPublicKey::new(&signature::ED25519, x)
                        .verify(message, &self.signature)
                        .is_ok()
            }
        }
    }
}

impl Claims {
    /// A claim that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A claim that is a text or a list of texts.
    pub fn texts(&self, name: &str) -> Vec<&str> {
        match self.0.get(name) {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// A claim that is a time, in seconds since 1970.
    pub fn seconds(&self, name: &str) -> Option<i64> {
        let value = self.0.get(name)?;
        value.as_i64().or_else(|| {
            // Some issuers send fractions.
            #[allow(clippy::cast_possible_truncation)]
            value.as_f64().map(|seconds| seconds as i64)
        })
    }

    /// A claim as a text, whatever it is: what rules compare with.
    pub fn spelled(&self, name: &str) -> Option<String> {
        match self.0.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => Some(self.0[name].to_string()),
            _ => None,
        }
    }

    #[cfg(test)]
    pub(super) fn of(value: Value) -> Self {
        match value {
            Value::Object(claims) => Self(claims),
            _ => Self(Map::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;
    use ring::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    };
    use serde_json::json;

    const NOW: i64 = 1_800_000_000;
    const ISSUER: &str = "https://issuer.example";

    fn encode(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    struct Signer {
        pair: EcdsaKeyPair,
        random: SystemRandom,
    }

    impl Signer {
        fn new() -> Self {
            let random = SystemRandom::new();
            let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
            let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("it");
            Self { pair, random }
        }

        fn keys(&self, id: &str) -> Jwks {
            let point = self.pair.public_key().as_ref();
            serde_json::from_value(json!({"keys": [
                {"kty": "oct", "k": "c2VjcmV0"}, {"kty": 7},
                {"kty": "EC", "crv": "P-256", "kid": id, "use": "sig",
                 "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..])},
            ]}))
            .expect("keys")
        }

        fn sign(&self, header: &Value, claims: &Value) -> String {
            let signed = format!("{}.{}", encode(header), encode(claims));
            let signature = self
                .pair
                .sign(&self.random, signed.as_bytes())
                .expect("signed");
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        }
    }

    fn claims() -> Value {
        json!({"iss": ISSUER, "aud": ["snowbank", "x"], "exp": NOW + 300, "iat": NOW, "sub": "s", "n": 7})
    }

    fn verify(text: &str, keys: &Jwks) -> Result<Claims, JwtError> {
        Unverified::parse(text)?.verify(keys, ISSUER, "snowbank", NOW)
    }

    #[test]
    fn a_signed_text_is_believed_and_any_change_is_not() {
        let signer = Signer::new();
        let header = json!({"alg": "ES256", "kid": "k1"});
        let keys = signer.keys("k1");
        let good = signer.sign(&header, &claims());
        let read = verify(&good, &keys).expect("believed");
        assert_eq!(
            (read.text("sub"), read.spelled("n").as_deref()),
            (Some("s"), Some("7"))
        );
        let (signed, signature) = good.rsplit_once('.').expect("three parts");
        let mut other = claims();
        other["sub"] = json!("admin");
        let forged = format!("{}.{}.{signature}", encode(&header), encode(&other));
        assert_eq!(verify(&forged, &keys), Err(JwtError::Signature));
        assert_eq!(
            verify(&format!("{signed}."), &keys),
            Err(JwtError::Signature)
        );
        assert_eq!(
            verify(&good, &Signer::new().keys("k1")),
            Err(JwtError::Signature)
        );
        assert_eq!(verify(&good, &signer.keys("k2")), Err(JwtError::UnknownKey));
        assert_eq!(verify(&good, &Jwks::default()), Err(JwtError::UnknownKey));
        for nonsense in [
            "",
            ".",
            "..",
            "a.b.c",
            &"x".repeat(20_000),
            &good.replace('.', ""),
        ] {
            assert_eq!(
                verify(nonsense, &keys),
                Err(JwtError::Form),
                "{nonsense:.20}"
            );
        }
    }

    #[test]
    fn algorithms_that_anybody_can_sign_with_are_none() {
        let signer = Signer::new();
        let keys = signer.keys("k1");
        for alg in ["none", "None", "HS256", "HS512", "PS256", ""] {
            let text = signer.sign(&json!({"alg": alg, "kid": "k1"}), &claims());
            assert_eq!(verify(&text, &keys), Err(JwtError::Algorithm), "{alg}");
        }
        let critical = json!({"alg": "ES256", "kid": "k1", "crit": ["exp"]});
        assert_eq!(
            verify(&signer.sign(&critical, &claims()), &keys),
            Err(JwtError::Algorithm)
        );
        // An RSA algorithm does not fit the key's type.
        let text = signer.sign(&json!({"alg": "RS256", "kid": "k1"}), &claims());
        assert_eq!(verify(&text, &keys), Err(JwtError::UnknownKey));
    }

    #[test]
    fn issuer_audience_and_times_are_checked() {
        let signer = Signer::new();
        let keys = signer.keys("k1");
        let with = |name: &str, value: Value| {
            let mut changed = claims();
            changed[name] = value;
            verify(
                &signer.sign(&json!({"alg": "ES256", "kid": "k1"}), &changed),
                &keys,
            )
        };
        assert_eq!(
            with("iss", json!("https://issuer.example/")),
            Err(JwtError::Issuer)
        );
        assert_eq!(with("iss", json!([ISSUER])), Err(JwtError::Issuer));
        assert_eq!(with("aud", json!("other")), Err(JwtError::Audience));
        assert_eq!(with("aud", Value::Null), Err(JwtError::Audience));
        assert_eq!(with("exp", Value::Null), Err(JwtError::Missing("exp")));
        assert_eq!(with("exp", json!(NOW - LEEWAY)), Err(JwtError::Expired));
        assert!(
            with("exp", json!(NOW - LEEWAY + 1)).is_ok(),
            "clocks differ a little"
        );
        assert_eq!(with("nbf", json!(NOW + LEEWAY + 1)), Err(JwtError::NotYet));
        assert!(with("aud", json!("snowbank")).is_ok());
    }

    #[test]
    fn the_vectors_of_the_standards_hold() {
        // RFC 7515, appendix A.2: RS256.
        let keys: Jwks = serde_json::from_value(json!({"keys": [{"kty": "RSA", "e": "AQAB", "n":
            "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}]}))
            .expect("keys");
        let text = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
        assert_eq!(
            Unverified::parse(text)
                .expect("a text")
                .check_signature(&keys),
            Ok(())
        );
        // RFC 8037, appendix A.4: EdDSA.
        let keys: Jwks = serde_json::from_value(json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]})).expect("keys");
        let seed: Vec<u8> = URL_SAFE_NO_PAD
            .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
            .expect("base64");
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("a key");
        let signed = "eyJhbGciOiJFZERTQSJ9.e30";
        let text = format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()))
        );
        assert_eq!(
            Unverified::parse(&text)
                .expect("a text")
                .check_signature(&keys),
            Ok(())
        );
    }
}
