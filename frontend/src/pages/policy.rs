//! `/c/{cache}/settings/policy`: the rules for uploads, as sentences; changed as a draft, tried with the
//! last uploads, then saved.

use leptos::prelude::*;
use snowbank_shared::api::access::Act;
use snowbank_shared::api::policy::{
    DEFAULT_SENTENCE, Policy, PolicyRule, PolicyTrial, Ruling, SigningMode, TriedUpload, TryPolicy,
};
use snowbank_shared::route::{AccessRoute, Route};

use crate::api::cache_path;
use crate::components::ago::ago;
use crate::components::api_button::api_button;
use crate::components::banner::alert;
use crate::components::button::{Readiness, Weight, button, button_when};
use crate::components::changing::changing;
use crate::components::chip::{Tone, chip};
use crate::components::choice::{check, segments};
use crate::components::failure::failure_of;
use crate::components::icon::Icon;
use crate::components::layout::{card, section, table};
use crate::components::page_head::{heading, page_title};
use crate::components::size::size_or;
use crate::components::skeleton::skeleton;
use crate::components::store_path::path_link;
use crate::format;
use crate::pages::policy_rule::rule_form;
use crate::state::derived::{effect, memo};
use crate::state::identity::identity;
use crate::state::navigation::href;
use crate::state::remote::Remote;
use crate::state::sending::{Sending, json};

/// What is being changed and not saved yet. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Draft {
    /// The rules.
    pub rules: RwSignal<Vec<PolicyRule>>,
    mode: RwSignal<SigningMode>,
    relay: RwSignal<bool>,
    refuse_undeclared: RwSignal<bool>,
    reference_upstreams: RwSignal<Vec<String>>,
    /// The revision that it goes out from.
    revision: RwSignal<u64>,
}

impl Draft {
    fn new() -> Self {
        Self {
            rules: RwSignal::new(Vec::new()),
            mode: RwSignal::new(SigningMode::default()),
            relay: RwSignal::new(false),
            refuse_undeclared: RwSignal::new(false),
            reference_upstreams: RwSignal::new(Vec::new()),
            revision: RwSignal::new(0),
        }
    }

    fn fill(self, policy: &Policy) {
        self.rules.set(policy.rules.clone());
        self.mode.set(policy.mode);
        self.relay.set(policy.relay);
        self.refuse_undeclared
            .set(policy.refuse_undeclared_references);
        self.reference_upstreams
            .set(policy.reference_upstreams.clone());
        self.revision.set(policy.revision);
    }

    /// As it would be saved; tracked.
    fn policy(self) -> Policy {
        Policy {
            mode: self.mode.get(),
            relay: self.relay.get(),
            refuse_undeclared_references: self.refuse_undeclared.get(),
            reference_upstreams: self.reference_upstreams.get(),
            rules: self.rules.get(),
            revision: self.revision.get(),
            ..Policy::default()
        }
    }

    /// Whether it differs from what is saved; tracked.
    fn differs(self, saved: &Policy) -> bool {
        let draft = self.policy();
        draft.mode != saved.mode
            || draft.relay != saved.relay
            || draft.refuse_undeclared_references != saved.refuse_undeclared_references
            || draft.reference_upstreams != saved.reference_upstreams
            || draft.rules != saved.rules
    }
}

/// The page.
pub fn page(cache: &str) -> AnyView {
    page_title(|| "Upload policy".to_owned());
    let path = format!("{}/policy", cache_path(cache));
    let saved = {
        let path = path.clone();
        Remote::<Policy>::new(move || Some(path.clone()))
    };
    let draft = Draft::new();
    let sending = Sending::new();
    // What somebody else saved while this draft was open.
    let theirs = RwSignal::new(None::<Policy>);
    effect(move || {
        if let Some(now) = saved.get() {
            let untouched =
                untrack(move || draft.revision.get() == 0 || theirs.with(Option::is_none));
            if untouched {
                draft.fill(&now);
            }
        }
    });
    let known = memo(move || saved.is_there());
    let slug = cache.to_owned();
    let content = move || {
        if known.get() {
            Some(shown(&slug, saved, draft, sending, theirs))
        } else {
            saved
                .is_waiting()
                .then(|| skeleton(5, "Asking for the policy…"))
        }
    };
    let settings = href(&Route::Access(AccessRoute::Settings {
        cache: Some(cache.to_owned()),
    }));
    view! {
        <div class="page">
            <div class="page-head">
                <p><a href=settings>"Settings"</a></p>
                <div class="page-head-row">
                    {heading("Upload policy")}
                    <div class="page-actions">{api_button(move || path.clone())}</div>
                </div>
                <p class="state-sentence">
                    "What happens with an upload once its archive, its signature and its references are in order. The first rule that fits decides. What waits already waits on by the rule that sent it there."
                </p>
            </div>
            {failure_of(saved)}
            {changing(content)}
        </div>
    }
    .into_any()
}

