//! Retention against a plain model: random pushes, pins, fetches, plans, runs, undos and stops at once, and
//! kills. Undos overlap: of runs whose paths need what later runs took.
//!
//! After each round, on the disk: every narinfo has its NAR and everything that it refers to, and what is
//! pinned is whole. At the end of each world, with nobody at it: a plan takes out exactly what the model
//! says, and its undo brings exactly that back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use snowbank::auth::By;
use snowbank::bucket::embedded::faults::{Action, Rule};
use snowbank::bucket::embedded::operation::Operation;
use snowbank::config::Config;
use snowbank::pins;
use snowbank::site::Cache;
use snowbank_shared::api::retention::{PlanWish, Rules, RunState};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::store_path::StoreDir;
use tempfile::TempDir;

use crate::harness::{TestServer, config};
use crate::people::settled;
use crate::upload_site::{Made, Site, Uploader, said};

/// Paths that may be pushed.
const PATHS: usize = 24;
/// Rounds of a life of the server, and its lives.
const ROUNDS: usize = 12;
const LIVES: usize = 3;
/// How long a run waits: longer than a narinfo needs from the last look to the bucket.
const WAIT: Duration = Duration::from_millis(500);

/// Numbers that look random, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).expect("small")
    }
}

/// What may be pushed, and what each of it refers to.
struct World {
    made: Vec<Made>,
    references: Vec<Vec<usize>>,
    uploader: Uploader,
}

/// What the model remembers.
#[derive(Default)]
struct Model {
    pins: BTreeMap<String, usize>,
    runs: Vec<String>,
    /// What clients fetched in this life of the server: what they fetched before died with it.
    fetched: BTreeSet<usize>,
    trashed: u64,
    deleted: u64,
    undone: u64,
    pushed: u64,
}

impl Model {
    fn one_of_the_last_runs(&self, dice: &mut Dice) -> Option<String> {
        let back = dice.roll(3);
        self.runs.iter().rev().nth(back).cloned()
    }
}

impl World {
    fn new(dice: &mut Dice, uploader: Uploader) -> Self {
        let mut made: Vec<Made> = Vec::new();
        let mut references: Vec<Vec<usize>> = Vec::new();
        for number in 0..PATHS {
            let mut of = BTreeSet::new();
            for _ in 0..dice.roll(4) {
                if number > 0 {
                    of.insert(dice.roll(number));
                }
            }
            // Some have the same archive.
            let text = format!("text {}", if number % 5 == 4 { number - 1 } else { number });
            let needed: Vec<&Made> = of.iter().map(|at| &made[*at]).collect();
            let name = format!("{}-{number}", ["red", "green", "blue"][number % 3]);
            let one = Made::file(&name, &text, &needed, &uploader.key);
            made.push(one);
            references.push(of.into_iter().collect());
        }
        Self {
            made,
            references,
            uploader,
        }
    }

    /// A path and what it needs, what is needed first.
    fn closure(&self, roots: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut open: Vec<usize> = roots.into_iter().collect();
        while let Some(at) = open.pop() {
            if found.insert(at) {
                open.extend(&self.references[at]);
            }
        }
        // References have lower numbers.
        found
    }

    /// What of it lies on the disk.
    fn present(&self, dir: &Path) -> BTreeSet<usize> {
        (0..PATHS)
            .filter(|at| dir.join("cache").join(self.made[*at].key()).exists())
            .collect()
    }
}

fn by() -> By {
    By {
        actor: "olga".to_owned(),
        via: "cli",
        request: String::new(),
        address: None,
    }
}

fn main_of(server: &TestServer) -> Arc<Cache> {
    Arc::clone(server.server.site().cache("main").expect("main"))
}

/// Pushes a path with what it needs and, as a client saw before, is not there. True where all of it
/// was taken.
async fn push(server: &TestServer, world: &World, root: usize, delay: Duration) -> bool {
    let cache = main_of(server);
    let missing: Vec<usize> = {
        let view = cache.index.view();
        let closure = world.closure([root]).into_iter();
        closure
            .filter(|at| {
                view.find(&world.made[*at].parts.store_path.hash())
                    .is_none()
            })
            .collect()
    };
    tokio::time::sleep(delay).await;
    for at in missing {
        let made = &world.made[at];
        for (key, bytes) in [
            (made.url(), made.stored.clone()),
            (made.key(), made.text().into_bytes()),
        ] {
            let request = server
                .client
                .put(server.url(&format!("/main/{key}")))
                .basic_auth("nix", Some(&world.uploader.token))
                .body(bytes);
            let (status, text) = said(request.send().await.expect("an answer")).await;
            match status {
                200 => {}
                // What it needs was taken out meanwhile, or is just being decided about.
                409 | 424 => return false,
                other => panic!("{other} {text}"),
            }
        }
    }
    true
}

