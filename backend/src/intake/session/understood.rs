//! Reading a plan: what of it can be a path, and how much it may be.

use std::collections::HashSet;

use snowbank_shared::api::uploads::{MOST_PATHS, PlannedPath, UploadPlan};
use snowbank_shared::hash::{Hash, Sha256};
use snowbank_shared::store_path::{StorePath, StorePathHash};

use super::super::receive::promised;
use super::SessionError;
use crate::site::Cache;

/// References of all paths of a plan together.
const MOST_REFERENCES: usize = 400_000;
/// Keys that one path names.
const MOST_KEYS: usize = 16;

/// A path of a plan, understood.
pub(super) struct Understood {
    pub(super) path: StorePath,
    pub(super) nar_hash: Sha256,
    pub(super) nar_size: u64,
    pub(super) nar_key: String,
    pub(super) file_size: u64,
    pub(super) references: Vec<StorePathHash>,
    pub(super) signed_by: Vec<String>,
}

impl Understood {
    fn of(cache: &Cache, planned: &PlannedPath) -> Result<Self, String> {
        let path = cache
            .store_dir
            .parse(&planned.path)
            .map_err(|error| error.to_string())?;
        let nar_hash = Hash::parse(&planned.nar_hash)
            .map_err(|error| error.to_string())?
            .0
            .as_sha256()
            .ok_or("its NarHash is no SHA-256")?;
        promised(&planned.nar_key).map_err(|refusal| refusal.text)?;
        if planned.file_size == 0 || planned.nar_size == 0 {
            return Err("an archive has at least some bytes".to_owned());
        }
        if planned.signed_by.len() > MOST_KEYS
            || planned.signed_by.iter().any(|name| name.len() > 64)
        {
            return Err(format!("it names more than {MOST_KEYS} keys, or no keys"));
        }
        let references = planned
            .references
            .iter()
            .map(|name| {
                name.parse::<StorePath>()
                    .map(|path| path.hash())
                    .map_err(|error| format!("{name}: {error}"))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            path,
            nar_hash,
            nar_size: planned.nar_size,
            nar_key: planned.nar_key.clone(),
            file_size: planned.file_size,
            references,
            signed_by: planned.signed_by.clone(),
        })
    }

    /// The others that it refers to.
    pub(super) fn others(&self) -> impl Iterator<Item = StorePathHash> + '_ {
        let own = self.path.hash();
        self.references
            .iter()
            .copied()
            .filter(move |hash| *hash != own)
    }
}

/// The paths of a plan.
///
/// # Errors
/// Where it cannot be.
pub(super) fn understand(
    cache: &Cache,
    plan: &UploadPlan,
) -> Result<Vec<Understood>, SessionError> {
    let count = plan.paths.len();
    if !(1..=MOST_PATHS).contains(&count) {
        return Err(SessionError::Bad(format!(
            "A plan has 1 to {MOST_PATHS} paths, and this one has {count}."
        )));
    }
    let references: usize = plan.paths.iter().map(|path| path.references.len()).sum();
    if references > MOST_REFERENCES {
        return Err(SessionError::Bad(format!(
            "The paths of a plan have {MOST_REFERENCES} references at most, and these have {references}."
        )));
    }
    let mut seen = HashSet::new();
    let mut all = Vec::with_capacity(count);
    for planned in &plan.paths {
        let named: String = planned.path.chars().take(300).collect();
        let understood = Understood::of(cache, planned)
            .map_err(|error| SessionError::Bad(format!("`{named}` cannot be planned: {error}.")))?;
        if !seen.insert(understood.path.hash()) {
            return Err(SessionError::Bad(format!(
                "`{named}` is in the plan twice."
            )));
        }
        all.push(understood);
    }
    Ok(all)
}
