//! Every target's text through the parser of its language (acceptance A33).

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use snowbank_shared::nix_conf::ClientSettings;
use snowbank_shared::snippets::{
    Access, Cache, Extras, File, Flavour, GithubInstaller, Inputs, Language, Target, fill,
};
use snowbank_tests::nix::Nix;

use super::{KEY, PAGE, URL, run};

/// What the nixpkgs of a module is to it here.
const LIB: &str = "{ mkDefault = x: { default = x; }; }";

const YAML: &str =
    "import sys, yaml; d = yaml.safe_load(open(sys.argv[1])); print(yaml.safe_dump(d))";

const DOCKER: &str = "
import sys
from dockerfile_parse import DockerfileParser
p = DockerfileParser(path=sys.argv[1])
for i in p.structure: print(i['instruction'], i['value'])
";

fn inputs() -> anyhow::Result<Vec<Inputs>> {
    let team = Cache {
        slug: "team".to_owned(),
        title: "The team's".to_owned(),
        page: PAGE.to_owned(),
        settings: ClientSettings::new(URL.parse()?, [KEY.parse()?]),
        bucket: None,
        foreign: false,
    };
    let other = Cache {
        slug: "2nd".to_owned(),
        settings: ClientSettings::new("https://other.example/x?priority=3&b=c".parse()?, []),
        bucket: "s3://bucket?region=eu-west-1".parse().ok(),
        ..team.clone()
    };
    let plain = Inputs {
        caches: vec![team.clone()],
        ..Inputs::default()
    };
    let private = Inputs {
        access: Access::Token,
        token: Some("tok_en-0123456789".to_owned()),
        extras: Extras {
            connect_timeout: Some(5),
            fallback: true,
            negative_ttl: Some(60),
        },
        ..plain.clone()
    };
    let many = Inputs {
        caches: vec![team, other],
        installer: GithubInstaller::Quick,
        ..private.clone()
    };
    let determinate = Inputs {
        flavour: Flavour::Determinate,
        installer: GithubInstaller::Determinate,
        ..plain.clone()
    };
    Ok(vec![plain, private, many, determinate])
}

fn passed(command: &mut Command, text: &str) -> anyhow::Result<String> {
    let (out, err, code) = run(command)?;
    ensure!(code == Some(0), "{command:?}:\n{text}\n{out}\n{err}");
    Ok(out)
}

fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = folder.join(name);
    std::fs::write(&path, text)?;
    Ok(path)
}

#[test]
fn every_target_passes_the_parser_of_its_language() -> anyhow::Result<()> {
    let (Some(nix), Some(newer)) = (Nix::system()?, Nix::newer()?) else {
        return Ok(());
    };
    let home = tempfile::tempdir()?;
    for inputs in inputs()? {
        for target in Target::ALL {
            let filled = fill(target, &inputs)?;
            for file in &filled.files {
                passes(&nix, &newer, home.path(), file).with_context(|| format!("{target}"))?;
            }
            // The commands of the steps are shell, too.
            let steps = [&filled.apply, &filled.check, &filled.undo];
            for command in steps
                .into_iter()
                .flatten()
                .filter_map(|step| step.command.as_ref())
            {
                let path = write(home.path(), "step.sh", &format!("{command}\n"))?;
                passed(
                    Command::new("shellcheck").args(["-s", "sh"]).arg(path),
                    command,
                )?;
            }
        }
    }
    Ok(())
}

/// Puts a file through the parser of its language.
pub fn passes(nix: &Nix, newer: &Nix, folder: &Path, file: &File) -> anyhow::Result<()> {
    let text = file.text();
    match file.language {
        Language::NixConf => {
            for nix in [nix, newer] {
                let old = nix.version.contains("2.8");
                let conf = nix.home().join("conf");
                std::fs::create_dir_all(&conf)?;
                write(&conf, "nix.conf", &text)?;
                let mut command = nix.command("nix");
                command
                    .args(["--extra-experimental-features", "nix-command"])
                    .args(if old {
                        &["show-config"][..]
                    } else {
                        &["config", "show"]
                    })
                    .env("NIX_CONF_DIR", &conf)
                    .env("NIX_CONFIG", "");
                let shown = passed(&mut command, &text)?;
                let listed = if text.contains("extra-trusted-substituters") {
                    "trusted-substituters"
                } else {
                    "substituters"
                };
                let line = shown
                    .lines()
                    .find(|line| line.starts_with(&format!("{listed} =")));
                ensure!(line.is_some_and(|line| line.contains(URL)), "{shown}");
                ensure!(
                    shown.contains("cache.nixos.org"),
                    "the default is gone: {shown}"
                );
            }
        }
        Language::Nix => {
            let path = write(folder, "file.nix", &text)?.display().to_string();
            passed(
                nix.command("nix-instantiate").args(["--parse", &path]),
                &text,
            )?;
            let value = if text.contains("outputs =") {
                format!("removeAttrs (import {path}) [ \"outputs\" ]")
            } else {
                format!("import {path} {{ lib = {LIB}; pkgs.nix = \"nix\"; }}")
            };
            let mut command = nix.command("nix-instantiate");
            command.args(["--eval", "--strict", "--json", "-E", &value]);
            let json = passed(&mut command, &text)?;
            let named =
                json.contains(URL) || json.contains("flake.tar.gz") || json.contains("cachix");
            ensure!(named, "{json}");
        }
        Language::Yaml => {
            let path = write(folder, "file.yml", &text)?;
            let read = passed(Command::new("python3").args(["-c", YAML]).arg(path), &text)?;
            ensure!(read.contains(URL), "{read}");
        }
        Language::Dockerfile => {
            write(folder, "Dockerfile", &text)?;
            let read = passed(
                Command::new("python3").args(["-c", DOCKER]).arg(folder),
                &text,
            )?;
            ensure!(
                read.starts_with("FROM ")
                    && read
                        .lines()
                        .any(|line| line.starts_with("RUN ") && line.contains(URL)),
                "{read}"
            );
        }
        Language::Shell => {
            let path = write(folder, "file.sh", &text)?;
            passed(
                Command::new("shellcheck").args(["-s", "sh"]).arg(path),
                &text,
            )?;
        }
        Language::Netrc => {
            let path = write(folder, "netrc", &text)?;
            let program = "import netrc, sys; print(netrc.netrc(sys.argv[1]).authenticators('cache.example.com'))";
            let read = passed(
                Command::new("python3").args(["-c", program]).arg(path),
                &text,
            )?;
            if !read.contains("nix") || !(read.contains("tok_en") || read.contains("YOUR-TOKEN")) {
                bail!("{read}");
            }
        }
    }
    Ok(())
}
