//! `/me`: who I am here, and how to leave. `/me/tokens`: what my machines send.

use leptos::prelude::*;
use snowbank_shared::api::Page;
use snowbank_shared::api::access::{Act, CallerKind, CreateToken, NewToken, Token, Verb};
use snowbank_shared::route::{AccessRoute, Route, escape};

use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::banner::{banner, empty};
use crate::components::button::{Readiness, Weight, button_when, link_button};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::choice::check;
use crate::components::code::{code_file, code_line};
use crate::components::dialog::{Confirm, confirm};
use crate::components::failure::failure_of;
use crate::components::field::{Field, select_field, text_field};
use crate::components::icon::Icon;
use crate::components::layout::{card, fact, facts, table};
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::pages::members::{cache_field, cache_select, roles_in_words};
use crate::state::identity::{identity, load};
use crate::state::navigation::href;
use crate::state::remote::Remote;
use crate::state::sending::{Sending, json};

/// The page `/me`.
pub fn page() -> AnyView {
    page_title(|| "You".to_owned());
    let identity = identity();
    let sending = Sending::new();
    let content = move || {
        let me = identity.me.get()?;
        if me.kind != CallerKind::Member {
            let login = href(&Route::Access(AccessRoute::login(Some("/me".to_owned()))));
            let words = view! { <p>"Nobody is signed in at this browser. " <a href=login>"Sign in"</a></p> };
            return Some(empty("You are a visitor", words));
        }
        let leave = move |path: &'static str| {
            move || sending.send("DELETE", path.to_owned(), None, |_| load("/"))
        };
        let ready = move || sending.readiness(Readiness::Ready);
        let rows = vec![
            fact("Name", me.name.clone()),
            fact("Roles", roles_in_words(&me.grants)),
            fact("This session ends", me.expires_at.as_deref().map(ago)),
        ];
        Some(
            view! {
                {facts(rows)}
                {sending.notice()}
                <p class="link-row">
                    {link_button(Weight::Plain, None, "Your tokens", href(&Route::Access(AccessRoute::Tokens)))}
                    {link_button(Weight::Plain, None, "Your keys", href(&Route::Access(AccessRoute::Keys)))}
                    {button_when(Weight::Plain, None, "Sign out", ready, leave("/session"))}
                    {button_when(Weight::Plain, None, "Sign out everywhere", ready, leave("/sessions"))}
                </p>
            }
            .into_any(),
        )
    };
    view! {
        <div class="page">
            <div class="page-head">{heading("You")}</div>
            {failure_of(identity.me)}
            {changing(content)}
        </div>
    }
    .into_any()
}

