//! The live check: a path made for this page, a command to fetch it, and what the server sees of
//! the machine on which it is run.

use std::time::Duration;

use leptos::prelude::*;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::connect::Connect;
use snowbank_shared::api::{Cache, LiveCheck, LiveMachine, LiveState, MachineState};
use snowbank_shared::route::{
    ConnectQuery, ConnectRoute, ConnectScope, ConnectTarget, Route, escape,
};

use super::choose::{can_sign, facts};
use super::{chosen_slugs, head_tabs, unknown_cache};
use crate::api;
use crate::components::ago::{ago, time_of_day};
use crate::components::announcer::announcer;
use crate::components::banner::{banner, empty};
use crate::components::button::{Readiness, Weight, button_when};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::code::code_line;
use crate::components::failure::failure_of;
use crate::components::icon::Icon;
use crate::components::layout::{section, table};
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::state::derived::{effect, memo};
use crate::state::identity::identity;
use crate::state::navigation::{href, navigation};
use crate::state::remote::Remote;
use crate::state::sending::{Sending, json};
use crate::state::session::session;

/// How often the server is asked.
const BEAT: Duration = Duration::from_secs(1);

/// The page.
pub fn page(cache: Option<String>, token: Option<String>) -> AnyView {
    page_title(|| "Live check".to_owned());
    let body = match (cache, token) {
        (Some(cache), Some(token)) => under_way(&cache, &token),
        // A token alone does not say of which cache.
        _ => start(),
    };
    view! {
        <div class="page">
            <div class="page-head">
                {heading("Live check")}
                <p class="state-sentence">
                    "The server makes a path for this check alone and watches who asks for it. So it knows how far your machine comes."
                </p>
            </div>
            {head_tabs()}
            {body}
        </div>
    }
    .into_any()
}

/// Of which cache, and the button.
fn start() -> AnyView {
    let session = session();
    let chosen = chosen_slugs();
    let facts = facts();
    let body = move || {
        let Some(all) = session.described.get() else {
            return session
                .caches
                .is_waiting()
                .then(|| skeleton(3, "Reading the caches…"));
        };
        if all.is_empty() {
            return Some(empty(
                "No cache to check",
                view! { <p>"This server has no cache that you may see. Ask an owner to let you in."</p> },
            ));
        }
        let slugs = chosen.get();
        let unknown = slugs
            .iter()
            .find(|slug| !all.iter().any(|cache| cache.slug == **slug))
            .map(|slug| unknown_cache(slug));
        let here = all.iter().find(|cache| slugs.contains(&cache.slug));
        let begin = here.map(|cache| begin(cache, facts));
        let several = (all.len() > 1).then(|| choose(&all, here.map(|cache| cache.slug.as_str())));
        Some(view! { {unknown} {several} {begin} }.into_any())
    };
    view! {
        {failure_of(session.caches)}
        {failure_of(facts)}
        <div class="live">{changing(body)}</div>
    }
    .into_any()
}

fn choose(all: &[Cache], here: Option<&str>) -> AnyView {
    let navigation = navigation();
    let choices = all
        .iter()
        .map(|cache| {
            let slug = cache.slug.clone();
            let checked = here == Some(slug.as_str());
            let choose = move |_| {
                navigation.replace(&Route::Connect(ConnectRoute::Live {
                    cache: Some(slug.clone()),
                    token: None,
                }));
            };
            view! {
                <label class="choice">
                    <input type="radio" name="live-cache" prop:checked=checked on:change=choose />
                    <span>{cache.title.clone()}</span>
                </label>
            }
        })
        .collect_view();
    view! {
        <fieldset>
            <legend>"Which cache"</legend>
            {choices}
        </fieldset>
    }
    .into_any()
}

