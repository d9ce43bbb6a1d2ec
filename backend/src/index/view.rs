//! What readers see: one version of the index, unchanging.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use snowbank_shared::api::{
    ContentStatus, Oddity, PathDetail, PathRow, SignatureCount, SignatureStatus,
};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::KeyRing;
use snowbank_shared::store_path::{HASH_LEN, StoreDir, StorePathHash};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::change::ChangeToken;
use super::chunk::{UNKNOWN, content_code};
use super::findings::FindingIndex;
use super::graph::Graph;
use super::growth::{AddedOnDay, GrowthByDay};
use super::kept_findings::KeptFindings;
use super::key::{base_text, push_base};
use super::offset::Ordered;
use super::op::{BucketTotals, Notes};
use super::order::Permutations;
use super::packages::PackageIndex;
use super::traverse::SeenPool;

/// Missing references of a closure that a path's page names.
const MAX_MISSING: usize = 1_000;

/// A path of a [`View`]. It means nothing in another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub(crate) u32);

/// One version of the index. Get one, answer one request from it, drop it.
#[derive(Debug)]
pub struct View {
    pub(crate) graph: Graph,
    pub(crate) notes: Notes,
    key_ring: Arc<KeyRing>,
    pub(super) store_dir: StoreDir,
    revision: String,
    pub(crate) pool: Arc<SeenPool>,
    totals: OnceLock<Totals>,
    pub(crate) findings: OnceLock<FindingIndex>,
    pub(crate) permutations: Arc<Permutations>,
    pub(super) kept: Arc<KeptFindings>,
    pub(super) ordered: Ordered,
    pub(crate) packages: OnceLock<PackageIndex>,
}

/// Sums over a whole cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totals {
    /// Store paths.
    pub paths: u64,
    /// Sum of NarSize, bytes.
    pub nar_bytes: u64,
    /// Bytes of the NAR files, each file once, as listed or as FileSize says; `None` until the
    /// whole bucket was listed.
    pub stored_bytes: Option<u64>,
    /// What the last listing of the whole bucket counted.
    pub bucket: Option<BucketTotals>,
    /// Paths by signature word, best word first, words without paths left out.
    pub signatures: Vec<SignatureCount>,
    /// Paths by content word, words without paths left out.
    pub contents: Vec<(ContentStatus, u64)>,
    /// Paths with a valid signature, by key name.
    pub keys: BTreeMap<String, u64>,
    /// What is here by the day it was first seen, oldest first, days without any left out.
    pub added: Vec<AddedOnDay>,
    /// When the newest path was first seen, seconds since 1970.
    pub last_added_at: Option<i64>,
}

impl View {
    pub(crate) fn new(
        graph: Graph,
        notes: Notes,
        key_ring: Arc<KeyRing>,
        store_dir: StoreDir,
        revision: String,
        pool: Arc<SeenPool>,
        permutations: Arc<Permutations>,
    ) -> Self {
        Self {
            graph,
            notes,
            key_ring,
            store_dir,
            revision,
            pool,
            totals: OnceLock::new(),
            findings: OnceLock::new(),
            permutations,
            kept: Arc::default(),
            ordered: Ordered::default(),
            packages: OnceLock::new(),
        }
    }

    /// With what earlier versions of the same index found.
    pub(crate) fn keeping(mut self, kept: &Arc<KeptFindings>) -> Self {
        self.kept = Arc::clone(kept);
        self
    }

    /// Opaque name of this version. It differs from that of any other.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Store paths.
    pub fn len(&self) -> u64 {
        self.graph.live
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the last complete sweep began, seconds since 1970; `None` before the first:
    /// then paths may be missing here that the bucket has.
    pub fn swept_at(&self) -> Option<i64> {
        self.notes.swept
    }

    /// The keys by which signatures were judged.
    pub fn key_ring(&self) -> &Arc<KeyRing> {
        &self.key_ring
    }

    /// Bytes of memory that the paths take, without what is computed when first asked for.
    pub fn memory_bytes(&self) -> u64 {
        let graph = &self.graph;
        let columns: usize = graph.base.chunks.iter().map(|chunk| chunk.bytes()).sum();
        let edges: usize = graph.base.edges.iter().map(|edges| edges.bytes()).sum();
        let rows = graph.rows() as usize;
        let changing = rows * (size_of::<super::chunk::Mark>() + 8 + 12);
        (columns + edges + graph.base.links.bytes() + changing) as u64
    }

    /// The path with this hash part.
    pub fn find(&self, hash: &StorePathHash) -> Option<Id> {
        self.graph.find(hash).map(Id)
    }

    /// The hash part of a path.
    pub fn hash(&self, id: Id) -> StorePathHash {
        self.graph.key(id.0)
    }

    /// Hash parts of all paths, in no particular order.
    pub fn hashes(&self) -> impl Iterator<Item = StorePathHash> + '_ {
        self.ids().map(|id| self.graph.key(id.0))
    }

