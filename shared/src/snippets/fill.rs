//! Puts inputs into a template.

use std::fmt::Write as _;

use super::inputs::{Access, Cache, Flavour, GithubInstaller, Inputs, InputsError, Scope, System};
use super::template::{Each, FileTemplate, LineTemplate, StepTemplate, When};
use super::templates;
use super::{File, Line, Snippet, Step, Target};
use crate::nix_conf::{comment, nix_string};

/// What stands for a token that nobody has made yet.
const PLACEHOLDER: &str = "YOUR-TOKEN";

/// What is said where a cache of somebody else was chosen for a file of this console.
const WITHOUT_FOREIGN: &str = "The other cache is not in it: what this server hands out names its own caches only. \
     Add the other one in another place, such as nix.conf.";

/// Fills the template of a target. A normal user of a machine with a daemon gets the lines
/// for the admin and their own, whatever file was chosen.
///
/// # Errors
/// Inputs that cannot stand in the text.
pub fn fill(target: Target, inputs: &Inputs) -> Result<Snippet, InputsError> {
    inputs.check()?;
    let target = match target {
        Target::NixConf | Target::Determinate if inputs.scope == Scope::User => Target::ManagedUser,
        Target::NixConf if inputs.flavour == Flavour::Determinate => Target::Determinate,
        other => other,
    };
    let own = match target {
        Target::Installer | Target::NixOsFlake => Some(inputs.own()),
        _ => None,
    };
    let left_out = own
        .as_ref()
        .is_some_and(|own| own.caches.len() < inputs.caches.len());
    let inputs = own.as_ref().unwrap_or(inputs);
    if inputs.caches.is_empty() {
        return Err(InputsError::Foreign);
    }
    let template = templates::of(target);
    let files = template
        .files
        .iter()
        .chain(templates::netrc_beside(target))
        .filter(|file| holds(file.when, inputs))
        .map(|file| fill_file(file, inputs))
        .collect();
    let steps = |steps: &[StepTemplate]| {
        steps
            .iter()
            .filter(|step| holds(step.when, inputs))
            .map(|step| Step {
                words: expand(step.words, inputs, None),
                command: (!step.command.is_empty()).then(|| expand(step.command, inputs, None)),
            })
            .collect()
    };
    let notes = template.notes.iter().chain(templates::NOTES);
    Ok(Snippet {
        target,
        version: template.version,
        files,
        apply: steps(template.apply),
        check: steps(template.check),
        undo: steps(template.undo),
        notes: notes
            .filter(|(when, _)| holds(*when, inputs))
            .map(|(_, text)| expand(text, inputs, None))
            .chain(left_out.then(|| WITHOUT_FOREIGN.to_owned()))
            .collect(),
    })
}

fn fill_file(file: &FileTemplate, inputs: &Inputs) -> File {
    let mut lines = Vec::new();
    let mut rest = file.lines;
    while let Some((line, after)) = rest.split_first() {
        if line.each == Each::Block {
            let length = rest.iter().take_while(|line| line.each == Each::Block);
            let (block, after) = rest.split_at(length.count());
            fill_block(block, inputs, &mut lines);
            rest = after;
            continue;
        }
        rest = after;
        if !holds(line.when, inputs) {
            continue;
        }
        let mut push = |item: Option<Item<'_>>| lines.push(fill_line(line, inputs, item));
        match line.each {
            Each::Once | Each::Block => push(None),
            Each::Cache => inputs
                .caches
                .iter()
                .for_each(|cache| push(Some(Item::Cache(cache)))),
            Each::Host => inputs
                .hosts()
                .iter()
                .for_each(|host| push(Some(Item::Host(host)))),
        }
    }
    File {
        path: expand(file.path, inputs, None),
        audience: file.audience,
        language: file.language,
        secret: file.lines.iter().any(|line| line.text.contains("@token@")),
        lines,
    }
}

/// The same lines for each cache, as if there were no other: by its own page a block is found again.
fn fill_block(block: &[LineTemplate], inputs: &Inputs, lines: &mut Vec<Line>) {
    for cache in &inputs.caches {
        let one = Inputs {
            caches: vec![cache.clone()],
            ..inputs.clone()
        };
        let wanted = block.iter().filter(|line| holds(line.when, &one));
        lines.extend(wanted.map(|line| fill_line(line, &one, None)));
    }
}

fn fill_line(line: &LineTemplate, inputs: &Inputs, item: Option<Item<'_>>) -> Line {
    Line {
        text: expand(line.text, inputs, item),
        why: expand(line.why, inputs, item),
    }
}

