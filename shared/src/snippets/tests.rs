use super::*;
use crate::nix_conf::ClientSettings;
use crate::nix_conf::merge::{OnConflict, Part, Surroundings, merge};
use crate::nix_conf::remove::remove;

const KEY: &str = "team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=";

fn cache(slug: &str, keys: &[&str]) -> Cache {
    let keys = keys.iter().map(|key| key.parse().expect("a key"));
    let url = format!("https://cache.example.com/{slug}")
        .parse()
        .expect("a URL");
    Cache {
        slug: slug.to_owned(),
        title: slug.to_owned(),
        page: format!("https://console.example.com/c/{slug}"),
        settings: ClientSettings::new(url, keys),
        bucket: None,
        foreign: false,
    }
}

fn team() -> Inputs {
    Inputs {
        caches: vec![cache("team", &[KEY])],
        ..Inputs::default()
    }
}

fn private() -> Inputs {
    Inputs {
        access: Access::Token,
        extras: Extras {
            connect_timeout: Some(5),
            fallback: true,
            negative_ttl: Some(60),
        },
        ..team()
    }
}

/// Two caches on two hosts, one with its bucket, and everything said.
fn many() -> Inputs {
    let mut inputs = private();
    let mut other = cache("other", &[]);
    other.settings = ClientSettings::new("https://other.example.org/x".parse().expect("a URL"), []);
    other.bucket = "s3://bucket?region=eu-west-1".parse().ok();
    inputs.caches.push(other);
    inputs.token = Some("snow_0123456789".to_owned());
    inputs
}

fn text(target: Target, inputs: &Inputs) -> Vec<String> {
    let filled = fill(target, inputs).expect("good inputs");
    filled.files.iter().map(File::text).collect()
}

/// All of a snippet as one text.
fn told(snippet: &Snippet) -> String {
    let mut told = format!("version {}\n", snippet.version);
    for file in &snippet.files {
        told += &format!(
            "== {} ({:?}, {:?}, secret {})\n",
            file.path, file.audience, file.language, file.secret
        );
        for line in &file.lines {
            told += &format!(
                "{}{}{}\n",
                line.text,
                if line.why.is_empty() { "" } else { "    ⟵ " },
                line.why
            );
        }
    }
    for (name, steps) in [
        ("apply", &snippet.apply),
        ("check", &snippet.check),
        ("undo", &snippet.undo),
    ] {
        for step in steps {
            told += &format!(
                "{name}: {} {}\n",
                step.words,
                step.command.as_deref().unwrap_or("")
            );
        }
    }
    for note in &snippet.notes {
        told += &format!("note: {note}\n");
    }
    told
}

#[test]
fn every_target_writes_what_it_wrote() {
    for target in Target::ALL {
        let versions = [("public", team()), ("private", private()), ("many", many())];
        let told: Vec<String> = versions
            .into_iter()
            .map(|(name, inputs)| {
                format!(
                    "{name} {}",
                    told(&fill(target, &inputs).expect("good inputs"))
                )
            })
            .collect();
        insta::assert_snapshot!(target.as_str(), told.join("\n"));
    }
}

