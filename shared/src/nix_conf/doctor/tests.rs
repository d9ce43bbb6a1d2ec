use proptest::prelude::*;

use super::super::effective::Included;
use super::*;
use crate::signature::SecretKey;

const URL: &str = "https://cache.example.com/team";
const KEY: &str = "team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=";
const NIXOS_KEY: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

fn made(name: &str) -> SecretKey {
    SecretKey::generate(name, [5; 32]).expect("a good name")
}

fn public(name: &str) -> PublicKey {
    made(name).public_key()
}

fn team() -> KnownCache {
    KnownCache {
        title: "team".to_owned(),
        url: URL.to_owned(),
        keys: vec![KEY.parse().expect("a key")],
        retired: vec![public("team-0")],
        priority: Some(40),
    }
}

/// What the findings are, as `D01 1:5`.
fn told(question: &Question<'_>) -> Vec<String> {
    let findings = examine(question).expect("a small text");
    for finding in &findings {
        assert!(finding.end <= question.text.len() && finding.start < finding.end.max(1));
        assert!(finding.why.ends_with(['.', '?']), "{}", finding.why);
    }
    findings
        .iter()
        .map(|f| format!("{} {}:{}", f.rule, f.line, f.column))
        .collect()
}

/// The text after the first fix of a rule.
fn fixed(question: &Question<'_>, rule: Rule) -> Option<String> {
    let findings = examine(question).expect("a small text");
    let finding = findings.into_iter().find(|finding| finding.rule == rule)?;
    Some(finding.fix?.apply(question.text))
}

