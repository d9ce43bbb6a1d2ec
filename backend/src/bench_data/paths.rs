//! The store paths of a synthetic cache, in the order in which they were built.
//!
//! A cache grows by generations, as a channel does. In the first, every
//! package is built. Later some leaf packages are bumped, and because a store
//! path's hash depends on its inputs, everything that depends on them gets a
//! new path too; every third generation rebuilds the whole distribution, as a
//! merge of nixpkgs' staging does. So names repeat with other hashes and
//! versions, eight to ten times each: what a console must group.

use std::sync::Arc;

use sha2::Digest;
use snowbank_shared::content_address::{ContentAddress, Method};
use snowbank_shared::hash::{Sha256, nix32};
use snowbank_shared::store_path::{StoreDir, StorePathRef};

use super::defects::{Assignment, Defect};
use super::packages::{Package, gather, packages};
use super::random::Random;

/// Seconds from one generation to the next: a fortnight.
const GENERATION: u64 = 14 * 86_400;

/// When the first generation was built: 2020-01-01, in seconds since 1970.
pub(super) const BEGINNING: u64 = 1_577_836_800;

/// Longest name of a store path.
const LONGEST_NAME: usize = 211;

/// One store path and what its narinfo says.
#[derive(Debug, Clone)]
pub struct SyntheticPath {
    /// Counts the paths from 0.
    pub index: u64,
    /// `HASH-NAME`.
    pub base_name: Arc<str>,
    /// Bytes of the uncompressed archive.
    pub nar_size: u64,
    /// Bytes of the compressed one.
    pub file_size: u64,
    /// SHA-256 of the uncompressed archive. There is no such archive, unless a body is made.
    pub nar_hash: [u8; 32],
    /// SHA-256 of the compressed one.
    pub file_hash: [u8; 32],
    /// `HASH-NAME` of each, increasing, its own included where it refers to itself.
    pub references: Vec<Arc<str>>,
    /// `HASH-NAME.drv`.
    pub deriver: Option<String>,
    /// When it was built, in seconds since 1970.
    pub built_at: u64,
    /// Content address, where it has one.
    pub ca: Option<ContentAddress>,
    /// What is wrong or special about it.
    pub defect: Option<Defect>,
}

/// Iterator over the paths of a cache. References come before referrers.
#[derive(Debug)]
pub struct Paths {
    seed: u64,
    left: u64,
    next_index: u64,
    packages: Vec<Package>,
    /// For each package those that refer to it.
    dependents: Vec<Vec<u32>>,
    /// The path of each package's latest build.
    current: Vec<Option<Arc<str>>>,
    generation: u64,
    /// Packages still to be built in this generation, last first.
    queue: Vec<u32>,
    random: Random,
    assignment: Assignment,
}

impl Paths {
    /// `one_closure`: every package is built once, and the last needs all.
    pub(super) fn new(count: u64, seed: u64, one_closure: bool, assignment: Assignment) -> Self {
        let package_count = if one_closure { count } else { count / 10 };
        let least = if one_closure { 1 } else { 50 };
        let package_count = usize::try_from(package_count)
            .unwrap_or(usize::MAX)
            .clamp(least, if one_closure { usize::MAX } else { 1_000_000 });
        let mut packages = packages(package_count, &mut Random::new(seed));
        if one_closure {
            gather(&mut packages, &mut Random::new(seed ^ 0x6761_7468_6572));
        }
        let mut dependents = vec![Vec::new(); packages.len()];
        for (index, package) in packages.iter().enumerate() {
            for &reference in &package.references {
                dependents[reference as usize].push(index as u32);
            }
        }
        Self {
            seed,
            left: count,
            next_index: 0,
            current: vec![None; packages.len()],
            queue: (0..packages.len() as u32).rev().collect(),
            packages,
            dependents,
            generation: 0,
            random: Random::new(seed ^ 0x7061_7468_7320_6f66),
            assignment,
        }
    }

