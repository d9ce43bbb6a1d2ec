//! What a template is made of.

use super::{Audience, Language};

/// When a line, a file, a step or a note is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Always,
    Keys,
    Token,
    NoToken,
    NoKeys,
    OneCache,
    ManyCaches,
    OneHost,
    ManyHosts,
    TokenOneHost,
    TokenManyHosts,
    TokenDeterminate,
    TokenNotDeterminate,
    S3,
    Timeout,
    Fallback,
    Ttl,
    Determinate,
    NotDeterminate,
    OldNix,
    /// Linux, or nobody said.
    Linux,
    /// macOS, or nobody said.
    MacOs,
    Bucket,
    InstallNix,
    InstallDeterminate,
    InstallQuick,
}

/// How often a line comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Each {
    Once,
    Cache,
    Host,
    /// Lines of this kind that follow one another come together, once for each cache, and
    /// know of that cache alone.
    Block,
}

pub(super) struct LineTemplate {
    pub(super) text: &'static str,
    pub(super) why: &'static str,
    pub(super) when: When,
    pub(super) each: Each,
}

pub(super) struct FileTemplate {
    pub(super) path: &'static str,
    pub(super) audience: Audience,
    pub(super) language: Language,
    pub(super) when: When,
    pub(super) lines: &'static [LineTemplate],
}

pub(super) struct StepTemplate {
    pub(super) words: &'static str,
    pub(super) command: &'static str,
    pub(super) when: When,
}

pub(super) struct Template {
    /// Grows with every change of the lines.
    pub(super) version: u32,
    pub(super) files: &'static [FileTemplate],
    pub(super) apply: &'static [StepTemplate],
    pub(super) check: &'static [StepTemplate],
    pub(super) undo: &'static [StepTemplate],
    pub(super) notes: &'static [(When, &'static str)],
}

pub(super) const fn line(text: &'static str, why: &'static str) -> LineTemplate {
    on(When::Always, text, why)
}

pub(super) const fn plain(text: &'static str) -> LineTemplate {
    on(When::Always, text, "")
}

pub(super) const fn on(when: When, text: &'static str, why: &'static str) -> LineTemplate {
    each_on(when, Each::Once, text, why)
}

pub(super) const fn each(each: Each, text: &'static str, why: &'static str) -> LineTemplate {
    each_on(When::Always, each, text, why)
}

pub(super) const fn each_on(
    when: When,
    each: Each,
    text: &'static str,
    why: &'static str,
) -> LineTemplate {
    LineTemplate {
        text,
        why,
        when,
        each,
    }
}

pub(super) const fn step(words: &'static str, command: &'static str) -> StepTemplate {
    step_on(When::Always, words, command)
}

pub(super) const fn step_on(
    when: When,
    words: &'static str,
    command: &'static str,
) -> StepTemplate {
    StepTemplate {
        words,
        command,
        when,
    }
}

pub(super) const fn file(
    path: &'static str,
    language: Language,
    lines: &'static [LineTemplate],
) -> FileTemplate {
    FileTemplate {
        path,
        audience: Audience::You,
        language,
        when: When::Always,
        lines,
    }
}
