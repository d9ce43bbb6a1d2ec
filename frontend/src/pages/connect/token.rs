//! The token of a private cache: made here and shown once, pasted, or left open. It is in no
//! address, and what is pasted is not sent.

use leptos::prelude::*;
use snowbank_shared::api::Cache;
use snowbank_shared::api::access::{Act, CreateToken, NewToken, Verb};
use snowbank_shared::route::{AccessRoute, ConnectFlavour, Route};

use crate::components::banner::banner;
use crate::components::button::{Readiness, Weight, button_when, link_button};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::code::{code_file, code_line};
use crate::components::field::{Field, text_field};
use crate::components::layout::card;
use crate::state::identity::identity;
use crate::state::navigation::{href, navigation};
use crate::state::sending::{Sending, json};

/// How long a token made here lasts, in days.
const DAYS: u16 = 90;

/// The host of a cache's URL, as netrc names it: without a port.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    if let Some(end) = authority.find(']') {
        return authority.get(1..end).unwrap_or(authority);
    }
    authority.split(':').next().unwrap_or(authority)
}

/// The block of a netrc for these caches: one entry for each host.
pub fn netrc(caches: &[Cache], token: &str) -> String {
    netrc_of(caches.iter().map(|cache| cache.url.as_str()), token)
}

fn netrc_of<'a>(urls: impl Iterator<Item = &'a str>, token: &str) -> String {
    let mut hosts: Vec<&str> = urls.map(host).collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts
        .into_iter()
        .map(|host| format!("machine {host}\nlogin snowbank\npassword {token}\n"))
        .collect()
}

/// Where Nix of a flavour is given its netrc, as the templates write it.
const fn netrc_path(flavour: ConnectFlavour) -> &'static str {
    match flavour {
        ConnectFlavour::Determinate => "/etc/nix/netrc.caches",
        ConnectFlavour::Nix | ConnectFlavour::Lix | ConnectFlavour::Old => "/etc/nix/netrc",
    }
}

/// What the card holds. It belongs to the page, so that a token which is shown this once
/// outlives another choice of where the lines go. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct TokenDraft {
    sending: Sending,
    made: RwSignal<Option<NewToken>>,
    name: Field,
    pasted: Field,
}

impl TokenDraft {
    /// Nothing yet. What is made or pasted is for these caches: with others it goes.
    pub fn new(slugs: Memo<Vec<String>>) -> Self {
        let draft = Self {
            sending: Sending::new(),
            made: RwSignal::new(None),
            name: Field::new("Name", "What it is for: laptop, CI of team/app."),
            pasted: Field::new("Or a token that you have", "It stays in this tab."),
        };
        Effect::new(move |before: Option<Vec<String>>| {
            let now = slugs.get();
            if before.is_some_and(|before| before != now) {
                draft.made.set(None);
                draft.pasted.value.set(String::new());
            }
            now
        });
        draft
    }
}

/// The card.
pub fn token_card(caches: &[Cache], flavour: ConnectFlavour, draft: TokenDraft) -> AnyView {
    let TokenDraft {
        sending,
        made,
        name,
        pasted,
    } = draft;
    let identity = identity();
    let caches = caches.to_vec();
    let slugs: Vec<String> = caches.iter().map(|cache| cache.slug.clone()).collect();
    let ready = move || {
        let may = identity.readiness(None, Act::OwnTokens);
        let otherwise = if may != Readiness::Ready {
            may
        } else if name.value.with(|name| name.trim().is_empty()) {
            Readiness::Refused("Give it a name first.".to_owned())
        } else {
            Readiness::Ready
        };
        sending.readiness(otherwise)
    };
    let go = move || {
        let wish = CreateToken {
            name: name.value.get_untracked().trim().to_owned(),
            caches: Some(slugs.clone()),
            verbs: vec![Verb::Read],
            days: DAYS,
        };
        made.set(None);
        sending.send("POST", "/tokens".to_owned(), json(&wish), move |body| {
            made.set(body.json().ok());
            name.value.set(String::new());
        });
    };
    let block = move || {
        let secret = made.with(|made| made.as_ref().map(|made| made.secret.clone()));
        let pasted = pasted.value.get().trim().to_owned();
        let token = secret.unwrap_or(pasted);
        (!token.is_empty()).then(|| code_file(netrc_path(flavour), netrc(&caches, &token), "netrc"))
    };
    let shown = move || {
        made.get().map(|made| {
            banner(
                Tone::Ok,
                format!("The token {} is made", made.token.name),
                view! {
                    <p>"It is shown this once: copy it now. It is in no address and no log of this server."</p>
                    {code_line("Token", made.secret.clone())}
                },
                (),
            )
        })
    };
    let login = move || {
        identity.name().is_none().then(|| {
            let back = navigation().route_now().map(|route| route.to_string());
            link_button(
                Weight::Plain,
                None,
                "Sign in to make a token",
                href(&Route::Access(AccessRoute::login(back))),
            )
        })
    };
    card(
        "Token",
        (),
        view! {
            <p>
                "This cache is private: Nix reads a token from a netrc file. One file, with an absolute path, named by "
                <code>"netrc-file"</code> " of nix.conf; it is not merged with others. Queries read it as the user, so a file for root alone breaks them."
            </p>
            {changing(shown)}
            {changing(block)}
            <div class="form form-columns">
                {text_field(name, "text", "off")} {text_field(pasted, "password", "off")}
            </div>
            <p class="page-actions">
                {button_when(Weight::Primary, None, "Make a token to read, for 90 days", ready, go)}
                {changing(login)}
            </p>
            {sending.notice()}
        },
    )
}

#[cfg(test)]
mod tests {
    use super::{host, netrc_of};

    #[test]
    fn a_host_has_one_entry() {
        let urls = ["https://b/x", "https://a/y", "https://b/z"];
        assert_eq!(
            netrc_of(urls.into_iter(), "t"),
            "machine a\nlogin snowbank\npassword t\nmachine b\nlogin snowbank\npassword t\n"
        );
    }

    #[test]
    fn a_netrc_names_the_host_without_its_port() {
        for (url, name) in [
            ("https://cache.example.com/team", "cache.example.com"),
            ("http://127.0.0.1:8080/main", "127.0.0.1"),
            ("http://[::1]:8080/main", "::1"),
            ("https://cache.example.com?priority=1", "cache.example.com"),
        ] {
            assert_eq!(host(url), name);
        }
    }
}
