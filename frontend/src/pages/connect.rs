//! Lines for a machine's configuration: choose caches, choose where the lines
//! go, copy. The choices are the address. Only `extra-` forms are written, so
//! that cache.nixos.org stays.

use leptos::prelude::*;
use snowbank_shared::api::{Cache, Signing, UpstreamMode, Visibility};
use snowbank_shared::nix_conf::ClientSettings;
use snowbank_shared::route::{ConnectTarget, Route};

use crate::components::changing::changing;
use crate::components::code::{code_file, code_line};
use crate::components::failure::failure_of;
use crate::components::icon::{Icon, icon};
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::state::derived::memo;
use crate::state::navigation::{Navigation, href, navigation, with_base};
use crate::state::session::session;

/// What clients need of these caches, in one; the error names what cannot be written down.
fn settings(caches: &[Cache]) -> Result<ClientSettings, String> {
    let mut all: Option<ClientSettings> = None;
    for cache in caches {
        let one = cache.client_settings()?;
        all = Some(match all {
            None => one,
            Some(before) => before.and(one),
        });
    }
    all.ok_or_else(|| "No cache is chosen.".to_owned())
}

/// The lines for nix.conf; where they cannot be written, why, as a comment.
pub fn nix_conf_lines(caches: &[Cache]) -> String {
    settings(caches).map_or_else(|why| format!("# {why}\n"), |settings| settings.nix_conf())
}

/// The words on a target.
const fn target_words(target: ConnectTarget) -> (&'static str, &'static str) {
    match target {
        ConnectTarget::NixConf => ("nix.conf", "Linux and macOS, for the whole machine"),
        ConnectTarget::NixOs => ("NixOS module", "NixOS and nix-darwin"),
    }
}

/// The page.
pub fn page() -> AnyView {
    let session = session();
    let navigation = navigation();
    page_title(|| "Connect".to_owned());
    let wanted =
        Memo::new(
            move |before: Option<&(Vec<String>, ConnectTarget)>| match navigation.route() {
                Some(Route::Connect { caches, target }) => (caches, target),
                // On the way to another page.
                _ => before.cloned().unwrap_or_default(),
            },
        );
    // With one cache there is nothing to choose.
    let wanted = memo(move || {
        let (mut slugs, target) = wanted.get();
        if slugs.is_empty()
            && let Some([only]) = session.described.get().as_deref()
        {
            slugs.push(only.slug.clone());
        }
        (slugs, target)
    });
    let body = move || {
        let Some(all) = session.described.get() else {
            return session
                .caches
                .is_waiting()
                .then(|| skeleton(6, "Reading the caches…"));
        };
        if all.is_empty() {
            return Some(no_cache());
        }
        let form = choices(navigation, &all, wanted);
        let lines = move || {
            let (slugs, target) = wanted.get();
            let chosen: Vec<Cache> = all
                .iter()
                .filter(|cache| slugs.contains(&cache.slug))
                .cloned()
                .collect();
            let unknown = slugs
                .iter()
                .find(|slug| !all.iter().any(|cache| cache.slug == **slug));
            view! { {unknown.map(|slug| unknown_cache(slug))} {output(&chosen, target)} }
        };
        Some(
            view! {
                <div class="connect">
                    {form} <div class="connect-output">{changing(lines)}</div>
                </div>
            }
            .into_any(),
        )
    };
    view! {
        <div class="page">
            <div class="page-head">
                {heading("Connect a machine")}
                <p class="state-sentence">
                    "Two lines let any Nix use a cache: where it is, and whose signature to believe."
                </p>
            </div>
            {failure_of(session.caches)}
            {changing(body)}
        </div>
    }
    .into_any()
}

fn no_cache() -> AnyView {
    view! {
        <section class="empty">
            <h2>"No cache to connect to"</h2>
            <p>
                "This server has no public cache. If you were told of one, ask an owner to let you in."
            </p>
        </section>
    }
    .into_any()
}

fn unknown_cache(slug: &str) -> AnyView {
    view! {
        <div class="banner banner-warn">
            {icon(Icon::Warning)}
            <div class="banner-body">
                <p class="banner-title">{format!("There is no cache “{slug}” here")}</p>
                <p>
                    "The address names it, and this server does not have it or does not show it to you."
                </p>
            </div>
        </div>
    }
    .into_any()
}

