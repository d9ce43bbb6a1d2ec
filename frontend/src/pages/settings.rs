//! Settings: of the server, which owners change here; of a cache, which the configuration holds.

use std::collections::BTreeMap;

use leptos::prelude::*;
use snowbank_shared::api::access::{Act, ServerSettings, TrustRule, Verb};
use snowbank_shared::api::{Page, Signing};
use snowbank_shared::route::{ContributeRoute, MonitoringRoute, Route, escape};

use crate::components::ago::ago;
use crate::components::button::{Weight, button_when, link_button};
use crate::components::changing::changing;
use crate::components::choice::check;
use crate::components::code::code_file;
use crate::components::dialog::{Confirm, confirm};
use crate::components::failure::failure_of;
use crate::components::field::{Field, text_field};
use crate::components::layout::{card, fact, facts, table};
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::pages::caches::visibility_word;
use crate::pages::members::{cache_field, cache_select};
use crate::state::derived::{effect, memo};
use crate::state::identity::identity;
use crate::state::navigation::{absolute, href};
use crate::state::remote::Remote;
use crate::state::sending::{Sending, json};
use crate::state::session::session;

/// The page.
pub fn page(cache: Option<String>) -> AnyView {
    page_title(|| "Settings".to_owned());
    let content = match cache {
        Some(slug) => of_cache(slug),
        None => view! { {of_server()} {trust()} }.into_any(),
    };
    view! {
        <div class="page">
            <div class="page-head">{heading("Settings")}</div>
            {content}
        </div>
    }
    .into_any()
}

/// What the configuration says of a cache; changed there, and here it says where.
fn of_cache(slug: String) -> AnyView {
    let session = session();
    let of = slug.clone();
    let rows = move || {
        let cache = session.find(&slug)?;
        let key = |name: &str| view! { <code>{format!("caches.{slug}.{name}")}</code> };
        Some(facts(vec![
            fact("Title", view! { {cache.title.clone()} " " {key("title")} }),
            fact(
                "Who may read it",
                view! { {visibility_word(cache.visibility)} " " {key("visibility")} },
            ),
            fact(
                "Address",
                view! { <code class="break">{cache.url.clone()}</code> },
            ),
            fact(
                "Store directory",
                view! { <code>{cache.store_dir.clone()}</code> " " {key("store_dir")} },
            ),
            fact(
                "Signatures",
                view! { {signing_words(cache.signing)} " " {key("signing_key_files")} },
            ),
            fact(
                "Upstreams",
                view! {
                    <a href=href(&Route::Upstreams { cache: slug.clone() })>
                        {format::counted(cache.upstreams.len() as u64, "upstream", "upstreams")}
                    </a>
                    " "
                    {key("upstreams")}
                },
            ),
            fact("Priority", view! { {cache.priority} " " {key("priority")} }),
            fact(
                "Lies in",
                view! { <code class="break">{cache.source.clone()}</code> },
            ),
        ]))
    };
    let note = view! { <p>"These stand in the server's configuration, under the keys beside them. Members and their roles are under Members, tokens under your name."</p> };
    let alerts = href(&Route::Monitoring(MonitoringRoute::Alerts {
        cache: of.clone(),
    }));
    let policy = href(&Route::Contribute(ContributeRoute::Policy { cache: of }));
    view! {
        {card("General", (), view! { {note} {changing(rows)} })}
        {card("Upload policy", (), view! {
            <p>"Rules say which uploads are published at once, which wait for approval or for other builders, and which are refused."</p>
            <p>{link_button(Weight::Plain, None, "Open the policy", policy)}</p>
        })}
        {card("Alerts", (), view! {
            <p>"A webhook is called when a figure is too low or too high for too long: the hit ratio, findings, the quota."</p>
            <p>{link_button(Weight::Plain, None, "Open the alerts", alerts)}</p>
        })}
    }
    .into_any()
}

/// Whose signatures machines trust.
const fn signing_words(signing: Signing) -> &'static str {
    match signing {
        Signing::CounterSign => "the cache signs what it has verified, and machines trust its key",
        Signing::PassThrough => {
            "the cache adds none: machines trust each contributor's key, also after it was revoked here, until it is taken out of their nix.conf"
        }
        Signing::NoKey => {
            "the cache should sign and has no secret key: uploads that need its signature are refused"
        }
    }
}

