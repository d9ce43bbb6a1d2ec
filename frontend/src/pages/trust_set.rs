//! Whom a machine trusts: this cache's keys, cache.nixos.org, a set that this browser keeps, the
//! keys of a link, or those of a pasted nix.conf. The file is read in this tab and stays here: only
//! public keys are ever asked about.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use snowbank_shared::nix_conf::effective::Effective;
use snowbank_shared::signature::{PublicKey, TrustSet, UPSTREAM_KEYS};

use crate::components::banner::{alert, done_line};
use crate::components::button::{Weight, button};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::choice::segments;
use crate::components::field::{Field, select_field, text_field};
use crate::components::icon::Icon;
use crate::format;
use crate::pages::connect::pasted::{Pasted, pasted_field, promise};
use crate::state::derived::memo;
use crate::state::live::LiveCache;

/// Sets that a browser keeps at most.
const MOST_SETS: usize = 50;
/// Keys that the server is asked about at most.
pub const MOST_KEYS: usize = 100;
/// Where this browser keeps them.
const KEPT_AS: &str = "snowbank.trust-sets";

const OURS: usize = 0;
const NIXOS: usize = 1;
const SAVED: usize = 2;
const PASTED: usize = 3;
const LINKED: usize = 4;

/// A set with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Saved {
    name: String,
    keys: Vec<String>,
}

/// The keys that are chosen, or why there are none.
pub type Chosen = Result<Vec<PublicKey>, String>;

/// The choice. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Picker {
    which: RwSignal<usize>,
    pasted: Pasted,
    kept: RwSignal<Vec<Saved>>,
    saved: Field,
    name: Field,
    done: RwSignal<Option<String>>,
    linked: bool,
    /// What is chosen, in the order of the machine's configuration.
    pub chosen: Memo<Chosen>,
}

impl Picker {
    /// Begins with this cache's keys, or with those that a link names where it names some.
    pub fn new(live: LiveCache, linked: Option<Signal<Chosen>>) -> Self {
        let which = RwSignal::new(if linked.is_some() { LINKED } else { OURS });
        let (pasted, kept) = (Pasted::new(), RwSignal::new(read()));
        let saved = Field::new("Saved set", "");
        let is_linked = linked.is_some();
        let chosen = memo(move || match which.get() {
            OURS => {
                let cache = live
                    .cache
                    .get()
                    .ok_or_else(|| "Asking for the keys of this cache…".to_owned())?;
                let keys: Vec<String> = cache
                    .keys
                    .iter()
                    .map(|key| key.public_key.clone())
                    .collect();
                match keys.is_empty() {
                    true => Err("This cache has no key.".to_owned()),
                    false => parsed(&keys),
                }
            }
            NIXOS => parsed(UPSTREAM_KEYS),
            SAVED => {
                let name = saved.value.get();
                let kept = kept.get();
                let set = kept.iter().find(|set| set.name == name).or(kept.first());
                set.map_or_else(
                    || {
                        Err(
                            "This browser keeps no set. Choose or paste one, and save it below."
                                .to_owned(),
                        )
                    },
                    |set| parsed(&set.keys),
                )
            }
            LINKED => linked.map_or_else(|| Err(String::new()), |linked| linked.get()),
            _ => of_nix_conf(&pasted.text.get()),
        });
        Self {
            which,
            pasted,
            kept,
            saved,
            name: Field::new(
                "Keep this set as",
                "A name, such as build machines. It stays in this browser.",
            ),
            done: RwSignal::new(None),
            linked: is_linked,
            chosen,
        }
    }

    /// The set; `None` where there is none to judge by. Tracked.
    pub fn set(self) -> Option<TrustSet> {
        let keys = self.chosen.get().ok()?;
        Some(TrustSet::new(keys))
    }

    fn keep(self) {
        let name = self.name.value.get_untracked().trim().to_owned();
        let keys = match self.chosen.get_untracked() {
            Ok(keys) if !name.is_empty() => keys,
            Ok(_) => {
                self.name.error.set(Some("Give the set a name.".to_owned()));
                return;
            }
            Err(_) => {
                self.name
                    .error
                    .set(Some("There are no keys to keep.".to_owned()));
                return;
            }
        };
        let set = Saved {
            name: name.clone(),
            keys: keys.iter().map(ToString::to_string).collect(),
        };
        self.kept.update(|kept| {
            kept.retain(|other| other.name != set.name);
            kept.insert(0, set);
            kept.truncate(MOST_SETS);
        });
        let words = match write(&self.kept.get_untracked()) {
            true => format!("Kept as {name} in this browser."),
            false => {
                format!("Kept as {name} until this page is closed: this browser stores nothing.")
            }
        };
        self.done.set(Some(words));
        self.saved.value.set(name);
        self.name.value.set(String::new());
    }

    fn forget(self) {
        let name = self.saved.value.get_untracked();
        self.kept.update(|kept| {
            let at = kept.iter().position(|set| set.name == name).unwrap_or(0);
            if at < kept.len() {
                kept.remove(at);
            }
        });
        write(&self.kept.get_untracked());
        self.saved.value.set(String::new());
    }

