//! Who vouches for the path: every signature as the server judges it and as
//! this browser does, the text that was signed, and what no signature covers.

use leptos::prelude::*;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::verify::ContentCheck;
use snowbank_shared::api::{Key, KeyPurpose, KeyState, PathDetail, SignatureStatus};
use snowbank_shared::route::{Route, VouchingRoute};

use crate::api;
use crate::components::ago::ago;
use crate::components::announcer::{Announcer, announcer};
use crate::components::button::{Weight, button_when};
use crate::components::changing::changing;
use crate::components::chip::{content_chip, content_words, signature_chip, signature_words};
use crate::components::code::code_line;
use crate::components::copy::copy_button;
use crate::components::failure::failure_of;
use crate::components::icon::{Icon, icon};
use crate::format;
use crate::pages::accept;
use crate::pages::path::PathPage;
use crate::state::derived::memo;
use crate::state::identity::identity;
use crate::state::navigation::href;
use crate::state::sending::Sending;
use crate::verification::{Verification, disagreements, fingerprint_parts, verify};

/// The outcome of one check, and when it was made.
type Checked = (Result<Verification, String>, String);

/// The tab.
pub fn tab(page: PathPage) -> AnyView {
    // Counts the presses of “Verify again”: the bytes and keys are held, no request is made.
    let presses = RwSignal::new(0_u32);
    let announcer = announcer();
    let checked = memo(move || -> Option<Checked> {
        presses.track();
        let raw = page.raw.get()?;
        let keys = page.keys.get()?;
        let store_dir = page
            .live
            .cache
            .get()
            .map_or_else(|| "/nix/store".to_owned(), |cache| cache.store_dir.clone());
        let at: String = js_sys::Date::new_0().to_locale_time_string("sv-SE").into();
        Some((verify(&raw, &store_dir, &keys.items), at))
    });
    let again = move |_| {
        presses.update(|presses| *presses += 1);
        if let Some((outcome, at)) = checked.get_untracked() {
            let word = outcome.map_or("could not be verified", |found| {
                signature_words(found.status).2
            });
            announcer.say(&format!("Verified again at {at}: {word}"));
        }
    };
    let acceptance = accept::of_path(page);
    let body = move || {
        let detail = page.detail.get()?;
        let checked = checked.get();
        Some(view! {
            {disagreement(&detail, checked.as_ref())}
            {table(page, &detail, checked.as_ref())}
            {what_was_signed(&detail, checked.as_ref())}
            {content(&detail)}
            {content_check(page, announcer)}
        })
    };
    let after = move || {
        let detail = page.detail.get()?;
        Some(view! {
            {check_yourself(page, &detail)}
            {worth()}
        })
    };
    let sign = move || {
        let detail = page.detail.get()?;
        let address = href(&Route::Vouching(VouchingRoute::Signing {
            cache: page.live.slug(),
            query: format!("p={}", detail.row.hash),
        }));
        Some(
            view! { <a class="button" id="counter-sign" href=address>{icon(Icon::Key)} "Counter-sign…"</a> },
        )
    };
    view! {
        <div class="signatures">
            <div class="verified-line">
                <p id="verified">{changing(move || verified_words(checked.get()))}</p>
                {changing(sign)}
                <button type="button" class="button" id="verify-again" on:click=again>
                    {icon(Icon::Again)}
                    "Verify again"
                </button>
            </div>
            {failure_of(page.raw)}
            {failure_of(page.keys)}
            {changing(body)}
            {acceptance}
            {changing(after)}
        </div>
    }
    .into_any()
}

fn verified_words(checked: Option<Checked>) -> AnyView {
    match checked {
        Some((Ok(found), at)) => view! {
            {signature_chip(found.status, None)}
            " "
            <span class="muted">"verified in your browser at "{at}</span>
        }
        .into_any(),
        Some((Err(why), at)) => view! {
            <span class="chip chip-bad">{icon(Icon::Cross)} "Not verified"</span>
            " "
            {format!("at {at}: {why}")}
        }
        .into_any(),
        None => view! { <span class="muted">"Fetching the narinfo to verify it here…"</span> }
            .into_any(),
    }
}

fn disagreement(detail: &PathDetail, checked: Option<&Checked>) -> Option<AnyView> {
    let (Ok(found), _) = checked? else {
        return None;
    };
    let points = disagreements(detail, found);
    if points.is_empty() {
        return None;
    }
    let points = points
        .into_iter()
        .map(|point| view! { <li>{point}</li> })
        .collect_view();
    Some(
        view! {
            <div class="banner banner-bad" role="alert" id="disagreement">
                {icon(Icon::Warning)}
                <div class="banner-body">
                    <p class="banner-title">"Your browser and the server disagree"</p>
                    <ul class="plain-list">{points}</ul>
                    <p>
                        "The narinfo may have changed a moment ago: reload the page. If this stays, do not trust this server's word on signatures."
                    </p>
                </div>
            </div>
        }
        .into_any(),
    )
}

