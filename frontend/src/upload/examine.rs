//! Everything about one archive before it is sent, by the code that the server runs on it when it
//! arrives. Pure, so that it is tested natively; in the browser the worker runs it.

use std::io::{self, BufReader, Read};

use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use snowbank_shared::content_address::{ContentAddress, ContentHasher};
use snowbank_shared::contents::{ContentsBuilder, FileEntry};
use snowbank_shared::hash::Sha256;
use snowbank_shared::nar::{Event, ListingLimits, NarError, NarParser, Secret, SecretScanner};
use snowbank_shared::narinfo::{Compression, NarInfo};
use snowbank_shared::store_path::StorePathHash;

use super::unpack;

/// Bytes read at once.
const PIECE: usize = 256 << 10;

/// What is known of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examined {
    /// SHA-256 of the file, nix32.
    pub file_hash: String,
    /// Its bytes.
    pub file_size: u64,
    /// What is in it; nothing where this browser cannot unpack it.
    pub archive: Option<Archive>,
}

/// What is in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// SHA-256 of the NAR, nix32.
    pub nar_hash: String,
    /// Its bytes.
    pub nar_size: u64,
    /// Files that look like secrets, and like which.
    pub secrets: Vec<(String, String)>,
}

/// That a path follows from its content: the content address, and the path's hash part.
pub type Claim = (ContentAddress, StorePathHash);

/// What a narinfo claims, where the server would hold its content against it.
pub fn claim(narinfo: &NarInfo) -> Option<Claim> {
    let ca = narinfo.ca().filter(|_| narinfo.is_content_addressed())?;
    Some((ca, narinfo.store_path().hash()))
}

/// Reads an archive to its end, or until it has more than `most` bytes unpacked. `told` hears how
/// much of the file was read; `ready` is waited for before more of it is read.
///
/// # Errors
/// In words, where it is no NAR, cannot be unpacked, or its content is not what is claimed; and those
/// of `ready`.
pub async fn examine(
    source: impl Read,
    codec: Option<Compression>,
    most: u64,
    claim: Option<Claim>,
    told: impl FnMut(u64),
    ready: impl AsyncFn() -> Result<(), String>,
) -> Result<Examined, String> {
    let mut file = Hashing {
        source,
        hash: (codec != Some(Compression::None)).then(sha2::Sha256::new),
        read: 0,
        told,
    };
    let archive = {
        let packed = BufReader::with_capacity(PIECE, &mut file);
        let unpacked = codec.and_then(|codec| unpack::reader(codec, packed));
        match unpacked {
            Some(unpacked) => Some(inspect(unpacked, codec, most, claim, &ready).await?),
            None => None,
        }
    };
    // What follows is hashed too; an archive that was read to its end has nothing left.
    let mut rest = vec![0; PIECE];
    loop {
        ready().await?;
        match file.read(&mut rest) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    let file_hash = match (file.hash, &archive) {
        (Some(hash), _) => Sha256(hash.finalize().into()).to_nix32(),
        (None, Some(archive)) => archive.nar_hash.clone(),
        (None, None) => String::new(),
    };
    Ok(Examined {
        file_hash,
        file_size: file.read,
        archive,
    })
}

async fn inspect(
    mut unpacked: Box<dyn Read + '_>,
    codec: Option<Compression>,
    most: u64,
    claim: Option<Claim>,
    ready: &impl AsyncFn() -> Result<(), String>,
) -> Result<Archive, String> {
    let mut look = Look {
        content: claim.and_then(|(ca, own)| ContentHasher::new(&ca, own)),
        ..Look::default()
    };
    let mut piece = vec![0; PIECE];
    loop {
        ready().await?;
        let taken = match unpacked.read(&mut piece) {
            Ok(0) => break,
            Ok(taken) => taken,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let codec = codec.map(Compression::name).unwrap_or_default();
                return Err(format!("it cannot be unpacked as {codec}: {error}"));
            }
        };
        look.push(&piece[..taken])
            .map_err(|error| error.to_string())?;
        if look.parser.position() > most {
            return Err(format!(
                "it unpacks to more than the {most} bytes that its narinfo names"
            ));
        }
    }
    let content = look.content.take();
    let archive = look.finish().map_err(|error| error.to_string())?;
    if let (Some(content), Some((ca, _))) = (content, claim) {
        let hashes = content.finish().map_err(|fault| fault.to_string())?;
        if !hashes.include(&ca.hash) {
            return Err(format!(
                "its content address is {ca}, and its content has another hash"
            ));
        }
    }
    Ok(archive)
}

