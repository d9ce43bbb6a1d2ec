//! What the index costs in process: memory, start, lookups, searches, closures
//! (PERFORMANCE.md c1–c4, d1–d6, h4).
//!
//! ```text
//! cargo run --release -p snowbank --example index_bench -- 1000000 [FOLDER]
//! ```
//!
//! Prints one figure a line as `name,value,unit`. Nothing is compared here:
//! times depend on the machine, so read them beside another run on the same one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use snowbank::bench_data::{Plan, Signatures};
use snowbank::index::{
    Census, Change, ChangeToken, Index, IndexParams, MAX_CLOSURE_LIMIT, ParsedEntry, PathQuery,
};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::signature::KeyRing;
use snowbank_shared::store_path::{StoreDir, StorePathHash};

/// Narinfos of one bulk change, as a sweep brings them.
const BATCH: usize = 1_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let paths: u64 = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let folder = arguments.next().map(PathBuf::from);
    let temporary = tempfile::tempdir()?;
    let folder = folder.unwrap_or_else(|| temporary.path().to_owned());
    let params = IndexParams {
        store_dir: StoreDir::default(),
        key_ring: Arc::new(KeyRing::default()),
    };
    print("paths", paths as f64, "");

    let before = resident("VmRSS");
    let index = Index::open(&folder, &params)?;
    if index.view().is_empty() {
        fill(&index, paths)?;
        let peak = resident("VmHWM") - before;
        print("peak while filling", peak / paths as f64, "B/path");
        index.settle();
        print(
            "columns",
            index.view().memory_bytes() as f64 / paths as f64,
            "B/path",
        );
        let began = Instant::now();
        index.save();
        print("save", millis(began.elapsed()), "ms");
    }
    drop(index);

    let size = std::fs::metadata(folder.join("snapshot"))?.len();
    print("snapshot", size as f64 / paths as f64, "B/path");
    let began = Instant::now();
    let bytes = std::fs::read(folder.join("snapshot"))?;
    print("read the snapshot's bytes", millis(began.elapsed()), "ms");
    drop(bytes);
    let before = resident("VmRSS");
    let began = Instant::now();
    let index = Index::open(&folder, &params)?;
    let view = index.view();
    let hashes: Vec<StorePathHash> = view.hashes().collect();
    let served = hashes.first().and_then(|hash| view.served(hash));
    assert!(
        served.is_some(),
        "an index of {} paths serves nothing",
        view.len()
    );
    print("open", millis(began.elapsed()), "ms");
    let held = (hashes.len() * size_of::<StorePathHash>()) as f64;
    print(
        "resident after open",
        (resident("VmRSS") - before - held) / paths as f64,
        "B/path",
    );
    lookups(&index, &hashes);
    closures(&index, &hashes)?;
    lists(&index)?;
    changes(&index, &hashes);
    Ok(())
}

