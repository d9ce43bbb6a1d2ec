//! Why and diff against Nix's own `why-depends` and `diff-closures`, and the files behind a reference
//! against the references that Nix found.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use snowbank_tests::closure::Closure;
use snowbank_tests::folder;
use snowbank_tests::nix::Nix;
use snowbank_tests::server::{Server, Setup};

/// Chains that are asked for; the closure has fewer between any two paths.
const CHAINS: u64 = 100;

fn hash_of(path: &str) -> &str {
    &path["/nix/store/".len()..][..32]
}

/// What Nix printed, without colours.
fn plain(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    plain
}

/// The chain that `nix why-depends` prints; empty where there is none.
fn why_depends(nix: &Nix, store: &str, from: &str, to: &str) -> anyhow::Result<Vec<String>> {
    let arguments = [
        "--extra-experimental-features",
        "nix-command",
        "why-depends",
        "--store",
        store,
        from,
        to,
    ];
    let printed = nix.run("nix", &arguments)?.ok()?;
    let on_line = |line: &str| {
        let at = line.find("/nix/store/")?;
        line.get(at..)
            .filter(|path| path.len() > 43)
            .map(|path| hash_of(path).to_owned())
    };
    let mut chain: Vec<String> = plain(&printed).lines().filter_map(on_line).collect();
    chain.dedup();
    Ok(chain)
}

async fn why(server: &Server, from: &str, to: &str) -> anyhow::Result<Value> {
    let (from, to) = (hash_of(from), hash_of(to));
    let address = format!("/api/v1/caches/zstd/why?from={from}&to={to}&limit={CHAINS}");
    server.json(&address).await
}

#[tokio::test(flavor = "multi_thread")]
async fn why_agrees_with_why_depends_and_every_reference_is_found_in_a_file() -> anyhow::Result<()>
{
    let Some(builder) = Nix::system()? else {
        return Ok(());
    };
    let closure = Closure::get(&builder)?;
    let home = tempfile::tempdir()?;
    let bucket = home.path().join("bucket");
    folder::copy(&closure.cache("zstd"), &bucket)?;
    let server = Setup::new().folder("zstd", &bucket, &[]).start().await?;
    server.indexed("zstd").await?;
    let store = closure.store().display().to_string();
    let mut longest = 0;
    for path in closure.paths.iter().filter(|path| **path != closure.app) {
        let ours = why(&server, &closure.app, path).await?;
        let theirs = why_depends(&builder, &store, &closure.app, path)?;
        let chains: Vec<Vec<&str>> = ours["items"]
            .as_array()
            .context("chains")?
            .iter()
            .map(|chain| {
                let steps = chain.as_array().into_iter().flatten();
                steps.filter_map(|step| step["hash"].as_str()).collect()
            })
            .collect();
        ensure!(
            ours["depends"] == !theirs.is_empty(),
            "{path}: we say {ours}, Nix {theirs:?}"
        );
        if theirs.is_empty() {
            continue;
        }
        ensure!(
            ours["chains"]
                .as_u64()
                .is_some_and(|chains| chains < CHAINS),
            "{path}: {ours}"
        );
        ensure!(
            chains.iter().any(|chain| *chain == theirs),
            "{path}: Nix goes {theirs:?}, we {chains:?}"
        );
        ensure!(
            chains[0].len() == theirs.len(),
            "{path}: Nix needs {} paths, we {}",
            theirs.len(),
            chains[0].len()
        );
        longest = longest.max(theirs.len());
    }
    ensure!(longest >= 4, "the closure is only {longest} paths deep");

    // Nix found each reference by its hash in the bytes: so do we, and in a file.
    let graph = server
        .json(&format!(
            "/api/v1/caches/zstd/paths/{}/graph",
            hash_of(&closure.app)
        ))
        .await?;
    let nodes = graph["items"].as_array().context("nodes")?;
    let mut edges = 0;
    for node in nodes {
        let hash = node["hash"].as_str().context("a hash")?;
        for other in node["references"].as_array().into_iter().flatten() {
            let other = usize::try_from(other.as_u64().context("a place")?)?;
            let of = nodes[other]["hash"].as_str().context("a hash")?;
            let address = format!("/api/v1/caches/zstd/paths/{hash}/mentions?of={of}");
            let mut found = server.json(&address).await?;
            // The server waits a while before it says how far it has read.
            for _ in 0..60 {
                if found["reading"].is_null() {
                    break;
                }
                found = server.json(&address).await?;
            }
            ensure!(
                found["total"].as_u64().is_some_and(|total| total > 0),
                "{} does not mention {}: {found}",
                node["name"],
                nodes[other]["name"]
            );
            edges += 1;
        }
    }
    ensure!(edges > 20, "only {edges} references");
    Ok(())
}

/// Two generations, each with a package that the other lacks or has otherwise.
const GENERATIONS: &str = r#"
let
  make = name: salt: size: references: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    PATH = "/usr/bin:/bin";
    args = [ "-euc" ''
      mkdir $out
      printf '%s\n' ${salt} ${toString references} > $out/refs
      head -c ${toString size} /dev/zero > $out/bytes
    '' ];
  };
  common = make "common-1.0" "a" 1000 [ ];
in {
  one = make "system-1" "a" 10 [ common
    (make "tool-1.9" "a" 20000 [ ]) (make "down-2.0" "a" 90000 [ ])
    (make "old-1.0" "a" 30000 [ ]) (make "same-1.0" "a" 50000 [ ]) ];
  two = make "system-2" "a" 10 [ common
    (make "tool-1.10" "a" 40000 [ ]) (make "down-1.5" "a" 70000 [ ])
    (make "new-3.0" "a" 60000 [ ]) (make "same-1.0" "b" 80000 [ ]) ];
}
"#;

