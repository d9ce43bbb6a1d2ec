//! `/me/keys`: the keys with which people sign what they upload. Secret keys are made and used in
//! this tab and leave it only as a download: nothing here sends one.

use leptos::prelude::*;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::contributors::{AcceptKey, ContributorKey, KeyScope, RevokeKey};
use snowbank_shared::api::quarantine::Then;
use snowbank_shared::api::{KeyState, Page, Signing};
use snowbank_shared::route::escape;

use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::banner::{banner, empty};
use crate::components::button::{Weight, button};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::dialog::{Confirm, confirm};
use crate::components::failure::failure_of;
use crate::components::field::{Field, select_field, text_field};
use crate::components::icon::Icon;
use crate::components::layout::table;
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::pages::keys_prove::{Proving, challenge, prove_form};
use crate::pages::keys_register::register_form;
use crate::pages::members::{cache_field, cache_select};
use crate::pages::revoking::{Choice, blast_radius};
use crate::state::identity::identity;
use crate::state::remote::Remote;
use crate::state::sending::{Sending, json};
use crate::state::session::session;

/// The keys that the server lists.
pub type Keys = Remote<Page<ContributorKey>>;

/// The page.
pub fn page() -> AnyView {
    page_title(|| "Your keys".to_owned());
    let keys = Keys::new(|| Some("/contributors".to_owned()));
    let sending = Sending::new();
    let proving = RwSignal::new(None::<Proving>);
    let session = session();
    let passing_through = move || {
        let caches = session.described.get()?;
        let passing: Vec<&str> = caches
            .iter()
            .filter(|cache| cache.signing == Signing::PassThrough)
            .map(|cache| cache.title.as_str())
            .collect();
        (!passing.is_empty()).then(|| {
            banner(
                Tone::Warn,
                format!("Machines trust each key by itself: {}", passing.join(", ")),
                view! {
                    <p>
                        "The policy of this cache passes contributors' signatures through and adds none. Revoking a key stops its uploads, and pages show what it signed as revoked. Machines that have it in nix.conf trust it until its line is taken out there."
                    </p>
                },
                (),
            )
        })
    };
    let list = move || match keys.get() {
        None => keys
            .is_waiting()
            .then(|| skeleton(2, "Asking for the keys…")),
        Some(keys) if keys.items.is_empty() => Some(empty(
            "You have no key",
            view! { <p>"What you upload is signed with a key of your own: nobody shares one. Register it below."</p> },
        )),
        Some(page) => {
            let rows = page
                .items
                .iter()
                .map(|key| row(key, sending, keys, proving))
                .collect::<Vec<_>>();
            Some(table(
                "Keys",
                "table",
                &[
                    ("Key", "", ""),
                    ("State", "", ""),
                    ("May sign", "", "Names of paths; * stands for any text"),
                    ("Ends", "", ""),
                    ("", "", ""),
                ],
                rows,
            ))
        }
    };
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Your keys")}
                    <div class="page-actions">{api_button(|| "/contributors".to_owned())}</div>
                </div>
                <p class="state-sentence">
                    "You sign what you upload with a key of your own. The server checks the signature, keeps it and adds the cache's: machines trust the cache alone, and never change when people come and go."
                </p>
            </div>
            {failure_of(keys)}
            {changing(passing_through)}
            {sending.notice()}
            {changing(move || proving.get().map(|proving| prove_form(proving, sending, keys)))}
            {changing(list)}
            {register_form(sending, keys, proving)}
        </div>
    }
    .into_any()
}

