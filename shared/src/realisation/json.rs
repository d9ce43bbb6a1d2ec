//! The JSON of both forms, read strictly and written as Nix writes it.
//!
//! No text in one needs an escape: ids, names of paths and base64 are plain ASCII.

use std::fmt::{self, Write as _};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::{MAX_SIGNATURES, Output, Realisation, RealisationError, is_id};
use crate::signature::Signature;
use crate::store_path::{StorePath, StorePathRef};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Hashed {
    #[serde(default)]
    dependent_realisations: Pairs,
    id: String,
    out_path: String,
    #[serde(default)]
    signatures: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Named {
    out_path: String,
    #[serde(default)]
    signatures: Vec<EitherSignature>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum EitherSignature {
    Text(String),
    Parts(SignatureParts),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignatureParts {
    key_name: String,
    sig: String,
}

/// An object of texts in which no name is there twice.
#[derive(Default)]
struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl<'de> Visitor<'de> for Reading {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs: Vec<(String, String)> = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                pairs.sort_unstable();
                match pairs.windows(2).find(|two| two[0].0 == two[1].0) {
                    Some(two) => Err(serde::de::Error::custom(format!(
                        "`{}` is there twice",
                        two[0].0
                    ))),
                    None => Ok(Pairs(pairs)),
                }
            }
        }

        deserializer.deserialize_map(Reading)
    }
}

fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, RealisationError> {
    serde_json::from_slice(bytes).map_err(|error| RealisationError::Json(error.to_string()))
}

fn path(text: &str) -> Result<StorePath, RealisationError> {
    StorePathRef::parse(text)
        .map(|path| path.to_store_path())
        .map_err(|error| RealisationError::BadPath {
            path: text.to_owned(),
            error,
        })
}

fn signatures(
    texts: impl ExactSizeIterator<Item = String>,
) -> Result<Vec<Signature>, RealisationError> {
    if texts.len() > MAX_SIGNATURES {
        return Err(RealisationError::TooManySignatures);
    }
    let mut signatures = Vec::new();
    for text in texts {
        let signature = Signature::parse_strict(&text).map_err(RealisationError::BadSignature)?;
        if !signatures.contains(&signature) {
            signatures.push(signature);
        }
    }
    Ok(signatures)
}

pub(super) fn hashed(id: &str, bytes: &[u8]) -> Result<Realisation, RealisationError> {
    let read: Hashed = json(bytes)?;
    if read.id != id {
        return Err(RealisationError::OtherId {
            expected: id.to_owned(),
            found: read.id,
        });
    }
    let depends = read.dependent_realisations.0.into_iter();
    let depends = depends
        .map(|(id, out_path)| match is_id(&id) {
            true => Ok((id, path(&out_path)?)),
            false => Err(RealisationError::BadId(id)),
        })
        .collect::<Result<_, _>>()?;
    Ok(Realisation {
        of: Output::Hashed {
            id: read.id,
            depends,
        },
        out_path: path(&read.out_path)?,
        signatures: signatures(read.signatures.into_iter())?,
    })
}

pub(super) fn named(
    derivation: StorePath,
    name: &str,
    bytes: &[u8],
) -> Result<Realisation, RealisationError> {
    let read: Named = json(bytes)?;
    let texts = read
        .signatures
        .into_iter()
        .map(|signature| match signature {
            EitherSignature::Text(text) => text,
            EitherSignature::Parts(parts) => format!("{}:{}", parts.key_name, parts.sig),
        });
    Ok(Realisation {
        of: Output::Named {
            derivation,
            name: name.to_owned(),
        },
        out_path: path(&read.out_path)?,
        signatures: signatures(texts)?,
    })
}

/// `"dependentRealisations":{…},"id":"…","outPath":"…"`
fn body_of_hashed(id: &str, depends: &[(String, StorePath)], out_path: &StorePath) -> String {
    let mut text = String::from("\"dependentRealisations\":{");
    for (number, (id, path)) in depends.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        let _ = write!(text, "{comma}\"{id}\":\"{path}\"");
    }
    let _ = write!(text, "}},\"id\":\"{id}\",\"outPath\":\"{out_path}\"");
    text
}

pub(super) fn fingerprint_of_hashed(
    id: &str,
    depends: &[(String, StorePath)],
    out_path: &StorePath,
) -> String {
    format!("{{{}}}", body_of_hashed(id, depends, out_path))
}

pub(super) fn fingerprint_of_named(
    derivation: &StorePath,
    name: &str,
    out_path: &StorePath,
) -> String {
    format!(
        "{{\"key\":{{\"drvPath\":\"{derivation}\",\"outputName\":\"{name}\"}},\"value\":{{\"outPath\":\"{out_path}\"}}}}"
    )
}

pub(super) fn print_hashed(
    id: &str,
    depends: &[(String, StorePath)],
    out_path: &StorePath,
    signatures: &[Signature],
) -> String {
    let texts: Vec<String> = signatures
        .iter()
        .map(|signature| format!("\"{}\"", escaped(&signature.to_string())))
        .collect();
    format!(
        "{{{},\"signatures\":[{}]}}",
        body_of_hashed(id, depends, out_path),
        texts.join(",")
    )
}

pub(super) fn print_named(out_path: &StorePath, signatures: &[Signature]) -> String {
    let parts: Vec<String> = signatures
        .iter()
        .map(|signature| {
            let text = signature.to_string();
            let (name, bytes) = text.split_once(':').unwrap_or((&text, ""));
            format!("{{\"keyName\":\"{}\",\"sig\":\"{bytes}\"}}", escaped(name))
        })
        .collect();
    format!(
        "{{\"outPath\":\"{out_path}\",\"signatures\":[{}]}}",
        parts.join(",")
    )
}

/// A key's name is printable ASCII: only these two have a meaning in JSON.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
