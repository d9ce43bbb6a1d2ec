use proptest::prelude::*;

use super::*;
use crate::nix_conf::effective::{Included, Layer};
use crate::nix_conf::remove::remove;

const URL: &str = "https://cache.example.com/team";
const KEY: &str = "team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=";
const NIXOS_KEY: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
const PAGE: &str = "https://console.example.com/c/team";
const BLOCK: &str = "# >>> nix cache: team (https://console.example.com/c/team) >>>
extra-substituters = https://cache.example.com/team
extra-trusted-public-keys = team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=
# <<< nix cache: team <<<
";

fn team() -> Addition {
    let url = URL.parse().expect("a URL");
    let settings = ClientSettings::new(url, [KEY.parse().expect("a key")]);
    Addition::new(settings, "team", PAGE)
}

/// The same name, other bytes.
fn other_key() -> String {
    let key = crate::signature::SecretKey::generate("team-1", [7; 32]).expect("a name");
    key.public_key().to_string()
}

fn merged(text: &str) -> Merged {
    merge(text, &team(), OnConflict::Ask, &Surroundings::default())
}

fn removed(text: &str) -> Merged {
    remove(text, &team(), &Surroundings::default())
}

#[test]
fn an_empty_file_gets_the_golden_block() {
    let result = merged("");
    assert_eq!(result.text, BLOCK);
    assert_eq!(result.outcome, Outcome::Changed);
    assert_eq!(removed(BLOCK).text, "");
    // The page's own lines are the same block.
    assert_eq!(team().settings.nix_conf_block("team", PAGE), BLOCK);
}

#[test]
fn lines_that_last_are_extended_and_others_are_not() {
    let key = format!("extra-trusted-public-keys = {NIXOS_KEY}");
    let before = format!("extra-substituters = A  # mine\n{key}\nmax-jobs = 4\n");
    let after = format!("extra-substituters = A {URL}  # mine\n{key} {KEY}\nmax-jobs = 4\n");
    let result = merged(&before);
    assert_eq!(result.text, after);
    assert!(
        result
            .changes
            .iter()
            .all(|change| change.what == What::Appended)
    );
    for lost in [
        format!("{before}substituters = B\n"),
        format!("{before}include more.conf\n"),
        format!("{before}!include more.conf\n"),
        "extra-substituters = A\n".to_owned(),
        format!("extra-substituters =\n{key}\n"),
        // Half of it is there: a block, so that a removal knows which half.
        format!("{key}\nextra-substituters = A {URL}\n"),
        format!("substituters = {URL}\n{before}substituters = B\n"),
    ] {
        let result = merged(&lost);
        assert!(result.text.starts_with(&lost), "{}", result.text);
        assert!(result.text.ends_with("# <<< nix cache: team <<<\n"));
        assert_eq!(removed(&result.text).text, lost);
    }
}

#[test]
fn what_is_in_force_is_not_written_again() {
    for text in [
        format!("substituters = {URL}/\r\ntrusted-public-keys = {KEY}"),
        format!(
            "extra-binary-caches = HTTPS://Cache.Example.com/team?priority=10\nextra-trusted-public-keys = a {KEY}\n"
        ),
        format!("{BLOCK}max-jobs = 3\n"),
    ] {
        let result = merged(&text);
        assert_eq!(
            (result.text.as_str(), result.outcome),
            (text.as_str(), Outcome::AlreadySet)
        );
    }
    // In the system's file, for the user's.
    let around = Surroundings {
        before: &[Layer {
            name: "/etc/nix/nix.conf",
            text: BLOCK,
        }],
        ..Surroundings::default()
    };
    let result = merge("max-jobs = 1\n", &team(), OnConflict::Ask, &around);
    assert_eq!(result.outcome, Outcome::AlreadySet);
    // In an included file that can be seen.
    let includes = |_: &str, _: &str| Included::Text {
        name: "b".to_owned(),
        text: BLOCK.to_owned(),
    };
    let around = Surroundings {
        includes: &includes,
        ..Surroundings::default()
    };
    let result = merge("include b\n", &team(), OnConflict::Ask, &around);
    assert_eq!(result.outcome, Outcome::AlreadySet);
}

