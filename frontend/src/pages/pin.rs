//! One pin: what it names and keeps, its history, and how it is moved on, rolled back, ended.

use leptos::prelude::*;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::pins::{PinDetail, PinRevision, RollBackPin, SetPin};
use snowbank_shared::route::{ExploreRoute, MonitoringRoute, PIN, PinsRoute, Route};

use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::banner::banner;
use crate::components::button::{Readiness, Weight, button_when};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::code::code_line;
use crate::components::dialog::{Confirm, confirm, dialog};
use crate::components::failure::failure_now;
use crate::components::field::{Field, text_field};
use crate::components::icon::Icon;
use crate::components::index_line::{index_banner, index_line};
use crate::components::layout::{card, fact, facts, section, table};
use crate::components::page_head::{heading, page_title};
use crate::components::size::size_or;
use crate::components::skeleton::skeleton;
use crate::components::store_path::path_link;
use crate::format;
use crate::pages::cache::absent_or_failed;
use crate::pages::pins::{by, gone_chip, kept_paths, pins_path};
use crate::state::derived::memo;
use crate::state::identity::identity;
use crate::state::live::live_cache;
use crate::state::navigation::href;
use crate::state::remote::Remote;
use crate::state::sending::{Sending, json};

/// What the parts of the page share.
#[derive(Clone, Copy)]
struct PinPage {
    cache: StoredValue<String>,
    name: StoredValue<String>,
    /// The revision that the address names.
    chosen: Option<u64>,
    pin: Remote<PinDetail>,
    sending: Sending,
}

impl PinPage {
    fn ready(self) -> Readiness {
        let cache = self.cache.get_value();
        self.sending
            .readiness(identity().readiness(Some(&cache), Act::Maintain))
    }

    fn path(self, below: &str) -> String {
        let path = pins_path(&self.cache.get_value(), &self.name.get_value());
        format!("{path}{below}")
    }

    /// Sends a change, and shows the pin as it is then.
    fn change(self, method: &'static str, path: String, body: Option<String>, done: String) {
        self.sending.send(method, path, body, move |_| {
            self.sending.done.set(Some(done));
            self.pin.reload();
        });
    }
}

/// The page.
pub fn page(cache: &str, name: &str, revision: Option<u64>) -> AnyView {
    let live = live_cache();
    let path = pins_path(cache, name);
    let source = path.clone();
    let page = PinPage {
        cache: StoredValue::new(cache.to_owned()),
        name: StoredValue::new(name.to_owned()),
        chosen: revision,
        pin: Remote::new(move || {
            live.renewals.track();
            Some(source.clone())
        }),
        sending: Sending::new(),
    };
    let title = match revision {
        Some(revision) => format!("{name}@{revision}"),
        None => name.to_owned(),
    };
    let shown = title.clone();
    let cache = cache.to_owned();
    page_title(move || format!("{shown} – Pins – {cache}"));
    let absent = memo(move || page.pin.error().is_some_and(|error| error.is_not_found()));
    let body = move || {
        if absent.get() {
            return Some(not_there(page));
        }
        match page.pin.get() {
            None => page
                .pin
                .is_waiting()
                .then(|| skeleton(6, "Measuring what the pin keeps…")),
            Some(pin) => Some(content(page, &pin)),
        }
    };
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading(view! { <span class="mono">{title}</span> })}
                    <div class="page-actions">
                        {changing(move || page.pin.get().filter(|_| !absent.get()).map(|pin| acts(page, &pin)))}
                        {api_button(move || path.clone())}
                    </div>
                </div>
                <p class="state-sentence">
                    {changing(move || page.pin.get().filter(|_| !absent.get()).map(|pin| sentence(&pin)))}
                </p>
                {index_line(live)}
            </div>
            {index_banner(live)}
            {absent_or_failed(live)}
            {changing(move || if absent.get() { None } else { failure_now(page.pin) })}
            {page.sending.notice()}
            {changing(body)}
        </div>
    }
    .into_any()
}

fn sentence(pin: &PinDetail) -> String {
    let size = pin
        .pin
        .exclusive
        .file_size
        .map_or_else(|| "an unknown size".to_owned(), format::size);
    format!(
        "It keeps {}; {} of {size} only this pin keeps.",
        format::counted(pin.pin.kept, "revision", "revisions"),
        format::counted(pin.pin.exclusive.paths, "path", "paths"),
    )
}

fn not_there(page: PinPage) -> AnyView {
    let all = href(&Route::Pins(PinsRoute::Pins {
        cache: page.cache.get_value(),
    }));
    let words = view! {
        <p>"Nobody made it, or it was unpinned. What an ended pin named is in the audit."</p>
        <p><a href=all>"All pins of this cache"</a></p>
    };
    banner(Tone::Warn, "There is no such pin", words, ())
}