fn begin(cache: &Cache, facts: Remote<Connect>) -> AnyView {
    let slug = cache.slug.clone();
    let of = slug.clone();
    let cannot = move || {
        (!can_sign(facts, &of)).then(|| {
            banner(
                Tone::Note,
                "No check can be made for this cache",
                view! {
                    <p>
                        "A check needs a path that the cache has signed, and this server does not have the cache's secret key. An owner can name its file with "
                        <code>"signing_key_files"</code>
                        " and restart the server."
                    </p>
                    <p>"Until then, fetch any path of the cache on the machine: it comes only where the address and the key are right."</p>
                },
                (),
            )
        })
    };
    let of = slug.clone();
    view! {
        {changing(cannot)}
        <p>"Configure the machine first. Then begin the check, run its command on the machine, and read here what happened."</p>
        {begin_button(slug, "Begin the check", move || can_sign(facts, &of))}
        <p class="muted">"A check lasts 30 minutes. Its path is in the memory of this server only: it is never in the bucket, in no list and in no total."</p>
    }
    .into_any()
}

/// The button that begins a check, and what went wrong. `signs` is whether the server can sign a
/// path for it, and is tracked.
pub fn begin_button(
    slug: String,
    word: &'static str,
    signs: impl Fn() -> bool + Send + Sync + 'static,
) -> AnyView {
    erased_begin_button(slug, word, Signal::derive(signs))
}

fn erased_begin_button(slug: String, word: &'static str, signs: Signal<bool>) -> AnyView {
    let (navigation, identity) = (navigation(), identity());
    let sending = Sending::new();
    let of = slug.clone();
    let ready = move || {
        sending.readiness(if signs.get() {
            identity.readiness(Some(&of), Act::Read)
        } else {
            Readiness::Refused(
                "This server does not have the cache's secret key, so it cannot sign a path for the check."
                    .to_owned(),
            )
        })
    };
    let go = move || {
        let path = format!("{}/live", api::cache_path(&slug));
        sending.send("POST", path, json(&()), move |body| {
            if let Ok(check) = body.json::<LiveCheck>() {
                navigation.go(&Route::Connect(ConnectRoute::Live {
                    cache: Some(check.cache),
                    token: Some(check.token),
                }));
            }
        });
    };
    view! {
        <div class="live-begin">
            <p>{button_when(Weight::Primary, Some(Icon::Connect), word, ready, go)}</p>
            {sending.notice()}
        </div>
    }
    .into_any()
}

fn under_way(cache: &str, token: &str) -> AnyView {
    let path = format!("{}/live/{}", api::cache_path(cache), escape(token));
    let check = Remote::<LiveCheck>::new(move || Some(path.clone()));
    let over = memo(move || check.error().is_some_and(|error| error.is_not_found()));
    let beat = set_interval_with_handle(
        move || {
            let waits = check.try_waiting();
            if !waits && !over.get_untracked() && !document().hidden() {
                check.reload();
            }
        },
        BEAT,
    );
    on_cleanup(move || {
        if let Ok(beat) = beat {
            beat.clear();
        }
    });
    // What is the same as a second ago is not drawn anew.
    let seen = memo(move || check.get().map(|check| (*check).clone()));
    announce(seen);
    let slug = cache.to_owned();
    let again = slug.clone();
    let body = move || {
        if over.get() {
            return Some(ended(&again));
        }
        match seen.get() {
            None => check
                .is_waiting()
                .then(|| skeleton(3, "Asking what the server saw…")),
            Some(seen) => Some(shown(&slug, &seen)),
        }
    };
    let failed = move || (!over.get()).then(|| failure_of(check));
    view! {
        {changing(failed)}
        <div class="live">{changing(body)}</div>
    }
    .into_any()
}

/// Says what has changed, for who does not see the page.
fn announce(seen: Memo<Option<LiveCheck>>) {
    let announcer = announcer();
    let words = memo(move || {
        seen.with(|seen| {
            let seen = seen.as_ref()?;
            let last = seen.machines.last().map(|machine| headline(machine, seen));
            match seen.state {
                LiveState::Waiting => None,
                LiveState::NeverAsked => Some("Your Nix never asked us".to_owned()),
                LiveState::Asked => last,
            }
        })
    });
    effect(move || {
        if let Some(words) = words.get() {
            announcer.say(&words);
        }
    });
}