#[test]
fn every_rule_finds_its_sample_and_its_fix_puts_it_right() {
    let secret = made("team-1").to_secret_text();
    let other = public("team-1").to_string();
    let nixos_other = public("cache.nixos.org-1").to_string();
    let old = public("team-0").to_string();
    let caches = [team()];
    let known = |text| Question {
        caches: &caches,
        ..Question::new(text)
    };
    let user = |text| Question {
        place: Place::User,
        trusted: Some(false),
        ..Question::new(text)
    };
    let keys =
        |key: &str| format!("extra-substituters = {URL}\nextra-trusted-public-keys = {key}\n");
    let twin = keys(&format!("{KEY} {other}"));
    let malformed = keys(&format!("{KEY} team-2:abc"));
    let leaked = keys(&secret);
    let replaced = format!("substituters = {URL}\nextra-trusted-public-keys = {KEY}\n");
    let pairs = format!("extra-substituters = {URL}\n");
    let mixed = keys(&format!("{KEY} {nixos_other}"));
    let retired = keys(&format!("{KEY} {old}"));
    let replaced_by = keys(&old);
    let twice = format!(
        "extra-substituters = {URL} HTTPS://Cache.Example.com/team/\nextra-trusted-public-keys = {KEY}\n"
    );
    let late =
        format!("extra-substituters = {URL}?priority=50\nextra-trusted-public-keys = {KEY}\n");
    let aliases = format!(
        "binary-caches = {URL}\nextra-substituters = https://cache.nixos.org\nextra-trusted-public-keys = {KEY}\n"
    );
    let slash = format!("extra-substituters = {URL}/\n");
    let allowed =
        format!("extra-trusted-substituters = {URL}\nextra-trusted-public-keys = {KEY}\n");
    let old_nix = Question {
        version: Some(NixVersion::OLD),
        ..Question::new("max-jobs = 2\nalways-allow-substitutes = true\n")
    };
    let slashed = Question {
        system: Some(&allowed),
        ..user(&slash)
    };
    let missing = Question {
        includes: &|_, _| Included::Missing,
        ..Question::new("include nope.conf\n")
    };
    // Rule, question, where, the text after the fix (nothing: no edit can do it).
    let second_key = format!("2:{}", 29 + KEY.len() + 1);
    let second_url = format!("1:{}", 22 + URL.len() + 1);
    let samples: Vec<(Rule, Question<'_>, &str, Option<String>)> = vec![
        (
            Rule::D01,
            Question::new("substituters=https://x"),
            "1:13",
            Some("substituters = https://x".into()),
        ),
        (
            Rule::D02,
            Question::new("\u{feff}max-jobs = 1\n"),
            "1:1",
            Some("max-jobs = 1\n".into()),
        ),
        (
            Rule::D03,
            Question::new("substituters = [ \"https://a\" 'https://b' ];\n"),
            "1:16",
            Some("substituters = https://a https://b;\n".into()),
        ),
        (
            Rule::D04,
            Question::new("max-jobs = 4;\n"),
            "1:13",
            Some("max-jobs = 4\n".into()),
        ),
        (
            Rule::D05,
            Question::new("extra-substitutors = https://a\n"),
            "1:1",
            Some("extra-substituters = https://a\n".into()),
        ),
        (
            Rule::D06,
            Question::new("system-features = a \\\n  b \\\n  c\n"),
            "1:21",
            Some("system-features = a b c\n".into()),
        ),
        (
            Rule::D07,
            Question::new("extra-substituters = https://x#frag https://y\n"),
            "1:31",
            Some("extra-substituters = https://x https://y\n".into()),
        ),
        (
            Rule::D07,
            Question::new("extra-substituters = https://x#my cache\n"),
            "1:31",
            Some("extra-substituters = https://x #my cache\n".into()),
        ),
        (
            Rule::D08,
            Question::new("extra-substituters = https://a\n# b\nsubstituters = https://b\n"),
            "1:22",
            Some("# b\nsubstituters = https://b\nextra-substituters = https://a\n".into()),
        ),
        (
            Rule::D09,
            Question::new("max-jobs = 3\nmax-jobs = 4\n"),
            "1:12",
            Some("max-jobs = 4\n".into()),
        ),
        (
            Rule::D10,
            Question::new(&replaced),
            "1:1",
            Some(format!("extra-{replaced}")),
        ),
        (
            Rule::D10,
            Question::new("trusted-public-keys =\n"),
            "1:1",
            Some(format!("trusted-public-keys = {NIXOS_KEY}\n")),
        ),
        (
            Rule::D11,
            Question::new("extra-substituters = https://a.example\n"),
            "1:22",
            None,
        ),
        (Rule::D11, known(&pairs), "1:22", Some(keys(KEY))),
        (
            Rule::D12,
            Question::new(&twin),
            &second_key,
            Some(keys(KEY)),
        ),
        (
            Rule::D13,
            Question::new(&malformed),
            &second_key,
            Some(keys(KEY)),
        ),
        (Rule::D14, Question::new(&leaked), "2:29", None),
        (
            Rule::D15,
            Question::new("require-sigs = false\nmax-jobs = 1\n"),
            "1:16",
            Some("max-jobs = 1\n".into()),
        ),
        (
            Rule::D15,
            Question::new("extra-substituters = https://a?trusted=true&priority=3\n"),
            "1:32",
            Some("extra-substituters = https://a?priority=3\n".into()),
        ),
        (
            Rule::D16,
            Question::new("trusted-users = root @wheel\n"),
            "1:22",
            Some("trusted-users = root\n".into()),
        ),
        (
            Rule::D17,
            Question::new("accept-flake-config = true\n"),
            "1:23",
            Some(String::new()),
        ),
        (
            Rule::D18,
            Question::new("netrc-file = ~/.netrc\n"),
            "1:14",
            Some("netrc-file = /etc/nix/netrc\n".into()),
        ),
        (
            Rule::D19,
            Question::new("machine a password b\nmachine c login d password e\n"),
            "1:1",
            Some("machine a login nix password b\nmachine c login d password e\n".into()),
        ),
        (
            Rule::D20,
            user("extra-trusted-public-keys = a:b\nmax-jobs = 1\n"),
            "1:1",
            Some("max-jobs = 1\n".into()),
        ),
        (
            Rule::D21,
            slashed,
            "1:22",
            Some(format!("extra-substituters = {URL}\n")),
        ),
        (
            Rule::D22,
            Question::new("extra-substituters = http://a.example\n"),
            "1:22",
            Some("extra-substituters = https://a.example\n".into()),
        ),
        (
            Rule::D23,
            Question::new("extra-substituters = s3://bucket\n"),
            "1:22",
            None,
        ),
        (
            Rule::D24,
            Question::new(&aliases),
            "1:1",
            Some(aliases.replacen("binary-caches", "substituters", 1)),
        ),
        (
            Rule::D25,
            missing,
            "1:9",
            Some("!include nope.conf\n".into()),
        ),
        (
            Rule::D26,
            Question::new(&twice),
            &second_url,
            Some(keys(KEY)),
        ),
        (
            Rule::D27,
            Question::new(&late),
            "1:22",
            Some(late.replace("50", "30")),
        ),
        (Rule::D28, known(&retired), &second_key, Some(keys(KEY))),
        (Rule::D28, known(&replaced_by), "2:29", Some(keys(KEY))),
        (Rule::D29, old_nix, "2:1", None),
        (
            Rule::D30,
            Question::new(&mixed),
            &second_key,
            Some(keys(&format!("{KEY} {NIXOS_KEY}"))),
        ),
    ];
    for rule in Rule::ALL {
        assert!(
            samples.iter().any(|sample| sample.0 == rule),
            "{rule} has no sample"
        );
    }
    for (rule, question, at, after) in samples {
        let told = told(&question);
        assert!(
            told.contains(&format!("{rule} {at}")),
            "{rule} at {at}: {told:?} in {:?}",
            question.text
        );
        let fixed = fixed(&question, rule);
        assert_eq!(fixed, after, "{rule} of {:?}", question.text);
        if let Some(fixed) = fixed {
            let question = Question {
                text: &fixed,
                ..question
            };
            let left: Vec<Rule> = examine(&question)
                .expect("small")
                .iter()
                .map(|f| f.rule)
                .collect();
            assert!(
                !left.contains(&rule),
                "{rule} is still there after its fix: {fixed}"
            );
        }
    }
}

