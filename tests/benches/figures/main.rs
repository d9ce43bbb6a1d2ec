//! The figures of the README: measured, each against an anchor in the same run.
//!
//! ```text
//! cargo bench -p snowbank-tests --bench figures              all of them
//! cargo bench -p snowbank-tests --bench figures -- a1 e1     some
//! cargo bench -p snowbank-tests --bench figures -- --small   in CI: fewer paths, wide margins
//! cargo bench -p snowbank-tests --bench figures -- plot      draws what was measured so far
//! cargo bench -p snowbank-tests --bench figures -- million   a server of a million paths, until its input ends
//! ```
//!
//! A figure is a ratio: what Snowbank takes over what the anchor takes, both
//! measured in turn, at least five rounds, so that what else the machine does
//! hits both. Printed are the median and the spread; every round goes to
//! `target/bench/ID.csv`. A figure beyond its target is said so; the program
//! fails only beyond the target by a quarter and more (half with `--small`),
//! which no noise explains. The targets are those of PERFORMANCE.md §3.
//!
//! Servers under test run in processes of their own: this program again, told
//! its part by the environment ([`part`]).

mod archive;
mod blob;
mod blob_store;
mod bundle;
mod cold_index;
mod delay;
mod measure;
mod million;
mod narinfo;
mod nars;
mod part;
mod plain;
mod plot;
mod proving;
mod queries;
mod raw;
mod refresh;
mod shootout;
mod sign;
mod sqlite;
mod store;
mod svg;
mod upload;
mod verify;

use std::process::ExitCode;

use measure::Figures;

/// The figures that can be asked for.
const IDS: [&str; 35] = [
    "a1", "a2", "a3", "a4", "b1", "b2", "b3", "b4", "c1", "c2", "c3", "c4", "d1", "d2", "d3", "d5",
    "d6", "e1", "e3", "e5", "e7", "e8", "e9", "f1", "f2", "f3", "f4a", "f4b", "f5", "f6", "g1",
    "h4", "i1", "i3", "sign",
];

/// What the command line asks for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Few paths and wide margins.
    pub small: bool,
    /// Interleaved rounds of each figure.
    pub rounds: usize,
    /// Another number of paths than the figure's own.
    pub paths: Option<u64>,
    /// Ids of the figures asked for; all where empty.
    only: Vec<String>,
    /// Only to draw what was measured before.
    plot: bool,
    /// Only to serve what the figures of a million paths are measured on.
    serve: bool,
}

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            small: false,
            rounds: 0,
            paths: None,
            only: Vec::new(),
            plot: false,
            serve: false,
        };
        let mut arguments = arguments.filter(|argument| argument != "--bench");
        while let Some(argument) = arguments.next() {
            let mut number = |least: u64| {
                let value = arguments.next().and_then(|value| value.parse::<u64>().ok());
                value
                    .filter(|&value| value >= least)
                    .ok_or(format!("{argument} wants a number from {least}"))
            };
            match argument.as_str() {
                "--small" => options.small = true,
                "plot" => options.plot = true,
                "million" => options.serve = true,
                "--rounds" => options.rounds = number(1)? as usize,
                "--paths" => options.paths = Some(number(100)?),
                id if IDS.contains(&id) => options.only.push(argument),
                _ => {
                    return Err(format!(
                        "{argument}: not one of {} plot million --small --rounds N --paths N",
                        IDS.join(" ")
                    ));
                }
            }
        }
        if options.rounds == 0 {
            options.rounds = if options.small { 3 } else { 5 };
        }
        Ok(options)
    }

    /// Whether one of these figures is asked for.
    pub fn wants(&self, ids: &[&str]) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| ids.contains(&only.as_str()))
    }

    /// How many paths to measure with.
    pub fn paths_or(&self, full: u64, small: u64) -> u64 {
        self.paths.unwrap_or(if self.small { small } else { full })
    }
}

fn main() -> ExitCode {
    let run = || {
        if part::play()? {
            return Ok(true);
        }
        match part::with_a_server()? {
            Some(good) => Ok(good),
            None => measure_all(),
        }
    };
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("figures: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures what is asked for; whether all of it is within its bounds.
fn measure_all() -> anyhow::Result<bool> {
    let options = Options::parse(std::env::args().skip(1)).map_err(anyhow::Error::msg)?;
    let mut figures = Figures::new(options.small)?;
    if options.plot {
        plot::draw(figures.folder())?;
        return Ok(true);
    }
    // The clients' share of the machine, as in the server: all cores.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        if options.serve {
            return million::serve(&options).await;
        }
        if options.wants(&["a1", "a2", "a3", "a4"]) {
            cold_index::measure(&options, &mut figures).await?;
        }
        if options.wants(&["b1", "b2", "b4"]) {
            refresh::measure(&options, &mut figures).await?;
        }
        if options.wants(&["e1", "e3", "i1"]) {
            narinfo::measure(&options, &mut figures).await?;
        }
        if options.wants(&["e5", "e7", "e8"]) {
            nars::measure(&options, &mut figures).await?;
        }
        if options.wants(&["e9"]) {
            shootout::measure(&options, &mut figures).await?;
        }
        if options.wants(&million::IDS) {
            million::measure(&options, &mut figures).await?;
        }
        if options.wants(&["f1", "f2", "f3", "f4a", "f6"]) {
            verify::measure(&options, &mut figures).await?;
        }
        if options.wants(&["b3", "f4b", "f5"]) {
            upload::measure(&options, &mut figures).await?;
        }
        if options.wants(&["i3"]) {
            proving::measure(&options, &mut figures).await?;
        }
        if options.wants(&["sign"]) {
            sign::measure(&options, &mut figures).await?;
        }
        if options.wants(&["g1"]) {
            bundle::measure(&mut figures).await?;
        }
        anyhow::Ok(())
    })?;
    Ok(options.serve || figures.finish())
}