fn shown(
    cache: &str,
    saved: Remote<Policy>,
    draft: Draft,
    sending: Sending,
    theirs: RwSignal<Option<Policy>>,
) -> AnyView {
    let identity = identity();
    let slug = StoredValue::new(cache.to_owned());
    let may_change = move || slug.with_value(|slug| identity.readiness(Some(slug), Act::Manage));
    let differs = memo(move || saved.get().is_some_and(|saved| draft.differs(&saved)));
    let changed = move || {
        let now = saved.get()?;
        let (who, when) = (now.changed_by.clone()?, now.changed_at.clone()?);
        Some(view! { <small>"Changed by " {who} " " {ago(&when)}</small> })
    };
    let put = move |policy: Policy| {
        let path = slug.with_value(|slug| format!("{}/policy", cache_path(slug)));
        sending.send("PUT", path, json(&policy), move |answer| {
            if let Ok(now) = answer.json::<Policy>() {
                draft.fill(&now);
            }
            theirs.set(None);
            sending.done.set(Some("Saved.".to_owned()));
            saved.reload();
        });
    };
    // Somebody else was faster: ask what they saved, and let the person here choose.
    effect(move || {
        if sending.refused_with("changed-meanwhile") {
            theirs.set(saved.get_now().map(|now| (*now).clone()));
            saved.reload();
        }
    });
    effect(move || {
        if let Some(now) = saved.get()
            && theirs.with_untracked(Option::is_some)
        {
            theirs.set(Some((*now).clone()));
        }
    });
    let conflict = move || {
        let now = theirs.get()?;
        (now.revision != draft.revision.get()).then(|| {
            let who = now.changed_by.clone().unwrap_or_default();
            let lines: Vec<AnyView> = now
                .sentences
                .iter()
                .map(|sentence| view! { <li>{sentence.clone()}</li> }.into_any())
                .collect();
            let words = view! {
                <p>{who} " saved another policy while you changed this one. It says:"</p>
                <ol class="rule-sentences">{lines}</ol>
            };
            let (take, keep) = (now.clone(), now);
            let choices = view! {
                {button(Weight::Plain, None, "Take theirs", move || {
                    draft.fill(&take);
                    theirs.set(None);
                })}
                {button(Weight::Danger, None, "Save mine over it", move || {
                    put(Policy { revision: keep.revision, ..untrack(move || draft.policy()) });
                })}
            };
            alert(
                Tone::Warn,
                "Somebody else changed the policy",
                words,
                choices,
            )
        })
    };
    let save_ready = move || {
        let otherwise = match may_change() {
            Readiness::Ready if !differs.get() => {
                Readiness::Refused("Nothing is changed.".to_owned())
            }
            readiness => readiness,
        };
        sending.readiness(otherwise)
    };
    let discard = move || {
        differs.get().then(|| {
            button(Weight::Plain, None, "Discard the changes", move || {
                if let Some(now) = saved.get_now() {
                    draft.fill(&now);
                }
            })
        })
    };
    let editing = memo(move || may_change() == Readiness::Ready);
    let add = move || editing.get().then(|| rule_form(draft));
    view! {
        {changing(conflict)}
        {card("Rules", changing(changed), view! {
            {changing(move || rules(draft, editing.get()))}
            {changing(add)}
        })}
        {card("Signatures and references", (), others(saved, draft, may_change))}
        <div class="page-actions policy-save">
            {button_when(Weight::Primary, None, "Save the policy", save_ready, move || put(untrack(move || draft.policy())))}
            {changing(discard)}
        </div>
        {sending.notice()}
        {trial(cache, draft)}
    }
    .into_any()
}

