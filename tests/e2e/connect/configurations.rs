//! What both generations of Nix make of a configuration is what the simulation says
//! (acceptance A50), of files as they are and as they are merged.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::ensure;
use snowbank_shared::nix_conf::effective::{Effective, Included, LISTED, Layer, load_order};
use snowbank_shared::nix_conf::merge::{OnConflict, Surroundings, merge};
use snowbank_shared::nix_conf::names::NixVersion;
use snowbank_shared::nix_conf::remove::remove;
use snowbank_tests::nix::Nix;

use super::{fixtures, random, team};

/// Random files that go through each client.
const RANDOM: u64 = 60;

/// The values of settings, by name.
pub type Lists = BTreeMap<String, Vec<String>>;

/// A machine's configuration.
pub struct Machine<'a> {
    pub system: &'a str,
    pub user: Option<&'a str>,
    pub environment: Option<&'a str>,
}

/// The lists of `nix show-config`; `None` where Nix fails, and what it said.
pub fn shown(nix: &Nix, machine: &Machine<'_>) -> anyhow::Result<(Option<Lists>, String)> {
    let folder = nix.home().join("conf");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("nix.conf"), machine.system)?;
    let user = folder.join("user.conf");
    std::fs::write(&user, machine.user.unwrap_or_default())?;
    let old = version(nix)?
        < NixVersion {
            major: 2,
            minor: 20,
        };
    let mut command = nix.command("nix");
    command.args(["--extra-experimental-features", "nix-command"]);
    command.args(if old {
        &["show-config"][..]
    } else {
        &["config", "show"]
    });
    command
        .env("NIX_CONF_DIR", &folder)
        .env("NIX_USER_CONF_FILES", &user)
        .env("NIX_CONFIG", machine.environment.unwrap_or_default());
    let (out, err, code) = super::run(&mut command)?;
    if code != Some(0) {
        return Ok((None, err));
    }
    let lists = out.lines().filter_map(|line| {
        let (name, values) = line.split_once(" =")?;
        LISTED.contains(&name).then(|| {
            let values = values.split_whitespace().map(parameters_sorted).collect();
            (name.to_owned(), values)
        })
    });
    Ok((Some(lists.collect()), err))
}

/// Newer versions print a URL's parameters in the order of their names, and a `;` in it
/// percent-encoded.
pub fn parameters_sorted(url: &str) -> String {
    let url = &url.replace("%3B", ";");
    let Some((base, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let mut parameters: Vec<&str> = query.split('&').collect();
    parameters.sort_unstable();
    format!("{base}?{}", parameters.join("&"))
}

fn version(nix: &Nix) -> anyhow::Result<NixVersion> {
    Ok(nix.version.parse()?)
}

fn simulated(nix: &Nix, machine: &Machine<'_>) -> anyhow::Result<Effective> {
    let includes = |_: &str, path: &str| match std::fs::read_to_string(Path::new("/").join(path)) {
        Ok(text) => Included::Text {
            name: path.to_owned(),
            text,
        },
        Err(_) => Included::Missing,
    };
    let layer = |name, text| Layer { name, text };
    let users: Vec<Layer<'_>> = machine
        .user
        .map(|text| layer("user.conf", text))
        .into_iter()
        .collect();
    let layers = load_order(
        Some(layer("nix.conf", machine.system)),
        &users,
        machine.environment.map(|text| layer("NIX_CONFIG", text)),
    );
    Ok(Effective::of(&layers, &includes, Some(version(nix)?)))
}

fn agrees(nix: &Nix, what: &str, machine: &Machine<'_>) -> anyhow::Result<()> {
    let (shown, said) = shown(nix, machine)?;
    let simulated = simulated(nix, machine)?;
    let Some(shown) = shown else {
        ensure!(
            !simulated.fatal.is_empty(),
            "{what}: {} fails and the simulation does not:\n{:?}\n{said}",
            nix.version,
            machine.system
        );
        return Ok(());
    };
    ensure!(
        simulated.fatal.is_empty(),
        "{what}: {} reads it and the simulation fails: {:?}\n{:?}",
        nix.version,
        simulated.fatal,
        machine.system
    );
    for setting in LISTED {
        let mut expected: Vec<String> = simulated
            .texts(setting)
            .iter()
            .map(|value| parameters_sorted(value))
            .collect();
        // To Nix this one is a set: it prints it sorted, each once.
        if setting == "trusted-substituters" {
            expected.sort();
            expected.dedup();
        }
        ensure!(
            shown[setting] == expected,
            "{what}: {setting} of {} is {:?}, the simulation says {expected:?}\n{:?}",
            nix.version,
            shown[setting],
            machine.system
        );
    }
    for (value, _) in &simulated.unknown {
        let name = value.text.trim_start_matches('\u{feff}');
        ensure!(
            said.contains(name),
            "{what}: {} does not warn of {name}:\n{said}",
            nix.version
        );
    }
    Ok(())
}

#[test]
fn nix_makes_of_every_file_what_the_simulation_says_also_when_it_is_merged() -> anyhow::Result<()> {
    let mut files = fixtures()?;
    files.extend((1..=RANDOM).map(|seed| (format!("random {seed}"), random(seed))));
    let around = Surroundings::default();
    let addition = team();
    let mut merged_files = 0;
    for nix in Nix::each()? {
        for (name, text) in &files {
            let alone = |system| Machine {
                system,
                user: None,
                environment: None,
            };
            agrees(&nix, name, &alone(text))?;
            let merged = merge(text, &addition, OnConflict::Ask, &around);
            if merged.text == *text {
                continue;
            }
            merged_files += 1;
            agrees(&nix, &format!("{name}, merged"), &alone(&merged.text))?;
            let again = merge(&merged.text, &addition, OnConflict::Ask, &around);
            ensure!(
                again.text == merged.text,
                "{name}: a second merge changes it"
            );
            let removed = remove(&merged.text, &addition, &around);
            ensure!(
                removed.text == *text,
                "{name}: {:?} came back as {:?}",
                text,
                removed.text
            );
        }
    }
    ensure!(merged_files > 60, "only {merged_files} files were merged");
    Ok(())
}

#[test]
fn nix_reads_system_user_and_environment_in_the_simulated_order() -> anyhow::Result<()> {
    for nix in Nix::each()? {
        for (system, user, environment) in [
            (
                "substituters = https://s.example",
                "substituters = https://u.example",
                "",
            ),
            (
                "substituters = https://s.example",
                "extra-substituters = https://u.example",
                "",
            ),
            (
                "extra-substituters = https://s.example",
                "extra-substituters = https://u.example",
                "extra-substituters = https://e.example\nextra-trusted-public-keys = a:b",
            ),
            (
                "extra-substituters = https://s.example\nsubstituters=https://x",
                "",
                "",
            ),
            (
                "",
                "",
                "substituters =\nextra-trusted-substituters = https://e.example # x",
            ),
        ] {
            let machine = Machine {
                system,
                user: Some(user),
                environment: Some(environment),
            };
            agrees(&nix, "layers", &machine)?;
        }
        for seed in 1000..1010 {
            let (system, user, environment) =
                (random(seed), random(seed + 100), random(seed + 200));
            let machine = Machine {
                system: &system,
                user: Some(&user),
                environment: Some(&environment),
            };
            agrees(&nix, &format!("layers of {seed}"), &machine)?;
        }
    }
    Ok(())
}
