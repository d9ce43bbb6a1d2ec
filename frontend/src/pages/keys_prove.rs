//! Proving that one holds a key: by a command, or with the key's file in this tab. The file is read
//! here and not sent.

use leptos::prelude::*;
use snowbank_shared::api::contributors::{KeyChallenge, ProveKey};
use snowbank_shared::key_proof::KeyProof;
use snowbank_shared::signature::SecretKey;

use crate::components::banner::banner;
use crate::components::button::{Readiness, Weight, button, button_when};
use crate::components::chip::Tone;
use crate::components::code::{code_file, code_line};
use crate::components::field::{Field, text_field};
use crate::components::key_file::key_file;
use crate::pages::keys::{Keys, act_path};
use crate::state::sending::{Sending, json};

/// A challenge that waits for its signature.
#[derive(Debug, Clone)]
pub struct Proving {
    name: String,
    challenge: KeyChallenge,
    /// The secret key, where it was made in this tab a moment ago.
    secret: Option<String>,
    over: RwSignal<Option<Proving>>,
}

/// Asks for what to sign, and shows it.
pub fn challenge(
    name: String,
    secret: Option<String>,
    sending: Sending,
    proving: RwSignal<Option<Proving>>,
) {
    let path = act_path(&name, "challenge");
    sending.send("POST", path, Some("{}".to_owned()), move |body| {
        if let Ok(challenge) = body.json::<KeyChallenge>() {
            proving.set(Some(Proving {
                name,
                challenge,
                secret,
                over: proving,
            }));
        }
    });
}

/// Signs the challenge in this tab.
fn signed(secret: &str, message: &str) -> Result<String, String> {
    let key: SecretKey = secret
        .trim()
        .parse()
        .map_err(|error| format!("This is no secret key file: {error}."))?;
    let proof: KeyProof = message
        .parse()
        .map_err(|error| format!("The server's message is wrong: {error}."))?;
    if proof.key != key.public_key() {
        return Err(format!(
            "This file holds the key {}, and the one to prove is {}.",
            key.name(),
            proof.key.name()
        ));
    }
    Ok(key.sign(proof.to_string().as_bytes()).to_string())
}

/// What to sign, and the ways to do it.
pub fn prove_form(proving: Proving, sending: Sending, keys: Keys) -> AnyView {
    let Proving {
        name,
        challenge,
        secret,
        over,
    } = proving;
    let signature = Field::new("Its answer", "One line, as the command prints it.");
    let message = challenge.message.clone();
    let send = {
        let (name, message) = (name.clone(), message.clone());
        move |signature: String| {
            let proof = ProveKey {
                message: message.clone(),
                signature,
            };
            let said = format!("You hold {name}: that is proven.");
            sending.send("POST", act_path(&name, "prove"), json(&proof), move |_| {
                sending.done.set(Some(said));
                over.set(None);
                keys.reload();
            });
        }
    };
    let with = {
        let (send, message) = (send.clone(), message.clone());
        move |secret: &str| match signed(secret, &message) {
            Ok(signature) => send(signature),
            Err(why) => signature.error.set(Some(why)),
        }
    };
    let made_here = secret.map(|secret| {
        let with = with.clone();
        view! { <p>{button(Weight::Primary, None, "Prove with the key made here", move || with(&secret))}</p> }
    });
    let picked = move |text: Result<String, &'static str>| match text {
        Ok(text) => with(&text),
        Err(why) => signature.error.set(Some(why.to_owned())),
    };
    let ready = move || {
        sending.readiness(if signature.value.with(|text| text.contains(':')) {
            Readiness::Ready
        } else {
            Readiness::Refused("Paste the signature first.".to_owned())
        })
    };
    let file = format!("{name}.challenge");
    let words = view! {
        <p>"Sign this message with the key. It names this server and the key, so its signature is worth nothing elsewhere."</p>
        {made_here}
        {key_file("With the secret key file, in this tab; it is not sent", "secret-key-file", picked)}
        <p>"Or on a command line:"</p>
        {code_file(file.clone(), message, file.clone())}
        {code_line("Command", format!("snowbank key prove --key ~/.config/nix/{name}.secret {file}"))}
        {text_field(signature, "text", "off")}
        <p class="link-row">
            {button_when(Weight::Plain, None, "Send the signature", ready, move || send(signature.value.get_untracked()))}
            {button(Weight::Plain, None, "Later", move || over.set(None))}
        </p>
    };
    banner(Tone::Note, format!("Prove that you hold {name}"), words, ())
}
