//! The objects of a synthetic cache: what a bucket would hold, key by key.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};
use snowbank_shared::hash::nix32;
use snowbank_shared::signature::{PublicKey, SecretKey};

use super::defects::{Assignment, Defect};
use super::nar_body;
use super::paths::{Paths, SyntheticPath, derived};
use super::random::Random;
use super::{Codec, CodecChoice, Plan, Signatures, Summary};

/// One object of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchObject {
    /// Its key below the cache's root.
    pub key: String,
    /// Its bytes, as stored.
    pub body: Vec<u8>,
    /// The `Content-Encoding` it should be stored with.
    pub content_encoding: Option<&'static str>,
    /// When it was written, in seconds since 1970.
    pub modified: u64,
}

/// Iterator over the objects of a cache: `nix-cache-info`, for each path its
/// NAR (where it has a body) and narinfo, then what is no path.
#[derive(Debug)]
pub struct Objects {
    paths: Paths,
    /// Objects made but not yet handed out, last first.
    pending: Vec<BenchObject>,
    extras: Vec<Extra>,
    printer: Printer,
    /// The archive of the path before, for a path that shares it.
    previous: Option<Archive>,
    bodies: Assignment,
    plan: Plan,
    summary: Summary,
}

/// What a narinfo says of the archive.
#[derive(Debug, Clone)]
struct Archive {
    codec: Codec,
    nar_hash: [u8; 32],
    nar_size: u64,
    file_hash: [u8; 32],
    file_size: u64,
}

/// An object that is no path of the cache, by the number of its kind.
#[derive(Debug, Clone, Copy)]
enum Extra {
    Crlf(u64),
    OddSpacing(u64),
    Empty(u64),
    Foreign(u64),
}

impl Objects {
    pub(super) fn new(plan: &Plan) -> Result<Self, String> {
        let assignment = Assignment::new(&plan.defects, plan.paths, plan.nars, plan.seed)?;
        let printer = Printer::new(plan);
        let defects = &plan.defects;
        let extras = (0..defects.crlf)
            .map(Extra::Crlf)
            .chain((0..defects.odd_spacing).map(Extra::OddSpacing))
            .chain((0..defects.empty).map(Extra::Empty))
            .chain((0..defects.foreign).map(Extra::Foreign))
            .rev()
            .collect();
        Ok(Self {
            paths: Paths::new(plan.paths, plan.seed, plan.one_closure, assignment.clone()),
            pending: vec![BenchObject {
                key: "nix-cache-info".to_owned(),
                body: b"StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n".to_vec(),
                content_encoding: None,
                modified: super::paths::BEGINNING,
            }],
            extras,
            summary: Summary {
                public_keys: printer.public_keys(),
                ..Summary::default()
            },
            printer,
            previous: None,
            bodies: assignment,
            plan: *plan,
        })
    }

