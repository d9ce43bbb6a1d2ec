//! S3 Inventory: a list of everything in the bucket, written by S3 itself once a day or week.
//!
//! It is up to days old. So nothing is taken out of an index for it and nothing is called missing: it
//! tells sizes by class with its date, and nothing else. They are shown where the bucket was not listed
//! whole yet, and of old versions where the bucket does not say how many there are. It does not know
//! parts of unfinished uploads.
//!
//! ```text
//! PREFIX/2026-11-30T01-00Z/manifest.json       which files, with their MD5, and their columns
//! PREFIX/2026-11-30T01-00Z/manifest.checksum   MD5 of the manifest, written last
//! …/data/UUID.csv.gz                           a row for each object, its key percent-encoded
//! ```
//!
//! The newest one that has its checksum is read, each once ([`Inventory::read`]); every file is held
//! against its MD5, and where one differs nothing of it counts. Only CSV is read: ORC and Parquet are
//! refused with a word on what to change. It is read as a stream, in the memory of its counters.

mod manifest;
mod read;
mod rows;

use serde::{Deserialize, Serialize};
use snowbank_shared::api::storage::{BucketFact, ClassSize, FactState, ObjectClass, Storage};

pub use read::{Inventory, InventoryError};

use super::SizesRecord;
use crate::auth::records::spelled;
use crate::ledger::kind::{INVENTORY, Kind, Record};
use crate::ledger::{Ledger, RecordId, Scope};

/// What the newest inventory of a cache says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryRecord {
    /// When S3 began to write it, seconds since 1970.
    pub at: i64,
    /// Its manifest's key.
    pub manifest: String,
    /// By class; old versions only where it lists them.
    pub classes: Vec<ClassSize>,
    /// Rows.
    pub rows: u64,
    /// Those of them that could not be read, or are not below the cache's prefix.
    pub others: u64,
    /// Those of them that could not be read.
    pub broken: u64,
}

impl Record for InventoryRecord {
    const KIND: Kind = INVENTORY;
}

impl InventoryRecord {
    /// The newest that was read.
    pub fn of(ledger: &Ledger, slug: &str) -> Option<Self> {
        let view = ledger.view();
        let entry = view.get::<Self>(Scope::Cache(slug), &RecordId::only())?;
        Some((*entry.record).clone())
    }

    fn day(&self) -> String {
        spelled(self.at).chars().take(10).collect()
    }

    /// Fills in what a cache's storage lacks, and says where that is from. `trouble`: why a newer one
    /// could not be read.
    pub fn fill(known: Option<&Self>, trouble: Option<&str>, storage: &mut Storage) {
        if let Some(inventory) = known {
            inventory.fill_in(storage);
        }
        if known.is_some() || trouble.is_some() {
            storage.facts.push(fact(known, trouble));
        }
    }

    fn fill_in(&self, storage: &mut Storage) {
        let from = || Some(format!("From the S3 Inventory of {}.", self.day()));
        let old = |class: &ClassSize| class.class == ObjectClass::OldVersions;
        if storage.as_of.is_none() {
            storage.as_of = Some(spelled(self.at));
            storage.classes.clone_from(&self.classes);
            for class in &mut storage.classes {
                class.unknown = class.unknown.take().or_else(from);
            }
            let whole = SizesRecord {
                at: self.at,
                classes: self.classes.clone(),
                unpacked: 0,
                facts: Vec::new(),
            };
            storage.stored = whole.stored();
            return;
        }
        let listed = self.classes.iter().find(|class| old(class));
        let lacking = storage.classes.iter_mut().find(|class| old(class));
        if let (Some(listed), Some(lacking)) = (listed, lacking)
            && lacking.objects.is_none()
            && listed.objects.is_some()
        {
            lacking.clone_from(listed);
            lacking.unknown = from();
            storage.stored = storage.stored.saturating_add(listed.bytes.unwrap_or(0));
        }
    }
}

/// What there is to know about the inventory itself.
fn fact(known: Option<&InventoryRecord>, trouble: Option<&str>) -> BucketFact {
    let mut words = match known {
        None => "None was read yet.".to_owned(),
        Some(known) => {
            let objects: u64 = known.classes.iter().filter_map(|class| class.objects).sum();
            let bytes: u64 = known.classes.iter().filter_map(|class| class.bytes).sum();
            format!(
                "Of {}: {} of this cache with {}, in {}.",
                known.day(),
                counted(objects, "object"),
                counted(bytes, "byte"),
                counted(known.rows, "row")
            )
        }
    };
    let broken = known.map_or(0, |known| known.broken);
    if broken > 0 {
        words.push_str(&format!(" Not understood: {}.", counted(broken, "row")));
    }
    if let Some(trouble) = trouble {
        words.push_str(&format!(" The newest could not be read: {trouble}."));
    }
    BucketFact {
        name: "S3 Inventory".to_owned(),
        state: match trouble.is_some() || broken > 0 {
            true => FactState::Warn,
            false => FactState::Ok,
        },
        words,
        remedy: trouble.map(|_| {
            "Let the inventory be written as CSV to where `inventory` of the cache's configuration says, and let this server read it.".to_owned()
        }),
    }
}

fn counted(count: u64, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    }
}

#[cfg(test)]
mod tests;
