//! What is written, cell by cell.

use super::*;
use serde_json::json;

const KNOWN: &[&str] = &["name", "nar_size", "signers"];

fn taken(query: &[(&str, &str)]) -> Result<Option<Export>, ApiError> {
    let mut pairs = query
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Export::take(&mut pairs, KNOWN)
}

fn written(format: &str, columns: &str, rows: &[Value]) -> String {
    let export = taken(&[("format", format), ("columns", columns)])
        .expect("it is understood")
        .expect("it is an export");
    let table = Table {
        name: "t".to_owned(),
        rows: rows.len() as u64,
        revision: "r\"1".to_owned(),
        complete: true,
        next: Box::new(|_| Vec::new()),
    };
    let mut out = export.head();
    for (at, row) in rows.iter().enumerate() {
        export.row(row.as_object().expect("an object"), at == 0, &mut out);
    }
    out + &export.tail(&table)
}

#[test]
fn a14_a_cell_that_a_spreadsheet_would_run_is_text() {
    let rows = [
        json!({"name": "=HYPERLINK(\"x\")", "nar_size": 1, "signers": ["a-1", "b-1"]}),
        json!({"name": "+1", "nar_size": null, "signers": []}),
        json!({"name": "-x", "nar_size": 3, "signers": ["@c"]}),
        json!({"name": "a,b\nc", "nar_size": 4, "signers": ["plain"]}),
    ];
    assert_eq!(
        written("csv", "", &rows),
        "name,nar_size,signers\r\n\
         \"'=HYPERLINK(\"\"x\"\")\",1,a-1 b-1\r\n\
         \"'+1\",,\r\n\
         \"'-x\",3,\"'@c\"\r\n\
         \"a,b\nc\",4,plain\r\n"
    );
}

#[test]
fn each_format_holds_the_chosen_columns() {
    let rows = [
        json!({"name": "a|b_c", "nar_size": 1, "signers": ["k-1"]}),
        json!({"name": "<i>", "nar_size": null, "signers": []}),
    ];
    assert_eq!(
        written("ndjson", "nar_size,name", &rows),
        "{\"nar_size\":1,\"name\":\"a|b_c\"}\n{\"nar_size\":null,\"name\":\"<i>\"}\n"
    );
    let json: Value = serde_json::from_str(&written("json", "", &rows)).expect("JSON");
    assert_eq!(
        json,
        json!({"items": rows, "next": null, "total": 2, "revision": "r\"1", "complete": true})
    );
    assert_eq!(
        written("markdown", "name,nar_size,name", &rows),
        "| name | nar_size |\n| --- | --- |\n| a\\|b\\_c | 1 |\n| \\<i\\> |  |\n"
    );
}

#[test]
fn what_is_no_export_or_cannot_be_one_is_said() {
    assert_eq!(taken(&[("limit", "5")]), Ok(None));
    assert_eq!(taken(&[("format", "")]), Ok(None));
    for (query, part) in [
        (vec![("format", "xlsx")], "csv, json"),
        (vec![("format", "csv"), ("columns", "name,size")], "`size`"),
        (vec![("format", "csv"), ("limit", "5")], "all rows"),
        (vec![("columns", "name")], "`format`"),
    ] {
        let error = format!("{:?}", taken(&query).expect_err("it is refused"));
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_file_is_named_by_cache_table_and_time() {
    let time = time::macros::datetime!(2026-11-23 12:03:22 UTC);
    assert_eq!(
        file_name("team-paths", Format::Csv, time),
        "team-paths-2026-11-23T1203Z.csv"
    );
}

#[test]
fn a_closure_is_a_graph_or_a_list_too() {
    let of_closure = |query: &[(&str, &str)]| {
        let mut pairs = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let taken = Export::take_closure(&mut pairs, KNOWN);
        assert!(taken.is_err() || pairs.is_empty(), "{pairs:?} is left");
        taken
    };
    let rows = [
        json!({"path": "/nix/store/a-top-1.0", "references": ["/nix/store/b-leaf-1.0"]}),
        json!({"path": "/nix/store/b-leaf-1.0", "references": []}),
    ];
    let written = |format: &str| {
        let export = of_closure(&[("format", format)])
            .expect("it is understood")
            .expect("it is an export");
        assert!(export.is_of_paths());
        let mut out = export.head();
        for row in &rows {
            export.row(row.as_object().expect("an object"), false, &mut out);
        }
        let table = Table {
            name: String::new(),
            rows: 2,
            revision: String::new(),
            complete: true,
            next: Box::new(|_| Vec::new()),
        };
        out + &export.tail(&table)
    };
    assert_eq!(
        written("paths"),
        "/nix/store/a-top-1.0\n/nix/store/b-leaf-1.0\n"
    );
    assert_eq!(
        written("dot"),
        "digraph closure {\n  rankdir=LR;\n  node [shape=box];\n  \"a-top-1.0\" [label=\"top-1.0\"];\n  \
         \"a-top-1.0\" -> \"b-leaf-1.0\";\n  \"b-leaf-1.0\" [label=\"leaf-1.0\"];\n}\n"
    );
    assert!(of_closure(&[("format", "dot"), ("columns", "name")]).is_err());
    assert!(of_closure(&[("format", "paths"), ("limit", "3")]).is_err());
    let table = of_closure(&[("format", "csv")]).expect("it is understood");
    assert!(!table.expect("it is an export").is_of_paths());
    assert!(
        taken(&[("format", "dot")]).is_err(),
        "a list of paths is no graph"
    );
}