const fn purpose_word(purpose: KeyPurpose) -> &'static str {
    match purpose {
        KeyPurpose::Cache => "this cache",
        KeyPurpose::Contributor => "contributor",
        KeyPurpose::Upstream => "upstream",
    }
}

const fn state_word(state: KeyState) -> &'static str {
    match state {
        KeyState::Pending => "pending",
        KeyState::Active => "active",
        KeyState::Retired => "retired",
        KeyState::Expired => "expired",
        KeyState::Suspended => "suspended",
        KeyState::Revoked => "revoked",
    }
}

fn key_cells(keys: &[Key], name: &str, owner: Option<&str>) -> AnyView {
    let mut known = keys.iter().filter(|key| key.name == name);
    match (known.next(), known.next()) {
        (None, _) => view! {
            <td data-label="Fingerprint" class="none wide">"no key of this name"</td>
            <td data-label="Owner" class="none">"unknown"</td>
        }
        .into_any(),
        (Some(key), None) => view! {
            <td data-label="Fingerprint" class="wide">
                <span class="fingerprint wrap">{format::hex_groups(&key.fingerprint)}</span>
            </td>
            <td data-label="Owner">
                {owner.map(|owner| view! { <b>{format::visible(owner)}</b> ", " })}
                {purpose_word(key.purpose)}
                <span class="muted">", "{state_word(key.state)}</span>
            </td>
        }
        .into_any(),
        (Some(_), Some(_)) => view! {
            <td data-label="Fingerprint" class="wide">"several keys share this name"</td>
            <td data-label="Owner" class="none">"unclear"</td>
        }
        .into_any(),
    }
}

fn table(page: PathPage, detail: &PathDetail, checked: Option<&Checked>) -> AnyView {
    if detail.signatures.is_empty() {
        let (words, why) = match detail.row.signature {
            SignatureStatus::NotNeeded => (
                "No signature, and none needed",
                "The path is content-addressed: its name follows from its content, and that was recomputed and holds.",
            ),
            _ => (
                "No signature",
                "Clients refuse this path unless they are told to take unsigned ones.",
            ),
        };
        return view! {
            <section class="empty">
                <h2>{words}</h2>
                <p>{why}</p>
            </section>
        }
        .into_any();
    }
    let keys = page.keys.get();
    let keys: &[Key] = keys.as_ref().map_or(&[], |keys| &keys.items);
    let found = checked.and_then(|(outcome, _)| outcome.as_ref().ok());
    let rows = detail
        .signatures
        .iter()
        .enumerate()
        .map(|(at, verdict)| {
            let text = verdict.signature.clone();
            let name = format::visible(&verdict.key);
            let page = VouchingRoute::key(page.cache.get_value(), &verdict.key);
            let name = match page {
                Some(page) => {
                    let address = href(&Route::Vouching(page));
                    view! { <a class="cell-link" href=address>{name}</a> }.into_any()
                }
                None => name.into_any(),
            };
            let here = found.and_then(|found| found.signatures.get(at)).map(|verdict| verdict.status);
            let here = match here {
                Some(status) => signature_chip(status, None),
                None => view! { <span class="none">"not yet"</span> }.into_any(),
            };
            view! {
                <tr>
                    <th scope="row">
                        <b class="mono break">{name}</b>
                    </th>
                    <td data-label="In your browser">{here}</td>
                    <td data-label="By the server">{signature_chip(verdict.status, None)}</td>
                    {key_cells(keys, &verdict.key, verdict.owner.as_deref())}
                    <td class="row-action">{copy_button("Copy the signature", false, move || text.clone())}</td>
                </tr>
            }
        })
        .collect_view();
    let meanings = meanings(detail);
    view! {
        <div class="table-wrap">
            <table class="table is-roomy">
                <caption class="visually-hidden">"Signatures of this path"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Key"</th>
                        <th scope="col">"In your browser"</th>
                        <th scope="col">"By the server"</th>
                        <th scope="col">"Key fingerprint, SHA-256"</th>
                        <th scope="col">"Owner"</th>
                        <th scope="col">
                            <span class="visually-hidden">"Copy"</span>
                        </th>
                    </tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        {meanings}
    }
    .into_any()
}

/// What the words in the table mean, each once, but for the one that says all is well.
fn meanings(detail: &PathDetail) -> AnyView {
    let mut statuses: Vec<SignatureStatus> = detail
        .signatures
        .iter()
        .map(|verdict| verdict.status)
        .collect();
    statuses.sort_unstable();
    statuses.dedup();
    let rows = statuses
        .into_iter()
        .map(|status| {
            let (_, _, word, meaning) = signature_words(status);
            view! { <li><b>{word}</b> ": " {meaning}</li> }
        })
        .collect_view();
    view! { <ul class="plain-list muted">{rows}</ul> }.into_any()
}