fn content(page: PinPage, pin: &PinDetail) -> AnyView {
    let chosen = page
        .chosen
        .filter(|chosen| pin.revisions.iter().all(|known| known.number != *chosen));
    let forgotten = chosen.map(|chosen| {
        let words = view! { <p>{format!("The pin keeps its newest {}. Older ones are forgotten, and the audit has what they named.", format::counted(pin.pin.kept, "revision", "revisions"))}</p> };
        banner(
            Tone::Warn,
            format!("Revision {chosen} is not kept any more"),
            words,
            (),
        )
    });
    view! {
        {forgotten}
        <div class="summary">
            <div class="summary-main">{history(page, pin)}</div>
            <div class="summary-side">{about(page, pin)}</div>
        </div>
    }
    .into_any()
}

fn about(page: PinPage, pin: &PinDetail) -> AnyView {
    let pin = &pin.pin;
    let cache = page.cache.get_value();
    let (hash, name) = format::split_path(&pin.path);
    let gone = (!pin.present).then(gone_chip);
    let closure = pin
        .closure_paths
        .map(|paths| format!(" in {}", format::counted(paths, "path", "paths")));
    let alone = format!(
        " in {}, {} unpacked",
        format::counted(pin.exclusive.paths, "path", "paths"),
        format::size(pin.exclusive.nar_size)
    );
    let rows = vec![
        fact(
            "Names now",
            view! { {path_link(&cache, hash, name)} " " {gone} },
        ),
        fact(
            "Closure",
            view! { {size_or(pin.closure_size, "not yet")} <span class="muted">{closure}</span> },
        ),
        fact(
            "Only it keeps",
            view! { {size_or(pin.exclusive.file_size, "unknown")} <span class="muted">{alone}</span> },
        ),
        fact(
            "Keeps",
            format!(
                "its newest {}",
                format::counted(u64::from(pin.keep), "revision", "revisions")
            ),
        ),
        fact(
            "Made",
            view! { {ago(&pin.created_at)} {by(&pin.created_by)} },
        ),
        fact(
            "Paths",
            view! { <a class="kept" href=kept_paths(&cache, &pin.name)>"All that it keeps"</a> },
        ),
    ];
    let stable = view! {
        <p class="muted">"This address answers with the store path that the pin names now, as plain text:"</p>
        {code_line("Address", pin.url.clone())}
        {code_line("Command", format!("nix-store -r \"$(curl -fsS {})\"", pin.url))}
    };
    view! {
        {card("The pin", (), facts(rows))}
        {card("For scripts", (), stable)}
    }
    .into_any()
}

fn history(page: PinPage, pin: &PinDetail) -> AnyView {
    let newest = pin.pin.revision;
    let rows = pin
        .revisions
        .iter()
        .map(|revision| row(page, revision, newest))
        .collect::<Vec<_>>();
    let list = table(
        "Revisions",
        "table is-roomy",
        &[
            ("Revision", "", ""),
            ("Path", "grow", ""),
            ("Closure", "number col-3", ""),
            ("Made", "", ""),
            ("", "", ""),
        ],
        rows,
    );
    section("History", (), list)
}

fn row(page: PinPage, revision: &PinRevision, newest: u64) -> AnyView {
    let cache = page.cache.get_value();
    let (hash, name) = format::split_path(&revision.path);
    let number = revision.number;
    let chosen = page.chosen == Some(number);
    let now = (number == newest).then(|| {
        chip((
            Tone::Ok,
            Icon::Pin,
            "now",
            "This is what the pin names at present.",
        ))
    });
    let gone = (!revision.present).then(gone_chip);
    let back = (number != newest).then(|| {
        let go = move || {
            let wish = RollBackPin {
                to: number,
                expected: newest,
            };
            page.change(
                "POST",
                page.path("/roll-back"),
                json(&wish),
                format!(
                    "{} names the path of revision {number} again.",
                    page.name.get_value()
                ),
            );
        };
        let word = format!("Roll back to revision {number}");
        let refused = move || page.ready() != Readiness::Ready;
        let why = move || match page.ready() {
            Readiness::Refused(why) => Some(why),
            _ => None,
        };
        view! {
            <button
                type="button"
                class="button"
                aria-label=word
                title=why
                aria-disabled=move || refused().to_string()
                on:click=move |_| {
                    if untrack(|| page.ready()) == Readiness::Ready {
                        go();
                    }
                }
            >
                "Roll back"
            </button>
        }
    });
    let compare = (number != newest).then(|| {
        let at = |number: u64| format!("{PIN}{}@{number}", page.name.get_value());
        let (from, to) = (at(number), at(newest));
        let diff = ExploreRoute::diff(&*cache, Some(&from), Some(&to));
        let label = format!("Compare revision {number} with {newest}");
        view! { <a class="button" href=href(&Route::Explore(diff)) aria-label=label>"Compare"</a> " " }
    });
    let address = href(&Route::Pins(PinsRoute::revision(
        &*cache,
        page.name.get_value(),
        number,
    )));
    view! {
        <tr class:is-selected=chosen>
            <th scope="row">
                <a href=address aria-current=chosen.then_some("true")>
                    <span class="visually-hidden">"Revision "</span>
                    "@" {number}
                </a>
                " "
                {now}
            </th>
            <td class="grow wide" data-label="Path">
                <span class="cell-two">
                    <span>{path_link(&cache, hash, name)} " " {gone}</span>
                    <small class="wrap">{format::visible(&revision.note)}</small>
                </span>
            </td>
            <td class="number col-3" data-label="Closure">{size_or(revision.closure_size, "not yet")}</td>
            <td class="muted" data-label="Made">{ago(&revision.at)} {by(&revision.by)}</td>
            <td class="row-button">{compare} {back}</td>
        </tr>
    }
    .into_any()
}