#[test]
fn blanks_are_put_only_around_the_equals_of_a_setting() {
    for (text, after) in [
        (
            "extra-substituters =https://x?a=b",
            Some("extra-substituters = https://x?a=b"),
        ),
        ("include=other.conf", None),
        ("!include=other.conf", None),
        ("https://x?trusted=1", None),
        (KEY, None),
        ("zU==", None),
    ] {
        let question = Question::new(text);
        assert!(told(&question).contains(&"D01 1:1".to_owned()) || after.is_some());
        assert_eq!(fixed(&question, Rule::D01).as_deref(), after, "{text}");
    }
}

#[test]
fn what_is_added_to_a_list_is_not_thrown_away_by_a_later_line() {
    let caches = [team()];
    for (text, added) in [
        (
            format!("extra-substituters = {URL}\ntrusted-public-keys = {NIXOS_KEY}\n"),
            format!("extra-trusted-public-keys = {KEY}\n"),
        ),
        (
            format!("extra-trusted-public-keys = {KEY}\nsubstituters = https://cache.nixos.org\n"),
            format!("extra-substituters = {URL}\n"),
        ),
    ] {
        let question = Question {
            caches: &caches,
            ..Question::new(&text)
        };
        let after = fixed(&question, Rule::D11);
        assert_eq!(after, Some(format!("{text}{added}")));
    }
}

#[test]
fn a_priority_is_not_written_where_the_daemon_would_not_know_the_url() {
    let late = format!("extra-substituters = {URL}?priority=50\n");
    for (trusted, daemon, mended) in [
        (None, None, false),
        (Some(false), None, false),
        (Some(true), None, true),
        (None, Some(false), true),
    ] {
        let question = Question {
            place: Place::User,
            trusted,
            daemon,
            ..Question::new(&late)
        };
        assert!(told(&question).contains(&"D27 1:22".to_owned()));
        assert_eq!(fixed(&question, Rule::D27).is_some(), mended);
    }
}

