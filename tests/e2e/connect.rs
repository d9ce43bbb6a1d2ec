//! Connect against the real thing: what Nix makes of configurations, what shells make of
//! the install script, what parsers make of the templates.

pub mod configurations;
mod flake;
pub mod installing;
pub mod templates;

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use snowbank_shared::nix_conf::ClientSettings;
use snowbank_shared::nix_conf::merge::Addition;

/// The cache of the fixtures.
pub const URL: &str = "https://cache.example.com/team";
/// Its key.
pub const KEY: &str = "team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=";
/// Its page.
pub const PAGE: &str = "https://console.example.com/c/team";

/// What the fixtures are merged with.
pub fn team() -> Addition {
    let url = URL.parse().expect("a URL");
    Addition::new(
        ClientSettings::new(url, [KEY.parse().expect("a key")]),
        "team",
        PAGE,
    )
}

/// The files of `tests/fixtures/nix_conf`: name and text.
pub fn fixtures() -> anyhow::Result<Vec<(String, String)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/nix_conf");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).context("the fixtures")? {
        let entry = entry?;
        files.push((
            entry.file_name().to_string_lossy().into_owned(),
            std::fs::read_to_string(entry.path())?,
        ));
    }
    files.sort();
    anyhow::ensure!(files.len() >= 20, "fixtures are missing: {}", files.len());
    Ok(files)
}

/// Configurations at random: the same for one seed.
pub fn random(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = |most: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % most).expect("small")
    };
    const NAMES: [&str; 12] = [
        "substituters",
        "extra-substituters",
        "extra-substituters",
        "binary-caches",
        "extra-binary-caches",
        "trusted-substituters",
        "extra-trusted-substituters",
        "trusted-public-keys",
        "extra-trusted-public-keys",
        "extra-trusted-public-keys",
        "extra-substitutors",
        "max-jobs",
    ];
    const URLS: [&str; 7] = [
        "https://a.example",
        "https://b.example/",
        "https://cache.nixos.org",
        "https://c.example/x?priority=3&want-mass-query=1",
        "HTTPS://Cache.Example.com/team/",
        URL,
        "s3://bucket?region=eu-west-1",
    ];
    const KEYS: [&str; 4] = [
        KEY,
        "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=",
        "x-1:AAAA",
        "not-a-key",
    ];
    const OTHERS: [&str; 6] = [
        "",
        "# comment",
        "  ",
        "!include nope.conf",
        "cores = 1",
        "#",
    ];
    let end = if below(3) == 0 { "\r\n" } else { "\n" };
    let mut text = String::new();
    if below(12) == 0 {
        text.push('\u{feff}');
    }
    let lines = below(7);
    for line in 0..lines {
        if below(4) == 0 {
            text.push_str(OTHERS[below(6)]);
        } else {
            let name = NAMES[below(12)];
            text.push_str(name);
            text.push_str(if below(25) == 0 { "=" } else { " = " });
            let values = if name == "max-jobs" { 1 } else { below(4) };
            for _ in 0..values {
                text.push_str(if name == "max-jobs" {
                    "3"
                } else if name.ends_with("keys") {
                    KEYS[below(4)]
                } else {
                    URLS[below(7)]
                });
                text.push_str(if below(8) == 0 { " \t" } else { " " });
            }
            if below(6) == 0 {
                text.push_str("# why");
            }
        }
        if line + 1 < lines || below(3) > 0 {
            text.push_str(end);
        }
    }
    text
}

/// Runs a program with some input; what it printed, and its exit code.
pub fn run(command: &mut Command) -> anyhow::Result<(String, String, Option<i32>)> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{command:?}"))?;
    Ok((
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
        output.status.code(),
    ))
}
