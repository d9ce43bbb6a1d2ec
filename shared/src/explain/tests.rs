use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn first(text: &str) -> Option<&'static str> {
    recognise(text).first().map(|found| found.entry.id)
}

#[test]
fn every_message_is_recognised_as_nix_prints_it() {
    let url = "https://cache.example.com/team";
    let path = "/nix/store/xynxqns12h5f1dcq1j5x3c3232454njk-top-1.0";
    let samples = [
        (format!("warning: ignoring untrusted substituter '{url}', you are not a trusted user."), "untrusted-substituter"),
        ("warning: ignoring the client-specified setting 'trusted-public-keys', because it is a restricted setting and you are not a trusted user".into(), "restricted-setting"),
        ("warning: ignoring the user-specified setting 'trusted-public-keys', because it is a restricted setting and you are not a trusted user".into(), "restricted-setting"),
        (format!("warning: ignoring substitute for '{path}' from '{url}', as it's not signed by any of the keys in 'trusted-public-keys'"), "not-signed-by-any-key"),
        (format!("warning: the substitute for '{path}' from '{url}' is not signed by any of the keys in 'trusted-public-keys'"), "not-signed-by-any-key"),
        (format!("warning: substituter '{url}' does not have a valid signature for path '{path}'"), "not-signed-by-any-key"),
        (format!("error: cannot add path '{path}' because it lacks a signature by a trusted key"), "lacks-a-signature"),
        (format!("error: cannot add path '{path}' because it lacks a valid signature"), "lacks-a-signature"),
        (format!("error: file 'nar/1w1fff.nar.xz' does not exist in binary cache '{url}'"), "nar-missing"),
        (format!("error: '{url}' does not appear to be a binary cache"), "not-a-binary-cache"),
        (format!("error: unable to download '{url}/nix-cache-info': HTTP error 401 ('')"), "http-401-403"),
        (format!("warning: unable to download '{url}/x.narinfo': HTTP error 403"), "http-401-403"),
        (format!("error: hash mismatch importing path '{path}';\n         specified: sha256:a\n         got:       sha256:b"), "hash-mismatch"),
        (format!("error: don't know how to build these paths:\n  {path}"), "cannot-build"),
        (format!("don’t know how to build these paths:\n  {path}"), "cannot-build"),
        (format!("error: path '{path}' is required, but there is no substituter that can build it"), "cannot-build"),
        ("error: NAR info file 'x.narinfo' is corrupt: expecting ':' at line 1".into(), "narinfo-corrupt"),
        (format!("error: binary cache '{url}' is for Nix stores with prefix '/gnu/store', not '/nix/store'"), "other-prefix"),
        ("error: illegal configuration line 'substituters=x' in '/etc/nix/nix.conf'".into(), "configuration-line"),
        ("error: syntax error in configuration line 'substituters=x' in \"/etc/nix/nix.conf\"".into(), "configuration-line"),
        ("warning: unknown setting 'extra-substitutors'".into(), "unknown-setting"),
        ("error: key is corrupt".into(), "key-corrupt"),
        ("error: secret key is corrupt".into(), "key-corrupt"),
        ("error: public key is not valid".into(), "key-corrupt"),
        (format!("error: cannot add '{path}' to the binary cache because the reference '{path}' is not valid"), "reference-not-valid"),
        (format!("warning: disabling binary cache '{url}' for 60 seconds"), "cache-disabled"),
        (format!("path '{path}' is untrusted"), "path-untrusted"),
        (format!("error: asked '{url}' for '{path}' but got '{path}'"), "another-path"),
        (format!("warning: error: unable to download '{url}/nix-cache-info': Couldn't resolve host name (6)"), "unreachable"),
        (format!("error: unable to download '{url}/nix-cache-info': Timeout was reached (28)"), "unreachable"),
        (format!("do you want to allow configuration setting 'extra-substituters' to be set to '{url}' (y/N)?"), "flake-asks"),
    ];
    let mut seen = HashSet::new();
    for (text, id) in &samples {
        assert_eq!(first(text), Some(*id), "{text}");
        let coloured = format!("\u{1b}[31;1m{}\u{1b}[0m", text.to_uppercase());
        assert_eq!(first(&coloured), Some(*id), "{coloured}");
        seen.insert(*id);
    }
    assert_eq!(seen.len(), 20);
    assert_eq!(CATALOGUE.len(), 20);
}

#[test]
fn entries_are_whole() {
    let mut ids = HashSet::new();
    for entry in CATALOGUE {
        assert!(ids.insert(entry.id));
        assert!(!entry.causes.is_empty() && entry.says.ends_with('.'));
        for cause in entry.causes {
            assert!(cause.fix.ends_with('.') && !cause.fix.contains('!'));
            if let Place::Doctor(rule) = cause.place {
                let rules = crate::nix_conf::doctor::Rule::ALL;
                assert!(
                    rules.iter().any(|known| known.to_string() == rule),
                    "{rule}"
                );
            }
        }
        for pieces in entry.wordings {
            for piece in *pieces {
                assert_eq!(plain(piece), **piece, "wordings are in small letters");
            }
        }
    }
}

#[test]
fn the_surest_comes_first_and_nonsense_is_not_recognised() {
    let text = "warning: unknown setting 'x'\nwarning: ignoring untrusted substituter 'https://a', you are not a trusted user.\nerror: don't know how to build these paths:\n  /nix/store/x";
    let found: Vec<_> = recognise(text)
        .iter()
        .map(|found| (found.entry.id, found.line))
        .collect();
    assert_eq!(
        found,
        [
            ("cannot-build", 3),
            ("untrusted-substituter", 2),
            ("unknown-setting", 1)
        ]
    );
    for nonsense in [
        "",
        "hello",
        "error: attribute 'x' missing",
        "the key to success",
        "path a is untrusted",
    ] {
        assert_eq!(recognise(nonsense), [], "{nonsense}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read(text in "\\PC{0,200}|(\u{1b}\\[|[a-z'’ \n]){0,80}") {
        for found in recognise(&text) {
            prop_assert!(found.line as usize <= text.lines().count());
        }
    }
}
