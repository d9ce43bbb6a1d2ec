//! Signing in: with the organisation, or by a one-time link. And `/invite/{link}`, where such a
//! link is used.

use leptos::prelude::*;
use snowbank_shared::api::access::{Link, LinkKind, LinkSecret, Role, UseLink};
use snowbank_shared::route::{AccessRoute, Route, escape};

use crate::components::ago::ago;
use crate::components::banner::banner;
use crate::components::button::{Readiness, Weight, button, button_when, link_button};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::code::code_line;
use crate::components::failure::failure_of;
use crate::components::field::{Field, text_field};
use crate::components::layout::card;
use crate::components::page_head::{heading, page_title};
use crate::pages::members::roles_in_words;
use crate::state::identity::{identity, load, remember_back, take_back};
use crate::state::navigation::{navigation, with_base};
use crate::state::sending::{Sending, json};

/// What a code of the server means.
fn explained(problem: &str) -> &'static str {
    match problem {
        "begin-again" => {
            "The answer of the identity provider does not belong to a sign-in that this browser began within ten minutes. Begin again."
        }
        "refused" => "The identity provider refused.",
        "no-role" => {
            "You are known, and none of your groups has a role here. An owner gives one in the server's configuration, under oidc.roles."
        }
        "suspended" => "You are suspended here. An owner can end that.",
        "state" => "The server could not write down that you signed in. Try again in a moment.",
        _ => {
            "The identity provider cannot be asked, or its answer is not believed. The server's log says why."
        }
    }
}

/// The page `/login`.
pub fn page(back: Option<String>, problem: Option<String>) -> AnyView {
    page_title(|| "Sign in".to_owned());
    let identity = identity();
    let back = back.unwrap_or_else(|| "/".to_owned());
    remember_back(&back);
    let failed = problem.map(|problem| {
        let words = view! { <p>{explained(&problem)}</p> };
        banner(Tone::Bad, "Signing in did not work", words, ())
    });
    let content = move || {
        let me = identity.me.get()?;
        if let Some(name) = identity.name() {
            let back = back.clone();
            let words = view! { <p>"You are signed in as " <strong>{name}</strong> "."</p> };
            let on = link_button(Weight::Primary, None, "Go on", with_base(&back));
            return Some(banner(Tone::Ok, "", words, on));
        }
        let closed = me.sign_in_problem.clone().map(|why| {
            banner(
                Tone::Bad,
                "Nobody can sign in at the moment",
                view! { <p>{why}</p> },
                (),
            )
        });
        let weight = if me.single_sign_on.is_some() {
            Weight::Plain
        } else {
            Weight::Primary
        };
        let provider = me.single_sign_on.clone().map(|label| {
            let address = with_base(&format!("/api/v1/login/oidc?back={}", escape(&back)));
            view! {
                <p>
                    <a class="button button-primary" href=address>{label}</a>
                </p>
            }
        });
        Some(view! { {closed} {provider} {by_link(weight)} }.into_any())
    };
    view! {
        <div class="page">
            <div class="page-head">
                {heading("Sign in")}
                <p class="state-sentence">"Members upload, change settings and read private caches. Public caches need no login."</p>
            </div>
            {failed}
            {failure_of(identity.me)}
            {changing(content)}
        </div>
    }
    .into_any()
}

fn by_link(weight: Weight) -> AnyView {
    let field = Field::new("One-time link", "Paste the link that an owner gave you.");
    let navigation = navigation();
    let open = move || {
        let text = field.value.get_untracked();
        match text.trim().rsplit('/').next().unwrap_or_default() {
            secret if secret.starts_with("snl_") => {
                navigation.go(&Route::Access(AccessRoute::Invite {
                    link: secret.to_owned(),
                }));
            }
            _ => field.error.set(Some(
                "This is no link of this server: its last part begins with snl_.".to_owned(),
            )),
        }
    };
    let form = view! {
        <form
            class="form"
            on:submit=move |event| {
                event.prevent_default();
                open();
            }
        >
            {text_field(field, "text", "off")}
            <p>{button(weight, None, "Use the link", open)}</p>
        </form>
        <p>"No link? Ask an owner for one: they make it under Members. Whoever runs the server makes one for an owner with"</p>
        {code_line("Command for an owner link", "snowbank owner-link")}
    };
    card("By a one-time link", (), form)
}

/// The page `/invite/{link}`.
pub fn invite(link: String) -> AnyView {
    page_title(|| "One-time link".to_owned());
    let looking = Sending::new();
    let found = RwSignal::new(None::<Link>);
    let secret = LinkSecret { link: link.clone() };
    looking.send(
        "POST",
        "/links/look".to_owned(),
        json(&secret),
        move |body| {
            if let Ok(link) = body.json() {
                found.set(Some(link));
            }
        },
    );
    let content = move || found.get().map(|known| accept(&known, link.clone()));
    view! {
        <div class="page">
            <div class="page-head">{heading("Welcome")}</div>
            {looking.notice()}
            {changing(content)}
        </div>
    }
    .into_any()
}

fn accept(known: &Link, link: String) -> AnyView {
    let name = Field::new(
        "Your name here",
        "2 to 40 lower-case letters, digits, dashes, dots. It stands in the audit for years and cannot be changed.",
    );
    name.value.set(known.name.clone());
    let chooses = known.kind == LinkKind::Invitation;
    let sending = Sending::new();
    let go = move || {
        let wish = UseLink {
            link: link.clone(),
            name: chooses.then(|| name.value.get_untracked().trim().to_owned()),
        };
        sending.send("POST", "/session".to_owned(), json(&wish), |_| {
            load(&take_back());
        });
    };
    let who = known
        .made_by
        .clone()
        .unwrap_or_else(|| "the server itself".to_owned());
    let ends = ago(&known.expires_at);
    let what = match known.kind {
        LinkKind::Invitation => view! {
            <p>"This link, made by " <strong>{who}</strong> ", makes you a member: " {roles_in_words(&known.grants)} ". It works once and ends " {ends} "."</p>
        }
        .into_any(),
        LinkKind::Login => view! {
            <p>"This link, made by " <strong>{who}</strong> ", signs you in as " <strong>{known.name.clone()}</strong> ". It works once and ends " {ends} "."</p>
        }
        .into_any(),
    };
    let uploads = |role: Role| matches!(role, Role::Contributor | Role::Maintainer | Role::Owner);
    let warning = (chooses && known.grants.iter().any(|grant| uploads(grant.role))).then(|| {
        view! {
            <p>"You may then register a key of your own and upload. Whoever uploads can run code on every machine that trusts the cache: sign what you built yourself, and keep the key to yourself."</p>
        }
    });
    let submit = go.clone();
    let ready = move || {
        let empty = chooses && name.value.with(|name| name.trim().is_empty());
        sending.readiness(if empty {
            Readiness::Refused("Choose a name first.".to_owned())
        } else {
            Readiness::Ready
        })
    };
    view! {
        <form
            class="form"
            on:submit=move |event| {
                event.prevent_default();
                submit();
            }
        >
            {what}
            {warning}
            {chooses.then(|| text_field(name, "text", "username"))}
            {sending.notice()}
            <p>{button_when(Weight::Primary, None, if chooses { "Become a member" } else { "Sign in" }, ready, go)}</p>
        </form>
    }
    .into_any()
}
