//! d1, d2, d3, d5, d6: what questions about a million paths cost, over HTTP as a page asks them and,
//! where no route asks it yet, of the index itself.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::Value;
use snowbank::index::Index;
use snowbank::retention::{Facts, PinnedPath, simulate};
use snowbank::usage::FetchLog;
use snowbank_shared::api::retention::Rules;
use snowbank_tests::people::Person;
use snowbank_tests::server::Server;

use crate::Options;
use crate::archive::missing;
use crate::blob::{Blob, hash_of};
use crate::measure::{Figure, Figures};
use crate::million::middle;
use crate::narinfo::all_good_by;
use crate::sqlite::Sqlite;

/// Words that are searched for.
const WORDS: usize = 200;

/// Somebody who is signed in asks: strangers are answered so many questions a minute.
struct Asker<'a> {
    server: &'a Server,
    person: Person,
}

impl Asker<'_> {
    /// The answer and the milliseconds until it was there.
    async fn ask(&self, path: &str) -> anyhow::Result<(Vec<u8>, f64)> {
        let begin = Instant::now();
        let answer = self
            .server
            .request(Method::GET, &format!("/api/v1/caches/main{path}"))
            .header("cookie", &self.person.cookie)
            .send()
            .await?
            .error_for_status()?;
        let bytes = answer.bytes().await?.to_vec();
        Ok((bytes, begin.elapsed().as_secs_f64() * 1000.0))
    }

    async fn json(&self, path: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&self.ask(path).await?.0)?)
    }

    /// The hash of the path that is first by a field.
    async fn first_by(&self, field: &str) -> anyhow::Result<String> {
        let page = self.json(&format!("/paths?sort=-{field}&limit=1")).await?;
        let hash = page["items"][0]["hash"].as_str();
        Ok(hash.context("the list is empty")?.to_owned())
    }
}

/// Measures d1, d2, d3 and d5.
pub async fn over_http(
    options: &Options,
    figures: &mut Figures,
    server: &Server,
    blob: &Blob,
    folder: &Path,
) -> anyhow::Result<()> {
    let asker = Asker {
        server,
        person: server.owner("olga").await?,
    };
    if options.wants(&["d1"]) {
        counts(options, figures, &asker, blob, folder)?;
    }
    let widest = asker.first_by("closure_paths").await?;
    if options.wants(&["d2", "d3"]) {
        let begin = Instant::now();
        match Sqlite::fill(blob, folder)? {
            None => figures.skip("d2, d3", "sqlite3 is not installed"),
            Some(sqlite) => {
                println!(
                    "    the same in SQLite within {:.0} s",
                    begin.elapsed().as_secs_f64()
                );
                closure(options, figures, &asker, &sqlite, &widest).await?;
                search(options, figures, &asker, &sqlite, blob).await?;
            }
        }
    }
    if options.wants(&["d5"]) {
        let wanted = asker.first_by("referrer_count").await?;
        let mut rounds = Vec::new();
        for _ in 0..20 {
            let path = format!("/why?from={widest}&to={wanted}");
            rounds.push(asker.ask(&path).await?.1);
        }
        let what = "why the widest closure has what most refer to";
        let limit = if options.small { 100.0 } else { 20.0 };
        figures.numbers("d5", what, &rounds, "ms", 10.0, limit)?;
    }
    Ok(())
}

/// d1: counts and sizes of the closures of random paths.
fn counts(
    options: &Options,
    figures: &mut Figures,
    asker: &Asker<'_>,
    blob: &Blob,
    folder: &Path,
) -> anyhow::Result<()> {
    if let Some(reason) = missing(&["wrk"]) {
        figures.skip("d1", &reason);
        return Ok(());
    }
    let (questions, hello) = (folder.join("closures"), folder.join("hello"));
    let every = (blob.narinfos().count() / 10_000).max(1);
    let lines: Vec<String> = blob
        .narinfos()
        .step_by(every)
        .map(|place| Ok(format!("{}/closure?limit=1\n", hash_of(place)?)))
        .collect::<anyhow::Result<_>>()?;
    fs::write(&questions, lines.concat())?;
    fs::write(&hello, "about\n")?;
    let seconds = if options.small { 2 } else { 3 };
    let (server, cookie) = (asker.server, asker.person.cookie.as_str());
    let ours = [server.id()];
    let prefix = "/api/v1/caches/main/paths/";
    let mut rounds = Vec::new();
    for round in 0..options.rounds {
        let load = all_good_by(cookie, &server.origin, prefix, &questions, seconds, &ours)?;
        let about = all_good_by(cookie, &server.origin, "/api/v1/", &hello, seconds, &ours)?;
        println!(
            "    round {round}: {:.0}/s, p99 {} µs",
            load.rate, load.p99_micros
        );
        rounds.push((load.micros, about.micros));
    }
    figures.ratio(
        Figure {
            id: "d1",
            what: "counts of a random closure, CPU of the server",
            anchor: "/api/v1/about",
            unit: "µs",
            target: Some(2.0),
        },
        &rounds,
    )
}

