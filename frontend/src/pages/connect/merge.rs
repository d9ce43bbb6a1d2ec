//! Merge: the chosen caches put into a nix.conf that somebody has, or taken out of it. All of it
//! happens in this tab.

use leptos::prelude::*;
use snowbank_shared::nix_conf::conflict::OnConflict;
use snowbank_shared::nix_conf::doctor::{self, Finding, Question};
use snowbank_shared::nix_conf::effective::Effective;
use snowbank_shared::nix_conf::merge::{
    self, Addition, Change, Merged, Outcome, Surroundings, What,
};
use snowbank_shared::nix_conf::owner::Owner;
use snowbank_shared::nix_conf::remove;
use snowbank_shared::route::{ConnectQuery, ConnectRoute, ConnectTarget, Route};

use super::choose::{ChosenCaches, Known, cache_boxes, caches_of};
use super::conflict::conflict_dialog;
use super::diff::{DiffShape, diff_view};
use super::effective::effective_table;
use super::findings::{findings_list, known_caches};
use super::former::former_keys;
use super::merge_outputs::{as_it_is, outputs};
use super::other::{self, other_caches};
use super::pasted::{Pasted, masked, pasted_field, promise};
use super::{head_tabs, settings};
use crate::components::banner::{banner, empty};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::choice::segments;
use crate::components::code::code_file;
use crate::components::icon::{Icon, icon};
use crate::components::layout::section;
use crate::components::page_head::{heading, page_title};
use crate::components::skeleton::skeleton;
use crate::state::derived::{effect, memo};
use crate::state::navigation::href;

/// The files that people have, and where they lie.
const FILES: [(&str, &str); 3] = [
    ("System", "/etc/nix/nix.conf"),
    ("Determinate", "/etc/nix/nix.custom.conf"),
    ("Mine", "~/.config/nix/nix.conf"),
];

/// The state of the page. Copy it freely.
#[derive(Debug, Clone, Copy)]
struct Page {
    pasted: Pasted,
    /// The text after fixes of the doctor; nothing where none was made.
    fixed: RwSignal<Option<String>>,
    removes: RwSignal<bool>,
    on_conflict: RwSignal<OnConflict>,
    /// Whether keys that the caches used once go from lines of others.
    takes_former: RwSignal<bool>,
    file: RwSignal<usize>,
    chosen: ChosenCaches,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// The text as it was pasted.
    pub before: String,
    /// The text after it.
    pub merged: Merged,
    /// Why there is nothing; empty where no cache is chosen.
    why_not: Option<String>,
}

/// The page.
pub fn page() -> AnyView {
    page_title(|| "Merge into nix.conf".to_owned());
    let chosen = caches_of(|caches| ConnectRoute::Merge { caches });
    let page = Page {
        pasted: Pasted::new(),
        fixed: RwSignal::new(None),
        removes: RwSignal::new(false),
        on_conflict: RwSignal::new(OnConflict::Ask),
        takes_former: RwSignal::new(false),
        file: RwSignal::new(0),
        chosen,
    };
    let done = memo(move || page.done());
    // What was chosen for one text says nothing about the next.
    effect(move || {
        page.pasted.text.track();
        page.on_conflict.set(OnConflict::Ask);
        page.takes_former.set(false);
        page.fixed.set(None);
    });
    let result = move || {
        if page.pasted.secret.with(Option::is_some) {
            return ().into_any();
        }
        if chosen.waits() {
            return skeleton(4, "Reading what belongs to the caches…");
        }
        let done = done.get();
        view! { {shown(page, &done)} {page.lints()} }.into_any()
    };
    view! {
        <div class="page connect-page">
            <div class="page-head">
                {heading("Merge into nix.conf")}
                <p class="state-sentence">
                    "Paste the file that your machine has. What is missing is added, nothing else is touched, and the result can be merged again without a change."
                </p>
            </div>
            {head_tabs()}
            {promise()}
            {chosen.failure()}
            <div class="merge">
                <div class="merge-in">
                    {cache_boxes(chosen)}
                    {other_caches()}
                    {segments(
                        "Do",
                        &["Add", "Remove"],
                        move || usize::from(page.removes.get()),
                        move |at| page.removes.set(at == 1),
                    )}
                    {segments(
                        "File",
                        &[FILES[0].0, FILES[1].0, FILES[2].0],
                        move || page.file.get(),
                        move |at| page.file.set(at),
                    )}
                    {pasted_field(
                        "Your nix.conf",
                        "Paste it, drop the file here, or leave it empty to start a new one.",
                        14,
                        page.pasted,
                        "merge-text",
                    )}
                </div>
                <div class="merge-out">{changing(result)}</div>
            </div>
        </div>
    }
    .into_any()
}

