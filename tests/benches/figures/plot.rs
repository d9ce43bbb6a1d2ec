//! `figures -- plot`: what was measured so far as a picture, each figure as a share of its target.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};

use crate::measure::SUMMARY;
use crate::svg::{Bar, Group, picture};

/// What the groups are, by the first letter of an id.
const GROUPS: [(char, &str); 10] = [
    ('a', "First index"),
    ('b', "Refresh"),
    ('c', "A million paths: restart, memory"),
    ('d', "A million paths: questions"),
    ('e', "Narinfos and archives"),
    ('f', "Uploads"),
    ('g', "First page"),
    ('h', "Long lists"),
    ('i', "Counting and proving"),
    ('s', "Signatures in bulk"),
];

/// Draws `figures.svg` beside the list of figures.
pub fn draw(folder: &Path) -> anyhow::Result<()> {
    let list = folder.join(SUMMARY);
    let text = fs::read_to_string(&list)
        .with_context(|| format!("{} is not there: measure something first", list.display()))?;
    let mut groups: Vec<Group> = Vec::new();
    for (letter, title) in GROUPS {
        let bars: Vec<Bar> = text
            .lines()
            .skip(1)
            .filter(|line| line.starts_with(letter))
            .filter_map(bar)
            .collect();
        if !bars.is_empty() {
            groups.push(Group {
                title: title.to_owned(),
                bars,
                line: Some(1.0),
            });
        }
    }
    ensure!(
        !groups.is_empty(),
        "no figure in {} has a target",
        list.display()
    );
    let file = folder.join("figures.svg");
    let title = "Median and spread as a share of the target (the dashed line); less is better";
    fs::write(&file, picture(title, &groups))?;
    println!("{}", file.display());
    Ok(())
}

/// A figure with a target as a bar.
fn bar(line: &str) -> Option<Bar> {
    let fields: Vec<&str> = line.split(',').collect();
    let [id, what, unit, median, least, most, target] = fields[..] else {
        return None;
    };
    let number = |text: &str| text.parse::<f64>().ok();
    let (median, target) = (number(median)?, number(target)?);
    let what: String = what.split(" / ").next()?.chars().take(52).collect();
    Some(Bar {
        label: format!("{id}  {what}"),
        value: (median / target).max(0.0),
        spread: Some((number(least)? / target, number(most)? / target)),
        text: format!("{median:.2} {unit} of {target}"),
        own: median <= target,
    })
}