#[test]
fn the_golden_outputs_are_written() {
    let block = "# >>> nix cache: team (https://console.example.com/c/team) >>>
extra-substituters = https://cache.example.com/team
extra-trusted-public-keys = team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=
# <<< nix cache: team <<<
";
    assert_eq!(text(Target::NixConf, &team()), [block]);
    // Merge writes the same lines, and finds them again.
    let merged = |inputs: &Inputs| {
        let additions = inputs.additions(Part::Whole);
        additions.iter().fold(String::new(), |text, addition| {
            merge(&text, addition, OnConflict::Ask, &Surroundings::default()).text
        })
    };
    assert_eq!(merged(&team()), block);
    let several = many();
    let written = &text(
        Target::NixConf,
        &Inputs {
            extras: Extras::default(),
            ..several.clone()
        },
    )[0];
    assert_eq!(&merged(&several), written);
    // Each of several has its own block, and can go alone.
    assert!(written.starts_with(block), "{written}");
    let first = &several.additions(Part::Whole)[0];
    let rest = remove(written, first, &Surroundings::default()).text;
    assert_eq!(rest, written[block.len()..]);
    assert_eq!(
        text(Target::NixOs, &team()),
        [team().caches[0].settings.nixos_module()]
    );
    assert_eq!(
        text(
            Target::GithubActions,
            &Inputs {
                extras: Extras::default(),
                ..private()
            }
        ),
        [r#"steps:
  - name: Cache login
    env:
      CACHE_TOKEN: ${{ secrets.TEAM_CACHE_TOKEN }}
    run: |
      umask 077
      printf 'machine cache.example.com\nlogin ci\npassword %s\n' "$CACHE_TOKEN" > "$RUNNER_TEMP/netrc"
  - uses: cachix/install-nix-action@v31
    with:
      extra_nix_config: |
        extra-substituters = https://cache.example.com/team
        extra-trusted-public-keys = team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=
        netrc-file = ${{ runner.temp }}/netrc
"#]
    );
}

#[test]
fn nothing_replaces_a_list_and_nobody_becomes_a_trusted_user() {
    let mut all = Vec::new();
    for base in [team(), private(), many()] {
        for flavour in [
            Flavour::Nix,
            Flavour::Determinate,
            Flavour::Lix,
            Flavour::Old,
        ] {
            for scope in [
                Scope::Admin,
                Scope::User,
                Scope::SingleUser,
                Scope::CiRunner,
                Scope::Unknown,
            ] {
                for installer in [
                    GithubInstaller::InstallNix,
                    GithubInstaller::Determinate,
                    GithubInstaller::Quick,
                ] {
                    let inputs = Inputs {
                        flavour,
                        scope,
                        installer,
                        ..base.clone()
                    };
                    all.extend(
                        Target::ALL.map(|target| fill(target, &inputs).expect("good inputs")),
                    );
                }
            }
        }
    }
    for snippet in all {
        assert!(!snippet.files.is_empty() && !snippet.undo.is_empty() && !snippet.check.is_empty());
        for file in &snippet.files {
            let text = file.text();
            assert!(
                !text.contains("trusted-users") && !text.contains("accept-flake-config"),
                "{text}"
            );
            assert!(
                !text.contains("@host") && !text.contains("@url") && !text.contains("@key"),
                "{text}"
            );
            for line in text.lines() {
                let line = line.trim_start().trim_start_matches('\'');
                for name in [
                    "substituters",
                    "trusted-public-keys",
                    "trusted-substituters",
                ] {
                    let rest = line.strip_prefix(name).map(str::trim_start);
                    assert!(!rest.is_some_and(|rest| rest.starts_with('=')), "{text}");
                }
            }
        }
    }
}

#[test]
fn choices_change_the_files() {
    let paths = |target, inputs: &Inputs| -> Vec<String> {
        let filled = fill(target, inputs).expect("good inputs");
        filled.files.into_iter().map(|file| file.path).collect()
    };
    let determinate = Inputs {
        flavour: Flavour::Determinate,
        ..team()
    };
    assert_eq!(
        paths(Target::NixConf, &determinate),
        ["/etc/nix/nix.custom.conf"]
    );
    let user = Inputs {
        scope: Scope::User,
        ..team()
    };
    assert_eq!(
        paths(Target::NixConf, &user),
        ["/etc/nix/nix.conf", "~/.config/nix/nix.conf"]
    );
    let filled = fill(Target::NixConf, &user).expect("good inputs");
    assert_eq!(filled.files[0].audience, Audience::Admin);
    assert_eq!(
        paths(Target::NixConf, &private()),
        ["/etc/nix/nix.conf", "/etc/nix/netrc"]
    );
}

#[test]
fn what_could_leave_its_line_is_refused() {
    let with = |change: &dyn Fn(&mut Inputs)| {
        let mut inputs = private();
        change(&mut inputs);
        fill(Target::GithubActions, &inputs).map(|_| ())
    };
    assert_eq!(with(&|_| {}), Ok(()));
    assert_eq!(
        with(&|inputs| inputs.caches.clear()),
        Err(InputsError::NoCache)
    );
    for token in ["", "a b", "a\nmachine x", "ä"] {
        assert_eq!(
            with(&|inputs| inputs.token = Some(token.to_owned())),
            Err(InputsError::Token)
        );
    }
    let name = "${{secrets.X}}";
    let key = crate::signature::SecretKey::generate(name, [1; 32]).expect("Nix allows it");
    let key = key.public_key().to_string();
    assert_eq!(
        with(&|inputs| inputs.caches = vec![cache("team", &[&key])]),
        Err(InputsError::KeyName(name.to_owned()))
    );
    assert_eq!(
        with(&|inputs| inputs.extras.negative_ttl = Some(0)),
        Err(InputsError::Seconds)
    );
    // A title cannot end its comment, nor is it expanded again.
    let mut inputs = team();
    inputs.caches[0].title = "x\nsubstituters = evil @keys@".to_owned();
    let lines = text(Target::NixConf, &inputs).concat();
    assert!(
        lines.lines().all(|line| line.starts_with(['#', 'e'])),
        "{lines}"
    );
    assert!(lines.contains("evil @keys@"));
}

#[test]
fn no_token_of_ours_goes_to_another_cache_and_nothing_of_ours_hands_it_out() {
    let mut inputs = private();
    let upstream = ClientSettings::new("https://up.example.org".parse().expect("a URL"), []);
    inputs.caches[0].settings = inputs.caches[0].settings.clone().and(upstream);
    let mut theirs = cache("theirs", &[]);
    theirs.settings = ClientSettings::new("https://theirs.example.org".parse().expect("a URL"), []);
    theirs.foreign = true;
    inputs.caches.push(theirs);
    for target in Target::ALL {
        let filled = fill(target, &inputs).expect("good inputs");
        for file in &filled.files {
            let text = file.text();
            let entries = text.lines().filter(|line| line.contains("machine "));
            for line in entries.filter(|line| !line.contains(" = ")) {
                assert!(
                    line.contains("machine cache.example.com"),
                    "{target}: {line}"
                );
            }
        }
        let named = told(&filled).contains("theirs.example.org");
        match target {
            Target::Installer | Target::NixOsFlake | Target::Netrc => assert!(!named, "{target}"),
            _ => assert!(named, "{target}"),
        }
    }
    let filled = fill(Target::Installer, &inputs).expect("good inputs");
    assert!(told(&filled).contains("The other cache is not in it"));
    inputs.caches.remove(0);
    assert_eq!(fill(Target::Installer, &inputs), Err(InputsError::Foreign));
    assert!(fill(Target::NixConf, &inputs).is_ok());
}

#[test]
fn apply_is_for_the_system_where_it_is_known() {
    let commands = |system| {
        let inputs = Inputs { system, ..team() };
        told(&fill(Target::NixConf, &inputs).expect("good inputs"))
    };
    let has = |text: &str| (text.contains("systemctl"), text.contains("launchctl"));
    assert_eq!(has(&commands(System::Any)), (true, true));
    assert_eq!(has(&commands(System::Linux)), (true, false));
    assert_eq!(has(&commands(System::MacOs)), (false, true));
}

#[test]
fn targets_are_words_in_addresses() {
    for target in Target::ALL {
        assert_eq!(target.as_str().parse(), Ok(target));
    }
    assert_eq!("x".parse::<Target>(), Err(NoSuchTarget));
}
