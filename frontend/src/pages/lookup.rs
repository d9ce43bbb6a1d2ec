//! Is it cached? Store paths in whatever form somebody has them, against every
//! cache of this server and, for what none of them has, their upstreams.
//!
//! The text is read in this browser; what goes to the server, and into the
//! address where it is short enough to share, are hash parts.

use std::collections::HashMap;

use leptos::html::Textarea;
use leptos::prelude::*;
use snowbank_shared::api::Lookup;
use snowbank_shared::pasted::{Pasted, store_paths};
use snowbank_shared::route::Route;
use web_sys::SubmitEvent;

use crate::api;
use crate::components::api_button::api_button;
use crate::components::changing::changing;
use crate::components::icon::{Icon, icon};
use crate::components::page_head::{heading, page_title};
use crate::entry;
use crate::format;
use crate::pages::lookup_table::results;
use crate::state::derived::memo;
use crate::state::navigation::navigation;
use crate::state::remote::Remote;

/// Paths of one look-up at most.
const MOST: usize = 2_000;
/// Paths that an address holds.
const MOST_SHARED: usize = 200;
/// Paths of one request.
const BATCH: usize = 50;

/// What a text said of a path besides its hash part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// Its name.
    pub name: Option<String>,
    /// A derivation that will be built.
    pub to_build: bool,
}

/// What is looked up. Copy it freely.
#[derive(Debug, Clone, Copy)]
pub struct Looking {
    /// Hash parts, in the order of the text.
    pub hashes: Memo<Vec<String>>,
    /// What the text said of them.
    pub said: StoredValue<HashMap<String, Said>>,
    /// The answers, each to the next few hashes.
    pub batches: Memo<Vec<Remote<Lookup>>>,
}

/// The page.
pub fn page() -> AnyView {
    page_title(|| "Look up".to_owned());
    let navigation = navigation();
    // More than an address holds stays here.
    let many = RwSignal::new(None::<Vec<String>>);
    let said = StoredValue::new(HashMap::new());
    let hashes = memo(move || match (many.get(), navigation.route()) {
        (Some(many), _) => many,
        (None, Some(Route::Lookup { paths })) => paths,
        _ => Vec::new(),
    });
    let batches = Memo::new_with_compare(
        move |_| hashes.with(|hashes| hashes.chunks(BATCH).map(batch).collect::<Vec<_>>()),
        |_, _| true,
    );
    let looking = Looking {
        hashes,
        said,
        batches,
    };
    let problem = RwSignal::new(String::new());
    let look = move |text: &str| {
        let pasted = store_paths(text, MOST);
        problem.set(trouble(&pasted));
        if pasted.paths.is_empty() {
            return;
        }
        said.set_value(
            pasted
                .paths
                .iter()
                .map(|path| {
                    let said = Said {
                        name: path.name.clone(),
                        to_build: path.to_build,
                    };
                    (path.hash.to_string(), said)
                })
                .collect(),
        );
        let paths: Vec<String> = pasted
            .paths
            .iter()
            .map(|path| path.hash.to_string())
            .collect();
        if paths.len() > MOST_SHARED {
            many.set(Some(paths));
            navigation.go(&Route::Lookup { paths: Vec::new() });
        } else {
            many.set(None);
            navigation.go(&Route::Lookup { paths });
        }
    };
    let api_path = move || {
        let asked =
            hashes.with(|hashes| hashes.iter().take(MOST_SHARED).cloned().collect::<Vec<_>>());
        api::lookup_path(&asked)
    };
    let api = move || (!hashes.with(Vec::is_empty)).then(|| api_button(api_path));
    view! {
        <div class="page lookup-page">
            <div class="page-head">
                <div class="page-head-row">{heading("Look up")} <div class="page-actions">{changing(api)}</div></div>
                <p class="state-sentence">"Is it cached? Paste store paths, and see which cache has each of them."</p>
            </div>
            {form(hashes, problem, look)}
            {changing(move || (!hashes.with(Vec::is_empty)).then(|| results(looking)))}
        </div>
    }
    .into_any()
}

fn batch(hashes: &[String]) -> Remote<Lookup> {
    let path = api::lookup_path(hashes);
    Remote::new(move || Some(path.clone()))
}

/// What is wrong with a text; empty where nothing is.
fn trouble(pasted: &Pasted) -> String {
    if pasted.cut {
        return format!(
            "Only the first {} are looked up.",
            format::counted(MOST as u64, "path", "paths")
        );
    }
    if let Some(wrong) = pasted.not_hashes.first() {
        let why = match entry::read(wrong) {
            entry::Entry::NotAHash { letters } => entry::explain_not_a_hash(&letters),
            _ => "This is not a Nix hash".to_owned(),
        };
        return format!("{wrong}: {why}.");
    }
    if pasted.paths.is_empty() {
        return "There is no store path in this text: one has a hash of 32 characters, a dash and a name.".to_owned();
    }
    String::new()
}

fn form(
    hashes: Memo<Vec<String>>,
    problem: RwSignal<String>,
    look: impl Fn(&str) + 'static,
) -> AnyView {
    let text = NodeRef::<Textarea>::new();
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        if let Some(text) = text.get_untracked() {
            look(&text.value());
        }
    };
    view! {
        <form class="lookup-form" on:submit=submit>
            <label for="lookup-text">"Store paths, hashes, or what a command printed"</label>
            <textarea
                node_ref=text
                id="lookup-text"
                rows="7"
                spellcheck="false"
                autocapitalize="off"
                autocomplete="off"
                aria-describedby="lookup-note lookup-problem"
                aria-invalid=move || (!problem.with(String::is_empty)).then_some("true")
                prop:value=hashes.get_untracked().join("\n")
            ></textarea>
            <p class="muted" id="lookup-note">
                "Also the output of " <code>"nix build --dry-run"</code> ", " <code>"nix path-info --json"</code>
                " or " <code>"nix flake check"</code>
                ". The text stays in this browser; the server is asked for the hashes in it."
            </p>
            <p class="field-note" id="lookup-problem" role="status">{changing(move || problem.get())}</p>
            <div class="page-actions">
                <button type="submit" class="button button-primary">
                    {icon(Icon::Search)}
                    "Look up"
                </button>
            </div>
        </form>
    }
    .into_any()
}