#[test]
fn a_block_is_brought_up_to_date_in_its_place() {
    let mut addition = team();
    let next = crate::signature::SecretKey::generate("team-2", [9; 32]).expect("a name");
    let next = next.public_key();
    addition.settings = ClientSettings::new(URL.parse().expect("a URL"), [next.clone()]);
    let text = format!("a = b\n{BLOCK}c = d\n");
    let around = Surroundings::default();
    let result = merge(&text, &addition, OnConflict::Ask, &around);
    assert_eq!(result.text, text.replace(KEY, &next.to_string()));
    assert_eq!(result.changes[0].what, What::Updated);
    // A plain line after it: at the end.
    let lost = format!("{BLOCK}substituters = B\n");
    let result = merged(&lost);
    assert_eq!(result.text, format!("substituters = B\n{BLOCK}"));
    // Lines that somebody put into it stay.
    let inside = BLOCK.replace("# <<<", "max-jobs = 9\n# mine\n# <<<");
    let result = merge(&inside, &addition, OnConflict::Ask, &around);
    assert_eq!(result.text, inside.replace(KEY, &next.to_string()));
    assert_eq!(
        remove(&inside, &addition, &around).text,
        "max-jobs = 9\n# mine\n"
    );
    assert_eq!(
        remove(&format!("x = y\n{}", inside.trim_end()), &addition, &around).text,
        "x = y\nmax-jobs = 9\n# mine"
    );
    // Another cache's block is another's, whatever it is called.
    let foreign = BLOCK
        .replace("/c/team", "/c/other")
        .replace(URL, "https://other");
    let result = merged(&foreign);
    assert!(result.text.starts_with(&foreign), "{}", result.text);
    assert_eq!(removed(&result.text).text, foreign);
}

#[test]
fn values_of_others_in_the_block_stay_and_the_options_go_with_it() {
    let options = "connect-timeout = 5\nfallback = true\nnarinfo-cache-negative-ttl = 1\n# <<<";
    let block = BLOCK.replace("# <<<", options);
    let theirs = "extra-substituters = https://theirs.example\n";
    let inside = block.replace(URL, &format!("{URL} https://theirs.example"));
    assert_eq!(merged(&inside).outcome, Outcome::AlreadySet);
    assert_eq!(removed(&inside).text, theirs);
    assert_eq!(
        removed(&format!("x = y\n{}", inside.trim_end())).text,
        format!("x = y\n{}", theirs.trim_end())
    );
    // Not what we write.
    let longer = inside.replace("connect-timeout = 5", "connect-timeout = 9");
    assert_eq!(
        removed(&longer).text,
        format!("{theirs}connect-timeout = 9\n")
    );
    // The key before ours goes, another's stays behind the block.
    let old = crate::signature::SecretKey::generate("team-0", [7; 32]).expect("a name");
    let old = format!("{} {NIXOS_KEY}", old.public_key());
    let stale = inside.replace(KEY, &old);
    let carried = format!("{theirs}extra-trusted-public-keys = {NIXOS_KEY}\n");
    let expected = format!("{block}{carried}");
    assert_eq!(merged(&stale).text, expected);
    assert_eq!(merged(stale.trim_end()).text, expected.trim_end());
    assert_eq!(merged(&expected).outcome, Outcome::AlreadySet);
    assert_eq!(removed(&expected).text, carried);
    let windows = stale.replace('\n', "\r\n");
    assert_eq!(merged(&windows).text, expected.replace('\n', "\r\n"));
    // Where no key is known, all of the block are the cache's.
    let mut keyless = team();
    keyless.settings = ClientSettings::new(URL.parse().expect("a URL"), []);
    let without = remove(&stale, &keyless, &Surroundings::default());
    assert_eq!(without.text, theirs);
}

#[test]
fn lines_that_people_copied_in_are_taken_out_too() {
    let lines = team().settings.nix_conf();
    assert_eq!(
        removed(&format!("a = b\n{lines}c = d\n")).text,
        "a = b\nc = d\n"
    );
    let text = format!("extra-substituters = {URL} A {URL}/  B\nsubstituters = {URL}\n");
    let result = removed(&text);
    assert_eq!(
        result.text,
        format!("extra-substituters = A  B\nsubstituters = {URL}\n")
    );
    assert!(result.remains);
    assert_eq!(removed("a = b").outcome, Outcome::NothingToRemove);
}

