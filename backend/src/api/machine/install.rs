//! `/c/{cache}/install.sh`: a shell script that adds the cache to a machine's nix.conf and
//! takes it out again (ux/connect.md 3.5), and its twin `install-{sha256}.sh`, whose
//! address says what is in it.
//!
//! The merge is that of `snowbank_shared::nix_conf::merge`, written in awk; a test holds
//! the two to one another. URLs and keys are literals in the script, quoted for the shell.

use snowbank_shared::hash::Sha256;
use snowbank_shared::nix_conf::merge::Addition;

const SCRIPT: &str = include_str!("install.sh");

/// The script for what is to be added.
pub fn script(addition: &Addition) -> String {
    let urls: Vec<String> = addition
        .settings
        .urls()
        .iter()
        .map(ToString::to_string)
        .collect();
    let keys: Vec<String> = addition.keys().map(ToString::to_string).collect();
    let (title, page) = addition.in_comment();
    let mut script = String::with_capacity(SCRIPT.len() + 2000);
    // In one pass: what is put in is not read again.
    for (at, piece) in SCRIPT.split("=@").enumerate() {
        if at == 0 {
            script.push_str(piece);
            continue;
        }
        let (name, rest) = piece.split_once('@').unwrap_or((piece, ""));
        let value = match name {
            "TITLE" => &title,
            "PAGE" => &page,
            "URLS" => &urls.join(" "),
            _ => &keys.join(" "),
        };
        script.push('=');
        script.push_str(&quoted(value));
        script.push_str(rest);
    }
    // The module stands in a here-document that nothing is expanded in. A key's name has
    // no line end, so it cannot close it.
    script.replacen("@MODULE@", &addition.settings.nixos_module(), 1)
}

/// The SHA-256 of a script, in hexadecimal.
pub fn sha256(script: &str) -> String {
    Sha256::digest(script.as_bytes()).to_base16()
}

/// A word for the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use snowbank_shared::nix_conf::ClientSettings;

    use super::*;

    #[test]
    fn values_are_words_of_the_shell() {
        assert_eq!(quoted("a 'b' $(c)"), "'a '\\''b'\\'' $(c)'");
        let key = "team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=";
        let url = "https://cache.example.com/team".parse().expect("a URL");
        let settings = ClientSettings::new(url, [key.parse().expect("a key")]);
        let page = "https://console.example.com/c/team";
        let script = script(&Addition::new(settings, "the 'team' =@KEYS@", page));
        for line in [
            "  title='the '\\''team'\\'' =@KEYS@'",
            "  page='https://console.example.com/c/team'",
            "  urls='https://cache.example.com/team'",
            &format!("  keys='{key}'"),
            &format!("    extra-trusted-public-keys = [ \"{key}\" ];"),
        ] {
            assert!(script.lines().any(|there| there == line), "{line}");
        }
        assert!(script.ends_with("main \"$@\"\n"));
        assert!(!script.contains("@MODULE@"));
        assert_eq!(sha256(&script).len(), 64);
    }
}
