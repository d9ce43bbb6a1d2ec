//! Why does Nix not use this cache? One path, one cache, and the configuration of the machine:
//! each condition in the order in which Nix meets it, until one does not hold.
//!
//! The path is looked up on the server; the configuration is judged in this tab.

use leptos::prelude::*;
use snowbank_shared::api::{Cache, KeyPurpose, KeyState, SignatureStatus};
use snowbank_shared::narinfo::NarInfo;
use snowbank_shared::nix_conf::effective::{Effective, comparable};
use snowbank_shared::pasted::store_paths;
use snowbank_shared::route::{ConnectQuery, ConnectRoute, Route};
use snowbank_shared::signature::{KeyRing, KnownKey, PublicKey};

use super::choose::ChosenCaches;
use super::pasted::{Pasted, pasted_field};
use crate::api;
use crate::components::button::{Weight, button};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::field::{Field, select_field, text_field};
use crate::components::icon::Icon;
use crate::components::layout::section;
use crate::state::navigation::href;
use crate::state::remote::Remote;

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Yes,
    No,
    /// It does not stop Nix, and is worth knowing.
    Note,
    Waiting,
}

/// A condition and what was found.
type Step = (Holds, &'static str, String);

/// The section.
pub fn why_not_used(chosen: ChosenCaches) -> AnyView {
    let path = Field::new("Store path", "It is looked up on this server.");
    let config = Pasted::new();
    let which = Field::new("Cache", "");
    let asked = RwSignal::new(None::<(String, String)>);
    let body = move || {
        let caches = chosen.all();
        if caches.is_empty() {
            return ().into_any();
        }
        if which.value.with_untracked(String::is_empty) {
            which.value.set(caches[0].slug.clone());
        }
        let options = caches
            .iter()
            .map(|cache| (cache.slug.clone(), cache.title.clone()))
            .collect();
        let go = move || {
            let text = path.value.get_untracked();
            let found = store_paths(&text, 1).paths.into_iter().next();
            match found {
                Some(found) => {
                    path.error.set(None);
                    asked.set(Some((which.value.get_untracked(), found.hash.to_string())));
                }
                None => path.error.set(Some("This names no store path.".to_owned())),
            }
        };
        let several = (caches.len() > 1).then(|| select_field(which, options));
        view! {
            <div class="form form-columns">{text_field(path, "text", "off")} {several}</div>
            {pasted_field(
                "The machine's nix.conf, or what nix config show prints",
                "It stays in this tab.",
                6,
                config,
                "why-config",
            )}
            <p>{button(Weight::Primary, None, "Find out", go)}</p>
        }
        .into_any()
    };
    let narinfo = Remote::of_bytes(move || {
        let (slug, hash) = asked.get()?;
        Some(api::path_path(&slug, &hash, "raw"))
    });
    let answer = move || {
        let (slug, hash) = asked.get()?;
        let cache = chosen.all().into_iter().find(|cache| cache.slug == slug)?;
        let bytes = narinfo.get().filter(|_| !narinfo.is_waiting());
        let absent = narinfo.error().is_some_and(|error| error.is_not_found());
        let failed = narinfo.error().filter(|error| !error.is_not_found());
        let found = match (bytes, absent, failed) {
            (_, true, _) => Found::Absent,
            (_, _, Some(error)) => Found::Failed(error.what()),
            (Some(bytes), ..) => Found::Narinfo(bytes.to_vec()),
            (None, ..) => Found::Waiting,
        };
        let steps = config.text.with(|config| judge(&cache, config, &found));
        Some(drawn(&cache, &hash, steps))
    };
    section(
        "Why is Nix not using this cache?",
        (),
        view! {
            <div class="why">{changing(body)} {changing(answer)}</div>
        },
    )
}

/// What the cache has of the path.
enum Found {
    Waiting,
    Absent,
    Failed(String),
    Narinfo(Vec<u8>),
}

/// The conditions, in the order in which Nix meets them.
fn judge(cache: &Cache, config: &str, found: &Found) -> Vec<Step> {
    let effective = Effective::of_text(config);
    let mut steps = Vec::new();
    if let Some(fatal) = effective.fatal.first() {
        steps.push((
            Holds::No,
            "The configuration is read",
            format!(
                "Line {}: {}. Every Nix command fails.",
                fatal.origin.line, fatal.reason
            ),
        ));
    }
    let ours = comparable(&cache.url);
    let asked = effective
        .texts("substituters")
        .iter()
        .any(|url| comparable(url) == ours);
    let lost = effective
        .lost
        .iter()
        .find(|lost| lost.setting == "substituters" && comparable(&lost.value.text) == ours);
    let allowed = effective
        .texts("trusted-substituters")
        .iter()
        .any(|url| comparable(url) == ours);
    steps.push(match (asked, lost, allowed) {
        (true, ..) => (Holds::Yes, "The cache is asked", "It is among the substituters in force.".to_owned()),
        (false, Some(lost), _) => (
            Holds::No,
            "The cache is asked",
            format!("Line {} throws away the line that names it.", lost.by.line),
        ),
        (false, None, true) => (
            Holds::No,
            "The cache is asked",
            "It is allowed (trusted-substituters), and nobody asks for it: a user's extra-substituters has to.".to_owned(),
        ),
        (false, None, false) => (
            Holds::No,
            "The cache is asked",
            "It is not among the substituters of this configuration.".to_owned(),
        ),
    });
    steps.push(match found {
        Found::Waiting => (
            Holds::Waiting,
            "The cache has the path",
            "Asking…".to_owned(),
        ),
        Found::Absent => (
            Holds::No,
            "The cache has the path",
            "It does not. A machine that asked before an upload remembers the miss for an hour."
                .to_owned(),
        ),
        Found::Failed(why) => (
            Holds::Waiting,
            "The cache has the path",
            format!("It cannot be told: {why}."),
        ),
        Found::Narinfo(_) => (
            Holds::Yes,
            "The cache has the path",
            "Its narinfo is there.".to_owned(),
        ),
    });
    if let Found::Narinfo(bytes) = found {
        steps.push(signed(cache, &effective, bytes));
    }
    steps.push(order(cache));
    steps
}

/// Whether a key in force has signed it.
fn signed(cache: &Cache, effective: &Effective, bytes: &[u8]) -> Step {
    const WHAT: &str = "A trusted key has signed it";
    let unreadable = || (Holds::No, WHAT, "The narinfo cannot be read.".to_owned());
    let Ok(store_dir) = cache.store_dir.parse() else {
        return unreadable();
    };
    let Ok(narinfo) = NarInfo::parse(bytes, &store_dir) else {
        return unreadable();
    };
    let keys = effective.texts("trusted-public-keys");
    let keys = keys.iter().filter_map(|key| key.parse::<PublicKey>().ok());
    // Of two keys with one name Nix knows only the first.
    let mut first: Vec<PublicKey> = Vec::new();
    for key in keys {
        if !first.iter().any(|known| known.name() == key.name()) {
            first.push(key);
        }
    }
    let ring = KeyRing::new(first.into_iter().map(|key| KnownKey {
        key,
        purpose: KeyPurpose::Cache,
        state: KeyState::Active,
    }));
    let names: Vec<&str> = narinfo
        .signatures()
        .map(|signature| signature.split(':').next().unwrap_or_default())
        .collect();
    match ring.judge(&narinfo).status {
        SignatureStatus::Valid => (
            Holds::Yes,
            WHAT,
            "A signature verifies with a key of this configuration.".to_owned(),
        ),
        SignatureStatus::NotNeeded => (
            Holds::Yes,
            WHAT,
            "It is content-addressed and needs none.".to_owned(),
        ),
        _ if names.is_empty() => (Holds::No, WHAT, "It is not signed at all.".to_owned()),
        _ => (
            Holds::No,
            WHAT,
            format!(
                "It is signed by {}, and no key of this configuration verifies that.",
                names.join(", ")
            ),
        ),
    }
}

fn order(cache: &Cache) -> Step {
    let words = if cache.priority > 40 {
        "cache.nixos.org (40) is asked first; what it has too is taken from there."
    } else if cache.priority == 40 {
        "It has the priority of cache.nixos.org (40): which is asked first is left to chance."
    } else {
        "It is asked before cache.nixos.org (40)."
    };
    let words = format!("Priority {}. {words}", cache.priority);
    (Holds::Note, "Who is asked first", words)
}

fn drawn(cache: &Cache, hash: &str, steps: Vec<Step>) -> AnyView {
    let stopped = steps.iter().any(|(holds, ..)| *holds == Holds::No);
    let waits = steps.iter().any(|(holds, ..)| *holds == Holds::Waiting);
    let mut over = false;
    let rows: Vec<AnyView> = steps
        .into_iter()
        .map(|(holds, what, words)| {
            let mark = match holds {
                Holds::Yes => chip((Tone::Ok, Icon::Tick, "Yes", "")),
                Holds::No => chip((Tone::Bad, Icon::Cross, "No", "")),
                Holds::Note => chip((Tone::Note, Icon::Info, "Note", "")),
                Holds::Waiting => chip((Tone::Unknown, Icon::Dash, "Not known", "")),
            };
            let class = if over { "is-later" } else { "" };
            over |= holds == Holds::No;
            view! {
                <li class=class>
                    {mark}
                    <div>
                        <strong>{what}</strong>
                        <p>{words}</p>
                    </div>
                </li>
            }
            .into_any()
        })
        .collect();
    let lines = href(&Route::Connect(ConnectRoute::Generate(ConnectQuery::of(
        cache.slug.as_str(),
    ))));
    let live = href(&Route::Connect(ConnectRoute::Live {
        cache: Some(cache.slug.clone()),
        token: None,
    }));
    let end = if waits {
        None
    } else if stopped {
        Some(view! { <p>"The first “No” is the reason. " <a href=lines>"The lines for this cache"</a></p> }.into_any())
    } else {
        Some(
            view! {
                <p>
                    "By this configuration Nix takes the path from " <strong>{cache.title.clone()}</strong>
                    ". If it does not, the daemon may not have been restarted, or another file is in force: "
                    <a href=live>"live check"</a>
                </p>
            }
            .into_any(),
        )
    };
    view! {
        <div class="why-answer" role="status" data-hash=hash.to_owned()>
            <ol class="why-steps">{rows}</ol>
            {end}
        </div>
    }
    .into_any()
}
