//! `/c/{cache}/keys/{name}`: one key: whose it is, what it vouches for, and what rests on it.

use leptos::prelude::*;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::vouching::Signer;
use snowbank_shared::api::{Key, KeyPurpose, Page};
use snowbank_shared::route::{
    AccessRoute, AuditQuery, PathsQuery, Route, VouchingQuery, VouchingRoute,
};

use crate::api;
use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::banner::empty;
use crate::components::changing::changing;
use crate::components::code::code_line;
use crate::components::failure::failure_of;
use crate::components::index_line::{index_banner, index_line};
use crate::components::layout::{fact, facts, section};
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::pages::cache::absent_or_failed;
use crate::pages::signers::{paths_of, states, what_rests, whose};
use crate::state::identity::identity;
use crate::state::live::live_cache;
use crate::state::navigation::href;
use crate::state::remote::Remote;

/// The page.
pub fn page(cache: &str, name: &str) -> AnyView {
    let live = live_cache();
    let (slug, key) = (
        StoredValue::new(cache.to_owned()),
        StoredValue::new(name.to_owned()),
    );
    let shown = format::visible(name);
    let title = shown.clone();
    page_title(move || format!("Key {title} – {}", slug.get_value()));
    let path = move || format!("{}/signers", api::cache_path(&slug.get_value()));
    let signers = Remote::<Page<Signer>>::new(move || {
        live.renewals.track();
        Some(path())
    });
    let body = move || match signers.get() {
        None => signers
            .is_waiting()
            .then(|| skeleton(4, "Counting what the key vouches for…")),
        Some(found) => {
            let name = key.get_value();
            let signer = found.items.iter().find(|signer| signer.name == name);
            Some(match signer {
                Some(signer) => about(&slug.get_value(), signer),
                None => nothing(&slug.get_value(), &found),
            })
        }
    };
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading(shown)}
                    <div class="page-actions">{api_button(path)}</div>
                </div>
                {index_line(live)}
            </div>
            {index_banner(live)}
            {absent_or_failed(live)}
            {failure_of(signers)}
            {changing(body)}
        </div>
    }
    .into_any()
}

fn nothing(cache: &str, found: &Page<Signer>) -> AnyView {
    let all = href(&Route::Vouching(VouchingRoute::Keys {
        cache: cache.to_owned(),
    }));
    // The list is cut: then nothing is said of who is not in it.
    let words = match found.total > found.items.len() as u64 {
        true => "It is not among the known keys, and not among the names that signed most here.",
        false => "No key of this name is known, and no path has a signature of it.",
    };
    empty(
        "Nothing is known of this key here",
        view! {
            <p>{words}</p>
            <a href=all>"All keys"</a>
        },
    )
}

fn about(cache: &str, signer: &Signer) -> AnyView {
    let (vouches, alone) = what_rests(cache, signer);
    let failures = format::counted(signer.invalid, "signature fails", "signatures fail");
    let failures = paths_of(
        cache,
        "invalid",
        &signer.name,
        signer.invalid,
        failures.into_any(),
    );
    let lines = match signer.lines {
        0 => view! { <span class="none">"none"</span> }.into_any(),
        lines => {
            let address = href(&Route::Paths {
                cache: cache.to_owned(),
                query: PathsQuery {
                    key: Some(signer.name.clone()),
                    ..PathsQuery::default()
                },
            });
            view! { <a class="cell-link" href=address>{format::counted(lines, "path", "paths")}</a> }
                .into_any()
        }
    };
    let at = |time: &Option<String>| match time {
        Some(time) => ago(time),
        None => view! { <span class="none">"nothing here"</span> }.into_any(),
    };
    let rows = vec![
        fact("State", states(&signer.keys)),
        fact("Whose", whose(signer)),
        fact("Has a signature of it", lines),
        fact("Vouches for", vouches),
        fact("Rests on it alone", alone),
        fact("Fails the check", failures),
        fact("First path it vouches for", at(&signer.first_at)),
        fact("Last path it vouches for", at(&signer.last_at)),
    ];
    view! {
        {section("What rests on it", (), facts(rows))}
        {signer.keys.iter().map(public_key).collect_view()}
        {further(cache, signer)}
    }
    .into_any()
}

fn public_key(key: &Key) -> AnyView {
    view! {
        {code_line("Public key", key.public_key.clone())}
        <p>
            "Fingerprint, SHA-256: "
            <span class="fingerprint wrap">{format::hex_groups(&key.fingerprint)}</span>
        </p>
        <p class="muted">"Compare it with one that you got another way."</p>
    }
    .into_any()
}

/// Where one goes on from here.
fn further(cache: &str, signer: &Signer) -> AnyView {
    let link = |route: Route, words: &'static str| {
        let address = href(&route);
        view! { <li><a class="cell-link" href=address>{words}</a></li> }.into_any()
    };
    let name = || vec![signer.name.clone()];
    let asked = |keys, drop| {
        let query = VouchingQuery {
            keys,
            drop,
            ..VouchingQuery::default()
        };
        Route::Vouching(query.of(cache))
    };
    let is_known = !signer.keys.is_empty();
    let is_own = signer
        .keys
        .iter()
        .any(|key| key.purpose == KeyPurpose::Cache);
    let trusting = is_known.then(|| {
        link(
            asked(name(), Vec::new()),
            "What a machine that trusts this key alone would accept",
        )
    });
    let dropping = is_own.then(|| {
        link(
            asked(Vec::new(), name()),
            "What clients would refuse without it",
        )
    });
    let rotation = is_own.then(|| {
        let route = VouchingRoute::Rotation {
            cache: cache.to_owned(),
        };
        link(Route::Vouching(route), "Rotate or revoke it")
    });
    let (slug, object) = (cache.to_owned(), signer.name.clone());
    let history = move || {
        identity().may(Some(&slug), Act::ReadAudit).then(|| {
            let query = AuditQuery {
                object: object.clone(),
                ..AuditQuery::default()
            };
            let route = AccessRoute::Audit {
                cache: Some(slug.clone()),
                query,
            };
            link(Route::Access(route), "What was done with it, in the audit")
        })
    };
    let all = VouchingRoute::Keys {
        cache: cache.to_owned(),
    };
    let links = view! {
        <ul class="plain-list">
            {trusting}
            {dropping}
            {rotation}
            {changing(history)}
            {link(Route::Vouching(all), "All keys")}
        </ul>
    };
    section("Further", (), links)
}
