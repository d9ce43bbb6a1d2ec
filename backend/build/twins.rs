//! Compressed twins of assets, remembered from build to build.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::hex;

/// An asset and what of its twins is worth sending.
pub(crate) struct Asset {
    pub(crate) bytes: Vec<u8>,
    pub(crate) brotli: Option<Vec<u8>>,
    pub(crate) gzip: Option<Vec<u8>>,
}

/// Compresses, and remembers by content: brotli 11 of the program takes seconds.
pub(crate) struct Twins {
    pub(crate) dir: PathBuf,
    pub(crate) release: bool,
}

impl Twins {
    pub(crate) fn compress(&self, bytes: Vec<u8>) -> Result<Asset, String> {
        let brotli =
            self.remembered(&bytes, if self.release { "br11" } else { "br3" }, |bytes| {
                self.brotli(bytes)
            })?;
        let gzip = self.remembered(&bytes, if self.release { "gz9" } else { "gz3" }, |bytes| {
            self.gzip(bytes)
        })?;
        let smaller = |twin: Vec<u8>| (twin.len() < bytes.len()).then_some(twin);
        Ok(Asset {
            brotli: smaller(brotli),
            gzip: smaller(gzip),
            bytes,
        })
    }

    fn remembered(
        &self,
        bytes: &[u8],
        kind: &str,
        make: impl Fn(&[u8]) -> std::io::Result<Vec<u8>>,
    ) -> Result<Vec<u8>, String> {
        let path = self
            .dir
            .join(format!("{}.{kind}", hex(&Sha256::digest(bytes))));
        if let Ok(known) = fs::read(&path) {
            return Ok(known);
        }
        let made = make(bytes).map_err(|error| format!("compressing: {error}"))?;
        // Written aside and renamed, so that a build that is cut off leaves no half twin.
        let partial = path.with_extension(format!("{kind}.{}", std::process::id()));
        fs::create_dir_all(&self.dir)
            .and_then(|()| fs::write(&partial, &made))
            .and_then(|()| fs::rename(&partial, &path))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(made)
    }

    fn brotli(&self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        let params = brotli::enc::BrotliEncoderParams {
            quality: if self.release { 11 } else { 3 },
            lgwin: 24,
            size_hint: bytes.len(),
            ..Default::default()
        };
        let mut out = Vec::new();
        brotli::BrotliCompress(&mut &bytes[..], &mut out, &params)?;
        Ok(out)
    }

    fn gzip(&self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        let level = flate2::Compression::new(if self.release { 9 } else { 3 });
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
        encoder.write_all(bytes)?;
        encoder.finish()
    }
}
