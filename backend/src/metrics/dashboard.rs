//! A dashboard for Grafana, drawn from [`series`](super::series).

use serde_json::{Value, json};

use super::series::{ALL, Panel};

/// Panels side by side; Grafana's grid is 24 wide.
const ACROSS: usize = 2;
const WIDTH: usize = 24 / ACROSS;
const HEIGHT: usize = 8;

fn drawn(at: usize, panel: &Panel, help: &str) -> Value {
    json!({
        "id": at + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": help,
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "gridPos": {"x": at % ACROSS * WIDTH, "y": at / ACROSS * HEIGHT, "w": WIDTH, "h": HEIGHT},
        // Where nothing was measured there is a gap.
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": {"spanNulls": false}}, "overrides": []},
        "targets": [{"refId": "A", "expr": panel.expr, "legendFormat": panel.legend}],
    })
}

/// The file to import.
pub fn file() -> String {
    let panels = ALL
        .iter()
        .filter_map(|series| series.panel.as_ref().map(|panel| (panel, series.help)));
    let panels: Vec<Value> = panels
        .enumerate()
        .map(|(at, (panel, help))| drawn(at, panel, help))
        .collect();
    let dashboard = json!({
        "title": "Snowbank",
        "uid": "snowbank",
        "tags": ["nix", "snowbank"],
        "timezone": "browser",
        "schemaVersion": 39,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {"list": [
            {"name": "source", "label": "Source", "type": "datasource", "query": "prometheus"},
            {
                "name": "cache",
                "label": "Cache",
                "type": "query",
                "datasource": {"type": "prometheus", "uid": "${source}"},
                "query": "label_values(snowbank_index_paths, cache)",
                "includeAll": true,
                "multi": true,
                "refresh": 2,
            },
        ]},
        "panels": panels,
    });
    let mut text = serde_json::to_string_pretty(&dashboard).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{rules, series};
    use super::*;

    /// Names of series in an expression, as the table has them.
    fn names(expr: &str) -> BTreeSet<String> {
        expr.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter_map(|word| word.strip_prefix("snowbank_"))
            .map(|name| {
                ["_total", "_bucket", "_count", "_sum", "_info"]
                    .iter()
                    .find_map(|end| name.strip_suffix(end))
                    .unwrap_or(name)
                    .to_owned()
            })
            .collect()
    }

    #[test]
    fn panels_and_rules_name_only_series_that_there_are() {
        let known: BTreeSet<&str> = ALL.iter().map(|series| series.name).collect();
        assert_eq!(known.len(), ALL.len(), "a name stands in the table twice");
        let panels = ALL.iter().filter_map(|series| series.panel.as_ref());
        let panels = panels.map(|panel| panel.expr);
        let mut used = 0;
        for expr in panels.chain(rules::ALL.iter().map(|rule| rule.expr)) {
            let names = names(expr);
            assert!(!names.is_empty(), "{expr}");
            for name in names {
                assert!(known.contains(name.as_str()), "{name} in {expr}");
                used += 1;
            }
        }
        assert!(used > 25, "{used}");
        // A counter is asked for by its whole name, labels are those of the series.
        for series in ALL {
            let bare = format!("snowbank_{}", series.name);
            let end = match series.kind {
                series::Kind::Counter => "_total",
                series::Kind::Histogram => "_bucket",
                series::Kind::Info => "_info",
                series::Kind::Gauge => "",
            };
            for rule in rules::ALL {
                for (at, _) in rule.expr.match_indices(&bare) {
                    let rest = &rule.expr[at + bare.len()..];
                    let whole = rest.strip_prefix(end).is_some_and(|rest| {
                        !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                    });
                    let other = rest.starts_with('_') && !whole;
                    assert!(whole || other, "{} in {}", series.name, rule.alert);
                }
            }
        }
    }

    #[test]
    fn the_dashboard_is_json_with_a_panel_for_each_that_is_drawn() {
        let dashboard: Value = serde_json::from_str(&file()).expect("JSON");
        let panels = dashboard["panels"].as_array().expect("panels");
        let drawn = ALL.iter().filter(|series| series.panel.is_some()).count();
        assert_eq!(panels.len(), drawn);
        assert!(
            panels
                .iter()
                .all(|panel| panel["targets"][0]["expr"].is_string())
        );
    }
}
