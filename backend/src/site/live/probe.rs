//! The path of a live check: one small text file, signed, made anew for each check.

use bytes::Bytes;
use snowbank_shared::hash::Sha256;
use snowbank_shared::nar::{NarWriter, WriteError};
use snowbank_shared::narinfo::{Compression, NarInfoParts};
use snowbank_shared::signature::SecretKey;
use snowbank_shared::store_path::{StoreDir, StorePath, StorePathHash};

/// The name of every such path.
const NAME: &str = "snowbank-live-check";

/// A path with its narinfo and its NAR.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    /// The path in full.
    pub(super) path: String,
    /// Name of the key that signed it.
    pub(super) key: String,
    /// The narinfo's bytes.
    pub(super) narinfo: Bytes,
    /// The NAR's key below the cache.
    pub(super) url: String,
    /// The NAR's bytes.
    pub(super) nar: Bytes,
}

/// Why there is no such path; neither can happen to a text file with this name.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProbeError {
    #[error(transparent)]
    Name(#[from] snowbank_shared::store_path::StorePathError),
    #[error(transparent)]
    Nar(#[from] WriteError),
}

impl Probe {
    /// The path with this hash part. It is no content address: a client takes it only
    /// where it trusts the key.
    pub(super) fn make(
        hash: StorePathHash,
        slug: &str,
        store_dir: &StoreDir,
        key: &SecretKey,
    ) -> Result<Self, ProbeError> {
        let text = format!(
            "This file was made to check a connection, and nothing depends on it.\ncache {slug}\ncheck {hash}\n"
        );
        let mut nar = Vec::with_capacity(256);
        let mut writer = NarWriter::new(|bytes: &[u8]| nar.extend_from_slice(bytes));
        writer.file(text.as_bytes(), false)?;
        writer.finish()?;
        let digest = Sha256::digest(&nar);
        let size = nar.len() as u64;
        let mut parts = NarInfoParts {
            store_path: StorePath::new(hash, NAME)?,
            url: format!("nar/{}.nar", digest.to_nix32()),
            compression: Compression::None,
            file_hash: Some(digest.into()),
            file_size: Some(size),
            nar_hash: digest,
            nar_size: size,
            references: Vec::new(),
            deriver: None,
            signatures: Vec::new(),
            ca: None,
        };
        parts
            .signatures
            .push(key.sign(parts.fingerprint(store_dir).as_bytes()));
        Ok(Self {
            path: store_dir.display(&parts.store_path).to_string(),
            key: key.name().to_owned(),
            narinfo: parts.to_text(store_dir).into(),
            url: parts.url,
            nar: nar.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use snowbank_shared::api::{KeyPurpose, KeyState, SignatureStatus};
    use snowbank_shared::nar::NarParser;
    use snowbank_shared::narinfo::NarInfo;
    use snowbank_shared::signature::{KeyRing, KnownKey};

    use super::*;

    #[test]
    fn it_is_a_valid_path_that_only_its_key_vouches_for() {
        let key = SecretKey::generate("team-1", [5; 32]).expect("a key");
        let hash = StorePathHash::from_bytes([9; 20]);
        let store_dir = StoreDir::default();
        let probe = Probe::make(hash, "team", &store_dir, &key).expect("a path");
        let narinfo = NarInfo::parse(&probe.narinfo, &store_dir).expect("a narinfo");
        narinfo.check_key(hash).expect("its own");
        assert!(narinfo.ca().is_none() && narinfo.crash_risk().is_none());
        assert_eq!(narinfo.nar_hash(), Sha256::digest(&probe.nar));
        let ring = KeyRing::new([KnownKey {
            key: key.public_key(),
            purpose: KeyPurpose::Cache,
            state: KeyState::Active,
        }]);
        assert_eq!(ring.judge(&narinfo).status, SignatureStatus::Valid);
        let mut parser = NarParser::new();
        parser.push(&probe.nar, &mut |_| {}).expect("a NAR");
        assert_eq!(parser.finish().expect("whole"), narinfo.nar_size());
        let other = Probe::make(StorePathHash::from_bytes([8; 20]), "team", &store_dir, &key);
        assert_ne!(
            other.expect("a path").url,
            probe.url,
            "each has its own NAR"
        );
    }
}
