//! `/c/{cache}/gc/purge/{hash}`: taking one path out now and for ever, because what is in it leaked.

use leptos::prelude::*;
use snowbank_shared::api::retention::{PurgePreview, PurgeWish, Purged};
use snowbank_shared::route::{MonitoringRoute, Route, escape};

use super::history::day;
use super::{Question, found_or, framed, question, readiness, run_route};
use crate::components::ago::ago;
use crate::components::banner::banner;
use crate::components::button::{Weight, button_when, link_button};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::field::{Field, text_field};
use crate::components::layout::{card, fact, facts, section};
use crate::components::size::size_or;
use crate::components::store_path::path_link;
use crate::format;
use crate::state::navigation::href;
use crate::state::remote::Remote;
use crate::state::sending::{Sending, json};

/// What the parts of the page share. Copy it freely.
#[derive(Clone, Copy)]
struct Purging {
    cache: StoredValue<String>,
    hash: StoredValue<String>,
    /// The address below `/api/v1`.
    path: StoredValue<String>,
    sending: Sending,
    purged: RwSignal<Option<Purged>>,
}

/// The page.
pub(super) fn page(cache: &str, hash: &str) -> AnyView {
    let path = format!("/caches/{}/paths/{}/purge", escape(cache), escape(hash));
    let source = path.clone();
    let found = Remote::<PurgePreview>::new(move || Some(source.clone()));
    let purging = Purging {
        cache: StoredValue::new(cache.to_owned()),
        hash: StoredValue::new(hash.to_owned()),
        path: StoredValue::new(path),
        sending: Sending::new(),
        purged: RwSignal::new(None),
    };
    let absent = move || {
        let address = href(&Route::path(
            purging.cache.get_value(),
            purging.hash.get_value(),
        ));
        let words = view! {
            <p>"No path of this hash is here. "<a href=address>"What is known of it"</a></p>
            <p>"Nor does it lie in the trash of a run that can be undone."</p>
        };
        banner(Tone::Warn, "There is nothing to purge", words, ())
    };
    let body = move || match purging.purged.get() {
        Some(purged) => done(purging, &purged),
        None => found_or(
            found,
            "Looking for what refers to it…",
            absent,
            move |found| content(purging, found),
        ),
    };
    let body = view! { {purging.sending.notice()} {changing(move || Some(body()))} }.into_any();
    let sentence =
        "Deletes one path now, and keeps it out for ever. For secrets that leaked; to free space, simulate."
            .into_any();
    framed(cache, "Purge a path", sentence, body)
}

fn done(purging: Purging, purged: &Purged) -> AnyView {
    let versions = match purged.versions {
        None => "Whether the bucket keeps old versions could not be asked: look there yourself."
            .to_owned(),
        Some(0) => "The bucket had no old versions of them.".to_owned(),
        Some(versions) => format!(
            "{} went too.",
            format::counted(versions, "old version", "old versions")
        ),
    };
    let address = href(&Route::path(
        purging.cache.get_value(),
        purging.hash.get_value(),
    ));
    let stays = (purged.shared_with > 0).then(|| {
        view! { <p><b>"Its NAR is still there"</b>", because other paths have the same. Purge these as well, or what leaked stays."</p> }
    });
    let words = view! {
        {stays}
        <p>{format!("{} deleted, {} freed. {versions}", format::counted(purged.objects, "object was", "objects were"), format::size(purged.freed))}</p>
        <p>"Now change the secret: machines and caches in between may have a copy. Empty the CDN, where one stands before this cache."</p>
    };
    banner(
        Tone::Ok,
        "It is purged",
        words,
        link_button(Weight::Plain, None, "The path’s page", address),
    )
}

fn content(purging: Purging, found: &PurgePreview) -> AnyView {
    view! {
        <div class="summary">
            <div class="summary-main">{consequences(found)} {referrers(purging, found)}</div>
            <div class="summary-side">{about(purging, found)} {form(purging, found)}</div>
        </div>
    }
    .into_any()
}

fn about(purging: Purging, found: &PurgePreview) -> AnyView {
    let cache = purging.cache.get_value();
    let shared = match found.shared_with {
        0 => "of this path alone: it is deleted".to_owned(),
        others => format!(
            "shared with {}: it stays, and so does what is in it",
            format::counted(others, "other path", "other paths")
        ),
    };
    let fetched = match (&found.fetched_at, &found.measured_since) {
        (Some(at), _) => view! { "last " {ago(at)} ". Whoever did has it" }.into_any(),
        (None, Some(since)) => {
            view! { "not since " {day(since)} ", when measuring began" }.into_any()
        }
        (None, None) => view! { "not measured: take it that somebody has it" }.into_any(),
    };
    let clients = href(&Route::Monitoring(MonitoringRoute::Usage {
        cache: cache.clone(),
        query: "tab=clients".to_owned(),
    }));
    let versions = match found.versioned {
        None => "could not be asked",
        Some(true) => "kept by the bucket; they are deleted too",
        Some(false) => "none",
    };
    let mut lines = vec![
        fact("Path", path_link(&cache, &found.hash, &found.name)),
        fact(
            "NarHash",
            view! { <code class="break">{found.nar_hash.clone()}</code> },
        ),
        fact("Stored", size_or(found.bytes, "unknown")),
        fact("NAR", shared),
        fact("Old versions", versions),
        fact(
            "Fetched",
            view! { {fetched} ". " <a class="cell-link" href=clients>"Who fetches from this cache"</a> },
        ),
    ];
    if let Some(id) = &found.in_trash {
        let address = href(&run_route(&cache, id));
        let run = view! { <a class="cell-link mono" href=address>{id.clone()}</a> };
        lines.push(fact("In the trash of", run));
    }
    if !found.pins.is_empty() {
        let pins = view! { <span id="purge-pins">{found.pins.join(", ")}</span> };
        lines.push(fact("Kept by pins", pins));
    }
    card("The path", (), facts(lines))
}