fn ended(slug: &str) -> AnyView {
    let (facts, of) = (facts(), slug.to_owned());
    view! {
        <section class="empty">
            <h2>"This check is over"</h2>
            <p>"A check lasts 30 minutes, and ends when the server is restarted."</p>
            {begin_button(slug.to_owned(), "Begin another one", move || can_sign(facts, &of))}
        </section>
    }
    .into_any()
}

fn shown(slug: &str, check: &LiveCheck) -> AnyView {
    let command = format!("nix-store -r {}", check.path);
    let state = match check.state {
        LiveState::Waiting => waiting(check),
        LiveState::NeverAsked => never_asked(slug),
        LiveState::Asked => ().into_any(),
    };
    let machines = (!check.machines.is_empty()).then(|| machines(slug, check));
    let unlisted = (check.unlisted > 0).then(|| {
        view! { <p class="muted">"More machines asked than are listed here."</p> }
    });
    view! {
        {section(
            "Run this on the machine",
            (),
            view! {
                {code_line("Command", command)}
                <p class="muted">
                    "As the user whose builds you mean. It fetches one small file, signed by " <code>{check.key.clone()}</code>
                    ". This check ends at " {time_of_day(&check.expires_at)} "."
                </p>
            },
        )}
        {section("What the server saw", (), view! { {state} {machines} {unlisted} })}
        <p class="muted">
            "A machine that reads the bucket by an " <code>"s3://"</code>
            " address does not ask this server. Run the command there and paste what it prints into "
            <a href=href(&Route::Connect(ConnectRoute::Explain { error: String::new() }))>"Explain"</a> "."
        </p>
    }
    .into_any()
}

fn waiting(check: &LiveCheck) -> AnyView {
    view! {
        <div class="live-waiting" role="status">
            <span class="spinner" aria-hidden="true"></span>
            <p>
                <strong>"Waiting for your Nix to ask"</strong>
                <span class="muted">
                    {format!(" Most machines ask within seconds; after {} seconds without a request this page says so.", check.silence_seconds)}
                </span>
            </p>
        </div>
    }
    .into_any()
}

/// The pages that help a machine of this cache further.
fn help(slug: &str, target: ConnectTarget, scope: ConnectScope) -> String {
    href(&Route::Connect(ConnectRoute::Generate(ConnectQuery {
        target: Some(target),
        scope,
        ..ConnectQuery::of(slug)
    })))
}

fn never_asked(slug: &str) -> AnyView {
    let doctor = href(&Route::Connect(ConnectRoute::Doctor {
        caches: vec![slug.to_owned()],
    }));
    let user = help(slug, ConnectTarget::default(), ConnectScope::User);
    banner(
        Tone::Warn,
        "Your Nix never asked us",
        view! {
            <p>"The substituter is not configured on that machine, or Nix ignored it because only the admin may name substituters there."</p>
            <p>
                "See who may set what: " <a href=user>"lines for a normal user and for the admin"</a>
                ". Or let the " <a href=doctor>"doctor"</a> " read the machine's nix.conf."
            </p>
        },
        (),
    )
}

/// What a machine did, in one line.
fn headline(machine: &LiveMachine, check: &LiveCheck) -> String {
    match machine.state {
        MachineState::Works => {
            let time = machine.nar_at.as_deref().map(time_of_day);
            format!(
                "Works. {} from {}, {}",
                machine.client,
                machine.address,
                time.unwrap_or_default()
            )
        }
        MachineState::NotTrusted => format!(
            "It asked, but refused the signature: key {} is not trusted on that machine",
            check.key
        ),
        MachineState::NoToken if machine.refused_with == Some(403) => {
            "Its token is valid, and not for this cache".to_owned()
        }
        MachineState::NoToken => "It asked without a valid token".to_owned(),
        MachineState::Found => "It found the path".to_owned(),
        MachineState::Introduced => {
            "It asked which store this cache is for, and not for the path".to_owned()
        }
    }
}