fn of_server() -> AnyView {
    let identity = identity();
    let settings = Remote::<ServerSettings>::new(|| Some("/settings".to_owned()));
    let sending = Sending::new();
    let sessions = Field::new(
        "Days that a session lives",
        "One that began with a link, 1 to 90.",
    );
    let tokens = Field::new(
        "Days that a token may live",
        "1 to 366; shorter ones are made as asked.",
    );
    let addresses = RwSignal::new(true);
    let fill = move |now: &ServerSettings| {
        sessions.value.set(now.session_days.to_string());
        tokens.value.set(now.token_days.to_string());
        addresses.set(now.note_addresses);
    };
    effect(move || {
        if let Some(now) = settings.get() {
            fill(&now);
        }
    });
    let save = move || {
        let Some(before) = settings.get_now() else {
            return;
        };
        let number = |field: Field| match field.value.get_untracked().trim().parse::<u16>() {
            Ok(number) => Some(number),
            Err(_) => {
                field
                    .error
                    .set(Some("This is not a number of days.".to_owned()));
                None
            }
        };
        let (Some(session_days), Some(token_days)) = (number(sessions), number(tokens)) else {
            return;
        };
        let wish = ServerSettings {
            session_days,
            token_days,
            note_addresses: addresses.get_untracked(),
            revision: before.revision,
            changed_by: None,
            changed_at: None,
        };
        sending.send("PUT", "/settings".to_owned(), json(&wish), move |_| {
            sending.done.set(Some("Saved.".to_owned()));
            settings.reload();
        });
    };
    let changed = move || {
        let now = settings.get()?;
        let (who, when) = (now.changed_by.clone()?, now.changed_at.clone()?);
        Some(view! { <small>"Changed by " {who} " " {ago(&when)}</small> })
    };
    let form = move || {
        view! {
            <div class="form">
                {text_field(sessions, "number", "off")} {text_field(tokens, "number", "off")}
                {check("Note addresses in the audit", "Where an act came from; the configuration says how long it is kept (state.client_addresses).", addresses)}
                {sending.notice()}
                <p>
                    {button_when(Weight::Primary, None, "Save", move || sending.readiness(identity.readiness(None, Act::ChangeSettings)), save)}
                </p>
            </div>
        }
    };
    // Only where there is something to show: to others the failure says why there is not.
    let known = memo(move || settings.is_there());
    let shown = move || {
        if known.get() {
            Some(card("Server", changing(changed), form()))
        } else {
            settings
                .is_waiting()
                .then(|| skeleton(3, "Asking for the settings…"))
        }
    };
    view! { {failure_of(settings)} {changing(shown)} }.into_any()
}

/// Which CI jobs get tokens for their identity.
fn trust() -> AnyView {
    let identity = identity();
    let allowed = move || identity.may(None, Act::ManageTrust);
    let rules = Remote::<Page<TrustRule>>::new(move || allowed().then(|| "/trust".to_owned()));
    let sending = Sending::new();
    let list = move || {
        let page = rules.get()?;
        let rows: Vec<AnyView> = page
            .items
            .iter()
            .map(|rule| rule_row(rule, sending, rules))
            .collect();
        (!rows.is_empty()).then(|| {
            table(
                "Trust rules",
                "table",
                &[
                    ("Name", "", ""),
                    ("Issuer", "", ""),
                    ("Where", "", ""),
                    ("Token", "", ""),
                    ("", "", ""),
                ],
                rows,
            )
        })
    };
    let words = view! {
        <p>"A CI job shows the identity that its provider signed and gets a token of 15 minutes: no secret is stored. Jobs of pull requests never get one."</p>
    };
    card(
        "Trust in CI",
        (),
        view! { {words} {changing(list)} {rule_form(sending, rules)} {exchange_snippet()} },
    )
}