/// The rules as sentences; with the ways to change their order where the caller may.
fn rules(draft: Draft, editing: bool) -> AnyView {
    let rules = draft.rules.get();
    let count = rules.len();
    let mut lines: Vec<AnyView> = rules
        .iter()
        .enumerate()
        .map(|(at, rule)| {
            let number = at + 1;
            let act = move |label: String, word: &'static str, change: fn(&mut Vec<PolicyRule>, usize)| {
                view! {
                    <button
                        type="button"
                        class="button"
                        aria-label=label
                        on:click=move |_| draft.rules.update(|rules| change(rules, at))
                    >
                        {word}
                    </button>
                }
            };
            let choices = editing.then(|| {
                view! {
                    <span class="page-actions">
                        {(at > 0).then(|| act(format!("Move rule {number} up"), "Up", |rules, at| rules.swap(at - 1, at)))}
                        {(number < count).then(|| act(format!("Move rule {number} down"), "Down", |rules, at| rules.swap(at, at + 1)))}
                        {act(format!("Remove rule {number}"), "Remove", |rules, at| drop(rules.remove(at)))}
                    </span>
                }
            });
            view! { <li><span>{marked(&rule.sentence())}</span> {choices}</li> }.into_any()
        })
        .collect();
    lines.push(view! { <li class="rule-default"><span>{DEFAULT_SENTENCE}</span></li> }.into_any());
    view! { <ol class="rule-sentences">{lines}</ol> }.into_any()
}

/// A sentence, what stands in backticks as code.
pub fn marked(sentence: &str) -> Vec<AnyView> {
    sentence
        .split('`')
        .enumerate()
        .map(|(at, part)| {
            if at % 2 == 1 {
                view! { <code class="break">{part.to_owned()}</code> }.into_any()
            } else {
                part.to_owned().into_any()
            }
        })
        .collect()
}

/// Whose signatures count, and what an upload may refer to.
fn others(
    saved: Remote<Policy>,
    draft: Draft,
    may_change: impl Fn() -> Readiness + Copy + Send + Sync + 'static,
) -> AnyView {
    let upstreams = move || {
        let saved = saved.get()?;
        if saved.upstreams.is_empty() {
            return None;
        }
        let boxes: Vec<AnyView> = saved
            .upstreams
            .iter()
            .map(|url| {
                let (name, changed, shown) = (url.clone(), url.clone(), url.clone());
                view! {
                    <label class="choice">
                        <input
                            type="checkbox"
                            prop:checked=move || draft.reference_upstreams.with(|chosen| chosen.contains(&shown))
                            on:change=move |_| draft.reference_upstreams.update(|chosen| {
                                if let Some(at) = chosen.iter().position(|known| *known == changed) {
                                    chosen.remove(at);
                                } else {
                                    chosen.push(changed.clone());
                                }
                            })
                        />
                        <span class="break">{name}</span>
                    </label>
                }
                .into_any()
            })
            .collect();
        Some(view! {
            <fieldset class="segments">
                <legend>"Upstreams that may hold what an upload refers to"</legend>
                <div class="policy-upstreams">{boxes}</div>
            </fieldset>
        })
    };
    let locked = move || may_change() != Readiness::Ready;
    view! {
        <fieldset class="form form-wide plain" disabled=locked>
            {segments(
                "Whose signatures clients trust",
                &["The cache's", "The contributors'"],
                move || SigningMode::ALL.iter().position(|mode| *mode == draft.mode.get()).unwrap_or(0),
                move |at| draft.mode.set(SigningMode::ALL.get(at).copied().unwrap_or_default()),
            )}
            <p class="muted">
                "The cache's: it signs what it has verified, and people come and go without a change at clients. The contributors': the cache adds nothing, and revoking a key means a change at every client."
            </p>
            {check("Relay", "Who uploads may send paths that another contributor's key has signed.", draft.relay)}
            {check("Refuse undeclared references", "A path is refused that names paths which it does not declare. It is noted in any case; disk images discard references on purpose.", draft.refuse_undeclared)}
            {changing(upstreams)}
        </fieldset>
    }
    .into_any()
}

