//! The difference of two texts, line by line, as `diff -u` prints it.

use std::fmt::{self, Write as _};

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// Above this many pairs of lines the middle is shown as replaced whole.
const MOST_PAIRS: usize = 4_000_000;

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// In both.
    Same,
    /// Only before.
    Removed,
    /// Only after.
    Added,
}

/// A line of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffLine {
    /// What became of it.
    pub kind: Kind,
    /// Its text, without its line feed (a carriage return before it stays).
    pub text: String,
    /// It has no line feed, because its text ends there.
    pub unterminated: bool,
}

/// Changes that lie close together, with the lines around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// The first line before, from 1; where there is none, the line that it stands after.
    pub old_start: usize,
    /// Lines before.
    pub old_lines: usize,
    /// The first line after, from 1; where there is none, the line that it stands after.
    pub new_start: usize,
    /// Lines after.
    pub new_lines: usize,
    /// The lines.
    pub lines: Vec<DiffLine>,
}

impl fmt::Display for Hunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |start: usize, lines: usize| match lines {
            1 => start.to_string(),
            _ => format!("{start},{lines}"),
        };
        writeln!(
            f,
            "@@ -{} +{} @@",
            range(self.old_start, self.old_lines),
            range(self.new_start, self.new_lines)
        )?;
        for line in &self.lines {
            let sign = match line.kind {
                Kind::Same => ' ',
                Kind::Removed => '-',
                Kind::Added => '+',
            };
            writeln!(f, "{sign}{}", line.text)?;
            if line.unterminated {
                writeln!(f, "\\ No newline at end of file")?;
            }
        }
        Ok(())
    }
}

/// The difference as `diff -u` and `patch` know it, with `path` in both heads; empty where
/// nothing changed.
pub fn unified(path: &str, before: &str, after: &str) -> String {
    let hunks = hunks(before, after);
    let mut text = String::new();
    if !hunks.is_empty() {
        let _ = write!(text, "--- {path}\n+++ {path}\n");
    }
    for hunk in hunks {
        let _ = write!(text, "{hunk}");
    }
    text
}

/// The hunks from one text to another.
pub fn hunks(before: &str, after: &str) -> Vec<Hunk> {
    let lines = lines(before, after);
    let changed: Vec<usize> = (0..lines.len())
        .filter(|at| lines[*at].kind != Kind::Same)
        .collect();
    let mut hunks = Vec::new();
    let mut next = 0;
    while let Some(&first) = changed.get(next) {
        let mut last = first;
        while let Some(&other) = changed.get(next)
            && other <= last + 2 * CONTEXT + 1
        {
            last = other;
            next += 1;
        }
        let from = first.saturating_sub(CONTEXT);
        let to = (last + CONTEXT + 1).min(lines.len());
        hunks.push(hunk(&lines, from, to));
    }
    hunks
}

fn hunk(lines: &[DiffLine], from: usize, to: usize) -> Hunk {
    let count = |range: &[DiffLine], without: Kind| {
        range.iter().filter(|line| line.kind != without).count()
    };
    let inside = &lines[from..to];
    let (old_lines, new_lines) = (count(inside, Kind::Added), count(inside, Kind::Removed));
    let (old, new) = (
        count(&lines[..from], Kind::Added),
        count(&lines[..from], Kind::Removed),
    );
    Hunk {
        old_start: old + usize::from(old_lines > 0),
        old_lines,
        new_start: new + usize::from(new_lines > 0),
        new_lines,
        lines: inside.to_vec(),
    }
}

/// All lines of both texts, in order, removed ones before added ones.
pub fn lines(before: &str, after: &str) -> Vec<DiffLine> {
    let old: Vec<&str> = before.split_inclusive('\n').collect();
    let new: Vec<&str> = after.split_inclusive('\n').collect();
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[head..]
        .iter()
        .rev()
        .zip(new[head..].iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    let mut lines: Vec<DiffLine> = old[..head].iter().map(|l| line(Kind::Same, l)).collect();
    middle(&old[head..old_end], &new[head..new_end], &mut lines);
    lines.extend(old[old_end..].iter().map(|l| line(Kind::Same, l)));
    lines
}

fn line(kind: Kind, whole: &str) -> DiffLine {
    let text = whole.strip_suffix('\n');
    DiffLine {
        kind,
        text: text.unwrap_or(whole).to_owned(),
        unterminated: text.is_none(),
    }
}

/// The longest common subsequence, by the table that everybody knows.
fn middle(old: &[&str], new: &[&str], lines: &mut Vec<DiffLine>) {
    if old.len().saturating_mul(new.len()) > MOST_PAIRS {
        lines.extend(old.iter().map(|l| line(Kind::Removed, l)));
        lines.extend(new.iter().map(|l| line(Kind::Added, l)));
        return;
    }
    let width = new.len() + 1;
    // How many lines the rests from (i, j) on have in common.
    let mut common = vec![0_u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = if old[i] == new[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(line(Kind::Same, old[i]));
            i += 1;
            j += 1;
        } else if i < old.len()
            && (j == new.len() || common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            lines.push(line(Kind::Removed, old[i]));
            i += 1;
        } else {
            lines.push(line(Kind::Added, new[j]));
            j += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_prints_what_diff_prints() {
        assert_eq!(unified("f", "a\n", "a\n"), "");
        assert_eq!(
            unified("f", "", "x\ny\n"),
            "--- f\n+++ f\n@@ -0,0 +1,2 @@\n+x\n+y\n"
        );
        assert_eq!(
            unified("f", "1\n2\n3\n4\n5", "1\n2\n3\n4\n5\nx"),
            "--- f\n+++ f\n@@ -2,4 +2,5 @@\n 2\n 3\n 4\n-5\n\\ No newline at end of file\n+5\n+x\n\\ No newline at end of file\n"
        );
        assert_eq!(
            unified(
                "f",
                "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
                "x\n2\n3\n4\n5\n6\n7\n8\ny\n"
            ),
            "--- f\n+++ f\n@@ -1,4 +1,4 @@\n-1\n+x\n 2\n 3\n 4\n@@ -6,4 +6,4 @@\n 6\n 7\n 8\n-9\n+y\n"
        );
    }

    proptest! {
        #[test]
        fn both_texts_are_in_it(before in "([abc]\r?\n){0,12}[ab]?", after in "([abc]\r?\n){0,12}[ab]?") {
            let rebuild = |without: Kind| -> String {
                lines(&before, &after)
                    .iter()
                    .filter(|line| line.kind != without)
                    .flat_map(|line| [line.text.as_str(), if line.unterminated { "" } else { "\n" }])
                    .collect()
            };
            prop_assert_eq!(rebuild(Kind::Added), before.as_str());
            prop_assert_eq!(rebuild(Kind::Removed), after.as_str());
            // The hunks hold every change, and their numbers are those of the texts.
            let changes = |lines: &[DiffLine]| lines.iter().filter(|line| line.kind != Kind::Same).count();
            let hunks = hunks(&before, &after);
            prop_assert_eq!(
                hunks.iter().map(|hunk| changes(&hunk.lines)).sum::<usize>(),
                changes(&lines(&before, &after))
            );
            let old: Vec<&str> = before.lines().collect();
            for hunk in &hunks {
                let first = hunk.lines.iter().find(|line| line.kind != Kind::Added);
                if let Some(first) = first {
                    prop_assert_eq!(first.text.trim_end_matches('\r'), old[hunk.old_start - 1].trim_end_matches('\r'));
                }
            }
        }
    }
}
