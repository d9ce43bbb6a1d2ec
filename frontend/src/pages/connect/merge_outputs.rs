//! The ways to take a merged file along.

use leptos::prelude::*;
use snowbank_shared::nix_conf::diff::{self, Kind};

use super::merge::Done;
use super::pasted::masked;
use crate::components::code::code_file;
use crate::components::copy::copy_button;
use crate::components::layout::section;

/// The text without a change, to compare or to take along.
pub fn as_it_is(path: &'static str, done: &Done) -> Option<AnyView> {
    let text = &done.merged.text;
    let name = path.rsplit('/').next().unwrap_or("nix.conf");
    (!text.is_empty()).then(|| code_file_masked(path, text, name))
}

/// The ways to take the result along.
pub fn outputs(path: &'static str, done: &Done) -> AnyView {
    let (before, after) = (&done.before, &done.merged.text);
    let patch = diff::unified(path, before, after);
    let new_lines = added_lines(before, after);
    let sudo = if path.starts_with('~') { "" } else { "sudo " };
    let tee = heredoc(&format!("{sudo}tee {path} >/dev/null"), after);
    let patch_command = heredoc(&format!("{sudo}patch {path}"), &patch);
    let name = path.rsplit('/').next().unwrap_or("nix.conf");
    let mut ways = vec![way(
        "Copy the whole file",
        "Put it in the place of yours.",
        after.clone(),
    )];
    if !new_lines.is_empty() {
        ways.push(way(
            "Copy only the new lines",
            "Right only where the difference adds lines and changes none.",
            new_lines,
        ));
    }
    ways.push(way(
        "Copy as a patch command",
        "Refuses where the file has changed since.",
        patch_command,
    ));
    ways.push(way("Copy as one command", "Writes the whole file.", tee));
    section(
        "Take it along",
        (),
        view! {
            <ul class="ways">{ways}</ul>
            {code_file_masked(path, after, name)}
            <p class="muted">"The daemon reads its keys when it starts: restart it afterwards."</p>
        },
    )
}

fn way(word: &'static str, note: &'static str, text: String) -> AnyView {
    view! {
        <li>
            <span>{word} " " <small class="muted">{note}</small></span>
            {copy_button(word, false, move || text.clone())}
        </li>
    }
    .into_any()
}

/// The whole file; where it has tokens, the screen does not show them.
fn code_file_masked(path: &'static str, text: &str, name: &str) -> AnyView {
    if masked(text) == text {
        return code_file(path, text, name);
    }
    let copied = text.to_owned();
    let shown = masked(text);
    view! {
        <div class="code">
            <div class="code-head">
                <span class="code-head-title">{path}</span>
                <span class="code-actions">{copy_button("Copy the text", true, move || copied.clone())}</span>
            </div>
            <pre tabindex="0" role="group" aria-label=format!("Contents of {path}, tokens masked")>{shown}</pre>
        </div>
    }
    .into_any()
}

/// The lines that are only in the new text; nothing where lines changed or went.
fn added_lines(before: &str, after: &str) -> String {
    let hunks = diff::hunks(before, after);
    let lines = || hunks.iter().flat_map(|hunk| &hunk.lines);
    if lines().any(|line| line.kind == Kind::Removed) {
        return String::new();
    }
    lines()
        .filter(|line| line.kind == Kind::Added)
        .map(|line| format!("{}\n", line.text))
        .collect()
}

/// A command that is fed a text. The word at its end stands nowhere in the text.
fn heredoc(command: &str, text: &str) -> String {
    let mut end = "NIX_CONF_END".to_owned();
    while text.lines().any(|line| line == end) {
        end.push('_');
    }
    let last = if text.ends_with('\n') || text.is_empty() {
        ""
    } else {
        "\n"
    };
    format!("{command} <<'{end}'\n{text}{last}{end}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heredoc_ends_where_it_should() {
        assert_eq!(
            heredoc("tee x", "a\nNIX_CONF_END\nb"),
            "tee x <<'NIX_CONF_END_'\na\nNIX_CONF_END\nb\nNIX_CONF_END_\n"
        );
        assert_eq!(
            heredoc("tee x", ""),
            "tee x <<'NIX_CONF_END'\nNIX_CONF_END\n"
        );
    }

    #[test]
    fn new_lines_stand_alone_only_where_nothing_else_changed() {
        assert_eq!(added_lines("a\n", "a\nb\nc\n"), "b\nc\n");
        assert_eq!(added_lines("a\n", "a b\n"), "");
    }
}
