//! `snowbank connect`: the merge of the page Connect, on a file.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use snowbank_shared::nix_conf::document::MAX_BYTES;
use snowbank_shared::nix_conf::effective::{Included, Layer};
use snowbank_shared::nix_conf::merge::{
    Addition, Merged, OnConflict, Outcome, Surroundings, merge,
};
use snowbank_shared::nix_conf::owner::Owner;
use snowbank_shared::nix_conf::remove::remove;
use snowbank_shared::nix_conf::{ClientSettings, SubstituterUrl, diff};
use snowbank_shared::signature::PublicKey;
use time::OffsetDateTime;

use super::print;

/// The file is written by another tool.
const OWNED: u8 = 3;
/// The file has another key of the same name.
const CONFLICT: u8 = 4;

const EXIT_CODES: &str = "Exit codes:
  0  done, or nothing to do
  1  it failed, and the file is as it was
  2  wrong use
  3  another tool writes the file; a module for its configuration is printed
  4  the file has another key of the same name; choose with --on-conflict";

/// Put a cache into a nix.conf, or take it out again.
///
/// Nothing that others wrote is reordered or reformatted, and what is in force already is not
/// written again. The file is replaced in one step and keeps its mode; a copy of it as it was
/// stays beside it.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct ConnectArgs {
    /// The cache's URL
    #[arg(value_name = "URL")]
    url: SubstituterUrl,
    /// A key to trust, NAME:BASE64; may be given several times
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<PublicKey>,
    /// A key that the cache used once: it goes from the cache's own lines; may be given several times
    #[arg(long = "former-key", value_name = "KEY")]
    former: Vec<PublicKey>,
    /// Take former keys out of lines of others too
    #[arg(long)]
    drop_old_keys: bool,
    /// The cache's name, for the comment [default: the URL]
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// The address of its page: by this the lines are found again [default: the URL]
    #[arg(long, value_name = "URL")]
    page: Option<String>,
    /// This file [default: nix.conf of the system; Determinate Nix: nix.custom.conf]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// ~/.config/nix/nix.conf instead of the system's file
    #[arg(long, conflicts_with = "file")]
    user: bool,
    /// Take the cache out again
    #[arg(long)]
    remove: bool,
    /// Print the difference and change nothing
    #[arg(long)]
    dry_run: bool,
    /// What to do about another key of the same name, of which Nix uses the first
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    on_conflict: Choice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Choice {
    /// Change nothing, and say so
    #[default]
    Stop,
    /// Leave theirs and write the URL alone
    KeepTheirs,
    /// Put ours in the place of theirs
    UseOurs,
}

pub(super) fn run(args: &ConnectArgs) -> anyhow::Result<ExitCode> {
    let file = args
        .file
        .clone()
        .map_or_else(|| default_file(args.user), Ok)?;
    // A link is followed, so that the file behind it is replaced and not the link.
    let file = match fs::canonicalize(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => file,
        found => found.with_context(|| file.display().to_string())?,
    };
    let before = read(&file)?;
    let text = before.as_deref().unwrap_or_default();
    let url = args.url.to_string();
    let addition = Addition::new(
        ClientSettings::new(args.url.clone(), args.keys.iter().cloned()),
        args.title.as_deref().unwrap_or(&url),
        args.page.as_deref().unwrap_or(&url),
    )
    .with_former(args.former.iter().cloned());
    let addition = Addition {
        takes_former: args.drop_old_keys,
        ..addition
    };
    if file.starts_with("/nix/store") {
        return owned(&file, "a configuration", &addition);
    }
    let system = match args.user {
        true => system_file(),
        false => None,
    };
    let layers: Vec<Layer<'_>> = system
        .iter()
        .map(|(name, text)| Layer { name, text })
        .collect();
    let name = file.display().to_string();
    let around = Surroundings {
        before: &layers,
        name: &name,
        includes: &included,
    };
    let merged = if args.remove {
        remove(text, &addition, &around)
    } else {
        let on_conflict = match args.on_conflict {
            Choice::Stop => OnConflict::Ask,
            Choice::KeepTheirs => OnConflict::KeepTheirs,
            Choice::UseOurs => OnConflict::UseOurs,
        };
        merge(text, &addition, on_conflict, &around)
    };
    told(args, &file, before.as_deref(), &merged, &addition)
}