fn state_chip(key: &ContributorKey) -> AnyView {
    let parts = match key.state {
        KeyState::Pending if !key.proven => (
            Tone::Note,
            Icon::TickClock,
            "to be proven",
            "Its owner has not proven to hold it",
        ),
        KeyState::Pending => (
            Tone::Note,
            Icon::TickClock,
            "waits",
            "A Maintainer or Owner has to accept it",
        ),
        KeyState::Active => (Tone::Ok, Icon::Tick, "active", "It signs uploads"),
        KeyState::Expired => (
            Tone::Note,
            Icon::TickClock,
            "expired",
            "What it signed stays good, and it signs no more",
        ),
        KeyState::Retired => (
            Tone::Note,
            Icon::TickClock,
            "retired",
            "What it signed stays good, and it signs no more",
        ),
        KeyState::Suspended => (
            Tone::Warn,
            Icon::Cross,
            "suspended",
            "It is kept out for now",
        ),
        KeyState::Revoked => (
            Tone::Bad,
            Icon::Cross,
            "revoked",
            "Its signatures are believed no more",
        ),
    };
    chip(parts)
}

fn scope_in_words(scope: Option<&KeyScope>) -> String {
    let Some(scope) = scope else {
        return "nothing".to_owned();
    };
    let place = match &scope.caches {
        None => "all caches".to_owned(),
        Some(caches) => caches.join(", "),
    };
    let size = scope
        .max_nar_size
        .map(|most| format!(", at most {}", format::size(most)))
        .unwrap_or_default();
    format!("{} in {place}{size}", scope.names.join(", "))
}

/// The address of an act about a key.
pub fn act_path(name: &str, act: &str) -> String {
    format!("/contributors/{}/{act}", escape(name))
}

fn row(
    key: &ContributorKey,
    sending: Sending,
    keys: Keys,
    proving: RwSignal<Option<Proving>>,
) -> AnyView {
    let identity = identity();
    let (name, owner) = (key.name.clone(), key.owner.clone());
    let mine = {
        let owner = owner.clone();
        move || identity.name().is_some_and(|me| me == owner)
    };
    let ends = key.expires_at.as_deref().map(ago);
    let begin = {
        let (name, mine) = (name.clone(), mine.clone());
        let due = key.state == KeyState::Pending && !key.proven;
        move || {
            let name = name.clone();
            (due && mine()).then(|| {
                button(Weight::Primary, None, "Prove…", move || {
                    challenge(name.clone(), None, sending, proving);
                })
            })
        }
    };
    let decide = {
        let key = key.clone();
        let first = key
            .scope
            .as_ref()
            .and_then(|scope| scope.caches.as_ref()?.first().cloned());
        let due = matches!(
            key.state,
            KeyState::Pending | KeyState::Active | KeyState::Suspended | KeyState::Expired
        );
        move || (due && may_decide(first.as_deref())).then(|| decisions(&key, sending, keys))
    };
    let ended = matches!(key.state, KeyState::Revoked);
    let revoke = (!ended).then(|| revocation(key, sending, keys));
    view! {
        <tr>
            <th scope="row">
                <span class="wrap"><strong class="break">{name}</strong> " " <span class="muted">"of " {owner}</span></span>
            </th>
            <td data-label="State">{state_chip(key)}</td>
            <td class="wrap" data-label="May sign">{scope_in_words(key.scope.as_ref())}</td>
            <td data-label="Ends">{ends}</td>
            <td class="row-button">{changing(begin)} {changing(decide)} {revoke}</td>
        </tr>
    }
    .into_any()
}

/// Whether the caller decides what a key for this cache, or for all, may sign; tracked.
fn may_decide(cache: Option<&str>) -> bool {
    match cache {
        Some(slug) => identity().may(Some(slug), Act::Maintain),
        None => identity().may(None, Act::ManageMembers),
    }
}

/// Sends an act about a key, and says what was done.
fn act(
    key: &str,
    word: &'static str,
    body: Option<String>,
    said: String,
    sending: Sending,
    keys: Keys,
) {
    sending.send("POST", act_path(key, word), body, move |_| {
        sending.done.set(Some(said));
        keys.reload();
    });
}