fn acts(page: PinPage, pin: &PinDetail) -> AnyView {
    let (moving, ending) = (RwSignal::new(false), RwSignal::new(false));
    let newest = pin.pin.revision;
    let (keep, exclusive) = (pin.pin.keep, pin.pin.exclusive);
    let current = pin.pin.path.clone();
    let unpin = move || {
        page.change(
            "DELETE",
            page.path(&format!("?expected={newest}")),
            None,
            format!(
                "{} is unpinned: it keeps nothing any more.",
                page.name.get_value()
            ),
        );
    };
    let question = Confirm {
        title: "Unpin",
        verb: "Unpin it",
        typed: None,
    };
    view! {
        {button_when(Weight::Plain, Some(Icon::Pin), "New revision…", move || page.ready(), move || moving.set(true))}
        {button_when(Weight::Danger, None, "Unpin…", move || page.ready(), move || ending.set(true))}
        {dialog("New revision", moving, move || revise(page, moving, newest, keep, &current))}
        {confirm(
            question,
            ending,
            move || {
                let size = exclusive.file_size.map_or_else(|| "bytes of unknown number".to_owned(), format::size);
                let words = format!(
                    "{} of {size} lose the only pin that keeps them. Nothing is deleted now: retention decides about them from then on.",
                    format::counted(exclusive.paths, "path", "paths"),
                );
                let frees = format!(
                    "unpin {}@{newest} frees {size}",
                    page.name.get_value()
                );
                let simulate = href(&Route::Monitoring(MonitoringRoute::gc(page.cache.get_value())));
                view! {
                    <p><b>{words}</b></p>
                    <p>
                        "Where no other rule keeps them, " <b id="unpin-frees">{frees}</b> ". "
                        <a class="cell-link" href=simulate>"Simulate retention"</a>
                    </p>
                    <p>"The name can be given again. Its numbers go on, so that no revision ever means two paths."</p>
                }.into_any()
            },
            unpin,
        )}
    }
    .into_any()
}

/// Another path for the pin, or another number of revisions to keep.
fn revise(page: PinPage, open: RwSignal<bool>, newest: u64, keep: u16, current: &str) -> AnyView {
    let path = Field::new(
        "Path to pin",
        "A store path, its hash-name, or its hash. As it is, only the number below changes.",
    );
    path.value.set(current.to_owned());
    let note = Field::new("Note", "What for. It stays in the history.");
    let kept = Field::new("Revisions to keep", "1 to 50; older ones are forgotten.");
    kept.value.set(keep.to_string());
    let go = move || {
        let Ok(keep) = kept.value.get_untracked().trim().parse::<u16>() else {
            kept.error
                .set(Some("It is a number from 1 to 50.".to_owned()));
            return;
        };
        let wish = SetPin {
            path: path.value.get_untracked().trim().to_owned(),
            expected: newest,
            note: note.value.get_untracked(),
            keep: Some(keep),
        };
        open.set(false);
        page.change(
            "PUT",
            page.path(""),
            json(&wish),
            format!("{} is changed.", page.name.get_value()),
        );
    };
    view! {
        <div class="form">
            {text_field(path, "text", "off")} {text_field(note, "text", "off")} {text_field(kept, "number", "off")}
            <p>{button_when(Weight::Primary, Some(Icon::Pin), "Pin it", move || page.ready(), go)}</p>
        </div>
    }
    .into_any()
}
