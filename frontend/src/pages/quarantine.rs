//! What clients are not served: the acts that put paths into quarantine, the paths, and lifting them.

use leptos::prelude::*;
use snowbank_shared::api::quarantine::{
    HeldBack, HeldPath, LiftQuarantine, QUARANTINE_NEEDS, Quarantine, QuarantineAct,
};
use snowbank_shared::route::escape;

use crate::components::ago::{ago, clock};
use crate::components::api_button::api_button;
use crate::components::banner::empty;
use crate::components::button::{Readiness, Weight, button, button_when};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::dialog::dialog;
use crate::components::failure::failure_of;
use crate::components::field::{Field, text_field};
use crate::components::icon::Icon;
use crate::components::index_line::{index_banner, index_line};
use crate::components::layout::{section, table};
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::components::store_path::{path_link, path_text};
use crate::format;
use crate::pages::cache::absent_or_failed;
use crate::pages::pins::by;
use crate::state::identity::identity;
use crate::state::live::live_cache;
use crate::state::remote::Remote;
use crate::state::sending::{Sending, json};

/// Paths asked for at once.
const ROWS: usize = 50;

/// What the parts of the page share.
#[derive(Clone, Copy)]
struct Holding {
    cache: StoredValue<String>,
    held: Remote<Quarantine>,
    sending: Sending,
    /// What is about to be lifted, in words and as it is sent.
    lifting: StoredValue<Option<(String, LiftQuarantine)>>,
    /// The question about it is open.
    asking: RwSignal<bool>,
}

impl Holding {
    fn ready(self) -> Readiness {
        let cache = self.cache.get_value();
        self.sending
            .readiness(identity().readiness(Some(&cache), QUARANTINE_NEEDS))
    }

    /// Asks why, before it is lifted.
    fn ask(self, words: String, wish: LiftQuarantine) {
        self.lifting.set_value(Some((words, wish)));
        self.asking.set(true);
    }

    fn lift(self, wish: &LiftQuarantine, done: String) {
        let path = format!(
            "/caches/{}/quarantine/lift",
            escape(&self.cache.get_value())
        );
        self.sending.send("POST", path, json(wish), move |_| {
            self.sending.done.set(Some(done));
            self.held.reload();
        });
    }
}

/// The page.
pub fn page(cache: &str) -> AnyView {
    let live = live_cache();
    let slug = StoredValue::new(cache.to_owned());
    page_title(move || format!("Quarantine – {}", slug.get_value()));
    let cursor = RwSignal::new(None::<String>);
    let path = move || {
        let after = cursor
            .get()
            .map(|cursor| format!("&cursor={}", escape(&cursor)));
        let after = after.unwrap_or_default();
        format!(
            "/caches/{}/quarantine?limit={ROWS}{after}",
            escape(&slug.get_value())
        )
    };
    let holding = Holding {
        cache: slug,
        held: Remote::new(move || {
            live.renewals.track();
            Some(path())
        }),
        sending: Sending::new(),
        lifting: StoredValue::new(None),
        asking: RwSignal::new(false),
    };
    let held = holding.held;
    let body = move || match held.get() {
        None => held
            .is_waiting()
            .then(|| skeleton(4, "Asking what is held back…")),
        Some(found) if found.total == 0 => Some(empty(
            "Nothing is held back",
            view! { <p>"Clients are served every path that is sound. An owner hides a path on its page, or while revoking a key."</p> },
        )),
        Some(found) => {
            Some(view! { {acts(holding, &found)} {paths(holding, &found, cursor)} }.into_any())
        }
    };
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Quarantine")} <div class="page-actions">{api_button(path)}</div>
                </div>
                <p class="state-sentence">
                    "Clients get 404 for these paths, and nobody may upload the same again. Nothing is deleted."
                </p>
                {index_line(live)}
            </div>
            {index_banner(live)}
            {absent_or_failed(live)}
            {failure_of(held)}
            {holding.sending.notice()}
            {dialog("Lift from quarantine", holding.asking, move || question(holding))}
            <div class="page" class:is-waiting=move || held.is_waiting() && held.is_there()>{changing(body)}</div>
        </div>
    }
    .into_any()
}

/// Asks why something is lifted.
fn question(holding: Holding) -> AnyView {
    let open = holding.asking;
    let Some((words, wish)) = holding.lifting.get_value() else {
        return ().into_any();
    };
    let reason = Field::new("Why", "It stays in the audit.");
    let go = move || {
        let said = reason.value.get_untracked().trim().to_owned();
        if said.is_empty() {
            reason
                .error
                .set(Some("Say why clients may have it again.".to_owned()));
            return;
        }
        let wish = LiftQuarantine {
            reason: said,
            ..wish.clone()
        };
        open.set(false);
        holding.lift(&wish, "Lifted: clients are served it again.".to_owned());
    };
    view! {
        <p><b>{words}</b> " Machines that asked meanwhile may believe for up to an hour that it is missing."</p>
        {text_field(reason, "text", "off")}
        <div class="dialog-actions">
            {button(Weight::Plain, None, "Cancel", move || open.set(false))}
            {button_when(Weight::Primary, None, "Lift it", move || holding.ready(), go)}
        </div>
    }
    .into_any()
}