impl Page {
    /// Every chosen cache, one after the other; tracked.
    fn done(self) -> Done {
        let before = self.pasted.text.get();
        let (removes, on_conflict) = (self.removes.get(), self.on_conflict.get());
        let mut why_not = None;
        let fixed = self.fixed.get();
        let is_fixed = fixed.is_some();
        let mut all = Merged {
            text: fixed.unwrap_or_else(|| before.clone()),
            outcome: if removes {
                Outcome::NothingToRemove
            } else {
                Outcome::AlreadySet
            },
            changes: Vec::new(),
            remains: false,
            former: Vec::new(),
        };
        let takes_former = self.takes_former.get();
        let additions = additions(self.chosen);
        if additions.is_empty() {
            why_not = Some(String::new());
        }
        for addition in additions {
            let addition = match addition {
                Ok(addition) => Addition {
                    takes_former,
                    ..addition
                },
                Err(why) => {
                    why_not = Some(why);
                    continue;
                }
            };
            let around = Surroundings::default();
            let one = if removes {
                remove::remove(&all.text, &addition, &around)
            } else {
                merge::merge(&all.text, &addition, on_conflict, &around)
            };
            all.remains |= one.remains;
            all.former.extend(one.former);
            all.changes.extend(one.changes);
            all.text = one.text;
            match one.outcome {
                Outcome::AlreadySet | Outcome::NothingToRemove => {}
                outcome => {
                    let stops = !matches!(outcome, Outcome::Changed);
                    all.outcome = outcome;
                    if stops {
                        break;
                    }
                }
            }
        }
        if is_fixed && matches!(all.outcome, Outcome::AlreadySet | Outcome::NothingToRemove) {
            all.outcome = Outcome::Changed;
        }
        Done {
            before,
            merged: all,
            why_not,
        }
    }
}

impl Page {
    /// What the doctor says of the file as it is now; tracked.
    fn lints(self) -> Option<AnyView> {
        let text = self.fixed.get().unwrap_or_else(|| self.pasted.text.get());
        if text.trim().is_empty() {
            return None;
        }
        let known = known_caches(&self.chosen.known());
        let question = Question {
            caches: &known,
            ..Question::new(&text)
        };
        let findings = doctor::examine(&question).unwrap_or_default();
        if findings.is_empty() {
            return None;
        }
        let of = text.clone();
        let fix = move |finding: &Finding| {
            if let Some(fix) = &finding.fix {
                self.fixed.set(Some(fix.apply(&of)));
            }
        };
        Some(section(
            "What the doctor found in this file",
            (),
            findings_list(&text, findings, fix),
        ))
    }
}

/// What each chosen cache adds, those of others last; tracked.
fn additions(chosen: ChosenCaches) -> Vec<Result<Addition, String>> {
    let own = chosen.known().into_iter().map(|Known { cache, facts }| {
        let settings = settings(std::slice::from_ref(&cache))?;
        let former = facts.former_keys.iter().filter_map(|key| key.parse().ok());
        Ok(Addition::new(settings, &cache.title, &facts.page).with_former(former))
    });
    let others = chosen.others();
    let others = others.iter().map(|other| {
        let settings = other::settings(other)?;
        Ok(Addition::new(settings, &other::title(other), &other.url))
    });
    own.chain(others).collect()
}

fn shown(page: Page, done: &Done) -> AnyView {
    match &done.why_not {
        Some(why) if why.is_empty() => {
            return empty(
                "Choose a cache",
                view! { <p>"The result appears here."</p> },
            );
        }
        Some(why) => {
            let why = why.clone();
            return banner(
                Tone::Bad,
                "These lines cannot be written",
                view! { <p>{why}</p> },
                (),
            );
        }
        None => {}
    }
    let path = FILES[page.file.get()].1;
    let merged = &done.merged;
    let asks = !matches!(merged.outcome, Outcome::Owned(_) | Outcome::Conflict(_));
    let former = asks.then(|| former_keys(&merged.former, page.takes_former));
    view! { {former.flatten()} {outcome(page, path, done)} }.into_any()
}

/// How it went.
fn outcome(page: Page, path: &'static str, done: &Done) -> AnyView {
    let merged = &done.merged;
    match &merged.outcome {
        Outcome::Owned(owner) => owned(page, *owner),
        Outcome::Conflict(conflicts) => {
            conflict_dialog(conflicts, &page.chosen.caches(), move |chosen| {
                page.on_conflict.set(chosen);
            })
        }
        Outcome::AlreadySet => view! {
            {banner(
                Tone::Ok,
                "Already set. No change.",
                view! { <p>"The cache and its key are in force in this file as it is."</p> },
                (),
            )}
            {effective(done)}
            {as_it_is(path, done)}
        }
        .into_any(),
        Outcome::NothingToRemove if merged.remains => view! {
            {banner(
                Tone::Warn,
                "No change. The cache is still in force",
                view! { <p>"A plain line, or a block of several caches, names it. Delete it by hand."</p> },
                (),
            )}
            {effective(done)}
            {as_it_is(path, done)}
        }
        .into_any(),
        Outcome::NothingToRemove => view! {
            {banner(
                Tone::Ok,
                "Nothing to remove. No change.",
                view! { <p>"Nothing of the chosen cache stands in this file."</p> },
                (),
            )}
            {effective(done)}
            {as_it_is(path, done)}
        }
        .into_any(),
        Outcome::Changed => changed(path, done),
    }
}