    /// All paths, in no order that means anything.
    pub fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        self.graph.all_live().map(Id)
    }

    /// The hash of a path.
    pub fn hash_of(&self, id: Id) -> StorePathHash {
        self.graph.key(id.0)
    }

    /// The narinfo of a path as it lies in the bucket, byte for byte.
    pub fn narinfo_bytes(&self, id: Id) -> Bytes {
        let mut out = Vec::with_capacity(1024);
        self.graph.push_narinfo(id.0, &mut out);
        out.into()
    }

    /// The narinfo that a client is served: `None` where there is none, or where it
    /// would crash the client (PROTOCOL.md, Distilled 6). A few microseconds.
    pub fn served(&self, hash: &StorePathHash) -> Option<Bytes> {
        let row = self.graph.find(hash)?;
        (!self.graph.mark(row).withheld()).then(|| self.narinfo_bytes(Id(row)))
    }

    /// Why no client is served a path that is here.
    pub fn withheld(&self, id: Id) -> Option<String> {
        if let Some(reason) = self.graph.crash_reason(id.0) {
            return Some(reason.reason.to_string());
        }
        let cycle = self.graph.mark(id.0).flags & super::chunk::Mark::CYCLE != 0;
        cycle.then(|| {
            "it is part of a cycle of references: Nix aborts when it substitutes it".to_owned()
        })
    }

    /// What a path's signatures are worth.
    pub fn signature(&self, id: Id) -> SignatureStatus {
        self.graph.judged(id.0).status
    }

    /// Whether a path's bytes were checked.
    pub fn content(&self, id: Id) -> snowbank_shared::api::ContentStatus {
        self.graph.mark(id.0).content
    }

    /// Whether a narinfo that clients are served names this NAR: the key of an object,
    /// relative to the cache.
    pub fn names_nar(&self, key: &str) -> bool {
        self.ids_by_nar(key)
            .into_iter()
            .any(|id| !self.graph.mark(id.0).withheld())
    }

    /// The paths whose narinfos name the NAR of this key.
    pub fn ids_by_nar(&self, key: &str) -> Vec<Id> {
        let rows = self.graph.rows_of_nar(key.as_bytes());
        rows.into_iter().map(Id).collect()
    }

    /// The URL of a path's NAR, as its narinfo says.
    pub fn url(&self, id: Id) -> String {
        let mut url = Vec::new();
        self.graph.push_url(id.0, &mut url);
        String::from_utf8_lossy(&url).into_owned()
    }

    /// The path's NarSize in bytes.
    pub fn nar_size(&self, id: Id) -> u64 {
        self.graph.nar_size(id.0)
    }

    /// Whether an object of the root is known in this very state, by its key relative to the
    /// cache. Objects that could not be read are known too.
    pub fn is_current(&self, key: &str, token: &ChangeToken) -> bool {
        self.token(key) == Some(token.fingerprint())
    }

    /// The fingerprint of the change token under which an object of the root is known.
    pub fn token(&self, key: &str) -> Option<u64> {
        if let Some(hash) = StorePathHash::from_narinfo_key(key)
            && let Some(row) = self.graph.find(&hash)
        {
            return Some(self.graph.token(row));
        }
        self.notes.unreadable.get(key).map(|known| known.token)
    }

    /// The fingerprint of a path's change token.
    pub fn token_of(&self, id: Id) -> u64 {
        self.graph.token(id.0)
    }

    /// Keys of the objects that could not be read.
    pub fn unreadable(&self) -> impl Iterator<Item = &str> {
        self.notes.unreadable.keys().map(String::as_str)
    }

    /// A path as lists show it.
    pub fn row(&self, id: Id) -> PathRow {
        let row = id.0;
        let graph = &self.graph;
        let key = graph.key(row);
        let name = graph.name(row);
        let sum = graph.sum(row);
        let judged = graph.judged(row);
        let layout = graph.layout(row);
        PathRow {
            path: self.full_path(row),
            hash: key.to_string(),
            name: name.to_owned(),
            nar_size: graph.nar_size(row),
            file_size: known(graph.file_size(row)),
            closure_size: sum.map(|sum| sum.size),
            closure_paths: sum.map(|sum| u64::from(sum.paths)),
            reference_count: graph.reference_count(row),
            referrer_count: graph.referrer_count(row),
            signature: judged.status,
            signature_problem: judged.problem,
            content: graph.mark(row).content,
            signers: layout.signers.iter().map(ToString::to_string).collect(),
            added_at: rfc3339(i64::from(graph.added_at(row))),
            compression: layout.compression.to_string(),
            quarantined: false,
        }
    }

    /// A path, whole. Walks its closure: run it off the reactor.
    pub fn detail(&self, id: Id) -> PathDetail {
        let graph = &self.graph;
        let bytes = self.narinfo_bytes(id);
        let parsed = NarInfo::parse(&bytes, &self.store_dir).ok();
        let judgement = parsed.as_ref().map(|narinfo| self.key_ring.judge(narinfo));
        let walk = self.pool.with(|seen| graph.walk(id.0, seen));
        let closure_file_size = walk.rows.iter().try_fold(0u64, |sum, &row| {
            known(graph.file_size(row)).map(|size| sum.saturating_add(size))
        });
        let added = self.goes_with(id);
        let narinfo = parsed.as_ref();
        let deriver = narinfo.and_then(NarInfo::deriver);
        let odd = narinfo.map(NarInfo::oddities).unwrap_or_default();
        let more = judgement
            .as_ref()
            .map(|judgement| &judgement.oddities[..])
            .unwrap_or_default();
        PathDetail {
            row: self.row(id),
            nar_hash: narinfo
                .map(|narinfo| narinfo.nar_hash().to_string())
                .unwrap_or_default(),
            file_hash: narinfo
                .and_then(NarInfo::file_hash)
                .map(|hash| hash.to_string()),
            url: self.url(id),
            deriver: deriver.map(|path| path.to_string()),
            deriver_present: deriver.is_some_and(|path| {
                let row = graph.find(&path.hash());
                row.is_some_and(|row| graph.name(row) == path.name())
            }),
            system: narinfo.and_then(NarInfo::system).map(ToOwned::to_owned),
            ca: narinfo.and_then(NarInfo::ca).map(|ca| ca.to_string()),
            references: self.references(id),
            signatures: judgement
                .as_ref()
                .map(|judgement| judgement.signatures.clone())
                .unwrap_or_default(),
            fingerprint: narinfo.map(NarInfo::fingerprint).unwrap_or_default(),
            oddities: odd
                .iter()
                .chain(more)
                .map(|oddity| Oddity {
                    line: oddity.line,
                    message: oddity.to_string(),
                })
                .collect(),
            withheld: self.withheld(id),
            narinfo: String::from_utf8_lossy(&bytes).into_owned(),
            closure_file_size,
            added_size: added.nar_size,
            added_paths: added.paths,
            closure_missing: walk
                .missing
                .iter()
                .take(MAX_MISSING)
                .map(|&(code, _)| {
                    let (key, name) = graph.base_name(code);
                    base_text(key, name)
                })
                .collect(),
            pins: Vec::new(),
            held: None,
            // Others know these: see the API.
            reproduced_by: Vec::new(),
            conflicts: 0,
            disputed_by: self.disputed_by(id),
            proven_at: None,
            revision: self.revision.clone(),
        }
    }

    /// Full store paths that a path refers to, in the order of the narinfo.
    pub fn references(&self, id: Id) -> Vec<String> {
        self.graph
            .targets(id.0)
            .iter()
            .map(|&code| {
                let (key, name) = self.graph.base_name(code);
                let dir = self.store_dir.as_str();
                let mut text = String::with_capacity(dir.len() + HASH_LEN + 2 + name.len());
                text.push_str(dir);
                text.push('/');
                push_base(&mut text, key, name);
                text
            })
            .collect()
    }

    /// Sums over the whole cache. The first call of a version looks at every path:
    /// run it off the reactor.
    pub fn totals(&self) -> &Totals {
        self.totals.get_or_init(|| self.count())
    }

    fn count(&self) -> Totals {
        let graph = &self.graph;
        let mut judged = vec![0u64; graph.judged.values().len()];
        let mut contents = [0u64; ContentStatus::ALL.len()];
        let mut keys: HashMap<&str, u64> = HashMap::new();
        let mut nar_bytes = 0u64;
        let mut growth = GrowthByDay::default();
        for row in graph.all_live() {
            growth.add(graph.added_at(row), graph.nar_size(row));
            nar_bytes = nar_bytes.saturating_add(graph.nar_size(row));
            let mark = graph.mark(row);
            judged[usize::from(mark.judged)] += 1;
            contents[usize::from(content_code(mark.content))] += 1;
            let verdicts = &graph.judged(row).verdicts;
            if verdicts.contains(&SignatureStatus::Valid) {
                let signers = &graph.layout(row).signers;
                let valid = signers
                    .iter()
                    .zip(verdicts)
                    .filter(|&(_, &verdict)| verdict == SignatureStatus::Valid);
                let mut seen: Vec<&str> = Vec::new();
                for (signer, _) in valid {
                    if !seen.contains(&&**signer) {
                        seen.push(signer);
                        *keys.entry(signer).or_default() += 1;
                    }
                }
            }
        }
        let signatures = SignatureStatus::ALL
            .into_iter()
            .map(|signature| SignatureCount {
                signature,
                paths: judged
                    .iter()
                    .zip(graph.judged.values())
                    .filter(|(_, known)| known.status == signature)
                    .map(|(&count, _)| count)
                    .sum(),
            })
            .filter(|count| count.paths > 0)
            .collect();
        Totals {
            paths: self.len(),
            nar_bytes,
            stored_bytes: self.notes.bucket.map(|_| self.stored_bytes()),
            bucket: self.notes.bucket,
            signatures,
            contents: ContentStatus::ALL
                .into_iter()
                .map(|word| (word, contents[usize::from(content_code(word))]))
                .filter(|(_, paths)| *paths > 0)
                .collect(),
            keys: keys
                .into_iter()
                .map(|(key, count)| (key.to_owned(), count))
                .collect(),
            last_added_at: growth.last(),
            added: growth.days(),
        }
    }

    /// Bytes of the files that narinfos name, each once.
    fn stored_bytes(&self) -> u64 {
        let graph = &self.graph;
        let mut sum = 0u64;
        self.each_nar(|rows| {
            let present = |row: &u32| {
                graph.mark(*row).content != snowbank_shared::api::ContentStatus::NarMissing
            };
            let size = rows
                .iter()
                .copied()
                .filter(present)
                .map(|row| graph.file_size(row));
            sum = sum.saturating_add(size.filter(|&size| size != UNKNOWN).max().unwrap_or(0));
        });
        sum
    }

    /// Calls `visit` with the live rows of each NAR, in no order that means anything.
    pub(crate) fn each_nar(&self, mut visit: impl FnMut(&[u32])) {
        let graph = &self.graph;
        // Most have a NAR of their own: they are visited row by row, as memory has them.
        let mut apart = vec![false; graph.rows() as usize];
        self.each_maybe_shared(graph.base.links.shared_nars(), |rows| {
            for &row in rows.iter() {
                apart[row as usize] = true;
            }
            self.split_by_nar(rows, &mut visit);
        });
        for row in graph.all_live().filter(|&row| !apart[row as usize]) {
            visit(&[row]);
        }
    }

    /// Calls `visit` with the rows, live or not, whose NAR keys have one hash: for those of the base
    /// that are `shared`, and for all that came since.
    pub(super) fn each_maybe_shared(
        &self,
        shared: impl Iterator<Item = u32>,
        mut visit: impl FnMut(&mut Vec<u32>),
    ) {
        let fresh = &self.graph.overlay.nar_keys;
        let hashes: BTreeSet<u32> = shared.chain(fresh.keys().copied()).collect();
        let mut rows = Vec::new();
        for hash in hashes {
            rows.clear();
            rows.extend_from_slice(self.graph.base.links.nar_candidates(hash));
            rows.extend(fresh.get(&hash).into_iter().flatten());
            visit(&mut rows);
        }
    }

    /// Rows whose NAR keys have one hash may still have different keys.
    pub(super) fn split_by_nar(&self, rows: &mut Vec<u32>, visit: &mut impl FnMut(&[u32])) {
        rows.retain(|&row| self.graph.mark(row).live());
        match &rows[..] {
            [] => {}
            [_] => visit(rows),
            _ => {
                let mut groups: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
                for &row in rows.iter() {
                    let mut key = Vec::new();
                    self.graph.push_nar_key(row, &mut key);
                    groups.entry(key).or_default().push(row);
                }
                for group in groups.values() {
                    visit(group);
                }
            }
        }
    }

    /// The full store path of a code.
    pub(crate) fn full_path(&self, code: u32) -> String {
        let (key, name) = self.graph.base_name(code);
        let dir = self.store_dir.as_str();
        let mut text = String::with_capacity(dir.len() + HASH_LEN + 2 + name.len());
        text.push_str(dir);
        text.push('/');
        push_base(&mut text, key, name);
        text
    }
}

/// A size that may be unknown.
pub(crate) fn known(size: u64) -> Option<u64> {
    (size != UNKNOWN).then_some(size)
}

/// Seconds since 1970 as RFC 3339 in UTC.
pub(crate) fn rfc3339(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}
