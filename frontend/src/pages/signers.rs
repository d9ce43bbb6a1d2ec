//! `/c/{cache}/keys`: every name under which paths are signed, whose key it is, and what rests on it.

use leptos::prelude::*;
use snowbank_shared::api::vouching::Signer;
use snowbank_shared::api::{Key, KeyPurpose, KeyState, Page};
use snowbank_shared::route::{PathsQuery, Route, VouchingQuery, VouchingRoute};

use crate::api;
use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::banner::empty;
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::copy::copy_button;
use crate::components::failure::failure_of;
use crate::components::icon::Icon;
use crate::components::index_line::{index_banner, index_line};
use crate::components::layout::table;
use crate::components::page_head::{heading, page_title};
use crate::components::size::size;
use crate::components::skeleton::skeleton;
use crate::format;
use crate::pages::cache::absent_or_failed;
use crate::state::live::live_cache;
use crate::state::navigation::{href, with_base};
use crate::state::remote::Remote;

/// The page.
pub fn page(cache: &str) -> AnyView {
    let live = live_cache();
    let slug = StoredValue::new(cache.to_owned());
    page_title(move || format!("Keys – {}", slug.get_value()));
    let path = move || format!("{}/signers", api::cache_path(&slug.get_value()));
    let signers = Remote::<Page<Signer>>::new(move || {
        live.renewals.track();
        Some(path())
    });
    let list = move || match signers.get() {
        None => signers
            .is_waiting()
            .then(|| skeleton(4, "Counting what each key vouches for…")),
        Some(found) if found.items.is_empty() => Some(empty(
            "This cache has no key",
            view! { <p>"Nothing here is signed, and no key is known: clients refuse its paths."</p> },
        )),
        Some(found) => Some(rows(&slug.get_value(), &found)),
    };
    let coverage = href(&Route::Vouching(VouchingQuery::default().of(cache)));
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Keys")}
                    <div class="page-actions">
                        <a class="button" href=coverage>"Signature coverage"</a>
                        {api_button(path)}
                    </div>
                </div>
                <p class="state-sentence">{changing(move || signers.get().map(|found| sentence(&found)))}</p>
                {index_line(live)}
            </div>
            {index_banner(live)}
            {absent_or_failed(live)}
            {failure_of(signers)}
            {changing(list)}
            {machine_addresses(cache)}
        </div>
    }
    .into_any()
}

fn sentence(found: &Page<Signer>) -> String {
    let known = found.items.iter().filter(|signer| !signer.keys.is_empty());
    let unknown = found.total - known.clone().count() as u64;
    let alone = known.filter(|signer| signer.only_paths > 0).count() as u64;
    let unknown = match unknown {
        0 => String::new(),
        unknown => format!(
            " {} here that nobody knows.",
            format::counted(unknown, "name signed paths", "names signed paths")
        ),
    };
    let rests = match alone {
        0 => "No path rests on one key alone.".to_owned(),
        alone => format!(
            "{} for which nothing else vouches.",
            format::counted(alone, "key has paths", "keys have paths")
        ),
    };
    format!("{rests}{unknown}")
}

fn rows(cache: &str, found: &Page<Signer>) -> AnyView {
    let rows = found
        .items
        .iter()
        .map(|signer| row(cache, signer))
        .collect_view();
    let more = (found.total > found.items.len() as u64).then(|| {
        let words = format!(
            "{} of {} names are shown.",
            format::count(found.items.len() as u64),
            format::count(found.total)
        );
        view! { <p class="muted">{words}</p> }
    });
    view! {
        {table(
            "Keys that signed here",
            "table is-roomy",
            &[
                ("Key", "grow", ""),
                ("State", "", ""),
                ("Whose", "", ""),
                ("Vouches for", "number", "Paths with a signature of it that passes the check"),
                ("Rests on it alone", "number", "Paths for which no other known key vouches, and that are not content-addressed"),
                ("Signed", "col-2", "When the first and the last path that it vouches for were first seen"),
                ("", "", ""),
            ],
            rows,
        )}
        {more}
    }
    .into_any()
}

/// The paths that a key vouches for, and of these what rests on it alone.
pub(super) fn what_rests(cache: &str, signer: &Signer) -> (AnyView, AnyView) {
    let vouches = counted(signer.paths, signer.nar_size);
    let alone = counted(signer.only_paths, signer.only_nar_size);
    (
        paths_of(cache, "valid", &signer.name, signer.paths, vouches),
        paths_of(cache, "only", &signer.name, signer.only_paths, alone),
    )
}

/// How many paths, and how large they are together.
fn counted(paths: u64, bytes: u64) -> AnyView {
    view! {
        {format::counted(paths, "path", "paths")}
        " "
        <span class="muted">{size(bytes)}</span>
    }
    .into_any()
}

/// A link to the paths of a filter, or a plain nought.
pub(super) fn paths_of(cache: &str, how: &str, name: &str, paths: u64, words: AnyView) -> AnyView {
    if paths == 0 {
        return view! { <span class="none">"none"</span> }.into_any();
    }
    let address = href(&Route::Paths {
        cache: cache.to_owned(),
        query: PathsQuery {
            vouch: Some(format!("{how}:{name}").into()),
            ..PathsQuery::default()
        },
    });
    view! { <a class="cell-link" href=address>{words}</a> }.into_any()
}