fn acts(holding: Holding, found: &Quarantine) -> Option<AnyView> {
    if found.acts.is_empty() {
        return None;
    }
    let rows = found
        .acts
        .iter()
        .map(|act| act_row(holding, act))
        .collect::<Vec<_>>();
    let list = table(
        "Acts",
        "table is-roomy",
        &[
            ("Why", "grow", ""),
            ("Left", "number", "Paths of it that are still in quarantine"),
            ("By", "col-2", ""),
            ("When", "col-2", ""),
            ("", "", ""),
        ],
        rows,
    );
    let words = view! { <p>"Within 24 hours an act is undone by one click."</p> };
    Some(section("Acts", words, list))
}

fn act_row(holding: Holding, act: &QuarantineAct) -> AnyView {
    let id = StoredValue::new(act.id.clone());
    let left = act.left;
    let until = format::unix_seconds(&act.undo_until).unwrap_or_default();
    let clock = clock();
    let buttons = move || {
        let wish = LiftQuarantine {
            act: Some(id.get_value()),
            ..LiftQuarantine::default()
        };
        if clock.now() < until {
            let undo = move || {
                let done = format!(
                    "Undone: clients are served {} again.",
                    format::counted(left, "path", "paths")
                );
                holding.lift(&wish, done);
            };
            button_when(
                Weight::Plain,
                Some(Icon::Again),
                "Undo",
                move || holding.ready(),
                undo,
            )
        } else {
            let ask = move || {
                let words = format!(
                    "Clients are served {} again.",
                    format::counted(left, "path", "paths")
                );
                holding.ask(words, wish.clone());
            };
            button_when(
                Weight::Plain,
                None,
                "Lift all…",
                move || holding.ready(),
                ask,
            )
        }
    };
    view! {
        <tr>
            <th scope="row" class="grow wrap">{format::sentence(&act.reason)}</th>
            <td class="number" data-label="Left">{format!("{} of {}", format::count(act.left), format::count(act.paths))}</td>
            <td class="col-2 muted" data-label="By">{format::visible(&act.by)}</td>
            <td class="col-2 muted" data-label="When">{ago(&act.at)}</td>
            <td class="row-button">{changing(buttons)}</td>
        </tr>
    }
    .into_any()
}

fn paths(holding: Holding, found: &Quarantine, cursor: RwSignal<Option<String>>) -> AnyView {
    let rows = found
        .items
        .iter()
        .map(|path| path_row(holding, path))
        .collect::<Vec<_>>();
    let list = table(
        "Paths that are held back",
        "table is-roomy",
        &[
            ("Path", "grow", ""),
            ("State", "", ""),
            ("Why", "wrap col-2", ""),
            ("When", "col-2", ""),
            ("", "", ""),
        ],
        rows,
    );
    let shown = format!(
        "{} of {}",
        format::counted(found.items.len() as u64, "path", "paths"),
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
    let list = view! {
        {list}
        <div class="table-foot">
            <span>{shown}</span>
            <span class="page-actions">{first} {next}</span>
        </div>
    };
    section("Paths", (), list)
}

fn path_row(holding: Holding, path: &HeldPath) -> AnyView {
    let cache = holding.cache.get_value();
    let shown = match &path.name {
        Some(name) => path_link(&cache, &path.hash, name),
        None => path_text(&format!("{}-…", path.hash)),
    };
    let (state, lift) = match path.state {
        HeldBack::Quarantined => {
            let name = path.name.clone().unwrap_or_else(|| path.hash.clone());
            let hash = path.hash.clone();
            let label = format!("Lift {name}");
            let ask = move |_| {
                if untrack(|| holding.ready()) != Readiness::Ready {
                    return;
                }
                let wish = LiftQuarantine {
                    hash: Some(hash.clone()),
                    ..LiftQuarantine::default()
                };
                holding.ask(format!("Clients are served {name} again."), wish);
            };
            let why = move || match holding.ready() {
                Readiness::Refused(why) => Some(why),
                _ => None,
            };
            let button = view! {
                <button
                    type="button"
                    class="button"
                    aria-label=label
                    title=why
                    aria-disabled=move || (holding.ready() != Readiness::Ready).to_string()
                    on:click=ask
                >
                    "Lift…"
                </button>
            };
            let words = (
                Tone::Warn,
                Icon::Warning,
                "in quarantine",
                "Clients get 404 until an owner lifts it.",
            );
            (words, Some(button))
        }
        HeldBack::Purged => {
            let words = (
                Tone::Bad,
                Icon::Cross,
                "purged",
                "It was taken out, and is refused for ever.",
            );
            (words, None)
        }
    };
    view! {
        <tr>
            <th scope="row" class="grow">{shown}</th>
            <td data-label="State">{chip(state)}</td>
            <td class="wrap col-2" data-label="Why">{format::sentence(&path.reason)}</td>
            <td class="col-2 muted" data-label="When">{ago(&path.at)} {by(&path.by)}</td>
            <td class="row-button">{lift}</td>
        </tr>
    }
    .into_any()
}
