//! The page as assistive technology gets it: the browser's own accessibility
//! tree as indented text, one node a line, to be compared with a snapshot.
//!
//! ```text
//! - banner
//!   - link "Snowbank: all caches"
//! - main
//!   - heading "Paths" level=1
//! ```
//!
//! Left out is what says nothing (generic boxes, text that is its parent's name)
//! and what differs from run to run: times, ports, all rows of a table but the first two.

use std::collections::HashMap;
use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::Browser;

/// Rows of a table, and items of a list, that are shown; the rest is counted.
const SHOWN: usize = 2;

/// Properties worth a word, where they say other than the default.
const STATES: [&str; 9] = [
    "checked", "expanded", "pressed", "selected", "disabled", "level", "required", "invalid",
    "modal",
];

/// Roles that group nothing for a reader.
const SILENT: [&str; 9] = [
    "none",
    "generic",
    "presentation",
    "InlineTextBox",
    "LineBreak",
    "RootWebArea",
    "LayoutTable",
    "LayoutTableRow",
    "ListMarker",
];

/// Texts that differ from run to run, and what stands for them.
const REDACTED: &str = r"
return arguments[0]
  .replace(/https?:\/\/127\.0\.0\.1:\d+/g, 'ORIGIN')
  .replace(/file:\/\/\S+|\/\S*snowbank-(demo|test)-\S+/g, 'FOLDER')
  .replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?/g, 'TIME')
  .replace(/\bfirst seen here on \d{4}-\d\d-\d\d/g, 'first seen here on DATE')
  .replace(/\b\d\d:\d\d:\d\d\b/g, 'TIME')
  .replace(/\b(just now|now|\d+ ?(s|sec|seconds?|min|minutes?|h|hours?|d|days?) ago)\b/g, 'AGO')
  .replace(/\b\d+\.\d+\.\d+(-\w+)? \([0-9a-f]+\)/g, 'VERSION');
";

struct Tree<'a> {
    nodes: HashMap<&'a str, &'a Value>,
    out: String,
}

fn text<'a>(node: &'a Value, key: &str) -> &'a str {
    node[key]["value"].as_str().unwrap_or_default()
}

impl Tree<'_> {
    fn children<'b>(&'b self, node: &'b Value) -> Vec<&'b Value> {
        node["childIds"]
            .as_array()
            .map(|ids| {
                ids.iter()
                    .filter_map(|id| self.nodes.get(id.as_str()?).copied())
                    .collect()
            })
            .unwrap_or_default()
    }

    fn write(&mut self, node: &Value, depth: usize, above: &str) -> anyhow::Result<()> {
        let (role, name) = (text(node, "role"), text(node, "name").trim());
        let silent = node["ignored"] == true
            || SILENT.contains(&role)
            || (role == "StaticText" && (name.is_empty() || above.contains(name)));
        let mut inner = depth;
        let mut heard = above.to_owned();
        if !silent {
            let mut line = format!("{}- {role}", "  ".repeat(depth));
            if !name.is_empty() {
                write!(line, " {name:?}")?;
            }
            for property in node["properties"].as_array().into_iter().flatten() {
                let (Some(key), value) = (property["name"].as_str(), &property["value"]["value"])
                else {
                    continue;
                };
                let default = value == false || value == "false" && key != "pressed";
                if STATES.contains(&key) && !default {
                    let shown = value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned);
                    write!(line, " {key}={shown}")?;
                }
            }
            writeln!(self.out, "{line}")?;
            inner += 1;
            name.clone_into(&mut heard);
        }
        let children: Vec<Value> = self.children(node).into_iter().cloned().collect();
        let repeats = |child: &Value| ["row", "listitem"].contains(&text(child, "role"));
        let rows = children.iter().filter(|child| repeats(child)).count();
        let mut shown = 0;
        for child in &children {
            if repeats(child) && rows > SHOWN + 1 {
                shown += 1;
                if shown > SHOWN {
                    continue;
                }
            }
            self.write(child, inner, &heard)?;
        }
        if shown > SHOWN {
            let kind = if children.iter().any(|child| text(child, "role") == "row") {
                "rows"
            } else {
                "items"
            };
            writeln!(
                self.out,
                "{}- … {} more {kind}",
                "  ".repeat(inner),
                shown - SHOWN
            )?;
        }
        Ok(())
    }
}

impl Browser {
    /// The accessibility tree of the page as text, without what differs from run to run.
    ///
    /// # Errors
    /// When the browser has none.
    pub async fn aria(&self) -> anyhow::Result<String> {
        let tree = self.cdp("Accessibility.getFullAXTree", json!({})).await?;
        let nodes = tree["nodes"].as_array().context("a tree has nodes")?;
        let root = nodes.first().context("a tree has a root")?;
        let mut tree = Tree {
            nodes: nodes
                .iter()
                .filter_map(|node| Some((node["nodeId"].as_str()?, node)))
                .collect(),
            out: String::new(),
        };
        tree.write(root, 0, "")?;
        let redacted = self.script(REDACTED, vec![tree.out.into()]).await?;
        Ok(redacted.as_str().unwrap_or_default().to_owned())
    }

    /// All texts of the accessibility tree, one a line: what a reader gets, also where
    /// the page runs no script.
    ///
    /// # Errors
    /// When the browser has none.
    pub async fn aria_text(&self) -> anyhow::Result<String> {
        let tree = self.cdp("Accessibility.getFullAXTree", json!({})).await?;
        let nodes = tree["nodes"].as_array().context("a tree has nodes")?;
        let texts = nodes
            .iter()
            .filter(|node| text(node, "role") == "StaticText")
            .map(|node| text(node, "name"));
        Ok(texts.collect::<Vec<_>>().join("\n"))
    }
}