/// What the draft would have done with the last uploads.
fn trial(cache: &str, draft: Draft) -> AnyView {
    let identity = identity();
    let slug = StoredValue::new(cache.to_owned());
    let sending = Sending::new();
    let tried = RwSignal::new(None::<PolicyTrial>);
    effect(move || {
        draft.rules.track();
        tried.set(None);
    });
    let go = move || {
        let wish = TryPolicy {
            rules: draft.rules.get_untracked(),
        };
        let path = slug.with_value(|slug| format!("{}/policy/try", cache_path(slug)));
        sending.send("POST", path, json(&wish), move |answer| {
            tried.set(answer.json().ok());
        });
    };
    let ready = move || {
        let may = slug.with_value(|slug| identity.readiness(Some(slug), Act::Maintain));
        sending.readiness(may)
    };
    let outcome = move || {
        let trial = tried.get()?;
        if trial.items.is_empty() {
            return Some(
                view! { <p>"Nothing was uploaded through this server yet."</p> }.into_any(),
            );
        }
        let words = format!(
            "Of the last {}: {} published at once, {} would have waited, {} refused.",
            format::counted(trial.items.len() as u64, "upload", "uploads"),
            format::count(trial.published),
            format::count(trial.waiting),
            format::count(trial.refused),
        );
        let rows: Vec<AnyView> = slug.with_value(|slug| {
            trial
                .items
                .iter()
                .map(|upload| tried_row(slug, upload))
                .collect()
        });
        let list = table(
            "What the rules would have done",
            "table",
            &[
                ("Path", "", ""),
                ("Uploaded by", "", ""),
                ("Unpacked", "number", ""),
                ("Rule", "number", "Which one decides"),
                ("What happens", "", ""),
                ("When", "col-2", ""),
            ],
            rows,
        );
        Some(view! { <p role="status">{words}</p> {list} }.into_any())
    };
    let body = view! {
        <p>{button_when(Weight::Plain, None, "Try on the last 100 uploads", ready, go)}</p>
        {sending.notice()}
        {changing(outcome)}
    };
    section(
        "Try it",
        view! { <p>"With the rules as they stand above, saved or not. Nothing is changed."</p> },
        body,
    )
}

fn tried_row(cache: &str, upload: &TriedUpload) -> AnyView {
    let name = match &upload.name {
        Some(name) => path_link(cache, &upload.hash, name),
        None => {
            view! { <span class="muted break">{upload.hash.clone()} ", not here any more"</span> }
                .into_any()
        }
    };
    let by = upload.by.strip_prefix("member:").unwrap_or("a machine");
    let what = upload.ruling.as_ref().map(|ruling| {
        chip(match ruling {
            Ruling::Publish => (Tone::Ok, Icon::Tick, "published", "At once"),
            Ruling::Approval { .. } => (
                Tone::Note,
                Icon::TickClock,
                "waits for approval",
                "Until Maintainers agree",
            ),
            Ruling::Builders { .. } => (
                Tone::Note,
                Icon::TickClock,
                "waits for builders",
                "Until others built the same",
            ),
            Ruling::Refuse { .. } => (Tone::Bad, Icon::Cross, "refused", "It would not be taken"),
        })
    });
    let rule = match upload.rule {
        Some(at) => format::count(at + 1),
        None => "—".to_owned(),
    };
    view! {
        <tr>
            <th scope="row" class="wrap">{name}</th>
            <td data-label="Uploaded by">{by.to_owned()}</td>
            <td class="number" data-label="Unpacked">{size_or(upload.nar_size, "—")}</td>
            <td class="number" data-label="Rule">{rule}</td>
            <td data-label="What happens">{what}</td>
            <td class="muted col-2">{ago(&upload.at)}</td>
        </tr>
    }
    .into_any()
}