    /// What was handed out so far.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The narinfo of a path, after its NAR where it has one.
    fn of_path(&mut self, mut path: SyntheticPath) {
        let codec = self.printer.codec(self.plan.compression, &path);
        let mut archive = Archive {
            codec,
            nar_hash: path.nar_hash,
            nar_size: path.nar_size,
            file_hash: path.file_hash,
            file_size: if codec == Codec::None {
                path.nar_size
            } else {
                path.file_size
            },
        };
        let mut nar_object = None;
        if self.bodies.has_body(path.index) {
            let size = path.nar_size.min(self.plan.nar_max);
            let nar = nar_body::nar(self.plan.seed ^ path.index, size, &path.references)
                .expect("its entries are in order");
            let compressed = codec.compress(&nar);
            archive = Archive {
                codec,
                nar_hash: Sha256::digest(&nar).into(),
                nar_size: nar.len() as u64,
                file_hash: Sha256::digest(&compressed).into(),
                file_size: compressed.len() as u64,
            };
            nar_object = Some(BenchObject {
                key: codec.nar_key(&archive.file_hash),
                body: compressed,
                content_encoding: None,
                modified: path.built_at,
            });
        }
        match path.defect {
            Some(Defect::MissingNar) => nar_object = None,
            Some(Defect::WrongNarHash) => archive.nar_hash = path.nar_hash,
            Some(Defect::SharedNar) => archive = self.previous.clone().unwrap_or(archive),
            _ => {}
        }
        if codec == Codec::None && nar_object.is_none() {
            // Uncompressed, the file is the archive.
            archive.file_hash = archive.nar_hash;
        }
        path.nar_hash = archive.nar_hash;
        path.nar_size = archive.nar_size;

        let text = self.printer.narinfo(&path, &archive, &mut self.summary);
        self.summary.paths += 1;
        self.summary.nar_bytes += archive.nar_size;
        self.summary.file_bytes += archive.file_size;
        self.summary.references += path.references.len() as u64;
        if let Some(nar) = &nar_object {
            self.summary.nars += 1;
            self.summary.stored_nar_bytes += nar.body.len() as u64;
        }
        let (body, content_encoding) = match path.defect {
            Some(Defect::Encoded) => {
                self.summary.encoded += 1;
                encode(
                    text.as_bytes(),
                    self.summary.encoded - 1,
                    self.plan.keeps_encoding,
                )
            }
            _ => (text.into_bytes(), None),
        };
        self.summary.narinfo_bytes += body.len() as u64;
        self.pending.push(BenchObject {
            key: narinfo_key(&path.base_name),
            body,
            content_encoding,
            modified: path.built_at,
        });
        self.pending.extend(nar_object);
        self.previous = Some(archive);
    }

    fn extra(&mut self, extra: Extra) -> BenchObject {
        let (kind, number) = match extra {
            Extra::Crlf(number) => ("crlf", number),
            Extra::OddSpacing(number) => ("odd-spacing", number),
            Extra::Empty(number) => ("empty", number),
            Extra::Foreign(number) => ("foreign", number),
        };
        let digest = derived(
            format!("{kind}:{number}").as_bytes(),
            &self.plan.seed.to_le_bytes(),
        );
        let base_name = format!("{}-{kind}-{number}", nix32::encode(&digest[..20]));
        let path = SyntheticPath {
            index: u64::MAX,
            base_name: base_name.as_str().into(),
            nar_size: 4096,
            file_size: 1024,
            nar_hash: derived(b"nar", &digest),
            file_hash: derived(b"file", &digest),
            references: Vec::new(),
            deriver: None,
            built_at: super::paths::BEGINNING,
            ca: None,
            defect: None,
        };
        let archive = Archive {
            codec: Codec::Xz,
            nar_hash: path.nar_hash,
            nar_size: path.nar_size,
            file_hash: path.file_hash,
            file_size: path.file_size,
        };
        let mut text = || {
            self.printer
                .narinfo(&path, &archive, &mut Summary::default())
        };
        let narinfo = narinfo_key(&base_name);
        let (key, body) = match extra {
            Extra::Crlf(_) => (narinfo, text().replace('\n', "\r\n").into_bytes()),
            Extra::OddSpacing(_) => (
                narinfo,
                text().replace("NarSize: ", "NarSize:  ").into_bytes(),
            ),
            Extra::Empty(_) => (narinfo, Vec::new()),
            Extra::Foreign(number) => foreign(number, &digest, &base_name),
        };
        match extra {
            Extra::Foreign(_) => self.summary.foreign += 1,
            _ => self.summary.malformed += 1,
        }
        BenchObject {
            key,
            body,
            content_encoding: None,
            modified: path.built_at,
        }
    }
}

impl Iterator for Objects {
    type Item = BenchObject;

    fn next(&mut self) -> Option<BenchObject> {
        if self.pending.is_empty()
            && let Some(path) = self.paths.next()
        {
            self.of_path(path);
        }
        let object = match self.pending.pop() {
            Some(object) => object,
            None => self.extras.pop().map(|extra| self.extra(extra))?,
        };
        self.summary.objects += 1;
        self.summary.stored_bytes += object.body.len() as u64;
        Some(object)
    }
}

