//! `snowbank state`, as an operator runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use snowbank::secrets::StateSecret;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a folder"));
        let settings = format!(
            "data_dir = '{0}/data'\n[caches.main]\nfolder = '{0}/cache'\n",
            place.0.path().display()
        );
        fs::write(place.path("s.toml"), settings).expect("a file");
        fs::create_dir(place.path("cache")).expect("a folder");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn state(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_snowbank"))
            .arg("state")
            .args(arguments)
            .arg("--config")
            .arg(self.path("s.toml"))
            .output()
            .expect("the program runs")
    }

    /// What it prints, where it succeeds.
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.state(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Both outputs, where it fails.
    fn failed(&self, arguments: &[&str]) -> String {
        let output = self.state(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        let both = [output.stdout, output.stderr].concat();
        String::from_utf8(both).expect("text")
    }
}

const LINES: &str = r#"{"line":"export","version":1,"server":"x","at":1}
{"line":"record","path":"members/ada","at":1,"author":"x","record":{"name":"Ada"}}
{"line":"record","path":"caches/main/pins/p","at":1,"author":"x","record":{"path":"hello"}}
{"line":"tombstone","path":"members/eve","author":"x","reason":"left"}
"#;

#[test]
fn a_state_is_restored_checked_saved_and_rekeyed() {
    let place = Place::new();
    let file = place.path("export.ndjson");
    let name = file.to_str().expect("text");
    // Nothing is begun by looking.
    assert!(place.failed(&["check"]).contains("state.secret"));
    fs::write(&file, LINES).expect("a file");
    let text = place.done(&["import", name]);
    assert!(text.starts_with("2 made, 0 replaced, 0 left"), "{text}");
    let text = place.done(&["check"]);
    assert!(text.contains("records    3"), "{text}");
    assert!(text.contains("everything can be believed"), "{text}");

    let saved = place.path("saved.ndjson");
    place.done(&["export", "--out", saved.to_str().expect("text")]);
    let text = fs::read_to_string(&saved).expect("a file");
    assert_eq!(text.lines().count(), 4);
    assert!(text.contains(r#""record":{"name":"Ada"}"#), "{text}");
    assert_eq!(mode(&saved), 0o600);
    let again = place.failed(&["export", "--out", saved.to_str().expect("text")]);
    assert!(again.contains("is left as it is"), "{again}");

    let secret = place.path("data/state.secret");
    let old = StateSecret::parse(&fs::read_to_string(&secret).expect("a file")).expect("a secret");
    let newer = StateSecret::generate("k2").expect("random");
    fs::write(&secret, old.led_by(&newer).to_text()).expect("a file");
    assert!(place.done(&["check"]).contains("under an older key"));
    let text = place.done(&["rekey"]);
    assert!(text.contains("can be removed"), "{text}");
    fs::write(&secret, newer.to_text()).expect("a file");
    let text = place.done(&["check"]);
    assert!(text.contains("everything can be believed"), "{text}");
    assert!(!text.contains("older key"), "{text}");
    fs::write(&secret, old.to_text()).expect("a file");
    let refused = place.failed(&["check"]);
    assert!(refused.contains("the key `k2`"), "{refused}");
}

#[test]
fn lists_and_trash_are_saved_and_restored_with_the_records() {
    let place = Place::new();
    let file = place.path("export.ndjson");
    let name = file.to_str().expect("text");
    let long = "x".repeat(3 << 20);
    let bundle = |name: &str, content: &str| {
        format!(r#"{{"line":"bundle","cache":"main","name":"{name}","content":["{content}"]}}"#)
    };
    let list = bundle("plans/p1/00000", "a path");
    let trash = bundle("trash/r1/00000-00000", &long);
    let (first, rest) = LINES.split_once('\n').expect("lines");
    let text = format!("{}\n{list}\n{trash}\n{rest}", first.replace(":1", ":2"));
    fs::write(&file, &text).expect("a file");
    let said = place.done(&["import", name]);
    assert!(
        said.contains("2 parts of lists and trash written"),
        "{said}"
    );
    let said = place.done(&["import", name]);
    assert!(
        said.contains("0 parts of lists and trash written"),
        "{said}"
    );
    let saved = place.path("saved.ndjson");
    place.done(&["export", "--out", saved.to_str().expect("text")]);
    let saved = fs::read_to_string(&saved).expect("a file");
    let lines: Vec<&str> = saved.lines().collect();
    assert_eq!((lines.len(), lines[1], lines[2]), (6, &*list, &*trash));
    assert_eq!(place.done(&["export"]).lines().count(), 6);

    // What is no place of a bundle is none.
    for odd in [
        "plans/../../records/x",
        "receipts/a",
        "trash//x",
        "trash/.x",
    ] {
        fs::write(&file, text.replace("plans/p1/00000", odd)).expect("a file");
        let failed = place.failed(&["import", name]);
        assert!(failed.contains("no part of a plan"), "{odd}: {failed}");
    }
    // One that does not open is left out, and that is said.
    let trash = place.path("cache/.snowbank/caches/main/trash/r1/00000-00000");
    fs::write(&trash, "rubbish").expect("a file");
    let failed = place.failed(&["export"]);
    assert!(failed.contains("1 records or parts"), "{failed}");
    assert_eq!(failed.lines().count(), 6, "{failed}");
}

#[test]
fn what_cannot_be_believed_is_named_and_settled() {
    let place = Place::new();
    let file = place.path("export.ndjson");
    fs::write(&file, LINES).expect("a file");
    place.done(&["import", file.to_str().expect("text")]);
    let record = place.path("cache/.snowbank/records/caches/main/pins/p");
    fs::write(&record, "rubbish").expect("a file");
    let text = place.failed(&["check"]);
    assert!(
        text.contains("FINDING    caches/main/pins/p: it is not sealed"),
        "{text}"
    );
    let text = place.done(&["check", "--settle", "caches/main/pins/p"]);
    assert!(text.contains("settled    caches/main/pins/p"), "{text}");
    assert!(text.contains("everything can be believed"), "{text}");
    let nothing = place.failed(&["check", "--settle", "members/ada"]);
    assert!(nothing.contains("members/ada"), "{nothing}");
}

#[test]
fn rubbish_is_not_imported_and_its_line_is_named() {
    let place = Place::new();
    let file = place.path("export.ndjson");
    for (text, says) in [
        ("", "is empty"),
        ("hello\n", "line 1"),
        (&LINES[LINES.find('\n').expect("lines") + 1..], "line 1"),
        (&format!("{LINES}{LINES}"), "line 5"),
        (&LINES.replace("\"version\":1", "\"version\":3"), "form 3"),
        (&LINES.replace("members/ada", "../ada"), "line 2"),
    ] {
        fs::write(&file, text).expect("a file");
        let failed = place.failed(&["import", file.to_str().expect("text")]);
        assert!(failed.contains(says), "{says}: {failed}");
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}
