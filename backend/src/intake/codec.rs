//! Which codec an archive is packed with. Its decoder is the one of [`crate::archive`].
//!
//! The extension only hints at the codec (PROTOCOL.md §8: gzip and rarer ones have none), so the
//! first bytes decide; brotli alone has none of its own and is believed its `.br`. What the narinfo
//! says later has to agree.

use http::StatusCode;
use snowbank_shared::narinfo::Compression;

use super::Refusal;
pub use crate::archive::codec::decoder;

/// Bytes that [`sniff`] wants to see.
pub(super) const HEAD: usize = 16;

/// The codec of an archive that begins with these bytes, under this key.
///
/// # Errors
/// `unsupported-compression` for a codec that this server does not undo. What nobody knows counts
/// as plain, and is then no archive.
pub(super) fn sniff(head: &[u8], key: &str) -> Result<Compression, Refusal> {
    let unsupported = |name: &str| {
        Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "unsupported-compression",
            format!(
                "the archive is packed with {name}, which this server cannot unpack: use zstd, xz, bzip2, br, gzip or none"
            ),
        ))
    };
    Ok(match head {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
        // A frame, or one to be skipped before it.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Compression::Bzip2,
        [0x1f, 0x8b, 8, ..] => Compression::Gzip,
        [b'L', b'Z', b'I', b'P', ..] => return unsupported("lzip"),
        [b'L', b'R', b'Z', b'I', ..] => return unsupported("lrzip"),
        [0x04, 0x22, 0x4d, 0x18, ..] => return unsupported("lz4"),
        [0x89, b'L', b'Z', b'O', ..] => return unsupported("lzop"),
        [0x1f, 0x9d, ..] => return unsupported("compress"),
        [0x5d, 0, 0, ..] => return unsupported("lzma"),
        _ if has_extension(key, "br") => Compression::Br,
        _ => Compression::None,
    })
}

fn has_extension(key: &str, extension: &str) -> bool {
    key.rsplit('.').next() == Some(extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide_whatever_the_name_says() {
        let of = |head: &[u8], key: &str| sniff(head, key).map_err(|refusal| refusal.code);
        assert_eq!(of(b"\xfd7zXZ\0\0", "nar/x.nar"), Ok(Compression::Xz));
        assert_eq!(
            of(&[0x28, 0xb5, 0x2f, 0xfd], "nar/x.nar.xz"),
            Ok(Compression::Zstd)
        );
        assert_eq!(of(&[0x1f, 0x8b, 8, 0], "nar/x.nar"), Ok(Compression::Gzip));
        assert_eq!(of(b"BZh9", "nar/x.nar.bz2"), Ok(Compression::Bzip2));
        assert_eq!(
            of(b"\x0d\0\0\0\0\0\0\0nix-arch", "nar/x.nar"),
            Ok(Compression::None)
        );
        assert_eq!(of(b"\x8b\x02", "nar/x.nar.br"), Ok(Compression::Br));
        assert_eq!(of(b"", "nar/x.nar"), Ok(Compression::None));
        assert_eq!(
            of(b"LZIP\x01", "nar/x.nar.lzip"),
            Err("unsupported-compression")
        );
        assert_eq!(
            of(&[0x04, 0x22, 0x4d, 0x18], "nar/x.nar.lz4"),
            Err("unsupported-compression")
        );
    }
}
