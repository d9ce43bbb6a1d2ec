//! Registering a key: made with Nix and pasted, or made in this tab and downloaded.

use leptos::prelude::*;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::contributors::{ContributorKey, RegisterKey};
use snowbank_shared::signature::{PublicKey, SecretKey};

use crate::components::banner::banner;
use crate::components::button::{Readiness, Weight, button, button_when};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::code::{code_line, save};
use crate::components::field::{Field, area_field, select_field, text_field};
use crate::components::icon::Icon;
use crate::components::layout::card;
use crate::pages::keys::{Keys, scope_of};
use crate::pages::keys_prove::{Proving, challenge};
use crate::pages::members::{cache_field, cache_select};
use crate::state::identity::identity;
use crate::state::sending::{Sending, json};

/// A fresh key of this name.
fn generated(name: &str) -> Result<SecretKey, String> {
    let mut seed = [0; 32];
    window()
        .crypto()
        .and_then(|crypto| crypto.get_random_values_with_u8_array(&mut seed))
        .map_err(|_| "This browser gives no random numbers: make the key with Nix.".to_owned())?;
    SecretKey::generate(name, seed).map_err(|error| format!("{error}."))
}

/// The form.
pub fn register_form(sending: Sending, keys: Keys, proving: RwSignal<Option<Proving>>) -> AnyView {
    let identity = identity();
    let name = Field::new(
        "Name of a new key",
        "Person, machine and a number: alice-laptop-1. Given once, for ever.",
    );
    let public = Field::new("Public key", "One line: name:base64.");
    let names = Field::new(
        "Names of the paths that you build",
        "Such as myapp-*, lib-*; who accepts the key decides.",
    );
    let cache = cache_field(None);
    let days = Field::new("Ends", "");
    days.value.set("365".to_owned());
    let secret = RwSignal::new(None::<String>);
    let make = move || match generated(name.value.get_untracked().trim()) {
        Ok(key) => {
            save(
                key.to_secret_text().as_bytes(),
                &format!("{}.secret", key.name()),
            );
            public.value.set(key.public_key().to_string());
            public.error.set(None);
            secret.set(Some(key.to_secret_text()));
        }
        Err(why) => name.error.set(Some(why)),
    };
    let kept = move || {
        secret.get().map(|_| {
            banner(
                Tone::Warn,
                "The secret key was downloaded".to_owned(),
                view! { <p>"Keep it where only you can read it (chmod 600): it is in this tab until you leave the page, and nowhere else. It was not sent."</p> },
                (),
            )
        })
    };
    let ready = move || {
        let missing = if public
            .value
            .with(|text| text.trim().parse::<PublicKey>().is_err())
        {
            Some("Paste the public key, or make one.")
        } else if names.value.with(|names| names.trim().is_empty()) {
            Some("Say what you build.")
        } else {
            None
        };
        let otherwise = missing.map_or(Readiness::Ready, |why| Readiness::Refused(why.to_owned()));
        let may = identity.readiness(None, Act::OwnKeys);
        sending.readiness(if may == Readiness::Ready {
            otherwise
        } else {
            may
        })
    };
    let go = move || {
        let wish = RegisterKey {
            public_key: public.value.get_untracked().trim().to_owned(),
            scope: scope_of(names, cache, None),
            days: days.value.get_untracked().parse().unwrap_or(365),
        };
        sending.send(
            "POST",
            "/contributors".to_owned(),
            json(&wish),
            move |body| {
                if let Ok(made) = body.json::<ContributorKey>() {
                    public.value.set(String::new());
                    let made_here = secret.get_untracked().filter(|secret| {
                        secret
                            .parse::<SecretKey>()
                            .is_ok_and(|key| key.public_key().to_string() == made.public_key)
                    });
                    challenge(made.name, made_here, sending, proving);
                }
                keys.reload();
            },
        );
    };
    let choices = [
        ("90", "in 90 days"),
        ("365", "in a year"),
        ("730", "in two years"),
    ]
    .map(|(days, words)| (days.to_owned(), words.to_owned()))
    .to_vec();
    let nix = "nix key generate-secret --key-name alice-laptop-1 > ~/.config/nix/alice-laptop-1.secret\nchmod 600 ~/.config/nix/alice-laptop-1.secret\nnix key convert-secret-to-public < ~/.config/nix/alice-laptop-1.secret";
    let form = view! {
        <div class="form">
            <p>"Make it with Nix and paste its public half:"</p>
            {code_line("Commands", nix)}
            <p>"Or make it here, in this tab:"</p>
            {text_field(name, "text", "off")}
            <p>{button(Weight::Plain, Some(Icon::Key), "Make a key and download it", make)}</p>
            {changing(kept)}
            {area_field(public, 2, "alice-laptop-1:…")}
            {text_field(names, "text", "off")}
            {cache_select(cache)}
            {select_field(days, choices)}
            <p>{button_when(Weight::Primary, None, "Register the key", ready, go)}</p>
        </div>
    };
    card("Register a key", (), form)
}
