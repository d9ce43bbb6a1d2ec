//! Members: who they are, what they may, and how they come in and go.

use leptos::prelude::*;
use snowbank_shared::api::Page;
use snowbank_shared::api::access::{Act, ChangeMember, Grant, Invite, Member, NewLink, Role};
use snowbank_shared::api::quarantine::Then;
use snowbank_shared::route::escape;

use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::banner::banner;
use crate::components::button::{Readiness, Weight, button_when};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::code::code_line;
use crate::components::dialog::{Confirm, confirm, dialog};
use crate::components::failure::failure_of;
use crate::components::field::{Field, select_field, text_field};
use crate::components::icon::Icon;
use crate::components::layout::{card, table};
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::pages::revoking::{Choice, blast_radius};
use crate::state::identity::identity;
use crate::state::remote::Remote;
use crate::state::sending::{Sending, json};
use crate::state::session::session;

/// Roles as people say them.
pub fn roles_in_words(grants: &[Grant]) -> String {
    let words: Vec<String> = grants
        .iter()
        .map(|grant| match &grant.cache {
            Some(cache) => format!("{} of {cache}", grant.role.title()),
            None => format!("{} of everything", grant.role.title()),
        })
        .collect();
    words.join(", ")
}

/// What every row shares.
#[derive(Clone, Copy)]
struct Doing {
    members: Remote<Page<Member>>,
    sending: Sending,
    link: RwSignal<Option<NewLink>>,
}

impl Doing {
    fn may(self) -> Readiness {
        self.sending
            .readiness(identity().readiness(None, Act::ManageMembers))
    }

    fn change(self, method: &'static str, path: String, body: Option<String>, done: String) {
        self.sending.send(method, path, body, move |_| {
            self.sending.done.set(Some(done));
            self.members.reload();
        });
    }

    fn make_link(self, path: String, body: Option<String>) {
        self.link.set(None);
        self.sending.send("POST", path, body, move |body| {
            self.link.set(body.json().ok());
            self.members.reload();
        });
    }
}

/// The page.
pub fn page() -> AnyView {
    page_title(|| "Members".to_owned());
    let doing = Doing {
        members: Remote::new(|| Some("/members".to_owned())),
        sending: Sending::new(),
        link: RwSignal::new(None),
    };
    let rows = move || match doing.members.get() {
        None => doing
            .members
            .is_waiting()
            .then(|| skeleton(3, "Asking who the members are…")),
        Some(members) => {
            let rows: Vec<AnyView> = members
                .items
                .iter()
                .map(|member| row(doing, member))
                .collect();
            Some(table(
                "Members",
                "table",
                &[
                    ("Name", "", ""),
                    ("Roles", "", ""),
                    ("Signs in", "col-2", ""),
                    (
                        "Sessions",
                        "number col-2",
                        "Browsers that are signed in now",
                    ),
                    ("Tokens", "number col-2", "Tokens that work now"),
                    ("Member since", "col-2", ""),
                    ("", "", ""),
                ],
                rows,
            ))
        }
    };
    let made = move || doing.link.get().map(|link| new_link(&link));
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Members")}
                    <div class="page-actions">{api_button(|| "/members".to_owned())}</div>
                </div>
                <p class="state-sentence">"Who may do what on this server. A name is never given twice."</p>
            </div>
            {failure_of(doing.members)}
            {doing.sending.notice()}
            {changing(made)}
            {changing(rows)}
            {invite_form(doing)}
        </div>
    }
    .into_any()
}

fn new_link(link: &NewLink) -> AnyView {
    let words = view! {
        <p>"Send it to the person. It is shown this once, works once, and ends " {ago(&link.expires_at)} "."</p>
        {code_line("One-time link", link.url.clone())}
    };
    banner(Tone::Ok, "The link is made", words, ())
}

fn row(doing: Doing, member: &Member) -> AnyView {
    let state = member.suspended.then(|| {
        chip((
            Tone::Warn,
            Icon::Warning,
            "suspended",
            "No session and no token of theirs works.",
        ))
    });
    let how = if member.single_sign_on {
        "with the organisation"
    } else {
        "by link"
    };
    let count = |count: Option<u64>| count.map_or("–".to_owned(), format::count);
    let open = RwSignal::new(false);
    let shown = member.clone();
    view! {
        <tr>
            <th scope="row"><strong>{member.name.clone()}</strong> " " {state}</th>
            <td class="wide wrap" data-label="Roles">{roles_in_words(&member.grants)}</td>
            <td class="col-2" data-label="Signs in">{how}</td>
            <td class="number col-2" data-label="Sessions">{count(member.sessions)}</td>
            <td class="number col-2" data-label="Tokens">{count(member.tokens)}</td>
            <td class="col-2 muted" data-label="Member since">{ago(&member.created_at)}</td>
            <td class="row-button">
                <button type="button" class="button" aria-label=format!("Change {}", member.name) on:click=move |_| open.set(true)>
                    "Change…"
                </button>
                {dialog("Change a member", open, move || acts(doing, &shown, open))}
            </td>
        </tr>
    }
    .into_any()
}

