//! `snowbank bench-data`: a binary cache of any size out of nothing.
//!
//! It looks like a real one where it matters to whoever reads it: names in
//! many versions, sizes over five orders of magnitude, a graph in which a few
//! paths are wanted by most and closures reach into the hundreds, signatures
//! that verify. The fits and their sources are in PERFORMANCE.md §4. And it is
//! the same for the same seed, on every machine, so that figures can be compared.
//!
//! One pass, no network, memory for a tenth of the paths. Most paths have a
//! narinfo and nothing behind it; `--nars` gives some of them an archive.
//!
//! [`month`] makes up what was before `snowbank demo --month` began.
//!
//! ```text
//! packages ──▶ Paths ──▶ Objects ──▶ a folder, a bucket, or the caller
//!    who depends   one version   narinfo, NAR,
//!    on whom       at a time     defects
//! ```

use std::path::PathBuf;

use snowbank_shared::signature::PublicKey;

mod codec;
mod defects;
pub mod month;
mod nar_body;
mod objects;
mod packages;
mod paths;
mod random;
mod write;

pub use codec::{Codec, CodecChoice};
pub use defects::{Defect, DefectCounts};
pub use objects::{BenchObject, Objects};
pub use paths::{Paths, SyntheticPath};
pub use write::{run, to_bucket, to_folder};

/// Whether signatures are real ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signatures {
    /// Ed25519 over the fingerprint: about 25 µs of CPU each.
    Real,
    /// 64 bytes that look like one and verify under no key.
    Fake,
}

/// Which cache to make. The same plan makes the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Store paths, at least 1. Malformed narinfos and foreign objects come on top.
    pub paths: u64,
    /// Everything random follows from it.
    pub seed: u64,
    /// Whether signatures are real.
    pub signatures: Signatures,
    /// How archives are compressed.
    pub compression: CodecChoice,
    /// How many paths have an archive behind them, evenly spread.
    pub nars: u64,
    /// Largest of these archives, uncompressed, in bytes.
    pub nar_max: u64,
    /// Whether all paths are one closure: the last one needs all others, many of them in
    /// several ways.
    pub one_closure: bool,
    /// What is wrong or special, how often.
    pub defects: DefectCounts,
    /// Whether the place it goes to keeps a `Content-Encoding` with an object.
    pub keeps_encoding: bool,
}

impl Plan {
    /// Narinfos of `paths` paths, really signed, archives named as xz and absent, nothing wrong.
    #[must_use]
    pub fn new(paths: u64, seed: u64) -> Self {
        Self {
            paths,
            seed,
            signatures: Signatures::Real,
            compression: CodecChoice::Xz,
            nars: 0,
            nar_max: 1 << 20,
            one_closure: false,
            defects: DefectCounts::default(),
            keeps_encoding: true,
        }
    }

    /// The objects of the cache, one after the other.
    ///
    /// # Errors
    /// A plan that cannot be: more defects than paths or archives to have them.
    pub fn objects(&self) -> Result<Objects, String> {
        if self.paths == 0 {
            return Err("a cache needs at least one path".to_owned());
        }
        if self.nars > self.paths {
            return Err(format!("{} archives for {} paths", self.nars, self.paths));
        }
        Objects::new(self)
    }
}

/// What was made: what a test may expect to find again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The keys whose signatures verify; `elsewhere-1` is not among them.
    pub public_keys: Vec<PublicKey>,
    /// All objects, `nix-cache-info` included.
    pub objects: u64,
    /// Bytes of all objects as stored.
    pub stored_bytes: u64,
    /// Paths with a well-formed narinfo.
    pub paths: u64,
    /// References of all paths together.
    pub references: u64,
    /// Bytes of the narinfos of paths, as stored.
    pub narinfo_bytes: u64,
    /// NarSize of all paths together.
    pub nar_bytes: u64,
    /// FileSize of all paths together.
    pub file_bytes: u64,
    /// Archives stored.
    pub nars: u64,
    /// Their bytes as stored.
    pub stored_nar_bytes: u64,
    /// Paths with at least one signature of [`public_keys`](Self::public_keys).
    pub signed: u64,
    /// Paths without a signature that need one.
    pub unsigned: u64,
    /// Paths whose only signature is broken.
    pub bad_signature: u64,
    /// Paths whose only signature is by a key not named here.
    pub unknown_key: u64,
    /// Paths that are content-addressed and not signed.
    pub content_addressed: u64,
    /// Narinfos stored with a `Content-Encoding`.
    pub encoded: u64,
    /// Narinfos that do not parse; not among `paths`.
    pub malformed: u64,
    /// Objects that are no narinfos, archives or `nix-cache-info`.
    pub foreign: u64,
}

/// Makes a synthetic binary cache, the same for the same numbers.
///
/// Into a new folder or an empty bucket. Credentials for a bucket come from
/// the environment, as for any AWS program.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Store paths to make.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000), value_name = "COUNT")]
    pub paths: u64,
    /// Another seed, another cache.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write a binary cache folder here; it must not exist or be empty.
    #[arg(
        long,
        value_name = "FOLDER",
        required_unless_present = "bucket",
        conflicts_with = "bucket"
    )]
    pub out: Option<PathBuf>,
    /// Write into this bucket, which must be empty.
    #[arg(long)]
    pub bucket: Option<String>,
    /// Below this prefix of the bucket.
    #[arg(long, requires = "bucket", default_value = "")]
    pub prefix: String,
    /// The bucket's endpoint, if it is not AWS.
    #[arg(long, requires = "bucket", value_name = "URL")]
    pub endpoint: Option<String>,
    /// The bucket's region; default that of the environment.
    #[arg(long, requires = "bucket")]
    pub region: Option<String>,
    /// Sign with 64 bytes that only look like a signature: several times faster.
    #[arg(long)]
    pub fake_signatures: bool,
    /// How archives are compressed; narinfos without an archive say so too.
    #[arg(long, value_enum, default_value_t = CodecChoice::Xz)]
    pub compression: CodecChoice,
    /// Give so many paths a real archive.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub nars: u64,
    /// Largest of these archives before compression, in bytes.
    #[arg(long, default_value_t = 1 << 20, value_name = "BYTES")]
    pub nar_max: u64,
    /// Make all paths one closure: the last one needs all others, many of them in several ways.
    #[arg(long)]
    pub one_closure: bool,
    /// What is wrong or special, how often.
    #[command(flatten, next_help_heading = "Defects, so many exactly")]
    pub defects: DefectCounts,
}

#[cfg(test)]
mod tests;
