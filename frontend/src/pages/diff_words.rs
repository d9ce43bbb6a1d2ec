//! What differs between two closures, in words: the sentence of the page, and what is copied of it.
//! Pure, so that it is tested natively.

use snowbank_shared::api::{Diff, DiffKind, DiffRow};
use snowbank_shared::size::{change, growth};
use snowbank_shared::table::push_markdown;

use crate::format;

/// `1.42 → 1.51 GiB`, or with both units where they differ.
fn from_to(before: u64, after: u64) -> String {
    let (before, after) = (format::size(before), format::size(after));
    match (before.split_once(' '), after.split_once(' ')) {
        (Some((number, unit)), Some((_, other))) if unit == other => format!("{number} → {after}"),
        _ => format!("{before} → {after}"),
    }
}

/// The one less the other, within what a signed number holds.
pub fn difference(before: u64, after: u64) -> i64 {
    let far = i64::try_from(before.abs_diff(after)).unwrap_or(i64::MAX);
    if after >= before { far } else { -far }
}

/// `812 → 820 paths; closure 1.42 → 1.51 GiB (+92.0 MiB, +6.5 %); to upgrade a machine that has
/// the left: ` and, apart, `214 MiB download`.
pub fn summary(diff: &Diff) -> (String, String) {
    let (from, to) = (&diff.from, &diff.to);
    let delta = change(difference(from.nar_size, to.nar_size));
    let grown = match growth(from.nar_size, to.nar_size) {
        Some(percent) => format!("{delta}, {percent}"),
        None => delta,
    };
    let words = format!(
        "{} → {}; closure {} ({grown}); to upgrade a machine that has the left: ",
        format::count(from.paths),
        format::counted(to.paths, "path", "paths"),
        from_to(from.nar_size, to.nar_size),
    );
    let download = match diff.download {
        Some(bytes) => format!("{} download", format::size(bytes)),
        None => "a download of unknown size".to_owned(),
    };
    (words, download)
}

/// The word of a section.
pub const fn word(kind: DiffKind) -> &'static str {
    match kind {
        DiffKind::Upgraded => "Upgraded",
        DiffKind::Downgraded => "Downgraded",
        DiffKind::Added => "Added",
        DiffKind::Removed => "Removed",
        DiffKind::Rebuilt => "Rebuilt",
    }
}

/// Versions in one line; a dash where there is none.
pub fn versions(versions: &[String]) -> String {
    if versions.is_empty() {
        return "—".to_owned();
    }
    let words = versions.iter().map(|version| match version.as_str() {
        "" => "no version",
        version => version,
    });
    words.collect::<Vec<_>>().join(", ")
}

/// `±0 B`, or that it is not known.
pub fn change_or(bytes: Option<i64>) -> String {
    bytes.map_or_else(|| "unknown".to_owned(), change)
}

/// The order of the rows of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By how much they change the unpacked size, most first.
    Nar,
    /// By how much they change the download size, most first.
    Download,
    /// By name.
    Name,
}

impl Order {
    /// All, with the value and the word of each.
    pub const ALL: [(Self, &'static str, &'static str); 3] = [
        (Self::Nar, "nar", "|Δ NAR|"),
        (Self::Download, "download", "|Δ download|"),
        (Self::Name, "name", "Name"),
    ];
}

/// The rows of a kind whose names hold `wanted`, in an order.
pub fn rows<'a>(diff: &'a Diff, kind: DiffKind, wanted: &str, order: Order) -> Vec<&'a DiffRow> {
    let wanted = wanted.trim().to_ascii_lowercase();
    let of_kind = diff.items.iter().filter(|row| row.kind == kind);
    let mut rows: Vec<&DiffRow> = of_kind
        .filter(|row| row.name.to_ascii_lowercase().contains(&wanted))
        .collect();
    let far = |row: &DiffRow| match order {
        Order::Nar => row.nar_delta.unsigned_abs(),
        // What is not known is not small.
        Order::Download => row.file_delta.map_or(u64::MAX, i64::unsigned_abs),
        Order::Name => 0,
    };
    // Those that are alike stay by name.
    rows.sort_by_key(|row| std::cmp::Reverse(far(row)));
    rows
}

