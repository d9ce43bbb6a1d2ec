//! A cache that is not of this server. Who is signed in names it by its URL and key, the server
//! asks it, and its lines are written once the key has verified a signature there.
//!
//! It is kept in this tab alone: in no address and in no storage, so that nobody can send a link
//! that makes a machine trust a key of theirs.

use leptos::prelude::*;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::connect::{TestCache, TestedCache, TestedSignature};
use snowbank_shared::nix_conf::{ClientSettings, SubstituterUrl};
use snowbank_shared::signature::PublicKey;

use crate::components::banner::{alert, banner};
use crate::components::button::{Readiness, Weight, button, button_when};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::field::{Field, text_field};
use crate::components::icon::Icon;
use crate::format;
use crate::state::identity::{Identity, identity};
use crate::state::sending::{Sending, json};

/// Most that are kept.
const MOST: usize = 8;
/// Where Nix has its store unless told otherwise.
const STORE: &str = "/nix/store";

thread_local! {
    static ADDED: ArcRwSignal<Vec<TestedCache>> = ArcRwSignal::new(Vec::new());
}

fn signal() -> ArcRwSignal<Vec<TestedCache>> {
    ADDED.with(Clone::clone)
}

/// Those that were added in this tab, for who may add them; tracked.
pub fn added(identity: Identity) -> Vec<TestedCache> {
    let all = signal().get();
    if all.is_empty() || !identity.may(None, Act::TestCache) {
        return Vec::new();
    }
    all
}

/// What a client needs of it; the error names what cannot be written down.
pub fn settings(other: &TestedCache) -> Result<ClientSettings, String> {
    let url: SubstituterUrl = other
        .url
        .parse()
        .map_err(|error| format!("The URL cannot stand in nix.conf: {error}."))?;
    let key: PublicKey = other
        .key
        .parse()
        .map_err(|error| format!("The key cannot be read: {error}."))?;
    Ok(ClientSettings::new(url, [key]))
}

/// Its name: its URL without the scheme and parameters.
pub fn title(other: &TestedCache) -> String {
    let rest = other.url.split_once("://").map_or("", |(_, rest)| rest);
    let rest = rest.split('?').next().unwrap_or_default();
    rest.trim_end_matches('/').to_owned()
}

/// What is typed, and what came of it. Copy it freely.
#[derive(Debug, Clone, Copy)]
struct Draft {
    identity: Identity,
    url: Field,
    key: Field,
    path: Field,
    sending: Sending,
    tested: RwSignal<Option<TestedCache>>,
}

/// The list of those that were added, and the form that adds one.
pub fn other_caches() -> AnyView {
    let identity = identity();
    let draft = Draft {
        identity,
        url: Field::new(
            "Its URL",
            "As in nix.conf, such as https://cache.example.org.",
        ),
        key: Field::new("Its public key", "name:base64, from its owner."),
        path: Field::new(
            "A store path that it has",
            "Its signature is tested. Empty: paths of this server that the key signed are tried.",
        ),
        sending: Sending::new(),
        tested: RwSignal::new(None),
    };
    view! {
        {changing(move || list(identity))}
        <details class="explain other-cache">
            <summary>"Add a cache that is not of this server"</summary>
            <div>
                <p class="muted">
                    "This server asks it for its nix-cache-info and for one narinfo, and verifies a signature with the key. It stays in this tab: it is in no link, and not in the install script."
                </p>
                {text_field(draft.url, "url", "off")}
                {text_field(draft.key, "text", "off")}
                {text_field(draft.path, "text", "off")}
                <p>
                    {button_when(
                        Weight::Plain,
                        Some(Icon::Connect),
                        "Test and add",
                        move || draft.readiness(),
                        move || draft.send(),
                    )}
                </p>
                {draft.sending.notice()}
                {changing(move || draft.tested.get().map(|tested| found(&tested)))}
            </div>
        </details>
    }
    .into_any()
}

impl Draft {
    fn readiness(self) -> Readiness {
        let may = self.identity.readiness(None, Act::TestCache);
        let empty = |field: Field| field.value.with(|text| text.trim().is_empty());
        self.sending.readiness(if may != Readiness::Ready {
            may
        } else if signal().with(Vec::len) >= MOST {
            Readiness::Refused(format!("There are {MOST} already. Take one out first."))
        } else if empty(self.url) || empty(self.key) {
            Readiness::Refused("Give its URL and its key first.".to_owned())
        } else {
            Readiness::Ready
        })
    }