/// Says how it went, and writes.
fn told(
    args: &ConnectArgs,
    file: &Path,
    before: Option<&str>,
    merged: &Merged,
    addition: &Addition,
) -> anyhow::Result<ExitCode> {
    let name = file.display();
    match &merged.outcome {
        Outcome::AlreadySet | Outcome::NothingToRemove => print(&format!("{name}: no change"))?,
        Outcome::Owned(Owner::Determinate) => {
            eprintln!("Determinate Nix writes {name}. Use nix.custom.conf beside it.");
            return Ok(ExitCode::from(OWNED));
        }
        Outcome::Owned(owner) => return owned(file, &owner.to_string(), addition),
        Outcome::Conflict(conflicts) => {
            for conflict in conflicts {
                eprintln!(
                    "{}:{}: there is another key {}: Nix uses only the first. Theirs is {}, ours is {}.",
                    conflict.origin.file,
                    conflict.origin.line,
                    conflict.ours.name(),
                    conflict.theirs,
                    conflict.ours
                );
            }
            return Ok(ExitCode::from(CONFLICT));
        }
        Outcome::Changed => {
            let text = before.unwrap_or_default();
            print(&diff::unified(&name.to_string(), text, &merged.text))?;
            if !args.dry_run {
                if let Some(text) = before {
                    let backup = back_up(file, text)?;
                    print(&format!("The file as it was: {}", backup.display()))?;
                }
                write(file, before, &merged.text)?;
                print(&format!(
                    "{name}: written. Restart the daemon, it reads keys when it starts."
                ))?;
            }
        }
    }
    let how = match args.drop_old_keys {
        true => "It stands in the block of another cache or in another file: take it out by hand.",
        false => "With --drop-old-keys it goes.",
    };
    for left in &merged.former {
        print(&format!(
            "{}:{}: {} is still trusted, and the cache no longer uses it. {how}",
            left.origin.file,
            left.origin.line,
            left.key.name()
        ))?;
    }
    if merged.remains {
        print("The cache is still in force by lines that are left as they are.")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn owned(file: &Path, owner: &str, addition: &Addition) -> anyhow::Result<ExitCode> {
    eprintln!(
        "{owner} writes {}, so a change there would not last. Add this module to your configuration:",
        file.display()
    );
    print(&addition.settings.nixos_module())?;
    Ok(ExitCode::from(OWNED))
}

fn conf_dir() -> PathBuf {
    let set = std::env::var_os("NIX_CONF_DIR").filter(|folder| !folder.is_empty());
    set.map_or_else(|| "/etc/nix".into(), PathBuf::from)
}

/// The file that is meant where none is named.
fn default_file(user: bool) -> anyhow::Result<PathBuf> {
    if user {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let config = set("XDG_CONFIG_HOME").map(PathBuf::from);
        let config = config.or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".config")));
        let config =
            config.context("neither XDG_CONFIG_HOME nor HOME is set: name the file with --file")?;
        return Ok(config.join("nix/nix.conf"));
    }
    let (plain, custom) = (
        conf_dir().join("nix.conf"),
        conf_dir().join("nix.custom.conf"),
    );
    let determinate = custom.exists()
        || read(&plain)?.is_some_and(|text| Owner::of(&text) == Some(Owner::Determinate));
    Ok(if determinate { custom } else { plain })
}

/// The system's file, where it can be read: what it sets need not be set again.
fn system_file() -> Option<(String, String)> {
    let path = conf_dir().join("nix.conf");
    let text = read(&path).ok().flatten()?;
    Some((path.display().to_string(), text))
}

/// A file that another includes, relative to it.
fn included(file: &str, path: &str) -> Included {
    let folder = Path::new(file).parent().unwrap_or(Path::new("/"));
    let path = folder.join(path);
    match read(&path) {
        Ok(Some(text)) => Included::Text {
            name: path.display().to_string(),
            text,
        },
        Ok(None) => Included::Missing,
        Err(_) => Included::Unseen,
    }
}

/// The text of a file; `None` where there is none.
fn read(path: &Path) -> anyhow::Result<Option<String>> {
    let name = || path.display().to_string();
    let size = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => found.with_context(name)?.len(),
    };
    anyhow::ensure!(
        usize::try_from(size).is_ok_and(|size| size <= MAX_BYTES),
        "{} has {size} bytes: that is no nix.conf",
        path.display()
    );
    let bytes = fs::read(path).with_context(name)?;
    let text = String::from_utf8(bytes)
        .ok()
        .with_context(|| format!("{} is no UTF-8 text: it is left as it is", path.display()))?;
    Ok(Some(text))
}

/// A copy of the file as it was, beside it.
fn back_up(file: &Path, text: &str) -> anyhow::Result<PathBuf> {
    let now = OffsetDateTime::now_utc();
    let stamp = format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}",
        now.year(),
        u8::from(now.month()),
        now.day(),
        now.hour(),
        now.minute(),
        now.second()
    );
    for more in 0..100_u32 {
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".backup-{stamp}"));
        if more > 0 {
            name.push(format!("-{more}"));
        }
        let path = PathBuf::from(name);
        match fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
        {
            Ok(mut copy) => {
                let kept = fs::metadata(file).with_context(|| file.display().to_string())?;
                copy.set_permissions(fs::Permissions::from_mode(kept.mode() & 0o7777))
                    .and_then(|()| copy.write_all(text.as_bytes()))
                    .and_then(|()| copy.sync_all())
                    .with_context(|| format!("writing {}", path.display()))?;
                return Ok(path);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("writing {}", path.display())),
        }
    }
    anyhow::bail!(
        "there are a hundred copies of {} from this second",
        file.display()
    )
}

/// Replaces a file in one step, if it still is what was read; mode and owner stay.
fn write(file: &Path, before: Option<&str>, text: &str) -> anyhow::Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let context = || format!("writing {}", file.display());
    fs::create_dir_all(folder).with_context(context)?;
    let mut new = tempfile::Builder::new()
        .prefix(".nix.conf.")
        .tempfile_in(folder)
        .with_context(context)?;
    new.write_all(text.as_bytes()).with_context(context)?;
    let mode = match fs::metadata(file) {
        Ok(old) => {
            // Only root may give a file away; for others it is theirs already.
            let made = new.as_file().metadata().with_context(context)?;
            if (made.uid(), made.gid()) != (old.uid(), old.gid()) {
                chown(new.path(), Some(old.uid()), Some(old.gid())).with_context(context)?;
            }
            old.mode() & 0o7777
        }
        Err(_) => 0o644,
    };
    new.as_file()
        .set_permissions(fs::Permissions::from_mode(mode))
        .and_then(|()| new.as_file().sync_all())
        .with_context(context)?;
    anyhow::ensure!(
        read(file)?.as_deref() == before,
        "{} has changed meanwhile: run this again",
        file.display()
    );
    new.persist(file).with_context(context)?;
    Ok(())
}
