//! `/c/{cache}/rotation`: the cache's own keys, the steps from one to the next, and revoking one at once.

use leptos::prelude::*;
use snowbank_shared::api::KeyState;
use snowbank_shared::api::rotation::{
    BeginRotation, KeyPlace, OwnKey, ROTATION_NEEDS, Revocation, RevokeOwnKey, RevokeThen, Revoked,
    Rotation,
};
use snowbank_shared::api::signing::{Job, JobState};
use snowbank_shared::route::escape;

use crate::components::api_button::api_button;
use crate::components::banner::alert;
use crate::components::button::{Readiness, Weight, button_when};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::code::code_line;
use crate::components::copy::copy_button;
use crate::components::dialog::{Confirm, confirm};
use crate::components::failure::failure_of;
use crate::components::field::{Field, select_field, text_field};
use crate::components::icon::Icon;
use crate::components::layout::{section, table};
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::format;
use crate::pages::cache::absent_or_failed;
use crate::pages::rotation_steps::{examples, steps};
use crate::pages::signing_job::asked_again;
use crate::state::derived::memo;
use crate::state::identity::identity;
use crate::state::live::live_cache;
use crate::state::remote::Remote;
use crate::state::sending::{Sending, json};

/// What the parts of the page share.
#[derive(Clone, Copy)]
pub struct Rotating {
    pub cache: StoredValue<String>,
    pub found: Remote<Rotation>,
    pub sending: Sending,
}

impl Rotating {
    /// Whether the caller may change keys now; tracked.
    pub fn ready(self) -> Readiness {
        let cache = self.cache.get_value();
        self.sending
            .readiness(identity().readiness(Some(&cache), ROTATION_NEEDS))
    }

    /// An address of the API below the cache.
    pub fn path(self, rest: &str) -> String {
        format!("/caches/{}/{rest}", escape(&self.cache.get_value()))
    }

    /// Sends a change, and shows what is so then.
    pub fn change(self, rest: &str, body: Option<String>, done: &'static str) {
        self.sending.send("POST", self.path(rest), body, move |_| {
            self.sending.done.set(Some(done.to_owned()));
            self.found.reload();
        });
    }
}

/// The page.
pub fn page(cache: &str) -> AnyView {
    let live = live_cache();
    page_title(|| "Key rotation".to_owned());
    let slug = StoredValue::new(cache.to_owned());
    let path = move || format!("/caches/{}/rotation", escape(&slug.get_value()));
    let rotating = Rotating {
        cache: slug,
        found: Remote::new(move || Some(path())),
        sending: Sending::new(),
    };
    let found = rotating.found;
    asked_again(found, |found: &Rotation| {
        let job = found.rotation.as_ref().and_then(|state| state.job.as_ref());
        job.is_some_and(|job: &Job| job.state == JobState::Running)
    });
    // Apart, so that what is typed there stays while a job's progress is asked for.
    let published = memo(move || {
        let found = found.get()?;
        let keys = found.keys.iter().filter(|key| key.published);
        Some(keys.map(|key| key.name.clone()).collect::<Vec<_>>())
    });
    let emergency = move || published.get().map(|names| revoke(rotating, &names));
    let body = move || match found.get() {
        None => found
            .is_waiting()
            .then(|| skeleton(6, "Asking for the keys…")),
        Some(found) => Some(drawn(rotating, &found)),
    };
    view! {
        <div class="page">
            <div class="page-head">
                <div class="page-head-row">
                    {heading("Key rotation")} <div class="page-actions">{api_button(path)}</div>
                </div>
                <p class="state-sentence">
                    "From one signing key to the next, without a machine losing access. Each step waits for the one before."
                </p>
            </div>
            {absent_or_failed(live)}
            {failure_of(found)}
            {rotating.sending.notice()}
            {changing(body)}
            {changing(emergency)}
        </div>
    }
    .into_any()
}

fn drawn(rotating: Rotating, found: &Rotation) -> AnyView {
    let under_way = found
        .rotation
        .as_ref()
        .is_some_and(|state| state.next.is_some());
    let wizard = found.rotation.as_ref().map(|state| steps(rotating, state));
    let begin = (!under_way).then(|| begin(rotating, found));
    view! { {keys(&found.keys)} {wizard} {begin} }.into_any()
}