    fn send(self) {
        let text = |field: Field| field.value.get_untracked().trim().to_owned();
        let (url, key, path) = (text(self.url), text(self.key), text(self.path));
        // What is no public key may be a secret one: it is not sent.
        let wrong_url = url.parse::<SubstituterUrl>().err();
        let wrong_key = key.parse::<PublicKey>().err();
        if wrong_url.is_some() || wrong_key.is_some() {
            let words = |error: String| format::sentence(&error);
            self.url
                .error
                .set(wrong_url.map(|error| words(error.to_string())));
            self.key
                .error
                .set(wrong_key.map(|error| words(error.to_string())));
            return;
        }
        self.tested.set(None);
        let wish = TestCache {
            url,
            key,
            path: (!path.is_empty()).then_some(path),
        };
        let body = json(&wish);
        self.sending
            .send("POST", "/connect/test".to_owned(), body, move |body| {
                let Ok(tested) = body.json::<TestedCache>() else {
                    return;
                };
                if is_good(&tested) {
                    signal().update(|all| {
                        all.retain(|other| other.url != tested.url);
                        all.push(tested.clone());
                    });
                    for field in [self.url, self.key, self.path] {
                        field.value.set(String::new());
                    }
                }
                self.tested.set(Some(tested));
            });
    }
}

/// Whether its lines may be written.
fn is_good(tested: &TestedCache) -> bool {
    tested.signature == TestedSignature::Valid && tested.store_dir == STORE
}

/// What the server found at it.
fn found(tested: &TestedCache) -> AnyView {
    let name = tested.key.split(':').next().unwrap_or_default().to_owned();
    let path = tested.path.clone().unwrap_or_default();
    let place = format!(
        "It is a binary cache for {}, asked in place {} (cache.nixos.org: 40).",
        tested.store_dir, tested.priority
    );
    if tested.store_dir != STORE {
        return alert(
            Tone::Bad,
            "It is for another store",
            view! { <p>{place}</p> <p>"Nix with a store at /nix/store refuses it. Nothing was added."</p> },
            (),
        );
    }
    let (tone, title, words) = match tested.signature {
        TestedSignature::Valid => (
            Tone::Ok,
            "Tested and added",
            format!("{name} verifies the signature of {path}."),
        ),
        TestedSignature::Invalid => (
            Tone::Bad,
            "The key does not verify it",
            format!(
                "{path} there is signed in the name {name}, and this key does not verify it. Nothing was added: ask its owner for the key again."
            ),
        ),
        TestedSignature::Unsigned => (
            Tone::Warn,
            "The key has not signed there",
            format!(
                "{path} there carries no signature in the name {name}. Nothing was added: is it the right key, and was this path signed with it?"
            ),
        ),
        TestedSignature::Untested => (
            Tone::Warn,
            "The key could not be tested",
            format!(
                "No path was found there to test {name} on. Nothing was added: name a store path that the cache has."
            ),
        ),
    };
    alert(
        tone,
        title,
        view! { <p>{place}</p> <p class="break">{words}</p> },
        (),
    )
}

/// Those that were added, each with the way out; tracked.
fn list(identity: Identity) -> Option<AnyView> {
    let all = added(identity);
    if all.is_empty() {
        return None;
    }
    let rows: Vec<AnyView> = all
        .into_iter()
        .map(|other| {
            let (url, name) = (other.url.clone(), title(&other));
            let key = other.key.split(':').next().unwrap_or_default().to_owned();
            let remove = button(Weight::Quiet, Some(Icon::Cross), "Take out", move || {
                signal().update(|all| all.retain(|other| other.url != url));
            });
            view! {
                <li>
                    <span class="break">{name}</span>
                    <small class="muted">"key " {key}</small>
                    {remove}
                </li>
            }
            .into_any()
        })
        .collect();
    let body = view! { <ul class="other-list">{rows}</ul> };
    Some(banner(
        Tone::Note,
        "Not of this server, in this tab only",
        body,
        (),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tested(url: &str, signature: TestedSignature, store_dir: &str) -> TestedCache {
        TestedCache {
            url: url.to_owned(),
            key: "a-1:j5L9+KEroTX8sA3JpVBtaaCO6n3lCX0eqGGWO/bf+zU=".to_owned(),
            fingerprint: String::new(),
            store_dir: store_dir.to_owned(),
            priority: 40,
            want_mass_query: true,
            signature,
            path: None,
        }
    }

    #[test]
    fn only_a_verified_signature_for_this_store_is_good() {
        let url = "https://a.example/x/?priority=3";
        assert!(is_good(&tested(url, TestedSignature::Valid, STORE)));
        assert!(!is_good(&tested(url, TestedSignature::Valid, "/gnu/store")));
        for signature in [
            TestedSignature::Invalid,
            TestedSignature::Unsigned,
            TestedSignature::Untested,
        ] {
            assert!(!is_good(&tested(url, signature, STORE)));
        }
        let one = tested(url, TestedSignature::Valid, STORE);
        assert_eq!(title(&one), "a.example/x");
        assert_eq!(settings(&one).map(|all| all.urls().len()), Ok(1));
    }
}
