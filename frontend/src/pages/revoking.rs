//! Before a key or a member ends: what came in under it, what else vouches for that, what its owner has
//! open, and what is to become of it.

use leptos::prelude::*;
use snowbank_shared::api::quarantine::{BlastCache, BlastRadius, Then};
use snowbank_shared::route::{PinsRoute, Route, escape};

use crate::components::changing::changing;
use crate::components::failure::failure_of;
use crate::components::field::{Field, select_field, text_field};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::state::navigation::href;
use crate::state::remote::Remote;

/// What is chosen while revoking. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Choice {
    then: Field,
    since: Field,
}

impl Choice {
    /// Nothing is hidden.
    pub fn new() -> Self {
        let then = Field::new("The paths that came in under it", "");
        then.value.set("keep".to_owned());
        Self {
            then,
            since: Field::new(
                "Since when it counts",
                "Paths first seen before that day stay as they are. Empty: all of them.",
            ),
        }
    }

    /// What becomes of the paths.
    pub fn then(self) -> Then {
        match self.then.value.get_untracked().as_str() {
            "hide" => Then::Hide,
            _ => Then::Keep,
        }
    }

    /// From when on.
    pub fn since(self) -> Option<String> {
        Some(self.since.value.get_untracked()).filter(|since| !since.is_empty())
    }
}

/// What ending means, asked at this address, and the choice.
pub fn blast_radius(path: String, choice: Choice) -> AnyView {
    let radius = Remote::<BlastRadius>::new(move || {
        let since = choice.since.value.get();
        Some(if since.is_empty() {
            path.clone()
        } else {
            format!("{path}?since={}", escape(&since))
        })
    });
    let shown = move || match radius.get() {
        None => radius
            .is_waiting()
            .then(|| skeleton(3, "Counting what came in under it…")),
        Some(radius) => Some(counted(&radius)),
    };
    let choosing = move || {
        let radius = radius.get()?;
        let refusal = radius.caches.iter().find_map(|cache| cache.refusal.clone());
        let mut options = vec![("keep".to_owned(), "Keep them as they are".to_owned())];
        if refusal.is_none() {
            options.push((
                "hide".to_owned(),
                "Hide them: 404 until they are lifted".to_owned(),
            ));
        }
        let why = refusal.map(|why| view! { <small class="refusal">"Hiding them: " {why}</small> });
        Some(view! { {select_field(choice.then, options)} {why} })
    };
    view! {
        {failure_of(radius)}
        <div class="blast" class:is-waiting=move || radius.is_waiting() && radius.is_there()>{changing(shown)}</div>
        {text_field(choice.since, "date", "off")}
        {changing(choosing)}
        <p class="muted">"Hiding is undone within 24 hours by one click, and lifted path by path after that. The end of a key is for good."</p>
    }
    .into_any()
}

fn counted(radius: &BlastRadius) -> AnyView {
    let bytes: u64 = radius.caches.iter().map(|cache| cache.nar_size).sum();
    let keys = match radius.keys.as_slice() {
        [_] => "this key".to_owned(),
        [] => "no key".to_owned(),
        keys => format!("their keys {}", keys.join(", ")),
    };
    let caches = radius.caches.iter().map(of_cache).collect_view();
    let open = [
        (radius.tokens, "token", "tokens"),
        (radius.sessions, "session", "sessions"),
        (radius.waiting_keys, "key that waits", "keys that wait"),
        (
            radius.open_invitations,
            "open invitation",
            "open invitations",
        ),
        (
            radius.waiting_uploads,
            "upload or approval that waits",
            "uploads or approvals that wait",
        ),
    ];
    let open: Vec<String> = open
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| format::counted(count, one, many))
        .collect();
    let open = if open.is_empty() {
        "nothing open".to_owned()
    } else {
        open.join(", ")
    };
    view! {
        <p>
            <b>{format::counted(radius.paths(), "path has", "paths have")}</b>
            " a signature by "
            {keys}
            {format!(" ({} unpacked).", format::size(bytes))}
        </p>
        <ul class="plain-list">{caches}</ul>
        <p>{radius.owner.clone()} " has " {open} "."</p>
    }
    .into_any()
}

fn of_cache(cache: &BlastCache) -> AnyView {
    let quarantine = href(&Route::Pins(PinsRoute::Quarantine {
        cache: cache.cache.clone(),
    }));
    let paths =
        |count: u64, rest: &str| (count > 0).then(|| format!(" {} {rest}", format::count(count)));
    let own = if cache.signed_by_cache == cache.paths {
        Some(" All carry the cache's own signature: clients keep accepting them.".to_owned())
    } else {
        paths(
            cache.signed_by_cache,
            "carry the cache's own signature: clients keep accepting them.",
        )
    };
    let others = paths(
        cache.signed_by_others,
        "have another voucher: a contributor, or their content address.",
    );
    let only = paths(
        cache.only,
        "have no other voucher: clients refuse them from then on.",
    );
    view! {
        <li>
            <b>{cache.cache.clone()}</b>
            ": "
            {format::counted(cache.paths, "path", "paths")}
            "."
            {own}
            {others}
            {only}
            " "
            <a href=quarantine>"What it holds back"</a>
        </li>
    }
    .into_any()
}
