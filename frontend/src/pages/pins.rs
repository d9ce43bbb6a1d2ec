//! What must stay: the pins of a cache, and what each of them alone keeps.

use leptos::prelude::*;
use snowbank_shared::api::Page;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::pins::{Pin, PinWeight, SetPin};
use snowbank_shared::route::{PathsQuery, PinsRoute, Route, escape};

use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::banner::empty;
use crate::components::button::{Weight, button, button_when};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::failure::failure_of;
use crate::components::field::{Field, text_field};
use crate::components::icon::Icon;
use crate::components::index_line::{index_banner, index_line};
use crate::components::layout::{card, table};
use crate::components::page_head::{heading, page_title};
use crate::components::size::size_or;
use crate::components::skeleton::skeleton;
use crate::components::store_path::path_link;
use crate::format;
use crate::pages::cache::absent_or_failed;
use crate::state::identity::identity;
use crate::state::live::live_cache;
use crate::state::navigation::{href, navigation};
use crate::state::remote::Remote;
use crate::state::sending::{Sending, json};

/// Pins asked for at once.
const ROWS: usize = 50;

/// The address of a cache's pins, or of one of them, below `/api/v1`.
pub fn pins_path(cache: &str, pin: &str) -> String {
    let pin = match pin {
        "" => String::new(),
        pin => format!("/{}", escape(pin)),
    };
    format!("/caches/{}/pins{pin}", escape(cache))
}

/// The page.
pub fn page(cache: &str) -> AnyView {
    let live = live_cache();
    let slug = StoredValue::new(cache.to_owned());
    page_title(move || format!("Pins – {}", slug.get_value()));
    let cursor = RwSignal::new(None::<String>);
    let path = move || {
        let after = cursor
            .get()
            .map(|cursor| format!("&cursor={}", escape(&cursor)));
        let after = after.unwrap_or_default();
        format!("{}?limit={ROWS}{after}", pins_path(&slug.get_value(), ""))
    };
    let pins = Remote::<Page<Pin>>::new(move || {
        live.renewals.track();
        Some(path())
    });
    let list = move || match pins.get() {
        None => pins
            .is_waiting()
            .then(|| skeleton(4, "Measuring what the pins keep…")),
        Some(found) if found.total == 0 => Some(empty(
            "Nothing is pinned: retention alone decides what stays.",
            view! { <p>"A pin is a name for a path, such as prod. While it names the path, the path stays, with everything that it needs."</p> },
        )),
        Some(found) => Some(rows(&slug.get_value(), &found, cursor)),
    };
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Pins")} <div class="page-actions">{api_button(path)}</div>
                </div>
                <p class="state-sentence">
                    {changing(move || pins.get().map(|found| sentence(&found)))}
                </p>
                {index_line(live)}
            </div>
            {index_banner(live)}
            {absent_or_failed(live)}
            {failure_of(pins)}
            <div class:is-waiting=move || pins.is_waiting() && pins.is_there()>{changing(list)}</div>
            {form(slug)}
        </div>
    }
    .into_any()
}

fn sentence(found: &Page<Pin>) -> String {
    match found.total {
        0 => "No path has a name that keeps it.".to_owned(),
        1 => "1 pin keeps what it names, with everything that this needs.".to_owned(),
        total => format!(
            "{} pins keep what they name, with everything that this needs.",
            format::count(total)
        ),
    }
}

fn rows(cache: &str, found: &Page<Pin>, cursor: RwSignal<Option<String>>) -> AnyView {
    let rows = found
        .items
        .iter()
        .map(|pin| row(cache, pin))
        .collect::<Vec<_>>();
    let shown = format!(
        "{} of {}",
        format::counted(found.items.len() as u64, "pin", "pins"),
        format::count(found.total)
    );
    let first = cursor.get_untracked().is_some().then(|| {
        button(Weight::Plain, Some(Icon::First), "First page", move || {
            cursor.set(None);
        })
    });
    let next = found.next.clone().map(|next| {
        button(Weight::Plain, Some(Icon::Next), "Next page", move || {
            cursor.set(Some(next.clone()));
        })
    });
    view! {
        {table(
            "Pins",
            "table is-roomy",
            &[
                ("Pin", "", ""),
                ("Names now", "grow", ""),
                ("Closure", "number", "NAR sizes of the path and everything it needs"),
                ("Only this pin keeps", "number", "Stored bytes that no other pin keeps: what could go if it were unpinned"),
                ("Revisions", "number col-2", "How many it keeps, of how many it may"),
                ("Changed", "col-2", ""),
                ("By", "col-3", ""),
            ],
            rows,
        )}
        <div class="table-foot">
            <span>{shown}</span>
            <span class="page-actions">{first} {next}</span>
        </div>
    }
    .into_any()
}