/// What can be done about a member.
fn acts(doing: Doing, member: &Member, open: RwSignal<bool>) -> AnyView {
    let name = StoredValue::new(member.name.clone());
    let path = move |below: &str| format!("/members/{}{below}", escape(&name.get_value()));
    let role = role_field(
        member
            .grants
            .first()
            .map_or(Role::Reader, |grant| grant.role),
    );
    let cache = cache_field(member.grants.first().and_then(|grant| grant.cache.clone()));
    let save = move || {
        let change = ChangeMember {
            grants: Some(vec![grant_of(role, cache)]),
            suspended: None,
        };
        open.set(false);
        doing.change(
            "PATCH",
            path(""),
            json(&change),
            format!("{} has another role now.", name.get_value()),
        );
    };
    let suspended = member.suspended;
    let suspend = move || {
        let change = ChangeMember {
            grants: None,
            suspended: Some(!suspended),
        };
        let done = if suspended {
            "may enter again"
        } else {
            "is kept out: sessions and tokens stopped working"
        };
        open.set(false);
        doing.change(
            "PATCH",
            path(""),
            json(&change),
            format!("{} {done}.", name.get_value()),
        );
    };
    let link = move || {
        open.set(false);
        doing.make_link(path("/link"), None);
    };
    let sign_out = move || {
        open.set(false);
        doing.change(
            "DELETE",
            path("/sessions"),
            None,
            format!("{} is signed out everywhere.", name.get_value()),
        );
    };
    let removing = RwSignal::new(false);
    let choice = Choice::new();
    let measured = path("/blast-radius");
    let remove = move || {
        open.set(false);
        let mut query = String::new();
        if choice.then() == Then::Hide {
            query.push_str("?then=hide");
            if let Some(since) = choice.since() {
                query.push_str(&format!("&since={}", escape(&since)));
            }
        }
        doing.change(
            "DELETE",
            path(&query),
            None,
            format!("{} is no member any more.", name.get_value()),
        );
    };
    let several = (member.grants.len() > 1).then(|| {
        view! { <p>"Now: " {roles_in_words(&member.grants)} ". Saving replaces them all by one."</p> }
    });
    let ask = Confirm {
        title: "Remove a member",
        verb: "Remove",
        typed: Some(member.name.clone()),
    };
    let tokens = member.tokens.unwrap_or_default();
    view! {
        <h3>{member.name.clone()}</h3>
        <div class="form">
            {several}
            {role_select(role)} {cache_select(cache)}
            <p>{button_when(Weight::Primary, None, "Save the role", move || doing.may(), save)}</p>
            <p class="link-row">
                {button_when(Weight::Plain, None, "Make a sign-in link", move || doing.may(), link)}
                {button_when(Weight::Plain, None, "Sign out everywhere", move || doing.may(), sign_out)}
                {button_when(Weight::Plain, None, if suspended { "Let in again" } else { "Keep out" }, move || doing.may(), suspend)}
                {button_when(Weight::Danger, None, "Remove…", move || doing.may(), move || removing.set(true))}
            </p>
        </div>
        {confirm(
            ask,
            removing,
            move || {
                let words = format!(
                    "{} can sign in no more, and {} and all keys of theirs stop working. The name stays in the audit and is never given again.",
                    name.get_value(),
                    format::counted(tokens, "token", "tokens"),
                );
                view! { <p>{words}</p> {blast_radius(measured.clone(), choice)} }.into_any()
            },
            remove,
        )}
    }
    .into_any()
}

fn role_field(role: Role) -> Field {
    let field = Field::new("Role", "");
    field.value.set(role.as_str().to_owned());
    field
}

fn role_select(field: Field) -> AnyView {
    let words = [
        "Reader: reads private caches",
        "Contributor: uploads",
        "Maintainer: approves, pins, signs",
        "Owner: everything",
        "Auditor: reads everything, changes nothing",
    ];
    let options = Role::ALL
        .iter()
        .zip(words)
        .map(|(role, words)| (role.to_string(), words.to_owned()))
        .collect();
    select_field(field, options)
}

/// A field for a cache, or all of them.
pub fn cache_field(cache: Option<String>) -> Field {
    let field = Field::new("Where", "");
    field.value.set(cache.unwrap_or_default());
    field
}

/// Its choices.
pub fn cache_select(field: Field) -> AnyView {
    let mut options = vec![(String::new(), "Everything".to_owned())];
    if let Some(caches) = session().described.get_untracked() {
        options.extend(
            caches
                .into_iter()
                .map(|cache| (cache.slug.clone(), format!("Only {}", cache.slug))),
        );
    }
    select_field(field, options)
}

fn grant_of(role: Field, cache: Field) -> Grant {
    let cache = cache.value.get_untracked();
    Grant {
        role: role.value.get_untracked().parse().unwrap_or(Role::Reader),
        cache: (!cache.is_empty()).then_some(cache),
    }
}

fn invite_form(doing: Doing) -> AnyView {
    let name = Field::new(
        "Name",
        "A proposal; the person may choose another. Leave it empty to let them choose.",
    );
    let role = role_field(Role::Contributor);
    let cache = cache_field(None);
    let go = move || {
        let invite = Invite {
            name: name.value.get_untracked().trim().to_owned(),
            grants: vec![grant_of(role, cache)],
        };
        doing.make_link("/members".to_owned(), json(&invite));
    };
    let form = view! {
        <div class="form">
            {text_field(name, "text", "off")} {role_select(role)} {cache_select(cache)}
            <p>{button_when(Weight::Primary, None, "Make an invitation link", move || doing.may(), go)}</p>
        </div>
    };
    let words = view! { <small>"The link works once, within a week."</small> };
    card("Invite somebody", words, form)
}
