//! What a machine, a project or a CI needs to use caches: sixteen targets, each a template
//! (ux/connect.md 3.3) that is filled with the caches that were chosen.
//!
//! A template is data with a version: files line by line, with the reason of each line,
//! then how to apply, check and undo. Only `extra-` forms are written, so that
//! cache.nixos.org stays, and nobody is made a trusted user. What goes in was checked
//! before ([`Inputs::check`]), so that nothing in a name or a token can leave its line.

mod fill;
mod inputs;
mod template;
mod templates;
mod templates_ci;

use std::fmt;
use std::str::FromStr;

pub use fill::fill;
pub use inputs::{
    Access, Cache, Extras, Flavour, GithubInstaller, Inputs, InputsError, Scope, System,
};

/// Where the lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Target {
    /// The system's nix.conf.
    #[default]
    NixConf,
    /// Determinate Nix: its nix.custom.conf.
    Determinate,
    /// A user of a machine that somebody else administers.
    ManagedUser,
    /// A NixOS module.
    NixOs,
    /// NixOS, with the cache as an input of its flake.
    NixOsFlake,
    /// home-manager.
    HomeManager,
    /// nix-darwin.
    NixDarwin,
    /// `nixConfig` of a project's flake.
    FlakeConfig,
    /// GitHub Actions.
    GithubActions,
    /// GitLab CI.
    GitlabCi,
    /// devenv.
    Devenv,
    /// A Dockerfile.
    Dockerfile,
    /// The install script in one line.
    Installer,
    /// A netrc.
    Netrc,
    /// direnv's `.envrc`, or any shell.
    Direnv,
    /// One command, to try before anything is configured.
    Command,
}

/// What a target belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// This machine.
    Machine,
    /// A project.
    Project,
    /// CI.
    Ci,
    /// A container.
    Container,
}

impl Target {
    /// Every target, in the order shown.
    pub const ALL: [Self; 16] = [
        Self::NixConf,
        Self::Determinate,
        Self::ManagedUser,
        Self::NixOs,
        Self::NixOsFlake,
        Self::HomeManager,
        Self::NixDarwin,
        Self::FlakeConfig,
        Self::GithubActions,
        Self::GitlabCi,
        Self::Devenv,
        Self::Dockerfile,
        Self::Installer,
        Self::Netrc,
        Self::Direnv,
        Self::Command,
    ];

    /// Its word in addresses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NixConf => "nix-conf",
            Self::Determinate => "determinate",
            Self::ManagedUser => "managed-user",
            Self::NixOs => "nixos",
            Self::NixOsFlake => "nixos-flake",
            Self::HomeManager => "home-manager",
            Self::NixDarwin => "nix-darwin",
            Self::FlakeConfig => "flake",
            Self::GithubActions => "github-actions",
            Self::GitlabCi => "gitlab-ci",
            Self::Devenv => "devenv",
            Self::Dockerfile => "dockerfile",
            Self::Installer => "installer",
            Self::Netrc => "netrc",
            Self::Direnv => "direnv",
            Self::Command => "command",
        }
    }

    /// Its name, and for whom it is.
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::NixConf => ("nix.conf", "Linux and macOS, for the whole machine"),
            Self::Determinate => ("Determinate Nix", "For the whole machine"),
            Self::ManagedUser => ("Managed machine", "You are a normal user there"),
            Self::NixOs => ("NixOS module", "NixOS, by nix.settings"),
            Self::NixOsFlake => ("NixOS flake input", "Keys arrive by the lock file"),
            Self::HomeManager => ("home-manager", "For one user"),
            Self::NixDarwin => ("nix-darwin", "macOS, by nix.settings"),
            Self::FlakeConfig => ("flake.nix", "nixConfig of a project"),
            Self::GithubActions => ("GitHub Actions", "A step of a workflow"),
            Self::GitlabCi => ("GitLab CI", "A job's variables"),
            Self::Devenv => ("devenv", "What it can and cannot do"),
            Self::Dockerfile => ("Dockerfile", "Builds within an image"),
            Self::Installer => ("One line", "A script that you can read first"),
            Self::Netrc => ("netrc", "The token of a private cache"),
            Self::Direnv => ("direnv", "Or any shell"),
            Self::Command => ("One command", "Try before you configure"),
        }
    }

    /// What it belongs to.
    pub const fn group(self) -> Group {
        match self {
            Self::FlakeConfig | Self::Devenv | Self::Direnv => Group::Project,
            Self::GithubActions | Self::GitlabCi => Group::Ci,
            Self::Dockerfile => Group::Container,
            _ => Group::Machine,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such target")]
pub struct NoSuchTarget;

impl FromStr for Target {
    type Err = NoSuchTarget;
    fn from_str(text: &str) -> Result<Self, NoSuchTarget> {
        let mut all = Self::ALL.into_iter();
        all.find(|target| target.as_str() == text)
            .ok_or(NoSuchTarget)
    }
}

/// What a file is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// nix.conf.
    NixConf,
    /// The Nix language.
    Nix,
    /// YAML.
    Yaml,
    /// A Dockerfile.
    Dockerfile,
    /// The shell.
    Shell,
    /// A netrc.
    Netrc,
}

/// Who is to put a file in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Whoever reads the page.
    You,
    /// Somebody who administers the machine.
    Admin,
}

/// A filled template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snippet {
    /// Which template.
    pub target: Target,
    /// Its version: it grows when the lines change.
    pub version: u32,
    /// The files.
    pub files: Vec<File>,
    /// How to put them in force.
    pub apply: Vec<Step>,
    /// How to see whether it worked.
    pub check: Vec<Step>,
    /// How to take it back.
    pub undo: Vec<Step>,
    /// What one has to know.
    pub notes: Vec<String>,
}

/// A file, or the part of one that is to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where it goes.
    pub path: String,
    /// Who puts it there.
    pub audience: Audience,
    /// What it is written in.
    pub language: Language,
    /// Its lines.
    pub lines: Vec<Line>,
    /// The text holds a token: it is shown once, and belongs into no link.
    pub secret: bool,
}

impl File {
    /// The lines as a text.
    pub fn text(&self) -> String {
        self.lines
            .iter()
            .flat_map(|line| [line.text.as_str(), "\n"])
            .collect()
    }
}

/// A line, and why it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The line.
    pub text: String,
    /// Why; empty where it says so itself.
    pub why: String,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What, in words.
    pub words: String,
    /// The command, where one does it.
    pub command: Option<String>,
}

#[cfg(test)]
mod tests;
