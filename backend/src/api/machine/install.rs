//! `/c/{cache}/install.sh`: a shell script that adds the cache to a machine's nix.conf and
//! takes it out again (ux/connect.md 3.5), and its twin `install-{sha256}.sh`, whose
//! address says what is in it.
//!
//! The merge is that of `snowbank_shared::nix_conf::merge`, written in awk; a test holds
//! the two to one another. URLs and keys are literals in the script, quoted for the shell.
//!
//! People keep the twin's address in documents and scripts of their own. So what was offered once
//! is a record of the ledger with its whole text, and is found as long as a flake's twin is, also
//! after the keys or the script itself have changed.

use serde::{Deserialize, Serialize};
use snowbank_shared::hash::Sha256;
use snowbank_shared::nix_conf::merge::Addition;

use super::noted::note;
use crate::ledger::{self, Kind, Ledger, Record, RecordId, Scope};
use crate::site::Cache;

const SCRIPT: &str = include_str!("install.sh");

/// Scripts that are kept of a cache at most; each has some 25 kB.
const MOST: usize = 300;

/// A script that was offered once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Offered {
    script: String,
}

impl Record for Offered {
    const KIND: Kind = ledger::kind::SCRIPTS;
}

/// Keeps a script that is offered.
pub async fn keep(ledger: &Ledger, cache: &Cache, script: &str) {
    let Ok(id) = sha256(script).parse::<RecordId>() else {
        return;
    };
    let record = || Offered {
        script: script.to_owned(),
    };
    let lost = "an install script could not be kept: its address will not last";
    note(ledger, cache, &id, MOST, record, lost).await;
}

/// The script of this hash that was offered once.
pub fn kept(ledger: &Ledger, cache: &Cache, hash: &str) -> Option<String> {
    let id = hash.parse::<RecordId>().ok()?;
    let entry = ledger
        .view()
        .get::<Offered>(Scope::Cache(cache.slug.as_str()), &id)?;
    let script = &entry.record.script;
    (sha256(script) == hash).then(|| script.clone())
}

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
    let former: Vec<String> = addition.former.iter().map(ToString::to_string).collect();
    let (urls, keys, former) = (urls.join(" "), keys.join(" "), former.join(" "));
    let value = |name: &str| match name {
        "TITLE" => title.as_str(),
        "PAGE" => page.as_str(),
        "URLS" => urls.as_str(),
        "FORMER" => former.as_str(),
        _ => keys.as_str(),
    };
    let mut script = String::with_capacity(SCRIPT.len() + 2000);
    // Cut before anything is put in: a title may hold the very word.
    let (head, tail) = SCRIPT.split_once("@MODULE@").unwrap_or((SCRIPT, ""));
    fill(&mut script, head, value);
    // The module stands in a here-document that nothing is expanded in. A key's name has
    // no line end, so it cannot close it.
    script.push_str(&addition.settings.nixos_module());
    fill(&mut script, tail, value);
    script
}

/// Adds a piece of the script with its values, in one pass: what is put in is not read again.
fn fill<'a>(script: &mut String, template: &str, value: impl Fn(&str) -> &'a str) {
    for (at, piece) in template.split("=@").enumerate() {
        if at == 0 {
            script.push_str(piece);
            continue;
        }
        let (name, rest) = piece.split_once('@').unwrap_or((piece, ""));
        script.push('=');
        script.push_str(&quoted(value(name)));
        script.push_str(rest);
    }
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

    #[test]
    fn a_title_and_a_key_cannot_take_the_place_of_the_module() {
        let key = "a'b:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=";
        let url = "https://cache.example.com/team".parse().expect("a URL");
        let settings = ClientSettings::new(url, [key.parse().expect("a key")]);
        let module = settings.nixos_module();
        let page = "https://console.example.com/c/team";
        let script = script(&Addition::new(settings, "@MODULE@", page));
        assert!(script.lines().any(|line| line == "  title='@MODULE@'"));
        let keys = format!("  keys='{}'", key.replace('\'', "'\\''"));
        assert!(script.lines().any(|line| line == keys), "{keys}");
        assert!(script.contains(&format!("<<'MODULE'\n{module}MODULE\n")));
        assert_eq!(script.matches("nix.settings = {").count(), 1);
    }
}