/// d2: the widest closure, whole.
async fn closure(
    options: &Options,
    figures: &mut Figures,
    asker: &Asker<'_>,
    sqlite: &Sqlite,
    widest: &str,
) -> anyhow::Result<()> {
    if !options.wants(&["d2"]) {
        return Ok(());
    }
    let walk = format!(
        "WITH RECURSIVE held(id) AS (SELECT id FROM paths WHERE hash = '{widest}' \
         UNION SELECT ref FROM refs JOIN held ON refs.path = held.id)"
    );
    let (_, counted) = sqlite.time(&format!("{walk} SELECT count(*) FROM held"))?;
    let query = format!("{walk} SELECT hash, name, size FROM paths JOIN held USING (id)");
    let path = format!("/paths/{widest}/closure?limit=10000");
    let whole: Value = asker.json(&path).await?;
    let paths = whole["paths"].as_u64().unwrap_or_default();
    figures.exactly(
        "d2",
        "paths of the widest closure, as SQLite counts them",
        paths,
        counted.parse()?,
    );
    let (mut rounds, mut absolute) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        let (_, took) = asker.ask(&path).await?;
        absolute.push(took);
        rounds.push((took, sqlite.time(&query)?.0 * 1000.0));
    }
    let what = format!("the widest closure, {paths} paths, as JSON over HTTP");
    figures.ratio(
        Figure {
            id: "d2",
            what: &what,
            anchor: "SQLite, recursive, within its program",
            unit: "ms",
            // 20 times as fast. A small closure is mostly the request.
            target: (!options.small).then_some(0.05),
        },
        &rounds,
    )?;
    figures.numbers("d2-time", &what, &absolute, "ms", 15.0, 60.0)
}

/// d3: words that are part of names.
async fn search(
    options: &Options,
    figures: &mut Figures,
    asker: &Asker<'_>,
    sqlite: &Sqlite,
    blob: &Blob,
) -> anyhow::Result<()> {
    if !options.wants(&["d3"]) {
        return Ok(());
    }
    let words = words(blob)?;
    ensure!(!words.is_empty(), "no name has a word to search for");
    let mut took = Vec::new();
    for word in &words {
        took.push(asker.ask(&format!("/paths?q={word}&limit=50")).await?.1);
    }
    let mut rounds = Vec::new();
    for word in words.iter().cycle().take(options.rounds) {
        let page = asker.json(&format!("/paths?q={word}&limit=50")).await?;
        let (_, ours) = asker.ask(&format!("/paths?q={word}&limit=50")).await?;
        let query = format!("SELECT count(*) FROM paths WHERE name LIKE '%{word}%'");
        let (seconds, counted) = sqlite.time(&query)?;
        let found = page["total"].as_u64().unwrap_or_default();
        figures.exactly(
            "d3",
            &format!("names with `{word}`, as SQLite counts them"),
            found,
            counted.parse()?,
        );
        rounds.push((ours, seconds * 1000.0));
    }
    figures.ratio(
        Figure {
            id: "d3",
            what: "50 of the paths with a word in their name, and how many there are",
            anchor: "SQLite, LIKE, counted",
            unit: "ms",
            // 30 times as fast. Among few names it is mostly the request.
            target: (!options.small).then_some(0.0333),
        },
        &rounds,
    )?;
    took.sort_by(f64::total_cmp);
    let p99 = took[took.len() * 99 / 100];
    figures.number(
        "d3-p50",
        "the same, p50",
        middle(&mut took),
        "ms",
        5.0,
        20.0,
    )?;
    figures.number("d3-p99", "the same, p99", p99, "ms", 12.0, 48.0)
}

/// Parts of names that cannot be the beginning of a hash.
fn words(blob: &Blob) -> anyhow::Result<Vec<String>> {
    let mut words = HashSet::new();
    let every = (blob.narinfos().count() / 2_000).max(1);
    for place in blob.narinfos().step_by(every) {
        let text = String::from_utf8(blob.read(place)?)?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("StorePath: "));
        let name = line.and_then(|path| path.rsplit('/').next()?.get(33..));
        let letters = name
            .unwrap_or_default()
            .split(|c: char| !c.is_ascii_lowercase());
        // No hash has e, o, t or u.
        words.extend(
            letters
                .filter(|word| {
                    (4..=12).contains(&word.len()) && word.contains(['e', 'o', 't', 'u'])
                })
                .map(str::to_owned),
        );
        if words.len() >= WORDS {
            break;
        }
    }
    let mut words: Vec<String> = words.into_iter().collect();
    words.sort_unstable();
    Ok(words)
}

/// d6: a simulation of retention where a thousandth of the paths are pinned.
pub fn garbage(options: &Options, figures: &mut Figures, index: &Index) -> anyhow::Result<()> {
    let view = index.view();
    let pins: Vec<PinnedPath> = view
        .hashes()
        .step_by(1_000)
        .map(|path| PinnedPath {
            pin: path.to_string(),
            revision: 1,
            place: 0,
            path,
        })
        .collect();
    let rules = Rules {
        pins: Some(1),
        uploaded_days: None,
        ..Rules::default()
    };
    let fetches = FetchLog::default();
    let facts = Facts {
        view: &view,
        pins: &pins,
        fetches: &fetches,
        // Nothing is new.
        now: i64::from(u32::MAX),
    };
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        let begin = Instant::now();
        let simulation = simulate(facts, &rules);
        rounds.push(begin.elapsed().as_secs_f64() * 1000.0);
        let stays = simulation.after.paths;
        ensure!(
            stays >= pins.len() as u64 && simulation.now.paths == view.len(),
            "{stays} of {} paths stay",
            simulation.now.paths
        );
    }
    let what = format!(
        "a simulation of retention with {} pins, in the index",
        pins.len()
    );
    figures.numbers("d6", &what, &rounds, "ms", 50.0, 100.0)
}