/// How large a list of files may be, as on the server.
const LISTED: ListingLimits = ListingLimits {
    nodes: 100_000,
    text: 16 << 20,
};

/// The files of an archive with their hashes; as [`examine`] otherwise.
///
/// # Errors
/// In words, where it is no NAR, cannot be unpacked, or has too many files.
pub async fn contents(
    source: impl Read,
    codec: Option<Compression>,
    most: u64,
    told: impl FnMut(u64),
    ready: impl AsyncFn() -> Result<(), String>,
) -> Result<Vec<FileEntry>, String> {
    let file = Hashing {
        source,
        hash: None,
        read: 0,
        told,
    };
    let packed = BufReader::with_capacity(PIECE, file);
    let mut unpacked = codec
        .and_then(|codec| unpack::reader(codec, packed))
        .ok_or("this browser cannot unpack it")?;
    let mut parser = NarParser::new();
    let mut builder = ContentsBuilder::new(LISTED);
    let mut piece = vec![0; PIECE];
    loop {
        ready().await?;
        let taken = match unpacked.read(&mut piece) {
            Ok(0) => break,
            Ok(taken) => taken,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("it cannot be unpacked: {error}")),
        };
        parser
            .push(&piece[..taken], &mut |event: Event<'_>| {
                builder.event(&event);
            })
            .map_err(|error| error.to_string())?;
        if parser.position() > most {
            return Err(format!(
                "it unpacks to more than the {most} bytes that its narinfo names"
            ));
        }
    }
    parser.finish().map_err(|error| error.to_string())?;
    builder.finish().map_err(|error| error.to_string())
}

/// What the form wants to know of an archive, in one pass over its bytes.
#[derive(Default)]
pub struct Look {
    parser: NarParser,
    hash: sha2::Sha256,
    secrets: SecretScanner,
    /// Where a content address is to be checked.
    content: Option<ContentHasher>,
}

impl Look {
    /// Whether the archive is complete.
    pub fn is_complete(&self) -> bool {
        self.parser.is_complete()
    }

    fn push(&mut self, piece: &[u8]) -> Result<(), NarError> {
        let (secrets, content) = (&mut self.secrets, &mut self.content);
        self.hash.update(piece);
        self.parser.push(piece, &mut |event: Event<'_>| {
            secrets.event(&event);
            if let Some(content) = content.as_mut() {
                content.event(&event);
            }
        })?;
        if let Some(content) = content.as_mut() {
            content.bytes(piece);
        }
        Ok(())
    }

    /// Takes bytes that may go on behind the archive, and says how many are its own.
    ///
    /// # Errors
    /// At the first byte that no archive has in this place.
    pub fn push_some(&mut self, piece: &[u8]) -> Result<usize, NarError> {
        let secrets = &mut self.secrets;
        let used = self
            .parser
            .push_some(piece, &mut |event: Event<'_>| secrets.event(&event))?;
        self.hash.update(&piece[..used]);
        Ok(used)
    }

    /// Declares the archive ended.
    ///
    /// # Errors
    /// Where it is not.
    pub fn finish(self) -> Result<Archive, NarError> {
        let secret = |secret: Secret| (secret.file, secret.kind.to_owned());
        Ok(Archive {
            nar_size: self.parser.finish()?,
            nar_hash: Sha256(self.hash.finalize().into()).to_nix32(),
            secrets: self.secrets.finish().into_iter().map(secret).collect(),
        })
    }
}

/// A file that is hashed as it is read.
struct Hashing<R, T> {
    source: R,
    /// Nothing where the archive's own hash is the file's.
    hash: Option<sha2::Sha256>,
    read: u64,
    told: T,
}