/// What to do then.
fn next_step(slug: &str, machine: &LiveMachine) -> AnyView {
    match machine.state {
        MachineState::Works => {
            view! { <p>"This machine uses the cache. There is nothing more to do."</p> }.into_any()
        }
        MachineState::NotTrusted => {
            let lines = help(slug, ConnectTarget::default(), ConnectScope::Admin);
            view! {
                <p>
                    "Put the key into the system's nix.conf and restart the daemon, which reads keys when it starts: "
                    <a href=lines>"the lines"</a> ". A key in a user's own file counts only where that user is trusted."
                </p>
            }
            .into_any()
        }
        MachineState::NoToken => {
            let netrc = help(slug, ConnectTarget::Netrc, ConnectScope::default());
            view! {
                <p>
                    "The machine needs a netrc file with a token for this cache, and " <code>"netrc-file"</code>
                    " has to name it: " <a href=netrc>"the netrc lines"</a>
                    ". Nix remembers the refusal; delete " <code>"~/.cache/nix/binary-cache-v*.sqlite*"</code>
                    " (root's too) before you try again."
                </p>
            }
            .into_any()
        }
        MachineState::Found => {
            view! { <p>"Whether it takes the path shows in a few seconds."</p> }.into_any()
        }
        MachineState::Introduced => {
            view! { <p>"Run the command on it. If you did, this may be another machine behind the same address."</p> }
                .into_any()
        }
    }
}

const fn dress(state: MachineState) -> (Tone, Icon, &'static str) {
    match state {
        MachineState::Works => (Tone::Ok, Icon::Tick, "Works"),
        MachineState::NotTrusted => (Tone::Bad, Icon::Cross, "Key not trusted"),
        MachineState::NoToken => (Tone::Bad, Icon::Cross, "No token"),
        MachineState::Found => (Tone::Note, Icon::TickClock, "Found it"),
        MachineState::Introduced => (Tone::Unknown, Icon::Dash, "Did not ask"),
    }
}

fn machines(slug: &str, check: &LiveCheck) -> AnyView {
    let rows = check
        .machines
        .iter()
        .map(|machine| {
            let (tone, picture, word) = dress(machine.state);
            let steps = [
                ("nix-cache-info", &machine.cache_info_at),
                ("narinfo", &machine.narinfo_at),
                ("NAR", &machine.nar_at),
            ]
            .into_iter()
            .filter_map(|(what, at)| Some(format!("{what} {}", time_of_day(at.as_deref()?))))
            .chain(machine.refused_at.as_deref().map(|at| {
                let status = machine.refused_with.unwrap_or(401);
                format!("refused with {status} {}", time_of_day(at))
            }))
            .collect::<Vec<String>>()
            .join(", ");
            view! {
                <tr>
                    <th scope="row" class="wrap">
                        <strong>{machine.client.clone()}</strong> " " <span class="muted">"from " {machine.address.clone()}</span>
                    </th>
                    <td>{chip((tone, picture, word, ""))}</td>
                    <td class="wrap">
                        <strong>{format!("{}.", headline(machine, check))}</strong>
                        {next_step(slug, machine)}
                        <small class="muted">{steps}</small>
                    </td>
                    <td data-label="Last asked">{ago(&machine.last_at)}</td>
                </tr>
            }
            .into_any()
        })
        .collect_view();
    table(
        "Machines that asked",
        "table live-machines",
        &[
            ("Machine", "", ""),
            ("State", "", ""),
            ("What it did, and what to do", "", ""),
            ("Last asked", "", ""),
        ],
        rows,
    )
}