fn what_was_signed(detail: &PathDetail, checked: Option<&Checked>) -> AnyView {
    let fingerprint = checked
        .and_then(|(outcome, _)| outcome.as_ref().ok())
        .map_or_else(
            || detail.fingerprint.clone(),
            |found| found.fingerprint.clone(),
        );
    let copied = fingerprint.clone();
    let parts = fingerprint_parts(&fingerprint)
        .into_iter()
        .map(|(name, value)| {
            let value = match (name, value.as_str()) {
                ("References", "") => view! { <span class="muted">"none"</span> }.into_any(),
                ("References", list) => {
                    let paths = list
                        .split(',')
                        .map(|path| view! { <li class="mono break">{path.to_owned()}</li> })
                        .collect_view();
                    view! { <ul class="plain-list">{paths}</ul> }.into_any()
                }
                (_, value) => {
                    view! { <span class="mono break">{value.to_owned()}</span> }.into_any()
                }
            };
            view! {
                <dt>{name}</dt>
                <dd>{value}</dd>
            }
        })
        .collect_view();
    view! {
        <section class="section" aria-labelledby="signed-title">
            <div class="section-head">
                <h2 id="signed-title">"What was signed"</h2>
                <p>"Made here from the narinfo's own fields"</p>
            </div>
            <div class="code code-bare">
                <pre id="fingerprint" tabindex="0" role="group" aria-label="Signed text">{fingerprint}</pre>
                {copy_button("Copy the signed text", false, move || copied.clone())}
            </div>
            <dl class="facts">{parts}</dl>
            <p id="not-covered">
                "Not covered by any signature: "
                <b>"URL, FileHash, FileSize, Compression, Deriver, CA, System"</b>
                ". Whoever can write to the bucket can change them unnoticed; the client finds out when the bytes do not match NarHash."
            </p>
        </section>
    }
    .into_any()
}

fn content(detail: &PathDetail) -> AnyView {
    let meaning = content_words(detail.row.content).3;
    let proven = detail.proven_at.as_deref().map(|at| {
        view! { <p class="muted" id="proven-at">"Last proven " {ago(at)} "."</p> }
    });
    view! {
        <section class="section" aria-labelledby="content-title">
            <h2 id="content-title">"Content"</h2>
            <p>{content_chip(detail.row.content)} " " {meaning}</p>
            {proven}
        </section>
    }
    .into_any()
}

/// Asks for a look at the path's bytes.
fn check_content(page: PathPage, sending: Sending, announcer: Announcer) {
    let path = api::path_path(&page.cache.get_value(), &page.hash.get_value(), "verify");
    sending.send("POST", path, None, move |body| {
        let words = match body.json::<ContentCheck>() {
            Ok(found) => {
                let word = content_words(found.content).2;
                match found.reason.is_empty() {
                    true => format!("Checked just now: {word}."),
                    false => {
                        let why = format::sentence(&found.reason);
                        format!("Checked just now: {word}. {}", format::visible(&why))
                    }
                }
            }
            Err(error) => error.why(),
        };
        announcer.say(&words);
        sending.done.set(Some(words));
        page.detail.reload();
    });
}

fn content_check(page: PathPage, announcer: Announcer) -> AnyView {
    let sending = page.checking;
    let ready = move || {
        let cache = page.cache.get_value();
        let may = identity().readiness(Some(&cache), Act::Maintain);
        sending.readiness(may)
    };
    view! {
        <p class="actions">
            {button_when(Weight::Plain, Some(Icon::Again), "Check the content now", ready, move || check_content(page, sending, announcer))}
        </p>
        <p class="muted">"The server reads the whole archive and holds it against what the narinfo says of it."</p>
        {sending.notice()}
    }
    .into_any()
}

fn check_yourself(page: PathPage, detail: &PathDetail) -> AnyView {
    let path = detail.row.path.clone();
    let command = move || {
        let cache = page.live.cache.get()?;
        let keys: Vec<String> = cache
            .keys
            .iter()
            .map(|key| key.public_key.clone())
            .collect();
        let trusted = if keys.is_empty() {
            String::new()
        } else {
            format!(" \\\n  --option trusted-public-keys '{}'", keys.join(" "))
        };
        Some(code_line(
            "Command",
            format!(
                "nix --extra-experimental-features nix-command store verify \\\n  --store '{}' --sigs-needed 1{trusted} \\\n  {path}",
                cache.url
            ),
        ))
    };
    view! {
        <section class="section" aria-labelledby="yourself-title">
            <h2 id="yourself-title">"Check it yourself"</h2>
            {changing(command)}
        </section>
    }
    .into_any()
}

fn worth() -> AnyView {
    view! {
        <details class="explain">
            <summary>"What a valid signature proves, and what not"</summary>
            <div>
                <p>
                    "It proves that whoever holds the secret key vouched for exactly this store path, NarHash, NarSize and references."
                </p>
                <p>
                    "It does not prove that the build was honest, that the NAR in the bucket is intact, or that the holder of the key is who you think. Compare the fingerprint with one that you got another way."
                </p>
            </div>
        </details>
    }
    .into_any()
}
