//! The doctor: what is wrong in a nix.conf, a netrc or what `nix config show` prints, line by
//! line, with a fix where an edit is one. All of it happens in this tab.

use leptos::prelude::*;
use snowbank_shared::nix_conf::doctor::{self, Finding, Kind, Place, Question, Severity};
use snowbank_shared::nix_conf::effective::Effective;
use snowbank_shared::nix_conf::names::NixVersion;
use snowbank_shared::route::{ConnectRoute, Route};

use super::choose::{ChosenCaches, cache_boxes, caches_of};
use super::diff::{DiffShape, diff_view};
use super::effective::effective_table;
use super::findings::{findings_list, known_caches};
use super::head_tabs;
use super::pasted::{Pasted, masked, pasted_field, promise};
use super::reach::reach;
use crate::components::banner::{banner, empty};
use crate::components::button::{Weight, button};
use crate::components::changing::changing;
use crate::components::chip::Tone;
use crate::components::choice::segments;
use crate::components::copy::copy_button;
use crate::components::field::{Field, select_field};
use crate::components::icon::Icon;
use crate::components::layout::section;
use crate::components::page_head::{heading, page_title};
use crate::format;
use crate::state::derived::effect;
use crate::state::navigation::href;

/// The state of the page. Copy it freely.
#[derive(Debug, Clone, Copy)]
struct Page {
    pasted: Pasted,
    /// The text before the fixes, once there was one.
    original: RwSignal<Option<String>>,
    kind: RwSignal<Option<Kind>>,
    place: RwSignal<Place>,
    trusted: Field,
    daemon: Field,
    version: Field,
    system: Pasted,
    chosen: ChosenCaches,
}

/// The page.
pub fn page() -> AnyView {
    page_title(|| "Configuration doctor".to_owned());
    let page = Page {
        pasted: Pasted::new(),
        original: RwSignal::new(None),
        kind: RwSignal::new(None),
        place: RwSignal::new(Place::System),
        trusted: Field::new("In trusted-users?", ""),
        daemon: Field::new("Builds go through a daemon?", ""),
        version: Field::new("Version of Nix", ""),
        system: Pasted::new(),
        chosen: caches_of(|caches| ConnectRoute::Doctor { caches }),
    };
    // Another text: what was put right in the one before is over.
    effect(move || {
        page.pasted.came.track();
        page.original.set(None);
    });
    let system = move || {
        (page.place.get() == Place::User).then(|| {
            pasted_field(
                "The system's nix.conf, if you have it",
                "Some findings need both: /etc/nix/nix.conf.",
                5,
                page.system,
                "doctor-system",
            )
        })
    };
    let result = move || {
        if page.pasted.secret.with(Option::is_some) || page.system.secret.with(Option::is_some) {
            return ().into_any();
        }
        page.result()
    };
    view! {
        <div class="page connect-page">
            <div class="page-head">
                {heading("Configuration doctor")}
                <p class="state-sentence">
                    "Paste a nix.conf, a netrc, or what " <code>"nix config show"</code>
                    " prints. Thirty known mistakes are looked for, each with the line, why it matters, and a fix."
                </p>
            </div>
            {head_tabs()}
            {promise()}
            {page.chosen.failure()}
            <div class="merge">
                <div class="merge-in">
                    {pasted_field(
                        "Your configuration",
                        "Paste it, or drop the file here.",
                        14,
                        page.pasted,
                        "doctor-text",
                    )}
                    {page.kinds()}
                    {segments(
                        "Whose file",
                        &["The system's", "A user's or a flake's"],
                        move || usize::from(page.place.get() == Place::User),
                        move |at| page.place.set(if at == 1 { Place::User } else { Place::System }),
                    )}
                    {changing(system)}
                    <details class="explain">
                        <summary>"More about the machine"</summary>
                        <div>{page.machine()} {cache_boxes(page.chosen)}</div>
                    </details>
                </div>
                <div class="merge-out">
                    {changing(result)}
                    {reach(page.pasted.text, page.chosen)}
                    {changing(move || page.onwards())}
                </div>
            </div>
        </div>
    }
    .into_any()
}