/// Feeds a synthetic cache, as a first sweep would, and says what that took.
fn fill(index: &Index, paths: u64) -> Result<(), Box<dyn std::error::Error>> {
    let plan = Plan {
        signatures: Signatures::Fake,
        ..Plan::new(paths, 1)
    };
    let (mut generating, mut parsing, mut applying) =
        (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut objects = plan.objects()?;
    let began = Instant::now();
    let mut text_bytes = 0;
    loop {
        let at = Instant::now();
        let batch: Vec<_> = objects
            .by_ref()
            .filter(|object| object.key.ends_with(".narinfo"))
            .take(BATCH)
            .collect();
        generating += at.elapsed();
        if batch.is_empty() {
            break;
        }
        let at = Instant::now();
        let changes: Vec<Change> = batch
            .iter()
            .map(|object| {
                text_bytes += object.body.len();
                change(&object.body, object.modified as i64)
            })
            .collect::<Result<_, _>>()?;
        parsing += at.elapsed();
        let at = Instant::now();
        index.apply_bulk(changes);
        applying += at.elapsed();
    }
    let at = Instant::now();
    index.flush();
    let flushing = at.elapsed();
    print("narinfo", text_bytes as f64 / paths as f64, "B/path");
    print("parse and judge", micros(parsing) / paths as f64, "us/path");
    print(
        "encode, log and queue",
        micros(applying) / paths as f64,
        "us/path",
    );
    print("last merge", millis(flushing), "ms");
    print(
        "fill without generating",
        millis(began.elapsed().saturating_sub(generating)),
        "ms",
    );
    let at = Instant::now();
    index.settle();
    print("closures of all paths", millis(at.elapsed()), "ms");
    Ok(())
}

fn change(body: &[u8], added_at: i64) -> Result<Change, Box<dyn std::error::Error>> {
    let narinfo = NarInfo::parse(body, &StoreDir::default())?;
    let judgement = KeyRing::default().judge(&narinfo);
    let token = ChangeToken {
        size: body.len() as u64,
        last_modified: added_at * 1000,
        etag: None,
    };
    Ok(Change::Put(Box::new(ParsedEntry {
        narinfo,
        judgement,
        token,
        added_at,
    })))
}

fn lookups(index: &Index, hashes: &[StorePathHash]) {
    let mut bytes = 0;
    let count = 200_000;
    let began = Instant::now();
    for place in random(hashes.len()).take(count) {
        bytes += index
            .view()
            .served(&hashes[place])
            .map_or(0, |body| body.len());
    }
    print(
        "served narinfo",
        micros(began.elapsed()) / count as f64,
        "us",
    );
    print("served narinfo", bytes as f64 / count as f64, "B");
    let absent = StorePathHash::from_bytes([7; 20]);
    let began = Instant::now();
    let found = (0..count)
        .filter(|_| index.view().served(&absent).is_some())
        .count();
    print(
        "miss",
        micros(began.elapsed()) / (count + found) as f64,
        "us",
    );
}

fn closures(index: &Index, hashes: &[StorePathHash]) -> Result<(), Box<dyn std::error::Error>> {
    let view = index.view();
    let mut times = Vec::new();
    for place in random(hashes.len()).take(20_000) {
        let Some(id) = view.find(&hashes[place]) else {
            continue;
        };
        let began = Instant::now();
        view.closure(id, 50, None)?;
        times.push(began.elapsed());
    }
    spread("closure of a random path, first page", times);
    let query = PathQuery {
        sort: "-closure_paths".parse()?,
        limit: 200,
        ..PathQuery::default()
    };
    let widest = view.query(&query)?;
    print(
        "paths of the widest closure",
        widest.items[0].closure_paths.unwrap_or(0) as f64,
        "",
    );
    let mut times = Vec::new();
    for row in &widest.items {
        let Some(id) = view.find(&row.hash.parse()?) else {
            continue;
        };
        let began = Instant::now();
        view.closure(id, MAX_CLOSURE_LIMIT, None)?;
        times.push(began.elapsed());
    }
    spread("closure of the 200 widest, whole", times);
    Ok(())
}

fn lists(index: &Index) -> Result<(), Box<dyn std::error::Error>> {
    let view = index.view();
    for field in [
        "name",
        "-nar_size",
        "added_at",
        "-closure_size",
        "-referrer_count",
        "signature",
        "signers",
    ] {
        let query = PathQuery {
            sort: field.parse()?,
            ..PathQuery::default()
        };
        let began = Instant::now();
        let page = view.query(&query)?;
        print(
            &format!("first page by {field}, unsorted"),
            millis(began.elapsed()),
            "ms",
        );
        let began = Instant::now();
        view.query(&PathQuery {
            cursor: page.next,
            ..query
        })?;
        print(
            &format!("next page by {field}"),
            millis(began.elapsed()),
            "ms",
        );
    }
    for q in ["glibc", "python3", "a", "lib x", "zzzzzz", "2.3", "0abc"] {
        let query = PathQuery {
            q: q.to_owned(),
            ..PathQuery::default()
        };
        let mut total = 0;
        let times = (0..50)
            .map(|_| {
                let began = Instant::now();
                total = view.query(&query).map_or(0, |page| page.total);
                began.elapsed()
            })
            .collect();
        spread(&format!("search {q:?}, {total} found"), times);
    }
    let query = PathQuery {
        sig: vec![snowbank_shared::api::SignatureStatus::Unsigned],
        min: Some(1 << 20),
        ..PathQuery::default()
    };
    let began = Instant::now();
    let total = view.query(&query)?.total;
    print(
        &format!("filter, {total} found"),
        millis(began.elapsed()),
        "ms",
    );
    let query = PathQuery {
        sort: "-referrer_count".parse()?,
        limit: 1,
        ..PathQuery::default()
    };
    let hottest = &view.query(&query)?.items[0];
    if let Some(id) = view.find(&hottest.hash.parse()?) {
        let began = Instant::now();
        view.referrers(id, &PathQuery::default())?;
        print(
            &format!(
                "referrers of the hottest, {} of them",
                hottest.referrer_count
            ),
            millis(began.elapsed()),
            "ms",
        );
    }
    let began = Instant::now();
    view.totals();
    print("totals", millis(began.elapsed()), "ms");
    let began = Instant::now();
    let found = view.finding_count();
    print(&format!("findings, {found}"), millis(began.elapsed()), "ms");
    let began = Instant::now();
    let mut census = Census::new(Arc::clone(&view), 0);
    for id in view.hashes().filter_map(|hash| view.find(&hash)) {
        census.object(&view.url(id), view.row(id).file_size.unwrap_or(0), 0);
    }
    index.apply_census(census);
    print("listing of the whole bucket", millis(began.elapsed()), "ms");
    Ok(())
}

/// Uploads: each shows when it is applied.
fn changes(index: &Index, hashes: &[StorePathHash]) {
    let mut times = Vec::new();
    for place in random(hashes.len()).take(1_000) {
        let view = index.view();
        let Some(id) = view.find(&hashes[place]) else {
            continue;
        };
        let text = String::from_utf8_lossy(&view.narinfo_bytes(id)).into_owned();
        drop(view);
        let text = format!("{text}Sig: bench-1:{}==\n", "A".repeat(86));
        let Ok(change) = change(text.as_bytes(), 0) else {
            continue;
        };
        let began = Instant::now();
        index.apply(vec![change]);
        let shown = index.view().served(&hashes[place]);
        times.push(began.elapsed());
        assert_eq!(
            shown.as_deref(),
            Some(text.as_bytes()),
            "an upload does not show"
        );
    }
    spread("upload until it shows", times);
}

/// Places below a bound, the same in each run (SplitMix64).
fn random(bound: usize) -> impl Iterator<Item = usize> {
    let mut state = 0u64;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = state;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ bits >> 31) % bound as u64) as usize
    })
}

fn spread(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| micros(times[((times.len() - 1) as f64 * share) as usize]);
    print(&format!("{name}; p50"), at(0.5), "us");
    print(&format!("{name}; p99"), at(0.99), "us");
}

/// A figure of `/proc/self/status`, bytes; 0 where there is none.
fn resident(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kilobytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) * 1024.0
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn print(name: &str, value: f64, unit: &str) {
    println!("{name},{value:.3},{unit}");
}
