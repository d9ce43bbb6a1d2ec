//! Variables that begin as settings do and are none.
//!
//! They may belong to another program of the house, so they are no error. A mistyped one would
//! silently mean the default, so each is named with what it may have been meant for.

use std::ffi::OsString;

use super::reference::{SETTINGS, nearest};

const PREFIX: &str = "SNOWBANK_";

/// Variables of the program that are not settings.
const OTHERS: &[&str] = &["config", "log", "log_format", "ui_dir"];

/// What the build, the tests and the benchmarks call theirs.
const WORKSHOP: &[&str] = &[
    "bin",
    "tools",
    "garage",
    "vectors",
    "screenshots",
    "lighthouse",
    "skip",
    "skip_frontend",
    "fx5_paths",
];
const WORKSHOP_BEGINS: &[&str] = &["bench_", "figures_", "test_"];

/// A line for each variable that is neither a setting nor otherwise known.
pub fn unknown_variables(environment: impl IntoIterator<Item = OsString>) -> Vec<String> {
    let mut unknown: Vec<String> = environment
        .into_iter()
        .filter_map(|name| explained(name.to_str()?))
        .collect();
    unknown.sort_unstable();
    unknown
}

/// What is wrong with a variable's name; `None` where it is known, or not ours.
fn explained(name: &str) -> Option<String> {
    let lower = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
    let (top, below) = match lower.split_once("__") {
        Some((top, below)) => (top, Some(below)),
        None => (lower.as_str(), None),
    };
    let mut known: Vec<&str> = SETTINGS
        .iter()
        .filter_map(|setting| setting.key.split('.').next())
        .collect();
    known.extend(OTHERS);
    known.dedup();
    let of_workshop = WORKSHOP.contains(&lower.as_str())
        || WORKSHOP_BEGINS.iter().any(|begin| lower.starts_with(begin));
    if known.contains(&top) || of_workshop {
        return None;
    }
    let has_tables = |top: &&str| lower.starts_with(&format!("{top}_"));
    let hint = if below.is_none() && ["caches", "oidc", "state"].iter().any(has_tables) {
        ": each dot of a key is `__`, as in SNOWBANK_CACHES__TEAM__BUCKET".to_owned()
    } else if let Some(near) = nearest(top, &known) {
        let below = below.map(|below| format!("__{below}")).unwrap_or_default();
        let meant = format!("{near}{below}").to_ascii_uppercase();
        format!(": did you mean {PREFIX}{meant}?")
    } else {
        String::new()
    };
    Some(format!(
        "the variable {} is no setting and is ignored{hint}",
        name.escape_debug()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_variables_are_named_with_what_was_meant() {
        for (name, meant) in [
            ("SNOWBANK_LISEN", ": did you mean SNOWBANK_LISTEN?"),
            ("SNOWBANK_DATADIR", ": did you mean SNOWBANK_DATA_DIR?"),
            (
                "SNOWBANK_CACHE__TEAM__BUCKET",
                ": did you mean SNOWBANK_CACHES__TEAM__BUCKET?",
            ),
            (
                "SNOWBANK_CACHES_TEAM_BUCKET",
                ": each dot of a key is `__`, as in SNOWBANK_CACHES__TEAM__BUCKET",
            ),
            ("SNOWBANK_LOGS", ": did you mean SNOWBANK_LOG?"),
            ("SNOWBANK_WHATEVER_ELSE", ""),
        ] {
            assert_eq!(
                unknown_variables([name.into()]),
                [format!(
                    "the variable {name} is no setting and is ignored{meant}"
                )]
            );
        }
    }

    #[test]
    fn known_variables_and_those_of_others_are_not_named() {
        let names = [
            "HOME",
            "SNOWBANKS",
            "SNOWBANK_LISTEN",
            "SNOWBANK_CONFIG",
            "SNOWBANK_LOG_FORMAT",
            "SNOWBANK_UI_DIR",
            "SNOWBANK_STATE__BUCKET",
            // Refused later, with the rest of what is unknown below a table.
            "SNOWBANK_CACHES__T__BUKET",
            "SNOWBANK_BIN",
            "SNOWBANK_TOOLS",
            "SNOWBANK_SKIP",
            "SNOWBANK_SKIP_FRONTEND",
            "SNOWBANK_TEST_KILLED_FOLDER",
            "SNOWBANK_BENCH_S3",
        ];
        assert_eq!(
            unknown_variables(names.map(OsString::from)),
            Vec::<String>::new()
        );
    }
}
