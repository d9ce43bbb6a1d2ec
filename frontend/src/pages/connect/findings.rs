//! What the doctor found, with the line, why, and a fix.

use leptos::prelude::*;
use snowbank_shared::api::{Key, KeyState};
use snowbank_shared::nix_conf::doctor::{Finding, KnownCache, Severity};
use snowbank_shared::signature::PublicKey;

use super::choose::Known;
use super::pasted::masked;
use crate::components::button::{Weight, button};
use crate::components::chip::{Tone, chip};
use crate::components::icon::Icon;

/// The caches of this server as the doctor knows them.
pub fn known_caches(known: &[Known]) -> Vec<KnownCache> {
    let signs = |key: &&Key| matches!(key.state, KeyState::Active | KeyState::Pending);
    let read = |texts: Vec<&String>| -> Vec<PublicKey> {
        let keys = texts.into_iter().filter_map(|text| text.parse().ok());
        keys.collect()
    };
    known
        .iter()
        .map(|Known { cache, facts }| {
            let now = cache.keys.iter().filter(signs);
            let ended = cache.keys.iter().filter(|key| !signs(key));
            let ended = ended.map(|key| &key.public_key);
            KnownCache {
                title: cache.title.clone(),
                url: cache.url.clone(),
                keys: read(now.map(|key| &key.public_key).collect()),
                retired: read(ended.chain(&facts.former_keys).collect()),
                priority: Some(cache.priority),
            }
        })
        .collect()
}

const fn dress(severity: Severity) -> (&'static str, Tone, Icon, &'static str) {
    match severity {
        Severity::Note => ("diagnosis", Tone::Note, Icon::Info, "Note"),
        Severity::Warning => (
            "diagnosis diagnosis-warning",
            Tone::Warn,
            Icon::Warning,
            "Warning",
        ),
        Severity::Error => ("diagnosis diagnosis-error", Tone::Bad, Icon::Cross, "Error"),
        Severity::Stop => (
            "diagnosis diagnosis-error",
            Tone::Bad,
            Icon::Warning,
            "Stop",
        ),
    }
}

/// The findings of a text; `fix` is told which one is to be put right.
pub fn findings_list(
    text: &str,
    findings: Vec<Finding>,
    fix: impl Fn(&Finding) + Clone + 'static,
) -> AnyView {
    let items: Vec<AnyView> = findings
        .into_iter()
        .map(|finding| one(text, finding, fix.clone()))
        .collect();
    view! { <ol class="findings">{items}</ol> }.into_any()
}

fn one(text: &str, finding: Finding, fix: impl Fn(&Finding) + 'static) -> AnyView {
    let (class, tone, picture, word) = dress(finding.severity);
    let id = finding.rule.to_string();
    let line = text
        .lines()
        .nth((finding.line as usize).saturating_sub(1))
        .map(masked)
        .filter(|line| !line.trim().is_empty())
        .map(|line| view! { <pre>{crate::format::visible(&line)}</pre> });
    let place = format!("line {}, column {}", finding.line, finding.column);
    let title = finding.rule.title();
    let why = finding.why.clone();
    let offered = finding.fix.as_ref().map(|offered| offered.label.clone());
    let offered = offered.map(|label| {
        let what = view! { <span class="diagnosis-fix">{label}</span> };
        view! {
            <p class="with-reason">
                {button(Weight::Plain, Some(Icon::Tick), "Fix it", move || fix(&finding))}
                {what}
            </p>
        }
    });
    view! {
        <li class=class data-rule=id.clone()>
            <div class="diagnosis-head">
                <span class="diagnosis-id">{id.clone()}</span>
                {chip((tone, picture, word, ""))}
                <h3>{title}</h3>
                <span class="diagnosis-place">{place}</span>
            </div>
            {line}
            <p>{why}</p>
            {offered}
        </li>
    }
    .into_any()
}