fn consequences(found: &PurgePreview) -> AnyView {
    let shared = (found.shared_with > 0).then(|| {
        view! { <li>"Its NAR is that of other paths too, and stays. Purge these as well, or what leaked stays."</li> }
    });
    let objects = match found.shared_with {
        0 => "Its NAR, listing, build log and narinfo are",
        _ => "Its listing, build log and narinfo are",
    };
    let trash = found.in_trash.as_ref().map(|_| {
        view! { <li>"It lies in the trash of a run: clients are told that it is not here, but who remembers its narinfo still gets its NAR. From then on nobody does, and no undo brings it back."</li> }
    });
    let affected = (found.affected > 0).then(|| {
        let words = format!(
            "{} cannot be fetched whole any more: their closures hold it.",
            format::counted(found.affected, "path", "paths")
        );
        view! { <li>{words}</li> }
    });
    let pins = (!found.pins.is_empty()).then(|| {
        view! { <li>"Pins that need it stay, and name what cannot be fetched. Move them on to a build without it."</li> }
    });
    let body = view! {
        <ul class="plain-steps">
            {trash}
            <li>{objects}" deleted at once, old versions included where the bucket lists them. There is no undo."</li>
            <li>"A tombstone keeps this path with this content out: nobody can upload it again."</li>
            {affected}
            {pins}
            <li>"Copies on machines, in other caches and in a CDN stay. Empty the CDN for its narinfo and NAR."</li>
            <li><b>"Change the secret."</b>" Deleting it here does not make it unknown."</li>
            {shared}
        </ul>
    };
    section("What happens", (), body)
}

fn referrers(purging: Purging, found: &PurgePreview) -> AnyView {
    let cache = purging.cache.get_value();
    let body = if found.referrers_total == 0 {
        view! { <p>"Nothing in this cache refers to it."</p> }.into_any()
    } else {
        let items = found
            .referrers
            .iter()
            .map(|path| view! { <li>{path_link(&cache, &path.hash, &path.name)}</li> })
            .collect_view();
        let rest = found
            .referrers_total
            .saturating_sub(found.referrers.len() as u64);
        let more =
            (rest > 0).then(|| view! { <li>{format!("and {} more", format::count(rest))}</li> });
        let words = format!(
            "{} to it. Clients fail on them from then on:",
            format::counted(found.referrers_total, "path refers", "paths refer")
        );
        view! { <p><b>{words}</b></p> <ul class="plain-list gc-left" id="purge-referrers">{items} {more}</ul> }
            .into_any()
    };
    section("What refers to it", (), body)
}

fn form(purging: Purging, found: &PurgePreview) -> AnyView {
    let reason = Field::new(
        "Why",
        "Who may read the audit reads it. Others learn that it was purged, and not why.",
    );
    let open = RwSignal::new(false);
    let refusal = found.refusal.clone();
    let ready = move || {
        let cache = purging.cache.get_value();
        readiness(refusal.as_ref(), &cache, purging.sending)
    };
    let ask = move || {
        if reason.value.with_untracked(|why| why.trim().is_empty()) {
            reason.error.set(Some("Say why it is purged.".to_owned()));
            return;
        }
        open.set(true);
    };
    let shown = StoredValue::new(found.nar_hash.clone());
    let go = move || {
        let wish = PurgeWish {
            reason: reason.value.get_untracked().trim().to_owned(),
            nar_hash: shown.get_value(),
        };
        let path = purging.path.get_value();
        purging
            .sending
            .send("POST", path, json(&wish), move |body| {
                purging.purged.set(body.json::<Purged>().ok());
            });
    };
    let (name, referrers) = (found.name.clone(), found.referrers_total);
    let preview = move || {
        let words = format!(
            "{name} is deleted at once, for ever. {} to it.",
            format::counted(referrers, "path refers", "paths refer")
        );
        view! { <p><b>{words}</b></p> }.into_any()
    };
    let asked = Question {
        title: "Purge this path",
        verb: "Purge it",
        typed: found.name.clone(),
        hint: "It cannot be undone.",
    };
    let body = view! {
        {text_field(reason, "text", "off")}
        <p>{button_when(Weight::Danger, None, "Purge it…", ready, ask)}</p>
        {question(asked, open, preview, go)}
    };
    card("Purge", (), body)
}
