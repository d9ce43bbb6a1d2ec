//! A thousand interleavings: whatever the order of the requests, and wherever a process is
//! killed, no acknowledged change is lost, and none happens twice.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use snowbank::ledger::{Kind, Ledger, LedgerError, Record, Scope, kind};

use super::conductor::{Chance, Conducted, conduct};
use super::world::{World, id, opened};

/// A record that remembers every change that went into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Diary {
    entries: Vec<String>,
}

impl Record for Diary {
    const KIND: Kind = kind::MEMBERS;
}

/// What a writer does.
#[derive(Debug, Clone)]
enum Act {
    /// Makes the diary, or writes into it.
    Write(String),
    /// Makes a record of its own name.
    Make(String),
    /// Revokes the other record.
    Revoke,
}

/// What a writer was told.
#[derive(Debug, Default)]
struct Told {
    written: Vec<String>,
    made: Vec<String>,
    revoked: bool,
}

async fn write(ledger: Ledger, seed: u64, acts: Vec<Act>) -> Told {
    let mut told = Told::default();
    let diary = id(&format!("diary-{seed}"));
    let other = id(&format!("other-{seed}"));
    for act in acts {
        match act {
            Act::Write(text) => {
                let written = ledger.put(Scope::Server, &diary, "test", |known: Option<&Diary>| {
                    let mut entries = known.map(|known| known.entries.clone()).unwrap_or_default();
                    entries.push(text.clone());
                    Ok::<_, LedgerError>(Diary { entries })
                });
                match written.await {
                    Ok(_) => told.written.push(text),
                    Err(LedgerError::Contended(_)) => {}
                    Err(error) => panic!("seed {seed}: {error}"),
                }
            }
            Act::Make(name) => {
                let entries = vec![name.clone()];
                let made = ledger.create(Scope::Server, &other, "test", Diary { entries });
                match made.await {
                    Ok(_) => told.made.push(name),
                    Err(LedgerError::Exists(_) | LedgerError::Buried(_)) => {}
                    Err(error) => panic!("seed {seed}: {error}"),
                }
            }
            Act::Revoke => {
                let revoked =
                    ledger.tombstone(kind::MEMBERS, Scope::Server, &other, "test", "model");
                revoked
                    .await
                    .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                told.revoked = true;
            }
        }
    }
    told
}

fn acts(chance: &mut Chance, writer: usize) -> Vec<Act> {
    let act = |number| {
        let name = format!("{writer}-{number}");
        match chance.below(6) {
            0 => Act::Make(name),
            1 => Act::Revoke,
            _ => Act::Write(name),
        }
    };
    (0..3).map(act).collect()
}

/// Looks at the end from outside and holds it against what the writers were told.
fn check(seed: u64, reader: &Ledger, told: &[Option<Told>], plans: &[Vec<Act>]) {
    let view = reader.view();
    let diary = view.get::<Diary>(Scope::Server, &id(&format!("diary-{seed}")));
    let entries = diary
        .as_ref()
        .map(|it| it.entries.clone())
        .unwrap_or_default();
    let once: BTreeSet<&String> = entries.iter().collect();
    assert_eq!(
        once.len(),
        entries.len(),
        "seed {seed}: twice in {entries:?}"
    );
    for text in told.iter().flatten().flat_map(|told| &told.written) {
        assert!(
            once.contains(text),
            "seed {seed}: `{text}` is lost from {entries:?}"
        );
    }
    // Each change is a version, and nothing else is.
    let sequence = diary.as_ref().map_or(0, |it| it.sequence);
    assert_eq!(sequence, entries.len() as u64, "seed {seed}");
    // What each wrote stands in the order of its writing.
    for writer in 0..plans.len() {
        let prefix = format!("{writer}-");
        let own: Vec<_> = entries
            .iter()
            .filter(|it| it.starts_with(&prefix))
            .collect();
        assert!(own.is_sorted(), "seed {seed}: {entries:?}");
    }
    let other = view.get::<Diary>(Scope::Server, &id(&format!("other-{seed}")));
    let made: Vec<_> = told.iter().flatten().flat_map(|told| &told.made).collect();
    assert!(made.len() <= 1, "seed {seed}: made twice: {made:?}");
    if told.iter().flatten().any(|told| told.revoked) {
        assert!(other.is_none(), "seed {seed}: revoked and still there");
    } else if let Some(name) = made.first()
        && told.iter().all(Option::is_some)
    {
        assert_eq!(
            other.map(|it| it.entries[0].clone()).as_ref(),
            Some(*name),
            "seed {seed}"
        );
    }
    assert!(
        view.findings().is_empty(),
        "seed {seed}: {:?}",
        view.findings()
    );
}

async fn ledger(world: &World, name: &str, heeds_conditions: bool) -> Ledger {
    let mut params = world.params(name).await;
    params.store = Arc::new(Conducted {
        store: world.store().await,
        heeds_conditions,
    });
    opened(params).await
}

/// Interleavings from a range of seeds, on one bucket.
async fn interleavings(seeds: std::ops::Range<u64>, heeds_conditions: bool) {
    let world = World::new().await;
    let one = ledger(&world, "one", heeds_conditions).await;
    // Where conditions are ignored, one process writes: its own tasks interleave.
    let two = match heeds_conditions {
        true => ledger(&world, "two", true).await,
        false => one.clone(),
    };
    for seed in seeds {
        let mut chance = Chance::seeded(seed);
        let plans: Vec<Vec<Act>> = (0..2).map(|writer| acts(&mut chance, writer)).collect();
        let writers = [&one, &two].into_iter().zip(&plans);
        let told = conduct(
            seed,
            seed % 4 == 0,
            writers
                .map(|(ledger, plan)| Box::pin(write(ledger.clone(), seed, plan.clone())) as _)
                .collect(),
        )
        .await;
        one.look().await.expect("a look");
        two.look().await.expect("a look");
        check(seed, &one, &told, &plans);
        check(seed, &two, &told, &plans);
    }
    // A server that knows nothing yet finds the same.
    let fresh = match heeds_conditions {
        true => ledger(&world, "fresh", true).await,
        false => {
            one.close().await;
            ledger(&world, "fresh", false).await
        }
    };
    assert!(fresh.view().findings().is_empty());
    assert_eq!(fresh.export().len(), one.export().len());
}

/// The seeds in lanes side by side, so that no core waits.
async fn in_lanes(count: u64, heeds_conditions: bool) {
    let lanes = 4;
    let size = count / lanes;
    let lanes = (0..lanes).map(|lane| {
        let seeds = lane * size..(lane + 1) * size;
        tokio::spawn(interleavings(seeds, heeds_conditions))
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.expect("no interleaving fails");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_in_a_thousand_interleavings_of_two_replicas() {
    in_lanes(1000, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_in_a_thousand_interleavings_where_conditions_are_ignored() {
    in_lanes(1000, false).await;
}