fn changed(path: &'static str, done: &Done) -> AnyView {
    let merged = &done.merged;
    let mut changes: Vec<AnyView> = merged.changes.iter().map(change_line).collect();
    if changes.is_empty() {
        let words = if merged.text == done.before {
            "None: the fixes cancel each other."
        } else {
            "Only what the doctor put right."
        };
        changes.push(view! { <li>{icon(Icon::Tick)} <strong>{words}</strong></li> }.into_any());
    }
    let remains = merged.remains.then(|| {
        banner(
            Tone::Warn,
            "The cache is still in force",
            view! { <p>"Lines that are not ours name it too: they stay. Delete them by hand if you want it gone."</p> },
            (),
        )
    });
    let shape = RwSignal::new(DiffShape::Unified);
    let (before, after) = (done.before.clone(), merged.text.clone());
    let drawn = move || diff_view(&masked(&before), &masked(&after), shape.get());
    let shapes = segments(
        "Show as",
        &["Unified", "Side by side"],
        move || usize::from(shape.get() == DiffShape::SideBySide),
        move |at| {
            shape.set(if at == 1 {
                DiffShape::SideBySide
            } else {
                DiffShape::Unified
            });
        },
    );
    view! {
        {remains}
        {section("Changes", (), view! { <ul class="change-list">{changes}</ul> })}
        {section("Difference", shapes, changing(drawn))}
        {effective(done)}
        {outputs(path, done)}
    }
    .into_any()
}

/// A change in words.
fn change_line(change: &Change) -> AnyView {
    let (verb, rest) = match change.what {
        What::Appended => ("Added to", change.setting.as_str()),
        What::Block => ("Added a block at the end", ""),
        What::Updated => ("Brought the cache's block up to date", ""),
        What::Replaced => ("Replaced a key in", change.setting.as_str()),
        What::Taken => ("Took out of", change.setting.as_str()),
        What::Removed => ("Removed", change.setting.as_str()),
    };
    let setting = (!rest.is_empty()).then(|| view! { " " <code>{rest.to_owned()}</code> });
    let values = change
        .values
        .iter()
        .map(|value| view! { <code class="break">{value.clone()}</code> })
        .collect_view();
    view! {
        <li>
            {icon(Icon::Tick)}
            <div>
                <strong>{verb} {setting}</strong>
                {values}
            </div>
        </li>
    }
    .into_any()
}

fn effective(done: &Done) -> AnyView {
    effective_table(
        &Effective::of_text(&done.before),
        &Effective::of_text(&done.merged.text),
    )
}

/// Somebody else writes this file: what to write instead, and why.
fn owned(page: Page, owner: Owner) -> AnyView {
    let (target, file) = match owner {
        Owner::NixOs => (ConnectTarget::NixOs, "nix-caches.nix"),
        Owner::HomeManager => (ConnectTarget::HomeManager, "nix-caches.nix"),
        Owner::NixDarwin => (ConnectTarget::NixDarwin, "nix-caches.nix"),
        Owner::Determinate => (ConnectTarget::Determinate, "/etc/nix/nix.custom.conf"),
    };
    let why = match owner {
        Owner::Determinate => {
            "Determinate Nix writes this file anew and says not to modify it. It reads nix.custom.conf beside it: the lines belong there."
        }
        Owner::NixOs => {
            "NixOS writes this file from nix.settings at every rebuild, and a change by hand is lost. So the module is shown instead."
        }
        Owner::HomeManager => {
            "home-manager writes this file from nix.settings at every switch, and a change by hand is lost. So its module is shown instead."
        }
        Owner::NixDarwin => {
            "nix-darwin writes this file from nix.settings at every switch, and a change by hand is lost. So its module is shown instead."
        }
    };
    let (known, others) = (page.chosen.known(), page.chosen.others());
    let slugs = known.iter().map(|known| known.cache.slug.clone()).collect();
    let generate = href(&Route::Connect(ConnectRoute::Generate(ConnectQuery {
        caches: slugs,
        target: Some(target),
        ..ConnectQuery::default()
    })));
    let text = super::output::first_text(&known, &others, target);
    view! {
        {banner(
            Tone::Note,
            format!("{owner} writes this file"),
            view! {
                <p>{why}</p>
                <p><a href=generate>"Apply, check and undo for this target"</a></p>
            },
            (),
        )}
        {text.map(|text| code_file(file, text, file.rsplit('/').next().unwrap_or(file)))}
    }
    .into_any()
}