#[test]
fn clean_files_have_no_findings() {
    let caches = [team()];
    let block = format!(
        "# >>> nix cache: team (https://console.example.com/c/team) >>>\nextra-substituters = {URL}?priority=30\nextra-trusted-public-keys = {KEY}\n# <<< nix cache: team <<<\n"
    );
    for text in [
        "",
        "# a comment\r\n\r\n",
        &block,
        &format!(
            "max-jobs = auto\nexperimental-features = nix-command flakes\n{block}netrc-file = /etc/nix/netrc\n"
        ),
        "!include nix.custom.conf\nsandbox = true # always\n",
        &format!(
            "substituters = https://cache.nixos.org {URL}?priority=30\ntrusted-public-keys = {NIXOS_KEY} {KEY}\ntrusted-users = root\n"
        ),
        &format!(
            "extra-substituters = https://nix-community.cachix.org\nextra-trusted-public-keys = {}\n",
            public("nix-community.cachix.org-1")
        ),
        "extra-substituters = http://localhost:8080/main http://10.0.0.3/x http://nas.local/x http://[::1]/y\nextra-trusted-public-keys = a:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=\n",
        "machine a login b password c\ndefault login x password y\n",
    ] {
        let question = Question {
            caches: if text.contains(URL) { &caches } else { &[] },
            ..Question::new(text)
        };
        assert_eq!(told(&question), [""; 0], "{text}");
    }
    let lines = format!("extra-substituters = {URL}?priority=30\n");
    let question = Question {
        place: Place::User,
        ..Question::new(&lines)
    };
    assert_eq!(told(&question), [""; 0]);
}

#[test]
fn what_show_config_prints_is_examined_too() {
    let text = "cores = 0\nmax-jobs = 2\nrequire-sigs = false\nstore = auto\nsubstituters = https://cache.nixos.org/ https://a.example/\ntrusted-public-keys = x\ntrusted-substituters = https://a.example\ntrusted-users = *\n";
    let question = Question::new(text);
    assert_eq!(question.kind, Kind::ShowConfig);
    let rules = examine(&question).expect("small");
    let rules: Vec<Rule> = rules.iter().map(|finding| finding.rule).collect();
    for rule in [Rule::D13, Rule::D15, Rule::D16, Rule::D21] {
        assert!(rules.contains(&rule), "{rule}: {rules:?}");
    }
    assert_eq!(Kind::guess("machine x login y password z"), Kind::Netrc);
    assert_eq!(Kind::guess("max-jobs = 3"), Kind::NixConf);
}

#[test]
fn secret_keys_are_told_from_signatures() {
    let secret = made("a-1").to_secret_text();
    let text = format!("here: \"{}\",", secret.as_str());
    let range = secret_in(&text).expect("a secret");
    assert_eq!(&text[range], secret.as_str());
    for text in [
        format!("s3://bucket?secret-key={}&x=1", secret.as_str()),
        format!("sed: <{}> {{x}}", secret.as_str()),
        format!("`{}`|tee", secret.as_str()),
        format!("stdin:1:{}", secret.as_str()),
    ] {
        assert!(secret_in(&text).is_some(), "{text}");
    }
    let signature = made("a-1").sign(b"text").to_string();
    assert_eq!(secret_in(&signature), None);
    assert_eq!(secret_in(KEY), None);
    // Cut or damaged, as a value: still no place for it.
    let mut damaged = secret.as_str().to_owned();
    damaged.replace_range(10..12, "AA");
    let text = format!("trusted-public-keys = {damaged}\n");
    assert!(told(&Question::new(&text)).contains(&"D14 1:23".to_owned()));
    assert_eq!(secret_in(&damaged), None);
    assert_eq!(
        examine(&Question::new(&"x".repeat(MAX_BYTES + 1))),
        Err(TooLarge)
    );
}

proptest! {
    #[test]
    fn any_text_is_examined_and_every_fix_is_an_edit(
        text in prop_oneof![
            crate::nix_conf::merge::tests::a_file(),
            "([a-z-]{0,12}( ?= ?| )([a-z:/.?=&;\"\\\\#@*~ \\[\\]]|https://|trusted=1){0,20}\r?\n?){0,6}",
            "\\PC{0,60}",
        ],
        user in any::<bool>(),
    ) {
        let caches = [team()];
        let question = Question {
            place: if user { Place::User } else { Place::System },
            caches: &caches,
            ..Question::new(&text)
        };
        for finding in examine(&question).expect("small") {
            prop_assert!(text.get(finding.start..finding.end).is_some());
            if let Some(fix) = finding.fix {
                let mut done = 0;
                for edit in &fix.edits {
                    prop_assert!(edit.start >= done && text.get(edit.start..edit.end).is_some(), "{} {:?}", finding.rule, edit);
                    done = edit.end;
                }
                prop_assert!(!fix.edits.is_empty());
            }
        }
    }
}