/// What is wrong on the disk; what changed while it was looked at is looked at again.
fn wrong(world: &World, model: &Model, dir: &Path) -> Vec<String> {
    let folder = dir.join("cache");
    let there = |key: &str| folder.join(key).exists();
    let mut wrong = Vec::new();
    for (at, made) in world.made.iter().enumerate() {
        let Ok(bytes) = std::fs::read(folder.join(made.key())) else {
            continue;
        };
        let narinfo = NarInfo::parse(&bytes, &StoreDir::default()).expect("a narinfo");
        let mut needs = vec![narinfo.nar_key().into_owned()];
        needs.extend(
            world.references[at]
                .iter()
                .map(|other| world.made[*other].key()),
        );
        for key in needs {
            if !there(&key) && there(&made.key()) && !there(&key) {
                wrong.push(format!("{} lacks {key}", made.key()));
            }
        }
    }
    for (name, root) in &model.pins {
        for at in world.closure([*root]) {
            if !there(&world.made[at].key()) {
                wrong.push(format!("{name} pins {root}, and {at} is gone"));
            }
        }
    }
    wrong
}

/// One act of an owner.
async fn act(server: &TestServer, world: &World, model: &mut Model, dice: &mut Dice) {
    let cache = main_of(server);
    let site = server.server.site();
    let retention = server.server.retention();
    let path = dice.roll(PATHS);
    let name = format!("pin-{}", dice.roll(3));
    match dice.roll(11) {
        0 | 1 => {
            let wish = pins::Wish {
                path: world.made[path].parts.store_path.hash(),
                expected: None,
                note: String::new(),
                keep: Some(1),
            };
            // While it is being changed it is neither.
            let before = model.pins.remove(&name);
            match pins::pin(site, &cache, &name, &wish, &by()).await {
                Ok(_) => model.pins.insert(name, path),
                Err(_) => before.and_then(|before| model.pins.insert(name, before)),
            };
        }
        2 => {
            if model.pins.remove(&name).is_some() {
                let pin = pins::one(&site.ledger, "main", &name).expect("a pin");
                let unpinned = pins::unpin(site, &cache, &name, pin.last, &by()).await;
                unpinned.expect("unpinned");
            }
        }
        3..=6 => {
            let wish = PlanWish {
                rules: rules(["red-*", "green-*", "blue-*"][dice.roll(3)]),
                foreign: true,
                grace_days: Some(u32::from(dice.roll(3) > 0)),
            };
            let Ok(plan) = retention.plan(&cache, &wish, &by()).await else {
                return;
            };
            if let Ok(run) = retention.start(&cache, &plan.id, &by()).await {
                model.runs.push(run.id);
            }
        }
        7 | 8 => {
            // It may be under way, over or undone, and later ones may have what it needs.
            if let Some(run) = model.one_of_the_last_runs(dice) {
                let _ = retention.undo(&cache, &run, &by()).await;
            }
        }
        9 => {
            if let Some(run) = model.runs.last() {
                let _ = retention.stop(&cache, run, &by()).await;
                // What was in hand when it was stopped comes back too.
                if dice.roll(2) == 0 {
                    let _ = retention.undo(&cache, run, &by()).await;
                }
            }
        }
        _ => fetch(server, world, model, path).await,
    }
}

/// A client fetches the archive of a path. It counts for all paths that have this archive.
async fn fetch(server: &TestServer, world: &World, model: &mut Model, path: usize) {
    let view = main_of(server).index.view();
    let url = world.made[path].url();
    let of: Vec<usize> = (0..PATHS)
        .filter(|at| {
            let made = &world.made[*at];
            made.url() == url && view.find(&made.parts.store_path.hash()).is_some()
        })
        .collect();
    if of.is_empty() {
        return;
    }
    let answer = server.get(&format!("/main/{url}")).await;
    if answer.status() == 200 {
        answer.bytes().await.expect("an archive");
        model.fetched.extend(of);
    }
}

fn rules(name: &str) -> Rules {
    Rules {
        pins: Some(1),
        fetched_days: None,
        uploaded_days: None,
        names: vec![name.to_owned()],
        target_size: None,
        grace_hours: 0,
    }
}

fn adjusted(mut config: Config) -> Config {
    config.caches[0].make_key = true;
    config.retention.wait = WAIT;
    config.retention.silence = Duration::ZERO;
    config
}