#[test]
fn two_keys_of_one_name_wait_for_a_choice() {
    let theirs = other_key();
    let text = format!("extra-trusted-public-keys = x {theirs} # theirs\n");
    let around = Surroundings::default();
    let Outcome::Conflict(conflicts) = merged(&text).outcome else {
        panic!("a conflict");
    };
    assert_eq!(
        (conflicts[0].theirs.as_str(), conflicts[0].origin.line),
        (theirs.as_str(), 1)
    );
    let kept = merge(&text, &team(), OnConflict::KeepTheirs, &around);
    assert!(
        !kept.text.contains(KEY) && kept.text.contains(URL),
        "{}",
        kept.text
    );
    let ours = merge(&text, &team(), OnConflict::UseOurs, &around);
    assert!(
        ours.text
            .starts_with(&format!("extra-trusted-public-keys = x {KEY} # theirs\n"))
    );
    assert_eq!(
        merge(&ours.text, &team(), OnConflict::Ask, &around).outcome,
        Outcome::AlreadySet
    );
    // In a file that we do not edit nothing can be chosen.
    let around = Surroundings {
        before: &[Layer {
            name: "/etc/nix/nix.conf",
            text: &text,
        }],
        ..around
    };
    let result = merge("", &team(), OnConflict::UseOurs, &around);
    assert!(matches!(result.outcome, Outcome::Conflict(_)));
    assert_eq!(result.text, "");
    // Of two own keys with one name only the first is written: the other is never used.
    let mut twice = team();
    let keys = [KEY.parse().expect("a key"), theirs.parse().expect("a key")];
    twice.settings = ClientSettings::new(URL.parse().expect("a URL"), keys);
    let result = merge("", &twice, OnConflict::Ask, &Surroundings::default());
    assert_eq!(result.text, BLOCK);
}

#[test]
fn files_that_others_write_are_recognised() {
    for (text, owner) in [
        (
            "# WARNING: this file is generated from the nix.* options in\n# your NixOS configuration, typically\n# /etc/nixos/configuration.nix.  Do not edit it!\nx = y\n",
            Owner::NixOs,
        ),
        (
            "# WARNING: this file is generated from the nix.* options in\n# your nix-darwin configuration. Do not edit it!\n",
            Owner::NixDarwin,
        ),
        (
            "# WARNING: this file is generated from the nix.settings option in\n# your Home Manager configuration at $XDG_CONFIG_HOME/nix/nix.conf. Do not edit it!\n",
            Owner::HomeManager,
        ),
        (
            "\n#  DETERMINATE NIX CONFIG\n# do not modify!\n",
            Owner::Determinate,
        ),
    ] {
        let result = merged(text);
        assert_eq!(
            (result.text.as_str(), result.outcome),
            (text, Outcome::Owned(owner))
        );
    }
    assert_eq!(
        Owner::of("x = y\n# generated from the nix.* options\n"),
        None
    );
}

#[test]
fn each_part_writes_its_lines() {
    for (part, names) in [
        (
            Part::Admin,
            &["extra-trusted-substituters", "extra-trusted-public-keys"][..],
        ),
        (Part::User, &["extra-substituters"]),
    ] {
        let addition = Addition { part, ..team() };
        let around = Surroundings::default();
        let result = merge("x = y", &addition, OnConflict::Ask, &around);
        let written: Vec<&str> = result
            .text
            .lines()
            .skip(2)
            .map(|l| l.split(' ').next().unwrap_or(""))
            .collect();
        assert_eq!(written[..written.len() - 1], *names);
        assert_eq!(remove(&result.text, &addition, &around).text, "x = y");
    }
}