/// Prints and signs narinfos.
#[derive(Debug)]
struct Printer {
    signatures: Signatures,
    keys: [SecretKey; 2],
    /// Signs what is signed by a key that nobody knows.
    unknown: SecretKey,
    random: Random,
}

impl Printer {
    fn new(plan: &Plan) -> Self {
        let key = |name: &str| {
            let seed = derived(name.as_bytes(), &plan.seed.to_le_bytes());
            SecretKey::generate(name, seed).expect("a plain name")
        };
        Self {
            signatures: plan.signatures,
            keys: [key("bench-1"), key("bench-2")],
            unknown: key("elsewhere-1"),
            random: Random::new(plan.seed ^ 0x7072_696e_7465_7221),
        }
    }

    fn public_keys(&self) -> Vec<PublicKey> {
        self.keys.iter().map(SecretKey::public_key).collect()
    }

    fn codec(&mut self, choice: CodecChoice, path: &SyntheticPath) -> Codec {
        let draw = self.random.unit();
        match choice {
            CodecChoice::Mixed if path.index == u64::MAX => Codec::Xz,
            CodecChoice::Mixed => match draw {
                _ if draw < 0.60 => Codec::Xz,
                _ if draw < 0.90 => Codec::Zstd,
                _ if draw < 0.95 => Codec::Bzip2,
                _ => Codec::None,
            },
            CodecChoice::Xz => Codec::Xz,
            CodecChoice::Zstd => Codec::Zstd,
            CodecChoice::Bzip2 => Codec::Bzip2,
            CodecChoice::None => Codec::None,
        }
    }

    /// The text of a narinfo, lines in the order in which Nix writes them.
    fn narinfo(
        &mut self,
        path: &SyntheticPath,
        archive: &Archive,
        summary: &mut Summary,
    ) -> String {
        let mut text = String::with_capacity(1024);
        let write = |text: &mut String, line: std::fmt::Arguments<'_>| {
            text.write_fmt(line).expect("a String takes every text");
            text.push('\n');
        };
        write(
            &mut text,
            format_args!("StorePath: /nix/store/{}", path.base_name),
        );
        write(
            &mut text,
            format_args!("URL: {}", archive.codec.nar_key(&archive.file_hash)),
        );
        write(
            &mut text,
            format_args!("Compression: {}", archive.codec.name()),
        );
        write(
            &mut text,
            format_args!("FileHash: sha256:{}", nix32::encode(&archive.file_hash)),
        );
        write(&mut text, format_args!("FileSize: {}", archive.file_size));
        let nar_hash = nix32::encode(&archive.nar_hash);
        write(&mut text, format_args!("NarHash: sha256:{nar_hash}"));
        write(&mut text, format_args!("NarSize: {}", archive.nar_size));
        write(
            &mut text,
            format_args!("References: {}", path.references.join(" ")),
        );
        if let Some(deriver) = &path.deriver {
            write(&mut text, format_args!("Deriver: {deriver}"));
        }

        let prefix = "/nix/store/";
        let references: Vec<String> = path
            .references
            .iter()
            .map(|base_name| format!("{prefix}{base_name}"))
            .collect();
        let fingerprint = format!(
            "1;{prefix}{};sha256:{nar_hash};{};{}",
            path.base_name,
            archive.nar_size,
            references.join(",")
        );
        // Drawn in any case, so that a defect changes nothing else.
        let draw = self.random.unit();
        let signatures = match path.defect {
            Some(Defect::ContentAddressed) => Vec::new(),
            Some(Defect::UnknownKey) => vec![sign(&self.unknown, self.signatures, &fingerprint)],
            Some(Defect::BadSignature) => {
                let mut signature = sign(&self.keys[0], self.signatures, &fingerprint);
                signature.1[17] ^= 4;
                vec![signature]
            }
            _ if draw < 0.02 => Vec::new(),
            _ if draw < 0.07 => self
                .keys
                .iter()
                .map(|key| sign(key, self.signatures, &fingerprint))
                .collect(),
            _ => vec![sign(&self.keys[0], self.signatures, &fingerprint)],
        };
        match (path.defect, signatures.len()) {
            (Some(Defect::ContentAddressed), _) => summary.content_addressed += 1,
            (Some(Defect::UnknownKey), _) => summary.unknown_key += 1,
            (Some(Defect::BadSignature), _) => summary.bad_signature += 1,
            (_, 0) => summary.unsigned += 1,
            _ => summary.signed += 1,
        }
        for (name, bytes) in signatures {
            write(
                &mut text,
                format_args!("Sig: {name}:{}", BASE64.encode(bytes)),
            );
        }
        if let Some(ca) = &path.ca {
            write(&mut text, format_args!("CA: {ca}"));
        }
        text
    }
}

