//! `/c/{cache}/upstreams`: the caches that a cache knows to have paths of its own, and what nobody
//! had to upload because a virtual one has it.

use leptos::prelude::*;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::{CacheUpstream, Page, Skipped, UpstreamMode};
use snowbank_shared::route::Route;

use crate::api;
use crate::components::api_button::api_button;
use crate::components::banner::empty;
use crate::components::button::Readiness;
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::code::code_file;
use crate::components::failure::failure_of;
use crate::components::icon::Icon;
use crate::components::layout::{section, table};
use crate::components::page_head::{heading, page_title};
use crate::components::size::size;
use crate::components::skeleton::skeleton;
use crate::format;
use crate::pages::cache::absent_or_failed;
use crate::state::derived::memo;
use crate::state::identity::identity;
use crate::state::live::live_cache;
use crate::state::navigation::href;
use crate::state::remote::Remote;

/// The page.
pub fn page(slug: &str) -> AnyView {
    let live = live_cache();
    let title = slug.to_owned();
    page_title(move || format!("Upstreams – {title}"));
    let slug = StoredValue::new(slug.to_owned());
    // What the page is made of: its figures change without it being drawn anew.
    let known = memo(move || {
        let cache = live.cache.get()?;
        let lines = cache.client_settings().map(|settings| settings.nix_conf());
        Some((cache.upstreams.clone(), lines))
    });
    let body = move || match known.get() {
        None if live.cache.is_waiting() => skeleton(4, "Reading the cache…"),
        None => ().into_any(),
        Some((upstreams, _)) if upstreams.is_empty() => none_named(&slug.get_value()),
        Some((upstreams, lines)) => {
            let any_virtual = upstreams
                .iter()
                .any(|upstream| upstream.mode == UpstreamMode::Virtual);
            view! {
                {named(&upstreams)}
                {any_virtual.then(|| client_lines(&slug.get_value(), lines))}
                {any_virtual.then(|| skipped(slug.get_value()))}
            }
            .into_any()
        }
    };
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Upstreams")}
                    <div class="page-actions">{api_button(move || skipped_path(&slug.get_value()))}</div>
                </div>
                <p class="state-sentence">
                    "Other caches that have paths of this one. What they have signed is never replaced by an upload here."
                </p>
            </div>
            {absent_or_failed(live)}
            {changing(body)}
        </div>
    }
    .into_any()
}

fn skipped_path(cache: &str) -> String {
    format!("{}/skipped", api::cache_path(cache))
}

fn none_named(cache: &str) -> AnyView {
    let lines = format!(
        "[[caches.{cache}.upstreams]]\nurl = \"https://cache.nixos.org\"\nkeys = [\"cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=\"]\nmode = \"virtual\"\n"
    );
    empty(
        "This cache names no upstream",
        view! {
            <p>
                "An owner adds one to the server's configuration. A virtual upstream saves uploads: what it has is not sent here, and machines fetch it from there."
            </p>
            {code_file("snowbank.toml", lines, "snowbank.toml")}
        },
    )
}

fn mode_chip(mode: UpstreamMode) -> AnyView {
    chip(match mode {
        UpstreamMode::Check => (
            Tone::Note,
            Icon::Tick,
            "checked",
            "An upload that it has too must be the same, and is kept here as well",
        ),
        UpstreamMode::Virtual => (
            Tone::Ok,
            Icon::Connect,
            "virtual",
            "What it has is not uploaded here: machines fetch it from there",
        ),
    })
}