/// A line of `nix store diff-closures`: versions before and after where they differ, and KiB.
#[derive(Debug, PartialEq)]
struct Line {
    versions: Option<(String, String)>,
    kib: Option<f64>,
}

/// Its lines by package.
fn diff_closures(text: &str) -> BTreeMap<String, Line> {
    plain(text)
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.split_once(": ")?;
            let mut found = Line {
                versions: None,
                kib: None,
            };
            for item in rest.split(", ") {
                if let Some((before, after)) = item.split_once(" → ") {
                    found.versions = Some((before.trim().to_owned(), after.trim().to_owned()));
                } else if let Some(number) = item.trim().strip_suffix("KiB") {
                    found.kib = number.trim().parse().ok();
                }
            }
            Some((name.trim().to_owned(), found))
        })
        .collect()
}

/// The versions of one side as Nix prints them: those that the other lacks.
fn versions(row: &Value, side: &str, other: &str) -> String {
    let of = |side: &str| -> Vec<&str> {
        let versions = row[side].as_array().into_iter().flatten();
        versions.filter_map(Value::as_str).collect()
    };
    let others = of(other);
    let only: Vec<&str> = of(side)
        .into_iter()
        .filter(|version| !others.contains(version))
        .collect();
    if only.is_empty() {
        "∅".to_owned()
    } else {
        only.join(", ")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_difference_agrees_with_diff_closures() -> anyhow::Result<()> {
    let Some(builder) = Nix::system()? else {
        return Ok(());
    };
    let home = tempfile::tempdir()?;
    let file = home.path().join("generations.nix");
    fs::write(&file, GENERATIONS)?;
    let store = builder.home().join("generations").display().to_string();
    let build = |which: &str| {
        let file = file.display().to_string();
        let arguments = ["--store", &store, &file, "-A", which, "--no-out-link"];
        builder.run("nix-build", &arguments)?.ok()
    };
    let (one, two) = (build("one")?, build("two")?);
    let bucket = home.path().join("bucket");
    let target = format!("file://{}?compression=zstd", bucket.display());
    let copy = ["copy", "--store", &store, "--to", &target, &one, &two];
    builder.run("nix", &copy)?.ok()?;
    let server = Setup::new().folder("main", &bucket, &[]).start().await?;
    server.indexed("main").await?;
    let diff = server
        .json(&format!(
            "/api/v1/caches/main/diff?from={}&to={}",
            hash_of(&one),
            hash_of(&two)
        ))
        .await?;

    let (left, right) = (
        builder.closure(&store, &one)?,
        builder.closure(&store, &two)?,
    );
    ensure!(diff["from"]["paths"] == left.len(), "{diff}");
    ensure!(diff["to"]["paths"] == right.len(), "{diff}");
    let common = left.iter().filter(|path| right.contains(path)).count();
    ensure!(diff["common"] == common, "{diff}");
    for (side, path) in [("from", &one), ("to", &two)] {
        let arguments = ["path-info", "--closure-size", "--store", &store, path];
        let printed = builder.run("nix", &arguments)?.ok()?;
        let size = printed.split_whitespace().last().unwrap_or_default();
        ensure!(
            diff[side]["nar_size"].as_u64() == size.parse().ok(),
            "{side}: we say {}, Nix {printed}",
            diff[side]["nar_size"]
        );
    }

    let kinds = BTreeMap::from([
        ("down", "downgraded"),
        ("new", "added"),
        ("old", "removed"),
        ("same", "rebuilt"),
        ("system", "upgraded"),
        ("tool", "upgraded"),
    ]);
    let rows: BTreeMap<&str, &Value> = diff["items"]
        .as_array()
        .context("rows")?
        .iter()
        .filter_map(|row| Some((row["name"].as_str()?, row)))
        .collect();
    ensure!(
        rows.keys().eq(kinds.keys()),
        "we have {:?}",
        rows.keys().collect::<Vec<_>>()
    );
    // Every client reads the same from the store that the system's built.
    for nix in Nix::each()? {
        let arguments = [
            "--extra-experimental-features",
            "nix-command",
            "store",
            "diff-closures",
            "--store",
            &store,
            &one,
            &two,
        ];
        let printed = nix.run("nix", &arguments)?.ok()?;
        let theirs = diff_closures(&printed);
        ensure!(
            theirs.keys().eq(rows.keys().copied()),
            "{} has {theirs:?}:\n{printed}",
            nix.version
        );
        for (name, line) in &theirs {
            let row = rows[name.as_str()];
            ensure!(row["kind"] == kinds[name.as_str()], "{row}");
            let delta = row["nar_delta"].as_f64().context("a delta")? / 1024.0;
            match line.kib {
                Some(kib) => ensure!((kib - delta).abs() < 0.06, "{name}: {kib} KiB, {row}"),
                None => ensure!(delta.abs() < 8.0, "{name}: nothing said, {row}"),
            }
            let ours = (
                versions(row, "from_versions", "to_versions"),
                versions(row, "to_versions", "from_versions"),
            );
            match &line.versions {
                Some(versions) => ensure!(*versions == ours, "{name}: {versions:?}, {row}"),
                None => ensure!(row["kind"] == "rebuilt", "{name}: {line:?}, {row}"),
            }
        }
    }
    Ok(())
}