fn rule_row(rule: &TrustRule, sending: Sending, rules: Remote<Page<TrustRule>>) -> AnyView {
    let claims: Vec<String> = rule
        .claims
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    let verbs: Vec<&str> = rule.verbs.iter().map(|verb| verb.as_str()).collect();
    let caches = rule
        .caches
        .as_ref()
        .map_or("all caches".to_owned(), |caches| caches.join(", "));
    let open = RwSignal::new(false);
    let name = rule.name.clone();
    let remove = move || {
        let done = format!("The rule {name} is gone.");
        sending.send(
            "DELETE",
            format!("/trust/{}", escape(&name)),
            None,
            move |_| {
                sending.done.set(Some(done));
                rules.reload();
            },
        );
    };
    let ask = Confirm {
        title: "Remove a trust rule",
        verb: "Remove",
        typed: None,
    };
    view! {
        <tr>
            <th scope="row"><strong>{rule.name.clone()}</strong></th>
            <td class="wide wrap" data-label="Issuer"><code>{rule.issuer.clone()}</code></td>
            <td class="wide wrap" data-label="Where"><code>{claims.join(", ")}</code></td>
            <td class="wrap" data-label="Token">{verbs.join(", ")} ": " {caches}</td>
            <td class="row-button">
                <button type="button" class="button" aria-label=format!("Remove {}", rule.name) on:click=move |_| open.set(true)>
                    "Remove…"
                </button>
                {confirm(
                    ask,
                    open,
                    || view! { <p>"Jobs that it let in get no token any more; tokens that they have end within 15 minutes."</p> }.into_any(),
                    remove,
                )}
            </td>
        </tr>
    }
    .into_any()
}

fn rule_form(sending: Sending, rules: Remote<Page<TrustRule>>) -> AnyView {
    let identity = identity();
    let name = Field::new("Name", "");
    let issuer = Field::new("Issuer", "Exactly as in the identity's iss.");
    issuer
        .value
        .set("https://token.actions.githubusercontent.com".to_owned());
    let audience = Field::new(
        "Audience",
        "What the job asks the provider to put into aud.",
    );
    audience
        .value
        .set(absolute("/").trim_end_matches('/').to_owned());
    let claims = [
        (
            "repository",
            Field::new(
                "Repository",
                "team/app. A * stands for anything but a slash.",
            ),
        ),
        ("ref", Field::new("Ref", "refs/heads/main; empty: any.")),
        ("environment", Field::new("Environment", "Empty: any.")),
        (
            "workflow_ref",
            Field::new(
                "Workflow",
                "team/app/.github/workflows/ci.yml@refs/heads/main; empty: any.",
            ),
        ),
    ];
    let cache = cache_field(None);
    let push = RwSignal::new(true);
    let go = move || {
        let chosen = cache.value.get_untracked();
        let given: BTreeMap<String, String> = claims
            .iter()
            .map(|(name, field)| {
                (
                    (*name).to_owned(),
                    field.value.get_untracked().trim().to_owned(),
                )
            })
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let rule = TrustRule {
            name: name.value.get_untracked().trim().to_owned(),
            issuer: issuer.value.get_untracked().trim().to_owned(),
            audience: audience.value.get_untracked().trim().to_owned(),
            claims: given,
            caches: (!chosen.is_empty()).then(|| vec![chosen]),
            verbs: if push.get_untracked() {
                vec![Verb::Read, Verb::Push]
            } else {
                vec![Verb::Read]
            },
            made_by: String::new(),
            created_at: String::new(),
        };
        sending.send("POST", "/trust".to_owned(), json(&rule), move |_| {
            sending.done.set(Some("The rule is added.".to_owned()));
            name.value.set(String::new());
            rules.reload();
        });
    };
    let ready = move || sending.readiness(identity.readiness(None, Act::ManageTrust));
    let fields = claims
        .map(|(_, field)| text_field(field, "text", "off"))
        .into_iter()
        .collect_view();
    view! {
        <details class="explain">
            <summary>"Add a rule"</summary>
            <div class="form form-wide">
                <div class="form form-columns">
                    {text_field(name, "text", "off")} {text_field(issuer, "url", "off")} {text_field(audience, "text", "off")}
                    {fields} {cache_select(cache)}
                </div>
                {check("Push", "Also upload; without it, only read.", push)}
                <p>{button_when(Weight::Primary, None, "Add the rule", ready, go)}</p>
            </div>
        </details>
        {sending.notice()}
    }
    .into_any()
}

/// What a job runs.
fn exchange_snippet() -> AnyView {
    let address = absolute("/api/v1/oidc/exchange");
    let audience = absolute("/");
    let audience = audience.trim_end_matches('/');
    let text = format!(
        "permissions:\n  id-token: write\nsteps:\n  - run: |\n      identity=$(curl -fsS -H \"Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN\" \\\n        \"$ACTIONS_ID_TOKEN_REQUEST_URL&audience={audience}\" | jq -r .value)\n      curl -fsS -H 'Accept: text/plain' --data \"$identity\" {address} > \"$RUNNER_TEMP/netrc\"\n"
    );
    code_file("GitHub Actions", text, "snowbank.yml")
}