fn named(upstreams: &[CacheUpstream]) -> AnyView {
    let rows = upstreams
        .iter()
        .map(|upstream| {
            let names: Vec<&str> = upstream
                .keys
                .iter()
                .map(|key| key.split(':').next().unwrap_or_default())
                .collect();
            let keys = match names.is_empty() {
                true => "none: what it has cannot be checked".to_owned(),
                false => names.join(", "),
            };
            let means = match upstream.mode {
                UpstreamMode::Check => "An upload that it has too must be the same. It is kept here as well.",
                UpstreamMode::Virtual => {
                    "nix copy is told that it is there, and does not send it. Nothing of it is kept or signed here."
                }
            };
            view! {
                <tr>
                    <th scope="row"><code class="break">{upstream.url.clone()}</code></th>
                    <td data-label="Mode">{mode_chip(upstream.mode)}</td>
                    <td class="wrap" data-label="Keys"><span class="mono break">{keys}</span></td>
                    <td class="wrap" data-label="Uploads">{means}</td>
                </tr>
            }
        })
        .collect_view();
    table(
        "Upstreams",
        "table",
        &[
            ("Upstream", "", ""),
            ("Mode", "", ""),
            ("Keys", "", "It is believed by these"),
            ("Uploads", "", ""),
        ],
        rows,
    )
}

/// Readers need the virtual ones as well.
fn client_lines(cache: &str, lines: Result<String, String>) -> AnyView {
    let lines = lines.unwrap_or_else(|why| format!("# {why}\n"));
    let connect = href(&Route::connect(cache));
    section(
        "What machines need",
        view! { <p>"Reads of this cache do not go through to an upstream. These lines name both. "<a href=connect>"Connect a machine"</a></p> },
        code_file("/etc/nix/nix.conf", lines, "nix.conf"),
    )
}

/// What was not uploaded. Whose it is, is for those who upload themselves.
fn skipped(cache: String) -> AnyView {
    let identity = identity();
    let asking = cache.clone();
    let found = Remote::<Page<Skipped>>::new(move || {
        identity
            .may(Some(&asking), Act::Upload)
            .then(|| skipped_path(&asking))
    });
    let body = move || {
        if let Readiness::Refused(why) = identity.readiness(Some(&cache), Act::Upload) {
            return view! {
                <p class="muted">"Who skipped what is shown to those who may upload. " {format::sentence(&why)}</p>
            }
            .into_any();
        }
        match found.get() {
            None if found.error().is_some() => ().into_any(),
            None => skeleton(2, "Asking what was skipped…"),
            Some(page) if page.items.is_empty() => {
                view! { <p class="muted">"Nothing in the last 30 days."</p> }.into_any()
            }
            Some(page) => {
                let days = page.items.iter().map(skipped_day).collect_view();
                view! { <ul class="skip-list">{days}</ul> }.into_any()
            }
        }
    };
    section(
        "Not uploaded",
        view! { <p>"Paths that somebody was going to upload and an upstream has, in the last 30 days."</p> },
        view! { {failure_of(found)} <div id="skipped">{changing(body)}</div> },
    )
}

fn skipped_day(skipped: &Skipped) -> AnyView {
    let by = match skipped.by.split_once(':') {
        Some(("member", name)) => name.to_owned(),
        Some(("token", id)) => format!("the token {id}"),
        _ => skipped.by.clone(),
    };
    let listed = u64::try_from(skipped.first.len()).unwrap_or(u64::MAX);
    let more = skipped.paths.saturating_sub(listed);
    let first = skipped
        .first
        .iter()
        .map(|path| {
            view! {
                <li>
                    <span class="mono break">{path.path.clone()}</span>
                    <span class="muted">{size(path.nar_size)} ", on " <span class="break">{path.upstream.clone()}</span></span>
                </li>
            }
        })
        .collect_view();
    let more = (more > 0).then(|| {
        let words = format!("and {}", format::counted(more, "path more", "paths more"));
        view! { <li class="muted">{words}</li> }
    });
    view! {
        <li>
            <details>
                <summary>
                    <b>{skipped.day.clone()}</b>
                    <span class="break">{by}</span>
                    <span class="number">{format::counted(skipped.paths, "path", "paths")} ", " {size(skipped.nar_size)}</span>
                </summary>
                <ul>{first} {more}</ul>
            </details>
        </li>
    }
    .into_any()
}