/// The page `/me/tokens`.
pub fn tokens() -> AnyView {
    page_title(|| "Your tokens".to_owned());
    let tokens = Remote::<Page<Token>>::new(|| Some("/tokens".to_owned()));
    let sending = Sending::new();
    let made = RwSignal::new(None::<NewToken>);
    let list = move || match tokens.get() {
        None => tokens
            .is_waiting()
            .then(|| skeleton(2, "Asking for your tokens…")),
        Some(tokens) if tokens.items.is_empty() => Some(empty(
            "You have no tokens",
            view! { <p>"A machine that reads a private cache or uploads needs one. Make it below."</p> },
        )),
        Some(page) => {
            let rows: Vec<AnyView> = page
                .items
                .iter()
                .map(|token| row(token, sending, tokens))
                .collect();
            Some(table(
                "Your tokens",
                "table",
                &[
                    ("Name", "", ""),
                    ("For", "", ""),
                    ("Can", "", ""),
                    ("Ends", "", ""),
                    ("Last used", "col-2", "With this server, since it started"),
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
                    {heading("Your tokens")}
                    <div class="page-actions">{api_button(|| "/tokens".to_owned())}</div>
                </div>
                <p class="state-sentence">"What your machines send instead of a password. A token can never do more than you may at that moment."</p>
            </div>
            {failure_of(tokens)}
            {sending.notice()}
            {changing(move || made.get().map(|made| shown_once(&made)))}
            {changing(list)}
            {create_form(sending, tokens, made)}
        </div>
    }
    .into_any()
}

fn row(token: &Token, sending: Sending, tokens: Remote<Page<Token>>) -> AnyView {
    let caches = match &token.caches {
        None => "all caches".to_owned(),
        Some(caches) => caches.join(", "),
    };
    let verbs: Vec<&str> = token.verbs.iter().map(|verb| verb.as_str()).collect();
    let expired = is_past(&token.expires_at)
        .then(|| chip((Tone::Note, Icon::TickClock, "expired", "It works no more.")));
    let used = token
        .last_used_at
        .as_deref()
        .map_or_else(|| "not yet".into_any(), ago);
    let open = RwSignal::new(false);
    let (name, id) = (token.name.clone(), token.id.clone());
    let end = move || {
        let done = format!("The token {name} has ended.");
        sending.send(
            "DELETE",
            format!("/tokens/{}", escape(&id)),
            None,
            move |_| {
                sending.done.set(Some(done));
                tokens.reload();
            },
        );
    };
    let ask = Confirm {
        title: "End a token",
        verb: "End it",
        typed: None,
    };
    view! {
        <tr>
            <th scope="row">
                <span class="wrap"><strong>{token.name.clone()}</strong> " " <code class="muted">{token.id.clone()}</code> " " {expired}</span>
            </th>
            <td class="wrap" data-label="For">{caches}</td>
            <td data-label="Can">{verbs.join(", ")}</td>
            <td data-label="Ends">{ago(&token.expires_at)}</td>
            <td class="col-2 muted" data-label="Last used">{used}</td>
            <td class="row-button">
                <button type="button" class="button" aria-label=format!("End {}", token.name) on:click=move |_| open.set(true)>
                    "End…"
                </button>
                {confirm(
                    ask,
                    open,
                    || view! { <p>"Machines that send it are refused from their next request on. It cannot be undone; a new token can be made."</p> }.into_any(),
                    end,
                )}
            </td>
        </tr>
    }
    .into_any()
}

/// Whether a time of the server, in UTC, is over by this browser's clock.
fn is_past(time: &str) -> bool {
    let now = String::from(js_sys::Date::new_0().to_iso_string());
    time.get(..19) < now.get(..19)
}

/// The secret, this once.
fn shown_once(made: &NewToken) -> AnyView {
    let words = view! {
        <p>"It is shown this once: copy it now. It is in no address and no log of this server."</p>
        {code_line("Token", made.secret.clone())}
        <p>"For Nix, in the file that " <code>"netrc-file"</code> " of nix.conf names (usually " <code>"/etc/nix/netrc"</code> ", readable by root only):"</p>
        {code_file("netrc", made.netrc.clone(), "netrc")}
    };
    banner(
        Tone::Ok,
        format!("The token {} is made", made.token.name),
        words,
        (),
    )
}

fn create_form(
    sending: Sending,
    tokens: Remote<Page<Token>>,
    made: RwSignal<Option<NewToken>>,
) -> AnyView {
    let identity = identity();
    let name = Field::new("Name", "What it is for: laptop, CI of team/app.");
    let cache = cache_field(None);
    let days = Field::new("Ends", "");
    days.value.set("90".to_owned());
    let (read, push) = (RwSignal::new(true), RwSignal::new(false));
    let ready = move || {
        let missing = if name.value.with(|name| name.trim().is_empty()) {
            Some("Give it a name first.")
        } else if !read.get() && !push.get() {
            Some("Say what it can be used for.")
        } else {
            None
        };
        let otherwise = match missing {
            Some(why) => Readiness::Refused(why.to_owned()),
            None => Readiness::Ready,
        };
        let may = identity.readiness(None, Act::OwnTokens);
        sending.readiness(if may == Readiness::Ready {
            otherwise
        } else {
            may
        })
    };
    let go = move || {
        let cache = cache.value.get_untracked();
        let verbs = [(read, Verb::Read), (push, Verb::Push)];
        let wish = CreateToken {
            name: name.value.get_untracked().trim().to_owned(),
            caches: (!cache.is_empty()).then(|| vec![cache]),
            verbs: verbs
                .into_iter()
                .filter_map(|(on, verb)| on.get_untracked().then_some(verb))
                .collect(),
            days: days.value.get_untracked().parse().unwrap_or(90),
        };
        made.set(None);
        sending.send("POST", "/tokens".to_owned(), json(&wish), move |body| {
            made.set(body.json().ok());
            name.value.set(String::new());
            tokens.reload();
        });
    };
    let choices = [
        ("7", "in a week"),
        ("30", "in 30 days"),
        ("90", "in 90 days"),
        ("365", "in a year"),
    ];
    let choices = choices
        .map(|(days, words)| (days.to_owned(), words.to_owned()))
        .to_vec();
    let form = view! {
        <div class="form">
            {text_field(name, "text", "off")} {cache_select(cache)}
            {check("Read", "Fetch from private caches.", read)}
            {check("Push", "Upload, and see what is there already.", push)}
            {select_field(days, choices)}
            <p>{button_when(Weight::Primary, None, "Make a token", ready, go)}</p>
        </div>
    };
    card("New token", (), form)
}
