//! What stands below the charts of the storage: codecs, shared NARs, who grows, and what the
//! bucket itself does.

use leptos::prelude::*;
use snowbank_shared::api::storage::{FactState, GrowthShare, Storage};

use crate::components::chip::{Tone, chip};
use crate::components::icon::Icon;
use crate::components::layout::{section, table};
use crate::components::size::size;
use crate::format;

/// How well each compression does.
pub(super) fn codecs(answer: &Storage) -> Option<AnyView> {
    if answer.codecs.is_empty() {
        return None;
    }
    let rows = answer
        .codecs
        .iter()
        .map(|codec| {
            let ratio = format::ratio(codec.unpacked, codec.stored);
            view! {
                <tr>
                    <th scope="row" class="grow">{format::visible(&codec.compression)}</th>
                    <td class="number" data-label="NARs">{format::count(codec.nars)}</td>
                    <td class="number" data-label="Stored">{size(codec.stored)}</td>
                    <td class="number" data-label="Unpacked">{size(codec.unpacked)}</td>
                    <td class="number" data-label="Ratio">{ratio.unwrap_or_else(|| "—".to_owned())}</td>
                </tr>
            }
        })
        .collect_view();
    let columns = [
        ("Compression", "grow", ""),
        ("NARs", "number", "Distinct ones"),
        ("Stored", "number", ""),
        ("Unpacked", "number", ""),
        ("Ratio", "number", "Unpacked ÷ stored"),
    ];
    let list = table("NARs by compression", "table", &columns, rows);
    Some(section("Compression", (), list))
}

/// NARs that several paths have.
pub(super) fn shared(answer: &Storage) -> Option<AnyView> {
    if answer.shared.is_empty() {
        return None;
    }
    let rows = answer
        .shared
        .iter()
        .map(|nar| {
            let saved = nar.bytes.saturating_mul(nar.paths.saturating_sub(1));
            view! {
                <tr>
                    <th scope="row" class="grow wrap mono">{format::visible(&nar.url)}</th>
                    <td class="number" data-label="Paths">{format::count(nar.paths)}</td>
                    <td class="number" data-label="Size">{size(nar.bytes)}</td>
                    <td class="number" data-label="Saved">{size(saved)}</td>
                </tr>
            }
        })
        .collect_view();
    let columns = [
        ("URL", "grow", ""),
        ("Paths", "number", "How many narinfos name it"),
        ("Size", "number", "As stored, once"),
        ("Saved", "number", ""),
    ];
    let words = view! {
        <p>
            "Σ FileSize over the narinfos minus Σ over their distinct URLs: "
            {format::size(answer.saved)}
        </p>
    };
    let list = table("NARs that several paths share", "table", &columns, rows);
    Some(section("Shared NARs", words, list))
}

/// Who uploaded most, and which packages grew most.
pub(super) fn growers(answer: &Storage) -> Option<AnyView> {
    let list = |caption: &'static str, word: &'static str, shares: &[GrowthShare]| {
        let rows = shares
            .iter()
            .map(|share| {
                let name = match share.name.as_str() {
                    "" => "not known".to_owned(),
                    name => format::visible(name),
                };
                view! {
                    <tr>
                        <th scope="row" class="grow">{name}</th>
                        <td class="number" data-label="Paths">{format::count(share.paths)}</td>
                        <td class="number" data-label="Stored">{size(share.bytes)}</td>
                    </tr>
                }
            })
            .collect_view();
        let columns = [
            (word, "grow", ""),
            ("Paths", "number", ""),
            ("Stored", "number", ""),
        ];
        (!shares.is_empty()).then(|| table(caption, "table", &columns, rows))
    };
    let uploaders = list("Growth by uploader", "Uploader", &answer.uploaders);
    let packages = list("Growth by package", "Package", &answer.packages);
    if uploaders.is_none() && packages.is_none() {
        return None;
    }
    let words = view! { <p>"Bytes that came in the last 30 days"</p> };
    let body = view! { <div class="usage-charts">{uploaders} {packages}</div> };
    Some(section("What makes it grow", words, body))
}

/// What the bucket itself does.
pub(super) fn facts_of(answer: &Storage) -> Option<AnyView> {
    if answer.facts.is_empty() {
        return None;
    }
    let rows = answer
        .facts
        .iter()
        .map(|fact| {
            let state = chip(match fact.state {
                FactState::Ok => (Tone::Ok, Icon::Tick, "well", "Nothing has to be done."),
                FactState::Warn => (
                    Tone::Warn,
                    Icon::Warning,
                    "look at it",
                    "It may break a cache.",
                ),
                FactState::Unknown => (
                    Tone::Unknown,
                    Icon::Help,
                    "not known",
                    "The bucket could not be asked.",
                ),
            });
            let remedy = fact
                .remedy
                .as_deref()
                .map(|remedy| view! { <small class="muted">{format::sentence(remedy)}</small> });
            view! {
                <tr>
                    <th scope="row">{format::visible(&fact.name)}</th>
                    <td data-label="State">{state}</td>
                    <td class="grow wrap">
                        <span class="cell-two">{format::sentence(&fact.words)} {remedy}</span>
                    </td>
                </tr>
            }
        })
        .collect_view();
    let columns = [
        ("Fact", "", ""),
        ("State", "", ""),
        ("What is so", "grow", ""),
    ];
    let list = table("What the bucket does", "table is-roomy", &columns, rows);
    Some(section("The bucket itself", (), list))
}
