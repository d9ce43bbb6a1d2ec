//! What the generator writes, as the page draws it: files with their paths, what each line
//! means, and what to run before and after.

use snowbank_shared::api::Cache;
use snowbank_shared::route::{ConnectFlavour, ConnectQuery, ConnectTarget};

/// Everything for one choice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// The files, the one to begin with first.
    pub files: Vec<OutputFile>,
    /// What has to be known before: title and words.
    pub warnings: Vec<(String, String)>,
    /// How to put it in force.
    pub apply: Vec<Block>,
    /// How to see that it is.
    pub check: Vec<Block>,
    /// How to take it back.
    pub undo: Vec<Block>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFile {
    /// Whose it is: `For the admin`; empty where there is but one person.
    pub who: &'static str,
    /// Its path, as the title.
    pub path: String,
    /// Its text.
    pub text: String,
    /// What its lines mean, by the line's number from 1.
    pub notes: Vec<(usize, String)>,
    /// Whether it goes into a file that is there, so that merging helps.
    pub merges: bool,
}

impl OutputFile {
    /// The name under which it is saved.
    pub fn name(&self) -> String {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.to_owned()
    }
}

/// Words, or something to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// A sentence or two.
    Words(String),
    /// A command or a piece of a file, and what it is.
    Code(&'static str, String),
}

/// What is written for some caches.
///
/// # Errors
/// Where it cannot be written: why.
pub fn output(caches: &[Cache], query: &ConnectQuery) -> Result<Output, String> {
    let settings = super::settings(caches)?;
    let words = |text: &str| Block::Words(text.to_owned());
    let url = caches.first().map(|cache| cache.url.as_str());
    let check = vec![
        words("It answers, and says which store it is for:"),
        Block::Code(
            "Command",
            format!(
                "nix --extra-experimental-features nix-command store ping --store '{}'",
                url.unwrap_or_default()
            ),
        ),
    ];
    if query.target == ConnectTarget::NixOs {
        let file = OutputFile {
            who: "",
            path: "nix-caches.nix".to_owned(),
            text: settings.nixos_module(),
            notes: Vec::new(),
            merges: false,
        };
        return Ok(Output {
            files: vec![file],
            warnings: Vec::new(),
            apply: vec![
                words("Save it beside your configuration and import it:"),
                Block::Code(
                    "Line for configuration.nix",
                    "imports = [ ./nix-caches.nix ];".to_owned(),
                ),
                Block::Code("Command", "sudo nixos-rebuild switch".to_owned()),
                words(
                    "This first rebuild does not use the cache yet: the daemon learns of it at its end.",
                ),
            ],
            check,
            undo: vec![words(
                "Remove the import and rebuild. Nothing else was changed.",
            )],
        });
    }
    let lines = settings.nix_conf();
    let path = match query.flavour {
        ConnectFlavour::Determinate => "/etc/nix/nix.custom.conf",
        _ => "/etc/nix/nix.conf",
    };
    let undo = vec![
        words("Delete these lines and restart the daemon:"),
        Block::Code("Lines", lines.clone()),
    ];
    Ok(Output {
        files: vec![OutputFile {
            who: "",
            path: path.to_owned(),
            text: lines,
            notes: Vec::new(),
            merges: true,
        }],
        warnings: Vec::new(),
        apply: vec![
            words("Add the lines at the end of the file. The daemon reads keys when it starts:"),
            Block::Code(
                "Command on Linux",
                "sudo systemctl restart nix-daemon".to_owned(),
            ),
            Block::Code(
                "Command on macOS",
                "sudo launchctl kickstart -k system/org.nixos.nix-daemon".to_owned(),
            ),
        ],
        check,
        undo,
    })
}

/// The first file of a target, with all else by default.
pub fn first_text(caches: &[Cache], target: ConnectTarget) -> Option<String> {
    let query = ConnectQuery {
        target,
        ..ConnectQuery::default()
    };
    let output = output(caches, &query).ok()?;
    output.files.into_iter().next().map(|file| file.text)
}