fn sign<'a>(key: &'a SecretKey, how: Signatures, fingerprint: &str) -> (&'a str, [u8; 64]) {
    let bytes = match how {
        Signatures::Real => *key.sign(fingerprint.as_bytes()).bytes(),
        Signatures::Fake => {
            let mut bytes = [0; 64];
            Random::new(u64::from(fingerprint.len() as u32)).fill(&mut bytes);
            bytes[..32].copy_from_slice(&derived(b"signature", fingerprint.as_bytes()));
            bytes
        }
    };
    (key.name(), bytes)
}

fn narinfo_key(base_name: &str) -> String {
    format!("{}.narinfo", &base_name[..32])
}

/// An object that other programs leave in caches, and its key.
fn foreign(number: u64, digest: &[u8; 32], base_name: &str) -> (String, Vec<u8>) {
    let hash = &base_name[..32];
    let hex: String = digest[..20].iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    match number % 5 {
        0 => (
            format!("{hash}.ls"),
            br#"{"version":1,"root":{"type":"regular","size":5,"narOffset":96}}"#.to_vec(),
        ),
        1 => (format!("log/{base_name}.drv"), b"unpacking sources\nbuilding\n".to_vec()),
        2 => (
            format!("realisations/sha256:{hex}{}!out.doi", &hex[..24]),
            format!(r#"{{"dependentRealisations":{{}},"id":"sha256:{hex}{}!out","outPath":"{base_name}","signatures":[]}}"#, &hex[..24]).into_bytes(),
        ),
        3 => (
            format!("debuginfo/{hex}.debug"),
            format!(r#"{{"archive":"../nar/{hash}.nar.xz","member":"lib/debug/.build-id/{}/{}.debug"}}"#, &hex[..2], &hex[2..]).into_bytes(),
        ),
        _ => (format!("backup-{number}.tar"), b"not for Nix\n".to_vec()),
    }
}

/// A body in the next of the encodings that narinfos are stored in.
fn encode(text: &[u8], turn: u64, keeps_encoding: bool) -> (Vec<u8>, Option<&'static str>) {
    // Where the encoding cannot be kept beside the object, a reader has only the
    // first bytes to tell it by, and brotli has no mark.
    match turn % if keeps_encoding { 3 } else { 2 } {
        0 => (Codec::Zstd.compress(text), Some("zstd")),
        1 => {
            let mut encoder = flate2::GzBuilder::new()
                .mtime(0)
                .write(Vec::new(), flate2::Compression::default());
            encoder
                .write_all(text)
                .and_then(|()| encoder.finish())
                .map(|body| (body, Some("gzip")))
                .expect("memory takes every byte")
        }
        _ => {
            let mut body = Vec::new();
            brotli::BrotliCompress(
                &mut &text[..],
                &mut body,
                &brotli::enc::BrotliEncoderParams::default(),
            )
            .expect("memory takes every byte");
            (body, Some("br"))
        }
    }
}

/// References as a narinfo lists them.
trait JoinNames {
    fn join(&self, separator: &str) -> String;
}

impl JoinNames for Vec<Arc<str>> {
    fn join(&self, separator: &str) -> String {
        self.iter()
            .map(AsRef::as_ref)
            .collect::<Vec<&str>>()
            .join(separator)
    }
}