const fn state_word(state: KeyState) -> &'static str {
    match state {
        KeyState::Pending => "next",
        KeyState::Active => "active",
        KeyState::Retired => "retired",
        KeyState::Expired => "expired",
        KeyState::Suspended => "suspended",
        KeyState::Revoked => "revoked",
    }
}

fn keys(keys: &[OwnKey]) -> AnyView {
    let row = |key: &OwnKey| {
        let public = key.public_key.clone();
        let uses = match (key.signs, key.published) {
            (true, _) => "signs, and clients trust it",
            (false, true) => "clients trust it",
            (false, false) => "clients are not told of it",
        };
        let place = match (key.place, key.at_hand) {
            (KeyPlace::Offline, _) => "another machine".to_owned(),
            (place, true) => place.text().to_owned(),
            (place, false) => format!("{}, not on this replica", place.text()),
        };
        view! {
            <tr>
                <th scope="row" data-label="Key">
                    <code class="break">{key.name.clone()}</code>
                    {copy_button("Copy the public key", false, move || public.clone())}
                </th>
                <td data-label="State">{state_word(key.state)}</td>
                <td data-label="Use" class="wide">{uses}</td>
                <td data-label="Secret" class="wide">{place}</td>
                <td data-label="Paths" class="number">{format::count(key.paths)}</td>
            </tr>
        }
        .into_any()
    };
    let rows = keys.iter().map(row).collect::<Vec<_>>();
    let list = table(
        "Keys of this cache",
        "table is-roomy",
        &[
            ("Key", "", ""),
            ("State", "", ""),
            ("Use", "grow", ""),
            (
                "Secret",
                "",
                "Where the secret key is. No page ever shows it.",
            ),
            ("Paths", "number", "Paths with a signature of it"),
        ],
        rows,
    );
    section("Keys", (), list)
}

fn begin(rotating: Rotating, found: &Rotation) -> AnyView {
    let old = Field::new("The key that goes", "");
    let name = Field::new(
        "Name of the new key",
        "Always a new one: of two keys with one name the first wins, and the second is ignored.",
    );
    let place = Field::new("Where its secret is", "No page ever shows or offers it.");
    let public = Field::new(
        "Its public key",
        "name:base64, as snowbank key convert prints it on the machine that has the secret.",
    );
    name.value.set(found.suggested_name.clone());
    place.value.set("server".to_owned());
    let olds: Vec<(String, String)> = found
        .keys
        .iter()
        .filter(|key| key.published)
        .map(|key| (key.name.clone(), key.name.clone()))
        .collect();
    let Some((first, _)) = olds.first() else {
        return section(
            "Begin a rotation",
            (),
            view! { <p>"This cache has no key that clients trust. Name one in the configuration first."</p> },
        );
    };
    old.value.set(first.clone());
    let places = vec![
        (
            "server".to_owned(),
            "This server makes it, in its data folder".to_owned(),
        ),
        (
            "config".to_owned(),
            "A file that the configuration names already".to_owned(),
        ),
        (
            "offline".to_owned(),
            "Another machine, which signs batches".to_owned(),
        ),
    ];
    let pasted =
        move || (place.value.get() == "offline").then(|| text_field(public, "text", "off"));
    let go = move || {
        let wish = BeginRotation {
            old: old.value.get_untracked(),
            name: name.value.get_untracked().trim().to_owned(),
            place: match place.value.get_untracked().as_str() {
                "config" => KeyPlace::Config,
                "offline" => KeyPlace::Offline,
                _ => KeyPlace::Server,
            },
            public_key: Some(public.value.get_untracked()).filter(|text| !text.trim().is_empty()),
        };
        rotating.change(
            "rotation",
            json(&wish),
            "The new key is known. Clients are not told of it yet.",
        );
    };
    let body = view! {
        <div class="form" id="begin-rotation">
            {select_field(old, olds)} {text_field(name, "text", "off")}
            {select_field(place, places)} {changing(pasted)}
            <div class="page-actions">
                {button_when(Weight::Primary, Some(Icon::Key), "Create the key", move || rotating.ready(), go)}
            </div>
        </div>
    };
    section("Begin a rotation", (), body)
}