impl<R: Read, T: FnMut(u64)> Read for Hashing<R, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let taken = self.source.read(buffer)?;
        if let Some(hash) = &mut self.hash {
            hash.update(&buffer[..taken]);
        }
        self.read += taken as u64;
        (self.told)(self.read);
        Ok(taken)
    }
}

/// What a future gives that has nothing to wait for.
#[cfg(test)]
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    use std::task::{Context, Poll, Waker};
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

#[cfg(test)]
mod tests {
    use snowbank_shared::nar::NarWriter;

    use super::*;

    fn archive() -> Vec<u8> {
        let mut archive = Vec::new();
        let mut writer = NarWriter::new(|bytes: &[u8]| archive.extend_from_slice(bytes));
        writer.file(b"hello", true).expect("a file");
        writer.finish().expect("an archive");
        archive
    }

    #[test]
    fn one_pass_tells_both_hashes() {
        let nar = archive();
        let packed = zstd::encode_all(&nar[..], 3).expect("packed");
        let mut read = 0;
        let told = |now| read = now;
        let found = at_once(examine(
            &packed[..],
            Some(Compression::Zstd),
            1 << 20,
            None,
            told,
            async || Ok(()),
        ))
        .expect("good");
        assert_eq!(read, packed.len() as u64);
        assert_eq!(found.file_hash, Sha256::digest(&packed).to_nix32());
        let inside = found.archive.expect("unpacked");
        assert_eq!(inside.nar_hash, Sha256::digest(&nar).to_nix32());
        assert_eq!(inside.nar_size, nar.len() as u64);
        let unread = examine(
            &packed[..],
            Some(Compression::Br),
            0,
            None,
            |_| (),
            async || Ok(()),
        );
        let unread = at_once(unread).expect("hashed");
        assert_eq!((unread.file_hash, unread.archive), (found.file_hash, None));
    }

    #[test]
    fn files_are_listed_with_what_they_hash_to() {
        let packed = zstd::encode_all(&archive()[..], 3).expect("packed");
        let codec = Some(Compression::Zstd);
        let listed =
            |codec, most| at_once(contents(&packed[..], codec, most, |_| (), async || Ok(())));
        let found = listed(codec, 1 << 20).expect("listed");
        let hash = format!("sha256:{}", Sha256::digest(b"hello").to_nix32());
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0].sha256, found[0].executable), (&Some(hash), true));
        assert!(listed(codec, 10).is_err());
        assert!(listed(Some(Compression::Br), 999).is_err());
    }

    #[test]
    fn content_is_held_against_its_address() {
        let nar = archive();
        let own = "0c0dixlhq54yv4v0kws1bsmbnrz7m6p7".parse().expect("digits");
        let claimed = |text: &str| {
            let claim: Claim = (text.parse().expect("an address"), own);
            let (codec, most) = (Some(Compression::None), 1 << 20);
            at_once(examine(
                &nar[..],
                codec,
                most,
                Some(claim),
                |_| (),
                async || Ok(()),
            ))
        };
        let hash = |bytes: &[u8]| format!("sha256:{}", Sha256::digest(bytes).to_nix32());
        for good in [
            format!("fixed:r:{}", hash(&nar)),
            format!("fixed:{}", hash(b"hello")),
            format!("text:{}", hash(b"hello")),
        ] {
            claimed(&good).expect("as it says");
        }
        for bad in [
            format!("fixed:r:{}", hash(b"hello")),
            format!("fixed:{}", hash(&nar)),
        ] {
            let why = claimed(&bad).expect_err("another hash");
            assert!(why.contains("has another hash"), "{why}");
        }
    }

    #[test]
    fn what_is_no_archive_says_so() {
        let nar = archive();
        let broken = |bytes: &[u8], codec, most| {
            let found = examine(bytes, Some(codec), most, None, |_| (), async || Ok(()));
            at_once(found).expect_err("bad")
        };
        assert!(broken(&nar[..40], Compression::None, 999).contains("not a valid NAR at byte 40"));
        assert!(
            broken(&[&nar[..], b"x"].concat(), Compression::None, 999).contains("not a valid NAR")
        );
        assert!(broken(&nar, Compression::Zstd, 999).contains("cannot be unpacked as zstd"));
        assert!(broken(&nar, Compression::None, 100).contains("more than the 100 bytes"));
    }
}