    /// The choice, drawn.
    pub fn view(self) -> AnyView {
        const WORDS: [&str; 5] = [
            "This cache",
            "cache.nixos.org",
            "Saved set",
            "nix.conf",
            "As in the link",
        ];
        let words = if self.linked {
            &WORDS[..]
        } else {
            &WORDS[..LINKED]
        };
        let which = self.which;
        let more = move || {
            match which.get() {
            SAVED => (!self.kept.with(Vec::is_empty)).then(|| self.saved_view()),
            PASTED => Some(
                view! {
                    {promise()}
                    {pasted_field(
                        "Your nix.conf",
                        "The whole file, or only its line trusted-public-keys. Only the public keys in it are used.",
                        5,
                        self.pasted,
                        "trust-conf",
                    )}
                }
                .into_any(),
            ),
            _ => None,
        }
        };
        let keys = move || match self.chosen.get() {
            Err(why) => view! { <p class="muted" id="trust-keys">{why}</p> }.into_any(),
            Ok(keys) => keys_line(&keys),
        };
        view! {
            <div class="trust-set">
                {segments("Whom the machine trusts", words, move || which.get(), move |at| which.set(at))}
                {changing(more)}
                {changing(keys)}
                <details class="explain">
                    <summary>"Keep this set"</summary>
                    <div class="form">
                        {text_field(self.name, "text", "off")}
                        <p>{button(Weight::Plain, None, "Keep it", move || self.keep())}</p>
                        {done_line(self.done)}
                    </div>
                </details>
            </div>
        }
        .into_any()
    }

    fn saved_view(self) -> AnyView {
        let options = self.kept.with(|kept| {
            let named = kept
                .iter()
                .map(|set| (set.name.clone(), format::visible(&set.name)));
            named.collect::<Vec<_>>()
        });
        view! {
            <div class="trust-saved">
                {select_field(self.saved, options)}
                {button(Weight::Quiet, Some(Icon::Cross), "Forget this set", move || self.forget())}
            </div>
        }
        .into_any()
    }
}

/// The names of the keys, and which of them Nix passes over.
fn keys_line(keys: &[PublicKey]) -> AnyView {
    let set = TrustSet::new(keys.iter().cloned());
    let names: Vec<&str> = set.keys().iter().map(PublicKey::name).collect();
    let names = match names.is_empty() {
        true => "no key at all".to_owned(),
        false => names.join(", "),
    };
    let passed_over: Vec<&str> = set.passed_over().iter().map(PublicKey::name).collect();
    let clash = (!passed_over.is_empty()).then(|| {
        alert(
            Tone::Warn,
            "Two keys share a name",
            view! {
                <p>
                    {format!("{}: Nix uses the first that it is told of and passes over the other, silently. So does this page.", passed_over.join(", "))}
                </p>
            },
            (),
        )
    });
    view! {
        <p id="trust-keys">"Trusts " <b class="break">{names}</b></p>
        {clash}
    }
    .into_any()
}

fn parsed(keys: &[impl AsRef<str>]) -> Chosen {
    let keys = keys.iter().map(|key| {
        let key = key.as_ref();
        key.parse::<PublicKey>()
            .map_err(|error| format!("{}: {error}", format::visible(key)))
    });
    keys.collect()
}

/// The keys of a nix.conf as Nix reads it; what makes Nix stop is said.
fn of_nix_conf(text: &str) -> Chosen {
    if text.trim().is_empty() {
        return Err("Paste the file. It is read here and not sent.".to_owned());
    }
    let effective = Effective::of_text(text);
    if let Some(fatal) = effective.fatal.first() {
        return Err(format!(
            "Nix stops at line {} of this file: {}.",
            fatal.origin.line, fatal.reason
        ));
    }
    let keys = parsed(&effective.texts("trusted-public-keys"))
        .map_err(|why| format!("Nix stops at a key of this file. {why}."))?;
    match keys.len() > MOST_KEYS {
        true => Err(format!("More than {MOST_KEYS} keys are not judged by.")),
        false => Ok(keys),
    }
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

fn read() -> Vec<Saved> {
    let text = storage().and_then(|storage| storage.get_item(KEPT_AS).ok().flatten());
    text.and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

fn write(sets: &[Saved]) -> bool {
    let text = serde_json::to_string(sets).unwrap_or_default();
    storage().is_some_and(|storage| storage.set_item(KEPT_AS, &text).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEAM: &str = "team-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=";

    #[test]
    fn a58_a_nix_conf_gives_the_keys_that_nix_takes_from_it() {
        let names = |text: &str| -> Result<Vec<String>, String> {
            let keys = of_nix_conf(text)?;
            Ok(keys.iter().map(|key| key.name().to_owned()).collect())
        };
        let extra = format!("extra-trusted-public-keys = {TEAM}\n");
        let both = ["cache.nixos.org-1", "team-1"].map(str::to_owned);
        assert_eq!(names(&extra), Ok(both.to_vec()));
        let only = format!("{extra}trusted-public-keys = {TEAM} # mine\n");
        assert_eq!(names(&only), Ok(vec!["team-1".to_owned()]));
        assert_eq!(names("trusted-public-keys =\n"), Ok(Vec::new()));
        assert!(names("").is_err());
        assert!(names("trusted-public-keys = team-1\n").is_err());
        assert!(names("what is this\n").is_err_and(|why| why.contains("line 1")));
    }
}