/// The form. It is made once, so that the focus stays where the choice was made.
fn choices(
    navigation: Navigation,
    all: &[Cache],
    wanted: Memo<(Vec<String>, ConnectTarget)>,
) -> AnyView {
    let boxes = all
        .iter()
        .map(|cache| {
            let (slug, toggled) = (cache.slug.clone(), cache.slug.clone());
            let checked = move || wanted.with(|(slugs, _)| slugs.contains(&slug));
            let toggle = move |_| {
                let (mut caches, target) = wanted.get_untracked();
                if caches.contains(&toggled) {
                    caches.retain(|chosen| *chosen != toggled);
                } else {
                    caches.push(toggled.clone());
                }
                navigation.replace(&Route::Connect { caches, target });
            };
            view! {
                <label class="choice">
                    <input
                        type="checkbox"
                        name="cache"
                        value=cache.slug.clone()
                        disabled=all.len() == 1
                        prop:checked=checked
                        on:change=toggle
                    />
                    <span>{cache.title.clone()}</span>
                    <small class="muted">{format::counted(cache.paths, "path", "paths")}</small>
                </label>
            }
        })
        .collect_view();
    let targets = ConnectTarget::ALL
        .map(|target| {
            let (word, note) = target_words(target);
            let choose = move |_| {
                let (caches, _) = wanted.get_untracked();
                navigation.replace(&Route::Connect { caches, target });
            };
            view! {
                <label class="choice choice-two">
                    <input
                        type="radio"
                        name="target"
                        value=target.as_str()
                        prop:checked=move || wanted.with(|(_, chosen)| *chosen == target)
                        on:change=choose
                    />
                    <span>{word}</span>
                    <small class="muted">{note}</small>
                </label>
            }
        })
        .collect_view();
    view! {
        <form class="connect-form" on:submit=|event| event.prevent_default()>
            <fieldset>
                <legend>"Caches"</legend>
                {boxes}
                <p class="choice muted">
                    {icon(Icon::Tick)} <span>"cache.nixos.org"</span> <small>"stays as it is"</small>
                </p>
            </fieldset>
            <fieldset>
                <legend>"Where"</legend>
                {targets}
            </fieldset>
        </form>
    }
    .into_any()
}

fn output(chosen: &[Cache], target: ConnectTarget) -> AnyView {
    if chosen.is_empty() {
        return view! {
            <section class="empty">
                <h2>"Choose a cache"</h2>
                <p>"The lines appear here."</p>
            </section>
        }
        .into_any();
    }
    let settings = match settings(chosen) {
        Ok(settings) => settings,
        Err(why) => {
            return view! {
                <div class="banner banner-bad">
                    {icon(Icon::Warning)}
                    <div class="banner-body">
                        <p class="banner-title">"These lines cannot be written"</p>
                        <p>{why}</p>
                    </div>
                </div>
            }
            .into_any();
        }
    };
    let (file, text, download) = match target {
        ConnectTarget::NixConf => ("/etc/nix/nix.conf", settings.nix_conf(), "nix.conf"),
        ConnectTarget::NixOs => ("nix-caches.nix", settings.nixos_module(), "nix-caches.nix"),
    };
    let lines = text.clone();
    view! {
        {notes(chosen)}
        {code_file(file, text, download)}
        {keys(chosen)}
        {after(chosen, target, &lines)}
    }
    .into_any()
}

