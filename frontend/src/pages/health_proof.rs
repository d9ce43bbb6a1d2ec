//! How far the content of a cache is proven: what was read, how old the oldest proof is, and how it goes
//! on.

use leptos::prelude::*;
use snowbank_shared::api::Health;
use snowbank_shared::api::verify::Verification;

use crate::components::ago::ago;
use crate::components::layout::{card as framed, fact, facts};
use crate::format;

/// The card; `None`: nothing was counted yet.
pub fn card(verification: Option<&Verification>) -> AnyView {
    let body = match verification {
        None => view! { <p>"Not counted yet. The server counts the paths after its start."</p> }
            .into_any(),
        Some(found) => counted(found),
    };
    view! { <div id="verification">{framed("Content verification", (), body)}</div> }.into_any()
}

fn counted(found: &Verification) -> AnyView {
    let proven = format!(
        "{} of {} ({}), {} of {}",
        format::count(found.proven_paths),
        format::counted(found.paths, "path", "paths"),
        format::percent(found.proven_paths, found.paths),
        format::size(found.proven_bytes),
        format::size(found.bytes),
    );
    let oldest = match &found.oldest {
        Some(at) => ago(at),
        None => "none yet".into_any(),
    };
    let mut rows = vec![fact("Proven", proven), fact("Oldest proof", oldest)];
    if found.rate > 0 {
        let due = format::counted(found.due, "path", "paths");
        rows.push(fact("To be read", due));
    }
    let behind = found.behind.then(|| {
        view! {
            <p>
                <b>"Behind. "</b>
                "The oldest proof is older than 120 days. Raise "
                <code>"verify_rate"</code>
                " of this cache, or look in the server's log why nothing is read."
            </p>
        }
    });
    view! {
        <p>{sentence(found)}</p>
        {behind}
        {facts(rows)}
    }
    .into_any()
}

/// What is going on, in words.
fn sentence(found: &Verification) -> String {
    if found.rate == 0 {
        return "Off: archives are read only where somebody asks. Set verify_rate of this cache to have them read in the background.".to_owned();
    }
    let rate = format::size_short(found.rate);
    let state = match (found.running, found.due) {
        (true, _) => "A server is reading now.",
        (false, 0) => "Nothing is to be read now.",
        (false, _) => "It goes on by itself.",
    };
    format!(
        "Archives are read in the background, at most {rate} a second, and compared with what their narinfos say. {state}"
    )
}

/// Of paths that refer to what is not here: how many of them an upstream completes.
pub fn elsewhere(check: &str, health: &Health) -> Option<AnyView> {
    let missing = health.missing.as_ref()?;
    if check != "reference-missing" {
        return None;
    }
    let unknown = (missing.unknown > 0).then(|| {
        let paths = format::counted(missing.unknown, "path", "paths");
        format!(" Of {paths} it is not known.")
    });
    Some(
        view! {
            <p id="missing-elsewhere">
                "An upstream has all that "
                <b>{format::counted(missing.upstream, "path lacks", "paths lack")}</b>
                ". "
                <b>{format::counted(missing.nowhere, "path lacks", "paths lack")}</b>
                " something that is nowhere."
                {unknown}
                " The upstreams were asked "
                {ago(&missing.at)}
                "."
            </p>
        }
        .into_any(),
    )
}
