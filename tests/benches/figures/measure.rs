//! Ratios, their spread, their bounds, and where they are written.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// All figures measured so far, a line each: what the plot is drawn from.
pub const SUMMARY: &str = "figures.csv";
/// Its first line.
const HEAD: &str = "id,what,unit,median,least,most,target";

/// A line of it.
#[derive(Clone, Copy)]
struct Summary<'a> {
    id: &'a str,
    what: &'a str,
    unit: &'a str,
    median: f64,
    least: f64,
    most: f64,
    target: Option<f64>,
}

/// What a figure is compared by.
#[derive(Debug, Clone, Copy)]
pub struct Figure<'a> {
    /// Its id in PERFORMANCE.md, such as `a1`.
    pub id: &'a str,
    /// What is measured, in words.
    pub what: &'a str,
    /// What it is measured against.
    pub anchor: &'a str,
    /// The unit of both, such as `s`.
    pub unit: &'a str,
    /// The ratio to stay under; `None` where the figure is only printed.
    pub target: Option<f64>,
}

/// All figures of a run.
#[derive(Debug)]
pub struct Figures {
    folder: PathBuf,
    small: bool,
    /// Lines for the README.
    table: Vec<String>,
    /// The same for [`SUMMARY`], by id.
    summary: BTreeMap<String, String>,
    within_bounds: bool,
}

impl Figures {
    /// Nothing measured yet.
    pub fn new(small: bool) -> anyhow::Result<Self> {
        // This program lies in target/PROFILE/deps.
        let program = std::env::current_exe()?;
        let folder = program
            .ancestors()
            .nth(3)
            .context("no target folder around this program")?
            .join("bench");
        fs::create_dir_all(&folder)?;
        Ok(Self {
            folder,
            small,
            table: Vec::new(),
            summary: BTreeMap::new(),
            within_bounds: true,
        })
    }

    /// Takes the rounds of a figure: for each what was measured and what the anchor took.
    pub fn ratio(&mut self, figure: Figure<'_>, rounds: &[(f64, f64)]) -> anyhow::Result<()> {
        let Figure {
            id,
            what,
            anchor,
            unit,
            target,
        } = figure;
        let mut csv = fs::File::create(self.folder.join(format!("{id}.csv")))?;
        writeln!(csv, "round,{unit},anchor_{unit},ratio")?;
        for (round, (value, base)) in rounds.iter().enumerate() {
            writeln!(csv, "{round},{value:.6},{base:.6},{:.4}", value / base)?;
        }
        let ratios = Spread::of(rounds.iter().map(|(value, base)| value / base));
        let value = Spread::of(rounds.iter().map(|(value, _)| *value));
        let base = Spread::of(rounds.iter().map(|(_, base)| *base));
        println!("{id}  {what} against {anchor}, {} rounds", rounds.len());
        println!("    {} {unit}, anchor {} {unit}", value.show(), base.show());
        let verdict = self.judge(id, ratios.median, target);
        println!("    ratio {}  {verdict}", ratios.show());
        self.table.push(format!(
            "| {id} | {what} | {anchor} | {:.3} {unit} | {:.3} {unit} | {:.2} ({:.2}–{:.2}) | {} |",
            value.median,
            base.median,
            ratios.median,
            ratios.least,
            ratios.most,
            target.map_or_else(|| "–".to_owned(), |target| format!("≤ {target:.2}")),
        ));
        self.summarise(Summary {
            id,
            what: &format!("{what} / {anchor}"),
            unit: "×",
            median: ratios.median,
            least: ratios.least,
            most: ratios.most,
            target,
        });
        Ok(())
    }

    /// Takes a figure that is a plain number with a target and a limit.
    pub fn number(
        &mut self,
        id: &str,
        what: &str,
        value: f64,
        unit: &str,
        target: f64,
        limit: f64,
    ) -> anyhow::Result<()> {
        self.numbers(id, what, &[value], unit, target, limit)
    }

    /// Takes the rounds of a figure that is a number, as [`Self::number`] takes one.
    pub fn numbers(
        &mut self,
        id: &str,
        what: &str,
        rounds: &[f64],
        unit: &str,
        target: f64,
        limit: f64,
    ) -> anyhow::Result<()> {
        let mut csv = fs::File::create(self.folder.join(format!("{id}.csv")))?;
        writeln!(csv, "{unit}")?;
        for round in rounds {
            writeln!(csv, "{round:.3}")?;
        }
        let spread = Spread::of(rounds.iter().copied());
        if rounds.len() > 1 {
            println!("{id}  {what}: {} {unit}", spread.show());
        }
        let value = spread.median;
        let verdict = if value <= target {
            "within the target"
        } else if value <= limit {
            "BEYOND THE TARGET"
        } else {
            self.within_bounds = false;
            "BEYOND THE LIMIT"
        };
        println!("{id}  {what}: {value:.2} {unit} (target {target}, limit {limit})  {verdict}");
        self.table.push(format!(
            "| {id} | {what} | – | {value:.2} {unit} | – | – | ≤ {target} {unit} |"
        ));
        self.summarise(Summary {
            id,
            what,
            unit,
            median: value,
            least: spread.least,
            most: spread.most,
            target: Some(target),
        });
        Ok(())
    }