/// What has to be known before the lines are used.
fn notes(chosen: &[Cache]) -> AnyView {
    let keyless: Vec<&str> = chosen
        .iter()
        .filter(|cache| cache.keys.is_empty())
        .map(|cache| cache.title.as_str())
        .collect();
    let private: Vec<&str> = chosen
        .iter()
        .filter(|cache| cache.visibility != Visibility::Public)
        .map(|cache| cache.title.as_str())
        .collect();
    let titles = |fits: fn(&Cache) -> bool| -> Vec<&str> {
        let fitting = chosen.iter().filter(|cache| fits(cache));
        fitting.map(|cache| cache.title.as_str()).collect()
    };
    let passing = titles(|cache| cache.signing == Signing::PassThrough);
    let with_upstreams = titles(|cache| {
        let mut upstreams = cache.upstreams.iter();
        upstreams.any(|upstream| upstream.mode == UpstreamMode::Virtual)
    });
    let note = |title: String, words: &'static str| {
        view! {
            <div class="banner banner-warn">
                {icon(Icon::Warning)}
                <div class="banner-body">
                    <p class="banner-title">{title}</p>
                    <p>{words}</p>
                </div>
            </div>
        }
    };
    view! {
        {(!keyless.is_empty())
            .then(|| {
                note(
                    format!("No key: {}", keyless.join(", ")),
                    "This cache has no key of its own. Clients take from it only what is content-addressed, or signed by a key they already trust.",
                )
            })}
        {(!private.is_empty())
            .then(|| {
                note(
                    format!("Private: {}", private.join(", ")),
                    "Nix also needs a netrc file with a token for this cache.",
                )
            })}
        {(!passing.is_empty())
            .then(|| {
                note(
                    format!("Each contributor by their own key: {}", passing.join(", ")),
                    "This cache adds no signature of its own, so these lines trust the key of everybody who may upload. When somebody joins or leaves, they change: take them again, on every machine.",
                )
            })}
        {(!with_upstreams.is_empty())
            .then(|| {
                note(
                    format!("With its upstreams: {}", with_upstreams.join(", ")),
                    "What a virtual upstream has does not lie in this cache. Machines fetch it from there, so the lines name both.",
                )
            })}
    }
    .into_any()
}

fn keys(chosen: &[Cache]) -> AnyView {
    let rows = chosen
        .iter()
        .flat_map(|cache| {
            cache.keys.iter().map(move |key| {
                view! {
                    <li>
                        <b class="mono">{key.name.clone()}</b>
                        <span class="fingerprint">{format!("SHA256 {}", format::hex_groups(&key.fingerprint))}</span>
                        <a href=with_base(&format!("/c/{}/keys.txt", cache.slug))>"keys.txt"</a>
                    </li>
                }
            })
        })
        .collect_view();
    view! {
        <section class="section" aria-labelledby="trusted-title">
            <div class="section-head">
                <h2 id="trusted-title">"Whom these lines trust"</h2>
                <p>"Compare with a fingerprint that you got another way."</p>
            </div>
            <ul class="key-list">{rows}</ul>
        </section>
    }
    .into_any()
}

fn step(title: &'static str, words: AnyView) -> AnyView {
    view! {
        <section class="step">
            <h2>{title}</h2>
            <div>{words}</div>
        </section>
    }
    .into_any()
}

/// Apply, check, undo.
fn after(chosen: &[Cache], target: ConnectTarget, lines: &str) -> AnyView {
    let url = chosen
        .first()
        .map(|cache| cache.url.clone())
        .unwrap_or_default();
    let check = view! {
        <p>"It answers, and says which store it is for:"</p>
        {code_line("Command", format!("nix --extra-experimental-features nix-command store ping --store '{url}'"))}
        <p>"Then fetch something that only this cache has: open a path, "<b>"Get it"</b>"."</p>
    }
    .into_any();
    let (apply, undo) = match target {
        ConnectTarget::NixConf => (
            view! {
                <p>
                    "Add the lines at the end of the file. With Determinate Nix the file is "
                    <code>"/etc/nix/nix.custom.conf"</code> ". The daemon reads keys when it starts:"
                </p>
                {code_line("Command on Linux", "sudo systemctl restart nix-daemon")}
                {code_line("Command on macOS", "sudo launchctl kickstart -k system/org.nixos.nix-daemon")}
                <p>
                    "They belong into the system's file. In a user's own file Nix ignores the key unless that user is trusted, which is as good as being root."
                </p>
            }
            .into_any(),
            view! {
                <p>"Delete these lines and restart the daemon:"</p>
                {code_line("Lines", lines.to_owned())}
            }
            .into_any(),
        ),
        ConnectTarget::NixOs => (
            view! {
                <p>"Save it beside your configuration and import it:"</p>
                {code_line("Line for configuration.nix", "imports = [ ./nix-caches.nix ];")}
                {code_line("Command", "sudo nixos-rebuild switch")}
                <p>"This first rebuild does not use the cache yet: the daemon learns of it at its end."</p>
            }
            .into_any(),
            view! { <p>"Remove the import and rebuild. Nothing else was changed."</p> }.into_any(),
        ),
    };
    view! {
        <div class="steps">{step("Apply", apply)} {step("Check", check)} {step("Undo", undo)}</div>
        <p class="muted">
            "Clients remember what a cache answered: a found path for 30 days, a miss for an hour. "
            <a href=href(&Route::Glossary)>"Words used here"</a>
        </p>
    }
    .into_any()
}