/// A store path without its folder.
fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// All of it as Markdown, with one table, as GitHub draws it.
pub fn markdown(diff: &Diff, address: &str) -> String {
    let mut out = format!(
        "### `{}` → `{}`\n\n",
        base(&diff.from.path),
        base(&diff.to.path)
    );
    let (words, download) = summary(diff);
    out.push_str(&format!("{words}**{download}**.\n"));
    if !diff.items.is_empty() {
        out.push_str("\n| Change | Package | Left | Right | Δ NAR | Δ download |\n| --- | --- | --- | --- | ---: | ---: |\n");
    }
    for kind in DiffKind::ALL {
        for row in rows(diff, kind, "", Order::Nar) {
            let cells = [
                kind.as_str().to_owned(),
                row.name.clone(),
                versions(&row.from_versions),
                versions(&row.to_versions),
                change(row.nar_delta),
                change_or(row.file_delta),
            ];
            for cell in cells {
                out.push_str("| ");
                push_markdown(&cell, &mut out);
                out.push(' ');
            }
            out.push_str("|\n");
        }
    }
    out.push_str(&format!("\n[The same in the cache's console]({address})\n"));
    out
}

/// All of it as lines, such as `nix store diff-closures` prints them.
pub fn text(diff: &Diff) -> String {
    let (words, download) = summary(diff);
    let mut out = format!(
        "{} → {}\n{words}{download}.\n",
        base(&diff.from.path),
        base(&diff.to.path)
    );
    for kind in DiffKind::ALL {
        let rows = rows(diff, kind, "", Order::Name);
        if rows.is_empty() {
            continue;
        }
        out.push_str(&format!("\n{}:\n", word(kind)));
        for row in rows {
            let line = format!(
                "  {}: {} → {}, {}\n",
                row.name,
                versions(&row.from_versions),
                versions(&row.to_versions),
                change(row.nar_delta)
            );
            out.push_str(&line);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use snowbank_shared::api::DiffSide;

    use super::*;

    fn row(kind: DiffKind, name: &str, from: &[&str], to: &[&str], delta: i64) -> DiffRow {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        DiffRow {
            kind,
            name: name.to_owned(),
            from_versions: owned(from),
            to_versions: owned(to),
            from_hashes: Vec::new(),
            to_hashes: Vec::new(),
            nar_delta: delta,
            file_delta: Some(delta / 2),
            download: Some(0),
        }
    }

    fn diff() -> Diff {
        let side = |path: &str, paths, nar_size| DiffSide {
            path: format!("/nix/store/{path}"),
            paths,
            nar_size,
            file_size: None,
        };
        Diff {
            from: side("aaa-system-1", 812, 1_524_713_390),
            to: side("bbb-system-2", 820, 1_621_182_382),
            common: 700,
            new_nar_size: 5,
            download: Some(224_395_264),
            items: vec![
                row(DiffKind::Upgraded, "a|b", &["1.9"], &["1.10"], 10),
                row(
                    DiffKind::Upgraded,
                    "openssl",
                    &["3.0.13"],
                    &["3.0.14"],
                    -12_595,
                ),
                row(DiffKind::Added, "more", &[], &[""], 300),
            ],
            revision: "1".to_owned(),
        }
    }

    #[test]
    fn the_sentence_says_paths_sizes_and_the_download() {
        let (words, download) = summary(&diff());
        assert_eq!(
            words,
            "812 → 820 paths; closure 1.42 → 1.51 GiB (+92.0 MiB, +6.3 %); to upgrade a machine that has the left: "
        );
        assert_eq!(download, "214 MiB download");
        assert_eq!(from_to(1023, 2048), "1023 B → 2.00 KiB");
    }

    #[test]
    fn rows_come_by_how_much_they_change_and_can_be_filtered() {
        let diff = diff();
        let names = |wanted: &str, order| -> Vec<&str> {
            let found = rows(&diff, DiffKind::Upgraded, wanted, order);
            found.into_iter().map(|row| row.name.as_str()).collect()
        };
        assert_eq!(names("", Order::Nar), ["openssl", "a|b"]);
        assert_eq!(names("", Order::Name), ["a|b", "openssl"]);
        assert_eq!(names(" SSL", Order::Download), ["openssl"]);
    }

    #[test]
    fn the_markdown_is_one_table_with_as_many_cells_in_each_row() {
        let text = markdown(&diff(), "https://cache/c/main/diff/x");
        let table: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(table.len(), 5, "{text}");
        for line in &table {
            assert_eq!(line.replace("\\|", "").matches('|').count(), 7, "{line}");
        }
        assert!(table[1].chars().all(|c| "|-: ".contains(c)));
        assert_eq!(
            table[2],
            "| upgraded | openssl | 3.0.13 | 3.0.14 | −12.3 KiB | −6.15 KiB |"
        );
        assert_eq!(
            table[4],
            "| added | more | — | no version | +300 B | +150 B |"
        );
        assert!(text.contains("**214 MiB download**"));
    }

    #[test]
    fn the_text_has_a_line_for_each_package() {
        let text = text(&diff());
        assert!(text.contains("Upgraded:\n  a|b: 1.9 → 1.10, +10 B\n"));
        assert!(text.contains("  openssl: 3.0.13 → 3.0.14, −12.3 KiB\n"));
        assert!(!text.contains("Removed"));
    }
}