/// What a repeated line is about.
#[derive(Clone, Copy)]
enum Item<'a> {
    Cache(&'a Cache),
    Host(&'a str),
}

fn holds(when: When, inputs: &Inputs) -> bool {
    let has_keys = || !inputs.keys().is_empty();
    match when {
        When::Always => true,
        When::Keys => has_keys(),
        When::Token => inputs.access == Access::Token,
        When::NoToken => inputs.access != Access::Token,
        When::NoKeys => !has_keys(),
        When::OneCache => inputs.caches.len() == 1,
        When::ManyCaches => inputs.caches.len() > 1,
        When::OneHost => inputs.hosts().len() == 1,
        When::ManyHosts => inputs.hosts().len() > 1,
        When::TokenOneHost => inputs.access == Access::Token && inputs.hosts().len() == 1,
        When::TokenManyHosts => inputs.access == Access::Token && inputs.hosts().len() > 1,
        When::TokenDeterminate => {
            inputs.access == Access::Token && inputs.flavour == Flavour::Determinate
        }
        When::TokenNotDeterminate => {
            inputs.access == Access::Token && inputs.flavour != Flavour::Determinate
        }
        When::S3 => inputs.urls().iter().any(|url| url.starts_with("s3://")),
        When::Timeout => inputs.extras.connect_timeout.is_some(),
        When::Fallback => inputs.extras.fallback,
        When::Ttl => inputs.extras.negative_ttl.is_some(),
        When::Determinate => inputs.flavour == Flavour::Determinate,
        When::NotDeterminate => inputs.flavour != Flavour::Determinate,
        When::OldNix => inputs.flavour == Flavour::Old,
        When::Linux => inputs.system != System::MacOs,
        When::MacOs => inputs.system != System::Linux,
        When::Bucket => inputs.caches.iter().any(|cache| cache.bucket.is_some()),
        When::InstallNix => inputs.installer == GithubInstaller::InstallNix,
        When::InstallDeterminate => inputs.installer == GithubInstaller::Determinate,
        When::InstallQuick => inputs.installer == GithubInstaller::Quick,
    }
}

/// Replaces `@name@`, in one pass: what is put in is not read again.
fn expand(template: &str, inputs: &Inputs, item: Option<Item<'_>>) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find('@') {
        text.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let name = after.split('@').next().unwrap_or_default();
        let value = if after.len() > name.len() {
            value(name, inputs, item)
        } else {
            None
        };
        if let Some(value) = value {
            text.push_str(&value);
            rest = &after[name.len() + 1..];
        } else {
            text.push('@');
            rest = after;
        }
    }
    text.push_str(rest);
    text
}

/// What else is set, as options of a command.
fn options(inputs: &Inputs) -> String {
    let mut options = String::new();
    if holds(When::TokenNotDeterminate, inputs) {
        options += &expand(" --option netrc-file @netrc@", inputs, None);
    }
    if let Some(seconds) = inputs.extras.connect_timeout {
        let _ = write!(options, " --option connect-timeout {seconds}");
    }
    if inputs.extras.fallback {
        options.push_str(" --fallback");
    }
    if let Some(seconds) = inputs.extras.negative_ttl {
        let _ = write!(options, " --option narinfo-cache-negative-ttl {seconds}");
    }
    options
}

fn value(name: &str, inputs: &Inputs, item: Option<Item<'_>>) -> Option<String> {
    let quoted = |values: Vec<String>| {
        let values: Vec<String> = values.iter().map(|value| nix_string(value)).collect();
        values.join(" ")
    };
    let first = inputs.caches.first()?;
    let about = match item {
        Some(Item::Cache(cache)) => cache,
        _ => first,
    };
    let titles = || {
        let titles: Vec<String> = inputs
            .caches
            .iter()
            .map(|cache| comment(&cache.title))
            .collect();
        titles.join(", ")
    };
    Some(match name {
        "urls" => inputs.urls().join(" "),
        "first-url" => {
            let url = inputs.urls().swap_remove(0);
            // A file is named behind it: the query would swallow the name.
            let base = url.split('?').next().unwrap_or(&url);
            base.trim_end_matches('/').to_owned()
        }
        "options" => options(inputs),
        "keys" => inputs.keys().join(" "),
        "nix-urls" => quoted(inputs.urls()),
        "nix-keys" => quoted(inputs.keys()),
        "nix-urls-string" => nix_string(&inputs.urls().join(" ")),
        "nix-keys-string" => nix_string(&inputs.keys().join(" ")),
        "titles" => titles(),
        "slug" => about.slug.clone(),
        "input" if about.slug.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            format!("{}-cache", about.slug)
        }
        "input" => format!("cache-{}", about.slug),
        "cache-page" => comment(&about.page),
        "host" => match item {
            Some(Item::Host(host)) => host.to_owned(),
            _ => inputs.hosts().first().cloned().unwrap_or_default(),
        },
        "curl" if about.page.starts_with("https:") => {
            "curl --proto '=https' --tlsv1.2 -fsSL".to_owned()
        }
        "curl" => "curl -fsSL".to_owned(),
        "token" => inputs
            .token
            .clone()
            .unwrap_or_else(|| PLACEHOLDER.to_owned()),
        "secret-name" => {
            let upper = first.slug.to_ascii_uppercase().replace('-', "_");
            if upper.starts_with(|c: char| c.is_ascii_alphabetic()) {
                format!("{upper}_CACHE_TOKEN")
            } else {
                format!("CACHE_{upper}_TOKEN")
            }
        }
        "timeout" => inputs.extras.connect_timeout?.to_string(),
        "ttl" => inputs.extras.negative_ttl?.to_string(),
        "show" => match inputs.flavour {
            Flavour::Nix | Flavour::Determinate => "nix config show".to_owned(),
            Flavour::Lix | Flavour::Old => "nix show-config".to_owned(),
        },
        "netrc" => match inputs.flavour {
            Flavour::Determinate => "/etc/nix/netrc.caches".to_owned(),
            _ => "/etc/nix/netrc".to_owned(),
        },
        "conf" => match inputs.flavour {
            Flavour::Determinate => "/etc/nix/nix.custom.conf".to_owned(),
            _ => "/etc/nix/nix.conf".to_owned(),
        },
        "service" => match inputs.flavour {
            Flavour::Determinate => "systems.determinate.nix-daemon".to_owned(),
            _ => "org.nixos.nix-daemon".to_owned(),
        },
        _ => return None,
    })
}