    fn summarise(&mut self, summary: Summary<'_>) {
        let Summary {
            id,
            what,
            unit,
            median,
            least,
            most,
            target,
        } = summary;
        let target = target.map_or_else(String::new, |target| target.to_string());
        let what = what.replace(',', ";");
        self.summary.insert(
            id.to_owned(),
            format!("{id},{what},{unit},{median:.4},{least:.4},{most:.4},{target}"),
        );
    }

    /// Writes what was measured into the list of all figures, in place of what that says of the same.
    fn write_summary(&self) -> anyhow::Result<()> {
        let file = self.folder.join(SUMMARY);
        let mut all: BTreeMap<String, String> = fs::read_to_string(&file)
            .unwrap_or_default()
            .lines()
            .skip(1)
            .filter_map(|line| Some((line.split_once(',')?.0.to_owned(), line.to_owned())))
            .collect();
        all.extend(self.summary.clone());
        let lines: Vec<String> = all.into_values().collect();
        fs::write(&file, format!("{HEAD}\n{}\n", lines.join("\n")))?;
        Ok(())
    }

    /// Where the rounds are written.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Says that a figure was left out.
    pub fn skip(&mut self, id: &str, reason: &str) {
        println!("{id}  SKIPPED: {reason}");
    }

    /// Something that must hold exactly. Says so, and counts as out of bounds where it does not.
    pub fn exactly(&mut self, id: &str, what: &str, value: u64, expected: u64) {
        if value == expected {
            println!("{id}  {what}: exactly {expected}");
        } else {
            self.within_bounds = false;
            println!("{id}  {what}: {value} AND NOT {expected}");
        }
    }

    /// Prints the table; whether all figures are within their bounds.
    pub fn finish(self) -> bool {
        println!(
            "\n| id | what | against | median | anchor | ratio (spread) | target |\n|---|---|---|---|---|---|---|"
        );
        for line in &self.table {
            println!("{line}");
        }
        println!("\nevery round: {}", self.folder.display());
        // Short runs say little: they leave the list of figures alone.
        if !self.small
            && let Err(error) = self.write_summary()
        {
            println!("{SUMMARY} cannot be written: {error:#}");
        }
        self.within_bounds
    }

    fn judge(&mut self, id: &str, ratio: f64, target: Option<f64>) -> String {
        let Some(target) = target else {
            return "(no target)".to_owned();
        };
        let bound = target * if self.small { 2.0 } else { 1.25 };
        if ratio <= target {
            format!("within the target {target:.2}")
        } else if ratio <= bound {
            format!("BEYOND THE TARGET {target:.2}")
        } else {
            self.within_bounds = false;
            format!("REGRESSION: {id} is beyond {bound:.2}, its target {target:.2} and the margin")
        }
    }
}

/// The middle and the ends of some values.
#[derive(Debug, Clone, Copy)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let last = values.len() - 1;
        let median = (values[last / 2] + values[values.len() / 2]) / 2.0;
        Self {
            median,
            least: values[0],
            most: values[last],
        }
    }

    fn show(self) -> String {
        format!("{:.3} ({:.3}–{:.3})", self.median, self.least, self.most)
    }
}

/// CPU seconds, user and system, that processes have used so far.
pub fn cpu_seconds(processes: &[u32]) -> anyhow::Result<f64> {
    let of = |process| seconds_in(&format!("/proc/{process}/stat"), 11);
    processes.iter().map(of).sum()
}

/// CPU seconds of this process's children that ended and were waited for, and of theirs.
pub fn cpu_seconds_of_children() -> anyhow::Result<f64> {
    seconds_in("/proc/self/stat", 13)
}

/// The threads that a process has.
pub fn threads(process: u32) -> anyhow::Result<Vec<u32>> {
    let mut threads = Vec::new();
    for entry in fs::read_dir(format!("/proc/{process}/task"))? {
        threads.push(entry?.file_name().to_string_lossy().parse()?);
    }
    Ok(threads)
}

/// CPU seconds that some threads of a process have used so far; those that ended count for nothing.
pub fn cpu_seconds_of_threads(process: u32, threads: &[u32]) -> anyhow::Result<f64> {
    let mut seconds = 0.0;
    for thread in threads {
        let stat = format!("/proc/{process}/task/{thread}/schedstat");
        if let Ok(text) = fs::read_to_string(stat) {
            let nanoseconds = text.split_whitespace().next().context("an odd schedstat")?;
            seconds += nanoseconds.parse::<u64>()? as f64 / 1e9;
        }
    }
    Ok(seconds)
}

/// Bytes of memory that a process holds.
pub fn memory(process: u32) -> anyhow::Result<u64> {
    memory_line(process, "VmRSS:")
}

/// Bytes of memory that a process held at most.
pub fn peak_memory(process: u32) -> anyhow::Result<u64> {
    memory_line(process, "VmHWM:")
}

fn memory_line(process: u32, name: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))
        .context("a measured process has ended")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes
        .context("an odd /proc/PID/status")?
        .parse::<u64>()?
        * 1024)
}

/// The sum of two fields of a `stat` file, so many behind the process's name.
fn seconds_in(file: &str, first: usize) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(file).context("a measured process has ended")?;
    // The name, in parentheses, may hold anything; fields are counted from after it.
    let fields = stat.rsplit_once(')').context("an odd /proc/PID/stat")?.1;
    let mut ticks = 0;
    for field in fields.split_whitespace().skip(first).take(2) {
        ticks += field.parse::<u64>()?;
    }
    // Linux has counted in hundredths towards user space on every platform since 2.6.
    Ok(ticks as f64 / 100.0)
}
