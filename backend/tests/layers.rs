//! Each module of the server uses only what stands below it.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules, lowest first. Those of one line do not use each other.
const LAYERS: &[&str] = &[
    "bucket",
    "index",
    "secrets",
    "ledger",
    "sync",
    "config",
    "outbound",
    "auth",
    "wizard",
    "upstream",
    "withheld",
    "condemned",
    "usage",
    "metrics",
    "web",
    "archive",
    "sizes",
    "site",
    "substituter",
    "pins",
    "verify",
    "signing",
    "intake",
    "retention",
    "api",
    "ui",
    "server",
    "demo",
    "bench_data",
    "cli",
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Modules named behind `crate::` in a source, with their lines.
fn named(source: &str) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    for (number, line) in source.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for (at, _) in code.match_indices("crate::") {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|character| character.is_alphanumeric() || character == '_') {
                continue;
            }
            let rest = &code[at + "crate::".len()..];
            let heads = match rest.strip_prefix('{') {
                // A group: the head of each of its items, where it ends on this line.
                Some(group) => group.split([',', '}']).map(str::trim).map(head).collect(),
                None => vec![head(rest)],
            };
            named.extend(
                heads
                    .into_iter()
                    .filter(|name| !name.is_empty())
                    .map(|name| (number + 1, name)),
            );
        }
    }
    named
}

fn head(path: &str) -> String {
    path.chars()
        .take_while(|character| character.is_alphanumeric() || *character == '_')
        .collect()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|known| *known == module)
}

#[test]
fn each_module_uses_only_what_stands_below_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut wrong = Vec::new();
    let mut uses = 0;
    for file in files {
        let relative = file.strip_prefix(&root).expect("below src");
        let module = relative
            .iter()
            .next()
            .and_then(|part| part.to_str())
            .expect("text")
            .trim_end_matches(".rs");
        if matches!(module, "lib" | "main") {
            continue;
        }
        let own = layer(module)
            .unwrap_or_else(|| panic!("`{module}` has no place in the order of the modules"));
        let source = fs::read_to_string(&file).expect("a source");
        for (line, name) in named(&source) {
            uses += 1;
            match layer(&name) {
                Some(used) if used <= own => {}
                Some(_) => wrong.push(format!(
                    "{}:{line}: {module} uses {name}, which stands above it",
                    relative.display()
                )),
                None => wrong.push(format!(
                    "{}:{line}: `crate::{name}` is no module",
                    relative.display()
                )),
            }
        }
    }
    assert!(
        uses > 50,
        "only {uses} uses found: the reading of sources is broken"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn uses_are_found_in_every_spelling() {
    let found: Vec<String> = named(
        "use crate::bucket::Bucket;\nlet x = crate::index::Index::open();\nuse crate::{auth, web::Body};\n\
         // use crate::nothing;\nuse snowbank_crate::other;\n",
    )
    .into_iter()
    .map(|(_, name)| name)
    .collect();
    assert_eq!(found, ["bucket", "index", "auth", "web"]);
}