    /// Which packages the next generation builds: bumps some and follows their dependents.
    fn next_generation(&mut self) {
        self.generation += 1;
        let count = self.packages.len();
        let mut dirty = vec![self.generation.is_multiple_of(3); count];
        if !dirty[0] {
            let mut bumped: Vec<usize> = (0..count)
                .filter(|&index| self.random.chance(0.06) && self.dependents[index].len() < 50)
                .collect();
            if bumped.is_empty() {
                bumped.push(count - 1);
            }
            for &index in &bumped {
                self.packages[index].version[2] += 1;
                dirty[index] = true;
            }
            let mut front = bumped;
            while let Some(index) = front.pop() {
                for &dependent in &self.dependents[index] {
                    if !std::mem::replace(&mut dirty[dependent as usize], true) {
                        front.push(dependent as usize);
                    }
                }
            }
        }
        self.queue = (0..count as u32)
            .rev()
            .filter(|&index| dirty[index as usize])
            .collect();
    }

    fn build(&mut self, package_index: u32) -> SyntheticPath {
        let index = self.next_index;
        let defect = self.assignment.of(index);
        let random = &mut self.random;
        let package = &self.packages[package_index as usize];
        let digest =
            Sha256::digest(format!("{}:{package_index}:{}", self.seed, self.generation).as_bytes())
                .0;
        let [major, minor, patch] = package.version;
        let mut name = format!("{}-{major}.{minor}.{patch}{}", package.name, package.suffix);
        if defect == Some(Defect::LongName) {
            name.extend(std::iter::repeat_n('x', LONGEST_NAME - name.len()));
        }

        let mut references: Vec<Arc<str>> = package
            .references
            .iter()
            .filter_map(|&of| self.current[of as usize].clone())
            .collect();
        if defect == Some(Defect::Dangling) {
            references.push(
                format!(
                    "{}-gone-1.0",
                    nix32::encode(&derived(b"dangling", &digest)[..20])
                )
                .into(),
            );
        }
        references.sort_unstable();
        let nar_hash = derived(b"nar", &digest);
        // Drawn in any case, so that a defect changes nothing else.
        let refers_to_itself = random.chance(0.45) && !package.references.is_empty();
        let mut ca = None;
        if defect == Some(Defect::ContentAddressed) {
            ca = Some(ContentAddress {
                method: Method::Recursive,
                hash: Sha256(nar_hash).into(),
            });
        }
        let base_name: Arc<str> = match &ca {
            Some(address) => {
                let references = references
                    .iter()
                    .filter_map(|reference| StorePathRef::parse(reference).ok());
                address
                    .store_path(&StoreDir::default(), &name, references, false)
                    .expect("a recursive address allows references")
                    .to_string()
                    .into()
            }
            None => format!("{}-{name}", nix32::encode(&digest[..20])).into(),
        };
        if refers_to_itself && ca.is_none() {
            let at = references.partition_point(|reference| *reference < base_name);
            references.insert(at, Arc::clone(&base_name));
        }

        let jitter = 0.97 + 0.06 * random.unit();
        let nar_size = ((package.size as f64 * jitter) as u64)
            .max(96)
            .next_multiple_of(8);
        let ratio = random.normal(0.285, 0.09).clamp(0.06, 1.0);
        let deriver = random.chance(0.97).then(|| {
            format!(
                "{}-{}.drv",
                nix32::encode(&derived(b"drv", &digest)[..20]),
                &name[..name.len().min(LONGEST_NAME - 4)]
            )
        });
        let built_at =
            BEGINNING + self.generation * GENERATION + random.below(GENERATION as usize) as u64;
        self.current[package_index as usize] = Some(Arc::clone(&base_name));
        self.next_index += 1;
        SyntheticPath {
            index,
            base_name,
            nar_size,
            file_size: (nar_size as f64 * ratio) as u64 + 120,
            nar_hash,
            file_hash: derived(b"file", &digest),
            references,
            deriver,
            built_at,
            ca,
            defect,
        }
    }
}

impl Iterator for Paths {
    type Item = SyntheticPath;

    fn next(&mut self) -> Option<SyntheticPath> {
        self.left = self.left.checked_sub(1)?;
        loop {
            match self.queue.pop() {
                Some(package) => return Some(self.build(package)),
                None => self.next_generation(),
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

/// Another digest that belongs to the same path.
pub(super) fn derived(what: &[u8], digest: &[u8]) -> [u8; 32] {
    sha2::Sha256::new()
        .chain_update(what)
        .chain_update(digest)
        .finalize()
        .into()
}