fn yes_or_no(field: Field) -> Option<bool> {
    match field.value.get().as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

impl Page {
    fn kinds(self) -> AnyView {
        const KINDS: [Option<Kind>; 4] = [
            None,
            Some(Kind::NixConf),
            Some(Kind::Netrc),
            Some(Kind::ShowConfig),
        ];
        segments(
            "It is",
            &["Guess", "nix.conf", "netrc", "nix config show"],
            move || {
                let kind = self.kind.get();
                KINDS.iter().position(|one| *one == kind).unwrap_or(0)
            },
            move |at| self.kind.set(KINDS.get(at).copied().flatten()),
        )
    }

    fn machine(self) -> AnyView {
        let choice = |value: &str, word: &str| (value.to_owned(), word.to_owned());
        let unsure = || {
            vec![
                choice("", "I don't know"),
                choice("yes", "Yes"),
                choice("no", "No"),
            ]
        };
        let versions = vec![
            choice("", "I don't know"),
            choice("2.8", "2.8"),
            choice("2.18", "2.18"),
            choice("2.24", "2.24"),
            choice("2.28", "2.28"),
            choice("2.34", "2.34 or newer"),
        ];
        view! {
            <div class="form form-columns">
                {select_field(self.trusted, unsure())}
                {select_field(self.daemon, unsure())}
                {select_field(self.version, versions)}
            </div>
        }
        .into_any()
    }

    /// What was found; tracked.
    fn result(self) -> AnyView {
        let text = self.pasted.text.get();
        if text.trim().is_empty() {
            return empty(
                "Nothing to examine yet",
                view! { <p>"Paste a configuration. What is found appears here."</p> },
            );
        }
        let known = known_caches(&self.chosen.known());
        let version: Option<NixVersion> = self.version.value.get().parse().ok();
        let system = self.system.text.get();
        let kind = self.kind.get().unwrap_or_else(|| Kind::guess(&text));
        let question = Question {
            kind,
            place: self.place.get(),
            trusted: yes_or_no(self.trusted),
            daemon: yes_or_no(self.daemon),
            version,
            caches: &known,
            system: (!system.trim().is_empty()).then_some(system.as_str()),
            ..Question::new(&text)
        };
        let findings = match doctor::examine(&question) {
            Ok(findings) => findings,
            Err(why) => {
                let why = format::sentence(&why.to_string());
                return banner(
                    Tone::Bad,
                    "This is not examined",
                    view! { <p>{why}</p> },
                    (),
                );
            }
        };
        let changed = self.changed(&text);
        let summary = summary(&findings);
        let of = text.clone();
        let fix = move |finding: &Finding| self.put_right(finding, &of);
        let list = (!findings.is_empty())
            .then(|| section("Findings", (), findings_list(&text, findings, fix)));
        let effective = (kind == Kind::NixConf).then(|| {
            let after = Effective::of_text(&text);
            let before = self.original.get().unwrap_or_else(|| text.clone());
            effective_table(&Effective::of_text(&before), &after)
        });
        view! { {summary} {list} {changed} {effective} }.into_any()
    }

    fn put_right(self, finding: &Finding, text: &str) {
        let Some(fix) = &finding.fix else { return };
        if self.original.with_untracked(Option::is_none) {
            self.original.set(Some(text.to_owned()));
        }
        self.pasted.take(fix.apply(text));
    }

    /// What the fixes changed, and the way back.
    fn changed(self, text: &str) -> Option<AnyView> {
        let original = self.original.get()?;
        let copied = text.to_owned();
        let actions = view! {
            <span class="page-actions">
                {copy_button("Copy the corrected text", true, move || copied.clone())}
                {button(Weight::Quiet, Some(Icon::Again), "Take the fixes back", move || {
                    if let Some(original) = self.original.get_untracked() {
                        self.original.set(None);
                        self.pasted.take(original);
                    }
                })}
            </span>
        };
        Some(section(
            "What was put right",
            actions,
            diff_view(&masked(&original), &masked(text), DiffShape::Unified),
        ))
    }

    /// Where to go on.
    fn onwards(self) -> AnyView {
        let slugs = self.chosen.slugs.get();
        let live = href(&Route::Connect(ConnectRoute::Live {
            cache: slugs.first().cloned(),
            token: None,
        }));
        let explain = href(&Route::Connect(ConnectRoute::Explain {
            error: String::new(),
        }));
        view! {
            <p class="muted">
                "A file says what is configured, not what happens. The " <a href=live>"live check"</a>
                " watches the machine itself; " <a href=explain>"Explain"</a> " reads what Nix printed."
            </p>
        }
        .into_any()
    }
}

fn summary(findings: &[Finding]) -> AnyView {
    if findings.is_empty() {
        return banner(
            Tone::Ok,
            "Nothing wrong found",
            view! { <p>"None of the thirty rules applies to this text."</p> },
            (),
        );
    }
    let count = |wanted: fn(Severity) -> bool| {
        findings
            .iter()
            .filter(|finding| wanted(finding.severity))
            .count() as u64
    };
    let errors = count(|severity| severity >= Severity::Error);
    let warnings = count(|severity| severity == Severity::Warning);
    let notes = count(|severity| severity == Severity::Note);
    let words: Vec<String> = [
        (errors, "error", "errors"),
        (warnings, "warning", "warnings"),
        (notes, "note", "notes"),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, one, many)| format::counted(count, one, many))
    .collect();
    let tone = if errors > 0 {
        Tone::Bad
    } else if warnings > 0 {
        Tone::Warn
    } else {
        Tone::Note
    };
    banner(tone, words.join(", "), (), ())
}