fn row(cache: &str, signer: &Signer) -> AnyView {
    let name = format::visible(&signer.name);
    let name = match VouchingRoute::key(cache, &signer.name) {
        Some(page) => {
            let address = href(&Route::Vouching(page));
            view! { <a class="cell-link" href=address>{name}</a> }.into_any()
        }
        None => name.into_any(),
    };
    let (vouches, alone) = what_rests(cache, signer);
    let invalid = (signer.invalid > 0).then(|| {
        let words = format!(
            "{} ✘",
            format::counted(signer.invalid, "failure", "failures")
        );
        paths_of(
            cache,
            "invalid",
            &signer.name,
            signer.invalid,
            words.into_any(),
        )
    });
    let unknown = signer.keys.is_empty().then(|| {
        view! { <span class="muted">{format::counted(signer.lines, "path has its line", "paths have its line")}</span> }
    });
    let signed = match (&signer.first_at, &signer.last_at) {
        (Some(first), Some(last)) => view! { {ago(first)} " to " {ago(last)} }.into_any(),
        _ => view! { <span class="none">"nothing here"</span> }.into_any(),
    };
    let copied: String = signer
        .keys
        .iter()
        .map(|key| format!("{}\n", key.public_key))
        .collect();
    let copied = copied.trim_end().to_owned();
    let copy = (!copied.is_empty())
        .then(|| copy_button("Copy the public key", false, move || copied.clone()));
    let fingerprints = signer
        .keys
        .iter()
        .map(|key| view! { <span class="fingerprint wrap">{format::hex_groups(&key.fingerprint)}</span> })
        .collect_view();
    view! {
        <tr>
            <th scope="row" class="grow wide">
                <div class="cell-two">
                    <b class="mono break">{name}</b>
                    {fingerprints}
                </div>
            </th>
            <td data-label="State">{states(&signer.keys)}</td>
            <td data-label="Whose">{whose(signer)}</td>
            <td data-label="Vouches for" class="number">{vouches} {unknown} {invalid}</td>
            <td data-label="Rests on it alone" class="number">{alone}</td>
            <td data-label="Signed" class="col-2 muted">{signed}</td>
            <td class="row-action">{copy}</td>
        </tr>
    }
    .into_any()
}

/// The state of a key as a chip.
pub fn state_chip(purpose: KeyPurpose, state: KeyState) -> AnyView {
    chip(match state {
        // The cache's own next key is made and not used yet.
        KeyState::Pending if purpose == KeyPurpose::Cache => (
            Tone::Note,
            Icon::TickClock,
            "next",
            "Made, and does not sign yet",
        ),
        KeyState::Pending => (
            Tone::Note,
            Icon::TickClock,
            "pending",
            "Its signatures count as by an unknown key",
        ),
        KeyState::Active => (
            Tone::Ok,
            Icon::Tick,
            "active",
            "Its signatures are believed",
        ),
        KeyState::Retired => (
            Tone::Note,
            Icon::TickClock,
            "retired",
            "Believed, and signs no more",
        ),
        KeyState::Expired => (
            Tone::Note,
            Icon::TickClock,
            "expired",
            "Its time is over; what it signed stays good",
        ),
        KeyState::Suspended => (Tone::Warn, Icon::Warning, "suspended", "Held back for now"),
        KeyState::Revoked => (Tone::Bad, Icon::Cross, "revoked", "No longer believed"),
    })
}

pub(super) fn states(keys: &[Key]) -> AnyView {
    match keys {
        [] => chip((
            Tone::Unknown,
            Icon::Help,
            "unknown",
            "No public key of this name is known here: nothing can be said of its signatures",
        )),
        [key] => state_chip(key.purpose, key.state),
        _ => chip((
            Tone::Warn,
            Icon::Warning,
            "name clash",
            "Several known keys share this name. Nix uses the first it is told of.",
        )),
    }
}

pub(super) fn whose(signer: &Signer) -> AnyView {
    let Some(key) = signer.keys.first() else {
        return view! { <span class="none">"unknown"</span> }.into_any();
    };
    let kind = match key.purpose {
        KeyPurpose::Cache => "this cache",
        KeyPurpose::Contributor => "contributor",
        KeyPurpose::Upstream => "upstream",
    };
    let owner = signer
        .owner
        .as_ref()
        .map(|owner| format!(", {}", format::visible(owner)));
    let ends = signer
        .expires_at
        .as_ref()
        .map(|at| view! { <span class="muted">" · ends " {ago(at)}</span> });
    view! { {kind} {owner} {ends} }.into_any()
}

/// Where machines get the keys.
fn machine_addresses(cache: &str) -> AnyView {
    let links = ["keys.txt", "keys.json", "module.nix", "flake.tar.gz"].map(|file| {
        let address = with_base(&format!("/c/{cache}/{file}"));
        view! { <li><a class="mono cell-link" href=address rel="external">{file}</a></li> }
    });
    view! {
        <section class="section" aria-labelledby="machines-title">
            <h2 id="machines-title">"For machines"</h2>
            <p class="muted">"The keys that clients of this cache are told to trust."</p>
            <ul class="plain-list">{links.collect_view()}</ul>
        </section>
    }
    .into_any()
}