/// Files as people have them, with our cache in some of them.
pub fn a_file() -> impl Strategy<Value = String> {
    let value = prop::sample::select(vec![
        "https://a.example".to_owned(),
        "https://b.example/".to_owned(),
        "https://cache.nixos.org".to_owned(),
        URL.to_owned(),
        "HTTPS://cache.EXAMPLE.com/team/?priority=3".to_owned(),
        KEY.to_owned(),
        NIXOS_KEY.to_owned(),
        other_key(),
        "#comment".to_owned(),
        "\"quoted\"".to_owned(),
    ]);
    let name = prop::sample::select(vec![
        "substituters",
        "extra-substituters",
        "extra-substituters",
        "extra-binary-caches",
        "trusted-public-keys",
        "extra-trusted-public-keys",
        "extra-trusted-public-keys",
        "trusted-substituters",
        "max-jobs",
        "extra-substitutors",
    ]);
    let blank = prop::sample::select(vec![" ", " ", " ", "  ", "\t"]);
    let setting = (
        name,
        blank.clone(),
        prop::collection::vec((blank, value), 0..4),
        "( |\t|  # x)?",
    )
        .prop_map(|(name, blank, values, tail)| {
            let values: String = values.iter().map(|(b, v)| format!("{b}{v}")).collect();
            format!("{name}{blank}={values}{tail}")
        });
    let line = prop_oneof![
        6 => setting,
        1 => prop::sample::select(vec![
            "", "# a comment", "include other.conf", "!include other.conf", "substituters=B", "x \\",
            "# >>> nix cache: team (https://console.example.com/c/team) >>>",
            "# >>> nix cache: other (https://elsewhere/c/other) >>>", "# <<< nix cache: other <<<",
        ]).prop_map(str::to_owned),
    ];
    (
        prop::collection::vec(line, 0..8),
        prop::bool::ANY,
        prop::bool::ANY,
        prop::sample::select(vec!["", "", "", "\u{feff}"]),
    )
        .prop_map(|(lines, crlf, terminated, bom)| {
            let end = if crlf { "\r\n" } else { "\n" };
            let mut text = format!("{bom}{}", lines.join(end));
            if terminated && !lines.is_empty() {
                text.push_str(end);
            }
            text
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn merging_twice_is_merging_once_and_removing_is_the_inverse(
        text in a_file(),
        on_conflict in prop::sample::select(vec![OnConflict::Ask, OnConflict::KeepTheirs, OnConflict::UseOurs]),
        part in prop::sample::select(vec![Part::Whole, Part::Admin, Part::User]),
    ) {
        let addition = Addition { part, ..team() };
        let around = Surroundings::default();
        let once = merge(&text, &addition, on_conflict, &around);
        match &once.outcome {
            Outcome::Changed => {}
            Outcome::AlreadySet | Outcome::Conflict(_) => {
                prop_assert_eq!(&once.text, &text);
                return Ok(());
            }
            other => prop_assert!(false, "{:?}", other),
        }
        let twice = merge(&once.text, &addition, on_conflict, &around);
        prop_assert_eq!(&twice.text, &once.text);
        // Now it is in force.
        let effective = around.effective(&once.text);
        for wanted in addition.wanted() {
            let there = effective.texts(wanted.setting);
            let all = wanted.values.iter().all(|value| there.iter().any(|there| {
                compared(wanted.setting, there) == compared(wanted.setting, value)
            }));
            prop_assert!(all || on_conflict == OnConflict::KeepTheirs, "{} lacks {:?}", once.text, wanted);
        }
        // Lines of others are all there, in their order.
        let had_block = block::of(&Document::parse(&text), &addition).is_some();
        let replaced = once.changes.iter().any(|change| change.what == What::Replaced);
        if !had_block && !replaced {
            prop_assert_eq!(&remove(&once.text, &addition, &around).text, &text);
        }
        // The difference is small: no line of others is in it but those that were extended.
        if !had_block && !replaced {
            let gone = super::super::diff::lines(&text, &once.text)
                .into_iter()
                .filter(|line| line.kind == super::super::diff::Kind::Removed)
                .count();
            prop_assert!(gone <= 2, "{gone} lines changed");
        }
    }

    #[test]
    fn removing_twice_is_removing_once_where_there_is_no_block(text in a_file()) {
        let once = removed(&text);
        if block::of(&Document::parse(&text), &team()).is_none() {
            prop_assert_eq!(&removed(&once.text).text, &once.text);
        }
    }
}