/// The flow for a key that somebody else may have.
fn revoke(rotating: Rotating, names: &[String]) -> AnyView {
    let published: Vec<(String, String)> = names
        .iter()
        .map(|name| (name.clone(), name.clone()))
        .collect();
    let Some((first, _)) = published.first() else {
        return ().into_any();
    };
    let key = Field::new("Key", "");
    key.value.set(first.clone());
    let since = Field::new(
        "When the compromise may have started",
        "A date. Empty: from the beginning.",
    );
    let then = Field::new("What came in on its word alone", "");
    then.value.set("keep".to_owned());
    let reason = Field::new("Why", "It stays in the audit.");
    let asked = RwSignal::new(None::<(String, String)>);
    let preview = Remote::<Revocation>::new(move || {
        let (key, since) = asked.get()?;
        let since = match since.is_empty() {
            true => String::new(),
            false => format!("&since={}", escape(&since)),
        };
        Some(rotating.path(&format!("revocation?key={}{since}", escape(&key))))
    });
    let open = RwSignal::new(false);
    let look = move || {
        let text = |field: Field| field.value.get_untracked().trim().to_owned();
        asked.set(Some((text(key), text(since))));
    };
    let thens = vec![
        ("keep".to_owned(), "Stays as it is".to_owned()),
        (
            "hide".to_owned(),
            "Is put into quarantine: clients get 404".to_owned(),
        ),
        (
            "strip".to_owned(),
            "Stays, and every signature of this key is removed: from all paths that have one, whenever they came".to_owned(),
        ),
    ];
    let notice = RwSignal::new(None::<String>);
    let act = move || {
        let Some((name, since)) = asked.get_untracked() else {
            return;
        };
        let wish = RevokeOwnKey {
            confirm: name.clone(),
            key: name,
            since: (!since.is_empty()).then_some(since),
            then: match then.value.get_untracked().as_str() {
                "hide" => RevokeThen::Hide,
                "strip" => RevokeThen::Strip,
                _ => RevokeThen::Keep,
            },
            reason: reason.value.get_untracked(),
        };
        rotating.sending.send("POST", rotating.path("revocation"), json(&wish), move |body| {
            let done: Option<Revoked> = body.json().ok();
            notice.set(done.map(|done| done.notice));
            rotating.sending.done.set(Some("Revoked. Send the notice: machines trust the key until their configuration changes.".to_owned()));
            rotating.found.reload();
        });
    };
    let shown = move || {
        let found = preview.get()?;
        Some(radius(rotating, &found, reason, open))
    };
    let said = move || notice.get().map(|text| code_line("Notice", text));
    let question = Confirm {
        title: "Revoke a key of the cache",
        verb: "Revoke",
        typed: Some(first.clone()),
    };
    let asking = move || {
        let name = asked.get().map(|(name, _)| name).unwrap_or_default();
        let question = Confirm {
            typed: Some(name),
            ..question.clone()
        };
        let words = || {
            view! { <p>"The key signs no more, and clients are told of it no more. Nix has no revocation: machines trust the key until their configuration changes."</p> }
                .into_any()
        };
        confirm(question, open, words, act)
    };
    let body = view! {
        <details class="revoke-own">
            <summary>"Somebody else may have a key…"</summary>
            <div class="form">
                {select_field(key, published)} {text_field(since, "date", "off")} {select_field(then, thens)}
                {text_field(reason, "text", "off")}
                <div class="page-actions">
                    {button_when(Weight::Plain, None, "What would it mean?", move || rotating.ready(), look)}
                </div>
                {failure_of(preview)} {changing(shown)} {changing(said)} {changing(asking)}
            </div>
        </details>
    };
    section("Emergency", (), body)
}

fn radius(rotating: Rotating, found: &Revocation, reason: Field, open: RwSignal<bool>) -> AnyView {
    let blocked = found.blocked.clone();
    let ready = move || match &blocked {
        Some(why) => Readiness::Refused(why.clone()),
        None if reason.value.get().trim().is_empty() => {
            Readiness::Refused("Say why first.".to_owned())
        }
        None => rotating.ready(),
    };
    let list = examples(&rotating.cache.get_value(), &found.examples);
    let words = view! {
        <p>
            {format!(
                "{} with a good signature by {} since then, {} unpacked; for {} nothing else vouches. Who fetched them: not measured.",
                format::counted(found.paths, "path", "paths"),
                found.key,
                format::size(found.nar_size),
                format::count(found.only),
            )}
        </p>
        <ul class="plain-list">{list}</ul>
        {code_line("The notice to send", found.notice.clone())}
    };
    let revoke = button_when(
        Weight::Danger,
        Some(Icon::Warning),
        "Revoke…",
        ready,
        move || open.set(true),
    );
    alert(Tone::Bad, "What revoking it means", words, revoke)
}