fn row(cache: &str, pin: &Pin) -> AnyView {
    let address = href(&Route::Pins(PinsRoute::revision(
        cache,
        &*pin.name,
        pin.revision,
    )));
    let (hash, name) = format::split_path(&pin.path);
    let gone = (!pin.present).then(gone_chip);
    view! {
        <tr>
            <th scope="row">
                <a href=address class="pin-name">
                    <strong>{pin.name.clone()}</strong>
                    <span class="muted">"@" {pin.revision}</span>
                </a>
            </th>
            <td class="grow wide" data-label="Names now">{path_link(cache, hash, name)} " " {gone}</td>
            <td class="number" data-label="Closure">{size_or(pin.closure_size, "not yet")}</td>
            <td class="number" data-label="Only this pin keeps">{weight(&pin.exclusive)}</td>
            <td class="number col-2" data-label="Revisions">{format!("{} of {}", pin.kept, pin.keep)}</td>
            <td class="col-2 muted" data-label="Changed">{ago(&pin.changed_at)}</td>
            <td class="col-3 muted" data-label="By">{format::visible(&pin.changed_by)}</td>
        </tr>
    }
    .into_any()
}

/// A pin whose path has gone from the bucket.
pub fn gone_chip() -> AnyView {
    chip((
        Tone::Bad,
        Icon::Cross,
        "not in this cache",
        "The path was taken out of the bucket past this server.",
    ))
}

/// Stored bytes, or how many paths where their sizes are not known.
pub fn weight(weight: &PinWeight) -> AnyView {
    let paths = format::counted(weight.paths, "path", "paths");
    view! { <span title=paths>{size_or(weight.file_size, "unknown")}</span> }.into_any()
}

/// ` by NAME`, where one is told.
pub fn by(name: &str) -> Option<String> {
    (!name.is_empty()).then(|| format!(" by {}", format::visible(name)))
}

/// The paths that a pin keeps, in the path browser.
pub fn kept_paths(cache: &str, pin: &str) -> String {
    href(&Route::Paths {
        cache: cache.to_owned(),
        query: PathsQuery {
            pin: Some(pin.to_owned()),
            ..PathsQuery::default()
        },
    })
}

/// Pinning a path by its name or hash.
fn form(slug: StoredValue<String>) -> AnyView {
    let navigation = navigation();
    let sending = Sending::new();
    let name = Field::new(
        "Name of the pin",
        "Lower-case letters, digits, dots and dashes, such as prod.",
    );
    let path = Field::new(
        "Path to pin",
        "A store path, its hash-name, or its hash. Everything that it needs has to be in this cache.",
    );
    let note = Field::new("Note", "What for. It stays in the history.");
    let go = move || {
        let pin = name.value.get_untracked().trim().to_owned();
        if pin.is_empty() {
            name.error.set(Some("Give the pin a name.".to_owned()));
            return;
        }
        let wish = SetPin {
            path: path.value.get_untracked().trim().to_owned(),
            expected: 0,
            note: note.value.get_untracked(),
            keep: None,
        };
        if wish.path.is_empty() {
            path.error.set(Some("Say which path to pin.".to_owned()));
            return;
        }
        let cache = slug.get_value();
        let address = pins_path(&cache, &pin);
        sending.send("PUT", address, json(&wish), move |_| {
            navigation.go(&Route::Pins(PinsRoute::Pin {
                cache,
                name: pin,
                revision: None,
            }));
        });
    };
    let ready =
        move || sending.readiness(identity().readiness(Some(&slug.get_value()), Act::Maintain));
    let form = view! {
        {sending.notice()}
        <div class="form">
            {text_field(name, "text", "off")} {text_field(path, "text", "off")} {text_field(note, "text", "off")}
            <p>{button_when(Weight::Primary, Some(Icon::Pin), "Pin it", ready, go)}</p>
        </div>
    };
    card("Pin a path", (), form)
}