/// Waits until no run acts.
async fn quiet(server: &TestServer) {
    let cache = main_of(server);
    let begun = Instant::now();
    while server.server.retention().is_busy(&cache) {
        let history = server.server.retention().history(&cache);
        assert!(begun.elapsed() < Duration::from_secs(30), "{history:?}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// Everything at once, for some rounds, in a bucket that takes its time with some deletions.
async fn rounds(server: &TestServer, world: &World, model: &mut Model, dice: &mut Dice) {
    let embedded = server.server.embedded().expect("an embedded bucket");
    let slow = Rule::new(Action::Delay(Duration::from_millis(300))).on(Operation::Delete);
    embedded.faults().add(slow.with_probability(0.2));
    for _ in 0..ROUNDS {
        let (one, two) = (dice.roll(PATHS), dice.roll(PATHS));
        let delay = Duration::from_millis(dice.roll(150) as u64);
        let (first, second, ()) = tokio::join!(
            push(server, world, one, Duration::ZERO),
            push(server, world, two, delay),
            act(server, world, model, dice),
        );
        model.pushed += u64::from(first) + u64::from(second);
        let wrong = wrong(world, model, server.dir.path());
        assert!(wrong.is_empty(), "{wrong:#?}");
        // Some runs come to their end before the next act.
        if dice.roll(3) == 0 {
            quiet(server).await;
        }
    }
}

/// With nobody at it: a plan and its undo do what the model says.
async fn exact(server: &TestServer, world: &World, model: &mut Model) {
    quiet(server).await;
    let cache = main_of(server);
    let retention = server.server.retention();
    while !push(server, world, PATHS - 1, Duration::ZERO).await {}
    let before = world.present(server.dir.path());
    let green = before.iter().copied().filter(|at| at % 3 == 1);
    let kept = world.closure(model.pins.values().copied().chain(green));
    let goes: BTreeSet<usize> = before.difference(&kept).copied().collect();
    let wish = PlanWish {
        rules: rules("green-*"),
        foreign: true,
        grace_days: Some(30),
    };
    let plan = match retention.plan(&cache, &wish, &by()).await {
        Ok(plan) => plan,
        Err(error) => {
            assert!(goes.is_empty(), "{error}");
            return;
        }
    };
    assert_eq!(plan.frees.paths, goes.len() as u64);
    // What is fetched once the plan is made stays, with what it needs.
    if let Some(last) = goes.last() {
        fetch(server, world, model, *last).await;
    }
    let kept: BTreeSet<usize> = &kept | &world.closure(model.fetched.iter().copied());
    let run = retention
        .start(&cache, &plan.id, &by())
        .await
        .expect("a run");
    quiet(server).await;
    let after = world.present(server.dir.path());
    let run = retention.run_shown(&cache, &run.id).expect("a run");
    assert_eq!(run.state, RunState::Grace, "{run:?}");
    assert_eq!(
        after,
        before.intersection(&kept).copied().collect(),
        "{run:?}"
    );
    retention
        .undo(&cache, &run.id, &by())
        .await
        .expect("undone");
    quiet(server).await;
    assert_eq!(world.present(server.dir.path()), before);
    let wrong = wrong(world, model, server.dir.path());
    assert!(wrong.is_empty(), "{wrong:#?}");
    for run in retention.history(&cache).runs {
        model.trashed += run.trashed + run.restored;
        model.deleted += run.deleted;
        model.undone += u64::from(run.state == RunState::Undone);
    }
}

/// Runs a life of a server, and ends it as a power cut does.
fn life<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(Duration::from_secs(5));
    result
}

fn world_of(seed: u64, total: &mut Model) {
    let mut dice = Dice(seed);
    let mut model = Model::default();
    let (mut dir, world): (TempDir, World) = life(async {
        let site = Site::start(|config| *config = adjusted(config.clone())).await;
        let uploader = site.contributor("alice").await;
        let world = World::new(&mut dice, uploader);
        rounds(&site.server, &world, &mut model, &mut dice).await;
        (site.server.dir, world)
    });
    for number in 1..LIVES {
        // Its writer may not have come to its end.
        let _ = std::fs::remove_dir_all(dir.path().join("data/index"));
        model.fetched.clear();
        dir = life(async {
            let server = TestServer::run(adjusted(config(dir.path())), dir).await;
            settled(&server).await;
            rounds(&server, &world, &mut model, &mut dice).await;
            if number + 1 == LIVES {
                exact(&server, &world, &mut model).await;
            }
            server.dir
        });
    }
    total.trashed += model.trashed;
    total.deleted += model.deleted;
    total.undone += model.undone;
    total.pushed += model.pushed;
}

#[test]
fn nothing_that_is_needed_goes_whatever_happens_at_once() {
    let mut total = Model::default();
    for seed in [1, 2] {
        world_of(seed, &mut total);
    }
    // Otherwise it would have shown nothing.
    let (trashed, deleted) = (total.trashed, total.deleted);
    let (undone, pushed) = (total.undone, total.pushed);
    assert!(
        trashed > 10 && deleted > 0 && undone > 2 && pushed > 20,
        "{trashed} in the trash, {deleted} NARs deleted, {undone} runs undone, {pushed} pushed"
    );
}