/// What who maintains the caches decides: accept, narrow, keep out.
fn decisions(key: &ContributorKey, sending: Sending, keys: Keys) -> AnyView {
    let open = RwSignal::new(false);
    let names = Field::new(
        "Names of paths that it may sign",
        "With commas between them; * stands for any text.",
    );
    let cache = cache_field(None);
    if let Some(scope) = &key.scope {
        names.value.set(scope.names.join(", "));
        if let Some(first) = scope.caches.as_ref().and_then(|caches| caches.first()) {
            cache.value.set(first.clone());
        }
    }
    let (name, max_nar_size) = (
        key.name.clone(),
        key.scope.as_ref().and_then(|scope| scope.max_nar_size),
    );
    let expired = key.state == KeyState::Expired;
    let accept = {
        let name = name.clone();
        move || {
            let wish = AcceptKey {
                scope: scope_of(names, cache, max_nar_size),
                days: expired.then_some(365),
            };
            act(
                &name,
                "accept",
                json(&wish),
                format!("{name} is accepted."),
                sending,
                keys,
            );
        }
    };
    let suspended = key.state == KeyState::Suspended;
    let (word, said): (&'static str, _) = if suspended {
        ("resume", "signs again")
    } else {
        ("suspend", "is kept out")
    };
    let hold = {
        let name = name.clone();
        move || {
            act(
                &name,
                word,
                Some("{}".to_owned()),
                format!("{name} {said}."),
                sending,
                keys,
            );
        }
    };
    let verb = if key.accepted_by.is_none() {
        "Accept…"
    } else if expired {
        "Renew…"
    } else {
        "Change…"
    };
    let question = Confirm {
        title: "What may this key sign?",
        verb: "Accept it so",
        typed: None,
    };
    view! {
        <button type="button" class="button" aria-label=format!("{} {name}", verb.trim_end_matches('…')) on:click=move |_| open.set(true)>
            {verb}
        </button>
        {confirm(
            question,
            open,
            move || view! {
                {expired.then_some(view! { <p>"It signs again, for another year."</p> })}
                <p>"Whoever uploads can run code on every machine that trusts this cache. Let the key sign what its owner builds, and no more."</p>
                {text_field(names, "text", "off")}
                {cache_select(cache)}
            }.into_any(),
            accept,
        )}
        {button(Weight::Plain, None, if suspended { "Let in" } else { "Keep out" }, hold)}
    }
    .into_any()
}

/// What two fields say that a key may sign.
pub fn scope_of(names: Field, cache: Field, max_nar_size: Option<u64>) -> KeyScope {
    let cache = cache.value.get_untracked();
    let names = names.value.get_untracked();
    KeyScope {
        caches: (!cache.is_empty()).then(|| vec![cache]),
        names: names
            .split([',', ' ', '\n'])
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        max_nar_size,
    }
}

/// Revoking, with what it means counted first.
fn revocation(key: &ContributorKey, sending: Sending, keys: Keys) -> AnyView {
    let open = RwSignal::new(false);
    let reason = Field::new("Why", "");
    reason.value.set("lost".to_owned());
    let choice = Choice::new();
    let name = key.name.clone();
    let go = {
        let name = name.clone();
        move || {
            let then = choice.then();
            let wish = RevokeKey {
                reason: reason.value.get_untracked(),
                then,
                since: choice.since(),
            };
            let done = match then {
                Then::Keep => format!("{name} is revoked."),
                Then::Hide => {
                    format!("{name} is revoked, and what came in under it is in quarantine.")
                }
            };
            act(&name, "revoke", json(&wish), done, sending, keys);
        }
    };
    let question = Confirm {
        title: "Revoke a key",
        verb: "Revoke it",
        typed: Some(name.clone()),
    };
    let reasons = ["lost", "left", "compromised", "superseded"]
        .map(|word| (word.to_owned(), word.to_owned()));
    let measured = act_path(&name, "blast-radius");
    view! {
        <button type="button" class="button" aria-label=format!("Revoke {name}") on:click=move |_| open.set(true)>
            "Revoke…"
        </button>
        {confirm(
            question,
            open,
            move || view! {
                {blast_radius(measured.clone(), choice)}
                {select_field(reason, reasons.to_vec())}
                <p>"Uploads with it are refused from now on, and neither the key nor its name comes back."</p>
            }.into_any(),
            go,
        )}
    }
    .into_any()
}
